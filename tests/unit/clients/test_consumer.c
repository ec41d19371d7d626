/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/array.h"
#include "common/base/bytes.h"
#include "common/base/mem.h"
#include "common/compress/compress.h"
#include "common/domain/errcode.h"
#include "common/domain/record_batch.h"
#include "tests/unit/clients/fixture.h"

#include <stdio.h>

#define PAIRS(...) ((const char *const[]){__VA_ARGS__, NULL})

struct rig {
    struct mock *mock;
    struct weir_client *client;
    struct weir_consumer *consumer;
    struct buf got; /* "value@offset " of what was consumed */
};

static void rig_up(struct rig *r, int n_brokers, int32_t n_partitions, const char *const *pairs)
{
    *r = (struct rig){.mock = mock_new("127.0.0.1", n_brokers)};
    mock_add_topic(r->mock, "t", n_partitions);
    r->client = client_for(mock_bootstrap(r->mock), pairs);
    CHECK_EQ(weir_consumer_new(r->client, &r->consumer, NULL), 0);
}

static void rig_down(struct rig *r)
{
    weir_consumer_free(r->consumer);
    CHECK_EQ(weir_client_close(r->client, 0), 0);
    mock_free(r->mock);
    buf_deinit(&r->got);
}

/* A batch of records `from` … `from + n - 1`, as text, with timestamps 1000 x their number. */
static void make_batch(enum batch_codec codec, int from, int n, struct buf *ret)
{
    struct batch_builder bb = {0};
    struct batch_build_options opt = {.producer_id = -1, .producer_epoch = -1, .base_sequence = -1};
    struct buf packed = {0};
    char text[16];

    for (int i = from; i < from + n; i++) {
        snprintf(text, sizeof(text), "%d", i);
        struct record record = {.timestamp = i * 1000,
                .value = {.at = (const uint8_t *)text, .size = strlen(text)},
                .n_headers = i % 2};
        struct record_header header = {.name = {.at = (const uint8_t *)"h", .size = 1},
                .value = {.at = (const uint8_t *)text, .size = strlen(text)}};
        batch_builder_add(&bb, &record, &header);
    }
    if (codec != CODEC_NONE) {
        CHECK_EQ(
                compress_bytes(codec, 0, (struct bytes){bb.records.data, bb.records.size}, &packed),
                0);
    }
    batch_builder_finish(&bb, &opt, codec, (struct bytes){packed.data, packed.size}, ret);
    buf_deinit(&packed);
    batch_builder_deinit(&bb);
}

static void append_batch(struct rig *r, int32_t partition, enum batch_codec codec, int from, int n)
{
    struct buf b = {0};

    make_batch(codec, from, n, &b);
    mock_append(r->mock, "t", partition, b.data, b.size);
    buf_deinit(&b);
}

/* Takes messages until `n` came (5 s at most); false when an error came, which is in `*ret`. */
static bool take(struct rig *r, size_t n, struct weir_batch **ret)
{
    size_t have = 0;
    int64_t deadline = check_now_ms() + 5000;

    while (have < n && check_now_ms() < deadline) {
        struct weir_batch *b = weir_consumer_poll(r->consumer, 100);
        if (b != NULL && weir_batch_error(b)->code != 0) {
            if (ret == NULL) {
                check_fail(__FILE__, __LINE__, "%s", weir_batch_error(b)->text);
            }
            *ret = b;
            return false;
        }
        for (size_t i = 0; b != NULL && i < weir_batch_n(b); i++) {
            const struct weir_message *m = &weir_batch_messages(b)[i];
            buf_append(&r->got, m->value.at, m->value.size);
            buf_append_format(&r->got, "@%lld ", (long long)m->offset);
            have++;
        }
        weir_batch_free(b);
    }
    CHECK_EQ(have, n);
    return true;
}

static void compressed_batches_are_read(void)
{
    struct rig r;

    rig_up(&r, 1, 1, NULL);
    for (int codec = CODEC_NONE; codec <= CODEC_ZSTD; codec++) {
        append_batch(&r, 0, (enum batch_codec)codec, codec * 2, 2);
    }
    CHECK_EQ(weir_consumer_assign(r.consumer, "t", 0, WEIR_SEEK_START, NULL), 0);
    CHECK(take(&r, 10, NULL));
    CHECK_STR(buf_str(&r.got), "0@0 1@1 2@2 3@3 4@4 5@5 6@6 7@7 8@8 9@9 ");
    CHECK_EQ(weir_consumer_position(r.consumer, "t", 0), 10);
    CHECK_EQ(weir_consumer_high_watermark(r.consumer, "t", 0), 10);
    CHECK_WITHIN(5000, weir_consumer_is_at_end(r.consumer));
    rig_down(&r);
}

