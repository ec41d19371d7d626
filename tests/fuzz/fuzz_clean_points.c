/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/log_dir_impl.h"
#include "common/base/bytes.h"
#include "common/base/mem.h"
#include "common/obs/log.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/mem_disk.h"

#include <fcntl.h>
#include <string.h>

/* cleaner.ckpt: what is believed is written as it was read; of what is not, nothing is taken. */

enum {
    ENTRY_SIZE = 32
};

static void drop_line(void *ctx, const char *text)
{
}

static void must_be_same(const struct clean_point *a, const struct clean_point *b)
{
    must(memcmp(a->topic_id.bytes, b->topic_id.bytes, sizeof(a->topic_id.bytes)) == 0);
    must(a->partition == b->partition && a->first_dirty == b->first_dirty && a->epoch == b->epoch);
}

static void read_points(struct log_dir *d)
{
    struct clean_point *points = NULL, *again = NULL;
    size_t n = 0, n_again = 0;

    must(log_dir_read_clean_points(d, &points, &n) == 0);
    must(log_dir_write_clean_points(d, points, n) == 0);
    must(log_dir_read_clean_points(d, &again, &n_again) == 0);
    must(n == n_again);
    for (size_t i = 0; i < n; i++) {
        must(points[i].first_dirty >= 0);
        must_be_same(&points[i], &again[i]);
    }
    mem_free(points);
    mem_free(again);
}

/* The bytes as the file, and, because few have a right checksum, as entries of one that has. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mem_disk *disk = mem_disk_new(1);
    const struct file_io *io = mem_disk_io(disk);
    struct log_dir *d = NULL;
    struct buf body = {0};
    char error[256] = "";

    log_set_sink(drop_line, NULL);
    must(log_dir_open(io, "/data", 1, &d, error, sizeof(error)) == 0);
    int fd = io->open(io->ctx, "/data/cleaner.ckpt", O_RDWR | O_CREAT);
    must(fd >= 0);
    must(file_write_all(io, fd, data, size, 0) == 0);
    must(io->close(io->ctx, fd) == 0);
    read_points(d);
    buf_append(&body, data, size / ENTRY_SIZE * ENTRY_SIZE);
    must(entry_file_write(d, "cleaner.ckpt", "weirclnr", 0, size / ENTRY_SIZE, &body) == 0);
    read_points(d);
    buf_deinit(&body);
    d = log_dir_close(d);
    mem_disk_free(disk);
    return 0;
}
