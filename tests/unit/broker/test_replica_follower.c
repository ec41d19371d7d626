/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/broker/replica_story.h"

#include "tests/lib/check.h"

/* Broker 1 follows broker 2, leader epoch 4, and what becomes of a replica that failed. */

struct world {
    struct fixture *f;
    struct partition_state record;
    bool fsync;
};

static void push(struct world *w)
{
    become_as(w->f, &w->record, true, w->fsync);
}

static void follow(struct world *w, offset64 log_end, offset64 high_watermark, bool in_isr)
{
    *w = (struct world){.f = fixture_new(log_end, high_watermark),
            .record = {.replicas = {.n = 3, .at = {1, 2, 3}},
                    .isr = {.n = 1, .at = {2}},
                    .leader = 2,
                    .leader_epoch = 4,
                    .partition_epoch = 7,
                    .min_isr = 1,
                    .unclean_epoch = EPOCH_NONE}};
    w->f->now = WTIME_S(100);
    if (in_isr) {
        (void)broker_set_add(&w->record.isr, 1);
    }
    push(w);
    forget_story(w->f);
}

/* An answer to what is asked now: nothing new. */
static struct replica_event answer(const struct world *w)
{
    return (struct replica_event){.kind = REPLICA_EV_FETCHED,
            .fetched = {.leader_epoch = w->record.leader_epoch,
                    .asked = w->f->r.log_end,
                    .asked_epoch = w->f->r.log_end > 0 ? 3 : EPOCH_NONE,
                    .leader_hw = w->f->r.high_watermark,
                    .diverging_epoch = EPOCH_NONE,
                    .diverging_end = OFFSET_NONE,
                    .local_epoch = EPOCH_NONE,
                    .local_end = OFFSET_NONE,
                    .hw_epoch = 3,
                    .log_last_epoch = w->f->r.log_end > 0 ? 3 : EPOCH_NONE}};
}

static struct replica_event batches(const struct world *w, int n, offset64 leader_hw)
{
    struct replica_event ev = answer(w);

    ev.fetched.n_bytes = 100;
    ev.fetched.first_base = ev.fetched.asked;
    ev.fetched.next = ev.fetched.asked + n;
    ev.fetched.first_epoch = ev.fetched.last_epoch = 4;
    ev.fetched.is_sound = true;
    ev.fetched.leader_hw = leader_hw;
    return ev;
}

static struct replica_event diverging(
        const struct world *w, epoch32 e, offset64 end, epoch32 local_e, offset64 local_end)
{
    struct replica_event ev = answer(w);

    ev.fetched.diverging_epoch = e;
    ev.fetched.diverging_end = end;
    ev.fetched.local_epoch = local_e;
    ev.fetched.local_end = local_end;
    return ev;
}

static void copied(struct world *w, offset64 log_end)
{
    step(w->f, &(struct replica_event){.kind = REPLICA_EV_COPIED, .copied = {.log_end = log_end}});
}

static void cut(struct world *w, offset64 log_end)
{
    step(w->f, &(struct replica_event){.kind = REPLICA_EV_CUT, .cut = {.log_end = log_end}});
}

static void out_of_range(struct world *w, offset64 leader_start)
{
    struct replica_event ev = answer(w);

    ev.fetched.error = ERRCODE_OFFSET_OUT_OF_RANGE;
    ev.fetched.leader_start = leader_start;
    step(w->f, &ev);
}

/* --- Copying ------------------------------------------------------------------------------------------------------ */

static void a_follower_is_told_whom_to_fetch_from(void)
{
    struct world w;

    follow(&w, 10, 4, true);
    CHECK_EQ(w.f->fx.items[0].kind, REPLICA_FX_BECAME);
    CHECK_EQ(w.f->fx.items[0].leader, 2);
    w.record.leader = 3;
    w.record.leader_epoch = 5;
    w.record.partition_epoch = 8;
    push(&w);
    CHECK_EQ(w.f->fx.n, 1);
    CHECK_EQ(w.f->fx.items[0].leader, 3);
    w.record.partition_epoch = 9; /* nothing that concerns fetching */
    push(&w);
    CHECK_EQ(w.f->fx.n, 0);
    w.record.leader = BROKER_NONE;
    w.record.leader_epoch = 6;
    w.record.partition_epoch = 10;
    push(&w);
    CHECK_EQ(w.f->fx.items[0].leader, BROKER_NONE);
    fixture_free(w.f);
}

