/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "broker/log/epoch_cache.h"
#include "broker/log/plog.h"
#include "broker/log/segment.h"
#include "common/base/array.h"

/* What plog*.c and recover*.c share; nobody else includes it. */

enum {
    PLOG_HINTS = 4
};

/* How far the folder is made. */
enum plog_stage {
    PLOG_ABSENT = 0, /* nothing is there */
    PLOG_FOLDER = 1, /* the folder, perhaps not synced, without partition.metadata */
    PLOG_READY = 2,  /* partition.metadata is in it, synced */
};

/* In the active or an older segment a batch with base offset `offset` begins at `at`: where a
 * sequential reader's last slice ended. */
struct plog_hint {
    offset64 offset; /* OFFSET_NONE = no hint */
    int64_t at;
};

/* A "<name>.deleted" that waits to be unlinked. */
struct retired_file {
    char *path;
    wtime since;
};

struct plog {
    struct log_dir *dir;
    struct file_cache *files;
    const struct file_io *io;
    char *topic;
    char *folder; /* "<topic>-<p>" */
    struct uuid topic_id;
    int32_t partition;
    struct plog_config config;
    enum plog_stage stage;
    uint64_t last_segment_id;  /* given so far */
    uint32_t n_folder_changes; /* segments made and removed since opening; of these */
    uint32_t n_folder_synced;  /* so many have their names on the disk */

    ARRAY(struct segment) segments; /* by base; the last is active; none before the first append */
    offset64 start, end, recovery_point;
    offset64 saved_start; /* the log start that is in the checkpoint, or 0 */
    epoch32 last_epoch;
    int64_t bytes, unsynced;
    ARRAY(struct retired_file) retired;

    bool lacks_seals; /* some segment but the last may have none */
    bool is_sealing;  /* between plog_seal_begin and _end */
    ARRAY(offset64) snapshots; /* offsets of the .snapshot files, rising */
    bool is_saving;   /* between plog_snapshot_begin and _end */

    struct epoch_cache epochs;
    bool is_epoch_begun;       /* the last entry is not in the file; nothing was appended under it */
    bool is_epoch_file_behind; /* recovery found epochs that the file does not have */

    bool is_swapping; /* between plog_swap_claim and _release */
    bool is_truncating;
    unsigned cut_step; /* what comes next; plog_truncate.c */
    offset64 truncate_to, cut_from;
    offset64 start_before; /* the truncation began */
    uint32_t n_truncations;

    offset64 tail_offset; /* the last batch of the active segment, for who waits at the end */
    int64_t tail_at;
    struct plog_hint hints[PLOG_HINTS];
    unsigned next_hint;
};

/* The path of the folder; mem_free. */
char *plog_path(const struct plog *l);
struct segment *plog_active(struct plog *l); /* NULL = none */
/* Index of the segment that holds `offset`, or the last one that begins at or below it; 0 when none
 * does. */
size_t plog_segment_index(const struct plog *l, offset64 offset);
/* What a failed operation is to the caller: PLOG_E_FULL, PLOG_E_BUSY, or negative after latching
 * the directory (not when it was interrupted). */
int plog_outcome(struct plog *l, int r, const char *why);
/* Adds an empty segment object at the end, without files. */
struct segment *plog_push_segment(struct plog *l, offset64 base);
void plog_forget_positions(struct plog *l);
/* Says that the segment's batch headers do not chain: PLOG_E_DAMAGED. */
int plog_unreadable(const struct plog *l, const struct segment *s, offset64 offset);
/* Bytes [at, at + size) of a segment, whose file the caller holds as `fd`. */
struct plog_slice plog_slice_of(
        struct plog *l, struct segment *s, int fd, int64_t at, int64_t size);
/* Makes the files of a new active segment at the end. Its name is synced with the next flush: until then nothing in it is
 * promised. > 0: FULL, BUSY. */
MUST_CHECK int plog_roll(struct plog *l);
/* Whether the active segment must not take `b`, or there is none. > 0: BUSY. */
MUST_CHECK int plog_needs_roll(struct plog *l, const struct batch *b, bool *ret);
/* Before `size` bytes are written at the end of the active segment. */
void plog_reserve_ahead(struct plog *l, struct segment *s, int fd, size_t size);
/* Takes segment `i` out of the log and renames its files to "<name>.deleted" (one that is missing is no error), to be
 * unlinked by a later plog_reap_*; open readers keep theirs. Nothing is synced: the caller sees to it that a start copes
 * with renames that a power failure undid, some or all. `now` = when it may be unlinked after the delay from; 0 = at once.
 * Indexes of later segments shift; remembered positions are forgotten. > 0: BUSY, to be called again: the log still has
 * the segment. */
MUST_CHECK int plog_retire_segment(struct plog *l, size_t i, wtime now);
void plog_forget_retired(struct plog *l);
/* A batch with base offset `offset` begins at `at`, and its reader is about to come back. */
void plog_expect_reader(struct plog *l, offset64 offset, int64_t at);
/* Empties the segment object, so that walking its file fills it and its indexes anew. */
MUST_CHECK int plog_begin_anew(struct plog *l, struct segment *s);
/* The batch that holds `offset`, or the next one there is. > 0: SEGMENT_E_BAD, NONE. */
MUST_CHECK int plog_find_batch(struct plog *l, offset64 offset, struct batch_head *ret);

/* The file of epochs; empty and *ret_is_there false when it is absent or not one. */
MUST_CHECK int plog_epochs_read(struct plog *l, struct epoch_cache *ret, bool *ret_is_there);
/* [LOG-60] Brings the file up to date, when it is not; its name is synced with the next flush. > 0: FULL, BUSY. */
MUST_CHECK int plog_epochs_persist(struct plog *l);
/* Makes the epochs anew from the batches. > 0: DAMAGED, FULL, BUSY. */
MUST_CHECK int plog_epochs_rebuild(struct plog *l);

/* The epochs during recovery: what the file said, and what speaks against it. Zero-initialised; the owner frees `file`. */
struct epoch_recovery {
    struct epoch_cache file;
    bool is_there, is_doubtful;
    offset64 recovery_point;
    offset64 next; /* behind what recovery came by last */
};

void plog_epochs_recover_from(struct plog *l, struct epoch_recovery *c, offset64 base);
MUST_CHECK int plog_epochs_recover_begin(
        struct plog *l, struct epoch_recovery *c, offset64 recovery_point);
/* For each batch that recovery comes by, in any order below the recovery point, in the log's order above. */
void plog_epochs_recover_batch(
        struct plog *l, struct epoch_recovery *c, const struct batch_head *h);
/* For a segment below the recovery point that recovery takes by its seal. */
void plog_epochs_recover_sealed(
        struct plog *l, struct epoch_recovery *c, const struct segment *s);
/* When the log's segments, end and last epoch are known. > 0: as plog_epochs_rebuild. */
MUST_CHECK int plog_epochs_recover_end(struct plog *l, struct epoch_recovery *c);

/* Finishes or undoes a replacement of segments that a death interrupted, and removes what it has left; before anything
 * else is looked at. > 0: PLOG_E_DAMAGED. Negative: as the operations say, nothing is latched. */
MUST_CHECK int plog_swap_recover(struct plog *l);

/* Recovers the segments that stand in the folder (stage READY). Results as plog_open. */
MUST_CHECK int plog_recover(
        struct plog *l, const struct checkpoint_entry *checkpoint, struct plog_open_stats *stats);
/* Whether the folder has a segment with bytes in it. */
MUST_CHECK int plog_folder_has_data(struct plog *l, bool *ret);
