/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/uuid.h"
#include "common/base/wtime.h"
#include "common/domain/ids.h"

#include <stdbool.h>
#include <stddef.h>

/* The decision journal: every committed batch of the metadata log, in order, in the internal topic
 * TOPIC_DECISIONS, where it outlives the trimming of the log. The active controller writes it;
 * every controller reads it. The rules are in docs/design/80-decisions.md. Nothing ever waits for
 * it. Thread: control.
 *
 *  off ──start──► dialling ──greeted──► reading its end ──► writing ──┐ one produce at a time
 *   ▲                ▲                                         ▲──────┘
 *   └──stop          └── half a second ◄── anything failed ────┘ */
struct journal;
struct loop;
struct meta_log;
struct resolver;
struct zk;

struct journal_options {
    struct loop *loop;
    struct resolver *resolver;
    struct zk *zk;
    const struct meta_log *log;
    const char *listener; /* of the brokers, the one that controllers dial; borrowed */
    int32_t controller_id;
};

struct journal *journal_new(const struct journal_options *options);
/* Scans under way end without an answer. */
struct journal *journal_free(struct journal *j);

/* This controller is active: the journal goes on behind what is in it. */
void journal_start(struct journal *j, const struct uuid *cluster_id);
/* It is not active any more: nothing is written from here on, the connection is closed. */
void journal_stop(struct journal *j);
/* The batch `index` is committed and in the ring. */
void journal_on_committed(struct journal *j, uint64_t index);
/* The oldest index that the journal still needs from the log while this controller writes;
 * trimming may spare it. 0 = none. */
uint64_t journal_needs_from(const struct journal *j);
/* The committed image moved: who decides in this epoch. Every controller. */
void journal_on_applied(struct journal *j);

/* --- Reading ----------------------------------------------------------------------------------- */

/* What is looked for, newest first. */
struct journal_query {
    const char *topic;  /* NULL = any; borrowed until the scan ends */
    int32_t partition;  /* -1 = any */
    broker_id broker;   /* decisions about that broker itself; BROKER_NONE = any */
    int cause;          /* enum meta_cause; 0 = any */
    uint64_t since_seq; /* this seq and newer */
    wall_ms since;      /* this time and newer; 0 = any */
    uint64_t only_seq;  /* this one alone; 0 = not so */
    size_t n_max;

    /* Where the former page ended; index 0 = from the newest. */
    struct journal_place {
        uint64_t index; /* of the batch to go on in */
        uint64_t seq;   /* only smaller ones there */
        offset64
                offset; /* in the topic, nothing that is still wanted is at or behind it; -1 = not known */
    } from;
};

struct decision;

struct journal_page {
    const struct decision *items;
    size_t n;
    bool has_more;
    struct journal_place next;
    const char *trouble; /* the topic was needed and could not be read: a sentence; NULL = none */
};

/* [DEC-8] At most 8 MiB of the topic are read and at most two seconds are spent for one page,
 * which then ends early. `fn` runs once, never inside this call. */
struct journal_scan *journal_scan_start(struct journal *j,
        const struct uuid *cluster_id,
        const struct journal_query *query,
        void (*fn)(void *ctx, const struct journal_page *page),
        void *ctx);
/* Before `fn` ran, which then does not. */
void journal_scan_cancel(struct journal_scan *s);
