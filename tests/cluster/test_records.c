/* SPDX-License-Identifier: Apache-2.0 */
/* A record's whole way on a small cluster: files in through `weir produce`, the same files out of `weir consume`. */
#include "tests/lib/check.h"
#include "tests/lib/cluster.h"

#include "common/base/mem.h"
#include "common/base/prng.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *path_of(const char *name)
{
    static char paths[4][512];
    static unsigned next;
    char *path = paths[next++ % 4];

    (void)snprintf(path, 512, "%s/%s", test_folder(), name);
    return path;
}

static void write_file(const char *path, const void *bytes, size_t size)
{
    FILE *f = fopen(path, "we");

    CHECK(f != NULL);
    CHECK_EQ(fwrite(bytes, 1, size, f), size);
    CHECK_EQ(fclose(f), 0);
}

static bool same_files(const char *a, const char *b)
{
    struct run_result r = {0};

    run_program((const char *const[]){"cmp", a, b, NULL}, NULL, &r);
    if (r.code != 0) {
        printf("# %s%s", (const char *)r.out.data, (const char *)r.err.data);
    }
    int code = r.code;
    run_result_deinit(&r);
    return code == 0;
}

/* A log of `size` bytes whose lines look like a machine's: times, words, numbers, now and then a long one. */
static void make_log(const char *path, size_t size)
{
    static const char *const words[] = {
            "connection", "from", "accepted", "session", "opened", "failed", "kernel", "usb"};
    struct prng p;
    FILE *f = fopen(path, "we");
    size_t wrote = 0;

    CHECK(f != NULL);
    prng_init(&p, check_seed());
    for (unsigned line = 0; wrote < size; line++) {
        int n = fprintf(f, "Nov 21 %02u:%02u:%02u host app[%u]:", line / 3600 % 24, line / 60 % 60,
                line % 60, line);
        CHECK(n > 0);
        wrote += (size_t)n + 1;
        for (uint64_t k = prng_below(&p, line % 1000 == 999 ? 2000 : 14); k > 0; k--) {
            n = fprintf(f, " %s=%llx", words[prng_below(&p, 8)],
                    (unsigned long long)prng_below(&p, 1 << 30));
            CHECK(n > 0);
            wrote += (size_t)n;
        }
        CHECK(fputc('\n', f) == '\n');
    }
    CHECK_EQ(fclose(f), 0);
}

static void need_cluster(void)
{
    if (!cluster_is_up()) {
        cluster_up_small();
    }
}

static void round_trip(const char *topic, const char *codec, const char *file)
{
    const char *out = path_of("round-trip.out");

    (void)WEIR_OK("topic", "create", topic, "-p", "1");
    (void)WEIR_OK("produce", topic, "-F", file, "-z", codec);
    struct run_result r = {0};
    WEIR_WITH(&r, (&(struct run_options){.output_path = out, .timeout_ms = 120000}), "consume",
            topic, "-o", "start", "--exit-at-end");
    CHECK_EQ(r.code, 0);
    CHECK(same_files(file, out));
    run_result_deinit(&r);
}

static void a_log_comes_back_byte_for_byte_with_each_compression(void)
{
    static const char *const codecs[] = {"none", "gzip", "snappy", "lz4", "zstd"};
    const char *log = path_of("log");

    need_cluster();
    make_log(log, 8 * 1024 * 1024);
    for (size_t i = 0; i < 5; i++) {
        char topic[32];
        (void)snprintf(topic, sizeof(topic), "log-%s", codecs[i]);
        round_trip(topic, codecs[i], log);
    }
}

/* Bytes that no codec makes smaller fill whole batches up to the topic's limit. */
static void random_bytes_survive_each_compression(void)
{
    static const char *const codecs[] = {"gzip", "snappy", "lz4", "zstd"};

    enum {
        SIZE = 6 * 1024 * 1024
    };

    const char *file = path_of("random");
    struct prng p;
    struct buf b = {0};

    need_cluster();
    prng_init(&p, check_seed());
    uint8_t *at = buf_grow(&b, SIZE);
    for (size_t i = 0; i < SIZE; i++) {
        at[i] = (uint8_t)prng_u64(&p);
    }
    at[SIZE - 1] = '\n';
    write_file(file, b.data, b.size);
    for (size_t i = 0; i < 4; i++) {
        char topic[32];
        (void)snprintf(topic, sizeof(topic), "random-%s", codecs[i]);
        round_trip(topic, codecs[i], file);
    }
    buf_deinit(&b);
}

