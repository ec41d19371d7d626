/* SPDX-License-Identifier: Apache-2.0 */
#include "common/domain/record_batch.h"

#include "common/base/array.h"
#include "common/base/crc.h"
#include "common/base/must.h"

/* Where each field of the header stands. */
enum {
    AT_BASE_OFFSET = 0,
    AT_LENGTH = 8,
    AT_LEADER_EPOCH = 12,
    AT_MAGIC = 16,
    AT_CRC = 17,
    AT_ATTRIBUTES = 21, /* the checksum begins here */
    AT_LAST_OFFSET_DELTA = 23,
    AT_BASE_TIMESTAMP = 27,
    AT_MAX_TIMESTAMP = 35,
    AT_PRODUCER_ID = 43,
    AT_PRODUCER_EPOCH = 51,
    AT_BASE_SEQUENCE = 53,
    AT_RECORDS = 57,
};

enum {
    VARINT32_SIZE_MAX = 5,
    VARINT64_SIZE_MAX = 10
};

static const char *const codec_names[] = {"none", "gzip", "snappy", "lz4", "zstd"};

const char *codec_name(int codec)
{
    return codec >= 0 && codec < (int)COUNT_OF(codec_names) ? codec_names[codec] : NULL;
}

int codec_by_name(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(codec_names); i++) {
        if (strcmp(name, codec_names[i]) == 0) {
            return (int)i;
        }
    }
    return -1;
}

const char *batch_error_text(int e)
{
    switch (e) {
    case BATCH_E_SHORT: return "the record batch ends before its length says";
    case BATCH_E_LENGTH: return "the length of the record batch cannot be";
    case BATCH_E_MAGIC: return "the record batch is not of format version 2";
    case BATCH_E_CRC: return "the checksum of the record batch is wrong";
    case BATCH_E_COUNT: return "the number of records in the batch is wrong";
    case BATCH_E_CODEC: return "the compression of the record batch is unknown";
    case BATCH_E_FORM: return "the record batch is malformed";
    case BATCH_E_LIMIT: return "the record batch is too large when decompressed";
    default: return "unknown record batch error";
    }
}

/* --- The header ------------------------------------------------------------------------------- */

size_t batch_size_peek(const uint8_t bytes[BATCH_LENGTH_END])
{
    uint32_t length = load_be32(bytes + AT_LENGTH);

    if (length < BATCH_HEADER_SIZE - BATCH_LENGTH_END || length > INT32_MAX - BATCH_LENGTH_END) {
        return 0;
    }
    return (size_t)BATCH_LENGTH_END + length;
}

int batch_parse(const void *bytes, size_t size, struct batch *ret)
{
    const uint8_t *p = bytes;

    /* The magic first: an old message set may have a length that no batch of ours has. */
    if (size > AT_MAGIC && p[AT_MAGIC] != BATCH_MAGIC) {
        return BATCH_E_MAGIC;
    }
    if (size < BATCH_LENGTH_END) {
        return BATCH_E_SHORT;
    }
    size_t batch_size = batch_size_peek(p);
    if (batch_size == 0) {
        return BATCH_E_LENGTH;
    }
    if (size < batch_size) {
        return BATCH_E_SHORT;
    }
    *ret = (struct batch){
            .bytes = p,
            .size = batch_size,
            .base_offset = (offset64)load_be64(p + AT_BASE_OFFSET),
            .leader_epoch = (epoch32)load_be32(p + AT_LEADER_EPOCH),
            .crc = load_be32(p + AT_CRC),
            .attributes = load_be16(p + AT_ATTRIBUTES),
            .last_offset_delta = (int32_t)load_be32(p + AT_LAST_OFFSET_DELTA),
            .base_timestamp = (wall_ms)load_be64(p + AT_BASE_TIMESTAMP),
            .max_timestamp = (wall_ms)load_be64(p + AT_MAX_TIMESTAMP),
            .producer_id = (int64_t)load_be64(p + AT_PRODUCER_ID),
            .producer_epoch = (int16_t)load_be16(p + AT_PRODUCER_EPOCH),
            .base_sequence = (int32_t)load_be32(p + AT_BASE_SEQUENCE),
            .n_records = (int32_t)load_be32(p + AT_RECORDS),
    };
    return 0;
}

