/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/array.h"
#include "controller/shell/move_sizes.h"
#include "tests/lib/check.h"
#include "tests/unit/controller/http_world.h"

/* /v1/reassignments. */

static struct world w;

static void begin(void)
{
    if (w.image != NULL) {
        world_deinit(&w);
    }
    world_init(&w);
    world_topic(&w, "orders", 3, (const broker_id[]){1, 1, 1});
}

/* orders/1 is on its way from 1 to 2. */
static void move_one(void)
{
    const struct image_topic *t = image_topic_by_name(w.image, "orders");
    struct meta_record r = {.kind = META_PARTITION_STATE, .partition = t->partitions[1]};

    r.partition.replicas = (struct broker_set){2, {2, 1}};
    r.partition.adding = (struct broker_set){1, {2}};
    r.partition.removing = (struct broker_set){1, {1}};
    r.partition.partition_epoch++;
    CHECK_EQ(image_apply(w.image, 0, &r), 0);
}

static void what_is_under_way_is_listed(void) /* [CTL-55] */
{
    begin();
    CHECK_EQ(GET(&w, "/v1/reassignments"), 200);
    CHECK_EQ((int64_t)json_array_size(world_at(&w, "items")), 0);
    move_one();
    CHECK_EQ(GET(&w, "/v1/reassignments"), 200);
    CHECK_EQ((int64_t)json_array_size(world_at(&w, "items")), 1);
    CHECK_STR(world_text(&w, "items/0/topic"), "orders");
    CHECK_EQ(world_number(&w, "items/0/partition"), 1);
    CHECK_EQ(world_number(&w, "items/0/target/0"), 2);
    CHECK_EQ(world_number(&w, "items/0/to_catch_up/0"), 2);
    CHECK_EQ(world_number(&w, "items/0/removing/0"), 1);
}

static void tell(struct move_sizes *m, broker_id id, int error, uint64_t bytes)
{
    const struct image_topic *t = image_topic_by_name(w.image, "orders");
    struct msg_log_end end = {
            .topic_id = t->id, .partition = 1, .error = error, .bytes = bytes};
    const struct msg_describe_ends_response r = {.partitions = &end, .n_partitions = 1};

    move_sizes_told(m, id, &r);
}

static void progress_is_told_in_bytes(void) /* [THR-8] */
{
    size_t n = 0;

    begin();
    move_one();
    struct move_sizes *m = move_sizes_new();

    w.view.moves = m;
    CHECK(move_sizes_refresh(m, w.image));
    CHECK(!move_sizes_refresh(m, w.image));
    CHECK_EQ(move_sizes_n(m), 1);
    mem_free(move_sizes_ask(m, 1, &n)); /* the leader */
    CHECK_EQ(n, 1);
    mem_free(move_sizes_ask(m, 2, &n)); /* who is to get it */
    CHECK_EQ(n, 1);
    mem_free(move_sizes_ask(m, 3, &n));
    CHECK_EQ(n, 0);
    CHECK_EQ(GET(&w, "/v1/reassignments"), 200);
    CHECK(world_is_null(&w, "items/0/total_bytes"));
    tell(m, 1, ERRCODE_NONE, 5000);
    tell(m, 2, ERRCODE_KAFKA_STORAGE_ERROR, 0); /* no log yet */
    move_sizes_round(m, WTIME_S(10));
    CHECK_EQ(GET(&w, "/v1/reassignments"), 200);
    CHECK_EQ(world_number(&w, "items/0/done_bytes"), 0);
    CHECK_EQ(world_number(&w, "items/0/total_bytes"), 5000);
    CHECK(world_is_null(&w, "items/0/eta_ms"));
    tell(m, 1, ERRCODE_KAFKA_STORAGE_ERROR, 0); /* not known now: as before */
    tell(m, 2, ERRCODE_NONE, 2000);
    move_sizes_round(m, WTIME_S(11));
    CHECK_EQ(GET(&w, "/v1/reassignments"), 200);
    CHECK_EQ(world_number(&w, "items/0/done_bytes"), 2000);
    CHECK(world_number(&w, "items/0/bytes_per_second") > 1900);
    CHECK(world_number(&w, "items/0/eta_ms") >= 1500);
    tell(m, 2, ERRCODE_NONE, 6000); /* it is compacted less: no more than all */
    CHECK_EQ(GET(&w, "/v1/reassignments"), 200);
    CHECK_EQ(world_number(&w, "items/0/done_bytes"), 5000);
    move_sizes_clear(m);
    CHECK_EQ(move_sizes_n(m), 0);
    w.view.moves = move_sizes_free(m);
}

static void plan_reaches_the_core_and_tells_each_result(void)
{
    struct ctl_event ev;
    const struct ctl_reassigned told[] = {
            {.topic = "orders", .partition = 0, .detail = "", .was = {1, {1}}, .target = {1, {2}}},
            {.topic = "orders",
                    .partition = 2,
                    .error = ERRCODE_REASSIGNMENT_IN_PROGRESS,
                    .detail = "why",
                    .was = {1, {1}},
                    .target = {1, {2}}}};
    const struct ctl_reply reply = {.after_seq = 9, .reassigned = told, .n_reassigned = 2};

    begin();
    CHECK_EQ(POST(&w, "/v1/reassignments",
                     "{\"plan\": [{\"topic\": \"orders\", \"partition\": 0, \"replicas\": [2, 1]}]}"),
            0);
    http_write_event(&w.write, &ev);
    CHECK_EQ(ev.kind, CTL_EV_REASSIGN);
    CHECK_EQ(ev.reassign.goal, CTL_GOAL_NAMED);
    CHECK_EQ(ev.reassign.n, 1);
    CHECK_EQ(ev.reassign.partitions[0].replicas.n, 2);
    CHECK_EQ(ev.reassign.partitions[0].replicas.at[1], 1);
    CHECK_EQ(world_reply(&w, &reply, false), 200);
    CHECK_EQ(world_number(&w, "moving"), 1);
    CHECK_EQ(world_number(&w, "failed"), 1);
    CHECK_STR(world_text(&w, "items/0/state"), "moving");
    CHECK_STR(world_text(&w, "items/1/state"), "failed");
    CHECK_STR(world_text(&w, "items/1/error"), "REASSIGNMENT_IN_PROGRESS");
}

