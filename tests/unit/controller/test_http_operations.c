/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/array.h"
#include "controller/shell/move_sizes.h"
#include "tests/lib/check.h"
#include "tests/unit/controller/http_world.h"

/* /v1/operations, and what begins and ends them for a broker. */

static struct world w;

static void begin(void)
{
    if (w.image != NULL) {
        world_deinit(&w);
    }
    world_init(&w);
    world_topic(&w, "orders", 3, (const broker_id[]){1, 1, 2});
}

static void apply(struct meta_record r)
{
    CHECK_EQ(image_apply(w.image, 0, &r), 0);
}

static void operation(uint64_t id, enum operation_kind kind, enum operation_state state)
{
    struct meta_record r = {.kind = META_OPERATION};

    r.operation = (struct meta_operation){.id = id,
            .kind = kind,
            .state = state,
            .n_partitions = 3,
            .started = 1800000000000,
            .ended = state == OPERATION_RUNNING ? 0 : 1800000005000,
            .detail = "why",
            .actor = "http ::1",
            .reason = "disk"};
    if (kind >= OPERATION_DECOMMISSION) {
        r.operation.brokers = (struct broker_set){1, {1}};
    }
    apply(r);
}

static void become(int32_t partition,
        struct broker_set replicas,
        struct broker_set adding,
        struct broker_set removing,
        uint64_t id)
{
    struct meta_record r = {.kind = META_PARTITION_STATE,
            .partition = image_topic_by_name(w.image, "orders")->partitions[partition]};

    r.partition.replicas = replicas;
    r.partition.adding = adding;
    r.partition.removing = removing;
    r.partition.partition_epoch++;
    r.partition.operation = id;
    if (!broker_set_has(&replicas, r.partition.leader)) {
        r.partition.isr = replicas;
        r.partition.leader = replicas.at[0];
        r.partition.leader_epoch++;
    }
    apply(r);
}

static const struct broker_set one = {1, {1}}, two = {1, {2}}, both = {2, {2, 1}}, none;

/* orders/1 is on its way from 1 to 2. */
static void move_one(uint64_t id)
{
    become(1, both, two, one, id);
}

static void operations_are_listed_with_their_progress(void)
{
    begin();
    operation(5, OPERATION_REASSIGN, OPERATION_RUNNING);
    operation(7, OPERATION_DRAIN, OPERATION_RUNNING);
    operation(8, OPERATION_DECOMMISSION, OPERATION_RUNNING);
    operation(9, OPERATION_BALANCE, OPERATION_CANCELLED);
    move_one(5);
    CHECK_EQ(GET(&w, "/v1/operations"), 200);
    CHECK_EQ(world_number(&w, "items/0/id"), 5);
    CHECK_STR(world_text(&w, "items/0/kind"), "reassign");
    CHECK_EQ(world_number(&w, "items/0/progress/partitions_total"), 3);
    CHECK_EQ(world_number(&w, "items/0/progress/partitions_left"), 1);
    CHECK(world_is_null(&w, "items/0/progress/done_bytes"));
    CHECK(world_is_null(&w, "items/0/eta_ms"));
    CHECK_EQ(world_number(&w, "items/0/throttle_bytes_per_s"), 64 << 20);
    CHECK(world_is_null(&w, "items/1/throttle_bytes_per_s"));
    CHECK(world_is_null(&w, "items/0/ended_at"));
    CHECK_EQ(world_number(&w, "items/1/brokers/0"), 1);
    CHECK_EQ(world_number(&w, "items/1/progress/partitions_left"), 1); /* orders/1 may go to 2 */
    CHECK_EQ(world_number(&w, "items/2/progress/partitions_left"), 2);
    CHECK_STR(world_text(&w, "items/3/state"), "cancelled");
    CHECK_STR(world_text(&w, "items/3/ended_at"), "2027-01-15T08:00:05Z");
    CHECK_STR(world_text(&w, "items/3/reason"), "disk");
    CHECK_EQ(GET(&w, "/v1/reassignments"), 200);
    CHECK_EQ(world_number(&w, "items/0/operation"), 5);
    CHECK_EQ(GET(&w, "/v1/operations?state=cancelled"), 200);
    CHECK_EQ(world_number(&w, "items/0/id"), 9);
    CHECK_EQ(GET(&w, "/v1/operations?state=peace"), 400);
    CHECK_EQ(GET(&w, "/v1/operations?page_size=2"), 200);
    CHECK_EQ(json_array_size(world_at(&w, "items")), 2);
    char *next = mem_format("/v1/operations?page_token=%s", world_text(&w, "next_page_token"));
    CHECK_EQ(GET(&w, next), 200);
    CHECK_EQ(world_number(&w, "items/0/id"), 8);
    mem_free(next);
}

