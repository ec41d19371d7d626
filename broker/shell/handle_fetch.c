/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/broker.h"
#include "broker/shell/errcode_map.h"
#include "common/base/mem.h"
#include "common/base/must.h"
#include "common/obs/metrics.h"

/* A fetch looks at every partition once. When that satisfies it, the slices that were read are the answer; otherwise
 * they are released, an interest is left at each partition, and the answer is read anew when it is released. */

enum {
    FETCH_BYTES_MAX = 55 * 1024 * 1024
};

static const char no_replica[] =
        "this broker has no replica of that partition; ask for Metadata again";

static void release(struct plog_slice *s)
{
    if (s->file != NULL) {
        cached_file_release(s->file);
        *s = (struct plog_slice){0};
    }
}

static size_t at_most(size_t a, size_t b)
{
    return a < b ? a : b;
}

static void look(
        struct parked *k, size_t i, size_t budget, bool first_whole, struct partition_fetched *ret)
{
    const struct msg_fetch_partition *fp = &k->fetch.partitions[i];
    struct partition_fetch_ask ask = {.replica = k->fetch.replica,
            .leader_epoch = fp->leader_epoch,
            .offset = fp->fetch_offset,
            .max_bytes = at_most(fp->max_bytes, budget),
            .first_whole = first_whole};

    if (k->partitions[i] == NULL) {
        k->partitions[i] =
                partitions_get(&k->conn->dl->broker->partitions, &fp->topic_id, fp->partition);
    }
    if (k->partitions[i] == NULL) {
        *ret = (struct partition_fetched){.error = ERRCODE_UNKNOWN_TOPIC_OR_PARTITION,
                .detail = no_replica,
                .limit = OFFSET_NONE,
                .log_start = OFFSET_NONE,
                .leader_epoch = EPOCH_NONE};
        return;
    }
    partition_fetch(k->partitions[i], &ask, ret);
}

/* Looks at all of them, in order, within the size rules. */
static void look_at_all(struct parked *k, struct partition_fetched *ret)
{
    size_t budget = at_most(k->fetch.max_bytes, FETCH_BYTES_MAX);
    bool is_first =
            true; /* [BRK-25] The first partition with data gives a whole batch, however large. */

    for (size_t i = 0; i < k->fetch.n_partitions; i++) {
        look(k, i, budget, is_first, &ret[i]);
        if (ret[i].slice.size > 0) {
            is_first = false;
            budget -= at_most(budget, ret[i].slice.size);
        }
    }
}

/* Takes the slices. */
static void answer(struct parked *k, struct partition_fetched *got)
{
    struct rpc_out *out = rpc_out_new();
    uint64_t bytes = 0;

    for (size_t i = 0; i < k->fetch.n_partitions; i++) {
        const struct msg_fetch_partition *fp = &k->fetch.partitions[i];
        struct partition_fetched *g = &got[i];
        struct msg_fetch_result m = {.topic_id = fp->topic_id,
                .partition = fp->partition,
                .error = g->error,
                .detail = g->error != ERRCODE_NONE && g->detail[0] == '\0' ? errcode_text(g->error)
                                                                           : g->detail,
                .high_watermark = g->limit,
                .last_stable = g->limit,
                .log_start = g->log_start,
                .leader_epoch = g->leader_epoch,
                .diverging_epoch = EPOCH_NONE,
                .diverging_end = OFFSET_NONE,
                .records = {.size = g->slice.size}};

        wire_fetch_result_front(rpc_out_buf(out), &m);
        if (g->slice.size > 0) {
            rpc_out_file(out, &(struct file_range){.fd = g->slice.fd,
                                      .at = g->slice.at,
                                      .size = g->slice.size,
                                      .release = cached_file_release,
                                      .ctx = g->slice.file});
            bytes += g->slice.size;
        } else {
            release(&g->slice);
        }
    }
    metric_add(METRIC_BROKER_FETCH_REQUESTS, 1);
    metric_add(METRIC_BROKER_BYTES_OUT, bytes);
    rpc_answer(k->conn->c, &k->header, ERRCODE_NONE, "", out);
    parked_free(k);
}

