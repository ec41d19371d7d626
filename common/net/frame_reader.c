/* SPDX-License-Identifier: Apache-2.0 */
#include "common/net/frame_reader.h"

#include "common/base/bytes.h"
#include "common/base/mem.h"
#include "common/base/must.h"
#include "common/wire/frame.h"

#include <errno.h>

enum {
    AHEAD_SIZE = 16384,
    FRAME_FIRST = 65536, /* believed without having seen a byte */
    FRAME_GROWTH = 16,   /* times what has come */
};

_Static_assert(
        (int)AHEAD_SIZE <= (int)FRAME_FIRST, "a new frame has room for all that was read ahead");

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

void frame_reader_deinit(struct frame_reader *r)
{
    r->ahead = mem_free(r->ahead);
    r->frame = mem_free(r->frame);
    *r = (struct frame_reader){0};
}

bool frame_reader_has_ahead(const struct frame_reader *r)
{
    return r->ahead_end > r->ahead_at;
}

bool frame_reader_is_inside_frame(const struct frame_reader *r)
{
    return r->frame != NULL || frame_reader_has_ahead(r);
}

void frame_reader_rest(struct frame_reader *r)
{
    if (!frame_reader_has_ahead(r)) {
        r->ahead = mem_free(r->ahead);
        r->ahead_at = r->ahead_end = 0;
    }
}

/* Reads the length word and makes room. */
static int begin_frame(struct frame_reader *r, uint32_t frame_max, size_t *ret_size)
{
    if (r->ahead_end - r->ahead_at < FRAME_LENGTH_SIZE) {
        return FRAME_READER_E_MORE;
    }
    size_t size = load_be32(r->ahead + r->ahead_at);
    if (size == 0) {
        return FRAME_READER_E_EMPTY;
    }
    if (size > frame_max) {
        *ret_size = size;
        return FRAME_READER_E_LIMIT;
    }
    size_t cap = min_size(size, FRAME_FIRST);
    r->frame =
            mem_try_resize(NULL, cap, 1); /* not zeroed: each byte is read into before it is used */
    if (r->frame == NULL) {
        return FRAME_READER_E_MEMORY;
    }
    r->ahead_at += FRAME_LENGTH_SIZE;
    r->frame_size = size;
    r->frame_cap = cap;
    r->frame_have = 0;
    return 0;
}

int frame_reader_next(
        struct frame_reader *r, uint32_t frame_max, uint8_t **ret_frame, size_t *ret_size)
{
    if (r->frame == NULL) {
        int e = begin_frame(r, frame_max, ret_size);
        if (e > 0) {
            return e;
        }
    }
    size_t part = min_size(r->ahead_end - r->ahead_at, r->frame_size - r->frame_have);
    if (part > 0) {
        must(r->frame_have + part <= r->frame_cap);
        memcpy(r->frame + r->frame_have, r->ahead + r->ahead_at, part);
        r->ahead_at += part;
        r->frame_have += part;
    }
    if (r->frame_have < r->frame_size) {
        return FRAME_READER_E_MORE;
    }
    *ret_frame = mem_steal(&r->frame);
    *ret_size = r->frame_size;
    return 0;
}

static int grow_frame(struct frame_reader *r)
{
    if (r->frame == NULL || r->frame_have < r->frame_cap || r->frame_cap == r->frame_size) {
        return 0;
    }
    size_t cap = min_size(r->frame_size, r->frame_cap * FRAME_GROWTH);
    uint8_t *grown = mem_try_resize(r->frame, cap, 1);
    if (grown == NULL) {
        return FRAME_READER_E_MEMORY;
    }
    r->frame = grown;
    r->frame_cap = cap;
    return 0;
}

/* Room behind what is ahead; at most 3 bytes (a cut length word) are moved to the front. */
static bool make_ahead(struct frame_reader *r)
{
    size_t left = r->ahead_end - r->ahead_at;

    must(left < FRAME_LENGTH_SIZE);
    if (r->ahead == NULL) {
        r->ahead = mem_try_resize(NULL, AHEAD_SIZE, 1);
        if (r->ahead == NULL) {
            return false;
        }
    }
    memmove(r->ahead, r->ahead + r->ahead_at, left);
    r->ahead_at = 0;
    r->ahead_end = left;
    return true;
}

static int read_result(ssize_t got, size_t asked, size_t *n)
{
    if (got == -EAGAIN) {
        return FRAME_READER_E_DRAINED;
    }
    if (got < 0) {
        return err_forward((int)got);
    }
    if (got == 0) {
        return FRAME_READER_E_END;
    }
    *n = (size_t)got;
    return (size_t)got < asked ? FRAME_READER_E_DRAINED : 0;
}

int frame_reader_fill(struct frame_reader *r, struct transport *t, size_t *n)
{
    struct iovec iov[2];
    int n_iov = 0;
    size_t in_place = 0;
    size_t asked = 0;
    int e = grow_frame(r);

    *n = 0;
    if (e > 0 || !make_ahead(r)) {
        return FRAME_READER_E_MEMORY;
    }
    if (r->frame != NULL) {
        must(!frame_reader_has_ahead(r)); /* the frame took it */
        in_place = r->frame_cap - r->frame_have;
        iov[n_iov++] = (struct iovec){.iov_base = r->frame + r->frame_have, .iov_len = in_place};
        asked += in_place;
    }
    /* Behind a frame whose memory is not whole yet, more of the frame follows: it is not for the
     * read-ahead. */
    if (r->frame == NULL || r->frame_cap == r->frame_size) {
        iov[n_iov++] = (struct iovec){
                .iov_base = r->ahead + r->ahead_end, .iov_len = AHEAD_SIZE - r->ahead_end};
        asked += AHEAD_SIZE - r->ahead_end;
    }
    int result = read_result(t->ops->readv(t, iov, n_iov), asked, n);
    size_t to_frame = min_size(*n, in_place);
    r->frame_have += to_frame;
    r->ahead_end += *n - to_frame;
    return result;
}

int frame_reader_discard(struct frame_reader *r, struct transport *t, size_t *n)
{
    *n = 0;
    r->ahead_at = r->ahead_end = 0;
    if (!make_ahead(r)) {
        return FRAME_READER_E_MEMORY;
    }
    struct iovec iov = {.iov_base = r->ahead, .iov_len = AHEAD_SIZE};
    return read_result(t->ops->readv(t, &iov, 1), AHEAD_SIZE, n);
}
