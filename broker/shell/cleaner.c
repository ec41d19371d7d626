/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/cleaner.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "broker/clean/clean_pass.h"
#include "broker/shell/broker.h"
#include "broker/shell/broker_configs.h"
#include "broker/shell/clean_pace.h"
#include "broker/shell/partition_clean.h"
#include "common/auth/key_hash.h"
#include "common/base/mem.h"
#include "common/base/must.h"
#include "common/conf/conf.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"

enum {
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
    unsigned n_restarts; /* of the log that all this is about */
    wtime not_before; /* after a failure, or when nothing came of it */
    ARRAY(struct segment_times) times;
};

enum {
    THREADS_MAX = 64 /* as log.cleaner.threads */
};

/* One of the threads. It goes when it has an index that is not wanted any more, after the log that it is at. */
struct worker {
    struct cleaner *c;
    size_t index;
    pthread_t thread;
    bool is_started; /* the control loop's: it is to be joined */
    atomic_bool has_ended; /* whoever wants it again joins it and starts another */
};

struct cleaner {
    struct broker *b;
    struct clean_pace pace;
    struct worker workers[THREADS_MAX];

    pthread_mutex_t lock; /* below; taken before a partition's lock, never within one */
    struct cleaned_log *logs;
    bool is_written; /* cleaner.ckpt is what `logs` says */
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

/* Gives up the work at a log that is gone or about to begin anew, or when the broker stops. */
static bool pace(void *ctx, int64_t bytes)
{
    struct work *w = ctx;

    return !atomic_load(&w->p->is_removed) && !atomic_load(&w->p->is_restarting) && !log_dir_failed(w->p->dir) &&
           clean_pace_book(&w->c->pace, bytes);
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

/* The log began anew: what was known was of another one. */
static void forget_former(struct cleaner *c, struct cleaned_log *log, unsigned n_restarts)
{
    if (log->n_restarts != n_restarts && !log->is_busy) {
        log->n_restarts = n_restarts;
        log->first_dirty = 0;
        log->epoch = EPOCH_NONE;
        log->is_uncleanable = false;
        array_clear(&log->times);
        c->is_written = false;
    }
}

/* Whether the partition, whose reference it takes then, is to be compacted sooner than `best`, which it replaces. */
static bool consider(struct cleaner *c, struct partition *p, wtime now, struct pick *best, int64_t *max_ppm)
{
    struct pick k = {.p = p, .log = know_log(c, &p->key, p->dir)};

    forget_former(c, k.log, atomic_load(&p->n_restarts));
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
            clean_pace_rest(&w->c->pace, wtime_add(clock_now(), WTIME_MS(COMMIT_RETRY_MS)))) {
        r = partition_clean_commit(w->p, s, &us);
    }
    metric_observe_us(METRIC_CLEANER_SWAP_US, us);
    return r;
}

static int claim(void *ctx, const struct sealed_list *list)
{
    const struct work *w = ctx;

    return partition_clean_claim(w->p, list);
}

static void release(void *ctx)
{
    const struct work *w = ctx;

    partition_clean_release(w->p);
}

static bool is_as_listed(void *ctx, const struct sealed_list *list)
{
    const struct work *w = ctx;

    return partition_clean_is_as_listed(w->p, list);
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
    log->not_before = has_moved ? 0 : wtime_add(clock_now(), clean_pace_limits(&c->pace).backoff);
    log->is_busy = false;
    (void)pthread_mutex_unlock(&c->lock);
}

static void compact(struct work *w, struct pick *k)
{
    struct cleaner *c = w->c;
    struct clean_limits limits = clean_pace_limits(&c->pace);
    struct clean_env env = {.dir = k->p->dir,
            .hash = hash,
            .pace = pace,
            .claim = claim,
            .commit = commit,
            .release = release,
            .is_as_listed = is_as_listed,
            .ctx = w,
            .now = clock_wall(),
            .map_size = limits.map_size / (int64_t)limits.n_threads,
            .map_load_ppm = limits.map_load_ppm,
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
    struct worker *v = arg;
    struct cleaner *c = v->c;
    struct work w = {.c = c, .hasher = auth_hasher_new()};
    struct pick k;

    while (clean_pace_wants(&c->pace, v->index, &v->has_ended)) {
        if (choose(c, &k)) {
            compact(&w, &k);
            write_points(c);
        } else {
            (void)clean_pace_rest(&c->pace, wtime_add(clock_now(), clean_pace_limits(&c->pace).backoff));
        }
    }
    w.hasher = auth_hasher_free(w.hasher);
    return NULL;
}

static void join(struct worker *v)
{
    if (v->is_started) {
        (void)pthread_join(v->thread, NULL);
        v->is_started = false;
        atomic_store(&v->has_ended, false);
    }
}

/* --- Life; Thread: control ---------------------------------------------------------------------------------------- */

/* Those that are wanted and not there. One that cannot be made is tried for at the next change; its log waits for the
 * others. */
static void start_threads(struct cleaner *c, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct worker *v = &c->workers[i];

        if (atomic_load(&v->has_ended)) {
            join(v);
        }
        if (!v->is_started) {
            int r = pthread_create(&v->thread, NULL, run, v);
            v->is_started = r == 0;
            if (r != 0) {
                log_error("cleaner", "thread_missing", KV_U64("index", i), KV_ERR(-r));
            }
        }
    }
}

void cleaner_limits_changed(struct cleaner *c)
{
    if (c == NULL) {
        return;
    }
    const struct broker_configs *configs = c->b->configs;
    struct clean_limits now = {
            .n_threads = (size_t)broker_configs_i64(configs, "log.cleaner.threads"),
            .map_size = broker_configs_i64(configs, "log.cleaner.dedupe.buffer.size"),
            .map_load_ppm =
                    (uint32_t)broker_configs_i64(configs, "log.cleaner.io.buffer.load.factor"),
            .rate = broker_configs_i64(configs, "log.cleaner.io.max.bytes.per.second"),
            .backoff = WTIME_MS(broker_configs_i64(configs, "log.cleaner.backoff.ms"))};

    clean_pace_set(&c->pace, &now);
    start_threads(c, now.n_threads);
}

struct cleaner *cleaner_new(struct broker *b)
{
    struct cleaner *c;

    if (!conf_bool(b->conf, "log.cleaner.enable")) {
        return NULL;
    }
    c = mem_new(struct cleaner);
    c->b = b;
    for (size_t i = 0; i < THREADS_MAX; i++) {
        c->workers[i] = (struct worker){.c = c, .index = i};
    }
    (void)pthread_mutex_init(&c->lock, NULL);
    clean_pace_init(&c->pace);
    read_points(c);
    cleaner_limits_changed(c);
    return c;
}

struct cleaner *cleaner_free(struct cleaner *c)
{
    if (c == NULL) {
        return NULL;
    }
    clean_pace_stop(&c->pace);
    for (size_t i = 0; i < THREADS_MAX; i++) {
        join(&c->workers[i]);
    }
    while (c->logs != NULL) {
        log_free(c, c->logs);
    }
    clean_pace_deinit(&c->pace);
    (void)pthread_mutex_destroy(&c->lock);
    return mem_free(c);
}
