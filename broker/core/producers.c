/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/producers.h"

#include "common/base/mem.h"
#include "common/base/must.h"
#include "common/domain/errcode.h"

void producers_deinit(struct producers *p)
{
    ARRAY_FOREACH (it, &p->known) {
        mem_free(*it);
    }
    array_deinit(&p->known);
    p->end = 0;
}

/* Index of the first one whose id is not below `id`. */
static size_t lower_bound(const struct producers *p, int64_t id)
{
    size_t from = 0, to = p->known.n;

    while (from < to) {
        size_t mid = from + (to - from) / 2;
        if (p->known.items[mid]->id < id) {
            from = mid + 1;
        } else {
            to = mid;
        }
    }
    return from;
}

static struct producer *find(const struct producers *p, int64_t id)
{
    size_t i = lower_bound(p, id);

    return i < p->known.n && p->known.items[i]->id == id ? p->known.items[i] : NULL;
}

const struct producer *producers_find(const struct producers *p, int64_t id)
{
    return find(p, id);
}

/* [PID-15] After 2147483647 comes 0. */
static int32_t sequence_after(int32_t sequence, int32_t n)
{
    return (int32_t)(((uint32_t)sequence + (uint32_t)n) & PRODUCERS_SEQUENCE_MAX);
}

static const struct producer_batch *last_batch(const struct producer *one)
{
    return one->n > 0 ? &one->batches[one->n - 1] : NULL;
}

static offset64 last_offset_of(const struct producer_batch *b)
{
    return b->base + (offset64)(((uint32_t)b->last - (uint32_t)b->first) & PRODUCERS_SEQUENCE_MAX);
}

/* --- May it be appended? ---------------------------------------------------------------------- */

static struct producers_verdict refuse(int error, const char *detail)
{
    return (struct producers_verdict){
            .kind = PRODUCERS_REFUSED, .error = error, .detail = detail, .base = OFFSET_NONE};
}

static const struct producers_verdict may_append = {
        .kind = PRODUCERS_APPEND, .detail = "", .base = OFFSET_NONE};

/* [PID-10] */
static const char *form_refusal(const struct producers_batch *b)
{
    if (b->is_control) {
        return "a producer does not write control batches";
    }
    if (b->is_transactional) {
        return "transactions are not offered by this version; produce without a transactional id";
    }
    if (b->id < -1) {
        return "a producer id is -1 (none) or one that InitProducerId gave";
    }
    if (b->id >= 0 && (b->epoch < 0 || b->base_sequence < 0)) {
        return "a batch with a producer id needs an epoch and a sequence";
    }
    return NULL;
}

static struct producers_verdict check_sequence(
        const struct producer *one, const struct producers_batch *b)
{
    const struct producer_batch *last = last_batch(one);
    int32_t expected = last != NULL ? sequence_after(last->last, 1) : 0;
    int32_t b_last = sequence_after(b->base_sequence, b->last_delta);

    for (size_t i = one->n; i > 0; i--) { /* [PID-14] */
        const struct producer_batch *known = &one->batches[i - 1];
        if (known->first == b->base_sequence && known->last == b_last) {
            return (struct producers_verdict){.kind = PRODUCERS_DUPLICATE,
                    .detail = "",
                    .base = known->base,
                    .last = last_offset_of(known),
                    .timestamp = known->timestamp};
        }
    }
    if (b->base_sequence == expected) {
        return may_append;
    }
    /* [PID-15] Ahead or behind, on a circle: what is nearer. */
    uint32_t ahead = ((uint32_t)b->base_sequence - (uint32_t)expected) & PRODUCERS_SEQUENCE_MAX;
    return refuse(ERRCODE_OUT_OF_ORDER_SEQUENCE_NUMBER,
            ahead < PRODUCERS_SEQUENCE_MAX / 2
                    ? "a batch of this producer before this one was not received; nothing was "
                      "written"
                    : "these sequences were received before, in other batches or in one that is "
                      "older "
                      "than the last five of its producer; nothing was written");
}

struct producers_verdict producers_check(const struct producers *p, const struct producers_batch *b)
{
    const char *wrong = form_refusal(b);
    const struct producer *one = NULL;

