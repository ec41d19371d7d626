/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/array.h"
#include "common/base/map.h"
#include "common/base/wtime.h"
#include "common/domain/partition.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

/* What two brokers remember of a stream of replica fetches, so that a request names only what moved and an answer only
 * what has something to say (KIP-227's idea). Pure: no clock, no payload.
 *
 *   follower: fetch_pull                                        leader: fetch_feed
 *     due ──fetch_pull_next()──► request {epoch, named, forgotten} ──► fetch_feed_begin(), _name(), _forget()
 *      ▲                                                                │ dirty: named now, or woken since
 *      └─ due(), later(), progress ◄── answer {what has something} ◄────┴─ fetch_feed_next(), then _told() or _idle()
 *
 * A session is its connection's: it ends with it. Rules are numbered [FET-n] in docs/design/15-fetching.md. Owner: the loop
 * of the connection. */

/* --- The follower's end --------------------------------------------------------------------------------------------- */

enum fetch_pull_state {
    FETCH_PULL_IDLE, /* the leader knows where it stands */
    FETCH_PULL_DUE,  /* to be named in the next request */
    FETCH_PULL_LATER /* after a pause */
};

struct fetch_pull_item {
    struct partition_key key;
    UT_hash_handle hh;
    TAILQ_ENTRY(fetch_pull_item) entry; /* in `due` or `paused` */
    enum fetch_pull_state state;
    bool is_known; /* to the leader's end */
    wtime again_at;
    void *ctx; /* the caller's */
};

TAILQ_HEAD(fetch_pull_items, fetch_pull_item);

struct fetch_pull {
    struct fetch_pull_item *items; /* by key */
    struct fetch_pull_items due, paused; /* paused: by again_at */
    ARRAY(struct partition_key) forgotten;
    uint32_t epoch;    /* of the last request; 0 = none yet */
    uint32_t n_asking; /* requests without answer */
    ARRAY(struct fetch_pull_item *) named; /* of the request under construction */
    ARRAY(struct partition_key) named_forgotten;
};

enum {
    FETCH_PULL_ASKING_MAX = 2, /* [FET-3] one that may be parked, and one that ends its wait */
    FETCH_NAMED_MAX = 8000,    /* [FET-4] of a request: it stays well below 1 MiB */
};

struct fetch_pull_request {
    uint32_t epoch;
    struct fetch_pull_item *const *named; /* borrowed until the next call */
    size_t n_named;
    const struct partition_key *forgotten;
    size_t n_forgotten;
};

void fetch_pull_init(struct fetch_pull *f);
/* Forgets everything; the callers' `ctx` are theirs to give back before. */
void fetch_pull_deinit(struct fetch_pull *f);
struct fetch_pull_item *fetch_pull_find(const struct fetch_pull *f, const struct partition_key *key);
/* Follows it from now on: due. The key is not there yet. */
struct fetch_pull_item *fetch_pull_add(
        struct fetch_pull *f, const struct partition_key *key, void *ctx);
/* Follows it no more; frees the item. */
void fetch_pull_remove(struct fetch_pull *f, struct fetch_pull_item *item);
/* It has something to tell: where it stands now. */
void fetch_pull_due(struct fetch_pull *f, struct fetch_pull_item *item);
/* It is due again at `at`. */
void fetch_pull_later(struct fetch_pull *f, struct fetch_pull_item *item, wtime at);
/* Pauses that are over by now end. */
void fetch_pull_wake(struct fetch_pull *f, wtime now);
/* All pauses are over. */
void fetch_pull_hurry(struct fetch_pull *f);
/* [FET-2] A session begins: a new connection, or the leader does not know this one. */
void fetch_pull_restart(struct fetch_pull *f);
/* Whether a request is to be sent at `now`; then it counts as sent. */
bool fetch_pull_next(struct fetch_pull *f, wtime now, struct fetch_pull_request *ret);
void fetch_pull_answered(struct fetch_pull *f);
/* When fetch_pull_next() has something although nothing else happens; WTIME_NEVER = not. */
wtime fetch_pull_deadline(const struct fetch_pull *f);

/* --- The leader's end ----------------------------------------------------------------------------------------------- */

/* What a partition was asked with, as it stands in the request. */
struct fetch_asked {
    epoch32 leader_epoch, last_epoch;
    offset64 offset, log_start, flushed;
    uint32_t max_bytes;
};

struct fetch_feed_item {
    struct partition_key key;
    UT_hash_handle hh;
    TAILQ_ENTRY(fetch_feed_item) entry; /* in `dirty` */
    uint32_t slot;                      /* its number in the session, while it is there */
    bool is_dirty;
    bool is_new;     /* what it was asked with was not told to the replica yet */
    bool is_waiting; /* the caller left an interest at the partition */
    struct fetch_asked asked;
    offset64 told_hw, told_start; /* OFFSET_NONE = nothing was */
    void *ctx;                    /* the caller's */
};

TAILQ_HEAD(fetch_feed_items, fetch_feed_item);

struct fetch_feed {
    struct fetch_feed_item *items;          /* by key */
    ARRAY(struct fetch_feed_item *) slots;  /* NULL = free */
    ARRAY(uint32_t) free_slots;
    struct fetch_feed_items dirty; /* who waits longest first */
    uint32_t epoch;                /* of the last request; 0 = none yet */
};

void fetch_feed_init(struct fetch_feed *f);
void fetch_feed_deinit(struct fetch_feed *f); /* as fetch_pull_deinit() */
/* A request of that epoch. False: INVALID_FETCH_SESSION_EPOCH, and nothing changed. *ret_is_first: the caller removes all
 * items that are there. */
bool fetch_feed_begin(struct fetch_feed *f, uint32_t epoch, bool *ret_is_first);
struct fetch_feed_item *fetch_feed_find(const struct fetch_feed *f, const struct partition_key *key);
/* NULL: no such slot any more. */
struct fetch_feed_item *fetch_feed_at(const struct fetch_feed *f, uint32_t slot);
/* The request names it: dirty, behind those that are. Adds it when it is not there (`ctx` NULL then). */
struct fetch_feed_item *fetch_feed_name(
        struct fetch_feed *f, const struct partition_key *key, const struct fetch_asked *asked);
void fetch_feed_remove(struct fetch_feed *f, struct fetch_feed_item *item); /* frees it */
/* Something happened there. */
void fetch_feed_dirty(struct fetch_feed *f, struct fetch_feed_item *item);
/* It was looked at and is not dirty any more: it has nothing to say, or says it in this answer. One for which an answer had
 * no room stays dirty, in its place. */
void fetch_feed_clean(struct fetch_feed *f, struct fetch_feed_item *item);
/* Whether the follower knows less than these. */
bool fetch_feed_has_news(const struct fetch_feed_item *item, offset64 hw, offset64 log_start);
void fetch_feed_told(struct fetch_feed_item *item, offset64 hw, offset64 log_start);
