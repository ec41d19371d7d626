/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/array.h"
#include "common/base/crc.h"
#include "common/base/mem.h"
#include "common/base/prng.h"
#include "common/domain/image.h"
#include "common/wire/messages.h"
#include "common/wire/meta_image.h"
#include "common/wire/snapshot.h"
#include "tests/lib/check.h"

#include "proto/state.pb-c.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    N_TOPICS = 40,
    N_PARTITIONS = 60,
    N_BATCH = 77
};

static struct image *image;
static struct buf batch; /* batch 77, the last one */
static struct buf file;

static void apply(struct meta_record r)
{
    CHECK_EQ(image_apply(image, N_BATCH, &r), 0);
}

static void add_brokers(void)
{
    struct endpoint endpoint = {.name = "weir", .host = "127.0.0.1", .port = 9190};
    struct uuid dir = {{9}};
    struct meta_record first = {.kind = META_NEW_CONTROLLER};

    first.new_controller.ctl_epoch = 4;
    first.new_controller.controller_id = 1;
    apply(first);
    for (broker_id id = 1; id <= 3; id++) {
        struct meta_record r = {.kind = META_REGISTER_BROKER};
        r.register_broker = (struct meta_register_broker){.id = id,
                .epoch = 1000 + id,
                .crash_kind = CRASH_CLEAN,
                .rack = "",
                .version = "0",
                .endpoints = &endpoint,
                .n_endpoints = 1,
                .dirs = &dir,
                .n_dirs = 1};
        apply(r);
    }
}

static void add_topics(void)
{
    for (uint8_t t = 0; t < N_TOPICS; t++) {
        char name[16];
        struct meta_record r = {.kind = META_CREATE_TOPIC};
        (void)snprintf(name, sizeof(name), "topic-%03d", t);
        r.create_topic.id = (struct uuid){{1, t}};
        r.create_topic.name = name;
        r.create_topic.n_partitions = N_PARTITIONS;
        r.create_topic.replication_factor = 1;
        apply(r);
        for (int32_t p = 0; p < N_PARTITIONS; p++) {
            struct meta_record s = {.kind = META_PARTITION_STATE};
            s.partition = (struct partition_state){.topic_id = {{1, t}},
                    .partition = p,
                    .replicas = {.n = 1, .at = {1 + p % 3}},
                    .isr = {.n = 1, .at = {1 + p % 3}},
                    .leader = BROKER_NONE,
                    .min_isr = 1,
                    .unclean_epoch = EPOCH_NONE};
            apply(s);
        }
    }
}

static struct msg_meta_image head(void)
{
    return (struct msg_meta_image){.cluster_id = {{7, 7}},
            .ctl_epoch = 6,
            .last_batch = {batch.data, batch.size},
            .written = 1795168800123,
            .broker = 3};
}

/* An image of 2,400 partitions, its last batch, and its file. */
static void need_file(void)
{
    struct msg_batch b = {.ctl_epoch = 4, .index = N_BATCH, .first_seq = 900, .prev_crc64 = 5};
    struct msg_meta_image like;
    struct snapshot s;

    if (file.size > 0) {
        return;
    }
    image = image_new();
    add_brokers();
    add_topics();
    b.crc64 = msg_batch_crc(&b);
    wire_encode_batch(&b, &batch);
    image_set_position(image,
            (struct image_position){.index = N_BATCH, .crc = b.crc64, .last_seq = 900});
    snapshot_build(image, &s);
    like = head();
    wire_encode_meta_image_of(&s, &like, &file);
    snapshot_deinit(&s);
}

static int decode_bytes(
        const uint8_t *bytes, size_t size, struct arena *a, struct msg_meta_image *m)
{
    uint8_t *exact = malloc(size > 0 ? size : 1); /* a read past the end is seen */

    CHECK(exact != NULL);
    if (size > 0) {
        memcpy(exact, bytes, size);
    }
    int r = wire_decode_meta_image((struct bytes){exact, size}, a, m);
    free(exact);
    return r;
}

static int fault_of(const struct buf *b)
{
    struct msg_meta_image m;
    struct arena a;

    arena_init(&a, 1 << 20);
    int r = decode_bytes(b->data, b->size, &a, &m);
    arena_deinit(&a);
    return r;
}

/* Decodes and loads. */
static int load(const struct buf *b, struct image **ret)
{
    struct msg_meta_image m;
    struct arena a;

    arena_init(&a, 1 << 20);
    int r = wire_decode_meta_image((struct bytes){b->data, b->size}, &a, &m);
    r = r == 0 ? wire_load_meta_image(&m, ret) : r;
    arena_deinit(&a);
    return r;
}

