/* SPDX-License-Identifier: Apache-2.0 */
#include "common/wire/calls.h"

#include "common/base/array.h"
#include "common/base/prng.h"
#include "tests/lib/check.h"

static int users[16];

static void an_answer_ends_its_call_once(void)
{
    struct calls *c = calls_new();
    uint32_t a = calls_begin(c, &users[0], 100);
    uint32_t b = calls_begin(c, &users[1], WTIME_NEVER);

    CHECK(a != b);
    CHECK_EQ(calls_n(c), 2);
    CHECK(calls_end(c, b) == &users[1]);
    CHECK(calls_end(c, b) == NULL);
    CHECK(calls_end(c, a) == &users[0]);
    CHECK_EQ(calls_n(c), 0);
    CHECK_EQ(calls_deadline(c), WTIME_NEVER);
    calls_free(c);
}

static void an_answer_that_nobody_asked_for_is_no_call(void)
{
    struct calls *c = calls_new();

    CHECK(calls_end(c, 0) == NULL);
    CHECK(calls_end(c, 12345) == NULL);
    calls_free(c);
}

static void correlations_are_given_in_order(void)
{
    struct calls *c = calls_new();
    uint32_t first = calls_begin(c, &users[0], WTIME_NEVER);

    CHECK_EQ(calls_begin(c, &users[1], WTIME_NEVER), first + 1);
    CHECK_EQ(calls_begin(c, &users[2], WTIME_NEVER), first + 2);
    calls_free(c);
}

static void calls_expire_earliest_first(void)
{
    struct calls *c = calls_new();

    (void)calls_begin(c, &users[0], 30);
    (void)calls_begin(c, &users[1], 10);
    (void)calls_begin(c, &users[2], 20);
    (void)calls_begin(c, &users[3], WTIME_NEVER);
    CHECK_EQ(calls_deadline(c), 10);
    CHECK(calls_expired(c, 9) == NULL);
    CHECK(calls_expired(c, 20) == &users[1]);
    CHECK(calls_expired(c, 20) == &users[2]);
    CHECK(calls_expired(c, 20) == NULL);
    CHECK_EQ(calls_deadline(c), 30);
    CHECK(calls_expired(c, INT64_MAX) == &users[0]);
    CHECK(calls_expired(c, INT64_MAX) == NULL);
    CHECK_EQ(calls_n(c), 1);
    calls_free(c);
}

static void equal_deadlines_expire_oldest_first(void)
{
    struct calls *c = calls_new();

    for (size_t i = 0; i < COUNT_OF(users); i++) {
        (void)calls_begin(c, &users[i], 5);
    }
    for (size_t i = 0; i < COUNT_OF(users); i++) {
        CHECK(calls_expired(c, 5) == &users[i]);
    }
    calls_free(c);
}

static void a_late_answer_finds_no_call(void)
{
    struct calls *c = calls_new();
    uint32_t a = calls_begin(c, &users[0], 5);

    CHECK(calls_expired(c, 5) == &users[0]);
    CHECK(calls_end(c, a) == NULL);
    calls_free(c);
}

static void a_broken_connection_gives_all_calls_back_oldest_first(void)
{
    struct calls *c = calls_new();

    (void)calls_begin(c, &users[0], 30);
    uint32_t middle = calls_begin(c, &users[1], WTIME_NEVER);
    (void)calls_begin(c, &users[2], 10);
    CHECK(calls_end(c, middle) == &users[1]);
    CHECK(calls_take_any(c) == &users[0]);
    CHECK(calls_take_any(c) == &users[2]);
    CHECK(calls_take_any(c) == NULL);
    CHECK_EQ(calls_n(c), 0);
    CHECK_EQ(calls_deadline(c), WTIME_NEVER);
    calls_free(c);
}

struct model {
    uint32_t correlation;
    wtime deadline;
    bool is_there;
};

enum {
    MODEL = 300
};

static size_t model_earliest(const struct model *m, size_t n)
{
    size_t best = MODEL;

    for (size_t i = 0; i < n; i++) {
        if (m[i].is_there && m[i].deadline != WTIME_NEVER &&
                (best == MODEL || m[i].deadline < m[best].deadline)) {
            best = i;
        }
    }
    return best;
}

static void random_calls_agree_with_a_plain_list(void)
{
    struct prng p;

    prng_init(&p, check_seed());
    for (int round = 0; round < 50; round++) {
        struct model m[MODEL] = {0};
        size_t n = 0;
        struct calls *c = calls_new();
        for (int step = 0; step < 600; step++) {
            uint64_t what = prng_below(&p, 4);
            if (what <= 1 && n < MODEL) {
                wtime deadline = prng_below(&p, 4) == 0 ? WTIME_NEVER : (wtime)prng_below(&p, 50);
                m[n] = (struct model){calls_begin(c, &m[n], deadline), deadline, true};
                n++;
            } else if (what == 2 && n > 0) {
                size_t i = prng_below(&p, n);
                CHECK(calls_end(c, m[i].correlation) == (m[i].is_there ? &m[i] : NULL));
                m[i].is_there = false;
            } else {
                wtime now = (wtime)prng_below(&p, 60);
                size_t i = model_earliest(m, n);
                bool due = i < MODEL && m[i].deadline <= now;
                CHECK(calls_expired(c, now) == (due ? &m[i] : NULL));
                if (due) {
                    m[i].is_there = false;
                }
            }
            size_t i = model_earliest(m, n);
            CHECK_EQ(calls_deadline(c), i < MODEL ? m[i].deadline : WTIME_NEVER);
        }
        calls_free(c);
    }
}

static const struct check_case cases[] = {
        CASE(an_answer_ends_its_call_once),
        CASE(an_answer_that_nobody_asked_for_is_no_call),
        CASE(correlations_are_given_in_order),
        CASE(calls_expire_earliest_first),
        CASE(equal_deadlines_expire_oldest_first),
        CASE(a_late_answer_finds_no_call),
        CASE(a_broken_connection_gives_all_calls_back_oldest_first),
        CASE(random_calls_agree_with_a_plain_list),
};

CHECK_MAIN("calls", cases)
