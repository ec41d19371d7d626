/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/bytes.h"
#include "common/base/prng.h"

#include <stdbool.h>
#include <stdint.h>

/* Which partition a record goes to. Pure. Thread: owner. */

enum partitioner_kind {
    PARTITIONER_MURMUR2 = 0, /* by key as Kafka's Java clients; sticky without key */
    PARTITIONER_CRC32,       /* by key as librdkafka's; sticky without key */
    PARTITIONER_STICKY,      /* keys are not looked at */
    PARTITIONER_ROUND_ROBIN, /* keys are not looked at */
};

/* One per topic. */
struct partitioner {
    enum partitioner_kind kind;
    struct prng prng;
    int32_t last; /* what was chosen without a key; -1 = nothing yet */
};

void partitioner_init(struct partitioner *p, enum partitioner_kind kind, uint64_t seed);
/* 0 … n_partitions - 1. `keeps` says whether the partition chosen last still gathers a batch that
 * the record can join (sticky stays with it as long as it does); it is asked only then. */
int32_t partitioner_choose(struct partitioner *p,
        struct bytes key,
        int32_t n_partitions,
        bool (*keeps)(void *ctx, int32_t partition),
        void *ctx);

/* Kafka's variant of MurmurHash2 (32 bits, seed 0x9747b28c). */
int32_t murmur2(struct bytes key);
/* IEEE 802.3, as zlib's crc32(). */
uint32_t crc32_ieee(struct bytes key);
