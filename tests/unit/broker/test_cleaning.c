/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/cleaning.h"

#include "tests/lib/check.h"

enum {
    NOW = 1000000
};

static const struct cleaning_policy plain = {.segment_bytes = 1000,
        .delete_retention_ms = 500,
        .max_lag_ms = INT64_MAX,
        .dirty_ratio_ppm = 500000};

/* Segments of 100 offsets and bytes each. */
static void make(struct cleaning_segment *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        s[i] = (struct cleaning_segment){.base = (offset64)i * 100,
                .end = (offset64)i * 100 + 100,
                .size = 100,
                .first_timestamp = NOW - 1000 + (wall_ms)i * 100,
                .max_timestamp = NOW - 950 + (wall_ms)i * 100,
                .is_synced = true};
    }
}

static struct cleaning_range choose(const struct cleaning_policy *p,
        const struct cleaning_segment *s,
        size_t n,
        offset64 first_dirty,
        offset64 limit)
{
    struct cleaning_range r;

    cleaning_choose(p, s, n, first_dirty, limit, NOW, &r);
    return r;
}

static void whole_synced_segments_below_the_limit_are_cleaned(void) /* [LOG-40] */
{
    static const struct {
        offset64 limit;
        size_t unsynced; /* from here on */
        size_t n_segments;
        offset64 end;
    } table[] = {{400, 9, 4, 400}, {399, 9, 3, 300}, {1000, 9, 4, 400}, {400, 2, 2, 200},
            {99, 9, 0, 0}, {400, 0, 0, 0}};
    struct cleaning_segment s[4];

    for (size_t i = 0; i < COUNT_OF(table); i++) {
        make(s, 4);
        for (size_t k = table[i].unsynced; k < 4; k++) {
            s[k].is_synced = false;
        }
        struct cleaning_range r = choose(&plain, s, 4, 0, table[i].limit);
        CHECK_EQ(r.n_segments, table[i].n_segments);
        CHECK_EQ(r.end, table[i].end);
        CHECK_EQ(r.is_due, r.n_segments > 0);
    }
    CHECK_EQ(choose(&plain, s, 0, 0, 100).n_segments, 0);
}

static void young_segments_wait(void) /* [LOG-41] */
{
    struct cleaning_policy p = plain;
    struct cleaning_segment s[4];

    make(s, 4); /* largest timestamps: 950, 850, 750, 650 ms ago */
    p.min_lag_ms = 800;
    CHECK_EQ(choose(&p, s, 4, 0, 400).n_segments, 2);
    p.min_lag_ms = 850;
    CHECK_EQ(choose(&p, s, 4, 0, 400).n_segments, 2);
    p.min_lag_ms = 951;
    CHECK_EQ(choose(&p, s, 4, 0, 400).n_segments, 0);
    p.min_lag_ms = 1;
    s[1].max_timestamp = NOW + 5000; /* from the future */
    CHECK_EQ(choose(&p, s, 4, 0, 400).n_segments, 1);
}

static void more_than_the_ratio_must_be_dirty(void) /* [LOG-42] */
{
    struct cleaning_policy p = plain;
    struct cleaning_segment s[4];

    make(s, 4);
    CHECK(!choose(&p, s, 4, 200, 400).is_due); /* half is not more than half */
    CHECK_EQ(choose(&p, s, 4, 200, 400).dirty_ppm, 500000);
    CHECK(choose(&p, s, 4, 150, 400).is_due); /* a segment that is dirty in part counts whole */
    CHECK_EQ(choose(&p, s, 4, 150, 400).dirty_bytes, 300);
    CHECK(!choose(&p, s, 4, 400, 400).is_due);
    p.dirty_ratio_ppm = 0;
    CHECK(choose(&p, s, 4, 300, 400).is_due);
    CHECK(!choose(&p, s, 4, 400, 400).is_due);
    CHECK_EQ(choose(&p, s + 2, 2, 50, 400).from, 200); /* the log begins later by now */
}

static void what_waited_too_long_is_due_and_first(void) /* [LOG-43] */
{
    struct cleaning_policy p = plain;
    struct cleaning_segment s[4];

    make(s, 4);
    p.max_lag_ms = 699; /* the last one began 700 ms ago */
    struct cleaning_range urgent = choose(&p, s, 4, 300, 400);
    CHECK(urgent.is_due && urgent.is_urgent);
    p.max_lag_ms = 700;
    CHECK(!choose(&p, s, 4, 300, 400).is_due);
    struct cleaning_range dirty = choose(&p, s, 4, 0, 400);
    dirty.is_urgent = false;
    CHECK(cleaning_is_before(&urgent, &dirty));
    CHECK(!cleaning_is_before(&dirty, &urgent));
    s[3].first_timestamp = -1; /* not known */
    p.max_lag_ms = 1;
    CHECK(!choose(&p, s, 4, 300, 400).is_due);
}

