/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/bytes.h"

#include "common/base/mem.h"
#include "common/base/must.h"

#include <stdarg.h>
#include <stdio.h>

void reader_init(struct reader *r, const void *bytes, size_t size)
{
    r->at = bytes;
    r->end = size > 0 ? r->at + size : r->at;
    r->failed = false;
}

size_t reader_left(const struct reader *r)
{
    return r->failed ? 0 : (size_t)(r->end - r->at);
}

const uint8_t *reader_take(struct reader *r, size_t n)
{
    const uint8_t *at = r->at;

    if (n > reader_left(r)) {
        r->failed = true;
        return NULL;
    }
    r->at += n;
    return at;
}

uint8_t reader_u8(struct reader *r)
{
    const uint8_t *p = reader_take(r, 1);
    return p != NULL ? *p : 0;
}

uint16_t reader_be16(struct reader *r)
{
    const uint8_t *p = reader_take(r, 2);
    return p != NULL ? load_be16(p) : 0;
}

uint32_t reader_be32(struct reader *r)
{
    const uint8_t *p = reader_take(r, 4);
    return p != NULL ? load_be32(p) : 0;
}

uint64_t reader_be64(struct reader *r)
{
    const uint8_t *p = reader_take(r, 8);
    return p != NULL ? load_be64(p) : 0;
}

uint32_t reader_le32(struct reader *r)
{
    const uint8_t *p = reader_take(r, 4);
    return p != NULL ? load_le32(p) : 0;
}

uint64_t reader_le64(struct reader *r)
{
    const uint8_t *p = reader_take(r, 8);
    return p != NULL ? load_le64(p) : 0;
}

uint64_t reader_uvarint(struct reader *r)
{
    uint64_t v = 0;

    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = reader_u8(r);
        if (r->failed) {
            return 0;
        }
        if (shift == 63 && byte > 1) {
            break;
        }
        v |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0) {
            return v;
        }
    }
    r->failed = true;
    return 0;
}

int64_t reader_varint(struct reader *r)
{
    uint64_t v = reader_uvarint(r);
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

void buf_deinit(struct buf *b)
{
    b->data = mem_free(b->data);
    b->size = b->cap = 0;
}

void buf_clear(struct buf *b)
{
    b->size = 0;
    b->failed = false;
}

void buf_reserve(struct buf *b, size_t more)
{
    size_t want = 0;

    must(!__builtin_add_overflow(b->size, more, &want));
    if (want > b->cap) {
        size_t cap = b->cap * 2 > want ? b->cap * 2 : want;
        b->data = mem_resize(b->data, cap < 64 ? 64 : cap, 1);
        b->cap = cap < 64 ? 64 : cap;
    }
}

uint8_t *buf_grow(struct buf *b, size_t n)
{
    if (b->failed || (b->limit > 0 && (n > b->limit || b->size > b->limit - n))) {
        b->failed = true;
        return NULL;
    }
    buf_reserve(b, n);
    b->size += n;
    return b->data + b->size - n;
}

void buf_append(struct buf *b, const void *bytes, size_t n)
{
    if (n == 0) {
        return; /* An empty buffer has no address to add 0 to. */
    }
    uint8_t *at = buf_grow(b, n);
    if (at != NULL) {
        memcpy(at, bytes, n);
    }
}

void buf_append_str(struct buf *b, const char *s)
{
    buf_append(b, s, strlen(s));
}

void buf_append_format(struct buf *b, const char *format, ...)
{
    va_list args;
    va_list again;

    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    must(n >= 0);
    uint8_t *at = buf_grow(b, (size_t)n + 1); /* vsnprintf ends with a NUL */
    if (at != NULL) {
        (void)vsnprintf((char *)at, (size_t)n + 1, format, again);
        b->size--;
    }
    va_end(again);
    va_end(args);
}

void buf_u8(struct buf *b, uint8_t v)
{
    buf_append(b, &v, 1);
}

void buf_be16(struct buf *b, uint16_t v)
{
    v = __builtin_bswap16(v);
    buf_append(b, &v, sizeof(v));
}

void buf_be32(struct buf *b, uint32_t v)
{
    v = __builtin_bswap32(v);
    buf_append(b, &v, sizeof(v));
}

void buf_be64(struct buf *b, uint64_t v)
{
    v = __builtin_bswap64(v);
    buf_append(b, &v, sizeof(v));
}

void buf_le32(struct buf *b, uint32_t v)
{
    buf_append(b, &v, sizeof(v));
}

void buf_le64(struct buf *b, uint64_t v)
{
    buf_append(b, &v, sizeof(v));
}

void buf_uvarint(struct buf *b, uint64_t v)
{
    uint8_t bytes[10];
    size_t n = 0;

    while (v >= 0x80) {
        bytes[n++] = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    bytes[n++] = (uint8_t)v;
    buf_append(b, bytes, n);
}

static uint64_t zigzag(int64_t v)
{
    return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
}

void buf_varint(struct buf *b, int64_t v)
{
    buf_uvarint(b, zigzag(v));
}

const char *buf_str(struct buf *b)
{
    buf_reserve(b, 1);
    b->data[b->size] = '\0';
    return (const char *)b->data;
}

size_t uvarint_size(uint64_t v)
{
    return v == 0 ? 1 : (size_t)(70 - __builtin_clzll(v)) / 7;
}

size_t varint_size(int64_t v)
{
    return uvarint_size(zigzag(v));
}
