/* SPDX-License-Identifier: Apache-2.0 */
/* libweir's idempotent producer on sockets: ids, numbers on the wire, and what a broker's refusals lead to. */
#include "common/base/array.h"
#include "common/base/bytes.h"
#include "common/domain/errcode.h"
#include "tests/unit/clients/fixture.h"

#include <stdio.h>

#define PAIRS(...) ((const char *const[]){__VA_ARGS__, NULL})

struct rig {
    struct mock *mock;
    struct weir_client *client;
    struct weir_topic *topic;
    unsigned n_outcome[4];
    struct weir_report last;
};

static void on_report(void *ctx, const struct weir_report *report)
{
    struct rig *r = ctx;

    r->n_outcome[report->outcome]++;
    r->last = *report;
}

static void rig_up(struct rig *r, int n_brokers, const char *const *pairs)
{
    *r = (struct rig){.mock = mock_new("127.0.0.1", n_brokers)};
    mock_add_topic(r->mock, "t", 1);
    r->client = client_for(mock_bootstrap(r->mock), pairs);
    r->topic = weir_topic_get(r->client, "t", NULL);
    weir_set_delivery(r->client, on_report, r);
}

static void rig_down(struct rig *r)
{
    CHECK(weir_client_close(r->client, 0) >= 0);
    mock_free(r->mock);
}

static void produce(struct rig *r, const char *text)
{
    CHECK_EQ(produce_text(r->client, r->topic, 0, text), 0);
}

/* One batch, acknowledged. */
static void settle(struct rig *r, const char *text)
{
    unsigned n = r->n_outcome[WEIR_PERSISTED];

    produce(r, text);
    CHECK_EQ(weir_flush(r->client, 5000), 0);
    CHECK_EQ(r->n_outcome[WEIR_PERSISTED], n + 1);
}

static void check_number(struct rig *r, unsigned i, int64_t id, int16_t epoch, int32_t sequence)
{
    struct mock_number n = mock_batch_number(r->mock, "t", 0, i);

    CHECK_EQ(n.producer_id, id);
    CHECK_EQ(n.epoch, epoch);
    CHECK_EQ(n.sequence, sequence);
}

static void batches_are_numbered_under_one_id(void) /* [CLI-1] [CLI-9] */
{
    struct rig r;

    rig_up(&r, 1, NULL);
    settle(&r, "a");
    settle(&r, "b");
    check_number(&r, 0, 1000, 0, 0);
    check_number(&r, 1, 1000, 0, 1);
    CHECK_EQ(mock_n_requests(r.mock, API_INIT_PRODUCER_ID), 1);
    rig_down(&r);
}

static void without_idempotence_nothing_is_numbered(void) /* [CLI-10] */
{
    static const char *const off[] = {"enable.idempotence=false", "acks=1", "acks=0", "retries=0"};

    for (size_t i = 0; i < COUNT_OF(off); i++) {
        struct rig r;

        rig_up(&r, 1, PAIRS(off[i]));
        settle(&r, "a");
        CHECK_WITHIN(5000, mock_n_batches(r.mock, "t", 0) == 1); /* acks 0 */
        check_number(&r, 0, -1, -1, -1);
        CHECK_EQ(mock_n_requests(r.mock, API_INIT_PRODUCER_ID), 0);
        rig_down(&r);
    }
}

