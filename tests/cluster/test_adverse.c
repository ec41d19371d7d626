/* SPDX-License-Identifier: Apache-2.0 */
/* What else may happen to one of three replicas while clients are at work: a disk that is slow,
 * full or broken, clocks that jump, a topic deleted and made anew, min.insync.replicas changed
 * between deaths. F19 … are the faults of the replication design's matrix. One cluster for all
 * cases; each heals what it broke. */
#include "common/base/mem.h"
#include "tests/lib/check.h"
#include "tests/lib/cluster.h"
#include "tests/lib/faults.h"
#include "tests/lib/judged.h"
#include "tests/lib/seen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    N_BROKERS = 3,
    HEAL_MS = 40000,
    GAP_MS = 4000, /* when a leader has to go; with sanitizers, on a machine that does more */
    LAG_MS = 1500
};

static const char *broker_name(int id)
{
    static const char *const names[] = {NULL, "broker-1", "broker-2", "broker-3"};

    return names[id];
}

static void create(const char *topic)
{
    if (!cluster_is_up()) {
        faults_for_all();
        cluster_up((const char *const[]){"--zookeepers", "1", "--controllers", "1", "--set",
                "replica.lag.time.max.ms=1500", NULL});
    }
    (void)WEIR_OK("topic", "create", topic, "-p", "3", "-r", "3", "-c", "min.insync.replicas=2",
            "-c", "message.timestamp.after.max.ms=86400000");
    CHECK_WITHIN(HEAL_MS, seen_all_have(topic, N_BROKERS));
}

static struct judged_sum end_without_failure(struct judged *j)
{
    CHECK_WITHIN(HEAL_MS, seen_all_have(j->topic, N_BROKERS));
    struct judged_sum sum = judged_end(j);
    CHECK(sum.n_acked > 50);
    CHECK_EQ(sum.n_failed, 0);
    return sum;
}

/* Lines for the shim; # is the broker. */
static void harm(const char *lines, int id)
{
    struct buf text = {0};

    for (const char *at = lines; *at != '\0'; at++) {
        if (*at == '#') {
            buf_append_format(&text, "%d", id);
        } else {
            buf_append(&text, at, 1);
        }
    }
    set_faults(buf_str(&text));
    buf_deinit(&text);
}

static int follower_of(const char *topic)
{
    return seen_leader(topic) % N_BROKERS + 1;
}

/* F19: who is slow leaves the ISR instead of holding up the others, is not called broken, and comes
 * back by itself. */
static void follower_with_a_slow_disk_leaves_the_isr_and_comes_back(void)
{
    struct judged j;

    create("slow");
    judged_start(&j, "slow", 2, 200);
    int victim = follower_of("slow");
    harm("sync delay 2000 /broker-#/data/slow\nwrite delay 1700 /broker-#/data/slow\n", victim);
    CHECK_WITHIN(HEAL_MS, seen_n_isr("slow") == 2);
    CHECK(seen_broker_says(victim, "state", "up"));
    seen_probe("slow");
    set_faults("");
    struct judged_sum sum = end_without_failure(&j);
    CHECK_EQ(sum.n_errors, 0);
    CHECK(!node_log_has(broker_name(victim), "event=directory_failed"));
    CHECK(sum.longest_gap_ms < LAG_MS + 2 * GAP_MS);
}

/* F21: a follower whose disk is full leaves the ISR; nobody else notices. */
static void follower_with_a_full_disk_leaves_the_isr_and_comes_back(void)
{
    struct judged j;

    create("full");
    judged_start(&j, "full", 2, 200);
    int victim = follower_of("full");
    pid_t pid = node_pid(broker_name(victim));
    harm("write fail 28 /broker-#/data/full\n", victim);
    CHECK_WITHIN(HEAL_MS, seen_n_isr("full") == 2);
    seen_probe("full");
    set_faults("");
    (void)end_without_failure(&j);
    CHECK_EQ(node_pid(broker_name(victim)), pid);
    CHECK(!node_log_has(broker_name(victim), "event=directory_failed"));
}

/* F20 [CTL-30]: after the first error nothing in its folder is believed, and others lead. With a
 * disk that works again it counts as a lost host, and is filled. */
static void leader_whose_disk_breaks_hands_over_and_loses_nothing(void)
{
    struct judged j;

    create("broken");
    judged_start(&j, "broken", 2, 200);
    int victim = seen_leader("broken");
    harm("write fail 5 /broker-#/data/broken-0/\n", victim);
    CHECK_WITHIN(HEAL_MS, seen_leader("broken") > 0 && seen_leader("broken") != victim);
    CHECK(node_log_has(broker_name(victim), "event=directory_failed"));
    seen_probe("broken");
    set_faults("");
    node_kill(broker_name(victim));
    node_start_again(broker_name(victim));
    (void)end_without_failure(&j);
    CHECK(seen_broker_says(victim, "crash_kind", "host"));
}

