/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the controller's shell that touch neither ZooKeeper nor a socket. */
#include "common/base/crc.h"
#include "common/base/mem.h"
#include "common/wire/snapshot.h"
#include "controller/shell/batch_ring.h"
#include "controller/shell/event_queue.h"
#include "tests/lib/check.h"

#include <stdio.h>

/* --- Ring -------------------------------------------------------------------------------------- */

static void push(struct batch_ring *r, uint64_t index, size_t size)
{
    uint8_t *bytes = mem_alloc(size);

    bytes[0] = (uint8_t)index;
    batch_ring_push(r, &(struct ring_batch){.index = index,
                               .prev_crc = index * 10 - 10,
                               .crc = index * 10,
                               .bytes = {.at = bytes, .size = size}});
    mem_free(bytes);
}

static void ring_keeps_the_newest_within_its_size(void)
{
    struct batch_ring *r = batch_ring_new(1000);

    for (uint64_t i = 5; i < 505; i++) {
        push(r, i, 100);
    }
    CHECK(batch_ring_get(r, 494) == NULL);
    for (uint64_t i = 495; i < 505; i++) {
        const struct ring_batch *b = batch_ring_get(r, i);
        CHECK(b != NULL);
        CHECK_EQ(b->index, i);
        CHECK_EQ(b->bytes.at[0], (uint8_t)i);
    }
    CHECK(batch_ring_get(r, 505) == NULL);
    push(r, 505, 5000); /* larger than the ring: kept, alone */
    CHECK(batch_ring_get(r, 505) != NULL);
    CHECK(batch_ring_get(r, 504) == NULL);
    batch_ring_free(r);
}

static void ring_tells_who_can_go_on_from_it(void)
{
    struct batch_ring *r = batch_ring_new(1000);

    CHECK(!batch_ring_follows(r, 0, 0));
    for (uint64_t i = 3; i <= 5; i++) {
        push(r, i, 10);
    }
    CHECK(batch_ring_follows(r, 2, 20)); /* its next is the oldest here */
    CHECK(!batch_ring_follows(r, 1, 10));
    CHECK(batch_ring_follows(r, 4, 40));
    CHECK(!batch_ring_follows(r, 4, 41)); /* another chain */
    CHECK(batch_ring_follows(r, 5, 50));  /* nothing to send */
    CHECK(!batch_ring_follows(r, 5, 51));
    CHECK(!batch_ring_follows(r, 6, 60));
    CHECK(!batch_ring_contradicts(r, 2, 20)); /* [ZK-43] */
    CHECK(batch_ring_contradicts(r, 2, 21));  /* by what follows it */
    CHECK(batch_ring_contradicts(r, 4, 41));
    CHECK(batch_ring_contradicts(r, 5, 51));
    CHECK(!batch_ring_contradicts(r, 1, 11)); /* too old to be compared */
    CHECK(!batch_ring_contradicts(r, 6, 61)); /* not here yet */
    batch_ring_clear(r);
    CHECK(!batch_ring_follows(r, 5, 50));
    push(r, 9, 10); /* after a clear it begins anywhere */
    CHECK(batch_ring_follows(r, 8, 80));
    batch_ring_free(r);
}

/* --- Queue ------------------------------------------------------------------------------------- */

static void events_are_copied_whole_and_come_in_order(void)
{
    struct event_queue q;
    struct queued_event *e = NULL;
    char host[8] = "h1", name[8] = "topic", value[8] = "9";
    struct endpoint endpoint = {.name = "weir", .host = host, .port = 1};
    struct uuid dir = {{1}};
    struct meta_config_pair pair = {.key = "k", .value = value}, none = {.key = "l"};
    struct meta_config_pair pairs[2] = {pair, none};
    struct ctl_event seen = {.kind = CTL_EV_BROKER_SEEN,
            .seen = {.id = 3,
                    .epoch = 4,
                    .rack = "r",
                    .version = "v",
                    .endpoints = &endpoint,
                    .n_endpoints = 1,
                    .dirs = &dir,
                    .n_dirs = 1}};
    struct ctl_event create = {.kind = CTL_EV_CREATE_TOPIC,
            .actor = "somebody",
            .create = {.name = name, .configs = pairs, .n_configs = 2}};

    event_queue_init(&q);
    event_queue_push(&q, &seen);
    event_queue_push(&q, &create);
    host[0] = name[0] = value[0] = 'X';
    dir.bytes[0] = 9;
    e = event_queue_pop(&q);
    CHECK_EQ(e->ev.kind, CTL_EV_BROKER_SEEN);
    CHECK_STR(e->ev.seen.endpoints[0].host, "h1");
    CHECK_EQ(e->ev.seen.dirs[0].bytes[0], 1);
    CHECK_STR(e->ev.actor, "");
    queued_event_free(e);
    e = event_queue_pop(&q);
    CHECK_STR(e->ev.create.name, "topic");
    CHECK_STR(e->ev.create.configs[0].value, "9");
    CHECK(e->ev.create.configs[1].value == NULL);
    CHECK_STR(e->ev.actor, "somebody");
    CHECK_STR(e->ev.reason, "");
    queued_event_free(e);
    CHECK(event_queue_pop(&q) == NULL);
    event_queue_push(&q, &seen); /* left in the queue: freed with it */
    event_queue_deinit(&q);
}

