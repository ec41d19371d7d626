/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/log_trash_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Folders in .trash: their names, and what is done to one. */

/* --- Names ------------------------------------------------------------------------------------ */

static bool parse_folder(const char *name, struct log_trash_folder *ret)
{
    char id[UUID_TEXT_SIZE];
    char *end = NULL;
    size_t size = strlen(name);

    if (size < UUID_TEXT_SIZE + 1 || name[UUID_TEXT_SIZE - 1] != '-') {
        return false;
    }
    memcpy(id, name, UUID_TEXT_SIZE - 1);
    id[UUID_TEXT_SIZE - 1] = '\0';
    const char *number = name + UUID_TEXT_SIZE;
    long long partition = number[0] >= '0' && number[0] <= '9' ? strtoll(number, &end, 10) : -1;

    if (!uuid_parse(id, &ret->topic_id) || partition < 0 || partition > INT32_MAX) {
        return false;
    }
    ret->partition = (int32_t)partition;
    ret->kind = *end == '\0'                                 ? LOG_TRASH_FOLDER_KEPT
                : strcmp(end, LOG_TRASH_EMPTIED_SUFFIX) == 0 ? LOG_TRASH_FOLDER_EMPTIED
                : strncmp(end, LOG_TRASH_DROPPED_SUFFIX, strlen(LOG_TRASH_DROPPED_SUFFIX)) == 0
                        ? LOG_TRASH_FOLDER_DROPPED
                        : LOG_TRASH_FOLDER_OLDER;
    return *end == '\0' || *end == '.';
}

static void collect_folder(void *arg, const char *name, bool is_dir)
{
    struct log_trash_folders *list = arg;
    struct log_trash_folder f = {0};

    if (is_dir && parse_folder(name, &f)) {
        f.name = mem_strdup(name);
        *array_push(&list->folders) = f;
    }
}

void log_trash_folders_deinit(struct log_trash_folders *list)
{
    ARRAY_FOREACH (f, &list->folders) {
        mem_free(f->name);
    }
    array_deinit(&list->folders);
}

int log_trash_folders_list(const struct log_dir *d, struct log_trash_folders *list)
{
    char *trash = log_dir_file(d, ".trash");
    int r = d->io->list(d->io->ctx, trash, collect_folder, list);

    mem_free(trash);
    return r == -ENOENT ? 0 : r < 0 ? err_forward(r) : 0;
}

char *log_trash_folder_path(
        const struct log_dir *d, const struct uuid *topic_id, int32_t partition, const char *suffix)
{
    char id[UUID_TEXT_SIZE];

    return mem_format("%s/.trash/%s-%d%s", d->path, uuid_format(topic_id, id), partition, suffix);
}

int log_trash_folder_make_way(const struct log_dir *d, const char *path)
{
    int64_t size = d->io->size_of(d->io->ctx, path);

    for (unsigned i = 1; size >= 0; i++) {
        char *older = mem_format("%s.%u", path, i);
        bool is_free = d->io->size_of(d->io->ctx, older) == -ENOENT;
        int r = is_free ? d->io->rename(d->io->ctx, path, older) : 0;
        mem_free(older);
        if (is_free) {
            return r < 0 ? err_forward(r) : 0;
        }
    }
    return size == -ENOENT ? 0 : err_forward((int)size);
}

int log_trash_folder_make_trash(struct log_dir *d)
{
    if (atomic_load(&d->is_trash_made)) {
        return 0;
    }
    char *trash = log_dir_file(d, ".trash");
    int r = durable_mkdir(d->io, trash);

    mem_free(trash);
    atomic_store(&d->is_trash_made, r >= 0);
    /* Only opening the folder to sync it says so: it is there, and the next one syncs it. */
    return r == -EMFILE || r == -ENFILE ? 0 : r < 0 ? err_forward(r) : 0;
}

/* --- Contents --------------------------------------------------------------------------------- */

struct name_list {
    ARRAY(char *) names;
};

static void collect_name(void *arg, const char *name, bool is_dir)
{
    struct name_list *list = arg;

    *array_push(&list->names) = mem_strdup(name);
}

int log_trash_folder_empty(struct log_dir *d, const char *path)
{
    struct name_list list = {0};
    int r = d->io->list(d->io->ctx, path, collect_name, &list);

    for (size_t i = 0; i < list.names.n; i++) {
        char *file = mem_format("%s/%s", path, list.names.items[i]);
        r = r >= 0 ? d->io->unlink(d->io->ctx, file) : r;
        r = r == -ENOENT ? 0 : r;
        mem_free(file);
        mem_free(list.names.items[i]);
    }
    array_deinit(&list.names);
    return r < 0 ? err_forward(r) : 0;
}

int log_trash_folder_remove(struct log_dir *d, const char *path)
{
    int r = log_trash_folder_empty(d, path);

    if (r >= 0) {
        r = d->io->rmdir(d->io->ctx, path);
    }
    return r < 0 ? err_forward(r) : 0;
}

int64_t log_trash_folder_measure(const struct log_dir *d, const char *path)
{
    struct name_list list = {0};
    int64_t bytes = 0;

    if (d->io->list(d->io->ctx, path, collect_name, &list) < 0) {
        bytes = -1;
    }
    for (size_t i = 0; i < list.names.n; i++) {
        char *file = mem_format("%s/%s", path, list.names.items[i]);
        int64_t size = d->io->size_of(d->io->ctx, file);
        bytes += size > 0 && bytes >= 0 ? size : 0;
        mem_free(file);
        mem_free(list.names.items[i]);
    }
    array_deinit(&list.names);
    return bytes;
}
