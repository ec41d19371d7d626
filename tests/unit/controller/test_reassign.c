/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/array.h"
#include "common/domain/name_rules.h"
#include "tests/lib/check.h"
#include "tests/unit/controller/ctl_world.h"

/* Partitions that move to other brokers. */

#define WORLD(name)                                                                                \
    __attribute__((cleanup(world_deinit))) struct world name;                                      \
    world_init(&name, 5, 42);                                                                      \
    world_start(&name, 5)

/* The leader finds these in sync; brokers have the epochs of world_start(). */
static int in_sync(struct world *w, const char *topic, struct broker_set isr)
{
    broker_id leader = world_partition(w, topic, 0)->leader;
    struct world_proposal p = {.from = leader, .from_epoch = 100 + leader, .n = isr.n};

    for (int i = 0; i < isr.n; i++) {
        p.isr[i] = (struct ctl_isr_member){isr.at[i], 100 + isr.at[i]};
    }
    return world_propose(w, topic, 0, &p);
}

static void create(struct world *w, const char *topic, struct broker_set replicas)
{
    struct ctl_event ev = {.kind = CTL_EV_CREATE_TOPIC, .actor = "http 127.0.0.1"};

    ev.create.name = topic;
    ev.create.n_partitions = 1;
    ev.create.replication_factor = -1;
    ev.create.assignments = &replicas;
    ev.create.n_assignments = 1;
    world_step(w, ev);
    CHECK_EQ(w->reply.error, ERRCODE_NONE);
    (void)world_story(w);
}

static bool is_order(const struct broker_set *s, struct broker_set want)
{
    for (int i = 0; i < s->n && i < want.n; i++) {
        if (s->at[i] != want.at[i]) {
            return false;
        }
    }
    return s->n == want.n;
}

static void limit_is_set_with_the_moves(void) /* [THR-7] */
{
    const struct ctl_reassign moves[] = {
            {.topic = "orders", .partition = 0, .replicas = {3, {4, 2, 3}}}};
    struct ctl_event ev = {.kind = CTL_EV_REASSIGN};
    WORLD(w);

    create(&w, "orders", SET(1, 2, 3));
    ev.reassign.partitions = moves;
    ev.reassign.n = 1;
    ev.reassign.throttle = "1000000";
    ev.reassign.dry_run = true;
    world_step(&w, ev);
    CHECK_EQ(w.n_appended, 0);
    ev.reassign.dry_run = false;
    world_step(&w, ev);
    CHECK_EQ(w.n_appended, 3); /* the operation, the partition, the limit */
    CHECK_STR(image_cluster_config(ctl_next_image(w.ctl), "weir.reassignment.bytes.per.second"),
            "1000000");
    world_step(&w, ev); /* as it is already */
    CHECK_EQ(w.n_appended, 0);
}

static void new_replicas_come_beside_the_old_story(void) /* [CTL-55] [CTL-56] */
{
    WORLD(w);

    create(&w, "orders", SET(1, 2, 3));
    const struct partition_state *p = world_partition(&w, "orders", 0);
    epoch32 leader_epoch = p->leader_epoch;

    CHECK(!world_reassign(&w, "orders", 0, SET(4, 5, 2))->is_done);
    p = world_partition(&w, "orders", 0);
    CHECK(is_order(&p->replicas, SET(4, 5, 2, 1, 3)));
    CHECK(is_order(&p->adding, SET(4, 5)));
    CHECK(is_order(&p->removing, SET(1, 3)));
    CHECK_EQ(p->leader, 1);
    CHECK_EQ(p->leader_epoch, leader_epoch);
    CHECK_EQ(p->min_isr, 2);
    CHECK_EQ(in_sync(&w, "orders", SET(1, 2, 3, 4)), ERRCODE_NONE);
    CHECK(partition_is_moving(world_partition(&w, "orders", 0)));
    CHECK_EQ(in_sync(&w, "orders", SET(1, 2, 3, 4, 5)), ERRCODE_NONE);
    p = world_partition(&w, "orders", 0);
    CHECK(is_order(&p->replicas, SET(4, 5, 2)));
    CHECK_EQ(p->isr.n, 3);
    CHECK_EQ(p->adding.n + p->removing.n + p->elr.n + p->lk.n, 0);
    CHECK_EQ(p->leader, 4);
    CHECK_EQ(p->leader_epoch, leader_epoch + 1);
    CHECK_STR(world_story(&w),
            "ctl  operation 20 begins: reassign\n"
            "ctl  orders-0 isr {1,2,3} -> {1,2,3}, leader 1, leader epoch 0, replicas {1,2,3} -> "
            "{4,5,2}\n"
            "ctl  orders-0 isr {1,2,3} -> {1,2,3,4}, leader 1, leader epoch 0, replicas "
            "{4,5,2,1,3} -> {4,5,2}\n"
            "ctl  orders-0 isr {1,2,3,4} -> {2,4,5}, leader 4, leader epoch 1, replicas "
            "{4,5,2,1,3} -> {4,5,2}, moved\n"
            "ctl  operation 20 (reassign) done: nothing of it is on its way any more\n");
}

