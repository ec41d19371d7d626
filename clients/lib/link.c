/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/lib/link.h"

#include "clients/core/backoff.h"
#include "common/base/arena.h"
#include "common/base/mem.h"
#include "common/base/must.h"
#include "common/conf/conf.h"
#include "common/domain/errcode.h"

#include <stdio.h>
#include <string.h>

enum {
    FRAME_MAX_LEAST = 128 * 1024 * 1024,
    HOST_SIZE = 256,
    TRY_AT_ONCE = 3, /* links that begin to connect when any will do */
    SILENT_MS = 1000,
};

static void try_next_address(struct link *l);

/* --- Failures --------------------------------------------------------------------------------- */

static void link_down(struct link *l, const char *reason)
{
    struct weir_client *c = l->client;
    wtime now = loop_now(c->loop);
    bool was_up = l->state == LINK_UP;

    l->state = LINK_DOWN;
    l->n_failures++;
    l->not_before =
            wtime_add(now, backoff_after(c->settings.reconnect_backoff,
                                   c->settings.reconnect_backoff_max, l->n_failures, &l->prng));
    (void)snprintf(l->reason, sizeof(l->reason), "%s", reason);
    client_log(c, was_up ? WEIR_LOG_INFO : WEIR_LOG_WARN, "%s:%u: %s", l->host, l->port, l->reason);
    pthread_mutex_lock(&c->lock);
    mv_refresh_want(&c->refresh); /* the leader may have gone with it */
    pthread_mutex_unlock(&c->lock);
    client_kick_unlocked(c);
}

/* An address, or what answers there, is of no use. */
static void address_failed(struct link *l, const char *reason)
{
    if (l->state != LINK_UP && l->next_addr < l->addrs.n) {
        (void)snprintf(l->reason, sizeof(l->reason), "%s", reason);
        try_next_address(l);
        return;
    }
    link_down(l, reason);
}

void link_broken(struct link *l, const char *reason)
{
    struct rpc_conn *conn = mem_steal(&l->conn);

    if (conn == NULL) {
        return;
    }
    char text[sizeof(l->reason)];
    (void)snprintf(text, sizeof(text), "%s", reason);
    rpc_conn_close(conn); /* other calls end here */
    address_failed(l, text);
}

void link_answered(struct link *l, const struct rpc_reply *reply)
{
    if (reply->frame != NULL) {
        l->silent_since = WTIME_NEVER;
    }
    if (reply->throttle_ms > 0) {
        l->throttled_until = wtime_add(loop_now(l->client->loop), WTIME_MS(reply->throttle_ms));
    }
    if (reply->error == ERRCODE_REQUEST_TIMED_OUT && reply->frame == NULL) {
        link_broken(l, "a request was not answered in time");
    }
}

static void on_closed(void *owner, struct rpc_conn *conn, const char *reason)
{
    struct link *l = owner;

    if (l->conn == conn) {
        l->conn = NULL;
        address_failed(l, reason);
    }
}

/* --- Hello ------------------------------------------------------------------------------------ */

static int read_hello(struct link *l, const struct rpc_reply *reply, char *text, size_t size)
{
    struct weir_client *c = l->client;
    struct arena arena;
    struct msg_hello_response m;

    arena_init(&arena, wire_arena_ceiling(reply->body.size));
    if (wire_decode_hello_response(reply->body, &arena, &m) != 0) {
        arena_deinit(&arena);
        (void)snprintf(text, size, "the answer to Hello cannot be read");
        return -1;
    }
    bool is_other = !uuid_is_zero(&c->cluster_id) && !uuid_is_zero(&m.cluster_id) &&
                    !uuid_equal(&c->cluster_id, &m.cluster_id);
    if (uuid_is_zero(&c->cluster_id)) {
        c->cluster_id = m.cluster_id;
    }
    broker_id id = m.broker;
    arena_deinit(&arena);
    if (is_other) {
        (void)snprintf(text, size, "that broker belongs to another cluster");
        return -1;
    }
    if (l->id != BROKER_NONE && id != l->id) {
        (void)snprintf(text, size, "broker %d answers where broker %d was expected", id, l->id);
        return -1;
    }
    return 0;
}

static void on_hello(void *ctx, struct rpc_reply *reply)
{
    struct link *l = ctx;
    char text[160];

    if (l->conn == NULL) {
        return; /* closed on this side */
    }
    if (reply->error != ERRCODE_NONE) {
        if (reply->frame != NULL || reply->error == ERRCODE_REQUEST_TIMED_OUT) {
            (void)snprintf(text, sizeof(text), "Hello was refused: %s %s",
                    errcode_name(reply->error), reply->detail);
            link_broken(l, text);
        }
        return; /* else on_closed follows */
    }
    if (read_hello(l, reply, text, sizeof(text)) != 0) {
        link_broken(l, text);
        return;
    }
    l->state = LINK_UP;
    l->n_failures = 0;
    l->n_produce = 0;
    l->silent_since = WTIME_NEVER;
    l->reason[0] = '\0';
    client_log(l->client, WEIR_LOG_DEBUG, "connected to %s", rpc_conn_peer(l->conn));
    client_kick_unlocked(l->client);
}

