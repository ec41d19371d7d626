/* SPDX-License-Identifier: Apache-2.0 */
#include "common/net/listen_sockets.h"

#include "common/base/must.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* With port 0 the kernel picks one for the first address; it may be taken on the second. */
enum {
    ANY_PORT_TRIES = 16,
    BACKLOG = 1024
};

static void close_all(struct listen_sockets *s)
{
    for (size_t i = 0; i < s->n; i++) {
        (void)close(s->fd[i]);
    }
    s->n = 0;
}

static uint16_t port_of(const struct sockaddr_storage *addr)
{
    struct sockaddr_in in;
    struct sockaddr_in6 in6;

    if (addr->ss_family == AF_INET) {
        memcpy(&in, addr, sizeof(in));
        return ntohs(in.sin_port);
    }
    memcpy(&in6, addr, sizeof(in6));
    return ntohs(in6.sin6_port);
}

static void set_port(struct sockaddr_storage *addr, uint16_t port)
{
    uint16_t be = htons(port);

    /* sin_port and sin6_port stand at the same place. */
    memcpy((char *)addr + offsetof(struct sockaddr_in, sin_port), &be, sizeof(be));
}

_Static_assert(offsetof(struct sockaddr_in, sin_port) == offsetof(struct sockaddr_in6, sin6_port),
        "set_port() writes both kinds of address");

static int listen_on(
        const struct sockaddr_storage *addr, socklen_t addr_len, int *ret_fd, uint16_t *ret_port)
{
    const int one = 1;
    struct sockaddr_storage bound = {0};
    socklen_t bound_len = sizeof(bound);
    int fd = socket(addr->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        return err_origin(-errno);
    }
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
            bind(fd, (const struct sockaddr *)addr, addr_len) < 0 || listen(fd, BACKLOG) < 0 ||
            getsockname(fd, (struct sockaddr *)&bound, &bound_len) < 0) {
        int r = err_origin(-errno);
        (void)close(fd);
        return r;
    }
    *ret_fd = fd;
    *ret_port = port_of(&bound);
    return 0;
}

static bool is_missing_family(int r)
{
    return r == -EAFNOSUPPORT || r == -EADDRNOTAVAIL;
}

/* One socket for each of `found`, duplicates once. */
static int open_all(const struct addrinfo *found, uint16_t port, struct listen_sockets *s)
{
    struct sockaddr_storage seen[LISTEN_SOCKETS_MAX];
    int missing = 0;

    s->port = port;
    for (const struct addrinfo *a = found; a != NULL && s->n < LISTEN_SOCKETS_MAX; a = a->ai_next) {
        struct sockaddr_storage addr = {0};
        bool is_seen = false;
        memcpy(&addr, a->ai_addr, a->ai_addrlen);
        set_port(&addr, s->port);
        for (size_t i = 0; i < s->n; i++) {
            is_seen |= memcmp(&seen[i], &addr, sizeof(addr)) == 0;
        }
        if (is_seen) {
            continue;
        }
        int r = listen_on(&addr, a->ai_addrlen, &s->fd[s->n], &s->port);
        if (is_missing_family(r)) {
            missing = r;
            continue;
        }
        if (r < 0) {
            close_all(s);
            return err_forward(r);
        }
        set_port(&addr, s->port);
        seen[s->n++] = addr;
    }
    return s->n > 0 ? 0 : err_origin(missing != 0 ? missing : -EADDRNOTAVAIL);
}

int listen_sockets_open(const char *host, uint16_t port, struct listen_sockets *ret)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
            .ai_socktype = SOCK_STREAM,
            .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    char service[8];

    if (host[0] == '\0') { /* [::] takes IPv4 too */
        int all = listen_sockets_open("::", port, ret);
        return is_missing_family(all) ? listen_sockets_open("0.0.0.0", port, ret) : all;
    }
    (void)snprintf(service, sizeof(service), "%u", (unsigned)port);
    if (getaddrinfo(host, service, &hints, &found) != 0) {
        return err_origin(-EADDRNOTAVAIL);
    }
    struct listen_sockets s = {0};
    int r = -EADDRINUSE;
    for (int i = 0; i < (port == 0 ? ANY_PORT_TRIES : 1) && r == -EADDRINUSE; i++) {
        r = open_all(found, port, &s);
    }
    freeaddrinfo(found);
    if (r < 0) {
        return err_forward(r);
    }
    *ret = s;
    return 0;
}
