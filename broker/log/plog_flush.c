/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/plog_impl.h"
#include "common/base/mem.h"

#include <errno.h>

/* A flush holds the files of every segment that had unsynced bytes when it began. The recovery
 * point may pass only what the whole flush has synced, the names of new segments included; so a
 * segment that was rolled in the meantime is synced no later than what follows it.
 *
 * Tiny segments can be very many. A flush takes a first part of them then, up to the first that it
 * has no descriptor for, and the recovery point moves that far. */

enum {
    FLUSH_SEGMENTS_MAX = 16
};

struct flush_item {
    struct cached_file *file;
    int fd;
    uint64_t id;
    offset64 base;
    int64_t size; /* when the flush began */
    uint32_t n_cuts;
    struct cached_file *times; /* NULL = it need not be synced */
    int times_fd;
    uint32_t n_times;
};

struct plog_flush {
    struct log_dir *dir;
    const struct file_io *io;
    struct file_cache *files;
    char *folder; /* its path, when names in it must be synced; else NULL */
    uint32_t n_folder_changes;
    uint32_t n_truncations;
    ARRAY(struct flush_item) items;
    offset64 end;
    int error; /* a file could not be held */
    bool is_done;
};

/* False: the flush ends before this segment. */
static bool add_item(struct plog_flush *f, struct segment *s)
{
    int fd = -1;
    int times_fd = -1;
    bool has_times = segment_needs_times_synced(s);
    int r = f->items.n < FLUSH_SEGMENTS_MAX ? cached_file_hold(s->log, &fd) : -EMFILE;

    if (r >= 0 && has_times) {
        r = cached_file_hold(s->times.file, &times_fd);
        if (r < 0) {
            cached_file_release(s->log);
        }
    }
    if (r < 0) {
        if (log_dir_is_scarce(r) && f->items.n > 0) {
            f->end = s->base;
        } else {
            f->error = r;
        }
        return false;
    }
    *array_push(&f->items) = (struct flush_item){.file = s->log,
            .fd = fd,
            .id = s->id,
            .base = s->base,
            .size = s->size,
            .n_cuts = s->n_cuts,
            .times = has_times ? s->times.file : NULL,
            .times_fd = times_fd,
            .n_times = s->times.n};
    return true;
}

/* Or may have: nothing older has. */
static bool has_unsynced(const struct plog *l, const struct segment *s)
{
    return s->end > l->recovery_point || s->n_cuts != s->n_cuts_synced;
}

struct plog_flush *plog_flush_begin(struct plog *l)
{
    /* Not "no unsynced bytes": after a cut all may be synced and the recovery point still behind.
     * */
    const struct segment *active = plog_active(l);
    if (l->is_truncating || active == NULL) { /* without a segment there is nothing but a place to begin */
        return NULL;
    }
    if (l->recovery_point == l->end && l->n_folder_changes == l->n_folder_synced &&
            (active == NULL || active->n_cuts == active->n_cuts_synced)) {
        return NULL;
    }
    struct plog_flush *f = mem_new(struct plog_flush);
    f->dir = l->dir;
    f->io = l->io;
    f->files = l->files;
    f->end = l->end;
    if (l->is_epoch_file_behind && plog_epochs_persist(l) != 0) {
        f->end = l->recovery_point; /* [LOG-64] It does not pass what the file lacks; the bytes are synced all the same. */
    }
    f->n_folder_changes = l->n_folder_changes;
    f->n_truncations = l->n_truncations;
    if (l->n_folder_changes != l->n_folder_synced) {
        f->folder = plog_path(l);
    }
    size_t i = l->segments.n;
    while (i > 0 && has_unsynced(l, &l->segments.items[i - 1])) {
        i--;
    }
    bool goes_on = true;
    for (; i < l->segments.n && goes_on; i++) { /* oldest first */
        struct segment *s = &l->segments.items[i];
        goes_on = (s->synced == s->size && s->n_cuts == s->n_cuts_synced) || add_item(f, s);
    }
    return f;
}

static int sync_all(struct plog_flush *f)
{
    int r = f->folder != NULL ? f->io->sync_dir(f->io->ctx, f->folder) : 0;

    if ((r == -EMFILE || r == -ENFILE) && file_cache_make_room(f->files)) {
        r = f->io->sync_dir(f->io->ctx, f->folder);
    }
    for (size_t i = 0; i < f->items.n && r >= 0; i++) {
        r = f->io->datasync(f->io->ctx, f->items.items[i].fd);
        if (r >= 0 && f->items.items[i].times != NULL) {
            r = f->io->datasync(f->io->ctx, f->items.items[i].times_fd);
        }
    }
    return r < 0 ? err_forward(r) : 0;
}

int plog_flush_run(struct plog_flush *f)
{
    if (log_dir_failed(f->dir)) { /* Nothing is synced again where a sync failed. */
        return err_origin(-EIO);
    }
    if (log_dir_is_scarce(f->error)) {
        return err_origin(f->error);
    }
    int r = f->error < 0 ? f->error : sync_all(f);
    if (r == -EMFILE || r == -ENFILE) { /* Only opening says so: no sync has failed. */
        return err_forward(r);
    }
    if (r < 0) {
        log_dir_fail(f->dir, r, "a log could not be synced");
        return err_forward(r);
    }
    f->is_done = true;
    return 0;
}

/* The segment may have grown meanwhile; what this flush synced is what it had. Or it was removed, or replaced. */
static void note_synced(struct plog *l, const struct flush_item *item)
{
    size_t i = plog_segment_index(l, item->base);
    struct segment *s = i < l->segments.n ? &l->segments.items[i] : NULL;

    if (s == NULL || s->id != item->id) {
        return;
    }
    s->n_cuts_synced = item->n_cuts;
    s->n_times_synced = item->times != NULL ? item->n_times : s->n_times_synced;
    if (s->synced < item->size) {
        l->unsynced -= item->size - s->synced;
        s->synced = item->size;
    }
}

void plog_flush_end(struct plog *l, struct plog_flush *f)
{
    if (f->is_done && f->n_truncations == l->n_truncations) { /* [LOG-67] */
        ARRAY_FOREACH (item, &f->items) {
            note_synced(l, item);
        }
        if (f->end > l->recovery_point) {
            l->recovery_point = f->end;
        }
        l->n_folder_synced = f->n_folder_changes;
    }
    ARRAY_FOREACH (item, &f->items) {
        cached_file_release(item->file);
        if (item->times != NULL) {
            cached_file_release(item->times);
        }
    }
    array_deinit(&f->items);
    mem_free(f->folder);
    mem_free(f);
}