static void messages_have_headers_and_outlive_the_client(void)
{
    struct rig r;
    struct weir_batch *b = NULL;
    struct weir_header h;

    rig_up(&r, 1, 1, NULL);
    append_batch(&r, 0, CODEC_NONE, 0, 4);
    CHECK_EQ(weir_consumer_assign(r.consumer, "t", 0, 0, NULL), 0);
    CHECK_WITHIN(5000, (b = weir_consumer_poll(r.consumer, 100)) != NULL);
    rig_down(&r);
    CHECK_EQ(weir_batch_n(b), 4);
    CHECK_STR(weir_batch_topic(b), "t");
    const struct weir_message *m = &weir_batch_messages(b)[3];
    CHECK_EQ(m->timestamp, 3000);
    CHECK(m->key.at == NULL);
    CHECK_EQ(m->n_headers, 1);
    CHECK(weir_batch_header(b, 3, 0, &h));
    CHECK_STR(h.name, "h");
    CHECK_MEM(h.value.at, "3", 1);
    CHECK(!weir_batch_header(b, 3, 1, &h));
    CHECK(!weir_batch_header(b, 2, 0, &h));
    CHECK_EQ(weir_batch_begin(b), 0);
    CHECK_EQ(weir_batch_end(b), 4);
    weir_batch_free(b);
}

static void an_offset_inside_a_batch_skips_what_is_older(void)
{
    struct rig r;

    rig_up(&r, 1, 1, NULL);
    append_batch(&r, 0, CODEC_LZ4, 0, 10);
    append_batch(&r, 0, CODEC_NONE, 10, 10);
    CHECK_EQ(weir_consumer_assign(r.consumer, "t", 0, 7, NULL), 0);
    CHECK(take(&r, 13, NULL));
    CHECK(strncmp(buf_str(&r.got), "7@7 8@8 ", 8) == 0);
    rig_down(&r);
}

static void seeking_by_start_end_and_time(void)
{
    struct rig r;

    rig_up(&r, 1, 1, NULL);
    append_batch(&r, 0, CODEC_NONE, 0, 10);
    CHECK_EQ(weir_consumer_assign(r.consumer, "t", 0, WEIR_SEEK_END, NULL), 0);
    CHECK_WITHIN(5000, weir_consumer_position(r.consumer, "t", 0) == 10);
    append_batch(&r, 0, CODEC_NONE, 10, 1);
    CHECK(take(&r, 1, NULL));
    CHECK_EQ(weir_consumer_seek_time(r.consumer, "t", 0, 7500), 0);
    CHECK(take(&r, 3, NULL));
    CHECK_EQ(weir_consumer_seek(r.consumer, "t", 0, WEIR_SEEK_START), 0);
    CHECK(take(&r, 11, NULL));
    CHECK(strncmp(buf_str(&r.got), "10@10 8@8 9@9 10@10 0@0 1@1 ", 28) == 0);
    CHECK_EQ(
            weir_consumer_seek_time(r.consumer, "t", 0, 99999999), 0); /* later than all: the end */
    CHECK_WITHIN(5000, weir_consumer_position(r.consumer, "t", 0) == 11);
    rig_down(&r);
}

static void a_seek_drops_what_was_fetched(void)
{
    struct rig r;

    rig_up(&r, 1, 1, NULL);
    for (int i = 0; i < 20; i++) {
        append_batch(&r, 0, CODEC_NONE, i * 10, 10);
    }
    CHECK_EQ(weir_consumer_assign(r.consumer, "t", 0, 0, NULL), 0);
    CHECK(take(&r, 10, NULL));
    CHECK_EQ(weir_consumer_seek(r.consumer, "t", 0, 195), 0);
    buf_clear(&r.got);
    CHECK(take(&r, 5, NULL));
    CHECK_STR(buf_str(&r.got), "195@195 196@196 197@197 198@198 199@199 ");
    rig_down(&r);
}

