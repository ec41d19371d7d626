/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/core/balance.h"

#include "common/base/mem.h"
#include "common/base/must.h"
#include "controller/core/balance_impl.h"

#include <stdlib.h>
#include <string.h>

enum {
    BALANCE_PASSES = 16 /* of each kind; one or two do it */
};

struct balance_broker *balance_find(struct balance_broker *brokers, size_t n, broker_id id)
{
    size_t from = 0, to = n;

    while (from < to) {
        size_t mid = from + (to - from) / 2;
        if (brokers[mid].load.id < id) {
            from = mid + 1;
        } else {
            to = mid;
        }
    }
    must(from < n && brokers[from].load.id == id);
    return &brokers[from];
}

int balance_in_rack(struct balance_broker *brokers,
        size_t n,
        const struct broker_set *replicas,
        const char *rack,
        int except)
{
    int count = 0;

    for (int i = 0; i < replicas->n && rack[0] != '\0'; i++) {
        count += i != except && strcmp(balance_find(brokers, n, replicas->at[i])->load.rack, rack) == 0;
    }
    return count;
}

void balance_count(struct balance_broker *brokers, size_t n, const struct balance_partition *p)
{
    for (int i = 0; i < p->replicas.n; i++) {
        struct balance_broker *b = balance_find(brokers, n, p->replicas.at[i]);
        b->load.n_replicas++;
        b->load.n_leaders += i == 0;
        b->bytes += p->bytes;
    }
}

/* --- Where to --------------------------------------------------------------------------------- */

static bool is_lighter(const struct balance_broker *a, const struct balance_broker *b)
{
    if (a->load.n_replicas != b->load.n_replicas) {
        return a->load.n_replicas < b->load.n_replicas;
    }
    return a->load.n_leaders != b->load.n_leaders ? a->load.n_leaders < b->load.n_leaders
                                                  : a->bytes < b->bytes;
}

/* The broker of the rack that has fewest of them, there the least loaded one; NULL = all have it. `except` is the
 * place that becomes free, -1 = none. */
static struct balance_broker *best_for(
        struct balance_broker *brokers, size_t n, const struct broker_set *replicas, int except)
{
    struct balance_broker *best = NULL;
    int best_rack = 0;

    for (size_t i = 0; i < n; i++) {
        struct balance_broker *b = &brokers[i];
        if (b->is_closed || broker_set_has(replicas, b->load.id)) {
            continue;
        }
        int rack = balance_in_rack(brokers, n, replicas, b->load.rack, except);
        if (best == NULL || rack < best_rack || (rack == best_rack && is_lighter(b, best))) {
            best = b;
            best_rack = rack;
        }
    }
    return best;
}

void balance_move(struct balance_broker *brokers,
        size_t n,
        struct balance_partition *p,
        int place,
        struct balance_broker *to)
{
    struct balance_broker *from = balance_find(brokers, n, p->replicas.at[place]);

    from->load.n_replicas--;
    to->load.n_replicas++;
    from->bytes -= p->bytes;
    to->bytes += p->bytes;
    if (place == 0) {
        from->load.n_leaders--;
        to->load.n_leaders++;
    }
    p->replicas.at[place] = to->load.id;
}

/* --- Even ------------------------------------------------------------------------------------- */

/* What a broker would have if all that are up had as much. */
struct share {
    uint32_t n_replicas;
    int64_t bytes;
};

static struct share share_of(const struct balance_broker *brokers, size_t n)
{
    struct share sum = {0};
    uint32_t n_open = 0;

    for (size_t i = 0; i < n; i++) {
        sum.n_replicas += brokers[i].load.n_replicas;
        sum.bytes += brokers[i].bytes;
        n_open += !brokers[i].is_closed;
    }
    return n_open > 0 ? (struct share){sum.n_replicas / n_open, sum.bytes / n_open} : sum;
}

