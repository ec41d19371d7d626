/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/plog_impl.h"
#include "broker/log/plog_replay.h"
#include "common/base/mem.h"
#include "common/obs/log.h"

#include <errno.h>

/* Cutting the end off at run time, in steps a death may come between any two of:
 *
 *   plog_truncate_begin   the recovery point of this log is lowered, in memory; its start too, where that is above
 *   (the caller)          recovery.ckpt with it, synced: from here on recovery takes what is gone for a tail
 *   plog_truncate_step    later segments, newest first, and the last one's seal          ─▶ sync of the folder
 *                         the last segment's data, its indexes                            ─▶ syncs of the files
 *                         epochs, snapshots                                               ─▶ sync of the folder
 *
 * So whatever stands there at a death is a log that ends somewhere from the new end to the old one. The syncs are the
 * caller's to run without the lock (plog_cut_sync); after each step the log in memory is what its files say. */

enum cut_step {
    CUT_SEGMENTS,
    CUT_DATA,
    CUT_REST,
    CUT_DONE
};

/* What is to be on the disk before the next step. */
struct plog_cut_sync {
    struct log_dir *dir;
    const struct file_io *io;
    struct file_cache *files;
    char *folder; /* its path; NULL = the files: */
    struct cached_file *held[3];
    int fds[3];
    size_t n_held;
    uint32_t n_folder_changes;
};

/* Where a log that is to end at `offset` is cut: batches are kept or removed whole. */
struct cut_place {
    size_t segment;
    int64_t at;
    offset64 end;
};

/* > 0: SEGMENT_E_BAD. */
static int find_place(struct plog *l, offset64 offset, struct cut_place *ret)
{
    size_t i = plog_segment_index(l, offset);
    struct segment *s = &l->segments.items[i];
    struct batch_head h;

    if (offset <= s->base || offset >= s->end) {
        bool is_all = offset >= s->end;
        *ret = (struct cut_place){
                .segment = i, .at = is_all ? s->size : 0, .end = is_all ? s->end : s->base};
        return 0;
    }
    int r = plog_find_batch(l, offset, &h);
    if (r == 0 && h.base >= s->end) { /* the end of a compacted segment has no batch */
        *ret = (struct cut_place){.segment = i, .at = s->size, .end = offset};
    } else if (r == 0) {
        *ret = (struct cut_place){
                .segment = i, .at = h.at, .end = h.base < offset ? h.base : offset};
    }
    return r < 0 ? err_forward(r) : r;
}

int plog_truncate_begin(struct plog *l, offset64 offset, offset64 *ret_end)
{
    struct cut_place place = {.end = l->end};

    must(!l->is_truncating);
    if (offset < l->start || offset > l->end) {
        return PLOG_E_OUT_OF_RANGE;
    }
    if (l->is_sealing || l->is_saving || l->is_swapping) { /* [PID-36] [LOG-56] */
        return PLOG_E_BUSY;
    }
    if (log_dir_failed(l->dir)) {
        return err_origin(-EIO);
    }
    if (offset < l->end) {
        int r = find_place(l, offset, &place);
        if (r != 0) {
            return r < 0 ? plog_outcome(l, r, "where to cut could not be read") : PLOG_E_DAMAGED;
        }
        const struct segment *s = &l->segments.items[place.segment];
        if (place.end > s->base && s->is_compacted) {
            /* [LOG-66] Nobody could go on behind its gaps, also when all before is one. */
            return PLOG_E_OUT_OF_RANGE;
        }
    }
    l->is_truncating = true;
    l->cut_step = CUT_SEGMENTS;
    l->n_truncations++; /* [LOG-67] What a flush under way has synced may be cut by then. */
    l->truncate_to = place.end;
    l->cut_from = l->end;
    l->start_before = l->start;
    if (l->recovery_point > place.end) {
        l->recovery_point = place.end;
    }
    if (l->start > place.end) { /* it lies within the batch that goes */
        l->start = place.end;
        l->saved_start = l->saved_start < place.end ? l->saved_start : place.end;
    }
    *ret_end = place.end;
    return 0;
}

void plog_truncate_cancel(struct plog *l)
{
    l->is_truncating = false; /* a recovery point that is too low costs a scan, nothing else */
    l->start = l->start_before; /* what was deleted stays so; whether a checkpoint says less is not known */
}

/* The log ends at `end` at most. */
static void note_end(struct plog *l, offset64 end)
{
    l->end = end;
    l->is_epoch_file_behind |= epoch_cache_cut_tail(&l->epochs, end);
    l->is_epoch_begun = false;
    plog_forget_positions(l);
}

/* Segments that begin above the new end; the first one always stays: its name says where the log is. > 0: PLOG_E_BUSY. */
static int remove_later_segments(struct plog *l)
{
    while (l->segments.n > 1 && plog_active(l)->base > l->truncate_to) {
        offset64 end = plog_active(l)->base;
        int r = plog_retire_segment(l, l->segments.n - 1, 0);
        if (r != 0) {
            return r < 0 ? err_forward(r) : r;
        }
        note_end(l, end);
    }
    return 0;
}

