/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/map.h"
#include "common/base/trace.h"
#include "common/base/wtime.h"
#include "common/domain/errcode.h"
#include "common/domain/ids.h"
#include "common/domain/partition.h"

#include <stddef.h>
#include <sys/queue.h>

/* The rules of one replica of one partition: who may write, what may be read, what is committed. Pure.
 *
 *          events (borrowed)                         effects (borrowed until the next step)
 *  shell ─────────────────────► replica_step(r, ev, fx) ─────────────────────► shell
 *
 *             BECOME (me, may lead)                    LOG_FAILED
 *   NONE ───────────────────────────► LEADER ───────────────────────────► FAILED ──┐
 *    ▲ │                               │  ▲ BECOME with a greater leader epoch ▲     │ out of ISR and ELR, a leader
 *    │ └──BECOME (somebody else)──► FOLLOWER ───────────────────────────────────┘     │ elsewhere: RESTART, CUT
 *    └──────── BECOME (not a replica), STOP ◄──┘▲─────────────────────────────────────┘ (never after a disk's failure)
 *
 * The record decides, never the shell: a partition record is applied only when its partition epoch is greater than the
 * one held; whether this broker may lead at all (registered with its present epoch, not fenced) comes with each BECOME.
 * A parked request leaves an interest {loop, request, part, offset} here; it ends with exactly one REPLY or WAKE, or
 * with FORGET. Payloads never come here: ids, offsets, epochs and sizes do. Rules are numbered [REP-n] in
 * docs/design/10-replication.md. Owner: whoever holds the partition's lock.
 *
 * Following. The shell fetches from the leader that BECAME names, one fetch at a time, with (leader epoch, log end, epoch of
 * the last record), and hands each answer in as FETCHED. COPY, TRUNCATE and RESTART are work on the log: while one is under
 * way no other is asked, answers are dropped, and a change of the role waits. It ends with COPIED, CUT or LOG_FAILED.
 *
 * Proposing. A leader asks the controller for another ISR with PROPOSE; each one is answered with exactly one PROPOSED, also
 * when no answer came. One proposal is under way at a time; until a record with a greater partition epoch shows what
 * became of it, its members hold the high watermark back as those of the ISR do. */

enum replica_role {
    REPLICA_NONE, /* not a replica, not told yet, or not allowed to lead */
    REPLICA_LEADER,
    REPLICA_FOLLOWER, /* somebody else leads, or nobody */
    REPLICA_FAILED,   /* its log is damaged or its disk is gone */
};

/* How long until the same is asked again. */
#define REPLICA_RESEND_PAUSE  WTIME_MS(100) /* a proposal that may have been lost */
#define REPLICA_PROPOSE_PAUSE WTIME_S(1)    /* after one that was refused for good */
#define REPLICA_REPORT_PAUSE  WTIME_S(1)    /* a report that has shown no effect */

const char *replica_role_text(enum replica_role role);

/* Who asks: the loop that the connection lives on, the parked request there, and the place in its list. No padding, so
 * that it can be hashed as memory. */
struct replica_ask {
    uint32_t loop;
    uint32_t part;
    uint64_t request;
};

/* Another replica, or this one, as the image has its broker. */
struct replica_peer_view {
    broker_id id;
    int64_t epoch;  /* registered; BROKER_EPOCH_NONE = not registered */
    bool is_active; /* purged, not fenced, not shutting down */
};

/* The connection through which another broker's replicas fetch, as the leader's end of its session knows it. Each wait that
 * it leaves at a partition has its `loop` and `request`. */
struct replica_session {
    uint32_t loop;
    uint64_t request;
    broker_id replica;
    int64_t broker_epoch;
    wtime heard_at; /* its last request */
};

/* What a leader asks the controller for: this ISR, of these incarnations, in place of the record of that partition epoch. */
struct replica_proposal {
    epoch32 leader_epoch, partition_epoch;
    uint8_t n;

    struct {
        broker_id id;
        int64_t epoch;
    } isr[REPLICAS_MAX];

    bool recovered; /* the log that an unclean election chose is open: `recovering` may go */
    bool durable;   /* [REP-58] all of `isr` have on their disks what is committed */
};

