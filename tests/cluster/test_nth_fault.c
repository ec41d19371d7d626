/* SPDX-License-Identifier: Apache-2.0 */
/* Each single operation on the way of a record to the disk fails once: appends, rolls, seals, snapshots, checkpoints
 * and the orderly stop. Nothing acknowledged is lost, and nothing is there twice. */
#include "tests/cluster/numbered.h"

#include "common/base/prng.h"
#include "common/domain/errcode.h"
#include "tests/lib/faults.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    SWEPT = 2,     /* the topic */
    N_BATCHES = 8, /* a round: two rolls or three */
    FAILURES = 8   /* each of the steps once */
};

/* What one producer has had acknowledged: as many. */
struct writer {
    int32_t n;
};

static struct world *world_swept(void)
{
    begin_faults();
    struct world *w = world_serving();
    create_numbered(w, SWEPT, "swept");
    return w;
}

/* The error; when there is none the batch is the next one of its producer. */
static int put(struct world *w, struct writer *p)
{
    int error = put_numbered(w, SWEPT, p->n).error;

    p->n += error == ERRCODE_NONE ? 1 : 0;
    return error;
}

/* Everything acknowledged is there, once; what was not may follow. */
static void check_all(struct world *w, const struct writer *p)
{
    int error = -1;

    CHECK(read_numbered(w, SWEPT, 0, &error) >= p->n);
    CHECK_EQ(error, ERRCODE_NONE);
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
        int64_t give_up = check_now_ms() + ANSWER_MS;
        /* What is done in the background may come late: the first one comes. */
        while (p->n < target || (n == 1 && faults_met(0) == 0 && check_now_ms() < give_up)) {
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
