/* SPDX-License-Identifier: Apache-2.0 */
/* Partitions that go to other brokers of a cluster of real processes. */
#include "common/base/array.h"
#include "common/base/mem.h"
#include "tests/lib/check.h"
#include "tests/lib/cluster.h"
#include "tests/lib/judged.h"

#include <dirent.h>
#include <jansson.h>
#include <string.h>
#include <unistd.h>

static struct run_result r;

static void begin(void)
{
    if (!cluster_is_up()) {
        cluster_up((const char *const[]){
                "--zookeepers", "1", "--controllers", "1", "--brokers", "4", NULL});
    }
}

static void produce(const char *topic, const char *lines)
{
    WEIR_WITH(&r, (&(struct run_options){.input = lines}), "produce", topic);
    CHECK_EQ(r.code, 0);
}

/* Nothing is under way. */
static bool is_quiet(void)
{
    WEIR(&r, "balance", "status", "-O", "json");
    return r.code == 0 && strcmp(buf_str(&r.out), "[]\n") == 0;
}

static bool has_log(const char *node, const char *folder)
{
    char *name = mem_format("data/%s", folder);
    char *path = node_path(node, name);
    bool is_there = access(path, F_OK) == 0;

    mem_free(path);
    mem_free(name);
    return is_there;
}

static bool replicas_are(const char *topic, const char *ids)
{
    char *text = mem_format("%s/0 ", topic);

    WEIR(&r, "partition", "list", "-t", topic);
    bool are = r.code == 0 && run_says(&r, text) && run_says(&r, ids);
    mem_free(text);
    return are;
}

/* [CTL-55], [CTL-56], [TRS-14] */
static void only_replica_moves_with_its_records_and_back(void)
{
    begin();
    (void)WEIR_OK("topic", "create", "lone", "-p", "1", "-r", "1");
    (void)WEIR_OK("partition", "move", "lone/0", "1");
    CHECK_WITHIN(20000, is_quiet());
    produce("lone", "one\ntwo\nthree\n");
    (void)WEIR_OK("partition", "move", "lone/0", "2");
    CHECK_WITHIN(20000, is_quiet());
    CHECK(replicas_are("lone", "  2  "));
    CHECK(has_log("broker-2", "lone-0"));
    CHECK_WITHIN(10000, !has_log("broker-1", "lone-0"));
    produce("lone", "four\n");
    (void)WEIR_OK("partition", "move", "lone/0", "1");
    CHECK_WITHIN(20000, is_quiet());
    WEIR(&r, "consume", "lone", "-o", "start", "--exit-at-end");
    CHECK_STR(buf_str(&r.out), "one\ntwo\nthree\nfour\n");
    WEIR(&r, "explain", "lone/0");
    CHECK(run_says(&r, "on its way to replicas [1]"));
}

/* [CTL-56] */
static void moved_partition_serves_all_the_time(void)
{
    begin();
    (void)WEIR_OK("topic", "create", "three", "-p", "1", "-r", "3");
    (void)WEIR_OK("partition", "move", "three/0", "1,2,3");
    CHECK_WITHIN(20000, is_quiet());
    produce("three", "a\nb\n");
    (void)WEIR_OK("partition", "move", "three/0", "4,2,3");
    produce("three", "c\n"); /* acks=all, wherever it is by now */
    CHECK_WITHIN(20000, is_quiet());
    produce("three", "d\n");
    CHECK(replicas_are("three", "4,2,3"));
    (void)WEIR_OK("partition", "move", "three/0", "4"); /* the leader may stay: a new epoch of its own */
    CHECK_WITHIN(20000, is_quiet());
    produce("three", "e\n");
    WEIR(&r, "consume", "three", "-o", "start", "--exit-at-end");
    CHECK_STR(buf_str(&r.out), "a\nb\nc\nd\ne\n");
}

