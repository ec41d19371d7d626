/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/array.h"
#include "common/domain/name_rules.h"
#include "tests/lib/check.h"
#include "tests/unit/controller/ctl_world.h"

/* What operators want of brokers, and operations. */

#define WORLD(name, n_brokers)                                                                     \
    __attribute__((cleanup(world_deinit))) struct world name;                                      \
    world_init(&name, 5, 42);                                                                      \
    world_start(&name, n_brokers)

/* --- Events in short -------------------------------------------------------------------------- */

static int create_on(struct world *w, const char *topic, struct broker_set replicas)
{
    struct ctl_event ev = {.kind = CTL_EV_CREATE_TOPIC, .actor = "http ::1"};

    ev.create.name = topic;
    ev.create.n_partitions = 1;
    ev.create.replication_factor = -1;
    ev.create.assignments = &replicas;
    ev.create.n_assignments = 1;
    world_step(w, ev);
    return w->reply.error;
}

static int intend(struct world *w, broker_id id, enum broker_intent intent)
{
    struct ctl_event ev = {.kind = CTL_EV_BROKER_INTENT, .actor = "http ::1", .reason = "disk"};

    ev.intent.id = id;
    ev.intent.intent = intent;
    world_step(w, ev);
    return w->reply.error;
}

static int decommission(struct world *w, struct broker_set brokers)
{
    struct ctl_event ev = {.kind = CTL_EV_REASSIGN, .actor = "http ::1", .reason = "old"};

    ev.reassign.goal = CTL_GOAL_EMPTY;
    ev.reassign.brokers = brokers;
    world_step(w, ev);
    return w->reply.error;
}

static int forget(struct world *w, broker_id id)
{
    struct ctl_event ev = {.kind = CTL_EV_FORGET_BROKER, .actor = "http ::1"};

    ev.forget.id = id;
    world_step(w, ev);
    return w->reply.error;
}

static int cancel(struct world *w, uint64_t id)
{
    struct ctl_event ev = {.kind = CTL_EV_CANCEL_OPERATION, .actor = "http ::1"};

    ev.cancel.id = id;
    world_step(w, ev);
    return w->reply.error;
}

/* What the core wants to be woken for at once. */
static void tick(struct world *w)
{
    for (int i = 0; i < 10 && ctl_deadline(w->ctl) <= w->now; i++) {
        world_step(w, (struct ctl_event){.kind = CTL_EV_TICK});
    }
    CHECK(ctl_deadline(w->ctl) > w->now);
}

/* The leader of the partition finds these in sync; brokers have the epochs of world_start(). */
static int in_sync(struct world *w, const char *topic, int32_t k, struct broker_set isr)
{
    broker_id leader = world_partition(w, topic, k)->leader;
    struct world_proposal p = {.from = leader, .from_epoch = 100 + leader, .n = isr.n};

    for (int i = 0; i < isr.n; i++) {
        p.isr[i] = (struct ctl_isr_member){isr.at[i], 100 + isr.at[i]};
    }
    return world_propose(w, topic, k, &p);
}

static void catch_up(struct world *w, const char *topic)
{
    for (int32_t k = 0; k < image_topic_by_name(w->log, topic)->n_partitions; k++) {
        if (partition_is_moving(world_partition(w, topic, k))) {
            CHECK_EQ(in_sync(w, topic, k, world_partition(w, topic, k)->replicas), ERRCODE_NONE);
        }
    }
}

static const struct meta_operation *operation(const struct world *w, uint64_t id)
{
    CHECK(image_operation(w->log, id) != NULL);
    return &image_operation(w->log, id)->is;
}

static unsigned n_on(const struct world *w, broker_id id, bool only_leaders)
{
    unsigned n = 0;

    for (size_t i = 0; i < image_n_topics(w->log); i++) {
        const struct image_topic *t = image_topic_at(w->log, i);
        for (int32_t k = 0; k < t->n_partitions; k++) {
            const struct partition_state *p = &t->partitions[k];
            n += only_leaders ? p->leader == id : broker_set_has(&p->replicas, id);
        }
    }
    return n;
}

