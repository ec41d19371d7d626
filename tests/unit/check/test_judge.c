/* SPDX-License-Identifier: Apache-2.0 */
/* Histories of a correct cluster are right; each kind of wrong is found, and it alone. */
#include "clients/check/judge.h"
#include "clients/check/verdict.h"
#include "common/base/prng.h"
#include "tests/lib/check.h"
#include "tests/unit/check/histories.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    SEEDS = 12,
    RECORDS = 400
};

static void add_lines(struct history *h, const struct buf *lines)
{
    const char *at = (const char *)lines->data;
    const char *end = at + lines->size;
    char why[256] = "";

    for (const char *n; at < end && (n = memchr(at, '\n', (size_t)(end - at))) != NULL;
            at = n + 1) {
        if (history_add_line(h, at, (size_t)(n - at), why, sizeof(why)) != 0) {
            check_fail(__FILE__, __LINE__, "%s: %.*s", why, (int)(n - at), at);
        }
    }
}

static void judge_lines(const struct buf *lines, struct history *h, struct judge_verdict *v)
{
    history_init(h);
    history_begin_file(h, "made");
    add_lines(h, lines);
    judge_history(h, v);
}

static void print_verdict(const struct history *h, const struct judge_verdict *v)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);

    CHECK(f != NULL);
    verdict_print(f, h, v);
    CHECK_EQ(fclose(f), 0);
    for (char *line = text, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        printf("# %.*s\n", (int)(end - line), line);
    }
    free(text);
}

/* Judges what was made; `wanted` = the one property that is violated, JUDGE_N_PROPERTIES = none. */
static void expect(const struct made *m, uint64_t seed, enum judge_property wanted, uint64_t n)
{
    struct buf lines = {0};
    struct history h;
    struct judge_verdict v;

    made_write(m, -1, &lines);
    judge_lines(&lines, &h, &v);
    for (int p = 0; p < JUDGE_N_PROPERTIES; p++) {
        uint64_t cases = p == (int)wanted ? n : 0;
        if (v.results[p].n != cases) {
            print_verdict(&h, &v);
            check_fail(__FILE__, __LINE__, "seed %llu: %llu cases of %s, not %llu",
                    (unsigned long long)seed, (unsigned long long)v.results[p].n,
                    judge_id((enum judge_property)p), (unsigned long long)cases);
        }
        CHECK(v.results[p].is_judged || (p == JUDGE_C2_UNSEEN && !m->has_final));
    }
    history_deinit(&h);
    buf_deinit(&lines);
}

/* For each seed: a history is right, and after `doctor` it is wrong in that one way. */
static void each_seed(void (*doctor)(struct made *m, struct prng *p), enum judge_property wanted)
{
    for (uint64_t seed = check_seed(); seed < check_seed() + SEEDS; seed++) {
        struct made m;
        struct prng p;
        prng_init(&p, seed ^ 0x5eed);
        made_init(&m, seed, RECORDS);
        expect(&m, seed, JUDGE_N_PROPERTIES, 0);
        doctor(&m, &p);
        expect(&m, seed, wanted, wanted == JUDGE_N_PROPERTIES ? 0 : 1);
        made_deinit(&m);
    }
}

static struct made_record *pick(struct made *m, struct prng *p)
{
    return &m->records.items[made_pick(m, prng_u64(p) % 1000)];
}

static size_t number_of(const struct made *m, const struct made_record *r)
{
    return (size_t)(r - m->records.items);
}

/* --- Doctors ---------------------------------------------------------------------------------- */

static void leave_out(struct made *m, size_t record)
{
    ARRAY_FOREACH (r, &m->reads) {
        r->is_left_out = r->is_left_out || r->record == record;
    }
}

static void lose(struct made *m, struct prng *p)
{
    leave_out(m, number_of(m, pick(m, p)));
}

/* The last one of its partition: nobody read anything behind it. */
static void cut_off_the_last(struct made *m, struct prng *p)
{
    for (size_t i = m->records.n; i-- > 0;) {
        const struct made_record *r = &m->records.items[i];
        if (r->outcome == 'o' && r->offset == m->ends[r->partition] - 1) {
            leave_out(m, i);
            return;
        }
    }
    (void)p;
    check_fail(__FILE__, __LINE__, "every partition ends with what was not acknowledged");
}

