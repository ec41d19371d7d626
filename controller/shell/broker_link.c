/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/shell/broker_link.h"

#include "common/domain/errcode.h"
#include "common/obs/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define LINK_BEAT         WTIME_MS(300)
#define LINK_CONNECT_MAX  WTIME_S(3)
#define LINK_REDIAL_FIRST WTIME_MS(100)
#define LINK_REDIAL       WTIME_MS(500)
#define LINK_REDIAL_SLOW  WTIME_S(5)
#define LINK_REDIAL_YOUNG WTIME_MS(20)
#define LINK_YOUNG        WTIME_S(1)
#define LINK_LOST         WTIME_S(1)

enum {
    LINK_HELLO_MS = 3000,
    LINK_LEASE_MS = 5000, /* how long a broker may count this controller as alive after a beat */
    LINK_FRAME_MAX = WIRE_BODY_MAX + FRAME_HEADER_MAX + 16,
};

static void disconnect(struct broker_link *l)
{
    struct rpc_conn *conn = mem_steal(&l->conn);

    l->state = LINK_WAITING;
    l->beat_under_way = false;
    timer_cancel(&l->beat);
    link_push_reset(l);
    if (l->lookup != NULL) {
        lookup_cancel(l->lookup);
        l->lookup = NULL;
    }
    if (conn != NULL) { /* Calls under way end in here; they see that `conn` is gone. */
        rpc_conn_close(conn);
    }
}

void link_redial(struct broker_link *l, wtime delay, const char *trouble)
{
    bool is_news = strcmp(l->trouble, trouble) != 0;

    disconnect(l);
    if (is_news) {
        snprintf(l->trouble, sizeof(l->trouble), "%s", trouble);
        log_warn("broker_link", "broker_unreachable", KV_I64("broker", l->id),
                KV_I64("broker_epoch", l->epoch), KV_STR("reason", l->trouble));
    }
    timer_set(&l->redial, wtime_add(clock_now(), delay));
}

static const char *const other_incarnation =
        "it is another incarnation than the one that is registered";

/* --- Beats ------------------------------------------------------------------------------------- */

static bool has_no_disk(const struct msg_beat_response *m)
{
    size_t n_failed = 0;

    for (size_t i = 0; i < m->n_dirs; i++) {
        n_failed += m->dirs[i].failed;
    }
    return m->n_dirs > 0 && n_failed == m->n_dirs;
}

static void take_heartbeat(struct broker_link *l, struct rpc_reply *reply)
{
    struct arena a;
    struct msg_beat_response m = {0};

    arena_init(&a, wire_arena_ceiling(reply->body.size));
    if (wire_decode_beat_response(reply->body, &a, &m) != 0) {
        arena_deinit(&a);
        link_redial(l, LINK_REDIAL, "its heartbeat does not decode");
        return;
    }
    if (m.broker_epoch != l->epoch) {
        arena_deinit(&a);
        link_redial(l, LINK_REDIAL, other_incarnation);
        return;
    }
    l->last_heartbeat = clock_now();
    l->silent_told = false;
    arena_deinit(&l->dirs_arena);
    mem_free(l->dirs_frame);
    l->dirs_arena = a;
    l->dirs = m.dirs;
    l->n_dirs = m.n_dirs;
    l->dirs_frame = rpc_reply_take(reply);
    if (has_no_disk(&m) && !l->dirs_failed_told) { /* [CTL-30] */
        l->dirs_failed_told = true;
        l->set->options.on_dirs_failed(l->set->options.ctx, l->id, l->epoch);
    }
}

static void on_beat_answer(void *ctx, struct rpc_reply *reply)
{
    struct broker_link *l = ctx;

    l->beat_under_way = false;
    if (l->conn == NULL || reply->error == ERRCODE_NETWORK_EXCEPTION) {
        return; /* closed; on_closed() goes on from there */
    }
    if (reply->error == ERRCODE_REQUEST_TIMED_OUT) {
        link_redial(l, LINK_REDIAL_FIRST, "it does not answer heartbeats");
    } else if (reply->error != ERRCODE_NONE) {
        link_redial(l, LINK_REDIAL, reply->detail);
    } else {
        take_heartbeat(l, reply);
        link_push(l); /* what waited for the beat */
    }
}

