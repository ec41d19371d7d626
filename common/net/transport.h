/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

/* What a connection needs of a byte stream. Readiness is that of `fd`; plain TCP is one
 * implementation, TLS is meant to be another. Thread: owner of the connection's loop. */
struct transport;

struct transport_ops {
    /* Fills the vectors as far as bytes are there: a short count means that more is not there now.
     * 0 = the peer ended the stream. -EAGAIN = nothing there; other negative errno = broken. */
    ssize_t (*readv)(struct transport *t, const struct iovec *iov, int n);
    /* Bytes taken, which may be fewer; -EAGAIN, negative errno. `has_more`: the caller writes again
     * at once, a small packet need not leave alone. */
    ssize_t (*writev)(struct transport *t, const struct iovec *iov, int n, bool has_more);
    /* Up to `size` bytes of a file from `at`; the file's own position stays. 0 = the file ends
     * there. */
    ssize_t (*sendfile)(struct transport *t, int file, int64_t at, size_t size);
    /* No more bytes from us; reading goes on. */
    void (*finish)(struct transport *t);
    /* Closes the descriptor and frees the transport. */
    void (*close)(struct transport *t);
};

struct transport {
    const struct transport_ops *ops;
    int fd;
};

/* Takes the socket; sets non-blocking, TCP_NODELAY and SO_KEEPALIVE. -1 = a socket that could not
 * be made: it can only be closed. */
struct transport *transport_tcp_new(int fd);
