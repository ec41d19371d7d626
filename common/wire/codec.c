/* SPDX-License-Identifier: Apache-2.0 */
#include "common/wire/codec.h"

#include "common/wire/scan.h"

size_t wire_arena_ceiling(size_t body_size)
{
    size_t counted = body_size < WIRE_BODY_MAX ? body_size : WIRE_BODY_MAX;

    return counted * WIRE_ARENA_FACTOR + WIRE_ARENA_BASE;
}

/* --- Encoding --- */

void enc_deinit(struct enc *e)
{
    arena_deinit(&e->arena);
}

static void *enc_alloc(struct enc *e, size_t n, size_t item_size)
{
    size_t size = 0;

    must(!__builtin_mul_overflow(n, item_size, &size));
    void *p = arena_alloc(&e->arena, size);
    must(p != NULL); /* Our own message: as mem_alloc(). */
    return p;
}

void *enc_list(struct enc *e, const ProtobufCMessageDescriptor *d, size_t n)
{
    if (n == 0) {
        return NULL;
    }
    ProtobufCMessage **list = enc_alloc(e, n, sizeof(void *));
    size_t stride = (d->sizeof_message + 15) & ~(size_t)15;
    uint8_t *messages = enc_alloc(e, n, stride);
    for (size_t i = 0; i < n; i++) {
        list[i] = (void *)(messages + i * stride);
        protobuf_c_message_init(d, list[i]);
    }
    return list;
}

ProtobufCBinaryData *enc_uuids(struct enc *e, const struct uuid *u, size_t n)
{
    if (n == 0) {
        return NULL;
    }
    ProtobufCBinaryData *list = enc_alloc(e, n, sizeof(*list));
    for (size_t i = 0; i < n; i++) {
        list[i] = enc_uuid(&u[i]);
    }
    return list;
}

void enc_finish(const ProtobufCMessage *m, struct buf *out)
{
    size_t size = protobuf_c_message_get_packed_size(m);
    uint8_t *at = size > 0 ? buf_grow(out, size) : NULL;

    if (at != NULL) {
        must(protobuf_c_message_pack(m, at) == size);
    }
}

/* --- Decoding --- */

/* Of what protobuf-c unpacks, legal messages take up to 31 times their encoded size (the
 * partitions of a metadata answer: 5 bytes each, 152 for protobuf-c); a list of empty messages
 * would take 100 times. */
enum {
    SCRATCH_FACTOR = 32
};

/* protobuf-c's allocator over the scratch arena. */
static void *unpack_alloc(void *ctx, size_t size)
{
    struct dec *d = ctx;
    void *p = arena_alloc(&d->scratch, size);

    if (p == NULL) {
        d->error = WIRE_E_MEMORY;
    }
    return p;
}

static void unpack_free(void *ctx, void *p)
{
    (void)ctx;
    (void)p; /* The arena ends at once. */
}

void *dec_start(
        struct dec *d, const ProtobufCMessageDescriptor *desc, struct bytes body, size_t size_max)
{
    ProtobufCAllocator allocator = {
            .alloc = unpack_alloc, .free = unpack_free, .allocator_data = d};

    if (body.size > size_max) {
        d->error = WIRE_E_LIMIT;
        return NULL;
    }
    if (!scan_is_wellformed(desc, body)) {
        d->error = WIRE_E_FORM;
        return NULL;
    }
    arena_init(&d->scratch, body.size * SCRATCH_FACTOR + WIRE_ARENA_BASE);
    void *m = protobuf_c_message_unpack(desc, &allocator, body.size, body.at);
    if (m == NULL && d->error == 0) {
        d->error = WIRE_E_FORM;
    }
    return m;
}

void *dec_list(struct dec *d, size_t n, size_t item_size)
{
    size_t size = 0;

    if (n == 0) {
        return NULL;
    }
    if (!__builtin_mul_overflow(n, item_size, &size)) {
        void *p = arena_alloc(d->arena, size);
        if (p != NULL) {
            return p;
        }
    }
    d->error = d->error != 0 ? d->error : WIRE_E_MEMORY;
    return NULL;
}

void dec_deinit(struct dec *d)
{
    arena_deinit(&d->scratch);
}

static void refuse(struct dec *d)
{
    d->error = d->error != 0 ? d->error : WIRE_E_FORM;
}

const char *dec_text(struct dec *d, const char *s)
{
    size_t size = strlen(s);

    if (size == 0) {
        return "";
    }
    char *copy = dec_list(d, size + 1, 1);
    return copy != NULL ? memcpy(copy, s, size) : "";
}

const char **dec_texts(struct dec *d, char *const *texts, size_t n)
{
    const char **list = dec_list(d, n, sizeof(*list));

    for (size_t i = 0; list != NULL && i < n; i++) {
        list[i] = dec_text(d, texts[i]);
    }
    return list;
}

struct bytes dec_bytes(struct dec *d, const ProtobufCBinaryData *b)
{
    uint8_t *copy = dec_list(d, b->len, 1);

    return copy != NULL ? (struct bytes){.at = memcpy(copy, b->data, b->len), .size = b->len}
                        : (struct bytes){0};
}

struct uuid dec_uuid(struct dec *d, const ProtobufCBinaryData *b)
{
    struct uuid u = {0};

    if (b->len == sizeof(u.bytes)) {
        memcpy(u.bytes, b->data, sizeof(u.bytes));
    } else if (b->len != 0) {
        refuse(d);
    }
    return u;
}

struct uuid *dec_uuids(struct dec *d, const ProtobufCBinaryData *b, size_t n)
{
    struct uuid *list = dec_list(d, n, sizeof(*list));

    for (size_t i = 0; list != NULL && i < n; i++) {
        list[i] = dec_uuid(d, &b[i]);
    }
    return list;
}

struct broker_set dec_set(struct dec *d, const int32_t *ids, size_t n)
{
    struct broker_set set = {0};

    if (n > REPLICAS_MAX) {
        refuse(d);
        return set;
    }
    set.n = (uint8_t)n;
    for (size_t i = 0; i < n; i++) {
        set.at[i] = ids[i];
    }
    return set;
}

int32_t dec_count(struct dec *d, uint32_t v)
{
    if (v > INT32_MAX) {
        refuse(d);
        return 0;
    }
    return (int32_t)v;
}

uint16_t dec_port(struct dec *d, uint32_t v)
{
    if (v > UINT16_MAX) {
        refuse(d);
        return 0;
    }
    return (uint16_t)v;
}

int dec_enum(struct dec *d, int v, int first, int last)
{
    if (v < first || v > last) {
        refuse(d);
        return first;
    }
    return v;
}
