/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/log_trash_impl.h"

#include "broker/log/partition_identity.h"
#include "common/base/map.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Bytes of the key; no padding, so that it can be hashed as memory. */
struct trash_key {
    struct uuid topic_id;
    int32_t partition;
};

struct trash_entry {
    struct trash_key key;
    UT_hash_handle hh;
    enum log_trash_state state; /* never LEAVING: that is counted */
    uint32_t n_leaving;         /* logs of it on their way out of a folder */
    bool is_busy;               /* somebody works on its folder */
    bool has_checkpoint;
    /* It is to be removed: checkpoint files are written without it, and the present one is. */
    bool is_forgotten, is_removable;
    struct checkpoint_entry checkpoint;
    int64_t bytes; /* -1 = not measured */
};

/* A folder that logs are on their way out of. */
struct trash_source {
    char *folder;
    uint32_t n;
    UT_hash_handle hh;
};

struct log_trash {
    pthread_mutex_t lock;
    struct trash_entry *entries;
    struct trash_source *sources;
    struct checkpoint_entry *written; /* in the checkpoint file, sorted */
    size_t n_written;
};

/* --- The table -------------------------------------------------------------------------------- */
static struct trash_entry *find(
        const struct log_trash *t, const struct uuid *topic_id, int32_t partition)
{
    struct trash_key key = {.topic_id = *topic_id, .partition = partition};
    struct trash_entry *e = NULL;

    HASH_FIND(hh, t->entries, &key, sizeof(key), e);
    return e;
}

static struct trash_entry *find_or_add(
        struct log_trash *t, const struct uuid *topic_id, int32_t partition)
{
    struct trash_entry *e = find(t, topic_id, partition);

    if (e == NULL) {
        e = mem_new(struct trash_entry);
        e->key = (struct trash_key){.topic_id = *topic_id, .partition = partition};
        e->bytes = -1;
        HASH_ADD(hh, t->entries, key, sizeof(e->key), e);
    }
    return e;
}

static void drop(struct log_trash *t, struct trash_entry *e)
{
    HASH_DEL(t->entries, e);
    mem_free(e);
}

static struct trash_source *find_source(const struct log_trash *t, const char *folder)
{
    struct trash_source *source = NULL;

    HASH_FIND_STR(t->sources, folder, source);
    return source;
}

static void add_source(struct log_trash *t, const char *folder)
{
    struct trash_source *source = find_source(t, folder);

    if (source == NULL) {
        source = mem_new(struct trash_source);
        source->folder = mem_strdup(folder);
        HASH_ADD_KEYPTR(hh, t->sources, source->folder, strlen(source->folder), source);
    }
    source->n++;
}

static void drop_source(struct log_trash *t, struct trash_source *source)
{
    HASH_DEL(t->sources, source);
    mem_free(source->folder);
    mem_free(source);
}

static struct log_trash *lock(const struct log_dir *d)
{
    (void)pthread_mutex_lock(&d->trash->lock);
    return d->trash;
}

static void unlock(struct log_trash *t)
{
    (void)pthread_mutex_unlock(&t->lock);
}

/* --- Life ------------------------------------------------------------------------------------- */
int log_trash_read(struct log_dir *d)
{
    struct log_trash_folders list = {0};
    int r = log_trash_folders_list(d, &list);

    d->trash = mem_new(struct log_trash);
    must(pthread_mutex_init(&d->trash->lock, NULL) == 0);
    log_trash_asides_init(d);
    ARRAY_FOREACH (f, &list.folders) {
        if (f->kind == LOG_TRASH_FOLDER_OLDER || f->kind == LOG_TRASH_FOLDER_DROPPED) {
            continue;
        }
        struct trash_entry *e = find_or_add(d->trash, &f->topic_id, f->partition);
        e->state = f->kind == LOG_TRASH_FOLDER_KEPT ? LOG_TRASH_KEPT : LOG_TRASH_EMPTIED;
        e->has_checkpoint =
                log_dir_checkpoint(d, &f->topic_id, f->partition, &e->checkpoint); /* of the file */
    }
    log_trash_folders_deinit(&list);
    log_trash_remember(d, d->checkpoints, d->n_checkpoints);
    return r < 0 ? err_forward(r) : 0;
}

