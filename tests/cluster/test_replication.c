/* SPDX-License-Identifier: Apache-2.0 */
/* Three replicas of everything, min.insync.replicas 2, acks=all, while brokers and controllers die,
 * freeze and lose their disks: what was acknowledged is there once, in order and unchanged, and in
 * the end all three logs are the same, byte for byte. F1 … are the faults of the replication
 * design's matrix. One cluster for all cases; each case heals what it broke. */
#include "common/base/mem.h"
#include "tests/lib/check.h"
#include "tests/lib/cluster.h"
#include "tests/lib/judged.h"
#include "tests/lib/seen.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    N_BROKERS = 3,
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

/* --- What the cases share --------------------------------------------------------------------- */

/* A topic of its own for each case; they all stay, so that the end can compare their logs. */
static void create(const char *topic)
{
    if (!cluster_is_up()) {
        cluster_up((const char *const[]){"--zookeepers", "1", "--controllers", "2", NULL});
    }
    (void)WEIR_OK("topic", "create", topic, "-p", "3", "-r", "3", "-c", "min.insync.replicas=2");
    CHECK_WITHIN(HEAL_MS, seen_all_have(topic, N_BROKERS));
}

/* judged_end() finds what is lost, doubled, reordered or changed; no producer gave up either. */
static struct judged_sum end_without_failure(struct judged *j)
{
    struct judged_sum sum = judged_end(j);

    CHECK(sum.n_acked > 50);
    CHECK_EQ(sum.n_failed, 0);
    return sum;
}

static void heal(const char *topic, int id)
{
    node_start_again(broker_name(id));
    CHECK_WITHIN(HEAL_MS, seen_all_have(topic, N_BROKERS));
}

static void signal_node(const char *name, int number)
{
    pid_t pid = node_pid(name);

    CHECK(pid > 0);
    CHECK_EQ(kill(pid, number), 0);
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
    CHECK(seen_all_have("calm", N_BROKERS));
}

/* F1 and F26: the second time it is back before its session ends, as another incarnation: the node of
 * the former session does not keep it away (KAFKA-4229, KAFKA-7165, ZOOKEEPER-2985). */
static void leader_that_is_killed_loses_nothing_and_comes_back_into_the_isr(void)
{
    struct judged j;

    create("killed");
    judged_start(&j, "killed", 2, 200);
    for (int i = 0; i < 3; i++) {
        int leader = seen_leader("killed");
        int64_t epoch = seen_broker_epoch(leader);
        node_kill(broker_name(leader));
        if (i != 1) {
            CHECK_WITHIN(HEAL_MS, seen_leader("killed") > 0 && seen_leader("killed") != leader);
        }
        heal("killed", leader);
        CHECK(seen_broker_epoch(leader) > epoch);
        CHECK(seen_broker_says(leader, "crash_kind", "proc"));
    }
    struct judged_sum sum = end_without_failure(&j);
    CHECK(sum.longest_gap_ms < DEATH_GAP_MS);
}

/* F2. They are started while they still end: `weir dev start` waits for that. */
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
        node_start_again(broker_name(id));
    }
    seen_probe("all-killed");
    CHECK_WITHIN(HEAL_MS, seen_all_have("all-killed", N_BROKERS));
    (void)end_without_failure(&j);
}

/* F3 */
static void active_controller_that_is_killed_is_no_matter_to_clients(void)
{
    struct judged j;

    create("orphans");
    judged_start(&j, "orphans", 2, 200);
    for (int i = 0; i < 2; i++) {
        int64_t epoch = seen_leader_epoch("orphans");
        int old = seen_active_controller();
        const char *name = old == 1 ? "controller-1" : "controller-2";
        CHECK(old > 0);
        node_kill(name);
        CHECK_WITHIN(HEAL_MS, seen_active_controller() == 3 - old);
        node_start(name);
        node_wait_ready(name);
        CHECK_WITHIN(HEAL_MS, seen_all_have("orphans", N_BROKERS));
        CHECK_EQ(seen_leader_epoch("orphans"), epoch);
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
    int leader = seen_leader("frozen");
    int64_t epoch = seen_leader_epoch("frozen");
    signal_node(broker_name(leader), SIGSTOP);
    CHECK_WITHIN(HEAL_MS, seen_leader("frozen") > 0 && seen_leader("frozen") != leader);
    seen_probe("frozen");
    signal_node(broker_name(leader), SIGCONT);
    CHECK(seen_leader_epoch("frozen") > epoch);
    CHECK_WITHIN(HEAL_MS, seen_all_have("frozen", N_BROKERS));
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
    int victim = seen_leader("wiped");
    int64_t epoch = seen_broker_epoch(victim);
    char *data = node_path(broker_name(victim), "data");
    node_kill(broker_name(victim));
    run_program((const char *const[]){"rm", "-rf", data, NULL}, NULL, &r);
    CHECK_EQ(r.code, 0);
    run_result_deinit(&r);
    node_start_again(broker_name(victim));
    CHECK(seen_broker_epoch(victim) > epoch);
    while (!seen_all_have("wiped", N_BROKERS)) {
        CHECK(seen_leader("wiped") != victim);
        check_pause_ms(10);
    }
    CHECK(seen_leader("wiped") != victim);
    CHECK(seen_broker_says(victim, "crash_kind", "disk"));
    struct judged_sum sum = end_without_failure(&j);
    CHECK(sum.longest_gap_ms < FREEZE_MS + DEATH_GAP_MS);
    mem_free(data);
}

static void last_broker_refuses_what_it_cannot_keep_and_goes_on_to_be_read(void)
{
    struct run_result r = {0};
    int leader, killed[2], n = 0;

    create("alone");
    seen_probe("alone");
    leader = seen_leader("alone");
    for (int id = 1; id <= N_BROKERS; id++) {
        if (id != leader) {
            killed[n++] = id;
            node_kill(broker_name(id));
        }
    }
    CHECK_WITHIN(HEAL_MS, seen_all_have("alone", 1));
    WEIR_WITH(&r, (&(struct run_options){.input = "nobody keeps this\n"}), "produce", "alone", "-p",
            "0", "-X", "delivery.timeout.ms=2000", "-X", "request.timeout.ms=1000");
    CHECK(r.code != 0);
    if (strstr(buf_str(&r.err), "NOT_ENOUGH_REPLICAS") == NULL) {
        check_fail(__FILE__, __LINE__, "produce: %d: %s", r.code, buf_str(&r.err));
    }
    run_result_deinit(&r);
    CHECK(strncmp(WEIR_OK("consume", "alone", "-n", "1"), "probe-", 6) == 0);
    node_start_again(broker_name(killed[0]));
    heal("alone", killed[1]);
    seen_probe("alone");
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
        CHECK(seen_broker_says(id, "crash_kind", "clean"));
    }
    struct judged_sum sum = end_without_failure(&j);
    CHECK_EQ(sum.n_errors, 0);
    CHECK(sum.longest_gap_ms < DEATH_GAP_MS);
}

/* C15, of all topics that the cases left. */
static void all_three_logs_are_the_same_in_the_end(void)
{
    CHECK(cluster_is_up());
    judged_logs_are_the_same(N_BROKERS, 2);
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
