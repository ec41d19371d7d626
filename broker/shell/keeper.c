/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/keeper.h"

#include <stdlib.h>
#include <string.h>

#include "broker/log/log_trash.h"
#include "broker/shell/broker.h"
#include "broker/shell/broker_configs.h"
#include "broker/shell/canary.h"
#include "broker/shell/retainer.h"
#include "broker/shell/trash_keeper.h"
#include "common/base/mem.h"
#include "common/base/must.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"

enum {
    CHECKPOINT_S = 5,
    SPACE_S = 1,
    EXPIRE_S = 60,
    /* Threads of a folder for syncs that somebody waits for. More partitions than that take turns: each turn acknowledges
     * all that came meanwhile, so that turns get longer, not more. */
    SYNCERS = 4,
    SHORT_FLUSH_LEAST_MS = 5,
    SHORT_FLUSH_MAX_MS = 3600000 /* the longest weir.flush.interval.ms */
};

/* A kind of work: runs on the pool, never twice at once; asked for while it runs, it runs once more. It waits for nobody:
 * the pool has few threads.
 *
 *   IDLE ──ask──▶ QUEUED ──▶ RUNNING ──▶ IDLE
 *                   ▲           │ask
 *                   └── AGAIN ◀─┘ */
enum chore_state {
    CHORE_IDLE,
    CHORE_QUEUED,
    CHORE_RUNNING,
    CHORE_AGAIN
};

struct chore {
    struct io_job job;
    struct keeper *k;
    void (*work)(struct keeper *k);
    pthread_mutex_t lock;
    enum chore_state state;  /* under `lock` */
    atomic_bool is_unserved; /* met a lack of descriptors: to be asked for again by the timer */
};

/* What the pool last measured of one folder. */
struct dir_state {
    atomic_uint_least64_t total, free, reserve, log_bytes;
};

struct keeper {
    struct broker *b;
    struct chore flush, checkpoint, catalog, purge, roll, seal, space, producers, retain, remove;
    struct timer flush_timer, short_flush_timer, checkpoint_timer, space_timer, retain_timer;
    atomic_bool has_removals; /* segments or their files wait for the next turn */
    pthread_mutex_t waiting_lock;
    STAILQ_HEAD(, io_job) waiting; /* under waiting_lock: for the next checkpoint */
    atomic_int_least64_t reserve_wanted; /* weir.disk.reserve.bytes */
    /* By folder. Apart from the pool, so that who waits for an fsync never waits for a purge or for another disk. */
    struct io_pool **syncers;
    atomic_bool is_round_whole;       /* the next round of `flush` is the regular one: all partitions */
    atomic_int_least64_t flush_ms_least; /* over all partitions, as of the last round */
    struct dir_state *dirs;
    atomic_size_t n_trashing; /* jobs on the pool that move a log into the trash */
    pthread_mutex_t later_lock;
    STAILQ_HEAD(, io_job) later; /* under later_lock: dir_jobs that wait for a descriptor */
    atomic_uint_least64_t catalog_index;
    atomic_bool is_adopted;
    wtime next_expiry; /* the chore's */
};

static enum chore_state chore_move(struct chore *c, enum chore_state from, enum chore_state to)
{
    enum chore_state was;

    (void)pthread_mutex_lock(&c->lock);
    was = c->state;
    if (was == from) {
        c->state = to;
    }
    (void)pthread_mutex_unlock(&c->lock);
    return was;
}

static void run_chore(struct io_job *job)
{
    struct chore *c = container_of(job, struct chore, job);

    must(chore_move(c, CHORE_QUEUED, CHORE_RUNNING) == CHORE_QUEUED);
    atomic_store(&c->is_unserved, false);
    c->work(c->k);
    if (chore_move(c, CHORE_RUNNING, CHORE_IDLE) != CHORE_RUNNING) {
        must(chore_move(c, CHORE_AGAIN, CHORE_QUEUED) == CHORE_AGAIN);
        io_pool_submit(c->k->b->pool, &c->job);
    }
}

