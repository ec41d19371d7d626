/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "controller/core/assign.h"

/* Which replicas move where, so that the load is even again or a broker becomes empty. Pure and
 * deterministic; each function changes `replicas` and the loads together. `brokers` is sorted by id
 * and holds who may get replicas and who has some; `n_replicas` and `n_leaders` (first replicas)
 * count what is planned. */
struct balance_broker {
    struct assign_broker load;
    bool is_closed; /* gets nothing new: it is not up, or is to become empty */
};

/* What may still be moved of one partition: its replicas, as they are planned. */
struct balance_partition {
    struct broker_set replicas;
    bool is_fixed; /* counted, and left alone */
};

/* [CTL-61] Replicas and first replicas so even that no move of a single one makes them more even: each
 * goes from a broker to one that has at least two fewer, never to a rack that has more of that
 * partition; a replica that shares its rack goes to a rack that has none of them. The order of the
 * replicas is changed before anything is moved for leaders. */
void balance_even(struct balance_broker *brokers,
        size_t n,
        struct balance_partition *partitions,
        size_t n_partitions);

/* [CTL-62] Replaces the replicas on closed brokers that `leaving` names, each in its place, by the least loaded
 * broker of the rack that has fewest of them. False when there are too few brokers. */
bool balance_leave(struct balance_broker *brokers,
        size_t n,
        struct balance_partition *p,
        const struct broker_set *leaving);

/* [CTL-63] So many replicas: more where placement would put them, fewer from the broker that shares its rack, then the
 * most loaded one, never the first. `keep` (in sync) go last. False when there are too few brokers. */
bool balance_resize(struct balance_broker *brokers,
        size_t n,
        struct balance_partition *p,
        int n_replicas,
        const struct broker_set *keep);

/* Counts the partition's replicas. */
void balance_count(struct balance_broker *brokers, size_t n, const struct balance_partition *p);