/* [CTL-57] F30: the broker that is to take it is dead. */
static void move_to_a_dead_broker_waits_and_is_taken_back(void)
{
    begin();
    (void)WEIR_OK("topic", "create", "wait", "-p", "1", "-r", "2");
    (void)WEIR_OK("partition", "move", "wait/0", "1,2");
    CHECK_WITHIN(20000, is_quiet());
    produce("wait", "x\n");
    node_kill("broker-4");
    (void)WEIR_OK("partition", "move", "wait/0", "2,4", "--no-wait");
    CHECK(!is_quiet());
    produce("wait", "y\n");
    WEIR(&r, "partition", "move", "wait/0", "1,3");
    CHECK_EQ(r.code, 7);
    CHECK(run_says(&r, "on its way to [2,4]"));
    (void)WEIR_OK("partition", "move", "--cancel", "wait/0");
    CHECK(is_quiet());
    CHECK(replicas_are("wait", "2,1"));
    node_start("broker-4");
    node_wait_ready("broker-4");
    (void)WEIR_OK("partition", "move", "wait/0", "2,4");
    CHECK_WITHIN(30000, is_quiet());
    WEIR(&r, "consume", "wait", "-o", "start", "--exit-at-end");
    CHECK_STR(buf_str(&r.out), "x\ny\n");
    WEIR(&r, "partition", "move", "wait/0", "2,9");
    CHECK_EQ(r.code, 7);
    CHECK(run_says(&r, "broker 9 is not known"));
}

/* --- Away and back ---------------------------------------------------------------------------- */

static void kill_and_start(const char *node)
{
    node_kill(node);
    node_start(node);
    node_wait_ready(node);
}

static bool trash_is_empty(const char *node)
{
    char *path = node_path(node, "data/.trash");
    DIR *dir = opendir(path);
    int n = 0;

    for (struct dirent *e = dir != NULL ? readdir(dir) : NULL; e != NULL; e = readdir(dir)) {
        n += e->d_name[0] != '.';
    }
    if (dir != NULL) {
        closedir(dir);
    }
    mem_free(path);
    return n == 0;
}

static bool all_in_sync(void)
{
    WEIR(&r, "partition", "list", "-t", "forth", "--urp", "-O", "json");
    return r.code == 0 && strcmp(buf_str(&r.out), "[]\n") == 0;
}

static bool is_deciding(void)
{
    struct buf body = {0};
    int status =
            http_request(controller_port(1), "POST", "/v1/brokers/999:drain", "", false, &body);

    buf_deinit(&body);
    return status == 404;
}

/* "forth" goes from broker 3 to broker 4. */
static void send_away(void)
{
    (void)WEIR_OK("partition", "move", "forth/0", "1,2,4");
    (void)WEIR_OK("partition", "move", "forth/1", "2,1,4");
    produce("forth", "away\n");
}

static void call_back(void)
{
    (void)WEIR_OK("partition", "move", "forth/0", "1,2,3", "--no-wait");
    (void)WEIR_OK("partition", "move", "forth/1", "2,1,3", "--no-wait");
    produce("forth", "back\n");
}

static void check_that_nothing_was_lost(void)
{
    CHECK_WITHIN(20000, is_quiet());
    CHECK_WITHIN(20000, all_in_sync());
    CHECK(replicas_are("forth", "1,2,3"));
    CHECK(!node_log_has("broker-3", "level=error"));
    CHECK(!node_log_has("broker-3", "log_lost"));
    CHECK(!node_log_has("broker-3", "log_put_aside"));
}

/* [TRS-9], [TRS-14]: the checkpoint of broker 3 has the partition from its start on. */
static void replica_comes_back_to_the_process_that_knew_it(void)
{
    begin();
    (void)WEIR_OK("topic", "create", "forth", "-p", "2", "-r", "3");
    (void)WEIR_OK("partition", "move", "forth/0", "1,2,3");
    (void)WEIR_OK("partition", "move", "forth/1", "2,1,3");
    for (int i = 0; i < 8; i++) {
        produce("forth", "one\ntwo\nthree\n");
    }
    CHECK_WITHIN(20000, is_quiet() && all_in_sync());
    node_stop("broker-3");
    node_start("broker-3");
    node_wait_ready("broker-3");
    CHECK_WITHIN(20000, all_in_sync());
    for (int round = 0; round < 2; round++) {
        send_away();
        CHECK_WITHIN(10000, trash_is_empty("broker-3") && !has_log("broker-3", "forth-0"));
        call_back();
        check_that_nothing_was_lost();
    }
}

