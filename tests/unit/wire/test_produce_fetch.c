/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/array.h"
#include "common/base/prng.h"
#include "common/wire/messages.h"
#include "tests/lib/check.h"

#include "proto/data.pb-c.h"

#include <stdlib.h>

/* The hand-walked messages against protobuf-c. */

enum {
    ROUNDS = 400,
    PARTITIONS_MAX = 12,
    PAYLOAD_MAX = 300
};

static uint8_t payload[PAYLOAD_MAX];

static int32_t any_i32(struct prng *p)
{
    uint32_t v = (uint32_t)(prng_u64(p) >> (32 + prng_below(p, 32)));

    return (int32_t)(prng_below(p, 2) != 0 ? 0u - v : v);
}

static int64_t any_i64(struct prng *p)
{
    uint64_t v = prng_u64(p) >> prng_below(p, 64);

    return (int64_t)(prng_below(p, 2) != 0 ? 0 - v : v);
}

static int32_t any_partition(struct prng *p)
{
    return (int32_t)(prng_u64(p) >> (33 + prng_below(p, 31)));
}

static struct uuid any_uuid(struct prng *p)
{
    return prng_below(p, 5) == 0 ? (struct uuid){.bytes = {0}} : uuid_from_prng(p);
}

static struct bytes any_payload(struct prng *p)
{
    size_t size = prng_below(p, 4) == 0 ? 0 : prng_below(p, PAYLOAD_MAX);

    for (size_t i = 0; i < size; i++) {
        payload[i] = (uint8_t)prng_u64(p);
    }
    return (struct bytes){payload, size};
}

/* A field that only a newer version knows. */
static void put_unknown(struct prng *p, struct buf *b)
{
    switch (prng_below(p, 5)) {
    case 0: buf_append(b, "\xf8\x07\xff\x01", 4); break;
    case 1:
        buf_append(b,
                "\xf9\x07"
                "12345678",
                10);
        break;
    case 2:
        buf_append(b,
                "\xfa\x07\x03"
                "abc",
                6);
        break;
    case 3:
        buf_append(b,
                "\xfd\x07"
                "1234",
                6);
        break;
    default: break;
    }
}

static bool same_uuid(const ProtobufCBinaryData *b, const struct uuid *u)
{
    return b->len == 0 ? uuid_is_zero(u) : b->len == 16 && memcmp(b->data, u->bytes, 16) == 0;
}

static bool same_bytes(const ProtobufCBinaryData *b, struct bytes other)
{
    return b->len == other.size && (b->len == 0 || memcmp(b->data, other.at, b->len) == 0);
}

static bool is_within(struct bytes part, const struct buf *whole)
{
    return part.size == 0 ||
           (part.at >= whole->data && part.at + part.size <= whole->data + whole->size);
}

/* --- Produce --- */

static void check_produce(const Weir__V1__ProduceRequest *pb, const struct msg_produce_request *m)
{
    CHECK_EQ(pb->acks, m->acks);
    CHECK_EQ(pb->n_partitions, m->n_partitions);
    for (size_t i = 0; i < m->n_partitions; i++) {
        CHECK(same_uuid(&pb->partitions[i]->topic_id, &m->partitions[i].topic_id));
        CHECK_EQ(pb->partitions[i]->partition, m->partitions[i].partition);
        CHECK(same_bytes(&pb->partitions[i]->records, m->partitions[i].records));
    }
}

static void make_produce(struct prng *p, struct buf *b)
{
    size_t n = prng_below(p, PARTITIONS_MAX);

    wire_produce_front(b, any_i32(p));
    for (size_t i = 0; i < n; i++) {
        struct uuid id = any_uuid(p);
        struct bytes records = any_payload(p);
        wire_produce_partition_front(b, &id, any_partition(p), records.size);
        buf_append(b, records.at, records.size);
        put_unknown(p, b);
    }
}

