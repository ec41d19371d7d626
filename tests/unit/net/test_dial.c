/* SPDX-License-Identifier: Apache-2.0 */
#include "common/net/dial.h"
#include "common/net/http.h"
#include "common/net/http_client.h"
#include "tests/unit/net/turns.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

struct noted {
    struct dial *dial;
    unsigned n_connected, n_ends;
    enum dial_end end;
};

static void note_connected(void *ctx)
{
    struct noted *n = ctx;

    n->n_connected++;
}

static void note_end(void *ctx, enum dial_end end)
{
    struct noted *n = ctx;

    n->n_ends++;
    n->end = end;
    n->dial = dial_free(n->dial);
}

static struct sockaddr_storage address(uint16_t port)
{
    struct sockaddr_storage ret = {0};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};

    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    memcpy(&ret, &in, sizeof(in));
    return ret;
}

/* A listening socket on a free port. */
static int listen_on(uint16_t *ret_port)
{
    struct sockaddr_storage at = address(0);
    struct sockaddr_in in;
    socklen_t size = sizeof(in);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    CHECK(fd >= 0);
    CHECK_EQ(bind(fd, (const struct sockaddr *)&at, sizeof(in)), 0);
    CHECK_EQ(listen(fd, 8), 0);
    CHECK_EQ(getsockname(fd, (struct sockaddr *)&in, &size), 0);
    *ret_port = ntohs(in.sin_port);
    return fd;
}

static void dial_to(struct loop *loop, uint16_t port, wtime timeout, struct noted *n)
{
    static const struct dial_callbacks callbacks = {note_connected, note_end};
    struct sockaddr_storage at = address(port);

    *n = (struct noted){0};
    n->dial = dial_new(loop, &at, sizeof(struct sockaddr_in), timeout, &callbacks, n);
    CHECK_EQ(n->n_connected + n->n_ends, 0);
}

static void dial_hears_the_end_of_a_connection_and_nothing_else(void)
{
    struct loop *loop = loop_new("dial");
    struct noted n;
    uint16_t port = 0;
    int fd = listen_on(&port);

    dial_to(loop, port, WTIME_S(5), &n);
    TURN_UNTIL(loop, n.n_connected == 1);
    int peer = accept(fd, NULL, NULL);
    CHECK(peer >= 0);
    CHECK_EQ(send(peer, "hello", 5, MSG_NOSIGNAL), 5);
    turn_once(loop);
    turn_once(loop);
    CHECK_EQ(n.n_ends, 0);
    (void)close(peer);
    TURN_UNTIL(loop, n.n_ends == 1);
    CHECK_EQ(n.end, DIAL_CLOSED);
    (void)close(fd);
    loop_free(loop);
}

static void dial_to_a_port_without_listener_is_refused(void)
{
    struct loop *loop = loop_new("dial");
    struct noted n;
    uint16_t port = 0;

    (void)close(listen_on(&port));
    dial_to(loop, port, WTIME_S(5), &n);
    TURN_UNTIL(loop, n.n_ends == 1);
    CHECK_EQ(n.end, DIAL_REFUSED);
    CHECK_EQ(n.n_connected, 0);
    loop_free(loop);
}

/* A full backlog answers nothing: the limit ends it. */
static void dial_gives_up_after_its_time(void)
{
    struct loop *loop = loop_new("dial");
    struct noted fill[8], last;
    uint16_t port = 0;
    int fd = listen_on(&port);

    CHECK_EQ(listen(fd, 0), 0);
    for (size_t i = 0; i < 8; i++) {
        dial_to(loop, port, WTIME_MS(200), &fill[i]);
    }
    dial_to(loop, port, WTIME_MS(200), &last);
    TURN_UNTIL(loop, last.n_ends == 1);
    CHECK_EQ(last.end, DIAL_UNREACHED);
    for (size_t i = 0; i < 8; i++) {
        fill[i].dial = dial_free(fill[i].dial);
    }
    (void)close(fd);
    loop_free(loop);
}

static void dial_may_be_freed_before_anything_happened(void)
{
    struct loop *loop = loop_new("dial");
    struct noted n;
    uint16_t port = 0;
    int fd = listen_on(&port);

    dial_to(loop, port, WTIME_S(5), &n);
    dial_free(n.dial);
    turn_once(loop);
    CHECK_EQ(n.n_connected + n.n_ends, 0);
    (void)close(fd);
    loop_free(loop);
}

/* --- The HTTP client ------------------------------------------------------------------------------------------------ */

struct web {
    struct loop *loop;
    struct resolver *resolver;
    struct http_server *server;
    struct http_request *kept;
    unsigned n_got;
    int status;
    struct buf body;
    char error[160];
};

static void handle(void *ctx, struct http_request *r)
{
    struct web *w = ctx;
    struct buf large = {0};

    if (strcmp(http_path(r), "/kept") == 0) {
        w->kept = r;
    } else if (strcmp(http_path(r), "/large") == 0) {
        for (int i = 0; i < 20000; i++) {
            buf_append_str(&large, "0123456789");
        }
        http_reply_buf(r, 200, "text/plain", &large);
    } else {
        http_reply(r, 200, "text/plain", http_path(r), strlen(http_path(r)));
    }
}

