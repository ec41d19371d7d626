/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/core/partition_change.h"
#include "tests/lib/check.h"

static struct broker_set subset(unsigned mask)
{
    struct broker_set s = {0};

    for (int i = 0; i < 4; i++) {
        if ((mask >> i & 1U) != 0) {
            (void)broker_set_add(&s, i + 1);
        }
    }
    return s;
}

static unsigned mask_of(const struct broker_set *s)
{
    unsigned mask = 0;

    for (int i = 0; i < s->n; i++) {
        mask |= 1U << (s->at[i] - 1);
    }
    return mask;
}

static struct partition_state state(unsigned n_replicas, unsigned isr, unsigned elr, int32_t min)
{
    return (struct partition_state){
            .topic_id = {{1}},
            .replicas = subset((1U << n_replicas) - 1),
            .isr = subset(isr),
            .elr = subset(elr),
            .leader = BROKER_NONE,
            .min_isr = min,
            .leader_epoch = 5,
            .partition_epoch = 9,
            .unclean_epoch = EPOCH_NONE,
    };
}

/* The rule once more, on bit masks. */
static void check_against_masks(const struct partition_state *p, const struct partition_want *w)
{
    struct partition_state n = partition_change(p, w);
    unsigned all = mask_of(&p->replicas), bad = mask_of(&w->disqualified);
    unsigned active = mask_of(&w->active) & ~bad & all;
    unsigned isr = mask_of(&w->isr) & ~bad;
    int32_t min = w->min_isr > 0 ? w->min_isr : p->min_isr;

    if (p->replicas.n == 1) {
        isr = all;
    }
    unsigned candidates = mask_of(&p->isr) | mask_of(&p->elr);
    bool is_full = __builtin_popcount(isr) >= min;
    unsigned elr = is_full ? 0 : candidates & ~isr & ~bad;
    unsigned lk = is_full ? 0 : (candidates | mask_of(&p->lk)) & ~isr & ~elr;
    unsigned leader = p->leader == BROKER_NONE ? 0 : 1U << (p->leader - 1);
    if ((leader & isr & active) == 0) {
        unsigned from = isr != 0 ? isr & active : elr & active;
        leader = from & -from;
        if (isr == 0 && leader != 0) {
            isr = leader;
            elr &= ~leader;
        }
    }
    if (__builtin_popcount(isr) >= min) {
        elr = lk = 0;
    }
    broker_id leader_id = leader == 0 ? BROKER_NONE : (broker_id)__builtin_ctz(leader) + 1;
    CHECK_EQ(mask_of(&n.isr), isr);
    CHECK_EQ(mask_of(&n.elr), elr);
    CHECK_EQ(mask_of(&n.lk), lk);
    CHECK_EQ(n.leader, leader_id);
    CHECK_EQ(n.leader_epoch, p->leader_epoch + (leader_id != p->leader));
    CHECK_EQ(n.partition_epoch, p->partition_epoch + 1);
    CHECK_EQ(n.min_isr, min);
    CHECK(partition_state_is_valid(&n));
}

/* [REP-3], [REP-4], [REP-5], [REP-8]: every valid record of up to 3 replicas, every wish. */
static void every_change_of_three_replicas_follows_the_rule(void)
{
    unsigned n_cases = 0;

    for (unsigned n = 1; n <= 3; n++) {
        for (unsigned bits = 0; bits < 1U << 18; bits++) {
            struct partition_state p = state(n, bits & 7U, bits >> 3 & 7U, 1);
            struct partition_want w = {.isr = subset(bits >> 6 & 7U),
                    .disqualified = subset(bits >> 9 & 7U),
                    .active = subset(bits >> 12 & 7U)};
            p.min_isr = (int32_t)(bits >> 15 & 1U) + 1;
            w.min_isr = (int32_t)(bits >> 16 & 3U);
            if ((mask_of(&w.isr) & ~mask_of(&p.replicas)) != 0 || w.min_isr > (int32_t)n) {
                continue;
            }
            for (p.leader = BROKER_NONE; p.leader <= 3; p.leader += p.leader < 0 ? 2 : 1) {
                if (partition_state_is_valid(&p)) {
                    check_against_masks(&p, &w);
                    n_cases++;
                }
            }
        }
    }
    CHECK(n_cases > 100000);
}

static void leaving_below_min_isr_goes_to_the_elr(void) /* [REP-4] */
{
    struct partition_state p = state(3, 7, 0, 2);
    p.leader = 1;
    struct partition_want w = {.isr = subset(4), .active = subset(4)};

    struct partition_state n = partition_change(&p, &w);
    CHECK_EQ(mask_of(&n.elr), 3);
    CHECK_EQ(n.leader, 3);
    w.disqualified = subset(1);
    n = partition_change(&p, &w);
    CHECK_EQ(mask_of(&n.elr), 2);
    CHECK_EQ(mask_of(&n.lk), 1);
}