static void small_neighbours_become_one(void) /* [LOG-44] */
{
    struct cleaning_policy p = plain;
    struct cleaning_segment s[300];

    make(s, 300);
    CHECK_EQ(cleaning_group(&p, s, 300), 10); /* 1000 bytes */
    p.segment_bytes = 50;
    CHECK_EQ(cleaning_group(&p, s, 300), 1); /* one that is too large already stays alone */
    p.segment_bytes = INT64_MAX;
    CHECK_EQ(cleaning_group(&p, s, 300), CLEANING_GROUP_MAX);
    CHECK_EQ(cleaning_group(&p, s, 7), 7);
    s[3].end = (offset64)INT32_MAX + 1;
    s[4].end = (offset64)INT32_MAX + 2;
    CHECK_EQ(cleaning_group(&p, s, 7), 4); /* INT32_MAX is the largest delta */
    make(s, 3);
    s[0].index_size = s[1].index_size = CLEANING_INDEX_MAX / 2;
    s[2].index_size = 8;
    CHECK_EQ(cleaning_group(&p, s, 3), 2);
}

static void record_stays_when_it_is_the_newest_of_its_key(void) /* [LOG-45] [LOG-46] */
{
    static const struct {
        offset64 offset, newest;
        bool has_value;
        wall_ms horizon;
        bool stays;
    } table[] = {
            {10, OFFSET_NONE, true, -1, true},
            {10, 10, true, -1, true},
            {10, 11, true, -1, false},
            {10, 10, false, -1, true}, /* a tombstone that nobody has seen yet */
            {10, 10, false, NOW + 1, true},
            {10, 10, false, NOW, false},
            {10, OFFSET_NONE, false, NOW - 1, false},
            {10, 11, false, -1, false},
            {10, 10, true, NOW - 1, true}, /* the horizon is of its batch's tombstones only */
            {50, 60, true, -1, true},      /* not judged */
            {50, OFFSET_NONE, false, NOW - 1, true},
    };

    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct cleaning_batch b = {.horizon = table[i].horizon};
        CHECK_EQ(cleaning_keeps_record(
                         &b, table[i].offset, table[i].has_value, table[i].newest, 50, NOW),
                table[i].stays);
    }
    CHECK_EQ(cleaning_new_horizon(&plain, NOW), NOW + 500);
    struct cleaning_policy forever = {.delete_retention_ms = INT64_MAX};
    CHECK_EQ(cleaning_new_horizon(&forever, NOW), INT64_MAX);
}

/* --- Batches ------------------------------------------------------------------------------------------------------ */

static struct cleaning_batch data(offset64 at, int64_t producer, bool is_transactional)
{
    return (struct cleaning_batch){.base = at,
            .last = at,
            .producer_id = producer,
            .is_transactional = is_transactional,
            .max_timestamp = NOW,
            .horizon = -1};
}

static struct cleaning_batch marker(offset64 at, int64_t producer, enum cleaning_marker kind)
{
    struct cleaning_batch b = data(at, producer, true);

    b.marker = kind;
    return b;
}

/* What becomes of the last of them. */
static struct cleaning_judgement judge_last(const struct cleaning_batch *b, size_t n, size_t from)
{
    struct cleaning_survey *s = cleaning_survey_new(NOW, 1000);
    struct cleaning_judgement j = {0};

    for (size_t i = 0; i < n; i++) {
        cleaning_survey_see(s, &b[i]);
    }
    struct cleaning_walk *w = cleaning_walk_new(s);
    for (size_t i = from; i < n; i++) {
        cleaning_judge(w, &b[i], false, NOW, &j);
    }
    (void)cleaning_walk_free(w);
    (void)cleaning_survey_free(s);
    return j;
}

static void aborted_data_goes_at_once(void) /* [LOG-47] */
{
    struct cleaning_batch b[] = {data(0, 1, true), data(1, 2, true), marker(2, 2, CLEANING_COMMIT),
            data(3, 1, true), marker(4, 1, CLEANING_ABORT)};
    struct cleaning_survey *s = cleaning_survey_new(NOW, 1000);
    struct cleaning_judgement j;

    for (size_t i = 0; i < COUNT_OF(b); i++) {
        cleaning_survey_see(s, &b[i]);
    }
    struct cleaning_walk *w = cleaning_walk_new(s);
    static const bool aborted[] = {true, false, false, true, false};
    for (size_t i = 0; i < COUNT_OF(b); i++) {
        cleaning_judge(w, &b[i], false, NOW, &j);
        CHECK_EQ(j.is_aborted, aborted[i]);
        CHECK_EQ(j.drops_records, aborted[i]);
    }
    (void)cleaning_walk_free(w);
    (void)cleaning_survey_free(s);
}

static void a_walk_that_begins_later_knows_what_had_ended(void) /* [LOG-47] */
{
    struct cleaning_batch b[] = {data(0, 1, true), marker(1, 1, CLEANING_ABORT), data(2, 1, true)};

    CHECK(!judge_last(b, 3, 2).is_aborted);
    struct cleaning_batch open[] = {data(0, 1, true), data(1, 1, true), marker(2, 1, CLEANING_ABORT)};
    CHECK(judge_last(open, 2, 1).is_aborted == false); /* its end was not seen: the caller stops before */
    CHECK_EQ(judge_last(open, 3, 1).is_aborted, false);
}

