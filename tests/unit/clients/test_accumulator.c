/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/core/accumulator.h"
#include "common/base/array.h"
#include "common/domain/errcode.h"
#include "tests/lib/check.h"

enum {
    BATCHES = 32,
    PARTS = 4
};

static struct acc acc;
static struct acc_partition parts[PARTS];
static struct acc_batch batches[BATCHES];
static size_t n_batches;

static const struct acc_settings defaults = {
        .batch_size = 1000,
        .request_size = 2000,
        .memory = 10000,
        .linger = 0,
        .delivery_timeout = 10000,
        .retry_backoff = 100,
        .retry_backoff_max = 1000,
        .retries = UINT32_MAX,
        .partition_in_flight = 1,
};

static void start(const struct acc_settings *settings)
{
    acc_init(&acc, settings, 1);
    n_batches = 0;
    for (size_t i = 0; i < PARTS; i++) {
        acc_partition_init(&parts[i]);
        (void)acc_set_leader(&acc, &parts[i], (broker_id)(i % 2));
    }
}

/* Adds a record; true = the shell is to look. */
static bool add(size_t part, size_t size, wtime now)
{
    struct acc_batch *b = acc_open_batch(&acc, &parts[part], size);

    if (b == NULL) {
        b = &batches[n_batches++];
        acc_open(&acc, &parts[part], b, 61, now);
    }
    bool wakes = acc_add_record(&acc, b, size);
    CHECK(acc_check(&acc));
    return wakes;
}

static size_t take(broker_id broker, wtime now, struct acc_batch **ret)
{
    (void)acc_sift(&acc, now);
    size_t n = acc_take(&acc, broker, ret, BATCHES);
    CHECK(acc_check(&acc));
    return n;
}

static enum acc_verdict finish(struct acc_batch *b, enum try_end end, int code, wtime now)
{
    struct try_result r = {
            .end = end, .code = code, .base_offset = end == TRY_ANSWERED && code == 0 ? 5 : -1};
    enum acc_verdict v = acc_finish(&acc, b, &r, now);
    CHECK(acc_check(&acc));
    return v;
}

static void the_first_record_leaves_at_once(void)
{
    struct acc_batch *taken[BATCHES];

    start(&defaults);
    CHECK(add(0, 10, 1));
    CHECK_EQ(take(1, 1, taken), 0);
    CHECK_EQ(take(0, 1, taken), 1);
    CHECK_EQ(taken[0]->n_records, 1);
    CHECK_EQ(taken[0]->size, 71);
}

static void records_gather_while_one_batch_is_in_flight(void)
{
    struct acc_batch *taken[BATCHES];

    start(&defaults);
    add(0, 10, 1);
    CHECK_EQ(take(0, 1, taken), 1);
    for (int i = 0; i < 5; i++) {
        CHECK(!add(0, 10, 2));
    }
    CHECK_EQ(take(0, 2, &taken[1]), 0);
    CHECK_EQ(finish(taken[0], TRY_ANSWERED, 0, 3), ACC_DELIVERED);
    CHECK_EQ(take(0, 3, taken), 1);
    CHECK_EQ(taken[0]->n_records, 5);
}

static void a_full_batch_waits_for_the_one_in_flight_when_retries_could_reorder(void)
{
    struct acc_batch *taken[BATCHES];

    start(&defaults);
    add(0, 10, 1);
    CHECK_EQ(take(0, 1, taken), 1);
    CHECK(!add(0, 2000, 1));
    CHECK_EQ(take(0, 1, &taken[1]), 0);
}

static void without_retries_full_batches_are_pipelined(void)
{
    struct acc_settings s = defaults;
    struct acc_batch *taken[BATCHES];

    s.retries = 0;
    s.partition_in_flight = 3;
    start(&s);
    add(0, 10, 1);
    CHECK_EQ(take(0, 1, taken), 1);
    CHECK(!add(0, 500, 1)); /* not full: gathers */
    CHECK(add(0, 500, 1));  /* does not fit: the former is full */
    CHECK_EQ(take(0, 1, &taken[1]), 1);
    CHECK_EQ(finish(taken[0], TRY_ANSWERED, ERRCODE_NOT_LEADER_OR_FOLLOWER, 2), ACC_FAILED);
}

