/* SPDX-License-Identifier: Apache-2.0 */
/* Fetch and ListOffsets asked by hand: wrong offsets and epochs, long polls to the millisecond, size rules, batches that
 * decompress to gigabytes, and a reader that asks for much and reads nothing. */
#include "tests/lib/check.h"
#include "tests/lib/cluster.h"
#include "tests/lib/raw.h"

#include "common/base/array.h"
#include "common/base/mem.h"
#include "common/domain/errcode.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    MIB = 1024 * 1024,
    OUTSTANDING_MAX = 16 * MIB, /* weir.connection.outstanding.bytes of this cluster */
    CLOSE_MS = 3000,
    /* What AddressSanitizer keeps of freed memory before it gives it back. */
    QUARANTINE = 256 * MIB,
};

static pid_t broker_pid;

static void begin(void)
{
    raw_close_all();
    if (!cluster_is_up()) {
        cluster_up((const char *const[]){
                "--small", "--set", "weir.connection.outstanding.bytes=16777216", NULL});
        (void)WEIR_OK("topic", "create", "canary", "-p", "1");
        (void)WEIR_OK("topic", "create", "polls", "-p", "3");
    }
    if (node_pid("broker-1") == 0) { /* A former case failed. */
        node_start("broker-1");
        node_wait_ready("broker-1");
    }
    broker_pid = node_pid("broker-1");
}

static void still_serves(void)
{
    raw_close_all();
    raw_round_trip(broker_port(1), "canary");
    CHECK_EQ(node_pid("broker-1"), broker_pid);
}

static struct raw *client(void)
{
    return raw_client(broker_port(1));
}

static offset64 put(struct raw *r, const struct uuid *id, int32_t partition, int n, size_t size)
{
    struct buf batch = {0};
    uint8_t *value = mem_alloc(size + 1);

    memset(value, 'v', size);
    raw_batch(&batch, n, value, size);
    struct msg_produce_result result = raw_produce(r, -1, id, partition, &batch);
    mem_free(value);
    buf_deinit(&batch);
    CHECK_EQ(result.error, 0);
    return result.base_offset;
}

static uint32_t ask_fetch(struct raw *r,
        uint32_t max_wait_ms,
        uint32_t min_bytes,
        uint32_t max_bytes,
        const struct msg_fetch_partition *part)
{
    struct buf body = {0};

    raw_encode_fetch(&body, max_wait_ms, min_bytes, max_bytes, part, 1);
    uint32_t correlation = raw_ask(r, API_FETCH, &body);
    buf_deinit(&body);
    return correlation;
}

static struct msg_fetch_result read_fetch(struct raw *r, int timeout_ms)
{
    struct msg_fetch_response got;
    struct raw_answer a;

    CHECK_EQ(raw_read(r, timeout_ms, &a), RAW_FRAME);
    raw_decode_fetch(&a, &got);
    CHECK_EQ(got.n_partitions, 1);
    return got.partitions[0];
}

static int64_t metric(const char *name)
{
    struct buf text = {0};
    char *line = mem_format("\n%s ", name);

    CHECK_EQ(http_request(broker_http_port(1), "GET", "/metrics", NULL, false, &text), 200);
    const char *at = strstr(buf_str(&text), line);
    CHECK(at != NULL);
    int64_t value = strtoll(at + strlen(line), NULL, 10);
    mem_free(line);
    buf_deinit(&text);
    return value;
}

static int64_t n_parked(void)
{
    return metric("weir_broker_fetch_parked");
}

/* --- Wrong questions ---------------------------------------------------------------------------------------------- */

static void check_fetch_error(struct raw *r, const struct msg_fetch_partition *part, int error)
{
    (void)ask_fetch(r, 10000, 1, MIB, part); /* An error is answered at once. */
    struct msg_fetch_result result = read_fetch(r, 3000);
    CHECK_EQ(result.error, error);
    CHECK(strlen(result.detail) > 10);
    CHECK_EQ(result.records.size, 0);
}