static void image_comes_back_as_it_was(void)
{
    struct image *again = NULL;
    struct snapshot s, t;

    need_file();
    CHECK_EQ(load(&file, &again), 0);
    CHECK_EQ(image_n_partitions(again), N_TOPICS * N_PARTITIONS);
    CHECK_EQ(image_position(again).index, N_BATCH);
    CHECK(image_position(again).crc == image_position(image).crc);
    CHECK_EQ(image_position(again).last_seq, 900);
    CHECK(image_check(again));
    snapshot_build(image, &s);
    snapshot_build(again, &t);
    CHECK_EQ(s.bytes, t.bytes);
    CHECK(s.crc == t.crc);
    snapshot_deinit(&s);
    snapshot_deinit(&t);
    (void)image_free(again);
}

static void head_comes_back_as_it_was(void)
{
    struct msg_meta_image m;
    struct arena a;

    need_file();
    arena_init(&a, 1 << 20);
    CHECK_EQ(wire_decode_meta_image((struct bytes){file.data, file.size}, &a, &m), 0);
    CHECK_EQ(m.cluster_id.bytes[0], 7);
    CHECK_EQ(m.format, META_IMAGE_FORMAT);
    CHECK_EQ(m.ctl_epoch, 6);
    CHECK_EQ(m.index, N_BATCH);
    CHECK_EQ(m.last_seq, 900);
    CHECK_EQ(m.written, 1795168800123);
    CHECK_EQ(m.broker, 3);
    CHECK_EQ(m.last_batch.size, batch.size);
    CHECK_MEM(m.last_batch.at, batch.data, batch.size);
    CHECK_EQ(wire_meta_image_broker_epoch(&m, 2), 1002);
    CHECK_EQ(wire_meta_image_broker_epoch(&m, 9), BROKER_EPOCH_NONE);
    for (size_t i = 0; i < m.n_chunks; i++) {
        CHECK(m.chunks[i].size < SNAPSHOT_CHUNK_MAX);
    }
    arena_deinit(&a);
}

/* It stays plain protobuf: whoever has state.proto can read it. */
static void protobuf_reads_the_file(void)
{
    need_file();
    Weir__V1__MetaImage *pb = weir__v1__meta_image__unpack(NULL, file.size, file.data);
    CHECK(pb != NULL);
    CHECK_EQ(pb->base.n_unknown_fields, 0);
    CHECK_EQ(pb->cluster_id.len, 16);
    CHECK_EQ(pb->format, 1);
    CHECK_EQ(pb->ctl_epoch, 6);
    CHECK_EQ(pb->index, N_BATCH);
    CHECK(pb->log_crc64 == image_position(image).crc);
    CHECK_EQ(pb->last_seq, 900);
    CHECK(pb->n_chunks >= 1);
    CHECK_EQ(pb->last_batch.len, batch.size);
    CHECK(pb->crc64 == crc64(0, file.data, file.size - 9));
    CHECK_EQ(pb->written_ms, 1795168800123);
    CHECK_EQ(pb->broker_id, 3);
    weir__v1__meta_image__free_unpacked(pb, NULL);
}

static void image_taken_in_parts_is_the_whole_one(void)
{
    struct snapshot s, t;
    struct image *copy = NULL;
    size_t n = 1;

    need_file();
    copy = image_copy(image);
    snapshot_build(image, &s);
    snapshot_begin(copy, &t);
    while (!snapshot_step(copy, &t, 7)) {
        n++;
    }
    CHECK(n > 300);
    CHECK_EQ(t.chunks.n, s.chunks.n);
    CHECK_EQ(t.bytes, s.bytes);
    CHECK(t.crc == s.crc);
    snapshot_deinit(&s);
    snapshot_deinit(&t);
    (void)image_free(copy);
}

/* [RBD-2] */
static void no_changed_byte_and_no_shorter_file_is_believed(void)
{
    struct buf b = {0};
    struct prng prng;

    need_file();
    prng_init(&prng, check_seed());
    buf_append(&b, file.data, file.size);
    for (int i = 0; i < 2000; i++) {
        size_t at = prng_below(&prng, (uint32_t)b.size);
        uint8_t bit = (uint8_t)(1u << prng_below(&prng, 8));
        b.data[at] ^= bit;
        CHECK(fault_of(&b) > 0);
        b.data[at] ^= bit;
    }
    CHECK_EQ(fault_of(&b), 0);
    for (int i = 0; i < 500; i++) {
        b.size = prng_below(&prng, (uint32_t)file.size);
        CHECK(fault_of(&b) > 0);
    }
    b.size = 0;
    CHECK_EQ(fault_of(&b), META_IMAGE_E_EMPTY);
    buf_deinit(&b);
}

