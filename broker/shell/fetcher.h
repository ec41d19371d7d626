/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "broker/shell/data_loop.h"

/* The follower's ends: for each broker that leads something followed here, and each of num.replica.fetchers, a connection with
 * one session (broker/core/fetch_session.h), on one of the data loops.
 *
 *   DOWN ──pause──▶ LOOKING UP ──▶ CONNECTING ──▶ GREETING ──▶ UP ── requests and answers
 *     ▲                                                        │
 *     └──────────── refused, closed, no endpoint ──────────────┘
 *
 * Whom a partition follows stands in its core. Whenever that may have changed, the loops of the leaders concerned look at the
 * partition again (fetchers_look), and each makes its sessions right: nothing is handed over, so no order is to be kept. */
struct fetchers;

struct fetchers *fetchers_new(struct broker *b);
/* Its loop ends: closes what it has there. Thread: data (that loop). */
void fetchers_end_loop(struct fetchers *f, struct data_loop *dl);
/* After the loops have ended. Takes NULL. Thread: main. */
struct fetchers *fetchers_free(struct fetchers *f);
/* The partition may follow somebody else now (either may be BROKER_NONE), or has moved by itself. Thread: any. */
void fetchers_look(struct fetchers *f, struct partition *p, broker_id was, broker_id now);
/* [THR-5] Who was held back, there and by the sessions of other brokers here, looks again. Thread: control. */
void fetchers_hurry(struct fetchers *f);
/* This broker is another incarnation, or others have other addresses: sessions under way begin anew. Thread: control. */
void fetchers_restart(struct fetchers *f);
