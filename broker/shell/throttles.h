/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/wtime.h"

#include <stdbool.h>
#include <stdint.h>

/* weir.reassignment.bytes.per.second: what this broker may receive, and what it may send, of replicas that a reassignment is
 * filling ([THR-1]). Two buckets (broker/core/throttle.h) for all loops. Thread: any. */
struct throttles;

enum throttles_way {
    THROTTLES_IN, /* as a follower */
    THROTTLES_OUT /* as a leader */
};

struct throttles *throttles_new(int64_t rate);
/* Takes NULL. Thread: main. */
struct throttles *throttles_free(struct throttles *t);
/* False: it is the same. Else whoever waits is to look again. */
bool throttles_set_rate(struct throttles *t, int64_t rate, wtime now);
/* As throttle_room(). */
int64_t throttles_room(struct throttles *t, enum throttles_way way, wtime now);
/* Somebody found no room: when to look again. */
wtime throttles_hold(struct throttles *t, enum throttles_way way, wtime now);
void throttles_took(struct throttles *t, enum throttles_way way, int64_t bytes, wtime now);
