/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/retention.h"

#include "common/base/array.h"
#include "tests/lib/check.h"

/* Four segments of 100 bytes and ten records each, the last one active, written at 1000, 2000, 3000 and 4000 with records of
 * these times; all committed. */
struct log {
    struct retention_segment segments[4];
    struct retention_log log;
    struct retention_policy policy; /* no limits */
};

static void log_init(struct log *l)
{
    for (size_t i = 0; i < 4; i++) {
        l->segments[i] = (struct retention_segment){.base = (offset64)i * 10,
                .end = (offset64)i * 10 + 10,
                .size = 100,
                .has_max_timestamp = true,
                .max_timestamp = ((wall_ms)i + 1) * 1000,
                .has_modified = true,
                .modified = ((wall_ms)i + 1) * 1000};
    }
    l->log = (struct retention_log){.segments = l->segments, .n = 4, .high_watermark = 40};
    l->policy = (struct retention_policy){.may_delete = true, .ms = -1, .bytes = -1};
}

static struct retention_plan plan_at(const struct log *l, wall_ms now)
{
    return retention_plan(&l->log, &l->policy, now);
}

static void nothing_goes_without_limits(void)
{
    struct log l;

    log_init(&l);
    struct retention_plan plan = plan_at(&l, INT64_MAX);
    CHECK_EQ(plan.n_remove, 0);
    CHECK_EQ(plan.start, 0);
    CHECK(!plan.must_roll);
    CHECK(plan.look_up == RETENTION_NONE);
}

static void segment_goes_when_its_latest_record_is_too_old(void) /* [LOG-25] */
{
    struct log l;

    log_init(&l);
    l.policy.ms = 500;
    CHECK_EQ(plan_at(&l, 1500).n_remove, 0);
    CHECK_EQ(plan_at(&l, 1501).n_remove, 1);
    CHECK_EQ(plan_at(&l, 1501).start, 10);
    CHECK_EQ(plan_at(&l, 3000).n_remove, 2);
    CHECK_EQ(plan_at(&l, 3000).n_by_age, 2);
    CHECK(!plan_at(&l, 3000).must_roll);
    l.segments[0].max_timestamp = 2900; /* an out-of-date neighbour does not pull it along */
    CHECK_EQ(plan_at(&l, 3000).n_remove, 0);
}

static void active_segment_is_rolled_when_all_of_it_is_too_old(void) /* [LOG-25] */
{
    struct log l;

    log_init(&l);
    l.policy.ms = 500;
    struct retention_plan plan = plan_at(&l, 4501);
    CHECK_EQ(plan.n_remove, 3);
    CHECK_EQ(plan.start, 30);
    CHECK(plan.must_roll);
    l.segments[3].size = 0; /* [LOG-29] */
    l.segments[3].end = 30;
    l.log.high_watermark = 30;
    CHECK_EQ(plan_at(&l, 9000).n_remove, 3);
    CHECK(!plan_at(&l, 9000).must_roll);
}

static void record_of_the_future_counts_as_when_it_was_written(void) /* [LOG-26] */
{
    struct log l;

    log_init(&l);
    l.policy.ms = 500;
    l.segments[0].max_timestamp = INT64_MAX;
    CHECK_EQ(plan_at(&l, 1500).n_remove, 0);
    CHECK_EQ(plan_at(&l, 1501).n_remove, 1);
    l.segments[0].max_timestamp = -1; /* no timestamp at all */
    CHECK_EQ(plan_at(&l, 1501).n_remove, 1);
    l.segments[0].max_timestamp = l.segments[0].modified = 50000; /* the clock was set back */
    CHECK_EQ(plan_at(&l, 1501).n_remove, 0);
    CHECK_EQ(retention_time_of(&l.segments[0], 1501), 1501);
}

static void oldest_go_while_the_rest_reaches_the_limit(void) /* [LOG-27] */
{
    static const struct {
        int64_t bytes;
        size_t n_remove;
        bool must_roll;
    } cases[] = {{401, 0, false}, {400, 0, false}, {301, 0, false}, {300, 1, false},
            {299, 1, false}, {200, 2, false}, {1, 3, false}, {0, 3, true}};
    struct log l;

    log_init(&l);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        l.policy.bytes = cases[i].bytes;
        CHECK_EQ(plan_at(&l, 5000).n_remove, cases[i].n_remove);
        CHECK_EQ(plan_at(&l, 5000).n_by_size, cases[i].n_remove);
        CHECK_EQ(plan_at(&l, 5000).must_roll, cases[i].must_roll);
    }
}

static void what_lies_below_the_log_start_goes_whatever_the_policy(void) /* [LOG-28] [LOG-30] */
{
    struct log l;

    log_init(&l);
    l.policy = (struct retention_policy){.may_delete = false, .ms = 1, .bytes = 1};
    l.log.start = 25;
    struct retention_plan plan = plan_at(&l, 100000);
    CHECK_EQ(plan.n_remove, 2);
    CHECK_EQ(plan.n_by_age + plan.n_by_size, 0);
    CHECK_EQ(plan.start, 25);
    CHECK(!plan.must_roll);
    l.log.start = 40; /* all that is there */
    CHECK_EQ(plan_at(&l, 100000).n_remove, 3);
    CHECK(plan_at(&l, 100000).must_roll);
}

static void what_is_not_committed_stays(void) /* [LOG-29] */
{
    struct log l;

    log_init(&l);
    l.policy.ms = 0;
    l.policy.bytes = 0;
    l.log.high_watermark = 29;
    CHECK_EQ(plan_at(&l, 100000).n_remove, 2);
    CHECK_EQ(plan_at(&l, 100000).start, 20);
    l.log.high_watermark = 39;
    CHECK_EQ(plan_at(&l, 100000).n_remove, 3);
    CHECK(!plan_at(&l, 100000).must_roll);
}

static void timestamp_is_asked_for_only_where_the_plan_hangs_on_it(void)
{
    struct log l;

    log_init(&l);
    for (size_t i = 0; i < 4; i++) {
        l.segments[i].has_max_timestamp = false;
    }
    l.log.start = 10;
    CHECK(plan_at(&l, 100000).look_up == RETENTION_NONE);
    l.policy.ms = 500;
    CHECK_EQ(plan_at(&l, 2501).look_up, 1);
    l.segments[1].has_max_timestamp = true;
    CHECK_EQ(plan_at(&l, 2501).n_remove, 2);
    CHECK_EQ(plan_at(&l, 2501).look_up, 2);
    CHECK(plan_at(&l, 2500).look_up == RETENTION_NONE);
    l.segments[1].has_modified = false;
    CHECK_EQ(plan_at(&l, 2501).n_remove, 2);
    CHECK_EQ(plan_at(&l, 1999).look_up, 1); /* its time lies in the future */
}

static const struct check_case cases[] = {CASE(nothing_goes_without_limits),
        CASE(segment_goes_when_its_latest_record_is_too_old),
        CASE(active_segment_is_rolled_when_all_of_it_is_too_old),
        CASE(record_of_the_future_counts_as_when_it_was_written),
        CASE(oldest_go_while_the_rest_reaches_the_limit),
        CASE(what_lies_below_the_log_start_goes_whatever_the_policy),
        CASE(what_is_not_committed_stays),
        CASE(timestamp_is_asked_for_only_where_the_plan_hangs_on_it)};

CHECK_MAIN("retention", cases)
