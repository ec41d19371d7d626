/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/check.h"
#include "tests/unit/controller/http_world.h"

#include <stdio.h>

static struct world w;

/* Fatal checks leave a case at once, so each one begins by forgetting the one before. */
static void begin(void)
{
    static bool is_made;

    if (is_made) {
        world_deinit(&w);
    }
    world_init(&w);
    is_made = true;
}

static void cluster_has_what_the_page_promises(void)
{
    begin();
    world_topic(&w, "orders", 3, (const broker_id[]){1, 2, BROKER_NONE});
    CHECK_EQ(GET(&w, "/v1/cluster"), 200);
    CHECK_STR(world_text(&w, "cluster_id"), "ab010000-0000-0000-0000-000000000000");
    CHECK_EQ(world_number(&w, "controller/id"), 1);
    CHECK_EQ(world_number(&w, "controller/epoch"), 4);
    CHECK_STR(world_text(&w, "controller/since"), "2026-11-20T10:00:00.123Z");
    CHECK_STR(world_text(&w, "controller/url"), "http://127.0.0.1:9180");
    CHECK_EQ(json_array_size(world_at(&w, "standbys")), 1);
    CHECK_EQ(world_number(&w, "standbys/0/id"), 2);
    CHECK_STR(world_text(&w, "zookeeper/state"), "connected");
    CHECK_EQ(world_number(&w, "zookeeper/session_ms"), 3000);
    CHECK_EQ(world_number(&w, "metadata_index"), 12);
    CHECK_EQ(world_number(&w, "counts/brokers"), 3);
    CHECK_EQ(world_number(&w, "counts/brokers_up"), 2);
    CHECK_EQ(world_number(&w, "counts/topics"), 1);
    CHECK_EQ(world_number(&w, "counts/partitions"), 3);
    CHECK_EQ(world_number(&w, "counts/offline"), 1);
    CHECK_STR(http_answer_get(&w.answer, "Weir-Metadata-Epoch"), "4");
    CHECK_STR(http_answer_get(&w.answer, "Weir-Metadata-Index"), "12");
    CHECK(http_answer_get(&w.answer, "Weir-Stale") == NULL);
}

static void cluster_without_controller_says_null(void)
{
    begin();
    w.view.has_active = false;
    w.view.is_active = false;
    w.view.cluster_id = (struct uuid){.bytes = {0}};
    CHECK_EQ(GET(&w, "/v1/cluster"), 200);
    CHECK(world_is_null(&w, "controller"));
    CHECK(world_is_null(&w, "cluster_id"));
    CHECK_EQ(json_array_size(world_at(&w, "standbys")), 2);
    CHECK_STR(http_answer_get(&w.answer, "Weir-Stale"), "true");
}

static void controllers_are_listed_with_their_state(void)
{
    begin();
    CHECK_EQ(GET(&w, "/v1/controllers"), 200);
    CHECK_STR(world_text(&w, "items/0/state"), "active");
    CHECK_EQ(world_number(&w, "items/0/epoch"), 4);
    CHECK_STR(world_text(&w, "items/1/state"), "standby");
    CHECK_STR(world_text(&w, "items/1/url"), "http://127.0.0.1:9181");
    CHECK(world_is_null(&w, "items/1/epoch"));
    CHECK(world_is_null(&w, "items/1/since"));
    CHECK(world_is_null(&w, "next_page_token"));
}

static void broker_that_is_up_shows_its_load(void)
{
    begin();
    world_topic(&w, "orders", 3, (const broker_id[]){1, 1, 2});
    CHECK_EQ(GET(&w, "/v1/brokers/1"), 200);
    CHECK_STR(world_text(&w, "state"), "up");
    CHECK(world_is_null(&w, "rack"));
    CHECK_STR(world_text(&w, "version"), "0.1.0");
    CHECK_EQ(world_number(&w, "epoch"), 4294967341);
    CHECK_STR(world_text(&w, "crash_kind"), "clean");
    CHECK_STR(world_text(&w, "endpoints/0/listener"), "weir");
    CHECK_EQ(world_number(&w, "endpoints/0/port"), 9190);
    CHECK_EQ(world_number(&w, "leaders"), 2);
    CHECK_EQ(world_number(&w, "replicas"), 2);
    CHECK_EQ(world_number(&w, "applied_index"), 12);
    CHECK_EQ(world_number(&w, "heartbeat_age_ms"), 120);
    CHECK_STR(world_text(&w, "dirs/0/path"), "/var/lib/weir");
    CHECK_EQ(world_number(&w, "dirs/0/free_bytes"), 400);
    CHECK(world_is_null(&w, "problem"));
}

