/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/array.h"
#include "tests/lib/check.h"
#include "tests/unit/controller/ctl_world.h"

/* Ends the case's world; the checks of each step ran in world_step(). */
#define WORLD(name, rf_max)                                                                        \
    __attribute__((cleanup(world_deinit))) struct world name;                                      \
    world_init(&name, (rf_max), 42)

static void standby_refuses_requests_and_ignores_brokers(void) /* [CTL-7] */
{
    WORLD(w, 1);

    world_create(&w, "orders", 1, 1);
    CHECK_EQ(w.reply.error, ERRCODE_NOT_CONTROLLER);
    CHECK_EQ(w.reply.after_seq, 0);
    world_seen(&w, 1, 10, CRASH_CLEAN);
    CHECK_EQ(w.n_appended, 0);
    world_elect(&w);
    CHECK(ctl_is_active(w.ctl));
    world_step(&w, (struct ctl_event){.kind = CTL_EV_DEPOSED});
    CHECK(!ctl_is_active(w.ctl));
    world_delete(&w, "orders");
    CHECK_EQ(w.reply.error, ERRCODE_NOT_CONTROLLER);
}

static void term_begins_with_the_barrier(void) /* [CTL-1] */
{
    WORLD(w, 1);

    world_elect(&w);
    CHECK_EQ(w.fx.items[0].append.records[0].kind, META_NEW_CONTROLLER);
    CHECK_EQ(image_ctl_epoch(w.log), 1);
    CHECK_EQ(image_feature_level(w.log), 1);
    world_elect(&w);
    CHECK_EQ(w.n_appended, 1); /* The feature level is there already. */
    CHECK_EQ(image_ctl_epoch(w.log), 2);
}

static void broker_comes_serves_and_dies_story(void) /* [CTL-3], [CTL-5], [REP-5] */
{
    WORLD(w, 1);

    world_elect(&w);
    world_listed(&w);
    world_seen(&w, 2, 7, CRASH_CLEAN);
    world_ready(&w, 2, 7);
    world_create(&w, "orders", 2, 1);
    CHECK_EQ(w.reply.error, ERRCODE_NONE);
    world_broker(&w, CTL_EV_BROKER_REFUSED, 2, 7);
    world_broker(&w, CTL_EV_BROKER_GONE, 2, 7);
    world_seen(&w, 2, 8, CRASH_PROC);
    world_ready(&w, 2, 8);
    CHECK_STR(world_story(&w),
            "ctl  controller 1 acts in epoch 1\n"
            "ctl  broker 2 epoch 7 registered, kind clean\n"
            "ctl  broker 2 epoch 7 ready -> unfenced\n"
            "ctl  topic orders created: partitions 2, replication factor 1, min isr 1\n"
            "ctl  broker 2 epoch 7 refused -> fenced\n"
            "ctl  orders-0 isr {2} -> {2}, no leader, leader epoch 1\n"
            "ctl  orders-1 isr {2} -> {2}, no leader, leader epoch 1\n"
            "ctl  broker 2 epoch 8 registered, kind process\n"
            "ctl  broker 2 epoch 8 ready -> unfenced\n"
            "ctl  orders-0 isr {2} -> {2}, leader 2, leader epoch 2\n"
            "ctl  orders-1 isr {2} -> {2}, leader 2, leader epoch 2\n");
    CHECK_EQ(world_partition(&w, "orders", 0)->unclean_epoch, EPOCH_NONE);
}

