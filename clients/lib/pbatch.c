/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/lib/pbatch.h"

#include "common/base/bytes.h"
#include "common/base/crc.h"
#include "common/base/mem.h"
#include "common/base/must.h"
#include "common/compress/compress.h"

#include <string.h>

enum {
    SPARE_MAX = 8,
    SPARE_SIZE_MAX = 2 * 1024 * 1024 + 4096,
    AT_CRC = 17, /* where the checksum stands, and from where it is taken */
    CRC_FROM = 21,
    VARINT_MAX = 10,
    VARINT32_MAX = 5,
};

/* --- Sizes ------------------------------------------------------------------------------------ */

static inline uint64_t zigzag(int64_t v)
{
    return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
}

static inline size_t vsize(int64_t v)
{
    return (size_t)(70 - __builtin_clzll(zigzag(v) | 1)) / 7;
}

static inline uint8_t *put_varint(uint8_t *p, int64_t v)
{
    uint64_t u = zigzag(v);

    while (u >= 0x80) {
        *p++ = (uint8_t)(u | 0x80);
        u >>= 7;
    }
    *p++ = (uint8_t)u;
    return p;
}

static inline uint8_t *put_bytes(uint8_t *p, const void *at, size_t size)
{
    if (size > 0) {
        memcpy(p, at, size);
    }
    return p + size;
}

static inline int64_t length_of(struct weir_bytes b)
{
    return b.at != NULL ? (int64_t)b.size : -1;
}

static inline size_t bytes_size(struct weir_bytes b)
{
    return vsize(length_of(b)) + (b.at != NULL ? b.size : 0);
}

static size_t headers_size(const struct weir_record *r)
{
    size_t size = vsize((int64_t)r->n_headers);

    for (size_t i = 0; i < r->n_headers; i++) {
        size_t name = strlen(r->headers[i].name);
        size += vsize((int64_t)name) + name + bytes_size(r->headers[i].value);
    }
    return size;
}

size_t record_size_max(const struct weir_record *r)
{
    size_t key = r->key.at != NULL ? r->key.size : 0;
    size_t value = r->value.at != NULL ? r->value.size : 0;

    return VARINT32_MAX + 1 + VARINT_MAX + 3 * VARINT32_MAX + key + value + headers_size(r);
}

size_t record_charge(size_t encoded)
{
    return encoded + sizeof(struct note);
}

/* --- Memory ----------------------------------------------------------------------------------- */

struct pbatch *pbatch_new(struct weir_client *c)
{
    struct pbatch *b = TAILQ_FIRST(&c->spare);

    if (b != NULL) {
        TAILQ_REMOVE(&c->spare, b, entry);
        c->n_spare--;
    } else {
        b = mem_new(struct pbatch);
    }
    b->append_time = -1;
    b->base_offset = OFFSET_NONE;
    (void)buf_grow(&b->bytes, BATCH_HEADER_SIZE);
    return b;
}

void pbatch_free(struct pbatch *b)
{
    must(b->n_lent == 0);
    buf_deinit(&b->bytes);
    buf_deinit(&b->packed);
    array_deinit(&b->notes);
    array_deinit(&b->seams);
    mem_free(b->detail);
    mem_free(b);
}

void pbatch_put(struct weir_client *c, struct pbatch *b)
{
    if (c->n_spare >= SPARE_MAX || b->bytes.cap > SPARE_SIZE_MAX) {
        pbatch_free(b);
        return;
    }
    must(b->n_lent == 0);
    buf_clear(&b->bytes);
    buf_deinit(&b->packed);
    array_clear(&b->notes);
    array_clear(&b->seams);
    mem_free(b->detail);
    struct pbatch kept = {.bytes = b->bytes};
    kept.notes.items = b->notes.items;
    kept.notes.cap = b->notes.cap;
    kept.seams.items = b->seams.items;
    kept.seams.cap = b->seams.cap;
    *b = kept;
    TAILQ_INSERT_HEAD(&c->spare, b, entry);
    c->n_spare++;
}

/* --- Records ---------------------------------------------------------------------------------- */

static void add_seam(
        struct pbatch *b, const struct weir_record *r, size_t at, struct sync_wait *wait)
{
    *array_push(&b->seams) = (struct seam){
            .record = (uint32_t)b->notes.n - 1,
            .at = at,
            .value = r->release != NULL ? r->value : (struct weir_bytes){0},
            .release = r->release,
            .release_ctx = r->release_ctx,
            .wait = wait,
    };
}

