/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "broker/shell/io_pool.h"
#include "common/base/bytes.h"
#include "common/net/loop.h"
#include "common/net/rpc.h"

struct broker;

/* The answer to a question of the controller that takes locks or the disk: made on the pool, sent in a later turn of the
 * control loop. Nobody gets one whose connection is gone. Embedded in what the question is about:
 *
 *   answer_on_pool(a, b, c, r) ─▶ make(a, body) ─▶ sent, or not ─▶ end(a)
 */
struct answer_on_pool {
    /* The caller's, set before. */
    void (*make)(struct answer_on_pool *a, struct buf *body); /* Thread: pool */
    void (*end)(struct answer_on_pool *a);                    /* frees it; Thread: control */

    struct broker *b;
    struct io_job job;
    struct loop_task done;
    uint64_t conn_id;
    struct frame_header header;
    struct buf body;
};

/* `r` answered: what it holds is not kept. Thread: control. */
void answer_on_pool(struct answer_on_pool *a,
        struct broker *b,
        const struct rpc_conn *c,
        const struct rpc_request *r);
