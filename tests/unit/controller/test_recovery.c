/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/array.h"
#include "tests/lib/check.h"
#include "tests/unit/controller/ctl_world.h"

/* [CTL-52] weir.unclean.election=balanced: nobody is in sync, all who were are back. */

#define LOST(name)                                                                                 \
    __attribute__((cleanup(world_deinit))) struct world name;                                      \
    lose_all(&name)

static void lose(struct world *w, broker_id id, int64_t epoch)
{
    world_seen(w, id, epoch, CRASH_HOST);
}

/* Every host of "orders" has lost power; 1 and 2 are back. */
static void lose_all(struct world *w)
{
    world_init(w, 3, 42);
    world_start(w, 3);
    world_create(w, "orders", 1, 3);
    for (broker_id id = 1; id <= 3; id++) {
        lose(w, id, 200 + id);
    }
    world_ready(w, 1, 201);
    world_ready(w, 2, 202);
    CHECK_EQ(world_partition(w, "orders", 0)->lk.n, 2); /* 1 left while the ISR was full */
    (void)world_story(w);
}

static void set(struct world *w, const char *key, const char *value)
{
    const struct meta_config_pair pair = {key, value};
    struct ctl_event ev = {.kind = CTL_EV_SET_CONFIGS};

    ev.set_configs = (struct ctl_set_configs){
            .scope = CONFIG_TOPIC, .topic = "orders", .pairs = &pair, .n_pairs = 1};
    world_step(w, ev);
}

static void set_policy(struct world *w, const char *value)
{
    set(w, "weir.unclean.election", value);
}

static void furthest_log_leads_when_all_are_back_story(void)
{
    LOST(w);

    CHECK_EQ(w.n_asks, 0); /* not before all are back */
    world_ready(&w, 3, 203);
    CHECK_EQ(w.n_asks, 2);
    world_tell(&w, 3, 1, 100);
    CHECK_EQ(world_partition(&w, "orders", 0)->leader, BROKER_NONE);
    world_tell(&w, 2, 0, 900);
    CHECK_STR(world_story(&w),
            "ctl  broker 3 epoch 203 ready -> unfenced\n"
            "ctl  orders-0 has nobody in sync; {3,2} are asked how far their logs reach\n"
            "ctl  orders-0 UNCLEAN: broker 3 leads in leader epoch 4, and what only {1,2,3} had is "
            "lost\n");
    const struct meta_record *r = &w.fx.items[0].append.records[0];
    CHECK_EQ(r->why.cause, CAUSE_FURTHEST_LOG);
    CHECK(strstr(r->why.inputs, "ends=[3:100@1,2:900@0]") != NULL);
    CHECK(world_partition(&w, "orders", 0)->recovering);
    CHECK_EQ(world_partition(&w, "orders", 0)->unclean_epoch, 4);
}

static void of_equal_epochs_the_longer_and_of_equal_logs_the_preferred(void)
{
    static const struct {
        offset64 end_2, end_3;
        broker_id winner;
    } rows[] = {{10, 11, 3}, {11, 10, 2}, {10, 10, 2}};

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        LOST(w);
        world_ready(&w, 3, 203);
        world_tell(&w, 2, 1, rows[i].end_2);
        world_tell(&w, 3, 1, rows[i].end_3);
        CHECK_EQ(world_partition(&w, "orders", 0)->leader, rows[i].winner);
    }
}

/* An unclean election that nobody asked for was once a default. */
static void policy_never_leaves_it_to_an_operator(void)
{
    LOST(w);

    set_policy(&w, "never");
    world_ready(&w, 3, 203);
    CHECK_EQ(w.n_asks, 0);
    set_policy(&w, NULL); /* the default */
    CHECK_EQ(w.n_asks, 2);
    world_tell(&w, 2, 1, 1);
    world_tell(&w, 3, 1, 1);
    CHECK_EQ(world_partition(&w, "orders", 0)->leader, 2);
}

static void without_all_answers_nobody_is_chosen_and_they_are_asked_again(void)
{
    LOST(w);

    world_ready(&w, 3, 203);
    world_tell(&w, 2, 1, 1);
    world_tell_error(&w, 3, ERRCODE_KAFKA_STORAGE_ERROR);
    CHECK_EQ(world_partition(&w, "orders", 0)->leader, BROKER_NONE);
    CHECK_EQ(ctl_deadline(w.ctl), WTIME_S(5));
    w.n_asks = 0;
    w.now = WTIME_S(5);
    world_step(&w, (struct ctl_event){.kind = CTL_EV_TICK});
    CHECK_EQ(w.n_asks, 2);
    world_tell(&w, 3, 1, 1);
    CHECK_EQ(world_partition(&w, "orders", 0)->leader, BROKER_NONE); /* what 2 told was forgotten */
    world_tell(&w, 2, 1, 0);
    CHECK_EQ(world_partition(&w, "orders", 0)->leader, 3);
}

/* It told, and then lost its power once more: what it told is not what it has. */
static void answer_of_a_former_incarnation_does_not_count(void)
{
    LOST(w);

    world_ready(&w, 3, 203);
    world_tell(&w, 2, 9, 9);
    lose(&w, 2, 302);
    world_tell(&w, 3, 1, 1);
    CHECK_EQ(world_partition(&w, "orders", 0)->leader, BROKER_NONE);
    world_ready(&w, 2, 302);
    CHECK_EQ(w.n_asks, 2);
    CHECK_EQ(world_ask_of(&w, 2)->epoch, 302);
    world_tell(&w, 2, 1, 0);
    world_tell(&w, 3, 1, 1);
    CHECK_EQ(world_partition(&w, "orders", 0)->leader, 3);
}

