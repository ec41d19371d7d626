/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "broker/log/file_io.h"
#include "common/domain/record_batch.h"

/* What a log needs to know of a batch in a file without reading its records, and a window through
 * which files are walked from header to header. Owner: one thread. */
struct batch_head {
    int64_t at;
    int64_t size; /* whole batch */
    offset64 base, last;
    epoch32 leader_epoch;
    uint32_t crc;
    wall_ms max_timestamp;
    uint16_t attributes;
    int64_t producer_id; /* -1 = none */
    int16_t producer_epoch;
    int32_t base_sequence;
    int32_t n_records;
};

/* [LOG-52] The largest timestamp of its records, negative when it has none: what compaction left empty says nothing of
 * times, whatever stands in its header. */
static inline wall_ms batch_head_time(const struct batch_head *h)
{
    return h->n_records != 0 ? h->max_timestamp : -1;
}

/* `bytes` in memory stand for the file's bytes from `at` on; moved by reading anew. */
struct file_window {
    const struct file_io *io;
    int fd;
    int64_t file_size; /* nothing is looked for beyond */
    uint8_t *bytes;
    size_t cap;
    int64_t at;
    size_t n;
};

enum {
    BATCH_HEAD_E_BAD = 1, /* no batch can stand there, or it goes beyond the end of the file */
    BATCH_HEAD_WALK_SIZE =
            4096, /* a window for walking headers: several small batches in one read */
};

void file_window_init(struct file_window *w,
        const struct file_io *io,
        int fd,
        int64_t file_size,
        uint8_t *bytes,
        size_t cap);
/* `size` <= cap bytes at `at` in memory, valid until the next call; NULL in *ret when the file has
 * fewer. */
MUST_CHECK int file_window_get(struct file_window *w, int64_t at, size_t size, const uint8_t **ret);
/* The header at `at`, checked for what a header alone can show: length, magic, offsets that do not
 * go back. > 0: BAD. */
MUST_CHECK int batch_head_read(struct file_window *w, int64_t at, struct batch_head *ret);
/* Whether the checksum of the batch is right; reads all of it, window by window. > 0: BAD. */
MUST_CHECK int batch_head_check_crc(struct file_window *w, const struct batch_head *h);
