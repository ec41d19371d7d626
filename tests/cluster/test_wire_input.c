/* SPDX-License-Identifier: Apache-2.0 */
/* What a broker does with bytes that no decent client sends: frames, Hellos and Produce requests. After each case the
 * same process still serves. */
#include "tests/cluster/proven_hello.h"
#include "tests/lib/check.h"
#include "tests/lib/cluster.h"
#include "tests/lib/raw.h"

#include "common/base/mem.h"
#include "common/base/prng.h"
#include "common/domain/errcode.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    MIB = 1024 * 1024,
    FRAME_MAX = 100 * MIB, /* socket.request.max.bytes */
    CLOSE_MS = 3000,
    /* What AddressSanitizer keeps of freed memory before it gives it back. */
    QUARANTINE = 256 * MIB,
};

static pid_t broker_pid;

static void begin(void)
{
    raw_close_all();
    if (!cluster_is_up()) {
        cluster_up_small();
        (void)WEIR_OK("topic", "create", "canary", "-p", "1");
        (void)WEIR_OK("topic", "create", "refuse", "-p", "2");
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

static struct raw *stranger(void)
{
    return raw_connect(broker_port(1));
}

static struct raw *client(void)
{
    return raw_client(broker_port(1));
}

/* On a connection that has said Hello, or that has not. */
static struct raw *stranger_or_client(int i)
{
    return i == 0 ? stranger() : client();
}

/* --- Frames ------------------------------------------------------------------------------------------------------- */

static void a_frame_of_length_0_closes_the_connection(void)
{
    begin();
    for (int i = 0; i < 2; i++) {
        struct raw *r = stranger_or_client(i);
        CHECK(raw_send(r, "\0\0\0\0", 4));
        CHECK(raw_is_closed_within(r, CLOSE_MS));
    }
    still_serves();
}

static void a_frame_above_the_limit_closes_at_once(void)
{
    uint8_t length[4];

    begin();
    for (int i = 0; i < 4; i++) {
        struct raw *r = stranger_or_client(i % 2);
        store_be32(length, i < 2 ? FRAME_MAX + 1 : UINT32_MAX);
        CHECK(raw_send(r, length, 4));
        CHECK(raw_is_closed_within(r, CLOSE_MS));
    }
    still_serves();
}

static void an_announced_frame_takes_no_memory_until_it_comes(void)
{
    uint8_t length[5] = {0};

    begin();
    still_serves();
    uint64_t before = process_resident(broker_pid);
    store_be32(length, 90 * MIB);
    for (int i = 0; i < 100; i++) {
        CHECK(raw_send(client(), length, 4));
    }
    for (int i = 0; i < 100; i++) { /* One more byte, so that the frame has begun. */
        CHECK(raw_send(client(), length, 5));
    }
    struct raw *last = client();
    uint64_t after = process_resident(broker_pid);
    printf("# 200 announced frames of 90 MiB: %lld KiB more\n", (long long)(after - before) / 1024);
    CHECK((int64_t)(after - before) < 48 * MIB);
    (void)raw_close(last);
    still_serves();
}

/* [BRK-29] A Hello is small: nobody needs a large frame before it, and before it no limit of connections holds. */
static void strangers_cannot_make_the_broker_keep_much(void)
{
    uint8_t *block = mem_alloc(20 * MIB);

    begin();
    still_serves();
    uint64_t before = process_resident(broker_pid);
    memset(block, 1, 20 * MIB);
    store_be32(block, 90 * MIB);
    for (int i = 0; i < 10; i++) {
        (void)raw_send(stranger(), block, 20 * MIB); /* it may be closed before the end */
    }
    (void)raw_close(client()); /* what was sent before has been read by then, or is not read */
    uint64_t after = process_resident(broker_pid);
    printf("# 200 MiB of strangers: %lld KiB more\n", (long long)(after - before) / 1024);
    mem_free(block);
    CHECK((int64_t)(after - before) < 48 * MIB);
    still_serves();
}

/* [BRK-32] */
static void silent_connections_do_not_shut_out_those_that_speak(void)
{
    enum {
        N_SILENT = 1100 /* more than may wait without a Hello */
    };
    struct rlimit limit;

    begin();
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    struct raw *oldest = stranger();
    for (int i = 1; i < N_SILENT; i++) {
        (void)stranger();
    }
    int64_t start = check_now_ms();
    (void)raw_topic_id(client(), "canary", NULL);
    CHECK(check_now_ms() - start < 3000);
    CHECK(raw_is_closed_within(oldest, CLOSE_MS));
    still_serves();
}

static void a_truncated_frame_is_forgotten(void)
{
    struct buf batch = {0};
    struct buf body = {0};
    struct buf frame = {0};

    begin();
    struct raw *r = client();
    struct uuid id = raw_topic_id(r, "refuse", NULL);
    offset64 end = raw_end_offset(r, &id, 0);
    raw_batch(&batch, 3, "truncated", 9);
    struct msg_produce_partition part = {
            .topic_id = id, .records = {.at = batch.data, .size = batch.size}};
    raw_encode_produce(&body, -1, &part, 1);
    raw_frame(&frame, API_PRODUCE, 1, (struct bytes){.at = body.data, .size = body.size});
    for (size_t size = 1; size < frame.size; size += 7) {
        struct raw *cut = client();
        CHECK(raw_send(cut, frame.data, size));
        if (size % 2 == 0) {
            raw_end_sending(cut);
            CHECK(raw_is_closed_within(cut, CLOSE_MS));
        }
        (void)raw_close(cut);
    }
    CHECK_EQ(raw_end_offset(r, &id, 0), end);
    buf_deinit(&batch);
    buf_deinit(&body);
    buf_deinit(&frame);
    still_serves();
}

static void garbage_harms_nobody(void)
{
    struct prng p;
    uint8_t block[4096];

    begin();
    prng_init(&p, check_seed());
    for (int i = 0; i < 100; i++) {
        struct raw *r = stranger_or_client(i % 2);
        for (size_t at = 0; at < sizeof(block); at += 8) {
            store_le64(block + at, prng_u64(&p));
        }
        if (i % 4 >= 2) { /* A length that fits, so that what is inside is looked at. */
            store_be32(block, (uint32_t)prng_below(&p, 64) + 1);
        }
        (void)raw_send(r, block, sizeof(block)); /* it may be closed before the end */
        raw_end_sending(r);
        CHECK(raw_is_closed_within(r, CLOSE_MS));
        (void)raw_close(r);
    }
    still_serves();
}

/* Closed, and the log says why: at most one such line a second, so that it may be another's turn. */
static bool http_is_closed_and_logged(void)
{
    static const char get[] = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    struct raw *r = stranger();

    CHECK(raw_send(r, get, sizeof(get) - 1));
    CHECK(raw_is_closed_within(r, CLOSE_MS));
    (void)raw_close(r);
    return node_log_has("broker-1", "frame of 1195725856 bytes");
}

static void an_http_request_on_the_rpc_port_is_closed(void)
{
    begin();
    CHECK_WITHIN(5000, http_is_closed_and_logged());
    still_serves();
}

static void an_rpc_frame_on_the_http_port_harms_nobody(void)
{
    struct buf frame = {0};

    begin();
    struct raw *r = raw_connect(broker_http_port(1));
    raw_frame(&frame, API_HELLO, 1, (struct bytes){0});
    CHECK(raw_send(r, frame.data, frame.size));
    raw_end_sending(r);
    (void)raw_close(r);
    buf_deinit(&frame);
    still_serves();
}

/* --- Hello -------------------------------------------------------------------------------------------------------- */

static void anything_before_hello_is_closed(void)
{
    static const uint32_t apis[] = {API_METADATA, API_PRODUCE, API_FETCH, API_LIST_OFFSETS,
            API_INIT_PRODUCER_ID, API_PUSH, API_BEAT, API_ALLOCATE_PRODUCER_IDS, 99, UINT32_MAX};
    struct buf nothing = {0};

    begin();
    for (size_t i = 0; i < sizeof(apis) / sizeof(apis[0]); i++) {
        struct raw *r = stranger();
        (void)raw_ask(r, apis[i], &nothing);
        CHECK(raw_is_closed_within(r, CLOSE_MS));
    }
    still_serves();
}

/* Says it and expects a refusal with a sentence, then the end of the connection. */
static void check_hello_is_refused(const struct msg_hello_request *m, int error)
{
    struct raw *r = stranger();
    struct buf body = {0};
    struct raw_answer a;

    wire_encode_hello_request(m, &body);
    raw_call(r, API_HELLO, &body, &a);
    CHECK_EQ(a.header.error, error);
    CHECK(strlen(a.header.detail) > 10);
    CHECK(raw_is_closed_within(r, CLOSE_MS));
    buf_deinit(&body);
    (void)raw_close(r);
}

static struct uuid ask_cluster_id(void)
{
    struct msg_hello_request m = {.client_id = "asks", .controller_id = -1};
    struct msg_hello_response answer;
    struct raw *r = stranger();
    struct buf body = {0};
    struct raw_answer a;

    wire_encode_hello_request(&m, &body);
    raw_call(r, API_HELLO, &body, &a);
    CHECK_EQ(a.header.error, 0);
    CHECK_EQ(wire_decode_hello_response(a.body, a.arena, &answer), 0);
    CHECK_EQ(answer.broker, 1);
    CHECK_EQ(answer.max_request_bytes, FRAME_MAX);
    struct uuid id = answer.cluster_id;
    buf_deinit(&body);
    (void)raw_close(r);
    return id;
}

static void a_hello_of_another_cluster_is_refused(void)
{
    struct msg_hello_request m = {.client_id = "stranger", .controller_id = -1};

    begin();
    m.cluster_id = ask_cluster_id();
    CHECK(!uuid_is_zero(&m.cluster_id));
    m.cluster_id.bytes[5] ^= 1;
    check_hello_is_refused(&m, ERRCODE_INCONSISTENT_CLUSTER_ID);
    m.role = ROLE_CONTROLLER;
    m.ctl_epoch = 1000000; /* An epoch does not help. */
    m.controller_id = 1;
    check_hello_is_refused(&m, ERRCODE_INCONSISTENT_CLUSTER_ID);
    still_serves();
}

static void a_controller_of_a_past_epoch_is_refused(void)
{
    struct msg_hello_request m = {
            .client_id = "old", .role = ROLE_CONTROLLER, .ctl_epoch = 1, .controller_id = 1};

    begin();
    m.cluster_id = ask_cluster_id();
    node_stop("controller-1");
    node_start("controller-1"); /* its epoch is 2 or more now */
    node_wait_ready("controller-1");
    (void)WEIR_OK("topic", "create", "of-the-new-epoch", "-p", "1");
    check_proven_hello_is_refused(m, ERRCODE_NOT_CONTROLLER);
    m.ctl_epoch = 0;
    check_proven_hello_is_refused(m, ERRCODE_NOT_CONTROLLER);
    m.role = ROLE_REPLICA;
    check_proven_hello_is_refused(m, ERRCODE_INVALID_REQUEST); /* of no broker */
    (void)WEIR_OK("topic", "create", "afterwards", "-p", "1"); /* The right one is still heard. */
    still_serves();
}

static void an_odd_hello_is_refused(void)
{
    char long_id[300];
    struct msg_hello_request m = {.client_id = long_id, .controller_id = -1};
    struct raw_answer a;
    struct buf garbage = {0};

    begin();
    memset(long_id, 'x', sizeof(long_id) - 1);
    long_id[sizeof(long_id) - 1] = '\0';
    check_hello_is_refused(&m, ERRCODE_INVALID_REQUEST);
    m.client_id = "proves something";
    m.auth = (struct bytes){.at = (const uint8_t *)"secret", .size = 6};
    check_hello_is_refused(&m, ERRCODE_SECURITY_DISABLED);
    struct raw *r = stranger();
    buf_append(&garbage, "\x0a\xff\xff\xff\xff\x0f", 6);
    raw_call(r, API_HELLO, &garbage, &a);
    CHECK_EQ(a.header.error, ERRCODE_INVALID_REQUEST);
    CHECK(raw_is_closed_within(r, CLOSE_MS));
    r = client(); /* A second Hello is refused, and the connection lives. */
    buf_clear(&garbage);
    raw_call(r, API_HELLO, &garbage, &a);
    CHECK_EQ(a.header.error, ERRCODE_INVALID_REQUEST);
    (void)raw_topic_id(r, "canary", NULL);
    buf_deinit(&garbage);
    still_serves();
}

/* --- Requests ----------------------------------------------------------------------------------------------------- */

static void an_unknown_api_is_answered_and_the_connection_lives(void)
{
    static const uint32_t apis[] = {9, 31, 99, UINT32_MAX};
    static const uint32_t control[] = {API_PUSH, API_BEAT, API_BROKER_READY,
            API_CONTROLLED_SHUTDOWN, API_DESCRIBE_CONFIGS, API_ALLOCATE_PRODUCER_IDS};
    struct buf body = {0};
    struct raw_answer a;

    begin();
    struct raw *r = client();
    buf_append(&body, "\xff\xff\xff", 3);
    for (size_t i = 0; i < sizeof(apis) / sizeof(apis[0]); i++) {
        raw_call(r, apis[i], &body, &a);
        CHECK_EQ(a.header.error, ERRCODE_UNSUPPORTED_VERSION);
        CHECK(strlen(a.header.detail) > 10);
        CHECK_EQ(a.body.size, 0);
    }
    for (size_t i = 0; i < sizeof(control) / sizeof(control[0]); i++) {
        raw_call(r, control[i], &body, &a);
        CHECK_EQ(a.header.error, ERRCODE_INVALID_REQUEST);
    }
    (void)raw_topic_id(r, "canary", NULL);
    buf_deinit(&body);
    still_serves();
}

static void a_body_that_does_not_decode_is_answered_and_the_connection_lives(void)
{
    static const uint32_t apis[] = {API_METADATA, API_PRODUCE, API_FETCH, API_INIT_PRODUCER_ID};
    static const char *const bodies[] = {
            "\xff",                                            /* a cut tag */
            "\x0a\x7f",                                        /* a length beyond the end */
            "\x12\x05\x0a\x03xyz",                             /* an id of 3 bytes in a partition */
            "\x07\x01\x02\x03\x04\x05",                        /* a wire type that is none */
            "\x30\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f" /* a number of 11 bytes */
    };
    struct buf body = {0};
    struct raw_answer a;
    unsigned n_refused = 0;

    begin();
    struct raw *r = client();
    for (size_t i = 0; i < sizeof(apis) / sizeof(apis[0]); i++) {
        for (size_t k = 0; k < sizeof(bodies) / sizeof(bodies[0]); k++) {
            buf_clear(&body);
            buf_append_str(&body, bodies[k]);
            raw_call(r, apis[i], &body, &a);
            if (a.header.error != 0) {
                CHECK_EQ(a.header.error, ERRCODE_INVALID_REQUEST);
                CHECK(strlen(a.header.detail) > 10);
                n_refused++;
            }
        }
        buf_clear(&body);
        buf_append_str(&body, bodies[0]);
        raw_call(r, apis[i], &body, &a);
        CHECK_EQ(a.header.error, ERRCODE_INVALID_REQUEST);
    }
    /* Field 2 is a number in none but Metadata's ids; one of them may read the third body as something legal. */
    CHECK(n_refused >= 4 * 5 - 2);
    (void)raw_topic_id(r, "canary", NULL);
    buf_deinit(&body);
    still_serves();
}

static void unknown_fields_are_skipped(void)
{
    /* Field 99 as varint, fixed64, bytes and fixed32. */
    static const uint8_t unknown[] = {0x98, 0x06, 0x05, 0x99, 0x06, 1, 2, 3, 4, 5, 6, 7, 8, 0x9a,
            0x06, 0x03, 'n', 'e', 'w', 0x9d, 0x06, 1, 2, 3, 4};
    const char *topic = "canary";
    struct msg_metadata_request m = {.topics = &topic, .n_topics = 1};
    struct msg_metadata_response answer;
    struct buf body = {0};
    struct buf header = {0};
    struct buf frame = {0};
    struct raw_answer a;

    begin();
    struct raw *r = client();
    buf_append(&body, unknown, sizeof(unknown));
    wire_encode_metadata_request(&m, &body);
    buf_append(&body, unknown, sizeof(unknown));
    buf_append(&header, "\x08\x02\x10\x4d", 4); /* api 2, correlation 77 */
    buf_append(&header, unknown, sizeof(unknown));
    buf_be32(&frame, (uint32_t)(1 + header.size + body.size));
    buf_uvarint(&frame, header.size);
    buf_append(&frame, header.data, header.size);
    buf_append(&frame, body.data, body.size);
    CHECK(raw_send(r, frame.data, frame.size));
    CHECK_EQ(raw_read(r, 10000, &a), RAW_FRAME);
    CHECK_EQ(a.header.correlation, 77);
    CHECK_EQ(a.header.error, 0);
    CHECK_EQ(wire_decode_metadata_response(a.body, a.arena, &answer), 0);
    CHECK_EQ(answer.n_topics, 1);
    CHECK_STR(answer.topics[0].name, "canary");
    buf_deinit(&body);
    buf_deinit(&header);
    buf_deinit(&frame);
    still_serves();
}

/* [BRK-31] 10 KB of questions must not be answered with a thousand copies of the topic. */
static void a_topic_named_a_thousand_times_is_not_answered_a_thousand_times(void)
{
    const char *names[1000];
    struct msg_metadata_request m = {.topics = names, .n_topics = 1000};
    struct buf body = {0};
    struct raw_answer a;

    begin();
    (void)WEIR_OK("topic", "create", "wide", "-p", "1000", "--if-not-exists");
    struct raw *r = client();
    (void)raw_topic_id(r, "wide", NULL);
    for (int i = 0; i < 1000; i++) {
        names[i] = "wide";
    }
    wire_encode_metadata_request(&m, &body);
    process_forget_peak(broker_pid);
    uint64_t before = process_resident(broker_pid);
    int64_t start = check_now_ms();
    raw_call(r, API_METADATA, &body, &a);
    int64_t took = check_now_ms() - start;
    uint64_t more = process_peak(broker_pid) - before;
    printf("# %zu bytes asked, %zu KiB answered, %lld ms, %llu MiB at the peak\n", body.size,
            a.body.size / 1024, (long long)took, (unsigned long long)more / MIB);
    buf_deinit(&body);
    CHECK_EQ(a.header.error, ERRCODE_INVALID_REQUEST);
    CHECK(strlen(a.header.detail) > 10);
    CHECK(more < 64 * MIB);
    still_serves();
}

/* [BRK-31] Each is within the limits; a connection that asks so many waits for its turns and the others do not wait
 * for it. */
static void very_many_metadata_questions_hold_up_nobody(void)
{
    enum {
        N_QUESTIONS = 5000 /* of about 10 KiB of answer each */
    };

    const char *name = "wide";
    struct msg_metadata_request m = {.topics = &name, .n_topics = 1};
    struct buf body = {0};
    struct buf frames = {0};
    struct raw_answer a;

    begin();
    (void)WEIR_OK("topic", "create", "wide", "-p", "1000", "--if-not-exists");
    struct raw *r = client();
    (void)raw_topic_id(r, "wide", NULL);
    wire_encode_metadata_request(&m, &body);
    for (uint32_t i = 0; i < N_QUESTIONS; i++) {
        raw_frame(&frames, API_METADATA, 1000 + i,
                (struct bytes){.at = body.data, .size = body.size});
    }
    raw_shrink_receive_buffer(r, 65536);
    uint64_t before = process_resident(broker_pid);
    CHECK(raw_send(r, frames.data, frames.size));
    int64_t worst = 0;
    for (int i = 0; i < 8; i++) {
        int64_t start = check_now_ms();
        raw_round_trip(broker_port(1), "canary");
        int64_t took = check_now_ms() - start;
        worst = took > worst ? took : worst;
    }
    int64_t more = (int64_t)(process_resident(broker_pid) - before);
    printf("# others at the worst %lld ms, %lld KiB more resident\n", (long long)worst,
            (long long)more / 1024);
    CHECK(worst < 1000);
    CHECK(more < QUARANTINE);
    for (uint32_t i = 0; i < N_QUESTIONS; i++) {
        CHECK_EQ(raw_read(r, 20000, &a), RAW_FRAME);
        CHECK_EQ(a.header.error, 0);
        CHECK_EQ(a.header.correlation, 1000 + i);
    }
    buf_deinit(&body);
    buf_deinit(&frames);
    still_serves();
}

static void an_answer_that_nobody_asked_for_harms_nobody(void)
{
    struct buf frame = {0};

    begin();
    struct raw *r = client();
    raw_frame(&frame, API_ANSWER, 12345, (struct bytes){0});
    for (int i = 0; i < 100 && raw_send(r, frame.data, frame.size); i++) {
    }
    buf_deinit(&frame);
    still_serves();
}

/* --- Produce ------------------------------------------------------------------------------------------------------ */

/* One bad batch: refused with that error and a sentence, on a connection that lives. */
static void check_refused(struct raw *r, const struct uuid *id, const struct buf *batch, int error)
{
    struct msg_produce_result result = raw_produce(r, -1, id, 0, batch);

    CHECK_EQ(result.error, error);
    CHECK(strlen(result.detail) > 10);
    CHECK_EQ(result.base_offset, OFFSET_NONE);
}

static void good_batch(struct buf *out)
{
    buf_clear(out);
    raw_batch(out, 3, "a value", 7);
}

static void a_batch_that_is_not_right_is_refused(void)
{
    struct buf b = {0};

    begin();
    struct raw *r = client();
    struct uuid id = raw_topic_id(r, "refuse", NULL);
    offset64 end = raw_end_offset(r, &id, 0);

    good_batch(&b);
    b.data[b.size - 2] ^= 1; /* a record's byte */
    check_refused(r, &id, &b, ERRCODE_CORRUPT_MESSAGE);
    good_batch(&b);
    b.data[17] ^= 0x80; /* the checksum's */
    check_refused(r, &id, &b, ERRCODE_CORRUPT_MESSAGE);
    good_batch(&b);
    store_be32(b.data + 57, 4); /* the count alone */
    raw_batch_mend_crc(b.data, b.size);
    check_refused(r, &id, &b, ERRCODE_INVALID_RECORD);
    store_be32(b.data + 57, 0);
    raw_batch_mend_crc(b.data, b.size);
    check_refused(r, &id, &b, ERRCODE_INVALID_RECORD);
    store_be32(b.data + 57, UINT32_MAX);
    store_be32(b.data + 23, UINT32_MAX - 1); /* the last delta agrees */
    raw_batch_mend_crc(b.data, b.size);
    check_refused(r, &id, &b, ERRCODE_INVALID_RECORD);
    good_batch(&b);
    b.data[16] = 1; /* magic */
    check_refused(r, &id, &b, ERRCODE_CORRUPT_MESSAGE);
    good_batch(&b);
    b.data[22] |= BATCH_CONTROL;
    raw_batch_mend_crc(b.data, b.size);
    check_refused(r, &id, &b, ERRCODE_INVALID_RECORD);
    good_batch(&b);
    b.data[22] |= 5; /* no such compression */
    raw_batch_mend_crc(b.data, b.size);
    check_refused(r, &id, &b, ERRCODE_UNSUPPORTED_COMPRESSION_TYPE);
    CHECK_EQ(raw_end_offset(r, &id, 0), end);
    buf_deinit(&b);
    still_serves();
}

static void records_that_are_not_one_batch_are_refused(void)
{
    static const uint32_t lengths[] = {0, 48, 1000, INT32_MAX, 0x80000000, UINT32_MAX};
    struct buf b = {0};

    begin();
    struct raw *r = client();
    struct uuid id = raw_topic_id(r, "refuse", NULL);
    offset64 end = raw_end_offset(r, &id, 0);

    good_batch(&b);
    raw_batch(&b, 2, "a second batch", 14);
    check_refused(r, &id, &b, ERRCODE_INVALID_RECORD);
    for (size_t size = 0; size < 80; size += size < 10 ? 1 : 17) { /* also none at all */
        struct msg_produce_result result;
        good_batch(&b);
        b.size = size;
        result = raw_produce(r, 1, &id, 0, &b);
        CHECK(result.error == ERRCODE_CORRUPT_MESSAGE || result.error == ERRCODE_INVALID_RECORD);
        CHECK(strlen(result.detail) > 10);
    }
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        good_batch(&b);
        store_be32(b.data + 8, lengths[i]);
        check_refused(r, &id, &b, ERRCODE_CORRUPT_MESSAGE);
    }
    CHECK_EQ(raw_end_offset(r, &id, 0), end);
    buf_deinit(&b);
    still_serves();
}

static void a_batch_above_max_message_bytes_is_refused(void)
{
    uint8_t *value = mem_alloc(2 * MIB);
    struct buf b = {0};

    begin();
    struct raw *r = client();
    struct uuid id = raw_topic_id(r, "refuse", NULL);
    offset64 end = raw_end_offset(r, &id, 0);
    raw_batch(&b, 1, value, 1048588);
    check_refused(r, &id, &b, ERRCODE_MESSAGE_TOO_LARGE);
    buf_clear(&b);
    raw_batch(&b, 30, value, 2 * MIB);
    check_refused(r, &id, &b, ERRCODE_MESSAGE_TOO_LARGE);
    CHECK_EQ(raw_end_offset(r, &id, 0), end);
    buf_clear(&b);
    raw_batch(&b, 1, value, 1048588 - 100);
    CHECK_EQ(raw_produce(r, -1, &id, 0, &b).error, 0);
    mem_free(value);
    buf_deinit(&b);
    still_serves();
}

static void acks_that_do_not_exist_are_refused(void)
{
    static const int32_t acks[] = {7, 2, -2, INT32_MIN, INT32_MAX};
    struct buf batch = {0};
    struct buf body = {0};
    struct raw_answer a;

    begin();
    struct raw *r = client();
    struct uuid id = raw_topic_id(r, "refuse", NULL);
    offset64 end = raw_end_offset(r, &id, 0);
    good_batch(&batch);
    struct msg_produce_partition part = {
            .topic_id = id, .records = {.at = batch.data, .size = batch.size}};
    for (size_t i = 0; i < sizeof(acks) / sizeof(acks[0]); i++) {
        struct msg_produce_response answer = {0};
        buf_clear(&body);
        raw_encode_produce(&body, acks[i], &part, 1);
        raw_call(r, API_PRODUCE, &body, &a);
        int error = a.header.error;
        const char *detail = a.header.detail;
        if (error == 0) { /* It may also say it at the partition. */
            CHECK_EQ(wire_decode_produce_response(a.body, a.arena, &answer), 0);
            CHECK_EQ(answer.n_partitions, 1);
            error = answer.partitions[0].error;
            detail = answer.partitions[0].detail;
        }
        CHECK_EQ(error, ERRCODE_INVALID_REQUIRED_ACKS);
        CHECK(strlen(detail) > 10);
    }
    CHECK_EQ(raw_end_offset(r, &id, 0), end);
    buf_deinit(&batch);
    buf_deinit(&body);
    still_serves();
}

static void partitions_that_are_not_there_are_refused(void)
{
    struct buf batch = {0};

    begin();
    struct raw *r = client();
    struct uuid id = raw_topic_id(r, "refuse", NULL);
    struct uuid unknown = id;
    unknown.bytes[3] ^= 0x40;
    good_batch(&batch);
    struct msg_produce_result result = raw_produce(r, -1, &unknown, 0, &batch);
    CHECK_EQ(result.error, ERRCODE_UNKNOWN_TOPIC_ID);
    CHECK(strlen(result.detail) > 10);
    static const int32_t numbers[] = {2, 1000, INT32_MAX};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        result = raw_produce(r, -1, &id, numbers[i], &batch);
        CHECK_EQ(result.error, ERRCODE_UNKNOWN_TOPIC_OR_PARTITION);
        CHECK(strlen(result.detail) > 10);
    }
    struct msg_list_offsets_result list = raw_list_offset(r, &unknown, 0, LIST_LATEST);
    CHECK_EQ(list.error, ERRCODE_UNKNOWN_TOPIC_ID);
    list = raw_list_offset(r, &id, 2, LIST_LATEST);
    CHECK_EQ(list.error, ERRCODE_UNKNOWN_TOPIC_OR_PARTITION);
    list = raw_list_offset(r, &id, 0, -4);
    CHECK_EQ(list.error, ERRCODE_INVALID_REQUEST);
    CHECK(strlen(list.detail) > 10);
    buf_deinit(&batch);
    still_serves();
}

