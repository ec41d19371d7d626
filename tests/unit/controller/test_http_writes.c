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
    is_made = true;
}

/* --- POST ----------------------------------------------------------------------------------------------------------- */

static void name_alone_is_a_topic(void)
{
    struct ctl_event ev;

    begin();
    w.call.reason = "because";
    CHECK_EQ(POST(&w, "/v1/topics", "{\"name\": \"orders\"}"), 0);
    http_write_event(&w.write, &ev);
    CHECK_EQ(ev.kind, CTL_EV_CREATE_TOPIC);
    CHECK_STR(ev.create.name, "orders");
    CHECK_EQ(ev.create.n_partitions, -1);
    CHECK_EQ(ev.create.replication_factor, -1);
    CHECK_EQ(ev.create.n_configs, 0);
    CHECK_EQ(ev.create.n_assignments, 0);
    CHECK(!ev.create.dry_run);
    CHECK_STR(ev.actor, "http 127.0.0.1");
    CHECK_STR(ev.reason, "because");
}

static void whole_body_reaches_the_core_with_normalised_configs(void)
{
    struct ctl_event ev;

    begin();
    CHECK_EQ(
            POST(&w, "/v1/topics?dry_run=true",
                    "{\"name\": \"orders\", \"partitions\": 2, \"replication_factor\": 1, "
                    "\"configs\": "
                    "{\"segment.bytes\": \"64MiB\", \"max.message.bytes\": 2048, "
                    "\"message.timestamp.type\": \"LogAppendTime\"}, \"assignments\": [[1], [2]]}"),
            0);
    http_write_event(&w.write, &ev);
    CHECK_EQ(ev.create.n_partitions, 2);
    CHECK_EQ(ev.create.replication_factor, 1);
    CHECK_EQ(ev.create.n_configs, 3);
    CHECK_STR(ev.create.configs[0].key, "segment.bytes");
    CHECK_STR(ev.create.configs[0].value, "67108864");
    CHECK_STR(ev.create.configs[1].value, "2048");
    CHECK_STR(ev.create.configs[2].value, "LogAppendTime");
    CHECK_EQ(ev.create.n_assignments, 2);
    CHECK_EQ(ev.create.assignments[1].n, 1);
    CHECK_EQ(ev.create.assignments[1].at[0], 2);
    CHECK(ev.create.dry_run);
}

static void assignments_alone_give_the_numbers(void)
{
    struct ctl_event ev;

    begin();
    CHECK_EQ(POST(&w, "/v1/topics", "{\"name\": \"a\", \"assignments\": [[1, 2], [2, 1], [1, 2]]}"),
            0);
    http_write_event(&w.write, &ev);
    CHECK_EQ(ev.create.n_partitions, 3);
    CHECK_EQ(ev.create.replication_factor, 2);
}

static void body_that_is_malformed_is_400_with_a_pointer(void)
{
    static const struct {
        const char *body;
        const char *pointer;
    } rows[] = {
            {"", ""},
            {"{", ""},
            {"nonsense", ""},
            {"[]", ""},
            {"null", ""},
            {"{\"name\": \"a\"} trailing", ""},
            {"{\"name\": \"a\", \"name\": \"b\"}", ""},
            {"{\"name\": \"\xff\"}", ""},
            {"{\"name\": \"a\\u0000b\"}", ""},
            {"{}", "/name"},
            {"{\"name\": 7}", "/name"},
            {"{\"name\": null}", "/name"},
            {"{\"name\": \"a\", \"partition\": 1}", "/partition"},
            {"{\"name\": \"a\", \"a/b~c\": 1}", "/a~1b~0c"},
            {"{\"name\": \"a\", \"partitions\": \"6\"}", "/partitions"},
            {"{\"name\": \"a\", \"partitions\": 6.0}", "/partitions"},
            {"{\"name\": \"a\", \"partitions\": true}", "/partitions"},
            {"{\"name\": \"a\", \"replication_factor\": []}", "/replication_factor"},
            {"{\"name\": \"a\", \"configs\": []}", "/configs"},
            {"{\"name\": \"a\", \"configs\": {\"segment.bytes\": null}}", "/configs/segment.bytes"},
            {"{\"name\": \"a\", \"configs\": {\"segment.bytes\": 1.5e9}}",
                    "/configs/segment.bytes"},
            {"{\"name\": \"a\", \"assignments\": {}}", "/assignments"},
            {"{\"name\": \"a\", \"assignments\": [1]}", "/assignments/0"},
            {"{\"name\": \"a\", \"assignments\": [[1], [\"2\"]]}", "/assignments/1/0"},
    };

    begin();
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        CHECK_EQ(POST(&w, "/v1/topics", rows[i].body), 400);
        CHECK_STR(world_text(&w, "type"), "urn:weir:problem:bad-body");
        CHECK_STR(world_text(&w, "errors/0/pointer"), rows[i].pointer);
        CHECK(world_text(&w, "errors/0/detail")[0] != '\0');
        CHECK(world_text(&w, "hint")[0] != '\0');
    }
}

