/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/plog_impl.h"
#include "common/base/bytes.h"
#include "common/base/crc.h"

#include <errno.h>

/* When a segment is done with, and what its file reserves ahead of its data until then. */

enum {
    RESERVE_FROM = 16 * 1024 * 1024,    /* a smaller segment reserves nothing */
    RESERVE_STEP_MAX = 64 * 1024 * 1024 /* of one step */
};

/* --- Time ------------------------------------------------------------------------------------- */

/* [LOG-3] The same for one segment for ever, and different between logs and brokers, so that logs which began together
 * do not roll together. */
static int64_t jitter_of(const struct plog *l, const struct segment *s)
{
    int64_t max = l->config.segment_jitter_ms;
    uint8_t bytes[12];

    max = max < l->config.segment_ms ? max : l->config.segment_ms;
    if (max <= 0) {
        return 0;
    }
    store_be64(bytes, (uint64_t)s->base);
    store_be32(bytes + 8, (uint32_t)l->partition);
    uint64_t h = crc64(0, l->topic_id.bytes, sizeof(l->topic_id.bytes));
    h = crc64(h, log_dir_id(l->dir)->bytes, sizeof(l->topic_id.bytes));
    h = crc64(h, bytes, sizeof(bytes));
    return (int64_t)(h % (uint64_t)max);
}

/* What an earlier run left is read when it is first asked for. > 0: PLOG_E_*. */
static int know_first_timestamp(struct plog *l, struct segment *s)
{
    uint8_t bytes[BATCH_HEADER_SIZE];
    struct file_window w;
    struct batch_head h = {.max_timestamp = -1};
    int fd = -1;

    if (s->has_first_timestamp) {
        return 0;
    }
    int r = cached_file_hold(s->log, &fd);
    if (r >= 0) {
        file_window_init(&w, l->io, fd, s->size, bytes, sizeof(bytes));
        r = batch_head_read(&w, 0, &h); /* one that cannot be a batch is for its readers to meet */
        cached_file_release(s->log);
    }
    if (r < 0) {
        return plog_outcome(l, r, "a segment could not be read");
    }
    s->first_timestamp = h.max_timestamp;
    s->has_first_timestamp = true;
    return 0;
}

/* [LOG-2] A segment is old when `now` is more than segment.ms, less its jitter, behind `since`. */
static bool is_old(const struct plog *l, const struct segment *s, wall_ms since, wall_ms now)
{
    return since >= 0 && now >= since && now - since > l->config.segment_ms - jitter_of(l, s);
}

/* --- Rolling ---------------------------------------------------------------------------------- */

static bool is_index_full(const struct plog *l, const struct segment *s)
{
    int64_t max = l->config.index_bytes / INDEX_ENTRY_SIZE;

    return l->config.index_bytes > 0 && s->index.n >= (max > 1 ? max : 1);
}

int plog_needs_roll(struct plog *l, const struct batch *b, bool *ret)
{
    struct segment *s = plog_active(l);
    int64_t size_max = l->config.segment_bytes;

    if (s == NULL || s->size == 0) {
        *ret = s == NULL;
        return 0;
    }
    size_max = size_max > SEGMENT_SIZE_MAX ? SEGMENT_SIZE_MAX : size_max;
    /* [LOG-1] */
    *ret = s->size + (int64_t)b->size > size_max ||
           l->end + b->last_offset_delta - s->base > INT32_MAX || is_index_full(l, s);
    if (*ret || l->config.segment_ms <= 0 || b->max_timestamp < 0) {
        return 0;
    }
    int r = know_first_timestamp(l, s);
    *ret = r == 0 && is_old(l, s, s->first_timestamp, b->max_timestamp);
    return r < 0 ? err_forward(r) : r;
}

/* [LOG-6] What was reserved and not used is given back. */
static int trim(struct plog *l, struct segment *s)
{
    int fd = -1;

    if (s->size < RESERVE_FROM) {
        return 0;
    }
    int r = cached_file_hold(s->log, &fd);
    if (r >= 0) {
        r = l->io->truncate(l->io->ctx, fd, s->size);
        cached_file_release(s->log);
    }
    s->reserved = 0;
    return r < 0 ? plog_outcome(l, r, "a segment could not be trimmed") : 0;
}

/* The last entry of a time index is the segment's largest timestamp. */
static int finish(struct plog *l, struct segment *s)
{
    int r = s->size > 0 ? segment_know_max_time(l->io, s) : 0;

    if (r == 0) {
        r = segment_index_max_time(l->io, s);
    }
    if (r < 0) {
        return plog_outcome(l, r, "a time index could not be written");
    }
    r = trim(l, s);
    return r < 0 ? err_forward(r) : r;
}

int plog_roll(struct plog *l)
{
    struct segment *before = plog_active(l);
    int r = before != NULL ? finish(l, before) : 0;

    if (r != 0) {
        return r < 0 ? err_forward(r) : r;
    }
    struct segment *s = plog_push_segment(l, l->end);
    r = segment_create_files(l->io, s);
    if (r < 0) {
        segment_deinit(s);
        array_remove(&l->segments, l->segments.n - 1);
        return plog_outcome(l, r, "a new segment could not be made");
    }
    l->n_folder_changes++;
    l->lacks_seals = l->segments.n > 1;
    plog_forget_positions(l);
    return 0;
}

int plog_roll_active(struct plog *l)
{
    const struct segment *s = plog_active(l);

    if (log_dir_failed(l->dir)) {
        return err_origin(-EIO);
    }
    if (l->is_truncating) {
        return PLOG_E_BUSY;
    }
    int r = s != NULL && s->size > 0 ? plog_roll(l) : 0;
    return r < 0 ? err_forward(r) : r;
}

int plog_roll_if_old(struct plog *l, wall_ms now, bool *ret_rolled)
{
    struct segment *s = plog_active(l);

    *ret_rolled = false;
    if (s == NULL || s->size == 0 || l->config.segment_ms <= 0 || log_dir_failed(l->dir) ||
            l->is_truncating) {
        return 0;
    }
    int r = know_first_timestamp(l, s);
    if (r != 0) {
        return r < 0 ? err_forward(r) : r;
    }
    /* [LOG-4] Records without a time are as old as somebody has known them. */
    if (s->first_timestamp < 0 && s->seen_at == 0) {
        s->seen_at = now;
    }
    if (!is_old(l, s, s->first_timestamp >= 0 ? s->first_timestamp : s->seen_at, now)) {
        return 0;
    }
    r = plog_roll(l);
    *ret_rolled = r == 0;
    return r < 0 ? err_forward(r) : r;
}

/* --- Room ahead of the data ------------------------------------------------------------------- */

/* [LOG-5] As much again as there is, at most 64 MiB and no more than the segment may hold. That it cannot be had is no
 * failure: the write that follows tells whether there is room. */
void plog_reserve_ahead(struct plog *l, struct segment *s, int fd, size_t size)
{
    int64_t end = s->size + (int64_t)size;
    int64_t size_max =
            l->config.segment_bytes < SEGMENT_SIZE_MAX ? l->config.segment_bytes : SEGMENT_SIZE_MAX;
    int64_t step = s->size < RESERVE_STEP_MAX ? s->size : RESERVE_STEP_MAX;

    if (s->size < RESERVE_FROM || end <= s->reserved || l->io->reserve == NULL) {
        return;
    }
    int64_t to = s->size + step < size_max ? s->size + step : size_max;
    s->reserved = to > end ? to : end;
    if (to > end && !log_dir_is_full(l->dir)) {
        (void)l->io->reserve(l->io->ctx, fd, s->size, to - s->size);
    }
}
