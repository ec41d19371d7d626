/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/offset_index.h"

#include "common/base/bytes.h"
#include "common/base/must.h"

#include <errno.h>
#include <fcntl.h>

enum {
    ENTRIES_A_READ = 512
};

static struct index_entry entry_at(const uint8_t *p)
{
    return (struct index_entry){.delta = load_be32(p), .at = load_be32(p + 4)};
}

/* Reads entries [first, first + n) into `bytes`; fewer in the file than counted is an error of the
 * disk's. */
static int read_entries(
        const struct file_io *io, int fd, uint32_t first, uint32_t n, uint8_t *bytes)
{
    size_t size = (size_t)n * INDEX_ENTRY_SIZE;
    int64_t got = io->pread(io->ctx, fd, bytes, size, (int64_t)first * INDEX_ENTRY_SIZE);

    if (got < 0) {
        return err_forward((int)got);
    }
    return (size_t)got == size ? 0 : err_origin(-EIO);
}

static bool is_within(struct index_entry e, uint32_t delta_max, uint32_t at_max)
{
    return e.delta <= delta_max && e.at <= at_max;
}

/* Both columns rise, so "within" is true for a first part of the entries: `low` of them are known
 * to be within, those from `high` on are not. Halves until the rest fits in one read. */
static int search(const struct file_io *io,
        int fd,
        uint32_t n,
        uint32_t delta_max,
        uint32_t at_max,
        struct index_entry *ret,
        uint32_t *ret_n)
{
    uint8_t bytes[ENTRIES_A_READ * INDEX_ENTRY_SIZE];
    struct index_entry best = {0};
    uint32_t low = 0, high = n;

    while (high - low > ENTRIES_A_READ) {
        uint32_t mid = low + (high - low) / 2;
        int r = read_entries(io, fd, mid, 1, bytes);
        if (r < 0) {
            return err_forward(r);
        }
        struct index_entry e = entry_at(bytes);
        if (is_within(e, delta_max, at_max)) {
            best = e;
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    if (high > low) {
        int r = read_entries(io, fd, low, high - low, bytes);
        if (r < 0) {
            return err_forward(r);
        }
    }
    uint32_t first = low;
    for (; low < high; low++) {
        struct index_entry e = entry_at(bytes + (size_t)(low - first) * INDEX_ENTRY_SIZE);
        if (!is_within(e, delta_max, at_max)) {
            break;
        }
        best = e;
    }
    *ret = best;
    *ret_n = low;
    return 0;
}

int offset_index_floor(const struct file_io *io,
        const struct offset_index *x,
        uint32_t delta_max,
        uint32_t at_max,
        struct index_entry *ret,
        uint32_t *ret_n)
{
    struct index_entry best = {0};
    uint32_t n = 0;
    int fd = -1;

    if (x->n > 0) {
        int r = cached_file_hold(x->file, &fd);
        if (r < 0) {
            return err_forward(r);
        }
        r = search(io, fd, x->n, delta_max, at_max, &best, &n);
        cached_file_release(x->file);
        if (r < 0) {
            return err_forward(r);
        }
    }
    *ret = best;
    if (ret_n != NULL) {
        *ret_n = n;
    }
    return 0;
}

int offset_index_add(const struct file_io *io, struct offset_index *x, struct index_entry e)
{
    uint8_t bytes[INDEX_ENTRY_SIZE];
    int fd = -1;

    if (x->is_broken) {
        return 0;
    }
    store_be32(bytes, e.delta);
    store_be32(bytes + 4, e.at);
    int r = cached_file_hold(x->file, &fd);
    if (r < 0) {
        return err_forward(r);
    }
    r = file_write_all(io, fd, bytes, sizeof(bytes), (int64_t)x->n * INDEX_ENTRY_SIZE);
    cached_file_release(x->file);
    if (r == -ENOSPC || r == -EDQUOT) {
        /* Half an entry may stand there. It is not counted, and recovery sees the odd size. */
        x->is_broken = true;
        return 0;
    }
    if (r < 0) {
        return err_forward(r);
    }
    x->n++;
    return 0;
}

static int create_missing(const struct file_io *io, struct offset_index *x)
{
    int fd = io->open(io->ctx, cached_file_path(x->file), O_RDWR | O_CREAT);

    if (fd >= 0) {
        (void)io->close(io->ctx, fd); /* nothing was written through it */
    }
    if (fd == -ENOSPC || fd == -EDQUOT) {
        x->is_broken = true; /* a full disk must not keep a broker from starting */
        return 0;
    }
    return fd < 0 ? err_forward(fd) : 0;
}

int offset_index_replace(
        const struct file_io *io, struct offset_index *x, const uint8_t *bytes, uint32_t n)
{
    size_t size = (size_t)n * INDEX_ENTRY_SIZE;
    int fd = -1;
    int r = cached_file_hold(x->file, &fd);

    if (r == -ENOENT) {
        r = create_missing(io, x);
        r = r >= 0 ? cached_file_hold(x->file, &fd) : r;
    }
    if (r < 0) {
        return err_forward(r);
    }
    r = file_write_all(io, fd, bytes, size, 0);
    if (r >= 0) {
        r = io->truncate(io->ctx, fd, (int64_t)size);
    }
    cached_file_release(x->file);
    if (r == -ENOSPC || r == -EDQUOT) {
        x->is_broken = true;
        x->n = 0;
        return 0;
    }
    if (r < 0) {
        return err_forward(r);
    }
    x->n = n;
    return 0;
}

int offset_index_cut(const struct file_io *io, struct offset_index *x, uint32_t n)
{
    int fd = -1;

    if (x->file == NULL || x->is_broken) {
        x->n = n < x->n ? n : x->n;
        return 0;
    }
    int r = cached_file_hold(x->file, &fd);
    if (r < 0) {
        return err_forward(r);
    }
    r = io->truncate(io->ctx, fd, (int64_t)n * INDEX_ENTRY_SIZE);
    cached_file_release(x->file);
    if (r < 0) {
        return err_forward(r);
    }
    x->n = n;
    return 0;
}

/* Whether entries rise and stay below `segment_size`; looks at those from `first` on. */
static int check_entries(const struct file_io *io,
        int fd,
        uint32_t first,
        uint32_t n,
        int64_t segment_size,
        bool *ret_sound)
{
    uint8_t bytes[ENTRIES_A_READ * INDEX_ENTRY_SIZE];
    struct index_entry before = {0};

    for (uint32_t i = first; i < n; i += ENTRIES_A_READ) {
        uint32_t part = n - i < ENTRIES_A_READ ? n - i : ENTRIES_A_READ;
        int r = read_entries(io, fd, i, part, bytes);
        if (r < 0) {
            return err_forward(r);
        }
        for (uint32_t k = 0; k < part; k++) {
            struct index_entry e = entry_at(bytes + (size_t)k * INDEX_ENTRY_SIZE);
            if (e.delta <= before.delta || e.at <= before.at || e.at >= segment_size) {
                *ret_sound = false;
                return 0;
            }
            before = e;
        }
    }
    *ret_sound = true;
    return 0;
}

int offset_index_open(const struct file_io *io,
        struct offset_index *x,
        int64_t segment_size,
        bool is_thorough,
        bool *ret_sound)
{
    int fd = -1;
    bool sound = false;
    int r = cached_file_hold(x->file, &fd);

    x->n = 0;
    x->is_broken = false;
    if (r == -ENOENT) {
        r = create_missing(io, x);
        *ret_sound = false;
        return r < 0 ? err_forward(r) : 0;
    }
    if (r < 0) {
        return err_forward(r);
    }
    int64_t size = io->size(io->ctx, fd);
    r = size < 0 ? (int)size : 0;
    if (size >= 0 && size % INDEX_ENTRY_SIZE == 0 && size / INDEX_ENTRY_SIZE <= UINT32_MAX) {
        uint32_t n = (uint32_t)(size / INDEX_ENTRY_SIZE);
        r = check_entries(io, fd, is_thorough || n == 0 ? 0 : n - 1, n, segment_size, &sound);
        x->n = r >= 0 && sound ? n : 0;
    }
    cached_file_release(x->file);
    if (r < 0) {
        return err_forward(r);
    }
    *ret_sound = sound;
    return 0;
}
