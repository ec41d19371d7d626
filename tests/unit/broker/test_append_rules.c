/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/append_rules.h"

#include "common/base/array.h"
#include "common/domain/record_batch.h"
#include "tests/lib/check.h"

enum {
    NOW = 1000000000
};

static const struct append_rules plain_rules = {.max_message_bytes = 1000,
        .before_max_ms = INT64_MAX,
        .after_max_ms = 3600000,
        .codec = APPEND_KEEP_CODEC};

static int judge_header(const struct append_rules *rules, const struct batch *b)
{
    struct append_fault fault;

    return append_judge_header(rules, b, NOW, &fault);
}

static void a_timestamp_is_judged_by_its_distance_to_the_clock(void) /* [LOG-101] */
{
    static const struct {
        int64_t before, after;
        wall_ms t;
        int result;
    } rows[] = {
            {INT64_MAX, 3600000, NOW, 0},
            {INT64_MAX, 3600000, NOW + 3600000, 0},
            {INT64_MAX, 3600000, NOW + 3600001, APPEND_E_TIME},
            {INT64_MAX, 3600000, 0, 0},
            {INT64_MAX, 3600000, INT64_MAX, APPEND_E_TIME},
            {INT64_MAX, 3600000, INT64_MIN, 0},
            {INT64_MAX, INT64_MAX, INT64_MAX, 0},
            {INT64_MAX, 0, NOW, 0},
            {INT64_MAX, 0, NOW + 1, APPEND_E_TIME},
            {0, 0, NOW, 0},
            {0, 0, NOW - 1, APPEND_E_TIME},
            {1000, 1000, NOW - 1000, 0},
            {1000, 1000, NOW - 1001, APPEND_E_TIME},
            {1000, 1000, -1, 0}, /* it has none */
            {1000, 1000, -2, APPEND_E_TIME},
            {1000, 1000, INT64_MIN, APPEND_E_TIME},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct append_rules rules = plain_rules;
        struct batch b = {.size = 100, .n_records = 1, .max_timestamp = rows[i].t};

        rules.before_max_ms = rows[i].before;
        rules.after_max_ms = rows[i].after;
        CHECK_EQ(judge_header(&rules, &b), rows[i].result);
        rules.is_append_time = true; /* the producer's time is of no account then */
        CHECK_EQ(judge_header(&rules, &b), 0);
    }
}

static void the_fault_says_how_far_off(void) /* [LOG-101] */
{
    struct batch b = {.size = 100, .n_records = 2, .max_timestamp = NOW + 3600007};
    struct append_fault fault;

    CHECK_EQ(append_judge_header(&plain_rules, &b, NOW, &fault), APPEND_E_TIME);
    CHECK_EQ(fault.record, -1);
    CHECK_EQ(fault.timestamp, NOW + 3600007);
    CHECK_EQ(fault.off_ms, 3600007);
    CHECK(fault.is_ahead);
}

static void a_batch_that_claims_the_brokers_time_is_refused(void) /* [LOG-100] */
{
    struct append_rules rules = plain_rules;
    struct batch b = {.size = 100, .n_records = 1, .attributes = BATCH_LOG_APPEND_TIME};

    CHECK_EQ(judge_header(&rules, &b), APPEND_E_STAMPED);
    rules.is_append_time = true;
    CHECK_EQ(judge_header(&rules, &b), APPEND_E_STAMPED);
}

static void the_size_is_judged_first(void) /* [LOG-104] */
{
    struct batch b = {.size = 1001, .n_records = 1, .max_timestamp = INT64_MAX};

    CHECK_EQ(judge_header(&plain_rules, &b), APPEND_E_SIZE);
    b.size = 1000;
    CHECK_EQ(judge_header(&plain_rules, &b), APPEND_E_TIME);
}

