/* SPDX-License-Identifier: Apache-2.0 */
#include "common/wire/meta_image.h"

#include "common/base/crc.h"
#include "common/base/must.h"
#include "common/domain/image.h"
#include "common/wire/messages.h"
#include "common/wire/scan.h"
#include "common/wire/snapshot.h"
#include "common/wire/walk.h"

/* The field numbers in state.proto. */
enum {
    CLUSTER_ID = 1,
    FORMAT = 2,
    CTL_EPOCH = 3,
    INDEX = 4,
    LOG_CRC = 5,
    LAST_SEQ = 6,
    CHUNKS = 7,
    LAST_BATCH = 8,
    CRC = 9,
    WRITTEN = 10,
    BROKER = 11
};

enum {
    TAIL_SIZE = 1 + 8 /* the tag and value of field 9 */
};

const char *wire_meta_image_text(int fault)
{
    switch ((enum meta_image_fault)fault) {
    case META_IMAGE_E_EMPTY: return "it is empty";
    case META_IMAGE_E_LARGE: return "it is larger than any image of metadata (256 MiB)";
    case META_IMAGE_E_TORN:
        return "it does not end with its checksum: it was cut off, or is no image of metadata";
    case META_IMAGE_E_CRC: return "its checksum is wrong: bytes of it have changed";
    case META_IMAGE_E_FORMAT:
        return "it has a format that this version does not know: use the version that wrote it";
    case META_IMAGE_E_FORM: return "its checksum is right, but it is no image of metadata";
    case META_IMAGE_E_VALUES: return "it names no cluster or no index, or has no content";
    case META_IMAGE_E_MEMORY: return "there is not enough memory to read it";
    case META_IMAGE_E_CHUNK:
        return "its records do not decode or contradict each other, though its checksum is right";
    case META_IMAGE_E_KIND:
        return "it has a kind of record that this version does not know: a newer feature level is "
               "in force; use that version";
    case META_IMAGE_E_BATCH: return "the batch in it is not the last one of its metadata";
    case META_IMAGE_E_EPOCH:
        return "it says that it never heard of the controller that its own records name";
    }
    return "it cannot be read";
}

/* --- Encoding --- */

static void put_fixed64(struct buf *b, uint32_t number, uint64_t v)
{
    buf_uvarint(b, scan_tag(number, WT_FIXED64));
    buf_le64(b, v);
}

void wire_encode_meta_image(const struct msg_meta_image *m, struct buf *out)
{
    size_t begin = out->size;
    size_t size = 256 + m->last_batch.size;

    for (size_t i = 0; i < m->n_chunks; i++) {
        size += m->chunks[i].size + 16;
    }
    buf_reserve(out, size);
    if (!uuid_is_zero(&m->cluster_id)) {
        put_bytes(out, CLUSTER_ID, m->cluster_id.bytes, sizeof(m->cluster_id.bytes));
    }
    put_uint(out, FORMAT, m->format);
    put_uint(out, CTL_EPOCH, m->ctl_epoch);
    put_uint(out, INDEX, m->index);
    if (m->log_crc64 != 0) {
        put_fixed64(out, LOG_CRC, m->log_crc64);
    }
    put_uint(out, LAST_SEQ, m->last_seq);
    for (size_t i = 0; i < m->n_chunks; i++) { /* an empty one counts, too */
        buf_uvarint(out, scan_tag(CHUNKS, WT_BYTES));
        buf_uvarint(out, m->chunks[i].size);
        if (m->chunks[i].size > 0) {
            buf_append(out, m->chunks[i].at, m->chunks[i].size);
        }
    }
    put_bytes(out, LAST_BATCH, m->last_batch.at, m->last_batch.size);
    put_sint(out, WRITTEN, m->written);
    put_sint(out, BROKER, m->broker);
    put_fixed64(out, CRC, crc64(0, out->data + begin, out->size - begin));
}

void wire_encode_meta_image_of(
        const struct snapshot *s, const struct msg_meta_image *like, struct buf *out)
{
    struct msg_meta_image m = *like;
    ARRAY(struct bytes) chunks = {0};

    for (size_t i = 0; i < s->chunks.n; i++) {
        *array_push(&chunks) =
                (struct bytes){.at = s->chunks.items[i].data, .size = s->chunks.items[i].size};
    }
    m.format = META_IMAGE_FORMAT;
    m.index = s->at.index;
    m.log_crc64 = s->at.crc;
    m.last_seq = s->at.last_seq;
    m.chunks = chunks.items;
    m.n_chunks = chunks.n;
    wire_encode_meta_image(&m, out);
    array_deinit(&chunks);
}

/* --- Decoding --- */

static bool take_chunk(struct bytes message, struct arena *a, void *item, int *ret_error)
{
    (void)a;
    (void)ret_error; /* preset to WIRE_E_FORM */
    *(struct bytes *)item = message;
    return message.size <= SNAPSHOT_CHUNK_MAX;
}

static bool take_u64(const struct scan_field *f, enum wire_type type, uint64_t *ret)
{
    *ret = f->value;
    return f->type == type;
}

