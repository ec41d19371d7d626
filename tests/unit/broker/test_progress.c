/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/progress.h"

#include "tests/lib/check.h"

#include <stdlib.h>

enum {
    MIB = 1024 * 1024
};

static void directories_are_counted_together(void) /* [LOG-15] */
{
    const struct progress_facts dirs[] = {
            {10, 4, 300 * MIB, 100 * MIB}, {6, 6, 100 * MIB, 100 * MIB}};
    struct progress p = progress_of(dirs, 2, WTIME_S(10));

    CHECK_EQ(p.n_logs, 16);
    CHECK_EQ(p.n_opened, 10);
    CHECK_EQ(p.to_scan, (int64_t)400 * MIB);
    CHECK_EQ(p.scanned, (int64_t)200 * MIB);
    CHECK_EQ(p.permille, 500);
    CHECK_EQ(p.left_ms, 10000);
}

static void without_bytes_to_scan_logs_count(void)
{
    const struct progress_facts dir = {200, 50, 0, 0};

    CHECK_EQ(progress_of(&dir, 1, WTIME_S(3)).permille, 250);
    CHECK_EQ(progress_of(&dir, 1, WTIME_S(3)).left_ms, 9000);
}

static void more_than_was_told_is_not_more_than_all(void)
{
    const struct progress_facts dir = {2, 1, 10, 30};
    struct progress p = progress_of(&dir, 1, WTIME_S(3));

    CHECK_EQ(p.to_scan, 30);
    CHECK_EQ(p.permille, 999); /* one log is not open yet */
}

static void a_correction_below_nothing_is_nothing(void)
{
    const struct progress_facts dir = {2, 1, -10, 0};

    CHECK_EQ(progress_of(&dir, 1, WTIME_S(3)).to_scan, 0);
}

static void nothing_to_open_is_whole(void)
{
    const struct progress_facts dir = {0, 0, 0, 0};

    CHECK_EQ(progress_of(&dir, 1, 0).permille, 1000);
    CHECK_EQ(progress_of(&dir, 1, 0).left_ms, 0);
}

static void what_is_left_is_not_guessed_too_early(void)
{
    const struct progress_facts slow = {2, 0, 1000 * MIB, 9 * MIB};
    const struct progress_facts young = {2, 0, 1000 * MIB, 500 * MIB};

    CHECK_EQ(progress_of(&slow, 1, WTIME_S(60)).left_ms, -1);
    CHECK_EQ(progress_of(&young, 1, WTIME_MS(900)).left_ms, -1);
}

static void the_largest_log_goes_first(void) /* [LOG-14] */
{
    struct progress_log logs[] = {{5, 0}, {0, 1}, {70, 2}, {5, 3}};
    const size_t want[] = {2, 0, 3, 1};

    qsort(logs, 4, sizeof(logs[0]), progress_compare_logs);
    for (size_t i = 0; i < 4; i++) {
        CHECK_EQ(logs[i].index, want[i]);
    }
}

static void lines_are_paced(void)
{
    CHECK_EQ(progress_next_line(WTIME_S(100), WTIME_S(100)), WTIME_S(101));
    CHECK_EQ(progress_next_line(WTIME_S(100), WTIME_S(101)), WTIME_S(106));
    CHECK_EQ(progress_next_line(WTIME_S(100), WTIME_S(107)), WTIME_S(112));
}

static const struct check_case cases[] = {
        CASE(directories_are_counted_together),
        CASE(without_bytes_to_scan_logs_count),
        CASE(more_than_was_told_is_not_more_than_all),
        CASE(a_correction_below_nothing_is_nothing),
        CASE(nothing_to_open_is_whole),
        CASE(what_is_left_is_not_guessed_too_early),
        CASE(the_largest_log_goes_first),
        CASE(lines_are_paced),
};
CHECK_MAIN("progress", cases)