static void host_crash_of_the_only_replica_is_loud_story(void) /* [REP-5] */
{
    WORLD(w, 1);

    world_start(&w, 1);
    world_create(&w, "orders", 1, 1);
    world_seen(&w, 1, 300, CRASH_HOST); /* Its new node came before the old one was missed. */
    world_ready(&w, 1, 300);
    world_broker(&w, CTL_EV_BROKER_SILENT, 1, 300);
    world_ready(&w, 1, 300);
    CHECK_STR(world_story(&w),
            "ctl  topic orders created: partitions 1, replication factor 1, min isr 1\n"
            "ctl  broker 1 epoch 300 registered, kind host\n"
            "ctl  orders-0 isr {1} -> {1}, no leader, leader epoch 1, recovering\n"
            "ctl  broker 1 epoch 300 ready -> unfenced\n"
            "ctl  orders-0 UNCLEAN: its only replica, on broker 1, may have lost its last records; "
            "leads again in leader epoch 2\n"
            "ctl  broker 1 epoch 300 silent -> fenced\n"
            "ctl  orders-0 isr {1} -> {1}, no leader, leader epoch 3\n"
            "ctl  broker 1 epoch 300 ready -> unfenced\n"
            "ctl  orders-0 isr {1} -> {1}, leader 1, leader epoch 4\n");
    CHECK_EQ(world_partition(&w, "orders", 0)->unclean_epoch, 2);
}

static void broker_without_a_disk_stays_fenced_until_it_comes_anew_story(void) /* [CTL-30] */
{
    WORLD(w, 1);

    world_start(&w, 1);
    world_create(&w, "orders", 1, 1);
    world_broker(&w, CTL_EV_BROKER_DIRS_FAILED, 1, 99); /* another incarnation */
    world_broker(&w, CTL_EV_BROKER_DIRS_FAILED, 1, 101);
    world_broker(&w, CTL_EV_BROKER_DIRS_FAILED, 1, 101);
    world_ready(&w, 1, 101);
    world_seen(&w, 1, 300, CRASH_HOST);
    world_ready(&w, 1, 300);
    CHECK_STR(world_story(&w),
            "ctl  topic orders created: partitions 1, replication factor 1, min isr 1\n"
            "ctl  broker 1 epoch 101 log directories failed -> fenced\n"
            "ctl  orders-0 isr {1} -> {1}, no leader, leader epoch 1\n"
            "ctl  broker 1 epoch 300 registered, kind host\n"
            "ctl  orders-0 isr {1} -> {1}, no leader, leader epoch 1, recovering\n"
            "ctl  broker 1 epoch 300 ready -> unfenced\n"
            "ctl  orders-0 UNCLEAN: its only replica, on broker 1, may have lost its last records; "
            "leads again in leader epoch 2\n");
}

static void leader_moves_to_a_member_of_the_isr_story(void) /* [REP-6], [REP-8] */
{
    WORLD(w, 3);

    world_start(&w, 3);
    world_create(&w, "orders", 1, 3);
    world_broker(&w, CTL_EV_BROKER_GONE, 1, 101);
    world_broker(&w, CTL_EV_BROKER_GONE, 2, -1);
    world_broker(&w, CTL_EV_BROKER_GONE, 3, 103);
    world_seen(&w, 3, 203, CRASH_HOST);
    world_ready(&w, 3, 203);
    world_seen(&w, 2, 202, CRASH_PROC);
    world_ready(&w, 2, 202);
    CHECK_STR(world_story(&w),
            "ctl  topic orders created: partitions 1, replication factor 3, min isr 2\n"
            "ctl  broker 1 epoch 101 gone -> fenced\n"
            "ctl  orders-0 isr {1,2,3} -> {2,3}, leader 2, leader epoch 1\n"
            "ctl  broker 2 epoch 102 gone -> fenced\n"
            "ctl  orders-0 isr {2,3} -> {3}, leader 3, leader epoch 2\n"
            "ctl  broker 3 epoch 103 gone -> fenced\n"
            "ctl  orders-0 isr {3} -> {}, no leader, leader epoch 3\n"
            "ctl  broker 3 epoch 203 registered, kind host\n"
            "ctl  orders-0 isr {} -> {}, no leader, leader epoch 3\n"
            "ctl  broker 3 epoch 203 ready -> unfenced\n"
            "ctl  broker 2 epoch 202 registered, kind process\n"
            "ctl  broker 2 epoch 202 ready -> unfenced\n"
            "ctl  orders-0 isr {} -> {2}, leader 2, leader epoch 4\n");
}