static void tell(struct move_sizes *m, broker_id id, int32_t partition, uint64_t bytes)
{
    struct msg_log_end end = {.topic_id = image_topic_by_name(w.image, "orders")->id,
            .partition = partition,
            .bytes = bytes};
    const struct msg_describe_ends_response r = {.partitions = &end, .n_partitions = 1};

    move_sizes_told(m, id, &r);
}

static void check_bytes(int64_t done, int64_t total)
{
    CHECK_EQ(GET(&w, "/v1/operations"), 200);
    CHECK_EQ(world_number(&w, "items/0/progress/done_bytes"), done);
    CHECK_EQ(world_number(&w, "items/0/progress/total_bytes"), total);
}

/* [THR-8] 0 and 1 go from 1 to 2. What has arrived is counted to the end, what was taken back is
 * not. */
static void bytes_of_an_operation_are_those_of_all_that_began(void)
{
    begin();
    operation(5, OPERATION_REASSIGN, OPERATION_RUNNING);
    become(0, both, two, one, 5);
    move_one(5);
    struct move_sizes *m = move_sizes_new();

    w.view.moves = m;
    CHECK(move_sizes_refresh(m, w.image));
    tell(m, 1, 0, 4000);
    tell(m, 2, 0, 1000);
    check_bytes(1000, 4000);
    tell(m, 1, 1, 500);
    tell(m, 2, 1, 0);
    check_bytes(1000, 4500);
    become(0, two, none, none, 0); /* it is there; the table has not seen that yet: */
    check_bytes(1000, 4500);
    CHECK(!move_sizes_refresh(m, w.image));
    check_bytes(4000, 4500);
    tell(m, 2, 1, 200);
    check_bytes(4200, 4500);
    become(1, one, none, none, 0); /* taken back */
    (void)move_sizes_refresh(m, w.image);
    check_bytes(4000, 4000);
    move_one(5);
    CHECK(move_sizes_refresh(m, w.image));
    tell(m, 1, 1, 500);
    tell(m, 2, 1, 500);
    become(1, two, none, none, 0);
    operation(5, OPERATION_REASSIGN, OPERATION_DONE);
    (void)move_sizes_refresh(m, w.image);
    check_bytes(4500, 4500);
    move_sizes_clear(m); /* another controller decides */
    CHECK_EQ(GET(&w, "/v1/operations"), 200);
    CHECK(world_is_null(&w, "items/0/progress/done_bytes"));
    w.view.moves = move_sizes_free(m);
}

/* Another leader is asked anew; until it has told, what the former one told stands. */
static void bytes_stay_while_another_leader_was_not_asked(void)
{
    begin();
    operation(5, OPERATION_REASSIGN, OPERATION_RUNNING);
    move_one(5);
    struct move_sizes *m = move_sizes_new();

    w.view.moves = m;
    CHECK(move_sizes_refresh(m, w.image));
    tell(m, 1, 1, 500);
    tell(m, 2, 1, 100);
    struct meta_record r = {.kind = META_PARTITION_STATE,
            .partition = image_topic_by_name(w.image, "orders")->partitions[1]};
    r.partition.leader = BROKER_NONE;
    r.partition.leader_epoch++;
    r.partition.partition_epoch++;
    apply(r);
    CHECK(move_sizes_refresh(m, w.image));
    check_bytes(100, 500);
    r.partition.leader = 1;
    r.partition.leader_epoch++;
    r.partition.partition_epoch++;
    apply(r);
    CHECK(move_sizes_refresh(m, w.image));
    check_bytes(100, 500);
    tell(m, 1, 1, 600);
    tell(m, 2, 1, 200);
    check_bytes(200, 600);
    w.view.moves = move_sizes_free(m);
}

