/* SPDX-License-Identifier: Apache-2.0 */
/* Thousands of partitions on a broker that may open 512 files: 2,000, or 10,000 when WEIR_TEST_LARGE is set. */
#include "tests/lib/check.h"
#include "tests/lib/cluster.h"
#include "tests/lib/raw.h"

#include "common/base/mem.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    FDS_MAX = 512,
    PARTITIONS = 500, /* of each topic */
    TOPICS_MAX = 20,
    ROUNDS_MAX = 8,
    WRITTEN_MS = 120000, /* the first records of 500 logs: each syncs the folder that it makes */
    REMOVED_MS = 30000, /* 500 logs: a disk that others sync to takes 20 ms for the files of one */
};

static int n_topics;
static int n_rounds; /* records that every partition has */

static const char *topic_name(int i)
{
    static char name[32];

    (void)snprintf(name, sizeof(name), "many-%d", i);
    return name;
}

static void begin(void)
{
    struct rlimit limit = {.rlim_cur = FDS_MAX, .rlim_max = FDS_MAX};

    raw_close_all();
    if (cluster_is_up()) {
        return;
    }
    n_topics = getenv("WEIR_TEST_LARGE") != NULL ? TOPICS_MAX : 4;
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0); /* The daemons inherit it. */
    cluster_up_small();
}

static unsigned check_fds(const char *when)
{
    unsigned n = process_n_fds(node_pid("broker-1"));

    printf("# %u descriptors %s\n", n, when);
    CHECK(n < FDS_MAX - 32); /* with room for what comes in */
    return n;
}

static int record_text(char *text, size_t size, int topic, int partition, int round)
{
    return snprintf(text, size, "topic %d partition %d round %d", topic, partition, round);
}

/* One record to every partition of a topic, in one request. */
static void produce_everywhere(struct raw *r, int topic, int round)
{
    struct msg_produce_partition *parts = mem_new_n(struct msg_produce_partition, PARTITIONS);
    struct buf *batches = mem_new_n(struct buf, PARTITIONS);
    struct uuid id = raw_topic_id(r, topic_name(topic), NULL);
    struct msg_produce_response answer;
    struct raw_answer a;
    struct buf body = {0};
    char text[64];

    for (int i = 0; i < PARTITIONS; i++) {
        int size = record_text(text, sizeof(text), topic, i, round);
        raw_batch(&batches[i], 1, text, (size_t)size);
        parts[i] = (struct msg_produce_partition){.topic_id = id,
                .partition = i,
                .records = {.at = batches[i].data, .size = batches[i].size}};
    }
    raw_encode_produce(&body, -1, parts, PARTITIONS);
    (void)raw_ask(r, API_PRODUCE, &body);
    CHECK_EQ(raw_read(r, WRITTEN_MS, &a), RAW_FRAME);
    for (int i = 0; i < PARTITIONS; i++) {
        buf_deinit(&batches[i]);
    }
    mem_free(batches);
    mem_free(parts);
    buf_deinit(&body);
    CHECK_EQ(a.header.error, 0);
    CHECK_EQ(wire_decode_produce_response(a.body, a.arena, &answer), 0);
    CHECK_EQ(answer.n_partitions, PARTITIONS);
    for (int i = 0; i < PARTITIONS; i++) {
        if (answer.partitions[i].error != 0) {
            printf("# %s-%d: %s\n", topic_name(topic), i, answer.partitions[i].detail);
        }
        CHECK_EQ(answer.partitions[i].error, 0);
        CHECK_EQ(answer.partitions[i].base_offset, round);
    }
}

static void one_round(void)
{
    struct raw *r = raw_client(broker_port(1));
    int64_t start = check_now_ms();

    for (int t = 0; t < n_topics; t++) {
        produce_everywhere(r, t, n_rounds);
    }
    n_rounds++;
    printf("# a record to each of %d partitions: %lld ms\n", n_topics * PARTITIONS,
            (long long)(check_now_ms() - start));
    (void)raw_close(r);
}

/* They follow `offset` without a gap and are what was produced; gives the offset after the last. */
static offset64 check_records(struct bytes records, int topic, int partition, offset64 offset)
{
    char text[64];

    while (records.size > 0) {
        struct batch b;
        CHECK_EQ(batch_parse(records.at, records.size, &b), 0);
        CHECK(batch_crc_is_right(&b));
        CHECK_EQ(b.base_offset, offset);
        int size = record_text(text, sizeof(text), topic, partition, (int)offset);
        CHECK(memmem(records.at, b.size, text, (size_t)size) != NULL);
        offset = batch_last_offset(&b) + 1;
        records.at += b.size;
        records.size -= b.size;
    }
    return offset;
}

