/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/array.h"
#include "common/base/prng.h"
#include "common/domain/image.h"
#include "tests/lib/check.h"
#include "tests/lib/image_text.h"

static struct uuid uuid_of(unsigned n)
{
    return (struct uuid){{(uint8_t)(n >> 8), (uint8_t)n, 1}};
}

static struct meta_record record(enum meta_kind kind)
{
    return (struct meta_record){.kind = kind, .at = 1000};
}

static struct meta_record registration(broker_id id, int64_t epoch)
{
    static const struct endpoint endpoints[] = {{"weir", "10.0.0.1", 9190}, {"tls", "::1", 9191}};
    static const struct uuid dirs[] = {{{9}}};
    struct meta_record r = record(META_REGISTER_BROKER);

    r.register_broker = (struct meta_register_broker){.id = id,
            .epoch = epoch,
            .crash_kind = CRASH_PROC,
            .rack = "r1",
            .version = "0.1",
            .endpoints = endpoints,
            .n_endpoints = 2,
            .dirs = dirs,
            .n_dirs = 1};
    return r;
}

static struct meta_record broker_record(enum meta_kind kind, broker_id id, int64_t epoch)
{
    struct meta_record r = record(kind);

    r.broker.id = id;
    r.broker.epoch = epoch;
    return r;
}

static struct meta_record creation(unsigned id, const char *name, int32_t n)
{
    struct meta_record r = record(META_CREATE_TOPIC);

    r.create_topic.id = uuid_of(id);
    r.create_topic.name = name;
    r.create_topic.n_partitions = n;
    r.create_topic.replication_factor = 1;
    return r;
}

static struct meta_record partition(unsigned id, int32_t p, broker_id leader)
{
    struct meta_record r = record(META_PARTITION_STATE);

    r.partition = (struct partition_state){
            .topic_id = uuid_of(id),
            .partition = p,
            .replicas = {1, {1}},
            .isr = {1, {1}},
            .leader = leader,
            .min_isr = 1,
            .unclean_epoch = EPOCH_NONE,
    };
    return r;
}

static void apply(struct image *image, struct meta_record r)
{
    CHECK_EQ(image_apply(image, 7, &r), 0);
}

static void refuse(struct image *image, struct meta_record r)
{
    char *before = image_text(image);
    CHECK_EQ(image_apply(image, 7, &r), IMAGE_E_BROKEN);
    char *after = image_text(image);

    CHECK_STR(after, before);
    mem_free(before);
    mem_free(after);
}

/* Broker 1 active with epoch 10, topic "b" (id 1) of two partitions. */
static struct image *small(void)
{
    struct image *image = image_new();

    apply(image, registration(1, 10));
    apply(image, broker_record(META_BROKER_PURGED, 1, 10));
    apply(image, broker_record(META_UNFENCE_BROKER, 1, 10));
    apply(image, creation(1, "b", 2));
    apply(image, partition(1, 0, 1));
    apply(image, partition(1, 1, 1));
    return image;
}

static void broker_is_registered_purged_unfenced_in_this_order(void) /* [REP-7] */
{
    struct image *image = image_new();

    apply(image, registration(1, 10));
    CHECK(image_broker(image, 1)->purge_pending);
    refuse(image, broker_record(META_UNFENCE_BROKER, 1, 10));
    refuse(image, broker_record(META_BROKER_PURGED, 1, 11));
    refuse(image, broker_record(META_FENCE_BROKER, 1, 10));
    apply(image, broker_record(META_BROKER_PURGED, 1, 10));
    CHECK(!image_broker_is_active(image, 1));
    refuse(image, broker_record(META_BROKER_SHUTDOWN, 1, 10));
    apply(image, broker_record(META_UNFENCE_BROKER, 1, 10));
    CHECK(image_broker_is_active(image, 1));
    refuse(image, registration(1, 10));
    apply(image, broker_record(META_BROKER_SHUTDOWN, 1, 10));
    CHECK(!image_broker_is_active(image, 1));
    apply(image, registration(1, 9)); /* Epochs are compared for equality only. */
    CHECK_EQ(image_broker(image, 1)->state, BROKER_FENCED);
    CHECK(image_check(image));
    image_free(image);
}

