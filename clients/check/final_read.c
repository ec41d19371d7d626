/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/check/final_read.h"

#include "clients/check/load_record.h"
#include "common/base/mem.h"

#include <inttypes.h>
#include <time.h>

struct reading {
    struct history_writer *writer;
    struct weir_client *client;
    const char *topic;
    int64_t process;
    int timeout_ms;
    struct weir_consumer *consumer;
    struct weir_offset_query *starts, *ends; /* one array: n starts, then n ends */
    size_t n;
    char *error;
    size_t error_size;
};

static int64_t clock_us(clockid_t clock)
{
    struct timespec t;

    (void)clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t history_now(void)
{
    return clock_us(CLOCK_REALTIME);
}

void history_write_batch(struct history_writer *w, int64_t process, const struct weir_batch *b)
{
    char value[LOAD_VALUE_SIZE];

    history_line(w, process, history_now(), "ok", "poll");
    buf_append_str(&w->line, "[");
    history_item(w, weir_batch_topic(b), weir_batch_partition(b));
    buf_append_str(&w->line, ",[");
    for (size_t i = 0; i < weir_batch_n(b); i++) {
        const struct weir_message *m = &weir_batch_messages(b)[i];
        history_record(
                w, m->offset, load_message_value(m, value) ? value : NULL, load_message_hash(b, i));
    }
    buf_append_str(&w->line, "]]]");
    history_line_end(w);
}

void history_write_assign(struct history_writer *w,
        int64_t process,
        const char *topic,
        int32_t partition,
        int64_t offset)
{
    history_line(w, process, history_now(), "ok", "assign");
    buf_append_str(&w->line, "[");
    history_item(w, topic, partition);
    if (offset >= 0) {
        buf_append_format(&w->line, ",%" PRId64 "]]", offset);
    } else {
        buf_append_str(&w->line, ",null]]");
    }
    history_line_end(w);
}

static bool fail(struct reading *r, const char *what, const char *why)
{
    (void)snprintf(r->error, r->error_size, "%s: %s", what, why);
    return false;
}

static bool find_ends(struct reading *r)
{
    struct weir_metadata *m = NULL;
    struct weir_error error = {0};

    if (weir_metadata_get(r->client, &r->topic, 1, r->timeout_ms, &m, &error) != 0) {
        return fail(r, "no metadata", error.text);
    }
    if (m->topics[0].error.code != 0) {
        (void)fail(r, r->topic, m->topics[0].error.text);
        weir_metadata_free(m);
        return false;
    }
    r->n = m->topics[0].n_partitions;
    weir_metadata_free(m);
    r->starts = mem_new_n(struct weir_offset_query, 2 * r->n + 1);
    r->ends = r->starts + r->n;
    for (size_t p = 0; p < r->n; p++) {
        r->starts[p] = (struct weir_offset_query){
                .topic = r->topic, .partition = (int32_t)p, .at = WEIR_OFFSET_START};
        r->ends[p] = (struct weir_offset_query){
                .topic = r->topic, .partition = (int32_t)p, .at = WEIR_OFFSET_END};
    }
    if (weir_offsets_get(r->client, r->starts, 2 * r->n, r->timeout_ms, &error) != 0) {
        return fail(r, "the topic's ends", error.text);
    }
    return true;
}

static bool assign_all(struct reading *r)
{
    struct weir_error why = {0};

    if (weir_consumer_new(r->client, &r->consumer, &why) != 0) {
        return fail(r, "no consumer", why.text);
    }
    for (size_t p = 0; p < r->n; p++) {
        int64_t start = r->starts[p].offset;
        if (weir_consumer_assign(r->consumer, r->topic, (int32_t)p, start, &why) != 0) {
            return fail(r, r->topic, why.text);
        }
        history_write_assign(r->writer, r->process, r->topic, (int32_t)p, start);
    }
    return true;
}

static bool is_at_ends(const struct reading *r)
{
    for (size_t p = 0; p < r->n; p++) {
        if (r->ends[p].offset > r->starts[p].offset &&
                weir_consumer_position(r->consumer, r->topic, (int32_t)p) < r->ends[p].offset) {
            return false;
        }
    }
    return true;
}

static bool read_all(struct reading *r)
{
    int64_t patience = (int64_t)r->timeout_ms * 1000;
    int64_t deadline = clock_us(CLOCK_MONOTONIC) + patience;
    bool is_good = true;

    while (is_good && !is_at_ends(r)) {
        struct weir_batch *b = weir_consumer_poll(r->consumer, 200);
        if (b == NULL) {
            is_good = clock_us(CLOCK_MONOTONIC) < deadline ||
                      fail(r, r->topic, "it is not read to its end in time");
            continue;
        }
        deadline = clock_us(CLOCK_MONOTONIC) + patience;
        if (weir_batch_error(b)->code != 0) {
            is_good = fail(r, r->topic, weir_batch_error(b)->text);
        } else {
            history_write_batch(r->writer, r->process, b);
        }
        weir_batch_free(b);
    }
    return is_good;
}

static void write_end(struct reading *r)
{
    struct history_writer *w = r->writer;

    history_line(w, r->process, history_now(), "ok", "final");
    buf_append_str(&w->line, "[");
    for (size_t p = 0; p < r->n; p++) {
        history_item(w, r->topic, (int32_t)p);
        buf_append_format(
                &w->line, ",%" PRId64 ",%" PRId64 "]", r->starts[p].offset, r->ends[p].offset);
    }
    buf_append_str(&w->line, "]");
    history_line_end(w);
}

static void hand_over_ends(const struct reading *r, int64_t **ret_ends, size_t *ret_n_ends)
{
    *ret_ends = mem_new_n(int64_t, r->n + 1);
    *ret_n_ends = r->n;
    for (size_t p = 0; p < r->n; p++) {
        (*ret_ends)[p] = r->ends[p].offset;
    }
}

bool final_read(struct history_writer *w,
        struct weir_client *client,
        const char *topic,
        int64_t process,
        int timeout_ms,
        int64_t **ret_ends,
        size_t *ret_n_ends,
        char *error,
        size_t error_size)
{
    struct reading r = {.writer = w,
            .client = client,
            .topic = topic,
            .process = process,
            .timeout_ms = timeout_ms,
            .error = error,
            .error_size = error_size};

    history_write_bare(w, process, history_now(), "invoke", "final");
    bool is_read = find_ends(&r) && assign_all(&r) && read_all(&r);
    weir_consumer_free(r.consumer);
    if (is_read) {
        write_end(&r);
    } else {
        history_write_bare(w, process, history_now(), "fail", "final");
    }
    if (is_read && ret_ends != NULL) {
        hand_over_ends(&r, ret_ends, ret_n_ends);
    }
    mem_free(r.starts);
    return is_read;
}
