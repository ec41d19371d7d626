/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "broker/log/log_dir.h"
#include "common/base/wtime.h"

/* Logs of deleted topics, in a log directory's .trash:
 *
 *   <topic>-<p>/ ──begin, move, left──▶ .trash/<topic_id>-<p>/ ──sweep: its topic was purged──▶ gone
 *        ▲                                 │          │
 *        └──────────── restore ────────────┘          └─empty: the disk is low─▶ .trash/<topic_id>-<p>.emptied/
 *
 * An emptied folder stays as a name: were it gone, a restored topic would begin anew at offset 0 and look whole. Folders
 * with other suffixes are of logs that began anew, and of older ones of the same partition: "aside". Which
 * topics are purged is the metadata's to say (log_trash_judge). What is known of the trash is kept in memory, so that
 * asking costs no disk; a log's checkpoint goes with it and comes back with it. Thread: any; what touches the disk says
 * so. */

enum log_trash_state {
    LOG_TRASH_NONE,
    LOG_TRASH_LEAVING, /* on its way: its folder may still be in its old place */
    LOG_TRASH_KEPT,
    LOG_TRASH_EMPTIED,
    LOG_TRASH_BACK, /* restored in this run */
};

/* The log is about to leave its folder. One that is still being brought back may be sent away again. Thread: control. */
void log_trash_begin(
        struct log_dir *d, const struct uuid *topic_id, int32_t partition, const char *folder);
/* What a checkpoint would say of it. */
void log_trash_note(struct log_dir *d, const struct checkpoint_entry *checkpoint);
/* Moves its folder. Opens nothing and syncs nothing: log_trash_sync() makes all moves so far durable at once. Thread:
 * pool. */
MUST_CHECK int log_trash_move(
        struct log_dir *d, const char *folder, const struct uuid *topic_id, int32_t partition);
/* The same where no log is open to say so: when there is such a folder and it is that log's. Thread: pool. */
MUST_CHECK int log_trash_move_found(
        struct log_dir *d, const char *folder, const struct uuid *topic_id, int32_t partition);
/* The folder of a log that begins anew goes to .trash/<topic_id>-<p>.damaged, and stays there until its topic is purged
 * or the disk is low (`keep`: it may hold what nobody else has), or is removed. It is not what log_trash_restore() brings
 * back. Durable; a death on the way leaves it where it was or moved. 0 also when there is none. > 0: TAKEN, it is another
 * topic's. Negative: the directory has been latched, unless it is full or scarce: then again. Thread: pool. */
MUST_CHECK int log_trash_put_aside(struct log_dir *d,
        const char *folder,
        const struct uuid *topic_id,
        int32_t partition,
        bool keep,
        wall_ms now);

/* A folder that nobody brings back: of a log that began anew, or an older one of a partition that left twice. */
struct log_trash_aside {
    char name[96];
    wall_ms since; /* when it was put aside; 0 = not known */
    int64_t bytes; /* of its files */
};

/* All of them, the oldest first; mem_free. Costs the disk only after something has changed. Thread: pool. */
struct log_trash_aside *log_trash_asides(struct log_dir *d, size_t *ret_n);
/* Removes it, unless another one has its name by now. Thread: pool. */
MUST_CHECK int log_trash_remove_aside(struct log_dir *d, const struct log_trash_aside *aside);
/* It has left, or there was nothing: ends what log_trash_begin() began, with the same folder. Of a
 * log that was not there no checkpoint is known any more, unless `has_failed`: it was not moved. */
void log_trash_left(struct log_dir *d,
        const struct uuid *topic_id,
        int32_t partition,
        const char *folder,
        bool has_failed);
/* Thread: pool. */
MUST_CHECK int log_trash_sync(struct log_dir *d);

enum log_trash_state log_trash_look(
        const struct log_dir *d, const struct uuid *topic_id, int32_t partition);
/* Whether a log is on its way out of that folder; NULL = of any. */
bool log_trash_is_leaving(const struct log_dir *d, const char *folder);
/* What the checkpoint file says now, sorted: of a log that is leaving, and of which nobody said
 * more yet, it stands. True: logs that a sweep had to leave, because the file before had them, may
 * go now: to be swept again. */
bool log_trash_remember(struct log_dir *d, const struct checkpoint_entry *entries, size_t n);
/* Adds what is in the trash to the entries of the next checkpoint file; takes them (or NULL), and gives all, sorted, each once;
 * mem_free. */
struct checkpoint_entry *log_trash_add_checkpoints(
        const struct log_dir *d, struct checkpoint_entry *entries, size_t *n);

enum {
    LOG_TRASH_E_ABSENT = 1,  /* nothing of it is here */
    LOG_TRASH_E_BUSY = 2,    /* it is leaving or being removed: ask again */
    LOG_TRASH_E_EMPTIED = 3, /* its records were given up for space */
    LOG_TRASH_E_TAKEN = 4,   /* another folder has the name */
    LOG_TRASH_E_NAMED = 5,   /* the checkpoint file has to be written first */
};

/* Brings the log back as <topic>-<partition>, durably; a death on the way leaves it in the trash or restored. > 0: see
 * above. Thread: pool. */
MUST_CHECK int log_trash_restore(
        struct log_dir *d, const struct uuid *topic_id, int32_t partition, const char *topic);

enum log_trash_verdict {
    LOG_TRASH_KEEP,
    LOG_TRASH_PURGE,
    LOG_TRASH_UNNAMED, /* the metadata does not know it, or not here: kept for a day from when this is first said */
};

struct log_trash_judge {
    enum log_trash_verdict (*judge)(void *ctx, const struct uuid *topic_id, int32_t partition);
    void *ctx;
    wall_ms now;
};

/* Removes what is to be removed; long. > 0: NAMED, some of it only after log_trash_remember() has
 * been told of a checkpoint file without it ([TRS-9]). Where log_dir_is_scarce(), to be called
 * again. Thread: pool (one caller at a time). */
MUST_CHECK int log_trash_sweep(struct log_dir *d, const struct log_trash_judge *judge);
/* Removes the records of one log; its name stays. 0 also when there are none. Thread: pool. */
MUST_CHECK int log_trash_empty(struct log_dir *d, const struct uuid *topic_id, int32_t partition);

struct log_trash_item {
    struct uuid topic_id;
    int32_t partition;
    bool is_emptied;
    int64_t bytes; /* of its files */
};

/* All that is in the trash; measures what was not measured yet; mem_free. Thread: pool. */
struct log_trash_item *log_trash_list(struct log_dir *d, size_t *ret_n);