static bool take_field(const struct scan_field *f, void *ctx)
{
    struct msg_meta_image *m = ctx;
    uint64_t v = 0;
    bool fits = true;

    switch (f->number) {
    case CLUSTER_ID: return walk_uuid(f, &m->cluster_id);
    case FORMAT:
        fits = take_u64(f, WT_VARINT, &v) && v <= UINT32_MAX;
        m->format = (uint32_t)v;
        return fits;
    case CTL_EPOCH: return take_u64(f, WT_VARINT, &m->ctl_epoch);
    case INDEX: return take_u64(f, WT_VARINT, &m->index);
    case LOG_CRC: return take_u64(f, WT_FIXED64, &m->log_crc64);
    case LAST_SEQ: return take_u64(f, WT_VARINT, &m->last_seq);
    case LAST_BATCH: return walk_bytes(f, &m->last_batch);
    case WRITTEN: return walk_sint64(f, &m->written);
    case BROKER: return walk_sint32(f, &m->broker);
    case CRC: return false; /* it stands at the end, once */
    default: return true;   /* a newer version's field */
    }
}

static int judge_values(const struct msg_meta_image *m)
{
    if (m->format != META_IMAGE_FORMAT) {
        return META_IMAGE_E_FORMAT;
    }
    if (uuid_is_zero(&m->cluster_id) || m->index == 0 || m->n_chunks == 0) {
        return META_IMAGE_E_VALUES;
    }
    return m->n_chunks > META_IMAGE_CHUNKS_MAX || m->last_batch.size > META_IMAGE_BATCH_MAX ||
                           m->broker < BROKER_NONE
                   ? META_IMAGE_E_FORM
                   : 0;
}

/* [RBD-2] The checksum comes first: nothing else of a damaged file is believed. */
int wire_decode_meta_image(struct bytes file, struct arena *a, struct msg_meta_image *ret)
{
    struct msg_meta_image m = {0};
    struct walk w = {.list_number = CHUNKS,
            .item_size = sizeof(struct bytes),
            .take = take_chunk,
            .other = take_field,
            .ctx = &m};
    struct bytes body = {.at = file.at, .size = file.size - TAIL_SIZE};
    void *chunks = NULL;

    if (file.size == 0) {
        return META_IMAGE_E_EMPTY;
    }
    if (file.size > META_IMAGE_MAX) {
        return META_IMAGE_E_LARGE;
    }
    if (file.size < TAIL_SIZE || file.at[body.size] != scan_tag(CRC, WT_FIXED64)) {
        return META_IMAGE_E_TORN;
    }
    if (load_le64(file.at + body.size + 1) != crc64(0, body.at, body.size)) {
        return META_IMAGE_E_CRC;
    }
    int r = walk_list(&w, body, a, &chunks, &m.n_chunks);
    if (r != 0) {
        return r == WIRE_E_MEMORY ? META_IMAGE_E_MEMORY : META_IMAGE_E_FORM;
    }
    m.chunks = chunks;
    r = judge_values(&m);
    if (r == 0) {
        *ret = m;
    }
    return r;
}

static bool batch_is_right(const struct msg_meta_image *m)
{
    struct msg_batch b = {0};
    struct arena a;

    if (m->last_batch.size == 0) {
        return true;
    }
    arena_init(&a, wire_arena_ceiling(m->last_batch.size));
    bool is_right = wire_decode_batch(m->last_batch, &a, &b) == 0 && b.index == m->index &&
                    b.crc64 == m->log_crc64 && msg_batch_crc(&b) == b.crc64;
    arena_deinit(&a);
    return is_right;
}

int wire_load_meta_image(const struct msg_meta_image *m, struct image **ret)
{
    struct image *image = image_new();
    int fault = 0;

    for (size_t i = 0; i < m->n_chunks && fault == 0; i++) {
        int r = snapshot_apply(image, m->index, m->chunks[i]);
        fault = r == 0                   ? 0
                : r == SNAPSHOT_E_BROKEN ? META_IMAGE_E_CHUNK
                                         : META_IMAGE_E_KIND;
    }
    if (fault == 0 && !batch_is_right(m)) {
        fault = META_IMAGE_E_BATCH;
    }
    if (fault == 0 && m->ctl_epoch < image_ctl_epoch(image)) {
        fault = META_IMAGE_E_EPOCH;
    }
    if (fault != 0) {
        (void)image_free(image);
        return fault;
    }
    image_set_position(image,
            (struct image_position){
                    .index = m->index, .crc = m->log_crc64, .last_seq = m->last_seq});
    *ret = image;
    return 0;
}

int64_t wire_meta_image_broker_epoch(const struct msg_meta_image *m, broker_id id)
{
    int64_t epoch = BROKER_EPOCH_NONE;
    bool is_over = false;

    for (size_t i = 0; i < m->n_chunks && !is_over; i++) {
        struct msg_record_list list = {0};
        struct arena a;
        arena_init(&a, wire_arena_ceiling(m->chunks[i].size));
        is_over = wire_decode_record_list(m->chunks[i], &a, &list) != 0;
        for (size_t k = 0; k < list.n_records && !is_over; k++) {
            const struct meta_record *r = &list.records[k];
            if (r->kind == META_REGISTER_BROKER && r->register_broker.id == id) {
                epoch = r->register_broker.epoch;
            }
            is_over = r->kind == META_CREATE_TOPIC;
        }
        arena_deinit(&a);
    }
    return epoch;
}
