/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "broker/log/log_dir_impl.h"
#include "broker/log/log_trash.h"
#include "common/base/array.h"

/* What the files of the trash share; nobody else includes it. */

#define LOG_TRASH_EMPTIED_SUFFIX ".emptied"
#define LOG_TRASH_DAMAGED_SUFFIX ".damaged" /* its replica was filled anew from the leader */
#define LOG_TRASH_DROPPED_SUFFIX ".dropped" /* a death came before it was removed */

enum log_trash_folder_kind {
    LOG_TRASH_FOLDER_KEPT,
    LOG_TRASH_FOLDER_EMPTIED,
    LOG_TRASH_FOLDER_DROPPED,
    LOG_TRASH_FOLDER_OLDER /* the same log went twice: ".1", ".2" … are those that are not brought back */
};

struct log_trash_folder {
    char *name;
    struct uuid topic_id;
    int32_t partition;
    enum log_trash_folder_kind kind;
};

struct log_trash_folders {
    ARRAY(struct log_trash_folder) folders;
};

#define LOG_TRASH_UNNAMED_NOTE "unnamed.since"

/* --- log_trash.c --- */

/* One at a time works on a folder. 0 and claimed, or why not. */
MUST_CHECK int log_trash_claim(struct log_dir *d, const struct uuid *topic_id, int32_t partition);
/* `state`: what it is from now on; NONE: it is gone. */
void log_trash_unclaim(struct log_dir *d,
        const struct uuid *topic_id,
        int32_t partition,
        enum log_trash_state state);
/* [TRS-9] It is to be removed. True: the checkpoint file is without it, so it may go now. Until it
 * has gone it may be brought back, and then its checkpoint is known again. */
MUST_CHECK bool log_trash_forget(struct log_dir *d, const struct uuid *topic_id, int32_t partition);
/* It stays after all. */
void log_trash_recall(struct log_dir *d, const struct uuid *topic_id, int32_t partition);
void log_trash_emptied_gone(struct log_dir *d, const struct uuid *topic_id, int32_t partition);

/* --- log_trash_aside.c --- */

void log_trash_asides_init(struct log_dir *d);
void log_trash_asides_deinit(struct log_dir *d);
/* A folder was put aside or removed: they are looked for anew. */
void log_trash_asides_changed(struct log_dir *d);

/* --- log_trash_folders.c --- */

/* None when there is no .trash. */
MUST_CHECK int log_trash_folders_list(const struct log_dir *d, struct log_trash_folders *list);
void log_trash_folders_deinit(struct log_trash_folders *list);
/* "<log dir>/.trash/<id>-<p><suffix>"; mem_free. */
char *log_trash_folder_path(const struct log_dir *d,
        const struct uuid *topic_id,
        int32_t partition,
        const char *suffix);
/* .trash itself, which is made durable once in a run, or a power failure might keep a move into it and not it. */
MUST_CHECK int log_trash_folder_make_trash(struct log_dir *d);
/* A name in .trash that is free: of two logs of one partition the younger is the one to bring back. */
MUST_CHECK int log_trash_folder_make_way(const struct log_dir *d, const char *path);
MUST_CHECK int log_trash_folder_empty(struct log_dir *d, const char *path);
MUST_CHECK int log_trash_folder_remove(struct log_dir *d, const char *path);
/* Bytes of its files; -1 = it could not be read. */
int64_t log_trash_folder_measure(const struct log_dir *d, const char *path);