static void body_that_breaks_a_rule_is_422_with_a_pointer(void)
{
    static const struct {
        const char *body;
        const char *pointer;
        const char *code;
    } rows[] = {
            {"{\"name\": \"a\", \"partitions\": 0}", "/partitions", "INVALID_PARTITIONS"},
            {"{\"name\": \"a\", \"partitions\": 100001}", "/partitions", "INVALID_PARTITIONS"},
            {"{\"name\": \"a\", \"partitions\": -1}", "/partitions", "INVALID_PARTITIONS"},
            {"{\"name\": \"a\", \"replication_factor\": 9}", "/replication_factor",
                    "INVALID_REPLICATION_FACTOR"},
            {"{\"name\": \"a\", \"configs\": {\"segment.byte\": 1}}", "/configs/segment.byte",
                    "INVALID_CONFIG"},
            {"{\"name\": \"a\", \"configs\": {\"nothing like it\": 1}}", "/configs/nothing like it",
                    "INVALID_CONFIG"},
            {"{\"name\": \"a\", \"configs\": {\"segment.bytes\": \"1KiB\"}}",
                    "/configs/segment.bytes", "INVALID_CONFIG"},
            {"{\"name\": \"a\", \"configs\": {\"segment.bytes\": true}}", "/configs/segment.bytes",
                    "INVALID_CONFIG"},
            {"{\"name\": \"a\", \"assignments\": []}", "/assignments",
                    "INVALID_REPLICA_ASSIGNMENT"},
            {"{\"name\": \"a\", \"assignments\": [[]]}", "/assignments/0",
                    "INVALID_REPLICA_ASSIGNMENT"},
            {"{\"name\": \"a\", \"assignments\": [[1,1]]}", "/assignments/0/1",
                    "INVALID_REPLICA_ASSIGNMENT"},
            {"{\"name\": \"a\", \"assignments\": [[-1]]}", "/assignments/0/0",
                    "INVALID_REPLICA_ASSIGNMENT"},
            {"{\"name\": \"a\", \"assignments\": [[4294967296]]}", "/assignments/0/0",
                    "INVALID_REPLICA_ASSIGNMENT"},
            {"{\"name\": \"a\", \"assignments\": [[1,2,3,4,5,6,7,8,9]]}", "/assignments/0",
                    "INVALID_REPLICA_ASSIGNMENT"},
            {"{\"name\": \"a\", \"partitions\": 3, \"assignments\": [[1], [2]]}", "/assignments",
                    "INVALID_REPLICA_ASSIGNMENT"},
            {"{\"name\": \"a\", \"assignments\": [[1], [2, 1]]}", "/assignments/1",
                    "INVALID_REPLICA_ASSIGNMENT"},
            {"{\"name\": \"a\", \"replication_factor\": 2, \"assignments\": [[1]]}",
                    "/assignments/0", "INVALID_REPLICA_ASSIGNMENT"},
    };

    begin();
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        CHECK_EQ(POST(&w, "/v1/topics", rows[i].body), 422);
        CHECK_STR(world_text(&w, "errors/0/pointer"), rows[i].pointer);
        CHECK_STR(world_text(&w, "code"), rows[i].code);
    }
}

static void misspelt_config_gets_the_nearest_name(void)
{
    begin();
    CHECK_EQ(POST(&w, "/v1/topics", "{\"name\": \"a\", \"configs\": {\"segment.byte\": 1}}"), 422);
    CHECK_STR(world_text(&w, "errors/0/detail"),
            "unknown topic configuration 'segment.byte'; did you mean 'segment.bytes'?");
}

