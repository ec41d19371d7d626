/* SPDX-License-Identifier: Apache-2.0 */
#include "common/net/rpc_conn.h"

#include "common/base/must.h"
#include "common/base/obj.h"
#include "common/net/dial.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

/* What one connection may take of a turn of the loop before others come. */
enum {
    READ_BUDGET_BYTES = 4 << 20,
    READ_BUDGET_FRAMES = 64
};

/* How long we discard what a peer sends that does not see our end of the stream. */
#define LINGER_MAX WTIME_S(1)

static bool is_over_limit(const struct rpc_conn *c)
{
    uint64_t max = c->limits.outstanding_max;

    return max > 0 && c->unanswered.bytes + c->queue.unsent_answers > max;
}

static bool may_read(const struct rpc_conn *c)
{
    if (c->move_to != NULL) {
        return false;
    }
    return c->state == CONN_LINGERING || (c->state == CONN_OPEN && !is_over_limit(c));
}

/* libevent runs a timer of 0 in its next turn, after it has looked at the other sockets;
 * event_active() would run before them and a busy connection would starve them. */
static void again_in_next_turn(struct rpc_conn *c)
{
    static const struct timeval zero = {0};

    must(event_add(c->again, &zero) == 0);
}

void conn_want_turn(struct rpc_conn *c)
{
    c->wants_turn = true;
    /* Otherwise the end of the callback under way, of the connect or of the move sees to it. */
    if (c->depth == 0 && c->state != CONN_CONNECTING && c->move_to == NULL) {
        event_active(c->again, EV_TIMEOUT, 0);
    }
}

/* --- Reading ---------------------------------------------------------------------------------- */

static void fail_read(struct rpc_conn *c, int r, size_t size)
{
    switch (r) {
    case FRAME_READER_E_EMPTY: conn_fail(c, "the peer sent a frame of length 0"); return;
    case FRAME_READER_E_LIMIT:
        conn_fail(c, "the peer sent a frame of %zu bytes, the limit is %u", size,
                c->limits.frame_max);
        return;
    case FRAME_READER_E_MEMORY: conn_fail(c, "no memory for a frame of the peer"); return;
    case FRAME_READER_E_END:
        conn_fail(c, "the peer closed the connection%s",
                frame_reader_is_inside_frame(&c->reader) ? " in the middle of a frame" : "");
        return;
    default: must(r < 0); conn_fail(c, "reading failed: %s", strerror(-r));
    }
}

static void read_frames(struct rpc_conn *c)
{
    size_t n_frames = 0;
    size_t n_bytes = 0;
    bool is_drained = false;

    while (may_read(c) && c->state == CONN_OPEN) {
        uint8_t *frame = NULL;
        size_t size = 0;
        int r = frame_reader_next(&c->reader, c->limits.frame_max, &frame, &size);
        if (r == 0) {
            conn_on_frame(c, frame, size);
            if (++n_frames == READ_BUDGET_FRAMES) {
                /* conn_turn() comes back for what is ahead, the socket's readiness for the rest. */
                break;
            }
            continue;
        }
        if (r != FRAME_READER_E_MORE) {
            fail_read(c, r, size);
            return;
        }
        if (is_drained || n_bytes >= READ_BUDGET_BYTES) {
            break;
        }
        size_t n = 0;
        r = frame_reader_fill(&c->reader, c->transport, &n);
        n_bytes += n;
        is_drained = r == FRAME_READER_E_DRAINED;
        if (r != 0 && !is_drained) {
            fail_read(c, r, 0);
            return;
        }
    }
}

static void read_and_forget(struct rpc_conn *c)
{
    size_t n = 0;
    size_t n_bytes = 0;
    int r = 0;

    while (r == 0 && n_bytes < READ_BUDGET_BYTES) {
        r = frame_reader_discard(&c->reader, c->transport, &n);
        n_bytes += n;
    }
    if (r < 0 || r == FRAME_READER_E_END || r == FRAME_READER_E_MEMORY) {
        conn_fail(c, "closed after the last answer");
    }
}

/* --- Writing ---------------------------------------------------------------------------------- */

static void set_writing(struct rpc_conn *c, bool is_wanted)
{
    if (is_wanted != c->is_writing) {
        c->is_writing = is_wanted;
        must((is_wanted ? event_add(c->writable, NULL) : event_del(c->writable)) == 0);
    }
}

