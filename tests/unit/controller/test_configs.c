/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/array.h"
#include "tests/lib/check.h"
#include "tests/unit/controller/ctl_world.h"

#define WORLD(name, rf_max)                                                                        \
    __attribute__((cleanup(world_deinit))) struct world name;                                      \
    world_init(&name, (rf_max), 42)

#define PAIRS(...) ((const struct meta_config_pair[]){__VA_ARGS__})

static void set(struct world *w, struct ctl_set_configs s)
{
    struct ctl_event ev = {
            .kind = CTL_EV_SET_CONFIGS, .actor = "http 127.0.0.1", .reason = "a test"};

    ev.set_configs = s;
    world_step(w, ev);
    CHECK(w->has_reply);
}

static void set_cluster(struct world *w, const char *key, const char *value)
{
    set(w, (struct ctl_set_configs){
                   .scope = CONFIG_CLUSTER, .pairs = PAIRS({key, value}), .n_pairs = 1});
}

static void standby_refuses(void) /* [CTL-7] */
{
    WORLD(w, 1);

    set_cluster(&w, "num.partitions", "3");
    CHECK_EQ(w.reply.error, ERRCODE_NOT_CONTROLLER);
    CHECK_EQ(w.n_appended, 0);
}

static void change_is_one_record_that_says_why(void) /* [CFG-3] */
{
    WORLD(w, 1);

    world_start(&w, 1);
    set_cluster(&w, "log.segment.bytes", "2097152");
    set(&w, (struct ctl_set_configs){.scope = CONFIG_CLUSTER,
                    .pairs = PAIRS({"log.segment.bytes", "4194304"}, {"message.max.bytes", "2048"},
                            {"log.index.interval.bytes", NULL}),
                    .n_pairs = 3});
    CHECK_EQ(w.n_appended, 1);
    const struct meta_record *r = &w.fx.items[0].append.records[0];
    CHECK_EQ(r->kind, META_CONFIG_SET);
    CHECK_EQ(r->config_set.n_configs, 2); /* the third was not set before either */
    CHECK_EQ(r->why.cause, CAUSE_ADMIN);
    CHECK_STR(r->why.actor, "http 127.0.0.1");
    CHECK_STR(r->why.reason, "a test");
    CHECK_STR(r->why.inputs, "old=[log.segment.bytes=2097152 message.max.bytes=unset]");
    CHECK_EQ(w.reply.after_seq, r->seq);
    CHECK(!w.reply.is_unchanged);
    CHECK_STR(image_cluster_config(w.log, "log.segment.bytes"), "4194304");
    CHECK_STR(world_story(&w), "ctl  cluster: log.segment.bytes = 2097152\n"
                               "ctl  cluster: log.segment.bytes = 4194304\n"
                               "ctl  cluster: message.max.bytes = 2048\n");
}

static void null_takes_a_value_away(void)
{
    WORLD(w, 1);

    world_start(&w, 1);
    set_cluster(&w, "message.max.bytes", "2048");
    set_cluster(&w, "message.max.bytes", NULL);
    CHECK_EQ(w.n_appended, 1);
    CHECK(image_cluster_config(w.log, "message.max.bytes") == NULL);
}

static void nothing_new_is_no_record(void) /* [CFG-3] */
{
    WORLD(w, 1);

    world_start(&w, 1);
    set_cluster(&w, "num.partitions", "3");
    set_cluster(&w, "num.partitions", "3");
    CHECK_EQ(w.reply.error, ERRCODE_NONE);
    CHECK_EQ(w.n_appended, 0);
    CHECK(w.reply.is_unchanged);
    set(&w, (struct ctl_set_configs){.scope = CONFIG_CLUSTER});
    CHECK_EQ(w.n_appended, 0);
    CHECK(w.reply.is_unchanged);
}

static void dry_run_decides_and_records_nothing(void)
{
    WORLD(w, 1);

    world_start(&w, 1);
    set(&w, (struct ctl_set_configs){.scope = CONFIG_CLUSTER,
                    .pairs = PAIRS({"num.partitions", "3"}),
                    .n_pairs = 1,
                    .dry_run = true});
    CHECK_EQ(w.reply.error, ERRCODE_NONE);
    CHECK_EQ(w.n_appended, 0);
    CHECK(!w.reply.is_unchanged);
    CHECK(image_cluster_config(ctl_next_image(w.ctl), "num.partitions") == NULL);
}