static void what_contradicts_it_is_refused_when_it_was_asked_for(void) /* [CLI-10] */
{
    static const struct {
        const char *pairs[3];
        const char *says; /* NULL = fine */
    } rows[] = {
            {{"enable.idempotence=true", "acks=1"}, "acks is not all"},
            {{"enable.idempotence=true", "acks=0"}, "acks is not all"},
            {{"enable.idempotence=true", "retries=0"}, "retries is 0"},
            {{"enable.idempotence=true", "max.in.flight.requests.per.connection=6"}, "at most 5"},
            {{"max.in.flight.requests.per.connection=6"}, "at most 5"},
            {{"enable.idempotence=false", "max.in.flight.requests.per.connection=6"}, NULL},
            {{"acks=1", "max.in.flight.requests.per.connection=6"}, NULL},
            {{"enable.idempotence=true", "acks=-1"}, NULL},
            {{"max.in.flight.requests.per.connection=5"}, NULL},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct weir_conf *conf = weir_conf_new();
        struct weir_client *client = NULL;
        struct weir_error error = {0};

        CHECK_EQ(weir_conf_set(conf, "bootstrap.servers", "127.0.0.1:1", &error), 0);
        for (size_t k = 0; rows[i].pairs[k] != NULL; k++) {
            CHECK_EQ(weir_conf_set_pair(conf, rows[i].pairs[k], &error), 0);
        }
        int code = weir_client_new(conf, &client, &error);
        CHECK_EQ(code, rows[i].says != NULL ? WEIR_E_CONFIG : 0);
        CHECK(rows[i].says == NULL || strstr(error.text, rows[i].says) != NULL);
        weir_conf_free(conf);
        (void)weir_client_close(client, 0);
    }
}

static void a_lost_answer_writes_nothing_twice(void) /* [CLI-1] */
{
    struct rig r;

    rig_up(&r, 1, NULL);
    mock_script(r.mock, API_PRODUCE, MOCK_CLOSE_AFTER, 0, 3);
    settle(&r, "a");
    CHECK_EQ(r.last.offset, 0);
    settle(&r, "b");
    CHECK_EQ(r.last.offset, 1);
    CHECK_STR(mock_values(r.mock, "t", 0), "a\nb\n");
    CHECK_EQ(mock_n_requests(r.mock, API_PRODUCE), 5);
    rig_down(&r);
}

static void full_batches_are_pipelined_up_to_five(void) /* [CLI-2] [CLI-3] */
{
    struct rig r;

    rig_up(&r, 1, PAIRS("batch.size=256"));
    mock_script(r.mock, API_PRODUCE, MOCK_HOLD, 0, 1);
    for (int i = 0; i < 9; i++) {
        static char text[200];
        memset(text, 'a' + i, sizeof(text) - 1);
        produce(&r, text);
    }
    CHECK_WITHIN(5000, mock_n_held(r.mock) == 1);
    CHECK_EQ(mock_n_requests(r.mock, API_PRODUCE), 1);
    mock_script(r.mock, API_PRODUCE, MOCK_HOLD, 0, 8);
    mock_release(r.mock);
    CHECK_WITHIN(5000, mock_n_held(r.mock) == 5);
    CHECK_EQ(mock_n_requests(r.mock, API_PRODUCE), 6);
    mock_release(r.mock);
    CHECK_WITHIN(5000, mock_n_held(r.mock) == 3);
    mock_release(r.mock);
    CHECK_EQ(weir_flush(r.client, 5000), 0);
    CHECK_EQ(r.n_outcome[WEIR_PERSISTED], 9);
    for (unsigned i = 0; i < 9; i++) {
        check_number(&r, i, 1000, 0, (int32_t)i);
    }
    rig_down(&r);
}

/* One of several that are out is refused for a while: those behind it are out of order until it was written. */
static void order_is_kept_when_one_of_several_fails(void) /* [CLI-2] [CLI-4] */
{
    struct buf expected = {0};
    struct rig r;

    rig_up(&r, 1, PAIRS("batch.size=256"));
    settle(&r, "first");
    mock_script(r.mock, API_PRODUCE, MOCK_ERROR, ERRCODE_NOT_ENOUGH_REPLICAS, 1);
    buf_append_str(&expected, "first\n");
    for (int i = 0; i < 4; i++) {
        char text[201];
        memset(text, 'a' + i, 200);
        text[200] = '\0';
        produce(&r, text);
        buf_append_format(&expected, "%s\n", text);
    }
    CHECK_EQ(weir_flush(r.client, 5000), 0);
    CHECK_EQ(r.n_outcome[WEIR_PERSISTED], 5);
    CHECK_STR(mock_values(r.mock, "t", 0), buf_str(&expected));
    for (unsigned i = 0; i < 5; i++) {
        check_number(&r, i, 1000, 0, (int32_t)i);
    }
    buf_deinit(&expected);
    rig_down(&r);
}

