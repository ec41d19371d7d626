/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/array.h"
#include "controller/core/balance_impl.h"

#include <stdlib.h>
#include <string.h>

enum {
    STEPS = 200,    /* what is left then is the next plan's */
    TARGETS = 3,    /* brokers that a step looks at for who takes it */
    NEIGHBOURS = 8, /* replicas of about the right size that are looked at for a swap */
};

/* --- What may go ------------------------------------------------------------------------------ */

/* A replica that may go from one of two brokers to the other. */
struct place {
    int64_t bytes;
    size_t partition;
    int at;
};

struct places {
    struct place *items;
    size_t n, cap;
};

struct even_bytes {
    struct balance_broker *brokers;
    size_t n;
    struct balance_partition *partitions;
    size_t n_partitions;
    const struct broker_set *was; /* where replicas are now: only what is elsewhere has to be copied */
    struct places from, to; /* of the two, the largest first */
};

/* One move, or two that leave each broker as many replicas as it has. */
struct step {
    bool is_set;
    int64_t gain; /* by so much the two come nearer to the mean, together */
    int64_t cost; /* bytes to be copied for it */
    struct place out, back;
    bool is_swap;
};

static int compare_places(const void *a, const void *b)
{
    const struct place *x = a, *y = b;

    if (x->bytes != y->bytes) {
        return (x->bytes < y->bytes) - (x->bytes > y->bytes);
    }
    return (x->partition > y->partition) - (x->partition < y->partition);
}

/* Whether the replica at that place may be on `to` instead. */
static bool may_go(
        const struct even_bytes *e, const struct place *x, const struct balance_broker *to)
{
    const struct broker_set *s = &e->partitions[x->partition].replicas;
    const char *rack = balance_find(e->brokers, e->n, s->at[x->at])->load.rack;

    return !broker_set_has(s, to->load.id) &&
           balance_in_rack(e->brokers, e->n, s, to->load.rack, x->at) <=
                   balance_in_rack(e->brokers, e->n, s, rack, x->at);
}

static void list_places(const struct even_bytes *e,
        const struct balance_broker *from,
        const struct balance_broker *to,
        struct places *ret)
{
    array_clear(ret);
    for (size_t i = 0; i < e->n_partitions; i++) {
        const struct balance_partition *p = &e->partitions[i];
        for (int k = 0; k < p->replicas.n && !p->is_fixed; k++) {
            struct place x = {.bytes = p->bytes, .partition = i, .at = k};
            if (p->replicas.at[k] == from->load.id && may_go(e, &x, to)) {
                *array_push(ret) = x;
            }
        }
    }
    if (ret->n > 1) {
        qsort(ret->items, ret->n, sizeof(*ret->items), compare_places);
    }
}

/* What is copied more, or less, when it goes from one to the other. */
static int64_t cost_of(
        const struct even_bytes *e, const struct place *x, broker_id from, broker_id to)
{
    const struct broker_set *was = &e->was[x->partition];

    return (broker_set_has(was, to) ? 0 : x->bytes) - (broker_set_has(was, from) ? 0 : x->bytes);
}

/* --- What does most for least ------------------------------------------------------------------ */

static int64_t distance(int64_t a, int64_t b)
{
    return a > b ? a - b : b - a;
}

static int64_t gain_of(
        int64_t mean, const struct balance_broker *from, const struct balance_broker *to, int64_t d)
{
    return distance(from->bytes, mean) + distance(to->bytes, mean) -
           distance(from->bytes - d, mean) - distance(to->bytes + d, mean);
}

/* The one that copies least for what it gains; of those that gain little, the one that gains most. `enough` is much. */
static bool is_better(const struct step *a, const struct step *b, int64_t enough)
{
    if (!b->is_set || (a->gain >= enough) != (b->gain >= enough)) {
        return !b->is_set || a->gain >= enough;
    }
    if (a->gain < enough) {
        return a->gain > b->gain || (a->gain == b->gain && a->cost < b->cost);
    }
    __int128 x = (__int128)a->gain * (b->cost > 0 ? b->cost : 1);
    __int128 y = (__int128)b->gain * (a->cost > 0 ? a->cost : 1);

    return x > y || (x == y && a->gain > b->gain);
}

static void consider(const struct step *one, int64_t enough, struct step *best)
{
    if (one->gain > 0 && is_better(one, best, enough)) {
        *best = *one;
        best->is_set = true;
    }
}

/* Index of the first replica in `l` that is no larger. */
static size_t first_of(const struct places *l, int64_t bytes)
{
    size_t from = 0, to = l->n;

    while (from < to) {
        size_t mid = from + (to - from) / 2;
        if (l->items[mid].bytes > bytes) {
            from = mid + 1;
        } else {
            to = mid;
        }
    }
    return from;
}

