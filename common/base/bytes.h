/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Bounded reading and growing writing of bytes, both endians, varints. Thread: any. */

static inline uint16_t load_be16(const void *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof(v));
    return __builtin_bswap16(v);
}

static inline uint32_t load_be32(const void *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof(v));
    return __builtin_bswap32(v);
}

static inline uint64_t load_be64(const void *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof(v));
    return __builtin_bswap64(v);
}

static inline void store_be16(void *p, uint16_t v)
{
    v = __builtin_bswap16(v);
    memcpy(p, &v, sizeof(v));
}

static inline void store_be32(void *p, uint32_t v)
{
    v = __builtin_bswap32(v);
    memcpy(p, &v, sizeof(v));
}

static inline void store_be64(void *p, uint64_t v)
{
    v = __builtin_bswap64(v);
    memcpy(p, &v, sizeof(v));
}

static inline uint32_t load_le32(const void *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof(v));
    return v;
}

static inline uint64_t load_le64(const void *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof(v));
    return v;
}

static inline void store_le32(void *p, uint32_t v)
{
    memcpy(p, &v, sizeof(v));
}

static inline void store_le64(void *p, uint64_t v)
{
    memcpy(p, &v, sizeof(v));
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "Weir runs on little-endian machines");

/* Borrowed bytes. */
struct bytes {
    const uint8_t *at;
    size_t size;
};

/* A bounded reader. The first read past the end sets `failed`, and from then on every read gives zeros; the caller
 * checks `failed` once, at the end. */
struct reader {
    const uint8_t *at;
    const uint8_t *end;
    bool failed;
};

void reader_init(struct reader *r, const void *bytes, size_t size);
size_t reader_left(const struct reader *r);
/* The next `n` bytes in place, or NULL (and failed). */
const uint8_t *reader_take(struct reader *r, size_t n);
uint8_t reader_u8(struct reader *r);
uint16_t reader_be16(struct reader *r);
uint32_t reader_be32(struct reader *r);
uint64_t reader_be64(struct reader *r);
uint32_t reader_le32(struct reader *r);
uint64_t reader_le64(struct reader *r);
/* Base-128 unsigned (protobuf); fails beyond 10 bytes or 64 bits. */
uint64_t reader_uvarint(struct reader *r);
/* Zigzag base-128 (Kafka's record fields, protobuf's sint). */
int64_t reader_varint(struct reader *r);

/* A growing byte buffer. Zero-initialised is empty. `limit` 0 = grows until memory ends (aborts); otherwise a write
 * that would pass it sets `failed` and changes nothing. */
struct buf {
    uint8_t *data;
    size_t size, cap, limit;
    bool failed;
};

void buf_deinit(struct buf *b);
void buf_clear(struct buf *b);
void buf_reserve(struct buf *b, size_t more);
/* Room for `n` more bytes, counted in `size`, not initialised; NULL when failed. */
uint8_t *buf_grow(struct buf *b, size_t n);
void buf_append(struct buf *b, const void *bytes, size_t n);
void buf_append_str(struct buf *b, const char *s);
void buf_append_format(struct buf *b, const char *format, ...)
        __attribute__((format(printf, 2, 3)));
void buf_u8(struct buf *b, uint8_t v);
void buf_be16(struct buf *b, uint16_t v);
void buf_be32(struct buf *b, uint32_t v);
void buf_be64(struct buf *b, uint64_t v);
void buf_le32(struct buf *b, uint32_t v);
void buf_le64(struct buf *b, uint64_t v);
void buf_uvarint(struct buf *b, uint64_t v);
void buf_varint(struct buf *b, int64_t v);
/* Ends the text with a NUL that is not counted in `size`; returns it as text. */
const char *buf_str(struct buf *b);

/* Bytes that `v` takes as uvarint / zigzag varint. */
size_t uvarint_size(uint64_t v);
size_t varint_size(int64_t v);
