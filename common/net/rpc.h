/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/bytes.h"
#include "common/base/err.h"
#include "common/net/loop.h"
#include "common/wire/frame.h"

#include <stddef.h>
#include <sys/socket.h>

/* RPC connections: frames in, frames out, both sides may ask.
 *
 * A connection belongs to one loop. Requests on it are pipelined; answers may come in any order. It
 * reads a frame's body straight into the frame's own buffer until EAGAIN, with a budget a turn so
 * that a busy peer starves nobody, and writes until EAGAIN (memory with writev, file ranges with
 * sendfile). It speaks to the socket through a transport, so that TLS is a second transport and not
 * a second path. Thread: owner of the loop, for everything here. */
struct rpc_conn;

/* --- Outgoing frames -------------------------------------------------------------------------- */

/* A file range to be sent verbatim. `release` runs once, when the bytes are sent or given up. The
 * file may be longer; a file that is shorter when its turn comes closes the connection. */
struct file_range {
    int fd;
    int64_t at;
    size_t size;
    void (*release)(void *ctx);
    void *ctx;
};

/* A frame under construction: its body is a sequence of bytes and file ranges. */
struct rpc_out;
struct rpc_out *rpc_out_new(void);
struct rpc_out *rpc_out_free(struct rpc_out *o);
/* Bytes appended here go behind what was added before; the pointer is good until the next rpc_out_*
 * call. */
struct buf *rpc_out_buf(struct rpc_out *o);
/* Memory owned by somebody else; `release` (may be NULL) runs once, when sent or given up. */
void rpc_out_borrow(struct rpc_out *o, struct bytes bytes, void (*release)(void *ctx), void *ctx);
void rpc_out_file(struct rpc_out *o, const struct file_range *range);
size_t rpc_out_size(const struct rpc_out *o); /* of the body so far */

/* --- Incoming requests ------------------------------------------------------------------------ */

/* A request frame; whoever gets it owns it and frees it (also after the connection is gone). */
struct rpc_request {
    struct frame_header header; /* .detail is "" */
    struct bytes body;          /* inside `frame`; the receiver may write there */
    uint8_t *frame;
    wtime received; /* when its last byte was read */
    uint64_t conn_id;
};
struct rpc_request *rpc_request_free(struct rpc_request *r);

/* --- Connections ------------------------------------------------------------------------------ */

struct rpc_limits {
    uint32_t frame_max; /* larger frames close the connection */
    /* Bytes of unanswered requests (with what rpc_weigh_request() added) + unsent answers before
     * reading stops; 0 = none. */
    uint64_t outstanding_max;
    /* Until the first request was answered; WTIME_NEVER = none. Accepting side only. */
    wtime handshake_timeout;
};

struct rpc_callbacks {
    /* Client side: the socket is connected. */
    void (*on_connected)(void *owner, struct rpc_conn *c);
    /* A request came; it must be answered with rpc_answer*() or, for acks 0, ended with
     * rpc_no_answer(). NULL = we take no requests: they are answered UNSUPPORTED_VERSION. */
    void (*on_request)(void *owner, struct rpc_conn *c, struct rpc_request *r);
    /* The connection is closed and will be freed when this returns; unanswered calls have been
     * ended before. `reason` is a sentence. Not called by rpc_conn_close(). */
    void (*on_closed)(void *owner, struct rpc_conn *c, const char *reason);
};

/* Takes over a connected socket (accepted), non-blocking is set here. */
struct rpc_conn *rpc_conn_accept(struct loop *loop,
        int fd,
        const struct rpc_limits *limits,
        const struct rpc_callbacks *cb,
        void *owner);
/* Starts to connect; on_connected or on_closed follows. `timeout` for the connect itself. */
struct rpc_conn *rpc_conn_connect(struct loop *loop,
        const struct sockaddr_storage *addr,
        socklen_t addr_len,
        wtime timeout,
        const struct rpc_limits *limits,
        const struct rpc_callbacks *cb,
        void *owner);
/* Closes at once and without on_closed: unanswered calls end with NETWORK_EXCEPTION and unsent
 * frames are released before this returns. Allowed inside every callback, of this connection (whose
 * memory then stays until that callback returned) or of another. The owner forgets `c`; it is not
 * to be closed while it moves. */
