/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/broker/replica_story.h"

#include "common/base/array.h"
#include "tests/lib/check.h"

/* --- Stories ------------------------------------------------------------------------------------------------------ */

static void a_new_leader_commits_what_its_log_holds(void) /* [REP-22] */
{
    struct fixture *f = fixture_new(120, 100);

    become(f, record(1, 4, 7));
    CHECK_STR(story(f), "orders-0 none -> leader, leader epoch 4, log end 120\n"
                        "high watermark 120\n");
    fixture_free(f);
}

static void a_produce_of_one_replica_is_committed_at_once(void)
{
    struct fixture *f = fixture_new(0, 0);

    become(f, record(1, 0, 0));
    produce(f, 1, -1);
    appended(f, 1, -1, 3);
    produce(f, 2, 1);
    appended(f, 2, 1, 2);
    CHECK_STR(story(f), "orders-0 none -> leader, leader epoch 0, log end 0\n"
                        "append 1 under epoch 0\n"
                        "high watermark 3\n"
                        "reply 1 NONE base 0\n"
                        "append 2 under epoch 0\n"
                        "reply 2 NONE base 3\n"
                        "high watermark 5\n");
    fixture_free(f);
}

static void with_fsync_acks_only_synced_data_is_committed(void)
{
    struct fixture *f = fixture_new(0, 0);
    struct partition_state p = record(1, 0, 0);

    become_as(f, &p, true, true);
    forget_story(f);
    appended(f, 1, -1, 3);
    appended(f, 2, -1, 2);
    CHECK_STR(story(f), "flush\nflush\n"); /* [LOG-71] at once */
    forget_story(f);
    flushed(f, 3);
    CHECK_STR(story(f), "high watermark 3\nreply 1 NONE base 0 on disk\n");
    forget_story(f);
    flushed(f, 5);
    CHECK_STR(story(f), "high watermark 5\nreply 2 NONE base 3 on disk\n");
    fixture_free(f);
}

static void with_fsync_acks_one_waits_for_the_disk_too(void) /* [LOG-70] */
{
    struct fixture *f = fixture_new(0, 0);
    struct partition_state p = record(1, 0, 0);

    become_as(f, &p, true, true);
    forget_story(f);
    appended(f, 1, 1, 3);
    appended(f, 2, 0, 2);
    CHECK_STR(story(f), "flush\nreply 2 NONE base 3\nflush\n"); /* acks=0 asks for nothing */
    forget_story(f);
    flushed(f, 2);
    CHECK_STR(story(f), "high watermark 2\n");
    forget_story(f);
    flushed(f, 5);
    CHECK_STR(story(f), "high watermark 5\nreply 1 NONE base 0 on disk\n");
    fixture_free(f);
}

/* What is sent again is no sooner on the disk. */
static void with_fsync_acks_a_repeat_waits_for_the_disk(void) /* [LOG-70] [PID-19] */
{
    struct fixture *f = fixture_new(0, 0);
    struct partition_state p = record(1, 0, 0);

    become_as(f, &p, true, true);
    appended(f, 1, 1, 3);
    forget_story(f);
    repeated(f, 2, 1, 0, 2);
    repeated(f, 3, -1, 0, 2);
    CHECK_STR(story(f), "");
    flushed(f, 3);
    repeated(f, 4, 1, 0, 2);
    CHECK_STR(story(f), "high watermark 3\n"
                        "reply 1 NONE base 0 on disk\n"
                        "reply 2 NONE base 0 on disk\n"
                        "reply 3 NONE base 0 on disk\n"
                        "reply 4 NONE base 0 on disk\n");
    fixture_free(f);
}

/* The process before was killed: what it had not synced is here, and may go with the power. */
static void with_fsync_acks_what_a_killed_process_left_is_synced_before_it_counts(void) /* [REP-32] */
{
    struct fixture *f = fixture_new(3, 0);
    struct partition_state p = record(1, 0, 0);

    replica_deinit(&f->r);
    replica_init(&f->r, 1, "orders-0", 3, 1, 0, &f->trace);
    become_as(f, &p, true, true);
    CHECK(strstr(story(f), "flush") != NULL);
    CHECK_EQ(f->r.high_watermark, 1);
    forget_story(f);
    repeated(f, 2, -1, 0, 2);
    CHECK_STR(story(f), "");
    flushed(f, 3);
    CHECK_STR(story(f), "orders-0 proposes an ISR of 1 instead of 1, durable, partition epoch 0\n"
                        "propose {1@-1} durable on 0/0\n"
                        "high watermark 3\n"
                        "reply 2 NONE base 0 on disk\n");
    fixture_free(f);
}

