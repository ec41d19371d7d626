/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/array.h"
#include "tests/lib/check.h"
#include "tests/unit/controller/ctl_world.h"

/* AlterPartition and ReplicaFailed, rule by rule; historical failures are named. */

/* Topic "orders", one partition on brokers 1 to 3 (epochs 101 to 103), min isr 2; 1 leads. */
#define ORDERS(name)                                                                               \
    __attribute__((cleanup(world_deinit))) struct world name;                                      \
    begin(&name)

static void begin(struct world *w)
{
    world_init(w, 3, 42);
    world_start(w, 3);
    world_create(w, "orders", 1, 3);
    (void)world_story(w);
    CHECK_EQ(world_partition(w, "orders", 0)->leader, 1);
    CHECK_EQ(world_partition(w, "orders", 0)->isr.n, 3);
}

/* clang-format off */
#define ALL     .isr = {{1, 101}, {2, 102}, {3, 103}}, .n = 3
#define ONE_TWO .isr = {{1, 101}, {2, 102}}, .n = 2
#define ONE     .isr = {{1, 101}}, .n = 1
/* clang-format on */

static int propose(struct world *w, const struct world_proposal *p)
{
    return world_propose(w, "orders", 0, p);
}

static void a_follower_leaves_and_comes_back_story(void)
{
    ORDERS(w);

    CHECK_EQ(propose(&w, WORLD_PROPOSAL(1, 101, ONE_TWO)), ERRCODE_NONE);
    CHECK_EQ(w.fx.items[0].append.records[0].why.cause, CAUSE_ISR_PROPOSED);
    CHECK_STR(w.fx.items[0].append.records[0].why.actor, "broker 1");
    CHECK_STR(w.fx.items[0].append.records[0].why.inputs,
            "proposed=[1,2] isr=[1,2,3] live=[1,2,3]");
    CHECK_EQ(w.reply.after_seq, w.last_seq); /* answered when it is committed */
    CHECK_EQ(propose(&w, WORLD_PROPOSAL(1, 101, ALL)), ERRCODE_NONE);
    CHECK_STR(world_story(&w),
            "ctl  orders-0 isr {1,2,3} -> {1,2}, leader 1, leader epoch 0\n"
            "ctl  orders-0 isr {1,2} -> {1,2,3}, leader 1, leader epoch 0\n");
    CHECK_EQ(w.reply.altered[0].state.partition_epoch, 2);
}

static void unknown_partitions_and_newer_epochs_are_not_decided(void) /* [CTL-40] */
{
    ORDERS(w);
    struct ctl_alter_partition alter = {.ref = {.topic_id = {{9}}}};
    struct ctl_event ev = {.kind = CTL_EV_ALTER_PARTITION};

    ev.alter.id = 1;
    ev.alter.epoch = 101;
    ev.alter.partitions = &alter;
    ev.alter.n = 1;
    world_step(&w, ev);
    CHECK_EQ(w.reply.altered[0].error, ERRCODE_UNKNOWN_TOPIC_ID);
    CHECK_EQ(w.n_appended, 0);
}

/* The leader knows a later record: this controller was deposed and does not know it yet. */
static void request_to_a_stale_controller_is_refused_kafka_14154(void) /* [CTL-40] */
{
    ORDERS(w);

    CHECK_EQ(propose(&w, WORLD_PROPOSAL(1, 101, ONE_TWO, .partition_epoch_off = 7)),
            ERRCODE_NOT_CONTROLLER);
    CHECK_EQ(propose(&w, WORLD_PROPOSAL(1, 101, ONE_TWO, .leader_epoch_off = 1)),
            ERRCODE_NOT_CONTROLLER);
    CHECK_EQ(w.n_appended, 0);
}

static void only_the_leader_of_now_proposes(void) /* [CTL-41] */
{
    ORDERS(w);

    CHECK_EQ(propose(&w, WORLD_PROPOSAL(2, 102, ONE_TWO)), ERRCODE_STALE_BROKER_EPOCH);
    CHECK_EQ(propose(&w, WORLD_PROPOSAL(1, 100, ONE_TWO)), ERRCODE_STALE_BROKER_EPOCH);
    CHECK_EQ(propose(&w, WORLD_PROPOSAL(7, 107, ONE_TWO)), ERRCODE_STALE_BROKER_EPOCH);
    world_broker(&w, CTL_EV_BROKER_SILENT, 1, 101);
    CHECK_EQ(propose(&w, WORLD_PROPOSAL(1, 101, ONE_TWO, .leader_epoch_off = -1)),
            ERRCODE_FENCED_LEADER_EPOCH);
    CHECK_EQ(world_partition(&w, "orders", 0)->leader, 2);
}

