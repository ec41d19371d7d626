/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/err.h"
#include "common/net/transport.h"

#include <stdbool.h>
#include <stdint.h>

/* Cuts a byte stream into frames.
 *
 *   socket ──readv──► frame under construction │ read-ahead (16 KiB: headers, small frames)
 *
 * One system call fills the rest of a large frame in place and the beginning of what follows. The
 * memory of a frame grows with the bytes that came, not with the size that the peer claims; the
 * read-ahead exists only while it holds something, so an idle connection costs neither. Private to
 * common/net. Thread: owner of the connection's loop. */
struct frame_reader {
    uint8_t *ahead;
    size_t ahead_at, ahead_end;
    uint8_t *frame; /* NULL = between frames; without the length word */
    size_t frame_size, frame_have, frame_cap;
};

enum {
    FRAME_READER_E_MORE = 1,    /* no whole frame yet */
    FRAME_READER_E_EMPTY = 2,   /* a frame of length 0 */
    FRAME_READER_E_LIMIT = 3,   /* a frame above the limit */
    FRAME_READER_E_MEMORY = 4,  /* no memory for the frame */
    FRAME_READER_E_DRAINED = 5, /* nothing more is there now */
    FRAME_READER_E_END = 6,     /* the peer ended the stream */
};

void frame_reader_deinit(struct frame_reader *r);
/* The next whole frame, without its length word; the caller frees `*ret_frame`.
 * FRAME_READER_E_MORE, _EMPTY, _LIMIT (the claimed size is in `ret_size`) or _MEMORY. */
MUST_CHECK int frame_reader_next(
        struct frame_reader *r, uint32_t frame_max, uint8_t **ret_frame, size_t *ret_size);
/* Reads once; call it only after FRAME_READER_E_MORE. `*n` gets the bytes read. 0 = there may be
 * more, FRAME_READER_E_DRAINED, _END or _MEMORY; negative: broken. */
MUST_CHECK int frame_reader_fill(struct frame_reader *r, struct transport *t, size_t *n);
/* Reads once and forgets what was read. Results as frame_reader_fill(). */
MUST_CHECK int frame_reader_discard(struct frame_reader *r, struct transport *t, size_t *n);
/* Gives the read-ahead back when it is empty. At the end of a turn. */
void frame_reader_rest(struct frame_reader *r);
/* Whether the read-ahead holds bytes, which no readiness of the socket will announce. */
bool frame_reader_has_ahead(const struct frame_reader *r);
bool frame_reader_is_inside_frame(const struct frame_reader *r);