static void a_refused_batch_is_followed_by_a_new_epoch(void) /* [CLI-5] */
{
    struct rig r;

    rig_up(&r, 1, NULL);
    settle(&r, "a");
    mock_script(r.mock, API_PRODUCE, MOCK_ERROR, ERRCODE_MESSAGE_TOO_LARGE, 1);
    produce(&r, "too large");
    CHECK_EQ(weir_flush(r.client, 5000), 0);
    CHECK_EQ(r.n_outcome[WEIR_NOT_PERSISTED], 1);
    CHECK(!r.last.fatal);
    settle(&r, "b");
    settle(&r, "c");
    CHECK_STR(mock_values(r.mock, "t", 0), "a\nb\nc\n");
    check_number(&r, 1, 1000, 1, 0);
    check_number(&r, 2, 1000, 1, 1);
    CHECK_EQ(mock_n_requests(r.mock, API_INIT_PRODUCER_ID), 1);
    rig_down(&r);
}

/* A batch that was written although nobody heard of it in its time, and one behind it: unknown, and once each. */
static void what_ends_unknown_is_not_written_again(void) /* [CLI-5] [CLI-6] */
{
    struct rig r;

    rig_up(&r, 1, PAIRS("delivery.timeout.ms=300", "request.timeout.ms=100"));
    settle(&r, "a");
    mock_script(r.mock, API_PRODUCE, MOCK_SILENT, 0, 1000);
    produce(&r, "lost");
    CHECK_EQ(weir_flush(r.client, 5000), 0);
    CHECK_EQ(r.n_outcome[WEIR_UNKNOWN], 1);
    mock_unscript(r.mock);
    settle(&r, "b");
    CHECK_STR(mock_values(r.mock, "t", 0), "a\nb\n");
    check_number(&r, 1, 1000, 1, 0);
    rig_down(&r);
}

static void another_producer_under_the_same_id_makes_it_ask_for_a_new_one(void) /* [CLI-8] */
{
    struct rig r;

    rig_up(&r, 1, NULL);
    settle(&r, "a");
    mock_script(r.mock, API_PRODUCE, MOCK_ERROR, ERRCODE_INVALID_PRODUCER_EPOCH, 1);
    settle(&r, "b");
    check_number(&r, 1, 1001, 0, 0);
    rig_down(&r);
}

static void an_id_is_asked_for_until_there_is_one(void) /* [CLI-9] */
{
    struct rig r;

    rig_up(&r, 2, NULL);
    mock_script(r.mock, API_INIT_PRODUCER_ID, MOCK_ERROR, ERRCODE_COORDINATOR_NOT_AVAILABLE, 2);
    mock_script(r.mock, API_INIT_PRODUCER_ID, MOCK_CLOSE_BEFORE, 0, 1);
    mock_script(r.mock, API_INIT_PRODUCER_ID, MOCK_GARBAGE, 0, 1);
    settle(&r, "a");
    check_number(&r, 0, 1000, 0, 0);
    CHECK_EQ(mock_n_requests(r.mock, API_INIT_PRODUCER_ID), 5);
    rig_down(&r);
}

static void records_without_an_id_end_in_time(void) /* [CLI-9] */
{
    struct rig r;

    rig_up(&r, 1, PAIRS("delivery.timeout.ms=200"));
    mock_script(r.mock, API_INIT_PRODUCER_ID, MOCK_ERROR, ERRCODE_COORDINATOR_NOT_AVAILABLE, 1000);
    produce(&r, "a");
    CHECK_EQ(weir_flush(r.client, 5000), 0);
    CHECK_EQ(r.n_outcome[WEIR_NOT_PERSISTED], 1);
    CHECK_EQ(mock_n_requests(r.mock, API_PRODUCE), 0);
    rig_down(&r);
}

