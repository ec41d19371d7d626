/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/producers.h"

#include "common/base/crc.h"
#include "common/base/mem.h"
#include "common/base/must.h"

/* [PID-31] 8 bytes of name, version be32, end be64, how many be32; of each id be64, epoch be16,
 * number of batches u8, seen be64, last offset be64, and of each batch first and last sequence
 * be32, base be64, timestamp be64; CRC-32C be32 of all before. */

enum {
    VERSION = 1,
    HEAD_SIZE = 8 + 4 + 8 + 4,
    PRODUCER_SIZE = 8 + 2 + 1 + 8 + 8,
    CRC_SIZE = 4
};

static const uint8_t name[8] = {'w', 'e', 'i', 'r', 'p', 'r', 'o', 'd'};

void producers_encode(const struct producers *p, struct buf *out)
{
    size_t from = out->size;

    must(p->known.n <= UINT32_MAX);
    buf_append(out, name, sizeof(name));
    buf_be32(out, VERSION);
    buf_be64(out, (uint64_t)p->end);
    buf_be32(out, (uint32_t)p->known.n);
    for (size_t i = 0; i < p->known.n; i++) {
        const struct producer *one = p->known.items[i];
        buf_be64(out, (uint64_t)one->id);
        buf_be16(out, (uint16_t)one->epoch);
        buf_u8(out, one->n);
        buf_be64(out, (uint64_t)one->seen);
        buf_be64(out, (uint64_t)one->last_offset);
        for (size_t k = 0; k < one->n; k++) {
            buf_be32(out, (uint32_t)one->batches[k].first);
            buf_be32(out, (uint32_t)one->batches[k].last);
            buf_be64(out, (uint64_t)one->batches[k].base);
            buf_be64(out, (uint64_t)one->batches[k].timestamp);
        }
    }
    buf_be32(out, crc32c(0, out->data + from, out->size - from));
}

/* NULL: no producer can be so. */
static struct producer *read_producer(struct reader *in)
{
    struct producer *one = mem_new(struct producer);

    one->id = (int64_t)reader_be64(in);
    one->epoch = (int16_t)reader_be16(in);
    one->n = reader_u8(in);
    one->seen = (wall_ms)reader_be64(in);
    one->last_offset = (offset64)reader_be64(in);
    if (one->n > PRODUCERS_BATCHES) {
        return mem_free(one);
    }
    for (size_t k = 0; k < one->n; k++) {
        one->batches[k].first = (int32_t)reader_be32(in);
        one->batches[k].last = (int32_t)reader_be32(in);
        one->batches[k].base = (offset64)reader_be64(in);
        one->batches[k].timestamp = (wall_ms)reader_be64(in);
    }
    return one;
}

/* What the checksum vouches for; written by us, or by who forged a checksum. */
static int read_all(struct reader *in, struct producers *p)
{
    p->end = (offset64)reader_be64(in);
    uint32_t n = reader_be32(in);

    if (n > reader_left(in) / PRODUCER_SIZE) {
        return PRODUCERS_E_DAMAGED;
    }
    array_reserve(&p->known, (size_t)n);
    for (uint32_t i = 0; i < n; i++) {
        struct producer *one = read_producer(in);
        if (one == NULL) {
            return PRODUCERS_E_DAMAGED;
        }
        *array_push(&p->known) = one;
    }
    return in->failed || reader_left(in) > 0 || !producers_are_sound(p) ? PRODUCERS_E_DAMAGED : 0;
}

int producers_decode(struct bytes b, struct producers *ret)
{
    struct producers p = {0};
    struct reader in;

    must(ret->known.n == 0);
    if (b.size < HEAD_SIZE + CRC_SIZE || memcmp(b.at, name, sizeof(name)) != 0 ||
            load_be32(b.at + b.size - CRC_SIZE) != crc32c(0, b.at, b.size - CRC_SIZE)) {
        return PRODUCERS_E_DAMAGED;
    }
    if (load_be32(b.at + sizeof(name)) != VERSION) {
        return PRODUCERS_E_VERSION;
    }
    reader_init(&in, b.at + sizeof(name) + 4, b.size - sizeof(name) - 4 - CRC_SIZE);
    int r = read_all(&in, &p);
    if (r != 0) {
        producers_deinit(&p);
        return r;
    }
    *ret = p;
    return 0;
}
