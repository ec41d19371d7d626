/* SPDX-License-Identifier: Apache-2.0 */
/* A broker on a file system of 64 MiB that runs full: docs/design/49-space.md. */
#include "tests/lib/check.h"
#include "tests/lib/cluster.h"

#include "common/base/mem.h"
#include "common/base/prng.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    LINE_SIZE = 1000,
    FILE_LINES = 40 * 1000, /* 40 MB: one goes in, two do not */
    BACK_MS = 30000
};

static char *disk;      /* where the small file system is */
static char file[512]; /* of FILE_LINES lines */

static void make_file(void)
{
    static char line[LINE_SIZE];
    struct prng p;

    (void)snprintf(file, sizeof(file), "%s/lines", test_folder());
    FILE *f = fopen(file, "we");
    CHECK(f != NULL);
    prng_init(&p, check_seed());
    for (int i = 0; i < FILE_LINES; i++) {
        int head = snprintf(line, sizeof(line), "%d ", i);
        for (int k = head; k < LINE_SIZE - 1; k++) {
            line[k] = (char)('a' + prng_below(&p, 26));
        }
        line[LINE_SIZE - 1] = '\n';
        CHECK_EQ(fwrite(line, 1, LINE_SIZE, f), LINE_SIZE);
    }
    CHECK_EQ(fclose(f), 0);
}

static void broker_on_a_small_disk(void)
{
    cluster_up_small();
    node_stop("broker-1");
    disk = node_path("broker-1", "data");
    CHECK_EQ(mount("tmpfs", disk, "tmpfs", 0, "size=64m"), 0);
    node_start("broker-1");
    node_wait_ready("broker-1");
}

static bool broker_shows(const char *text)
{
    struct buf body = {0};
    bool shows = http_request(controller_port(1), "GET", "/v1/brokers/1", NULL, false, &body) == 200 &&
                 strstr(buf_str(&body), text) != NULL;

    buf_deinit(&body);
    return shows;
}

static bool can_produce(const char *topic)
{
    struct run_result r = {0};
    char *line = mem_format("%s/line", test_folder());
    FILE *f = fopen(line, "we");

    CHECK(f != NULL && fputs("hello\n", f) >= 0 && fclose(f) == 0);
    WEIR(&r, "produce", topic, "-F", line, "--timeout", "2s");
    bool can = r.code == 0;
    run_result_deinit(&r);
    mem_free(line);
    return can;
}

/* How many of the lines can be read, each one whole and in order; from the start of the topic. */
static int readable_lines(void)
{
    char *command = mem_format("%s/clients/cli/weir consume big -o start --exit-at-end --timeout 20s > %s/read && "
                               "cat %s %s | head -c $(stat -c %%s %s/read) | cmp - %s/read && wc -l < %s/read",
            test_build_root(), test_folder(), file, file, test_folder(), test_folder(), test_folder());
    struct run_result r = {0};

    run_program((const char *const[]){"sh", "-c", command, NULL}, NULL, &r);
    if (r.code != 0) {
        check_fail(__FILE__, __LINE__, "%s%s", buf_str(&r.out), buf_str(&r.err));
    }
    int n = (int)strtol(buf_str(&r.out), NULL, 10);
    run_result_deinit(&r);
    mem_free(command);
    return n;
}

static void a_full_disk_stops_appends_alone_until_there_is_space(void) /* [LOG-120] [LOG-122] */
{
    struct run_result r = {0};

    make_file();
    broker_on_a_small_disk();
    pid_t pid = node_pid("broker-1");
    (void)WEIR_OK("topic", "create", "big", "-p", "1");
    (void)WEIR_OK("topic", "create", "small", "-p", "1");
    (void)WEIR_OK("produce", "big", "-F", file);
    WEIR(&r, "produce", "big", "-F", file, "--timeout", "3s");
    CHECK_EQ(r.code, 7); /* some went in */
    CHECK(strstr(buf_str(&r.err), "is full: less than weir.disk.reserve.bytes are free") != NULL);
    run_result_deinit(&r);
    CHECK_WITHIN(BACK_MS, broker_shows("\"state\": \"full\""));
    int n = readable_lines();
    CHECK(n > FILE_LINES && n < 2 * FILE_LINES);
    WEIR(&r, "status");
    CHECK_EQ(r.code, 10);
    CHECK(strstr(buf_str(&r.out), "is full (") != NULL);
    run_result_deinit(&r);
    CHECK(!can_produce("small"));

    /* It dies and comes back on the full disk. */
    CHECK_EQ(node_pid("broker-1"), pid);
    node_kill("broker-1");
    node_start("broker-1");
    node_wait_ready("broker-1");
    pid = node_pid("broker-1");
    CHECK_EQ(readable_lines(), n);

    (void)WEIR_OK("topic", "delete", "big", "-y");
    CHECK_WITHIN(BACK_MS, can_produce("small"));
    CHECK_WITHIN(BACK_MS, broker_shows("\"state\": \"ok\""));
    CHECK_EQ(node_pid("broker-1"), pid);
}

