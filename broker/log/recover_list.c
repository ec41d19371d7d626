/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/recover.h"

#include "common/base/mem.h"

#include <stdlib.h>
#include <string.h>

/* What stands in a log's folder, by name. */

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

int recovery_list_segments(struct plog *l)
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
