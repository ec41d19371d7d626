/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/broker/replica_story.h"

#include "common/base/array.h"
#include "tests/lib/check.h"

/* Broker 1 leads brokers 2 and 3: acknowledgements, high watermark, lag clock, proposals. Broker n is of incarnation 10 n. */

enum {
    LAG_MAX_MS = 5000
};

struct world {
    struct fixture *f;
    struct partition_state record;
    struct replica_peer_view peers[3];
    bool fsync;
};

static void push(struct world *w)
{
    step(w->f, &(struct replica_event){.kind = REPLICA_EV_BECOME,
                       .become = {.record = &w->record,
                               .may_lead = true,
                               .fsync_acks = w->fsync,
                               .peers = w->peers,
                               .n_peers = 3,
                               .lag_max = WTIME_MS(LAG_MAX_MS),
                               .lease = WTIME_S(5)}});
}

/* Leader epoch 4 over `isr` (bits of broker ids), min_isr 2. */
static void lead(struct world *w, offset64 log_end, offset64 high_watermark, unsigned isr)
{
    *w = (struct world){.f = fixture_new(log_end, high_watermark),
            .record = {.replicas = {.n = 3, .at = {1, 2, 3}},
                    .leader = 1,
                    .leader_epoch = 4,
                    .partition_epoch = 7,
                    .min_isr = 2,
                    .unclean_epoch = EPOCH_NONE}};
    w->f->now = WTIME_S(100);
    for (int i = 0; i < 3; i++) {
        w->peers[i] =
                (struct replica_peer_view){.id = i + 1, .epoch = 10 * (i + 1), .is_active = true};
        if ((isr >> (i + 1) & 1) != 0) {
            (void)broker_set_add(&w->record.isr, i + 1);
        }
    }
    push(w);
    forget_story(w->f);
}

static void new_record(struct world *w, unsigned isr)
{
    w->record.partition_epoch++;
    w->record.isr = (struct broker_set){0};
    for (int i = 1; i <= 3; i++) {
        if ((isr >> i & 1) != 0) {
            (void)broker_set_add(&w->record.isr, i);
        }
    }
    push(w);
}

static struct replica_event fetch_of(const struct world *w, broker_id id, offset64 offset)
{
    (void)w;
    return (struct replica_event){.kind = REPLICA_EV_FETCH,
            .ask = ask((uint64_t)(100 + id)),
            .fetch = {.replica = id,
                    .broker_epoch = 10 * id,
                    .leader_epoch = 4,
                    .offset = offset,
                    .last_epoch = offset > 0 ? 3 : EPOCH_NONE,
                    .known_epoch = offset > 0 ? 3 : EPOCH_NONE,
                    .known_end = offset > 0 ? 1000 : OFFSET_NONE,
                    .flushed = OFFSET_NONE}};
}

static void replica_fetches(struct world *w, broker_id id, offset64 offset)
{
    struct replica_event ev = fetch_of(w, id, offset);

    step(w->f, &ev);
}

static void proposed(struct world *w, int error, const struct partition_state *record)
{
    step(w->f, &(struct replica_event){.kind = REPLICA_EV_PROPOSED,
                       .proposed = {.leader_epoch = 4,
                               .partition_epoch = w->record.partition_epoch,
                               .error = error,
                               .record = record}});
}

static void tick_at(struct world *w, wtime now)
{
    w->f->now = now;
    step(w->f, &(struct replica_event){.kind = REPLICA_EV_TICK});
}

static void pass_ms(struct world *w, int ms)
{
    w->f->now = wtime_add(w->f->now, WTIME_MS(ms));
}

/* --- Acknowledgements and the high watermark ---------------------------------------------------------------------- */

static void a_batch_is_committed_when_the_whole_isr_has_it(void) /* [REP-23] [REP-30] */
{
    struct world w;

    lead(&w, 0, 0, 0xe);
    appended(w.f, 1, -1, 3);
    replica_fetches(&w, 2, 3);
    CHECK_STR(story(w.f), "read 102 [3, 3)\n");
    forget_story(w.f);
    replica_fetches(&w, 3, 3);
    CHECK_STR(story(w.f), "high watermark 3\nreply 1 NONE base 0\nread 103 [3, 3)\n");
    CHECK_EQ(w.f->fx.items[2].high_watermark, 3);
    fixture_free(w.f);
}

