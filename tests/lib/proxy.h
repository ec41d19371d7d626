/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* A TCP forwarder that breaks connections on demand: a port of 127.0.0.1 in front of another
 * one, served by a thread of its own. Connections that are refused behind it are closed. Thread:
 * any may call. */
struct proxy;

enum proxy_way {
    PROXY_UP,  /* from who dialled the proxy to the server */
    PROXY_DOWN /* from the server */
};

struct proxy *proxy_new(uint16_t to_port);
struct proxy *proxy_free(struct proxy *p); /* takes NULL */
uint16_t proxy_port(const struct proxy *p);

/* Once exactly `bytes` more bytes have gone that way, over whichever connections, every
 * connection is closed: the rest that was read already is never sent. */
void proxy_cut_after(struct proxy *p, enum proxy_way way, uint64_t bytes);
/* Whether the last proxy_cut_after() has struck. */
bool proxy_has_cut(struct proxy *p);
/* Every byte, also of new connections, waits so long. */
void proxy_delay(struct proxy *p, int ms);
/* Takes connections and bytes and forwards nothing; what was held is sent when it ends. */
void proxy_blackhole(struct proxy *p, bool on);
/* Bytes that went that way since the start. */
uint64_t proxy_bytes(struct proxy *p, enum proxy_way way);