static void on_beat(void *ctx)
{
    struct broker_link *l = ctx;
    struct broker_links *set = l->set;
    struct msg_beat_request m = {.ctl_epoch = set->ctl_epoch,
            .committed_index = image_position(meta_log_image(set->options.log)).index,
            .lease_ms = LINK_LEASE_MS,
            .controllers = (const char **)(void *)set->controllers.items,
            .n_controllers = set->controllers.n};
    struct rpc_out *out = NULL;

    if (l->state != LINK_UP) {
        return;
    }
    timer_set(&l->beat, wtime_add(clock_now(), LINK_BEAT));
    if (!l->beat_under_way && link_may_act(l)) { /* [ZK-25] */
        out = rpc_out_new();
        wire_encode_beat_request(&m, rpc_out_buf(out));
        l->beat_under_way = true;
        rpc_call(l->conn, API_BEAT, (uint32_t)(set->options.broker_timeout / 1000), out,
                on_beat_answer, l);
    }
    link_push(l); /* one that found no place for its snapshot */
}

/* --- Greeting ---------------------------------------------------------------------------------- */

/* NULL, or why this is not the broker we look for. */
static const char *judge_hello(const struct broker_link *l, const struct msg_hello_response *m)
{
    int32_t level = image_feature_level(meta_log_image(l->set->options.log));

    if (m->broker != l->id) {
        return "another broker answers at its address";
    }
    if (m->broker_epoch != l->epoch) {
        return other_incarnation;
    }
    if (!uuid_is_zero(&m->cluster_id) && !uuid_equal(&m->cluster_id, &l->set->cluster_id)) {
        return "it belongs to another cluster";
    }
    if (m->feature_level < (uint32_t)level) { /* [ZK-45] */
        return "it does not know the feature level that is in force; run a newer version there";
    }
    return NULL;
}

static void up(struct broker_link *l, const struct msg_hello_response *m)
{
    l->state = LINK_UP;
    l->trouble[0] = '\0';
    l->outranked_since = 0;
    l->n_refused = 0;
    l->refused_told = false;
    l->applied_index = m->applied_index;
    l->applied_crc = m->applied_crc64;
    log_info("broker_link", "broker_connected", KV_I64("broker", l->id),
            KV_I64("broker_epoch", l->epoch), KV_U64("applied_index", m->applied_index),
            KV_STR("version", m->version));
    on_beat(l);
    link_push(l);
    l->set->options.on_acked(l->set->options.ctx);
}

/* A broker is dialled as soon as its node is seen, perhaps before it has itself read which incarnation it is. */
static void greeting_failed(struct broker_link *l, const char *why)
{
    if (clock_now() - l->since < LINK_YOUNG) {
        disconnect(l);
        timer_set(&l->redial, wtime_add(clock_now(), LINK_REDIAL_YOUNG));
    } else {
        link_redial(l, LINK_REDIAL, why);
    }
}

/* [ZK-43] It has heard of a later controller than this one. If there is one, ZooKeeper tells us
 * within the session timeout that we are not active any more, and this link goes; if not, ZooKeeper
 * has forgotten it. */
static void greeting_outranked(struct broker_link *l, const char *detail)
{
    wtime now = clock_now();

    if (l->outranked_since == 0) {
        l->outranked_since = now;
    }
    if (now - l->outranked_since <= l->set->options.session_timeout) {
        greeting_failed(l, detail);
        return;
    }
    log_error("broker_link", "metadata_regressed", KV_I64("broker", l->id),
            KV_U64("ctl_epoch", l->set->ctl_epoch), KV_STR("reason", detail));
    link_redial(l, LINK_REDIAL_SLOW,
            "it has heard of a later controller than ZooKeeper knows: was ZooKeeper restored from "
            "an old copy?");
}

