/* SPDX-License-Identifier: Apache-2.0 */
/* A broker that reads what an earlier run wrote: on disks that are slow, and where bits have
 * flipped. */
#include "tests/cluster/broker_world.h"

#include "common/base/mem.h"
#include "common/domain/errcode.h"
#include "tests/lib/faults.h"
#include "tests/lib/cluster.h"
#include "tests/lib/raw.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    COLD = 2, /* the topic with segments of 1 MiB */
    BATCHES = 12,
    VALUE_SIZE = 300 * 1000, /* 3 batches a segment */
    DELAY_MS = 600,          /* a read from disk */
};

/* Of the first record of this program's; not so long ago that retention takes it. */
static wall_ms began(void)
{
    static wall_ms at;

    at = at == 0 ? (wall_ms)time(NULL) * 1000 : at;
    return at;
}

static void produce_cold(struct world *w, int n)
{
    char *value = mem_alloc(VALUE_SIZE + 1);
    struct buf batch = {0};

    memset(value, 'v', VALUE_SIZE);
    for (int i = 0; i < n; i++) {
        build_batch(&batch, value, 1, began() + i);
        CHECK_EQ(produce_bytes(w, COLD, -1, &batch).error, ERRCODE_NONE);
        buf_deinit(&batch);
    }
    (void)mem_free(value);
}

/* "orders" with a few records, "cold" with 4 segments; the broker was stopped in order. */
static struct world *world_stopped(const char *more)
{
    struct world *w = world_new(true);

    begin_faults();
    w->more = more;
    world_serve(w);
    create_topic(w, COLD, "cold", 1, "segment.bytes", "1048576");
    CHECK_EQ(produce(w, -1, "x", 3, began()).error, ERRCODE_NONE);
    produce_cold(w, BATCHES);
    CHECK_EQ(stop_broker(w, SIGTERM), 0);
    w->client = w->controller = NULL;
    return w;
}

static void start_again(struct world *w)
{
    start_broker(w);
    connect_controller(w);
    admit_broker(w);
    connect_client(w);
}

/* How many bytes of records come from that offset of "cold" on; the error in *ret_error. */
static size_t fetch_cold(struct world *w, offset64 offset, int *ret_error)
{
    struct msg_fetch_result f;
    struct reply r;
    size_t size;

    call(w, w->client, API_FETCH, fetch_out(COLD, offset, 0, 1, EPOCH_NONE), &r);
    f = fetched(&r);
    size = f.records.size;
    *ret_error = f.error;
    for (size_t at = 0; at < size;) {
        struct batch b;

        CHECK_EQ(batch_parse(f.records.at + at, size - at, &b), 0);
        CHECK(batch_crc_is_right(&b));
        CHECK(at > 0 || b.base_offset == offset);
        at += b.size;
    }
    CHECK(f.error == ERRCODE_NONE || f.detail[0] != '\0');
    reply_free(&r);
    return size;
}

/* Flips a bit in the middle of the `n`th segment of "cold"; its path in `ret`. */
static void flip_in_segment(struct world *w, int n, char *ret, size_t size)
{
    uint8_t byte = 0;
    int fd;

    (void)snprintf(ret, size, "%s/cold-0/%020d.log", w->dir, n * 3);
    fd = open(ret, O_RDWR | O_CLOEXEC);
    CHECK(fd >= 0);
    CHECK_EQ(pread(fd, &byte, 1, VALUE_SIZE + VALUE_SIZE / 2), 1); /* its second batch */
    byte ^= 0x10;
    CHECK_EQ(pwrite(fd, &byte, 1, VALUE_SIZE + VALUE_SIZE / 2), 1);
    CHECK_EQ(close(fd), 0);
}

/* [LOG-82] [LOG-84] On the only data loop others are answered while a read from disk takes long. */
static void a_slow_cold_read_delays_nobody_else(void)
{
    struct world *w = world_stopped("num.network.threads=1");
    char value[] = "small";
    struct buf batch = {0};
    struct reply r = {0};
    int64_t asked;

    start_again(w);
    build_batch(&batch, value, 1, began());
    set_faults("read delay 600 /cold-0/\n");
    asked = check_now_ms();
    ask(w, w->client, API_FETCH, fetch_out(COLD, 0, 0, 1, EPOCH_NONE), &r);
    for (int i = 0; i < 10; i++) {
        CHECK_EQ(produce(w, -1, "x", 1, began()).error, ERRCODE_NONE);
        CHECK_EQ(consume(w, 0, "x"), 4 + i);
        CHECK_EQ(produce_bytes(w, COLD, -1, &batch).error, ERRCODE_NONE); /* the same partition */
    }
    CHECK(check_now_ms() - asked < DELAY_MS);
    CHECK(!r.is_there);
    CHECK(run_until(w, &r.is_there, ANSWER_MS)); /* max_wait_ms is 0, and still it has the data */
    CHECK(check_now_ms() - asked >= DELAY_MS);
    CHECK(fetched(&r).records.size > 3 * VALUE_SIZE);
    reply_free(&r);
    set_faults("");
    buf_deinit(&batch);
    world_free(w);
}

