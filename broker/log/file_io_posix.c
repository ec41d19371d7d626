/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/file_io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum {
    IOV_CHUNK = 16,
    HOT_STRIDE = 128 * 1024, /* what the kernel reads ahead at once */
};

static int posix_open(void *ctx, const char *path, int flags)
{
    int fd = -1;

    do {
        fd = open(path, flags | O_CLOEXEC, 0640);
    } while (fd < 0 && errno == EINTR);
    return fd < 0 ? err_origin(-errno) : fd;
}

static int posix_close(void *ctx, int fd)
{
    /* Linux has released the descriptor even when it says EINTR. */
    return close(fd) < 0 && errno != EINTR ? err_origin(-errno) : 0;
}

static int64_t posix_pread(void *ctx, int fd, void *bytes, size_t size, int64_t at)
{
    size_t done = 0;

    while (done < size) {
        ssize_t n = pread(fd, (uint8_t *)bytes + done, size - done, at + (int64_t)done);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return err_origin(-errno);
        }
        if (n == 0) {
            break;
        }
        done += (size_t)n;
    }
    return (int64_t)done;
}

static int64_t posix_pread_hot(void *ctx, int fd, void *bytes, size_t size, int64_t at)
{
    size_t done = 0;

    while (done < size) {
        struct iovec iov = {.iov_base = (uint8_t *)bytes + done, .iov_len = size - done};
        ssize_t n = preadv2(fd, &iov, 1, at + (int64_t)done, RWF_NOWAIT);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && (errno == EOPNOTSUPP || errno == ENOSYS)) { /* tmpfs */
            return posix_pread(ctx, fd, bytes, size, at);
        }
        if (n < 0) { /* EAGAIN is no error, and its journey is not told */
            return errno == EAGAIN ? -EAGAIN : err_origin(-errno);
        }
        if (n == 0) {
            break;
        }
        done += (size_t)n;
    }
    return (int64_t)done;
}

static bool is_byte_hot(int fd, int64_t at)
{
    uint8_t byte = 0;
    struct iovec iov = {.iov_base = &byte, .iov_len = 1};

    return preadv2(fd, &iov, 1, at, RWF_NOWAIT) >= 0 || errno != EAGAIN;
}

static bool posix_is_hot(void *ctx, int fd, int64_t at, int64_t size)
{
    for (int64_t i = 0; i < size; i += HOT_STRIDE) {
        if (!is_byte_hot(fd, at + i)) {
            return false;
        }
    }
    return size <= 0 || is_byte_hot(fd, at + size - 1);
}

static void posix_advise(void *ctx, int fd, int64_t at, int64_t size, enum file_advice advice)
{
    int how = advice == FILE_SOON        ? POSIX_FADV_WILLNEED
              : advice == FILE_NOT_AGAIN ? POSIX_FADV_DONTNEED
                                         : POSIX_FADV_RANDOM;

    (void)posix_fadvise(fd, at, size, how); /* advice: nothing depends on it */
}

/* Drops the first `n` bytes of the vector. */
static void iov_advance(struct iovec **iov, int *n_iov, size_t n)
{
    while (*n_iov > 0 && n >= (*iov)->iov_len) {
        n -= (*iov)->iov_len;
        (*iov)++;
        (*n_iov)--;
    }
    if (*n_iov > 0) {
        (*iov)->iov_base = (uint8_t *)(*iov)->iov_base + n;
        (*iov)->iov_len -= n;
    }
}

/* One chunk of the vector, to its end or until the disk is full. */
static int64_t write_chunk(int fd, const struct iovec *from, int n_from, int64_t at)
{
    struct iovec copy[IOV_CHUNK];
    struct iovec *iov = copy;
    int n_iov = n_from;
    int64_t done = 0;

    memcpy(copy, from, (size_t)n_from * sizeof(*from));
    iov_advance(&iov, &n_iov, 0);
    while (n_iov > 0) {
        ssize_t n = pwritev(fd, iov, n_iov, at + done);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            bool is_full = errno == ENOSPC || errno == EDQUOT;
            return is_full && done > 0 ? done : err_origin(-errno);
        }
        done += n;
        iov_advance(&iov, &n_iov, (size_t)n);
    }
    return done;
}

static int64_t posix_pwritev(void *ctx, int fd, const struct iovec *iov, int n, int64_t at)
{
    int64_t done = 0;

    for (int i = 0; i < n; i += IOV_CHUNK) {
        int n_chunk = n - i < IOV_CHUNK ? n - i : IOV_CHUNK;
        int64_t want = 0;
        for (int k = 0; k < n_chunk; k++) {
            want += (int64_t)iov[i + k].iov_len;
        }
        int64_t got = write_chunk(fd, iov + i, n_chunk, at + done);
        if (got < 0) {
            return (got == -ENOSPC || got == -EDQUOT) && done > 0 ? done : got;
        }
        done += got;
        if (got < want) {
            break;
        }
    }
    return done;
}

static int64_t posix_size(void *ctx, int fd)
{
    struct stat st;

    return fstat(fd, &st) < 0 ? err_origin(-errno) : (int64_t)st.st_size;
}

static int64_t posix_modified(void *ctx, int fd)
{
    struct stat st;

    if (fstat(fd, &st) < 0) {
        return err_origin(-errno);
    }
    int64_t ms = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
    return ms < 0 ? 0 : ms;
}

static int64_t posix_size_of(void *ctx, const char *path)
{
    struct stat st;

    return stat(path, &st) < 0 ? err_origin(-errno) : (int64_t)st.st_size;
}

