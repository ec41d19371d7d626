/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/check/load.h"

#include "clients/check/final_read.h"
#include "common/base/mem.h"
#include "common/base/prng.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

enum {
    PARTITIONS_MAX = 1024,
    OPEN_MS = 30000,
    LIST_EVERY_MS = 200,
    LIST_MS = 3000,
    LOOK_EVERY_US = 200000,
    REREAD_EVERY_US = 1000000,
    REREAD_MAX = 2000 /* records that are read again at once */
};

/* One record from weir_produce() to its report. */
struct sent {
    uint64_t number;
    int64_t at;
    int32_t partition;
};

struct load {
    struct load_options o;
    char *topic_name, *brokers, *acks;
    char **confs; /* copies, n_confs of them */
    char id[LOAD_ID_SIZE];
    bool is_idempotent;
    struct weir_client *client;
    struct weir_topic *topic;
    struct weir_consumer *consumer, *rereader;
    int32_t n_partitions;
    size_t n_replicas; /* the most that a partition has */
    struct load_stream streams[PARTITIONS_MAX];
    struct load_figures figures;
    int64_t next_look, next_reread;
    struct prng prng;

    pthread_mutex_t lock; /* of writer and history */
    struct history_writer writer;
    struct history history;
    FILE *file;

    pthread_t lister;
    bool has_lister;
    atomic_bool is_stopping;
};

