/* SPDX-License-Identifier: Apache-2.0 */
/* The decision journal of a real cluster: whole after kills, restarts, trimming and takeovers. Numbers in brackets are
 * rules of docs/design/80-decisions.md. */
#include "common/base/array.h"
#include "common/base/mem.h"
#include "tests/lib/check.h"
#include "tests/lib/cluster.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    FAILOVER_MS = 30000
};

static struct {
    int active, holder; /* controller; broker that leads the journal */
} t;

/* --- Asking ------------------------------------------------------------------------------------ */

static int ask(int controller, const char *path, json_t **ret)
{
    struct buf body = {0};
    int status = http_request(controller_port(controller), "GET", path, NULL, false, &body);

    json_decref(*ret);
    *ret = json_loadb((const char *)body.data, body.size, 0, NULL);
    buf_deinit(&body);
    return status;
}

static int64_t number(const json_t *o, const char *key)
{
    const json_t *value = json_object_get(o, key);

    return json_is_integer(value) ? json_integer_value(value) : -1;
}

static const char *text(const json_t *o, const char *key)
{
    const char *value = json_string_value(json_object_get(o, key));

    return value != NULL ? value : "";
}

static bool metric_is(int controller, const char *line)
{
    struct buf b = {0};
    int status = http_request(controller_port(controller), "GET", "/metrics", NULL, false, &b);
    bool is = status == 200 && strstr(buf_str(&b), line) != NULL;

    buf_deinit(&b);
    return is;
}

static bool has_active(void)
{
    t.active = 0;
    for (int id = 1; id <= 2; id++) {
        if (metric_is(id, "\nweir_controller_active 1\n")) {
            t.active = id;
        }
    }
    return t.active != 0;
}

static int64_t leader_of(const char *topic, int partition)
{
    char path[256];
    json_t *json = NULL;
    int64_t leader = -1;

    (void)snprintf(path, sizeof(path), "/v1/topics/%s/partitions", topic);
    if (ask(t.active, path, &json) == 200) {
        leader =
                number(json_array_get(json_object_get(json, "items"), (size_t)partition), "leader");
    }
    json_decref(json);
    return leader;
}

static bool has_holder(void)
{
    t.holder = (int)leader_of("__weir_decisions", 0);
    return t.holder > 0;
}

static bool is_written(void)
{
    return has_active() && metric_is(t.active, "\nweir_journal_waiting 0\n");
}

/* The journal on one broker, whose absence is what is tested here. */
static bool has_one_journal(void)
{
    struct run_result r = {0};

    WEIR(&r, "topic", "replicate", "__weir_decisions", "--to", "1");
    bool has_it = r.code == 0;
    run_result_deinit(&r);
    return has_it;
}

static void begin(void)
{
    if (!cluster_is_up()) {
        cluster_up((const char *const[]){"--zookeepers", "1", "--controllers", "2", "--brokers",
                "2", "--set", "zookeeper.session.timeout.ms=2000", "--set",
                "default.replication.factor=1", "--set",
                "weir.meta.snapshot.entries=16", NULL});
        (void)WEIR_OK("cluster", "config", "set", "default.replication.factor=1");
        CHECK_WITHIN(FAILOVER_MS, has_one_journal());
    }
    CHECK_WITHIN(FAILOVER_MS, has_active());
    CHECK_WITHIN(FAILOVER_MS, has_holder());
    CHECK_WITHIN(FAILOVER_MS, is_written());
}

/* All pages, newest first. */
static json_t *walk(int controller, const char *query, int page_size)
{
    json_t *items = json_array(), *page = NULL;
    char path[512];

    (void)snprintf(path, sizeof(path), "/v1/decisions?page_size=%d%s", page_size, query);
    while (path[0] != '\0') {
        CHECK_EQ(ask(controller, path, &page), 200);
        CHECK_EQ(json_array_extend(items, json_object_get(page, "items")), 0);
        const char *token = text(page, "next_page_token");
        path[0] = '\0';
        if (token[0] != '\0') {
            (void)snprintf(path, sizeof(path), "/v1/decisions?page_size=%d%s&page_token=%s",
                    page_size, query, token);
        }
    }
    json_decref(page);
    return items;
}

