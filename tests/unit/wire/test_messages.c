/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/array.h"
#include "common/base/prng.h"
#include "common/wire/messages.h"
#include "tests/lib/check.h"
#include "tests/unit/wire/sample.h"

#include <stdlib.h>

/* Decodes from a block of exactly the body's size, so that a read past its end is seen. */
static int decode_exact(const struct sample_kind *k,
        const uint8_t *bytes,
        size_t size,
        struct arena *a,
        struct buf *again)
{
    uint8_t *exact = malloc(size > 0 ? size : 1);

    CHECK(exact != NULL);
    if (size > 0) {
        memcpy(exact, bytes, size);
    }
    int r = k->decode((struct bytes){exact, size}, a, again);
    free(exact);
    return r;
}

static int decode_once(const struct sample_kind *k, const uint8_t *bytes, size_t size)
{
    struct arena a;

    arena_init(&a, wire_arena_ceiling(size));
    int r = decode_exact(k, bytes, size, &a, NULL);
    arena_deinit(&a);
    return r;
}

#define SAMPLE_KINDS_FOREACH(k)                                                                    \
    for (const struct sample_kind *k = sample_kinds; k < sample_kinds + n_sample_kinds; k++)

static void every_field_is_encoded_under_its_number(void)
{
    SAMPLE_KINDS_FOREACH(k)
    {
        struct buf b = {0};
        k->encode(&b);
        ProtobufCMessage *m = protobuf_c_message_unpack(k->desc, NULL, b.size, b.data);
        CHECK(m != NULL);
        CHECK_EQ(m->n_unknown_fields, 0);
        sample_check(m);
        protobuf_c_message_free_unpacked(m, NULL);
        buf_deinit(&b);
    }
}

static void every_message_comes_back_as_it_was(void)
{
    SAMPLE_KINDS_FOREACH(k)
    {
        struct buf b = {0};
        struct buf again = {0};
        struct arena a;
        k->encode(&b);
        arena_init(&a, wire_arena_ceiling(b.size));
        CHECK_EQ(decode_exact(k, b.data, b.size, &a, &again), 0);
        CHECK_EQ(again.size, b.size);
        CHECK_MEM(again.data, b.data, b.size);
        arena_deinit(&a);
        buf_deinit(&b);
        buf_deinit(&again);
    }
}

static void an_empty_body_is_every_default(void)
{
    SAMPLE_KINDS_FOREACH(k)
    {
        int r = decode_once(k, NULL, 0);
        /* A registration must say how the broker's last run ended. */
        CHECK_EQ(r, strcmp(k->name, "broker_reg") == 0 ? WIRE_E_FORM : 0);
    }
}

static void defaults_are_those_of_the_header(void)
{
    struct arena a;
    struct msg_hello_request hello;
    struct msg_metadata_response metadata;
    struct msg_push_request push;
    struct bytes nothing = {0};

    arena_init(&a, 0);
    CHECK_EQ(wire_decode_hello_request(nothing, &a, &hello), 0);
    CHECK_STR(hello.client_id, "");
    CHECK_EQ(hello.role, ROLE_CLIENT);
    CHECK(uuid_is_zero(&hello.cluster_id));
    CHECK_EQ(hello.ctl_epoch, 0);
    CHECK_EQ(hello.controller_id, -1);
    CHECK_EQ(hello.replica, BROKER_NONE);
    CHECK_EQ(hello.replica_epoch, BROKER_EPOCH_NONE);
    CHECK_EQ(hello.auth.size, 0);
    CHECK_EQ(wire_decode_metadata_response(nothing, &a, &metadata), 0);
    CHECK(metadata.topics == NULL && metadata.brokers == NULL && metadata.controllers == NULL);
    CHECK_EQ(wire_decode_push_request(nothing, &a, &push), 0);
    CHECK(!push.has_snapshot);
    CHECK_EQ(push.n_batches, 0);
    arena_deinit(&a);
}

static void text_that_is_null_is_encoded_as_empty(void)
{
    struct buf b = {0};

    wire_encode_candidate(&(struct msg_candidate){0}, &b);
    CHECK_EQ(b.size, 0);
    wire_encode_produce_response(
            &(struct msg_produce_response){
                    .partitions = &(struct msg_produce_result){.error = 0}, .n_partitions = 1},
            &b);
    CHECK_EQ(b.size, 2);
    buf_deinit(&b);
}

static void encoding_appends(void)
{
    struct buf b = {0};

    buf_u8(&b, 'x');
    wire_encode_push_response(&(struct msg_push_response){.need = true}, &b);
    CHECK_EQ(b.size, 3);
    CHECK_MEM(b.data, "x\x18\x01", 3);
    buf_deinit(&b);
}