static void chore_init(struct chore *c, struct keeper *k, void (*work)(struct keeper *k))
{
    c->job.run = run_chore;
    c->k = k;
    c->work = work;
    (void)pthread_mutex_init(&c->lock, NULL);
}

static void chore_ask(struct chore *c)
{
    enum chore_state was;

    (void)pthread_mutex_lock(&c->lock);
    was = c->state;
    c->state = was == CHORE_IDLE ? CHORE_QUEUED : was == CHORE_RUNNING ? CHORE_AGAIN : was;
    (void)pthread_mutex_unlock(&c->lock);
    if (was == CHORE_IDLE) {
        io_pool_submit(c->k->b->pool, &c->job);
    }
}

/* What it tried did not work out. */
static void chore_failed(struct chore *c, const char *event, const struct log_dir *dir, int r)
{
    if (log_dir_is_scarce(r)) {
        log_warn("keeper", event, KV_STR("dir", log_dir_path(dir)), KV_ERR(r),
                KV_STR("then", "it is tried again"));
        atomic_store(&c->is_unserved, true);
    } else {
        log_error("keeper", event, KV_STR("dir", log_dir_path(dir)), KV_ERR(r));
    }
}

/* --- Chores; Thread: pool (and main at the end) ------------------------------------------------------------------ */

static void each_partition(struct keeper *k, void (*fn)(struct keeper *k, struct partition *p))
{
    size_t n;
    struct partition **all = partitions_all(&k->b->partitions, &n);

    for (size_t i = 0; i < n; i++) {
        fn(k, all[i]);
        partition_unref(all[i]);
    }
    (void)mem_free(all);
}

static void flush_one(struct keeper *k, struct partition *p)
{
    if (atomic_load(&p->is_unsynced)) {
        partition_flush(p);
    }
    if (log_dir_failed(p->dir) && !atomic_load(&p->is_failed)) {
        partition_fail(p);
    }
}

/* The time until the next look at partitions of a short flush.ms. */
static int64_t short_period_ms(const struct keeper *k)
{
    int64_t period = atomic_load(&k->flush_ms_least) / 2;

    return period > SHORT_FLUSH_LEAST_MS ? period : SHORT_FLUSH_LEAST_MS;
}

/* [LOG-74] Between two regular rounds: those that would be late at the next look. */
static void flush_if_due(struct keeper *k, struct partition *p)
{
    int64_t flush_ms = atomic_load(&p->flush_ms);

    if (flush_ms < SHORT_FLUSH_MAX_MS && atomic_load(&p->is_unsynced) &&
            clock_now() - atomic_load(&p->unsynced_since) >
                    WTIME_MS(flush_ms - short_period_ms(k))) {
        flush_one(k, p);
    }
}

static void note_flush_ms(struct keeper *k, struct partition *p)
{
    int64_t flush_ms = atomic_load(&p->flush_ms);

    if (flush_ms < atomic_load(&k->flush_ms_least)) {
        atomic_store(&k->flush_ms_least, flush_ms);
    }
}

static void do_flush(struct keeper *k)
{
    if (atomic_exchange(&k->is_round_whole, false)) {
        each_partition(k, flush_one);
        atomic_store(&k->flush_ms_least, INT64_MAX); /* a topic may have gone, or have another one */
        each_partition(k, note_flush_ms);
    } else {
        each_partition(k, flush_if_due);
    }
    metric_set(METRIC_BROKER_OPEN_SEGMENT_FILES, (int64_t)file_cache_n_open(k->b->files));
}

static void seal_one(struct keeper *k, struct partition *p)
{
    (void)k;
    if (atomic_load(&p->is_unsealed)) {
        partition_seal(p);
    }
}

static void do_seal(struct keeper *k)
{
    each_partition(k, seal_one);
}