/* The leader sends the same request again, because the answer was lost. */
static void lost_answer_does_not_fence_the_leader_for_ever_kafka_14144(void) /* [CTL-42] */
{
    ORDERS(w);

    CHECK_EQ(propose(&w, WORLD_PROPOSAL(1, 101, ONE_TWO)), ERRCODE_NONE);
    CHECK_EQ(propose(&w, WORLD_PROPOSAL(1, 101, ONE_TWO, .partition_epoch_off = -1)), ERRCODE_NONE);
    CHECK_EQ(w.n_appended, 0);
    CHECK_EQ(w.reply.altered[0].state.partition_epoch, 1);
    CHECK_EQ(propose(&w, WORLD_PROPOSAL(1, 101, ONE, .partition_epoch_off = -1)),
            ERRCODE_INVALID_UPDATE_VERSION);
    CHECK_EQ(world_partition(&w, "orders", 0)->partition_epoch, 1);
}

/* A leader that takes a proposal back asks for the ISR as it is: afterwards the first one is too late. */
static void present_isr_uses_the_partition_epoch_up(void) /* [CTL-42], [REP-41] */
{
    ORDERS(w);

    CHECK_EQ(propose(&w, WORLD_PROPOSAL(1, 101, ALL)), ERRCODE_NONE);
    CHECK_EQ(w.n_appended, 1);
    CHECK_EQ(w.reply.altered[0].state.partition_epoch, 1);
    CHECK_EQ(propose(&w, WORLD_PROPOSAL(1, 101, ONE_TWO, .partition_epoch_off = -1)),
            ERRCODE_INVALID_UPDATE_VERSION);
}

static void the_isr_is_of_replicas_with_the_leader_each_once(void) /* [CTL-43] */
{
    ORDERS(w);

    CHECK_EQ(propose(&w, WORLD_PROPOSAL(1, 101, .isr = {{1, 101}, {4, 104}}, .n = 2)),
            ERRCODE_INVALID_REQUEST);
    CHECK_EQ(propose(&w, WORLD_PROPOSAL(1, 101, .isr = {{2, 102}, {3, 103}}, .n = 2)),
            ERRCODE_INVALID_REQUEST);
    CHECK_EQ(propose(&w, WORLD_PROPOSAL(1, 101, .isr = {{1, 101}, {1, 101}}, .n = 2)),
            ERRCODE_INVALID_REQUEST);
    CHECK_EQ(propose(&w, WORLD_PROPOSAL(1, 101, .n = 0)), ERRCODE_INVALID_REQUEST);
    CHECK_EQ(w.n_appended, 0);
}

static void fenced_and_shutting_down_brokers_do_not_join_kip_841(void) /* [CTL-45] */
{
    ORDERS(w);

    world_broker(&w, CTL_EV_BROKER_SILENT, 2, 102);
    world_broker(&w, CTL_EV_BROKER_SHUTDOWN, 3, 103);
    CHECK_EQ(world_partition(&w, "orders", 0)->isr.n, 1);
    CHECK_EQ(propose(&w, WORLD_PROPOSAL(1, 101, ONE_TWO)), ERRCODE_INELIGIBLE_REPLICA);
    CHECK_STR(w.reply.altered[0].detail, "broker 2 is fenced");
    CHECK_EQ(propose(&w, WORLD_PROPOSAL(1, 101, .isr = {{1, 101}, {3, 103}}, .n = 2)),
            ERRCODE_INELIGIBLE_REPLICA);
    CHECK_STR(w.reply.altered[0].detail, "broker 3 is shutting down");
    world_elect(&w); /* A new controller knows it too (KAFKA-13916). */
    CHECK_EQ(propose(&w, WORLD_PROPOSAL(1, 101, .isr = {{1, 101}, {3, 103}}, .n = 2)),
            ERRCODE_INELIGIBLE_REPLICA);
}

