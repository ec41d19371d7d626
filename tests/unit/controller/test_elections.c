/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/array.h"
#include "tests/lib/check.h"
#include "tests/unit/controller/ctl_world.h"

/* Elections on demand, and leaderships that go back by themselves. */

#define WORLD(name)                                                                                \
    __attribute__((cleanup(world_deinit))) struct world name;                                      \
    world_init(&name, 3, 42);                                                                      \
    world_start(&name, 3)

static void elect(struct world *w, const struct ctl_elect_partition *p, size_t n, bool is_unclean)
{
    struct ctl_event ev = {.kind = CTL_EV_ELECT, .actor = "http 127.0.0.1", .reason = "a test"};

    ev.elect.partitions = p;
    ev.elect.n = n;
    ev.elect.is_unclean = is_unclean;
    world_step(w, ev);
    CHECK(w->has_reply);
}

static void elect_one(struct world *w, const char *topic, broker_id winner, bool is_unclean)
{
    struct ctl_elect_partition p = {.topic = topic, .partition = 0, .leader = winner};

    elect(w, &p, 1, is_unclean);
    CHECK_EQ(w->reply.error, ERRCODE_NONE);
    CHECK_EQ(w->reply.n_elected, 1);
}

static void tick(struct world *w, wtime at)
{
    w->now = at;
    world_step(w, (struct ctl_event){.kind = CTL_EV_TICK});
}

/* Everybody is in sync, and 1 has lost its leaderships to others by being suspected. */
static void suspect(struct world *w, const char *topic)
{
    world_broker(w, CTL_EV_BROKER_SILENT, 1, 101);
    world_ready(w, 1, 101);
    broker_id leader = world_partition(w, topic, 0)->leader;
    CHECK(leader != 1);
    CHECK_EQ(world_propose(w, topic, 0,
                     WORLD_PROPOSAL(leader, 100 + leader, .isr = {{1, 101}, {2, 102}, {3, 103}},
                             .n = 3)),
            ERRCODE_NONE);
}

static void preferred_replica_leads_again_on_demand_story(void) /* [CTL-48] */
{
    WORLD(w);

    world_create(&w, "orders", 1, 3);
    suspect(&w, "orders");
    (void)world_story(&w);
    elect_one(&w, "orders", BROKER_NONE, false);
    CHECK_EQ(w.reply.elected[0].error, ERRCODE_NONE);
    CHECK_EQ(w.reply.elected[0].was, 2);
    CHECK_EQ(w.reply.elected[0].leader, 1);
    CHECK_EQ(w.reply.after_seq, w.last_seq);
    const struct meta_record *r = &w.fx.items[0].append.records[0];
    CHECK_EQ(r->why.cause, CAUSE_ADMIN);
    CHECK_STR(r->why.inputs, "preferred=1 isr=[1,2,3] live=[1,2,3]");
    CHECK_STR(world_story(&w), "ctl  orders-0 isr {1,2,3} -> {1,2,3}, leader 1, leader epoch 2\n");
    elect_one(&w, "orders", BROKER_NONE, false);
    CHECK_EQ(w.reply.elected[0].error, ERRCODE_NONE); /* it leads already */
    CHECK_EQ(w.n_appended, 0);
}

static void preferred_election_says_why_it_cannot_be(void) /* [CTL-48] */
{
    WORLD(w);

    world_create(&w, "orders", 1, 3);
    elect_one(&w, "nothing", BROKER_NONE, false);
    CHECK_EQ(w.reply.elected[0].error, ERRCODE_UNKNOWN_TOPIC_OR_PARTITION);
    world_broker(&w, CTL_EV_BROKER_SILENT, 1, 101);
    elect_one(&w, "orders", BROKER_NONE, false);
    CHECK_EQ(w.reply.elected[0].error, ERRCODE_PREFERRED_LEADER_NOT_AVAILABLE);
    CHECK(strstr(w.reply.elected[0].detail, "broker 1 does not serve") != NULL);
    world_ready(&w, 1, 101);
    elect_one(&w, "orders", BROKER_NONE, false);
    CHECK(strstr(w.reply.elected[0].detail, "broker 1 is not in sync yet") != NULL);
    world_ready_but(&w, 1, 101, "orders", 0);
    elect_one(&w, "orders", BROKER_NONE, false);
    CHECK(strstr(w.reply.elected[0].detail, "broker 1 has given up its replica") != NULL);
    CHECK_EQ(w.n_appended, 0);
}