static void a_replica_reads_to_the_log_end_and_a_consumer_to_the_high_watermark(void)
{
    struct world w;

    lead(&w, 0, 0, 0xe);
    appended(w.f, 1, -1, 3);
    forget_story(w.f);
    replica_fetches(&w, 2, 0);
    fetch(w.f, 9, 4, 0);
    CHECK_STR(story(w.f), "read 102 [0, 3)\nread 9 [0, 0)\n"); /* [REP-27] */
    fixture_free(w.f);
}

static void a_replica_that_waits_is_woken_by_the_append(void)
{
    struct world w;

    lead(&w, 0, 0, 0xe);
    step(w.f, &(struct replica_event){.kind = REPLICA_EV_WAIT,
                      .ask = ask(102),
                      .wait = {.leader_epoch = 4, .seen = 0, .is_replica = true}});
    wait_for(w.f, 9, 4, 0);
    appended(w.f, 1, -1, 3);
    CHECK_STR(story(w.f), "wake 102\n"); /* the consumer waits for the commit */
    fixture_free(w.f);
}

static void too_few_in_the_isr_commit_nothing(void) /* [REP-23] */
{
    struct world w;

    lead(&w, 10, 4, 0x2);
    CHECK_EQ(w.f->r.high_watermark, 4);
    new_record(&w, 0x6);
    replica_fetches(&w, 2, 10);
    CHECK_EQ(w.f->r.high_watermark, 10);
    fixture_free(w.f);
}

static void an_acknowledgement_ends_with_the_leader_epoch(void) /* [REP-30] */
{
    struct world w;

    lead(&w, 10, 0, 0xe);
    replica_fetches(&w, 2, 10);
    w.record.leader_epoch = 5; /* the same leader, a new term */
    new_record(&w, 0xe);
    struct replica_event ev = fetch_of(&w, 3, 10);
    ev.fetch.leader_epoch = 5;
    forget_story(w.f);
    step(w.f, &ev);
    CHECK_STR(story(w.f), "read 103 [10, 10)\n"); /* broker 2 has confirmed nothing under epoch 5 */
    CHECK_EQ(w.f->r.high_watermark, 0);
    fixture_free(w.f);
}

static void a_new_term_of_the_same_leader_keeps_what_waits_for_its_commit(void) /* [REP-21] */
{
    struct world w;

    lead(&w, 0, 0, 0xe);
    appended(w.f, 1, -1, 3);
    wait_for(w.f, 9, 4, 0);
    forget_story(w.f);
    w.record.leader_epoch = 5;
    new_record(&w, 0x6);
    CHECK_STR(story(w.f), "orders-0 leader -> leader, leader epoch 5, log end 3\nwake 9\n");
    forget_story(w.f);
    struct replica_event ev = fetch_of(&w, 2, 3);
    ev.fetch.leader_epoch = 5;
    step(w.f, &ev);
    CHECK_STR(story(w.f), "high watermark 3\nreply 1 NONE base 0\nread 102 [3, 3)\n");
    fixture_free(w.f);
}

static void a_replica_of_another_term_is_fenced(void) /* [REP-30] KIP-320, KAFKA-7395 */
{
    static const struct {
        epoch32 epoch;
        int error;
    } rows[] = {{3, ERRCODE_FENCED_LEADER_EPOCH}, {5, ERRCODE_UNKNOWN_LEADER_EPOCH},
            {EPOCH_NONE, ERRCODE_FENCED_LEADER_EPOCH}};
    struct world w;

    lead(&w, 10, 0, 0x6);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct replica_event ev = fetch_of(&w, 2, 10);
        ev.fetch.leader_epoch = rows[i].epoch;
        step(w.f, &ev);
        CHECK_EQ(w.f->fx.items[0].error, rows[i].error);
    }
    CHECK_EQ(w.f->r.high_watermark, 0);
    fixture_free(w.f);
}

static void a_replica_of_another_incarnation_confirms_nothing(void) /* [REP-31] KIP-903 */
{
    struct world w;

    lead(&w, 10, 0, 0x6);
    struct replica_event ev = fetch_of(&w, 2, 10);
    ev.fetch.broker_epoch = 19;
    step(w.f, &ev);
    CHECK_EQ(w.f->fx.items[0].error, ERRCODE_STALE_BROKER_EPOCH);
    ev = fetch_of(&w, 7, 10); /* nobody's replica */
    step(w.f, &ev);
    CHECK_EQ(w.f->fx.items[0].error, ERRCODE_STALE_BROKER_EPOCH);
    CHECK_EQ(w.f->r.high_watermark, 0);
    fixture_free(w.f);
}

