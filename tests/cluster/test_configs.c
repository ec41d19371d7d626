/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration changed while a cluster of real processes runs: from `weir … set` to what a log
 * does. */
#include "tests/lib/check.h"
#include "tests/lib/cluster.h"
#include "tests/lib/raw.h"

#include "common/base/mem.h"
#include "common/domain/errcode.h"

#include <dirent.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static struct {
    struct buf body;
    json_t *json;
} t;

static int active_controller(void)
{
    for (int id = 1; id <= 2; id++) {
        if (http_request(controller_port(id), "GET", "/v1/cluster", NULL, true, &t.body) == 200 &&
                strstr(buf_str(&t.body), "Weir-Stale") == NULL) {
            return id;
        }
    }
    return 0;
}

/* One cluster for all cases; a key that only the cluster has goes there. */
static void begin(void)
{
    if (!cluster_is_up()) {
        cluster_up((const char *const[]){"--zookeepers", "1", "--controllers", "2", "--brokers",
                "1", "--set", "num.partitions=1", "--set", "max.connections.per.ip=500", NULL});
    }
    CHECK_WITHIN(10000, active_controller() != 0);
}

static int request(const char *method, const char *path, const char *headers, const char *body)
{
    int status = http_request_with(
            controller_port(active_controller()), method, path, headers, body, false, &t.body);

    json_decref(t.json);
    t.json = json_loadb((const char *)t.body.data, t.body.size, 0, NULL);
    return status;
}

/* "value source" of the key, as the API has it. */
static const char *value_at(const char *path, const char *key)
{
    static char text[256];
    size_t i;
    json_t *item;

    CHECK_EQ(request("GET", path, "", NULL), 200);
    (void)snprintf(text, sizeof(text), "none");
    json_array_foreach(json_object_get(t.json, "items"), i, item)
    {
        if (strcmp(json_string_value(json_object_get(item, "name")), key) == 0) {
            const char *value = json_string_value(json_object_get(item, "value"));
            const char *source = json_string_value(json_object_get(item, "source"));
            (void)snprintf(text, sizeof(text), "%s %s", value != NULL ? value : "null",
                    source != NULL ? source : "null");
        }
    }
    return text;
}

/* Files of the topic's only partition whose names end so; `ret_bytes` (may be NULL) is the size of
 * all. */
static int count_files(const char *topic, const char *ending, int64_t *ret_bytes)
{
    char *data = node_path("broker-1", "data");
    char *folder = mem_format("%s/%s-0", data, topic);
    DIR *d = opendir(folder);
    struct dirent *e;
    int n = 0;

    CHECK(d != NULL);
    while ((e = readdir(d)) != NULL) {
        size_t size = strlen(e->d_name), tail = strlen(ending);
        if (size > tail && strcmp(e->d_name + size - tail, ending) == 0) {
            struct stat st;
            CHECK_EQ(fstatat(dirfd(d), e->d_name, &st, 0), 0);
            n++;
            if (ret_bytes != NULL) {
                *ret_bytes += st.st_size;
            }
        }
    }
    (void)closedir(d);
    mem_free(folder);
    mem_free(data);
    return n;
}

/* One batch with a value of that size; its result. */
static struct msg_produce_result produce(const char *topic, size_t size)
{
    struct raw *r = raw_client(broker_port(1));
    struct uuid id = raw_topic_id(r, topic, NULL);
    uint8_t *value = mem_new_n(uint8_t, size);
    struct buf batch = {0};

    raw_batch(&batch, 1, value, size);
    struct msg_produce_result result = raw_produce(r, -1, &id, 0, &batch);
    buf_deinit(&batch);
    mem_free(value);
    (void)raw_close(r);
    return result;
}

static void must_take(const char *topic, size_t size)
{
    CHECK_EQ(produce(topic, size).error, ERRCODE_NONE);
}

/* --- Topics ----------------------------------------------------------------------------------- */

static void keys_of_the_cluster_are_set_by_dev_up(void)
{
    begin();
    CHECK_STR(value_at("/v1/cluster/configs", "num.partitions"), "1 cluster");
    CHECK_STR(value_at("/v1/brokers/1/configs", "max.connections.per.ip"), "500 file");
    struct run_result r = {0};
    WEIR(&r, "dev", "up", "--dir", "/nonexistent", "--set", "num.partitions=none");
    CHECK_EQ(r.code, 2);
    CHECK(strstr((const char *)r.err.data, "is not a number") != NULL);
    WEIR(&r, "dev", "up", "--dir", "/nonexistent", "--set", "segment.bytes=1MiB");
    CHECK_EQ(r.code, 2);
    CHECK(strstr((const char *)r.err.data, "it is 'log.segment.bytes'") != NULL);
    run_result_deinit(&r);
}

