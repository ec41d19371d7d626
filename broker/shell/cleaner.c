/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/cleaner.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

#include "broker/clean/clean_pass.h"
#include "broker/shell/broker.h"
#include "broker/shell/partition_clean.h"
#include "common/auth/key_hash.h"
#include "common/base/mem.h"
#include "common/base/must.h"
#include "common/conf/conf.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"

enum {
    PACE_AHEAD_MS = 20, /* shorter waits are saved up */
    COMMIT_RETRY_MS = 5,
    COMMIT_WAIT_MS = 10000
};

/* Times of a segment, which do not change. */
struct segment_times {
    uint64_t id;
    wall_ms first, max;
    bool has_max;
};

/* What is known of a log's compaction. Under the cleaner's lock; a busy one's `times` are its thread's. */
struct cleaned_log {
    struct partition_key key;
    UT_hash_handle hh;
    struct log_dir *dir;
    offset64 first_dirty;
    epoch32 epoch;
    bool is_busy, is_uncleanable;
    wtime not_before; /* after a failure, or when nothing came of it */
    ARRAY(struct segment_times) times;
};

struct cleaner {
    struct broker *b;
    pthread_t *threads;
    size_t n_threads;
    int64_t map_size; /* of one thread */
    uint32_t map_load_ppm;
    wtime backoff;
    int64_t rate; /* bytes a second */

    pthread_mutex_t lock; /* below; taken before a partition's lock, never within one */
    struct cleaned_log *logs;
    bool is_written; /* cleaner.ckpt is what `logs` says */

    pthread_mutex_t pace_lock;
    pthread_cond_t stopping;
    bool is_told_to_stop; /* from here on under pace_lock */
    wtime next; /* the disk's share is used up until then */
};

/* A log that is to be compacted now. */
struct pick {
    struct partition *p;
    struct cleaned_log *log;
    struct clean_look look;
    struct cleaning_range range;
};

/* One thread at one log. */
struct work {
    struct cleaner *c;
    struct partition *p;
    struct auth_hasher *hasher;
};

/* --- Waiting ------------------------------------------------------------------------------------------------------ */

/* Until then, or until the broker stops; false: it stops. */
static bool wait_until(struct cleaner *c, wtime until)
{
    struct timespec at = {.tv_sec = until / 1000000, .tv_nsec = (until % 1000000) * 1000};
    int r = 0;
    bool goes_on;

    (void)pthread_mutex_lock(&c->pace_lock);
    while (!c->is_told_to_stop && r == 0) {
        r = pthread_cond_timedwait(&c->stopping, &c->pace_lock, &at);
    }
    goes_on = !c->is_told_to_stop;
    (void)pthread_mutex_unlock(&c->pace_lock);
    return goes_on;
}

/* Books `bytes` of the disk's time; when that is so long ahead, waits for it. */
static bool pace(void *ctx, int64_t bytes)
{
    struct work *w = ctx;
    struct cleaner *c = w->c;
    wtime now = clock_now();
    wtime next;

    if (atomic_load(&w->p->is_removed) || log_dir_failed(w->p->dir)) {
        return false;
    }
    (void)pthread_mutex_lock(&c->pace_lock);
    next = c->next > now ? c->next : now;
    next += (wtime)((__int128)bytes * 1000000 / c->rate);
    c->next = next;
    bool is_told = c->is_told_to_stop;
    (void)pthread_mutex_unlock(&c->pace_lock);
    if (is_told || next - now <= WTIME_MS(PACE_AHEAD_MS)) {
        return !is_told;
    }
    return wait_until(c, next);
}

/* --- What is known ------------------------------------------------------------------------------------------------ */

static struct cleaned_log *know_log(struct cleaner *c, const struct partition_key *key, struct log_dir *dir)
{
    struct cleaned_log *log = NULL;

    HASH_FIND(hh, c->logs, key, sizeof(*key), log);
    if (log == NULL) {
        log = mem_new(struct cleaned_log);
        log->key = *key;
        log->epoch = EPOCH_NONE;
        HASH_ADD(hh, c->logs, key, sizeof(log->key), log);
    }
    log->dir = dir;
    return log;
}

static void log_free(struct cleaner *c, struct cleaned_log *log)
{
    HASH_DEL(c->logs, log);
    array_deinit(&log->times);
    mem_free(log);
}

static void read_points(struct cleaner *c)
{
    for (size_t d = 0; d < c->b->dirs.n; d++) {
        struct log_dir *dir = c->b->dirs.items[d];
        struct clean_point *points = NULL;
        size_t n = 0;

        if (log_dir_read_clean_points(dir, &points, &n) != 0) {
            continue; /* then all is dirty */
        }
        for (size_t i = 0; i < n; i++) {
            struct partition_key key;

            memset(&key, 0, sizeof(key));
            key.topic_id = points[i].topic_id;
            key.number = points[i].partition;
            struct cleaned_log *log = know_log(c, &key, dir);
            log->first_dirty = points[i].first_dirty;
            log->epoch = points[i].epoch;
        }
        (void)mem_free(points);
    }
    c->is_written = true;
}