static void a_client_that_is_refused_an_id_is_of_no_further_use(void) /* [CLI-9] */
{
    struct weir_error error = {0};
    struct weir_record record = WEIR_RECORD_INIT;
    struct rig r;

    rig_up(&r, 1, NULL);
    mock_script(r.mock, API_INIT_PRODUCER_ID, MOCK_ERROR, ERRCODE_CLUSTER_AUTHORIZATION_FAILED, 1);
    produce(&r, "a");
    produce(&r, "b");
    CHECK_EQ(weir_flush(r.client, 5000), 0);
    CHECK_EQ(r.n_outcome[WEIR_NOT_PERSISTED], 2);
    CHECK_EQ(r.last.code, ERRCODE_CLUSTER_AUTHORIZATION_FAILED);
    CHECK(r.last.fatal);
    record.value = text_bytes("c");
    CHECK_EQ(
            weir_produce(r.client, r.topic, &record, &error), ERRCODE_CLUSTER_AUTHORIZATION_FAILED);
    CHECK(error.fatal);
    rig_down(&r);
}

static void brokers_that_are_older_are_produced_to_without_numbers(void) /* [CLI-9] */
{
    struct rig r;

    rig_up(&r, 1, NULL);
    mock_forget_idempotence(r.mock);
    settle(&r, "a");
    settle(&r, "b");
    check_number(&r, 0, -1, -1, -1);
    CHECK_EQ(mock_n_requests(r.mock, API_INIT_PRODUCER_ID), 1);
    rig_down(&r);
    rig_up(&r, 1, PAIRS("enable.idempotence=true")); /* unless it was asked for */
    mock_forget_idempotence(r.mock);
    produce(&r, "a");
    CHECK_EQ(weir_flush(r.client, 5000), 0);
    CHECK_EQ(r.last.code, ERRCODE_UNSUPPORTED_VERSION);
    CHECK(r.last.fatal);
    rig_down(&r);
}

/* The leader goes with the answers of what is out; the records are there once, in order. */
static void leaders_that_move_and_connections_that_break_double_nothing(void) /* [CLI-1] [CLI-2] */
{
    struct rig r;
    static char expected[64 * 1024];
    size_t at = 0;

    rig_up(&r, 1, PAIRS("batch.size=300", "compression.type=lz4"));
    for (int round = 0; round < 20; round++) {
        mock_script(r.mock, API_PRODUCE, MOCK_HOLD, 0, 1); /* lets some go out together */
        mock_script(
                r.mock, API_PRODUCE, round % 2 == 0 ? MOCK_CLOSE_AFTER : MOCK_CLOSE_BEFORE, 0, 1);
        for (int i = 0; i < 12; i++) {
            char text[101];
            memset(text, 'a' + (round + i) % 26, 100);
            text[100] = '\0';
            produce(&r, text);
            at += (size_t)snprintf(expected + at, sizeof(expected) - at, "%s\n", text);
        }
        int64_t until = check_now_ms() + 10000;
        while (weir_flush(r.client, 10) != 0 && check_now_ms() < until) {
            mock_release(r.mock);
        }
    }
    CHECK_EQ(r.n_outcome[WEIR_PERSISTED], 240);
    CHECK_STR(mock_values(r.mock, "t", 0), expected);
    rig_down(&r);
}

static const struct check_case cases[] = {
        CASE(batches_are_numbered_under_one_id),
        CASE(without_idempotence_nothing_is_numbered),
        CASE(what_contradicts_it_is_refused_when_it_was_asked_for),
        CASE(a_lost_answer_writes_nothing_twice),
        CASE(full_batches_are_pipelined_up_to_five),
        CASE(order_is_kept_when_one_of_several_fails),
        CASE(a_refused_batch_is_followed_by_a_new_epoch),
        CASE(what_ends_unknown_is_not_written_again),
        CASE(another_producer_under_the_same_id_makes_it_ask_for_a_new_one),
        CASE(an_id_is_asked_for_until_there_is_one),
        CASE(records_without_an_id_end_in_time),
        CASE(a_client_that_is_refused_an_id_is_of_no_further_use),
        CASE(brokers_that_are_older_are_produced_to_without_numbers),
        CASE(leaders_that_move_and_connections_that_break_double_nothing),
};

CHECK_MAIN("libweir_idempotent", cases)
