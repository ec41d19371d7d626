/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/domain/partition.h"

#include <stddef.h>

/* Where new replicas go. Pure and deterministic: the same loads give the same places. */
struct assign_broker {
    broker_id id;
    const char *rack; /* "" = none: counts as a rack of its own */
    uint32_t n_replicas, n_leaders;
};

/* Chooses `n_replicas` of the brokers for one partition and adds it to their loads.
 *
 * [CTL-9] Each next replica goes to the rack that has fewest of this partition's replicas, there
 * to the broker with the fewest replicas, then with the fewest leaders, then with the lowest id.
 * The one of them that leads fewest partitions comes first and leads; the order of the others
 * rotates with `turn` (the partition's number), so that a dead leader's load is shared.
 *
 * `brokers` is sorted by id; 1 <= n_replicas <= n, at most REPLICAS_MAX. */
struct broker_set assign_place(
        struct assign_broker *brokers, size_t n, int n_replicas, uint32_t turn);

/* Counts a replica set that was decided elsewhere; `leader` BROKER_NONE = nobody leads. Unknown
 * ids are skipped. */
void assign_count(struct assign_broker *brokers,
        size_t n,
        const struct broker_set *replicas,
        broker_id leader);

/* Why assign_place() chose these, as a sentence; `brokers` as they are after it. At most `size`
 * bytes with NUL. */
void assign_explain(const struct assign_broker *brokers,
        size_t n,
        const struct broker_set *replicas,
        char *ret_text,
        size_t size);
