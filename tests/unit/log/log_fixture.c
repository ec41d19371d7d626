/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/log/log_fixture.h"

#include "broker/log/log_trash.h"
#include "common/base/mem.h"
#include "common/obs/log.h"
#include "tests/lib/check.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct faults faults;

/* --- Faults ----------------------------------------------------------------------------------- */

static int fault_open(void *ctx, const char *path, int flags)
{
    if (faults.open_error != 0 && (flags & O_CREAT) != 0) {
        return faults.open_error;
    }
    if (faults.open_any_error != 0) {
        return faults.open_any_error;
    }
    return file_io_posix.open(ctx, path, flags);
}

static int64_t fault_pread(void *ctx, int fd, void *bytes, size_t size, int64_t at)
{
    faults.n_pread++;
    return file_io_posix.pread(ctx, fd, bytes, size, at);
}

static int64_t fault_pwritev(void *ctx, int fd, const struct iovec *iov, int n, int64_t at)
{
    if (++faults.n_pwritev == faults.fail_pwritev_at) {
        if (faults.pwritev_error != 0) {
            return faults.pwritev_error;
        }
        struct iovec part = {.iov_base = iov[0].iov_base, .iov_len = (size_t)faults.pwritev_short};
        return file_io_posix.pwritev(ctx, fd, &part, 1, at);
    }
    return file_io_posix.pwritev(ctx, fd, iov, n, at);
}

static int fault_truncate(void *ctx, int fd, int64_t size)
{
    return faults.truncate_error != 0 ? faults.truncate_error
                                      : file_io_posix.truncate(ctx, fd, size);
}

static int fault_reserve(void *ctx, int fd, int64_t at, int64_t size)
{
    faults.n_reserve++;
    return faults.reserve_error != 0 ? faults.reserve_error
                                     : file_io_posix.reserve(ctx, fd, at, size);
}

static int fault_datasync(void *ctx, int fd)
{
    faults.n_datasync++;
    return faults.datasync_error; /* no test cuts the power: nothing is really synced */
}

static int fault_sync_dir(void *ctx, const char *path)
{
    faults.n_sync_dir++;
    return faults.sync_dir_error;
}

static int fault_close(void *ctx, int fd)
{
    return file_io_posix.close(ctx, fd);
}

static int64_t fault_size(void *ctx, int fd)
{
    return file_io_posix.size(ctx, fd);
}

static int64_t fault_modified(void *ctx, int fd)
{
    return file_io_posix.modified(ctx, fd);
}

static int64_t fault_size_of(void *ctx, const char *path)
{
    return file_io_posix.size_of(ctx, path);
}

static int fault_rename(void *ctx, const char *from, const char *to)
{
    return file_io_posix.rename(ctx, from, to);
}

static int fault_unlink(void *ctx, const char *path)
{
    return file_io_posix.unlink(ctx, path);
}

static int fault_mkdir(void *ctx, const char *path)
{
    return file_io_posix.mkdir(ctx, path);
}

static int fault_rmdir(void *ctx, const char *path)
{
    return file_io_posix.rmdir(ctx, path);
}

static int fault_list(void *ctx,
        const char *path,
        void (*each)(void *arg, const char *name, bool is_dir),
        void *arg)
{
    return file_io_posix.list(ctx, path, each, arg);
}

static int fault_space(void *ctx, const char *path, uint64_t *ret_total, uint64_t *ret_free)
{
    return file_io_posix.space(ctx, path, ret_total, ret_free);
}

static int fault_lock(void *ctx, int fd)
{
    return file_io_posix.lock(ctx, fd);
}

static int fault_identity(void *ctx, const char *path, struct file_identity *ret)
{
    return file_io_posix.identity(ctx, path, ret);
}

static int fault_random(void *ctx, void *bytes, size_t size)
{
    return file_io_posix.random(ctx, bytes, size);
}

static int64_t fault_pread_hot(void *ctx, int fd, void *bytes, size_t size, int64_t at)
{
    faults.n_pread_hot++;
    return faults.is_cold ? -EAGAIN : file_io_posix.pread_hot(ctx, fd, bytes, size, at);
}