static void broker_without_connection_has_nulls_and_the_reason(void)
{
    begin();
    CHECK_EQ(GET(&w, "/v1/brokers/3"), 200);
    CHECK_STR(world_text(&w, "state"), "fenced");
    CHECK(world_is_null(&w, "applied_index"));
    CHECK(world_is_null(&w, "heartbeat_age_ms"));
    CHECK(world_is_null(&w, "dirs"));
    CHECK_STR(world_text(&w, "problem"), "127.0.0.1:9192 refuses connections");
}

static void refused_broker_is_listed_with_its_problem(void)
{
    begin();
    w.view.refused = w.refused;
    w.view.n_refused = 1;
    CHECK_EQ(GET(&w, "/v1/brokers"), 200);
    CHECK_EQ(json_array_size(world_at(&w, "items")), 4);
    CHECK_EQ(world_number(&w, "items/3/id"), 7);
    CHECK_STR(world_text(&w, "items/3/state"), "refused");
    CHECK(world_is_null(&w, "items/3/epoch"));
    CHECK(world_is_null(&w, "items/3/crash_kind"));
    CHECK_STR(world_text(&w, "items/3/problem"), "its data belongs to another cluster");
    CHECK_EQ(GET(&w, "/v1/cluster"), 200);
    CHECK_EQ(world_number(&w, "counts/brokers"), 4);
}

static void second_process_with_a_brokers_id_is_a_problem_of_that_broker(void)
{
    begin();
    w.refused[0].id = 2;
    w.view.refused = w.refused;
    w.view.n_refused = 1;
    CHECK_EQ(GET(&w, "/v1/brokers"), 200);
    CHECK_EQ(json_array_size(world_at(&w, "items")), 3);
    CHECK_STR(world_text(&w, "items/1/state"), "up");
    CHECK_STR(world_text(&w, "items/1/problem"), "its data belongs to another cluster");
}

static void unknown_broker_is_404(void)
{
    static const char *const paths[] = {
            "/v1/brokers/9", "/v1/brokers/x", "/v1/brokers/-1", "/v1/brokers/99999999999999999999"};

    begin();
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        CHECK_EQ(GET(&w, paths[i]), 404);
        CHECK_STR(world_text(&w, "type"), "urn:weir:problem:unknown-broker");
    }
}

static void topic_shows_configs_with_their_source(void)
{
    begin();
    world_topic(&w, "orders", 2, (const broker_id[]){1, BROKER_NONE});
    CHECK_EQ(GET(&w, "/v1/topics/orders"), 200);
    CHECK_STR(world_text(&w, "name"), "orders");
    CHECK_EQ(world_number(&w, "partitions"), 2);
    CHECK_EQ(world_number(&w, "replication_factor"), 1);
    CHECK_EQ(world_number(&w, "offline"), 1);
    CHECK_STR(world_text(&w, "created_at"), "2026-11-20T10:00:00Z");
    CHECK_STR(world_text(&w, "configs/0/name"), "segment.bytes");
    CHECK_STR(world_text(&w, "configs/0/value"), "67108864");
    CHECK_STR(world_text(&w, "configs/0/default"), "1073741824");
    CHECK_STR(world_text(&w, "configs/0/source"), "topic");
    CHECK_STR(world_text(&w, "configs/1/source"), "default");
    CHECK_STR(world_text(&w, "configs/1/value"), world_text(&w, "configs/1/default"));
}

static void partitions_tell_offline_from_online(void)
{
    begin();
    world_topic(&w, "orders", 2, (const broker_id[]){2, BROKER_NONE});
    CHECK_EQ(GET(&w, "/v1/topics/orders/partitions"), 200);
    CHECK_EQ(world_number(&w, "items/0/leader"), 2);
    CHECK_STR(world_text(&w, "items/0/state"), "online");
    CHECK_EQ(world_number(&w, "items/0/leader_epoch"), 5);
    CHECK_EQ(world_number(&w, "items/0/partition_epoch"), 8);
    CHECK_EQ(world_number(&w, "items/0/replicas/0"), 2);
    CHECK_EQ(world_number(&w, "items/0/isr/0"), 2);
    CHECK_EQ(json_array_size(world_at(&w, "items/0/elr")), 0);
    CHECK(world_is_null(&w, "items/1/leader"));
    CHECK_STR(world_text(&w, "items/1/state"), "offline");
}