/* Under the lock: of logs that are gone nothing is kept. */
static void forget_removed(struct cleaner *c)
{
    struct cleaned_log *log, *next;

    HASH_ITER(hh, c->logs, log, next) {
        struct partition *p =
                partitions_get(&c->b->partitions, &log->key.topic_id, log->key.number);
        if (p == NULL && !log->is_busy) {
            log_free(c, log);
        }
        partition_unref(p);
    }
}

/* [LOG-58] Losing it costs a compaction of everything, no more. */
static void write_points(struct cleaner *c)
{
    (void)pthread_mutex_lock(&c->lock);
    if (!c->is_written) {
        forget_removed(c);
        c->is_written = true;
        for (size_t d = 0; d < c->b->dirs.n; d++) {
            struct log_dir *dir = c->b->dirs.items[d];
            struct clean_point *points = mem_new_n(struct clean_point, HASH_COUNT(c->logs) + 1);
            size_t n = 0;

            for (struct cleaned_log *log = c->logs; log != NULL; log = log->hh.next) {
                if (log->dir == dir && log->first_dirty > 0) {
                    points[n++] = (struct clean_point){.topic_id = log->key.topic_id,
                            .partition = log->key.number,
                            .first_dirty = log->first_dirty,
                            .epoch = log->epoch};
                }
            }
            if (!log_dir_failed(dir) && log_dir_write_clean_points(dir, points, n) != 0) {
                c->is_written = false;
                log_warn("cleaner", "checkpoint_failed", KV_STR("dir", log_dir_path(dir)));
            }
            (void)mem_free(points);
        }
    }
    (void)pthread_mutex_unlock(&c->lock);
}

/* --- Which one ---------------------------------------------------------------------------------------------------- */

static struct segment_times *times_of(struct cleaned_log *log, uint64_t id)
{
    ARRAY_FOREACH (t, &log->times) {
        if (t->id == id) {
            return t;
        }
    }
    return NULL;
}

/* Reads what the lags need to know of a dirty segment, once. Times that cannot be read are taken as those of a segment
 * that is old enough: compaction itself will find what is wrong. */
static void know_times(const struct clean_env *env,
        struct cleaned_log *log,
        const struct clean_look *look,
        const struct sealed_segment *s,
        struct cleaning_segment *ret)
{
    bool wants_max = look->policy.min_lag_ms > 0 && !s->has_max_timestamp;
    bool wants_first = look->policy.max_lag_ms < INT64_MAX;
    struct segment_times *t = times_of(log, s->id);

    ret->max_timestamp = s->has_max_timestamp ? s->max_timestamp : INT64_MIN;
    if ((!wants_max && !wants_first) || s->end <= log->first_dirty) {
        return;
    }
    if (t == NULL || (wants_max && !t->has_max)) {
        struct segment_times read = {.id = s->id, .first = -1, .max = INT64_MIN, .has_max = wants_max};
        (void)!clean_look_at_times(env, &look->list, s, !wants_max, &read.first, &read.max);
        if (t == NULL) {
            t = array_push(&log->times);
        }
        *t = read;
    }
    ret->first_timestamp = wants_first ? t->first : -1;
    ret->max_timestamp = s->has_max_timestamp ? s->max_timestamp : t->max;
}

static void forget_times(struct cleaned_log *log, const struct sealed_list *list)
{
    for (size_t i = log->times.n; i > 0; i--) {
        bool is_there = false;
        for (size_t k = 0; k < list->n && !is_there; k++) {
            is_there = list->items[k].id == log->times.items[i - 1].id;
        }
        if (!is_there) {
            array_remove(&log->times, i - 1);
        }
    }
}

static void judge(struct cleaner *c, struct pick *k)
{
    const struct clean_look *look = &k->look;
    struct clean_env env = {.dir = k->p->dir};
    struct cleaning_segment *segments = mem_new_n(struct cleaning_segment, look->list.n + 1);

    forget_times(k->log, &look->list);
    for (size_t i = 0; i < look->list.n; i++) {
        const struct sealed_segment *s = &look->list.items[i];
        segments[i] = (struct cleaning_segment){.base = s->base,
                .end = s->end,
                .size = s->size,
                .first_timestamp = -1,
                .is_synced = s->is_synced};
        know_times(&env, k->log, look, s, &segments[i]);
    }
    cleaning_choose(&look->policy, segments, look->list.n, k->log->first_dirty, look->limit,
            clock_wall(), &k->range);
    (void)mem_free(segments);
}