static void produce_requests_by_hand_read_the_same_in_protobuf(void)
{
    struct prng p;

    prng_init(&p, check_seed());
    for (int i = 0; i < ROUNDS; i++) {
        struct buf b = {0};
        struct arena a;
        struct msg_produce_request m;
        make_produce(&p, &b);
        Weir__V1__ProduceRequest *pb = weir__v1__produce_request__unpack(NULL, b.size, b.data);
        CHECK(pb != NULL);
        arena_init(&a, wire_arena_ceiling(b.size));
        CHECK_EQ(wire_decode_produce_request((struct bytes){b.data, b.size}, &a, &m), 0);
        check_produce(pb, &m);
        for (size_t k = 0; k < m.n_partitions; k++) {
            CHECK(is_within(m.partitions[k].records, &b));
        }
        arena_deinit(&a);
        weir__v1__produce_request__free_unpacked(pb, NULL);
        buf_deinit(&b);
    }
}

static void produce_requests_of_protobuf_read_the_same_by_hand(void)
{
    struct prng p;

    prng_init(&p, check_seed() + 1);
    for (int i = 0; i < ROUNDS; i++) {
        Weir__V1__ProduceRequest pb;
        Weir__V1__ProducePartition parts[PARTITIONS_MAX];
        Weir__V1__ProducePartition *list[PARTITIONS_MAX];
        struct uuid ids[PARTITIONS_MAX];
        struct msg_produce_request m;
        struct buf b = {0};
        struct arena a;
        weir__v1__produce_request__init(&pb);
        pb.acks = any_i32(&p);
        pb.n_partitions = prng_below(&p, PARTITIONS_MAX);
        pb.partitions = list;
        struct bytes records = any_payload(&p);
        for (size_t k = 0; k < pb.n_partitions; k++) {
            list[k] = &parts[k];
            weir__v1__produce_partition__init(list[k]);
            ids[k] = any_uuid(&p);
            list[k]->topic_id =
                    (ProtobufCBinaryData){prng_below(&p, 3) == 0 ? 0 : 16, ids[k].bytes};
            list[k]->partition = (uint32_t)any_partition(&p);
            list[k]->records = (ProtobufCBinaryData){records.size, payload};
        }
        size_t size = weir__v1__produce_request__get_packed_size(&pb);
        buf_reserve(&b, 1); /* pack() wants an address for nothing, too */
        CHECK_EQ(weir__v1__produce_request__pack(&pb, buf_grow(&b, size)), size);
        put_unknown(&p, &b);
        arena_init(&a, wire_arena_ceiling(b.size));
        CHECK_EQ(wire_decode_produce_request((struct bytes){b.data, b.size}, &a, &m), 0);
        check_produce(&pb, &m);
        arena_deinit(&a);
        buf_deinit(&b);
    }
}

/* --- Fetch --- */

static void check_fetch(const Weir__V1__FetchResponse *pb, const struct msg_fetch_response *m)
{
    CHECK_EQ(pb->n_partitions, m->n_partitions);
    for (size_t i = 0; i < m->n_partitions; i++) {
        const Weir__V1__FetchPartitionResult *x = pb->partitions[i];
        const struct msg_fetch_result *y = &m->partitions[i];
        CHECK(same_uuid(&x->topic_id, &y->topic_id));
        CHECK_EQ(x->partition, y->partition);
        CHECK_EQ(x->error, y->error);
        CHECK_STR(x->detail, y->detail);
        CHECK_EQ(x->high_watermark, y->high_watermark);
        CHECK_EQ(x->last_stable_offset, y->last_stable);
        CHECK_EQ(x->log_start_offset, y->log_start);
        CHECK_EQ(x->leader_epoch, y->leader_epoch);
        CHECK_EQ(x->diverging_epoch, y->diverging_epoch);
        CHECK_EQ(x->diverging_end_offset, y->diverging_end);
        CHECK(same_bytes(&x->records, y->records));
    }
}

static struct msg_fetch_result any_result(struct prng *p)
{
    static const char *const details[] = {NULL, "", "no", "a longer sentence that says why"};

