/* SPDX-License-Identifier: Apache-2.0 */
/* How records become batches and chunks: never past what ZooKeeper takes. [ZK-34] */
#include "common/base/mem.h"
#include "common/base/prng.h"
#include "common/wire/messages.h"
#include "common/zk/zk.h"
#include "controller/shell/batch_cut.h"
#include "controller/shell/link_gains.h"
#include "controller/shell/snapshot_pool.h"
#include "tests/lib/check.h"

#include <stdio.h>

/* The longest of what stands in front of and behind the name of an entry. */
#define CHROOT_SIZE 255
#define LOG_PATH    "/weir/meta/log/0123456789abcdef"

static struct meta_record reason_record(uint64_t seq, const char *reason)
{
    struct meta_record r = {.seq = seq,
            .kind = META_PARTITION_STATE,
            .why = {.cause = CAUSE_ADMIN, .actor = "", .reason = reason, .inputs = ""}};

    r.partition.topic_id.bytes[0] = 1;
    r.partition.replicas = r.partition.isr = (struct broker_set){.n = 3, .at = {1, 2, 3}};
    r.partition.min_isr = 1;
    return r;
}

/* The multi that commits such a batch, as large as it gets. */
static size_t multi_size(struct bytes payload)
{
    struct msg_batch b = {.ctl_epoch = UINT64_MAX,
            .index = UINT64_MAX,
            .first_seq = UINT64_MAX,
            .prev_crc64 = UINT64_MAX,
            .nonce = {{1}},
            .payload = payload,
            .crc64 = UINT64_MAX};
    struct buf value = {0};
    struct zk_op ops[3] = {{.kind = ZK_OP_CHECK, .path = "/weir/epoch"},
            {.kind = ZK_OP_CHECK, .path = LOG_PATH},
            {.kind = ZK_OP_CREATE, .path = LOG_PATH}};
    size_t size = 0;

    wire_encode_batch(&b, &value);
    CHECK(value.size <= payload.size + BATCH_CUT_AROUND);
    CHECK(value.size <= 256 * 1024);
    ops[2].data = (struct bytes){.at = value.data, .size = value.size};
    size = zk_multi_size(ops, 3, CHROOT_SIZE);
    buf_deinit(&value);
    return size;
}

/* Takes all that waits; every piece is below the cap, and the records come out dense and whole. */
static size_t take_all(struct batch_cut *c, uint64_t *seq)
{
    struct batch_piece piece;
    size_t n = 0, expected = 0;

    while ((expected = batch_cut_next_size(c), batch_cut_take(c, &piece))) {
        struct arena a;
        struct msg_record_list list;
        CHECK_EQ(piece.payload.size, expected);
        CHECK(piece.payload.size <= BATCH_CUT_SIZE);
        CHECK(multi_size(piece.payload) <= 300 * 1024);
        arena_init(&a, wire_arena_ceiling(piece.payload.size));
        CHECK_EQ(wire_decode_record_list(piece.payload, &a, &list), 0);
        CHECK_EQ(list.n_records, piece.n_records);
        CHECK_EQ(piece.first_seq, *seq + 1);
        for (size_t i = 0; i < list.n_records; i++) {
            CHECK_EQ(list.records[i].seq, ++*seq);
        }
        CHECK_EQ(piece.last_seq, *seq);
        arena_deinit(&a);
        n++;
    }
    CHECK_EQ(expected, 0);
    return n;
}

static void batches_of_random_records_never_pass_the_cap(void)
{
    struct prng prng;
    struct batch_cut c = {0};
    uint64_t added = 0, seq = 0;
    char *text = mem_alloc(META_RECORD_MAX);

    prng_init(&prng, check_seed());
    for (int round = 0; round < 60; round++) {
        int n = (int)prng_below(&prng, 40);
        for (int i = 0; i < n; i++) {
            uint64_t top = prng_below(&prng, 3) == 0 ? META_RECORD_MAX - 1200 : 300;
            size_t size = prng_below(&prng, top);
            memset(text, 'x', size);
            text[size] = '\0';
            struct meta_record r = reason_record(++added, text);
            CHECK(record_stored_max(&r) <= META_RECORD_MAX);
            batch_cut_add(&c, &r);
        }
        if (prng_below(&prng, 3) == 0) {
            (void)take_all(&c, &seq);
            CHECK_EQ(seq, added);
        }
    }
    (void)take_all(&c, &seq);
    CHECK_EQ(seq, added);
    batch_cut_deinit(&c);
    mem_free(text);
}