static void what_continues_the_log_is_copied(void) /* [REP-48] [REP-49] */
{
    struct world w;

    follow(&w, 10, 4, true);
    struct replica_event ev = batches(&w, 5, 12);
    step(w.f, &ev);
    CHECK_STR(story(w.f), "high watermark 10\ncopy from 10\n");
    forget_story(w.f);
    copied(&w, 15);
    CHECK_STR(story(w.f), "high watermark 12\n");
    CHECK_EQ(w.f->r.log_end, 15);
    fixture_free(w.f);
}

static void an_answer_without_batches_moves_the_high_watermark(void) /* [REP-49] */
{
    struct world w;

    follow(&w, 10, 4, true);
    struct replica_event ev = answer(&w);
    ev.fetched.leader_hw = 8;
    ev.fetched.leader_start = 6;
    step(w.f, &ev);
    CHECK_STR(story(w.f), "high watermark 8\nstart 6\n");
    ev.fetched.leader_hw = 5; /* a new leader's may lag */
    step(w.f, &ev);
    CHECK_EQ(w.f->r.high_watermark, 8);
    fixture_free(w.f);
}

static void the_start_follows_to_the_high_watermark_at_most(void)
{
    struct world w;

    follow(&w, 10, 4, true);
    struct replica_event ev = answer(&w);
    ev.fetched.leader_hw = 20;
    ev.fetched.leader_start = 15;
    step(w.f, &ev);
    CHECK_STR(story(w.f), "high watermark 10\nstart 10\n");
    fixture_free(w.f);
}

static void an_answer_that_is_not_current_is_dropped(void) /* [REP-44] */
{
    struct world w;

    follow(&w, 10, 4, true);
    struct replica_event ev = batches(&w, 5, 12);
    ev.fetched.leader_epoch = 3;
    step(w.f, &ev);
    ev = batches(&w, 5, 12);
    ev.fetched.asked = 9;
    step(w.f, &ev);
    ev = batches(&w, 5, 12);
    ev.fetched.asked_epoch = 2; /* when it had another record there, which was cut since */
    step(w.f, &ev);
    CHECK_STR(story(w.f), "");
    ev = batches(&w, 5, 12);
    step(w.f, &ev); /* is being copied: */
    forget_story(w.f);
    step(w.f, &ev); /* the same once more */
    CHECK_STR(story(w.f), "");
    fixture_free(w.f);
}

static void damaged_batches_are_asked_for_again(void) /* [REP-48] */
{
    struct world w;

    follow(&w, 10, 10, true);
    struct replica_event ev = batches(&w, 5, 10);
    ev.fetched.is_sound = false;
    step(w.f, &ev);
    CHECK_STR(story(w.f), "fetch later: CORRUPT_MESSAGE\n");
    CHECK_EQ(w.f->r.role, REPLICA_FOLLOWER);
    fixture_free(w.f);
}

static void what_does_not_continue_the_log_fails_the_replica(void) /* [REP-48] */
{
    static const struct {
        offset64 first_base;
        epoch32 first_epoch, last_epoch;
        bool may_skip, is_copied;
    } rows[] = {
            {10, 4, 4, false, true}, {10, 3, 4, false, true},
            {10, 2, 4, false, false}, /* an epoch before the last one here */
            {10, 4, 5, false, false}, /* an epoch after the leader's */
            {11, 4, 4, false, false}, /* a gap */
            {11, 4, 4, true, true},   /* which compaction has left */
            {9, 4, 4, false, false},  /* what is here already */
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct world w;

        follow(&w, 10, 10, true);
        struct replica_event ev = batches(&w, 5, 10);
        ev.fetched.first_base = rows[i].first_base;
        ev.fetched.first_epoch = rows[i].first_epoch;
        ev.fetched.last_epoch = rows[i].last_epoch;
        ev.fetched.may_skip = rows[i].may_skip;
        step(w.f, &ev);
        CHECK_EQ(w.f->r.role, rows[i].is_copied ? REPLICA_FOLLOWER : REPLICA_FAILED);
        CHECK_EQ(w.f->r.work, rows[i].is_copied ? REPLICA_WORK_COPY : REPLICA_WORK_NONE);
        fixture_free(w.f);
    }
}

static void an_empty_log_begins_with_the_batch_that_holds_its_end(void) /* [REP-48] */
{
    struct world w;

    follow(&w, 10, 10, false);
    struct replica_event ev = batches(&w, 5, 10);
    ev.fetched.asked_epoch = ev.fetched.log_last_epoch = EPOCH_NONE;
    ev.fetched.first_base = 8;
    step(w.f, &ev);
    CHECK_STR(story(w.f), "copy from 8\n");
    fixture_free(w.f);
}

