/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/wire/snapshot.h"
#include "controller/shell/batch_ring.h"

/* Snapshots on their way to brokers, each built once and shared by everybody who needs one at
 * that time.
 *
 * [ZK-46] At most SNAPSHOT_POOL_MAX are held, each for as long as somebody pushes it: so a
 * hundred brokers behind the ring cost one copy, and those that stand still hold no more than
 * that many. Thread: control. */
enum {
    SNAPSHOT_POOL_MAX = 2
};

struct snapshot_pool {
    struct snapshot_share *items[SNAPSHOT_POOL_MAX];
};

/* One that the ring goes on from, or a new one of the image; NULL = all places are taken by
 * older ones: ask again. Goes back with snapshot_pool_give(). */
const struct snapshot *snapshot_pool_take(
        struct snapshot_pool *p, const struct image *image, const struct batch_ring *ring);
void snapshot_pool_give(struct snapshot_pool *p, const struct snapshot *s);
size_t snapshot_pool_n(const struct snapshot_pool *p);