/* The boundary: the record that would pass the cap opens the next batch. */
static void a_record_that_does_not_fit_opens_the_next_batch(void)
{
    struct batch_cut c = {0};
    struct batch_piece piece = {0};
    char *text = mem_alloc(META_RECORD_MAX);
    struct meta_record r = reason_record(1, text);
    size_t last = 0;

    memset(text, 'x', META_RECORD_MAX - 400);
    text[META_RECORD_MAX - 400] = '\0';
    for (r.seq = 1; c.bytes.size < BATCH_CUT_SIZE; r.seq++) {
        last = c.bytes.size;
        batch_cut_add(&c, &r);
    }
    CHECK(batch_cut_take(&c, &piece));
    CHECK_EQ(piece.payload.size, last);
    CHECK(batch_cut_take(&c, &piece));
    CHECK_EQ(piece.n_records, 1);
    CHECK(!batch_cut_take(&c, &piece));
    mem_free(text);
    batch_cut_deinit(&c);
}

/* [ZK-35] 100,000 partitions are some tens of batches; while they are taken, more may come. */
static void a_hundred_thousand_partitions_are_cut_in_order(void)
{
    struct batch_cut c = {0};
    struct batch_piece piece = {0};
    uint64_t seq = 0;
    size_t n = 0;

    for (uint64_t i = 1; i <= 100000; i++) {
        struct meta_record r = reason_record(i, "");
        batch_cut_add(&c, &r);
    }
    for (n = 0; n < 12; n++) { /* with half of it taken, what was taken is moved out of the way */
        CHECK(batch_cut_take(&c, &piece));
        CHECK_EQ(piece.first_seq, seq + 1);
        seq = piece.last_seq;
    }
    for (uint64_t i = 100001; i <= 100010; i++) {
        struct meta_record r = reason_record(i, "");
        batch_cut_add(&c, &r);
    }
    n += take_all(&c, &seq);
    CHECK_EQ(seq, 100010);
    CHECK(n > 12 && n < 60);
    batch_cut_deinit(&c);
}

/* --- The bound that the sources of text keep
 * ------------------------------------------------------ */

static void check_bound(struct meta_record *r)
{
    struct buf out = {0};

    wire_append_record(r, &out);
    CHECK(out.size <= record_stored_max(r));
    buf_deinit(&out);
}

static char *random_text(struct prng *prng, char *at, size_t max)
{
    size_t size = prng_below(prng, max);

    memset(at, 'y', size);
    at[size] = '\0';
    return at;
}

