/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/cold_reads.h"

#include "broker/shell/broker.h"
#include "broker/shell/errcode_map.h"
#include "common/base/array.h"
#include "common/base/mem.h"
#include "common/base/must.h"
#include "common/conf/conf.h"
#include "common/obs/metrics.h"

/* No padding: hashed as memory. */
struct cold_key {
    struct partition *partition;
    offset64 offset;
};

struct cold_read {
    struct io_job job;
    struct cold_reads *c;
    struct cold_key key;
    UT_hash_handle hh;
    struct partition *p; /* a reference */
    struct partition_cold cold;
    ARRAY(struct replica_ask) waiters; /* under the lock */
};

struct cold_reads {
    struct broker *b;
    struct io_pool **pools; /* one a folder: b->dirs.n */
    atomic_bool is_ending;
    pthread_mutex_t lock;
    struct cold_read *reads; /* under `lock`: those that may still get waiters */
    size_t n;                /* under `lock` */
};

/* Takes it out of the table: who asks from now on needs a new one. */
static void close_read(struct cold_read *r)
{
    struct cold_reads *c = r->c;

    (void)pthread_mutex_lock(&c->lock);
    HASH_DEL(c->reads, r);
    c->n--;
    (void)pthread_mutex_unlock(&c->lock);
}

static void run(struct io_job *job)
{
    struct cold_read *r = container_of(job, struct cold_read, job);
    struct cold_reads *c = r->c;
    int outcome = 0;

    if (!atomic_load(&c->is_ending)) {
        outcome = partition_warm(r->p, &r->cold);
        metric_add(METRIC_BROKER_COLD_READS, 1);
    }
    close_read(r);
    struct partition_wake *wakes = mem_new_n(struct partition_wake, r->waiters.n + 1);
    for (size_t i = 0; i < r->waiters.n; i++) {
        wakes[i] = (struct partition_wake){.ask = r->waiters.items[i],
                .is_warm = true,
                .error = outcome > 0 ? errcode_of_plog(outcome).error : ERRCODE_NONE,
                .detail = ""};
    }
    data_loops_wake(&c->b->data, wakes, r->waiters.n);
    (void)mem_free(wakes);
    array_deinit(&r->waiters);
    partition_unref(r->p);
    (void)mem_free(r);
}

static struct io_pool *pool_of(const struct cold_reads *c, const struct partition *p)
{
    for (size_t d = 0; d < c->b->dirs.n; d++) {
        if (c->b->dirs.items[d] == p->dir) {
            return c->pools[d];
        }
    }
    must_not_reach("a partition without a folder");
}

bool cold_reads_ask(struct cold_reads *c,
        struct partition *p,
        const struct partition_cold *cold,
        const struct replica_ask *waiter)
{
    struct cold_key key = {.partition = p, .offset = cold->offset};
    struct cold_read *r = NULL;
    bool is_new = false;

    (void)pthread_mutex_lock(&c->lock);
    HASH_FIND(hh, c->reads, &key, sizeof(key), r);
    if (r == NULL && c->n < COLD_READS_MAX) { /* [LOG-85] */
        r = mem_new(struct cold_read);
        r->job.run = run;
        r->c = c;
        r->key = key;
        r->p = partition_ref(p);
        r->cold = *cold;
        HASH_ADD(hh, c->reads, key, sizeof(r->key), r);
        c->n++;
        is_new = true;
    }
    if (r != NULL) {
        *array_push(&r->waiters) = *waiter;
    }
    (void)pthread_mutex_unlock(&c->lock);
    if (is_new) {
        io_pool_submit(pool_of(c, p), &r->job);
    }
    return r != NULL;
}

struct cold_reads *cold_reads_new(struct broker *b)
{
    struct cold_reads *c = mem_new(struct cold_reads);

    c->b = b;
    (void)pthread_mutex_init(&c->lock, NULL);
    c->pools = mem_new_n(struct io_pool *, b->dirs.n);
    for (size_t d = 0; d < b->dirs.n; d++) {
        c->pools[d] = io_pool_new((size_t)conf_i64(b->conf, "num.io.threads"));
    }
    return c;
}

struct cold_reads *cold_reads_free(struct cold_reads *c)
{
    if (c == NULL) {
        return NULL;
    }
    atomic_store(&c->is_ending, true);
    for (size_t d = 0; d < c->b->dirs.n; d++) {
        c->pools[d] = io_pool_free(c->pools[d]);
    }
    must(c->reads == NULL);
    (void)pthread_mutex_destroy(&c->lock);
    (void)mem_free(c->pools);
    return mem_free(c);
}
