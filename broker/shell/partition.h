/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "broker/core/producers.h"
#include "broker/core/replica.h"
#include "broker/log/plog.h"
#include "broker/shell/topic_settings.h"
#include "common/base/map.h"
#include "common/net/loop.h"
#include "common/wire/messages.h"

#include <pthread.h>
#include <stdatomic.h>

/* A partition of this broker: replica core and log under one mutex, and an inbox for the control loop.
 *
 *   data loop ──── produce, fetch, list, wait, forget ──┐
 *   pool ───────── flush, checkpoint, cold reads, … ────┤  lock: drain the inbox, step the core, use the log
 *   control loop ─ order ──► inbox (own tiny lock) ─────┘  drained by the next holder; also posted to a data loop
 *
 * The control loop never takes `lock`, so a stuck disk cannot stop it. Wake-ups for parked requests are collected under
 * the lock and handed out after it. Nobody holds two partitions' locks. */

/* The end of a wait: a produce has its outcome, a parked fetch looks again. From any partition → its data loop. */
struct partition_wake {
    struct replica_ask ask;
    bool is_reply; /* produce */
    bool is_warm;  /* fetch: its cold read is over; `error` if it could not be made */
    int error;
    const char *detail; /* static */
    offset64 base;
    bool is_on_disk; /* as in struct replica_fx_item */
};

struct partition;
struct io_job;
struct pulses;

/* What all partitions of a broker share. */
struct partition_env {
    broker_id self;
    struct file_cache *files;
    const struct trace *trace;
    void (*wake)(void *ctx, const struct partition_wake *wakes, size_t n); /* Thread: any */
    /* Much is unsynced, or somebody waits for the disk. Thread: data, pool */
    void (*wants_flush)(void *ctx, struct partition *p);
    /* Whom it follows is another one now, or where it stands has moved without an answer. Thread: any */
    void (*follows)(void *ctx, struct partition *p, broker_id was, broker_id now);
    /* Of the core, for the controller. Thread: any */
    void (*propose)(void *ctx, struct partition *p, const struct replica_proposal *x);
    void (*report)(void *ctx, struct partition *p, const char *reason);
    /* Work for the pool; the second after the next checkpoint. Thread: any */
    void (*submit)(void *ctx, struct io_job *job);
    void (*after_checkpoint)(void *ctx, struct io_job *job);
    void (*left)(void *ctx); /* a removed log is in the trash: its folder's name is free. Thread: pool */
    void *ctx;
    int64_t producer_expiration_ms;
    wtime lag_max, lease; /* replica.lag.time.max.ms, weir.lease.ms */
    _Atomic(wtime) lease_until; /* a controller was heard within the lease */
    struct pulses *pulses;
    _Atomic(wtime) next_deadline; /* the earliest of all partitions, or earlier */
    atomic_int n_leaders;
    atomic_bool is_checkpoint_stale; /* something moved since the last checkpoint */
};

enum partition_order_kind {
    PARTITION_BECOME,
    PARTITION_STOP,   /* not a replica here any more; the log stays */
    PARTITION_DELETE, /* the topic was removed; the log goes to the trash. Final. */
};

struct partition_order {
    enum partition_order_kind kind;
    struct partition_state record;
    bool may_lead;
    struct topic_settings settings;
    uint8_t n_peers; /* one for each of record.replicas */
    struct replica_peer_view peers[REPLICAS_MAX];
};

/* What is known of the producers; partition_producers.c. */
struct partition_producers {
    struct producers state;
    offset64 snapshot;   /* the newest one; OFFSET_NONE = none */
    offset64 none_below; /* [PID-35] nobody was known at that offset */
    int64_t unsaved;     /* bytes appended since */
    uint64_t n_segments; /* made, when last looked */
    size_t n_told;       /* producers, in the metric */
    bool was_refused;    /* the last snapshot could not be written, and that was logged */
    /* Hints for those who look without the lock. */
    atomic_bool is_snapshot_due, is_any_known;
};

/* What the controller said to a proposal of this partition. */
struct partition_answer {
    epoch32 leader_epoch, partition_epoch; /* the proposal's */
    int error;
    bool has_record;
    struct partition_state record;
};

struct partition {
    /* Fixed from the start. */
    struct partition_key key;
    UT_hash_handle hh; /* the table's */
    char *name;        /* "orders-0" */
    char *topic;
    struct partition_env *env;
    struct log_dir *dir;
    atomic_uint refs;

