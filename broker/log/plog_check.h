/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "broker/log/segment.h"
#include "common/domain/ids.h"

struct plog;

/* A piece of a log is read from the disk and its checksums are checked, outside the log's lock:
 * what plog_read_checked calls COLD is served after it. Begin and end under the lock, run
 * outside it; the log lives until end. The file may be cut, or replaced by another one,
 * meanwhile: then what was seen says nothing, and is forgotten. */
struct plog_check {
    uint64_t segment_id;
    uint32_t n_cuts;
    const struct file_io *io;
    struct segment segment; /* as it was at begin; `checked` is empty */
    int fd;
    bool has_index; /* held */
    offset64 from, limit;
    int64_t max_bytes;

    /* Found: bytes [begin, end) are right. With is_bad the batch behind them is not. */
    struct batch_head first;
    int64_t begin, end;
    bool is_past; /* compaction left nothing of the segment from there on */
    bool is_bad;
    int64_t bad_at;
    offset64 bad_offset;
    const char *why;
};

/* The batch that holds `offset` and those behind it, until `max_bytes` are checked or the segment
 * ends; `limit` as in the read that is to follow. 0: run and end must follow. > 0: PLOG_E_NOT_FOUND
 * (there is no such offset), BUSY. Thread: any. */
MUST_CHECK int plog_check_begin(
        struct plog *l, offset64 offset, offset64 limit, int64_t max_bytes, struct plog_check *ret);
/* 0 also when bytes are not right: end says so. Negative: errno, for end. Thread: any, without the
 * lock. */
MUST_CHECK int plog_check_run(struct plog_check *c);
/* `r` is run's result. 0: what was right may be read from now on, or the segment is not the same
 * any more. > 0: NOT_FOUND (it goes on with the next segment, c->segment.end), DAMAGED (logged:
 * nothing may be served of this log), BUSY; negative as ever. Thread: any. */
MUST_CHECK int plog_check_end(struct plog *l, struct plog_check *c, int r);

/* What a check and a scrub share. */

/* Walks over whole batches of `s` from *at, of offset *next, and checks them, until `max_bytes`
 * went by or the segment ends; `each` (may be NULL) is told of each that is right. *at and *next
 * move behind the last right one. > 0: SEGMENT_E_BAD, with the sentence in *ret_why. */
MUST_CHECK int segment_check_batches(const struct segment *s,
        struct file_window *w,
        int64_t max_bytes,
        int64_t *at,
        offset64 *next,
        void (*each)(void *ctx, const struct batch_head *h),
        void *ctx,
        const char **ret_why);
/* The segment with that id as it was, or NULL: gone, or its file was cut since. */
struct segment *plog_same_segment(struct plog *l, uint64_t id, uint32_t n_cuts);
/* Logs the damage. Returns PLOG_E_DAMAGED. */
int plog_found_damage(const struct plog *l,
        const struct segment *s,
        int64_t at,
        offset64 offset,
        const char *why);