static void on_connected(void *owner, struct rpc_conn *conn)
{
    struct link *l = owner;
    struct rpc_out *out = rpc_out_new();
    struct msg_hello_request hello = {
            .client_id = l->client->settings.client_id,
            .role = ROLE_CLIENT,
            .cluster_id = l->client->cluster_id,
            .library = "libweir",
            .library_version = weir_version(),
            .controller_id = -1,
    };

    must(l->conn == conn);
    l->state = LINK_HELLO;
    wire_encode_hello_request(&hello, rpc_out_buf(out));
    rpc_call(conn, API_HELLO, (uint32_t)(l->client->settings.connect_timeout / 1000), out, on_hello,
            l);
}

/* --- Connecting ------------------------------------------------------------------------------- */

static const struct rpc_callbacks callbacks = {
        .on_connected = on_connected, .on_closed = on_closed};

static void try_next_address(struct link *l)
{
    const struct settings *s = &l->client->settings;
    uint64_t frame_max = 2 * (uint64_t)s->fetch_max_bytes;
    struct rpc_limits limits = {
            .frame_max = frame_max < FRAME_MAX_LEAST ? FRAME_MAX_LEAST
                         : frame_max < INT32_MAX     ? (uint32_t)frame_max
                                                     : INT32_MAX,
            .handshake_timeout = WTIME_NEVER,
    };
    size_t i = l->next_addr++;

    must(i < l->addrs.n);
    l->state = LINK_CONNECTING;
    l->conn = rpc_conn_connect(l->client->loop, &l->addrs.addr[i], l->addrs.addr_len[i],
            s->connect_timeout, &limits, &callbacks, l);
}

static void on_resolved(void *ctx, const struct resolved *result)
{
    struct link *l = ctx;
    char text[160];

    l->lookup = NULL;
    l->addrs = *result;
    l->next_addr = 0;
    if (result->n == 0) {
        (void)snprintf(text, sizeof(text), "the name cannot be resolved: %s", result->error);
        link_down(l, text);
        return;
    }
    try_next_address(l);
}

static void link_start(struct link *l)
{
    l->state = LINK_RESOLVING;
    l->lookup =
            resolver_start(l->client->resolver, l->client->loop, l->host, l->port, on_resolved, l);
}

static bool can_start(const struct link *l, wtime now)
{
    return l->state == LINK_DOWN && now >= l->not_before && !l->is_removed;
}

struct link *link_get(struct weir_client *c, broker_id id, wtime now)
{
    struct link *l = NULL;

    TAILQ_FOREACH(l, &c->links, entry)
    {
        if (l->id == id && !l->is_removed) {
            break;
        }
    }
    if (l == NULL) {
        return NULL;
    }
    if (can_start(l, now)) {
        link_start(l);
    }
    return l->state == LINK_UP && now >= l->throttled_until ? l : NULL;
}

/* How little is to be hoped of it: a broker whose network went away looks as if it were up, and the others know who leads
 * instead. Who waits for records may look so, too. */
static unsigned doubts(const struct link *l, wtime now)
{
    bool is_silent = l->silent_since != WTIME_NEVER && now - l->silent_since > WTIME_MS(SILENT_MS);

    return (is_silent ? 2U : 0U) + (l->id == BROKER_NONE ? 1U : 0U);
}

struct link *link_get_any(struct weir_client *c, wtime now)
{
    struct link *l = NULL;
    struct link *up = NULL;
    unsigned n_trying = 0;

    TAILQ_FOREACH(l, &c->links, entry)
    {
        if (l->state == LINK_UP && !l->is_removed &&
                (up == NULL || doubts(l, now) < doubts(up, now))) {
            up = l;
        }
        n_trying += l->state != LINK_UP && l->state != LINK_DOWN;
    }
    if (up != NULL) { /* takes its turn behind the others next time */
        TAILQ_REMOVE(&c->links, up, entry);
        TAILQ_INSERT_TAIL(&c->links, up, entry);
        return up;
    }
    TAILQ_FOREACH(l, &c->links, entry)
    {
        if (n_trying < TRY_AT_ONCE && can_start(l, now)) {
            link_start(l);
            n_trying++;
        }
    }
    return NULL;
}

bool links_lack_broker(const struct weir_client *c)
{
    const struct link *l = NULL;

    TAILQ_FOREACH(l, &c->links, entry)
    {
        bool is_trying = l->state != LINK_UP && l->state != LINK_DOWN;

        if (is_trying && l->n_failures > 0 && l->id != BROKER_NONE && !l->is_removed) {
            return true;
        }
    }
    return false;
}

wtime links_deadline(const struct weir_client *c, wtime now)
{
    const struct link *l = NULL;
    wtime deadline = WTIME_NEVER;

    TAILQ_FOREACH(l, &c->links, entry)
    {
        if (l->state == LINK_DOWN && l->not_before > now) {
            deadline = wtime_min(deadline, l->not_before);
        }
        if (l->throttled_until > now) {
            deadline = wtime_min(deadline, l->throttled_until);
        }
    }
    return deadline;
}

