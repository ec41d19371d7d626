/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "broker/log/file_io.h"
#include "common/domain/record_batch.h"

/* Reads a segment that does not change any more, batch by batch, each one whole and its checksum right, through a
 * buffer that grows to the largest batch. Owner: one thread. */
struct batch_reader {
    const struct file_io *io;
    int fd;
    int64_t size; /* of the segment */
    int64_t at;   /* of the next batch */
    int64_t n_read;
    uint8_t *bytes;
    size_t cap;
    int64_t window_at; /* `n` bytes from there are in memory */
    size_t n;
};

enum {
    BATCH_READER_E_END = 1,
    BATCH_READER_E_BAD = 2, /* there is no batch, or its checksum is wrong */
    BATCH_READER_CHUNK = 1024 * 1024
};

/* Zero-initialised is closed; opens another file also when one was open. Negative: errno. */
MUST_CHECK int batch_reader_open(
        struct batch_reader *r, const struct file_io *io, const char *path, int64_t size);
/* Valid until the next call. > 0: END, BAD. Negative: errno, -ENOMEM among them. */
MUST_CHECK int batch_reader_next(struct batch_reader *r, struct batch *ret);
void batch_reader_deinit(struct batch_reader *r);