static void records_say_why(void)
{
    WORLD(w, 3);

    world_start(&w, 2);
    world_create(&w, "orders", 1, 2);
    CHECK_STR(w.fx.items[0].append.records[0].why.actor, "http 127.0.0.1");
    world_broker(&w, CTL_EV_BROKER_GONE, 1, 101);
    const struct meta_record *r = w.fx.items[0].append.records;
    CHECK_EQ(w.n_appended, 2);
    CHECK_EQ(r[0].kind, META_FENCE_BROKER);
    CHECK_EQ(r[1].why.cause, CAUSE_BROKER_GONE);
    CHECK_STR(r[1].why.inputs, "fenced=1 isr=[1,2] live=[2]");
}

static void milder_crash_does_not_shrink_an_unfinished_purge(void) /* [CTL-3] */
{
    WORLD(w, 1);
    struct meta_record r = {.kind = META_REGISTER_BROKER};

    /* An earlier controller got no further than the registration. */
    r.register_broker = (struct meta_register_broker){
            .id = 4, .epoch = 50, .crash_kind = CRASH_HOST, .rack = "", .version = ""};
    CHECK_EQ(image_apply(w.log, 1, &r), 0);
    world_elect(&w);
    world_seen(&w, 4, 51, CRASH_CLEAN);
    CHECK_EQ(image_broker(w.log, 4)->crash_kind, CRASH_HOST);
    CHECK(!image_broker(w.log, 4)->purge_pending);
    world_listed(&w);
}

/* F8: the folder of a copy says that it was closed in order, and it was, but that was not the last time. */
static void old_copy_of_a_disk_is_a_lost_disk(void) /* [CTL-3] */
{
    WORLD(w, 1);
    world_start(&w, 1);
    world_seen(&w, 1, 201, CRASH_CLEAN);
    CHECK_EQ(image_broker(w.log, 1)->crash_kind, CRASH_CLEAN);
    world_ready(&w, 1, 201);
    world_seen_after(&w, 1, 202, CRASH_CLEAN, 101);
    CHECK_EQ(image_broker(w.log, 1)->crash_kind, CRASH_DISK);
    /* An incarnation that no controller registered was between. */
    world_seen_after(&w, 1, 209, CRASH_CLEAN, 205);
    CHECK_EQ(image_broker(w.log, 1)->crash_kind, CRASH_CLEAN);
}

static void new_controller_finishes_what_the_old_one_began(void) /* [CTL-2] */
{
    WORLD(w, 1);
    static const struct uuid id = {{5}};
    struct meta_record r = {.kind = META_CREATE_TOPIC};

    world_start(&w, 2);
    r.create_topic.id = id;
    r.create_topic.name = "half";
    r.create_topic.n_partitions = 3;
    r.create_topic.replication_factor = 1;
    CHECK_EQ(image_apply(w.log, 1, &r), 0);
    r = (struct meta_record){.kind = META_FENCE_BROKER};
    r.broker.id = 2;
    r.broker.epoch = 102;
    CHECK_EQ(image_apply(w.log, 1, &r), 0);
    world_elect(&w);
    world_seen(&w, 1, 101, CRASH_CLEAN);
    world_listed(&w);
    CHECK_EQ(image_topic_by_name(w.log, "half")->n_partitions, 3);
    CHECK_EQ(world_partition(&w, "half", 2)->leader, 1);
}

