/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/array.h"
#include "tests/lib/check.h"
#include "tests/unit/controller/http_world.h"

/* /v1/partitions, elections and the stop-check. */

static struct world w;

static void begin(void)
{
    if (w.image != NULL) {
        world_deinit(&w);
    }
    world_init(&w);
}

static void apply(struct partition_state p, const char *topic, int32_t n)
{
    const struct image_topic *t = image_topic_by_name(w.image, topic);
    const struct partition_state *old = &t->partitions[n];
    struct meta_record r = {.kind = META_PARTITION_STATE, .partition = p};

    r.partition.topic_id = t->id;
    r.partition.partition = n;
    r.partition.leader_epoch = old->leader_epoch + 1;
    r.partition.partition_epoch = old->partition_epoch + 1;
    r.partition.unclean_epoch = EPOCH_NONE;
    CHECK_EQ(image_apply(w.image, 0, &r), 0);
}

/* "orders": 0 is well, 1 is under-replicated, 2 below min isr, 3 offline, 4 not led as preferred. */
static void make_orders(void)
{
    static const struct broker_set two = {2, {1, 2}}, one = {1, {1}};

    begin();
    world_topic(&w, "orders", 5, (const broker_id[]){1, 1, 1, BROKER_NONE, 1});
    apply((struct partition_state){.replicas = two, .isr = one, .leader = 1, .min_isr = 1},
            "orders", 1);
    apply((struct partition_state){.replicas = two, .isr = one, .leader = 1, .min_isr = 2},
            "orders", 2);
    apply((struct partition_state){.replicas = two, .isr = two, .leader = 2, .min_isr = 1},
            "orders", 4);
    world_topic(&w, "zoo", 1, (const broker_id[]){1});
    http_counts_deinit(&w.counts);
}

static void partitions_of_all_topics_are_listed_and_chosen(void)
{
    static const struct {
        const char *path;
        const char *numbers; /* of topic orders, in order */
    } rows[] = {
            {"/v1/partitions?topic=orders", "01234"},
            {"/v1/partitions?state=offline", "3"},
            {"/v1/partitions?state=under_replicated", "12"},
            {"/v1/partitions?state=under_min_isr", "2"},
            {"/v1/partitions?state=not_preferred", "34"},
            {"/v1/partitions?state=offline&topic=zoo", ""},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        make_orders();
        CHECK_EQ(GET(&w, rows[i].path), 200);
        CHECK_EQ((int64_t)json_array_size(world_at(&w, "items")), (int64_t)strlen(rows[i].numbers));
        for (size_t k = 0; rows[i].numbers[k] != '\0'; k++) {
            char path[40];
            (void)snprintf(path, sizeof(path), "items/%zu/partition", k);
            CHECK_EQ(world_number(&w, path), rows[i].numbers[k] - '0');
        }
    }
    CHECK_EQ(GET(&w, "/v1/partitions?state=well"), 400);
    CHECK_EQ(GET(&w, "/v1/partitions?topic=nope"), 404);
}

static void pages_go_on_where_the_last_one_ended(void)
{
    char path[128];
    int n = 0;

    make_orders();
    (void)snprintf(path, sizeof(path), "/v1/partitions?page_size=2");
    for (;;) {
        CHECK_EQ(GET(&w, path), 200);
        for (size_t k = 0; k < json_array_size(world_at(&w, "items")); k++, n++) {
            char at[40];
            (void)snprintf(at, sizeof(at), "items/%zu/partition", k);
            CHECK_EQ(world_number(&w, at), n < 5 ? n : 0);
        }
        if (world_is_null(&w, "next_page_token")) {
            break;
        }
        (void)snprintf(path, sizeof(path), "/v1/partitions?page_size=2&page_token=%s",
                world_text(&w, "next_page_token"));
    }
    CHECK_EQ(n, 6);
}

static void cluster_counts_what_wants_something(void)
{
    make_orders();
    CHECK_EQ(GET(&w, "/v1/cluster"), 200);
    CHECK_EQ(world_number(&w, "counts/offline"), 1);
    CHECK_EQ(world_number(&w, "counts/under_replicated"), 2);
    CHECK_EQ(world_number(&w, "counts/under_min_isr"), 1);
    CHECK_EQ(GET(&w, "/"), 200);
    CHECK(strstr(world_body(&w), "1 partition has fewer replicas in sync than") != NULL);
    CHECK(strstr(world_body(&w), "2 partitions have replicas that are not in sync") != NULL);
}

