/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/array.h"
#include "tests/lib/check.h"
#include "tests/unit/controller/ctl_world.h"

#define WORLD(name)                                                                                \
    __attribute__((cleanup(world_deinit))) struct world name;                                      \
    world_init(&name, 1, 42)

static void ask(struct world *w, broker_id id, int64_t epoch)
{
    world_broker(w, CTL_EV_PRODUCER_IDS, id, epoch);
    CHECK(w->has_reply);
}

/* Another controller, to whom broker 1 is known. */
static void take_over(struct world *w)
{
    world_elect(w);
    world_seen(w, 1, 101, CRASH_CLEAN);
    world_listed(w);
}

static void blocks_follow_each_other_whoever_asks(void) /* [PID-1] */
{
    WORLD(w);

    world_start(&w, 2);
    for (int64_t i = 0; i < 6; i++) {
        broker_id id = i % 2 == 0 ? 1 : 2;
        ask(&w, id, 100 + id);
        CHECK_EQ(w.reply.error, ERRCODE_NONE);
        CHECK_EQ(w.reply.ids_first, i * 1000);
        CHECK_EQ(w.reply.ids_count, 1000);
        CHECK_EQ(w.n_appended, 1);
        CHECK_EQ(w.reply.after_seq, w.last_seq); /* the answer waits for the record */
        CHECK_EQ(image_next_producer_id(w.log), (i + 1) * 1000);
    }
}

static void a_block_that_was_decided_is_never_given_again(void) /* [PID-1] */
{
    WORLD(w);

    world_start(&w, 1);
    ask(&w, 1, 101);
    take_over(&w); /* another controller; whether the answer arrived does not matter */
    ask(&w, 1, 101);
    CHECK_EQ(w.reply.ids_first, 1000);

    w.keep_n = 0; /* its controller dies before the record is committed: nobody was answered */
    ask(&w, 1, 101);
    CHECK_EQ(w.reply.ids_first, 2000);
    CHECK(w.reply.after_seq > w.last_seq);
    take_over(&w);
    ask(&w, 1, 101);
    CHECK_EQ(w.reply.ids_first, 2000);
}

static void only_the_present_incarnation_that_serves_is_given_ids(void) /* [PID-2] */
{
    WORLD(w);

    world_start(&w, 2);
    ask(&w, 3, 103); /* never registered */
    CHECK_EQ(w.reply.error, ERRCODE_STALE_BROKER_EPOCH);
    ask(&w, 1, 100); /* an incarnation before */
    CHECK_EQ(w.reply.error, ERRCODE_STALE_BROKER_EPOCH);
    world_broker(&w, CTL_EV_BROKER_REFUSED, 2, 102);
    ask(&w, 2, 102);
    CHECK_EQ(w.reply.error, ERRCODE_BROKER_NOT_AVAILABLE);
    CHECK(strstr(w.reply.detail, "fenced") != NULL);
    CHECK_EQ(image_next_producer_id(w.log), 0);
    ask(&w, 1, 101);
    CHECK_EQ(w.reply.error, ERRCODE_NONE);
}

static void a_standby_gives_nothing(void) /* [CTL-7] */
{
    WORLD(w);

    ask(&w, 1, 101);
    CHECK_EQ(w.reply.error, ERRCODE_NOT_CONTROLLER);
}

static void blocks_outlive_a_snapshot(void) /* [PID-1] */
{
    WORLD(w);

    world_start(&w, 1);
    for (int i = 0; i < 3; i++) {
        ask(&w, 1, 101);
    }
    /* world_elect() hands the log's image over, and the core copies it by its snapshot. */
    take_over(&w);
    ask(&w, 1, 101);
    CHECK_EQ(w.reply.ids_first, 3000);
}

static void after_a_rebuild_the_lost_history_is_passed_over(void) /* [PID-3], [RBD-6] */
{
    WORLD(w);

    world_start(&w, 1);
    ask(&w, 1, 101);
    w.ctl_epoch += META_REBUILD_EPOCHS - 2; /* many elections, but no rebuild */
    take_over(&w);
    ask(&w, 1, 101);
    CHECK_EQ(w.reply.ids_first, 1000);

    w.ctl_epoch +=
            META_REBUILD_EPOCHS; /* what `weir meta rebuild` leaves: the image is as it was */
    take_over(&w);
    ask(&w, 1, 101);
    CHECK_EQ(w.reply.ids_first, 1000002000);
    take_over(&w); /* once */
    ask(&w, 1, 101);
    CHECK_EQ(w.reply.ids_first, 1000003000);
}

static const struct check_case cases[] = {
        CASE(blocks_follow_each_other_whoever_asks),
        CASE(a_block_that_was_decided_is_never_given_again),
        CASE(only_the_present_incarnation_that_serves_is_given_ids),
        CASE(a_standby_gives_nothing),
        CASE(blocks_outlive_a_snapshot),
        CASE(after_a_rebuild_the_lost_history_is_passed_over),
};
CHECK_MAIN("producer_ids", cases)
