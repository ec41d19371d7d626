/* SPDX-License-Identifier: Apache-2.0 */
#include "common/wire/scan.h"

bool scan_next(struct reader *r, struct scan_field *ret)
{
    if (reader_left(r) == 0) {
        return false;
    }
    uint64_t tag = reader_uvarint(r);
    if (tag > UINT32_MAX || tag >> 3 == 0) {
        r->failed = true;
        return false;
    }
    struct scan_field f = {.number = (uint32_t)tag >> 3};
    switch (tag & 7) {
    case WT_VARINT:
        f.type = WT_VARINT;
        f.value = reader_uvarint(r);
        break;
    case WT_FIXED64:
        f.type = WT_FIXED64;
        f.value = reader_le64(r);
        break;
    case WT_BYTES: {
        uint64_t size = reader_uvarint(r);
        f.type = WT_BYTES;
        f.bytes.at = reader_take(r, size);
        f.bytes.size = f.bytes.at != NULL ? size : 0;
        break;
    }
    case WT_FIXED32:
        f.type = WT_FIXED32;
        f.value = reader_le32(r);
        break;
    default: /* Groups, which proto3 does not have, and what is no wire type. */
        r->failed = true;
        break;
    }
    if (r->failed) {
        return false;
    }
    *ret = f;
    return true;
}

/* The wire type of one value of the field, not packed. */
static enum wire_type type_of(const ProtobufCFieldDescriptor *f)
{
    switch (f->type) {
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_FLOAT: return WT_FIXED32;
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE: return WT_FIXED64;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE: return WT_BYTES;
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_BOOL:
    case PROTOBUF_C_TYPE_ENUM: break;
    }
    return WT_VARINT;
}

static bool value_is_wellformed(const ProtobufCFieldDescriptor *f, const struct scan_field *in)
{
    enum wire_type type = type_of(f);

    if (in->type != type) {
        return in->type == WT_BYTES && f->label == PROTOBUF_C_LABEL_REPEATED; /* packed */
    }
    if (f->type == PROTOBUF_C_TYPE_STRING) {
        return in->bytes.size == 0 || memchr(in->bytes.at, 0, in->bytes.size) == NULL;
    }
    return f->type != PROTOBUF_C_TYPE_MESSAGE || scan_is_wellformed(f->descriptor, in->bytes);
}

/* Depth is that of the .proto, which has no message inside itself. */
bool scan_is_wellformed(const ProtobufCMessageDescriptor *desc, struct bytes body)
{
    struct reader r;
    struct scan_field in;
    /* Message fields that are not repeated, by index; a oneof counts as its first member. */
    uint64_t seen = 0;

    reader_init(&r, body.at, body.size);
    while (scan_next(&r, &in)) {
        const ProtobufCFieldDescriptor *f =
                protobuf_c_message_descriptor_get_field(desc, in.number);
        if (f == NULL) {
            continue;
        }
        if (!value_is_wellformed(f, &in)) {
            return false;
        }
        if (f->label != PROTOBUF_C_LABEL_REPEATED && f->type == PROTOBUF_C_TYPE_MESSAGE) {
            const ProtobufCFieldDescriptor *first = f;
            while (first > desc->fields && (first->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0 &&
                    first[-1].quantifier_offset == f->quantifier_offset &&
                    (first[-1].flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0) {
                first--;
            }
            uint64_t bit = 1ULL << ((first - desc->fields) & 63);
            if ((seen & bit) != 0) {
                return false;
            }
            seen |= bit;
        }
    }
    return !r.failed;
}
