/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/core/partition_change.h"

#include "common/base/cover.h"
#include "common/base/must.h"
#include "controller/core/elect.h"

static void set_add_all(struct broker_set *s, const struct broker_set *more)
{
    for (int i = 0; i < more->n; i++) {
        (void)broker_set_add(s, more->at[i]); /* Full: only of the last known can be too many. */
    }
}

static void set_remove_all(struct broker_set *s, const struct broker_set *less)
{
    for (int i = 0; i < less->n; i++) {
        broker_set_remove(s, less->at[i]);
    }
}

static void set_keep(struct broker_set *s, const struct broker_set *of)
{
    const struct broker_set all = *s;

    for (int i = 0; i < all.n; i++) {
        if (!broker_set_has(of, all.at[i])) {
            broker_set_remove(s, all.at[i]);
        }
    }
}

static int n_common(const struct broker_set *a, const struct broker_set *b)
{
    int n = 0;

    for (int i = 0; i < a->n; i++) {
        n += broker_set_has(b, a->at[i]);
    }
    return n;
}

static void empty_when_full(struct partition_state *p)
{
    if (p->isr.n >= p->min_isr) {
        p->elr = p->lk = (struct broker_set){0};
    }
}

/* [REP-4] */
static void fill_elr(struct partition_state *next,
        const struct partition_state *p,
        const struct partition_want *want)
{
    struct broker_set candidates = p->isr;

    set_add_all(&candidates, &p->elr);
    set_keep(&candidates, &next->replicas);
    COVER_IF(next->isr.n < next->min_isr, REP, 4);
    next->elr = candidates;
    set_remove_all(&next->elr, &next->isr);
    set_remove_all(&next->elr, &want->disqualified);
    next->lk = candidates;
    set_add_all(&next->lk, &p->lk);
    set_keep(&next->lk, &next->replicas);
    set_remove_all(&next->lk, &next->isr);
    set_remove_all(&next->lk, &next->elr);
    empty_when_full(next);
}

/* [REP-5] */
static void keep_the_only_replica(struct partition_state *next,
        const struct partition_state *p,
        const struct partition_want *want)
{
    if (next->replicas.n == 1) {
        broker_id only = next->replicas.at[0];
        bool may_lack = !broker_set_has(&next->isr, only) && !broker_set_has(&p->isr, only) &&
                        !broker_set_has(&p->elr, only);
        next->isr = next->replicas;
        next->recovering = next->recovering || may_lack || broker_set_has(&want->disqualified, only);
    }
}

/* --- Reassignments ---------------------------------------------------------------------------- */
bool partition_may_revert(const struct partition_state *p, int32_t min_isr)
{
    const struct broker_set origin = partition_origin(p);
    bool is_needless = n_common(&p->adding, &p->isr) + n_common(&p->adding, &p->elr) == 0;

    return is_needless || n_common(&origin, &p->isr) >= (min_isr < origin.n ? min_isr : origin.n);
}

/* [CTL-55] */
static void begin_move(struct partition_state *next, const struct broker_set *target)
{
    const struct broker_set old = next->replicas;

    must(!partition_is_moving(next));
    COVER(CTL, 55);
    next->replicas = next->adding = *target;
    set_add_all(&next->replicas, &old);
    must(n_common(&old, &next->replicas) == old.n); /* the caller has counted them */
    set_remove_all(&next->adding, &old);
    next->removing = old;
    set_remove_all(&next->removing, target);
}

static int32_t min_isr_moved(const struct partition_state *next, const struct partition_want *want)
{
    int32_t min_isr = want->min_isr_moved > 0 ? want->min_isr_moved : next->min_isr;
    int32_t n = next->replicas.n - next->removing.n;

    return min_isr < n ? min_isr : n;
}

/* [CTL-56] */
static bool may_complete(const struct partition_state *next,
        const struct partition_want *want,
        const struct broker_set *active)
{
    struct broker_set left = partition_target(next);

    if (!partition_is_moving(next) || next->recovering ||
            n_common(&next->adding, &next->isr) < next->adding.n) {
        return false;
    }
    set_keep(&left, &next->isr);
    return left.n >= min_isr_moved(next, want) && n_common(&left, active) > 0;
}

static void part_from(struct partition_state *next,
        const struct partition_state *p,
        const struct broker_set *leaving)
{
    const struct broker_set gone = *leaving;

    set_remove_all(&next->replicas, &gone);
    set_remove_all(&next->isr, &gone);
    set_remove_all(&next->elr, &gone);
    set_remove_all(&next->lk, &gone);
    next->adding = next->removing = (struct broker_set){0};
    if (gone.n > 0 && next->leader_epoch == p->leader_epoch) {
        next->leader_epoch++;
    }
}