static int posix_truncate(void *ctx, int fd, int64_t size)
{
    int r = 0;

    do {
        r = ftruncate(fd, size);
    } while (r < 0 && errno == EINTR);
    return r < 0 ? err_origin(-errno) : 0;
}

static int posix_reserve(void *ctx, int fd, int64_t at, int64_t size)
{
    int r = 0;

    do {
        r = fallocate(fd, FALLOC_FL_KEEP_SIZE, at, size);
    } while (r < 0 && errno == EINTR);
    return r < 0 ? err_origin(-errno) : 0;
}

static int posix_datasync(void *ctx, int fd)
{
    /* EINTR is an error like any other here: whether the pages went out is not known, and a second
     * call may lie. */
    return fdatasync(fd) < 0 ? err_origin(-errno) : 0;
}

static int posix_sync_dir(void *ctx, const char *path)
{
    int fd = posix_open(ctx, path, O_RDONLY | O_DIRECTORY);

    if (fd < 0) {
        return err_forward(fd);
    }
    int r = fsync(fd) < 0 ? err_origin(-errno) : 0;
    (void)close(fd); /* nothing was written through it */
    return r;
}

static int posix_rename(void *ctx, const char *from, const char *to)
{
    return rename(from, to) < 0 ? err_origin(-errno) : 0;
}

static int posix_unlink(void *ctx, const char *path)
{
    return unlink(path) < 0 ? err_origin(-errno) : 0;
}

static int posix_mkdir(void *ctx, const char *path)
{
    return mkdir(path, 0750) < 0 ? err_origin(-errno) : 0;
}

static int posix_rmdir(void *ctx, const char *path)
{
    return rmdir(path) < 0 ? err_origin(-errno) : 0;
}

static bool entry_is_dir(DIR *dir, const struct dirent *e)
{
    struct stat st;

    if (e->d_type != DT_UNKNOWN && e->d_type != DT_LNK) {
        return e->d_type == DT_DIR;
    }
    return fstatat(dirfd(dir), e->d_name, &st, 0) == 0 && S_ISDIR(st.st_mode);
}

static int posix_list(void *ctx,
        const char *path,
        void (*each)(void *arg, const char *name, bool is_dir),
        void *arg)
{
    DIR *dir = opendir(path);

    if (dir == NULL) {
        return err_origin(-errno);
    }
    int r = 0;
    for (;;) {
        errno = 0;
        const struct dirent *e = readdir(dir);
        if (e == NULL) {
            r = errno != 0 ? err_origin(-errno) : 0;
            break;
        }
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
            each(arg, e->d_name, entry_is_dir(dir, e));
        }
    }
    (void)closedir(dir); /* read only */
    return r;
}

static int posix_space(void *ctx, const char *path, uint64_t *ret_total, uint64_t *ret_free)
{
    struct statvfs v;

    if (statvfs(path, &v) < 0) {
        return err_origin(-errno);
    }
    *ret_total = (uint64_t)v.f_blocks * v.f_frsize;
    *ret_free = (uint64_t)v.f_bavail * v.f_frsize;
    return 0;
}

static int posix_lock(void *ctx, int fd)
{
    int r = 0;

    do {
        r = flock(fd, LOCK_EX | LOCK_NB);
    } while (r < 0 && errno == EINTR);
    return r < 0 ? err_origin(-errno) : 0;
}

static int read_boot_id(char *ret, size_t size)
{
    int fd = posix_open(NULL, "/proc/sys/kernel/random/boot_id", O_RDONLY);

    if (fd < 0) {
        return err_forward(fd);
    }
    int64_t n = posix_pread(NULL, fd, ret, size - 1, 0);
    (void)posix_close(NULL, fd); /* read only */
    if (n < 0) {
        return err_forward((int)n);
    }
    ret[n] = '\0';
    ret[strcspn(ret, "\n")] = '\0';
    return 0;
}

static int posix_identity(void *ctx, const char *path, struct file_identity *ret)
{
    struct file_identity id = {0};
    struct stat st;
    struct statvfs v;

    if (stat(path, &st) < 0 || statvfs(path, &v) < 0) {
        return err_origin(-errno);
    }
    int r = read_boot_id(id.boot_id, sizeof(id.boot_id));
    if (r < 0) {
        return err_forward(r);
    }
    id.device = (uint64_t)st.st_dev;
    id.fs_id = (uint64_t)v.f_fsid;
    id.inode = (uint64_t)st.st_ino;
    *ret = id;
    return 0;
}

static int posix_random(void *ctx, void *bytes, size_t size)
{
    ssize_t n = 0;

    do {
        n = getrandom(bytes, size, 0);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        return err_origin(-errno);
    }
    return (size_t)n == size ? 0 : err_origin(-EIO);
}

const struct file_io file_io_posix = {
        .open = posix_open,
        .close = posix_close,
        .pread = posix_pread,
        .pread_hot = posix_pread_hot,
        .is_hot = posix_is_hot,
        .advise = posix_advise,
        .pwritev = posix_pwritev,
        .size = posix_size,
        .size_of = posix_size_of,
        .modified = posix_modified,
        .truncate = posix_truncate,
        .reserve = posix_reserve,
        .datasync = posix_datasync,
        .sync_dir = posix_sync_dir,
        .rename = posix_rename,
        .unlink = posix_unlink,
        .mkdir = posix_mkdir,
        .rmdir = posix_rmdir,
        .list = posix_list,
        .space = posix_space,
        .lock = posix_lock,
        .identity = posix_identity,
        .random = posix_random,
};