static void six_partitions_give_the_same_lines(void)
{
    const char *log = path_of("log6");
    const char *out = path_of("log6.out");
    struct run_result r = {0};

    need_cluster();
    make_log(log, 2 * 1024 * 1024);
    (void)WEIR_OK("topic", "create", "six", "-p", "6");
    (void)WEIR_OK("produce", "six", "-F", log);
    WEIR_WITH(&r, (&(struct run_options){.output_path = out}), "consume", "six", "-o", "start",
            "--exit-at-end");
    CHECK_EQ(r.code, 0);
    char *sort = mem_format(
            "LC_ALL=C sort %s > %s.sorted && LC_ALL=C sort %s > %s.sorted", log, log, out, out);
    CHECK_EQ(system(sort), 0);
    mem_free(sort);
    char *a = mem_format("%s.sorted", log);
    char *b = mem_format("%s.sorted", out);
    CHECK(same_files(a, b));
    mem_free(a);
    mem_free(b);
    run_result_deinit(&r);
}

static void odd_lines_survive(void)
{
    enum {
        LONG = 900 * 1024
    };

    const char *in = path_of("odd");
    const char *out = path_of("odd.out");
    struct buf b = {0};
    struct run_result r = {0};

    need_cluster();
    buf_append(&b, "a\0b\n\n\xff\xfe\xc3\x28\n\r\n", 11);
    uint8_t *line = buf_grow(&b, LONG);
    for (size_t i = 0; i < LONG; i++) {
        line[i] = (uint8_t)(i % 251 == '\n' ? 'n' : i % 251);
    }
    buf_append_str(&b, "\nlast\n");
    write_file(in, b.data, b.size);
    (void)WEIR_OK("topic", "create", "odd", "-p", "1");
    (void)WEIR_OK("produce", "odd", "-F", in);
    WEIR_WITH(&r, (&(struct run_options){.output_path = out}), "consume", "odd", "--exit-at-end");
    CHECK_EQ(r.code, 0);
    CHECK(same_files(in, out));
    buf_deinit(&b);
    run_result_deinit(&r);
}

static void an_unterminated_last_line_is_a_record_and_an_empty_line_an_empty_value(void)
{
    struct run_result r = {0};

    need_cluster();
    (void)WEIR_OK("topic", "create", "ends", "-p", "1");
    WEIR_WITH(&r, (&(struct run_options){.input = "one\n\nthree"}), "produce", "ends");
    CHECK_EQ(r.code, 0);
    CHECK_STR(WEIR_OK("consume", "ends", "--exit-at-end"), "one\n\nthree\n");
    run_result_deinit(&r);
}

static void keys_headers_and_formats(void)
{
    struct run_result r = {0};

    need_cluster();
    (void)WEIR_OK("topic", "create", "keyed", "-p", "3");
    WEIR_WITH(&r, (&(struct run_options){.input = "k1:v1\nk2:v2\nk1:v3\n"}), "produce", "keyed",
            "-K:", "-H", "from=test");
    CHECK_EQ(r.code, 0);
    WEIR(&r, "consume", "keyed", "--exit-at-end", "-f", "%k=%v\n");
    CHECK_EQ(r.code, 0);
    CHECK(strstr(buf_str(&r.out), "k1=v1\n") != NULL);
    CHECK(strstr(buf_str(&r.out), "k1=v3\n") > strstr(buf_str(&r.out), "k1=v1\n"));
    CHECK(strstr(buf_str(&r.out), "k2=v2\n") != NULL);
    WEIR(&r, "consume", "keyed", "--exit-at-end", "-O", "jsonl");
    CHECK_EQ(r.code, 0);
    CHECK(strstr(buf_str(&r.out), "\"from\"") != NULL);
    run_result_deinit(&r);
}

static void positions(void)
{
    struct run_result r = {0};

    need_cluster();
    (void)WEIR_OK("topic", "create", "positions", "-p", "1");
    WEIR_WITH(&r, (&(struct run_options){.input = "a\nb\nc\nd\ne\n"}), "produce", "positions");
    CHECK_EQ(r.code, 0);
    CHECK_STR(WEIR_OK("consume", "positions", "-o", "3", "--exit-at-end"), "d\ne\n");
    CHECK_STR(WEIR_OK("consume", "positions", "-o", "-2", "--exit-at-end"), "d\ne\n");
    CHECK_STR(WEIR_OK("consume", "positions", "-o", "+4", "--exit-at-end"), "e\n");
    CHECK_STR(WEIR_OK("consume", "positions", "-o", "end", "--exit-at-end"), "");
    CHECK_STR(WEIR_OK("consume", "positions", "-n", "2"), "a\nb\n");
    CHECK_STR(WEIR_OK("consume", "positions", "-o", "@1970-01-02", "--exit-at-end"),
            "a\nb\nc\nd\ne\n");
    CHECK_STR(WEIR_OK("consume", "positions", "-p", "0", "-o", "start", "-n", "1"), "a\n");
    run_result_deinit(&r);
}