static void marker_stays_with_its_data_and_then_for_its_time(void) /* [LOG-47] [LOG-48] */
{
    static const enum cleaning_marker kinds[] = {CLEANING_COMMIT, CLEANING_ABORT};

    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        struct cleaning_batch with[] = {data(0, 1, true), marker(1, 1, kinds[i])};
        struct cleaning_judgement j = judge_last(with, 2, 0);
        CHECK(!j.drops_records && !j.wants_horizon);

        struct cleaning_batch alone[] = {marker(1, 1, kinds[i])};
        j = judge_last(alone, 1, 0);
        CHECK(!j.drops_records && j.wants_horizon);
        alone[0].horizon = NOW + 1;
        CHECK(!judge_last(alone, 1, 0).drops_records);
        alone[0].horizon = NOW;
        CHECK(judge_last(alone, 1, 0).drops_records);

        /* The data of an earlier transaction is not this one's. */
        struct cleaning_batch next[] = {
                data(0, 1, true), marker(1, 1, CLEANING_COMMIT), marker(2, 1, kinds[i])};
        CHECK(judge_last(next, 3, 0).wants_horizon);
    }
    struct cleaning_batch other[] = {marker(1, 1, CLEANING_OTHER_MARKER)};
    CHECK(!judge_last(other, 1, 0).wants_horizon);
}

static void last_batch_of_a_producer_stays_until_it_expires(void) /* [LOG-49] */
{
    struct cleaning_batch b[] = {data(0, 1, false), data(1, 1, false), data(2, 2, false)};

    CHECK(judge_last(b, 3, 0).keeps_empty);
    CHECK(judge_last(b, 2, 0).keeps_empty);
    struct cleaning_batch older[] = {data(1, 1, false), data(0, 1, false)};
    CHECK(!judge_last(older, 1, 1).keeps_empty); /* nobody was judged */
    b[2].max_timestamp = NOW - 1000;
    CHECK(judge_last(b, 3, 0).keeps_empty);
    b[2].max_timestamp = NOW - 1001;
    CHECK(!judge_last(b, 3, 0).keeps_empty);
    struct cleaning_batch none[] = {data(0, -1, false)};
    CHECK(!judge_last(none, 1, 0).keeps_empty);
    /* The sequence is in the data; a marker counts where there is none. */
    struct cleaning_batch ended[] = {data(0, 1, true), marker(1, 1, CLEANING_COMMIT)};
    CHECK(!judge_last(ended, 2, 0).keeps_empty);
    CHECK(judge_last(ended + 1, 1, 0).keeps_empty);
}

static void last_batch_of_a_segment_stays(void) /* [LOG-50] */
{
    struct cleaning_survey *s = cleaning_survey_new(NOW, 1000);
    struct cleaning_walk *w = cleaning_walk_new(s);
    struct cleaning_batch b = data(0, -1, false);
    struct cleaning_judgement j;

    cleaning_judge(w, &b, true, NOW, &j);
    CHECK(j.keeps_empty);
    cleaning_judge(w, &b, false, NOW, &j);
    CHECK(!j.keeps_empty);
    (void)cleaning_walk_free(w);
    (void)cleaning_survey_free(s);
}

static void an_open_transaction_ends_what_may_be_cleaned(void) /* [LOG-40] */
{
    struct cleaning_batch b[] = {data(3, 1, true), data(4, 2, true), marker(5, 1, CLEANING_COMMIT),
            data(6, 1, true)};
    static const offset64 first[] = {3, 3, 4, 4};
    struct cleaning_survey *s = cleaning_survey_new(NOW, 1000);

    CHECK_EQ(cleaning_survey_first_open(s), OFFSET_NONE);
    for (size_t i = 0; i < COUNT_OF(b); i++) {
        cleaning_survey_see(s, &b[i]);
        CHECK_EQ(cleaning_survey_first_open(s), first[i]);
    }
    (void)cleaning_survey_free(s);
}

static const struct check_case cases[] = {
        CASE(whole_synced_segments_below_the_limit_are_cleaned),
        CASE(young_segments_wait),
        CASE(more_than_the_ratio_must_be_dirty),
        CASE(what_waited_too_long_is_due_and_first),
        CASE(small_neighbours_become_one),
        CASE(record_stays_when_it_is_the_newest_of_its_key),
        CASE(aborted_data_goes_at_once),
        CASE(a_walk_that_begins_later_knows_what_had_ended),
        CASE(marker_stays_with_its_data_and_then_for_its_time),
        CASE(last_batch_of_a_producer_stays_until_it_expires),
        CASE(last_batch_of_a_segment_stays),
        CASE(an_open_transaction_ends_what_may_be_cleaned),
};
CHECK_MAIN("cleaning", cases)