/* It came back empty; the leader still counts what it fetched before. */
static void restarted_follower_joins_only_as_who_it_is_now_kip_903(void) /* [CTL-45] */
{
    ORDERS(w);

    world_seen(&w, 2, 202, CRASH_HOST);
    world_ready(&w, 2, 202);
    CHECK_EQ(world_partition(&w, "orders", 0)->isr.n, 2);
    CHECK_EQ(propose(&w, WORLD_PROPOSAL(1, 101, ALL)), ERRCODE_INELIGIBLE_REPLICA);
    CHECK_STR(w.reply.altered[0].detail, "broker 2 has started anew since it fetched");
    CHECK_EQ(propose(&w,
                     WORLD_PROPOSAL(1, 101, .isr = {{1, 101}, {2, 202}, {3, 103}}, .n = 3)),
            ERRCODE_NONE);
    CHECK_EQ(world_partition(&w, "orders", 0)->isr.n, 3);
}

/* Whoever leaves while the ISR is below min isr still holds everything committed. */
static void below_min_isr_the_leaver_may_be_elected_kip_966(void) /* [REP-4] */
{
    ORDERS(w);

    CHECK_EQ(propose(&w, WORLD_PROPOSAL(1, 101, ONE_TWO)), ERRCODE_NONE);
    CHECK_EQ(propose(&w, WORLD_PROPOSAL(1, 101, ONE)), ERRCODE_NONE);
    CHECK(broker_set_equal(&world_partition(&w, "orders", 0)->elr, &(struct broker_set){1, {2}}));
    world_seen(&w, 1, 201, CRASH_HOST); /* The last replica standing loses its tail … */
    world_ready(&w, 1, 201);
    CHECK_EQ(world_partition(&w, "orders", 0)->leader, 2); /* … and is not believed. */
    CHECK_EQ(world_partition(&w, "orders", 0)->unclean_epoch, EPOCH_NONE);
}

static void leader_that_shuts_down_hands_over_to_whom_it_proposes(void) /* [REP-6] */
{
    ORDERS(w);

    CHECK_EQ(propose(&w, WORLD_PROPOSAL(1, 101, ONE)), ERRCODE_NONE);
    world_broker(&w, CTL_EV_BROKER_SHUTDOWN, 1, 101);
    CHECK_EQ(world_partition(&w, "orders", 0)->leader, 1);
    (void)world_story(&w);
    CHECK_EQ(propose(&w, WORLD_PROPOSAL(1, 101, ONE_TWO)), ERRCODE_NONE);
    CHECK_STR(world_story(&w), "ctl  orders-0 isr {1} -> {2}, leader 2, leader epoch 1\n");
}

static void many_partitions_are_decided_one_by_one(void)
{
    ORDERS(w);
    struct ctl_isr_member isr[] = {{1, 101}, {2, 102}};
    struct ctl_alter_partition alter[3] = {
            {.ref = {.topic_id = {{9}}}}, {.isr = isr, .n_isr = 2}, {.isr = isr, .n_isr = 1}};
    struct ctl_event ev = {.kind = CTL_EV_ALTER_PARTITION};

    alter[1].ref.topic_id = alter[2].ref.topic_id = world_partition(&w, "orders", 0)->topic_id;
    ev.alter.id = 1;
    ev.alter.epoch = 101;
    ev.alter.partitions = alter;
    ev.alter.n = 3;
    world_step(&w, ev);
    CHECK_EQ(w.reply.n_altered, 3);
    CHECK_EQ(w.reply.altered[0].error, ERRCODE_UNKNOWN_TOPIC_ID);
    CHECK_EQ(w.reply.altered[1].error, ERRCODE_NONE);
    CHECK_EQ(w.reply.altered[2].error, ERRCODE_INVALID_UPDATE_VERSION);
    CHECK_EQ(w.n_appended, 1);
}

/* --- Failed replicas -------------------------------------------------------------------------- */