/* [LOG-82] As before, with what was checked already and has left the memory since. */
static void what_left_the_memory_is_cold_again(void)
{
    struct world *w = world_stopped("num.network.threads=1");
    struct reply r = {0};
    int error = -1;

    start_again(w);
    CHECK(fetch_cold(w, 0, &error) > 3 * VALUE_SIZE);
    set_faults("hot fail 11 /cold-0/\nread delay 600 /cold-0/\n");
    int64_t asked = check_now_ms();
    ask(w, w->client, API_FETCH, fetch_out(COLD, 0, 0, 1, EPOCH_NONE), &r);
    for (int i = 0; i < 10; i++) {
        CHECK_EQ(produce(w, -1, "x", 1, began()).error, ERRCODE_NONE);
        CHECK_EQ(consume(w, 0, "x"), 4 + i);
    }
    CHECK(check_now_ms() - asked < DELAY_MS);
    CHECK(!r.is_there);
    CHECK(run_until(w, &r.is_there, ANSWER_MS));
    CHECK(fetched(&r).records.size > 3 * VALUE_SIZE);
    reply_free(&r);
    set_faults("");
    world_free(w);
}

/* A fetch of "cold" and of "orders" from their begins; how much each gives. */
static void fetch_both(struct world *w, size_t *ret_cold, size_t *ret_orders)
{
    struct uuid ids[2] = {topic_id(COLD), topic_id(1)};
    struct msg_fetch_partition parts[2];
    struct msg_fetch_response m = {0};
    struct raw *r = raw_client(w->port);
    struct raw_answer a;
    struct buf body = {0};

    for (int i = 0; i < 2; i++) {
        parts[i] = raw_fetch_from(&ids[i], 0, 0);
        parts[i].max_bytes = 1024 * 1024;
    }
    raw_encode_fetch(&body, 20000, 1, 8 * 1024 * 1024, parts, 2);
    raw_call(r, API_FETCH, &body, &a);
    raw_decode_fetch(&a, &m);
    CHECK_EQ(m.n_partitions, 2);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(m.partitions[i].error, ERRCODE_NONE);
    }
    *ret_cold = m.partitions[0].records.size;
    *ret_orders = m.partitions[1].records.size;
    buf_deinit(&body);
    (void)raw_close(r);
}

/* [LOG-84] A disk that does not answer: the fetch is answered with what others give, or without
 * data, and a later one has it. */
static void a_fetch_does_not_wait_for_ever(void)
{
    struct world *w = world_stopped("num.network.threads=1");
    size_t n_cold = 0, n_orders = 0;
    int error = -1;

    start_again(w);
    set_faults("read hang 0 /cold-0/\n");
    int64_t asked = check_now_ms();
    fetch_both(w, &n_cold, &n_orders);
    CHECK_EQ(n_cold, 0);
    CHECK(n_orders > 0);
    CHECK(check_now_ms() - asked < 4000);
    asked = check_now_ms();
    CHECK_EQ(fetch_cold(w, 0, &error), 0);
    CHECK_EQ(error, ERRCODE_NONE);
    CHECK(check_now_ms() - asked >= 4500);
    set_faults("");
    CHECK(fetch_cold(w, 0, &error) > 3 * VALUE_SIZE);
    fetch_both(w, &n_cold, &n_orders);
    CHECK(n_cold > 3 * VALUE_SIZE);
    CHECK(n_orders > 0);
    world_free(w);
}

/* [LOG-81] [LOG-83] What is right before it is served, the batch itself never; the replica
 * fails, others do not. */
