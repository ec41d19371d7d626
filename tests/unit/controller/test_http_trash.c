/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/mem.h"
#include "tests/lib/check.h"
#include "tests/unit/controller/http_world.h"

#include <stdio.h>

static struct world w;

static void begin(void)
{
    world_deinit(&w);
    world_init(&w);
}

/* Deletes the topic `name`; its id as text. */
static void remove_topic(const char *name, wall_ms at, char id[UUID_TEXT_SIZE])
{
    struct meta_record r = {.kind = META_REMOVE_TOPIC, .at = at};
    const struct image_topic *t = image_topic_by_name(w.image, name);

    CHECK(t != NULL);
    r.remove_topic.id = t->id;
    uuid_format(&t->id, id);
    CHECK_EQ(image_apply(w.image, 13, &r), 0);
}

static int send_id(const char *method, const char *id, const char *rest, const char *body)
{
    char *path = mem_format("/v1/trash/%s%s", id, rest);
    int status = world_send(&w, method, path, body);

    mem_free(path);
    return status;
}

static void trash_is_listed_by_removal(void) /* [TRS-1] */
{
    char first[UUID_TEXT_SIZE], second[UUID_TEXT_SIZE];

    begin();
    world_topic(&w, "orders", 2, (const broker_id[]){1, 2});
    remove_topic("orders", 1000000, first);
    world_topic(&w, "orders", 1, (const broker_id[]){1});
    remove_topic("orders", 2000000, second);
    world_topic(&w, "other", 1, (const broker_id[]){1});
    CHECK_EQ(GET(&w, "/v1/trash"), 200);
    CHECK_EQ(json_array_size(world_at(&w, "items")), 2);
    CHECK_STR(world_text(&w, "items/0/name"), "orders");
    CHECK_STR(world_text(&w, "items/0/topic_id"), first);
    CHECK_EQ(world_number(&w, "items/0/partitions"), 2);
    CHECK_STR(world_text(&w, "items/0/removed_at"), "1970-01-01T00:16:40Z");
    CHECK_STR(world_text(&w, "items/0/purged_at"), "1970-01-02T00:16:40Z");
    CHECK(world_is_null(&w, "items/0/bytes")); /* nobody told */
    CHECK_EQ(GET(&w, "/v1/trash?page_size=1"), 200);
    char *path = mem_format("/v1/trash?page_size=1&page_token=%s", world_text(&w, "next_page_token"));
    CHECK_EQ(GET(&w, path), 200);
    CHECK_STR(world_text(&w, "items/0/topic_id"), second);
    CHECK(world_is_null(&w, "next_page_token"));
    mem_free(path);
    CHECK_EQ(GET(&w, "/v1/trash?name=other"), 200);
    CHECK_EQ(json_array_size(world_at(&w, "items")), 0);
    CHECK_EQ(send_id("GET", second, "", NULL), 200);
    CHECK_EQ(world_number(&w, "partitions"), 1);
}

static void bytes_are_the_sum_of_all_who_hold_it(void)
{
    char id[UUID_TEXT_SIZE];
    struct uuid topic;
    struct http_told told[2] = {{.broker = 1, .is_told = true}, {.broker = 2, .is_told = true}};
    const struct http_told_list all = {told, 2}, one = {told, 1};

    begin();
    world_topic(&w, "orders", 2, (const broker_id[]){1, 2});
    remove_topic("orders", 1000, id);
    CHECK(uuid_parse(id, &topic));
    *array_push(&told[0].trash) = (struct msg_topic_bytes){.topic_id = topic, .bytes = 100};
    *array_push(&told[1].trash) =
            (struct msg_topic_bytes){.topic_id = topic, .bytes = 7, .emptied = 1};
    json_t *json = http_trash_json(w.image, image_trash_at(w.image, 0), &all);
    CHECK_EQ(json_integer_value(json_object_get(json, "bytes")), 107);
    CHECK_EQ(json_integer_value(json_array_get(json_object_get(json, "emptied_on"), 0)), 2);
    json_decref(json);
    json = http_trash_json(w.image, image_trash_at(w.image, 0), &one);
    CHECK(json_is_null(json_object_get(json, "bytes")));
    json_decref(json);
    array_deinit(&told[0].trash);
    array_deinit(&told[1].trash);
}

