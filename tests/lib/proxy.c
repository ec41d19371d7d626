/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/proxy.h"

#include "common/base/array.h"
#include "common/base/bytes.h"
#include "common/base/mem.h"
#include "tests/lib/check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

/* What was read on one side and is not written on the other yet; `times` says until where it may
 * go when. */
struct piece {
    size_t end; /* in `held` */
    int64_t due_ms;
};

struct way {
    struct buf held;
    size_t sent; /* of `held` */
    ARRAY(struct piece) pieces;
    bool is_ended; /* the reading side said end of stream */
};

struct pair {
    int fd[2]; /* of who dialled, of the server */
    struct way way[2];
};

enum {
    HELD_MAX = 1024 * 1024
};

struct proxy {
    pthread_t thread;
    pthread_mutex_t lock;
    int listener, wake[2];
    uint16_t port, to_port;
    bool is_stopping;
    ARRAY(struct pair *) pairs; /* the thread's own */

    bool has_plan, has_cut; /* under lock, like all below */
    enum proxy_way cut_way;
    uint64_t cut_left;
    int delay_ms;
    bool is_blackhole;
    uint64_t n_bytes[2];
};

static struct pair *pair_free(struct pair *pair)
{
    uint8_t bytes[4096];

    for (int i = 0; i < 2; i++) {
        /* What is not read yet would turn the close into a reset, which takes what was sent with
         * it. */
        while (recv(pair->fd[i], bytes, sizeof(bytes), 0) > 0) {
        }
        (void)close(pair->fd[i]);
        buf_deinit(&pair->way[i].held);
        array_deinit(&pair->way[i].pieces);
    }
    return mem_free(pair);
}

static void close_all(struct proxy *p)
{
    while (p->pairs.n > 0) {
        pair_free(p->pairs.items[--p->pairs.n]);
    }
}

static struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
            .sin_port = htons(port),
            .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
}

