/* SPDX-License-Identifier: Apache-2.0 */
/* Networks that lose what they are given, silently, while clients are at work: nobody is told, all
 * links stay up. Each node is a host of its own (tests/lib/hosts.h); clients reach them all. F10 …
 * are the faults of the replication design's matrix. Three replicas, min.insync.replicas 2,
 * acks=all; each case heals what it cut. How long clients wait with usual timeouts is measured by
 * tests/bench/failover. */
#include "common/base/mem.h"
#include "tests/lib/check.h"
#include "tests/lib/cluster.h"
#include "tests/lib/hosts.h"
#include "tests/lib/judged.h"
#include "tests/lib/netns.h"
#include "tests/lib/seen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    HEAL_MS = 40000,
    /* Of what a dead connection costs a client, with sanitizers, on a machine that does more. */
    SLACK_MS = 4000,
    N_FLAPS = 3
};

static const char *broker_name(int id)
{
    static const char *const names[] = {NULL, "broker-1", "broker-2", "broker-3"};

    return names[id];
}

static const char *other_brokers(int id)
{
    static const char *const others[] = {NULL, HOSTS_BROKER(2) "," HOSTS_BROKER(3),
            HOSTS_BROKER(1) "," HOSTS_BROKER(3), HOSTS_BROKER(1) "," HOSTS_BROKER(2)};

    return others[id];
}

static void begin(struct judged *j, const char *topic)
{
    if (!hosts_are_up()) {
        hosts_up();
    }
    (void)WEIR_OK("topic", "create", topic, "-p", "3", "-r", "3", "-c", "min.insync.replicas=2");
    CHECK_WITHIN(HEAL_MS, seen_all_have(topic, HOSTS_BROKERS));
    judged_start(j, topic, 2, 200);
}

static struct judged_sum end(struct judged *j)
{
    CHECK_WITHIN(HEAL_MS, seen_all_have(j->topic, HOSTS_BROKERS));
    struct judged_sum sum = judged_end(j);
    CHECK(sum.n_acked > 50);
    CHECK_EQ(sum.n_failed, 0);
    return sum;
}

static bool is_led_by_another(const char *topic, int id)
{
    int leader = seen_leader(topic);

    return leader > 0 && leader != id;
}

/* F10 [CTL-5]: clients still reach it; it may answer them as long as others confirm what it does.
 */
static void leader_without_controllers_and_zookeeper_is_replaced_and_follows(void)
{
    struct judged j;

    begin(&j, "apart");
    int victim = seen_leader("apart");
    hosts_cut(broker_name(victim), "10.78.0.1," HOSTS_CONTROLLERS, HOSTS_CONTROLLERS);
    CHECK_WITHIN(HEAL_MS, is_led_by_another("apart", victim));
    seen_probe("apart");
    hosts_heal(broker_name(victim));
    struct judged_sum sum = end(&j);
    CHECK(sum.longest_gap_ms < HOSTS_BROKER_TIMEOUT_MS + SLACK_MS);
    CHECK(seen_leader_epoch("apart") > 0);
}

/* F11 [REP-25]: the controller sees everybody and changes no leader. The leader alone may not take
 * what two have to keep, says so, and goes on to be read. */
static void leader_without_followers_takes_nothing_that_it_alone_would_have(void)
{
    struct judged j;
    struct run_result r = {0};

    begin(&j, "lonely");
    int victim = seen_leader("lonely");
    int64_t epoch = seen_leader_epoch("lonely");
    hosts_cut(broker_name(victim), other_brokers(victim), other_brokers(victim));
    CHECK_WITHIN(HEAL_MS, seen_n_isr("lonely") == 1);
    WEIR_WITH(&r, (&(struct run_options){.input = "nobody keeps this\n"}), "produce", "lonely",
            "-p", "0", "-X", "delivery.timeout.ms=1500", "-X", "request.timeout.ms=1000");
    CHECK(r.code != 0);
    if (strstr(buf_str(&r.err), "NOT_ENOUGH_REPLICAS") == NULL) {
        check_fail(__FILE__, __LINE__, "produce: %d: %s", r.code, buf_str(&r.err));
    }
    run_result_deinit(&r);
    CHECK(strchr(WEIR_OK("consume", "lonely", "-n", "1"), '-') != NULL);
    CHECK_EQ(seen_leader("lonely"), victim);
    CHECK_EQ(seen_leader_epoch("lonely"), epoch);
    hosts_heal(broker_name(victim));
    (void)end(&j);
}

