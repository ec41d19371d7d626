/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/log_trash_impl.h"

#include "broker/log/kv_file.h"
#include "common/obs/log.h"

#include <errno.h>
#include <inttypes.h>

/* What leaves the trash for good.
 *
 *   KEPT ── forgotten: no checkpoint file is written with it any more
 *        ──▶ the present one is without it ──▶ .dropped, synced ──▶ gone
 *
 * [TRS-9] A death on the way leaves a log that is whole, or one that nobody brings back and nobody
 * misses: its partition may return to this broker. */

#define UNNAMED_KEPT ((wall_ms)24 * 60 * 60 * 1000) /* [TRS-11] */

struct sweep {
    struct log_dir *d;
    const struct log_trash_judge *judge;
    bool is_any_named;     /* by the checkpoint, and to be removed */
    ARRAY(char *) dropped; /* folders that wait for the sync of their names */
};

/* [TRS-11] Since when nothing names it stands in the folder itself, because restarts must not begin
 * the day anew. A note that cannot be read or written is none: it is kept. */
static bool is_unnamed_for_long(struct log_dir *d, const char *path, wall_ms now)
{
    char *note = mem_format("%s/%s", path, LOG_TRASH_UNNAMED_NOTE);
    struct kv_file f = {0};
    int64_t since = 0;
    bool is_long = false;

    if (kv_file_read(d->io, note, &f) == 0) {
        is_long = kv_file_get_i64(&f, "since", &since) && since <= now - UNNAMED_KEPT;
        kv_file_deinit(&f);
    } else {
        char *lines = mem_format("since=%" PRId64 "\n", now);
        int r = kv_file_write(
                d->io, note, lines); /* where it fails the day begins with a later sweep */
        mem_free(lines);
        log_info("log_trash", "folder_unnamed", KV_STR("folder", path), KV_I64("noted", r == 0),
                KV_STR("then", "no topic of its id is known, or it has no replica here; it is kept "
                               "for 24 h"));
    }
    mem_free(note);
    return is_long;
}

/* Its new name says that it is to be removed: what a death leaves of it is not taken for a log. */
static int rename_dropped(struct sweep *s, const struct log_trash_folder *f, const char *path)
{
    struct log_dir *d = s->d;
    char *to = log_trash_folder_path(d, &f->topic_id, f->partition, LOG_TRASH_DROPPED_SUFFIX);
    int r = log_trash_folder_make_way(d, to);

    if (r >= 0) {
        atomic_store(&d->is_trash_unsynced, true);
        r = d->io->rename(d->io->ctx, path, to);
    }
    if (r >= 0) {
        *array_push(&s->dropped) = mem_steal(&to);
    }
    mem_free(to);
    return r < 0 ? err_forward(r) : 0;
}

static int sweep_kept(
        struct sweep *s, const struct log_trash_folder *f, const char *path, bool is_due)
{
    int r = log_trash_claim(s->d, &f->topic_id, f->partition);
    bool is_dropped = false;

    if (r > 0) { /* It is being restored, or has just come. */
        return 0;
    }
    if (!is_due) {
        log_trash_recall(s->d, &f->topic_id, f->partition);
    } else if (!log_trash_forget(s->d, &f->topic_id, f->partition)) {
        s->is_any_named = true;
    } else {
        r = rename_dropped(s, f, path);
        is_dropped = r >= 0;
    }
    log_trash_unclaim(
            s->d, &f->topic_id, f->partition, is_dropped ? LOG_TRASH_NONE : LOG_TRASH_KEPT);
    return r < 0 ? err_forward(r) : 0;
}

static int sweep_emptied(
        struct sweep *s, const struct log_trash_folder *f, const char *path, bool is_due)
{
    int r;

    if (!is_due) {
        log_trash_recall(s->d, &f->topic_id, f->partition);
        return 0;
    }
    if (!log_trash_forget(s->d, &f->topic_id, f->partition)) {
        s->is_any_named = true;
        return 0;
    }
    r = log_trash_folder_remove(s->d, path);
    if (r >= 0) {
        log_trash_emptied_gone(s->d, &f->topic_id, f->partition);
    }
    return r < 0 ? err_forward(r) : 0;
}

static int sweep_folder(struct sweep *s, const struct log_trash_folder *f)
{
    const struct log_trash_judge *judge = s->judge;
    enum log_trash_verdict verdict = judge->judge(judge->ctx, &f->topic_id, f->partition);
    char *path = mem_format("%s/.trash/%s", s->d->path, f->name);
    bool is_due = verdict == LOG_TRASH_PURGE || f->kind == LOG_TRASH_FOLDER_DROPPED ||
                  (verdict == LOG_TRASH_UNNAMED && is_unnamed_for_long(s->d, path, judge->now));
    int r = 0;

    switch (f->kind) {
    case LOG_TRASH_FOLDER_KEPT: r = sweep_kept(s, f, path, is_due); break;
    case LOG_TRASH_FOLDER_EMPTIED:
        r = sweep_emptied(s, f, path, is_due);
        if (r >= 0 && verdict == LOG_TRASH_KEEP) { /* a death came before the end of it */
            r = log_trash_folder_empty(s->d, path);
        }
        break;
    case LOG_TRASH_FOLDER_DROPPED:
    case LOG_TRASH_FOLDER_OLDER:
        if (is_due) {
            r = log_trash_folder_remove(s->d, path);
            log_trash_asides_changed(s->d);
        }
        break;
    }
    if (r < 0) {
        log_warn("log_trash", "folder_kept", KV_STR("folder", path), KV_ERR(r));
    }
    mem_free(path);
    return r < 0 ? err_forward(r) : 0;
}

/* One sync for all of them. */
static int remove_dropped(struct sweep *s)
{
    int r = s->dropped.n > 0 ? log_trash_sync(s->d) : 0;

    for (size_t i = 0; i < s->dropped.n; i++) {
        r = r >= 0 ? log_trash_folder_remove(s->d, s->dropped.items[i]) : r; /* else the next one */
        mem_free(s->dropped.items[i]);
    }
    array_deinit(&s->dropped);
    return r < 0 ? err_forward(r) : 0;
}

int log_trash_sweep(struct log_dir *d, const struct log_trash_judge *judge)
{
    struct log_trash_folders list = {0};
    struct sweep s = {.d = d, .judge = judge};
    int first_error =
            log_trash_sync(d); /* Of what is removed not even its old name may come back. */
    int r;

    if (first_error >= 0) {
        first_error = log_trash_folders_list(d, &list);
    }
    for (size_t i = 0; i < list.folders.n; i++) {
        r = sweep_folder(&s, &list.folders.items[i]);
        first_error = first_error < 0 ? first_error : r;
    }
    log_trash_folders_deinit(&list);
    r = remove_dropped(&s);
    first_error = first_error < 0 ? first_error : r;
    return first_error < 0 ? err_forward(first_error) : s.is_any_named ? LOG_TRASH_E_NAMED : 0;
}
