/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/keeper_impl.h"

#include <stdlib.h>

#include "broker/log/log_trash.h"
#include "broker/shell/trash_keeper.h"
#include "common/base/mem.h"

/* What each folder says of its partitions. */

static void each_dir(struct keeper *k,
        void (*write)(struct keeper *k, size_t d, struct partition **all, size_t n))
{
    size_t n;
    struct partition **all = partitions_all(&k->b->partitions, &n);

    for (size_t d = 0; d < k->b->dirs.n; d++) {
        write(k, d, all, n);
    }
    for (size_t i = 0; i < n; i++) {
        partition_unref(all[i]);
    }
    (void)mem_free(all);
}

/* --- Checkpoints ------------------------------------------------------------------------ */

/* Log starts that had to be on the disk before segments may go, and recovery points before an end may be cut off. */
static void tell_saved(struct keeper *k,
        const struct log_dir *dir,
        const struct checkpoint_entry *entries,
        size_t n_entries,
        struct partition **all,
        size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct checkpoint_entry key = {
                .topic_id = all[i]->key.topic_id, .partition = all[i]->key.number};
        const struct checkpoint_entry *e = NULL;

        if (all[i]->dir == dir && n_entries > 0 &&
                (atomic_load(&all[i]->is_start_unsaved) || atomic_load(&all[i]->is_cut_unsaved))) {
            e = bsearch(&key, entries, n_entries, sizeof(*entries), log_dir_compare_entries);
        }
        if (e != NULL) {
            partition_cut_saved(all[i], e);
            partition_start_saved(all[i], e->log_start);
            keeper_ask(k, KEEPER_REMOVE);
        }
    }
}

static void checkpoint_dir(struct keeper *k, size_t d, struct partition **all, size_t n)
{
    struct log_dir *dir = k->b->dirs.items[d];
    struct checkpoint_entry *entries = mem_new_n(struct checkpoint_entry, n + 1);
    size_t n_entries = 0;
    int64_t total = 0;
    int r;

    for (size_t i = 0; i < n; i++) {
        int64_t bytes = 0;

        if (all[i]->dir == dir && partition_checkpoint(all[i], &entries[n_entries], &bytes)) {
            n_entries++;
            total += bytes;
        }
    }
    atomic_store(&k->dirs[d].log_bytes, (uint64_t)total);
    entries = log_trash_add_checkpoints(dir, entries, &n_entries); /* sorted */
    if (!log_dir_failed(dir)) {
        r = log_dir_write_checkpoints(dir, entries, n_entries);
        if (r < 0) {
            keeper_chore_failed(k, KEEPER_CHECKPOINT, "checkpoint_failed", dir, r);
            atomic_store(&k->b->env.is_checkpoint_stale, true);
        } else {
            if (log_trash_remember(dir, entries, n_entries)) {
                keeper_ask(k, KEEPER_PURGE);
            }
            tell_saved(k, dir, entries, n_entries, all, n);
        }
    }
    (void)mem_free(entries);
}

static struct io_job *take_waiting(struct keeper *k)
{
    struct io_job *first;

    (void)pthread_mutex_lock(&k->waiting_lock);
    first = STAILQ_FIRST(&k->waiting);
    STAILQ_INIT(&k->waiting);
    (void)pthread_mutex_unlock(&k->waiting_lock);
    return first;
}

void keeper_do_checkpoint(void *ctx)
{
    struct keeper *k = ctx;
    struct io_job *waiting = take_waiting(k); /* they came before this round began */

    if (atomic_exchange(&k->b->env.is_checkpoint_stale, false)) {
        each_dir(k, checkpoint_dir);
    }
    while (waiting != NULL) {
        struct io_job *next = STAILQ_NEXT(waiting, entry);

        waiting->run(waiting);
        waiting = next;
    }
}

void keeper_after_checkpoint(struct keeper *k, struct io_job *job)
{
    (void)pthread_mutex_lock(&k->waiting_lock);
    STAILQ_INSERT_TAIL(&k->waiting, job, entry);
    (void)pthread_mutex_unlock(&k->waiting_lock);
    keeper_ask(k, KEEPER_CHECKPOINT);
}

/* --- Catalog ------------------------------------------------------------------------ */

static void catalog_dir(struct keeper *k, size_t d, struct partition **all, size_t n)
{
    struct log_dir *dir = k->b->dirs.items[d];
    struct catalog_entry *entries = mem_new_n(struct catalog_entry, n + 1);
    size_t n_entries = 0;
    int r;

    for (size_t i = 0; i < n; i++) {
        if (all[i]->dir == dir) {
            entries[n_entries++] = (struct catalog_entry){
                    .topic_id = all[i]->key.topic_id, .partition = all[i]->key.number};
        }
    }
    qsort(entries, n_entries, sizeof(*entries), log_dir_compare_entries);
    if (!log_dir_failed(dir)) {
        r = log_dir_write_catalog(dir, atomic_load(&k->catalog_index), entries, n_entries);
        if (r < 0) {
            keeper_chore_failed(k, KEEPER_CATALOG, "catalog_failed", dir, r);
        }
    }
    (void)mem_free(entries);
}

void keeper_do_catalog(void *ctx)
{
    struct keeper *k = ctx;

    if (atomic_load(&k->catalog_index) >
            0) { /* else nothing was applied: what stands there is newer */
        each_dir(k, catalog_dir);
    }
}
