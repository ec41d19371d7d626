/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/core/journal_window.h"
#include "tests/lib/check.h"

#define WINDOW(name, first)                                                                        \
    __attribute__((cleanup(journal_window_deinit))) struct journal_window name = {0};              \
    journal_window_begin(&name, (first))

static void add(struct journal_window *w, uint64_t from, uint64_t to, size_t size)
{
    for (uint64_t i = from; i <= to; i++) {
        journal_window_add(w, i, size);
    }
}

static void nothing_is_written_before_the_end_of_the_journal_is_known(void) /* [DEC-6] */
{
    WINDOW(w, 1);
    struct journal_work work;

    add(&w, 1, 5, 100);
    CHECK(!journal_window_next(&w, 10, 1000, &work));
    journal_window_meet(&w, 0);
    CHECK(journal_window_next(&w, 10, 1000, &work));
    CHECK(!work.has_gap);
    CHECK_EQ(work.first, 1);
    CHECK_EQ(work.n, 5);
}

static void written_entries_leave_and_the_rest_goes_on(void)
{
    WINDOW(w, 1);
    struct journal_work work;

    add(&w, 1, 5, 100);
    journal_window_meet(&w, 0);
    journal_window_ack(&w, 3);
    CHECK_EQ(journal_window_n(&w), 2);
    CHECK(journal_window_next(&w, 10, 1000, &work));
    CHECK_EQ(work.first, 4);
    journal_window_ack(&w, 5);
    CHECK(!journal_window_next(&w, 10, 1000, &work));
    add(&w, 6, 6, 100);
    CHECK(journal_window_next(&w, 10, 1000, &work));
    CHECK(!work.has_gap);
    CHECK_EQ(work.first, 6);
    journal_window_ack(&w, 2); /* an answer of long ago */
    CHECK_EQ(w.written, 5);
}

static void one_write_is_bounded_but_takes_at_least_one(void)
{
    WINDOW(w, 1);
    struct journal_work work;

    add(&w, 1, 5, 100);
    journal_window_meet(&w, 0);
    CHECK(journal_window_next(&w, 2, 1000, &work));
    CHECK_EQ(work.n, 2);
    CHECK(journal_window_next(&w, 10, 250, &work));
    CHECK_EQ(work.n, 2);
    CHECK(journal_window_next(&w, 10, 1, &work));
    CHECK_EQ(work.n, 1);
}

static void the_4097th_pushes_the_oldest_into_a_gap(void) /* [DEC-5] */
{
    WINDOW(w, 1);
    struct journal_work work;

    journal_window_meet(&w, 0);
    add(&w, 1, JOURNAL_WAITING_MAX, 100);
    CHECK(journal_window_next(&w, 1, 1, &work));
    CHECK(!work.has_gap);
    add(&w, JOURNAL_WAITING_MAX + 1, JOURNAL_WAITING_MAX + 10, 100);
    CHECK_EQ(journal_window_n(&w), JOURNAL_WAITING_MAX);
    CHECK(journal_window_next(&w, 1, 1, &work));
    CHECK(work.has_gap);
    CHECK(work.is_overflow);
    CHECK_EQ(work.gap_from, 1);
    CHECK_EQ(work.gap_to, 10);
    CHECK_EQ(work.first, 11);
    journal_window_ack(&w, 11); /* gap and entry were written together */
    CHECK(journal_window_next(&w, 1, 1, &work));
    CHECK(!work.has_gap);
    CHECK_EQ(work.first, 12);
}

static void a_gap_that_grows_while_it_is_written_is_told_twice_without_overlap(void) /* [DEC-5] */
{
    WINDOW(w, 1);
    struct journal_work work;

    journal_window_meet(&w, 0);
    add(&w, 1, JOURNAL_WAITING_MAX + 3, 100);
    CHECK(journal_window_next(&w, 1, 1, &work)); /* gap 1 to 3 and entry 4 are on their way */
    add(&w, JOURNAL_WAITING_MAX + 4, JOURNAL_WAITING_MAX + 9, 100);
    journal_window_ack(&w, 4);
    CHECK(journal_window_next(&w, 1, 1, &work));
    CHECK(work.has_gap);
    CHECK_EQ(work.gap_from, 5);
    CHECK_EQ(work.gap_to, 9);
    CHECK_EQ(work.first, 10);
}