/* Ends what can end. */
static void move_on(struct partition_state *next,
        const struct partition_state *p,
        const struct partition_want *want,
        const struct broker_set *active)
{
    if (want->is_reverted && partition_is_moving(next)) { /* [CTL-57] */
        COVER(CTL, 57);
        part_from(next, p, &next->adding);
    } else if (may_complete(next, want, active)) {
        COVER(CTL, 56);
        next->min_isr = min_isr_moved(next, want);
        part_from(next, p, &next->removing);
    }
}

/* [CTL-71] The reluctant are asked when nobody else can lead. */
static broker_id leader_of(const struct partition_state *next,
        const struct broker_set *active,
        const struct broker_set *reluctant)
{
    struct broker_set willing = *active;

    set_remove_all(&willing, reluctant);
    COVER_IF(willing.n < active->n, CTL, 71);
    broker_id id = elect_leader(next, &willing);

    return id != BROKER_NONE ? id : elect_leader(next, active);
}

/* [REP-57] [CTL-88] */
static void judge_durable(struct partition_state *next,
        const struct partition_state *p,
        const struct partition_want *want)
{
    bool is_claimed = want->is_durable && p->elr.n == 0;

    COVER_IF(p->is_durable && !want->is_synced, CTL, 88);
    next->is_durable =
            (p->is_durable || is_claimed) && want->is_synced && !next->recovering;
}

static void elect(struct partition_state *next,
        const struct broker_set *active,
        const struct partition_state *p,
        const struct partition_want *want)
{
    broker_id old = next->leader;

    if (want->to_preferred) { /* [CTL-48] */
        next->leader = BROKER_NONE;
    }
    next->leader = leader_of(next, active, &want->reluctant);
    if (next->isr.n == 0 && next->leader != BROKER_NONE) {
        (void)broker_set_add(&next->isr, next->leader);
        broker_set_remove(&next->elr, next->leader);
    }
    if (next->leader != old && next->leader_epoch == p->leader_epoch) {
        COVER(REP, 3);
        next->leader_epoch++; /* [REP-3] */
    }
    if (next->replicas.n == 1 && next->recovering && next->leader != BROKER_NONE) {
        COVER(REP, 5);
        next->unclean_epoch = next->leader_epoch; /* [REP-5] */
        next->recovering = false;
    }
}

struct partition_state partition_change(
        const struct partition_state *p, const struct partition_want *want)
{
    struct partition_state next = *p;
    struct broker_set active = want->active;

    must(want->min_isr >= 0);
    next.min_isr = want->min_isr > 0 ? want->min_isr : p->min_isr;
    next.isr = want->isr;
    set_remove_all(&next.isr, &want->disqualified);
    set_remove_all(&active, &want->disqualified);
    next.recovering = next.recovering && !want->is_recovered; /* [CTL-44] */
    if (want->target.n > 0) {
        begin_move(&next, &want->target);
    }
    move_on(&next, p, want, &active);
    keep_the_only_replica(&next, p, want);
    judge_durable(&next, p, want);
    fill_elr(&next, p, want);
    elect(&next, &active, p, want);
    move_on(&next, p, want, &active); /* An elected ELR member can be all that it wanted. */
    if (!partition_is_moving(&next)) {
        next.operation = 0; /* [CTL-75] */
    }
    empty_when_full(&next); /* [REP-4] An elected ELR member can complete the ISR. */
    next.partition_epoch++; /* [REP-3] */
    must(partition_state_is_valid(&next));
    return next;
}

struct partition_state partition_elect_unclean(const struct partition_state *p, broker_id winner)
{
    struct partition_state next = *p;

    must(p->leader == BROKER_NONE);
    must(p->replicas.n > 1 && broker_set_has(&p->replicas, winner));
    COVER(REP, 9);
    next.isr = next.elr = next.lk = (struct broker_set){0};
    (void)broker_set_add(&next.isr, winner);
    next.leader = winner;
    next.leader_epoch++;
    next.partition_epoch++;
    next.recovering = true;
    next.is_durable = false; /* [REP-57] */
    next.unclean_epoch = next.leader_epoch;
    must(partition_state_is_valid(&next));
    return next;
}

bool partition_differs(const struct partition_state *a, const struct partition_state *b)
{
    return !broker_set_equal(&a->replicas, &b->replicas) ||
           !broker_set_equal(&a->adding, &b->adding) ||
           !broker_set_equal(&a->removing, &b->removing) || !broker_set_equal(&a->isr, &b->isr) ||
           !broker_set_equal(&a->elr, &b->elr) || !broker_set_equal(&a->lk, &b->lk) ||
           a->leader != b->leader || a->leader_epoch != b->leader_epoch ||
           a->min_isr != b->min_isr || a->recovering != b->recovering ||
           a->is_durable != b->is_durable ||
           a->unclean_epoch != b->unclean_epoch || a->operation != b->operation;
}
