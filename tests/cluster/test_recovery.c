/* SPDX-License-Identifier: Apache-2.0 */
/* A broker that was killed, while it opens its logs again on a disk that is slow to read
 * (tests/lib/fault.c). */
#include "tests/cluster/broker_world.h"

#include "common/base/mem.h"
#include "common/domain/errcode.h"
#include "tests/lib/cluster.h"
#include "tests/lib/faults.h"
#include "tests/lib/run.h"

#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum {
    BATCHES = 12,
    BATCH_BYTES = 300 * 1024, /* five windows of the scan */
    PROMPT_MS = 1500
};

static void produce_large(struct world *w)
{
    uint8_t *value = mem_alloc(BATCH_BYTES);
    struct record rec = {.timestamp = (wall_ms)time(NULL) * 1000, .value = {value, BATCH_BYTES}};
    struct batch_build_options o = {.producer_id = -1, .base_sequence = -1};
    struct batch_builder bb = {0};
    struct buf batch = {0};

    batch_builder_add(&bb, &rec, NULL);
    batch_builder_finish(
            &bb, &o, CODEC_NONE, (struct bytes){bb.records.data, bb.records.size}, &batch);
    CHECK_EQ(produce_bytes(w, 1, -1, &batch).error, ERRCODE_NONE);
    batch_builder_deinit(&bb);
    buf_deinit(&batch);
    mem_free(value);
}

/* A log above whose recovery point there is much, and one with little; the broker was killed and
 * has been started again: each read of the first takes 100 ms. */
static struct world *world_recovering(void)
{
    struct world *w = world_new(true);

    begin_faults();
    w->more = "weir.flush.interval.ms=3600000";
    world_serve(w);
    create_topic(w, 2, "small", 1, NULL, NULL);
    for (int i = 0; i < BATCHES; i++) {
        produce_large(w);
    }
    struct buf batch = {0};
    build_batch(&batch, "kept", 3, (wall_ms)time(NULL) * 1000);
    CHECK_EQ(produce_bytes(w, 2, -1, &batch).error, ERRCODE_NONE);
    buf_deinit(&batch);
    (void)stop_broker(w, SIGKILL);
    w->client = w->controller = NULL;
    set_faults("read delay 100 /orders-0/00000000000000000000.log\n");
    start_broker(w);
    return w;
}

/* Status of GET /readyz, and its body; 0 = nobody answers. */
static int ready(struct world *w, json_t **ret)
{
    struct buf body = {0};
    int status = http_request(w->http_port, "GET", "/readyz", NULL, false, &body);

    *ret = status != 0 ? json_loads(buf_str(&body), 0, NULL) : NULL;
    CHECK(status == 0 || *ret != NULL);
    buf_deinit(&body);
    return status;
}

static int64_t number(json_t *from, const char *name)
{
    CHECK(json_is_integer(json_object_get(from, name)));
    return json_integer_value(json_object_get(from, name));
}

static bool answers(struct world *w, const char *path, int status)
{
    struct buf body = {0};
    int got = http_request(w->http_port, "GET", path, NULL, false, &body);

    buf_deinit(&body);
    return got == status;
}

/* Until some of it is read, not all. What is true at every moment is checked on the way. */
static void watch_progress(struct world *w)
{
    int64_t deadline = check_now_ms() + ANSWER_MS, scanned = 0;

    while (scanned == 0) {
        json_t *body;
        CHECK(check_now_ms() < deadline);
        if (ready(w, &body) != 0) {
            json_t *recovery = json_object_get(body, "recovery");
            json_t *dir = json_array_get(json_object_get(recovery, "dirs"), 0);
            CHECK(recovery != NULL);
            CHECK_EQ(number(recovery, "logs"), 2);
            CHECK(number(recovery, "logs_open") <= 1);
            CHECK(strcmp(json_string_value(json_object_get(dir, "crash_kind")), "process") == 0);
            CHECK(strcmp(json_string_value(json_object_get(dir, "path")), w->dir) == 0);
            if (json_is_true(json_object_get(dir, "measured"))) {
                scanned = number(dir, "bytes_scanned");
                CHECK(number(dir, "bytes_to_scan") > BATCHES * BATCH_BYTES);
                CHECK(scanned < number(dir, "bytes_to_scan"));
            }
            json_decref(body);
        }
        pause_loop(w, 20);
    }
}

static void while_logs_are_opened_readyz_says_how_far_it_is(void) /* [LOG-15] [BRK-17] */
{
    struct world *w = world_recovering();
    json_t *body;

    watch_progress(w);
    CHECK_EQ(ready(w, &body), 503);
    CHECK(strcmp(json_string_value(json_object_get(body, "status")), "not ready") == 0);
    json_decref(body);
    CHECK(answers(w, "/healthz", 200));
    CHECK(answers(w, "/metrics", 200));
    CHECK_WITHIN(ANSWER_MS, file_has(w->log, "event=recovery_progress"));
    CHECK(file_has(w->log, "event=recovery_began"));
    CHECK(!file_has(w->log, "event=recovery_done"));
    set_faults("");
    connect_controller(w); /* who connected meanwhile is greeted now */
    admit_broker(w);
    CHECK_WITHIN(ANSWER_MS, answers(w, "/readyz", 200));
    CHECK_EQ(ready(w, &body), 200);
    CHECK(json_object_get(body, "recovery") == NULL);
    json_decref(body);
    CHECK(file_has(w->log, "event=recovery_done"));
    CHECK(file_has(w->log, "crash_kind=process"));
    connect_client(w);
    CHECK_EQ(list(w, LIST_LATEST).offset, BATCHES);
    world_free(w);
}

static void a_stop_meanwhile_is_prompt_and_loses_nothing(void) /* [LOG-16] */
{
    struct world *w = world_recovering();
    int64_t began;
    char path[512];
    struct stat st;

    watch_progress(w);
    began = check_now_ms();
    CHECK_EQ(stop_broker(w, SIGTERM), 0);
    CHECK(check_now_ms() - began < PROMPT_MS);
    CHECK(file_has(w->log, "event=recovery_interrupted"));
    CHECK(!file_has(w->log, "event=replica_failed"));
    (void)snprintf(path, sizeof(path), "%s/clean.marker", w->dir);
    CHECK(stat(path, &st) != 0);
    set_faults("");
    start_broker(w);
    connect_controller(w);
    admit_broker(w);
    connect_client(w);
    CHECK_EQ(list(w, LIST_LATEST).offset, BATCHES);
    world_free(w);
}

static void a_stop_does_not_wait_for_a_disk_that_hangs(void) /* [LOG-16] */
{
    struct world *w = world_recovering();

    watch_progress(w);
    set_faults("read hang 0 /orders-0/00000000000000000000.log\n");
    pause_loop(w, 200); /* the read under way ends, the next one hangs */
    CHECK_EQ(stop_broker(w, SIGTERM), 1);
    CHECK(file_has(w->log, "event=recovery_hangs"));
    set_faults("");
    world_free(w);
}

static const struct check_case cases[] = {
        CASE(while_logs_are_opened_readyz_says_how_far_it_is),
        CASE(a_stop_meanwhile_is_prompt_and_loses_nothing),
        CASE(a_stop_does_not_wait_for_a_disk_that_hangs),
        CASE(stop_zookeeper),
};
CHECK_MAIN("recovery", cases)
