/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/log_trash.h"
#include "broker/shell/io_pool.h"
#include "broker/shell/partition_impl.h"
#include "common/base/mem.h"
#include "common/base/must.h"
#include "common/obs/log.h"

/* [LOG-76] A follower's log begins anew, on the pool:
 *
 *   RESTART ─▶ begin: nobody uses the log from now on ─▶ the folder's checkpoint says that it has no records, on the disk
 *           ─▶ who uses it ends ─▶ its folder leaves for .trash ─▶ an empty log ─▶ the checkpoint says where it begins ─▶ CUT
 *
 * Before the folder leaves, a start finds the old log, as far as it is whole; behind that, an empty one. An empty log has no
 * folder, so where it begins is known from the checkpoint alone. */

struct restart {
    struct io_job job;
    struct partition *p;
    offset64 base;
    bool keep;
};

struct checkpoint_entry partition_restart_checkpoint(struct partition *p)
{
    struct checkpoint_entry known = {.log_start = 0};
    offset64 start = 0;

    if (p->log != NULL) {
        start = plog_start(p->log);
    } else if (log_dir_checkpoint(p->dir, &p->key.topic_id, p->key.number, &known)) {
        start = known.log_start;
    }
    if (start > p->restart_base) { /* [REP-51] An empty log is not to begin there after a death. */
        start = p->restart_base;
    }
    return (struct checkpoint_entry){.topic_id = p->key.topic_id,
            .partition = p->key.number,
            .high_watermark = start,
            .log_start = start};
}

/* Tells the core, and gives the log back. */
static void over(struct restart *c, struct hold *h, int error)
{
    struct partition *p = c->p;

    atomic_store(&p->is_restarting, false);
    atomic_store(&p->is_cut_unsaved, false);
    atomic_store(&p->env->is_checkpoint_stale, true);
    if (p->core.work == REPLICA_WORK_RESTART) { /* else its disk failed meanwhile */
        partition_step(h,
                &(struct replica_event){.kind = REPLICA_EV_CUT,
                        .cut = {.log_end = p->log != NULL ? plog_end(p->log) : p->core.log_end,
                                .error = error}},
                NULL, NULL);
    }
    atomic_store(&p->is_failed, p->core.role == REPLICA_FAILED);
    h->has_moved = true;
    partition_use_end(h);
    hold_end(h);
    partition_unref(p);
    (void)mem_free(c);
}

static bool is_in_vain(const struct partition *p)
{
    return partition_is_removed(p) || log_dir_failed(p->dir) ||
           p->core.work != REPLICA_WORK_RESTART;
}

static void install(struct restart *c)
{
    struct partition *p = c->p;

    p->log = plog_new_at(p->dir, p->env->files, p->topic, &p->key.topic_id, p->key.number,
            &p->settings.log, c->base);
    partition_producers_begin(p);
    (void)atomic_fetch_add(&p->n_restarts, 1);
    atomic_store(&p->is_unsynced, false);
    atomic_store(&p->is_unsealed, false);
    atomic_store(&p->has_removals, false);
    atomic_store(&p->is_start_unsaved, c->base > 0);
    log_info("partition", "log_begun_anew", KV_STR("partition", p->name), KV_I64("at", c->base));
}

/* [REP-51] Whoever fetches from here on has said that everything below is its own: after a death that must still be so. */
static void look_at_checkpoint(struct io_job *job)
{
    struct restart *c = container_of(job, struct restart, job);
    struct partition *p = c->p;
    struct hold h;

    hold_begin(&h, p);
    if (is_in_vain(p) || plog_saved_start(p->log) >= c->base) {
        over(c, &h, ERRCODE_NONE);
        return;
    }
    hold_end(&h);
    atomic_store(&p->env->is_checkpoint_stale, true);
    p->env->after_checkpoint(p->env->ctx, &c->job);
}

/* The old log is closed, and nobody can reach it. */
static void put_aside(struct io_job *job)
{
    struct restart *c = container_of(job, struct restart, job);
    struct partition *p = c->p;
    int r = log_trash_put_aside(
            p->dir, p->name, &p->key.topic_id, p->key.number, c->keep, clock_wall());
    struct hold h;

    if (r < 0 && !log_dir_failed(p->dir)) { /* no descriptor, or no space for a name */
        p->env->after_checkpoint(p->env->ctx, &c->job);
        return;
    }
    hold_begin(&h, p);
    if (r < 0 && p->core.role != REPLICA_FAILED) {
        partition_fail_locked(&h);
    } else if (r == 0 && !is_in_vain(p)) {
        install(c);
        hold_end(&h);
        c->job.run = look_at_checkpoint;
        look_at_checkpoint(job);
        return;
    } else if (r > 0) {
        log_error("partition", "restart_failed", KV_STR("partition", p->name),
                KV_STR("reason", "another topic's log has its folder's name"));
    }
    over(c, &h, r == 0 ? ERRCODE_NONE : ERRCODE_KAFKA_STORAGE_ERROR);
}

/* The checkpoint was written, or could not be. */
static void close_old(struct io_job *job)
{
    struct restart *c = container_of(job, struct restart, job);
    struct partition *p = c->p;
    struct plog *old;
    struct hold h;

    hold_begin(&h, p);
    if (is_in_vain(p) || atomic_load(&p->is_cut_unsaved)) {
        over(c, &h, ERRCODE_KAFKA_STORAGE_ERROR);
        return;
    }
    if (p->n_users > 1) {
        p->after_use = &c->job;
        hold_end(&h);
        return;
    }
    old = mem_steal(&p->log);
    partition_producers_close(p);
    hold_end(&h);
    (void)plog_close(old);
    put_aside(job);
}

static void begin(struct io_job *job)
{
    struct restart *c = container_of(job, struct restart, job);
    struct partition *p = c->p;
    struct hold h;

    hold_begin(&h, p);
    if (is_in_vain(p)) {
        over(c, &h, ERRCODE_KAFKA_STORAGE_ERROR);
        return;
    }
    p->restart_base = c->base;
    atomic_store(&p->is_restarting, true);
    atomic_store(&p->is_cut_unsaved, true);
    hold_end(&h);
    c->job.run = close_old;
    atomic_store(&p->env->is_checkpoint_stale, true);
    p->env->after_checkpoint(p->env->ctx, &c->job);
}

void partition_restart_begin(struct partition *p, offset64 base, bool keep)
{
    struct restart *c = mem_new(struct restart);

    c->p = partition_ref(p);
    c->base = base;
    c->keep = keep;
    c->job.run = begin;
    p->env->submit(p->env->ctx, &c->job);
}
