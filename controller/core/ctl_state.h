/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a controller core is made of; for controller/core alone. */
#include "common/base/array.h"
#include "common/base/prng.h"
#include "common/base/trace.h"
#include "controller/core/ctl.h"
#include "controller/core/partition_change.h"

enum {
    CTL_PARTITIONS_DEFAULT = 1,  /* num.partitions, when the cluster sets none */
    CTL_REPLICATION_DEFAULT = 3, /* default.replication.factor, likewise: with so many brokers */
    CTL_TRASH_TOPICS = 1000, /* [TRS-5] */
    CTL_TRASH_PARTITIONS = 50000,
    CTL_OPERATIONS_MAX = 1000,  /* [CTL-75] */
    CTL_JOURNAL_REPLICAS = 3,   /* of the decision journal, where so many brokers are up */
    CTL_TRACED_PARTITIONS = 20, /* partition lines of one step; the rest is counted */
    CTL_SET_TEXT_SIZE = REPLICAS_MAX * 12,
};

/* A replica that its broker gave up, until the broker or the partition's leader says otherwise. */
struct ctl_failed {
    struct ctl_partition_ref ref;
    /* [CTL-47] Who asks for it upon an older record did not know that it failed. */
    epoch32 known_since;
};

/* [CTL-52] A partition whose last known replicas were asked how far their logs reach. */
struct ctl_recovery {
    struct ctl_partition_ref ref;
    epoch32 partition_epoch; /* of the record upon which they were asked */
    struct ctl_recovery_answer {
        int64_t epoch; /* of the broker that was asked */
        bool is_told;
        epoch32 last_epoch;
        offset64 end;
    } asked[REPLICAS_MAX]; /* in the order of the last known */
};

/* A broker whose ephemeral node stands. What a registration needs is in the image; here is what
 * only this controller heard. */
struct ctl_seen {
    broker_id id;
    int64_t epoch;
    bool is_ready;                          /* BROKER_READY came, and it was not fenced since */
    bool is_diskless;                       /* BROKER_DIRS_FAILED came */
    ARRAY(struct ctl_failed) failed;        /* sorted; of its replicas, as it said */
};

struct ctl {
    const struct trace *trace;
    struct prng prng;
    int32_t replication_factor_max;
    size_t trash_topics_max, trash_partitions_max, operations_max;
    bool has_journal;

    struct image *next; /* NULL = standby */
    uint64_t last_seq, committed_seq;
    bool is_listed;              /* BROKERS_LISTED came */
    wtime purge_at;              /* when to look at the trash; WTIME_NEVER = it is empty */
    /* [CTL-49] When leaderships go back, and until when that is put off at the latest. */
    wtime rebalance_at, rebalance_by;
    bool is_stirred;             /* in this step: brokers or partitions changed */
    bool is_raise_due;           /* in this step: an internal topic may get more replicas, */
    wtime raise_at;              /* then */
    bool is_empty_due;           /* in this step: a decommissioned broker may lose something, */
    wtime empty_at;              /* then */
    size_t n_leaving;            /* brokers that are decommissioned */
    ARRAY(struct ctl_recovery) recoveries; /* sorted */
    wtime ask_at;                /* when to look for lost partitions again; WTIME_NEVER = none is */
    ARRAY(struct ctl_seen) seen; /* sorted by id */
    ARRAY(struct ctl_size) sizes; /* sorted; as brokers last said */
    struct {
        bool is_enabled;
        bool is_stirred;  /* in this step: brokers or the configuration changed, */
        bool has_arrived; /* or a move has ended */
        wtime at;         /* when to look; WTIME_NEVER = something has to happen first */
        bool is_asking;   /* an ASK_SIZES is under way */
        bool is_begun;    /* the moves under way are of the last plan */
        bool is_resting;  /* [CTL-87] somebody took moves back */
        struct ctl_balance last;
        ARRAY(struct ctl_balance_broker) brokers; /* of `last` */
    } balance;

    /* Of the step under way. */
    bool is_stepping;
    const struct ctl_event *ev;
    struct ctl_fx *fx;
    struct meta_why why;               /* strings live in fx->arena */
    ARRAY(struct meta_record) records; /* of this step; borrowed by the shell until the next */
    unsigned n_traced, n_unclean;
    unsigned n_reverted; /* moves that were taken back */
    /* [CTL-75] What is begun in this step belongs to an operation of this kind; it is recorded with the first move that
     * has to go on. */
    struct {
        enum operation_kind kind; /* 0 = to none */
        struct broker_set brokers;
        uint64_t id; /* 0 = nothing goes on so far */
        int32_t n;
    } opening;
};

