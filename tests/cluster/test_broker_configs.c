/* SPDX-License-Identifier: Apache-2.0 */
/* A broker and a played controller: what a pushed value changes, and what it does not. */
#include "common/domain/errcode.h"
#include "tests/cluster/broker_world.h"
#include "tests/lib/run.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static void set(struct world *w, enum config_scope scope, const char *key, const char *value)
{
    struct meta_config_pair pair = {key, value};
    struct meta_record r = {.kind = META_CONFIG_SET};

    r.config_set.scope = scope;
    r.config_set.topic_id = scope == CONFIG_TOPIC ? topic_id(1) : (struct uuid){{0}};
    r.config_set.broker = scope == CONFIG_BROKER ? BROKER_ID : BROKER_NONE;
    r.config_set.configs = &pair;
    r.config_set.n_configs = 1;
    commit(w, &r, 1);
    push(w);
}

/* "value source" of the key, as the broker tells its controller. */
static const char *told(struct world *w, const char *key)
{
    static char text[128];
    struct msg_describe_configs_response m;
    struct reply r;

    (void)snprintf(text, sizeof(text), "none");
    call(w, w->controller, API_DESCRIBE_CONFIGS, rpc_out_new(), &r);
    CHECK_EQ(r.error, ERRCODE_NONE);
    CHECK_EQ(wire_decode_describe_configs_response(r.body, &r.arena, &m), 0);
    for (size_t i = 0; i < m.n_configs; i++) {
        if (strcmp(m.configs[i].name, key) == 0) {
            (void)snprintf(text, sizeof(text), "%s %s%s", m.configs[i].value, m.configs[i].source,
                    m.configs[i].read_only ? " read only" : "");
        }
    }
    reply_free(&r);
    return text;
}

static void the_brokers_value_stands_above_the_clusters_and_the_files(void) /* [CFG-10] */
{
    struct world *w = world_serving();

    CHECK_STR(told(w, "broker.id"), "7 file read only");
    CHECK_STR(told(w, "num.io.threads"), "2 default read only");
    CHECK_STR(told(w, "weir.flush.interval.ms"), "50 file");
    set(w, CONFIG_CLUSTER, "weir.flush.interval.ms", "70");
    CHECK_STR(told(w, "weir.flush.interval.ms"), "70 cluster");
    set(w, CONFIG_BROKER, "weir.flush.interval.ms", "80");
    CHECK_STR(told(w, "weir.flush.interval.ms"), "80 broker");
    set(w, CONFIG_CLUSTER, "weir.flush.interval.ms", NULL);
    CHECK_STR(told(w, "weir.flush.interval.ms"), "80 broker");
    set(w, CONFIG_BROKER, "weir.flush.interval.ms", NULL);
    CHECK_STR(told(w, "weir.flush.interval.ms"), "50 file");
    set(w, CONFIG_BROKER, "num.io.threads", "9"); /* no newer controller makes it dynamic here */
    CHECK_STR(told(w, "num.io.threads"), "2 default read only");
    world_free(w);
}

static void a_restarted_broker_gets_its_values_again(void) /* [CFG-10] */
{
    struct world *w = world_serving();

    set(w, CONFIG_CLUSTER, "max.connections", "50");
    set(w, CONFIG_BROKER, "log.level", "debug");
    CHECK_EQ(stop_broker(w, SIGKILL), 128 + SIGKILL);
    start_broker(w);
    connect_controller(w);
    CHECK_STR(told(w, "max.connections"), "10000 default");
    push_snapshot(w);
    CHECK_STR(told(w, "max.connections"), "50 cluster");
    CHECK_STR(told(w, "log.level"), "debug broker");
    world_free(w);
}

