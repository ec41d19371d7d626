/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/partition_impl.h"

#include "common/base/mem.h"
#include "common/base/must.h"
#include "common/obs/log.h"

/* What is done with a partition's log beside requests: syncing, checkpoints, the way to the trash. */

static struct checkpoint_entry checkpoint_of(struct partition *p)
{
    /* [REP-53] The high watermark of a log that is being cut is lowered in the core behind that; what is appended then, and
     * not committed, must not lie below the one that a death finds here. */
    offset64 end = plog_end_after_cut(p->log);
    offset64 hw = p->core.high_watermark;

    return (struct checkpoint_entry){.topic_id = p->key.topic_id,
            .partition = p->key.number,
            .recovery_point = plog_recovery_point(p->log),
            .high_watermark = hw < end ? hw : end,
            .log_start = plog_start(p->log),
            .no_producers = partition_producers_none_below(p)};
}

/* Takes the log of a removed partition away from it, once, unless somebody still uses it. */
static void take_removed(struct hold *h)
{
    struct partition *p = h->p;

    if (!atomic_load(&p->is_removed) || p->n_users > 0 || p->has_left) {
        return;
    }
    p->has_left = h->is_leaving = true;
    p->has_last = p->log != NULL && plog_end(p->log) > 0;
    if (p->has_last) {
        p->last = checkpoint_of(p);
    }
    h->removed = mem_steal(&p->log);
}

struct plog *partition_use_begin(struct hold *h)
{
    struct partition *p = h->p;

    if (p->log == NULL || p->core.role == REPLICA_FAILED || atomic_load(&p->is_removed) ||
            atomic_load(&p->is_restarting)) {
        return NULL;
    }
    p->n_users++;
    return p->log;
}

void partition_use_end(struct hold *h)
{
    must(h->p->n_users > 0);
    h->p->n_users--;
    if (h->p->n_users == 1 && h->p->after_use != NULL) {
        struct io_job *job = mem_steal(&h->p->after_use);
        h->p->env->submit(h->p->env->ctx, job);
    }
    take_removed(h);
}

bool partition_is_removed(const struct partition *p)
{
    return atomic_load(&p->is_removed);
}

void partition_trash(struct partition *p)
{
    struct hold h;

    hold_begin(&h, p);
    take_removed(&h);
    hold_end(&h);
}

/* [LOG-71] One flush a partition is under way; it covers all that was appended before it began. Who comes meanwhile
 * waits for the next one, which the present one asks for when it ends: it goes to the end of the queue, so that partitions
 * take turns. */
void partition_want_flush_locked(struct hold *h)
{
    if (h->p->is_flushing) {
        h->p->is_flush_wanted = true;
    } else {
        h->wants_flush = true;
    }
}

static struct plog_flush *begin_flush(struct partition *p, offset64 *ret_from, offset64 *ret_end)
{
    struct plog_flush *f = NULL;
    struct hold h;

    hold_begin(&h, p);
    atomic_store(&p->is_flush_asked, false);
    if (p->is_flushing) {
        p->is_flush_wanted = true;
    } else if (partition_use_begin(&h) != NULL) {
        atomic_store(&p->is_unsynced, false);
        f = plog_flush_begin(p->log);
        p->is_flushing = f != NULL;
        *ret_from = plog_recovery_point(p->log);
        *ret_end = plog_end(p->log);
        if (f == NULL) {
            partition_use_end(&h);
        }
    }
    hold_end(&h);
    return f;
}

static void mark_unsynced(struct partition *p)
{
    if (!atomic_exchange(&p->is_unsynced, true)) {
        atomic_store(&p->unsynced_since, clock_now());
    }
}

static void note_sync_failure(struct partition *p, int r)
{
    if (log_dir_is_scarce(r)) {
        log_warn("partition", "sync_postponed", KV_STR("partition", p->name), KV_ERR(r));
        mark_unsynced(p);
    } else {
        log_error("partition", "sync_failed", KV_STR("partition", p->name),
                KV_STR("dir", log_dir_path(p->dir)), KV_ERR(r));
    }
}