static void all_faults_are_told_at_once(void)
{
    begin();
    CHECK_EQ(
            POST(&w, "/v1/topics", "{\"name\": 1, \"partitions\": 0, \"configs\": 2, \"more\": 3}"),
            400);
    CHECK_EQ(json_array_size(world_at(&w, "errors")), 4);
}

static void body_without_a_json_type_is_415(void)
{
    static const char *const types[] = {"text/plain", "application/x-www-form-urlencoded",
            "application/jsonx", "application/json2;"};

    begin();
    for (size_t i = 0; i < COUNT_OF(types); i++) {
        w.call.content_type = types[i];
        CHECK_EQ(POST(&w, "/v1/topics", "{\"name\": \"a\"}"), 415);
    }
    w.call.content_type = "Application/JSON; charset=utf-8";
    CHECK_EQ(POST(&w, "/v1/topics", "{\"name\": \"a\"}"), 0);
}

static void body_that_takes_long_to_read_is_413(void)
{
    char *body = mem_format("{\"name\": \"%0131072d\"}", 1);

    begin();
    CHECK_EQ(POST(&w, "/v1/topics", body), 413);
    CHECK_STR(world_text(&w, "type"), "urn:weir:problem:body-too-large");
    mem_free(body);
}

static void reason_that_is_no_short_text_is_400(void)
{
    char *long_reason = mem_format("%0600d", 1);

    begin();
    w.call.reason = "\xff";
    CHECK_EQ(POST(&w, "/v1/topics", "{\"name\": \"a\"}"), 400);
    w.call.reason = long_reason;
    CHECK_EQ(POST(&w, "/v1/topics", "{\"name\": \"a\"}"), 400);
    CHECK_STR(world_text(&w, "type"), "urn:weir:problem:bad-header");
    mem_free(long_reason);
    CHECK_EQ(POST(&w, "/v1/topics?dry_run=yes", "{\"name\": \"a\"}"), 400);
}

/* --- Answers to it -------------------------------------------------------------------------------------------------- */

static const struct ctl_placement placement[] = {
        {.partition = 0,
                .replicas = {.n = 1, .at = {2}},
                .leader = 2,
                .why = "broker 2 has the fewest"},
        {.partition = 1, .replicas = {.n = 1, .at = {1}}, .leader = 1, .why = "broker 1 is next"},
        {.partition = 2, .replicas = {.n = 1, .at = {2}}, .leader = 2, .why = "broker 2 is next"},
};

static void created_topic_is_201_with_place_and_decision(void)
{
    struct ctl_reply reply = {.after_seq = 40,
            .topic_id = {.bytes = {0xcd}},
            .placement = placement,
            .n_placement = 3};

    begin();
    CHECK_EQ(POST(&w, "/v1/topics", "{\"name\": \"orders\"}"), 0);
    CHECK_EQ(world_reply(&w, &reply, true), 201);
    CHECK_STR(http_answer_get(&w.answer, "Location"), "/v1/topics/orders");
    CHECK_STR(http_answer_get(&w.answer, "Weir-Decision"), "40");
    CHECK_STR(http_answer_get(&w.answer, "Weir-Metadata-Index"), "12");
    CHECK_STR(world_text(&w, "name"), "orders");
    CHECK_STR(world_text(&w, "topic_id"), "cd000000-0000-0000-0000-000000000000");
    CHECK(json_is_true(world_at(&w, "ready")));
    CHECK_EQ(world_number(&w, "partitions/0/leader"), 2);
    CHECK_EQ(world_number(&w, "partitions/0/replicas/0"), 2);
    CHECK_STR(world_text(&w, "partitions/1/why"), "broker 1 is next");
    CHECK(http_write_waits_for_leaders(&w.write));
    CHECK_EQ(w.write.leaders.n, 2);
}

static void dry_run_is_200_without_decision(void)
{
    struct ctl_reply reply = {
            .topic_id = {.bytes = {0xcd}}, .placement = placement, .n_placement = 1};

    begin();
    CHECK_EQ(POST(&w, "/v1/topics?dry_run=true", "{\"name\": \"orders\"}"), 0);
    CHECK_EQ(world_reply(&w, &reply, false), 200);
    CHECK(!http_write_waits_for_leaders(&w.write));
    CHECK(http_answer_get(&w.answer, "Location") == NULL);
    CHECK(http_answer_get(&w.answer, "Weir-Decision") == NULL);
    CHECK(json_is_false(world_at(&w, "ready")));
    CHECK_EQ(json_array_size(world_at(&w, "partitions")), 1);
}