/* Every record of every partition of a topic. Asks for all that have more in one fetch, again until all has come: one
 * answer need not hold data of each, but it has no errors and moves something on. */
static int fetch_topic(struct raw *r, int topic)
{
    struct msg_fetch_partition *parts = mem_new_n(struct msg_fetch_partition, PARTITIONS);
    struct uuid id = raw_topic_id(r, topic_name(topic), NULL);
    struct buf body = {0};
    size_t n = PARTITIONS;
    int n_fetches = 0;

    for (int i = 0; i < PARTITIONS; i++) {
        parts[i] = raw_fetch_from(&id, i, 0);
    }
    while (n > 0) {
        struct msg_fetch_response got;
        struct raw_answer a;
        size_t n_left = 0;
        bool has_data = false;
        buf_clear(&body);
        raw_encode_fetch(&body, 1000, 1, 50 * 1024 * 1024, parts, n);
        raw_call(r, API_FETCH, &body, &a);
        raw_decode_fetch(&a, &got);
        CHECK_EQ(got.n_partitions, n);
        n_fetches++;
        for (size_t i = 0; i < n; i++) {
            const struct msg_fetch_result *g = &got.partitions[i];
            if (g->error != 0) {
                printf("# %s-%d: %s\n", topic_name(topic), g->partition, g->detail);
            }
            CHECK_EQ(g->error, 0);
            CHECK_EQ(g->partition, parts[i].partition);
            CHECK_EQ(g->high_watermark, n_rounds);
            has_data = has_data || g->records.size > 0;
            parts[i].fetch_offset =
                    check_records(g->records, topic, g->partition, parts[i].fetch_offset);
            if (parts[i].fetch_offset < n_rounds) {
                parts[n_left++] = parts[i];
            }
        }
        CHECK(has_data);
        n = n_left;
    }
    mem_free(parts);
    buf_deinit(&body);
    return n_fetches;
}

static void fetch_everything(void)
{
    struct raw *r = raw_client(broker_port(1));
    int64_t start = check_now_ms();
    int n_fetches = 0;

    for (int t = 0; t < n_topics; t++) {
        n_fetches += fetch_topic(r, t);
    }
    printf("# all of it fetched: %d fetches, %lld ms\n", n_fetches,
            (long long)(check_now_ms() - start));
    (void)raw_close(r);
}

static int compare_lines(const void *a, const void *b)
{
    const char *const *one = a;
    const char *const *other = b;

    return strcmp(*one, *other);
}

static void topics_of_many_partitions_are_made(void)
{
    int64_t start;
    char partitions[16];

    begin();
    start = check_now_ms();
    (void)snprintf(partitions, sizeof(partitions), "%d", PARTITIONS);
    for (int t = 0; t < n_topics; t++) {
        (void)WEIR_OK("topic", "create", topic_name(t), "-p", partitions);
    }
    struct raw *r = raw_client(broker_port(1));
    for (int t = 0; t < n_topics; t++) {
        (void)raw_topic_id(r, topic_name(t), NULL); /* waits for the leaders */
    }
    printf("# %d partitions made and led: %lld ms\n", n_topics * PARTITIONS,
            (long long)(check_now_ms() - start));
    (void)check_fds("with no data yet");
}

static void every_partition_takes_and_gives_records(void)
{
    begin();
    for (int i = 0; i < 3; i++) {
        one_round();
        (void)check_fds("after a round of records");
    }
    fetch_everything();
    (void)check_fds("after reading all of it");
}

static void weir_consume_reads_all_partitions_of_a_topic(void)
{
    const char *lines[PARTITIONS * ROUNDS_MAX];
    size_t n = 0;
    char text[64];

    begin();
    char *all = mem_strdup(WEIR_OK("consume", topic_name(0), "-o", "start", "--exit-at-end"));
    char *rest = NULL;
    for (char *line = strtok_r(all, "\n", &rest); line != NULL;
            line = strtok_r(NULL, "\n", &rest)) {
        CHECK(n < sizeof(lines) / sizeof(lines[0]));
        lines[n++] = line;
    }
    CHECK_EQ(n, PARTITIONS * n_rounds);
    qsort(lines, n, sizeof(lines[0]), compare_lines);
    for (size_t i = 1; i < n; i++) {
        CHECK(strcmp(lines[i - 1], lines[i]) != 0); /* none twice, so each once */
    }
    (void)record_text(text, sizeof(text), 0, 0, 0);
    CHECK_STR(lines[0], text);
    mem_free(all);
    (void)check_fds("after weir consume");
}

