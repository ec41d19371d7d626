/* SPDX-License-Identifier: Apache-2.0 */
/* weir_fault.so: disk faults for a process that has it in LD_PRELOAD. The file that WEIR_FAULTS names is read before
 * each operation, so that a test switches faults on and off while the process runs; without the file there are none.
 * Each line is a fault, the first that fits counts:
 *
 *   OPERATION ACTION NUMBER TEXT     OPERATION = write, sync, open, read, hot or any; TEXT = part of the file's path
 *   sync delay 200 /dir1/            takes 200 ms longer
 *   sync hang 0 /dir1/               returns when the line is gone from the file
 *   write fail 28 .canary            fails with errno 28
 *   hot fail 11 /cold-0/             nothing of it is in memory (EAGAIN)
 *
 * write = write, pwrite, pwritev; sync = fsync, fdatasync; open = open by path; read = pread; hot = preadv2, with which
 * is read only what is in memory. any = write, sync or open. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum {
    FAULTS_MAX = 4096,
    POLL_MS = 10
};

struct fault {
    char action[16];
    int number;
};

static void sleep_ms(int ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

    (void)nanosleep(&t, NULL);
}

/* By system calls: the functions are the ones replaced here. */
static bool read_faults(char text[FAULTS_MAX])
{
    const char *path = getenv("WEIR_FAULTS");
    long fd = path != NULL ? syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC) : -1;
    long n = fd >= 0 ? syscall(SYS_read, fd, text, FAULTS_MAX - 1) : -1;

    if (fd >= 0) {
        (void)syscall(SYS_close, fd);
    }
    text[n > 0 ? n : 0] = '\0';
    return n > 0;
}

static bool find(const char *operation, const char *path, struct fault *ret)
{
    char text[FAULTS_MAX], name[16], part[512];
    char *rest = text, *line;
    bool is_change = strcmp(operation, "read") != 0 && strcmp(operation, "hot") != 0;

    if (!read_faults(text)) {
        return false;
    }
    while ((line = strsep(&rest, "\n")) != NULL) {
        if (sscanf(line, "%15s %15s %d %511s", name, ret->action, &ret->number, part) == 4 &&
                (strcmp(name, operation) == 0 || (strcmp(name, "any") == 0 && is_change)) &&
                strstr(path, part) != NULL) {
            return true;
        }
    }
    return false;
}

/* Waits as told. 0 = go on, else the errno to fail with. */
static int meet(const char *operation, const char *path)
{
    int was = errno;
    struct fault f;

    if (!find(operation, path, &f)) {
        errno = was;
        return 0;
    }
    if (strcmp(f.action, "fail") == 0) {
        return f.number;
    }
    if (strcmp(f.action, "delay") == 0) {
        sleep_ms(f.number);
    }
    while (strcmp(f.action, "hang") == 0 && find(operation, path, &f)) {
        sleep_ms(POLL_MS);
    }
    errno = was;
    return 0;
}

static int meet_fd(const char *operation, int fd)
{
    char link[64], path[1024];
    int was = errno;
    ssize_t n;

    if (getenv("WEIR_FAULTS") == NULL) {
        return 0;
    }
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    n = readlink(link, path, sizeof(path) - 1);
    errno = was;
    if (n <= 0 || path[0] != '/') { /* sockets and pipes */
        return 0;
    }
    path[n] = '\0';
    return meet(operation, path);
}

#define MEET(e)                                                                                    \
    do {                                                                                           \
        int error = (e);                                                                           \
        if (error != 0) {                                                                          \
            errno = error;                                                                         \
            return -1;                                                                             \
        }                                                                                          \
    } while (0)

int fsync(int fd)
{
    MEET(meet_fd("sync", fd));
    return (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
    MEET(meet_fd("sync", fd));
    return (int)syscall(SYS_fdatasync, fd);
}

ssize_t write(int fd, const void *bytes, size_t size)
{
    MEET(meet_fd("write", fd));
    return syscall(SYS_write, fd, bytes, size);
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t at)
{
    MEET(meet_fd("write", fd));
    return syscall(SYS_pwrite64, fd, bytes, size, at);
}

ssize_t pwritev(int fd, const struct iovec *iov, int n, off_t at)
{
    MEET(meet_fd("write", fd));
    return syscall(SYS_pwritev, fd, iov, n, at, 0L);
}

ssize_t pread(int fd, void *bytes, size_t size, off_t at)
{
    MEET(meet_fd("read", fd));
    return syscall(SYS_pread64, fd, bytes, size, at);
}

ssize_t preadv2(int fd, const struct iovec *iov, int n, off_t at, int flags)
{
    MEET(meet_fd("hot", fd));
    return syscall(SYS_preadv2, fd, iov, n, at, 0L, flags);
}

int open(const char *path, int flags, ...)
{
    va_list args;
    mode_t mode = 0;

    va_start(args, flags);
    if ((flags & O_CREAT) != 0) {
        mode = va_arg(args, mode_t);
    }
    va_end(args);
    MEET(meet("open", path));
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}
