/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "broker/shell/partition.h"
#include "common/base/array.h"

/* What partition.c and the files of its work beside requests share; nobody else includes it.
 *
 *   hold_begin(&h, p)        lock, drain the inbox
 *     partition_step(…)      the core decides; wake-ups gather in the hold
 *     partition_use_begin()  the log stays for work outside the lock, also when its topic is removed
 *   hold_end(&h)             drain, unlock; then the wake-ups leave, and a removed log goes to the trash
 *
 * Long work takes the lock twice, at its begin and at its end, and looks between whether the log still is what it was: segments
 * have ids (struct segment). Thread: data or pool; use_end() on the pool. */

enum {
    UNSYNCED_MAX = 64 * 1024 * 1024 /* bytes of one partition that may wait for the next regular sync */
};

/* One hold of the lock. */
struct hold {
    struct partition *p;
    ARRAY(struct partition_wake) wakes;
    bool is_leaving; /* nothing holds the removed log any more: it goes to the trash */
    struct plog *removed; /* taken from the partition; NULL = it has none */
    bool wants_flush;     /* [LOG-71] */
    /* Of the steps under this hold; they leave with it. */
    broker_id was_following;
    bool has_moved; /* whom it follows, or where it stands, is to be looked at */
    ARRAY(struct replica_proposal) proposals;
    const char *report; /* NULL = none */
    enum partition_work {
        PARTITION_WORK_NONE,
        PARTITION_WORK_CUT,
        PARTITION_WORK_RESTART
    } work; /* on the log, to be done on the pool */
    offset64 work_at;
    bool work_keep;
};

void hold_begin(struct hold *h, struct partition *p);
void hold_end(struct hold *h);

/* One step of the core; effects for parked requests go to the hold, the caller's own one to *ret_own (may be NULL). */
void partition_step(struct hold *h,
        const struct replica_event *ev,
        const struct replica_ask *own,
        struct replica_fx_item *ret_own);
/* Somebody waits for the disk. Asks for a flush when the hold ends, or for one more of the flush under way. */
void partition_want_flush_locked(struct hold *h);
/* Asks the core whether the offsets of this log may be told, `latest` also where it ends. True: *ret_answer has the limit and
 * the leader epoch. False: it has the error and its sentence. */
bool partition_may_tell(
        struct hold *h, epoch32 leader_epoch, bool latest, struct replica_fx_item *ret_answer);
/* The log refused to go on. */
void partition_fail_locked(struct hold *h);

/* Carries out the newest order that came while the log was being opened. */
void partition_carry_out(struct hold *h, const struct partition_order *o);
/* Opens the log; nobody else does so meanwhile. Without the lock, the caller has copied `config` under it. NULL and said in
 * the log: it does not open. */
struct plog *partition_open_log(
        struct partition *p, const struct plog_config *config, int64_t *ret_scanned);
/* Makes it the partition's. */
void partition_install_log(struct partition *p, struct plog *log);
/* Moves the removed log to the trash. Takes no lock. */
void partition_leave(struct partition *p, struct plog *removed);

/* [LOG-20] The log start moves forward to `start`. */
void partition_start_locked(struct partition *p, offset64 start);

/* --- partition_isr.c --- */
/* What others may know of the core without the lock. */
void partition_note_core(struct partition *p);
void partition_take_answer(struct hold *h, const struct partition_answer *a);
void partition_tick_locked(struct hold *h);

/* --- partition_cut.c --- */
/* The log is kept (partition_use_begin) for the job, which gives it back. */
void partition_cut_begin(struct partition *p, offset64 at);

/* --- partition_restart.c --- */
/* As partition_cut_begin(): an empty log at `base`; `keep` the old one aside. */
void partition_restart_begin(struct partition *p, offset64 base, bool keep);
/* What the checkpoint says of a partition that begins anew. */
struct checkpoint_entry partition_restart_checkpoint(struct partition *p);

/* --- partition_producers.c --- */
/* The log was opened, and nobody else knows it yet: rebuilds what it tells of producers. Results as plog_open. */
MUST_CHECK int partition_producers_open(
        struct partition *p, struct plog *log, offset64 no_producers);
void partition_producers_close(struct partition *p);
/* The log is a new one, and empty. */
void partition_producers_begin(struct partition *p);
/* A first batch begins below where the log was to begin (plog_append_first()). */
void partition_producers_begin_below(struct partition *p, offset64 base);
/* Cuts what is known of producers at `end`, which plog_truncate_begin() gave, before the log is. > 0: PLOG_E_BUSY, again. */
MUST_CHECK int partition_producers_cut(struct partition *p, offset64 end);
/* A leader asks before it appends. False: *ret has the outcome, or the request is parked. */
bool partition_producers_admit(struct hold *h,
        const struct replica_ask *ask,
        int32_t acks,
        const struct batch *b,
        struct partition_produced *ret);
/* The batch, as it was written, stands in the log from `base` on. */
void partition_producers_note(struct partition *p, const struct batch *b, offset64 base);
/* [PID-35] For the checkpoint: below it there is nothing that a start has to know; 0 = there may
 * be. */
offset64 partition_producers_none_below(struct partition *p);

/* The log, kept until partition_use_end(); NULL: there is none, it failed, or its topic was removed. */
struct plog *partition_use_begin(struct hold *h);
/* Under a later hold of the same partition. Thread: pool. */
void partition_use_end(struct hold *h);
/* Its topic was removed since the use began: what was done in vain may end now. Takes no lock. */
bool partition_is_removed(const struct partition *p);