static uint32_t crc_of(const uint8_t *bytes, size_t size)
{
    must(size >= BATCH_HEADER_SIZE);
    return crc32c(0, bytes + AT_ATTRIBUTES, size - AT_ATTRIBUTES);
}

bool batch_crc_is_right(const struct batch *b)
{
    return crc_of(b->bytes, b->size) == b->crc;
}

offset64 batch_last_offset(const struct batch *b)
{
    /* A file may hold any bytes here; the sum wraps instead of being undefined. */
    return (offset64)((uint64_t)b->base_offset + (uint64_t)(int64_t)b->last_offset_delta);
}

enum batch_codec batch_codec(const struct batch *b)
{
    return (enum batch_codec)(b->attributes & BATCH_CODEC_MASK);
}

int batch_validate_produced(const void *bytes, size_t size, struct batch *ret)
{
    struct batch b;
    int r = batch_parse(bytes, size, &b);

    if (r != 0) {
        return r;
    }
    if (b.size != size) {
        return BATCH_E_FORM;
    }
    if (!batch_crc_is_right(&b)) {
        return BATCH_E_CRC;
    }
    if (codec_name((int)batch_codec(&b)) == NULL) {
        return BATCH_E_CODEC;
    }
    if ((b.attributes & BATCH_CONTROL) != 0) {
        return BATCH_E_FORM;
    }
    if (b.n_records <= 0 || b.last_offset_delta != b.n_records - 1) {
        return BATCH_E_COUNT;
    }
    /* A plain batch cannot claim more offsets than it has room for. */
    if (batch_codec(&b) == CODEC_NONE
            && (size_t)b.n_records > (size - BATCH_HEADER_SIZE) / RECORD_SIZE_MIN) {
        return BATCH_E_COUNT;
    }
    *ret = b;
    return 0;
}

void batch_stamp(uint8_t *bytes, offset64 base_offset, epoch32 leader_epoch)
{
    store_be64(bytes + AT_BASE_OFFSET, (uint64_t)base_offset);
    store_be32(bytes + AT_LEADER_EPOCH, (uint32_t)leader_epoch);
}

void batch_set_append_time(uint8_t *bytes, size_t size, wall_ms now)
{
    uint16_t attributes = load_be16(bytes + AT_ATTRIBUTES);

    must(size >= BATCH_HEADER_SIZE);
    store_be16(bytes + AT_ATTRIBUTES, (uint16_t)(attributes | BATCH_LOG_APPEND_TIME));
    store_be64(bytes + AT_MAX_TIMESTAMP, (uint64_t)now);
    store_be32(bytes + AT_CRC, crc_of(bytes, size));
}

void batch_recode_header(const struct batch *from,
        enum batch_codec codec,
        wall_ms max_timestamp,
        uint8_t *bytes,
        size_t size)
{
    uint16_t attributes = (uint16_t)((from->attributes & ~BATCH_CODEC_MASK) | (int)codec);

    must(size >= BATCH_HEADER_SIZE && size <= INT32_MAX);
    memcpy(bytes, from->bytes, BATCH_HEADER_SIZE);
    store_be32(bytes + AT_LENGTH, (uint32_t)(size - BATCH_LENGTH_END));
    store_be16(bytes + AT_ATTRIBUTES, attributes);
    store_be64(bytes + AT_MAX_TIMESTAMP, (uint64_t)max_timestamp);
    store_be32(bytes + AT_CRC, crc_of(bytes, size));
}