/* [BRK-33] */
static void the_same_partition_twice_in_a_produce_is_refused(void)
{
    struct buf batch = {0};
    struct buf body = {0};
    struct raw_answer a;

    begin();
    struct raw *r = client();
    struct uuid id = raw_topic_id(r, "refuse", NULL);
    offset64 end = raw_end_offset(r, &id, 1);
    good_batch(&batch);
    struct msg_produce_partition part = {
            .topic_id = id, .partition = 1, .records = {.at = batch.data, .size = batch.size}};
    struct msg_produce_partition parts[] = {part, part};
    raw_encode_produce(&body, -1, parts, 2);
    raw_call(r, API_PRODUCE, &body, &a);
    CHECK_EQ(a.header.error, ERRCODE_INVALID_REQUEST);
    CHECK(strlen(a.header.detail) > 10);
    struct msg_produce_partition apart[] = {part, part, part};
    apart[1].partition = 0;
    buf_clear(&body);
    raw_encode_produce(&body, -1, apart, 3);
    raw_call(r, API_PRODUCE, &body, &a);
    CHECK_EQ(a.header.error, ERRCODE_INVALID_REQUEST);
    CHECK_EQ(raw_end_offset(r, &id, 1), end); /* Not even once. */
    buf_deinit(&batch);
    buf_deinit(&body);
    still_serves();
}

