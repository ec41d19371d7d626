/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "broker/core/fetch_session.h"
#include "broker/shell/data_loop.h"

/* The leader's end of a replica's connection: one session (broker/core/fetch_session.h), of which at most one request waits.
 *
 *   request ─▶ named: position counted, looked at ─▶ something to say ─▶ answer
 *                                                └─▶ nothing: an interest at the partition; the request waits
 *   woken, or its time is over, or the next request is here ─▶ answer
 *
 * Thread: data (the connection's loop). */
struct feed;

/* NULL = none yet; takes it. */
struct feed *feed_free(struct feed *f);
/* Takes the request. */
void feed_request(struct client_conn *conn, struct rpc_request *r);
/* A wake-up of one of the loop's sessions; of none: nothing. */
void feed_wake(struct data_loop *dl, const struct partition_wake *w);
/* [THR-5] The loop's sessions look again at what was held back. */
void feed_hurry(struct data_loop *dl);
/* The loop ends: what waits is answered with what there is. */
void feed_end(struct feed *f);
