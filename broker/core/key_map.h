/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/err.h"
#include "common/domain/ids.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The newest offset of each key, in memory of a fixed size: open addressing, of a key only 128 bits of hash. Two keys
 * with one hash would count as one key, and records of one of them be lost: the hash must be one whose collisions
 * nobody can make and nobody meets (10^9 keys: one chance in 10^21). The caller hashes. Pure. Owner: one thread. */
struct key_hash {
    uint64_t a, b;
};

struct key_slot {
    struct key_hash hash;
    int64_t offset; /* one more than it is; 0 = a free slot */
};

struct key_map {
    struct key_slot *slots;
    size_t n_slots, n, n_max;
};

enum {
    KEY_SLOT_SIZE = sizeof(struct key_slot)
};

/* Room for `n_slots` keys at most, of which `load_ppm` millionths are used. Negative: -ENOMEM. */
MUST_CHECK int key_map_init(struct key_map *m, size_t n_slots, uint32_t load_ppm);
void key_map_deinit(struct key_map *m);
/* How many keys surely fit yet. */
size_t key_map_room(const struct key_map *m);
/* The key was seen at `offset`; the larger offset stays. There must be room, or the key be there. */
void key_map_put(struct key_map *m, const struct key_hash *hash, offset64 offset);
/* OFFSET_NONE: the key is not there. */
offset64 key_map_get(const struct key_map *m, const struct key_hash *hash);
