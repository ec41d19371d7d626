/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/core/partitioner.h"

#include "common/base/must.h"

int32_t murmur2(struct bytes key)
{
    const uint32_t m = 0x5bd1e995;
    uint32_t h = 0x9747b28c ^ (uint32_t)key.size;
    const uint8_t *p = key.at;
    size_t left = key.size;

    for (; left >= 4; left -= 4, p += 4) {
        uint32_t k = load_le32(p) * m;
        k ^= k >> 24;
        h = h * m ^ k * m;
    }
    switch (left) {
    case 3: h ^= (uint32_t)p[2] << 16; __attribute__((fallthrough));
    case 2: h ^= (uint32_t)p[1] << 8; __attribute__((fallthrough));
    case 1: h = (h ^ p[0]) * m; break;
    default: break;
    }
    h ^= h >> 13;
    h *= m;
    h ^= h >> 15;
    return (int32_t)h;
}

uint32_t crc32_ieee(struct bytes key)
{
    /* One entry for each value of four bits. */
    static const uint32_t table[16] = {0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190,
            0x6b6b51f4, 0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
            0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
    uint32_t crc = ~(uint32_t)0;

    for (size_t i = 0; i < key.size; i++) {
        crc ^= key.at[i];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}

void partitioner_init(struct partitioner *p, enum partitioner_kind kind, uint64_t seed)
{
    p->kind = kind;
    prng_init(&p->prng, seed);
    p->last = -1;
}

static int32_t choose_sticky(struct partitioner *p,
        int32_t n_partitions,
        bool (*keeps)(void *ctx, int32_t partition),
        void *ctx)
{
    if (p->last >= 0 && p->last < n_partitions && keeps(ctx, p->last)) {
        return p->last;
    }
    if (n_partitions == 1) {
        p->last = 0;
    } else if (p->last < 0 || p->last >= n_partitions) {
        p->last = (int32_t)prng_below(&p->prng, (uint64_t)n_partitions);
    } else { /* any but the last */
        int32_t step = 1 + (int32_t)prng_below(&p->prng, (uint64_t)n_partitions - 1);
        p->last = (p->last + step) % n_partitions;
    }
    return p->last;
}

int32_t partitioner_choose(struct partitioner *p,
        struct bytes key,
        int32_t n_partitions,
        bool (*keeps)(void *ctx, int32_t partition),
        void *ctx)
{
    must(n_partitions > 0);
    switch (p->kind) {
    case PARTITIONER_MURMUR2:
        if (key.at != NULL) {
            return (murmur2(key) & INT32_MAX) % n_partitions;
        }
        break;
    case PARTITIONER_CRC32:
        if (key.at != NULL) {
            return (int32_t)(crc32_ieee(key) % (uint32_t)n_partitions);
        }
        break;
    case PARTITIONER_STICKY: break;
    case PARTITIONER_ROUND_ROBIN:
        p->last = p->last < INT32_MAX ? (p->last + 1) % n_partitions : 0;
        return p->last;
    }
    return choose_sticky(p, n_partitions, keeps, ctx);
}
