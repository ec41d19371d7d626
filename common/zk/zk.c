/* SPDX-License-Identifier: Apache-2.0 */
#include "common/zk/zk_internal.h"

#include "common/base/must.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

/* Answers read in one turn of the loop; more wait for the next, so that nobody else starves. [ZK-3] */
enum {
    ZK_BUDGET = 64
};

#define ZK_BEAT      WTIME_MS(300)
#define ZK_RETRY     WTIME_S(1)
#define ZK_COMPLAINT WTIME_S(10)
#define ZK_RECENT    WTIME_S(1)

static void connect_begin(struct zk *zk);

/* --- What people are told ---------------------------------------------------------------------- */

static void on_library_log(const char *message)
{
    log_debug("zk", "library_said", KV_STR("text", message));
}

/* Whether a server accepted a connection a moment ago, in vain. */
static bool accepts_tcp(const struct zk *zk, wtime now)
{
    return zk->tcp_accepted_at > zk->lost_at && now - zk->tcp_accepted_at < ZK_RECENT;
}

/* One does now; how long already without taking the session is remembered. */
static void accepted(struct zk *zk, wtime now)
{
    if (!accepts_tcp(zk, now)) {
        zk->accepting_since = now;
    }
    zk->tcp_accepted_at = now;
}

static void say_trouble(struct zk *zk)
{
    wtime now = clock_now();

    if (zk->lookup == NULL && zk->addresses != NULL) {
        snprintf(zk->trouble, sizeof(zk->trouble),
                accepts_tcp(zk, now)
                        ? "a server of %s accepts the connection but does not answer (no quorum?)"
                        : "no server of %s accepts a connection",
                zk->servers.text);
    }
    if (now >= zk->next_complaint) {
        zk->next_complaint = wtime_add(now, ZK_COMPLAINT);
        log_warn("zk", "zookeeper_away", KV_STR("detail", zk->trouble),
                KV_I64("away_ms", (now - zk->lost_at) / 1000), KV_STR("action", "trying on"));
    }
}

/* --- Looking the names up ---------------------------------------------------------------------- */

static void found_append(struct zk *zk, const char *host, uint16_t port)
{
    /* The library splits at the last colon and looks the rest up, so an IPv6 address goes without brackets. */
    char *longer = mem_format("%s%s%s:%u", zk->found != NULL ? zk->found : "",
            zk->found != NULL ? "," : "", host, (unsigned)port);

    mem_free(zk->found);
    zk->found = longer;
    zk->n_found++;
}

/* [ZK-18] After a failure the library steps on twice, and it pauses when it stands at the end of its list: of an even
 * number of addresses it would try every second one only, and without a pause. So it never gets an even number. */
static void make_odd(struct zk *zk)
{
    char *longer = NULL;

    if (zk->n_found > 0 && zk->n_found % 2 == 0) {
        longer = mem_format("%s,%.*s", zk->found, (int)strcspn(zk->found, ","), zk->found);
        mem_free(zk->found);
        zk->found = longer;
    }
}

static void on_digest_taken(int rc, const void *data)
{
    /* A server takes every digest; whether it opens the nodes shows at the nodes. */
}

/* [ZK-12] The library says it again on each of the handle's connections, before anything else. */
static void add_digest(struct zk *zk)
{
    int rc = ZOK;

    if (zk->digest != NULL) {
        rc = zoo_add_auth(zk->handle, "digest", zk->digest, (int)strlen(zk->digest),
                on_digest_taken, NULL);
    }
    if (rc != ZOK) {
        log_error("zk", "digest_refused", KV_I64("zk_code", rc), KV_STR("detail", zerror(rc)));
    }
}

static void handle_open(struct zk *zk)
{
    must(zk->handle == NULL);
    zk->in_library++;
    zk->handle = zookeeper_init2(zk->addresses, NULL, zk->options.session_timeout_ms,
            zk->resume ? &zk->client : NULL, zk, ZOO_NO_LOG_CLIENTENV, on_library_log);
    if (zk->handle != NULL) {
        zoo_set_servers_resolution_delay(zk->handle, -1); /* [ZK-10] */
        add_digest(zk);
    }
    zk->in_library--;
}

static void try_again_later(struct zk *zk)
{
    say_trouble(zk);
    timer_set(&zk->retry, wtime_add(clock_now(), ZK_RETRY));
}

