/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/core/succession.h"

bool succession_is_own_problem(size_t n_brokers, size_t n_quiet)
{
    /* [CTL-20] Half is not more than half: with two brokers a single silent one is fenced. */
    return n_quiet > n_brokers - n_quiet;
}

static bool is_better(const struct succession_standby *a, const struct succession_standby *b)
{
    return b == NULL || a->n_reached > b->n_reached ||
           (a->n_reached == b->n_reached && a->id < b->id);
}

int32_t succession_choose(const struct succession_standby *standbys, size_t n, size_t n_min)
{
    const struct succession_standby *best = NULL;

    for (size_t i = 0; i < n; i++) {
        const struct succession_standby *s = &standbys[i];
        if (s->is_ready && s->n_reached >= n_min && is_better(s, best)) { /* [CTL-21] */
            best = s;
        }
    }
    return best != NULL ? best->id : SUCCESSION_NONE;
}

size_t succession_rank(const int32_t *ids, size_t n, int32_t self, int32_t dead)
{
    size_t rank = 0;

    for (size_t i = 0; i < n && ids[i] < self; i++) { /* [CTL-22] */
        rank += ids[i] != dead && (i == 0 || ids[i] != ids[i - 1]);
    }
    return rank;
}