static void the_bound_of_a_record_holds_for_every_kind(void)
{
    static const enum meta_kind kinds[] = {META_NEW_CONTROLLER, META_REGISTER_BROKER,
            META_BROKER_PURGED, META_FENCE_BROKER, META_UNFENCE_BROKER, META_BROKER_SHUTDOWN,
            META_CREATE_TOPIC, META_REMOVE_TOPIC, META_PARTITION_STATE, META_CONFIG_SET,
            META_PRODUCER_ID_BLOCK, META_FEATURE_SET};
    const struct broker_set full = {
            .n = 8, .at = {INT32_MIN, -1, INT32_MAX, INT32_MIN, 5, INT32_MAX, 7, INT32_MIN}};
    struct prng prng;
    char a[300], b[300], c[300];

    prng_init(&prng, check_seed());
    for (int i = 0; i < 2000; i++) {
        struct meta_record r = {.seq = UINT64_MAX, .at = INT64_MIN};
        struct meta_config_pair pair = {.key = random_text(&prng, a, sizeof(a)),
                .value = prng_below(&prng, 4) == 0 ? NULL : random_text(&prng, b, sizeof(b))};
        struct meta_config_pair pairs[3] = {pair, pair, pair};
        struct endpoint endpoint = {.name = pair.key, .host = a, .port = UINT16_MAX};
        struct endpoint endpoints[2] = {endpoint, endpoint};
        struct uuid dirs[2] = {{{1}}, {{2}}};
        r.kind = kinds[prng_below(&prng, COUNT_OF(kinds))];
        r.why = (struct meta_why){.cause = CAUSE_ADMIN,
                .actor = a,
                .reason = random_text(&prng, c, sizeof(c)),
                .inputs = b};
        b[0] = pair.value == NULL ? '\0' : b[0];
        if (r.kind == META_REGISTER_BROKER) {
            r.register_broker = (struct meta_register_broker){.id = INT32_MIN,
                    .epoch = INT64_MIN,
                    .crash_kind = CRASH_HOST,
                    .rack = a,
                    .version = a,
                    .endpoints = endpoints,
                    .n_endpoints = prng_below(&prng, 3),
                    .dirs = dirs,
                    .n_dirs = prng_below(&prng, 3)};
        } else if (r.kind == META_CREATE_TOPIC) {
            r.create_topic.id = dirs[0];
            r.create_topic.name = a;
            r.create_topic.internal = true;
            r.create_topic.n_partitions = r.create_topic.replication_factor = INT32_MAX;
            r.create_topic.created_at_index = UINT64_MAX;
            r.create_topic.configs = pairs;
            r.create_topic.n_configs = prng_below(&prng, 4);
        } else if (r.kind == META_PARTITION_STATE) {
            r.partition = (struct partition_state){.topic_id = dirs[0],
                    .partition = INT32_MAX,
                    .replicas = full,
                    .adding = full,
                    .removing = full,
                    .isr = full,
                    .elr = full,
                    .lk = full,
                    .leader = INT32_MIN,
                    .leader_epoch = INT32_MIN,
                    .partition_epoch = INT32_MIN,
                    .min_isr = INT32_MAX,
                    .recovering = true,
                    .unclean_epoch = INT32_MIN};
        } else if (r.kind == META_CONFIG_SET) {
            r.config_set.scope = CONFIG_TOPIC;
            r.config_set.topic_id = dirs[0];
            r.config_set.broker = INT32_MIN;
            r.config_set.configs = pairs;
            r.config_set.n_configs = prng_below(&prng, 4);
        } else if (r.kind == META_FEATURE_SET) {
            r.feature.name = a;
            r.feature.level = INT32_MAX;
        } else if (r.kind == META_PRODUCER_ID_BLOCK) {
            r.producer_ids.first = r.producer_ids.broker_epoch = INT64_MIN;
            r.producer_ids.count = INT32_MAX;
        } else {
            r.new_controller.ctl_epoch = UINT64_MAX;
            r.new_controller.controller_id = INT32_MIN;
        }
        check_bound(&r);
    }
}

/* --- Snapshots
 * ------------------------------------------------------------------------------------ */

static void apply(struct image *image, struct meta_record *r)
{
    CHECK_EQ(image_apply(image, 1, r), 0);
}

static void set_configs(struct image *image, struct meta_record *r, size_t n, size_t value_size)
{
    char key[32];
    char *value = mem_alloc(value_size + 1);
    struct meta_config_pair pair = {.key = key, .value = value};

    memset(value, 'v', value_size);
    value[value_size] = '\0';
    r->config_set.configs = &pair;
    r->config_set.n_configs = 1;
    for (size_t i = 0; i < n; i++) {
        (void)snprintf(key, sizeof(key), "key-%04zu", i);
        apply(image, r);
    }
    mem_free(value);
}

/* Configurations that were set one by one are more together than a record may be: a snapshot has
 * them in several. */
