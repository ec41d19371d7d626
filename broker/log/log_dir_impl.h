/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "broker/log/log_dir.h"
#include "common/base/array.h"
#include "common/base/bytes.h"

#include <pthread.h>
#include <stdatomic.h>

/* What log_dir.c, log_trash.c, markers.c, catalog.c and checkpoint.c share; nobody else includes it. What is
 * read at open does not change afterwards, so every thread may read it; the failure latch and the
 * marker files have locks of their own. */

struct log_dir {
    const struct file_io *io;
    char *path;
    int lock_fd; /* -1 = not locked */
    broker_id broker;
    struct uuid id;
    struct uuid cluster_id;
    struct file_identity identity; /* of the present boot and folder */

    enum crash_kind kind;
    int64_t prev_epoch;
    pthread_mutex_t marker_lock; /* the marker files, and: */
    bool is_pending;             /* a HOST is not settled yet */
    int64_t run_epoch;           /* in run.marker */

    pthread_mutex_t failure_lock; /* the first failure's sentence */
    atomic_bool is_failed;
    char failure[512];
    atomic_uint_least32_t stalled_ms;

    atomic_int_least64_t scanned; /* by opening logs */
    atomic_bool is_interrupted;

    atomic_bool is_full;
    atomic_bool was_refused;      /* an append since the last measurement */
    atomic_int_least64_t room;    /* may still be appended before the next measurement */
    pthread_mutex_t reserve_lock; /* .reserve, and: */
    int64_t reserve_file_size;    /* of blocks that it has; 0 = none, or not known */

    atomic_bool is_trash_unsynced; /* a rename into .trash may be lost with the power */
    atomic_bool is_trash_made;     /* .trash is there, on the disk too */

    uint64_t catalog_index;
    struct catalog_entry *catalog; /* sorted */
    size_t n_catalog;
    struct checkpoint_entry *checkpoints; /* sorted */
    size_t n_checkpoints;
    atomic_bool *is_forgotten; /* by checkpoint: its log was removed in this run */
    ARRAY(struct found_log) logs;
    struct log_trash *trash; /* has a lock of its own, as has */
    struct log_trash_asides *asides;
};

/* The path of a file in the directory; mem_free. */
char *log_dir_file(const struct log_dir *d, const char *name);
int partition_key_compare(
        const struct uuid *a_topic, int32_t a, const struct uuid *b_topic, int32_t b);

/* A small file of `*want` bytes met `error`: true = the disk is full, and the reserve file gave up so
 * much: try again, and ask again, for more, until there is nothing left to give up. */
bool log_dir_use_reserve(struct log_dir *d, int error, size_t *want);

/* Markers: sets kind, prev_epoch, is_pending from what the previous run left. */
MUST_CHECK int markers_read(struct log_dir *d, bool is_fresh);

/* Trash: what is there, and ending. */
MUST_CHECK int log_trash_read(struct log_dir *d);
void log_trash_close(struct log_dir *d);
/* The checkpoint of a log that is in the trash or came back from it in this run. */
bool log_trash_checkpoint(const struct log_dir *d,
        const struct uuid *topic_id,
        int32_t partition,
        struct checkpoint_entry *ret);

/* [TRS-9] Of a log that was removed on purpose nothing is known from now on. */
void checkpoints_forget(struct log_dir *d, const struct uuid *topic_id, int32_t partition);

/* Catalog and checkpoints as they are at open. */
MUST_CHECK int catalog_read(struct log_dir *d);
MUST_CHECK int checkpoints_read(struct log_dir *d);

/* A binary file of fixed-size entries: 8 bytes of name, version be32, entry count be32, a be64 of
 * the user's, entries, CRC-32C be32 of all before. > 0: 1 = absent or damaged (then logged). *ret:
 * the entries' bytes, mem_free. */
struct entry_file {
    uint8_t *bytes; /* the whole file */
    const uint8_t *entries;
    size_t n;
    uint64_t word;
};

MUST_CHECK int entry_file_read(const struct log_dir *d,
        const char *name,
        const char magic[8],
        size_t entry_size,
        struct entry_file *ret);
/* `body` has the entries; n * entry_size bytes. */
MUST_CHECK int entry_file_write(struct log_dir *d,
        const char *name,
        const char magic[8],
        uint64_t word,
        size_t n,
        const struct buf *body);
