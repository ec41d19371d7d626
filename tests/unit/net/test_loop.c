/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/array.h"
#include "common/net/loop.h"
#include "common/net/resolve.h"
#include "common/net/rpc.h"
#include "tests/unit/net/turns.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- Posting ---------------------------------------------------------------------------------- */

enum {
    POSTERS = 4,
    POSTS = 25000
};

struct numbered_task {
    struct loop_task task;
    struct order *order;
    unsigned poster, number;
};

struct order {
    struct loop *loop;
    unsigned next[POSTERS];
    unsigned n_run, n_wrong;
    atomic_bool is_done;
};

static void run_numbered(struct loop_task *task)
{
    struct numbered_task *t = container_of(task, struct numbered_task, task);
    struct order *o = t->order;

    o->n_wrong += loop_is_mine(o->loop) && t->number == o->next[t->poster] ? 0 : 1;
    o->next[t->poster]++;
    if (++o->n_run == POSTERS * POSTS) {
        atomic_store(&o->is_done, true);
    }
    mem_free(t);
}

static struct order order;

static void *post_many(void *arg)
{
    for (unsigned i = 0; i < POSTS; i++) {
        struct numbered_task *t = mem_new(struct numbered_task);
        *t = (struct numbered_task){.task.run = run_numbered,
                .order = &order,
                .poster = *(const unsigned *)arg,
                .number = i};
        loop_post(order.loop, &t->task);
    }
    return NULL;
}

static void posts_of_four_threads_arrive_in_the_order_of_each(void)
{
    static const unsigned posters[POSTERS] = {0, 1, 2, 3};
    pthread_t threads[POSTERS];

    order = (struct order){.loop = loop_new("order")};
    loop_start(order.loop);
    CHECK(!loop_is_mine(order.loop));
    for (unsigned i = 0; i < POSTERS; i++) {
        CHECK_EQ(pthread_create(&threads[i], NULL, post_many, (void *)(uintptr_t)&posters[i]), 0);
    }
    for (unsigned i = 0; i < POSTERS; i++) {
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    }
    CHECK_WITHIN(10000, atomic_load(&order.is_done));
    loop_stop(order.loop);
    loop_join(order.loop);
    CHECK(loop_is_mine(order.loop));
    CHECK_EQ(order.n_run, POSTERS * POSTS);
    CHECK_EQ(order.n_wrong, 0);
    loop_free(order.loop);
}

static void tasks_left_behind_run_when_the_loop_is_freed(void)
{
    order = (struct order){.loop = loop_new("late")};
    unsigned poster = 1;

    (void)post_many(&poster);
    CHECK_EQ(order.n_run, 0);
    loop_free(order.loop);
    CHECK_EQ(order.n_run, POSTS);
    CHECK_EQ(order.n_wrong, 0);
}

/* --- Many at once -------------------------------------------------------------------------------- */

struct crowd {
    struct loop *loop;
    unsigned n_run, n_run_at_ring;
};

struct crowd_task {
    struct loop_task task;
    struct crowd *crowd;
};

static void run_one_of_many(struct loop_task *task)
{
    struct crowd *c = container_of(task, struct crowd_task, task)->crowd;

    if (++c->n_run == 3 * LOOP_TASKS_A_TURN) {
        loop_stop(c->loop);
    }
}

static void ring_between(void *ctx)
{
    struct crowd *c = ctx;

    c->n_run_at_ring = c->n_run;
}

static void tasks_posted_together_let_timers_pass(void)
{
    struct crowd c = {.loop = loop_new("crowd")};
    struct crowd_task *tasks = mem_new_n(struct crowd_task, 3 * LOOP_TASKS_A_TURN);
    struct loop_tasks list = STAILQ_HEAD_INITIALIZER(list);
    struct timer timer;

    timer_init(&timer, c.loop, ring_between, &c);
    for (int i = 0; i < 3 * LOOP_TASKS_A_TURN; i++) {
        tasks[i] = (struct crowd_task){.task.run = run_one_of_many, .crowd = &c};
        STAILQ_INSERT_TAIL(&list, &tasks[i].task, entry);
    }
    loop_post_all(c.loop, &list);
    CHECK(STAILQ_EMPTY(&list));
    loop_post_all(c.loop, &list); /* none: nothing to do */
    timer_set(&timer, 0);
    loop_run(c.loop);
    CHECK_EQ(c.n_run, 3 * LOOP_TASKS_A_TURN);
    CHECK(c.n_run_at_ring <= LOOP_TASKS_A_TURN);
    timer_deinit(&timer);
    loop_free(c.loop);
    mem_free(tasks);
}

