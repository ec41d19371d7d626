/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/retention.h"

#include "common/base/must.h"

/* [LOG-26] A clock that was ahead when a record was made, or a producer that wrote nonsense, must not keep a segment for
 * ever: what lies in the future counts as what this machine's clock said when it was written; that too in the future
 * (the clock was set back since): as now. */
static bool counts_as_written(const struct retention_segment *s, wall_ms now)
{
    return s->max_timestamp < 0 || s->max_timestamp > now;
}

wall_ms retention_time_of(const struct retention_segment *s, wall_ms now)
{
    wall_ms t = counts_as_written(s, now) ? s->modified : s->max_timestamp;

    return t > now ? now : t;
}

static bool is_too_old(
        const struct retention_segment *s, const struct retention_policy *p, wall_ms now)
{
    return now - retention_time_of(s, now) > p->ms; /* [LOG-25] */
}

static int64_t size_of(const struct retention_log *log)
{
    int64_t total = 0;

    for (size_t i = 0; i < log->n; i++) {
        total += log->segments[i].size;
    }
    return total;
}

/* [LOG-29] What is not committed stays, whatever its age; an empty active segment has nothing that could go. */
static bool may_go(
        const struct retention_log *log, const struct retention_segment *s, bool is_active)
{
    return s->end <= log->high_watermark && (!is_active || s->size > 0);
}

/* What its policy says of the oldest segment that is left. */
enum verdict {
    STAYS,
    BELOW_START,
    TOO_MUCH,
    TOO_OLD,
    UNKNOWN
};

static enum verdict judge(const struct retention_log *log,
        const struct retention_segment *s,
        const struct retention_policy *p,
        int64_t rest,
        wall_ms now)
{
    if (s->end <= log->start) { /* [LOG-28] */
        return BELOW_START;
    }
    if (!p->may_delete) { /* [LOG-30] */
        return STAYS;
    }
    if (p->bytes >= 0 && rest - s->size >= p->bytes) { /* [LOG-27] */
        return TOO_MUCH;
    }
    if (p->ms < 0) {
        return STAYS;
    }
    if (!s->has_max_timestamp || (counts_as_written(s, now) && !s->has_modified)) {
        return UNKNOWN;
    }
    return is_too_old(s, p, now) ? TOO_OLD : STAYS;
}

struct retention_plan retention_plan(
        const struct retention_log *log, const struct retention_policy *policy, wall_ms now)
{
    struct retention_plan plan = {.start = log->start, .look_up = RETENTION_NONE};
    int64_t rest = size_of(log);

    for (size_t i = 0; i < log->n; i++) {
        const struct retention_segment *s = &log->segments[i];
        bool is_active = i + 1 == log->n;
        enum verdict verdict = may_go(log, s, is_active) ? judge(log, s, policy, rest, now) : STAYS;

        must(s->base <= s->end);
        if (verdict == UNKNOWN) {
            plan.look_up = i;
        }
        if (verdict == STAYS || verdict == UNKNOWN) {
            break;
        }
        if (is_active) {
            plan.must_roll = true;
            break;
        }
        rest -= s->size;
        plan.n_remove++;
        plan.n_by_size += verdict == TOO_MUCH ? 1 : 0;
        plan.n_by_age += verdict == TOO_OLD ? 1 : 0;
        plan.start = s->end > plan.start ? s->end : plan.start;
    }
    return plan;
}
