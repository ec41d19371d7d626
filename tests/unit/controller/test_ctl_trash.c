/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/mem.h"
#include "tests/lib/check.h"
#include "tests/unit/controller/ctl_world.h"

#include <stdio.h>

#define DAY ((wall_ms)24 * 60 * 60 * 1000)

static struct world w;

static void begin(broker_id n_brokers, int32_t replication_factor_max)
{
    world_deinit(&w);
    world_init(&w, replication_factor_max, 42);
    world_start(&w, n_brokers);
}

static void set_config(const char *topic, const char *key, const char *value)
{
    const struct meta_config_pair pair = {key, value};
    struct ctl_event ev = {.kind = CTL_EV_SET_CONFIGS};

    ev.set_configs = (struct ctl_set_configs){
            .scope = topic != NULL ? CONFIG_TOPIC : CONFIG_CLUSTER, .topic = topic, .pairs = &pair,
            .n_pairs = 1};
    world_step(&w, ev);
    CHECK_EQ(w.reply.error, ERRCODE_NONE);
}

static void tick(void)
{
    world_step(&w, (struct ctl_event){.kind = CTL_EV_TICK});
}

static void topic_comes_back_with_its_id_and_a_leader(void) /* [TRS-1] [TRS-2] */
{
    begin(2, 1);
    world_create(&w, "orders", 2, 1);
    struct uuid id = w.reply.topic_id;
    epoch32 epoch = world_partition(&w, "orders", 0)->leader_epoch;
    world_delete(&w, "orders");
    CHECK_EQ(w.reply.purged_at, 1000 + DAY);
    world_create(&w, "orders", 1, 1);
    world_restore(&w, "");
    CHECK_EQ(w.reply.error, ERRCODE_TOPIC_ALREADY_EXISTS);
    CHECK(strstr(w.reply.detail, "another name") != NULL);
    world_restore(&w, "__mine");
    CHECK_EQ(w.reply.error, ERRCODE_INVALID_TOPIC_EXCEPTION);
    world_restore(&w, "orders-2");
    CHECK_EQ(w.reply.error, ERRCODE_NONE);
    CHECK(uuid_equal(&w.reply.topic_id, &id));
    CHECK_EQ(w.reply.n_placement, 2);
    CHECK_EQ(w.n_appended, 3);
    for (int32_t p = 0; p < 2; p++) {
        CHECK(world_partition(&w, "orders-2", p)->leader != BROKER_NONE);
        CHECK_EQ(world_partition(&w, "orders-2", p)->leader_epoch, epoch + 2);
        CHECK_EQ(w.reply.placement[p].leader, world_partition(&w, "orders-2", p)->leader);
    }
    world_restore(&w, "orders-3");
    CHECK_EQ(w.reply.error, ERRCODE_UNKNOWN_TOPIC_ID);
}

/* [TRS-2] The new controller has no READY of a broker that never stopped serving. */
static void single_replica_leads_at_once_also_in_a_new_term(void)
{
    begin(1, 1);
    world_create(&w, "orders", 1, 1);
    world_delete(&w, "orders");
    world_elect(&w);
    world_seen(&w, 1, 101, CRASH_CLEAN);
    world_listed(&w);
    world_restore(&w, "");
    CHECK_EQ(world_partition(&w, "orders", 0)->leader, 1);
}

static void without_its_broker_it_waits_for_it(void) /* [TRS-2] */
{
    begin(1, 1);
    world_create(&w, "orders", 1, 1);
    world_delete(&w, "orders");
    world_broker(&w, CTL_EV_BROKER_GONE, 1, 101);
    world_restore(&w, "");
    CHECK_EQ(w.reply.error, ERRCODE_NONE);
    CHECK_EQ(world_partition(&w, "orders", 0)->leader, BROKER_NONE);
    world_seen(&w, 1, 102, CRASH_PROC);
    world_ready(&w, 1, 102);
    CHECK_EQ(world_partition(&w, "orders", 0)->leader, 1);
    CHECK_EQ(world_partition(&w, "orders", 0)->unclean_epoch, EPOCH_NONE);
}

/* The other thing that waits, for some quiet, is past. */
static void be_quiet(void)
{
    w.now = wtime_add(w.now, WTIME_S(30));
    tick();
}

