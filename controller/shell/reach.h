/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/array.h"
#include "common/domain/image.h"
#include "common/net/resolve.h"

/* Whom this controller reaches: dials the address of every registered broker that controllers use, and counts who
 * accepts. It tells nothing about their health: a process that hangs accepts connections too. [ZK-26] Thread: control. */
struct reach;

struct reach_result {
    ARRAY(broker_id) reached, missed; /* sorted by id */
};

/* `fn` runs once, within `timeout` for the look-ups and the dials together, never inside this call. Brokers that do not
 * have the listener are missed. `result` is borrowed. */
struct reach *reach_start(struct loop *loop,
        struct resolver *resolver,
        const struct image *image,
        const char *listener,
        wtime timeout,
        void (*fn)(void *ctx, const struct reach_result *result),
        void *ctx);
/* Before `fn` ran; it will then not run. Takes NULL. */
struct reach *reach_cancel(struct reach *r);