static void failed_replica_leaves_isr_and_elr_and_leads_no_more_story(void) /* [CTL-46] */
{
    ORDERS(w);

    world_failed(&w, 1, 101, "orders", 0);
    CHECK_EQ(w.reply.error, ERRCODE_NONE);
    CHECK_EQ(w.reply.after_seq, w.last_seq);
    CHECK_EQ(w.fx.items[0].append.records[0].why.cause, CAUSE_REPLICA_FAILED);
    CHECK_STR(w.fx.items[0].append.records[0].why.reason, "checksum");
    world_broker(&w, CTL_EV_BROKER_SILENT, 2, 102);
    world_broker(&w, CTL_EV_BROKER_SILENT, 3, 103);
    world_failed(&w, 3, 103, "orders", 0); /* also out of the ELR, and with its broker fenced */
    CHECK_STR(world_story(&w),
            "ctl  orders-0 isr {1,2,3} -> {2,3}, leader 2, leader epoch 1\n"
            "ctl  broker 2 epoch 102 silent -> fenced\n"
            "ctl  orders-0 isr {2,3} -> {3}, leader 3, leader epoch 2\n"
            "ctl  broker 3 epoch 103 silent -> fenced\n"
            "ctl  orders-0 isr {3} -> {}, no leader, leader epoch 3\n"
            "ctl  orders-0 isr {} -> {}, no leader, leader epoch 4\n"
            "ctl  broker 3 failed replicas of 1 partitions that stay offline\n");
    CHECK(broker_set_equal(&world_partition(&w, "orders", 0)->elr, &(struct broker_set){1, {2}}));
    world_failed(&w, 1, 100, "orders", 0);
    CHECK_EQ(w.reply.error, ERRCODE_STALE_BROKER_EPOCH);
}

static void failed_only_replica_is_offline_until_its_broker_says_ready(void) /* [CTL-46], [CTL-6] */
{
    ORDERS(w);

    world_create(&w, "solo", 1, 1);
    broker_id on = world_partition(&w, "solo", 0)->leader;
    world_failed(&w, on, 100 + on, "solo", 0);
    CHECK_EQ(world_partition(&w, "solo", 0)->leader, BROKER_NONE);
    CHECK_EQ(world_partition(&w, "solo", 0)->isr.n, 1);
    world_broker(&w, CTL_EV_BROKER_SHUTDOWN, on, 100 + on); /* Nothing brings it back by itself. */
    CHECK_EQ(world_partition(&w, "solo", 0)->leader, BROKER_NONE);
    world_seen(&w, on, 300, CRASH_CLEAN);
    world_ready(&w, on, 300);
    CHECK_EQ(world_partition(&w, "solo", 0)->leader, on);
    CHECK_EQ(world_partition(&w, "solo", 0)->unclean_epoch,
            world_partition(&w, "solo", 0)->leader_epoch);
}

static void failed_replica_joins_again_when_its_leader_says_so(void) /* [CTL-47] */
{
    ORDERS(w);

    world_failed(&w, 3, 103, "orders", 0);
    CHECK_EQ(world_partition(&w, "orders", 0)->isr.n, 2);
    CHECK_EQ(propose(&w, WORLD_PROPOSAL(1, 101, ALL)), ERRCODE_NONE);
    CHECK_EQ(world_partition(&w, "orders", 0)->isr.n, 3);
    world_broker(&w, CTL_EV_BROKER_SILENT, 1, 101);
    world_broker(&w, CTL_EV_BROKER_SILENT, 2, 102);
    CHECK_EQ(world_partition(&w, "orders", 0)->leader, 3);
}

/* It was out of sync already when it failed; the leader's proposal was on its way, and so is a fetch of before. */
static void what_was_on_its_way_when_a_replica_failed_ends_with_the_leader_epoch(void) /* [REP-34] */
{
    ORDERS(w);

    CHECK_EQ(propose(&w, WORLD_PROPOSAL(1, 101, ONE_TWO)), ERRCODE_NONE);
    epoch32 epoch = world_partition(&w, "orders", 0)->leader_epoch;
    world_failed(&w, 3, 103, "orders", 0);
    CHECK_EQ(world_partition(&w, "orders", 0)->leader, 1);
    CHECK_EQ(world_partition(&w, "orders", 0)->leader_epoch, epoch + 1);
    CHECK_EQ(propose(&w,
                     WORLD_PROPOSAL(1, 101, ALL, .leader_epoch_off = -1, .partition_epoch_off = -1)),
            ERRCODE_FENCED_LEADER_EPOCH);
    CHECK_EQ(propose(&w, WORLD_PROPOSAL(1, 101, ALL)), ERRCODE_NONE);
}