static void save_producers(struct keeper *k, struct partition *p)
{
    if (atomic_load(&p->producers.is_snapshot_due)) {
        partition_producers_save(p, false);
    }
}

static void expire_producers(struct keeper *k, struct partition *p)
{
    partition_producers_expire(p);
}

/* Every so often, and for a short expiry more often: none is overdue by more than a quarter. */
static wtime expiry_interval(const struct keeper *k)
{
    int64_t quarter_ms = k->b->env.producer_expiration_ms / 4;

    return quarter_ms < EXPIRE_S * 1000 ? WTIME_MS(quarter_ms) : WTIME_S(EXPIRE_S);
}

static void do_producers(struct keeper *k)
{
    each_partition(k, save_producers);
    if (wtime_due(k->next_expiry, clock_now())) {
        each_partition(k, expire_producers);
        k->next_expiry = wtime_add(clock_now(), expiry_interval(k));
    }
}

static void roll_one(struct keeper *k, struct partition *p)
{
    (void)k;
    if (!log_dir_failed(p->dir)) {
        partition_roll(p, clock_wall());
    }
}

static void do_roll(struct keeper *k)
{
    each_partition(k, roll_one);
}

static int compare_checkpoints(const void *a, const void *b)
{
    const struct checkpoint_entry *x = a, *y = b;
    int by_topic = uuid_compare(&x->topic_id, &y->topic_id);

    return by_topic != 0 ? by_topic : (x->partition > y->partition) - (x->partition < y->partition);
}

/* Log starts that had to be on the disk before segments may go. */
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

        if (all[i]->dir == dir && atomic_load(&all[i]->is_start_unsaved) && n_entries > 0) {
            e = bsearch(&key, entries, n_entries, sizeof(*entries), compare_checkpoints);
        }
        if (e != NULL) {
            partition_start_saved(all[i], e->log_start);
            chore_ask(&k->remove);
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
    entries = trash_keeper_add_checkpoints(dir, entries, &n_entries); /* sorted */
    if (!log_dir_failed(dir)) {
        r = log_dir_write_checkpoints(dir, entries, n_entries);
        if (r < 0) {
            chore_failed(&k->checkpoint, "checkpoint_failed", dir, r);
            atomic_store(&k->b->env.is_checkpoint_stale, true);
        } else {
            log_trash_remember(dir, entries, n_entries);
            tell_saved(k, dir, entries, n_entries, all, n);
        }
    }
    (void)mem_free(entries);
}

