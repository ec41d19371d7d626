/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/recover.h"

#include "broker/log/plog_replay.h"
#include "common/base/mem.h"
#include "common/obs/log.h"

#include <inttypes.h>

/* What stands in the folder is brought to a whole log again:
 *
 *   segment   0 ……………… 1 ……………… 2 ……|……… 3 ………      | = recovery point
 *             sealed: chain up, end     scanned: every batch's length, magic, offsets, epoch, CRC
 *             with a whole batch        up to the first bad byte
 *
 * Below the recovery point all bytes were synced: what is wrong there is damage, and is never cut.
 * At or above it a power failure may have left anything, also a later segment behind a torn earlier
 * one: cut at the first bad byte, and remove what follows.
 *
 * Segments that lie wholly below the checkpoint's log start had been removed, or were about to be: a power failure brings
 * back some or all. They are not looked at, and go. */

int recovery_damaged(const struct recovery *c, const char *file, offset64 offset, const char *why)
{
    log_error("plog", "log_damaged", KV_STR("file", file), KV_I64("offset", offset),
            KV_I64("recovery_point", c->recovery_point), KV_STR("why", why));
    return PLOG_E_DAMAGED;
}

/* Removes what is behind segment `last` and behind its good bytes: the newest first, so that a
 * death on the way leaves a log that is cut further the next time. */
static int cut(struct recovery *c, size_t last, int64_t file_size)
{
    struct plog *l = c->l;
    struct segment *s = &l->segments.items[last];
    char *path = plog_path(l);
    int fd = -1;
    int r = 0;

    c->stats->cut_bytes += file_size - s->size;
    log_info("plog", "tail_cut", KV_STR("file", cached_file_path(s->log)), KV_I64("end", s->end),
            KV_I64("bytes", file_size - s->size),
            KV_U64("later_segments", l->segments.n - 1 - last));
    while (l->segments.n - 1 > last && r >= 0) {
        struct segment *later = plog_active(l);
        c->stats->cut_bytes += later->size;
        r = segment_unlink_files(l->io, later);
        segment_deinit(later);
        array_remove(&l->segments, l->segments.n - 1);
    }
    if (r >= 0) {
        r = l->io->sync_dir(l->io->ctx, path);
    }
    mem_free(path);
    if (r >= 0) {
        r = cached_file_hold(s->log, &fd);
    }
    if (r < 0) {
        return err_forward(r);
    }
    r = l->io->truncate(l->io->ctx, fd, s->size);
    if (r >= 0) {
        r = l->io->datasync(l->io->ctx, fd);
    }
    cached_file_release(s->log);
    s->synced = r >= 0 ? s->size : s->synced;
    return r < 0 ? err_forward(r) : 0;
}

/* All that this segment should hold is there, and its file goes on: a cut whose sync was never
 * reached, undone by a power failure. */
static int cut_surplus(struct recovery *c, struct segment *s, int fd, int64_t file_size)
{
    struct plog *l = c->l;

    if (s->size == file_size) {
        return 0;
    }
    log_info("plog", "surplus_cut", KV_STR("file", cached_file_path(s->log)), KV_I64("end", s->end),
            KV_I64("bytes", file_size - s->size));
    c->stats->cut_bytes += file_size - s->size;
    int r = l->io->truncate(l->io->ctx, fd, s->size);
    if (r >= 0) {
        r = l->io->datasync(l->io->ctx, fd);
    }
    return r < 0 ? err_forward(r) : 0;
}

/* [LOG-12] What was taken in may have rewritten the time index, and no flush comes for a segment whose data is on the disk:
 * a power failure behind a clean stop would bring half of it back. */
static int sync_times(struct plog *l, struct segment *s)
{
    int fd = -1;

    if (!segment_needs_times_synced(s)) {
        return 0;
    }
    int r = cached_file_hold(s->times.file, &fd);
    if (r >= 0) {
        r = l->io->datasync(l->io->ctx, fd);
        cached_file_release(s->times.file);
    }
    s->n_times_synced = r >= 0 ? s->times.n : s->n_times_synced;
    return r < 0 ? err_forward(r) : 0;
}

