/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/bytes.h"
#include "common/base/err.h"
#include "common/base/wtime.h"
#include "common/domain/ids.h"

/* Kafka's RecordBatch v2 (magic 2), in memory, on the wire and on disk alike.
 *
 *   0 base offset i64 · 8 batch length i32 (bytes after this field) · 12 partition leader epoch
 *   i32 · 16 magic i8 · 17 crc i32 (CRC-32C of everything from 21) · 21 attributes i16 · 23 last
 *   offset delta i32 · 27 base timestamp i64 · 35 max timestamp i64 · 43 producer id i64 ·
 *   51 producer epoch i16 · 53 base sequence i32 · 57 records i32 · 61 records
 *
 * Base offset and leader epoch stand outside the checksum, so that a broker stamps them without
 * touching the rest. Pure; nothing here decompresses (common/compress does). Thread: any. */

enum {
    BATCH_HEADER_SIZE = 61,
    BATCH_LENGTH_END = 12, /* bytes before what `batch length` counts */
    BATCH_MAGIC = 2,
    RECORD_SIZE_MIN = 7, /* length, attributes, two deltas, two null lengths, no headers */
    BATCH_CODEC_MASK = 0x7,
    BATCH_LOG_APPEND_TIME = 0x8,
    BATCH_TRANSACTIONAL = 0x10,
    BATCH_CONTROL = 0x20,
    BATCH_DELETE_HORIZON = 0x40, /* the base timestamp is when its tombstones may go */
};

enum batch_codec {
    CODEC_NONE = 0,
    CODEC_GZIP = 1,
    CODEC_SNAPPY = 2,
    CODEC_LZ4 = 3,
    CODEC_ZSTD = 4
};

/* "none", "gzip", …; NULL for a number that is no codec. */
const char *codec_name(int codec);
/* The codec of that name, or -1. */
int codec_by_name(const char *name);

/* The header, decoded. `bytes` is borrowed and holds the whole batch. */
struct batch {
    const uint8_t *bytes;
    size_t size; /* whole batch: BATCH_LENGTH_END + batch length */
    offset64 base_offset;
    epoch32 leader_epoch;
    uint32_t crc;
    uint16_t attributes;
    int32_t last_offset_delta;
    wall_ms base_timestamp, max_timestamp;
    int64_t producer_id; /* -1 = none */
    int16_t producer_epoch;
    int32_t base_sequence;
    int32_t n_records;
};

enum {
    BATCH_E_SHORT = 1,  /* fewer bytes than header or batch length say: more may come */
    BATCH_E_LENGTH = 2, /* the batch length cannot be */
    BATCH_E_MAGIC = 3,  /* not magic 2 */
    BATCH_E_CRC = 4,    /* the checksum differs */
    BATCH_E_COUNT = 5,  /* records and last offset delta disagree, or negative */
    BATCH_E_CODEC = 6,  /* no such compression */
    BATCH_E_FORM = 7,   /* bytes after the batch, control bit, or record fields that do not fit */
    BATCH_E_LIMIT = 8,  /* decompressed size above the limit */
};

/* The sentence for a BATCH_E_*. */
const char *batch_error_text(int e);

/* Decodes the header of the first batch in `bytes`. > 0: SHORT, LENGTH, MAGIC. The checksum is
 * not looked at. */
MUST_CHECK int batch_parse(const void *bytes, size_t size, struct batch *ret);
/* Total size of the batch that starts with these BATCH_LENGTH_END bytes, or 0 when the length
 * cannot be. */
size_t batch_size_peek(const uint8_t bytes[BATCH_LENGTH_END]);
bool batch_crc_is_right(const struct batch *b);
offset64 batch_last_offset(const struct batch *b);
enum batch_codec batch_codec(const struct batch *b);

/* What a leader accepts from a producer: exactly one batch in `bytes`, magic 2, checksum right,
 * records > 0 and records == last offset delta + 1, a known codec, no control bit. > 0: any
 * BATCH_E_* but LIMIT. */
MUST_CHECK int batch_validate_produced(const void *bytes, size_t size, struct batch *ret);