    pthread_mutex_t inbox_lock;
    bool has_order, is_posted; /* under inbox_lock */
    struct partition_order order;
    struct append_rules append_rules; /* of the newest order; under inbox_lock */
    bool has_answer; /* under inbox_lock; at most one proposal is unanswered */
    struct partition_answer answer;
    struct loop_task drain_task;

    /* Hints for those who look without the lock. */
    atomic_bool is_unsynced, is_failed, is_flush_asked, is_unsealed;
    _Atomic(wtime) unsynced_since; /* when the oldest unsynced data was appended */
    atomic_int_least64_t flush_ms; /* [LOG-74] as in `settings` */
    atomic_bool is_compacted; /* cleanup.policy names compact */
    atomic_bool is_removed; /* its topic was; set under `lock` */
    atomic_bool is_filling; /* [THR-1] it follows, and a reassignment fills it */
    atomic_bool is_start_unsaved; /* the log start is not in the checkpoint yet */
    atomic_bool has_removals;     /* segments or their files may go */
    atomic_bool is_cut_unsaved;   /* a lowered recovery point is not in the checkpoint yet */
    _Atomic(wtime) deadline;      /* when the core wants a look */
    atomic_int_least64_t high_watermark, log_start; /* as told to replicas */

    pthread_mutex_t lock;
    struct replica core;
    struct replica_fx fx;
    struct plog *log; /* NULL = not opened, or gone */
    bool is_flushing;
    bool is_flush_wanted; /* while is_flushing: somebody waits for what the present flush does not have */
    uint32_t n_users; /* of the log, outside the lock: it stays for them */
    broker_id following; /* whose loop knows of it; BROKER_NONE = nobody's */
    bool is_opening;  /* a job on the pool opens the log; the newest order waits for it */
    atomic_bool is_restarting; /* it begins anew: from the checkpoint that says so until the new log is there */
    offset64 restart_base;     /* of that: where the new log begins */
    struct io_job *after_use;  /* of that, waiting until nobody uses the old log; NULL = none */
    atomic_uint n_restarts;    /* in this run */
    bool is_hollow;   /* that job never came so far: nothing of it is in a folder */
    bool has_held;
    struct partition_order held;
    bool has_left; /* the removed log was given to the trash; what a checkpoint would say of it: */
    bool has_last;
    struct checkpoint_entry last;
    struct topic_settings settings;
    struct partition_producers producers;
};

/* A partition that holds nothing yet; one reference, the caller's. `is_lost`: data was here and is gone. Thread: control
 * (and main before the loops run). */
struct partition *partition_new(struct partition_env *env,
        const struct partition_key *key,
        const char *topic,
        struct log_dir *dir,
        bool is_lost);
struct partition *partition_ref(struct partition *p); /* Thread: any */
void partition_unref(struct partition *p);            /* Thread: any */

/* Opens an existing log; a damaged one fails the replica and is logged. How many bytes were scanned. Interrupted
 * (log_dir_interrupt), it stays as it is. Thread: pool (recovery at start). */
int64_t partition_open(struct partition *p);
/* The log is opened by partition_try_open(): it is in the trash, or its folder's name is not free yet. Before anybody else
 * knows the partition. Thread: control. */
void partition_open_later(struct partition *p);
/* Brings the log back from the trash when it is there, and opens it. False: it must wait; to be tried again when a log
 * has left its folder, or in a second. Thread: pool. */
bool partition_try_open(struct partition *p);
/* Leaves the newest order in the inbox. When nobody is on the way to drain it, the task that does is added to `tasks`:
 * the caller posts them on the partition's loop. Thread: control. */
void partition_order(
        struct partition *p, const struct partition_order *order, struct loop_tasks *tasks);
/* The controller's answer to what was proposed; its record is as good as one of the image. `loop`: the partition's.
 * Thread: control. */
void partition_answered(
        struct partition *p, const struct partition_answer *answer, struct loop *loop);
/* A partition wants a look at `deadline`. Thread: any. */
void partition_env_want(struct partition_env *env, wtime deadline);
/* The core's deadline has come: looked at on `loop`. Thread: control. */
void partition_tick(struct partition *p, struct loop *loop);
/* Carries out what is in the inbox now. For an orderly end without loops. Thread: any but control. */
void partition_drain(struct partition *p);

struct partition_produced {
    bool is_done;   /* false: parked; a wake brings the outcome */
    bool is_repeat; /* of a batch that was written before; nothing was written now */
    int error;
    const char *detail;
    offset64 base;
    wall_ms append_time; /* -1 with CreateTime */
    offset64 log_start;
    bool is_on_disk;
};

