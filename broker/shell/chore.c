/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/chore.h"

#include "common/base/mem.h"
#include "common/base/must.h"

static enum chore_state move(struct chore *c, enum chore_state from, enum chore_state to)
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

static void run(struct io_job *job)
{
    struct chore *c = container_of(job, struct chore, job);

    must(move(c, CHORE_QUEUED, CHORE_RUNNING) == CHORE_QUEUED);
    atomic_store(&c->is_unserved, false);
    c->work(c->ctx);
    if (move(c, CHORE_RUNNING, CHORE_IDLE) != CHORE_RUNNING) {
        must(move(c, CHORE_AGAIN, CHORE_QUEUED) == CHORE_AGAIN);
        io_pool_submit(*c->pool, &c->job);
    }
}

void chore_init(struct chore *c, struct io_pool *const *pool, void (*work)(void *ctx), void *ctx)
{
    *c = (struct chore){.job.run = run, .pool = pool, .work = work, .ctx = ctx};
    (void)pthread_mutex_init(&c->lock, NULL);
}

void chore_deinit(struct chore *c)
{
    (void)pthread_mutex_destroy(&c->lock);
}

void chore_ask(struct chore *c)
{
    enum chore_state was;

    if (*c->pool == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&c->lock);
    was = c->state;
    c->state = was == CHORE_IDLE ? CHORE_QUEUED : was == CHORE_RUNNING ? CHORE_AGAIN : was;
    (void)pthread_mutex_unlock(&c->lock);
    if (was == CHORE_IDLE) {
        io_pool_submit(*c->pool, &c->job);
    }
}

void chore_ask_if_unserved(struct chore *c)
{
    if (atomic_load(&c->is_unserved)) {
        chore_ask(c);
    }
}
