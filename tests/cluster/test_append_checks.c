/* SPDX-License-Identifier: Apache-2.0 */
/* What a topic asks of batches beyond their form: limits of timestamps, sizes, and its own compression. */
#include "common/base/mem.h"
#include "common/base/prng.h"
#include "common/compress/compress.h"
#include "common/domain/errcode.h"
#include "tests/cluster/broker_world.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

enum {
    PIPELINED = 40
};

static void set(struct world *w, const char *key, const char *value)
{
    struct meta_config_pair pair = {key, value};
    struct meta_record r = {.kind = META_CONFIG_SET};

    r.config_set.scope = CONFIG_TOPIC;
    r.config_set.topic_id = topic_id(1);
    r.config_set.broker = BROKER_NONE;
    r.config_set.configs = &pair;
    r.config_set.n_configs = 1;
    commit(w, &r, 1);
    push(w);
}

/* `n` records of `size` bytes, the first with time `first`, the others with time `rest`. */
static void build(
        struct buf *ret, enum batch_codec codec, int n, size_t size, wall_ms first, wall_ms rest)
{
    struct batch_build_options o = {.producer_id = -1, .producer_epoch = -1, .base_sequence = -1};
    struct batch_builder bb = {0};
    struct buf value = {0};
    struct buf packed = {0};

    for (int i = 0; i < n; i++) {
        struct record r = {.timestamp = i == 0 ? first : rest};

        buf_clear(&value);
        while (value.size < size) {
            buf_append_format(&value, "%d times %zu; ", i, value.size);
        }
        r.value = (struct bytes){.at = value.data, .size = size};
        batch_builder_add(&bb, &r, NULL);
    }
    CHECK_EQ(compress_bytes(codec, 0,
                     (struct bytes){.at = bb.records.data, .size = bb.records.size}, &packed),
            0);
    buf_clear(ret);
    batch_builder_finish(
            &bb, &o, codec, (struct bytes){.at = packed.data, .size = packed.size}, ret);
    buf_deinit(&value);
    buf_deinit(&packed);
    batch_builder_deinit(&bb);
}

/* The one batch at `offset`: its codec; all its records are there. */
static int stored_codec(struct world *w, offset64 offset, int n, size_t size)
{
    struct buf scratch = {0};
    struct msg_fetch_result f;
    struct record_iter it;
    struct record rec;
    struct bytes plain;
    struct batch b;
    struct reply r;
    int seen = 0;

    call(w, w->client, API_FETCH, fetch_out(1, offset, 0, 1, EPOCH_NONE), &r);
    f = fetched(&r);
    CHECK_EQ(f.error, ERRCODE_NONE);
    CHECK_EQ(batch_parse(f.records.at, f.records.size, &b), 0);
    CHECK(batch_crc_is_right(&b));
    CHECK_EQ(b.base_offset, offset);
    CHECK_EQ(batch_plain_records(&b, 64 << 20, &scratch, &plain), 0);
    record_iter_init(&it, &b, plain.at, plain.size);
    while (record_iter_next(&it, &rec) == 0) {
        CHECK_EQ(rec.offset, offset + seen);
        CHECK_EQ(rec.value.size, size);
        seen++;
    }
    CHECK_EQ(seen, n);
    int codec = (int)batch_codec(&b);
    buf_deinit(&scratch);
    reply_free(&r);
    return codec;
}

