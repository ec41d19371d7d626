/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "broker/log/file_cache.h"
#include "broker/log/log_dir.h"
#include "common/base/err.h"
#include "common/base/wtime.h"
#include "common/domain/ids.h"
#include "common/domain/record_batch.h"

/* A partition's log: segments of record batches in a folder, appended at the end, read by offset.
 *
 *   <base offset, 20 digits>.log    record batches and nothing else
 *   <base offset, 20 digits>.seal   what a segment holds that is no longer appended to (seal.h)
 *   <base offset, 20 digits>.index  sparse: (relative offset be32, position be32) per
 *                                   index.interval.bytes; a cache, rebuilt on any doubt
 *   <base offset, 20 digits>.timeindex  sparse: (timestamp be64, relative offset be32), with it
 *   leader-epoch-checkpoint         where each leader epoch begins, as Kafka writes it; a hint, made anew on any doubt
 *   partition.metadata              topic, topic id and partition; read before all else
 *
 * The folder is made at the first append. A log is used under its partition's lock; what may run
 * outside it says so. Results: 0; negative errno = the directory is broken (it has been latched
 * failed); > 0 as documented. Every function that touches a file may answer BUSY. Thread: data
 * (under the partition's lock), or as the function says. */
struct plog;

struct plog_config {
    int64_t segment_bytes; /* a larger batch gets a segment of its own; INT32_MAX at most counts */
    int64_t index_interval_bytes;
    int64_t index_bytes; /* of a segment's offset index, and so is its number of entries limited; 0 = not */
    int64_t segment_ms;  /* a segment takes no batch that is so much younger than its first; 0 = any */
    int64_t segment_jitter_ms; /* a part of this, fixed for each segment, is subtracted from segment_ms */
};

struct plog_open_stats {
    bool existed;      /* the folder was there */
    bool lost;         /* it was not, but the checkpoint knows records of it: not merely new */
    int64_t cut_bytes; /* torn tail removed */
    int64_t scanned_bytes;
};

enum {
    PLOG_E_FULL = 1,         /* no space; nothing was changed */
    PLOG_E_OUT_OF_RANGE = 2, /* below log start or above the log end */
    /* Bytes below the recovery point fail their checks: never cut, the replica is failed. */
    PLOG_E_DAMAGED = 3,
    PLOG_E_NOT_FOUND = 4,
    /* The folder of that name holds another topic's log: it must be moved to .trash first. */
    PLOG_E_FOREIGN = 5,
    /* No descriptor or memory left in the process; nothing was changed, try again. */
    PLOG_E_BUSY = 6,
    /* plog_read_checked: nothing can be given without reading from the disk first. */
    PLOG_E_COLD = 20,
};

/* Opens the log of a partition: recovers what is there, or remembers that there is nothing yet.
 *
 * Scanned (length, magic, CRC, offsets dense, leader epochs not falling) is everything from the
 * segment that holds the checkpoint's recovery point on; when the kernel did not die (crash kind
 * CLEAN or PROC) that segment is scanned from the index entry at or below the recovery point only.
 * Older segments must chain up and end with a whole batch. The first bad byte at or above the
 * recovery point cuts the tail, synced before this returns; bad bytes or missing ones below it are
 * DAMAGED, and nothing is changed. > 0: DAMAGED, FOREIGN, FULL, BUSY. Negative: the directory has been latched, or
 * (-ECANCELED) log_dir_interrupt() was called. Thread: control or pool, before the partition serves. */
MUST_CHECK int plog_open(struct log_dir *dir,
        struct file_cache *files,
        const char *topic,
        const struct uuid *topic_id,
        int32_t partition,
        const struct plog_config *config,
        struct plog **ret,
        struct plog_open_stats *ret_stats);
/* [LOG-77] An empty log that begins at `start`, of a partition that has no folder now and had none (log_trash_put_aside())
 * or an empty one; what the checkpoint says of it is not asked. Touches no file. Thread: any. */
struct plog *plog_new_at(struct log_dir *dir,
        struct file_cache *files,
        const char *topic,
        const struct uuid *topic_id,
        int32_t partition,
        const struct plog_config *config,
        offset64 start);