/* Nothing can be committed, but acks=1 does not ask for that. */
static void with_fsync_acks_one_needs_no_second_replica(void) /* [LOG-70] */
{
    struct fixture *f = fixture_new(0, 0);
    struct partition_state p = record(1, 0, 0);

    p.min_isr = 2;
    become_as(f, &p, true, true);
    forget_story(f);
    appended(f, 1, 1, 3);
    flushed(f, 3);
    CHECK_STR(story(f), "flush\nreply 1 NONE base 0 on disk\n");
    fixture_free(f);
}

static void the_append_that_fills_flush_messages_waits_for_the_disk(void) /* [LOG-73] */
{
    struct fixture *f = fixture_new(0, 0);

    become(f, record(1, 0, 0));
    forget_story(f);
    appended(f, 1, -1, 1);
    step(f, &(struct replica_event){.kind = REPLICA_EV_APPENDED,
                    .ask = ask(2),
                    .appended = {.acks = -1, .base = 1, .log_end = 2, .needs_disk = true}});
    CHECK_STR(story(f),
            "high watermark 1\nreply 1 NONE base 0\nflush\nhigh watermark 2\n");
    forget_story(f);
    flushed(f, 2);
    CHECK_STR(story(f), "reply 2 NONE base 1 on disk\n");
    fixture_free(f);
}

static void a_failed_sync_acknowledges_nobody(void) /* [LOG-72] */
{
    struct fixture *f = fixture_new(0, 0);
    struct partition_state p = record(1, 0, 0);

    become_as(f, &p, true, true);
    appended(f, 1, -1, 3);
    appended(f, 2, 1, 3);
    forget_story(f);
    step(f, &(struct replica_event){.kind = REPLICA_EV_LOG_FAILED});
    CHECK_STR(story(f), "orders-0 leader -> failed, leader epoch 0, log end 6\n"
                        "reply 1 KAFKA_STORAGE_ERROR base -1\n"
                        "reply 2 KAFKA_STORAGE_ERROR base -1\n"
                        "report\n");
    fixture_free(f);
}

static void fetch_after(struct fixture *f, epoch32 last, offset64 offset, epoch32 known, offset64 end)
{
    step(f, &(struct replica_event){.kind = REPLICA_EV_FETCH,
                    .ask = ask(9),
                    .fetch = {.replica = BROKER_NONE,
                            .leader_epoch = 4,
                            .offset = offset,
                            .last_epoch = last,
                            .known_epoch = known,
                            .known_end = end}});
}

static void a_reader_of_another_history_is_told_where_it_ended(void) /* [LOG-75] */
{
    struct fixture *f = fixture_new(120, 120);

    become(f, record(1, 4, 7));
    forget_story(f);
    fetch_after(f, 2, 100, 2, 100); /* it has all of epoch 2 */
    fetch_after(f, 2, 101, 2, 100); /* it has one record more than there was */
    fetch_after(f, 3, 90, 2, 100);  /* nobody here knows epoch 3 */
    fetch_after(f, 3, 500, 2, 100); /* before its offset is looked at */
    fetch_after(f, EPOCH_NONE, 101, EPOCH_NONE, OFFSET_NONE);
    CHECK_STR(story(f), "read 9 [100, 120)\n"
                        "diverges 9 epoch 2 ended at 100\n"
                        "diverges 9 epoch 2 ended at 100\n"
                        "diverges 9 epoch 2 ended at 100\n"
                        "read 9 [101, 120)\n");
    fixture_free(f);
}

