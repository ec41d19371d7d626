/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/broker/replica_story.h"

#include "common/base/array.h"
#include "tests/lib/check.h"

/* Broker 1 leads broker 2, and broker 3 is the third replica: what of the partition is on whose
 * disk. Broker n is of incarnation 10 n. */

struct world {
    struct fixture *f;
    struct partition_state record;
    bool fsync;
};

static void push(struct world *w)
{
    struct replica_peer_view peers[3];

    for (int i = 0; i < 3; i++) {
        peers[i] =
                (struct replica_peer_view){.id = i + 1, .epoch = 10 * (i + 1), .is_active = true};
    }
    step(w->f, &(struct replica_event){.kind = REPLICA_EV_BECOME,
                       .become = {.record = &w->record,
                               .may_lead = true,
                               .fsync_acks = w->fsync,
                               .peers = peers,
                               .n_peers = 3,
                               .lag_max = WTIME_S(5),
                               .lease = WTIME_S(5)}});
}

/* Leader epoch 4 over brokers 1 and 2; `leader` leads, and this is broker 1. The topic is
 * replicated. */
static void begin(struct world *w, broker_id leader, offset64 log_end)
{
    *w = (struct world){.f = fixture_new(log_end, 0),
            .record = {.replicas = {.n = 3, .at = {1, 2, 3}},
                    .isr = {.n = 2, .at = {1, 2}},
                    .leader = leader,
                    .leader_epoch = 4,
                    .partition_epoch = 7,
                    .min_isr = 2,
                    .unclean_epoch = EPOCH_NONE}};
    w->f->now = WTIME_S(100);
    push(w);
    forget_story(w->f);
}

static void set_fsync(struct world *w, bool fsync)
{
    w->fsync = fsync;
    push(w);
}

static void set_durable(struct world *w, bool is_durable)
{
    w->record.partition_epoch++;
    w->record.is_durable = is_durable;
    push(w);
}

/* Broker 2 has everything below `offset`, and so much of it on its disk. */
static void fetched(struct world *w, offset64 offset, offset64 on_disk)
{
    step(w->f, &(struct replica_event){.kind = REPLICA_EV_FETCH,
                       .ask = ask(102),
                       .fetch = {.replica = 2,
                               .broker_epoch = 20,
                               .leader_epoch = w->record.leader_epoch,
                               .offset = offset,
                               .last_epoch = offset > 0 ? 3 : EPOCH_NONE,
                               .known_epoch = offset > 0 ? 3 : EPOCH_NONE,
                               .known_end = offset > 0 ? 1000 : OFFSET_NONE,
                               .flushed = on_disk}});
}

static bool told(struct world *w, const char *line)
{
    bool is_told = strstr(story(w->f), line) != NULL;

    forget_story(w->f);
    return is_told;
}

static void it_is_claimed_when_all_of_the_isr_have_it_on_their_disks(void) /* [REP-58] */
{
    struct world w;

    begin(&w, 1, 10);
    fetched(&w, 10, 4);
    CHECK_EQ(w.f->r.high_watermark, 10);
    set_fsync(&w, true);
    CHECK(!told(&w, "durable"));
    fetched(&w, 10, 9);
    CHECK(!told(&w, "durable"));
    fetched(&w, 10, 10);
    CHECK(told(&w, "propose {1@10 2@20} durable on 4/7\n"));
    fetched(&w, 10, 10); /* once [REP-39] */
    CHECK(!told(&w, "durable"));
    set_durable(&w, true);
    fetched(&w, 10, 10);
    CHECK(!told(&w, "durable"));
    CHECK_EQ(replica_deadline(&w.f->r), WTIME_NEVER);
    fixture_free(w.f);
}

static void the_own_disk_counts(void) /* [REP-58] */
{
    struct world w;

    begin(&w, 1, 0);
    appended(w.f, 1, -1, 3);
    fetched(&w, 3, 3);
    CHECK_EQ(w.f->r.high_watermark, 3);
    set_fsync(&w, true);
    CHECK(told(&w, "flush\n")); /* [REP-32] */
    CHECK(!w.f->r.pending.is_set);
    flushed(w.f, 3);
    CHECK(told(&w, "durable on 4/7\n"));
    fixture_free(w.f);
}