static void acks_0_and_1_arrive(void)
{
    struct run_result r = {0};

    need_cluster();
    (void)WEIR_OK("topic", "create", "acks", "-p", "1");
    WEIR_WITH(&r, (&(struct run_options){.input = "zero\n"}), "produce", "acks", "--acks", "0");
    CHECK_EQ(r.code, 0);
    WEIR_WITH(&r, (&(struct run_options){.input = "one\n"}), "produce", "acks", "--acks", "1");
    CHECK_EQ(r.code, 0);
    CHECK_STR(WEIR_OK("consume", "acks", "-n", "2"), "zero\none\n");
    run_result_deinit(&r);
}

static void a_waiting_consumer_gets_what_comes_and_ends_quietly_on_interrupt(void)
{
    struct run_result r = {0};

    need_cluster();
    (void)WEIR_OK("topic", "create", "live", "-p", "2");
    pid_t pid = WEIR_BACKGROUND("live.out", NULL, "consume", "live");
    WEIR_WITH(&r, (&(struct run_options){.input = "hello\n"}), "produce", "live");
    CHECK_EQ(r.code, 0);
    char *grep = mem_format("grep -q hello %s", path_of("live.out"));
    CHECK_WITHIN(10000, system(grep) == 0);
    mem_free(grep);
    int code = run_wait(pid, SIGINT, 10000);
    CHECK(code == 0 || code == 130);
    run_result_deinit(&r);
}

static void a_closed_pipe_ends_consume_quietly(void)
{
    struct run_result r = {0};

    need_cluster();
    char *command = mem_format(
            "%s/clients/cli/weir consume log-none -o start | head -n 1", test_build_root());
    const char *log = path_of("pipe-log");
    make_log(log, 1024 * 1024);
    (void)WEIR_OK("topic", "create", "log-none", "--if-not-exists");
    (void)WEIR_OK("produce", "log-none", "-F", log);
    run_program((const char *const[]){"sh", "-c", command, NULL},
            &(struct run_options){.timeout_ms = 20000}, &r);
    CHECK_EQ(r.code, 0);
    CHECK(r.out.size > 10);
    CHECK(strstr(buf_str(&r.err), "error") == NULL);
    mem_free(command);
    run_result_deinit(&r);
}

static void mistakes_say_what_to_do(void)
{
    struct run_result r = {0};

    need_cluster();
    WEIR(&r, "consume", "no-such-topic", "--exit-at-end");
    CHECK_EQ(r.code, 3);
    CHECK(strstr(buf_str(&r.err), "weir topic create no-such-topic") != NULL);
    WEIR_WITH(&r, (&(struct run_options){.input = "x\n"}), "produce", "no-such-topic");
    CHECK_EQ(r.code, 3);
    WEIR(&r, "topic", "describe", "no-such-topic");
    CHECK_EQ(r.code, 3);
    (void)WEIR_OK("topic", "create", "twice", "-p", "1");
    WEIR(&r, "topic", "create", "twice");
    CHECK_EQ(r.code, 4);
    WEIR(&r, "topic", "create", "wide", "-r", "3");
    CHECK_EQ(r.code, 2);
    CHECK(strstr(buf_str(&r.err), "replication factor") != NULL);
    WEIR(&r, "consume", "twice", "--no-such-flag");
    CHECK_EQ(r.code, 2);
    WEIR(&r, "topik", "create", "x");
    CHECK_EQ(r.code, 2);
    CHECK(strstr(buf_str(&r.err), "Did you mean") != NULL);
    WEIR(&r, "topic", "delete", "twice");
    CHECK_EQ(r.code, 2); /* nobody is there to confirm */
    (void)WEIR_OK("topic", "delete", "twice", "-y");
    WEIR(&r, "topic", "describe", "twice");
    CHECK_EQ(r.code, 3);
    WEIR(&r, "consume", "six", "--brokers", "127.0.0.1:1", "--timeout", "1s", "--exit-at-end");
    CHECK_EQ(r.code, 6);
    WEIR(&r, "status", "--controller", "http://127.0.0.1:1", "--timeout", "1s");
    CHECK_EQ(r.code, 6);
    run_result_deinit(&r);
}

