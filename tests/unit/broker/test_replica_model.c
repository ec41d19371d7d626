/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/check.h"
#include "tests/unit/broker/replica_model.h"

#include <stdio.h>
#include <stdlib.h>

/* Walks of replica_model.h. WEIR_MODEL_WALKS=N walks N times as far as in CI; --seed N begins elsewhere;
 * WEIR_MODEL_TELL=SEED,BROKERS,EMPHASIS tells that walk. */

enum {
    STEPS = 1500,
    WALKS = 1000,
    MUTANT_WALKS = 8000,
    FAR = 25, /* from this many times as far on, every mutant is walked */
};

static struct model model;

static long walks_wanted(void)
{
    const char *s = getenv("WEIR_MODEL_WALKS");

    return s != NULL ? strtol(s, NULL, 10) : 1;
}

static void add(struct model_counts *sum, const struct model_counts *c)
{
    long *to = (long *)sum;
    const long *from = (const long *)c;

    for (size_t i = 0; i < sizeof(*sum) / sizeof(long); i++) {
        to[i] += from[i];
    }
}

static void walk(int n_brokers, long n_walks, struct model_counts *sum)
{
    for (long i = 0; i < n_walks; i++) {
        uint64_t seed = check_seed() * 1000003 + (uint64_t)i;

        model_init(&model, seed, n_brokers, 0);
        bool is_good = model_walk(&model, STEPS);
        add(sum, &model.counts);
        model_deinit(&model);
        if (!is_good) {
            check_fail(__FILE__, __LINE__, "%s, %d brokers, walk %llu, after %ld steps", model.why,
                    n_brokers, (unsigned long long)seed, model.counts.steps);
        }
    }
}

/* WEIR_MODEL_TELL=SEED,BROKERS,EMPHASIS: that walk with its story. */
static void a_walk_that_was_asked_for_is_told(void)
{
    const char *s = getenv("WEIR_MODEL_TELL");
    char *end = NULL;

    CHECK(mutant_active == MUTANT_NONE);
    if (s == NULL) {
        return;
    }
    unsigned long long seed = strtoull(s, &end, 10);
    int n_brokers = *end == ',' ? (int)strtol(end + 1, &end, 10) : 3;
    unsigned emphasis = *end == ',' ? (unsigned)strtoul(end + 1, &end, 0) : 0;
    model_init(&model, seed, n_brokers, emphasis);
    model.tells = true;
    bool is_good = model_walk(&model, STEPS);
    fprintf(stderr, "  %s after %ld steps\n", is_good ? "good" : model.why, model.counts.steps);
    model_deinit(&model);
}

static void tell(const char *title, const struct model_counts *c)
{
    printf("# %s: %ld steps, %ld commits, %ld acked, %ld elections (%ld from the ELR, %ld "
           "unclean), %ld host "
           "crashes,\n"
           "#   %ld copies, %ld cuts (%ld below the high watermark), %ld restarts, %ld refills, "
           "%ld joins, "
           "%ld leaves,\n"
           "#   %ld proposals refused, %ld taken back, %ld reports, %ld retentions\n",
            title, c->steps, c->commits, c->acked, c->elections, c->elr_elections, c->unclean,
            c->host_crashes, c->copies, c->cuts, c->hw_cuts, c->restarts, c->refills, c->joins,
            c->leaves, c->refused, c->taken_back, c->reports, c->retained);
}

static void every_rule_together(int n_brokers, const char *title)
{
    struct model_counts sum = {0};

    mutant_active = MUTANT_NONE;
    walk(n_brokers, WALKS * walks_wanted(), &sum);
    tell(title, &sum);
    if (walks_wanted() < FAR) { /* Those that come once in thousands of walks. */
        sum.hw_cuts = sum.taken_back = 1;
    }
    const long *all = (const long *)&sum;
    for (size_t i = 0; i < sizeof(sum) / sizeof(long); i++) {
        CHECK(all[i] > 0); /* The walk comes everywhere. */
    }
}

static void three_replicas_lose_nothing_that_was_committed(void)
{
    every_rule_together(3, "three");
}

static void four_replicas_lose_nothing_that_was_committed(void)
{
    every_rule_together(4, "four");
}

/* What a rule is there for is made frequent in half of its walks. */
static unsigned emphasis_of(enum mutant m)
{
    static const unsigned of[MUTANT_COUNT] = {
            [MUTANT_FETCH_OF_ANY_EPOCH] = 1u << MODEL_PREFER_ANOTHER | 1u << MODEL_FENCE,
            [MUTANT_ANY_INCARNATION] = 1u << MODEL_CRASH,
            [MUTANT_PROPOSE_ANEW] = 1u << MODEL_FENCE | 1u << MODEL_GIVE_UP_WAITING,
            [MUTANT_REFUSAL_IS_FINAL] =
                    1u << MODEL_FENCE | 1u << MODEL_GIVE_UP_WAITING | 1u << MODEL_DELIVER_FETCH,
            [MUTANT_EMPTY_LOG_ANYWHERE] = 1u << MODEL_RETAIN | 1u << MODEL_PREFER_ANOTHER,
            [MUTANT_NOTHING_TO_COMPARE] = 1u << MODEL_RETAIN | 1u << MODEL_PREFER_ANOTHER,
    };

    return of[m];
}

/* Those that need tens of thousands of walks to do harm. In CI the unit tests of their rules stand for them. */
static bool is_rare(enum mutant m)
{
    return m == MUTANT_ANSWER_OF_ANY_EPOCH || m == MUTANT_ANSWER_OF_ANY_LOG ||
           m == MUTANT_REFUSAL_IS_FINAL || m == MUTANT_EMPTY_LOG_ANYWHERE;
}

/* Each rule that is replaced by a wrong one is missed within some walks. */
static void every_mutant_is_caught(void)
{
    int n_missed = 0;

    for (enum mutant m = 1; m <= MUTANT_LEAD_DURING_CUT; m++) { /* then those of tests/sim */
        bool is_caught = false;
        int walks = 0;

        if (is_rare(m) && walks_wanted() < FAR) {
            continue;
        }

        mutant_active = m;
        while (!is_caught && walks < MUTANT_WALKS * walks_wanted()) {
            uint64_t seed = check_seed() * 7919 + (uint64_t)walks++;

            model_init(&model, seed, 3 + walks % 2, walks % 4 < 2 ? emphasis_of(m) : 0);
            is_caught = !model_walk(&model, STEPS);
            model_deinit(&model);
        }
        printf("# %s: %s after %d walks%s%s\n", mutant_name(m), is_caught ? "caught" : "MISSED",
                walks, is_caught ? ": " : "", is_caught ? model.why : "");
        n_missed += !is_caught;
    }
    mutant_active = MUTANT_NONE;
    CHECK_EQ(n_missed, 0);
}

static const struct check_case cases[] = {
        CASE(three_replicas_lose_nothing_that_was_committed),
        CASE(four_replicas_lose_nothing_that_was_committed),
        CASE(every_mutant_is_caught),
        CASE(a_walk_that_was_asked_for_is_told),
};
CHECK_MAIN("replica_model", cases)
