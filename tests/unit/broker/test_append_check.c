/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/append_check.h"

#include "broker/shell/topic_settings.h"
#include "common/base/array.h"
#include "common/compress/compress.h"
#include "common/domain/errcode.h"
#include "common/domain/image.h"
#include "tests/lib/check.h"

enum {
    NOW = 1000000000,
    RECORDS = 40
};

static const struct append_rules plain_rules = {.max_message_bytes = 100000,
        .before_max_ms = INT64_MAX,
        .after_max_ms = 3600000,
        .codec = APPEND_KEEP_CODEC};

/* RECORDS records with keys, values, headers and odd times, in that compression. */
static void build(struct buf *out, enum batch_codec codec)
{
    struct batch_build_options o = {.producer_id = 4711,
            .producer_epoch = 3,
            .base_sequence = 17,
            .attributes = BATCH_TRANSACTIONAL};
    struct batch_builder bb = {0};
    struct buf packed = {0};

    for (int i = 0; i < RECORDS; i++) {
        static const char value[] = "a value that repeats itself, itself, itself, itself";
        struct record_header h = {.name = {.at = (const uint8_t *)"name", .size = 4}};
        struct record r = {.timestamp = NOW - 100 + i * 37 % 50,
                .key = {.at = (const uint8_t *)value, .size = (size_t)i},
                .value = {.at = (const uint8_t *)value, .size = sizeof(value)},
                .n_headers = i % 2};

        batch_builder_add(&bb, &r, &h);
    }
    CHECK_EQ(compress_bytes(codec, 0,
                     (struct bytes){.at = bb.records.data, .size = bb.records.size}, &packed),
            0);
    buf_clear(out);
    batch_builder_finish(
            &bb, &o, codec, (struct bytes){.at = packed.data, .size = packed.size}, out);
    buf_deinit(&packed);
    batch_builder_deinit(&bb);
}

static struct bytes bytes_of(const struct buf *b)
{
    return (struct bytes){.at = b->data, .size = b->size};
}

static void check(struct append_check *c,
        const struct append_rules *rules,
        const struct buf *batch,
        struct arena *arena)
{
    append_check_begin(c, rules, NOW, bytes_of(batch), arena);
    append_check_end(c, arena);
}

static void plain_of(const struct batch *b, struct buf *ret)
{
    struct bytes plain;

    CHECK_EQ(batch_plain_records(b, 1 << 20, ret, &plain), 0);
    if (plain.at != ret->data) {
        buf_clear(ret);
        buf_append(ret, plain.at, plain.size);
    }
}

/* Every codec into every codec: the records and everything of the header but length, codec and checksum are kept. */
static void a_batch_is_stored_in_the_topics_codec(void) /* [LOG-106] */
{
    for (int from = CODEC_NONE; from <= CODEC_ZSTD; from++) {
        for (int to = CODEC_NONE; to <= CODEC_ZSTD; to++) {
            struct append_rules rules = plain_rules;
            struct append_check c;
            struct arena arena;
            struct buf batch = {0};
            struct buf before = {0};
            struct buf after = {0};
            struct batch b;

            arena_init(&arena, 0);
            rules.codec = to;
            build(&batch, (enum batch_codec)from);
            check(&c, &rules, &batch, &arena);
            CHECK_EQ(c.error, ERRCODE_NONE);
            CHECK_EQ(c.recoded.size > 0, from != to);
            CHECK_EQ(batch_codec(&c.batch), to);
            CHECK(batch_crc_is_right(&c.batch));
            CHECK_EQ(batch_validate_produced(c.batch.bytes, c.batch.size, &b), 0);
            CHECK_EQ(b.producer_id, 4711);
            CHECK_EQ(b.producer_epoch, 3);
            CHECK_EQ(b.base_sequence, 17);
            CHECK_EQ(b.n_records, RECORDS);
            CHECK_EQ(b.attributes, BATCH_TRANSACTIONAL | to);
            CHECK_EQ(batch_parse(batch.data, batch.size, &b), 0);
            CHECK_EQ(c.batch.max_timestamp, b.max_timestamp);
            CHECK_EQ(c.batch.base_timestamp, b.base_timestamp);
            plain_of(&b, &before);
            plain_of(&c.batch, &after);
            CHECK_EQ(before.size, after.size);
            CHECK_MEM(before.data, after.data, before.size);
            buf_deinit(&before);
            buf_deinit(&after);
            buf_deinit(&batch);
            append_check_deinit(&c);
            arena_deinit(&arena);
        }
    }
}

