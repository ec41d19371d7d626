/* SPDX-License-Identifier: Apache-2.0 */
/* Producers that write once, asked by hand: repeats, gaps and old epochs, across kills and
 * restarts, with and without the snapshots on disk; and ids that nobody gets twice, whichever
 * broker and controller gives them. */
#include "tests/lib/check.h"
#include "tests/lib/cluster.h"
#include "tests/lib/raw.h"

#include "common/base/array.h"
#include "common/base/mem.h"
#include "common/domain/errcode.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
    SETTLE_MS = 20000,
    BIG_VALUE = 300 * 1024 /* four of them roll a segment of a MiB */
};

/* --- Asking ----------------------------------------------------------------------------------- */

static void ask_id(struct raw *r, const char *transactional_id, int64_t id, uint32_t timeout_ms)
{
    struct msg_init_producer_id_request m = {
            .transactional_id = transactional_id, .producer_id = id, .producer_epoch = -1};
    struct frame_header h = {
            .api = API_INIT_PRODUCER_ID, .correlation = 1, .timeout_ms = timeout_ms};
    struct buf body = {0}, frame = {0};

    h.detail = "";
    wire_encode_init_producer_id_request(&m, &body);
    frame_begin(&frame, &h, body.size);
    buf_append(&frame, body.data, body.size);
    CHECK(raw_send(r, frame.data, frame.size));
    buf_deinit(&body);
    buf_deinit(&frame);
}

/* The answer's id, or minus its error. */
static int64_t read_id(struct raw *r)
{
    struct msg_init_producer_id_response m;
    struct raw_answer a;

    CHECK_EQ(raw_read(r, SETTLE_MS, &a), RAW_FRAME);
    if (a.header.error != 0) {
        CHECK(strlen(a.header.detail) > 20);
        return -a.header.error;
    }
    CHECK_EQ(wire_decode_init_producer_id_response(a.body, a.arena, &m), 0);
    CHECK(m.producer_id >= 0);
    CHECK_EQ(m.producer_epoch, 0);
    return m.producer_id;
}

static int64_t new_id(struct raw *r)
{
    ask_id(r, "", -1, 0);
    int64_t id = read_id(r);
    CHECK(id >= 0);
    return id;
}

struct sent {
    int64_t id;
    int16_t epoch;
    int32_t first;
    int n;
    uint16_t attributes;
    size_t value_size;
};

static void encode(struct buf *out, const struct sent *s)
{
    struct batch_build_options o = {.producer_id = s->id,
            .producer_epoch = s->epoch,
            .base_sequence = s->first,
            .attributes = s->attributes};
    struct batch_builder bb = {0};
    char *value = mem_alloc(s->value_size + 1);
    struct record rec = {.timestamp = (wall_ms)time(NULL) * 1000, .value = {(uint8_t *)value, s->value_size}};

    memset(value, 'v', s->value_size);
    for (int i = 0; i < s->n; i++) {
        batch_builder_add(&bb, &rec, NULL);
    }
    batch_builder_finish(
            &bb, &o, CODEC_NONE, (struct bytes){bb.records.data, bb.records.size}, out);
    batch_builder_deinit(&bb);
    mem_free(value);
}

/* A partition and who writes to it. */
struct writer {
    struct raw *r;
    struct uuid topic;
    int64_t id;
    size_t value_size;
};

static struct msg_produce_result send_batch(struct writer *w, struct sent s)
{
    struct buf batch = {0};

    encode(&batch, &s);
    struct msg_produce_result result = raw_produce(w->r, -1, &w->topic, 0, &batch);
    buf_deinit(&batch);
    CHECK_EQ(result.log_append_time, -1);
    return result;
}

/* The offset of the batch, or minus its error. */
static int64_t put(struct writer *w, int16_t epoch, int32_t first, int n)
{
    struct msg_produce_result result = send_batch(w, (struct sent){.id = w->id,
                                                             .epoch = epoch,
                                                             .first = first,
                                                             .n = n,
                                                             .value_size = w->value_size});

    if (result.error != 0) {
        CHECK_EQ(result.base_offset, -1);
        CHECK(strlen(result.detail) > 20);
        return -result.error;
    }
    return result.base_offset;
}

