/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/plog_check.h"

#include "broker/log/plog_impl.h"
#include "common/base/mem.h"
#include "common/obs/log.h"

enum {
    CHECK_WINDOW_SIZE = 256 * 1024
};

int segment_check_batches(const struct segment *s,
        struct file_window *w,
        int64_t max_bytes,
        int64_t *at,
        offset64 *next,
        void (*each)(void *ctx, const struct batch_head *h),
        void *ctx,
        const char **ret_why)
{
    int64_t begin = *at;

    while (*at < s->size && *at - begin < max_bytes) {
        struct batch_head h;
        int r = batch_head_read(w, *at, &h);

        if (r > 0 || (r == 0 && !segment_may_follow(s, *next, h.base))) {
            *ret_why = "the batch headers do not chain";
            return SEGMENT_E_BAD;
        }
        if (r == 0) {
            r = batch_head_check_crc(w, &h);
        }
        if (r > 0) {
            *ret_why = "the checksum of a batch is wrong";
            return SEGMENT_E_BAD;
        }
        if (r < 0) {
            return err_forward(r);
        }
        if (each != NULL) {
            each(ctx, &h);
        }
        *at += h.size;
        *next = h.last + 1;
    }
    return 0;
}

struct segment *plog_same_segment(struct plog *l, uint64_t id, uint32_t n_cuts)
{
    ARRAY_FOREACH (s, &l->segments) {
        if (s->id == id) {
            return s->n_cuts == n_cuts ? s : NULL;
        }
    }
    return NULL;
}

int plog_found_damage(
        const struct plog *l, const struct segment *s, int64_t at, offset64 offset, const char *why)
{
    log_error("plog", "log_damaged", KV_STR("file", cached_file_path(s->log)),
            KV_I64("position", at), KV_I64("offset", offset),
            KV_I64("recovery_point", l->recovery_point), KV_STR("why", why),
            KV_STR("then", "nothing of this log is served any more; its files stay as they are"));
    return PLOG_E_DAMAGED;
}

int plog_check_begin(
        struct plog *l, offset64 offset, offset64 limit, int64_t max_bytes, struct plog_check *ret)
{
    int fd = -1, index_fd = -1;

    if (offset < l->start || offset >= l->end) {
        return PLOG_E_NOT_FOUND;
    }
    size_t i = plog_segment_index(l, offset);
    while (l->segments.items[i].size == 0 && i + 1 < l->segments.n) { /* compaction left nothing */
        i++;
    }
    struct segment *s = &l->segments.items[i];
    offset = offset > s->base ? offset : s->base;
    int r = cached_file_hold(s->log, &fd);
    if (r >= 0 && s->index.n > 0) {
        r = cached_file_hold(s->index.file, &index_fd);
        if (r < 0) {
            cached_file_release(s->log);
        }
    }
    if (r < 0) {
        return plog_outcome(l, r, "a segment could not be opened");
    }
    *ret = (struct plog_check){.segment_id = s->id,
            .n_cuts = s->n_cuts,
            .io = l->io,
            .segment = *s,
            .fd = fd,
            .has_index = s->index.n > 0,
            .from = offset,
            .limit = limit,
            .max_bytes = max_bytes};
    ret->segment.checked = (struct checked_ranges){0};
    return 0;
}

/* The headers do not lead to the offset: finds where they go wrong, from the begin. */
static int find_bad_header(struct plog_check *c, struct file_window *w)
{
    struct batch_head h;
    int64_t at = 0;
    offset64 next = c->segment.base;

    while (at < c->segment.size) {
        int r = batch_head_read(w, at, &h);
        if (r < 0) {
            return err_forward(r);
        }
        if (r > 0 || !segment_may_follow(&c->segment, next, h.base)) {
            break;
        }
        at += h.size;
        next = h.last + 1;
    }
    c->is_bad = true;
    c->bad_at = at;
    c->bad_offset = next;
    c->why = "the batch headers do not chain";
    return 0;
}

static int check(struct plog_check *c, struct file_window *w)
{
    int64_t end = 0;
    offset64 next = 0;
    int r = c->from < c->segment.end ? segment_locate(c->io, &c->segment, w, c->from, &c->first)
                                     : SEGMENT_E_NONE;

    if (r == SEGMENT_E_NONE) {
        c->is_past = true;
        return 0;
    }
    if (r > 0) {
        return find_bad_header(c, w);
    }
    if (r < 0) {
        return err_forward(r);
    }
    c->begin = c->end = c->first.at;
    next = c->first.base;
    /* Its reader will come back for what follows. */
    c->io->advise(c->io->ctx, c->fd, c->begin, 2 * c->max_bytes, FILE_SOON);
    r = segment_check_batches(&c->segment, w, c->max_bytes, &c->end, &next, NULL, NULL, &c->why);
    if (r > 0) { /* [LOG-83] What is right before it is served first. */
        c->is_bad = c->end == c->begin;
        c->bad_at = c->end;
        c->bad_offset = next;
        return 0;
    }
    /* What a read will look at to find its end has to be in memory too. */
    if (r == 0 && c->limit < c->segment.end) {
        r = segment_run_end(
                c->io, &c->segment, w, &c->first, c->limit, c->end - c->begin, &end, &next);
    }
    return r < 0 ? err_forward(r) : 0;
}

int plog_check_run(struct plog_check *c)
{
    uint8_t *bytes = mem_alloc(CHECK_WINDOW_SIZE);
    struct file_window w;

    file_window_init(&w, c->io, c->fd, c->segment.size, bytes, CHECK_WINDOW_SIZE);
    int r = check(c, &w);
    mem_free(bytes);
    return r < 0 ? err_forward(r) : 0;
}

int plog_check_end(struct plog *l, struct plog_check *c, int r)
{
    struct segment *s = plog_same_segment(l, c->segment_id, c->n_cuts);

    if (c->has_index) {
        cached_file_release(c->segment.index.file);
    }
    cached_file_release(c->segment.log);
    if (log_dir_is_scarce(r)) {
        return PLOG_E_BUSY;
    }
    if (s == NULL || (r < 0 && s->index.n < c->segment.index.n)) {
        return 0; /* [LOG-86] not the bytes that were asked for */
    }
    if (r < 0) {
        return plog_outcome(l, r, "a segment could not be read");
    }
    if (c->end > c->begin) { /* [LOG-81] */
        checked_ranges_add(&s->checked, c->begin, c->end);
        if (c->first.base == c->from) {
            plog_expect_reader(l, c->from, c->begin);
        }
    }
    if (c->is_past) {
        return PLOG_E_NOT_FOUND;
    }
    return c->is_bad ? plog_found_damage(l, s, c->bad_at, c->bad_offset, c->why) : 0;
}