static void a_restarted_replica_confirms_anew(void) /* [REP-31] KIP-903 */
{
    struct world w;

    lead(&w, 10, 0, 0xe);
    replica_fetches(&w, 2, 10);
    w.peers[1].epoch = 21;
    push(&w);
    replica_fetches(&w, 3, 10);
    CHECK_EQ(w.f->r.high_watermark, 0);
    fixture_free(w.f);
}

static void a_diverging_replica_confirms_nothing(void) /* [REP-30] */
{
    struct world w;

    lead(&w, 10, 0, 0x6);
    struct replica_event ev = fetch_of(&w, 2, 10);
    ev.fetch.known_end = 8;
    step(w.f, &ev);
    CHECK_STR(story(w.f), "diverges 102 epoch 3 ended at 8\n");
    CHECK_EQ(w.f->r.high_watermark, 0);
    fixture_free(w.f);
}

static void an_empty_log_confirms_only_the_start(void) /* [REP-50] */
{
    struct world w;

    lead(&w, 10, 0, 0x6);
    struct replica_event ev = fetch_of(&w, 2, 8);
    ev.fetch.last_epoch = EPOCH_NONE;
    ev.fetch.log_start = 5;
    step(w.f, &ev);
    CHECK_EQ(w.f->fx.items[0].error, ERRCODE_OFFSET_OUT_OF_RANGE);
    CHECK_EQ(w.f->r.high_watermark, 0);
    ev.fetch.offset = 5;
    step(w.f, &ev);
    CHECK_STR(story(w.f),
            "reply 102 OFFSET_OUT_OF_RANGE base -1\nhigh watermark 5\nread 102 [5, 10)\n");
    fixture_free(w.f);
}

static void a_replica_below_the_start_or_beyond_the_end_is_out_of_range(void)
{
    struct world w;

    lead(&w, 10, 0, 0x6);
    struct replica_event ev = fetch_of(&w, 2, 4);
    ev.fetch.log_start = 5;
    step(w.f, &ev);
    CHECK_EQ(w.f->fx.items[0].error, ERRCODE_OFFSET_OUT_OF_RANGE);
    replica_fetches(&w, 2, 11);
    CHECK_EQ(w.f->fx.items[0].error, ERRCODE_OFFSET_OUT_OF_RANGE);
    fixture_free(w.f);
}

static void a_log_that_ends_where_this_one_begins_is_believed_of_members(void) /* [REP-50] */
{
    struct world w;

    lead(&w, 10, 5, 0x6);
    struct replica_event ev = fetch_of(&w, 3, 5);
    ev.fetch.log_start = 5;
    step(w.f, &ev);
    CHECK_EQ(w.f->fx.items[0].error, ERRCODE_OFFSET_OUT_OF_RANGE);
    ev = fetch_of(&w, 2, 5);
    ev.fetch.log_start = 5;
    step(w.f, &ev);
    CHECK_EQ(w.f->fx.items[0].kind, REPLICA_FX_READ);
    w.peers[1].is_active = false; /* it has started anew, and the record does not show that yet */
    w.peers[1].epoch++;
    ev.fetch.broker_epoch++;
    push(&w);
    step(w.f, &ev);
    CHECK_EQ(w.f->fx.items[0].error, ERRCODE_OFFSET_OUT_OF_RANGE);
    fixture_free(w.f);
}

/* [REP-52] Its log was compared when it confirmed this offset, before the start came there. */
static void who_confirmed_the_new_start_is_not_sent_away(void)
{
    struct world w;

    lead(&w, 10, 0, 0x6);
    struct replica_event ev = fetch_of(&w, 3, 10);
    step(w.f, &ev);
    ev.fetch.log_start = 10;
    step(w.f, &ev);
    CHECK_EQ(w.f->fx.items[0].kind, REPLICA_FX_READ);
    ev.fetch.leader_epoch = EPOCH_NONE; /* and names no epoch: nothing of it is believed */
    step(w.f, &ev);
    CHECK_EQ(w.f->fx.items[0].error, ERRCODE_FENCED_LEADER_EPOCH);
    fixture_free(w.f);
}