static void a_buffer_with_a_limit_stays_whole(void)
{
    SAMPLE_KINDS_FOREACH(k)
    {
        struct buf b = {.limit = 1};
        k->encode(&b);
        CHECK(b.failed);
        buf_deinit(&b);
    }
}

static void a_body_cut_anywhere_is_refused_or_shorter(void)
{
    SAMPLE_KINDS_FOREACH(k)
    {
        struct buf b = {0};
        k->encode(&b);
        size_t n_refused = 0;
        for (size_t n = 0; n < b.size; n++) {
            int r = decode_once(k, b.data, n);
            CHECK(r == 0 || r == WIRE_E_FORM);
            n_refused += r == WIRE_E_FORM;
        }
        CHECK(n_refused > 0); /* A cut between two fields cannot be seen. */
        buf_deinit(&b);
    }
}

static void a_body_with_a_wrong_byte_does_no_harm(void)
{
    static const uint8_t masks[] = {0x01, 0x02, 0x04, 0x08, 0x80, 0xff};

    SAMPLE_KINDS_FOREACH(k)
    {
        struct buf b = {0};
        k->encode(&b);
        for (size_t i = 0; i < b.size; i++) {
            for (size_t m = 0; m < COUNT_OF(masks); m++) {
                b.data[i] ^= masks[m];
                int r = decode_once(k, b.data, b.size);
                CHECK(r == 0 || r == WIRE_E_FORM || r == WIRE_E_MEMORY);
                b.data[i] ^= masks[m];
            }
        }
        buf_deinit(&b);
    }
}

static void every_ceiling_that_is_too_low_is_answered(void)
{
    SAMPLE_KINDS_FOREACH(k)
    {
        struct buf b = {0};
        struct arena a;
        k->encode(&b);
        arena_init(&a, 0);
        CHECK_EQ(decode_exact(k, b.data, b.size, &a, NULL), 0);
        size_t needed = a.used;
        arena_deinit(&a);
        for (size_t ceiling = 1; ceiling < needed; ceiling += 16) {
            arena_init(&a, ceiling);
            CHECK_EQ(decode_exact(k, b.data, b.size, &a, NULL), WIRE_E_MEMORY);
            CHECK(a.used <= ceiling);
            arena_deinit(&a);
        }
        arena_init(&a, needed);
        CHECK_EQ(decode_exact(k, b.data, b.size, &a, NULL), 0);
        arena_deinit(&a);
        buf_deinit(&b);
    }
}

struct failing {
    size_t n_left; /* allocations that succeed */
};

static void *failing_alloc(void *ctx, size_t size)
{
    struct failing *f = ctx;

    if (f->n_left == 0) {
        return NULL;
    }
    f->n_left--;
    return malloc(size);
}

static void failing_free(void *ctx, void *p)
{
    (void)ctx;
    free(p);
}

/* What the scratch memory of the decoders relies on: whichever allocation fails, protobuf-c
 * writes nothing through NULL and frees each of the others once. */
static void protobuf_survives_each_allocation_that_fails(void)
{
    SAMPLE_KINDS_FOREACH(k)
    {
        struct buf b = {0};
        ProtobufCMessage *m = NULL;
        k->encode(&b);
        for (size_t n = 0; m == NULL; n++) {
            struct failing f = {.n_left = n};
            ProtobufCAllocator allocator = {failing_alloc, failing_free, &f};
            m = protobuf_c_message_unpack(k->desc, &allocator, b.size, b.data);
            CHECK(n < 1000);
            CHECK(m == NULL || f.n_left == 0);
        }
        protobuf_c_message_free_unpacked(m, NULL);
        buf_deinit(&b);
    }
}

static void a_list_of_empty_messages_meets_the_ceiling(void)
{
    size_t n_bombed = 0;

    SAMPLE_KINDS_FOREACH(k)
    {
        for (unsigned i = 0; i < k->desc->n_fields; i++) {
            const ProtobufCFieldDescriptor *f = &k->desc->fields[i];
            if (f->label != PROTOBUF_C_LABEL_REPEATED || f->type != PROTOBUF_C_TYPE_MESSAGE) {
                continue;
            }
            struct buf bomb = {0};
            struct arena a;
            while (bomb.size < WIRE_BODY_MAX) {
                buf_u8(&bomb, (uint8_t)(f->id << 3 | 2));
                buf_u8(&bomb, 0);
            }
            arena_init(&a, wire_arena_ceiling(bomb.size));
            CHECK_EQ(k->decode((struct bytes){bomb.data, bomb.size}, &a, NULL), WIRE_E_MEMORY);
            CHECK(a.used <= wire_arena_ceiling(SIZE_MAX));
            arena_deinit(&a);
            buf_deinit(&bomb);
            n_bombed++;
        }
    }
    CHECK(n_bombed >= 10);
    CHECK_EQ(wire_arena_ceiling(SIZE_MAX), 24 * 1048576 + 65536);
}