/* How many bytes of batches plog_open() would check, closely: what lies above the recovery point, and what is below it in
 * its segment, back to the last index entry (HOST: to the segment's begin). Reads names, sizes and one index; changes
 * nothing. 0 also when it cannot be told. `folder` = "<topic>-<p>". Thread: pool, before the log is opened. */
int64_t plog_scan_size(struct log_dir *dir,
        struct file_cache *files,
        const char *folder,
        const struct uuid *topic_id,
        int32_t partition);
/* Closes without syncing (plog_flush_* first for an orderly stop). Slices that were given stay
 * readable. Takes NULL. */
struct plog *plog_close(struct plog *l);
void plog_set_config(struct plog *l, const struct plog_config *config);

offset64 plog_start(const struct plog *l);
offset64 plog_end(const struct plog *l);            /* next offset to be given (LEO) */
offset64 plog_end_after_cut(const struct plog *l);  /* the same, when a truncation under way is over */
offset64 plog_recovery_point(const struct plog *l); /* everything below is synced */
/* The same for who confirms it: an empty log without a segment lacks nothing on the disk, wherever it begins. */
offset64 plog_synced_end(const struct plog *l);
int64_t plog_bytes(const struct plog *l);
epoch32 plog_last_epoch(const struct plog *l); /* of the last batch, EPOCH_NONE when empty */
const char *plog_folder(const struct plog *l); /* "<topic>-<p>" */
struct log_dir *plog_dir(const struct plog *l);

/* Appends one validated batch (`b` describes `bytes`): stamps base offset = plog_end() and the
 * epoch into `bytes`, writes, updates the indexes, rolls first when the segment is full [LOG-1] or old [LOG-2]. The epoch is
 * at least plog_last_epoch(). A short write is cut back and reported as PLOG_E_FULL. *ret_base =
 * its first offset. > 0: FULL, BUSY. */
MUST_CHECK int plog_append(struct plog *l,
        uint8_t *bytes,
        const struct batch *b,
        epoch32 leader_epoch,
        offset64 *ret_base);

/* As plog_append() to an empty log, of a batch that holds plog_start() but begins below it: the log begins with it, its
 * start stays. The epoch and base offset are the batch's own. > 0: FULL, BUSY; OUT_OF_RANGE: the log is made already, or
 * half; it must be begun anew. */
MUST_CHECK int plog_append_first(
        struct plog *l, uint8_t *bytes, const struct batch *b, epoch32 leader_epoch);

/* [LOG-4] Begins a new segment when the first batch of the active one is older than segment_ms at the wall clock's `now`,
 * also when nothing is appended. > 0: FULL, BUSY. */
MUST_CHECK int plog_roll_if_old(struct plog *l, wall_ms now, bool *ret_rolled);
/* Begins a new segment, so that all there is may be removed or compacted; nothing to do when the active one has no
 * batches. > 0: FULL, BUSY (as while its end is being cut off). */
MUST_CHECK int plog_roll_active(struct plog *l);
/* This broker leads under `epoch` from now on, from plog_end(l): so plog_epoch_end() knows it before something is
 * appended. No file is touched. */
void plog_begin_epoch(struct plog *l, epoch32 epoch);
/* [LOG-61] The largest leader epoch that is not above `asked`, and the offset where it ends (that of the newest epoch:
 * plog_end). An epoch before all that are known: (asked, where the first known one begins), for nothing of it is here.
 * Both -1 when nothing is known. > 0: DAMAGED, FULL, BUSY. */
MUST_CHECK int plog_epoch_end(
        struct plog *l, epoch32 asked, epoch32 *ret_epoch, offset64 *ret_end);

/* The leader epoch of what stands at `offset`, as far as is known; EPOCH_NONE: nothing does. */
epoch32 plog_epoch_at(const struct plog *l, offset64 offset);

/* A run of whole batches in one file. The file is held: release it with cached_file_release(file).
 * */
struct plog_slice {
    struct cached_file *file; /* NULL = empty slice */
    int fd;
    int64_t at;
    size_t size;
    bool older_segment; /* the offset lies on a segment before the active one */
    bool is_cut;        /* plog_read_checked: it ends where what is known to be right ends */
};

