/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/core/fetch_plan.h"

#include "clients/core/backoff.h"
#include "clients/core/outcome.h"
#include "common/base/array.h"
#include "common/base/must.h"
#include "common/domain/errcode.h"

#include <string.h>

void fetch_plan_init(struct fetch_plan *plan, const struct fetch_settings *settings, uint64_t seed)
{
    *plan = (struct fetch_plan){.settings = *settings};
    prng_init(&plan->prng, seed);
    TAILQ_INIT(&plan->parts);
}

void fetch_epochs_note(struct fetch_epochs *e, epoch32 epoch, offset64 start)
{
    if (epoch < 0 || (e->n > 0 && e->at[e->n - 1].epoch >= epoch)) {
        return;
    }
    if (e->n == COUNT_OF(e->at)) {
        memmove(&e->at[1], &e->at[2], (e->n - 2U) * sizeof(e->at[0]));
        e->n--;
    }
    e->at[e->n].epoch = epoch;
    e->at[e->n].start = start;
    e->n++;
}

/* Nothing is known to have been read at or above `offset`. */
static void forget_epochs_from(struct fetch_epochs *e, offset64 offset)
{
    while (e->n > 0 && e->at[e->n - 1].start >= offset) {
        e->n--;
    }
}

static void moved(struct fetch_part *p)
{
    p->version++;
    p->n_asked = 0;
    p->is_parting = false;
    p->n_failures = 0;
    p->not_before = 0;
    p->is_resting = false;
}

void fetch_plan_seek(struct fetch_part *p, offset64 at)
{
    moved(p);
    p->epochs.n = 0;
    switch (at) {
    case -1: p->seek = FETCH_SEEK_END; break;
    case -2: p->seek = FETCH_SEEK_START; break;
    default: p->seek = FETCH_SEEK_NONE; break;
    }
    p->offset = at >= 0 ? at : OFFSET_NONE;
}

void fetch_plan_seek_epoch(struct fetch_part *p, offset64 at, epoch32 epoch)
{
    fetch_plan_seek(p, at);
    if (at > 0) { /* [FET-31] As if that record had been fetched. */
        fetch_epochs_note(&p->epochs, epoch, at - 1);
    }
}

void fetch_plan_seek_time(struct fetch_part *p, wall_ms time)
{
    moved(p);
    p->epochs.n = 0;
    p->seek = FETCH_SEEK_TIME;
    p->seek_time = time;
    p->offset = OFFSET_NONE;
}

void fetch_plan_add(struct fetch_plan *plan, struct fetch_part *p, offset64 at)
{
    *p = (struct fetch_part){.version = ++plan->n_added << 32,
            .leader = BROKER_NONE,
            .leader_epoch = EPOCH_NONE,
            .high_watermark = OFFSET_NONE};
    fetch_plan_seek(p, at);
    TAILQ_INSERT_TAIL(&plan->parts, p, entry);
}

void fetch_plan_remove(struct fetch_plan *plan, struct fetch_part *p)
{
    fetch_plan_unqueued(plan, p, p->queued);
    TAILQ_REMOVE(&plan->parts, p, entry);
}

static bool is_free(const struct fetch_part *p, wtime now)
{
    return !p->is_resting && p->n_asked == 0 && now >= p->not_before;
}

size_t fetch_plan_lookups(
        struct fetch_plan *plan, broker_id broker, wtime now, struct fetch_part **ret, size_t max)
{
    struct fetch_part *p = NULL;
    size_t n = 0;

    TAILQ_FOREACH(p, &plan->parts, entry)
    {
        if (n < max && p->seek != FETCH_SEEK_NONE && p->leader == broker && is_free(p, now)) {
            p->n_asked = 1;
            ret[n++] = p;
        }
    }
    return n;
}

/* A partition whose last answers were not handed out yet is fetched no further than one answer
 * ahead. */
static bool wants_fetch(const struct fetch_plan *plan, const struct fetch_part *p)
{
    return p->seek == FETCH_SEEK_NONE && !p->is_paused &&
           p->queued < 2 * plan->settings.partition_max;
}

size_t fetch_plan_fetches(struct fetch_plan *plan,
        broker_id broker,
        wtime now,
        struct fetch_part **ret,
        size_t max,
        size_t *ret_max_bytes)
{
    struct fetch_part *p = NULL;
    size_t n = 0;

    if (plan->queued >= plan->settings.queue_max) {
        return 0;
    }
    TAILQ_FOREACH(p, &plan->parts, entry)
    {
        if (n < max && p->leader == broker && is_free(p, now) && wants_fetch(plan, p)) {
            p->n_asked = 1;
            ret[n++] = p;
        }
    }
    size_t left = plan->settings.queue_max - plan->queued;
    *ret_max_bytes = left < plan->settings.request_max ? left : plan->settings.request_max;
    return n;
}

bool fetch_plan_lacks_leader(const struct fetch_plan *plan)
{
    const struct fetch_part *p = NULL;

    TAILQ_FOREACH(p, &plan->parts, entry)
    {
        if (p->leader == BROKER_NONE && !p->is_resting && !p->is_paused) {
            return true;
        }
    }
    return false;
}

