/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/cleaning.h"

#include "common/base/map.h"
#include "common/base/must.h"

#include <stdlib.h>

/* Which batches, and which markers of transactions, compaction may drop.
 *
 * What a transaction's end will be stands behind its data. So the log's headers are walked once before: this finds the
 * aborted transactions, and the last batch of each producer. */

struct producer {
    int64_t id;
    offset64 last_data, last_marker; /* the end of its newest batch of that kind, OFFSET_NONE = none */
    offset64 open_since;             /* its open transaction's first batch, OFFSET_NONE = none is open */
    UT_hash_handle hh;
};

struct aborted {
    int64_t producer_id;
    offset64 first, last; /* its first batch, its marker */
};

struct cleaning_survey {
    wall_ms now;
    int64_t expiry_ms;
    struct producer *producers;      /* by id */
    ARRAY(struct producer *) in_order; /* as they were met */
    ARRAY(struct aborted) aborted;
};

/* A transaction that the walk is in. */
struct ongoing {
    int64_t id; /* producer */
    bool is_aborted, has_data;
    UT_hash_handle hh;
};

struct cleaning_walk {
    const struct cleaning_survey *survey;
    size_t next_aborted;
    struct ongoing *ongoing;
};

/* --- The survey --------------------------------------------------------------------------------------------------- */

struct cleaning_survey *cleaning_survey_new(wall_ms now, int64_t expiry_ms)
{
    struct cleaning_survey *s = mem_new(struct cleaning_survey);

    s->now = now;
    s->expiry_ms = expiry_ms;
    return s;
}

struct cleaning_survey *cleaning_survey_free(struct cleaning_survey *s)
{
    if (s == NULL) {
        return NULL;
    }
    HASH_CLEAR(hh, s->producers);
    ARRAY_FOREACH (p, &s->in_order) {
        mem_free(*p);
    }
    array_deinit(&s->in_order);
    array_deinit(&s->aborted);
    return mem_free(s);
}

static struct producer *find_producer(const struct cleaning_survey *s, int64_t id)
{
    struct producer *p = NULL;

    HASH_FIND(hh, s->producers, &id, sizeof(id), p);
    return p;
}

static struct producer *know_producer(struct cleaning_survey *s, int64_t id)
{
    struct producer *p = find_producer(s, id);

    if (p == NULL) {
        p = mem_new(struct producer);
        *p = (struct producer){.id = id,
                .last_data = OFFSET_NONE,
                .last_marker = OFFSET_NONE,
                .open_since = OFFSET_NONE};
        HASH_ADD(hh, s->producers, id, sizeof(p->id), p);
        *array_push(&s->in_order) = p;
    }
    return p;
}

static void see_marker(struct cleaning_survey *s, struct producer *p, const struct cleaning_batch *b)
{
    if (b->marker == CLEANING_ABORT && p->open_since != OFFSET_NONE) {
        *array_push(&s->aborted) =
                (struct aborted){.producer_id = p->id, .first = p->open_since, .last = b->last};
    }
    if (b->marker == CLEANING_ABORT || b->marker == CLEANING_COMMIT) {
        p->open_since = OFFSET_NONE;
    }
}

void cleaning_survey_see(struct cleaning_survey *s, const struct cleaning_batch *b)
{
    if (b->producer_id < 0) {
        return;
    }
    struct producer *p = know_producer(s, b->producer_id);
    bool is_expired = b->max_timestamp < s->now && s->now - b->max_timestamp > s->expiry_ms;
    if (b->marker != CLEANING_NO_MARKER) {
        see_marker(s, p, b);
        p->last_marker = is_expired ? OFFSET_NONE : b->last;
        return;
    }
    if (b->is_transactional && p->open_since == OFFSET_NONE) {
        p->open_since = b->base;
    }
    p->last_data = is_expired ? OFFSET_NONE : b->last;
}

offset64 cleaning_survey_first_open(const struct cleaning_survey *s)
{
    offset64 first = OFFSET_NONE;

    for (size_t i = 0; i < s->in_order.n; i++) {
        offset64 since = s->in_order.items[i]->open_since;
        first = since != OFFSET_NONE && (first == OFFSET_NONE || since < first) ? since : first;
    }
    return first;
}

/* --- The walk ----------------------------------------------------------------------------------------------------- */

