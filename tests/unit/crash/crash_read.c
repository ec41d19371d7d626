/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/crash/crash_world.h"

#include "broker/log/plog_check.h"
#include "common/base/mem.h"
#include "common/domain/errcode.h"
#include "tests/lib/check.h"

/* --- By offset ----------------------------------------------------------------------------------------------------- */

struct asked {
    offset64 offset, limit;
    size_t max;
    bool whole;
};

/* Where the segment ends that `offset` lies in. */
static offset64 segment_end(const struct world *w, offset64 offset)
{
    struct plog_segment s = {.end = OFFSET_NONE};

    for (size_t i = 0; i < plog_n_segments(w->l); i++) {
        plog_segment_at(w->l, i, &s);
        if (offset < s.end) {
            break;
        }
    }
    return s.end;
}

/* It ends only for a reason: the limit, the size, or the segment. */
static void judge_slice_end(
        const struct world *w, const struct asked *q, const struct plog_slice *s, size_t next)
{
    const struct there_batch *b = next < w->there.n ? &w->there.items[next] : NULL;

    CHECK(b == NULL || s->is_cut || b->last >= q->limit || s->size + b->size > q->max ||
            b->base >= segment_end(w, w->there.items[next - 1].base));
}

static void judge_slice(struct world *w, const struct asked *q, const struct plog_slice *s)
{
    const struct file_io *io = mem_disk_io(w->disk);
    size_t first = model_find(w, q->offset);
    size_t i = first;

    if (s->file == NULL) {
        CHECK(i == w->there.n || w->there.items[i].last >= q->limit ||
                (w->there.items[i].size > q->max && !q->whole));
        return;
    }
    uint8_t *bytes = mem_alloc(s->size);
    CHECK_EQ(io->pread(io->ctx, s->fd, bytes, s->size, s->at), (int64_t)s->size);
    for (size_t at = 0; at < s->size; i++) {
        CHECK(i < w->there.n);
        const struct there_batch *b = &w->there.items[i];
        CHECK(at + b->size <= s->size);
        CHECK_MEM(bytes + at, b->bytes, b->size);
        CHECK(b->last < q->limit);
        at += b->size;
        CHECK(at <= q->max || (q->whole && i == first)); /* the first one always whole */
    }
    mem_free(bytes);
    judge_slice_end(w, q, s, i);
}

/* As a fetch does it: what is not known to be right is read and checked first [LOG-80]. */
static int read_checked(struct world *w, const struct asked *q, struct plog_slice *ret)
{
    offset64 at = q->offset;

    for (int i = 0; i < 1000; i++) {
        struct plog_check c;
        int r = plog_read_checked(w->l, q->offset, q->limit, q->max, q->whole, true, ret);
        if (r != PLOG_E_COLD) {
            return r;
        }
        r = plog_check_begin(w->l, at, q->limit, 1 + (int64_t)below(w, 2000), &c);
        if (r == 0) {
            r = plog_check_run(&c);
            r = plog_check_end(w->l, &c, r);
            at = r == PLOG_E_NOT_FOUND ? c.segment.end : q->offset;
        }
        if (r < 0) {
            return r;
        }
        CHECK(r == 0 || r == PLOG_E_NOT_FOUND);
    }
    CHECK(!"a cold read comes to an end");
    return -1;
}

bool do_read(struct world *w)
{
    struct asked q = {
            .offset = w->start - 1 + (offset64)below(w, (uint64_t)(w->end - w->start) + 3),
            .limit = below(w, 2) == 0 ? w->end : (offset64)below(w, (uint64_t)w->end + 2),
            .max = below(w, 2) == 0 ? 1 << 20 : below(w, 2000),
            .whole = below(w, 2) == 0};
    bool is_checked = below(w, 2) == 0;
    struct plog_slice s = {.fd = -1};

    int r = is_checked ? read_checked(w, &q, &s)
                       : plog_read(w->l, q.offset, q.limit, q.max, q.whole, &s);
    if (r < 0) {
        return done(w, r);
    }
    if (q.offset > w->end || q.offset < w->start) {
        CHECK_EQ(r, PLOG_E_OUT_OF_RANGE);
        return true;
    }
    CHECK_EQ(r, 0);
    w->stats->n_reads++;
    q.limit = q.limit < w->end ? q.limit : w->end;
    if (q.offset >= q.limit) {
        CHECK(s.file == NULL);
        return true;
    }
    judge_slice(w, &q, &s);
    CHECK(is_checked || !q.whole || plog_readable(w->l, q.offset, q.limit, q.max) == s.size);
    if (s.file != NULL) {
        cached_file_release(s.file);
    }
    return true;
}

/* --- By time ------------------------------------------------------------------------------------------------------- */

/* The batch that the slice begins with. */
static offset64 base_of(struct world *w, struct plog_slice *s)
{
    const struct file_io *io = mem_disk_io(w->disk);
    uint8_t bytes[8] = {0};

    CHECK_EQ(io->pread(io->ctx, s->fd, bytes, sizeof(bytes), s->at), 8);
    cached_file_release(s->file);
    return (offset64)load_be64(bytes);
}

static bool judge_found(
        struct world *w, int r, struct plog_slice *s, const struct there_batch *want)
{
    if (r < 0) {
        return done(w, r);
    }
    CHECK_EQ(r, want != NULL ? 0 : PLOG_E_NOT_FOUND);
    if (r == 0) {
        CHECK_EQ(base_of(w, s), want->base);
        w->stats->n_found++;
    }
    return true;
}

