/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/check/judge.h"

#include <stdlib.h>
#include <string.h>

/* What the reads say of a value. */
struct seen {
    int64_t offset; /* -1 = it was not read */
    uint32_t lane, line;
    bool is_at_acked;  /* read at the offset that was acknowledged */
    bool is_doubled;   /* counted already */
    bool is_displaced; /* read in a partition that it was not sent to */
    bool is_in_final;
};

/* One read or acknowledged offset. */
struct spot {
    int64_t offset;
    uint32_t key, value, line;
};

struct interval {
    int64_t begin, end;
    uint32_t key;
};

struct judging {
    const struct history *h;
    struct judge_verdict *v;
    struct seen *seen;        /* of each value */
    struct interval *covered; /* read without a hole by somebody: sorted, apart */
    size_t n_covered;
    size_t *first_covered;               /* of each key, and one more */
    int64_t *start;                      /* of each key: records below may have been deleted */
    const struct history_final **finals; /* of each key; NULL = none */
};

static const struct {
    const char *id, *name, *demand;
} properties[JUDGE_N_PROPERTIES] = {
        [JUDGE_C1_LOST] = {"C1", "lost write",
                "what acks=all acknowledged below an offset that was read is read by somebody"},
        [JUDGE_C2_UNSEEN] = {"C2", "unseen", "what acks=all acknowledged is in the final read"},
        [JUDGE_C3_INCONSISTENT] = {"C3", "inconsistent offset", "an offset has one value"},
        [JUDGE_C4_DUPLICATE] = {"C4", "duplicate",
                "a value of an idempotent producer stands at one offset"},
        [JUDGE_C5_FAILED_READ] = {"C5", "failed read",
                "a value that certainly was not written is never read"},
        [JUDGE_C6_REORDERED] = {"C6", "nonmonotonic send",
                "a producer's values stand in a partition in the order of their sending"},
        [JUDGE_C11_DISPLACED] = {"C11", "displaced offset",
                "a value stands at the offset that was acknowledged"},
        [JUDGE_C13_CHANGED] = {"C13", "changed bytes",
                "key, value, headers and timestamp are read as they were sent"},
        [JUDGE_C14_END_BACK] = {"C14", "end going back",
                "a listed end is not below what its client knew to be there"},
};

const char *judge_id(enum judge_property p)
{
    return properties[p].id;
}

const char *judge_name(enum judge_property p)
{
    return properties[p].name;
}

const char *judge_demand(enum judge_property p)
{
    return properties[p].demand;
}

static void violate(struct judging *j, enum judge_property p, const struct judge_witness *w)
{
    struct judge_result *r = &j->v->results[p];

    r->n++;
    if (r->n_witnesses < JUDGE_WITNESSES_MAX) {
        r->witnesses[r->n_witnesses++] = *w;
    }
}

static bool was_sent(const struct history_value *v)
{
    return v->outcome != SEND_ABSENT;
}

static bool is_promised(const struct history *h, const struct history_value *v)
{
    return history_is_promised(h, &h->lanes.items[v->lane]);
}

static bool is_idempotent(const struct history *h, const struct history_value *v)
{
    return !h->processes.items[h->lanes.items[v->lane].process].is_not_idempotent;
}

/* --- One look at every record that was read: C4, C5, C13 -------------------------------------- */

static void see_again(struct judging *j, const struct history_polled *p, struct seen *s, bool same)
{
    const struct history *h = j->h;
    const struct history_value *v = &h->values.items[p->value];

    /* Whether a sender without a history may write twice is not known. */
    if (same || s->is_doubled || !was_sent(v)) {
        return;
    }
    s->is_doubled = true;
    j->v->n_doubled++;
    if (is_idempotent(h, v)) {
        violate(j, JUDGE_C4_DUPLICATE,
                &(struct judge_witness){.key = history_key_of_lane(h, p->lane),
                        .value = p->value,
                        .other_value = HISTORY_NONE,
                        .offset = p->offset,
                        .other_offset = s->offset,
                        .line = p->line,
                        .other_line = s->line});
    }
}