static void only_what_must_be_unpacked_is_work_for_the_pool(void) /* [LOG-108] */
{
    struct append_rules rules = plain_rules;
    struct append_check c;
    struct arena arena;
    struct buf batch = {0};

    arena_init(&arena, 0);
    build(&batch, CODEC_ZSTD);
    append_check_begin(&c, &rules, NOW, bytes_of(&batch), &arena);
    CHECK(!append_check_is_long(&c));
    rules.before_max_ms = 1000;
    append_check_begin(&c, &rules, NOW, bytes_of(&batch), &arena);
    CHECK(append_check_is_long(&c));
    build(&batch, CODEC_NONE);
    append_check_begin(&c, &rules, NOW, bytes_of(&batch), &arena);
    CHECK(!append_check_is_long(&c));
    rules.codec = CODEC_GZIP;
    append_check_begin(&c, &rules, NOW, bytes_of(&batch), &arena);
    CHECK(append_check_is_long(&c));
    batch.data[70] ^= 1;
    append_check_begin(&c, &rules, NOW, bytes_of(&batch), &arena);
    CHECK(!append_check_is_long(&c)); /* refused already */
    CHECK_EQ(c.error, ERRCODE_CORRUPT_MESSAGE);
    buf_deinit(&batch);
    arena_deinit(&arena);
}

/* One row: what a topic asks, what comes, and the answer. */
static void refusals_have_a_code_and_a_sentence(void) /* [LOG-101] [LOG-103] [LOG-104] [LOG-106] */
{
    struct append_rules rows[5];
    static const int errors[5] = {ERRCODE_INVALID_TIMESTAMP, ERRCODE_INVALID_TIMESTAMP,
            ERRCODE_INVALID_RECORD, ERRCODE_MESSAGE_TOO_LARGE, ERRCODE_MESSAGE_TOO_LARGE};
    static const char *const texts[5] = {"message.timestamp.before.max.ms of the topic allows 40",
            "message.timestamp.before.max.ms of the topic allows 60", "compacted",
            "max.message.bytes of the topic is 200", "uncompressed"};

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        rows[i] = plain_rules;
    }
    rows[0].before_max_ms = 40; /* even the largest is too old */
    rows[1].before_max_ms = 60; /* one of them is */
    rows[2].is_compacted = true;
    rows[3].max_message_bytes = 200;
    rows[4].codec = CODEC_NONE;
    rows[4].max_message_bytes = 1000;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct append_check c;
        struct arena arena;
        struct buf batch = {0};

        arena_init(&arena, 0);
        build(&batch, CODEC_ZSTD);
        if (i == 2) { /* the first record's key is empty, not null: made null here */
            struct batch_builder bb = {0};
            struct batch_build_options o = {.producer_id = -1};
            struct record r = {.timestamp = NOW};

            batch_builder_add(&bb, &r, NULL);
            buf_clear(&batch);
            batch_builder_finish(&bb, &o, CODEC_NONE, (struct bytes){0}, &batch);
            batch_builder_deinit(&bb);
        }
        check(&c, &rows[i], &batch, &arena);
        CHECK_EQ(c.error, errors[i]);
        if (strstr(c.detail, texts[i]) == NULL) {
            check_fail(__FILE__, __LINE__, "%s: %s", texts[i], c.detail);
        }
        buf_deinit(&batch);
        append_check_deinit(&c);
        arena_deinit(&arena);
    }
}

/* The checksum is right over a payload that is not the codec's, or unpacks to something else. */
static void what_cannot_be_unpacked_is_an_invalid_record(void) /* [LOG-105] */
{
    for (int codec = CODEC_GZIP; codec <= CODEC_ZSTD; codec++) {
        for (int kind = 0; kind < 2; kind++) {
            struct append_rules rules = plain_rules;
            struct append_check c;
            struct arena arena;
            struct buf packed = {0};
            struct buf batch = {0};
            struct batch_builder bb = {0};
            struct batch_build_options o = {.producer_id = -1};
            struct record r = {.timestamp = NOW};
            struct bytes junk = {.at = (const uint8_t *)"these are no records", .size = 20};

            arena_init(&arena, 0);
            rules.codec = CODEC_NONE;
            batch_builder_add(&bb, &r, NULL);
            if (kind == 0) {
                buf_append(&packed, junk.at, junk.size);
            } else {
                CHECK_EQ(compress_bytes((enum batch_codec)codec, 0, junk, &packed), 0);
            }
            batch_builder_finish(&bb, &o, (enum batch_codec)codec, bytes_of(&packed), &batch);
            check(&c, &rules, &batch, &arena);
            CHECK_EQ(c.error, ERRCODE_INVALID_RECORD);
            CHECK_EQ(c.recoded.size, 0);
            rules.codec = APPEND_KEEP_CODEC; /* nobody has to look */
            check(&c, &rules, &batch, &arena);
            CHECK_EQ(c.error, ERRCODE_NONE);
            buf_deinit(&packed);
            buf_deinit(&batch);
            batch_builder_deinit(&bb);
            append_check_deinit(&c);
            arena_deinit(&arena);
        }
    }
}