static void topic_without_a_leader_does_not_wait_for_it(void)
{
    struct ctl_placement offline = {
            .replicas = {.n = 1, .at = {3}}, .leader = BROKER_NONE, .why = "it was asked for"};
    struct ctl_reply reply = {.after_seq = 1, .placement = &offline, .n_placement = 1};

    begin();
    CHECK_EQ(POST(&w, "/v1/topics", "{\"name\": \"orders\"}"), 0);
    CHECK_EQ(world_reply(&w, &reply, false), 201);
    CHECK(!http_write_waits_for_leaders(&w.write));
    CHECK(world_is_null(&w, "partitions/0/leader"));
}

static void existing_topic_is_409_and_says_since_when(void)
{
    struct ctl_reply reply = {.error = ERRCODE_TOPIC_ALREADY_EXISTS, .detail = "it exists"};

    begin();
    world_topic(&w, "orders", 1, (const broker_id[]){1});
    CHECK_EQ(POST(&w, "/v1/topics", "{\"name\": \"orders\"}"), 0);
    CHECK_EQ(world_reply(&w, &reply, false), 409);
    CHECK_STR(world_text(&w, "type"), "urn:weir:problem:topic-exists");
    CHECK_STR(world_text(&w, "title"), "Topic exists");
    CHECK_STR(world_text(&w, "detail"), "a topic 'orders' exists since 2026-11-20T10:00:00Z");
    CHECK_STR(world_text(&w, "code"), "TOPIC_ALREADY_EXISTS");
    CHECK_EQ(world_number(&w, "kafka_code"), 36);
    CHECK(json_is_false(world_at(&w, "retriable")));
    CHECK_EQ(json_array_size(world_at(&w, "errors")), 0);
    CHECK_STR(world_text(&w, "hint"), "Choose another name, or see it: GET /v1/topics/orders");
}

static void errors_of_the_core_have_their_status_and_pointer(void)
{
    static const struct {
        int errcode, status;
        const char *pointer;
    } rows[] = {
            {ERRCODE_INVALID_TOPIC_EXCEPTION, 422, "/name"},
            {ERRCODE_INVALID_PARTITIONS, 422, "/partitions"},
            {ERRCODE_INVALID_REPLICATION_FACTOR, 422, "/replication_factor"},
            {ERRCODE_INVALID_REPLICA_ASSIGNMENT, 422, "/assignments"},
            {ERRCODE_INVALID_CONFIG, 422, "/configs"},
            {ERRCODE_NOT_CONTROLLER, 503, ""},
            {ERRCODE_BROKER_NOT_AVAILABLE, 503, ""},
            {ERRCODE_LEADER_NOT_AVAILABLE, 503, ""},
            {ERRCODE_REQUEST_TIMED_OUT, 504, ""},
            {ERRCODE_UNKNOWN_SERVER_ERROR, 500, ""},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct ctl_reply reply = {.error = rows[i].errcode, .detail = "the sentence"};
        begin();
        CHECK_EQ(POST(&w, "/v1/topics", "{\"name\": \"a b\"}"), 0);
        CHECK_EQ(world_reply(&w, &reply, false), rows[i].status);
        CHECK_STR(world_text(&w, "errors/0/pointer"), rows[i].pointer);
        CHECK_STR(world_text(&w, "detail"), "the sentence");
        CHECK(world_text(&w, "hint")[0] != '\0');
        CHECK_EQ(world_number(&w, "kafka_code"), rows[i].errcode);
        CHECK_EQ(http_answer_get(&w.answer, "Retry-After") != NULL, rows[i].status == 503);
        CHECK_EQ(json_is_true(world_at(&w, "retriable")), rows[i].status >= 503);
        CHECK(http_answer_get(&w.answer, "Weir-Decision") == NULL);
    }
}

