/* SPDX-License-Identifier: Apache-2.0 */
#include "common/wire/frame.h"

#include "common/base/must.h"
#include "common/wire/scan.h"

/* The field numbers of Header in header.proto. */
enum {
    API = 1,
    CORRELATION = 2,
    ERROR = 3,
    DETAIL = 4,
    THROTTLE_MS = 5,
    TIMEOUT_MS = 6
};

static bool take_detail(const struct scan_field *f, char *detail)
{
    if (f->type != WT_BYTES || f->bytes.size > FRAME_DETAIL_MAX) {
        return false;
    }
    if (f->bytes.size > 0) {
        if (memchr(f->bytes.at, 0, f->bytes.size) != NULL) {
            return false;
        }
        memcpy(detail, f->bytes.at, f->bytes.size);
    }
    detail[f->bytes.size] = '\0';
    return true;
}

static bool take_field(const struct scan_field *f, char *detail, struct frame_header *h)
{
    if (f->number > TIMEOUT_MS) {
        return true; /* A newer peer's field. */
    }
    if (f->number == DETAIL) {
        return take_detail(f, detail);
    }
    if (f->type != WT_VARINT) {
        return false;
    }
    uint32_t v = (uint32_t)f->value;
    switch (f->number) {
    case API: h->api = v; break;
    case CORRELATION: h->correlation = v; break;
    case ERROR: h->error = scan_sint32(v); break;
    case THROTTLE_MS: h->throttle_ms = v; break;
    case TIMEOUT_MS: h->timeout_ms = v; break;
    default: must_not_reach("fields 1 to 6 are named above");
    }
    return true;
}

int frame_split(const uint8_t *bytes,
        size_t size,
        char *detail,
        struct frame_header *ret_header,
        struct bytes *ret_body)
{
    struct reader in;
    struct reader fields;
    struct scan_field f;
    struct frame_header h = {.detail = detail};

    reader_init(&in, bytes, size);
    uint64_t header_size = reader_uvarint(&in);
    if (in.failed || header_size > reader_left(&in)) {
        return FRAME_E_LENGTH;
    }
    if (header_size > FRAME_HEADER_MAX) {
        return FRAME_E_HEADER;
    }
    reader_init(&fields, reader_take(&in, header_size), header_size);
    detail[0] = '\0';
    while (scan_next(&fields, &f)) {
        if (!take_field(&f, detail, &h)) {
            return FRAME_E_HEADER;
        }
    }
    if (fields.failed) {
        return FRAME_E_HEADER;
    }
    *ret_header = h;
    *ret_body = (struct bytes){.at = in.at, .size = reader_left(&in)};
    return 0;
}

/* At most FRAME_DETAIL_MAX bytes, not ending inside a UTF-8 character. */
static size_t detail_size(const char *detail)
{
    size_t n = detail != NULL ? strnlen(detail, FRAME_DETAIL_MAX + 1) : 0;

    if (n > FRAME_DETAIL_MAX) {
        n = FRAME_DETAIL_MAX;
        while (n > 0 && ((unsigned char)detail[n] & 0xc0) == 0x80) {
            n--;
        }
    }
    return n;
}

void frame_begin(struct buf *out, const struct frame_header *h, size_t body_size)
{
    size_t detail = detail_size(h->detail);
    size_t header = size_uint(API, h->api) + size_uint(CORRELATION, h->correlation) +
                    size_sint(ERROR, h->error) + size_bytes(DETAIL, detail) +
                    size_uint(THROTTLE_MS, h->throttle_ms) + size_uint(TIMEOUT_MS, h->timeout_ms);
    size_t front = uvarint_size(header) + header;

    must(body_size <= UINT32_MAX - front);
    buf_be32(out, (uint32_t)(front + body_size));
    buf_uvarint(out, header);
    put_uint(out, API, h->api);
    put_uint(out, CORRELATION, h->correlation);
    put_sint(out, ERROR, h->error);
    put_bytes(out, DETAIL, h->detail, detail);
    put_uint(out, THROTTLE_MS, h->throttle_ms);
    put_uint(out, TIMEOUT_MS, h->timeout_ms);
}
