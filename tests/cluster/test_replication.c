/* SPDX-License-Identifier: Apache-2.0 */
/* Three replicas of everything, min.insync.replicas 2, acks=all, while brokers and controllers die,
 * freeze and lose their disks: what was acknowledged is there once, in order and unchanged, and in
 * the end all three logs are the same, byte for byte. F1 … are the faults of the replication
 * design's matrix. One cluster for all cases; each case heals what it broke. */
#include "common/base/mem.h"
#include "tests/lib/check.h"
#include "tests/lib/cluster.h"
#include "tests/lib/judged.h"

#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    N_BROKERS = 3,
    N_PARTITIONS = 3,
    HEAL_MS = 30000,
    /* A death is noticed when connections break; with sanitizers, on a machine that does more. */
    DEATH_GAP_MS = 3000,
    FREEZE_MS = 5000
};

static const char *broker_name(int id)
{
    static const char *const names[] = {NULL, "broker-1", "broker-2", "broker-3"};

    return names[id];
}

/* --- What the controller says ----------------------------------------------------------------- */

/* From whichever controller answers; NULL = none does. json_decref. */
static json_t *get(const char *path)
{
    struct buf body = {0};
    json_t *o = NULL;

    for (int id = 1; id <= 2 && o == NULL; id++) {
        if (http_request(controller_port(id), "GET", path, NULL, false, &body) == 200) {
            o = json_loads(buf_str(&body), 0, NULL);
        }
    }
    buf_deinit(&body);
    return o;
}

static int64_t number(const json_t *o, const char *key)
{
    return json_integer_value(json_object_get(o, key));
}

static json_t *partitions_of(const char *topic)
{
    char *path = mem_format("/v1/topics/%s/partitions", topic);
    json_t *o = get(path);

    mem_free(path);
    return o;
}

/* Whether each partition has a leader and that many members in its ISR. */
static bool all_have(const char *topic, size_t n_isr)
{
    json_t *o = partitions_of(topic);
    const json_t *p;
    size_t i, n = 0;

    json_array_foreach(json_object_get(o, "items"), i, p)
    {
        n += number(p, "leader") > 0 && json_array_size(json_object_get(p, "isr")) == n_isr ? 1 : 0;
    }
    json_decref(o);
    return n == N_PARTITIONS;
}

/* Of partition 0; -1 = nobody, or nobody says. */
static int leader_of(const char *topic)
{
    json_t *o = partitions_of(topic);
    const json_t *p = json_array_get(json_object_get(o, "items"), 0);
    int leader = p != NULL ? (int)number(p, "leader") : -1;

    json_decref(o);
    return leader;
}

static int64_t leader_epoch_of(const char *topic)
{
    json_t *o = partitions_of(topic);
    int64_t epoch = number(json_array_get(json_object_get(o, "items"), 0), "leader_epoch");

    json_decref(o);
    return epoch;
}

/* json_decref; the broker's entry is borrowed from it. */
static json_t *brokers(int id, const json_t **ret)
{
    json_t *o = get("/v1/brokers");
    const json_t *b;
    size_t i;

    *ret = NULL;
    json_array_foreach(json_object_get(o, "items"), i, b)
    {
        *ret = number(b, "id") == id ? b : *ret;
    }
    return o;
}

static int64_t broker_epoch(int id)
{
    const json_t *b;
    json_t *o = brokers(id, &b);
    int64_t epoch = number(b, "epoch");

    json_decref(o);
    return epoch;
}

static bool broker_says(int id, const char *key, const char *value)
{
    const json_t *b;
    json_t *o = brokers(id, &b);
    const char *text = json_string_value(json_object_get(b, key));
    bool does = text != NULL && strcmp(text, value) == 0;

    json_decref(o);
    return does;
}

/* --- What the cases share --------------------------------------------------------------------- */

/* A topic of its own for each case; they all stay, so that the end can compare their logs. */
static void create(const char *topic)
{
    if (!cluster_is_up()) {
        cluster_up((const char *const[]){"--zookeepers", "1", "--controllers", "2", NULL});
    }
    (void)WEIR_OK("topic", "create", topic, "-p", "3", "-r", "3", "-c", "min.insync.replicas=2");
    CHECK_WITHIN(HEAL_MS, all_have(topic, N_BROKERS));
}

/* judged_end() finds what is lost, doubled, reordered or changed; no producer gave up either. */
static struct judged_sum end_without_failure(struct judged *j)
{
    struct judged_sum sum = judged_end(j);

    CHECK(sum.n_acked > 50);
    CHECK_EQ(sum.n_failed, 0);
    return sum;
}

/* Who is asked to start a process whose last threads are still ending finds that it runs. */
static bool is_started(const char *name)
{
    node_start(name);
    return node_pid(name) != 0;
}

static void start_again(int id)
{
    CHECK_WITHIN(HEAL_MS, is_started(broker_name(id)));
    node_wait_ready(broker_name(id));
}

static void heal(const char *topic, int id)
{
    start_again(id);
    CHECK_WITHIN(HEAL_MS, all_have(topic, N_BROKERS));
}