static void offsets_and_epochs_that_are_wrong_are_refused_at_once(void)
{
    epoch32 epoch = EPOCH_NONE;

    begin();
    struct raw *r = client();
    struct uuid id = raw_topic_id(r, "polls", &epoch);
    offset64 end = put(r, &id, 0, 1, 10) + 1;
    struct msg_fetch_partition part = raw_fetch_from(&id, 0, end + 1);
    check_fetch_error(r, &part, ERRCODE_OFFSET_OUT_OF_RANGE);
    part.fetch_offset = INT64_MAX;
    check_fetch_error(r, &part, ERRCODE_OFFSET_OUT_OF_RANGE);
    part.fetch_offset = -1;
    check_fetch_error(r, &part, ERRCODE_OFFSET_OUT_OF_RANGE);
    part.fetch_offset = INT64_MIN;
    check_fetch_error(r, &part, ERRCODE_OFFSET_OUT_OF_RANGE);
    part = raw_fetch_from(&id, 0, 0);
    part.leader_epoch = epoch + 1;
    check_fetch_error(r, &part, ERRCODE_UNKNOWN_LEADER_EPOCH);
    part.leader_epoch = epoch > 0 ? epoch - 1 : -2;
    check_fetch_error(r, &part, ERRCODE_FENCED_LEADER_EPOCH);
    part = raw_fetch_from(&id, 3, 0);
    check_fetch_error(r, &part, ERRCODE_UNKNOWN_TOPIC_OR_PARTITION);
    part = raw_fetch_from(&id, 0, 0);
    part.topic_id.bytes[15] ^= 1;
    check_fetch_error(r, &part, ERRCODE_UNKNOWN_TOPIC_ID);
    still_serves();
}

/* [FET-30] An end, and a look-up that reads the log. */
static void check_lookup_error(struct raw *r, const struct uuid *id, epoch32 epoch, int error)
{
    const int64_t times[] = {LIST_LATEST, LIST_EARLIEST, 0};

    for (size_t i = 0; i < COUNT_OF(times); i++) {
        struct msg_list_offsets_partition ask = {
                .topic_id = *id, .leader_epoch = epoch, .timestamp = times[i]};
        struct msg_list_offsets_request m = {.partitions = &ask, .n_partitions = 1};
        struct msg_list_offsets_response list;
        struct raw_answer a;
        struct buf body = {0};

        wire_encode_list_offsets_request(&m, &body);
        (void)raw_ask(r, API_LIST_OFFSETS, &body);
        CHECK_EQ(raw_read(r, 5000, &a), RAW_FRAME);
        CHECK_EQ(wire_decode_list_offsets_response(a.body, a.arena, &list), 0);
        CHECK_EQ(list.partitions[0].error, error);
        CHECK_EQ(list.partitions[0].offset == OFFSET_NONE, error != ERRCODE_NONE);
        buf_deinit(&body);
    }
}

static void lookups_under_another_leader_epoch_are_refused(void)
{
    epoch32 epoch = EPOCH_NONE;

    begin();
    struct raw *r = client();
    struct uuid id = raw_topic_id(r, "polls", &epoch);
    (void)put(r, &id, 0, 1, 10);
    check_lookup_error(r, &id, epoch, ERRCODE_NONE);
    check_lookup_error(r, &id, epoch + 1, ERRCODE_UNKNOWN_LEADER_EPOCH);
    check_lookup_error(r, &id, epoch > 0 ? epoch - 1 : -2, ERRCODE_FENCED_LEADER_EPOCH);
    still_serves();
}

static void fetching_as_a_replica_is_refused(void)
{
    struct msg_fetch_request m = {
            .max_wait_ms = 100, .max_bytes = MIB, .replica = 2, .n_partitions = 1};
    struct buf body = {0};
    struct raw_answer a;

    begin();
    struct raw *r = client();
    struct uuid id = raw_topic_id(r, "polls", NULL);
    struct msg_fetch_partition part = raw_fetch_from(&id, 0, 0);
    m.partitions = &part;
    wire_encode_fetch_request(&m, &body);
    raw_call(r, API_FETCH, &body, &a);
    CHECK_EQ(a.header.error, ERRCODE_INVALID_REQUEST); /* its Hello was a client's */
    CHECK(strlen(a.header.detail) > 10);
    buf_deinit(&body);
    still_serves();
}

