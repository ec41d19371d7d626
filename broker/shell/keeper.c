/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/keeper_impl.h"

#include "broker/shell/broker_configs.h"
#include "broker/shell/canary.h"
#include "broker/shell/trash_keeper.h"
#include "common/base/mem.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"

enum {
    CHECKPOINT_S = 5,
    SPACE_S = 1,
    /* Threads of a folder for syncs that somebody waits for. More partitions than that take turns: each turn acknowledges
     * all that came meanwhile, so that turns get longer, not more. */
    SYNCERS = 4
};

/* --- Chores; Thread: pool ------------------------------------------------------------------------ */

void keeper_ask(struct keeper *k, enum keeper_chore chore)
{
    chore_ask(&k->chores[chore]);
}

void keeper_chore_failed(struct keeper *k,
        enum keeper_chore chore,
        const char *event,
        const struct log_dir *dir,
        int r)
{
    if (log_dir_is_scarce(r)) {
        log_warn("keeper", event, KV_STR("dir", log_dir_path(dir)), KV_ERR(r),
                KV_STR("then", "it is tried again"));
        atomic_store(&k->chores[chore].is_unserved, true);
    } else {
        log_error("keeper", event, KV_STR("dir", log_dir_path(dir)), KV_ERR(r));
    }
}

/* [LOG-121] Between two measurements appends count down what the last one left. */
static void do_space(void *ctx)
{
    struct keeper *k = ctx;
    int64_t n_full = 0;

    for (size_t d = 0; d < k->b->dirs.n; d++) {
        struct log_dir *dir = k->b->dirs.items[d];
        struct log_dir_space space;
        int r = log_dir_failed(dir) ? -1
                                    : log_dir_measure(dir, atomic_load(&k->reserve_wanted), &space);

        if (r == 0) {
            atomic_store(&k->dirs[d].total, space.total);
            atomic_store(&k->dirs[d].free, space.free);
            atomic_store(&k->dirs[d].reserve, space.reserve);
        }
        n_full += log_dir_is_full(dir) ? 1 : 0;
    }
    metric_set(METRIC_BROKER_DIRS_FULL, n_full);
    if (n_full > 0) { /* what has had its time makes room */
        keeper_ask(k, KEEPER_RETAIN);
        keeper_ask(k, KEEPER_REMOVE);
    }
}

static void do_checkpoint_and_look(void *ctx)
{
    struct keeper *k = ctx;

    if (trash_keeper_is_due(k->b->trash)) {
        keeper_ask(k, KEEPER_PURGE);
    }
    keeper_do_checkpoint(k);
}

static void do_purge(void *ctx)
{
    struct keeper *k = ctx;

    for (size_t d = 0; d < k->b->dirs.n; d++) {
        struct log_dir *dir = k->b->dirs.items[d];
        int r = log_dir_failed(dir) ? 0 : trash_keeper_sweep(k->b->trash, dir);

        if (r < 0) {
            keeper_chore_failed(k, KEEPER_PURGE, "purge_failed", dir, r);
        } else if (r > 0) { /* [TRS-9] That asks for the purge again. */
            atomic_store(&k->b->env.is_checkpoint_stale, true);
            keeper_ask(k, KEEPER_CHECKPOINT);
        }
    }
}

/* --- Timers and wishes; Thread: control ------------------------------------------------------------------------ */

void keeper_catalog_changed(struct keeper *k)
{
    atomic_store(&k->catalog_index, image_position(k->b->image).index);
    keeper_ask(k, KEEPER_CATALOG);
}

/* What met a lack of descriptors has its next turn. */
static void ask_again(struct keeper *k)
{
    keeper_retry_job(k); /* one a time: what fails again would else go round */
    chore_ask_if_unserved(&k->chores[KEEPER_CATALOG]);
    chore_ask_if_unserved(&k->chores[KEEPER_PURGE]);
}

static wtime next_flush(const struct keeper *k)
{
    int64_t interval_ms = broker_configs_i64(k->b->configs, "weir.flush.interval.ms");

    return wtime_add(loop_now(k->b->control), WTIME_MS(interval_ms));
}

static void set_short_timer(struct keeper *k)
{
    int64_t period_ms = 0;

    if (keeper_has_short_flush(k, &period_ms) && k->short_flush_timer.deadline == WTIME_NEVER) {
        timer_set(&k->short_flush_timer, wtime_add(loop_now(k->b->control), WTIME_MS(period_ms)));
    }
}

