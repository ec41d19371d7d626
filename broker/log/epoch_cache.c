/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/epoch_cache.h"

#include <inttypes.h>

void epoch_cache_deinit(struct epoch_cache *c)
{
    array_deinit(&c->entries);
}

int64_t epoch_cache_find(const struct epoch_cache *c, epoch32 epoch)
{
    size_t low = 0, high = c->entries.n; /* entries before `low` are not above, those from `high` on are */

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (c->entries.items[mid].epoch <= epoch) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return (int64_t)low - 1;
}

/* Index of the last entry that begins at or before `offset`; -1 = none. */
static int64_t find_offset(const struct epoch_cache *c, offset64 offset)
{
    size_t low = 0, high = c->entries.n;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (c->entries.items[mid].start <= offset) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return (int64_t)low - 1;
}

bool epoch_cache_assign(struct epoch_cache *c, epoch32 epoch, offset64 start, bool is_sure)
{
    must(epoch >= 0);
    must(start >= 0);
    if (epoch_cache_latest(c) == epoch && c->entries.items[c->entries.n - 1].start <= start) {
        return false;
    }
    while (c->entries.n > 0 && (c->entries.items[c->entries.n - 1].epoch > epoch ||
                                       c->entries.items[c->entries.n - 1].start >= start)) {
        c->entries.n--;
    }
    /* Behind an epoch in which this broker led and wrote nothing, one goes on that began before. */
    if (epoch_cache_latest(c) == epoch) {
        return true;
    }
    *array_push(&c->entries) =
            (struct epoch_entry){.epoch = epoch, .start = start, .is_sure = is_sure};
    return true;
}

void epoch_cache_end(const struct epoch_cache *c,
        epoch32 asked,
        offset64 log_end,
        epoch32 *ret_epoch,
        offset64 *ret_end)
{
    int64_t i = epoch_cache_find(c, asked);

    *ret_epoch = EPOCH_NONE;
    *ret_end = OFFSET_NONE;
    if (asked < 0 || c->entries.n == 0) {
        return;
    }
    *ret_epoch = i < 0 ? asked : c->entries.items[i].epoch;
    *ret_end = (size_t)(i + 1) < c->entries.n ? c->entries.items[i + 1].start : log_end;
}

epoch32 epoch_cache_at(const struct epoch_cache *c, offset64 offset)
{
    int64_t i = find_offset(c, offset);

    return i < 0 ? EPOCH_NONE : c->entries.items[i].epoch;
}

epoch32 epoch_cache_latest(const struct epoch_cache *c)
{
    return c->entries.n > 0 ? c->entries.items[c->entries.n - 1].epoch : EPOCH_NONE;
}

bool epoch_cache_cut_tail(struct epoch_cache *c, offset64 end)
{
    size_t n = c->entries.n;

    while (c->entries.n > 0 && c->entries.items[c->entries.n - 1].start >= end) {
        c->entries.n--;
    }
    return c->entries.n != n;
}

bool epoch_cache_cut_head(struct epoch_cache *c, offset64 start)
{
    int64_t first = find_offset(c, start);

    if (first <= 0) {
        return false;
    }
    memmove(c->entries.items, c->entries.items + first,
            (c->entries.n - (size_t)first) * sizeof(*c->entries.items));
    c->entries.n -= (size_t)first;
    return true;
}

/* --- Text ---------------------------------------------------------------------------------------------------------- */

void epoch_cache_format(const struct epoch_cache *c, struct buf *out)
{
    buf_append_format(out, "0\n%zu\n", c->entries.n);
    for (size_t i = 0; i < c->entries.n; i++) {
        buf_append_format(out, "%" PRId32 " %" PRId64 "\n", c->entries.items[i].epoch,
                c->entries.items[i].start);
    }
}

struct text {
    const char *at, *end;
};

/* A number of digits only, and the character behind it. */
static bool take_number(struct text *t, int64_t max, char behind, int64_t *ret)
{
    const char *begin = t->at;
    int64_t v = 0;

    while (t->at < t->end && *t->at >= '0' && *t->at <= '9') {
        int digit = *t->at - '0';
        if (digit > max || v > (max - digit) / 10) {
            return false;
        }
        v = v * 10 + digit;
        t->at++;
    }
    if (t->at == begin || t->at == t->end || *t->at != behind) {
        return false;
    }
    t->at++;
    *ret = v;
    return true;
}

int epoch_cache_parse(struct epoch_cache *c, const char *text, size_t size)
{
    struct text t = {.at = text, .end = text + size};
    int64_t version = -1, n = 0, epoch = 0, start = 0;
    epoch32 before = EPOCH_NONE;
    offset64 before_start = -1;

    must(c->entries.n == 0);
    bool is_good = take_number(&t, 0, '\n', &version) &&
                   take_number(&t, EPOCH_CACHE_ENTRIES_MAX, '\n', &n);
    for (int64_t i = 0; i < n && is_good; i++) {
        is_good = take_number(&t, INT32_MAX, ' ', &epoch) &&
                  take_number(&t, INT64_MAX - 1, '\n', &start) && epoch > before &&
                  start > before_start;
        if (is_good) {
            before = (epoch32)epoch;
            before_start = start;
            *array_push(&c->entries) = (struct epoch_entry){.epoch = before, .start = start};
        }
    }
    if (!is_good || t.at != t.end) {
        array_clear(&c->entries);
        return EPOCH_CACHE_E_DAMAGED;
    }
    return 0;
}