static void take_one(struct proxy *p)
{
    struct sockaddr_in to = loopback(p->to_port);
    int one = 1, in = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC);
    int out = in >= 0 ? socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) : -1;
    struct pair *pair = NULL;

    if (out < 0 || connect(out, (struct sockaddr *)&to, sizeof(to)) != 0) {
        if (out >= 0) {
            (void)close(out);
        }
        if (in >= 0) {
            (void)close(in);
        }
        return;
    }
    pair = mem_new(struct pair);
    pair->fd[0] = in;
    pair->fd[1] = out;
    for (int i = 0; i < 2; i++) {
        (void)setsockopt(pair->fd[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        (void)fcntl(pair->fd[i], F_SETFL, O_NONBLOCK);
    }
    *array_push(&p->pairs) = pair;
}

/* How much of `size` bytes may go that way; at 0 with a plan the connections are to be closed.
 * Under the lock. */
static size_t allowed(const struct proxy *p, enum proxy_way way, size_t size)
{
    if (p->has_plan && p->cut_way == way && p->cut_left < size) {
        return (size_t)p->cut_left;
    }
    return size;
}

/* Reads what came from side `from`; false when the connection is over. */
static bool read_side(struct proxy *p, struct pair *pair, int from)
{
    struct way *w = &pair->way[from];
    uint8_t bytes[16384];
    ssize_t n = recv(pair->fd[from], bytes, sizeof(bytes), 0);

    if (n < 0) {
        return errno == EAGAIN || errno == EINTR;
    }
    if (n == 0) {
        w->is_ended = true;
        return true;
    }
    buf_append(&w->held, bytes, (size_t)n);
    *array_push(&w->pieces) =
            (struct piece){.end = w->held.size, .due_ms = check_now_ms() + p->delay_ms};
    return true;
}

/* Writes what is due; false when the connection is over or everything was cut. Under the lock. */
static bool write_side(struct proxy *p, struct pair *pair, int way)
{
    struct way *w = &pair->way[way];

    while (w->pieces.n > 0 && !p->is_blackhole && w->pieces.items[0].due_ms <= check_now_ms()) {
        size_t size = allowed(p, (enum proxy_way)way, w->pieces.items[0].end - w->sent);
        ssize_t n = size == 0 ? 0
                              : send(pair->fd[1 - way], w->held.data + w->sent, size, MSG_NOSIGNAL);
        if (n < 0) {
            return errno == EAGAIN || errno == EINTR;
        }
        w->sent += (size_t)n;
        p->n_bytes[way] += (size_t)n;
        if (p->has_plan && p->cut_way == (enum proxy_way)way) {
            p->cut_left -= (size_t)n;
            if (p->cut_left == 0) {
                p->has_plan = false;
                p->has_cut = true;
                return false;
            }
        }
        if (w->sent == w->pieces.items[0].end) {
            array_remove(&w->pieces, (size_t)0);
        }
        if (w->pieces.n == 0) {
            buf_clear(&w->held);
            w->sent = 0;
        }
    }
    return !(w->is_ended && w->pieces.n == 0);
}

static void serve(struct proxy *p, struct pollfd *polls, size_t n_pairs)
{
    (void)pthread_mutex_lock(&p->lock);
    for (size_t i = n_pairs; i-- > 0;) {
        struct pair *pair = p->pairs.items[i];
        bool is_good = true, had_cut = p->has_cut;
        for (int side = 0; side < 2; side++) {
            if ((polls[2 + 2 * i + (size_t)side].revents & (POLLIN | POLLHUP | POLLERR)) != 0 &&
                    pair->way[side].held.size < HELD_MAX) {
                is_good = is_good && read_side(p, pair, side);
            }
        }
        for (int way = 0; way < 2 && is_good; way++) {
            is_good = write_side(p, pair, way);
        }
        if (!is_good && p->has_cut && !had_cut) {
            close_all(p);
            break;
        }
        if (!is_good) {
            p->pairs.items[i] = pair_free(pair);
            array_remove(&p->pairs, i);
        }
    }
    (void)pthread_mutex_unlock(&p->lock);
}

static bool is_stopping(struct proxy *p)
{
    (void)pthread_mutex_lock(&p->lock);
    bool stops = p->is_stopping;
    (void)pthread_mutex_unlock(&p->lock);
    return stops;
}

static void *run(void *ctx)
{
    struct proxy *p = ctx;
    ARRAY(struct pollfd) polls = {0};

    while (!is_stopping(p)) {
        size_t n_pairs = p->pairs.n;
        bool is_waiting = false;
        array_clear(&polls);
        *array_push(&polls) = (struct pollfd){.fd = p->wake[0], .events = POLLIN};
        *array_push(&polls) = (struct pollfd){.fd = p->listener, .events = POLLIN};
        for (size_t i = 0; i < n_pairs; i++) {
            for (int side = 0; side < 2; side++) {
                const struct way *w = &p->pairs.items[i]->way[side];
                bool may_read = !w->is_ended && w->held.size < HELD_MAX;
                *array_push(&polls) = (struct pollfd){
                        .fd = may_read ? p->pairs.items[i]->fd[side] : -1, .events = POLLIN};
                is_waiting = is_waiting || w->pieces.n > 0;
            }
        }
        (void)poll(polls.items, polls.n, is_waiting ? 1 : -1);
        if (polls.items[0].revents != 0) {
            char bytes[64];
            (void)!read(p->wake[0], bytes, sizeof(bytes));
        }
        serve(p, polls.items, n_pairs);
        if (polls.items[1].revents != 0) {
            take_one(p);
        }
    }
    close_all(p);
    array_deinit(&polls);
    return NULL;
}

static void kick(struct proxy *p)
{
    CHECK(write(p->wake[1], "", 1) == 1);
}

struct proxy *proxy_new(uint16_t to_port)
{
    struct proxy *p = mem_new(struct proxy);
    struct sockaddr_in at = loopback(0);
    socklen_t size = sizeof(at);

    p->to_port = to_port;
    p->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(p->listener >= 0);
    CHECK_EQ(bind(p->listener, (struct sockaddr *)&at, sizeof(at)), 0);
    CHECK_EQ(listen(p->listener, 16), 0);
    CHECK_EQ(getsockname(p->listener, (struct sockaddr *)&at, &size), 0);
    p->port = ntohs(at.sin_port);
    CHECK_EQ(pipe2(p->wake, O_CLOEXEC), 0);
    CHECK_EQ(pthread_mutex_init(&p->lock, NULL), 0);
    CHECK_EQ(pthread_create(&p->thread, NULL, run, p), 0);
    return p;
}

struct proxy *proxy_free(struct proxy *p)
{
    if (p == NULL) {
        return NULL;
    }
    (void)pthread_mutex_lock(&p->lock);
    p->is_stopping = true;
    (void)pthread_mutex_unlock(&p->lock);
    kick(p);
    (void)pthread_join(p->thread, NULL);
    (void)pthread_mutex_destroy(&p->lock);
    (void)close(p->listener);
    (void)close(p->wake[0]);
    (void)close(p->wake[1]);
    array_deinit(&p->pairs);
    return mem_free(p);
}

uint16_t proxy_port(const struct proxy *p)
{
    return p->port;
}

void proxy_cut_after(struct proxy *p, enum proxy_way way, uint64_t bytes)
{
    (void)pthread_mutex_lock(&p->lock);
    p->has_plan = true;
    p->has_cut = false;
    p->cut_way = way;
    p->cut_left = bytes > 0 ? bytes : 1;
    (void)pthread_mutex_unlock(&p->lock);
}

bool proxy_has_cut(struct proxy *p)
{
    (void)pthread_mutex_lock(&p->lock);
    bool has_cut = p->has_cut;
    (void)pthread_mutex_unlock(&p->lock);
    return has_cut;
}

void proxy_delay(struct proxy *p, int ms)
{
    (void)pthread_mutex_lock(&p->lock);
    p->delay_ms = ms;
    (void)pthread_mutex_unlock(&p->lock);
}

void proxy_blackhole(struct proxy *p, bool on)
{
    (void)pthread_mutex_lock(&p->lock);
    p->is_blackhole = on;
    (void)pthread_mutex_unlock(&p->lock);
    kick(p);
}

uint64_t proxy_bytes(struct proxy *p, enum proxy_way way)
{
    (void)pthread_mutex_lock(&p->lock);
    uint64_t n = p->n_bytes[way];
    (void)pthread_mutex_unlock(&p->lock);
    return n;
}