static void suspect(struct broker_link *l)
{
    if (!l->refused_told) {
        l->refused_told = true;
        l->set->options.on_refused(l->set->options.ctx, l->id, l->epoch);
    }
}

static void say_hello(struct broker_link *l, struct buf *auth);

static struct msg_hello_request our_hello(const struct broker_link *l)
{
    return (struct msg_hello_request){.role = ROLE_CONTROLLER,
            .cluster_id = l->set->cluster_id,
            .library = "weir-controller",
            .library_version = WEIR_VERSION,
            .feature_level = META_FEATURE_LEVEL,
            .ctl_epoch = l->set->ctl_epoch,
            .controller_id = l->set->options.controller_id};
}

/* The greeting's answer is there: NULL and perhaps one more Hello to say, or why this is not our broker. */
static const char *judge_greeting(
        struct broker_link *l, const struct msg_hello_response *m, struct buf *ret_auth)
{
    const struct msg_hello_request hello = our_hello(l);

    if (l->set->options.secret != NULL && !l->auth.is_answered) { /* [TRU-4] */
        return hello_asker_answer(&l->auth, l->set->options.secret, &hello, m, ret_auth);
    }
    return judge_hello(l, m);
}

static void on_hello(void *ctx, struct rpc_reply *reply)
{
    struct broker_link *l = ctx;
    struct arena a;
    struct msg_hello_response m = {0};
    struct buf auth = {0};
    const char *why = NULL;

    if (l->conn == NULL || reply->error == ERRCODE_NETWORK_EXCEPTION) {
        return;
    }
    if (reply->error == ERRCODE_NOT_CONTROLLER) {
        greeting_outranked(l, reply->detail);
        return;
    }
    if (reply->error != ERRCODE_NONE) {
        greeting_failed(l, reply->detail[0] != '\0' ? reply->detail : errcode_text(reply->error));
        return;
    }
    arena_init(&a, wire_arena_ceiling(reply->body.size));
    why = wire_decode_hello_response(reply->body, &a, &m) == 0 ? judge_greeting(l, &m, &auth)
                                                               : "its greeting does not decode";
    if (why == other_incarnation && clock_now() - l->since >= LINK_YOUNG) {
        suspect(l); /* [ZK-48] */
    }
    if (why != NULL) {
        greeting_failed(l, why);
    } else if (auth.size > 0) {
        say_hello(l, &auth);
    } else {
        up(l, &m);
    }
    arena_deinit(&a);
    buf_deinit(&auth);
}

/* `auth` may be empty. */
static void say_hello(struct broker_link *l, struct buf *auth)
{
    char client_id[32];
    struct msg_hello_request m = our_hello(l);
    struct rpc_out *out = NULL;

    if (!link_may_act(l)) { /* [ZK-25] */
        return;
    }
    out = rpc_out_new();
    snprintf(client_id, sizeof(client_id), "controller-%d", (int)m.controller_id);
    m.client_id = client_id;
    m.auth = (struct bytes){.at = auth->data, .size = auth->size};
    wire_encode_hello_request(&m, rpc_out_buf(out));
    rpc_call(l->conn, API_HELLO, LINK_HELLO_MS, out, on_hello, l);
}

static void on_connected(void *owner, struct rpc_conn *conn)
{
    struct broker_link *l = owner;
    struct buf auth = {0};

    must(conn == l->conn);
    l->state = LINK_GREETING;
    l->auth.is_answered = false;
    if (l->set->options.secret != NULL) {
        hello_asker_begin(&l->auth, &auth);
    }
    say_hello(l, &auth);
    buf_deinit(&auth);
}

/* --- Requests of the broker -------------------------------------------------------------------- */

