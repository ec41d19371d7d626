/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/partition_impl.h"

#include "common/base/mem.h"
#include "common/base/must.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"

/* What leaves a partition's log.
 *
 *   retain, trim ──▶ log start moves ──▶ checkpoint (keeper) ──▶ start_saved ──▶ remove: rename, later unlink
 *
 * The plan is made from facts that were taken under the lock; walking files for a timestamp goes on outside it. */

struct facts {
    ARRAY(struct plog_segment) segments;
    ARRAY(struct retention_segment) judged; /* the same, as the core wants them */
    struct retention_log log;
    struct retention_policy policy;
};

static void facts_deinit(struct facts *f)
{
    array_deinit(&f->segments);
    array_deinit(&f->judged);
}

/* False: there is nothing to judge, or nobody has said by what. */
static bool take_facts(struct hold *h, struct facts *f)
{
    struct partition *p = h->p;

    if (p->core.role != REPLICA_LEADER && p->core.role != REPLICA_FOLLOWER) {
        return false;
    }
    if (partition_use_begin(h) == NULL) {
        return false;
    }
    for (size_t i = 0; i < plog_n_segments(p->log); i++) {
        struct plog_segment *s = array_push(&f->segments);

        plog_segment_at(p->log, i, s);
        *array_push(&f->judged) = (struct retention_segment){.base = s->base,
                .end = s->end,
                .size = s->size,
                .has_max_timestamp = s->has_max_timestamp,
                .max_timestamp = s->max_timestamp};
    }
    f->log = (struct retention_log){.segments = f->judged.items,
            .n = f->judged.n,
            .start = plog_start(p->log),
            .high_watermark = p->core.high_watermark};
    f->policy = p->settings.retention;
    return true;
}

/* Whether segment `i` still is what it was. Under the lock. */
static bool is_same(const struct plog *l, const struct facts *f, size_t i)
{
    struct plog_segment s;

    if (i >= plog_n_segments(l)) {
        return false;
    }
    plog_segment_at(l, i, &s);
    return s.id == f->segments.items[i].id && s.size == f->segments.items[i].size;
}

/* The times of segment `i`. False: not now. */
static bool look_up(struct partition *p, struct facts *f, size_t i)
{
    struct retention_segment *s = &f->judged.items[i];
    struct plog_look *look = NULL;
    struct hold h;
    int r = PLOG_E_BUSY;

    hold_begin(&h, p);
    if (is_same(p->log, f, i)) {
        r = plog_look_begin(p->log, i, &look);
    }
    hold_end(&h);
    if (r != 0) {
        return false;
    }
    r = plog_look_run(look, &s->max_timestamp, &s->modified);
    hold_begin(&h, p);
    plog_look_end(p->log, look);
    if (r < 0 && log_dir_failed(p->dir)) {
        partition_fail_locked(&h);
    }
    hold_end(&h);
    s->has_max_timestamp = s->has_modified = r == 0;
    return r == 0;
}

void partition_start_locked(struct partition *p, offset64 start)
{
    if (start > plog_start(p->log)) {
        plog_set_start(p->log, start);
        atomic_store(&p->is_start_unsaved, true);
        atomic_store(&p->env->is_checkpoint_stale, true);
    }
}

/* Does under the lock what was planned outside it. True: the active segment was rolled, so that there is more to plan. */
static bool carry_out_plan(struct hold *h, const struct facts *f, const struct retention_plan *plan)
{
    struct partition *p = h->p;
    size_t active = f->segments.n - 1;

    if (partition_is_removed(p) || p->core.role == REPLICA_FAILED) {
        return false;
    }
    if (plan->n_remove > 0 && is_same(p->log, f, plan->n_remove - 1) &&
            plan->start <= p->core.high_watermark) {
        log_info("partition", "segments_expired", KV_STR("partition", p->name),
                KV_U64("segments", plan->n_remove), KV_U64("by_age", plan->n_by_age),
                KV_U64("by_size", plan->n_by_size), KV_I64("log_start", plan->start));
        partition_start_locked(p, plan->start);
    }
    if (!plan->must_roll || !is_same(p->log, f, active) || active + 1 != plog_n_segments(p->log)) {
        return false;
    }
    int r = plog_roll_active(p->log);
    if (r < 0) {
        partition_fail_locked(h);
    } else if (r == 0) {
        atomic_store(&p->is_unsynced, true); /* the name */
    }
    return r == 0;
}

static bool retain_once(struct partition *p, wall_ms now)
{
    struct facts f = {.log = {.start = 0}};
    struct retention_plan plan;
    bool is_known = true, goes_on = false;
    struct hold h;

    hold_begin(&h, p);
    bool is_there = take_facts(&h, &f);
    hold_end(&h);
    if (!is_there) {
        facts_deinit(&f);
        return false;
    }
    plan = retention_plan(&f.log, &f.policy, now);
    while (is_known && plan.look_up != RETENTION_NONE && !partition_is_removed(p)) {
        is_known = look_up(p, &f, plan.look_up);
        plan = retention_plan(&f.log, &f.policy, now);
    }
    hold_begin(&h, p);
    if (f.segments.n > 0) {
        goes_on = carry_out_plan(&h, &f, &plan);
    }
    partition_use_end(&h);
    hold_end(&h);
    facts_deinit(&f);
    return goes_on;
}

