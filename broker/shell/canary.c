/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/canary.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "broker/core/stall.h"
#include "broker/shell/broker.h"
#include "common/base/mem.h"
#include "common/base/must.h"
#include "common/conf/conf.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"

enum {
    PERIOD_MS = 1000,
    JUDGE_MS = 100,
    GRACE_MS = 500, /* what an end waits for a thread */
    CANARY_BYTES = 16
};

/* What a thread and the control loop share. The thread's own: whoever leaves last frees it. */
struct canary {
    char *path;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_told_to_stop; /* from here on under `lock` */
    bool is_ended, is_abandoned;
    wtime began; /* of the one under way; 0 = none */
    wtime last_began, last_took;
    uint64_t n_done;
    int error; /* the first that is the disk's; 0 = none */
};

struct watched {
    struct canary *canary;
    struct stall stall;
    uint64_t n_done; /* judged so far */
    uint32_t last_ms;
    bool is_error_told;
};

struct canaries {
    struct broker *b;
    struct timer timer;
    struct watched *dirs; /* b->dirs.n */
};

static void canary_free(struct canary *c)
{
    (void)pthread_cond_destroy(&c->changed);
    (void)pthread_mutex_destroy(&c->lock);
    (void)mem_free(c->path);
    (void)mem_free(c);
}

/* --- The thread; Thread: pool (one of its own) ------------------------------------------------------------------- */

/* One write and sync. The file stays open and has its size from the first one on: nothing is allocated any more. */
static int sing(const char *path, int *fd)
{
    const struct file_io *io = &file_io_posix;
    uint8_t bytes[CANARY_BYTES];
    wtime now = clock_now();
    int r;

    memset(bytes, 0, sizeof(bytes));
    memcpy(bytes, &now, sizeof(now));
    if (*fd < 0) {
        *fd = io->open(io->ctx, path, O_RDWR | O_CREAT);
        if (*fd < 0) {
            return *fd;
        }
    }
    r = file_write_all(io, *fd, bytes, sizeof(bytes), 0);
    return r < 0 ? r : io->datasync(io->ctx, *fd);
}

/* [BRK-43] A full disk and a lack of descriptors say nothing about the disk's health. */
static bool is_disks(int r)
{
    return r < 0 && r != -ENOSPC && r != -EDQUOT && !log_dir_is_scarce(r);
}

/* Under the lock. Waits for the next turn. */
static void rest(struct canary *c)
{
    struct timespec until;
    int r = 0;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += PERIOD_MS / 1000;
    while (!c->is_told_to_stop && r == 0) {
        r = pthread_cond_timedwait(&c->changed, &c->lock, &until);
    }
}

static void *run(void *arg)
{
    struct canary *c = arg;
    bool is_mine;
    int fd = -1;

    (void)pthread_mutex_lock(&c->lock);
    while (!c->is_told_to_stop && c->error == 0) {
        int r;

        c->began = clock_now();
        (void)pthread_mutex_unlock(&c->lock);
        r = sing(c->path, &fd);
        (void)pthread_mutex_lock(&c->lock);
        c->last_began = c->began;
        c->last_took = clock_now() - c->began;
        c->began = 0;
        c->n_done++;
        c->error = is_disks(r) ? r : 0;
        rest(c);
    }
    (void)pthread_mutex_unlock(&c->lock);
    if (fd >= 0) {
        (void)file_io_posix.close(file_io_posix.ctx, fd); /* nothing in it is needed */
    }
    (void)pthread_mutex_lock(&c->lock);
    c->is_ended = true;
    is_mine = c->is_abandoned;
    (void)pthread_cond_broadcast(&c->changed);
    (void)pthread_mutex_unlock(&c->lock);
    if (is_mine) {
        canary_free(c);
    }
    return NULL;
}

/* [BRK-40] A thread of its own a folder: neither the loops nor the pool wait for it. */
static struct canary *canary_new(const struct log_dir *dir)
{
    struct canary *c = mem_new(struct canary);
    pthread_condattr_t attr;
    pthread_t thread;

    c->path = mem_format("%s/.canary", log_dir_path(dir));
    (void)pthread_mutex_init(&c->lock, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&c->changed, &attr);
    (void)pthread_condattr_destroy(&attr);
    must(pthread_create(&thread, NULL, run, c) == 0);
    (void)pthread_detach(thread); /* It may hang in the kernel, where nobody can join it. */
    return c;
}

