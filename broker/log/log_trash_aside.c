/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/log_trash_impl.h"

#include "broker/log/kv_file.h"
#include "broker/log/partition_identity.h"
#include "common/obs/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Folders in .trash that nobody brings back, and how a log that begins anew becomes one. */

#define SINCE_NOTE "aside.since"

/* What of them is known, so that a look costs the disk only after a change. The lock is held while one gets its name or
 * loses it: a name means one folder as long as `are_known`. */
struct log_trash_asides {
    pthread_mutex_t lock;
    bool are_known;
    ARRAY(struct log_trash_aside) items; /* the oldest first */
};

void log_trash_asides_init(struct log_dir *d)
{
    d->asides = mem_new(struct log_trash_asides);
    must(pthread_mutex_init(&d->asides->lock, NULL) == 0);
}

void log_trash_asides_deinit(struct log_dir *d)
{
    array_deinit(&d->asides->items);
    (void)pthread_mutex_destroy(&d->asides->lock);
    d->asides = mem_free(d->asides);
}

void log_trash_asides_changed(struct log_dir *d)
{
    (void)pthread_mutex_lock(&d->asides->lock);
    d->asides->are_known = false;
    (void)pthread_mutex_unlock(&d->asides->lock);
}

/* --- In --------------------------------------------------------------------------------------- */

/* Whose folder it is; one that does not say so is of its name. > 0: TAKEN. */
static int may_put_aside(
        struct log_dir *d, const char *path, const struct uuid *topic_id, int32_t partition)
{
    struct partition_identity p = {0};
    int r = partition_identity_read(d->io, path, &p);

    if (r == 0 && (!uuid_equal(&p.topic_id, topic_id) || p.partition != partition)) {
        return LOG_TRASH_E_TAKEN; /* [BRK-10] */
    }
    return r < 0 && r != -ENOENT ? err_forward(r) : 0;
}

/* Where it cannot be written it counts as the oldest. */
static void note_since(struct log_dir *d, const char *path, wall_ms now)
{
    char *note = mem_format("%s/%s", path, SINCE_NOTE);
    char *lines = mem_format("since=%" PRId64 "\n", now);

    (void)!kv_file_write(d->io, note, lines);
    mem_free(lines);
    mem_free(note);
}

static int rename_aside(struct log_dir *d, const char *from, const char *to)
{
    (void)pthread_mutex_lock(&d->asides->lock);
    d->asides->are_known = false;
    int r = log_trash_folder_make_way(d, to);

    if (r >= 0) {
        r = durable_rename(d->io, from, to);
    }
    (void)pthread_mutex_unlock(&d->asides->lock);
    return r < 0 ? err_forward(r) : 0;
}

static int put_aside(struct log_dir *d, const char *from, const char *to, bool keep, wall_ms now)
{
    int r = log_trash_folder_make_trash(d);

    if (r >= 0) {
        r = rename_aside(d, from, to);
    }
    if (r == -ENOENT) {
        return 0;
    }
    if (r >= 0 && keep) {
        note_since(d, to, now);
        log_warn("log_trash", "log_put_aside", KV_STR("from", from), KV_STR("to", to),
                KV_STR("then", "its replica is filled anew from the leader; this stays until the "
                               "topic is purged"));
    } else if (r >= 0) {
        (void)!log_trash_folder_remove(d, to); /* else the next sweep does it */
    }
    return r < 0 ? err_forward(r) : 0;
}

int log_trash_put_aside(struct log_dir *d,
        const char *folder,
        const struct uuid *topic_id,
        int32_t partition,
        bool keep,
        wall_ms now)
{
    char *from = log_dir_file(d, folder);
    char *to = log_trash_folder_path(
            d, topic_id, partition, keep ? LOG_TRASH_DAMAGED_SUFFIX : LOG_TRASH_DROPPED_SUFFIX);
    int r = log_dir_failed(d) ? err_origin(-EIO) : may_put_aside(d, from, topic_id, partition);

    if (r == 0) {
        r = put_aside(d, from, to, keep, now);
    }
    mem_free(to);
    mem_free(from);
    if (r < 0 && !log_dir_is_scarce(r) && r != -ENOSPC && r != -EDQUOT) {
        log_dir_fail(d, r, "a log that begins anew could not be moved to .trash");
    }
    return r < 0 ? err_forward(r) : r;
}