static void all_partitions_are_elected_when_none_is_named(void) /* [CTL-48] */
{
    WORLD(w);
    struct ctl_event dry = {.kind = CTL_EV_ELECT};

    world_create(&w, "a", 1, 3);
    world_create(&w, "b", 2, 1);
    suspect(&w, "a");
    dry.elect.dry_run = true;
    world_step(&w, dry);
    CHECK_EQ(w.reply.n_elected, 1);
    CHECK_EQ(w.reply.elected[0].leader, 1);
    CHECK_EQ(w.n_appended, 0);
    elect(&w, NULL, 0, false);
    CHECK_EQ(w.reply.n_elected, 1);
    CHECK_STR(w.reply.elected[0].topic, "a");
    CHECK_EQ(world_partition(&w, "a", 0)->leader, 1);
}

/* --- Unclean ---------------------------------------------------------------------------------- */

/* All hosts are lost; all brokers are back. */
static void lose_all(struct world *w)
{
    for (broker_id id = 1; id <= 3; id++) {
        world_seen(w, id, 200 + id, CRASH_HOST);
    }
    for (broker_id id = 1; id <= 3; id++) {
        world_ready(w, id, 200 + id);
    }
    CHECK_EQ(world_partition(w, "orders", 0)->leader, BROKER_NONE);
}

static void named_replica_leads_with_what_it_has_story(void) /* [CTL-50], [REP-9] */
{
    WORLD(w);

    world_create(&w, "orders", 1, 3);
    lose_all(&w);
    (void)world_story(&w);
    elect_one(&w, "orders", 3, true);
    CHECK_EQ(w.reply.elected[0].error, ERRCODE_NONE);
    CHECK_STR(world_story(&w), "ctl  orders-0 UNCLEAN: broker 3 leads in leader epoch 4, and what "
                               "only {1,2,3} had is lost\n");
    CHECK(world_partition(&w, "orders", 0)->recovering);
    struct world_proposal two = {
            .from = 3, .from_epoch = 203, .isr = {{3, 203}, {1, 201}}, .n = 2};
    CHECK_EQ(world_propose(&w, "orders", 0, &two), ERRCODE_INVALID_REQUEST); /* [CTL-44] */
    two.is_recovered = true;
    CHECK_EQ(world_propose(&w, "orders", 0, &two), ERRCODE_INVALID_REQUEST);
    two.n = 1;
    CHECK_EQ(world_propose(&w, "orders", 0, &two), ERRCODE_NONE);
    CHECK(!world_partition(&w, "orders", 0)->recovering);
    two.n = 2;
    CHECK_EQ(world_propose(&w, "orders", 0, &two), ERRCODE_NONE);
    CHECK_EQ(world_partition(&w, "orders", 0)->isr.n, 2);
}

static void failed_replica_may_be_named(void) /* [CTL-50] */
{
    WORLD(w);

    world_create(&w, "orders", 1, 3);
    lose_all(&w);
    world_failed(&w, 3, 203, "orders", 0);
    elect_one(&w, "orders", 3, true);
    CHECK_EQ(w.reply.elected[0].error, ERRCODE_NONE);
    CHECK_EQ(world_partition(&w, "orders", 0)->leader, 3);
    world_failed(&w, 3, 203, "orders", 0); /* it has not begun anew */
    CHECK_EQ(world_partition(&w, "orders", 0)->leader, BROKER_NONE);
    elect_one(&w, "orders", 2, true);
    CHECK_EQ(world_partition(&w, "orders", 0)->leader, 2);
}

