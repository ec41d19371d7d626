/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/core/fetch_plan.h"
#include "clients/core/metadata_view.h"
#include "common/base/array.h"
#include "common/domain/errcode.h"
#include "tests/lib/check.h"

/* --- Metadata --------------------------------------------------------------------------------- */

static struct uuid id_of(uint8_t n)
{
    return (struct uuid){.bytes = {n}};
}

static void answer(struct mv_topic *t, uint8_t id, const struct mv_partition *leaders, int32_t n)
{
    struct mv_answer_topic a = {.id = id_of(id), .leaders = leaders, .n = n};

    (void)mv_topic_apply(t, &a, 1);
}

static void an_older_leader_epoch_is_not_believed(void)
{
    struct mv_topic t = {0};

    answer(&t, 1, (struct mv_partition[]){{.leader = 5, .leader_epoch = 3}}, 1);
    answer(&t, 1, (struct mv_partition[]){{.leader = 4, .leader_epoch = 2}}, 1);
    CHECK_EQ(t.partitions[0].leader, 5);
    answer(&t, 1, (struct mv_partition[]){{.leader = 6, .leader_epoch = 4}}, 1);
    CHECK_EQ(t.partitions[0].leader, 6);
    mv_topic_deinit(&t);
}

static void a_topic_created_anew_starts_over(void)
{
    struct mv_topic t = {0};

    answer(&t, 1, (struct mv_partition[]){{5, 30}, {5, 30}}, 2);
    answer(&t, 2, (struct mv_partition[]){{4, 1}}, 1);
    CHECK_EQ(t.partitions[0].leader, 4);
    CHECK_EQ(t.partitions[1].leader, BROKER_NONE);
    CHECK(mv_topic_is_incomplete(&t));
    mv_topic_deinit(&t);
}

static void a_refusal_keeps_what_was_known(void)
{
    struct mv_topic t = {0};
    struct mv_answer_topic refused = {.error = ERRCODE_UNKNOWN_TOPIC_OR_PARTITION};

    CHECK(mv_topic_is_incomplete(&t));
    answer(&t, 1, (struct mv_partition[]){{5, 30}}, 1);
    CHECK(!mv_topic_is_incomplete(&t));
    CHECK(mv_topic_apply(&t, &refused, 77));
    CHECK(!mv_topic_apply(&t, &refused, 99));
    CHECK_EQ(t.refused_since, 77);
    CHECK_EQ(t.partitions[0].leader, 5);
    CHECK(mv_topic_is_incomplete(&t));
    mv_topic_deinit(&t);
}

static void refreshes_back_off_while_they_are_fruitless(void)
{
    struct mv_refresh r;

    mv_refresh_init(&r, 100, 1000, 100000, 1);
    CHECK(!mv_refresh_is_due(&r, 5));
    mv_refresh_want(&r);
    CHECK(mv_refresh_is_due(&r, 5));
    mv_refresh_begin(&r);
    CHECK(!mv_refresh_is_due(&r, 5));
    mv_refresh_failed(&r, 10);
    CHECK(!mv_refresh_is_due(&r, 80));
    CHECK(mv_refresh_is_due(&r, 140));
    mv_refresh_begin(&r);
    mv_refresh_answered(&r, false, 200);
    CHECK(!mv_refresh_is_due(&r, 350));
    CHECK(mv_refresh_is_due(&r, 450));
    mv_refresh_begin(&r);
    mv_refresh_answered(&r, true, 500);
    CHECK(!mv_refresh_is_due(&r, 5000));
    CHECK(mv_refresh_is_due(&r, 100500));
}

static void wishes_follow_each_other_at_a_distance(void)
{
    struct mv_refresh r;

    mv_refresh_init(&r, 100, 1000, 100000, 1);
    mv_refresh_want(&r);
    mv_refresh_begin(&r);
    mv_refresh_want(&r); /* while one is out */
    mv_refresh_answered(&r, true, 500);
    CHECK(!mv_refresh_is_due(&r, 520));
    CHECK(mv_refresh_is_due(&r, 620));
}

/* --- Fetching --------------------------------------------------------------------------------- */

static struct fetch_plan plan;
static struct fetch_part parts[3];
static const struct fetch_epochs no_epochs;

static void start(enum fetch_reset reset)
{
    struct fetch_settings s = {.queue_max = 1000,
            .partition_max = 100,
            .request_max = 500,
            .reset = reset,
            .retry_backoff = 100,
            .retry_backoff_max = 1000};

    fetch_plan_init(&plan, &s, 1);
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        fetch_plan_add(&plan, &parts[i], 10);
        parts[i].leader = 1;
    }
}

static size_t fetches(wtime now, struct fetch_part **ret)
{
    size_t max = 0;

    return fetch_plan_fetches(&plan, 1, now, ret, COUNT_OF(parts), &max);
}

