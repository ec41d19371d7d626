/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/array.h"
#include "common/base/bytes.h"
#include "common/domain/errcode.h"
#include "tests/unit/clients/fixture.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#define PAIRS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* What the callbacks saw. */
struct seen {
    unsigned n, n_outcome[4];
    struct weir_report last;
    char text[128];
    unsigned n_released;
    pthread_t thread;
    struct weir_client *client;
    struct weir_topic *topic;
    int again; /* records to produce from inside the callback */
};

static void on_report(void *ctx, const struct weir_report *report)
{
    struct seen *s = ctx;

    s->n++;
    s->n_outcome[report->outcome]++;
    s->last = *report;
    s->thread = pthread_self();
    snprintf(s->text, sizeof(s->text), "%s", report->text);
    if (s->again > 0) {
        s->again--;
        CHECK_EQ(weir_poll(s->client, 0), 0);
        CHECK_EQ(weir_flush(s->client, 0), WEIR_E_IN_CALLBACK);
        CHECK_EQ(produce_text(s->client, s->topic, 0, "more"), 0);
    }
}

static void on_release(void *ctx, struct weir_bytes value)
{
    struct seen *s = ctx;

    (void)value;
    s->n_released++;
}

struct rig {
    struct mock *mock;
    struct weir_client *client;
    struct weir_topic *topic;
    struct seen seen;
};

static void rig_up(struct rig *r, int n_brokers, int32_t n_partitions, const char *const *pairs)
{
    *r = (struct rig){.mock = mock_new("127.0.0.1", n_brokers)};
    mock_add_topic(r->mock, "t", n_partitions);
    r->client = client_for(mock_bootstrap(r->mock), pairs);
    r->topic = weir_topic_get(r->client, "t", NULL);
    r->seen.client = r->client;
    r->seen.topic = r->topic;
    weir_set_delivery(r->client, on_report, &r->seen);
}

static void rig_down(struct rig *r)
{
    CHECK(r->client == NULL || weir_client_close(r->client, 0) >= 0);
    mock_free(r->mock);
}

static void produce_numbers(struct rig *r, int32_t partition, int from, int n)
{
    char text[16];

    for (int i = from; i < from + n; i++) {
        snprintf(text, sizeof(text), "%d", i);
        CHECK_EQ(produce_text(r->client, r->topic, partition, text), 0);
    }
}

static const char *numbers(int n)
{
    static char text[8192];
    size_t at = 0;

    for (int i = 0; i < n; i++) {
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%d\n", i);
    }
    return text;
}

static void a_record_is_persisted_and_reported(void)
{
    struct rig r;

    rig_up(&r, 1, 1, NULL);
    struct weir_header headers[] = {{"a", text_bytes("1")}, {"a", {NULL, 0}}};
    struct weir_record record = WEIR_RECORD_INIT;
    record.timestamp = 1234;
    record.key = text_bytes("k");
    record.value = text_bytes("hello");
    record.headers = headers;
    record.n_headers = 2;
    record.opaque = &r;
    CHECK_EQ(weir_produce(r.client, r.topic, &record, NULL), 0);
    CHECK_EQ(weir_flush(r.client, 5000), 0);
    CHECK_EQ(r.seen.n, 1);
    CHECK_EQ(r.seen.last.outcome, WEIR_PERSISTED);
    CHECK_EQ(r.seen.last.code, 0);
    CHECK_EQ(r.seen.last.offset, 0);
    CHECK_EQ(r.seen.last.partition, 0);
    CHECK_EQ(r.seen.last.timestamp, 1234);
    CHECK_STR(r.seen.last.topic, "t");
    CHECK(r.seen.last.opaque == &r);
    CHECK_STR(mock_values(r.mock, "t", 0), "hello\n");
    CHECK_EQ(weir_outstanding(r.client, NULL), 0);
    rig_down(&r);
}

static void callbacks_run_only_inside_weir_poll(void)
{
    struct rig r;

    rig_up(&r, 1, 1, NULL);
    produce_numbers(&r, 0, 0, 1);
    struct pollfd fd = {.fd = weir_fd(r.client), .events = POLLIN};
    CHECK_EQ(poll(&fd, 1, 5000), 1);
    CHECK_EQ(r.seen.n, 0);
    CHECK_EQ(weir_poll(r.client, 0), 1);
    CHECK_EQ(r.seen.n, 1);
    CHECK(pthread_equal(r.seen.thread, pthread_self()));
    CHECK_EQ(poll(&fd, 1, 0), 0);
    rig_down(&r);
}

