/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/lib/producer.h"

#include "common/base/mem.h"
#include "common/base/must.h"
#include "common/domain/errcode.h"

#include <stdio.h>
#include <string.h>

/* The application's side of producing. */

enum {
    ROOM_SLACK = 64
}; /* what a record takes beside key, value and headers, at most */

void weir_set_delivery(struct weir_client *c,
        void (*delivered)(void *ctx, const struct weir_report *report),
        void *ctx)
{
    pthread_mutex_lock(&c->lock);
    c->delivered = delivered;
    c->delivered_ctx = ctx;
    pthread_mutex_unlock(&c->lock);
}

/* --- Into batches ----------------------------------------------------------------------------- */

struct keeping {
    struct weir_topic *topic;
    size_t size;
};

static bool keeps(void *ctx, int32_t partition)
{
    const struct keeping *k = ctx;

    if (partition >= k->topic->n_partitions) {
        return false;
    }
    const struct acc_partition *p = &k->topic->partitions[partition]->acc;
    return p->leader != BROKER_NONE && acc_open_batch(&k->topic->client->acc, p, k->size) != NULL;
}

int32_t produce_choose(struct weir_topic *t, const struct weir_record *r)
{
    if (r->partition != WEIR_PARTITION_ANY) {
        return r->partition < t->n_partitions ? r->partition : -1;
    }
    struct keeping k = {.topic = t, .size = record_size_max(r)};
    struct bytes key = {.at = r->key.at, .size = r->key.size};
    bool is_by_key = key.at != NULL && (t->partitioner.kind == PARTITIONER_MURMUR2 ||
                                               t->partitioner.kind == PARTITIONER_CRC32);
    int32_t partition = partitioner_choose(&t->partitioner, key, t->n_partitions, keeps, &k);

    /* Without a key, a partition that has a leader rather than one that has none. */
    for (int i = 0; i < 8 && !is_by_key && t->partitions[partition]->acc.leader == BROKER_NONE;
            i++) {
        partition = partitioner_choose(&t->partitioner, key, t->n_partitions, keeps, &k);
    }
    return partition;
}

void produce_to(struct weir_topic *t,
        int32_t partition,
        const struct weir_record *r,
        wall_ms timestamp,
        struct sync_wait *wait,
        size_t charged)
{
    struct weir_client *c = t->client;
    struct prod_partition *p = t->partitions[partition];
    struct acc_batch *open = acc_open_batch(&c->acc, &p->acc, record_size_max(r));

    if (open == NULL) {
        struct pbatch *fresh = pbatch_new(c);
        fresh->topic = t;
        fresh->partition = partition;
        acc_open(&c->acc, &p->acc, &fresh->acc, BATCH_HEADER_SIZE, clock_now());
        open = &fresh->acc;
    }
    struct pbatch *b = container_of(open, struct pbatch, acc);
    b->charged += charged;
    size_t size = pbatch_add(b, r, timestamp, wait);
    if (acc_add_record(&c->acc, open, size)) {
        client_kick(c);
    }
}

/* --- Staging ---------------------------------------------------------------------------------- */

static void *copy_behind(uint8_t **at, const void *from, size_t size)
{
    uint8_t *to = *at;

    if (size > 0) {
        memcpy(to, from, size);
    }
    *at += size;
    return to;
}

static void copy_headers(struct weir_header *to, uint8_t **at, const struct weir_record *r)
{
    for (size_t i = 0; i < r->n_headers; i++) {
        const struct weir_header *h = &r->headers[i];
        to[i].name = copy_behind(at, h->name, strlen(h->name) + 1);
        to[i].value.size = h->value.size;
        to[i].value.at = h->value.at != NULL ? copy_behind(at, h->value.at, h->value.size) : NULL;
    }
}