static void broker_that_left_while_nobody_acted_is_fenced_when_listed(void) /* [CTL-2] */
{
    WORLD(w, 1);

    world_start(&w, 2);
    world_create(&w, "orders", 2, 1);
    world_elect(&w);
    world_seen(&w, 1, 101, CRASH_CLEAN);
    CHECK_EQ(w.n_appended, 0);
    world_create(&w, "early", 1, 1);
    CHECK_EQ(w.reply.error, ERRCODE_LEADER_NOT_AVAILABLE); /* [CTL-10] */
    world_listed(&w);
    CHECK(image_broker_is_active(w.log, 1));
    CHECK_EQ(image_broker(w.log, 2)->state, BROKER_FENCED);
    CHECK_EQ(world_partition(&w, "orders", 0)->leader, 1);
    CHECK_EQ(world_partition(&w, "orders", 1)->leader, BROKER_NONE);
}

static void news_of_another_incarnation_changes_nothing(void) /* [CTL-4] KIP-380 */
{
    WORLD(w, 1);

    world_start(&w, 1);
    world_broker(&w, CTL_EV_BROKER_GONE, 1, 55);
    world_broker(&w, CTL_EV_BROKER_REFUSED, 1, 55);
    world_broker(&w, CTL_EV_BROKER_SILENT, 9, 55);
    world_ready(&w, 1, 55);
    world_ready(&w, 8, 55);
    CHECK_EQ(w.last_seq, 5); /* controller, feature, register, purged, unfence */
    CHECK(image_broker_is_active(w.log, 1));
    world_broker(&w, CTL_EV_BROKER_SHUTDOWN, 1, 55);
    CHECK_EQ(w.reply.error, ERRCODE_STALE_BROKER_EPOCH);
}

static void failed_single_replica_stays_offline_until_it_stands(void) /* [CTL-6] */
{
    WORLD(w, 1);

    world_start(&w, 1);
    world_create(&w, "orders", 2, 1);
    world_seen(&w, 1, 200, CRASH_PROC);
    world_ready_but(&w, 1, 200, "orders", 1);
    CHECK_EQ(world_partition(&w, "orders", 0)->leader, 1);
    CHECK_EQ(world_partition(&w, "orders", 1)->leader, BROKER_NONE);
    CHECK(strstr(world_story(&w), "failed replicas of 1 partitions that stay offline") != NULL);
    /* The next controller does not take it for healthy before it has asked. */
    world_elect(&w);
    world_seen(&w, 1, 200, CRASH_PROC);
    world_listed(&w);
    CHECK_EQ(world_partition(&w, "orders", 1)->leader, BROKER_NONE);
    world_ready_but(&w, 1, 200, "orders", 1);
    CHECK_EQ(world_partition(&w, "orders", 1)->leader, BROKER_NONE);
    world_ready(&w, 1, 200);
    CHECK_EQ(world_partition(&w, "orders", 1)->leader, 1);
    CHECK_EQ(world_partition(&w, "orders", 1)->unclean_epoch, 2);
}

static void failed_replica_of_several_leaves_the_isr(void) /* [CTL-6] */
{
    WORLD(w, 3);

    world_start(&w, 3);
    world_create(&w, "orders", 1, 3);
    world_ready_but(&w, 1, 101, "orders", 0);
    const struct partition_state *p = world_partition(&w, "orders", 0);
    CHECK(!broker_set_has(&p->isr, 1));
    CHECK_EQ(p->leader, 2);
    CHECK_EQ(w.fx.items[0].append.records[0].why.cause, CAUSE_REPLICA_FAILED);
}

