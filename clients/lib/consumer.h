/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "clients/lib/client.h"

#include <stdatomic.h>

#include <weir/consumer.h>

/* A consumer: the plan of what to fetch, and what came, still encoded.
 *
 *   fetcher.c (internal thread): answers ──fetched, in order of arrival──► items
 *   consumer.c (application):    items ──one stored batch at a time──► decode.c ──► weir_batch
 *
 * Everything here is under the client's lock, except the bytes: a frame is shared by the partitions
 * that came in it and by the messages that point into it, and counted atomically. */

TAILQ_HEAD(items, fetched);
TAILQ_HEAD(fetch_asks, fetch_ask);

struct frame_ref {
    atomic_uint n;
    uint8_t *frame;
};

struct frame_ref *frame_ref_new(uint8_t *frame);
struct frame_ref *frame_ref_get(struct frame_ref *f);
void frame_ref_put(struct frame_ref *f); /* takes NULL */

struct part_key {
    struct weir_topic *topic;
    int64_t partition;
};

struct cpart {
    struct fetch_part core;
    struct part_key key;
    struct weir_topic *topic;
    int32_t partition;
    offset64 position;   /* next to hand out; OFFSET_NONE = being looked up */
    wtime missing_since; /* the topic is known and has no such partition; 0 = it has */
    UT_hash_handle hh;
};

/* What one answer held of one partition: whole batches, or an error. */
struct fetched {
    TAILQ_ENTRY(fetched) entry;
    struct cpart *part;
    struct frame_ref *frame;
    const uint8_t *at; /* the next stored batch */
    size_t left;       /* bytes of batches from `at`; counted as queued */
    offset64 from;     /* records below were not asked for */
    offset64 high_watermark;
    struct weir_error error; /* code != 0: only this, `from` and `end` count */
    offset64 end;
};

struct weir_consumer {
    TAILQ_ENTRY(weir_consumer) entry;
    struct weir_client *client;
    struct fetch_plan plan;
    struct cpart *parts; /* uthash */
    struct items items;
    struct fetch_asks asks; /* requests that are out */
    void (*came)(void *ctx, struct weir_consumer *consumer, struct weir_batch *batch);
    void *came_ctx;
};

/* Or NULL. Under the lock. */
struct cpart *consumer_part(const struct weir_consumer *k, struct weir_topic *t, int32_t partition);
/* Adds what came; wakes who waits. Under the lock. */
void consumer_enqueue(struct weir_consumer *k, struct fetched *f);
/* The partition rests, with this error as the next that is handed out. Under the lock. */
void consumer_fail(
        struct weir_consumer *k, struct cpart *p, int code, const char *text, offset64 end);
/* [FET-32] What came of the partition and was not handed out is dropped: the leader has other
 * records there. Errors stay. Under the lock. */
void consumer_drop_records(struct weir_consumer *k, const struct cpart *p);
/* [FET-33] Records that were handed out are gone, from where the partition is fetched now. Under the
 * lock. */
void consumer_parted(struct weir_consumer *k, struct cpart *p);
/* Requests that are out forget the consumer. Under the lock. */
void fetcher_forget(struct weir_consumer *k);

/* --- decode.c: the bytes of one stored batch → messages; no lock ------------------------------ */

struct stored {
    struct weir_topic *topic;
    int32_t partition;
    const uint8_t *at;
    size_t size;
    offset64 from, high_watermark;
};

/* Never fails: what cannot be read gives a batch with an error. NULL: nothing in it is to be handed
 * out. */
struct weir_batch *batch_decode(
        const struct stored *s, struct frame_ref *frame, size_t decompress_max);
/* A batch that is only an error. */
struct weir_batch *batch_of_error(
        const struct stored *s, const struct weir_error *error, offset64 end);

/* How many bytes of whole, usable batches `records` begins with, for someone who asked from `from`;
 * `*ret_skip` bytes of batches before that are older. `*ret_next` = the offset behind them,
 * `*ret_epochs` = their leader epochs. 0: nothing is usable. */
size_t batches_measure(struct bytes records,
        offset64 from,
        size_t *ret_skip,
        offset64 *ret_next,
        struct fetch_epochs *ret_epochs);