static void what_former_leaders_committed_counts(void) /* [REP-58] */
{
    struct world w;

    begin(&w, 1, 10);
    w.record.min_isr = 3; /* The high watermark stands at 0. */
    w.record.partition_epoch++;
    set_fsync(&w, true);
    fetched(&w, 10, 9);
    CHECK_EQ(w.f->r.high_watermark, 0);
    CHECK(!told(&w, "durable"));
    fetched(&w, 10, 10);
    CHECK(told(&w, "durable on 4/8\n"));
    fixture_free(w.f);
}

static void nothing_is_claimed_beside_an_elr_or_before_the_log_is_open(void) /* [REP-58] */
{
    struct world w;

    begin(&w, 1, 0);
    w.record.isr = (struct broker_set){.n = 1, .at = {1}};
    w.record.elr = (struct broker_set){.n = 1, .at = {2}};
    w.record.partition_epoch++;
    set_fsync(&w, true);
    CHECK(!told(&w, "durable"));
    w.record.elr = (struct broker_set){0};
    w.record.recovering = true;
    w.record.partition_epoch++;
    push(&w);
    CHECK(!told(&w, "durable")); /* it says first that it is open [REP-42] */
    w.record.recovering = false;
    w.record.partition_epoch++;
    push(&w);
    CHECK(told(&w, "propose {1@10} durable on 4/10\n"));
    fixture_free(w.f);
}

static void a_durable_record_counts_only_what_is_synced(void) /* [REP-57] */
{
    struct world w;

    begin(&w, 1, 0);
    set_durable(&w, true); /* though the topic does not ask for it, here and now */
    forget_story(w.f);
    appended(w.f, 1, -1, 3);
    CHECK(told(&w, "flush\n"));
    fetched(&w, 3, 0);
    flushed(w.f, 3);
    CHECK_EQ(w.f->r.high_watermark, 0);
    fetched(&w, 3, 2);
    CHECK_EQ(w.f->r.high_watermark, 2);
    set_durable(&w, false);
    CHECK_EQ(w.f->r.high_watermark, 3);
    fixture_free(w.f);
}

/* The topic is no more what it was when the leader proposed it, and the controller may carry that
 * out nevertheless. */
static void a_claim_under_way_counts_only_what_is_synced(void) /* [REP-57] */
{
    struct world w;

    begin(&w, 1, 0);
    fetched(&w, 0, 0);
    set_fsync(&w, true);
    CHECK(told(&w, "durable on 4/7\n"));
    set_fsync(&w, false);
    appended(w.f, 1, -1, 3);
    fetched(&w, 3, 0);
    CHECK_EQ(w.f->r.high_watermark, 0);
    set_durable(&w, false);
    CHECK_EQ(w.f->r.high_watermark, 3);
    fixture_free(w.f);
}

static void a_claim_that_came_to_nothing_waits(void) /* [REP-58] */
{
    struct world w;

    begin(&w, 1, 0);
    fetched(&w, 0, 0);
    set_fsync(&w, true);
    CHECK(told(&w, "durable on 4/7\n"));
    set_durable(&w, false);
    CHECK(!told(&w, "durable"));
    CHECK_EQ(replica_deadline(&w.f->r), wtime_add(w.f->now, REPLICA_PROPOSE_PAUSE));
    w.f->now = replica_deadline(&w.f->r);
    step(w.f, &(struct replica_event){.kind = REPLICA_EV_TICK});
    CHECK(told(&w, "durable on 4/8\n"));
    fixture_free(w.f);
}

static void a_follower_syncs_and_tells_what_a_durable_record_counts(void) /* [REP-32] [REP-57] */
{
    struct world w;

    begin(&w, 2, 10); /* all of it is on the disk, and nobody was told */
    set_durable(&w, true);
    CHECK(told(&w, "progress\n"));
    set_durable(&w, true);
    CHECK(!told(&w, "progress\n"));
    set_durable(&w, false);
    forget_story(w.f);
    set_fsync(&w, true);
    CHECK(told(&w, "progress\n"));
    fixture_free(w.f);
}

static const struct check_case cases[] = {
        CASE(it_is_claimed_when_all_of_the_isr_have_it_on_their_disks),
        CASE(the_own_disk_counts),
        CASE(what_former_leaders_committed_counts),
        CASE(nothing_is_claimed_beside_an_elr_or_before_the_log_is_open),
        CASE(a_durable_record_counts_only_what_is_synced),
        CASE(a_claim_under_way_counts_only_what_is_synced),
        CASE(a_claim_that_came_to_nothing_waits),
        CASE(a_follower_syncs_and_tells_what_a_durable_record_counts),
};
CHECK_MAIN("replica_durable", cases)