static void take_over(struct world *w, broker_id n_brokers)
{
    world_elect(w);
    for (broker_id id = 1; id <= n_brokers; id++) {
        world_seen(w, id, 100 + id, CRASH_CLEAN);
    }
    world_listed(w);
    for (broker_id id = 1; id <= n_brokers; id++) {
        world_ready(w, id, 100 + id);
    }
}

/* --- Cordon ----------------------------------------------------------------------------------- */

static void cordoned_broker_gets_no_new_replicas(void) /* [CTL-70] */
{
    WORLD(w, 4);

    CHECK_EQ(intend(&w, 2, BROKER_CORDONED), ERRCODE_NONE);
    CHECK_EQ(w.reply.operation, 0);
    world_create(&w, "orders", 9, 3);
    CHECK_EQ(n_on(&w, 2, false), 0);
    CHECK_EQ(create_on(&w, "there", SET(1, 2)), ERRCODE_INVALID_REPLICA_ASSIGNMENT);
    CHECK_STR(w.reply.detail,
            "partition 0 names broker 2, which is cordoned and takes no new replicas");
    CHECK_EQ(world_reassign(&w, "orders", 0, SET(2))->error, ERRCODE_INVALID_REPLICA_ASSIGNMENT);
    CHECK_STR(w.reply.reassigned[0].detail,
            "broker 2 is cordoned and takes no new replicas; undrain it first");
    world_create(&w, "wide", 1, 4);
    CHECK_EQ(w.reply.error, ERRCODE_INVALID_REPLICATION_FACTOR);
    CHECK_EQ(intend(&w, 2, BROKER_WANTED), ERRCODE_NONE);
    world_create(&w, "wide", 1, 4);
    CHECK_EQ(w.reply.error, ERRCODE_NONE);
}

static void cordoned_broker_leads_on(void) /* [CTL-70] */
{
    WORLD(w, 3);

    world_create(&w, "orders", 3, 3);
    unsigned led = n_on(&w, 2, true);
    CHECK(led > 0);
    CHECK_EQ(intend(&w, 2, BROKER_CORDONED), ERRCODE_NONE);
    CHECK_EQ(n_on(&w, 2, true), led);
    CHECK_EQ(intend(&w, 9, BROKER_CORDONED), ERRCODE_BROKER_ID_NOT_REGISTERED);
    CHECK_EQ(intend(&w, 2, BROKER_CORDONED), ERRCODE_NONE);
    CHECK(w.reply.is_unchanged);
    CHECK_EQ(w.n_appended, 0);
}

/* --- Drain ------------------------------------------------------------------------------------ */

static void drained_broker_leads_nothing_and_stays_in_sync(void) /* [CTL-71] */
{
    WORLD(w, 3);

    world_create(&w, "orders", 6, 3);
    CHECK_EQ(intend(&w, 2, BROKER_DRAINING), ERRCODE_NONE);
    CHECK_EQ(w.reply.operation, 0); /* All of it is done. */
    CHECK_EQ(w.reply.n_moved, 2);
    CHECK_EQ(n_on(&w, 2, true), 0);
    for (int32_t k = 0; k < 6; k++) {
        CHECK_EQ(world_partition(&w, "orders", k)->isr.n, 3);
    }
    /* Its process dies and comes back: it is drained still. */
    world_seen(&w, 2, 202, CRASH_PROC);
    world_ready(&w, 2, 202);
    CHECK_EQ(image_broker(w.log, 2)->intent, BROKER_DRAINING);
    broker_id leader = world_partition(&w, "orders", 0)->leader;
    CHECK_EQ(world_propose(&w, "orders", 0,
                     WORLD_PROPOSAL(leader, 100 + leader,
                             .isr = {{1, 101}, {2, 202}, {3, 103}}, .n = 3)),
            ERRCODE_NONE);
    CHECK_EQ(n_on(&w, 2, true), 0);
}