static void a_smaller_segment_rolls_an_open_log(void) /* [CFG-13] */
{
    begin();
    (void)WEIR_OK("topic", "create", "rolls");
    pid_t before = node_pid("broker-1");
    must_take("rolls", 900000);
    must_take("rolls", 900000);
    CHECK_EQ(count_files("rolls", ".log", NULL), 1);
    (void)WEIR_OK("topic", "set", "rolls", "segment.bytes=1MiB", "--reason", "a test");
    must_take("rolls", 1000);
    CHECK_EQ(count_files("rolls", ".log", NULL), 2);
    CHECK_EQ(node_pid("broker-1"), before);
}

static void the_clusters_value_is_that_of_topics_without_one(void) /* [CFG-7] [CFG-13] */
{
    begin();
    (void)WEIR_OK("topic", "create", "follows");
    (void)WEIR_OK("topic", "create", "keeps", "-c", "segment.bytes=1GiB");
    must_take("follows", 1000000);
    must_take("keeps", 1000000);
    (void)WEIR_OK("cluster", "config", "set", "log.segment.bytes=1MiB");
    must_take("follows", 100000);
    must_take("keeps", 100000);
    CHECK_EQ(count_files("follows", ".log", NULL), 2);
    CHECK_EQ(count_files("keeps", ".log", NULL), 1);
    CHECK_STR(value_at("/v1/topics/follows/configs", "segment.bytes"), "1048576 cluster");
    CHECK_STR(value_at("/v1/topics/keeps/configs", "segment.bytes"), "1073741824 topic");
    (void)WEIR_OK("topic", "unset", "keeps", "segment.bytes");
    must_take("keeps", 1000);
    CHECK_EQ(count_files("keeps", ".log", NULL), 2);
    (void)WEIR_OK("cluster", "config", "unset", "log.segment.bytes");
    CHECK_STR(value_at("/v1/topics/keeps/configs", "segment.bytes"), "1073741824 default");
}

static void the_index_gets_denser(void) /* [CFG-13] */
{
    int64_t before = 0, sparse = 0, dense = 0;

    begin();
    (void)WEIR_OK("topic", "create", "indexed", "-c", "index.interval.bytes=1MiB");
    for (int i = 0; i < 10; i++) {
        must_take("indexed", 1000);
    }
    (void)count_files("indexed", ".index", &before);
    for (int i = 0; i < 10; i++) {
        must_take("indexed", 1000);
    }
    (void)count_files("indexed", ".index", &sparse);
    CHECK_EQ(sparse, before);
    (void)WEIR_OK("topic", "set", "indexed", "index.interval.bytes=512");
    for (int i = 0; i < 10; i++) {
        must_take("indexed", 1000);
    }
    (void)count_files("indexed", ".index", &dense);
    CHECK(dense - sparse >= (int64_t)9 * 8); /* an entry a batch */
}

static void the_brokers_clock_counts_from_the_next_record_on(void) /* [CFG-13] */
{
    begin();
    (void)WEIR_OK("topic", "create", "stamped");
    CHECK_EQ(produce("stamped", 10).log_append_time, -1);
    (void)WEIR_OK("topic", "set", "stamped", "message.timestamp.type=LogAppendTime");
    CHECK(produce("stamped", 10).log_append_time > 0);
    (void)WEIR_OK("cluster", "config", "set", "log.message.timestamp.type=LogAppendTime");
    (void)WEIR_OK("topic", "unset", "stamped", "message.timestamp.type");
    CHECK(produce("stamped", 10).log_append_time > 0);
    (void)WEIR_OK("cluster", "config", "unset", "log.message.timestamp.type");
    CHECK_EQ(produce("stamped", 10).log_append_time, -1);
}

static void a_smaller_message_limit_refuses_at_once(void) /* [CFG-8] [CFG-13] */
{
    begin();
    (void)WEIR_OK("topic", "create", "limited");
    must_take("limited", 5000);
    (void)WEIR_OK("topic", "set", "limited", "max.message.bytes=4KiB");
    CHECK_EQ(produce("limited", 5000).error, ERRCODE_MESSAGE_TOO_LARGE);
    must_take("limited", 1000);
    (void)WEIR_OK("topic", "set", "limited", "max.message.bytes=1MiB");
    must_take("limited", 5000);
}

