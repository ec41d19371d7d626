/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/prng.h"
#include "common/base/trace.h"
#include "common/base/wtime.h"
#include "common/domain/errcode.h"
#include "common/domain/image.h"

/* The controller's decisions: events in, records and answers out. Pure: no I/O, no clock, no randomness but the seed.
 *
 *        events (borrowed)                       effects (borrowed until the next step)
 * shell ────────────────────► ctl_step(c, ev, fx) ────────────────────► shell
 *
 * The core owns the `next` image: what the cluster will be when everything it emitted is committed. Records change
 * `next` in the step that emits them; every later decision is made on `next`. The shell commits records in order
 * (batching as it likes), keeps the `committed` image that the world may see, and reports CTL_EV_COMMITTED. An answer
 * leaves only when the records it rests on are committed: CTL_FX_REPLY carries `after_seq`, and the shell holds the
 * answer until that seq is committed (0 = at once).
 *
 *  standby ──ELECTED──► active ──DEPOSED──► standby        while standby, every request is answered NOT_CONTROLLER
 *
 * Rules are numbered [CTL-n] in docs/design/30-controller.md. Owner: the controller's loop. */
struct ctl;

enum ctl_event_kind {
    CTL_EV_ELECTED,          /* this process won ctl_epoch; `next` starts as a copy of `image` */
    CTL_EV_COMMITTED,        /* every record up to `seq` is committed */
    CTL_EV_DEPOSED,          /* commits failed, session lost, another epoch: forget everything */
    CTL_EV_BROKERS_LISTED,   /* after ELECTED: the first complete list of ephemerals was delivered as BROKER_SEEN */
    CTL_EV_BROKER_SEEN,      /* its ephemeral node exists with this czxid */
    CTL_EV_BROKER_GONE,      /* its ephemeral node is gone */
    CTL_EV_BROKER_REFUSED,   /* its port refused twice, 100 ms apart */
    CTL_EV_BROKER_SILENT,    /* no heartbeat within weir.broker.timeout */
    CTL_EV_BROKER_DIRS_FAILED, /* its heartbeat says that every log directory has failed */
    CTL_EV_BROKER_READY,     /* it applied its registration and stands as the image says, but for `failed` */
    CTL_EV_BROKER_SHUTDOWN,  /* it asks for a controlled shutdown; answered by a reply */
    CTL_EV_ALTER_PARTITION,  /* it proposes ISRs of what it leads; answered by a reply, one result each */
    CTL_EV_REPLICA_FAILED,   /* it gives up replicas while it runs; answered by a reply */
    CTL_EV_PRODUCER_IDS,     /* it has no producer ids left for its clients; answered by a reply */
    CTL_EV_CREATE_TOPIC,
    CTL_EV_ADD_PARTITIONS,   /* to a topic that is there */
    CTL_EV_DELETE_TOPIC,
    CTL_EV_PURGE_TOPIC,      /* out of the trash, for good */
    CTL_EV_RESTORE_TOPIC,    /* out of the trash, as it was */
    CTL_EV_SET_CONFIGS,
    CTL_EV_ELECT,            /* somebody asks for a preferred, or an unclean, election */
    CTL_EV_REASSIGN,         /* somebody wants partitions on other brokers, or as they were */
    CTL_EV_BROKER_INTENT,    /* an operator wants something of a broker */
    CTL_EV_FORGET_BROKER,    /* that is gone for good and holds nothing */
    CTL_EV_CANCEL_OPERATION,
    CTL_EV_LOG_ENDS,         /* what came of an ASK_ENDS, perhaps nothing but errors */
    CTL_EV_SIZES,            /* how large partitions are: what came of an ASK_SIZES, or because somebody plans */
    CTL_EV_TICK,             /* ctl_deadline() has come */
};