static void on_ready(struct broker_link *l, struct rpc_conn *conn, struct rpc_request *r)
{
    struct arena a;
    struct msg_broker_ready_request m = {0};

    arena_init(&a, wire_arena_ceiling(r->body.size));
    if (wire_decode_broker_ready_request(r->body, &a, &m) != 0) {
        rpc_answer(conn, &r->header, ERRCODE_INVALID_REQUEST, "it does not decode", NULL);
    } else if (m.broker_epoch != l->epoch) {
        rpc_answer(conn, &r->header, ERRCODE_STALE_BROKER_EPOCH,
                "the registered incarnation is another one", NULL);
    } else {
        rpc_answer(conn, &r->header, ERRCODE_NONE, "", NULL);
        l->set->options.on_ready(l->set->options.ctx, l->id, &m);
    }
    arena_deinit(&a);
}

struct link_request *link_keep_request(
        struct broker_link *l, struct rpc_conn *conn, struct rpc_request *r)
{
    struct link_request *request = mem_new(struct link_request);

    request->id = l->id;
    request->conn_id = rpc_conn_id(conn);
    request->header = r->header;
    request->header.detail = "";
    return request;
}

static void on_shutdown(struct broker_link *l, struct rpc_conn *conn, struct rpc_request *r)
{
    struct arena a;
    struct msg_controlled_shutdown_request m = {0};

    arena_init(&a, wire_arena_ceiling(r->body.size));
    if (wire_decode_controlled_shutdown_request(r->body, &a, &m) != 0) {
        rpc_answer(conn, &r->header, ERRCODE_INVALID_REQUEST, "it does not decode", NULL);
    } else {
        l->set->options.on_shutdown(
                l->set->options.ctx, l->id, m.broker_epoch, link_keep_request(l, conn, r));
    }
    arena_deinit(&a);
}

static void on_producer_ids(struct broker_link *l, struct rpc_conn *conn, struct rpc_request *r)
{
    struct arena a;
    struct msg_allocate_producer_ids_request m = {0};

    arena_init(&a, wire_arena_ceiling(r->body.size));
    if (wire_decode_allocate_producer_ids_request(r->body, &a, &m) != 0) {
        rpc_answer(conn, &r->header, ERRCODE_INVALID_REQUEST, "it does not decode", NULL);
    } else {
        l->set->options.on_producer_ids(
                l->set->options.ctx, l->id, m.broker_epoch, link_keep_request(l, conn, r));
    }
    arena_deinit(&a);
}

static void on_request(void *owner, struct rpc_conn *conn, struct rpc_request *r)
{
    struct broker_link *l = owner;

    if (l->state != LINK_UP) {
        rpc_answer(conn, &r->header, ERRCODE_NOT_CONTROLLER, "greet first", NULL);
    } else if (!link_may_act(l)) { /* [ZK-25] */
        rpc_answer(conn, &r->header, ERRCODE_NOT_CONTROLLER,
                "ZooKeeper was silent for too long: another controller may be active", NULL);
    } else if (r->body.size > WIRE_BODY_MAX) {
        rpc_answer(conn, &r->header, ERRCODE_INVALID_REQUEST, "the body is too large", NULL);
    } else if (r->header.api == API_BROKER_READY) {
        on_ready(l, conn, r);
    } else if (r->header.api == API_CONTROLLED_SHUTDOWN) {
        on_shutdown(l, conn, r);
    } else if (r->header.api == API_ALLOCATE_PRODUCER_IDS) {
        on_producer_ids(l, conn, r);
    } else if (r->header.api == API_ALTER_PARTITION) {
        link_on_alter_partition(l, conn, r);
    } else if (r->header.api == API_REPLICA_FAILED) {
        link_on_replica_failed(l, conn, r);
    } else {
        rpc_answer(conn, &r->header, ERRCODE_UNSUPPORTED_VERSION,
                "a controller does not know this request", NULL);
    }
    rpc_request_free(r);
}

/* --- Dialling ---------------------------------------------------------------------------------- */

/* [ZK-42] Refused twice, 100 ms apart: nobody listens, the process is dead. */
static void on_refused(struct broker_link *l, const char *reason)
{
    wtime delay = ++l->n_refused == 1 ? LINK_REDIAL_FIRST : LINK_REDIAL;

    link_redial(l, delay, reason);
    if (l->n_refused >= 2) {
        suspect(l);
    }
}