static void a_frame_of_many_empty_partitions_does_not_take_gigabytes(void)
{
    static const uint32_t apis[] = {API_FETCH, API_LIST_OFFSETS, API_PRODUCE, API_METADATA};
    static const char fields[] = {0x32, 0x0a, 0x12, 0x0a}; /* the tag of the list of each */
    struct buf body = {0};
    struct raw_answer a;

    begin();
    struct raw *r = client();
    process_forget_peak(broker_pid);
    uint64_t before = process_resident(broker_pid);
    for (size_t i = 0; i < sizeof(apis) / sizeof(apis[0]); i++) {
        for (size_t size = 90 * MIB; size > 1000; size /= 10) {
            buf_clear(&body);
            uint8_t *at = buf_grow(&body, size);
            for (size_t k = 0; k + 1 < size; k += 2) {
                at[k] = (uint8_t)fields[i];
                at[k + 1] = 0;
            }
            raw_call(r, apis[i], &body, &a);
            CHECK(size < MIB || a.header.error == ERRCODE_INVALID_REQUEST);
        }
    }
    uint64_t more = process_peak(broker_pid) - before;
    printf("# empty partitions: %llu MiB at the peak\n", (unsigned long long)more / MIB);
    CHECK(more < (uint64_t)700 * MIB);
    buf_deinit(&body);
    still_serves();
}

static void a_fetch_of_very_many_unknown_partitions_is_answered(void)
{
    struct msg_fetch_response got;
    struct msg_fetch_partition *parts = mem_new_n(struct msg_fetch_partition, 10000);
    struct buf body = {0};
    struct raw_answer a;

    begin();
    struct raw *r = client();
    struct uuid id = raw_topic_id(r, "polls", NULL);
    for (int32_t i = 0; i < 10000; i++) {
        parts[i] = raw_fetch_from(&id, i + 1000, 0);
    }
    raw_encode_fetch(&body, 10000, 1, MIB, parts, 10000);
    raw_call(r, API_FETCH, &body, &a);
    raw_decode_fetch(&a, &got);
    CHECK_EQ(got.n_partitions, 10000);
    CHECK_EQ(got.partitions[9999].partition, 10999);
    CHECK_EQ(got.partitions[9999].error, ERRCODE_UNKNOWN_TOPIC_OR_PARTITION);
    mem_free(parts);
    buf_deinit(&body);
    still_serves();
}

/* --- Long polls --------------------------------------------------------------------------------------------------- */

static void a_long_poll_is_answered_when_data_comes(void)
{
    int64_t best = INT64_MAX;

    begin();
    struct raw *reader = client();
    struct raw *writer = client();
    struct uuid id = raw_topic_id(writer, "polls", NULL);
    for (int i = 0; i < 5; i++) {
        offset64 end = raw_end_offset(writer, &id, 0);
        struct msg_fetch_partition part = raw_fetch_from(&id, 0, end);
        (void)ask_fetch(reader, 20000, 1, MIB, &part);
        CHECK_WITHIN(5000, n_parked() == 1);
        (void)put(writer, &id, 0, 1, 20);
        int64_t wrote = check_now_ms();
        struct msg_fetch_result result = read_fetch(reader, 5000);
        int64_t took = check_now_ms() - wrote;
        CHECK_EQ(result.error, 0);
        CHECK(result.records.size > 20);
        CHECK_EQ(result.high_watermark, end + 1);
        best = took < best ? took : best;
    }
    printf("# a long poll was answered %lld ms after the produce\n", (long long)best);
    CHECK(best < 200);
    CHECK_EQ(n_parked(), 0);
    still_serves();
}

static void a_long_poll_without_data_is_answered_at_its_end(void)
{
    begin();
    struct raw *r = client();
    struct uuid id = raw_topic_id(r, "polls", NULL);
    offset64 end = raw_end_offset(r, &id, 0);
    struct msg_fetch_partition part = raw_fetch_from(&id, 0, end);
    int64_t start = check_now_ms();
    (void)ask_fetch(r, 400, 1, MIB, &part);
    struct msg_fetch_result result = read_fetch(r, 5000);
    int64_t took = check_now_ms() - start;
    CHECK_EQ(result.error, 0);
    CHECK_EQ(result.records.size, 0);
    CHECK_EQ(result.high_watermark, end);
    printf("# a poll of 400 ms took %lld ms\n", (long long)took);
    CHECK(took >= 395);
    CHECK(took < 1400);
    start = check_now_ms();
    (void)ask_fetch(r, 0, 1, MIB, &part); /* no wait: at once */
    CHECK_EQ(read_fetch(r, 5000).records.size, 0);
    CHECK(check_now_ms() - start < 1000);
    still_serves();
}

