/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/acceptor.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "broker/shell/broker.h"
#include "broker/shell/broker_configs.h"
#include "broker/shell/conn_log.h"
#include "broker/shell/ctl_link.h"
#include "broker/shell/errcode_map.h"
#include "broker/shell/hello_auth.h"
#include "common/base/cleanup.h"
#include "common/base/mem.h"
#include "common/base/must.h"
#include "common/base/obj.h"
#include "common/conf/conf.h"
#include "common/obs/log.h"

enum {
    GREETING_MAGIC = 0x57677265,
    GREETINGS_MAX = 1024,         /* connections that have not said Hello */
    GREETING_FRAME_MAX = 65536,   /* [BRK-29] a Hello is small */
    GREETING_BYTES_MAX = 1 << 17, /* outstanding */
    HANDSHAKE_S = 10,
};

struct listening {
    struct acceptor *a;
    const char *name;
    struct listener *listener;
};

struct acceptor {
    struct broker *b;
    struct listening listeners[BROKER_LISTENERS_MAX];
    size_t n;
    TAILQ_HEAD(greetings, greeting) greetings; /* the oldest first */
    size_t n_greetings;
};

/* A connection that has not said Hello yet. */
struct greeting {
    uint32_t magic;
    TAILQ_ENTRY(greeting) entry;
    struct acceptor *a;
    struct rpc_conn *c;
    const char *listener;
    struct conn_slot slot;
    const char *refusal; /* why it may not be a client's; NULL = it is counted in `slot` */
    struct hello_auth auth;
};

/* Forgets the greeting; a counted slot stays with whoever took it over. */
static void greeting_free(struct greeting *g, bool leave_slot)
{
    if (leave_slot && g->refusal == NULL) {
        conn_limits_leave(&g->a->b->conn_limits, &g->slot);
    }
    TAILQ_REMOVE(&g->a->greetings, g, entry);
    g->a->n_greetings--;
    OBJ_CLEAR(g);
    (void)mem_free(g);
}

static void refuse(struct greeting *g,
        struct rpc_conn *c,
        const struct rpc_request *r,
        int error,
        const char *detail)
{
    conn_log_refused("acceptor", rpc_conn_peer(c), detail);
    rpc_answer(c, &r->header, error, detail, NULL);
    rpc_conn_close_after_flush(c);
}

static bool cluster_is_wrong(const struct broker *b, const struct uuid *id, char *text, size_t size)
{
    char theirs[UUID_TEXT_SIZE], ours[UUID_TEXT_SIZE];

    if (uuid_is_zero(id) || uuid_is_zero(&b->cluster_id) || uuid_equal(id, &b->cluster_id)) {
        return false;
    }
    (void)snprintf(text, size, "the cluster is %s, this broker belongs to %s",
            uuid_format(id, theirs), uuid_format(&b->cluster_id, ours));
    return true;
}

static void answer_hello(struct greeting *g,
        struct rpc_conn *c,
        const struct rpc_request *r,
        const struct msg_hello_request *m,
        struct bytes auth)
{
    struct broker *b = g->a->b;
    struct image_position at = image_position(b->image);
    bool is_controller = m->role == ROLE_CONTROLLER;
    struct msg_hello_response out = {.cluster_id = b->cluster_id,
            .broker = b->id,
            .broker_epoch = broker_epoch(b),
            .version = WEIR_VERSION,
            .feature_level = META_FEATURE_LEVEL,
            .max_request_bytes =
                    (uint32_t)broker_configs_i64(b->configs, "socket.request.max.bytes"),
            .applied_index = is_controller ? at.index : 0,
            .applied_crc64 = is_controller ? at.crc : 0,
            .auth = auth};
    struct rpc_out *o = rpc_out_new();

    wire_encode_hello_response(&out, rpc_out_buf(o));
    rpc_answer(c, &r->header, ERRCODE_NONE, "", o);
}

/* [BRK-29] The peer is known: from now on frames may be large. */
static void lift_limits(const struct broker *b, struct rpc_conn *c)
{
    const struct rpc_limits limits = {
            .frame_max = (uint32_t)broker_configs_i64(b->configs, "socket.request.max.bytes"),
            .outstanding_max =
                    (uint64_t)broker_configs_i64(b->configs, "weir.connection.outstanding.bytes"),
            .handshake_timeout = WTIME_NEVER};

    rpc_conn_set_limits(c, &limits);
}