static void leaderships_do_not_go_back_to_a_drained_broker(void) /* [CTL-71] */
{
    WORLD(w, 3);

    CHECK_EQ(create_on(&w, "orders", SET(2, 1, 3)), ERRCODE_NONE);
    CHECK_EQ(intend(&w, 2, BROKER_DRAINING), ERRCODE_NONE);
    const struct ctl_elect_partition one = {.topic = "orders"};
    struct ctl_event ev = {.kind = CTL_EV_ELECT};
    ev.elect.partitions = &one;
    ev.elect.n = 1;
    world_step(&w, ev);
    CHECK_EQ(w.reply.elected[0].error, ERRCODE_PREFERRED_LEADER_NOT_AVAILABLE);
    w.now += WTIME_S(400);
    tick(&w);
    CHECK_EQ(world_partition(&w, "orders", 0)->leader, 1);
    CHECK_EQ(intend(&w, 2, BROKER_WANTED), ERRCODE_NONE);
    CHECK_EQ(world_partition(&w, "orders", 0)->leader, 1);
    w.now += WTIME_S(400);
    tick(&w);
    CHECK_EQ(world_partition(&w, "orders", 0)->leader, 2);
}

static void who_alone_can_lead_leads_although_it_is_drained(void) /* [CTL-71] */
{
    WORLD(w, 3);

    CHECK_EQ(create_on(&w, "orders", SET(1, 2, 3)), ERRCODE_NONE);
    CHECK_EQ(create_on(&w, "lone", SET(2)), ERRCODE_NONE);
    CHECK_EQ(intend(&w, 2, BROKER_DRAINING), ERRCODE_NONE);
    CHECK_EQ(w.reply.n_single, 1);
    CHECK_EQ(w.reply.operation, 0);
    CHECK_EQ(world_partition(&w, "lone", 0)->leader, 2);
    world_broker(&w, CTL_EV_BROKER_SILENT, 1, 101);
    CHECK_EQ(world_partition(&w, "orders", 0)->leader, 3);
    world_broker(&w, CTL_EV_BROKER_SILENT, 3, 103);
    CHECK_EQ(world_partition(&w, "orders", 0)->leader, 2);
    world_ready(&w, 3, 103);
    CHECK_EQ(in_sync(&w, "orders", 0, SET(2, 3)), ERRCODE_NONE);
    CHECK_EQ(world_partition(&w, "orders", 0)->leader, 3);
    CHECK(broker_set_equal(&world_partition(&w, "orders", 0)->isr, &SET(2, 3)));
}

static void drain_goes_on_until_others_are_in_sync(void) /* [CTL-72] [CTL-76] */
{
    WORLD(w, 3);

    CHECK_EQ(create_on(&w, "orders", SET(2, 1, 3)), ERRCODE_NONE);
    CHECK_EQ(create_on(&w, "lone", SET(2)), ERRCODE_NONE);
    CHECK_EQ(in_sync(&w, "orders", 0, SET(2)), ERRCODE_NONE);
    CHECK_EQ(intend(&w, 2, BROKER_DRAINING), ERRCODE_NONE);
    uint64_t id = w.reply.operation;
    CHECK(id != 0);
    CHECK_EQ(w.reply.n_waiting, 1);
    CHECK_EQ(operation(&w, id)->state, OPERATION_RUNNING);
    CHECK_STR(operation(&w, id)->detail, "it leads on until another replica is in sync");
    CHECK_STR(operation(&w, id)->reason, "disk");
    CHECK_STR(operation(&w, id)->actor, "http ::1");
    CHECK_EQ(intend(&w, 2, BROKER_DRAINING), ERRCODE_NONE);
    CHECK_EQ(w.reply.operation, id); /* asked again: the same */
    take_over(&w, 3);
    CHECK_EQ(operation(&w, id)->state, OPERATION_RUNNING);
    w.wall += 500;
    CHECK_EQ(in_sync(&w, "orders", 0, SET(2, 3)), ERRCODE_NONE);
    CHECK_EQ(world_partition(&w, "orders", 0)->leader, 3);
    CHECK_EQ(operation(&w, id)->state, OPERATION_DONE);
    CHECK_EQ(operation(&w, id)->ended, operation(&w, id)->started + 500);
    CHECK_STR(operation(&w, id)->detail, "it leads only what nobody else holds (1)");
}