static enum pending_fx tell(struct parked *k, size_t part, const struct partition_fetched *g)
{
    enum pending_fx fx;

    pending_step(&k->pending,
            &(struct pending_event){.kind = PENDING_EV_PART,
                    .now = loop_now(k->conn->dl->loop),
                    .part = part,
                    .error = g->error,
                    .bytes = g->slice.size,
                    .is_older_segment = g->slice.older_segment},
            &fx);
    return fx;
}

static void wait_at(struct parked *k, size_t i, const struct partition_fetched *g)
{
    struct replica_ask ask = {
            .loop = k->conn->dl->index, .request = k->request, .part = (uint32_t)i};

    partition_wait(k->partitions[i], &ask, g->leader_epoch, g->limit);
}

static struct partition_fetched *scratch(const struct parked *k)
{
    return mem_new_n(struct partition_fetched, k->fetch.n_partitions + 1);
}

static void answer_anew(struct parked *k)
{
    struct partition_fetched *got = scratch(k);

    look_at_all(k, got);
    answer(k, got);
    (void)mem_free(got);
}

static void run(struct parked *k)
{
    struct partition_fetched *got = scratch(k);
    enum pending_fx fx;

    look_at_all(k, got);
    for (size_t i = 0; i < k->fetch.n_partitions; i++) {
        (void)tell(k, i, &got[i]);
    }
    pending_step(&k->pending,
            &(struct pending_event){.kind = PENDING_EV_READY, .now = loop_now(k->conn->dl->loop)},
            &fx);
    if (fx == PENDING_FX_ANSWER) {
        answer(k, got);
    } else {
        must(fx == PENDING_FX_PARK);
        parked_wait(k);
        for (size_t i = 0; i < k->fetch.n_partitions; i++) {
            release(&got[i].slice);
            wait_at(k, i, &got[i]);
        }
    }
    (void)mem_free(got);
}

void handle_fetch(struct client_conn *conn, struct rpc_request *r)
{
    struct msg_fetch_request m;
    struct arena arena;
    struct parked *k;
    int e;

    arena_init(&arena, wire_arena_ceiling(r->body.size));
    e = wire_decode_fetch_request(r->body, &arena, &m);
    if (e != 0) {
        struct refusal no = errcode_of_wire(e);

        answer_error(conn, r, no.error, no.detail);
        arena_deinit(&arena);
        return;
    }
    k = parked_new(conn, r, &arena, m.n_partitions);
    k->fetch = m;
    pending_init_fetch(&k->pending, k->parts, m.n_partitions,
            at_most(m.min_bytes, at_most(m.max_bytes, FETCH_BYTES_MAX)),
            wtime_add(r->received, WTIME_MS((wtime)m.max_wait_ms)));
    (void)rpc_request_free(r);
    run(k);
}

void fetch_on_wake(struct parked *k, uint32_t part)
{
    struct partition_fetched got;
    enum pending_fx fx;

    if (k->pending.state != PENDING_WAITING) {
        return;
    }
    look(k, part, at_most(k->fetch.max_bytes, FETCH_BYTES_MAX), true, &got);
    fx = tell(k, part, &got);
    release(&got.slice);
    if (fx == PENDING_FX_ANSWER) {
        answer_anew(k);
    } else {
        wait_at(k, part, &got);
    }
}

void fetch_on_deadline(struct parked *k)
{
    enum pending_fx fx;

    pending_step(&k->pending,
            &(struct pending_event){.kind = PENDING_EV_TICK, .now = loop_now(k->conn->dl->loop)},
            &fx);
    if (fx == PENDING_FX_ANSWER) {
        answer_anew(k);
    }
}