/* [REP-60] It was out of range, began anew, and fetches on another connection; then what it had sent before comes. */
static void a_fetch_of_an_earlier_connection_is_refused(void)
{
    struct world w;

    lead(&w, 10, 0, 0x6);
    struct replica_event ev = fetch_of(&w, 3, 10);
    ev.fetch.last_epoch = EPOCH_NONE;
    ev.fetch.session = 1;
    struct replica_event late = ev;
    step(w.f, &ev);
    CHECK_EQ(w.f->fx.items[0].error, ERRCODE_OFFSET_OUT_OF_RANGE);
    ev.fetch.offset = 0;
    ev.fetch.session = 2;
    step(w.f, &ev);
    CHECK_EQ(w.f->fx.items[0].kind, REPLICA_FX_READ);
    late.fetch.log_start = 10;
    step(w.f, &late);
    CHECK_EQ(w.f->fx.items[0].error, ERRCODE_INVALID_FETCH_SESSION_EPOCH);
    CHECK_EQ(w.f->r.peers[2].end, 0);
    w.peers[2].epoch++; /* another process counts from 1 again */
    push(&w);
    ev.fetch.broker_epoch++;
    ev.fetch.session = 1;
    step(w.f, &ev);
    CHECK_EQ(w.f->fx.items[0].kind, REPLICA_FX_READ);
    fixture_free(w.f);
}

static void a_second_look_confirms_nothing(void)
{
    struct world w;

    lead(&w, 10, 0, 0x6);
    struct replica_event ev = fetch_of(&w, 2, 10);
    ev.fetch.is_look = true;
    step(w.f, &ev);
    CHECK_STR(story(w.f), "read 102 [10, 10)\n");
    CHECK_EQ(w.f->r.high_watermark, 0);
    fixture_free(w.f);
}

static void with_fsync_acks_every_disk_counts(void) /* [REP-32] */
{
    struct world w;

    lead(&w, 0, 0, 0x6);
    w.fsync = true;
    push(&w);
    appended(w.f, 1, -1, 3);
    struct replica_event ev = fetch_of(&w, 2, 3);
    ev.fetch.flushed = 1;
    step(w.f, &ev);
    CHECK_EQ(w.f->r.high_watermark, 0);
    flushed(w.f, 3);
    CHECK_EQ(w.f->r.high_watermark, 1);
    ev.fetch.flushed = 3;
    forget_story(w.f);
    step(w.f, &ev);
    CHECK_STR(story(w.f), "high watermark 3\nreply 1 NONE base 0 on disk\nread 102 [3, 3)\n");
    fixture_free(w.f);
}

/* --- acks 0 and 1 without the controllers ------------------------------------------------------------------------- */

static void a_leader_that_hears_nobody_refuses_acks_one(void) /* [REP-29] */
{
    struct world w;

    lead(&w, 0, 0, 0x6);
    w.f->is_isolated = true;
    produce(w.f, 1, 1);
    produce(w.f, 2, -1);
    replica_fetches(&w, 2, 0);
    produce(w.f, 3, 1);
    pass_ms(&w, 5001);
    produce(w.f, 4, 0);
    CHECK_STR(story(w.f), "reply 1 NOT_LEADER_OR_FOLLOWER base -1\n"
                          "append 2 under epoch 4\n"
                          "read 102 [0, 0)\n"
                          "append 3 under epoch 4\n"
                          "reply 4 NOT_LEADER_OR_FOLLOWER base -1\n");
    new_record(&w, 0x2); /* alone in the ISR: nobody else can be elected */
    forget_story(w.f);
    produce(w.f, 5, 1);
    CHECK_STR(story(w.f), "append 5 under epoch 4\n");
    fixture_free(w.f);
}

/* The replica has read to the end, and its session waits here as request 100 + id. */
static void replica_waits(struct world *w, broker_id id)
{
    replica_fetches(w, id, w->f->r.log_end);
    step(w->f, &(struct replica_event){.kind = REPLICA_EV_WAIT,
                       .ask = ask((uint64_t)(100 + id)),
                       .wait = {.leader_epoch = 4, .seen = w->f->r.log_end, .is_replica = true}});
}

static bool takes_acks_one(struct world *w)
{
    forget_story(w->f);
    produce(w->f, 1, 1);
    return strcmp(story(w->f), "append 1 under epoch 4\n") == 0;
}

static void a_session_that_waits_here_proves_that_it_follows(void) /* [REP-56] */
{
    struct world w;
    struct replica_session s = {
            .loop = ask(0).loop, .request = 102, .replica = 2, .broker_epoch = 20};

    lead(&w, 0, 0, 0x6);
    w.f->is_isolated = true;
    w.f->sessions = &s;
    w.f->n_sessions = 1;
    replica_waits(&w, 2);
    pass_ms(&w, 60000); /* an idle partition is not named */
    s.heard_at = wtime_add(w.f->now, -WTIME_MS(5001));
    CHECK(!takes_acks_one(&w));
    s.heard_at = wtime_add(w.f->now, -WTIME_MS(300));
    CHECK(takes_acks_one(&w));
    appended(w.f, 1, 1, 3); /* it is woken, and does not wait until it has fetched that */
    s.heard_at = w.f->now;
    CHECK(takes_acks_one(&w));
    pass_ms(&w, 4701);
    CHECK(!takes_acks_one(&w)); /* it waits no more */
    fixture_free(w.f);
}