/* `m` as a file whose checksum is right. */
static int fault_with(const struct msg_meta_image *m)
{
    struct buf b = {0};
    struct image *ret = NULL;

    wire_encode_meta_image(m, &b);
    int r = load(&b, &ret);
    CHECK(r == 0 || ret == NULL);
    (void)image_free(ret);
    buf_deinit(&b);
    return r;
}

static void each_damage_has_its_sentence(void)
{
    struct msg_meta_image good, m;
    struct bytes chunks[2];
    uint8_t nonsense[] = {0x0a, 0x02, 0x08};
    struct buf other = {0};
    struct buf large = {0};
    struct arena a;

    need_file();
    arena_init(&a, 1 << 20);
    CHECK_EQ(wire_decode_meta_image((struct bytes){file.data, file.size}, &a, &good), 0);
    CHECK_EQ(fault_with(&good), 0);
    m = good, m.format = 2;
    CHECK_EQ(fault_with(&m), META_IMAGE_E_FORMAT);
    m = good, m.cluster_id = (struct uuid){{0}};
    CHECK_EQ(fault_with(&m), META_IMAGE_E_VALUES);
    m = good, m.index = 0;
    CHECK_EQ(fault_with(&m), META_IMAGE_E_VALUES);
    m = good, m.n_chunks = 0;
    CHECK_EQ(fault_with(&m), META_IMAGE_E_VALUES);
    m = good, m.index = N_BATCH + 1; /* the batch in it is another one's */
    CHECK_EQ(fault_with(&m), META_IMAGE_E_BATCH);
    m = good, m.ctl_epoch = 3; /* its records name controller epoch 4 */
    CHECK_EQ(fault_with(&m), META_IMAGE_E_EPOCH);
    m = good, m.broker = -2;
    CHECK_EQ(fault_with(&m), META_IMAGE_E_FORM);
    chunks[0] = chunks[1] = good.chunks[0];
    m = good, m.chunks = chunks, m.n_chunks = 2; /* every broker twice */
    CHECK_EQ(fault_with(&m), META_IMAGE_E_CHUNK);
    chunks[0] = (struct bytes){nonsense, sizeof(nonsense)};
    CHECK_EQ(fault_with(&m), META_IMAGE_E_CHUNK);
    buf_append(&other, (const uint8_t[]){0x0a, 0x02, 0x08, 0x01}, 4); /* of no known kind */
    chunks[0] = (struct bytes){other.data, other.size};
    CHECK_EQ(fault_with(&m), META_IMAGE_E_KIND);
    (void)buf_grow(&large, SNAPSHOT_CHUNK_MAX + 1);
    chunks[0] = (struct bytes){large.data, large.size};
    CHECK_EQ(fault_with(&m), META_IMAGE_E_FORM);
    for (int fault = META_IMAGE_E_EMPTY; fault <= META_IMAGE_E_EPOCH; fault++) {
        CHECK(strcmp(wire_meta_image_text(fault), wire_meta_image_text(0)) != 0);
    }
    arena_deinit(&a);
    buf_deinit(&other);
    buf_deinit(&large);
}

static void a_bounded_arena_is_enough_or_refuses(void)
{
    struct msg_meta_image m;
    struct arena a;

    need_file();
    arena_init(&a, 8);
    CHECK_EQ(decode_bytes(file.data, file.size, &a, &m), META_IMAGE_E_MEMORY);
    arena_deinit(&a);
}

static void free_file(void)
{
    need_file();
    CHECK(file.size > 0);
    image = image_free(image);
    buf_deinit(&batch);
    buf_deinit(&file);
}

static const struct check_case cases[] = {
        CASE(image_comes_back_as_it_was),
        CASE(head_comes_back_as_it_was),
        CASE(protobuf_reads_the_file),
        CASE(image_taken_in_parts_is_the_whole_one),
        CASE(no_changed_byte_and_no_shorter_file_is_believed),
        CASE(each_damage_has_its_sentence),
        CASE(a_bounded_arena_is_enough_or_refuses),
        CASE(free_file),
};

CHECK_MAIN("meta_image", cases)