void rpc_conn_close(struct rpc_conn *c);
/* Takes no more requests, and closes when everything queued has been sent and the peer has seen the
 * end (at most 10 s for the first, 1 s for the second); then on_closed runs, so the owner keeps `c`
 * until then. Not before it is connected. */
void rpc_conn_close_after_flush(struct rpc_conn *c);
/* Moves the connection to another loop. Called inside on_request (typically of Hello, after it was
 * answered) or outside of its callbacks: nothing more is read here, what was read ahead and what is
 * not sent yet goes along; `cb` and `owner` change; then `arrived(owner, c)` runs on `to`, which
 * starts reading. Between the return of the callback (or of this call) and `arrived` nobody may use
 * `c`. */
void rpc_conn_move(struct rpc_conn *c,
        struct loop *to,
        const struct rpc_callbacks *cb,
        void *owner,
        void (*arrived)(void *owner, struct rpc_conn *c));
uint64_t rpc_conn_id(const struct rpc_conn *c);      /* unique in the process, never reused */
const char *rpc_conn_peer(const struct rpc_conn *c); /* "127.0.0.1:40312" */
struct loop *rpc_conn_loop(const struct rpc_conn *c);
void rpc_conn_set_owner(struct rpc_conn *c, const struct rpc_callbacks *cb, void *owner);
/* From the next frame on: a stranger gets small limits, and larger ones once it said who it is. The
 * handshake's time stays what it was. */
void rpc_conn_set_limits(struct rpc_conn *c, const struct rpc_limits *limits);

/* Answers the request that had this correlation, once. Takes `out` (NULL = empty body). error != 0:
 * the body is dropped. It leaves at the end of this turn of the loop, together with others. */
void rpc_answer(struct rpc_conn *c,
        const struct frame_header *request,
        int error,
        const char *detail,
        struct rpc_out *out);
/* The request needs no answer (acks 0). */
void rpc_no_answer(struct rpc_conn *c, const struct frame_header *request);

/* An unanswered request holds `bytes` more of our memory until it is answered: they count as
 * outstanding. */
void rpc_weigh_request(struct rpc_conn *c, const struct frame_header *request, size_t bytes);

struct rpc_reply {
    int error;          /* ERRCODE_NONE, the peer's code, REQUEST_TIMED_OUT or NETWORK_EXCEPTION */
    const char *detail; /* "" or a sentence */
    uint32_t throttle_ms;
    struct bytes body; /* borrowed until the callback returns, unless taken with rpc_reply_take() */
    uint8_t *frame;    /* what `body` lies in; NULL when there is none */
    bool sent;         /* false: certainly not a byte of the request left this process */
};

/* Keeps the frame's memory beyond the callback; the caller frees it with mem_free(). */
uint8_t *rpc_reply_take(struct rpc_reply *r);
/* Asks; allowed while connecting. Takes `out` (NULL = empty body). `fn` runs exactly once, never
 * inside this call. timeout_ms also goes into the header; the call ends REQUEST_TIMED_OUT that long
 * after now (0 = never). `fn` NULL: no answer is expected (acks 0). */
void rpc_call(struct rpc_conn *c,
        uint32_t api,
        uint32_t timeout_ms,
        struct rpc_out *out,
        void (*fn)(void *ctx, struct rpc_reply *reply),
        void *ctx);
size_t rpc_conn_unsent(const struct rpc_conn *c); /* bytes queued */

/* --- Listening -------------------------------------------------------------------------------- */

struct listener;
/* Binds and listens on every address of `host` ("" = all of this machine); `port` 0 = any free one
 * (read it with listener_port). Negative: errno (EADDRINUSE …), with the trail. on_accept owns the
 * fd. Accept errors such as EMFILE pause accepting for 100 ms and are logged once a second. */
MUST_CHECK int listener_new(struct loop *loop,
        const char *host,
        uint16_t port,
        void (*on_accept)(void *ctx, int fd, const struct sockaddr_storage *peer),
        void *ctx,
        struct listener **ret);
/* Also inside on_accept. */
struct listener *listener_free(struct listener *l);
uint16_t listener_port(const struct listener *l);
/* Connections wait in the kernel's queue from now on, until they are taken again. Thread: owner. */
void listener_pause(struct listener *l);
void listener_resume(struct listener *l);
