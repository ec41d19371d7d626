/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/file_io.h"
#include "common/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

/* The folder that holds `path`; mem_free. */
static char *parent_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (slash == NULL) {
        return mem_strdup(".");
    }
    return slash == path ? mem_strdup("/") : mem_strndup(path, (size_t)(slash - path));
}

static int sync_parent(const struct file_io *io, const char *path)
{
    char *parent = parent_of(path);
    int r = io->sync_dir(io->ctx, parent);

    mem_free(parent);
    return r < 0 ? err_forward(r) : 0;
}

int file_write_all(const struct file_io *io, int fd, const void *bytes, size_t size, int64_t at)
{
    struct iovec iov = {.iov_len = size};

    /* pwritev takes what it only reads without const. */
    memcpy(&iov.iov_base, &bytes, sizeof(bytes));
    int64_t n = size > 0 ? io->pwritev(io->ctx, fd, &iov, 1, at) : 0;
    if (n < 0) {
        return err_forward((int)n);
    }
    return (size_t)n == size ? 0 : err_origin(-ENOSPC);
}

static int write_tmp(const struct file_io *io, const char *tmp, const void *bytes, size_t size)
{
    int fd = io->open(io->ctx, tmp, O_RDWR | O_CREAT);

    if (fd < 0) {
        return err_forward(fd);
    }
    int r = io->truncate(io->ctx, fd, 0); /* an earlier run may have left one */
    if (r >= 0) {
        r = file_write_all(io, fd, bytes, size, 0);
    }
    if (r >= 0) {
        r = io->datasync(io->ctx, fd);
    }
    int closed = io->close(io->ctx, fd);
    r = r < 0 ? r : closed;
    return r < 0 ? err_forward(r) : 0;
}

int durable_replace(const struct file_io *io, const char *path, const void *bytes, size_t size)
{
    char *tmp = mem_format("%s.tmp", path);
    int r = write_tmp(io, tmp, bytes, size);

    if (r >= 0) {
        r = io->rename(io->ctx, tmp, path);
    }
    if (r < 0) {
        (void)io->unlink(io->ctx, tmp); /* the next write replaces it anyway */
    }
    mem_free(tmp);
    return r < 0 ? err_forward(r) : 0;
}

int durable_write(const struct file_io *io, const char *path, const void *bytes, size_t size)
{
    int r = durable_replace(io, path, bytes, size);

    if (r >= 0) {
        r = sync_parent(io, path);
    }
    return r < 0 ? err_forward(r) : 0;
}

int durable_rename(const struct file_io *io, const char *from, const char *to)
{
    int r = io->rename(io->ctx, from, to);

    if (r >= 0) {
        r = sync_parent(io, to);
    }
    if (r >= 0) {
        char *from_parent = parent_of(from);
        char *to_parent = parent_of(to);
        if (strcmp(from_parent, to_parent) != 0) {
            r = io->sync_dir(io->ctx, from_parent);
        }
        mem_free(from_parent);
        mem_free(to_parent);
    }
    return r < 0 ? err_forward(r) : 0;
}

int durable_mkdir(const struct file_io *io, const char *path)
{
    int r = io->mkdir(io->ctx, path);

    if (r >= 0 || r == -EEXIST) {
        r = sync_parent(io, path);
    }
    return r < 0 ? err_forward(r) : 0;
}

int durable_unlink(const struct file_io *io, const char *path)
{
    int r = io->unlink(io->ctx, path);

    if (r >= 0 || r == -ENOENT) {
        r = sync_parent(io, path);
    }
    return r < 0 ? err_forward(r) : 0;
}

static int read_open(const struct file_io *io, int fd, size_t max, uint8_t **ret, size_t *ret_size)
{
    int64_t size = io->size(io->ctx, fd);

    if (size < 0) {
        return err_forward((int)size);
    }
    if ((uint64_t)size > max) {
        return err_origin(-EFBIG);
    }
    uint8_t *bytes = mem_try_alloc((size_t)size + 1);
    if (bytes == NULL) {
        return err_origin(-ENOMEM);
    }
    int64_t n = io->pread(io->ctx, fd, bytes, (size_t)size, 0);
    if (n < 0) {
        mem_free(bytes);
        return err_forward((int)n);
    }
    bytes[n] = '\0';
    *ret = bytes;
    *ret_size = (size_t)n;
    return 0;
}

int file_read_all(
        const struct file_io *io, const char *path, size_t max, uint8_t **ret, size_t *ret_size)
{
    int fd = io->open(io->ctx, path, O_RDONLY);

    if (fd < 0) {
        return err_forward(fd);
    }
    int r = read_open(io, fd, max, ret, ret_size);
    (void)io->close(io->ctx, fd); /* read only */
    return r;
}
