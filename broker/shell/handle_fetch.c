/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/broker.h"
#include "broker/shell/cold_reads.h"
#include "broker/shell/errcode_map.h"
#include "common/base/mem.h"
#include "common/base/must.h"
#include "common/obs/metrics.h"

/* A fetch looks at every partition once. When that satisfies it, what was read is the answer; otherwise it is given
 * back, an interest is left at each partition, and the answer is read anew when it is released.
 *
 * Data goes out in one of two ways. A short range is copied into the answer: that costs less than a sendfile, and no
 * descriptor is bound to it. A long one is sent from its file, which then stays open until the client has taken it, so
 * those are counted, here and over the process (cached_file_keep). Past a limit a partition gives nothing in this answer;
 * the next one has it. An answer never stays without data for that reason: what comes first is copied then.
 *
 * A range that is not known to be right, or not in memory, is cold: it gives nothing now, and a cold read is asked for. The
 * fetch waits for that when it has nothing else, and the next one finds it otherwise. */

enum {
    FETCH_BYTES_MAX = 55 * 1024 * 1024,
    COPY_MAX = 16 * 1024,         /* a short range */
    COPIED_MAX = 4 * 1024 * 1024, /* copied ranges of an answer */
    KEPT_MAX = 64,                /* files of an answer */
    LONE_COPY_MAX = 1024 * 1024,  /* copied although long, or one batch */
    COLD_WAIT_MS = 5000,          /* [LOG-84] for cold reads, when max_wait_ms is less */
};

/* Of a parked request's partition. */
enum fetch_cold {
    FETCH_COLD_NONE = 0,
    FETCH_COLD_ASKED,
    FETCH_COLD_READ,   /* it was made: what is not in memory is waited for */
    FETCH_COLD_REFUSED /* it could not be made */
};

/* What one partition gives. Exactly one of: nothing, a copied range, a kept file. */
struct given {
    struct partition_fetched f; /* .slice: the kept file, or empty */
    size_t readable;            /* bytes that are there, whether they are given now or not */
    size_t copied_at, copied;   /* in `bytes` of the look */
};

struct look {
    struct given *items; /* one per partition asked for */
    struct buf bytes;    /* copied ranges */
    size_t n_kept;
    bool has_data, has_cold;
};

static void look_deinit(struct look *l, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (l->items[i].f.slice.file != NULL) {
            cached_file_drop(l->items[i].f.slice.file);
        }
    }
    buf_deinit(&l->bytes);
    (void)mem_free(l->items);
}

static void release(struct plog_slice *s)
{
    if (s->file != NULL) {
        cached_file_release(s->file);
    }
    *s = (struct plog_slice){.older_segment = s->older_segment, .is_cut = s->is_cut};
}

static size_t at_most(size_t a, size_t b)
{
    return a < b ? a : b;
}

static void look_at(struct parked *k,
        size_t i,
        size_t max_bytes,
        bool first_whole,
        struct partition_fetched *ret)
{
    const struct msg_fetch_partition *fp = &k->fetch.partitions[i];
    struct partitions *table = &k->conn->dl->broker->partitions;
    struct partition_fetch_ask ask = {.replica = k->fetch.replica,
            .leader_epoch = fp->leader_epoch,
            .last_epoch = fp->last_fetched_epoch,
            .offset = fp->fetch_offset,
            .max_bytes = at_most(fp->max_bytes, max_bytes),
            .first_whole = first_whole,
            .may_wait = k->cold[i] == FETCH_COLD_READ};

    if (k->partitions[i] == NULL) {
        k->partitions[i] = partitions_get(table, &fp->topic_id, fp->partition);
    }
    if (k->partitions[i] == NULL) {
        int error = partitions_refusal(table, &fp->topic_id);

        *ret = (struct partition_fetched){.error = error,
                .detail = partitions_refusal_text(error),
                .limit = OFFSET_NONE,
                .log_start = OFFSET_NONE,
                .leader_epoch = EPOCH_NONE,
                .diverging_epoch = EPOCH_NONE,
                .diverging_end = OFFSET_NONE};
        return;
    }
    partition_fetch(k->partitions[i], &ask, ret);
}

