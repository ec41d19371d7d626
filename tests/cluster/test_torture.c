/* SPDX-License-Identifier: Apache-2.0 */
/* `weir dev torture` on real processes, and its history judged again. */
#include "common/base/mem.h"
#include "tests/lib/check.h"
#include "tests/lib/cluster.h"
#include "tests/lib/judged.h"

#include <stdio.h>
#include <stdlib.h>

static int judge(const char *history, struct run_result *r)
{
    char *program = mem_format("%s/tests/lib/weir_check", test_build_root());

    run_program((const char *const[]){program, history, NULL}, NULL, r);
    mem_free(program);
    return r->code;
}

/* A copy of the history without the lines of reading that have the value of this line's send. */
static void leave_out_a_value(const char *from, const char *to)
{
    FILE *in = fopen(from, "re");
    FILE *out = fopen(to, "we");
    char *line = NULL;
    size_t room = 0;
    char value[64] = "";
    int n_acked = 0;

    CHECK(in != NULL);
    CHECK(out != NULL);
    while (getline(&line, &room, in) > 0) {
        const char *quote = strstr(line, "\"ok\",\"f\":\"send\"");
        if (quote != NULL && ++n_acked == 100) {
            CHECK_EQ(sscanf(quote, "\"ok\",\"f\":\"send\",\"value\":[\"%*[^\"]\",%*d,\"%60[^\"]\"",
                             value),
                    1);
            value[strlen(value)] = '"'; /* the whole value: there is room behind it */
        }
    }
    CHECK(value[0] != '\0');
    rewind(in);
    while (getline(&line, &room, in) > 0) {
        bool is_read_of_it = strstr(line, "\"f\":\"poll\"") != NULL && strstr(line, value) != NULL;
        CHECK(is_read_of_it || fputs(line, out) >= 0);
    }
    free(line);
    CHECK_EQ(fclose(in), 0);
    CHECK_EQ(fclose(out), 0);
}

static void a_tortured_cluster_keeps_what_it_said(void)
{
    struct run_result r = {0};
    struct run_result again = {0};

    cluster_up((const char *const[]){"--zookeepers", "1", "--controllers", "1", NULL});
    char *folder = node_path("broker-1", "..");
    char *history = mem_format("%s/torture.jsonl", folder);
    char *doctored = mem_format("%s/doctored", test_folder());
    WEIR(&r, "dev", "torture", "--dir", folder, "--for", "4s", "--every", "500ms", "--faults",
            "kill,restart,freeze,elect,move", "--seed", "3", "-O", "json");
    if (r.code != 0) {
        check_fail(__FILE__, __LINE__, "%s%s", buf_str(&r.err), buf_str(&r.out));
    }
    CHECK(strstr(buf_str(&r.out), "\"verdict\": \"ok\"") != NULL);
    CHECK(strstr(buf_str(&r.out), "\"not judged\"") == NULL);
    CHECK(strstr(buf_str(&r.out), "\"kills\": 0") == NULL);
    CHECK(strstr(buf_str(&r.err), "longest gap") != NULL);
    CHECK_EQ(judge(history, &again), 0);
    CHECK(strstr(buf_str(&again.out), "verdict: ok") != NULL);
    run_result_deinit(&again);
    leave_out_a_value(history, doctored);
    CHECK_EQ(judge(doctored, &again), 1);
    CHECK(strstr(buf_str(&again.out), "C1   lost write           VIOLATED") != NULL);
    run_result_deinit(&again);
    CHECK_EQ(judge("/nowhere", &again), 2);
    run_result_deinit(&again);
    run_result_deinit(&r);
    mem_free(doctored);
    mem_free(history);
    mem_free(folder);
}

/* A client dies too; the others' histories and what is left of its own are judged together. */
static void clients_and_a_broker_die_and_nothing_that_was_said_is_lost(void)
{
    struct judged j;

    (void)WEIR_OK("topic", "create", "judged", "-p", "3");
    judged_start(&j, "judged", 3, 100);
    node_kill("broker-2");
    judged_crash(&j, 1);
    node_start("broker-2");
    node_wait_ready("broker-2");
    struct judged_sum sum = judged_end(&j);
    CHECK(sum.n_acked > 10);
    CHECK_EQ(sum.n_failed, 0);
    CHECK(sum.longest_gap_ms > 0);
    (void)WEIR_OK("topic", "delete", "judged", "--yes");
}

/* Each partition has one replica here: nothing to compare, and nothing wrong. */
static void logs_of_running_brokers_can_be_looked_at(void)
{
    char *program = mem_format("%s/tests/lib/weir_check", test_build_root());
    char *a = node_path("broker-1", "data");
    char *b = node_path("broker-2", "data");
    struct run_result r = {0};

    run_program((const char *const[]){program, "--logs", a, b, NULL}, NULL, &r);
    CHECK_EQ(r.code, 0);
    CHECK(strstr(buf_str(&r.out), "verdict: ok") != NULL);
    run_result_deinit(&r);
    run_program((const char *const[]){program, "--logs", a, "/nowhere", NULL}, NULL, &r);
    CHECK_EQ(r.code, 2);
    run_result_deinit(&r);
    mem_free(b);
    mem_free(a);
    mem_free(program);
}

static void what_makes_no_sense_is_refused(void)
{
    struct run_result r = {0};

    CHECK(cluster_is_up());
    WEIR(&r, "dev", "torture", "--kill", "people");
    CHECK_EQ(r.code, 2);
    CHECK(strstr(buf_str(&r.err), "--kill takes brokers") != NULL);
    run_result_deinit(&r);
    WEIR(&r, "dev", "torture", "--faults", "kill,bribe");
    CHECK_EQ(r.code, 2);
    CHECK(strstr(buf_str(&r.err), "--faults takes kill, restart") != NULL);
    run_result_deinit(&r);
    WEIR(&r, "dev", "torture", "--for", "soon");
    CHECK_EQ(r.code, 2);
    run_result_deinit(&r);
    WEIR(&r, "dev", "torture", "--dir", "/nowhere/at/all");
    CHECK_EQ(r.code, 3);
    run_result_deinit(&r);
    cluster_down();
}

static const struct check_case cases[] = {
        CASE(a_tortured_cluster_keeps_what_it_said),
        CASE(clients_and_a_broker_die_and_nothing_that_was_said_is_lost),
        CASE(logs_of_running_brokers_can_be_looked_at),
        CASE(what_makes_no_sense_is_refused),
};

CHECK_MAIN("torture", cases)
