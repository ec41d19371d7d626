/* SPDX-License-Identifier: Apache-2.0 */
#include "common/net/http.h"

#include "common/base/mem.h"
#include "common/base/must.h"
#include "common/net/http_target.h"
#include "common/net/listen_sockets.h"
#include "common/obs/log.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

enum {
    HEADERS_MAX = 64 << 10, /* request line and headers together */
    REPLY_PIECE = 256 << 10,
    PEER_SIZE = 64,
};

#define ACCEPT_PAUSE WTIME_MS(100)

/* A connection from its first byte on. */
struct http_conn {
    LIST_ENTRY(http_conn) entry;
    struct http_server *server;
    struct evhttp_connection *evcon;
    struct http_request *request; /* handled or being answered; NULL = a request is awaited */
    struct timer deadline;        /* for the whole of the request that is awaited */
};

struct http_request {
    LIST_ENTRY(http_request) entry;
    struct http_server *server;
    struct http_conn *conn;       /* NULL = the client is gone */
    struct evhttp_request *evreq; /* NULL = gone together with the server's connections */
    uint64_t id;
    char peer[PEER_SIZE];
    struct http_target target;
    struct buf rest; /* of a large answer */
    size_t rest_at;
    bool is_answered; /* `rest` is on its way, the handle is not the owner's any more */
};

struct http_server {
    LIST_ENTRY(http_server) entry;
    struct loop *loop;
    struct evhttp *evhttp;
    struct evconnlistener *listeners[LISTEN_SOCKETS_MAX];
    size_t n_listeners;
    struct timer resume;
    uint16_t port;
    struct http_limits limits;
    LIST_HEAD(, http_conn) conns;
    LIST_HEAD(, http_request) requests;
    void (*handle)(void *ctx, struct http_request *r);
    void *ctx;
};

/* The servers of the process, to find that of a connection. Guarded by its lock. */
static pthread_mutex_t servers_lock = PTHREAD_MUTEX_INITIALIZER;
static LIST_HEAD(, http_server) servers = LIST_HEAD_INITIALIZER(servers);

static struct timeval timeval_of(wtime d)
{
    return (struct timeval){
            .tv_sec = (time_t)(d / WTIME_S(1)), .tv_usec = (suseconds_t)(d % WTIME_S(1))};
}

/* --- The end of a request --------------------------------------------------------------------- */

static void request_free(struct http_request *r)
{
    LIST_REMOVE(r, entry);
    if (r->conn != NULL) {
        r->conn->request = NULL;
    }
    http_target_deinit(&r->target);
    buf_deinit(&r->rest);
    mem_free(r);
}

/* The connection goes away under the request. evhttp has taken the request off it and left it to us
 * when the client went; when the server goes, evhttp frees both. */
static void request_lose_conn(struct http_request *r)
{
    bool is_ours = evhttp_request_get_connection(r->evreq) == NULL;

    r->conn->request = NULL;
    r->conn = NULL;
    if (!is_ours) {
        r->evreq = NULL;
    }
    if (r->is_answered) {
        if (is_ours) {
            evhttp_request_free(r->evreq);
        }
        request_free(r);
    }
}

/* --- Connections ------------------------------------------------------------------------------ */

static void on_conn_closed(struct evhttp_connection *evcon, void *arg)
{
    struct http_conn *c = arg;

    (void)evcon;
    if (c->request != NULL) {
        request_lose_conn(c->request);
    }
    timer_deinit(&c->deadline);
    LIST_REMOVE(c, entry);
    mem_free(c);
}

/* evhttp's own timeout begins anew with every byte; a client that drips is dropped by this one. */
static void on_deadline(void *ctx)
{
    struct http_conn *c = ctx;

    must(c->request == NULL);
    evhttp_connection_free(c->evcon); /* ends in on_conn_closed() */
}

static void conn_await_request(struct http_conn *c)
{
    struct timeval idle = timeval_of(c->server->limits.idle_timeout);

    bufferevent_set_timeouts(evhttp_connection_get_bufferevent(c->evcon), &idle, &idle);
    timer_set(&c->deadline, wtime_add(loop_now(c->server->loop), c->server->limits.idle_timeout));
}