static void a_long_poll_waits_for_min_bytes(void)
{
    begin();
    struct raw *reader = client();
    struct raw *writer = client();
    struct uuid id = raw_topic_id(writer, "polls", NULL);
    offset64 end = raw_end_offset(writer, &id, 1);
    struct msg_fetch_partition part = raw_fetch_from(&id, 1, end);
    struct raw_answer a;
    (void)ask_fetch(reader, 20000, 2500, MIB, &part);
    CHECK_WITHIN(5000, n_parked() == 1);
    (void)put(writer, &id, 1, 1, 1000);
    CHECK_EQ(raw_read(reader, 200, &a), RAW_TIMEOUT);
    (void)put(writer, &id, 1, 1, 1000);
    CHECK_EQ(raw_read(reader, 200, &a), RAW_TIMEOUT);
    (void)put(writer, &id, 1, 1, 1000);
    struct msg_fetch_result result = read_fetch(reader, 2000);
    CHECK(result.records.size >= 3000);
    CHECK_EQ(result.high_watermark, end + 3);
    /* Too few at the end of the time: what there is. */
    part.fetch_offset = end + 2;
    (void)ask_fetch(reader, 300, 1000000, MIB, &part);
    result = read_fetch(reader, 5000);
    CHECK(result.records.size > 1000 && result.records.size < 2000);
    still_serves();
}

static void a_parked_poll_delays_nothing_behind_it(void)
{
    struct msg_list_offsets_response list;
    struct raw_answer a;
    struct buf body = {0};

    begin();
    struct raw *r = client();
    struct uuid id = raw_topic_id(r, "polls", NULL);
    (void)put(r, &id, 0, 1, 10);
    struct msg_fetch_partition part = raw_fetch_from(&id, 0, raw_end_offset(r, &id, 0));
    struct msg_list_offsets_partition ask[] = {{.topic_id = id, .timestamp = LIST_LATEST},
            {.topic_id = id, .timestamp = 0}}; /* one by time, which reads the log */
    struct msg_list_offsets_request m = {.partitions = ask, .n_partitions = 2};
    ask[0].leader_epoch = ask[1].leader_epoch = EPOCH_NONE;
    uint32_t poll = ask_fetch(r, 15000, 1, MIB, &part);
    wire_encode_list_offsets_request(&m, &body);
    uint32_t listing = raw_ask(r, API_LIST_OFFSETS, &body);
    int64_t start = check_now_ms();
    CHECK_EQ(raw_read(r, 5000, &a), RAW_FRAME);
    CHECK_EQ(a.header.correlation, listing);
    CHECK(check_now_ms() - start < 2000);
    CHECK_EQ(wire_decode_list_offsets_response(a.body, a.arena, &list), 0);
    CHECK_EQ(list.n_partitions, 2);
    CHECK_EQ(list.partitions[0].offset, part.fetch_offset);
    CHECK_EQ(list.partitions[1].offset, 0);
    /* A produce on the same connection ends the poll; both answers come, in whatever order. */
    struct buf batch = {0};
    raw_batch(&batch, 1, "x", 1);
    struct msg_produce_partition wrote = {
            .topic_id = id, .records = {.at = batch.data, .size = batch.size}};
    buf_clear(&body);
    raw_encode_produce(&body, -1, &wrote, 1);
    uint32_t produce = raw_ask(r, API_PRODUCE, &body);
    CHECK_EQ(raw_read(r, 5000, &a), RAW_FRAME);
    uint32_t first = a.header.correlation;
    CHECK_EQ(raw_read(r, 5000, &a), RAW_FRAME);
    uint32_t second = a.header.correlation;
    CHECK((first == poll && second == produce) || (first == produce && second == poll));
    buf_deinit(&batch);
    buf_deinit(&body);
    still_serves();
}

