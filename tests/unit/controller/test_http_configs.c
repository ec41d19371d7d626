/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/check.h"
#include "tests/unit/controller/http_world.h"

#include <stdio.h>

static struct world w;

static void begin(void)
{
    static bool is_made;

    if (is_made) {
        world_deinit(&w);
    }
    world_init(&w);
    world_topic(&w, "orders", 1, (const broker_id[]){1});
    is_made = true;
}

#define PATCH(path, body) world_send(&w, "PATCH", (path), (body))

static void apply(enum config_scope scope, broker_id broker, const char *key, const char *value)
{
    struct meta_config_pair pair = {key, value};
    struct meta_record r = {.kind = META_CONFIG_SET, .seq = ++w.seq};

    r.config_set.scope = scope;
    r.config_set.broker = broker;
    r.config_set.configs = &pair;
    r.config_set.n_configs = 1;
    CHECK_EQ(image_apply(w.image, 12, &r), 0);
}

/* "value source" of the item in that list, or "none". */
static const char *item_of(const char *list, const char *name)
{
    static char text[256];
    char path[64];

    for (int i = 0; i < 100; i++) {
        (void)snprintf(path, sizeof(path), "%s/%d/name", list, i);
        if (strcmp(world_text(&w, path), name) != 0) {
            continue;
        }
        (void)snprintf(path, sizeof(path), "%s/%d/value", list, i);
        bool is_null = world_is_null(&w, path);
        const char *value = world_text(&w, path);
        (void)snprintf(path, sizeof(path), "%s/%d/source", list, i);
        (void)snprintf(text, sizeof(text), "%s %s", is_null ? "null" : value, world_text(&w, path));
        return text;
    }
    return "none";
}

static const char *item(const char *name)
{
    return item_of("items", name);
}

/* --- GET -------------------------------------------------------------------------------------- */

static void topic_says_who_gave_each_value(void) /* [CFG-7] */
{
    begin();
    apply(CONFIG_CLUSTER, BROKER_NONE, "log.segment.bytes", "2097152");
    apply(CONFIG_CLUSTER, BROKER_NONE, "message.max.bytes", "4096");
    CHECK_EQ(GET(&w, "/v1/topics/orders/configs"), 200);
    CHECK_STR(item("segment.bytes"), "67108864 topic");
    CHECK_STR(item("max.message.bytes"), "4096 cluster");
    CHECK_STR(item("index.interval.bytes"), "4096 default");
    CHECK_STR(world_text(&w, "items/0/type"), "number");
    CHECK_STR(world_text(&w, "items/0/unit"), "bytes");
    CHECK_STR(world_text(&w, "items/0/default"), "1073741824");
    CHECK(json_is_false(world_at(&w, "items/0/read_only")));
    CHECK(world_text(&w, "items/0/text")[0] != '\0');
    CHECK_STR(http_answer_get(&w.answer, "ETag"), "\"12\"");
    CHECK_EQ(GET(&w, "/v1/topics/orders"), 200);
    CHECK_STR(item_of("configs", "max.message.bytes"), "4096 cluster");
    CHECK_EQ(GET(&w, "/v1/topics/nope/configs"), 404);
}

static void cluster_lists_topics_defaults_and_brokers_dynamic_keys(void) /* [CFG-1] */
{
    begin();
    apply(CONFIG_CLUSTER, BROKER_NONE, "log.level", "debug");
    CHECK_EQ(GET(&w, "/v1/cluster/configs"), 200);
    CHECK_STR(item("num.partitions"), "1 default");
    CHECK_STR(item("log.level"), "debug cluster");
    CHECK_STR(item("max.connections"), "null "); /* every broker's own file says */
    CHECK_STR(item("log.segment.bytes"), "1073741824 default");
    CHECK_STR(item("listeners"), "none");
    CHECK_STR(http_answer_get(&w.answer, "ETag"), "\"12\"");
    w.view.is_active = false;
    CHECK_EQ(GET(&w, "/v1/cluster/configs"), 200);
    CHECK_STR(http_answer_get(&w.answer, "Weir-Stale"), "true");
}

static void broker_is_asked_by_the_active_controller(void) /* [CFG-9] */
{
    begin();
    CHECK_EQ(GET(&w, "/v1/brokers/1/configs"), 0);
    CHECK(w.later == http_get_broker_configs);
    CHECK_STR(w.later_arg, "1");
    w.view.is_active = false;
    w.view.active.id = 2;
    CHECK_EQ(GET(&w, "/v1/brokers/1/configs"), 307);
    CHECK_STR(http_answer_get(&w.answer, "Location"), "http://127.0.0.1:9180/v1/brokers/1/configs");
}