static void pick_deinit(struct pick *k)
{
    if (k->p != NULL) {
        sealed_list_deinit(&k->look.list);
        partition_clean_leave(k->p);
        partition_unref(k->p);
    }
    *k = (struct pick){0};
}

/* Whether the partition, whose reference it takes then, is to be compacted sooner than `best`, which it replaces. */
static bool consider(struct cleaner *c, struct partition *p, wtime now, struct pick *best, int64_t *max_ppm)
{
    struct pick k = {.p = p, .log = know_log(c, &p->key, p->dir)};

    if (k.log->is_busy || k.log->is_uncleanable || k.log->not_before > now ||
            !partition_clean_look(p, &k.look)) {
        return false;
    }
    judge(c, &k);
    *max_ppm = k.range.dirty_ppm > *max_ppm ? k.range.dirty_ppm : *max_ppm;
    if (!k.range.is_due || (best->p != NULL && !cleaning_is_before(&k.range, &best->range))) {
        sealed_list_deinit(&k.look.list);
        partition_clean_leave(p);
        return false;
    }
    pick_deinit(best);
    *best = k;
    return true;
}

/* The log that needs it most, busy from now on. */
static bool choose(struct cleaner *c, struct pick *ret)
{
    int64_t max_ppm = 0;
    wtime now = clock_now();
    size_t n;
    struct partition **all = partitions_all(&c->b->partitions, &n);

    *ret = (struct pick){0};
    (void)pthread_mutex_lock(&c->lock);
    for (size_t i = 0; i < n; i++) {
        struct partition *p = all[i];
        bool may = atomic_load(&p->is_compacted) && !atomic_load(&p->is_failed) &&
                   !atomic_load(&p->is_removed) && !log_dir_failed(p->dir);
        if (!may || !consider(c, p, now, ret, &max_ppm)) {
            partition_unref(p);
        }
    }
    if (ret->p != NULL) {
        ret->log->is_busy = true;
    }
    (void)pthread_mutex_unlock(&c->lock);
    (void)mem_free(all);
    metric_set(METRIC_CLEANER_DIRTY_PPM, max_ppm);
    return ret->p != NULL;
}

/* --- Compacting one ----------------------------------------------------------------------------------------------- */

static struct key_hash hash(void *ctx, struct bytes key)
{
    struct work *w = ctx;
    uint8_t bytes[AUTH_HASH_SIZE];
    struct key_hash ret;

    auth_hasher_run(w->hasher, key, bytes);
    memcpy(&ret, bytes, sizeof(ret));
    return ret;
}

static int commit(void *ctx, struct plog_swap *s)
{
    struct work *w = ctx;
    int64_t us = 0;
    wtime give_up = wtime_add(clock_now(), WTIME_MS(COMMIT_WAIT_MS));
    int r = partition_clean_commit(w->p, s, &us);

    while (r == PLOG_E_BUSY && clock_now() < give_up && /* a segment is being sealed */
            wait_until(w->c, wtime_add(clock_now(), WTIME_MS(COMMIT_RETRY_MS)))) {
        r = partition_clean_commit(w->p, s, &us);
    }
    metric_observe_us(METRIC_CLEANER_SWAP_US, us);
    return r;
}

static void tell(const struct partition *p, int r, const struct clean_result *done, wtime took)
{
    metric_add(METRIC_CLEANER_READ_BYTES, (uint64_t)done->bytes_read);
    metric_add(METRIC_CLEANER_WRITTEN_BYTES, (uint64_t)done->bytes_written);
    metric_add(METRIC_CLEANER_BUSY_MS, (uint64_t)(took / 1000));
    if (r == 0) {
        metric_add(METRIC_CLEANER_RUNS, 1);
        if (done->size_before > done->size_after) {
            metric_add(METRIC_CLEANER_REMOVED_BYTES,
                    (uint64_t)(done->size_before - done->size_after));
        }
        log_info("cleaner", "log_compacted", KV_STR("partition", p->name),
                KV_I64("first_dirty", done->first_dirty), KV_I64("bytes_before", done->size_before),
                KV_I64("bytes_after", done->size_after), KV_U64("records", done->n_records),
                KV_U64("kept", done->n_kept), KV_U64("keys", done->n_keys),
                KV_I64("took_ms", took / 1000));
        return;
    }
    if (r == CLEAN_E_DAMAGED || r == CLEAN_E_TOO_SMALL) {
        log_error("cleaner", "log_uncleanable", KV_STR("partition", p->name),
                KV_STR("dir", log_dir_path(p->dir)), KV_STR("reason", done->why),
                KV_I64("offset", done->at),
                KV_STR("then", "it is not compacted any more until the broker starts again"));
    } else if (r == CLEAN_E_FULL) {
        log_warn("cleaner", "compaction_postponed", KV_STR("partition", p->name),
                KV_STR("reason", "no space, memory or descriptor for it"));
    } else if (r < 0) {
        log_error("cleaner", "compaction_failed", KV_STR("partition", p->name),
                KV_STR("dir", log_dir_path(p->dir)), KV_ERR(r));
    }
}

