/* SPDX-License-Identifier: Apache-2.0 */
/* Partitions of a cluster of real processes: which want something, who leads, who may stop. */
#include "common/base/array.h"
#include "tests/lib/check.h"
#include "tests/lib/cluster.h"

#include <string.h>

static struct run_result r;

static bool says(const char *text)
{
    return strstr(buf_str(&r.out), text) != NULL || strstr(buf_str(&r.err), text) != NULL;
}

/* Two partitions, one on each broker. */
static void begin(void)
{
    if (!cluster_is_up()) {
        cluster_up((const char *const[]){
                "--zookeepers", "1", "--controllers", "1", "--brokers", "2", NULL});
        (void)WEIR_OK("topic", "create", "orders", "-p", "2", "-r", "1");
    }
}

static void partitions_are_listed_and_elected(void)
{
    begin();
    WEIR(&r, "partition", "list");
    CHECK_EQ(r.code, 0);
    CHECK(says("orders/0"));
    CHECK(says("orders/1"));
    WEIR(&r, "partition", "list", "--offline", "-O", "json");
    CHECK_STR(buf_str(&r.out), "[]\n");
    WEIR(&r, "partition", "elect", "orders/0");
    CHECK_EQ(r.code, 0);
    CHECK(says("leads already"));
    WEIR(&r, "partition", "elect", "--all");
    CHECK_EQ(r.code, 0);
    CHECK(says("0 leaderships moved, 0 failed"));
    WEIR(&r, "partition", "elect", "orders/7");
    CHECK_EQ(r.code, 7);
    CHECK(says("there is no partition orders-7"));
    WEIR(&r, "partition", "elect", "--unclean", "orders/0");
    CHECK_EQ(r.code, 2);
    WEIR(&r, "partition", "elect", "--unclean", "--leader", "1", "orders/0", "-y");
    CHECK_EQ(r.code, 7);
    CHECK(says("nothing is lost while somebody does"));
}

static bool one_is_offline(void)
{
    WEIR(&r, "partition", "list", "--offline", "-O", "jsonl");
    return r.code == 0 && says("\"offline\"");
}

static void only_replica_makes_its_broker_indispensable(void)
{
    begin();
    WEIR(&r, "broker", "stop-check", "2");
    CHECK_EQ(r.code, 10);
    CHECK(says("should not be stopped now"));
    node_kill("broker-2");
    CHECK_WITHIN(10000, one_is_offline());
    WEIR(&r, "partition", "list", "--not-preferred");
    CHECK(says("none"));
    node_start("broker-2");
    node_wait_ready("broker-2");
    CHECK_WITHIN(10000, !one_is_offline());
    cluster_down();
}

static const struct check_case cases[] = {
        CASE(partitions_are_listed_and_elected),
        CASE(only_replica_makes_its_broker_indispensable),
};

int main(int argc, char **argv)
{
    int result = check_main("partitions", cases, COUNT_OF(cases), argc, argv);

    run_result_deinit(&r);
    return result;
}
