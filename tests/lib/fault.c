/* SPDX-License-Identifier: Apache-2.0 */
/* weir_fault.so: disk faults for a process that has it in LD_PRELOAD. The file that WEIR_FAULTS names is read before
 * each operation, so that a test switches faults on and off while the process runs; without the file there are none.
 * Each line is a fault, the first that fits counts:
 *
 *   OPERATION ACTION NUMBER TEXT [WHEN]    TEXT = part of the file's path
 *   sync delay 200 /dir1/                  takes 200 ms longer
 *   sync hang 0 /dir1/                     returns when the line is gone from the file
 *   write fail 28 .canary                  fails with errno 28
 *   hot fail 11 /cold-0/                   nothing of it is in memory (EAGAIN)
 *   write fail 5 /orders-0/ 3              the third time only
 *   rename fail 5 /orders-0/ 3+            the third time and from then on
 *   memory fail 12 100000                  no allocation of that many bytes or more succeeds
 *   clock add -3600 /broker-2/             its wall clock is an hour behind; TEXT = part of its command line
 *
 * write = write, pwrite, pwritev; sync = fsync, fdatasync; open = open by path; read = pread; hot = preadv2, with which
 * is read only what is in memory; rename, unlink, truncate, reserve (fallocate) = as they are called, a rename by either
 * path; any = whatever changes a disk, or open; memory = calloc and realloc, of 4 KiB and more;
 * clock = CLOCK_REALTIME.
 *
 * A line with a WHEN counts how often it fitted, from when it was written (or the process began): line i's count stands
 * as a decimal number in line i of the file WEIR_FAULTS + ".met". `count` as action does nothing else. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum {
    FAULTS_MAX = 4096,
    LINES_MAX = 64, /* that count */
    MET_WIDTH = 8,  /* of a line of the file of counts */
    MEMORY_MIN = 4096,
    POLL_MS = 10
};

struct fault {
    char line[640], operation[16], action[16], part[512], when[16];
    int number;
};

/* How often each line has fitted since the file was written. */
static pthread_mutex_t counts_lock = PTHREAD_MUTEX_INITIALIZER;

static struct {
    char text[FAULTS_MAX];
    struct timespec written;
    int met[LINES_MAX];
} counts;

static void sleep_ms(int ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

    (void)nanosleep(&t, NULL);
}

/* By system calls: the functions are the ones replaced here. */
static bool read_faults(char text[FAULTS_MAX], struct timespec *ret_written)
{
    const char *path = getenv("WEIR_FAULTS");
    long fd = path != NULL ? syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC) : -1;
    long n = fd >= 0 ? syscall(SYS_read, fd, text, FAULTS_MAX - 1) : -1;
    struct stat st = {0};

    if (fd >= 0) {
        (void)fstat((int)fd, &st);
        (void)syscall(SYS_close, fd);
    }
    *ret_written = st.st_mtim;
    text[n > 0 ? n : 0] = '\0';
    return n > 0;
}

static void publish(int line, int met)
{
    char path[1024], text[32];
    long fd = -1;

    (void)snprintf(path, sizeof(path), "%s.met", getenv("WEIR_FAULTS"));
    (void)snprintf(text, sizeof(text), "%*d\n", MET_WIDTH - 1, met);
    fd = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0640);
    if (fd >= 0) {
        (void)syscall(SYS_pwrite64, fd, text, MET_WIDTH, (long)line * MET_WIDTH);
        (void)syscall(SYS_close, fd);
    }
}

/* The `i`th line fits once more; whether it is its turn. */
static bool is_turn(const char *text, const struct timespec *written, int i, const struct fault *f)
{
    char *end = NULL;
    long when = strtol(f->when, &end, 10);
    int met = 0;

    if (i >= LINES_MAX) {
        return false;
    }
    (void)pthread_mutex_lock(&counts_lock);
    if (strcmp(counts.text, text) != 0 || memcmp(&counts.written, written, sizeof(*written)) != 0) {
        (void)snprintf(counts.text, sizeof(counts.text), "%s", text);
        counts.written = *written;
        memset(counts.met, 0, sizeof(counts.met));
    }
    met = ++counts.met[i];
    publish(i, met);
    (void)pthread_mutex_unlock(&counts_lock);
    return *end == '+' ? met >= when : met == when;
}

static bool parse(const char *line, struct fault *ret)
{
    ret->when[0] = '\0';
    (void)snprintf(ret->line, sizeof(ret->line), "%s", line);
    return sscanf(line, "%15s %15s %d %511s %15s", ret->operation, ret->action, &ret->number,
                   ret->part, ret->when) >= 4;
}

