/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/array.h"
#include "common/base/err.h"
#include "common/base/wtime.h"
#include "common/domain/ids.h"

#include <stdbool.h>
#include <stdint.h>

/* What compaction does to a log, decided from offsets, sizes, times and headers; docs/design/43-compaction.md has the
 * rules. Keys and values stay outside: of a record it is known where it is, whether it has a value, and where the
 * newest one of its key is.
 *
 *   cleaning_choose   which part of a log, and whether it is worth it now
 *   cleaning_group    which neighbours become one segment
 *   survey            one walk over the headers: transactions that were aborted, the last batch of each producer
 *   cleaning_judge    a batch, in the log's order; cleaning_keeps_record: a record of it
 *
 * Pure. Owner: one thread. */

enum {
    CLEANING_GROUP_MAX = 200,             /* a manifest names them all */
    CLEANING_INDEX_MAX = 10 * 1024 * 1024 /* bytes of one offset index; Kafka's segment.index.bytes */
};

struct cleaning_policy {
    int64_t segment_bytes;
    int64_t delete_retention_ms, min_lag_ms, max_lag_ms;
    uint32_t dirty_ratio_ppm;
};

/* A segment that is not the active one. */
struct cleaning_segment {
    offset64 base, end;
    int64_t size, index_size;
    wall_ms first_timestamp; /* of its first batch; negative = none, or not known */
    wall_ms max_timestamp;   /* needed when policy->min_lag_ms > 0 */
    bool is_synced;
};

struct cleaning_range {
    offset64 from, end; /* dirty; `end` is where the last of these segments ends */
    size_t n_segments;  /* the first so many are cleaned */
    int64_t clean_bytes, dirty_bytes;
    uint32_t dirty_ppm;
    bool is_urgent; /* something has waited for longer than max.compaction.lag.ms */
    bool is_due;
};

/* `limit`: nothing at or above it is touched (high watermark, or where the first open transaction begins). */
void cleaning_choose(const struct cleaning_policy *p,
        const struct cleaning_segment *segments,
        size_t n,
        offset64 first_dirty,
        offset64 limit,
        wall_ms now,
        struct cleaning_range *ret);
/* Whether `a` goes before `b`; both are due. */
bool cleaning_is_before(const struct cleaning_range *a, const struct cleaning_range *b);
/* How many of the `n` segments from the first of them on become one. */
size_t cleaning_group(
        const struct cleaning_policy *p, const struct cleaning_segment *segments, size_t n);

/* --- Batches ------------------------------------------------------------------------------------------------------ */

enum cleaning_marker {
    CLEANING_NO_MARKER = 0, /* data */
    CLEANING_COMMIT,
    CLEANING_ABORT,
    CLEANING_OTHER_MARKER, /* a control batch of a kind that is not known: always kept */
    CLEANING_EMPTY_MARKER, /* a control batch whose record is gone already */
};

/* A batch's header, as far as it matters. */
struct cleaning_batch {
    offset64 base, last;
    int64_t producer_id; /* negative = none */
    bool is_transactional;
    enum cleaning_marker marker;
    wall_ms max_timestamp;
    wall_ms horizon; /* when its tombstones, or the marker in it, may go; negative = nobody has said */
};

struct cleaning_survey;

/* `expiry_ms`: for so long after its last batch a producer's state is kept. */
struct cleaning_survey *cleaning_survey_new(wall_ms now, int64_t expiry_ms);
struct cleaning_survey *cleaning_survey_free(struct cleaning_survey *s); /* takes NULL */
/* Every batch of the segments to be cleaned, in order. */
void cleaning_survey_see(struct cleaning_survey *s, const struct cleaning_batch *b);
/* [LOG-40] Where the first transaction begins whose end was not seen: from there on nobody knows what counts.
 * OFFSET_NONE = none is open. */
offset64 cleaning_survey_first_open(const struct cleaning_survey *s);

/* A walk over the log's batches in order, after the survey. */
struct cleaning_walk;

struct cleaning_walk *cleaning_walk_new(struct cleaning_survey *s);
struct cleaning_walk *cleaning_walk_free(struct cleaning_walk *w); /* takes NULL */

struct cleaning_judgement {
    bool is_aborted;    /* its records count for nothing: they do not even hide older ones */
    bool drops_records; /* all of them */
    bool keeps_empty;   /* the batch stays when none of its records does */
    bool wants_horizon; /* as it does when a tombstone is kept */
};

/* The batch comes next. `is_last`: of its new segment. */
void cleaning_judge(struct cleaning_walk *w,
        const struct cleaning_batch *b,
        bool is_last,
        wall_ms now,
        struct cleaning_judgement *ret);
/* Whether a record stays: `newest` = the newest offset of its key in the dirty part, OFFSET_NONE = the key is not there;
 * records from `end` on are not judged yet. */
bool cleaning_keeps_record(const struct cleaning_batch *b,
        offset64 offset,
        bool has_value,
        offset64 newest,
        offset64 end,
        wall_ms now);
/* The horizon to set on a batch that has none. */
wall_ms cleaning_new_horizon(const struct cleaning_policy *p, wall_ms now);
