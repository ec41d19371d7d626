/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/broker.h"
#include "broker/shell/errcode_map.h"
#include "broker/shell/produce_line.h"
#include "common/base/mem.h"
#include "common/base/must.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PRODUCE_TIMEOUT_MS = 30000
};

static void answer(struct parked *k)
{
    struct msg_produce_response m = {.partitions = k->results, .n_partitions = k->pending.n_parts};
    struct rpc_out *out = rpc_out_new();

    for (size_t i = 0; i < m.n_partitions; i++) {
        struct msg_produce_result *result = &k->results[i];

        if (k->parts[i].error != ERRCODE_NONE) {
            result->error = k->parts[i].error;
            result->base_offset = OFFSET_NONE;
            result->log_append_time = -1;
            if (result->detail[0] == '\0') {
                result->detail = errcode_text(result->error);
            }
            metric_add(METRIC_BROKER_PRODUCE_ERRORS, 1);
        } else {
            result->base_offset = k->parts[i].base;
        }
    }
    wire_encode_produce_response(&m, rpc_out_buf(out));
    metric_add(METRIC_BROKER_PRODUCE_REQUESTS, 1);
    metric_observe_us(METRIC_BROKER_PRODUCE_US, loop_now(k->conn->dl->loop) - k->received);
    rpc_answer(k->conn->c, &k->header, ERRCODE_NONE, "", out);
    parked_free(k);
}

static void act(struct parked *k, enum pending_fx fx)
{
    switch (fx) {
    case PENDING_FX_NOTHING: break;
    case PENDING_FX_PARK: parked_wait(k); break;
    case PENDING_FX_ANSWER: answer(k); break;
    }
}

/* [BRK-41] Asked before the partition's mutex, which somebody may hold who waits for that disk. */
static bool is_stalled(struct parked *k, const struct log_dir *dir, struct partition_produced *ret)
{
    enum {
        TEXT_SIZE = 512
    };

    uint32_t ms = log_dir_stalled_ms(dir);
    char *text = ms > 0 ? arena_alloc(&k->arena, TEXT_SIZE) : NULL;

    if (text != NULL) {
        (void)snprintf(text, TEXT_SIZE,
                "the disk of log directory %s has not answered for %u ms; nothing was written",
                log_dir_path(dir), (unsigned)ms);
    }
    if (ms > 0) {
        ret->error = ERRCODE_KAFKA_STORAGE_ERROR;
        ret->detail = text != NULL ? text : "the broker's disk does not answer";
    }
    return ms > 0;
}

/* [LOG-120] What a full disk is told by. Nothing was written, so it may be sent again. */
static bool has_no_room(
        struct parked *k, struct log_dir *dir, size_t size, struct partition_produced *ret)
{
    enum {
        TEXT_SIZE = 512
    };

    if (log_dir_take_room(dir, size)) {
        return false;
    }
    char *text = arena_alloc(&k->arena, TEXT_SIZE);
    if (text != NULL) {
        (void)snprintf(text, TEXT_SIZE,
                "log directory %s is full: less than weir.disk.reserve.bytes are free; nothing was written. Free space "
                "there, or lower retention or the reserve",
                log_dir_path(dir));
    }
    ret->error = ERRCODE_KAFKA_STORAGE_ERROR;
    ret->detail = text != NULL ? text : "the broker's disk is full";
    return true;
}

/* One partition of the request. */
static void produce_one(struct client_conn *conn,
        struct parked *k,
        size_t i,
        const struct produce_part *part,
        int32_t acks,
        struct partition_produced *ret)
{
    struct replica_ask ask = {.loop = conn->dl->index, .request = k->request, .part = (uint32_t)i};
    const struct append_check *c = &part->check;

    *ret = (struct partition_produced){.is_done = true,
            .detail = "",
            .base = OFFSET_NONE,
            .append_time = -1,
            .log_start = OFFSET_NONE};
    if (part->partition != NULL && is_stalled(k, part->partition->dir, ret)) {
        return;
    }
    if (c->error != ERRCODE_NONE) {
        ret->error = c->error;
        ret->detail = c->detail;
        if (part->partition != NULL) {
            partition_may_produce(part->partition, &ask, acks, ret);
        }
        return;
    }
    if (has_no_room(k, part->partition->dir, c->batch.size, ret)) {
        return;
    }
    /* The frame is ours, and stamping it in place is what saves a copy. */
    partition_produce(part->partition, &ask, acks, (uint8_t *)(uintptr_t)c->batch.bytes, &c->batch,
            ret);
    if (ret->error == ERRCODE_NONE && !ret->is_repeat) {
        metric_add(METRIC_BROKER_BYTES_IN, c->batch.size);
        metric_add(METRIC_BROKER_RECORDS_IN, (uint64_t)c->batch.n_records);
    }
}

