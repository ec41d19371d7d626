/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

/* Time.
 *
 * `wtime` is monotonic time in microseconds from an arbitrary start; it is never negative. WTIME_NEVER is later than
 * every time: adding to it gives it back, so a deadline that is not set stays not set. `wall_ms` is milliseconds
 * since 1970-01-01 UTC and serves only record timestamps, retention and what people read. */
typedef int64_t wtime;
typedef int64_t wall_ms;

#define WTIME_NEVER  INT64_MAX
#define WTIME_MS(ms) ((wtime)(ms)*1000)
#define WTIME_S(s)   ((wtime)(s)*1000000)

/* t + d, saturating at WTIME_NEVER and at 0. */
static inline wtime wtime_add(wtime t, wtime d)
{
    wtime sum = 0;

    if (t == WTIME_NEVER || d == WTIME_NEVER || __builtin_add_overflow(t, d, &sum)) {
        return WTIME_NEVER;
    }
    return sum < 0 ? 0 : sum;
}

static inline wtime wtime_min(wtime a, wtime b)
{
    return a < b ? a : b;
}

static inline wtime wtime_max(wtime a, wtime b)
{
    return a > b ? a : b;
}

/* Whether the moment `deadline` has come at `now`; WTIME_NEVER never comes. */
static inline int wtime_due(wtime deadline, wtime now)
{
    return deadline != WTIME_NEVER && deadline <= now;
}