static void stage(struct weir_topic *t,
        const struct weir_record *r,
        wall_ms timestamp,
        struct sync_wait *wait,
        size_t charged)
{
    size_t headers_size = r->n_headers * sizeof(struct weir_header);
    size_t size = record_size_max(r) + r->n_headers; /* covers all copies, with the ends of names */
    struct staged *s = mem_alloc(sizeof(*s) + headers_size + size);
    uint8_t *at = (uint8_t *)(s + 1) + headers_size;

    s->record = *r;
    s->timestamp = timestamp;
    s->deadline = wtime_add(clock_now(), t->client->settings.delivery_timeout);
    s->wait = wait;
    s->charged = charged;
    if (r->n_headers > 0) {
        struct weir_header *headers = (struct weir_header *)(void *)(s + 1);
        copy_headers(headers, &at, r);
        s->record.headers = headers;
    }
    if (r->key.at != NULL) {
        s->record.key.at = copy_behind(&at, r->key.at, r->key.size);
    }
    if (r->value.at != NULL && r->release == NULL) {
        s->record.value.at = copy_behind(&at, r->value.at, r->value.size);
    }
    bool is_first = STAILQ_EMPTY(&t->staged);
    STAILQ_INSERT_TAIL(&t->staged, s, entry);
    if (is_first) {
        mv_refresh_want(&t->client->refresh);
        client_kick(t->client);
    }
}

/* --- The calls -------------------------------------------------------------------------------- */

static int check_record(
        const struct weir_client *c, const struct weir_record *r, struct weir_error *error)
{
    if (r->partition < WEIR_PARTITION_ANY) {
        return error_set(error, WEIR_E_ARGUMENT, "partition %d is not legal", r->partition);
    }
    if (r->timestamp < -1) {
        return error_set(error, WEIR_E_ARGUMENT, "a timestamp is not negative");
    }
    if (r->n_headers > 0 && r->headers == NULL) {
        return error_set(error, WEIR_E_ARGUMENT, "headers are missing");
    }
    if (r->n_headers > INT32_MAX / sizeof(struct weir_header)) {
        return error_set(error, WEIR_E_ARGUMENT, "too many headers");
    }
    for (size_t i = 0; i < r->n_headers; i++) {
        if (r->headers[i].name == NULL) {
            return error_set(error, WEIR_E_ARGUMENT, "header %zu has no name", i);
        }
        if (r->headers[i].value.at != NULL &&
                r->headers[i].value.size > c->settings.max_request_size) {
            return error_set(error, ERRCODE_MESSAGE_TOO_LARGE, "header %zu is too large", i);
        }
    }
    size_t max = c->settings.max_request_size;
    size_t key = r->key.at != NULL ? r->key.size : 0;
    size_t value = r->value.at != NULL ? r->value.size : 0;
    if (key > max || value > max || record_size_max(r) + BATCH_HEADER_SIZE > max) {
        return error_set(error, ERRCODE_MESSAGE_TOO_LARGE,
                "the record does not fit into max.request.size (%zu bytes)", max);
    }
    return WEIR_OK;
}

/* Under the lock. */
static int produce_locked(struct weir_topic *t,
        const struct weir_record *r,
        struct sync_wait *wait,
        struct weir_error *error)
{
    struct weir_client *c = t->client;
    size_t charged = record_charge(record_size_max(r));
    wall_ms timestamp = r->timestamp >= 0 ? r->timestamp : clock_wall();

    if (c->is_closing) {
        return error_set(error, WEIR_E_CLOSED, NULL);
    }
    if (c->fatal_code != 0) {
        (void)error_set(error, c->fatal_code, "this client can produce nothing any more: %s",
                weir_code_text(c->fatal_code));
        if (error != NULL) {
            error->fatal = true;
        }
        return c->fatal_code;
    }
    if (!acc_has_room(&c->acc, charged)) {
        return error_set(error, WEIR_AGAIN, "buffer.memory is full");
    }
    if (t->n_partitions == 0 || !STAILQ_EMPTY(&t->staged)) {
        stage(t, r, timestamp, wait, charged);
    } else {
        int32_t partition = produce_choose(t, r);
        if (partition < 0) {
            return error_set(error, ERRCODE_UNKNOWN_TOPIC_OR_PARTITION,
                    "topic %s has %d partitions, no partition %d", t->name, t->n_partitions,
                    r->partition);
        }
        produce_to(t, partition, r, timestamp, wait, charged);
    }
    acc_charge(&c->acc, charged);
    c->n_outstanding++;
    return WEIR_OK;
}

int weir_produce(struct weir_client *c,
        struct weir_topic *topic,
        const struct weir_record *record,
        struct weir_error *error)
{
    int r = check_record(c, record, error);

    if (r == WEIR_OK) {
        pthread_mutex_lock(&c->lock);
        r = produce_locked(topic, record, NULL, error);
        pthread_mutex_unlock(&c->lock);
    }
    return r;
}

