/* SPDX-License-Identifier: Apache-2.0 */
#include "common/domain/partition.h"

#include <string.h>

static int set_index(const struct broker_set *s, broker_id id)
{
    for (int i = 0; i < s->n; i++) {
        if (s->at[i] == id) {
            return i;
        }
    }
    return -1;
}

bool broker_set_has(const struct broker_set *s, broker_id id)
{
    return set_index(s, id) >= 0;
}

bool broker_set_add(struct broker_set *s, broker_id id)
{
    if (broker_set_has(s, id)) {
        return true;
    }
    if (s->n >= REPLICAS_MAX) {
        return false;
    }
    s->at[s->n++] = id;
    return true;
}

void broker_set_remove(struct broker_set *s, broker_id id)
{
    int i = set_index(s, id);

    if (i < 0) {
        return;
    }
    size_t after = (size_t)(s->n - i - 1);
    memmove(&s->at[i], &s->at[i + 1], after * sizeof(s->at[0]));
    s->n--;
    s->at[s->n] = 0; /* Equal sets of one order are equal bytes. */
}

static bool is_subset(const struct broker_set *a, const struct broker_set *of)
{
    for (int i = 0; i < a->n; i++) {
        if (!broker_set_has(of, a->at[i])) {
            return false;
        }
    }
    return true;
}

static bool is_disjoint(const struct broker_set *a, const struct broker_set *b)
{
    for (int i = 0; i < a->n; i++) {
        if (broker_set_has(b, a->at[i])) {
            return false;
        }
    }
    return true;
}

bool broker_set_equal(const struct broker_set *a, const struct broker_set *b)
{
    return a->n == b->n && is_subset(a, b) && is_subset(b, a);
}

bool broker_set_equal_ordered(const struct broker_set *a, const struct broker_set *b)
{
    return a->n == b->n && memcmp(a->at, b->at, a->n * sizeof(a->at[0])) == 0;
}

/* A set that a peer or a file made: within its bounds, real ids, each once. */
static bool is_well_formed(const struct broker_set *s)
{
    if (s->n > REPLICAS_MAX) {
        return false;
    }
    for (int i = 0; i < s->n; i++) {
        if (s->at[i] < 0 || set_index(s, s->at[i]) != i) {
            return false;
        }
    }
    return true;
}

static bool sets_are_valid(const struct partition_state *p)
{
    const struct broker_set *all[] = {
            &p->replicas, &p->adding, &p->removing, &p->isr, &p->elr, &p->lk};

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (!is_well_formed(all[i])) {
            return false;
        }
    }
    return p->replicas.n >= 1 && is_subset(&p->adding, &p->replicas) &&
           is_subset(&p->removing, &p->replicas) && is_disjoint(&p->adding, &p->removing) &&
           is_subset(&p->isr, &p->replicas) && is_subset(&p->elr, &p->replicas) &&
           is_disjoint(&p->isr, &p->elr) && is_disjoint(&p->lk, &p->isr) &&
           is_disjoint(&p->lk, &p->elr);
}

bool partition_is_moving(const struct partition_state *p)
{
    return p->adding.n + p->removing.n > 0;
}

static struct broker_set replicas_without(
        const struct partition_state *p, const struct broker_set *less)
{
    struct broker_set rest = p->replicas;

    for (int i = 0; i < less->n; i++) {
        broker_set_remove(&rest, less->at[i]);
    }
    return rest;
}

struct broker_set partition_target(const struct partition_state *p)
{
    return replicas_without(p, &p->removing);
}

struct broker_set partition_origin(const struct partition_state *p)
{
    return replicas_without(p, &p->adding);
}

bool partition_is_filling(const struct partition_state *p, broker_id replica)
{
    return broker_set_has(&p->adding, replica) && !broker_set_has(&p->isr, replica);
}

bool partition_state_is_valid(const struct partition_state *p)
{
    if (uuid_is_zero(&p->topic_id) || p->partition < 0 || !sets_are_valid(p)) {
        return false;
    }
    if (p->leader != BROKER_NONE && !broker_set_has(&p->isr, p->leader)) {
        return false; /* [REP-2] The leader is in the ISR. */
    }
    if (p->leader_epoch < 0 || p->partition_epoch < 0 || p->unclean_epoch < EPOCH_NONE ||
            p->unclean_epoch > p->leader_epoch) {
        return false;
    }
    if (p->min_isr < 1 || p->min_isr > p->replicas.n) {
        return false;
    }
    if (p->isr.n >= p->min_isr && (p->elr.n > 0 || p->lk.n > 0)) {
        return false; /* [REP-4] A full ISR leaves nobody else who may be elected. */
    }
    if (p->recovering && p->is_durable) {
        return false; /* [REP-57] Its log is not the one that was committed. */
    }
    if ((p->recovering && p->isr.n > 1) || (p->operation != 0 && !partition_is_moving(p))) {
        return false;
    }
    /* [REP-5] The only replica stays in the ISR, whatever happens to its broker. */
    return p->replicas.n > 1 || p->isr.n == 1;
}