/* What the newest record says of batches. Waits for nobody who may wait for a disk. Thread: any. */
struct append_rules partition_append_rules(struct partition *p);
/* Asks the core, as partition_produce() does, whether it would take a batch; what it says against it goes to `ret`. For
 * a batch that is refused anyway: that this replica does not lead is the better reason. Thread: data. */
void partition_may_produce(struct partition *p,
        const struct replica_ask *ask,
        int32_t acks,
        struct partition_produced *ret);
/* Appends the validated batch in `bytes`, which may be stamped in place. Thread: data. */
void partition_produce(struct partition *p,
        const struct replica_ask *ask,
        int32_t acks,
        uint8_t *bytes,
        const struct batch *b,
        struct partition_produced *ret);

struct partition_fetch_ask {
    broker_id replica;
    int64_t broker_epoch; /* of the replica */
    epoch32 leader_epoch;
    epoch32 last_epoch; /* of the last record that the asker has, EPOCH_NONE = not given */
    offset64 offset;
    offset64 flushed; /* of the replica; OFFSET_NONE = not told */
    uint64_t session; /* of the replica */
    bool is_look;     /* a replica's position was counted before */
    size_t max_bytes;
    bool first_whole; /* a first batch above max_bytes is given whole */
    bool may_wait;    /* for the disk: its cold read is over, what it brought should be in memory */
    int64_t fill_max; /* [THR-4] bytes for a replica that a reassignment fills; 0 = none now */
};

struct partition_fetched {
    int error;
    const char *detail;
    bool is_busy;            /* the error is a lack in the broker that passes */
    bool is_cold;            /* no error: a cold read has to come first, see partition_warm() */
    bool is_filling;         /* it is for a replica that a reassignment fills, */
    bool is_held;            /* and fill_max gives nothing to it now */
    struct plog_slice slice; /* held when .file is set: the caller releases it */
    offset64 limit, log_start; /* limit: up to which may be read */
    offset64 high_watermark;
    epoch32 leader_epoch;
    /* [LOG-75] The asker's log is another one: epoch `diverging_epoch` ends at `diverging_end` here. Else both none. */
    epoch32 diverging_epoch;
    offset64 diverging_end;
};

/* What says nothing but that. */
static inline struct partition_fetched partition_fetched_none(int error, const char *detail)
{
    return (struct partition_fetched){.error = error,
            .detail = detail,
            .limit = OFFSET_NONE,
            .log_start = OFFSET_NONE,
            .high_watermark = OFFSET_NONE,
            .leader_epoch = EPOCH_NONE,
            .diverging_epoch = EPOCH_NONE,
            .diverging_end = OFFSET_NONE};
}

/* Thread: data. */
void partition_fetch(
        struct partition *p, const struct partition_fetch_ask *ask, struct partition_fetched *ret);
/* Reads a slice that is still held into `into`. > 0: PLOG_E_COLD, unless `may_wait`: it is not in memory. Negative:
 * errno; a disk that fails is latched. Thread: data, pool. */
MUST_CHECK int partition_read_slice(
        struct partition *p, const struct plog_slice *slice, bool may_wait, uint8_t *into);
/* Whether it can be sent without waiting for the disk. Thread: data. */
bool partition_is_hot(const struct partition *p, const struct plog_slice *slice);

struct partition_cold {
    offset64 offset, limit;
    int64_t size;
};

/* A cold read: brings `size` bytes from the batch of `offset` on into memory, checks what was not yet in this run, and
 * waits for the disk, not under the lock. Damage fails the replica. 0: look again; > 0: PLOG_E_BUSY. Thread: pool. */
MUST_CHECK int partition_warm(struct partition *p, const struct partition_cold *cold);
/* Registers a parked fetch that saw `seen` as its limit under `leader_epoch`. Thread: data. */
void partition_wait(struct partition *p,
        const struct replica_ask *ask,
        epoch32 leader_epoch,
        offset64 seen,
        bool is_replica);
void partition_forget(struct partition *p, const struct replica_ask *ask); /* Thread: data */

struct partition_ends {
    int error;
    const char *detail;
    offset64 start, limit;
    epoch32 leader_epoch;
};

/* Thread: data or pool. */
void partition_ends(
        struct partition *p, epoch32 leader_epoch, bool latest, struct partition_ends *ret);
struct partition_epoch_end {
    int error;
    const char *detail;
    epoch32 epoch;
    offset64 end;
    int64_t bytes; /* of the whole log; partition_log_end() only */
};