static void see_first(struct judging *j, const struct history_polled *p, struct seen *s)
{
    const struct history *h = j->h;
    const struct history_value *v = &h->values.items[p->value];

    *s = (struct seen){.offset = p->offset, .lane = p->lane, .line = p->line};
    j->v->n_foreign += was_sent(v) ? 0 : 1;
    if (v->outcome == SEND_FAILED) {
        violate(j, JUDGE_C5_FAILED_READ,
                &(struct judge_witness){.key = history_key_of_lane(h, p->lane),
                        .value = p->value,
                        .other_value = HISTORY_NONE,
                        .offset = p->offset,
                        .other_offset = -1,
                        .line = p->line,
                        .other_line = v->done_line});
    }
}

static void compare_bytes(struct judging *j, const struct history_polled *p)
{
    const struct history *h = j->h;
    const struct history_value *v = p->value != HISTORY_NONE ? &h->values.items[p->value] : NULL;
    bool is_changed = v == NULL || (v->has_hash && p->has_hash && v->hash != p->hash);

    if (is_changed) {
        violate(j, JUDGE_C13_CHANGED,
                &(struct judge_witness){.key = history_key_of_lane(h, p->lane),
                        .value = p->value,
                        .other_value = HISTORY_NONE,
                        .offset = p->offset,
                        .other_offset = -1,
                        .line = p->line,
                        .other_line = v != NULL ? v->sent_line : HISTORY_NONE});
    }
}

static void look_at_reads(struct judging *j)
{
    const struct history *h = j->h;

    for (size_t i = 0; i < h->polled.n; i++) {
        const struct history_polled *p = &h->polled.items[i];
        compare_bytes(j, p);
        if (p->value == HISTORY_NONE) {
            continue;
        }
        const struct history_value *v = &h->values.items[p->value];
        struct seen *s = &j->seen[p->value];
        uint32_t key = history_key_of_lane(h, p->lane);
        if (s->offset < 0) {
            see_first(j, p, s);
        } else {
            see_again(j, p, s, s->offset == p->offset && history_key_of_lane(h, s->lane) == key);
        }
        if (was_sent(v)) {
            bool is_home = history_key_of_lane(h, v->lane) == key;
            s->is_displaced = s->is_displaced || !is_home;
            s->is_at_acked = s->is_at_acked || (is_home && v->offset == p->offset);
        }
    }
}

/* --- C3 --------------------------------------------------------------------------------------- */

static int compare_spots(const void *a, const void *b)
{
    const struct spot *x = a;
    const struct spot *y = b;

    if (x->key != y->key) {
        return x->key < y->key ? -1 : 1;
    }
    if (x->offset != y->offset) {
        return x->offset < y->offset ? -1 : 1;
    }
    return x->line < y->line ? -1 : x->line > y->line ? 1 : 0;
}

/* What was read. Acknowledgements are no witnesses beside it: a value that was acknowledged at an
 * offset where another one was read is lost (C1, C2) or displaced (C11). */
static size_t collect_spots(const struct judging *j, struct spot *spots)
{
    const struct history *h = j->h;
    size_t n = 0;

    for (size_t i = 0; i < h->polled.n; i++) {
        const struct history_polled *p = &h->polled.items[i];
        if (p->value != HISTORY_NONE) {
            spots[n++] = (struct spot){.offset = p->offset,
                    .key = history_key_of_lane(h, p->lane),
                    .value = p->value,
                    .line = p->line};
        }
    }
    return n;
}

static void find_two_values(struct judging *j, struct spot *spots, size_t n)
{
    qsort(spots, n, sizeof(*spots), compare_spots);
    for (size_t i = 0; i < n;) {
        const struct spot *first = &spots[i];
        const struct spot *other = NULL;
        for (i++; i < n && spots[i].key == first->key && spots[i].offset == first->offset; i++) {
            other = other == NULL && spots[i].value != first->value ? &spots[i] : other;
        }
        if (other != NULL) {
            violate(j, JUDGE_C3_INCONSISTENT,
                    &(struct judge_witness){.key = first->key,
                            .value = other->value,
                            .other_value = first->value,
                            .offset = first->offset,
                            .other_offset = first->offset,
                            .line = other->line,
                            .other_line = first->line});
        }
    }
}

