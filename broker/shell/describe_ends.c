/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/describe_ends.h"

#include "broker/shell/answer_on_pool.h"
#include "broker/shell/broker.h"
#include "broker/shell/errcode_map.h"
#include "common/base/mem.h"

struct ends_job {
    struct answer_on_pool answer;
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

static void make(struct answer_on_pool *a, struct buf *body)
{
    struct ends_job *d = container_of(a, struct ends_job, answer);
    const struct msg_describe_ends_response m = {.partitions = d->ends, .n_partitions = d->n};

    for (size_t i = 0; i < d->n; i++) {
        look_up(&a->b->partitions, &d->ends[i]);
    }
    wire_encode_describe_ends_response(&m, body);
}

/* --- Thread: control -------------------------------------------------------------------------- */

static void end(struct answer_on_pool *a)
{
    struct ends_job *d = container_of(a, struct ends_job, answer);

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
    d->answer.make = make;
    d->answer.end = end;
    d->n = m.n_partitions;
    d->ends = mem_new_n(struct msg_log_end, m.n_partitions + 1);
    for (size_t i = 0; i < m.n_partitions; i++) {
        d->ends[i] = (struct msg_log_end){.topic_id = m.partitions[i].topic_id,
                .partition = m.partitions[i].partition,
                .last_epoch = EPOCH_NONE,
                .end = OFFSET_NONE};
    }
    arena_deinit(&arena);
    answer_on_pool(&d->answer, b, c, r);
}
