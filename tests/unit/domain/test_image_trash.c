/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/mem.h"
#include "common/domain/image.h"
#include "tests/lib/check.h"
#include "tests/lib/image_text.h"

#define DAY ((wall_ms)24 * 60 * 60 * 1000)

static struct uuid uuid_of(unsigned n)
{
    return (struct uuid){{(uint8_t)(n >> 8), (uint8_t)n, 1}};
}

static int try(struct image *image, struct meta_record r)
{
    return image_apply(image, 7, &r);
}

static void create(struct image *image, unsigned id, const char *name, int32_t n)
{
    static const struct meta_config_pair pairs[] = {{"segment.bytes", "2097152"}};
    struct meta_record r = {.kind = META_CREATE_TOPIC, .at = 500};

    r.create_topic.id = uuid_of(id);
    r.create_topic.name = name;
    r.create_topic.n_partitions = n;
    r.create_topic.replication_factor = 1;
    r.create_topic.configs = pairs;
    r.create_topic.n_configs = 1;
    CHECK_EQ(try(image, r), 0);
    for (int32_t p = 0; p < n; p++) {
        struct meta_record s = {.kind = META_PARTITION_STATE};
        s.partition = (struct partition_state){.topic_id = uuid_of(id),
                .partition = p,
                .replicas = {1, {1}},
                .isr = {1, {1}},
                .leader = 1,
                .leader_epoch = 4,
                .partition_epoch = 9,
                .min_isr = 1,
                .unclean_epoch = EPOCH_NONE};
        CHECK_EQ(try(image, s), 0);
    }
}

static int about(struct image *image, enum meta_kind kind, unsigned id, wall_ms at)
{
    struct meta_record r = {.kind = kind, .at = at};

    if (kind == META_REMOVE_TOPIC) {
        r.remove_topic.id = uuid_of(id);
    } else {
        r.purge_topic.id = uuid_of(id);
    }
    return try(image, r);
}

static int restore(struct image *image, unsigned id, const char *name)
{
    struct meta_record r = {.kind = META_RESTORE_TOPIC};

    r.restore_topic.id = uuid_of(id);
    r.restore_topic.name = name;
    return try(image, r);
}

/* Broker 1, and topic "orders" (id 1) with two partitions. */
static struct image *small(void)
{
    struct image *image = image_new();
    struct meta_record r = {.kind = META_REGISTER_BROKER};

    r.register_broker = (struct meta_register_broker){
            .id = 1, .epoch = 10, .crash_kind = CRASH_CLEAN, .rack = "", .version = ""};
    CHECK_EQ(try(image, r), 0);
    create(image, 1, "orders", 2);
    return image;
}

static void apply_one(void *ctx, const struct meta_record *r)
{
    CHECK_EQ(image_apply(ctx, 999, r), 0);
}

/* A snapshot and a copy both give the same image. */
static void check_comes_back(const struct image *image)
{
    struct image *rebuilt = image_new();
    struct image *copy = image_copy(image);

    image_snapshot(image, apply_one, rebuilt);
    char *texts[] = {image_text(image), image_text(rebuilt), image_text(copy)};
    CHECK_STR(texts[1], texts[0]);
    CHECK_STR(texts[2], texts[0]);
    CHECK(image_check(image) && image_check(rebuilt) && image_check(copy));
    CHECK_EQ(image_n_trash_partitions(rebuilt), image_n_trash_partitions(image));
    for (int i = 0; i < 3; i++) {
        mem_free(texts[i]);
    }
    (void)image_free(copy);
    (void)image_free(rebuilt);
}

static void removed_topic_is_kept_whole_and_its_name_is_free(void) /* [TRS-1] */
{
    struct image *image = small();
    struct uuid id = uuid_of(1);

    CHECK_EQ(about(image, META_REMOVE_TOPIC, 1, 1000), 0);
    CHECK_EQ(image_n_topics(image), 0);
    CHECK_EQ(image_n_partitions(image), 0);
    CHECK(image_topic_by_id(image, &id) == NULL && image_partition(image, &id, 0) == NULL);
    const struct image_topic *t = image_trash_by_id(image, &id);
    CHECK(t != NULL && t == image_trash_at(image, 0));
    CHECK_EQ(t->removed_at, 1000);
    CHECK_EQ(t->n_partitions, 2);
    CHECK_STR(image_topic_config(t, "segment.bytes"), "2097152");
    create(image, 2, "orders", 1);
    CHECK_EQ(about(image, META_REMOVE_TOPIC, 2, 900), 0); /* by removal, not by the clock */
    create(image, 3, "orders", 1);
    CHECK_EQ(image_n_trash(image), 2);
    CHECK_EQ(image_n_trash_partitions(image), 3);
    CHECK_EQ(image_trash_at(image, 1)->removed_at, 900);
    check_comes_back(image);
    (void)image_free(image);
}

