/* SPDX-License-Identifier: Apache-2.0 */
/* Consumers that read records which an unclean election took away (KIP-320, KAFKA-7395's other
 * half): each notices, and says where the log was cut. Two brokers; one has the first ten records
 * only, and is made to lead. */
#include "common/base/bytes.h"
#include "common/base/mem.h"
#include "tests/lib/check.h"
#include "tests/lib/cluster.h"
#include "tests/lib/seen.h"

#include <stdlib.h>
#include <string.h>
#include <weir/consumer.h>

enum {
    HEAL_MS = 30000,
    N_BOTH = 10, /* records that both brokers have */
    N_LOST = 10, /* that one has */
    N_NEW = 5
};

struct watcher {
    struct weir_client *client;
    struct weir_consumer *consumer;
    struct buf got; /* "value@offset " */
    int n;
    int32_t epoch; /* of what came last */
};

static const char *broker_name(int id)
{
    return id == 1 ? "broker-1" : "broker-2";
}

static void produce(const char *word, int n)
{
    struct buf lines = {0};
    struct run_result r = {0};

    for (int i = 0; i < n; i++) {
        buf_append_format(&lines, "%s%d\n", word, i);
    }
    WEIR_WITH(&r, (&(struct run_options){.input = buf_str(&lines)}), "produce", "cut");
    CHECK_EQ(r.code, 0);
    run_result_deinit(&r);
    buf_deinit(&lines);
}

static void watcher_open(struct watcher *k, const char *reset)
{
    struct weir_conf *conf = weir_conf_new();
    char *bootstrap = mem_format("127.0.0.1:%d,127.0.0.1:%d", broker_port(1), broker_port(2));

    *k = (struct watcher){0};
    CHECK_EQ(weir_conf_set(conf, "bootstrap.servers", bootstrap, NULL), 0);
    CHECK_EQ(weir_conf_set(conf, "auto.offset.reset", reset, NULL), 0);
    CHECK_EQ(weir_client_new(conf, &k->client, NULL), 0);
    CHECK_EQ(weir_consumer_new(k->client, &k->consumer, NULL), 0);
    CHECK_EQ(weir_consumer_assign(k->consumer, "cut", 0, 0, NULL), 0);
    weir_conf_free(conf);
    mem_free(bootstrap);
}

/* Until `n` records came in all, or an error, which is returned. */
static struct weir_batch *watcher_take(struct watcher *k, int n)
{
    int64_t deadline = check_now_ms() + HEAL_MS;

    while (k->n < n && check_now_ms() < deadline) {
        struct weir_batch *b = weir_consumer_poll(k->consumer, 100);
        if (b != NULL && weir_batch_error(b)->code != 0) {
            return b;
        }
        k->epoch = b != NULL ? weir_batch_leader_epoch(b) : k->epoch;
        for (size_t i = 0; b != NULL && i < weir_batch_n(b); i++, k->n++) {
            const struct weir_message *m = &weir_batch_messages(b)[i];
            buf_append(&k->got, m->value.at, m->value.size);
            buf_append_format(&k->got, "@%lld ", (long long)m->offset);
        }
        weir_batch_free(b);
    }
    CHECK_EQ(k->n, n);
    return NULL;
}

/* [FET-30] The end of the log, by the metadata that this client has. */
static void watcher_asks_for_the_end(struct watcher *k, int64_t end)
{
    struct weir_offset_query q = {.topic = "cut", .partition = 0, .at = WEIR_OFFSET_END};
    struct weir_error error = {0};

    CHECK_EQ(weir_offsets_get(k->client, &q, 1, HEAL_MS, &error), 0);
    CHECK_EQ(q.offset, end);
}

static void watcher_close(struct watcher *k)
{
    weir_consumer_free(k->consumer);
    CHECK_EQ(weir_client_close(k->client, 0), 0);
    buf_deinit(&k->got);
}

/* One broker has everything, the other one dies early; then they change places. */
static void write_what_one_has_alone(int first, int second)
{
    produce("both", N_BOTH);
    node_kill(broker_name(second));
    CHECK_WITHIN(HEAL_MS, seen_all_have("cut", 1) && seen_leader("cut") == first);
    produce("lost", N_LOST);
}