static void answer_of_a_huge_topic_is_cut(void)
{
    struct ctl_placement *many = mem_new_n(struct ctl_placement, 5000);
    struct ctl_reply reply = {.after_seq = 9, .placement = many, .n_placement = 5000};

    for (int32_t i = 0; i < 5000; i++) {
        many[i] = (struct ctl_placement){.partition = i,
                .replicas = {.n = 1, .at = {i % 2}},
                .leader = i % 2,
                .why = "next"};
    }
    begin();
    CHECK_EQ(POST(&w, "/v1/topics", "{\"name\": \"a\"}"), 0);
    CHECK_EQ(world_reply(&w, &reply, true), 201);
    CHECK_EQ(json_array_size(world_at(&w, "partitions")), 1000);
    CHECK_EQ(w.write.leaders.n, 2);
    mem_free(many);
}

/* --- DELETE --------------------------------------------------------------------------------------------------------- */

static void delete_wants_the_name_again(void)
{
    struct ctl_event ev;
    struct ctl_reply reply = {.after_seq = 41, .topic_id = {.bytes = {0xcd}}};

    begin();
    world_topic(&w, "orders", 1, (const broker_id[]){1});
    CHECK_EQ(DELETE(&w, "/v1/topics/orders"), 422);
    CHECK_STR(world_text(&w, "code"), "NOT_CONFIRMED");
    CHECK_STR(world_text(&w, "hint"), "Repeat it with ?confirm=orders");
    CHECK_EQ(DELETE(&w, "/v1/topics/orders?confirm=order"), 422);
    CHECK_EQ(DELETE(&w, "/v1/topics/orders?confirm="), 422);
    CHECK_EQ(DELETE(&w, "/v1/topics/orders?confirm=orders"), 0);
    http_write_event(&w.write, &ev);
    CHECK_EQ(ev.kind, CTL_EV_DELETE_TOPIC);
    CHECK_STR(ev.delete_topic.name, "orders");
    CHECK(!ev.delete_topic.dry_run);
    CHECK(!http_write_waits_for_leaders(&w.write));
    CHECK_EQ(world_reply(&w, &reply, false), 200);
    CHECK_STR(world_text(&w, "name"), "orders");
    CHECK_STR(world_text(&w, "topic_id"), "cd000000-0000-0000-0000-000000000000");
    CHECK_STR(http_answer_get(&w.answer, "Weir-Decision"), "41");
}

static void deleting_an_unknown_topic_is_404(void)
{
    struct ctl_reply reply = {.error = ERRCODE_UNKNOWN_TOPIC_OR_PARTITION, .detail = ""};

    begin();
    CHECK_EQ(DELETE(&w, "/v1/topics/nope?confirm=nope"), 404);
    world_topic(&w, "orders", 1, (const broker_id[]){1});
    CHECK_EQ(DELETE(&w, "/v1/topics/orders?confirm=orders"), 0);
    CHECK_EQ(world_reply(&w, &reply, false), 404); /* another request was faster */
}

/* --- Standby -------------------------------------------------------------------------------------------------------- */

static void standby_sends_writes_to_the_active_one(void)
{
    begin();
    w.view.is_active = false;
    w.view.self_id = 2;
    CHECK_EQ(POST(&w, "/v1/topics?dry_run=true", "not even JSON"), 307);
    CHECK_STR(
            http_answer_get(&w.answer, "Location"), "http://127.0.0.1:9180/v1/topics?dry_run=true");
    CHECK_STR(http_answer_get(&w.answer, "Weir-Stale"), "true");
    CHECK_EQ(DELETE(&w, "/v1/topics/a b\r\nX: y?confirm=a"), 307);
    CHECK_STR(http_answer_get(&w.answer, "Location"),
            "http://127.0.0.1:9180/v1/topics/a%20b%0D%0AX%3A%20y?confirm=a");
    CHECK_EQ(GET(&w, "/v1/topics"), 200);
    CHECK_STR(http_answer_get(&w.answer, "Weir-Stale"), "true");
}

static void standby_that_knows_of_no_active_one_is_503(void)
{
    begin();
    w.view.is_active = false;
    CHECK_EQ(POST(&w, "/v1/topics", "{}"), 503); /* its own node is all there is */
    CHECK_STR(http_answer_get(&w.answer, "Retry-After"), "1");
    w.view.has_active = false;
    CHECK_EQ(POST(&w, "/v1/topics", "{}"), 503);
    CHECK_STR(world_text(&w, "code"), "NOT_CONTROLLER");
    CHECK(json_is_true(world_at(&w, "retriable")));
    w.view.zookeeper.is_connected = false;
    w.view.zookeeper.trouble = "no server of a:1 accepts a connection";
    CHECK_EQ(POST(&w, "/v1/topics", "{}"), 503);
    CHECK(strstr(world_text(&w, "detail"), "no server of a:1 accepts a connection") != NULL);
}