static void a_full_disk_makes_it_wait(void)
{
    struct world w;

    follow(&w, 10, 10, true);
    struct replica_event ev = batches(&w, 5, 10);
    step(w.f, &ev);
    forget_story(w.f);
    step(w.f, &(struct replica_event){.kind = REPLICA_EV_COPIED,
                      .copied = {.log_end = 10, .error = ERRCODE_KAFKA_STORAGE_ERROR}});
    CHECK_STR(story(w.f), "fetch later: KAFKA_STORAGE_ERROR\n");
    ev = batches(&w, 5, 10);
    step(w.f, &ev);
    CHECK_EQ(w.f->r.work, REPLICA_WORK_COPY);
    fixture_free(w.f);
}

static void errors_of_the_leader_make_it_wait(void)
{
    struct world w;

    follow(&w, 10, 10, true);
    struct replica_event ev = answer(&w);
    ev.fetched.error = ERRCODE_UNKNOWN_LEADER_EPOCH; /* the push has not reached it */
    step(w.f, &ev);
    CHECK_STR(story(w.f), "fetch later: UNKNOWN_LEADER_EPOCH\n");
    fixture_free(w.f);
}

static void with_fsync_acks_the_disk_is_told_of(void) /* [REP-32] */
{
    struct world w;

    follow(&w, 10, 10, true);
    w.fsync = true;
    push(&w);
    struct replica_event ev = batches(&w, 5, 10);
    step(w.f, &ev);
    forget_story(w.f);
    copied(&w, 15);
    flushed(w.f, 15);
    flushed(w.f, 15);
    CHECK_STR(story(w.f), "flush\nprogress\n");
    fixture_free(w.f);
}

/* --- Cutting ------------------------------------------------------------------------------------------------------ */

static void a_follower_cuts_to_the_end_of_the_common_epoch(
        void) /* [REP-45] KIP-101, KIP-279, KAFKA-6361 */
{
    static const struct {
        epoch32 e;
        offset64 end;
        epoch32 local_e;
        offset64 local_end, to;
    } rows[] = {
            {3, 7, 3, 10, 7}, /* both know the epoch: where it ended first */
            {3, 9, 3, 8, 8},
            {2, 9, 1, 5, 5}, /* it is not known here: where the largest one below it ended */
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct world w;

        follow(&w, 10, 4, true);
        struct replica_event ev =
                diverging(&w, rows[i].e, rows[i].end, rows[i].local_e, rows[i].local_end);
        step(w.f, &ev);
        CHECK_EQ(w.f->fx.items[0].kind, REPLICA_FX_TRUNCATE);
        CHECK_EQ(w.f->fx.items[0].base, rows[i].to);
        cut(&w, rows[i].to);
        CHECK_EQ(w.f->r.log_end, rows[i].to);
        CHECK_EQ(w.f->r.flushed, rows[i].to);
        fixture_free(w.f);
    }
}

static void a_follower_cuts_nothing_on_its_own(void) /* [REP-45] KIP-101 */
{
    struct world w;

    follow(&w, 10, 4, true);
    w.record.leader = 3;
    w.record.leader_epoch = 5;
    w.record.partition_epoch = 8;
    push(&w);
    CHECK_EQ(w.f->r.work, REPLICA_WORK_NONE);
    CHECK_EQ(w.f->r.log_end, 10);
    fixture_free(w.f);
}

static void what_was_committed_is_not_cut(void) /* [REP-46] */
{
    struct world w;

    follow(&w, 10, 8, true);
    struct replica_event ev = diverging(&w, 3, 7, 3, 10);
    step(w.f, &ev);
    CHECK_EQ(w.f->r.role, REPLICA_FAILED);
    CHECK(strstr(story(w.f), "report\n") != NULL);
    CHECK_EQ(w.f->r.log_end, 10);
    fixture_free(w.f);
}

static void after_an_unclean_election_it_is(void) /* [REP-46] */
{
    struct world w;

    follow(&w, 10, 8, true);
    w.record.unclean_epoch = 4;
    w.record.partition_epoch = 8;
    push(&w);
    struct replica_event ev = diverging(&w, 3, 7, 3, 10);
    ev.fetched.hw_epoch = 4; /* committed since: not that */
    step(w.f, &ev);
    CHECK_EQ(w.f->r.role, REPLICA_FAILED);
    fixture_free(w.f);

    follow(&w, 10, 8, true);
    w.record.unclean_epoch = 4;
    w.record.partition_epoch = 8;
    push(&w);
    ev = diverging(&w, 3, 7, 3, 10);
    step(w.f, &ev);
    cut(&w, 7);
    CHECK_STR(story(w.f), "orders-0 differs from leader 2: epoch 3 ends there at 7 -> cut 10 to 7\n"
                          "truncate to 7\nhigh watermark 7\n");
    fixture_free(w.f);
}

