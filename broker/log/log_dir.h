/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "broker/log/file_io.h"
#include "common/base/uuid.h"
#include "common/domain/ids.h"
#include "common/domain/meta_record.h"

/* One of log.dirs: its lock, identity, markers, catalog and checkpoints.
 *
 *   .lock                 flock: one broker a folder
 *   meta.properties       version=1, cluster.id, broker.id, directory.id
 *   clean.marker          left by an orderly stop {broker_epoch, boot_id, meta_index, crc};
 *                         removed before the first write
 *   run.marker            {boot_id, st_dev, fs id, inode of the folder, broker_epoch} of this run
 *   pending.kind          HOST, kept until this broker has applied its own unfencing (a second
 *                         crash must not hide it); also written when the directory fails
 *   partitions.catalog    the partitions that belong here, with the metadata index as of which
 *   recovery.ckpt         recovery point per partition: below it everything is synced; and log start
 *   hw.ckpt               high watermark and log start per partition
 *   producers.ckpt        partitions that know no producer below their recovery point
 *   scrub.cursor          which segment the background check reads next
 *   cleaner.ckpt          how far each compacted partition has been compacted; may be lost
 *   meta.image            the metadata that the broker had applied, in the first good directory;
 *                         meta.image.former when it was once told less (written by the shell)
 *   <topic>-<p>/          a partition's log; partition.metadata inside holds the topic id
 *   .trash/<topic_id>-<p> deleted logs until they are purged (log_trash.h)
 *   .reserve              blocks that are given up when a checkpoint or marker finds the disk full
 *
 * An I/O error latches the directory failed (log_dir_fail); from then on nothing in it is
 * acknowledged. */
struct log_dir;

enum {
    LOG_DIR_E_LOCKED = 1, /* another process holds it */
    /* Another broker's or another cluster's, or a meta.properties that cannot be read. */
    LOG_DIR_E_FOREIGN = 2,
    LOG_DIR_E_ACCESS = 3, /* missing and not creatable, not a folder, not writable */
};

/* Opens (creating the folder when its parent exists), locks, reads identity and markers; writes
 * nothing else yet. > 0: `error` has the sentence for the person who started the broker. Thread:
 * control, before loops run. */
MUST_CHECK int log_dir_open(const struct file_io *io,
        const char *path,
        broker_id broker,
        struct log_dir **ret,
        char *error,
        size_t error_size);
struct log_dir *log_dir_close(struct log_dir *d); /* releases the lock; no marker is written */

const char *log_dir_path(const struct log_dir *d);
const struct uuid *log_dir_id(const struct log_dir *d);         /* made at first open */
const struct uuid *log_dir_cluster_id(const struct log_dir *d); /* zero = fresh */
/* How the previous run on this directory ended; a fresh directory: CRASH_HOST (it holds nothing).
 * */
/* CLEAN says that the folder is whole, not that it is the newest: a restored old copy is CLEAN with
 * an old log_dir_prev_epoch, which whoever knows this broker's last epoch compares. */
enum crash_kind log_dir_crash_kind(const struct log_dir *d);
int64_t log_dir_prev_epoch(
        const struct log_dir *d); /* broker epoch of the previous run, -1 = none */

/* Writes meta.properties on a fresh directory. > 0: LOG_DIR_E_FOREIGN when it has another
 * cluster's. */
MUST_CHECK int log_dir_adopt(struct log_dir *d, const struct uuid *cluster_id);
/* Before the first write of this run, and again with the epoch once registered: run.marker (and
 * pending.kind when the kind is HOST), then removes clean.marker, all synced. broker_epoch -1 = not
 * known yet: the previous run's stays. */
MUST_CHECK int log_dir_begin_run(struct log_dir *d, int64_t broker_epoch);
/* This broker's own unfencing was applied: a pending HOST is over. */
MUST_CHECK int log_dir_settled(struct log_dir *d);
/* Orderly stop, after every log is flushed and closed and the checkpoints are written. -EIO on a
 * failed directory. */
MUST_CHECK int log_dir_mark_clean(struct log_dir *d, int64_t broker_epoch, uint64_t meta_index);

/* The process is short of descriptors or memory: nothing is wrong with the disk. What a function
 * fails with for this reason never latches a directory and may be tried again. */
bool log_dir_is_scarce(int error);
/* Failure latch: the first one counts, is logged, and is noted on the disk if that can be (so it
 * may block). `error` is an errno of either sign, `why` is copied. Thread: any but the control
 * loop. */
void log_dir_fail(struct log_dir *d, int error, const char *why);
bool log_dir_failed(const struct log_dir *d);
const char *log_dir_failure(const struct log_dir *d); /* sentence, or "" */
/* How long its disk has not answered for, as whoever watches it says; 0 = it answers. Thread: any. */
void log_dir_set_stalled(struct log_dir *d, uint32_t ms);
uint32_t log_dir_stalled_ms(const struct log_dir *d);
/* --- Opening logs ------------------------------------------------------------------------------ */

/* Bytes of batches whose checksums plog_open() has compared there so far. Thread: any. */
int64_t log_dir_scanned_bytes(const struct log_dir *d);
void log_dir_note_scanned(struct log_dir *d, int64_t bytes); /* so many more */
/* From now on plog_open() and plog_replay() there end with -ECANCELED at the next batch. Nothing is latched, and what they
 * left is what a death would have left. Thread: any. */