static void note_got(void *ctx, const struct http_got *got)
{
    struct web *w = ctx;

    w->n_got++;
    w->status = got->status;
    buf_clear(&w->body);
    buf_append(&w->body, got->body.at, got->body.size);
    (void)snprintf(w->error, sizeof(w->error), "%s", got->error);
}

static void web_init(struct web *w)
{
    const struct http_limits limits = {.body_max = 1000, .idle_timeout = WTIME_S(10)};

    *w = (struct web){.loop = loop_new("web"), .resolver = resolver_new()};
    CHECK_EQ(http_server_new(w->loop, "127.0.0.1", 0, &limits, handle, w, &w->server), 0);
}

static void web_deinit(struct web *w)
{
    http_server_free(w->server);
    resolver_free(w->resolver);
    buf_deinit(&w->body);
    loop_free(w->loop);
}

static void get(struct web *w, const char *before, const char *behind, const char *path)
{
    char url[64];

    w->n_got = 0;
    (void)snprintf(
            url, sizeof(url), "%s:%u%s", before, (unsigned)http_server_port(w->server), behind);
    (void)http_get_start(w->loop, w->resolver, url, path, WTIME_MS(500), 50000, note_got, w);
    CHECK_EQ(w->n_got, 0);
    TURN_UNTIL(w->loop, w->n_got == 1);
}

static void http_get_brings_the_answer(void)
{
    struct web w;

    web_init(&w);
    get(&w, "http://127.0.0.1", "", "/v1/brokers:reach");
    CHECK_EQ(w.status, 200);
    CHECK_STR(buf_str(&w.body), "/v1/brokers:reach");
    CHECK_STR(w.error, "");
    get(&w, "http://localhost", "/proxy/", "/v1");
    CHECK_STR(buf_str(&w.body), "/proxy/v1");
    web_deinit(&w);
}

static void http_get_says_why_there_is_no_answer(void)
{
    struct web w;

    web_init(&w);
    get(&w, "http://127.0.0.1", "", "/kept");
    CHECK_EQ(w.status, 0);
    CHECK_STR(w.error, "no answer in time");
    get(&w, "http://127.0.0.1", "", "/large");
    CHECK_EQ(w.status, 0);
    CHECK_EQ(w.body.size, 0);
    get(&w, "ftp://127.0.0.1", "", "/");
    CHECK(strstr(w.error, "is not an http URL") != NULL);
    get(&w, "http://no.such.name.invalid", "", "/");
    CHECK_EQ(w.status, 0);
    CHECK(w.error[0] != '\0');
    w.kept = NULL;
    w.server = http_server_free(w.server);
    w.n_got = 0;
    (void)http_get_start(
            w.loop, w.resolver, "http://127.0.0.1:1", "/", WTIME_S(5), 100, note_got, &w);
    TURN_UNTIL(w.loop, w.n_got == 1);
    CHECK_EQ(w.status, 0);
    CHECK_STR(w.error, "the connection failed");
    resolver_free(w.resolver);
    buf_deinit(&w.body);
    loop_free(w.loop);
}

static void http_get_may_be_cancelled(void)
{
    struct web w;
    char url[64];

    web_init(&w);
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u", (unsigned)http_server_port(w.server));
    struct http_get *g =
            http_get_start(w.loop, w.resolver, url, "/kept", WTIME_S(5), 100, note_got, &w);
    http_get_cancel(g);
    g = http_get_start(w.loop, w.resolver, url, "/kept", WTIME_S(5), 100, note_got, &w);
    TURN_UNTIL(w.loop, w.kept != NULL);
    http_get_cancel(g);
    turn_once(w.loop);
    CHECK_EQ(w.n_got, 0);
    web_deinit(&w);
}

static void urls_are_taken_apart(void)
{
    static const struct {
        const char *url, *host;
        int port;
    } urls[] = {
            {"http://a.example:9180", "a.example", 9180},
            {"http://a.example", "a.example", 80},
            {"http://[::1]:9180/", "::1", 9180},
            {"http://127.0.0.1:65535/x/y", "127.0.0.1", 65535},
            {"https://a.example:1", NULL, 0},
            {"a.example:9180", NULL, 0},
            {"http://", NULL, 0},
            {"http://:80", NULL, 0},
            {"http://a:0", NULL, 0},
            {"", NULL, 0},
    };

    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        char host[HTTP_HOST_SIZE] = "";
        uint16_t port = 0;
        int r = http_url_parse(urls[i].url, host, &port);
        CHECK_EQ(r, urls[i].host != NULL ? 0 : HTTP_URL_E_FORM);
        CHECK_STR(host, urls[i].host != NULL ? urls[i].host : "");
        CHECK_EQ(port, urls[i].port);
    }
}

static const struct check_case cases[] = {
        CASE(dial_hears_the_end_of_a_connection_and_nothing_else),
        CASE(dial_to_a_port_without_listener_is_refused),
        CASE(dial_gives_up_after_its_time),
        CASE(dial_may_be_freed_before_anything_happened),
        CASE(http_get_brings_the_answer),
        CASE(http_get_says_why_there_is_no_answer),
        CASE(http_get_may_be_cancelled),
        CASE(urls_are_taken_apart),
};

CHECK_MAIN("dial", cases)
