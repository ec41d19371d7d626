/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/pending.h"

#include "tests/lib/check.h"

enum {
    DEADLINE = 500,
    NOW = 100
};

struct fixture {
    struct pending p;
    struct pending_part parts[4];
};

static void fetch_of(struct fixture *f, size_t n, size_t min_bytes, wtime deadline)
{
    *f = (struct fixture){0};
    pending_init_fetch(&f->p, f->parts, n, min_bytes, deadline);
}

static enum pending_fx part(struct fixture *f, size_t i, int error, size_t bytes, bool older)
{
    enum pending_fx fx;

    pending_step(&f->p,
            &(struct pending_event){.kind = PENDING_EV_PART,
                    .now = NOW,
                    .part = i,
                    .error = error,
                    .base = 7,
                    .bytes = bytes,
                    .is_older_segment = older},
            &fx);
    return fx;
}

static enum pending_fx at(struct fixture *f, enum pending_event_kind kind, wtime now)
{
    enum pending_fx fx;

    pending_step(&f->p, &(struct pending_event){.kind = kind, .now = now}, &fx);
    return fx;
}

static enum pending_fx ready(struct fixture *f)
{
    return at(f, PENDING_EV_READY, NOW);
}

static void a_fetch_of_nothing_is_answered_at_once(void) /* [BRK-20] */
{
    struct fixture f;

    fetch_of(&f, 0, 1000, DEADLINE);
    CHECK_EQ(ready(&f), PENDING_FX_ANSWER);
}

static void a_fetch_that_does_not_wait_is_answered_at_once(void) /* [BRK-20] */
{
    struct fixture f;

    fetch_of(&f, 1, 1000, NOW);
    (void)part(&f, 0, ERRCODE_NONE, 0, false);
    CHECK_EQ(ready(&f), PENDING_FX_ANSWER);
}

static void min_bytes_of_zero_never_waits(void)
{
    struct fixture f;

    fetch_of(&f, 1, 0, DEADLINE);
    (void)part(&f, 0, ERRCODE_NONE, 0, false);
    CHECK_EQ(ready(&f), PENDING_FX_ANSWER);
}

static void enough_bytes_over_all_partitions_answer_at_once(void) /* [BRK-21] */
{
    struct fixture f;

    fetch_of(&f, 2, 100, DEADLINE);
    CHECK_EQ(part(&f, 0, ERRCODE_NONE, 60, false), PENDING_FX_NOTHING);
    CHECK_EQ(part(&f, 1, ERRCODE_NONE, 40, false), PENDING_FX_NOTHING);
    CHECK_EQ(ready(&f), PENDING_FX_ANSWER);
}

static void one_byte_short_waits(void)
{
    struct fixture f;

    fetch_of(&f, 2, 100, DEADLINE);
    (void)part(&f, 0, ERRCODE_NONE, 60, false);
    (void)part(&f, 1, ERRCODE_NONE, 39, false);
    CHECK_EQ(ready(&f), PENDING_FX_PARK);
    CHECK_EQ(pending_deadline(&f.p), DEADLINE);
}

static void an_error_answers_at_once(void) /* [BRK-22] */
{
    struct fixture f;

    fetch_of(&f, 2, 100, DEADLINE);
    (void)part(&f, 0, ERRCODE_NONE, 0, false);
    (void)part(&f, 1, ERRCODE_NOT_LEADER_OR_FOLLOWER, 0, false);
    CHECK_EQ(ready(&f), PENDING_FX_ANSWER);
}

static void an_offset_on_an_older_segment_answers_whatever_min_bytes_is(void) /* [BRK-23] */
{
    struct fixture f;

    fetch_of(&f, 1, 1000000, DEADLINE);
    (void)part(&f, 0, ERRCODE_NONE, 10, true);
    CHECK_EQ(ready(&f), PENDING_FX_ANSWER);
}

static void a_parked_fetch_is_released_by_bytes_that_replace_what_was_counted(void)
{
    struct fixture f;

    fetch_of(&f, 2, 100, DEADLINE);
    (void)part(&f, 0, ERRCODE_NONE, 50, false);
    (void)part(&f, 1, ERRCODE_NONE, 0, false);
    CHECK_EQ(ready(&f), PENDING_FX_PARK);
    CHECK_EQ(part(&f, 0, ERRCODE_NONE, 99, false), PENDING_FX_NOTHING); /* 99, not 149 */
    CHECK_EQ(part(&f, 1, ERRCODE_NONE, 1, false), PENDING_FX_ANSWER);
    CHECK_EQ(pending_deadline(&f.p), WTIME_NEVER);
}

