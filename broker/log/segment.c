/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/segment.h"

#include "broker/log/seal.h"
#include "common/base/mem.h"
#include "common/base/must.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

char *segment_path(const char *folder_path, offset64 base, const char *suffix)
{
    return mem_format("%s/%020" PRId64 "%s", folder_path, base, suffix);
}

bool segment_name_parse(const char *name, const char *suffix, offset64 *ret)
{
    enum {
        DIGITS = 20
    };

    offset64 base = 0;

    for (int i = 0; i < DIGITS; i++) {
        if (name[i] < '0' || name[i] > '9' || base > (INT64_MAX - 9) / 10) {
            return false;
        }
        base = base * 10 + (name[i] - '0');
    }
    if (suffix != NULL ? strcmp(name + DIGITS, suffix) != 0 : name[DIGITS] != '.') {
        return false;
    }
    *ret = base;
    return true;
}

/* [LOG-11] */
bool segment_may_follow(const struct segment *s, offset64 next, offset64 base)
{
    return s->is_compacted ? base >= next : base == next;
}

void segment_init(
        struct segment *s, struct file_cache *files, const char *folder_path, offset64 base)
{
    char *log = segment_path(folder_path, base, ".log");
    char *index = segment_path(folder_path, base, ".index");
    char *times = segment_path(folder_path, base, ".timeindex");

    *s = (struct segment){.base = base,
            .end = base,
            .has_max_timestamp = true,
            .has_heads = true,
            .last_epoch = EPOCH_NONE};
    s->max_timestamp = INT64_MIN;
    s->max_timestamp_offset = OFFSET_NONE;
    s->indexed_timestamp = -1;
    s->tail_base = base;
    s->index.key_size = 4;
    s->times.key_size = 8;
    s->log = cached_file_new(files, log);
    s->index.file = cached_file_new(files, index);
    s->times.file = cached_file_new(files, times);
    mem_free(times);
    mem_free(log);
    mem_free(index);
}

void segment_deinit(struct segment *s)
{
    cached_file_forget(s->log);
    cached_file_forget(s->index.file);
    cached_file_forget(s->times.file);
    checked_ranges_deinit(&s->checked);
    s->log = s->index.file = s->times.file = NULL;
}

/* A leftover of an earlier failed attempt has this name at most, and no accepted batch in it. */
static int create_empty(const struct file_io *io, const char *path)
{
    int fd = io->open(io->ctx, path, O_RDWR | O_CREAT);

    if (fd < 0) {
        return err_forward(fd);
    }
    int r = io->truncate(io->ctx, fd, 0);
    (void)io->close(io->ctx, fd); /* nothing was written through it */
    return r < 0 ? err_forward(r) : 0;
}

int segment_create_files(const struct file_io *io, struct segment *s)
{
    int r = create_empty(io, cached_file_path(s->index.file));

    if (r >= 0) {
        r = create_empty(io, cached_file_path(s->times.file));
    }
    if (r >= 0) {
        r = create_empty(io, cached_file_path(s->log));
    }
    if (r < 0) { /* orphans are harmless */
        (void)io->unlink(io->ctx, cached_file_path(s->index.file));
        (void)io->unlink(io->ctx, cached_file_path(s->times.file));
        return err_forward(r);
    }
    return 0;
}

int segment_unlink_files(const struct file_io *io, struct segment *s)
{
    const char *log = cached_file_path(s->log);
    char *seal = mem_format("%.*s.seal", (int)(strlen(log) - strlen(".log")), log);
    int r = io->unlink(io->ctx, seal); /* first: without its segment it says nothing */

    mem_free(seal);
    if (r >= 0 || r == -ENOENT) {
        r = io->unlink(io->ctx, cached_file_path(s->times.file));
    }
    if (r >= 0 || r == -ENOENT) {
        r = io->unlink(io->ctx, cached_file_path(s->index.file));
    }
    if (r >= 0 || r == -ENOENT) {
        r = io->unlink(io->ctx, cached_file_path(s->log));
    }
    return r < 0 && r != -ENOENT ? err_forward(r) : 0;
}

static int add_entries(
        const struct file_io *io, struct segment *s, const struct batch_head *h)
{
    struct index_entry e = {.delta = (uint32_t)(h->base - s->base), .at = (uint32_t)h->at};
    int r = s->has_max_timestamp ? 0 : segment_know_max_time(io, s);

    if (r == 0) {
        r = segment_index_max_time(io, s);
    }
    /* [LOG-7] */
    if (r == 0 && (s->max_timestamp < 0 || s->indexed_timestamp == s->max_timestamp)) {
        uint32_t n = s->index.n;
        r = offset_index_add(io, &s->index, e);
        s->tail_base = s->index.n > n ? h->base : s->tail_base;
    }
    return r < 0 ? err_forward(r) : 0;
}

