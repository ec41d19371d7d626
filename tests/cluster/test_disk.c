/* SPDX-License-Identifier: Apache-2.0 */
/* A broker whose disk hangs, is slow or fails, through tests/lib/fault.c. */
#include "tests/cluster/numbered.h"

#include "common/base/mem.h"
#include "common/domain/errcode.h"
#include "tests/lib/cluster.h"
#include "tests/lib/faults.h"
#include "tests/lib/run.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct world *world_on_bad_disk(void)
{
    begin_faults();
    world_stalls_after(2000);
    return world_serving();
}

/* A heartbeat and what it says of the folder. */
static struct msg_log_dir_state dir_state(struct world *w)
{
    struct msg_beat_request m = {
            .ctl_epoch = w->ctl_epoch, .committed_index = w->batches.n, .lease_ms = 5000};
    struct msg_beat_response got = {0};
    struct msg_log_dir_state ret;
    struct rpc_out *out = rpc_out_new();
    struct reply r;

    wire_encode_beat_request(&m, rpc_out_buf(out));
    call(w, w->controller, API_BEAT, out, &r);
    CHECK_EQ(r.error, ERRCODE_NONE);
    CHECK_EQ(wire_decode_beat_response(r.body, &r.arena, &got), 0);
    CHECK_EQ(got.n_dirs, 1);
    ret = got.dirs[0];
    ret.path = NULL;
    reply_free(&r);
    return ret;
}

/* Beats until the folder is refused (or in service again). */
static void wait_stalled(struct world *w, bool is_stalled)
{
    int64_t give_up = check_now_ms() + ANSWER_MS;

    while ((dir_state(w).stall_ms > 0) != is_stalled) {
        CHECK(check_now_ms() < give_up);
        pause_loop(w, 50);
    }
}

/* [BRK-40] [BRK-41] [BRK-42] Beats are answered the whole time. */
static void a_hanging_disk_refuses_appends_until_it_answers(void)
{
    struct world *w = world_on_bad_disk();

    CHECK_EQ(produce(w, -1, "x", 3, 0).error, ERRCODE_NONE);
    set_faults("sync hang 0 /case\n");
    wait_stalled(w, true);
    CHECK_EQ(produce(w, -1, "x", 1, 0).error, ERRCODE_KAFKA_STORAGE_ERROR);
    CHECK_EQ(consume(w, 0, "x"), 3);
    CHECK(!dir_state(w).failed);
    set_faults("");
    wait_stalled(w, false);
    CHECK_EQ(produce(w, -1, "x", 2, 0).error, ERRCODE_NONE);
    CHECK_EQ(consume(w, 0, "x"), 5);
    CHECK(file_has(w->log, "event=dir_stalled"));
    CHECK(file_has(w->log, "event=dir_answers"));
    world_free(w);
}

static void a_slow_disk_changes_nothing(void) /* [BRK-41] */
{
    struct world *w = world_on_bad_disk();
    int64_t give_up = check_now_ms() + ANSWER_MS;

    set_faults("sync delay 200 /.canary\n");
    while (dir_state(w).canary_ms < 200) {
        CHECK(check_now_ms() < give_up);
        CHECK_EQ(dir_state(w).stall_ms, 0);
        CHECK_EQ(produce(w, -1, "x", 1, 0).error, ERRCODE_NONE);
        pause_loop(w, 50);
    }
    CHECK(!file_has(w->log, "event=dir_stalled"));
    set_faults("");
    world_free(w);
}

static void an_error_of_the_canary_fails_the_folder(void) /* [BRK-43] */
{
    struct world *w = world_on_bad_disk();
    int64_t give_up = check_now_ms() + ANSWER_MS;

    set_faults("write fail 28 /.canary\n"); /* ENOSPC */
    pause_loop(w, 1500);
    CHECK(!dir_state(w).failed);
    CHECK_EQ(produce(w, -1, "x", 1, 0).error, ERRCODE_NONE);
    set_faults("sync fail 5 /.canary\n"); /* EIO */
    while (!dir_state(w).failed) {
        CHECK(check_now_ms() < give_up);
        pause_loop(w, 50);
    }
    CHECK_EQ(produce(w, -1, "x", 1, 0).error, ERRCODE_KAFKA_STORAGE_ERROR);
    set_faults("");
    CHECK_EQ(stop_broker(w, SIGTERM), 1); /* not left clean */
    world_free(w);
}