void log_dir_interrupt(struct log_dir *d);
bool log_dir_is_interrupted(const struct log_dir *d);

/* --- Space ------------------------------------------------------------------------------------ */

struct log_dir_space {
    uint64_t total, free; /* of its file system */
    uint64_t reserve;     /* free space below which appends are refused */
};

/* Measures the file system, judges whether the directory is full, and keeps the reserve file whole while there is
 * room for it. `reserve` in bytes, -1 = a twentieth of the file system, at most 1 GiB. Thread: pool (one caller at a
 * time), main. */
MUST_CHECK int log_dir_measure(struct log_dir *d, int64_t reserve, struct log_dir_space *ret);
/* Free bytes of a file system of `total` at which a directory that was full is in service again. Thread: any. */
uint64_t log_dir_space_wanted(uint64_t total, int64_t reserve);
/* Takes so much of the room that the last measurement left above the reserve; false: it is not there, and nothing may
 * be appended. Before the first measurement there is room for everything. Thread: any. */
bool log_dir_take_room(struct log_dir *d, size_t size);
bool log_dir_is_full(const struct log_dir *d); /* as last measured. Thread: any */
/* A small file beside the checkpoints met `error`: true = the disk is full, and .reserve gave up so
 * much: try once more. Not more than a quarter of it: checkpoints and markers come first.
 * Thread: pool, main. */
bool log_dir_use_reserve_for(struct log_dir *d, int error, size_t size);

/* --- Catalog: which partitions belong here ---------------------------------------------------- */

struct catalog_entry {
    struct uuid topic_id;
    int32_t partition;
};

/* By topic id, then number; for qsort and bsearch among catalog_entry or checkpoint_entry. */
int log_dir_compare_entries(const void *a, const void *b);

/* Replaces the catalog: sorted entries as of metadata `index`, one fsync. Thread: pool (one caller
 * at a time). -ENOSPC and -EDQUOT leave the old one and the directory in service; other failures
 * latch it. */
MUST_CHECK int log_dir_write_catalog(
        struct log_dir *d, uint64_t index, const struct catalog_entry *entries, size_t n);
/* As read at open; index 0 and none when there is no catalog (or it is damaged: then logged and
 * ignored). */
uint64_t log_dir_catalog_index(const struct log_dir *d);
bool log_dir_catalog_has(const struct log_dir *d, const struct uuid *topic_id, int32_t partition);

/* --- Checkpoints ------------------------------------------------------------------------------ */

struct checkpoint_entry {
    struct uuid topic_id;
    int32_t partition;
    offset64 recovery_point;
    offset64 high_watermark;
    offset64 log_start;
    /* [PID-35] Below it there is nothing that the state of producers would need; 0 = not said. */
    offset64 no_producers;
};

/* Whether a log that has no folder is lost: it had records that were not deleted. */
static inline bool checkpoint_names_records(const struct checkpoint_entry *e)
{
    return e->recovery_point > 0 || e->high_watermark > e->log_start;
}

/* [REP-54] What a start may take for committed: of what was not synced some may be lost, and others stand there by now. */
static inline offset64 checkpoint_committed(const struct checkpoint_entry *e)
{
    offset64 sure = e->recovery_point > e->log_start ? e->recovery_point : e->log_start;

    return e->high_watermark < sure ? e->high_watermark : sure;
}

/* Replaces recovery.ckpt, hw.ckpt and producers.ckpt with these entries, in any order: a partition
 * that is not among them has no checkpoint any more. Failures as for the catalog. Thread: pool (one caller at a
 * time). */
MUST_CHECK int log_dir_write_checkpoints(
        struct log_dir *d, const struct checkpoint_entry *entries, size_t n);
/* As read at open, or as noted when the log went to the trash; false when absent (then: recovery
 * point 0, high watermark 0, log start 0). */
bool log_dir_checkpoint(const struct log_dir *d,
        const struct uuid *topic_id,
        int32_t partition,
        struct checkpoint_entry *ret);

/* Below `first_dirty` a log holds one record a key at most, as far as its last batch there has this leader epoch: else
 * it was cut since, and went on otherwise. */
struct clean_point {
    struct uuid topic_id;
    int32_t partition;
    offset64 first_dirty;
    epoch32 epoch;
};

/* Replaces cleaner.ckpt; failures as for the catalog. Thread: pool (one caller at a time). */
MUST_CHECK int log_dir_write_clean_points(
        struct log_dir *d, const struct clean_point *points, size_t n);
/* None when it is absent or damaged: everything is compacted once more then. mem_free. Thread: any. */
MUST_CHECK int log_dir_read_clean_points(
        const struct log_dir *d, struct clean_point **ret, size_t *ret_n);

/* --- Partition folders ------------------------------------------------------------------------ */

struct found_log {
    char *name; /* folder name: "<topic>-<p>" */
    struct uuid topic_id;
    int32_t partition;
};
/* The partition folders found at open (identity read from partition.metadata; a folder without a
 * readable one is reported in the log and left alone). Owned by the directory. */
const struct found_log *log_dir_logs(const struct log_dir *d, size_t *ret_n);
const struct file_io *log_dir_io(const struct log_dir *d);
