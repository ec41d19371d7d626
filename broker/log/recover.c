/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/plog_impl.h"
#include "broker/log/plog_replay.h"
#include "broker/log/seal.h"
#include "common/base/crc.h"
#include "common/base/mem.h"
#include "common/obs/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

enum {
    SCAN_WINDOW_SIZE = 64 * 1024
};

struct recovery {
    struct plog *l;
    offset64 recovery_point;
    bool is_host;   /* the kernel died: what was written may be gone, index files included */
    uint8_t *bytes; /* SCAN_WINDOW_SIZE */
    epoch32 epoch;  /* of the last good batch */
    struct epoch_recovery epochs;
    struct plog_open_stats *stats;
};

/* --- Listing ---------------------------------------------------------------------------------- */

struct listing {
    ARRAY(offset64) bases;
    ARRAY(offset64) indexes;
    ARRAY(offset64) times;
    ARRAY(offset64) seals;
    ARRAY(offset64) snapshots;
    ARRAY(char *) leftovers; /* .tmp files, .deleted ones */
};

static bool ends_with(const char *name, const char *suffix)
{
    size_t size = strlen(name), suffix_size = strlen(suffix);

    return size > suffix_size && strcmp(name + size - suffix_size, suffix) == 0;
}

static void collect(void *arg, const char *name, bool is_dir)
{
    struct listing *list = arg;
    offset64 base = 0;

    if (is_dir) {
        return;
    }
    if (segment_name_parse(name, ".log", &base)) {
        *array_push(&list->bases) = base;
    } else if (segment_name_parse(name, ".index", &base)) {
        *array_push(&list->indexes) = base;
    } else if (segment_name_parse(name, ".timeindex", &base)) {
        *array_push(&list->times) = base;
    } else if (segment_name_parse(name, ".seal", &base)) {
        *array_push(&list->seals) = base;
    } else if (segment_name_parse(name, ".snapshot", &base)) {
        *array_push(&list->snapshots) = base;
    } else if (ends_with(name, ".tmp") || ends_with(name, ".deleted")) {
        *array_push(&list->leftovers) = mem_strdup(name);
    }
}

static void listing_deinit(struct listing *list)
{
    ARRAY_FOREACH (name, &list->leftovers) {
        mem_free(*name);
    }
    array_deinit(&list->leftovers);
    array_deinit(&list->bases);
    array_deinit(&list->indexes);
    array_deinit(&list->times);
    array_deinit(&list->seals);
    array_deinit(&list->snapshots);
}

static int compare_offsets(const void *a, const void *b)
{
    offset64 x, y;

    memcpy(&x, a, sizeof(x));
    memcpy(&y, b, sizeof(y));
    return (x > y) - (x < y);
}

static void remove_orphan(struct plog *l,
        const char *path,
        const struct listing *list,
        offset64 base,
        const char *suffix)
{
    if (list->bases.n == 0 || bsearch(&base, list->bases.items, list->bases.n, sizeof(offset64),
                                      compare_offsets) == NULL) {
        char *file = segment_path(path, base, suffix);
        (void)l->io->unlink(l->io->ctx, file);
        mem_free(file);
    }
}

/* Half-written small files, removed ones [LOG-23], and indexes and seals without a segment: of no use to anybody, and
 * of no harm if they stay. */
static void remove_leftovers(struct plog *l, const char *path, struct listing *list)
{
    ARRAY_FOREACH (name, &list->leftovers) {
        char *file = mem_format("%s/%s", path, *name);
        (void)l->io->unlink(l->io->ctx, file);
        mem_free(file);
    }
    ARRAY_FOREACH (base, &list->indexes) {
        remove_orphan(l, path, list, *base, ".index");
    }
    ARRAY_FOREACH (base, &list->times) {
        remove_orphan(l, path, list, *base, ".timeindex");
    }
    ARRAY_FOREACH (base, &list->seals) {
        remove_orphan(l, path, list, *base, ".seal");
    }
}

static void take_snapshots(struct plog *l, const struct listing *list)
{
    for (size_t i = 0; i < list->snapshots.n; i++) {
        *array_push(&l->snapshots) = list->snapshots.items[i];
    }
    if (l->snapshots.n > 1) {
        qsort(l->snapshots.items, l->snapshots.n, sizeof(offset64), compare_offsets);
    }
}