static int64_t metric(int broker, const char *name)
{
    struct buf text = {0};
    char *line = mem_format("\n%s ", name);

    CHECK_EQ(http_request(broker_http_port(broker), "GET", "/metrics", NULL, false, &text), 200);
    const char *at = strstr(buf_str(&text), line);
    CHECK(at != NULL);
    int64_t value = strtoll(at + strlen(line), NULL, 10);
    mem_free(line);
    buf_deinit(&text);
    return value;
}

static struct writer writer_of(const char *topic)
{
    struct writer w = {.r = raw_client(broker_port(1)), .value_size = 9};

    w.topic = raw_topic_id(w.r, topic, NULL);
    w.id = new_id(w.r);
    return w;
}

/* The broker was started again: the connection too. */
static void reconnect(struct writer *w, const char *topic)
{
    raw_close_all();
    w->r = raw_client(broker_port(1));
    w->topic = raw_topic_id(w->r, topic, NULL);
}

static void begin(const char *topic)
{
    raw_close_all();
    if (!cluster_is_up()) {
        cluster_up((const char *const[]){"--small", "--set", "weir.flush.interval.ms=20", NULL});
    }
    if (node_pid("broker-1") == 0) { /* A former case failed. */
        node_start("broker-1");
        node_wait_ready("broker-1");
    }
    (void)WEIR_OK("topic", "create", topic, "-p", "1", "-c", "segment.bytes=1048576", "-c",
            "retention.ms=-1");
}

/* --- What a leader takes ---------------------------------------------------------------------- */

static void a_repeat_is_answered_with_the_offset_of_the_original(void) /* [PID-14] */
{
    begin("repeats");
    int64_t before = metric(1, "weir_broker_produce_repeats_total");
    struct writer w = writer_of("repeats");

    CHECK_EQ(put(&w, 0, 0, 3), 0);
    CHECK_EQ(put(&w, 0, 3, 3), 3);
    CHECK_EQ(put(&w, 0, 0, 3), 0);
    CHECK_EQ(put(&w, 0, 3, 3), 3);
    CHECK_EQ(raw_end_offset(w.r, &w.topic, 0), 6);
    CHECK_EQ(metric(1, "weir_broker_produce_repeats_total"), before + 2);
    CHECK(metric(1, "weir_broker_producers") >= 1);
}

static void gaps_and_old_epochs_are_refused(void) /* [PID-12], [PID-13], [PID-15] */
{
    begin("gaps");
    struct writer w = writer_of("gaps");

    CHECK_EQ(put(&w, 0, 0, 3), 0);
    CHECK_EQ(put(&w, 0, 4, 1), -ERRCODE_OUT_OF_ORDER_SEQUENCE_NUMBER);
    CHECK_EQ(put(&w, 0, 1, 2), -ERRCODE_OUT_OF_ORDER_SEQUENCE_NUMBER);
    CHECK_EQ(put(&w, 1, 3, 1), -ERRCODE_OUT_OF_ORDER_SEQUENCE_NUMBER);
    CHECK_EQ(put(&w, 1, 0, 1), 3);
    CHECK_EQ(put(&w, 0, 3, 1), -ERRCODE_INVALID_PRODUCER_EPOCH);
    CHECK_EQ(raw_end_offset(w.r, &w.topic, 0), 4);
}

static void transactions_are_refused_clearly(void) /* [PID-5], [PID-10]; late EndTxn */
{
    begin("plain");
    struct writer w = writer_of("plain");
    struct msg_produce_result result =
            send_batch(&w, (struct sent){.id = w.id, .n = 1, .attributes = BATCH_TRANSACTIONAL});

    CHECK_EQ(result.error, ERRCODE_INVALID_RECORD);
    CHECK(strstr(result.detail, "transactions") != NULL);
    ask_id(w.r, "payments", -1, 0);
    CHECK_EQ(read_id(w.r), -ERRCODE_INVALID_REQUEST);
    ask_id(w.r, "", 77, 0);
    CHECK_EQ(read_id(w.r), -ERRCODE_INVALID_REQUEST);
    CHECK(new_id(w.r) > w.id);
}

/* --- Kills and restarts ----------------------------------------------------------------------- */

/* Batches of two records: the last five of `n` are known, the one before is not, and the next one
 * goes on. */