static void a_session_of_somebody_else_proves_nothing(void) /* [REP-56] */
{
    struct world w;
    struct replica_session s[] = {
            {.loop = ask(0).loop, .request = 103, .replica = 3, .broker_epoch = 30},
            {.loop = ask(0).loop, .request = 102, .replica = 2, .broker_epoch = 19},
            {.loop = ask(0).loop, .request = 88, .replica = 2, .broker_epoch = 20},
            {.loop = ask(0).loop + 1, .request = 102, .replica = 2, .broker_epoch = 20},
            {.loop = ask(0).loop, .request = 9, .replica = 7, .broker_epoch = 70}};

    lead(&w, 0, 0, 0x6); /* 3 is not in the ISR, and must not join */
    w.peers[2].is_active = false;
    w.record.partition_epoch++;
    push(&w);
    replica_waits(&w, 2);
    replica_waits(&w, 3);
    w.f->is_isolated = true;
    pass_ms(&w, 60000);
    w.f->sessions = s;
    w.f->n_sessions = COUNT_OF(s);
    for (size_t i = 0; i < COUNT_OF(s); i++) {
        s[i].heard_at = w.f->now;
    }
    CHECK(!takes_acks_one(&w));
    s[1].broker_epoch = 20;
    CHECK(takes_acks_one(&w));
    fixture_free(w.f);
}

static void a_session_of_another_term_proves_nothing(void) /* [REP-56] */
{
    struct world w;
    struct replica_session s = {
            .loop = ask(0).loop, .request = 102, .replica = 2, .broker_epoch = 20};

    lead(&w, 0, 0, 0x6);
    replica_waits(&w, 2);
    w.f->is_isolated = true;
    w.f->sessions = &s;
    w.f->n_sessions = 1;
    w.record.leader_epoch = 5; /* it goes on to lead, and the follower does not know yet */
    new_record(&w, 0x6);
    pass_ms(&w, 5001);
    s.heard_at = w.f->now;
    forget_story(w.f);
    produce(w.f, 1, 1);
    CHECK_STR(story(w.f), "reply 1 NOT_LEADER_OR_FOLLOWER base -1\n");
    fixture_free(w.f);
}

/* --- Joining ------------------------------------------------------------------------------------------------------ */

static void who_has_everything_is_proposed(void) /* [REP-36] [REP-39] */
{
    struct world w;

    lead(&w, 10, 10, 0x6);
    replica_fetches(&w, 3, 8);
    CHECK_STR(story(w.f), "read 103 [8, 10)\n");
    forget_story(w.f);
    replica_fetches(&w, 3, 10);
    CHECK_STR(story(w.f), "orders-0 proposes an ISR of 3 instead of 2, partition epoch 7\n"
                          "propose {1@10 2@20 3@30} on 4/7\n"
                          "read 103 [10, 10)\n");
    fixture_free(w.f);
}

static void who_is_proposed_holds_the_high_watermark_back(void) /* [REP-23] [REP-39] KIP-497 */
{
    struct world w;

    lead(&w, 10, 10, 0x6);
    replica_fetches(&w, 3, 10);
    appended(w.f, 1, -1, 2);
    replica_fetches(&w, 2, 12);
    CHECK_EQ(w.f->r.high_watermark, 10);
    replica_fetches(&w, 3, 12);
    CHECK_EQ(w.f->r.high_watermark, 12);
    fixture_free(w.f);
}

static void who_is_proposed_does_not_count_for_min_isr(void) /* [REP-23] KIP-966 */
{
    struct world w;

    lead(&w, 10, 4, 0x2);
    replica_fetches(&w, 2, 10); /* proposed: {1 2} */
    CHECK(w.f->r.pending.is_set);
    CHECK_EQ(w.f->r.high_watermark, 4);
    new_record(&w, 0x6);
    CHECK_EQ(w.f->r.high_watermark, 10);
    fixture_free(w.f);
}

static void nobody_joins_below_the_start_of_the_term(void) /* [REP-36] KAFKA-7128 */
{
    struct world w;

    lead(&w, 10, 4, 0x6); /* broker 2 has not fetched yet: the high watermark lags */
    replica_fetches(&w, 3, 9);
    CHECK_STR(story(w.f), "read 103 [9, 10)\n");
    fixture_free(w.f);
}