static void as_little_is_looked_at_as_will_do(void) /* [LOG-102] [LOG-103] [LOG-106] */
{
    static const struct {
        struct append_rules rules;
        enum batch_codec codec;
        int32_t n;
        enum append_look look;
    } rows[] = {
            {{.before_max_ms = INT64_MAX, .codec = -1}, CODEC_ZSTD, 9, APPEND_LOOK_HEADER},
            {{.before_max_ms = 5, .codec = -1}, CODEC_ZSTD, 9, APPEND_LOOK_RECORDS},
            {{.before_max_ms = 5, .codec = -1}, CODEC_ZSTD, 1, APPEND_LOOK_HEADER},
            {{.before_max_ms = 5, .codec = -1, .is_append_time = true}, CODEC_ZSTD, 9,
                    APPEND_LOOK_HEADER},
            {{.before_max_ms = INT64_MAX, .codec = -1, .is_compacted = true}, CODEC_NONE, 1,
                    APPEND_LOOK_RECORDS},
            {{.before_max_ms = INT64_MAX, .codec = CODEC_ZSTD}, CODEC_ZSTD, 9, APPEND_LOOK_HEADER},
            {{.before_max_ms = INT64_MAX, .codec = CODEC_NONE}, CODEC_ZSTD, 9, APPEND_LOOK_RECODE},
            {{.before_max_ms = INT64_MAX, .codec = CODEC_LZ4}, CODEC_NONE, 1, APPEND_LOOK_RECODE},
            {{.before_max_ms = INT64_MAX, .codec = CODEC_LZ4, .is_compacted = true}, CODEC_LZ4, 1,
                    APPEND_LOOK_RECORDS},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct batch b = {.attributes = (uint16_t)rows[i].codec, .n_records = rows[i].n};

        CHECK_EQ(append_look(&rows[i].rules, &b), rows[i].look);
    }
}

/* Three records at the given times; the one in the middle has no key. */
static void build(struct buf *out, const wall_ms times[3], struct batch *ret)
{
    static const uint8_t text[] = "text";
    struct batch_build_options o = {.producer_id = -1, .producer_epoch = -1, .base_sequence = -1};
    struct batch_builder bb = {0};

    buf_clear(out);
    for (int i = 0; i < 3; i++) {
        struct record r = {.timestamp = times[i],
                .key = {.at = i != 1 ? text : NULL, .size = i != 1 ? 4 : 0},
                .value = {.at = text, .size = 4}};

        batch_builder_add(&bb, &r, NULL);
    }
    batch_builder_finish(&bb, &o, CODEC_NONE, (struct bytes){0}, out);
    CHECK_EQ(batch_parse(out->data, out->size, ret), 0);
    batch_builder_deinit(&bb);
}

static struct bytes records_of(const struct batch *b)
{
    return (struct bytes){.at = b->bytes + BATCH_HEADER_SIZE, .size = b->size - BATCH_HEADER_SIZE};
}

static void each_record_is_judged(void) /* [LOG-102] [LOG-103] [LOG-105] */
{
    static const wall_ms times[3] = {NOW - 10, NOW - 2000, NOW - 5};
    struct append_rules rules = plain_rules;
    struct append_fault fault;
    struct buf buf = {0};
    struct batch b;
    wall_ms largest = 0;

    build(&buf, times, &b);
    CHECK_EQ(append_judge_records(&rules, &b, NOW, records_of(&b), &largest, &fault), 0);
    CHECK_EQ(largest, NOW - 5);
    rules.before_max_ms = 1000;
    CHECK_EQ(append_judge_header(&rules, &b, NOW, &fault), 0); /* the largest is all right */
    CHECK_EQ(
            append_judge_records(&rules, &b, NOW, records_of(&b), &largest, &fault), APPEND_E_TIME);
    CHECK_EQ(fault.record, 1);
    CHECK(!fault.is_ahead);
    rules = plain_rules;
    rules.is_compacted = true;
    CHECK_EQ(append_judge_records(&rules, &b, NOW, records_of(&b), &largest, &fault),
            APPEND_E_NO_KEY);
    CHECK_EQ(fault.record, 1);
    struct bytes torn = records_of(&b);
    torn.size--;
    CHECK_EQ(append_judge_records(&plain_rules, &b, NOW, torn, &largest, &fault), APPEND_E_RECORD);
    CHECK_EQ(fault.record, 2);
    b.n_records = 2;
    CHECK_EQ(append_judge_records(&plain_rules, &b, NOW, records_of(&b), &largest, &fault),
            APPEND_E_RECORD);
    buf_deinit(&buf);
}

static const struct check_case cases[] = {
        CASE(a_timestamp_is_judged_by_its_distance_to_the_clock),
        CASE(the_fault_says_how_far_off),
        CASE(a_batch_that_claims_the_brokers_time_is_refused),
        CASE(the_size_is_judged_first),
        CASE(as_little_is_looked_at_as_will_do),
        CASE(each_record_is_judged),
};

CHECK_MAIN("append_rules", cases)