/* --- effects.c -------------------------------------------------------------------------------- */
void ctl_fx_begin(struct ctl *c, const struct ctl_event *ev, struct ctl_fx *fx);
/* Puts the APPEND of this step's records before the replies. */
void ctl_fx_end(struct ctl *c);
/* Text that lives as long as the effects. */
const char *ctl_format(struct ctl *c, const char *format, ...)
        __attribute__((format(printf, 2, 3)));
const char *ctl_strdup(struct ctl *c, const char *s);
/* A record of this step's cause; `inputs` lives as long as the effects. */
struct meta_record ctl_record(struct ctl *c, enum meta_kind kind, const char *inputs);
/* Numbers the record, applies it to `next` and lets it out with this step. */
void ctl_append(struct ctl *c, const struct meta_record *record);
void ctl_append_broker(
        struct ctl *c, enum meta_kind kind, broker_id id, int64_t epoch, const char *inputs);
/* An answer to the event's request, if anybody waits. It leaves when everything decided so far
 * is committed, because it may rest on any of it. The result, to be filled in, is NULL when
 * nobody waits. */
struct ctl_reply *ctl_answer(struct ctl *c, int error, const char *detail);

/* --- settle.c --------------------------------------------------------------------------------- */
/* The replicas of `p` that may lead. */
struct broker_set ctl_active_replicas(const struct ctl *c, const struct partition_state *p);
/* The record that follows `p` with the ISR wished, as far as the states of the brokers allow;
 * `active` and `min_isr` of the wish are not looked at. `p` is of a topic that is there. */
struct partition_state ctl_changed(
        const struct ctl *c, const struct partition_state *p, const struct partition_want *wish);
/* What the states of the brokers demand of `p`; `disqualified` BROKER_NONE = nobody. Equal to
 * `p` (partition_differs) when `p` is settled. */
struct partition_state ctl_settled(
        const struct ctl *c, const struct partition_state *p, broker_id disqualified);
/* [CTL-88] Whether the topic of `p`, which is there, has acknowledgements for the disk. */
bool ctl_is_synced(const struct ctl *c, const struct partition_state *p);
/* [CTL-89] Whether a replica whose broker ended so may lack what is committed. */
bool ctl_has_lost(const struct partition_state *p, enum crash_kind kind);
/* Settles the partitions that have a replica on `id` (BROKER_NONE: all), each with a record if
 * it must change; `kind` is what `id` has lost, CLEAN = nothing. `what` names the trigger in the
 * records' inputs: "fenced=2". */
void ctl_settle(struct ctl *c, broker_id id, enum crash_kind kind, const char *what);
void ctl_settle_one(
        struct ctl *c, const struct partition_state *p, broker_id disqualified, const char *what);
/* The record itself, told; `what` as above. */
void ctl_append_partition(struct ctl *c,
        const struct partition_state *p,
        const struct partition_state *next,
        const char *what);
/* "1,2,3" into `text`. */
const char *ctl_set_text(const struct broker_set *s, char *text, size_t size);
/* One line about the partitions that were too many to tell. */
void ctl_settle_summary(struct ctl *c);

/* --- liveness.c ------------------------------------------------------------------------------- */
struct ctl_seen *ctl_find_seen(const struct ctl *c, broker_id id);
void ctl_forget_seen(struct ctl *c); /* all of them */
void ctl_on_broker_seen(struct ctl *c, const struct meta_register_broker *r);
void ctl_on_brokers_listed(struct ctl *c);
void ctl_on_broker_gone(struct ctl *c);
void ctl_on_broker_suspected(struct ctl *c); /* REFUSED, SILENT, DIRS_FAILED */
void ctl_on_broker_ready(struct ctl *c);
void ctl_on_broker_shutdown(struct ctl *c);

/* --- failures.c ------------------------------------------------------------------------------- */
int ctl_compare_refs(const struct ctl_partition_ref *a, const struct ctl_partition_ref *b);
/* Whether the broker has given up its replica of `p`. */
bool ctl_has_failed(const struct ctl *c, broker_id id, const struct partition_state *p);
/* The same, with what is known of it; NULL = it has not. */
const struct ctl_failed *ctl_find_failed(
        const struct ctl *c, broker_id id, const struct partition_state *p);
/* Its replica of `p` may be in sync again. */
void ctl_forgive(struct ctl *c, broker_id id, const struct partition_state *p);
/* Its topic is deleted: what comes back from the trash is opened anew, and fails again where it is damaged. */
void ctl_forget_failures(struct ctl *c, const struct uuid *topic_id);
/* READY came: what it says that has failed replaces what it said before. */
void ctl_keep_failed(struct ctl *c, struct ctl_seen *s);
void ctl_on_replica_failed(struct ctl *c);