static void lookups_done(struct zk *zk)
{
    bool is_new = false;

    make_odd(zk);
    is_new = zk->found != NULL && (zk->addresses == NULL || strcmp(zk->found, zk->addresses) != 0);
    if (is_new) {
        mem_free(zk->addresses);
        zk->addresses = mem_steal(&zk->found);
    }
    if (zk->addresses == NULL) { /* `trouble` says which name is unknown. */
        try_again_later(zk);
        return;
    }
    if (zk->handle == NULL) {
        handle_open(zk);
    } else if (is_new) {
        zk->in_library++;
        (void)zoo_set_servers(
                zk->handle, zk->addresses); /* It keeps the old list when it refuses this. */
        zk->in_library--;
    }
    if (zk->handle == NULL) {
        snprintf(
                zk->trouble, sizeof(zk->trouble), "the client library refuses '%s'", zk->addresses);
        try_again_later(zk);
        return;
    }
    zk_kick(zk);
}

static void on_lookup(void *ctx, const struct resolved *result);

static void lookup_next(struct zk *zk)
{
    while (zk->lookup_i < zk->servers.n) {
        const struct zk_server *s = &zk->servers.at[zk->lookup_i];
        if (!s->is_numeric) {
            zk->lookup = resolver_start(zk->resolver, zk->loop, s->host, s->port, on_lookup, zk);
            return;
        }
        found_append(zk, s->host, s->port);
        zk->lookup_i++;
    }
    lookups_done(zk);
}

static void on_lookup(void *ctx, const struct resolved *result)
{
    struct zk *zk = ctx;
    const struct zk_server *s = &zk->servers.at[zk->lookup_i];

    zk->lookup = NULL;
    for (size_t i = 0; i < result->n; i++) {
        char text[INET6_ADDRSTRLEN];
        const void *at = &result->addr[i];
        const struct sockaddr_in *v4 = at;
        const struct sockaddr_in6 *v6 = at;
        bool is_v4 = result->addr[i].ss_family == AF_INET;
        const void *bits = is_v4 ? (const void *)&v4->sin_addr : (const void *)&v6->sin6_addr;
        if (inet_ntop(result->addr[i].ss_family, bits, text, sizeof(text)) != NULL) {
            found_append(zk, text, s->port);
        }
    }
    if (result->n == 0) {
        snprintf(zk->trouble, sizeof(zk->trouble), "the name %s is not found: %s", s->host,
                result->error != NULL ? result->error : "no address");
        log_debug("zk", "lookup_failed", KV_STR("detail", zk->trouble));
    }
    zk->lookup_i++;
    lookup_next(zk);
}

/* [ZK-10] Before each new handle and after each lost connection the names are looked up anew, off the loop, and at most
 * once a second. */
static void connect_begin(struct zk *zk)
{
    wtime now = clock_now();

    if (zk->lookup != NULL) {
        return;
    }
    if (zk->handle != NULL && zk->addresses != NULL && now < zk->next_lookup) {
        zk_kick(zk);
        return;
    }
    zk->next_lookup = wtime_add(now, ZK_RETRY);
    zk->lookup_i = 0;
    zk->found = mem_free(zk->found);
    zk->n_found = 0;
    lookup_next(zk);
}

static void on_retry(void *ctx)
{
    connect_begin(ctx);
}

/* --- Sessions ---------------------------------------------------------------------------------- */

static void connection_won(struct zk *zk)
{
    char peer[128];
    struct sockaddr_storage addr;
    socklen_t addr_len = sizeof(addr);

    zk->is_connected = true;
    zk->has_asked_again = false;
    zk->trouble[0] = '\0';
    zk->next_complaint = 0;
    zk->client = *zoo_client_id(zk->handle);
    zk->resume = false;
    zk->last_heard = wtime_max(zk->last_heard, zk->tcp_accepted_at);
    snprintf(peer, sizeof(peer), "?");
    if (zookeeper_get_connected_host(zk->handle, (void *)&addr, &addr_len) != NULL) {
        sockaddr_text(&addr, peer, sizeof(peer));
    }
    metric_set(METRIC_ZK_CONNECTED, 1);
    log_info("zk", "zookeeper_connected", KV_STR("server", peer),
            KV_HEX("session", (uint64_t)zk->client.client_id),
            KV_I64("session_timeout_ms", zoo_recv_timeout(zk->handle)));
    if (!zk->is_known) {
        zk->is_known = true;
        metric_add(METRIC_ZK_SESSIONS, 1);
        zk->options.on_session(zk->options.ctx);
    } else if (zk->options.on_connection != NULL) {
        zk->options.on_connection(zk->options.ctx, true);
    }
}