static void status_and_lists_speak_to_people_and_to_programs(void)
{
    struct run_result r = {0};

    need_cluster();
    (void)WEIR_OK("topic", "create", "listed", "-p", "2", "--if-not-exists");
    CHECK(strstr(WEIR_OK("topic", "list"), "listed") != NULL);
    CHECK(strstr(WEIR_OK("topic", "list", "-O", "json"), "\"name\": \"listed\"") != NULL);
    CHECK(strstr(WEIR_OK("broker", "list"), "up") != NULL);
    CHECK(strstr(WEIR_OK("status"), "1") != NULL);
    CHECK(strstr(WEIR_OK("topic", "describe", "listed"), "segment.bytes") != NULL);
    /* The brokers alone lead to the controllers. */
    (void)unsetenv("WEIR_CONTROLLER");
    CHECK(strstr(WEIR_OK("topic", "list"), "listed") != NULL);
    run_result_deinit(&r);
}

static void the_cluster_goes_down_whole(void)
{
    need_cluster();
    pid_t broker = node_pid("broker-1");
    CHECK(broker > 0);
    cluster_down();
    CHECK(!process_is_alive(broker));
}

/* What `command` (a shell's) prints and ends with. */
static void shell(const char *command, struct run_result *ret)
{
    run_program((const char *const[]){"sh", "-c", command, NULL}, NULL, ret);
}

static void files_of_a_log_are_read_offline(void)
{
    const char *log = path_of("offline");
    const char *copy = path_of("offline-copy");
    struct run_result r = {0};

    need_cluster();
    make_log(log, 1024 * 1024);
    round_trip("offline", "zstd", log);
    char *folder = node_path("broker-1", "data/offline-0");
    char *command = mem_format("%s/clients/cli/weir log dump -r -O jsonl %s/00000000000000000000.log | "
                               "jq -r '.records[].value' | cmp - %s",
            test_build_root(), folder, log);
    shell(command, &r);
    CHECK_EQ(r.code, 0);
    run_result_deinit(&r);
    WEIR(&r, "log", "verify", folder);
    CHECK_EQ(r.code, 0);
    CHECK(strstr(buf_str(&r.out), ": sound") != NULL);
    run_result_deinit(&r);

    /* A byte in the middle of a copy. */
    mem_free(command);
    command = mem_format("cp -r %s %s && printf x | dd of=%s/00000000000000000000.log bs=1 seek=5000 "
                         "conv=notrunc status=none",
            folder, copy, copy);
    shell(command, &r);
    CHECK_EQ(r.code, 0);
    run_result_deinit(&r);
    WEIR(&r, "log", "verify", copy);
    CHECK_EQ(r.code, 1);
    CHECK(strstr(buf_str(&r.out), "damage: ") != NULL);
    CHECK(strstr(buf_str(&r.out), "00000000000000000000.log, position ") != NULL);
    run_result_deinit(&r);
    char *file = mem_format("%s/00000000000000000000.log", copy);
    WEIR(&r, "log", "dump", file);
    CHECK_EQ(r.code, 1);
    CHECK(strstr(buf_str(&r.out), "WRONG") != NULL);
    run_result_deinit(&r);
    mem_free(file);
    mem_free(command);
    mem_free(folder);
}

static const struct check_case cases[] = {
        CASE(a_log_comes_back_byte_for_byte_with_each_compression),
        CASE(files_of_a_log_are_read_offline),
        CASE(random_bytes_survive_each_compression),
        CASE(six_partitions_give_the_same_lines),
        CASE(odd_lines_survive),
        CASE(an_unterminated_last_line_is_a_record_and_an_empty_line_an_empty_value),
        CASE(keys_headers_and_formats),
        CASE(positions),
        CASE(acks_0_and_1_arrive),
        CASE(a_waiting_consumer_gets_what_comes_and_ends_quietly_on_interrupt),
        CASE(a_closed_pipe_ends_consume_quietly),
        CASE(mistakes_say_what_to_do),
        CASE(status_and_lists_speak_to_people_and_to_programs),
        CASE(the_cluster_goes_down_whole),
};

CHECK_MAIN("records", cases)
