/* SPDX-License-Identifier: Apache-2.0 */
/* Partitions of a cluster of real processes: which want something, who leads, who may stop, and what becomes of them
 * when everybody loses power. */
#include "common/base/array.h"
#include "common/base/mem.h"
#include "tests/lib/check.h"
#include "tests/lib/cluster.h"

#include <string.h>
#include <unistd.h>

static struct run_result r;

/* "orders" has a partition on each broker, "three" has three replicas of each of three. */
static void begin(void)
{
    if (!cluster_is_up()) {
        cluster_up((const char *const[]){
                "--zookeepers", "1", "--controllers", "1", "--brokers", "3", NULL});
        (void)WEIR_OK("topic", "create", "orders", "-p", "3", "-r", "1");
        (void)WEIR_OK("topic", "create", "three", "-p", "3", "-r", "3");
    }
}

/* No partition of "three" is in that state. */
static bool none_is(const char *state)
{
    WEIR(&r, "partition", "list", state, "-t", "three", "-O", "json");
    return r.code == 0 && strcmp(buf_str(&r.out), "[]\n") == 0;
}

static void partitions_are_listed_and_elected(void)
{
    begin();
    WEIR(&r, "partition", "list");
    CHECK_EQ(r.code, 0);
    CHECK(run_says(&r, "orders/0"));
    CHECK(run_says(&r, "three/2"));
    CHECK(none_is("--offline"));
    WEIR(&r, "partition", "elect", "orders/0");
    CHECK_EQ(r.code, 0);
    CHECK(run_says(&r, "leads already"));
    WEIR(&r, "partition", "elect", "orders/7");
    CHECK_EQ(r.code, 7);
    CHECK(run_says(&r, "there is no partition orders-7"));
    WEIR(&r, "partition", "elect", "--unclean", "orders/0");
    CHECK_EQ(r.code, 2);
    WEIR(&r, "partition", "elect", "--unclean", "--leader", "1", "orders/0", "-y");
    CHECK_EQ(r.code, 7);
    CHECK(run_says(&r, "nothing is lost while somebody does"));
    WEIR(&r, "broker", "stop-check", "2");
    CHECK_EQ(r.code, 10);
    CHECK(run_says(&r, "should not be stopped now"));
}

/* [CTL-45], [CTL-48] */
static void broker_that_was_killed_is_in_sync_again_and_leads_as_before(void)
{
    begin();
    CHECK_WITHIN(20000, none_is("--urp"));
    node_kill("broker-1");
    CHECK_WITHIN(10000, !none_is("--urp") && none_is("--offline"));
    CHECK(none_is("--under-min-isr"));
    CHECK(!none_is("--not-preferred"));
    node_start("broker-1");
    node_wait_ready("broker-1");
    CHECK_WITHIN(30000, none_is("--urp"));
    WEIR(&r, "partition", "elect", "--all");
    CHECK_EQ(r.code, 0);
    CHECK(none_is("--not-preferred"));
}

/* [CTL-51] */
static void partitions_follow_min_insync_replicas(void)
{
    begin();
    (void)WEIR_OK("topic", "set", "three", "min.insync.replicas=3");
    WEIR(&r, "broker", "stop-check", "1");
    CHECK(run_says(&r, "under_min_isr"));
    CHECK(run_says(&r, "three/0 three/1 three/2"));
    (void)WEIR_OK("topic", "unset", "three", "min.insync.replicas");
    WEIR(&r, "broker", "stop-check", "1");
    CHECK(!run_says(&r, "three/0"));
}

/* [CTL-54] */
static void topic_grows_while_it_is_used(void)
{
    begin();
    (void)WEIR_OK("topic", "create", "growing", "-p", "1", "-r", "3");
    WEIR_WITH(&r, (&(struct run_options){.input = "before\n"}), "produce", "growing");
    CHECK_EQ(r.code, 0);
    (void)WEIR_OK("topic", "add-partitions", "growing", "--to", "3");
    WEIR(&r, "topic", "add-partitions", "growing", "--to", "2");
    CHECK_EQ(r.code, 2);
    WEIR_WITH(&r, (&(struct run_options){.input = "after\n"}), "produce", "growing", "-p", "2");
    CHECK_EQ(r.code, 0);
    WEIR(&r, "consume", "growing", "-o", "start", "--exit-at-end");
    CHECK(run_says(&r, "before") && run_says(&r, "after"));
}

static void lose_power(const char *node)
{
    char *marker = node_path(node, "data/run.marker");

    CHECK_EQ(unlink(marker), 0);
    mem_free(marker);
}

/* [CTL-52] Nothing was written meanwhile, so nothing is missing; but nobody knows that. */
static void furthest_logs_lead_after_everybody_lost_power(void)
{
    static const char *const nodes[] = {"broker-1", "broker-2", "broker-3"};

    begin();
    WEIR_WITH(&r, (&(struct run_options){.input = "one\ntwo\nthree\n"}), "produce", "three");
    CHECK_EQ(r.code, 0);
    CHECK_WITHIN(20000, none_is("--urp"));
    for (size_t i = 0; i < COUNT_OF(nodes); i++) {
        node_kill(nodes[i]);
    }
    for (size_t i = 0; i < COUNT_OF(nodes); i++) {
        lose_power(nodes[i]);
    }
    for (size_t i = 0; i < COUNT_OF(nodes); i++) {
        node_start(nodes[i]);
    }
    for (size_t i = 0; i < COUNT_OF(nodes); i++) {
        node_wait_ready(nodes[i]);
    }
    CHECK_WITHIN(30000, none_is("--offline"));
    CHECK_WITHIN(30000, none_is("--urp"));
    CHECK(node_log_has("controller-1", "UNCLEAN"));
    WEIR(&r, "consume", "three", "-o", "start", "--exit-at-end");
    CHECK_EQ(r.code, 0);
    CHECK(run_says(&r, "one") && run_says(&r, "two") && run_says(&r, "three"));
    cluster_down();
}

static const struct check_case cases[] = {
        CASE(partitions_are_listed_and_elected),
        CASE(broker_that_was_killed_is_in_sync_again_and_leads_as_before),
        CASE(partitions_follow_min_insync_replicas),
        CASE(topic_grows_while_it_is_used),
        CASE(furthest_logs_lead_after_everybody_lost_power),
};

int main(int argc, char **argv)
{
    int result = check_main("partitions", cases, COUNT_OF(cases), argc, argv);

    run_result_deinit(&r);
    return result;
}