static void undrain_cancels_a_drain(void) /* [CTL-77] */
{
    WORLD(w, 3);

    CHECK_EQ(create_on(&w, "orders", SET(2, 1, 3)), ERRCODE_NONE);
    CHECK_EQ(in_sync(&w, "orders", 0, SET(2)), ERRCODE_NONE);
    CHECK_EQ(intend(&w, 2, BROKER_DRAINING), ERRCODE_NONE);
    uint64_t id = w.reply.operation;
    CHECK_EQ(intend(&w, 2, BROKER_CORDONED), ERRCODE_POLICY_VIOLATION);
    CHECK_EQ(intend(&w, 2, BROKER_WANTED), ERRCODE_NONE);
    CHECK_EQ(operation(&w, id)->state, OPERATION_CANCELLED);
    CHECK_STR(operation(&w, id)->detail, "undrained");
    CHECK_EQ(cancel(&w, id), ERRCODE_NO_REASSIGNMENT_IN_PROGRESS);
    CHECK_EQ(intend(&w, 2, BROKER_DRAINING), ERRCODE_NONE);
    id = w.reply.operation;
    CHECK_EQ(cancel(&w, id), ERRCODE_NONE);
    CHECK_EQ(image_broker(w.log, 2)->intent, BROKER_WANTED);
    CHECK_EQ(operation(&w, id)->state, OPERATION_CANCELLED);
}

static void of_equal_logs_one_that_is_not_drained_is_recovered(void) /* [CTL-71] [CTL-52] */
{
    WORLD(w, 3);

    CHECK_EQ(create_on(&w, "orders", SET(1, 2, 3)), ERRCODE_NONE);
    CHECK_EQ(intend(&w, 2, BROKER_DRAINING), ERRCODE_NONE);
    for (broker_id id = 1; id <= 3; id++) { /* 1 left while the ISR was full. */
        world_seen(&w, id, 200 + id, CRASH_HOST);
    }
    for (broker_id id = 1; id <= 3; id++) {
        world_ready(&w, id, 200 + id);
    }
    world_tell(&w, 2, 0, 50);
    world_tell(&w, 3, 0, 50);
    CHECK_EQ(world_partition(&w, "orders", 0)->leader, 3);
}

/* --- Decommission ----------------------------------------------------------------------------- */

static void decommissioned_broker_becomes_empty_and_is_forgotten(void) /* [CTL-73] [CTL-74] [CTL-75] */
{
    WORLD(w, 4);

    world_create(&w, "orders", 4, 3);
    unsigned n = n_on(&w, 4, false);
    CHECK(n > 0);
    CHECK_EQ(forget(&w, 4), ERRCODE_POLICY_VIOLATION); /* It is up. */
    CHECK_EQ(decommission(&w, SET(4)), ERRCODE_NONE);
    uint64_t id = w.reply.operation;
    CHECK_EQ(w.reply.n_reassigned, n);
    CHECK_EQ(operation(&w, id)->n_partitions, n);
    CHECK_EQ(image_operation(w.log, id)->n_left, n);
    CHECK_EQ(n_on(&w, 4, true), 0);
    tick(&w);
    catch_up(&w, "orders");
    CHECK_EQ(n_on(&w, 4, false), 0);
    CHECK_EQ(operation(&w, id)->state, OPERATION_DONE);
    CHECK_STR(operation(&w, id)->detail, "all replicas are elsewhere; it may be stopped and forgotten");
    world_create(&w, "later", 8, 3);
    CHECK_EQ(n_on(&w, 4, false), 0);
    world_broker(&w, CTL_EV_BROKER_GONE, 4, 104);
    CHECK_EQ(forget(&w, 4), ERRCODE_NONE);
    CHECK(image_broker(w.log, 4) == NULL);
    CHECK_EQ(forget(&w, 4), ERRCODE_BROKER_ID_NOT_REGISTERED);
    world_seen(&w, 4, 304, CRASH_CLEAN); /* The id is free. */
    world_ready(&w, 4, 304);
    CHECK(image_broker_is_open(image_broker(w.log, 4)));
}

