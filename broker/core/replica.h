/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/map.h"
#include "common/base/trace.h"
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
 *   NONE ───────────────────────────► LEADER ───────────────────────────► FAILED (until the process ends)
 *    ▲ │                               │  ▲ BECOME with a greater leader epoch
 *    │ └──BECOME (somebody else)──► FOLLOWER
 *    └──────── BECOME (not a replica, or refused), STOP ───────────────┘
 *
 * The record decides, never the shell: a partition record is applied only when its partition epoch is greater than the
 * one held; whether this broker may lead at all (registered with its present epoch, not fenced) comes with each BECOME.
 * A parked request leaves an interest {loop, request, part, offset} here; it ends with exactly one REPLY or WAKE, or
 * with FORGET. Payloads never come here: ids, offsets, epochs and sizes do. Rules are numbered [REP-n] in
 * docs/design/10-replication.md. Owner: whoever holds the partition's lock. */

enum replica_role {
    REPLICA_NONE, /* not a replica, not told yet, or not allowed to lead */
    REPLICA_LEADER,
    REPLICA_FOLLOWER, /* somebody else leads, or nobody */
    REPLICA_FAILED,   /* its log is damaged or its disk is gone */
};

const char *replica_role_text(enum replica_role role);

/* Who asks: the loop that the connection lives on, the parked request there, and the place in its list. No padding, so
 * that it can be hashed as memory. */
struct replica_ask {
    uint32_t loop;
    uint32_t part;
    uint64_t request;
};

enum replica_event_kind {
    REPLICA_EV_BECOME,   /* the image shows this record */
    REPLICA_EV_PRODUCE,  /* may a batch be appended? → APPEND or REPLY */
    REPLICA_EV_APPENDED, /* it was: [base, log_end) → REPLY now or when committed */
    REPLICA_EV_REPEATED, /* its batch stands at [base, last]: REPLY now or when committed */
    REPLICA_EV_FLUSHED, /* everything below `offset` is on the disk */
    REPLICA_EV_FETCH,   /* what may be read from `offset`? → READ or REPLY */
    REPLICA_EV_WAIT, /* wake `ask` as soon as more than `offset` can be read → later WAKE, or at once */
    REPLICA_EV_LIST,       /* which end may be told? → OFFSETS or REPLY */
    REPLICA_EV_FORGET,     /* `ask` waits no more */
    REPLICA_EV_LOG_FAILED, /* the log refused to go on */
    REPLICA_EV_STOP,       /* the partition goes away from this broker */
};

struct replica_event {
    enum replica_event_kind kind;
    struct replica_ask ask; /* PRODUCE … FORGET */

    union {
        struct {
            const struct partition_state *record;
            bool may_lead;   /* the image has this process, not fenced */
            bool fsync_acks; /* weir.ack.durability=fsync: only what is on the disk counts */
        } become;

        struct {
            int32_t acks; /* 0, 1, -1: validated by the shell */
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
            epoch32 leader_epoch; /* EPOCH_NONE = not checked */
            offset64 offset;
            epoch32 last_epoch;  /* of the last record that the asker has; EPOCH_NONE = not given */
            epoch32 known_epoch; /* with last_epoch: the largest one here that is not above it, */
            offset64 known_end;  /* and where it ends; EPOCH_NONE and OFFSET_NONE = nothing is known */
        } fetch;

        struct {
            epoch32 leader_epoch; /* under which the reader looked */
            offset64 seen;        /* the limit it saw then */
        } wait;

        struct {
            epoch32 leader_epoch;
            bool latest; /* an answer that depends on the end */
        } list;
    };
};

enum replica_fx_kind {
    REPLICA_FX_APPEND, /* append the batch of `ask` under `leader_epoch`; then APPENDED or LOG_FAILED */
    REPLICA_FX_REPLY, /* `ask` ends with `error`; base = first offset of a produced batch when NONE */
    REPLICA_FX_FLUSH,   /* somebody waits for the disk: sync everything that was appended, now */
    REPLICA_FX_DIVERGES, /* what `ask` has read is not what is here: epoch `leader_epoch` ends at `base` */
    REPLICA_FX_READ,    /* `ask` may read from its offset up to `limit` (exclusive) */
    REPLICA_FX_OFFSETS, /* `ask` may be told [log start, limit) */
    REPLICA_FX_WAKE,    /* parked fetch `ask` looks again */
    REPLICA_FX_SAVE_HW, /* the high watermark is `limit` now; it goes into the next checkpoint */
    REPLICA_FX_BECAME,  /* the role changed; for the log and the counters */
};

struct replica_fx_item {
    enum replica_fx_kind kind;
    struct replica_ask ask;
    int error;          /* ERRCODE_*; REPLY */
    const char *detail; /* static sentence; "" = none */
    bool is_on_disk;    /* REPLY to a produce: it was asked to be on the disk, and is */
    offset64 base, limit;
    epoch32 leader_epoch;
    enum replica_role role, was; /* BECAME */
    bool is_refused;             /* BECAME: this version does not serve such a record */
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
    bool is_produce; /* ends with REPLY when what it needs has come; else with WAKE when the high watermark passes */
    bool needs_commit; /* produce: `offset` < high watermark */
    bool needs_disk;   /* produce: `offset` < flushed */
    struct replica_ask ask;
    offset64 offset; /* produce: last offset of the batch; fetch: the limit that was seen */
    offset64 base;   /* produce: first offset of the batch */
};

struct replica {
    broker_id self;
    const struct trace *trace; /* or NULL */
    const char *name;          /* "orders-0"; borrowed */
    enum replica_role role;
    bool is_stepping;
    bool may_lead, fsync_acks;
    bool has_record;
    struct partition_state record; /* the applied one */
    offset64 log_end;              /* LEO */
    offset64 flushed;              /* synced below */
    offset64 high_watermark;
    offset64 epoch_start; /* LEO when this leadership began */
    TAILQ_HEAD(, replica_interest) interests;
    struct replica_interest *interests_by_ask;
    size_t n_disk_waits; /* of the interests, those that need the disk */
};

/* The log as it was opened; high_watermark is the checkpointed one and is cut to log_end. */
void replica_init(struct replica *r,
        broker_id self,
        const char *name,
        offset64 log_end,
        offset64 high_watermark,
        const struct trace *trace);
void replica_deinit(struct replica *r);
void replica_step(struct replica *r, const struct replica_event *ev, struct replica_fx *fx);