static void thread_mode_runs_them_on_the_internal_thread(void)
{
    struct rig r;

    rig_up(&r, 1, 1, PAIRS("weir.callbacks=thread"));
    r.seen.again = 0;
    produce_numbers(&r, 0, 0, 10);
    CHECK_EQ(weir_flush(r.client, 5000), 0);
    CHECK_EQ(r.seen.n, 10);
    CHECK(!pthread_equal(r.seen.thread, pthread_self()));
    CHECK_EQ(weir_fd(r.client), -1);
    CHECK_EQ(weir_poll(r.client, 1000), 0);
    rig_down(&r);
}

static void a_callback_may_produce(void)
{
    struct rig r;

    rig_up(&r, 1, 1, NULL);
    r.seen.again = 3;
    produce_numbers(&r, 0, 0, 1);
    CHECK_EQ(weir_flush(r.client, 5000), 0);
    CHECK_EQ(r.seen.n, 4);
    CHECK_STR(mock_values(r.mock, "t", 0), "0\nmore\nmore\nmore\n");
    rig_down(&r);
}

static void records_gather_while_a_batch_is_in_flight(void)
{
    struct rig r;

    rig_up(&r, 1, 1, NULL);
    mock_script(r.mock, API_PRODUCE, MOCK_HOLD, 0, 1);
    produce_numbers(&r, 0, 0, 1);
    CHECK_WITHIN(5000, mock_n_held(r.mock) == 1);
    produce_numbers(&r, 0, 1, 99);
    mock_release(r.mock);
    CHECK_EQ(weir_flush(r.client, 5000), 0);
    CHECK_STR(mock_values(r.mock, "t", 0), numbers(100));
    CHECK_EQ(mock_n_batches(r.mock, "t", 0), 2);
    rig_down(&r);
}

static void retries_do_not_reorder(void)
{
    struct rig r;

    rig_up(&r, 2, 1, PAIRS("batch.size=256"));
    mock_script(r.mock, API_PRODUCE, MOCK_ERROR, ERRCODE_NOT_LEADER_OR_FOLLOWER, 2);
    mock_script(r.mock, API_PRODUCE, MOCK_CLOSE_BEFORE, 0, 2);
    mock_script(r.mock, API_PRODUCE, MOCK_ERROR, ERRCODE_KAFKA_STORAGE_ERROR, 1);
    produce_numbers(&r, 0, 0, 200);
    mock_move_leader(r.mock, "t", 0, 1);
    produce_numbers(&r, 0, 200, 200);
    CHECK_EQ(weir_flush(r.client, 10000), 0);
    CHECK_EQ(r.seen.n_outcome[WEIR_PERSISTED], 400);
    CHECK_STR(mock_values(r.mock, "t", 0), numbers(400));
    CHECK(mock_n_batches(r.mock, "t", 0) > 5);
    rig_down(&r);
}

static void without_idempotence_a_lost_answer_may_write_twice_but_in_order(void)
{
    struct rig r;

    rig_up(&r, 1, 1, PAIRS("enable.idempotence=false"));
    mock_script(r.mock, API_PRODUCE, MOCK_CLOSE_AFTER, 0, 1);
    CHECK_EQ(produce_text(r.client, r.topic, 0, "a"), 0);
    CHECK_EQ(weir_flush(r.client, 5000), 0);
    CHECK_EQ(produce_text(r.client, r.topic, 0, "b"), 0);
    CHECK_EQ(weir_flush(r.client, 5000), 0);
    CHECK_STR(mock_values(r.mock, "t", 0), "a\na\nb\n");
    CHECK_EQ(r.seen.n_outcome[WEIR_PERSISTED], 2);
    rig_down(&r);
}

static void no_broker_means_not_persisted(void)
{
    struct rig r;

    rig_up(&r, 1, 1, PAIRS("delivery.timeout.ms=200"));
    produce_numbers(&r, 0, 0, 1);
    CHECK_EQ(weir_flush(r.client, 5000), 0);
    mock_stop(r.mock, 0);
    produce_numbers(&r, 0, 1, 2);
    CHECK_EQ(weir_flush(r.client, 5000), 0);
    CHECK_EQ(r.seen.n, 3);
    CHECK_EQ(r.seen.n_outcome[WEIR_NOT_PERSISTED], 2);
    CHECK(r.seen.last.retriable);
    CHECK(r.seen.last.code != 0);
    CHECK(r.seen.text[0] != '\0');
    rig_down(&r);
}

