/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/plog_impl.h"
#include "common/base/mem.h"
#include "common/obs/log.h"

#include <errno.h>

/* Reading by offset. The two common readers need no search: one that waits at the end of the log,
 * and one that goes on where its last slice ended and takes the rest of the segment. All others pay
 * an index look-up and the headers of at most one index interval, at either end of the slice. */

struct range {
    int64_t at;
    int64_t size; /* 0 = nothing to give */
    bool is_cut;  /* it ends where what is checked ends */
};

/* What is asked of a segment. */
struct want {
    const struct file_io *io; /* to look with */
    offset64 offset, limit;
    int64_t max_bytes;
    bool first_whole;
    bool is_checked; /* only what is known to be right */
};

int plog_unreadable(const struct plog *l, const struct segment *s, offset64 offset)
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

void plog_expect_reader(struct plog *l, offset64 offset, int64_t at)
{
    struct plog_hint *hint = find_hint(l, offset);

    if (hint == NULL) {
        hint = &l->hints[l->next_hint++ % PLOG_HINTS];
    }
    *hint = (struct plog_hint){.offset = offset, .at = at};
}

/* Where the batch that holds `offset` begins; its header in *ret. */
static int find_first(const struct file_io *io,
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
    int r = segment_locate(io, s, w, offset, ret);
    return r < 0 ? err_forward(r) : r;
}

/* How far the segment may be given from `at` on. */
static int64_t known_end(const struct segment *s, const struct want *want, int64_t at)
{
    int64_t end = want->is_checked ? checked_ranges_end(&s->checked, at) : s->size;

    return end < s->size ? end : s->size;
}

/* [LOG-81] All from `at` to the end of the segment, as far as it is checked when that counts. */
static int take_rest(
        struct plog *l, struct segment *s, const struct want *want, int64_t at, struct range *ret)
{
    int64_t end = known_end(s, want, at);

    if (want->is_checked && end <= at) {
        return PLOG_E_COLD;
    }
    if (end == s->size) {
        remember(l, s, want->offset, s->end, s->size);
    }
    *ret = (struct range){.at = at, .size = end - at, .is_cut = end < s->size};
    return 0;
}

/* From the batch `first` on: by the rest of the segment, or up to where a walk of headers ends. */
static int find_end(struct plog *l,
        struct segment *s,
        const struct want *want,
        struct file_window *w,
        const struct batch_head *first,
        struct range *ret)
{
    int64_t end = known_end(s, want, first->at);
    int64_t max = want->max_bytes < end - first->at ? want->max_bytes : end - first->at;
    offset64 next = OFFSET_NONE;

    if (want->is_checked && end < first->at + first->size) {
        return PLOG_E_COLD;
    }
    if (want->limit >= s->end && end - first->at <= max) {
        return take_rest(l, s, want, first->at, ret);
    }
    int64_t known = end;
    int r = segment_run_end(want->io, s, w, first, want->limit, max, &end, &next);
    if (r != 0) {
        return r < 0 ? err_forward(r) : r;
    }
    remember(l, s, want->offset, next, end);
    *ret = (struct range){
            .at = first->at, .size = end - first->at, .is_cut = end == known && end < s->size};
    return 0;
}

static int find_range(
        struct plog *l, struct segment *s, int fd, const struct want *want, struct range *ret)
{
    uint8_t bytes[BATCH_HEAD_WALK_SIZE];
    struct file_window w;
    struct batch_head first;
    int64_t at = remembered(l, s, want->offset);

    if (at >= 0 && want->limit >= s->end && s->size - at <= want->max_bytes) {
        return take_rest(l, s, want, at, ret);
    }
    file_window_init(&w, want->io, fd, s->size, bytes, sizeof(bytes));
    int r = find_first(want->io, s, &w, want->offset, at, &first);
    if (r != 0) {
        return r < 0 ? err_forward(r) : r;
    }
    if (first.last >= want->limit || (first.size > want->max_bytes && !want->first_whole)) {
        *ret = (struct range){0};
        return 0;
    }
    r = find_end(l, s, want, &w, &first, ret);
    return r < 0 ? err_forward(r) : r;
}

struct plog_slice plog_slice_of(struct plog *l, struct segment *s, int fd, int64_t at, int64_t size)
{
    return (struct plog_slice){.file = s->log,
            .fd = fd,
            .at = at,
            .size = (size_t)size,
            .older_segment = s != plog_active(l)};
}

/* From want->offset, which lies in the segment. > 0: as plog_read, NOT_FOUND, and COLD. */
static int read_segment(
        struct plog *l, struct segment *s, const struct want *want, struct plog_slice *ret)
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
    r = find_range(l, s, fd, want, &range);
    if (r == 0 && range.size > 0) {
        *ret = plog_slice_of(l, s, fd, range.at, range.size);
        ret->is_cut = range.is_cut;
        return 0;
    }
    cached_file_release(s->log);
    if (r == PLOG_E_COLD || r == -EAGAIN) {
        return PLOG_E_COLD;
    }
    if (r < 0) {
        return plog_outcome(l, r, "a segment could not be read");
    }
    return r == SEGMENT_E_BAD    ? plog_unreadable(l, s, want->offset)
           : r == SEGMENT_E_NONE ? PLOG_E_NOT_FOUND
                                 : 0;
}

static int read_by(struct plog *l, struct want want, struct plog_slice *ret)
{
    offset64 offset = want.offset;
    int r = PLOG_E_NOT_FOUND;

    if (offset < l->start || offset > l->end) {
        return PLOG_E_OUT_OF_RANGE;
    }
    *ret = (struct plog_slice){.fd = -1};
    want.limit = want.limit < l->end ? want.limit : l->end;
    if (offset >= want.limit) {
        return 0;
    }
    /* Of a compacted segment there may be nothing left from `offset` on. */
    for (size_t i = plog_segment_index(l, offset); i < l->segments.n && r == PLOG_E_NOT_FOUND; i++) {
        struct segment *s = &l->segments.items[i];
        if (s->base >= want.limit) {
            return 0;
        }
        want.offset = offset > s->base ? offset : s->base;
        r = read_segment(l, s, &want, ret);
    }
    return r < 0 ? err_forward(r) : r == PLOG_E_NOT_FOUND ? 0 : r;
}

int plog_read(struct plog *l,
        offset64 offset,
        offset64 limit,
        size_t max_bytes,
        bool first_whole,
        struct plog_slice *ret)
{
    struct want want = {.io = l->io,
            .offset = offset,
            .limit = limit,
            .max_bytes = max_bytes > INT64_MAX ? INT64_MAX : (int64_t)max_bytes,
            .first_whole = first_whole};

    return read_by(l, want, ret);
}

int plog_read_checked(struct plog *l,
        offset64 offset,
        offset64 limit,
        size_t max_bytes,
        bool first_whole,
        bool may_wait,
        struct plog_slice *ret)
{
    struct file_io hot = *l->io;
    struct want want = {.io = may_wait ? l->io : &hot,
            .offset = offset,
            .limit = limit,
            .max_bytes = max_bytes > INT64_MAX ? INT64_MAX : (int64_t)max_bytes,
            .first_whole = first_whole,
            .is_checked = true};

    hot.pread = l->io->pread_hot; /* [LOG-82] */
    return read_by(l, want, ret);
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