static void a_long_poll_brings_what_is_new(void)
{
    struct rig r;

    rig_up(&r, 1, 1, PAIRS("fetch.max.wait.ms=60s"));
    CHECK_EQ(weir_consumer_assign(r.consumer, "t", 0, 0, NULL), 0);
    CHECK_WITHIN(5000, mock_n_requests(r.mock, API_FETCH) == 1);
    CHECK(weir_consumer_poll(r.consumer, 20) == NULL);
    append_batch(&r, 0, CODEC_NONE, 0, 3);
    CHECK(take(&r, 3, NULL));
    /* Sought while the next long poll waits: a second request goes out. */
    CHECK_EQ(weir_consumer_seek(r.consumer, "t", 0, 1), 0);
    CHECK(take(&r, 2, NULL));
    CHECK_STR(buf_str(&r.got), "0@0 1@1 2@2 1@1 2@2 ");
    rig_down(&r);
}

static void a_corrupt_batch_is_an_error_and_can_be_stepped_over(void)
{
    struct rig r;
    struct weir_batch *b = NULL;
    struct buf bytes = {0};

    rig_up(&r, 1, 2, NULL);
    append_batch(&r, 0, CODEC_NONE, 0, 2);
    make_batch(CODEC_NONE, 2, 3, &bytes);
    bytes.data[bytes.size - 1] ^= 1;
    mock_append(r.mock, "t", 0, bytes.data, bytes.size);
    append_batch(&r, 0, CODEC_NONE, 5, 1);
    append_batch(&r, 1, CODEC_NONE, 100, 1);
    CHECK_EQ(weir_consumer_assign(r.consumer, "t", 0, 0, NULL), 0);
    CHECK(!take(&r, 6, &b));
    CHECK_EQ(weir_batch_error(b)->code, WEIR_E_CORRUPT);
    CHECK_EQ(weir_batch_partition(b), 0);
    CHECK_EQ(weir_batch_begin(b), 2);
    CHECK_EQ(weir_batch_end(b), 5);
    CHECK_EQ(weir_batch_n(b), 0);
    CHECK_EQ(weir_consumer_assign(r.consumer, "t", 1, 0, NULL), 0); /* others go on */
    CHECK(take(&r, 1, NULL));
    CHECK_EQ(weir_consumer_seek(r.consumer, "t", 0, weir_batch_end(b)), 0);
    CHECK(take(&r, 1, NULL));
    CHECK_STR(buf_str(&r.got), "0@0 1@1 100@0 5@5 ");
    weir_batch_free(b);
    buf_deinit(&bytes);
    rig_down(&r);
}

/* A batch whose records decompress to `size` zeros. */
static void make_bomb(size_t size, struct buf *ret)
{
    uint8_t *zeros = mem_alloc(size);
    struct buf packed = {0};
    struct batch_builder bb = {.n_records = 1};
    struct batch_build_options opt = {.producer_id = -1, .producer_epoch = -1, .base_sequence = -1};

    CHECK_EQ(compress_bytes(CODEC_ZSTD, 0, (struct bytes){zeros, size}, &packed), 0);
    batch_builder_finish(&bb, &opt, CODEC_ZSTD, (struct bytes){packed.data, packed.size}, ret);
    buf_deinit(&packed);
    mem_free(zeros);
}

static void a_bomb_is_an_error(void)
{
    struct rig r;
    struct weir_batch *b = NULL;
    struct buf bytes = {0};

    rig_up(&r, 1, 1, PAIRS("weir.decompress.max.bytes=1MiB"));
    make_bomb(8 << 20, &bytes);
    CHECK(bytes.size < 16384);
    mock_append(r.mock, "t", 0, bytes.data, bytes.size);
    append_batch(&r, 0, CODEC_GZIP, 1, 1);
    CHECK_EQ(weir_consumer_assign(r.consumer, "t", 0, 0, NULL), 0);
    CHECK(!take(&r, 1, &b));
    CHECK_EQ(weir_batch_error(b)->code, WEIR_E_LIMIT);
    CHECK_EQ(weir_consumer_seek(r.consumer, "t", 0, weir_batch_end(b)), 0);
    CHECK(take(&r, 1, NULL));
    weir_batch_free(b);
    buf_deinit(&bytes);
    rig_down(&r);
}

