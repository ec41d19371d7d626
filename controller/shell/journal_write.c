/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/shell/journal_internal.h"

#include "common/domain/errcode.h"
#include "common/domain/name_rules.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define JOURNAL_AGAIN WTIME_MS(500)

enum {
    JOURNAL_WRITE_ENTRIES = 256,
    JOURNAL_WRITE_BYTES = 256 * 1024,
    JOURNAL_END_BYTES = 1024 * 1024,
};

static void write_more(struct journal *j);

static void show_waiting(const struct journal *j)
{
    metric_set(METRIC_JOURNAL_WAITING,
            j->state != JOURNAL_OFF ? (int64_t)journal_window_n(&j->window) : 0);
}

/* --- Trouble ----------------------------------------------------------------------------------- */

/* [DEC-4] Whatever it is, it is tried again; said once. */
static void retry(struct journal *j, const char *why)
{
    if (strcmp(j->trouble, why) != 0) {
        snprintf(j->trouble, sizeof(j->trouble), "%s", why);
        log_warn("journal", "journal_waits", KV_STR("reason", j->trouble),
                KV_U64("waiting", journal_window_n(&j->window)));
    }
    j->state = JOURNAL_DIALLING;
    j->is_asking = false;
    journal_link_close(j->link);
    timer_set(&j->again, wtime_add(clock_now(), JOURNAL_AGAIN));
}

static void on_down(void *ctx, const char *why)
{
    retry(ctx, why);
}

static void on_again(void *ctx)
{
    struct journal *j = ctx;

    if (j->state == JOURNAL_DIALLING) {
        journal_link_dial(j->link, &j->cluster_id);
    }
}

/* An answer to what this connection asked; those of a former one only end. */
static bool is_ours(const struct journal *j, const struct rpc_reply *reply)
{
    return j->state != JOURNAL_OFF && reply->error != ERRCODE_NETWORK_EXCEPTION;
}

/* --- Where it ends ----------------------------------------------------------------------------- */

static void on_filled(struct journal *j)
{
    if (j->state != JOURNAL_FILLING) {
        return; /* The connection broke meanwhile; the next one comes here again. */
    }
    j->state = JOURNAL_WRITING;
    j->trouble[0] = '\0';
    log_info("journal", "journal_goes_on", KV_U64("after", j->window.written),
            KV_U64("waiting", journal_window_n(&j->window)));
    write_more(j);
}

static void met(struct journal *j, uint64_t index)
{
    journal_window_meet(&j->window, index);
    j->state = JOURNAL_FILLING;
    if (!j->is_filling) {
        journal_fill(j, on_filled);
    }
}

static void take_end(void *ctx, offset64 offset, const struct journal_record *r)
{
    struct journal *j = ctx;

    if (offset >= j->end_at) {
        j->end_index = r->to > j->end_index ? r->to : j->end_index;
    }
}

static void read_end(struct journal *j);

static void on_end_read(void *ctx, struct rpc_reply *reply)
{
    struct journal *j = ctx;
    struct msg_fetch_result m;
    struct arena a;
    const char *why;

    if (!is_ours(j, reply) || j->state != JOURNAL_ENDING) {
        return;
    }
    arena_init(&a, wire_arena_ceiling(reply->body.size));
    why = journal_reply_records(reply, &a, &m);
    if (why == NULL) {
        (void)journal_records_walk(m.records, take_end, j);
    }
    if (why != NULL) {
        retry(j, why);
    } else if (j->end_index > 0 || j->end_at <= m.log_start) {
        met(j, j->end_index);
    } else { /* What stands there is not the journal's: somebody else wrote to the topic. */
        j->end_at--;
        read_end(j);
    }
    arena_deinit(&a);
}

static void read_end(struct journal *j)
{
    journal_link_fetch(j->link, j->end_at, JOURNAL_END_BYTES, on_end_read, j);
}

static void on_end_listed(void *ctx, struct rpc_reply *reply)
{
    struct journal *j = ctx;
    struct arena a;
    offset64 end = 0;
    const char *why;

    if (!is_ours(j, reply) || j->state != JOURNAL_ENDING) {
        return;
    }
    arena_init(&a, wire_arena_ceiling(reply->body.size));
    why = journal_reply_offset(reply, &a, &end);
    if (why != NULL) {
        retry(j, why);
    } else if (end <= 0) {
        met(j, 0);
    } else {
        j->end_at = end - 1;
        j->end_index = 0;
        read_end(j);
    }
    arena_deinit(&a);
}

/* [DEC-6] After each new connection: what was sent on the former one may be there. */
static void on_up(void *ctx)
{
    struct journal *j = ctx;

    j->state = JOURNAL_ENDING;
    journal_link_list(j->link, LIST_LATEST, on_end_listed, j);
}

/* --- Writing ----------------------------------------------------------------------------------- */

static void on_produced(void *ctx, struct rpc_reply *reply)
{
    struct journal *j = ctx;
    struct arena a;
    const char *why;

    if (!is_ours(j, reply) || j->state != JOURNAL_WRITING) {
        return;
    }
    arena_init(&a, wire_arena_ceiling(reply->body.size));
    why = journal_reply_produced(reply, &a);
    j->is_asking = false;
    if (why != NULL) {
        retry(j, why);
    } else {
        journal_window_ack(&j->window, j->asked_to);
        metric_add(METRIC_JOURNAL_GAPS, j->asked_gap ? 1 : 0);
        if (j->older.n > 0 && j->older.items[0].index <= j->window.written) {
            journal_fill_stop(j); /* All of it is written. */
        }
        show_waiting(j);
        write_more(j);
    }
    arena_deinit(&a);
}

