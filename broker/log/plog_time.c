/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/plog_impl.h"

/* [LOG-8] Reading by time. The largest timestamp of each segment is in memory, so a look-up reads one segment: its time
 * index says up to where nothing is young enough, its offset index where that is, and the headers of about one index
 * interval say the rest. */

/* Calls `each` for the batches from position `at` on that end at or above offset `start` and before `limit`, until it
 * answers true or there are no more. */
struct batch_visit {
    bool (*each)(struct batch_visit *v, const struct batch_head *h);
    wall_ms t;
    bool is_found;
    struct batch_head found;
};

/* The part of a segment that may be looked at. */
struct time_part {
    struct segment *s;
    int fd;
    struct file_window w;
    offset64 start, limit;
};

/* > 0: SEGMENT_E_BAD. */
static int visit(struct time_part *p, int64_t at, struct batch_visit *v)
{
    struct batch_head h;

    for (; at < p->s->size; at += h.size) {
        int r = batch_head_read(&p->w, at, &h);
        if (r != 0) {
            return r < 0 ? err_forward(r) : SEGMENT_E_BAD;
        }
        if (h.last >= p->limit) {
            break;
        }
        /* [LOG-52] Of some batches compaction has left no record. */
        if (h.last >= p->start && h.n_records != 0 && v->each(v, &h)) {
            break;
        }
    }
    return 0;
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

/* Where the batch that holds the part's first offset is, or the next one. > 0: SEGMENT_E_*. */
static int locate_start(struct plog *l, struct time_part *p, int64_t *ret_at)
{
    struct batch_head h;

    if (p->start <= p->s->base) {
        *ret_at = 0;
        return 0;
    }
    int r = segment_locate(l->io, p->s, &p->w, p->start, &h);
    if (r == 0) {
        *ret_at = h.at;
    }
    return r < 0 ? err_forward(r) : r;
}

/* `v` gets the first batch of the part that reaches v->t. > 0: SEGMENT_E_*. */
static int find_time(struct plog *l, struct time_part *p, struct batch_visit *v)
{
    int64_t at = 0, from = 0;
    int r = locate_start(l, p, &from);

    if (r == 0) {
        r = segment_locate_time(l->io, p->s, &p->w, v->t, &at);
    }
    if (r == 0) {
        r = visit(p, at > from ? at : from, v);
    }
    return r < 0 ? err_forward(r) : r;
}

/* `v` gets the latest batch up to some offset entry below the part's limit, if the indexes know it; *ret_at = where to go
 * on. > 0: SEGMENT_E_BAD. */
static int skip_to_limit(
        struct plog *l, struct time_part *p, struct batch_visit *v, int64_t *ret_at)
{
    struct segment *s = p->s;
    struct index_entry e = {0};
    struct time_entry t = {.timestamp = -1};
    struct batch_head h;
    uint32_t n = 0;
    bool found = false;
    uint32_t delta = p->limit - s->base > UINT32_MAX ? UINT32_MAX : (uint32_t)(p->limit - s->base);
    int r = offset_index_floor(l->io, &s->index, delta, UINT32_MAX, &e, NULL);

    if (r >= 0 && e.delta > 0) { /* The one before: its batch ends below the limit for sure. */
        r = offset_index_floor(l->io, &s->index, e.delta - 1, UINT32_MAX, &e, NULL);
    }
    if (r >= 0 && e.delta > 0) {
        r = time_index_floor(l->io, &s->times, INT64_MAX, (int64_t)e.delta - 1, &t, &n);
    }
    if (r >= 0 && n > 0) {
        r = segment_batch_of_time(l->io, s, &p->w, &t, &h, &found);
    }
    if (r != 0) {
        return r < 0 ? err_forward(r) : r;
    }
    if (found && h.last >= p->start && h.n_records != 0) {
        (void)v->each(v, &h);
        /* A scrub may have made an older segment's offset index anew, with entries elsewhere. */
        *ret_at = s != plog_active(l) ? h.at + h.size : e.at;
    }
    return 0;
}

/* `v` gets the latest batch of the part. > 0: SEGMENT_E_*. */
static int find_latest(struct plog *l, struct time_part *p, struct batch_visit *v)
{
    struct segment *s = p->s;
    struct batch_head h;
    int64_t at = 0, from = 0;
    bool found = false;
    struct time_entry e = {.timestamp = s->max_timestamp};
    offset64 offset = s->max_timestamp_offset;
    int r = locate_start(l, p, &from);

    if (r == 0 && offset == OFFSET_NONE && s->times.n > 0) { /* its seal says the time alone */
        struct time_entry last;
        uint32_t n = 0;
        r = time_index_floor(l->io, &s->times, INT64_MAX, UINT32_MAX, &last, &n);
        if (r >= 0 && n > 0 && last.timestamp == s->max_timestamp) {
            offset = s->base + last.delta;
        }
    }
    if (r == 0 && offset >= p->start && offset < p->limit) {
        e.delta = (uint32_t)(offset - s->base);
        r = segment_batch_of_time(l->io, s, &p->w, &e, &h, &found);
        if (r == 0 && found && h.n_records != 0) {
            (void)v->each(v, &h);
            return 0;
        }
    }
    if (r == 0) {
        r = skip_to_limit(l, p, v, &at);
    }
    if (r == 0) {
        r = visit(p, at > from ? at : from, v);
    }
    return r < 0 ? err_forward(r) : r;
}

/* Runs `find` on a segment. > 0: PLOG_E_*. */
static int look_into(struct plog *l,
        struct segment *s,
        offset64 limit,
        int (*find)(struct plog *l, struct time_part *p, struct batch_visit *v),
        struct batch_visit *v)
{
    uint8_t bytes[BATCH_HEAD_WALK_SIZE];
    struct time_part p = {.s = s,
            .fd = -1,
            .start = l->start > s->base ? l->start : s->base,
            .limit = limit < s->end ? limit : s->end};

    if (p.start >= p.limit) {
        return 0;
    }
    int r = cached_file_hold(s->log, &p.fd);
    if (r < 0) {
        return plog_outcome(l, r, "a segment could not be opened");
    }
    file_window_init(&p.w, l->io, p.fd, s->size, bytes, sizeof(bytes));
    r = find(l, &p, v);
    cached_file_release(s->log);
    if (r < 0) {
        return plog_outcome(l, r, "a segment could not be read");
    }
    return r == SEGMENT_E_BAD ? plog_unreadable(l, s, s->base) : 0;
}

/* > 0: PLOG_E_*. */
static int know_max_timestamp(struct plog *l, struct segment *s)
{
    int r = segment_know_max_time(l->io, s);

    if (r < 0) {
        return plog_outcome(l, r, "a segment could not be read");
    }
    return r > 0 ? plog_unreadable(l, s, s->base) : 0;
}

static int give_found(
        struct plog *l, struct segment *s, const struct batch_head *h, struct plog_slice *ret)
{
    int fd = -1;
    int r = cached_file_hold(s->log, &fd);

    if (r < 0) {
        return plog_outcome(l, r, "a segment could not be opened");
    }
    *ret = plog_slice_of(l, s, fd, h->at, h->size);
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
        if (r == 0 && s->size > 0 && s->max_timestamp >= t) {
            r = look_into(l, s, limit, find_time, &v);
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
    struct batch_visit best = {.each = is_latest};
    struct segment *of = NULL;

    for (size_t i = plog_segment_index(l, l->start); i < l->segments.n; i++) {
        struct segment *s = &l->segments.items[i];
        struct batch_visit v = {.each = is_latest};
        if (s->base >= limit) {
            break;
        }
        int r = know_max_timestamp(l, s);
        if (r == 0 && s->size > 0 && (of == NULL || s->max_timestamp > best.found.max_timestamp)) {
            r = look_into(l, s, limit, find_latest, &v);
        }
        if (r != 0) {
            return r < 0 ? err_forward(r) : r;
        }
        if (v.is_found && (of == NULL || v.found.max_timestamp > best.found.max_timestamp)) {
            best = v;
            of = s;
        }
    }
    return of != NULL ? give_found(l, of, &best.found, ret) : PLOG_E_NOT_FOUND;
}
