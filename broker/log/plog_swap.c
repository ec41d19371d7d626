/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/plog_swap.h"

#include "broker/log/plog_impl.h"
#include "broker/log/seal.h"
#include "broker/log/swap_manifest.h"
#include "common/base/crc.h"
#include "common/base/mem.h"

#include <errno.h>

struct plog_swap {
    struct log_dir *dir;
    const struct file_io *io;
    char *folder;
    struct swap_manifest manifest;
    uint64_t *ids; /* of manifest.old */
    struct seal seal; /* of the new segment */
    int64_t index_due;
    bool is_committed;
};

/* --- What there is ------------------------------------------------------------------------------------------------ */

void plog_sealed_list(const struct plog *l, struct sealed_list *ret)
{
    size_t n = l->segments.n > 0 ? l->segments.n - 1 : 0;

    *ret = (struct sealed_list){.items = mem_new_n(struct sealed_segment, n + 1),
            .n = n,
            .folder = plog_path(l),
            .topic_id = l->topic_id,
            .partition = l->partition,
            .index_interval = l->config.index_interval_bytes,
            .n_truncations = l->n_truncations};
    for (size_t i = 0; i < n; i++) {
        const struct segment *s = &l->segments.items[i];
        ret->items[i] = (struct sealed_segment){.id = s->id,
                .base = s->base,
                .end = s->end,
                .size = s->size,
                .n_index = s->index.n,
                .is_synced = s->synced == s->size && s->n_cuts == s->n_cuts_synced &&
                             s->end <= l->recovery_point,
                .is_compacted = s->is_compacted,
                .has_max_timestamp = s->has_max_timestamp,
                .max_timestamp = s->max_timestamp};
    }
}

void sealed_list_deinit(struct sealed_list *list)
{
    list->items = mem_free(list->items);
    list->folder = mem_free(list->folder);
    list->n = 0;
}

bool plog_is_as_listed(const struct plog *l, const struct sealed_list *list)
{
    return l->n_truncations == list->n_truncations;
}

int plog_swap_claim(struct plog *l, const struct sealed_list *list)
{
    must(!l->is_swapping);
    /* [LOG-56] A record may have made way for a newer one that was cut off since. */
    if (!plog_is_as_listed(l, list)) {
        return PLOG_E_CHANGED;
    }
    if (l->is_truncating) {
        return PLOG_E_BUSY;
    }
    l->is_swapping = true;
    return 0;
}

void plog_swap_release(struct plog *l)
{
    must(l->is_swapping);
    l->is_swapping = false;
}

/* --- Preparing ---------------------------------------------------------------------------------------------------- */

static struct plog_swap *swap_free(struct plog_swap *s)
{
    swap_manifest_deinit(&s->manifest);
    mem_free(s->ids);
    mem_free(s->folder);
    return mem_free(s);
}

static int outcome(struct log_dir *dir, int r, const char *folder, const char *why)
{
    if (r == -ENOSPC || r == -EDQUOT) {
        return PLOG_E_FULL;
    }
    if (log_dir_is_scarce(r)) {
        return PLOG_E_BUSY;
    }
    char *text = mem_format("%s: %s", folder, why);
    log_dir_fail(dir, r, text);
    mem_free(text);
    return err_forward(r);
}

/* [LOG-51] The gaps in a segment are damage without it. */
static int write_seal(const struct plog_swap *s)
{
    char *path = segment_path(s->folder, s->seal.base, ".seal.cleaned");
    int r = seal_write(s->io, path, &s->seal);

    mem_free(path);
    return r < 0 ? err_forward(r) : 0;
}

/* [LOG-54] What the manifest says of a file must be durable before the manifest is. */
static int prepare(struct plog_swap *s, const struct sealed_list *list)
{
    int r = write_seal(s);

    if (r >= 0) {
        r = swap_manifest_note(s->io, s->folder, &s->manifest.made, ".log.cleaned");
    }
    for (size_t i = 0; i < s->manifest.n_old && r >= 0; i++) {
        r = swap_manifest_note(s->io, s->folder, &s->manifest.old[i], ".log");
    }
    if (r >= 0) {
        r = s->io->sync_dir(s->io->ctx, s->folder);
    }
    if (r >= 0) {
        r = swap_manifest_write(s->io, list->folder, &s->manifest);
    }
    for (size_t i = 0; i < SWAP_N_MADE && r >= 0; i++) {
        r = swap_move(s->io, s->folder, s->manifest.made.base, swap_made[i], ".cleaned", ".swap");
    }
    if (r >= 0) {
        r = s->io->sync_dir(s->io->ctx, s->folder);
    }
    return r < 0 ? err_forward(r) : 0;
}

static uint32_t crc_of(const struct buf *b)
{
    return crc32c(0, b->size > 0 ? b->data : (const uint8_t *)"", b->size);
}