static void a_parked_fetch_is_released_by_lost_leadership(void) /* [BRK-22] */
{
    struct fixture f;

    fetch_of(&f, 1, 100, DEADLINE);
    (void)part(&f, 0, ERRCODE_NONE, 0, false);
    CHECK_EQ(ready(&f), PENDING_FX_PARK);
    CHECK_EQ(part(&f, 0, ERRCODE_FENCED_LEADER_EPOCH, 0, false), PENDING_FX_ANSWER);
}

static void a_parked_fetch_is_released_by_a_roll_of_its_segment(void) /* [BRK-23] */
{
    struct fixture f;

    fetch_of(&f, 1, 1000, DEADLINE);
    (void)part(&f, 0, ERRCODE_NONE, 0, false);
    CHECK_EQ(ready(&f), PENDING_FX_PARK);
    CHECK_EQ(part(&f, 0, ERRCODE_NONE, 5, true), PENDING_FX_ANSWER);
}

static void a_parked_fetch_ends_at_its_deadline_and_not_before(void) /* [BRK-24] */
{
    struct fixture f;

    fetch_of(&f, 1, 1000, DEADLINE);
    (void)part(&f, 0, ERRCODE_NONE, 5, false);
    CHECK_EQ(ready(&f), PENDING_FX_PARK);
    CHECK_EQ(at(&f, PENDING_EV_TICK, DEADLINE - 1), PENDING_FX_NOTHING);
    CHECK_EQ(at(&f, PENDING_EV_TICK, DEADLINE), PENDING_FX_ANSWER);
    CHECK_EQ(at(&f, PENDING_EV_TICK, DEADLINE + 1), PENDING_FX_NOTHING); /* exactly once */
    CHECK_EQ(part(&f, 0, ERRCODE_NONE, 5000, false), PENDING_FX_NOTHING);
}

static void produce_of(struct fixture *f, size_t n, wtime deadline)
{
    *f = (struct fixture){0};
    pending_init_produce(&f->p, f->parts, n, deadline);
}

static void a_produce_with_all_outcomes_is_answered_at_once(void)
{
    struct fixture f;

    produce_of(&f, 2, DEADLINE);
    (void)part(&f, 0, ERRCODE_NONE, 0, false);
    (void)part(&f, 1, ERRCODE_MESSAGE_TOO_LARGE, 0, false);
    CHECK_EQ(ready(&f), PENDING_FX_ANSWER);
    CHECK_EQ(f.parts[0].base, 7);
    CHECK_EQ(f.parts[1].error, ERRCODE_MESSAGE_TOO_LARGE);
    CHECK_EQ(f.parts[1].base, OFFSET_NONE);
}

static void a_produce_waits_for_its_last_partition(void)
{
    struct fixture f;

    produce_of(&f, 2, DEADLINE);
    (void)part(&f, 0, ERRCODE_NONE, 0, false);
    CHECK_EQ(ready(&f), PENDING_FX_PARK);
    CHECK_EQ(part(&f, 1, ERRCODE_NONE, 0, false), PENDING_FX_ANSWER);
}

static void a_produce_that_is_late_has_an_unknown_outcome_where_it_has_none(void)
{
    struct fixture f;

    produce_of(&f, 2, DEADLINE);
    (void)part(&f, 0, ERRCODE_NONE, 0, false);
    CHECK_EQ(ready(&f), PENDING_FX_PARK);
    CHECK_EQ(at(&f, PENDING_EV_TICK, DEADLINE), PENDING_FX_ANSWER);
    CHECK_EQ(f.parts[0].error, ERRCODE_NONE);
    CHECK_EQ(f.parts[0].base, 7);
    CHECK_EQ(f.parts[1].error, ERRCODE_REQUEST_TIMED_OUT);
    CHECK_EQ(part(&f, 1, ERRCODE_NONE, 0, false), PENDING_FX_NOTHING); /* it crossed the answer */
}

static const struct check_case cases[] = {
        CASE(a_fetch_of_nothing_is_answered_at_once),
        CASE(a_fetch_that_does_not_wait_is_answered_at_once),
        CASE(min_bytes_of_zero_never_waits),
        CASE(enough_bytes_over_all_partitions_answer_at_once),
        CASE(one_byte_short_waits),
        CASE(an_error_answers_at_once),
        CASE(an_offset_on_an_older_segment_answers_whatever_min_bytes_is),
        CASE(a_parked_fetch_is_released_by_bytes_that_replace_what_was_counted),
        CASE(a_parked_fetch_is_released_by_lost_leadership),
        CASE(a_parked_fetch_is_released_by_a_roll_of_its_segment),
        CASE(a_parked_fetch_ends_at_its_deadline_and_not_before),
        CASE(a_produce_with_all_outcomes_is_answered_at_once),
        CASE(a_produce_waits_for_its_last_partition),
        CASE(a_produce_that_is_late_has_an_unknown_outcome_where_it_has_none),
};
CHECK_MAIN("pending", cases)