static void a_value_that_cannot_be_read_is_ignored_and_told(void) /* [CFG-11] */
{
    struct world *w = world_serving();

    set(w, CONFIG_CLUSTER, "max.connections", "60");
    set(w, CONFIG_BROKER, "max.connections", "many");
    CHECK_STR(told(w, "max.connections"), "60 cluster");
    set(w, CONFIG_CLUSTER, "log.level", "whisper");
    CHECK_STR(told(w, "log.level"), "info default");
    set(w, CONFIG_CLUSTER, "a.key.of.tomorrow", "1");
    set(w, CONFIG_CLUSTER, "message.max.bytes", "2048");
    set(w, CONFIG_TOPIC, "max.message.bytes", "huge");
    set(w, CONFIG_TOPIC, "message.timestamp.type", "MoonTime");
    set(w, CONFIG_TOPIC, "segment.bytes", "-1");
    CHECK_EQ(produce(w, -1, "a value", 100, 1000).error, ERRCODE_NONE);
    CHECK_EQ(produce(w, -1, "a value", 400, 1000).error, ERRCODE_MESSAGE_TOO_LARGE);
    CHECK(file_has(w->log, "event=value_ignored scope=broker key=max.connections"));
    CHECK(file_has(w->log, "event=value_ignored scope=cluster key=log.level"));
    CHECK(file_has(w->log, "event=value_ignored scope=cluster key=a.key.of.tomorrow"));
    CHECK(file_has(w->log, "event=value_ignored scope=topic key=max.message.bytes"));
    CHECK(file_has(w->log, "event=value_ignored scope=topic key=message.timestamp.type"));
    CHECK_EQ(stop_broker(w, SIGTERM), 0);
    world_free(w);
}

static void topic_keys_reach_an_open_log(void) /* [CFG-13] */
{
    struct world *w = world_serving();

    CHECK_EQ(produce(w, -1, "a value", 400, 1000).log_append_time, -1);
    set(w, CONFIG_TOPIC, "message.timestamp.type", "LogAppendTime");
    CHECK(produce(w, -1, "a value", 400, 1000).log_append_time > 1000);
    set(w, CONFIG_CLUSTER, "message.max.bytes", "2048"); /* of a topic without its own */
    CHECK_EQ(produce(w, -1, "a value", 400, 1000).error, ERRCODE_MESSAGE_TOO_LARGE);
    set(w, CONFIG_TOPIC, "max.message.bytes", "100000");
    CHECK_EQ(produce(w, -1, "a value", 400, 1000).error, ERRCODE_NONE);
    set(w, CONFIG_TOPIC, "max.message.bytes", NULL);
    CHECK_EQ(produce(w, -1, "a value", 400, 1000).error, ERRCODE_MESSAGE_TOO_LARGE);
    set(w, CONFIG_CLUSTER, "message.max.bytes", NULL);
    CHECK_EQ(produce(w, -1, "a value", 400, 1000).error, ERRCODE_NONE);
    world_free(w);
}

static void limits_count_for_those_who_come(void) /* [CFG-12] */
{
    struct world *w = world_serving();
    struct rpc_conn *first = w->client;
    struct msg_hello_response m;
    struct reply r;

    set(w, CONFIG_BROKER, "max.connections", "1");
    set(w, CONFIG_BROKER, "socket.request.max.bytes", "1048576");
    CHECK_EQ(produce(w, -1, "x", 1, 0).error, ERRCODE_NONE); /* the one that is there stays */
    w->client = dial(w);
    hello_as(w, w->client, ROLE_CLIENT, (struct uuid){{0}}, &r);
    CHECK_EQ(r.error, ERRCODE_POLICY_VIOLATION);
    reply_free(&r);
    CHECK(run_until(w, &w->client_closed, 3000));
    set(w, CONFIG_BROKER, "max.connections", NULL);
    w->client = dial(w);
    hello_as(w, w->client, ROLE_CLIENT, (struct uuid){{0}}, &r);
    CHECK_EQ(r.error, ERRCODE_NONE);
    CHECK_EQ(wire_decode_hello_response(r.body, &r.arena, &m), 0);
    CHECK_EQ(m.max_request_bytes, 1048576);
    reply_free(&r);
    rpc_conn_close(first);
    world_free(w);
}

static void the_log_level_is_another_at_once(void) /* [CFG-12] */
{
    struct world *w = world_serving();

    CHECK(!file_has(w->log, "level=debug"));
    set(w, CONFIG_BROKER, "log.level", "debug");
    connect_client(w); /* closes the former connection */
    CHECK_WITHIN(5000, file_has(w->log, "level=debug"));
    set(w, CONFIG_BROKER, "log.level", "error");
    set(w, CONFIG_BROKER, "max.connections", "77");
    CHECK(!file_has(w->log, "value=77"));
    world_free(w);
}

static const struct check_case cases[] = {
        CASE(the_brokers_value_stands_above_the_clusters_and_the_files),
        CASE(a_restarted_broker_gets_its_values_again),
        CASE(a_value_that_cannot_be_read_is_ignored_and_told),
        CASE(topic_keys_reach_an_open_log),
        CASE(limits_count_for_those_who_come),
        CASE(the_log_level_is_another_at_once),
        CASE(stop_zookeeper),
};

CHECK_MAIN("broker_configs", cases)