static void what_is_not_there_or_not_clear_is_said(void)
{
    char id[UUID_TEXT_SIZE];

    begin();
    CHECK_EQ(send_id("GET", "nope", "", NULL), 404);
    CHECK_STR(world_text(&w, "code"), "UNKNOWN_TOPIC_ID");
    CHECK_EQ(send_id("POST", "00000000-0000-0000-0000-000000000001", ":restore", NULL), 404);
    world_topic(&w, "orders", 1, (const broker_id[]){1});
    remove_topic("orders", 1000, id);
    CHECK_EQ(send_id("GET", "orders", "", NULL), 200);
    world_topic(&w, "orders", 1, (const broker_id[]){1});
    remove_topic("orders", 1000, id);
    CHECK_EQ(send_id("GET", "orders", "", NULL), 409);
    CHECK_STR(world_text(&w, "code"), "AMBIGUOUS_NAME");
    CHECK_EQ(send_id("POST", "orders", ":restore", NULL), 409);
    CHECK_EQ(send_id("POST", id, "", NULL), 405);
    CHECK_EQ(send_id("POST", id, ":revive", NULL), 405);
}

static void restore_reaches_the_core_and_tells_who_leads(void) /* [TRS-2] */
{
    char id[UUID_TEXT_SIZE];
    struct ctl_event ev;
    const struct ctl_placement placement = {
            .partition = 0, .replicas = {1, {2}}, .leader = 2, .why = "as before"};
    struct ctl_reply reply = {.after_seq = 41, .topic = "again", .placement = &placement,
            .n_placement = 1};

    begin();
    world_topic(&w, "orders", 1, (const broker_id[]){2});
    remove_topic("orders", 1000, id);
    CHECK(uuid_parse(id, &reply.topic_id));
    CHECK_EQ(send_id("POST", id, ":restore", "{\"names\": \"x\"}"), 400);
    CHECK_EQ(send_id("POST", id, ":restore", "{\"name\": \"\"}"), 400);
    CHECK_EQ(send_id("POST", id, ":restore", "{\"name\": \"again\"}"), 0);
    http_write_event(&w.write, &ev);
    CHECK_EQ(ev.kind, CTL_EV_RESTORE_TOPIC);
    CHECK(uuid_equal(&ev.restore_topic.id, &reply.topic_id));
    CHECK_STR(ev.restore_topic.name, "again");
    http_write_take(&w.write, &reply);
    CHECK(http_write_waits_for_leaders(&w.write));
    CHECK_EQ(send_id("POST", id, ":restore", NULL), 0);
    CHECK_EQ(world_reply(&w, &reply, true), 200);
    CHECK_STR(world_text(&w, "name"), "again");
    CHECK_STR(world_text(&w, "topic_id"), id);
    CHECK(json_is_true(world_at(&w, "ready")));
    CHECK_EQ(world_number(&w, "partitions/0/leader"), 2);
    CHECK_STR(http_answer_get(&w.answer, "Location"), "/v1/topics/again");
}

static void restore_under_a_taken_name_says_what_to_do(void) /* [TRS-2] */
{
    char id[UUID_TEXT_SIZE];
    struct ctl_reply taken = {.error = ERRCODE_TOPIC_ALREADY_EXISTS, .detail = "a topic x exists"};
    struct ctl_reply bad = {.error = ERRCODE_INVALID_TOPIC_EXCEPTION, .detail = "no such name"};

    begin();
    world_topic(&w, "orders", 1, (const broker_id[]){1});
    remove_topic("orders", 1000, id);
    CHECK_EQ(send_id("POST", id, ":restore", "{\"name\": \"x\"}"), 0);
    CHECK_EQ(world_reply(&w, &taken, false), 409);
    CHECK(strstr(world_text(&w, "hint"), "--as NAME") != NULL);
    CHECK_EQ(send_id("POST", id, ":restore", "{\"name\": \"x\"}"), 0);
    CHECK_EQ(world_reply(&w, &bad, false), 422);
    CHECK_STR(world_text(&w, "errors/0/pointer"), "/name");
}

