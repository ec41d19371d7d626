/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "clients/core/accumulator.h"
#include "clients/core/fetch_plan.h"
#include "clients/core/metadata_view.h"
#include "clients/core/partitioner.h"
#include "clients/lib/conf.h"
#include "clients/lib/error.h"
#include "common/base/array.h"
#include "common/base/map.h"
#include "common/net/loop.h"
#include "common/wire/messages.h"

#include <pthread.h>
#include <sys/queue.h>

/* The inside of a client.
 *
 *   application threads ──lock──► accumulator, topics, consumers, queries
 *                                                   ▲
 *                                                  lock
 *                                                   │
 *                                            internal thread ── links ── brokers
 *
 * One lock guards everything that both sides touch; it is held for moments, never while something
 * is sent, encoded, compressed or called back. Links belong to the internal thread alone. An
 * application thread that leaves work there posts one task (client_kick); the internal thread then
 * looks at everything that may be due (client_work).
 *
 * "Under the lock" below: the caller holds client->lock. Otherwise it must not. */

struct link;
struct pbatch;
struct query;
struct resolver;
struct staged;
struct weir_report;
TAILQ_HEAD(links, link);
TAILQ_HEAD(pbatches, pbatch);
TAILQ_HEAD(queries, query);
TAILQ_HEAD(consumers, weir_consumer);
STAILQ_HEAD(staged_list, staged);

/* A partition that is produced to. Under the lock. */
struct prod_partition {
    struct acc_partition acc;
    struct weir_topic *topic;
    int32_t number;
};

struct weir_topic {
    struct weir_client *client;
    char *name;
    UT_hash_handle hh;
    /* Under the lock. */
    struct mv_topic view;
    struct partitioner partitioner;
    struct prod_partition **partitions; /* by number; they stay at their address */
    int32_t n_partitions;
    struct staged_list staged; /* records that wait for the first metadata */
};

/* The way to a producer id. Internal thread. */
struct id_quest {
    bool is_asked; /* an answer is awaited */
    uint32_t n_failures;
    wtime not_before;
    struct prng prng;
};

struct weir_client {
    /* Immutable. */
    struct settings settings;
    log_fn log;
    void *log_ctx;
    int fd; /* eventfd; -1 with callbacks on the internal thread */
    struct loop *loop;
    struct resolver *resolver;

    pthread_mutex_t lock;
    pthread_cond_t changed; /* something that a thread may wait for happened */
    /* Under the lock. */
    struct acc acc;
    struct weir_topic *topics; /* uthash, by name */
    ARRAY(struct weir_topic *) topic_list;
    struct mv_refresh refresh;
    struct consumers consumers;
    struct queries queries;
    struct pbatches done;  /* batches whose callbacks are due */
    struct pbatches spare; /* empty ones, for reuse */
    size_t n_spare;
    size_t n_outstanding; /* records accepted and not reported */
    size_t n_unpersisted; /* reported otherwise than as persisted, ever */
    int fatal_code;       /* no record can be produced any more; 0 = all is well */
    bool is_kicked, is_closing, fd_is_set;
    void (*delivered)(void *ctx, const struct weir_report *report);
    void *delivered_ctx;
    struct loop_task kick;
    uint64_t seed;

    /* Internal thread. */
    struct links links;
    struct uuid cluster_id; /* of the first broker that said it */
    struct timer timer;
    size_t topic_cursor;  /* where the next question for metadata begins */
    struct pbatches left; /* acks=0: given back by a connection, not settled yet */
    bool is_stopping;
    struct id_quest id_quest;
};

/* --- client.c --------------------------------------------------------------------------------- */

