/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/stall.h"

#include "tests/lib/check.h"

static struct stall stall_of(wtime limit_ms)
{
    struct stall s;

    stall_init(&s, WTIME_MS(limit_ms));
    return s;
}

static void a_canary_over_the_limit_is_a_stall(void) /* [BRK-41] */
{
    struct stall s = stall_of(5000);

    stall_on_waiting(&s, WTIME_MS(100), WTIME_MS(5100));
    CHECK(!s.is_stalled);
    stall_on_waiting(&s, WTIME_MS(100), WTIME_MS(5101));
    CHECK(s.is_stalled);
    CHECK_EQ(stall_ms(&s, WTIME_MS(5101)), 5001);
    stall_on_waiting(&s, WTIME_MS(100), WTIME_MS(9000));
    CHECK_EQ(stall_ms(&s, WTIME_MS(9000)), 8900);
}

static void one_that_was_seen_only_at_its_end_counts_too(void) /* [BRK-41] */
{
    struct stall s = stall_of(5000);

    stall_on_done(&s, WTIME_MS(100), WTIME_MS(5001));
    CHECK(s.is_stalled);
}

static void a_slow_disk_never_stalls(void) /* [BRK-41] */
{
    struct stall s = stall_of(1000);

    for (wtime t = 0; t < 1000; t++) {
        stall_on_waiting(&s, WTIME_MS(t * 1200), WTIME_MS(t * 1200 + 200));
        stall_on_done(&s, WTIME_MS(t * 1200), WTIME_MS(200));
        CHECK(!s.is_stalled);
        CHECK_EQ(stall_ms(&s, WTIME_MS(t * 1200 + 200)), 0);
    }
}

static void two_good_canaries_in_a_row_end_it(void) /* [BRK-42] */
{
    struct stall s = stall_of(1000);

    stall_on_done(&s, 0, WTIME_MS(3000));
    stall_on_done(&s, WTIME_MS(3000), WTIME_MS(10));
    CHECK(s.is_stalled);
    stall_on_waiting(&s, WTIME_MS(4000), WTIME_MS(5500)); /* It hangs again: counted anew. */
    stall_on_done(&s, WTIME_MS(4000), WTIME_MS(1600));
    stall_on_done(&s, WTIME_MS(6000), WTIME_MS(1000));
    CHECK(s.is_stalled);
    CHECK_EQ(stall_ms(&s, WTIME_MS(7000)), 7000);
    stall_on_done(&s, WTIME_MS(7000), WTIME_MS(1000));
    CHECK(!s.is_stalled);
    CHECK_EQ(stall_ms(&s, WTIME_MS(8000)), 0);
}

static const struct check_case cases[] = {
        CASE(a_canary_over_the_limit_is_a_stall),
        CASE(one_that_was_seen_only_at_its_end_counts_too),
        CASE(a_slow_disk_never_stalls),
        CASE(two_good_canaries_in_a_row_end_it),
};
CHECK_MAIN("stall", cases)