int plog_swap_prepare(struct log_dir *dir,
        const struct sealed_list *list,
        const struct sealed_segment *old,
        size_t n,
        const struct segment_writer *w,
        struct plog_swap **ret)
{
    must(n > 0 && n <= SWAP_OLD_MAX);
    must(w->base == old[0].base && w->end == old[n - 1].end);
    if (log_dir_failed(dir)) {
        return err_origin(-EIO);
    }
    struct plog_swap *s = mem_new(struct plog_swap);
    s->dir = dir;
    s->io = log_dir_io(dir);
    s->folder = mem_strdup(list->folder);
    s->seal = (struct seal){.topic_id = list->topic_id,
            .partition = list->partition,
            .dir_id = *log_dir_id(dir),
            .base = w->base,
            .end = w->end,
            .size = w->size,
            .heads = w->heads,
            .last_epoch = w->last_epoch,
            .max_timestamp = w->max_timestamp,
            .index_n = segment_writer_n_index(w),
            .index_crc = crc_of(&w->index),
            .time_n = segment_writer_n_times(w),
            .time_crc = crc_of(&w->times),
            .is_compacted = true};
    s->index_due = w->index_due;
    s->manifest.made = (struct swap_file){.base = w->base, .size = w->size};
    s->manifest.old = mem_new_n(struct swap_file, n);
    s->manifest.n_old = n;
    s->ids = mem_new_n(uint64_t, n);
    for (size_t i = 0; i < n; i++) {
        s->manifest.old[i] = (struct swap_file){
                .base = old[i].base, .size = old[i].size, .is_compacted = old[i].is_compacted};
        s->ids[i] = old[i].id;
    }
    int r = prepare(s, list);
    if (r == 0) {
        *ret = s;
        return 0;
    }
    if (r == -ENOENT || r == -ESTALE) { /* an old one is gone, or shorter: retention, a cut, or the topic was removed */
        r = swap_undo(s->io, s->folder, &s->manifest);
        r = r < 0 && r != -ENOENT ? outcome(dir, r, s->folder, "a compaction could not be undone")
                                  : PLOG_E_CHANGED;
    } else {
        int undone = swap_undo(s->io, s->folder, &s->manifest);
        r = outcome(dir, undone < 0 && !log_dir_failed(dir) && !log_dir_is_scarce(undone) ? undone : r,
                s->folder, "a cleaned segment could not take its place");
    }
    (void)swap_free(s);
    return r < 0 ? err_forward(r) : r;
}

/* --- The commit --------------------------------------------------------------------------------------------------- */

/* Where the old segments stand in the log, if they do, all and unchanged. */
static bool find_old(const struct plog *l, const struct plog_swap *s, size_t *ret_first)
{
    size_t n = s->manifest.n_old;
    size_t first = plog_segment_index(l, s->manifest.old[0].base);

    if (l->segments.n < first + n + 1) { /* none of them is the active one */
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        const struct segment *seg = &l->segments.items[first + i];
        if (seg->id != s->ids[i] || seg->size != s->manifest.old[i].size ||
                seg->base != s->manifest.old[i].base) {
            return false;
        }
    }
    *ret_first = first;
    return true;
}

static int rename_all(struct plog_swap *s)
{
    int r = 0;

    /* [LOG-55] The first one's name gives way first: where it is, nothing has begun. */
    for (size_t i = 0; i < s->manifest.n_old && r >= 0; i++) {
        r = swap_retire(s->io, s->folder, s->manifest.old[i].base);
        if (i > 0 && (r == -ENOSPC || r == -EDQUOT)) { /* no room for a longer name */
            s->manifest.old[i].is_stuck = true;
            r = 0;
        }
        if (i == 0 && r >= 0) {
            r = swap_finish_made(s->io, s->folder, s->manifest.made.base);
        }
    }
    return r < 0 ? err_forward(r) : 0;
}

/* The new segment in the list, in place of `n` from `first` on. */
static void replace(struct plog *l, const struct plog_swap *s, size_t first)
{
    size_t n = s->manifest.n_old;
    struct segment made;

    segment_init(&made, l->files, s->folder, s->manifest.made.base);
    made.id = ++l->last_segment_id;
    made.end = s->seal.end;
    made.size = made.synced = s->manifest.made.size;
    made.index.n = s->seal.index_n;
    made.times.n = s->seal.time_n;
    made.index_due = s->index_due;
    made.is_sealed = made.is_compacted = made.has_heads = made.has_max_timestamp = true;
    made.heads = s->seal.heads;
    made.last_epoch = s->seal.last_epoch;
    made.max_timestamp = s->seal.max_timestamp;
    checked_ranges_add(&made.checked, 0, made.size); /* written by this run, from checked batches */
    for (size_t i = 0; i < n; i++) {
        struct segment *old = &l->segments.items[first + i];
        l->bytes -= old->size;
        segment_deinit(old);
    }
    for (size_t i = 1; i < n; i++) {
        array_remove(&l->segments, first + 1);
    }
    l->segments.items[first] = made;
    l->bytes += made.size;
    l->n_folder_changes++;
    plog_forget_positions(l);
}

int plog_swap_commit(struct plog *l, struct plog_swap *s)
{
    size_t first = 0;

    if (log_dir_failed(l->dir)) {
        return err_origin(-EIO);
    }
    must(l->is_swapping);
    if (!find_old(l, s, &first)) { /* [LOG-56] */
        return PLOG_E_CHANGED;
    }
    if (l->is_sealing) { /* perhaps one of these: it would stand beside the new one */
        return PLOG_E_BUSY;
    }
    int r = rename_all(s);
    if (r == -ENOSPC || r == -EDQUOT) { /* of the first name: nothing has begun */
        return PLOG_E_FULL;
    }
    if (r < 0) { /* half of the names are new: only a start can tell them apart */
        log_dir_fail(l->dir, r, "segments could not be renamed");
        return err_forward(r);
    }
    replace(l, s, first);
    s->is_committed = true;
    return 0;
}

int plog_swap_end(struct plog_swap *s)
{
    int r = -EIO;

    if (!log_dir_failed(s->dir)) {
        r = s->is_committed ? swap_complete(s->io, s->folder, &s->manifest)
                            : swap_undo(s->io, s->folder, &s->manifest);
        if (r == -ENOENT) { /* the folder itself is in the trash */
            r = 0;
        } else if (r < 0 && log_dir_is_scarce(r)) {
            r = 0; /* what stays of it goes at the next start: the manifest is removed last, or first */
        } else if (r < 0) {
            log_dir_fail(s->dir, r, "a compaction could not be ended");
        }
    }
    (void)swap_free(s);
    return r < 0 ? err_forward(r) : 0;
}