/* Every decision from the newest to the first, each once. [DEC-7] */
static void check_whole(int controller, int page_size)
{
    json_t *items, *item;
    size_t i;

    /* What is not written yet only the active controller has. */
    CHECK_WITHIN(FAILOVER_MS, is_written());
    items = walk(controller, "", page_size);
    int64_t expected = number(json_array_get(items, 0), "seq");

    CHECK(expected > 10);
    json_array_foreach(items, i, item)
    {
        if (number(item, "seq") != expected) {
            check_fail(__FILE__, __LINE__, "seq %lld, not %lld: %s", (long long)number(item, "seq"),
                    (long long)expected, text(item, "text"));
        }
        expected--;
    }
    CHECK_EQ(expected, 0);
    json_decref(items);
}

/* Each leader epoch of the topic's partitions has exactly one decision. */
static void check_epochs(const char *topic, int n_partitions)
{
    json_t *partitions = NULL;
    char path[256];

    (void)snprintf(path, sizeof(path), "/v1/topics/%s/partitions", topic);
    CHECK_EQ(ask(t.active, path, &partitions), 200);
    for (int p = 0; p < n_partitions; p++) {
        const json_t *now = json_array_get(json_object_get(partitions, "items"), (size_t)p);
        (void)snprintf(path, sizeof(path), "&topic=%s&partition=%d", topic, p);
        json_t *items = walk(t.active, path, 7);
        CHECK_EQ((long long)json_array_size(items), number(now, "leader_epoch") + 1);
        for (size_t i = 0; i < json_array_size(items); i++) {
            const json_t *d = json_array_get(items, i), *old = json_object_get(d, "old");
            int64_t epoch = number(now, "leader_epoch") - (int64_t)i;
            CHECK_EQ(number(json_object_get(d, "new"), "leader_epoch"), epoch);
            CHECK_STR(text(d, "topic"), topic);
            CHECK(epoch == 0 ? json_is_null(old) : number(old, "leader_epoch") == epoch - 1);
            CHECK(number(d, "controller") == 1 || number(d, "controller") == 2);
        }
        json_decref(items);
    }
    json_decref(partitions);
}

/* --- Doing ------------------------------------------------------------------------------------- */

static const char *broker_name(int id)
{
    return id == 1 ? "broker-1" : "broker-2";
}

static const char *controller_name(int id)
{
    return id == 1 ? "controller-1" : "controller-2";
}

static void fail_over(void)
{
    int former = t.active;

    node_kill(controller_name(former));
    CHECK_WITHIN(FAILOVER_MS, has_active() && t.active != former);
    node_start(controller_name(former));
    node_wait_ready(controller_name(former));
}

/* What both have in memory is gone then; only what is in ZooKeeper and in the topic is left. */
static void restart_controllers(void)
{
    node_stop("controller-1");
    node_stop("controller-2");
    node_start("controller-1");
    node_start("controller-2");
    node_wait_ready("controller-1");
    node_wait_ready("controller-2");
    CHECK_WITHIN(FAILOVER_MS, has_active());
}

static void make_topics(int n, int broker)
{
    struct buf answer = {0};

    for (int i = 0; i < n; i++) {
        char body[128], path[128];
        (void)snprintf(
                body, sizeof(body), "{\"name\": \"short-%d\", \"assignments\": [[%d]]}", i, broker);
        CHECK_EQ(
                http_request(controller_port(t.active), "POST", "/v1/topics", body, false, &answer),
                201);
        (void)snprintf(path, sizeof(path), "/v1/topics/short-%d?confirm=short-%d", i, i);
        CHECK_EQ(
                http_request(controller_port(t.active), "DELETE", path, NULL, false, &answer), 200);
    }
    buf_deinit(&answer);
}

static void check_newest_cause(int partition, const char *one, const char *other)
{
    char query[64];
    json_t *page = NULL;

    (void)snprintf(
            query, sizeof(query), "/v1/decisions?page_size=1&topic=orders&partition=%d", partition);
    CHECK_EQ(ask(t.active, query, &page), 200);
    const char *cause = text(json_array_get(json_object_get(page, "items"), 0), "cause");
    if (strcmp(cause, one) != 0) {
        CHECK_STR(cause, other);
    }
    json_decref(page);
}

/* --- Cases ------------------------------------------------------------------------------------- */