static void check_known(struct writer *w, int32_t n)
{
    for (int32_t i = n - 5; i < n; i++) {
        CHECK_EQ(put(w, 0, i * 2, 2), i * 2);
    }
    CHECK_EQ(put(w, 0, (n - 6) * 2, 2), -ERRCODE_OUT_OF_ORDER_SEQUENCE_NUMBER);
    CHECK_EQ(put(w, 0, n * 2 + 2, 2), -ERRCODE_OUT_OF_ORDER_SEQUENCE_NUMBER);
    CHECK_EQ(raw_end_offset(w->r, &w->topic, 0), n * 2);
    CHECK_EQ(put(w, 0, n * 2, 2), n * 2);
}

/* Calls `act` with the path of each snapshot of the partition; how many. */
static int each_snapshot(const char *folder, void (*act)(const char *path))
{
    char *rest = mem_format("data/%s", folder);
    char *path = node_path("broker-1", rest);
    DIR *d = opendir(path);
    int n = 0;

    CHECK(d != NULL);
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        if (strstr(e->d_name, ".snapshot") != NULL) {
            char *file = mem_format("%s/%s", path, e->d_name);
            act(file);
            mem_free(file);
            n++;
        }
    }
    (void)closedir(d);
    mem_free(path);
    mem_free(rest);
    return n;
}

static void look(const char *path)
{
    CHECK(path[0] != '\0');
}

static void delete (const char *path)
{
    CHECK_EQ(unlink(path), 0);
}

static void damage(const char *path)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    uint8_t byte = 0;

    CHECK(fd >= 0);
    CHECK_EQ(pread(fd, &byte, 1, 40), 1);
    byte ^= 4;
    CHECK_EQ(pwrite(fd, &byte, 1, 40), 1);
    (void)close(fd);
}

static void start_again(struct writer *w, const char *topic)
{
    node_start("broker-1");
    node_wait_ready("broker-1");
    reconnect(w, topic);
}

/* The answer is not waited for: nobody knows what became of the batch. */
static void send_and_kill(struct writer *w, int32_t first, int n)
{
    struct sent s = {.id = w->id, .first = first, .n = n, .value_size = w->value_size};
    struct msg_produce_partition part = {.topic_id = w->topic};
    struct buf batch = {0}, body = {0};

    encode(&batch, &s);
    part.records = (struct bytes){batch.data, batch.size};
    raw_encode_produce(&body, -1, &part, 1);
    (void)raw_ask(w->r, API_PRODUCE, &body);
    node_kill("broker-1");
    buf_deinit(&batch);
    buf_deinit(&body);
}

static void the_last_five_batches_are_known_whatever_happened(
        void) /* [PID-30], [PID-31], [PID-32] */
{
    begin("known");
    struct writer w = writer_of("known");

    for (int32_t i = 0; i < 8; i++) {
        CHECK_EQ(put(&w, 0, i * 2, 2), i * 2);
    }
    send_and_kill(&w, 16, 2);
    start_again(&w, "known");
    CHECK_EQ(put(&w, 0, 16, 2), 16); /* whether it was written before the kill or not */
    check_known(&w, 9);
    node_stop("broker-1");
    CHECK_EQ(each_snapshot("known-0", look), 0); /* there is so little that it is not worth one */
    start_again(&w, "known");
    w.value_size = 40 * 1024;
    check_known(&w, 10);
    node_stop("broker-1");
    CHECK_EQ(each_snapshot("known-0", look), 1); /* an orderly stop leaves one */
    start_again(&w, "known");
    check_known(&w, 11);
    node_stop("broker-1");
    CHECK_EQ(each_snapshot("known-0", delete), 2);
    start_again(&w, "known");
    check_known(&w, 12);
    node_stop("broker-1");
    CHECK_EQ(each_snapshot("known-0", damage), 1);
    start_again(&w, "known");
    CHECK(node_log_has("broker-1", "producer_snapshot_ignored"));
    check_known(&w, 13);
    CHECK(new_id(w.r) > w.id);
}

