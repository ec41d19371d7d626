/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/array.h"
#include "common/net/rpc.h"
#include "tests/unit/net/turns.h"

/* Both ends of RPC connections, on one loop and one thread. */
struct end {
    struct rpc_conn *conn; /* NULL once closed */
    unsigned n_connected, n_closed;
    char reason[160];
    ARRAY(struct rpc_request *) requests; /* not answered yet, in order of arrival */
    unsigned n_requests;
    void (*on_request)(struct end *e, struct rpc_request *r); /* instead of keeping it */
    void *ctx;
};

struct pair {
    struct loop *loop;
    struct listener *listener;
    struct rpc_limits limits; /* of the accepting side; its handshake timeout is none by default */
    struct end client, server;
};

extern const struct rpc_callbacks end_callbacks;

struct pair *pair_new(void);
/* Connects the client and waits until both ends are there. */
void pair_connect(struct pair *p);
/* A plain socket instead of the client, non-blocking. */
int pair_dial(struct pair *p);
struct pair *pair_free(struct pair *p);

/* Answers the i-th kept request with `text` and forgets it. */
void end_answer(struct end *e, size_t i, const char *text);
struct rpc_out *out_text(const char *text);

/* How a call ended. */
struct call_end {
    unsigned n;
    int error;
    bool sent;
    struct buf body;
};

void note_reply(void *ctx, struct rpc_reply *reply);

/* A request frame with a body of `size` bytes. */
void request_frame(
        struct buf *b, uint32_t api, uint32_t correlation, const void *body, size_t size);
/* Sends all of it on a non-blocking socket, turning the loop while it is full. */
void send_all(struct loop *loop, int fd, const void *bytes, size_t size);
