/* SPDX-License-Identifier: Apache-2.0 */
/* Each single operation on the way of a record to the disk fails once: appends, rolls, seals, snapshots, checkpoints
 * and the orderly stop. Nothing acknowledged is lost, and nothing is there twice. */
#include "tests/cluster/broker_world.h"

#include "common/base/mem.h"
#include "common/base/prng.h"
#include "common/domain/errcode.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    SWEPT = 2, /* topic of one partition, whose segments have 1 MiB */
    VALUE_SIZE = 300 * 1024,
    N_BATCHES = 8, /* a round: two rolls or three */
    FAILURES = 8 /* each of the steps once */
};

/* What one producer has had acknowledged: batch i is record i. */
struct writer {
    int32_t n;
};

static struct world *world_swept(void)
{
    begin_faults();
    struct world *w = world_serving();
    create_topic(w, SWEPT, "swept", 1, "segment.bytes", "1048576");
    return w;
}

/* The error; when there is none the batch is the next one of its producer. */
static int put(struct world *w, struct writer *p)
{
    struct batch_build_options o = {.producer_id = 5, .base_sequence = p->n};
    uint8_t *value = mem_alloc(VALUE_SIZE);
    struct record rec = {.timestamp = (wall_ms)time(NULL) * 1000, .value = {value, VALUE_SIZE}};
    struct batch_builder bb = {0};
    struct buf batch = {0};

    memcpy(value, &p->n, sizeof(p->n));
    batch_builder_add(&bb, &rec, NULL);
    batch_builder_finish(
            &bb, &o, CODEC_NONE, (struct bytes){bb.records.data, bb.records.size}, &batch);
    struct msg_produce_result result = produce_bytes(w, SWEPT, -1, &batch);
    if (result.error == ERRCODE_NONE) {
        CHECK_EQ(result.base_offset, p->n);
        p->n++;
    }
    batch_builder_deinit(&bb);
    buf_deinit(&batch);
    mem_free(value);
    return result.error;
}

static offset64 check_record(const struct batch *b, offset64 offset)
{
    struct record_iter it;
    struct record rec;
    int32_t number = -1;

    CHECK(batch_crc_is_right(b));
    CHECK_EQ(b->base_offset, offset);
    record_iter_init(&it, b, b->bytes + BATCH_HEADER_SIZE, b->size - BATCH_HEADER_SIZE);
    CHECK_EQ(record_iter_next(&it, &rec), 0);
    CHECK_EQ(rec.value.size, VALUE_SIZE);
    memcpy(&number, rec.value.at, sizeof(number));
    CHECK_EQ(number, offset);
    return batch_last_offset(b) + 1;
}

/* Everything acknowledged is there, once; what was not may follow. */
static void check_all(struct world *w, const struct writer *p)
{
    offset64 at = 0;

    while (at < p->n) {
        struct reply r;

        call(w, w->client, API_FETCH, fetch_out(SWEPT, at, 0, 1, EPOCH_NONE), &r);
        struct msg_fetch_result f = fetched(&r);
        CHECK_EQ(f.error, ERRCODE_NONE);
        CHECK(f.records.size > 0);
        for (struct bytes left = f.records; left.size > 0;) {
            struct batch b;

            CHECK_EQ(batch_parse(left.at, left.size, &b), 0);
            at = check_record(&b, at);
            left.at += b.size;
            left.size -= b.size;
        }
        reply_free(&r);
    }
}

static void start_again(struct world *w)
{
    w->client = w->controller = NULL;
    start_broker(w);
    connect_controller(w);
    admit_broker(w);
    connect_client(w);
}

/* --- A disk that is full for one operation ---------------------------------------------------- */

/* The nth operation finds no room. The producer may be refused and asks again; the directory stays in service. */
static void sweep_full_disk(struct world *w, struct writer *p, const char *operation)
{
    char line[64];
    int n = 0, met = 0;

    do {
        int32_t target = p->n + 4; /* one roll or two */

        n++;
        (void)snprintf(line, sizeof(line), "%s fail 28 /swept-0/ %d\n", operation, n);
        set_faults(line);
        while (p->n < target) {
            int error = put(w, p);
            CHECK(error == ERRCODE_NONE || error == ERRCODE_KAFKA_STORAGE_ERROR);
        }
        met = faults_met(0);
    } while (met >= n && n < 40);
    set_faults("");
    (void)fprintf(stderr, "# %s: %d steps of a full disk\n", operation, n - 1);
    CHECK(n > 1);
}