static void broker_that_does_not_tell_has_null(void) /* [CFG-9] */
{
    const struct msg_config_entry told[] = {
            {"log.level", "warn", "file", false}, {"listeners", "weir://a:1", "file", true}};
    const struct msg_describe_configs_response m = {
            (struct msg_config_entry *)(uintptr_t)told, COUNT_OF(told)};

    begin();
    apply(CONFIG_BROKER, 1, "max.connections", "5");
    w.json = json_pack("{s:o}", "items", http_broker_config_items(w.image, 1, NULL, NULL));
    CHECK_STR(item("max.connections"), "5 broker");
    CHECK_STR(item("log.level"), "null ");
    CHECK_STR(item("listeners"), "null ");
    json_decref(w.json);
    w.json = json_pack("{s:o}", "items", http_broker_config_items(w.image, 1, &m, NULL));
    CHECK_STR(item("log.level"), "warn file");
    CHECK_STR(item("listeners"), "weir://a:1 file");
}

/* --- PATCH ------------------------------------------------------------------------------------ */

static void patch_reaches_the_core_with_plain_numbers(void) /* [CFG-6] */
{
    struct ctl_event ev;

    begin();
    w.call.reason = "because";
    w.call.content_type = "application/merge-patch+json; charset=utf-8";
    CHECK_EQ(PATCH("/v1/topics/orders/configs",
                     "{\"segment.bytes\": \"2MiB\", \"max.message.bytes\": 2048, "
                     "\"message.timestamp.type\": null}"),
            0);
    http_write_event(&w.write, &ev);
    CHECK_EQ(ev.kind, CTL_EV_SET_CONFIGS);
    CHECK_EQ(ev.set_configs.scope, CONFIG_TOPIC);
    CHECK_STR(ev.set_configs.topic, "orders");
    CHECK_EQ(ev.set_configs.n_pairs, 3);
    CHECK_STR(ev.set_configs.pairs[0].value, "2097152");
    CHECK_STR(ev.set_configs.pairs[1].value, "2048");
    CHECK(ev.set_configs.pairs[2].value == NULL);
    CHECK_EQ(ev.set_configs.if_seq, 0);
    CHECK(!ev.set_configs.dry_run);
    CHECK_STR(ev.reason, "because");
    CHECK_STR(ev.actor, "http 127.0.0.1");
    CHECK_EQ(w.write.leaders.n, 2); /* brokers 1 and 2 are connected */
    CHECK_EQ(
            PATCH("/v1/brokers/2/configs?dry_run=true", "{\"weir.flush.interval.ms\": \"5s\"}"), 0);
    http_write_event(&w.write, &ev);
    CHECK_EQ(ev.set_configs.scope, CONFIG_BROKER);
    CHECK_EQ(ev.set_configs.broker, 2);
    CHECK_STR(ev.set_configs.pairs[0].value, "5000");
    CHECK(ev.set_configs.dry_run);
    CHECK_EQ(w.write.leaders.n, 1);
    CHECK_EQ(PATCH("/v1/cluster/configs", "{}"), 0);
    http_write_event(&w.write, &ev);
    CHECK_EQ(ev.set_configs.scope, CONFIG_CLUSTER);
    CHECK_EQ(ev.set_configs.n_pairs, 0);
}

static void wrong_members_are_all_named_and_nothing_is_asked(void) /* [CFG-2], [CFG-6] */
{
    static const struct {
        const char *path, *body, *pointer, *detail;
    } rows[] = {
            {"/v1/topics/orders/configs", "{\"segment.byte\": 1}", "/segment.byte",
                    "unknown topic configuration 'segment.byte'; did you mean 'segment.bytes'?"},
            {"/v1/topics/orders/configs", "{\"log.segment.bytes\": 1}", "/log.segment.bytes",
                    "'log.segment.bytes' is the cluster's name for it; of a topic it is "
                    "'segment.bytes'"},
            {"/v1/topics/orders/configs", "{\"num.partitions\": 1}", "/num.partitions",
                    "'num.partitions' is configuration of the cluster"},
            {"/v1/topics/orders/configs", "{\"max.connections\": 1}", "/max.connections",
                    "'max.connections' is configuration of brokers: give it to one broker or to "
                    "the cluster"},
            {"/v1/cluster/configs", "{\"max.message.bytes\": 4096}", "/max.message.bytes",
                    "'max.message.bytes' is the topic's name for it; of a cluster it is "
                    "'message.max.bytes'"},
            {"/v1/cluster/configs", "{\"listeners\": \"a\"}", "/listeners",
                    "'listeners' is read when weir-broker starts: change it in its file and "
                    "restart it"},
            {"/v1/brokers/1/configs", "{\"controller.id\": 1}", "/controller.id",
                    "'controller.id' is read when weir-controller starts: change it in its file "
                    "and restart it"},
            {"/v1/brokers/1/configs", "{\"num.partitions\": 1}", "/num.partitions",
                    "'num.partitions' is configuration of the cluster"},
            {"/v1/brokers/1/configs", "{\"segment.bytes\": 1}", "/segment.bytes",
                    "'segment.bytes' is configuration of a topic"},
            {"/v1/brokers/1/configs", "{\"max.connection\": 1}", "/max.connection",
                    "unknown broker configuration 'max.connection'; did you mean "
                    "'max.connections'?"},
            {"/v1/brokers/1/configs", "{\"max.connections\": 0}", "/max.connections",
                    "max.connections: \"0\" is too small; it takes a whole number from 1 to "
                    "1000000, for example 10000"},
    };

    begin();
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        CHECK_EQ(PATCH(rows[i].path, rows[i].body), 422);
        CHECK_STR(world_text(&w, "errors/0/pointer"), rows[i].pointer);
        CHECK_STR(world_text(&w, "errors/0/detail"), rows[i].detail);
        CHECK_STR(world_text(&w, "code"), "INVALID_CONFIG");
    }
    CHECK_EQ(PATCH("/v1/topics/orders/configs",
                     "{\"segment.bytes\": \"1KiB\", \"max.message.bytes\": 2048, \"nope\": 1}"),
            422);
    CHECK_EQ(json_array_size(world_at(&w, "errors")), 2);
    CHECK_STR(world_text(&w, "errors/1/pointer"), "/nope");
    CHECK(strstr(world_text(&w, "errors/1/detail"), "there are segment.bytes, ") != NULL);
}