static void keep(void *ctx, struct weir_bytes value)
{
    (void)ctx;
    (void)value;
}

int weir_produce_sync(struct weir_client *c,
        struct weir_topic *topic,
        const struct weir_record *record,
        struct weir_report *ret,
        struct weir_error *error)
{
    struct sync_wait wait = {0};
    struct weir_record borrowed = *record;

    if (client_on_internal_thread(c)) {
        return error_set(error, WEIR_E_IN_CALLBACK, NULL);
    }
    int r = check_record(c, record, error);
    if (r != WEIR_OK) {
        return r;
    }
    borrowed.release = keep; /* the value stays where it is until this call ends */
    pthread_mutex_lock(&c->lock);
    wtime deadline = wtime_add(clock_now(), c->settings.delivery_timeout);
    while ((r = produce_locked(topic, &borrowed, &wait, error)) == WEIR_AGAIN) {
        /* Inside a callback nobody else makes room. */
        if (client_in_callback(c) || !client_wait(c, deadline)) {
            break;
        }
    }
    while (r == WEIR_OK && !wait.is_done) {
        (void)client_wait(c, WTIME_NEVER);
    }
    pthread_mutex_unlock(&c->lock);
    if (r != WEIR_OK) {
        return r;
    }
    if (wait.report.code != WEIR_OK) {
        (void)error_set(
                error, wait.report.code, "%s", wait.text[0] != '\0' ? wait.text : wait.report.text);
    }
    if (record->release != NULL) {
        record->release(record->release_ctx, record->value);
    }
    if (ret != NULL) {
        *ret = wait.report;
    }
    return wait.report.code;
}

int weir_wait_room(struct weir_client *c, size_t size, int timeout_ms)
{
    wtime deadline = deadline_after(timeout_ms);
    bool is_over = false;

    if (client_in_callback(c) || client_on_internal_thread(c)) {
        return WEIR_E_IN_CALLBACK;
    }
    for (;;) {
        if (!c->settings.has_callback_thread) {
            (void)client_run_callbacks(c);
        }
        pthread_mutex_lock(&c->lock);
        bool has_room = acc_has_room(&c->acc, record_charge(size + ROOM_SLACK));
        if (!has_room && !is_over && TAILQ_EMPTY(&c->done)) {
            is_over = !client_wait(c, deadline);
        } else if (!has_room && deadline != WTIME_NEVER) {
            is_over = clock_now() >= deadline;
        }
        pthread_mutex_unlock(&c->lock);
        if (has_room || is_over) {
            return has_room ? WEIR_OK : WEIR_E_TIMED_OUT;
        }
    }
}

int weir_flush(struct weir_client *c, int timeout_ms)
{
    wtime deadline = deadline_after(timeout_ms);
    bool is_over = false;
    size_t n_left = 0;

    if (client_in_callback(c) || client_on_internal_thread(c)) {
        return WEIR_E_IN_CALLBACK;
    }
    pthread_mutex_lock(&c->lock);
    acc_flush_begin(&c->acc);
    client_kick(c);
    pthread_mutex_unlock(&c->lock);
    for (;;) {
        if (!c->settings.has_callback_thread) {
            (void)client_run_callbacks(c);
        }
        pthread_mutex_lock(&c->lock);
        n_left = c->n_outstanding;
        if (n_left > 0 && !is_over && TAILQ_EMPTY(&c->done)) {
            is_over = !client_wait(c, deadline);
        } else if (n_left > 0 && deadline != WTIME_NEVER) {
            is_over = clock_now() >= deadline;
        }
        pthread_mutex_unlock(&c->lock);
        if (n_left == 0 || is_over) {
            break;
        }
    }
    pthread_mutex_lock(&c->lock);
    acc_flush_end(&c->acc);
    pthread_mutex_unlock(&c->lock);
    return n_left == 0 ? WEIR_OK : WEIR_E_TIMED_OUT;
}

size_t weir_outstanding(const struct weir_client *c, size_t *ret_bytes)
{
    union {
        const struct weir_client *in;
        struct weir_client *out;
    } u = {.in = c};

    pthread_mutex_lock(&u.out->lock);
    size_t n = c->n_outstanding;
    if (ret_bytes != NULL) {
        *ret_bytes = c->acc.used;
    }
    pthread_mutex_unlock(&u.out->lock);
    return n;
}
