/* SPDX-License-Identifier: Apache-2.0 */
/* sync_load TOPIC PRODUCERS SECONDS [ACKS]: producers that each have one record of 100 bytes in flight and a client of their
 * own, as row f of the peers' table. Brokers from $WEIR_BROKERS. One JSON object on stdout; see tests/bench/durable. */
#include <weir/producer.h>

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    RECORD_SIZE = 100,
    SAMPLES_MAX = 4 * 1000 * 1000
};

struct producer {
    pthread_t thread;
    const char *topic, *acks;
    double until;
    uint32_t *us; /* of each acknowledgement */
    size_t n;
    bool is_on_disk; /* all of them */
    char error[256];
};

static double now(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static struct weir_client *connect_client(struct producer *p)
{
    struct weir_conf *conf = weir_conf_new();
    struct weir_client *client = NULL;
    struct weir_error error = {0};
    const char *brokers = getenv("WEIR_BROKERS");

    (void)weir_conf_set(
            conf, "bootstrap.servers", brokers != NULL ? brokers : "127.0.0.1:9190", &error);
    (void)weir_conf_set(conf, "acks", p->acks, &error);
    if (weir_client_new(conf, &client, &error) != 0) {
        (void)snprintf(p->error, sizeof(p->error), "%.250s", error.text);
        client = NULL;
    }
    weir_conf_free(conf);
    return client;
}

static void *run(void *arg)
{
    struct producer *p = arg;
    struct weir_client *client = connect_client(p);
    struct weir_error error = {0};
    char value[RECORD_SIZE];

    if (client == NULL) {
        return NULL;
    }
    struct weir_topic *topic = weir_topic_get(client, p->topic, &error);
    memset(value, 'x', sizeof(value));
    p->is_on_disk = true;
    while (topic != NULL && p->n < SAMPLES_MAX / 16 && now() < p->until) {
        struct weir_record record = {.partition = WEIR_PARTITION_ANY,
                .timestamp = -1,
                .value = {.at = value, .size = sizeof(value)}};
        struct weir_report report = {0};
        double began = now();

        if (weir_produce_sync(client, topic, &record, &report, &error) != 0 ||
                report.outcome != WEIR_PERSISTED) {
            (void)snprintf(p->error, sizeof(p->error), "%.120s %.120s", report.name, error.text);
            break;
        }
        p->is_on_disk = p->is_on_disk && report.is_on_disk;
        p->us[p->n++] = (uint32_t)((now() - began) * 1e6);
    }
    (void)weir_client_close(client, 5000);
    return NULL;
}

static int compare(const void *a, const void *b)
{
    uint32_t x, y;

    memcpy(&x, a, sizeof(x));
    memcpy(&y, b, sizeof(y));
    return (x > y) - (x < y);
}

/* Joins what all measured, and tells. */
static int conclude(struct producer *all, int n, double seconds)
{
    uint32_t *us = calloc(SAMPLES_MAX, sizeof(*us));
    size_t total = 0;
    bool is_on_disk = true;

    for (int i = 0; i < n && us != NULL; i++) {
        if (all[i].error[0] != '\0') {
            (void)fprintf(stderr, "sync_load: %s\n", all[i].error);
            free(us);
            return 1;
        }
        memcpy(us + total, all[i].us, all[i].n * sizeof(*us));
        total += all[i].n;
        is_on_disk = is_on_disk && all[i].is_on_disk;
    }
    if (us == NULL || total == 0) {
        (void)fprintf(stderr, "sync_load: nothing was acknowledged\n");
        free(us);
        return 1;
    }
    qsort(us, total, sizeof(*us), compare);
    (void)printf("{\"producers\": %d, \"acked_per_s\": %.0f, \"p50_ms\": %.3f, \"p99_ms\": %.3f, "
                 "\"max_ms\": %.1f, \"on_disk\": %s}\n",
            n, (double)total / seconds, us[total / 2] / 1e3, us[total * 99 / 100] / 1e3,
            us[total - 1] / 1e3, is_on_disk ? "true" : "false");
    free(us);
    return 0;
}

int main(int argc, char **argv)
{
    int n = argc >= 4 ? (int)strtol(argv[2], NULL, 10) : 0;
    double seconds = argc >= 4 ? strtod(argv[3], NULL) : 0;
    struct producer *all = n > 0 && n <= 16 ? calloc((size_t)n, sizeof(*all)) : NULL;

    if (all == NULL || seconds <= 0) {
        (void)fprintf(stderr, "usage: sync_load TOPIC PRODUCERS SECONDS [ACKS], at most 16\n");
        free(all);
        return 2;
    }
    for (int i = 0; i < n; i++) {
        all[i].topic = argv[1];
        all[i].acks = argc > 4 ? argv[4] : "1";
        all[i].until = now() + seconds;
        all[i].us = calloc(SAMPLES_MAX / 16, sizeof(*all[i].us));
        if (all[i].us == NULL || pthread_create(&all[i].thread, NULL, run, &all[i]) != 0) {
            (void)fprintf(stderr, "sync_load: out of memory or threads\n");
            return 1;
        }
    }
    for (int i = 0; i < n; i++) {
        (void)pthread_join(all[i].thread, NULL);
    }
    int r = conclude(all, n, seconds);
    for (int i = 0; i < n; i++) {
        free(all[i].us);
    }
    free(all);
    return r;
}