static void leader_that_stays_begins_a_new_epoch_when_others_leave(void) /* [CTL-56] */
{
    WORLD(w);

    create(&w, "orders", SET(1, 2, 3));
    CHECK(world_reassign(&w, "orders", 0, SET(1, 2))->is_done);
    const struct partition_state *p = world_partition(&w, "orders", 0);
    CHECK_EQ(p->leader, 1);
    CHECK_EQ(p->leader_epoch, 1);
    CHECK(is_order(&p->replicas, SET(1, 2)));
    CHECK_EQ(p->min_isr, 1);
    CHECK(world_reassign(&w, "orders", 0, SET(2, 1))->is_done); /* only the order */
    p = world_partition(&w, "orders", 0);
    CHECK(is_order(&p->replicas, SET(2, 1)));
    CHECK_EQ(p->leader_epoch, 1);
    CHECK(world_reassign(&w, "orders", 0, SET(2, 1))->is_unchanged);
    CHECK_EQ(w.n_appended, 0);
}

static void replication_factor_follows_the_first_partition(void) /* [CTL-58] */
{
    WORLD(w);

    create(&w, "orders", SET(1));
    CHECK(!world_reassign(&w, "orders", 0, SET(1, 2, 3))->is_done);
    CHECK_EQ(image_topic_by_name(w.log, "orders")->replication_factor, 3);
    CHECK_EQ(world_partition(&w, "orders", 0)->min_isr, 1); /* while it lasts */
    CHECK_EQ(in_sync(&w, "orders", SET(1, 2)), ERRCODE_NONE);
    CHECK_EQ(world_partition(&w, "orders", 0)->min_isr, 1);
    CHECK_EQ(in_sync(&w, "orders", SET(1, 2, 3)), ERRCODE_NONE);
    const struct partition_state *p = world_partition(&w, "orders", 0);
    CHECK(!partition_is_moving(p));
    CHECK_EQ(p->min_isr, 2);
    CHECK_EQ(p->leader_epoch, 0); /* nobody left */
}

static void it_waits_while_too_few_of_the_target_are_in_sync(void) /* [CTL-56] */
{
    WORLD(w);

    create(&w, "orders", SET(1, 2, 3));
    world_broker(&w, CTL_EV_BROKER_SILENT, 2, 102);
    CHECK(!world_reassign(&w, "orders", 0, SET(2, 4))->is_done);
    CHECK_EQ(in_sync(&w, "orders", SET(1, 3, 4)), ERRCODE_NONE);
    CHECK(!partition_is_moving(world_partition(&w, "orders", 0))); /* min_isr of two is 1 */
    create(&w, "strict", SET(1, 3, 5));
    CHECK(!world_reassign(&w, "strict", 0, SET(2, 4, 5))->is_done);
    CHECK_EQ(in_sync(&w, "strict", SET(1, 4)), ERRCODE_NONE);
    CHECK(partition_is_moving(world_partition(&w, "strict", 0)));
    world_ready(&w, 2, 102);
    CHECK_EQ(in_sync(&w, "strict", SET(1, 4, 2)), ERRCODE_NONE);
    CHECK(!partition_is_moving(world_partition(&w, "strict", 0)));
}

