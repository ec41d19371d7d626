/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "broker/core/replica.h"
#include "common/base/array.h"

#include <pthread.h>

/* When each session of a replica was heard last [REP-56]: one time a session, however many partitions it holds. The feeds
 * write it; partitions read it when a leader needs a proof that it is followed. Its lock is taken under a partition's. */
struct pulses {
    pthread_mutex_t lock;
    ARRAY(struct replica_session) sessions; /* by (loop, request); few: connections of brokers */
};

void pulses_init(struct pulses *p);
void pulses_deinit(struct pulses *p);
/* A request of the session came at `s->heard_at` and was taken in. Thread: data. */
void pulses_beat(struct pulses *p, const struct replica_session *s);
/* The session ends. Thread: data. */
void pulses_stop(struct pulses *p, uint32_t loop, uint64_t request);
/* A copy of all; mem_free. Thread: any. */
struct replica_session *pulses_copy(struct pulses *p, size_t *ret_n);
