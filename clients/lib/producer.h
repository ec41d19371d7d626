/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "clients/lib/pbatch.h"

/* Where weir_produce_sync() waits. Under the lock. */
struct sync_wait {
    bool is_done;
    struct weir_report report;
    char text[WEIR_TEXT_SIZE]; /* what a broker said; "" = nothing */
};

/* A record that waits for its topic's first metadata: a copy, except for a borrowed value. */
struct staged {
    STAILQ_ENTRY(staged) entry;
    struct weir_record record; /* points behind this struct */
    wall_ms timestamp;
    wtime deadline;
    struct sync_wait *wait;
    size_t charged;
};

/* Adds a record to the batch of its partition, which exists. Under the lock. */
void produce_to(struct weir_topic *t,
        int32_t partition,
        const struct weir_record *r,
        wall_ms timestamp,
        struct sync_wait *wait,
        size_t charged);
/* The partition that a record goes to, or -1 when the topic has no such. The topic is known. Under
 * the lock. */
int32_t produce_choose(struct weir_topic *t, const struct weir_record *r);
