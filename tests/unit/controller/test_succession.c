/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/core/succession.h"
#include "tests/lib/check.h"

/* [CTL-20] */
static void silence_of_more_than_half_is_the_controllers_own_problem(void)
{
    CHECK(!succession_is_own_problem(0, 0));
    CHECK(!succession_is_own_problem(1, 0));
    CHECK(succession_is_own_problem(1, 1));
    CHECK(!succession_is_own_problem(2, 1));
    CHECK(succession_is_own_problem(2, 2));
    CHECK(!succession_is_own_problem(3, 1));
    CHECK(succession_is_own_problem(3, 2));
    CHECK(!succession_is_own_problem(100, 50));
    CHECK(succession_is_own_problem(100, 51));
}

/* [CTL-21] */
static void standby_that_reaches_most_is_chosen(void)
{
    const struct succession_standby three[] = {{2, true, 1}, {3, true, 5}, {4, true, 4}};

    CHECK_EQ(succession_choose(three, 3, 2), 3);
    CHECK_EQ(succession_choose(three, 1, 1), 2);
}

/* [CTL-21] */
static void of_equal_standbys_the_lowest_id_is_chosen(void)
{
    const struct succession_standby three[] = {{7, true, 3}, {3, true, 3}, {5, true, 3}};

    CHECK_EQ(succession_choose(three, 3, 0), 3);
}

/* [CTL-21] Who reaches no more than the active one does not take over for it: they would hand over to and fro. */
static void nobody_is_chosen_below_the_least(void)
{
    const struct succession_standby two[] = {{2, true, 3}, {3, true, 2}};

    CHECK_EQ(succession_choose(two, 2, 4), SUCCESSION_NONE);
    CHECK_EQ(succession_choose(two, 2, 3), 2);
    CHECK_EQ(succession_choose(NULL, 0, 0), SUCCESSION_NONE);
}

/* [CTL-21] */
static void standby_that_is_not_ready_is_not_chosen(void)
{
    const struct succession_standby two[] = {{2, false, 9}, {3, true, 1}};

    CHECK_EQ(succession_choose(two, 2, 0), 3);
    CHECK_EQ(succession_choose(two, 1, 0), SUCCESSION_NONE);
}

/* [CTL-22] */
static void candidates_rank_by_id_without_the_dead_one(void)
{
    const int32_t ids[] = {1, 2, 2, 4, 9};

    CHECK_EQ(succession_rank(ids, 5, 1, 2), 0);
    CHECK_EQ(succession_rank(ids, 5, 2, 1), 0);
    CHECK_EQ(succession_rank(ids, 5, 4, 1), 1);
    CHECK_EQ(succession_rank(ids, 5, 4, 2), 1);
    CHECK_EQ(succession_rank(ids, 5, 9, 4), 2);
    CHECK_EQ(succession_rank(ids, 5, 9, 9), 3);
    CHECK_EQ(succession_rank(ids, 0, 9, 4), 0);
}

static const struct check_case cases[] = {
        CASE(silence_of_more_than_half_is_the_controllers_own_problem),
        CASE(standby_that_reaches_most_is_chosen),
        CASE(of_equal_standbys_the_lowest_id_is_chosen),
        CASE(nobody_is_chosen_below_the_least),
        CASE(standby_that_is_not_ready_is_not_chosen),
        CASE(candidates_rank_by_id_without_the_dead_one),
};
CHECK_MAIN("succession", cases)
