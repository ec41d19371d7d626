/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/chore.h"

#include "tests/lib/check.h"

struct work {
    struct io_pool *pool;
    struct chore chore;
    int n_runs;
    int n_more; /* so often it asks for itself while it runs */
};

static void work_once(void *ctx)
{
    struct work *w = ctx;

    w->n_runs++;
    if (w->n_more > 0) {
        w->n_more--;
        chore_ask(&w->chore);
        chore_ask(&w->chore);
    }
}

static void begin(struct work *w, int n_more)
{
    *w = (struct work){.pool = io_pool_new(2), .n_more = n_more};
    chore_init(&w->chore, &w->pool, work_once, w);
}

static void end(struct work *w)
{
    w->pool = io_pool_free(w->pool);
}

static void what_is_asked_for_is_done(void)
{
    struct work w;

    begin(&w, 0);
    chore_ask(&w.chore);
    end(&w);
    CHECK_EQ(w.n_runs, 1);
    chore_deinit(&w.chore);
}

static void asked_twice_while_it_runs_it_runs_once_more(void)
{
    struct work w;

    begin(&w, 1);
    chore_ask(&w.chore);
    end(&w);
    CHECK_EQ(w.n_runs, 2);
    chore_deinit(&w.chore);
}

static void what_met_no_lack_is_not_asked_again(void)
{
    struct work w;

    begin(&w, 0);
    chore_ask_if_unserved(&w.chore);
    end(&w);
    CHECK_EQ(w.n_runs, 0);
    chore_deinit(&w.chore);
}

/* The orderly stop writes checkpoints when the pool has gone, and these ask for what may follow them. */
static void asked_after_the_pool_has_ended_it_is_left_for_the_next_start(void)
{
    struct work w;

    begin(&w, 0);
    end(&w);
    chore_ask(&w.chore);
    CHECK_EQ(w.n_runs, 0);
    chore_deinit(&w.chore);
}

static const struct check_case cases[] = {
        CASE(what_is_asked_for_is_done),
        CASE(asked_twice_while_it_runs_it_runs_once_more),
        CASE(what_met_no_lack_is_not_asked_again),
        CASE(asked_after_the_pool_has_ended_it_is_left_for_the_next_start),
};

CHECK_MAIN("chore", cases)