static bool fault_is_hot(void *ctx, int fd, int64_t at, int64_t size)
{
    return !faults.is_cold && file_io_posix.is_hot(ctx, fd, at, size);
}

static void fault_advise(void *ctx, int fd, int64_t at, int64_t size, enum file_advice advice)
{
    file_io_posix.advise(ctx, fd, at, size, advice);
}

const struct file_io fault_io = {
        .open = fault_open,
        .close = fault_close,
        .pread = fault_pread,
        .pread_hot = fault_pread_hot,
        .is_hot = fault_is_hot,
        .advise = fault_advise,
        .pwritev = fault_pwritev,
        .size = fault_size,
        .size_of = fault_size_of,
        .modified = fault_modified,
        .truncate = fault_truncate,
        .reserve = fault_reserve,
        .datasync = fault_datasync,
        .sync_dir = fault_sync_dir,
        .rename = fault_rename,
        .unlink = fault_unlink,
        .mkdir = fault_mkdir,
        .rmdir = fault_rmdir,
        .list = fault_list,
        .space = fault_space,
        .lock = fault_lock,
        .identity = fault_identity,
        .random = fault_random,
};

void fault_reset(void)
{
    faults = (struct faults){0};
}

/* --- The temporary folder --------------------------------------------------------------------- */

static char root[64];

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

