/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/wtime.h"
#include "common/domain/ids.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Which segments of a partition's log have had their time. Pure: facts and a moment go in, a plan comes out.
 *
 *      segment 0      1        2        3 (active)
 *   |──────────────|────────|────────|─────▶
 *   └── go: wholly below the log start, too old, or too much ──┘ always a run from the begin
 *
 * Rules: docs/design/42-retention.md. */

struct retention_segment {
    offset64 base, end;
    int64_t size;
    bool has_max_timestamp; /* else it has to be looked up */
    wall_ms max_timestamp;  /* of its records; negative = they have none */
    bool has_modified;      /* as has_max_timestamp */
    wall_ms modified;       /* when the last one was written here, by this machine's clock */
};

struct retention_policy {
    bool may_delete; /* cleanup.policy has delete: age and size count */
    int64_t ms;      /* retention.ms; -1 = no limit */
    int64_t bytes;   /* retention.bytes; -1 = no limit */
};

struct retention_log {
    const struct retention_segment *segments; /* by base; the last is the active one */
    size_t n;
    offset64 start, high_watermark;
};

struct retention_plan {
    size_t n_remove;            /* so many of the first segments go; never the active one */
    size_t n_by_age, n_by_size; /* of these; the others lie below the log start */
    offset64 start; /* where the log starts then; the present start when nothing moves it */
    bool must_roll; /* the active segment has had its time too: roll it, and ask again */
    size_t look_up; /* the plan hangs on a time of this segment that is not known: ask again with both; */
};                  /* RETENTION_NONE = on none */

#define RETENTION_NONE SIZE_MAX

/* The moment from which a segment's age counts; both of its times are known. */
wall_ms retention_time_of(const struct retention_segment *s, wall_ms now);
struct retention_plan retention_plan(
        const struct retention_log *log, const struct retention_policy *policy, wall_ms now);
