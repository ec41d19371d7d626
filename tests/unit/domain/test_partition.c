/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/array.h"
#include "common/domain/partition.h"
#include "tests/lib/check.h"

static const struct uuid topic = {{1}};

static struct partition_state healthy(void)
{
    return (struct partition_state){
            .topic_id = topic,
            .replicas = {3, {1, 2, 3}},
            .isr = {3, {1, 2, 3}},
            .leader = 1,
            .min_isr = 2,
            .unclean_epoch = EPOCH_NONE,
    };
}

static void set_keeps_the_order_in_which_ids_were_added(void)
{
    struct broker_set s = {0};

    CHECK(broker_set_add(&s, 5) && broker_set_add(&s, 2) && broker_set_add(&s, 9));
    CHECK(broker_set_add(&s, 2)); /* Being there already is fine. */
    CHECK_EQ(s.n, 3);
    broker_set_remove(&s, 2);
    broker_set_remove(&s, 7);
    CHECK_EQ(s.n, 2);
    CHECK_EQ(s.at[0], 5);
    CHECK_EQ(s.at[1], 9);
    CHECK(!broker_set_has(&s, 2));
}

static void removed_id_leaves_no_trace_in_the_bytes(void)
{
    struct broker_set a = {2, {4, 6}};
    struct broker_set b = {1, {4}};

    broker_set_remove(&a, 6);
    CHECK_MEM(&a, &b, sizeof(a));
}

static void full_set_takes_no_more(void)
{
    struct broker_set s = {0};

    for (broker_id id = 0; id < REPLICAS_MAX; id++) {
        CHECK(broker_set_add(&s, id));
    }
    CHECK(!broker_set_add(&s, 100));
    CHECK(broker_set_add(&s, 3));
    CHECK_EQ(s.n, REPLICAS_MAX);
}

static void equality_is_of_sets_not_of_order(void)
{
    CHECK(broker_set_equal(&(struct broker_set){2, {1, 2}}, &(struct broker_set){2, {2, 1}}));
    CHECK(!broker_set_equal(&(struct broker_set){2, {1, 2}}, &(struct broker_set){2, {1, 3}}));
    CHECK(!broker_set_equal(&(struct broker_set){2, {1, 2}}, &(struct broker_set){1, {1}}));
}

static void healthy_record_is_valid(void)
{
    struct partition_state p = healthy();

    CHECK(partition_state_is_valid(&p));
    p.isr = (struct broker_set){1, {1}};
    p.elr = (struct broker_set){1, {3}};
    p.lk = (struct broker_set){1, {2}};
    CHECK(partition_state_is_valid(&p));
    p.isr.n = 0;
    p.leader = BROKER_NONE;
    CHECK(partition_state_is_valid(&p));
}

/* Each row is the healthy record with one thing wrong: [REP-1], [REP-2], [REP-4], [REP-5]. */
#define BROKEN(...)                                                                                \
    do {                                                                                           \
        struct partition_state p = healthy();                                                      \
        __VA_ARGS__;                                                                               \
        CHECK(!partition_state_is_valid(&p));                                                      \
    } while (0)

static void record_with_one_thing_wrong_is_invalid(void)
{
    BROKEN(p.topic_id = (struct uuid){{0}});
    BROKEN(p.partition = -1);
    BROKEN(p.replicas.n = 0);
    BROKEN(p.replicas.n = REPLICAS_MAX + 1);
    BROKEN(p.replicas.at[1] = 1);
    BROKEN(p.replicas.at[1] = -4);
    BROKEN(p.isr.at[2] = 7);
    BROKEN(p.leader = 7);
    BROKEN(p.leader = -2);
    BROKEN((p.isr.n = 2, p.leader = 3)); /* [REP-2] */
    BROKEN(p.leader_epoch = -1);
    BROKEN(p.partition_epoch = -1);
    BROKEN(p.unclean_epoch = 1);
    BROKEN(p.unclean_epoch = -2);
    BROKEN(p.min_isr = 0);
    BROKEN(p.min_isr = 4);
    BROKEN((p.isr.n = 2, p.elr = (struct broker_set){1, {3}})); /* [REP-4] */
    BROKEN((p.isr.n = 2, p.lk = (struct broker_set){1, {3}}));
    BROKEN((p.isr.n = 1, p.elr = (struct broker_set){1, {1}}));
    BROKEN((p.isr.n = 1, p.elr = (struct broker_set){1, {9}}));
    BROKEN(p.adding = (struct broker_set){1, {9}});
    BROKEN(p.recovering = true);
    BROKEN((p.isr.n = 1, p.recovering = p.is_durable = true)); /* [REP-57] */
    BROKEN((p.replicas.n = 1, p.min_isr = 1, p.isr.n = 0, p.leader = BROKER_NONE)); /* [REP-5] */
}

static const struct check_case cases[] = {
        CASE(set_keeps_the_order_in_which_ids_were_added),
        CASE(removed_id_leaves_no_trace_in_the_bytes),
        CASE(full_set_takes_no_more),
        CASE(equality_is_of_sets_not_of_order),
        CASE(healthy_record_is_valid),
        CASE(record_with_one_thing_wrong_is_invalid),
};
CHECK_MAIN("partition", cases)