static void remove_root(void)
{
    (void)nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

char *fixture_path(const char *name)
{
    static unsigned n;

    if (root[0] == '\0') {
        const char *base = getenv("TMPDIR");
        (void)snprintf(root, sizeof(root), "%.40s/weir-log-XXXXXX", base != NULL ? base : "/tmp");
        CHECK(mkdtemp(root) != NULL);
        (void)atexit(remove_root);
    }
    return mem_format("%s/%s-%u", root, name, n++);
}

static void drop_line(void *ctx, const char *text)
{
    (void)ctx;
    (void)text;
}

/* --- Directory and logs ----------------------------------------------------------------------- */

struct log_dir *fixture_open_dir(const char *path)
{
    struct log_dir *d = NULL;
    char error[256] = "";

    CHECK_EQ(log_dir_open(&fault_io, path, 1, &d, error, sizeof(error)), 0);
    return d;
}

void fixture_open(struct fixture *f)
{
    struct uuid cluster = {{7}};

    fault_reset();
    log_set_sink(drop_line, NULL);
    *f = (struct fixture){.config = {.segment_bytes = 4096, .index_interval_bytes = 256}};
    f->topic_id = (struct uuid){{1, 2, 3}};
    f->path = fixture_path("dir");
    f->dir = fixture_open_dir(f->path);
    CHECK_EQ(log_dir_adopt(f->dir, &cluster), 0);
    CHECK_EQ(log_dir_begin_run(f->dir, 100), 0);
    f->files = file_cache_new(&fault_io, 8);
}

void fixture_restart(struct fixture *f, bool is_clean)
{
    CHECK_EQ(log_dir_settled(f->dir), 0);
    if (is_clean) {
        CHECK_EQ(log_dir_mark_clean(f->dir, 100, 1), 0);
    }
    f->dir = log_dir_close(f->dir);
    f->dir = fixture_open_dir(f->path);
}

void fixture_close(struct fixture *f)
{
    f->dir = log_dir_close(f->dir);
    f->files = file_cache_free(f->files);
    f->path = mem_free(f->path);
}

int fixture_try_plog(
        struct fixture *f, const char *topic, struct plog **ret, struct plog_open_stats *stats)
{
    return plog_open(f->dir, f->files, topic, &f->topic_id, 0, &f->config, ret, stats);
}

struct plog *fixture_plog(struct fixture *f, const char *topic, struct plog_open_stats *stats)
{
    struct plog *l = NULL;

    CHECK_EQ(fixture_try_plog(f, topic, &l, stats), 0);
    return l;
}

void fixture_batch(struct buf *out, int n, size_t value_size, wall_ms timestamp)
{
    struct batch_builder bb = {0};
    struct batch_build_options opt = {.producer_id = -1, .producer_epoch = -1, .base_sequence = -1};
    char *value = mem_alloc(value_size + 1);

    memset(value, 'x', value_size);
    for (int i = 0; i < n; i++) {
        struct record r = {.timestamp = timestamp,
                .value = {.at = (const uint8_t *)value, .size = value_size}};
        batch_builder_add(&bb, &r, NULL);
    }
    batch_builder_finish(&bb, &opt, CODEC_NONE, (struct bytes){0}, out);
    batch_builder_deinit(&bb);
    mem_free(value);
}

int fixture_append(struct plog *l, int n, size_t value_size, wall_ms timestamp)
{
    struct buf bytes = {0};
    struct batch b;
    offset64 base = OFFSET_NONE, end = plog_end(l);
    epoch32 epoch = plog_last_epoch(l) < 0 ? 0 : plog_last_epoch(l);

    fixture_batch(&bytes, n, value_size, timestamp);
    CHECK_EQ(batch_parse(bytes.data, bytes.size, &b), 0);
    int r = plog_append(l, bytes.data, &b, epoch, &base);
    buf_deinit(&bytes);
    CHECK_EQ(base, r == 0 ? end : OFFSET_NONE);
    CHECK_EQ(plog_end(l), r == 0 ? end + n : end);
    return r;
}

void fixture_flush(struct plog *l)
{
    for (struct plog_flush *f = plog_flush_begin(l); f != NULL; f = plog_flush_begin(l)) {
        offset64 before = plog_recovery_point(l);
        bool is_behind = before < plog_end(l);
        CHECK_EQ(plog_flush_run(f), 0);
        plog_flush_end(l, f);
        CHECK(plog_recovery_point(l) > before || !is_behind);
    }
    CHECK_EQ(plog_unsynced_bytes(l), 0);
    CHECK_EQ(plog_recovery_point(l), plog_end(l));
}

void fixture_checkpoint(struct fixture *f, struct plog *l, const struct uuid *topic_id)
{
    struct checkpoint_entry e = {.topic_id = *topic_id,
            .recovery_point = plog_recovery_point(l),
            .high_watermark = plog_recovery_point(l),
            .log_start = plog_start(l)};

    CHECK_EQ(log_dir_write_checkpoints(f->dir, &e, 1), 0);
}

/* --- Files ------------------------------------------------------------------------------------ */

char *fixture_file(struct fixture *f, const char *folder, const char *name)
{
    return mem_format("%s/%s/%s", f->path, folder, name);
}

void flip_byte(const char *path, int64_t at)
{
    uint8_t byte = 0;
    int fd = open(path, O_RDWR | O_CLOEXEC);

    CHECK(fd >= 0);
    CHECK_EQ(pread(fd, &byte, 1, at), 1);
    byte ^= 0x10;
    CHECK_EQ(pwrite(fd, &byte, 1, at), 1);
    (void)close(fd);
}

void cut_file(const char *path, int64_t size)
{
    CHECK_EQ(truncate(path, size), 0);
}

int64_t file_size_of(const char *path)
{
    return file_io_posix.size_of(NULL, path);
}

void write_file(const char *path, const void *bytes, size_t size)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);

    CHECK(fd >= 0);
    CHECK_EQ(write(fd, bytes, size), (ssize_t)size);
    (void)close(fd);
}

static enum log_trash_verdict purge_all(
        void *ctx, const struct uuid *topic_id, int32_t partition)
{
    return LOG_TRASH_PURGE;
}

int fixture_purge_trash(struct log_dir *dir)
{
    const struct log_trash_judge judge = {.judge = purge_all};
    int r = log_trash_sweep(dir, &judge);

    if (r == LOG_TRASH_E_NAMED) { /* as if a checkpoint file of nothing had been written */
        (void)log_trash_remember(dir, NULL, 0);
        r = log_trash_sweep(dir, &judge);
    }
    return r;
}
