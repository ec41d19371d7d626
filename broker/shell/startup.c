/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/startup.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/shell/broker.h"
#include "common/base/mem.h"
#include "common/base/must.h"
#include "common/conf/conf.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"
#include "common/obs/process.h"

struct folder;

struct worker {
    struct io_job job;
    struct folder *f;
};

/* Its workers take the next log each, first to measure all, then to open all. */
struct folder {
    struct startup *s;
    struct log_dir *dir;
    struct io_pool *pool;
    struct worker *workers;
    struct partition **partitions; /* borrowed from the table */
    struct progress_log *logs; /* the same number; in the order of opening once all are measured */
    size_t n;
    atomic_size_t next;      /* of `logs`, in this phase */
    atomic_size_t n_working; /* workers in this phase */
    atomic_bool is_measured;
    atomic_size_t n_opened, n_failed;
    atomic_int_least64_t to_scan;
    wtime took; /* written by the last worker before `over` */
};

struct startup {
    struct broker *b;
    struct folder *folders;
    size_t n_threads; /* of a folder */
    size_t n_logs;
    wtime began, ended;
    bool is_interrupted;
    bool is_over;
    struct timer line;
    atomic_size_t n_busy; /* folders */
    struct loop_task over;
    void (*on_over)(void *ctx, bool is_whole);
    void *ctx;
};

const char *startup_crash_kind_text(enum crash_kind kind)
{
    switch (kind) {
    case CRASH_CLEAN: return "clean";
    case CRASH_PROC: return "process";
    case CRASH_HOST: return "host";
    case CRASH_DISK: break; /* Only the controller can tell. */
    }
    must_not_reach("a crash kind that is none");
}

/* --- Workers; Thread: pool
 * ------------------------------------------------------------------------ */

/* The next log of this phase; NULL: there is none. */
static struct progress_log *take_log(struct folder *f)
{
    size_t i = atomic_fetch_add(&f->next, 1);

    return i < f->n && !log_dir_is_interrupted(f->dir) ? &f->logs[i] : NULL;
}

/* Whether this was the last worker of the phase. */
static bool leave_phase(struct folder *f)
{
    return atomic_fetch_sub(&f->n_working, 1) == 1;
}

static void begin_phase(struct folder *f, void (*run)(struct io_job *job))
{
    atomic_store(&f->next, 0);
    atomic_store(&f->n_working, f->s->n_threads);
    for (size_t i = 0; i < f->s->n_threads; i++) {
        f->workers[i].job.run = run;
        io_pool_submit(f->pool, &f->workers[i].job);
    }
}

static void run_opening(struct io_job *job)
{
    struct folder *f = container_of(job, struct worker, job)->f;
    struct startup *s = f->s;
    struct progress_log *log;

    while ((log = take_log(f)) != NULL) {
        struct partition *p = f->partitions[log->index];
        int64_t scanned = partition_open(p);

        if (log_dir_is_interrupted(f->dir)) {
            break;
        }
        (void)atomic_fetch_add(&f->to_scan, scanned - log->to_scan);
        (void)atomic_fetch_add(&f->n_failed, atomic_load(&p->is_failed) ? 1 : 0);
        (void)atomic_fetch_add(&f->n_opened, 1);
        metric_add(METRIC_BROKER_LOGS_TO_OPEN, (uint64_t)-1);
    }
    if (leave_phase(f)) {
        f->took = clock_now() - s->began;
        if (atomic_fetch_sub(&s->n_busy, 1) == 1) {
            loop_post(s->b->control, &s->over);
        }
    }
}

static void run_measuring(struct io_job *job)
{
    struct folder *f = container_of(job, struct worker, job)->f;
    struct progress_log *log;

    /* What was closed cleanly is next to nothing to read. */
    while (log_dir_crash_kind(f->dir) != CRASH_CLEAN && (log = take_log(f)) != NULL) {
        const struct partition *p = f->partitions[log->index];

        log->to_scan =
                plog_scan_size(f->dir, f->s->b->files, p->name, &p->key.topic_id, p->key.number);
        (void)atomic_fetch_add(&f->to_scan, log->to_scan);
    }
    if (leave_phase(f)) {
        if (f->n > 1) { /* [LOG-14] */
            qsort(f->logs, f->n, sizeof(*f->logs), progress_compare_logs);
        }
        atomic_store(&f->is_measured, true);
        begin_phase(f, run_opening);
    }
}

/* --- Saying so; Thread: control
 * ------------------------------------------------------------------------ */

wtime startup_elapsed(const struct startup *s)
{
    return (s->is_over ? s->ended : clock_now()) - s->began;
}

size_t startup_dirs(const struct startup *s, struct startup_dir_state *ret, size_t max)
{
    size_t n = s->b->dirs.n < max ? s->b->dirs.n : max;

    for (size_t i = 0; i < n; i++) {
        const struct folder *f = &s->folders[i];

        /* In this order, so that what was opened is among what was told. */
        ret[i] = (struct startup_dir_state){.path = log_dir_path(f->dir),
                .crash_kind = log_dir_crash_kind(f->dir),
                .n_failed = atomic_load(&f->n_failed),
                .is_measured = atomic_load(&f->is_measured),
                .facts = {.n_logs = f->n,
                        .n_opened = atomic_load(&f->n_opened),
                        .to_scan = atomic_load(&f->to_scan),
                        .scanned = log_dir_scanned_bytes(f->dir)}};
    }
    return n;
}

struct progress startup_progress(const struct startup *s)
{
    struct progress_facts facts[BROKER_DIRS_MAX];
    struct startup_dir_state states[BROKER_DIRS_MAX];
    size_t n = startup_dirs(s, states, BROKER_DIRS_MAX);

