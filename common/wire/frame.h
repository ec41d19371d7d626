/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/arena.h"
#include "common/base/bytes.h"
#include "common/base/err.h"

/* The frame: uint32 big-endian length · varint length of Header · Header · body. */

enum {
    FRAME_LENGTH_SIZE = 4,
    FRAME_HEADER_MAX = 4096, /* encoded Header */
    FRAME_DETAIL_MAX = 1024,
};

struct frame_header {
    uint32_t api; /* enum wire_api, or a number that we do not know */
    uint32_t correlation;
    int32_t error;
    const char *detail; /* "" when none */
    uint32_t throttle_ms, timeout_ms;
};

enum {
    FRAME_E_LENGTH = 1, /* shorter than a header or longer than the limit */
    FRAME_E_HEADER = 2, /* the header does not decode */
};

/* Splits the `size` bytes behind the length word. `ret_body` borrows from `bytes`; the detail is
 * copied into `detail` (size FRAME_DETAIL_MAX + 1). > 0: FRAME_E_*. Thread: any. */
MUST_CHECK int frame_split(const uint8_t *bytes,
        size_t size,
        char *detail,
        struct frame_header *ret_header,
        struct bytes *ret_body);
/* Appends length word and header of a frame whose body will have `body_size` bytes. */
void frame_begin(struct buf *out, const struct frame_header *h, size_t body_size);
