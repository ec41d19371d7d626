/* SPDX-License-Identifier: Apache-2.0 */
/* Loads a compacted topic and judges it: writes records with random keys at a steady rate, measures how long
 * acknowledgements stay away, then reads the topic from its begin and says whether the last value of each key is the
 * last one that was acknowledged. tests/bench/compaction shows its use. */
#include "clients/check/load_stats.h"

#include <weir/consumer.h>
#include <weir/producer.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    EXIT_KEPT = 0,
    EXIT_WRONG = 1,
    EXIT_NOT_RUN = 3,
    KEY_SIZE_MAX = 32
};

struct load {
    const char *topic_name;
    uint64_t n_bytes, n_keys, value_size, bytes_per_s;
    struct weir_client *client;
    struct weir_topic *topic;
    uint64_t *last; /* the newest counter of each key, 0 = none */
    uint64_t *seen; /* as read back */
    struct load_latency latency;
    uint64_t n_sent, n_failed, n_read;
    uint64_t random;
};

/* One record on its way. */
struct sent {
    int64_t at;
};

static int64_t now(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int not_run(const char *what, const char *why)
{
    fprintf(stderr, "compact_load: %s: %s\n", what, why);
    return EXIT_NOT_RUN;
}

static uint64_t next_random(struct load *l)
{
    l->random ^= l->random << 13;
    l->random ^= l->random >> 7;
    l->random ^= l->random << 17;
    return l->random;
}

static void on_report(void *ctx, const struct weir_report *report)
{
    struct load *l = ctx;
    struct sent *s = report->opaque;

    if (report->outcome == WEIR_PERSISTED) {
        load_latency_add(&l->latency, (uint64_t)(now() - s->at));
    } else {
        l->n_failed++;
        fprintf(stderr, "compact_load: %s\n", report->text);
    }
    free(s);
}

static int open_client(struct load *l, const char *brokers)
{
    struct weir_conf *conf = weir_conf_new();
    struct weir_error error = {0};
    int r = weir_conf_set(conf, "bootstrap.servers", brokers, &error);

    r = r == 0 ? weir_client_new(conf, &l->client, &error) : r;
    weir_conf_free(conf);
    if (r != 0) {
        return not_run("no client", error.text);
    }
    weir_set_delivery(l->client, on_report, l);
    l->topic = weir_topic_get(l->client, l->topic_name, &error);
    return l->topic != NULL ? 0 : not_run(l->topic_name, error.text);
}

/* --- Writing ------------------------------------------------------------------------------------------------------ */

static int send_one(struct load *l, char *value)
{
    uint64_t k = next_random(l) % l->n_keys;
    char key[KEY_SIZE_MAX];
    struct weir_error error = {0};
    struct sent *s = malloc(sizeof(*s));
    struct weir_record record = {.partition = 0, .opaque = s};
    int n = snprintf(key, sizeof(key), "key-%010" PRIu64, k);

    if (s == NULL) {
        return not_run("memory", "none");
    }
    (void)snprintf(value, l->value_size, "%020" PRIu64, l->n_sent + 1);
    value[20] = ' ';
    record.key = (struct weir_bytes){.at = (const uint8_t *)key, .size = (size_t)n};
    record.value = (struct weir_bytes){.at = (const uint8_t *)value, .size = l->value_size};
    s->at = now();
    int r;
    while ((r = weir_produce(l->client, l->topic, &record, &error)) == WEIR_AGAIN) {
        (void)weir_poll(l->client, 10);
    }
    if (r != 0) {
        free(s);
        return not_run("a record was refused", error.text);
    }
    l->last[k] = ++l->n_sent;
    return 0;
}

static int write_all(struct load *l)
{
    char *value = malloc(l->value_size + 1);
    uint64_t n = l->n_bytes / l->value_size;
    int64_t start = now();
    int r = value != NULL ? 0 : not_run("memory", "none");

    for (uint64_t i = 0; value != NULL && i < l->value_size; i++) { /* what no codec makes small */
        value[i] = (char)(' ' + next_random(l) % 90);
    }
    while (r == 0 && l->n_sent < n) {
        int64_t due = start + (int64_t)(l->n_sent * l->value_size * 1000000 / l->bytes_per_s);
        if (due > now()) {
            (void)weir_poll(l->client, 1);
        } else {
            r = send_one(l, value);
            (void)weir_poll(l->client, 0);
        }
    }
    while (r == 0 && weir_flush(l->client, 1000) == WEIR_E_TIMED_OUT) {
    }
    free(value);
    return r;
}

/* --- Reading back ------------------------------------------------------------------------------------------------- */

static void read_message(struct load *l, const struct weir_message *m)
{
    char text[KEY_SIZE_MAX] = "";

    l->n_read++;
    if (m->key.size != 14 || m->value.size < 20) {
        return;
    }
    memcpy(text, (const char *)m->key.at + 4, m->key.size - 4);
    uint64_t k = strtoull(text, NULL, 10);
    memcpy(text, m->value.at, 20);
    text[20] = '\0';
    if (k < l->n_keys) {
        l->seen[k] = strtoull(text, NULL, 10);
    }
}

static int read_all(struct load *l)
{
    struct weir_consumer *consumer = NULL;
    struct weir_error error = {0};
    struct weir_offset_query end = {.topic = l->topic_name, .at = WEIR_OFFSET_END};
    int r = weir_offsets_get(l->client, &end, 1, 30000, &error);

    r = r == 0 ? weir_consumer_new(l->client, &consumer, &error) : r;
    r = r == 0 ? weir_consumer_assign(consumer, l->topic_name, 0, 0, &error) : r;
    if (r != 0) {
        return not_run("no consumer", error.text);
    }
    for (int64_t at = 0; at < end.offset;) {
        struct weir_batch *b = weir_consumer_poll(consumer, 30000);
        if (b == NULL || weir_batch_error(b)->code != 0) {
            return not_run("reading back", b != NULL ? weir_batch_error(b)->text : "nothing came");
        }
        for (size_t i = 0; i < weir_batch_n(b); i++) {
            read_message(l, &weir_batch_messages(b)[i]);
        }
        at = weir_batch_end(b);
        weir_batch_free(b);
    }
    weir_consumer_free(consumer);
    return 0;
}

static uint64_t count_wrong(const struct load *l)
{
    uint64_t n = 0;

    for (uint64_t k = 0; k < l->n_keys; k++) {
        n += l->seen[k] != l->last[k] ? 1 : 0;
    }
    return n;
}

int main(int argc, char **argv)
{
    struct load l = {.random = 0x9e3779b97f4a7c15};

    if (argc != 7) {
        fprintf(stderr, "usage: compact_load BROKERS TOPIC BYTES KEYS VALUE_SIZE BYTES_PER_SECOND\n");
        return 2;
    }
    l.topic_name = argv[2];
    l.n_bytes = strtoull(argv[3], NULL, 10);
    l.n_keys = strtoull(argv[4], NULL, 10);
    l.value_size = strtoull(argv[5], NULL, 10);
    l.bytes_per_s = strtoull(argv[6], NULL, 10);
    if (l.n_keys == 0 || l.value_size < 32 || l.bytes_per_s == 0) {
        return not_run("keys, value size and rate", "must be at least 1, 32 and 1");
    }
    l.last = calloc(l.n_keys, sizeof(*l.last));
    l.seen = calloc(l.n_keys, sizeof(*l.seen));
    int r = l.last != NULL && l.seen != NULL ? open_client(&l, argv[1]) : not_run("memory", "none");
    int64_t start = now();
    r = r == 0 ? write_all(&l) : r;
    double took = (double)(now() - start) / 1e6;
    r = r == 0 ? read_all(&l) : r;
    if (r != 0) {
        return r;
    }
    uint64_t n_wrong = count_wrong(&l);
    printf("{\"records\": %" PRIu64 ", \"seconds\": %.1f, \"mb_per_s\": %.1f, \"failed\": %" PRIu64
           ", \"read_back\": %" PRIu64 ", \"wrong_keys\": %" PRIu64 ", \"p50_ms\": %.2f, "
           "\"p99_ms\": %.2f, \"p999_ms\": %.2f, \"max_ms\": %.2f}\n",
            l.n_sent, took, (double)(l.n_sent * l.value_size) / 1e6 / took, l.n_failed, l.n_read, n_wrong,
            (double)load_latency_quantile(&l.latency, 500) / 1e3,
            (double)load_latency_quantile(&l.latency, 990) / 1e3,
            (double)load_latency_quantile(&l.latency, 999) / 1e3, (double)l.latency.max / 1e3);
    (void)weir_client_close(l.client, 1000); /* all reports are in */
    free(l.last);
    free(l.seen);
    return n_wrong == 0 && l.n_failed == 0 ? EXIT_KEPT : EXIT_WRONG;
}