/* --- Out -------------------------------------------------------------------------------------- */

static int compare_asides(const void *a, const void *b)
{
    const struct log_trash_aside *x = a;
    const struct log_trash_aside *y = b;
    int by_time = (x->since > y->since) - (x->since < y->since);

    return by_time != 0 ? by_time : strcmp(x->name, y->name);
}

static void look_at(struct log_dir *d, const char *name, struct log_trash_aside *ret)
{
    char *path = mem_format("%s/.trash/%s", d->path, name);
    char *note = mem_format("%s/%s", path, SINCE_NOTE);
    struct kv_file f = {0};

    int64_t bytes = log_trash_folder_measure(d, path);

    *ret = (struct log_trash_aside){.bytes = bytes > 0 ? bytes : 0};
    memcpy(ret->name, name, strlen(name) + 1);
    if (kv_file_read(d->io, note, &f) == 0) {
        (void)kv_file_get_i64(&f, "since", &ret->since);
        kv_file_deinit(&f);
    }
    mem_free(note);
    mem_free(path);
}

/* Under the lock. */
static void find_all(struct log_dir *d)
{
    struct log_trash_folders list = {0};
    int r = log_trash_folders_list(d, &list);

    array_clear(&d->asides->items);
    ARRAY_FOREACH (f, &list.folders) {
        if (f->kind == LOG_TRASH_FOLDER_OLDER &&
                strlen(f->name) < sizeof(((struct log_trash_aside *)0)->name)) {
            look_at(d, f->name, array_push(&d->asides->items));
        }
    }
    log_trash_folders_deinit(&list);
    if (d->asides->items.n > 1) {
        qsort(d->asides->items.items, d->asides->items.n, sizeof(struct log_trash_aside),
                compare_asides);
    }
    d->asides->are_known = r == 0;
}

struct log_trash_aside *log_trash_asides(struct log_dir *d, size_t *ret_n)
{
    (void)pthread_mutex_lock(&d->asides->lock);
    if (!d->asides->are_known) {
        find_all(d);
    }
    struct log_trash_aside *all = mem_new_n(struct log_trash_aside, d->asides->items.n + 1);

    for (size_t i = 0; i < d->asides->items.n; i++) {
        all[i] = d->asides->items.items[i];
    }
    *ret_n = d->asides->items.n;
    (void)pthread_mutex_unlock(&d->asides->lock);
    return all;
}

/* -ENOENT: another one has its name by now, or none. */
static int rename_dropped(struct log_dir *d, const char *name, const char *to)
{
    struct log_trash_asides *known = d->asides;
    char *from = mem_format("%s/.trash/%s", d->path, name);
    int r = -ENOENT;

    (void)pthread_mutex_lock(&known->lock);
    for (size_t i = 0; known->are_known && i < known->items.n; i++) {
        if (strcmp(known->items.items[i].name, name) == 0) {
            r = d->io->rename(d->io->ctx, from, to);
            array_remove(&known->items, i);
            known->are_known = r >= 0;
            break;
        }
    }
    (void)pthread_mutex_unlock(&known->lock);
    mem_free(from);
    return r < 0 && r != -ENOENT ? err_forward(r) : r;
}

/* It gets a name first under which the next sweep removes what is left of it after a death. */
int log_trash_remove_aside(struct log_dir *d, const struct log_trash_aside *aside)
{
    char *dropped = mem_format("%s/.trash/%.*s%s", d->path, (int)strcspn(aside->name, "."),
            aside->name, LOG_TRASH_DROPPED_SUFFIX);
    int r = log_dir_failed(d) ? err_origin(-EIO) : log_trash_folder_make_way(d, dropped);

    if (r >= 0) {
        r = rename_dropped(d, aside->name, dropped);
    }
    if (r >= 0) {
        r = log_trash_folder_remove(d, dropped);
    }
    mem_free(dropped);
    return r < 0 && r != -ENOENT ? err_forward(r) : 0;
}