static void on_flush_timer(void *ctx)
{
    struct keeper *k = ctx;

    atomic_store(&k->is_round_whole, true);
    keeper_ask(k, KEEPER_FLUSH);
    keeper_ask(k, KEEPER_PRODUCERS);
    if (atomic_load(&k->has_removals)) {
        keeper_ask(k, KEEPER_REMOVE);
    }
    ask_again(k);
    trash_keeper_retry(k->b->trash);
    timer_set(&k->flush_timer, next_flush(k));
    set_short_timer(k);
}

void keeper_note_flush_ms(struct keeper *k, int64_t flush_ms)
{
    if (flush_ms < atomic_load(&k->flush_ms_least)) {
        atomic_store(&k->flush_ms_least, flush_ms);
        set_short_timer(k);
    }
}

static void on_short_flush_timer(void *ctx)
{
    struct keeper *k = ctx;

    keeper_ask(k, KEEPER_FLUSH);
    set_short_timer(k);
}

static wtime next_retention(const struct keeper *k)
{
    int64_t interval_ms = broker_configs_i64(k->b->configs, "log.retention.check.interval.ms");

    return wtime_add(loop_now(k->b->control), WTIME_MS(interval_ms));
}

static void on_retain_timer(void *ctx)
{
    struct keeper *k = ctx;

    keeper_ask(k, KEEPER_RETAIN);
    timer_set(&k->retain_timer, next_retention(k));
}

void keeper_intervals_changed(struct keeper *k)
{
    timer_set(&k->flush_timer, wtime_min(k->flush_timer.deadline, next_flush(k)));
    timer_set(&k->retain_timer, wtime_min(k->retain_timer.deadline, next_retention(k)));
}

void keeper_retain_soon(struct keeper *k)
{
    keeper_ask(k, KEEPER_RETAIN);
}

static void on_checkpoint_timer(void *ctx)
{
    struct keeper *k = ctx;

    keeper_ask(k, KEEPER_ROLL);
    trash_keeper_tick(k->b->trash);
    keeper_ask(k, KEEPER_CHECKPOINT);
    keeper_ask(k, KEEPER_SEAL);
    timer_set(&k->checkpoint_timer, wtime_add(loop_now(k->b->control), WTIME_S(CHECKPOINT_S)));
}

static void on_space_timer(void *ctx)
{
    struct keeper *k = ctx;

    atomic_store(&k->reserve_wanted, broker_configs_i64(k->b->configs, "weir.disk.reserve.bytes"));
    keeper_ask(k, KEEPER_SPACE);
    timer_set(&k->space_timer, wtime_add(loop_now(k->b->control), WTIME_S(SPACE_S)));
}

size_t keeper_dir_states(struct keeper *k, struct msg_log_dir_state *ret, size_t max)
{
    size_t n = 0;

    for (size_t d = 0; d < k->b->dirs.n && n < max; d++) {
        const struct log_dir *dir = k->b->dirs.items[d];

        ret[n++] = (struct msg_log_dir_state){.dir_id = *log_dir_id(dir),
                .path = log_dir_path(dir),
                .failed = log_dir_failed(dir),
                .total_bytes = atomic_load(&k->dirs[d].total),
                .free_bytes = atomic_load(&k->dirs[d].free),
                .log_bytes = atomic_load(&k->dirs[d].log_bytes),
                .reserve_bytes = atomic_load(&k->dirs[d].reserve),
                .full = log_dir_is_full(dir),
                .stall_ms = log_dir_stalled_ms(dir),
                .canary_ms = k->b->canaries != NULL ? canaries_last_ms(k->b->canaries, d) : 0};
    }
    return n;
}

/* --- Life ------------------------------------------------------------------------ */

static void (*const works[KEEPER_N_CHORES])(void *ctx) = {
        [KEEPER_FLUSH] = keeper_do_flush,
        [KEEPER_CHECKPOINT] = do_checkpoint_and_look,
        [KEEPER_CATALOG] = keeper_do_catalog,
        [KEEPER_PURGE] = do_purge,
        [KEEPER_ROLL] = keeper_do_roll,
        [KEEPER_SEAL] = keeper_do_seal,
        [KEEPER_SPACE] = do_space,
        [KEEPER_PRODUCERS] = keeper_do_producers,
        [KEEPER_RETAIN] = keeper_do_retain,
        [KEEPER_REMOVE] = keeper_do_remove,
};