static void signal_node(const char *name, int number)
{
    pid_t pid = node_pid(name);

    CHECK(pid > 0);
    CHECK_EQ(kill(pid, number), 0);
}

/* Waits until partition 0 takes another record. The judge knows nothing of its sender. */
static void probe(const char *topic)
{
    static int n;
    struct run_result r = {0};
    char value[32];

    (void)snprintf(value, sizeof(value), "probe-%d\n", ++n);
    WEIR_WITH(&r, (&(struct run_options){.input = value}), "produce", topic, "-p", "0");
    if (r.code != 0) {
        check_fail(__FILE__, __LINE__, "produce: %d: %s", r.code, buf_str(&r.err));
    }
    run_result_deinit(&r);
}

/* --- Cases ------------------------------------------------------------------------------------ */

static void load_is_replicated_and_nothing_goes_wrong(void)
{
    struct judged j;

    create("calm");
    judged_start(&j, "calm", 2, 200);
    (void)WEIR_OK("consume", "calm", "-n", "300");
    struct judged_sum sum = end_without_failure(&j);
    CHECK_EQ(sum.n_errors, 0);
    CHECK(all_have("calm", N_BROKERS));
}

/* F1 and F26: the second time it is back before its session ends, as another incarnation. */
static void leader_that_is_killed_loses_nothing_and_comes_back_into_the_isr(void)
{
    struct judged j;

    create("killed");
    judged_start(&j, "killed", 2, 200);
    for (int i = 0; i < 3; i++) {
        int leader = leader_of("killed");
        int64_t epoch = broker_epoch(leader);
        node_kill(broker_name(leader));
        if (i != 1) {
            CHECK_WITHIN(HEAL_MS, leader_of("killed") > 0 && leader_of("killed") != leader);
        }
        heal("killed", leader);
        CHECK(broker_epoch(leader) > epoch);
        CHECK(broker_says(leader, "crash_kind", "proc"));
    }
    struct judged_sum sum = end_without_failure(&j);
    CHECK(sum.longest_gap_ms < DEATH_GAP_MS);
}

/* F2 */
static void all_brokers_killed_at_once_have_everything_that_was_acknowledged(void)
{
    struct judged j;

    create("all-killed");
    judged_start(&j, "all-killed", 2, 200);
    (void)WEIR_OK("consume", "all-killed", "-n", "100");
    for (int id = 1; id <= N_BROKERS; id++) {
        signal_node(broker_name(id), SIGKILL);
    }
    for (int id = 1; id <= N_BROKERS; id++) {
        CHECK_WITHIN(HEAL_MS, node_pid(broker_name(id)) == 0);
    }
    for (int id = 1; id <= N_BROKERS; id++) {
        start_again(id);
    }
    probe("all-killed");
    CHECK_WITHIN(HEAL_MS, all_have("all-killed", N_BROKERS));
    (void)end_without_failure(&j);
}

static int active_controller(void)
{
    json_t *o = get("/v1/cluster");
    int id = (int)number(json_object_get(o, "controller"), "id");

    json_decref(o);
    return id;
}

/* F3 */
static void active_controller_that_is_killed_is_no_matter_to_clients(void)
{
    struct judged j;

    create("orphans");
    judged_start(&j, "orphans", 2, 200);
    for (int i = 0; i < 2; i++) {
        int64_t epoch = leader_epoch_of("orphans");
        int old = active_controller();
        const char *name = old == 1 ? "controller-1" : "controller-2";
        CHECK(old > 0);
        node_kill(name);
        CHECK_WITHIN(HEAL_MS, active_controller() == 3 - old);
        node_start(name);
        node_wait_ready(name);
        CHECK_WITHIN(HEAL_MS, all_have("orphans", N_BROKERS));
        CHECK_EQ(leader_epoch_of("orphans"), epoch);
    }
    struct judged_sum sum = end_without_failure(&j);
    CHECK_EQ(sum.n_errors, 0);
    CHECK(sum.longest_gap_ms < DEATH_GAP_MS);
}

/* F4: what clients sent to it meanwhile waits in its sockets. It writes that down when it wakes up,
 * as the leader that it takes itself for, and has to take it back: nobody confirms it. */
static void leader_that_was_frozen_commits_nothing_and_follows(void)
{
    struct judged j;

    create("frozen");
    judged_start(&j, "frozen", 2, 200);
    int leader = leader_of("frozen");
    int64_t epoch = leader_epoch_of("frozen");
    signal_node(broker_name(leader), SIGSTOP);
    CHECK_WITHIN(HEAL_MS, leader_of("frozen") > 0 && leader_of("frozen") != leader);
    probe("frozen");
    signal_node(broker_name(leader), SIGCONT);
    CHECK(leader_epoch_of("frozen") > epoch);
    CHECK_WITHIN(HEAL_MS, all_have("frozen", N_BROKERS));
    struct judged_sum sum = end_without_failure(&j);
    CHECK(sum.longest_gap_ms < FREEZE_MS + DEATH_GAP_MS);
}

/* F9 [BRK-4] [ZK-48]: before anybody misses it, it is back without what it had, and registers only
 * when the session of the former one has ended. Nobody waits for that. */
