/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/err.h"

#include <stddef.h>
#include <stdint.h>

/* Sockets that listen on every address of a name ("localhost" is usually two), all on one port. */
enum {
    LISTEN_SOCKETS_MAX = 8
};

struct listen_sockets {
    int fd[LISTEN_SOCKETS_MAX]; /* non-blocking, close-on-exec; the caller's */
    size_t n;                   /* at least 1 */
    uint16_t port;
};

/* `host` "" = every address of this machine; `port` 0 = any free one. An address family that this
 * machine lacks is passed over when another address works. Blocks while a name is looked up.
 * Negative: errno, with the trail; nothing stays open. Thread: any. */
MUST_CHECK int listen_sockets_open(const char *host, uint16_t port, struct listen_sockets *ret);