void log_trash_close(struct log_dir *d)
{
    struct log_trash *t = d->trash;

    if (t == NULL) {
        return;
    }
    log_trash_asides_deinit(d);
    while (t->entries != NULL) {
        drop(t, t->entries);
    }
    while (t->sources != NULL) {
        drop_source(t, t->sources);
    }
    mem_free(t->written);
    (void)pthread_mutex_destroy(&t->lock);
    d->trash = mem_free(t);
}

/* --- On the way in ---------------------------------------------------------------------------- */
void log_trash_begin(
        struct log_dir *d, const struct uuid *topic_id, int32_t partition, const char *folder)
{
    struct log_trash *t = lock(d);

    find_or_add(t, topic_id, partition)->n_leaving++;
    add_source(t, folder);
    unlock(t);
}

void log_trash_note(struct log_dir *d, const struct checkpoint_entry *checkpoint)
{
    struct log_trash *t = lock(d);
    struct trash_entry *e = find_or_add(t, &checkpoint->topic_id, checkpoint->partition);

    e->has_checkpoint = true;
    e->is_forgotten = e->is_removable = false;
    e->checkpoint = *checkpoint;
    unlock(t);
}

static int move(struct log_dir *d, const char *from, const struct uuid *topic_id, int32_t partition)
{
    char *to = log_trash_folder_path(d, topic_id, partition, "");
    int r = log_trash_folder_make_trash(d);

    if (r >= 0) {
        r = log_trash_folder_make_way(d, to);
    }
    if (r >= 0) {
        atomic_store(&d->is_trash_unsynced, true);
        r = d->io->rename(d->io->ctx, from, to);
    }
    mem_free(to);
    log_trash_asides_changed(d); /* an older one has made way, perhaps */
    if (r >= 0) {
        struct log_trash *t = lock(d);
        struct trash_entry *e = find_or_add(t, topic_id, partition);
        e->state = LOG_TRASH_KEPT;
        e->is_forgotten = e->is_removable = false;
        e->bytes = -1;
        unlock(t);
    }
    return r < 0 ? err_forward(r) : 0;
}

int log_trash_move(
        struct log_dir *d, const char *folder, const struct uuid *topic_id, int32_t partition)
{
    char *from = log_dir_file(d, folder);
    int r = log_dir_failed(d) ? err_origin(-EIO) : move(d, from, topic_id, partition);

    mem_free(from);
    if (r < 0 && !log_dir_is_scarce(r)) {
        log_dir_fail(d, r, "a deleted log could not be moved to .trash");
    }
    return r < 0 ? err_forward(r) : 0;
}

/* [BRK-10] Whose folder it is comes before touching it. */
int log_trash_move_found(
        struct log_dir *d, const char *folder, const struct uuid *topic_id, int32_t partition)
{
    struct partition_identity p = {0};
    char *from = log_dir_file(d, folder);
    int r = partition_identity_read(d->io, from, &p);

    mem_free(from);
    if (r != 0 || !uuid_equal(&p.topic_id, topic_id) || p.partition != partition) {
        return r < 0 ? err_forward(r) : 0;
    }
    r = log_trash_move(d, folder, topic_id, partition);
    return r < 0 ? err_forward(r) : 0;
}

void log_trash_left(struct log_dir *d,
        const struct uuid *topic_id,
        int32_t partition,
        const char *folder,
        bool has_failed)
{
    struct log_trash *t = lock(d);
    struct trash_source *source = find_source(t, folder);
    struct trash_entry *e = find(t, topic_id, partition);

    must(e != NULL && e->n_leaving > 0 && source != NULL);
    if (--source->n == 0) {
        drop_source(t, source);
    }
    bool is_last = --e->n_leaving == 0 && !e->is_busy;
    bool is_nothing =
            is_last && !has_failed && (e->state == LOG_TRASH_NONE || e->state == LOG_TRASH_BACK);

    if (is_nothing || (is_last && e->state == LOG_TRASH_NONE)) {
        drop(t, e);
    }
    unlock(t);
    if (is_nothing) { /* [TRS-9] What is gone is not missed when the partition comes back. */
        checkpoints_forget(d, topic_id, partition);
    }
}