static void election_reaches_the_core_and_tells_each_result(void)
{
    struct ctl_event ev;
    const struct ctl_elected elected[] = {{"orders", 4, ERRCODE_NONE, "", 2, 1},
            {"orders", 3, ERRCODE_PREFERRED_LEADER_NOT_AVAILABLE, "why", BROKER_NONE, BROKER_NONE}};
    const struct ctl_reply reply = {.after_seq = 9, .elected = elected, .n_elected = 2};

    make_orders();
    CHECK_EQ(POST(&w, "/v1/partitions:elect",
                     "{\"partitions\": [{\"topic\": \"orders\", \"partition\": 4}]}"),
            0);
    http_write_event(&w.write, &ev);
    CHECK_EQ(ev.kind, CTL_EV_ELECT);
    CHECK_EQ(ev.elect.n, 1);
    CHECK(!ev.elect.is_unclean);
    CHECK_STR(ev.elect.partitions[0].topic, "orders");
    CHECK_EQ(ev.elect.partitions[0].leader, BROKER_NONE);
    CHECK_EQ(world_reply(&w, &reply, false), 200);
    CHECK_EQ(world_number(&w, "moved"), 1);
    CHECK_EQ(world_number(&w, "failed"), 1);
    CHECK_EQ(world_number(&w, "items/0/old_leader"), 2);
    CHECK(world_is_null(&w, "items/0/error"));
    CHECK_STR(world_text(&w, "items/1/error"), "PREFERRED_LEADER_NOT_AVAILABLE");
    CHECK(world_is_null(&w, "items/1/leader"));
    CHECK_EQ(POST(&w, "/v1/partitions:elect", "{}"), 0); /* all */
    http_write_event(&w.write, &ev);
    CHECK_EQ(ev.elect.n, 0);
}

static void unclean_election_wants_names_and_a_confirmation(void)
{
    static const char body[] =
            "{\"kind\": \"unclean\", \"partitions\": [{\"topic\": \"orders\", \"partition\": 3, "
            "\"leader\": 2}]}";
    struct ctl_event ev;

    make_orders();
    CHECK_EQ(POST(&w, "/v1/partitions:elect", body), 422);
    CHECK(strstr(world_text(&w, "hint"), "confirm=unclean") != NULL);
    CHECK_EQ(POST(&w, "/v1/partitions:elect?confirm=unclean", body), 0);
    http_write_event(&w.write, &ev);
    CHECK(ev.elect.is_unclean);
    CHECK_EQ(ev.elect.partitions[0].leader, 2);
    CHECK_EQ(POST(&w, "/v1/partitions:elect?confirm=unclean", "{\"kind\": \"unclean\"}"), 400);
    CHECK_EQ(POST(&w, "/v1/partitions:elect", "{\"kind\": \"dirty\"}"), 400);
    CHECK_EQ(POST(&w, "/v1/partitions:elect", "{\"partitions\": []}"), 400);
    CHECK_EQ(POST(&w, "/v1/partitions:elect", "{\"partitions\": [{\"topic\": \"a\"}]}"), 400);
    CHECK_EQ(POST(&w, "/v1/partitions:elect",
                     "{\"partitions\": [{\"topic\": \"a\", \"partition\": -1}]}"),
            400);
}

static void stop_check_names_what_would_be_lacking(void)
{
    make_orders();
    CHECK_EQ(GET(&w, "/v1/brokers/2/stop-check"), 200);
    CHECK(json_is_true(world_at(&w, "safe")));
    CHECK_EQ(GET(&w, "/v1/brokers/1/stop-check"), 200);
    CHECK(json_is_false(world_at(&w, "safe")));
    CHECK_STR(world_text(&w, "risks/0/kind"), "offline");
    CHECK_EQ(world_number(&w, "risks/0/count"), 4); /* orders 0 to 2 and zoo; 4 has broker 2 */
    apply((struct partition_state){.replicas = {2, {1, 2}},
                        .isr = {2, {1, 2}},
                        .leader = 1,
                        .min_isr = 2},
            "orders", 4);
    CHECK_EQ(GET(&w, "/v1/brokers/2/stop-check"), 200);
    CHECK_STR(world_text(&w, "risks/0/kind"), "under_min_isr");
    CHECK_EQ(world_number(&w, "risks/0/partitions/0/partition"), 4);
    CHECK_EQ(GET(&w, "/v1/brokers/9/stop-check"), 404);
}

static const struct check_case cases[] = {
        CASE(partitions_of_all_topics_are_listed_and_chosen),
        CASE(pages_go_on_where_the_last_one_ended),
        CASE(cluster_counts_what_wants_something),
        CASE(election_reaches_the_core_and_tells_each_result),
        CASE(unclean_election_wants_names_and_a_confirmation),
        CASE(stop_check_names_what_would_be_lacking),
};

int main(int argc, char **argv)
{
    int r = check_main("http_partitions", cases, COUNT_OF(cases), argc, argv);

    if (w.image != NULL) {
        world_deinit(&w);
    }
    return r;
}