static void connection_lost(struct zk *zk)
{
    zk->is_connected = false;
    zk->lost_at = clock_now();
    zk->next_complaint = wtime_add(zk->lost_at, WTIME_S(1));
    metric_set(METRIC_ZK_CONNECTED, 0);
    log_info("zk", "zookeeper_disconnected", KV_HEX("session", (uint64_t)zk->client.client_id));
    if (zk->options.on_connection != NULL) {
        zk->options.on_connection(zk->options.ctx, false);
    }
}

/* Closes the handle; what was under way ends with ZK_UNKNOWN. */
static void handle_close(struct zk *zk)
{
    zhandle_t *handle = mem_steal(&zk->handle);

    zk->was_open = false;
    zk->asking_since = 0;
    zk->needs_lookup = false;
    event_del(zk->io);
    if (handle != NULL) {
        zk->in_library++;
        (void)zookeeper_close(handle); /* Whether the server heard it or not, the handle is gone. */
        zk->in_library--;
    }
    must(zk->n_in_flight == 0);
}

/* The watches that the closed handle had: forgotten, or fired so that their owners look again. */
static void watches_end(struct zk *zk, bool fire)
{
    struct zk_watch *w = NULL;

    /* Owners can make calls in here, but a new watch comes only with an answer. */
    while ((w = LIST_FIRST(&zk->watches)) != NULL) {
        LIST_REMOVE(w, entry);
        if (fire) {
            w->fn(w->ctx);
        }
        mem_free(w);
    }
}

static void session_end(struct zk *zk, const char *why)
{
    bool was_known = zk->is_known;

    log_warn("zk", "session_ended", KV_STR("reason", why),
            KV_HEX("session", (uint64_t)zk->client.client_id));
    handle_close(zk);
    watches_end(zk, false);
    zk->session_is_over = false;
    zk->handle_is_dirty = false;
    zk->resume = false;
    zk->is_known = false;
    zk->client = (clientid_t){0};
    zk->lost_at = clock_now();
    /* [ZK-5] Calls that its owner made in this session, up to the end of on_session_lost, end with it. */
    zk_calls_drop(zk, zk->session + 1);
    if (was_known && zk->options.on_session_lost != NULL) {
        zk->options.on_session_lost(zk->options.ctx);
    }
    zk->session++;
    connect_begin(zk);
}

/* The session goes on with a new handle. [ZK-6] Of the old one's half-sent request the rest would go out first on the next
 * connection. */
static void handle_replace(struct zk *zk)
{
    zk->handle_is_dirty = false;
    zk->resume = zk->client.client_id != 0;
    handle_close(zk);
    watches_end(zk, true);
    connect_begin(zk);
}

static bool is_open(int state)
{
    return state == ZOO_CONNECTING_STATE || state == ZOO_ASSOCIATING_STATE ||
           state == ZOO_CONNECTED_STATE;
}

/* After every entry into the library: what became of the connection? */
static void look_at_state(struct zk *zk)
{
    int state = zk->handle != NULL ? zoo_state(zk->handle) : 0;
    bool is_connected = state == ZOO_CONNECTED_STATE;

    if (zk->handle == NULL) {
        return;
    }
    if (state != ZOO_ASSOCIATING_STATE) {
        zk->asking_since = 0;
    } else {
        accepted(zk, clock_now());
        zk->asking_since = zk->asking_since != 0 ? zk->asking_since : clock_now();
    }
    if (state == ZOO_EXPIRED_SESSION_STATE || state == ZOO_AUTH_FAILED_STATE) {
        zk->session_is_over = true;
    }
    if (zk->was_open && !is_open(state)) {
        zk->needs_lookup = true;
    }
    zk->was_open = is_open(state);
    if (is_connected && !zk->is_connected) {
        connection_won(zk);
    } else if (!is_connected && zk->is_connected) {
        zk->handle_is_dirty = state == ZOO_NOTCONNECTED_STATE;
        connection_lost(zk);
    }
}

/* --- Driving the library ----------------------------------------------------------------------- */