static void compressed_nonsense_is_an_error(void)
{
    struct rig r;
    struct weir_batch *b = NULL;
    struct buf bytes = {0};

    rig_up(&r, 1, 1, NULL);
    make_bomb(1 << 16, &bytes); /* zeros are no records, and more than the one that is promised */
    mock_append(r.mock, "t", 0, bytes.data, bytes.size);
    CHECK_EQ(weir_consumer_assign(r.consumer, "t", 0, 0, NULL), 0);
    CHECK(!take(&r, 1, &b));
    CHECK_EQ(weir_batch_error(b)->code, WEIR_E_CORRUPT);
    weir_batch_free(b);
    buf_deinit(&bytes);
    rig_down(&r);
}

static void offsets_outside_the_log_follow_auto_offset_reset(void)
{
    static const struct {
        const char *reset;
        const char *got; /* NULL: an error */
    } rows[] = {
            {"auto.offset.reset=earliest", "3@3 4@4 "},
            {"auto.offset.reset=latest", "5@5 6@6 "},
            {"auto.offset.reset=none", NULL},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct rig r;
        struct weir_batch *b = NULL;
        rig_up(&r, 1, 1, PAIRS(rows[i].reset));
        append_batch(&r, 0, CODEC_NONE, 0, 3);
        append_batch(&r, 0, CODEC_NONE, 3, 2);
        mock_set_start(r.mock, "t", 0, 3);
        CHECK_EQ(weir_consumer_assign(r.consumer, "t", 0, 1, NULL), 0);
        CHECK_WITHIN(5000, mock_n_requests(r.mock, API_FETCH) >= (rows[i].got != NULL ? 2 : 1));
        append_batch(&r, 0, CODEC_NONE, 5, 2);
        bool is_good = take(&r, rows[i].got != NULL ? 2 : 1, &b);
        CHECK_EQ(is_good, rows[i].got != NULL);
        if (is_good) {
            CHECK(strncmp(buf_str(&r.got), rows[i].got, strlen(rows[i].got)) == 0);
        } else {
            CHECK_EQ(weir_batch_error(b)->code, ERRCODE_OFFSET_OUT_OF_RANGE);
            CHECK_EQ(weir_batch_begin(b), 1);
        }
        weir_batch_free(b);
        rig_down(&r);
    }
}

static void leaders_and_connections_may_go(void)
{
    struct rig r;

    rig_up(&r, 2, 1, NULL);
    append_batch(&r, 0, CODEC_NONE, 0, 1);
    mock_script(r.mock, API_FETCH, MOCK_CLOSE_BEFORE, 0, 2);
    mock_script(r.mock, API_FETCH, MOCK_ERROR, ERRCODE_NOT_LEADER_OR_FOLLOWER, 1);
    CHECK_EQ(weir_consumer_assign(r.consumer, "t", 0, 0, NULL), 0);
    CHECK(take(&r, 1, NULL));
    mock_move_leader(r.mock, "t", 0, 1);
    append_batch(&r, 0, CODEC_NONE, 1, 1);
    CHECK(take(&r, 1, NULL));
    mock_stop(r.mock, 1);
    append_batch(&r, 0, CODEC_NONE, 2, 1);
    mock_start(r.mock, 1);
    CHECK(take(&r, 1, NULL));
    mock_script(r.mock, API_FETCH, MOCK_GARBAGE, 0, 1);
    append_batch(&r, 0, CODEC_NONE, 3, 1);
    CHECK(take(&r, 1, NULL));
    CHECK_STR(buf_str(&r.got), "0@0 1@1 2@2 3@3 ");
    rig_down(&r);
}

