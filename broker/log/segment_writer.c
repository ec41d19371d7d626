/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/segment_writer.h"

#include "broker/log/offset_index.h"
#include "broker/log/seal.h"
#include "broker/log/time_index.h"
#include "common/base/mem.h"
#include "common/base/must.h"

#include <fcntl.h>
#include <inttypes.h>

static int open_empty(const struct file_io *io, const char *path, int *ret_fd)
{
    int fd = io->open(io->ctx, path, O_RDWR | O_CREAT);

    if (fd < 0) {
        return err_forward(fd);
    }
    int r = io->truncate(io->ctx, fd, 0);
    if (r < 0) {
        (void)io->close(io->ctx, fd); /* nothing was written through it */
        return err_forward(r);
    }
    *ret_fd = fd;
    return 0;
}

int segment_writer_open(struct segment_writer *w,
        const struct file_io *io,
        const char *folder_path,
        offset64 base,
        int64_t index_interval)
{
    *w = (struct segment_writer){.io = io,
            .fd = -1,
            .base = base,
            .end = base,
            .index_interval = index_interval,
            .last_epoch = EPOCH_NONE,
            .max_timestamp = INT64_MIN,
            .max_timestamp_offset = OFFSET_NONE,
            .indexed_timestamp = -1};
    w->log_path = mem_format("%s/%020" PRId64 ".log.cleaned", folder_path, base);
    w->index_path = mem_format("%s/%020" PRId64 ".index.cleaned", folder_path, base);
    w->times_path = mem_format("%s/%020" PRId64 ".timeindex.cleaned", folder_path, base);
    int r = open_empty(io, w->log_path, &w->fd);
    if (r < 0) {
        segment_writer_deinit(w, true);
    }
    return r < 0 ? err_forward(r) : 0;
}

static int write_out(struct segment_writer *w)
{
    int r = file_write_all(w->io, w->fd, w->out.data, w->out.size, w->written);

    if (r < 0) {
        return err_forward(r);
    }
    w->written += (int64_t)w->out.size;
    buf_clear(&w->out);
    return 0;
}

/* The largest timestamp so far, unless it stands there. */
static void index_max_time(struct segment_writer *w)
{
    if (w->max_timestamp > w->indexed_timestamp &&
            w->max_timestamp_offset - w->base <= UINT32_MAX) {
        buf_be64(&w->times, (uint64_t)w->max_timestamp);
        buf_be32(&w->times, (uint32_t)(w->max_timestamp_offset - w->base));
        w->indexed_timestamp = w->max_timestamp;
    }
}

int segment_writer_add(struct segment_writer *w, const struct batch *b)
{
    struct batch_head h = {.at = w->size,
            .size = (int64_t)b->size,
            .base = b->base_offset,
            .last = batch_last_offset(b),
            .leader_epoch = b->leader_epoch,
            .crc = b->crc,
            .max_timestamp = b->max_timestamp,
            .n_records = b->n_records};

    must(h.base >= w->end && h.base >= w->base);
    if (batch_head_time(&h) > w->max_timestamp) {
        w->max_timestamp = batch_head_time(&h);
        w->max_timestamp_offset = h.last;
    }
    if (w->index_due > w->index_interval && w->size > 0 && w->size <= UINT32_MAX) {
        index_max_time(w); /* [LOG-7] */
        buf_be32(&w->index, (uint32_t)(h.base - w->base));
        buf_be32(&w->index, (uint32_t)w->size);
        w->index_due = 0;
    }
    w->index_due += h.size;
    buf_append(&w->out, b->bytes, b->size);
    w->size += h.size;
    w->end = h.last + 1;
    w->heads = batch_head_digest(w->heads, &h);
    w->last_epoch = h.leader_epoch;
    int r = w->out.size >= SEGMENT_WRITER_CHUNK ? write_out(w) : 0;
    return r < 0 ? err_forward(r) : 0;
}

static int write_index(struct segment_writer *w, const char *path, const struct buf *entries)
{
    int fd = -1;
    int r = open_empty(w->io, path, &fd);

    if (r < 0) {
        return err_forward(r);
    }
    r = file_write_all(w->io, fd, entries->data, entries->size, 0);
    if (r >= 0) {
        r = w->io->datasync(w->io->ctx, fd);
    }
    int closed = w->io->close(w->io->ctx, fd);
    r = r < 0 ? r : closed;
    return r < 0 ? err_forward(r) : 0;
}

int segment_writer_finish(struct segment_writer *w)
{
    int r = write_out(w);

    if (r >= 0) {
        r = w->io->datasync(w->io->ctx, w->fd);
    }
    if (r >= 0) {
        int fd = w->fd;
        w->fd = -1;
        r = w->io->close(w->io->ctx, fd);
    }
    if (r >= 0) {
        r = write_index(w, w->index_path, &w->index);
    }
    if (r >= 0) {
        index_max_time(w);
        r = write_index(w, w->times_path, &w->times);
    }
    return r < 0 ? err_forward(r) : 0;
}

void segment_writer_deinit(struct segment_writer *w, bool is_wanted)
{
    if (w->log_path == NULL) {
        return;
    }
    if (w->fd >= 0) {
        (void)w->io->close(w->io->ctx, w->fd); /* of no use, or written and synced already */
    }
    if (!is_wanted) { /* what cannot be removed now goes at the next start, or is written over */
        (void)w->io->unlink(w->io->ctx, w->log_path);
        (void)w->io->unlink(w->io->ctx, w->index_path);
        (void)w->io->unlink(w->io->ctx, w->times_path);
    }
    w->log_path = mem_free(w->log_path);
    w->index_path = mem_free(w->index_path);
    w->times_path = mem_free(w->times_path);
    w->fd = -1;
    buf_deinit(&w->out);
    buf_deinit(&w->index);
    buf_deinit(&w->times);
}

uint32_t segment_writer_n_index(const struct segment_writer *w)
{
    return (uint32_t)(w->index.size / INDEX_ENTRY_SIZE);
}

uint32_t segment_writer_n_times(const struct segment_writer *w)
{
    return (uint32_t)(w->times.size / TIME_ENTRY_SIZE);
}