static void taking_back_leaves_the_old_replicas(void) /* [CTL-57] */
{
    WORLD(w);

    create(&w, "orders", SET(1, 2, 3));
    CHECK(!world_reassign(&w, "orders", 0, SET(4, 5, 2))->is_done);
    CHECK_EQ(world_reassign(&w, "orders", 0, SET(4, 5, 1))->error,
            ERRCODE_REASSIGNMENT_IN_PROGRESS);
    CHECK(world_reassign(&w, "orders", 0, SET(4, 5, 2))->is_unchanged);
    CHECK_EQ(in_sync(&w, "orders", SET(1, 2, 3, 4)), ERRCODE_NONE);
    CHECK_EQ(world_reassign(&w, "orders", 0, (struct broker_set){0})->error, ERRCODE_NONE);
    const struct partition_state *p = world_partition(&w, "orders", 0);
    CHECK(broker_set_equal(&p->replicas, &SET(1, 2, 3)));
    CHECK(broker_set_equal(&p->isr, &SET(1, 2, 3)));
    CHECK_EQ(p->leader, 1);
    CHECK_EQ(p->leader_epoch, 1); /* 4 is out */
    CHECK_EQ(world_reassign(&w, "orders", 0, (struct broker_set){0})->error,
            ERRCODE_NO_REASSIGNMENT_IN_PROGRESS);
}

static void taking_back_never_takes_what_only_the_new_ones_have(void) /* [CTL-57] */
{
    WORLD(w);

    create(&w, "orders", SET(1, 2, 3));
    CHECK(!world_reassign(&w, "orders", 0, SET(4, 5))->is_done);
    CHECK_EQ(in_sync(&w, "orders", SET(1, 4)), ERRCODE_NONE);
    CHECK_EQ(world_reassign(&w, "orders", 0, (struct broker_set){0})->error,
            ERRCODE_INVALID_REPLICA_ASSIGNMENT);
    CHECK_EQ(w.n_appended, 0);
    CHECK_EQ(in_sync(&w, "orders", SET(1, 2, 4)), ERRCODE_NONE);
    CHECK_EQ(world_reassign(&w, "orders", 0, (struct broker_set){0})->error, ERRCODE_NONE);
    CHECK(broker_set_equal(&world_partition(&w, "orders", 0)->isr, &SET(1, 2)));
}

static void what_cannot_be_is_refused(void) /* [CTL-59] */
{
    WORLD(w);

    create(&w, "orders", SET(1, 2, 3));
    CHECK_EQ(world_reassign(&w, "orders", 0, SET(1, 1))->error, ERRCODE_INVALID_REPLICA_ASSIGNMENT);
    CHECK_EQ(world_reassign(&w, "orders", 0, SET(9))->error, ERRCODE_INVALID_REPLICA_ASSIGNMENT);
    CHECK_EQ(world_reassign(&w, "orders", 0, SET(1, 2, 3, 4, 5, 6))->error,
            ERRCODE_INVALID_REPLICA_ASSIGNMENT);
    CHECK_EQ(world_reassign(&w, "orders", 3, SET(1))->error, ERRCODE_UNKNOWN_TOPIC_OR_PARTITION);
    CHECK_EQ(world_reassign(&w, "nope", 0, SET(1))->error, ERRCODE_UNKNOWN_TOPIC_OR_PARTITION);
    CHECK_EQ(w.n_appended, 0);
    world_broker(&w, CTL_EV_BROKER_SILENT, 1, 101);
    create(&w, "lone", SET(2));
    world_broker(&w, CTL_EV_BROKER_SILENT, 2, 102);
    CHECK_EQ(world_reassign(&w, "lone", 0, SET(2, 3))->error, ERRCODE_LEADER_NOT_AVAILABLE);
}

static void only_replica_moves(void) /* [CTL-56] */
{
    WORLD(w);

    create(&w, "orders", SET(1));
    CHECK(!world_reassign(&w, "orders", 0, SET(2))->is_done);
    CHECK_EQ(in_sync(&w, "orders", SET(1, 2)), ERRCODE_NONE);
    const struct partition_state *p = world_partition(&w, "orders", 0);
    CHECK(is_order(&p->replicas, SET(2)));
    CHECK_EQ(p->leader, 2);
    CHECK_EQ(p->unclean_epoch, EPOCH_NONE);
}

