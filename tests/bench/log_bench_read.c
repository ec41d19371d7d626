/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/crc.h"
#include "common/base/mem.h"
#include "tests/bench/log_bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Reading from the start to the end in ranges, as a consumer that fetches does, out to a loopback socket that another
 * process empties: the log names a range of a file that is known to be right, the kernel sends it; a short one is copied,
 * as the broker does. The floor: the same ranges of the same files without a log. */

struct drain {
    int fd;
    pid_t reader;
};

/* The bytes are dropped in the kernel: the reader costs next to nothing. */
_Noreturn static void drop_all(int fd)
{
    while (recv(fd, NULL, 64 * MIB, MSG_TRUNC) > 0) {
    }
    _exit(0);
}

static void drain_open(struct drain *d)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(at);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int out = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (bind(listener, (struct sockaddr *)&at, size) != 0 || listen(listener, 1) != 0 ||
            getsockname(listener, (struct sockaddr *)&at, &size) != 0 ||
            connect(out, (struct sockaddr *)&at, size) != 0) {
        fail("a loopback connection", -errno);
    }
    d->reader = fork();
    if (d->reader == 0) {
        (void)close(out);
        drop_all(accept(listener, NULL, NULL));
    }
    (void)close(listener);
    d->fd = out;
}

static void drain_close(struct drain *d)
{
    (void)close(d->fd);
    (void)waitpid(d->reader, NULL, 0);
}

static void send_file(const struct drain *d, int file, int64_t at, size_t size)
{
    off_t from = at;

    for (size_t left = size; left > 0;) {
        ssize_t n = sendfile(d->fd, file, &from, left);
        if (n <= 0) {
            fail("sendfile", n < 0 ? -errno : -EIO);
        }
        left -= (size_t)n;
    }
}

static void send_copy(const struct drain *d, int file, int64_t at, uint8_t *bytes, size_t size)
{
    if (file_io_posix.pread_hot(NULL, file, bytes, size, at) != (int64_t)size) {
        fail("pread", -EIO);
    }
    for (size_t done = 0; done < size;) {
        ssize_t n = send(d->fd, bytes + done, size - done, MSG_NOSIGNAL);
        if (n <= 0) {
            fail("send", -errno);
        }
        done += (size_t)n;
    }
}

static void fill(struct world *w, const struct bench_case *c)
{
    world_open(w, 128 * MIB);
    world_fill(w, c->record_size, c->batch_size);
}

static void empty(struct world *w, const struct bench_case *c)
{
    world_close(w);
}

static void read_weir(struct world *w, const struct bench_case *c, struct measure *m)
{
    uint8_t *bytes = mem_alloc(c->range_size);
    struct clock_pair clocks;
    struct drain d;
    offset64 offset = 0;

    drain_open(&d);
    clocks_start(&clocks);
    while (offset < plog_end(w->log)) {
        struct plog_slice s;

        world_read(w, offset, c->range_size, &s);
        if (s.size <= 16 * 1024) {
            send_copy(&d, s.fd, s.at, bytes, s.size);
        } else {
            need(file_io_posix.is_hot(NULL, s.fd, s.at, (int64_t)s.size) ? 0 : -EIO, "in memory");
            send_file(&d, s.fd, s.at, s.size);
        }
        cached_file_release(s.file);
        m->bytes += (double)s.size;
        offset += (offset64)(s.size / w->batch_size) * w->batch_records;
    }
    clocks_stop(&clocks, m);
    m->n += (double)plog_end(w->log);
    drain_close(&d);
    (void)mem_free(bytes);
}

static void read_weir_first(struct world *w, const struct bench_case *c, struct measure *m)
{
    world_reopen(w);
    read_weir(w, c, m);
}

/* The same ranges, by position: whole batches, and none over the end of a segment. */
static void floor_segment(const struct world *w,
        const struct bench_case *c,
        const struct drain *d,
        size_t i,
        bool is_checked,
        struct measure *m)
{
    size_t whole = c->range_size < w->batch_size ? w->batch_size
                                                 : c->range_size / w->batch_size * w->batch_size;
    uint8_t *bytes = mem_alloc(whole);
    struct plog_segment s;

    plog_segment_at(w->log, i, &s);
    char *path = mem_format("%s/bench-0/%020lld.log", w->path, (long long)s.base);
    int fd = file_io_posix.open(NULL, path, 0);
    for (int64_t at = 0; at < s.size; at += (int64_t)whole) {
        size_t size = s.size - at < (int64_t)whole ? (size_t)(s.size - at) : whole;

        if (is_checked) {
            need(file_io_posix.pread(NULL, fd, bytes, size, at) == (int64_t)size ? 0 : -EIO, path);
            need(crc32c(0, bytes, size) == 1 ? -EIO : 0, "the checksum is used");
        }
        if (size <= 16 * 1024) {
            send_copy(d, fd, at, bytes, size);
        } else {
            send_file(d, fd, at, size);
        }
        m->bytes += (double)size;
    }
    (void)file_io_posix.close(NULL, fd);
    (void)mem_free(path);
    (void)mem_free(bytes);
}

static void read_floor_of(
        struct world *w, const struct bench_case *c, bool is_checked, struct measure *m)
{
    struct clock_pair clocks;
    struct drain d;

    drain_open(&d);
    clocks_start(&clocks);
    for (size_t i = 0; i < plog_n_segments(w->log); i++) {
        floor_segment(w, c, &d, i, is_checked, m);
    }
    clocks_stop(&clocks, m);
    m->n += (double)plog_end(w->log);
    drain_close(&d);
}

static void read_floor(struct world *w, const struct bench_case *c, struct measure *m)
{
    read_floor_of(w, c, false, m);
}

static void read_floor_first(struct world *w, const struct bench_case *c, struct measure *m)
{
    read_floor_of(w, c, true, m);
}

#define READ(text, range, weir_side, floor_side)                                                   \
    {                                                                                              \
        .name = text, .unit = "records", .record_size = 1024, .batch_size = 16 * 1024,             \
        .range_size = range, .prepare = fill, .weir = weir_side, .floor = floor_side,              \
        .finish = empty                                                                            \
    }

const struct bench_case read_cases[] = {
        READ("read in 16 KiB ranges", 16 * 1024, read_weir, read_floor),
        READ("read in 1 MiB ranges", MIB, read_weir, read_floor),
        READ("read in 1 MiB ranges, first after start", MIB, read_weir_first, read_floor_first),
};
const size_t n_read_cases = sizeof(read_cases) / sizeof(read_cases[0]);
