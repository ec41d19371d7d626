/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/throttle.h"
#include "common/base/prng.h"
#include "tests/lib/check.h"

/* How many bytes may pass in a second. */

static void nothing_is_held_without_a_limit(void) /* [THR-2] */
{
    struct throttle t;

    throttle_init(&t, 0, WTIME_S(5));
    throttle_took(&t, INT64_MAX, WTIME_S(5));
    CHECK_EQ(throttle_room(&t, WTIME_S(5)), THROTTLE_ALL);
    CHECK_EQ(throttle_when(&t, WTIME_S(5)), WTIME_S(5));
}

static void bucket_holds_a_quarter_of_a_second(void) /* [THR-2] */
{
    struct throttle t;

    throttle_init(&t, 1000, WTIME_S(5));
    CHECK_EQ(throttle_room(&t, WTIME_S(5)), 250);
    CHECK_EQ(throttle_room(&t, WTIME_S(5000)), 250);
    throttle_took(&t, 230, WTIME_S(5000));
    CHECK_EQ(throttle_room(&t, WTIME_S(5000)), 0); /* 20 are less than 50 */
    wtime when = throttle_when(&t, WTIME_S(5000));
    CHECK(when >= WTIME_S(5000) + WTIME_MS(30) && when <= WTIME_S(5000) + WTIME_MS(31));
    CHECK_EQ(throttle_room(&t, when), 50);
}

static void what_passes_beyond_the_room_is_owed(void) /* [THR-2] */
{
    struct throttle t;

    throttle_init(&t, 1000, 0);
    throttle_took(&t, 10250, 0);
    wtime when = throttle_when(&t, 0);
    CHECK(when >= WTIME_MS(10050) && when <= WTIME_MS(10051));
    CHECK_EQ(throttle_room(&t, WTIME_S(10)), 0);
    CHECK(throttle_room(&t, when) >= 50);
}

static void new_limit_holds_at_once(void) /* [THR-5] */
{
    struct throttle t;

    throttle_init(&t, 1000, 0);
    throttle_took(&t, 10250, 0);
    throttle_set_rate(&t, 1000000, WTIME_S(1)); /* 9,000 are owed */
    CHECK(throttle_when(&t, WTIME_S(1)) <= WTIME_S(1) + WTIME_MS(60));
    throttle_set_rate(&t, 0, WTIME_S(1));
    CHECK_EQ(throttle_room(&t, WTIME_S(1)), THROTTLE_ALL);
    throttle_set_rate(&t, 400, WTIME_S(1)); /* nothing is owed from a time without limit */
    CHECK_EQ(throttle_room(&t, WTIME_S(1)), 100);
}

static void time_in_which_somebody_waits_is_told(void)
{
    struct throttle t;

    throttle_init(&t, 1000, 0);
    throttle_took(&t, 1250, 0);
    throttle_held(&t, WTIME_MS(100));
    throttle_held(&t, WTIME_MS(400));
    throttle_took(&t, 10, WTIME_MS(1100));
    CHECK_EQ(t.held, WTIME_S(1));
    throttle_took(&t, 10, WTIME_S(20));
    CHECK_EQ(t.held, WTIME_S(1));
}

/* Whatever the limit, the sizes and the moments: over any long time so much passes, and no more. */
static void rate_holds_over_time(void) /* [THR-2] */
{
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct prng p;
        struct throttle t;

        prng_init(&p, seed);
        int64_t rate = 1 + (int64_t)prng_below(&p, UINT64_C(1) << prng_below(&p, 40));
        int64_t largest = 1 + (int64_t)prng_below(&p, (uint64_t)rate / 2 + 1), passed = 0;
        wtime now = 0;
        throttle_init(&t, rate, 0);
        while (now < WTIME_S(100)) {
            int64_t room = throttle_room(&t, now);
            if (room > 0) {
                int64_t size = 1 + (int64_t)prng_below(&p, (uint64_t)largest);
                throttle_took(&t, size, now);
                passed += size;
                continue;
            }
            wtime when = throttle_when(&t, now);
            CHECK(when > now);
            now = when + (wtime)prng_below(&p, 1000);
        }
        CHECK(passed <= rate * (now / WTIME_S(1) + 1) + largest + rate / 4 + 1);
        CHECK(passed >= rate * 100 / 2);
    }
}

static const struct check_case cases[] = {
        CASE(nothing_is_held_without_a_limit),
        CASE(bucket_holds_a_quarter_of_a_second),
        CASE(what_passes_beyond_the_room_is_owed),
        CASE(new_limit_holds_at_once),
        CASE(time_in_which_somebody_waits_is_told),
        CASE(rate_holds_over_time),
};
CHECK_MAIN("throttle", cases)