    return (struct msg_fetch_result){
            .topic_id = any_uuid(p),
            .partition = any_partition(p),
            .error = any_i32(p),
            .detail = details[prng_below(p, COUNT_OF(details))],
            .high_watermark = any_i64(p),
            .last_stable = any_i64(p),
            .log_start = any_i64(p),
            .leader_epoch = any_i32(p),
            .diverging_epoch = any_i32(p),
            .diverging_end = any_i64(p),
            .records = any_payload(p),
    };
}

static void fetch_answers_by_hand_read_the_same_in_protobuf(void)
{
    struct prng p;

    prng_init(&p, check_seed() + 2);
    for (int i = 0; i < ROUNDS; i++) {
        struct buf b = {0};
        struct arena a;
        struct msg_fetch_response m;
        size_t n = prng_below(&p, PARTITIONS_MAX);
        for (size_t k = 0; k < n; k++) {
            struct msg_fetch_result r = any_result(&p);
            wire_fetch_result_front(&b, &r);
            buf_append(&b, r.records.at, r.records.size);
            put_unknown(&p, &b);
        }
        Weir__V1__FetchResponse *pb = weir__v1__fetch_response__unpack(NULL, b.size, b.data);
        CHECK(pb != NULL);
        arena_init(&a, wire_arena_ceiling(b.size));
        CHECK_EQ(wire_decode_fetch_response((struct bytes){b.data, b.size}, &a, &m), 0);
        CHECK_EQ(m.n_partitions, n);
        check_fetch(pb, &m);
        for (size_t k = 0; k < n; k++) {
            CHECK(is_within(m.partitions[k].records, &b));
        }
        arena_deinit(&a);
        weir__v1__fetch_response__free_unpacked(pb, NULL);
        buf_deinit(&b);
    }
}

static void to_pb(struct msg_fetch_result *r, Weir__V1__FetchPartitionResult *pb)
{
    static char none[] = "";
    static char some[] = "some";

    weir__v1__fetch_partition_result__init(pb);
    pb->topic_id = (ProtobufCBinaryData){16, r->topic_id.bytes};
    pb->partition = (uint32_t)r->partition;
    pb->error = r->error;
    pb->detail = r->detail != NULL && r->detail[0] != '\0' ? some : none;
    pb->high_watermark = r->high_watermark;
    pb->last_stable_offset = r->last_stable;
    pb->log_start_offset = r->log_start;
    pb->leader_epoch = r->leader_epoch;
    pb->diverging_epoch = r->diverging_epoch;
    pb->diverging_end_offset = r->diverging_end;
    pb->records = (ProtobufCBinaryData){r->records.size, payload};
}

static void fetch_answers_of_protobuf_read_the_same_by_hand(void)
{
    struct prng p;

    prng_init(&p, check_seed() + 3);
    for (int i = 0; i < ROUNDS; i++) {
        Weir__V1__FetchResponse pb;
        Weir__V1__FetchPartitionResult parts[PARTITIONS_MAX];
        Weir__V1__FetchPartitionResult *list[PARTITIONS_MAX];
        struct msg_fetch_result results[PARTITIONS_MAX];
        struct msg_fetch_response m;
        struct buf b = {0};
        struct arena a;
        weir__v1__fetch_response__init(&pb);
        pb.n_partitions = prng_below(&p, PARTITIONS_MAX);
        pb.partitions = list;
        for (size_t k = 0; k < pb.n_partitions; k++) {
            list[k] = &parts[k];
            results[k] = any_result(&p);
            to_pb(&results[k], list[k]);
        }
        size_t size = weir__v1__fetch_response__get_packed_size(&pb);
        buf_reserve(&b, 1); /* pack() wants an address for nothing, too */
        CHECK_EQ(weir__v1__fetch_response__pack(&pb, buf_grow(&b, size)), size);
        put_unknown(&p, &b);
        arena_init(&a, wire_arena_ceiling(b.size));
        CHECK_EQ(wire_decode_fetch_response((struct bytes){b.data, b.size}, &a, &m), 0);
        check_fetch(&pb, &m);
        arena_deinit(&a);
        buf_deinit(&b);
    }
}