static void let_lead_uncleanly(int first, int second)
{
    struct run_result r = {0};
    char leader[] = {(char)('0' + second), '\0'};

    node_kill(broker_name(first));
    node_start(broker_name(second));
    node_wait_ready(broker_name(second));
    CHECK_WITHIN(HEAL_MS,
            (WEIR(&r, "partition", "elect", "--unclean", "--leader", leader, "cut/0", "-y"),
                    r.code == 0));
    run_result_deinit(&r);
    produce("new", N_NEW);
}

static void watcher_sees_the_cut(struct watcher *k)
{
    struct weir_batch *b = watcher_take(k, N_BOTH + N_LOST + N_NEW);

    CHECK(b != NULL);
    CHECK_STR(weir_batch_error(b)->name, "WEIR_E_TRUNCATED");
    CHECK_EQ(weir_batch_begin(b), N_BOTH + N_LOST);
    CHECK_EQ(weir_batch_end(b), N_BOTH);
    weir_batch_free(b);
    CHECK(watcher_take(k, N_BOTH + N_LOST + N_NEW) == NULL);
    CHECK(strstr(buf_str(&k->got), "lost9@19 new0@10 new1@11 new2@12 new3@13 new4@14 ") != NULL);
}

/* [FET-31] It kept how far it had come, and the epoch there. */
static void one_who_was_away_sees_it_too(int32_t epoch)
{
    struct watcher k;

    watcher_open(&k, "none");
    CHECK_EQ(weir_consumer_seek_epoch(k.consumer, "cut", 0, N_BOTH + N_LOST, epoch), 0);
    struct weir_batch *b = watcher_take(&k, 1);
    CHECK(b != NULL);
    CHECK_STR(weir_batch_error(b)->name, "WEIR_E_TRUNCATED");
    CHECK_EQ(weir_batch_end(b), N_BOTH);
    weir_batch_free(b);
    watcher_close(&k);
}

static bool file_has(const char *path, const char *text)
{
    struct run_result r = {0};

    run_program((const char *const[]){"grep", "-q", "-e", text, path, NULL}, NULL, &r);
    bool has = r.code == 0;
    run_result_deinit(&r);
    return has;
}

/* [FET-33] */
static void consumers_notice_that_what_they_read_is_lost(void)
{
    struct watcher k;

    cluster_up((const char *const[]){"--zookeepers", "1", "--controllers", "1", "--brokers", "2",
            "--set", "zookeeper.session.timeout.ms=2000", NULL});
    (void)WEIR_OK("topic", "create", "cut", "-p", "1", "-r", "2", "-c", "min.insync.replicas=1");
    CHECK_WITHIN(HEAL_MS, seen_all_have("cut", 2));
    int first = seen_leader("cut"), second = 3 - first;
    write_what_one_has_alone(first, second);
    char *out = mem_format("%s/consume.out", test_folder());
    pid_t command = WEIR_BACKGROUND("consume.out", NULL, "consume", "cut");
    watcher_open(&k, "earliest");
    CHECK(watcher_take(&k, N_BOTH + N_LOST) == NULL);
    CHECK_WITHIN(HEAL_MS, file_has(out, "lost9"));
    watcher_asks_for_the_end(&k, N_BOTH + N_LOST);
    int32_t epoch = k.epoch;

    let_lead_uncleanly(first, second);
    watcher_asks_for_the_end(&k, N_BOTH + N_NEW);
    watcher_sees_the_cut(&k);
    one_who_was_away_sees_it_too(epoch);
    CHECK_EQ(run_wait(command, 0, HEAL_MS), 1);
    CHECK(file_has(out, "cut-0 was cut at offset 10"));
    CHECK(file_has(out, "weir consume cut -p 0 -o 10"));

    /* Who has the lost records cuts them too, and nobody is told twice. */
    node_start(broker_name(first));
    CHECK_WITHIN(HEAL_MS, seen_all_have("cut", 2));
    produce("more", 1);
    CHECK(watcher_take(&k, N_BOTH + N_LOST + N_NEW + 1) == NULL);
    watcher_close(&k);
    mem_free(out);
    cluster_down();
}

static const struct check_case cases[] = {
        CASE(consumers_notice_that_what_they_read_is_lost),
};

CHECK_MAIN("truncation", cases)
