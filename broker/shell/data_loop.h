/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "broker/core/pending.h"
#include "broker/shell/conn_limits.h"
#include "broker/shell/partitions.h"
#include "common/base/array.h"
#include "common/net/rpc.h"
#include "common/wire/messages.h"

struct broker;
struct produce_line;
struct question;
struct feed;

enum {
    /* [BRK-30] Polls that a connection may have parked; further ones are answered in the next turn. */
    CLIENT_POLLS_MAX = 1000
};

/* A data loop: client connections, their parked requests, and the mailbox through which partitions wake those.
 * Thread: data (its own loop) unless said otherwise. */
struct data_loop {
    struct broker *broker;
    uint32_t index;
    struct loop *loop;
    struct client_conn *conns; /* by id */
    struct parked *parked;     /* by request */
    struct feed *feeds;        /* by request: replicas' sessions */
    uint64_t next_request;     /* from 1: 0 is nobody */
    bool is_ending;

    TAILQ_HEAD(, parked) excess; /* [BRK-30] polls that are not to wait */
    bool is_excess_posted;
    struct loop_task excess_task;

    TAILQ_HEAD(, client_conn) asking; /* connections with Metadata questions, in turn */
    bool is_asked;                    /* the control loop has a question of this loop */
    struct timer ask_timer;           /* those in turn have to take their former answers first */

    pthread_mutex_t mailbox_lock;
    ARRAY(struct partition_wake) mailbox; /* under mailbox_lock */
    bool is_posted;                       /* under mailbox_lock */
    struct loop_task mailbox_task;
    ARRAY(struct partition_wake) taken;
};

struct data_loops {
    struct data_loop *items;
    uint32_t n;
    uint32_t next; /* round robin; control */
};

void data_loops_init(struct data_loops *d, struct broker *broker, uint32_t n);
void data_loops_start(struct data_loops *d);
/* Closes every client's connection when what is queued for it is sent (at most 1 s), then ends the loops. Thread:
 * main. */
void data_loops_stop(struct data_loops *d);
/* After the control loop has ended too: nobody posts any more. Thread: main. */
void data_loops_deinit(struct data_loops *d);
/* A partition's wake-ups to their loops. Thread: any. */
void data_loops_wake(struct data_loops *d, const struct partition_wake *wakes, size_t n);
/* Index of the loop whose turn it is for background work of a partition. Thread: any. */
uint32_t data_loops_for(const struct data_loops *d, const struct partition_key *key);

enum {
    CLIENT_CONN_MAGIC = 0x57636c69
};

/* A client's connection after its Hello. */
struct client_conn {
    uint32_t magic;
    uint64_t id;
    UT_hash_handle hh;
    struct data_loop *dl;
    struct rpc_conn *c;
    struct conn_slot slot;
    bool is_counted;       /* in `slot` */
    broker_id replica;     /* whose it is; BROKER_NONE = a client's */
    int64_t replica_epoch; /* its incarnation */
    struct feed *feed;     /* its session; NULL = none yet */
    char listener[32]; /* the name it came in on */
    char client_id[256];
    LIST_HEAD(, parked) parked;
    size_t n_polls;                        /* parked fetches */
    struct produce_line *line;             /* produce requests behind one on the pool; NULL = none */
    STAILQ_HEAD(, question) questions;     /* Metadata that waits for its turn */
    TAILQ_ENTRY(client_conn) asking_entry; /* in the loop's `asking` while there are questions */
};

/* Moves a greeted connection to a data loop; takes the slot (NULL = it is not counted). Thread: control. */
void data_loops_adopt(struct data_loops *d,
        struct rpc_conn *c,
        const struct conn_slot *slot,
        const char *listener,
        const struct msg_hello_request *hello);

/* A request that outlives its call. */
struct parked {
    uint64_t request;
    UT_hash_handle hh;
    LIST_ENTRY(parked) entry;
    struct client_conn *conn;
    struct frame_header header;
    wtime received;
    struct timer timer;
    bool has_waited; /* partitions keep interests of it */
    bool is_excess;  /* in the loop's `excess` */
    TAILQ_ENTRY(parked) excess_entry;
    struct pending pending;
    struct pending_part *parts;
    struct partition **partitions;      /* n_parts references; NULL = none there */
    uint8_t *cold;                      /* PENDING_FETCH: a fetch_cold for each partition */
    struct arena arena;                 /* of the decoded request */
    struct msg_fetch_request fetch;     /* PENDING_FETCH */
    struct msg_produce_result *results; /* PENDING_PRODUCE; in the arena */
};

/* Makes a request of `n` partitions that may wait; it takes over the arena. `pending` is the caller's to init. */
struct parked *parked_new(
        struct client_conn *conn, const struct rpc_request *r, struct arena *arena, size_t n);
/* It waits from now on: sets its timer, and counts as outstanding what is kept of it. */
void parked_wait(struct parked *k);
/* Withdraws what partitions keep of it, and frees it. */
void parked_free(struct parked *k);

/* handle_*.c: each owns `r` and answers it, now or later. Thread: data. */
void handle_produce(struct client_conn *conn, struct rpc_request *r);
void handle_fetch(struct client_conn *conn, struct rpc_request *r);
void handle_list_offsets(struct client_conn *conn, struct rpc_request *r);
void handle_init_producer(struct client_conn *conn, struct rpc_request *r);
void handle_delete_records(struct client_conn *conn, struct rpc_request *r);
void handle_offset_for_leader_epoch(struct client_conn *conn, struct rpc_request *r);
void handle_metadata(struct client_conn *conn, struct rpc_request *r);
/* Drops the questions of a connection that goes. */
void metadata_forget(struct client_conn *conn);
/* It may be the turn of the next question. */
void metadata_ask_next(void *dl);
/* A wake-up or the deadline for a parked request. */
void produce_on_wake(struct parked *k, const struct partition_wake *w);
void produce_on_deadline(struct parked *k);
void fetch_on_wake(struct parked *k, const struct partition_wake *w);
void fetch_on_deadline(struct parked *k);

/* Answers with an error and frees the request. */
void answer_error(struct client_conn *conn, struct rpc_request *r, int error, const char *detail);

/* An answer that is made on another thread and leaves on the connection's loop, if that still stands. */
struct late_answer {
    struct loop_task task;
    struct data_loop *dl;
    uint64_t conn_id;
    struct frame_header header;
    int error;
    char *detail; /* owned or NULL */
    struct rpc_out *out;
};

/* Thread: any. Takes `a`, from mem_new(). */
void late_answer_post(struct late_answer *a);
