/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/log_dir_impl.h"
#include "common/base/mem.h"
#include "common/obs/log.h"

#include <errno.h>
#include <fcntl.h>

/* The free space of a directory's file system, and what is kept back of it:
 *
 *   |<────────────────── file system ──────────────────────>|
 *   | logs, other people's files        | room  |  reserve   |
 *                                       └ appends end here, until it is freed to `above` the reserve
 *   .reserve: a file of real blocks, given up for checkpoints and markers when even the reserve was
 *   used up by others. */

enum {
    SHARE_OF_DISK = 20,       /* the default reserve is a twentieth, */
    FILE_SHARE_OF_DISK = 100, /* its file a hundredth, */
    FILE_SIZE_MAX = 16 * 1024 * 1024,
    ABOVE_SHARE = 2, /* and full ends when half of the reserve is free above it */
    ABOVE_MAX = 64 * 1024 * 1024,
    PARTS_OF_FILE = 4,    /* a file that may be missing takes no more than one of them, */
    ROUNDING = 16 * 1024, /* with what a file system adds: its last block, its name */
    CHUNK = 256 * 1024
};

#define RESERVE_MAX ((uint64_t)1024 * 1024 * 1024)

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t reserve_of(uint64_t total, int64_t wanted)
{
    return wanted >= 0 ? (uint64_t)wanted : least(total / SHARE_OF_DISK, RESERVE_MAX);
}

static int64_t file_size_of(const struct log_dir *d, uint64_t total)
{
    return (int64_t)least(total / FILE_SHARE_OF_DISK, FILE_SIZE_MAX);
}

/* --- The reserve file ------------------------------------------------------------------------- */

static int fill(struct log_dir *d, int fd, int64_t size)
{
    uint8_t *zeros = mem_alloc(CHUNK);
    int r = 0;

    for (int64_t at = 0; at < size && r >= 0; at += CHUNK) {
        size_t part = size - at < CHUNK ? (size_t)(size - at) : CHUNK;
        r = file_write_all(d->io, fd, zeros, part, at);
    }
    mem_free(zeros);
    if (r >= 0) {
        r = d->io->datasync(d->io->ctx, fd);
    } else {
        (void)d->io->truncate(d->io->ctx, fd, 0); /* half of it is of no use to anybody */
    }
    return r < 0 ? err_forward(r) : 0;
}

/* [LOG-123] Makes the file again when it is not whole and there is room for it. */
static int keep_file(struct log_dir *d, uint64_t free_bytes, uint64_t reserve, int64_t size)
{
    if (d->reserve_file_size == size || free_bytes < reserve + (uint64_t)size) {
        return 0;
    }
    char *path = log_dir_file(d, ".reserve");
    int fd = d->io->open(d->io->ctx, path, O_RDWR | O_CREAT);
    int64_t there = fd < 0 ? fd : d->io->size(d->io->ctx, fd);
    int r = there < 0 ? (int)there : there == size ? 0 : d->io->truncate(d->io->ctx, fd, 0);

    if (r >= 0 && there != size) {
        r = fill(d, fd, size);
    }
    if (fd >= 0) {
        (void)d->io->close(d->io->ctx, fd); /* synced; a file of zeros that nobody reads */
    }
    mem_free(path);
    d->reserve_file_size = r >= 0 ? size : 0;
    return r == -ENOSPC || r == -EDQUOT ? 0 : r < 0 ? err_forward(r) : 0;
}

/* Gives `part` of its blocks up, or all when it has no more and `may_be_all`. False: it has none, or
 * not enough. Under reserve_lock. */
static bool give_up_file(struct log_dir *d, int64_t part, bool may_be_all)
{
    char *path = log_dir_file(d, ".reserve");
    int fd = d->io->open(d->io->ctx, path, O_RDWR);
    int64_t size = fd < 0 ? 0 : d->io->size(d->io->ctx, fd);
    int64_t left = part < size ? size - part : 0;
    bool is_given = size > 0 && (may_be_all || part <= size / PARTS_OF_FILE) &&
                    d->io->truncate(d->io->ctx, fd, left) >= 0;

    if (fd >= 0) {
        (void)d->io->close(d->io->ctx, fd); /* nothing was written through it */
    }
    mem_free(path);
    if (is_given || size <= 0) {
        d->reserve_file_size = left;
    }
    if (is_given) {
        log_warn("log_dir", "reserve_used", KV_STR("dir", d->path), KV_I64("bytes", size - left),
                KV_STR("reason", "the disk is full and a checkpoint, a marker or meta.image must "
                                 "be written"));
    }
    return is_given;
}