static void a_paused_partition_is_silent_until_resumed(void)
{
    struct rig r;

    rig_up(&r, 1, 2, NULL);
    append_batch(&r, 0, CODEC_NONE, 0, 1);
    append_batch(&r, 1, CODEC_NONE, 100, 1);
    CHECK_EQ(weir_consumer_assign(r.consumer, "t", 0, 0, NULL), 0);
    CHECK_EQ(weir_consumer_pause(r.consumer, "t", 0), 0);
    CHECK_EQ(weir_consumer_assign(r.consumer, "t", 1, 0, NULL), 0);
    CHECK(take(&r, 1, NULL));
    CHECK(weir_consumer_poll(r.consumer, 50) == NULL);
    CHECK_EQ(weir_consumer_resume(r.consumer, "t", 0), 0);
    CHECK(take(&r, 1, NULL));
    CHECK_STR(buf_str(&r.got), "100@0 0@0 ");
    CHECK_EQ(weir_consumer_unassign(r.consumer, "t", 0), 0);
    CHECK_EQ(weir_consumer_unassign(r.consumer, "t", 0), WEIR_E_NOT_ASSIGNED);
    CHECK_EQ(weir_consumer_pause(r.consumer, "nowhere", 0), WEIR_E_NOT_ASSIGNED);
    CHECK_EQ(weir_consumer_position(r.consumer, "t", 0), -1);
    rig_down(&r);
}

static void prefetching_stops_when_the_queue_is_full(void)
{
    struct rig r;

    rig_up(&r, 1, 1, PAIRS("weir.fetch.queue.bytes=4096", "max.partition.fetch.bytes=1024"));
    for (int i = 0; i < 500; i++) {
        append_batch(&r, 0, CODEC_NONE, i * 10, 10);
    }
    CHECK_EQ(weir_consumer_assign(r.consumer, "t", 0, 0, NULL), 0);
    CHECK_WITHIN(5000, mock_n_requests(r.mock, API_FETCH) == 3);
    struct weir_metadata *m = NULL; /* a way there and back, in which nothing more is fetched */
    CHECK_EQ(weir_metadata_get(r.client, NULL, 0, 5000, &m, NULL), 0);
    weir_metadata_free(m);
    CHECK_EQ(mock_n_requests(r.mock, API_FETCH), 3);
    CHECK(!weir_consumer_is_at_end(r.consumer));
    CHECK(take(&r, 5000, NULL));
    CHECK(mock_n_requests(r.mock, API_FETCH) > 100);
    rig_down(&r);
}

static void partitions_take_turns(void)
{
    struct rig r;

    rig_up(&r, 2, 4, PAIRS("max.partition.fetch.bytes=1024"));
    for (int i = 0; i < 40; i++) {
        for (int32_t p = 0; p < 4; p++) {
            append_batch(&r, p, CODEC_NONE, i * 10, 10);
        }
    }
    for (int32_t p = 0; p < 4; p++) {
        CHECK_EQ(weir_consumer_assign(r.consumer, "t", p, WEIR_SEEK_START, NULL), 0);
    }
    CHECK(take(&r, 1600, NULL));
    for (int32_t p = 0; p < 4; p++) {
        CHECK_EQ(weir_consumer_position(r.consumer, "t", p), 400);
    }
    rig_down(&r);
}

static void on_batch(void *ctx, struct weir_consumer *consumer, struct weir_batch *batch)
{
    unsigned *n = ctx;

    (void)consumer;
    *n += (unsigned)weir_batch_n(batch);
    weir_batch_free(batch);
}

static void a_callback_gets_the_batches_inside_weir_poll(void)
{
    struct rig r;
    unsigned n = 0;

    rig_up(&r, 1, 1, NULL);
    weir_consumer_set_callback(r.consumer, on_batch, &n);
    append_batch(&r, 0, CODEC_NONE, 0, 7);
    append_batch(&r, 0, CODEC_NONE, 7, 7);
    CHECK_EQ(weir_consumer_assign(r.consumer, "t", 0, 0, NULL), 0);
    CHECK_WITHIN(5000, mock_n_requests(r.mock, API_FETCH) >= 2);
    CHECK_EQ(n, 0);
    CHECK_WITHIN(5000, weir_poll(r.client, 100) >= 0 && n == 14);
    CHECK(weir_consumer_poll(r.consumer, 0) == NULL);
    rig_down(&r);
}