static void arm(struct zk *zk)
{
    int fd = -1, interest = 0, rc = 0;
    struct timeval tv = {0};
    short what = 0;

    zk->in_library++;
    rc = zookeeper_interest(zk->handle, &fd, &interest, &tv);
    zk->in_library--;
    look_at_state(zk);
    if (rc != ZOK || zk->session_is_over || zk->handle_is_dirty) {
        /* [ZK-2] The descriptor may be the one just closed: only a timer. */
        zk->needs_lookup = true;
        fd = -1;
        tv = (struct timeval){.tv_usec = zk->session_is_over ? 0 : 20000};
    }
    if (fd >= 0) {
        what = (short)(((interest & ZOOKEEPER_READ) != 0 ? EV_READ : 0) |
                       ((interest & ZOOKEEPER_WRITE) != 0 ? EV_WRITE : 0));
    }
    event_del(zk->io);
    must(event_assign(zk->io, loop_base(zk->loop), fd, what, event_get_callback(zk->io), zk) == 0);
    must(event_add(zk->io, &tv) == 0);
}

static void process(struct zk *zk, int events)
{
    for (int i = 0; i < ZK_BUDGET; i++) {
        int rc = 0;

        zk->in_library++;
        rc = zookeeper_process(zk->handle, events);
        zk->in_library--;
        if (rc != ZOK || (events & ZOOKEEPER_READ) == 0) {
            break;
        }
        events = ZOOKEEPER_READ; /* [ZK-3] One packet a call: go on until there is none. */
    }
}

static bool is_unhealthy(const struct zk *zk)
{
    return zk->session_is_over || zk->handle_is_dirty;
}

/* One turn of the loop: replaces a bad handle, sends what waits, arms the event. */
static void turn(struct zk *zk)
{
    must(zk->in_library == 0);
    if (zk->handle != NULL && !is_unhealthy(zk)) {
        if (zk->is_connected && !STAILQ_EMPTY(&zk->waiting)) {
            process(zk,
                    ZOOKEEPER_READ); /* [ZK-6] A dead socket is better met reading than sending. */
        }
        look_at_state(zk);
        zk_calls_send(zk);
        look_at_state(zk);
    }
    if (zk->session_is_over) {
        session_end(zk, "expired by the server");
        return;
    }
    if (zk->handle_is_dirty) {
        handle_replace(zk);
        return;
    }
    zk_calls_drop(zk, zk->session);
    if (zk->handle == NULL || zk->lookup != NULL) {
        return;
    }
    if (zk->needs_lookup) {
        zk->needs_lookup = false;
        if (!zk->is_connected) {
            say_trouble(zk);
        }
        connect_begin(zk); /* The next turn goes on from there. */
        return;
    }
    arm(zk);
}

static void on_io(evutil_socket_t fd, short what, void *ctx)
{
    struct zk *zk = ctx;
    int events = ((what & EV_READ) != 0 ? ZOOKEEPER_READ : 0) |
                 ((what & EV_WRITE) != 0 ? ZOOKEEPER_WRITE : 0);

    if (events != 0 && zk->handle != NULL && zk->lookup == NULL && !is_unhealthy(zk)) {
        process(zk, events);
    }
    turn(zk);
}

static void on_kick(evutil_socket_t fd, short what, void *ctx)
{
    struct zk *zk = ctx;

    if (!zk->closing) {
        turn(zk);
    }
}

void zk_kick(struct zk *zk)
{
    if (!zk->closing) {
        event_active(zk->kick, EV_TIMEOUT, 0);
    }
}

static void on_beat_answer(void *ctx, enum zk_rc rc, const struct zk_stat *stat)
{
    struct zk *zk = ctx;

    zk->beat_under_way = false;
    if (rc != ZK_UNKNOWN) { /* [ZK-4] It proves the session at the time of the question, not of the answer. */
        zk->last_heard = wtime_max(zk->last_heard, zk->beat_sent);
    }
}