static void connections_that_leave_with_parked_polls_are_forgotten(void)
{
    begin();
    struct raw *writer = client();
    struct uuid id = raw_topic_id(writer, "polls", NULL);
    struct msg_fetch_partition part = raw_fetch_from(&id, 2, raw_end_offset(writer, &id, 2));
    for (int i = 0; i < 40; i++) {
        struct raw *r = client();
        for (int k = 0; k < 5; k++) {
            (void)ask_fetch(r, 60000, 1, MIB, &part);
        }
    }
    CHECK_WITHIN(10000, n_parked() == 200);
    raw_close_all();
    CHECK_WITHIN(10000, n_parked() == 0);
    writer = client();
    (void)put(writer, &id, 2, 1, 10);
    CHECK_WITHIN(5000, metric("weir_broker_connections") <= 3);
    still_serves();
}

/* On every data loop there is. */
static void all_loops_serve(void)
{
    for (int i = 0; i < 4; i++) {
        raw_round_trip(broker_port(1), "canary");
    }
}

/* [BRK-30] 100,000 polls of about 60 bytes are within the limit of one connection. What the broker keeps for each must not be
 * many times that, and neither their coming nor their going may hold up others. */
static void very_many_parked_polls_block_nobody(void)
{
    enum {
        N_POLLS = 100000,
        PARKED_MAX = 1000 + 200 /* 1,000, and those that are being answered */
    };
    struct buf body = {0};
    struct buf frames = {0};

    begin();
    struct raw *r = client();
    struct uuid id = raw_topic_id(r, "polls", NULL);
    struct msg_fetch_partition part = raw_fetch_from(&id, 2, raw_end_offset(r, &id, 2));
    raw_encode_fetch(&body, 60000, 1, MIB, &part, 1);
    for (uint32_t i = 0; i < N_POLLS; i++) {
        raw_frame(&frames, API_FETCH, 1000 + i, (struct bytes){.at = body.data, .size = body.size});
    }
    uint64_t before = process_resident(broker_pid);
    bool sent = raw_send(r, frames.data, frames.size);
    all_loops_serve();
    int64_t start = check_now_ms();
    int64_t parked = n_parked();
    while ((parked < 1000 || parked > PARKED_MAX) && check_now_ms() - start < 3000) {
        parked = n_parked();
    }
    uint64_t more = process_resident(broker_pid) - before;
    printf("# %zu KiB of polls (%s): %lld parked, %llu KiB more resident\n", frames.size / 1024,
            sent ? "all sent" : "not all taken", (long long)parked,
            (unsigned long long)more / 1024);
    buf_deinit(&body);
    buf_deinit(&frames);
    (void)raw_close(r);
    start = check_now_ms();
    all_loops_serve();
    CHECK_WITHIN(10000, n_parked() == 0);
    int64_t took = check_now_ms() - start;
    printf("# forgotten after %lld ms\n", (long long)took);
    CHECK(took < 5000);
    CHECK(parked >= 1000);
    CHECK(parked <= PARKED_MAX);
    CHECK(more < (uint64_t)QUARANTINE);
    still_serves();
}

/* --- Sizes -------------------------------------------------------------------------------------------------------- */

static void the_first_batch_comes_whole_and_the_rest_keeps_the_limit(void)
{
    struct msg_fetch_response got;
    struct raw_answer a;
    struct buf body = {0};

    begin();
    (void)WEIR_OK("topic", "create", "sizes", "-p", "2");
    struct raw *r = client();
    struct uuid id = raw_topic_id(r, "sizes", NULL);
    for (int32_t p = 0; p < 2; p++) {
        for (int i = 0; i < 3; i++) {
            (void)put(r, &id, p, 1, 100000);
        }
    }
    struct msg_fetch_partition parts[] = {raw_fetch_from(&id, 0, 0), raw_fetch_from(&id, 1, 0)};
    parts[0].max_bytes = 1000;
    raw_encode_fetch(&body, 5000, 1, 1000, parts, 2);
    raw_call(r, API_FETCH, &body, &a);
    raw_decode_fetch(&a, &got);
    CHECK_EQ(got.n_partitions, 2);
    CHECK(got.partitions[0].records.size > 100000 && got.partitions[0].records.size < 100200);
    CHECK_EQ(got.partitions[1].records.size, 0);
    CHECK_EQ(got.partitions[1].error, 0);
    /* Both limits hold behind the first: two batches and one. */
    parts[0].max_bytes = 250000;
    buf_clear(&body);
    raw_encode_fetch(&body, 5000, 1, 350000, parts, 2);
    raw_call(r, API_FETCH, &body, &a);
    raw_decode_fetch(&a, &got);
    CHECK(got.partitions[0].records.size > 200000 && got.partitions[0].records.size <= 250000);
    CHECK(got.partitions[1].records.size > 100000 && got.partitions[1].records.size <= 150000);
    buf_deinit(&body);
    still_serves();
}

