/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/mem.h"
#include "common/base/mutant.h"
#include "tests/sim/sim.h"

#include <stdio.h>
#include <stdlib.h>

/* weir_sim [--seed N] [--seeds COUNT] [--steps M] [--story] [--coverage] [--mutant NAME]: docs/dev/simulator.md. */

static int usage(void)
{
    (void)fprintf(stderr,
            "usage: weir_sim [--seed N] [--seeds COUNT] [--steps M] [--story] [--coverage] [--mutant NAME]\n"
            "  --seed N      the first seed (1)\n"
            "  --seeds COUNT so many of them, one after the other (1)\n"
            "  --steps M     events until all faults end (20000)\n"
            "  --story       a line for each decision\n"
            "  --coverage    ends with each numbered rule and the share of seeds that needed it\n"
            "  --mutant NAME with that rule replaced by a wrong one:\n");
    for (int i = 1; i < MUTANT_COUNT; i++) {
        (void)fprintf(
                stderr, "    %-24s %s\n", mutant_name((enum mutant)i), mutant_text((enum mutant)i));
    }
    return 2;
}

static bool choose_mutant(const char *name)
{
    for (int i = 0; i < MUTANT_COUNT; i++) {
        if (strcmp(mutant_name((enum mutant)i), name) == 0) {
            mutant_active = (enum mutant)i;
            return true;
        }
    }
    return false;
}

static void add(struct sim_counts *sum, const struct sim_counts *more)
{
    uint64_t *to = (uint64_t *)sum;
    const uint64_t *from = (const uint64_t *)more;

    for (size_t i = 0; i < sizeof(*sum) / sizeof(uint64_t); i++) {
        to[i] += from[i];
    }
}

static void print_counts(const struct sim_counts *c, uint64_t n_seeds)
{
#define COUNT(x) (void)printf("  %-16s %llu\n", #x, (unsigned long long)c->x)
    (void)printf("%llu seeds, nothing wrong\n", (unsigned long long)n_seeds);
    COUNT(events);
    COUNT(messages);
    COUNT(commits);
    COUNT(acked);
    COUNT(read);
    COUNT(elections);
    COUNT(elr_elections);
    COUNT(ctl_terms);
    COUNT(joins);
    COUNT(leaves);
    COUNT(copies);
    COUNT(cuts);
    COUNT(restarts);
    COUNT(faults);
    COUNT(crashes);
    COUNT(host_crashes);
    COUNT(torn);
    COUNT(shutdowns);
    COUNT(expiries);
    COUNT(cut_links);
    COUNT(freezes);
    COUNT(disk_failures);
    COUNT(damages);
    COUNT(min_isr_changes);
    COUNT(durability_changes);
    COUNT(unclean_elections);
    COUNT(retained);
    COUNT(removed);
    COUNT(moves);
    COUNT(moves_ended);
    COUNT(growths);
    COUNT(deletions);
    COUNT(restores);
    COUNT(comebacks);
    COUNT(suspicions);
    COUNT(swaps);
    COUNT(rotten);
    COUNT(offline);
#undef COUNT
}

static void print_coverage(uint64_t n_seeds)
{
    size_t n;
    const struct sim_cover *rules = sim_cover(&n);

    for (size_t i = 0; i < n; i++) {
        (void)printf("  %-7s %5.1f %%  %s\n", rules[i].name,
                100.0 * rules[i].n_seeds / (double)n_seeds, rules[i].text);
    }
}

int main(int argc, char **argv)
{
    bool is_coverage = false;
    struct sim_options options = {.seed = 1};
    struct sim_counts sum = {0};
    struct sim *s = mem_new(struct sim);
    uint64_t n_seeds = 1;

    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";

        if (strcmp(argv[i], "--story") == 0) {
            options.is_told = true;
        } else if (strcmp(argv[i], "--coverage") == 0) {
            is_coverage = true;
        } else if (strcmp(argv[i], "--seed") == 0 && *value != '\0') {
            options.seed = strtoull(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--seeds") == 0 && *value != '\0') {
            n_seeds = strtoull(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--steps") == 0 && *value != '\0') {
            options.n_steps = strtoull(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--mutant") == 0 && choose_mutant(value)) {
            i++;
        } else {
            return usage();
        }
    }
    for (uint64_t i = 0; i < n_seeds; i++, options.seed++) {
        sim_run(s, &options);
        add(&sum, &s->counts);
        sim_deinit(s);
    }
    print_counts(&sum, n_seeds);
    if (is_coverage) {
        print_coverage(n_seeds);
    }
    (void)mem_free(s);
    return 0;
}