/* Fills the segment object and its indexes from what is left of the file. Their files are held, so that no descriptor is
 * missing on the way. > 0: SEGMENT_E_BAD. */
static int take_anew(struct plog *l, struct segment *s, int fd, const struct cut_place *place)
{
    uint8_t bytes[BATCH_HEAD_WALK_SIZE];
    struct file_window w;
    struct batch_head h;
    int r = plog_begin_anew(l, s);

    file_window_init(&w, l->io, fd, place->at, bytes, sizeof(bytes));
    while (r == 0 && s->size < place->at) {
        r = batch_head_read(&w, s->size, &h);
        if (r == 0 && h.base != s->end) {
            r = SEGMENT_E_BAD;
        }
        if (r == 0) {
            r = segment_note_batch(l->io, s, &h, l->config.index_interval_bytes);
        }
    }
    s->synced = s->size;
    s->n_cuts_synced = s->n_cuts;
    return r < 0 ? err_forward(r) : r;
}

/* The last segment is the active one from now on: what vouched for it as a whole does so no more. */
static int remove_seal(struct plog *l, const struct segment *s, const char *folder_path)
{
    char *path = segment_path(folder_path, s->base, ".seal");
    int r = l->io->unlink(l->io->ctx, path);

    mem_free(path);
    return r < 0 && r != -ENOENT ? err_forward(r) : 0;
}

/* `fd` is the last segment's. > 0: SEGMENT_E_BAD. */
static int cut_data(struct plog *l, int fd, const struct cut_place *place)
{
    struct segment *s = plog_active(l);
    int r = l->io->truncate(l->io->ctx, fd, place->at);

    if (r < 0) {
        return err_forward(r);
    }
    l->bytes -= s->size - place->at;
    l->unsynced -= s->size - s->synced;
    s->id = ++l->last_segment_id; /* who reads it outside the lock sees that it is another one */
    s->is_sealed = s->is_compacted = false;
    s->has_first_timestamp = s->has_first_timestamp && place->at > 0;
    s->seen_at = 0;
    s->reserved = 0; /* the cut gave the blocks back */
    note_end(l, place->end);
    r = take_anew(l, s, fd, place);
    return r < 0 ? err_forward(r) : r;
}

/* The epoch of what is the last batch now. */
static void know_last_epoch(struct plog *l)
{
    l->last_epoch = EPOCH_NONE;
    for (size_t i = l->segments.n; i > 0 && l->last_epoch == EPOCH_NONE; i--) {
        l->last_epoch = l->segments.items[i - 1].last_epoch;
    }
}

/* --- The whole ----------------------------------------------------------------------------------------------------- */

/* What a step of the cut came to. > 0: PLOG_E_*. */
static int outcome(struct plog *l, int r)
{
    if (r > 0) {
        log_error("plog", "log_damaged", KV_STR("folder", l->folder), KV_I64("offset", l->truncate_to),
                KV_STR("why", "the batch headers do not chain"));
        return PLOG_E_DAMAGED;
    }
    return r < 0 ? plog_outcome(l, r, "its end could not be cut off") : 0;
}

/* --- Syncs, between the steps -------------------------------------------------------------------------------------- */

static struct plog_cut_sync *sync_new(struct plog *l)
{
    struct plog_cut_sync *s = mem_new(struct plog_cut_sync);

    s->dir = l->dir;
    s->io = l->io;
    s->files = l->files;
    return s;
}

static struct plog_cut_sync *sync_of_folder(struct plog *l)
{
    struct plog_cut_sync *s = sync_new(l);

    s->folder = plog_path(l);
    s->n_folder_changes = l->n_folder_changes;
    return s;
}

static void sync_free(struct plog_cut_sync *s)
{
    while (s->n_held > 0) {
        cached_file_release(s->held[--s->n_held]);
    }
    mem_free(s->folder);
    mem_free(s);
}

int plog_cut_sync_run(struct plog_cut_sync *s)
{
    int r = log_dir_failed(s->dir) ? err_origin(-EIO) : 0;

    if (r == 0 && s->folder != NULL) {
        r = s->io->sync_dir(s->io->ctx, s->folder);
        if ((r == -EMFILE || r == -ENFILE) && file_cache_make_room(s->files)) {
            r = s->io->sync_dir(s->io->ctx, s->folder);
        }
    }
    /* Of the indexes, too: entries of what was cut must not come back with the power and be taken for those of what is
     * appended next. */
    for (size_t i = 0; i < s->n_held && r >= 0; i++) {
        r = s->io->datasync(s->io->ctx, s->fds[i]);
    }
    return r < 0 ? err_forward(r) : 0;
}