struct ctl_create_topic {
    const char *name;
    int32_t n_partitions;       /* -1 = the cluster's num.partitions */
    int32_t replication_factor; /* -1 = the cluster's default.replication.factor */
    const struct meta_config_pair *configs; /* validated by the shell against the key table */
    size_t n_configs;
    const struct broker_set *assignments; /* n_assignments = n_partitions sets, or none */
    size_t n_assignments;
    bool dry_run; /* decide and answer, emit nothing */
};

struct ctl_set_configs {
    enum config_scope scope;
    const char *topic; /* scope TOPIC: its name */
    broker_id broker;  /* scope BROKER */
    const struct meta_config_pair *pairs; /* checked by the shell, no key twice; NULL = reset */
    size_t n_pairs;
    uint64_t if_seq; /* only if nothing was decided after this seq; 0 = in any case */
    bool dry_run;
};

struct ctl_partition_ref {
    struct uuid topic_id;
    int32_t partition;
};

struct ctl_isr_member {
    broker_id id;
    int64_t epoch; /* whose fetches the leader counted */
};

/* A leader's proposal, upon the record with these epochs. */
struct ctl_alter_partition {
    struct ctl_partition_ref ref;
    epoch32 leader_epoch, partition_epoch;
    const struct ctl_isr_member *isr;
    size_t n_isr;
    bool is_recovered; /* after an unclean election: its log is open */
    bool is_durable;   /* [REP-58] all who are in sync have on their disks what is committed */
};

struct ctl_failed_replica {
    struct ctl_partition_ref ref;
    const char *reason;
};

struct ctl_log_end {
    struct ctl_partition_ref ref;
    int error;           /* ERRCODE_*; it did not answer, or has no log that it can vouch for */
    epoch32 last_epoch;  /* of its last batch; EPOCH_NONE = none */
    offset64 end;
};

/* How large a partition's log is at its leader. */
struct ctl_size {
    struct ctl_partition_ref ref;
    int64_t bytes;
};

struct ctl_elect_partition {
    const char *topic;
    int32_t partition;
    broker_id leader; /* unclean: who is to lead */
};

struct ctl_reassign {
    const char *topic;
    int32_t partition;
    struct broker_set replicas; /* none = what is under way is taken back */
};

enum ctl_goal {
    CTL_GOAL_NAMED,     /* the partitions named */
    CTL_GOAL_TAKE_BACK, /* all that is under way is taken back */
    CTL_GOAL_BALANCE,   /* as many replicas and first replicas on each broker */
    CTL_GOAL_EMPTY,     /* the brokers named are decommissioned */
    CTL_GOAL_FACTOR,    /* so many replicas of each partition of the topic */
};

struct ctl_event {
    enum ctl_event_kind kind;
    wtime now;
    wall_ms wall;     /* goes into records for people; decides nothing */
    uint64_t request; /* of the shell; comes back in CTL_FX_REPLY. 0 = nobody waits */
    const char *actor, *reason; /* for admin events; "" = none */
    union {
        struct {
            uint64_t ctl_epoch;
            int32_t controller_id;
            const struct image *image; /* committed, whole log applied */
            uint64_t last_seq;
        } elected;
        uint64_t committed_seq;