/* acks 0: nobody waits for an answer, so a refusal can only be told by closing, as Kafka does. */
static void end_without_answer(struct client_conn *conn, struct parked *k)
{
    int error = ERRCODE_NONE;

    for (size_t i = 0; i < k->pending.n_parts && error == ERRCODE_NONE; i++) {
        error = k->parts[i].error;
    }
    metric_add(METRIC_BROKER_PRODUCE_REQUESTS, 1);
    if (error == ERRCODE_NONE) {
        rpc_no_answer(conn->c, &k->header);
        parked_free(k);
        return;
    }
    log_debug("client", "acks_zero_refused", KV_STR("peer", rpc_conn_peer(conn->c)),
            KV_STR("reason", errcode_name(error)));
    metric_add(METRIC_BROKER_PRODUCE_ERRORS, 1);
    rpc_no_answer(conn->c, &k->header);
    parked_free(k);
    rpc_conn_close_after_flush(conn->c);
}

static int compare_targets(
        const struct msg_produce_partition *a, const struct msg_produce_partition *b)
{
    int by_topic = memcmp(&a->topic_id, &b->topic_id, sizeof(a->topic_id));

    return by_topic != 0 ? by_topic : (a->partition > b->partition) - (a->partition < b->partition);
}

static int compare_pointers(const void *a, const void *b)
{
    const struct msg_produce_partition *const *x = a;
    const struct msg_produce_partition *const *y = b;

    return compare_targets(*x, *y);
}

/* [BRK-33] Two batches for one partition: which comes first, and what of it counts when one is refused? So neither.
 * > 0: WIRE_E_MEMORY. */
MUST_CHECK static int find_twice(
        const struct msg_produce_request *m, struct arena *arena, bool *ret_is_twice)
{
    const struct msg_produce_partition **sorted;
    size_t i = 1;

    *ret_is_twice = false;
    while (i < m->n_partitions && compare_targets(&m->partitions[i - 1], &m->partitions[i]) < 0) {
        i++;
    }
    if (i >= m->n_partitions) {
        return 0; /* in order already, as a client of ours sends them */
    }
    sorted = arena_alloc(arena, m->n_partitions * sizeof(const struct msg_produce_partition *));
    if (sorted == NULL) {
        return WIRE_E_MEMORY;
    }
    for (i = 0; i < m->n_partitions; i++) {
        sorted[i] = &m->partitions[i];
    }
    qsort(sorted, m->n_partitions, sizeof(const struct msg_produce_partition *), compare_pointers);
    for (i = 1; i < m->n_partitions && !*ret_is_twice; i++) {
        *ret_is_twice = compare_targets(sorted[i - 1], sorted[i]) == 0;
    }
    return 0;
}

static void run(struct client_conn *conn, struct produce_work *w)
{
    const struct rpc_request *r = w->request;
    const struct msg_produce_request *m = &w->m;
    uint32_t timeout = r->header.timeout_ms > 0 ? r->header.timeout_ms : PRODUCE_TIMEOUT_MS;
    struct parked *k = parked_new(conn, r, &w->arena, m->n_partitions);
    enum pending_fx fx;

    pending_init_produce(&k->pending, k->parts, m->n_partitions,
            wtime_add(r->received, WTIME_MS((wtime)timeout)));
    k->results = arena_alloc(&k->arena, (m->n_partitions + 1) * sizeof(*k->results));
    if (k->results == NULL) {
        rpc_answer(conn->c, &k->header, errcode_of_wire(WIRE_E_MEMORY).error,
                errcode_of_wire(WIRE_E_MEMORY).detail, NULL);
        parked_free(k);
        return;
    }
    for (size_t i = 0; i < m->n_partitions; i++) {
        struct partition_produced done;

        k->partitions[i] = w->parts[i].partition;
        produce_one(conn, k, i, &w->parts[i], m->acks, &done);
        w->parts[i].partition = NULL; /* the reference is the parked one's */
        k->results[i] = (struct msg_produce_result){.topic_id = m->partitions[i].topic_id,
                .partition = m->partitions[i].partition,
                .detail = done.detail,
                .base_offset = done.base,
                .log_append_time = done.append_time,
                .log_start = done.log_start,
                .durability = done.is_on_disk ? DURABILITY_FSYNC : DURABILITY_REPLICATED};
        if (done.is_done) {
            pending_step(&k->pending,
                    &(struct pending_event){.kind = PENDING_EV_PART,
                            .part = i,
                            .error = done.error,
                            .base = done.base},
                    &fx);
        }
    }
    if (m->acks == 0) {
        end_without_answer(conn, k);
        return;
    }
    pending_step(&k->pending,
            &(struct pending_event){.kind = PENDING_EV_READY, .now = loop_now(conn->dl->loop)},
            &fx);
    act(k, fx);
}