/* Two values acknowledged at one offset, while nobody has read either. */
static size_t collect_unread(const struct judging *j, struct spot *spots)
{
    const struct history *h = j->h;
    size_t n = 0;

    for (size_t i = 0; i < h->sends.n; i++) {
        const uint32_t *s = &h->sends.items[i];
        const struct history_value *v = &h->values.items[*s];
        if (v->outcome == SEND_OK && v->offset >= 0 && j->seen[*s].offset < 0 &&
                is_promised(h, v)) {
            spots[n++] = (struct spot){.offset = v->offset,
                    .key = history_key_of_lane(h, v->lane),
                    .value = *s,
                    .line = v->done_line};
        }
    }
    return n;
}

static void judge_offsets(struct judging *j)
{
    size_t room = j->h->polled.n > j->h->sends.n ? j->h->polled.n : j->h->sends.n;
    struct spot *spots = mem_new_n(struct spot, room + 1);

    find_two_values(j, spots, collect_spots(j, spots));
    find_two_values(j, spots, collect_unread(j, spots));
    mem_free(spots);
}

/* --- C6 --------------------------------------------------------------------------------------- */

/* Where a value stands: where it was read, and there where it was acknowledged if it was read there
 * too; -1 = that is not known. */
static int64_t place_of(const struct judging *j, uint32_t value)
{
    const struct history_value *v = &j->h->values.items[value];
    const struct seen *s = &j->seen[value];

    if (s->is_displaced) {
        return -1;
    }
    return s->offset < 0 || s->is_at_acked ? v->offset : s->offset;
}

static void judge_order(struct judging *j)
{
    const struct history *h = j->h;
    uint32_t *last = mem_new_n(uint32_t, h->lanes.n + 1); /* of each lane: value + 1 */

    for (size_t i = 0; i < h->sends.n; i++) {
        const uint32_t *s = &h->sends.items[i];
        const struct history_value *v = &h->values.items[*s];
        int64_t place = v->outcome == SEND_OK && is_idempotent(h, v) ? place_of(j, *s) : -1;
        if (place < 0) {
            continue;
        }
        uint32_t before = last[v->lane];
        if (before > 0 && place < place_of(j, before - 1)) {
            violate(j, JUDGE_C6_REORDERED,
                    &(struct judge_witness){.key = history_key_of_lane(h, v->lane),
                            .value = *s,
                            .other_value = before - 1,
                            .offset = place,
                            .other_offset = place_of(j, before - 1),
                            .line = v->sent_line,
                            .other_line = h->values.items[before - 1].sent_line});
        } else {
            last[v->lane] = *s + 1;
        }
    }
    mem_free(last);
}

/* --- What was read without a hole ------------------------------------------------------------- */

static int compare_intervals(const void *a, const void *b)
{
    const struct interval *x = a;
    const struct interval *y = b;

    if (x->key != y->key) {
        return x->key < y->key ? -1 : 1;
    }
    return x->begin < y->begin ? -1 : x->begin > y->begin ? 1 : 0;
}

/* Joins what touches, and finds each key's first one. */
static void join_intervals(struct judging *j, size_t n)
{
    size_t kept = 0;

    for (size_t i = 0; i < n; i++) {
        struct interval *last = kept > 0 ? &j->covered[kept - 1] : NULL;
        const struct interval *next = &j->covered[i];
        if (last != NULL && last->key == next->key && next->begin <= last->end) {
            last->end = next->end > last->end ? next->end : last->end;
        } else {
            j->covered[kept++] = *next;
        }
    }
    j->n_covered = kept;
    for (size_t key = 0, i = 0; key <= j->h->keys.n; key++) {
        while (i < kept && j->covered[i].key < key) {
            i++;
        }
        j->first_covered[key] = i;
    }
}