static void a_flipped_bit_is_never_served(void)
{
    struct world *w = world_stopped(NULL);
    char path[512];
    struct stat before, after;
    size_t size;
    int error = -1;

    flip_in_segment(w, 1, path, sizeof(path));
    CHECK_EQ(stat(path, &before), 0);
    start_again(w);
    size = fetch_cold(w, 0, &error);
    CHECK_EQ(error, ERRCODE_NONE);
    CHECK(size > 3 * VALUE_SIZE && size < 4 * VALUE_SIZE);
    size = fetch_cold(w, 3, &error);
    CHECK_EQ(error, ERRCODE_NONE);
    CHECK(size > VALUE_SIZE && size < 2 * VALUE_SIZE); /* the one before */
    CHECK_EQ(fetch_cold(w, 4, &error), 0);
    CHECK_EQ(error, ERRCODE_KAFKA_STORAGE_ERROR);
    CHECK_EQ(fetch_cold(w, 4, &error), 0);
    CHECK_EQ(error, ERRCODE_KAFKA_STORAGE_ERROR);
    CHECK(file_has(w->log, "event=log_damaged"));
    CHECK(file_has(w->log, "00000000000000000003.log position="));
    CHECK(file_has(w->log, "offset=4 "));
    CHECK(file_has(w->log, "event=replica_failed"));
    CHECK_EQ(consume(w, 0, "x"), 3);
    CHECK_EQ(produce(w, -1, "x", 1, began()).error, ERRCODE_NONE);
    CHECK_EQ(stat(path, &after), 0);
    CHECK_EQ(after.st_size, before.st_size); /* never cut */
    world_free(w);
}

/* [LOG-83] A look-up by time meets it as well. */
static void a_look_up_by_time_finds_a_flipped_bit(void)
{
    struct world *w = world_stopped(NULL);
    struct uuid id = topic_id(COLD);
    struct raw *r;
    char path[512];
    int error = -1;

    flip_in_segment(w, 1, path, sizeof(path));
    start_again(w);
    r = raw_client(w->port);
    CHECK_EQ(raw_list_offset(r, &id, 0, began()).error, ERRCODE_NONE); /* the first batch has it */
    CHECK_EQ(raw_list_offset(r, &id, 0, began() + 4).error, ERRCODE_KAFKA_STORAGE_ERROR);
    (void)raw_close(r);
    CHECK_EQ(fetch_cold(w, 0, &error), 0);
    CHECK_EQ(error, ERRCODE_KAFKA_STORAGE_ERROR);
    CHECK(file_has(w->log, "event=log_damaged"));
    CHECK_EQ(consume(w, 0, "x"), 3);
    world_free(w);
}

/* A metric of the broker; -1 = it is not there. */
static long long metric(struct world *w, const char *name)
{
    const char *at;
    long long value = -1;
    struct buf body = {0};

    if (http_request(w->http_port, "GET", "/metrics", NULL, false, &body) == 200) {
        for (at = buf_str(&body); at != NULL && *at != '\0'; at = strchr(at, '\n')) {
            at += *at == '\n' ? 1 : 0;
            if (strncmp(at, name, strlen(name)) == 0 && at[strlen(name)] == ' ') {
                value = atoll(at + strlen(name) + 1);
            }
        }
    }
    buf_deinit(&body);
    return value;
}

/* [LOG-90] [LOG-93] What nobody reads is looked at as well. */
static void the_scrubber_finds_what_nobody_reads(void)
{
    struct world *w = world_stopped("weir.scrub.bytes.per.second=100000000");
    char path[512];
    struct buf batch = {0};
    int error = -1;

    (void)snprintf(path, sizeof(path), "%s/cold-0/%020d.index", w->dir, 0);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    CHECK(fd >= 0);
    CHECK_EQ(pwrite(fd, "\1", 1, 7), 1); /* the place of an entry, so that it leads nowhere */
    CHECK_EQ(close(fd), 0);
    flip_in_segment(w, 1, path, sizeof(path));
    start_again(w);
    CHECK_WITHIN(ANSWER_MS, file_has(w->log, "event=replica_failed"));
    CHECK(file_has(w->log, "event=index_rebuilt"));
    CHECK(file_has(w->log, "00000000000000000003.log position="));
    CHECK_WITHIN(ANSWER_MS, metric(w, "weir_broker_scrub_errors_total") == 2);
    CHECK(metric(w, "weir_broker_scrubbed_bytes_total") > 4 * VALUE_SIZE);
    CHECK_EQ(fetch_cold(w, 0, &error), 0);
    CHECK_EQ(error, ERRCODE_KAFKA_STORAGE_ERROR);
    build_batch(&batch, "x", 1, began());
    CHECK_EQ(produce_bytes(w, COLD, -1, &batch).error, ERRCODE_KAFKA_STORAGE_ERROR);
    CHECK_EQ(consume(w, 0, "x"), 3);
    CHECK_EQ(stop_broker(w, SIGTERM), 0);
    (void)snprintf(path, sizeof(path), "%s/scrub.cursor", w->dir);
    CHECK_EQ(access(path, R_OK), 0); /* [LOG-91] */
    buf_deinit(&batch);
    world_free(w);
}

enum {
    ANSWERS = 30, /* of 900 KB each: far more than sockets take */
};

/* A client that asks for the records of "cold" from `offset` on again and again, and reads
 * nothing yet; all is answered. */
