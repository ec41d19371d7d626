/* SPDX-License-Identifier: Apache-2.0 */
/* Brokers that are drained, decommissioned and forgotten, and operations, with real processes. */
#include "common/base/array.h"
#include "common/base/mem.h"
#include "tests/lib/check.h"
#include "tests/lib/cluster.h"
#include "tests/lib/judged.h"

#include <jansson.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

static struct run_result r;

static void begin(void)
{
    if (!cluster_is_up()) {
        cluster_up((const char *const[]){
                "--zookeepers", "1", "--controllers", "2", "--brokers", "4", NULL});
    }
}

/* What `weir ARG… -O json` told last, as JSON. */
static json_t *told(void)
{
    CHECK_EQ(r.code, 0);
    json_t *json = json_loads(buf_str(&r.out), 0, NULL);

    CHECK(json != NULL);
    return json;
}

/* A number of the broker, or of its only word: "leaders", "replicas". -1 = it is not listed. */
static int64_t broker_number(int64_t id, const char *key)
{
    int64_t n = -1;
    size_t i;
    json_t *b;

    WEIR(&r, "broker", "list", "-O", "json");
    json_t *list = told();
    json_array_foreach(list, i, b)
    {
        if (json_integer_value(json_object_get(b, "id")) == id) {
            n = json_integer_value(json_object_get(b, key));
        }
    }
    json_decref(list);
    return n;
}

static bool all_in_sync(void)
{
    WEIR(&r, "partition", "list", "--urp", "-O", "json");
    return r.code == 0 && strcmp(buf_str(&r.out), "[]\n") == 0;
}

/* The operation that the answer to the last command names; 0 = none. */
static int64_t operation_of_answer(void)
{
    json_t *json = told();
    int64_t id = json_integer_value(json_object_get(json, "operation"));

    json_decref(json);
    return id;
}

/* The controller that acts: 1 or 2. */
static int acting(void)
{
    for (int id = 1; id <= 2; id++) {
        struct buf body = {0};
        int status = http_request(
                controller_port(id), "POST", "/v1/brokers/999:drain", "", false, &body);
        buf_deinit(&body);
        if (status == 404) { /* The other one sends us here. */
            return id;
        }
    }
    return 0;
}

/* [CTL-71] */
static void drained_broker_leads_nothing_until_it_is_undrained(void)
{
    begin();
    (void)WEIR_OK("topic", "create", "orders", "-p", "8", "-r", "3");
    CHECK_WITHIN(20000, all_in_sync());
    CHECK(broker_number(2, "leaders") > 0);
    (void)WEIR_OK("broker", "drain", "2", "--reason", "new disk");
    CHECK_EQ(broker_number(2, "leaders"), 0);
    WEIR(&r, "broker", "list");
    CHECK(run_says(&r, "draining"));
    (void)WEIR_OK("broker", "stop-check", "2");
    node_stop("broker-2");
    node_start("broker-2");
    node_wait_ready("broker-2");
    CHECK_WITHIN(30000, all_in_sync());
    CHECK_EQ(broker_number(2, "leaders"), 0);
    WEIR(&r, "partition", "elect", "--all");
    CHECK(run_says(&r, "undrain it first"));
    (void)WEIR_OK("broker", "undrain", "2");
    (void)WEIR_OK("partition", "elect", "--all");
    CHECK(broker_number(2, "leaders") > 0);
}

/* [CTL-75], [CTL-77] */
static void operations_are_listed_watched_and_cancelled(void)
{
    struct buf body = {0};

    begin();
    (void)WEIR_OK("topic", "create", "slow", "-p", "1", "-r", "2");
    (void)WEIR_OK("partition", "move", "slow/0", "1,2");
    node_kill("broker-4");
    WEIR(&r, "partition", "move", "slow/0", "2,4", "--no-wait", "-O", "json");
    int64_t id = operation_of_answer();
    char *text = mem_format("%lld", (long long)id);
    char *path = mem_format("/v1/operations/%lld?wait_ms=300", (long long)id);

    CHECK(id > 0);
    WEIR(&r, "ops", "list", "--running");
    CHECK(run_says(&r, text) && run_says(&r, "reassign"));
    CHECK_EQ(http_request(controller_port(acting()), "GET", path, "", false, &body), 200);
    CHECK(strstr(buf_str(&body), "\"running\"") != NULL);
    pid_t watcher = WEIR_BACKGROUND("watch", NULL, "ops", "watch", text);
    (void)WEIR_OK("ops", "cancel", text);
    int status = 0;
    CHECK_EQ(waitpid(watcher, &status, 0), watcher);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    WEIR(&r, "ops", "list");
    CHECK(run_says(&r, "cancelled"));
    WEIR(&r, "ops", "cancel", text);
    CHECK_EQ(r.code, 4);
    node_start("broker-4");
    node_wait_ready("broker-4");
    CHECK_WITHIN(30000, all_in_sync());
    mem_free(text);
    mem_free(path);
    buf_deinit(&body);
}

/* [CTL-73], [CTL-74], [CTL-2] */
static void decommission_survives_its_controller_and_the_broker_is_forgotten(void)
{
    struct judged j = {0};

    begin();
    (void)WEIR_OK("topic", "create", "loaded", "-p", "4", "-r", "3");
    judged_start(&j, "loaded", 2, 200);
    node_kill("broker-1"); /* Too few are up for what 4 holds with 2 and 3. */
    WEIR(&r, "broker", "decommission", "4", "--throttle", "100M", "--no-wait", "-O", "json");
    int64_t id = operation_of_answer();
    char *text = mem_format("%lld", (long long)id);
    int first = acting();

    CHECK(id > 0);
    WEIR(&r, "broker", "forget", "4");
    CHECK_EQ(r.code, 2);
    CHECK(run_says(&r, "broker 4 is there"));
    node_kill(first == 1 ? "controller-1" : "controller-2");
    node_start("broker-1");
    node_wait_ready("broker-1");
    CHECK_STR(WEIR_OK("cluster", "config", "get", "weir.reassignment.bytes.per.second"),
            "104857600\n");
    (void)WEIR_OK("ops", "watch", text);
    CHECK_EQ(broker_number(4, "replicas"), 0);
    node_stop("broker-4");
    CHECK_WITHIN(20000, (WEIR(&r, "broker", "forget", "4"), r.code == 0));
    CHECK_EQ(broker_number(4, "leaders"), -1);
    node_start(first == 1 ? "controller-1" : "controller-2");
    struct judged_sum sum = judged_end(&j);
    CHECK_EQ(sum.n_failed, 0);
    mem_free(text);
    cluster_down();
}

static const struct check_case cases[] = {
        CASE(drained_broker_leads_nothing_until_it_is_undrained),
        CASE(operations_are_listed_watched_and_cancelled),
        CASE(decommission_survives_its_controller_and_the_broker_is_forgotten),
};

int main(int argc, char **argv)
{
    int result = check_main("operations", cases, COUNT_OF(cases), argc, argv);

    run_result_deinit(&r);
    return result;
}