/* [LOG-121] Between two measurements appends count down what the last one left. */
static void do_space(struct keeper *k)
{
    int64_t n_full = 0;

    for (size_t d = 0; d < k->b->dirs.n; d++) {
        struct log_dir *dir = k->b->dirs.items[d];
        struct log_dir_space space;
        int r = log_dir_failed(dir)
                        ? -1
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
        chore_ask(&k->retain);
        chore_ask(&k->remove);
    }
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

static void write_checkpoints(struct keeper *k)
{
    struct partition **all;
    size_t n;

    all = partitions_all(&k->b->partitions, &n);
    for (size_t d = 0; d < k->b->dirs.n; d++) {
        checkpoint_dir(k, d, all, n);
    }
    for (size_t i = 0; i < n; i++) {
        partition_unref(all[i]);
    }
    (void)mem_free(all);
}

static void do_checkpoint(struct keeper *k)
{
    struct io_job *waiting = take_waiting(k); /* they came before this round began */

    if (atomic_exchange(&k->b->env.is_checkpoint_stale, false)) {
        write_checkpoints(k);
    }
    while (waiting != NULL) {
        struct io_job *next = STAILQ_NEXT(waiting, entry);

        waiting->run(waiting);
        waiting = next;
    }
}

static void do_checkpoint_and_look(struct keeper *k)
{
    if (trash_keeper_is_due(k->b->trash)) {
        chore_ask(&k->purge);
    }
    do_checkpoint(k);
}

void keeper_after_checkpoint(struct keeper *k, struct io_job *job)
{
    (void)pthread_mutex_lock(&k->waiting_lock);
    STAILQ_INSERT_TAIL(&k->waiting, job, entry);
    (void)pthread_mutex_unlock(&k->waiting_lock);
    chore_ask(&k->checkpoint);
}

static void do_retain(struct keeper *k)
{
    if (retainer_judge(k->b)) {
        chore_ask(&k->checkpoint);
    }
}

static void do_remove(struct keeper *k)
{
    atomic_store(&k->has_removals, retainer_remove(k->b, clock_now()));
}

static int compare_catalog(const void *a, const void *b)
{
    const struct catalog_entry *x = a, *y = b;
    int by_topic = uuid_compare(&x->topic_id, &y->topic_id);

    return by_topic != 0 ? by_topic : (x->partition > y->partition) - (x->partition < y->partition);
}

static void catalog_dir(struct keeper *k, struct log_dir *dir, struct partition **all, size_t n)
{
    struct catalog_entry *entries = mem_new_n(struct catalog_entry, n + 1);
    size_t n_entries = 0;
    int r;

    for (size_t i = 0; i < n; i++) {
        if (all[i]->dir == dir) {
            entries[n_entries++] = (struct catalog_entry){
                    .topic_id = all[i]->key.topic_id, .partition = all[i]->key.number};
        }
    }
    qsort(entries, n_entries, sizeof(*entries), compare_catalog);
    if (!log_dir_failed(dir)) {
        r = log_dir_write_catalog(dir, atomic_load(&k->catalog_index), entries, n_entries);
        if (r < 0) {
            chore_failed(&k->catalog, "catalog_failed", dir, r);
        }
    }
    (void)mem_free(entries);
}

static void do_catalog(struct keeper *k)
{
    struct partition **all;
    size_t n;

    if (atomic_load(&k->catalog_index) == 0) {
        return; /* nothing was applied: what stands there is newer */
    }
    all = partitions_all(&k->b->partitions, &n);
    for (size_t d = 0; d < k->b->dirs.n; d++) {
        catalog_dir(k, k->b->dirs.items[d], all, n);
    }
    for (size_t i = 0; i < n; i++) {
        partition_unref(all[i]);
    }
    (void)mem_free(all);
}

static void do_purge(struct keeper *k)
{
    for (size_t d = 0; d < k->b->dirs.n; d++) {
        struct log_dir *dir = k->b->dirs.items[d];
        int r = log_dir_failed(dir) ? 0 : trash_keeper_sweep(k->b->trash, dir);

        if (r < 0) {
            chore_failed(&k->purge, "purge_failed", dir, r);
        }
    }
}

/* --- Single jobs ------------------------------------------------------------------------------------------------- */

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
            chore_ask(&j->k->purge);
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
    chore_ask(&k->purge);
}

void keeper_flush_soon(struct keeper *k, struct partition *p)
{
    for (size_t d = 0; d < k->b->dirs.n; d++) {
        if (k->b->dirs.items[d] == p->dir) {
            submit_partition_job(k, k->syncers[d], partition_ref(p), false);
        }
    }
}

/* --- Control ----------------------------------------------------------------------------------------------------- */