static struct http_server *server_of(const struct evhttp *evhttp)
{
    struct http_server *s = NULL;

    must(pthread_mutex_lock(&servers_lock) == 0);
    LIST_FOREACH (s, &servers, entry) {
        if (s->evhttp == evhttp) {
            break;
        }
    }
    must(pthread_mutex_unlock(&servers_lock) == 0);
    must(s != NULL);
    return s;
}

/* evhttp shows a connection with its first whole request only, too late for a deadline. Its
 * bufferevent, which we make, is seen at the first byte and has the connection as argument of its
 * callbacks; evhttp's notice of closing can then be had. Nothing is allocated before: a connection
 * that never sends a byte ends by evhttp's timeout, without a notice. */
static void on_first_bytes(struct evbuffer *input, const struct evbuffer_cb_info *info, void *arg)
{
    struct bufferevent *bev = arg;
    void *evcon = NULL;

    if (info->n_added == 0) {
        return;
    }
    must(evbuffer_remove_cb(input, on_first_bytes, bev) == 0);
    bufferevent_getcb(bev, NULL, NULL, NULL, &evcon);
    must(evcon != NULL);
    struct http_conn *c = mem_new(struct http_conn);
    c->server = server_of(evhttp_connection_get_server(evcon));
    c->evcon = evcon;
    timer_init(&c->deadline, c->server->loop, on_deadline, c);
    LIST_INSERT_HEAD(&c->server->conns, c, entry);
    evhttp_connection_set_closecb(evcon, on_conn_closed, c);
    conn_await_request(c);
}

static struct bufferevent *new_bufferevent(struct event_base *base, void *ctx)
{
    const struct http_server *s = ctx;
    struct bufferevent *bev = bufferevent_socket_new(base, -1, 0);

    must(bev != NULL);
    /* evhttp holds a whole body here before it hands it over; more than that is a client that
     * pipelines blindly. */
    bufferevent_setwatermark(bev, EV_READ, 0, s->limits.body_max + HEADERS_MAX + 4096);
    must(evbuffer_add_cb(bufferevent_get_input(bev), on_first_bytes, bev) != NULL);
    return bev;
}

static struct http_conn *conn_of(struct http_server *s, struct evhttp_connection *evcon)
{
    struct http_conn *c = NULL;

    LIST_FOREACH (c, &s->conns, entry) {
        if (c->evcon == evcon) {
            return c;
        }
    }
    must_not_reach("a request on a connection that was never read");
}

/* --- Requests --------------------------------------------------------------------------------- */

/* While a request is handled evhttp does not look at the socket. We do, to learn that the client
 * went; what it sends stays in the buffer for later. */
static void conn_watch(struct http_conn *c)
{
    struct bufferevent *bev = evhttp_connection_get_bufferevent(c->evcon);
    bufferevent_data_cb on_write = NULL;
    bufferevent_event_cb on_event = NULL;
    void *arg = NULL;

    timer_cancel(&c->deadline);
    bufferevent_set_timeouts(bev, NULL, NULL);
    bufferevent_getcb(bev, NULL, &on_write, &on_event, &arg);
    bufferevent_setcb(bev, NULL, on_write, on_event, arg);
    must(bufferevent_enable(bev, EV_READ) == 0);
}

static void on_sent(struct evhttp_request *evreq, void *arg)
{
    (void)evreq;
    conn_await_request(arg);
}

static void reply_bad_target(struct http_request *r)
{
    static const char problem[] =
            "{\"type\":\"urn:weir:problem:bad-request\",\"title\":\"Bad request\",\"status\":400,"
            "\"detail\":\"the path must begin with '/', and path and query be percent-encoded "
            "UTF-8 text without NUL\","
            "\"code\":\"INVALID_REQUEST\",\"kafka_code\":42,\"retriable\":false,"
            "\"hint\":\"escape a percent sign as %25\"}\n";

    http_reply(r, 400, "application/problem+json", problem, sizeof(problem) - 1);
}