/* --- proposals.c ------------------------------------------------------------------------------ */
void ctl_on_alter_partition(struct ctl *c);

/* --- elections.c ------------------------------------------------------------------------------ */
void ctl_on_elect(struct ctl *c);
/* [REP-9] `p` has no leader and several replicas, one of them `winner`; `what` is the inputs. */
void ctl_elect_unclean(struct ctl *c,
        const struct partition_state *p,
        broker_id winner,
        const char *what);
/* [CTL-49] Gives leaderships back when it is time to. */
void ctl_rebalance(struct ctl *c);
/* Says when it is; at the end of a step. */
void ctl_plan_rebalance(struct ctl *c);

/* --- recovery.c ------------------------------------------------------------------------------- */
/* [CTL-52] Asks about every partition that can be recovered now. */
void ctl_look_for_lost(struct ctl *c);
/* The same, when somebody failed to answer. */
/* A record that says so was written, or came back: the next tick looks for it. */
void ctl_note_lost(struct ctl *c, const struct partition_state *p);
void ctl_ask_again(struct ctl *c);
void ctl_on_log_ends(struct ctl *c);

/* --- reassign.c ------------------------------------------------------------------------------- */
void ctl_on_reassign(struct ctl *c);
/* Begins it, or with no target takes back what is under way; not when the event is a dry run. */
struct ctl_reassigned ctl_reassign_one(struct ctl *c,
        const char *topic,
        const struct partition_state *p,
        const struct broker_set *target);

/* Whether the event wants to know only what would be. */
bool ctl_is_dry_run(const struct ctl *c);

/* --- intents.c -------------------------------------------------------------------------------- */
/* [CTL-71] Those of the replicas that lead only what nobody else can lead. */
struct broker_set ctl_reluctant(const struct ctl *c, const struct partition_state *p);
/* Records it, unless it is so, and moves leaderships. */
void ctl_set_intent(struct ctl *c, broker_id id, enum broker_intent intent);
void ctl_on_broker_intent(struct ctl *c);
void ctl_on_forget_broker(struct ctl *c);
/* [CTL-72] Whether it leads nothing that another replica may lead, now or once it is in sync. */
bool ctl_is_drained(const struct ctl *c, broker_id id, uint32_t *ret_n_single);
/* Partitions that have a replica there, of topics that are there and in the trash. */
uint32_t ctl_n_held(const struct ctl *c, broker_id id);
uint32_t ctl_n_held_in_trash(const struct ctl *c, broker_id id);
/* NULL, or why a broker that is known gets no new replicas although it may be up: "is cordoned". */
const char *ctl_intent_text(enum broker_intent intent);

/* --- operations.c ----------------------------------------------------------------------------- */
/* [CTL-75] NULL, or a sentence: too many run for another to begin. */
const char *ctl_operation_refusal(struct ctl *c);
/* The operation of a move that begins and goes on; 0 = none. */
uint64_t ctl_operation_of_move(struct ctl *c);
/* An operation that runs, with so many partitions; its id. */
uint64_t ctl_operation_begin(struct ctl *c,
        enum operation_kind kind,
        const struct broker_set *brokers,
        int32_t n_partitions,
        const char *detail);
/* Whatever was begun in this step has been begun: the operation, or 0. */
uint64_t ctl_operation_close(struct ctl *c);
/* The one of that kind that runs for the broker; 0 = none. */
uint64_t ctl_operation_for(const struct ctl *c, enum operation_kind kind, broker_id id);
/* It goes on, with another sentence, number or set of brokers; no record when nothing differs. */
void ctl_operation_update(struct ctl *c, const struct meta_operation *o);
void ctl_operation_end(
        struct ctl *c, uint64_t id, enum operation_state state, const char *detail);
/* [CTL-76] Ends those that have nothing left to do; at the end of a step. */
void ctl_end_operations(struct ctl *c);
/* The broker is not wanted so any more: operations that were about that end, and their moves are taken back. */
void ctl_operations_part_from(struct ctl *c, broker_id id, const char *detail);
void ctl_on_cancel_operation(struct ctl *c);
/* [CTL-73] Begins to decommission the brokers of the event; their replicas follow. */
void ctl_begin_decommission(struct ctl *c, const struct broker_set *brokers);
/* What came of it, or of another try. */
void ctl_tell_decommission(struct ctl *c, const struct ctl_reassigned *list, size_t n);
/* [CTL-73] When it is time to, what is still on brokers that are decommissioned is tried again. */
void ctl_empty_brokers(struct ctl *c);
/* Says when it is; at the end of a step. */
void ctl_plan_empty(struct ctl *c);
/* A record was applied: what follows from it for those brokers. */
void ctl_note_for_empty(struct ctl *c, const struct meta_record *r);

