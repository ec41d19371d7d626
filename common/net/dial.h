/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/net/loop.h"

#include <sys/socket.h>

/* A TCP connection on which nothing is said: whether somebody accepts it, and when it ends. What the peer sends is read
 * and forgotten. Thread: owner of the loop, for everything here. */
struct dial;

enum dial_end {
    DIAL_REFUSED,   /* nobody listens there: the host answered for a process that is not there */
    DIAL_UNREACHED, /* no answer in time, no route, no descriptor: tells nothing about the process */
    DIAL_CLOSED,    /* it was connected, and the peer closed it */
};

struct dial_callbacks {
    /* The dial may be freed inside of both. */
    void (*on_connected)(void *ctx); /* may be NULL */
    /* Once; the dial is then to be freed. */
    void (*on_end)(void *ctx, enum dial_end end);
};

/* Starts to connect; the callbacks run later, never inside this call. `timeout` is for the connecting. */
struct dial *dial_new(struct loop *loop,
        const struct sockaddr_storage *addr,
        socklen_t addr_len,
        wtime timeout,
        const struct dial_callbacks *cb,
        void *ctx);
/* Closes, without a callback. Takes NULL. */
struct dial *dial_free(struct dial *d);

/* Whether a connected socket has itself as its peer: a port of the ephemeral range that nobody listens on can be our own
 * source port. */
bool dial_reached_itself(int fd);