/* [LOG-23] Retention goes on where appends do not, and what it removed does not wait for its delay. */
static void records_that_have_had_their_time_make_room(void)
{
    struct run_result r = {0};

    (void)WEIR_OK("topic", "create", "rolling", "-p", "1", "-c", "segment.bytes=1MiB");
    (void)WEIR_OK("produce", "rolling", "-F", file);
    WEIR(&r, "produce", "rolling", "-F", file, "--timeout", "3s");
    CHECK_EQ(r.code, 7);
    run_result_deinit(&r);
    CHECK_WITHIN(BACK_MS, broker_shows("\"state\": \"full\""));
    (void)WEIR_OK("topic", "set", "rolling", "retention.bytes=4MiB");
    CHECK_WITHIN(BACK_MS, broker_shows("\"state\": \"ok\""));
    CHECK_WITHIN(BACK_MS, can_produce("small"));
    (void)WEIR_OK("topic", "delete", "rolling", "--now", "-y");
}

static void take_all_space(void)
{
    struct run_result r = {0};
    char *command = mem_format("cat /dev/zero >> %s/others 2>/dev/null; df --output=avail %s | tail -1", disk, disk);

    run_program((const char *const[]){"sh", "-c", command, NULL}, NULL, &r);
    CHECK_EQ(strtol(buf_str(&r.out), NULL, 10), 0);
    run_result_deinit(&r);
    mem_free(command);
}

/* Every new one is another file. */
static ino_t meta_image(void)
{
    char *path = mem_format("%s/meta.image", disk);
    struct stat st = {0};

    CHECK_EQ(stat(path, &st), 0);
    mem_free(path);
    return st.st_ino;
}

/* Logs in the trash or on their way there: the broker would give them up to make room ([TRS-12]), and
 * would not be full for long. */
static bool has_deleted_logs(void)
{
    char *command = mem_format(
            "find %s -name '*.log' | grep -v -e /small- -e /__weir_decisions- | grep -q .", disk);
    struct run_result r = {0};

    run_program((const char *const[]){"sh", "-c", command, NULL}, NULL, &r);
    bool has = r.code == 0;
    run_result_deinit(&r);
    mem_free(command);
    return has;
}

/* [LOG-123] Somebody else fills the last block. */
static void a_broker_stops_and_starts_without_a_free_block(void)
{
    ino_t image = meta_image();

    CHECK_WITHIN(BACK_MS, !has_deleted_logs());
    take_all_space();
    (void)WEIR_OK("topic", "set", "small", "retention.ms=86400000");
    CHECK_WITHIN(BACK_MS, meta_image() != image);
    CHECK_WITHIN(BACK_MS, broker_shows("\"state\": \"full\""));
    node_stop("broker-1");
    take_all_space(); /* also what it freed by itself */
    char *marker = mem_format("%s/clean.marker", disk);
    CHECK_EQ(access(marker, F_OK), 0);
    mem_free(marker);
    node_start("broker-1");
    node_wait_ready("broker-1");
    CHECK_STR(WEIR_OK("consume", "small", "-o", "start", "-n", "1"), "hello\n");
    CHECK(!can_produce("small"));
    char *others = mem_format("%s/others", disk);
    CHECK_EQ(unlink(others), 0);
    mem_free(others);
    CHECK_WITHIN(BACK_MS, can_produce("small"));
    node_stop("broker-1");
    CHECK_EQ(umount2(disk, MNT_DETACH), 0);
    disk = mem_free(disk);
    cluster_down();
}

static const struct check_case cases[] = {
        CASE(a_full_disk_stops_appends_alone_until_there_is_space),
        CASE(records_that_have_had_their_time_make_room),
        CASE(a_broker_stops_and_starts_without_a_free_block),
};

int main(int argc, char **argv)
{
    if (geteuid() != 0 || unshare(CLONE_NEWNS) != 0 ||
            mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) {
        printf("1..0 # SKIP a file system of its own needs root\n");
        return 0;
    }
    return check_main("space", cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
}
