/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "broker/log/batch_head.h"
#include "broker/log/checked_ranges.h"
#include "broker/log/offset_index.h"
#include "broker/log/time_index.h"

/* One file of a log: batches from offset `base` to `end` (exclusive) in `size` bytes, and its
 * indexes. The last segment of a log is the active one, the others never change. Used under the log's
 * lock; what a function does to files goes through the file cache, so a segment costs no descriptor
 * while nobody uses it.
 *
 * `size` counts whole, accepted batches only; the file may be longer while a write is under way or
 * after it failed. */
struct segment {
    uint64_t id; /* unique in its log while it is open: tells it from another one that took its place */
    offset64 base, end;
    int64_t size;
    int64_t synced;    /* bytes known to be on the disk */
    uint32_t n_cuts;        /* of the file's end, one counted for what an earlier run may have cut; */
    uint32_t n_cuts_synced; /* of these: else the file may come back longer after a power failure */
    int64_t index_due; /* bytes since the last index entry */
    bool is_sealed;    /* its seal is on the disk: it is not appended to, cut or changed any more */
    bool is_compacted; /* offsets inside may be missing; `end` is where the next one begins */
    uint64_t heads;    /* batch_head_digest() of its batches, when has_heads */
    bool has_heads;
    epoch32 last_epoch; /* of its last batch as far as known, EPOCH_NONE without any */
    int64_t reserved; /* how far blocks were asked for ahead of the data in this run */
    wall_ms first_timestamp; /* of its first batch, as a batch has it: the largest one, or -1 */
    bool has_first_timestamp; /* else it is looked up when first asked for */
    wall_ms seen_at; /* when its age was first asked for; 0 = not yet */
    wall_ms max_timestamp;
    bool has_max_timestamp; /* else it is looked up when first asked for */
    offset64 max_timestamp_offset; /* the last one of the first batch with it; OFFSET_NONE = not known, or no batch */
    offset64 tail_base; /* the batch of the last offset entry begins there; `base` without any */
    uint32_t n_times_synced; /* so many entries of `times` are on the disk for sure */
    wall_ms indexed_timestamp; /* of the last entry of `times`, -1 without any; while has_max_timestamp */
    struct cached_file *log;
    struct sparse_index index; /* offset_index.h */
    struct sparse_index times; /* time_index.h */
    struct checked_ranges checked; /* what this run wrote, scanned or checked; below `size` */
};

enum {
    SEGMENT_E_BAD = 1,  /* the bytes are not the batches that should be there */
    SEGMENT_E_NONE = 2, /* no batch at or above the offset is left in it: see the next one */
    SEGMENT_SIZE_MAX = INT32_MAX,
};

/* "<folder>/<base, 20 digits><suffix>"; mem_free. */
char *segment_path(const char *folder_path, offset64 base, const char *suffix);
/* The base offset of such a name, without its folder; `suffix` NULL = any that begins with a dot. */
bool segment_name_parse(const char *name, const char *suffix, offset64 *ret);
/* [LOG-11] Whether a batch that begins with `base` may come where `next` is to come. */
bool segment_may_follow(const struct segment *s, offset64 next, offset64 base);

/* Sets up the object; no file is touched. `folder_path` is the partition's folder. */
void segment_init(
        struct segment *s, struct file_cache *files, const char *folder_path, offset64 base);
/* Forgets the files. */
void segment_deinit(struct segment *s);
/* Makes empty files. On failure nothing is left behind that would be taken for data. */
MUST_CHECK int segment_create_files(const struct file_io *io, struct segment *s);
MUST_CHECK int segment_unlink_files(const struct file_io *io, struct segment *s);

/* Counts a batch at the end: end, size, largest timestamp, and entries in the indexes once
 * `index_interval` bytes went by without one. The batch is in the file already.
 *
 * [LOG-7] An entry of the offset index stands only where the time index knows the largest timestamp up to its batch: that
 * of the time index is written first, and without it there is none. */
MUST_CHECK int segment_note_batch(const struct file_io *io,
        struct segment *s,
        const struct batch_head *h,
        int64_t index_interval);

/* The header of the batch that holds `offset` (base <= offset < end), or follows it where compaction removed that. `w` is
 * a window over the log file. > 0: BAD, NONE. */
MUST_CHECK int segment_locate(const struct file_io *io,
        struct segment *s,
        struct file_window *w,
        offset64 offset,
        struct batch_head *ret);
/* From the batch `first` on: where the run of whole batches ends that stays below `limit` and
 * within `size_max` bytes; at least after `first`. *ret_end_offset = the offset there. > 0: BAD. */
MUST_CHECK int segment_run_end(const struct file_io *io,
        struct segment *s,
        struct file_window *w,
        const struct batch_head *first,
        offset64 limit,
        int64_t size_max,
        int64_t *ret_end,
        offset64 *ret_end_offset);

/* --- Times (segment_times.c) ------------------------------------------------------------------ */

/* [LOG-12] Whether the next sync must take the time index too: what it says of the largest timestamp no batch behind the
 * last offset entry would say. */
bool segment_needs_times_synced(const struct segment *s);
/* The last entry of the time index: the largest timestamp so far, unless it is there or no batch has one. */
MUST_CHECK int segment_index_max_time(const struct file_io *io, struct segment *s);
/* Sets the largest timestamp of the batches before the one of offset entry `e`, from the time index, whose entries from
 * there on are cut off. What `e`'s batch has is not in it. *ret_sound = false: the entry does not say what stands in its
 * batch, and nothing is known. */
MUST_CHECK int segment_take_times_before(const struct file_io *io,
        struct segment *s,
        struct file_window *w,
        const struct index_entry *e,
        bool *ret_sound);
/* Looks up the largest timestamp, when it is not known: by the indexes and the headers behind their last entries. > 0:
 * BAD. */
MUST_CHECK int segment_know_max_time(const struct file_io *io, struct segment *s);
/* Where a walk to the first batch with a timestamp of at least `t` may begin. > 0: BAD. */
MUST_CHECK int segment_locate_time(const struct file_io *io,
        struct segment *s,
        struct file_window *w,
        wall_ms t,
        int64_t *ret_at);
/* The batch that time entry `e` stands for; *ret_found = false: the entry is wrong. > 0: BAD. */
MUST_CHECK int segment_batch_of_time(const struct file_io *io,
        struct segment *s,
        struct file_window *w,
        const struct time_entry *e,
        struct batch_head *ret,
        bool *ret_found);