enum replica_event_kind {
    REPLICA_EV_BECOME,   /* the image shows this record, or another state of one of its brokers */
    REPLICA_EV_PRODUCE,  /* may a batch be appended? → APPEND or REPLY */
    REPLICA_EV_APPENDED, /* it was: [base, log_end) → REPLY now or when committed */
    REPLICA_EV_REPEATED, /* its batch stands at [base, last]: REPLY now or when committed */
    REPLICA_EV_FLUSHED,  /* everything below `offset` is on the disk */
    REPLICA_EV_FETCH,    /* what may be read from `offset`? → READ or REPLY */
    REPLICA_EV_WAIT, /* wake `ask` as soon as more than `offset` can be read → later WAKE, or at once */
    REPLICA_EV_LIST,       /* which end may be told? → OFFSETS or REPLY */
    REPLICA_EV_FORGET,     /* `ask` waits no more */
    REPLICA_EV_LOG_FAILED, /* the log refused to go on */
    REPLICA_EV_STOP,       /* the partition goes away from this broker */
    REPLICA_EV_PROPOSED,   /* what became of a PROPOSE */
    REPLICA_EV_TICK,       /* replica_deadline() has come */
    REPLICA_EV_FETCHED, /* follower: the leader's answer → COPY, TRUNCATE, RESTART, FETCH_LATER or nothing */
    REPLICA_EV_COPIED, /* COPY was done */
    REPLICA_EV_CUT,    /* TRUNCATE or RESTART was done */
};

struct replica_event {
    enum replica_event_kind kind;
    wtime now;              /* monotonic */
    struct replica_ask ask; /* PRODUCE … FORGET */

    union {
        struct {
            const struct partition_state *record;
            bool may_lead;   /* the image has this process, not fenced */
            bool fsync_acks; /* weir.ack.durability=fsync: only what is on the disk counts */
            const struct replica_peer_view
                    *peers; /* one for each of record->replicas; NULL = nothing new is known */
            uint8_t n_peers;
            wtime lag_max; /* replica.lag.time.max.ms; 0 = nobody is ever behind */
            wtime lease;   /* weir.lease.ms */
        } become;

        struct {
            int32_t acks;   /* 0, 1, -1: validated by the shell */
            bool has_lease; /* the control plane was heard within weir.lease.ms; if not: */
            const struct replica_session *sessions; /* all that there are, of all partitions */
            size_t n_sessions;
        } produce;

        struct {
            int32_t acks;
            epoch32 leader_epoch; /* under which APPEND was decided */
            offset64 base, log_end;
            bool needs_disk; /* [LOG-73] this acknowledgement waits for the disk, whatever the others do */
        } appended;

        struct {
            int32_t acks;
            offset64 base, last; /* of the original */
        } repeated;

        offset64 flushed;

        struct {
            broker_id replica;    /* BROKER_NONE = consumer */
            int64_t broker_epoch; /* of the replica that asks */
            epoch32 leader_epoch; /* EPOCH_NONE = not checked */
            offset64 offset;
            epoch32 last_epoch;  /* of the last record that the asker has; EPOCH_NONE = not given */
            epoch32 known_epoch; /* with last_epoch: the largest one here that is not above it, */
            offset64
                    known_end; /* and where it ends; EPOCH_NONE and OFFSET_NONE = nothing is known */
            offset64 log_start; /* of the log here */
            offset64 flushed;   /* replica: what it has on its disk; OFFSET_NONE = not told */
            uint64_t session;   /* replica: of the connection that it came on; a later one has a greater number */
            bool is_look;       /* replica: this request was counted before, and only looks again */
        } fetch;

        struct {
            epoch32 leader_epoch; /* under which the reader looked */
            offset64 seen;        /* the limit it saw then */
            bool is_replica;      /* it waits for the log end, not for the high watermark */
        } wait;

        struct {
            epoch32 leader_epoch;
            bool latest; /* an answer that depends on the end */
        } list;

        struct {
            bool is_disk; /* nothing of its disk is trusted any more; else the log may be filled anew */
        } failed;

        struct {
            epoch32 leader_epoch, partition_epoch; /* of the proposal */
            /* NONE with `record`; REQUEST_TIMED_OUT or NOT_CONTROLLER also when no answer came, or the link broke */
            int error;
            const struct partition_state *record;
        } proposed;