static void nobody_joins_who_is_not_active(void)
{
    struct world w;

    lead(&w, 10, 10, 0x6);
    w.peers[2].is_active = false;
    push(&w);
    replica_fetches(&w, 3, 10);
    CHECK_STR(story(w.f), "read 103 [10, 10)\n");
    w.peers[2].is_active = true; /* unfenced: at once */
    push(&w);
    CHECK(w.f->r.pending.is_set);
    fixture_free(w.f);
}

static void nobody_joins_who_would_have_to_leave(void) /* [REP-38] */
{
    struct world w;

    lead(&w, 0, 0, 0x2); /* below min_isr: the high watermark stands, and everybody is above it */
    w.record.min_isr = 2;
    appended(w.f, 1, 1, 10);
    forget_story(w.f);
    pass_ms(&w, LAG_MAX_MS + 1);
    struct replica_event ev = fetch_of(&w, 3, 5);
    step(w.f, &ev);
    CHECK_STR(story(w.f), "read 103 [5, 10)\n");
    fixture_free(w.f);
}

/* --- The lag clock ------------------------------------------------------------------------------------------------ */

/* Partitions that nothing is appended to are not named in fetches. */
static void who_had_everything_is_in_time_from_the_next_append_on(void) /* [REP-37] */
{
    struct world w;

    lead(&w, 10, 10, 1 << 1 | 1 << 2 | 1 << 3);
    replica_fetches(&w, 2, 10);
    replica_fetches(&w, 3, 10);
    pass_ms(&w, 10 * LAG_MAX_MS);
    forget_story(w.f);
    produce(w.f, 1, 1);
    appended(w.f, 1, 1, 1);
    forget_story(w.f);
    tick_at(&w, w.f->now + WTIME_MS(LAG_MAX_MS));
    CHECK_STR(story(w.f), "");
    tick_at(&w, w.f->now + WTIME_MS(1) + 1);
    CHECK(strstr(story(w.f), "propose") != NULL);
    fixture_free(w.f);
}

static void who_does_not_catch_up_leaves(void) /* [REP-37] */
{
    struct world w;

    lead(&w, 10, 0, 0xe);
    replica_fetches(&w, 2, 10);
    replica_fetches(&w, 3, 4);
    forget_story(w.f);
    CHECK_EQ(replica_deadline(&w.f->r), WTIME_S(100) + WTIME_MS(LAG_MAX_MS) + 1);
    tick_at(&w, WTIME_S(100) + WTIME_MS(LAG_MAX_MS));
    CHECK_STR(story(w.f), "");
    tick_at(&w, WTIME_S(100) + WTIME_MS(LAG_MAX_MS) + 1);
    CHECK_STR(story(w.f), "orders-0 proposes an ISR of 2 instead of 3, partition epoch 7\n"
                          "propose {1@10 2@20} on 4/7\n");
    CHECK_EQ(w.f->r.high_watermark, 4); /* it counts until the controller says otherwise */
    new_record(&w, 0x6);
    CHECK_EQ(w.f->r.high_watermark, 10);
    fixture_free(w.f);
}

static void who_has_everything_never_leaves(void) /* [REP-37] */
{
    struct world w;

    lead(&w, 10, 10, 0x6);
    replica_fetches(&w, 2, 10);
    CHECK_EQ(replica_deadline(&w.f->r), WTIME_NEVER);
    tick_at(&w, WTIME_S(5000));
    CHECK(!w.f->r.pending.is_set);
    fixture_free(w.f);
}

/* Under load nobody is ever level with the end; who reaches the end of the fetch before is. */
static void who_follows_a_moving_end_stays(void) /* [REP-37] */
{
    struct world w;

    lead(&w, 0, 0, 0x6);
    for (int i = 0; i < 20; i++) {
        appended(w.f, (uint64_t)i, 0, 10);
        pass_ms(&w, 1000);
        replica_fetches(&w, 2, 10 * i); /* the end as it was at its previous fetch */
        tick_at(&w, w.f->now);
        CHECK(!w.f->r.pending.is_set);
    }
    fixture_free(w.f);
}

/* --- Proposals ---------------------------------------------------------------------------------------------------- */

