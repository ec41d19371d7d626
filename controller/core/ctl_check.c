/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/core/ctl_state.h"

static bool seen_are_registered(const struct ctl *c)
{
    for (size_t i = 0; i < c->seen.n; i++) {
        const struct ctl_seen *s = &c->seen.items[i];
        const struct image_broker *b = image_broker(c->next, s->id);
        if (i > 0 && c->seen.items[i - 1].id >= s->id) {
            return false;
        }
        if (b == NULL || b->epoch != s->epoch) {
            return false;
        }
        for (size_t f = 1; f < s->failed.n; f++) {
            if (ctl_compare_refs(&s->failed.items[f - 1].ref, &s->failed.items[f].ref) >= 0) {
                return false;
            }
        }
    }
    return true;
}

static bool brokers_are_as_seen(const struct ctl *c)
{
    for (size_t i = 0; i < image_n_brokers(c->next); i++) {
        const struct image_broker *b = image_broker_at(c->next, i);
        if (b->purge_pending || (b->state != BROKER_FENCED && ctl_find_seen(c, b->id) == NULL)) {
            return false;
        }
    }
    return true;
}

/* Nothing is left to decide: no partition is without a leader that could have one, none is led
 * by whom it should not. */
static bool partitions_are_settled(const struct ctl *c)
{
    for (size_t i = 0; i < image_n_topics(c->next); i++) {
        const struct image_topic *t = image_topic_at(c->next, i);
        for (int32_t p = 0; p < t->n_partitions; p++) {
            struct partition_state next = ctl_settled(c, &t->partitions[p], BROKER_NONE);
            if (partition_differs(&t->partitions[p], &next)) {
                return false;
            }
        }
    }
    return true;
}

bool ctl_check(const struct ctl *c)
{
    if (c->next == NULL) {
        return c->seen.n == 0 && !c->is_listed && c->last_seq == 0;
    }
    if (c->committed_seq > c->last_seq || !image_check(c->next) || !seen_are_registered(c)) {
        return false;
    }
    /* Until the brokers are listed, what an earlier controller began may be unfinished. */
    return !c->is_listed ||
           (brokers_are_as_seen(c) && image_check_settled(c->next) && partitions_are_settled(c));
}