static void no_answer_means_unknown(void)
{
    struct rig r;

    rig_up(&r, 1, 1, PAIRS("delivery.timeout.ms=300", "request.timeout.ms=100"));
    mock_script(r.mock, API_PRODUCE, MOCK_SILENT, 0, 100);
    produce_numbers(&r, 0, 0, 1);
    CHECK_EQ(weir_flush(r.client, 5000), 0);
    CHECK_EQ(r.seen.n, 1);
    CHECK_EQ(r.seen.last.outcome, WEIR_UNKNOWN);
    CHECK_EQ(r.seen.last.code, ERRCODE_REQUEST_TIMED_OUT);
    CHECK_EQ(r.seen.last.offset, -1);
    rig_down(&r);
}

static void a_refusal_is_reported_with_the_brokers_words(void)
{
    struct rig r;

    rig_up(&r, 1, 1, NULL);
    mock_script(r.mock, API_PRODUCE, MOCK_ERROR, ERRCODE_MESSAGE_TOO_LARGE, 1);
    produce_numbers(&r, 0, 0, 1);
    CHECK_EQ(weir_flush(r.client, 5000), 0);
    CHECK_EQ(r.seen.last.outcome, WEIR_NOT_PERSISTED);
    CHECK_EQ(r.seen.last.code, ERRCODE_MESSAGE_TOO_LARGE);
    CHECK(!r.seen.last.retriable);
    CHECK_STR(r.seen.last.name, "MESSAGE_TOO_LARGE");
    CHECK_STR(r.seen.text, "as the script says");
    CHECK_EQ(mock_n_requests(r.mock, API_PRODUCE), 1);
    rig_down(&r);
}

static void appended_without_enough_replicas_is_unknown(void)
{
    struct rig r;

    rig_up(&r, 1, 1, PAIRS("retries=0"));
    mock_script(r.mock, API_PRODUCE, MOCK_ERROR_AFTER, ERRCODE_NOT_ENOUGH_REPLICAS_AFTER_APPEND, 1);
    produce_numbers(&r, 0, 0, 1);
    CHECK_EQ(weir_flush(r.client, 5000), 0);
    CHECK_EQ(r.seen.last.outcome, WEIR_UNKNOWN);
    CHECK_EQ(r.seen.last.code, ERRCODE_NOT_ENOUGH_REPLICAS_AFTER_APPEND);
    rig_down(&r);
}

static void an_answer_that_cannot_be_read_is_tried_again(void)
{
    struct rig r;

    rig_up(&r, 1, 1, NULL);
    mock_script(r.mock, API_PRODUCE, MOCK_GARBAGE, 0, 1);
    produce_numbers(&r, 0, 0, 1);
    CHECK_EQ(weir_flush(r.client, 5000), 0);
    CHECK_EQ(r.seen.last.outcome, WEIR_PERSISTED);
    CHECK_STR(mock_values(r.mock, "t", 0), "0\n");
    rig_down(&r);
}

static void a_full_buffer_says_again_until_reports_ran(void)
{
    static char big[4000];
    struct rig r;
    int n = 0;

    memset(big, 'x', sizeof(big) - 1);
    rig_up(&r, 1, 1, PAIRS("buffer.memory=65536"));
    while (produce_text(r.client, r.topic, 0, big) == 0) {
        n++;
    }
    CHECK(n >= 10 && n <= 16);
    CHECK_EQ(produce_text(r.client, r.topic, 0, big), WEIR_AGAIN);
    CHECK_WITHIN(5000, mock_end(r.mock, "t", 0) == n);
    CHECK_EQ(produce_text(r.client, r.topic, 0, big), WEIR_AGAIN); /* delivered, not yet reported */
    CHECK_EQ(weir_wait_room(r.client, sizeof(big), 5000), 0);
    CHECK_EQ(produce_text(r.client, r.topic, 0, big), 0);
    CHECK_EQ(weir_flush(r.client, 5000), 0);
    CHECK_EQ(r.seen.n, (unsigned)n + 1);
    size_t bytes = 1;
    CHECK_EQ(weir_outstanding(r.client, &bytes), 0);
    CHECK_EQ(bytes, 0);
    rig_down(&r);
}