static void broker_that_lost_its_disk_is_not_elected_and_filled_again(void)
{
    struct judged j;
    struct run_result r = {0};

    create("wiped");
    judged_start(&j, "wiped", 2, 200);
    int victim = leader_of("wiped");
    int64_t epoch = broker_epoch(victim);
    char *data = node_path(broker_name(victim), "data");
    node_kill(broker_name(victim));
    run_program((const char *const[]){"rm", "-rf", data, NULL}, NULL, &r);
    CHECK_EQ(r.code, 0);
    run_result_deinit(&r);
    start_again(victim);
    CHECK(broker_epoch(victim) > epoch);
    while (!all_have("wiped", N_BROKERS)) {
        CHECK(leader_of("wiped") != victim);
        check_pause_ms(10);
    }
    CHECK(leader_of("wiped") != victim);
    CHECK(broker_says(victim, "crash_kind", "host"));
    struct judged_sum sum = end_without_failure(&j);
    CHECK(sum.longest_gap_ms < FREEZE_MS + DEATH_GAP_MS);
    mem_free(data);
}

static void last_broker_refuses_what_it_cannot_keep_and_goes_on_to_be_read(void)
{
    struct run_result r = {0};
    int leader, killed[2], n = 0;

    create("alone");
    probe("alone");
    leader = leader_of("alone");
    for (int id = 1; id <= N_BROKERS; id++) {
        if (id != leader) {
            killed[n++] = id;
            node_kill(broker_name(id));
        }
    }
    CHECK_WITHIN(HEAL_MS, all_have("alone", 1));
    WEIR_WITH(&r, (&(struct run_options){.input = "nobody keeps this\n"}), "produce", "alone", "-p",
            "0", "-X", "delivery.timeout.ms=2000", "-X", "request.timeout.ms=1000");
    CHECK(r.code != 0);
    if (strstr(buf_str(&r.err), "NOT_ENOUGH_REPLICAS") == NULL) {
        check_fail(__FILE__, __LINE__, "produce: %d: %s", r.code, buf_str(&r.err));
    }
    run_result_deinit(&r);
    CHECK(strncmp(WEIR_OK("consume", "alone", "-n", "1"), "probe-", 6) == 0);
    start_again(killed[0]);
    heal("alone", killed[1]);
    probe("alone");
    CHECK(strstr(WEIR_OK("consume", "alone", "-n", "2"), "\nprobe-") != NULL);
}

/* F32 */
static void brokers_restart_in_turn_and_no_client_sees_an_error(void)
{
    struct judged j;

    create("rolling");
    judged_start(&j, "rolling", 2, 200);
    for (int id = 1; id <= N_BROKERS; id++) {
        node_stop(broker_name(id));
        heal("rolling", id);
        CHECK(broker_says(id, "crash_kind", "clean"));
    }
    struct judged_sum sum = end_without_failure(&j);
    CHECK_EQ(sum.n_errors, 0);
    CHECK(sum.longest_gap_ms < DEATH_GAP_MS);
}

/* C15, of all topics that the cases left. */
static void all_three_logs_are_the_same_in_the_end(void)
{
    char *program = mem_format("%s/tests/lib/weir_check", test_build_root());
    const char *argv[2 + N_BROKERS + 1] = {program, "--logs"};
    struct run_result r = {0};

    CHECK(cluster_is_up());
    /* At once, and nobody decides meanwhile: the journal of decisions would go on without who is stopped first. */
    node_kill("controller-1");
    node_kill("controller-2");
    for (int id = 1; id <= N_BROKERS; id++) {
        node_kill(broker_name(id));
        char *data = node_path(broker_name(id), "data");
        (void)WEIR_OK("log", "verify", data);
        argv[1 + id] = data;
    }
    run_program(argv, NULL, &r);
    printf("# %s", buf_str(&r.out));
    if (r.code != 0) {
        check_fail(__FILE__, __LINE__, "%d: %s%s", r.code, buf_str(&r.out), buf_str(&r.err));
    }
    run_result_deinit(&r);
    node_start("controller-1");
    node_start("controller-2");
    for (int id = 1; id <= N_BROKERS; id++) {
        node_start(broker_name(id));
        mem_free((char *)(uintptr_t)argv[1 + id]);
    }
    mem_free(program);
    cluster_down();
}

static const struct check_case cases[] = {
        CASE(load_is_replicated_and_nothing_goes_wrong),
        CASE(leader_that_is_killed_loses_nothing_and_comes_back_into_the_isr),
        CASE(all_brokers_killed_at_once_have_everything_that_was_acknowledged),
        CASE(active_controller_that_is_killed_is_no_matter_to_clients),
        CASE(leader_that_was_frozen_commits_nothing_and_follows),
        CASE(broker_that_lost_its_disk_is_not_elected_and_filled_again),
        CASE(last_broker_refuses_what_it_cannot_keep_and_goes_on_to_be_read),
        CASE(brokers_restart_in_turn_and_no_client_sees_an_error),
        CASE(all_three_logs_are_the_same_in_the_end),
};

CHECK_MAIN("replication", cases)
