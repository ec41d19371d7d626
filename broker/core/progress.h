/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/wtime.h"

#include <stddef.h>
#include <stdint.h>

/* How far the opening of logs at a start is, for who waits. Pure. */

/* Of one directory, as counted at one moment: numbers that threads raise one after the other, so
 * not quite of the same moment. */
struct progress_facts {
    size_t n_logs, n_opened;
    int64_t to_scan; /* what was told before, corrected for every log that was opened */
    int64_t scanned;
};

struct progress {
    size_t n_logs, n_opened;
    int64_t to_scan, scanned; /* scanned <= to_scan */
    int32_t permille;         /* 1000 only when all logs are open */
    int64_t left_ms;          /* at the pace so far; -1 = too early to say */
};

/* [LOG-15] Of all directories together, after so long. */
struct progress progress_of(const struct progress_facts *dirs, size_t n, wtime elapsed);

/* One log that is to be opened. */
struct progress_log {
    int64_t to_scan;
    size_t index; /* the caller's */
};

/* [LOG-14] For qsort: the one with the most to scan first, so that no thread is left with a
 * large one when the others are done; else in the caller's order. */
int progress_compare_logs(const void *a, const void *b);

/* When a start that began then says the next time how far it is: soon once, then every few
 * seconds. */
wtime progress_next_line(wtime began, wtime now);