static void set_peer(struct http_request *r, struct evhttp_connection *evcon)
{
    static const char mapped[] = "::ffff:";
    char *address = NULL;
    ev_uint16_t port = 0;

    evhttp_connection_get_peer(evcon, &address, &port);
    if (address != NULL && strncmp(address, mapped, sizeof(mapped) - 1) == 0 &&
            strchr(address, '.') != NULL) {
        address += sizeof(mapped) - 1; /* an IPv4 client of a listener on [::] */
    }
    (void)snprintf(r->peer, sizeof(r->peer), "%s", address != NULL ? address : "");
}

static void on_request(struct evhttp_request *evreq, void *ctx)
{
    static atomic_uint_fast64_t last_id;
    struct http_server *s = ctx;
    struct evhttp_connection *evcon = evhttp_request_get_connection(evreq);
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(evreq);
    struct http_request *r = mem_new(struct http_request);

    r->server = s;
    r->conn = conn_of(s, evcon);
    must(r->conn->request == NULL);
    r->conn->request = r;
    r->evreq = evreq;
    r->id = atomic_fetch_add(&last_id, 1) + 1;
    LIST_INSERT_HEAD(&s->requests, r, entry);
    set_peer(r, evcon);
    conn_watch(r->conn);
    const char *path = uri != NULL ? evhttp_uri_get_path(uri) : NULL;
    const char *query = uri != NULL ? evhttp_uri_get_query(uri) : NULL;
    if (path == NULL || path[0] == '\0') {
        path = "/"; /* "GET http://host" */
    }
    if (path[0] != '/' || http_target_parse(path, query, &r->target) != 0) {
        reply_bad_target(r);
        return;
    }
    s->handle(s->ctx, r);
}

const char *http_method(const struct http_request *r)
{
    if (r->evreq == NULL) {
        return "";
    }
    switch (evhttp_request_get_command(r->evreq)) {
    case EVHTTP_REQ_GET: return "GET";
    case EVHTTP_REQ_POST: return "POST";
    case EVHTTP_REQ_HEAD: return "HEAD";
    case EVHTTP_REQ_PUT: return "PUT";
    case EVHTTP_REQ_DELETE: return "DELETE";
    case EVHTTP_REQ_PATCH: return "PATCH";
    case EVHTTP_REQ_OPTIONS:
    case EVHTTP_REQ_TRACE:
    case EVHTTP_REQ_CONNECT: break;
    }
    return "";
}

const char *http_path(const struct http_request *r)
{
    return r->target.path;
}

const char *http_query(const struct http_request *r, const char *name)
{
    for (size_t i = 0; i < r->target.params.n; i++) {
        if (strcmp(r->target.params.items[i].name, name) == 0) {
            return r->target.params.items[i].value;
        }
    }
    return NULL;
}

const char *http_query_name(const struct http_request *r, size_t i)
{
    return i < r->target.params.n ? r->target.params.items[i].name : NULL;
}

const char *http_query_text(const struct http_request *r)
{
    const struct evhttp_uri *uri =
            r->evreq != NULL ? evhttp_request_get_evhttp_uri(r->evreq) : NULL;
    const char *query = uri != NULL ? evhttp_uri_get_query(uri) : NULL;

    return query != NULL ? query : "";
}

const char *http_header(const struct http_request *r, const char *name)
{
    return r->evreq != NULL ? evhttp_find_header(evhttp_request_get_input_headers(r->evreq), name)
                            : NULL;
}

struct bytes http_body(struct http_request *r)
{
    struct evbuffer *input = r->evreq != NULL ? evhttp_request_get_input_buffer(r->evreq) : NULL;
    size_t size = input != NULL ? evbuffer_get_length(input) : 0;

    return (struct bytes){.at = size > 0 ? evbuffer_pullup(input, -1) : NULL, .size = size};
}

const char *http_peer(const struct http_request *r)
{
    return r->peer;
}

uint64_t http_request_id(const struct http_request *r)
{
    return r->id;
}

bool http_client_is_gone(const struct http_request *r)
{
    return r->conn == NULL;
}

/* --- Replies ---------------------------------------------------------------------------------- */

void http_set_header(struct http_request *r, const char *name, const char *value)
{
    if (r->evreq != NULL) {
        /* Refused when it holds a line break: then the header is left out rather than split in
         * two. */
        (void)evhttp_add_header(evhttp_request_get_output_headers(r->evreq), name, value);
    }
}

