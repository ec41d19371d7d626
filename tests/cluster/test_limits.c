/* SPDX-License-Identifier: Apache-2.0 */
/* A broker that gets no descriptors, or no memory: nothing is acknowledged that was not written, whoever asks is told,
 * the disk is not blamed, and all goes on when there are some again. */
#include "common/domain/errcode.h"
#include "tests/cluster/numbered.h"
#include "tests/lib/faults.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum {
    FIRST = 2, /* topic */
    N_TOPICS = 4,
    STEP = 12 /* descriptors more each time, from none on */
};

static int32_t acked[N_TOPICS];

/* New descriptors have numbers below it; those that are open stay. Returns the limit before. */
static rlim_t limit_descriptors(const struct world *w, rlim_t limit)
{
    struct rlimit now;

    CHECK_EQ(prlimit(w->pid, RLIMIT_NOFILE, NULL, &now), 0);
    rlim_t before = now.rlim_cur;
    now.rlim_cur = limit;
    CHECK_EQ(prlimit(w->pid, RLIMIT_NOFILE, &now, NULL), 0);
    return before;
}

static struct world *world_of_topics(void)
{
    struct world *w = world_serving();

    for (int i = 0; i < N_TOPICS; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "t%d", i);
        create_numbered(w, (uint8_t)(FIRST + i), name);
        acked[i] = 0;
    }
    return w;
}

/* Whether the next record of topic `i` was acknowledged. */
static bool put_next(struct world *w, int i)
{
    int error = put_numbered(w, (uint8_t)(FIRST + i), acked[i]).error;

    CHECK(error == ERRCODE_NONE || error == ERRCODE_KAFKA_STORAGE_ERROR ||
            error == ERRCODE_REPLICA_NOT_AVAILABLE);
    acked[i] += error == ERRCODE_NONE ? 1 : 0;
    return error == ERRCODE_NONE;
}

static void check_acknowledged(struct world *w)
{
    for (int i = 0; i < N_TOPICS; i++) {
        int error = -1;
        CHECK_EQ(read_numbered(w, (uint8_t)(FIRST + i), 0, &error), acked[i]);
        CHECK_EQ(error, ERRCODE_NONE);
    }
}

static void without_descriptors_nothing_is_acknowledged_unwritten(void) /* [BRK-43] */
{
    struct world *w = world_of_topics();
    int n_refused = 0;

    CHECK(put_next(w, 0)); /* its folder is there, its files are open */
    rlim_t before = limit_descriptors(w, 3);
    for (rlim_t limit = 3; limit < 3 + 5 * STEP; limit += STEP) {
        int n_before = n_refused;
        (void)limit_descriptors(w, limit);
        for (int k = 0; k < 4 * N_TOPICS; k++) { /* a roll of each */
            n_refused += put_next(w, k % N_TOPICS) ? 0 : 1;
        }
        (void)fprintf(stderr, "# below %d: %d of %d refused\n", (int)limit, n_refused - n_before,
                4 * N_TOPICS);
    }
    CHECK(n_refused > 0);
    CHECK(file_has(w->log, "Too many open files"));
    (void)limit_descriptors(w, before);
    for (int i = 0; i < N_TOPICS; i++) {
        CHECK_WITHIN(ANSWER_MS, put_next(w, i));
    }
    connect_client(w);
    check_acknowledged(w);
    CHECK(!file_has(w->log, "event=directory_failed"));
    CHECK(!file_has(w->log, "event=replica_failed"));
    (void)stop_broker(w, SIGKILL);
    start_again(w);
    check_acknowledged(w);
    world_free(w);
}

/* What a peer's size asks for is refused: it is that connection which ends. */
static void without_memory_a_large_request_costs_its_connection(void)
{
    begin_faults();
    struct world *w = world_of_topics();

    CHECK(put_next(w, 0));
    set_faults("memory fail 12 200000 1+\n"); /* ENOMEM */
    for (int k = 0; k < 3; k++) {
        struct reply r;
        struct buf batch = {0};
        char *value = calloc(1, NUMBERED_SIZE);

        CHECK(value != NULL);
        memset(value, 'v', NUMBERED_SIZE - 1);
        build_batch(&batch, value, 1, numbered_time(0));
        free(value);
        ask(w, w->client, API_PRODUCE, produce_out(1, -1, &batch), &r);
        buf_deinit(&batch);
        CHECK(run_until(w, &r.is_there, ANSWER_MS));
        CHECK(r.error != ERRCODE_NONE);
        reply_free(&r);
        connect_client(w);
        CHECK_EQ(produce(w, -1, "small", 1, numbered_time(0)).error, ERRCODE_NONE);
    }
    CHECK(faults_met(0) >= 3);
    CHECK(file_has(w->log, "no memory for a frame of the peer"));
    set_faults("");
    CHECK_EQ(consume(w, 0, "small"), 3);
    CHECK(put_next(w, 0));
    check_acknowledged(w);
    CHECK(!file_has(w->log, "event=directory_failed"));
    world_free(w);
}

static const struct check_case cases[] = {
        CASE(without_descriptors_nothing_is_acknowledged_unwritten),
        CASE(without_memory_a_large_request_costs_its_connection),
        CASE(stop_zookeeper),
};
CHECK_MAIN("limits", cases)