/* [TRU-3] Whether a daemon that greets may go on to be believed; else it was answered here. */
static bool is_proven(struct greeting *g,
        struct rpc_conn *c,
        const struct rpc_request *r,
        const struct msg_hello_request *m)
{
    CLEANUP(buf_deinit) struct buf auth = {0};
    struct broker *b = g->a->b;
    struct hello_self self = {.secret = b->secret, .id = b->id, .epoch = broker_epoch(b)};
    const char *why = "";
    int error = ERRCODE_NONE;

    switch (hello_auth_step(&g->auth, &self, m, &auth, &error, &why)) {
    case HELLO_AUTH_PROVEN: return true;
    case HELLO_AUTH_CHALLENGE:
        answer_hello(g, c, r, m, (struct bytes){.at = auth.data, .size = auth.size});
        return false;
    case HELLO_AUTH_REFUSED: refuse(g, c, r, error, why); return false;
    }
    return false;
}

/* The limits of clients do not count it. */
static void greet_replica(struct greeting *g,
        struct rpc_conn *c,
        const struct rpc_request *r,
        const struct msg_hello_request *m)
{
    struct broker *b = g->a->b;

    if (m->replica < 0 || m->replica == b->id || m->replica_epoch < 0) {
        refuse(g, c, r, ERRCODE_INVALID_REQUEST,
                "a replica says which other broker it is, and of which incarnation");
        return;
    }
    answer_hello(g, c, r, m, (struct bytes){0});
    lift_limits(b, c);
    data_loops_adopt(&b->data, c, NULL, g->listener, m);
    greeting_free(g, true);
}

/* The Hello is well-formed: who is it? */
static void greet(struct greeting *g,
        struct rpc_conn *c,
        const struct rpc_request *r,
        const struct msg_hello_request *m)
{
    struct broker *b = g->a->b;
    char text[160];
    int error;

    if (cluster_is_wrong(b, &m->cluster_id, text, sizeof(text))) { /* [BRK-8] */
        refuse(g, c, r, ERRCODE_INCONSISTENT_CLUSTER_ID, text);
        return;
    }
    if (m->role != ROLE_CLIENT && !is_proven(g, c, r, m)) {
        return;
    }
    switch (m->role) {
    case ROLE_REPLICA: greet_replica(g, c, r, m); return;
    case ROLE_CONTROLLER:
        error = ctl_link_judge(b->ctl, m, text, sizeof(text));
        if (error != ERRCODE_NONE) {
            refuse(g, c, r, error, text);
            return;
        }
        answer_hello(g, c, r, m, (struct bytes){0});
        lift_limits(b, c);
        ctl_link_adopt(b->ctl, c, m);
        greeting_free(g, true);
        return;
    case ROLE_CLIENT:
        if (g->refusal != NULL) {
            refuse(g, c, r, ERRCODE_POLICY_VIOLATION, g->refusal);
            return;
        }
        answer_hello(g, c, r, m, (struct bytes){0});
        lift_limits(b, c);
        data_loops_adopt(&b->data, c, &g->slot, g->listener, m);
        greeting_free(g, false);
        return;
    }
}

static void on_request(void *owner, struct rpc_conn *c, struct rpc_request *r)
{
    struct greeting *g = OBJ_CAST(struct greeting, owner, GREETING_MAGIC);
    struct msg_hello_request m;
    struct arena arena;
    int e;

    if (r->header.api != API_HELLO) {
        conn_log_refused("acceptor", rpc_conn_peer(c), "its first request was not Hello");
        greeting_free(g, true);
        rpc_conn_close(c);
        (void)rpc_request_free(r);
        return;
    }
    arena_init(&arena, wire_arena_ceiling(r->body.size));
    e = wire_decode_hello_request(r->body, &arena, &m);
    if (e != 0) {
        refuse(g, c, r, errcode_of_wire(e).error, errcode_of_wire(e).detail);
    } else if (m.auth.size > 0 && m.role == ROLE_CLIENT) {
        refuse(g, c, r, ERRCODE_SECURITY_DISABLED,
                "this version does not authenticate clients: auth must be empty");
    } else if (strlen(m.client_id) > 255) {
        refuse(g, c, r, ERRCODE_INVALID_REQUEST, "a client id has at most 255 bytes");
    } else {
        greet(g, c, r, &m);
    }
    arena_deinit(&arena);
    (void)rpc_request_free(r);
}

