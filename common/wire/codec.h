/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/cleanup.h"
#include "common/base/must.h"
#include "common/wire/messages.h"

#include <protobuf-c/protobuf-c.h>

/* Between the plain structs of messages.h and protobuf-c's. For the .c files of this folder only.
 * Thread: any. */

/* --- Encoding --- */

/* Memory that lives while one message is encoded; zero-initialised is empty and allocates
 * nothing. */
struct enc {
    struct arena arena;
};

void enc_deinit(struct enc *e);
/* n initialised messages of that kind, as protobuf-c wants a repeated field; NULL when n is 0. */
void *enc_list(struct enc *e, const ProtobufCMessageDescriptor *d, size_t n);
/* Uuids as a repeated bytes field; they are borrowed. */
ProtobufCBinaryData *enc_uuids(struct enc *e, const struct uuid *u, size_t n);
/* Appends the message. */
void enc_finish(const ProtobufCMessage *m, struct buf *out);

/* protobuf-c's structs are not const-correct; packing changes nothing that they point to. */
static inline void *enc_borrow(const void *p)
{
    return (void *)(uintptr_t)p;
}

static inline ProtobufCBinaryData enc_bytes(struct bytes b)
{
    return (ProtobufCBinaryData){.len = b.size, .data = enc_borrow(b.at)};
}

/* Zero is encoded as absent. */
static inline ProtobufCBinaryData enc_uuid(const struct uuid *u)
{
    return (ProtobufCBinaryData){
            .len = uuid_is_zero(u) ? 0 : sizeof(u->bytes), .data = enc_borrow(u->bytes)};
}

/* For fields that are uint32 on the wire and a count or a number here, where they are never
 * negative. */
static inline uint32_t enc_count(int32_t v)
{
    must(v >= 0);
    return (uint32_t)v;
}

/* --- Decoding --- */

/* protobuf-c unpacks into `scratch`, which ends with the decoder; what the caller keeps is copied
 * into its arena, where it takes less than half. `error` is the first WIRE_E_* met; later
 * conversions give harmless values. */
struct dec {
    struct arena *arena;
    struct arena scratch;
    int error;
};

/* Unpacks; NULL and d->error when that fails. */
void *dec_start(
        struct dec *d, const ProtobufCMessageDescriptor *desc, struct bytes body, size_t size_max);
void dec_deinit(struct dec *d);
const char *dec_text(struct dec *d, const char *s);
const char **dec_texts(struct dec *d, char *const *texts, size_t n);
struct bytes dec_bytes(struct dec *d, const ProtobufCBinaryData *b);
/* n zeroed items in the arena; NULL when n is 0, or at the ceiling. */
void *dec_list(struct dec *d, size_t n, size_t item_size);
struct uuid dec_uuid(struct dec *d, const ProtobufCBinaryData *b);
struct uuid *dec_uuids(struct dec *d, const ProtobufCBinaryData *b, size_t n);
struct broker_set dec_set(struct dec *d, const int32_t *ids, size_t n);
/* A uint32 of the wire as a number that is never negative here. */
int32_t dec_count(struct dec *d, uint32_t v);
uint16_t dec_port(struct dec *d, uint32_t v);
/* An enum of the wire, refused outside first … last. */
int dec_enum(struct dec *d, int v, int first, int last);

/* The whole life of a decoder: `convert` fills `m` from the unpacked message `pb`. */
#define DEC_BODY(Pb, desc_, size_max_, M, convert_)                                                \
    do {                                                                                           \
        CLEANUP(dec_deinit) struct dec d = {.arena = a};                                           \
        const Pb *pb = dec_start(&d, &(desc_), body, (size_max_));                                 \
        if (pb == NULL) {                                                                          \
            return d.error;                                                                        \
        }                                                                                          \
        M m = {0};                                                                                 \
        convert_(&d, pb, &m);                                                                      \
        if (d.error != 0) {                                                                        \
            return d.error;                                                                        \
        }                                                                                          \
        *ret = m;                                                                                  \
        return 0;                                                                                  \
    } while (0)

/* Defines wire_decode_<name>() from `static void from_<name>(struct dec *, const Pb *, struct
 * msg_<name> *)`. */
#define DEFINE_DECODE(name, Pb, desc_)                                                             \
    int wire_decode_##name(struct bytes body, struct arena *a, struct msg_##name *ret)             \
    {                                                                                              \
        DEC_BODY(Pb, desc_, WIRE_BODY_MAX, struct msg_##name, from_##name);                        \
    }

/* --- Parts of records that messages have too --- */

/* protobuf-c's side is an array of pointers to Weir__V1__Endpoint. */
void *enc_endpoints(struct enc *e, const struct endpoint *endpoints, size_t n);
struct endpoint *dec_endpoints(struct dec *d, void *endpoints, size_t n);
/* protobuf-c's side is one Weir__V1__PartitionState, with or without content; its sets are
 * borrowed. */
void enc_partition_state(const struct partition_state *p, void *ret_pb);
void dec_partition_state(struct dec *d, const void *from, struct partition_state *p);
