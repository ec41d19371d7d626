/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "clients/lib/client.h"
#include "common/net/resolve.h"
#include "common/net/rpc.h"

/* A connection to one broker, or to one of bootstrap.servers, that is made again when it breaks.
 *
 *   DOWN ──wanted, backoff over──► RESOLVING ──► CONNECTING ──► HELLO ──► UP
 *    ▲                                 │          │    ▲ next address │     │
 *    └──── all addresses failed ───────┴──────────┴────┴──────────────┘     │
 *    └──────────────────────── broken, or a request timed out ──────────────┘
 *
 * Names are resolved at each connection. Thread: internal. */

enum link_state {
    LINK_DOWN = 0,
    LINK_RESOLVING,
    LINK_CONNECTING,
    LINK_HELLO,
    LINK_UP,
};

struct link {
    TAILQ_ENTRY(link) entry;
    struct weir_client *client;
    broker_id id; /* BROKER_NONE = of bootstrap.servers */
    char *host;
    uint16_t port;
    enum link_state state;
    struct lookup *lookup;
    struct resolved addrs;
    size_t next_addr;
    struct rpc_conn *conn;
    struct prng prng;
    uint32_t n_failures;
    wtime not_before;      /* of the next connection */
    wtime throttled_until; /* the broker asked for patience */
    uint32_t n_produce;    /* requests in flight */
    wtime silent_since;    /* it was asked, and has answered nothing since; WTIME_NEVER = it has */
    bool is_removed;       /* not in the metadata any more: freed by the next client_work() */
    char reason[192];      /* of the last failure; "" = none */
};

/* bootstrap.servers → links. WEIR_E_CONFIG. Before the thread runs. */
int links_init(struct weir_client *c, struct weir_error *error);
void links_deinit(struct weir_client *c);
/* What metadata says about brokers. */
void links_update(struct weir_client *c, const struct msg_metadata_response *m);
void links_drop_removed(struct weir_client *c);
/* The link of a broker that is UP and not throttled, or NULL; a link that is DOWN begins to
 * connect. */
struct link *link_get(struct weir_client *c, broker_id id, wtime now);
/* Any link that is UP, rather one that does answer, or NULL; then some begin to connect. */
struct link *link_get_any(struct weir_client *c, wtime now);
/* Whether a broker that is wanted was lost, and is not back yet: another one may lead by now. */
bool links_lack_broker(const struct weir_client *c);
/* "host:port: reason; …" of all links that are not UP. */
void links_explain(const struct weir_client *c, char *text, size_t size);
/* When link_get() may start a connection that a backoff held up. */
wtime links_deadline(const struct weir_client *c, wtime now);
/* Asks, with request.timeout.ms or less. */
void link_call(struct link *l,
        uint32_t api,
        uint32_t timeout_ms,
        struct rpc_out *out,
        void (*fn)(void *ctx, struct rpc_reply *reply),
        void *ctx);
/* First thing in every answer: a request that timed out, or an answer that cannot be read, ends the
 * connection (all other calls on it end inside this function). */
void link_answered(struct link *l, const struct rpc_reply *reply);
void link_broken(struct link *l, const char *reason);