static void a_snapshot_has_chunks_below_the_cap_whatever_it_holds(void)
{
    struct image *image = image_new(), *other = image_new();
    struct meta_record r = {.seq = 1, .why = {.cause = CAUSE_ADMIN, "", "", ""}};
    struct snapshot s = {0}, again = {0};

    r.kind = META_CREATE_TOPIC;
    r.create_topic.id.bytes[0] = 9;
    r.create_topic.name = "orders";
    r.create_topic.n_partitions = r.create_topic.replication_factor = 1;
    apply(image, &r);
    memset(&r.create_topic, 0, sizeof(r.create_topic));
    r.kind = META_CONFIG_SET;
    r.config_set.scope = CONFIG_CLUSTER;
    set_configs(image, &r, 100, 5000);
    r.config_set.scope = CONFIG_TOPIC;
    r.config_set.topic_id.bytes[0] = 9;
    set_configs(image, &r, 30, 20000);
    snapshot_build(image, &s);
    CHECK(s.chunks.n > 3);
    ARRAY_FOREACH (chunk, &s.chunks) {
        CHECK(chunk->size <= 256 * 1024);
        CHECK_EQ(snapshot_apply(other, 1, (struct bytes){chunk->data, chunk->size}), 0);
    }
    CHECK(image_cluster_config(other, "key-0099") != NULL);
    CHECK(image_topic_config(image_topic_by_name(other, "orders"), "key-0029") != NULL);
    snapshot_build(other, &again);
    CHECK_EQ(again.crc, s.crc);
    snapshot_deinit(&s);
    snapshot_deinit(&again);
    image_free(image);
    image_free(other);
}

/* [ZK-44] */
static void a_snapshot_of_a_newer_level_is_told_from_a_damaged_one(void)
{
    struct image *image = image_new();
    struct meta_record r = {
            .seq = 1, .kind = META_FEATURE_SET, .why = {.cause = CAUSE_ADMIN, "", "", ""}};
    struct buf chunk = {0};
    char text[256];

    r.feature.name = "metadata.version";
    r.feature.level = META_FEATURE_LEVEL + 1;
    wire_append_record(&r, &chunk);
    CHECK_EQ(snapshot_apply(image, 1, (struct bytes){chunk.data, chunk.size}), SNAPSHOT_E_LEVEL);
    image_level_refusal(image, "0.1", text, sizeof(text));
    CHECK(strstr(text, "level 2 is in force") != NULL);
    CHECK(strstr(text, "(0.1) knows levels up to 1") != NULL);
    CHECK_EQ(image_feature_level(image), 0);
    buf_clear(&chunk);
    r.feature.name = "group.version";
    wire_append_record(&r, &chunk);
    CHECK_EQ(snapshot_apply(image, 1, (struct bytes){chunk.data, chunk.size}), SNAPSHOT_E_KIND);
    CHECK_EQ(snapshot_apply(image, 1, (struct bytes){chunk.data, chunk.size - 3}),
            SNAPSHOT_E_BROKEN);
    buf_deinit(&chunk);
    image_free(image);
}

/* --- [ZK-46] Sharing
 * ------------------------------------------------------------------------------- */

static void move_on(struct image *image, struct batch_ring *ring, uint64_t index)
{
    uint8_t byte = 1;

    image_set_position(
            image, (struct image_position){.index = index, .crc = index * 10, .last_seq = 1});
    batch_ring_push(ring, &(struct ring_batch){.index = index,
                                  .prev_crc = index * 10 - 10,
                                  .crc = index * 10,
                                  .bytes = {.at = &byte, .size = 1}});
}