/* How far the log reaches, whoever leads: the last batch's leader epoch (EPOCH_NONE = none) and the end. An error when
 * there is no log that this broker can vouch for. Thread: pool. */
void partition_log_end(struct partition *p, struct partition_epoch_end *ret);
/* As plog_epoch_end(), for who believes that `leader_epoch` is the present one (EPOCH_NONE = not checked). Thread: data. */
void partition_epoch_end(
        struct partition *p, epoch32 leader_epoch, epoch32 asked, struct partition_epoch_end *ret);
/* The batch where a record at or after `t` is (or, with `largest`, of the largest timestamp), below `limit`; held as in
 * a fetch. > 0: PLOG_E_NOT_FOUND. Thread: pool. */
MUST_CHECK int partition_find(
        struct partition *p, wall_ms t, bool largest, offset64 limit, struct plog_slice *ret);

/* --- Following ---------------------------------------------------------------------------------------------------- */

/* What it asks its leader with. */
struct partition_position {
    broker_id leader; /* BROKER_NONE: it follows nobody now */
    epoch32 leader_epoch, last_epoch;
    offset64 end, log_start, flushed;
};

/* Thread: data. */
void partition_position(struct partition *p, struct partition_position *ret);

/* An answer of its leader. `records` is what answer->records says, and may be written to. */
struct partition_follow_ask {
    epoch32 leader_epoch; /* that it was asked under, */
    epoch32 last_epoch;   /* with, [REP-44] */
    offset64 offset;      /* and with */
    const struct msg_fetch_result *answer;
    uint8_t *records;
};

enum follow_next {
    FOLLOW_NOTHING, /* the leader has said all that there is: until something happens */
    FOLLOW_AGAIN,   /* it moved: to be named in the next request */
    FOLLOW_LATER,   /* the same after a pause; `error` or `detail` says why */
    FOLLOW_NO_MORE, /* it follows nobody now; env->follows() tells when it does again */
};

struct partition_followed {
    enum follow_next next;
    int error;
    const char *detail; /* static */
};

/* Thread: data. */
void partition_follow(struct partition *p,
        const struct partition_follow_ask *ask,
        struct partition_followed *ret);

/* Syncs what is unsynced; `is_unsynced` stays when there was no descriptor for it. Thread: pool. */
void partition_flush(struct partition *p);
/* Writes the seals that segments lack. Thread: pool (one caller at a time). */
void partition_seal(struct partition *p);
/* [LOG-4] Closes the active segment when it is old at `now`. Thread: pool. */
void partition_roll(struct partition *p, wall_ms now);
/* Moves the log of a removed partition into the trash, now or when nobody uses it any more; after log_trash_begin() and a
 * PARTITION_DELETE order. Thread: pool. */
void partition_trash(struct partition *p);
/* Writes a snapshot of what is known of the producers, where that has changed since the last one;
 * for a stop only where much was appended since. Thread: pool. */
void partition_producers_save(struct partition *p, bool is_stop);
/* Forgets the producers that are silent for too long. Thread: pool. */
void partition_producers_expire(struct partition *p);
/* False when there is no log to checkpoint. `ret_bytes` = size of the log. Thread: pool. */
bool partition_checkpoint(struct partition *p, struct checkpoint_entry *ret, int64_t *ret_bytes);
/* [LOG-25] to [LOG-30] What has had its time is put below the log start, and goes once the checkpoint has that.
 * Thread: pool. */
void partition_retain(struct partition *p, wall_ms now);
/* The checkpoint has this log start. Thread: pool. */
void partition_start_saved(struct partition *p, offset64 start);
/* Removes segments below the saved log start, and unlinks what was removed file.delete.delay.ms ago, or at once when the
 * disk is full. Thread: pool. */
void partition_remove(struct partition *p, wtime now, bool is_full);

struct partition_trimmed {
    int error;
    const char *detail;
    offset64 old_start, start; /* before, and now: not yet for good */
};

/* [LOG-31] Moves the log start to `before` (-1: the high watermark); with `dry_run` says what that would do. Thread:
 * data, pool. */
void partition_trim(
        struct partition *p, offset64 before, bool dry_run, struct partition_trimmed *ret);
/* The checkpoint is written, and says this of the partition. Thread: pool. */
void partition_cut_saved(struct partition *p, const struct checkpoint_entry *e);
/* Whether the log start is at least `start` and in the checkpoint. Thread: pool. */
bool partition_is_start_saved(struct partition *p, offset64 start);

/* The disk below it failed: nothing is served any more. Thread: pool. */
void partition_fail(struct partition *p);