static void shutdown_moves_what_can_move(void) /* [CTL-8] */
{
    WORLD(w, 3);

    world_start(&w, 2);
    world_create(&w, "pairs", 2, 2);
    world_create(&w, "singles", 2, 1);
    world_broker(&w, CTL_EV_BROKER_SHUTDOWN, 1, 101);
    CHECK(w.reply.shutdown_done);
    CHECK_EQ(w.reply.shutdown_remaining, 0);
    CHECK_EQ(w.reply.after_seq, w.last_seq);
    CHECK_EQ(world_partition(&w, "pairs", 0)->leader, 2);
    CHECK_EQ(world_partition(&w, "pairs", 1)->leader, 2);
    CHECK_EQ(world_partition(&w, "singles", 0)->leader, 1); /* It serves until it is gone. */
    world_broker(&w, CTL_EV_BROKER_SHUTDOWN, 2, 102);
    CHECK(!w.reply.shutdown_done);
    CHECK_EQ(w.reply.shutdown_remaining, 2);
    world_broker(&w, CTL_EV_BROKER_GONE, 1, 101);
    CHECK_EQ(world_partition(&w, "singles", 0)->leader, BROKER_NONE);
    world_create(&w, "late", 1, 1);
    CHECK_EQ(w.reply.error, ERRCODE_LEADER_NOT_AVAILABLE);
}

struct refusal {
    const char *name;
    int32_t n_partitions, replication_factor;
    int error;
    const char *detail; /* what it must hold */
};

static void topic_is_refused_with_a_sentence(void) /* [CTL-10] */
{
    static const struct refusal refusals[] = {
            {"", 1, 1, ERRCODE_INVALID_TOPIC_EXCEPTION, "must not be empty"},
            {"a b", 1, 1, ERRCODE_INVALID_TOPIC_EXCEPTION, "consists of"},
            {"there", 1, 1, ERRCODE_TOPIC_ALREADY_EXISTS, "topic there exists"},
            {"t", 0, 1, ERRCODE_INVALID_PARTITIONS, "1 to 100000"},
            {"t", 100001, 1, ERRCODE_INVALID_PARTITIONS, "100001 partitions"},
            {"t", -7, 1, ERRCODE_INVALID_PARTITIONS, "-7 partitions"},
            {"t", 1, 0, ERRCODE_INVALID_REPLICATION_FACTOR, "at least 1"},
            {"t", 1, 4, ERRCODE_INVALID_REPLICATION_FACTOR, "at most 3 is served"},
            {"t", 1, 3, ERRCODE_INVALID_REPLICATION_FACTOR, "needs 3 brokers and 2 are up"},
    };
    WORLD(w, 3);

    world_start(&w, 2);
    world_create(&w, "there", 1, 1);
    for (size_t i = 0; i < COUNT_OF(refusals); i++) {
        world_create(
                &w, refusals[i].name, refusals[i].n_partitions, refusals[i].replication_factor);
        CHECK_EQ(w.reply.error, refusals[i].error);
        CHECK(strstr(w.reply.detail, refusals[i].detail) != NULL);
        CHECK_EQ(w.n_appended, 0);
    }
}

static void replication_above_what_is_served_is_refused(void) /* [CTL-10] */
{
    WORLD(w, 1);

    world_start(&w, 3);
    world_create(&w, "t", 1, 3);
    CHECK_EQ(w.reply.error, ERRCODE_INVALID_REPLICATION_FACTOR);
    CHECK_STR(w.reply.detail, "replication factor 3: at most 1 is served");
}

static void without_brokers_the_client_may_try_again(void) /* [CTL-10] */
{
    WORLD(w, 1);

    world_start(&w, 0);
    world_create(&w, "t", 1, 1);
    CHECK_EQ(w.reply.error, ERRCODE_LEADER_NOT_AVAILABLE);
    CHECK(errcode_retriable(w.reply.error));
    CHECK(strstr(w.reply.detail, "start a broker") != NULL);
}