static void unknown_topic_is_404_with_a_hint(void)
{
    static const char *const paths[] = {"/v1/topics/nope", "/v1/topics/nope/partitions"};

    begin();
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        CHECK_EQ(GET(&w, paths[i]), 404);
        CHECK_STR(w.answer.content_type, "application/problem+json");
        CHECK_STR(world_text(&w, "code"), "UNKNOWN_TOPIC_OR_PARTITION");
        CHECK_EQ(world_number(&w, "kafka_code"), 3);
        CHECK_EQ(world_number(&w, "status"), 404);
        CHECK_STR(world_text(&w, "instance"), "req-17");
        CHECK_STR(world_text(&w, "detail"), "there is no topic 'nope'");
        CHECK(world_text(&w, "hint")[0] != '\0');
        CHECK(json_is_array(world_at(&w, "errors")));
    }
}

/* --- Lists ---------------------------------------------------------------------------------------------------------- */

static void pages_give_each_topic_once_and_in_order(void)
{
    char path[512] = "/v1/topics?page_size=100";
    int n = 0;
    int pages = 0;

    begin();
    world_many_topics(&w, 250);
    while (path[0] != '\0') {
        CHECK_EQ(GET(&w, path), 200);
        for (size_t i = 0; i < json_array_size(world_at(&w, "items")); i++, n++) {
            char expected[32];
            char at[32];
            (void)snprintf(expected, sizeof(expected), "topic-%03d", n);
            (void)snprintf(at, sizeof(at), "items/%zu/name", i);
            CHECK_STR(world_text(&w, at), expected);
        }
        pages++;
        path[0] = '\0';
        if (!world_is_null(&w, "next_page_token")) {
            (void)snprintf(path, sizeof(path), "/v1/topics?page_size=100&page_token=%s",
                    world_text(&w, "next_page_token"));
        }
    }
    CHECK_EQ(n, 250);
    CHECK_EQ(pages, 3);
}

static void page_that_holds_the_last_item_has_no_token(void)
{
    begin();
    world_many_topics(&w, 5);
    CHECK_EQ(GET(&w, "/v1/topics?page_size=5"), 200);
    CHECK(world_is_null(&w, "next_page_token"));
    CHECK_EQ(GET(&w, "/v1/topics?page_size=4"), 200);
    CHECK(!world_is_null(&w, "next_page_token"));
}

static void page_goes_on_after_a_topic_that_was_deleted_meanwhile(void)
{
    char path[256];

    begin();
    world_many_topics(&w, 5);
    CHECK_EQ(GET(&w, "/v1/topics?page_size=2"), 200);
    (void)snprintf(
            path, sizeof(path), "/v1/topics?page_token=%s", world_text(&w, "next_page_token"));
    struct meta_record gone = {.kind = META_REMOVE_TOPIC};
    gone.remove_topic.id = image_topic_by_name(w.image, "topic-001")->id;
    CHECK_EQ(image_apply(w.image, 13, &gone), 0);
    image_set_position(w.image, (struct image_position){.index = 13});
    CHECK_EQ(GET(&w, path), 200);
    CHECK_STR(world_text(&w, "items/0/name"), "topic-002");
}

static void partitions_and_brokers_are_paged_by_number(void)
{
    char path[256];

    begin();
    world_topic(&w, "orders", 12, (const broker_id[]){1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1});
    CHECK_EQ(GET(&w, "/v1/topics/orders/partitions?page_size=10"), 200);
    (void)snprintf(path, sizeof(path), "/v1/topics/orders/partitions?page_token=%s",
            world_text(&w, "next_page_token"));
    CHECK_EQ(GET(&w, path), 200);
    CHECK_EQ(json_array_size(world_at(&w, "items")), 2);
    CHECK_EQ(world_number(&w, "items/0/partition"), 10);
    CHECK_EQ(GET(&w, "/v1/brokers?page_size=1"), 200);
    (void)snprintf(
            path, sizeof(path), "/v1/brokers?page_token=%s", world_text(&w, "next_page_token"));
    CHECK_EQ(GET(&w, path), 200);
    CHECK_EQ(world_number(&w, "items/0/id"), 2);
    CHECK_EQ(json_array_size(world_at(&w, "items")), 2);
}

