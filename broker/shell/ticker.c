/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/ticker.h"

#include "broker/shell/broker.h"
#include "common/base/mem.h"

enum {
    PERIOD_MS = 100
};

struct ticker {
    struct broker *b;
    struct timer timer;
};

/* The earliest deadline is only ever too early: partitions lower it, a round makes it anew. */
static void look_at_all(struct broker *b, wtime now)
{
    size_t n;
    struct partition **all;

    atomic_store(&b->env.next_deadline, WTIME_NEVER);
    all = partitions_all(&b->partitions, &n);
    for (size_t i = 0; i < n; i++) {
        wtime deadline = atomic_load(&all[i]->deadline);

        if (wtime_due(deadline, now)) {
            partition_tick(all[i], b->data.items[data_loops_for(&b->data, &all[i]->key)].loop);
        } else {
            partition_env_want(&b->env, deadline);
        }
        partition_unref(all[i]);
    }
    (void)mem_free(all);
}

static void on_timer(void *ctx)
{
    struct ticker *t = ctx;
    wtime now = loop_now(t->b->control);

    if (wtime_due(atomic_load(&t->b->env.next_deadline), now)) {
        look_at_all(t->b, now);
    }
    timer_set(&t->timer, wtime_add(now, WTIME_MS(PERIOD_MS)));
}

struct ticker *ticker_new(struct broker *b)
{
    struct ticker *t = mem_new(struct ticker);

    t->b = b;
    timer_init(&t->timer, b->control, on_timer, t);
    timer_set(&t->timer, wtime_add(loop_now(b->control), WTIME_MS(PERIOD_MS)));
    return t;
}

struct ticker *ticker_free(struct ticker *t)
{
    if (t == NULL) {
        return NULL;
    }
    timer_deinit(&t->timer);
    return mem_free(t);
}
