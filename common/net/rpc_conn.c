/* SPDX-License-Identifier: Apache-2.0 */
#include "common/net/rpc_conn.h"

#include "common/base/mem.h"
#include "common/base/must.h"
#include "common/base/obj.h"
#include "common/net/resolve.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

/* How long the last bytes may take to leave after rpc_conn_close_after_flush(). */
#define FLUSH_MAX WTIME_S(10)

static void on_timer(void *ctx);

/* --- Closing ---------------------------------------------------------------------------------- */

static void conn_destroy(struct rpc_conn *c)
{
    must(calls_n(c->calls) == 0);
    calls_free(c->calls);
    OBJ_CLEAR(c);
    mem_free(c);
}

/* Gives back all but the memory. Callbacks run: releases and the ends of calls. */
static void conn_shut(struct rpc_conn *c)
{
    must(c->state != CONN_CLOSED);
    c->state = CONN_CLOSED;
    c->move_to = NULL;
    conn_stop_io(c);
    timer_deinit(&c->timer);
    c->transport->ops->close(c->transport);
    c->transport = NULL;
    send_queue_deinit(&c->queue);
    frame_reader_deinit(&c->reader);
    unanswered_deinit(&c->unanswered);
    conn_end_calls(c);
}

void conn_fail(struct rpc_conn *c, const char *format, ...)
{
    va_list args;

    must(c->depth > 0);
    va_start(args, format);
    (void)vsnprintf(c->reason, sizeof(c->reason), format, args);
    va_end(args);
    conn_shut(c);
    if (!c->is_silent) {
        c->is_silent = true;
        c->cb->on_closed(c->owner, c, c->reason);
    }
    conn_end_calls(c); /* those that on_closed began */
}

void rpc_conn_close(struct rpc_conn *c)
{
    must(loop_is_mine(c->loop));
    c->is_silent = true;
    if (c->state == CONN_CLOSED) {
        return; /* inside one of its last callbacks */
    }
    (void)snprintf(c->reason, sizeof(c->reason), "the connection was closed on this side");
    conn_enter(c);
    conn_shut(c);
    conn_leave(c);
}

void rpc_conn_close_after_flush(struct rpc_conn *c)
{
    must(loop_is_mine(c->loop));
    must(c->move_to == NULL);
    if (c->state == CONN_CLOSED || c->state == CONN_FLUSHING || c->state == CONN_LINGERING) {
        return;
    }
    must(c->state == CONN_OPEN);
    c->state = CONN_FLUSHING;
    c->is_shaking_hands = false;
    c->phase_deadline = wtime_add(loop_now(c->loop), FLUSH_MAX);
    conn_set_timer(c);
    conn_want_turn(c);
}

/* --- Callbacks on the stack; moving ----------------------------------------------------------- */

static void on_moved(struct loop_task *task)
{
    struct rpc_conn *c = container_of(task, struct rpc_conn, move_task);

    c->loop = mem_steal(&c->move_to);
    c->cb = c->move_cb;
    c->owner = c->move_owner;
    timer_init(&c->timer, c->loop, on_timer, c);
    conn_start_io(c);
    conn_enter(c);
    conn_set_timer(c);
    c->wants_turn = true; /* for the read-ahead and the answers that came along */
    c->arrived(c->owner, c);
    conn_leave(c);
}

/* Nothing of the old loop holds the connection when its task is posted: the mailbox hands it
 * over. */
static void depart(struct rpc_conn *c)
{
    conn_stop_io(c);
    timer_deinit(&c->timer);
    c->move_task.run = on_moved;
    loop_post(c->move_to, &c->move_task);
}

void conn_enter(struct rpc_conn *c)
{
    must(loop_is_mine(c->loop));
    c->depth++;
}

void conn_leave(struct rpc_conn *c)
{
    must(c->depth > 0);
    if (--c->depth > 0) {
        return;
    }
    if (c->state == CONN_CLOSED) {
        conn_destroy(c);
    } else if (c->move_to != NULL) {
        depart(c);
    } else if (c->wants_turn) {
        conn_want_turn(c);
    }
}

void rpc_conn_move(struct rpc_conn *c,
        struct loop *to,
        const struct rpc_callbacks *cb,
        void *owner,
        void (*arrived)(void *owner, struct rpc_conn *c))
{
    must(loop_is_mine(c->loop));
    must(c->move_to == NULL);
    if (c->state == CONN_CLOSED) {
        return;
    }
    must(c->state == CONN_OPEN);
    c->move_cb = cb;
    c->move_owner = owner;
    c->arrived = arrived;
    conn_enter(c);
    c->move_to = to;
    conn_leave(c);
}

/* --- Deadlines -------------------------------------------------------------------------------- */

void conn_set_timer(struct rpc_conn *c)
{
    wtime deadline = wtime_min(c->phase_deadline, calls_deadline(c->calls));

    /* An earlier alarm than needed is cheaper than setting it anew for every call. */
    if (c->state != CONN_CLOSED && c->move_to == NULL && deadline < c->timer.deadline) {
        timer_set(&c->timer, deadline);
    }
}

