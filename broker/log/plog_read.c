/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/plog_impl.h"
#include "common/base/mem.h"
#include "common/obs/log.h"

/* Reading by offset. The two common readers need no search: one that waits at the end of the log,
 * and one that goes on where its last slice ended and takes the rest of the segment. All others pay
 * an index look-up and the headers of at most one index interval, at either end of the slice. */

struct range {
    int64_t at;
    int64_t size; /* 0 = nothing to give */
};

static int unreadable(const struct plog *l, const struct segment *s, offset64 offset)
{
    log_error("plog", "log_damaged", KV_STR("file", cached_file_path(s->log)),
            KV_I64("offset", offset), KV_STR("dir", log_dir_path(l->dir)),
            KV_STR("why", "the batch headers do not chain"));
    return PLOG_E_DAMAGED;
}

static struct plog_hint *find_hint(struct plog *l, offset64 offset)
{
    for (size_t i = 0; i < PLOG_HINTS; i++) {
        if (l->hints[i].offset == offset) {
            return &l->hints[i];
        }
    }
    return NULL;
}

/* Position of the batch that begins with `offset`, or -1 when it is not remembered. */
static int64_t remembered(struct plog *l, const struct segment *s, offset64 offset)
{
    const struct plog_hint *hint = find_hint(l, offset);

    if (offset == s->base) {
        return 0;
    }
    if (hint != NULL) {
        return hint->at;
    }
    return offset == l->tail_offset ? l->tail_at : -1;
}

/* The reader of `from` will come back for `next`; a segment's end is no place to come back to once
 * it is sealed. */
static void remember(
        struct plog *l, const struct segment *s, offset64 from, offset64 next, int64_t at)
{
    struct plog_hint *hint = find_hint(l, from);

    if (at == s->size && s != plog_active(l)) {
        return;
    }
    if (hint == NULL) {
        hint = find_hint(l, next);
    }
    if (hint == NULL) {
        hint = &l->hints[l->next_hint++ % PLOG_HINTS];
    }
    *hint = (struct plog_hint){.offset = next, .at = at};
}

/* Where the batch that holds `offset` begins; its header in *ret. */
static int find_first(struct plog *l,
        struct segment *s,
        struct file_window *w,
        offset64 offset,
        int64_t at,
        struct batch_head *ret)
{
    if (at >= 0) {
        int r = batch_head_read(w, at, ret);
        if (r < 0) {
            return err_forward(r);
        }
        if (r == 0 && segment_may_follow(s, offset, ret->base)) {
            return 0;
        }
    }
    int r = segment_locate(l->io, s, w, offset, ret);
    return r < 0 ? err_forward(r) : r;
}

static int find_range(struct plog *l,
        struct segment *s,
        int fd,
        offset64 offset,
        offset64 limit,
        int64_t max_bytes,
        bool first_whole,
        struct range *ret)
{
    uint8_t bytes[BATCH_HEAD_WALK_SIZE];
    struct file_window w;
    struct batch_head first;
    int64_t at = remembered(l, s, offset);
    int64_t end = 0;
    offset64 next = OFFSET_NONE;

    if (at >= 0 && limit >= s->end && s->size - at <= max_bytes) {
        *ret = (struct range){.at = at, .size = s->size - at};
        remember(l, s, offset, s->end, s->size);
        return 0;
    }
    file_window_init(&w, l->io, fd, s->size, bytes, sizeof(bytes));
    int r = find_first(l, s, &w, offset, at, &first);
    if (r != 0) {
        return r < 0 ? err_forward(r) : r;
    }
    if (first.last >= limit || (first.size > max_bytes && !first_whole)) {
        *ret = (struct range){0};
        return 0;
    }
    if (limit >= s->end && s->size - first.at <= max_bytes) {
        end = s->size;
        next = s->end;
    } else {
        r = segment_run_end(l->io, s, &w, &first, limit, max_bytes, &end, &next);
        if (r != 0) {
            return r < 0 ? err_forward(r) : r;
        }
    }
    remember(l, s, offset, next, end);
    *ret = (struct range){.at = first.at, .size = end - first.at};
    return 0;
}

/* Holds the segment's file and gives `range` of it. */
static void
give(struct plog *l, struct segment *s, int fd, const struct range *range, struct plog_slice *ret)
{
    *ret = (struct plog_slice){.file = s->log,
            .fd = fd,
            .at = range->at,
            .size = (size_t)range->size,
            .older_segment = s != plog_active(l)};
}

/* From `offset`, which lies in the segment. > 0: as plog_read, and NOT_FOUND. */
static int read_segment(struct plog *l,
        struct segment *s,
        offset64 offset,
        offset64 limit,
        int64_t max_bytes,
        bool first_whole,
        struct plog_slice *ret)
{
    struct range range = {0};
    int fd = -1;

    if (s->size == 0) {
        return PLOG_E_NOT_FOUND;
    }
    int r = cached_file_hold(s->log, &fd);
    if (r < 0) {
        return plog_outcome(l, r, "a segment could not be opened");
    }
    r = find_range(l, s, fd, offset, limit, max_bytes, first_whole, &range);
    if (r == 0 && range.size > 0) {
        give(l, s, fd, &range, ret);
        return 0;
    }
    cached_file_release(s->log);
    if (r < 0) {
        return plog_outcome(l, r, "a segment could not be read");
    }
    return r == SEGMENT_E_BAD ? unreadable(l, s, offset) : r == SEGMENT_E_NONE ? PLOG_E_NOT_FOUND : 0;
}