static void produce_borrowed(struct rig *r, char *values, int n)
{
    for (int i = 0; i < n; i++) {
        struct weir_record record = WEIR_RECORD_INIT;
        record.partition = 0;
        record.key = text_bytes(i % 2 == 0 ? "key" : "");
        record.value = (struct weir_bytes){.at = &values[i], .size = (size_t)(i % 3 == 0 ? 0 : 1)};
        record.release = i % 5 == 4 ? NULL : on_release;
        record.release_ctx = &r->seen;
        CHECK_EQ(weir_produce(r->client, r->topic, &record, NULL), 0);
    }
}

static void check_borrowed(const char *const *pairs, int n_failures)
{
    struct rig r;
    char values[100];

    rig_up(&r, 1, 1, pairs);
    mock_script(r.mock, API_PRODUCE, MOCK_CLOSE_AFTER, 0, n_failures > 0 ? n_failures : 1);
    memset(values, 'v', sizeof(values));
    produce_borrowed(&r, values, 100);
    CHECK_EQ(r.seen.n_released, 0);
    CHECK_EQ(weir_flush(r.client, 10000), 0);
    CHECK_EQ(r.seen.n, 100);
    CHECK_EQ(r.seen.n_released, 80);
    const char *written = mock_values(r.mock, "t", 0);
    size_t n = strlen(written);
    CHECK(n >= 166); /* 66 values of one byte and 100 newlines, some of them twice */
    CHECK(memcmp(written + n - 166, "\nv\nv\n\nv\nv\n", 10) == 0);
    rig_down(&r);
}

static void a_borrowed_value_is_released_once(void)
{
    check_borrowed(NULL, 3);
    check_borrowed(PAIRS("compression.type=zstd"), 1);
    check_borrowed(PAIRS("weir.callbacks=thread"), 1);
}

static void closing_releases_and_reports_the_rest_once(void)
{
    struct rig r;
    char values[100];

    rig_up(&r, 1, 1, NULL);
    mock_script(r.mock, API_PRODUCE, MOCK_HOLD, 0, 1);
    memset(values, 'v', sizeof(values));
    produce_borrowed(&r, values, 1);
    CHECK_WITHIN(5000, mock_n_held(r.mock) == 1);
    produce_borrowed(&r, values, 100);
    CHECK_EQ(weir_client_close(r.client, 50), 101);
    r.client = NULL;
    CHECK_EQ(r.seen.n, 101);
    CHECK_EQ(r.seen.n_outcome[WEIR_UNKNOWN], 1);
    CHECK_EQ(r.seen.n_outcome[WEIR_NOT_PERSISTED], 100);
    CHECK_EQ(r.seen.n_released, 81);
    rig_down(&r);
}

static void closing_reports_what_never_found_its_topic(void)
{
    struct rig r;

    rig_up(&r, 1, 1, PAIRS("topic.metadata.propagation.max.ms=10s"));
    struct weir_topic *other = weir_topic_get(r.client, "other", NULL);
    CHECK_EQ(produce_text(r.client, other, -1, "x"), 0);
    CHECK_EQ(weir_client_close(r.client, 20), 1);
    r.client = NULL;
    CHECK_EQ(r.seen.n, 1);
    CHECK_EQ(r.seen.last.code, WEIR_E_CLOSED);
    CHECK_EQ(r.seen.last.partition, -1);
    rig_down(&r);
}

static void closing_waits_for_delivery(void)
{
    struct rig r;

    rig_up(&r, 1, 3, PAIRS("linger.ms=60s"));
    produce_numbers(&r, -1, 0, 50);
    CHECK_EQ(weir_client_close(r.client, 5000), 0);
    r.client = NULL;
    CHECK_EQ(r.seen.n_outcome[WEIR_PERSISTED], 50);
    rig_down(&r);
}

static void an_unknown_topic_fails_after_a_while_and_a_late_one_does_not(void)
{
    struct rig r;

    rig_up(&r, 1, 1, NULL);
    struct weir_topic *late = weir_topic_get(r.client, "late", NULL);
    CHECK_EQ(produce_text(r.client, late, -1, "x"), 0);
    CHECK_EQ(weir_flush(r.client, 5000), 0);
    CHECK_EQ(r.seen.last.outcome, WEIR_NOT_PERSISTED);
    CHECK_EQ(r.seen.last.code, ERRCODE_UNKNOWN_TOPIC_OR_PARTITION);
    mock_add_topic(r.mock, "late", 2);
    CHECK_WITHIN(5000, (produce_text(r.client, late, -1, "y"), weir_flush(r.client, 1000),
                               r.seen.last.outcome == WEIR_PERSISTED));
    rig_down(&r);
}

