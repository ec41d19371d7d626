/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "broker/log/plog.h"

/* A log directory in a temporary folder, the file operations with faults on demand, and batches to
 * put into it. */

/* Faults of `fault_io`, which is otherwise file_io_posix. Counts are of calls since fault_reset. */
struct faults {
    int fail_pwritev_at; /* the nth call (1 = next) on any file fails so; 0 = never */
    int pwritev_error;   /* negative errno; 0 = a short write of `pwritev_short` bytes */
    int64_t pwritev_short;
    int datasync_error; /* every call, while not 0 */
    int truncate_error;
    int reserve_error;
    int open_error;     /* of calls with O_CREAT */
    int open_any_error; /* of all calls */
    int sync_dir_error;
    int n_pwritev, n_datasync, n_sync_dir, n_pread, n_pread_hot, n_reserve;
    bool is_cold; /* nothing is in memory: pread_hot gives -EAGAIN */
};
extern struct faults faults;
extern const struct file_io fault_io;
void fault_reset(void);

struct fixture {
    char *path; /* of the log directory */
    struct log_dir *dir;
    struct file_cache *files;
    struct uuid topic_id;
    struct plog_config config;
};

/* A fresh path under this process's temporary folder, which goes away at exit; mem_free. */
char *fixture_path(const char *name);
/* Opens a fresh, adopted directory; lines of the log are not printed. */
void fixture_open(struct fixture *f);
/* Closes and opens it again, after an orderly stop or a death of the process. The checkpoint is
 * what was last written. */
void fixture_restart(struct fixture *f, bool is_clean);
void fixture_close(struct fixture *f);
/* log_dir_open for broker 1 that must succeed. */
struct log_dir *fixture_open_dir(const char *path);

/* Removes all that is in the trash, as the sweep does. */
int fixture_purge_trash(struct log_dir *dir);
struct plog *fixture_plog(struct fixture *f, const char *topic, struct plog_open_stats *stats);
int fixture_try_plog(
        struct fixture *f, const char *topic, struct plog **ret, struct plog_open_stats *stats);
/* Appends one batch of `n` records with values of `value_size` bytes; returns plog_append's result.
 * */
int fixture_append(struct plog *l, int n, size_t value_size, wall_ms timestamp);
void fixture_flush(struct plog *l);
void fixture_checkpoint(struct fixture *f, struct plog *l, const struct uuid *topic_id);
/* Bytes of such a batch before it is stamped; `out` is appended to. */
void fixture_batch(struct buf *out, int n, size_t value_size, wall_ms timestamp);

/* Path of a file in the partition's folder; mem_free. */
char *fixture_file(struct fixture *f, const char *folder, const char *name);
void flip_byte(const char *path, int64_t at);
void cut_file(const char *path, int64_t size);
int64_t file_size_of(const char *path);
void write_file(const char *path, const void *bytes, size_t size);