        struct {
            epoch32 leader_epoch; /* under which it was asked (and answered) */
            offset64 asked;       /* the offset that was asked for: the log's end then, */
            epoch32 asked_epoch; /* and the epoch of its last record then, as the fetch said; EPOCH_NONE = it was empty */
            int error;
            offset64 leader_start, leader_hw;
            epoch32 diverging_epoch; /* EPOCH_NONE = it does not diverge */
            offset64 diverging_end;
            epoch32 local_epoch; /* when it diverges: the largest one of this log that is not above diverging_epoch, */
            offset64 local_end; /* and where it ends */
            epoch32 hw_epoch; /* of the record below the high watermark here; EPOCH_NONE = there is none */
            size_t n_bytes; /* of whole batches; 0 = none, and what follows has no meaning */
            offset64 first_base, next; /* the batches are [first_base, next) */
            epoch32 first_epoch, last_epoch;
            epoch32 log_last_epoch; /* of the last record of this log, EPOCH_NONE = it is empty */
            bool is_sound;          /* checksums hold, offsets follow, epochs do not fall */
            bool may_skip; /* the topic is compacted: offsets may be missing, also before first_base */
        } fetched;

        struct {
            offset64 log_end; /* as before when nothing could be appended: */
            int error;        /* why (a full disk) */
        } copied;

        struct {
            offset64 log_end; /* as before when nothing could be done: */
            int error;        /* why (something else is at work on the log) */
        } cut;
    };
};

enum replica_fx_kind {
    REPLICA_FX_APPEND, /* append the batch of `ask` under `leader_epoch`; then APPENDED or LOG_FAILED */
    REPLICA_FX_REPLY, /* `ask` ends with `error`; base = first offset of a produced batch when NONE */
    REPLICA_FX_FLUSH, /* somebody waits for the disk: sync everything that was appended, now */
    REPLICA_FX_DIVERGES, /* what `ask` has read is not what is here: epoch `leader_epoch` ends at `base` */
    REPLICA_FX_READ,    /* `ask` may read from its offset up to `limit` (exclusive) */
    REPLICA_FX_OFFSETS, /* `ask` may be told [log start, limit) */
    REPLICA_FX_WAKE,    /* parked fetch `ask` looks again */
    REPLICA_FX_SAVE_HW, /* the high watermark is `limit` now; it goes into the next checkpoint */
    REPLICA_FX_BECAME, /* role, or leader epoch when following, changed: `leader` is whom to fetch from, or nobody */
    REPLICA_FX_PROPOSE, /* `proposal` goes to the controller; then PROPOSED */
    REPLICA_FX_REPORT, /* tell the controller that this replica must leave ISR and ELR; `detail` says why */
    REPLICA_FX_COPY, /* append the batches of the answer as they are; an empty log begins at `base`; then COPIED */
    REPLICA_FX_TRUNCATE, /* cut the log to `base` (below its start: begin an empty one there); then CUT */
    REPLICA_FX_RESTART, /* begin an empty log at `base`; `keep` the old one aside, or drop it; then CUT */
    REPLICA_FX_START,    /* the log start may move to `base` */
    REPLICA_FX_PROGRESS, /* the next fetch has something new to tell the leader: what is on the disk */
    REPLICA_FX_FETCH_LATER, /* `error`: fetch again after a pause; without it at once, or when this changes */
};

struct replica_fx_item {
    enum replica_fx_kind kind;
    struct replica_ask ask;
    int error;          /* ERRCODE_*; REPLY, FETCH_LATER */
    const char *detail; /* static sentence; "" = none */
    bool is_on_disk;    /* REPLY to a produce: it was asked to be on the disk, and is */
    bool keep;          /* RESTART: the old log may hold what nobody else has */
    offset64 base, limit;
    offset64 high_watermark; /* READ, DIVERGES: what the asker may be told of it */
    epoch32 leader_epoch;
    enum replica_role role, was;      /* BECAME */
    broker_id leader;                 /* BECAME; BROKER_NONE unless following */
    struct replica_proposal proposal; /* PROPOSE */
};

/* Zero-initialised before the first step; its memory is reused from step to step. */
struct replica_fx {
    struct replica_fx_item *items;
    size_t n, cap;
};

void replica_fx_deinit(struct replica_fx *fx);
#define FX_FOREACH(it, fx)                                                                         \
    for (struct replica_fx_item *it = (fx)->items; it != NULL && it < (fx)->items + (fx)->n; it++)