static void on_closed(void *owner, struct rpc_conn *conn, const char *reason)
{
    struct broker_link *l = owner;
    bool was_up = l->state == LINK_UP;
    bool was_connecting = l->state == LINK_CONNECTING;

    l->conn = NULL;
    if (was_connecting && (strstr(reason, strerror(ECONNREFUSED)) != NULL ||
                                  strstr(reason, "nobody listens") != NULL)) {
        on_refused(l, reason);
        return;
    }
    l->n_refused = 0;
    if (was_up) {
        l->lost_at = clock_now();
        link_redial(l, 0, reason);
        return;
    }
    /* A process that dies may still take the connection that asks whether it lives. */
    link_redial(l, clock_now() - l->lost_at < LINK_LOST ? LINK_REDIAL_FIRST : LINK_REDIAL, reason);
}

static const struct rpc_callbacks callbacks = {
        .on_connected = on_connected, .on_request = on_request, .on_closed = on_closed};

static void on_found(void *ctx, const struct resolved *result)
{
    struct broker_link *l = ctx;
    const struct rpc_limits limits = {
            .frame_max = LINK_FRAME_MAX, .handshake_timeout = WTIME_NEVER};
    char text[320];

    l->lookup = NULL;
    if (result->n == 0) {
        snprintf(text, sizeof(text), "the name %s is not found: %s", l->host,
                result->error != NULL ? result->error : "no address");
        link_redial(l, LINK_REDIAL_SLOW, text);
        return;
    }
    if (!link_may_act(l)) { /* [ZK-25] The claim will be lost, and this link goes with it. */
        l->state = LINK_WAITING;
        return;
    }
    l->state = LINK_CONNECTING;
    l->conn = rpc_conn_connect(l->set->options.loop, &result->addr[0], result->addr_len[0],
            LINK_CONNECT_MAX, &limits, &callbacks, l);
}

static void on_redial(void *ctx)
{
    struct broker_link *l = ctx;

    must(l->conn == NULL);
    must(l->lookup == NULL);
    l->state = LINK_LOOKING_UP;
    l->lookup = resolver_start(
            l->set->options.resolver, l->set->options.loop, l->host, l->port, on_found, l);
}

static wtime last_heard(const struct broker_link *l)
{
    return wtime_max(l->last_heartbeat, l->since);
}

bool link_is_silent(const struct broker_link *l, wtime now)
{
    return now - last_heard(l) > l->set->options.broker_timeout;
}

bool link_is_quiet(const struct broker_link *l, wtime now)
{
    return now - last_heard(l) > l->set->options.broker_timeout / 2;
}

/* --- Life -------------------------------------------------------------------------------------- */

struct broker_link *link_new(struct broker_links *set, const struct meta_register_broker *broker)
{
    struct broker_link *l = mem_new(struct broker_link);

    l->set = set;
    l->id = broker->id;
    l->epoch = broker->epoch;
    for (size_t i = 0; i < broker->n_endpoints; i++) {
        if (strcmp(broker->endpoints[i].name, set->options.listener) == 0) {
            mem_free(l->host);
            l->host = mem_strdup(broker->endpoints[i].host);
            l->port = broker->endpoints[i].port;
        }
    }
    must(l->host != NULL); /* Registrations without that listener are not accepted. */
    arena_init(&l->dirs_arena, 0);
    l->since = clock_now();
    timer_init(&l->redial, set->options.loop, on_redial, l);
    timer_init(&l->beat, set->options.loop, on_beat, l);
    timer_set(&l->redial, 0);
    return l;
}

struct broker_link *link_free(struct broker_link *l)
{
    if (l == NULL) {
        return NULL;
    }
    disconnect(l);
    timer_deinit(&l->redial);
    timer_deinit(&l->beat);
    arena_deinit(&l->dirs_arena);
    mem_free(l->dirs_frame);
    mem_free(l->host);
    return mem_free(l);
}