void keeper_catalog_changed(struct keeper *k)
{
    atomic_store(&k->catalog_index, image_position(k->b->image).index);
    chore_ask(&k->catalog);
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

/* What met a lack of descriptors has its next turn. */
static void ask_again(struct keeper *k)
{
    struct chore *chores[] = {&k->catalog, &k->purge};
    struct io_job *job = take_later(k); /* one a time: what fails again would else go round */

    if (job != NULL) {
        io_pool_submit(k->b->pool, job);
    }
    for (size_t i = 0; i < sizeof(chores) / sizeof(chores[0]); i++) {
        if (atomic_load(&chores[i]->is_unserved)) {
            chore_ask(chores[i]);
        }
    }
}

static wtime next_flush(const struct keeper *k)
{
    int64_t interval_ms = broker_configs_i64(k->b->configs, "weir.flush.interval.ms");

    return wtime_add(loop_now(k->b->control), WTIME_MS(interval_ms));
}

/* [LOG-74] A flush.ms above the regular interval needs nothing of its own. */
static void set_short_timer(struct keeper *k)
{
    if (atomic_load(&k->flush_ms_least) < SHORT_FLUSH_MAX_MS &&
            k->short_flush_timer.deadline == WTIME_NEVER) {
        timer_set(&k->short_flush_timer,
                wtime_add(loop_now(k->b->control), WTIME_MS(short_period_ms(k))));
    }
}

static void on_flush_timer(void *ctx)
{
    struct keeper *k = ctx;

    atomic_store(&k->is_round_whole, true);
    chore_ask(&k->flush);
    chore_ask(&k->producers);
    if (atomic_load(&k->has_removals)) {
        chore_ask(&k->remove);
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

    chore_ask(&k->flush);
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

    chore_ask(&k->retain);
    timer_set(&k->retain_timer, next_retention(k));
}

void keeper_intervals_changed(struct keeper *k)
{
    timer_set(&k->flush_timer, wtime_min(k->flush_timer.deadline, next_flush(k)));
    timer_set(&k->retain_timer, wtime_min(k->retain_timer.deadline, next_retention(k)));
}

void keeper_retain_soon(struct keeper *k)
{
    chore_ask(&k->retain);
}

static void on_checkpoint_timer(void *ctx)
{
    struct keeper *k = ctx;

    chore_ask(&k->roll);
    trash_keeper_tick(k->b->trash);
    chore_ask(&k->checkpoint);
    chore_ask(&k->seal);
    timer_set(&k->checkpoint_timer, wtime_add(loop_now(k->b->control), WTIME_S(CHECKPOINT_S)));
}

static void on_space_timer(void *ctx)
{
    struct keeper *k = ctx;

    atomic_store(&k->reserve_wanted, broker_configs_i64(k->b->configs, "weir.disk.reserve.bytes"));
    chore_ask(&k->space);
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

struct keeper *keeper_new(struct broker *b)
{
    struct keeper *k = mem_new(struct keeper);

    k->b = b;
    k->dirs = mem_new_n(struct dir_state, b->dirs.n);
    STAILQ_INIT(&k->later);
    (void)pthread_mutex_init(&k->later_lock, NULL);
    chore_init(&k->flush, k, do_flush);
    chore_init(&k->checkpoint, k, do_checkpoint_and_look);
    chore_init(&k->catalog, k, do_catalog);
    chore_init(&k->purge, k, do_purge);
    chore_init(&k->seal, k, do_seal);
    chore_init(&k->roll, k, do_roll);
    chore_init(&k->space, k, do_space);
    chore_init(&k->producers, k, do_producers);
    chore_init(&k->retain, k, do_retain);
    chore_init(&k->remove, k, do_remove);
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
    chore_ask(&k->purge); /* what the previous run left */
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

static void save_producers_at_stop(struct keeper *k, struct partition *p)
{
    partition_producers_save(p, true);
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
    do_flush(k);
    do_seal(k);
    each_partition(k, save_producers_at_stop); /* [PID-32] */
    atomic_store(&k->b->env.is_checkpoint_stale, true);
    do_checkpoint(k);
    do_catalog(k);
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
    for (struct io_job *job = take_later(k); job != NULL; job = take_later(k)) {
        (void)mem_free(container_of(job, struct dir_job, job));
    }
    (void)pthread_mutex_destroy(&k->later_lock);
    (void)pthread_mutex_destroy(&k->waiting_lock);
    (void)mem_free(k->syncers);
    (void)mem_free(k->dirs);
    return mem_free(k);
}