static void brokers_are_sorted_and_keep_their_address(void)
{
    struct image *image = image_new();

    apply(image, registration(5, 10));
    const struct image_broker *five = image_broker(image, 5);
    apply(image, registration(2, 11));
    apply(image, registration(9, 12));
    apply(image, registration(5, 13));
    CHECK(image_broker(image, 5) == five);
    CHECK_EQ(five->epoch, 13);
    CHECK_EQ(image_n_brokers(image), 3);
    CHECK_EQ(image_broker_at(image, 0)->id, 2);
    CHECK_EQ(image_broker_at(image, 2)->id, 9);
    CHECK(image_broker(image, 3) == NULL);
    CHECK_STR(image_broker_endpoint(five, "tls")->host, "::1");
    CHECK(image_broker_endpoint(five, "other") == NULL);
    image_free(image);
}

static void topics_are_found_by_name_by_id_and_in_order(void)
{
    struct image *image = small();

    apply(image, creation(2, "a", 1));
    apply(image, creation(3, "c", 1));
    CHECK_EQ(image_n_topics(image), 3);
    CHECK_STR(image_topic_at(image, 0)->name, "a");
    CHECK_EQ(image_topic_lower_bound(image, "bb"), 2);
    CHECK_EQ(image_topic_lower_bound(image, "d"), 3);
    struct uuid id = uuid_of(3);
    CHECK(image_topic_by_id(image, &id) == image_topic_by_name(image, "c"));
    CHECK(image_topic_by_name(image, "nope") == NULL);
    CHECK_EQ(image_topic_by_name(image, "c")->created_at_index, 7);
    CHECK_EQ(image_n_partitions(image), 2);
    image_free(image);
}

static void topic_that_contradicts_the_image_is_broken(void)
{
    struct image *image = small();

    refuse(image, creation(1, "other", 1));
    refuse(image, creation(2, "b", 1));
    refuse(image, creation(2, "bad name", 1));
    refuse(image, creation(0, "zero", 0));
    refuse(image, creation(2, "many", PARTITIONS_PER_TOPIC_MAX + 1));
    struct meta_record gone = record(META_REMOVE_TOPIC);
    gone.remove_topic.id = uuid_of(9);
    refuse(image, gone);
    image_free(image);
}

static void removed_topic_frees_its_name(void)
{
    struct image *image = small();
    struct meta_record gone = record(META_REMOVE_TOPIC);

    gone.remove_topic.id = uuid_of(1);
    apply(image, gone);
    CHECK_EQ(image_n_partitions(image), 0);
    apply(image, creation(2, "b", 1));
    CHECK(image_check(image));
    image_free(image);
}

static void partition_epochs_only_grow(void) /* [REP-3] */
{
    struct image *image = small();
    struct meta_record r = partition(1, 1, 1);

    refuse(image, r);
    r.partition.partition_epoch = 1;
    apply(image, r);
    r.partition.partition_epoch = 2;
    r.partition.leader = BROKER_NONE;
    refuse(image, r); /* Another leader in the same leader epoch. */
    r.partition.leader_epoch = 1;
    apply(image, r);
    r.partition.partition_epoch = 3;
    r.partition.leader_epoch = 0;
    refuse(image, r);
    CHECK_EQ(image_partition(image, &r.partition.topic_id, 1)->partition_epoch, 2);
    image_free(image);
}

static void partition_out_of_place_is_broken(void)
{
    struct image *image = small();

    refuse(image, partition(2, 0, 1)); /* no such topic */
    refuse(image, partition(1, 3, 1)); /* a gap */
    apply(image, creation(2, "gap", 3));
    refuse(image, partition(2, 1, 1));
    struct meta_record r = partition(2, 0, 1);
    r.partition.replicas.at[0] = r.partition.isr.at[0] = r.partition.leader = 8;
    refuse(image, r); /* a broker that never registered */
    image_free(image);
}

