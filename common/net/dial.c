/* SPDX-License-Identifier: Apache-2.0 */
#include "common/net/dial.h"

#include "common/base/mem.h"
#include "common/base/must.h"

#include <errno.h>
#include <event2/event.h>
#include <string.h>
#include <unistd.h>

struct dial {
    struct loop *loop;
    int fd; /* -1 = there was none to be had */
    int error; /* of a connect that failed at once */
    bool is_connected;
    struct event *event;
    struct timer limit;
    struct dial_callbacks cb;
    void *ctx;
};

bool dial_reached_itself(int fd)
{
    struct sockaddr_storage here = {0};
    struct sockaddr_storage there = {0};
    socklen_t here_len = sizeof(here);
    socklen_t there_len = sizeof(there);

    return getsockname(fd, (struct sockaddr *)&here, &here_len) == 0 &&
           getpeername(fd, (struct sockaddr *)&there, &there_len) == 0 && here_len == there_len &&
           memcmp(&here, &there, here_len) == 0;
}

static void end(struct dial *d, enum dial_end how)
{
    timer_cancel(&d->limit);
    if (d->event != NULL) {
        must(event_del(d->event) == 0);
    }
    d->cb.on_end(d->ctx, how); /* may free it */
}

static void on_limit(void *ctx)
{
    struct dial *d = ctx;

    end(d, d->error == ECONNREFUSED ? DIAL_REFUSED : DIAL_UNREACHED);
}

static void on_readable(struct dial *d)
{
    char bytes[4096];
    ssize_t n = recv(d->fd, bytes, sizeof(bytes), 0);

    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        end(d, DIAL_CLOSED);
    }
}

static void on_connected(struct dial *d)
{
    int error = 0;
    socklen_t size = sizeof(error);

    if (getsockopt(d->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0) {
        error = errno;
    }
    if (error == ECONNREFUSED || (error == 0 && dial_reached_itself(d->fd))) {
        end(d, DIAL_REFUSED);
        return;
    }
    if (error != 0) {
        end(d, DIAL_UNREACHED);
        return;
    }
    d->is_connected = true;
    timer_cancel(&d->limit);
    must(event_del(d->event) == 0);
    must(event_assign(d->event, loop_base(d->loop), d->fd, EV_READ | EV_PERSIST,
                 event_get_callback(d->event), d) == 0);
    must(event_add(d->event, NULL) == 0);
    if (d->cb.on_connected != NULL) {
        d->cb.on_connected(d->ctx);
    }
}

static void on_event(evutil_socket_t fd, short what, void *ctx)
{
    struct dial *d = ctx;

    (void)fd;
    (void)what;
    if (d->is_connected) {
        on_readable(d);
    } else {
        on_connected(d);
    }
}

struct dial *dial_new(struct loop *loop,
        const struct sockaddr_storage *addr,
        socklen_t addr_len,
        wtime timeout,
        const struct dial_callbacks *cb,
        void *ctx)
{
    struct dial *d = mem_new(struct dial);

    must(loop_is_mine(loop));
    d->loop = loop;
    d->cb = *cb;
    d->ctx = ctx;
    timer_init(&d->limit, loop, on_limit, d);
    timer_set(&d->limit, wtime_add(loop_now(loop), timeout));
    d->fd = socket(addr->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (d->fd < 0 || (connect(d->fd, (const struct sockaddr *)addr, addr_len) < 0 &&
                             errno != EINPROGRESS && errno != EINTR)) {
        d->error = errno;
        timer_set(&d->limit, 0); /* told in a turn of its own */
        return d;
    }
    d->event = event_new(loop_base(loop), d->fd, EV_WRITE, on_event, d);
    must(d->event != NULL);
    must(event_add(d->event, NULL) == 0);
    return d;
}

struct dial *dial_free(struct dial *d)
{
    if (d == NULL) {
        return NULL;
    }
    must(loop_is_mine(d->loop));
    if (d->event != NULL) {
        event_free(d->event);
    }
    timer_deinit(&d->limit);
    if (d->fd >= 0) {
        (void)close(d->fd); /* nothing was written that could be lost */
    }
    return mem_free(d);
}
