/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/bytes.h"
#include "common/base/err.h"
#include "common/net/loop.h"
#include "common/net/resolve.h"

/* A ZooKeeper session on a loop: the single-threaded C client driven by the loop, with the rules of
 * docs/design/20-zookeeper.md. All calls are asynchronous; results come on the loop, in the order of the calls.
 *
 * A *session* is one ZooKeeper session: ephemerals and watches live as long as it does. When a server says that it is over
 * (expired, or not known after its data was wiped), a new session is started by itself; calls under way end with
 * ZK_UNKNOWN, watches are gone, and `on_session` tells the owner to begin anew. Servers that are away, however long, end
 * no session.
 * Paths given here are below the chroot of the connect string. Thread: owner of the loop. */
struct zk;

enum zk_rc {
    ZK_OK = 0,
    ZK_NO_NODE,
    ZK_NODE_EXISTS,
    ZK_BAD_VERSION,
    ZK_NOT_EMPTY,
    ZK_NO_AUTH,
    ZK_UNKNOWN, /* connection lost, timed out, session gone: it may or may not have happened */
    ZK_REFUSED, /* the server or the client refused it: bad path, too large, marshalling; logged with its number */
};

const char *zk_rc_text(enum zk_rc rc);

struct zk_options {
    const char *
            connect; /* "host:port,host:port/chroot"; names are looked up off the loop at every new connection */
    int session_timeout_ms;
    /* "user:password": each connection authenticates with it, and nodes are made for its holders alone; NULL = nodes are
     * open to everybody. Copied. [ZK-12] */
    const char *digest;
    /* A new session is connected (also the first). Everything of the former one is gone. */
    void (*on_session)(void *ctx);
    /* Connected ↔ not connected within the same session; its first connection is told by on_session alone. */
    void (*on_connection)(void *ctx, bool connected);
    /* The session ended; on_session follows when a new one stands. */
    void (*on_session_lost)(void *ctx);
    void *ctx;
};

enum {
    ZK_E_CONNECT = 1
};

/* Starts connecting; keeps trying for ever and says so in the log (at once, then every 10 s). > 0: ZK_E_CONNECT, the
 * connect string is malformed; `error` has the sentence. */
MUST_CHECK int zk_new(struct loop *loop,
        struct resolver *resolver,
        const struct zk_options *options,
        struct zk **ret,
        char *error,
        size_t error_size);
/* Closes the session (ephemerals go at once when connected; may block up to 5 s) and ends calls with ZK_UNKNOWN, also
 * those that are made meanwhile. Not inside a callback of this zk. */
struct zk *zk_free(struct zk *zk);

bool zk_is_connected(const struct zk *zk);
int64_t zk_session_id(const struct zk *zk);     /* 0 = none */
int zk_session_timeout_ms(const struct zk *zk); /* negotiated */
/* A time, by our own monotonic clock, at which a server certainly still held this session: when the last read that it
 * answered was sent (one goes out every third of a second while connected), or the connection was made. The client never
 * expires a session by itself. What lay in the socket while this process was stopped does not make it younger. */
wtime zk_last_heard(const struct zk *zk);
/* Why it is not connected, for people: "no server of 127.0.0.1:2181 accepts a connection"; "" when connected. */
const char *zk_trouble(const struct zk *zk);

struct zk_stat {
    int64_t czxid, mzxid;
    int32_t version;
    int64_t ephemeral_owner; /* session id, 0 = persistent */
    int32_t n_children;
};

enum zk_create_flags {
    ZK_PERSISTENT = 0,
    ZK_EPHEMERAL = 1
};

typedef void zk_done_fn(void *ctx, enum zk_rc rc);
typedef void zk_get_fn(void *ctx, enum zk_rc rc, struct bytes data, const struct zk_stat *stat);
typedef void zk_stat_fn(void *ctx, enum zk_rc rc, const struct zk_stat *stat);
typedef void zk_children_fn(
        void *ctx, enum zk_rc rc, const char *const *names, size_t n); /* sorted by name */
/* A one-shot watch fired: something may have changed at the path; re-read to learn what. Not called when the session
 * ends; called once too often rather than not at all. */
typedef void zk_watch_fn(void *ctx);

void zk_create(struct zk *zk,
        const char *path,
        struct bytes data,
        enum zk_create_flags flags,
        zk_done_fn *fn,
        void *ctx);
/* Creates every missing folder above `path` (persistent, empty), the chroot's too. */
void zk_create_parents(struct zk *zk, const char *path, zk_done_fn *fn, void *ctx);
void zk_get(struct zk *zk,
        const char *path,
        zk_watch_fn *watch,
        zk_get_fn *fn,
        void *ctx); /* watch NULL = none */
void zk_exists(struct zk *zk, const char *path, zk_watch_fn *watch, zk_stat_fn *fn, void *ctx);
void zk_children(
        struct zk *zk, const char *path, zk_watch_fn *watch, zk_children_fn *fn, void *ctx);
void zk_set(struct zk *zk,
        const char *path,
        struct bytes data,
        int32_t version,
        zk_stat_fn *fn,
        void *ctx);
void zk_delete(struct zk *zk,
        const char *path,
        int32_t version,
        zk_done_fn *fn,
        void *ctx); /* version -1 = any */
/* Takes a node that is open to everybody for the holders of the digest; must not be called without one. */
void zk_protect(struct zk *zk, const char *path, zk_done_fn *fn, void *ctx);
bool zk_has_digest(const struct zk *zk);
void zk_sync(struct zk *zk, const char *path, zk_done_fn *fn, void *ctx);

/* One transaction: all or nothing. At most ZK_MULTI_MAX operations and ZK_MULTI_BYTES bytes (asserted: a request above
 * the server's limit would loop for ever). */
enum {
    ZK_MULTI_MAX = 256,
    ZK_MULTI_BYTES = 512 * 1024, /* the whole request: zk_multi_size() */
    ZK_OP_AROUND = 256,          /* what an operation has at most beside its path and its data */
};

struct zk_op {
    enum {
        ZK_OP_CREATE,
        ZK_OP_DELETE,
        ZK_OP_SET,
        ZK_OP_CHECK
    } kind;

    const char *path;
    struct bytes data; /* CREATE, SET */
    enum zk_create_flags flags;
    int32_t version; /* DELETE, SET, CHECK; CHECK with -1 = exists */
};

/* Upper bound of the request that carries these operations below a chroot of that length. Pure. */
size_t zk_multi_size(const struct zk_op *ops, int n, size_t chroot_size);

/* Everything is copied. `failed` = index of the operation that failed, -1 when rc is ZK_OK or ZK_UNKNOWN. */
typedef void zk_multi_fn(void *ctx, enum zk_rc rc, int failed);
void zk_multi(struct zk *zk, const struct zk_op *ops, int n, zk_multi_fn *fn, void *ctx);
