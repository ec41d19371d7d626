/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/pending.h"

#include "common/base/must.h"

void pending_init_produce(
        struct pending *p, struct pending_part *parts, size_t n_parts, wtime deadline)
{
    *p = (struct pending){.kind = PENDING_PRODUCE,
            .state = PENDING_LOOKING,
            .deadline = deadline,
            .parts = parts,
            .n_parts = n_parts,
            .n_open = n_parts};
}

void pending_init_fetch(struct pending *p,
        struct pending_part *parts,
        size_t n_parts,
        size_t min_bytes,
        wtime deadline)
{
    *p = (struct pending){.kind = PENDING_FETCH,
            .state = PENDING_LOOKING,
            .deadline = deadline,
            .min_bytes = min_bytes,
            .parts = parts,
            .n_parts = n_parts};
}

static void produce_part(struct pending *p, const struct pending_event *ev)
{
    struct pending_part *part = &p->parts[ev->part];

    must(!part->is_done);
    part->is_done = true;
    part->error = ev->error;
    part->base = ev->error == ERRCODE_NONE ? ev->base : OFFSET_NONE;
    p->n_open--;
}

static void fetch_part(struct pending *p, const struct pending_event *ev)
{
    struct pending_part *part = &p->parts[ev->part];

    must(p->bytes >= part->bytes);
    p->bytes -= part->bytes;
    part->error = ev->error;
    part->bytes = ev->error == ERRCODE_NONE ? ev->bytes : 0;
    part->releases = ev->error != ERRCODE_NONE || ev->is_diverging || ev->is_older_segment; /* [BRK-22] [BRK-23] */
    if (__builtin_add_overflow(p->bytes, part->bytes, &p->bytes)) {
        p->bytes = SIZE_MAX;
    }
}

static bool fetch_is_satisfied(const struct pending *p)
{
    if (p->n_parts == 0 || p->bytes >= p->min_bytes) { /* [BRK-20] [BRK-21] */
        return true;
    }
    for (size_t i = 0; i < p->n_parts; i++) {
        if (p->parts[i].releases) {
            return true;
        }
    }
    return false;
}

static bool is_satisfied(const struct pending *p)
{
    return p->kind == PENDING_PRODUCE ? p->n_open == 0 : fetch_is_satisfied(p);
}

/* [BRK-24] The time is over: with whatever there is. */
static void expire(struct pending *p)
{
    for (size_t i = 0; i < p->n_parts && p->kind == PENDING_PRODUCE; i++) {
        if (!p->parts[i].is_done) {
            p->parts[i] = (struct pending_part){
                    .is_done = true, .error = ERRCODE_REQUEST_TIMED_OUT, .base = OFFSET_NONE};
        }
    }
    p->n_open = 0;
}

void pending_step(struct pending *p, const struct pending_event *ev, enum pending_fx *ret_fx)
{
    *ret_fx = PENDING_FX_NOTHING;
    if (p->state == PENDING_ANSWERED) {
        return; /* a wake-up that crossed the answer */
    }
    switch (ev->kind) {
    case PENDING_EV_PART:
        must(ev->part < p->n_parts);
        if (p->kind == PENDING_PRODUCE) {
            produce_part(p, ev);
        } else {
            fetch_part(p, ev);
        }
        if (p->state == PENDING_LOOKING) {
            return; /* the others first */
        }
        break;
    case PENDING_EV_READY: must(p->state == PENDING_LOOKING); break;
    case PENDING_EV_TICK: break;
    }
    if (!is_satisfied(p) && p->deadline > ev->now) {
        if (p->state == PENDING_LOOKING && ev->kind == PENDING_EV_READY) {
            p->state = PENDING_WAITING;
            *ret_fx = PENDING_FX_PARK;
        }
        return;
    }
    expire(p);
    p->state = PENDING_ANSWERED;
    *ret_fx = PENDING_FX_ANSWER;
}

wtime pending_deadline(const struct pending *p)
{
    return p->state == PENDING_WAITING ? p->deadline : WTIME_NEVER;
}