/* The batches from the one that holds `offset` on, ending before `limit` (exclusive: high watermark
 * for consumers) and within `max_bytes`, except that the first batch is given whole when
 * `first_whole`. offset == limit or == end: an empty slice, also when `offset` is between limit and
 * end, or when the first batch does not end before `limit`. A slice never spans segments, and
 * begins with the whole batch that holds `offset`. > 0: OUT_OF_RANGE, DAMAGED, BUSY. */
MUST_CHECK int plog_read(struct plog *l,
        offset64 offset,
        offset64 limit,
        size_t max_bytes,
        bool first_whole,
        struct plog_slice *ret);
/* As plog_read, but gives only bytes that are known to be right in this run (written, scanned or
 * checked by it), and, unless `may_wait`, looks only at what is in memory: it does not wait for a
 * disk, but for opening a file. Whether the slice is in memory is the caller's to see. > 0: also
 * COLD: read and check them with plog_check.h, then come again. */
MUST_CHECK int plog_read_checked(struct plog *l,
        offset64 offset,
        offset64 limit,
        size_t max_bytes,
        bool first_whole,
        bool may_wait,
        struct plog_slice *ret);
/* How many bytes plog_read (with first_whole) would give, without holding a file, for min_bytes
 * accounting; 0 when out of range or not readable. */
size_t plog_readable(struct plog *l, offset64 offset, offset64 limit, size_t max_bytes);

/* The first batch below `limit` whose max timestamp is >= t; > 0: NOT_FOUND, DAMAGED, BUSY. The
 * caller finds the record inside. Reads a look-up of the time index and some headers [LOG-8]. */
MUST_CHECK int plog_find_time(struct plog *l, wall_ms t, offset64 limit, struct plog_slice *ret);
/* The first batch below `limit` that has the largest max timestamp; > 0 as above. */
MUST_CHECK int plog_find_max_time(struct plog *l, offset64 limit, struct plog_slice *ret);

/* Syncing without the partition's lock: begin and end under the lock, run outside it on the pool.
 * It covers all that was appended before begin, over several segments (else it says so). The log
 * lives until end. */
struct plog_flush;
/* NULL = nothing unsynced. With very many unsynced segments it covers the oldest of them. */
struct plog_flush *plog_flush_begin(struct plog *l);
/* Negative: the directory has been latched; but where log_dir_is_scarce(), not: nothing was synced,
 * flush again. Thread: pool. */
MUST_CHECK int plog_flush_run(struct plog_flush *f);
/* Moves the recovery point when run succeeded; frees. */
void plog_flush_end(struct plog *l, struct plog_flush *f);
int64_t plog_unsynced_bytes(const struct plog *l);

/* Seals (seal.h) for segments that are not appended to any more and are synced: begin and end under the lock, run
 * outside it on the pool. One at a time; meanwhile nobody cuts or replaces segments that have no seal yet. */
struct plog_seal;
struct plog_seal *plog_seal_begin(struct plog *l); /* NULL = none to be written now */
/* > 0: DAMAGED. Negative: the directory has been latched, unless it is full or scarce: then again. Thread: pool. */
MUST_CHECK int plog_seal_run(struct plog_seal *x);
void plog_seal_end(struct plog *l, struct plog_seal *x);
bool plog_lacks_seals(const struct plog *l); /* or may */

/* --- Segments, for who judges them ------------------------------------------------------------ */

struct plog_segment {
    uint64_t id; /* while the log is open no other has it, also when one takes its place */
    offset64 base, end;
    int64_t size;
    bool has_max_timestamp;
    wall_ms max_timestamp; /* of its records; negative = they have none */
};

size_t plog_n_segments(const struct plog *l);
/* By base; the last is the active one. */
void plog_segment_at(const struct plog *l, size_t i, struct plog_segment *ret);

/* A segment's times, from its file, outside the lock: begin and end under it, run on the pool. */
struct plog_look;
/* > 0: BUSY. */
MUST_CHECK int plog_look_begin(struct plog *l, size_t i, struct plog_look **ret);
/* *ret_modified = when it was last written to. > 0: DAMAGED. Negative: the directory has been latched; but where
 * log_dir_is_scarce(), not. Thread: pool. */
