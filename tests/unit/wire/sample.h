/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/wire/messages.h"

#include <protobuf-c/protobuf-c.h>

/* Messages in which every field is set and carries its own field number, so that one walk over
 * protobuf's description finds a field that is not encoded, or encoded as another:
 *   numbers    |value| % 100 == field number, each value of a message its own
 *   text       ends with "-<field number>"
 *   bytes      the last byte is the field number
 *   bool, enum not zero */

/* Fails the case at the first field of `m` (and of the first message of each list) that is not as
 * said above. */
void sample_check(const ProtobufCMessage *m);

/* Makers of such values for field number `id`; what they point to lives until the process ends. */
uint32_t sample_u32(uint32_t id);
uint64_t sample_u64(uint32_t id);
int32_t sample_i32(uint32_t id); /* negative */
int64_t sample_i64(uint32_t id); /* negative */
int32_t sample_count(uint32_t id);
uint16_t sample_port(uint32_t id);
const char *sample_text(uint32_t id);
struct uuid sample_uuid(uint32_t id);
struct bytes sample_bytes(uint32_t id, size_t size);
struct broker_set sample_set(uint32_t id, uint8_t n);

/* One kind of message, as the tests see it. */
struct sample_kind {
    const char *name;
    const ProtobufCMessageDescriptor *desc;
    void (*encode)(struct buf *out); /* the sample */
    int (*decode)(struct bytes body,
            struct arena *a,
            struct buf *again); /* and, when given, encodes the result */
};

extern const struct sample_kind sample_kinds[];
extern const size_t n_sample_kinds;

/* A record of that kind with every field set. */
struct meta_record sample_record(enum meta_kind kind);