/* --- sizes.c ---------------------------------------------------------------------------------- */
void ctl_on_sizes(struct ctl *c);
/* How large the partition is; -1 = not known. */
int64_t ctl_size_of(const struct ctl *c, const struct partition_state *p);

/* --- auto_balance.c --------------------------------------------------------------------------- */
/* [CTL-81] Looks at the balance when it is time to. */
void ctl_auto_balance(struct ctl *c);
/* The sizes that it asked for are there. */
void ctl_balance_on_sizes(struct ctl *c);
/* Says when it is; at the end of a step. */
void ctl_plan_auto_balance(struct ctl *c);
/* [CTL-87] An operator took moves back. */
void ctl_balance_rest(struct ctl *c);
void ctl_balance_forget(struct ctl *c);

/* --- goals.c ---------------------------------------------------------------------------------- */
/* Plans what the event asks for and begins it: an error code with the sentence, or each partition that is touched. */
int ctl_reassign_goal(
        struct ctl *c, struct ctl_reassigned **ret, size_t *ret_n, const char **ret_detail);
/* Begins what can leave the brokers; each partition that is touched, or has to wait. */
void ctl_reassign_from(
        struct ctl *c, const struct broker_set *leaving, struct ctl_reassigned **ret, size_t *ret_n);
/* What is to move so that all is even, of users and of the cluster's own. With n_max > 0 such moves are begun, as long as no
 * broker takes part in more than n_max that are under way. */
struct ctl_even {
    size_t n_moves, n_begun;
    int64_t bytes; /* of all moves; -1 = not known */
};
void ctl_plan_even(struct ctl *c, uint32_t n_max, struct ctl_even *ret);
/* [CTL-64] When it is time to, internal topics get as many replicas as there can be by now. */
void ctl_raise_internal(struct ctl *c);
/* Says when it is; at the end of a step, not in it: its answers tell what is in force. */
void ctl_plan_raise(struct ctl *c);

/* --- topics.c --------------------------------------------------------------------------------- */
void ctl_on_create_topic(struct ctl *c, const struct ctl_create_topic *t);
void ctl_on_add_partitions(struct ctl *c);
/* Places the partitions that an earlier controller announced and did not get to. */
void ctl_finish_topics(struct ctl *c);
/* Makes the topic of the decision journal when it is not there and a broker can hold it. */
void ctl_make_journal(struct ctl *c);
/* [CTL-53] default.replication.factor, or what stands for it. */
int32_t ctl_default_replication(const struct ctl *c);
/* The effective min.insync.replicas: `own` of the topic (NULL = none), else of the cluster, else 2
 * from replication factor 3 on; never above it. */
int32_t ctl_min_isr(const struct ctl *c, const char *own, int32_t replication_factor);
/* A number of at least 1; `fallback` for NULL and for what is none. */
int32_t ctl_number_of(const char *text, int32_t fallback);

/* --- producer_ids.c --------------------------------------------------------------------------- */
void ctl_on_producer_ids(struct ctl *c);
/* [PID-3] Ids that the lost history may have given are passed over. */
void ctl_skip_producer_ids(struct ctl *c);

/* --- trash.c ---------------------------------------------------------------------------------- */
void ctl_on_delete_topic(struct ctl *c);
void ctl_on_purge_topic(struct ctl *c);
void ctl_on_restore_topic(struct ctl *c);
/* [TRS-4] Purges what has been in the trash for long enough. */
void ctl_purge_old(struct ctl *c);
/* Says when that is to be done next; at the end of a step. */
void ctl_plan_purge(struct ctl *c);
/* [TRS-6] The registered broker has lost that: what it holds of the trash may lack its end. */
void ctl_doubt_trash(struct ctl *c, broker_id id, enum crash_kind kind, const char *what);
/* The same of one partition; nothing when it is not in the trash. */
void ctl_doubt_trashed(
        struct ctl *c, const struct ctl_partition_ref *ref, broker_id id, const char *what);

/* --- configs.c -------------------------------------------------------------------------------- */
/* [ZK-34] Whether one record holds them: an error code, with the sentence. */
int ctl_check_configs_fit(struct ctl *c,
        const struct meta_config_pair *pairs,
        size_t n,
        const char **ret_detail);
void ctl_on_set_configs(struct ctl *c, const struct ctl_set_configs *s);
/* A value for the whole cluster as a part of the event's decision; `value` fits. */
void ctl_set_cluster_config(struct ctl *c, const char *key, const char *value);