static void topic_is_spread_and_says_why(void) /* [CTL-9], [CTL-11] */
{
    WORLD(w, 1);

    world_start(&w, 3);
    world_create(&w, "orders", 6, -1);
    CHECK_EQ(w.reply.error, ERRCODE_NONE);
    CHECK_EQ(w.reply.n_placement, 6);
    CHECK(!uuid_is_zero(&w.reply.topic_id));
    CHECK_EQ(w.reply.after_seq, w.last_seq);
    for (int32_t p = 0; p < 6; p++) {
        const struct partition_state *state = world_partition(&w, "orders", p);
        CHECK_EQ(state->leader, p % 3 + 1);
        CHECK_EQ(w.reply.placement[p].leader, state->leader);
        CHECK_EQ(state->isr.n, 1);
        CHECK_EQ(state->leader_epoch, 0);
    }
    CHECK_STR(w.reply.placement[3].why, "broker 1 held the fewest replicas (1) of 3 brokers");
}

static void dry_run_decides_and_writes_nothing(void)
{
    WORLD(w, 1);
    struct ctl_event ev = {.kind = CTL_EV_CREATE_TOPIC};

    world_start(&w, 1);
    ev.create = (struct ctl_create_topic){
            .name = "t", .n_partitions = 2, .replication_factor = 1, .dry_run = true};
    world_step(&w, ev);
    CHECK_EQ(w.reply.error, ERRCODE_NONE);
    CHECK_EQ(w.reply.n_placement, 2);
    CHECK_EQ(w.n_appended, 0);
}

/* [ZK-34] What would make a record too large is refused before anything is decided. */
static void configurations_that_no_record_holds_are_refused(void)
{
    WORLD(w, 1);
    static char value[META_CONFIGS_MAX + 1];
    struct meta_config_pair pair = {.key = "k", .value = value};
    struct ctl_event ev = {.kind = CTL_EV_CREATE_TOPIC};

    world_start(&w, 1);
    memset(value, 'v', META_CONFIGS_MAX);
    ev.create = (struct ctl_create_topic){.name = "t",
            .n_partitions = 1,
            .replication_factor = 1,
            .configs = &pair,
            .n_configs = 1};
    world_step(&w, ev);
    CHECK_EQ(w.reply.error, ERRCODE_INVALID_CONFIG);
    CHECK(strstr(w.reply.detail, "one request may have 32768") != NULL);
    CHECK_EQ(w.n_appended, 0);
    value[META_CONFIGS_MAX - 200] = '\0';
    world_step(&w, ev);
    CHECK_EQ(w.reply.error, ERRCODE_NONE);
    CHECK_EQ(w.n_appended, 2);
    memset(value, 'v', META_CONFIGS_MAX);
    ev = (struct ctl_event){.kind = CTL_EV_SET_CONFIGS};
    ev.set_configs =
            (struct ctl_set_configs){.scope = CONFIG_CLUSTER, .pairs = &pair, .n_pairs = 1};
    world_step(&w, ev);
    CHECK_EQ(w.reply.error, ERRCODE_INVALID_CONFIG);
    CHECK_EQ(w.n_appended, 0);
}

static void assignments_are_checked_and_kept(void) /* [CTL-10] */
{
    WORLD(w, 3);
    struct broker_set sets[] = {{2, {2, 1}}, {2, {3, 2}}};
    static const struct meta_config_pair configs[] = {{"min.insync.replicas", "5"}};
    struct ctl_event ev = {.kind = CTL_EV_CREATE_TOPIC};

    world_start(&w, 3);
    ev.create = (struct ctl_create_topic){.name = "t",
            .n_partitions = -1,
            .replication_factor = -1,
            .assignments = sets,
            .n_assignments = 2,
            .configs = configs,
            .n_configs = 1};
    sets[1].at[1] = 3;
    world_step(&w, ev);
    CHECK_STR(w.reply.detail, "partition 1 names broker 3 twice");
    sets[1].at[1] = 9;
    world_step(&w, ev);
    CHECK_STR(w.reply.detail, "partition 1 names broker 9, which is not known");
    sets[1] = (struct broker_set){1, {3}};
    world_step(&w, ev);
    CHECK_EQ(w.reply.error, ERRCODE_INVALID_REPLICA_ASSIGNMENT);
    sets[1] = (struct broker_set){2, {3, 2}};
    ev.create.n_partitions = 3;
    world_step(&w, ev);
    CHECK_EQ(w.reply.error, ERRCODE_INVALID_REPLICA_ASSIGNMENT);
    ev.create.n_partitions = -1;
    world_step(&w, ev);
    CHECK_EQ(w.reply.error, ERRCODE_NONE);
    CHECK_EQ(world_partition(&w, "t", 1)->leader, 3);
    CHECK_EQ(world_partition(&w, "t", 1)->min_isr, 2); /* effective: never above the replicas */
    CHECK_STR(image_topic_config(image_topic_by_name(w.log, "t"), "min.insync.replicas"), "5");
}

