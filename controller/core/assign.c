/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/core/assign.h"

#include "common/base/cover.h"
#include "common/base/must.h"

#include <stdio.h>
#include <string.h>

static struct assign_broker *find(const struct assign_broker *brokers, size_t n, broker_id id)
{
    size_t from = 0, to = n;

    while (from < to) {
        size_t mid = from + (to - from) / 2;
        if (brokers[mid].id < id) {
            from = mid + 1;
        } else {
            to = mid;
        }
    }
    return from < n && brokers[from].id == id ? (struct assign_broker *)(uintptr_t)&brokers[from]
                                              : NULL;
}

/* Replicas of `chosen` on the rack of `b`. */
static int in_rack_of(const struct assign_broker *brokers,
        size_t n,
        const struct broker_set *chosen,
        const struct assign_broker *b)
{
    int count = 0;

    if (b->rack[0] == '\0') {
        return 0;
    }
    for (int i = 0; i < chosen->n; i++) {
        const struct assign_broker *c = find(brokers, n, chosen->at[i]);
        must(c != NULL);
        count += strcmp(c->rack, b->rack) == 0;
    }
    return count;
}

static bool is_less_loaded(const struct assign_broker *a, const struct assign_broker *b)
{
    if (a->n_replicas != b->n_replicas) {
        return a->n_replicas < b->n_replicas;
    }
    if (a->n_leaders != b->n_leaders) {
        return a->n_leaders < b->n_leaders;
    }
    return a->id < b->id;
}

/* [CTL-9] The next replica beside `chosen`. */
static broker_id next_replica(
        const struct assign_broker *brokers, size_t n, const struct broker_set *chosen)
{
    const struct assign_broker *best = NULL;
    int best_in_rack = 0;

    COVER(CTL, 9);

    for (size_t i = 0; i < n; i++) {
        const struct assign_broker *b = &brokers[i];
        if (broker_set_has(chosen, b->id)) {
            continue;
        }
        int in_rack = in_rack_of(brokers, n, chosen, b);
        if (best == NULL || in_rack < best_in_rack ||
                (in_rack == best_in_rack && is_less_loaded(b, best))) {
            best = b;
            best_in_rack = in_rack;
        }
    }
    must(best != NULL);
    return best->id;
}

/* [CTL-9] The member that leads fewest, of these the one with fewest replicas. */
static broker_id leader_of(
        const struct assign_broker *brokers, size_t n, const struct broker_set *chosen)
{
    const struct assign_broker *best = NULL;

    for (int i = 0; i < chosen->n; i++) {
        const struct assign_broker *b = find(brokers, n, chosen->at[i]);
        must(b != NULL);
        if (best == NULL || b->n_leaders < best->n_leaders ||
                (b->n_leaders == best->n_leaders && is_less_loaded(b, best))) {
            best = b;
        }
    }
    must(best != NULL);
    return best->id;
}

struct broker_set assign_place(
        struct assign_broker *brokers, size_t n, int n_replicas, uint32_t turn)
{
    struct broker_set chosen = {0}, order = {0};

    must(n_replicas >= 1 && n_replicas <= REPLICAS_MAX && (size_t)n_replicas <= n);
    while (chosen.n < n_replicas) {
        (void)broker_set_add(&chosen, next_replica(brokers, n, &chosen));
    }
    broker_id leader = leader_of(brokers, n, &chosen);

    (void)broker_set_add(&order, leader);
    broker_set_remove(&chosen, leader);
    for (uint32_t i = 0; i < chosen.n; i++) {
        (void)broker_set_add(&order, chosen.at[(i + turn / n) % chosen.n]);
    }
    assign_count(brokers, n, &order, leader);
    return order;
}

void assign_count(struct assign_broker *brokers,
        size_t n,
        const struct broker_set *replicas,
        broker_id leader)
{
    for (int i = 0; i < replicas->n; i++) {
        struct assign_broker *b = find(brokers, n, replicas->at[i]);
        if (b != NULL) {
            b->n_replicas++;
            b->n_leaders += replicas->at[i] == leader;
        }
    }
}

static size_t n_racks(const struct assign_broker *brokers, size_t n, const struct broker_set *set)
{
    size_t count = 0;

    for (int i = 0; i < set->n; i++) {
        const struct assign_broker *b = find(brokers, n, set->at[i]);
        struct broker_set before = {0};
        for (int j = 0; j < i; j++) {
            (void)broker_set_add(&before, set->at[j]);
        }
        count += b != NULL && b->rack[0] != '\0' && in_rack_of(brokers, n, &before, b) == 0;
    }
    return count;
}

void assign_explain(const struct assign_broker *brokers,
        size_t n,
        const struct broker_set *replicas,
        char *ret_text,
        size_t size)
{
    must(replicas->n > 0);
    const struct assign_broker *leader = find(brokers, n, replicas->at[0]);
    size_t racks = n_racks(brokers, n, replicas);

    must(leader != NULL && leader->n_replicas > 0);
    if (replicas->n == 1) {
        (void)snprintf(ret_text, size, "broker %d held the fewest replicas (%u) of %zu brokers",
                leader->id, leader->n_replicas - 1, n);
    } else if (racks > 1) {
        (void)snprintf(ret_text, size,
                "the least loaded brokers over %zu racks; broker %d led the fewest of them (%u)",
                racks, leader->id, leader->n_leaders - 1);
    } else {
        (void)snprintf(ret_text, size,
                "the least loaded of %zu brokers; broker %d led the fewest of them (%u)", n,
                leader->id, leader->n_leaders - 1);
    }
}