static void token_of_another_list_or_made_up_is_400(void)
{
    static const char *const tokens[] = {"", "x", "AAAA", "%%%", "cA", "dG9waWM=", "dG9waWM\n",
            "cC0x" /* p-1 */, "cDk5OTk5OTk5OTk5" /* p99999999999 */, "Yg"};
    char path[1500];

    begin();
    world_many_topics(&w, 3);
    CHECK_EQ(GET(&w, "/v1/brokers?page_size=1"), 200);
    (void)snprintf(
            path, sizeof(path), "/v1/topics?page_token=%s", world_text(&w, "next_page_token"));
    CHECK_EQ(GET(&w, path), 400);
    for (size_t i = 0; i < COUNT_OF(tokens); i++) {
        (void)snprintf(
                path, sizeof(path), "/v1/topics/topic-000/partitions?page_token=%s", tokens[i]);
        CHECK_EQ(GET(&w, path), 400);
    }
    (void)snprintf(path, sizeof(path), "/v1/topics?page_token=%01000d", 0);
    CHECK_EQ(GET(&w, path), 400);
    CHECK_STR(world_text(&w, "type"), "urn:weir:problem:bad-query");
}

static void page_size_outside_its_range_is_400(void)
{
    static const char *const sizes[] = {
            "0", "1001", "-1", "", "ten", "1e2", "99999999999999999999"};
    char path[128];

    begin();
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        (void)snprintf(path, sizeof(path), "/v1/topics?page_size=%s", sizes[i]);
        CHECK_EQ(GET(&w, path), 400);
    }
    CHECK_EQ(GET(&w, "/v1/topics?page_size=1000"), 200);
}

static void topics_are_filtered_by_prefix_and_internal_ones_are_hidden(void) /* [DEC-10] */
{
    begin();
    world_topic(&w, "__consumer_offsets", 1, (const broker_id[]){1});
    world_topic(&w, "orders", 1, (const broker_id[]){1});
    world_topic(&w, "orders-old", 1, (const broker_id[]){1});
    world_topic(&w, "payments", 1, (const broker_id[]){1});
    CHECK_EQ(GET(&w, "/v1/topics"), 200);
    CHECK_EQ(json_array_size(world_at(&w, "items")), 3);
    CHECK_EQ(GET(&w, "/v1/topics?include=internal"), 200);
    CHECK_EQ(json_array_size(world_at(&w, "items")), 4);
    CHECK_EQ(GET(&w, "/v1/cluster"), 200);
    CHECK_EQ(world_number(&w, "counts/topics"), 3);
    CHECK_EQ(world_number(&w, "counts/partitions"), 3);
    CHECK_EQ(GET(&w, "/v1/topics?filter=name~orders"), 200);
    CHECK_EQ(json_array_size(world_at(&w, "items")), 2);
    CHECK_EQ(GET(&w, "/v1/topics?filter=orders"), 400);
    CHECK_EQ(GET(&w, "/v1/topics?include=all"), 400);
}

/* --- Conventions ---------------------------------------------------------------------------------------------------- */

static void unknown_or_repeated_query_parameters_are_400(void)
{
    static const char *const paths[] = {"/v1/cluster?verbose=1", "/?x=", "/healthz?a=b",
            "/metrics?name=a", "/v1/topics?page_sise=10", "/v1/topics?page_size=1&page_size=2",
            "/v1/topics?page=", "/v1/topics?=1", "/v1/topics?page_size page_token=1",
            "/v1/brokers/1?page_size=1"};

    begin();
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        CHECK_EQ(GET(&w, paths[i]), 400);
        CHECK_STR(world_text(&w, "type"), "urn:weir:problem:bad-query");
    }
}

static void wrong_method_is_405_with_allow(void)
{
    begin();
    CHECK_EQ(world_send(&w, "PUT", "/v1/topics", "{}"), 405);
    CHECK_STR(http_answer_get(&w.answer, "Allow"), "GET, HEAD, POST");
    CHECK_EQ(POST(&w, "/v1/topics/orders", "{}"), 405);
    CHECK_STR(http_answer_get(&w.answer, "Allow"), "GET, HEAD, PATCH, DELETE");
    CHECK_EQ(world_send(&w, "", "/healthz", NULL), 405);
    CHECK_STR(http_answer_get(&w.answer, "Allow"), "GET, HEAD");
    CHECK_EQ(world_send(&w, "HEAD", "/v1/cluster", NULL), 200);
}

