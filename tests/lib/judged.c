/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/judged.h"

#include "common/base/array.h"
#include "common/base/mem.h"
#include "tests/lib/check.h"
#include "tests/lib/cluster.h"
#include "tests/lib/load_result.h"

#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    END_MS = 90000
};

static void start_one(struct judged *j, int i, const char *program, const char *rate)
{
    j->out[i] = mem_format("%s/%s-%d.json", test_folder(), j->topic, i);
    j->history[i] = mem_format("%s/%s-%d.history", test_folder(), j->topic, i);
    j->pid[i] = run_background((const char *const[]){program, j->topic, "--rate", rate, "--consume",
                                       "--reread", "--no-verify", "--history", j->history[i], NULL},
            NULL, j->out[i]);
}

void judged_start(struct judged *j, const char *topic, int n, int rate)
{
    char *program = mem_format("%s/tests/lib/weir_load", test_build_root());
    char *rate_text = mem_format("%d", rate);

    CHECK(n >= 1);
    CHECK(n <= JUDGED_MAX);
    *j = (struct judged){.topic = topic, .n = n};
    for (int i = 0; i < n; i++) {
        start_one(j, i, program, rate_text);
    }
    mem_free(rate_text);
    mem_free(program);
    CHECK_WITHIN(10000, strchr(WEIR_OK("consume", topic, "-n", "1"), '-') != NULL);
}

void judged_crash(struct judged *j, int i)
{
    CHECK(j->pid[i] > 0);
    CHECK_EQ(run_wait(j->pid[i], SIGKILL, 10000), 128 + SIGKILL);
    j->pid[i] = 0;
}

static void add_figures(const char *path, struct judged_sum *sum)
{
    json_t *o = load_result(path);

    CHECK(o != NULL);
    int64_t gap = json_integer_value(json_object_get(o, "longest_gap_ms"));
    sum->n_acked += json_integer_value(json_object_get(o, "acked"));
    sum->n_failed += json_integer_value(json_object_get(o, "failed"));
    sum->n_unknown += json_integer_value(json_object_get(o, "perhaps_written"));
    sum->n_errors += (int64_t)json_object_size(json_object_get(o, "errors"));
    sum->longest_gap_ms = gap > sum->longest_gap_ms ? gap : sum->longest_gap_ms;
    json_decref(o);
}

static void judge(const struct judged *j)
{
    const char *argv[3 + 2 * JUDGED_MAX + 1] = {NULL};
    char *program = mem_format("%s/tests/lib/weir_load", test_build_root());
    struct run_result r = {0};
    size_t n = 0;

    argv[n++] = program;
    argv[n++] = "verify";
    argv[n++] = j->topic;
    for (int i = 0; i < j->n; i++) {
        argv[n++] = "--history";
        argv[n++] = j->history[i];
    }
    must(n < COUNT_OF(argv));
    run_program(argv, &(struct run_options){.timeout_ms = END_MS}, &r);
    printf("# %s: %s", j->topic, buf_str(&r.out));
    if (r.code != 0) {
        check_fail(__FILE__, __LINE__, "%s is not as it must be (%d): %.800s%.400s", j->topic,
                r.code, buf_str(&r.out), buf_str(&r.err));
    }
    run_result_deinit(&r);
    mem_free(program);
}

struct judged_sum judged_end(struct judged *j)
{
    struct judged_sum sum = {0};

    for (int i = 0; i < j->n; i++) {
        CHECK(j->pid[i] == 0 || kill(j->pid[i], SIGTERM) == 0);
    }
    for (int i = 0; i < j->n; i++) {
        if (j->pid[i] != 0) {
            CHECK_EQ(run_wait(j->pid[i], 0, END_MS), 0);
            add_figures(j->out[i], &sum);
        }
    }
    judge(j);
    printf("# %s: %lld acknowledged, %lld failed (%lld unknown), longest gap %lld ms\n", j->topic,
            (long long)sum.n_acked, (long long)sum.n_failed, (long long)sum.n_unknown,
            (long long)sum.longest_gap_ms);
    for (int i = 0; i < j->n; i++) {
        mem_free(j->out[i]);
        mem_free(j->history[i]);
    }
    return sum;
}

static void each_node(const char *kind, int n, void (*each)(const char *name))
{
    for (int id = 1; id <= n; id++) {
        char *name = mem_format("%s-%d", kind, id);
        each(name);
        mem_free(name);
    }
}

void judged_compare_logs(char *const *dirs, int n)
{
    char *program = mem_format("%s/tests/lib/weir_check", test_build_root());
    const char *argv[2 + JUDGED_MAX + 1] = {program, "--logs"};
    struct run_result r = {0};

    CHECK(n <= JUDGED_MAX);
    for (int i = 0; i < n; i++) {
        (void)WEIR_OK("log", "verify", dirs[i]);
        argv[2 + i] = dirs[i];
    }
    run_program(argv, NULL, &r);
    printf("# %s", buf_str(&r.out));
    if (r.code != 0) {
        check_fail(__FILE__, __LINE__, "%d: %s%s", r.code, buf_str(&r.out), buf_str(&r.err));
    }
    run_result_deinit(&r);
    mem_free(program);
}

/* At once, and nobody decides meanwhile: the journal of decisions would go on without who is
 * stopped first. */
void judged_logs_are_the_same(int n_brokers, int n_controllers)
{
    char *dirs[JUDGED_MAX] = {NULL};

    CHECK(n_brokers <= JUDGED_MAX);
    each_node("controller", n_controllers, node_kill);
    each_node("broker", n_brokers, node_kill);
    for (int i = 0; i < n_brokers; i++) {
        char *name = mem_format("broker-%d", i + 1);
        dirs[i] = node_path(name, "data");
        mem_free(name);
    }
    judged_compare_logs(dirs, n_brokers);
    each_node("controller", n_controllers, node_start);
    each_node("broker", n_brokers, node_start);
    for (int i = 0; i < n_brokers; i++) {
        mem_free(dirs[i]);
    }
}
