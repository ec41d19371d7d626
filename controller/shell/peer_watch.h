/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/net/resolve.h"

#include <stdbool.h>
#include <stdint.h>

/* A standby's watch over the process of the active controller: one TCP connection to its advertised HTTP address.
 *
 *                          accepted                        closed
 *   dialling ────────────────────────────► connected ────────────────► dialling, once accepted
 *      ▲  │ refused, silent, no route          ▲                              │
 *      └──┘ tells nothing: never accepted      └── accepted: it lives ────────┤ refused twice, 100 ms apart:
 *                                                                             ▼ the process is dead
 *
 * [ZK-22] Only a refusal is evidence, only the second one, and only at an address that accepted a connection before in
 * the same term: who advertises a wrong address, whose ports nobody listens on, is not taken for dead. Silence and
 * unreachable hosts tell nothing about a process; and an HTTP server closes idle connections, which leads to a new one.
 * A process that is back within those 100 ms is not seen as dead. Thread: control. */
struct peer_watch;

struct peer_watch_options {
    struct loop *loop;
    struct resolver *resolver;
    /* The process that is active in `term` is dead; or, after that was said: something accepts connections again. */
    void (*on_evidence)(void *ctx, uint64_t term, bool is_dead);
    void *ctx;
};

struct peer_watch *peer_watch_new(const struct peer_watch_options *options);
struct peer_watch *peer_watch_free(struct peer_watch *w);

/* Watches this one from now on; the same term and address again change nothing. */
void peer_watch_set(struct peer_watch *w, uint64_t term, const char *url);
/* Watches nobody. */
void peer_watch_stop(struct peer_watch *w);