/* --- Hostile input --- */

static int decode_produce(const uint8_t *bytes, size_t size, size_t ceiling)
{
    struct arena a;
    struct msg_produce_request m;
    uint8_t *exact = malloc(size > 0 ? size : 1);

    CHECK(exact != NULL);
    if (size > 0) {
        memcpy(exact, bytes, size);
    }
    arena_init(&a, ceiling);
    int r = wire_decode_produce_request((struct bytes){exact, size}, &a, &m);
    arena_deinit(&a);
    free(exact);
    return r;
}

static int decode_fetch(const uint8_t *bytes, size_t size, size_t ceiling)
{
    struct arena a;
    struct msg_fetch_response m;
    uint8_t *exact = malloc(size > 0 ? size : 1);

    CHECK(exact != NULL);
    if (size > 0) {
        memcpy(exact, bytes, size);
    }
    arena_init(&a, ceiling);
    int r = wire_decode_fetch_response((struct bytes){exact, size}, &a, &m);
    arena_deinit(&a);
    free(exact);
    return r;
}

static void what_is_no_produce_request_is_refused(void)
{
    static const struct {
        const char *why, *bytes;
        size_t size;
        int expected;
    } rows[] = {
            {"nothing", "", 0, 0},
            {"acks as text", "\x0a\x01x", 3, WIRE_E_FORM},
            {"partition list as number", "\x10\x01", 2, WIRE_E_FORM},
            {"uuid of 15 bytes",
                    "\x12\x11\x0a\x0f"
                    "123456789012345",
                    19, WIRE_E_FORM},
            {"empty uuid", "\x12\x02\x0a\x00", 4, 0},
            {"uuid as number", "\x12\x02\x08\x00", 4, WIRE_E_FORM},
            {"negative partition", "\x12\x06\x10\xff\xff\xff\xff\x0f", 8, WIRE_E_FORM},
            {"records longer than the partition", "\x12\x03\x7a\x02x", 5, WIRE_E_FORM},
            {"partition longer than the body", "\x12\x03\x7a", 3, WIRE_E_FORM},
            {"records as number", "\x12\x02\x78\x00", 4, WIRE_E_FORM},
            {"group", "\x13\x14", 2, WIRE_E_FORM},
            {"tag 0", "\x02\x00", 2, WIRE_E_FORM},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int r = decode_produce((const uint8_t *)rows[i].bytes, rows[i].size, 0);
        check_count();
        if (r != rows[i].expected) {
            check_fail(__FILE__, __LINE__, "%s: %d, not %d", rows[i].why, r, rows[i].expected);
        }
    }
}

static void what_is_no_fetch_answer_is_refused(void)
{
    static const struct {
        const char *why, *bytes;
        size_t size;
        int expected;
    } rows[] = {
            {"an empty partition", "\x0a\x00", 2, 0},
            {"detail with NUL", "\x0a\x03\x22\x01\0", 5, WIRE_E_FORM},
            {"detail as number", "\x0a\x02\x20\x01", 4, WIRE_E_FORM},
            {"offset as text", "\x0a\x03\x2a\x01x", 5, WIRE_E_FORM},
            {"uuid of 1 byte", "\x0a\x03\x0a\x01x", 5, WIRE_E_FORM},
            {"cut inside a number", "\x0a\x02\x28\x80", 4, WIRE_E_FORM},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int r = decode_fetch((const uint8_t *)rows[i].bytes, rows[i].size, 0);
        check_count();
        if (r != rows[i].expected) {
            check_fail(__FILE__, __LINE__, "%s: %d, not %d", rows[i].why, r, rows[i].expected);
        }
    }
}

