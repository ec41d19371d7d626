/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/describe_ends.h"

#include "broker/shell/broker.h"
#include "broker/shell/ctl_link.h"
#include "broker/shell/errcode_map.h"
#include "common/base/mem.h"

struct ends_job {
    struct io_job job;
    struct loop_task done;
    struct broker *b;
    uint64_t conn_id;
    struct frame_header header;
    struct msg_log_end *ends;
    size_t n;
};

/* --- Thread: pool ----------------------------------------------------------------------------- */
static void look_up(struct partitions *t, struct msg_log_end *ret)
{
    struct partition *p = partitions_get(t, &ret->topic_id, ret->partition);
    struct partition_epoch_end end;

    if (p == NULL) {
        ret->error = partitions_refusal(t, &ret->topic_id);
        return;
    }
    partition_log_end(p, &end);
    partition_unref(p);
    ret->error = end.error;
    ret->last_epoch = end.epoch;
    ret->end = end.end;
    ret->bytes = (uint64_t)end.bytes;
}

static void run(struct io_job *job)
{
    struct ends_job *d = container_of(job, struct ends_job, job);

    for (size_t i = 0; i < d->n; i++) {
        look_up(&d->b->partitions, &d->ends[i]);
    }
    loop_post(d->b->control, &d->done);
}

/* --- Thread: control -------------------------------------------------------------------------- */
static void on_done(struct loop_task *task)
{
    struct ends_job *d = container_of(task, struct ends_job, done);
    struct rpc_conn *c = d->b->is_over ? NULL : ctl_link_conn(d->b->ctl);

    if (c != NULL && rpc_conn_id(c) == d->conn_id) {
        struct rpc_out *out = rpc_out_new();
        wire_encode_describe_ends_response(
                &(struct msg_describe_ends_response){.partitions = d->ends, .n_partitions = d->n},
                rpc_out_buf(out));
        rpc_answer(c, &d->header, ERRCODE_NONE, "", out);
    }
    (void)mem_free(d->ends);
    (void)mem_free(d);
}

void describe_ends(struct broker *b, struct rpc_conn *c, struct rpc_request *r)
{
    struct msg_describe_ends_request m;
    struct arena arena;

    arena_init(&arena, wire_arena_ceiling(r->body.size));
    int e = wire_decode_describe_ends_request(r->body, &arena, &m);
    if (e != 0) {
        arena_deinit(&arena);
        rpc_answer(c, &r->header, errcode_of_wire(e).error, errcode_of_wire(e).detail, NULL);
        return;
    }
    struct ends_job *d = mem_new(struct ends_job);
    d->job.run = run;
    d->done.run = on_done;
    d->b = b;
    d->conn_id = rpc_conn_id(c);
    d->header = r->header;
    d->header.detail = "";
    d->n = m.n_partitions;
    d->ends = mem_new_n(struct msg_log_end, m.n_partitions + 1);
    for (size_t i = 0; i < m.n_partitions; i++) {
        d->ends[i] = (struct msg_log_end){.topic_id = m.partitions[i].topic_id,
                .partition = m.partitions[i].partition,
                .last_epoch = EPOCH_NONE,
                .end = OFFSET_NONE};
    }
    arena_deinit(&arena);
    io_pool_submit(b->pool, &d->job);
}