static void winner_that_dies_before_its_log_is_open_may_come_back(void) /* [REP-9], [REP-4] */
{
    WORLD(w);

    world_create(&w, "orders", 1, 3);
    lose_all(&w);
    elect_one(&w, "orders", 3, true);
    world_seen(&w, 3, 303, CRASH_PROC);
    CHECK_EQ(world_partition(&w, "orders", 0)->leader, BROKER_NONE);
    world_ready(&w, 3, 303);
    CHECK_EQ(world_partition(&w, "orders", 0)->leader, 3);
    CHECK(world_partition(&w, "orders", 0)->recovering);
    CHECK_EQ(world_partition(&w, "orders", 0)->unclean_epoch, 4);
}

static void unclean_election_is_refused_where_it_is_not_needed_or_not_possible(void) /* [CTL-50] */
{
    WORLD(w);

    world_create(&w, "orders", 1, 3);
    world_create(&w, "solo", 1, 1);
    elect(&w, NULL, 0, true);
    CHECK_EQ(w.reply.error, ERRCODE_INVALID_REQUEST);
    elect_one(&w, "orders", 2, true);
    CHECK_EQ(w.reply.elected[0].error, ERRCODE_ELECTION_NOT_NEEDED);
    broker_id on = world_partition(&w, "solo", 0)->leader;
    world_broker(&w, CTL_EV_BROKER_SILENT, on, 100 + on);
    elect_one(&w, "solo", on, true);
    CHECK_EQ(w.reply.elected[0].error, ERRCODE_ELIGIBLE_LEADERS_NOT_AVAILABLE);
    lose_all(&w);
    elect_one(&w, "orders", BROKER_NONE, true);
    CHECK_EQ(w.reply.elected[0].error, ERRCODE_INVALID_REQUEST);
    elect_one(&w, "orders", 7, true);
    CHECK_EQ(w.reply.elected[0].error, ERRCODE_INELIGIBLE_REPLICA);
    world_broker(&w, CTL_EV_BROKER_SILENT, 2, 202);
    elect_one(&w, "orders", 2, true);
    CHECK_EQ(w.reply.elected[0].error, ERRCODE_INELIGIBLE_REPLICA);
    CHECK_EQ(w.n_appended, 0);
}

/* --- By itself -------------------------------------------------------------------------------- */

static void leadership_goes_back_after_thirty_quiet_seconds(void) /* [CTL-49] */
{
    WORLD(w);

    world_create(&w, "orders", 1, 3);
    w.now = WTIME_S(100);
    suspect(&w, "orders");
    CHECK_EQ(ctl_deadline(w.ctl), WTIME_S(130));
    tick(&w, WTIME_S(129));
    CHECK_EQ(w.n_appended, 0);
    tick(&w, WTIME_S(130));
    CHECK_EQ(w.fx.items[0].append.records[0].why.cause, CAUSE_LEADERS_BALANCED);
    CHECK_EQ(world_partition(&w, "orders", 0)->leader, 1);
    CHECK_EQ(ctl_deadline(w.ctl), WTIME_NEVER);
}

static void change_puts_it_off_but_not_for_ever(void) /* [CTL-49] */
{
    WORLD(w);

    world_create(&w, "orders", 1, 3);
    suspect(&w, "orders");
    wtime begin = ctl_deadline(w.ctl) - WTIME_S(30);
    for (int i = 1; i < 20; i++) { /* a follower comes and goes */
        w.now = begin + i * WTIME_S(20);
        CHECK_EQ(world_propose(&w, "orders", 0,
                         WORLD_PROPOSAL(2, 102, .isr = {{2, 102}, {1, 101}, {3, 103}},
                                 .n = 2 + (size_t)(i & 1 ? 0 : 1))),
                ERRCODE_NONE);
        if (ctl_deadline(w.ctl) <= w.now) {
            break;
        }
    }
    CHECK_EQ(w.now, begin + WTIME_S(300));
    tick(&w, w.now);
    CHECK_EQ(world_partition(&w, "orders", 0)->leader, 1);
}