static int compare_aborted(const void *a, const void *b)
{
    const struct aborted *x = a, *y = b;

    return x->first != y->first ? (x->first > y->first) - (x->first < y->first)
                                : (x->producer_id > y->producer_id) - (x->producer_id < y->producer_id);
}

struct cleaning_walk *cleaning_walk_new(struct cleaning_survey *s)
{
    struct cleaning_walk *w = mem_new(struct cleaning_walk);

    if (s->aborted.n > 0) {
        qsort(s->aborted.items, s->aborted.n, sizeof(s->aborted.items[0]), compare_aborted);
    }
    w->survey = s;
    return w;
}

struct cleaning_walk *cleaning_walk_free(struct cleaning_walk *w)
{
    if (w == NULL) {
        return NULL;
    }
    while (w->ongoing != NULL) {
        struct ongoing *o = w->ongoing;
        HASH_DEL(w->ongoing, o);
        mem_free(o);
    }
    return mem_free(w);
}

static struct ongoing *find_ongoing(const struct cleaning_walk *w, int64_t id)
{
    struct ongoing *o = NULL;

    HASH_FIND(hh, w->ongoing, &id, sizeof(id), o);
    return o;
}

static struct ongoing *begin_transaction(struct cleaning_walk *w, int64_t id)
{
    struct ongoing *o = find_ongoing(w, id);

    if (o == NULL) {
        o = mem_new(struct ongoing);
        o->id = id;
        HASH_ADD(hh, w->ongoing, id, sizeof(o->id), o);
    }
    return o;
}

/* Those that begin up to `b`; a walk that begins later leaves out what had ended before. */
static void begin_aborted(struct cleaning_walk *w, const struct cleaning_batch *b)
{
    const struct cleaning_survey *s = w->survey;

    for (; w->next_aborted < s->aborted.n; w->next_aborted++) {
        const struct aborted *a = &s->aborted.items[w->next_aborted];
        if (a->first > b->last) {
            return;
        }
        if (a->last >= b->base) {
            begin_transaction(w, a->producer_id)->is_aborted = true;
        }
    }
}

/* [LOG-48] A marker is needed as long as a batch of its transaction is there. */
static bool may_drop_marker(struct cleaning_walk *w, const struct cleaning_batch *b)
{
    struct ongoing *o = find_ongoing(w, b->producer_id);
    bool has_data = o != NULL && o->has_data;

    if (b->marker == CLEANING_OTHER_MARKER) {
        return false;
    }
    if (b->marker == CLEANING_EMPTY_MARKER) {
        return true;
    }
    if (o != NULL) {
        HASH_DEL(w->ongoing, o);
        mem_free(o);
    }
    return !has_data;
}

/* Whether it belongs to an aborted transaction. */
static bool see_data(struct cleaning_walk *w, const struct cleaning_batch *b)
{
    if (!b->is_transactional) {
        return false;
    }
    struct ongoing *o = begin_transaction(w, b->producer_id);
    o->has_data = true;
    return o->is_aborted;
}

/* [LOG-49] The last batch says the producer's last sequence and epoch: its state is made anew from the log. */
static bool is_last_of_producer(const struct cleaning_survey *s, const struct cleaning_batch *b)
{
    const struct producer *p = b->producer_id >= 0 ? find_producer(s, b->producer_id) : NULL;

    if (p == NULL) {
        return false;
    }
    return b->marker == CLEANING_NO_MARKER
                   ? b->last == p->last_data
                   : p->last_data == OFFSET_NONE && b->last == p->last_marker;
}

void cleaning_judge(struct cleaning_walk *w,
        const struct cleaning_batch *b,
        bool is_last,
        wall_ms now,
        struct cleaning_judgement *ret)
{
    bool is_marker = b->marker != CLEANING_NO_MARKER;

    begin_aborted(w, b);
    bool may_drop = is_marker ? may_drop_marker(w, b) : see_data(w, b);
    *ret = (struct cleaning_judgement){
            .is_aborted = !is_marker && may_drop,
            /* [LOG-47] Data of an aborted transaction goes at once, a marker when it has waited as a tombstone does. */
            .drops_records = may_drop && (!is_marker || (b->horizon >= 0 && b->horizon <= now)),
            .wants_horizon = may_drop && is_marker,
            /* [LOG-50] So a segment ends where the next one begins, whatever became of its records. */
            .keeps_empty = is_last || is_last_of_producer(w->survey, b),
    };
}
