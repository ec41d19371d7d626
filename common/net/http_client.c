/* SPDX-License-Identifier: Apache-2.0 */
#include "common/net/http_client.h"

#include "common/base/mem.h"
#include "common/base/must.h"

#include <event2/buffer.h>
#include <event2/http.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>

struct http_get {
    struct loop *loop;
    struct lookup *lookup;
    struct evhttp_connection *evcon;
    struct timer limit;
    char host[HTTP_HOST_SIZE];
    uint16_t port;
    char *target;
    size_t body_max;
    int status;
    struct buf body;
    char error[160];
    void (*fn)(void *ctx, const struct http_got *got);
    void *ctx;
};

/* --- URLs ------------------------------------------------------------------------------------- */

static bool url_take(const struct evhttp_uri *uri, char *ret_host, uint16_t *ret_port)
{
    const char *scheme = evhttp_uri_get_scheme(uri);
    const char *host = evhttp_uri_get_host(uri);
    int port = evhttp_uri_get_port(uri);
    size_t size = host != NULL ? strlen(host) : 0;

    if (scheme == NULL || strcmp(scheme, "http") != 0 || size == 0 || port == 0 || port > 65535) {
        return false;
    }
    if (size > 2 && host[0] == '[' && host[size - 1] == ']') {
        host++;
        size -= 2;
    }
    if (size >= HTTP_HOST_SIZE) {
        return false;
    }
    (void)snprintf(ret_host, HTTP_HOST_SIZE, "%.*s", (int)size, host);
    *ret_port = (uint16_t)(port < 0 ? 80 : port);
    return true;
}

int http_url_parse(const char *url, char ret_host[HTTP_HOST_SIZE], uint16_t *ret_port)
{
    struct evhttp_uri *uri = evhttp_uri_parse(url);
    bool is_taken = uri != NULL && url_take(uri, ret_host, ret_port);

    if (uri != NULL) {
        evhttp_uri_free(uri);
    }
    return is_taken ? 0 : HTTP_URL_E_FORM;
}

/* The path that `url` ends with, without a slash behind it, and then `path`. */
static char *make_target(const char *url, const char *path)
{
    const char *host = strstr(url, "://");
    const char *own = strchr(host != NULL ? host + 3 : url, '/');
    size_t size = own != NULL ? strlen(own) : 0;

    while (size > 0 && own[size - 1] == '/') {
        size--;
    }
    return mem_format("%.*s%s", (int)size, own != NULL ? own : "", path);
}

/* --- The end ---------------------------------------------------------------------------------- */

/* In a turn of its own: evhttp still uses the connection when its callback returns. */
static void end_soon(struct http_get *g)
{
    timer_set(&g->limit, 0);
}

static void on_limit(void *ctx)
{
    struct http_get *g = ctx;
    void (*fn)(void *ctx, const struct http_got *got) = g->fn;
    void *owner = g->ctx;
    char error[sizeof(g->error)];
    struct buf body = g->body;
    struct http_got got = {.status = g->status, .error = error};

    if (g->status == 0 && g->error[0] == '\0') {
        (void)snprintf(g->error, sizeof(g->error), "no answer in time");
    }
    (void)snprintf(error, sizeof(error), "%s", g->error);
    (void)buf_str(&body);
    got.body = (struct bytes){.at = body.data, .size = body.size};
    g->body = (struct buf){0};
    (void)http_get_cancel(g);
    fn(owner, &got);
    buf_deinit(&body);
}

/* --- The request ------------------------------------------------------------------------------ */

static void on_answer(struct evhttp_request *r, void *ctx)
{
    struct http_get *g = ctx;

    if (r == NULL || evhttp_request_get_response_code(r) == 0) {
        if (g->error[0] == '\0') {
            (void)snprintf(g->error, sizeof(g->error), "the connection failed");
        }
    } else {
        struct evbuffer *in = evhttp_request_get_input_buffer(r);
        g->error[0] = '\0';
        g->status = evhttp_request_get_response_code(r);
        if (evbuffer_get_length(in) > 0) {
            buf_append(&g->body, evbuffer_pullup(in, -1), evbuffer_get_length(in));
        }
    }
    end_soon(g);
}