        struct {
            struct meta_register_broker seen; /* .epoch = czxid */
            int64_t seen_prev_epoch; /* which incarnation it says was before; BROKER_EPOCH_NONE = none */
        };
        struct {
            broker_id id;
            int64_t epoch;
        } broker; /* GONE (epoch -1 = any), REFUSED, SILENT, DIRS_FAILED, SHUTDOWN, PRODUCER_IDS */
        struct {
            broker_id id;
            int64_t epoch;
            const struct ctl_partition_ref *failed;
            size_t n_failed;
        } ready;
        struct {
            broker_id id;
            int64_t epoch;
            const struct ctl_alter_partition *partitions;
            size_t n;
        } alter;
        struct {
            broker_id id;
            int64_t epoch;
            const struct ctl_failed_replica *replicas;
            size_t n;
        } failed;
        struct ctl_create_topic create;
        struct {
            const char *name;
            int32_t n_partitions; /* that there shall be */
            bool dry_run;
        } add_partitions;
        struct {
            const char *name;
            bool is_now; /* not kept in the trash */
            bool dry_run;
        } delete_topic;
        struct {
            struct uuid id;
            bool dry_run;
        } purge_topic;
        struct {
            struct uuid id;
            const char *name; /* "" = the one that it had */
            bool dry_run;
        } restore_topic;
        struct ctl_set_configs set_configs;
        struct {
            broker_id id;
            int64_t epoch; /* of the ASK_ENDS */
            const struct ctl_log_end *partitions;
            size_t n;
        } ends;
        struct {
            const struct ctl_size *items; /* of all that were told; takes the place of what was */
            size_t n;
        } sizes;
        struct {
            const struct ctl_elect_partition *partitions;
            size_t n; /* 0 = all that others than their first replicas lead; not with is_unclean */
            bool is_unclean;
            bool dry_run;
        } elect;
        struct {
            enum ctl_goal goal;
            const struct ctl_reassign *partitions; /* NAMED */
            size_t n;
            struct broker_set brokers;  /* EMPTY */
            const char *topic;          /* FACTOR */
            int32_t replication_factor; /* FACTOR */
            const char *throttle; /* weir.reassignment.bytes.per.second from now on; NULL = as it is */
            bool dry_run;
        } reassign;
        struct {
            broker_id id;
            enum broker_intent intent; /* DECOMMISSIONING is the goal EMPTY of a REASSIGN */
            bool dry_run;
        } intent;
        struct {
            broker_id id;
            bool dry_run;
        } forget;
        struct {
            uint64_t id;
            bool dry_run;
        } cancel;
    };
};

enum ctl_fx_kind {
    CTL_FX_APPEND, /* commit `records` (seq dense and rising over all effects), in this order */
    CTL_FX_REPLY,  /* answer `request` once `after_seq` is committed */
    CTL_FX_ASK_ENDS, /* ask that broker how far its logs reach; later a LOG_ENDS with all of them, in any case */
    CTL_FX_ASK_SIZES, /* ask leaders how large their logs are; later a SIZES, in any case */
};

struct ctl_placement {
    int32_t partition;
    struct broker_set replicas;
    broker_id leader;
    const char *why; /* a sentence: why these brokers */
};

struct ctl_altered {
    struct ctl_partition_ref ref;
    int error;
    const char *detail;
    struct partition_state state; /* the record in force; with error 0 */
};

struct ctl_elected {
    const char *topic;
    int32_t partition;
    int error;
    const char *detail;
    broker_id was, leader; /* before and after; BROKER_NONE = nobody */
};

struct ctl_reassigned {
    const char *topic;
    int32_t partition;
    int error;
    const char *detail;
    struct broker_set was, target; /* its replicas before, and what is wanted */
    bool is_unchanged;             /* it is so, or on its way there, already */
    bool is_done;                  /* with this decision: nobody has to catch up */
    bool is_waiting;               /* it begins later, by itself; `detail` says what is waited for */
    int64_t bytes;                 /* that have to be copied for it; -1 = not known */
};