/* What became of it. */
static void conclude(struct cleaner *c, const struct pick *k, int r, const struct clean_result *done)
{
    struct cleaned_log *log = k->log;

    (void)pthread_mutex_lock(&c->lock);
    bool has_moved = r == 0 && done->first_dirty > k->range.from;
    if (r == 0) {
        log->first_dirty = done->first_dirty;
        log->epoch = done->epoch;
        c->is_written = false;
    }
    if (r == CLEAN_E_DAMAGED || r == CLEAN_E_TOO_SMALL) { /* [LOG-59] The others go on. */
        log->is_uncleanable = true;
        int64_t n = 0;
        for (struct cleaned_log *it = c->logs; it != NULL; it = it->hh.next) {
            n += it->is_uncleanable ? 1 : 0;
        }
        metric_set(METRIC_CLEANER_UNCLEANABLE, n);
    }
    log->not_before = has_moved ? 0 : wtime_add(clock_now(), c->backoff);
    log->is_busy = false;
    (void)pthread_mutex_unlock(&c->lock);
}

static void compact(struct work *w, struct pick *k)
{
    struct cleaner *c = w->c;
    struct clean_env env = {.dir = k->p->dir,
            .hash = hash,
            .pace = pace,
            .commit = commit,
            .ctx = w,
            .now = clock_wall(),
            .map_size = c->map_size,
            .map_load_ppm = c->map_load_ppm,
            .producer_expiry_ms = conf_i64(c->b->conf, "producer.id.expiration.ms")};
    struct clean_task task = {.policy = k->look.policy,
            .list = k->look.list,
            .range = k->range,
            .epoch = k->log->epoch};
    struct clean_result done;
    wtime began = clock_now();
    int r;

    w->p = k->p;
    r = clean_run(&env, &task, &done);
    tell(k->p, r, &done, clock_now() - began);
    conclude(c, k, r, &done);
    pick_deinit(k);
}

/* --- Threads; Thread: pool (of their own) ------------------------------------------------------------------------- */

static void *run(void *arg)
{
    struct cleaner *c = arg;
    struct work w = {.c = c, .hasher = auth_hasher_new()};
    struct pick k;

    while (wait_until(c, 0)) {
        if (choose(c, &k)) {
            compact(&w, &k);
            write_points(c);
        } else {
            (void)wait_until(c, wtime_add(clock_now(), c->backoff));
        }
    }
    w.hasher = auth_hasher_free(w.hasher);
    return NULL;
}

struct cleaner *cleaner_new(struct broker *b)
{
    struct cleaner *c;
    pthread_condattr_t attr;

    if (!conf_bool(b->conf, "log.cleaner.enable")) {
        return NULL;
    }
    c = mem_new(struct cleaner);
    c->b = b;
    c->n_threads = (size_t)conf_i64(b->conf, "log.cleaner.threads");
    c->threads = mem_new_n(pthread_t, c->n_threads);
    c->map_size = conf_i64(b->conf, "log.cleaner.dedupe.buffer.size") / (int64_t)c->n_threads;
    c->map_load_ppm = (uint32_t)conf_ratio(b->conf, "log.cleaner.io.buffer.load.factor");
    c->rate = conf_i64(b->conf, "log.cleaner.io.max.bytes.per.second");
    c->backoff = WTIME_MS(conf_i64(b->conf, "log.cleaner.backoff.ms"));
    (void)pthread_mutex_init(&c->lock, NULL);
    (void)pthread_mutex_init(&c->pace_lock, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&c->stopping, &attr);
    (void)pthread_condattr_destroy(&attr);
    read_points(c);
    for (size_t i = 0; i < c->n_threads; i++) {
        must(pthread_create(&c->threads[i], NULL, run, c) == 0);
    }
    return c;
}

struct cleaner *cleaner_free(struct cleaner *c)
{
    if (c == NULL) {
        return NULL;
    }
    (void)pthread_mutex_lock(&c->pace_lock);
    c->is_told_to_stop = true;
    (void)pthread_cond_broadcast(&c->stopping);
    (void)pthread_mutex_unlock(&c->pace_lock);
    for (size_t i = 0; i < c->n_threads; i++) {
        (void)pthread_join(c->threads[i], NULL);
    }
    while (c->logs != NULL) {
        log_free(c, c->logs);
    }
    (void)pthread_cond_destroy(&c->stopping);
    (void)pthread_mutex_destroy(&c->pace_lock);
    (void)pthread_mutex_destroy(&c->lock);
    (void)mem_free(c->threads);
    return mem_free(c);
}
