/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/batch_head.h"

#include "common/base/crc.h"
#include "common/base/must.h"

/* As laid out in common/domain/record_batch.h. */
enum {
    AT_BASE_OFFSET = 0,
    AT_LEADER_EPOCH = 12,
    AT_MAGIC = 16,
    AT_CRC = 17,
    AT_CRC_BEGIN = 21,
    AT_LAST_OFFSET_DELTA = 23,
    AT_MAX_TIMESTAMP = 35,
    AT_PRODUCER_ID = 43,
    AT_PRODUCER_EPOCH = 51,
    AT_BASE_SEQUENCE = 53,
    AT_RECORDS = 57,
};

void file_window_init(struct file_window *w,
        const struct file_io *io,
        int fd,
        int64_t file_size,
        uint8_t *bytes,
        size_t cap)
{
    must(cap >= BATCH_HEADER_SIZE);
    *w = (struct file_window){
            .io = io, .fd = fd, .file_size = file_size, .bytes = bytes, .cap = cap};
}

int file_window_get(struct file_window *w, int64_t at, size_t size, const uint8_t **ret)
{
    must(size <= w->cap);
    if (at < 0 || at > w->file_size || (int64_t)size > w->file_size - at) {
        *ret = NULL;
        return 0;
    }
    if (at < w->at || at + (int64_t)size > w->at + (int64_t)w->n) {
        int64_t left = w->file_size - at;
        size_t want = left < (int64_t)w->cap ? (size_t)left : w->cap;
        int64_t n = w->io->pread(w->io->ctx, w->fd, w->bytes, want, at);
        if (n < 0) {
            w->n = 0;
            return err_forward((int)n);
        }
        w->at = at;
        w->n = (size_t)n;
    }
    *ret = w->n >= size + (size_t)(at - w->at) ? w->bytes + (at - w->at) : NULL;
    return 0;
}

int batch_head_read(struct file_window *w, int64_t at, struct batch_head *ret)
{
    const uint8_t *p = NULL;
    int r = file_window_get(w, at, BATCH_HEADER_SIZE, &p);

    if (r < 0) {
        return err_forward(r);
    }
    if (p == NULL || p[AT_MAGIC] != BATCH_MAGIC) {
        return BATCH_HEAD_E_BAD;
    }
    struct batch_head h = {
            .at = at,
            .size = (int64_t)batch_size_peek(p),
            .base = (offset64)load_be64(p + AT_BASE_OFFSET),
            .leader_epoch = (epoch32)load_be32(p + AT_LEADER_EPOCH),
            .crc = load_be32(p + AT_CRC),
            .max_timestamp = (wall_ms)load_be64(p + AT_MAX_TIMESTAMP),
            .attributes = load_be16(p + AT_CRC_BEGIN),
            .producer_id = (int64_t)load_be64(p + AT_PRODUCER_ID),
            .producer_epoch = (int16_t)load_be16(p + AT_PRODUCER_EPOCH),
            .base_sequence = (int32_t)load_be32(p + AT_BASE_SEQUENCE),
            .n_records = (int32_t)load_be32(p + AT_RECORDS),
    };
    int32_t delta = (int32_t)load_be32(p + AT_LAST_OFFSET_DELTA);
    /* The end of the log, last + 1, must still be an offset. */
    if (h.size == 0 || h.size > w->file_size - at || h.base < 0 || delta < 0 ||
            h.base > INT64_MAX - 1 - delta) {
        return BATCH_HEAD_E_BAD;
    }
    h.last = h.base + delta;
    *ret = h;
    return 0;
}

int batch_head_check_crc(struct file_window *w, const struct batch_head *h)
{
    int64_t at = h->at + AT_CRC_BEGIN;
    int64_t end = h->at + h->size;
    uint32_t crc = 0;

    while (at < end) {
        const uint8_t *p = NULL;
        size_t part = end - at < (int64_t)w->cap ? (size_t)(end - at) : w->cap;
        /* What is in memory first, so that a batch that begins in the window is not read twice. */
        if (at >= w->at && at < w->at + (int64_t)w->n) {
            size_t have = (size_t)(w->at + (int64_t)w->n - at);
            part = part < have ? part : have;
        }
        int r = file_window_get(w, at, part, &p);
        if (r < 0) {
            return err_forward(r);
        }
        if (p == NULL) {
            return BATCH_HEAD_E_BAD;
        }
        crc = crc32c(crc, p, part);
        at += (int64_t)part;
    }
    return crc == h->crc ? 0 : BATCH_HEAD_E_BAD;
}