static void what_cannot_leave_waits_for_a_broker(void) /* [CTL-73] */
{
    WORLD(w, 3);

    world_create(&w, "orders", 2, 3);
    CHECK_EQ(decommission(&w, SET(3)), ERRCODE_NONE);
    uint64_t id = w.reply.operation;
    CHECK(w.reply.reassigned[0].is_waiting);
    CHECK_STR(operation(&w, id)->detail,
            "waiting: 2, the first because too few other brokers take new replicas");
    tick(&w);
    CHECK_EQ(w.n_appended, 0);
    CHECK_EQ(decommission(&w, SET(3)), ERRCODE_NONE);
    CHECK_EQ(w.reply.operation, id);
    tick(&w);
    world_elect(&w); /* Another controller goes on with it, and another broker comes. */
    for (broker_id b = 1; b <= 4; b++) {
        world_seen(&w, b, 100 + b, CRASH_CLEAN);
    }
    world_listed(&w);
    tick(&w);
    CHECK_EQ(image_operation(w.log, id)->n_left, 0);
    world_ready(&w, 4, 104);
    tick(&w);
    CHECK_EQ(image_operation(w.log, id)->n_left, 2);
    CHECK_STR(operation(&w, id)->detail, "");
    catch_up(&w, "orders");
    CHECK_EQ(operation(&w, id)->state, OPERATION_DONE);
    CHECK_EQ(n_on(&w, 3, false), 0);
}

static void topics_of_the_cluster_do_without(void) /* [CTL-73] [CTL-64] */
{
    __attribute__((cleanup(world_deinit))) struct world w;

    world_init_with_journal(&w, 3);
    world_start(&w, 3);
    tick(&w);
    catch_up(&w, TOPIC_DECISIONS);
    tick(&w);
    catch_up(&w, TOPIC_DECISIONS);
    CHECK_EQ(world_partition(&w, TOPIC_DECISIONS, 0)->replicas.n, 3);
    CHECK_EQ(decommission(&w, SET(3)), ERRCODE_NONE);
    CHECK(broker_set_equal(&world_partition(&w, TOPIC_DECISIONS, 0)->replicas, &SET(1, 2)));
    tick(&w);
    CHECK_EQ(n_on(&w, 3, false), 0);
    CHECK_EQ(image_operation_at(w.log, image_n_operations(w.log) - 1)->is.state, OPERATION_DONE);
    world_seen(&w, 4, 104, CRASH_CLEAN);
    world_ready(&w, 4, 104);
    tick(&w);
    catch_up(&w, TOPIC_DECISIONS);
    CHECK(broker_set_equal(&world_partition(&w, TOPIC_DECISIONS, 0)->replicas, &SET(1, 2, 4)));
}

static void a_move_that_is_under_way_is_waited_for(void) /* [CTL-73] */
{
    WORLD(w, 4);

    CHECK_EQ(create_on(&w, "orders", SET(1, 2)), ERRCODE_NONE);
    CHECK_EQ(world_reassign(&w, "orders", 0, SET(4, 2))->error, ERRCODE_NONE);
    uint64_t move = w.reply.operation;
    CHECK_EQ(operation(&w, move)->kind, OPERATION_REASSIGN);
    CHECK_EQ(decommission(&w, SET(4)), ERRCODE_NONE);
    uint64_t id = w.reply.operation;
    tick(&w);
    CHECK_EQ(image_operation(w.log, id)->n_left, 0);
    catch_up(&w, "orders");
    CHECK_EQ(operation(&w, move)->state, OPERATION_DONE);
    tick(&w);
    CHECK_EQ(image_operation(w.log, id)->n_left, 1);
    catch_up(&w, "orders");
    CHECK_EQ(operation(&w, id)->state, OPERATION_DONE);
    CHECK_EQ(n_on(&w, 4, false), 0);
}

