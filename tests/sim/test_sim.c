/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/mem.h"
#include "common/base/mutant.h"
#include "tests/lib/check.h"
#include "tests/sim/sim.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* A swarm of seeds, each a cluster under its own faults; and, with a rule replaced by a wrong one, that the swarm
 * notices. A run that finds something ends its process: so each is a child of its own. */

enum {
    SEEDS = 60, /* $WEIR_SIM_SEEDS */
    SEEDS_OF_MUTANT = 200,
};

static struct sim sim;

static void run_seeds(uint64_t first, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        sim_run(&sim, &(struct sim_options){.seed = first + i});
        sim_deinit(&sim);
    }
}

/* The exit code: 0 = nothing was found. What a child tells goes to stderr, or to nobody. */
static int in_child(enum mutant mutant, uint64_t first, uint64_t n)
{
    int status = 0;
    pid_t pid = fork();

    CHECK(pid >= 0);
    if (pid == 0) {
        (void)dup2(STDERR_FILENO, STDOUT_FILENO);
        if (mutant != MUTANT_NONE) {
            (void)close(STDOUT_FILENO);
        }
        mutant_active = mutant;
        run_seeds(first, n);
        _exit(0);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static uint64_t n_seeds(void)
{
    const char *more = getenv("WEIR_SIM_SEEDS");

    return more != NULL ? strtoull(more, NULL, 10) : SEEDS;
}

static void whatever_breaks_nothing_committed_is_lost(void)
{
    CHECK_EQ(in_child(MUTANT_NONE, check_seed() % 1000000000, n_seeds()), 0);
}

static void same_seed_tells_the_same_story(void)
{
    uint64_t digest[3], events[3];

    for (int i = 0; i < 3; i++) {
        sim_run(&sim, &(struct sim_options){.seed = i < 2 ? 7 : 8, .n_steps = 8000});
        digest[i] = sim.digest;
        events[i] = sim.counts.events;
        sim_deinit(&sim);
    }
    CHECK_EQ(digest[0], digest[1]);
    CHECK_EQ(events[0], events[1]);
    CHECK(digest[0] != digest[2]);
}

/* Faults that a swarm never meets prove nothing. */
static void everything_that_can_break_does(void)
{
    struct sim_counts sum = {0};

    for (uint64_t seed = 1; seed <= 8; seed++) {
        sim_run(&sim, &(struct sim_options){.seed = seed});
        sum.elr_elections += sim.counts.elr_elections;
        sum.host_crashes += sim.counts.host_crashes;
        sum.torn += sim.counts.torn;
        sum.shutdowns += sim.counts.shutdowns;
        sum.cuts += sim.counts.cuts;
        sum.restarts += sim.counts.restarts;
        sum.ctl_terms += sim.counts.ctl_terms;
        sum.cut_links += sim.counts.cut_links;
        sum.disk_failures += sim.counts.disk_failures;
        sum.acked += sim.counts.acked;
        sim_deinit(&sim);
    }
    CHECK(sum.elr_elections > 0);
    CHECK(sum.host_crashes > 0);
    CHECK(sum.torn > 0);
    CHECK(sum.shutdowns > 0);
    CHECK(sum.cuts > 0);
    CHECK(sum.restarts > 0);
    CHECK(sum.ctl_terms > 8);
    CHECK(sum.cut_links > 0);
    CHECK(sum.disk_failures > 0);
    CHECK(sum.acked > 1000);
}

/* Of the mutants, those that the swarm finds soon; tests/unit/broker/test_replica_model has them all, for one partition. */
static void swarm_notices_wrong_rules(void)
{
    static const enum mutant found[] = {
            MUTANT_HW_WITHOUT_PENDING,
            MUTANT_MIN_ISR_NOT_STRICT,
            MUTANT_JOIN_BELOW_HW,
            MUTANT_ANY_INCARNATION,
            MUTANT_ACK_SURVIVES_EPOCH,
            MUTANT_UNSYNCED_COUNTS,
            MUTANT_HOST_KEEPS_ELR,
            /* From here on only when more seeds were asked for: each takes seconds. */
            MUTANT_PROPOSE_ANEW,
            MUTANT_CUT_TO_HW,
            MUTANT_JOIN_BEFORE_EPOCH_START,
            MUTANT_ACK_BEFORE_DIVERGENCE,
            MUTANT_REFILL_IN_EPOCH,
            MUTANT_EPOCH_NOT_COMPARED,
            MUTANT_LAST_KNOWN_LEADS,
            MUTANT_FAILED_IN_EPOCH,
            MUTANT_KILLED_IS_SYNCED,
            MUTANT_ANY_VERSION,
    };

    size_t n = n_seeds() > SEEDS ? COUNT_OF(found) : 7;

    for (size_t i = 0; i < n; i++) {
        if (in_child(found[i], 1, SEEDS_OF_MUTANT) == 0) {
            check_fail(__FILE__, __LINE__, "%s: 200 seeds have not noticed", mutant_name(found[i]));
        }
    }
}

static const struct check_case cases[] = {
        CASE(same_seed_tells_the_same_story),
        CASE(everything_that_can_break_does),
        CASE(whatever_breaks_nothing_committed_is_lost),
        CASE(swarm_notices_wrong_rules),
};
CHECK_MAIN("sim", cases)