static void everything_free_is_asked_once(void)
{
    struct fetch_part *got[3];

    start(FETCH_RESET_NONE);
    parts[1].leader = 2;
    parts[2].is_paused = true;
    CHECK_EQ(fetches(1, got), 1);
    CHECK(got[0] == &parts[0]);
    CHECK_EQ(fetches(1, got), 0);
}

static void a_full_queue_stops_fetching(void)
{
    struct fetch_part *got[3];

    start(FETCH_RESET_NONE);
    CHECK_EQ(fetches(1, got), 3);
    fetch_plan_fetched(&plan, &parts[0], 250, 20, &no_epochs, 50);
    fetch_plan_fetched(&plan, &parts[1], 50, 20, &no_epochs, 50);
    fetch_plan_fetched(&plan, &parts[2], 0, 0, NULL, 50);
    CHECK_EQ(fetches(1, got), 2); /* parts[0] has two answers' worth */
    CHECK(got[0] == &parts[2]);   /* served longest ago */
    fetch_plan_fetched(&plan, got[0], 800, 90, &no_epochs, 90);
    CHECK_EQ(fetches(1, got), 0);
    fetch_plan_unqueued(&plan, &parts[2], 800);
    fetch_plan_unqueued(&plan, &parts[0], 250);
    CHECK_EQ(fetches(1, got), 2);
    CHECK_EQ(parts[0].offset, 20);
}

static void positions_are_looked_up_before_fetching(void)
{
    struct fetch_part *got[3];

    start(FETCH_RESET_NONE);
    uint64_t version = parts[0].version;
    fetch_plan_seek(&parts[0], -1);
    fetch_plan_seek_time(&parts[1], 1234);
    CHECK(parts[0].version != version);
    CHECK_EQ(fetches(1, got), 1);
    CHECK_EQ(fetch_plan_lookups(&plan, 1, 1, got, 3), 2);
    CHECK_EQ(got[1]->seek_time, 1234);
    fetch_plan_found(&parts[0], 77);
    CHECK_EQ(fetches(1, got), 1);
    CHECK_EQ(got[0]->offset, 77);
}

static void failures_are_judged(void)
{
    static const struct {
        int code;
        enum fetch_reset reset;
        enum fetch_verdict verdict;
    } rows[] = {
            {ERRCODE_NOT_LEADER_OR_FOLLOWER, FETCH_RESET_NONE, FETCH_RETRY},
            {ERRCODE_NETWORK_EXCEPTION, FETCH_RESET_NONE, FETCH_RETRY},
            {ERRCODE_UNKNOWN_TOPIC_ID, FETCH_RESET_NONE, FETCH_RETRY},
            {ERRCODE_KAFKA_STORAGE_ERROR, FETCH_RESET_NONE, FETCH_RETRY},
            {ERRCODE_OFFSET_OUT_OF_RANGE, FETCH_RESET_NONE, FETCH_REST},
            {ERRCODE_OFFSET_OUT_OF_RANGE, FETCH_RESET_EARLIEST, FETCH_MOVED},
            {ERRCODE_OFFSET_OUT_OF_RANGE, FETCH_RESET_LATEST, FETCH_MOVED},
            {ERRCODE_TOPIC_AUTHORIZATION_FAILED, FETCH_RESET_LATEST, FETCH_REST},
    };
    struct fetch_part *got[3];

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        start(rows[i].reset);
        CHECK_EQ(fetches(1, got), 3);
        CHECK_EQ(fetch_plan_failed(&plan, &parts[0], rows[i].code, 1000), rows[i].verdict);
        CHECK_EQ(fetches(1000, got), 0);
        CHECK_EQ(fetches(1200, got), rows[i].verdict == FETCH_RETRY ? 1 : 0);
        CHECK_EQ(parts[0].is_resting, rows[i].verdict == FETCH_REST);
    }
}

static void a_resting_partition_goes_on_when_sought(void)
{
    struct fetch_part *got[3];

    start(FETCH_RESET_NONE);
    CHECK_EQ(fetches(1, got), 3);
    CHECK_EQ(fetch_plan_failed(&plan, &parts[0], ERRCODE_OFFSET_OUT_OF_RANGE, 1), FETCH_REST);
    fetch_plan_seek(&parts[0], 5);
    CHECK_EQ(fetches(1, got), 1);
}

static void the_end_is_known_when_all_have_it(void)
{
    struct fetch_part *got[3];

    start(FETCH_RESET_NONE);
    CHECK(!fetch_plan_is_at_end(&plan));
    CHECK_EQ(fetches(1, got), 3);
    fetch_plan_fetched(&plan, &parts[0], 0, 0, NULL, 10);
    fetch_plan_fetched(&plan, &parts[1], 0, 0, NULL, 10);
    fetch_plan_fetched(&plan, &parts[2], 50, 11, &no_epochs, 11);
    CHECK(!fetch_plan_is_at_end(&plan));
    fetch_plan_unqueued(&plan, &parts[2], 50);
    CHECK(fetch_plan_is_at_end(&plan));
}