struct repeating_task {
    struct loop_task task;
    struct loop *loop;
    unsigned n_left;
};

static void run_repeating(struct loop_task *task)
{
    struct repeating_task *t = container_of(task, struct repeating_task, task);

    if (--t->n_left > 0) {
        loop_post(t->loop, task);
    } else {
        loop_stop(t->loop);
    }
}

static void task_may_post_itself_again_and_stop_the_loop(void)
{
    struct repeating_task t = {
            .task.run = run_repeating, .loop = loop_new("again"), .n_left = 1000};

    loop_post(t.loop, &t.task);
    loop_run(t.loop);
    CHECK_EQ(t.n_left, 0);
    loop_free(t.loop);
}

/* --- Timers and signals ----------------------------------------------------------------------- */

struct alarm {
    struct timer timer;
    wtime deadline;
    unsigned n_rung, n_early, n_again;
};

static void ring(void *ctx)
{
    struct alarm *a = ctx;

    a->n_rung++;
    a->n_early += clock_now() < a->deadline ? 1 : 0;
    if (a->n_again > 0) {
        a->n_again--;
        a->deadline = wtime_add(clock_now(), 300);
        timer_set(&a->timer, a->deadline);
    }
}

static void timer_rings_once_and_never_early(void)
{
    struct loop *loop = loop_new("timers");
    struct alarm alarms[8] = {0};

    for (unsigned i = 0; i < COUNT_OF(alarms); i++) {
        timer_init(&alarms[i].timer, loop, ring, &alarms[i]);
        alarms[i].deadline = wtime_add(clock_now(), 700 * (wtime)i);
        timer_set(&alarms[i].timer, alarms[i].deadline);
    }
    for (unsigned i = 0; i < COUNT_OF(alarms); i++) {
        TURN_UNTIL(loop, alarms[i].n_rung == 1);
    }
    turn_once(loop);
    for (unsigned i = 0; i < COUNT_OF(alarms); i++) {
        CHECK_EQ(alarms[i].n_rung, 1);
        CHECK_EQ(alarms[i].n_early, 0);
        timer_deinit(&alarms[i].timer);
    }
    loop_free(loop);
}

static void timer_may_be_set_inside_its_own_function(void)
{
    struct loop *loop = loop_new("timers");
    struct alarm a = {.n_again = 9};

    timer_init(&a.timer, loop, ring, &a);
    timer_set(&a.timer, 1); /* long past */
    TURN_UNTIL(loop, a.n_rung == 10);
    CHECK_EQ(a.n_early, 0);
    timer_deinit(&a.timer);
    loop_free(loop);
}

static void cancelled_or_postponed_timer_does_not_ring(void)
{
    struct loop *loop = loop_new("timers");
    struct alarm cancelled = {0};
    struct alarm never = {0};
    struct alarm postponed = {0};
    struct alarm last = {0};
    struct timer zeroed = {0};

    timer_init(&cancelled.timer, loop, ring, &cancelled);
    timer_init(&never.timer, loop, ring, &never);
    timer_init(&postponed.timer, loop, ring, &postponed);
    timer_init(&last.timer, loop, ring, &last);
    timer_set(&cancelled.timer, clock_now());
    timer_cancel(&cancelled.timer);
    timer_set(&never.timer, clock_now());
    timer_set(&never.timer, WTIME_NEVER);
    timer_set(&postponed.timer, clock_now());
    timer_set(&postponed.timer, wtime_add(clock_now(), WTIME_S(3600)));
    timer_set(&last.timer, wtime_add(clock_now(), WTIME_MS(5)));
    TURN_UNTIL(loop, last.n_rung == 1);
    CHECK_EQ(cancelled.n_rung + never.n_rung + postponed.n_rung, 0);
    timer_deinit(&cancelled.timer);
    timer_deinit(&never.timer);
    timer_deinit(&postponed.timer);
    timer_deinit(&last.timer);
    timer_cancel(&zeroed);
    timer_deinit(&zeroed);
    loop_free(loop);
}