static void a_broker_that_is_dead_is_replaced(void) /* [CTL-73] */
{
    WORLD(w, 4);

    CHECK_EQ(create_on(&w, "orders", SET(4, 1, 2)), ERRCODE_NONE);
    CHECK_EQ(create_on(&w, "lone", SET(4)), ERRCODE_NONE);
    world_broker(&w, CTL_EV_BROKER_GONE, 4, 104);
    CHECK_EQ(decommission(&w, SET(4)), ERRCODE_NONE);
    uint64_t id = w.reply.operation;
    tick(&w);
    CHECK_EQ(in_sync(&w, "orders", 0, SET(1, 2, 3)), ERRCODE_NONE);
    CHECK(broker_set_equal(&world_partition(&w, "orders", 0)->replicas, &SET(1, 2, 3)));
    CHECK_STR(operation(&w, id)->detail,
            "waiting: 1, the first because nobody leads it, so that it could be copied");
    world_delete(&w, "lone");
    CHECK_EQ(operation(&w, id)->state, OPERATION_DONE);
    CHECK_EQ(forget(&w, 4), ERRCODE_POLICY_VIOLATION); /* Its replica is in the trash. */
    world_purge(&w);
    CHECK_EQ(forget(&w, 4), ERRCODE_NONE);
}

static void what_comes_out_of_the_trash_leaves_as_well(void) /* [CTL-73] */
{
    WORLD(w, 3);

    CHECK_EQ(create_on(&w, "old", SET(3)), ERRCODE_NONE);
    world_delete(&w, "old");
    CHECK_EQ(decommission(&w, SET(3)), ERRCODE_NONE);
    CHECK_EQ(w.reply.operation, 0);
    world_restore(&w, "old");
    tick(&w);
    CHECK(partition_is_moving(world_partition(&w, "old", 0)));
    uint64_t id = world_partition(&w, "old", 0)->operation;
    CHECK_EQ(operation(&w, id)->kind, OPERATION_DECOMMISSION);
    catch_up(&w, "old");
    CHECK_EQ(operation(&w, id)->state, OPERATION_DONE);
    world_delete(&w, "old");
    world_broker(&w, CTL_EV_BROKER_GONE, 3, 103);
    CHECK_EQ(forget(&w, 3), ERRCODE_NONE);
}

static void the_trash_keeps_a_broker_known(void) /* [CTL-74] */
{
    WORLD(w, 2);

    CHECK_EQ(create_on(&w, "old", SET(2)), ERRCODE_NONE);
    world_broker(&w, CTL_EV_BROKER_GONE, 2, 102);
    CHECK_EQ(forget(&w, 2), ERRCODE_POLICY_VIOLATION);
    CHECK_STR(w.reply.detail,
            "broker 2 still has 1 replica; decommission it first, so that others have them");
    world_delete(&w, "old");
    CHECK_EQ(forget(&w, 2), ERRCODE_POLICY_VIOLATION);
    world_purge(&w);
    CHECK_EQ(forget(&w, 2), ERRCODE_NONE);
}

static void undrain_takes_a_decommission_back(void) /* [CTL-77] */
{
    WORLD(w, 4);

    world_create(&w, "orders", 4, 3);
    unsigned n = n_on(&w, 4, false);
    CHECK_EQ(decommission(&w, SET(4)), ERRCODE_NONE);
    uint64_t id = w.reply.operation;
    struct ctl_event ev = {.kind = CTL_EV_REASSIGN};
    ev.reassign.goal = CTL_GOAL_TAKE_BACK; /* It would begin anew. */
    world_step(&w, ev);
    CHECK_EQ(w.reply.reassigned[0].error, ERRCODE_POLICY_VIOLATION);
    CHECK_EQ(intend(&w, 4, BROKER_WANTED), ERRCODE_NONE);
    CHECK_EQ(n_on(&w, 4, false), n);
    CHECK_EQ(operation(&w, id)->state, OPERATION_CANCELLED);
    tick(&w);
    for (int32_t k = 0; k < 4; k++) {
        CHECK(!partition_is_moving(world_partition(&w, "orders", k)));
        CHECK_EQ(world_partition(&w, "orders", k)->operation, 0);
    }
}

