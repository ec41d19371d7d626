/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/crash/crash_world.h"

#include "common/obs/log.h"
#include "tests/lib/check.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The whole log, with random operations of every kind, on a disk that forgets; the process dies, or the power goes, at any
 * write, sync, rename, cut or removal. What was acknowledged and synced is always there again, what was only acknowledged
 * is there unless the power went, nothing else ever is; what compaction took could go; and every question has the answer
 * that a walk over the list of what was written gives.
 *
 *   WEIR_CRASH_OPS=1000000   so many operations (and more: the last history comes to its end)
 *   WEIR_CRASH_FROM=123      the number of the first history; what a failure prints
 *   --seed N
 *
 * A history is a disk and some lives on it; it depends on nothing but the seed and its number. */

enum {
    OPS = 500000,
    LONG_EVERY = 24,
    LIVES = 4,
    LIVES_LONG = 60,
    STEPS_MAX = 110
};

static struct {
    uint64_t round;
    char last_error[512]; /* that the product logged */
} running;

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *given = getenv(name);

    return given != NULL ? strtoull(given, NULL, 10) : otherwise;
}

static void keep_error(void *ctx, const char *text)
{
    if (strstr(text, "level=error") != NULL) {
        (void)snprintf(running.last_error, sizeof(running.last_error), "%s", text);
    }
}

static void tell_failure(void)
{
    printf("# history %llu; WEIR_CRASH_FROM=%llu WEIR_CRASH_OPS=1 %s --seed %llu repeats it\n"
           "# life.operation of its end:\n",
            (unsigned long long)running.round, (unsigned long long)running.round, "test_log_crash",
            (unsigned long long)check_seed());
    tell_story();
    printf("# the last error in the log: %s\n", running.last_error);
}

/* An assertion of the product's: the process is about to end. */
static void tell_abort(int sig)
{
    (void)sig;
    tell_failure();
    (void)fflush(stdout);
}

static struct crash_config config_of(uint64_t round)
{
    return (struct crash_config){.log = {.segment_bytes = 300 + (int64_t)(round % 7) * 700,
                                         .index_interval_bytes = 64 << round % 6,
                                         .index_bytes = round % 5 == 0 ? 64 : 0,
                                         .segment_ms = round % 3 == 0 ? 0 : 600,
                                         .segment_jitter_ms = 100},
            .is_in_order = round % 2 == 0,
            .is_compacting = round % 5 < 3,
            .has_values_big = round % 4 == 0,
            .changes_per_life = round % 3 == 0 ? 900 : 200};
}

static void run_history(uint64_t round, struct crash_stats *stats)
{
    struct crash_config config = config_of(round);
    int n_lives = round % LONG_EVERY == LONG_EVERY - 1 ? LIVES_LONG : LIVES;
    struct world w;

    running.round = round;
    world_begin(&w, &config, check_seed() + round * 0x9e3779b97f4a7c15, stats);
    for (int i = 0; i < n_lives; i++) {
        world_live(&w, below(&w, STEPS_MAX));
    }
    world_end(&w);
    stats->n_rounds++;
}

static void a_log_is_what_was_written_after_any_death(void)
{
    struct crash_stats s = {0};
    uint64_t n_ops = number_of("WEIR_CRASH_OPS", OPS);

    log_set_sink(keep_error, NULL);
    check_on_failure(tell_failure);
    (void)signal(SIGABRT, tell_abort);
    for (uint64_t round = number_of("WEIR_CRASH_FROM", 0); s.n_ops < n_ops; round++) {
        run_history(round, &s);
    }
    check_on_failure(NULL);
    printf("# %llu operations, %llu histories, %llu lives, %llu power failures, %llu compacted "
           "segments, %llu truncations,"
           " %llu beginnings anew, %llu segments removed, %llu snapshots used, %llu reads, %llu "
           "times found\n",
            (unsigned long long)s.n_ops, (unsigned long long)s.n_rounds,
            (unsigned long long)s.n_lives, (unsigned long long)s.n_power,
            (unsigned long long)s.n_swaps, (unsigned long long)s.n_truncations,
            (unsigned long long)s.n_restarts, (unsigned long long)s.n_removed,
            (unsigned long long)s.n_restored, (unsigned long long)s.n_reads,
            (unsigned long long)s.n_found);
    /* Each kind of thing came often enough to say something. */
    CHECK(n_ops < 10000 || (s.n_swaps > n_ops / 400 && s.n_truncations > n_ops / 400 &&
                                   s.n_restarts > n_ops / 1000 && s.n_removed > n_ops / 800 &&
                                   s.n_restored > s.n_lives / 10 && s.n_found > n_ops / 100 &&
                                   s.n_reads > n_ops / 100));
}

static const struct check_case cases[] = {CASE(a_log_is_what_was_written_after_any_death)};

CHECK_MAIN("log_crash", cases)
