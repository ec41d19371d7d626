/* SPDX-License-Identifier: Apache-2.0 */
/* A cluster that grows: what the controller makes of the balance by itself, and what becomes of it. */
#include "common/base/array.h"
#include "common/base/mem.h"
#include "tests/lib/check.h"
#include "tests/lib/cluster.h"
#include "tests/lib/seen.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

enum {
    MIB = 1 << 20,
    N_BROKERS = 4
};

static struct run_result r;

static bool why_says(const char *text)
{
    json_t *o = seen_call("GET", "/v1/balance", NULL);
    bool says = strstr(json_string_value(json_object_get(o, "why")), text) != NULL;

    json_decref(o);
    return says;
}

static bool is_balanced(void)
{
    json_t *o = seen_call("GET", "/v1/balance", NULL);
    bool is = json_is_true(json_object_get(o, "is_balanced"));

    json_decref(o);
    return is;
}

/* Records of `bytes` to the topic. */
static void fill(const char *topic, size_t bytes)
{
    struct buf lines = {0};
    char line[1000];

    memset(line, 'x', sizeof(line));
    line[sizeof(line) - 1] = '\n';
    while (lines.size < bytes) {
        buf_append(&lines, line, sizeof(line));
    }
    WEIR_WITH(&r, (&(struct run_options){.input = buf_str(&lines)}), "produce", topic);
    CHECK_EQ(r.code, 0);
    buf_deinit(&lines);
}

/* How far brokers are apart in one of the members that the balance tells of each. */
static void check_spread(const char *member, int64_t most)
{
    json_t *o = seen_call("GET", "/v1/balance", NULL), *b;
    int64_t low = INT64_MAX, high = 0;
    size_t i;

    CHECK_EQ(json_array_size(json_object_get(o, "brokers")), N_BROKERS);
    json_array_foreach(json_object_get(o, "brokers"), i, b)
    {
        const json_t *value = json_object_get(b, member);
        CHECK(json_is_integer(value));
        low = json_integer_value(value) < low ? json_integer_value(value) : low;
        high = json_integer_value(value) > high ? json_integer_value(value) : high;
    }
    json_decref(o);
    if (high - low > most) {
        printf("# %s: %" PRId64 " to %" PRId64 "\n", member, low, high);
    }
    CHECK(high - low <= most);
}

static void set(const char *pair)
{
    (void)WEIR_OK("cluster", "config", "set", pair);
}

/* [CTL-82] [CTL-84] [CTL-85] [CTL-86] The fourth broker is down, then it joins: nothing happens while it is away, a plan
 * is told, and carried out when the cluster says so. */
static void cluster_that_grows_becomes_even(void)
{
    cluster_up((const char *const[]){"--zookeepers", "1", "--controllers", "1", "--brokers", "4",
            "--set", "weir.auto.balance.quiet.ms=500", NULL});
    json_decref(seen_call("POST", "/v1/topics",
            "{\"name\": \"large\", \"assignments\": [[1, 2], [2, 3], [3, 1], [1, 3]]}"));
    json_decref(seen_call("POST", "/v1/topics",
            "{\"name\": \"small\", \"assignments\": [[1, 2], [2, 3], [3, 1], [2, 1], [3, 2], [1, 2], [2, 3], "
            "[3, 1]]}"));
    fill("large", 8 * MIB);
    fill("small", 2 * MIB);
    node_stop("broker-4");
    CHECK_WITHIN(10000, why_says("broker 4 is down"));
    node_start("broker-4");
    node_wait_ready("broker-4");
    CHECK_WITHIN(10000, why_says("weir balance apply"));
    WEIR(&r, "balance", "status");
    CHECK_EQ(r.code, 0);
    CHECK(strstr(buf_str(&r.err), "weir.auto.balance=plan") != NULL);
    CHECK(strstr(buf_str(&r.err), "planned: ") != NULL);
    WEIR(&r, "balance", "plan");
    CHECK(strstr(buf_str(&r.err), "MiB to copy") != NULL);
    CHECK(!is_balanced());
    set("weir.auto.balance=apply");
    CHECK_WITHIN(30000, is_balanced());
    check_spread("replicas", 2); /* users' and the cluster's own are each even */
    check_spread("leaders", 2);
    check_spread("bytes", 4 * MIB);
    WEIR(&r, "explain", "large/0");
    CHECK_EQ(r.code, 0);
    WEIR(&r, "consume", "large", "-o", "start", "--exit-at-end");
    CHECK(r.out.size >= 8 * MIB);
    set("weir.auto.balance=off");
    CHECK_WITHIN(10000, why_says("is off"));
    cluster_down();
}

static const struct check_case cases[] = {
        CASE(cluster_that_grows_becomes_even),
};

int main(int argc, char **argv)
{
    int result = check_main("balance", cases, COUNT_OF(cases), argc, argv);

    run_result_deinit(&r);
    return result;
}