static void on_phase_deadline(struct rpc_conn *c)
{
    switch (c->state) {
    case CONN_CONNECTING: conn_fail(c, "connecting took too long"); break;
    case CONN_OPEN:
        must(c->is_shaking_hands);
        conn_fail(c, "the first request was not answered in time");
        break;
    case CONN_FLUSHING: conn_fail(c, "the peer did not take the last answer in time"); break;
    case CONN_LINGERING: conn_fail(c, "closed after the last answer"); break;
    case CONN_CLOSED: break;
    }
}

static void on_timer(void *ctx)
{
    struct rpc_conn *c = OBJ_CAST(struct rpc_conn, ctx, RPC_CONN_MAGIC);

    conn_enter(c);
    if (wtime_due(c->phase_deadline, loop_now(c->loop))) {
        on_phase_deadline(c);
    } else {
        conn_expire_calls(c);
    }
    conn_set_timer(c);
    conn_leave(c);
}

/* --- Opening ---------------------------------------------------------------------------------- */

static struct rpc_conn *conn_new(struct loop *loop,
        int fd,
        const struct rpc_limits *limits,
        const struct rpc_callbacks *cb,
        void *owner)
{
    static atomic_uint_fast64_t last_id;
    struct rpc_conn *c = mem_new(struct rpc_conn);

    must(loop_is_mine(loop));
    must(limits->frame_max > 0);
    must(cb->on_closed != NULL);
    OBJ_INIT(c, RPC_CONN_MAGIC);
    c->loop = loop;
    c->transport = transport_tcp_new(fd);
    c->id = atomic_fetch_add(&last_id, 1) + 1;
    c->limits = *limits;
    c->cb = cb;
    c->owner = owner;
    c->phase_deadline = WTIME_NEVER;
    c->calls = calls_new();
    send_queue_init(&c->queue);
    timer_init(&c->timer, loop, on_timer, c);
    return c;
}

struct rpc_conn *rpc_conn_accept(struct loop *loop,
        int fd,
        const struct rpc_limits *limits,
        const struct rpc_callbacks *cb,
        void *owner)
{
    struct rpc_conn *c = conn_new(loop, fd, limits, cb, owner);
    struct sockaddr_storage peer = {0};
    socklen_t peer_len = sizeof(peer);

    (void)getpeername(
            fd, (struct sockaddr *)&peer, &peer_len); /* a peer that left already is read as end */
    sockaddr_text(&peer, c->peer, sizeof(c->peer));
    c->state = CONN_OPEN;
    if (limits->handshake_timeout != WTIME_NEVER) {
        c->is_shaking_hands = true;
        c->phase_deadline = wtime_add(loop_now(loop), limits->handshake_timeout);
        conn_set_timer(c);
    }
    conn_start_io(c);
    return c;
}

struct rpc_conn *rpc_conn_connect(struct loop *loop,
        const struct sockaddr_storage *addr,
        socklen_t addr_len,
        wtime timeout,
        const struct rpc_limits *limits,
        const struct rpc_callbacks *cb,
        void *owner)
{
    int error = 0;
    int fd = socket(addr->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        error = errno; /* told like a refused connect */
    } else if (connect(fd, (const struct sockaddr *)addr, addr_len) < 0 && errno != EINPROGRESS) {
        error = errno;
    }
    struct rpc_conn *c = conn_new(loop, fd, limits, cb, owner);
    sockaddr_text(addr, c->peer, sizeof(c->peer));
    c->state = CONN_CONNECTING;
    c->connect_error = error;
    c->phase_deadline = wtime_add(loop_now(loop), timeout);
    conn_start_io(c);
    conn_set_timer(c);
    return c;
}

void conn_opened(struct rpc_conn *c)
{
    must(c->state == CONN_CONNECTING);
    c->state = CONN_OPEN;
    c->phase_deadline = WTIME_NEVER;
    if (c->cb->on_connected != NULL) {
        c->cb->on_connected(c->owner, c);
    }
}

/* --- Queries ---------------------------------------------------------------------------------- */

uint64_t rpc_conn_id(const struct rpc_conn *c)
{
    return c->id;
}

const char *rpc_conn_peer(const struct rpc_conn *c)
{
    return c->peer;
}

struct loop *rpc_conn_loop(const struct rpc_conn *c)
{
    return c->loop;
}

void rpc_conn_set_owner(struct rpc_conn *c, const struct rpc_callbacks *cb, void *owner)
{
    must(loop_is_mine(c->loop));
    must(cb->on_closed != NULL);
    c->cb = cb;
    c->owner = owner;
}

void rpc_conn_set_limits(struct rpc_conn *c, const struct rpc_limits *limits)
{
    must(loop_is_mine(c->loop));
    must(limits->frame_max > 0);
    c->limits = *limits;
    if (c->state == CONN_OPEN) {
        conn_want_turn(c); /* it may be read on */
    }
}

size_t rpc_conn_unsent(const struct rpc_conn *c)
{
    return c->queue.unsent;
}