/* Phrases that evhttp does not know; NULL = it does. */
static const char *phrase(int status)
{
    switch (status) {
    case 308: return "Permanent Redirect";
    case 422: return "Unprocessable Content";
    case 428: return "Precondition Required";
    case 429: return "Too Many Requests";
    case 507: return "Insufficient Storage";
    default: return NULL;
    }
}

/* The next piece of a large answer, when the one before has left. Ends the handle with the last. */
static void on_piece_sent(struct evhttp_connection *evcon, void *arg)
{
    struct http_request *r = arg;
    size_t size = r->rest.size - r->rest_at;

    (void)evcon;
    if (size == 0) {
        struct evhttp_request *evreq = r->evreq;
        request_free(r);
        evhttp_send_reply_end(evreq); /* may free the connection, if it was asked to close */
        return;
    }
    struct evbuffer *piece = evbuffer_new();
    must(piece != NULL);
    size = size < REPLY_PIECE ? size : REPLY_PIECE;
    must(evbuffer_add(piece, r->rest.data + r->rest_at, size) == 0);
    r->rest_at += size;
    evhttp_send_reply_chunk_with_cb(r->evreq, piece, on_piece_sent, r);
    evbuffer_free(piece);
}

static bool is_head(const struct http_request *r)
{
    return evhttp_request_get_command(r->evreq) == EVHTTP_REQ_HEAD;
}

/* What every answer has. False when nobody hears it; the handle is ended then. */
static bool reply_begin(struct http_request *r, const char *content_type, size_t size)
{
    must(loop_is_mine(r->server->loop));
    must(!r->is_answered);
    r->is_answered = true;
    if (r->conn == NULL) {
        if (r->evreq != NULL) {
            evhttp_request_free(r->evreq);
        }
        request_free(r);
        return false;
    }
    struct evkeyvalq *headers = evhttp_request_get_output_headers(r->evreq);
    struct timeval idle = timeval_of(r->server->limits.idle_timeout);
    char text[32];

    if (content_type != NULL) {
        (void)evhttp_remove_header(headers, "Content-Type");
        (void)evhttp_add_header(headers, "Content-Type", content_type);
    }
    (void)snprintf(text, sizeof(text), "%zu", size);
    (void)evhttp_remove_header(headers, "Content-Length");
    (void)evhttp_add_header(headers, "Content-Length", text);
    if (http_method(r)[0] ==
            '\0') { /* evhttp reads no body with these, so what follows may be one */
        (void)evhttp_add_header(headers, "Connection", "close");
    }
    /* A client that takes nothing is dropped; one that only listens to a long answer is not. */
    bufferevent_set_timeouts(evhttp_connection_get_bufferevent(r->conn->evcon), NULL, &idle);
    evhttp_request_set_on_complete_cb(r->evreq, on_sent, r->conn);
    return true;
}

static void reply_at_once(struct http_request *r, int status, const void *body, size_t size)
{
    struct evbuffer *out = evbuffer_new();
    struct evhttp_request *evreq = r->evreq;

    must(out != NULL);
    if (size > 0 && !is_head(r)) {
        must(evbuffer_add(out, body, size) == 0);
    }
    request_free(r);
    evhttp_send_reply(evreq, status, phrase(status), out);
    evbuffer_free(out);
}

void http_reply(
        struct http_request *r, int status, const char *content_type, const void *body, size_t size)
{
    if (size > REPLY_PIECE) {
        struct buf copy = {0};
        buf_append(&copy, body, size);
        http_reply_buf(r, status, content_type, &copy);
        return;
    }
    if (reply_begin(r, content_type, size)) {
        reply_at_once(r, status, body, size);
    }
}

void http_reply_buf(struct http_request *r, int status, const char *content_type, struct buf *b)
{
    struct buf body = *b;

    *b = (struct buf){0};
    if (!reply_begin(r, content_type, body.size)) {
        buf_deinit(&body);
        return;
    }
    if (body.size <= REPLY_PIECE || is_head(r)) {
        reply_at_once(r, status, body.data, body.size);
        buf_deinit(&body);
        return;
    }
    r->rest = body;
    evhttp_send_reply_start(r->evreq, status, phrase(status));
    on_piece_sent(r->conn->evcon, r);
}