static void deleted_now_is_purged_in_the_same_decision(void) /* [TRS-3] */
{
    struct ctl_event ev = {.kind = CTL_EV_DELETE_TOPIC};

    begin(1, 1);
    world_create(&w, "orders", 1, 1);
    be_quiet();
    ev.delete_topic.name = "orders";
    ev.delete_topic.is_now = true;
    world_step(&w, ev);
    CHECK_EQ(w.n_appended, 2);
    CHECK_EQ(w.reply.purged_at, 0);
    CHECK_EQ(image_n_trash(w.log), 0);
    CHECK_EQ(image_n_tombstones(w.log), 1);
    CHECK_EQ(ctl_deadline(w.ctl), WTIME_NEVER);
    set_config(NULL, "weir.delete.grace.ms", "0");
    world_create(&w, "orders", 1, 1);
    world_delete(&w, "orders");
    CHECK_EQ(image_n_trash(w.log), 0);
}

static void trash_is_purged_after_the_grace(void) /* [TRS-4] */
{
    begin(1, 1);
    world_create(&w, "orders", 1, 1);
    be_quiet();
    CHECK_EQ(ctl_deadline(w.ctl), WTIME_NEVER);
    world_delete(&w, "orders");
    CHECK(ctl_deadline(w.ctl) <= w.now + WTIME_S(60)); /* the clock may be set meanwhile */
    w.wall = 1000 + DAY - 5;
    w.now = WTIME_S(1000);
    tick();
    CHECK_EQ(w.n_appended, 0);
    CHECK_EQ(ctl_deadline(w.ctl), w.now + WTIME_MS(5));
    w.wall = 1000; /* set back */
    tick();
    CHECK_EQ(w.n_appended, 0);
    w.wall = 1000 + DAY;
    tick();
    CHECK_EQ(w.n_appended, 1);
    CHECK_EQ(image_n_trash(w.log), 0);
    CHECK_EQ(ctl_deadline(w.ctl), WTIME_NEVER);
    world_create(&w, "orders", 1, 1);
    world_delete(&w, "orders");
    set_config(NULL, "weir.delete.grace.ms", "10");
    CHECK_EQ(ctl_deadline(w.ctl), w.now + WTIME_MS(10));
    world_elect(&w); /* What a controller did not get to, the next one does. */
    w.wall += 10;
    tick();
    CHECK_EQ(image_n_trash(w.log), 0);
}

static void trash_is_bounded_and_the_oldest_goes(void) /* [TRS-5] */
{
    begin(1, 1);
    for (int i = 0; i < WORLD_TRASH_TOPICS + 3; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "t%d", i);
        world_create(&w, name, 1, 1);
        world_delete(&w, name);
        CHECK(image_n_trash(w.log) <= WORLD_TRASH_TOPICS);
    }
    CHECK_STR(image_trash_at(w.log, 0)->name, "t3");
    CHECK_STR(image_trash_at(w.log, WORLD_TRASH_TOPICS - 1)->name, "t10");
}

static void too_many_partitions_leave_only_the_last(void) /* [TRS-5] */
{
    begin(1, 1);
    world_create(&w, "small", 1, 1);
    world_delete(&w, "small");
    world_create(&w, "wide", WORLD_TRASH_PARTITIONS + 1, 1);
    world_delete(&w, "wide");
    CHECK_EQ(image_n_trash(w.log), 1);
    CHECK_STR(image_trash_at(w.log, 0)->name, "wide");
}

static void host_crash_marks_what_is_in_the_trash(void) /* [TRS-6] */
{
    begin(3, 3);
    world_create(&w, "single", 1, 1);
    broker_id only = world_partition(&w, "single", 0)->leader;
    world_delete(&w, "single");
    world_broker(&w, CTL_EV_BROKER_GONE, only, 100 + only);
    world_seen(&w, only, 200, CRASH_HOST);
    world_ready(&w, only, 200);
    CHECK(image_trash_at(w.log, 0)->partitions[0].recovering);
    world_restore(&w, "");
    const struct partition_state *p = world_partition(&w, "single", 0);
    CHECK_EQ(p->leader, only);
    CHECK_EQ(p->unclean_epoch, p->leader_epoch);
    CHECK(!p->recovering);
    world_create(&w, "three", 1, 3);
    world_delete(&w, "three");
    world_broker(&w, CTL_EV_BROKER_GONE, 2, 102);
    world_seen(&w, 2, 300, CRASH_HOST);
    world_ready(&w, 2, 300);
    world_restore(&w, "");
    p = world_partition(&w, "three", 0);
    CHECK_EQ(p->isr.n, only == 2 ? 3 : 2);
    CHECK(p->leader != BROKER_NONE && p->leader != 2);
}

