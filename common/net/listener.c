/* SPDX-License-Identifier: Apache-2.0 */
#include "common/net/listen_sockets.h"

#include "common/base/mem.h"
#include "common/base/must.h"
#include "common/net/rpc.h"
#include "common/obs/log.h"

#include <errno.h>
#include <event2/event.h>
#include <unistd.h>

enum {
    ACCEPTS_A_TURN = 64
};

#define ACCEPT_PAUSE       WTIME_MS(100)
#define COMPLAINT_INTERVAL WTIME_S(1)

struct listener {
    struct loop *loop;
    struct listen_sockets sockets;
    struct event *events[LISTEN_SOCKETS_MAX];
    struct timer resume;
    wtime next_complaint;
    void (*on_accept)(void *ctx, int fd, const struct sockaddr_storage *peer);
    void *ctx;
    bool is_accepting; /* inside on_readable: freeing waits for its end */
    bool is_freed;
};

static void listener_destroy(struct listener *l)
{
    for (size_t i = 0; i < l->sockets.n; i++) {
        event_free(l->events[i]);
        (void)close(l->sockets.fd[i]);
    }
    timer_deinit(&l->resume);
    mem_free(l);
}

static void on_resume(void *ctx)
{
    listener_resume(ctx);
}

void listener_resume(struct listener *l)
{
    must(loop_is_mine(l->loop));
    for (size_t i = 0; i < l->sockets.n; i++) {
        must(event_add(l->events[i], NULL) == 0);
    }
}

void listener_pause(struct listener *l)
{
    must(loop_is_mine(l->loop));
    for (size_t i = 0; i < l->sockets.n; i++) {
        must(event_del(l->events[i]) == 0);
    }
    timer_cancel(&l->resume);
}

/* No descriptor or no memory: the connection stays in the kernel's queue, so asking again at once
 * would spin. */
static void pause_accepting(struct listener *l, int error)
{
    wtime now = loop_now(l->loop);

    listener_pause(l);
    timer_set(&l->resume, wtime_add(now, ACCEPT_PAUSE));
    if (now >= l->next_complaint) {
        l->next_complaint = wtime_add(now, COMPLAINT_INTERVAL);
        log_warn("net", "accept_paused", KV_U64("port", l->sockets.port),
                KV_ERR(err_origin(-error)));
    }
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct listener *l = arg;

    (void)what;
    l->is_accepting = true;
    for (int i = 0; i < ACCEPTS_A_TURN && !l->is_freed; i++) {
        struct sockaddr_storage peer = {0};
        socklen_t peer_len = sizeof(peer);
        int peer_fd =
                accept4(fd, (struct sockaddr *)&peer, &peer_len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (peer_fd >= 0) {
            l->on_accept(l->ctx, peer_fd, &peer);
        } else if (errno == EAGAIN) {
            break;
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            pause_accepting(l, errno);
            break;
        }
        /* Anything else is that peer's trouble (ECONNABORTED and what Linux passes on from the
         * network). */
    }
    l->is_accepting = false;
    if (l->is_freed) {
        listener_destroy(l);
    }
}

int listener_new(struct loop *loop,
        const char *host,
        uint16_t port,
        void (*on_accept)(void *ctx, int fd, const struct sockaddr_storage *peer),
        void *ctx,
        struct listener **ret)
{
    struct listen_sockets sockets;
    int r = listen_sockets_open(host, port, &sockets);

    must(loop_is_mine(loop));
    if (r < 0) {
        return err_forward(r);
    }
    struct listener *l = mem_new(struct listener);
    *l = (struct listener){.loop = loop, .sockets = sockets, .on_accept = on_accept, .ctx = ctx};
    timer_init(&l->resume, loop, on_resume, l);
    for (size_t i = 0; i < sockets.n; i++) {
        l->events[i] =
                event_new(loop_base(loop), sockets.fd[i], EV_READ | EV_PERSIST, on_readable, l);
        must(l->events[i] != NULL);
        must(event_add(l->events[i], NULL) == 0);
    }
    *ret = l;
    return 0;
}

struct listener *listener_free(struct listener *l)
{
    if (l == NULL) {
        return NULL;
    }
    must(loop_is_mine(l->loop));
    must(!l->is_freed);
    if (l->is_accepting) {
        l->is_freed = true;
        return NULL;
    }
    listener_destroy(l);
    return NULL;
}

uint16_t listener_port(const struct listener *l)
{
    return l->sockets.port;
}