static void note_signal(void *ctx, int number)
{
    *(int *)ctx = number;
}

static void signal_runs_its_function_on_the_loop(void)
{
    struct loop *loop = loop_new("signals");
    int got = 0;

    loop_on_signal(loop, SIGHUP, note_signal, &got);
    CHECK_EQ(raise(SIGHUP), 0);
    CHECK_EQ(got, 0);
    TURN_UNTIL(loop, got == SIGHUP);
    loop_free(loop);
}

/* --- Names ------------------------------------------------------------------------------------ */

struct lookup_end {
    unsigned n;
    struct resolved result;
};

static void note_lookup(void *ctx, const struct resolved *result)
{
    struct lookup_end *e = ctx;

    e->n++;
    e->result = *result;
}

static void names_and_addresses_are_looked_up(void)
{
    struct loop *loop = loop_new("names");
    struct resolver *r = resolver_new();
    struct lookup_end v4 = {0};
    struct lookup_end v6 = {0};
    struct lookup_end name = {0};
    struct lookup_end bad = {0};
    char text[64];

    (void)resolver_start(r, loop, "127.0.0.1", 9190, note_lookup, &v4);
    (void)resolver_start(r, loop, "::1", 9191, note_lookup, &v6);
    (void)resolver_start(r, loop, "localhost", 9192, note_lookup, &name);
    (void)resolver_start(r, loop, "no such name!", 9193, note_lookup, &bad);
    CHECK_EQ(v4.n + v6.n + name.n + bad.n, 0);
    TURN_UNTIL(loop, v4.n + v6.n + name.n + bad.n == 4);
    CHECK_EQ(v4.result.n, 1);
    sockaddr_text(&v4.result.addr[0], text, sizeof(text));
    CHECK_STR(text, "127.0.0.1:9190");
    CHECK_EQ(v6.result.n, 1);
    sockaddr_text(&v6.result.addr[0], text, sizeof(text));
    CHECK_STR(text, "[::1]:9191");
    CHECK(name.result.n > 0);
    CHECK_EQ(bad.result.n, 0);
    CHECK(bad.result.error != NULL);
    resolver_free(r);
    loop_free(loop);
}

static void cancelled_lookup_does_not_call_back(void)
{
    struct loop *loop = loop_new("names");
    struct resolver *r = resolver_new();
    struct lookup_end cancelled = {0};
    struct lookup_end kept = {0};

    lookup_cancel(resolver_start(r, loop, "localhost", 1, note_lookup, &cancelled));
    (void)resolver_start(r, loop, "localhost", 2, note_lookup, &kept);
    TURN_UNTIL(loop, kept.n == 1);
    CHECK_EQ(cancelled.n, 0);
    (void)resolver_start(r, loop, "localhost", 3, note_lookup, &kept);
    resolver_free(r);
    loop_free(loop);
    CHECK_EQ(kept.n, 2); /* answered or refused, but ended */
}

static void mapped_address_is_shown_as_ipv4(void)
{
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(7)};
    struct sockaddr_storage addr = {0};
    char text[64];

    CHECK_EQ(inet_pton(AF_INET6, "::ffff:10.1.2.3", &in6.sin6_addr), 1);
    memcpy(&addr, &in6, sizeof(in6));
    sockaddr_text(&addr, text, sizeof(text));
    CHECK_STR(text, "10.1.2.3:7");
}

/* --- Listening -------------------------------------------------------------------------------- */

struct door {
    struct listener *listener;
    unsigned n;
    char peer[64];
    bool is_once; /* frees the listener inside on_accept */
};

static void note_accept(void *ctx, int fd, const struct sockaddr_storage *peer)
{
    struct door *d = ctx;

    d->n++;
    sockaddr_text(peer, d->peer, sizeof(d->peer));
    (void)close(fd);
    if (d->is_once) {
        d->listener = listener_free(d->listener);
    }
}

