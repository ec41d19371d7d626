/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/load_history.h"

#include <weir/consumer.h>

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void *must_have(void *memory)
{
    if (memory == NULL) {
        fprintf(stderr, "weir_load: memory is exhausted\n");
        abort();
    }
    return memory;
}

/* --- Values ----------------------------------------------------------------------------------- */

void load_value_format(char ret[static LOAD_VALUE_SIZE], const char *id, uint64_t counter)
{
    (void)snprintf(ret, LOAD_VALUE_SIZE, "%.*s-%" PRIu64, LOAD_ID_SIZE - 1, id, counter);
}

bool load_value_parse(
        const void *value, size_t size, char ret_id[static LOAD_ID_SIZE], uint64_t *ret_counter)
{
    char text[LOAD_VALUE_SIZE];
    char *end = NULL;

    if (value == NULL || size >= sizeof(text)) {
        return false;
    }
    memcpy(text, value, size);
    text[size] = '\0';
    char *dash = strrchr(text, '-');
    if (dash == NULL || dash == text || dash - text >= LOAD_ID_SIZE || dash[1] < '0' ||
            dash[1] > '9') {
        return false;
    }
    errno = 0;
    unsigned long long counter = strtoull(dash + 1, &end, 10);
    if (errno != 0 || end != text + size) {
        return false;
    }
    *dash = '\0';
    memcpy(ret_id, text, (size_t)(dash - text) + 1);
    *ret_counter = counter;
    return true;
}

/* --- The list --------------------------------------------------------------------------------- */

void load_history_deinit(struct load_history *h)
{
    free(h->acked);
    free(h->producers);
    *h = (struct load_history){0};
}

static bool find_producer(const struct load_history *h, const char *id, uint32_t *ret)
{
    for (uint32_t i = 0; i < h->n_producers; i++) {
        if (strncmp(h->producers[i], id, LOAD_ID_SIZE - 1) == 0) {
            *ret = i;
            return true;
        }
    }
    return false;
}

uint32_t load_history_producer(struct load_history *h, const char *id)
{
    uint32_t i = 0;

    if (find_producer(h, id, &i)) {
        return i;
    }
    h->producers =
            must_have(realloc(h->producers, ((size_t)h->n_producers + 1) * sizeof(*h->producers)));
    (void)snprintf(h->producers[h->n_producers], LOAD_ID_SIZE, "%s", id);
    return h->n_producers++;
}

void load_history_add(struct load_history *h,
        uint32_t producer,
        uint64_t counter,
        int32_t partition,
        int64_t offset)
{
    if (h->n == h->room) {
        h->room = h->room > 0 ? 2 * h->room : 1024;
        h->acked = must_have(reallocarray(h->acked, h->room, sizeof(*h->acked)));
    }
    h->acked[h->n++] = (struct load_acked){
            .counter = counter, .offset = offset, .partition = partition, .producer = producer};
    h->is_sorted = false;
}

static int compare(const void *a, const void *b)
{
    const struct load_acked *x = a;
    const struct load_acked *y = b;

    if (x->producer != y->producer) {
        return x->producer < y->producer ? -1 : 1;
    }
    return x->counter < y->counter ? -1 : x->counter > y->counter ? 1 : 0;
}

/* --- The file --------------------------------------------------------------------------------- */

void load_history_write_line(
        FILE *f, const char *id, uint64_t counter, int32_t partition, int64_t offset)
{
    (void)fprintf(f, "%s-%" PRIu64 " %" PRId32 " %" PRId64 "\n", id, counter, partition, offset);
}

static bool read_line(struct load_history *h, const char *line)
{
    char value[128];
    char id[LOAD_ID_SIZE];
    uint64_t counter = 0;
    int32_t partition = 0;
    int64_t offset = 0;

    if (sscanf(line, "%127s %" SCNd32 " %" SCNd64, value, &partition, &offset) != 3 ||
            !load_value_parse(value, strlen(value), id, &counter)) {
        return false;
    }
    load_history_add(h, load_history_producer(h, id), counter, partition, offset);
    return true;
}

bool load_history_read(struct load_history *h, const char *path, size_t *ret_line)
{
    FILE *f = fopen(path, "re");
    char *line = NULL;
    size_t room = 0;
    size_t n_lines = 0;
    ssize_t size = 0;
    bool is_right = f != NULL;

    while (is_right && (size = getline(&line, &room, f)) > 0) {
        n_lines++;
        is_right = line[size - 1] != '\n' || read_line(h, line);
    }
    *ret_line = f != NULL && !is_right ? n_lines : 0;
    free(line);
    if (f != NULL) {
        is_right = is_right && ferror(f) == 0;
        (void)fclose(f);
    }
    return is_right;
}

/* --- Against the topic ------------------------------------------------------------------------ */

struct reading {
    struct load_history *history;
    struct load_verdict *verdict;
    struct weir_consumer *consumer;
    struct weir_offset_query *ends;
    size_t n_partitions;
    char *error;
    size_t error_size;
};