static void topic_gets_more_partitions_one_by_one(void) /* [CTL-54] */
{
    struct image *image = small();
    const struct image_topic *t = image_topic_by_name(image, "b");

    for (int32_t p = 2; p < 9; p++) {
        apply(image, partition(1, p, 1));
        CHECK_EQ(t->n_declared, p + 1);
    }
    CHECK_EQ(t->n_partitions, 9);
    CHECK(image_check(image));
    struct image *copy = image_copy(image);
    apply(copy, partition(1, 9, 1));
    CHECK_EQ(image_topic_by_name(copy, "b")->n_partitions, 10);
    CHECK_EQ(t->n_partitions, 9);
    image_free(copy);
    image_free(image);
}

static void unknown_kinds_and_features_are_told_apart_from_damage(void)
{
    struct image *image = small();
    struct meta_record feature = record(META_FEATURE_SET);
    struct meta_record unknown = record((enum meta_kind)99);

    CHECK_EQ(image_apply(image, 8, &unknown), IMAGE_E_KIND);
    feature.feature.name = "group.version";
    feature.feature.level = 1;
    CHECK_EQ(image_apply(image, 8, &feature), IMAGE_E_KIND);
    feature.feature.name = "metadata.version";
    apply(image, feature);
    CHECK_EQ(image_feature_level(image), 1);
    image_free(image);
}

static void configs_are_set_changed_and_removed(void)
{
    struct image *image = small();
    static const struct meta_config_pair first[] = {{"b.key", "1"}, {"a.key", "2"}, {"c", NULL}};
    static const struct meta_config_pair second[] = {{"b.key", NULL}, {"a.key", "3"}};
    struct meta_record r = record(META_CONFIG_SET);

    r.config_set.scope = CONFIG_TOPIC;
    r.config_set.topic_id = uuid_of(1);
    r.config_set.configs = first;
    r.config_set.n_configs = COUNT_OF(first);
    apply(image, r);
    CHECK_STR(image_topic_config(image_topic_by_name(image, "b"), "b.key"), "1");
    r.config_set.configs = second;
    r.config_set.n_configs = COUNT_OF(second);
    apply(image, r);
    CHECK(image_topic_config(image_topic_by_name(image, "b"), "b.key") == NULL);
    CHECK_STR(image_topic_config(image_topic_by_name(image, "b"), "a.key"), "3");
    CHECK(image_cluster_config(image, "a.key") == NULL);
    r.config_set.scope = CONFIG_CLUSTER;
    apply(image, r);
    CHECK_STR(image_cluster_config(image, "a.key"), "3");
    r.config_set.scope = CONFIG_BROKER;
    r.config_set.broker = 4;
    refuse(image, r);
    image_free(image);
}

static void controllers_epoch_and_producer_ids_only_grow(void)
{
    struct image *image = small();
    struct meta_record r = record(META_NEW_CONTROLLER);
    struct meta_record ids = record(META_PRODUCER_ID_BLOCK);

    r.new_controller.ctl_epoch = 3;
    r.new_controller.controller_id = 2;
    apply(image, r);
    refuse(image, r);
    CHECK_EQ(image_ctl_epoch(image), 3);
    CHECK_EQ(image_controller_id(image), 2);
    ids.producer_ids.first = 1000;
    ids.producer_ids.count = 1000;
    apply(image, ids);
    refuse(image, ids);
    CHECK_EQ(image_next_producer_id(image), 2000);
    image_free(image);
}

static void settled_means_no_fenced_broker_in_charge(void) /* [REP-6] */
{
    struct image *image = small();
    struct meta_record r = partition(1, 0, BROKER_NONE);

    CHECK(image_check_settled(image));
    apply(image, broker_record(META_FENCE_BROKER, 1, 10));
    CHECK(image_check(image));
    CHECK(!image_check_settled(image));
    for (int32_t p = 0; p < 2; p++) {
        r.partition.partition = p;
        r.partition.partition_epoch = r.partition.leader_epoch = 1;
        apply(image, r);
    }
    CHECK(image_check_settled(image)); /* [REP-5] The only replica stays in the ISR. */
    image_free(image);
}

/* --- Property: a snapshot is the image -------------------------------------------------------- */
struct into {
    struct image *image;
};

static void apply_one(void *ctx, const struct meta_record *r)
{
    struct into *into = ctx;

    CHECK_EQ(image_apply(into->image, 999999, r), 0);
}