/* [LOG-84] The partition gives nothing before its cold read is made. */
static void ask_cold(struct parked *k, size_t i, struct partition_fetched *f)
{
    const struct msg_fetch_partition *fp = &k->fetch.partitions[i];
    struct replica_ask ask = {
            .loop = k->conn->dl->index, .request = k->request, .part = (uint32_t)i};
    struct partition_cold cold = {.offset = fp->fetch_offset,
            .limit = f->limit,
            .size = (int64_t)at_most(at_most(fp->max_bytes, k->fetch.max_bytes), COLD_READ_SIZE)};

    release(&f->slice);
    f->slice = (struct plog_slice){0};
    f->is_cold = true;
    cold.size = cold.size > 0 ? cold.size : 1;
    if (k->cold[i] == FETCH_COLD_ASKED) {
        return;
    }
    if (k->cold[i] == FETCH_COLD_REFUSED ||
            !cold_reads_ask(k->conn->dl->broker->cold_reads, k->partitions[i], &cold, &ask)) {
        f->is_cold = false;
        f->is_busy = true;
        f->error = ERRCODE_REPLICA_NOT_AVAILABLE;
        f->detail = "the broker has too many reads from disk or open files; try again";
        return;
    }
    k->cold[i] = FETCH_COLD_ASKED;
}

/* Reads the held range into the look's memory and lets go of the file. */
static void copy(struct parked *k, size_t i, struct look *l)
{
    struct given *g = &l->items[i];
    struct plog_slice *s = &g->f.slice;
    size_t size = s->size;
    int r;

    g->copied_at = l->bytes.size;
    r = partition_read_slice(
            k->partitions[i], s, k->cold[i] == FETCH_COLD_READ, buf_grow(&l->bytes, size));
    release(s);
    if (r == 0) {
        g->copied = size;
        return;
    }
    l->bytes.size = g->copied_at;
    g->readable = 0;
    if (r == PLOG_E_COLD) {
        ask_cold(k, i, &g->f);
        return;
    }
    g->f.error = errcode_of_plog(r).error;
    g->f.detail = errcode_of_plog(r).detail;
}

/* [LOG-82] */
static bool may_send(const struct parked *k, size_t i, const struct plog_slice *s)
{
    return k->cold[i] == FETCH_COLD_READ || partition_is_hot(k->partitions[i], s);
}

/* Something is there: decides how it goes out, if it does now. */
static void take(struct parked *k, size_t i, size_t budget, struct look *l)
{
    struct given *g = &l->items[i];
    size_t size = g->f.slice.size;

    if (size <= COPY_MAX && l->bytes.size + size <= COPIED_MAX) {
        copy(k, i, l);
    } else if (!may_send(k, i, &g->f.slice)) {
        g->readable = 0;
        ask_cold(k, i, &g->f);
    } else if (l->n_kept < KEPT_MAX && cached_file_keep(g->f.slice.file)) {
        l->n_kept++;
    } else {
        release(&g->f.slice);
        if (!l->has_data) {
            look_at(k, i, at_most(budget, LONE_COPY_MAX), true, &g->f);
            if (g->f.slice.size > 0) {
                copy(k, i, l);
            }
        }
    }
}

/* Looks at all of them, in order, within the size rules. */
static void look_at_all(struct parked *k, struct look *l)
{
    size_t budget = at_most(k->fetch.max_bytes, FETCH_BYTES_MAX);
    size_t n = k->fetch.n_partitions;

    *l = (struct look){.items = mem_new_n(struct given, n + 1)};
    for (size_t i = 0; i < n; i++) {
        struct given *g = &l->items[i];

        /* [BRK-25] The first partition with data gives a whole batch, however large. */
        look_at(k, i, budget, !l->has_data, &g->f);
        g->readable = g->f.slice.size;
        if (g->f.slice.size > 0) {
            take(k, i, budget, l);
        } else if (g->f.is_cold) {
            ask_cold(k, i, &g->f);
        }
        l->has_cold = l->has_cold || g->f.is_cold;
        if (g->copied + g->f.slice.size > 0) {
            l->has_data = true;
            budget -= at_most(budget, g->copied + g->f.slice.size);
        }
    }
    for (size_t i = 0; i < n && l->has_data; i++) {
        if (l->items[i].f.is_busy) { /* The next answer has it. */
            l->items[i].f.error = ERRCODE_NONE;
            l->items[i].f.detail = "";
        }
    }
}