static void canary_end(struct canary *c, const struct timespec *until)
{
    bool is_ended;
    int r = 0;

    (void)pthread_mutex_lock(&c->lock);
    c->is_told_to_stop = true;
    (void)pthread_cond_broadcast(&c->changed);
    while (!c->is_ended && r == 0) {
        r = pthread_cond_timedwait(&c->changed, &c->lock, until);
    }
    is_ended = c->is_ended;
    c->is_abandoned = !is_ended;
    (void)pthread_mutex_unlock(&c->lock);
    if (is_ended) {
        canary_free(c);
    } else {
        log_warn("canary", "thread_left",
                KV_STR("reason",
                        "a write or sync has not returned; the thread ends with the process"));
    }
}

/* --- Judging; Thread: control ------------------------------------------------------------------------------------ */

struct fail_job {
    struct io_job job;
    struct log_dir *dir;
    int error;
};

static void run_fail_job(struct io_job *job)
{
    struct fail_job *j = container_of(job, struct fail_job, job);

    log_dir_fail(j->dir, j->error, "its canary could not be written or synced");
    (void)mem_free(j);
}

/* [BRK-43] An error is one like any other of the folder. Noting it on the disk may block: the pool's. */
static void latch(struct canaries *c, struct log_dir *dir, int error)
{
    struct fail_job *j = mem_new(struct fail_job);

    j->job.run = run_fail_job;
    j->dir = dir;
    j->error = error;
    io_pool_submit(c->b->pool, &j->job);
}

static void told(struct log_dir *dir, const struct stall *s, uint32_t ms)
{
    if (s->is_stalled) {
        log_warn("canary", "dir_stalled", KV_STR("dir", log_dir_path(dir)), KV_U64("ms", ms),
                KV_STR("then", "appends there are refused until it answers"));
    } else {
        log_info("canary", "dir_answers", KV_STR("dir", log_dir_path(dir)));
    }
}

/* Returns how long the canary under way has taken so far, in µs. */
static wtime judge(struct canaries *c, size_t d)
{
    struct watched *w = &c->dirs[d];
    struct log_dir *dir = c->b->dirs.items[d];
    bool was = w->stall.is_stalled;
    wtime now = clock_now();
    wtime began, last_began, last_took;
    uint64_t n_done;
    int error;

    (void)pthread_mutex_lock(&w->canary->lock);
    began = w->canary->began;
    last_began = w->canary->last_began;
    last_took = w->canary->last_took;
    n_done = w->canary->n_done;
    error = w->canary->error;
    (void)pthread_mutex_unlock(&w->canary->lock);
    if (n_done != w->n_done) { /* at most one a period, and this looks more often */
        w->n_done = n_done;
        w->last_ms = (uint32_t)(last_took / 1000);
        stall_on_done(&w->stall, last_began, last_took);
    }
    if (began != 0) {
        stall_on_waiting(&w->stall, began, now);
    }
    if (error != 0 && !w->is_error_told) {
        w->is_error_told = true;
        latch(c, dir, error);
    }
    log_dir_set_stalled(dir, stall_ms(&w->stall, now));
    if (was != w->stall.is_stalled) {
        told(dir, &w->stall, log_dir_stalled_ms(dir));
    }
    return began != 0 && now > began ? now - began : 0;
}

static void on_judge(void *ctx)
{
    struct canaries *c = ctx;
    wtime longest = 0;

    for (size_t d = 0; d < c->b->dirs.n; d++) {
        wtime waiting = judge(c, d);

        longest = waiting > longest ? waiting : longest;
    }
    metric_set(METRIC_BROKER_DISK_STALL_MS, longest / 1000);
    timer_set(&c->timer, wtime_add(loop_now(c->b->control), WTIME_MS(JUDGE_MS)));
}

struct canaries *canaries_new(struct broker *b)
{
    struct canaries *c = mem_new(struct canaries);

    c->b = b;
    c->dirs = mem_new_n(struct watched, b->dirs.n);
    for (size_t d = 0; d < b->dirs.n; d++) {
        stall_init(&c->dirs[d].stall, WTIME_MS(conf_i64(b->conf, "weir.disk.stall.ms")));
        c->dirs[d].canary = canary_new(b->dirs.items[d]);
    }
    timer_init(&c->timer, b->control, on_judge, c);
    on_judge(c);
    return c;
}

struct canaries *canaries_free(struct canaries *c)
{
    struct timespec until;

    if (c == NULL) {
        return NULL;
    }
    timer_deinit(&c->timer);
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += GRACE_MS * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_nsec -= 1000000000L;
        until.tv_sec++;
    }
    for (size_t d = 0; d < c->b->dirs.n; d++) {
        canary_end(c->dirs[d].canary, &until);
    }
    (void)mem_free(c->dirs);
    return mem_free(c);
}

uint32_t canaries_last_ms(const struct canaries *c, size_t dir)
{
    return c->dirs[dir].last_ms;
}