static void answered(struct fetch_part *p)
{
    must(p->n_asked == 1);
    p->n_asked = 0;
    p->n_failures = 0;
    p->not_before = 0;
}

void fetch_plan_found(struct fetch_part *p, offset64 offset)
{
    must(offset >= 0);
    answered(p);
    p->seek = FETCH_SEEK_NONE;
    p->offset = offset;
    p->epochs.n = 0; /* what was read lies elsewhere */
}

void fetch_plan_fetched(struct fetch_plan *plan,
        struct fetch_part *p,
        size_t size,
        offset64 next,
        const struct fetch_epochs *epochs,
        offset64 high_watermark)
{
    answered(p);
    p->high_watermark = high_watermark;
    if (size == 0) {
        return;
    }
    must(next > p->offset);
    for (uint8_t i = 0; i < epochs->n; i++) {
        fetch_epochs_note(&p->epochs, epochs->at[i].epoch, epochs->at[i].start);
    }
    p->offset = next;
    p->queued += size;
    plan->queued += size;
    TAILQ_REMOVE(&plan->parts, p, entry);
    TAILQ_INSERT_TAIL(&plan->parts, p, entry);
}

void fetch_plan_unqueued(struct fetch_plan *plan, struct fetch_part *p, size_t size)
{
    must(size <= p->queued);
    must(p->queued <= plan->queued);
    p->queued -= size;
    plan->queued -= size;
}

epoch32 fetch_plan_last_epoch(const struct fetch_part *p)
{
    return p->epochs.n > 0 ? p->epochs.at[p->epochs.n - 1].epoch : EPOCH_NONE;
}

/* [FET-31] As a follower does ([REP-45]), with what is known of the epochs here. */
static offset64 common_end(const struct fetch_part *p, epoch32 epoch, offset64 end)
{
    const struct fetch_epochs *e = &p->epochs;
    uint8_t i = e->n; /* the entries below are of epochs that are not above the leader's */

    while (i > 0 && e->at[i - 1].epoch > epoch) {
        i--;
    }
    offset64 own_end = i < e->n ? e->at[i].start : p->offset;
    /* Of what lies below the first one nothing is known here, so the leader is believed. */
    bool is_leaders = i == 0 || e->at[i - 1].epoch == epoch;
    return is_leaders && end < own_end ? end : own_end;
}

bool fetch_plan_diverged(struct fetch_part *p, epoch32 epoch, offset64 end, offset64 position)
{
    must(p->n_asked == 1);
    offset64 to = common_end(p, epoch, end);

    if (p->epochs.n == 0 || epoch < 0 || to < 0 || to >= p->offset) {
        return false;
    }
    moved(p);
    p->is_parting = position > to; /* [FET-32] */
    p->offset = p->is_parting || position < 0 ? to : position;
    forget_epochs_from(&p->epochs, p->offset);
    return true;
}

bool fetch_plan_agreed(struct fetch_part *p)
{
    bool is_parting = p->is_parting;

    p->is_parting = false;
    return is_parting;
}

enum fetch_verdict fetch_plan_failed(
        struct fetch_plan *plan, struct fetch_part *p, int code, wtime now)
{
    must(p->n_asked == 1);
    p->n_asked = 0;
    if (code == ERRCODE_OFFSET_OUT_OF_RANGE && plan->settings.reset != FETCH_RESET_NONE) {
        p->seek = plan->settings.reset == FETCH_RESET_EARLIEST ? FETCH_SEEK_START : FETCH_SEEK_END;
        return FETCH_MOVED;
    }
    if (!errcode_retriable(code) && code != ERRCODE_UNKNOWN_SERVER_ERROR) {
        p->is_resting = true;
        return FETCH_REST;
    }
    p->n_failures++;
    p->not_before =
            wtime_add(now, backoff_after(plan->settings.retry_backoff,
                                   plan->settings.retry_backoff_max, p->n_failures, &plan->prng));
    return FETCH_RETRY;
}

void fetch_plan_rest(struct fetch_part *p)
{
    p->is_resting = true;
    p->n_asked = 0;
}

bool fetch_plan_is_at_end(const struct fetch_plan *plan)
{
    const struct fetch_part *p = NULL;
    size_t n = 0;

    TAILQ_FOREACH(p, &plan->parts, entry)
    {
        if (p->is_paused || p->is_resting) {
            continue;
        }
        if (p->seek != FETCH_SEEK_NONE || p->queued > 0 || p->high_watermark == OFFSET_NONE ||
                p->offset < p->high_watermark) {
            return false;
        }
        n++;
    }
    return n > 0;
}

wtime fetch_plan_deadline(const struct fetch_plan *plan, wtime now)
{
    const struct fetch_part *p = NULL;
    wtime deadline = WTIME_NEVER;

    TAILQ_FOREACH(p, &plan->parts, entry)
    {
        if (!p->is_resting && p->n_asked == 0 && p->not_before > now) {
            deadline = wtime_min(deadline, p->not_before);
        }
    }
    return deadline;
}
