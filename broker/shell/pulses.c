/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/pulses.h"

#include "common/base/mem.h"
#include "common/base/must.h"

void pulses_init(struct pulses *p)
{
    *p = (struct pulses){0};
    must(pthread_mutex_init(&p->lock, NULL) == 0);
}

void pulses_deinit(struct pulses *p)
{
    array_deinit(&p->sessions);
    (void)pthread_mutex_destroy(&p->lock);
}

/* Or NULL. Under the lock. */
static struct replica_session *find(struct pulses *p, uint32_t loop, uint64_t request)
{
    ARRAY_FOREACH (s, &p->sessions) {
        if (s->loop == loop && s->request == request) {
            return s;
        }
    }
    return NULL;
}

void pulses_beat(struct pulses *p, const struct replica_session *s)
{
    (void)pthread_mutex_lock(&p->lock);
    struct replica_session *kept = find(p, s->loop, s->request);

    if (kept == NULL) {
        kept = array_push(&p->sessions);
    }
    *kept = *s;
    (void)pthread_mutex_unlock(&p->lock);
}

void pulses_stop(struct pulses *p, uint32_t loop, uint64_t request)
{
    (void)pthread_mutex_lock(&p->lock);
    struct replica_session *kept = find(p, loop, request);

    if (kept != NULL) {
        array_remove(&p->sessions, (size_t)(kept - p->sessions.items));
    }
    (void)pthread_mutex_unlock(&p->lock);
}

struct replica_session *pulses_copy(struct pulses *p, size_t *ret_n)
{
    (void)pthread_mutex_lock(&p->lock);
    struct replica_session *copy = mem_new_n(struct replica_session, p->sessions.n + 1);

    for (size_t i = 0; i < p->sessions.n; i++) {
        copy[i] = p->sessions.items[i];
    }
    *ret_n = p->sessions.n;
    (void)pthread_mutex_unlock(&p->lock);
    return copy;
}
