/* SPDX-License-Identifier: Apache-2.0 */
/* A compacted topic under load: the last value of each key, at any death, beside appends that do not wait. */
#include "common/base/mem.h"
#include "common/base/prng.h"
#include "common/compress/compress.h"
#include "common/domain/errcode.h"
#include "tests/cluster/broker_world.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    N_KEYS = 150,
    RECORDS = 16,
    VALUE_SIZE = 4000,
    LATENCIES_MAX = 4096
};

/* What was acknowledged. */
struct model {
    struct prng prng;
    int value[N_KEYS]; /* of the last record, 0 = none, -1 = a tombstone */
    int n;             /* batches so far */
    int latency_ms[LATENCIES_MAX];
    int n_latencies;
};

static void set_for(struct world *w, enum config_scope scope, const char *key, const char *value)
{
    struct meta_config_pair pair = {key, value};
    struct meta_record r = {.kind = META_CONFIG_SET};

    r.config_set.scope = scope;
    r.config_set.topic_id = scope == CONFIG_TOPIC ? topic_id(1) : (struct uuid){{0}};
    r.config_set.broker = BROKER_NONE;
    r.config_set.configs = &pair;
    r.config_set.n_configs = 1;
    commit(w, &r, 1);
    push(w);
}

static void set(struct world *w, const char *key, const char *value)
{
    set_for(w, CONFIG_TOPIC, key, value);
}

static struct world *world_compacting_with(struct model *m, const char *setting)
{
    struct world *w = world_new(true);

    *m = (struct model){0};
    prng_init(&m->prng, check_seed());
    w->more = setting;
    world_serve(w);
    set(w, "segment.bytes", "1048576");
    set(w, "cleanup.policy", "compact");
    set(w, "min.cleanable.dirty.ratio", "0.2");
    return w;
}

static struct world *world_compacting(struct model *m)
{
    return world_compacting_with(m, "log.cleaner.backoff.ms=20");
}

/* One batch of random keys; remembered when it was acknowledged. */
static void write_batch(struct world *w, struct model *m)
{
    struct batch_build_options o = {.producer_id = -1, .producer_epoch = -1, .base_sequence = -1};
    struct batch_builder bb = {0};
    struct buf packed = {0}, batch = {0};
    int values[N_KEYS];
    char key[16], value[VALUE_SIZE + 1];
    enum batch_codec codec = m->n % 4 == 3 ? CODEC_LZ4 : CODEC_NONE;
    int64_t began;

    memcpy(values, m->value, sizeof(values));
    m->n++;
    for (int i = 0; i < RECORDS; i++) {
        int k = (int)prng_below(&m->prng, N_KEYS);
        bool is_tombstone = prng_below(&m->prng, 10) == 0;
        struct record r = {.timestamp = clock_wall()};

        (void)snprintf(key, sizeof(key), "key-%d", k);
        memset(value, 'a' + m->n % 26, VALUE_SIZE);
        (void)snprintf(value, sizeof(value), "%d", m->n);
        value[strlen(value)] = ' ';
        r.key = (struct bytes){.at = (const uint8_t *)key, .size = strlen(key)};
        r.value = (struct bytes){.at = (const uint8_t *)value, .size = VALUE_SIZE};
        if (is_tombstone) {
            r.value = (struct bytes){0};
        }
        batch_builder_add(&bb, &r, NULL);
        values[k] = is_tombstone ? -1 : m->n;
    }
    CHECK_EQ(compress_bytes(codec, 0,
                     (struct bytes){.at = bb.records.data, .size = bb.records.size}, &packed),
            0);
    batch_builder_finish(
            &bb, &o, codec, (struct bytes){.at = packed.data, .size = packed.size}, &batch);
    began = check_now_ms();
    CHECK_EQ(produce_bytes(w, 1, -1, &batch).error, ERRCODE_NONE);
    if (m->n_latencies < LATENCIES_MAX) {
        m->latency_ms[m->n_latencies++] = (int)(check_now_ms() - began);
    }
    memcpy(m->value, values, sizeof(values));
    buf_deinit(&packed);
    buf_deinit(&batch);
    batch_builder_deinit(&bb);
}

