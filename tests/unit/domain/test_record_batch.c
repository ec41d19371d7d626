/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/array.h"
#include "common/base/crc.h"
#include "common/base/prng.h"
#include "common/domain/errcode.h"
#include "common/domain/name_rules.h"
#include "common/domain/record_batch.h"
#include "tests/lib/check.h"

#define TEXT(s) ((struct bytes){.at = (const uint8_t *)(s), .size = strlen(s)})
#define NO_PRODUCER                                                                                \
    ((struct batch_build_options){.producer_id = -1, .producer_epoch = -1, .base_sequence = -1})

/* Written by Apache Kafka (it stands in the tests of several clients): one record, value "123",
 * no key. */
static const uint8_t from_kafka[] = {
        0, 0, 0, 0, 0, 0, 0, 0,                         /* base offset 0 */
        0, 0, 0, 0x3b,                                  /* 59 bytes follow */
        0, 0, 0, 1,                                     /* leader epoch 1 */
        2,                                              /* magic */
        0x03, 0x18, 0xa2, 0x70,                         /* CRC-32C of all that follows */
        0, 0,                                           /* attributes */
        0, 0, 0, 0,                                     /* last offset delta */
        0x00, 0x00, 0x01, 0x5d, 0xff, 0x7b, 0x06, 0x3c, /* base timestamp */
        0x00, 0x00, 0x01, 0x5d, 0xff, 0x7b, 0x06, 0x3c, /* max timestamp */
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, /* producer id */
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff,             /* producer epoch, base sequence */
        0, 0, 0, 1,                                     /* records */
        0x12, 0, 0, 0, 0x01, 0x06, '1', '2', '3', 0, /* 9 bytes: no key, value of 3, no headers */
};

/* Made by hand from Kafka's description: transactional, producer 77 epoch 3 sequence 9, three
 * records. */
static const uint8_t by_hand[] = {
        0, 0, 0, 0, 0, 0, 0, 0,                                     /* base offset */
        0, 0, 0, 0x52,                                              /* 82 bytes follow */
        0xff, 0xff, 0xff, 0xff,                                     /* leader epoch -1 */
        2,                                                          /* magic */
        0x1e, 0x9a, 0x1d, 0x41,                                     /* CRC-32C */
        0, 0x10,                                                    /* transactional */
        0, 0, 0, 2,                                                 /* last offset delta */
        0x00, 0x00, 0x01, 0x8b, 0xcf, 0xe5, 0x68, 0x00,             /* 1700000000000 */
        0x00, 0x00, 0x01, 0x8b, 0xcf, 0xe5, 0x68, 0x64,             /* 1700000000100 */
        0, 0, 0, 0, 0, 0, 0, 0x4d,                                  /* producer 77 */
        0, 3, 0, 0, 0, 9,                                           /* epoch 3, sequence 9 */
        0, 0, 0, 3,                                                 /* records */
        0x18, 0, 0, 0, 0x02, 'k', 0x0a, 'h', 'e', 'l', 'l', 'o', 0, /* "k" = "hello" */
        0x16, 0, 0x09, 0x02, 0x01, 0x01,          /* 5 ms earlier, no key, no value */
        0x04, 0x02, 'h', 0x00, 0x00, 0x01,        /* headers h = "", "" = null */
        0x0e, 0, 0xc8, 0x01, 0x04, 0x00, 0x00, 0, /* 100 ms later, "" = "" */
};

/* CRC-32C by its definition, a bit at a time. */
static uint32_t crc32c_by_bits(const uint8_t *p, size_t size)
{
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < size; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc & 1) != 0 ? (crc >> 1) ^ 0x82f63b78u : crc >> 1;
        }
    }
    return ~crc;
}

