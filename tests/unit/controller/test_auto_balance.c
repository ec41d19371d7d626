/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/array.h"
#include "tests/lib/check.h"
#include "tests/unit/controller/ctl_world.h"

#include <string.h>

/* The balance that the controller keeps by itself. */

enum {
    MIB = 1 << 20,
    SIZES_MAX = 64
};

#define WORLD(name, n_brokers)                                                                     \
    __attribute__((cleanup(world_deinit))) struct world name;                                      \
    world_init_with_balance(&name, 3);                                                             \
    world_start(&name, (n_brokers))

static void tick(struct world *w)
{
    struct ctl_event ev = {.kind = CTL_EV_TICK};

    w->now = ctl_deadline(w->ctl) != WTIME_NEVER ? ctl_deadline(w->ctl) : w->now;
    world_step(w, ev);
}

/* Ticks until the core asks for sizes. */
static void until_asked(struct world *w)
{
    size_t before = w->n_size_asks;

    for (int i = 0; i < 20 && w->n_size_asks == before; i++) {
        tick(w);
    }
    CHECK_EQ(w->n_size_asks, before + 1);
}

/* Every partition of the image has `bytes`, those of the topic `large` so much more. */
static void tell_sizes(struct world *w, int64_t bytes, const char *large, int64_t more)
{
    struct ctl_size sizes[SIZES_MAX];
    struct ctl_event ev = {.kind = CTL_EV_SIZES};
    size_t n = 0;

    for (size_t i = 0; i < image_n_topics(w->log); i++) {
        const struct image_topic *t = image_topic_at(w->log, i);
        for (int32_t k = 0; k < t->n_partitions && n < SIZES_MAX; k++) {
            sizes[n++] = (struct ctl_size){.ref = {.topic_id = t->id, .partition = k},
                    .bytes = bytes + (strcmp(t->name, large) == 0 ? more : 0)};
        }
    }
    ev.sizes.items = sizes;
    ev.sizes.n = n;
    world_step(w, ev);
}

static void set(struct world *w, const char *value)
{
    const struct meta_config_pair pair = {.key = "weir.auto.balance", .value = value};
    struct ctl_event ev = {.kind = CTL_EV_SET_CONFIGS, .actor = "http"};

    ev.set_configs = (struct ctl_set_configs){
            .scope = CONFIG_CLUSTER, .pairs = &pair, .n_pairs = 1};
    world_step(w, ev);
    CHECK_EQ(w->reply.error, ERRCODE_NONE);
}

static void come(struct world *w, broker_id id)
{
    world_seen(w, id, 100 + id, CRASH_CLEAN);
    world_ready(w, id, 100 + id);
}

static bool says(const struct world *w, const char *text)
{
    return strstr(ctl_balance(w->ctl)->why, text) != NULL;
}

static size_t n_moving(const struct world *w, broker_id to)
{
    size_t n = 0;

    for (size_t i = 0; i < image_n_topics(w->log); i++) {
        const struct image_topic *t = image_topic_at(w->log, i);
        for (int32_t k = 0; k < t->n_partitions; k++) {
            n += partition_is_moving(&t->partitions[k]) &&
                 (to == BROKER_NONE || broker_set_has(&t->partitions[k].adding, to));
        }
    }
    return n;
}

/* Everybody who is to be added has caught up. */
static void arrive(struct world *w)
{
    for (size_t i = 0; i < image_n_topics(w->log); i++) {
        const struct image_topic *t = image_topic_at(w->log, i);
        for (int32_t k = 0; k < t->n_partitions; k++) {
            struct partition_state p = t->partitions[k];
            struct world_proposal x = {.from = p.leader, .from_epoch = 100 + p.leader};
            if (!partition_is_moving(&p)) {
                continue;
            }
            for (int r = 0; r < p.replicas.n; r++) {
                x.isr[x.n++] = (struct ctl_isr_member){p.replicas.at[r], 100 + p.replicas.at[r]};
            }
            char *name = mem_strdup(t->name);
            CHECK_EQ(world_propose(w, name, k, &x), ERRCODE_NONE);
            mem_free(name);
            t = image_topic_at(w->log, i);
        }
    }
}

