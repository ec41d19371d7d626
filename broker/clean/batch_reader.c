/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/clean/batch_reader.h"

#include "common/base/mem.h"
#include "common/base/must.h"

#include <errno.h>
#include <fcntl.h>

static void close_file(struct batch_reader *r)
{
    if (r->io != NULL && r->fd >= 0) {
        (void)r->io->close(r->io->ctx, r->fd); /* read only */
    }
    r->fd = -1;
}

int batch_reader_open(
        struct batch_reader *r, const struct file_io *io, const char *path, int64_t size)
{
    close_file(r);
    r->io = io;
    r->fd = io->open(io->ctx, path, O_RDONLY);
    r->size = size;
    r->at = r->window_at = 0;
    r->n = 0;
    return r->fd < 0 ? err_forward(r->fd) : 0;
}

/* `want` bytes from r->at on in memory, and what comes with them; fewer at the end of the segment. */
static int fill(struct batch_reader *r, size_t want)
{
    int64_t left = r->size - r->at;

    if (r->at >= r->window_at && r->at + (int64_t)want <= r->window_at + (int64_t)r->n) {
        return 0;
    }
    size_t chunk = want > BATCH_READER_CHUNK ? want : BATCH_READER_CHUNK;
    if (chunk > r->cap) {
        uint8_t *bytes = mem_try_alloc(chunk);
        if (bytes == NULL) {
            return err_origin(-ENOMEM);
        }
        mem_free(r->bytes);
        r->bytes = bytes;
        r->cap = chunk;
    }
    r->n = 0;
    size_t size = (int64_t)chunk > left ? (size_t)left : chunk;
    int64_t n = r->io->pread(r->io->ctx, r->fd, r->bytes, size, r->at);
    if (n < 0) {
        return err_forward((int)n);
    }
    r->window_at = r->at;
    r->n = (size_t)n;
    r->n_read += n;
    return 0;
}

int batch_reader_next(struct batch_reader *r, struct batch *ret)
{
    struct batch b;

    if (r->at >= r->size) {
        return BATCH_READER_E_END;
    }
    int e = fill(r, BATCH_HEADER_SIZE);
    for (int i = 0; e == 0; i++) {
        size_t at = (size_t)(r->at - r->window_at);
        size_t have = r->n - at;
        e = batch_parse(r->bytes + at, have, &b);
        if (e != BATCH_E_SHORT || i > 0 || have < BATCH_LENGTH_END) {
            break;
        }
        size_t size = batch_size_peek(r->bytes + at);
        e = size == 0 || (int64_t)size > r->size - r->at ? BATCH_E_LENGTH : fill(r, size);
    }
    if (e < 0) {
        return err_forward(e);
    }
    if (e > 0 || !batch_crc_is_right(&b)) {
        return BATCH_READER_E_BAD;
    }
    r->at += (int64_t)b.size;
    *ret = b;
    return 0;
}

void batch_reader_deinit(struct batch_reader *r)
{
    close_file(r);
    r->bytes = mem_free(r->bytes);
    r->cap = r->n = 0;
}
