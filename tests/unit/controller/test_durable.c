/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/array.h"
#include "tests/lib/check.h"
#include "tests/unit/controller/ctl_world.h"

/* Topics whose acknowledgements are for the disk, and who lost its power: broker n is of epoch
 * 100 + n, then 200 + n. */

static const struct uuid disk = {{7}}, other_disk = {{8}};

#define WORLD(name)                                                                                \
    __attribute__((cleanup(world_deinit))) struct world name;                                      \
    begin(&name)

static void begin(struct world *w)
{
    world_init(w, 3, 42);
    world_elect(w);
    world_listed(w);
    for (broker_id id = 1; id <= 3; id++) {
        world_seen_with(w, id, 100 + id, CRASH_HOST, BROKER_EPOCH_NONE, &disk);
        world_ready(w, id, 100 + id);
    }
    (void)world_story(w);
}

static void create(
        struct world *w, const char *name, int32_t replication_factor, const char *durability)
{
    const struct meta_config_pair pair = {"weir.ack.durability", durability};
    struct ctl_event ev = {.kind = CTL_EV_CREATE_TOPIC};

    ev.create.name = name;
    ev.create.n_partitions = 1;
    ev.create.replication_factor = replication_factor;
    ev.create.configs = &pair;
    ev.create.n_configs = durability != NULL;
    world_step(w, ev);
    CHECK_EQ(w->reply.error, ERRCODE_NONE);
}

/* Of the topic, or with NULL of the cluster. */
static void set_durability(struct world *w, const char *topic, const char *value)
{
    const struct meta_config_pair pair = {"weir.ack.durability", value};
    struct ctl_event ev = {.kind = CTL_EV_SET_CONFIGS};

    ev.set_configs = (struct ctl_set_configs){
            .scope = topic != NULL ? CONFIG_TOPIC : CONFIG_CLUSTER,
            .topic = topic,
            .pairs = &pair,
            .n_pairs = 1};
    world_step(w, ev);
    CHECK_EQ(w->reply.error, ERRCODE_NONE);
}

static bool is_durable(const struct world *w, const char *topic)
{
    return world_partition(w, topic, 0)->is_durable;
}

static void power_goes(struct world *w)
{
    for (broker_id id = 1; id <= 3; id++) {
        world_broker(w, CTL_EV_BROKER_GONE, id, 100 + id);
    }
}

static void comes_back(struct world *w, broker_id id)
{
    world_seen_with(w, id, 200 + id, CRASH_HOST, 100 + id, &disk);
    world_ready(w, id, 200 + id);
}


static void a_topic_begins_durable_where_that_is_asked_for(void) /* [CTL-88] */
{
    WORLD(w);

    create(&w, "orders", 3, "fsync");
    create(&w, "visits", 3, NULL);
    CHECK(is_durable(&w, "orders"));
    CHECK(!is_durable(&w, "visits"));
    set_durability(&w, NULL, "fsync");
    CHECK(!is_durable(&w, "visits")); /* what it has is not on the disks */
    create(&w, "bills", 1, NULL);
    create(&w, "noise", 1, "replicated");
    CHECK(is_durable(&w, "bills"));
    CHECK(!is_durable(&w, "noise"));
}

static void durable_topics_come_back_when_all_hosts_lost_their_power(void) /* [CTL-89] F6 */
{
    WORLD(w);

    create(&w, "orders", 3, "fsync");
    create(&w, "visits", 3, "replicated");
    power_goes(&w);
    comes_back(&w, 1);
    /* Those who left last hold everything; the one who left before them has to catch up first. */
    CHECK_EQ(world_partition(&w, "orders", 0)->leader, BROKER_NONE);
    comes_back(&w, 3);
    CHECK_EQ(world_partition(&w, "orders", 0)->leader, 3);
    comes_back(&w, 2);
    CHECK_EQ(world_partition(&w, "orders", 0)->unclean_epoch, EPOCH_NONE);
    CHECK(is_durable(&w, "orders"));
    CHECK_EQ(world_partition(&w, "visits", 0)->leader, BROKER_NONE);
    CHECK_EQ(world_partition(&w, "visits", 0)->elr.n, 0);
}