static void a_repeat_is_acknowledged_when_its_original_is_committed(void) /* [PID-19] */
{
    struct fixture *f = fixture_new(0, 0);
    struct partition_state p = record(1, 0, 0);

    become_as(f, &p, true, true);
    appended(f, 1, -1, 3);
    appended(f, 2, -1, 2);
    forget_story(f);
    repeated(f, 3, -1, 0, 2);
    repeated(f, 4, -1, 3, 4);
    CHECK_STR(story(f), ""); /* neither original is on the disk */
    flushed(f, 3);
    CHECK_STR(story(f), "high watermark 3\nreply 1 NONE base 0 on disk\nreply 3 NONE base 0 on disk\n");
    forget_story(f);
    repeated(f, 6, -1, 0, 2);
    CHECK_STR(story(f), "reply 6 NONE base 0 on disk\n"); /* committed before it was repeated */
    forget_story(f);
    become(f, record(BROKER_NONE, 1, 1)); /* what becomes of the others nobody knows */
    CHECK(strstr(story(f), "reply 2 REQUEST_TIMED_OUT base -1\nreply 4 REQUEST_TIMED_OUT") != NULL);
    fixture_free(f);
}

static void a_parked_fetch_is_woken_by_the_next_commit(void)
{
    struct fixture *f = fixture_new(0, 0);

    become(f, record(1, 0, 0));
    forget_story(f);
    fetch(f, 9, 0, 0);
    wait_for(f, 9, 0, 0);
    CHECK_STR(story(f), "read 9 [0, 0)\n");
    appended(f, 1, 1, 1);
    CHECK_STR(story(f), "read 9 [0, 0)\nreply 1 NONE base 0\nhigh watermark 1\nwake 9\n");
    forget_story(f);
    appended(f, 2, 1, 1);
    CHECK_STR(story(f), "reply 2 NONE base 1\nhigh watermark 2\n"); /* once */
    fixture_free(f);
}

static void a_reader_that_missed_a_commit_is_woken_at_once(void)
{
    struct fixture *f = fixture_new(0, 0);

    become(f, record(1, 0, 0));
    appended(f, 1, 1, 1);
    forget_story(f);
    wait_for(f, 9, 0, 0);
    CHECK_STR(story(f), "wake 9\n");
    fixture_free(f);
}

static void a_forgotten_request_is_not_woken(void)
{
    struct fixture *f = fixture_new(0, 0);

    become(f, record(1, 0, 0));
    wait_for(f, 9, 0, 0);
    step(f, &(struct replica_event){.kind = REPLICA_EV_FORGET, .ask = ask(9)});
    forget_story(f);
    appended(f, 1, 1, 1);
    CHECK_STR(story(f), "reply 1 NONE base 0\nhigh watermark 1\n");
    fixture_free(f);
}

static void those_around_a_forgotten_request_are_woken_in_order(void)
{
    struct fixture *f = fixture_new(0, 0);

    become(f, record(1, 0, 0));
    for (uint64_t request = 10; request < 15; request++) {
        wait_for(f, request, 0, 0);
    }
    step(f, &(struct replica_event){.kind = REPLICA_EV_FORGET, .ask = ask(12)});
    step(f, &(struct replica_event){.kind = REPLICA_EV_FORGET, .ask = ask(99)}); /* nobody */
    step(f, &(struct replica_event){.kind = REPLICA_EV_FORGET, .ask = ask(10)});
    forget_story(f);
    appended(f, 1, 1, 1);
    CHECK_STR(story(f), "reply 1 NONE base 0\nhigh watermark 1\nwake 11\nwake 13\nwake 14\n");
    fixture_free(f);
}

static void losing_leadership_releases_everybody(void) /* [REP-21] */
{
    struct fixture *f = fixture_new(0, 0);
    struct partition_state p = record(1, 0, 0);

    become_as(f, &p, true, true); /* fsync: the produce stays parked */
    appended(f, 1, -1, 1);
    wait_for(f, 9, 0, 0);
    forget_story(f);
    become(f, record(BROKER_NONE, 1, 1));
    CHECK_STR(story(f), "orders-0 leader -> follower, leader epoch 1, log end 1\n"
                        "reply 1 REQUEST_TIMED_OUT base -1\n"
                        "wake 9\n");
    fixture_free(f);
}

