/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/net/resolve.h"
#include "common/net/rpc.h"
#include "common/wire/messages.h"
#include "controller/shell/meta_log.h"

/* The active controller's connections to brokers: it dials each, pushes the committed metadata, beats every 300 ms and
 * takes requests the other way.
 *
 *  waiting ─► looking up ─► connecting ─► greeting ─► up ─┐
 *     ▲                                                   │ closed, or silent for weir.broker.timeout
 *     └───────────────────────────────────────────────────┘
 *
 * Of what a broker has, only a cursor is kept: the index and chain checksum that it last said it had applied. One push
 * of at most 512 KiB is under way; behind the ring, or on another chain, it gets a snapshot. So a slow broker costs no
 * memory. [ZK-41] Thread: control. */
struct auth_secret;
struct broker_links;
struct link_request;

struct broker_links_options {
    struct loop *loop;
    struct resolver *resolver;
    const struct meta_log *log;
    const char *listener; /* borrowed */
    int32_t controller_id;
    const struct auth_secret *secret; /* NULL = brokers are believed without proof; borrowed */
    wtime broker_timeout;
    wtime session_timeout; /* of ZooKeeper */
    /* Refused twice, 100 ms apart, or another incarnation answers: the process is dead. Once an outage. */
    void (*on_refused)(void *ctx, broker_id id, int64_t epoch);
    /* No heartbeat for broker_timeout, while more than half of the others do answer. Once an outage. */
    void (*on_silent)(void *ctx, broker_id id, int64_t epoch);
    /* More than half of the brokers are silent: nobody is fenced for it. Ten times a second while it is so. */
    void (*on_most_silent)(void *ctx, size_t n_silent, size_t n_brokers);
    /* [ZK-25] Whether this controller may still dial, push and answer; asked right before it does. */
    bool (*may_act)(void *ctx);
    /* Its heartbeat says that every log directory has failed. Once an incarnation. */
    void (*on_dirs_failed)(void *ctx, broker_id id, int64_t epoch);
    void (*on_ready)(void *ctx, broker_id id, const struct msg_broker_ready_request *m);
    /* To be answered with broker_links_answer(). */
    void (*on_shutdown)(void *ctx, broker_id id, int64_t epoch, struct link_request *request);
    /* It asks for producer ids; to be answered likewise. */
    void (*on_producer_ids)(
            void *ctx, broker_id id, int64_t epoch, struct link_request *request);
    /* It proposes in-sync sets, or gives up replicas; to be answered likewise. */
    void (*on_alter_partition)(void *ctx,
            broker_id id,
            const struct msg_alter_partition_request *m,
            struct link_request *request);
    void (*on_replica_failed)(void *ctx,
            broker_id id,
            const struct msg_replica_failed_request *m,
            struct link_request *request);
    /* Some broker applied more. */
    void (*on_acked)(void *ctx);
    void *ctx;
};

struct broker_links *broker_links_new(const struct broker_links_options *options);
struct broker_links *broker_links_free(struct broker_links *l);

/* From now on, dial under this epoch; there are no links yet. */
void broker_links_start(struct broker_links *l, const struct uuid *cluster_id, uint64_t ctl_epoch);
/* Closes and forgets all. */
void broker_links_stop(struct broker_links *l);
/* Dials this incarnation of the broker; a former one's link is closed. */
void broker_links_set(struct broker_links *l, const struct meta_register_broker *broker);
void broker_links_remove(struct broker_links *l, broker_id id);
/* The committed image went on. */
void broker_links_push(struct broker_links *l);
/* Base URLs of the controllers' admin endpoints, the active one first; copied. */
void broker_links_set_controllers(struct broker_links *l, const char *const *urls, size_t n);
/* Answers with the body in `out` (NULL with an error) and frees both; quiet when the connection is
 * gone. */
void broker_links_answer(struct broker_links *l,
        struct link_request *request,
        int error,
        const char *detail,
        struct rpc_out *out);

/* Asks that broker for its configuration. `fn` runs once, never inside this call; `m` NULL = it did
 * not answer. False: it is not connected, and nothing is asked. */
typedef void broker_configs_fn(void *ctx, const struct msg_describe_configs_response *m);
bool broker_links_describe_configs(
        struct broker_links *l, broker_id id, broker_configs_fn *fn, void *ctx);
/* Asks that broker to move log starts, in the same way. */
typedef void broker_trim_fn(void *ctx, const struct msg_delete_records_response *m);
bool broker_links_delete_records(struct broker_links *l,
        broker_id id,
        const struct msg_delete_records_request *m,
        broker_trim_fn *fn,
        void *ctx);
/* The same of what its log directories hold. */
typedef void broker_logs_fn(void *ctx, const struct msg_describe_logs_response *m);
bool broker_links_describe_logs(
        struct broker_links *l, broker_id id, bool with_topics, broker_logs_fn *fn, void *ctx);
/* The same of how far logs reach, of that incarnation only. */
typedef void broker_ends_fn(void *ctx, const struct msg_describe_ends_response *m);
bool broker_links_describe_ends(struct broker_links *l,
        broker_id id,
        int64_t epoch,
        const struct msg_describe_ends_request *m,
        broker_ends_fn *fn,
        void *ctx);
/* Whether that broker applied `index`. */
bool broker_links_has_applied(const struct broker_links *l, broker_id id, uint64_t index);

struct link_view {
    broker_id id;
    int64_t epoch;
    bool is_up;
    uint64_t applied_index;
    wtime last_heartbeat; /* 0 = none */
    const struct msg_log_dir_state *dirs;
    size_t n_dirs;
    const char *trouble; /* "" when up */
};

size_t broker_links_n(const struct broker_links *l);
struct link_view broker_links_view(const struct broker_links *l, size_t i); /* sorted by id */