/* A consumer read it, and it is no longer there. */
static void forget(struct made *m, struct prng *p)
{
    size_t record = number_of(m, pick(m, p));
    bool is_read = false;

    ARRAY_FOREACH (r, &m->reads) {
        if (r->record == record) {
            r->is_left_out = r->consumer == MADE_CONSUMERS;
            is_read = is_read || r->consumer < MADE_CONSUMERS;
        }
    }
    if (!is_read) { /* then the first consumer did */
        struct made_read r = {.consumer = 0,
                .record = record,
                .offset = m->records.items[record].offset,
                .hash = m->records.items[record].hash};
        *array_push(&m->reads) = r;
    }
}

/* Another consumer reads another value there: one of those of which nobody knew. */
static void put_another_there(struct made *m, struct prng *p)
{
    const struct made_record *r = pick(m, p);

    for (size_t i = 0; i < m->records.n; i++) {
        const struct made_record *other = &m->records.items[i];
        if (other->outcome == 'i' && other->offset < 0 && other->partition == r->partition) {
            *array_push(&m->reads) = (struct made_read){
                    .consumer = 0, .record = i, .offset = r->offset, .hash = other->hash};
            return;
        }
    }
    check_fail(__FILE__, __LINE__, "no such value");
}

/* Once more, behind everything. */
static void write_twice(struct made *m, struct prng *p)
{
    const struct made_record *r = pick(m, p);

    *array_push(&m->reads) = (struct made_read){.consumer = MADE_CONSUMERS,
            .record = number_of(m, r),
            .offset = m->ends[r->partition]++,
            .hash = r->hash};
}

static void write_what_failed(struct made *m, struct prng *p)
{
    for (size_t i = 0; i < m->records.n; i++) {
        struct made_record *r = &m->records.items[(i + prng_below(p, 7)) % m->records.n];
        if (r->outcome == 'f') {
            *array_push(&m->reads) = (struct made_read){.consumer = MADE_CONSUMERS,
                    .record = number_of(m, r),
                    .offset = m->ends[r->partition]++,
                    .hash = r->hash};
            return;
        }
    }
    check_fail(__FILE__, __LINE__, "nothing failed");
}

/* Two neighbours of one producer stand the other way round, and everybody says so. */
static void swap_two(struct made *m, struct prng *p)
{
    for (;;) {
        struct made_record *a = pick(m, p);
        size_t next = made_at(m, a->partition, a->offset + 1);
        struct made_record *b = next < m->records.n ? &m->records.items[next] : NULL;
        if (b == NULL || b->outcome != 'o' || b->producer != a->producer) {
            continue;
        }
        int64_t at = a->offset;
        a->offset = a->acked = b->offset;
        b->offset = b->acked = at;
        ARRAY_FOREACH (r, &m->reads) {
            r->record = r->record == number_of(m, a)   ? number_of(m, b)
                        : r->record == number_of(m, b) ? number_of(m, a)
                                                       : r->record;
            r->hash = m->records.items[r->record].hash;
        }
        array_clear(&m->listings); /* one between the two would have been told less */
        *array_push(&m->listings) = (struct made_listing){
                .partition = a->partition, .after = m->records.n, .end = m->ends[a->partition]};
        return;
    }
}

static void say_another_offset(struct made *m, struct prng *p)
{
    pick(m, p)->acked -= 2; /* where an earlier one stands */
}

static void change_a_byte(struct made *m, struct prng *p)
{
    for (;;) {
        struct made_read *r = &m->reads.items[prng_below(p, m->reads.n)];
        if (r->consumer == MADE_CONSUMERS) {
            r->hash ^= 1;
            return;
        }
    }
}

/* The last listing tells less than its own client had been told to be written. */
static void list_less(struct made *m, struct prng *p)
{
    const struct made_record *last = NULL;

    (void)p;
    for (size_t i = 0; i < m->records.n; i++) {
        last = m->records.items[i].outcome == 'o' ? &m->records.items[i] : last;
    }
    CHECK(last != NULL);
    *array_push(&m->listings) = (struct made_listing){.producer = last->producer,
            .partition = last->partition,
            .after = m->records.n,
            .end = last->offset};
}

/* --- Cases ------------------------------------------------------------------------------------ */

static void a_lost_write_is_found(void)
{
    each_seed(lose, JUDGE_C1_LOST);
}