static void set_reading(struct rpc_conn *c, bool is_wanted)
{
    if (is_wanted != c->is_reading) {
        c->is_reading = is_wanted;
        must((is_wanted ? event_add(c->readable, NULL) : event_del(c->readable)) == 0);
    }
}

static void flush(struct rpc_conn *c)
{
    int r = send_queue_flush(&c->queue, c->transport);

    if (r == SEND_E_SHRUNK) {
        conn_fail(c, "a file became shorter than the range that was to be sent");
        return;
    }
    if (r < 0) {
        conn_fail(c, "writing failed: %s", strerror(-r));
        return;
    }
    set_writing(c, r > 0);
    if (r == 0 && c->state == CONN_FLUSHING) {
        c->transport->ops->finish(c->transport);
        c->state = CONN_LINGERING;
        c->phase_deadline = wtime_add(loop_now(c->loop), LINGER_MAX);
    }
}

/* --- A turn ----------------------------------------------------------------------------------- */

/* Reads what is there, sends what came of it, and says what to wait for. A connection that is to
 * move does nothing more here: its new loop takes up where this one stopped. */
static void conn_turn(struct rpc_conn *c)
{
    if (c->state == CONN_LINGERING) {
        read_and_forget(c);
    } else if (c->state == CONN_OPEN) {
        read_frames(c);
    }
    if (c->state == CONN_CLOSED || c->move_to != NULL) {
        return;
    }
    c->wants_turn = false;
    if (c->state == CONN_OPEN || c->state == CONN_FLUSHING) {
        flush(c);
    }
    if (c->state == CONN_CLOSED || c->move_to != NULL) {
        return;
    }
    frame_reader_rest(&c->reader);
    set_reading(c, may_read(c));
    if (may_read(c) && frame_reader_has_ahead(&c->reader)) {
        again_in_next_turn(c);
    }
    conn_set_timer(c);
}

static void run_turn(struct rpc_conn *c)
{
    conn_enter(c);
    conn_turn(c);
    conn_leave(c);
}

static void finish_connect(struct rpc_conn *c)
{
    int error = c->connect_error;
    socklen_t size = sizeof(error);

    if (error == 0 && getsockopt(c->transport->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0) {
        error = errno;
    }
    if (error != 0) {
        conn_fail(c, "connecting failed: %s", strerror(error));
        return;
    }
    if (dial_reached_itself(c->transport->fd)) {
        conn_fail(c, "connecting failed: nobody listens there");
        return;
    }
    set_writing(c, false);
    conn_opened(c);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    run_turn(OBJ_CAST(struct rpc_conn, arg, RPC_CONN_MAGIC));
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct rpc_conn *c = OBJ_CAST(struct rpc_conn, arg, RPC_CONN_MAGIC);

    (void)fd;
    (void)what;
    conn_enter(c);
    if (c->state == CONN_CONNECTING) {
        finish_connect(c);
    }
    if (c->state != CONN_CLOSED && c->move_to == NULL) {
        conn_turn(c);
    }
    conn_leave(c);
}

static void on_again(evutil_socket_t fd, short what, void *arg)
{
    struct rpc_conn *c = OBJ_CAST(struct rpc_conn, arg, RPC_CONN_MAGIC);

    if (c->state == CONN_CONNECTING) { /* a connect that failed at once */
        on_writable(fd, what, arg);
        return;
    }
    run_turn(c);
}

void conn_start_io(struct rpc_conn *c)
{
    struct event_base *base = loop_base(c->loop);
    int fd = c->transport->fd;

    c->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, c);
    c->writable = event_new(base, fd, EV_WRITE | EV_PERSIST, on_writable, c);
    c->again = evtimer_new(base, on_again, c);
    must(c->readable != NULL);
    must(c->writable != NULL);
    must(c->again != NULL);
    if (c->state != CONN_CONNECTING) {
        set_reading(c, may_read(c));
    } else if (c->connect_error == 0) {
        set_writing(c, true);
    } else {
        event_active(c->again, EV_TIMEOUT, 0);
    }
}

void conn_stop_io(struct rpc_conn *c)
{
    if (c->readable != NULL) {
        event_free(c->readable);
        event_free(c->writable);
        event_free(c->again);
    }
    c->readable = c->writable = c->again = NULL;
    c->is_reading = c->is_writing = false;
}