static void unknown_path_is_404(void)
{
    static const char *const paths[] = {"/v1", "/v2/topics", "/v1/topics/",
            "/v1/topics//partitions", "/v1/topics/a/b", "/v1/topics/a/partitions/", "/healthz/",
            "//", "/v1/cluster2"};

    begin();
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        CHECK_EQ(GET(&w, paths[i]), 404);
        CHECK_STR(world_text(&w, "code"), "NO_SUCH_RESOURCE");
    }
}

static void text_that_is_not_utf8_never_breaks_an_answer(void)
{
    begin();
    CHECK_EQ(GET(&w, "/v1/topics/\xff\xfe\"\n"), 404);
    CHECK_STR(world_text(&w, "detail"), "there is no topic '??\"?'");
    w.dir.path = "/data/\xc3";
    CHECK_EQ(GET(&w, "/v1/brokers/1"), 200);
    CHECK_STR(world_text(&w, "dirs/0/path"), "/data/?");
}

static void readiness_names_what_fails(void)
{
    begin();
    CHECK_EQ(GET(&w, "/readyz"), 200);
    CHECK_STR(world_text(&w, "status"), "ok");
    w.view.is_active = false; /* deposed, and its own node is still there */
    CHECK_EQ(GET(&w, "/readyz"), 503);
    w.view.active.id = 2;
    CHECK_EQ(GET(&w, "/readyz"), 200);
    w.view.zookeeper.is_connected = false;
    w.view.zookeeper.trouble = "no server accepts a connection";
    CHECK_EQ(GET(&w, "/readyz"), 503);
    CHECK_STR(world_text(&w, "checks/0/name"), "zookeeper");
    CHECK(json_is_false(world_at(&w, "checks/0/ok")));
    CHECK_STR(world_text(&w, "checks/0/detail"), "no server accepts a connection");
    CHECK(json_is_true(world_at(&w, "checks/1/ok")));
    CHECK_EQ(GET(&w, "/healthz"), 200);
}

static void metrics_are_openmetrics_with_brokers_as_labels(void)
{
    begin();
    world_topic(&w, "orders", 3, (const broker_id[]){1, 1, BROKER_NONE});
    CHECK_EQ(GET(&w, "/metrics"), 200);
    CHECK_STR(w.answer.content_type, "application/openmetrics-text; version=1.0.0; charset=utf-8");
    const char *text = world_body(&w);
    CHECK(strstr(text, "weir_controller_active 1\n") != NULL);
    CHECK(strstr(text, "weir_controller_offline_partitions 1\n") != NULL);
    CHECK(strstr(text, "weir_controller_broker_leaders{broker=\"1\"} 2\n") != NULL);
    CHECK(strstr(text, "weir_controller_broker_connected{broker=\"3\"} 0\n") != NULL);
    CHECK_STR(text + strlen(text) - 6, "# EOF\n");
}

/* --- Text ----------------------------------------------------------------------------------------------------------- */

static void status_of_a_healthy_cluster_fits_80_columns(void)
{
    size_t column = 0;

    begin();
    w.view.n_links = 2;
    struct meta_record up = {.kind = META_UNFENCE_BROKER, .broker = {.id = 3, .epoch = 4294967343}};
    CHECK_EQ(image_apply(w.image, 12, &up), 0);
    world_topic(&w, "orders", 2, (const broker_id[]){1, 2});
    CHECK_EQ(GET(&w, "/"), 200);
    CHECK_STR(w.answer.content_type, "text/plain; charset=utf-8");
    const char *text = world_body(&w);
    CHECK_EQ(strncmp(text, "healthy\n", 8), 0);
    CHECK(strstr(text, "controller   1 at http://127.0.0.1:9180, epoch 4") != NULL);
    CHECK(strstr(text, "standby      2 at http://127.0.0.1:9181") != NULL);
    CHECK(strstr(text, "topics       1 with 2 partitions, 0 offline") != NULL);
    CHECK(strstr(text, "120 ms ago") != NULL);
    CHECK(strstr(text, "weir topic list") != NULL);
    for (; *text != '\0'; text++) {
        column = *text == '\n' ? 0 : column + 1;
        CHECK(column <= 80);
    }
}

