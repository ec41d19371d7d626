/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/plog.h"
#include "broker/log/plog_check.h"
#include "broker/log/plog_scrub.h"
#include "common/base/mem.h"
#include "common/obs/log.h"
#include "tests/fuzz/fuzz.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Hostile bytes as the files of a log. The first byte says how long the first segment is (in
 * 64ths), the second how long the index is, the third where the recovery point is; then come
 * segment, second segment, index. Whatever they are, opening the log gives one that can be read
 * from start to end, and that opens uncut the next time; what is given as checked is right. */

static struct {
    char path[64];
    struct log_dir *dir;
    struct file_cache *files;
    struct file_io io;
} world;

static const struct uuid topic_id = {{1}};
static const struct plog_config config = {.segment_bytes = 1 << 20, .index_interval_bytes = 64};

static int no_sync(void *ctx, int fd)
{
    return 0;
}

static int no_sync_dir(void *ctx, const char *path)
{
    return 0;
}

static void drop_line(void *ctx, const char *text)
{
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return remove(path);
}

static void leave(void)
{
    world.dir = log_dir_close(world.dir);
    world.files = file_cache_free(world.files);
    (void)nftw(world.path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void write_file(const char *name, const void *bytes, size_t size)
{
    char *path = mem_format("%s/orders-0/%s", world.path, name);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);

    must(fd >= 0);
    must(write(fd, bytes, size) == (ssize_t)size);
    (void)close(fd);
    mem_free(path);
}

static void remove_file(const char *name)
{
    char *path = mem_format("%s/orders-0/%s", world.path, name);

    (void)unlink(path);
    mem_free(path);
}

static void open_dir(offset64 recovery_point)
{
    char error[256] = "";
    struct checkpoint_entry e = {.topic_id = topic_id, .recovery_point = recovery_point};

    world.dir = log_dir_close(world.dir);
    must(log_dir_open(&world.io, world.path, 1, &world.dir, error, sizeof(error)) == 0);
    if (recovery_point >= 0) {
        must(log_dir_write_checkpoints(world.dir, &e, 1) == 0);
    }
}

static struct plog *open_log(int *ret, struct plog_open_stats *stats)
{
    struct plog *l = NULL;

    *ret = plog_open(world.dir, world.files, "orders", &topic_id, 0, &config, &l, stats);
    must((l != NULL) == (*ret == 0));
    return l;
}

static void enter(void)
{
    static const struct uuid cluster = {{7}};
    const char *base = getenv("TMPDIR");

    log_set_sink(drop_line, NULL);
    world.io = file_io_posix;
    world.io.datasync = no_sync;
    world.io.sync_dir = no_sync_dir;
    (void)snprintf(
            world.path, sizeof(world.path), "%.40s/weir-fuzz-XXXXXX", base != NULL ? base : "/tmp");
    must(mkdtemp(world.path) != NULL);
    (void)atexit(leave);
    world.files = file_cache_new(&world.io, 16);
    open_dir(0);
    must(log_dir_adopt(world.dir, &cluster) == 0);
    /* The folder with its identity is made as the broker makes it: by a first batch. */
    uint8_t batch[BATCH_HEADER_SIZE] = {0};
    struct batch b = {.bytes = batch, .size = sizeof(batch)};
    offset64 first = 0;
    int r = 0;
    struct plog *l = open_log(&r, NULL);
    must(r == 0);
    must(plog_append(l, batch, &b, 0, &first) == 0);
    (void)plog_close(l);
}

/* From start to end, one batch at a time. */
static void read_all(struct plog *l)
{
    offset64 at = plog_start(l);

    while (at < plog_end(l)) {
        struct plog_slice s = {0};
        uint8_t head[BATCH_HEADER_SIZE];
        must(plog_read(l, at, plog_end(l), 1, true, &s) == 0);
        must(s.file != NULL);
        must(pread(s.fd, head, sizeof(head), s.at) == (ssize_t)sizeof(head));
        must((offset64)load_be64(head) == at);
        must(batch_size_peek(head) == s.size);
        at += (offset64)load_be32(head + 23) + 1;
        cached_file_release(s.file);
    }
    must(at == plog_end(l));
}

/* What is checked is what is right: at most one damage ends a reader. */
static void read_checked(struct plog *l)
{
    offset64 at = plog_start(l);

    while (at < plog_end(l)) {
        struct plog_slice s = {0};
        struct plog_check c;
        struct batch b;
        int r = plog_read_checked(l, at, plog_end(l), 1, true, at % 2 == 0, &s);
        if (r == PLOG_E_COLD) {
            must(plog_check_begin(l, at, plog_end(l), 100, &c) == 0);
            r = plog_check_end(l, &c, plog_check_run(&c));
            must(r == 0 || r == PLOG_E_DAMAGED);
            if (r == PLOG_E_DAMAGED) {
                return;
            }
            r = plog_read_checked(l, at, plog_end(l), 1, true, true, &s);
        }
        must(r == 0);
        must(s.file != NULL);
        uint8_t *bytes = mem_alloc(s.size);
        must(pread(s.fd, bytes, s.size, s.at) == (ssize_t)s.size);
        must(batch_size_peek(bytes) == s.size);
        b = (struct batch){.bytes = bytes, .size = s.size, .crc = load_be32(bytes + 17)};
        must(batch_crc_is_right(&b));
        at += (offset64)load_be32(bytes + 23) + 1;
        mem_free(bytes);
        cached_file_release(s.file);
    }
}

static void scrub_all(struct plog *l)
{
    struct plog_scrub *s = NULL;
    offset64 at = 0;

    while (plog_scrub_begin(l, at, &s) == 0) {
        bool is_done = false, is_index_new = false;
        while (!is_done) {
            int64_t bytes = 0;
            must(plog_scrub_step(s, 1000, &bytes, &is_done) == 0);
        }
        at = plog_scrub_next(s);
        int r = plog_scrub_end(l, s, 0, &is_index_new);
        must(r == 0 || r == PLOG_E_DAMAGED);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int r = 0;
    struct plog_open_stats stats;

    if (size < 3) {
        return 0;
    }
    if (world.dir == NULL) {
        enter();
    }
    size_t left = size - 3;
    size_t index = left * (data[1] % 64) / 64;
    size_t first = (left - index) * (data[0] % 65) / 64;
    const uint8_t *at = data + 3;
    offset64 second_base = first > 0 ? data[2] >> 4 : 7;
    char *second_name = mem_format("%020lld.log", (long long)second_base);
    char *second_index = mem_format("%020lld.index", (long long)second_base);

    if (first > 0) {
        write_file("00000000000000000000.log", at, first);
        write_file("00000000000000000000.index", at + left - index, index);
    }
    if (second_base > 0 && left - index - first > 0) {
        write_file(second_name, at + first, left - index - first);
    }
    open_dir(data[2] & 0xf);
    open_dir(-1); /* reads the checkpoint */
    struct plog *l = open_log(&r, &stats);
    must(r == 0 || r == PLOG_E_DAMAGED);
    if (r == 0) {
        offset64 end = plog_end(l);
        must(end >= plog_recovery_point(l));
        read_all(l);
        read_checked(l);
        scrub_all(l);
        read_all(l);
        (void)plog_close(l);
        l = open_log(&r, &stats);
        must(r == 0 && stats.cut_bytes == 0);
        must(plog_end(l) == end);
        (void)plog_close(l);
    }
    remove_file("00000000000000000000.log");
    remove_file("00000000000000000000.index");
    remove_file(second_name);
    remove_file(second_index);
    mem_free(second_name);
    mem_free(second_index);
    return 0;
}