static void many_slow_readers_at_once_leave_descriptors_free(void)
{
    enum {
        N_READERS = 8,
        N_FETCHES = 100 /* more than the sockets hold */
    };
    struct raw *readers[N_READERS];
    struct msg_fetch_partition *parts = mem_new_n(struct msg_fetch_partition, PARTITIONS);
    struct buf body = {0};

    begin();
    struct raw *r = raw_client(broker_port(1));
    for (int k = 0; k < N_READERS; k++) {
        struct uuid id = raw_topic_id(r, topic_name(k % n_topics), NULL);
        for (int i = 0; i < PARTITIONS; i++) {
            parts[i] = raw_fetch_from(&id, i, 0);
        }
        readers[k] = raw_client(broker_port(1));
        buf_clear(&body);
        raw_encode_fetch(&body, 0, 1, 50 * 1024 * 1024, parts, PARTITIONS);
        for (int i = 0; i < N_FETCHES; i++) {
            (void)raw_ask(readers[k], API_FETCH, &body);
        }
    }
    one_round(); /* Writers need files too. */
    (void)check_fds("while slow readers hold answers");
    for (int k = 0; k < N_READERS; k++) {
        struct msg_fetch_response got;
        struct raw_answer a;
        CHECK_EQ(raw_read(readers[k], 20000, &a), RAW_FRAME);
        raw_decode_fetch(&a, &got);
        CHECK_EQ(got.n_partitions, PARTITIONS);
    }
    mem_free(parts);
    buf_deinit(&body);
    raw_close_all();
    fetch_everything();
}

static void after_a_restart_all_are_served_again(void)
{
    begin();
    int64_t start = check_now_ms();
    node_stop("broker-1");
    printf("# stopped after %lld ms\n", (long long)(check_now_ms() - start));
    start = check_now_ms();
    node_start("broker-1");
    node_wait_ready("broker-1");
    printf("# ready after %lld ms\n", (long long)(check_now_ms() - start));
    fetch_everything();
    one_round();
    fetch_everything();
    (void)check_fds("after a restart");
}

static void after_a_kill_all_are_served_again(void)
{
    begin();
    one_round();
    node_kill("broker-1");
    int64_t start = check_now_ms();
    node_start("broker-1");
    node_wait_ready("broker-1");
    printf("# ready after %lld ms\n", (long long)(check_now_ms() - start));
    fetch_everything();
    one_round();
    fetch_everything();
    (void)check_fds("after a kill");
}

/* Folders below `path` whose name begins so. */
static unsigned n_folders(const char *path, const char *prefix)
{
    DIR *d = opendir(path);
    const struct dirent *e;
    unsigned n = 0;

    while (d != NULL && (e = readdir(d)) != NULL) {
        n += strncmp(e->d_name, prefix, strlen(prefix)) == 0 && strcmp(e->d_name, ".") != 0 &&
                             strcmp(e->d_name, "..") != 0
                     ? 1
                     : 0;
    }
    if (d != NULL) {
        (void)closedir(d);
    }
    return n;
}

static void deleted_topics_leave_no_folder(void)
{
    begin();
    char *data = node_path("broker-1", "data");
    char *trash = mem_format("%s/.trash", data);
    CHECK_EQ(n_folders(data, "many-"), n_topics * PARTITIONS);
    int64_t start = check_now_ms();
    for (int t = 0; t < n_topics; t++) {
        (void)WEIR_OK("topic", "delete", "--now", topic_name(t), "-y");
    }
    CHECK_WITHIN(REMOVED_MS * n_topics, n_folders(data, "many-") == 0);
    printf("# in the trash after %lld ms\n", (long long)(check_now_ms() - start));
    CHECK_WITHIN(REMOVED_MS * n_topics, n_folders(trash, "") == 0);
    printf("# gone after %lld ms\n", (long long)(check_now_ms() - start));
    CHECK(strstr(WEIR_OK("topic", "list", "-O", "json"), "many-") == NULL);
    (void)check_fds("after the deletion");
    mem_free(data);
    mem_free(trash);
}

static void the_nodes_end_clean(void)
{
    begin();
    CHECK(!node_log_has("broker-1", "level=error"));
    cluster_down();
}

static const struct check_case cases[] = {
        CASE(topics_of_many_partitions_are_made),
        CASE(every_partition_takes_and_gives_records),
        CASE(weir_consume_reads_all_partitions_of_a_topic),
        CASE(many_slow_readers_at_once_leave_descriptors_free),
        CASE(after_a_restart_all_are_served_again),
        CASE(after_a_kill_all_are_served_again),
        CASE(deleted_topics_leave_no_folder),
        CASE(the_nodes_end_clean),
};

CHECK_MAIN("many", cases)