/* It was out of sync already when its broker said READY without it, so that changed no record; the leader's
 * proposal was on its way. */
static void proposal_that_does_not_know_of_the_failure_is_refused_once(void) /* [CTL-47] */
{
    ORDERS(w);

    CHECK_EQ(propose(&w, WORLD_PROPOSAL(1, 101, ONE_TWO)), ERRCODE_NONE);
    world_ready_but(&w, 3, 103, "orders", 0);
    CHECK_EQ(w.n_appended, 0);
    epoch32 epoch = world_partition(&w, "orders", 0)->partition_epoch;
    CHECK_EQ(propose(&w, WORLD_PROPOSAL(1, 101, ALL)), ERRCODE_INELIGIBLE_REPLICA);
    CHECK_EQ(world_partition(&w, "orders", 0)->partition_epoch, epoch + 1);
    CHECK_EQ(propose(&w, WORLD_PROPOSAL(1, 101, ALL, .partition_epoch_off = -1)),
            ERRCODE_INVALID_UPDATE_VERSION);
    CHECK_EQ(propose(&w, WORLD_PROPOSAL(1, 101, ALL)), ERRCODE_NONE);
}

/* [CTL-46] [REP-5] It is opened anew there, and fails again where it is damaged. */
static void failed_only_replica_leads_uncleanly_when_it_comes_back_from_the_trash(void)
{
    ORDERS(w);

    world_create(&w, "solo", 1, 1);
    broker_id on = world_partition(&w, "solo", 0)->leader;
    world_failed(&w, on, 100 + on, "solo", 0);
    world_delete(&w, "solo");
    world_restore(&w, "");
    CHECK_EQ(w.reply.error, ERRCODE_NONE);
    const struct partition_state *p = world_partition(&w, "solo", 0);
    CHECK_EQ(p->leader, on);
    CHECK_EQ(p->unclean_epoch, p->leader_epoch);
    world_failed(&w, on, 100 + on, "solo", 0);
    CHECK_EQ(world_partition(&w, "solo", 0)->leader, BROKER_NONE);
}

static void ready_forgets_what_had_failed(void) /* [CTL-47] */
{
    ORDERS(w);

    CHECK_EQ(propose(&w, WORLD_PROPOSAL(1, 101, ONE_TWO)), ERRCODE_NONE);
    world_failed(&w, 3, 103, "orders", 0);
    world_failed(&w, 3, 103, "orders", 0); /* Said twice, marked once. */
    world_ready(&w, 3, 103);
    CHECK_EQ(propose(&w, WORLD_PROPOSAL(1, 101, ALL)), ERRCODE_NONE);
}

static const struct check_case cases[] = {
        CASE(a_follower_leaves_and_comes_back_story),
        CASE(unknown_partitions_and_newer_epochs_are_not_decided),
        CASE(request_to_a_stale_controller_is_refused_kafka_14154),
        CASE(only_the_leader_of_now_proposes),
        CASE(lost_answer_does_not_fence_the_leader_for_ever_kafka_14144),
        CASE(present_isr_uses_the_partition_epoch_up),
        CASE(the_isr_is_of_replicas_with_the_leader_each_once),
        CASE(fenced_and_shutting_down_brokers_do_not_join_kip_841),
        CASE(restarted_follower_joins_only_as_who_it_is_now_kip_903),
        CASE(below_min_isr_the_leaver_may_be_elected_kip_966),
        CASE(leader_that_shuts_down_hands_over_to_whom_it_proposes),
        CASE(many_partitions_are_decided_one_by_one),
        CASE(failed_replica_leaves_isr_and_elr_and_leads_no_more_story),
        CASE(failed_only_replica_is_offline_until_its_broker_says_ready),
        CASE(failed_replica_joins_again_when_its_leader_says_so),
        CASE(what_was_on_its_way_when_a_replica_failed_ends_with_the_leader_epoch),
        CASE(proposal_that_does_not_know_of_the_failure_is_refused_once),
        CASE(failed_only_replica_leads_uncleanly_when_it_comes_back_from_the_trash),
        CASE(ready_forgets_what_had_failed),
};
CHECK_MAIN("proposals", cases)