static void batch_written_by_kafka_is_read(void)
{
    struct batch b;
    struct record_iter it;
    struct record record;

    CHECK_EQ(crc32c_by_bits(from_kafka + 21, sizeof(from_kafka) - 21), 0x0318a270);
    CHECK_EQ(batch_validate_produced(from_kafka, sizeof(from_kafka), &b), 0);
    CHECK_EQ(b.leader_epoch, 1);
    CHECK_EQ(b.producer_id, -1);
    CHECK_EQ(b.producer_epoch, -1);
    CHECK_EQ(b.base_sequence, -1);
    CHECK_EQ(b.base_timestamp, 1503229838908);
    record_iter_init(
            &it, &b, from_kafka + BATCH_HEADER_SIZE, sizeof(from_kafka) - BATCH_HEADER_SIZE);
    CHECK_EQ(record_iter_next(&it, &record), 0);
    CHECK(record.key.at == NULL);
    CHECK_EQ(record.value.size, 3);
    CHECK_MEM(record.value.at, "123", 3);
    CHECK_EQ(record.timestamp, 1503229838908);
    CHECK_EQ(record_iter_next(&it, &record), RECORD_END);
}

static void batch_is_built_byte_for_byte(void)
{
    struct batch_builder bb = {0};
    struct buf out = {0};
    const struct record_header headers[] = {
            {.name = TEXT("h"), .value = TEXT("")}, {.name = TEXT(""), .value = {0}}};
    const struct record records[] = {
            {.timestamp = 1700000000000, .key = TEXT("k"), .value = TEXT("hello")},
            {.timestamp = 1699999999995, .n_headers = 2},
            {.timestamp = 1700000000100, .key = TEXT(""), .value = TEXT("")},
    };

    for (size_t i = 0; i < COUNT_OF(records); i++) {
        size_t before = bb.records.size;
        batch_builder_add(&bb, &records[i], headers);
        CHECK(bb.records.size - before <= batch_record_size_max(&records[i], headers));
    }
    batch_builder_finish(&bb,
            &(struct batch_build_options){.producer_id = 77,
                    .producer_epoch = 3,
                    .base_sequence = 9,
                    .attributes = BATCH_TRANSACTIONAL},
            CODEC_NONE, (struct bytes){.at = bb.records.data, .size = bb.records.size}, &out);
    CHECK_EQ(crc32c_by_bits(by_hand + 21, sizeof(by_hand) - 21), 0x1e9a1d41);
    CHECK_EQ(out.size, sizeof(by_hand));
    CHECK_MEM(out.data, by_hand, sizeof(by_hand));
    batch_builder_deinit(&bb);
    buf_deinit(&out);
}

static void null_and_empty_stay_apart(void)
{
    struct batch b;
    struct record_iter it;
    struct record record;
    struct record_header headers[3];

    CHECK_EQ(batch_validate_produced(by_hand, sizeof(by_hand), &b), 0);
    record_iter_init(&it, &b, by_hand + BATCH_HEADER_SIZE, b.size - BATCH_HEADER_SIZE);
    CHECK_EQ(record_iter_next(&it, &record), 0);
    CHECK_EQ(record_iter_next(&it, &record), 0);
    CHECK(record.key.at == NULL && record.value.at == NULL);
    CHECK_EQ(record.offset, 1);
    CHECK_EQ(record.timestamp, 1699999999995);
    CHECK_EQ(record_headers(&record, headers, 3), 2);
    CHECK(headers[0].value.at != NULL && headers[0].value.size == 0);
    CHECK(headers[1].value.at == NULL);
    CHECK_EQ(record_headers(&record, headers, 1), 1);
    CHECK_EQ(record_iter_next(&it, &record), 0);
    CHECK(record.key.at != NULL && record.key.size == 0);
    CHECK(record.value.at != NULL && record.value.size == 0);
    CHECK_EQ(record_iter_next(&it, &record), RECORD_END);
}

static struct bytes random_bytes(struct prng *p, const uint8_t *pool, size_t max)
{
    if (prng_below(p, 4) == 0) {
        return (struct bytes){0};
    }
    return (struct bytes){.at = pool + prng_below(p, 100), .size = prng_below(p, max)};
}

static bool bytes_equal(struct bytes a, struct bytes b)
{
    return (a.at == NULL) == (b.at == NULL) && a.size == b.size &&
           (a.size == 0 || memcmp(a.at, b.at, a.size) == 0);
}

enum {
    N_RANDOM = 40,
    N_HEADERS = 5
};

