/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/wtime.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How hard the compacting threads may work, and their waiting: for their share of the disk, for their next look, for the
 * broker's stop. The limits may change while they wait. Thread: any. */
struct clean_limits {
    size_t n_threads;
    int64_t map_size; /* of all threads together */
    uint32_t map_load_ppm;
    int64_t rate; /* bytes a second, of all together; > 0 */
    wtime backoff;
};

struct clean_pace {
    pthread_mutex_t lock; /* of all below */
    pthread_cond_t changed;
    struct clean_limits limits;
    uint64_t n_changes;
    bool is_stopped;
    wtime next; /* the disk's share is used up until then */
};

/* Limits are to be set before anything else is asked. */
void clean_pace_init(struct clean_pace *p);
void clean_pace_deinit(struct clean_pace *p);

/* In force at once: whoever waits looks again. */
void clean_pace_set(struct clean_pace *p, const struct clean_limits *limits);
void clean_pace_stop(struct clean_pace *p);

struct clean_limits clean_pace_limits(struct clean_pace *p);
bool clean_pace_is_stopped(struct clean_pace *p);
/* Whether the thread of that index is to go on. If not, *ret_ended becomes true in the same step: whoever sets other limits
 * afterwards sees that there is no such thread any more. */
bool clean_pace_wants(struct clean_pace *p, size_t index, atomic_bool *ret_ended);
/* Until then, until the limits change, or until it is stopped; false: it is. */
bool clean_pace_rest(struct clean_pace *p, wtime until);
/* Books `bytes` of the disk's time; when that is so long ahead, waits for it. False: it is stopped. */
bool clean_pace_book(struct clean_pace *p, int64_t bytes);
