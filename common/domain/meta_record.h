/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/uuid.h"
#include "common/base/wtime.h"
#include "common/domain/ids.h"
#include "common/domain/partition.h"

#include <stddef.h>

/* Records of the metadata log. The controller appends them, controllers and brokers apply them with image_apply().
 * Strings are borrowed from whoever made the record (a core's arena, a decoded message). */

/* The newest feature level ("metadata.version") whose records this code reads and writes: the one place for it. */
enum {
    META_FEATURE_LEVEL = 1
};

/* Limits that keep every batch of the log and every chunk of a snapshot below what ZooKeeper takes: [ZK-34] in
 * docs/design/20-zookeeper.md. Whoever lets text in refuses what would make a larger record. */
enum {
    META_RECORD_MAX = 64 * 1024,  /* one record as it is stored, its tag and length included */
    META_CONFIGS_MAX = 32 * 1024, /* the pairs of one record, as record_configs_max() counts */
};

enum meta_kind {
    META_NEW_CONTROLLER = 1,
    META_REGISTER_BROKER = 2,
    META_BROKER_PURGED = 3,
    META_FENCE_BROKER = 4,
    META_UNFENCE_BROKER = 5,
    META_BROKER_SHUTDOWN = 6,
    META_CREATE_TOPIC = 7,
    META_REMOVE_TOPIC = 8,
    META_PARTITION_STATE = 9,
    META_CONFIG_SET = 10,
    META_PRODUCER_ID_BLOCK = 11,
    META_FEATURE_SET = 12,
    META_PURGE_TOPIC = 13,
    META_RESTORE_TOPIC = 14,
    META_BROKER_INTENT = 15,
    META_BROKER_FORGOTTEN = 16,
    META_OPERATION = 17,
};

enum {
    META_KINDS = META_OPERATION /* kinds have the numbers from 1 to this */
};

/* A tree that was made from the brokers' images begins so many controller epochs above what any of
 * them has seen ([RBD-6]); a term that is so far above its image begins behind a history that
 * nobody has any more. */
enum {
    META_REBUILD_EPOCHS = 1000
};

/* How a broker's previous run ended (docs/design/10-replication.md, 2.4). A greater kind has lost more. */
enum crash_kind {
    CRASH_CLEAN = 1, /* orderly stop: nothing is lost */
    CRASH_PROC = 2,  /* the process died, the kernel did not: what write(2) accepted is there */
    CRASH_HOST = 3,  /* power, kernel, remount: unsynced data may be gone */
    /* A directory is missing, or an old copy: what was synced may be gone, too. The controller's word. */
    CRASH_DISK = 4,
};

/* Why a record exists; served by `weir explain`. */
enum meta_cause {
    CAUSE_CONTROLLER_ELECTED = 1,
    CAUSE_BROKER_REGISTERED = 2,
    CAUSE_BROKER_GONE = 3,     /* its ephemeral node went away or was replaced */
    CAUSE_BROKER_REFUSED = 4,  /* its port refused twice: the process is dead */
    CAUSE_BROKER_SILENT = 5,   /* no heartbeat within weir.broker.timeout */
    CAUSE_BROKER_READY = 6,
    CAUSE_BROKER_SHUTDOWN = 7, /* it asked for a controlled shutdown */
    CAUSE_ADMIN = 8,
    CAUSE_ISR_PROPOSED = 9,
    CAUSE_REPLICA_FAILED = 10,
    CAUSE_INTERNAL_TOPIC = 11, /* the cluster needs the topic for its own state */
    CAUSE_BROKER_DIRS_FAILED = 12, /* every log directory of it has failed */
    CAUSE_PRODUCER_IDS = 13,       /* a broker has none left for its clients */
    CAUSE_TRASH_EXPIRED = 14,      /* a deleted topic was kept for weir.delete.grace.ms */
    CAUSE_TRASH_FULL = 15,         /* the trash holds no more; the oldest went */
    CAUSE_LEADERS_BALANCED = 16,   /* leaderships go back to the first replicas */
    CAUSE_FURTHEST_LOG = 17,       /* nobody was in sync; of all who may have the records, its log reaches furthest */
    CAUSE_DECOMMISSION = 18,       /* its broker is being decommissioned */
    CAUSE_OPERATION_ENDED = 19,    /* nothing of it was left to do */
    CAUSE_AUTO_BALANCE = 20,       /* brokers are to hold and lead as much */
};

