/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/recover.h"

#include "broker/log/seal.h"

#include <errno.h>

/* A segment taken by its batches. */

int plog_begin_anew(struct plog *l, struct segment *s)
{
    s->end = s->base;
    s->size = s->synced = s->index_due = 0;
    checked_ranges_cut(&s->checked, 0);
    s->max_timestamp = INT64_MIN;
    s->max_timestamp_offset = OFFSET_NONE;
    s->indexed_timestamp = -1;
    s->tail_base = s->base;
    s->n_times_synced = 0;
    s->has_max_timestamp = s->has_heads = true;
    s->heads = 0;
    s->last_epoch = EPOCH_NONE;
    int r = offset_index_cut(l->io, &s->index, 0);
    if (r >= 0) {
        r = sparse_index_cut(l->io, &s->times, 0);
    }
    return r < 0 ? err_forward(r) : 0;
}

/* Opens both indexes. What one says is of no use without the other. */
static int open_indexes(struct recovery *c,
        struct segment *s,
        int64_t file_size,
        offset64 next_base,
        bool is_thorough,
        bool *ret_sound)
{
    const struct file_io *io = c->l->io;
    bool sound = false, times_sound = false;
    int r = offset_index_open(io, &s->index, file_size, is_thorough, &sound);

    if (r >= 0) {
        r = sparse_index_open(io, &s->times, next_base - s->base, is_thorough, &times_sound);
    }
    *ret_sound = sound && times_sound;
    return r < 0 ? err_forward(r) : 0;
}

/* Begins behind the batches that offset entry `e`, the `n`th, says are there. *ret_sound = false: what the indexes say of
 * them is wrong. */
static int begin_at(struct recovery *c,
        struct segment *s,
        int fd,
        struct index_entry e,
        uint32_t n,
        bool *ret_sound)
{
    struct plog *l = c->l;
    struct file_window w;

    s->end = s->base + e.delta;
    s->size = s->synced = e.at;
    s->index_due = 0;
    s->has_first_timestamp = s->has_max_timestamp = s->has_heads = false;
    int r = offset_index_cut(l->io, &s->index, n);
    if (r >= 0) {
        file_window_init(&w, l->io, fd, s->size, c->bytes, BATCH_HEAD_WALK_SIZE);
        r = segment_take_times_before(l->io, s, &w, &e, ret_sound);
    }
    return r < 0 ? err_forward(r) : 0;
}

int recovery_end_times(struct recovery *c, struct segment *s, offset64 next_base)
{
    int r = s->end == next_base ? segment_index_max_time(c->l->io, s) : 0;

    return r < 0 ? err_forward(r) : 0;
}

/* Takes in batches from where the segment object ends, up to the first that is not right, or to
 * where the next segment begins. *ret_epoch is followed. */
static int take_batches(struct recovery *c,
        struct segment *s,
        int fd,
        int64_t file_size,
        offset64 next_base,
        bool with_crc)
{
    struct plog *l = c->l;
    struct file_window w;
    struct batch_head h;

    file_window_init(&w, l->io, fd, file_size, c->bytes, SCAN_WINDOW_SIZE);
    while (s->size < file_size && s->end < next_base) {
        if (log_dir_is_interrupted(l->dir)) {
            return err_origin(-ECANCELED);
        }
        int r = batch_head_read(&w, s->size, &h);
        if (r == 0 && (!segment_may_follow(s, s->end, h.base) || h.leader_epoch < c->epoch ||
                              h.last >= next_base)) {
            r = BATCH_HEAD_E_BAD;
        }
        if (r == 0 && with_crc) {
            r = batch_head_check_crc(&w, &h);
            c->stats->scanned_bytes += h.size;
            log_dir_note_scanned(l->dir, h.size);
            if (r == 0) { /* [LOG-80] */
                checked_ranges_add(&s->checked, h.at, h.at + h.size);
            }
        }
        if (r == 0) {
            r = segment_note_batch(l->io, s, &h, l->config.index_interval_bytes);
            c->epoch = h.leader_epoch;
            plog_epochs_recover_batch(l, &c->epochs, &h);
        }
        if (r != 0) {
            return r < 0 ? err_forward(r) : 0;
        }
    }
    return 0;
}