int plog_cut_sync_end(struct plog *l, struct plog_cut_sync *s, int r)
{
    if (r >= 0 && s->folder != NULL) {
        l->n_folder_synced = s->n_folder_changes;
    }
    sync_free(s);
    r = r < 0 ? plog_outcome(l, r, "its end could not be cut off") : 0;
    l->cut_step = r != 0 ? CUT_SEGMENTS : l->cut_step;
    return r == PLOG_E_FULL ? PLOG_E_BUSY : r < 0 ? err_forward(r) : r;
}

/* --- Steps --------------------------------------------------------------------------------------------------------- */

/* Finds the place, and makes its segment the last one. > 0: PLOG_E_*. */
static int cut_segments(struct plog *l, struct cut_place *ret)
{
    int r = outcome(l, find_place(l, l->truncate_to, ret));

    if (r == 0) {
        r = remove_later_segments(l);
    }
    if (r != 0) {
        return r < 0 ? err_forward(r) : r;
    }
    must(ret->segment == l->segments.n - 1);
    return 0;
}

static int step_segments(struct plog *l, struct plog_cut_sync **ret)
{
    struct cut_place place;
    int r = cut_segments(l, &place);

    if (r == 0) {
        char *path = plog_path(l);
        r = outcome(l, remove_seal(l, plog_active(l), path));
        mem_free(path);
    }
    if (r == 0) {
        *ret = sync_of_folder(l);
        l->cut_step = CUT_DATA;
    }
    return r < 0 ? err_forward(r) : r;
}

/* The data of the last segment and its indexes, which stay open until they are synced. > 0: PLOG_E_*. */
static int cut_last(struct plog *l, const struct cut_place *place, struct plog_cut_sync *sync)
{
    struct segment *s = plog_active(l);
    struct cached_file *files[] = {s->log, s->index.file, s->times.file};
    /* Of a compacted segment the indexes may be missing; they are made anew below in any case. */
    int r = sparse_index_replace(l->io, &s->index, (const uint8_t *)"", 0);

    if (r >= 0) {
        r = sparse_index_replace(l->io, &s->times, (const uint8_t *)"", 0);
    }
    while (sync->n_held < COUNT_OF(files) && r >= 0) {
        sync->held[sync->n_held] = files[sync->n_held];
        r = cached_file_hold(files[sync->n_held], &sync->fds[sync->n_held]);
        sync->n_held += r >= 0;
    }
    if (r >= 0) {
        r = cut_data(l, sync->fds[0], place);
    }
    if (r == 0) {
        know_last_epoch(l);
    }
    return outcome(l, r);
}

static int step_data(struct plog *l, struct plog_cut_sync **ret)
{
    struct cut_place place;
    struct plog_cut_sync *sync = sync_new(l);
    int r = cut_segments(l, &place);

    r = r == 0 ? cut_last(l, &place, sync) : r;
    if (r == 0) {
        *ret = sync;
        l->cut_step = CUT_REST;
    } else {
        sync_free(sync);
    }
    return r < 0 ? err_forward(r) : r;
}

static int step_rest(struct plog *l, struct plog_cut_sync **ret)
{
    int r = plog_epochs_persist(l);

    /* A full disk keeps the old file; what it says above the recovery point nobody believes. */
    if (r >= 0) {
        /* They are state of producers up to offsets that are no more; that of the new end itself stays right. */
        r = plog_snapshot_remove_above(l, l->end);
    }
    if (r == 0) {
        *ret = l->segments.n > 0 ? sync_of_folder(l) : NULL;
        l->cut_step = CUT_DONE;
    }
    return r < 0 ? err_forward(r) : r;
}

/* [LOG-65] The order. */
int plog_truncate_step(struct plog *l, struct plog_cut_sync **ret)
{
    int r = 0;

    must(l->is_truncating);
    *ret = NULL;
    if (l->cut_step == CUT_SEGMENTS && l->segments.n == 0) {
        l->cut_step = CUT_REST; /* nothing but a place to begin */
    }
    switch ((enum cut_step)l->cut_step) {
    /* Also when nothing is left to cut: an earlier attempt may have stopped half way. */
    case CUT_SEGMENTS: r = step_segments(l, ret); break;
    case CUT_DATA: r = step_data(l, ret); break;
    case CUT_REST: r = step_rest(l, ret); break;
    case CUT_DONE: break;
    }
    if (r == 0 && l->cut_step == CUT_DONE && *ret == NULL) {
        l->is_truncating = false;
        log_info("plog", "truncated", KV_STR("folder", l->folder), KV_I64("from", l->cut_from),
                KV_I64("to", l->end));
    }
    l->cut_step = r != 0 ? CUT_SEGMENTS : l->cut_step;
    return r == PLOG_E_FULL ? PLOG_E_BUSY : r < 0 ? err_forward(r) : r;
}

int plog_truncate_run(struct plog *l)
{
    struct plog_cut_sync *sync = NULL;
    int r = plog_truncate_step(l, &sync);

    while (r == 0 && sync != NULL) {
        r = plog_cut_sync_end(l, sync, plog_cut_sync_run(sync));
        r = r == 0 ? plog_truncate_step(l, &sync) : r;
    }
    return r < 0 ? err_forward(r) : r;
}