static void topic_is_deleted_once_and_internal_ones_are_not(void) /* [CTL-12] */
{
    WORLD(w, 1);
    struct meta_record r = {.kind = META_CREATE_TOPIC};

    r.create_topic.id = (struct uuid){{5}};
    r.create_topic.name = "__state";
    r.create_topic.internal = true;
    r.create_topic.n_partitions = r.create_topic.replication_factor = 1;
    CHECK_EQ(image_apply(w.log, 1, &r), 0);
    world_start(&w, 1);
    world_create(&w, "t", 1, 1);
    struct uuid id = w.reply.topic_id;
    world_delete(&w, "t");
    CHECK_EQ(w.reply.error, ERRCODE_NONE);
    CHECK(uuid_equal(&w.reply.topic_id, &id));
    world_delete(&w, "t");
    CHECK_EQ(w.reply.error, ERRCODE_UNKNOWN_TOPIC_OR_PARTITION);
    world_delete(&w, "__state");
    CHECK_EQ(w.reply.error, ERRCODE_POLICY_VIOLATION);
    world_create(&w, "t", 1, 1);
    CHECK(!uuid_equal(&w.reply.topic_id, &id));
}

static void many_partitions_are_told_in_short(void)
{
    WORLD(w, 1);

    world_start(&w, 1);
    world_create(&w, "wide", 50, 1);
    (void)world_story(&w);
    world_broker(&w, CTL_EV_BROKER_SILENT, 1, 101);
    CHECK_EQ(w.n_appended, 51);
    CHECK(strstr(world_story(&w), "ctl  and 30 more partitions\n") != NULL);
}

static void topic_without_a_number_gets_what_the_brokers_allow(void) /* [CTL-53] */
{
    WORLD(w, 8);

    world_start(&w, 2);
    world_create(&w, "two", 1, -1);
    CHECK_EQ(world_partition(&w, "two", 0)->replicas.n, 2);
    for (broker_id id = 3; id <= 5; id++) {
        world_seen(&w, id, 100 + id, CRASH_CLEAN);
        world_ready(&w, id, 100 + id);
    }
    world_create(&w, "three", 1, -1);
    CHECK_EQ(world_partition(&w, "three", 0)->replicas.n, 3);
    CHECK_EQ(world_partition(&w, "three", 0)->min_isr, 2);
    world_deinit(&w);
    world_init(&w, 1, 42);
    world_start(&w, 3);
    world_create(&w, "one", 1, -1); /* no more than is served */
    CHECK_EQ(world_partition(&w, "one", 0)->replicas.n, 1);
}

static void add_partitions(struct world *w, const char *topic, int32_t n)
{
    struct ctl_event ev = {.kind = CTL_EV_ADD_PARTITIONS, .actor = "http 127.0.0.1"};

    ev.add_partitions.name = topic;
    ev.add_partitions.n_partitions = n;
    world_step(w, ev);
    CHECK(w->has_reply);
}