static void malformed_bodies_are_400(void)
{
    static const char *const bodies[] = {"", "{", "[]", "null", "7", "{\"a\": 1, \"a\": 2}",
            "{\"segment.bytes\": []}", "{\"segment.bytes\": 1.5}", "{\"segment.bytes\": {}}"};

    begin();
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        CHECK_EQ(PATCH("/v1/topics/orders/configs", bodies[i]), 400);
        CHECK_STR(world_text(&w, "type"), "urn:weir:problem:bad-body");
    }
    w.call.content_type = "text/plain";
    CHECK_EQ(PATCH("/v1/topics/orders/configs", "{}"), 415);
    char *large = mem_new_n(char, (16 << 10) + 2);
    memset(large, ' ', (16 << 10) + 1);
    CHECK_EQ(PATCH("/v1/topics/orders/configs", large), 413);
    mem_free(large);
}

static void what_is_not_there_is_404_and_a_standby_sends_on(void)
{
    begin();
    CHECK_EQ(PATCH("/v1/topics/nope/configs", "{}"), 404);
    CHECK_STR(world_text(&w, "code"), "UNKNOWN_TOPIC_OR_PARTITION");
    CHECK_EQ(PATCH("/v1/brokers/9/configs", "{}"), 404);
    CHECK_STR(world_text(&w, "code"), "UNKNOWN_BROKER");
    CHECK_EQ(PATCH("/v1/brokers/x/configs", "{}"), 404);
    w.view.is_active = false;
    w.view.active.id = 2;
    CHECK_EQ(PATCH("/v1/cluster/configs", "{}"), 307);
    w.view.has_active = false;
    CHECK_EQ(PATCH("/v1/cluster/configs", "{}"), 503);
}

static void if_match_is_the_index_that_was_read(void) /* [CFG-5] */
{
    struct ctl_event ev;

    begin();
    w.if_match = "\"12\"";
    CHECK_EQ(PATCH("/v1/cluster/configs", "{\"num.partitions\": 2}"), 0);
    http_write_event(&w.write, &ev);
    CHECK_EQ(ev.set_configs.if_seq, image_position(w.image).last_seq);
    CHECK_EQ(world_reply(&w,
                     &(struct ctl_reply){.error = ERRCODE_INVALID_UPDATE_VERSION,
                             .detail = "the metadata has moved on since it was read"},
                     false),
            412);
    w.if_match = "*";
    CHECK_EQ(PATCH("/v1/cluster/configs", "{\"num.partitions\": 2}"), 0);
    CHECK_EQ(w.write.config.if_seq, 0);
    w.if_match = "\"11\"";
    CHECK_EQ(PATCH("/v1/cluster/configs", "{\"num.partitions\": 2}"), 412);
    CHECK_STR(world_text(&w, "detail"), "the metadata is at \"12\", and If-Match says \"11\"");
    w.if_match = "12";
    CHECK_EQ(PATCH("/v1/cluster/configs", "{\"num.partitions\": 2}"), 400);
    w.if_match = NULL;
}