static void purge_wants_the_name(void)
{
    char id[UUID_TEXT_SIZE];
    struct ctl_event ev;
    struct ctl_reply reply = {.after_seq = 41, .topic = "orders"};

    begin();
    world_topic(&w, "orders", 1, (const broker_id[]){1});
    remove_topic("orders", 1000, id);
    CHECK_EQ(send_id("DELETE", id, "", NULL), 422);
    CHECK_EQ(send_id("DELETE", id, "?confirm=other", NULL), 422);
    CHECK_EQ(send_id("DELETE", id, "?confirm=orders", NULL), 0);
    http_write_event(&w.write, &ev);
    CHECK_EQ(ev.kind, CTL_EV_PURGE_TOPIC);
    CHECK_EQ(world_reply(&w, &reply, false), 200);
    CHECK_STR(world_text(&w, "name"), "orders");
    CHECK_STR(http_answer_get(&w.answer, "Weir-Decision"), "41");
}

static void protected_topic_is_409_with_the_way_out(void) /* [TRS-7] */
{
    struct ctl_event ev;
    struct ctl_reply reply = {.error = ERRCODE_POLICY_VIOLATION, .is_protected = true,
            .detail = "'orders' has weir.delete.protection=true"};

    begin();
    world_topic(&w, "orders", 1, (const broker_id[]){1});
    CHECK_EQ(DELETE(&w, "/v1/topics/orders?confirm=orders&now=maybe"), 400);
    CHECK_EQ(DELETE(&w, "/v1/topics/orders?confirm=orders&now=true"), 0);
    http_write_event(&w.write, &ev);
    CHECK(ev.delete_topic.is_now);
    CHECK_EQ(world_reply(&w, &reply, false), 409);
    CHECK_STR(world_text(&w, "type"), "urn:weir:problem:topic-protected");
    CHECK_STR(world_text(&w, "title"), "Topic is protected from deletion");
    CHECK_STR(world_text(&w, "code"), "TOPIC_PROTECTED");
    CHECK_EQ(world_number(&w, "kafka_code"), 44);
    CHECK(strstr(world_text(&w, "hint"), "\"weir.delete.protection\": null") != NULL);
}

static void broker_shows_what_its_directories_hold(void)
{
    struct msg_topic_bytes topics[2] = {{.bytes = 70, .partitions = 2}, {.bytes = 30}};
    struct msg_dir_logs dir = {.topics = topics, .n_topics = 2, .n_all = 5, .bytes = 120,
            .trash_bytes = 9};
    const struct msg_describe_logs_response told = {.dirs = &dir, .n_dirs = 1};

    begin();
    world_topic(&w, "orders", 1, (const broker_id[]){1});
    topics[0].topic_id = image_topic_by_name(w.image, "orders")->id;
    topics[1].topic_id.bytes[0] = 0xee;
    dir.dir_id = w.dir.dir_id;
    CHECK_EQ(GET(&w, "/v1/brokers/1"), 200); /* it did not tell */
    CHECK(world_is_null(&w, "dirs/0/topics") && world_is_null(&w, "dirs/0/trash_bytes"));
    http_answer_deinit(&w.answer);
    http_answer_broker(&w.view, &w.call, "1", &told, &w.answer);
    json_decref(w.json);
    w.json = json_loadb((const char *)w.answer.body.data, w.answer.body.size, 0, NULL);
    CHECK_STR(world_text(&w, "dirs/0/topics/0/name"), "orders");
    CHECK_EQ(world_number(&w, "dirs/0/topics/0/bytes"), 70);
    CHECK(world_is_null(&w, "dirs/0/topics/1/name"));
    CHECK_EQ(world_number(&w, "dirs/0/n_topics"), 5);
    CHECK_EQ(world_number(&w, "dirs/0/topics_bytes"), 120);
    CHECK_EQ(world_number(&w, "dirs/0/trash_bytes"), 9);
    world_deinit(&w);
    w = (struct world){0};
}

static const struct check_case cases[] = {
        CASE(trash_is_listed_by_removal),
        CASE(bytes_are_the_sum_of_all_who_hold_it),
        CASE(what_is_not_there_or_not_clear_is_said),
        CASE(restore_reaches_the_core_and_tells_who_leads),
        CASE(restore_under_a_taken_name_says_what_to_do),
        CASE(purge_wants_the_name),
        CASE(protected_topic_is_409_with_the_way_out),
        CASE(broker_shows_what_its_directories_hold),
};
CHECK_MAIN("http_trash", cases)