static void a_lost_proposal_is_sent_again_as_it_was(void) /* [REP-40] */
{
    struct world w;

    lead(&w, 10, 10, 0x6);
    replica_fetches(&w, 3, 10);
    w.peers[2].epoch = 31; /* it restarts meanwhile: the proposal stays what it was */
    push(&w);
    forget_story(w.f);
    proposed(&w, ERRCODE_REQUEST_TIMED_OUT, NULL);
    CHECK_EQ(replica_deadline(&w.f->r), w.f->now + REPLICA_RESEND_PAUSE);
    tick_at(&w, w.f->now + REPLICA_RESEND_PAUSE);
    CHECK_STR(story(w.f), "propose {1@10 2@20 3@30} on 4/7\n");
    CHECK_EQ(replica_deadline(&w.f->r), WTIME_NEVER);
    fixture_free(w.f);
}

static void one_proposal_at_a_time(void) /* [REP-39] */
{
    struct world w;

    lead(&w, 10, 10, 0x2);
    replica_fetches(&w, 3, 10);
    forget_story(w.f);
    replica_fetches(&w, 2, 10);
    CHECK_STR(story(w.f), "read 102 [10, 10)\n");
    new_record(&w, 0xa);
    CHECK(w.f->r.pending.is_set); /* now broker 2 */
    CHECK_EQ(w.f->r.pending.proposal.n, 3);
    CHECK_EQ(w.f->r.pending.proposal.partition_epoch, 8);
    fixture_free(w.f);
}

static void a_refusal_of_the_only_copy_ends_it(void) /* [REP-41] KIP-841, KAFKA-13916 */
{
    struct world w;

    lead(&w, 10, 10, 0x6);
    replica_fetches(&w, 3, 10);
    appended(w.f, 1, -1, 2);
    replica_fetches(&w, 2, 12);
    forget_story(w.f);
    proposed(&w, ERRCODE_INELIGIBLE_REPLICA, NULL);
    CHECK_STR(story(w.f), "high watermark 12\nreply 1 NONE base 10\n");
    replica_fetches(&w, 3, 12);
    CHECK(!w.f->r.pending.is_set); /* not at once again */
    pass_ms(&w, 1000);
    replica_fetches(&w, 3, 12);
    CHECK(w.f->r.pending.is_set);
    fixture_free(w.f);
}

/* The copy that was thought lost may still reach the controller, and then broker 3 is in the ISR. */
static void a_refusal_of_the_second_copy_is_made_sure_of(void) /* [REP-41] */
{
    struct world w;

    lead(&w, 10, 10, 0x6);
    replica_fetches(&w, 3, 10);
    proposed(&w, ERRCODE_REQUEST_TIMED_OUT, NULL);
    tick_at(&w, w.f->now + REPLICA_RESEND_PAUSE);
    appended(w.f, 1, -1, 2);
    replica_fetches(&w, 2, 12);
    forget_story(w.f);
    proposed(&w, ERRCODE_INELIGIBLE_REPLICA, NULL);
    CHECK_EQ(w.f->r.high_watermark, 10);
    tick_at(&w, w.f->now + REPLICA_RESEND_PAUSE);
    CHECK_STR(story(w.f),
            "propose {1@10 2@20} on 4/7\n"); /* the ISR as it is, which uses epoch 7 up */
    w.record.partition_epoch++;
    proposed(&w, ERRCODE_NONE, &w.record);
    CHECK_EQ(w.f->r.high_watermark, 12);
    fixture_free(w.f);
}

static void other_refusals_wait_for_the_record(void) /* [REP-40] */
{
    static const int errors[] = {ERRCODE_INVALID_UPDATE_VERSION, ERRCODE_FENCED_LEADER_EPOCH,
            ERRCODE_STALE_BROKER_EPOCH, ERRCODE_UNKNOWN_TOPIC_ID};
    struct world w;

    lead(&w, 10, 10, 0x6);
    replica_fetches(&w, 3, 10);
    for (size_t i = 0; i < COUNT_OF(errors); i++) {
        proposed(&w, errors[i], NULL);
        CHECK(w.f->r.pending.is_set);
        CHECK_EQ(replica_deadline(&w.f->r), WTIME_NEVER);
    }
    new_record(&w, 0x6);
    CHECK_EQ(w.f->r.pending.proposal.partition_epoch, 8); /* broker 3 is proposed on the new one */
    fixture_free(w.f);
}