static void staged_records_keep_their_order_and_their_partition(void)
{
    struct rig r;

    rig_up(&r, 2, 2, NULL);
    produce_numbers(&r, 0, 0, 100); /* before the first metadata came */
    CHECK_EQ(produce_text(r.client, r.topic, 1, "other"), 0);
    int refused = produce_text(r.client, r.topic, 2, "nowhere");
    CHECK_EQ(weir_flush(r.client, 5000), 0);
    CHECK_STR(mock_values(r.mock, "t", 0), numbers(100));
    CHECK_STR(mock_values(r.mock, "t", 1), "other\n");
    CHECK(refused == ERRCODE_UNKNOWN_TOPIC_OR_PARTITION ||
            r.seen.n_outcome[WEIR_NOT_PERSISTED] == 1);
    CHECK_EQ(produce_text(r.client, r.topic, 2, "nowhere"), ERRCODE_UNKNOWN_TOPIC_OR_PARTITION);
    rig_down(&r);
}

static void produce_sync_gives_the_outcome(void)
{
    struct rig r;
    struct weir_record record = WEIR_RECORD_INIT;
    struct weir_report report;
    struct weir_error error = {0};

    rig_up(&r, 1, 1, NULL);
    record.value = text_bytes("sync");
    record.release = on_release;
    record.release_ctx = &r.seen;
    CHECK_EQ(weir_produce_sync(r.client, r.topic, &record, &report, &error), 0);
    CHECK_EQ(report.offset, 0);
    CHECK_EQ(r.seen.n, 0);
    CHECK_EQ(r.seen.n_released, 1);
    mock_script(r.mock, API_PRODUCE, MOCK_ERROR, ERRCODE_INVALID_RECORD, 1);
    CHECK_EQ(weir_produce_sync(r.client, r.topic, &record, NULL, &error), ERRCODE_INVALID_RECORD);
    CHECK_STR(error.text, "as the script says");
    CHECK_EQ(weir_outstanding(r.client, NULL), 0);
    rig_down(&r);
}

static void acks_0_is_delivered_when_it_left(void)
{
    struct rig r;

    rig_up(&r, 1, 1, PAIRS("acks=0"));
    produce_numbers(&r, 0, 0, 300);
    CHECK_EQ(weir_flush(r.client, 5000), 0);
    CHECK_EQ(r.seen.n_outcome[WEIR_PERSISTED], 300);
    CHECK_EQ(r.seen.last.offset, -1);
    CHECK_WITHIN(5000, mock_end(r.mock, "t", 0) == 300);
    CHECK_STR(mock_values(r.mock, "t", 0), numbers(300));
    rig_down(&r);
}

static void all_codecs_are_written(void)
{
    static const char *const codecs[] = {"none", "gzip", "snappy", "lz4", "zstd"};

    for (size_t i = 0; i < COUNT_OF(codecs); i++) {
        struct rig r;
        char pair[64];
        snprintf(pair, sizeof(pair), "compression.type=%s", codecs[i]);
        rig_up(&r, 1, 1, PAIRS(pair));
        produce_numbers(&r, 0, 0, 500);
        CHECK_EQ(weir_flush(r.client, 5000), 0);
        CHECK_STR(mock_values(r.mock, "t", 0), numbers(500));
        rig_down(&r);
    }
}

static void partitions_and_brokers_do_not_wait_for_each_other(void)
{
    struct rig r;

    rig_up(&r, 2, 4, NULL);
    mock_script(r.mock, API_PRODUCE, MOCK_HOLD, 0, 1);
    produce_numbers(&r, 0, 0, 1);
    CHECK_WITHIN(5000, mock_n_held(r.mock) == 1);
    for (int32_t p = 1; p < 4; p++) {
        CHECK_EQ(produce_text(r.client, r.topic, p, "x"), 0);
    }
    CHECK_WITHIN(5000, weir_poll(r.client, 10) >= 0 && r.seen.n == 3);
    mock_release(r.mock);
    CHECK_EQ(weir_flush(r.client, 5000), 0);
    CHECK_EQ(r.seen.n, 4);
    rig_down(&r);
}

