/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/keeper_impl.h"

#include "common/base/mem.h"
#include "common/obs/log.h"

/* --- Folders ------------------------------------------------------------------------ */

struct dir_job {
    struct io_job job;
    struct keeper *k;

    enum {
        DIR_ADOPT,
        DIR_BEGIN,
        DIR_SETTLED
    } kind;
    struct uuid cluster_id;
    int64_t broker_epoch;
};

/* Every part of it may be done twice. */
static void do_later(struct dir_job *j)
{
    (void)pthread_mutex_lock(&j->k->later_lock);
    STAILQ_INSERT_TAIL(&j->k->later, &j->job, entry);
    (void)pthread_mutex_unlock(&j->k->later_lock);
}

static void run_dir_job(struct io_job *job)
{
    struct dir_job *j = container_of(job, struct dir_job, job);
    bool is_over = true;

    for (size_t d = 0; d < j->k->b->dirs.n; d++) {
        struct log_dir *dir = j->k->b->dirs.items[d];
        int r = 0;

        if (log_dir_failed(dir)) {
            continue;
        }
        switch (j->kind) {
        case DIR_ADOPT: r = log_dir_adopt(dir, &j->cluster_id); break;
        case DIR_BEGIN: r = log_dir_begin_run(dir, j->broker_epoch); break;
        case DIR_SETTLED: r = log_dir_settled(dir); break;
        }
        if (log_dir_is_scarce(r)) {
            log_warn("keeper", "marker_postponed", KV_STR("dir", log_dir_path(dir)), KV_ERR(r));
            is_over = false;
        } else if (r != 0) {
            log_dir_fail(dir, r < 0 ? r : 0, "its identity or marker files could not be written");
            log_error("keeper", "marker_failed", KV_STR("dir", log_dir_path(dir)),
                    KV_STR("error", r < 0 ? log_err_text(r) : "it belongs to another cluster"));
        }
    }
    if (!is_over) {
        do_later(j);
        return;
    }
    if (j->kind == DIR_ADOPT) {
        atomic_store(&j->k->is_adopted, true); /* a folder that failed holds no logs */
    }
    (void)mem_free(j);
}

static void submit_dir_job(struct keeper *k, const struct dir_job *like)
{
    struct dir_job *j = mem_new(struct dir_job);

    *j = *like;
    j->k = k;
    j->job.run = run_dir_job;
    io_pool_submit(k->b->pool, &j->job);
}

void keeper_adopt(struct keeper *k, const struct uuid *cluster_id)
{
    submit_dir_job(k, &(struct dir_job){.kind = DIR_ADOPT, .cluster_id = *cluster_id});
}

bool keeper_is_adopted(const struct keeper *k)
{
    return atomic_load(&k->is_adopted);
}

void keeper_registered(struct keeper *k, int64_t broker_epoch)
{
    submit_dir_job(k, &(struct dir_job){.kind = DIR_BEGIN, .broker_epoch = broker_epoch});
}

void keeper_settled(struct keeper *k)
{
    submit_dir_job(k, &(struct dir_job){.kind = DIR_SETTLED});
}

static struct io_job *take_later(struct keeper *k)
{
    struct io_job *job;

    (void)pthread_mutex_lock(&k->later_lock);
    job = STAILQ_FIRST(&k->later);
    if (job != NULL) {
        STAILQ_REMOVE_HEAD(&k->later, entry);
    }
    (void)pthread_mutex_unlock(&k->later_lock);
    return job;
}

void keeper_retry_job(struct keeper *k)
{
    struct io_job *job = take_later(k);

    if (job != NULL) {
        io_pool_submit(k->b->pool, job);
    }
}

void keeper_drop_jobs(struct keeper *k)
{
    struct io_job *job;

    while ((job = take_later(k)) != NULL) {
        (void)mem_free(container_of(job, struct dir_job, job));
    }
}

/* --- Partitions ------------------------------------------------------------------------ */

struct partition_job {
    struct io_job job;
    struct keeper *k;
    struct partition *p;
    bool is_trash;
};

static void run_partition_job(struct io_job *job)
{
    struct partition_job *j = container_of(job, struct partition_job, job);

    if (j->is_trash) {
        partition_trash(j->p);
        if (atomic_fetch_sub(&j->k->n_trashing, 1) ==
                1) { /* One sync for all that are removed together. */
            keeper_ask(j->k, KEEPER_PURGE);
        }
    } else {
        partition_flush(j->p);
    }
    partition_unref(j->p);
    (void)mem_free(j);
}

static void submit_partition_job(
        struct keeper *k, struct io_pool *pool, struct partition *p, bool is_trash)
{
    struct partition_job *j = mem_new(struct partition_job);

    j->k = k;
    j->p = p;
    j->is_trash = is_trash;
    j->job.run = run_partition_job;
    io_pool_submit(pool, &j->job);
}

void keeper_trash(struct keeper *k, struct partition *p)
{
    (void)atomic_fetch_add(&k->n_trashing, 1);
    submit_partition_job(k, k->b->pool, p, true);
}

void keeper_sweep_trash(struct keeper *k)
{
    keeper_ask(k, KEEPER_PURGE);
}

void keeper_flush_soon(struct keeper *k, struct partition *p)
{
    for (size_t d = 0; d < k->b->dirs.n; d++) {
        if (k->b->dirs.items[d] == p->dir) {
            submit_partition_job(k, k->syncers[d], partition_ref(p), false);
        }
    }
}