static void status_puts_reasons_first_and_says_what_to_type(void)
{
    broker_id leaders[15];

    begin();
    for (size_t i = 0; i < COUNT_OF(leaders); i++) {
        leaders[i] = i < 3 ? 1 : BROKER_NONE;
    }
    world_topic(&w, "orders", 15, leaders);
    CHECK_EQ(GET(&w, "/"), 200);
    const char *text = world_body(&w);
    CHECK_EQ(strncmp(text, "NOT HEALTHY\n", 12), 0);
    CHECK(strstr(text, "  - 12 of 15 partitions have no leader\n") != NULL);
    CHECK(strstr(text, "broker 3 does not serve: 127.0.0.1:9192 refuses connections") != NULL);
    CHECK(strstr(text, "  orders-3  replicas [3], in sync [3]\n") != NULL);
    CHECK(strstr(text, "  orders-12  ") != NULL);
    CHECK(strstr(text, "  orders-13  ") == NULL);
    CHECK(strstr(text, "  and 2 more\n") != NULL);
    CHECK(strstr(text, "weir topic describe orders") != NULL);
}

static void status_names_disks_that_hang_or_failed(void)
{
    begin();
    w.dir.stall_ms = 7200;
    CHECK_EQ(GET(&w, "/"), 200);
    CHECK(strstr(world_body(&w), " has not answered for 7 s; appends there are refused\n") != NULL);
    CHECK_EQ(GET(&w, "/v1/brokers/1"), 200);
    CHECK_STR(world_text(&w, "dirs/0/state"), "stalled");
    w.dir.failed = true;
    CHECK_EQ(GET(&w, "/"), 200);
    CHECK(strstr(world_body(&w), " has failed; its log says why\n") != NULL);
    w.links[0].is_connected = false; /* what it said is not news any more */
    CHECK_EQ(GET(&w, "/"), 200);
    CHECK(strstr(world_body(&w), "its log says why") == NULL);
}

static void status_without_controller_and_zookeeper_says_so(void)
{
    begin();
    w.view.has_active = false;
    w.view.is_active = false;
    w.view.zookeeper.is_connected = false;
    w.view.zookeeper.trouble = "no server accepts a connection";
    CHECK_EQ(GET(&w, "/"), 200);
    CHECK(strstr(world_body(&w), "ZooKeeper is not connected: no server accepts a connection") !=
            NULL);
    CHECK(strstr(world_body(&w), "no controller is active") != NULL);
    CHECK(strstr(world_body(&w), "controller   none") != NULL);
}

static const struct check_case cases[] = {
        CASE(cluster_has_what_the_page_promises),
        CASE(cluster_without_controller_says_null),
        CASE(controllers_are_listed_with_their_state),
        CASE(broker_that_is_up_shows_its_load),
        CASE(broker_without_connection_has_nulls_and_the_reason),
        CASE(refused_broker_is_listed_with_its_problem),
        CASE(second_process_with_a_brokers_id_is_a_problem_of_that_broker),
        CASE(unknown_broker_is_404),
        CASE(topic_shows_configs_with_their_source),
        CASE(partitions_tell_offline_from_online),
        CASE(unknown_topic_is_404_with_a_hint),
        CASE(pages_give_each_topic_once_and_in_order),
        CASE(page_that_holds_the_last_item_has_no_token),
        CASE(page_goes_on_after_a_topic_that_was_deleted_meanwhile),
        CASE(partitions_and_brokers_are_paged_by_number),
        CASE(token_of_another_list_or_made_up_is_400),
        CASE(page_size_outside_its_range_is_400),
        CASE(topics_are_filtered_by_prefix_and_internal_ones_are_hidden),
        CASE(unknown_or_repeated_query_parameters_are_400),
        CASE(wrong_method_is_405_with_allow),
        CASE(unknown_path_is_404),
        CASE(text_that_is_not_utf8_never_breaks_an_answer),
        CASE(readiness_names_what_fails),
        CASE(metrics_are_openmetrics_with_brokers_as_labels),
        CASE(status_of_a_healthy_cluster_fits_80_columns),
        CASE(status_puts_reasons_first_and_says_what_to_type),
        CASE(status_names_disks_that_hang_or_failed),
        CASE(status_without_controller_and_zookeeper_says_so),
};

int main(int argc, char **argv)
{
    int r = check_main("http_reads", cases, COUNT_OF(cases), argc, argv);

    if (w.image != NULL) {
        world_deinit(&w);
    }
    return r;
}
