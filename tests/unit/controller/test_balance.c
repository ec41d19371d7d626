/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/prng.h"
#include "controller/core/balance.h"
#include "tests/lib/check.h"

/* Which replicas move where. */

enum {
    N_BROKERS = 6,
    N_PARTITIONS = 60
};

struct cluster {
    struct balance_broker brokers[N_BROKERS];
    size_t n_brokers;
    struct balance_partition partitions[N_PARTITIONS], before[N_PARTITIONS];
    size_t n;
};

static void count_all(struct cluster *c)
{
    for (size_t i = 0; i < c->n_brokers; i++) {
        c->brokers[i].load.n_replicas = c->brokers[i].load.n_leaders = 0;
    }
    for (size_t i = 0; i < c->n; i++) {
        balance_count(c->brokers, c->n_brokers, &c->partitions[i]);
        c->before[i] = c->partitions[i];
    }
}

/* So many brokers with ids from 1, racks as in `racks` ("" = none), and partitions with so many replicas on the first
 * `n_old` of them. */
static void make(struct cluster *c, size_t n_brokers, const char *racks, int n_replicas, int n_old)
{
    static const char *const names[] = {"a", "b", "c"};

    *c = (struct cluster){.n_brokers = n_brokers, .n = N_PARTITIONS};
    for (size_t i = 0; i < n_brokers; i++) {
        c->brokers[i].load = (struct assign_broker){.id = (broker_id)i + 1,
                .rack = racks[0] == '\0' ? "" : names[racks[i] - 'a']};
    }
    for (size_t i = 0; i < c->n; i++) {
        for (int k = 0; k < n_replicas; k++) {
            (void)broker_set_add(
                    &c->partitions[i].replicas, (broker_id)((int)i + k) % n_old + 1);
        }
    }
    count_all(c);
}

/* The loads are those of the plan, within `spread` of each other. */
static void check_loads(struct cluster *c, uint32_t spread)
{
    struct balance_broker told[N_BROKERS];
    uint32_t low = UINT32_MAX, high = 0, low_lead = UINT32_MAX, high_lead = 0;

    memcpy(told, c->brokers, sizeof(told));
    count_all(c);
    for (size_t i = 0; i < c->n_brokers; i++) {
        const struct assign_broker *b = &c->brokers[i].load;
        CHECK_EQ(told[i].load.n_replicas, b->n_replicas);
        CHECK_EQ(told[i].load.n_leaders, b->n_leaders);
        if (!c->brokers[i].is_closed) {
            low = b->n_replicas < low ? b->n_replicas : low;
            high = b->n_replicas > high ? b->n_replicas : high;
            low_lead = b->n_leaders < low_lead ? b->n_leaders : low_lead;
            high_lead = b->n_leaders > high_lead ? b->n_leaders : high_lead;
        }
    }
    CHECK(high - low <= spread);
    CHECK(high_lead - low_lead <= spread);
}

static unsigned n_moved(const struct cluster *c, const struct balance_partition *before)
{
    unsigned n = 0;

    for (size_t i = 0; i < c->n; i++) {
        for (int k = 0; k < c->partitions[i].replicas.n; k++) {
            n += !broker_set_has(&before[i].replicas, c->partitions[i].replicas.at[k]);
        }
    }
    return n;
}

static void new_broker_gets_its_share_and_no_more_moves(void) /* [CTL-61] */
{
    struct cluster c;
    struct balance_partition before[N_PARTITIONS];

    make(&c, 4, "", 3, 3);
    memcpy(before, c.before, sizeof(before));
    balance_even(c.brokers, c.n_brokers, c.partitions, c.n);
    check_loads(&c, 1);
    CHECK_EQ(n_moved(&c, before), 45); /* 180 replicas, 45 a broker */
    memcpy(before, c.partitions, sizeof(before));
    balance_even(c.brokers, c.n_brokers, c.partitions, c.n);
    CHECK_EQ(n_moved(&c, before), 0); /* what is even stays */
}

