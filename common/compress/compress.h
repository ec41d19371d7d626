/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/bytes.h"
#include "common/base/err.h"
#include "common/domain/record_batch.h"

/* The four compressions of record batches, in the framing that Kafka clients use: gzip (RFC
 * 1952), snappy in xerial blocks (a raw block is also read), lz4 frame, zstd frame. Thread: any. */

enum {
    COMPRESS_E_CORRUPT = 1, /* the bytes are not that compression's */
    COMPRESS_E_LIMIT = 2,   /* the result would pass `limit` */
};

/* Appends the compressed form to `out`. `level` 0 = the codec's default; snappy has none.
 * Negative: memory.
 * > 0: COMPRESS_E_LIMIT = it would pass out->limit, or `in` has more than INT32_MAX bytes. */
MUST_CHECK int compress_bytes(enum batch_codec codec, int level, struct bytes in, struct buf *out);
/* Appends the plain form to `out`, at most `limit` bytes; a bomb stops at the limit, not at its
 * end. On failure `out` is as before. > 0: COMPRESS_E_*; out->limit and INT32_MAX bytes of `in`
 * are limits as well. */
MUST_CHECK int decompress_bytes(
        enum batch_codec codec, struct bytes in, size_t limit, struct buf *out);
/* The plain records section of a batch: `*ret` points into the batch (CODEC_NONE) or into
 * `scratch`, which is cleared first. > 0: as decompress_bytes. */
MUST_CHECK int batch_plain_records(
        const struct batch *b, size_t limit, struct buf *scratch, struct bytes *ret);