    must(b->last_delta >= 0);
    if (wrong != NULL) {
        return refuse(ERRCODE_INVALID_RECORD, wrong);
    }
    if (b->id == -1) {
        return may_append;
    }
    one = find(p, b->id);
    if (one == NULL) { /* [PID-11] Aged out, or its records are deleted: there is nothing to compare
                          with. */
        return may_append;
    }
    if (b->epoch < one->epoch) { /* [PID-12] */
        return refuse(ERRCODE_INVALID_PRODUCER_EPOCH,
                "a producer with this id and a newer epoch has written here; nothing was written");
    }
    if (b->epoch > one->epoch) { /* [PID-13] */
        return b->base_sequence == 0
                       ? may_append
                       : refuse(ERRCODE_OUT_OF_ORDER_SEQUENCE_NUMBER,
                                 "the first batch of a new producer epoch begins with sequence 0; "
                                 "nothing was written");
    }
    return check_sequence(one, b);
}

/* --- What is in the log ----------------------------------------------------------------------- */

static struct producer *get(struct producers *p, int64_t id)
{
    size_t i = lower_bound(p, id);

    if (i < p->known.n && p->known.items[i]->id == id) {
        return p->known.items[i];
    }
    struct producer *one = mem_new(struct producer);
    one->id = id;
    one->epoch = -1;
    *array_insert(&p->known, i) = one;
    return one;
}

static void push_batch(struct producer *one, const struct producers_batch *b)
{
    if (one->n == PRODUCERS_BATCHES) {
        memmove(&one->batches[0], &one->batches[1],
                (PRODUCERS_BATCHES - 1) * sizeof(one->batches[0]));
        one->n--;
    }
    one->batches[one->n++] = (struct producer_batch){.first = b->base_sequence,
            .last = sequence_after(b->base_sequence, b->last_delta),
            .base = b->base,
            .timestamp = b->timestamp};
}

void producers_note(struct producers *p, const struct producers_batch *b, wall_ms now)
{
    must(b->base >= p->end && b->last_delta >= 0);
    p->end = b->base + b->last_delta + 1;
    /* [PID-16] What stands in the log counts as it stands there; what no leader would have taken
     * has no part in it. */
    if (b->id < 0 || b->epoch < 0 || (!b->is_control && b->base_sequence < 0)) {
        return;
    }
    struct producer *one = get(p, b->id);

    if (one->epoch != b->epoch) { /* Sequences begin anew. */
        one->epoch = b->epoch;
        one->n = 0;
    }
    one->seen = now;
    one->last_offset = p->end - 1;
    if (!b->is_control) { /* A marker has no sequence: it may only have raised the epoch. */
        push_batch(one, b);
    }
}

bool producers_truncate(struct producers *p, offset64 end)
{
    ARRAY_FOREACH (it, &p->known) {
        if ((*it)->last_offset >= end) { /* [PID-18] What it remembered before was pushed out. */
            producers_deinit(p);
            return false;
        }
    }
    p->end = p->end < end ? p->end : end;
    return true;
}

size_t producers_expire(struct producers *p, wall_ms now, int64_t ttl)
{
    size_t kept = 0;

    for (size_t i = 0; i < p->known.n; i++) {
        struct producer *one = p->known.items[i];
        if (now > one->seen && now - one->seen >= ttl) { /* [PID-17] */
            mem_free(one);
        } else {
            p->known.items[kept++] = one;
        }
    }
    size_t n = p->known.n - kept;

    p->known.n = kept;
    if (kept == 0) {
        array_deinit(&p->known);
    }
    return n;
}

/* --- Invariants ------------------------------------------------------------------------------- */

static bool is_sound(const struct producer *one, offset64 end)
{
    offset64 next = 0;

    if (one->id < 0 || one->epoch < 0 || one->n > PRODUCERS_BATCHES || one->last_offset < 0 ||
            one->last_offset >= end) {
        return false;
    }
    for (size_t i = 0; i < one->n; i++) {
        const struct producer_batch *b = &one->batches[i];
        if (b->first < 0 || b->last < 0 || b->base < next || b->base > one->last_offset ||
                last_offset_of(b) > one->last_offset) {
            return false;
        }
        next = last_offset_of(b) + 1;
    }
    return true;
}

bool producers_are_sound(const struct producers *p)
{
    for (size_t i = 0; i < p->known.n; i++) {
        if (!is_sound(p->known.items[i], p->end) ||
                (i > 0 && p->known.items[i - 1]->id >= p->known.items[i]->id)) {
            return false;
        }
    }
    return p->end >= 0;
}