static void a_hundred_brokers_share_one_snapshot_while_the_ring_goes_on_from_it(void)
{
    struct image *image = image_new();
    struct batch_ring *ring = batch_ring_new(8); /* eight batches of one byte */
    struct snapshot_pool pool = {0};
    const struct snapshot *first = NULL, *second = NULL;

    move_on(image, ring, 5);
    first = snapshot_pool_take(&pool, image, ring);
    for (int i = 1; i < 100; i++) {
        if (i % 20 == 0) {
            move_on(image, ring, 5 + (uint64_t)i / 20);
        }
        CHECK(snapshot_pool_take(&pool, image, ring) == first);
    }
    CHECK_EQ(snapshot_pool_n(&pool), 1);
    for (uint64_t i = 10; i < 20; i++) { /* the ring has moved past it */
        move_on(image, ring, i);
    }
    second = snapshot_pool_take(&pool, image, ring);
    CHECK(second != first);
    CHECK_EQ(second->at.index, 19);
    CHECK_EQ(first->at.index, 5); /* those who push it still have it */
    for (uint64_t i = 20; i < 40; i++) {
        move_on(image, ring, i);
    }
    CHECK(snapshot_pool_take(&pool, image, ring) == NULL); /* two are held: wait */
    snapshot_pool_give(&pool, second);
    CHECK_EQ(snapshot_pool_n(&pool), 1);
    second = snapshot_pool_take(&pool, image, ring);
    CHECK_EQ(second->at.index, 39);
    snapshot_pool_give(&pool, second);
    for (int i = 0; i < 100; i++) {
        snapshot_pool_give(&pool, first);
    }
    CHECK_EQ(snapshot_pool_n(&pool), 0);
    batch_ring_clear(ring); /* just read from a snapshot: nothing is in the ring */
    first = snapshot_pool_take(&pool, image, ring);
    CHECK(snapshot_pool_take(&pool, image, ring) == first);
    snapshot_pool_give(&pool, first);
    snapshot_pool_give(&pool, first);
    batch_ring_free(ring);
    image_free(image);
}

static void register_broker(struct image *image, broker_id id)
{
    struct meta_record r = {.kind = META_REGISTER_BROKER,
            .register_broker = {
                    .id = id, .epoch = id, .crash_kind = CRASH_CLEAN, .rack = "", .version = ""}};

    apply(image, &r);
}

/* [ZK-47] Who leads what it did not lead before, and nobody else. */
static void gains_are_new_leaderships(void)
{
    struct image *image = image_new();
    struct link_gains gains = {0};
    struct meta_record r = {.kind = META_CREATE_TOPIC, .seq = 1};

    for (broker_id id = 1; id <= 3; id++) {
        register_broker(image, id);
    }
    r.create_topic.id.bytes[0] = 1;
    r.create_topic.name = "orders";
    r.create_topic.n_partitions = 1;
    r.create_topic.replication_factor = 3;
    link_gains_note(&gains, image, &r);
    apply(image, &r);
    CHECK(!link_gains_has(&gains, 1));
    r = reason_record(2, "");
    r.partition.leader = 1;
    link_gains_note(&gains, image, &r);
    apply(image, &r);
    CHECK(link_gains_has(&gains, 1));
    CHECK(!link_gains_has(&gains, 2));
    link_gains_clear(&gains);
    r.partition.partition_epoch++; /* the ISR changed, the leader did not */
    link_gains_note(&gains, image, &r);
    apply(image, &r);
    CHECK(!link_gains_has(&gains, 1));
    r.partition.partition_epoch++;
    r.partition.leader_epoch++;
    r.partition.leader = 3;
    link_gains_note(&gains, image, &r);
    CHECK(link_gains_has(&gains, 3));
    CHECK(!link_gains_has(&gains, 1));
    link_gains_deinit(&gains);
    image_free(image);
}

static const struct check_case cases[] = {
        CASE(a_hundred_brokers_share_one_snapshot_while_the_ring_goes_on_from_it),
        CASE(gains_are_new_leaderships),
        CASE(batches_of_random_records_never_pass_the_cap),
        CASE(a_record_that_does_not_fit_opens_the_next_batch),
        CASE(a_hundred_thousand_partitions_are_cut_in_order),
        CASE(the_bound_of_a_record_holds_for_every_kind),
        CASE(a_snapshot_has_chunks_below_the_cap_whatever_it_holds),
        CASE(a_snapshot_of_a_newer_level_is_told_from_a_damaged_one),
};
CHECK_MAIN("batch_cut", cases)