/* All of its bytes were taken; the offsets behind them, up to the next segment, were compacted away. */
static void end_compacted(struct segment *s, int64_t file_size, offset64 next_base)
{
    if (s->is_compacted && s->size == file_size && next_base != INT64_MAX) {
        s->end = next_base;
    }
}

int recovery_take_unsealed(
        struct recovery *c, struct segment *s, int fd, offset64 next_base, bool is_doubtful)
{
    struct plog *l = c->l;
    int64_t file_size = s->size;
    epoch32 epoch = c->epoch;
    struct index_entry e = {0};
    bool is_sound = false;
    uint32_t n = 0;
    int r = open_indexes(c, s, file_size, next_base, c->is_host, &is_sound);

    if (r >= 0 && is_sound && !is_doubtful && s->index.n > 0) {
        r = offset_index_floor(l->io, &s->index, UINT32_MAX, UINT32_MAX, &e, &n);
        if (r >= 0) {
            r = begin_at(c, s, fd, e, n, &is_sound);
        }
        if (r >= 0 && is_sound) {
            r = take_batches(c, s, fd, file_size, next_base, false);
            end_compacted(s, file_size, next_base);
        }
        if (r >= 0 && is_sound && s->size == file_size && s->end == next_base) {
            s->synced = s->size;
            r = recovery_end_times(c, s, next_base);
            return r < 0 ? err_forward(r) : 0;
        }
    }
    if (r >= 0) {
        c->epoch = epoch;
        r = plog_begin_anew(l, s);
    }
    if (r >= 0) {
        r = take_batches(c, s, fd, file_size, next_base, false);
        end_compacted(s, file_size, next_base);
    }
    if (r >= 0) {
        r = recovery_end_times(c, s, next_base);
    }
    if (r < 0) {
        return err_forward(r);
    }
    s->synced = s->size;
    return s->end == next_base ? 0 : SEGMENT_E_BAD;
}

int recovery_take_scanned(
        struct recovery *c, struct segment *s, int fd, offset64 next_base, bool is_first)
{
    struct plog *l = c->l;
    int64_t file_size = s->size;
    epoch32 epoch = c->epoch;
    struct index_entry e = {0};
    bool is_sound = false;
    uint32_t n = 0;
    bool may_skip = is_first && !c->is_host;
    const char *why = NULL;
    struct seal seal;

    /* Where the checkpoint is older than a compaction, its result is scanned. */
    int r = recovery_look_at_seal(c, s, next_base, &seal, &why);
    if (r < 0) {
        return err_forward(r);
    }
    s->is_compacted = r == 0 && why == NULL && seal.is_compacted;
    r = open_indexes(c, s, file_size, next_base, true, &is_sound);
    if (r >= 0 && may_skip && is_sound && c->recovery_point > s->base) {
        /* At least one batch below the recovery point is looked at: nobody has synced the index, and after a power
         * failure behind a clean stop it may be an older one. */
        offset64 delta = c->recovery_point - 1 - s->base;
        r = offset_index_floor(l->io, &s->index, delta > UINT32_MAX ? UINT32_MAX : (uint32_t)delta,
                UINT32_MAX, &e, &n);
    }
    if (r >= 0 && e.at > 0) {
        r = begin_at(c, s, fd, e, n, &is_sound);
        if (r >= 0 && is_sound) {
            r = take_batches(c, s, fd, file_size, next_base, true);
            end_compacted(s, file_size, next_base);
        }
        /* All that the index led to was right, or at least past what may not be cut. An entry that leads to no batch may
         * be of a former end of this file, come back with the power. */
        if (r < 0 || (is_sound && s->end >= c->recovery_point && s->size > e.at)) {
            return r < 0 ? err_forward(r) : 0;
        }
        c->epoch = epoch;
    }
    if (r >= 0) {
        r = plog_begin_anew(l, s);
    }
    if (r >= 0) {
        r = take_batches(c, s, fd, file_size, next_base, true);
        end_compacted(s, file_size, next_base);
    }
    return r < 0 ? err_forward(r) : 0;
}