static void a_fetch_of_nothing_is_answered_at_once(void)
{
    struct msg_fetch_response got;
    struct raw_answer a;
    struct buf body = {0};

    begin();
    struct raw *r = client();
    int64_t start = check_now_ms();
    raw_encode_fetch(&body, 20000, 1, MIB, NULL, 0);
    raw_call(r, API_FETCH, &body, &a);
    raw_decode_fetch(&a, &got);
    CHECK_EQ(got.n_partitions, 0);
    CHECK(check_now_ms() - start < 2000);
    buf_deinit(&body);
    still_serves();
}

static void a_reader_that_reads_nothing_holds_only_its_own_answers(void)
{
    enum {
        N_FETCHES = 200,
        N_BATCHES = 8
    };
    struct raw_answer a;

    begin();
    (void)WEIR_OK("topic", "create", "slow", "-p", "1");
    struct raw *writer = client();
    struct uuid id = raw_topic_id(writer, "slow", NULL);
    for (int i = 0; i < N_BATCHES; i++) {
        (void)put(writer, &id, 0, 1, 1000000);
    }
    struct raw *slow = client();
    raw_shrink_receive_buffer(slow, 65536);
    int64_t fetches = metric("weir_broker_fetch_requests_total");
    uint64_t before = process_resident(broker_pid);
    for (int i = 0; i < N_FETCHES; i++) {
        struct msg_fetch_partition part = raw_fetch_from(&id, 0, i % N_BATCHES);
        (void)ask_fetch(slow, 0, 1, 500000, &part);
    }
    for (int i = 0; i < 10; i++) { /* Others are served meanwhile. */
        int64_t start = check_now_ms();
        raw_round_trip(broker_port(1), "canary");
        CHECK(check_now_ms() - start < 2000);
    }
    int64_t answered = metric("weir_broker_fetch_requests_total") - fetches - 10;
    uint64_t after = process_resident(broker_pid);
    printf("# answered %lld of %d, %lld KiB more resident\n", (long long)answered, N_FETCHES,
            (long long)(after - before) / 1024);
    CHECK(answered >= 1);
    CHECK(answered <=
            OUTSTANDING_MAX / 1000000 + 6); /* those within the limit and in the sockets */
    CHECK((int64_t)(after - before) < 64 * MIB);
    for (uint32_t i = 0; i < N_FETCHES; i++) { /* When it reads at last, it gets them all. */
        struct msg_fetch_result result;
        CHECK_EQ(raw_read(slow, 20000, &a), RAW_FRAME);
        struct msg_fetch_response got;
        raw_decode_fetch(&a, &got);
        result = got.partitions[0];
        CHECK_EQ(result.error, 0);
        CHECK(result.records.size > 1000000);
        CHECK_EQ(load_be64(result.records.at), i % N_BATCHES);
    }
    still_serves();
}

/* --- Bombs -------------------------------------------------------------------------------------------------------- */

static uint64_t largest_child(void)
{
    struct rusage u;

    CHECK_EQ(getrusage(RUSAGE_CHILDREN, &u), 0);
    return (uint64_t)u.ru_maxrss * 1024;
}

