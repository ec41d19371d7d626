/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/net/peers.h"

#include "common/net/resolve.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <unistd.h>

static void end_on_connected(void *owner, struct rpc_conn *c)
{
    struct end *e = owner;

    must(e->conn == c);
    e->n_connected++;
}

static void end_on_request(void *owner, struct rpc_conn *c, struct rpc_request *r)
{
    struct end *e = owner;

    must(e->conn == c);
    must(r->conn_id == rpc_conn_id(c));
    e->n_requests++;
    if (e->on_request != NULL) {
        e->on_request(e, r);
    } else {
        *array_push(&e->requests) = r;
    }
}

static void end_on_closed(void *owner, struct rpc_conn *c, const char *reason)
{
    struct end *e = owner;

    must(e->conn == c);
    e->conn = NULL;
    e->n_closed++;
    (void)snprintf(e->reason, sizeof(e->reason), "%s", reason);
}

const struct rpc_callbacks end_callbacks = {
        .on_connected = end_on_connected, .on_request = end_on_request, .on_closed = end_on_closed};

static void on_accept(void *ctx, int fd, const struct sockaddr_storage *peer)
{
    struct pair *p = ctx;

    (void)peer;
    must(p->server.conn == NULL);
    p->server.conn = rpc_conn_accept(p->loop, fd, &p->limits, &end_callbacks, &p->server);
}

struct pair *pair_new(void)
{
    struct pair *p = mem_new(struct pair);

    p->loop = loop_new("pair");
    p->limits = (struct rpc_limits){.frame_max = 100 << 20, .handshake_timeout = WTIME_NEVER};
    CHECK_EQ(listener_new(p->loop, "127.0.0.1", 0, on_accept, p, &p->listener), 0);
    return p;
}

void pair_connect(struct pair *p)
{
    struct rpc_limits limits = {.frame_max = 100 << 20, .handshake_timeout = WTIME_NEVER};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(listener_port(p->listener))};
    struct sockaddr_storage addr = {0};

    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    memcpy(&addr, &in, sizeof(in));
    p->client.conn = rpc_conn_connect(
            p->loop, &addr, sizeof(in), WTIME_S(10), &limits, &end_callbacks, &p->client);
    TURN_UNTIL(p->loop, p->server.conn != NULL && p->client.n_connected == 1);
}

int pair_dial(struct pair *p)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(listener_port(p->listener))};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    CHECK(fd >= 0);
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK_EQ(connect(fd, (const struct sockaddr *)&in, sizeof(in)), 0);
    CHECK_EQ(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    TURN_UNTIL(p->loop, p->server.conn != NULL);
    return fd;
}

static void end_deinit(struct end *e)
{
    ARRAY_FOREACH (r, &e->requests) {
        rpc_request_free(*r);
    }
    array_deinit(&e->requests);
    if (e->conn != NULL) {
        rpc_conn_close(e->conn);
    }
}

struct pair *pair_free(struct pair *p)
{
    end_deinit(&p->client);
    end_deinit(&p->server);
    listener_free(p->listener);
    loop_free(p->loop);
    return mem_free(p);
}

struct rpc_out *out_text(const char *text)
{
    struct rpc_out *o = rpc_out_new();

    buf_append_str(rpc_out_buf(o), text);
    return o;
}

void end_answer(struct end *e, size_t i, const char *text)
{
    must(i < e->requests.n);
    struct rpc_request *r = e->requests.items[i];
    array_remove(&e->requests, i);
    rpc_answer(e->conn, &r->header, 0, NULL, out_text(text));
    rpc_request_free(r);
}

void note_reply(void *ctx, struct rpc_reply *reply)
{
    struct call_end *e = ctx;

    e->n++;
    e->error = reply->error;
    e->sent = reply->sent;
    buf_clear(&e->body);
    buf_append(&e->body, reply->body.at, reply->body.size);
}

void request_frame(struct buf *b, uint32_t api, uint32_t correlation, const void *body, size_t size)
{
    const struct frame_header h = {.api = api, .correlation = correlation, .detail = ""};

    frame_begin(b, &h, size);
    buf_append(b, body, size);
}

void send_all(struct loop *loop, int fd, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    wtime deadline = wtime_add(clock_now(), WTIME_S(10));

    while (size > 0) {
        ssize_t n = send(fd, at, size, MSG_NOSIGNAL);
        if (n > 0) {
            at += n;
            size -= (size_t)n;
            continue;
        }
        CHECK(n < 0 && errno == EAGAIN);
        CHECK(clock_now() < deadline);
        turn_once(loop);
    }
}
