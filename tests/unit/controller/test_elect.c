/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/core/elect.h"
#include "tests/lib/check.h"

static struct broker_set subset(const struct broker_set *of, unsigned mask)
{
    struct broker_set s = {0};

    for (int i = 0; i < of->n; i++) {
        if ((mask >> i & 1U) != 0) {
            (void)broker_set_add(&s, of->at[i]);
        }
    }
    return s;
}

/* The rule as a table of rounds, written another way than the code. */
static broker_id expected(const struct partition_state *p, const struct broker_set *active)
{
    for (int i = 0; i < p->replicas.n; i++) {
        broker_id r = p->replicas.at[i];
        if (r == p->leader && broker_set_has(&p->isr, r) && broker_set_has(active, r)) {
            return r;
        }
    }
    for (int i = 0; i < p->replicas.n; i++) {
        broker_id r = p->replicas.at[i];
        if (broker_set_has(active, r) &&
                (broker_set_has(&p->isr, r) || (p->isr.n == 0 && broker_set_has(&p->elr, r)))) {
            return r;
        }
    }
    return BROKER_NONE;
}

/* [REP-8] Every ISR, ELR, set of active brokers and present leader, in several orders. */
static void every_case_of_three_replicas_elects_by_the_rule(void)
{
    static const struct broker_set orders[] = {
            {1, {4}}, {2, {3, 1}}, {2, {1, 2}}, {3, {1, 2, 3}}, {3, {3, 1, 2}}, {3, {4, 2, 1}}};
    unsigned n_elected = 0, n_none = 0;

    for (size_t o = 0; o < sizeof(orders) / sizeof(orders[0]); o++) {
        for (unsigned masks = 0; masks < 512; masks++) {
            struct partition_state p = {.replicas = orders[o]};
            struct broker_set active = subset(&p.replicas, masks >> 6 & 7U);
            p.isr = subset(&p.replicas, masks & 7U);
            p.elr = subset(&p.replicas, masks >> 3 & 7U & ~masks);
            for (p.leader = BROKER_NONE; p.leader <= 4; p.leader++) {
                broker_id leader = elect_leader(&p, &active);
                CHECK_EQ(leader, expected(&p, &active));
                n_elected += leader != BROKER_NONE;
                n_none += leader == BROKER_NONE;
            }
        }
    }
    CHECK(n_elected > 1000);
    CHECK(n_none > 1000);
}

static void preference_decides_only_when_the_leader_is_out(void)
{
    struct partition_state p = {.replicas = {3, {3, 1, 2}}, .isr = {3, {1, 2, 3}}, .leader = 2};
    struct broker_set active = {3, {1, 2, 3}};

    CHECK_EQ(elect_leader(&p, &active), 2);
    broker_set_remove(&active, 2);
    CHECK_EQ(elect_leader(&p, &active), 3);
}

static void elr_is_not_asked_while_the_isr_has_a_member(void)
{
    struct partition_state p = {
            .replicas = {2, {1, 2}}, .isr = {1, {1}}, .elr = {1, {2}}, .leader = 1};
    struct broker_set active = {1, {2}};

    CHECK_EQ(elect_leader(&p, &active), BROKER_NONE);
    p.isr.n = 0;
    CHECK_EQ(elect_leader(&p, &active), 2);
}

static const struct check_case cases[] = {
        CASE(every_case_of_three_replicas_elects_by_the_rule),
        CASE(preference_decides_only_when_the_leader_is_out),
        CASE(elr_is_not_asked_while_the_isr_has_a_member),
};
CHECK_MAIN("elect", cases)
