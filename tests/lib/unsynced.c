/* SPDX-License-Identifier: Apache-2.0 */
/* weir_unsynced.so: a host whose power may go, for a process that has it in LD_PRELOAD. It writes
 * down, beside a folder, what is needed to take back everything in it that was not synced;
 * power_cut() of tests/lib/power.h does that after a SIGKILL. WEIR_UNSYNCED="PROGRAM FOLDER" says
 * whose and which folders, by their last names:
 *
 *   WEIR_UNSYNCED="weir-broker data"     /any/where/data of processes of the program weir-broker
 *
 * It knows the operations that broker/log/file_io_posix.c makes, and no other. A sync is a line in
 * the journal and nothing else: the kernel lives on. A folder's sync is not that of its files, nor
 * theirs that of their names.
 *
 * The nodes of a test share one kernel, whose boot id tells a controller whether a loopback
 * address will do for it. So what is new after a power failure is the other thing that tells one
 * run from another: the file system's id. */
#include "tests/lib/unsynced.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* One operation at a time, so that the journal has the order of what happened. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* Where F.unsynced of a path in a watched folder F is. */
struct beside {
    char path[PATH_MAX];
};

static bool is_watched(const char *path, struct beside *ret)
{
    const char *who = getenv("WEIR_UNSYNCED");
    const char *name = who != NULL ? strchr(who, ' ') : NULL;
    char part[256];

    if (name == NULL || strlen(program_invocation_short_name) != (size_t)(name - who) ||
            strncmp(who, program_invocation_short_name, (size_t)(name - who)) != 0) {
        return false;
    }
    (void)snprintf(part, sizeof(part), "/%s/", name + 1);
    const char *at = strstr(path, part);
    if (at == NULL) {
        return false;
    }
    (void)snprintf(ret->path, sizeof(ret->path), "%.*s.unsynced",
            (int)(at - path + (long)strlen(part) - 1), path);
    (void)syscall(SYS_mkdir, ret->path, 0750); /* mostly it is there */
    return true;
}

/* What is behind a descriptor; the folder itself counts as within it. */
static bool is_watched_fd(int fd, struct beside *ret)
{
    char link[64], path[PATH_MAX];
    int was = errno;

    if (getenv("WEIR_UNSYNCED") == NULL) {
        return false;
    }
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof(path) - 2);
    errno = was;
    if (n <= 0 || path[0] != '/') {
        return false;
    }
    (void)snprintf(path + n, 2, "/");
    return is_watched(path, ret);
}

/* A test whose journal cannot be written shows nothing. */
static void fail(const char *what)
{
    fprintf(stderr, "weir_unsynced: %s: %s\n", what, strerror(errno));
    abort();
}

static uint64_t inode_of(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0 ? (uint64_t)st.st_ino : 0;
}

static uint64_t folder_of(const char *path, const char **ret_name)
{
    char parent[PATH_MAX];
    const char *slash = strrchr(path, '/');

    (void)snprintf(parent, sizeof(parent), "%.*s", (int)(slash - path), path);
    *ret_name = slash + 1;
    return inode_of(parent);
}