static bool fits(const struct fault *f, const char *operation, const char *path)
{
    bool is_read = strcmp(operation, "read") == 0 || strcmp(operation, "hot") == 0 ||
                   strcmp(operation, "clock") == 0;

    if (strcmp(operation, "memory") == 0) { /* `path` is the size */
        return strcmp(f->operation, operation) == 0 &&
               strtoul(path, NULL, 10) >= strtoul(f->part, NULL, 10);
    }
    return (strcmp(f->operation, operation) == 0 ||
                   (strcmp(f->operation, "any") == 0 && !is_read)) &&
           strstr(path, f->part) != NULL;
}

static bool find(const char *operation, const char *path, struct fault *ret)
{
    char text[FAULTS_MAX], copy[FAULTS_MAX];
    char *rest = copy, *line;
    struct timespec written;

    if (!read_faults(text, &written)) {
        return false;
    }
    memcpy(copy, text, sizeof(copy));
    for (int i = 0; (line = strsep(&rest, "\n")) != NULL; i++) {
        if (parse(line, ret) && fits(ret, operation, path) &&
                (ret->when[0] == '\0' || is_turn(text, &written, i, ret))) {
            return true;
        }
    }
    return false;
}

/* Whether the file still has the line. */
static bool stands(const struct fault *f)
{
    char text[FAULTS_MAX];
    char *rest = text, *line;
    struct timespec written;

    (void)read_faults(text, &written);
    while ((line = strsep(&rest, "\n")) != NULL) {
        if (strcmp(line, f->line) == 0) {
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
    while (strcmp(f.action, "hang") == 0 && stands(&f)) {
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

int rename(const char *from, const char *to)
{
    char both[2048];

    (void)snprintf(both, sizeof(both), "%s %s", from, to);
    MEET(meet("rename", both));
    return (int)syscall(SYS_rename, from, to);
}

int unlink(const char *path)
{
    MEET(meet("unlink", path));
    return (int)syscall(SYS_unlink, path);
}

int ftruncate(int fd, off_t size)
{
    MEET(meet_fd("truncate", fd));
    return (int)syscall(SYS_ftruncate, fd, size);
}

int fallocate(int fd, int mode, off_t at, off_t size)
{
    MEET(meet_fd("reserve", fd));
    return (int)syscall(SYS_fallocate, fd, mode, at, size);
}

/* --- Memory ----------------------------------------------------------------------------------- */

static bool is_refused(size_t size)
{
    char text[32];
    int error = 0;

    if (size < MEMORY_MIN || getenv("WEIR_FAULTS") == NULL) {
        return false;
    }
    (void)snprintf(text, sizeof(text), "%zu", size);
    error = meet("memory", text);
    if (error != 0) {
        errno = error;
    }
    return error != 0;
}

void *calloc(size_t n, size_t size)
{
    static void *(*next)(size_t n, size_t size);

    if (next == NULL) {
        next = dlsym(RTLD_NEXT, "calloc");
    }
    return size != 0 && is_refused(n * size) ? NULL : next(n, size);
}

void *realloc(void *p, size_t size)
{
    static void *(*next)(void *p, size_t size);

    if (next == NULL) {
        next = dlsym(RTLD_NEXT, "realloc");
    }
    return is_refused(size) ? NULL : next(p, size);
}

/* --- The wall clock --------------------------------------------------------------------------- */

/* The process's command line, its words with spaces between. */
static const char *command_line(void)
{
    static char text[2048];
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

    (void)pthread_mutex_lock(&lock);
    if (text[0] == '\0') {
        long fd = syscall(SYS_openat, AT_FDCWD, "/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
        long n = fd >= 0 ? syscall(SYS_read, fd, text, sizeof(text) - 1) : 0;
        for (long i = 0; i + 1 < n; i++) {
            text[i] = text[i] == '\0' ? ' ' : text[i];
        }
        (void)syscall(SYS_close, fd);
    }
    (void)pthread_mutex_unlock(&lock);
    return text;
}

int clock_gettime(clockid_t clock, struct timespec *ret)
{
    static int (*next)(clockid_t, struct timespec *);
    int was = errno;
    struct fault f;

    if (next == NULL) {
        next = dlsym(RTLD_NEXT, "clock_gettime");
    }
    int r = next(clock, ret);
    if (r == 0 && clock == CLOCK_REALTIME && getenv("WEIR_FAULTS") != NULL &&
            find("clock", command_line(), &f) && strcmp(f.action, "add") == 0) {
        ret->tv_sec += f.number;
    }
    errno = r == 0 ? was : errno;
    return r;
}
