/* SPDX-License-Identifier: Apache-2.0 */
/* Reassignments held back by weir.reassignment.bytes.per.second on a cluster of real processes: as slow as they are told, while
 * clients and other replicas go on. Speeds are judged by bytes: what must not have passed yet, and what must in the end. */
#include "common/base/array.h"
#include "common/base/mem.h"
#include "common/base/prng.h"
#include "common/base/wtime.h"
#include "tests/lib/check.h"
#include "tests/lib/cluster.h"
#include "tests/lib/seen.h"
#include "tests/lib/judged.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    MIB = 1 << 20,
    N_PARTITIONS = 12,
    DATA = 12 * MIB,
    LINE = 1000
};

static struct run_result r;

static wtime clock_now(void)
{
    struct timespec t;

    CHECK_EQ(clock_gettime(CLOCK_MONOTONIC, &t), 0);
    return WTIME_S(t.tv_sec) + t.tv_nsec / 1000;
}

static void begin(void)
{
    if (!cluster_is_up()) {
        cluster_up((const char *const[]){
                "--zookeepers", "1", "--controllers", "1", "--brokers", "3", "--set",
                "replica.fetch.response.max.bytes=2097152", NULL});
    }
}

/* --- What there is ---------------------------------------------------------------------------- */

/* So many partitions, each with its only replica on broker 1, and a MiB of records in each. */
static void make(const char *topic)
{
    struct buf lines = {0}, body = {0};
    char line[LINE + 1];
    struct prng p;

    buf_append_format(&body, "{\"name\": \"%s\", \"assignments\": [", topic);
    for (int i = 0; i < N_PARTITIONS; i++) {
        buf_append_format(&body, "%s[1]", i > 0 ? ", " : "");
    }
    buf_append_str(&body, "]}");
    json_decref(seen_call("POST", "/v1/topics", buf_str(&body)));
    buf_deinit(&body);
    prng_init(&p, 7);
    while (lines.size < DATA) {
        for (int i = 0; i < LINE; i++) {
            line[i] = (char)('a' + prng_below(&p, 26));
        }
        line[LINE - 1] = '\n';
        buf_append(&lines, line, LINE);
    }
    WEIR_WITH(&r, (&(struct run_options){.input = buf_str(&lines)}), "produce", topic);
    CHECK_EQ(r.code, 0);
    buf_deinit(&lines);
}

/* All of them to these brokers, in one plan; its operation. */
static int64_t move_all(const char *topic, const char *replicas, const char *limit)
{
    struct buf body = {0};

    buf_append_format(&body, "{\"throttle_bytes_per_s\": %s, \"plan\": [", limit);
    for (int i = 0; i < N_PARTITIONS; i++) {
        buf_append_format(&body, "%s{\"topic\": \"%s\", \"partition\": %d, \"replicas\": [%s]}",
                i > 0 ? ", " : "", topic, i, replicas);
    }
    buf_append_str(&body, "]}");
    json_t *answer = seen_call("POST", "/v1/reassignments", buf_str(&body));
    int64_t id = json_integer_value(json_object_get(answer, "operation"));

    json_decref(answer);
    buf_deinit(&body);
    return id;
}

static size_t n_moving(void)
{
    json_t *o = seen_call("GET", "/v1/reassignments", NULL);
    size_t n = json_array_size(json_object_get(o, "items"));

    json_decref(o);
    return n;
}

static int64_t metric_of(int broker, const char *name)
{
    char *start = mem_format("\n%s ", name);
    struct buf body = {0};

    CHECK_EQ(http_request(broker_http_port(broker), "GET", "/metrics", NULL, false, &body), 200);
    const char *at = strstr(buf_str(&body), start);

    CHECK(at != NULL);
    int64_t value = strtoll(at + strlen(start), NULL, 10);
    buf_deinit(&body);
    mem_free(start);
    return value;
}

static int64_t received(int broker)
{
    return metric_of(broker, "weir_broker_move_bytes_in_total");
}

/* Of all that moves: what is there, and what there will be; -1 = not known. */
static void progress(int64_t *ret_done, int64_t *ret_total)
{
    json_t *o = seen_call("GET", "/v1/reassignments", NULL), *p;
    size_t i;

    *ret_done = *ret_total = 0;
    json_array_foreach(json_object_get(o, "items"), i, p)
    {
        const json_t *done = json_object_get(p, "done_bytes");
        if (!json_is_integer(done)) {
            *ret_done = *ret_total = -1;
            break;
        }
        *ret_done += json_integer_value(done);
        *ret_total += json_integer_value(json_object_get(p, "total_bytes"));
    }
    json_decref(o);
}

/* [THR-8] Of an operation, from its begin to after its end: all that brokers told of. True: all has
 * arrived. */