static void a_body_above_the_limit_is_not_looked_at(void)
{
    struct buf big = {0};

    memset(buf_grow(&big, WIRE_BODY_MAX + 1), 0xff, WIRE_BODY_MAX + 1);
    SAMPLE_KINDS_FOREACH(k)
    {
        struct arena a;
        arena_init(&a, 0);
        bool is_records = strcmp(k->name, "record_list") == 0;
        CHECK_EQ(k->decode((struct bytes){big.data, big.size}, &a, NULL),
                is_records ? WIRE_E_FORM : WIRE_E_LIMIT);
        CHECK_EQ(a.used, 0);
        arena_deinit(&a);
    }
    buf_deinit(&big);
}

static const struct sample_kind *kind_named(const char *name)
{
    SAMPLE_KINDS_FOREACH(k)
    {
        if (strcmp(k->name, name) == 0) {
            return k;
        }
    }
    must_not_reach("no such kind");
}

static void what_does_not_fit_is_refused(void)
{
    static const struct {
        const char *why, *kind, *bytes;
        size_t size;
        int expected;
    } rows[] = {
            {"uuid of 15 bytes", "cluster_id",
                    "\x0a\x0f"
                    "123456789012345",
                    17, WIRE_E_FORM},
            {"uuid of 17 bytes", "cluster_id",
                    "\x0a\x11"
                    "12345678901234567",
                    19, WIRE_E_FORM},
            {"uuid of 16 bytes", "cluster_id",
                    "\x0a\x10"
                    "1234567890123456",
                    18, 0},
            {"uuid of 0 bytes", "cluster_id", "\x0a\x00", 2, 0},
            {"one uuid of a list", "metadata_request", "\x12\x01x", 3, WIRE_E_FORM},
            {"text with NUL", "candidate",
                    "\x12\x03"
                    "a\0b",
                    5, WIRE_E_FORM},
            {"text with NUL deep inside", "metadata_response", "\x22\x03\x12\x01\0", 5,
                    WIRE_E_FORM},
            {"port 65536", "metadata_response", "\x22\x04\x18\x80\x80\x04", 6, WIRE_E_FORM},
            {"port 65535", "metadata_response", "\x22\x04\x18\xff\xff\x03", 6, 0},
            {"negative partition", "fetch_request", "\x32\x06\x10\xff\xff\xff\xff\x0f", 8,
                    WIRE_E_FORM},
            {"role 3", "hello_request", "\x10\x03", 2, WIRE_E_FORM},
            {"durability 2", "produce_response", "\x0a\x02\x40\x02", 4, WIRE_E_FORM},
            {"crash kind 4", "broker_reg", "\x38\x04", 2, WIRE_E_FORM},
            {"crash kind 1", "broker_reg", "\x38\x01", 2, 0},
            {"nine replicas", "metadata_response",
                    "\x2a\x0d\x2a\x0b\x1a\x09\x02\x02\x02\x02\x02\x02\x02\x02\x02", 15,
                    WIRE_E_FORM},
            {"eight replicas", "metadata_response",
                    "\x2a\x0c\x2a\x0a\x1a\x08\x02\x02\x02\x02\x02\x02\x02\x02", 14, 0},
            {"text where a number belongs", "push_response", "\x0a\x01x", 3, WIRE_E_FORM},
            {"number where text belongs", "candidate", "\x10\x01", 2, WIRE_E_FORM},
            {"a list where one number belongs", "beat_request", "\x1a\x02\x01\x01", 4, WIRE_E_FORM},
            {"a sub-message twice", "hello_request", "\x52\x00\x52\x00", 4, WIRE_E_FORM},
            {"a sub-message that is none", "hello_request", "\x52\x01\x08", 3, WIRE_E_FORM},
            {"tag 0", "push_response", "\x00\x01", 2, WIRE_E_FORM},
            {"a group", "push_response", "\x3b\x3c", 2, WIRE_E_FORM},
            {"a varint that never ends", "push_response",
                    "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12, WIRE_E_FORM},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int r = decode_once(kind_named(rows[i].kind), (const uint8_t *)rows[i].bytes, rows[i].size);
        check_count();
        if (r != rows[i].expected) {
            check_fail(__FILE__, __LINE__, "%s: %d, not %d", rows[i].why, r, rows[i].expected);
        }
    }
}

static void unknown_fields_are_skipped(void)
{
    SAMPLE_KINDS_FOREACH(k)
    {
        struct buf plain = {0};
        struct buf b = {0};
        struct buf again = {0};
        struct arena a;
        k->encode(&plain);
        buf_append(&b, "\xf8\x07\x01\xfa\x07\x03\0\0\0", 9);
        buf_append(&b, plain.data, plain.size);
        buf_append(&b,
                "\xf9\x07"
                "12345678\xfd\x07"
                "1234",
                16);
        arena_init(&a, wire_arena_ceiling(b.size));
        CHECK_EQ(decode_exact(k, b.data, b.size, &a, &again), 0);
        CHECK_EQ(again.size, plain.size);
        CHECK_MEM(again.data, plain.data, plain.size);
        arena_deinit(&a);
        buf_deinit(&plain);
        buf_deinit(&b);
        buf_deinit(&again);
    }
}

/* A large legal answer: a hundred thousand partitions of one replica are above the body's limit,
 * ten thousand fit. */
static void a_large_cluster_fits_under_the_ceiling(void)
{
    enum {
        N = 10000
    };
    struct msg_metadata_partition *p = mem_new_n(struct msg_metadata_partition, N);
    struct msg_metadata_topic topic = {.name = "t", .partitions = p, .n_partitions = N};
    struct msg_metadata_response m = {.topics = &topic, .n_topics = 1};
    struct msg_metadata_response ret;
    struct buf b = {0};
    struct arena a;

    for (size_t i = 0; i < N; i++) {
        p[i].replicas.n = 1;
    }
    wire_encode_metadata_response(&m, &b);
    arena_init(&a, wire_arena_ceiling(b.size));
    CHECK_EQ(wire_decode_metadata_response((struct bytes){b.data, b.size}, &a, &ret), 0);
    CHECK_EQ(ret.topics[0].n_partitions, N);
    arena_deinit(&a);
    buf_deinit(&b);
    mem_free(p);
}

/* Computed apart, from the sentence in state.proto. */
static void a_batch_has_this_checksum(void)
{
    struct msg_batch b = {
            .ctl_epoch = 3,
            .index = 0x0102030405060708,
            .prev_crc64 = 0x1122334455667788,
            .payload = {(const uint8_t *)"payload", 7},
    };

    CHECK_EQ((int64_t)msg_batch_crc(&b), (int64_t)0xdb76faaa1b5cf278ULL);
    b.payload.size = 0;
    CHECK_EQ((int64_t)msg_batch_crc(&b), (int64_t)0x87bfea8955dfd6deULL);
}

static void requests_have_names(void)
{
    CHECK_STR(wire_api_name(API_PRODUCE), "produce");
    CHECK_STR(wire_api_name(API_CONTROLLED_SHUTDOWN), "controlled_shutdown");
    CHECK_STR(wire_api_name(API_DESCRIBE_CONFIGS), "describe_configs");
    CHECK_STR(wire_api_name(API_DELETE_RECORDS), "delete_records");
    CHECK_STR(wire_api_name(API_DESCRIBE_LOGS), "describe_logs");
    CHECK_STR(wire_api_name(API_INIT_PRODUCER_ID), "init_producer_id");
    CHECK_STR(wire_api_name(API_ALLOCATE_PRODUCER_IDS), "allocate_producer_ids");
    CHECK_STR(wire_api_name(API_OFFSET_FOR_LEADER_EPOCH), "offset_for_leader_epoch");
    CHECK_STR(wire_api_name(API_ALTER_PARTITION), "alter_partition");
    CHECK_STR(wire_api_name(API_REPLICA_FAILED), "replica_failed");
    CHECK_STR(wire_api_name(API_DESCRIBE_ENDS), "describe_ends");
    CHECK_STR(wire_api_name(31), "unknown");
    CHECK_STR(wire_api_name(UINT32_MAX), "unknown");
}

static const struct check_case cases[] = {
        CASE(every_field_is_encoded_under_its_number),
        CASE(every_message_comes_back_as_it_was),
        CASE(an_empty_body_is_every_default),
        CASE(defaults_are_those_of_the_header),
        CASE(text_that_is_null_is_encoded_as_empty),
        CASE(encoding_appends),
        CASE(a_buffer_with_a_limit_stays_whole),
        CASE(a_body_cut_anywhere_is_refused_or_shorter),
        CASE(a_body_with_a_wrong_byte_does_no_harm),
        CASE(every_ceiling_that_is_too_low_is_answered),
        CASE(protobuf_survives_each_allocation_that_fails),
        CASE(a_list_of_empty_messages_meets_the_ceiling),
        CASE(a_body_above_the_limit_is_not_looked_at),
        CASE(what_does_not_fit_is_refused),
        CASE(unknown_fields_are_skipped),
        CASE(a_large_cluster_fits_under_the_ceiling),
        CASE(a_batch_has_this_checksum),
        CASE(requests_have_names),
};

CHECK_MAIN("messages", cases)
