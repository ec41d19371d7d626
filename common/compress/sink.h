/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/compress/compress.h"

#include <stdbool.h>

/* Where a decoder writes: the caller's buffer, at most `limit` bytes more than it had, and
 * behind them a few bytes of spill. A decoder that writes into the spill has passed the limit;
 * one that ends exactly at the limit has not. Inside common/compress only. Thread: any. */

enum {
    SINK_SPILL_SIZE = 64
};

struct sink {
    struct buf *out;
    size_t begin; /* out->size before the first byte */
    size_t limit; /* bytes that may be added */
    bool passed;  /* a byte landed in the spill */
    uint8_t spill[SINK_SPILL_SIZE];
};

void sink_init(struct sink *s, struct buf *out, size_t limit);
/* Bytes that still fit below the limit. */
size_t sink_left(const struct sink *s);
/* Makes room for `n` bytes in one piece, n <= sink_left(). The buffer doubles, never beyond the
 * limit. -ENOMEM. */
MUST_CHECK int sink_reserve(struct sink *s, size_t n);
/* Room for at least one byte, about `want` when the limit allows it; NULL when memory is
 * exhausted. */
uint8_t *sink_room(struct sink *s, size_t want, size_t *ret_size);
/* `n` bytes of the room last given were written. */
void sink_wrote(struct sink *s, size_t n);

/* Makes room for `more` bytes behind out->size without aborting. -ENOMEM. */
MUST_CHECK int out_reserve(struct buf *out, size_t more);

/* One pair a codec; `in` holds at most INT32_MAX bytes. Encoders append to `out`, decoders write
 * to `s`; on failure the caller restores the size. Results as compress_bytes and
 * decompress_bytes. */
MUST_CHECK int gzip_compress(int level, struct bytes in, struct buf *out);
MUST_CHECK int gzip_decompress(struct bytes in, struct sink *s);
MUST_CHECK int snappy_frame_compress(struct bytes in, struct buf *out);
MUST_CHECK int snappy_frame_decompress(struct bytes in, struct sink *s);
MUST_CHECK int lz4_frame_compress(int level, struct bytes in, struct buf *out);
MUST_CHECK int lz4_frame_decompress(struct bytes in, struct sink *s);
MUST_CHECK int zstd_frame_compress(int level, struct bytes in, struct buf *out);
MUST_CHECK int zstd_frame_decompress(struct bytes in, struct sink *s);