static void check_snapshot_rebuilds(const struct image *image)
{
    struct into into = {.image = image_new()};

    image_snapshot(image, apply_one, &into);
    char *a = image_text(image);
    char *b = image_text(into.image);
    CHECK_STR(b, a);
    CHECK(image_check(into.image));
    mem_free(a);
    mem_free(b);
    image_free(into.image);
}

static struct meta_record operation(uint64_t id, enum operation_state state, wall_ms ended)
{
    struct meta_record r = record(META_OPERATION);

    r.operation = (struct meta_operation){.id = id, .kind = OPERATION_REASSIGN, .state = state,
            .ended = ended, .detail = "", .actor = "", .reason = ""};
    return r;
}

static void an_intent_outlives_a_registration_and_a_forgotten_broker_is_gone(void) /* [CTL-70] [CTL-74] */
{
    struct image *image = small();
    struct meta_record r = record(META_BROKER_INTENT);

    r.intent.id = 1;
    r.intent.intent = BROKER_DRAINING;
    apply(image, r);
    CHECK(!image_broker_is_open(image_broker(image, 1)));
    apply(image, registration(1, 11));
    CHECK_EQ(image_broker(image, 1)->intent, BROKER_DRAINING);
    struct image *copy = image_copy(image);
    CHECK_EQ(image_broker(copy, 1)->intent, BROKER_DRAINING);
    check_snapshot_rebuilds(copy);
    image_free(copy);
    r = record(META_BROKER_FORGOTTEN);
    r.forgotten.id = 1;
    refuse(image, r); /* It holds partitions. */
    struct meta_record gone = record(META_REMOVE_TOPIC);
    gone.remove_topic.id = uuid_of(1);
    apply(image, gone);
    refuse(image, r); /* So it does in the trash. */
    gone.kind = META_PURGE_TOPIC;
    gone.purge_topic.id = uuid_of(1);
    gone.purge_topic.is_tombstone = false;
    apply(image, gone);
    apply(image, r);
    CHECK_EQ(image_n_brokers(image), 0);
    refuse(image, r);
    image_free(image);
}

static void an_operation_knows_what_it_still_moves(void) /* [CTL-75] */
{
    struct image *image = small();
    struct meta_record r = partition(1, 1, 1);

    apply(image, registration(2, 12));
    apply(image, operation(5, OPERATION_RUNNING, 0));
    r.partition.partition_epoch = 1;
    r.partition.operation = 5;
    refuse(image, r); /* Nothing is under way. */
    r.partition.replicas = (struct broker_set){2, {2, 1}};
    r.partition.adding = (struct broker_set){1, {2}};
    apply(image, r);
    CHECK_EQ(image_operation(image, 5)->n_left, 1);
    struct meta_record gone = record(META_REMOVE_TOPIC);
    gone.remove_topic.id = uuid_of(1);
    apply(image, gone);
    CHECK_EQ(image_operation(image, 5)->n_left, 0);
    gone.kind = META_RESTORE_TOPIC;
    gone.restore_topic.id = uuid_of(1);
    gone.restore_topic.name = "b";
    apply(image, gone);
    CHECK_EQ(image_operation(image, 5)->n_left, 1);
    check_snapshot_rebuilds(image);
    apply(image, operation(5, OPERATION_CANCELLED, 9));
    refuse(image, operation(5, OPERATION_DONE, 9));
    refuse(image, operation(4, OPERATION_RUNNING, 0));
    CHECK(image_check(image));
    image_free(image);
}

static void a_hundred_ended_operations_are_remembered(void) /* [CTL-76] */
{
    struct image *image = small();

    apply(image, operation(1, OPERATION_RUNNING, 0));
    apply(image, operation(2, OPERATION_DONE, 500));
    for (uint64_t id = 3; id < 3 + IMAGE_OPERATIONS_ENDED; id++) {
        apply(image, operation(id, OPERATION_DONE, (wall_ms)id));
    }
    CHECK_EQ(image_n_operations(image), IMAGE_OPERATIONS_ENDED + 1);
    CHECK(image_operation(image, 1) != NULL); /* It runs. */
    CHECK(image_operation(image, 2) != NULL);
    CHECK(image_operation(image, 3) == NULL); /* It ended first. */
    CHECK(image_check(image));
    check_snapshot_rebuilds(image);
    image_free(image);
}