static void only_replica_that_lost_its_host_while_it_moved_comes_back_marked(void) /* [REP-5] */
{
    WORLD(w);

    create(&w, "orders", SET(1));
    CHECK(!world_reassign(&w, "orders", 0, SET(2))->is_done);
    world_seen(&w, 1, 201, CRASH_HOST);
    CHECK_EQ(world_partition(&w, "orders", 0)->isr.n, 0);
    CHECK_EQ(world_reassign(&w, "orders", 0, (struct broker_set){0})->error, ERRCODE_NONE);
    CHECK(world_partition(&w, "orders", 0)->recovering);
    world_ready(&w, 1, 201);
    const struct partition_state *p = world_partition(&w, "orders", 0);
    CHECK_EQ(p->leader, 1);
    CHECK_EQ(p->unclean_epoch, p->leader_epoch);
}

static void next_controller_finishes_it(void) /* [CTL-2] */
{
    WORLD(w);

    create(&w, "orders", SET(1, 2, 3));
    CHECK(!world_reassign(&w, "orders", 0, SET(4, 5, 2))->is_done);
    CHECK_EQ(in_sync(&w, "orders", SET(1, 2, 3, 4)), ERRCODE_NONE);
    world_elect(&w);
    for (broker_id id = 1; id <= 5; id++) {
        world_seen(&w, id, 100 + id, CRASH_CLEAN);
    }
    world_listed(&w);
    for (broker_id id = 1; id <= 5; id++) {
        world_ready(&w, id, 100 + id);
    }
    CHECK_EQ(in_sync(&w, "orders", SET(1, 2, 3, 4, 5)), ERRCODE_NONE);
    CHECK(is_order(&world_partition(&w, "orders", 0)->replicas, SET(4, 5, 2)));
}

/* --- Goals ------------------------------------------------------------------------------------ */

static int pursue(struct world *w, enum ctl_goal goal, struct broker_set brokers, int32_t factor)
{
    struct ctl_event ev = {.kind = CTL_EV_REASSIGN, .actor = "http 127.0.0.1"};

    ev.reassign.goal = goal;
    ev.reassign.brokers = brokers;
    ev.reassign.topic = "orders";
    ev.reassign.replication_factor = factor;
    world_step(w, ev);
    CHECK(w->has_reply);
    return w->reply.error;
}

/* Everybody has caught up with everything. */
static void catch_up(struct world *w, const char *topic)
{
    for (int32_t k = 0; k < image_topic_by_name(w->log, topic)->n_partitions; k++) {
        const struct partition_state *p = world_partition(w, topic, k);
        struct world_proposal asked = {.from = p->leader, .from_epoch = 100 + p->leader};
        for (int i = 0; i < p->replicas.n; i++) {
            asked.isr[asked.n++] =
                    (struct ctl_isr_member){p->replicas.at[i], 100 + p->replicas.at[i]};
        }
        CHECK_EQ(world_propose(w, topic, k, &asked), ERRCODE_NONE);
        CHECK(!partition_is_moving(world_partition(w, topic, k)));
    }
}

static unsigned n_on(const struct world *w, broker_id id)
{
    unsigned n = 0;

    for (size_t i = 0; i < image_n_topics(w->log); i++) {
        const struct image_topic *t = image_topic_at(w->log, i);
        for (int32_t k = 0; k < t->n_partitions; k++) {
            n += broker_set_has(&t->partitions[k].replicas, id);
        }
    }
    return n;
}

static void new_brokers_get_their_share(void) /* [CTL-60] [CTL-61] */
{
    __attribute__((cleanup(world_deinit))) struct world w;

    world_init(&w, 5, 42);
    world_start(&w, 3);
    world_create(&w, "orders", 10, 3);
    for (broker_id id = 4; id <= 5; id++) {
        world_seen(&w, id, 100 + id, CRASH_CLEAN);
        world_ready(&w, id, 100 + id);
    }
    CHECK_EQ(pursue(&w, CTL_GOAL_BALANCE, (struct broker_set){0}, 0), ERRCODE_NONE);
    CHECK(w.reply.n_reassigned > 0);
    CHECK_EQ(pursue(&w, CTL_GOAL_BALANCE, (struct broker_set){0}, 0), ERRCODE_NONE);
    CHECK_EQ(w.n_appended, 0); /* what is on its way counts as if it were there */
    catch_up(&w, "orders");
    for (broker_id id = 1; id <= 5; id++) {
        CHECK_EQ(n_on(&w, id), 6);
    }
}