/* In the order of parking, and by `ask`, so that one that leaves costs the same however many wait. */
struct replica_interest {
    TAILQ_ENTRY(replica_interest) entry;
    UT_hash_handle hh;
    bool is_produce; /* ends with REPLY when what it needs has come; else with WAKE when the high watermark passes, */
    bool is_replica;   /* or, for a replica, the log end */
    bool needs_commit; /* produce: `offset` < high watermark */
    bool needs_disk;   /* produce: `offset` < flushed */
    struct replica_ask ask;
    offset64 offset; /* produce: last offset of the batch; fetch: the limit that was seen */
    offset64 base;   /* produce: first offset of the batch */
};

TAILQ_HEAD(replica_interests, replica_interest);

/* What is known of one replica: of its broker from the image, of its log (leading, not of this one) from its fetches. */
struct replica_peer {
    broker_id id;
    int64_t epoch;
    bool is_active;
    uint64_t session; /* [REP-60] the greatest that it fetched in */
    offset64
            end; /* it has everything below, confirmed in this leader epoch by this incarnation; OFFSET_NONE */
    offset64 flushed;   /* of that, on its disk; OFFSET_NONE = not told */
    wtime fetched_at;   /* its last fetch in this leader epoch; WTIME_NEVER = none */
    wtime heard_at;     /* [REP-56] a request of a session that held this partition, when last looked */
    offset64 end_then;  /* where this log ended at that time */
    wtime caught_up_at; /* when it last had everything that there was */
};

struct replica_pending {
    bool is_set;
    bool is_durable;    /* [REP-58] it may hold by now: only what is on the disk counts */
    bool is_taken_back; /* the proposal now asks for the ISR as it is, so that an older one cannot be carried out */
    unsigned n_sent;
    wtime resend_at; /* WTIME_NEVER = under way, or only a new record helps */
    struct replica_proposal proposal;
    struct broker_set brake; /* everybody that it asked for */
};

enum replica_work {
    REPLICA_WORK_NONE,
    REPLICA_WORK_COPY,
    REPLICA_WORK_CUT,
    REPLICA_WORK_RESTART,
};

struct replica {
    broker_id self;
    const struct trace *trace; /* or NULL */
    const char *name;          /* "orders-0"; borrowed */
    enum replica_role role;
    epoch32 role_epoch; /* the leader epoch for which the role was taken */
    bool is_stepping, is_stopped;
    bool may_lead, fsync_acks;
    bool has_record;
    struct partition_state record; /* the applied one */
    wtime now;                     /* of the newest event */
    wtime lag_max, lease;
    offset64 log_end; /* LEO */
    offset64 flushed; /* synced below */
    offset64 high_watermark;
    offset64 epoch_start; /* LEO when this leadership began */
    struct replica_interests interests;
    struct replica_interests replica_waits; /* parked fetches of replicas */
    struct replica_interest *interests_by_ask;
    size_t n_disk_waits; /* of the interests, those that need the disk */

    uint8_t n_peers; /* as many as the record has replicas, this one among them */
    struct replica_peer peers[REPLICAS_MAX];
    struct replica_pending pending; /* only when leading */
    wtime propose_after;
    wtime claim_after; /* [REP-58] */

    enum replica_work work;
    offset64 work_hw;    /* COPY: the leader's high watermark */
    bool may_cut_hw;     /* CUT: an unclean election allows to cut below the high watermark */
    offset64 start_told; /* the last START */

    bool is_disk_failed;
    epoch32 failed_epoch; /* of the record when it failed: an acknowledgement of an earlier time ends with it */
    const char *failure; /* static sentence */
    wtime report_after, restart_after;
};

/* The log as it was opened, of which what lies below `flushed` is known to be on the disk; high_watermark is the
 * checkpointed one and is cut to log_end. */
void replica_init(struct replica *r,
        broker_id self,
        const char *name,
        offset64 log_end,
        offset64 flushed,
        offset64 high_watermark,
        const struct trace *trace);
void replica_deinit(struct replica *r);
void replica_step(struct replica *r, const struct replica_event *ev, struct replica_fx *fx);
/* When a TICK is due; WTIME_NEVER = there is nothing to do. Changes with each step. */
wtime replica_deadline(const struct replica *r);