/* > 0: PLOG_E_*. */
static int recover_one_sealed(struct recovery *c, struct segment *s, offset64 next_base)
{
    int64_t file_size = s->size;
    bool is_taken = false, misfits = false;
    int fd = -1;
    int r = recovery_take_by_seal(c, s, next_base, &is_taken, &misfits);

    if (r < 0 || (is_taken && s->size == file_size)) {
        return r < 0 ? err_forward(r) : 0;
    }
    if (r > 0) {
        return PLOG_E_DAMAGED;
    }
    r = cached_file_hold(s->log, &fd);
    if (r < 0) {
        return err_forward(r);
    }
    r = is_taken ? 0 : recovery_take_unsealed(c, s, fd, next_base, misfits || c->is_host);
    if (r == 0 && !is_taken) {
        r = sync_times(c->l, s);
    }
    if (r == 0) {
        r = cut_surplus(c, s, fd, file_size);
    }
    cached_file_release(s->log);
    if (r > 0) {
        return recovery_damaged(
                c, cached_file_path(s->log), s->end, "a segment does not join the next one");
    }
    return r < 0 ? err_forward(r) : 0;
}

/* Segments [first, n), below the recovery point. > 0: PLOG_E_*. */
static int recover_sealed(struct recovery *c, size_t first, size_t n)
{
    struct plog *l = c->l;

    for (size_t i = first; i < n; i++) {
        int r = recover_one_sealed(c, &l->segments.items[i], l->segments.items[i + 1].base);
        if (r != 0) {
            return r < 0 ? err_forward(r) : r;
        }
    }
    return 0;
}

/* Segments [first, end): the scan. > 0: PLOG_E_*. */
static int recover_scanned(struct recovery *c, size_t first)
{
    struct plog *l = c->l;

    for (size_t i = first; i < l->segments.n; i++) {
        struct segment *s = &l->segments.items[i];
        const struct segment *before = i > first ? s - 1 : NULL;
        offset64 next_base = i + 1 < l->segments.n ? s[1].base : INT64_MAX;
        int64_t file_size = s->size;
        int fd = -1;
        if (before != NULL && s->base > before->end) {
            return before->end < c->recovery_point ? recovery_damaged(c, cached_file_path(s->log),
                                                             before->end, "records are missing")
                                                   : cut(c, i - 1, before->size);
        }
        int r = cached_file_hold(s->log, &fd);
        if (r < 0) {
            return err_forward(r);
        }
        r = recovery_take_scanned(c, s, fd, next_base, i == first);
        if (r >= 0) {
            r = recovery_end_times(c, s, next_base);
        }
        if (r >= 0) {
            r = sync_times(l, s);
        }
        if (r >= 0 && s->end == next_base) {
            r = cut_surplus(c, s, fd, file_size);
        }
        cached_file_release(s->log);
        if (r < 0) {
            return err_forward(r);
        }
        if (s->size < file_size && s->end != next_base) {
            return s->end < c->recovery_point ? recovery_damaged(c, cached_file_path(s->log),
                                                        s->end, "a batch fails its checks")
                                              : cut(c, i, file_size);
        }
    }
    return 0;
}

/* So many segments lie wholly below the log start. */
static size_t count_removed(const struct plog *l, offset64 log_start)
{
    size_t n = 0;

    while (n + 1 < l->segments.n && l->segments.items[n + 1].base <= log_start) {
        n++;
    }
    return n;
}

/* [LOG-24] What is left ends below a log start that was promised for good: all of it had been removed. The log goes on at
 * its start, so that no offset is given twice. > 0: PLOG_E_*. */
static int begin_at_start(struct plog *l, offset64 log_start)
{
    log_info("plog", "log_begins_anew", KV_STR("folder", l->folder), KV_I64("end", l->end),
            KV_I64("log_start", log_start));
    l->end = log_start;
    l->last_epoch = EPOCH_NONE; /* of what was lost: what is left below says nothing of it */
    int r = plog_roll(l);
    return r < 0 ? err_forward(r) : r;
}

/* [LOG-22] Then [LOG-21]: the first `n` segments go. > 0: PLOG_E_*. */
static int remove_first(struct plog *l, size_t n)
{
    char *path = plog_path(l);
    int r = l->io->sync_dir(l->io->ctx, path);

    mem_free(path);
    if (r >= 0) {
        l->n_folder_synced = l->n_folder_changes;
    }
    for (; n > 0 && r == 0; n--) {
        r = plog_retire_segment(l, 0, 0);
    }
    return r < 0 ? err_forward(r) : r;
}