static void what_brokers_say_of_their_replicas_is_copied_whole(void)
{
    struct event_queue q;
    struct queued_event *e = NULL;
    char reason[8] = "disk";
    struct ctl_isr_member isr[2] = {{1, 11}, {2, 12}};
    struct ctl_alter_partition asked = {.ref = {.partition = 4}, .isr = isr, .n_isr = 2};
    struct ctl_failed_replica lost = {.ref = {.partition = 5}, .reason = reason};
    struct ctl_event alter = {.kind = CTL_EV_ALTER_PARTITION};
    struct ctl_event failed = {.kind = CTL_EV_REPLICA_FAILED};

    alter.alter.partitions = &asked;
    alter.alter.n = 1;
    failed.failed.replicas = &lost;
    failed.failed.n = 1;
    event_queue_init(&q);
    event_queue_push(&q, &alter);
    event_queue_push(&q, &failed);
    isr[1].id = asked.ref.partition = lost.ref.partition = 99;
    reason[0] = 'X';
    e = event_queue_pop(&q);
    CHECK_EQ(e->ev.alter.partitions[0].ref.partition, 4);
    CHECK_EQ(e->ev.alter.partitions[0].isr[1].id, 2);
    CHECK_EQ(e->ev.alter.partitions[0].isr[1].epoch, 12);
    queued_event_free(e);
    e = event_queue_pop(&q);
    CHECK_EQ(e->ev.failed.replicas[0].ref.partition, 5);
    CHECK_STR(e->ev.failed.replicas[0].reason, "disk");
    queued_event_free(e);
    event_queue_deinit(&q);
}

static void replies_are_copied_whole(void)
{
    char why[8] = "because";
    struct ctl_placement placement = {.partition = 2, .leader = 1, .why = why};
    struct ctl_altered altered = {.ref = {.partition = 3}, .detail = why};
    struct ctl_reply reply = {.request = 7,
            .detail = why,
            .placement = &placement,
            .n_placement = 1,
            .altered = &altered,
            .n_altered = 1};
    struct ctl_reply copy;
    struct arena a;

    arena_init(&a, 0);
    copy = ctl_reply_copy(&reply, &a);
    why[0] = 'X';
    altered.ref.partition = 99;
    CHECK_EQ(copy.altered[0].ref.partition, 3);
    CHECK_STR(copy.altered[0].detail, "because");
    CHECK_EQ(copy.request, 7);
    CHECK_STR(copy.detail, "because");
    CHECK_STR(copy.placement[0].why, "because");
    arena_deinit(&a);
}

/* --- Snapshot ---------------------------------------------------------------------------------- */

static void apply(struct image *image, const struct meta_record *record)
{
    CHECK_EQ(image_apply(image, 1, record), 0);
}

/* An image with so many topics that its snapshot takes several chunks. */
static struct image *large_image(int n_topics)
{
    struct image *image = image_new();
    struct meta_record record = {.seq = 1, .why = {.cause = CAUSE_ADMIN, "", "", ""}};

    record.kind = META_NEW_CONTROLLER;
    record.new_controller.ctl_epoch = 1;
    record.new_controller.controller_id = 1;
    apply(image, &record);
    for (int i = 0; i < n_topics; i++) {
        char name[200];
        struct uuid id = {{1, (uint8_t)(i >> 8), (uint8_t)i}};
        snprintf(name, sizeof(name), "topic-%0150d", i);
        record.seq++;
        record.kind = META_CREATE_TOPIC;
        record.create_topic.id = id;
        record.create_topic.name = name;
        record.create_topic.internal = false;
        record.create_topic.n_partitions = 1;
        record.create_topic.replication_factor = 1;
        record.create_topic.configs = NULL;
        record.create_topic.n_configs = 0;
        apply(image, &record);
    }
    image_set_position(
            image, (struct image_position){.index = 1, .crc = 5, .last_seq = record.seq});
    return image;
}

static void a_snapshot_in_chunks_rebuilds_the_image(void)
{
    struct image *image = large_image(3000), *other = image_new();
    struct snapshot s = {0}, again = {0};
    uint64_t crc = 0, size = 0;

    snapshot_build(image, &s);
    CHECK(s.chunks.n >= 3);
    CHECK_EQ(s.at.index, 1);
    ARRAY_FOREACH (chunk, &s.chunks) {
        CHECK(chunk->size <= 256 * 1024);
        crc = crc64(crc, chunk->data, chunk->size);
        size += chunk->size;
        CHECK_EQ(snapshot_apply(other, 1, (struct bytes){chunk->data, chunk->size}), 0);
    }
    CHECK_EQ(s.crc, crc);
    CHECK_EQ(s.bytes, size);
    image_set_position(other, s.at);
    CHECK_EQ(image_n_topics(other), 3000);
    snapshot_build(other, &again);
    CHECK_EQ(again.crc, s.crc);
    CHECK_EQ(snapshot_apply(other, 1, (struct bytes){s.chunks.items[0].data, 100}),
            SNAPSHOT_E_BROKEN); /* cut */
    snapshot_deinit(&s);
    snapshot_deinit(&again);
    image_free(image);
    image_free(other);
}

static void an_empty_image_is_one_chunk(void)
{
    struct image *image = image_new();
    struct snapshot s = {0};

    snapshot_build(image, &s);
    CHECK_EQ(s.chunks.n, 1);
    CHECK_EQ(s.at.index, 0);
    snapshot_deinit(&s);
    image_free(image);
}

static const struct check_case cases[] = {
        CASE(ring_keeps_the_newest_within_its_size),
        CASE(ring_tells_who_can_go_on_from_it),
        CASE(events_are_copied_whole_and_come_in_order),
        CASE(what_brokers_say_of_their_replicas_is_copied_whole),
        CASE(replies_are_copied_whole),
        CASE(a_snapshot_in_chunks_rebuilds_the_image),
        CASE(an_empty_image_is_one_chunk),
};
CHECK_MAIN("shell_parts", cases)
