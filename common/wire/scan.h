/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/bytes.h"

#include <protobuf-c/protobuf-c.h>

/* Walking protobuf's encoding by hand. For the .c files of this folder only. Thread: any. */

enum wire_type {
    WT_VARINT = 0,
    WT_FIXED64 = 1,
    WT_BYTES = 2,
    WT_FIXED32 = 5
};

/* One field as it stands in the bytes. */
struct scan_field {
    uint32_t number;
    enum wire_type type;
    uint64_t value;     /* VARINT, FIXED64, FIXED32 */
    struct bytes bytes; /* BYTES: borrowed */
};

/* The next field. False at the end of the reader, or when what follows is no field (then
 * r->failed). */
bool scan_next(struct reader *r, struct scan_field *ret);

/* What protobuf-c does not look at or could be led astray by: a text with a NUL (it would be cut
 * short), a field in another wire type than its own, a message field given twice where it is not
 * repeated (protobuf merges them), two members of one oneof, a tag 0. Allocates nothing. */
bool scan_is_wellformed(const ProtobufCMessageDescriptor *desc, struct bytes body);

/* Values of fields as protobuf reads them: wider varints are cut. */
static inline int32_t scan_sint32(uint64_t v)
{
    uint32_t u = (uint32_t)v;

    return (int32_t)((u >> 1) ^ (0u - (u & 1)));
}

static inline int64_t scan_sint64(uint64_t v)
{
    return (int64_t)((v >> 1) ^ (0u - (v & 1)));
}

/* --- Writing: a field that is zero is not written, as proto3 has it --- */

static inline uint32_t scan_tag(uint32_t number, enum wire_type type)
{
    return number << 3 | (uint32_t)type;
}

static inline void put_uint(struct buf *b, uint32_t number, uint64_t v)
{
    if (v != 0) {
        buf_uvarint(b, scan_tag(number, WT_VARINT));
        buf_uvarint(b, v);
    }
}

static inline void put_sint(struct buf *b, uint32_t number, int64_t v)
{
    if (v != 0) {
        buf_uvarint(b, scan_tag(number, WT_VARINT));
        buf_varint(b, v);
    }
}

/* All of the field but its bytes, which must follow. */
static inline void put_bytes_front(struct buf *b, uint32_t number, size_t size)
{
    if (size > 0) {
        buf_uvarint(b, scan_tag(number, WT_BYTES));
        buf_uvarint(b, size);
    }
}

static inline void put_bytes(struct buf *b, uint32_t number, const void *at, size_t size)
{
    if (size > 0) {
        put_bytes_front(b, number, size);
        buf_append(b, at, size);
    }
}

static inline size_t size_uint(uint32_t number, uint64_t v)
{
    return v != 0 ? uvarint_size(scan_tag(number, WT_VARINT)) + uvarint_size(v) : 0;
}

static inline size_t size_sint(uint32_t number, int64_t v)
{
    return v != 0 ? uvarint_size(scan_tag(number, WT_VARINT)) + varint_size(v) : 0;
}

static inline size_t size_bytes(uint32_t number, size_t size)
{
    return size > 0 ? uvarint_size(scan_tag(number, WT_BYTES)) + uvarint_size(size) + size : 0;
}