static void answer_has_the_list_and_the_decision(void) /* [CFG-8] */
{
    const struct ctl_reply done = {.after_seq = 40};

    begin();
    CHECK_EQ(PATCH("/v1/topics/orders/configs", "{\"segment.bytes\": 2097152}"), 0);
    CHECK(http_write_waits_for_leaders(&w.write));
    CHECK_EQ(world_reply(&w, &done, true), 200);
    CHECK(json_is_true(world_at(&w, "applied")));
    CHECK(json_is_true(world_at(&w, "changed")));
    CHECK_STR(item("segment.bytes"), "67108864 topic"); /* as the image says */
    CHECK_STR(http_answer_get(&w.answer, "Weir-Decision"), "40");
    CHECK_STR(http_answer_get(&w.answer, "ETag"), "\"12\"");
    CHECK_EQ(PATCH("/v1/topics/orders/configs", "{\"segment.bytes\": 2097152}"), 0);
    CHECK_EQ(world_reply(&w, &done, false), 200);
    CHECK(json_is_false(world_at(&w, "applied")));
    CHECK_EQ(PATCH("/v1/brokers/3/configs", "{\"log.level\": \"warn\"}"), 0);
    CHECK(!http_write_waits_for_leaders(&w.write)); /* it is not connected */
    CHECK_EQ(world_reply(&w, &done, false), 200);
    CHECK(json_is_false(world_at(&w, "applied")));
}

static void nothing_new_is_no_decision(void)
{
    begin();
    CHECK_EQ(PATCH("/v1/cluster/configs", "{}"), 0);
    CHECK_EQ(
            world_reply(&w, &(struct ctl_reply){.after_seq = 40, .is_unchanged = true}, true), 200);
    CHECK(json_is_false(world_at(&w, "changed")));
    CHECK(http_answer_get(&w.answer, "Weir-Decision") == NULL);
}

static void dry_run_shows_what_would_be(void)
{
    broker_id id;
    const struct msg_config_entry told[] = {{"log.level", "warn", "file", false}};
    const struct msg_describe_configs_response m = {
            (struct msg_config_entry *)(uintptr_t)told, COUNT_OF(told)};

    begin();
    apply(CONFIG_CLUSTER, BROKER_NONE, "log.segment.bytes", "2097152");
    CHECK_EQ(PATCH("/v1/topics/orders/configs?dry_run=true",
                     "{\"segment.bytes\": null, \"max.message.bytes\": 2048}"),
            0);
    CHECK_EQ(world_reply(&w, &(struct ctl_reply){.after_seq = 40}, false), 200);
    CHECK_STR(item("segment.bytes"), "2097152 cluster");
    CHECK_STR(item("max.message.bytes"), "2048 topic");
    CHECK(json_is_false(world_at(&w, "applied")));
    CHECK(http_answer_get(&w.answer, "Weir-Decision") == NULL);
    CHECK_EQ(PATCH("/v1/brokers/1/configs?dry_run=true", "{\"max.connections\": 7}"), 0);
    http_write_take(&w.write, &(struct ctl_reply){.after_seq = 40});
    CHECK(http_write_wants_configs(&w.write, &id));
    CHECK_EQ(id, 1);
    http_write_take_configs(&w.write, &w.view, &m);
    http_write_answer(&w.write, &w.view, &w.call, false, &w.answer);
    w.json = json_loadb((const char *)w.answer.body.data, w.answer.body.size, 0, NULL);
    CHECK_STR(item("max.connections"), "7 broker");
    CHECK_STR(item("log.level"), "warn file");
}

static void replication_of_the_core_has_its_pointer(void) /* [CFG-4] */
{
    begin();
    CHECK_EQ(PATCH("/v1/cluster/configs", "{\"default.replication.factor\": 2}"), 0);
    CHECK_EQ(world_reply(&w,
                     &(struct ctl_reply){
                             .error = ERRCODE_INVALID_REPLICATION_FACTOR, .detail = "1 only"},
                     false),
            422);
    CHECK_STR(world_text(&w, "errors/0/pointer"), "/default.replication.factor");
}

static const struct check_case cases[] = {
        CASE(topic_says_who_gave_each_value),
        CASE(cluster_lists_topics_defaults_and_brokers_dynamic_keys),
        CASE(broker_is_asked_by_the_active_controller),
        CASE(broker_that_does_not_tell_has_null),
        CASE(patch_reaches_the_core_with_plain_numbers),
        CASE(wrong_members_are_all_named_and_nothing_is_asked),
        CASE(malformed_bodies_are_400),
        CASE(what_is_not_there_is_404_and_a_standby_sends_on),
        CASE(if_match_is_the_index_that_was_read),
        CASE(answer_has_the_list_and_the_decision),
        CASE(nothing_new_is_no_decision),
        CASE(dry_run_shows_what_would_be),
        CASE(replication_of_the_core_has_its_pointer),
};

CHECK_MAIN("http_configs", cases)