static void a_cut_that_shortens_nothing_is_no_answer(void)
{
    struct world w;

    follow(&w, 10, 4, true);
    struct replica_event ev = diverging(&w, 3, 12, 3, 10);
    step(w.f, &ev);
    CHECK_STR(story(w.f), "fetch later: UNKNOWN_SERVER_ERROR\n");
    fixture_free(w.f);
}

static void leading_waits_for_the_cut(void) /* [REP-35] */
{
    struct world w;

    follow(&w, 10, 4, true);
    struct replica_event ev = diverging(&w, 3, 7, 3, 10);
    step(w.f, &ev);
    w.record.leader = 1;
    w.record.leader_epoch = 5;
    w.record.partition_epoch = 8;
    push(&w);
    produce(w.f, 1, -1);
    CHECK_EQ(w.f->fx.items[0].error, ERRCODE_NOT_LEADER_OR_FOLLOWER);
    cut(&w, 7);
    CHECK_EQ(w.f->r.role, REPLICA_LEADER);
    CHECK_EQ(w.f->r.epoch_start, 7);
    fixture_free(w.f);
}

static void stopping_does_not_wait_for_the_cut(void) /* [REP-35] */
{
    struct world w;

    follow(&w, 10, 4, true);
    struct replica_event ev = diverging(&w, 3, 7, 3, 10);
    step(w.f, &ev);
    step(w.f, &(struct replica_event){.kind = REPLICA_EV_STOP});
    CHECK_EQ(w.f->r.role, REPLICA_NONE);
    cut(&w, 7);
    CHECK_EQ(w.f->r.role, REPLICA_NONE);
    CHECK_EQ(w.f->r.log_end, 7);
    fixture_free(w.f);
}

/* --- Beginning anew ----------------------------------------------------------------------------------------------- */

static void who_is_out_of_range_begins_at_the_leaders_start(void) /* [REP-47] */
{
    struct world w;

    follow(&w, 10, 4, false);
    out_of_range(&w, 50);
    CHECK_STR(story(w.f), "orders-0 begins anew at the leader's start 50 instead of 10\n"
                          "restart at 50\n");
    forget_story(w.f);
    cut(&w, 50);
    CHECK_STR(story(w.f), "high watermark 50\n");
    CHECK_EQ(w.f->r.log_end, 50);
    fixture_free(w.f);
}

static void who_may_be_elected_drops_nothing(void) /* [REP-47] */
{
    struct world w;

    follow(&w, 10, 4, true);
    out_of_range(&w, 50);
    CHECK_STR(story(w.f), "report\nfetch later: OFFSET_OUT_OF_RANGE\n");
    forget_story(w.f);
    out_of_range(&w, 50);
    CHECK_STR(story(w.f), "fetch later: OFFSET_OUT_OF_RANGE\n"); /* was reported just now */
    w.f->now = wtime_add(w.f->now, REPLICA_REPORT_PAUSE);
    forget_story(w.f);
    out_of_range(&w, 50);
    CHECK_STR(story(w.f), "report\nfetch later: OFFSET_OUT_OF_RANGE\n");
    broker_set_remove(&w.record.isr, 1);
    w.record.partition_epoch = 8;
    push(&w);
    forget_story(w.f);
    out_of_range(&w, 50);
    CHECK(strstr(story(w.f), "restart at 50\n") != NULL);
    fixture_free(w.f);
}

static void fail(struct world *w, bool is_disk)
{
    step(w->f,
            &(struct replica_event){.kind = REPLICA_EV_LOG_FAILED, .failed = {.is_disk = is_disk}});
}