static void read_record(const struct record *r, int *values)
{
    char text[16] = "";
    int k;

    CHECK(r->key.size > 4 && r->key.size < sizeof(text));
    memcpy(text, r->key.at + 4, r->key.size - 4);
    k = (int)strtol(text, NULL, 10);
    CHECK(k >= 0 && k < N_KEYS);
    values[k] = -1;
    if (r->value.at != NULL) {
        CHECK_EQ(r->value.size, VALUE_SIZE);
        memcpy(text, r->value.at, sizeof(text) - 1);
        values[k] = (int)strtol(text, NULL, 10);
    }
}

/* The batches of one answer; returns the offset behind them. */
static offset64 read_batches(struct bytes left, offset64 offset, int *values, int *n_records)
{
    struct buf scratch = {0};

    while (left.size > 0) {
        struct record_iter it;
        struct bytes plain = {0};
        struct record rec;
        struct batch b;

        CHECK_EQ(batch_parse(left.at, left.size, &b), 0);
        CHECK(batch_crc_is_right(&b));
        CHECK(batch_last_offset(&b) >= offset);
        if (b.n_records > 0) {
            CHECK_EQ(batch_plain_records(&b, 4 << 20, &scratch, &plain), 0);
            record_iter_init(&it, &b, plain.at, plain.size);
            while (record_iter_next(&it, &rec) == 0) {
                read_record(&rec, values);
                (*n_records)++;
            }
        }
        offset = batch_last_offset(&b) + 1;
        left.at += b.size;
        left.size -= b.size;
    }
    buf_deinit(&scratch);
    return offset;
}

/* A consumer from the log's begin: returns how many records it met; all last values are right. */
static int consume_all(struct world *w, const struct model *m)
{
    int values[N_KEYS] = {0};
    int n_records = 0;
    offset64 end = list(w, LIST_LATEST).offset;

    for (offset64 offset = 0; offset < end;) {
        struct msg_fetch_result f;
        struct reply r;

        call(w, w->client, API_FETCH, fetch_out(1, offset, 0, 1, EPOCH_NONE), &r);
        f = fetched(&r);
        CHECK_EQ(f.error, ERRCODE_NONE);
        offset = read_batches(f.records, offset, values, &n_records);
        reply_free(&r);
    }
    for (int k = 0; k < N_KEYS; k++) {
        CHECK(values[k] == m->value[k] || (values[k] == 0 && m->value[k] == -1));
    }
    return n_records;
}

static int count_lines(const char *path, const char *text)
{
    char line[4096];
    FILE *f = fopen(path, "re");
    int n = 0;

    CHECK(f != NULL);
    while (fgets(line, sizeof(line), f) != NULL) {
        n += strstr(line, text) != NULL ? 1 : 0;
    }
    (void)fclose(f);
    return n;
}

static int compare_ints(const void *a, const void *b)
{
    const int *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static void last_values_stay_under_load(void) /* [LOG-45] [LOG-46] */
{
    struct model m;
    struct world *w = world_compacting(&m);
    int64_t give_up = check_now_ms() + 60000;

    while (m.n < 200 || count_lines(w->log, "event=log_compacted") < 3) {
        CHECK(check_now_ms() < give_up);
        write_batch(w, &m);
        if (m.n % 40 == 0) {
            (void)consume_all(w, &m);
        }
    }
    int n = consume_all(w, &m);
    CHECK(n < m.n * RECORDS);
    CHECK(n >= N_KEYS / 2);
    CHECK_EQ(list(w, LIST_LATEST).offset, m.n * RECORDS);
    CHECK_EQ(count_lines(w->log, "level=error"), 0);
    qsort(m.latency_ms, (size_t)m.n_latencies, sizeof(int), compare_ints);
    int p99 = m.latency_ms[m.n_latencies * 99 / 100];
    (void)fprintf(stderr, "# produce beside compaction: p50 %d ms, p99 %d ms of %d\n",
            m.latency_ms[m.n_latencies / 2], p99, m.n_latencies);
    CHECK(p99 < 1000);
    world_free(w);
}

/* Whether a compaction is writing, or swapping. */
static bool is_compacting(const struct world *w)
{
    char path[512];
    DIR *d;
    bool found = false;

    (void)snprintf(path, sizeof(path), "%s/orders-0", w->dir);
    d = opendir(path);
    CHECK(d != NULL);
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        found = found || strstr(e->d_name, ".cleaned") != NULL || strstr(e->d_name, ".swap") != NULL ||
                strstr(e->d_name, "manifest") != NULL;
    }
    (void)closedir(d);
    return found;
}

