/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/net/frame_reader.h"
#include "common/net/rpc.h"
#include "common/net/send_queue.h"
#include "common/net/unanswered.h"
#include "common/wire/calls.h"

#include <event2/event.h>

/* The inside of a connection, shared by rpc_conn.c (its life), rpc_io.c (its bytes) and rpc_call.c
 * (its frames). Private to common/net.
 *
 *   CONNECTING ──► OPEN ──close_after_flush──► FLUSHING ──all sent──► LINGERING
 *        │          │                             │                      │
 *        └──────────┴────────────► CLOSED ◄───────┴──────────────────────┘
 *
 * The memory of a CLOSED connection goes when no callback of it is on the stack (`depth` 0). */
enum conn_state {
    CONN_CONNECTING,
    CONN_OPEN,
    CONN_FLUSHING, /* sends what is queued, reads nothing */
    /* Told the peer that nothing follows, discards what still comes, so that a reset does not
     * overtake the last answer. */
    CONN_LINGERING,
    CONN_CLOSED,
};

struct rpc_conn {
    uint32_t magic;
    enum conn_state state;
    unsigned depth;
    bool wants_turn; /* see conn_want_turn() */
    struct loop *loop;
    struct transport *transport;
    uint64_t id;
    char peer[64];
    struct rpc_limits limits;
    const struct rpc_callbacks *cb;
    void *owner;

    struct event *readable, *writable;
    struct event
            *again; /* a turn without readiness: queued frames to send, read-ahead to go on with */
    struct timer timer;
    bool is_reading, is_writing; /* `readable`, `writable` are armed */
    wtime phase_deadline;        /* of connecting, the handshake, flushing or lingering */
    bool is_shaking_hands;       /* phase_deadline is the handshake's */
    int connect_error;           /* errno of a connect that failed at once */

    struct frame_reader reader;
    struct send_queue queue;
    struct unanswered unanswered;
    struct calls *calls;

    struct loop *move_to; /* not NULL: leaves this loop as soon as no callback is on the stack */
    struct loop_task move_task;
    void (*arrived)(void *owner, struct rpc_conn *c);
    const struct rpc_callbacks *move_cb;
    void *move_owner;

    bool is_silent; /* the owner closed it: no on_closed */
    char reason[160];
};

enum {
    RPC_CONN_MAGIC = 0x5770636f
};

/* rpc_conn.c */

/* Around everything that may run a callback. `conn_leave` may free the connection. */
void conn_enter(struct rpc_conn *c);
void conn_leave(struct rpc_conn *c);
/* Closes with a reason; runs the callbacks. Inside enter/leave. */
void conn_fail(struct rpc_conn *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
void conn_opened(struct rpc_conn *c);
/* Arms the timer for the earliest deadline. */
void conn_set_timer(struct rpc_conn *c);

/* rpc_io.c */

/* Events of the connection on its loop, and what they need at once. */
void conn_start_io(struct rpc_conn *c);
void conn_stop_io(struct rpc_conn *c);
/* A turn soon, for frames that were queued or requests that were answered: at once when no callback
 * is on the stack, else behind it. A turn that is under way and did not send yet counts. */
void conn_want_turn(struct rpc_conn *c);

/* rpc_call.c */

/* A whole frame came; takes `frame`. Inside enter/leave; the connection may be closed
 * afterwards. */
void conn_on_frame(struct rpc_conn *c, uint8_t *frame, size_t size);
void conn_end_calls(struct rpc_conn *c);
void conn_expire_calls(struct rpc_conn *c);