static bool check_operation(int64_t id, int64_t *total)
{
    char *path = mem_format("/v1/operations/%" PRId64, id);
    json_t *o = seen_call("GET", path, NULL);
    const json_t *progress = json_object_get(o, "progress");
    int64_t now = json_integer_value(json_object_get(progress, "total_bytes")); /* null: 0 */
    int64_t done = json_integer_value(json_object_get(progress, "done_bytes"));

    CHECK(now >= *total && done <= now);
    *total = now;
    json_decref(o);
    mem_free(path);
    return done == now;
}

/* --- Cases ------------------------------------------------------------------------------------ */

/* [FET-5] No more than an answer has, and nothing else happens there: the rest comes in the next ones. */
static void more_than_an_answer_holds_moves(void)
{
    begin();
    make("still");
    (void)move_all("still", "1,2", "0");
    CHECK_WITHIN(20000, n_moving() == 0);
    CHECK(received(2) >= DATA);
    (void)WEIR_OK("topic", "delete", "still", "--now", "-y");
}

/* [THR-1] [THR-3] [THR-4] [THR-7] [THR-8] At 4 MiB a second, while others produce with acks=all. */
static void move_is_as_slow_as_told_and_clients_are_not(void)
{
    const int64_t rate = 4 * MIB;
    struct judged load = {0};
    bool was_told = false;
    int64_t sent = 0;

    begin();
    make("held");
    (void)WEIR_OK("topic", "create", "beside", "-p", "3", "-r", "3");
    judged_start(&load, "beside", 1, 200);
    int64_t before = received(2), held = metric_of(2, "weir_broker_move_held_in_milliseconds_total") +
                    metric_of(1, "weir_broker_move_held_out_milliseconds_total");
    wtime began = clock_now();

    int64_t operation = move_all("held", "2", "4194304"), in_all = 0;

    while (n_moving() > 0) {
        int64_t got = received(2) - before, done = 0, total = 0;
        wtime passed = clock_now() - began;

        CHECK(got <= rate * passed / WTIME_S(1) + 2 * MIB + rate / 4);
        CHECK(passed < WTIME_S(60));
        progress(&done, &total);
        if (total > 0) {
            CHECK(done >= sent || total < DATA); /* it grows while all of it moves */
            sent = total < DATA ? sent : done;
            was_told = true;
        }
        (void)check_operation(operation, &in_all);
        (void)usleep(50000);
    }
    CHECK(was_told);
    CHECK_WITHIN(5000, check_operation(operation, &in_all));
    CHECK(in_all >= DATA / 2); /* the first are over before anybody was asked */
    CHECK(clock_now() - began >= WTIME_S(1));
    CHECK(received(2) - before >= DATA);
    CHECK(metric_of(2, "weir_broker_move_held_in_milliseconds_total") +
                    metric_of(1, "weir_broker_move_held_out_milliseconds_total") >
            held);
    struct judged_sum sum = judged_end(&load);

    CHECK_EQ(sum.n_failed + sum.n_errors, 0);
    CHECK(sum.longest_gap_ms < 1500);
    WEIR(&r, "cluster", "config", "get", "weir.reassignment.bytes.per.second");
    CHECK(strstr(buf_str(&r.out), "4194304") != NULL);
}

/* [THR-5] What would take twelve seconds ends soon when the limit is raised. */
static void raised_limit_holds_at_once(void)
{
    begin();
    int64_t before = received(3), fetches = metric_of(2, "weir_broker_replica_fetches_total");
    wtime began = clock_now();

    (void)move_all("held", "3", "1048576");
    CHECK_WITHIN(10000, received(3) - before > 5 * MIB / 2);
    CHECK(received(3) - before < DATA / 2);
    /* Nobody asks all the time meanwhile: a pause is a twentieth of a second. */
    fetches = metric_of(2, "weir_broker_replica_fetches_total") - fetches;
    CHECK(fetches < 100 * ((clock_now() - began) / WTIME_S(1) + 1));
    printf("# %" PRId64 " fetches in %" PRId64 " ms\n", fetches, (clock_now() - began) / 1000);
    (void)WEIR_OK("cluster", "config", "set", "weir.reassignment.bytes.per.second=0");
    CHECK_WITHIN(8000, n_moving() == 0);
    CHECK(received(3) - before >= DATA);
    cluster_down();
}

static const struct check_case cases[] = {
        CASE(more_than_an_answer_holds_moves),
        CASE(move_is_as_slow_as_told_and_clients_are_not),
        CASE(raised_limit_holds_at_once),
};

int main(int argc, char **argv)
{
    int result = check_main("throttle", cases, COUNT_OF(cases), argc, argv);

    run_result_deinit(&r);
    return result;
}