static void it_looks_a_minute_after_brokers_came(void) /* [CTL-81] [CTL-83] */
{
    WORLD(w, 3);

    world_create(&w, "orders", 12, 1);
    wtime begun = w.now;
    CHECK_EQ(ctl_balance(w.ctl)->evaluated_at, 0);
    until_asked(&w);
    CHECK_EQ(w.now, begun + WTIME_S(60));
    tell_sizes(&w, 5 * MIB, "", 0);
    CHECK(ctl_balance(w.ctl)->is_balanced);
    CHECK(says(&w, "are even"));
    CHECK_EQ(ctl_balance(w.ctl)->n_brokers, 3);
    CHECK_EQ(ctl_balance(w.ctl)->brokers[0].replicas, 4);
    CHECK_EQ(ctl_balance(w.ctl)->brokers[2].bytes, 20 * MIB);
    begun = w.now;
    until_asked(&w); /* sizes drift */
    CHECK_EQ(w.now, begun + WTIME_S(600));
    tell_sizes(&w, 5 * MIB, "", 0);
    come(&w, 4);
    begun = w.now;
    until_asked(&w);
    CHECK_EQ(w.now, begun + WTIME_S(60));
    tell_sizes(&w, 5 * MIB, "", 0);
    CHECK(!ctl_balance(w.ctl)->is_balanced); /* by default it says so and does nothing */
    CHECK_EQ(ctl_balance(w.ctl)->n_moves, 3);
    CHECK_EQ(ctl_balance(w.ctl)->bytes_to_move, 15 * MIB);
    CHECK(says(&w, "weir balance apply"));
    CHECK_EQ(w.n_appended, 0);
}

static void apply_moves_in_rounds_until_it_is_even(void) /* [CTL-85] [CTL-86] */
{
    int n_rounds = 0;
    WORLD(w, 1);

    world_create(&w, "orders", 60, 1);
    set(&w, "apply");
    come(&w, 2);
    for (; n_rounds < 10; n_rounds++) {
        until_asked(&w);
        tell_sizes(&w, MIB, "", 0);
        if (ctl_balance(w.ctl)->is_balanced) {
            break;
        }
        CHECK_EQ(w.fx.items[0].append.records[0].why.cause, CAUSE_AUTO_BALANCE);
        CHECK(n_moving(&w, 2) > 0 && n_moving(&w, 2) <= 20);
        wtime begun = w.now;
        tick(&w); /* they are on their way */
        CHECK(n_moving(&w, BROKER_NONE) == 0 || says(&w, "on their way"));
        arrive(&w);
        CHECK(ctl_deadline(w.ctl) < begun + WTIME_S(60)); /* the next round does not wait for quiet */
    }
    CHECK_EQ(n_rounds, 2);
    CHECK_EQ(ctl_balance(w.ctl)->brokers[1].replicas, 30);
    CHECK_EQ(ctl_balance(w.ctl)->brokers[1].leaders, 30);
}

static void it_says_why_it_does_nothing(void) /* [CTL-82] [CTL-84] */
{
    WORLD(w, 3);

    world_create(&w, "orders", 6, 1);
    set(&w, "off");
    tick(&w);
    while (!says(&w, "is off")) {
        tick(&w);
    }
    CHECK_EQ(ctl_balance(w.ctl)->mode, CTL_BALANCE_OFF);
    CHECK_EQ(w.n_size_asks, 0);
    set(&w, "apply");
    world_broker(&w, CTL_EV_BROKER_GONE, 3, 103);
    tick(&w);
    while (!says(&w, "broker 3 is down")) {
        tick(&w);
    }
    CHECK_EQ(w.n_size_asks, 0);
    world_seen(&w, 3, 203, CRASH_CLEAN);
    world_ready(&w, 3, 203);
    until_asked(&w);
    struct ctl_event none = {.kind = CTL_EV_SIZES};
    world_step(&w, none);
    CHECK(says(&w, "is not known"));
    CHECK_EQ(w.n_appended, 0);
    CHECK_EQ(ctl_balance(w.ctl)->brokers[0].bytes, -1);
    (void)world_reassign(&w, "orders", 0, SET(world_partition(&w, "orders", 0)->leader % 3 + 1));
    tick(&w);
    CHECK(says(&w, "are on their way"));
    CHECK_EQ(n_moving(&w, BROKER_NONE), 1);
}

