/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/core/metadata_view.h"

#include "clients/core/backoff.h"
#include "common/base/mem.h"
#include "common/base/must.h"
#include "common/domain/errcode.h"

#include <string.h>

void mv_topic_deinit(struct mv_topic *t)
{
    t->partitions = mem_free(t->partitions);
    t->n_partitions = 0;
}

static void grow(struct mv_topic *t, int32_t n)
{
    if (n <= t->n_partitions) {
        return;
    }
    t->partitions = mem_resize(t->partitions, (size_t)n, sizeof(*t->partitions));
    for (int32_t i = t->n_partitions; i < n; i++) {
        t->partitions[i] = (struct mv_partition){.leader = BROKER_NONE, .leader_epoch = EPOCH_NONE};
    }
    t->n_partitions = n;
}

static bool refuse(struct mv_topic *t, int error, wtime now)
{
    bool is_news = t->state != MV_TOPIC_REFUSED || t->error != error;

    if (t->state != MV_TOPIC_REFUSED) {
        t->refused_since = now;
    }
    t->state = MV_TOPIC_REFUSED;
    t->error = error;
    return is_news;
}

bool mv_topic_apply(struct mv_topic *t, const struct mv_answer_topic *answer, wtime now)
{
    if (answer->error != ERRCODE_NONE) {
        return refuse(t, answer->error, now);
    }
    if (answer->n == 0) { /* created, its partitions are not yet */
        return refuse(t, ERRCODE_LEADER_NOT_AVAILABLE, now);
    }
    bool changed = t->state != MV_TOPIC_KNOWN || answer->n > t->n_partitions;
    if (!uuid_equal(&t->id, &answer->id)) { /* another topic of that name: its epochs begin anew */
        changed = true;
        t->id = answer->id;
        for (int32_t i = 0; i < t->n_partitions; i++) {
            t->partitions[i] =
                    (struct mv_partition){.leader = BROKER_NONE, .leader_epoch = EPOCH_NONE};
        }
    }
    t->state = MV_TOPIC_KNOWN;
    t->error = ERRCODE_NONE;
    grow(t, answer->n);
    for (int32_t i = 0; i < answer->n; i++) {
        const struct mv_partition *news = &answer->leaders[i];
        struct mv_partition *p = &t->partitions[i];
        if (news->leader_epoch < p->leader_epoch) {
            continue; /* from a broker that lags behind */
        }
        changed = changed || p->leader != news->leader || p->leader_epoch != news->leader_epoch;
        *p = *news;
    }
    return changed;
}

bool mv_topic_is_incomplete(const struct mv_topic *t)
{
    if (t->state != MV_TOPIC_KNOWN) {
        return true;
    }
    for (int32_t i = 0; i < t->n_partitions; i++) {
        if (t->partitions[i].leader == BROKER_NONE) {
            return true;
        }
    }
    return false;
}

void mv_refresh_init(
        struct mv_refresh *r, wtime first_wait, wtime max_wait, wtime max_age, uint64_t seed)
{
    *r = (struct mv_refresh){.first_wait = first_wait,
            .max_wait = max_wait,
            .max_age = max_age,
            .asked_last = WTIME_NEVER};
    prng_init(&r->prng, seed);
}

void mv_refresh_want(struct mv_refresh *r)
{
    r->is_wanted = true;
}

wtime mv_refresh_deadline(const struct mv_refresh *r)
{
    if (r->is_asking) {
        return WTIME_NEVER;
    }
    if (r->is_wanted) {
        return r->not_before;
    }
    return wtime_add(r->asked_last, r->max_age);
}

bool mv_refresh_is_due(const struct mv_refresh *r, wtime now)
{
    return wtime_due(mv_refresh_deadline(r), now);
}

void mv_refresh_begin(struct mv_refresh *r)
{
    must(!r->is_asking);
    r->is_asking = true;
    r->is_wanted = false;
}

void mv_refresh_answered(struct mv_refresh *r, bool is_complete, wtime now)
{
    must(r->is_asking);
    r->is_asking = false;
    r->asked_last = now;
    r->n_fruitless = is_complete ? 0 : r->n_fruitless + 1;
    /* Also after a good answer: what is still wrong then needs a moment to change. */
    r->not_before = wtime_add(now,
            backoff_after(r->first_wait, r->max_wait, is_complete ? 1 : r->n_fruitless, &r->prng));
    r->is_wanted = r->is_wanted || !is_complete;
}

void mv_refresh_failed(struct mv_refresh *r, wtime now)
{
    must(r->is_asking);
    r->is_asking = false;
    r->is_wanted = true;
    r->n_fruitless++;
    r->not_before =
            wtime_add(now, backoff_after(r->first_wait, r->max_wait, r->n_fruitless, &r->prng));
}