static void rolled_segments_leave_snapshots_to_start_from(void) /* [PID-32], [PID-34] */
{
    struct sent big = {.n = 1, .value_size = BIG_VALUE};

    begin("rolled");
    struct writer w = writer_of("rolled");
    big.id = w.id;
    for (; big.first < 20; big.first++) {
        CHECK_EQ(send_batch(&w, big).base_offset, big.first);
    }
    CHECK_WITHIN(SETTLE_MS, each_snapshot("rolled-0", look) > 0);
    for (; big.first < 40; big.first++) {
        CHECK_EQ(send_batch(&w, big).base_offset, big.first);
    }
    node_kill("broker-1");
    CHECK(each_snapshot("rolled-0", look) <=
            3); /* a third one where the kill came before a removal */
    start_again(&w, "rolled");
    for (big.first = 35; big.first < 40; big.first++) {
        CHECK_EQ(send_batch(&w, big).base_offset, big.first);
    }
    CHECK_EQ(raw_end_offset(w.r, &w.topic, 0), 40);
    node_kill("broker-1");
    (void)each_snapshot("rolled-0", damage);
    start_again(&w, "rolled");
    CHECK_EQ((big.first = 35, send_batch(&w, big).base_offset), 35);
    CHECK_EQ((big.first = 40, send_batch(&w, big).base_offset), 40);
    CHECK_EQ((big.first = 42, send_batch(&w, big).error), ERRCODE_OUT_OF_ORDER_SEQUENCE_NUMBER);
    cluster_down();
}

/* Five batches at once, as a producer has them in flight, and the kill after the answers to so many of them. Returns
 * how many were answered: each with its offset, none after one that was not. */
static int32_t send_five_and_kill(struct writer *w, int32_t first, int n_answers)
{
    struct raw_answer a;
    struct msg_produce_response m = {0};
    int32_t n = 0;

    for (int32_t i = 0; i < 5; i++) {
        struct sent s = {.id = w->id, .first = first + i, .n = 1, .value_size = w->value_size};
        struct msg_produce_partition part = {.topic_id = w->topic};
        struct buf batch = {0}, body = {0};

        encode(&batch, &s);
        part.records = (struct bytes){batch.data, batch.size};
        raw_encode_produce(&body, -1, &part, 1);
        (void)raw_ask(w->r, API_PRODUCE, &body);
        buf_deinit(&batch);
        buf_deinit(&body);
    }
    while (n < n_answers) {
        CHECK_EQ(raw_read(w->r, SETTLE_MS, &a), RAW_FRAME);
        CHECK_EQ(a.header.error, ERRCODE_NONE);
        CHECK_EQ(wire_decode_produce_response(a.body, a.arena, &m), 0);
        CHECK_EQ(m.partitions[0].error, ERRCODE_NONE);
        CHECK_EQ(m.partitions[0].base_offset, first + n);
        n++;
    }
    node_kill("broker-1");
    return n;
}

/* Each kill falls into or beside a roll, for each batch begins a segment. What was in flight is sent again. */
static void sigkill_during_rolls_keeps_every_batch_once(void) /* [PID-14] [PID-31] [LOG-1] */
{
    int32_t sent = 0;

    begin("rolls");
    struct writer w = writer_of("rolls");
    w.value_size = 600 * 1024;
    for (int round = 0; round < 5; round++) {
        int32_t n = send_five_and_kill(&w, sent, round);
        start_again(&w, "rolls");
        CHECK(raw_end_offset(w.r, &w.topic, 0) >= sent + n);
        CHECK(raw_end_offset(w.r, &w.topic, 0) <= sent + 5);
        for (int32_t i = 0; i < 5; i++) {
            CHECK_EQ(put(&w, 0, sent + i, 1), sent + i);
        }
        sent += 5;
        CHECK_EQ(raw_end_offset(w.r, &w.topic, 0), sent);
    }
    CHECK(!node_log_has("broker-1", "event=log_damaged"));
    CHECK(!node_log_has("broker-1", "event=replica_failed"));
}

/* --- Ids -------------------------------------------------------------------------------------- */

struct ids {
    ARRAY(int64_t) all;
};

static void take_ids(struct ids *ids, int broker, int n)
{
    struct raw *r = raw_client(broker_port(broker));

    for (int i = 0; i < n; i++) {
        ask_id(r, "", -1, 0);
    }
    for (int i = 0; i < n; i++) {
        int64_t id = read_id(r);
        CHECK(id >= 0);
        *array_push(&ids->all) = id;
    }
    (void)raw_close(r);
}