static void bytes_are_evened_out_too(void) /* [CTL-80] [CTL-83] */
{
    WORLD(w, 2);

    world_create(&w, "small", 4, 1);
    world_create(&w, "large", 2, 1);
    for (int32_t k = 0; k < 2; k++) { /* both large ones on broker 1, and as many small ones away */
        (void)world_reassign(&w, "large", k, SET(1));
        arrive(&w);
    }
    set(&w, "plan");
    until_asked(&w);
    tell_sizes(&w, MIB, "large", 100 * MIB);
    CHECK(!ctl_balance(w.ctl)->is_balanced);
    CHECK_EQ(ctl_balance(w.ctl)->n_moves, 1); /* broker 1 has one more, and it is a large one that goes */
    CHECK_EQ(ctl_balance(w.ctl)->bytes_to_move, 101 * MIB);
}

static void who_takes_moves_back_is_heard(void) /* [CTL-87] */
{
    struct ctl_event back = {.kind = CTL_EV_REASSIGN, .actor = "http"};
    WORLD(w, 1);

    back.reassign.goal = CTL_GOAL_TAKE_BACK;
    world_create(&w, "orders", 8, 1);
    set(&w, "apply");
    come(&w, 2);
    until_asked(&w);
    tell_sizes(&w, MIB, "", 0);
    CHECK_EQ(n_moving(&w, 2), 4);
    const struct image_operation *o = image_operation_at(w.log, image_n_operations(w.log) - 1);

    CHECK_EQ(o->is.kind, OPERATION_BALANCE);
    CHECK_EQ(o->is.n_partitions, 4);
    world_step(&w, back);
    CHECK_EQ(n_moving(&w, 2), 0);
    until_asked(&w);
    tell_sizes(&w, MIB, "", 0);
    CHECK_EQ(n_moving(&w, 2), 0);
    CHECK(says(&w, "taken back"));
    set(&w, "plan");
    set(&w, "apply");
    until_asked(&w);
    tell_sizes(&w, MIB, "", 0);
    CHECK_EQ(n_moving(&w, 2), 4);
    o = image_operation_at(w.log, image_n_operations(w.log) - 1);
    CHECK_EQ(o->is.state, OPERATION_RUNNING);
    struct ctl_event cancel = {.kind = CTL_EV_CANCEL_OPERATION, .actor = "http"};
    cancel.cancel.id = o->is.id;
    world_step(&w, cancel);
    CHECK_EQ(n_moving(&w, 2), 0);
    until_asked(&w);
    tell_sizes(&w, MIB, "", 0);
    CHECK(says(&w, "taken back"));
}

/* What the predecessor had begun is no obstacle for ever, and its knowledge is not needed. */
static void successor_goes_on(void) /* [CTL-81] */
{
    WORLD(w, 1);

    world_create(&w, "orders", 60, 1);
    set(&w, "apply");
    come(&w, 2);
    until_asked(&w);
    tell_sizes(&w, MIB, "", 0);
    CHECK(n_moving(&w, 2) > 0);
    world_elect(&w);
    world_seen(&w, 1, 101, CRASH_CLEAN);
    world_seen(&w, 2, 102, CRASH_CLEAN);
    world_listed(&w);
    world_ready(&w, 1, 101);
    world_ready(&w, 2, 102);
    arrive(&w);
    CHECK_EQ(n_moving(&w, BROKER_NONE), 0);
    until_asked(&w);
    tell_sizes(&w, MIB, "", 0);
    CHECK(n_moving(&w, 2) > 0);
}

static const struct check_case cases[] = {
        CASE(it_looks_a_minute_after_brokers_came),
        CASE(apply_moves_in_rounds_until_it_is_even),
        CASE(it_says_why_it_does_nothing),
        CASE(bytes_are_evened_out_too),
        CASE(who_takes_moves_back_is_heard),
        CASE(successor_goes_on),
};
CHECK_MAIN("auto_balance", cases)
