/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "broker/core/replica.h"
#include "common/base/mutant.h"
#include "common/base/prng.h"

#include <setjmp.h>
#include <stdbool.h>

/* A random walk of one partition: real replica cores, the controller's real partition_change(), abstract logs.
 *
 * Brokers apply the controller's history each at its own pace. Fetches, answers, proposals and reports are late, doubled and
 * overtaken; processes and hosts crash (a host loses what was not synced), logs are damaged, brokers are fenced rightly and
 * wrongly, min_isr changes, logs lose their beginning to retention, elections are clean, preferred and unclean. After each step
 * the invariants S4 and S6 to S12 hold, or the walk ends with a sentence. A seed repeats. */

enum {
    MODEL_BROKERS_MAX = 4,
    MODEL_LOG_MAX = 40,
    MODEL_HISTORY_MAX = 300,
    MODEL_SLOTS = 6,
    MODEL_BATCH = 3,
};

struct model_record {
    epoch32 epoch;
    int id;
};

/* What the controllers have decided; entry after entry. */
struct model_image {
    struct partition_state record;
    int64_t registered[MODEL_BROKERS_MAX];
    bool is_fenced[MODEL_BROKERS_MAX], is_purged[MODEL_BROKERS_MAX];
};

/* What can happen; each walk makes some of it much rarer or more frequent than others do. */
enum model_action {
    MODEL_APPLY,
    MODEL_PRODUCE,
    MODEL_SEND_FETCH,
    MODEL_FINISH_WORK,
    MODEL_FLUSH,
    MODEL_TICK,
    MODEL_RETAIN,
    MODEL_DAMAGE,
    MODEL_RENEW_SESSION,
    MODEL_CRASH, /* the last of those that need a process */
    MODEL_START,
    MODEL_ADVANCE_BROKER,
    MODEL_FENCE,
    MODEL_DELIVER_FETCH,
    MODEL_DELIVER_ANSWER,
    MODEL_DELIVER_CALL,
    MODEL_GIVE_UP_WAITING,
    MODEL_DELIVER_REPORT,
    MODEL_CHANGE_MIN_ISR,
    MODEL_PREFER_ANOTHER,
    MODEL_ELECT_UNCLEANLY,
    MODEL_N_ACTIONS
};

enum model_kind {
    MODEL_CLEAN,
    MODEL_PROC,
    MODEL_HOST,
};

struct model_broker {
    /* The disk. */
    struct model_record log[MODEL_LOG_MAX];
    int start, end, flushed;
    int saved_hw;
    bool is_damaged;
    epoch32 begun; /* an epoch without a record yet */

    /* The process. */
    bool is_up, is_ready; /* ready: it has seen its registration */
    int64_t process;      /* unique */
    int64_t epoch;        /* of its newest ephemeral node */
    int64_t epochs[8];    /* all of this process */
    int n_epochs;
    enum model_kind kind;     /* of the crash before, until it is unfenced */
    bool needs_disqualifying; /* its log is not what it was */
    int applied;
    struct replica core;
    struct replica_fx fx;
    bool is_core_live;

    /* Work on the log that was asked for. */
    enum replica_work work;
    offset64 work_base;
    struct model_record batch[MODEL_BATCH];
    int n_batch;
};

struct model_fetch {
    bool is_set;
    int from, to;
    int64_t process, epoch;
    epoch32 leader_epoch, last_epoch;
    int offset, flushed;
};

struct model_answer {
    bool is_set;
    int to;
    int64_t process;
    struct replica_event ev;
    struct model_record batch[MODEL_BATCH];
};

struct model_call {
    bool is_set;
    int from;
    int64_t process, epoch;
    struct replica_proposal q;
};

struct model_report {
    bool is_set;
    int from;
    int64_t epoch;
};

struct model_counts {
    long steps, commits, elections, elr_elections, unclean, host_crashes, cuts, hw_cuts, copies,
            restarts, refills, joins, leaves, refused, taken_back, reports, acked, retained;
};

struct model {
    struct prng rng;
    int n;
    wtime now;
    struct model_image history[MODEL_HISTORY_MAX];
    int n_history;
    int64_t next_epoch;
    struct model_broker b[MODEL_BROKERS_MAX];
    struct model_fetch fetches[MODEL_SLOTS];
    struct model_answer answers[MODEL_SLOTS];
    struct model_call calls[MODEL_SLOTS];   /* on their way to the controller */
    struct model_call waiting[MODEL_SLOTS]; /* PROPOSED has to come */
    struct model_report reports[MODEL_SLOTS];
    /* What was committed, by whom first. */
    struct model_record committed[MODEL_LOG_MAX];
    epoch32 committed_by[MODEL_LOG_MAX];
    int n_committed;
    int highest_start; /* what retention has removed */
    int next_id;
    bool is_fsync;
    wtime lag_max;
    unsigned emphasis;
    int weights[MODEL_N_ACTIONS], weight_sum;
    int slowness[MODEL_BROKERS_MAX];
    struct model_counts counts;
    const char *why; /* of the violation */
    jmp_buf violated;
    bool tells; /* a line a step on stderr */
};

/* `emphasis`: bits of enum model_action that are frequent in any case. */
void model_init(struct model *m, uint64_t seed, int n_brokers, unsigned emphasis);
void model_deinit(struct model *m);
/* False: an invariant does not hold; m->why says which. */
bool model_walk(struct model *m, int n_steps);
/* Leaves the walk. */
_Noreturn void model_violation(struct model *m, const char *why);

/* --- replica_model_check.c --- */

void model_check(struct model *m);
void model_check_leader(struct model *m, int id);
/* `id` has moved its high watermark as a leader: everything below is committed. */
void model_note_commits(struct model *m, int id, int from);
/* The winner of an unclean election has what counts from now on. */
void model_note_unclean(struct model *m, int winner);