static void electing_from_the_elr_clears_it_when_min_isr_is_one(
        void) /* [REP-4], on the final state */
{
    struct partition_state p = state(3, 0, 3, 2);
    struct partition_want w = {.active = subset(7), .min_isr = 1};

    struct partition_state n = partition_change(&p, &w);
    CHECK_EQ(n.leader, 1);
    CHECK_EQ(n.elr.n, 0);
    CHECK_EQ(n.lk.n, 0);
}

static void only_replica_stays_and_comes_back_marked_when_it_lost_data(void) /* [REP-5] */
{
    struct partition_state p = state(1, 1, 0, 1);
    struct partition_want gone = {.disqualified = subset(1)};
    struct partition_want back = {.isr = subset(1), .active = subset(1)};
    p.leader = 1;

    struct partition_state n = partition_change(&p, &gone);
    CHECK_EQ(mask_of(&n.isr), 1);
    CHECK_EQ(n.leader, BROKER_NONE);
    CHECK(n.recovering);
    CHECK_EQ(n.unclean_epoch, EPOCH_NONE);
    n = partition_change(&n, &back);
    CHECK_EQ(n.leader, 1);
    CHECK_EQ(n.leader_epoch, 7);
    CHECK_EQ(n.unclean_epoch, 7);
    CHECK(!n.recovering);
}

static void only_replica_that_lost_nothing_comes_back_unmarked(void) /* [REP-5] */
{
    struct partition_state p = state(1, 1, 0, 1);
    struct partition_want gone = {0};
    struct partition_want back = {.isr = subset(1), .active = subset(1)};
    p.leader = 1;

    struct partition_state n = partition_change(&p, &gone);
    CHECK_EQ(mask_of(&n.isr), 1);
    n = partition_change(&n, &back);
    CHECK_EQ(n.leader, 1);
    CHECK_EQ(n.unclean_epoch, EPOCH_NONE);
}

static void difference_ignores_order_and_partition_epoch(void)
{
    struct partition_state a = state(3, 7, 0, 2), b = a;

    b.isr = (struct broker_set){3, {3, 1, 2}};
    b.partition_epoch = 100;
    CHECK(!partition_differs(&a, &b));
    b.leader = 1;
    CHECK(partition_differs(&a, &b));
}

static void the_first_replica_takes_the_leadership_back(void) /* [CTL-48] */
{
    struct partition_state p = state(3, 7, 0, 2);
    struct partition_want w = {.isr = p.isr, .active = p.replicas, .to_preferred = true};

    p.leader = 3;
    struct partition_state n = partition_change(&p, &w);
    CHECK_EQ(n.leader, 1);
    CHECK_EQ(n.leader_epoch, 6);
    w.isr = subset(6);
    n = partition_change(&p, &w);
    CHECK_EQ(n.leader, 2); /* of those in sync */
    w.to_preferred = false;
    CHECK_EQ(partition_change(&p, &w).leader, 3);
}

static void winner_of_an_unclean_election_is_alone(void) /* [REP-9], [CTL-44] */
{
    struct partition_state p = state(3, 0, 0, 2);

    p.lk = subset(6);
    struct partition_state n = partition_elect_unclean(&p, 2);
    CHECK_EQ(mask_of(&n.isr), 2);
    CHECK_EQ(mask_of(&n.elr), 0);
    CHECK_EQ(mask_of(&n.lk), 0);
    CHECK_EQ(n.leader, 2);
    CHECK_EQ(n.leader_epoch, 6);
    CHECK_EQ(n.partition_epoch, 10);
    CHECK_EQ(n.unclean_epoch, 6);
    CHECK(n.recovering);

    struct partition_want w = {.isr = n.isr, .active = n.replicas};
    CHECK(partition_change(&n, &w).recovering);
    w.is_recovered = true;
    struct partition_state open = partition_change(&n, &w);
    CHECK(!open.recovering);
    CHECK_EQ(open.leader_epoch, 6);
    CHECK_EQ(open.unclean_epoch, 6);
}

static const struct check_case cases[] = {
        CASE(every_change_of_three_replicas_follows_the_rule),
        CASE(leaving_below_min_isr_goes_to_the_elr),
        CASE(electing_from_the_elr_clears_it_when_min_isr_is_one),
        CASE(only_replica_stays_and_comes_back_marked_when_it_lost_data),
        CASE(only_replica_that_lost_nothing_comes_back_unmarked),
        CASE(difference_ignores_order_and_partition_epoch),
        CASE(the_first_replica_takes_the_leadership_back),
        CASE(winner_of_an_unclean_election_is_alone),
};
CHECK_MAIN("partition_change", cases)