static bool use_reserve(struct log_dir *d, int error, int64_t part, bool may_be_all)
{
    if (error != -ENOSPC && error != -EDQUOT) {
        return false;
    }
    (void)pthread_mutex_lock(&d->reserve_lock);
    bool is_given = give_up_file(d, part, may_be_all);
    (void)pthread_mutex_unlock(&d->reserve_lock);
    return is_given;
}

/* [LOG-123] Others may fill at once what it gives up, and there is a next time. */
bool log_dir_use_reserve(struct log_dir *d, int error, size_t *want)
{
    int64_t part = (int64_t)*want + ROUNDING;

    *want *= 2;
    return use_reserve(d, error, part, true);
}

bool log_dir_use_reserve_for(struct log_dir *d, int error, size_t size)
{
    return use_reserve(d, error, (int64_t)size + ROUNDING, false);
}

/* --- Measuring -------------------------------------------------------------------------------- */

static void tell(const struct log_dir *d, bool is_full, uint64_t free_bytes, uint64_t reserve)
{
    if (is_full) {
        log_warn("log_dir", "dir_full", KV_STR("dir", d->path), KV_U64("free_bytes", free_bytes),
                KV_U64("reserve_bytes", reserve),
                KV_STR("then", "appends there are refused until space is freed; reads go on"));
    } else {
        log_info("log_dir", "dir_has_room", KV_STR("dir", d->path),
                KV_U64("free_bytes", free_bytes));
    }
}

static uint64_t above_of(uint64_t reserve)
{
    return least(reserve / ABOVE_SHARE, ABOVE_MAX);
}

uint64_t log_dir_space_wanted(uint64_t total, int64_t reserve)
{
    uint64_t bytes = reserve_of(total, reserve);

    return bytes + above_of(bytes);
}

/* [LOG-122] Full begins at the reserve, or with the first append that does not fit above it, and ends a little above
 * that, so that it does not flap. */
static void judge(struct log_dir *d, uint64_t free_bytes, uint64_t reserve)
{
    bool was_full = atomic_load(&d->is_full);
    bool was_refused = atomic_exchange(&d->was_refused, false);
    uint64_t above = was_full || was_refused ? above_of(reserve) : 0;
    bool is_full = free_bytes < reserve + above;

    atomic_store(&d->room, is_full ? 0 : (int64_t)least(free_bytes - reserve, INT64_MAX));
    atomic_store(&d->is_full, is_full);
    if (is_full != was_full) {
        tell(d, is_full, free_bytes, reserve);
    }
}

int log_dir_measure(struct log_dir *d, int64_t reserve_wanted, struct log_dir_space *ret)
{
    uint64_t total = 0, free_bytes = 0;
    int r = log_dir_failed(d) ? err_origin(-EIO)
                              : d->io->space(d->io->ctx, d->path, &total, &free_bytes);

    if (r < 0) {
        return err_forward(r);
    }
    uint64_t reserve = reserve_of(total, reserve_wanted);
    judge(d, free_bytes, reserve);
    (void)pthread_mutex_lock(&d->reserve_lock);
    r = keep_file(d, free_bytes, reserve, file_size_of(d, total));
    (void)pthread_mutex_unlock(&d->reserve_lock);
    *ret = (struct log_dir_space){.total = total, .free = free_bytes, .reserve = reserve};
    return r < 0 ? err_forward(r) : 0;
}

bool log_dir_take_room(struct log_dir *d, size_t size)
{
    if ((int64_t)size > atomic_load(&d->room)) {
        atomic_store(&d->was_refused, true);
        return false;
    }
    (void)atomic_fetch_sub(&d->room, (int64_t)size);
    return true;
}

bool log_dir_is_full(const struct log_dir *d)
{
    return atomic_load(&d->is_full);
}