static void new_topics_have_the_clusters_partitions(void) /* [CFG-4] */
{
    begin();
    (void)WEIR_OK("cluster", "config", "set", "num.partitions=3");
    CHECK_STR(WEIR_OK("cluster", "config", "get", "num.partitions"), "3\n");
    (void)WEIR_OK("topic", "create", "wide");
    CHECK_EQ(request("GET", "/v1/topics/wide", "", NULL), 200);
    CHECK_EQ(json_integer_value(json_object_get(t.json, "partitions")), 3);
    (void)WEIR_OK("cluster", "config", "set", "num.partitions=1");
}

/* --- Brokers ---------------------------------------------------------------------------------- */

static int hello_error(struct raw **ret)
{
    struct msg_hello_request m = {
            .client_id = "one more", .role = ROLE_CLIENT, .controller_id = -1};
    struct raw_answer a;
    struct buf body = {0};

    m.library = m.library_version = "test";
    wire_encode_hello_request(&m, &body);
    *ret = raw_connect(broker_port(1));
    raw_call(*ret, API_HELLO, &body, &a);
    buf_deinit(&body);
    return a.header.error;
}

static void a_brokers_keys_change_while_it_runs(void) /* [CFG-9] [CFG-12] */
{
    struct raw *one = NULL, *two = NULL;

    begin();
    CHECK_EQ(hello_error(&one), ERRCODE_NONE);
    (void)WEIR_OK("broker", "config", "set", "1", "max.connections=1", "log.level=debug");
    CHECK_STR(value_at("/v1/brokers/1/configs", "max.connections"), "1 broker");
    CHECK_STR(value_at("/v1/brokers/1/configs", "broker.id"), "1 file");
    CHECK_EQ(hello_error(&two), ERRCODE_POLICY_VIOLATION);
    (void)WEIR_OK("broker", "config", "unset", "1", "max.connections");
    (void)raw_close(two);
    CHECK_EQ(hello_error(&two), ERRCODE_NONE);
    (void)raw_close(two);
    (void)raw_close(one);
    CHECK_WITHIN(10000, node_log_has("broker-1", "level=debug"));
    (void)WEIR_OK("broker", "config", "unset", "1", "log.level");
    CHECK_STR(value_at("/v1/brokers/1/configs", "log.level"), "info default");
}

static void a_broker_that_is_away_says_so_and_follows_when_it_comes(void) /* [CFG-8] [CFG-9] */
{
    begin();
    node_stop("broker-1");
    CHECK_EQ(request("PATCH", "/v1/brokers/1/configs", "", "{\"max.connections\": 700}"), 200);
    CHECK(json_is_false(json_object_get(t.json, "applied")));
    CHECK_STR(value_at("/v1/brokers/1/configs", "max.connections"), "700 broker");
    CHECK_STR(value_at("/v1/brokers/1/configs", "listeners"), "null null");
    CHECK(strstr(json_string_value(json_object_get(t.json, "problem")), "not connected") != NULL);
    node_start("broker-1");
    node_wait_ready("broker-1");
    CHECK_WITHIN(10000,
            strcmp(value_at("/v1/brokers/1/configs", "max.connections.per.ip"), "500 file") == 0);
    CHECK_STR(value_at("/v1/brokers/1/configs", "max.connections"), "700 broker");
    (void)WEIR_OK("broker", "config", "unset", "1", "max.connections");
}

/* --- Refusals --------------------------------------------------------------------------------- */

static void what_is_wrong_changes_nothing(void) /* [CFG-2] [CFG-6] */
{
    struct run_result r = {0};

    begin();
    (void)WEIR_OK("topic", "create", "same", "-c", "max.message.bytes=2048");
    CHECK_EQ(request("PATCH", "/v1/topics/same/configs", "",
                     "{\"max.message.bytes\": 4096, \"segment.bytes\": \"1KiB\", \"nope\": 1}"),
            422);
    CHECK_EQ(json_array_size(json_object_get(t.json, "errors")), 2);
    CHECK_STR(value_at("/v1/topics/same/configs", "max.message.bytes"), "2048 topic");
    WEIR(&r, "cluster", "config", "set", "default.replication.factor=6");
    CHECK_EQ(r.code, 2);
    CHECK(strstr((const char *)r.err.data, "at most 5") != NULL);
    WEIR(&r, "broker", "config", "set", "1", "listeners=weir://0.0.0.0:1");
    CHECK_EQ(r.code, 2);
    CHECK(strstr((const char *)r.err.data, "is read when weir-broker starts") != NULL);
    WEIR(&r, "topic", "set", "nope", "segment.bytes=1MiB");
    CHECK_EQ(r.code, 3);
    WEIR(&r, "broker", "config", "set", "9", "log.level=warn");
    CHECK_EQ(r.code, 3);
    WEIR(&r, "cluster", "confg", "set", "a=b");
    CHECK_EQ(r.code, 2);
    CHECK(strstr((const char *)r.err.data, "Did you mean `weir cluster config set`?") != NULL);
    run_result_deinit(&r);
}