/* [CTL-46] A report of before the removal comes behind it. */
static void failed_replica_of_a_deleted_topic_comes_back_out_of_sync(void)
{
    begin(3, 3);
    world_create(&w, "orders", 1, 3);
    struct ctl_failed_replica failed = {
            .ref = {.topic_id = image_topic_by_name(w.log, "orders")->id}, .reason = "damaged"};
    struct ctl_event ev = {.kind = CTL_EV_REPLICA_FAILED};
    ev.failed.id = 2;
    ev.failed.epoch = 102;
    ev.failed.replicas = &failed;
    ev.failed.n = 1;
    world_delete(&w, "orders");
    world_step(&w, ev);
    CHECK_EQ(w.reply.error, ERRCODE_NONE);
    world_restore(&w, "");
    const struct partition_state *p = world_partition(&w, "orders", 0);
    CHECK_EQ(p->isr.n, 2);
    CHECK(!broker_set_has(&p->isr, 2) && p->leader != BROKER_NONE);
}

static void protected_topic_is_refused_until_it_is_cleared(void) /* [TRS-7] */
{
    struct ctl_event ev = {.kind = CTL_EV_DELETE_TOPIC};

    begin(1, 1);
    world_create(&w, "orders", 1, 1);
    set_config("orders", "weir.delete.protection", "true");
    ev.delete_topic.name = "orders";
    ev.delete_topic.is_now = true;
    world_step(&w, ev);
    CHECK_EQ(w.reply.error, ERRCODE_POLICY_VIOLATION);
    CHECK(w.reply.is_protected);
    CHECK_STR(w.reply.detail, "'orders' has weir.delete.protection=true");
    set_config("orders", "weir.delete.protection", NULL);
    set_config(NULL, "weir.delete.protection", "true"); /* of all topics */
    world_delete(&w, "orders");
    CHECK(w.reply.is_protected);
    set_config("orders", "weir.delete.protection", "false");
    world_delete(&w, "orders");
    CHECK_EQ(w.reply.error, ERRCODE_NONE);
    CHECK(!w.reply.is_protected);
}

static void dry_runs_write_nothing(void)
{
    struct ctl_event ev = {.kind = CTL_EV_RESTORE_TOPIC};

    begin(1, 1);
    world_create(&w, "orders", 1, 1);
    world_delete(&w, "orders");
    ev.restore_topic.id = image_trash_at(w.log, 0)->id;
    ev.restore_topic.dry_run = true;
    world_step(&w, ev);
    CHECK_EQ(w.n_appended, 0);
    CHECK_STR(w.reply.topic, "orders");
    ev.kind = CTL_EV_PURGE_TOPIC;
    ev.purge_topic.id = image_trash_at(w.log, 0)->id;
    ev.purge_topic.dry_run = true;
    world_step(&w, ev);
    CHECK_EQ(w.n_appended, 0);
    CHECK_EQ(image_n_trash(w.log), 1);
    world_purge(&w);
    CHECK_EQ(image_n_trash(w.log), 0);
    world_deinit(&w);
    w = (struct world){0};
}

static const struct check_case cases[] = {
        CASE(topic_comes_back_with_its_id_and_a_leader),
        CASE(single_replica_leads_at_once_also_in_a_new_term),
        CASE(without_its_broker_it_waits_for_it),
        CASE(deleted_now_is_purged_in_the_same_decision),
        CASE(trash_is_purged_after_the_grace),
        CASE(trash_is_bounded_and_the_oldest_goes),
        CASE(too_many_partitions_leave_only_the_last),
        CASE(host_crash_marks_what_is_in_the_trash),
        CASE(failed_replica_of_a_deleted_topic_comes_back_out_of_sync),
        CASE(protected_topic_is_refused_until_it_is_cleared),
        CASE(dry_runs_write_nothing),
};
CHECK_MAIN("ctl_trash", cases)