/* Takes the look. */
static void answer(struct parked *k, struct look *l)
{
    struct rpc_out *out = rpc_out_new();
    uint64_t bytes = 0;

    for (size_t i = 0; i < k->fetch.n_partitions; i++) {
        const struct msg_fetch_partition *fp = &k->fetch.partitions[i];
        struct given *g = &l->items[i];
        struct plog_slice slice = g->f.slice;
        struct msg_fetch_result m = {.topic_id = fp->topic_id,
                .partition = fp->partition,
                .error = g->f.error,
                .detail = g->f.error != ERRCODE_NONE && g->f.detail[0] == '\0'
                                  ? errcode_text(g->f.error)
                                  : g->f.detail,
                .high_watermark = g->f.limit,
                .last_stable = g->f.limit,
                .log_start = g->f.log_start,
                .leader_epoch = g->f.leader_epoch,
                .diverging_epoch = g->f.diverging_epoch,
                .diverging_end = g->f.diverging_end,
                .records = {.size = slice.size + g->copied}};

        wire_fetch_result_front(rpc_out_buf(out), &m);
        if (slice.file != NULL) { /* [LOG-87] */
            rpc_out_file(out, &(struct file_range){.fd = slice.fd,
                                      .at = slice.at,
                                      .size = slice.size,
                                      .release = cached_file_drop,
                                      .ctx = slice.file});
            g->f.slice = (struct plog_slice){0};
        } else if (g->copied > 0) {
            buf_append(rpc_out_buf(out), l->bytes.data + g->copied_at, g->copied);
        }
        bytes += m.records.size;
    }
    look_deinit(l, k->fetch.n_partitions);
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

    partition_wait(k->partitions[i], &ask, f->leader_epoch, f->limit);
}

static void answer_anew(struct parked *k)
{
    struct look l;

    look_at_all(k, &l);
    answer(k, &l);
}

static void run(struct parked *k)
{
    enum pending_fx fx;
    struct look l;

    look_at_all(k, &l);
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
    look_deinit(&l, k->fetch.n_partitions);
}

static wtime asked_deadline(const struct parked *k)
{
    return wtime_add(k->received, WTIME_MS((wtime)k->fetch.max_wait_ms));
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
    k->cold = mem_new_n(uint8_t, m.n_partitions + 1);
    pending_init_fetch(&k->pending, k->parts, m.n_partitions,
            at_most(m.min_bytes, at_most(m.max_bytes, FETCH_BYTES_MAX)),
            asked_deadline(k));
    (void)rpc_request_free(r);
    run(k);
}

/* Looks at a partition again, for what it could give. */
static void look_again(struct parked *k, uint32_t part, struct partition_fetched *ret)
{
    look_at(k, part, at_most(k->fetch.max_bytes, FETCH_BYTES_MAX), true, ret);
    if (ret->is_cold || (ret->slice.size > 0 && !may_send(k, part, &ret->slice))) {
        ask_cold(k, part, ret);
    }
}

void fetch_on_wake(struct parked *k, const struct partition_wake *w)
{
    uint32_t part = w->ask.part;
    struct partition_fetched got;
    enum pending_fx fx;
    bool has_data;

    if (k->pending.state != PENDING_WAITING) {
        return;
    }
    if (w->is_warm) {
        k->cold[part] = w->error == ERRCODE_NONE ? FETCH_COLD_READ : FETCH_COLD_REFUSED;
    }
    look_again(k, part, &got);
    has_data = got.slice.size > 0;
    fx = tell(k, part, &got, got.slice.size);
    release(&got.slice);
    if (fx == PENDING_FX_ANSWER) {
        if (has_data) { /* It was in memory right now: were it not any more, the answer is not to be empty. */
            k->cold[part] = FETCH_COLD_READ;
        }
        answer_anew(k);
        return;
    }
    if (!w->is_warm) { /* else the interest still stands */
        wait_at(k, part, &got);
    }
    if (has_data && k->pending.deadline > asked_deadline(k)) { /* Not a matter of cold reads any more. */
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
