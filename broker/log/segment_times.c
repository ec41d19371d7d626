/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/segment.h"

/* What a segment knows of its batches' timestamps, and its time index. As with offsets, an entry is believed when the
 * batch that it stands for has what it says. */

bool segment_needs_times_synced(const struct segment *s)
{
    return s->has_max_timestamp && s->max_timestamp_offset != OFFSET_NONE &&
           s->max_timestamp_offset < s->tail_base && s->times.n != s->n_times_synced;
}

int segment_index_max_time(const struct file_io *io, struct segment *s)
{
    uint32_t n = s->times.n;

    if (!s->has_max_timestamp || s->max_timestamp < 0 || s->max_timestamp <= s->indexed_timestamp ||
            s->max_timestamp_offset == OFFSET_NONE ||
            s->max_timestamp_offset - s->base > UINT32_MAX) {
        return 0;
    }
    struct time_entry e = {
            .timestamp = s->max_timestamp, .delta = (uint32_t)(s->max_timestamp_offset - s->base)};
    int r = time_index_add(io, &s->times, e);
    if (r >= 0 && s->times.n > n) {
        s->indexed_timestamp = e.timestamp;
    }
    return r < 0 ? err_forward(r) : 0;
}

int segment_batch_of_time(const struct file_io *io,
        struct segment *s,
        struct file_window *w,
        const struct time_entry *e,
        struct batch_head *ret,
        bool *ret_found)
{
    offset64 offset = s->base + e->delta;
    int r = SEGMENT_E_NONE;

    if (offset < s->end) {
        r = segment_locate(io, s, w, offset, ret);
    }
    *ret_found = r == 0 && ret->last == offset && ret->max_timestamp == e->timestamp;
    return r < 0 ? err_forward(r) : r == SEGMENT_E_BAD ? r : 0;
}

static void forget_times(struct segment *s)
{
    s->max_timestamp = INT64_MIN;
    s->max_timestamp_offset = OFFSET_NONE;
    s->indexed_timestamp = -1;
    s->tail_base = s->base;
    s->n_times_synced = 0;
}

int segment_take_times_before(const struct file_io *io,
        struct segment *s,
        struct file_window *w,
        const struct index_entry *e,
        bool *ret_sound)
{
    struct time_entry t = {.timestamp = -1};
    struct batch_head h;
    uint32_t n = 0;
    bool found = true;
    int r = time_index_floor(io, &s->times, INT64_MAX, (int64_t)e->delta - 1, &t, &n);

    *ret_sound = false;
    forget_times(s);
    s->tail_base = s->base + e->delta;
    if (r >= 0 && n > 0) {
        r = segment_batch_of_time(io, s, w, &t, &h, &found);
    }
    if (r < 0 || r == SEGMENT_E_BAD || !found) {
        return r < 0 ? err_forward(r) : 0;
    }
    if (n < s->times.n) {
        r = sparse_index_cut(io, &s->times, n);
        if (r < 0) {
            return err_forward(r);
        }
    }
    if (n > 0) {
        s->max_timestamp = s->indexed_timestamp = t.timestamp;
        s->max_timestamp_offset = s->base + t.delta;
    } else if (e->at > 0) {
        s->max_timestamp = -1; /* or below: nobody asks for less */
    }
    s->has_max_timestamp = *ret_sound = true;
    return 0;
}

/* > 0: BAD. */
static int walk_for_max(struct segment *s, struct file_window *w, int64_t at)
{
    struct batch_head h;

    for (; at < s->size; at += h.size) {
        int r = batch_head_read(w, at, &h);
        if (r != 0) {
            return r < 0 ? err_forward(r) : SEGMENT_E_BAD;
        }
        if (batch_head_time(&h) > s->max_timestamp) {
            s->max_timestamp = batch_head_time(&h);
            s->max_timestamp_offset = h.last;
        }
    }
    return 0;
}

static int look_up_max(const struct file_io *io, struct segment *s, struct file_window *w)
{
    struct index_entry e = {0};
    bool is_sound = false;
    int r = offset_index_floor(io, &s->index, UINT32_MAX, UINT32_MAX, &e, NULL);

    if (r >= 0) {
        r = segment_take_times_before(io, s, w, &e, &is_sound);
    }
    if (r >= 0 && !is_sound) { /* the whole segment, for one entry that covers it */
        e = (struct index_entry){0};
        r = sparse_index_cut(io, &s->times, 0);
    }
    if (r >= 0) {
        r = walk_for_max(s, w, e.at);
    }
    s->has_max_timestamp = r == 0;
    if (r == 0 && !is_sound) {
        r = segment_index_max_time(io, s);
    }
    return r < 0 ? err_forward(r) : r;
}

int segment_know_max_time(const struct file_io *io, struct segment *s)
{
    uint8_t bytes[BATCH_HEAD_WALK_SIZE];
    struct file_window w;
    int fd = -1;

    if (s->has_max_timestamp) {
        return 0;
    }
    int r = cached_file_hold(s->log, &fd);
    if (r < 0) {
        return err_forward(r);
    }
    file_window_init(&w, io, fd, s->size, bytes, sizeof(bytes));
    r = look_up_max(io, s, &w);
    cached_file_release(s->log);
    return r < 0 ? err_forward(r) : r;
}

int segment_locate_time(const struct file_io *io,
        struct segment *s,
        struct file_window *w,
        wall_ms t,
        int64_t *ret_at)
{
    struct time_entry e = {.timestamp = -1};
    struct batch_head h;
    uint32_t n = 0;
    bool found = false;
    int r = t > 0 ? time_index_floor(io, &s->times, t - 1, UINT32_MAX, &e, &n) : 0;

    if (r >= 0 && n > 0) {
        r = segment_batch_of_time(io, s, w, &e, &h, &found);
    }
    if (r != 0) {
        return r < 0 ? err_forward(r) : r;
    }
    *ret_at = found ? h.at + h.size : 0;
    return 0;
}