/* Writes base offset and leader epoch in place (outside the checksum). `bytes` starts a batch. */
void batch_stamp(uint8_t *bytes, offset64 base_offset, epoch32 leader_epoch);
/* LogAppendTime: sets the attribute and max timestamp in place and recomputes the checksum. */
void batch_set_append_time(uint8_t *bytes, size_t size, wall_ms now);

/* Writes into bytes[0 … BATCH_HEADER_SIZE) the header of `from` for the payload that stands behind it in `bytes`, which
 * holds the same records in another compression: offsets, producer fields and base timestamp are kept; length, codec,
 * max timestamp and checksum are new. `size`: header and payload. */
void batch_recode_header(const struct batch *from,
        enum batch_codec codec,
        wall_ms max_timestamp,
        uint8_t *bytes,
        size_t size);

/* Compaction: a batch with the offsets, epochs, producer and codec of `from`, and other records. */
struct batch_change {
    int32_t n_records;
    wall_ms max_timestamp;
    bool has_horizon; /* else the base timestamp stays */
    wall_ms horizon;
};

/* Writes such a header, with its checksum, in front of the records section (as the codec of `from` makes it; nothing when
 * there are no records) that stands in bytes[BATCH_HEADER_SIZE …size). */
void batch_rewrite(
        const struct batch *from, const struct batch_change *change, uint8_t *bytes, size_t size);
/* A batch of BATCH_HEADER_SIZE bytes without records that stands for `n` offsets: what compaction leaves of one of which
 * nothing is left. */
void batch_make_empty(uint8_t *bytes, int32_t n);
/* When its tombstones may go, -1 = that is not set. */
wall_ms batch_delete_horizon(const struct batch *b);

/* --- Records ---------------------------------------------------------------------------------- */

struct record_header {
    struct bytes name;
    struct bytes value; /* .at == NULL: null */
};

struct record {
    struct bytes raw; /* as it stands in the section, its length included; read only */
    offset64 offset;
    wall_ms timestamp;
    struct bytes key;   /* .at == NULL: null */
    struct bytes value; /* .at == NULL: null (tombstone) */
    int32_t n_headers;
    struct bytes headers; /* encoded; read with record_headers() */
};

/* Walks the *decompressed* records section of a batch. */
struct record_iter {
    struct reader in;
    const struct batch *batch;
    int32_t i;          /* records handed out */
    int32_t last_delta; /* offset delta of the last one; they only grow */
};

void record_iter_init(
        struct record_iter *it, const struct batch *b, const void *records, size_t size);

/* 0: `*ret` is the next record. > 0: RECORD_END = no more and the count was right;
 * BATCH_E_FORM / BATCH_E_COUNT. */
enum {
    RECORD_END = 100
};

MUST_CHECK int record_iter_next(struct record_iter *it, struct record *ret);
/* Decodes up to `max` headers; returns how many, or -1 when malformed. */
int record_headers(const struct record *r, struct record_header *ret, int max);

/* Builds the uncompressed records section, then the batch. Owner: one thread. */
struct batch_builder {
    struct buf records;
    int32_t n_records;
    wall_ms base_timestamp, max_timestamp;
};

void batch_builder_reset(struct batch_builder *bb); /* zero-initialised is reset */
void batch_builder_deinit(struct batch_builder *bb);
/* Upper bound of what the record will take. */
size_t batch_record_size_max(const struct record *r, const struct record_header *headers);
/* Appends; `r->offset` and `r->headers` are ignored, `headers` has r->n_headers items. */
void batch_builder_add(
        struct batch_builder *bb, const struct record *r, const struct record_header *headers);

struct batch_build_options {
    int64_t producer_id; /* -1 = none */
    int16_t producer_epoch;
    int32_t base_sequence;
    uint16_t attributes; /* without the codec */
};

/* Appends to `out` the finished batch: header (base offset 0, leader epoch -1), then `payload`,
 * which is the records section compressed with `codec` (CODEC_NONE: bb->records itself). */
void batch_builder_finish(const struct batch_builder *bb,
        const struct batch_build_options *opt,
        enum batch_codec codec,
        struct bytes payload,
        struct buf *out);