/* Whether a replica of that size may be one of those that take off what the broker has too much: it is no larger than
 * they are on the average, or little. */
static bool is_share(const struct share *share, const struct balance_broker *from, int64_t bytes)
{
    int64_t n = (int64_t)from->load.n_replicas - (int64_t)share->n_replicas;
    int64_t excess = from->bytes - share->bytes;
    int64_t want = excess > 0 && n > 0 ? excess / n : 0;

    return bytes <= want + want / 4;
}

/* A move that spreads it over more racks, or takes it to a broker with at least two fewer. */
static bool even_replica(struct balance_broker *brokers,
        size_t n,
        struct balance_partition *p,
        int place,
        const struct share *share)
{
    const struct balance_broker *from = balance_find(brokers, n, p->replicas.at[place]);
    struct balance_broker *best = NULL;
    bool may_even = share == NULL || is_share(share, from, p->bytes);
    int rack = balance_in_rack(brokers, n, &p->replicas, from->load.rack, place), best_rack = 0;

    for (size_t i = 0; i < n; i++) {
        struct balance_broker *b = &brokers[i];
        int to = b->is_closed || broker_set_has(&p->replicas, b->load.id)
                         ? REPLICAS_MAX + 1
                         : balance_in_rack(brokers, n, &p->replicas, b->load.rack, place);
        bool is_gain = to < rack || (to == rack && may_even &&
                                            b->load.n_replicas + 2 <= from->load.n_replicas);
        if (is_gain && (best == NULL || to < best_rack || (to == best_rack && is_lighter(b, best)))) {
            best = b;
            best_rack = to;
        }
    }
    if (best == NULL) {
        return false;
    }
    balance_move(brokers, n, p, place, best);
    return true;
}

static bool even_leader(struct balance_broker *brokers, size_t n, struct balance_partition *p)
{
    struct balance_broker *first = balance_find(brokers, n, p->replicas.at[0]), *best = NULL;
    int place = 0;

    for (int i = 1; i < p->replicas.n; i++) {
        struct balance_broker *b = balance_find(brokers, n, p->replicas.at[i]);
        if (!b->is_closed && b->load.n_leaders + 2 <= first->load.n_leaders &&
                (best == NULL || b->load.n_leaders < best->load.n_leaders)) {
            best = b;
            place = i;
        }
    }
    if (best == NULL) {
        return false;
    }
    p->replicas.at[place] = first->load.id;
    p->replicas.at[0] = best->load.id;
    first->load.n_leaders--;
    best->load.n_leaders++;
    return true;
}

/* The order in which partitions are looked at: the largest first. */
struct in_order {
    int64_t bytes;
    size_t i;
};

static int compare_larger(const void *a, const void *b)
{
    const struct in_order *x = a, *y = b;

    return x->bytes != y->bytes ? (x->bytes < y->bytes) - (x->bytes > y->bytes)
                                : (x->i > y->i) - (x->i < y->i);
}

static struct in_order *make_order(const struct balance_partition *partitions, size_t n)
{
    struct in_order *order = mem_new_n(struct in_order, n + 1);

    for (size_t i = 0; i < n; i++) {
        order[i] = (struct in_order){.bytes = partitions[i].bytes, .i = i};
    }
    qsort(order, n, sizeof(*order), compare_larger);
    return order;
}

/* One replica of each at most: the others go on serving from where they are. */
static bool even_pass(struct balance_broker *brokers,
        size_t n,
        struct balance_partition *partitions,
        const struct in_order *order,
        size_t n_partitions,
        bool is_first)
{
    const struct share share = share_of(brokers, n);
    bool is_changed = false;

    for (size_t at = 0; at < n_partitions; at++) {
        /* First what takes the load off, from the largest on; then what is left, from the smallest on. */
        struct balance_partition *p =
                &partitions[order[is_first ? at : n_partitions - 1 - at].i];
        for (int k = p->replicas.n - 1; k >= 0 && !p->is_fixed; k--) {
            if (even_replica(brokers, n, p, k, is_first ? &share : NULL)) {
                is_changed = true;
                break;
            }
        }
    }
    return is_changed;
}