static void a_write_names_the_decision_that_it_became(void)
{
    struct buf answer = {0};
    char path[64];
    json_t *d = NULL;

    begin();
    CHECK_EQ(http_request(controller_port(t.active), "POST", "/v1/topics",
                     "{\"name\": \"orders\", \"partitions\": 4, \"replication_factor\": 1}", true, &answer),
            201);
    const char *header = strstr(buf_str(&answer), "Weir-Decision: ");
    CHECK(header != NULL);
    (void)snprintf(path, sizeof(path), "/v1/decisions/%lld",
            strtoll(header + strlen("Weir-Decision: "), NULL, 10));
    CHECK_EQ(ask(t.active, path, &d), 200);
    CHECK_STR(text(d, "topic"), "orders");
    CHECK_STR(text(d, "cause"), "admin");
    CHECK_STR(text(d, "actor"), "http 127.0.0.1");
    CHECK(strstr(text(d, "text"), "orders") != NULL);
    CHECK_EQ(ask(t.active, "/v1/decisions/999999", &d), 404);
    CHECK_EQ(ask(t.active, "/v1/decisions/x", &d), 404);
    json_decref(d);
    buf_deinit(&answer);
}

static void wrong_queries_are_refused(void) /* [DEC-8]: a token is a place */
{
    static const char *const queries[] = {"partition=1", "topic=a&partition=x", "broker=-1",
            "cause=bad", "since=yesterday", "since_seq=x", "page_token=x", "page_size=0", "nope=1"};
    json_t *json = NULL;

    begin();
    for (size_t i = 0; i < COUNT_OF(queries); i++) {
        char path[128];
        (void)snprintf(path, sizeof(path), "/v1/decisions?%s", queries[i]);
        CHECK_EQ(ask(t.active, path, &json), 400);
    }
    json_decref(json);
}

static void every_leader_epoch_has_one_decision_with_its_cause(void)
{
    int64_t leader;

    begin();
    leader = leader_of("orders", 0);
    CHECK(leader > 0);
    node_kill(broker_name((int)leader));
    CHECK_WITHIN(FAILOVER_MS, leader_of("orders", 0) == -1);
    check_newest_cause(0, "broker_refused", "broker_gone");
    node_start(broker_name((int)leader));
    CHECK_WITHIN(FAILOVER_MS, leader_of("orders", 0) == leader);
    check_newest_cause(0, "broker_ready", "broker_ready");
    fail_over();
    node_stop(broker_name((int)leader));
    CHECK_WITHIN(FAILOVER_MS, leader_of("orders", 0) == -1);
    node_start(broker_name((int)leader));
    CHECK_WITHIN(FAILOVER_MS, leader_of("orders", 0) == leader);
    check_epochs("orders", 4);
    check_whole(t.active, 11);
    check_whole(3 - t.active, 1000); /* the standby */
}

static void the_log_is_trimmed_and_the_journal_is_whole(void) /* [DEC-6], [DEC-7] */
{
    json_t *json = NULL;

    begin();
    make_topics(25, 3 - t.holder);
    CHECK_WITHIN(FAILOVER_MS, is_written());
    restart_controllers();
    check_whole(t.active, 13);
    check_whole(3 - t.active, 1000);
    check_epochs("orders", 4);
    CHECK_EQ(ask(t.active, "/v1/decisions/1", &json), 200);
    CHECK_STR(text(json, "kind"), "new_controller");
    json_decref(json);
}

static void what_is_asked_of_a_deleted_topic_is_found_by_its_name(void) /* [DEC-9] */
{
    begin();
    json_t *items = walk(t.active, "&topic=short-3", 1);
    CHECK_EQ(json_array_size(items), 3);
    CHECK_STR(text(json_array_get(items, 0), "kind"), "remove_topic");
    CHECK_STR(text(json_array_get(items, 1), "kind"), "partition_state");
    CHECK_STR(text(json_array_get(items, 2), "kind"), "create_topic");
    json_decref(items);
    items = walk(t.active, "&cause=internal_topic", 100);
    CHECK(json_array_size(items) >= 2); /* made, and given more replicas when the second broker came */
    json_decref(items);
}

static void while_the_journals_broker_is_away_administration_goes_on(void) /* [DEC-4] */
{
    json_t *json = NULL;

    begin();
    int holder = t.holder;
    node_stop(broker_name(holder));
    CHECK_WITHIN(FAILOVER_MS, leader_of("__weir_decisions", 0) == -1);
    make_topics(20, 3 - holder);
    CHECK(!is_written());
    fail_over();
    make_topics(20, 3 - holder);
    CHECK_EQ(ask(t.active, "/v1/decisions?page_size=5", &json), 200);
    CHECK_EQ(json_array_size(json_object_get(json, "items")), 5);
    json_decref(json);
    node_start(broker_name(holder));
    CHECK_WITHIN(FAILOVER_MS, is_written());
    restart_controllers();
    CHECK_WITHIN(FAILOVER_MS, leader_of("__weir_decisions", 0) == holder);
    check_whole(t.active, 1000);
    check_epochs("orders", 4);
}

