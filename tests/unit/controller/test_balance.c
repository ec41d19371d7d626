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
        c->brokers[i].bytes = 0;
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
    balance_even(c.brokers, c.n_brokers, c.partitions, c.n, false);
    check_loads(&c, 1);
    CHECK_EQ(n_moved(&c, before), 45); /* 180 replicas, 45 a broker */
    memcpy(before, c.partitions, sizeof(before));
    balance_even(c.brokers, c.n_brokers, c.partitions, c.n, false);
    CHECK_EQ(n_moved(&c, before), 0); /* what is even stays */
}

static void only_replicas_become_even_too(void) /* [CTL-61] */
{
    struct cluster c;

    make(&c, 6, "", 1, 2);
    balance_even(c.brokers, c.n_brokers, c.partitions, c.n, false);
    check_loads(&c, 1);
}

static void racks_are_spread_over_before_loads_are_even(void) /* [CTL-61] */
{
    struct cluster c;

    make(&c, 6, "aabbcc", 3, 2 + 1); /* brokers 1 and 2 share a rack */
    balance_even(c.brokers, c.n_brokers, c.partitions, c.n, false);
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
    balance_even(c.brokers, c.n_brokers, c.partitions, c.n, false);
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

/* --- Bytes ------------------------------------------------------------------------------------ */

/* What would be copied. */
static int64_t bytes_moved(const struct cluster *c, const struct balance_partition *before)
{
    int64_t sum = 0;

    for (size_t i = 0; i < c->n; i++) {
        for (int k = 0; k < c->partitions[i].replicas.n; k++) {
            bool is_there = broker_set_has(&before[i].replicas, c->partitions[i].replicas.at[k]);
            sum += is_there ? 0 : c->partitions[i].bytes;
        }
    }
    return sum;
}

static void full_broker_gives_as_little_as_it_needs_to(void) /* [CTL-80] */
{
    struct cluster c;
    struct balance_partition before[N_PARTITIONS];

    make(&c, 3, "", 1, 3);
    for (size_t i = 0; i < c.n; i++) { /* one on broker 1 is as large as all others together */
        c.partitions[i].bytes = i == 0 ? INT64_C(60) << 20 : 1 << 20;
    }
    count_all(&c);
    memcpy(before, c.partitions, sizeof(before));
    CHECK(!balance_bytes_are_even(c.brokers, c.n_brokers));
    balance_even(c.brokers, c.n_brokers, c.partitions, c.n, true);
    check_loads(&c, 1);
    /* The large one stays: no other broker would be better off with it. Others cannot leave without others coming. */
    CHECK_EQ(c.partitions[0].replicas.at[0], 1);
    CHECK(bytes_moved(&c, before) <= 20 << 20);

    make(&c, 2, "", 1, 2);
    for (size_t i = 0; i < c.n; i++) {
        c.partitions[i].bytes = i % 2 == 0 ? 10 << 20 : 1 << 20;
    }
    count_all(&c);
    memcpy(before, c.partitions, sizeof(before));
    balance_even(c.brokers, c.n_brokers, c.partitions, c.n, true);
    check_loads(&c, 1);
    CHECK(balance_bytes_are_even(c.brokers, c.n_brokers));
    /* 300 and 30 MiB become at most 181 and at least 149: 13 to 15 swaps of 10 for 1. */
    CHECK(bytes_moved(&c, before) <= 15 * (11 << 20));
}

static void new_broker_gets_its_share_of_bytes(void) /* [CTL-61] [CTL-80] */
{
    struct cluster c;
    struct balance_partition before[N_PARTITIONS];
    int64_t total = 0;

    make(&c, 4, "", 2, 3);
    for (size_t i = 0; i < c.n; i++) {
        c.partitions[i].bytes = (int64_t)(1 + i % 10) << 22;
        total += 2 * c.partitions[i].bytes;
    }
    count_all(&c);
    memcpy(before, c.partitions, sizeof(before));
    balance_even(c.brokers, c.n_brokers, c.partitions, c.n, true);
    check_loads(&c, 1);
    CHECK(balance_bytes_are_even(c.brokers, c.n_brokers));
    CHECK_EQ(n_moved(&c, before), 30);
    CHECK(bytes_moved(&c, before) <= total / 4 + total / 20);
}

static unsigned racks_of(const struct cluster *c, const struct broker_set *s)
{
    unsigned seen = 0, n = 0;

    for (int k = 0; k < s->n; k++) {
        const char *rack = c->brokers[s->at[k] - 1].load.rack;
        unsigned bit = rack[0] == '\0' ? 0 : 1U << (rack[0] - 'a');
        n += bit == 0 || (seen & bit) == 0;
        seen |= bit;
    }
    return n;
}

/* Whatever is there: counts even, racks kept, nothing more is planned once it was planned, and the
 * same twice. */
static void any_cluster_becomes_even(void) /* [CTL-61] [CTL-80] */
{
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct cluster c, again;
        struct balance_partition before[N_PARTITIONS];
        struct prng p;

        prng_init(&p, seed);
        size_t n_brokers = 2 + prng_below(&p, N_BROKERS - 1);
        int n_old = 1 + (int)prng_below(&p, n_brokers);
        int n_replicas = 1 + (int)prng_below(&p, (uint64_t)(n_old < 3 ? n_old : 3));
        bool has_racks = prng_below(&p, 2) == 1;
        make(&c, n_brokers, has_racks ? "abcabc" : "", n_replicas, n_old);
        for (size_t i = 0; i < c.n; i++) {
            c.partitions[i].bytes = (int64_t)prng_below(&p, UINT64_C(1) << prng_below(&p, 34));
            c.partitions[i].is_fixed = prng_below(&p, 20) == 0;
        }
        count_all(&c);
        memcpy(before, c.partitions, sizeof(before));
        again = c;
        balance_even(c.brokers, c.n_brokers, c.partitions, c.n, true);
        balance_even(again.brokers, again.n_brokers, again.partitions, again.n, true);
        CHECK(memcmp(again.partitions, c.partitions, sizeof(c.partitions)) == 0);
        for (size_t i = 0; i < c.n; i++) {
            const struct broker_set *s = &c.partitions[i].replicas;
            CHECK(racks_of(&c, s) >= racks_of(&c, &before[i].replicas));
            CHECK_EQ(s->n, n_replicas);
            CHECK(!c.partitions[i].is_fixed || broker_set_equal(s, &before[i].replicas));
            for (int k = 1; k < s->n; k++) {
                CHECK(s->at[k] != s->at[k - 1]);
            }
        }
        if (!has_racks) {
            check_loads(&c, 6); /* 3 fixed ones more than another, at most */
        }
        struct balance_partition planned[N_PARTITIONS];
        memcpy(planned, c.partitions, sizeof(planned));
        balance_even(c.brokers, c.n_brokers, c.partitions, c.n, true);
        CHECK_EQ(bytes_moved(&c, planned), 0);
    }
}

static const struct check_case cases[] = {
        CASE(full_broker_gives_as_little_as_it_needs_to),
        CASE(new_broker_gets_its_share_of_bytes),
        CASE(any_cluster_becomes_even),
        CASE(new_broker_gets_its_share_and_no_more_moves),
        CASE(only_replicas_become_even_too),
        CASE(racks_are_spread_over_before_loads_are_even),
        CASE(fixed_partitions_and_closed_brokers_get_nothing),
        CASE(leaving_broker_is_empty_afterwards),
        CASE(replicas_are_added_and_dropped),
};
CHECK_MAIN("balance", cases)
