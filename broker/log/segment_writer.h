/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "broker/log/batch_head.h"
#include "common/base/bytes.h"

/* Writes a segment anew beside the log, as `<base>.log.cleaned`, `.index.cleaned` and `.timeindex.cleaned`: what compaction
 * leaves of others, and the index entries that appending it would have made. Nobody reads it before it is whole and has
 * taken their place (plog_swap.h). Owner: one thread. */
struct segment_writer {
    const struct file_io *io;
    char *log_path, *index_path, *times_path;
    int fd;
    offset64 base, end;
    int64_t size;       /* added, some of it still in `out` */
    int64_t written;    /* in the file */
    int64_t index_interval, index_due;
    wall_ms max_timestamp;
    offset64 max_timestamp_offset; /* the last one of the first batch with it */
    wall_ms indexed_timestamp;     /* of the last entry of `times`, -1 without any */
    uint64_t heads; /* as a seal has them */
    epoch32 last_epoch;
    struct buf out, index, times;
};

enum {
    SEGMENT_WRITER_CHUNK = 1024 * 1024
};

/* Replaces what an earlier attempt left. Negative: errno, nothing to close. */
MUST_CHECK int segment_writer_open(struct segment_writer *w,
        const struct file_io *io,
        const char *folder_path,
        offset64 base,
        int64_t index_interval);
/* A whole batch; its offsets are above all before. */
MUST_CHECK int segment_writer_add(struct segment_writer *w, const struct batch *b);
/* Writes the rest, syncs the files and closes them. Their names are not synced. */
MUST_CHECK int segment_writer_finish(struct segment_writer *w);
/* Closes, if open, and frees; `is_wanted` false: removes the files. */
void segment_writer_deinit(struct segment_writer *w, bool is_wanted);
uint32_t segment_writer_n_index(const struct segment_writer *w);
uint32_t segment_writer_n_times(const struct segment_writer *w);