int plog_read(struct plog *l,
        offset64 offset,
        offset64 limit,
        size_t max_bytes,
        bool first_whole,
        struct plog_slice *ret)
{
    if (offset < l->start || offset > l->end) {
        return PLOG_E_OUT_OF_RANGE;
    }
    limit = limit < l->end ? limit : l->end;
    if (offset >= limit) {
        *ret = (struct plog_slice){.fd = -1};
        return 0;
    }
    int64_t max = max_bytes > INT64_MAX ? INT64_MAX : (int64_t)max_bytes;
    int r = PLOG_E_NOT_FOUND;
    *ret = (struct plog_slice){.fd = -1};
    /* Of a compacted segment there may be nothing left from `offset` on. */
    for (size_t i = plog_segment_index(l, offset); i < l->segments.n && r == PLOG_E_NOT_FOUND; i++) {
        struct segment *s = &l->segments.items[i];
        if (s->base >= limit) {
            return 0;
        }
        r = read_segment(l, s, offset > s->base ? offset : s->base, limit, max, first_whole, ret);
    }
    return r < 0 ? err_forward(r) : r == PLOG_E_NOT_FOUND ? 0 : r;
}

size_t plog_readable(struct plog *l, offset64 offset, offset64 limit, size_t max_bytes)
{
    struct plog_slice slice = {.fd = -1};

    if (plog_read(l, offset, limit, max_bytes, true, &slice) != 0 || slice.file == NULL) {
        return 0;
    }
    cached_file_release(slice.file);
    return slice.size;
}

/* --- By time ---------------------------------------------------------------------------------- */

/* Calls `each` for the batches of a segment that end at or above the log start and before `limit`,
 * until it answers true or there are no more. */
struct batch_visit {
    bool (*each)(struct batch_visit *v, const struct batch_head *h);
    wall_ms t;
    bool is_found;
    struct batch_head found;
};

static int visit(
        struct plog *l, struct segment *s, offset64 start, offset64 limit, struct batch_visit *v)
{
    uint8_t bytes[BATCH_HEAD_WALK_SIZE];
    struct file_window w;
    struct batch_head h;
    int64_t at = 0;
    int fd = -1;
    int r = cached_file_hold(s->log, &fd);

    if (r < 0) {
        return plog_outcome(l, r, "a segment could not be opened");
    }
    file_window_init(&w, l->io, fd, s->size, bytes, sizeof(bytes));
    while (at < s->size) {
        r = batch_head_read(&w, at, &h);
        if (r != 0 || h.last >= limit) {
            break;
        }
        if (h.last >= start && v->each(v, &h)) {
            break;
        }
        at += h.size;
    }
    cached_file_release(s->log);
    if (r < 0) {
        return plog_outcome(l, r, "a segment could not be read");
    }
    return r > 0 ? unreadable(l, s, s->base) : 0;
}

static bool is_at_or_after(struct batch_visit *v, const struct batch_head *h)
{
    if (h->max_timestamp < v->t) {
        return false;
    }
    v->is_found = true;
    v->found = *h;
    return true;
}

static bool is_latest(struct batch_visit *v, const struct batch_head *h)
{
    if (!v->is_found || h->max_timestamp > v->found.max_timestamp) {
        v->is_found = true;
        v->found = *h;
    }
    return false;
}

/* The largest timestamp of a whole segment, walked for once. */
static int know_max_timestamp(struct plog *l, struct segment *s)
{
    struct batch_visit v = {.each = is_latest};

    if (s->has_max_timestamp) {
        return 0;
    }
    int r = visit(l, s, s->base, s->end, &v);
    if (r == 0) {
        s->max_timestamp = v.is_found ? v.found.max_timestamp : INT64_MIN;
        s->has_max_timestamp = true;
    }
    return r;
}

static int give_found(
        struct plog *l, struct segment *s, const struct batch_head *h, struct plog_slice *ret)
{
    struct range range = {.at = h->at, .size = h->size};
    int fd = -1;
    int r = cached_file_hold(s->log, &fd);

    if (r < 0) {
        return plog_outcome(l, r, "a segment could not be opened");
    }
    give(l, s, fd, &range, ret);
    return 0;
}

int plog_find_time(struct plog *l, wall_ms t, offset64 limit, struct plog_slice *ret)
{
    for (size_t i = plog_segment_index(l, l->start); i < l->segments.n; i++) {
        struct segment *s = &l->segments.items[i];
        struct batch_visit v = {.each = is_at_or_after, .t = t};
        if (s->base >= limit) {
            break;
        }
        int r = know_max_timestamp(l, s);
        if (r == 0 && s->max_timestamp >= t) {
            r = visit(l, s, l->start, limit, &v);
        }
        if (r != 0) {
            return r < 0 ? err_forward(r) : r;
        }
        if (v.is_found) {
            return give_found(l, s, &v.found, ret);
        }
    }
    return PLOG_E_NOT_FOUND;
}

int plog_find_max_time(struct plog *l, offset64 limit, struct plog_slice *ret)
{
    struct batch_visit v = {.each = is_latest};
    struct segment *best = NULL;

    for (size_t i = plog_segment_index(l, l->start); i < l->segments.n; i++) {
        struct segment *s = &l->segments.items[i];
        if (s->base >= limit) {
            break;
        }
        int r = know_max_timestamp(l, s);
        if (r == 0 && (!v.is_found || s->max_timestamp > v.found.max_timestamp)) {
            int64_t before = v.is_found ? v.found.max_timestamp : INT64_MIN;
            bool was_found = v.is_found;
            r = visit(l, s, l->start, limit, &v);
            if (v.is_found && (!was_found || v.found.max_timestamp > before)) {
                best = s;
            }
        }
        if (r != 0) {
            return r < 0 ? err_forward(r) : r;
        }
    }
    return best != NULL ? give_found(l, best, &v.found, ret) : PLOG_E_NOT_FOUND;
}
