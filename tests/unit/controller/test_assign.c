/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/array.h"
#include "controller/core/assign.h"
#include "tests/lib/check.h"

static const char *const rack_names[] = {"", "a", "b"};

static unsigned racks_used(
        const struct assign_broker *brokers, size_t n, const struct broker_set *s)
{
    unsigned used = 0;

    for (size_t i = 0; i < n; i++) {
        if (broker_set_has(s, brokers[i].id)) {
            used |= brokers[i].rack[0] == '\0' ? 1U << (8 + i) : 1U << brokers[i].rack[0] % 8;
        }
    }
    return (unsigned)__builtin_popcount(used);
}

static unsigned spread(const struct assign_broker *brokers, size_t n, bool leaders)
{
    unsigned least = UINT32_MAX, most = 0;

    for (size_t i = 0; i < n; i++) {
        unsigned load = leaders ? brokers[i].n_leaders : brokers[i].n_replicas;
        least = load < least ? load : least;
        most = load > most ? load : most;
    }
    return most - least;
}

static struct broker_set everybody(const struct assign_broker *brokers, size_t n)
{
    struct broker_set s = {0};

    for (size_t i = 0; i < n; i++) {
        (void)broker_set_add(&s, brokers[i].id);
    }
    return s;
}

/* [CTL-9] Every layout of up to 4 brokers on no rack, rack a or b; 1 to 3 replicas. */
static void place_all(const unsigned layout[4], size_t n, int n_replicas)
{
    struct assign_broker brokers[4];
    bool has_racks = false;

    for (size_t i = 0; i < n; i++) {
        brokers[i] = (struct assign_broker){.id = (broker_id)i + 1, .rack = rack_names[layout[i]]};
        has_racks = has_racks || layout[i] > 0;
    }
    struct broker_set all = everybody(brokers, n);
    unsigned racks = racks_used(brokers, n, &all);
    unsigned distinct = racks < (unsigned)n_replicas ? racks : (unsigned)n_replicas;

    for (uint32_t p = 0; p < 24; p++) {
        struct broker_set s = assign_place(brokers, n, n_replicas, p);
        CHECK_EQ(s.n, n_replicas);
        for (int i = 0; i < s.n; i++) {
            for (int j = 0; j < i; j++) {
                CHECK(s.at[i] != s.at[j]);
            }
        }
        CHECK_EQ(racks_used(brokers, n, &s), distinct);
    }
    if (!has_racks || n_replicas == 1) {
        CHECK(spread(brokers, n, false) <= 1);
        CHECK(spread(brokers, n, true) <= (n_replicas == 1 ? 1 : 2));
    }
}

static void every_layout_of_four_brokers_is_spread(void)
{
    for (size_t n = 1; n <= 4; n++) {
        for (unsigned code = 0; code < 81; code++) {
            const unsigned layout[4] = {code % 3, code / 3 % 3, code / 9 % 3, code / 27};
            for (int replicas = 1; replicas <= 3 && (size_t)replicas <= n; replicas++) {
                place_all(layout, n, replicas);
            }
        }
    }
}

static void less_loaded_brokers_come_first(void)
{
    struct assign_broker brokers[] = {{1, "", 5, 5}, {2, "", 3, 3}, {3, "", 3, 1}};

    struct broker_set s = assign_place(brokers, COUNT_OF(brokers), 1, 0);
    CHECK_EQ(s.at[0], 3);
    s = assign_place(brokers, COUNT_OF(brokers), 1, 1);
    CHECK_EQ(s.at[0], 2);
}

static void load_of_a_dead_leader_is_shared(void)
{
    struct assign_broker brokers[] = {{1, "", 0, 0}, {2, "", 0, 0}, {3, "", 0, 0}};
    unsigned second[4] = {0};

    for (uint32_t p = 0; p < 60; p++) {
        struct broker_set s = assign_place(brokers, COUNT_OF(brokers), 3, p);
        if (s.at[0] == 1) {
            second[s.at[1]]++;
        }
    }
    CHECK_EQ(second[2], 10);
    CHECK_EQ(second[3], 10);
}

static void same_loads_give_the_same_places(void)
{
    for (uint32_t p = 0; p < 10; p++) {
        struct assign_broker a[] = {{1, "x", 2, 1}, {4, "y", 2, 2}, {7, "x", 1, 1}};
        struct assign_broker b[] = {{1, "x", 2, 1}, {4, "y", 2, 2}, {7, "x", 1, 1}};
        struct broker_set one = assign_place(a, COUNT_OF(a), 2, p);
        struct broker_set two = assign_place(b, COUNT_OF(b), 2, p);
        CHECK_MEM(&one, &two, sizeof(one));
    }
}

static void sentence_says_why(void)
{
    struct assign_broker brokers[] = {{1, "a", 3, 3}, {2, "b", 1, 1}, {3, "b", 4, 0}};
    char text[160];

    struct broker_set s = assign_place(brokers, COUNT_OF(brokers), 1, 0);
    assign_explain(brokers, COUNT_OF(brokers), &s, text, sizeof(text));
    CHECK_STR(text, "broker 2 held the fewest replicas (1) of 3 brokers");
    s = assign_place(brokers, COUNT_OF(brokers), 2, 0);
    assign_explain(brokers, COUNT_OF(brokers), &s, text, sizeof(text));
    CHECK_STR(text, "the least loaded brokers over 2 racks; broker 2 led the fewest of them (2)");
}

static const struct check_case cases[] = {
        CASE(every_layout_of_four_brokers_is_spread),
        CASE(less_loaded_brokers_come_first),
        CASE(load_of_a_dead_leader_is_shared),
        CASE(same_loads_give_the_same_places),
        CASE(sentence_says_why),
};
CHECK_MAIN("assign", cases)
