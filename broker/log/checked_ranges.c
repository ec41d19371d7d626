/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/checked_ranges.h"

#include "common/base/mem.h"
#include "common/base/must.h"

#include <stddef.h>
#include <string.h>

void checked_ranges_deinit(struct checked_ranges *c)
{
    (void)mem_free(c->many);
    *c = (struct checked_ranges){0};
}

static const struct checked_range *all(const struct checked_ranges *c)
{
    return c->many != NULL ? c->many : &c->one;
}

/* The first range that ends at or behind `at`; n when none does. */
static uint16_t find(const struct checked_ranges *c, uint32_t at)
{
    const struct checked_range *r = all(c);
    uint16_t low = 0, high = c->n;

    while (low < high) {
        uint16_t mid = (uint16_t)((low + high) / 2);
        if (r[mid].end < at) {
            low = (uint16_t)(mid + 1);
        } else {
            high = mid;
        }
    }
    return low;
}

/* Room for one more at `i`. */
static struct checked_range *open_gap(struct checked_ranges *c, uint16_t i)
{
    if (c->n == 0 && c->many == NULL) {
        c->n = 1;
        return &c->one;
    }
    if (c->many == NULL || c->n == c->cap) {
        uint16_t cap = c->cap == 0 ? 4 : (uint16_t)(c->cap * 2);
        struct checked_range *more = mem_new_n(struct checked_range, cap);
        memcpy(more, all(c), c->n * sizeof(*more));
        (void)mem_free(c->many);
        c->many = more;
        c->cap = cap;
    }
    memmove(c->many + i + 1, c->many + i, (size_t)(c->n - i) * sizeof(*c->many));
    c->n++;
    return &c->many[i];
}

static void forget_smallest_but(struct checked_ranges *c, uint16_t kept)
{
    uint16_t smallest = kept == 0 ? 1 : 0;

    for (uint16_t i = 0; i < c->n; i++) {
        uint32_t size = c->many[i].end - c->many[i].begin;
        if (i != kept && size < c->many[smallest].end - c->many[smallest].begin) {
            smallest = i;
        }
    }
    c->n--;
    memmove(c->many + smallest, c->many + smallest + 1,
            (size_t)(c->n - smallest) * sizeof(*c->many));
}

void checked_ranges_add(struct checked_ranges *c, int64_t begin, int64_t end)
{
    must(begin >= 0 && begin <= end);
    must(end <= UINT32_MAX);
    if (begin == end) {
        return;
    }
    struct checked_range r = {.begin = (uint32_t)begin, .end = (uint32_t)end};
    uint16_t first = find(c, r.begin);
    uint16_t last = first;
    while (last < c->n && all(c)[last].begin <= r.end) { /* touches or overlaps */
        last++;
    }
    if (first == last) {
        *open_gap(c, first) = r;
        if (c->n > CHECKED_RANGES_MAX) {
            forget_smallest_but(c, first);
        }
        return;
    }
    struct checked_range *items = c->many != NULL ? c->many : &c->one;
    r.begin = items[first].begin < r.begin ? items[first].begin : r.begin;
    r.end = items[last - 1].end > r.end ? items[last - 1].end : r.end;
    items[first] = r;
    memmove(items + first + 1, items + last, (size_t)(c->n - last) * sizeof(*items));
    c->n = (uint16_t)(c->n - (last - first - 1));
}

void checked_ranges_cut(struct checked_ranges *c, int64_t size)
{
    struct checked_range *items = c->many != NULL ? c->many : &c->one;

    must(size >= 0);
    while (c->n > 0 && items[c->n - 1].begin >= size) {
        c->n--;
    }
    if (c->n > 0 && items[c->n - 1].end > size) {
        items[c->n - 1].end = (uint32_t)size;
    }
}

int64_t checked_ranges_end(const struct checked_ranges *c, int64_t at)
{
    must(at >= 0);
    if (at >= UINT32_MAX) {
        return at;
    }
    /* One that ends right at `at` does not hold it. */
    uint16_t i = find(c, (uint32_t)at + 1);
    return i < c->n && all(c)[i].begin <= at ? all(c)[i].end : at;
}