static void topics_and_brokers_have_their_own(void)
{
    WORLD(w, 1);

    world_start(&w, 2);
    world_create(&w, "orders", 1, 1);
    set(&w, (struct ctl_set_configs){.scope = CONFIG_TOPIC,
                    .topic = "orders",
                    .pairs = PAIRS({"segment.bytes", "1048576"}),
                    .n_pairs = 1});
    CHECK_EQ(w.reply.error, ERRCODE_NONE);
    set(&w, (struct ctl_set_configs){.scope = CONFIG_BROKER,
                    .broker = 2,
                    .pairs = PAIRS({"log.level", "debug"}),
                    .n_pairs = 1});
    CHECK_EQ(w.reply.error, ERRCODE_NONE);
    CHECK_STR(image_topic_config(image_topic_by_name(w.log, "orders"), "segment.bytes"), "1048576");
    CHECK_STR(image_broker_config(image_broker(w.log, 2), "log.level"), "debug");
    CHECK(image_broker_config(image_broker(w.log, 1), "log.level") == NULL);
    CHECK(image_cluster_config(w.log, "log.level") == NULL);
    world_seen(&w, 2, 300, CRASH_PROC); /* a value outlives the incarnation */
    CHECK_STR(image_broker_config(image_broker(w.log, 2), "log.level"), "debug");
}

static void what_is_not_there_is_refused(void)
{
    WORLD(w, 1);

    world_start(&w, 1);
    set(&w, (struct ctl_set_configs){.scope = CONFIG_TOPIC,
                    .topic = "nope",
                    .pairs = PAIRS({"segment.bytes", "1048576"}),
                    .n_pairs = 1});
    CHECK_EQ(w.reply.error, ERRCODE_UNKNOWN_TOPIC_OR_PARTITION);
    CHECK_STR(w.reply.detail, "there is no topic nope");
    set(&w, (struct ctl_set_configs){.scope = CONFIG_BROKER,
                    .broker = 9,
                    .pairs = PAIRS({"log.level", "debug"}),
                    .n_pairs = 1});
    CHECK_EQ(w.reply.error, ERRCODE_BROKER_ID_NOT_REGISTERED);
    CHECK_STR(w.reply.detail, "no broker 9 has registered");
    CHECK_EQ(w.n_appended, 0);
}

static void defaults_of_creations_follow(void) /* [CFG-4] */
{
    WORLD(w, 3);

    world_start(&w, 3);
    set_cluster(&w, "num.partitions", "4");
    set_cluster(&w, "default.replication.factor", "2");
    world_create(&w, "orders", -1, -1);
    CHECK_EQ(w.reply.error, ERRCODE_NONE);
    CHECK_EQ(image_topic_by_name(w.log, "orders")->n_partitions, 4);
    CHECK_EQ(image_topic_by_name(w.log, "orders")->replication_factor, 2);
    set_cluster(&w, "num.partitions", NULL);
    world_create(&w, "one", -1, -1);
    CHECK_EQ(image_topic_by_name(w.log, "one")->n_partitions, 1);
}

static void replication_that_is_not_served_is_no_default(void) /* [CFG-4] */
{
    WORLD(w, 1);
    WORLD(w3, 3);

    world_start(&w, 3);
    set_cluster(&w, "default.replication.factor", "2");
    CHECK_EQ(w.reply.error, ERRCODE_INVALID_REPLICATION_FACTOR);
    CHECK_STR(w.reply.detail, "replication factor 2: at most 1 is served");
    CHECK_EQ(w.n_appended, 0);
    set_cluster(&w, "default.replication.factor", "1");
    CHECK_EQ(w.reply.error, ERRCODE_NONE);
    set_cluster(&w, "default.replication.factor", NULL);
    CHECK_EQ(w.reply.error, ERRCODE_NONE);
    world_start(&w3, 3);
    set_cluster(&w3, "default.replication.factor", "4");
    CHECK_STR(w3.reply.detail, "replication factor 4: at most 3 is served");
}

static void condition_holds_only_while_nothing_was_decided(void) /* [CFG-5] */
{
    WORLD(w, 1);
    struct ctl_set_configs s = {
            .scope = CONFIG_CLUSTER, .pairs = PAIRS({"num.partitions", "3"}), .n_pairs = 1};

    world_start(&w, 1);
    s.if_seq = w.last_seq;
    world_create(&w, "orders", 1, 1);
    set(&w, s);
    CHECK_EQ(w.reply.error, ERRCODE_INVALID_UPDATE_VERSION);
    CHECK_EQ(w.n_appended, 0);
    s.if_seq = w.last_seq;
    set(&w, s);
    CHECK_EQ(w.reply.error, ERRCODE_NONE);
    CHECK_EQ(w.n_appended, 1);
    set(&w, s); /* the first one was a decision too */
    CHECK_EQ(w.reply.error, ERRCODE_INVALID_UPDATE_VERSION);
}