static void check_round_trip(struct prng *p, const uint8_t *pool)
{
    struct record records[N_RANDOM];
    struct record_header headers[N_RANDOM][N_HEADERS];
    struct record_header back[N_HEADERS];
    struct batch_builder bb = {0};
    struct buf out = {0};
    struct batch b;
    struct record_iter it;
    struct record got;
    int n = 1 + (int)prng_below(p, N_RANDOM);

    for (int i = 0; i < n; i++) {
        records[i] = (struct record){
                .timestamp = (wall_ms)(prng_u64(p) >> prng_below(p, 64)),
                .key = random_bytes(p, pool, 300),
                .value = random_bytes(p, pool, 20000),
                .n_headers = (int32_t)prng_below(p, N_HEADERS + 1),
        };
        for (int h = 0; h < records[i].n_headers; h++) {
            headers[i][h].name = (struct bytes){.at = pool, .size = prng_below(p, 70)};
            headers[i][h].value = random_bytes(p, pool, 300);
        }
        batch_builder_add(&bb, &records[i], headers[i]);
    }
    batch_builder_finish(
            &bb, &NO_PRODUCER, CODEC_NONE, (struct bytes){bb.records.data, bb.records.size}, &out);
    CHECK_EQ(batch_validate_produced(out.data, out.size, &b), 0);
    record_iter_init(&it, &b, out.data + BATCH_HEADER_SIZE, out.size - BATCH_HEADER_SIZE);
    for (int i = 0; i < n; i++) {
        CHECK_EQ(record_iter_next(&it, &got), 0);
        CHECK_EQ(got.offset, i);
        CHECK_EQ(got.timestamp, records[i].timestamp);
        CHECK(bytes_equal(got.key, records[i].key));
        CHECK(bytes_equal(got.value, records[i].value));
        CHECK_EQ(record_headers(&got, back, N_HEADERS), records[i].n_headers);
        for (int h = 0; h < records[i].n_headers; h++) {
            CHECK(bytes_equal(back[h].name, headers[i][h].name));
            CHECK(bytes_equal(back[h].value, headers[i][h].value));
        }
    }
    CHECK_EQ(record_iter_next(&it, &got), RECORD_END);
    batch_builder_deinit(&bb);
    buf_deinit(&out);
}

static void random_records_round_trip(void)
{
    struct prng p;
    static uint8_t pool[20100];

    prng_init(&p, check_seed());
    for (size_t i = 0; i < sizeof(pool); i++) {
        pool[i] = (uint8_t)prng_u64(&p);
    }
    for (int i = 0; i < 100; i++) {
        check_round_trip(&p, pool);
    }
}

static void every_prefix_of_a_batch_is_short(void)
{
    struct batch b = {.size = 1};

    for (size_t size = 0; size < sizeof(by_hand); size++) {
        CHECK_EQ(batch_parse(by_hand, size, &b), BATCH_E_SHORT);
        CHECK_EQ(batch_validate_produced(by_hand, size, &b), BATCH_E_SHORT);
    }
    CHECK_EQ(b.size, 1);
}

static void length_that_cannot_be_is_refused(void)
{
    static const uint32_t lengths[] = {0, 48, (uint32_t)-1, INT32_MAX - 11, 0x80000000u};
    uint8_t bytes[sizeof(by_hand)];
    struct batch b;

    memcpy(bytes, by_hand, sizeof(bytes));
    for (size_t i = 0; i < COUNT_OF(lengths); i++) {
        store_be32(bytes + 8, lengths[i]);
        CHECK_EQ(batch_parse(bytes, sizeof(bytes), &b), BATCH_E_LENGTH);
        CHECK_EQ(batch_size_peek(bytes), 0);
    }
    store_be32(bytes + 8, INT32_MAX - 12);
    CHECK_EQ(batch_parse(bytes, sizeof(bytes), &b), BATCH_E_SHORT);
    CHECK_EQ(batch_size_peek(bytes), INT32_MAX);
}

/* Puts the right checksum on a batch that was changed. */
static void seal(uint8_t *bytes, size_t size)
{
    store_be32(bytes + 17, crc32c(0, bytes + 21, size - 21));
}

static int validate_changed(size_t at, uint8_t value)
{
    uint8_t bytes[sizeof(by_hand)];
    struct batch b;

    memcpy(bytes, by_hand, sizeof(bytes));
    bytes[at] = value;
    seal(bytes, sizeof(bytes));
    return batch_validate_produced(bytes, sizeof(bytes), &b);
}

