/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/broker.h"
#include "broker/shell/errcode_map.h"
#include "broker/shell/fetch_read.h"
#include "common/base/mem.h"
#include "common/base/must.h"
#include "common/obs/metrics.h"

/* A fetch looks at every partition once (fetch_read.h). When that satisfies it, what was read is the answer; otherwise it is
 * given back, an interest is left at each partition, and the answer is read anew when it is released. A fetch that has
 * nothing but cold partitions waits for their cold reads. */

enum {
    COLD_WAIT_MS = 5000, /* [LOG-84] for cold reads, when max_wait_ms is less */
};

static struct fetch_source source_of(struct parked *k)
{
    return (struct fetch_source){.dl = k->conn->dl,
            .request = k->request,
            .replica = BROKER_NONE,
            .broker_epoch = BROKER_EPOCH_NONE,
            .max_bytes = k->fetch.max_bytes,
            .n = k->fetch.n_partitions,
            .asked = k->fetch.partitions,
            .partitions = k->partitions,
            .cold = k->cold};
}

/* Takes the look. */
static void answer(struct parked *k, struct fetch_look *l)
{
    const struct fetch_source s = source_of(k);
    struct rpc_out *out = rpc_out_new();
    uint64_t bytes = 0;

    for (size_t i = 0; i < s.n; i++) {
        bytes += fetch_give(&s, i, l, out);
    }
    fetch_look_deinit(l);
    metric_add(METRIC_BROKER_FETCH_REQUESTS, 1);
    metric_add(METRIC_BROKER_BYTES_OUT, bytes);
    rpc_answer(k->conn->c, &k->header, ERRCODE_NONE, "", out);
    parked_free(k);
}

static enum pending_fx tell(
        struct parked *k, size_t part, const struct partition_fetched *f, size_t readable)
{
    enum pending_fx fx;

    pending_step(&k->pending,
            &(struct pending_event){.kind = PENDING_EV_PART,
                    .now = loop_now(k->conn->dl->loop),
                    .part = part,
                    .error = f->error,
                    .bytes = readable,
                    .is_diverging = f->diverging_epoch != EPOCH_NONE,
                    .is_older_segment = f->slice.older_segment || f->slice.is_cut},
            &fx);
    return fx;
}

static void wait_at(struct parked *k, size_t i, const struct partition_fetched *f)
{
    struct replica_ask ask = {
            .loop = k->conn->dl->index, .request = k->request, .part = (uint32_t)i};

    partition_wait(k->partitions[i], &ask, f->leader_epoch, f->limit, false);
}

static void answer_anew(struct parked *k)
{
    const struct fetch_source s = source_of(k);
    struct fetch_look l;

    fetch_look_all(&s, &l);
    answer(k, &l);
}

static void run(struct parked *k)
{
    const struct fetch_source s = source_of(k);
    struct fetch_look l;
    enum pending_fx fx;

    fetch_look_all(&s, &l);
    if (l.has_cold && !l.has_data) { /* [LOG-84] */
        k->pending.deadline = wtime_max(k->pending.deadline,
                wtime_add(loop_now(k->conn->dl->loop), WTIME_MS(COLD_WAIT_MS)));
        k->pending.min_bytes = k->pending.min_bytes > 0 ? k->pending.min_bytes : 1;
    }
    for (size_t i = 0; i < k->fetch.n_partitions; i++) {
        (void)tell(k, i, &l.items[i].f, l.items[i].readable);
    }
    pending_step(&k->pending,
            &(struct pending_event){.kind = PENDING_EV_READY, .now = loop_now(k->conn->dl->loop)},
            &fx);
    if (fx == PENDING_FX_ANSWER) {
        answer(k, &l);
        return;
    }
    must(fx == PENDING_FX_PARK);
    parked_wait(k);
    for (size_t i = 0; i < k->fetch.n_partitions; i++) {
        wait_at(k, i, &l.items[i].f);
    }
    fetch_look_deinit(&l);
}

static wtime asked_deadline(const struct parked *k)
{
    return wtime_add(k->received, WTIME_MS((wtime)k->fetch.max_wait_ms));
}

static size_t min_bytes_of(const struct msg_fetch_request *m)
{
    size_t most = fetch_bytes_max(m->max_bytes);

    return m->min_bytes < most ? m->min_bytes : most;
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
    if (m.replica != BROKER_NONE || m.session_epoch != 0) {
        answer_error(conn, r, ERRCODE_INVALID_REQUEST,
                "this connection is a client's: a replica says so in its Hello");
        arena_deinit(&arena);
        return;
    }
    k = parked_new(conn, r, &arena, m.n_partitions);
    k->fetch = m;
    k->cold = mem_new_n(uint8_t, m.n_partitions + 1);
    pending_init_fetch(
            &k->pending, k->parts, m.n_partitions, min_bytes_of(&m), asked_deadline(k));
    (void)rpc_request_free(r);
    run(k);
}

void fetch_on_wake(struct parked *k, const struct partition_wake *w)
{
    uint32_t part = w->ask.part;
    const struct fetch_source s = source_of(k);
    struct partition_fetched got;
    enum pending_fx fx;
    size_t bytes;

    if (k->pending.state != PENDING_WAITING) {
        return;
    }
    if (w->is_warm) {
        k->cold[part] = w->error == ERRCODE_NONE ? FETCH_COLD_READ : FETCH_COLD_REFUSED;
    }
    fetch_look_again(&s, part, &got, &bytes);
    fx = tell(k, part, &got, bytes);
    if (fx == PENDING_FX_ANSWER) {
        if (bytes > 0) { /* It was in memory right now: were it not any more, the answer is not to be empty. */
            k->cold[part] = FETCH_COLD_READ;
        }
        answer_anew(k);
        return;
    }
    if (!w->is_warm) { /* else the interest still stands */
        wait_at(k, part, &got);
    }
    if (bytes > 0 && k->pending.deadline > asked_deadline(k)) { /* Not a matter of cold reads any more. */
        k->pending.deadline = asked_deadline(k);
        timer_set(&k->timer, k->pending.deadline);
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