static int settle_start(struct recovery *c, offset64 log_start, size_t n_removed)
{
    struct plog *l = c->l;
    int r = 0;

    if (l->end < log_start && l->segments.n == 0) {
        l->end = log_start; /* [LOG-77] */
    } else if (l->end < log_start) {
        n_removed = l->segments.n;
        r = begin_at_start(l, log_start);
    }
    if (r == 0 && n_removed > 0) {
        r = remove_first(l, n_removed);
    }
    if (r != 0) {
        return r < 0 ? err_forward(r) : r;
    }
    l->start = l->segments.n > 0 ? l->segments.items[0].base : 0;
    l->start = log_start > l->start ? log_start : l->start;
    l->saved_start = log_start;
    return 0;
}

/* Sums up what the segments say, and takes the first `n_removed` out. > 0: PLOG_E_*. */
static int conclude(struct recovery *c, const struct checkpoint_entry *checkpoint, size_t n_removed)
{
    struct plog *l = c->l;
    struct segment *active = plog_active(l);

    l->end = active != NULL ? active->end : 0;
    if (l->end < c->recovery_point) {
        return recovery_damaged(c, l->folder, l->end, "synced records are missing at the end");
    }
    l->recovery_point = c->recovery_point;
    l->last_epoch = c->epoch;
    /* A seal of the last segment is what a cut left of it. */
    if (active != NULL) {
        char *path = plog_path(l);
        char *seal = segment_path(path, active->base, ".seal");
        (void)l->io->unlink(l->io->ctx, seal);
        mem_free(seal);
        mem_free(path);
    }
    /* Who died before its next flush has left names that are not on the disk, has removed some that still are, or cut an
     * end that is still there: a power failure would take the ones and bring the others back. The next flush syncs. */
    if (active != NULL && log_dir_crash_kind(l->dir) != CRASH_CLEAN) {
        l->n_folder_changes = 1;
        active->n_cuts = 1;
    }
    ARRAY_FOREACH (s, &l->segments) {
        if (l->end == c->recovery_point) {
            s->synced = s->size;
        }
        l->lacks_seals = l->lacks_seals || (s != active && !s->is_sealed);
        l->bytes += s->size;
        l->unsynced += s->size - s->synced;
    }
    int r = settle_start(c, checkpoint->log_start, n_removed);
    return r < 0 ? err_forward(r) : r;
}

int plog_recover(
        struct plog *l, const struct checkpoint_entry *checkpoint, struct plog_open_stats *stats)
{
    struct recovery c = {.l = l,
            .recovery_point = checkpoint->recovery_point,
            .is_host = log_dir_crash_kind(l->dir) == CRASH_HOST,
            .epoch = EPOCH_NONE,
            .stats = stats};
    size_t n_removed = 0;
    int r = plog_swap_recover(l);

    if (r == 0) {
        r = plog_epochs_recover_begin(l, &c.epochs, c.recovery_point);
    }
    if (r == 0) {
        r = recovery_list_segments(l);
    }
    if (r == 0) {
        c.bytes = mem_alloc(SCAN_WINDOW_SIZE);
        n_removed = count_removed(l, checkpoint->log_start);
        size_t first = l->segments.n > 0 ? plog_segment_index(l, c.recovery_point) : 0;
        first = first < n_removed ? n_removed : first;
        if (n_removed < l->segments.n) {
            plog_epochs_recover_from(l, &c.epochs, l->segments.items[n_removed].base);
        }
        r = recover_sealed(&c, n_removed, first);
        if (r == 0) {
            r = recover_scanned(&c, first);
        }
        mem_free(c.bytes);
    }
    if (r == 0) {
        r = conclude(&c, checkpoint, n_removed);
    }
    if (r == 0) {
        r = plog_snapshot_remove_above(l, l->end);
    }
    if (r == 0) {
        r = plog_epochs_recover_end(l, &c.epochs);
    }
    epoch_cache_deinit(&c.epochs.file);
    return r < 0 ? plog_outcome(l, r, "its files could not be recovered") : r;
}