/* Asks the internal thread to look. Under the lock. */
void client_kick(struct weir_client *c);
/* The same from the internal thread without the lock. */
void client_kick_unlocked(struct weir_client *c);
/* Callbacks are due: wakes weir_poll(). Under the lock. */
void client_has_callbacks(struct weir_client *c);
/* Waits for `changed` until `deadline` (clock_now()). False when it has come. Under the lock. */
bool client_wait(struct weir_client *c, wtime deadline);
/* The deadline of a timeout in ms; -1 = WTIME_NEVER. */
wtime deadline_after(int timeout_ms);
/* Whether this thread is inside a callback of `c`; is its internal thread. */
bool client_in_callback(const struct weir_client *c);
bool client_on_internal_thread(const struct weir_client *c);
void client_log(struct weir_client *c, enum weir_log_level level, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
/* A fresh seed for a generator. Under the lock. */
uint64_t client_seed(struct weir_client *c);
/* Runs what is due; returns how many callbacks ran. Application thread in poll mode, else the
 * internal one. */
int client_run_callbacks(struct weir_client *c);

/* --- topic.c ---------------------------------------------------------------------------------- */

/* The topic of that name, made when new. Under the lock. */
struct weir_topic *topic_find(struct weir_client *c, const char *name);
void topic_free(struct weir_topic *t);
/* Whether the topic was refused for longer than topic.metadata.propagation.max.ms. Under the lock.
 * */
bool topic_is_hopeless(const struct weir_topic *t, wtime now);
/* The leader as known; BROKER_NONE. Under the lock. */
broker_id topic_leader(const struct weir_topic *t, int32_t partition);
epoch32 topic_leader_epoch(const struct weir_topic *t, int32_t partition);
/* Asks for metadata when that is due. Internal thread. */
void metadata_work(struct weir_client *c, wtime now);
/* Marks what the topic's view says in accumulator and consumers. Under the lock. */
void topic_changed(struct weir_topic *t, wtime now);

/* --- producer_id.c ---------------------------------------------------------------------------- */

/* Asks for a producer id when one is needed. Internal thread. */
void produce_id_work(struct weir_client *c, wtime now);
/* Under the lock. Internal thread. */
wtime produce_id_deadline(const struct weir_client *c, wtime now);

/* --- sender.c, report.c, producer.c ----------------------------------------------------------- */

/* Expires, sends. Internal thread. */
void sender_work(struct weir_client *c, wtime now);
/* Ends all that is left, after the links are gone. Internal thread. */
void sender_stop(struct weir_client *c);
/* Moves staged records into batches once the topic is known, or fails them. Under the lock. Done
 * batches go to `done`. */
void staged_work(struct weir_topic *t, wtime now, struct pbatches *done);
wtime staged_deadline(const struct weir_client *c);
/* Fails everything that is staged. Under the lock. */
void staged_fail(struct weir_topic *t, int code, struct pbatches *done);
/* A batch whose outcome is settled and which nothing borrows from any more. Internal thread. */
void report_batch(struct weir_client *c, struct pbatch *b);
/* Runs the reports of one batch, if any is due; returns how many callbacks ran, -1 = none was due.
 * */
int report_run_one(struct weir_client *c);

/* --- consumer.c, fetcher.c -------------------------------------------------------------------- */

void fetcher_work(struct weir_client *c, wtime now);
/* Under the lock. */
bool fetcher_needs(const struct weir_client *c, broker_id id);
bool fetcher_lacks_leader(const struct weir_client *c);
wtime fetcher_deadline(const struct weir_client *c, wtime now);
/* Leaders of a topic's partitions changed. Under the lock. */
void fetcher_topic_changed(struct weir_topic *t, wtime now);
/* Runs one consumer's callback when a batch is there; returns how many ran. */
int consumer_run_one(struct weir_client *c);
/* Whether a consumer with a callback has a batch. Under the lock. */
bool consumer_has_callback_due(const struct weir_client *c);

/* --- query.c ---------------------------------------------------------------------------------- */

void query_work(struct weir_client *c, wtime now);
/* Ends every query with WEIR_E_CLOSED, after the links are gone. Internal thread. */
void query_stop(struct weir_client *c);
/* Under the lock. */
bool query_needs(const struct weir_client *c, broker_id id);
bool query_lacks_leader(const struct weir_client *c);
wtime query_deadline(const struct weir_client *c, wtime now);