static void cover(struct judging *j)
{
    const struct history *h = j->h;
    size_t n = 0;

    j->covered = mem_new_n(struct interval, h->runs.n + 1);
    j->first_covered = mem_new_n(size_t, h->keys.n + 1);
    for (size_t i = 0; i < h->runs.n; i++) {
        const struct history_run *r = &h->runs.items[i];
        if (r->begin >= 0 && r->end > r->begin) {
            j->covered[n++] = (struct interval){
                    .begin = r->begin, .end = r->end, .key = history_key_of_lane(h, r->lane)};
        }
    }
    qsort(j->covered, n, sizeof(*j->covered), compare_intervals);
    join_intervals(j, n);
}

static bool is_covered(const struct judging *j, uint32_t key, int64_t offset)
{
    size_t low = j->first_covered[key];
    size_t high = j->first_covered[key + 1];

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (j->covered[middle].end <= offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < j->first_covered[key + 1] && j->covered[low].begin <= offset;
}

/* --- C1, C2, C11 ------------------------------------------------------------------------------ */

static uint32_t file_of(const struct history *h, uint32_t lane)
{
    return h->processes.items[h->lanes.items[lane].process].file;
}

/* Each key's last final read, and what it has. */
static void find_finals(struct judging *j)
{
    const struct history *h = j->h;

    j->finals = mem_new_n(const struct history_final *, h->keys.n + 1);
    j->start = mem_new_n(int64_t, h->keys.n + 1);
    for (size_t i = 0; i < h->finals.n; i++) {
        const struct history_final *f = &h->finals.items[i];
        uint32_t key = history_key_of_lane(h, f->lane);
        j->v->n_finals += j->finals[key] == NULL ? 1 : 0;
        if (j->finals[key] == NULL || f->begin_t >= j->finals[key]->begin_t) {
            j->finals[key] = f;
        }
        j->start[key] = f->start > j->start[key] ? f->start : j->start[key];
    }
    for (size_t i = 0; i < h->polled.n; i++) {
        const struct history_polled *p = &h->polled.items[i];
        const struct history_final *f = j->finals[history_key_of_lane(h, p->lane)];
        if (f != NULL && p->value != HISTORY_NONE && p->line > f->begin_line &&
                h->lanes.items[p->lane].process == h->lanes.items[f->lane].process) {
            j->seen[p->value].is_in_final = true;
        }
    }
}

/* Acknowledged before the final read began: by order in its file, by the clock among files. */
static bool is_before(
        const struct history *h, const struct history_value *v, const struct history_final *f)
{
    return file_of(h, v->lane) == file_of(h, f->lane) ? v->done_line < f->begin_line
                                                      : v->done_t < f->begin_t;
}

static void judge_acked(struct judging *j, uint32_t value)
{
    const struct history *h = j->h;
    const struct history_value *v = &h->values.items[value];
    const struct seen *s = &j->seen[value];
    uint32_t key = history_key_of_lane(h, v->lane);
    const struct history_final *f = j->finals[key];
    bool is_read = s->offset >= 0;
    bool may_be_gone = v->offset >= 0 && v->offset < j->start[key]; /* deleted as too old */
    struct judge_witness w = {.key = key,
            .value = value,
            .other_value = HISTORY_NONE,
            .offset = v->offset,
            .other_offset = s->offset,
            .line = v->done_line,
            .other_line = is_read ? s->line : HISTORY_NONE};

    j->v->n_acked_absent += is_read ? 0 : 1;
    if (!is_promised(h, v)) { /* its leader may have been replaced before others had it */
        j->v->n_early_absent += is_read ? 0 : 1;
        return;
    }
    if (is_read && !s->is_displaced && v->offset >= 0 && !s->is_at_acked) {
        violate(j, JUDGE_C11_DISPLACED, &w);
    }
    if (may_be_gone) {
        return;
    }
    if (!is_read && v->offset >= 0 && is_covered(j, key, v->offset)) {
        violate(j, JUDGE_C1_LOST, &w);
    } else if (f != NULL && is_before(h, v, f) && !s->is_in_final) {
        violate(j, JUDGE_C2_UNSEEN, &w);
    }
}

static void judge_sends(struct judging *j)
{
    const struct history *h = j->h;
    struct judge_verdict *v = j->v;

    for (size_t i = 0; i < h->sends.n; i++) {
        const uint32_t *s = &h->sends.items[i];
        const struct history_value *value = &h->values.items[*s];
        const struct seen *seen = &j->seen[*s];
        v->n_sent++;
        switch ((enum history_outcome)value->outcome) {
        case SEND_OK:
            v->n_acked++;
            judge_acked(j, *s);
            break;
        case SEND_FAILED: v->n_failed++; break;
        case SEND_OPEN:
        case SEND_ABSENT:
            v->n_unknown++;
            v->n_unknown_seen += seen->offset >= 0 ? 1 : 0;
            break;
        }
        if (seen->is_displaced) {
            violate(j, JUDGE_C11_DISPLACED,
                    &(struct judge_witness){.key = history_key_of_lane(h, seen->lane),
                            .value = *s,
                            .other_value = HISTORY_NONE,
                            .offset = value->offset,
                            .other_offset = seen->offset,
                            .line = value->sent_line,
                            .other_line = seen->line});
        }
    }
}

/* --- C14 -------------------------------------------------------------------------------------- */

static void judge_ends(struct judging *j)
{
    for (size_t i = 0; i < j->h->listed.n; i++) {
        const struct history_listed *l = &j->h->listed.items[i];
        if (l->end < l->floor) {
            violate(j, JUDGE_C14_END_BACK,
                    &(struct judge_witness){.key = history_key_of_lane(j->h, l->lane),
                            .value = HISTORY_NONE,
                            .other_value = HISTORY_NONE,
                            .offset = l->end,
                            .other_offset = l->floor,
                            .line = l->line,
                            .other_line = l->floor_line});
        }
    }
}

/* --- All of it -------------------------------------------------------------------------------- */

static void judge_what_can_be(struct judging *j)
{
    const struct history *h = j->h;
    struct judge_result *r = j->v->results;
    bool has_reads = h->polled.n > 0 || h->finals.n > 0;

    r[JUDGE_C1_LOST].is_judged = has_reads;
    r[JUDGE_C2_UNSEEN].is_judged = h->finals.n > 0;
    r[JUDGE_C3_INCONSISTENT].is_judged = has_reads;
    r[JUDGE_C4_DUPLICATE].is_judged = has_reads;
    r[JUDGE_C5_FAILED_READ].is_judged = has_reads;
    r[JUDGE_C6_REORDERED].is_judged = h->sends.n > 0;
    r[JUDGE_C11_DISPLACED].is_judged = has_reads;
    r[JUDGE_C13_CHANGED].is_judged = h->n_hashed > 0;
    r[JUDGE_C14_END_BACK].is_judged = h->listed.n > 0;
}

void judge_history(const struct history *h, struct judge_verdict *ret)
{
    struct judging j = {.h = h, .v = ret, .seen = mem_new_n(struct seen, h->values.n + 1)};

    *ret = (struct judge_verdict){
            .n_lines = h->n_lines, .n_polled = h->polled.n, .n_keys = h->keys.n};
    for (size_t i = 0; i < h->values.n; i++) {
        j.seen[i].offset = -1;
    }
    judge_what_can_be(&j);
    look_at_reads(&j);
    judge_offsets(&j);
    judge_order(&j);
    cover(&j);
    find_finals(&j);
    judge_sends(&j);
    judge_ends(&j);
    mem_free(j.finals);
    mem_free(j.start);
    mem_free(j.first_covered);
    mem_free(j.covered);
    mem_free(j.seen);
}

size_t judge_n_violated(const struct judge_verdict *v)
{
    size_t n = 0;

    for (size_t i = 0; i < JUDGE_N_PROPERTIES; i++) {
        n += v->results[i].n > 0 ? 1 : 0;
    }
    return n;
}