static void what_a_producer_must_not_send_is_refused(void)
{
    uint8_t two[2 * sizeof(by_hand)];
    struct batch b;

    CHECK_EQ(validate_changed(16, 2), 0);
    CHECK_EQ(validate_changed(16, 1), BATCH_E_MAGIC);
    CHECK_EQ(validate_changed(16, 0), BATCH_E_MAGIC);
    CHECK_EQ(validate_changed(22, 4), 0); /* zstd, the last known one */
    CHECK_EQ(validate_changed(22, 5), BATCH_E_CODEC);
    CHECK_EQ(validate_changed(22, 7), BATCH_E_CODEC);
    CHECK_EQ(validate_changed(22, 0x20), BATCH_E_FORM); /* control */
    CHECK_EQ(validate_changed(60, 4), BATCH_E_COUNT);   /* records */
    CHECK_EQ(validate_changed(60, 0), BATCH_E_COUNT);
    CHECK_EQ(validate_changed(57, 0xff), BATCH_E_COUNT);
    CHECK_EQ(validate_changed(26, 1), BATCH_E_COUNT); /* last offset delta */
    CHECK_EQ(validate_changed(23, 0xff), BATCH_E_COUNT);
    memcpy(two, by_hand, sizeof(by_hand));
    memcpy(two + sizeof(by_hand), by_hand, sizeof(by_hand));
    CHECK_EQ(batch_validate_produced(two, sizeof(two), &b), BATCH_E_FORM);
    CHECK_EQ(batch_parse(two, sizeof(two), &b), 0);
    CHECK_EQ(b.size, sizeof(by_hand));
}

static void each_flipped_bit_below_the_checksum_is_seen(void)
{
    uint8_t bytes[sizeof(by_hand)];
    struct batch b;

    memcpy(bytes, by_hand, sizeof(bytes));
    for (size_t bit = 17 * 8; bit < sizeof(bytes) * 8; bit++) {
        bytes[bit / 8] = (uint8_t)(bytes[bit / 8] ^ (1u << bit % 8));
        CHECK_EQ(batch_validate_produced(bytes, sizeof(bytes), &b), BATCH_E_CRC);
        bytes[bit / 8] = (uint8_t)(bytes[bit / 8] ^ (1u << bit % 8));
    }
}

static void stamping_leaves_the_checksum_right(void)
{
    uint8_t bytes[sizeof(by_hand)];
    struct batch b;
    struct record_iter it;
    struct record record;

    memcpy(bytes, by_hand, sizeof(bytes));
    batch_stamp(bytes, 1234567890123, 42);
    CHECK_EQ(batch_validate_produced(bytes, sizeof(bytes), &b), 0);
    CHECK_EQ(b.base_offset, 1234567890123);
    CHECK_EQ(batch_last_offset(&b), 1234567890125);
    CHECK_EQ(b.leader_epoch, 42);
    CHECK_EQ(b.crc, 0x1e9a1d41);

    batch_set_append_time(bytes, sizeof(bytes), 1800000000000);
    CHECK_EQ(batch_validate_produced(bytes, sizeof(bytes), &b), 0);
    CHECK_EQ(b.attributes, BATCH_LOG_APPEND_TIME | BATCH_TRANSACTIONAL);
    CHECK_EQ(b.max_timestamp, 1800000000000);
    record_iter_init(&it, &b, bytes + BATCH_HEADER_SIZE, sizeof(bytes) - BATCH_HEADER_SIZE);
    CHECK_EQ(record_iter_next(&it, &record), 0);
    CHECK_EQ(record.offset, 1234567890123);
    CHECK_EQ(record.timestamp, 1800000000000);
}

/* Walks `records` as a batch of `n` with offset deltas up to n - 1; the result that ends the
 * walk. */
static int walk(const void *records, size_t size, int32_t n)
{
    struct batch b = {.n_records = n, .last_offset_delta = n - 1};
    struct record_iter it;
    struct record record;
    struct record_header headers[4];
    int r = 0;

    record_iter_init(&it, &b, records, size);
    while ((r = record_iter_next(&it, &record)) == 0) {
        CHECK(record_headers(&record, headers, 4) >= 0);
    }
    CHECK_EQ(record_iter_next(&it, &record), r);
    return r;
}