static void linger_delays_until_time_or_size(void)
{
    struct acc_settings s = defaults;
    struct acc_batch *taken[BATCHES];

    s.linger = 50;
    start(&s);
    CHECK(add(0, 10, 100)); /* so that the shell sets its timer */
    CHECK_EQ(take(0, 100, taken), 0);
    CHECK_EQ(acc_deadline(&acc), 150);
    CHECK_EQ(take(0, 149, taken), 0);
    CHECK_EQ(take(0, 150, taken), 1);
    CHECK(add(1, 10, 200));
    CHECK_EQ(take(1, 200, &taken[1]), 0);
    CHECK(add(1, 960, 201)); /* does not fit behind the other: that one is full now */
    CHECK_EQ(take(1, 201, &taken[1]), 1);
}

static void a_flush_ends_lingering(void)
{
    struct acc_settings s = defaults;
    struct acc_batch *taken[BATCHES];

    s.linger = 50;
    start(&s);
    add(0, 10, 100);
    CHECK_EQ(take(0, 100, taken), 0);
    acc_flush_begin(&acc);
    CHECK_EQ(take(0, 101, taken), 1);
    add(1, 10, 101);
    CHECK_EQ(take(1, 101, taken), 1);
    acc_flush_end(&acc);
}

static void a_request_has_one_batch_a_partition_within_its_size(void)
{
    struct acc_settings s = defaults;
    struct acc_batch *taken[BATCHES];

    start(&s);
    for (size_t i = 0; i < PARTS; i++) {
        (void)acc_set_leader(&acc, &parts[i], 3);
        add(i, 800, 1);
    }
    CHECK_EQ(take(3, 1, taken), 2); /* 2 x 861 bytes of 2000 */
    CHECK_EQ(take(3, 1, taken), 2);
    CHECK_EQ(take(3, 1, taken), 0);
}

static void a_batch_above_the_request_size_goes_alone(void)
{
    struct acc_batch *taken[BATCHES];

    start(&defaults);
    add(0, 5000, 1);
    add(2, 10, 1);
    CHECK_EQ(take(0, 1, taken), 1);
    CHECK_EQ(taken[0]->size, 5061);
    CHECK_EQ(take(0, 1, taken), 1);
}

static void a_retry_keeps_its_place(void)
{
    struct acc_batch *taken[BATCHES];

    start(&defaults);
    add(0, 10, 1);
    CHECK_EQ(take(0, 1, taken), 1);
    add(0, 20, 1);
    CHECK_EQ(finish(taken[0], TRY_LOST, ERRCODE_NETWORK_EXCEPTION, 10), ACC_RETRY);
    CHECK_EQ(take(0, 10, taken), 0);
    CHECK(acc_deadline(&acc) >= 90 && acc_deadline(&acc) <= 130);
    CHECK_EQ(take(0, 130, taken), 1);
    CHECK_EQ(taken[0]->size, 71);
    CHECK_EQ(finish(taken[0], TRY_ANSWERED, 0, 140), ACC_DELIVERED);
    CHECK_EQ(take(0, 140, taken), 1);
    CHECK_EQ(taken[0]->size, 81);
}

static void a_partition_without_leader_waits_for_one(void)
{
    struct acc_batch *taken[BATCHES];

    start(&defaults);
    (void)acc_set_leader(&acc, &parts[0], BROKER_NONE);
    add(0, 10, 1);
    CHECK(acc_sift(&acc, 1));
    CHECK(acc_lacks_leader(&acc));
    CHECK(acc_set_leader(&acc, &parts[0], 7));
    CHECK(!acc_lacks_leader(&acc) || acc_needs(&acc, 7));
    CHECK(!acc_sift(&acc, 2));
    CHECK_EQ(take(7, 2, taken), 1);
}

static void what_is_not_delivered_in_time_expires(void)
{
    struct acc_batch *taken[BATCHES];

    start(&defaults);
    add(0, 10, 1);
    CHECK_EQ(take(0, 1, taken), 1);
    add(0, 10, 50);
    CHECK(acc_expire(&acc, 10001) == NULL); /* in flight: waited for */
    struct acc_batch *second = acc_expire(&acc, 10050);
    CHECK(second != NULL);
    CHECK_EQ(acc_outcome(second), OUTCOME_NOT_PERSISTED);
    CHECK_EQ(finish(taken[0], TRY_LOST, ERRCODE_REQUEST_TIMED_OUT, 10060), ACC_FAILED);
    CHECK_EQ(acc_outcome(taken[0]), OUTCOME_UNKNOWN);
    CHECK_EQ(acc.n_batches, 0);
    CHECK_EQ(acc_deadline(&acc), acc.next_expiry);
}