static void check_bomb(const char *topic, enum batch_codec codec)
{
    struct run_result run = {0};
    struct buf bomb = {0};

    begin();
    (void)WEIR_OK("topic", "create", topic, "-p", "1", "-c", "max.message.bytes=8388608");
    struct raw *r = client();
    struct uuid id = raw_topic_id(r, topic, NULL);
    CHECK_EQ(put(r, &id, 0, 1, 5), 0);
    raw_bomb(&bomb, codec, (uint64_t)1024 * MIB);
    printf("# 1 GiB of zeros in %zu bytes of %s\n", bomb.size, codec_name((int)codec));
    process_forget_peak(broker_pid);
    uint64_t before = process_resident(broker_pid);
    struct msg_produce_result result = raw_produce(r, -1, &id, 0, &bomb);
    CHECK_EQ(result.error, 0); /* The broker does not look inside. */
    CHECK_EQ(result.base_offset, 1);
    CHECK(process_peak(broker_pid) - before < 64 * MIB);

    struct batch b;
    CHECK_EQ(batch_parse(bomb.data, bomb.size, &b), 0);
    struct msg_list_offsets_result list = raw_list_offset(r, &id, 0, b.base_timestamp);
    CHECK_EQ(list.error, ERRCODE_CORRUPT_MESSAGE);
    CHECK(strlen(list.detail) > 10);
    list = raw_list_offset(r, &id, 0, LIST_MAX_TIMESTAMP);
    CHECK_EQ(list.error, ERRCODE_CORRUPT_MESSAGE);
    CHECK_EQ(raw_list_offset(r, &id, 0, 0).offset, 0); /* What lies before it is still found. */
    uint64_t more = process_peak(broker_pid) - before;
    printf("# looking up by time: %llu MiB at the peak\n", (unsigned long long)more / MIB);
    CHECK(more < (uint64_t)QUARANTINE + 300 * MIB);

    WEIR_WITH(
            &run, (&(struct run_options){.timeout_ms = 60000}), "consume", topic, "--exit-at-end");
    printf("# weir consume: exit %d, %llu MiB: %s\n", run.code,
            (unsigned long long)largest_child() / MIB, buf_str(&run.err));
    CHECK(run.code > 0 && run.code < 100); /* an error of its own, not a signal */
    CHECK_STR(buf_str(&run.out), "vvvvv\n");
    CHECK(strstr(buf_str(&run.err), "decompress") != NULL);
    CHECK(strstr(buf_str(&run.err), "partition 0") != NULL);
    CHECK(strstr(buf_str(&run.err), "offset 1") != NULL);
    CHECK(largest_child() <
            (uint64_t)1000 * MIB); /* of the CLI: 256 MiB, its growth, and the quarantine */
    run_result_deinit(&run);
    buf_deinit(&bomb);
    still_serves();
}

static void a_bomb_of_zstd_ends_with_a_clear_error(void)
{
    check_bomb("bomb-zstd", CODEC_ZSTD);
}

static void a_bomb_of_gzip_ends_with_a_clear_error(void)
{
    check_bomb("bomb-gzip", CODEC_GZIP);
}

static void the_broker_ends_clean(void)
{
    begin();
    still_serves();
    cluster_down();
}

static const struct check_case cases[] = {
        CASE(offsets_and_epochs_that_are_wrong_are_refused_at_once),
        CASE(lookups_under_another_leader_epoch_are_refused),
        CASE(fetching_as_a_replica_is_refused),
        CASE(a_frame_of_many_empty_partitions_does_not_take_gigabytes),
        CASE(a_fetch_of_very_many_unknown_partitions_is_answered),
        CASE(a_long_poll_is_answered_when_data_comes),
        CASE(a_long_poll_without_data_is_answered_at_its_end),
        CASE(a_long_poll_waits_for_min_bytes),
        CASE(a_parked_poll_delays_nothing_behind_it),
        CASE(connections_that_leave_with_parked_polls_are_forgotten),
        CASE(very_many_parked_polls_block_nobody),
        CASE(the_first_batch_comes_whole_and_the_rest_keeps_the_limit),
        CASE(a_fetch_of_nothing_is_answered_at_once),
        CASE(a_reader_that_reads_nothing_holds_only_its_own_answers),
        CASE(a_bomb_of_zstd_ends_with_a_clear_error),
        CASE(a_bomb_of_gzip_ends_with_a_clear_error),
        CASE(the_broker_ends_clean),
};

CHECK_MAIN("wire_fetch", cases)