/* [TRS-9] Wherever it dies. */
static void replica_comes_back_after_its_broker_was_killed(void)
{
    /* Its log is gone. */
    send_away();
    CHECK_WITHIN(10000, trash_is_empty("broker-3") && !has_log("broker-3", "forth-0"));
    kill_and_start("broker-3");
    call_back();
    check_that_nothing_was_lost();
    kill_and_start("broker-3");
    check_that_nothing_was_lost();
    /* Called back while it is dead, its log gone or on its way. */
    for (int round = 0; round < 2; round++) {
        send_away();
        if (round == 0) {
            CHECK_WITHIN(10000, trash_is_empty("broker-3") && !has_log("broker-3", "forth-0"));
        }
        node_kill("broker-3");
        call_back();
        node_start("broker-3");
        node_wait_ready("broker-3");
        check_that_nothing_was_lost();
    }
    judged_logs_are_the_same(4, 1);
    CHECK_WITHIN(30000, is_deciding()); /* and not only telling what it has read */
    check_that_nothing_was_lost();
}

/* So many replicas on the broker. */
static int64_t n_replicas(int64_t broker)
{
    int64_t n = 0;

    WEIR(&r, "partition", "list", "-O", "json");
    CHECK_EQ(r.code, 0);
    json_t *list = json_loads(buf_str(&r.out), 0, NULL), *p, *id;
    size_t i, k;
    json_array_foreach(list, i, p)
    {
        json_array_foreach(json_object_get(p, "replicas"), k, id)
        {
            n += json_integer_value(id) == broker &&
                 json_string_value(json_object_get(p, "topic"))[0] != '_';
        }
    }
    json_decref(list);
    return n;
}

/* [CTL-61], [CTL-62], [CTL-63] */
static void brokers_are_emptied_and_balanced_and_topics_replicated(void)
{
    begin();
    (void)WEIR_OK("topic", "create", "many", "-p", "8", "-r", "1");
    produce("many", "1\n2\n3\n4\n5\n6\n7\n8\n");
    (void)WEIR_OK("topic", "replicate", "many", "--to", "2");
    CHECK_WITHIN(30000, is_quiet());
    WEIR(&r, "topic", "describe", "many");
    CHECK_EQ(r.code, 0);
    (void)WEIR_OK("broker", "decommission", "4");
    CHECK_EQ(n_replicas(4), 0);
    (void)WEIR_OK("broker", "undrain", "4");
    WEIR(&r, "balance", "plan");
    CHECK_EQ(r.code, 0);
    CHECK(is_quiet());
    (void)WEIR_OK("balance", "apply");
    CHECK_WITHIN(30000, is_quiet());
    CHECK(n_replicas(4) >= 4);
    WEIR(&r, "topic", "replicate", "many", "--to", "5");
    CHECK(r.code != 0);
    CHECK(run_says(&r, "5 brokers and 4 are up"));
    WEIR(&r, "consume", "many", "-o", "start", "--exit-at-end");
    CHECK_EQ(r.out.size, 16);
    cluster_down();
}

static const struct check_case cases[] = {
        CASE(only_replica_moves_with_its_records_and_back),
        CASE(moved_partition_serves_all_the_time),
        CASE(move_to_a_dead_broker_waits_and_is_taken_back),
        CASE(replica_comes_back_to_the_process_that_knew_it),
        CASE(replica_comes_back_after_its_broker_was_killed),
        CASE(brokers_are_emptied_and_balanced_and_topics_replicated),
};

int main(int argc, char **argv)
{
    int result = check_main("moves", cases, COUNT_OF(cases), argc, argv);

    run_result_deinit(&r);
    return result;
}
