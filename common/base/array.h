/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/mem.h"
#include "common/base/must.h"

#include <string.h>

/* A growing array of values: `ARRAY(struct foo) foos;` has `.items`, `.n`, `.cap`. Zero-initialised is empty.
 * Pointers into it are valid until the next push or insert. */
#define ARRAY(T)                                                                                   \
    struct {                                                                                       \
        T *items;                                                                                  \
        size_t n, cap;                                                                             \
    }

#define array_reserve(a, want)                                                                     \
    do {                                                                                           \
        if ((a)->cap < (want)) {                                                                   \
            size_t array_cap_ = (a)->cap * 2 > (want) ? (a)->cap * 2 : (want);                     \
            (a)->items = mem_resize((a)->items, array_cap_, sizeof(*(a)->items));                  \
            (a)->cap = array_cap_;                                                                 \
        }                                                                                          \
    } while (0)

/* Appends one zeroed item and returns a pointer to it. */
#define array_push(a) array_insert((a), (a)->n)

/* Makes room for one zeroed item at index `i` and returns a pointer to it. */
#define array_insert(a, i)                                                                         \
    ({                                                                                             \
        size_t array_i_ = (i);                                                                     \
        must(array_i_ <= (a)->n);                                                                  \
        array_reserve((a), (a)->n + 1 < 4 ? (size_t)4 : (a)->n + 1);                               \
        memmove((a)->items + array_i_ + 1, (a)->items + array_i_,                                  \
                ((a)->n - array_i_) * sizeof(*(a)->items));                                        \
        memset((a)->items + array_i_, 0, sizeof(*(a)->items));                                     \
        (a)->n++;                                                                                  \
        (a)->items + array_i_;                                                                     \
    })

/* Removes the item at `i`, keeping the order of the others. */
#define array_remove(a, i)                                                                         \
    do {                                                                                           \
        size_t array_i_ = (i);                                                                     \
        must(array_i_ < (a)->n);                                                                   \
        memmove((a)->items + array_i_, (a)->items + array_i_ + 1,                                  \
                ((a)->n - array_i_ - 1) * sizeof(*(a)->items));                                    \
        (a)->n--;                                                                                  \
    } while (0)

#define array_clear(a) ((void)((a)->n = 0))
/* Frees the array, not what its items own. */
#define array_deinit(a)                                                                            \
    do {                                                                                           \
        (a)->items = mem_free((a)->items);                                                         \
        (a)->n = (a)->cap = 0;                                                                     \
    } while (0)

/* Walks the items that are there now: pushing or removing inside the loop ends it (break or return). */
#define ARRAY_FOREACH(it, a)                                                                       \
    for (__typeof__((a)->items) it = (a)->items,                                                   \
                                it##_end_ = (a)->n > 0 ? (a)->items + (a)->n : (a)->items;         \
            it != it##_end_;                                                                       \
            it++)

#define COUNT_OF(x) (sizeof(x) / sizeof((x)[0]))
