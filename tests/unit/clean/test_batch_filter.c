/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/clean/batch_filter.h"

#include "common/compress/compress.h"
#include "tests/lib/check.h"
#include "tests/unit/clean/clean_fixture.h"

#include <stdio.h>
#include <string.h>

enum {
    NOW = 5000,
    HORIZON = 6000
};

/* Keys a, b, c, … are at offsets 100, 101, …; of those in ctx a newer record is known. */
static offset64 newest(void *ctx, struct bytes key)
{
    const char *replaced = ctx;

    return key.size == 1 && strchr(replaced, key.at[0]) != NULL ? 1000 : OFFSET_NONE;
}

static struct filter_rules rules_for(const struct batch *b, const char *replaced)
{
    char *ctx = NULL;

    memcpy(&ctx, &replaced, sizeof(ctx)); /* the context is not const, and is only read */
    return (struct filter_rules){.head = {.base = b->base_offset,
                                         .last = batch_last_offset(b),
                                         .producer_id = b->producer_id,
                                         .horizon = batch_delete_horizon(b)},
            .end = 2000,
            .now = NOW,
            .new_horizon = HORIZON,
            .newest = newest,
            .ctx = ctx};
}

static const struct test_record abcd[] = {
        {"a", "one", 1010}, {"b", NULL, 1040}, {"c", "three", 1020}, {"d", "four", 1030}};

static void make(struct buf *bytes, struct batch *b, enum batch_codec codec, uint16_t attributes)
{
    struct test_batch t = {.records = abcd,
            .n = 4,
            .codec = codec,
            .producer_id = 77,
            .base_sequence = 33,
            .attributes = attributes};

    buf_clear(bytes);
    test_batch_make(bytes, &t);
    batch_stamp(bytes->data, 100, 5);
    CHECK_EQ(batch_parse(bytes->data, bytes->size, b), 0);
}

/* The records of a batch as text: "a100=one@1010 …". */
static const char *text_of(struct bytes bytes, struct batch *ret)
{
    static char text[512];
    struct buf scratch = {0};
    struct record_iter it;
    struct bytes plain;
    struct record r;
    int e;

    text[0] = '\0';
    CHECK_EQ(batch_parse(bytes.at, bytes.size, ret), 0);
    CHECK_EQ(ret->size, bytes.size);
    CHECK(batch_crc_is_right(ret));
    CHECK_EQ(batch_plain_records(ret, 4096, &scratch, &plain), 0);
    record_iter_init(&it, ret, plain.at, plain.size);
    while ((e = record_iter_next(&it, &r)) == 0) {
        size_t at = strlen(text);
        (void)snprintf(text + at, sizeof(text) - at, "%s%.*s%lld=%.*s@%lld", at > 0 ? " " : "",
                (int)r.key.size, (const char *)r.key.at, (long long)r.offset,
                r.value.at != NULL ? (int)r.value.size : 4,
                r.value.at != NULL ? (const char *)r.value.at : "null", (long long)r.timestamp);
    }
    CHECK_EQ(e, RECORD_END);
    buf_deinit(&scratch);
    return text;
}

static void records_that_stay_keep_all_but_their_neighbours(void) /* [LOG-45] [LOG-53] */
{
    for (int codec = CODEC_NONE; codec <= CODEC_ZSTD; codec++) {
        struct batch_filter f = {0};
        struct buf bytes = {0};
        struct filtered out;
        struct batch b, got;

        make(&bytes, &b, (enum batch_codec)codec, 0);
        struct filter_rules rules = rules_for(&b, "bd");
        CHECK_EQ(batch_filter_run(&f, &b, &rules, &out), 0);
        CHECK_EQ(out.result, FILTER_OTHER);
        CHECK_STR(text_of(out.bytes, &got), "a100=one@1010 c102=three@1020");
        CHECK_EQ(out.n_records, 2);
        CHECK_EQ(got.n_records, 2);
        CHECK_EQ(got.base_offset, 100);
        CHECK_EQ(got.last_offset_delta, 3);
        CHECK_EQ(got.leader_epoch, 5);
        CHECK_EQ(got.producer_id, 77);
        CHECK_EQ(got.producer_epoch, 0);
        CHECK_EQ(got.base_sequence, 33);
        CHECK_EQ(batch_codec(&got), codec);
        CHECK_EQ(got.base_timestamp, 1010);
        CHECK_EQ(got.max_timestamp, 1020);
        CHECK_EQ(out.max_timestamp, 1020);
        batch_filter_deinit(&f);
        buf_deinit(&bytes);
    }
}

