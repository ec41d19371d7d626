/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the load generator that need no cluster. */
#include "tests/lib/check.h"
#include "tests/lib/load_history.h"
#include "tests/lib/load_stats.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void a_value_is_a_producer_and_a_counter(void)
{
    static const char *const wrong[] = {"", "-", "-1", "a-", "a-x", "a-1x", "a", "a-1 ", "a--x",
            "a-99999999999999999999999", "0123456789012345678901234567890123456789-1"};
    char value[LOAD_VALUE_SIZE];
    char id[LOAD_ID_SIZE];
    uint64_t counter = 0;

    load_value_format(value, "a-b", UINT64_MAX);
    CHECK_STR(value, "a-b-18446744073709551615");
    CHECK(load_value_parse(value, strlen(value), id, &counter));
    CHECK_STR(id, "a-b");
    CHECK(counter == UINT64_MAX);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        CHECK(!load_value_parse(wrong[i], strlen(wrong[i]), id, &counter));
    }
    CHECK(!load_value_parse(NULL, 0, id, &counter));
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

/* A file with that text; false = refused, *ret_line says where. */
static bool read_text(struct load_history *h, const char *text, size_t *ret_line)
{
    char path[] = "/tmp/weir-load-XXXXXX";
    int fd = mkstemp(path);

    CHECK(fd >= 0);
    CHECK_EQ(write(fd, text, strlen(text)), (long long)strlen(text));
    CHECK_EQ(close(fd), 0);
    bool is_read = load_history_read(h, path, ret_line);
    CHECK_EQ(unlink(path), 0);
    return is_read;
}

static void a_history_survives_its_writer(void)
{
    struct load_history h = {0};
    size_t line = 9;

    CHECK(read_text(&h, "x-1 0 7\ny-2 1 -1\nx-2 0 8\nx-3 0", &line)); /* killed in the last line */
    CHECK_EQ(line, 0);
    CHECK_EQ(h.n, 3);
    CHECK_EQ(h.n_producers, 2);
    CHECK_EQ(h.acked[1].offset, -1);
    CHECK_EQ(h.acked[2].producer, h.acked[0].producer);
    CHECK(!read_text(&h, "x-1 0 7\nnonsense\n", &line));
    CHECK_EQ(line, 2);
    CHECK(!load_history_read(&h, "/nowhere/at/all", &line));
    CHECK_EQ(line, 0);
    load_history_deinit(&h);
}

static const struct check_case cases[] = {
        CASE(a_value_is_a_producer_and_a_counter),
        CASE(quantiles_are_right_within_a_bucket),
        CASE(only_waiting_records_make_a_gap),
        CASE(a_wait_that_goes_on_counts_and_a_failure_does_not_end_it),
        CASE(errors_are_counted_by_name),
        CASE(a_history_survives_its_writer),
};

CHECK_MAIN("load", cases)
