/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/checked_ranges.h"

#include "common/base/prng.h"
#include "tests/lib/check.h"

#include <string.h>

static void ranges_that_touch_become_one(void)
{
    struct checked_ranges c = {0};

    CHECK_EQ(checked_ranges_end(&c, 0), 0);
    checked_ranges_add(&c, 10, 20);
    checked_ranges_add(&c, 30, 40);
    CHECK_EQ(c.n, 2);
    CHECK_EQ(checked_ranges_end(&c, 10), 20);
    CHECK_EQ(checked_ranges_end(&c, 20), 20);
    CHECK_EQ(checked_ranges_end(&c, 35), 40);
    checked_ranges_add(&c, 20, 30);
    CHECK_EQ(c.n, 1);
    CHECK_EQ(checked_ranges_end(&c, 10), 40);
    CHECK_EQ(checked_ranges_end(&c, 9), 9);
    checked_ranges_add(&c, 7, 7);
    CHECK_EQ(c.n, 1);
    checked_ranges_deinit(&c);
}

static void an_append_only_segment_needs_no_memory(void) /* [LOG-80] */
{
    struct checked_ranges c = {0};

    for (int64_t at = 0; at < 100000; at += 100) {
        checked_ranges_add(&c, at, at + 100);
    }
    CHECK_EQ(c.n, 1);
    CHECK(c.many == NULL);
    CHECK_EQ(checked_ranges_end(&c, 0), 100000);
    CHECK(sizeof(c) <= 24);
    checked_ranges_deinit(&c);
}

static void what_is_cut_is_not_known_any_more(void)
{
    struct checked_ranges c = {0};

    checked_ranges_add(&c, 0, 10);
    checked_ranges_add(&c, 20, 30);
    checked_ranges_add(&c, 40, 50);
    checked_ranges_cut(&c, 25);
    CHECK_EQ(c.n, 2);
    CHECK_EQ(checked_ranges_end(&c, 20), 25);
    checked_ranges_cut(&c, 20);
    CHECK_EQ(checked_ranges_end(&c, 20), 20);
    CHECK_EQ(checked_ranges_end(&c, 0), 10);
    checked_ranges_cut(&c, 0);
    CHECK_EQ(c.n, 0);
    checked_ranges_deinit(&c);
}

static void too_many_forget_the_smallest_but_never_the_newest(void) /* [LOG-80] */
{
    struct checked_ranges c = {0};

    for (int64_t i = 0; i < CHECKED_RANGES_MAX; i++) {
        checked_ranges_add(&c, i * 100, i * 100 + (i == 5 ? 10 : 50));
    }
    checked_ranges_add(&c, 100000, 100001);
    CHECK_EQ(c.n, CHECKED_RANGES_MAX);
    CHECK_EQ(checked_ranges_end(&c, 100000), 100001);
    CHECK_EQ(checked_ranges_end(&c, 500), 500);
    CHECK_EQ(checked_ranges_end(&c, 600), 650);
    checked_ranges_deinit(&c);
}

static void the_last_byte_of_a_segment_can_be_known(void)
{
    struct checked_ranges c = {0};

    checked_ranges_add(&c, UINT32_MAX - 10, UINT32_MAX);
    CHECK_EQ(checked_ranges_end(&c, UINT32_MAX - 1), UINT32_MAX);
    CHECK_EQ(checked_ranges_end(&c, UINT32_MAX), UINT32_MAX);
    checked_ranges_deinit(&c);
}

enum {
    MODEL_SIZE = 600,
    STEPS = 400000
};

/* Every byte that it says it knows was added and not cut since; without a forgotten range, every
 * such byte is known. */
static void it_never_knows_more_than_a_plain_model(void) /* [LOG-80] */
{
    static bool model[MODEL_SIZE];
    struct checked_ranges c = {0};
    struct prng p;
    bool is_whole = true; /* nothing was forgotten */

    prng_init(&p, check_seed());
    memset(model, 0, sizeof(model));
    for (int i = 0; i < STEPS; i++) {
        int64_t a = (int64_t)prng_below(&p, MODEL_SIZE);
        int64_t b = a + (int64_t)prng_below(&p, i % 3000 < 1500 ? 4 : 60);

        b = b > MODEL_SIZE ? MODEL_SIZE : b;

        if (prng_below(&p, 200) == 0) {
            checked_ranges_cut(&c, a);
            memset(model + a, 0, (size_t)(MODEL_SIZE - a));
            is_whole = is_whole || a == 0;
        } else {
            checked_ranges_add(&c, a, b);
            memset(model + a, 1, (size_t)(b - a));
            is_whole = is_whole && c.n < CHECKED_RANGES_MAX;
        }
        a = (int64_t)prng_below(&p, MODEL_SIZE);
        int64_t end = checked_ranges_end(&c, a);
        CHECK(end >= a && end <= MODEL_SIZE);
        for (int64_t k = a; k < end; k++) {
            CHECK(model[k]);
        }
        if (is_whole) {
            CHECK(end == MODEL_SIZE || !model[end]);
        }
        CHECK(c.n <= CHECKED_RANGES_MAX);
    }
    checked_ranges_deinit(&c);
}

static const struct check_case cases[] = {
        CASE(ranges_that_touch_become_one),
        CASE(an_append_only_segment_needs_no_memory),
        CASE(what_is_cut_is_not_known_any_more),
        CASE(too_many_forget_the_smallest_but_never_the_newest),
        CASE(the_last_byte_of_a_segment_can_be_known),
        CASE(it_never_knows_more_than_a_plain_model),
};
CHECK_MAIN("checked_ranges", cases)