static void a_kill_in_the_middle_loses_nothing(void) /* [LOG-57] */
{
    struct model m;
    struct world *w = world_compacting(&m);
    int n_hit = 0;

    for (int round = 0; round < 6; round++) {
        int64_t give_up = check_now_ms() + 5000;
        int stop_at = m.n + 40 + (int)prng_below(&m.prng, 40);

        while (m.n < stop_at || (!is_compacting(w) && check_now_ms() < give_up)) {
            write_batch(w, &m);
        }
        n_hit += is_compacting(w) ? 1 : 0;
        (void)stop_broker(w, SIGKILL);
        w->client = w->controller = NULL;
        start_broker(w);
        connect_controller(w);
        admit_broker(w);
        connect_client(w);
        (void)consume_all(w, &m);
    }
    CHECK(n_hit > 0);
    CHECK_EQ(count_lines(w->log, "event=replica_failed"), 0);
    CHECK_EQ(count_lines(w->log, "event=log_uncleanable"), 0);
    world_free(w);
}

static void a_record_without_key_is_refused(void) /* [LOG-103] */
{
    struct model m;
    struct world *w = world_compacting(&m);

    CHECK_EQ(produce(w, -1, "no key", 1, 0).error, ERRCODE_INVALID_RECORD);
    write_batch(w, &m);
    set(w, "cleanup.policy", "delete");
    CHECK_EQ(produce(w, -1, "no key", 1, 0).error, ERRCODE_NONE);
    world_free(w);
}

static void the_active_segment_ends_for_max_compaction_lag(void) /* [LOG-43] */
{
    struct model m;
    struct world *w = world_compacting(&m);

    set(w, "max.compaction.lag.ms", "500");
    while (m.n < 4) { /* a quarter of segment.bytes, and segment.ms is a week */
        write_batch(w, &m);
    }
    CHECK_WITHIN(30000, count_lines(w->log, "event=log_compacted") > 0);
    (void)consume_all(w, &m);
    world_free(w);
}

static int count_threads(const struct world *w)
{
    char path[64];
    DIR *d;
    int n = 0;

    (void)snprintf(path, sizeof(path), "/proc/%d/task", (int)w->pid);
    d = opendir(path);
    CHECK(d != NULL);
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        n += e->d_name[0] != '.' ? 1 : 0;
    }
    (void)closedir(d);
    return n;
}

static void its_limits_change_while_it_runs(void) /* [CFG-12] */
{
    struct model m;
    struct world *w = world_compacting_with(&m, "log.cleaner.backoff.ms=3600000");
    int n_threads = count_threads(w);

    while (m.n < 60) {
        write_batch(w, &m);
    }
    CHECK_EQ(count_lines(w->log, "event=log_compacted"), 0);
    set_for(w, CONFIG_CLUSTER, "log.cleaner.backoff.ms", "20");
    CHECK_WITHIN(30000, count_lines(w->log, "event=log_compacted") > 0);
    set_for(w, CONFIG_CLUSTER, "log.cleaner.threads", "3");
    CHECK_WITHIN(5000, count_threads(w) == n_threads + 2);
    set_for(w, CONFIG_CLUSTER, "log.cleaner.threads", "1");
    CHECK_WITHIN(5000, count_threads(w) == n_threads);
    set_for(w, CONFIG_CLUSTER, "log.cleaner.threads", "2");
    CHECK_WITHIN(5000, count_threads(w) == n_threads + 1);
    (void)consume_all(w, &m);
    CHECK_EQ(stop_broker(w, SIGTERM), 0);
    world_free(w);
}

static const struct check_case cases[] = {
        CASE(last_values_stay_under_load),
        CASE(a_kill_in_the_middle_loses_nothing),
        CASE(a_record_without_key_is_refused),
        CASE(the_active_segment_ends_for_max_compaction_lag),
        CASE(its_limits_change_while_it_runs),
        CASE(stop_zookeeper),
};

CHECK_MAIN("compaction", cases)