/* --- The server ------------------------------------------------------------------------------- */

static void on_resume(void *ctx)
{
    struct http_server *s = ctx;

    for (size_t i = 0; i < s->n_listeners; i++) {
        must(evconnlistener_enable(s->listeners[i]) == 0);
    }
}

/* No descriptor or no memory: asking again at once would spin. */
static void on_accept_error(struct evconnlistener *listener, void *ctx)
{
    int error = errno;
    struct http_server *s =
            server_of(ctx); /* evhttp set the listener's argument for its own callback */

    log_warn("net", "accept_paused", KV_U64("port", s->port), KV_ERR(err_origin(-error)));
    must(evconnlistener_disable(listener) == 0);
    timer_set(&s->resume, wtime_add(loop_now(s->loop), ACCEPT_PAUSE));
}

static void listen_on(struct http_server *s, int fd)
{
    struct evconnlistener *l = evconnlistener_new(loop_base(s->loop), NULL, NULL,
            LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, /* it listens already */
            fd);

    must(l != NULL);
    must(evhttp_bind_listener(s->evhttp, l) != NULL);
    evconnlistener_set_error_cb(l, on_accept_error);
    s->listeners[s->n_listeners++] = l;
}

int http_server_new(struct loop *loop,
        const char *host,
        uint16_t port,
        const struct http_limits *limits,
        void (*handle)(void *ctx, struct http_request *r),
        void *ctx,
        struct http_server **ret)
{
    struct listen_sockets sockets;
    int r = listen_sockets_open(host, port, &sockets);

    must(loop_is_mine(loop));
    must(limits->body_max > 0);
    if (r < 0) {
        return err_forward(r);
    }
    struct http_server *s = mem_new(struct http_server);
    struct timeval idle = timeval_of(limits->idle_timeout);
    *s = (struct http_server){
            .loop = loop, .port = sockets.port, .limits = *limits, .handle = handle, .ctx = ctx};
    LIST_INIT(&s->conns);
    LIST_INIT(&s->requests);
    timer_init(&s->resume, loop, on_resume, s);
    s->evhttp = evhttp_new(loop_base(loop));
    must(s->evhttp != NULL);
    evhttp_set_max_headers_size(s->evhttp, HEADERS_MAX);
    evhttp_set_max_body_size(s->evhttp, (ev_ssize_t)limits->body_max);
    evhttp_set_timeout_tv(s->evhttp, &idle);
    /* All, also unknown ones: `handle` refuses them in its own words. */
    evhttp_set_allowed_methods(s->evhttp, UINT16_MAX);
    /* A body that is too large is read and forgotten, so that the client gets to see the 413. */
    must(evhttp_set_flags(s->evhttp, EVHTTP_SERVER_LINGERING_CLOSE) == 0);
    evhttp_set_bevcb(s->evhttp, new_bufferevent, s);
    evhttp_set_gencb(s->evhttp, on_request, s);
    must(pthread_mutex_lock(&servers_lock) == 0);
    LIST_INSERT_HEAD(&servers, s, entry);
    must(pthread_mutex_unlock(&servers_lock) == 0);
    for (size_t i = 0; i < sockets.n; i++) {
        listen_on(s, sockets.fd[i]);
    }
    *ret = s;
    return 0;
}

struct http_server *http_server_free(struct http_server *s)
{
    if (s == NULL) {
        return NULL;
    }
    must(loop_is_mine(s->loop));
    evhttp_free(s->evhttp); /* listeners and connections */
    must(LIST_EMPTY(&s->conns));
    while (!LIST_EMPTY(&s->requests)) {
        struct http_request *r = LIST_FIRST(&s->requests);
        if (r->evreq != NULL) {
            evhttp_request_free(r->evreq); /* its client had gone before */
        }
        request_free(r);
    }
    must(pthread_mutex_lock(&servers_lock) == 0);
    LIST_REMOVE(s, entry);
    must(pthread_mutex_unlock(&servers_lock) == 0);
    timer_deinit(&s->resume);
    return mem_free(s);
}

uint16_t http_server_port(const struct http_server *s)
{
    return s->port;
}