void links_explain(const struct weir_client *c, char *text, size_t size)
{
    const struct link *l = NULL;
    struct buf b = {0};

    TAILQ_FOREACH(l, &c->links, entry)
    {
        if (l->state != LINK_UP) {
            buf_append_format(&b, "%s%s:%u: %s", b.size > 0 ? "; " : "", l->host, l->port,
                    l->reason[0] != '\0' ? l->reason : "no answer yet");
        }
    }
    (void)snprintf(text, size, "%s", buf_str(&b));
    buf_deinit(&b);
}

void link_call(struct link *l,
        uint32_t api,
        uint32_t timeout_ms,
        struct rpc_out *out,
        void (*fn)(void *ctx, struct rpc_reply *reply),
        void *ctx)
{
    must(l->state == LINK_UP);
    if (l->silent_since == WTIME_NEVER) {
        l->silent_since = loop_now(l->client->loop);
    }
    rpc_call(l->conn, api, timeout_ms, out, fn, ctx);
}

/* --- The set of links ------------------------------------------------------------------------- */

static struct link *link_new(struct weir_client *c, broker_id id, const char *host, uint16_t port)
{
    struct link *l = mem_new(struct link);

    l->client = c;
    l->id = id;
    l->host = mem_strdup(host);
    l->port = port;
    l->silent_since = WTIME_NEVER;
    prng_init(&l->prng, c->seed + (uint64_t)(uint32_t)id + port);
    TAILQ_INSERT_TAIL(&c->links, l, entry);
    return l;
}

static void link_free(struct link *l)
{
    struct rpc_conn *conn = mem_steal(&l->conn);

    if (l->lookup != NULL) {
        lookup_cancel(l->lookup);
    }
    if (conn != NULL) {
        rpc_conn_close(conn);
    }
    TAILQ_REMOVE(&l->client->links, l, entry);
    mem_free(l->host);
    mem_free(l);
}

int links_init(struct weir_client *c, struct weir_error *error)
{
    char *list = mem_strdup(c->settings.bootstrap_servers);
    char *at = list;
    char *item = NULL;

    TAILQ_INIT(&c->links);
    while ((item = strsep(&at, ",")) != NULL) {
        char host[HOST_SIZE];
        uint16_t port = 0;
        item += strspn(item, " \t");
        size_t n = strcspn(item, " \t");
        if (n == 0 && item[n] == '\0') {
            continue;
        }
        item[n] = '\0';
        if (conf_parse_address(item, host, sizeof(host), &port) != 0 || port == 0) {
            (void)error_set(error, WEIR_E_CONFIG,
                    "bootstrap.servers: `%s` is not host:port (IPv6 as [::1]:port)", item);
            mem_free(list);
            return WEIR_E_CONFIG;
        }
        (void)link_new(c, BROKER_NONE, host, port);
    }
    mem_free(list);
    if (TAILQ_EMPTY(&c->links)) {
        return error_set(error, WEIR_E_CONFIG, "bootstrap.servers names no broker");
    }
    return WEIR_OK;
}

void links_deinit(struct weir_client *c)
{
    struct link *l = NULL;

    while ((l = TAILQ_FIRST(&c->links)) != NULL) {
        link_free(l);
    }
}

static struct link *find_broker(struct weir_client *c, broker_id id)
{
    struct link *l = NULL;

    TAILQ_FOREACH(l, &c->links, entry)
    {
        if (l->id == id) {
            return l;
        }
    }
    return NULL;
}

static bool is_listed(const struct link *l, const struct msg_metadata_response *m)
{
    for (size_t i = 0; i < m->n_brokers; i++) {
        const struct msg_metadata_broker *b = &m->brokers[i];
        if (b->id == l->id && b->port == l->port && strcmp(b->host, l->host) == 0) {
            return true;
        }
    }
    return false;
}

void links_update(struct weir_client *c, const struct msg_metadata_response *m)
{
    struct link *l = NULL;

    if (m->n_brokers == 0) {
        return; /* a broker that knows of none knows nothing yet */
    }
    TAILQ_FOREACH(l, &c->links, entry)
    {
        if (l->id == BROKER_NONE) {
            continue;
        }
        if (!is_listed(l, m)) {
            l->is_removed = true; /* gone, or at another address: the link of that is made below */
            l->id = BROKER_NONE;
        }
    }
    for (size_t i = 0; i < m->n_brokers; i++) {
        const struct msg_metadata_broker *b = &m->brokers[i];
        if (b->id >= 0 && find_broker(c, b->id) == NULL) {
            (void)link_new(c, b->id, b->host, b->port);
        }
    }
}

void links_drop_removed(struct weir_client *c)
{
    struct link *l = NULL;
    struct link *next = NULL;

    for (l = TAILQ_FIRST(&c->links); l != NULL; l = next) {
        next = TAILQ_NEXT(l, entry);
        if (l->is_removed) {
            link_free(l);
        }
    }
}