static struct broker_set random_set(struct prng *r, unsigned n_max)
{
    struct broker_set s = {0};
    unsigned n = (unsigned)prng_below(r, n_max + 1);

    while (s.n < n) {
        (void)broker_set_add(&s, (broker_id)prng_below(r, 5));
    }
    return s;
}

static struct meta_record random_partition(struct prng *r, const struct image *image)
{
    struct meta_record m = partition((unsigned)prng_below(r, 6), (int32_t)prng_below(r, 3), 0);
    const struct partition_state *old =
            image_partition(image, &m.partition.topic_id, m.partition.partition);

    m.partition.replicas = random_set(r, 3);
    m.partition.isr = random_set(r, 2);
    m.partition.elr = random_set(r, 1);
    m.partition.min_isr = 1 + (int32_t)prng_below(r, 2);
    if (prng_below(r, 3) == 0 && m.partition.replicas.n > 0) {
        (void)broker_set_add(&m.partition.adding, m.partition.replicas.at[0]);
        m.partition.operation = prng_below(r, 40);
    }
    m.partition.leader = m.partition.isr.n > 0 ? m.partition.isr.at[0] : BROKER_NONE;
    if (old != NULL) {
        m.partition.leader_epoch = old->leader_epoch + (int32_t)prng_below(r, 2);
        m.partition.partition_epoch = old->partition_epoch + (int32_t)prng_below(r, 3);
    }
    return m;
}

/* Of an operation that is there, or a new one. */
static struct meta_record random_operation(struct prng *r, const struct image *image)
{
    struct meta_record m = record(META_OPERATION);
    size_t n = image_n_operations(image);

    m.operation = (struct meta_operation){
            .id = prng_below(r, 40),
            .kind = (enum operation_kind)prng_below(r, 7),
            .state = (enum operation_state)prng_below(r, 4),
            .brokers = {1, {(broker_id)prng_below(r, 5)}},
            .n_partitions = (int32_t)prng_below(r, 5) - 1,
            .detail = "why",
            .actor = "",
            .reason = "test",
    };
    if (n > 0 && prng_below(r, 2) > 0) {
        m.operation.id = image_operation_at(image, prng_below(r, (uint32_t)n))->is.id;
        m.operation.kind = image_operation(image, m.operation.id)->is.kind;
    }
    return m;
}

/* Any record, right or wrong; small ranges make both frequent. */
static struct meta_record random_record(struct prng *r, const struct image *image)
{
    static const char *const names[] = {"a", "b", "long-name", "x.y", "z_z", "no good"};
    static struct meta_config_pair pairs[2];
    struct meta_record m = record((enum meta_kind)(1 + prng_below(r, META_KINDS + 1)));
    broker_id id = (broker_id)prng_below(r, 5);
    const struct image_broker *b = image_broker(image, id);
    int64_t epoch = b != NULL && prng_below(r, 4) > 0 ? b->epoch : (int64_t)prng_below(r, 50);
    unsigned topic = (unsigned)prng_below(r, 6);

