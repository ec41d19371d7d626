/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "clients/core/outcome.h"
#include "clients/core/sequence.h"
#include "common/base/prng.h"
#include "common/base/wtime.h"
#include "common/domain/ids.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

/* The accumulator: which batches of which partitions leave when, and what becomes of them.
 *
 * It sees sizes and times, never bytes: the shell embeds acc_batch and acc_partition in structs of
 * its own, which hold the bytes. A batch is in exactly one of these states:
 *
 *   open ──full──► sealed ◄──acc_finish: ACC_RETRY──┐
 *    │               │ │                            │
 *    │               │ └────────acc_take──────► in flight ──acc_finish──► ended: the shell's again
 *    └──acc_take─────┼─────────────────────────────►                        ▲
 *                    └──acc_expire, acc_drop_any (open ones too)────────────┘
 *
 * Order: a partition's batches stand in one queue from the first record to the end, also while in
 * flight; a retry leaves a batch in its place. With at most one in flight
 * (settings.partition_in_flight 1) nothing overtakes; with settings.is_idempotent brokers let
 * nothing overtake, and clients/core/sequence.h says what may be in flight. Pure: time comes in.
 * Owner: whoever holds the client's lock. Thread: owner. */

struct acc_settings {
    size_t batch_size;   /* a batch that has reached it is full */
    size_t request_size; /* bytes of batches in one request; one batch always fits */
    size_t memory;       /* bytes of records accepted and not reported */
    wtime linger;
    wtime delivery_timeout;
    wtime retry_backoff, retry_backoff_max;
    uint32_t retries;
    uint32_t partition_in_flight; /* 1 where retries must not reorder */
    bool is_idempotent;
};

enum acc_list {
    ACC_NOWHERE = 0, /* nothing to send, or enough in flight */
    ACC_READY,       /* to be looked at */
    ACC_WAITING,     /* until `wake`, or until it has a leader and a producer id */
};

TAILQ_HEAD(acc_batches, acc_batch);
TAILQ_HEAD(acc_partitions, acc_partition);

struct acc_partition {
    TAILQ_ENTRY(acc_partition) entry;  /* in the list `list` names */
    TAILQ_ENTRY(acc_partition) active; /* in acc.active while `queue` is not empty */
    struct acc_batches queue;
    enum acc_list list;
    broker_id leader; /* BROKER_NONE = not known */
    uint32_t n_in_flight;
    wtime wake;
    wtime not_before; /* backoff after a failure */
    wtime idle_since; /* nothing has a number since */
    struct seq_run run;
};

struct acc_batch {
    TAILQ_ENTRY(acc_batch) entry;
    struct acc_partition *partition;
    uint32_t n_records;
    size_t size;
    wtime created;
    wtime deadline;   /* of its delivery */
    uint32_t n_tries; /* that reached a broker, or may have */
    bool is_sealed;   /* takes no more records */
    bool is_in_flight;
    bool may_be_written; /* after the tries so far */
    int last_code;       /* of the last failed try; 0 = none */
    struct seq_mark mark;
};

struct acc {
    struct acc_settings settings;
    struct prng prng;
    struct acc_partitions ready, waiting, active;
    size_t n_batches;
    size_t used;         /* bytes of `memory` */
    wtime next_expiry;   /* no batch expires earlier */
    uint32_t n_flushing; /* while > 0 nothing lingers */
    struct seq_id id;    /* the client's producer id */
    bool wants_id;       /* a partition waits for one */
    uint64_t n_breaks;   /* runs that broke, ever */
};

void acc_init(struct acc *a, const struct acc_settings *settings, uint64_t seed);
void acc_partition_init(struct acc_partition *p);

/* Memory. A record larger than all of it is let in when nothing else is there. */
bool acc_has_room(const struct acc *a, size_t size);
void acc_charge(struct acc *a, size_t size);
void acc_discharge(struct acc *a, size_t size);

/* The batch that a record of `size` bytes joins, or NULL: the shell makes one and gives it to
 * acc_open(). */
struct acc_batch *acc_open_batch(const struct acc *a, const struct acc_partition *p, size_t size);
/* A fresh batch behind all others of `p`; the one that was open is sealed. `overhead`: bytes of an
 * empty batch. */
void acc_open(
        struct acc *a, struct acc_partition *p, struct acc_batch *b, size_t overhead, wtime now);
/* A record of `size` bytes went into `b`. True when the shell should look (acc_sift) soon. */
bool acc_add_record(struct acc *a, struct acc_batch *b, size_t size);

/* BROKER_NONE: not known. True when the shell should look. */
bool acc_set_leader(struct acc *a, struct acc_partition *p, broker_id leader);
/* The client got a producer id. The shell should look. */
void acc_set_id(struct acc *a, const struct seq_id *id);
/* From now on without numbers, `partition_in_flight` batches at a time. Before the first acc_set_id(). */
void acc_forgo_ids(struct acc *a, uint32_t partition_in_flight);
/* Between the two nothing lingers. Flushes nest. */
void acc_flush_begin(struct acc *a);
void acc_flush_end(struct acc *a);

/* Sorts what is ready from what must wait. Before acc_take(). True when a partition lacks a leader.
 * */
bool acc_sift(struct acc *a, wtime now);
/* Takes ready batches of partitions that `broker` leads for one request, at most one a partition;
 * they are in flight then. A partition with a further batch that may go at once must be sifted
 * before it is taken again. Returns how many. */
size_t acc_take(struct acc *a, broker_id broker, struct acc_batch **ret, size_t max);

/* Whether a ready partition has that leader; none, though something waits. */
bool acc_needs(const struct acc *a, broker_id broker);
bool acc_lacks_leader(const struct acc *a);

enum acc_verdict {
    ACC_DELIVERED = 1, /* written */
    ACC_FAILED,        /* given up: outcome by acc_outcome() */
    ACC_RETRY,         /* stays, and will be taken again */
};

/* A try ended. Unless ACC_RETRY the batch has left and belongs to the shell. */
enum acc_verdict acc_finish(
        struct acc *a, struct acc_batch *b, const struct try_result *r, wtime now);
/* A batch whose delivery.timeout.ms is over and that is not in flight, removed; NULL = none. */
struct acc_batch *acc_expire(struct acc *a, wtime now);
/* Any batch that is not in flight, removed; NULL = none. For closing. */
struct acc_batch *acc_drop_any(struct acc *a);
/* Of a batch that failed. */
enum outcome acc_outcome(const struct acc_batch *b);
/* When acc_sift() or acc_expire() has something to do; WTIME_NEVER = not by time alone. */
wtime acc_deadline(const struct acc *a);
/* Every invariant; for check_slow and tests. */
bool acc_check(const struct acc *a);