void batch_rewrite(
        const struct batch *from, const struct batch_change *change, uint8_t *bytes, size_t size)
{
    uint16_t attributes = from->attributes;
    wall_ms base_timestamp = from->base_timestamp;

    must(size >= BATCH_HEADER_SIZE && size <= INT32_MAX);
    must_imply(change->n_records == 0, size == BATCH_HEADER_SIZE);
    if (change->has_horizon) {
        attributes |= BATCH_DELETE_HORIZON;
        base_timestamp = change->horizon;
    }
    if (change->n_records == 0) {
        attributes &= (uint16_t)~(BATCH_CODEC_MASK | BATCH_DELETE_HORIZON);
        base_timestamp = -1;
    }
    memcpy(bytes, from->bytes, BATCH_HEADER_SIZE);
    store_be32(bytes + AT_LENGTH, (uint32_t)(size - BATCH_LENGTH_END));
    store_be16(bytes + AT_ATTRIBUTES, attributes);
    store_be64(bytes + AT_BASE_TIMESTAMP, (uint64_t)base_timestamp);
    store_be64(bytes + AT_MAX_TIMESTAMP, (uint64_t)change->max_timestamp);
    store_be32(bytes + AT_RECORDS, (uint32_t)change->n_records);
    store_be32(bytes + AT_CRC, crc_of(bytes, size));
}

void batch_make_empty(uint8_t *bytes, int32_t n)
{
    must(n > 0);
    memset(bytes, 0, BATCH_HEADER_SIZE);
    batch_stamp(bytes, 0, EPOCH_NONE);
    store_be32(bytes + AT_LENGTH, BATCH_HEADER_SIZE - BATCH_LENGTH_END);
    bytes[AT_MAGIC] = BATCH_MAGIC;
    store_be32(bytes + AT_LAST_OFFSET_DELTA, (uint32_t)(n - 1));
    store_be64(bytes + AT_BASE_TIMESTAMP, (uint64_t)-1);
    store_be64(bytes + AT_MAX_TIMESTAMP, (uint64_t)-1);
    store_be64(bytes + AT_PRODUCER_ID, (uint64_t)-1);
    store_be16(bytes + AT_PRODUCER_EPOCH, (uint16_t)-1);
    store_be32(bytes + AT_BASE_SEQUENCE, (uint32_t)-1);
    store_be32(bytes + AT_CRC, crc_of(bytes, BATCH_HEADER_SIZE));
}

wall_ms batch_delete_horizon(const struct batch *b)
{
    return (b->attributes & BATCH_DELETE_HORIZON) != 0 && b->base_timestamp >= 0
                   ? b->base_timestamp
                   : -1;
}

/* --- Records ---------------------------------------------------------------------------------- */

void record_iter_init(
        struct record_iter *it, const struct batch *b, const void *records, size_t size)
{
    reader_init(&it->in, records, size);
    it->batch = b;
    it->i = 0;
    it->last_delta = -1;
}

/* A varint that counts something: 0 … INT32_MAX, or -1 for "null" where `nullable`. */
static int32_t read_count(struct reader *in, bool nullable)
{
    int64_t v = reader_varint(in);

    if (v < (nullable ? -1 : 0) || v > INT32_MAX) {
        in->failed = true;
        return 0;
    }
    return (int32_t)v;
}

/* Length and bytes; .at == NULL for null. */
static struct bytes read_bytes(struct reader *in, bool nullable)
{
    int32_t size = read_count(in, nullable);

    if (in->failed || size < 0) {
        return (struct bytes){0};
    }
    const uint8_t *at = reader_take(in, (size_t)size);
    return at != NULL ? (struct bytes){.at = at, .size = (size_t)size} : (struct bytes){0};
}

static void read_header(struct reader *in, struct record_header *ret)
{
    ret->name = read_bytes(in, false);
    ret->value = read_bytes(in, true);
}

/* Walks the headers, so that a record that was handed out is sound to its end. */
static void read_headers(struct reader *in, struct record *ret)
{
    struct record_header header;

    ret->n_headers = read_count(in, false);
    ret->headers = (struct bytes){.at = in->at, .size = reader_left(in)};
    for (int32_t i = 0; i < ret->n_headers && !in->failed; i++) {
        read_header(in, &header);
    }
}

