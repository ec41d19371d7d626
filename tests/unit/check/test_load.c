/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the load generator that need no cluster. */
#include "clients/check/history.h"
#include "clients/check/load_record.h"
#include "clients/check/load_stats.h"
#include "tests/lib/check.h"

#include <stdio.h>

static void a_value_is_an_id_and_a_number(void)
{
    static const char *const wrong[] = {"", "-", "-1", "a-", "a-x", "a-1x", "a", "a-1 ", "a-01",
            "a-99999999999999999999999", "a b-1", "a\"-1",
            "0123456789012345678901234567890123456789012345678901234567890123456789-1"};
    char word[HISTORY_WORD_SIZE];
    uint64_t number = 0;

    CHECK(history_value_parse("a-b-184467440737095516", 22, word, &number));
    CHECK_STR(word, "a-b");
    CHECK(number == 184467440737095516);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        CHECK(!history_value_parse(wrong[i], strlen(wrong[i]), word, &number));
    }
    CHECK(!history_value_parse(NULL, 0, word, &number));
    CHECK(load_id_is_legal("a-b.c_D9"));
    CHECK(!load_id_is_legal(""));
    CHECK(!load_id_is_legal("a b"));
    CHECK(!load_id_is_legal("01234567890123456789012345678901"));
    CHECK(load_value_is_of("a-b-7", "a-b"));
    CHECK(!load_value_is_of("a-b-7", "a"));
}

static uint64_t hash_of(const struct weir_record *r)
{
    return load_record_hash(r);
}

/* Each part of a record that a client sees counts. */
static void a_changed_record_has_another_hash(void)
{
    struct load_record r;

    CHECK(load_record_init(&r, "a", 5, 100, 1000));
    CHECK_EQ(r.record.value.size, 100);
    CHECK_EQ(r.record.n_headers, 2);
    uint64_t good = hash_of(&r.record);
    struct weir_record other = r.record;
    CHECK(hash_of(&other) == good);
    other.timestamp++;
    CHECK(hash_of(&other) != good);
    other = r.record;
    other.key = (struct weir_bytes){0}; /* it was empty */
    CHECK(hash_of(&other) != good);
    other = r.record;
    other.value.size--;
    CHECK(hash_of(&other) != good);
    other = r.record;
    other.n_headers--;
    CHECK(hash_of(&other) != good);
    r.headers[1].value = (struct weir_bytes){.at = "", .size = 0}; /* it was null */
    CHECK(hash_of(&r.record) != good);
    load_record_deinit(&r);
}

static void padding_is_no_part_of_the_value(void)
{
    struct load_record r;
    char value[LOAD_VALUE_SIZE];

    CHECK(load_record_init(&r, "a", 17, 60, 1000));
    struct weir_message m = {.value = r.record.value};
    CHECK(load_message_value(&m, value));
    CHECK_STR(value, "a-17");
    m.value = (struct weir_bytes){.at = "garbage", .size = 7};
    CHECK(!load_message_value(&m, value));
    m.value.at = NULL;
    CHECK(!load_message_value(&m, value));
    load_record_deinit(&r);
}

static void quantiles_are_right_within_a_bucket(void)
{
    struct load_latency l = {0};

    CHECK_EQ(load_latency_quantile(&l, 500), 0);
    for (uint64_t us = 1; us <= 100000; us++) {
        load_latency_add(&l, us);
    }
    load_latency_add(&l, UINT64_MAX / 2);
    CHECK(load_latency_quantile(&l, 500) >= 50000 && load_latency_quantile(&l, 500) < 52000);
    CHECK(load_latency_quantile(&l, 990) >= 99000 && load_latency_quantile(&l, 990) < 102400);
    CHECK(load_latency_quantile(&l, 1000) == UINT64_MAX / 2);
    CHECK(l.max == UINT64_MAX / 2);
}

static void only_waiting_records_make_a_gap(void)
{
    struct load_stream s = {0};
    struct load_gap gap = {.partition = -1};

    load_stream_look(&s, 0, 1000, &gap);
    CHECK_EQ(gap.partition, -1);
    load_stream_sent(&s, 1000);
    load_stream_acked(&s, 0, 1010, &gap);
    load_stream_sent(&s, 5000); /* nothing waited from 1010 to here */
    load_stream_acked(&s, 0, 5005, &gap);
    CHECK_EQ(gap.length, 10);
    CHECK_EQ(gap.began, 1000);
    load_stream_sent(&s, 6000);
    load_stream_sent(&s, 6001);
    load_stream_acked(&s, 0, 6020, &gap);
    load_stream_acked(&s, 0, 6080, &gap); /* 60 since the one before, not 79 since it was sent */
    CHECK_EQ(gap.length, 60);
    CHECK_EQ(gap.began, 6020);
}

static void a_wait_that_goes_on_counts_and_a_failure_does_not_end_it(void)
{
    struct load_stream s = {0};
    struct load_gap gap = {.partition = -1};

    load_stream_sent(&s, 100);
    load_stream_sent(&s, 110);
    load_stream_failed(&s, 3, 150, &gap);
    load_stream_look(&s, 3, 170, &gap);
    CHECK_EQ(gap.length, 70);
    CHECK_EQ(gap.partition, 3);
    load_stream_acked(&s, 3, 180, &gap);
    CHECK_EQ(gap.length, 80);
}

static void errors_are_counted_by_name(void)
{
    static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l",
            "m", "n", "o", "p", "q", "r"};
    struct load_errors e = {0};

    load_errors_add(&e, "B");
    load_errors_add(&e, "A");
    load_errors_add(&e, "B");
    CHECK_EQ(e.n, 2);
    CHECK_STR(e.at[0].name, "B");
    CHECK_EQ(e.at[0].n, 2);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        load_errors_add(&e, names[i]);
    }
    CHECK_EQ(e.n, LOAD_N_ERRORS);
    CHECK_EQ(e.at[LOAD_N_ERRORS - 1].n, 5);
}

static const struct check_case cases[] = {
        CASE(a_value_is_an_id_and_a_number),
        CASE(a_changed_record_has_another_hash),
        CASE(padding_is_no_part_of_the_value),
        CASE(quantiles_are_right_within_a_bucket),
        CASE(only_waiting_records_make_a_gap),
        CASE(a_wait_that_goes_on_counts_and_a_failure_does_not_end_it),
        CASE(errors_are_counted_by_name),
};

CHECK_MAIN("load", cases)