static void on_error(enum evhttp_request_error error, void *ctx)
{
    struct http_get *g = ctx;
    static const char *const texts[] = {
            [EVREQ_HTTP_TIMEOUT] = "no answer in time",
            [EVREQ_HTTP_EOF] = "the connection was closed before the answer",
            [EVREQ_HTTP_INVALID_HEADER] = "the answer is not HTTP",
            [EVREQ_HTTP_BUFFER_ERROR] = "the connection failed",
            [EVREQ_HTTP_REQUEST_CANCEL] = "cancelled",
            [EVREQ_HTTP_DATA_TOO_LONG] = "the answer is too long",
    };

    (void)snprintf(g->error, sizeof(g->error), "%s", texts[error]);
}

static void ask(struct http_get *g, const char *address)
{
    struct evhttp_request *r = evhttp_request_new(on_answer, g);
    char host[HTTP_HOST_SIZE + 16];
    bool is_v6 = strchr(g->host, ':') != NULL;

    must(r != NULL);
    g->evcon = evhttp_connection_base_new(loop_base(g->loop), NULL, address, g->port);
    must(g->evcon != NULL);
    evhttp_connection_set_max_body_size(g->evcon, (ev_ssize_t)g->body_max);
    evhttp_connection_set_max_headers_size(g->evcon, 16384);
    evhttp_request_set_error_cb(r, on_error);
    (void)snprintf(host, sizeof(host), is_v6 ? "[%s]:%u" : "%s:%u", g->host, (unsigned)g->port);
    must(evhttp_add_header(evhttp_request_get_output_headers(r), "Host", host) == 0);
    must(evhttp_add_header(evhttp_request_get_output_headers(r), "Connection", "close") == 0);
    if (evhttp_make_request(g->evcon, r, EVHTTP_REQ_GET, g->target) != 0) {
        (void)snprintf(g->error, sizeof(g->error), "the connection failed");
        end_soon(g);
    }
}

static void on_found(void *ctx, const struct resolved *found)
{
    struct http_get *g = ctx;
    char address[64];

    g->lookup = NULL;
    if (found->n == 0 ||
            getnameinfo((const struct sockaddr *)&found->addr[0], found->addr_len[0], address,
                    sizeof(address), NULL, 0, NI_NUMERICHOST) != 0) {
        (void)snprintf(g->error, sizeof(g->error), "the name %.100s is not found", g->host);
        end_soon(g);
        return;
    }
    ask(g, address);
}

struct http_get *http_get_start(struct loop *loop,
        struct resolver *resolver,
        const char *url,
        const char *path,
        wtime timeout,
        size_t body_max,
        void (*fn)(void *ctx, const struct http_got *got),
        void *ctx)
{
    struct http_get *g = mem_new(struct http_get);

    must(loop_is_mine(loop));
    g->loop = loop;
    g->body_max = body_max;
    g->fn = fn;
    g->ctx = ctx;
    g->target = make_target(url, path);
    timer_init(&g->limit, loop, on_limit, g);
    timer_set(&g->limit, wtime_add(loop_now(loop), timeout));
    if (http_url_parse(url, g->host, &g->port) != 0) {
        (void)snprintf(g->error, sizeof(g->error), "%.100s is not an http URL", url);
        end_soon(g);
        return g;
    }
    g->lookup = resolver_start(resolver, loop, g->host, g->port, on_found, g);
    return g;
}

struct http_get *http_get_cancel(struct http_get *g)
{
    if (g == NULL) {
        return NULL;
    }
    if (g->lookup != NULL) {
        lookup_cancel(g->lookup);
    }
    if (g->evcon != NULL) {
        evhttp_connection_free(g->evcon); /* drops the request without its callback */
    }
    timer_deinit(&g->limit);
    buf_deinit(&g->body);
    mem_free(g->target);
    return mem_free(g);
}