static int decode_record(struct record_iter *it, struct reader *in, struct record *ret)
{
    const struct batch *b = it->batch;

    (void)reader_u8(in); /* attributes: Kafka uses no bit of them */
    int64_t timestamp_delta = reader_varint(in);
    int64_t offset_delta = reader_varint(in);
    ret->key = read_bytes(in, true);
    ret->value = read_bytes(in, true);
    read_headers(in, ret);
    if (in->failed || reader_left(in) != 0) {
        return BATCH_E_FORM;
    }
    /* Compaction leaves gaps, nothing makes offsets go back. */
    if (offset_delta <= it->last_delta || offset_delta > b->last_offset_delta) {
        return BATCH_E_FORM;
    }
    if (__builtin_add_overflow(b->base_offset, offset_delta, &ret->offset)) {
        return BATCH_E_FORM;
    }
    ret->timestamp = (b->attributes & BATCH_LOG_APPEND_TIME) != 0
                             ? b->max_timestamp
                             : (wall_ms)((uint64_t)b->base_timestamp + (uint64_t)timestamp_delta);
    it->last_delta = (int32_t)offset_delta;
    return 0;
}

int record_iter_next(struct record_iter *it, struct record *ret)
{
    struct record record = {0};
    struct reader body;

    if (it->i >= it->batch->n_records) {
        return it->in.failed               ? BATCH_E_FORM
               : reader_left(&it->in) == 0 ? RECORD_END
                                           : BATCH_E_COUNT;
    }
    if (!it->in.failed && reader_left(&it->in) == 0) {
        return BATCH_E_COUNT;
    }
    const uint8_t *begin = it->in.at;
    int32_t size = read_count(&it->in, false);
    const uint8_t *at = reader_take(&it->in, (size_t)size);
    if (at == NULL) {
        return BATCH_E_FORM;
    }
    reader_init(&body, at, (size_t)size);
    int r = decode_record(it, &body, &record);
    if (r != 0) {
        it->in.failed = true; /* nothing behind a broken record is believed */
        return r;
    }
    it->i++;
    record.raw = (struct bytes){.at = begin, .size = (size_t)(at + size - begin)};
    *ret = record;
    return 0;
}

int record_headers(const struct record *r, struct record_header *ret, int max)
{
    struct reader in;
    struct record_header header;
    int n = 0;

    reader_init(&in, r->headers.at, r->headers.size);
    for (; n < r->n_headers && n < max; n++) {
        read_header(&in, &header);
        if (in.failed) {
            return -1;
        }
        ret[n] = header;
    }
    return n;
}

/* --- Building --------------------------------------------------------------------------------- */

void batch_builder_reset(struct batch_builder *bb)
{
    buf_clear(&bb->records);
    bb->n_records = 0;
    bb->base_timestamp = bb->max_timestamp = 0;
}

void batch_builder_deinit(struct batch_builder *bb)
{
    buf_deinit(&bb->records);
    batch_builder_reset(bb);
}

size_t batch_record_size_max(const struct record *r, const struct record_header *headers)
{
    /* Length, attributes, timestamp delta, offset delta, key length, value length, header count. */
    size_t size = VARINT32_SIZE_MAX + 1 + VARINT64_SIZE_MAX + 4 * VARINT32_SIZE_MAX;

    size += r->key.size + r->value.size;
    for (int32_t i = 0; i < r->n_headers; i++) {
        size += 2 * VARINT32_SIZE_MAX + headers[i].name.size + headers[i].value.size;
    }
    return size;
}

static int64_t length_of(struct bytes b)
{
    must(b.size <= INT32_MAX);
    return b.at != NULL ? (int64_t)b.size : -1;
}

static size_t bytes_size(struct bytes b)
{
    return varint_size(length_of(b)) + (b.at != NULL ? b.size : 0);
}