#define WALK(n, ...)                                                                               \
    walk((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}), (n))

static void records_that_do_not_fit_are_refused(void)
{
    CHECK_EQ(WALK(1, 0x0c, 0, 0, 0, 1, 1, 0), RECORD_END);
    CHECK_EQ(WALK(2, 0x0c, 0, 0, 0, 1, 1, 0), BATCH_E_COUNT); /* one is missing */
    CHECK_EQ(WALK(1, 0x0c, 0, 0, 0, 1, 1, 0, 0x0c, 0, 0, 2, 1, 1, 0),
            BATCH_E_COUNT);                                        /* one too many */
    CHECK_EQ(WALK(1, 0x0e, 0, 0, 0, 1, 1, 0), BATCH_E_FORM);       /* longer than the bytes */
    CHECK_EQ(WALK(1, 0x0a, 0, 0, 0, 1, 1, 0), BATCH_E_FORM);       /* shorter than its fields */
    CHECK_EQ(WALK(1, 0x0e, 0, 0, 0, 1, 1, 0, 9), BATCH_E_FORM);    /* a byte left over */
    CHECK_EQ(WALK(1, 0x01, 0, 0, 0, 1, 1, 0), BATCH_E_FORM);       /* length -1 */
    CHECK_EQ(WALK(1, 0x0c, 0, 0, 0, 3, 1, 0), BATCH_E_FORM);       /* key of length -2 */
    CHECK_EQ(WALK(1, 0x0c, 0, 0, 0, 1, 0x20, 0), BATCH_E_FORM);    /* value beyond the end */
    CHECK_EQ(WALK(1, 0x0c, 0, 0, 0, 1, 1, 1), BATCH_E_FORM);       /* -1 headers */
    CHECK_EQ(WALK(1, 0x0c, 0, 0, 0, 1, 1, 2), BATCH_E_FORM);       /* a header is missing */
    CHECK_EQ(WALK(1, 0x10, 0, 0, 0, 1, 1, 2, 1, 1), BATCH_E_FORM); /* header without a name */
    CHECK_EQ(WALK(1, 0x0c, 0, 0, 1, 1, 1, 0), BATCH_E_FORM);       /* offset delta -1 */
    CHECK_EQ(WALK(1, 0x0c, 0, 0, 2, 1, 1, 0), BATCH_E_FORM);       /* beyond the last */
    CHECK_EQ(WALK(2, 0x0c, 0, 0, 0, 1, 1, 0, 0x0c, 0, 0, 0, 1, 1, 0),
            BATCH_E_FORM); /* the same again */
    CHECK_EQ(WALK(1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f), BATCH_E_FORM);
    CHECK_EQ(WALK(1, 0xfe, 0xff, 0xff, 0xff, 0x1f, 0), BATCH_E_FORM); /* length 2^32 - 1 */
}

static void gaps_that_compaction_left_are_read(void)
{
    static const uint8_t records[] = {0x0c, 0, 0, 0x04, 1, 1, 0, 0x0c, 0, 0, 0x12, 1, 1, 0};
    struct batch b = {.base_offset = 100, .n_records = 2, .last_offset_delta = 11};
    struct record_iter it;
    struct record record;

    record_iter_init(&it, &b, records, sizeof(records));
    CHECK_EQ(record_iter_next(&it, &record), 0);
    CHECK_EQ(record.offset, 102);
    CHECK_EQ(record_iter_next(&it, &record), 0);
    CHECK_EQ(record.offset, 109);
    CHECK_EQ(record_iter_next(&it, &record), RECORD_END);
}

static void hostile_records_never_lead_outside(void)
{
    struct prng p;
    uint8_t bytes[64];

    prng_init(&p, check_seed());
    for (int i = 0; i < 50000; i++) {
        size_t size = prng_below(&p, sizeof(bytes));
        memcpy(bytes, by_hand + BATCH_HEADER_SIZE, sizeof(by_hand) - BATCH_HEADER_SIZE);
        for (uint64_t n = prng_below(&p, 4); n > 0; n--) {
            bytes[prng_below(&p, sizeof(bytes))] = (uint8_t)prng_u64(&p);
        }
        uint8_t *exact = mem_dup(bytes, size); /* so that a byte too far is seen */
        int r = walk(exact, size, (int32_t)prng_below(&p, 5));
        CHECK(r == RECORD_END || r == BATCH_E_FORM || r == BATCH_E_COUNT);
        mem_free(exact);
    }
}