static void what_does_not_exist_is_said(void)
{
    struct rig r;
    struct weir_batch *b = NULL;

    rig_up(&r, 1, 1, NULL);
    CHECK_EQ(weir_consumer_assign(r.consumer, "nowhere", 0, 0, NULL), 0);
    CHECK(!take(&r, 1, &b));
    CHECK_EQ(weir_batch_error(b)->code, ERRCODE_UNKNOWN_TOPIC_OR_PARTITION);
    weir_batch_free(b);
    b = NULL;
    CHECK_EQ(weir_consumer_assign(r.consumer, "t", 9, 0, NULL), 0);
    CHECK(!take(&r, 1, &b));
    CHECK_EQ(weir_batch_error(b)->code, ERRCODE_UNKNOWN_TOPIC_OR_PARTITION);
    CHECK_STR(weir_batch_topic(b), "t");
    weir_batch_free(b);
    CHECK_EQ(weir_consumer_assign(r.consumer, "t", -1, 0, NULL), WEIR_E_ARGUMENT);
    CHECK_EQ(weir_consumer_assign(r.consumer, "a/b", 0, 0, NULL), WEIR_E_ARGUMENT);
    rig_down(&r);
}

static void what_a_producer_wrote_is_consumed(void)
{
    struct rig r;

    rig_up(&r, 1, 1, PAIRS("compression.type=lz4"));
    struct weir_topic *t = weir_topic_get(r.client, "t", NULL);
    struct weir_record record = WEIR_RECORD_INIT;
    struct weir_header header = {"name", {NULL, 0}};
    struct weir_header got;
    struct weir_batch *b = NULL;
    record.key = (struct weir_bytes){"k\0k", 3};
    record.headers = &header;
    record.n_headers = 1;
    CHECK_EQ(weir_produce_sync(r.client, t, &record, NULL, NULL), 0);
    CHECK_EQ(weir_consumer_assign(r.consumer, "t", 0, 0, NULL), 0);
    CHECK_WITHIN(5000, (b = weir_consumer_poll(r.consumer, 100)) != NULL);
    const struct weir_message *m = weir_batch_messages(b);
    CHECK_EQ(m->key.size, 3);
    CHECK_MEM(m->key.at, "k\0k", 3);
    CHECK(m->value.at == NULL);
    CHECK(weir_batch_header(b, 0, 0, &got));
    CHECK_STR(got.name, "name");
    CHECK(got.value.at == NULL);
    weir_batch_free(b);
    rig_down(&r);
}

/* Six records are read; then a broker leads that has the first three only, and writes two others. */
static void lose_records(struct rig *r, const char *const *pairs)
{
    rig_up(r, 1, 1, pairs);
    append_batch(r, 0, CODEC_NONE, 0, 3);
    append_batch(r, 0, CODEC_NONE, 3, 3);
    CHECK_EQ(weir_consumer_assign(r->consumer, "t", 0, 0, NULL), 0);
    CHECK(take(r, 6, NULL));
    mock_cut(r->mock, "t", 0, 3);
    append_batch(r, 0, CODEC_NONE, 100, 2);
}

/* [FET-33] */
static void lost_records_that_were_read_are_an_error_without_a_policy(void)
{
    struct rig r;
    struct weir_batch *b = NULL;

    lose_records(&r, PAIRS("auto.offset.reset=none"));
    CHECK(!take(&r, 1, &b));
    CHECK_EQ(weir_batch_error(b)->code, WEIR_E_TRUNCATED);
    CHECK(strstr(weir_batch_error(b)->text, "t-0 was cut at offset 3:") != NULL);
    CHECK_EQ(weir_batch_begin(b), 6);
    CHECK_EQ(weir_batch_end(b), 3);
    CHECK(weir_consumer_poll(r.consumer, 50) == NULL); /* it rests */
    CHECK_EQ(weir_consumer_seek(r.consumer, "t", 0, weir_batch_end(b)), 0);
    weir_batch_free(b);
    CHECK(take(&r, 2, NULL));
    CHECK_STR(buf_str(&r.got), "0@0 1@1 2@2 3@3 4@4 5@5 100@3 101@4 ");
    rig_down(&r);
}

/* [FET-33] */
static void lost_records_that_were_read_are_told_and_reading_goes_on_at_the_cut(void)
{
    struct rig r;
    struct weir_batch *b = NULL;

    lose_records(&r, PAIRS("auto.offset.reset=latest"));
    CHECK(!take(&r, 1, &b));
    CHECK_EQ(weir_batch_error(b)->code, WEIR_E_TRUNCATED);
    CHECK_EQ(weir_batch_begin(b), 6);
    CHECK_EQ(weir_batch_end(b), 3);
    weir_batch_free(b);
    CHECK(take(&r, 2, NULL));
    CHECK_STR(buf_str(&r.got), "0@0 1@1 2@2 3@3 4@4 5@5 100@3 101@4 ");
    CHECK_EQ(weir_consumer_position(r.consumer, "t", 0), 5);
    rig_down(&r);
}