static void a_single_replica_that_is_durable_comes_back_whole(void) /* [CTL-89] [REP-5] */
{
    WORLD(w);

    create(&w, "orders", 1, "fsync");
    create(&w, "visits", 1, "replicated");
    power_goes(&w);
    for (broker_id id = 1; id <= 3; id++) {
        comes_back(&w, id);
    }
    CHECK(world_partition(&w, "orders", 0)->leader != BROKER_NONE);
    CHECK_EQ(world_partition(&w, "orders", 0)->unclean_epoch, EPOCH_NONE);
    CHECK(world_partition(&w, "visits", 0)->unclean_epoch != EPOCH_NONE);
}

static void another_disk_or_an_old_copy_has_lost_what_was_synced(void) /* [CTL-89] [CTL-3] */
{
    WORLD(w);

    create(&w, "orders", 3, "fsync");
    power_goes(&w);
    CHECK_EQ(world_partition(&w, "orders", 0)->elr.n, 2);
    world_seen_with(&w, 3, 203, CRASH_HOST, 103, &other_disk);
    CHECK_EQ(image_broker(w.log, 3)->crash_kind, CRASH_DISK);
    CHECK_EQ(world_partition(&w, "orders", 0)->elr.n, 1);

    world_deinit(&w);
    begin(&w);
    create(&w, "orders", 3, "fsync");
    power_goes(&w);
    world_seen_with(&w, 3, 203, CRASH_HOST, 99, &disk);
    CHECK_EQ(image_broker(w.log, 3)->crash_kind, CRASH_DISK);
    CHECK_EQ(world_partition(&w, "orders", 0)->elr.n, 1);
    CHECK(strstr(world_story(&w), "the disk of its epoch 99, but there was 103 -> disk") != NULL);
}

static void a_directory_beside_those_that_there_were_takes_nothing_away(void) /* [CTL-89] */
{
    static const struct uuid both[] = {{{7}}, {{8}}};
    WORLD(w);
    struct ctl_event ev = {.kind = CTL_EV_BROKER_SEEN, .seen_prev_epoch = 103};

    ev.seen = (struct meta_register_broker){.id = 3,
            .epoch = 203,
            .crash_kind = CRASH_HOST,
            .rack = "",
            .version = "1",
            .dirs = both,
            .n_dirs = 2};
    world_step(&w, ev);
    CHECK_EQ(image_broker(w.log, 3)->crash_kind, CRASH_HOST);
    world_seen_with(&w, 3, 303, CRASH_HOST, 203, &disk); /* and then one of them is missing */
    CHECK_EQ(image_broker(w.log, 3)->crash_kind, CRASH_DISK);
    world_seen_with(&w, 3, 403, CRASH_CLEAN, 303, &other_disk); /* what it held is reported with READY */
    CHECK_EQ(image_broker(w.log, 3)->crash_kind, CRASH_CLEAN);
}

static void an_incarnation_that_never_served_is_no_newer_disk(void) /* [CTL-89] */
{
    WORLD(w);

    create(&w, "orders", 3, "fsync");
    power_goes(&w);
    world_seen_with(&w, 3, 203, CRASH_HOST, 103, &disk);
    world_seen_with(&w, 3, 303, CRASH_HOST, 103, &disk); /* it was gone before it knew its epoch */
    CHECK_EQ(image_broker(w.log, 3)->crash_kind, CRASH_HOST);
    CHECK_EQ(image_broker(w.log, 3)->served_epoch, 103);
    world_ready(&w, 3, 303);
    CHECK_EQ(world_partition(&w, "orders", 0)->leader, 3);
    CHECK_EQ(image_broker(w.log, 3)->served_epoch, 303);
}