/* --- Logs that part --------------------------------------------------------------------------- */

/* parts[0] was fetched from 10 up to 40: epoch 2 below 20, then 4, then from 30 on 5. */
static void fetch_three_epochs(void)
{
    static const struct fetch_epochs epochs = {.n = 3, .at = {{2, 10}, {4, 20}, {5, 30}}};
    struct fetch_part *got[3];

    start(FETCH_RESET_NONE);
    CHECK_EQ(fetches(1, got), 3);
    fetch_plan_fetched(&plan, &parts[0], 90, 40, &epochs, 40);
    CHECK_EQ(fetch_plan_last_epoch(&parts[0]), 5);
    CHECK_EQ(fetches(1, got), 1);
}

/* [FET-31] */
static void logs_part_where_the_common_epoch_ends(void)
{
    static const struct {
        epoch32 epoch;
        offset64 end, to;
        epoch32 last;
    } rows[] = {
            {5, 35, 35, 5}, /* the leader's last epoch ends before ours */
            {4, 33, 30, 4}, /* its epoch 4 went on: what it has of it is not all known here */
            {4, 25, 25, 4},
            {4, 20, 20, 2},
            {3, 33, 20, 2}, /* an epoch of which nothing was read: where the one below ends here */
            {2, 15, 15, 2},
            {2, 25, 20, 2},
            {1, 25, 10, EPOCH_NONE}, /* nothing in common is known */
            {1, 5, 5, EPOCH_NONE},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        fetch_three_epochs();
        uint64_t version = parts[0].version;
        CHECK(fetch_plan_diverged(&parts[0], rows[i].epoch, rows[i].end, 40));
        CHECK_EQ(parts[0].offset, rows[i].to);
        CHECK_EQ(fetch_plan_last_epoch(&parts[0]), rows[i].last);
        CHECK(parts[0].version != version);
        CHECK(fetch_plan_agreed(&parts[0]));
        CHECK(!fetch_plan_agreed(&parts[0]));
    }
}

/* [FET-32] */
static void what_was_not_handed_out_is_not_missed(void)
{
    fetch_three_epochs();
    CHECK(fetch_plan_diverged(&parts[0], 4, 25, 22));
    CHECK_EQ(parts[0].offset, 22); /* what was between was dropped, and comes again */
    CHECK(!fetch_plan_agreed(&parts[0]));
    fetch_three_epochs();
    CHECK(fetch_plan_diverged(&parts[0], 4, 25, 26));
    CHECK(fetch_plan_agreed(&parts[0]));
}

static void an_answer_that_takes_nothing_back_makes_no_sense(void)
{
    fetch_three_epochs();
    CHECK(!fetch_plan_diverged(&parts[0], 5, 40, 40));
    CHECK(!fetch_plan_diverged(&parts[0], 6, 77, 40));
    CHECK(!fetch_plan_diverged(&parts[0], 4, -1, 40));
    fetch_three_epochs();
    fetch_plan_seek(&parts[0], 40);
    struct fetch_part *got[3];
    CHECK_EQ(fetches(1, got), 1);
    CHECK_EQ(fetch_plan_last_epoch(&parts[0]), EPOCH_NONE);
    CHECK(!fetch_plan_diverged(&parts[0], 5, 20, 40));
}

static void epochs_without_room_count_as_older_ones(void)
{
    struct fetch_epochs e = {0};

    for (int i = 0; i < 20; i++) {
        fetch_epochs_note(&e, i, i * 10);
        fetch_epochs_note(&e, i, i * 10 + 5);
    }
    CHECK_EQ(e.n, COUNT_OF(e.at));
    CHECK_EQ(e.at[0].epoch, 0);
    CHECK_EQ(e.at[0].start, 0);
    CHECK_EQ(e.at[1].epoch, 13);
    CHECK_EQ(e.at[1].start, 130);
    CHECK_EQ(e.at[7].epoch, 19);
}

static const struct check_case cases[] = {
        CASE(an_older_leader_epoch_is_not_believed),
        CASE(a_topic_created_anew_starts_over),
        CASE(a_refusal_keeps_what_was_known),
        CASE(refreshes_back_off_while_they_are_fruitless),
        CASE(wishes_follow_each_other_at_a_distance),
        CASE(everything_free_is_asked_once),
        CASE(a_full_queue_stops_fetching),
        CASE(positions_are_looked_up_before_fetching),
        CASE(failures_are_judged),
        CASE(a_resting_partition_goes_on_when_sought),
        CASE(the_end_is_known_when_all_have_it),
        CASE(logs_part_where_the_common_epoch_ends),
        CASE(what_was_not_handed_out_is_not_missed),
        CASE(an_answer_that_takes_nothing_back_makes_no_sense),
        CASE(epochs_without_room_count_as_older_ones),
};

CHECK_MAIN("client_plans", cases)
