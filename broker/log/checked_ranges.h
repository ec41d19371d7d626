/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Which bytes of a segment are known to be right in this run: read and found so, or written by it.
 * Disjoint ranges, in order; ranges that touch are one. At most CHECKED_RANGES_MAX of them: when
 * there would be more, the smallest other one is forgotten, and checked anew when it is read. One
 * range needs no memory of its own. Zero-initialised is empty. Owner: the segment's. */
struct checked_range {
    uint32_t begin, end; /* end exclusive; a segment is below 4 GiB */
};

struct checked_ranges {
    struct checked_range one;
    struct checked_range *many; /* NULL: at most one, which is `one` */
    uint16_t n, cap;            /* cap: of `many` */
};

enum {
    CHECKED_RANGES_MAX = 64
};

void checked_ranges_deinit(struct checked_ranges *c);
/* [begin, end) is right. begin == end: nothing. */
void checked_ranges_add(struct checked_ranges *c, int64_t begin, int64_t end);
/* Nothing is known from `size` on. */
void checked_ranges_cut(struct checked_ranges *c, int64_t size);

/* How far it is known to be right from `at` on: `at` itself when that byte is not. */
int64_t checked_ranges_end(const struct checked_ranges *c, int64_t at);