static void at_most_five_hundred_move_at_once(void) /* [CTL-49] */
{
    WORLD(w);
    int n_back = 0;

    world_create(&w, "orders", 1200, 2);
    world_broker(&w, CTL_EV_BROKER_SILENT, 1, 101);
    world_ready(&w, 1, 101);
    for (int32_t p = 0; p < 1200; p++) {
        const struct partition_state *s = world_partition(&w, "orders", p);
        if (s->isr.n < 2) {
            struct world_proposal both = {.from = s->leader, .from_epoch = 100 + s->leader, .n = 2};
            for (int i = 0; i < 2; i++) {
                both.isr[i] = (struct ctl_isr_member){s->replicas.at[i], 100 + s->replicas.at[i]};
            }
            CHECK_EQ(world_propose(&w, "orders", p, &both), ERRCODE_NONE);
        }
        n_back += s->leader != s->replicas.at[0];
    }
    CHECK(n_back > 300);
    for (int left = n_back; left > 0; left -= 500) {
        tick(&w, ctl_deadline(w.ctl));
        CHECK_EQ(w.n_appended, left > 500 ? 500 : left);
    }
}

static void it_may_be_forbidden(void) /* [CTL-49] */
{
    WORLD(w);
    struct ctl_event ev = {.kind = CTL_EV_SET_CONFIGS};
    struct meta_config_pair pair = {"auto.leader.rebalance.enable", "false"};

    world_create(&w, "orders", 1, 3);
    suspect(&w, "orders");
    ev.set_configs =
            (struct ctl_set_configs){.scope = CONFIG_CLUSTER, .pairs = &pair, .n_pairs = 1};
    world_step(&w, ev);
    tick(&w, ctl_deadline(w.ctl));
    CHECK_EQ(world_partition(&w, "orders", 0)->leader, 2);
    CHECK_EQ(ctl_deadline(w.ctl), WTIME_NEVER);
    pair.value = NULL;
    world_step(&w, ev);
    tick(&w, ctl_deadline(w.ctl));
    CHECK_EQ(world_partition(&w, "orders", 0)->leader, 1);
}

static void new_controller_gives_back_what_its_predecessor_did_not(void) /* [CTL-49] */
{
    WORLD(w);

    world_create(&w, "orders", 1, 3);
    suspect(&w, "orders");
    world_elect(&w);
    for (broker_id id = 1; id <= 3; id++) {
        world_seen(&w, id, 100 + id, CRASH_CLEAN);
    }
    world_listed(&w);
    tick(&w, ctl_deadline(w.ctl));
    CHECK_EQ(world_partition(&w, "orders", 0)->leader, 1);
}

static const struct check_case cases[] = {
        CASE(preferred_replica_leads_again_on_demand_story),
        CASE(preferred_election_says_why_it_cannot_be),
        CASE(all_partitions_are_elected_when_none_is_named),
        CASE(named_replica_leads_with_what_it_has_story),
        CASE(failed_replica_may_be_named),
        CASE(winner_that_dies_before_its_log_is_open_may_come_back),
        CASE(unclean_election_is_refused_where_it_is_not_needed_or_not_possible),
        CASE(leadership_goes_back_after_thirty_quiet_seconds),
        CASE(change_puts_it_off_but_not_for_ever),
        CASE(at_most_five_hundred_move_at_once),
        CASE(it_may_be_forbidden),
        CASE(new_controller_gives_back_what_its_predecessor_did_not),
};
CHECK_MAIN("elections", cases)