static struct raw *ask_and_do_not_read(struct world *w, offset64 offset)
{
    struct uuid id = topic_id(COLD);
    struct msg_fetch_partition p = raw_fetch_from(&id, 0, offset);
    long long before = metric(w, "weir_broker_fetch_requests_total");
    struct raw *r = raw_client(w->port);
    struct buf body = {0};

    raw_shrink_receive_buffer(r, 16 * 1024);
    p.max_bytes = 1024 * 1024;
    raw_encode_fetch(&body, 1000, 1, 1024 * 1024, &p, 1);
    for (int i = 0; i < ANSWERS; i++) {
        (void)raw_ask(r, API_FETCH, &body);
    }
    buf_deinit(&body);
    CHECK_WITHIN(ANSWER_MS, metric(w, "weir_broker_fetch_requests_total") >= before + ANSWERS);
    return r;
}

/* How many whole answers with right records come before the end. */
static int read_answers(struct raw *r, enum raw_got *ret_last)
{
    struct raw_answer a;
    int n = 0;

    while (n < ANSWERS && (*ret_last = raw_read(r, ANSWER_MS, &a)) == RAW_FRAME) {
        struct msg_fetch_response m = {0};
        struct bytes left;

        raw_decode_fetch(&a, &m);
        CHECK_EQ(m.n_partitions, 1);
        left = m.partitions[0].records;
        CHECK(left.size > 3 * VALUE_SIZE);
        while (left.size > 0) {
            struct batch b;

            CHECK_EQ(batch_parse(left.at, left.size, &b), 0);
            CHECK(batch_crc_is_right(&b));
            left.at += b.size;
            left.size -= b.size;
        }
        n++;
    }
    return n;
}

/* Unlinks the segments of "cold", as retention and the purge of the trash do. */
static void unlink_segments(struct world *w)
{
    char path[512];

    for (int n = 0; n < BATCHES; n += 3) {
        (void)snprintf(path, sizeof(path), "%s/cold-0/%020d.log", w->dir, n);
        CHECK_EQ(unlink(path), 0);
    }
}

/* [LOG-87] A slow reader's answer is whole although its topic is gone from the disk. */
static void an_answer_under_way_outlives_its_files(void)
{
    struct world *w = world_new(true);
    struct meta_record record = {.kind = META_REMOVE_TOPIC};
    enum raw_got last = RAW_CLOSED;
    char path[512];

    world_serve(w);
    create_topic(w, COLD, "cold", 1, "segment.bytes", "1048576");
    produce_cold(w, BATCHES);
    struct raw *r = ask_and_do_not_read(w, 0);
    unlink_segments(w);
    record.remove_topic.id = topic_id(COLD);
    commit(w, &record, 1);
    push(w);
    (void)snprintf(path, sizeof(path), "%s/cold-0", w->dir);
    CHECK_WITHIN(ANSWER_MS, access(path, F_OK) != 0);
    CHECK_EQ(read_answers(r, &last), ANSWERS);
    (void)raw_close(r);
    world_free(w);
}

/* [LOG-87] Nothing stands for bytes that are not there any more: the connection ends, others go
 * on. */
static void a_file_that_became_shorter_ends_the_answer(void)
{
    struct world *w = world_new(true);
    enum raw_got last = RAW_FRAME;
    char path[512];

    world_serve(w);
    create_topic(w, COLD, "cold", 1, "segment.bytes", "1048576");
    produce_cold(w, BATCHES);
    CHECK_EQ(produce(w, -1, "x", 3, began()).error, ERRCODE_NONE);
    struct raw *r = ask_and_do_not_read(w, 3);
    (void)snprintf(path, sizeof(path), "%s/cold-0/%020d.log", w->dir, 3);
    CHECK_EQ(truncate(path, 64 * 4096),
            0); /* the begin of a page: what is in sockets stays as it is */
    CHECK(read_answers(r, &last) < ANSWERS);
    CHECK_EQ(last, RAW_CLOSED);
    (void)raw_close(r);
    CHECK_EQ(consume(w, 0, "x"), 3);
    world_free(w);
}

static const struct check_case cases[] = {
        CASE(a_slow_cold_read_delays_nobody_else),
        CASE(what_left_the_memory_is_cold_again),
        CASE(a_fetch_does_not_wait_for_ever),
        CASE(a_flipped_bit_is_never_served),
        CASE(a_look_up_by_time_finds_a_flipped_bit),
        CASE(the_scrubber_finds_what_nobody_reads),
        CASE(an_answer_under_way_outlives_its_files),
        CASE(a_file_that_became_shorter_ends_the_answer),
        CASE(stop_zookeeper),
};
CHECK_MAIN("reading", cases)