static void one_bad_partition_does_not_spoil_the_others(void)
{
    struct msg_produce_response answer;
    struct buf good = {0};
    struct buf bad = {0};
    struct buf body = {0};
    struct raw_answer a;

    begin();
    struct raw *r = client();
    struct uuid id = raw_topic_id(r, "refuse", NULL);
    offset64 end[2] = {raw_end_offset(r, &id, 0), raw_end_offset(r, &id, 1)};
    good_batch(&good);
    good_batch(&bad);
    bad.data[20] ^= 1;
    struct msg_produce_partition parts[] = {
            {.topic_id = id, .partition = 0, .records = {.at = bad.data, .size = bad.size}},
            {.topic_id = id, .partition = 1, .records = {.at = good.data, .size = good.size}}};
    raw_encode_produce(&body, -1, parts, 2);
    raw_call(r, API_PRODUCE, &body, &a);
    CHECK_EQ(a.header.error, 0);
    CHECK_EQ(wire_decode_produce_response(a.body, a.arena, &answer), 0);
    CHECK_EQ(answer.n_partitions, 2);
    CHECK_EQ(answer.partitions[0].error, ERRCODE_CORRUPT_MESSAGE);
    CHECK_EQ(answer.partitions[1].error, 0);
    CHECK_EQ(answer.partitions[1].base_offset, end[1]);
    CHECK_EQ(raw_end_offset(r, &id, 0), end[0]);
    CHECK_EQ(raw_end_offset(r, &id, 1), end[1] + 3);
    buf_deinit(&good);
    buf_deinit(&bad);
    buf_deinit(&body);
    still_serves();
}