int segment_note_batch(const struct file_io *io,
        struct segment *s,
        const struct batch_head *h,
        int64_t index_interval)
{
    int64_t at = s->size;

    must(segment_may_follow(s, s->end, h->base));
    must(h->at == at);
    if (at == 0) {
        s->first_timestamp = h->max_timestamp;
        s->has_first_timestamp = true;
    }
    s->end = h->last + 1;
    s->size += h->size;
    s->last_epoch = h->leader_epoch;
    if (s->has_heads) {
        s->heads = batch_head_digest(s->heads, h);
    }
    if (s->has_max_timestamp && batch_head_time(h) > s->max_timestamp) {
        s->max_timestamp = batch_head_time(h);
        s->max_timestamp_offset = h->last;
    }
    bool is_due = s->index_due > index_interval && at > 0 && at <= UINT32_MAX &&
                  h->last - s->base <= UINT32_MAX;
    s->index_due = (is_due ? 0 : s->index_due) + h->size;
    int r = is_due ? add_entries(io, s, h) : 0;
    return r < 0 ? err_forward(r) : 0;
}

static uint32_t clamp_u32(int64_t v)
{
    return v < 0 ? 0 : v > UINT32_MAX ? UINT32_MAX : (uint32_t)v;
}

/* Walks from the batch at `at`, which must begin at offset `base`, to the one that holds `offset`.
 * */
static int walk_to(struct segment *s,
        struct file_window *w,
        int64_t at,
        offset64 base,
        offset64 offset,
        struct batch_head *ret)
{
    struct batch_head h;

    while (at < s->size) {
        int r = batch_head_read(w, at, &h);
        if (r < 0) {
            return err_forward(r);
        }
        if (r > 0 || !segment_may_follow(s, base, h.base)) {
            return SEGMENT_E_BAD;
        }
        if (h.last >= offset) {
            *ret = h;
            return 0;
        }
        at += h.size;
        base = h.last + 1;
    }
    return s->is_compacted ? SEGMENT_E_NONE : SEGMENT_E_BAD;
}

/* From the batch that an index entry leads to, which must be there: behind a gap another one would do. */
static int walk_from(struct segment *s,
        struct file_window *w,
        struct index_entry e,
        offset64 offset,
        struct batch_head *ret)
{
    struct batch_head h;
    int r = e.at > 0 ? batch_head_read(w, e.at, &h) : 0;

    if (r == 0 && e.at > 0 && h.base != s->base + e.delta) {
        r = SEGMENT_E_BAD;
    }
    if (r == 0) {
        r = walk_to(s, w, e.at, s->base + e.delta, offset, ret);
    }
    return r < 0 ? err_forward(r) : r;
}

int segment_locate(const struct file_io *io,
        struct segment *s,
        struct file_window *w,
        offset64 offset,
        struct batch_head *ret)
{
    struct index_entry e;

    must(offset >= s->base && offset < s->end);
    int r = offset_index_floor(io, &s->index, clamp_u32(offset - s->base), UINT32_MAX, &e, NULL);
    if (r < 0) {
        return err_forward(r);
    }
    r = e.at < s->size ? walk_from(s, w, e, offset, ret) : SEGMENT_E_BAD;
    if (r == SEGMENT_E_BAD && e.at > 0) { /* The index may be what is wrong. */
        r = walk_to(s, w, 0, s->base, offset, ret);
    }
    return r < 0 ? err_forward(r) : r;
}

int segment_run_end(const struct file_io *io,
        struct segment *s,
        struct file_window *w,
        const struct batch_head *first,
        offset64 limit,
        int64_t size_max,
        int64_t *ret_end,
        offset64 *ret_end_offset)
{
    int64_t at = first->at + first->size;
    int64_t at_max = size_max > s->size - first->at ? s->size : first->at + size_max;
    offset64 next = first->last + 1;
    struct index_entry e;

    /* An entry stands at a batch's begin: all before it is whole, and below `limit` when its offset
     * is. */
    int r = offset_index_floor(
            io, &s->index, clamp_u32(limit - s->base), clamp_u32(at_max), &e, NULL);
    if (r < 0) {
        return err_forward(r);
    }
    struct batch_head h;
    if (e.at > at && e.at < s->size) {
        r = batch_head_read(w, e.at, &h);
        if (r < 0) {
            return err_forward(r);
        }
        if (r == 0 && h.base == s->base + e.delta) { /* else the index is wrong, and is not used */
            at = e.at;
            next = h.base;
        }
    }
    while (at < s->size) {
        r = batch_head_read(w, at, &h);
        if (r < 0) {
            return err_forward(r);
        }
        if (r > 0 || !segment_may_follow(s, next, h.base)) {
            return SEGMENT_E_BAD;
        }
        if (h.last >= limit || at + h.size > at_max) {
            break;
        }
        at += h.size;
        next = h.last + 1;
    }
    *ret_end = at;
    *ret_end_offset = next;
    return 0;
}
