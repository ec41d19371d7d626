/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/array.h"

#include <stdbool.h>
#include <stdint.h>

/* What of the metadata log the decision journal still lacks: the entries that wait for its ack,
 * and the gap in front of them. Pure: it knows indexes and sizes; the bytes stay with whoever has
 * them.
 *
 *      in the journal        the gap          waiting
 *   ──────────────────┼────────────────┼───────────────────► index
 *                 written    (lost)    first       first + n - 1
 *
 * [DEC-5] At most JOURNAL_WAITING_MAX entries and JOURNAL_WAITING_BYTES of them wait; beyond that
 * the oldest are given up. What was given up, or was never seen, is one gap: everything between
 * what the journal has and the first that waits. Owner: the controller's loop. */

enum {
    JOURNAL_WAITING_MAX = 4096,
    JOURNAL_WAITING_BYTES = 16 * 1024 * 1024, /* half of what the ring of batches holds */
};

struct journal_window {
    uint64_t first;        /* the oldest that waits, or the next to come */
    ARRAY(uint32_t) sizes; /* of the waiting ones, from `head` on */
    size_t head;
    uint64_t bytes;
    bool is_met;          /* the journal's end is known */
    uint64_t written;     /* then: the last index that is in it */
    uint64_t given_up_to; /* the last index that a bound pushed out; 0 = none */
};

/* What to write next, in this order: the gap, then the entries. */
struct journal_work {
    bool has_gap;
    uint64_t gap_from, gap_to;
    bool is_overflow;  /* the gap is due to the bounds, at least in part */
    uint64_t first, n; /* entries */
};

/* Nothing waits yet; `first` is the oldest entry at hand. */
void journal_window_begin(struct journal_window *w, uint64_t first);
void journal_window_deinit(struct journal_window *w);
/* The entry behind the last one. */
void journal_window_add(struct journal_window *w, uint64_t index, size_t size);
/* The entry in front of the first one was found. False: the bounds leave no room for it, nothing
 * changed. */
bool journal_window_extend(struct journal_window *w, size_t size);
/* [DEC-6] The journal was read: it ends with `written` (0 = it is empty). */
void journal_window_meet(struct journal_window *w, uint64_t written);
/* The journal has everything up to `index`. */
void journal_window_ack(struct journal_window *w, uint64_t index);
/* At most `n_max` entries of together `bytes_max`, but at least one when there is one. False:
 * there is nothing to write, or the journal's end is not known. */
bool journal_window_next(const struct journal_window *w,
        uint64_t n_max,
        uint64_t bytes_max,
        struct journal_work *ret);
uint64_t journal_window_n(const struct journal_window *w); /* that wait */