static void only_replicas_become_even_too(void) /* [CTL-61] */
{
    struct cluster c;

    make(&c, 6, "", 1, 2);
    balance_even(c.brokers, c.n_brokers, c.partitions, c.n);
    check_loads(&c, 1);
}

static void racks_are_spread_over_before_loads_are_even(void) /* [CTL-61] */
{
    struct cluster c;

    make(&c, 6, "aabbcc", 3, 2 + 1); /* brokers 1 and 2 share a rack */
    balance_even(c.brokers, c.n_brokers, c.partitions, c.n);
    check_loads(&c, 2);
    for (size_t i = 0; i < c.n; i++) {
        const struct broker_set *s = &c.partitions[i].replicas;
        unsigned racks = 0;
        for (int k = 0; k < s->n; k++) {
            racks |= 1U << ((s->at[k] - 1) / 2);
        }
        CHECK_EQ(racks, 7);
    }
}

static void fixed_partitions_and_closed_brokers_get_nothing(void) /* [CTL-60] */
{
    struct cluster c;

    make(&c, 4, "", 2, 2);
    c.brokers[3].is_closed = true;
    for (size_t i = 0; i < c.n; i += 2) {
        c.partitions[i].is_fixed = true;
    }
    balance_even(c.brokers, c.n_brokers, c.partitions, c.n);
    for (size_t i = 0; i < c.n; i++) {
        CHECK(i % 2 == 1 || broker_set_equal(&c.partitions[i].replicas, &c.before[i].replicas));
        CHECK(!broker_set_has(&c.partitions[i].replicas, 4));
    }
    CHECK(c.brokers[2].load.n_replicas >= 20);
}

static void leaving_broker_is_empty_afterwards(void) /* [CTL-62] */
{
    static const struct broker_set leaving = {1, {2}};
    struct cluster c;

    make(&c, 4, "", 2, 4);
    c.brokers[1].is_closed = true;
    for (size_t i = 0; i < c.n; i++) {
        bool had = broker_set_has(&c.partitions[i].replicas, 2);
        CHECK(balance_leave(c.brokers, c.n_brokers, &c.partitions[i], &leaving));
        CHECK(!broker_set_has(&c.partitions[i].replicas, 2));
        CHECK(had || broker_set_equal(&c.partitions[i].replicas, &c.before[i].replicas));
    }
    CHECK_EQ(c.brokers[1].load.n_replicas, 0);
    check_loads(&c, 16); /* where first replicas go is where they were */
    make(&c, 2, "", 2, 2);
    c.brokers[1].is_closed = true;
    CHECK(!balance_leave(c.brokers, c.n_brokers, &c.partitions[0], &leaving));
}

static void replicas_are_added_and_dropped(void) /* [CTL-63] */
{
    static const struct broker_set none = {0};
    struct cluster c;

    make(&c, 4, "", 1, 2);
    for (size_t i = 0; i < c.n; i++) {
        CHECK(balance_resize(c.brokers, c.n_brokers, &c.partitions[i], 3, &none));
        CHECK_EQ(c.partitions[i].replicas.n, 3);
        CHECK_EQ(c.partitions[i].replicas.at[0], c.before[i].replicas.at[0]);
    }
    struct broker_set keep = {0};
    (void)broker_set_add(&keep, c.partitions[0].replicas.at[1]);
    broker_id kept = c.partitions[0].replicas.at[1];
    CHECK(balance_resize(c.brokers, c.n_brokers, &c.partitions[0], 2, &keep));
    CHECK(broker_set_has(&c.partitions[0].replicas, kept)); /* the other one was not in sync */
    CHECK(!balance_resize(c.brokers, c.n_brokers, &c.partitions[0], 5, &none));
}

static const struct check_case cases[] = {
        CASE(new_broker_gets_its_share_and_no_more_moves),
        CASE(only_replicas_become_even_too),
        CASE(racks_are_spread_over_before_loads_are_even),
        CASE(fixed_partitions_and_closed_brokers_get_nothing),
        CASE(leaving_broker_is_empty_afterwards),
        CASE(replicas_are_added_and_dropped),
};
CHECK_MAIN("balance", cases)