static void a_new_broker_that_was_cut_off_before_it_served_has_no_other_disk(void) /* [CTL-89] */
{
    WORLD(w);

    world_seen_with(&w, 4, 104, CRASH_HOST, BROKER_EPOCH_NONE, &disk);
    world_seen_with(&w, 4, 204, CRASH_HOST, BROKER_EPOCH_NONE, &disk);
    CHECK_EQ(image_broker(w.log, 4)->crash_kind, CRASH_HOST);
}

static void a_milder_crash_does_not_bring_a_lost_disk_back(void) /* [CTL-3] [CTL-89] */
{
    WORLD(w);

    create(&w, "orders", 3, "fsync");
    power_goes(&w);
    w.keep_n = 1; /* registered, and no more */
    world_seen_with(&w, 3, 203, CRASH_HOST, 103, &other_disk);
    CHECK_EQ(world_partition(&w, "orders", 0)->elr.n, 2);
    world_elect(&w);
    world_seen_with(&w, 3, 303, CRASH_HOST, 203, &other_disk);
    CHECK_EQ(image_broker(w.log, 3)->crash_kind, CRASH_DISK);
    CHECK_EQ(world_partition(&w, "orders", 0)->elr.n, 1);
}

static void a_replica_that_its_broker_gives_up_leaves_though_durable(void) /* [CTL-89] [CTL-6] */
{
    WORLD(w);

    create(&w, "orders", 3, "fsync");
    power_goes(&w);
    world_seen_with(&w, 3, 203, CRASH_HOST, 103, &disk);
    world_ready_but(&w, 3, 203, "orders", 0);
    CHECK_EQ(world_partition(&w, "orders", 0)->elr.n, 1);
    CHECK_EQ(world_partition(&w, "orders", 0)->leader, BROKER_NONE);
}

static void what_is_not_asked_for_any_more_is_not_durable(void) /* [CTL-88] */
{
    WORLD(w);

    create(&w, "orders", 3, "fsync");
    set_durability(&w, "orders", "replicated");
    CHECK_EQ(w.n_appended, 2); /* in the same decision */
    CHECK(!is_durable(&w, "orders"));
    set_durability(&w, "orders", "fsync");
    CHECK(!is_durable(&w, "orders"));

    set_durability(&w, NULL, "fsync");
    create(&w, "bills", 3, NULL);
    set_durability(&w, NULL, NULL);
    CHECK(!is_durable(&w, "bills"));
    CHECK_EQ(world_partition(&w, "bills", 0)->leader_epoch, 0);
}

static void a_change_of_the_durability_that_was_cut_short_is_finished(void) /* [CTL-88] [CTL-2] */
{
    WORLD(w);

    create(&w, "orders", 3, "fsync");
    w.keep_n = 1;
    set_durability(&w, "orders", "replicated");
    CHECK(is_durable(&w, "orders")); /* so its leader goes on counting what is synced [REP-57] */
    world_elect(&w);
    for (broker_id id = 1; id <= 3; id++) {
        world_seen_with(&w, id, 100 + id, CRASH_CLEAN, 100 + id, &disk);
    }
    world_listed(&w);
    CHECK(!is_durable(&w, "orders"));
}

static int claim(struct world *w, epoch32 partition_epoch_off)
{
    struct ctl_isr_member isr[] = {{1, 101}, {2, 102}, {3, 103}};
    struct world_proposal p = {.from = 1,
            .from_epoch = 101,
            .partition_epoch_off = partition_epoch_off,
            .is_durable = true};
    const struct broker_set in_sync = world_partition(w, "orders", 0)->isr;

    for (uint8_t i = 0; i < in_sync.n; i++) {
        p.isr[p.n++] = isr[in_sync.at[i] - 1];
    }
    return world_propose(w, "orders", 0, &p);
}