/* F28: what decides is monotonic time; the wall clock is for people and for records' ages. */
static void clocks_that_jump_by_an_hour_change_no_leader(void)
{
    struct judged j;

    create("hours");
    judged_start(&j, "hours", 2, 200);
    int64_t epoch = seen_leader_epoch("hours");
    set_faults("clock add 3600 /broker-1/ 1+\nclock add -3600 /broker-2/ 1+\n"
               "clock add 3600 /controller-1/ 1+\n");
    (void)WEIR_OK("consume", "hours", "-n", "300");
    CHECK_WITHIN(HEAL_MS, faults_met(0) > 0 && faults_met(1) > 0);
    CHECK_WITHIN(HEAL_MS, seen_broker_says(1, "state", "up") && faults_met(2) > 0);
    set_faults("clock add -3600 /broker-1/\nclock add 3600 /broker-3/\n"
               "clock add -3600 /controller-1/\n");
    (void)WEIR_OK("consume", "hours", "-n", "600");
    set_faults("");
    struct judged_sum sum = end_without_failure(&j);
    CHECK_EQ(sum.n_errors, 0);
    CHECK(sum.longest_gap_ms < GAP_MS);
    CHECK_EQ(seen_leader_epoch("hours"), epoch);
}

static void produce(const char *topic, const char *text)
{
    struct run_result r = {0};

    WEIR_WITH(&r, (&(struct run_options){.input = text}), "produce", topic, "-p", "0");
    if (r.code != 0) {
        check_fail(__FILE__, __LINE__, "produce: %d: %s", r.code, buf_str(&r.err));
    }
    run_result_deinit(&r);
}

/* F29: it comes back with the log of a topic that is no more and whose name another one has. */
static void broker_that_was_away_brings_no_record_of_a_deleted_topic_of_that_name(void)
{
    create("again");
    produce("again", "old\n");
    int victim = follower_of("again");
    node_kill(broker_name(victim));
    (void)WEIR_OK("topic", "delete", "again", "--now", "-y");
    (void)WEIR_OK("topic", "create", "again", "-p", "3", "-r", "2", "-c", "min.insync.replicas=2");
    produce("again", "new\n");
    node_start_again(broker_name(victim));
    for (int p = 0; p < 3; p++) {
        char *name = mem_format("again/%d", p);
        (void)WEIR_OK("partition", "move", name, "1,2,3");
        mem_free(name);
    }
    CHECK_WITHIN(HEAL_MS, seen_all_have("again", N_BROKERS));
    CHECK_STR(WEIR_OK("consume", "again", "--exit-at-end"), "new\n");
    char *order = mem_format("%d,%d,%d", victim, victim % 3 + 1, (victim + 1) % 3 + 1);
    (void)WEIR_OK("partition", "move", "again/0", order);
    (void)WEIR_OK("partition", "elect", "again/0");
    CHECK_WITHIN(HEAL_MS, seen_leader("again") == victim);
    CHECK_STR(WEIR_OK("consume", "again", "--exit-at-end"), "new\n");
    mem_free(order);
}

/* F31 [REP-4] [REP-23]: while one is enough the last one takes it alone; whoever leads then has
 * it. */
static void fewer_replicas_are_asked_for_between_deaths_and_nothing_is_lost(void)
{
    struct judged j;

    create("fewer");
    judged_start(&j, "fewer", 2, 200);
    int last = seen_leader("fewer");
    int first = last % N_BROKERS + 1, second = first % N_BROKERS + 1;
    (void)WEIR_OK("topic", "set", "fewer", "min.insync.replicas=1");
    node_kill(broker_name(first));
    node_kill(broker_name(second));
    CHECK_WITHIN(HEAL_MS, seen_all_have("fewer", 1));
    CHECK_EQ(seen_leader("fewer"), last);
    seen_probe("fewer");
    node_start_again(broker_name(first));
    CHECK_WITHIN(HEAL_MS, seen_all_have("fewer", 2));
    (void)WEIR_OK("topic", "set", "fewer", "min.insync.replicas=2");
    seen_probe("fewer");
    node_kill(broker_name(last));
    node_start_again(broker_name(second));
    CHECK_WITHIN(HEAL_MS, seen_all_have("fewer", 2));
    seen_probe("fewer");
    node_start_again(broker_name(last));
    (void)end_without_failure(&j);
}

/* C15 */
static void all_three_logs_are_the_same_in_the_end(void)
{
    CHECK(cluster_is_up());
    judged_logs_are_the_same(N_BROKERS, 1);
    cluster_down();
}

static const struct check_case cases[] = {
        CASE(follower_with_a_slow_disk_leaves_the_isr_and_comes_back),
        CASE(follower_with_a_full_disk_leaves_the_isr_and_comes_back),
        CASE(leader_whose_disk_breaks_hands_over_and_loses_nothing),
        CASE(clocks_that_jump_by_an_hour_change_no_leader),
        CASE(broker_that_was_away_brings_no_record_of_a_deleted_topic_of_that_name),
        CASE(fewer_replicas_are_asked_for_between_deaths_and_nothing_is_lost),
        CASE(all_three_logs_are_the_same_in_the_end),
};

CHECK_MAIN("adverse", cases)