static void a_refused_produce_without_acks_closes_the_connection(void)
{
    struct buf batch = {0};
    struct buf body = {0};
    struct buf frame = {0};

    begin();
    struct raw *r = client();
    struct uuid id = raw_topic_id(r, "refuse", NULL);
    offset64 end = raw_end_offset(r, &id, 0);
    good_batch(&batch);
    batch.data[20] ^= 1;
    struct msg_produce_partition part = {
            .topic_id = id, .records = {.at = batch.data, .size = batch.size}};
    raw_encode_produce(&body, 0, &part, 1);
    for (uint32_t i = 0; i < 200; i++) { /* Many behind the refused one. */
        raw_frame(&frame, API_PRODUCE, 100 + i, (struct bytes){.at = body.data, .size = body.size});
    }
    (void)raw_send(r, frame.data, frame.size); /* it may be closed before the end */
    CHECK(raw_is_closed_within(r, CLOSE_MS));
    r = client();
    CHECK_EQ(raw_end_offset(r, &id, 0), end);
    buf_deinit(&batch);
    buf_deinit(&body);
    buf_deinit(&frame);
    still_serves();
}

static void an_empty_produce_is_answered(void)
{
    struct msg_produce_response answer;
    struct buf body = {0};
    struct raw_answer a;

    begin();
    struct raw *r = client();
    raw_encode_produce(&body, -1, NULL, 0);
    raw_call(r, API_PRODUCE, &body, &a);
    if (a.header.error == 0) {
        CHECK_EQ(wire_decode_produce_response(a.body, a.arena, &answer), 0);
        CHECK_EQ(answer.n_partitions, 0);
    } else {
        CHECK_EQ(a.header.error, ERRCODE_INVALID_REQUEST);
    }
    buf_deinit(&body);
    still_serves();
}

