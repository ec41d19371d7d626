/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/clean_pace.h"

#include "common/net/loop.h"

#include <time.h>

enum {
    AHEAD_MS = 20 /* shorter waits are saved up */
};

void clean_pace_init(struct clean_pace *p)
{
    pthread_condattr_t attr;

    *p = (struct clean_pace){.next = 0};
    (void)pthread_mutex_init(&p->lock, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&p->changed, &attr);
    (void)pthread_condattr_destroy(&attr);
}

void clean_pace_deinit(struct clean_pace *p)
{
    (void)pthread_cond_destroy(&p->changed);
    (void)pthread_mutex_destroy(&p->lock);
}

static bool is_same(const struct clean_limits *a, const struct clean_limits *b)
{
    return a->n_threads == b->n_threads && a->map_size == b->map_size &&
           a->map_load_ppm == b->map_load_ppm && a->rate == b->rate && a->backoff == b->backoff;
}

void clean_pace_set(struct clean_pace *p, const struct clean_limits *limits)
{
    (void)pthread_mutex_lock(&p->lock);
    if (!is_same(&p->limits, limits)) {
        /* What was booked at the old rate may lie hours ahead at the new one. */
        p->next = p->limits.rate != limits->rate ? 0 : p->next;
        p->limits = *limits;
        p->n_changes++;
        (void)pthread_cond_broadcast(&p->changed);
    }
    (void)pthread_mutex_unlock(&p->lock);
}

void clean_pace_stop(struct clean_pace *p)
{
    (void)pthread_mutex_lock(&p->lock);
    p->is_stopped = true;
    (void)pthread_cond_broadcast(&p->changed);
    (void)pthread_mutex_unlock(&p->lock);
}

struct clean_limits clean_pace_limits(struct clean_pace *p)
{
    struct clean_limits ret;

    (void)pthread_mutex_lock(&p->lock);
    ret = p->limits;
    (void)pthread_mutex_unlock(&p->lock);
    return ret;
}

bool clean_pace_is_stopped(struct clean_pace *p)
{
    bool ret;

    (void)pthread_mutex_lock(&p->lock);
    ret = p->is_stopped;
    (void)pthread_mutex_unlock(&p->lock);
    return ret;
}

bool clean_pace_wants(struct clean_pace *p, size_t index, atomic_bool *ret_ended)
{
    bool ret;

    (void)pthread_mutex_lock(&p->lock);
    ret = !p->is_stopped && index < p->limits.n_threads;
    if (!ret) {
        atomic_store(ret_ended, true);
    }
    (void)pthread_mutex_unlock(&p->lock);
    return ret;
}

static bool rest_locked(struct clean_pace *p, wtime until)
{
    struct timespec at = {.tv_sec = until / 1000000, .tv_nsec = (until % 1000000) * 1000};
    uint64_t n_changes = p->n_changes;
    int r = 0;

    while (!p->is_stopped && p->n_changes == n_changes && r == 0) {
        r = pthread_cond_timedwait(&p->changed, &p->lock, &at);
    }
    return !p->is_stopped;
}

bool clean_pace_rest(struct clean_pace *p, wtime until)
{
    bool goes_on;

    (void)pthread_mutex_lock(&p->lock);
    goes_on = rest_locked(p, until);
    (void)pthread_mutex_unlock(&p->lock);
    return goes_on;
}

bool clean_pace_book(struct clean_pace *p, int64_t bytes)
{
    wtime now = clock_now();

    (void)pthread_mutex_lock(&p->lock);
    wtime next = p->next > now ? p->next : now;
    next += (wtime)((__int128)bytes * 1000000 / p->limits.rate);
    p->next = next;
    bool goes_on = !p->is_stopped;
    if (goes_on && next - now > WTIME_MS(AHEAD_MS)) {
        goes_on = rest_locked(p, next);
    }
    (void)pthread_mutex_unlock(&p->lock);
    return goes_on;
}