/* [LOG-106] A header may say a largest timestamp that none of its records has. */
static void a_batch_written_anew_has_the_largest_timestamp_of_its_records(void)
{
    struct append_rules rules = plain_rules;
    struct append_check c;
    struct arena arena;
    struct buf batch = {0};
    struct batch b;

    arena_init(&arena, 0);
    rules.codec = CODEC_LZ4;
    build(&batch, CODEC_NONE);
    CHECK_EQ(batch_parse(batch.data, batch.size, &b), 0);
    wall_ms largest = b.max_timestamp;
    batch_recode_header(&b, CODEC_NONE, NOW - 1000, batch.data, batch.size);
    check(&c, &rules, &batch, &arena);
    CHECK_EQ(c.error, ERRCODE_NONE);
    CHECK_EQ(c.batch.max_timestamp, largest);
    append_check_deinit(&c);
    buf_deinit(&batch);
    arena_deinit(&arena);
}

/* The rules of a topic with those two configurations. */
static struct append_rules rules_of_topic(
        const char *name, const char *k1, const char *v1, const char *k2, const char *v2)
{
    struct meta_config_pair pairs[2] = {{k1, v1}, {k2, v2}};
    struct image *image = image_new();
    struct meta_record r = {.seq = 1, .kind = META_CREATE_TOPIC};

    r.why.actor = r.why.reason = r.why.inputs = "";
    r.create_topic.id = (struct uuid){{1}};
    r.create_topic.name = name;
    r.create_topic.n_partitions = 1;
    r.create_topic.replication_factor = 1;
    r.create_topic.configs = pairs;
    r.create_topic.n_configs = 2;
    CHECK_EQ(image_apply(image, 1, &r), 0);
    struct topic_settings s =
            topic_settings_of(image, image_topic_by_id(image, &r.create_topic.id));
    (void)image_free(image);
    return s.append;
}

static struct append_rules rules_of(const char *k1, const char *v1, const char *k2, const char *v2)
{
    return rules_of_topic("t", k1, v1, k2, v2);
}

static void the_clusters_own_topics_take_any_time(void) /* [LOG-101] */
{
    struct append_rules rules = rules_of_topic("__weir_decisions", "message.timestamp.after.max.ms",
            "1s", "message.timestamp.before.max.ms", "1s");

    CHECK_EQ(rules.after_max_ms, INT64_MAX);
    CHECK_EQ(rules.before_max_ms, INT64_MAX);
}

static void a_topics_configuration_becomes_its_rules(void) /* [LOG-106] [LOG-107] */
{
    static const struct {
        const char *type, *level_key, *level;
        int codec, level_there;
    } rows[] = {
            {"producer", "compression.zstd.level", "9", APPEND_KEEP_CODEC, 0},
            {"uncompressed", "compression.zstd.level", "9", CODEC_NONE, 0},
            {"gzip", "compression.gzip.level", "-1", CODEC_GZIP, 0},
            {"gzip", "compression.gzip.level", "9", CODEC_GZIP, 9},
            {"snappy", "compression.gzip.level", "9", CODEC_SNAPPY, 0},
            {"lz4", "compression.lz4.level", "9", CODEC_LZ4, 0},
            {"lz4", "compression.lz4.level", "3", CODEC_LZ4, 3},
            {"lz4", "compression.lz4.level", "12", CODEC_LZ4, 12},
            {"zstd", "compression.gzip.level", "9", CODEC_ZSTD, 3},
            {"zstd", "compression.zstd.level", "-5", CODEC_ZSTD, -5},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct append_rules rules =
                rules_of("compression.type", rows[i].type, rows[i].level_key, rows[i].level);

        CHECK_EQ(rules.codec, rows[i].codec);
        CHECK_EQ(rules.level, rows[i].level_there);
        CHECK_EQ(rules.after_max_ms, 3600000);
        CHECK_EQ(rules.before_max_ms, INT64_MAX);
    }
    CHECK_EQ(rules_of("message.timestamp.after.max.ms", "2h", "message.timestamp.before.max.ms",
                     "1d")
                     .after_max_ms,
            7200000);
}

static const struct check_case cases[] = {
        CASE(a_batch_is_stored_in_the_topics_codec),
        CASE(only_what_must_be_unpacked_is_work_for_the_pool),
        CASE(refusals_have_a_code_and_a_sentence),
        CASE(what_cannot_be_unpacked_is_an_invalid_record),
        CASE(a_topics_configuration_becomes_its_rules),
        CASE(the_clusters_own_topics_take_any_time),
        CASE(a_batch_written_anew_has_the_largest_timestamp_of_its_records),
};

CHECK_MAIN("append_check", cases)