static int open_journal(const struct beside *b, int64_t *ret_size)
{
    char path[PATH_MAX + 16];
    struct stat st;

    (void)snprintf(path, sizeof(path), "%s/journal", b->path);
    int fd = (int)syscall(
            SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    if (fd < 0 || fstat(fd, &st) != 0) {
        fail(path);
    }
    *ret_size = (int64_t)st.st_size;
    return fd;
}

static void note(const struct beside *b, struct unsynced_record r, const void *bytes, size_t n)
{
    union {
        const void *in;
        void *out;
    } body = {.in = bytes};

    int64_t size = 0;
    int fd = open_journal(b, &size);

    r.n = (uint32_t)n;
    if (r.kind == UNSYNCED_SYNC) {
        r.at = size;
    }
    struct iovec iov[] = {
            {.iov_base = &r, .iov_len = sizeof(r)}, {.iov_base = body.out, .iov_len = n}};
    if (syscall(SYS_writev, fd, iov, 2) != (long)(sizeof(r) + n)) {
        fail("journal");
    }
    (void)syscall(SYS_close, fd);
}

/* Gives the file behind `path` (may be one of /proc/self/fd) its other name. */
static void keep(const struct beside *b, const char *path, uint64_t inode)
{
    char other[PATH_MAX + 32];

    (void)snprintf(other, sizeof(other), "%s/%llu", b->path, (unsigned long long)inode);
    if (linkat(AT_FDCWD, path, AT_FDCWD, other, AT_SYMLINK_FOLLOW) != 0 && errno != EEXIST &&
            errno != ENOENT) {
        fail(other);
    }
}

/* --- Files ------------------------------------------------------------------------------------ */

/* Of the file as it is, those bytes are going to be others. */
static void note_change(const struct beside *b, int fd, int64_t at, int64_t length)
{
    char link[64];
    struct stat st;

    if (fstat(fd, &st) != 0) {
        fail("fstat");
    }
    if (st.st_nlink == 1) {
        (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        keep(b, link, (uint64_t)st.st_ino);
    }
    int64_t end =
            length < 0 || at + length > (int64_t)st.st_size ? (int64_t)st.st_size : at + length;
    size_t n = end > at ? (size_t)(end - at) : 0;
    char *before = malloc(n + 1);
    if (before == NULL || syscall(SYS_pread64, fd, before, n, at) != (long)n) {
        fail("what the file had");
    }
    note(b,
            (struct unsynced_record){.kind = UNSYNCED_CHANGE,
                    .file = (uint64_t)st.st_ino,
                    .at = at,
                    .size = (int64_t)st.st_size,
                    .length = length},
            before, n);
    free(before);
}

ssize_t pwritev(int fd, const struct iovec *iov, int n, off_t at)
{
    struct beside b;
    int64_t length = 0;

    if (!is_watched_fd(fd, &b)) {
        return syscall(SYS_pwritev, fd, iov, n, at, 0L);
    }
    for (int i = 0; i < n; i++) {
        length += (int64_t)iov[i].iov_len;
    }
    (void)pthread_mutex_lock(&lock);
    note_change(&b, fd, at, length);
    ssize_t r = syscall(SYS_pwritev, fd, iov, n, at, 0L);
    (void)pthread_mutex_unlock(&lock);
    return r;
}

int ftruncate(int fd, off_t size)
{
    struct beside b;

    if (!is_watched_fd(fd, &b)) {
        return (int)syscall(SYS_ftruncate, fd, size);
    }
    (void)pthread_mutex_lock(&lock);
    note_change(&b, fd, size, -1);
    int r = (int)syscall(SYS_ftruncate, fd, size);
    (void)pthread_mutex_unlock(&lock);
    return r;
}

static int sync_fd(int fd, long call)
{
    struct beside b;
    struct stat st;

    if (!is_watched_fd(fd, &b)) {
        return (int)syscall(call, fd);
    }
    (void)pthread_mutex_lock(&lock);
    int r = fstat(fd, &st);
    if (r == 0) {
        note(&b, (struct unsynced_record){.kind = UNSYNCED_SYNC, .file = (uint64_t)st.st_ino}, "",
                0);
    }
    (void)pthread_mutex_unlock(&lock);
    return r;
}

int fsync(int fd)
{
    return sync_fd(fd, SYS_fsync);
}

int fdatasync(int fd)
{
    return sync_fd(fd, SYS_fdatasync);
}

/* --- Names ------------------------------------------------------------------------------------ */

/* Of what has just been made. */
static void note_add(const struct beside *b, const char *path)
{
    const char *name = NULL;
    struct unsynced_record r = {
            .kind = UNSYNCED_ADD, .folder = folder_of(path, &name), .file = inode_of(path)};

    note(b, r, name, strlen(name));
}

static int create(const struct beside *b, const char *path, int flags, mode_t mode)
{
    (void)pthread_mutex_lock(&lock);
    bool is_new = inode_of(path) == 0;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    int was = errno;
    if (fd >= 0 && is_new) {
        note_add(b, path);
        keep(b, path, inode_of(path));
    }
    (void)pthread_mutex_unlock(&lock);
    errno = was;
    return fd;
}

int open(const char *path, int flags, ...)
{
    va_list args;
    mode_t mode = 0;
    struct beside b;

    va_start(args, flags);
    if ((flags & O_CREAT) != 0) {
        mode = va_arg(args, mode_t);
    }
    va_end(args);
    if ((flags & O_CREAT) == 0 || !is_watched(path, &b)) {
        return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    }
    return create(&b, path, flags, mode);
}

int mkdir(const char *path, mode_t mode)
{
    struct beside b;
    bool is = is_watched(path, &b);

    (void)pthread_mutex_lock(&lock);
    int r = (int)syscall(SYS_mkdir, path, mode);
    if (r == 0 && is) {
        note_add(&b, path);
    }
    (void)pthread_mutex_unlock(&lock);
    return r;
}

int rename(const char *from, const char *to)
{
    const char *old = NULL, *new = NULL;
    char names[2 * NAME_MAX + 2];
    struct beside b;

    if (!is_watched(from, &b) || !is_watched(to, &b)) {
        return (int)syscall(SYS_rename, from, to);
    }
    (void)pthread_mutex_lock(&lock);
    struct unsynced_record r = {.kind = UNSYNCED_RENAME,
            .file = inode_of(from),
            .from_folder = folder_of(from, &old),
            .folder = folder_of(to, &new),
            .replaced = inode_of(to)};
    if (r.replaced != 0) {
        keep(&b, to, r.replaced);
    }
    int n = snprintf(names, sizeof(names), "%s%c%s", old, '\0', new);
    note(&b, r, names, (size_t)n);
    int done = (int)syscall(SYS_rename, from, to);
    (void)pthread_mutex_unlock(&lock);
    return done;
}

static void note_remove(const struct beside *b, const char *path, uint64_t inode)
{
    const char *name = NULL;
    uint64_t folder = folder_of(path, &name);

    note(b, (struct unsynced_record){.kind = UNSYNCED_REMOVE, .folder = folder, .file = inode},
            name, strlen(name));
}

int unlink(const char *path)
{
    struct beside b;
    uint64_t inode = is_watched(path, &b) ? inode_of(path) : 0;

    if (inode == 0) {
        return (int)syscall(SYS_unlink, path);
    }
    (void)pthread_mutex_lock(&lock);
    keep(&b, path, inode);
    note_remove(&b, path, inode);
    int r = (int)syscall(SYS_unlink, path);
    (void)pthread_mutex_unlock(&lock);
    return r;
}

static bool is_empty(const char *path)
{
    DIR *d = opendir(path);
    const struct dirent *e;
    bool is = d != NULL;

    while (d != NULL && (e = readdir(d)) != NULL) {
        is = is && (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0);
    }
    if (d != NULL) {
        (void)closedir(d);
    }
    return is;
}

/* It goes beside, as it is: its inode stays its own. */
int rmdir(const char *path)
{
    struct beside b;
    char other[PATH_MAX + 32];
    uint64_t inode = is_watched(path, &b) ? inode_of(path) : 0;

    if (inode == 0) {
        return (int)syscall(SYS_rmdir, path);
    }
    if (!is_empty(path)) {
        errno = ENOTEMPTY;
        return -1;
    }
    (void)pthread_mutex_lock(&lock);
    (void)snprintf(other, sizeof(other), "%s/%llu", b.path, (unsigned long long)inode);
    note_remove(&b, path, inode);
    int r = (int)syscall(SYS_rename, path, other);
    (void)pthread_mutex_unlock(&lock);
    return r;
}

/* --- The file system's id --------------------------------------------------------------------- */

int statvfs(const char *path, struct statvfs *ret)
{
    static int (*next)(const char *, struct statvfs *);
    char folder[PATH_MAX], file[PATH_MAX + 16], text[32] = "";
    struct beside b;

    if (next == NULL) {
        next = dlsym(RTLD_NEXT, "statvfs");
    }
    int r = next(path, ret);
    (void)snprintf(folder, sizeof(folder), "%s/", path);
    if (r == 0 && is_watched(folder, &b)) {
        (void)snprintf(file, sizeof(file), "%s/cuts", b.path);
        int fd = (int)syscall(SYS_openat, AT_FDCWD, file, O_RDONLY | O_CLOEXEC);
        if (fd >= 0) {
            (void)syscall(SYS_read, fd, text, sizeof(text) - 1);
            (void)syscall(SYS_close, fd);
        }
        ret->f_fsid += strtoul(text, NULL, 10);
        errno = 0;
    }
    return r;
}