/* Once for all moves so far: with thousands of logs a sync for each is what takes the time. */
int log_trash_sync(struct log_dir *d)
{
    int r = 0;

    if (!atomic_exchange(&d->is_trash_unsynced, false)) {
        return 0;
    }
    char *trash = log_dir_file(d, ".trash");

    r = d->io->sync_dir(d->io->ctx, trash);
    mem_free(trash);
    if (r == -ENOENT) {
        return 0; /* nothing was ever trashed here */
    }
    if (r >= 0) {
        r = d->io->sync_dir(d->io->ctx, d->path);
    }
    if (r == -EMFILE || r == -ENFILE) { /* Only opening says so: no sync has failed. */
        atomic_store(&d->is_trash_unsynced, true);
    } else if (r < 0) {
        log_dir_fail(d, r, "moves to .trash could not be synced");
    }
    return r < 0 ? err_forward(r) : 0;
}

/* --- Queries ---------------------------------------------------------------------------------- */
enum log_trash_state log_trash_look(
        const struct log_dir *d, const struct uuid *topic_id, int32_t partition)
{
    struct log_trash *t = lock(d);
    const struct trash_entry *e = find(t, topic_id, partition);
    enum log_trash_state state = e == NULL          ? LOG_TRASH_NONE
                                 : e->n_leaving > 0 ? LOG_TRASH_LEAVING
                                                    : e->state;
    unlock(t);
    return state;
}

bool log_trash_is_leaving(const struct log_dir *d, const char *folder)
{
    struct log_trash *t = lock(d);
    bool found = folder == NULL ? t->sources != NULL : find_source(t, folder) != NULL;

    unlock(t);
    return found;
}

/* [TRS-9] What is known of a log that has only begun to leave. */
static bool find_written(
        const struct log_trash *t, const struct trash_entry *e, struct checkpoint_entry *ret)
{
    const struct checkpoint_entry key = {
            .topic_id = e->key.topic_id, .partition = e->key.partition};
    const struct checkpoint_entry *found =
            t->n_written > 0
                    ? bsearch(&key, t->written, t->n_written, sizeof(key), log_dir_compare_entries)
                    : NULL;

    if (found != NULL) {
        *ret = *found;
    }
    return found != NULL;
}

bool log_trash_remember(struct log_dir *d, const struct checkpoint_entry *entries, size_t n)
{
    struct checkpoint_entry *copy = mem_new_n(struct checkpoint_entry, n + 1);
    struct checkpoint_entry ignored;
    bool is_any_removable = false;
    struct log_trash *t;

    if (n > 0) {
        memcpy(copy, entries, n * sizeof(*entries));
    }
    t = lock(d);
    mem_free(t->written);
    t->written = copy;
    t->n_written = n;
    for (struct trash_entry *e = t->entries; e != NULL; e = e->hh.next) {
        e->is_removable = e->is_forgotten && !find_written(t, e, &ignored);
        is_any_removable = is_any_removable || e->is_removable;
    }
    unlock(t);
    return is_any_removable;
}

struct checkpoint_entry *log_trash_add_checkpoints(
        const struct log_dir *d, struct checkpoint_entry *entries, size_t *n)
{
    struct log_trash *t = lock(d);
    size_t n_all = *n, kept = 0;

    entries = mem_resize(entries, n_all + HASH_COUNT(t->entries) + 1, sizeof(*entries));
    for (const struct trash_entry *e = t->entries; e != NULL; e = e->hh.next) {
        if (e->is_forgotten) {
            continue;
        }
        if (e->has_checkpoint && e->state != LOG_TRASH_BACK) {
            entries[n_all++] = e->checkpoint;
        } else if (e->n_leaving > 0 && !e->has_checkpoint) {
            n_all += find_written(t, e, &entries[n_all]) ? 1 : 0;
        }
    }
    unlock(t);
    qsort(entries, n_all, sizeof(*entries), log_dir_compare_entries);
    /* [TRS-9] A log that is about to come back is known in both places, as the same. */
    for (size_t i = 0; i < n_all; i++) {
        if (kept == 0 || log_dir_compare_entries(&entries[kept - 1], &entries[i]) != 0) {
            entries[kept++] = entries[i];
        }
    }
    *n = kept;
    return entries;
}

