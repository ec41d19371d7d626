/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/cleaning.h"

#include "common/base/must.h"

/* --- Which part of which log -------------------------------------------------------------------------------------- */

static bool is_cleanable(
        const struct cleaning_policy *p, const struct cleaning_segment *s, offset64 limit, wall_ms now)
{
    if (s->end > limit || !s->is_synced) { /* [LOG-40] */
        return false;
    }
    /* [LOG-41] A record's age counts from its timestamp; one from the future waits until it is past. */
    return p->min_lag_ms <= 0 ||
           (s->max_timestamp <= now && now - s->max_timestamp >= p->min_lag_ms);
}

static bool waits_too_long(
        const struct cleaning_policy *p, const struct cleaning_segment *s, wall_ms now)
{
    return s->first_timestamp >= 0 && s->first_timestamp < now &&
           now - s->first_timestamp > p->max_lag_ms;
}

/* Both above 0; what is too large to be multiplied loses its last bits. */
static uint32_t share_ppm(int64_t part, int64_t whole)
{
    int shift = whole > INT64_MAX / 1000000 ? 20 : 0;

    return (uint32_t)((part >> shift) * 1000000 / (whole >> shift));
}

void cleaning_choose(const struct cleaning_policy *p,
        const struct cleaning_segment *segments,
        size_t n,
        offset64 first_dirty,
        offset64 limit,
        wall_ms now,
        struct cleaning_range *ret)
{
    struct cleaning_range r = {.from = first_dirty, .end = first_dirty};

    if (n > 0 && first_dirty < segments[0].base) {
        r.from = segments[0].base; /* the log began later when that was written */
    }
    while (r.n_segments < n && is_cleanable(p, &segments[r.n_segments], limit, now)) {
        const struct cleaning_segment *s = &segments[r.n_segments++];
        bool is_dirty = s->end > r.from;
        r.end = s->end;
        r.clean_bytes += is_dirty ? 0 : s->size;
        r.dirty_bytes += is_dirty ? s->size : 0;
        r.is_urgent = r.is_urgent || (is_dirty && waits_too_long(p, s, now)); /* [LOG-43] */
    }
    if (r.dirty_bytes > 0) { /* [LOG-42] */
        r.dirty_ppm = share_ppm(r.dirty_bytes, r.clean_bytes + r.dirty_bytes);
        r.is_due = r.is_urgent || r.dirty_ppm > p->dirty_ratio_ppm;
    }
    *ret = r;
}

bool cleaning_is_before(const struct cleaning_range *a, const struct cleaning_range *b)
{
    if (a->is_urgent != b->is_urgent) {
        return a->is_urgent;
    }
    return a->dirty_ppm != b->dirty_ppm ? a->dirty_ppm > b->dirty_ppm
                                        : a->dirty_bytes > b->dirty_bytes;
}

size_t cleaning_group(
        const struct cleaning_policy *p, const struct cleaning_segment *segments, size_t n)
{
    int64_t size = 0, index_size = 0;
    size_t i = 0;

    must(n > 0);
    for (; i < n && i < CLEANING_GROUP_MAX; i++) { /* [LOG-44] */
        const struct cleaning_segment *s = &segments[i];
        if (i > 0 && (size + s->size > p->segment_bytes ||
                             index_size + s->index_size > CLEANING_INDEX_MAX ||
                             s->end - 1 - segments[0].base > INT32_MAX)) {
            break;
        }
        size += s->size;
        index_size += s->index_size;
    }
    return i;
}

/* --- Records ------------------------------------------------------------------------------------------------------ */

bool cleaning_keeps_record(const struct cleaning_batch *b,
        offset64 offset,
        bool has_value,
        offset64 newest,
        offset64 end,
        wall_ms now)
{
    if (offset >= end) {
        return true;
    }
    if (newest != OFFSET_NONE && offset < newest) { /* [LOG-45] */
        return false;
    }
    /* [LOG-46] A tombstone goes only when its batch has said since when it may. */
    return has_value || b->horizon < 0 || now < b->horizon;
}

wall_ms cleaning_new_horizon(const struct cleaning_policy *p, wall_ms now)
{
    wall_ms horizon;

    now = now < 0 ? 0 : now;
    return __builtin_add_overflow(now, p->delete_retention_ms, &horizon) ? INT64_MAX : horizon;
}