/* When the first decision in it was made. */
static wall_ms time_of(struct bytes batch)
{
    struct msg_batch b;
    struct msg_record_list list;
    struct arena a;
    wall_ms at = clock_wall();

    arena_init(&a, 2 * wire_arena_ceiling(batch.size));
    if (wire_decode_batch(batch, &a, &b) == 0 &&
            wire_decode_record_list(b.payload, &a, &list) == 0 && list.n_records > 0) {
        at = list.records[0].at;
    }
    arena_deinit(&a);
    return at;
}

static void add_gap(struct journal *j, const struct journal_work *work)
{
    char why[JOURNAL_WHY_MAX];

    if (work->is_overflow) {
        snprintf(why, sizeof(why),
                "not written in time: more than %d batches or %d MiB waited for the journal",
                JOURNAL_WAITING_MAX, JOURNAL_WAITING_BYTES >> 20);
    } else {
        snprintf(why, sizeof(why),
                "trimmed from the metadata log before a controller could write them here");
    }
    journal_record_add_gap(&j->builder, work->gap_from, work->gap_to, why, clock_wall());
    log_warn("journal", "journal_gap", KV_U64("from", work->gap_from), KV_U64("to", work->gap_to),
            KV_STR("reason", why));
}

static void write_more(struct journal *j)
{
    const struct batch_build_options options = {
            .producer_id = -1, .producer_epoch = -1, .base_sequence = -1};
    struct journal_work work;
    struct buf out = {0};

    if (j->state != JOURNAL_WRITING || j->is_asking ||
            !journal_window_next(&j->window, JOURNAL_WRITE_ENTRIES, JOURNAL_WRITE_BYTES, &work)) {
        return;
    }
    batch_builder_reset(&j->builder);
    if (work.has_gap) {
        add_gap(j, &work);
    }
    for (uint64_t i = work.first; i < work.first + work.n; i++) {
        const struct ring_batch *b = journal_batch(j, i);
        must(b != NULL); /* The window holds less than the ring, and both end with the newest. */
        journal_record_add(&j->builder, i, b->bytes, time_of(b->bytes));
    }
    batch_builder_finish(&j->builder, &options, CODEC_NONE,
            (struct bytes){j->builder.records.data, j->builder.records.size}, &out);
    j->is_asking = true;
    j->asked_to = work.first + work.n - 1;
    j->asked_gap = work.has_gap;
    journal_link_produce(j->link, (struct bytes){out.data, out.size}, on_produced, j);
    buf_deinit(&out);
}

/* --- From outside ------------------------------------------------------------------------------ */

/* The oldest batch in the ring; one behind `newest` when there is none. */
static uint64_t oldest_in_ring(const struct batch_ring *ring, uint64_t newest)
{
    uint64_t from = 1, to = newest + 1;

    while (from < to) {
        uint64_t middle = from + (to - from) / 2;
        if (batch_ring_get(ring, middle) != NULL) {
            to = middle;
        } else {
            from = middle + 1;
        }
    }
    return from;
}

void journal_start(struct journal *j, const struct uuid *cluster_id)
{
    const struct batch_ring *ring = meta_log_ring(j->options.log);
    uint64_t newest = image_position(meta_log_image(j->options.log)).index;
    uint64_t oldest = oldest_in_ring(ring, newest);

    journal_stop(j);
    j->cluster_id = *cluster_id;
    j->trouble[0] = '\0';
    journal_window_begin(&j->window, oldest);
    for (uint64_t i = oldest; i <= newest; i++) {
        journal_window_add(&j->window, i, batch_ring_get(ring, i)->bytes.size);
    }
    j->state = JOURNAL_DIALLING;
    timer_set(&j->again, 0);
    show_waiting(j);
}

void journal_stop(struct journal *j)
{
    j->state = JOURNAL_OFF;
    j->is_asking = false;
    timer_cancel(&j->again);
    journal_link_close(j->link);
    journal_fill_stop(j);
    show_waiting(j);
}

void journal_on_committed(struct journal *j, uint64_t index)
{
    const struct ring_batch *b = batch_ring_get(meta_log_ring(j->options.log), index);

    if (j->state == JOURNAL_OFF) {
        return;
    }
    must(b != NULL);
    journal_window_add(&j->window, index, b->bytes.size);
    show_waiting(j);
    write_more(j);
}

uint64_t journal_needs_from(const struct journal *j)
{
    const struct journal_window *w = &j->window;

    if (j->state == JOURNAL_OFF ||
            image_topic_by_name(meta_log_image(j->options.log), TOPIC_DECISIONS) == NULL) {
        return 0;
    }
    if (w->given_up_to > 0) {
        return w->first; /* What lies before is given up. */
    }
    return w->is_met ? w->written + 1 : 1;
}

struct journal *journal_new(const struct journal_options *options)
{
    struct journal *j = mem_new(struct journal);
    struct journal_link_options link = {.loop = options->loop,
            .resolver = options->resolver,
            .log = options->log,
            .listener = options->listener,
            .client_id = j->client_id,
            .on_up = on_up,
            .on_down = on_down,
            .ctx = j};

    j->options = *options;
    snprintf(j->client_id, sizeof(j->client_id), "controller-%" PRId32 "-journal",
            options->controller_id);
    LIST_INIT(&j->scans);
    timer_init(&j->again, options->loop, on_again, j);
    j->link = journal_link_new(&link);
    return j;
}

struct journal *journal_free(struct journal *j)
{
    if (j == NULL) {
        return NULL;
    }
    journal_stop(j);
    journal_read_deinit(j);
    j->link = journal_link_free(j->link);
    timer_deinit(&j->again);
    journal_window_deinit(&j->window);
    batch_builder_deinit(&j->builder);
    return mem_free(j);
}
