/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/plog_impl.h"
#include "common/base/mem.h"

#include <errno.h>
#include <inttypes.h>

/* Segments leave a log in two steps:
 *
 *   x.log ──rename (under the lock)──▶ x.log.deleted ──unlink (on the pool, after the delay)──▶ gone
 *
 * A reader that has the file open keeps it through both. Neither step is synced here: a power failure
 * may undo some of the renames, and the next start removes again what lies below the log start that the
 * checkpoint has. */

enum {
    REMOVALS_MAX = 64 /* under one hold of the lock */
};

/* All files of a segment, the one with the records first: without it the others are nobody's. */
static const char *const suffixes[] = {".log", ".index", ".timeindex", ".seal"};

/* --- Out of the log --------------------------------------------------------------------------- */

static void remember(struct plog *l, char *path, wtime now)
{
    ARRAY_FOREACH (f, &l->retired) {
        if (strcmp(f->path, path) ==
                0) { /* of an earlier segment with the same base, replaced now */
            f->since = now;
            mem_free(path);
            return;
        }
    }
    *array_push(&l->retired) = (struct retired_file){.path = path, .since = now};
}

/* One that is missing is out of the way already. A full disk may have no room for another name. */
static int retire_file(struct plog *l, const char *from, wtime now)
{
    char *to = mem_format("%s.deleted", from);
    int r = l->io->rename(l->io->ctx, from, to);

    if (r >= 0) {
        remember(l, mem_steal(&to), now);
    } else if (r == -ENOSPC || r == -EDQUOT) {
        r = l->io->unlink(l->io->ctx, from);
    }
    mem_free(to);
    return r < 0 && r != -ENOENT ? err_forward(r) : 0;
}

int plog_retire_segment(struct plog *l, size_t i, wtime now)
{
    must(i < l->segments.n);
    struct segment *s = &l->segments.items[i];
    char *folder = plog_path(l);
    int r = 0;

    for (size_t k = 0; k < COUNT_OF(suffixes) && r >= 0; k++) {
        char *path = mem_format("%s/%020" PRId64 "%s", folder, s->base, suffixes[k]);
        r = retire_file(l, path, now);
        mem_free(path);
    }
    mem_free(folder);
    if (r < 0) {
        return plog_outcome(l, r, "a segment could not be removed");
    }
    l->bytes -= s->size;
    l->unsynced -= s->size - s->synced;
    l->n_folder_changes++;
    plog_forget_positions(l);
    segment_deinit(s);
    array_remove(&l->segments, i);
    return 0;
}

/* --- From the begin of the log ---------------------------------------------------------------- */

void plog_set_start(struct plog *l, offset64 offset)
{
    must(offset <= l->end);
    if (offset > l->start) { /* [LOG-20] */
        l->start = offset;
    }
}

void plog_start_saved(struct plog *l, offset64 offset)
{
    must(offset <= l->start);
    if (offset > l->saved_start) {
        l->saved_start = offset;
    }
}

offset64 plog_saved_start(const struct plog *l)
{
    return l->saved_start;
}

/* [LOG-21] What the checkpoint's log start hides may go, and may come back; of anything else recovery could not tell a
 * removal from a loss. */
static bool is_first_removable(const struct plog *l)
{
    return l->segments.n > 1 && l->segments.items[1].base <= l->saved_start;
}

bool plog_has_removable(const struct plog *l)
{
    return is_first_removable(l);
}

int plog_remove_below_start(struct plog *l, wtime now, struct plog_removed *ret)
{
    *ret = (struct plog_removed){0};
    if (log_dir_failed(l->dir)) {
        return err_origin(-EIO);
    }
    /* [LOG-22] The removals may be on the disk before the names of younger segments are. */
    if (is_first_removable(l) && l->n_folder_changes != l->n_folder_synced) {
        ret->wants_flush = true;
        return 0;
    }
    while (is_first_removable(l) && ret->n_segments < REMOVALS_MAX) {
        int64_t size = l->segments.items[0].size;
        int r = plog_retire_segment(l, 0, now);
        if (r != 0) {
            return r < 0 ? err_forward(r) : r;
        }
        ret->n_segments++;
        ret->bytes += size;
    }
    ret->wants_flush = is_first_removable(l);
    return 0;
}

/* --- From the disk ---------------------------------------------------------------------------- */

struct plog_reap {
    struct log_dir *dir;
    const struct file_io *io;
    ARRAY(struct retired_file) files; /* path NULL = it is gone */
};

static bool is_due(const struct retired_file *f, wtime now, wtime delay)
{
    return wtime_due(wtime_add(f->since, delay), now);
}

wtime plog_reap_deadline(const struct plog *l, wtime delay)
{
    wtime first = WTIME_NEVER;

    for (size_t i = 0; i < l->retired.n; i++) {
        first = wtime_min(first, wtime_add(l->retired.items[i].since, delay));
    }
    return first;
}

struct plog_reap *plog_reap_begin(struct plog *l, wtime now, wtime delay)
{
    struct plog_reap *r = NULL;

    for (size_t i = 0; i < l->retired.n;) {
        if (!is_due(&l->retired.items[i], now, delay)) {
            i++;
            continue;
        }
        if (r == NULL) {
            r = mem_new(struct plog_reap);
            r->dir = l->dir;
            r->io = l->io;
        }
        *array_push(&r->files) = l->retired.items[i];
        array_remove(&l->retired, i);
    }
    return r;
}

int plog_reap_run(struct plog_reap *r)
{
    if (log_dir_failed(r->dir)) {
        return err_origin(-EIO);
    }
    ARRAY_FOREACH (f, &r->files) {
        int result = r->io->unlink(r->io->ctx, f->path);
        if (result < 0 && result != -ENOENT) {
            if (!log_dir_is_scarce(result)) {
                log_dir_fail(r->dir, result, "a removed segment could not be unlinked");
            }
            return err_forward(result);
        }
        f->path = mem_free(f->path);
    }
    return 0;
}

void plog_reap_end(struct plog *l, struct plog_reap *r)
{
    ARRAY_FOREACH (f, &r->files) {
        if (f->path != NULL) { /* its time comes again */
            *array_push(&l->retired) = *f;
        }
    }
    array_deinit(&r->files);
    mem_free(r);
}

void plog_forget_retired(struct plog *l)
{
    ARRAY_FOREACH (f, &l->retired) {
        mem_free(f->path);
    }
    array_deinit(&l->retired);
}