MUST_CHECK int plog_look_run(struct plog_look *k, wall_ms *ret_max_timestamp, wall_ms *ret_modified);
/* What was found of a whole segment is remembered; frees. */
void plog_look_end(struct plog *l, struct plog_look *k);

/* --- The oldest records go -------------------------------------------------------------------- */

/* [LOG-20] Moves the log start forward, to at most plog_end(); backwards never. What is below is out of range from now
 * on; it is for good once plog_start_saved() was told. */
void plog_set_start(struct plog *l, offset64 offset);
/* The directory's checkpoint has this log start, or a later one, on the disk. */
void plog_start_saved(struct plog *l, offset64 offset);
offset64 plog_saved_start(const struct plog *l);

struct plog_removed {
    uint32_t n_segments;
    int64_t bytes;
    bool wants_flush; /* more can go once the log was flushed */
};

/* Whether a segment, never the active one, lies wholly below the saved log start. */
bool plog_has_removable(const struct plog *l);
/* Takes such segments out of the log; their files are unlinked by plog_reap_*. > 0: BUSY. */
MUST_CHECK int plog_remove_below_start(struct plog *l, wtime now, struct plog_removed *ret);

/* Unlinking what was taken out `delay` or longer ago, as a flush: begin and end under the lock, run outside it. Files that
 * are left when the log is closed go at the next plog_open(). */
struct plog_reap;
/* When the first one is due; WTIME_NEVER = none waits. */
wtime plog_reap_deadline(const struct plog *l, wtime delay);
struct plog_reap *plog_reap_begin(struct plog *l, wtime now, wtime delay); /* NULL = none is due */
/* Negative: the directory has been latched; but where log_dir_is_scarce(), not: to be done again. Thread: pool. */
MUST_CHECK int plog_reap_run(struct plog_reap *r);
void plog_reap_end(struct plog *l, struct plog_reap *r);

/* --- Cutting the end off ------------------------------------------------------------------------------------------- */

/* [LOG-65] In three steps, under one hold of the lock or several:
 *
 *   plog_truncate_begin(l, offset, &end)   finds where, and lowers plog_recovery_point(), perhaps plog_start()
 *   (the caller)                           writes the directory's checkpoints with these; when it cannot:
 *                                          plog_truncate_cancel()
 *   plog_truncate_step(l, &sync)           cuts a part of segments, indexes, epochs and producers' snapshots; done when
 *                                          there is nothing to sync. Who has the producers' state in memory cuts that
 *                                          first (producer_state_truncate() in broker/shell): one that knows of records
 *                                          that were cut answers wrong
 *   plog_cut_sync_run(sync)                without the lock: what the part changed
 *   plog_cut_sync_end(l, sync, r)          then the next part
 *
 * [LOG-66] A batch goes whole: the log ends at `offset`, or before the batch that holds it. Between begin and the end of
 * run nothing is appended and no flush moves the recovery point. Whoever holds a slice of what is cut reads a shorter
 * file. Below the start, above the end, or within what compaction has rewritten: OUT_OF_RANGE. > 0 also: DAMAGED, BUSY
 * (seals or a snapshot are being written, or a compacted segment takes its place: soon again). */
MUST_CHECK int plog_truncate_begin(struct plog *l, offset64 offset, offset64 *ret_end);
struct plog_cut_sync;
/* > 0: BUSY (perhaps a part was done: again, from the first part on), DAMAGED; also of _end(). Thread: pool. */
MUST_CHECK int plog_truncate_step(struct plog *l, struct plog_cut_sync **ret);
/* Takes no lock. Negative: what _end() is told. Thread: pool. */
MUST_CHECK int plog_cut_sync_run(struct plog_cut_sync *sync);
MUST_CHECK int plog_cut_sync_end(struct plog *l, struct plog_cut_sync *sync, int r);
/* All parts at once, for who has no lock to give up. */
MUST_CHECK int plog_truncate_run(struct plog *l);
void plog_truncate_cancel(struct plog *l);

/* Renames the folder into .trash; the log is closed (freed) whatever the result. Syncing that and
 * purging are the directory's business. */
MUST_CHECK int plog_delete(struct plog *l);
