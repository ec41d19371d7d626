/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/wtime.h"

#include <stdbool.h>
#include <sys/queue.h>

struct event_base;

/* One libevent loop = one thread. Everything that belongs to a loop is touched by its thread only;
 * others reach it with loop_post(). */
struct loop;

/* `name` shows up as the thread's name (15 bytes) and in logs; copied. */
struct loop *loop_new(const char *name);
/* After loop_run() has returned. Tasks that were posted and not run are run first. */
struct loop *loop_free(struct loop *loop);
/* Runs until loop_stop(). The calling thread becomes the owner. */
void loop_run(struct loop *loop);
/* Starts a thread that runs the loop; join with loop_join(). The thread takes none of the process's
 * signals. */
void loop_start(struct loop *loop);
void loop_join(struct loop *loop);
/* The turn under way is finished first. Thread: any, also a callback of the loop. */
void loop_stop(struct loop *loop);

/* Monotonic time now. Read afresh at each call (25 ns), so that a long turn does not make deadlines
 * come late. Thread: owner. */
wtime loop_now(const struct loop *loop);
/* For evhttp and the ZooKeeper client. Thread: owner. */
struct event_base *loop_base(struct loop *loop);
/* Asserted by everything that needs the owner. Also true while the loop does not run: whoever
 * created it may then build or dismantle what lives on it. Thread: any. */
bool loop_is_mine(const struct loop *loop);

/* Monotonic clock and wall clock; for code that has no loop. Thread: any. */
wtime clock_now(void);
wall_ms clock_wall(void);

/* A task runs once on the loop's thread, in the order of posting (mailbox: queue + eventfd, one
 * wake-up a burst). It is intrusive: it belongs to whoever posted it and may be freed or posted
 * again from inside run(). Posting a task that is already queued is forbidden. Thread: any →
 * owner. */
struct loop_task {
    STAILQ_ENTRY(loop_task) entry;
    void (*run)(struct loop_task *task);
};

void loop_post(struct loop *loop, struct loop_task *task);

/* Many tasks at once, with one lock and one wake-up; empties the list. A loop runs at most
 * LOOP_TASKS_A_TURN of what is posted before it looks at its sockets and timers again. */
enum {
    LOOP_TASKS_A_TURN = 256
};

STAILQ_HEAD(loop_tasks, loop_task);
void loop_post_all(struct loop *loop, struct loop_tasks *tasks);

/* One-shot deadline timer on a loop. Never early; up to 5 ms late on an idle loop (the kernel's
 * coarse clock and epoll's milliseconds). fn may set, cancel or deinit its own timer. Thread:
 * owner. */
struct timer {
    wtime deadline;
    void *event;
    struct loop *loop;
    void (*fn)(void *ctx);
    void *ctx;
};

void timer_init(struct timer *t, struct loop *loop, void (*fn)(void *ctx), void *ctx);
void timer_set(struct timer *t, wtime deadline); /* replaces the former; WTIME_NEVER cancels */
void timer_cancel(struct timer *t);
void timer_deinit(struct timer *t); /* takes a zeroed one */

/* SIGTERM, SIGINT, SIGHUP … to a function on the loop. Also ignores SIGPIPE for the process. At
 * most 4 a loop. */
void loop_on_signal(struct loop *loop, int signal, void (*fn)(void *ctx, int signal), void *ctx);