/* When it is time to, both are asked again; their answers elect 3. */
static void ask_again(struct world *w)
{
    CHECK_EQ(world_partition(w, "orders", 0)->leader, BROKER_NONE);
    w->n_asks = 0;
    w->now = ctl_deadline(w->ctl);
    world_step(w, (struct ctl_event){.kind = CTL_EV_TICK});
    CHECK_EQ(w->n_asks, 2);
    world_tell(w, 2, 1, 0);
    world_tell(w, 3, 1, 1);
    CHECK_EQ(world_partition(w, "orders", 0)->leader, 3);
}

/* [CTL-52] It answers that it has no log, until it has begun anew; it need not say READY again for that. */
static void failed_replica_is_asked_until_it_has_a_log(void)
{
    LOST(w);

    world_ready_but(&w, 3, 203, "orders", 0);
    CHECK_EQ(w.n_asks, 2);
    world_tell(&w, 2, 1, 0);
    world_tell_error(&w, 3, ERRCODE_KAFKA_STORAGE_ERROR);
    ask_again(&w);
}

/* [CTL-52] A setting makes another record while the answers are on their way. */
static void record_that_changed_meanwhile_is_asked_for_again(void)
{
    LOST(w);

    world_ready(&w, 3, 203);
    CHECK_EQ(w.n_asks, 2);
    set(&w, "min.insync.replicas", "1");
    world_tell(&w, 2, 1, 0);
    world_tell(&w, 3, 1, 1);
    ask_again(&w);
}

/* [CTL-52] Everybody is ready already when the last one in sync gives its replica up. */
static void failure_of_the_last_in_sync_is_noticed(void)
{
    LOST(w);

    world_ready(&w, 3, 203);
    world_tell(&w, 2, 1, 0);
    world_tell(&w, 3, 1, 1);
    CHECK_EQ(world_partition(&w, "orders", 0)->leader, 3);
    world_failed(&w, 3, 203, "orders", 0);
    w.n_asks = 0;
    w.now = ctl_deadline(w.ctl);
    world_step(&w, (struct ctl_event){.kind = CTL_EV_TICK});
    CHECK_EQ(w.n_asks, 1); /* only it was in sync since it was elected */
    world_tell(&w, 3, 1, 1);
    CHECK_EQ(world_partition(&w, "orders", 0)->leader, 3);
}

/* [CTL-52] Nobody was in sync when it was deleted. */
static void restored_topic_that_nobody_leads_is_noticed(void)
{
    LOST(w);

    world_delete(&w, "orders");
    world_ready(&w, 3, 203);
    CHECK_EQ(w.n_asks, 0);
    world_restore(&w, "orders");
    ask_again(&w);
}

static void who_may_be_elected_cleanly_makes_it_unnecessary(void)
{
    __attribute__((cleanup(world_deinit))) struct world w;

    world_init(&w, 3, 42);
    world_start(&w, 3);
    world_create(&w, "orders", 1, 3);
    lose(&w, 1, 201);
    world_broker(&w, CTL_EV_BROKER_SILENT, 2, 102); /* in the ELR soon */
    lose(&w, 3, 203);
    world_ready(&w, 3, 203);
    world_ready(&w, 1, 201);
    CHECK_EQ(w.n_asks, 0);
    CHECK_EQ(world_partition(&w, "orders", 0)->leader, BROKER_NONE);
    world_ready(&w, 2, 102);
    CHECK_EQ(world_partition(&w, "orders", 0)->unclean_epoch,
            world_partition(&w, "orders", 0)->leader == 2 ? EPOCH_NONE : -2);
}

static void new_controller_asks_when_its_brokers_are_ready(void)
{
    LOST(w);

    world_ready(&w, 3, 203);
    w.n_asks = 0;
    world_elect(&w);
    for (broker_id id = 1; id <= 3; id++) {
        world_seen(&w, id, 200 + id, CRASH_HOST);
    }
    world_listed(&w);
    CHECK_EQ(w.n_asks, 0);
    world_ready(&w, 2, 202);
    world_ready(&w, 3, 203);
    CHECK_EQ(w.n_asks, 2);
    world_tell(&w, 2, 1, 1);
    world_tell(&w, 3, 1, 1);
    CHECK_EQ(world_partition(&w, "orders", 0)->leader, 2);
}

static const struct check_case cases[] = {
        CASE(furthest_log_leads_when_all_are_back_story),
        CASE(of_equal_epochs_the_longer_and_of_equal_logs_the_preferred),
        CASE(policy_never_leaves_it_to_an_operator),
        CASE(without_all_answers_nobody_is_chosen_and_they_are_asked_again),
        CASE(answer_of_a_former_incarnation_does_not_count),
        CASE(failed_replica_is_asked_until_it_has_a_log),
        CASE(record_that_changed_meanwhile_is_asked_for_again),
        CASE(failure_of_the_last_in_sync_is_noticed),
        CASE(restored_topic_that_nobody_leads_is_noticed),
        CASE(who_may_be_elected_cleanly_makes_it_unnecessary),
        CASE(new_controller_asks_when_its_brokers_are_ready),
};
CHECK_MAIN("recovery", cases)
