/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/loads.h"

#include "common/base/mem.h"
#include "tests/lib/check.h"
#include "tests/lib/cluster.h"
#include "tests/lib/load_result.h"

#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    GAP_MS_MAX = 2000 /* of acknowledgements, whatever happens */
};

static const char *const acks_of[N_LOADS] = {"0", "1", "all"};
const char *const loads_daemons[N_DAEMONS] = {
        "controller-1", "controller-2", "broker-1", "broker-2", "broker-3"};

/* --- Load ------------------------------------------------------------------------------------- */

void loads_start(struct loads *l, const char *topic)
{
    char *program = mem_format("%s/tests/lib/weir_load", test_build_root());

    *l = (struct loads){.topic = topic};
    (void)WEIR_OK("topic", "create", topic, "-p", "3", "-r", "3");
    for (size_t i = 0; i < N_LOADS; i++) {
        l->out[i] = mem_format("%s/%s-acks-%s.json", test_folder(), topic, acks_of[i]);
        l->pid[i] = run_background((const char *const[]){program, topic, "--acks", acks_of[i],
                                           "--rate", "100", "--consume", NULL},
                NULL, l->out[i]);
    }
    mem_free(program);
    /* Under way: what each has sent can be read. */
    CHECK_WITHIN(10000, strchr(WEIR_OK("consume", topic, "-n", "300"), '-') != NULL);
}

static int64_t number(const json_t *o, const char *key)
{
    return json_integer_value(json_object_get(o, key));
}

static void judge(const struct loads *l, size_t i, bool led_alike)
{
    json_t *o = load_result(l->out[i]);
    bool is_all = strcmp(acks_of[i], "all") == 0;
    bool is_good = o != NULL && number(o, "acked") > 100 &&
                   number(o, "longest_gap_ms") < GAP_MS_MAX && number(o, "displaced") == 0;

    if (is_good && (i > 0 || led_alike)) {
        is_good = number(o, "failed") == 0 && json_object_size(json_object_get(o, "errors")) == 0;
    }
    if (is_good && (is_all || led_alike)) {
        is_good = number(o, "missing") == 0 && number(o, "consumed") >= number(o, "acked");
    }
    char *text = o != NULL ? json_dumps(o, JSON_COMPACT) : NULL;
    printf("# %s\n", text != NULL ? text : "no result");
    if (!is_good) {
        check_fail(__FILE__, __LINE__, "%s with acks %s: %.800s", l->topic, acks_of[i],
                text != NULL ? text : l->out[i]);
    }
    free(text);
    json_decref(o);
}

void loads_end(struct loads *l, bool led_alike)
{
    for (size_t i = 0; i < N_LOADS; i++) {
        CHECK_EQ(kill(l->pid[i], SIGTERM), 0);
    }
    for (size_t i = 0; i < N_LOADS; i++) {
        int code = run_wait(l->pid[i], 0, 60000);

        judge(l, i, led_alike);
        CHECK_EQ(code, 0);
        mem_free(l->out[i]);
    }
    (void)WEIR_OK("topic", "delete", l->topic, "--yes");
}

/* --- What daemons spend ----------------------------------------------------------------------- */

/* User and system time of a daemon so far. */
static int64_t cpu_ms(const char *name)
{
    char path[64];
    unsigned long user = 0, system_time = 0;

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", node_pid(name));
    FILE *f = fopen(path, "re");
    CHECK(f != NULL);
    CHECK_EQ(fscanf(f, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
                     &system_time),
            2);
    CHECK_EQ(fclose(f), 0);
    return (int64_t)(user + system_time) * 1000 / sysconf(_SC_CLK_TCK);
}

static int log_lines(const char *name)
{
    char *path = node_path(name, "log");
    FILE *f = fopen(path, "re");
    int n = 0;

    CHECK(f != NULL);
    for (int c = getc(f); c != EOF; c = getc(f)) {
        n += c == '\n' ? 1 : 0;
    }
    CHECK_EQ(fclose(f), 0);
    mem_free(path);
    return n;
}

void meter_start(struct meter *m)
{
    m->began = check_now_ms();
    for (size_t i = 0; i < N_DAEMONS; i++) {
        m->cpu[i] = cpu_ms(loads_daemons[i]);
        m->lines[i] = log_lines(loads_daemons[i]);
    }
}

void meter_end(const struct meter *m, int lines_a_minute)
{
    int64_t took = check_now_ms() - m->began;

    for (size_t i = 0; i < N_DAEMONS; i++) {
        int64_t percent = (cpu_ms(loads_daemons[i]) - m->cpu[i]) * 100 / took;
        int lines = log_lines(loads_daemons[i]) - m->lines[i];
        /* A controller has nothing to do; a broker serves the load, with sanitizers. */
        int64_t limit = strncmp(loads_daemons[i], "controller", 10) == 0 ? 15 : 70;
        printf("# %s: %d %% of a core, %d log lines in %d s\n", loads_daemons[i], (int)percent,
                lines, (int)(took / 1000));
        if (percent >= limit || lines > 20 + lines_a_minute * took / 60000) {
            check_fail(__FILE__, __LINE__, "%s: %d %% of a core, %d log lines in %d ms",
                    loads_daemons[i], (int)percent, lines, (int)took);
        }
    }
}
