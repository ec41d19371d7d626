/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/array.h"
#include "common/base/mem.h"
#include "common/base/must.h"
#include "common/net/hello_asker.h"
#include "controller/shell/broker_links.h"
#include "controller/shell/snapshot_pool.h"

/* One link; inside of broker_links.c (the set), broker_link.c (dial, greet, beat), broker_push.c
 * and link_ask.c. Nobody else. */

enum link_state {
    LINK_WAITING,
    LINK_LOOKING_UP,
    LINK_CONNECTING,
    LINK_GREETING,
    LINK_UP
};

struct broker_link {
    struct broker_links *set;
    broker_id id;
    int64_t epoch;
    char *host;
    uint16_t port;
    enum link_state state;
    struct lookup *lookup;
    struct rpc_conn *conn;
    struct hello_asker auth;
    struct timer redial;
    struct timer beat;
    wtime since; /* when this incarnation was first dialled */
    wtime lost_at; /* when a connection that was up broke */
    wtime outranked_since; /* it refuses our epoch for a later one; 0 = it does not */
    unsigned n_refused;
    bool refused_told, silent_told, dirs_failed_told;
    char trouble[256];

    wtime last_heartbeat;
    bool beat_under_way;
    struct arena dirs_arena;
    uint8_t *dirs_frame;
    struct msg_log_dir_state *dirs;
    size_t n_dirs;

    uint64_t applied_index, applied_crc;
    bool push_under_way, wants_snapshot;
    bool is_proved; /* the broker was shown that the log holds another history than it has applied */
    unsigned n_needs; /* pushes in a row that the broker could not use */
    const struct snapshot *snapshot; /* being pushed, of the set's pool; NULL = none */
    size_t next_chunk;
};

struct broker_links {
    struct broker_links_options options;
    struct uuid cluster_id;
    uint64_t ctl_epoch;
    bool is_running;
    ARRAY(struct broker_link *) links; /* sorted by id */
    struct snapshot_pool snapshots;
    ARRAY(char *) controllers;
    struct timer check;
    bool majority_told;
};

struct link_request {
    broker_id id;
    uint64_t conn_id;
    struct frame_header header;
};

/* broker_link.c */
struct broker_link *link_new(struct broker_links *set, const struct meta_register_broker *broker);
struct broker_link *link_free(struct broker_link *l);
/* Closes what is open and dials again after `delay`. */
void link_redial(struct broker_link *l, wtime delay, const char *trouble);
bool link_is_silent(const struct broker_link *l, wtime now);
/* Not heard for half the time after which it is silent: several heartbeats are missing. */
bool link_is_quiet(const struct broker_link *l, wtime now);

/* A request that is answered later. */
struct link_request *link_keep_request(
        struct broker_link *l, struct rpc_conn *conn, struct rpc_request *r);

static inline bool link_may_act(const struct broker_link *l)
{
    return l->set->options.may_act(l->set->options.ctx);
}

/* link_ask.c: the link is up; `fn` runs once, not inside. */
void link_describe_configs(struct broker_link *l, broker_configs_fn *fn, void *ctx);
void link_delete_records(struct broker_link *l,
        const struct msg_delete_records_request *m,
        broker_trim_fn *fn,
        void *ctx);
void link_describe_ends(struct broker_link *l,
        const struct msg_describe_ends_request *m,
        broker_ends_fn *fn,
        void *ctx);
void link_describe_logs(struct broker_link *l, bool with_topics, broker_logs_fn *fn, void *ctx);

/* link_replicas.c: what a broker says of its replicas. */
void link_on_alter_partition(struct broker_link *l, struct rpc_conn *conn, struct rpc_request *r);
void link_on_replica_failed(struct broker_link *l, struct rpc_conn *conn, struct rpc_request *r);

/* broker_push.c */
void link_push(struct broker_link *l);
void link_push_reset(struct broker_link *l); /* the connection is gone */