static void each_codec_is_stored_as_the_topic_asks(void) /* [LOG-106] */
{
    static const char *const types[] = {"uncompressed", "gzip", "snappy", "lz4", "zstd"};
    struct world *w = world_serving();
    struct buf batch = {0};
    offset64 end = 0;

    for (int from = CODEC_NONE; from <= CODEC_ZSTD; from++) {
        build(&batch, (enum batch_codec)from, 10, 1000, clock_wall(), clock_wall());
        CHECK_EQ(produce_bytes(w, 1, -1, &batch).base_offset, end);
        CHECK_EQ(stored_codec(w, end, 10, 1000), from); /* as the producer chose */
        end += 10;
    }
    for (int to = CODEC_NONE; to <= CODEC_ZSTD; to++) {
        set(w, "compression.type", types[to]);
        for (int from = CODEC_NONE; from <= CODEC_ZSTD; from++) {
            build(&batch, (enum batch_codec)from, 10, 1000, clock_wall(), clock_wall());
            CHECK_EQ(produce_bytes(w, 1, -1, &batch).base_offset, end);
            CHECK_EQ(stored_codec(w, end, 10, 1000), to);
            end += 10;
        }
    }
    buf_deinit(&batch);
    CHECK_EQ(stop_broker(w, SIGTERM), 0);
    world_free(w);
}

/* The largest size counts for what comes and for what is stored. */
static void max_message_bytes_counts_before_and_after(void) /* [LOG-104] */
{
    struct world *w = world_serving();
    struct buf batch = {0};

    set(w, "max.message.bytes", "10000");
    set(w, "compression.type", "uncompressed");
    build(&batch, CODEC_ZSTD, 10, 2000, clock_wall(), clock_wall());
    CHECK(batch.size < 5000);
    CHECK_EQ(produce_bytes(w, 1, -1, &batch).error, ERRCODE_MESSAGE_TOO_LARGE);
    set(w, "compression.type", "zstd");
    CHECK_EQ(produce_bytes(w, 1, -1, &batch).error, ERRCODE_NONE);
    build(&batch, CODEC_NONE, 10, 2000, clock_wall(), clock_wall());
    CHECK_EQ(produce_bytes(w, 1, -1, &batch).error, ERRCODE_MESSAGE_TOO_LARGE);
    buf_deinit(&batch);
    world_free(w);
}

static void timestamps_are_kept_within_limits(void) /* [LOG-100] [LOG-101] [LOG-102] */
{
    struct world *w = world_serving();
    struct buf batch = {0};
    wall_ms now = clock_wall();
    struct batch b;

    for (int codec = CODEC_NONE; codec <= CODEC_ZSTD; codec += 4) {
        enum batch_codec c = (enum batch_codec)codec;

        set(w, "message.timestamp.before.max.ms", NULL);
        set(w, "message.timestamp.type", NULL);
        build(&batch, c, 3, 10, now, now + 3500 * 1000);
        CHECK_EQ(produce_bytes(w, 1, -1, &batch).error, ERRCODE_NONE);
        build(&batch, c, 3, 10, now, now + 7200 * 1000);
        CHECK_EQ(produce_bytes(w, 1, -1, &batch).error, ERRCODE_INVALID_TIMESTAMP);
        build(&batch, c, 3, 10, 1000, now);
        CHECK_EQ(produce_bytes(w, 1, -1, &batch).error, ERRCODE_NONE);
        set(w, "message.timestamp.before.max.ms", "1h");
        CHECK_EQ(produce_bytes(w, 1, -1, &batch).error, ERRCODE_INVALID_TIMESTAMP);
        build(&batch, c, 3, 10, -1, now); /* a record without a time is of none */
        CHECK_EQ(produce_bytes(w, 1, -1, &batch).error, ERRCODE_NONE);
        set(w, "message.timestamp.type", "LogAppendTime"); /* limits are for the producer's clock */
        build(&batch, c, 3, 10, 1000, now + 7200 * 1000);
        struct msg_produce_result r = produce_bytes(w, 1, -1, &batch);
        CHECK_EQ(r.error, ERRCODE_NONE);
        CHECK(r.log_append_time >= now);
        CHECK_EQ(batch_parse(batch.data, batch.size, &b), 0);
        batch_set_append_time(batch.data, batch.size, now);
        CHECK_EQ(produce_bytes(w, 1, -1, &batch).error, ERRCODE_INVALID_TIMESTAMP);
    }
    buf_deinit(&batch);
    world_free(w);
}

