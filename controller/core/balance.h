/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "controller/core/assign.h"

/* Which replicas move where, so that the load is even again or a broker becomes empty. Pure and
 * deterministic; each function changes `replicas` and the loads together. `brokers` is sorted by id
 * and holds who may get replicas and who has some; `n_replicas`, `n_leaders` (first replicas) and
 * `bytes` count what is planned. */
struct balance_broker {
    struct assign_broker load;
    int64_t bytes;
    bool is_closed; /* gets nothing new: it is not up, or is to become empty */
};

/* What may still be moved of one partition: its replicas, as they are planned. */
struct balance_partition {
    struct broker_set replicas;
    int64_t bytes; /* of each of them; 0 also when it is not known */
    bool is_fixed; /* counted, and left alone */
};

enum {
    BALANCE_BYTES_PERCENT = 10,      /* a broker may have so much more than the mean of those that are up, */
    BALANCE_BYTES_LEAST = 1 << 20,   /* and less than that is not worth a move */
};

/* [CTL-61] Replicas and first replicas so even that no move of a single one makes them more even: each
 * goes from a broker to one that has at least two fewer, never to a rack that has more of that
 * partition; a replica that shares its rack goes to a rack that has none of them. The order of the
 * replicas is changed before anything is moved for leaders. Of those that may go, the ones go that
 * take what the broker has above the mean. `by_bytes`: then [CTL-80] bytes as far as that needs no
 * broker to have more replicas. */
void balance_even(struct balance_broker *brokers,
        size_t n,
        struct balance_partition *partitions,
        size_t n_partitions,
        bool by_bytes);
/* [CTL-80] Whether no broker that is up has too much above the mean. */
bool balance_bytes_are_even(const struct balance_broker *brokers, size_t n);

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
