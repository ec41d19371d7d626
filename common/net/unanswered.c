/* SPDX-License-Identifier: Apache-2.0 */
#include "common/net/unanswered.h"

#include "common/base/mem.h"
#include "common/base/must.h"

enum {
    CAP_FIRST = 16
};

/* Open addressing with linear probing; a power of two of slots, at most three quarters full. */
struct unanswered_slot {
    uint32_t correlation;
    uint32_t size; /* 0 = free */
};

void unanswered_deinit(struct unanswered *u)
{
    mem_free(u->slots);
    *u = (struct unanswered){0};
}

/* Correlations are mostly consecutive: multiplied, so that a peer's choice of steps makes no long
 * runs by accident. */
static size_t home(const struct unanswered *u, uint32_t correlation)
{
    return (size_t)((correlation * 0x9e3779b1U) >> 8) & (u->cap - 1);
}

static void place(struct unanswered *u, struct unanswered_slot s)
{
    size_t i = home(u, s.correlation);

    while (u->slots[i].size != 0) {
        i = (i + 1) & (u->cap - 1);
    }
    u->slots[i] = s;
}

static void grow(struct unanswered *u)
{
    struct unanswered_slot *old = u->slots;
    size_t old_cap = u->cap;

    u->cap = old_cap > 0 ? old_cap * 2 : CAP_FIRST;
    u->slots = mem_new_n(struct unanswered_slot, u->cap);
    for (size_t i = 0; i < old_cap; i++) {
        if (old[i].size != 0) {
            place(u, old[i]);
        }
    }
    mem_free(old);
}

void unanswered_add(struct unanswered *u, uint32_t correlation, uint32_t size)
{
    must(size > 0);
    if ((u->n + 1) * 4 > u->cap * 3) {
        grow(u);
    }
    place(u, (struct unanswered_slot){.correlation = correlation, .size = size});
    u->n++;
    u->bytes += size;
}

/* False when there is none. */
static bool find(const struct unanswered *u, uint32_t correlation, size_t *ret_i)
{
    if (u->n == 0) {
        return false;
    }
    size_t i = home(u, correlation);
    while (u->slots[i].size != 0 && u->slots[i].correlation != correlation) {
        i = (i + 1) & (u->cap - 1);
    }
    *ret_i = i;
    return u->slots[i].size != 0;
}

bool unanswered_weigh(struct unanswered *u, uint32_t correlation, uint32_t extra)
{
    size_t i = 0;

    if (!find(u, correlation, &i)) {
        return false;
    }
    if (extra > UINT32_MAX - u->slots[i].size) {
        extra = UINT32_MAX - u->slots[i].size;
    }
    u->slots[i].size += extra;
    u->bytes += extra;
    return true;
}

bool unanswered_remove(struct unanswered *u, uint32_t correlation)
{
    size_t i = 0;

    if (!find(u, correlation, &i)) {
        return false;
    }
    size_t mask = u->cap - 1;
    u->bytes -= u->slots[i].size;
    u->n--;
    /* Those behind the hole move up, unless that would put them before their home. */
    for (size_t k = (i + 1) & mask; u->slots[k].size != 0; k = (k + 1) & mask) {
        size_t want = home(u, u->slots[k].correlation);
        if (((k - want) & mask) >= ((k - i) & mask)) {
            u->slots[i] = u->slots[k];
            i = k;
        }
    }
    u->slots[i].size = 0;
    must(u->n > 0 || u->bytes == 0);
    return true;
}