static void codecs_have_kafkas_names(void)
{
    for (int codec = CODEC_NONE; codec <= CODEC_ZSTD; codec++) {
        CHECK_EQ(codec_by_name(codec_name(codec)), codec);
    }
    CHECK_STR(codec_name(CODEC_LZ4), "lz4");
    CHECK(codec_name(5) == NULL);
    CHECK(codec_name(-1) == NULL);
    CHECK_EQ(codec_by_name("brotli"), -1);
}

static void error_codes_are_kafkas(void)
{
    CHECK_STR(errcode_name(ERRCODE_NOT_LEADER_OR_FOLLOWER), "NOT_LEADER_OR_FOLLOWER");
    CHECK_EQ(ERRCODE_NOT_LEADER_OR_FOLLOWER, 6);
    CHECK(errcode_retriable(ERRCODE_NOT_LEADER_OR_FOLLOWER));
    CHECK(!errcode_retriable(ERRCODE_MESSAGE_TOO_LARGE));
    CHECK_STR(errcode_name(12345), "UNKNOWN_SERVER_ERROR");
    CHECK(!errcode_retriable(12345));
    CHECK(strlen(errcode_text(12345)) > 0);
}

static void topic_names_follow_kafkas_rule(void)
{
    char name[260];

    memset(name, 'a', sizeof(name));
    name[249] = '\0';
    CHECK(topic_name_refusal(name) == NULL);
    name[249] = 'a';
    name[250] = '\0';
    CHECK(topic_name_refusal(name) != NULL);
    CHECK(topic_name_refusal("Orders_2026.v-1") == NULL);
    CHECK(topic_name_refusal("...") == NULL);
    CHECK(topic_name_refusal("") != NULL);
    CHECK(topic_name_refusal(".") != NULL);
    CHECK(topic_name_refusal("..") != NULL);
    CHECK(topic_name_refusal("a/b") != NULL);
    CHECK(topic_name_refusal("a b") != NULL);
    CHECK(topic_name_refusal("a\xc3\xa4") != NULL);
}

static void batch_of_no_records_stands_for_its_offsets(void) /* [FET-11] */
{
    uint8_t bytes[BATCH_HEADER_SIZE];
    struct batch b;

    batch_make_empty(bytes, 7);
    batch_stamp(bytes, 100, 3);
    CHECK_EQ(batch_parse(bytes, sizeof(bytes), &b), 0);
    CHECK(batch_crc_is_right(&b));
    CHECK_EQ(b.size, BATCH_HEADER_SIZE);
    CHECK_EQ(b.n_records, 0);
    CHECK_EQ(batch_last_offset(&b), 106);
    CHECK_EQ(b.leader_epoch, 3);
    CHECK_EQ(b.producer_id, -1);
    CHECK_EQ(b.max_timestamp, -1);
    batch_make_empty(bytes, INT32_MAX);
    CHECK_EQ(batch_parse(bytes, sizeof(bytes), &b), 0);
    CHECK_EQ(b.last_offset_delta, INT32_MAX - 1);
}

static const struct check_case cases[] = {
        CASE(batch_of_no_records_stands_for_its_offsets),
        CASE(batch_written_by_kafka_is_read),
        CASE(batch_is_built_byte_for_byte),
        CASE(null_and_empty_stay_apart),
        CASE(random_records_round_trip),
        CASE(every_prefix_of_a_batch_is_short),
        CASE(length_that_cannot_be_is_refused),
        CASE(what_a_producer_must_not_send_is_refused),
        CASE(each_flipped_bit_below_the_checksum_is_seen),
        CASE(stamping_leaves_the_checksum_right),
        CASE(records_that_do_not_fit_are_refused),
        CASE(gaps_that_compaction_left_are_read),
        CASE(hostile_records_never_lead_outside),
        CASE(codecs_have_kafkas_names),
        CASE(error_codes_are_kafkas),
        CASE(topic_names_follow_kafkas_rule),
};

CHECK_MAIN("record_batch", cases)
