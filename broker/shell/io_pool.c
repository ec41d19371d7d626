/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/io_pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>

#include "common/base/mem.h"
#include "common/base/must.h"

struct io_pool {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    STAILQ_HEAD(, io_job) queue;
    bool is_ending;
    pthread_t *threads;
    size_t n_threads;
};

static void *serve(void *arg)
{
    struct io_pool *p = arg;

    (void)pthread_setname_np(pthread_self(), "io");
    (void)pthread_mutex_lock(&p->lock);
    for (;;) {
        struct io_job *job = STAILQ_FIRST(&p->queue);

        if (job != NULL) {
            STAILQ_REMOVE_HEAD(&p->queue, entry);
            (void)pthread_mutex_unlock(&p->lock);
            job->run(job);
            (void)pthread_mutex_lock(&p->lock);
        } else if (p->is_ending) {
            break;
        } else {
            (void)pthread_cond_wait(&p->wake, &p->lock);
        }
    }
    (void)pthread_mutex_unlock(&p->lock);
    return NULL;
}

struct io_pool *io_pool_new(size_t n_threads)
{
    struct io_pool *p = mem_new(struct io_pool);
    sigset_t all, old;

    must(n_threads > 0);
    STAILQ_INIT(&p->queue);
    (void)pthread_mutex_init(&p->lock, NULL);
    (void)pthread_cond_init(&p->wake, NULL);
    p->threads = mem_new_n(pthread_t, n_threads);
    p->n_threads = n_threads;
    /* The process's signals belong to the control loop. */
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    for (size_t i = 0; i < n_threads; i++) {
        must(pthread_create(&p->threads[i], NULL, serve, p) == 0);
    }
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    return p;
}

struct io_pool *io_pool_free(struct io_pool *p)
{
    if (p == NULL) {
        return NULL;
    }
    (void)pthread_mutex_lock(&p->lock);
    p->is_ending = true;
    (void)pthread_cond_broadcast(&p->wake);
    (void)pthread_mutex_unlock(&p->lock);
    for (size_t i = 0; i < p->n_threads; i++) {
        (void)pthread_join(p->threads[i], NULL);
    }
    must(STAILQ_EMPTY(&p->queue));
    (void)mem_free(p->threads);
    (void)pthread_cond_destroy(&p->wake);
    (void)pthread_mutex_destroy(&p->lock);
    return mem_free(p);
}

void io_pool_submit(struct io_pool *p, struct io_job *job)
{
    (void)pthread_mutex_lock(&p->lock);
    STAILQ_INSERT_TAIL(&p->queue, job, entry);
    (void)pthread_cond_signal(&p->wake);
    (void)pthread_mutex_unlock(&p->lock);
}
