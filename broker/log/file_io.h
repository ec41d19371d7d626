/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* What tells one run of one kernel on one file system from another: a process that finds the same
 * four again knows that the kernel did not die between and that this is no copy of the folder. */
struct file_identity {
    char boot_id[40]; /* text, made by the kernel at each boot */
    uint64_t device;  /* st_dev; mnt_id would differ in each mount namespace */
    uint64_t fs_id;   /* f_fsid, which file systems derive from their uuid */
    uint64_t inode;   /* of the folder: a copy of it has another */
};

/* What is said to the kernel about bytes of a file; it may ignore it. */
enum file_advice {
    FILE_SOON,      /* they will be read: read ahead */
    FILE_NOT_AGAIN, /* nobody needs them in memory */
    FILE_SCATTERED, /* through this descriptor only what is asked for is to be read */
};

/* The few file operations that logs need, as a table, so that a simulator can give a memory disk
 * that loses what was not synced. Every result: 0 or more = done, negative = errno. Paths are whole
 * paths. Thread: any (the files' users see to their own order). */
struct file_io {
    void *ctx;
    /* flags as open(2): O_RDONLY, O_RDWR, O_CREAT, O_EXCL; O_CLOEXEC is added. ret = descriptor. */
    int (*open)(void *ctx, const char *path, int flags);
    int (*close)(void *ctx, int fd);
    /* Short only at the end of the file. */
    int64_t (*pread)(void *ctx, int fd, void *bytes, size_t size, int64_t at);
    /* As pread, but never waits for the disk: -EAGAIN when not all of it is in memory. Where the
     * file system cannot say, it is read. */
    int64_t (*pread_hot)(void *ctx, int fd, void *bytes, size_t size, int64_t at);
    /* Whether those bytes seem to be in memory: one in each 128 KiB is looked at. True where the
     * file system cannot say. */
    bool (*is_hot)(void *ctx, int fd, int64_t at, int64_t size);
    void (*advise)(void *ctx, int fd, int64_t at, int64_t size, enum file_advice advice);
    /* May be short: then the disk is full, and what was written stands in the file. */
    int64_t (*pwritev)(void *ctx, int fd, const struct iovec *iov, int n, int64_t at);
    int64_t (*size)(void *ctx, int fd);
    int64_t (*size_of)(void *ctx, const char *path); /* without opening it */
    int64_t (*modified)(void *ctx, int fd);          /* when its bytes last changed: wall_ms */
    int (*truncate)(void *ctx, int fd, int64_t size);
    /* Asks for blocks for [at, at + size) of the file, whose size stays; a cut gives back those behind its end. NULL, or
     * any failure: there are none, and nothing else changed. */
    int (*reserve)(void *ctx, int fd, int64_t at, int64_t size);
    /* Never called again on a file for which it failed: the kernel reports a lost page once and
     * then calls it clean. */
    int (*datasync)(void *ctx, int fd);
    int (*sync_dir)(void *ctx, const char *path);
    int (*rename)(void *ctx, const char *from, const char *to);
    int (*unlink)(void *ctx, const char *path);
    int (*mkdir)(void *ctx, const char *path);
    int (*rmdir)(void *ctx, const char *path);
    /* Calls `each` with every name but "." and ".."; order is the file system's. `each` changes
     * nothing in there. */
    int (*list)(void *ctx,
            const char *path,
            void (*each)(void *arg, const char *name, bool is_dir),
            void *arg);
    int (*space)(void *ctx, const char *path, uint64_t *ret_total, uint64_t *ret_free);
    /* An exclusive lock that ends with the descriptor; does not wait: -EWOULDBLOCK = somebody else
     * has it. */
    int (*lock)(void *ctx, int fd);
    int (*identity)(void *ctx, const char *path, struct file_identity *ret);
    int (*random)(void *ctx, void *bytes, size_t size); /* for identities */
};

extern const struct file_io file_io_posix;

/* A small file replaced in one step: write PATH.tmp, sync it, rename, sync the folder. No other
 * code renames. After a failure the old file stands, except when the last step (syncing the folder)
 * failed: then either may. */
MUST_CHECK int durable_write(
        const struct file_io *io, const char *path, const void *bytes, size_t size);
/* The same, but the folder is not synced: until the caller has done that, a power failure may bring the old file back,
 * whole. */
MUST_CHECK int durable_replace(
        const struct file_io *io, const char *path, const void *bytes, size_t size);
/* Syncs the folders of both names. */
MUST_CHECK int durable_rename(const struct file_io *io, const char *from, const char *to);
/* 0 also when it is there already: an earlier run may have died before the sync, which is done
 * again. */
MUST_CHECK int durable_mkdir(const struct file_io *io, const char *path);
/* 0 also when it is not there. */
MUST_CHECK int durable_unlink(const struct file_io *io, const char *path);
/* The whole of a file of at most `max` bytes into *ret (NUL after it; mem_free). -ENOENT when
 * absent, -EFBIG when larger. */
MUST_CHECK int file_read_all(
        const struct file_io *io, const char *path, size_t max, uint8_t **ret, size_t *ret_size);
/* Writes all of `bytes` at `at`; -ENOSPC when it would not all go in. */
MUST_CHECK int file_write_all(
        const struct file_io *io, int fd, const void *bytes, size_t size, int64_t at);