static void what_is_wanted_of_a_broker_reaches_the_core(void)
{
    static const struct {
        const char *path;
        enum broker_intent intent;
    } rows[] = {{"/v1/brokers/2:cordon", BROKER_CORDONED}, {"/v1/brokers/2:drain", BROKER_DRAINING},
            {"/v1/brokers/2:undrain", BROKER_WANTED}};
    struct ctl_event ev;

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        begin();
        CHECK_EQ(POST(&w, rows[i].path, ""), 0);
        http_write_event(&w.write, &ev);
        CHECK_EQ(ev.kind, CTL_EV_BROKER_INTENT);
        CHECK_EQ(ev.intent.id, 2);
        CHECK_EQ(ev.intent.intent, rows[i].intent);
    }
    begin();
    CHECK_EQ(POST(&w, "/v1/brokers/9:drain", ""), 404);
    CHECK_EQ(POST(&w, "/v1/brokers/2:decommission?dry_run=true", ""), 0);
    http_write_event(&w.write, &ev);
    CHECK_EQ(ev.reassign.goal, CTL_GOAL_EMPTY);
    CHECK(ev.reassign.dry_run);
    CHECK(broker_set_equal(&ev.reassign.brokers, &(struct broker_set){1, {2}}));
}

static void what_goes_on_is_answered_202_with_its_place(void)
{
    const struct ctl_reply done = {.after_seq = 9, .n_moved = 2};
    const struct ctl_reply goes_on = {.after_seq = 9, .operation = 12, .n_waiting = 1};

    begin();
    CHECK_EQ(POST(&w, "/v1/brokers/2:drain", ""), 0);
    CHECK_EQ(world_reply(&w, &done, false), 200);
    CHECK(world_is_null(&w, "operation"));
    CHECK_EQ(world_number(&w, "moved"), 2);
    CHECK_STR(world_text(&w, "intent"), "draining");
    begin();
    CHECK_EQ(POST(&w, "/v1/brokers/2:drain", ""), 0);
    CHECK_EQ(world_reply(&w, &goes_on, false), 202);
    CHECK_EQ(world_number(&w, "operation"), 12);
    CHECK_EQ(world_number(&w, "waiting"), 1);
    bool has_place = false;
    ARRAY_FOREACH (h, &w.answer.headers) {
        has_place = has_place || (strcmp(h->name, "Location") == 0 &&
                                         strcmp(h->value, "/v1/operations/12") == 0);
    }
    CHECK(has_place);
    begin();
    CHECK_EQ(POST(&w, "/v1/reassignments", "{\"goal\": \"balance\"}"), 0);
    CHECK_EQ(world_reply(&w, &goes_on, false), 202);
    CHECK_EQ(world_number(&w, "operation"), 12);
    CHECK_EQ(world_number(&w, "moving"), 0);
}

