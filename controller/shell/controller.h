/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/net/loop.h"
#include "common/net/resolve.h"
#include "common/wire/messages.h"
#include "controller/core/ctl.h"

/* A controller: owns the core, the ZooKeeper session, the claim, the metadata log and the links to brokers; everything
 * on one loop.
 *
 *   session → bootstrap → tail the log (standby) → claim won → read to the end → ELECTED → active
 *                              ▲                                                             │
 *                              └──────────── claim lost, commit failed, session lost ────────┘
 *
 * What leaves the controller (answers, pushes, this header's image) rests on committed records only. Thread: control,
 * for everything here. */
struct auth_secret;
struct controller;
struct journal;
struct move_sizes;

struct controller_options {
    int32_t id;
    const char *zookeeper; /* connect string */
    int session_timeout_ms;
    const char *http;     /* advertised base URL: "http://127.0.0.1:9180" */
    const char *listener; /* name of the broker listener that controllers dial */
    wtime broker_timeout; /* a broker without heartbeat for so long is silent */
    int64_t snapshot_entries;
    int32_t replication_factor_max;
    const struct auth_secret *secret; /* that brokers prove and are proven; NULL = none */
    const char *digest;               /* for ZooKeeper: "user:password"; NULL = none */
};

enum {
    CONTROLLER_E_OPTIONS = 1
};

/* Starts. The resolver is borrowed. > 0: CONTROLLER_E_OPTIONS, `error` has the sentence. */
MUST_CHECK int controller_new(struct loop *loop,
        struct resolver *resolver,
        const struct controller_options *options,
        struct controller **ret,
        char *error,
        size_t error_size);
/* Gives the leadership back; `done` runs once, when another may have it. Nothing is submitted after it. */
void controller_stop(struct controller *c, void (*done)(void *ctx), void *ctx);
/* Closes the ZooKeeper session (may block up to 5 s) and frees everything. Takes NULL. Not inside its callbacks. */
struct controller *controller_free(struct controller *c);

/* --- Handing over ------------------------------------------------------------------------------------------------ */

enum controller_transfer_end {
    TRANSFER_DONE,
    TRANSFER_NOT_ACTIVE, /* this controller stands by */
    TRANSFER_ALREADY,    /* the one that is named is active */
    TRANSFER_UNKNOWN,    /* no controller of that id is registered */
    TRANSFER_NO_STANDBY, /* there is no other controller */
    TRANSFER_NOT_READY,  /* the one that is named, or every standby, may not take over; `detail` says why */
    TRANSFER_BUSY,       /* another transfer is under way */
    TRANSFER_TIMED_OUT,  /* the successor did not take over in time; this one goes on */
    TRANSFER_OTHER,      /* another than the one that was named took over */
};

struct controller_transfer {
    enum controller_transfer_end end;
    int32_t from, to;   /* `to`: SUCCESSION_NONE = nobody was chosen */
    uint64_t epoch;     /* the new one's; DONE and OTHER */
    const char *detail; /* a sentence; "" = none */
};

/* Runs once, never inside controller_transfer(), and in controller_free() at the latest. */
typedef void controller_transfer_fn(void *ctx, const struct controller_transfer *t);
/* [ZK-24] Hands over to controller `to`, or (SUCCESSION_NONE) to a standby that is ready and reaches most brokers.
 * `actor` and `reason` are for the log. */
void controller_transfer(struct controller *c,
        int32_t to,
        const char *actor,
        const char *reason,
        controller_transfer_fn *fn,
        void *ctx);

/* [ZK-26] Whether this controller could take over, and which registered brokers accept a connection from it within half
 * a second. */
struct controller_reach {
    bool is_ready;
    const char *detail; /* why not; "" = it is */
    const broker_id *reached, *missed;
    size_t n_reached, n_missed;
};

/* Runs once, never inside controller_reach(), and in controller_free() at the latest. */
typedef void controller_reach_fn(void *ctx, const struct controller_reach *r);
void controller_reach(struct controller *c, controller_reach_fn *fn, void *ctx);

/* --- For the admin endpoint -------------------------------------------------------------------------------------- */

/* Runs once, never inside controller_submit(): when the reply's records are committed (`committed_index` is the index
 * of the batch that has them), at once when there are none, or when the outcome cannot be known any more
 * (REQUEST_TIMED_OUT). `reply` is borrowed. */
typedef void controller_reply_fn(
        void *ctx, const struct ctl_reply *reply, uint64_t committed_index);
