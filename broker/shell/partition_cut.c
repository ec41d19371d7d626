/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/partition_impl.h"

#include "broker/shell/errcode_map.h"
#include "broker/shell/io_pool.h"
#include "common/base/mem.h"
#include "common/base/must.h"
#include "common/obs/log.h"

/* Work that a follower's log needs beside appends, on the pool:
 *
 *   TRUNCATE ─▶ begin: where ─▶ the folder's checkpoint says so, on disk ─▶ producers ─▶ a part of the log ⇄ its sync ─▶ CUT
 *                  └─ seals are being written, or the checkpoint could not be: CUT with an error, and it is asked again
 *
 * From the first step to the last the core asks for nothing else: nothing is appended, and a change of the role waits. No
 * sync is under the lock: who wants nothing but to leave an order there does not wait for the disk. */

struct cut {
    struct io_job job;
    struct partition *p;
    offset64 to, end;
    bool are_producers_cut;
};

/* Tells the core and gives the log back. The leader is asked anew, whatever came out. */
static void cut_over(struct cut *c, struct hold *h, int error)
{
    struct partition *p = c->p;

    if (p->core.role != REPLICA_FAILED) {
        partition_step(h,
                &(struct replica_event){.kind = REPLICA_EV_CUT,
                        .cut = {.log_end = plog_end(p->log), .error = error}},
                NULL, NULL);
    }
    h->has_moved = true;
    partition_use_end(h);
    hold_end(h);
    partition_unref(p);
    (void)mem_free(c);
}

/* The log refused for good. */
static void cut_failed(struct hold *h, int r)
{
    log_error("partition", "cut_failed", KV_STR("partition", h->p->name),
            KV_STR("reason", errcode_of_plog(r).detail));
    partition_fail_locked(h);
}

static int cut_producers(struct cut *c)
{
    int r = c->are_producers_cut ? 0 : partition_producers_cut(c->p, c->end);

    c->are_producers_cut = r == 0;
    return r < 0 ? err_forward(r) : r;
}

/* [LOG-65] Gives up the hold for each sync, and takes it again. The log is kept meanwhile. */
static int cut_log(struct partition *p, struct hold *h)
{
    struct plog_cut_sync *sync = NULL;
    int r = plog_truncate_step(p->log, &sync);

    while (r == 0 && sync != NULL) {
        hold_end(h);
        r = plog_cut_sync_run(sync);
        hold_begin(h, p);
        r = plog_cut_sync_end(p->log, sync, r);
        r = r == 0 ? plog_truncate_step(p->log, &sync) : r;
    }
    return r < 0 ? err_forward(r) : r;
}

static void run_cut(struct io_job *job)
{
    struct cut *c = container_of(job, struct cut, job);
    struct partition *p = c->p;
    struct hold h;

    hold_begin(&h, p);
    if (atomic_exchange(&p->is_cut_unsaved, false)) { /* [LOG-65] */
        plog_truncate_cancel(p->log);
        cut_over(c, &h, ERRCODE_KAFKA_STORAGE_ERROR);
        return;
    }
    int r = cut_producers(c);
    if (r == 0) {
        r = cut_log(p, &h);
    }
    if (r == PLOG_E_BUSY) { /* a part is done; no descriptor, or no space, for the rest */
        hold_end(&h);
        p->env->submit(p->env->ctx, &c->job);
        return;
    }
    atomic_store(&p->env->is_checkpoint_stale, true);
    if (r != 0) {
        cut_failed(&h, r);
    }
    cut_over(c, &h, ERRCODE_NONE);
}

static void begin_cut(struct io_job *job)
{
    struct cut *c = container_of(job, struct cut, job);
    struct partition *p = c->p;
    struct hold h;

    hold_begin(&h, p);
    int r = plog_truncate_begin(p->log, c->to, &c->end);
    if (r == 0) {
        atomic_store(&p->is_cut_unsaved, true);
        hold_end(&h);
        c->job.run = run_cut;
        atomic_store(&p->env->is_checkpoint_stale, true);
        p->env->after_checkpoint(p->env->ctx, &c->job);
        return;
    }
    if (r != PLOG_E_BUSY) {
        cut_failed(&h, r);
    }
    cut_over(c, &h, ERRCODE_KAFKA_STORAGE_ERROR);
}

void partition_cut_begin(struct partition *p, offset64 at)
{
    struct cut *c = mem_new(struct cut);

    c->p = partition_ref(p);
    c->to = at;
    c->job.run = begin_cut;
    p->env->submit(p->env->ctx, &c->job);
}

void partition_cut_saved(struct partition *p, const struct checkpoint_entry *e)
{
    struct hold h;
    bool is_saved;

    if (!atomic_load(&p->is_cut_unsaved)) {
        return;
    }
    hold_begin(&h, p);
    is_saved = atomic_load(&p->is_restarting)
                       ? !checkpoint_names_records(e)
                       : p->log != NULL && e->recovery_point <= plog_recovery_point(p->log);
    if (is_saved) {
        atomic_store(&p->is_cut_unsaved, false);
    }
    hold_end(&h);
}