static void a_body_cut_anywhere_is_refused_or_shorter(void)
{
    struct prng p;
    struct buf b = {0};

    prng_init(&p, check_seed());
    while (b.size < 500) {
        buf_clear(&b);
        make_produce(&p, &b);
    }
    for (size_t n = 0; n < b.size; n++) {
        int r = decode_produce(b.data, n, 0);
        CHECK(r == 0 || r == WIRE_E_FORM);
    }
    buf_clear(&b);
    struct msg_fetch_result r = any_result(&p);
    r.records.size = 40;
    wire_fetch_result_front(&b, &r);
    buf_append(&b, payload, 40);
    for (size_t n = 1; n < b.size; n++) {
        CHECK_EQ(decode_fetch(b.data, n, 0), WIRE_E_FORM);
    }
    buf_deinit(&b);
}

static void empty_partitions_meet_the_ceiling(void)
{
    struct buf produce = {0};
    struct buf fetch = {0};

    while (produce.size < 16 * WIRE_BODY_MAX) {
        buf_be16(&produce, 0x1200);
        buf_be16(&fetch, 0x0a00);
    }
    size_t ceiling = wire_arena_ceiling(produce.size);
    CHECK(ceiling < 26 * WIRE_BODY_MAX);
    CHECK_EQ(decode_produce(produce.data, produce.size, ceiling), WIRE_E_MEMORY);
    CHECK_EQ(decode_fetch(fetch.data, fetch.size, ceiling), WIRE_E_MEMORY);
    buf_deinit(&produce);
    buf_deinit(&fetch);
}

static void a_detail_that_does_not_fit_meets_the_ceiling(void)
{
    struct buf b = {0};
    struct msg_fetch_result r = {.detail = "a sentence of some length"};

    wire_fetch_result_front(&b, &r);
    size_t array = (sizeof(struct msg_fetch_result) + 15) & ~(size_t)15;
    CHECK_EQ(decode_fetch(b.data, b.size, array), WIRE_E_MEMORY);
    CHECK_EQ(decode_fetch(b.data, b.size, array + 32), 0);
    buf_deinit(&b);
}

/* These bytes are the wire. */
static void fronts_have_these_bytes(void)
{
    static const uint8_t produce[] = {0x08, 0x01, 0x12, 0x1a, 0x0a, 0x10, 1, 2, 3, 4, 5, 6, 7, 8, 9,
            10, 11, 12, 13, 14, 15, 16, 0x10, 0xac, 0x02, 0x7a, 0x03};
    static const uint8_t fetch[] = {0x0a, 0x06, 0x28, 0x14, 0x48, 0x01, 0x50, 0x01};
    struct buf b = {0};
    struct uuid id;

    for (size_t i = 0; i < sizeof(id.bytes); i++) {
        id.bytes[i] = (uint8_t)(i + 1);
    }
    wire_produce_front(&b, -1);
    wire_produce_partition_front(&b, &id, 300, 3);
    CHECK_EQ(b.size, sizeof(produce));
    CHECK_MEM(b.data, produce, sizeof(produce));
    buf_clear(&b);
    wire_fetch_result_front(
            &b, &(struct msg_fetch_result){
                        .high_watermark = 10, .diverging_epoch = -1, .diverging_end = -1});
    CHECK_EQ(b.size, sizeof(fetch));
    CHECK_MEM(b.data, fetch, sizeof(fetch));
    buf_deinit(&b);
}

static const struct check_case cases[] = {
        CASE(produce_requests_by_hand_read_the_same_in_protobuf),
        CASE(produce_requests_of_protobuf_read_the_same_by_hand),
        CASE(fetch_answers_by_hand_read_the_same_in_protobuf),
        CASE(fetch_answers_of_protobuf_read_the_same_by_hand),
        CASE(what_is_no_produce_request_is_refused),
        CASE(what_is_no_fetch_answer_is_refused),
        CASE(a_body_cut_anywhere_is_refused_or_shorter),
        CASE(empty_partitions_meet_the_ceiling),
        CASE(a_detail_that_does_not_fit_meets_the_ceiling),
        CASE(fronts_have_these_bytes),
};

CHECK_MAIN("produce_fetch", cases)