/* One row: what happened to a batch, try by try, and what is known then. */
static void outcomes_follow_the_table(void)
{
    static const struct {
        struct try_result tries[3];
        int n;
        enum outcome outcome;
    } rows[] = {
            /* Never left this process. */
            {{{TRY_NEVER_SENT, ERRCODE_NETWORK_EXCEPTION, -1}}, 1, OUTCOME_NOT_PERSISTED},
            {{{TRY_NEVER_SENT, 13, -1}, {TRY_NEVER_SENT, 13, -1}}, 2, OUTCOME_NOT_PERSISTED},
            /* Sent, no answer. */
            {{{TRY_LOST, ERRCODE_NETWORK_EXCEPTION, -1}}, 1, OUTCOME_UNKNOWN},
            {{{TRY_LOST, ERRCODE_REQUEST_TIMED_OUT, -1}}, 1, OUTCOME_UNKNOWN},
            /* A refusal says that this try wrote nothing. */
            {{{TRY_ANSWERED, ERRCODE_NOT_LEADER_OR_FOLLOWER, -1}}, 1, OUTCOME_NOT_PERSISTED},
            {{{TRY_ANSWERED, ERRCODE_MESSAGE_TOO_LARGE, -1}}, 1, OUTCOME_NOT_PERSISTED},
            {{{TRY_ANSWERED, ERRCODE_NOT_ENOUGH_REPLICAS, -1}}, 1, OUTCOME_NOT_PERSISTED},
            {{{TRY_ANSWERED, ERRCODE_UNKNOWN_TOPIC_ID, -1}}, 1, OUTCOME_NOT_PERSISTED},
            /* Appended, then something failed. */
            {{{TRY_ANSWERED, ERRCODE_NOT_LEADER_OR_FOLLOWER, 12}}, 1, OUTCOME_UNKNOWN},
            {{{TRY_ANSWERED, ERRCODE_NOT_ENOUGH_REPLICAS_AFTER_APPEND, 12}}, 1, OUTCOME_UNKNOWN},
            {{{TRY_ANSWERED, ERRCODE_NOT_ENOUGH_REPLICAS_AFTER_APPEND, -1}}, 1, OUTCOME_UNKNOWN},
            {{{TRY_ANSWERED, ERRCODE_REQUEST_TIMED_OUT, -1}}, 1, OUTCOME_UNKNOWN},
            {{{TRY_ANSWERED, ERRCODE_KAFKA_STORAGE_ERROR, -1}}, 1, OUTCOME_UNKNOWN},
            {{{TRY_ANSWERED, ERRCODE_UNKNOWN_SERVER_ERROR, -1}}, 1, OUTCOME_UNKNOWN},
            /* A later refusal does not undo an earlier try. */
            {{{TRY_LOST, 13, -1}, {TRY_ANSWERED, 6, -1}}, 2, OUTCOME_UNKNOWN},
            {{{TRY_ANSWERED, 6, -1}, {TRY_NEVER_SENT, 13, -1}, {TRY_ANSWERED, 19, -1}}, 3,
                    OUTCOME_NOT_PERSISTED},
            /* Success after whatever. */
            {{{TRY_LOST, 13, -1}, {TRY_ANSWERED, 0, 3}}, 2, OUTCOME_PERSISTED},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct acc_batch *taken[BATCHES];
        enum acc_verdict v = ACC_RETRY;
        wtime now = 1;
        start(&defaults);
        add(0, 10, now);
        for (int t = 0; t < rows[i].n; t++) {
            now += 2000;
            CHECK_EQ(take(0, now, taken), 1);
            v = acc_finish(&acc, taken[0], &rows[i].tries[t], now);
        }
        enum outcome outcome = v == ACC_DELIVERED ? OUTCOME_PERSISTED : acc_outcome(&batches[0]);
        CHECK_EQ(outcome, rows[i].outcome);
    }
}