static int n_snapshots(struct world *w)
{
    char *path = mem_format("%s/big-0", w->dir);
    DIR *d = opendir(path);
    int n = 0;

    CHECK(d != NULL);
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        size_t size = strlen(e->d_name);
        n += size > 9 && strcmp(e->d_name + size - 9, ".snapshot") == 0;
    }
    (void)closedir(d);
    mem_free(path);
    return n;
}

static void a_snapshot_that_finds_no_room_is_written_later(void) /* [PID-32] */
{
    struct world *w = world_on_bad_disk();

    create_numbered(w, 2, "big");
    set_faults("write fail 28 .snapshot\n"); /* ENOSPC */
    for (int32_t i = 0; i < 5; i++) {
        CHECK_EQ(put_numbered(w, 2, i).error, ERRCODE_NONE);
    }
    CHECK_WITHIN(ANSWER_MS, file_has(w->log, "event=producer_snapshot_postponed"));
    CHECK_EQ(put_numbered(w, 2, 3).error, ERRCODE_NONE); /* a repeat */
    CHECK_EQ(put_numbered(w, 2, 5).error, ERRCODE_NONE);
    CHECK_EQ(n_snapshots(w), 0);
    set_faults("");
    CHECK_WITHIN(ANSWER_MS, n_snapshots(w) == 1);
    CHECK_EQ(put_numbered(w, 2, 7).error, ERRCODE_OUT_OF_ORDER_SEQUENCE_NUMBER);
    CHECK(!dir_state(w).failed);
    world_free(w);
}

/* [BRK-40] The thread in the kernel is not waited for. */
static void a_stop_does_not_wait_for_a_hanging_canary(void)
{
    struct world *w = world_on_bad_disk();

    set_faults("sync hang 0 /.canary\n");
    wait_stalled(w, true);
    CHECK_EQ(stop_broker(w, SIGTERM), 0);
    CHECK(file_has(w->log, "event=thread_left"));
    world_free(w);
}

/* --- With a real controller ---------------------------------------------------------------------- */

static bool broker_shows(const char *text)
{
    struct buf body = {0};
    bool shows = http_request(controller_port(1), "GET", "/v1/brokers/1", NULL, false, &body) ==
                         200 &&
                 strstr(buf_str(&body), text) != NULL;

    buf_deinit(&body);
    return shows;
}

/* The cluster's only broker, started by hand with the shim. */
static pid_t start_with_shim(void)
{
    char *conf = node_path("broker-1", "broker.conf");
    char *log = mem_format("%s/shimmed.log", test_folder());
    char *program = mem_format("%s/broker/weir-broker", test_build_root());
    const char *argv[8];
    int n = faults_preload(argv, 0);

    argv[n++] = program;
    argv[n++] = "--config";
    argv[n++] = conf;
    argv[n] = NULL;
    pid_t pid = run_background(argv, NULL, log);

    mem_free(program);
    mem_free(log);
    mem_free(conf);
    return pid;
}

static void a_broker_without_a_disk_is_fenced_until_it_comes_anew(void) /* [CTL-30] */
{
    begin_faults();
    cluster_up_small();
    node_kill("broker-1");
    pid_t pid = start_with_shim();
    node_wait_ready("broker-1"); /* the killed one may still be shown as up, or as fenced already */
    CHECK_WITHIN(ANSWER_MS, broker_shows("\"state\": \"up\"") && broker_shows("\"problem\": null"));
    set_faults("sync fail 5 /.canary\n"); /* EIO */
    CHECK_WITHIN(ANSWER_MS,
            broker_shows("\"state\": \"fenced\"") && broker_shows("\"state\": \"failed\""));
    set_faults("");
    CHECK_EQ(run_wait(pid, SIGTERM, 20000), 1);
    node_start("broker-1");
    node_wait_ready("broker-1");
    CHECK_WITHIN(ANSWER_MS, broker_shows("\"state\": \"up\""));
    CHECK(strstr(WEIR_OK("explain", "broker", "1"), "all of its log directories have failed") !=
            NULL);
    cluster_down();
}

static const struct check_case cases[] = {
        CASE(a_hanging_disk_refuses_appends_until_it_answers),
        CASE(a_slow_disk_changes_nothing),
        CASE(an_error_of_the_canary_fails_the_folder),
        CASE(a_snapshot_that_finds_no_room_is_written_later),
        CASE(a_stop_does_not_wait_for_a_hanging_canary),
        CASE(stop_zookeeper),
        CASE(a_broker_without_a_disk_is_fenced_until_it_comes_anew),
};
CHECK_MAIN("disk", cases)