static void a_full_disk_at_any_step_costs_no_record(void) /* [LOG-120] */
{
    static const char *const operations[] = {"write", "open", "rename"};
    struct world *w = world_swept();
    struct writer p = {0};

    for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
        sweep_full_disk(w, &p, operations[i]);
    }
    check_all(w, &p);
    CHECK(!file_has(w->log, "event=directory_failed"));
    CHECK(!file_has(w->log, "event=replica_failed"));
    CHECK_EQ(stop_broker(w, SIGTERM), 0);
    start_again(w);
    check_all(w, &p);
    world_free(w);
}

/* --- A disk that fails ------------------------------------------------------------------------ */

struct step {
    const char *operation, *part;
    int n; /* how often it happened in a round without a fault */
};

static struct step steps[] = {{"write", "/swept-0/", 0}, {"sync", "/swept-0", 0},
        {"rename", "/swept-0/", 0}, {"truncate", "/swept-0/", 0}, {"write", ".ckpt", 0},
        {"sync", ".ckpt", 0}, {"rename", ".ckpt", 0}, {"rename", "clean.marker", 0}};

enum {
    N_STEPS = sizeof(steps) / sizeof(steps[0])
};

/* Appends and an orderly stop; the exit code. */
static int play_round(struct world *w, struct writer *p)
{
    int32_t target = p->n + N_BATCHES;
    int error = ERRCODE_NONE;

    while (p->n < target && error == ERRCODE_NONE) {
        error = put(w, p);
    }
    CHECK(error == ERRCODE_NONE || error == ERRCODE_KAFKA_STORAGE_ERROR);
    if (error != ERRCODE_NONE) {
        CHECK_EQ(put(w, p), ERRCODE_KAFKA_STORAGE_ERROR); /* the second write would do */
    }
    return stop_broker(w, SIGTERM);
}

static void count_steps(struct world *w, struct writer *p)
{
    char lines[1024] = "";

    for (int i = 0; i < N_STEPS; i++) {
        size_t size = strlen(lines);
        (void)snprintf(lines + size, sizeof(lines) - size, "%s count 0 %s 1000000\n",
                steps[i].operation, steps[i].part);
    }
    set_faults(lines);
    CHECK_EQ(play_round(w, p), 0);
    for (int i = 0; i < N_STEPS; i++) {
        steps[i].n = faults_met(i);
        (void)fprintf(stderr, "# %s of %s: %d\n", steps[i].operation, steps[i].part, steps[i].n);
    }
    set_faults("");
    start_again(w);
}

/* [BRK-43] [LOG-72] The first EIO latches the directory: nothing is acknowledged after it, it is not left clean. */
static void an_error_at_any_step_latches_the_directory(void)
{
    struct world *w = world_swept();
    struct writer p = {0};
    struct prng prng;
    char line[64];

    prng_init(&prng, check_seed());
    count_steps(w, &p);
    for (int i = 0; i < FAILURES; i++) {
        const struct step *s = &steps[i % N_STEPS];
        int n = 1 + (int)prng_below(&prng, (uint64_t)(s->n > 0 ? s->n : 1));

        (void)snprintf(line, sizeof(line), "%s fail 5 %s %d\n", s->operation, s->part, n);
        set_faults(line);
        int code = play_round(w, &p);
        bool was_met = faults_met(0) >= n;
        (void)fprintf(stderr, "# %.*s: met %d, exit %d\n", (int)strcspn(line, "\n"), line,
                faults_met(0), code);
        CHECK_EQ(code, was_met ? 1 : 0);
        CHECK(!was_met || file_has(w->log, "event=directory_failed"));
        set_faults("");
        CHECK_EQ(truncate(w->log, 0), 0);
        start_again(w);
        check_all(w, &p);
    }
    CHECK_EQ(put(w, &p), ERRCODE_NONE); /* what was in doubt is there once */
    world_free(w);
}

static const struct check_case cases[] = {
        CASE(a_full_disk_at_any_step_costs_no_record),
        CASE(an_error_at_any_step_latches_the_directory),
        CASE(stop_zookeeper),
};
CHECK_MAIN("nth_fault", cases)