/* What may go out for about `d` bytes less, and what comes back for it. */
static struct step best_step(
        struct even_bytes *e, int64_t mean, struct balance_broker *from, struct balance_broker *to)
{
    int64_t d = from->bytes - mean < mean - to->bytes ? from->bytes - mean : mean - to->bytes;
    struct step best = {0};

    if (d <= 0) {
        return best;
    }
    list_places(e, from, to, &e->from);
    list_places(e, to, from, &e->to);
    for (size_t i = 0; i < e->from.n; i++) {
        const struct place *out = &e->from.items[i];
        int64_t cost = cost_of(e, out, from->load.id, to->load.id);
        if (from->load.n_replicas > to->load.n_replicas && out->at != 0) {
            consider(&(struct step){.gain = gain_of(mean, from, to, out->bytes),
                             .cost = cost,
                             .out = *out},
                    d, &best);
        }
        size_t near = first_of(&e->to, out->bytes > d ? out->bytes - d : 0);
        size_t first = near > NEIGHBOURS ? near - NEIGHBOURS : 0;
        for (size_t k = first; k < e->to.n && k < near + NEIGHBOURS; k++) {
            const struct place *back = &e->to.items[k];
            if (back->bytes < out->bytes && (back->at == 0) == (out->at == 0)) {
                consider(&(struct step){.gain = gain_of(
                                                mean, from, to, out->bytes - back->bytes),
                                 .cost = cost + cost_of(e, back, to->load.id, from->load.id),
                                 .out = *out,
                                 .back = *back,
                                 .is_swap = true},
                        d, &best);
            }
        }
    }
    return best;
}

/* --- Steps ------------------------------------------------------------------------------------ */

/* The mean of those that are up, and the one of them that has most; 0 with fewer than two. */
static int64_t mean_and_heaviest(
        const struct balance_broker *brokers, size_t n, size_t *ret_heaviest)
{
    int64_t sum = 0, n_open = 0;

    for (size_t i = 0; i < n; i++) {
        if (!brokers[i].is_closed) {
            *ret_heaviest = n_open == 0 || brokers[i].bytes > brokers[*ret_heaviest].bytes
                                    ? i
                                    : *ret_heaviest;
            sum += brokers[i].bytes;
            n_open++;
        }
    }
    return n_open > 1 ? sum / n_open : 0;
}

static bool is_too_much(int64_t bytes, int64_t mean)
{
    return bytes - mean > BALANCE_BYTES_LEAST && bytes > mean / 100 * (100 + BALANCE_BYTES_PERCENT);
}

bool balance_bytes_are_even(const struct balance_broker *brokers, size_t n)
{
    size_t heaviest = 0;
    int64_t mean = mean_and_heaviest(brokers, n, &heaviest);

    return mean == 0 || !is_too_much(brokers[heaviest].bytes, mean);
}

/* The `nth` lightest of those that are up; NULL = there are not so many. */
static struct balance_broker *lightest(const struct even_bytes *e, size_t nth)
{
    for (size_t i = 0; i < e->n; i++) {
        size_t rank = 0;
        for (size_t k = 0; k < e->n && !e->brokers[i].is_closed; k++) {
            rank += !e->brokers[k].is_closed &&
                    (e->brokers[k].bytes < e->brokers[i].bytes ||
                            (e->brokers[k].bytes == e->brokers[i].bytes && k < i));
        }
        if (!e->brokers[i].is_closed && rank == nth) {
            return &e->brokers[i];
        }
    }
    return NULL;
}

/* [CTL-80] The heaviest broker gives something to a light one. False: it has not too much, or nothing helps. */
static bool even_bytes_step(struct even_bytes *e)
{
    size_t heaviest = 0;
    int64_t mean = mean_and_heaviest(e->brokers, e->n, &heaviest);
    struct balance_broker *from = &e->brokers[heaviest], *to = NULL;
    struct step best = {0};

    if (mean == 0 || !is_too_much(from->bytes, mean)) {
        return false;
    }
    for (size_t nth = 0; nth < TARGETS && !best.is_set; nth++) {
        to = lightest(e, nth);
        best = to != NULL && to != from ? best_step(e, mean, from, to) : best;
    }
    if (!best.is_set) {
        return false;
    }
    balance_move(e->brokers, e->n, &e->partitions[best.out.partition], best.out.at, to);
    if (best.is_swap) {
        balance_move(e->brokers, e->n, &e->partitions[best.back.partition], best.back.at, from);
    }
    return true;
}

bool balance_even_bytes(struct balance_broker *brokers,
        size_t n,
        struct balance_partition *partitions,
        size_t n_partitions,
        const struct broker_set *was)
{
    struct even_bytes e = {.brokers = brokers,
            .n = n,
            .partitions = partitions,
            .n_partitions = n_partitions,
            .was = was};

    int n_steps = 0;

    while (n_steps < STEPS && even_bytes_step(&e)) {
        n_steps++;
    }
    array_deinit(&e.from);
    array_deinit(&e.to);
    return n_steps > 0;
}