static void write_bytes(struct buf *out, struct bytes b)
{
    buf_varint(out, length_of(b));
    if (b.at != NULL) {
        buf_append(out, b.at, b.size);
    }
}

/* A header's name is never null on the wire. */
static struct bytes not_null(struct bytes b)
{
    return b.at != NULL ? b : (struct bytes){.at = (const uint8_t *)"", .size = 0};
}

void batch_builder_add(
        struct batch_builder *bb, const struct record *r, const struct record_header *headers)
{
    must(r->n_headers >= 0);
    must(bb->n_records < INT32_MAX);
    if (bb->n_records == 0) {
        bb->base_timestamp = bb->max_timestamp = r->timestamp;
    }
    bb->max_timestamp = r->timestamp > bb->max_timestamp ? r->timestamp : bb->max_timestamp;
    /* Wraps as the reader's sum does: any two timestamps survive. */
    int64_t timestamp_delta = (int64_t)((uint64_t)r->timestamp - (uint64_t)bb->base_timestamp);

    size_t size = 1 + varint_size(timestamp_delta) + varint_size(bb->n_records) +
                  bytes_size(r->key) + bytes_size(r->value) + varint_size(r->n_headers);
    for (int32_t i = 0; i < r->n_headers; i++) {
        size += bytes_size(not_null(headers[i].name)) + bytes_size(headers[i].value);
    }
    must(size <= INT32_MAX);

    struct buf *out = &bb->records;
    buf_varint(out, (int64_t)size);
    size_t begin = out->size;
    buf_u8(out, 0);
    buf_varint(out, timestamp_delta);
    buf_varint(out, bb->n_records);
    write_bytes(out, r->key);
    write_bytes(out, r->value);
    buf_varint(out, r->n_headers);
    for (int32_t i = 0; i < r->n_headers; i++) {
        write_bytes(out, not_null(headers[i].name));
        write_bytes(out, headers[i].value);
    }
    must_imply(!out->failed, out->size - begin == size);
    bb->n_records++;
}

void batch_builder_finish(const struct batch_builder *bb,
        const struct batch_build_options *opt,
        enum batch_codec codec,
        struct bytes payload,
        struct buf *out)
{
    must(bb->n_records > 0);
    must((opt->attributes & BATCH_CODEC_MASK) == 0);
    if (codec == CODEC_NONE) {
        payload = (struct bytes){.at = bb->records.data, .size = bb->records.size};
    }
    size_t size = BATCH_HEADER_SIZE + payload.size;
    must(size <= INT32_MAX);

    uint8_t *p = buf_grow(out, size);
    if (p == NULL) {
        return; /* out->failed says so */
    }
    batch_stamp(p, 0, EPOCH_NONE);
    store_be32(p + AT_LENGTH, (uint32_t)(size - BATCH_LENGTH_END));
    p[AT_MAGIC] = BATCH_MAGIC;
    store_be16(p + AT_ATTRIBUTES, (uint16_t)(opt->attributes | codec));
    store_be32(p + AT_LAST_OFFSET_DELTA, (uint32_t)(bb->n_records - 1));
    store_be64(p + AT_BASE_TIMESTAMP, (uint64_t)bb->base_timestamp);
    store_be64(p + AT_MAX_TIMESTAMP, (uint64_t)bb->max_timestamp);
    store_be64(p + AT_PRODUCER_ID, (uint64_t)opt->producer_id);
    store_be16(p + AT_PRODUCER_EPOCH, (uint16_t)opt->producer_epoch);
    store_be32(p + AT_BASE_SEQUENCE, (uint32_t)opt->base_sequence);
    store_be32(p + AT_RECORDS, (uint32_t)bb->n_records);
    if (payload.size > 0) {
        memcpy(p + BATCH_HEADER_SIZE, payload.at, payload.size);
    }
    store_be32(p + AT_CRC, crc_of(p, size));
}