static void on_beat(void *ctx)
{
    struct zk *zk = ctx;
    wtime now = clock_now();
    wtime timeout = WTIME_MS(zk_session_timeout_ms(zk));

    timer_set(&zk->beat, wtime_add(now, ZK_BEAT));
    if (zk->is_connected) {
        if (!zk->beat_under_way) { /* [ZK-4] Keeps last_heard fresh. */
            zk->beat_under_way = true;
            zk->beat_sent = now;
            zk_exists(zk, "/weir", NULL, on_beat_answer, zk);
        }
        return;
    }
    if (!zk->has_asked_again && zk->asking_since != 0 && now - zk->asking_since > timeout / 3) {
        /* [ZK-19] The connection may be one that a starting server forgot; its next one is answered. */
        zk->has_asked_again = true;
        log_debug("zk", "handle_replaced", KV_STR("reason", "a server does not answer"));
        handle_replace(zk);
    } else if (zk->client.client_id != 0 && accepts_tcp(zk, now) &&
            now - zk->accepting_since > 2 * timeout) {
        /* [ZK-17] Servers are there and do not take this session. Without a quorum none would; after wiped data none takes
         * a handle that has seen more than they have. A new handle has seen nothing: it is answered. */
        zk->accepting_since = now;
        log_debug("zk", "handle_replaced", KV_STR("reason", "servers do not take the session"));
        handle_replace(zk);
    } else if (zk->lost_at + WTIME_S(1) < now) {
        say_trouble(zk);
    }
}

/* --- Life -------------------------------------------------------------------------------------- */

int zk_new(struct loop *loop,
        struct resolver *resolver,
        const struct zk_options *options,
        struct zk **ret,
        char *error,
        size_t error_size)
{
    struct zk_servers servers = {0};
    struct zk *zk = NULL;
    int r = zk_servers_parse(options->connect, &servers, error, error_size);

    if (r > 0) {
        return ZK_E_CONNECT;
    }
    if (r < 0) {
        return err_forward(r);
    }
    must(options->on_session != NULL);
    zk = mem_new(struct zk);
    zk->loop = loop;
    zk->resolver = resolver;
    zk->options = *options;
    zk->options.connect = zk->options.digest = NULL;
    zk->digest = options->digest != NULL ? mem_strdup(options->digest) : NULL;
    zk->servers = servers;
    zk->session = 1;
    STAILQ_INIT(&zk->waiting);
    LIST_INIT(&zk->watches);
    zk->lost_at = clock_now();
    zk->io = event_new(loop_base(loop), -1, 0, on_io, zk);
    zk->kick = event_new(loop_base(loop), -1, 0, on_kick, zk);
    must(zk->io != NULL);
    must(zk->kick != NULL);
    timer_init(&zk->beat, loop, on_beat, zk);
    timer_init(&zk->retry, loop, on_retry, zk);
    timer_set(&zk->beat, wtime_add(clock_now(), ZK_BEAT));
    snprintf(zk->trouble, sizeof(zk->trouble), "connecting to %s", zk->servers.text);
    *ret = zk;
    connect_begin(zk);
    return 0;
}

struct zk *zk_free(struct zk *zk)
{
    if (zk == NULL) {
        return NULL;
    }
    must(zk->in_library == 0);
    zk->closing = true;
    if (zk->lookup != NULL) {
        lookup_cancel(zk->lookup);
    }
    zk->is_connected = false;
    metric_set(METRIC_ZK_CONNECTED, 0);
    handle_close(zk);
    /* Owners who make a call in the callback of an ended one hear of its end too, but not for ever. */
    for (int i = 0; i < 10 && !STAILQ_EMPTY(&zk->waiting); i++) {
        zk_calls_drop(zk, UINT64_MAX);
    }
    must(STAILQ_EMPTY(&zk->waiting));
    watches_end(zk, false);
    timer_deinit(&zk->beat);
    timer_deinit(&zk->retry);
    event_free(zk->io);
    event_free(zk->kick);
    zk_servers_deinit(&zk->servers);
    mem_free(zk->found);
    mem_free(zk->addresses);
    if (zk->digest != NULL) {
        explicit_bzero(zk->digest, strlen(zk->digest));
    }
    mem_free(zk->digest);
    return mem_free(zk);
}

bool zk_has_digest(const struct zk *zk)
{
    return zk->digest != NULL;
}

bool zk_is_connected(const struct zk *zk)
{
    return zk->is_connected;
}

int64_t zk_session_id(const struct zk *zk)
{
    return zk->is_known ? zk->client.client_id : 0;
}

int zk_session_timeout_ms(const struct zk *zk)
{
    return zk->handle != NULL ? zoo_recv_timeout(zk->handle) : zk->options.session_timeout_ms;
}

wtime zk_last_heard(const struct zk *zk)
{
    return zk->last_heard;
}

const char *zk_trouble(const struct zk *zk)
{
    return zk->is_connected ? "" : zk->trouble;
}