int64_t load_now(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int64_t wall_now_ms(void)
{
    return history_now() / 1000;
}

static void hold(struct load *l)
{
    must(pthread_mutex_lock(&l->lock) == 0);
}

static void release(struct load *l)
{
    must(pthread_mutex_unlock(&l->lock) == 0);
}

/* --- Opening ---------------------------------------------------------------------------------- */

static bool not_open(char *error, size_t size, const char *what, const char *why)
{
    (void)snprintf(error, size, "%s: %s", what, why);
    return false;
}

static bool open_client(struct load *l, char *error, size_t size)
{
    struct weir_conf *conf = weir_conf_new();
    struct weir_error why = {0};
    int r = weir_conf_set(conf, "bootstrap.servers", l->brokers, &why);

    r = r == 0 ? weir_conf_set(conf, "acks", l->acks, &why) : r;
    r = r == 0 ? weir_conf_set(conf, "client.id", "weir-load", &why) : r;
    /* What is not there any more must be seen, not jumped over. */
    r = r == 0 ? weir_conf_set(conf, "auto.offset.reset", "none", &why) : r;
    for (size_t i = 0; r == 0 && i < l->o.n_confs; i++) {
        r = weir_conf_set_pair(conf, l->confs[i], &why);
    }
    if (r == 0) {
        l->is_idempotent = strcmp(weir_conf_get(conf, "enable.idempotence"), "true") == 0 &&
                           strcmp(weir_conf_get(conf, "retries"), "0") != 0 &&
                           strcmp(l->acks, "all") == 0;
    }
    r = r == 0 ? weir_client_new(conf, &l->client, &why) : r;
    weir_conf_free(conf);
    return r == 0 || not_open(error, size, "no client", why.text);
}

static bool find_topic(struct load *l, char *error, size_t size)
{
    struct weir_metadata *m = NULL;
    struct weir_error why = {0};
    const char *name = l->topic_name;

    if (weir_metadata_get(l->client, &name, 1, OPEN_MS, &m, &why) != 0) {
        return not_open(error, size, "no cluster", why.text);
    }
    why = m->topics[0].error;
    size_t n = m->topics[0].n_partitions;
    for (size_t i = 0; i < n; i++) {
        size_t n_replicas = m->topics[0].partitions[i].n_replicas;
        l->n_replicas = n_replicas > l->n_replicas ? n_replicas : l->n_replicas;
    }
    weir_metadata_free(m);
    if (why.code != 0) {
        return not_open(error, size, name, why.text);
    }
    l->n_partitions = n < PARTITIONS_MAX ? (int32_t)n : PARTITIONS_MAX;
    l->topic = weir_topic_get(l->client, name, &why);
    return l->topic != NULL || not_open(error, size, name, why.text);
}

/* --- Consuming -------------------------------------------------------------------------------- */

/* A partition that has an error rests. Behind what cannot be read, or at the end, it goes on. */
static void go_on(struct load *l, struct weir_consumer *consumer, const struct weir_batch *batch)
{
    int64_t end = weir_batch_end(batch);
    enum load_process process = consumer == l->consumer ? LOAD_CONSUMER : LOAD_REREADER;

    load_errors_add(&l->figures.errors, weir_batch_error(batch)->name);
    if (l->figures.first_error[0] == '\0') {
        (void)snprintf(l->figures.first_error, sizeof(l->figures.first_error), "consuming: %s",
                weir_batch_error(batch)->text);
    }
    hold(l);
    history_write_assign(
            &l->writer, process, l->topic_name, weir_batch_partition(batch), end >= 0 ? end : -1);
    release(l);
    (void)weir_consumer_seek(
            consumer, l->topic_name, weir_batch_partition(batch), end >= 0 ? end : WEIR_SEEK_END);
}

static void count_consumed(struct load *l, const struct weir_batch *batch)
{
    int64_t wall_ms = wall_now_ms();
    char value[LOAD_VALUE_SIZE];

    for (size_t i = 0; i < weir_batch_n(batch); i++) {
        const struct weir_message *m = &weir_batch_messages(batch)[i];
        if (load_message_value(m, value) && load_value_is_of(value, l->id)) {
            l->figures.n_consumed++;
            load_latency_add(&l->figures.delay,
                    wall_ms > m->timestamp ? (uint64_t)(wall_ms - m->timestamp) * 1000 : 0);
        }
    }
}

static void on_batch(void *ctx, struct weir_consumer *consumer, struct weir_batch *batch)
{
    struct load *l = ctx;

    if (weir_batch_error(batch)->code != 0) {
        go_on(l, consumer, batch);
    } else {
        hold(l);
        history_write_batch(
                &l->writer, consumer == l->consumer ? LOAD_CONSUMER : LOAD_REREADER, batch);
        release(l);
        if (consumer == l->consumer) {
            count_consumed(l, batch);
        }
    }
    weir_batch_free(batch);
}

static struct weir_offset_query *query_all(struct load *l, int64_t at)
{
    struct weir_offset_query *q = mem_new_n(struct weir_offset_query, (size_t)l->n_partitions + 1);

    for (int32_t p = 0; p < l->n_partitions; p++) {
        q[p] = (struct weir_offset_query){.topic = l->topic_name, .partition = p, .at = at};
    }
    return q;
}

/* Begins at the ends of now, which are asked for first, so that nothing that this run produces is
 * passed over. */
static bool open_consumer(struct load *l,
        enum load_process process,
        struct weir_consumer **ret,
        char *error,
        size_t size)
{
    struct weir_error why = {0};
    struct weir_offset_query *ends = query_all(l, WEIR_OFFSET_END);
    int r = weir_offsets_get(l->client, ends, (size_t)l->n_partitions, OPEN_MS, &why);

    r = r == 0 ? weir_consumer_new(l->client, ret, &why) : r;
    if (r == 0) {
        weir_consumer_set_callback(*ret, on_batch, l);
    }
    for (int32_t p = 0; r == 0 && p < l->n_partitions; p++) {
        r = weir_consumer_assign(*ret, l->topic_name, p, ends[p].offset, &why);
        history_write_assign(&l->writer, process, l->topic_name, p, ends[p].offset);
    }
    mem_free(ends);
    return r == 0 || not_open(error, size, "no consumer", why.text);
}

/* What was read is read once more: it must be the same. */
static void reread(struct load *l)
{
    int32_t p = (int32_t)prng_below(&l->prng, (uint64_t)l->n_partitions);
    int64_t at = weir_consumer_position(l->rereader, l->topic_name, p);

    if (at <= 0) {
        return;
    }
    int64_t back = (int64_t)prng_below(&l->prng, REREAD_MAX);
    int64_t to = at > back ? at - back : 0;
    hold(l);
    history_write_assign(&l->writer, LOAD_REREADER, l->topic_name, p, to);
    release(l);
    (void)weir_consumer_seek(l->rereader, l->topic_name, p, to);
}

/* --- Asking for the ends ---------------------------------------------------------------------- */

static void write_ends(struct load *l, const struct weir_offset_query *ends)
{
    struct history_writer *w = &l->writer;

    history_line(w, LOAD_PRODUCER, history_now(), "ok", "list_offsets");
    buf_append_str(&w->line, "[");
    for (int32_t p = 0; p < l->n_partitions; p++) {
        if (ends[p].error.code == 0 && ends[p].offset >= 0) {
            history_item(w, l->topic_name, p);
            buf_append_format(&w->line, ",%" PRId64 "]", ends[p].offset);
        }
    }
    buf_append_str(&w->line, "]");
    history_line_end(w);
}

static void *list_ends(void *ctx)
{
    struct load *l = ctx;
    struct timespec pause = {.tv_nsec = (long)LIST_EVERY_MS * 1000000};

    while (!atomic_load(&l->is_stopping)) {
        struct weir_offset_query *ends = query_all(l, WEIR_OFFSET_END);
        hold(l);
        history_write_bare(&l->writer, LOAD_PRODUCER, history_now(), "invoke", "list_offsets");
        release(l);
        /* A partition without an answer does not take away what the others said. */
        (void)weir_offsets_get(l->client, ends, (size_t)l->n_partitions, LIST_MS, NULL);
        hold(l);
        write_ends(l, ends);
        release(l);
        mem_free(ends);
        (void)nanosleep(&pause, NULL);
    }
    return NULL;
}

/* --- Producing -------------------------------------------------------------------------------- */

static void on_report(void *ctx, const struct weir_report *report)
{
    struct load *l = ctx;
    struct load_figures *f = &l->figures;
    struct sent *s = report->opaque;
    struct load_stream *stream = &l->streams[s->partition];
    char value[LOAD_VALUE_SIZE];
    struct history_send send = {.topic = l->topic_name, .value = value, .partition = s->partition};
    int64_t at = load_now();

    (void)snprintf(value, sizeof(value), "%s-%" PRIu64, l->id, s->number);
    hold(l);
    if (report->outcome == WEIR_PERSISTED && strcmp(l->acks, "0") != 0) {
        history_write_acked(&l->writer, LOAD_PRODUCER, history_now(), &send, report->offset);
    } else { /* with acks 0 nothing is promised */
        history_write_not_acked(&l->writer, LOAD_PRODUCER, history_now(), &send,
                report->outcome == WEIR_NOT_PERSISTED);
    }
    release(l);
    if (report->outcome == WEIR_PERSISTED) {
        f->n_acked++;
        load_stream_acked(stream, s->partition, at, &f->gap);
        load_latency_add(&f->latency, (uint64_t)(at - s->at));
    } else {
        f->n_failed++;
        f->n_unknown += report->outcome == WEIR_UNKNOWN ? 1 : 0;
        load_stream_failed(stream, s->partition, at, &f->gap);
        load_errors_add(&f->errors, report->name);
        if (f->first_error[0] == '\0') {
            (void)snprintf(f->first_error, sizeof(f->first_error), "%s", report->text);
        }
    }
    free(s);
}

/* The history says that it is sent before it can be; `r` says what came of that. */
static void note_sending(struct load *l, const struct load_record *record, int32_t partition)
{
    struct history_send send = {
            .topic = l->topic_name, .value = record->value, .partition = partition};

    hold(l);
    history_write_invoke(
            &l->writer, LOAD_PRODUCER, history_now(), &send, load_record_hash(&record->record));
    release(l);
}

static void note_refusal(struct load *l, const struct load_record *record, int32_t partition)
{
    struct history_send send = {
            .topic = l->topic_name, .value = record->value, .partition = partition};

    hold(l);
    history_write_not_acked(&l->writer, LOAD_PRODUCER, history_now(), &send, true);
    release(l);
}

/* Whether the client has room; else nothing is begun. */
static bool has_room(struct load *l)
{
    size_t size = l->o.size + LOAD_VALUE_SIZE + 128;

    return weir_wait_room(l->client, size, 0) == 0;
}

/* False: there is no room now. */
static bool send_one(struct load *l)
{
    struct load_figures *f = &l->figures;
    struct load_record record;
    struct weir_error error = {0};

    if (!has_room(l)) {
        return false;
    }
    struct sent *s = malloc(sizeof(*s));
    if (s == NULL || !load_record_init(&record, l->id, f->n_sent, l->o.size, wall_now_ms())) {
        free(s);
        return false;
    }
    *s = (struct sent){.number = f->n_sent,
            .at = load_now(),
            .partition = (int32_t)(f->n_sent % (uint64_t)l->n_partitions)};
    record.record.partition = s->partition;
    record.record.opaque = s;
    note_sending(l, &record, s->partition);
    load_stream_sent(&l->streams[s->partition], s->at);
    f->n_sent++;
    if (weir_produce(l->client, l->topic, &record.record, &error) != 0) { /* refused at once */
        note_refusal(l, &record, s->partition);
        load_stream_failed(&l->streams[s->partition], s->partition, s->at, &f->gap);
        f->n_failed++;
        load_errors_add(&f->errors, error.name);
        free(s);
    }
    load_record_deinit(&record);
    return true;
}

/* --- Running ---------------------------------------------------------------------------------- */

void load_look_at_gaps(struct load *l)
{
    int64_t at = load_now();

    for (int32_t p = 0; p < l->n_partitions; p++) {
        load_stream_look(&l->streams[p], p, at, &l->figures.gap);
    }
}

static void look_around(struct load *l)
{
    int64_t at = load_now();

    if (at >= l->next_look) {
        l->next_look = at + LOOK_EVERY_US;
        load_look_at_gaps(l);
    }
    if (l->rereader != NULL && at >= l->next_reread) {
        l->next_reread = at + REREAD_EVERY_US;
        reread(l);
    }
}

void load_start(struct load *l)
{
    l->figures.gap.partition = -1;
    l->figures.start = load_now();
    l->figures.start_wall_ms = wall_now_ms();
    l->next_reread = l->figures.start + REREAD_EVERY_US;
    hold(l);
    history_write_producer(
            &l->writer, LOAD_PRODUCER, history_now(), l->acks, l->is_idempotent, l->n_replicas);
    release(l);
    if (l->o.lists) {
        must(pthread_create(&l->lister, NULL, list_ends, l) == 0);
        l->has_lister = true;
    }
}

void load_step(struct load *l, int wait_ms)
{
    int64_t due = 0;

    do {
        due = l->figures.start + (int64_t)((double)l->figures.n_sent * 1e6 / l->o.rate);
    } while (due <= load_now() && send_one(l));
    int64_t wait = (due - load_now()) / 1000 + 1;
    (void)weir_poll(l->client, wait < 1 ? 1 : wait > wait_ms ? wait_ms : (int)wait);
    look_around(l);
}

bool load_flush(struct load *l, int wait_ms)
{
    bool is_empty = weir_flush(l->client, wait_ms) != WEIR_E_TIMED_OUT;

    if (is_empty) {
        (void)weir_poll(l->client, wait_ms);
    }
    look_around(l);
    return is_empty;
}

bool load_is_consumed(const struct load *l)
{
    return l->consumer == NULL || l->figures.n_consumed >= l->figures.n_acked;
}

void load_stop(struct load *l)
{
    load_look_at_gaps(l);
    if (l->has_lister) {
        atomic_store(&l->is_stopping, true);
        must(pthread_join(l->lister, NULL) == 0);
        l->has_lister = false;
    }
    weir_consumer_free(l->consumer);
    weir_consumer_free(l->rereader);
    l->consumer = l->rereader = NULL;
    (void)weir_client_close(l->client, 0); /* reports what is left as failed */
    l->client = NULL;
}

bool load_read_all(struct load *l,
        int timeout_ms,
        int64_t **ret_ends,
        size_t *ret_n_ends,
        char *error,
        size_t error_size)
{
    must(l->client == NULL);
    if (!open_client(l, error, error_size)) {
        return false;
    }
    bool is_read = final_read(&l->writer, l->client, l->topic_name, LOAD_FINAL_READER, timeout_ms,
            ret_ends, ret_n_ends, error, error_size);
    (void)weir_client_close(l->client, 0);
    l->client = NULL;
    return is_read;
}

/* --- Both ends -------------------------------------------------------------------------------- */

static void copy_options(struct load *l, const struct load_options *o)
{
    uint32_t random = 0;

    l->o = *o;
    l->topic_name = mem_strdup(o->topic);
    l->brokers = mem_strdup(o->brokers);
    l->acks = mem_strdup(o->acks);
    l->confs = mem_new_n(char *, o->n_confs + 1);
    for (size_t i = 0; i < o->n_confs; i++) {
        l->confs[i] = mem_strdup(o->confs[i]);
    }
    if (o->id != NULL) {
        (void)snprintf(l->id, sizeof(l->id), "%s", o->id);
    } else {
        must(getrandom(&random, sizeof(random), 0) == (ssize_t)sizeof(random));
        (void)snprintf(l->id, sizeof(l->id), "%08" PRIx32, random);
    }
    prng_init(&l->prng, o->seed);
}

static bool open_history(struct load *l, char *error, size_t size)
{
    if (l->o.history_path != NULL) {
        l->file = fopen(l->o.history_path, "we");
        if (l->file == NULL) {
            return not_open(error, size, l->o.history_path, strerror(errno));
        }
        l->writer.file = l->file;
    }
    if (l->o.keeps_history) {
        history_init(&l->history);
        history_begin_file(&l->history, l->o.history_path != NULL ? l->o.history_path : "this run");
        l->writer.history = &l->history;
    }
    return true;
}

bool load_open(const struct load_options *o, struct load **ret, char *error, size_t error_size)
{
    struct load *l = mem_new(struct load);

    copy_options(l, o);
    must(pthread_mutex_init(&l->lock, NULL) == 0);
    bool is_open = open_history(l, error, error_size) && open_client(l, error, error_size) &&
                   find_topic(l, error, error_size);
    if (is_open) {
        weir_set_delivery(l->client, on_report, l);
    }
    is_open = is_open &&
              (!o->consumes || open_consumer(l, LOAD_CONSUMER, &l->consumer, error, error_size));
    is_open = is_open &&
              (!o->rereads || open_consumer(l, LOAD_REREADER, &l->rereader, error, error_size));
    if (!is_open) {
        load_free(l);
        return false;
    }
    *ret = l;
    return true;
}

void load_free(struct load *l)
{
    if (l == NULL) {
        return;
    }
    load_stop(l);
    if (l->file != NULL) {
        (void)fclose(l->file); /* load_history_flush() said whether it is whole */
    }
    history_writer_deinit(&l->writer);
    history_deinit(&l->history);
    must(pthread_mutex_destroy(&l->lock) == 0);
    for (size_t i = 0; i < l->o.n_confs; i++) {
        mem_free(l->confs[i]);
    }
    mem_free(l->confs);
    mem_free(l->topic_name);
    mem_free(l->brokers);
    mem_free(l->acks);
    mem_free(l);
}

const struct load_figures *load_figures(const struct load *l)
{
    return &l->figures;
}

const char *load_id(const struct load *l)
{
    return l->id;
}

const struct history *load_history_hold(struct load *l)
{
    hold(l);
    return &l->history;
}

void load_history_release(struct load *l)
{
    release(l);
}

int load_history_flush(struct load *l)
{
    int r = 0;

    hold(l);
    if (l->file != NULL && fflush(l->file) != 0 && l->writer.error == 0) {
        l->writer.error = errno;
    }
    r = l->writer.error;
    release(l);
    return r;
}