/* F12: it is heard and does not hear, then hears and is not heard, a second each. */
static void link_that_flaps_one_way_changes_leaders_a_bounded_number_of_times(void)
{
    struct judged j;

    begin(&j, "flapping");
    int victim = seen_leader("flapping");
    int64_t epoch = seen_leader_epoch("flapping");
    for (int i = 0; i < N_FLAPS; i++) {
        bool is_deaf = i % 2 == 0;
        hosts_cut(broker_name(victim), is_deaf ? HOSTS_ALL : NULL, is_deaf ? NULL : HOSTS_ALL);
        check_pause_ms(1000); /* the fault itself lasts so long */
        hosts_heal(broker_name(victim));
        check_pause_ms(1000);
    }
    (void)end(&j);
    CHECK(seen_leader_epoch("flapping") - epoch <= 3 * N_FLAPS);
}

/* F13 [BRK-16]: its session ends; the one after it is another incarnation, which lost nothing. */
static void leader_without_zookeeper_alone_comes_back_as_another_incarnation(void)
{
    struct judged j;

    begin(&j, "forgotten");
    int victim = seen_leader("forgotten");
    int64_t epoch = seen_broker_epoch(victim);
    hosts_cut_zookeeper(broker_name(victim));
    CHECK_WITHIN(HEAL_MS, is_led_by_another("forgotten", victim));
    hosts_heal(broker_name(victim));
    CHECK_WITHIN(HEAL_MS, seen_broker_epoch(victim) > epoch);
    CHECK(seen_broker_says(victim, "crash_kind", "clean"));
    struct judged_sum sum = end(&j);
    CHECK(sum.longest_gap_ms < SLACK_MS);
}

/* F14 [ZK-21]: before another one may act it has stopped; what it had not committed nobody heard.
 */
static void active_controller_without_zookeeper_stops_before_another_acts(void)
{
    struct judged j;

    begin(&j, "headless");
    int64_t epoch = seen_leader_epoch("headless");
    int old = hosts_controller_acts(1) ? 1 : 2;
    const char *name = old == 1 ? "controller-1" : "controller-2";
    CHECK(hosts_controller_acts(old));
    hosts_cut_zookeeper(name);
    CHECK_WITHIN(HEAL_MS, hosts_controller_acts(3 - old));
    CHECK(!hosts_controller_acts(old));
    (void)WEIR_OK("topic", "create", "meanwhile", "-p", "1", "-r", "3");
    seen_probe("meanwhile");
    hosts_heal(name);
    struct judged_sum sum = end(&j);
    CHECK(!hosts_controller_acts(old));
    CHECK_EQ(sum.n_errors, 0);
    CHECK_EQ(seen_leader_epoch("headless"), epoch);
}

/* C15 */
static void all_three_logs_are_the_same_in_the_end(void)
{
    CHECK(hosts_are_up());
    hosts_down();
}

static const struct check_case cases[] = {
        CASE(leader_without_controllers_and_zookeeper_is_replaced_and_follows),
        CASE(leader_without_followers_takes_nothing_that_it_alone_would_have),
        CASE(link_that_flaps_one_way_changes_leaders_a_bounded_number_of_times),
        CASE(leader_without_zookeeper_alone_comes_back_as_another_incarnation),
        CASE(active_controller_without_zookeeper_stops_before_another_acts),
        CASE(all_three_logs_are_the_same_in_the_end),
};

int main(int argc, char **argv)
{
    if (!netns_enter()) {
        printf("ok 1 - cuts # SKIP network namespaces are for root only\n1..1\n");
        return 0;
    }
    return check_main("cuts", cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
}
