/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/net/loop.h"
#include "tests/lib/check.h"

#include <event2/event.h>

/* Turns the loop in this thread until `condition` holds; fails the case after 10 seconds. */
#define TURN_UNTIL(loop, condition)                                                                \
    do {                                                                                           \
        wtime turn_deadline_ = wtime_add(clock_now(), WTIME_S(10));                                \
        check_count();                                                                             \
        while (!(condition)) {                                                                     \
            if (clock_now() > turn_deadline_) {                                                    \
                check_fail(__FILE__, __LINE__, "not within 10 s: %s", #condition);                 \
            }                                                                                      \
            turn_once(loop);                                                                       \
        }                                                                                          \
    } while (0)

static inline void turn_tick(void *ctx)
{
    (void)ctx;
}

/* One turn, which ends after 20 ms at the latest. */
static inline void turn_once(struct loop *loop)
{
    struct timer tick;

    timer_init(&tick, loop, turn_tick, NULL);
    timer_set(&tick, wtime_add(clock_now(), WTIME_MS(20)));
    (void)event_base_loop(loop_base(loop), EVLOOP_ONCE);
    timer_deinit(&tick);
}
