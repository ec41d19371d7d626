/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/throttles.h"

#include "broker/core/throttle.h"
#include "common/base/mem.h"
#include "common/obs/metrics.h"

#include <pthread.h>

enum {
    N_WAYS = 2
};

struct throttles {
    pthread_mutex_t lock;
    struct throttle ways[N_WAYS]; /* under `lock` */
    wtime told[N_WAYS];           /* of their `held`, in whole ms; under `lock` */
};

struct throttles *throttles_new(int64_t rate)
{
    struct throttles *t = mem_new(struct throttles);

    (void)pthread_mutex_init(&t->lock, NULL);
    for (int i = 0; i < N_WAYS; i++) {
        throttle_init(&t->ways[i], rate, 0);
    }
    return t;
}

struct throttles *throttles_free(struct throttles *t)
{
    if (t == NULL) {
        return NULL;
    }
    (void)pthread_mutex_destroy(&t->lock);
    return mem_free(t);
}

bool throttles_set_rate(struct throttles *t, int64_t rate, wtime now)
{
    bool is_other;

    (void)pthread_mutex_lock(&t->lock);
    is_other = t->ways[0].rate != rate;
    for (int i = 0; i < N_WAYS; i++) {
        throttle_set_rate(&t->ways[i], rate, now);
    }
    (void)pthread_mutex_unlock(&t->lock);
    return is_other;
}

int64_t throttles_room(struct throttles *t, enum throttles_way way, wtime now)
{
    int64_t room;

    (void)pthread_mutex_lock(&t->lock);
    room = throttle_room(&t->ways[way], now);
    (void)pthread_mutex_unlock(&t->lock);
    return room;
}

wtime throttles_hold(struct throttles *t, enum throttles_way way, wtime now)
{
    wtime when;

    (void)pthread_mutex_lock(&t->lock);
    throttle_held(&t->ways[way], now);
    when = throttle_when(&t->ways[way], now);
    (void)pthread_mutex_unlock(&t->lock);
    return when;
}

void throttles_took(struct throttles *t, enum throttles_way way, int64_t bytes, wtime now)
{
    bool is_in = way == THROTTLES_IN;
    int64_t held_ms;

    (void)pthread_mutex_lock(&t->lock);
    throttle_took(&t->ways[way], bytes, now);
    held_ms = (t->ways[way].held - t->told[way]) / WTIME_MS(1);
    t->told[way] += WTIME_MS(held_ms);
    (void)pthread_mutex_unlock(&t->lock);
    metric_add(is_in ? METRIC_BROKER_MOVE_BYTES_IN : METRIC_BROKER_MOVE_BYTES_OUT, (uint64_t)bytes);
    metric_add(is_in ? METRIC_BROKER_MOVE_HELD_IN_MS : METRIC_BROKER_MOVE_HELD_OUT_MS,
            (uint64_t)held_ms);
}