static void add_note(struct pbatch *b, const struct weir_record *r, wall_ms timestamp)
{
    if (b->notes.n == b->notes.cap) {
        array_reserve(&b->notes, b->notes.n + 64);
    }
    b->notes.items[b->notes.n++] = (struct note){.opaque = r->opaque, .timestamp = timestamp};
}

void pbatch_add_note(
        struct pbatch *b, const struct weir_record *r, wall_ms timestamp, struct sync_wait *wait)
{
    add_note(b, r, timestamp);
    if (r->release != NULL || wait != NULL) {
        add_seam(b, r, b->bytes.size, wait);
    }
}

static uint8_t *put_headers(uint8_t *p, const struct weir_record *r)
{
    p = put_varint(p, (int64_t)r->n_headers);
    for (size_t i = 0; i < r->n_headers; i++) {
        const struct weir_header *h = &r->headers[i];
        size_t name = strlen(h->name);
        p = put_varint(p, (int64_t)name);
        p = put_bytes(p, h->name, name);
        p = put_varint(p, length_of(h->value));
        p = put_bytes(p, h->value.at, h->value.at != NULL ? h->value.size : 0);
    }
    return p;
}

size_t pbatch_add(
        struct pbatch *b, const struct weir_record *r, wall_ms timestamp, struct sync_wait *wait)
{
    int64_t offset_delta = (int64_t)b->notes.n;
    size_t value_size = r->value.at != NULL ? r->value.size : 0;
    bool is_borrowed = r->release != NULL && value_size > 0;

    if (offset_delta == 0) {
        b->base_timestamp = b->max_timestamp = timestamp;
    }
    b->max_timestamp = timestamp > b->max_timestamp ? timestamp : b->max_timestamp;
    int64_t timestamp_delta = (int64_t)((uint64_t)timestamp - (uint64_t)b->base_timestamp);
    size_t body = 1 + vsize(timestamp_delta) + vsize(offset_delta) + bytes_size(r->key) +
                  bytes_size(r->value) + headers_size(r);
    size_t size = vsize((int64_t)body) + body;
    size_t own = is_borrowed ? size - value_size : size;

    uint8_t *begin = buf_grow(&b->bytes, own);
    uint8_t *p = put_varint(begin, (int64_t)body);
    *p++ = 0; /* attributes */
    p = put_varint(p, timestamp_delta);
    p = put_varint(p, offset_delta);
    p = put_varint(p, length_of(r->key));
    p = put_bytes(p, r->key.at, r->key.at != NULL ? r->key.size : 0);
    p = put_varint(p, length_of(r->value));
    size_t seam_at = (size_t)(p - b->bytes.data);
    p = is_borrowed ? p : put_bytes(p, r->value.at, value_size);
    p = put_headers(p, r);
    must(p == begin + own);

    add_note(b, r, timestamp);
    if (r->release != NULL || wait != NULL) {
        add_seam(b, r, seam_at, wait);
        b->borrowed_size += is_borrowed ? value_size : 0;
    }
    return size;
}

/* --- Finishing -------------------------------------------------------------------------------- */

static bool is_piece(const struct seam *s)
{
    return s->release != NULL && s->value.at != NULL && s->value.size > 0;
}

/* Calls `piece` for the encoded bytes from `from` on, in order: own bytes and borrowed values. */
static void each_piece(const struct pbatch *b,
        size_t from,
        void (*piece)(void *ctx, const void *at, size_t size),
        void *ctx)
{
    size_t at = from;

    for (size_t i = 0; i < b->seams.n; i++) {
        const struct seam *s = &b->seams.items[i];
        if (!is_piece(s)) {
            continue;
        }
        if (s->at > at) {
            piece(ctx, b->bytes.data + at, s->at - at);
            at = s->at;
        }
        piece(ctx, s->value.at, s->value.size);
    }
    if (b->bytes.size > at) {
        piece(ctx, b->bytes.data + at, b->bytes.size - at);
    }
}

static void crc_piece(void *ctx, const void *at, size_t size)
{
    uint32_t *crc = ctx;

    *crc = crc32c(*crc, at, size);
}

static void copy_piece(void *ctx, const void *at, size_t size)
{
    buf_append(ctx, at, size);
}