static void many_former_values_are_told_in_short(void)
{
    WORLD(w, 1);
    struct meta_config_pair pairs[9];
    static const char *const keys[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i"};

    world_start(&w, 1);
    for (size_t i = 0; i < COUNT_OF(pairs); i++) {
        pairs[i] = (struct meta_config_pair){keys[i], "1"};
    }
    set(&w, (struct ctl_set_configs){
                    .scope = CONFIG_CLUSTER, .pairs = pairs, .n_pairs = COUNT_OF(pairs)});
    CHECK_STR(w.fx.items[0].append.records[0].why.inputs,
            "old=[a=unset b=unset c=unset d=unset e=unset f=unset and 3 more]");
}

static void set_topic(struct world *w, const char *topic, const char *key, const char *value)
{
    set(w, (struct ctl_set_configs){.scope = CONFIG_TOPIC,
                   .topic = topic,
                   .pairs = PAIRS({key, value}),
                   .n_pairs = 1});
}

static void partitions_follow_min_insync_replicas(void) /* [CTL-51] */
{
    WORLD(w, 3);

    world_start(&w, 3);
    world_create(&w, "orders", 2, 3);
    world_create(&w, "solo", 1, 1);
    CHECK_EQ(world_partition(&w, "orders", 1)->min_isr, 2);
    set_cluster(&w, "min.insync.replicas", "3");
    CHECK_EQ(w.n_appended, 3); /* not more than there are replicas */
    CHECK_EQ(w.fx.items[0].append.records[1].why.cause, CAUSE_ADMIN);
    CHECK_EQ(world_partition(&w, "orders", 1)->min_isr, 3);
    CHECK_EQ(world_partition(&w, "solo", 0)->min_isr, 1);
    set_topic(&w, "orders", "min.insync.replicas", "1");
    CHECK_EQ(world_partition(&w, "orders", 0)->min_isr, 1);
    set_topic(&w, "orders", "min.insync.replicas", "8");
    CHECK_EQ(world_partition(&w, "orders", 0)->min_isr, 3);
    set_topic(&w, "orders", "min.insync.replicas", NULL);
    set_cluster(&w, "min.insync.replicas", NULL);
    CHECK_EQ(world_partition(&w, "orders", 0)->min_isr, 2);
    CHECK_EQ(world_partition(&w, "orders", 0)->leader_epoch, 0);
}

/* KIP-966's first draft: its member would miss what is committed from now on without it. */
static void elr_ends_when_min_isr_is_lowered(void) /* [CTL-51], [REP-4] */
{
    WORLD(w, 3);

    world_start(&w, 3);
    world_create(&w, "orders", 1, 3);
    for (broker_id id = 3; id > 1; id--) {
        world_broker(&w, CTL_EV_BROKER_SILENT, id, 100 + id);
    }
    CHECK_EQ(world_partition(&w, "orders", 0)->elr.n, 1);
    set_topic(&w, "orders", "min.insync.replicas", "1");
    CHECK_EQ(world_partition(&w, "orders", 0)->elr.n, 0);
    world_broker(&w, CTL_EV_BROKER_SILENT, 1, 101);
    world_ready(&w, 2, 102);
    CHECK_EQ(world_partition(&w, "orders", 0)->leader, BROKER_NONE);
    world_ready(&w, 1, 101);
    CHECK_EQ(world_partition(&w, "orders", 0)->leader, 1);
}

static void a_change_that_was_cut_short_is_finished(void) /* [CTL-51], [CTL-2] */
{
    WORLD(w, 3);

    world_start(&w, 3);
    world_create(&w, "orders", 3, 3);
    w.keep_n = 2;
    set_topic(&w, "orders", "min.insync.replicas", "1");
    CHECK_EQ(world_partition(&w, "orders", 2)->min_isr, 2);
    world_elect(&w);
    for (broker_id id = 1; id <= 3; id++) {
        world_seen(&w, id, 100 + id, CRASH_CLEAN);
    }
    world_listed(&w);
    CHECK_EQ(world_partition(&w, "orders", 2)->min_isr, 1);
}

static const struct check_case cases[] = {
        CASE(standby_refuses),
        CASE(change_is_one_record_that_says_why),
        CASE(null_takes_a_value_away),
        CASE(nothing_new_is_no_record),
        CASE(dry_run_decides_and_records_nothing),
        CASE(topics_and_brokers_have_their_own),
        CASE(what_is_not_there_is_refused),
        CASE(defaults_of_creations_follow),
        CASE(replication_that_is_not_served_is_no_default),
        CASE(condition_holds_only_while_nothing_was_decided),
        CASE(many_former_values_are_told_in_short),
        CASE(partitions_follow_min_insync_replicas),
        CASE(elr_ends_when_min_isr_is_lowered),
        CASE(a_change_that_was_cut_short_is_finished),
};
CHECK_MAIN("configs", cases)