static void even_leaders(struct balance_broker *brokers,
        size_t n,
        struct balance_partition *partitions,
        size_t n_partitions)
{
    bool is_changed = true;

    for (int pass = 0; pass < BALANCE_PASSES && is_changed; pass++) {
        is_changed = false;
        for (size_t i = 0; i < n_partitions; i++) {
            if (!partitions[i].is_fixed && even_leader(brokers, n, &partitions[i])) {
                is_changed = true;
            }
        }
    }
}

void balance_even(struct balance_broker *brokers,
        size_t n,
        struct balance_partition *partitions,
        size_t n_partitions,
        bool by_bytes)
{
    struct in_order *order = make_order(partitions, n_partitions);
    struct broker_set *was = mem_new_n(struct broker_set, n_partitions + 1);

    for (size_t i = 0; i < n_partitions; i++) {
        was[i] = partitions[i].replicas;
    }
    for (int pass = 0; pass < BALANCE_PASSES; pass++) {
        if (!even_pass(brokers, n, partitions, order, n_partitions, pass == 0) && pass > 0) {
            break;
        }
    }
    even_leaders(brokers, n, partitions, n_partitions);
    /* Another order of the replicas may let others go. */
    for (int pass = 0; pass < BALANCE_PASSES && by_bytes; pass++) {
        if (!balance_even_bytes(brokers, n, partitions, n_partitions, was)) {
            break;
        }
        even_leaders(brokers, n, partitions, n_partitions);
    }
    mem_free(was);
    mem_free(order);
}

/* --- Away, more, fewer ------------------------------------------------------------------------ */

bool balance_leave(struct balance_broker *brokers,
        size_t n,
        struct balance_partition *p,
        const struct broker_set *leaving)
{
    for (int i = 0; i < p->replicas.n; i++) {
        if (!broker_set_has(leaving, p->replicas.at[i])) {
            continue;
        }
        struct balance_broker *to = best_for(brokers, n, &p->replicas, i);
        if (to == NULL) {
            return false;
        }
        balance_move(brokers, n, p, i, to);
    }
    return true;
}

static void drop_one(struct balance_broker *brokers,
        size_t n,
        struct balance_partition *p,
        const struct broker_set *keep)
{
    int worst = 0, worst_score = -1;
    struct balance_broker *worst_at = NULL;

    for (int i = 1; i < p->replicas.n; i++) {
        struct balance_broker *b = balance_find(brokers, n, p->replicas.at[i]);
        int score = (broker_set_has(keep, b->load.id) ? 0 : REPLICAS_MAX + 1) +
                    balance_in_rack(brokers, n, &p->replicas, b->load.rack, i);
        if (worst_at == NULL || score > worst_score ||
                (score == worst_score && is_lighter(worst_at, b))) {
            worst = i;
            worst_score = score;
            worst_at = b;
        }
    }
    must(worst_at != NULL);
    worst_at->load.n_replicas--;
    worst_at->bytes -= p->bytes;
    broker_set_remove(&p->replicas, p->replicas.at[worst]);
}

bool balance_resize(struct balance_broker *brokers,
        size_t n,
        struct balance_partition *p,
        int n_replicas,
        const struct broker_set *keep)
{
    must(n_replicas >= 1 && n_replicas <= REPLICAS_MAX);
    while (p->replicas.n > n_replicas) {
        drop_one(brokers, n, p, keep);
    }
    while (p->replicas.n < n_replicas) {
        struct balance_broker *to = best_for(brokers, n, &p->replicas, -1);
        if (to == NULL) {
            return false;
        }
        to->load.n_replicas++;
        to->bytes += p->bytes;
        (void)broker_set_add(&p->replicas, to->load.id);
    }
    return true;
}