/* --- Afterwards --------------------------------------------------------------------------------------------------- */

static void commands_still_work_and_the_broker_ends_clean(void)
{
    struct run_result r = {0};

    begin();
    still_serves();
    WEIR_WITH(&r, (&(struct run_options){.input = "last line\n"}), "produce", "canary");
    CHECK_EQ(r.code, 0);
    CHECK_STR(WEIR_OK("consume", "canary", "-o", "-1", "--exit-at-end"), "last line\n");
    CHECK(!node_log_has("broker-1", "level=error"));
    run_result_deinit(&r);
    cluster_down();
}

static const struct check_case cases[] = {
        CASE(a_frame_of_length_0_closes_the_connection),
        CASE(a_frame_above_the_limit_closes_at_once),
        CASE(an_announced_frame_takes_no_memory_until_it_comes),
        CASE(strangers_cannot_make_the_broker_keep_much),
        CASE(silent_connections_do_not_shut_out_those_that_speak),
        CASE(a_truncated_frame_is_forgotten),
        CASE(garbage_harms_nobody),
        CASE(an_http_request_on_the_rpc_port_is_closed),
        CASE(an_rpc_frame_on_the_http_port_harms_nobody),
        CASE(anything_before_hello_is_closed),
        CASE(a_hello_of_another_cluster_is_refused),
        CASE(a_controller_of_a_past_epoch_is_refused),
        CASE(an_odd_hello_is_refused),
        CASE(an_unknown_api_is_answered_and_the_connection_lives),
        CASE(a_body_that_does_not_decode_is_answered_and_the_connection_lives),
        CASE(unknown_fields_are_skipped),
        CASE(a_topic_named_a_thousand_times_is_not_answered_a_thousand_times),
        CASE(very_many_metadata_questions_hold_up_nobody),
        CASE(an_answer_that_nobody_asked_for_harms_nobody),
        CASE(a_batch_that_is_not_right_is_refused),
        CASE(records_that_are_not_one_batch_are_refused),
        CASE(a_batch_above_max_message_bytes_is_refused),
        CASE(acks_that_do_not_exist_are_refused),
        CASE(partitions_that_are_not_there_are_refused),
        CASE(the_same_partition_twice_in_a_produce_is_refused),
        CASE(one_bad_partition_does_not_spoil_the_others),
        CASE(a_refused_produce_without_acks_closes_the_connection),
        CASE(an_empty_produce_is_answered),
        CASE(commands_still_work_and_the_broker_ends_clean),
};

CHECK_MAIN("wire_input", cases)
