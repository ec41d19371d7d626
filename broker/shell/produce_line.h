/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "broker/shell/append_check.h"
#include "broker/shell/data_loop.h"

/* A Produce between its decoding and its appends, and the line in which such requests of one connection stand while one
 * of them is checked on the pool [LOG-108]: what a client sent first is appended first. A connection has at most one
 * request on the pool, so that what unpacking takes is bounded by the pool's threads.
 *
 *   handle_produce ──► nothing long, nobody in line ──────────────► produce_perform
 *          └─────────► line ──head, long──► pool ──back on the loop──► produce_perform, next
 *
 * Thread: data (the connection's loop), except for the one check on the pool. */

struct produce_part {
    struct partition *partition; /* a reference; NULL = none here, check.error says why */
    struct append_check check;
};

struct produce_work {
    struct rpc_request *request;
    struct arena arena; /* of the decoded request and of sentences */
    struct msg_produce_request m;
    struct produce_part *parts; /* m.n_partitions */
};

/* Takes the work; the line of `conn` is made when there is none. */
void produce_line_add(struct client_conn *conn, const struct produce_work *work, bool is_long);
/* The connection goes; what stands in its line ends without it. */
void produce_line_leave(struct client_conn *conn);

/* handle_produce.c: append and answer; both end the work. Without its connection only acks 0 is still appended, whose
 * sender does not wait for anything. */
void produce_perform(struct client_conn *conn, struct produce_work *work);
void produce_perform_alone(struct data_loop *dl, struct produce_work *work);
