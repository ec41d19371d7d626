/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/core/journal_window.h"

uint64_t journal_window_n(const struct journal_window *w)
{
    return w->sizes.n - w->head;
}

void journal_window_begin(struct journal_window *w, uint64_t first)
{
    must(first > 0);
    array_clear(&w->sizes);
    w->head = 0;
    w->first = first;
    w->bytes = w->written = w->given_up_to = 0;
    w->is_met = false;
}

void journal_window_deinit(struct journal_window *w)
{
    array_deinit(&w->sizes);
    w->head = 0;
}

static void drop_first(struct journal_window *w)
{
    must(journal_window_n(w) > 0);
    w->bytes -= w->sizes.items[w->head++];
    w->first++;
    if (w->head == w->sizes.n) {
        array_clear(&w->sizes);
        w->head = 0;
    } else if (w->head > 1024 && w->head > w->sizes.n / 2) { /* the dead half at the front */
        memmove(w->sizes.items, w->sizes.items + w->head,
                (w->sizes.n - w->head) * sizeof(*w->sizes.items));
        w->sizes.n -= w->head;
        w->head = 0;
    }
}

void journal_window_add(struct journal_window *w, uint64_t index, size_t size)
{
    must(index == w->first + journal_window_n(w));
    must(size <= UINT32_MAX);
    *array_push(&w->sizes) = (uint32_t)size;
    w->bytes += size;
    while (journal_window_n(w) > JOURNAL_WAITING_MAX ||
            (w->bytes > JOURNAL_WAITING_BYTES && journal_window_n(w) > 1)) { /* [DEC-5] */
        w->given_up_to = w->first;
        drop_first(w);
    }
}

bool journal_window_extend(struct journal_window *w, size_t size)
{
    must(w->first > 1);
    must(size <= UINT32_MAX);
    if (journal_window_n(w) >= JOURNAL_WAITING_MAX || w->bytes + size > JOURNAL_WAITING_BYTES) {
        return false; /* [DEC-5] */
    }
    *array_insert(&w->sizes, w->head) = (uint32_t)size;
    w->bytes += size;
    w->first--;
    return true;
}

void journal_window_ack(struct journal_window *w, uint64_t index)
{
    uint64_t end = w->first + journal_window_n(w);

    /* [DEC-6] A journal that is ahead of the log knows a history that is not ours any more: ours goes on. */
    index = index < end ? index : end - 1;
    w->written = index > w->written ? index : w->written;
    while (journal_window_n(w) > 0 && w->first <= index) {
        drop_first(w);
    }
    must(w->written < w->first);
}

void journal_window_meet(struct journal_window *w, uint64_t written)
{
    w->is_met = true;
    journal_window_ack(w, written);
}

bool journal_window_next(const struct journal_window *w,
        uint64_t n_max,
        uint64_t bytes_max,
        struct journal_work *ret)
{
    uint64_t n = 0, bytes = 0;

    if (!w->is_met) {
        return false;
    }
    for (; n < journal_window_n(w) && n < n_max; n++) {
        bytes += w->sizes.items[w->head + n];
        if (n > 0 && bytes > bytes_max) {
            break;
        }
    }
    *ret = (struct journal_work){.has_gap = w->written + 1 < w->first,
            .gap_from = w->written + 1,
            .gap_to = w->first - 1,
            .is_overflow = w->given_up_to > w->written,
            .first = w->first,
            .n = n};
    return ret->has_gap || n > 0;
}