static void the_leader_says_when_a_partition_is_durable(void) /* [REP-58] [CTL-88] */
{
    WORLD(w);

    create(&w, "orders", 3, "replicated");
    CHECK_EQ(claim(&w, 0), ERRCODE_NONE);
    CHECK(!is_durable(&w, "orders")); /* nobody asked for it */
    CHECK_EQ(w.n_appended, 1);        /* but the proposal is used up [CTL-42] */
    set_durability(&w, "orders", "fsync");
    CHECK_EQ(claim(&w, -1), ERRCODE_INVALID_UPDATE_VERSION);
    CHECK(!is_durable(&w, "orders"));
    CHECK_EQ(claim(&w, 0), ERRCODE_NONE);
    CHECK(is_durable(&w, "orders"));
    CHECK(w.reply.altered[0].state.is_durable);
    CHECK_STR(w.fx.items[0].append.records[0].why.inputs,
            "proposed=[1,2,3] durable isr=[1,2,3] live=[1,2,3]");
    CHECK_EQ(claim(&w, -1), ERRCODE_NONE); /* its answer was lost */
    CHECK_EQ(w.n_appended, 0);
}

static void of_an_elr_the_leader_says_nothing(void) /* [REP-58] */
{
    WORLD(w);

    create(&w, "orders", 3, "replicated");
    set_durability(&w, "orders", "fsync");
    world_broker(&w, CTL_EV_BROKER_GONE, 3, 103);
    world_broker(&w, CTL_EV_BROKER_GONE, 2, 102);
    CHECK_EQ(world_partition(&w, "orders", 0)->elr.n, 1);
    CHECK_EQ(claim(&w, 0), ERRCODE_NONE);
    CHECK(!is_durable(&w, "orders"));
}

static void an_unclean_election_ends_it(void) /* [REP-57] [REP-9] */
{
    WORLD(w);
    struct ctl_elect_partition named = {.topic = "orders", .leader = 1};
    struct ctl_event ev = {
            .kind = CTL_EV_ELECT, .elect = {.partitions = &named, .n = 1, .is_unclean = true}};

    create(&w, "orders", 3, "fsync");
    power_goes(&w);
    comes_back(&w, 1);
    world_step(&w, ev);
    CHECK_EQ(world_partition(&w, "orders", 0)->leader, 1);
    CHECK(!is_durable(&w, "orders"));
}

static void what_is_in_the_trash_is_durable_too(void) /* [CTL-89] */
{
    WORLD(w);

    create(&w, "orders", 3, "fsync");
    create(&w, "visits", 3, "replicated");
    power_goes(&w);
    world_delete(&w, "visits");
    world_delete(&w, "orders");
    for (broker_id id = 1; id <= 3; id++) {
        comes_back(&w, id);
    }
    world_restore(&w, "");
    CHECK_EQ(world_partition(&w, "orders", 0)->leader, 2);
    CHECK(is_durable(&w, "orders"));
    world_restore(&w, "");
    CHECK_EQ(world_partition(&w, "visits", 0)->leader, BROKER_NONE);
}

static const struct check_case cases[] = {
        CASE(a_topic_begins_durable_where_that_is_asked_for),
        CASE(durable_topics_come_back_when_all_hosts_lost_their_power),
        CASE(a_single_replica_that_is_durable_comes_back_whole),
        CASE(another_disk_or_an_old_copy_has_lost_what_was_synced),
        CASE(a_directory_beside_those_that_there_were_takes_nothing_away),
        CASE(an_incarnation_that_never_served_is_no_newer_disk),
        CASE(a_new_broker_that_was_cut_off_before_it_served_has_no_other_disk),
        CASE(a_milder_crash_does_not_bring_a_lost_disk_back),
        CASE(a_replica_that_its_broker_gives_up_leaves_though_durable),
        CASE(what_is_not_asked_for_any_more_is_not_durable),
        CASE(a_change_of_the_durability_that_was_cut_short_is_finished),
        CASE(the_leader_says_when_a_partition_is_durable),
        CASE(of_an_elr_the_leader_says_nothing),
        CASE(an_unclean_election_ends_it),
        CASE(what_is_in_the_trash_is_durable_too),
};
CHECK_MAIN("durable", cases)