static void a_record_that_is_too_large_is_refused_at_once(void)
{
    static char big[3000];
    struct rig r;
    struct weir_record record = WEIR_RECORD_INIT;
    struct weir_error error = {0};

    rig_up(&r, 1, 1, PAIRS("max.request.size=2048"));
    record.value = (struct weir_bytes){.at = big, .size = sizeof(big)};
    CHECK_EQ(weir_produce(r.client, r.topic, &record, &error), ERRCODE_MESSAGE_TOO_LARGE);
    CHECK(strstr(error.text, "max.request.size") != NULL);
    record.value.size = 1900;
    CHECK_EQ(weir_produce(r.client, r.topic, &record, &error), 0);
    CHECK_EQ(weir_flush(r.client, 5000), 0);
    CHECK_EQ(r.seen.n_outcome[WEIR_PERSISTED], 1);
    rig_down(&r);
}

static void a_broker_that_comes_back_gets_what_waited(void)
{
    struct rig r;

    rig_up(&r, 1, 1, NULL);
    produce_numbers(&r, 0, 0, 1);
    CHECK_EQ(weir_flush(r.client, 5000), 0);
    mock_stop(r.mock, 0);
    produce_numbers(&r, 0, 1, 9);
    CHECK_EQ(weir_flush(r.client, 50), WEIR_E_TIMED_OUT);
    mock_start(r.mock, 0);
    CHECK_EQ(weir_flush(r.client, 5000), 0);
    CHECK_STR(mock_values(r.mock, "t", 0), numbers(10));
    CHECK_EQ(r.seen.n_outcome[WEIR_PERSISTED], 10);
    rig_down(&r);
}

struct thread_arg {
    struct rig *rig;
    int32_t partition;
};

static void *produce_many(void *ctx)
{
    struct thread_arg *a = ctx;

    for (int i = 0; i < 2000; i++) {
        while (produce_text(a->rig->client, a->rig->topic, a->partition, "xxxxxxxxxx") ==
                WEIR_AGAIN) {
            (void)weir_wait_room(a->rig->client, 100, 100);
        }
    }
    return NULL;
}

static atomic_uint n_counted;

static void count_report(void *ctx, const struct weir_report *report)
{
    (void)ctx;
    n_counted += report->outcome == WEIR_PERSISTED;
}

static void several_threads_produce_at_once(void)
{
    struct rig r;
    pthread_t threads[4];
    struct thread_arg args[4];

    rig_up(&r, 2, 4, PAIRS("buffer.memory=65536"));
    n_counted = 0;
    weir_set_delivery(r.client, count_report, NULL);
    for (int32_t i = 0; i < 4; i++) {
        args[i] = (struct thread_arg){&r, i};
        CHECK_EQ(pthread_create(&threads[i], NULL, produce_many, &args[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    CHECK_EQ(weir_flush(r.client, 10000), 0);
    CHECK_EQ(n_counted, 8000);
    rig_down(&r);
}

static const struct check_case cases[] = {
        CASE(a_record_is_persisted_and_reported),
        CASE(callbacks_run_only_inside_weir_poll),
        CASE(thread_mode_runs_them_on_the_internal_thread),
        CASE(a_callback_may_produce),
        CASE(records_gather_while_a_batch_is_in_flight),
        CASE(retries_do_not_reorder),
        CASE(without_idempotence_a_lost_answer_may_write_twice_but_in_order),
        CASE(no_broker_means_not_persisted),
        CASE(no_answer_means_unknown),
        CASE(a_refusal_is_reported_with_the_brokers_words),
        CASE(appended_without_enough_replicas_is_unknown),
        CASE(an_answer_that_cannot_be_read_is_tried_again),
        CASE(a_full_buffer_says_again_until_reports_ran),
        CASE(a_borrowed_value_is_released_once),
        CASE(closing_releases_and_reports_the_rest_once),
        CASE(closing_reports_what_never_found_its_topic),
        CASE(closing_waits_for_delivery),
        CASE(an_unknown_topic_fails_after_a_while_and_a_late_one_does_not),
        CASE(staged_records_keep_their_order_and_their_partition),
        CASE(produce_sync_gives_the_outcome),
        CASE(acks_0_is_delivered_when_it_left),
        CASE(all_codecs_are_written),
        CASE(partitions_and_brokers_do_not_wait_for_each_other),
        CASE(a_record_that_is_too_large_is_refused_at_once),
        CASE(a_broker_that_comes_back_gets_what_waited),
        CASE(several_threads_produce_at_once),
};

CHECK_MAIN("libweir_producer", cases)