/* [TRS-9] Of a log that came back in this run; the files of the last run know less of it. */
bool log_trash_checkpoint(const struct log_dir *d,
        const struct uuid *topic_id,
        int32_t partition,
        struct checkpoint_entry *ret)
{
    if (d->trash == NULL) {
        return false;
    }
    struct log_trash *t = lock(d);
    const struct trash_entry *e = find(t, topic_id, partition);
    bool has = e != NULL && e->has_checkpoint && !e->is_forgotten;

    if (has) {
        *ret = e->checkpoint;
    }
    unlock(t);
    return has;
}

/* --- Claims: one at a time works on a folder -------------------------------------------------- */
int log_trash_claim(struct log_dir *d, const struct uuid *topic_id, int32_t partition)
{
    struct log_trash *t = lock(d);
    struct trash_entry *e = find(t, topic_id, partition);
    int r = e == NULL                        ? LOG_TRASH_E_ABSENT
            : e->n_leaving > 0 || e->is_busy ? LOG_TRASH_E_BUSY
            : e->state == LOG_TRASH_EMPTIED  ? LOG_TRASH_E_EMPTIED
            : e->state != LOG_TRASH_KEPT     ? LOG_TRASH_E_ABSENT
                                             : 0;
    if (r == 0) {
        e->is_busy = true;
    }
    unlock(t);
    return r;
}

void log_trash_unclaim(struct log_dir *d,
        const struct uuid *topic_id,
        int32_t partition,
        enum log_trash_state state)
{
    struct log_trash *t = lock(d);
    struct trash_entry *e = find(t, topic_id, partition);

    must(e != NULL && e->is_busy);
    e->is_busy = false;
    e->state = state;
    if (state == LOG_TRASH_BACK || state == LOG_TRASH_NONE) {
        e->has_checkpoint = e->has_checkpoint && state == LOG_TRASH_BACK;
        e->is_forgotten = e->is_removable = false;
    }
    e->bytes = state == LOG_TRASH_EMPTIED ? 0 : e->bytes;
    if (state == LOG_TRASH_NONE && e->n_leaving == 0) {
        drop(t, e);
    }
    unlock(t);
}

/* --- Back ------------------------------------------------------------------------------------- */
/* [TRS-8] The new name goes into the folder first: until the rename it is just trash with a note of another name. */
static int bring_back(struct log_dir *d,
        const char *from,
        const char *to,
        const char *topic,
        const struct partition_identity *p)
{
    char *note = mem_format("%s/%s", from, LOG_TRASH_UNNAMED_NOTE);
    int r = partition_identity_write(d->io, from, topic, p);

    if (r >= 0) {
        (void)d->io->unlink(d->io->ctx, note); /* a log does not mind it */
        r = durable_rename(d->io, from, to);
    }
    mem_free(note);
    return r < 0 ? err_forward(r) : 0;
}

int log_trash_restore(
        struct log_dir *d, const struct uuid *topic_id, int32_t partition, const char *topic)
{
    const struct partition_identity p = {.topic_id = *topic_id, .partition = partition};
    int r = log_trash_claim(d, topic_id, partition);

    if (r != 0) {
        return r;
    }
    char *from = log_trash_folder_path(d, topic_id, partition, "");
    char *to = mem_format("%s/%s-%d", d->path, topic, partition);

    r = log_dir_failed(d) ? err_origin(-EIO) : bring_back(d, from, to, topic, &p);
    mem_free(to);
    mem_free(from);
    log_trash_unclaim(d, topic_id, partition, r == 0 ? LOG_TRASH_BACK : LOG_TRASH_KEPT);
    if (r == -ENOTEMPTY || r == -EEXIST) {
        return LOG_TRASH_E_TAKEN;
    }
    if (r < 0 && !log_dir_is_scarce(r) && r != -ENOSPC && r != -EDQUOT) {
        log_dir_fail(d, r, "a log could not be brought back from .trash");
    }
    return r < 0 ? err_forward(r) : 0;
}