static void a_failed_log_ends_everything(void) /* [REP-33] */
{
    struct fixture *f = fixture_new(0, 0);

    become(f, record(1, 0, 0));
    wait_for(f, 9, 0, 0);
    forget_story(f);
    step(f, &(struct replica_event){.kind = REPLICA_EV_LOG_FAILED});
    produce(f, 1, -1);
    fetch(f, 2, 0, 0);
    become(f, record(1, 1, 1));
    produce(f, 3, -1);
    CHECK_STR(story(f), "orders-0 leader -> failed, leader epoch 0, log end 0\n"
                        "wake 9\n"
                        "report\n"
                        "reply 1 KAFKA_STORAGE_ERROR base -1\n"
                        "reply 2 KAFKA_STORAGE_ERROR base -1\n"
                        "reply 3 KAFKA_STORAGE_ERROR base -1\n");
    fixture_free(f);
}

/* --- Who leads ---------------------------------------------------------------------------------------------------- */

static void a_broker_that_is_fenced_or_has_another_epoch_does_not_lead(void) /* [REP-20] */
{
    struct fixture *f = fixture_new(0, 0);
    struct partition_state p = record(1, 0, 0);

    become_as(f, &p, false, false);
    produce(f, 1, -1);
    CHECK_STR(story(f), "reply 1 NOT_LEADER_OR_FOLLOWER base -1\n");
    become_as(f, &p, true, false); /* the same record, unfenced since */
    CHECK_EQ(f->r.role, REPLICA_LEADER);
    become_as(f, &p, false, false);
    CHECK_EQ(f->r.role, REPLICA_NONE);
    fixture_free(f);
}

static void an_older_record_changes_nothing(void) /* [REP-19] */
{
    struct fixture *f = fixture_new(0, 0);

    become(f, record(1, 3, 5));
    become(f, record(2, 2, 4));
    CHECK_EQ(f->r.role, REPLICA_LEADER);
    CHECK_EQ(f->r.record.leader_epoch, 3);
    CHECK_EQ(f->r.record.partition_epoch, 5);
    fixture_free(f);
}

static void stopping_leaves_no_role(void)
{
    struct fixture *f = fixture_new(0, 0);

    become(f, record(1, 0, 0));
    step(f, &(struct replica_event){.kind = REPLICA_EV_STOP});
    CHECK_EQ(f->r.role, REPLICA_NONE);
    become(f, record(1, 1, 1));
    CHECK_EQ(f->r.role, REPLICA_LEADER);
    fixture_free(f);
}

/* --- Admission ---------------------------------------------------------------------------------------------------- */

static void a_fetch_is_fenced_by_its_leader_epoch(void) /* [REP-24] */
{
    static const struct {
        epoch32 epoch;
        int error;
    } rows[] = {
            {3, ERRCODE_FENCED_LEADER_EPOCH},
            {4, ERRCODE_NONE},
            {5, ERRCODE_UNKNOWN_LEADER_EPOCH},
            {EPOCH_NONE, ERRCODE_NONE},
    };
    struct fixture *f = fixture_new(10, 10);

    become(f, record(1, 4, 4));
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        fetch(f, 1, rows[i].epoch, 0);
        CHECK_EQ(f->fx.n, 1);
        CHECK_EQ(f->fx.items[0].kind == REPLICA_FX_READ, rows[i].error == ERRCODE_NONE);
        CHECK_EQ(f->fx.items[0].error, rows[i].error);
    }
    fixture_free(f);
}

static void a_fetch_beyond_the_log_end_is_out_of_range_and_beyond_the_high_watermark_is_not(void)
{
    struct fixture *f = fixture_new(0, 0);
    struct partition_state p = record(1, 0, 0);

    become_as(f, &p, true, true);
    appended(f, 1, 1, 5); /* log end 5, nothing synced */
    fetch(f, 2, 0, 5);
    CHECK_EQ(f->fx.items[0].kind, REPLICA_FX_READ); /* [REP-27] */
    CHECK_EQ(f->fx.items[0].limit, 0);
    fetch(f, 3, 0, 6);
    CHECK_EQ(f->fx.items[0].error, ERRCODE_OFFSET_OUT_OF_RANGE);
    fetch(f, 4, 0, -1);
    CHECK_EQ(f->fx.items[0].error, ERRCODE_OFFSET_OUT_OF_RANGE);
    fixture_free(f);
}

