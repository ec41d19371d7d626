/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <sys/queue.h>

/* A few threads for what may block on a disk (fsync, deletes, look-ups by time, checkpoints) or takes a core for long. */
struct io_pool;

/* Belongs to whoever submits it and may be freed or submitted again from inside run(). Submitting a job that is queued
 * is forbidden. A job that has a result for a loop posts it there itself. Thread: any → pool. */
struct io_job {
    STAILQ_ENTRY(io_job) entry;
    void (*run)(struct io_job *job); /* Thread: pool */
};

struct io_pool *io_pool_new(size_t n_threads);
/* Runs what is queued, then ends the threads. Nobody may submit any more. */
struct io_pool *io_pool_free(struct io_pool *p);
/* Jobs start in the order of submission. Thread: any. */
void io_pool_submit(struct io_pool *p, struct io_job *job);