static void the_answer_brings_the_record(void) /* [REP-43] KAFKA-14144 */
{
    struct world w;

    lead(&w, 10, 10, 0x6);
    replica_fetches(&w, 3, 10);
    struct partition_state next = w.record;
    next.partition_epoch = 8;
    (void)broker_set_add(&next.isr, 3);
    proposed(&w, ERRCODE_NONE, &next);
    CHECK_EQ(w.f->r.record.isr.n, 3);
    CHECK(!w.f->r.pending.is_set);
    forget_story(w.f);
    w.record = next;
    push(&w); /* the push that follows changes nothing */
    CHECK_STR(story(w.f), "");
    proposed(&w, ERRCODE_INELIGIBLE_REPLICA, NULL); /* nor does a late answer */
    CHECK_EQ(w.f->r.record.isr.n, 3);
    fixture_free(w.f);
}

static void the_winner_of_an_unclean_election_says_that_it_is_open(void) /* [REP-42] */
{
    struct world w;

    lead(&w, 10, 10, 0x2);
    w.record.recovering = true;
    w.record.partition_epoch = 8;
    push(&w);
    CHECK(strstr(story(w.f), "propose {1@10} recovered on 4/8\n") != NULL);
    forget_story(w.f);
    replica_fetches(&w, 2, 10);
    CHECK_STR(story(w.f), "read 102 [10, 10)\n"); /* nobody joins before */
    w.record.recovering = false;
    new_record(&w, 0x2);
    CHECK(strstr(story(w.f), "propose {1@10 2@20} on 4/9\n") != NULL);
    fixture_free(w.f);
}

static void who_leads_no_more_proposes_no_more(void)
{
    struct world w;

    lead(&w, 10, 10, 0x6);
    replica_fetches(&w, 3, 10);
    w.record.leader = 2;
    w.record.leader_epoch = 5;
    new_record(&w, 0x6);
    CHECK(!w.f->r.pending.is_set);
    CHECK_EQ(replica_deadline(&w.f->r), WTIME_NEVER);
    proposed(&w, ERRCODE_NONE, &w.record);
    CHECK_EQ(w.f->r.role, REPLICA_FOLLOWER);
    fixture_free(w.f);
}

static const struct check_case cases[] = {
        CASE(who_had_everything_is_in_time_from_the_next_append_on),
        CASE(a_batch_is_committed_when_the_whole_isr_has_it),
        CASE(a_replica_reads_to_the_log_end_and_a_consumer_to_the_high_watermark),
        CASE(a_replica_that_waits_is_woken_by_the_append),
        CASE(too_few_in_the_isr_commit_nothing),
        CASE(an_acknowledgement_ends_with_the_leader_epoch),
        CASE(a_new_term_of_the_same_leader_keeps_what_waits_for_its_commit),
        CASE(a_replica_of_another_term_is_fenced),
        CASE(a_replica_of_another_incarnation_confirms_nothing),
        CASE(a_restarted_replica_confirms_anew),
        CASE(a_diverging_replica_confirms_nothing),
        CASE(an_empty_log_confirms_only_the_start),
        CASE(a_log_that_ends_where_this_one_begins_is_believed_of_members),
        CASE(a_fetch_of_an_earlier_connection_is_refused),
        CASE(who_confirmed_the_new_start_is_not_sent_away),
        CASE(a_replica_below_the_start_or_beyond_the_end_is_out_of_range),
        CASE(a_second_look_confirms_nothing),
        CASE(with_fsync_acks_every_disk_counts),
        CASE(a_leader_that_hears_nobody_refuses_acks_one),
        CASE(a_session_that_waits_here_proves_that_it_follows),
        CASE(a_session_of_somebody_else_proves_nothing),
        CASE(a_session_of_another_term_proves_nothing),
        CASE(who_has_everything_is_proposed),
        CASE(who_is_proposed_holds_the_high_watermark_back),
        CASE(who_is_proposed_does_not_count_for_min_isr),
        CASE(nobody_joins_below_the_start_of_the_term),
        CASE(nobody_joins_who_is_not_active),
        CASE(nobody_joins_who_would_have_to_leave),
        CASE(who_does_not_catch_up_leaves),
        CASE(who_has_everything_never_leaves),
        CASE(who_follows_a_moving_end_stays),
        CASE(a_lost_proposal_is_sent_again_as_it_was),
        CASE(one_proposal_at_a_time),
        CASE(a_refusal_of_the_only_copy_ends_it),
        CASE(a_refusal_of_the_second_copy_is_made_sure_of),
        CASE(other_refusals_wait_for_the_record),
        CASE(the_answer_brings_the_record),
        CASE(the_winner_of_an_unclean_election_says_that_it_is_open),
        CASE(who_leads_no_more_proposes_no_more),
};
CHECK_MAIN("replica_isr", cases)
