/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/plog_impl.h"
#include "broker/log/plog_replay.h"
#include "common/base/mem.h"
#include "common/obs/log.h"

#include <errno.h>
#include <inttypes.h>

/* `l->snapshots` has the offsets of the files, rising; recovery lists them. */

static char *file_of(const struct plog *l, offset64 offset)
{
    return mem_format("%s/%s/%020" PRId64 ".snapshot", log_dir_path(l->dir), l->folder, offset);
}

bool plog_snapshot_begin(struct plog *l)
{
    if (l->is_truncating || l->is_saving) {
        return false;
    }
    l->is_saving = true;
    return true;
}

void plog_snapshot_end(struct plog *l)
{
    must(l->is_saving);
    l->is_saving = false;
}

int plog_snapshot_write(struct plog *l, offset64 offset, const void *bytes, size_t size)
{
    if (log_dir_failed(l->dir)) {
        return err_origin(-EIO);
    }
    char *path = file_of(l, offset);
    int r = durable_write(l->io, path, bytes, size);

    mem_free(path);
    return r < 0 ? plog_outcome(l, r, "a snapshot could not be written") : 0;
}

/* Index of the first one above `offset`. */
static size_t upper_bound(const struct plog *l, offset64 offset)
{
    size_t i = l->snapshots.n;

    while (i > 0 && l->snapshots.items[i - 1] > offset) {
        i--;
    }
    return i;
}

static int remove_file(struct plog *l, offset64 offset)
{
    char *path = file_of(l, offset);
    int r = l->io->unlink(l->io->ctx, path);

    mem_free(path);
    return r < 0 && r != -ENOENT ? err_forward(r) : 0;
}

int plog_snapshot_written(struct plog *l, offset64 offset, size_t keep)
{
    size_t i = upper_bound(l, offset);
    int r = 0;

    if (i == 0 || l->snapshots.items[i - 1] != offset) {
        *array_insert(&l->snapshots, i) = offset;
    }
    while (l->snapshots.n > keep &&
            r >= 0) { /* [PID-34] One that comes back with the power off does no harm. */
        r = remove_file(l, l->snapshots.items[0]);
        if (r >= 0) {
            array_remove(&l->snapshots, (size_t)0);
        }
    }
    return r < 0 ? plog_outcome(l, r, "an old snapshot could not be removed") : 0;
}

int plog_snapshot_drop(struct plog *l, offset64 offset)
{
    size_t i = upper_bound(l, offset);
    int r = remove_file(l, offset);

    if (i > 0 && l->snapshots.items[i - 1] == offset) {
        array_remove(&l->snapshots, i - 1);
    }
    return r < 0 ? plog_outcome(l, r, "a snapshot could not be removed") : 0;
}

int plog_snapshot_newest(struct plog *l,
        offset64 at_most,
        offset64 *ret_offset,
        uint8_t **ret_bytes,
        size_t *ret_size)
{
    for (size_t i = upper_bound(l, at_most); i > 0; i--) {
        char *path = file_of(l, l->snapshots.items[i - 1]);
        int r = file_read_all(l->io, path, PLOG_SNAPSHOT_SIZE_MAX, ret_bytes, ret_size);
        mem_free(path);
        if (r >= 0) {
            *ret_offset = l->snapshots.items[i - 1];
            return 0;
        }
        if (r != -ENOENT && r != -EFBIG) {
            return plog_outcome(l, r, "a snapshot could not be read");
        }
    }
    return PLOG_E_NOT_FOUND;
}

int plog_snapshot_remove_above(struct plog *l, offset64 end)
{
    size_t kept = upper_bound(l, end);
    int r = 0;

    if (kept == l->snapshots.n) {
        return 0;
    }
    while (l->snapshots.n > kept && r >= 0) {
        offset64 offset = l->snapshots.items[l->snapshots.n - 1];
        log_info("plog", "snapshot_above_the_end", KV_STR("folder", l->folder),
                KV_I64("offset", offset), KV_I64("end", end));
        r = remove_file(l, offset);
        if (r >= 0) {
            array_remove(&l->snapshots, l->snapshots.n - 1);
        }
    }
    if (r >= 0) { /* [PID-33] Else the power brings it back when the log has grown over it. */
        char *path = plog_path(l);
        r = l->io->sync_dir(l->io->ctx, path);
        mem_free(path);
    }
    return r < 0 ? plog_outcome(l, r, "a snapshot of cut records could not be removed") : 0;
}