static int dial(uint16_t port)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    CHECK(fd >= 0);
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK_EQ(connect(fd, (const struct sockaddr *)&in, sizeof(in)), 0);
    return fd;
}

static void listener_accepts_on_every_address_of_its_name(void)
{
    struct loop *loop = loop_new("listen");
    struct door d = {0};

    CHECK_EQ(listener_new(loop, "localhost", 0, note_accept, &d, &d.listener), 0);
    CHECK(listener_port(d.listener) != 0);
    int a = dial(listener_port(d.listener));
    int b = dial(listener_port(d.listener));
    TURN_UNTIL(loop, d.n == 2);
    CHECK_EQ(strncmp(d.peer, "127.0.0.1:", 10), 0);
    (void)close(a);
    (void)close(b);
    listener_free(d.listener);
    CHECK_EQ(listener_new(loop, "", 0, note_accept, &d, &d.listener), 0);
    a = dial(listener_port(d.listener));
    TURN_UNTIL(loop, d.n == 3);
    CHECK_EQ(strncmp(d.peer, "127.0.0.1:", 10), 0);
    (void)close(a);
    listener_free(d.listener);
    loop_free(loop);
}

static void listener_refuses_a_port_in_use(void)
{
    struct loop *loop = loop_new("listen");
    struct door d = {0};
    struct listener *second = NULL;

    CHECK_EQ(listener_new(loop, "127.0.0.1", 0, note_accept, &d, &d.listener), 0);
    uint16_t port = listener_port(d.listener);
    CHECK_EQ(listener_new(loop, "127.0.0.1", port, note_accept, &d, &second), -EADDRINUSE);
    CHECK(second == NULL);
    CHECK_EQ(listener_new(loop, "no such name!", 0, note_accept, &d, &second), -EADDRNOTAVAIL);
    listener_free(d.listener);
    loop_free(loop);
}

static void listener_may_be_freed_inside_on_accept(void)
{
    struct loop *loop = loop_new("listen");
    struct door d = {.is_once = true};

    CHECK_EQ(listener_new(loop, "127.0.0.1", 0, note_accept, &d, &d.listener), 0);
    int a = dial(listener_port(d.listener));
    TURN_UNTIL(loop, d.listener == NULL);
    CHECK_EQ(d.n, 1);
    (void)close(a);
    loop_free(loop);
}

static void listener_waits_out_a_lack_of_descriptors(void)
{
    struct loop *loop = loop_new("listen");
    struct door d = {0};
    struct rlimit before;
    struct rlimit none;

    CHECK_EQ(listener_new(loop, "127.0.0.1", 0, note_accept, &d, &d.listener), 0);
    int a = dial(listener_port(d.listener));
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 3; /* every number below it is in use */
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
    for (unsigned i = 0; i < 3; i++) {
        turn_once(loop);
    }
    unsigned n_without = d.n;
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
    CHECK_EQ(n_without, 0);
    TURN_UNTIL(loop, d.n == 1);
    (void)close(a);
    listener_free(d.listener);
    loop_free(loop);
}

static const struct check_case cases[] = {
        CASE(posts_of_four_threads_arrive_in_the_order_of_each),
        CASE(tasks_left_behind_run_when_the_loop_is_freed),
        CASE(task_may_post_itself_again_and_stop_the_loop),
        CASE(tasks_posted_together_let_timers_pass),
        CASE(timer_rings_once_and_never_early),
        CASE(timer_may_be_set_inside_its_own_function),
        CASE(cancelled_or_postponed_timer_does_not_ring),
        CASE(signal_runs_its_function_on_the_loop),
        CASE(names_and_addresses_are_looked_up),
        CASE(cancelled_lookup_does_not_call_back),
        CASE(mapped_address_is_shown_as_ipv4),
        CASE(listener_accepts_on_every_address_of_its_name),
        CASE(listener_refuses_a_port_in_use),
        CASE(listener_may_be_freed_inside_on_accept),
        CASE(listener_waits_out_a_lack_of_descriptors),
};
CHECK_MAIN("loop", cases)