static void acks_all_needs_min_isr_members_before_the_append(void) /* [REP-23] [REP-25] */
{
    struct fixture *f = fixture_new(0, 0);
    struct partition_state p = record(1, 0, 0);

    p.min_isr = 2;
    become(f, p);
    forget_story(f);
    produce(f, 1, -1);
    produce(f, 2, 1);
    appended(f, 2, 1, 1);
    CHECK_STR(story(f), "reply 1 NOT_ENOUGH_REPLICAS base -1\n"
                        "append 2 under epoch 0\n"
                        "reply 2 NONE base 0\n"); /* and the high watermark stands */
    CHECK_EQ(f->r.high_watermark, 0);
    fixture_free(f);
}

static void the_latest_offset_waits_for_the_high_watermark(void) /* [REP-28] */
{
    struct fixture *f = fixture_new(10, 4);
    struct partition_state p = record(1, 1, 1);
    struct replica_event latest = {.kind = REPLICA_EV_LIST,
            .ask = ask(1),
            .list = {.leader_epoch = EPOCH_NONE, .latest = true}};

    p.min_isr = 2; /* so that the high watermark stays where it was */
    become(f, p);
    step(f, &latest);
    CHECK_EQ(f->fx.items[0].error, ERRCODE_OFFSET_NOT_AVAILABLE);
    latest.list.latest = false;
    step(f, &latest);
    CHECK_EQ(f->fx.items[0].kind, REPLICA_FX_OFFSETS);
    p.min_isr = 1;
    p.partition_epoch = 2;
    become(f, p);
    latest.list.latest = true;
    step(f, &latest);
    CHECK_EQ(f->fx.items[0].kind, REPLICA_FX_OFFSETS);
    CHECK_EQ(f->fx.items[0].limit, 10);
    fixture_free(f);
}

static void a_checkpoint_beyond_the_log_is_cut_to_it(void)
{
    struct fixture *f = fixture_new(7, 12);

    CHECK_EQ(f->r.high_watermark, 7);
    fixture_free(f);
}

static const struct check_case cases[] = {
        CASE(a_new_leader_commits_what_its_log_holds),
        CASE(a_produce_of_one_replica_is_committed_at_once),
        CASE(with_fsync_acks_only_synced_data_is_committed),
        CASE(a_repeat_is_acknowledged_when_its_original_is_committed),
        CASE(with_fsync_acks_one_waits_for_the_disk_too),
        CASE(with_fsync_acks_a_repeat_waits_for_the_disk),
        CASE(with_fsync_acks_what_a_killed_process_left_is_synced_before_it_counts),
        CASE(with_fsync_acks_one_needs_no_second_replica),
        CASE(the_append_that_fills_flush_messages_waits_for_the_disk),
        CASE(a_failed_sync_acknowledges_nobody),
        CASE(a_reader_of_another_history_is_told_where_it_ended),
        CASE(a_parked_fetch_is_woken_by_the_next_commit),
        CASE(a_reader_that_missed_a_commit_is_woken_at_once),
        CASE(a_forgotten_request_is_not_woken),
        CASE(those_around_a_forgotten_request_are_woken_in_order),
        CASE(losing_leadership_releases_everybody),
        CASE(a_failed_log_ends_everything),
        CASE(a_broker_that_is_fenced_or_has_another_epoch_does_not_lead),
        CASE(an_older_record_changes_nothing),
        CASE(stopping_leaves_no_role),
        CASE(a_fetch_is_fenced_by_its_leader_epoch),
        CASE(a_fetch_beyond_the_log_end_is_out_of_range_and_beyond_the_high_watermark_is_not),
        CASE(acks_all_needs_min_isr_members_before_the_append),
        CASE(the_latest_offset_waits_for_the_high_watermark),
        CASE(a_checkpoint_beyond_the_log_is_cut_to_it),
};
CHECK_MAIN("replica", cases)