static int list_segments(struct plog *l)
{
    struct listing list = {0};
    char *path = plog_path(l);
    int r = l->io->list(l->io->ctx, path, collect, &list);

    if (r >= 0) {
        if (list.bases.n > 0) {
            qsort(list.bases.items, list.bases.n, sizeof(offset64), compare_offsets);
        }
        remove_leftovers(l, path, &list);
        take_snapshots(l, &list);
    }
    for (size_t i = 0; i < list.bases.n && r >= 0; i++) {
        struct segment *s = plog_push_segment(l, list.bases.items[i]);
        /* Of the file: the scan finds the end of what is good. */
        s->size = l->io->size_of(l->io->ctx, cached_file_path(s->log));
        r = s->size < 0 ? (int)s->size : 0;
    }
    mem_free(path);
    listing_deinit(&list);
    return r < 0 ? err_forward(r) : 0;
}

int plog_folder_has_data(struct plog *l, bool *ret)
{
    struct listing list = {0};
    char *path = plog_path(l);
    bool has_data = false;
    int r = l->io->list(l->io->ctx, path, collect, &list);

    for (size_t i = 0; i < list.bases.n && r >= 0; i++) {
        char *file = segment_path(path, list.bases.items[i], ".log");
        int64_t size = l->io->size_of(l->io->ctx, file);
        r = size < 0 ? (int)size : 0;
        has_data = has_data || size > 0;
        mem_free(file);
    }
    mem_free(path);
    listing_deinit(&list);
    if (r < 0) {
        return plog_outcome(l, r, "its folder cannot be read");
    }
    *ret = has_data;
    return 0;
}

/* --- One segment ------------------------------------------------------------------------------ */

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

/* The last word of the time index, of a segment that was taken in to its end and is not the last. */
static int end_times(struct recovery *c, struct segment *s, offset64 next_base)
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
        int r = batch_head_read(&w, s->size, &h);
        if (r == 0 && (!segment_may_follow(s, s->end, h.base) || h.leader_epoch < c->epoch ||
                              h.last >= next_base)) {
            r = BATCH_HEAD_E_BAD;
        }
        if (r == 0 && with_crc) {
            r = batch_head_check_crc(&w, &h);
            c->stats->scanned_bytes += h.size;
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

static int damaged(const struct recovery *c, const char *file, offset64 offset, const char *why);

/* What the segment's seal says, if it has one that can be read. *ret_why: what in it cannot be true of what stands
 * there; NULL = nothing. > 0: SEAL_E_*. */
static int look_at_seal(struct recovery *c,
        const struct segment *s,
        offset64 next_base,
        struct seal *ret,
        const char **ret_why)
{
    struct plog *l = c->l;
    char *path = plog_path(l);
    char *file = segment_path(path, s->base, ".seal");
    int r = seal_read(l->io, file, ret);

    mem_free(file);
    mem_free(path);
    if (r != 0) {
        return r < 0 ? err_forward(r) : r;
    }
    bool is_ours = uuid_equal(&ret->topic_id, &l->topic_id) && ret->partition == l->partition &&
                   ret->base == s->base;
    *ret_why = !is_ours                      ? "its seal is of another log or segment"
               : ret->end != next_base       ? "the next segment does not begin where its seal says"
               : ret->size > s->size         ? "it is shorter than its seal says"
               : ret->last_epoch < c->epoch && ret->size > 0
                       ? "its seal ends with an older leader epoch than the segment before"
                       : NULL;
    return 0;
}

/* Whether an index has what the seal says; looked into only where the kernel died. */
static int index_fits(
        struct recovery *c, const struct sparse_index *x, uint32_t want_n, uint32_t want_crc, bool *ret)
{
    const struct file_io *io = c->l->io;
    const char *path = cached_file_path(x->file);
    int64_t size = io->size_of(io->ctx, path);
    uint8_t *bytes = NULL;
    size_t n = 0;

    if (size == -ENOENT) {
        *ret = want_n == 0; /* one that was never made */
        return 0;
    }
    *ret = size == (int64_t)want_n * sparse_index_entry_size(x);
    if (!*ret || !c->is_host) {
        return size < 0 ? err_forward((int)size) : 0;
    }
    int r = file_read_all(io, path, (size_t)size, &bytes, &n);
    if (r >= 0) {
        *ret = n == (size_t)size && crc32c(0, bytes, n) == want_crc;
        mem_free(bytes);
    }
    return r < 0 ? err_forward(r) : 0;
}

/* [LOG-10] A segment with a seal is not read at all. *ret_taken = false: it has none, or (*ret_misfits) its
 * indexes are not those that were sealed. > 0:
 * SEGMENT_E_BAD, said. */
static int take_by_seal(struct recovery *c,
        struct segment *s,
        offset64 next_base,
        bool *ret_taken,
        bool *ret_misfits)
{
    const char *why = NULL;
    struct seal seal;
    bool fits = false;
    int r = look_at_seal(c, s, next_base, &seal, &why);

    *ret_taken = *ret_misfits = false;
    if (r != 0) {
        return r < 0 ? err_forward(r) : 0;
    }
    if (why != NULL) {
        (void)damaged(c, cached_file_path(s->log), s->base, why);
        return SEGMENT_E_BAD;
    }
    s->is_compacted = seal.is_compacted;
    r = index_fits(c, &s->index, seal.index_n, seal.index_crc, &fits);
    if (r >= 0 && fits) {
        r = index_fits(c, &s->times, seal.time_n, seal.time_crc, &fits);
    }
    if (r < 0 || !fits) {
        *ret_misfits = !fits;
        return r < 0 ? err_forward(r) : 0;
    }
    s->end = next_base;
    s->size = s->synced = seal.size;
    s->max_timestamp = seal.max_timestamp;
    s->heads = seal.heads;
    s->last_epoch = seal.last_epoch;
    s->has_max_timestamp = s->has_heads = s->is_sealed = true;
    s->index.n = seal.index_n;
    s->times.n = seal.time_n;
    c->epoch = seal.size > 0 ? seal.last_epoch : c->epoch;
    plog_epochs_recover_sealed(c->l, &c->epochs, s);
    *ret_taken = true;
    return 0;
}

/* All of its bytes were taken; the offsets behind them, up to the next segment, were compacted away. */
static void end_compacted(struct segment *s, int64_t file_size, offset64 next_base)
{
    if (s->is_compacted && s->size == file_size && next_base != INT64_MAX) {
        s->end = next_base;
    }
}

/* A segment below the recovery point without a seal: its last batches, found by the index, must end right before
 * `next_base`. With doubtful indexes all its headers are walked instead; after a death of the kernel too, for nobody
 * synced them. */
static int take_sealed(
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
            r = end_times(c, s, next_base);
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
        r = end_times(c, s, next_base);
    }
    if (r < 0) {
        return err_forward(r);
    }
    s->synced = s->size;
    return s->end == next_base ? 0 : SEGMENT_E_BAD;
}

