/* SPDX-License-Identifier: Apache-2.0 */
#include "common/net/resolve.h"

#include "common/base/array.h"
#include "common/base/mem.h"
#include "common/base/must.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

/* On its way: caller → helper thread → caller's loop. `is_cancelled` is touched on that loop
 * only. */
struct lookup {
    struct loop_task task;
    STAILQ_ENTRY(lookup) entry;
    struct loop *loop;
    char *host;
    uint16_t port;
    void (*fn)(void *ctx, const struct resolved *result);
    void *ctx;
    bool is_cancelled;
    struct resolved result;
};

struct resolver {
    pthread_t thread;
    /* Guards `queue` and `is_stopping`. */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    STAILQ_HEAD(, lookup) queue;
    bool is_stopping;
};

/* Thread: any. */
static void resolve(struct resolved *ret, const char *host, uint16_t port, int flags)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = flags};
    struct addrinfo *found = NULL;
    char service[8];

    (void)snprintf(service, sizeof(service), "%u", (unsigned)port);
    int r = getaddrinfo(host, service, &hints, &found);
    if (r != 0) {
        ret->error = gai_strerror(r);
        return;
    }
    for (const struct addrinfo *a = found; a != NULL && ret->n < COUNT_OF(ret->addr);
            a = a->ai_next) {
        if (a->ai_addrlen <= sizeof(ret->addr[0])) {
            memcpy(&ret->addr[ret->n], a->ai_addr, a->ai_addrlen);
            ret->addr_len[ret->n++] = a->ai_addrlen;
        }
    }
    freeaddrinfo(found);
    if (ret->n == 0) {
        ret->error = gai_strerror(EAI_NODATA);
    }
}

static void lookup_finish(struct loop_task *task)
{
    struct lookup *l = container_of(task, struct lookup, task);

    if (!l->is_cancelled) {
        l->fn(l->ctx, &l->result);
    }
    mem_free(l->host);
    mem_free(l);
}

static void *thread_main(void *arg)
{
    struct resolver *r = arg;

    (void)pthread_setname_np(pthread_self(), "resolver");
    must(pthread_mutex_lock(&r->lock) == 0);
    for (;;) {
        while (STAILQ_EMPTY(&r->queue) && !r->is_stopping) {
            must(pthread_cond_wait(&r->changed, &r->lock) == 0);
        }
        struct lookup *l = STAILQ_FIRST(&r->queue);
        if (l == NULL) {
            break;
        }
        bool is_stopping = r->is_stopping;
        STAILQ_REMOVE_HEAD(&r->queue, entry);
        must(pthread_mutex_unlock(&r->lock) == 0);
        if (is_stopping) {
            l->result.error = "the process is stopping";
        } else {
            resolve(&l->result, l->host, l->port, AI_NUMERICSERV);
        }
        loop_post(l->loop, &l->task);
        must(pthread_mutex_lock(&r->lock) == 0);
    }
    must(pthread_mutex_unlock(&r->lock) == 0);
    return NULL;
}

struct resolver *resolver_new(void)
{
    struct resolver *r = mem_new(struct resolver);
    sigset_t all;
    sigset_t before;

    must(pthread_mutex_init(&r->lock, NULL) == 0);
    must(pthread_cond_init(&r->changed, NULL) == 0);
    STAILQ_INIT(&r->queue);
    (void)sigfillset(&all);
    must(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    must(pthread_create(&r->thread, NULL, thread_main, r) == 0);
    must(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    return r;
}

struct resolver *resolver_free(struct resolver *r)
{
    if (r == NULL) {
        return NULL;
    }
    must(pthread_mutex_lock(&r->lock) == 0);
    r->is_stopping = true;
    must(pthread_cond_signal(&r->changed) == 0);
    must(pthread_mutex_unlock(&r->lock) == 0);
    must(pthread_join(r->thread, NULL) == 0);
    must(pthread_cond_destroy(&r->changed) == 0);
    must(pthread_mutex_destroy(&r->lock) == 0);
    return mem_free(r);
}

struct lookup *resolver_start(struct resolver *r,
        struct loop *loop,
        const char *host,
        uint16_t port,
        void (*fn)(void *ctx, const struct resolved *result),
        void *ctx)
{
    struct lookup *l = mem_new(struct lookup);

    must(loop_is_mine(loop));
    *l = (struct lookup){.task.run = lookup_finish,
            .loop = loop,
            .host = mem_strdup(host),
            .port = port,
            .fn = fn,
            .ctx = ctx};
    /* An address needs no look-up and so does not wait behind a slow name server. */
    resolve(&l->result, host, port, AI_NUMERICSERV | AI_NUMERICHOST);
    if (l->result.n > 0) {
        l->result.error = NULL;
        loop_post(loop, &l->task);
        return l;
    }
    must(pthread_mutex_lock(&r->lock) == 0);
    STAILQ_INSERT_TAIL(&r->queue, l, entry);
    must(pthread_cond_signal(&r->changed) == 0);
    must(pthread_mutex_unlock(&r->lock) == 0);
    return l;
}

void lookup_cancel(struct lookup *l)
{
    must(loop_is_mine(l->loop));
    must(!l->is_cancelled);
    l->is_cancelled = true;
}

void sockaddr_text(const struct sockaddr_storage *addr, char *ret, size_t size)
{
    char host[INET6_ADDRSTRLEN] = "?";

    if (addr->ss_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, addr, sizeof(in));
        (void)inet_ntop(AF_INET, &in.sin_addr, host, sizeof(host));
        (void)snprintf(ret, size, "%s:%u", host, (unsigned)ntohs(in.sin_port));
    } else if (addr->ss_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, addr, sizeof(in6));
        unsigned port = ntohs(in6.sin6_port);
        if (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr)) { /* an IPv4 peer of a listener on [::] */
            (void)inet_ntop(AF_INET, &in6.sin6_addr.s6_addr[12], host, sizeof(host));
            (void)snprintf(ret, size, "%s:%u", host, port);
        } else {
            (void)inet_ntop(AF_INET6, &in6.sin6_addr, host, sizeof(host));
            (void)snprintf(ret, size, "[%s]:%u", host, port);
        }
    } else {
        (void)snprintf(ret, size, "(unknown address)");
    }
}