/* [LOG-7] [LOG-8] [LOG-12] [LOG-52] Looking up times finds what a walk over everything would find. */
bool do_times(struct world *w)
{
    wall_ms t = (wall_ms)below(w, w->config.is_in_order ? (uint64_t)w->end + 10 : 1100);
    offset64 limit = below(w, 2) == 0 ? w->end : (offset64)below(w, (uint64_t)w->end + 1);
    const struct there_batch *want = NULL, *latest = NULL;
    struct plog_slice s;

    ARRAY_FOREACH (b, &w->there) {
        if (b->last < w->start || b->last >= limit || b->n_records == 0) {
            continue;
        }
        want = want == NULL && b->max_timestamp >= t ? b : want;
        latest = latest == NULL || b->max_timestamp > latest->max_timestamp ? b : latest;
    }
    int r = plog_find_time(w->l, t, limit, &s);
    if (!judge_found(w, r, &s, want)) {
        return false;
    }
    r = plog_find_max_time(w->l, limit, &s);
    return judge_found(w, r, &s, latest);
}

/* What retention goes by is what the batches say. */
bool do_segments(struct world *w)
{
    offset64 next = OFFSET_NONE;

    for (size_t i = 0; i < plog_n_segments(w->l); i++) {
        struct plog_segment s;
        wall_ms max = -1;
        bool is_known = true;

        plog_segment_at(w->l, i, &s);
        CHECK(next == OFFSET_NONE || s.base == next);
        next = s.end;
        is_known = s.has_max_timestamp && s.base >= w->start;
        for (size_t k = model_find(w, s.base); k < w->there.n && w->there.items[k].base < s.end;
                k++) {
            const struct there_batch *b = &w->there.items[k];
            is_known = is_known && b->last >= w->stale_to;
            max = b->n_records > 0 && b->max_timestamp > max ? b->max_timestamp : max;
        }
        if (is_known) {
            CHECK_EQ(s.max_timestamp < 0 ? -1 : s.max_timestamp, max);
        }
    }
    CHECK(next == OFFSET_NONE || next == w->end);
    return true;
}

/* --- By leader epoch ----------------------------------------------------------------------------------------------- */

/* The largest epoch not above `asked`, where its last batch ends, and where the next epoch begins. */
struct epoch_answer {
    epoch32 epoch;
    offset64 least, end;
};

static void answer_see(struct epoch_answer *a,
        epoch32 asked,
        epoch32 epoch,
        offset64 base,
        offset64 last,
        offset64 end)
{
    if (epoch <= asked) {
        a->epoch = epoch;
        a->least = last + 1;
    } else if (a->end == end) {
        a->end = base;
    }
}

/* [LOG-61] What each epoch's end is told to be. Where compaction took the batches around it, it may be anywhere behind what
 * is left of the epoch, but never above the place that was written: a follower would keep what is not here. */
bool do_epochs(struct world *w)
{
    for (epoch32 asked = w->epoch > 6 ? w->epoch - 6 : 0; asked <= w->epoch + 1; asked++) {
        struct epoch_answer then = {EPOCH_NONE, 0, w->end}, now = {EPOCH_NONE, 0, w->end};
        epoch32 epoch = EPOCH_NONE;
        offset64 end = OFFSET_NONE;

        ARRAY_FOREACH (b, &w->written) {
            answer_see(&then, asked, b->epoch, b->base, b->last, w->end);
        }
        ARRAY_FOREACH (b, &w->there) {
            answer_see(&now, asked, b->epoch, b->base, b->last, w->end);
        }
        if (then.end == w->end && w->begun > then.epoch && w->begun <= asked) {
            then.epoch = w->begun;
            now.epoch = now.end == w->end ? w->begun : now.epoch;
        }
        if (!done(w, plog_epoch_end(w->l, asked, &epoch, &end))) {
            return false;
        }
        if (w->there.n == 0 || asked < w->there.items[0].epoch) {
            /* Of an epoch whose records were all removed the log may know something, or nothing. */
            CHECK(epoch <= asked && end <= w->end);
            continue;
        }
        tell(w, "epoch %d: %d to %lld; written %d to %lld, left %d to %lld", asked, epoch,
                (long long)end, then.epoch, (long long)then.end, now.epoch, (long long)now.end);
        CHECK(epoch >= now.epoch && epoch <= then.epoch);
        CHECK(end >= now.least && end <= then.end);
    }
    return true;
}

/* --- By producer --------------------------------------------------------------------------------------------------- */

/* [PID-12] [PID-13] [PID-14] [PID-15] A repeat, a gap, an old epoch. */
bool do_ask_producers(struct world *w)
{
    const struct model_batch *last = model_last_of(w, (int64_t)below(w, CRASH_PRODUCERS));
    struct producers_batch b = last != NULL ? last->producer : (struct producers_batch){.id = -1};
    const struct producer *k = producers_find(&w->producers, b.id);

    if (last == NULL || k == NULL || k->batches[k->n - 1].base != last->base) {
        return true; /* model_judge_producers() has said that it may be so */
    }
    struct producers_verdict v = producers_check(&w->producers, &b);
    CHECK_EQ(v.kind, PRODUCERS_DUPLICATE);
    CHECK_EQ(v.base, last->base);
    CHECK_EQ(v.last, last->last);
    b.base_sequence = (int32_t)(((uint32_t)k->batches[k->n - 1].last + 2) & PRODUCERS_SEQUENCE_MAX);
    v = producers_check(&w->producers, &b);
    CHECK_EQ(v.kind, PRODUCERS_REFUSED);
    CHECK_EQ(v.error, ERRCODE_OUT_OF_ORDER_SEQUENCE_NUMBER);
    if (b.epoch > 0) {
        b.epoch--;
        v = producers_check(&w->producers, &b);
        CHECK_EQ(v.error, ERRCODE_INVALID_PRODUCER_EPOCH);
    }
    return true;
}