static void broker_becomes_empty(void) /* [CTL-62] */
{
    WORLD(w);

    world_create(&w, "orders", 10, 3);
    CHECK_EQ(pursue(&w, CTL_GOAL_EMPTY, SET(2), 0), ERRCODE_NONE);
    catch_up(&w, "orders");
    CHECK_EQ(n_on(&w, 2), 0);
    CHECK_EQ(pursue(&w, CTL_GOAL_EMPTY, SET(9), 0), ERRCODE_BROKER_ID_NOT_REGISTERED);
    CHECK_EQ(pursue(&w, CTL_GOAL_EMPTY, (struct broker_set){0}, 0), ERRCODE_INVALID_REQUEST);
    CHECK_EQ(pursue(&w, CTL_GOAL_EMPTY, SET(1, 2, 3), 0), ERRCODE_NONE);
    CHECK(w.reply.n_reassigned > 0);
    CHECK(w.reply.reassigned[0].is_waiting); /* two are left */
}

static void topic_gets_more_and_fewer_replicas(void) /* [CTL-63] */
{
    WORLD(w);

    world_create(&w, "orders", 4, 1);
    CHECK_EQ(pursue(&w, CTL_GOAL_FACTOR, (struct broker_set){0}, 3), ERRCODE_NONE);
    CHECK_EQ(w.reply.n_reassigned, 4);
    catch_up(&w, "orders");
    CHECK_EQ(world_partition(&w, "orders", 3)->replicas.n, 3);
    CHECK_EQ(world_partition(&w, "orders", 3)->min_isr, 2);
    CHECK_EQ(image_topic_by_name(w.log, "orders")->replication_factor, 3);
    CHECK_EQ(pursue(&w, CTL_GOAL_FACTOR, (struct broker_set){0}, 2), ERRCODE_NONE);
    CHECK(w.reply.reassigned[0].is_done);
    CHECK_EQ(world_partition(&w, "orders", 0)->replicas.n, 2);
    CHECK_EQ(pursue(&w, CTL_GOAL_FACTOR, (struct broker_set){0}, 6),
            ERRCODE_INVALID_REPLICATION_FACTOR);
    world_broker(&w, CTL_EV_BROKER_SILENT, 5, 105);
    CHECK_EQ(pursue(&w, CTL_GOAL_FACTOR, (struct broker_set){0}, 5),
            ERRCODE_INVALID_REPLICATION_FACTOR);
}

static void internal_topics_grow_with_the_cluster(void) /* [CTL-64] */
{
    __attribute__((cleanup(world_deinit))) struct world w;

    world_init_with_journal(&w, 5);
    world_elect(&w);
    world_listed(&w);
    for (broker_id id = 1; id <= 5; id++) {
        world_seen(&w, id, 100 + id, CRASH_CLEAN);
        world_ready(&w, id, 100 + id);
    }
    CHECK_EQ(world_partition(&w, TOPIC_DECISIONS, 0)->replicas.n, 1);
    CHECK(wtime_due(ctl_deadline(w.ctl), w.now));
    world_step(&w, (struct ctl_event){.kind = CTL_EV_TICK});
    catch_up(&w, TOPIC_DECISIONS);
    CHECK_EQ(world_partition(&w, TOPIC_DECISIONS, 0)->replicas.n, 3);
    CHECK_EQ(world_partition(&w, TOPIC_DECISIONS, 0)->min_isr, 2);
    world_step(&w, (struct ctl_event){.kind = CTL_EV_TICK});
    CHECK_EQ(w.n_appended, 0);
}

static const struct check_case cases[] = {
        CASE(new_brokers_get_their_share),
        CASE(broker_becomes_empty),
        CASE(topic_gets_more_and_fewer_replicas),
        CASE(internal_topics_grow_with_the_cluster),
        CASE(limit_is_set_with_the_moves),
        CASE(new_replicas_come_beside_the_old_story),
        CASE(leader_that_stays_begins_a_new_epoch_when_others_leave),
        CASE(replication_factor_follows_the_first_partition),
        CASE(it_waits_while_too_few_of_the_target_are_in_sync),
        CASE(taking_back_leaves_the_old_replicas),
        CASE(taking_back_never_takes_what_only_the_new_ones_have),
        CASE(what_cannot_be_is_refused),
        CASE(only_replica_moves),
        CASE(only_replica_that_lost_its_host_while_it_moved_comes_back_marked),
        CASE(next_controller_finishes_it),
};
CHECK_MAIN("reassign", cases)