struct keeper *keeper_new(struct broker *b)
{
    struct keeper *k = mem_new(struct keeper);

    k->b = b;
    k->dirs = mem_new_n(struct dir_state, b->dirs.n);
    STAILQ_INIT(&k->later);
    (void)pthread_mutex_init(&k->later_lock, NULL);
    for (size_t i = 0; i < KEEPER_N_CHORES; i++) {
        chore_init(&k->chores[i], &b->pool, works[i], k);
    }
    STAILQ_INIT(&k->waiting);
    (void)pthread_mutex_init(&k->waiting_lock, NULL);
    timer_init(&k->flush_timer, b->control, on_flush_timer, k);
    timer_init(&k->short_flush_timer, b->control, on_short_flush_timer, k);
    timer_init(&k->checkpoint_timer, b->control, on_checkpoint_timer, k);
    timer_init(&k->space_timer, b->control, on_space_timer, k);
    timer_init(&k->retain_timer, b->control, on_retain_timer, k);
    k->syncers = mem_new_n(struct io_pool *, b->dirs.n);
    for (size_t d = 0; d < b->dirs.n; d++) {
        k->syncers[d] = io_pool_new(SYNCERS);
    }
    atomic_init(&k->flush_ms_least, INT64_MAX);
    atomic_init(&k->is_adopted, !uuid_is_zero(&b->cluster_id));
    keeper_ask(k, KEEPER_PURGE); /* what the previous run left */
    on_flush_timer(k);
    on_checkpoint_timer(k);
    on_space_timer(k);
    on_retain_timer(k);
    return k;
}

/* Whether a log of that folder is not synced to its end, for want of descriptors. */
static bool has_unsynced(struct keeper *k, const struct log_dir *dir)
{
    bool found = false;
    struct partition **all;
    size_t n;

    all = partitions_all(&k->b->partitions, &n);
    for (size_t i = 0; i < n; i++) {
        found = found || (all[i]->dir == dir && atomic_load(&all[i]->is_unsynced));
        partition_unref(all[i]);
    }
    (void)mem_free(all);
    return found;
}

void keeper_end_syncs(struct keeper *k)
{
    for (size_t d = 0; k != NULL && d < k->b->dirs.n; d++) {
        k->syncers[d] = io_pool_free(k->syncers[d]);
    }
}

bool keeper_finish(struct keeper *k, int64_t broker_epoch, uint64_t meta_index)
{
    bool ok = true;

    atomic_store(&k->is_round_whole, true);
    keeper_do_flush(k);
    keeper_do_seal(k);
    keeper_save_producers_at_stop(k);
    atomic_store(&k->b->env.is_checkpoint_stale, true);
    keeper_do_checkpoint(k);
    keeper_do_catalog(k);
    for (size_t d = 0; d < k->b->dirs.n; d++) {
        struct log_dir *dir = k->b->dirs.items[d];
        int r = log_dir_failed(dir) || has_unsynced(k, dir)
                        ? 1
                        : log_dir_mark_clean(dir, broker_epoch, meta_index);

        if (r != 0) {
            log_warn("keeper", "not_marked_clean", KV_STR("dir", log_dir_path(dir)),
                    KV_STR("reason", log_dir_failure(dir)));
            ok = false;
        }
    }
    return ok;
}

struct keeper *keeper_free(struct keeper *k)
{
    if (k == NULL) {
        return NULL;
    }
    timer_deinit(&k->flush_timer);
    timer_deinit(&k->short_flush_timer);
    timer_deinit(&k->checkpoint_timer);
    timer_deinit(&k->space_timer);
    timer_deinit(&k->retain_timer);
    keeper_drop_jobs(k);
    for (size_t i = 0; i < KEEPER_N_CHORES; i++) {
        chore_deinit(&k->chores[i]);
    }
    (void)pthread_mutex_destroy(&k->later_lock);
    (void)pthread_mutex_destroy(&k->waiting_lock);
    (void)mem_free(k->syncers);
    (void)mem_free(k->dirs);
    return mem_free(k);
}