static void what_only_the_topic_has_is_refused_while_it_is_away(void)
{
    json_t *json = NULL;

    begin();
    node_stop(broker_name(t.holder));
    CHECK_WITHIN(FAILOVER_MS, leader_of("__weir_decisions", 0) == -1);
    CHECK_EQ(ask(t.active, "/v1/decisions/1", &json), 503);
    CHECK(strstr(text(json, "detail"), "older than what this controller has in memory") != NULL);
    CHECK_EQ(ask(t.active, "/v1/decisions?page_size=1", &json), 200);
    json_decref(json);
    node_start(broker_name(t.holder));
    CHECK_WITHIN(FAILOVER_MS, is_written());
}

/* Pages of five, down to the first that is not there; its status. */
static int walk_down(int controller, json_t **ret_last)
{
    char path[128] = "/v1/decisions?page_size=5";
    int status = 200;

    while (status == 200 && path[0] != '\0') {
        status = ask(controller, path, ret_last);
        const char *token = text(*ret_last, "next_page_token");
        (void)snprintf(path, sizeof(path), "/v1/decisions?page_size=5&page_token=%s", token);
        path[0] = token[0] != '\0' ? path[0] : '\0';
    }
    return status;
}

/* The journal's topic is there and refuses what is to be written; a controller that starts has only
 * the newest decisions in memory. */
static void what_is_not_written_yet_is_no_gap(void) /* [DEC-7] */
{
    json_t *last = NULL;

    begin();
    int standby = 3 - t.active;
    (void)WEIR_OK("topic", "set", "__weir_decisions", "max.message.bytes=1024");
    (void)WEIR_OK("topic", "create", "wide", "-p", "64"); /* in one batch, larger than that */
    make_topics(20, 1);
    CHECK(!is_written());
    node_stop(controller_name(standby));
    node_start(controller_name(standby));
    node_wait_ready(controller_name(standby));
    CHECK_EQ(walk_down(standby, &last), 503);
    CHECK(strstr(text(last, "detail"), "has not written them to the topic yet") != NULL);
    (void)WEIR_OK("topic", "unset", "__weir_decisions", "max.message.bytes");
    CHECK_WITHIN(FAILOVER_MS, is_written());
    check_whole(standby, 5);
    check_whole(t.active, 1000);
    json_decref(last);
}

static void explain_tells_the_chain_in_words(void)
{
    struct run_result r = {0};

    begin();
    const char *out = WEIR_OK("explain", "orders/0");
    const char *created = strstr(out, "as created, because http 127.0.0.1 asked for it");
    const char *lost = strstr(out, "→ none, leader epoch 0 → 1");
    CHECK(created != NULL);
    CHECK(lost != NULL);
    CHECK(created < lost);
    CHECK(strstr(WEIR_OK("explain", "broker", "1"), "broker 1 serves") != NULL);
    CHECK(strstr(WEIR_OK("explain", "orders", "--limit", "1", "-O", "jsonl"), "\"kind\":") != NULL);
    CHECK(strstr(WEIR_OK("explain", "short-3"), "topic short-3 deleted") != NULL);
    WEIR(&r, "explain", "nope");
    CHECK_EQ(r.code, 3);
    WEIR(&r, "explain", "broker", "77");
    CHECK_EQ(r.code, 3);
    WEIR(&r, "explain", "orders/99");
    CHECK_EQ(r.code, 3);
    WEIR(&r, "explain", "broker", "x");
    CHECK_EQ(r.code, 2);
    run_result_deinit(&r);
}

static const struct check_case cases[] = {
        CASE(a_write_names_the_decision_that_it_became),
        CASE(wrong_queries_are_refused),
        CASE(every_leader_epoch_has_one_decision_with_its_cause),
        CASE(the_log_is_trimmed_and_the_journal_is_whole),
        CASE(what_is_asked_of_a_deleted_topic_is_found_by_its_name),
        CASE(while_the_journals_broker_is_away_administration_goes_on),
        CASE(what_only_the_topic_has_is_refused_while_it_is_away),
        CASE(what_is_not_written_yet_is_no_gap),
        CASE(explain_tells_the_chain_in_words),
};
CHECK_MAIN("decisions", cases)