    pairs[0] = (struct meta_config_pair){names[prng_below(r, 5)], "v"};
    pairs[1] = (struct meta_config_pair){
            names[prng_below(r, 5)], prng_below(r, 2) > 0 ? names[prng_below(r, 5)] : NULL};
    switch (m.kind) {
    case META_NEW_CONTROLLER: m.new_controller.ctl_epoch = prng_below(r, 100); break;
    case META_REGISTER_BROKER: return registration(id, (int64_t)prng_below(r, 50));
    case META_BROKER_PURGED:
    case META_FENCE_BROKER:
    case META_UNFENCE_BROKER:
    case META_BROKER_SHUTDOWN: return broker_record(m.kind, id, epoch);
    case META_CREATE_TOPIC:
        m = creation(topic, names[prng_below(r, 6)], (int32_t)prng_below(r, 4));
        m.create_topic.configs = pairs;
        m.create_topic.n_configs = prng_below(r, 3);
        break;
    case META_REMOVE_TOPIC: m.remove_topic.id = uuid_of(topic); break;
    case META_PARTITION_STATE: return random_partition(r, image);
    case META_CONFIG_SET:
        m.config_set.scope = (enum config_scope)(prng_below(r, 5));
        m.config_set.topic_id = uuid_of(topic);
        m.config_set.broker = id;
        m.config_set.configs = pairs;
        m.config_set.n_configs = 2;
        break;
    case META_PRODUCER_ID_BLOCK:
        m.producer_ids.first = (int64_t)prng_below(r, 100);
        m.producer_ids.count = (int32_t)prng_below(r, 3);
        break;
    case META_FEATURE_SET:
        m.feature.name = "metadata.version";
        m.feature.level = (int32_t)prng_below(r, 3);
        break;
    case META_PURGE_TOPIC:
        m.purge_topic.id = uuid_of(topic + (unsigned)prng_below(r, 3));
        m.purge_topic.is_tombstone = prng_below(r, 4) == 0;
        break;
    case META_RESTORE_TOPIC:
        m.restore_topic.id = uuid_of(topic);
        m.restore_topic.name = names[prng_below(r, 6)];
        break;
    case META_BROKER_INTENT:
        m.intent.id = id;
        m.intent.intent = (enum broker_intent)prng_below(r, 5);
        break;
    case META_BROKER_FORGOTTEN: m.forgotten.id = id; break;
    case META_OPERATION: return random_operation(r, image);
    }
    return m;
}

static void refused_record_changes_nothing_and_snapshot_rebuilds_the_image(void)
{
    struct prng r;
    unsigned applied = 0, refused = 0;

    prng_init(&r, check_seed());
    for (int walk = 0; walk < 40; walk++) {
        struct image *image = image_new();
        for (uint64_t step = 1; step < 300; step++) {
            struct meta_record m = random_record(&r, image);
            char *before = image_text(image);
            bool done = image_apply(image, step, &m) == 0;
            char *after = image_text(image);
            applied += done;
            refused += !done;
            if (!done) {
                CHECK_STR(after, before);
            }
            CHECK(image_check(image));
            mem_free(before);
            mem_free(after);
        }
        check_snapshot_rebuilds(image);
        image_free(image);
    }
    CHECK(applied > 1000);
    CHECK(refused > 1000);
}

static void hundred_thousand_partitions_apply_quickly(void)
{
    struct image *image = image_new();
    struct meta_record r = creation(1, "huge", 100000);
    int64_t start = check_now_ms();

    apply(image, registration(1, 10));
    apply(image, r);
    for (int32_t p = 0; p < 100000; p++) {
        r = partition(1, p, 1);
        if (image_apply(image, 2, &r) != 0) {
            CHECK_EQ(p, -1);
        }
    }
    CHECK_EQ(image_n_partitions(image), 100000);
    CHECK(check_now_ms() - start < 5000); /* Generous: sanitizers, a busy machine. */
    image_free(image);
}

static const struct check_case cases[] = {
        CASE(broker_is_registered_purged_unfenced_in_this_order),
        CASE(brokers_are_sorted_and_keep_their_address),
        CASE(topics_are_found_by_name_by_id_and_in_order),
        CASE(topic_that_contradicts_the_image_is_broken),
        CASE(removed_topic_frees_its_name),
        CASE(partition_epochs_only_grow),
        CASE(partition_out_of_place_is_broken),
        CASE(topic_gets_more_partitions_one_by_one),
        CASE(unknown_kinds_and_features_are_told_apart_from_damage),
        CASE(configs_are_set_changed_and_removed),
        CASE(controllers_epoch_and_producer_ids_only_grow),
        CASE(settled_means_no_fenced_broker_in_charge),
        CASE(an_intent_outlives_a_registration_and_a_forgotten_broker_is_gone),
        CASE(an_operation_knows_what_it_still_moves),
        CASE(a_hundred_ended_operations_are_remembered),
        CASE(refused_record_changes_nothing_and_snapshot_rebuilds_the_image),
        CASE(hundred_thousand_partitions_apply_quickly),
};
CHECK_MAIN("image", cases)