/* The segment of the recovery point (`is_first`), or one after it; `next_base` is INT64_MAX for
 * the last one. */
static int take_scanned(
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
    int r = look_at_seal(c, s, next_base, &seal, &why);
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

/* --- The whole log ---------------------------------------------------------------------------- */

static int damaged(const struct recovery *c, const char *file, offset64 offset, const char *why)
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
    int r = take_by_seal(c, s, next_base, &is_taken, &misfits);

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
    r = is_taken ? 0 : take_sealed(c, s, fd, next_base, misfits || c->is_host);
    if (r == 0 && !is_taken) {
        r = sync_times(c->l, s);
    }
    if (r == 0) {
        r = cut_surplus(c, s, fd, file_size);
    }
    cached_file_release(s->log);
    if (r > 0) {
        return damaged(c, cached_file_path(s->log), s->end, "a segment does not join the next one");
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
            return before->end < c->recovery_point ? damaged(c, cached_file_path(s->log),
                                                             before->end, "records are missing")
                                                   : cut(c, i - 1, before->size);
        }
        int r = cached_file_hold(s->log, &fd);
        if (r < 0) {
            return err_forward(r);
        }
        r = take_scanned(c, s, fd, next_base, i == first);
        if (r >= 0) {
            r = end_times(c, s, next_base);
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
            return s->end < c->recovery_point ? damaged(c, cached_file_path(s->log), s->end,
                                                        "a batch fails its checks")
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

    if (l->end < log_start) {
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
static int conclude(
        struct recovery *c, const struct checkpoint_entry *checkpoint, size_t n_removed)
{
    struct plog *l = c->l;
    struct segment *active = plog_active(l);

    l->end = active != NULL ? active->end : 0;
    if (l->end < c->recovery_point) {
        return damaged(c, l->folder, l->end, "synced records are missing at the end");
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
        r = list_segments(l);
    }
    if (r == 0) {
        c.bytes = mem_alloc(SCAN_WINDOW_SIZE);
        n_removed = count_removed(l, checkpoint->log_start);
        size_t first = l->segments.n > 0 ? plog_segment_index(l, c.recovery_point) : 0;
        first = first < n_removed ? n_removed : first;
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