static void two_brokers_leave_in_one_operation(void) /* [CTL-73] [CTL-77] */
{
    WORLD(w, 5);

    CHECK_EQ(create_on(&w, "a", SET(4)), ERRCODE_NONE);
    CHECK_EQ(create_on(&w, "b", SET(5)), ERRCODE_NONE);
    CHECK_EQ(decommission(&w, SET(4, 5)), ERRCODE_NONE);
    uint64_t id = w.reply.operation;
    CHECK_EQ(image_operation(w.log, id)->n_left, 2);
    CHECK_EQ(intend(&w, 5, BROKER_WANTED), ERRCODE_NONE);
    CHECK(broker_set_equal(&operation(&w, id)->brokers, &SET(4)));
    CHECK(!partition_is_moving(world_partition(&w, "b", 0)));
    catch_up(&w, "a");
    CHECK_EQ(operation(&w, id)->state, OPERATION_DONE);
    CHECK_EQ(world_partition(&w, "b", 0)->leader, 5);
}

/* --- Moves ------------------------------------------------------------------------------------ */

static void moves_belong_to_an_operation_until_they_end(void) /* [CTL-75] [CTL-76] */
{
    WORLD(w, 5);

    CHECK_EQ(create_on(&w, "orders", SET(1, 2, 3)), ERRCODE_NONE);
    CHECK_EQ(world_reassign(&w, "orders", 0, SET(3, 2, 1))->error, ERRCODE_NONE);
    CHECK_EQ(w.reply.operation, 0); /* Only the order: it is done. */
    CHECK_EQ(world_reassign(&w, "orders", 0, SET(4, 5, 2))->error, ERRCODE_NONE);
    uint64_t id = w.reply.operation;
    CHECK_EQ(world_partition(&w, "orders", 0)->operation, id);
    CHECK_EQ(operation(&w, id)->n_partitions, 1);
    take_over(&w, 5);
    CHECK_EQ(operation(&w, id)->state, OPERATION_RUNNING);
    catch_up(&w, "orders");
    CHECK_EQ(world_partition(&w, "orders", 0)->operation, 0);
    CHECK_EQ(operation(&w, id)->state, OPERATION_DONE);
    CHECK_EQ(world_reassign(&w, "orders", 0, SET(1, 2, 3))->error, ERRCODE_NONE);
    id = w.reply.operation;
    CHECK_EQ(world_reassign(&w, "orders", 0, (struct broker_set){0})->error, ERRCODE_NONE);
    CHECK_EQ(operation(&w, id)->state, OPERATION_CANCELLED);
    CHECK_EQ(world_reassign(&w, "orders", 0, SET(1, 2, 3))->error, ERRCODE_NONE);
    id = w.reply.operation;
    world_delete(&w, "orders");
    CHECK_EQ(operation(&w, id)->state, OPERATION_DONE);
}