static void topic_grows_and_never_shrinks(void) /* [CTL-54] */
{
    WORLD(w, 3);

    world_start(&w, 3);
    world_create(&w, "orders", 2, 2);
    add_partitions(&w, "orders", 7);
    CHECK_EQ(w.reply.error, ERRCODE_NONE);
    CHECK_EQ(w.reply.n_placement, 5);
    CHECK_EQ(w.reply.placement[0].partition, 2);
    CHECK_EQ(image_topic_by_name(w.log, "orders")->n_partitions, 7);
    CHECK_EQ(image_topic_by_name(w.log, "orders")->n_declared, 7);
    CHECK_EQ(world_partition(&w, "orders", 6)->replicas.n, 2);
    CHECK_EQ(world_partition(&w, "orders", 6)->isr.n, 2);
    add_partitions(&w, "orders", 7);
    CHECK_EQ(w.reply.error, ERRCODE_NONE);
    CHECK(w.reply.is_unchanged);
    add_partitions(&w, "orders", 6);
    CHECK_EQ(w.reply.error, ERRCODE_INVALID_PARTITIONS);
    add_partitions(&w, "nothing", 6);
    CHECK_EQ(w.reply.error, ERRCODE_UNKNOWN_TOPIC_OR_PARTITION);
    world_broker(&w, CTL_EV_BROKER_GONE, 2, 102);
    world_broker(&w, CTL_EV_BROKER_GONE, 3, 103);
    add_partitions(&w, "orders", 8);
    CHECK_EQ(w.reply.error, ERRCODE_INVALID_REPLICATION_FACTOR);
    CHECK_EQ(w.n_appended, 0);
}

static void growth_that_was_cut_short_goes_on_when_asked_again(void) /* [CTL-54] */
{
    WORLD(w, 1);

    world_start(&w, 1);
    world_create(&w, "orders", 1, 1);
    w.keep_n = 2;
    add_partitions(&w, "orders", 5);
    world_elect(&w);
    world_seen(&w, 1, 101, CRASH_CLEAN);
    world_listed(&w);
    world_ready(&w, 1, 101);
    CHECK_EQ(image_topic_by_name(w.log, "orders")->n_partitions, 3);
    add_partitions(&w, "orders", 5);
    CHECK_EQ(w.reply.n_placement, 2);
    CHECK_EQ(image_topic_by_name(w.log, "orders")->n_partitions, 5);
}

static const struct check_case cases[] = {
        CASE(standby_refuses_requests_and_ignores_brokers),
        CASE(term_begins_with_the_barrier),
        CASE(broker_comes_serves_and_dies_story),
        CASE(host_crash_of_the_only_replica_is_loud_story),
        CASE(broker_without_a_disk_stays_fenced_until_it_comes_anew_story),
        CASE(leader_moves_to_a_member_of_the_isr_story),
        CASE(records_say_why),
        CASE(milder_crash_does_not_shrink_an_unfinished_purge),
        CASE(old_copy_of_a_disk_is_a_lost_disk),
        CASE(new_controller_finishes_what_the_old_one_began),
        CASE(broker_that_left_while_nobody_acted_is_fenced_when_listed),
        CASE(news_of_another_incarnation_changes_nothing),
        CASE(failed_single_replica_stays_offline_until_it_stands),
        CASE(failed_replica_of_several_leaves_the_isr),
        CASE(shutdown_moves_what_can_move),
        CASE(topic_is_refused_with_a_sentence),
        CASE(replication_above_what_is_served_is_refused),
        CASE(without_brokers_the_client_may_try_again),
        CASE(topic_is_spread_and_says_why),
        CASE(dry_run_decides_and_writes_nothing),
        CASE(configurations_that_no_record_holds_are_refused),
        CASE(assignments_are_checked_and_kept),
        CASE(topic_is_deleted_once_and_internal_ones_are_not),
        CASE(many_partitions_are_told_in_short),
        CASE(topic_without_a_number_gets_what_the_brokers_allow),
        CASE(topic_grows_and_never_shrinks),
        CASE(growth_that_was_cut_short_goes_on_when_asked_again),
};
CHECK_MAIN("ctl", cases)
