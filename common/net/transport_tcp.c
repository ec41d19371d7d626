/* SPDX-License-Identifier: Apache-2.0 */
#include "common/net/transport.h"

#include "common/base/err.h"
#include "common/base/mem.h"
#include "common/base/must.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

/* An errno is an origin of an error's trail, except for the everyday "not now". */
static ssize_t result(ssize_t n)
{
    if (n >= 0) {
        return n;
    }
    return errno == EAGAIN ? -EAGAIN : err_origin(-errno);
}

static ssize_t tcp_readv(struct transport *t, const struct iovec *iov, int n)
{
    ssize_t r = 0;

    do {
        r = readv(t->fd, iov, n);
    } while (r < 0 && errno == EINTR);
    return result(r);
}

static ssize_t tcp_writev(struct transport *t, const struct iovec *iov, int n, bool has_more)
{
    /* sendmsg() does not write through msg_iov. */
    struct msghdr m = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)n};
    ssize_t r = 0;

    do {
        r = sendmsg(t->fd, &m, MSG_NOSIGNAL | (has_more ? MSG_MORE : 0));
    } while (r < 0 && errno == EINTR);
    return result(r);
}

static ssize_t tcp_sendfile(struct transport *t, int file, int64_t at, size_t size)
{
    off_t offset = at;
    ssize_t r = 0;

    do {
        r = sendfile(t->fd, file, &offset, size);
    } while (r < 0 && errno == EINTR);
    return result(r);
}

static void tcp_finish(struct transport *t)
{
    (void)shutdown(t->fd, SHUT_WR); /* a socket that is broken already needs none */
}

static void tcp_close(struct transport *t)
{
    if (t->fd >= 0) {
        (void)close(t->fd); /* nothing was promised about bytes that are still on their way */
    }
    mem_free(t);
}

struct transport *transport_tcp_new(int fd)
{
    static const struct transport_ops ops = {.readv = tcp_readv,
            .writev = tcp_writev,
            .sendfile = tcp_sendfile,
            .finish = tcp_finish,
            .close = tcp_close};
    struct transport *t = mem_new(struct transport);
    const int one = 1;

    if (fd >= 0) {
        int flags = fcntl(fd, F_GETFL);
        must(flags >= 0);
        must(fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0);
        /* Refused on a socket that is not TCP (a test's socket pair): only speed is lost. */
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
    }
    *t = (struct transport){.ops = &ops, .fd = fd};
    return t;
}
