/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/clean_pace.h"

#include "common/net/loop.h"
#include "tests/lib/check.h"

enum {
    SECONDS_MAX = 20 /* a rest that nobody ends is an hour long */
};

static const struct clean_limits slow = {
        .n_threads = 1, .map_size = 1 << 20, .map_load_ppm = 900000, .rate = 1, .backoff = 1000};

struct waiter {
    struct clean_pace pace;
    pthread_t thread;
    bool goes_on;
};

static void *book_an_hour(void *arg)
{
    struct waiter *w = arg;

    w->goes_on = clean_pace_book(&w->pace, 3600);
    return NULL;
}

static void start_waiter(struct waiter *w)
{
    *w = (struct waiter){.goes_on = false};
    clean_pace_init(&w->pace);
    clean_pace_set(&w->pace, &slow);
    CHECK_EQ(pthread_create(&w->thread, NULL, book_an_hour, w), 0);
}

static void end_waiter(struct waiter *w, wtime began)
{
    CHECK_EQ(pthread_join(w->thread, NULL), 0);
    CHECK(clock_now() - began < WTIME_MS(SECONDS_MAX * 1000));
    clean_pace_deinit(&w->pace);
}

static void another_rate_frees_who_waits_for_the_old_one(void) /* [CFG-12] */
{
    struct clean_limits fast = slow;
    struct waiter w;
    wtime began = clock_now();

    fast.rate = 1 << 30;
    start_waiter(&w);
    clean_pace_set(&w.pace, &fast); /* before or after it waits */
    CHECK(clean_pace_book(&w.pace, 1 << 20));
    CHECK_EQ(clean_pace_limits(&w.pace).rate, 1 << 30);
    /* The booking at the old rate, should it come only now, is at the new one. */
    end_waiter(&w, began);
    CHECK(w.goes_on);
}

static void a_stop_ends_every_rest(void)
{
    struct waiter w;
    wtime began = clock_now();

    start_waiter(&w);
    clean_pace_stop(&w.pace);
    CHECK(!clean_pace_book(&w.pace, 1));
    CHECK(!clean_pace_rest(&w.pace, wtime_add(clock_now(), WTIME_MS(3600000))));
    CHECK(clean_pace_is_stopped(&w.pace));
    end_waiter(&w, began);
    CHECK(!w.goes_on);
}

static void a_share_that_is_used_up_is_waited_for(void)
{
    struct clean_limits limits = slow;
    struct clean_pace pace;
    wtime began = clock_now();

    limits.rate = 1000000;
    clean_pace_init(&pace);
    clean_pace_set(&pace, &limits);
    for (int i = 0; i < 10; i++) {
        CHECK(clean_pace_book(&pace, 10000)); /* 10 ms each */
    }
    CHECK(clock_now() - began >= WTIME_MS(70)); /* less what may be saved up */
    clean_pace_set(&pace, &limits);             /* the same: nothing changes */
    CHECK_EQ(pace.n_changes, 1);
    clean_pace_deinit(&pace);
}

static void a_thread_too_many_ends(void)
{
    struct clean_limits limits = slow;
    struct clean_pace pace;
    atomic_bool has_ended = false;

    limits.n_threads = 2;
    clean_pace_init(&pace);
    clean_pace_set(&pace, &limits);
    CHECK(clean_pace_wants(&pace, 1, &has_ended));
    CHECK(!has_ended);
    clean_pace_set(&pace, &slow);
    CHECK(!clean_pace_wants(&pace, 1, &has_ended));
    CHECK(has_ended);
    has_ended = false;
    CHECK(clean_pace_wants(&pace, 0, &has_ended));
    clean_pace_stop(&pace);
    CHECK(!clean_pace_wants(&pace, 0, &has_ended));
    CHECK(has_ended);
    clean_pace_deinit(&pace);
}

static const struct check_case cases[] = {
        CASE(another_rate_frees_who_waits_for_the_old_one),
        CASE(a_stop_ends_every_rest),
        CASE(a_thread_too_many_ends),
        CASE(a_share_that_is_used_up_is_waited_for),
};

CHECK_MAIN("clean_pace", cases)