struct meta_why {
    enum meta_cause cause;
    const char *actor;  /* "controller 1", "http 127.0.0.1", "broker 3"; "" = the controller itself */
    const char *reason; /* what the person gave with --reason; "" = none */
    const char *inputs; /* what the decision looked at, e.g. "isr=[1,2] live=[2,3]"; "" = none */
};

struct endpoint {
    const char *name; /* listener name: "weir" */
    const char *host; /* advertised name or address, IPv6 without brackets */
    uint16_t port;
};

/* What an operator wants of a broker (docs/design/30-controller.md [CTL-70]); each wants what those in front of it
 * want as well. */
enum broker_intent {
    BROKER_WANTED = 0,          /* nothing in particular */
    BROKER_CORDONED = 1,        /* gets no new replicas */
    BROKER_DRAINING = 2,        /* leads nothing that another can lead */
    BROKER_DECOMMISSIONING = 3, /* its replicas go elsewhere */
};

enum operation_kind {
    OPERATION_REASSIGN = 1,
    OPERATION_BALANCE = 2,
    OPERATION_REPLICATION = 3,
    OPERATION_DECOMMISSION = 4,
    OPERATION_DRAIN = 5,
};

enum operation_state {
    OPERATION_RUNNING = 1,
    OPERATION_DONE = 2,
    OPERATION_FAILED = 3,
    OPERATION_CANCELLED = 4,
};

/* What somebody asked for and that takes its time. */
struct meta_operation {
    uint64_t id; /* seq of its first record */
    enum operation_kind kind;
    enum operation_state state;
    struct broker_set brokers; /* that it is about; DECOMMISSION, DRAIN */
    int32_t n_partitions;      /* that it began with */
    wall_ms started, ended;    /* 0 = it runs */
    const char *detail;        /* a sentence; "" = none */
    const char *actor, *reason;
};

struct meta_register_broker {
    broker_id id;
    int64_t epoch;
    int64_t served_epoch; /* the last one before it that was unfenced; 0 = none, or not known */
    enum crash_kind crash_kind;
    const char *rack; /* "" = none */
    const char *version;
    const struct endpoint *endpoints;
    size_t n_endpoints;
    const struct uuid *dirs;
    size_t n_dirs;
};

struct meta_config_pair {
    const char *key;
    const char *value; /* NULL = back to the default */
};

enum config_scope { CONFIG_CLUSTER = 1, CONFIG_TOPIC = 2, CONFIG_BROKER = 3 };

struct meta_record {
    uint64_t seq; /* dense over the whole log, from 1; the decision's number */
    wall_ms at;
    struct meta_why why;
    enum meta_kind kind;
    union {
        struct {
            uint64_t ctl_epoch;
            int32_t controller_id;
        } new_controller;
        struct meta_register_broker register_broker;
        struct {
            broker_id id;
            int64_t epoch;
        } broker; /* PURGED, FENCE, UNFENCE, SHUTDOWN */
        struct {
            struct uuid id;
            const char *name;
            bool internal;
            int32_t n_partitions; /* the PARTITION_STATEs follow, in the same or later batches */
            int32_t replication_factor;
            uint64_t created_at_index; /* 0 = the batch it stands in; a snapshot says the original */
            const struct meta_config_pair *configs;
            size_t n_configs;
        } create_topic;
        struct {
            struct uuid id;
        } remove_topic; /* into the trash */
        struct {
            struct uuid id;
            /* A snapshot's: the topic was purged, and only that is still known of it. */
            bool is_tombstone;
        } purge_topic;
        struct {
            struct uuid id;
            const char *name; /* under which it comes back */
        } restore_topic;
        struct partition_state partition;
        struct {
            enum config_scope scope;
            struct uuid topic_id; /* scope TOPIC */
            broker_id broker;     /* scope BROKER */
            const struct meta_config_pair *configs;
            size_t n_configs;
        } config_set;
        struct {
            broker_id broker;
            int64_t broker_epoch;
            int64_t first;
            int32_t count;
        } producer_ids;
        struct {
            const char *name;
            int32_t level;
        } feature;
        struct {
            broker_id id;
            enum broker_intent intent;
        } intent;
        struct {
            broker_id id;
        } forgotten;
        struct meta_operation operation;
    };
};

/* The broker whose registration, state or intent the record is about; BROKER_NONE = none. */
broker_id record_broker(const struct meta_record *r);
/* Upper bound of what the record takes when it is stored, its tag and length included. Pure. */
size_t record_stored_max(const struct meta_record *r);
/* The same of a list of configurations alone. */
size_t record_configs_max(const struct meta_config_pair *pairs, size_t n);