static int compare(const void *a, const void *b)
{
    int64_t x, y;

    memcpy(&x, a, sizeof(x));
    memcpy(&y, b, sizeof(y));
    return (x > y) - (x < y);
}

static bool acts(int controller)
{
    struct buf b = {0};
    int status = http_request(controller_port(controller), "GET", "/metrics", NULL, false, &b);
    bool active = status == 200 && strstr(buf_str(&b), "\nweir_controller_active 1\n") != NULL;

    buf_deinit(&b);
    return active;
}

static void nobody_gets_an_id_twice(void) /* [PID-1], [PID-4] */
{
    struct ids ids = {0};

    raw_close_all();
    cluster_up((const char *const[]){"--zookeepers", "1", "--controllers", "2", "--brokers", "2",
            "--set", "producer.id.expiration.ms=400", "--set", "weir.flush.interval.ms=20", NULL});
    take_ids(&ids, 1, 1300);
    take_ids(&ids, 2, 1300);
    int first = acts(1) ? 1 : 2;
    node_kill(first == 1 ? "controller-1" : "controller-2");
    take_ids(&ids, 1, 1300); /* waits for the other one where it must */
    take_ids(&ids, 2, 1300);
    CHECK_WITHIN(SETTLE_MS, acts(3 - first));
    node_kill("broker-1");
    node_start("broker-1");
    node_wait_ready("broker-1");
    take_ids(&ids, 1, 300);
    qsort(ids.all.items, ids.all.n, sizeof(int64_t), compare);
    for (size_t i = 1; i < ids.all.n; i++) {
        CHECK(ids.all.items[i - 1] < ids.all.items[i]);
    }
    array_deinit(&ids.all);
}

static void silent_producer_is_forgotten(void) /* [PID-17], [PID-11] */
{
    (void)WEIR_OK("topic", "create", "quiet", "-p", "2", "-c", "retention.ms=-1");
    struct raw *r = raw_client(broker_port(1));
    struct writer w = {.r = r, .topic = raw_topic_id(r, "quiet", NULL), .id = new_id(r)};
    int64_t offset = put(&w, 0, 0, 1);

    if (offset == -ERRCODE_UNKNOWN_TOPIC_OR_PARTITION ||
            offset == -ERRCODE_NOT_LEADER_OR_FOLLOWER) {
        w.r = raw_client(broker_port(2)); /* partition 0 is led there */
        offset = put(&w, 0, 0, 1);
    }
    CHECK_EQ(offset, 0);
    CHECK_WITHIN(SETTLE_MS,
            metric(1, "weir_broker_producers") + metric(2, "weir_broker_producers") == 0);
    CHECK_EQ(put(&w, 0, 7, 1), 1);
}

static void without_a_controller_ids_run_out_with_a_sentence(void) /* [PID-4] */
{
    node_kill(acts(1) ? "controller-1" : "controller-2");
    struct raw *r = raw_client(broker_port(1));
    int64_t id = 0;
    int n = 0;

    for (; id >= 0; n++) {
        CHECK(n <= 2000); /* two blocks */
        ask_id(r, "", -1, 300);
        id = read_id(r);
    }
    CHECK_EQ(id, -ERRCODE_COORDINATOR_NOT_AVAILABLE);
    CHECK(n > 1000); /* one was in reserve */
    node_start("controller-1");
    ask_id(r, "", -1, SETTLE_MS);
    CHECK(read_id(r) >= 0);     /* waited for */
    node_start("controller-2"); /* so that all can be stopped in order */
    cluster_down();
}

static const struct check_case cases[] = {
        CASE(a_repeat_is_answered_with_the_offset_of_the_original),
        CASE(gaps_and_old_epochs_are_refused),
        CASE(transactions_are_refused_clearly),
        CASE(the_last_five_batches_are_known_whatever_happened),
        CASE(sigkill_during_rolls_keeps_every_batch_once),
        CASE(rolled_segments_leave_snapshots_to_start_from),
        CASE(nobody_gets_an_id_twice),
        CASE(silent_producer_is_forgotten),
        CASE(without_a_controller_ids_run_out_with_a_sentence),
};
CHECK_MAIN("idempotence", cases)