static void on_closed(void *owner, struct rpc_conn *c, const char *reason)
{
    struct greeting *g = OBJ_CAST(struct greeting, owner, GREETING_MAGIC);

    conn_log_closed("acceptor", rpc_conn_peer(c), reason);
    greeting_free(g, true);
}

static const struct rpc_callbacks greeting_callbacks = {
        .on_request = on_request, .on_closed = on_closed};

/* [BRK-32] Who was silent longest makes room: silent connections do not shut out those that speak. */
static void evict_oldest(struct acceptor *a)
{
    struct greeting *g = TAILQ_FIRST(&a->greetings);

    conn_log_refused(
            "acceptor", rpc_conn_peer(g->c), "too many connections wait without having said Hello");
    rpc_conn_close(g->c);
    greeting_free(g, true);
}

static void on_accept(void *ctx, int fd, const struct sockaddr_storage *peer)
{
    struct listening *l = ctx;
    struct acceptor *a = l->a;
    struct rpc_limits limits = {.frame_max = GREETING_FRAME_MAX,
            .outstanding_max = GREETING_BYTES_MAX,
            .handshake_timeout = WTIME_S(HANDSHAKE_S)};
    struct greeting *g;

    if (a->n_greetings >= GREETINGS_MAX) {
        evict_oldest(a);
    }
    g = mem_new(struct greeting);
    OBJ_INIT(g, GREETING_MAGIC);
    g->a = a;
    g->listener = l->name;
    /* A refused one may still be a controller, which the limits do not count. */
    g->refusal = conn_limits_enter(&a->b->conn_limits, peer, &g->slot);
    TAILQ_INSERT_TAIL(&a->greetings, g, entry);
    a->n_greetings++;
    g->c = rpc_conn_accept(a->b->control, fd, &limits, &greeting_callbacks, g);
}

int acceptor_new(struct broker *b, struct acceptor **ret, char *error, size_t error_size)
{
    struct acceptor *a = mem_new(struct acceptor);

    a->b = b;
    TAILQ_INIT(&a->greetings);
    for (size_t i = 0; i < b->n_listeners; i++) {
        struct listening *l = &a->listeners[i];
        int r;

        l->a = a;
        l->name = b->listeners[i].name;
        r = listener_new(
                b->control, b->listeners[i].host, b->listeners[i].port, on_accept, l, &l->listener);
        if (r < 0) {
            (void)snprintf(error, error_size, "listener %s: %s port %u: %s", l->name,
                    b->listeners[i].host, b->listeners[i].port,
                    r == -EADDRINUSE ? "the port is in use by another process; stop that or change "
                                       "`listeners`"
                                     : strerror(-r));
            (void)acceptor_free(a);
            return ACCEPTOR_E_BIND;
        }
        listener_pause(l->listener);
        a->n = i + 1;
        log_info("acceptor", "listening", KV_STR("listener", l->name),
                KV_STR("host", b->listeners[i].host), KV_I64("port", listener_port(l->listener)));
    }
    *ret = a;
    return 0;
}

void acceptor_begin(struct acceptor *a)
{
    for (size_t i = 0; i < a->n; i++) {
        listener_resume(a->listeners[i].listener);
    }
}

void acceptor_stop(struct acceptor *a)
{
    for (size_t i = 0; i < a->n; i++) {
        a->listeners[i].listener = listener_free(a->listeners[i].listener);
    }
    a->n = 0;
}

struct acceptor *acceptor_free(struct acceptor *a)
{
    struct greeting *g;

    if (a == NULL) {
        return NULL;
    }
    acceptor_stop(a);
    while ((g = TAILQ_FIRST(&a->greetings)) != NULL) {
        rpc_conn_close(g->c);
        greeting_free(g, true);
    }
    return mem_free(a);
}
