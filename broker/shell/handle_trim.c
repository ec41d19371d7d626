/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/trim.h"

#include "broker/shell/broker.h"
#include "broker/shell/errcode_map.h"
#include "broker/shell/keeper.h"
#include "common/base/mem.h"
#include "common/base/must.h"

/* DeleteRecords, for a client or a controller. The log starts move at once; the answer waits for the checkpoint that has
 * them. */

struct trim {
    struct io_job job;
    struct broker *b;
    struct rpc_request *request; /* its body is what `m` is of */
    struct arena arena;
    struct msg_delete_records_request m;
    struct msg_delete_records_result *results;
    struct partition **partitions; /* references; NULL where the result is an error already */
    void (*answer)(void *ctx, struct rpc_out *out);
    void *ctx;
};

static void refuse(struct msg_delete_records_result *ret, int error, const char *detail)
{
    ret->error = error;
    ret->detail = detail[0] != '\0' ? detail : errcode_text(error);
    ret->log_start = ret->old_log_start = OFFSET_NONE;
}

static void move_one(struct trim *t, size_t i)
{
    const struct msg_delete_records_partition *dp = &t->m.partitions[i];
    struct msg_delete_records_result *ret = &t->results[i];
    struct partition *p = partitions_get(&t->b->partitions, &dp->topic_id, dp->partition);
    struct partition_trimmed trimmed;

    *ret = (struct msg_delete_records_result){.topic_id = dp->topic_id,
            .partition = dp->partition,
            .detail = "",
            .log_start = OFFSET_NONE,
            .old_log_start = OFFSET_NONE};
    if (p == NULL) {
        int error = partitions_refusal(&t->b->partitions, &dp->topic_id);

        refuse(ret, error, partitions_refusal_text(error));
        return;
    }
    partition_trim(p, dp->before, t->m.dry_run, &trimmed);
    if (trimmed.error != ERRCODE_NONE) {
        refuse(ret, trimmed.error, trimmed.detail);
        partition_unref(p);
        return;
    }
    ret->log_start = trimmed.start;
    ret->old_log_start = trimmed.old_start;
    t->partitions[i] = p;
}

static void trim_free(struct trim *t)
{
    for (size_t i = 0; i < t->m.n_partitions; i++) {
        partition_unref(t->partitions[i]);
    }
    (void)mem_free(t->partitions);
    (void)mem_free(t->results);
    arena_deinit(&t->arena);
    (void)rpc_request_free(t->request);
    (void)mem_free(t);
}

/* [LOG-31] The round is over: which of the log starts are on the disk? */
static void run_answer(struct io_job *job)
{
    struct trim *t = container_of(job, struct trim, job);
    struct msg_delete_records_response out = {
            .partitions = t->results, .n_partitions = t->m.n_partitions};
    struct rpc_out *o = rpc_out_new();

    for (size_t i = 0; i < t->m.n_partitions; i++) {
        if (t->partitions[i] != NULL && !t->m.dry_run &&
                !partition_is_start_saved(t->partitions[i], t->results[i].log_start)) {
            refuse(&t->results[i], ERRCODE_KAFKA_STORAGE_ERROR,
                    "the log start moved, but the checkpoint with it could not be written; try "
                    "again");
        }
    }
    wire_encode_delete_records_response(&out, rpc_out_buf(o));
    t->answer(t->ctx, o);
    trim_free(t);
}

int trim_begin(struct broker *b,
        struct rpc_request *r,
        void (*answer)(void *ctx, struct rpc_out *out),
        void *ctx)
{
    struct trim *t = mem_new(struct trim);

    t->b = b;
    t->answer = answer;
    t->ctx = ctx;
    t->job.run = run_answer;
    arena_init(&t->arena, wire_arena_ceiling(r->body.size));
    int e = wire_decode_delete_records_request(r->body, &t->arena, &t->m);
    if (e != 0) {
        trim_free(t);
        return e;
    }
    t->request = r;
    t->results = mem_new_n(struct msg_delete_records_result, t->m.n_partitions + 1);
    t->partitions = mem_new_n(struct partition *, t->m.n_partitions + 1);
    for (size_t i = 0; i < t->m.n_partitions; i++) {
        move_one(t, i);
    }
    keeper_after_checkpoint(b->keeper, &t->job);
    return 0;
}

/* --- For a controller ------------------------------------------------------------------------- */

/* The control loop takes no partition's lock: the pool begins it. */
struct ordered {
    struct io_job job;
    struct broker *b;
    struct rpc_request *request;
    void (*answer)(void *ctx, struct rpc_out *out);
    void (*on_refusal)(void *ctx, int error, const char *detail);
    void *ctx;
};

static void run_ordered(struct io_job *job)
{
    struct ordered *o = container_of(job, struct ordered, job);
    int e = trim_begin(o->b, o->request, o->answer, o->ctx);

    if (e != 0) {
        struct refusal no = errcode_of_wire(e);

        (void)rpc_request_free(o->request);
        o->on_refusal(o->ctx, no.error, no.detail);
    }
    (void)mem_free(o);
}

void trim_order(struct broker *b,
        struct rpc_request *r,
        void (*answer)(void *ctx, struct rpc_out *out),
        void (*on_refusal)(void *ctx, int error, const char *detail),
        void *ctx)
{
    struct ordered *o = mem_new(struct ordered);

    *o = (struct ordered){
            .b = b, .request = r, .answer = answer, .on_refusal = on_refusal, .ctx = ctx};
    o->job.run = run_ordered;
    io_pool_submit(b->pool, &o->job);
}

/* --- For a client ----------------------------------------------------------------------------- */

static void answer_late(void *ctx, struct rpc_out *out)
{
    struct late_answer *a = ctx;

    a->out = out;
    late_answer_post(a);
}

void handle_delete_records(struct client_conn *conn, struct rpc_request *r)
{
    struct late_answer *a = mem_new(struct late_answer);

    a->dl = conn->dl;
    a->conn_id = conn->id;
    a->header = r->header;
    a->header.detail = "";
    int e = trim_begin(conn->dl->broker, r, answer_late, a);
    if (e != 0) {
        struct refusal no = errcode_of_wire(e);

        answer_error(conn, r, no.error, no.detail);
        (void)mem_free(a);
    }
}