/* [FET-33] What is left begins above the cut. */
static void a_cut_below_the_log_is_told_before_the_policy_is_followed(void)
{
    struct rig r;
    struct weir_batch *b = NULL;

    lose_records(&r, PAIRS("auto.offset.reset=earliest", "fetch.max.wait.ms=500"));
    mock_set_start(r.mock, "t", 0, 4);
    append_batch(&r, 0, CODEC_NONE, 102, 1);
    CHECK(!take(&r, 1, &b));
    CHECK_EQ(weir_batch_error(b)->code, WEIR_E_TRUNCATED);
    weir_batch_free(b);
    CHECK(take(&r, 2, NULL));
    CHECK_STR(buf_str(&r.got), "0@0 1@1 2@2 3@3 4@4 5@5 101@4 102@5 ");
    rig_down(&r);
}

/* [FET-31] [FET-33] What was read in another life of the application, whose position it kept. */
static void position_that_was_kept_with_its_epoch_is_compared(void)
{
    for (int is_known = 0; is_known < 2; is_known++) {
        struct rig r;
        struct weir_batch *b = NULL;

        rig_up(&r, 1, 1, PAIRS("auto.offset.reset=none"));
        append_batch(&r, 0, CODEC_NONE, 0, 6);
        CHECK_EQ(weir_consumer_assign(r.consumer, "t", 0, 0, NULL), 0);
        CHECK_WITHIN(5000, (b = weir_consumer_poll(r.consumer, 100)) != NULL);
        int32_t epoch = weir_batch_leader_epoch(b);
        int64_t end = weir_batch_end(b);
        weir_batch_free(b);
        CHECK_EQ(weir_consumer_unassign(r.consumer, "t", 0), 0);
        mock_cut(r.mock, "t", 0, 0);
        append_batch(&r, 0, CODEC_NONE, 100, 8);
        CHECK_EQ(weir_consumer_assign(r.consumer, "t", 0, 0, NULL), 0);
        CHECK_EQ(weir_consumer_seek_epoch(r.consumer, "t", 0, end, is_known == 1 ? epoch : -1), 0);
        if (is_known == 1) {
            CHECK(!take(&r, 1, &b));
            CHECK_EQ(weir_batch_error(b)->code, WEIR_E_TRUNCATED);
            CHECK_EQ(weir_batch_begin(b), 6);
            CHECK_EQ(weir_batch_end(b), 0);
            CHECK_EQ(weir_batch_leader_epoch(b), -1);
            weir_batch_free(b);
        } else { /* nobody can tell */
            CHECK(take(&r, 2, NULL));
            CHECK_STR(buf_str(&r.got), "106@6 107@7 ");
        }
        rig_down(&r);
    }
}

/* [FET-31] */
static void position_whose_epoch_is_still_there_goes_on(void)
{
    struct rig r;
    struct weir_batch *b = NULL;

    rig_up(&r, 1, 1, PAIRS("auto.offset.reset=none"));
    append_batch(&r, 0, CODEC_NONE, 0, 3);
    mock_cut(r.mock, "t", 0, 3); /* nothing is lost, another epoch begins */
    append_batch(&r, 0, CODEC_NONE, 3, 3);
    CHECK_EQ(weir_consumer_assign(r.consumer, "t", 0, 0, NULL), 0);
    CHECK_WITHIN(5000, (b = weir_consumer_poll(r.consumer, 100)) != NULL);
    CHECK_EQ(weir_consumer_seek_epoch(
                     r.consumer, "t", 0, weir_batch_end(b), weir_batch_leader_epoch(b)),
            0);
    CHECK(take(&r, 3, NULL));
    CHECK_STR(buf_str(&r.got), "3@3 4@4 5@5 ");
    CHECK_EQ(weir_consumer_seek_epoch(r.consumer, "t", 0, 0, weir_batch_leader_epoch(b)), 0);
    CHECK(take(&r, 6, NULL));
    CHECK_EQ(weir_consumer_seek_epoch(r.consumer, "t", 0, -1, 1), WEIR_E_ARGUMENT);
    CHECK_EQ(weir_consumer_seek_epoch(r.consumer, "t", 0, 1, -2), WEIR_E_ARGUMENT);
    CHECK_EQ(weir_consumer_seek_epoch(r.consumer, "t", 9, 1, 1), WEIR_E_NOT_ASSIGNED);
    weir_batch_free(b);
    rig_down(&r);
}

