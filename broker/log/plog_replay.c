/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/plog_replay.h"

#include "broker/log/plog_impl.h"
#include "common/base/mem.h"
#include "common/obs/log.h"

#include <errno.h>

enum {
    REPLAY_WINDOW_SIZE = 64 * 1024,
    SMALL_BATCH = 4096 /* below it several are read at once */
};

offset64 plog_first_offset(const struct plog *l)
{
    return l->segments.n > 0 ? l->segments.items[0].base : l->start;
}

uint64_t plog_n_segments_made(const struct plog *l)
{
    return l->last_segment_id;
}

struct replay {
    struct plog *l;
    struct segment *s;
    offset64 from; /* batches that begin below it are passed over; rises */
    plog_batch_fn *each;
    void *ctx;
    uint8_t *bytes; /* REPLAY_WINDOW_SIZE */
};

/* From the batch at `at` to the segment's end. > 0: SEGMENT_E_BAD. */
static int walk(struct replay *p, int fd, int64_t at, offset64 least)
{
    struct segment *s = p->s;
    struct file_window w;
    struct batch_head h;

    file_window_init(&w, p->l->io, fd, s->size, p->bytes, BATCH_HEAD_WALK_SIZE);
    while (at < s->size) {
        int r = log_dir_is_interrupted(p->l->dir) ? err_origin(-ECANCELED)
                                                   : batch_head_read(&w, at, &h);
        if (r < 0) {
            return err_forward(r);
        }
        if (r > 0 || h.base < least || h.last >= s->end) {
            return SEGMENT_E_BAD;
        }
        if (h.base >= p->from) {
            p->each(p->ctx, &h);
            p->from = h.last + 1;
        }
        /* Small batches come by the dozen in a large window; of large ones only headers are read.
         */
        w.cap = h.size < SMALL_BATCH ? REPLAY_WINDOW_SIZE : BATCH_HEAD_WALK_SIZE;
        least = h.last + 1;
        at += h.size;
    }
    return 0;
}

/* Where to begin in this segment: at the index entry at or below `from`, if there is a batch where
 * it says. */
static int find_begin(struct replay *p, int fd, struct index_entry *ret)
{
    struct segment *s = p->s;
    struct file_window w;
    struct batch_head h;

    *ret = (struct index_entry){0};
    if (p->from <= s->base) {
        return 0;
    }
    offset64 delta = p->from - s->base;
    int r = offset_index_floor(p->l->io, &s->index,
            delta > UINT32_MAX ? UINT32_MAX : (uint32_t)delta, UINT32_MAX, ret, NULL);
    if (r >= 0 && ret->at > 0) {
        file_window_init(&w, p->l->io, fd, s->size, p->bytes, BATCH_HEAD_WALK_SIZE);
        r = batch_head_read(&w, ret->at, &h);
        if (r > 0 || (r == 0 && h.base != s->base + ret->delta)) {
            *ret = (struct index_entry){0}; /* an index is never believed */
            r = 0;
        }
    }
    return r < 0 ? err_forward(r) : 0;
}

static int replay_segment(struct replay *p)
{
    struct segment *s = p->s;
    struct index_entry e;
    int fd = -1;
    int r = cached_file_hold(s->log, &fd);

    if (r < 0) {
        return err_forward(r);
    }
    r = find_begin(p, fd, &e);
    if (r >= 0) {
        r = walk(p, fd, e.at, s->base + e.delta);
    }
    cached_file_release(s->log);
    return r < 0 ? err_forward(r) : r;
}

int plog_replay(struct plog *l, offset64 from, plog_batch_fn *each, void *ctx)
{
    struct replay p = {.l = l, .from = from, .each = each, .ctx = ctx};
    int r = 0;

    if (from >= l->end || l->segments.n == 0) {
        return 0;
    }
    p.bytes = mem_alloc(REPLAY_WINDOW_SIZE);
    for (size_t i = plog_segment_index(l, from); i < l->segments.n && r == 0; i++) {
        p.s = &l->segments.items[i];
        r = replay_segment(&p);
    }
    mem_free(p.bytes);
    if (r > 0) {
        log_error("plog", "log_damaged", KV_STR("file", cached_file_path(p.s->log)),
                KV_I64("offset", p.from), KV_STR("why", "the batch headers do not chain"));
        return PLOG_E_DAMAGED;
    }
    return r < 0 ? plog_outcome(l, r, "a segment could not be read") : 0;
}
