/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/answer_on_pool.h"

#include "broker/shell/broker.h"
#include "broker/shell/ctl_link.h"
#include "common/base/mem.h"

static void on_done(struct loop_task *task)
{
    struct answer_on_pool *a = container_of(task, struct answer_on_pool, done);
    struct rpc_conn *c = a->b->is_over ? NULL : ctl_link_conn(a->b->ctl);

    if (c != NULL && rpc_conn_id(c) == a->conn_id) {
        struct rpc_out *out = rpc_out_new();

        buf_append(rpc_out_buf(out), a->body.data, a->body.size);
        rpc_answer(c, &a->header, ERRCODE_NONE, "", out);
    }
    buf_deinit(&a->body);
    a->end(a);
}

static void run(struct io_job *job)
{
    struct answer_on_pool *a = container_of(job, struct answer_on_pool, job);

    a->make(a, &a->body);
    loop_post(a->b->control, &a->done);
}

void answer_on_pool(struct answer_on_pool *a,
        struct broker *b,
        const struct rpc_conn *c,
        const struct rpc_request *r)
{
    a->b = b;
    a->job.run = run;
    a->done.run = on_done;
    a->conn_id = rpc_conn_id(c);
    a->header = r->header;
    a->header.detail = "";
    io_pool_submit(b->pool, &a->job);
}