static void batch_that_loses_nothing_is_the_same_bytes(void) /* [LOG-53] */
{
    struct batch_filter f = {0};
    struct buf bytes = {0};
    struct filtered out;
    struct batch b;

    make(&bytes, &b, CODEC_LZ4, 0);
    struct filter_rules rules = rules_for(&b, "");
    rules.head.horizon = HORIZON; /* it has been set */
    CHECK_EQ(batch_filter_run(&f, &b, &rules, &out), 0);
    CHECK_EQ(out.result, FILTER_SAME);
    CHECK(out.bytes.at == bytes.data && out.bytes.size == bytes.size);
    rules = rules_for(&b, "abcd");
    rules.end = 100; /* none of it is judged: not even the tombstone's clock starts */
    CHECK_EQ(batch_filter_run(&f, &b, &rules, &out), 0);
    CHECK_EQ(out.result, FILTER_SAME);
    batch_filter_deinit(&f);
    buf_deinit(&bytes);
}

static void tombstone_starts_its_clock_and_goes_when_it_has_come(void) /* [LOG-46] */
{
    static const enum batch_codec codecs[] = {CODEC_NONE, CODEC_ZSTD};

    for (size_t i = 0; i < COUNT_OF(codecs); i++) {
        struct batch_filter f = {0};
        struct buf bytes = {0}, first = {0};
        struct filtered out;
        struct batch b, got;

        make(&bytes, &b, codecs[i], 0);
        struct filter_rules rules = rules_for(&b, "a");
        CHECK_EQ(batch_filter_run(&f, &b, &rules, &out), 0);
        CHECK_STR(text_of(out.bytes, &got), "b101=null@1040 c102=three@1020 d103=four@1030");
        CHECK_EQ(batch_delete_horizon(&got), HORIZON);
        CHECK_EQ(got.base_timestamp, HORIZON);
        CHECK_EQ(got.max_timestamp, 1040);

        buf_append(&first, out.bytes.at, out.bytes.size);
        CHECK_EQ(batch_parse(first.data, first.size, &b), 0);
        rules = rules_for(&b, "");
        rules.now = HORIZON - 1;
        CHECK_EQ(batch_filter_run(&f, &b, &rules, &out), 0);
        CHECK_EQ(out.result, FILTER_SAME);
        rules.now = HORIZON;
        CHECK_EQ(batch_filter_run(&f, &b, &rules, &out), 0);
        CHECK_STR(text_of(out.bytes, &got), "c102=three@1020 d103=four@1030");
        CHECK_EQ(batch_delete_horizon(&got), HORIZON);
        batch_filter_deinit(&f);
        buf_deinit(&bytes);
        buf_deinit(&first);
    }
}

static void batch_without_records_goes_or_stays_empty(void) /* [LOG-49] [LOG-50] */
{
    struct batch_filter f = {0};
    struct buf bytes = {0}, kept = {0};
    struct filtered out;
    struct batch b, got;

    make(&bytes, &b, CODEC_SNAPPY, 0);
    struct filter_rules rules = rules_for(&b, "abcd");
    CHECK_EQ(batch_filter_run(&f, &b, &rules, &out), 0);
    CHECK_EQ(out.result, FILTER_GONE);
    rules.judgement.keeps_empty = true;
    CHECK_EQ(batch_filter_run(&f, &b, &rules, &out), 0);
    CHECK_EQ(out.result, FILTER_OTHER);
    CHECK_EQ(out.bytes.size, BATCH_HEADER_SIZE);
    buf_append(&kept, out.bytes.at, out.bytes.size);
    CHECK_STR(text_of((struct bytes){.at = kept.data, .size = kept.size}, &got), "");
    CHECK_EQ(got.n_records, 0);
    CHECK_EQ(got.base_offset, 100);
    CHECK_EQ(batch_last_offset(&got), 103);
    CHECK_EQ(got.producer_id, 77);
    CHECK_EQ(got.base_sequence, 33);
    CHECK_EQ(got.max_timestamp, 1040);
    CHECK_EQ(batch_codec(&got), CODEC_NONE);
    /* Once more. */
    rules = rules_for(&got, "abcd");
    rules.judgement.keeps_empty = true;
    CHECK_EQ(batch_filter_run(&f, &got, &rules, &out), 0);
    CHECK_EQ(out.result, FILTER_SAME);
    rules.judgement.keeps_empty = false;
    CHECK_EQ(batch_filter_run(&f, &got, &rules, &out), 0);
    CHECK_EQ(out.result, FILTER_GONE);
    batch_filter_deinit(&f);
    buf_deinit(&bytes);
    buf_deinit(&kept);
}

