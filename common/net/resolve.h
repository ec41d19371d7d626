/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/net/loop.h"

#include <stddef.h>
#include <sys/socket.h>

/* Name look-ups off the loop: one helper thread a process runs getaddrinfo. */
struct resolver;
struct resolver *resolver_new(void);
/* Waits for the look-up under way; those behind it end with n = 0, so their loops must still
 * exist. */
struct resolver *resolver_free(struct resolver *r);

struct resolved {
    struct sockaddr_storage addr[8];
    socklen_t addr_len[8];
    size_t n;          /* 0 = failed */
    const char *error; /* gai_strerror text when n is 0 */
};
/* fn runs once on `loop`, unless cancelled, and never inside this call. Numeric addresses too go
 * this way, but do not wait behind names. Thread: owner of `loop`. */
struct lookup *resolver_start(struct resolver *r,
        struct loop *loop,
        const char *host,
        uint16_t port,
        void (*fn)(void *ctx, const struct resolved *result),
        void *ctx);
/* Only before fn ran; fn will then not run. Thread: owner of its loop. */
void lookup_cancel(struct lookup *l);
/* host:port text of an address, IPv6 in brackets; an IPv4 address mapped into IPv6 is shown as
 * IPv4. 64 bytes hold every one. Thread: any. */
void sockaddr_text(const struct sockaddr_storage *addr, char *ret, size_t size);