static void work_deinit(struct produce_work *w)
{
    for (size_t i = 0; w->parts != NULL && i < w->m.n_partitions; i++) {
        partition_unref(w->parts[i].partition);
        append_check_deinit(&w->parts[i].check);
    }
    w->parts = mem_free(w->parts);
    w->request = rpc_request_free(w->request); /* what waits keeps ids and offsets, not the payload */
    arena_deinit(&w->arena);
}

void produce_perform(struct client_conn *conn, struct produce_work *w)
{
    run(conn, w);
    work_deinit(w);
}

void produce_perform_alone(struct data_loop *dl, struct produce_work *w)
{
    for (size_t i = 0; i < w->m.n_partitions && w->m.acks == 0 && !dl->broker->is_over; i++) {
        struct replica_ask ask = {.loop = dl->index, .part = (uint32_t)i};
        struct append_check *c = &w->parts[i].check;
        struct partition *p = w->parts[i].partition;
        struct partition_produced done;

        if (p != NULL && c->error == ERRCODE_NONE && log_dir_stalled_ms(p->dir) == 0 &&
                log_dir_take_room(p->dir, c->batch.size)) {
            partition_produce(
                    p, &ask, 0, (uint8_t *)(uintptr_t)c->batch.bytes, &c->batch, &done);
        }
    }
    work_deinit(w);
}

/* Looks at what costs little; true when the rest is for the pool. */
static bool look(struct client_conn *conn, struct produce_work *w)
{
    struct partitions *all = &conn->dl->broker->partitions;
    wall_ms now = clock_wall();
    bool is_long = false;

    w->parts = mem_new_n(struct produce_part, w->m.n_partitions + 1);
    for (size_t i = 0; i < w->m.n_partitions; i++) {
        const struct msg_produce_partition *pp = &w->m.partitions[i];
        struct append_check *c = &w->parts[i].check;
        struct append_rules rules;

        w->parts[i].partition = partitions_get(all, &pp->topic_id, pp->partition);
        if (w->parts[i].partition == NULL) {
            c->error = partitions_refusal(all, &pp->topic_id);
            c->detail = partitions_refusal_text(c->error);
            continue;
        }
        rules = partition_append_rules(w->parts[i].partition);
        append_check_begin(c, &rules, now, pp->records, &w->arena);
        if (append_check_is_long(c)) {
            is_long = true;
        } else {
            append_check_end(c, &w->arena);
        }
    }
    return is_long;
}

void handle_produce(struct client_conn *conn, struct rpc_request *r)
{
    struct produce_work w = {.request = r};
    bool is_twice = false;
    int e;

    arena_init(&w.arena, wire_arena_ceiling(r->body.size));
    e = wire_decode_produce_request(r->body, &w.arena, &w.m);
    if (e == 0) {
        e = find_twice(&w.m, &w.arena, &is_twice);
    }
    if (e != 0) {
        struct refusal no = errcode_of_wire(e);

        answer_error(conn, r, no.error, no.detail);
    } else if (w.m.acks < -1 || w.m.acks > 1) {
        answer_error(conn, r, ERRCODE_INVALID_REQUIRED_ACKS, "acks must be 0, 1 or -1 (all)");
    } else if (is_twice) {
        answer_error(conn, r, ERRCODE_INVALID_REQUEST,
                "a partition is named twice in one request; nothing of it was written");
    } else {
        bool is_long = look(conn, &w);

        if (is_long || conn->line != NULL) { /* [LOG-108] */
            produce_line_add(conn, &w, is_long);
        } else {
            produce_perform(conn, &w);
        }
        return;
    }
    arena_deinit(&w.arena);
}

void produce_on_wake(struct parked *k, const struct partition_wake *w)
{
    enum pending_fx fx;

    must(w->is_reply);
    if (w->error != ERRCODE_NONE) {
        k->results[w->ask.part].detail = w->detail;
    }
    k->results[w->ask.part].durability = w->is_on_disk ? DURABILITY_FSYNC : DURABILITY_REPLICATED;
    pending_step(&k->pending,
            &(struct pending_event){.kind = PENDING_EV_PART,
                    .now = loop_now(k->conn->dl->loop),
                    .part = w->ask.part,
                    .error = w->error,
                    .base = w->base},
            &fx);
    act(k, fx);
}

void produce_on_deadline(struct parked *k)
{
    enum pending_fx fx;

    pending_step(&k->pending,
            &(struct pending_event){.kind = PENDING_EV_TICK, .now = loop_now(k->conn->dl->loop)},
            &fx);
    act(k, fx);
}