static bool fail(struct reading *r, const char *what, const char *why)
{
    (void)snprintf(r->error, r->error_size, "%s: %s", what, why);
    return false;
}

static void see_record(struct reading *r, int32_t partition, const struct weir_message *m)
{
    struct load_history *h = r->history;
    struct load_acked key = {0};
    char id[LOAD_ID_SIZE];

    r->verdict->n_read++;
    if (!load_value_parse(m->value.at, m->value.size, id, &key.counter) ||
            !find_producer(h, id, &key.producer) || h->n == 0) {
        return;
    }
    struct load_acked *a = bsearch(&key, h->acked, h->n, sizeof(*h->acked), compare);
    if (a != NULL) {
        a->n_found++;
        a->is_in_place = a->is_in_place || a->offset < 0 ||
                         (a->partition == partition && a->offset == m->offset);
    }
}

static bool find_ends(struct reading *r, struct weir_client *client, const char *topic, int wait_ms)
{
    struct weir_metadata *m = NULL;
    struct weir_error error = {0};

    if (weir_metadata_get(client, &topic, 1, wait_ms, &m, &error) != 0) {
        return fail(r, "no metadata", error.text);
    }
    if (m->topics[0].error.code != 0) {
        (void)fail(r, topic, m->topics[0].error.text);
        weir_metadata_free(m);
        return false;
    }
    r->n_partitions = m->topics[0].n_partitions;
    weir_metadata_free(m);
    r->ends = must_have(calloc(r->n_partitions + 1, sizeof(*r->ends)));
    for (size_t p = 0; p < r->n_partitions; p++) {
        r->ends[p] = (struct weir_offset_query){
                .topic = topic, .partition = (int32_t)p, .at = WEIR_OFFSET_END};
    }
    if (weir_offsets_get(client, r->ends, r->n_partitions, wait_ms, &error) != 0) {
        return fail(r, "the topic's ends", error.text);
    }
    return true;
}

static int64_t now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Whether a batch, or a position, has passed every end. */
static bool is_at_ends(const struct reading *r, const char *topic)
{
    for (size_t p = 0; p < r->n_partitions; p++) {
        if (r->ends[p].offset > 0 &&
                weir_consumer_position(r->consumer, topic, (int32_t)p) < r->ends[p].offset) {
            return false;
        }
    }
    return true;
}

/* Reads until every partition has come to its end; the deadline starts anew with each batch that
 * comes. */
static bool read_all(struct reading *r, const char *topic, int wait_ms)
{
    int64_t deadline = now_ms() + wait_ms;
    bool is_good = true;

    while (is_good && !is_at_ends(r, topic)) {
        struct weir_batch *b = weir_consumer_poll(r->consumer, 200);
        if (b == NULL) {
            is_good = now_ms() < deadline || fail(r, topic, "it is not read to its end in time");
            continue;
        }
        deadline = now_ms() + wait_ms;
        if (weir_batch_error(b)->code != 0) {
            is_good = fail(r, topic, weir_batch_error(b)->text);
        }
        for (size_t i = 0; i < weir_batch_n(b); i++) {
            see_record(r, weir_batch_partition(b), &weir_batch_messages(b)[i]);
        }
        weir_batch_free(b);
    }
    return is_good;
}

static void judge(const struct load_history *h, struct load_verdict *v)
{
    for (size_t i = 0; i < h->n; i++) {
        const struct load_acked *a = &h->acked[i];
        v->n_doubled += a->n_found > 1 ? 1 : 0;
        v->n_displaced += a->n_found > 0 && !a->is_in_place ? 1 : 0;
        if (a->n_found == 0 && v->n_missing++ == 0) {
            load_value_format(v->first_missing, h->producers[a->producer], a->counter);
        }
    }
}

bool load_history_verify(struct load_history *h,
        struct weir_client *client,
        const char *topic,
        int timeout_ms,
        struct load_verdict *ret,
        char *error,
        size_t error_size)
{
    struct reading r = {.history = h, .verdict = ret, .error = error, .error_size = error_size};
    struct weir_error why = {0};

    *ret = (struct load_verdict){0};
    if (!h->is_sorted && h->n > 0) {
        qsort(h->acked, h->n, sizeof(*h->acked), compare);
        h->is_sorted = true;
    }
    for (size_t i = 0; i < h->n; i++) {
        h->acked[i].n_found = 0;
        h->acked[i].is_in_place = false;
    }
    bool is_read = find_ends(&r, client, topic, timeout_ms);
    if (is_read && weir_consumer_new(client, &r.consumer, &why) != 0) {
        is_read = fail(&r, "no consumer", why.text);
    }
    for (size_t p = 0; is_read && p < r.n_partitions; p++) {
        if (weir_consumer_assign(r.consumer, topic, (int32_t)p, WEIR_SEEK_START, &why) != 0) {
            is_read = fail(&r, topic, why.text);
        }
    }
    is_read = is_read && read_all(&r, topic, timeout_ms);
    weir_consumer_free(r.consumer);
    free(r.ends);
    if (is_read) {
        judge(h, ret);
    }
    return is_read;
}
