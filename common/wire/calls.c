/* SPDX-License-Identifier: Apache-2.0 */
#include "common/wire/calls.h"

#include "common/base/array.h"
#include "common/base/map.h"

/* Three views of the same calls: by correlation (map), by age (list), by deadline (heap of those
 * that have one). */
struct call {
    uint32_t correlation;
    void *user;
    wtime deadline;
    uint64_t age; /* decides between equal deadlines */
    size_t slot;  /* in the heap; SLOT_NONE without a deadline */
    struct call *older, *newer;
    UT_hash_handle hh;
};

#define SLOT_NONE SIZE_MAX

struct calls {
    struct call *by_correlation;
    struct call *oldest, *newest;
    ARRAY(struct call *) heap; /* the earliest on top */
    uint32_t last_correlation;
    uint64_t next_age;
};

struct calls *calls_new(void)
{
    return mem_new(struct calls);
}

static bool is_before(const struct call *a, const struct call *b)
{
    return a->deadline != b->deadline ? a->deadline < b->deadline : a->age < b->age;
}

static void heap_put(struct calls *c, size_t slot, struct call *call)
{
    c->heap.items[slot] = call;
    call->slot = slot;
}

/* Finds the place of `call`, for which `slot` is free. */
static void heap_settle(struct calls *c, size_t slot, struct call *call)
{
    while (slot > 0 && is_before(call, c->heap.items[(slot - 1) / 2])) {
        heap_put(c, slot, c->heap.items[(slot - 1) / 2]);
        slot = (slot - 1) / 2;
    }
    for (;;) {
        size_t child = 2 * slot + 1;
        if (child >= c->heap.n) {
            break;
        }
        if (child + 1 < c->heap.n && is_before(c->heap.items[child + 1], c->heap.items[child])) {
            child++;
        }
        if (!is_before(c->heap.items[child], call)) {
            break;
        }
        heap_put(c, slot, c->heap.items[child]);
        slot = child;
    }
    heap_put(c, slot, call);
}

static void heap_remove(struct calls *c, struct call *call)
{
    size_t slot = call->slot;

    must(c->heap.items[slot] == call);
    struct call *last = c->heap.items[--c->heap.n];
    if (last != call) {
        heap_settle(c, slot, last);
    }
    call->slot = SLOT_NONE;
}

static struct call *find(const struct calls *c, uint32_t correlation)
{
    struct call *call = NULL;

    HASH_FIND(hh, c->by_correlation, &correlation, sizeof(correlation), call);
    return call;
}

/* Takes the call out of all views, frees it, returns its user. */
static void *take(struct calls *c, struct call *call)
{
    void *user = call->user;

    HASH_DEL(c->by_correlation, call);
    if (call->slot != SLOT_NONE) {
        heap_remove(c, call);
    }
    *(call->older != NULL ? &call->older->newer : &c->oldest) = call->newer;
    *(call->newer != NULL ? &call->newer->older : &c->newest) = call->older;
    mem_free(call);
    return user;
}

struct calls *calls_free(struct calls *c)
{
    if (c != NULL) {
        while (c->oldest != NULL) {
            (void)take(c, c->oldest); /* The users are the caller's. */
        }
        array_deinit(&c->heap);
        mem_free(c);
    }
    return NULL;
}

uint32_t calls_begin(struct calls *c, void *user, wtime deadline)
{
    struct call *call = mem_new(struct call);

    do { /* After 2^32 calls, one that is still unanswered keeps its number. */
        c->last_correlation++;
    } while (find(c, c->last_correlation) != NULL);
    call->correlation = c->last_correlation;
    call->user = user;
    call->deadline = deadline;
    call->age = c->next_age++;
    call->slot = SLOT_NONE;
    call->older = c->newest;
    *(c->newest != NULL ? &c->newest->newer : &c->oldest) = call;
    c->newest = call;
    HASH_ADD(hh, c->by_correlation, correlation, sizeof(call->correlation), call);
    if (deadline != WTIME_NEVER) {
        (void)array_push(&c->heap);
        heap_settle(c, c->heap.n - 1, call);
    }
    return call->correlation;
}

void *calls_end(struct calls *c, uint32_t correlation)
{
    struct call *call = find(c, correlation);

    return call != NULL ? take(c, call) : NULL;
}

void *calls_expired(struct calls *c, wtime now)
{
    if (!wtime_due(calls_deadline(c), now)) {
        return NULL;
    }
    return take(c, c->heap.items[0]);
}

void *calls_take_any(struct calls *c)
{
    return c->oldest != NULL ? take(c, c->oldest) : NULL;
}

size_t calls_n(const struct calls *c)
{
    return HASH_COUNT(c->by_correlation);
}

wtime calls_deadline(const struct calls *c)
{
    return c->heap.n > 0 ? c->heap.items[0]->deadline : WTIME_NEVER;
}
