/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "broker/shell/io_pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

/* A kind of background work: runs on a pool, never twice at once; asked for while it runs, it runs once more. It waits
 * for nobody: the pool has few threads.
 *
 *   IDLE ──ask──▶ QUEUED ──▶ RUNNING ──▶ IDLE
 *                   ▲           │ask
 *                   └── AGAIN ◀─┘
 *
 * Thread: any, where nothing is said. */

enum chore_state {
    CHORE_IDLE,
    CHORE_QUEUED,
    CHORE_RUNNING,
    CHORE_AGAIN
};

struct chore {
    struct io_job job;
    struct io_pool *const *pool;
    void (*work)(void *ctx);
    void *ctx;
    pthread_mutex_t lock;
    enum chore_state state; /* under `lock` */
    atomic_bool
            is_unserved; /* met a lack of descriptors: to be asked for again by who has a timer */
};

/* `*pool` NULL = it has ended: what is asked for then is not done, the next start does it. Thread:
 * control, as deinit, which comes after the pool has ended. */
void chore_init(struct chore *c, struct io_pool *const *pool, void (*work)(void *ctx), void *ctx);
void chore_deinit(struct chore *c);
void chore_ask(struct chore *c);
/* Asks again for what met a lack of descriptors. */
void chore_ask_if_unserved(struct chore *c);