static void growth_reaches_the_core_and_shows_the_new_partitions(void)
{
    struct ctl_event ev;
    const struct ctl_placement added = {
            .partition = 1, .replicas = {1, {2}}, .leader = 2, .why = "because"};
    const struct ctl_reply reply = {.after_seq = 41, .placement = &added, .n_placement = 1};

    begin();
    world_topic(&w, "orders", 1, (const broker_id[]){1});
    CHECK_EQ(world_send(&w, "PATCH", "/v1/topics/orders", "{\"partitions\": 2}"), 0);
    http_write_event(&w.write, &ev);
    CHECK_EQ(ev.kind, CTL_EV_ADD_PARTITIONS);
    CHECK_STR(ev.add_partitions.name, "orders");
    CHECK_EQ(ev.add_partitions.n_partitions, 2);
    CHECK_EQ(world_reply(&w, &reply, true), 200);
    CHECK_EQ(world_number(&w, "partitions/0/partition"), 1);
    CHECK_EQ(world_send(&w, "PATCH", "/v1/topics/nope", "{\"partitions\": 2}"), 404);
    CHECK_EQ(world_send(&w, "PATCH", "/v1/topics/orders", "{\"partitions\": 0}"), 422);
    CHECK_EQ(world_send(&w, "PATCH", "/v1/topics/orders", "{}"), 400);
    CHECK_EQ(world_send(&w, "PATCH", "/v1/topics/orders",
                     "{\"replication_factor\": 2, \"partitions\": 3}"),
            400);
    CHECK_EQ(world_send(&w, "PATCH", "/v1/topics/orders", "{\"replication_factor\": 99}"), 422);
    CHECK_EQ(world_send(&w, "PATCH", "/v1/topics/orders", "{\"replication_factor\": 2}"), 0);
    http_write_event(&w.write, &ev); /* [CTL-63] */
    CHECK_EQ(ev.kind, CTL_EV_REASSIGN);
    CHECK_EQ(ev.reassign.goal, CTL_GOAL_FACTOR);
    CHECK_STR(ev.reassign.topic, "orders");
    CHECK_EQ(ev.reassign.replication_factor, 2);
    CHECK_EQ(world_send(&w, "PATCH", "/v1/topics/orders", "{\"partitions\": 1}"), 0);
    CHECK_EQ(world_reply(&w,
                     &(struct ctl_reply){.error = ERRCODE_INVALID_PARTITIONS, .detail = "fewer"},
                     false),
            422);
    CHECK_STR(world_text(&w, "errors/0/pointer"), "/partitions");
}

static const struct check_case cases[] = {
        CASE(name_alone_is_a_topic),
        CASE(whole_body_reaches_the_core_with_normalised_configs),
        CASE(assignments_alone_give_the_numbers),
        CASE(body_that_is_malformed_is_400_with_a_pointer),
        CASE(body_that_breaks_a_rule_is_422_with_a_pointer),
        CASE(misspelt_config_gets_the_nearest_name),
        CASE(all_faults_are_told_at_once),
        CASE(body_without_a_json_type_is_415),
        CASE(body_that_takes_long_to_read_is_413),
        CASE(reason_that_is_no_short_text_is_400),
        CASE(created_topic_is_201_with_place_and_decision),
        CASE(dry_run_is_200_without_decision),
        CASE(topic_without_a_leader_does_not_wait_for_it),
        CASE(existing_topic_is_409_and_says_since_when),
        CASE(errors_of_the_core_have_their_status_and_pointer),
        CASE(answer_of_a_huge_topic_is_cut),
        CASE(delete_wants_the_name_again),
        CASE(deleting_an_unknown_topic_is_404),
        CASE(standby_sends_writes_to_the_active_one),
        CASE(growth_reaches_the_core_and_shows_the_new_partitions),
        CASE(standby_that_knows_of_no_active_one_is_503),
};

int main(int argc, char **argv)
{
    int r = check_main("http_writes", cases, COUNT_OF(cases), argc, argv);

    if (w.image != NULL) {
        world_deinit(&w);
    }
    return r;
}