static void bytes_are_bounded_too_but_one_entry_always_stays(void) /* [DEC-5] */
{
    WINDOW(w, 1);

    journal_window_meet(&w, 0);
    add(&w, 1, 40, JOURNAL_WAITING_BYTES / 32);
    CHECK_EQ(journal_window_n(&w), 32);
    add(&w, 41, 41, (size_t)JOURNAL_WAITING_BYTES + 1);
    CHECK_EQ(journal_window_n(&w), 1);
    CHECK_EQ(w.first, 41);
}

static void a_new_controller_goes_on_where_the_journal_ends(void) /* [DEC-6] */
{
    WINDOW(w, 100);
    struct journal_work work;

    add(&w, 100, 150, 10);
    journal_window_meet(&w, 120);
    CHECK(journal_window_next(&w, 100, 10000, &work));
    CHECK(!work.has_gap);
    CHECK_EQ(work.first, 121);
    CHECK_EQ(work.n, 30);
}

static void what_was_trimmed_before_a_takeover_is_a_gap(void) /* [DEC-6] */
{
    WINDOW(w, 100);
    struct journal_work work;

    add(&w, 100, 101, 10);
    journal_window_meet(&w, 80);
    CHECK(journal_window_next(&w, 100, 10000, &work));
    CHECK(work.has_gap);
    CHECK(!work.is_overflow);
    CHECK_EQ(work.gap_from, 81);
    CHECK_EQ(work.gap_to, 99);
    CHECK_EQ(work.first, 100);
    CHECK_EQ(work.n, 2);
}

static void what_the_log_still_has_closes_the_gap(void) /* [DEC-6] */
{
    WINDOW(w, 100);
    struct journal_work work;

    add(&w, 100, 101, 10);
    journal_window_meet(&w, 97);
    CHECK(journal_window_extend(&w, 20));
    CHECK(journal_window_extend(&w, 30));
    CHECK(journal_window_next(&w, 100, 10000, &work));
    CHECK(!work.has_gap);
    CHECK_EQ(work.first, 98);
    CHECK_EQ(work.n, 4);
    CHECK_EQ(w.bytes, 70);
    CHECK(!journal_window_extend(&w, JOURNAL_WAITING_BYTES)); /* [DEC-5] */
    journal_window_ack(&w, 98);
    CHECK_EQ(w.bytes, 40);
}

static void a_gap_is_written_although_nothing_waits_behind_it(void)
{
    WINDOW(w, 100);
    struct journal_work work;

    journal_window_meet(&w, 80);
    CHECK(journal_window_next(&w, 100, 10000, &work));
    CHECK(work.has_gap);
    CHECK_EQ(work.gap_to, 99);
    CHECK_EQ(work.n, 0);
    journal_window_ack(&w, 99);
    CHECK(!journal_window_next(&w, 100, 10000, &work));
}

static void a_journal_ahead_of_the_log_holds_nothing_up(void) /* [DEC-6] */
{
    WINDOW(w, 5);
    struct journal_work work;

    add(&w, 5, 9, 10);
    journal_window_meet(&w, 1000);
    CHECK(!journal_window_next(&w, 100, 10000, &work));
    add(&w, 10, 10, 10);
    CHECK(journal_window_next(&w, 100, 10000, &work));
    CHECK(!work.has_gap);
    CHECK_EQ(work.first, 10);
}

static void a_long_run_keeps_its_memory(void)
{
    WINDOW(w, 1);

    journal_window_meet(&w, 0);
    for (uint64_t i = 1; i <= 100000; i++) {
        journal_window_add(&w, i, 10);
        if (i > 3) {
            journal_window_ack(&w, i - 3);
        }
    }
    CHECK_EQ(journal_window_n(&w), 3);
    CHECK_EQ(w.bytes, 30);
    CHECK(w.sizes.cap < 10000);
}

static const struct check_case cases[] = {
        CASE(nothing_is_written_before_the_end_of_the_journal_is_known),
        CASE(written_entries_leave_and_the_rest_goes_on),
        CASE(one_write_is_bounded_but_takes_at_least_one),
        CASE(the_4097th_pushes_the_oldest_into_a_gap),
        CASE(a_gap_that_grows_while_it_is_written_is_told_twice_without_overlap),
        CASE(bytes_are_bounded_too_but_one_entry_always_stays),
        CASE(a_new_controller_goes_on_where_the_journal_ends),
        CASE(what_was_trimmed_before_a_takeover_is_a_gap),
        CASE(what_the_log_still_has_closes_the_gap),
        CASE(a_gap_is_written_although_nothing_waits_behind_it),
        CASE(a_journal_ahead_of_the_log_holds_nothing_up),
        CASE(a_long_run_keeps_its_memory),
};
CHECK_MAIN("journal_window", cases)