static void restored_topic_has_no_leader_and_greater_epochs(void) /* [TRS-2] [REP-3] */
{
    struct image *image = small();
    struct uuid id = uuid_of(1);

    CHECK_EQ(restore(image, 1, "orders"), IMAGE_E_BROKEN); /* it is not in the trash */
    CHECK_EQ(about(image, META_REMOVE_TOPIC, 1, 1000), 0);
    create(image, 2, "orders", 1);
    CHECK_EQ(restore(image, 1, "orders"), IMAGE_E_BROKEN);
    CHECK_EQ(restore(image, 1, "no good"), IMAGE_E_BROKEN);
    CHECK_EQ(restore(image, 1, "orders-2"), 0);
    const struct image_topic *t = image_topic_by_id(image, &id);
    CHECK(t != NULL && t == image_topic_by_name(image, "orders-2"));
    CHECK_EQ(t->removed_at, 0);
    CHECK_EQ(t->created_at, 500);
    for (int32_t p = 0; p < 2; p++) {
        CHECK_EQ(t->partitions[p].leader, BROKER_NONE);
        CHECK_EQ(t->partitions[p].leader_epoch, 5);
        CHECK_EQ(t->partitions[p].partition_epoch, 10);
        CHECK_EQ(t->partitions[p].isr.n, 1);
    }
    CHECK_EQ(image_n_trash(image), 0);
    CHECK_EQ(image_n_partitions(image), 3);
    check_comes_back(image);
    CHECK_EQ(about(image, META_REMOVE_TOPIC, 1, 2000), 0);
    CHECK_EQ(restore(image, 1, "a"), 0);
    CHECK_EQ(image_partition(image, &id, 0)->leader_epoch, 5); /* nobody led meanwhile */
    (void)image_free(image);
}

static void purged_topic_leaves_a_tombstone_for_a_week(void) /* [TRS-3] */
{
    struct image *image = small();
    struct uuid id = uuid_of(1);

    CHECK_EQ(about(image, META_PURGE_TOPIC, 1, 1000), IMAGE_E_BROKEN); /* it is there */
    CHECK_EQ(about(image, META_REMOVE_TOPIC, 1, 1000), 0);
    CHECK_EQ(about(image, META_PURGE_TOPIC, 1, 2000), 0);
    CHECK(image_trash_by_id(image, &id) == NULL);
    CHECK_EQ(restore(image, 1, "orders"), IMAGE_E_BROKEN);
    CHECK_EQ(about(image, META_PURGE_TOPIC, 1, 2000), IMAGE_E_BROKEN);
    CHECK_EQ(image_n_tombstones(image), 1);
    CHECK(uuid_equal(&image_tombstone_at(image, 0)->id, &id));
    CHECK_EQ(image_tombstone_at(image, 0)->at, 2000);
    check_comes_back(image);
    create(image, 2, "x", 1);
    CHECK_EQ(about(image, META_REMOVE_TOPIC, 2, 3000), 0);
    CHECK_EQ(about(image, META_PURGE_TOPIC, 2, 2000 + 7 * DAY), 0);
    CHECK_EQ(image_n_tombstones(image), 2);
    create(image, 3, "x", 1);
    CHECK_EQ(about(image, META_REMOVE_TOPIC, 3, 3000), 0);
    CHECK_EQ(about(image, META_PURGE_TOPIC, 3, 2001 + 7 * DAY), 0);
    CHECK_EQ(image_n_tombstones(image), 2); /* the oldest is forgotten */
    check_comes_back(image);
    (void)image_free(image);
}

static void tombstones_are_bounded(void) /* [TRS-3] */
{
    struct image *image = small();

    for (unsigned i = 10; i < 10 + IMAGE_TOMBSTONES_MAX + 5; i++) {
        create(image, i, "x", 1);
        CHECK_EQ(about(image, META_REMOVE_TOPIC, i, 1000), 0);
        CHECK_EQ(about(image, META_PURGE_TOPIC, i, 1000), 0);
    }
    CHECK_EQ(image_n_tombstones(image), IMAGE_TOMBSTONES_MAX);
    struct uuid oldest = uuid_of(15);
    CHECK(uuid_equal(&image_tombstone_at(image, 0)->id, &oldest));
    check_comes_back(image);
    (void)image_free(image);
}

static void what_is_in_the_trash_is_not_made_or_grown_again(void) /* [TRS-1] [TRS-6] */
{
    struct image *image = small();
    struct meta_record again = {.kind = META_CREATE_TOPIC};
    struct meta_record state = {.kind = META_PARTITION_STATE};
    struct meta_record config = {.kind = META_CONFIG_SET};

    CHECK_EQ(about(image, META_REMOVE_TOPIC, 1, 1000), 0);
    again.create_topic.id = uuid_of(1);
    again.create_topic.name = "other";
    again.create_topic.n_partitions = again.create_topic.replication_factor = 1;
    CHECK_EQ(try(image, again), IMAGE_E_BROKEN);
    config.config_set.scope = CONFIG_TOPIC;
    config.config_set.topic_id = uuid_of(1);
    CHECK_EQ(try(image, config), IMAGE_E_BROKEN);
    state.partition = image_trash_at(image, 0)->partitions[1];
    state.partition.partition_epoch++;
    state.partition.recovering = true; /* What its broker's crash means for it is said there too. */
    CHECK_EQ(try(image, state), 0);
    CHECK(image_trash_at(image, 0)->partitions[1].recovering);
    state.partition.partition = 2;
    CHECK_EQ(try(image, state), IMAGE_E_BROKEN);
    check_comes_back(image);
    (void)image_free(image);
}

static const struct check_case cases[] = {
        CASE(removed_topic_is_kept_whole_and_its_name_is_free),
        CASE(restored_topic_has_no_leader_and_greater_epochs),
        CASE(purged_topic_leaves_a_tombstone_for_a_week),
        CASE(tombstones_are_bounded),
        CASE(what_is_in_the_trash_is_not_made_or_grown_again),
};
CHECK_MAIN("image_trash", cases)
