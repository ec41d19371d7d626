/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/recover.h"

#include "common/base/mem.h"

/* How much of a log is to be scanned, told before: for who waits. */

struct bases {
    ARRAY(offset64) all;
};

static void collect_log(void *arg, const char *name, bool is_dir)
{
    struct bases *bases = arg;
    offset64 base = 0;

    if (!is_dir && segment_name_parse(name, ".log", &base)) {
        *array_push(&bases->all) = base;
    }
}

/* The segment that holds the recovery point: the last that begins at or below it, else the
 * first. */
static offset64 find_first(const offset64 *bases, size_t n, offset64 recovery_point)
{
    offset64 first = bases[0];

    for (size_t i = 1; i < n; i++) {
        bool is_below = bases[i] <= recovery_point;
        if (first <= recovery_point ? is_below && bases[i] > first : bases[i] < first) {
            first = bases[i];
        }
    }
    return first;
}

/* Where in its segment the scan begins, as recovery_take_scanned() looks for it. */
static int64_t find_begin(const struct log_dir *dir,
        struct file_cache *files,
        const char *path,
        offset64 base,
        offset64 recovery_point)
{
    const struct file_io *io = log_dir_io(dir);
    struct index_entry e = {0};
    struct segment s;

    if (log_dir_crash_kind(dir) == CRASH_HOST || recovery_point <= base) {
        return 0;
    }
    segment_init(&s, files, path, base);
    int64_t size = io->size_of(io->ctx, cached_file_path(s.index.file));
    offset64 delta = recovery_point - 1 - base;
    s.index.n = size > 0 ? (uint32_t)(size / INDEX_ENTRY_SIZE) : 0;
    int r = offset_index_floor(
            io, &s.index, delta > UINT32_MAX ? UINT32_MAX : (uint32_t)delta, UINT32_MAX, &e, NULL);
    segment_deinit(&s);
    return r < 0 ? 0 : e.at;
}

static int64_t size_from(
        const struct file_io *io, const char *path, const offset64 *bases, size_t n, offset64 first)
{
    int64_t sum = 0;

    for (size_t i = 0; i < n; i++) {
        if (bases[i] >= first) {
            char *file = segment_path(path, bases[i], ".log");
            int64_t size = io->size_of(io->ctx, file);
            sum += size > 0 ? size : 0;
            mem_free(file);
        }
    }
    return sum;
}

int64_t plog_scan_size(struct log_dir *dir,
        struct file_cache *files,
        const char *folder,
        const struct uuid *topic_id,
        int32_t partition)
{
    const struct file_io *io = log_dir_io(dir);
    struct checkpoint_entry checkpoint = {0};
    struct bases bases = {0};
    char *path = mem_format("%s/%s", log_dir_path(dir), folder);
    int64_t size = 0;

    (void)log_dir_checkpoint(dir, topic_id, partition, &checkpoint); /* else all 0 */
    if (io->list(io->ctx, path, collect_log, &bases) >= 0 && bases.all.n > 0) {
        offset64 first = find_first(bases.all.items, bases.all.n, checkpoint.recovery_point);
        size = size_from(io, path, bases.all.items, bases.all.n, first) -
               find_begin(dir, files, path, first, checkpoint.recovery_point);
    }
    array_deinit(&bases.all);
    mem_free(path);
    return size > 0 ? size : 0;
}