static void what_is_not_there_at_the_end_is_found(void)
{
    each_seed(cut_off_the_last, JUDGE_C2_UNSEEN);
}

static void what_was_read_and_is_gone_is_found(void)
{
    each_seed(forget, JUDGE_C2_UNSEEN);
}

static void two_values_at_one_offset_are_found(void)
{
    each_seed(put_another_there, JUDGE_C3_INCONSISTENT);
}

static void a_duplicate_is_found(void)
{
    each_seed(write_twice, JUDGE_C4_DUPLICATE);
}

static void a_failed_write_that_is_read_is_found(void)
{
    each_seed(write_what_failed, JUDGE_C5_FAILED_READ);
}

static void a_wrong_order_is_found(void)
{
    each_seed(swap_two, JUDGE_C6_REORDERED);
}

static void a_displaced_value_is_found(void)
{
    each_seed(say_another_offset, JUDGE_C11_DISPLACED);
}

static void changed_bytes_are_found(void)
{
    each_seed(change_a_byte, JUDGE_C13_CHANGED);
}

static void an_end_that_goes_back_is_found(void)
{
    each_seed(list_less, JUDGE_C14_END_BACK);
}

/* Producers and readers have written files of their own. */
static void files_are_judged_together(void)
{
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct made m;
        made_init(&m, seed, RECORDS);
        for (int wrong = 0; wrong < 2; wrong++) {
            struct history h;
            struct judge_verdict v;
            history_init(&h);
            for (int only = MADE_PRODUCERS + MADE_CONSUMERS; only >= 0; only--) {
                struct buf lines = {0};
                made_write(&m, only, &lines);
                history_begin_file(&h, "one");
                add_lines(&h, &lines);
                buf_deinit(&lines);
            }
            judge_history(&h, &v);
            CHECK_EQ(judge_n_violated(&v), wrong);
            CHECK_EQ(v.results[JUDGE_C1_LOST].n, wrong);
            CHECK_EQ(v.n_foreign, 0);
            history_deinit(&h);
            leave_out(&m, made_pick(&m, seed));
        }
        made_deinit(&m);
    }
}

static void without_the_senders_history_nothing_is_said_of_it(void)
{
    struct made m;
    struct buf lines = {0};
    struct history h;
    struct judge_verdict v;

    made_init(&m, 7, RECORDS);
    int64_t n = m.ends[0] + m.ends[1] + m.ends[2];
    write_twice(&m, &(struct prng){.s = {1, 2, 3, 4}}); /* it may be a sender that does so */
    made_write(&m, MADE_PRODUCERS + MADE_CONSUMERS, &lines);
    judge_lines(&lines, &h, &v);
    CHECK_EQ(judge_n_violated(&v), 0);
    CHECK_EQ(v.n_doubled, 0);
    CHECK_EQ(v.n_foreign, n);
    CHECK(!v.results[JUDGE_C6_REORDERED].is_judged);
    CHECK(!v.results[JUDGE_C14_END_BACK].is_judged);
    history_deinit(&h);
    buf_deinit(&lines);
    made_deinit(&m);
}

static void without_a_final_read_only_what_was_passed_is_lost(void)
{
    struct made m;
    struct prng p;

    prng_init(&p, 3);
    made_init(&m, 3, RECORDS);
    m.has_final = false;
    expect(&m, 3, JUDGE_N_PROPERTIES, 0); /* the consumers began in the middle */
    cut_off_the_last(&m, &p);
    expect(&m, 3, JUDGE_N_PROPERTIES, 0); /* nobody went so far: it may be there */
    made_deinit(&m);
}

static const struct check_case cases[] = {
        CASE(a_lost_write_is_found),
        CASE(what_is_not_there_at_the_end_is_found),
        CASE(what_was_read_and_is_gone_is_found),
        CASE(two_values_at_one_offset_are_found),
        CASE(a_duplicate_is_found),
        CASE(a_failed_write_that_is_read_is_found),
        CASE(a_wrong_order_is_found),
        CASE(a_displaced_value_is_found),
        CASE(changed_bytes_are_found),
        CASE(an_end_that_goes_back_is_found),
        CASE(files_are_judged_together),
        CASE(without_the_senders_history_nothing_is_said_of_it),
        CASE(without_a_final_read_only_what_was_passed_is_lost),
};

CHECK_MAIN("judge", cases)
