/* SPDX-License-Identifier: Apache-2.0 */
#include "common/net/loop.h"

#include "common/base/mem.h"
#include "common/base/must.h"

#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum {
    LOOP_SIGNALS_MAX = 4,
    LOOP_NAME_SIZE = 16
};

struct loop_signal {
    struct event *event;
    void (*fn)(void *ctx, int signal);
    void *ctx;
};

struct loop {
    char name[LOOP_NAME_SIZE];
    struct event_base *base;
    struct event *wake;
    int wake_fd;

    /* Guards `tasks` and `is_woken`. */
    pthread_mutex_t lock;
    struct loop_tasks tasks;
    bool is_woken; /* the eventfd was written for what is queued */

    atomic_bool is_stopping;
    /* From loop_run() or loop_start() to the return of loop_run(): only the loop's thread is the
     * owner. Before and after, whoever holds the loop builds or dismantles what lives on it. */
    atomic_bool is_running;
    pthread_t thread;
    bool has_thread;

    struct loop_signal signals[LOOP_SIGNALS_MAX];
    unsigned n_signals;
};

static __thread const struct loop *current_loop;

wtime clock_now(void)
{
    struct timespec t;

    must(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
    return WTIME_S(t.tv_sec) + t.tv_nsec / 1000;
}

wall_ms clock_wall(void)
{
    struct timespec t;

    must(clock_gettime(CLOCK_REALTIME, &t) == 0);
    return (wall_ms)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void wake_write(const struct loop *loop)
{
    const uint64_t one = 1;

    /* EAGAIN would mean a counter at its maximum: the loop is awake already. */
    while (write(loop->wake_fd, &one, sizeof(one)) < 0 && errno == EINTR) {
    }
}

/* Runs what was queued when it began, up to a limit; the rest and what those tasks post comes in
 * the next turn, so that sockets are seen too. */
static bool run_tasks(struct loop *loop)
{
    struct loop_tasks burst = STAILQ_HEAD_INITIALIZER(burst);

    must(pthread_mutex_lock(&loop->lock) == 0);
    for (int n = 0; n < LOOP_TASKS_A_TURN && !STAILQ_EMPTY(&loop->tasks); n++) {
        struct loop_task *task = STAILQ_FIRST(&loop->tasks);
        STAILQ_REMOVE_HEAD(&loop->tasks, entry);
        STAILQ_INSERT_TAIL(&burst, task, entry);
    }
    loop->is_woken = !STAILQ_EMPTY(&loop->tasks);
    if (loop->is_woken) {
        wake_write(loop);
    }
    must(pthread_mutex_unlock(&loop->lock) == 0);

    bool had_any = !STAILQ_EMPTY(&burst);
    while (!STAILQ_EMPTY(&burst)) {
        struct loop_task *task = STAILQ_FIRST(&burst);
        STAILQ_REMOVE_HEAD(&burst, entry); /* before run(), which may free it or post it again */
        task->run(task);
    }
    return had_any;
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    struct loop *loop = arg;
    uint64_t n = 0;

    (void)what;
    /* Emptied before the queue is taken: a post in between writes again. EAGAIN is a wake-up that
     * was served. */
    while (read(fd, &n, sizeof(n)) < 0 && errno == EINTR) {
    }
    (void)run_tasks(loop);
    if (atomic_load(&loop->is_stopping)) {
        must(event_base_loopbreak(loop->base) == 0);
    }
}

struct loop *loop_new(const char *name)
{
    struct loop *loop = mem_new(struct loop);
    struct event_config *config = event_config_new();

    must(config != NULL);
    /* Only the owner touches the base; others come through the eventfd. So libevent needs no
     * locks. */
    must(event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK) == 0);
    (void)snprintf(loop->name, sizeof(loop->name), "%s", name);
    (void)signal(SIGPIPE, SIG_IGN); /* a peer that left is an EPIPE where the write stands */
    loop->base = event_base_new_with_config(config);
    must(loop->base != NULL);
    event_config_free(config);
    must(pthread_mutex_init(&loop->lock, NULL) == 0);
    STAILQ_INIT(&loop->tasks);
    loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    must(loop->wake_fd >= 0);
    loop->wake = event_new(loop->base, loop->wake_fd, EV_READ | EV_PERSIST, on_wake, loop);
    must(loop->wake != NULL);
    must(event_add(loop->wake, NULL) == 0);
    return loop;
}

struct loop *loop_free(struct loop *loop)
{
    if (loop == NULL) {
        return NULL;
    }
    must(!atomic_load(&loop->is_running));
    must(!loop->has_thread);
    while (run_tasks(loop)) {
    }
    for (unsigned i = 0; i < loop->n_signals; i++) {
        event_free(loop->signals[i].event);
    }
    event_free(loop->wake);
    event_base_free(loop->base);
    (void)close(loop->wake_fd);
    must(pthread_mutex_destroy(&loop->lock) == 0);
    return mem_free(loop);
}

void loop_run(struct loop *loop)
{
    const struct loop *outer = current_loop;

    atomic_store(&loop->is_running, true);
    current_loop = loop;
    while (!atomic_load(&loop->is_stopping)) {
        must(event_base_loop(loop->base, EVLOOP_NO_EXIT_ON_EMPTY) >= 0);
    }
    atomic_store(&loop->is_stopping, false); /* a loop may be run again */
    current_loop = outer;
    atomic_store(&loop->is_running, false);
}

static void *thread_main(void *arg)
{
    struct loop *loop = arg;

    (void)pthread_setname_np(pthread_self(), loop->name);
    loop_run(loop);
    return NULL;
}

void loop_start(struct loop *loop)
{
    sigset_t all;
    sigset_t before;

    must(!loop->has_thread);
    /* The process's signals stay with the threads that it had: a library must not take them. Faults
     * stay open. */
    (void)sigfillset(&all);
    (void)sigdelset(&all, SIGSEGV);
    (void)sigdelset(&all, SIGBUS);
    (void)sigdelset(&all, SIGFPE);
    (void)sigdelset(&all, SIGILL);
    (void)sigdelset(&all, SIGABRT);
    must(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    atomic_store(&loop->is_running, true);
    must(pthread_create(&loop->thread, NULL, thread_main, loop) == 0);
    loop->has_thread = true;
    must(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
}

void loop_join(struct loop *loop)
{
    if (loop->has_thread) {
        must(pthread_join(loop->thread, NULL) == 0);
        loop->has_thread = false;
    }
}

void loop_stop(struct loop *loop)
{
    /* Inside the lock, which loop_free() takes too: the loop may stop and be freed as soon as it
     * sees the flag. */
    must(pthread_mutex_lock(&loop->lock) == 0);
    atomic_store(&loop->is_stopping, true);
    wake_write(loop);
    must(pthread_mutex_unlock(&loop->lock) == 0);
}

wtime loop_now(const struct loop *loop)
{
    (void)loop;
    return clock_now();
}

struct event_base *loop_base(struct loop *loop)
{
    return loop->base;
}

bool loop_is_mine(const struct loop *loop)
{
    return current_loop == loop || !atomic_load(&loop->is_running);
}

void loop_post(struct loop *loop, struct loop_task *task)
{
    must(task->run != NULL);
    must(pthread_mutex_lock(&loop->lock) == 0);
    STAILQ_INSERT_TAIL(&loop->tasks, task, entry);
    if (!loop->is_woken) {
        loop->is_woken = true;
        /* Inside the lock: once it is open, the loop may run this task, stop and be freed. */
        wake_write(loop);
    }
    must(pthread_mutex_unlock(&loop->lock) == 0);
}

void loop_post_all(struct loop *loop, struct loop_tasks *tasks)
{
    if (STAILQ_EMPTY(tasks)) {
        return;
    }
    must(pthread_mutex_lock(&loop->lock) == 0);
    STAILQ_CONCAT(&loop->tasks, tasks);
    if (!loop->is_woken) {
        loop->is_woken = true;
        wake_write(loop);
    }
    must(pthread_mutex_unlock(&loop->lock) == 0);
}

static void timer_arm(struct timer *t)
{
    wtime left = t->deadline - clock_now();
    struct timeval tv = {0};

    if (left > 0) {
        tv.tv_sec = (time_t)(left / WTIME_S(1));
        tv.tv_usec = (suseconds_t)(left % WTIME_S(1));
    }
    must(event_add(t->event, &tv) == 0);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct timer *t = arg;

    (void)fd;
    (void)what;
    if (t->deadline > clock_now()) {
        /* libevent counts from the start of the turn that armed it, so it may be early. */
        timer_arm(t);
        return;
    }
    t->deadline = WTIME_NEVER;
    t->fn(t->ctx);
}

void timer_init(struct timer *t, struct loop *loop, void (*fn)(void *ctx), void *ctx)
{
    *t = (struct timer){.loop = loop, .fn = fn, .ctx = ctx, .deadline = WTIME_NEVER};
    t->event = evtimer_new(loop->base, on_timer, t);
    must(t->event != NULL);
}

void timer_set(struct timer *t, wtime deadline)
{
    must(loop_is_mine(t->loop));
    if (deadline == WTIME_NEVER) {
        timer_cancel(t);
        return;
    }
    t->deadline = deadline;
    timer_arm(t);
}

void timer_cancel(struct timer *t)
{
    if (t->event == NULL || t->deadline == WTIME_NEVER) {
        return;
    }
    must(loop_is_mine(t->loop));
    t->deadline = WTIME_NEVER;
    must(event_del(t->event) == 0);
}

void timer_deinit(struct timer *t)
{
    if (t->event != NULL) {
        must(loop_is_mine(t->loop));
        event_free(t->event);
        t->event = NULL;
    }
}

static void on_signal(evutil_socket_t number, short what, void *arg)
{
    const struct loop_signal *s = arg;

    (void)what;
    s->fn(s->ctx, (int)number);
}

void loop_on_signal(struct loop *loop, int number, void (*fn)(void *ctx, int signal), void *ctx)
{
    must(loop_is_mine(loop));
    must(loop->n_signals < LOOP_SIGNALS_MAX);
    struct loop_signal *s = &loop->signals[loop->n_signals];

    s->fn = fn;
    s->ctx = ctx;
    s->event = evsignal_new(loop->base, number, on_signal, s);
    must(s->event != NULL);
    must(event_add(s->event, NULL) == 0);
    loop->n_signals++;
}