static void a_dry_run_shows_and_changes_nothing(void)
{
    begin();
    (void)WEIR_OK("topic", "create", "dry");
    CHECK(strstr(WEIR_OK("topic", "set", "dry", "max.message.bytes=4KiB", "--dry-run"), "4096") !=
            NULL);
    CHECK_STR(value_at("/v1/topics/dry/configs", "max.message.bytes"), "1048588 default");
    must_take("dry", 5000);
}

/* Reads, and changes on that reading; the status. `header` (64 bytes) gets the If-Match. */
static int read_and_change(char *header)
{
    const char *etag;
    unsigned long long index = 0;

    CHECK_EQ(http_request(controller_port(active_controller()), "GET", "/v1/cluster/configs", NULL,
                     true, &t.body),
            200);
    etag = strstr(buf_str(&t.body), "ETag: \"");
    CHECK(etag != NULL && sscanf(etag, "ETag: \"%llu\"", &index) == 1);
    (void)snprintf(header, 64, "If-Match: \"%llu\"\r\n", index);
    return request("PATCH", "/v1/cluster/configs", header, "{\"message.max.bytes\": 70000}");
}

static void a_change_on_an_old_reading_is_412(void) /* [CFG-5] */
{
    char header[64];

    begin();
    /* Again where the controller decided something else in between. */
    CHECK_WITHIN(10000, read_and_change(header) == 200);
    CHECK(json_is_true(json_object_get(t.json, "changed")));
    CHECK_EQ(
            request("PATCH", "/v1/cluster/configs", header, "{\"message.max.bytes\": 80000}"), 412);
    CHECK_STR(value_at("/v1/cluster/configs", "message.max.bytes"), "70000 cluster");
    (void)WEIR_OK("cluster", "config", "unset", "message.max.bytes");
}

/* --- Failures --------------------------------------------------------------------------------- */

static void values_survive_a_failover_and_a_restart(void) /* [CFG-10] */
{
    char name[32];
    int old;

    begin();
    (void)WEIR_OK("topic", "create", "survives");
    (void)WEIR_OK("topic", "set", "survives", "max.message.bytes=4KiB");
    (void)WEIR_OK("cluster", "config", "set", "max.connections=800");
    (void)WEIR_OK("broker", "config", "set", "1", "max.connections.per.ip=600");
    old = active_controller();
    (void)snprintf(name, sizeof(name), "controller-%d", old);
    node_kill(name);
    CHECK_WITHIN(20000, active_controller() != 0 && active_controller() != old);
    CHECK_STR(value_at("/v1/topics/survives/configs", "max.message.bytes"), "4096 topic");
    CHECK_STR(value_at("/v1/cluster/configs", "max.connections"), "800 cluster");
    node_kill("broker-1");
    node_start("broker-1");
    node_wait_ready("broker-1");
    CHECK_WITHIN(20000, produce("survives", 1000).error == ERRCODE_NONE);
    CHECK_EQ(produce("survives", 5000).error, ERRCODE_MESSAGE_TOO_LARGE);
    CHECK_WITHIN(10000,
            strcmp(value_at("/v1/brokers/1/configs", "max.connections"), "800 cluster") == 0);
    CHECK_STR(value_at("/v1/brokers/1/configs", "max.connections.per.ip"), "600 broker");
    node_start(name);
    node_wait_ready(name);
}

static void it_ends_in_order(void)
{
    begin();
    cluster_down();
    json_decref(t.json);
    buf_deinit(&t.body);
}

static const struct check_case cases[] = {
        CASE(keys_of_the_cluster_are_set_by_dev_up),
        CASE(a_smaller_segment_rolls_an_open_log),
        CASE(the_clusters_value_is_that_of_topics_without_one),
        CASE(the_index_gets_denser),
        CASE(the_brokers_clock_counts_from_the_next_record_on),
        CASE(a_smaller_message_limit_refuses_at_once),
        CASE(new_topics_have_the_clusters_partitions),
        CASE(a_brokers_keys_change_while_it_runs),
        CASE(a_broker_that_is_away_says_so_and_follows_when_it_comes),
        CASE(what_is_wrong_changes_nothing),
        CASE(a_dry_run_shows_and_changes_nothing),
        CASE(a_change_on_an_old_reading_is_412),
        CASE(values_survive_a_failover_and_a_restart),
        CASE(it_ends_in_order),
};

CHECK_MAIN("configs_cluster", cases)