/* --- Out -------------------------------------------------------------------------------------- */
/* [TRS-12] The name says that it is empty before it is, on the disk too: a power failure may not leave half a log under
 * a name that promises a whole one. */
int log_trash_empty(struct log_dir *d, const struct uuid *topic_id, int32_t partition)
{
    int r = log_trash_claim(d, topic_id, partition);

    if (r != 0) {
        return 0;
    }
    char *from = log_trash_folder_path(d, topic_id, partition, "");
    char *to = log_trash_folder_path(d, topic_id, partition, LOG_TRASH_EMPTIED_SUFFIX);
    enum log_trash_state state = LOG_TRASH_KEPT;

    r = log_dir_failed(d) ? err_origin(-EIO) : durable_rename(d->io, from, to);
    if (r >= 0) {
        state = LOG_TRASH_EMPTIED;
        r = log_trash_folder_empty(d, to);
    }
    mem_free(to);
    mem_free(from);
    log_trash_unclaim(d, topic_id, partition, state);
    return r < 0 ? err_forward(r) : 0;
}

bool log_trash_forget(struct log_dir *d, const struct uuid *topic_id, int32_t partition)
{
    struct log_trash *t = lock(d);
    struct trash_entry *e = find(t, topic_id, partition);
    bool is_removable = e == NULL || e->is_removable;

    if (e != NULL) {
        e->is_forgotten = true;
    }
    unlock(t);
    checkpoints_forget(d, topic_id, partition);
    return is_removable;
}

void log_trash_recall(struct log_dir *d, const struct uuid *topic_id, int32_t partition)
{
    struct log_trash *t = lock(d);
    struct trash_entry *e = find(t, topic_id, partition);

    if (e != NULL) {
        e->is_forgotten = e->is_removable = false;
    }
    unlock(t);
}

void log_trash_emptied_gone(struct log_dir *d, const struct uuid *topic_id, int32_t partition)
{
    struct log_trash *t = lock(d);
    struct trash_entry *e = find(t, topic_id, partition);

    if (e != NULL && e->state == LOG_TRASH_EMPTIED && e->n_leaving == 0) {
        drop(t, e);
    }
    unlock(t);
}

/* --- Listing ---------------------------------------------------------------------------------- */
static void keep_measured(struct log_dir *d, const struct log_trash_item *item)
{
    struct log_trash *t = lock(d);
    struct trash_entry *e = find(t, &item->topic_id, item->partition);

    if (e != NULL && e->state == LOG_TRASH_KEPT) {
        e->bytes = item->bytes;
    }
    unlock(t);
}

struct log_trash_item *log_trash_list(struct log_dir *d, size_t *ret_n)
{
    struct log_trash *t = lock(d);
    struct log_trash_item *items = mem_new_n(struct log_trash_item, HASH_COUNT(t->entries) + 1);
    size_t n = 0;

    for (const struct trash_entry *e = t->entries; e != NULL; e = e->hh.next) {
        if (e->state == LOG_TRASH_KEPT || e->state == LOG_TRASH_EMPTIED) {
            items[n++] = (struct log_trash_item){.topic_id = e->key.topic_id,
                    .partition = e->key.partition,
                    .is_emptied = e->state == LOG_TRASH_EMPTIED,
                    .bytes = e->state == LOG_TRASH_EMPTIED ? 0 : e->bytes};
        }
    }
    unlock(t);
    for (size_t i = 0; i < n; i++) {
        if (items[i].bytes < 0) {
            char *path = log_trash_folder_path(d, &items[i].topic_id, items[i].partition, "");

            items[i].bytes = log_trash_folder_measure(d, path);
            mem_free(path);
            keep_measured(d, &items[i]);
        }
        items[i].bytes = items[i].bytes < 0 ? 0 : items[i].bytes;
    }
    *ret_n = n;
    return items;
}
