/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/mem.h"
#include "common/zk/zk.h"
#include "common/zk/zk_servers.h"

#include <sys/queue.h>
#include <zookeeper/zookeeper.h>

/* Inside of common/zk: zk.c drives the handle, zk_call.c queues and sends the calls. Nobody else includes this. */

/* [ZK-11] Requests under way; more wait in our own queue. */
enum {
    ZK_IN_FLIGHT_MAX = 16
};

struct zk_watch {
    LIST_ENTRY(zk_watch) entry;
    struct zk *zk;
    zk_watch_fn *fn;
    void *ctx;
};

enum zk_call_kind {
    ZK_CALL_CREATE,
    ZK_CALL_GET,
    ZK_CALL_EXISTS,
    ZK_CALL_CHILDREN,
    ZK_CALL_SET,
    ZK_CALL_DELETE,
    ZK_CALL_SYNC,
    ZK_CALL_PROTECT,
    ZK_CALL_MULTI,
};

/* A call from its making to its end. Paths, data and results live here until then. */
struct zk_call {
    STAILQ_ENTRY(zk_call) waiting; /* not yet given to the client library */
    struct zk *zk;
    enum zk_call_kind kind;
    uint64_t session; /* number of the session it was made in */
    char *path;       /* whole, with the chroot */
    uint8_t *data;
    size_t data_size;
    int flags;
    int32_t version;
    struct zk_watch *watch; /* becomes active with the answer */

    union {
        zk_done_fn *done;
        zk_get_fn *get;
        zk_stat_fn *stat;
        zk_children_fn *children;
        zk_multi_fn *multi;
    } fn;

    void *ctx;

    int n_ops;
    zoo_op_t *ops;
    zoo_op_result_t *results;
    char **op_paths;
    char (*created)[1]; /* the library wants room for the names of created nodes */
    struct Stat *stats;
};

STAILQ_HEAD(zk_call_list, zk_call);
LIST_HEAD(zk_watch_list, zk_watch);

struct zk {
    struct loop *loop;
    struct resolver *resolver;
    struct zk_options options; /* .connect is not kept */
    char *digest;              /* NULL = none */
    struct zk_servers servers;
    struct event *io;   /* one-shot: readiness of the library's socket, or its deadline */
    struct event *kick; /* work to do before the loop sleeps */
    struct timer beat;
    struct timer retry;

    zhandle_t *handle; /* NULL between sessions and while names are looked up for the first time */
    clientid_t client; /* id 0 = no session */
    uint64_t session;  /* counts sessions, also one that is only hoped for */
    bool resume;       /* the next handle continues `client` */
    bool handle_is_dirty; /* [ZK-6] its socket was closed silently */
    bool session_is_over;
    bool is_connected, is_known; /* is_known: on_session was told of `session` */
    bool closing;
    bool was_open;     /* the library had a socket when we last looked */
    bool needs_lookup; /* an attempt or a connection ended */
    int in_library;    /* depth: no re-entry, no close */

    struct lookup *lookup;
    size_t lookup_i;
    char *found, *addresses; /* being gathered; last complete list: "127.0.0.1:2181,…" */
    size_t n_found;
    wtime next_lookup;

    wtime last_heard, beat_sent, lost_at, next_complaint;
    wtime tcp_accepted_at, accepting_since; /* by a server that did not take the session */
    wtime asking_since;                     /* on the present connection; 0: not asking */
    bool has_asked_again;                   /* before its time, since the last connection */
    bool beat_under_way;
    char trouble[512];

    struct zk_call_list waiting;
    size_t n_in_flight;
    struct zk_watch_list watches;
};

/* zk_call.c */
/* Gives waiting calls to the library while it is connected and there is room. */
void zk_calls_send(struct zk *zk);
/* Ends every waiting call of a session before `session` with ZK_UNKNOWN. */
void zk_calls_drop(struct zk *zk, uint64_t session);
enum zk_rc zk_rc_of(int rc);

/* zk.c: something is to be done soon. */
void zk_kick(struct zk *zk);