static void operation_is_cancelled_and_broker_forgotten(void)
{
    const struct ctl_reassigned told = {.topic = "orders", .detail = "", .is_done = true};
    const struct ctl_reply reply = {.after_seq = 9, .reassigned = &told, .n_reassigned = 1};
    const struct ctl_reply ended = {
            .error = ERRCODE_NO_REASSIGNMENT_IN_PROGRESS, .detail = "operation 5 is done already"};
    const struct ctl_reply up = {.error = ERRCODE_POLICY_VIOLATION, .detail = "broker 2 is there"};
    struct ctl_event ev;

    begin();
    operation(5, OPERATION_REASSIGN, OPERATION_RUNNING);
    CHECK_EQ(DELETE(&w, "/v1/operations/6"), 404);
    CHECK_EQ(DELETE(&w, "/v1/operations/x"), 404);
    CHECK_EQ(DELETE(&w, "/v1/operations/5"), 0);
    http_write_event(&w.write, &ev);
    CHECK_EQ(ev.kind, CTL_EV_CANCEL_OPERATION);
    CHECK_EQ(ev.cancel.id, 5);
    CHECK_EQ(world_reply(&w, &reply, false), 200);
    CHECK_EQ(world_number(&w, "done"), 1);
    CHECK_EQ(DELETE(&w, "/v1/operations/5"), 0);
    CHECK_EQ(world_reply(&w, &ended, false), 409);
    CHECK_EQ(DELETE(&w, "/v1/brokers/9"), 404);
    CHECK_EQ(DELETE(&w, "/v1/brokers/2"), 0);
    http_write_event(&w.write, &ev);
    CHECK_EQ(ev.kind, CTL_EV_FORGET_BROKER);
    CHECK_EQ(ev.forget.id, 2);
    CHECK_EQ(world_reply(&w, &up, false), 422);
}

static void intent_is_shown_with_the_broker(void) /* [CTL-70] */
{
    struct meta_record r = {.kind = META_BROKER_INTENT};

    begin();
    r.intent.id = 2;
    r.intent.intent = BROKER_CORDONED;
    apply(r);
    CHECK_EQ(GET(&w, "/v1/brokers"), 200);
    CHECK_STR(world_text(&w, "items/0/intent"), "none");
    CHECK_STR(world_text(&w, "items/1/intent"), "cordoned");
}

static void status_shows_what_goes_on(void)
{
    struct meta_record r = {.kind = META_BROKER_INTENT};

    begin();
    CHECK_EQ(GET(&w, "/"), 200);
    CHECK(strstr(world_body(&w), "operations") == NULL);
    r.intent.id = 1;
    r.intent.intent = BROKER_DECOMMISSIONING;
    apply(r);
    operation(8, OPERATION_DECOMMISSION, OPERATION_RUNNING);
    operation(9, OPERATION_BALANCE, OPERATION_DONE);
    CHECK_EQ(GET(&w, "/"), 200);
    CHECK(strstr(world_body(&w),
                  "operations\n  8 decommission of broker 1, 2 of 3 partitions left; "
                  "why\n\n") != NULL);
    CHECK(strstr(world_body(&w), "1       decommissioning ") != NULL);
}

static void a_wait_has_its_bounds(void)
{
    static const struct http_param params[] = {{"wait_ms", "60001"}};
    const struct http_call c = {.params = params, .n_params = 1};
    struct http_answer a = {0};
    int64_t ms = -1;

    CHECK(!http_operation_wait(&c, &a, &ms));
    CHECK_EQ(a.status, 400);
    http_answer_deinit(&a);
    CHECK(http_operation_wait(&(struct http_call){0}, &a, &ms));
    CHECK_EQ(ms, 0);
}

static const struct check_case cases[] = {
        CASE(operations_are_listed_with_their_progress),
        CASE(bytes_of_an_operation_are_those_of_all_that_began),
        CASE(bytes_stay_while_another_leader_was_not_asked),
        CASE(what_is_wanted_of_a_broker_reaches_the_core),
        CASE(what_goes_on_is_answered_202_with_its_place),
        CASE(operation_is_cancelled_and_broker_forgotten),
        CASE(intent_is_shown_with_the_broker),
        CASE(status_shows_what_goes_on),
        CASE(a_wait_has_its_bounds),
};

int main(int argc, char **argv)
{
    int r = check_main("http_operations", cases, COUNT_OF(cases), argc, argv);

    if (w.image != NULL) {
        world_deinit(&w);
    }
    return r;
}