static void limit_goes_with_the_plan(void) /* [THR-7] */
{
    struct ctl_event ev;

    begin();
    CHECK_EQ(POST(&w, "/v1/reassignments",
                     "{\"goal\": \"balance\", \"throttle_bytes_per_s\": 20971520}"),
            0);
    http_write_event(&w.write, &ev);
    CHECK_STR(ev.reassign.throttle, "20971520");
    begin();
    CHECK_EQ(POST(&w, "/v1/reassignments",
                     "{\"goal\": \"balance\", \"throttle_bytes_per_s\": null}"),
            0);
    http_write_event(&w.write, &ev);
    CHECK(ev.reassign.throttle == NULL);
    CHECK_EQ(POST(&w, "/v1/reassignments",
                     "{\"goal\": \"balance\", \"throttle_bytes_per_s\": -1}"),
            422);
    CHECK_EQ(POST(&w, "/v1/reassignments",
                     "{\"goal\": \"balance\", \"throttle_bytes_per_s\": \"fast\"}"),
            400);
}

static void bad_bodies_are_refused(void)
{
    static const char *const bodies[] = {"{\"goal\": \"peace\"}",
            "{\"goal\": \"decommission\"}",
            "{\"goal\": \"balance\", \"brokers\": [1]}",
            "{\"goal\": \"balance\", \"plan\": []}", "[]", "{}", "{\"plan\": []}", "{\"plan\": [1]}",
            "{\"plan\": [{\"topic\": \"a\", \"partition\": 0}]}",
            "{\"plan\": [{\"topic\": \"a\", \"partition\": 0, \"replicas\": []}]}",
            "{\"plan\": [{\"topic\": \"a\", \"partition\": 0, \"replicas\": [-1]}]}",
            "{\"plan\": [{\"topic\": \"a\", \"partition\": -1, \"replicas\": [1]}]}",
            "{\"plan\": [{\"topic\": \"a\", \"partition\": 0, \"replicas\": "
            "[1,2,3,4,5,6,7,8,9]}]}"};

    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        begin();
        CHECK_EQ(POST(&w, "/v1/reassignments", bodies[i]), 400);
    }
}

static void goals_reach_the_core(void)
{
    struct ctl_event ev;

    begin();
    CHECK_EQ(POST(&w, "/v1/reassignments?dry_run=true", "{\"goal\": \"balance\"}"), 0);
    http_write_event(&w.write, &ev);
    CHECK_EQ(ev.reassign.goal, CTL_GOAL_BALANCE);
    CHECK(ev.reassign.dry_run);
    begin();
    CHECK_EQ(POST(&w, "/v1/reassignments", "{\"goal\": \"decommission\", \"brokers\": [4]}"), 0);
    http_write_event(&w.write, &ev);
    CHECK_EQ(ev.reassign.goal, CTL_GOAL_EMPTY);
    CHECK_EQ(ev.reassign.brokers.n, 1);
    CHECK_EQ(ev.reassign.brokers.at[0], 4);
}

static void one_or_all_are_taken_back(void)
{
    struct ctl_event ev;

    begin();
    CHECK_EQ(DELETE(&w, "/v1/reassignments?topic=orders&partition=1"), 0);
    http_write_event(&w.write, &ev);
    CHECK_EQ(ev.reassign.goal, CTL_GOAL_NAMED);
    CHECK_EQ(ev.reassign.partitions[0].partition, 1);
    CHECK_EQ(ev.reassign.partitions[0].replicas.n, 0);
    begin();
    CHECK_EQ(DELETE(&w, "/v1/reassignments"), 0);
    http_write_event(&w.write, &ev);
    CHECK_EQ(ev.reassign.goal, CTL_GOAL_TAKE_BACK);
    begin();
    CHECK_EQ(DELETE(&w, "/v1/reassignments?topic=orders"), 400);
    CHECK_EQ(DELETE(&w, "/v1/reassignments?topic=orders&partition=x"), 400);
    CHECK_EQ(DELETE(&w, "/v1/reassignments?topic=nope&partition=1"), 404);
}

static const struct check_case cases[] = {
        CASE(what_is_under_way_is_listed),
        CASE(progress_is_told_in_bytes),
        CASE(plan_reaches_the_core_and_tells_each_result),
        CASE(limit_goes_with_the_plan),
        CASE(bad_bodies_are_refused),
        CASE(goals_reach_the_core),
        CASE(one_or_all_are_taken_back),
};

int main(int argc, char **argv)
{
    int r = check_main("http_reassignments", cases, COUNT_OF(cases), argc, argv);

    if (w.image != NULL) {
        world_deinit(&w);
    }
    return r;
}