static void cancelled_operation_takes_its_moves_back(void) /* [CTL-77] */
{
    WORLD(w, 5);
    struct ctl_event ev = {.kind = CTL_EV_REASSIGN};

    CHECK_EQ(create_on(&w, "orders", SET(1, 2, 3)), ERRCODE_NONE);
    CHECK_EQ(create_on(&w, "stays", SET(1)), ERRCODE_NONE);
    const struct ctl_reassign both[] = {
            {.topic = "orders", .replicas = SET(4, 5)}, {.topic = "stays", .replicas = SET(4)}};
    ev.reassign.partitions = both;
    ev.reassign.n = 2;
    world_step(&w, ev);
    uint64_t id = w.reply.operation;
    CHECK_EQ(operation(&w, id)->n_partitions, 2);
    CHECK_EQ(in_sync(&w, "orders", 0, SET(1, 4)), ERRCODE_NONE); /* 4 is needed now */
    ev = (struct ctl_event){.kind = CTL_EV_CANCEL_OPERATION};
    ev.cancel.id = id;
    ev.cancel.dry_run = true;
    world_step(&w, ev);
    CHECK_EQ(w.n_appended, 0);
    CHECK_EQ(w.reply.n_reassigned, 2);
    CHECK_EQ(cancel(&w, id), ERRCODE_NONE);
    CHECK_EQ(operation(&w, id)->state, OPERATION_CANCELLED);
    CHECK_STR(operation(&w, id)->detail,
            "cancelled; taken back: 1, not taken back: 1, because too few of their former replicas "
            "are in sync");
    CHECK(!partition_is_moving(world_partition(&w, "stays", 0)));
    catch_up(&w, "orders");
    CHECK_EQ(image_operation(w.log, id)->n_left, 0);
    CHECK_EQ(cancel(&w, 77777), ERRCODE_INVALID_REQUEST);
}

static void so_many_run_at_once_and_no_more(void) /* [CTL-75] */
{
    WORLD(w, 3);

    world_create(&w, "many", WORLD_OPERATIONS + 1, 1);
    for (int32_t k = 0; k < WORLD_OPERATIONS; k++) {
        broker_id at = world_partition(&w, "many", k)->leader;
        CHECK_EQ(world_reassign(&w, "many", k, SET(1 + at % 3))->error, ERRCODE_NONE);
    }
    struct ctl_event ev = {.kind = CTL_EV_REASSIGN};
    ev.reassign.goal = CTL_GOAL_BALANCE;
    world_step(&w, ev);
    CHECK_EQ(w.reply.error, ERRCODE_POLICY_VIOLATION);
    CHECK_STR(w.reply.detail, "20 operations run; wait until one has ended, or cancel one");
    CHECK_EQ(intend(&w, 1, BROKER_DRAINING), ERRCODE_POLICY_VIOLATION);
    CHECK_EQ(intend(&w, 1, BROKER_CORDONED), ERRCODE_NONE);
    CHECK_EQ(intend(&w, 1, BROKER_WANTED), ERRCODE_NONE);
    CHECK_EQ(world_reassign(&w, "many", 0, (struct broker_set){0})->error, ERRCODE_NONE);
    CHECK_EQ(intend(&w, 1, BROKER_DRAINING), ERRCODE_NONE);
}

static const struct check_case cases[] = {
        CASE(cordoned_broker_gets_no_new_replicas),
        CASE(cordoned_broker_leads_on),
        CASE(drained_broker_leads_nothing_and_stays_in_sync),
        CASE(leaderships_do_not_go_back_to_a_drained_broker),
        CASE(who_alone_can_lead_leads_although_it_is_drained),
        CASE(drain_goes_on_until_others_are_in_sync),
        CASE(undrain_cancels_a_drain),
        CASE(of_equal_logs_one_that_is_not_drained_is_recovered),
        CASE(decommissioned_broker_becomes_empty_and_is_forgotten),
        CASE(what_cannot_leave_waits_for_a_broker),
        CASE(topics_of_the_cluster_do_without),
        CASE(a_move_that_is_under_way_is_waited_for),
        CASE(a_broker_that_is_dead_is_replaced),
        CASE(what_comes_out_of_the_trash_leaves_as_well),
        CASE(the_trash_keeps_a_broker_known),
        CASE(undrain_takes_a_decommission_back),
        CASE(two_brokers_leave_in_one_operation),
        CASE(moves_belong_to_an_operation_until_they_end),
        CASE(cancelled_operation_takes_its_moves_back),
        CASE(so_many_run_at_once_and_no_more),
};
CHECK_MAIN("operations", cases)