static void records_without_key_go(void) /* [LOG-45] */
{
    static const struct test_record records[] = {{NULL, "x", 1}, {"a", "y", 2}, {NULL, NULL, 3}};
    struct test_batch t = {.records = records, .n = 3, .producer_id = -1};
    struct batch_filter f = {0};
    struct buf bytes = {0};
    struct filtered out;
    struct batch b, got;

    test_batch_make(&bytes, &t);
    batch_stamp(bytes.data, 100, 0);
    CHECK_EQ(batch_parse(bytes.data, bytes.size, &b), 0);
    struct filter_rules rules = rules_for(&b, "");
    CHECK_EQ(batch_filter_run(&f, &b, &rules, &out), 0);
    CHECK_STR(text_of(out.bytes, &got), "a101=y@2");
    rules.end = 102;
    CHECK_EQ(batch_filter_run(&f, &b, &rules, &out), 0);
    CHECK_EQ(out.n_records, 2); /* the last one is not judged */
    batch_filter_deinit(&f);
    buf_deinit(&bytes);
}

static void time_of_the_broker_stays_the_time_of_all(void) /* [LOG-53] */
{
    struct batch_filter f = {0};
    struct buf bytes = {0};
    struct filtered out;
    struct batch b, got;

    make(&bytes, &b, CODEC_GZIP, 0);
    batch_set_append_time(bytes.data, bytes.size, 9999);
    CHECK_EQ(batch_parse(bytes.data, bytes.size, &b), 0);
    struct filter_rules rules = rules_for(&b, "acd"); /* the tombstone is left */
    CHECK_EQ(batch_filter_run(&f, &b, &rules, &out), 0);
    CHECK_STR(text_of(out.bytes, &got), "b101=null@9999");
    CHECK_EQ(got.max_timestamp, 9999);
    CHECK_EQ(batch_delete_horizon(&got), HORIZON);
    batch_filter_deinit(&f);
    buf_deinit(&bytes);
}

static void marker_gets_a_horizon_and_is_else_left_alone(void) /* [LOG-47] */
{
    struct batch_filter f = {0};
    struct buf bytes = {0};
    struct filtered out;
    struct batch b, got;

    test_marker_make(&bytes, 77, true, 1000);
    CHECK_EQ(batch_parse(bytes.data, bytes.size, &b), 0);
    struct filter_rules rules = rules_for(&b, "");
    rules.head.marker = CLEANING_COMMIT;
    CHECK_EQ(batch_filter_run(&f, &b, &rules, &out), 0);
    CHECK_EQ(out.result, FILTER_SAME);
    rules.judgement.wants_horizon = true;
    CHECK_EQ(batch_filter_run(&f, &b, &rules, &out), 0);
    CHECK_EQ(out.result, FILTER_OTHER);
    CHECK_EQ(batch_parse(out.bytes.at, out.bytes.size, &got), 0);
    CHECK_EQ(batch_delete_horizon(&got), HORIZON);
    CHECK_EQ(got.attributes, b.attributes | BATCH_DELETE_HORIZON);
    CHECK_EQ(got.n_records, 1);
    rules.judgement.drops_records = true;
    CHECK_EQ(batch_filter_run(&f, &b, &rules, &out), 0);
    CHECK_EQ(out.result, FILTER_GONE);
    batch_filter_deinit(&f);
    buf_deinit(&bytes);
}

static void malformed_records_are_refused(void) /* [LOG-59] */
{
    for (int codec = CODEC_NONE; codec <= CODEC_ZSTD; codec++) {
        struct batch_filter f = {0};
        struct buf bytes = {0};
        struct filtered out;
        struct batch b;

        make(&bytes, &b, (enum batch_codec)codec, 0);
        memset(bytes.data + BATCH_HEADER_SIZE, 0xff, bytes.size - BATCH_HEADER_SIZE);
        struct filter_rules rules = rules_for(&b, "a");
        CHECK_EQ(batch_filter_run(&f, &b, &rules, &out), BATCH_FILTER_E_BAD);
        batch_filter_deinit(&f);
        buf_deinit(&bytes);
    }
}

static const struct check_case cases[] = {
        CASE(records_that_stay_keep_all_but_their_neighbours),
        CASE(batch_that_loses_nothing_is_the_same_bytes),
        CASE(tombstone_starts_its_clock_and_goes_when_it_has_come),
        CASE(batch_without_records_goes_or_stays_empty),
        CASE(records_without_key_go),
        CASE(time_of_the_broker_stays_the_time_of_all),
        CASE(marker_gets_a_horizon_and_is_else_left_alone),
        CASE(malformed_records_are_refused),
};
CHECK_MAIN("batch_filter", cases)
