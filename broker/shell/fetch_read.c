/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/fetch_read.h"

#include "broker/core/throttle.h"
#include "broker/shell/broker.h"
#include "broker/shell/cold_reads.h"
#include "broker/shell/errcode_map.h"
#include "broker/shell/throttles.h"
#include "common/base/mem.h"

enum {
    FETCH_BYTES_MAX = 55 * 1024 * 1024,
    COPY_MAX = 16 * 1024,         /* a short range */
    COPIED_MAX = 4 * 1024 * 1024, /* copied ranges of an answer */
    KEPT_MAX = 64,                /* files of an answer */
    LONE_COPY_MAX = 1024 * 1024,  /* copied although long, or one batch */
};

size_t fetch_bytes_max(size_t asked)
{
    return asked < FETCH_BYTES_MAX ? asked : FETCH_BYTES_MAX;
}

void fetch_look_deinit(struct fetch_look *l)
{
    for (size_t i = 0; i < l->n; i++) {
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

static uint32_t slot_of(const struct fetch_source *s, size_t i)
{
    return s->slots != NULL ? s->slots[i] : (uint32_t)i;
}

static void look_at(const struct fetch_source *s,
        size_t i,
        size_t max_bytes,
        bool first_whole,
        int64_t fill_max,
        struct partition_fetched *ret)
{
    const struct msg_fetch_partition *fp = &s->asked[i];
    struct partitions *table = &s->dl->broker->partitions;
    struct partition_fetch_ask ask = {.replica = s->replica,
            .broker_epoch = s->broker_epoch,
            .leader_epoch = fp->leader_epoch,
            .last_epoch = fp->last_fetched_epoch,
            .offset = fp->fetch_offset,
            .flushed = fp->flushed,
            .session = s->session,
            .is_look = s->was_counted != NULL && s->was_counted[i],
            .max_bytes = at_most(fp->max_bytes, max_bytes),
            .first_whole = first_whole,
            .may_wait = s->cold[i] == FETCH_COLD_READ,
            .fill_max = fill_max};

    if (s->partitions[i] == NULL) {
        s->partitions[i] = partitions_get(table, &fp->topic_id, fp->partition);
    }
    if (s->partitions[i] == NULL) {
        int error = partitions_refusal(table, &fp->topic_id);

        *ret = partition_fetched_none(error, partitions_refusal_text(error));
        return;
    }
    partition_fetch(s->partitions[i], &ask, ret);
}

/* [LOG-84] The partition gives nothing before its cold read is made. */
static void ask_cold(const struct fetch_source *s, size_t i, struct partition_fetched *f)
{
    const struct msg_fetch_partition *fp = &s->asked[i];
    struct replica_ask ask = {.loop = s->dl->index, .request = s->request, .part = slot_of(s, i)};
    struct partition_cold cold = {.offset = fp->fetch_offset,
            .limit = f->limit,
            .size = (int64_t)at_most(at_most(fp->max_bytes, s->max_bytes), COLD_READ_SIZE)};

    release(&f->slice);
    f->slice = (struct plog_slice){0};
    f->is_cold = true;
    cold.size = cold.size > 0 ? cold.size : 1;
    if (s->cold[i] == FETCH_COLD_ASKED) {
        return;
    }
    if (s->cold[i] == FETCH_COLD_REFUSED ||
            !cold_reads_ask(s->dl->broker->cold_reads, s->partitions[i], &cold, &ask)) {
        f->is_cold = false;
        f->is_busy = true;
        f->error = ERRCODE_REPLICA_NOT_AVAILABLE;
        f->detail = "the broker has too many reads from disk or open files; try again";
        return;
    }
    s->cold[i] = FETCH_COLD_ASKED;
}

/* Reads the held range into the look's memory and lets go of the file. */
static void copy(const struct fetch_source *s, size_t i, struct fetch_look *l)
{
    struct fetch_given *g = &l->items[i];
    struct plog_slice *slice = &g->f.slice;
    size_t size = slice->size;
    int r;

    g->copied_at = l->bytes.size;
    r = partition_read_slice(
            s->partitions[i], slice, s->cold[i] == FETCH_COLD_READ, buf_grow(&l->bytes, size));
    release(slice);
    if (r == 0) {
        g->copied = size;
        return;
    }
    l->bytes.size = g->copied_at;
    g->readable = 0;
    if (r == PLOG_E_COLD) {
        ask_cold(s, i, &g->f);
        return;
    }
    g->f.error = errcode_of_plog(r).error;
    g->f.detail = errcode_of_plog(r).detail;
}

/* [LOG-82] */
static bool may_send(const struct fetch_source *s, size_t i, const struct plog_slice *slice)
{
    return s->cold[i] == FETCH_COLD_READ || partition_is_hot(s->partitions[i], slice);
}

/* Something is there: decides how it goes out, if it does now. */
static void take(const struct fetch_source *s, size_t i, size_t budget, struct fetch_look *l)
{
    struct fetch_given *g = &l->items[i];
    size_t size = g->f.slice.size;

    if (size <= COPY_MAX && l->bytes.size + size <= COPIED_MAX) {
        copy(s, i, l);
    } else if (!may_send(s, i, &g->f.slice)) {
        g->readable = 0;
        ask_cold(s, i, &g->f);
    } else if (l->n_kept < KEPT_MAX && cached_file_keep(g->f.slice.file)) {
        l->n_kept++;
    } else {
        release(&g->f.slice);
        if (!l->has_data) {
            look_at(s, i, at_most(budget, LONE_COPY_MAX), true, l->fill_left, &g->f);
            if (g->f.slice.size > 0) {
                copy(s, i, l);
            }
        }
    }
}

/* [THR-4] */
static int64_t fill_room(const struct fetch_source *s)
{
    return s->replica != BROKER_NONE ? throttles_room(s->dl->broker->throttles, THROTTLES_OUT,
                                               loop_now(s->dl->loop))
                                     : THROTTLE_ALL;
}

static void note_filled(struct fetch_look *l, const struct fetch_given *g)
{
    int64_t size = (int64_t)(g->copied + g->f.slice.size);

    if (g->f.is_filling) {
        l->filled += size;
        l->fill_left = l->fill_left == THROTTLE_ALL ? l->fill_left
                       : l->fill_left > size        ? l->fill_left - size
                                                    : 0;
    }
}

void fetch_look_all(const struct fetch_source *s, struct fetch_look *l)
{
    size_t budget = fetch_bytes_max(s->max_bytes);
    size_t n = s->n;

    *l = (struct fetch_look){.items = mem_new_n(struct fetch_given, n + 1),
            .n = n,
            .fill_left = fill_room(s)};
    for (size_t i = 0; i < n; i++) {
        struct fetch_given *g = &l->items[i];

        /* [BRK-25] */
        look_at(s, i, budget, !l->has_data, l->fill_left, &g->f);
        g->readable = g->f.slice.size;
        if (g->f.slice.size > 0) {
            take(s, i, budget, l);
        } else if (g->f.is_cold) {
            ask_cold(s, i, &g->f);
        }
        l->has_cold = l->has_cold || g->f.is_cold;
        if (g->copied + g->f.slice.size > 0) {
            l->has_data = true;
            budget -= at_most(budget, g->copied + g->f.slice.size);
            note_filled(l, g);
        }
    }
    for (size_t i = 0; i < n && l->has_data; i++) {
        if (l->items[i].f.is_busy) { /* The next answer has it. */
            l->items[i].f.error = ERRCODE_NONE;
            l->items[i].f.detail = "";
        }
    }
}

void fetch_look_again(
        const struct fetch_source *s, size_t i, struct partition_fetched *ret, size_t *ret_bytes)
{
    look_at(s, i, fetch_bytes_max(s->max_bytes), true, THROTTLE_ALL, ret);
    if (ret->is_cold || (ret->slice.size > 0 && !may_send(s, i, &ret->slice))) {
        ask_cold(s, i, ret);
    }
    *ret_bytes = ret->slice.size;
    release(&ret->slice);
}

size_t fetch_give(
        const struct fetch_source *s, size_t i, struct fetch_look *l, struct rpc_out *out)
{
    struct fetch_given *g = &l->items[i];
    struct plog_slice slice = g->f.slice;
    const struct msg_fetch_result m = {.topic_id = s->asked[i].topic_id,
            .partition = s->asked[i].partition,
            .error = g->f.error,
            .detail = g->f.error != ERRCODE_NONE && g->f.detail[0] == '\0' ? errcode_text(g->f.error)
                                                                           : g->f.detail,
            .high_watermark = g->f.high_watermark,
            .last_stable = g->f.high_watermark,
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
    return m.records.size;
}
