/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/loop_until.h"

#include <stddef.h>

struct waiting {
    struct loop *loop;
    struct timer timer;
    bool (*holds)(void *ctx);
    void *ctx;
    wtime deadline;
    bool did_hold;
};

static void on_wait(void *ctx)
{
    struct waiting *w = ctx;

    w->did_hold = w->holds(w->ctx);
    if (w->did_hold || clock_now() > w->deadline) {
        loop_stop(w->loop);
        return;
    }
    timer_set(&w->timer, wtime_add(clock_now(), WTIME_MS(5)));
}

bool loop_until(struct loop *loop, int timeout_ms, bool (*holds)(void *ctx), void *ctx)
{
    struct waiting w = {.loop = loop,
            .holds = holds,
            .ctx = ctx,
            .deadline = wtime_add(clock_now(), WTIME_MS(timeout_ms))};

    timer_init(&w.timer, loop, on_wait, &w);
    timer_set(&w.timer, 0);
    loop_run(loop);
    timer_deinit(&w.timer);
    return w.did_hold;
}

static bool never(void *ctx)
{
    return false;
}

void loop_for(struct loop *loop, int ms)
{
    (void)loop_until(loop, ms, never, NULL);
}
