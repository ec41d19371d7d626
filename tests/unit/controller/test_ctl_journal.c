/* SPDX-License-Identifier: Apache-2.0 */
/* The topic of the decision journal, as the core makes it. */
#include "common/domain/name_rules.h"
#include "tests/lib/check.h"
#include "tests/unit/controller/ctl_world.h"

#define WORLD(name, rf_max)                                                                        \
    __attribute__((cleanup(world_deinit))) struct world name;                                      \
    world_init_with_journal(&name, (rf_max))

static const struct image_topic *journal(const struct world *w)
{
    return image_topic_by_name(w->log, TOPIC_DECISIONS);
}

static void it_is_made_as_soon_as_a_broker_is_active(void) /* [DEC-1] */
{
    WORLD(w, 1);

    world_elect(&w);
    world_listed(&w);
    world_seen(&w, 4, 7, CRASH_CLEAN);
    CHECK(journal(&w) == NULL);
    world_ready(&w, 4, 7);
    CHECK(journal(&w) != NULL);
    CHECK(journal(&w)->internal);
    CHECK_EQ(journal(&w)->n_partitions, 1);
    CHECK_EQ(journal(&w)->replication_factor, 1);
    CHECK_EQ(journal(&w)->partitions[0].leader, 4);
    const struct ctl_fx_item *fx = &w.fx.items[0];
    CHECK_EQ(fx->append.records[fx->append.n - 1].why.cause, CAUSE_INTERNAL_TOPIC);
    CHECK_EQ(fx->append.records[0].why.cause, CAUSE_BROKER_READY);
}

static void it_is_made_once_also_by_the_next_controller(void) /* [DEC-1] */
{
    WORLD(w, 1);

    world_start(&w, 2);
    struct uuid id = journal(&w)->id;
    world_ready(&w, 1, 101);
    CHECK_EQ(w.n_appended, 0);
    world_elect(&w);
    world_listed(&w);
    CHECK(uuid_equal(&journal(&w)->id, &id));
    CHECK_EQ(image_n_topics(w.log), 1);
}

static void a_controller_after_an_older_version_makes_it_at_takeover(void) /* [DEC-1] */
{
    WORLD(w, 1);

    world_elect(&w);
    world_seen(&w, 1, 101, CRASH_CLEAN);
    world_ready(&w, 1, 101);
    CHECK(journal(&w) == NULL); /* The list of brokers is not complete. */
    world_listed(&w);
    CHECK(journal(&w) != NULL);
}

static void it_has_up_to_three_replicas_where_so_many_are_served(void) /* [DEC-1] */
{
    WORLD(w, 5);

    world_elect(&w);
    for (broker_id id = 1; id <= 4; id++) {
        world_seen(&w, id, 100 + id, CRASH_CLEAN);
        world_ready(&w, id, 100 + id);
    }
    world_listed(&w);
    CHECK_EQ(journal(&w)->replication_factor, 3);
    CHECK_EQ(journal(&w)->partitions[0].replicas.n, 3);
    CHECK_EQ(journal(&w)->partitions[0].min_isr, 2);
}

static void users_cannot_make_or_delete_it(void) /* [DEC-2], [CTL-12] */
{
    WORLD(w, 1);

    world_start(&w, 1);
    world_create(&w, "__mine", 1, 1);
    CHECK_EQ(w.reply.error, ERRCODE_INVALID_TOPIC_EXCEPTION);
    CHECK_STR(w.reply.detail,
            "names that begin with '__' are kept for the cluster's own topics; choose another");
    world_create(&w, "_mine", 1, 1);
    CHECK_EQ(w.reply.error, ERRCODE_NONE);
    world_delete(&w, TOPIC_DECISIONS);
    CHECK_EQ(w.reply.error, ERRCODE_POLICY_VIOLATION);
}

static void topics_of_users_are_spread_as_if_it_were_not_there(void) /* [DEC-3] */
{
    WORLD(w, 1);

    world_start(&w, 3);
    world_create(&w, "orders", 3, 1);
    CHECK_EQ(world_partition(&w, "orders", 0)->leader, 1);
    CHECK_EQ(world_partition(&w, "orders", 1)->leader, 2);
    CHECK_EQ(world_partition(&w, "orders", 2)->leader, 3);
}

static void without_its_broker_everything_else_goes_on(void) /* [DEC-4] */
{
    WORLD(w, 1);

    world_start(&w, 2);
    broker_id holder = journal(&w)->partitions[0].leader;
    world_broker(&w, CTL_EV_BROKER_GONE, holder, 100 + holder);
    CHECK_EQ(journal(&w)->partitions[0].leader, BROKER_NONE);
    world_create(&w, "orders", 1, 1);
    CHECK_EQ(w.reply.error, ERRCODE_NONE);
}

static const struct check_case cases[] = {
        CASE(it_is_made_as_soon_as_a_broker_is_active),
        CASE(it_is_made_once_also_by_the_next_controller),
        CASE(a_controller_after_an_older_version_makes_it_at_takeover),
        CASE(it_has_up_to_three_replicas_where_so_many_are_served),
        CASE(users_cannot_make_or_delete_it),
        CASE(topics_of_users_are_spread_as_if_it_were_not_there),
        CASE(without_its_broker_everything_else_goes_on),
};
CHECK_MAIN("ctl_journal", cases)