/* [FET-32] */
static void lost_records_that_were_not_handed_out_are_not_missed(void)
{
    struct rig r;

    rig_up(&r, 1, 1, PAIRS("auto.offset.reset=none"));
    append_batch(&r, 0, CODEC_NONE, 0, 3);
    append_batch(&r, 0, CODEC_NONE, 3, 3);
    CHECK_EQ(weir_consumer_assign(r.consumer, "t", 0, 0, NULL), 0);
    CHECK(take(&r, 3, NULL));
    mock_cut(r.mock, "t", 0, 3);
    append_batch(&r, 0, CODEC_NONE, 100, 1);
    CHECK_WITHIN(5000, weir_consumer_high_watermark(r.consumer, "t", 0) == 4);
    CHECK(take(&r, 1, NULL));
    CHECK_STR(buf_str(&r.got), "0@0 1@1 2@2 100@3 ");
    rig_down(&r);
}

/* [FET-30] */
static void a_fetch_of_another_leader_epoch_asks_for_metadata_and_goes_on(void)
{
    struct rig r;

    rig_up(&r, 1, 1, PAIRS("auto.offset.reset=none"));
    append_batch(&r, 0, CODEC_NONE, 0, 1);
    CHECK_EQ(weir_consumer_assign(r.consumer, "t", 0, 0, NULL), 0);
    CHECK(take(&r, 1, NULL));
    mock_freeze_epochs(r.mock, true);
    mock_move_leader(r.mock, "t", 0, 0); /* the same, under a new epoch */
    append_batch(&r, 0, CODEC_NONE, 1, 1);
    unsigned n = mock_n_requests(r.mock, API_METADATA);
    CHECK_WITHIN(5000, mock_n_requests(r.mock, API_METADATA) >= n + 2);
    CHECK(weir_consumer_poll(r.consumer, 0) == NULL);
    mock_freeze_epochs(r.mock, false);
    CHECK(take(&r, 1, NULL));
    mock_script(r.mock, API_FETCH, MOCK_ERROR, ERRCODE_UNKNOWN_LEADER_EPOCH, 2);
    append_batch(&r, 0, CODEC_NONE, 2, 1);
    CHECK(take(&r, 1, NULL));
    CHECK_STR(buf_str(&r.got), "0@0 1@1 2@2 ");
    rig_down(&r);
}

static const struct check_case cases[] = {
        CASE(compressed_batches_are_read),
        CASE(messages_have_headers_and_outlive_the_client),
        CASE(an_offset_inside_a_batch_skips_what_is_older),
        CASE(seeking_by_start_end_and_time),
        CASE(a_seek_drops_what_was_fetched),
        CASE(a_long_poll_brings_what_is_new),
        CASE(a_corrupt_batch_is_an_error_and_can_be_stepped_over),
        CASE(a_bomb_is_an_error),
        CASE(compressed_nonsense_is_an_error),
        CASE(offsets_outside_the_log_follow_auto_offset_reset),
        CASE(leaders_and_connections_may_go),
        CASE(a_paused_partition_is_silent_until_resumed),
        CASE(prefetching_stops_when_the_queue_is_full),
        CASE(partitions_take_turns),
        CASE(a_callback_gets_the_batches_inside_weir_poll),
        CASE(what_does_not_exist_is_said),
        CASE(what_a_producer_wrote_is_consumed),
        CASE(lost_records_that_were_read_are_an_error_without_a_policy),
        CASE(lost_records_that_were_read_are_told_and_reading_goes_on_at_the_cut),
        CASE(a_cut_below_the_log_is_told_before_the_policy_is_followed),
        CASE(position_that_was_kept_with_its_epoch_is_compared),
        CASE(position_whose_epoch_is_still_there_goes_on),
        CASE(lost_records_that_were_not_handed_out_are_not_missed),
        CASE(a_fetch_of_another_leader_epoch_asks_for_metadata_and_goes_on),
};

CHECK_MAIN("libweir_consumer", cases)