    for (size_t i = 0; i < n; i++) {
        facts[i] = states[i].facts;
    }
    return progress_of(facts, n, startup_elapsed(s));
}

/* "12 s", or that it is too early to say. */
static const char *left_text(const struct progress *p, char text[32])
{
    if (p->left_ms < 0) {
        return "unknown";
    }
    (void)snprintf(text, 32, "%" PRIi64 " s", (p->left_ms + 999) / 1000);
    return text;
}

/* [LOG-15] */
static void say_progress(struct startup *s)
{
    struct startup_dir_state states[BROKER_DIRS_MAX];
    size_t n = startup_dirs(s, states, BROKER_DIRS_MAX);
    char left[32];

    for (size_t i = 0; i < n; i++) {
        struct progress p = progress_of(&states[i].facts, 1, startup_elapsed(s));

        if (states[i].facts.n_opened < states[i].facts.n_logs) {
            log_info("startup", "recovery_progress", KV_STR("dir", states[i].path),
                    KV_U64("logs_open", p.n_opened), KV_U64("logs", p.n_logs),
                    KV_I64("bytes_scanned", p.scanned), KV_I64("bytes_to_scan", p.to_scan),
                    KV_I64("percent", p.permille / 10), KV_STR("left", left_text(&p, left)));
        }
    }
}

static void say_begin(const struct folder *f)
{
    if (f->n > 0) {
        log_info("startup", "recovery_began", KV_STR("dir", log_dir_path(f->dir)),
                KV_STR("crash_kind", startup_crash_kind_text(log_dir_crash_kind(f->dir))),
                KV_U64("logs", f->n), KV_U64("threads", f->s->n_threads));
    }
}

static void say_end(const struct folder *f)
{
    if (f->n > 0) {
        log_info("startup", f->s->is_interrupted ? "recovery_interrupted" : "recovery_done",
                KV_STR("dir", log_dir_path(f->dir)),
                KV_STR("crash_kind", startup_crash_kind_text(log_dir_crash_kind(f->dir))),
                KV_U64("logs", f->n), KV_U64("logs_open", atomic_load(&f->n_opened)),
                KV_U64("failed", atomic_load(&f->n_failed)),
                KV_I64("bytes_scanned", log_dir_scanned_bytes(f->dir)),
                KV_I64("took_ms", f->took / WTIME_MS(1)));
    }
}

static void on_line(void *ctx)
{
    struct startup *s = ctx;
    wtime now = loop_now(s->b->control);

    say_progress(s);
    process_notify("EXTEND_TIMEOUT_USEC=60000000");
    timer_set(&s->line, progress_next_line(s->began, now));
}

static void on_folders_over(struct loop_task *t)
{
    struct startup *s = container_of(t, struct startup, over);

    s->ended = clock_now();
    s->is_over = true;
    timer_cancel(&s->line);
    for (size_t i = 0; i < s->b->dirs.n; i++) {
        s->folders[i].pool = io_pool_free(s->folders[i].pool);
        say_end(&s->folders[i]);
    }
    s->on_over(s->ctx, !s->is_interrupted);
}

/* --- Life; Thread: control
 * ------------------------------------------------------------------------ */

static void folder_begin(struct startup *s, size_t d)
{
    struct folder *f = &s->folders[d];

    f->s = s;
    f->dir = s->b->dirs.items[d];
    f->partitions = partitions_add_found(&s->b->partitions, d, &f->n);
    f->logs = mem_new_n(struct progress_log, f->n + 1);
    for (size_t i = 0; i < f->n; i++) {
        f->logs[i].index = i;
    }
    f->workers = mem_new_n(struct worker, s->n_threads);
    for (size_t i = 0; i < s->n_threads; i++) {
        f->workers[i].f = f;
    }
    s->n_logs += f->n;
    f->pool = io_pool_new(s->n_threads);
    say_begin(f);
}

struct startup *startup_new(struct broker *b, void (*on_over)(void *ctx, bool is_whole), void *ctx)
{
    struct startup *s = mem_new(struct startup);

    s->b = b;
    s->n_threads = (size_t)conf_i64(b->conf, "num.recovery.threads.per.data.dir");
    s->began = clock_now();
    s->over.run = on_folders_over;
    s->on_over = on_over;
    s->ctx = ctx;
    s->folders = mem_new_n(struct folder, b->dirs.n);
    atomic_init(&s->n_busy, b->dirs.n);
    timer_init(&s->line, b->control, on_line, s);
    timer_set(&s->line, progress_next_line(s->began, s->began));
    for (size_t d = 0; d < b->dirs.n; d++) { /* the table is whole before a thread looks into it */
        folder_begin(s, d);
    }
    metric_set(METRIC_BROKER_LOGS_TO_OPEN, (int64_t)s->n_logs);
    for (size_t d = 0; d < b->dirs.n; d++) {
        begin_phase(&s->folders[d], run_measuring);
    }
    return s;
}

void startup_interrupt(struct startup *s)
{
    s->is_interrupted = !s->is_over;
    for (size_t d = 0; d < s->b->dirs.n; d++) {
        log_dir_interrupt(s->b->dirs.items[d]);
    }
}

bool startup_is_over(const struct startup *s)
{
    return s->is_over;
}

struct startup *startup_free(struct startup *s)
{
    if (s == NULL) {
        return NULL;
    }
    timer_deinit(&s->line);
    for (size_t d = 0; d < s->b->dirs.n; d++) {
        struct folder *f = &s->folders[d];

        must(f->pool == NULL);
        (void)mem_free(f->workers);
        (void)mem_free(f->partitions);
        (void)mem_free(f->logs);
    }
    (void)mem_free(s->folders);
    return mem_free(s);
}