/* True: a part was synced, of what there was when it began. */
static bool flush_part(struct partition *p)
{
    struct plog_flush *f;
    offset64 from = 0, end = 0;
    bool is_part = false;
    struct hold h;
    int r;

    f = begin_flush(p, &from, &end);
    if (f == NULL) {
        return false;
    }
    r = plog_flush_run(f);
    if (r < 0) {
        note_sync_failure(p, r);
    }
    hold_begin(&h, p);
    plog_flush_end(p->log, f);
    p->is_flushing = false;
    if (p->is_flush_wanted) {
        p->is_flush_wanted = false;
        h.wants_flush = r == 0;
    }
    if (r == 0) {
        offset64 reached = plog_recovery_point(p->log);
        is_part = reached < end && reached > from;
        if (reached < end && !is_part) {
            mark_unsynced(p); /* it met a full disk: the timer tries again */
        }
        partition_step(&h,
                &(struct replica_event){
                        .kind = REPLICA_EV_FLUSHED, .flushed = plog_recovery_point(p->log)},
                NULL, NULL);
    } else if (!log_dir_is_scarce(r)) { /* [LOG-72] It is not synced again, and nobody who waits is acknowledged. */
        partition_fail_locked(&h);
    }
    atomic_store(&p->is_unsealed, plog_lacks_seals(p->log));
    partition_use_end(&h);
    hold_end(&h);
    atomic_store(&p->env->is_checkpoint_stale, true);
    return is_part;
}

void partition_flush(struct partition *p)
{
    while (flush_part(p)) {
    }
}

static struct plog_seal *begin_seal(struct partition *p)
{
    struct plog_seal *x = NULL;
    struct hold h;

    hold_begin(&h, p);
    if (partition_use_begin(&h) != NULL) {
        x = plog_seal_begin(p->log);
        atomic_store(&p->is_unsealed, plog_lacks_seals(p->log));
        if (x == NULL) {
            partition_use_end(&h);
        }
    }
    hold_end(&h);
    return x;
}

void partition_seal(struct partition *p)
{
    struct plog_seal *x;
    struct hold h;
    int r = 0;

    while (r == 0 && (x = begin_seal(p)) != NULL) {
        r = plog_seal_run(x);
        hold_begin(&h, p);
        plog_seal_end(p->log, x);
        if (r > 0 || (r < 0 && log_dir_failed(p->dir))) {
            partition_fail_locked(&h);
        }
        partition_use_end(&h);
        hold_end(&h);
    }
}

bool partition_checkpoint(struct partition *p, struct checkpoint_entry *ret, int64_t *ret_bytes)
{
    struct hold h;
    bool has_log;

    hold_begin(&h, p);
    has_log = !atomic_load(&p->is_removed) && p->log != NULL && plog_end(p->log) > 0;
    if (!atomic_load(&p->is_removed) && atomic_load(&p->is_restarting)) {
        *ret = partition_restart_checkpoint(p);
        *ret_bytes = 0;
        has_log = true;
    } else if (!atomic_load(&p->is_removed) && p->log == NULL) {
        /* A log that could not be opened keeps what stands, or damage below its recovery point would look like a torn
         * tail at the next start. */
        *ret_bytes = 0;
        has_log = log_dir_checkpoint(p->dir, &p->key.topic_id, p->key.number, ret);
    } else if (has_log) {
        *ret = checkpoint_of(p);
        *ret_bytes = plog_bytes(p->log);
    }
    hold_end(&h);
    return has_log;
}

void partition_fail(struct partition *p)
{
    struct hold h;

    hold_begin(&h, p);
    if (p->core.role != REPLICA_FAILED) {
        partition_fail_locked(&h);
    }
    hold_end(&h);
}
