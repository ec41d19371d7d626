/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/bytes.h"

#include <stdbool.h>

/* The newest batches of the metadata log, byte for byte as they stand in ZooKeeper, for pushes to brokers. Consecutive
 * by index; the oldest leave when the ring passes its size. Thread: control. */
struct batch_ring;

struct ring_batch {
    uint64_t index;
    uint64_t prev_crc, crc; /* chain checksum before and at `index` */
    struct bytes bytes;     /* a serialized Batch */
};

struct batch_ring *batch_ring_new(size_t bytes_max);
struct batch_ring *batch_ring_free(struct batch_ring *r);
/* Copies `bytes`. `index` follows the newest, or the ring is empty. */
void batch_ring_push(struct batch_ring *r, const struct ring_batch *b);
void batch_ring_clear(struct batch_ring *r);
/* The batch of that index, or NULL; valid until the next push or clear. */
const struct ring_batch *batch_ring_get(const struct batch_ring *r, uint64_t index);
/* Whether a broker that stands at `index` with chain checksum `crc` can go on from the ring: its next batch is here and
 * follows from that checksum, or there is none to send because `index` is the newest and the checksum is its own. */
bool batch_ring_follows(const struct batch_ring *r, uint64_t index, uint64_t crc);
/* Whether the chain here had another checksum at `index`; false also when the ring does not go back so far. */
bool batch_ring_contradicts(const struct batch_ring *r, uint64_t index, uint64_t crc);