void partition_retain(struct partition *p, wall_ms now)
{
    if (retain_once(p, now)) { /* the rolled segment is an old one now */
        (void)retain_once(p, now);
    }
}

/* --- The checkpoint --------------------------------------------------------------------------- */

void partition_start_saved(struct partition *p, offset64 start)
{
    struct hold h;

    hold_begin(&h, p);
    if (p->log != NULL && !partition_is_removed(p)) {
        plog_start_saved(p->log, start);
        if (plog_saved_start(p->log) >= plog_start(p->log)) {
            atomic_store(&p->is_start_unsaved, false);
        }
        if (plog_has_removable(p->log)) {
            atomic_store(&p->has_removals, true);
        }
    }
    hold_end(&h);
}

bool partition_is_start_saved(struct partition *p, offset64 start)
{
    bool is_saved = false;
    struct hold h;

    hold_begin(&h, p);
    if (p->log != NULL && !partition_is_removed(p)) {
        is_saved = plog_start(p->log) >= start && plog_saved_start(p->log) >= start;
    }
    hold_end(&h);
    return is_saved;
}

/* --- Removing --------------------------------------------------------------------------------- */

static void remove_segments(struct partition *p, wtime now)
{
    struct plog_removed removed = {.wants_flush = false};
    struct hold h;
    int r = 0;

    hold_begin(&h, p);
    if (p->log != NULL && !partition_is_removed(p) && p->core.role != REPLICA_FAILED) {
        r = plog_remove_below_start(p->log, now, &removed);
        if (r < 0) {
            partition_fail_locked(&h);
        }
    }
    hold_end(&h);
    if (removed.n_segments > 0) {
        metric_add(METRIC_BROKER_SEGMENTS_REMOVED, removed.n_segments);
        metric_add(METRIC_BROKER_BYTES_REMOVED, (uint64_t)removed.bytes);
        log_info("partition", "segments_removed", KV_STR("partition", p->name),
                KV_U64("segments", removed.n_segments), KV_I64("bytes", removed.bytes));
        atomic_store(&p->is_unsynced, true);              /* the names */
        atomic_store(&p->env->is_checkpoint_stale, true); /* it tells the size too */
    }
    if (removed.wants_flush) { /* [LOG-22] */
        partition_flush(p);
    }
}

static void reap(struct partition *p, wtime now, bool is_full)
{
    struct plog_reap *reap = NULL;
    struct hold h;
    int r;

    hold_begin(&h, p);
    wtime delay = is_full ? 0
                          : wtime_add(0, p->settings.file_delete_delay_ms > INT64_MAX / 1000
                                                 ? WTIME_NEVER
                                                 : WTIME_MS(p->settings.file_delete_delay_ms));
    if (partition_use_begin(&h) != NULL) {
        reap = plog_reap_begin(p->log, now, delay);
        if (reap == NULL) {
            partition_use_end(&h);
        }
    }
    hold_end(&h);
    if (reap == NULL) {
        return;
    }
    r = plog_reap_run(reap);
    hold_begin(&h, p);
    plog_reap_end(p->log, reap);
    if (r < 0 && !log_dir_is_scarce(r)) {
        partition_fail_locked(&h);
    }
    partition_use_end(&h);
    hold_end(&h);
}

void partition_remove(struct partition *p, wtime now, bool is_full)
{
    bool is_left = false;
    struct hold h;

    remove_segments(p, now);
    reap(p, now, is_full);
    hold_begin(&h, p);
    if (p->log != NULL && !partition_is_removed(p) && p->core.role != REPLICA_FAILED) {
        is_left = plog_has_removable(p->log) || plog_reap_deadline(p->log, 0) != WTIME_NEVER;
    }
    atomic_store(&p->has_removals, is_left);
    hold_end(&h);
}

/* --- On request ------------------------------------------------------------------------------- */

void partition_trim(
        struct partition *p, offset64 before, bool dry_run, struct partition_trimmed *ret)
{
    struct replica_fx_item own;
    struct hold h;

    *ret = (struct partition_trimmed){.detail = "", .old_start = OFFSET_NONE, .start = OFFSET_NONE};
    hold_begin(&h, p);
    if (!partition_may_tell(&h, EPOCH_NONE, true, &own)) {
        ret->error = own.error;
        ret->detail = own.detail;
    } else if (before < -1 || before > own.limit) { /* [LOG-32] */
        ret->error = ERRCODE_OFFSET_OUT_OF_RANGE;
        ret->detail = "the offset is above the high watermark, or below 0";
    } else {
        before = before == -1 ? own.limit : before;
        ret->old_start = plog_start(p->log);
        ret->start = before > ret->old_start ? before : ret->old_start;
        if (!dry_run) {
            partition_start_locked(p, before);
        }
    }
    hold_end(&h);
}