/* All of the header but the checksum. */
static void write_header(const struct pbatch *b, uint8_t *at)
{
    struct buf h = {0};

    buf_be64(&h, 0); /* base offset: the broker's */
    buf_be32(&h, (uint32_t)(pbatch_wire_size(b) - BATCH_LENGTH_END)); /* batch length */
    buf_be32(&h, (uint32_t)EPOCH_NONE); /* leader epoch: the broker's */
    buf_u8(&h, BATCH_MAGIC);
    buf_be32(&h, 0);                          /* checksum */
    buf_be16(&h, (uint16_t)b->codec);         /* attributes */
    buf_be32(&h, (uint32_t)(b->notes.n - 1)); /* last offset delta */
    buf_be64(&h, (uint64_t)b->base_timestamp);
    buf_be64(&h, (uint64_t)b->max_timestamp);
    buf_be64(&h, (uint64_t)b->producer_id);
    buf_be16(&h, (uint16_t)b->producer_epoch);
    buf_be32(&h, (uint32_t)b->sequence);
    buf_be32(&h, (uint32_t)b->notes.n);
    must(h.size == BATCH_HEADER_SIZE);
    memcpy(at, h.data, h.size);
    buf_deinit(&h);
}

/* The header, in the room before the records; written when it is not there or its number is another. */
static const uint8_t *header_of(struct pbatch *b)
{
    const struct seq_mark *m = &b->acc.mark;
    int64_t producer_id = m->is_set ? m->producer_id : -1;
    int16_t epoch = m->is_set ? m->epoch : -1;
    int32_t sequence = m->is_set ? m->first : -1;
    uint8_t *header = b->codec != CODEC_NONE ? b->packed.data : b->bytes.data;
    uint32_t crc = 0;

    if (b->has_header && b->producer_id == producer_id && b->producer_epoch == epoch &&
            b->sequence == sequence) {
        return header;
    }
    b->has_header = true;
    b->producer_id = producer_id;
    b->producer_epoch = epoch;
    b->sequence = sequence;
    write_header(b, header);
    if (b->codec != CODEC_NONE) {
        crc = crc32c(0, header + CRC_FROM, b->packed.size - CRC_FROM);
    } else {
        each_piece(b, CRC_FROM, crc_piece, &crc);
    }
    store_be32(header + AT_CRC, crc);
    return header;
}

/* The compressed form in b->packed. */
static int pack(struct pbatch *b, enum batch_codec codec)
{
    struct buf plain = {0};
    struct bytes in = {
            .at = b->bytes.data + BATCH_HEADER_SIZE, .size = b->bytes.size - BATCH_HEADER_SIZE};

    if (b->borrowed_size > 0) {
        buf_reserve(&plain, in.size + b->borrowed_size);
        each_piece(b, BATCH_HEADER_SIZE, copy_piece, &plain);
        in = (struct bytes){.at = plain.data, .size = plain.size};
    }
    (void)buf_grow(&b->packed, BATCH_HEADER_SIZE);
    int r = compress_bytes(codec, 0, in, &b->packed);
    buf_deinit(&plain);
    return r;
}

int pbatch_finish(struct pbatch *b, enum batch_codec codec)
{
    must(!b->is_finished);
    must(b->notes.n > 0);
    if (codec != CODEC_NONE && pack(b, codec) != 0) {
        buf_deinit(&b->packed);
        return WEIR_E_MEMORY;
    }
    /* What does not shrink goes plain: compressed it could pass the topic's max.message.bytes. */
    if (b->packed.size >= b->bytes.size + b->borrowed_size) {
        buf_deinit(&b->packed);
        codec = CODEC_NONE;
    }
    b->codec = codec;
    b->is_finished = true;
    return WEIR_OK;
}

size_t pbatch_wire_size(const struct pbatch *b)
{
    return b->packed.size > 0 ? b->packed.size : b->bytes.size + b->borrowed_size;
}

struct lending {
    struct pbatch *batch;
    struct rpc_out *out;
    void (*returned)(void *batch);
};

static void lend_piece(void *ctx, const void *at, size_t size)
{
    const struct lending *l = ctx;

    l->batch->n_lent++;
    rpc_out_borrow(l->out, (struct bytes){.at = at, .size = size}, l->returned, l->batch);
}

void pbatch_lend(struct pbatch *b, struct rpc_out *out, void (*returned)(void *batch))
{
    struct lending l = {.batch = b, .out = out, .returned = returned};

    must(b->is_finished);
    buf_append(rpc_out_buf(out), header_of(b), BATCH_HEADER_SIZE);
    if (b->packed.size > 0) {
        lend_piece(&l, b->packed.data + BATCH_HEADER_SIZE, b->packed.size - BATCH_HEADER_SIZE);
    } else {
        each_piece(b, BATCH_HEADER_SIZE, lend_piece, &l);
    }
}