/* Gives the event to the core; it is copied. `request`, `now` and `wall` are filled in here. A standby answers
 * NOT_CONTROLLER. */
void controller_submit(
        struct controller *c, const struct ctl_event *ev, controller_reply_fn *fn, void *ctx);

/* Runs once, never inside controller_wait_acks(): `all` = every broker of the set has applied `index`. */
typedef void controller_acks_fn(void *ctx, bool all);
void controller_wait_acks(struct controller *c,
        uint64_t index,
        const broker_id *brokers,
        size_t n_brokers,
        wtime timeout,
        controller_acks_fn *fn,
        void *ctx);

/* Asks a broker with which values it runs. `fn` runs once, never inside this call; `m` NULL = it
 * did not answer in time. False: this controller has no connection to it, and nothing is asked. */
typedef void controller_configs_fn(void *ctx, const struct msg_describe_configs_response *m);
bool controller_describe_configs(
        struct controller *c, broker_id id, controller_configs_fn *fn, void *ctx);

/* Asks a broker to move the log starts of partitions that it leads, in the same way. */
typedef void controller_trim_fn(void *ctx, const struct msg_delete_records_response *m);
bool controller_delete_records(struct controller *c,
        broker_id id,
        const struct msg_delete_records_request *m,
        controller_trim_fn *fn,
        void *ctx);

/* The same of what its log directories hold; without topics, only of the trash. */
typedef void controller_logs_fn(void *ctx, const struct msg_describe_logs_response *m);
bool controller_describe_logs(struct controller *c,
        broker_id id,
        bool with_topics,
        controller_logs_fn *fn,
        void *ctx);

/* The committed image; changes between turns of the loop. Never NULL; empty until controller_is_metadata_read(). */
const struct image *controller_image(const struct controller *c);
/* The batch at which it stands, byte for byte as ZooKeeper has it; none when only a snapshot was read. Until the next
 * turn. */
struct bytes controller_last_batch(const struct controller *c);
/* The metadata log was read to its end at least once. */
bool controller_is_metadata_read(const struct controller *c);
/* Why the log cannot be used, so that this controller is not eligible; "" = it can. */
const char *controller_metadata_trouble(const struct controller *c);
bool controller_is_active(const struct controller *c);
/* The active controller as ZooKeeper names it: id, epoch, http, since. NULL = none known. */
const struct msg_active *controller_active(const struct controller *c);
int32_t controller_id(const struct controller *c);
struct uuid controller_cluster_id(const struct controller *c); /* zero = not known yet */

/* Asks leaders how large all partitions are and tells the core; then `fn` (may be NULL) runs once, perhaps inside this call.
 * Who does not answer within three seconds leaves its partitions untold. */
typedef void controller_survey_fn(void *ctx);
void controller_survey_sizes(struct controller *c, controller_survey_fn *fn, void *ctx);
/* What the core made of the balance at its last look. */
const struct ctl_balance *controller_balance(const struct controller *c);

/* How far what moves has come; empty unless this controller is active. */
const struct move_sizes *controller_move_sizes(const struct controller *c);

/* The decision journal, for scans. */
struct journal *controller_journal(struct controller *c);

/* Registered controllers, by id. */
size_t controller_n_candidates(const struct controller *c);
const struct msg_candidate *controller_candidate(const struct controller *c, size_t i);

struct controller_zk {
    bool is_connected;
    int session_timeout_ms;
    const char *trouble; /* "" when connected */
};
struct controller_zk controller_zk(const struct controller *c);

/* The connection to one broker; only the active controller has any. Sorted by id. */
struct controller_link {
    broker_id id;
    int64_t epoch;
    bool is_connected;      /* Hello was answered, heartbeats flow */
    uint64_t applied_index; /* as last heard; 0 = never */
    wtime last_heartbeat;   /* 0 = none on any connection of this incarnation */
    const struct msg_log_dir_state *dirs;
    size_t n_dirs;
    const char *trouble; /* why it is not connected; "" = it is */
};

size_t controller_n_links(const struct controller *c);
struct controller_link controller_link(const struct controller *c, size_t i);

/* Brokers whose ephemeral node stands and whose registration was not accepted; only the active controller has any.
 * Sorted by id. */
struct controller_refusal {
    broker_id id;
    const char *problem; /* a sentence */
    int64_t epoch;
    const struct msg_broker_reg *registration; /* NULL = it does not decode */
};

size_t controller_n_refusals(const struct controller *c);
struct controller_refusal controller_refusal(const struct controller *c, size_t i);
