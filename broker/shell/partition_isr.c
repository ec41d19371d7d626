/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/partition_impl.h"

/* The way between a partition's core and the controller, and the clock of its ISR. */

void partition_env_want(struct partition_env *env, wtime deadline)
{
    wtime next = atomic_load(&env->next_deadline);

    while (deadline < next && !atomic_compare_exchange_weak(&env->next_deadline, &next, deadline)) {
    }
}

void partition_note_core(struct partition *p)
{
    wtime deadline = replica_deadline(&p->core);

    if (deadline != atomic_load(&p->deadline)) {
        atomic_store(&p->deadline, deadline);
        partition_env_want(p->env, deadline);
    }
    atomic_store(&p->is_filling, p->core.role == REPLICA_FOLLOWER &&
                                         partition_is_filling(&p->core.record, p->core.self));
    atomic_store(&p->high_watermark, p->core.high_watermark);
    if (p->log != NULL) {
        atomic_store(&p->log_start, plog_start(p->log));
    }
}

/* Wakes whoever drains, unless somebody is on the way. */
static void post_drain(struct partition *p, struct loop *loop)
{
    bool must_post;

    (void)pthread_mutex_lock(&p->inbox_lock);
    must_post = !p->is_posted;
    p->is_posted = true;
    (void)pthread_mutex_unlock(&p->inbox_lock);
    if (must_post) {
        (void)partition_ref(p); /* the task's */
        loop_post(loop, &p->drain_task);
    }
}

void partition_answered(
        struct partition *p, const struct partition_answer *answer, struct loop *loop)
{
    (void)pthread_mutex_lock(&p->inbox_lock);
    p->has_answer = true;
    p->answer = *answer;
    (void)pthread_mutex_unlock(&p->inbox_lock);
    post_drain(p, loop);
}

void partition_tick(struct partition *p, struct loop *loop)
{
    atomic_store(&p->deadline, WTIME_NEVER); /* until the core says when it is the next time */
    post_drain(p, loop);
}

void partition_take_answer(struct hold *h, const struct partition_answer *a)
{
    partition_step(h,
            &(struct replica_event){.kind = REPLICA_EV_PROPOSED,
                    .proposed = {.leader_epoch = a->leader_epoch,
                            .partition_epoch = a->partition_epoch,
                            .error = a->error,
                            .record = a->has_record ? &a->record : NULL}},
            NULL, NULL);
}

void partition_tick_locked(struct hold *h)
{
    if (wtime_due(replica_deadline(&h->p->core), clock_now())) {
        partition_step(h, &(struct replica_event){.kind = REPLICA_EV_TICK}, NULL, NULL);
    }
}