static void retries_are_counted_by_tries_that_were_sent(void)
{
    struct acc_settings s = defaults;
    struct acc_batch *taken[BATCHES];

    s.retries = 1;
    start(&s);
    add(0, 10, 1);
    CHECK_EQ(take(0, 1, taken), 1);
    CHECK_EQ(finish(taken[0], TRY_NEVER_SENT, 13, 2), ACC_RETRY);
    CHECK_EQ(take(0, 1000, taken), 1);
    CHECK_EQ(finish(taken[0], TRY_ANSWERED, 6, 1000), ACC_RETRY);
    CHECK_EQ(take(0, 2000, taken), 1);
    CHECK_EQ(finish(taken[0], TRY_ANSWERED, 6, 2000), ACC_FAILED);
}

static void what_cannot_succeed_is_not_retried(void)
{
    struct acc_batch *taken[BATCHES];

    start(&defaults);
    add(0, 10, 1);
    CHECK_EQ(take(0, 1, taken), 1);
    CHECK_EQ(finish(taken[0], TRY_ANSWERED, ERRCODE_MESSAGE_TOO_LARGE, 2), ACC_FAILED);
    CHECK_EQ(acc.n_batches, 0);
}

static void memory_is_full_but_takes_one_large_record(void)
{
    start(&defaults);
    CHECK(acc_has_room(&acc, 50000));
    acc_charge(&acc, 9000);
    CHECK(acc_has_room(&acc, 1000));
    CHECK(!acc_has_room(&acc, 1001));
    acc_discharge(&acc, 9000);
    CHECK(acc_has_room(&acc, 1001));
}

static void closing_drops_everything_once(void)
{
    struct acc_batch *taken[BATCHES];
    size_t n = 0;

    start(&defaults);
    for (size_t i = 0; i < PARTS; i++) {
        add(i, 900, 1);
        add(i, 900, 1);
    }
    CHECK_EQ(take(0, 1, taken), 2);
    while (acc_drop_any(&acc) != NULL) {
        n++;
    }
    CHECK_EQ(n, 6);
    CHECK_EQ(acc.n_batches, 2);
}

/* Random histories: each record leaves once, in order, whatever fails. */
static void order_survives_random_failures(void)
{
    struct prng prng;

    prng_init(&prng, check_seed());
    for (int round = 0; round < 50; round++) {
        struct acc_batch *taken[BATCHES];
        const struct acc_batch *expected = &batches[0];
        wtime now = 1;
        struct acc_settings s = defaults;
        s.delivery_timeout = WTIME_NEVER;
        s.batch_size = 200;
        start(&s);
        while (n_batches < BATCHES - 1 || acc.n_batches > 0) {
            now += (wtime)prng_below(&prng, 300);
            if (n_batches < BATCHES - 1) {
                (void)add(0, 1 + prng_below(&prng, 150), now);
            }
            if (take(0, now, taken) == 0) {
                continue;
            }
            CHECK(taken[0] == expected);
            int code = prng_below(&prng, 3) == 0 ? 0 : ERRCODE_NOT_LEADER_OR_FOLLOWER;
            if (finish(taken[0], prng_below(&prng, 2) == 0 && code != 0 ? TRY_LOST : TRY_ANSWERED,
                        code, now) == ACC_DELIVERED) {
                expected++;
            }
        }
        CHECK(expected == &batches[n_batches]);
    }
}

static const struct check_case cases[] = {
        CASE(the_first_record_leaves_at_once),
        CASE(records_gather_while_one_batch_is_in_flight),
        CASE(a_full_batch_waits_for_the_one_in_flight_when_retries_could_reorder),
        CASE(without_retries_full_batches_are_pipelined),
        CASE(linger_delays_until_time_or_size),
        CASE(a_flush_ends_lingering),
        CASE(a_request_has_one_batch_a_partition_within_its_size),
        CASE(a_batch_above_the_request_size_goes_alone),
        CASE(a_retry_keeps_its_place),
        CASE(a_partition_without_leader_waits_for_one),
        CASE(what_is_not_delivered_in_time_expires),
        CASE(outcomes_follow_the_table),
        CASE(retries_are_counted_by_tries_that_were_sent),
        CASE(what_cannot_succeed_is_not_retried),
        CASE(memory_is_full_but_takes_one_large_record),
        CASE(closing_drops_everything_once),
        CASE(order_survives_random_failures),
};

CHECK_MAIN("accumulator", cases)