struct ctl_reply {
    uint64_t request;
    uint64_t after_seq;
    int error;          /* ERRCODE_* */
    const char *detail; /* a sentence with what to do; "" = none */
    struct uuid topic_id; /* of what is about a topic */
    const char *topic;    /* PURGE_TOPIC, RESTORE_TOPIC: its name, when it was or will be there; else NULL */
    wall_ms purged_at;    /* DELETE_TOPIC: when the trash gives it up; 0 = at once */
    bool is_protected;    /* DELETE_TOPIC: refused because of weir.delete.protection */
    const struct ctl_placement *placement; /* CREATE_TOPIC, ADD_PARTITIONS: one a new partition */
    size_t n_placement;
    bool is_unchanged;        /* SET_CONFIGS, ADD_PARTITIONS: all of it holds already, nothing was recorded */
    bool shutdown_done;       /* BROKER_SHUTDOWN */
    uint32_t shutdown_remaining;
    const struct ctl_altered *altered; /* ALTER_PARTITION: in the order asked; with error 0 */
    size_t n_altered;
    const struct ctl_elected *elected; /* ELECT: in the order asked; with error 0 */
    size_t n_elected;
    /* REASSIGN: in the order asked, or what is planned; CANCEL_OPERATION: what is taken back; with error 0 */
    const struct ctl_reassigned *reassigned;
    size_t n_reassigned;
    uint64_t operation; /* REASSIGN, BROKER_INTENT: what goes on; 0 = all of it is done */
    uint32_t n_moved;   /* BROKER_INTENT: leaderships that went, or would go, to others, */
    uint32_t n_waiting; /* those that it keeps until another replica is in sync, */
    uint32_t n_single;  /* and those of partitions that have no other replica */
    int64_t ids_first; /* PRODUCER_IDS: the block first … first + count - 1 */
    int32_t ids_count;
};

struct ctl_fx_item {
    enum ctl_fx_kind kind;
    struct {
        const struct meta_record *records;
        size_t n;
    } append;
    struct ctl_reply reply;
    struct {
        broker_id id;
        int64_t epoch; /* the incarnation that is meant */
        struct ctl_partition_ref *refs;
        size_t n;
    } ask;
};

/* Effects of one step, in order. Zero-initialised before the first; its memory is reused from step to step. */
struct ctl_fx {
    struct ctl_fx_item *items;
    size_t n, cap;
    struct arena *arena; /* strings and records of these effects */
};
void ctl_fx_deinit(struct ctl_fx *fx);

struct ctl_options {
    uint64_t seed;               /* topic ids come from it: the shell gives real randomness */
    const struct trace *trace;   /* or NULL */
    int32_t replication_factor_max; /* greater ones are refused with a sentence */
    size_t trash_topics_max;     /* 0 = 1,000 */
    size_t trash_partitions_max; /* 0 = 50,000 */
    size_t operations_max;       /* that run at once; 0 = 1,000 */
    bool has_auto_balance;       /* [CTL-81] weir.auto.balance is heeded */
    bool has_journal;            /* the topic TOPIC_DECISIONS is made as soon as a broker can hold it */
};

struct ctl *ctl_new(const struct ctl_options *options);
struct ctl *ctl_free(struct ctl *c);
void ctl_step(struct ctl *c, const struct ctl_event *ev, struct ctl_fx *fx);
wtime ctl_deadline(const struct ctl *c); /* when to send TICK; WTIME_NEVER = not at all */
/* [CTL-84] What came of the last look at the balance. Not a decision: it may be of the time of an older image. */
struct ctl_balance_broker {
    broker_id id;
    uint32_t replicas, leaders; /* leaders: first replicas */
    int64_t bytes;              /* -1 = not known */
};

enum ctl_balance_mode {
    CTL_BALANCE_OFF,
    CTL_BALANCE_PLAN,
    CTL_BALANCE_APPLY
};

struct ctl_balance {
    enum ctl_balance_mode mode;
    wall_ms evaluated_at; /* 0 = never */
    bool is_balanced;
    char why[200];         /* a sentence; why nothing was done when nothing was */
    size_t n_moves;        /* planned, those that were begun among them */
    int64_t bytes_to_move; /* -1 = not known */
    const struct ctl_balance_broker *brokers;
    size_t n_brokers;
};

const struct ctl_balance *ctl_balance(const struct ctl *c);
bool ctl_is_active(const struct ctl *c);
const struct image *ctl_next_image(const struct ctl *c); /* NULL while standby; for tests and the simulator */
/* Every invariant of the core in one place. */
bool ctl_check(const struct ctl *c);
