/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/mem.h"
#include "common/base/mutant.h"
#include "tests/lib/check.h"
#include "tests/sim/sim.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* A swarm of seeds, each a cluster under its own faults; and, with a rule replaced by a wrong one, that the swarm
 * notices. A run that finds something ends its process: so each is a child of its own. */

enum {
    SEEDS = 300, /* $WEIR_SIM_SEEDS */
    SEEDS_OF_MUTANT = 200,
    SOME_SEEDS = 40, /* in which everything happens that can */
};

static struct sim sim;

/* By how many seeds of the swarm each rule was needed; its children write there. */
static unsigned *needed;

static void note_needed(void)
{
    size_t n;
    const struct sim_cover *rules = sim_cover(&n);

    for (size_t i = 0; i < n; i++) {
        (void)__atomic_add_fetch(&needed[i], rules[i].n_seeds, __ATOMIC_RELAXED);
    }
}

static void run_seeds(uint64_t first, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        sim_run(&sim, &(struct sim_options){.seed = first + i});
        sim_deinit(&sim);
    }
}

/* What a child tells goes to stderr, or to nobody. */
static pid_t begin_child(enum mutant mutant, uint64_t first, uint64_t n)
{
    pid_t pid = fork();

    CHECK(pid >= 0);
    if (pid == 0) {
        (void)dup2(STDERR_FILENO, STDOUT_FILENO);
        if (mutant != MUTANT_NONE) {
            (void)close(STDOUT_FILENO);
        }
        mutant_active = mutant;
        run_seeds(first, n);
        if (mutant == MUTANT_NONE) {
            note_needed();
        }
        _exit(0);
    }
    return pid;
}

/* The exit code: 0 = nothing was found. */
static int end_child(pid_t pid)
{
    int status = 0;

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
    uint64_t first = check_seed() % 1000000000, half = n_seeds() / 2;
    size_t n_rules;

    (void)sim_cover(&n_rules);
    needed = mmap(NULL, n_rules * sizeof(*needed), PROT_READ | PROT_WRITE,
            MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(needed != MAP_FAILED);
    pid_t one = begin_child(MUTANT_NONE, first, half); /* a core each */
    pid_t other = begin_child(MUTANT_NONE, first + half, n_seeds() - half);
    int found = end_child(one);

    CHECK_EQ(end_child(other) + found, 0);
}

/* A rule whose branch is not taken could be wrong, and nobody would know. */
static void each_rule_is_needed_by_one_seed_in_a_hundred(void)
{
    size_t n;
    const struct sim_cover *rules = sim_cover(&n);

    CHECK(n > 0);
    for (size_t i = 0; i < n && needed != NULL; i++) { /* NULL: the swarm was not asked for */
        if (needed[i] * 100 < n_seeds()) {
            check_fail(__FILE__, __LINE__, "%s (%s) was needed by %u of %llu seeds", rules[i].name,
                    rules[i].text, needed[i], (unsigned long long)n_seeds());
        }
    }
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

    for (uint64_t seed = 1; seed <= SOME_SEEDS; seed++) {
        sim_run(&sim, &(struct sim_options){.seed = seed});
        sum.unclean_elections += sim.counts.unclean_elections;
        sum.retained += sim.counts.retained;
        sum.removed += sim.counts.removed;
        sum.moves_ended += sim.counts.moves_ended;
        sum.growths += sim.counts.growths;
        sum.deletions += sim.counts.deletions;
        sum.suspicions += sim.counts.suspicions;
        sum.swaps += sim.counts.swaps;
        sum.elr_elections += sim.counts.elr_elections;
        sum.host_crashes += sim.counts.host_crashes;
        sum.torn += sim.counts.torn;
        sum.shutdowns += sim.counts.shutdowns;
        sum.cuts += sim.counts.cuts;
        sum.restarts += sim.counts.restarts;
        sum.ctl_terms += sim.counts.ctl_terms;
        sum.cut_links += sim.counts.cut_links;
        sum.disk_failures += sim.counts.disk_failures;
        sum.durability_changes += sim.counts.durability_changes;
        sum.acked += sim.counts.acked;
        sim_deinit(&sim);
    }
    CHECK(sum.elr_elections > 0);
    CHECK(sum.host_crashes > 0);
    CHECK(sum.torn > 0);
    CHECK(sum.shutdowns > 0);
    CHECK(sum.cuts > 0);
    CHECK(sum.restarts > 0);
    CHECK(sum.ctl_terms > SOME_SEEDS);
    CHECK(sum.unclean_elections > 0);
    CHECK(sum.retained > 0);
    CHECK(sum.removed > 0);
    CHECK(sum.moves_ended > 0);
    CHECK(sum.growths > 0);
    CHECK(sum.deletions > 0);
    CHECK(sum.suspicions > 0);
    CHECK(sum.swaps > 0);
    CHECK(sum.cut_links > 0);
    CHECK(sum.durability_changes > 0);
    CHECK(sum.disk_failures > 0);
    CHECK(sum.acked > 1000);
}

static void must_have_noticed(enum mutant m, int found)
{
    if (found == 0) {
        check_fail(__FILE__, __LINE__, "%s: 200 seeds have not noticed", mutant_name(m));
    }
}

/* Of the mutants, those that the swarm finds soon; tests/unit/broker/test_replica_model has them all, for one partition. */
static void swarm_notices_wrong_rules(void)
{
    static const enum mutant found[] = {
            MUTANT_HW_WITHOUT_PENDING,
            MUTANT_MIN_ISR_NOT_STRICT,
            MUTANT_JOIN_BELOW_HW,
            MUTANT_JOIN_BEFORE_EPOCH_START,
            MUTANT_ACK_SURVIVES_EPOCH,
            MUTANT_ACK_BEFORE_DIVERGENCE,
            MUTANT_UNSYNCED_COUNTS,
            MUTANT_HOST_KEEPS_ELR,
            MUTANT_LAST_KNOWN_LEADS,
            MUTANT_KILLED_IS_SYNCED,
            MUTANT_ANY_INCARNATION,
            MUTANT_PROPOSE_ANEW,
            MUTANT_CUT_TO_HW,
            MUTANT_DURABLE_WITHOUT_SYNC,
            MUTANT_FAILED_IN_EPOCH,
            MUTANT_EPOCH_NOT_COMPARED,
    };

    size_t n = COUNT_OF(found);

    for (size_t i = 0; i < n; i += 2) { /* a core each */
        bool is_pair = i + 1 < n;
        pid_t one = begin_child(found[i], 1, SEEDS_OF_MUTANT);
        pid_t other = is_pair ? begin_child(found[i + 1], 1, SEEDS_OF_MUTANT) : 0;
        must_have_noticed(found[i], end_child(one));
        if (is_pair) {
            must_have_noticed(found[i + 1], end_child(other));
        }
    }
}

static const struct check_case cases[] = {
        CASE(same_seed_tells_the_same_story),
        CASE(everything_that_can_break_does),
        CASE(whatever_breaks_nothing_committed_is_lost),
        CASE(each_rule_is_needed_by_one_seed_in_a_hundred),
        CASE(swarm_notices_wrong_rules),
};
CHECK_MAIN("sim", cases)