static void a_failed_replica_reports_until_it_is_out(void) /* [REP-33] */
{
    struct world w;

    follow(&w, 10, 4, true);
    fail(&w, true);
    CHECK_STR(story(w.f), "orders-0 follower -> failed, leader epoch 4, log end 10\nreport\n");
    CHECK_EQ(replica_deadline(&w.f->r), w.f->now + REPLICA_REPORT_PAUSE);
    w.f->now = replica_deadline(&w.f->r);
    forget_story(w.f);
    step(w.f, &(struct replica_event){.kind = REPLICA_EV_TICK});
    CHECK_STR(story(w.f), "report\n");
    broker_set_remove(&w.record.isr, 1);
    w.record.leader_epoch = 5;
    w.record.partition_epoch = 8;
    forget_story(w.f);
    push(&w);
    CHECK_STR(story(w.f), ""); /* [REP-34] on that disk nothing begins anew */
    CHECK_EQ(replica_deadline(&w.f->r), WTIME_NEVER);
    fixture_free(w.f);
}

/* Its old acknowledgement is good for as long as its leader epoch; a fetch of that time may still be on its way. */
static void a_damaged_replica_is_filled_anew_in_a_new_leader_epoch(void) /* [REP-34] */
{
    struct world w;

    follow(&w, 10, 4, true);
    fail(&w, false);
    broker_set_remove(&w.record.isr, 1);
    w.record.partition_epoch = 8; /* out, but in the same leader epoch */
    push(&w);
    CHECK_EQ(w.f->r.work, REPLICA_WORK_NONE);
    w.record.leader_epoch = 5;
    w.record.partition_epoch = 9;
    forget_story(w.f);
    push(&w);
    CHECK_STR(story(w.f),
            "orders-0 begins anew: its log is lost or damaged; the broker's log says how\n"
            "restart at 0, keep the old log\n");
    cut(&w, 0);
    CHECK_EQ(w.f->r.role, REPLICA_FOLLOWER);
    CHECK_EQ(w.f->r.log_end, 0);
    fixture_free(w.f);
}

static void a_log_that_did_not_open_is_filled_when_the_record_comes(void) /* [REP-34] */
{
    struct world w;

    follow(&w, 0, 0, false);
    fixture_free(w.f);
    w.f = fixture_new(0, 0);
    fail(&w, false);
    CHECK_STR(story(w.f), "orders-0 none -> failed, leader epoch -1, log end 0\n");
    push(&w);
    CHECK_EQ(w.f->r.work, REPLICA_WORK_RESTART);
    fixture_free(w.f);
}

static void a_restart_that_cannot_be_is_tried_again(void) /* [REP-34] */
{
    struct world w;

    follow(&w, 10, 4, false);
    fail(&w, false);
    w.record.leader_epoch = 5;
    w.record.partition_epoch = 8;
    push(&w);
    step(w.f, &(struct replica_event){.kind = REPLICA_EV_CUT,
                      .cut = {.log_end = 10, .error = ERRCODE_KAFKA_STORAGE_ERROR}});
    CHECK_EQ(w.f->r.role, REPLICA_FAILED);
    w.f->now = replica_deadline(&w.f->r);
    step(w.f, &(struct replica_event){.kind = REPLICA_EV_TICK});
    CHECK_EQ(w.f->r.work, REPLICA_WORK_RESTART);
    fixture_free(w.f);
}

static const struct check_case cases[] = {
        CASE(a_follower_is_told_whom_to_fetch_from),
        CASE(what_continues_the_log_is_copied),
        CASE(an_answer_without_batches_moves_the_high_watermark),
        CASE(the_start_follows_to_the_high_watermark_at_most),
        CASE(an_answer_that_is_not_current_is_dropped),
        CASE(damaged_batches_are_asked_for_again),
        CASE(what_does_not_continue_the_log_fails_the_replica),
        CASE(an_empty_log_begins_with_the_batch_that_holds_its_end),
        CASE(a_full_disk_makes_it_wait),
        CASE(errors_of_the_leader_make_it_wait),
        CASE(with_fsync_acks_the_disk_is_told_of),
        CASE(a_follower_cuts_to_the_end_of_the_common_epoch),
        CASE(a_follower_cuts_nothing_on_its_own),
        CASE(what_was_committed_is_not_cut),
        CASE(after_an_unclean_election_it_is),
        CASE(a_cut_that_shortens_nothing_is_no_answer),
        CASE(leading_waits_for_the_cut),
        CASE(stopping_does_not_wait_for_the_cut),
        CASE(who_is_out_of_range_begins_at_the_leaders_start),
        CASE(who_may_be_elected_drops_nothing),
        CASE(a_failed_replica_reports_until_it_is_out),
        CASE(a_damaged_replica_is_filled_anew_in_a_new_leader_epoch),
        CASE(a_log_that_did_not_open_is_filled_when_the_record_comes),
        CASE(a_restart_that_cannot_be_is_tried_again),
};
CHECK_MAIN("replica_follower", cases)