/* Long and short requests of one connection in one burst: appended and so numbered as they were sent. */
static void what_was_sent_first_is_appended_first(void) /* [LOG-108] */
{
    struct world *w = world_serving();
    static struct reply replies[PIPELINED];
    struct buf batch = {0};

    set(w, "compression.type", "zstd");
    for (int i = 0; i < PIPELINED; i++) {
        build(&batch, i % 3 == 0 ? CODEC_NONE : CODEC_ZSTD, 10, i % 2 == 0 ? 20000 : 10,
                clock_wall(), clock_wall());
        ask(w, w->client, API_PRODUCE, produce_out(1, i % 4 == 1 ? 1 : -1, &batch), &replies[i]);
    }
    for (int i = 0; i < PIPELINED; i++) {
        struct msg_produce_response m;

        CHECK(run_until(w, &replies[i].is_there, ANSWER_MS));
        CHECK_EQ(wire_decode_produce_response(replies[i].body, &replies[i].arena, &m), 0);
        CHECK_EQ(m.partitions[0].error, ERRCODE_NONE);
        CHECK_EQ(m.partitions[0].base_offset, i * 10);
        reply_free(&replies[i]);
    }
    buf_deinit(&batch);
    CHECK_EQ(stop_broker(w, SIGTERM), 0);
    world_free(w);
}

/* With acks 0 a client may be gone before the pool is done with what it sent. */
static void what_a_client_sent_with_acks_0_arrives_after_it_has_gone(void) /* [LOG-108] */
{
    struct world *w = world_serving();
    struct rpc_conn *leaving = w->client;
    struct buf batch = {0};
    struct reply r;

    set(w, "compression.type", "gzip");
    build(&batch, CODEC_NONE, 40, 20000, clock_wall(), clock_wall());
    rpc_call(leaving, API_PRODUCE, 0, produce_out(1, 0, &batch), NULL, NULL);
    call(w, leaving, API_METADATA, rpc_out_new(), &r); /* the broker has read it */
    reply_free(&r);
    w->client = NULL;
    rpc_conn_close(leaving);
    connect_client(w);
    int64_t until = check_now_ms() + 10000;
    while (list(w, LIST_LATEST).offset < 40 && check_now_ms() < until) {
        pause_loop(w, 10);
    }
    CHECK_EQ(list(w, LIST_LATEST).offset, 40);
    buf_deinit(&batch);
    world_free(w);
}

static void a_broker_that_stops_leaves_nothing_of_what_is_being_checked(void) /* [LOG-108] */
{
    struct world *w = world_serving();
    static struct reply replies[PIPELINED];
    struct buf batch = {0};

    set(w, "compression.type", "gzip");
    set(w, "compression.gzip.level", "9");
    build(&batch, CODEC_NONE, 40, 20000, clock_wall(), clock_wall());
    for (int i = 0; i < PIPELINED; i++) {
        ask(w, w->client, API_PRODUCE, produce_out(1, -1, &batch), &replies[i]);
    }
    CHECK(run_until(w, &replies[0].is_there, ANSWER_MS));
    CHECK_EQ(stop_broker(w, SIGTERM), 0);
    for (int i = 0; i < PIPELINED; i++) {
        CHECK(run_until(
                w, &replies[i].is_there, ANSWER_MS)); /* an answer, or the end of the connection */
        reply_free(&replies[i]);
    }
    buf_deinit(&batch);
    world_free(w);
}

static const struct check_case cases[] = {
        CASE(each_codec_is_stored_as_the_topic_asks),
        CASE(max_message_bytes_counts_before_and_after),
        CASE(timestamps_are_kept_within_limits),
        CASE(what_was_sent_first_is_appended_first),
        CASE(what_a_client_sent_with_acks_0_arrives_after_it_has_gone),
        CASE(a_broker_that_stops_leaves_nothing_of_what_is_being_checked),
        CASE(stop_zookeeper),
};

CHECK_MAIN("append_checks", cases)
