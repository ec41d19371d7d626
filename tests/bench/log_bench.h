/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "broker/log/plog.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a partition's log costs, next to what the kernel alone costs for the same bytes. Each case works on a log
 * directory of its own in the folder under test, in one thread, and is measured in rounds: Weir, floor, Weir, floor, so
 * that both see the same machine. Any failure ends the program: a benchmark has nobody to tell. */

enum {
    MIB = 1024 * 1024
};

/* What one side of one round did. */
struct measure {
    double wall_s, cpu_s; /* of this thread: user and system */
    double bytes;
    double n; /* records, or look-ups */
};

struct world {
    const char *folder; /* on the disk to be measured */
    int64_t total;      /* bytes a round moves */
    char *path;         /* of the log directory in it */
    struct log_dir *dir;
    struct file_cache *files;
    struct uuid topic_id;
    struct plog_config config;
    struct plog *log;
    size_t batch_size; /* of each batch that world_fill() wrote */
    int32_t batch_records;
};

/* --- The world ---------------------------------------------------------------------------------------------------- */

_Noreturn void fail(const char *what, int error);
/* `r` must be 0. */
void need(int r, const char *what);

/* A fresh directory with a log that has no records. */
void world_open(struct world *w, int64_t segment_bytes);
/* Closed cleanly and opened again: what its segments hold is not known to be right in the new run. */
void world_reopen(struct world *w);
void world_close(struct world *w); /* and removed */
/* All of it synced, so that no writing back of earlier bytes disturbs what is measured. */
void world_flush(struct world *w);
/* Batches of `batch_size` bytes or a little less, of records with `record_size` bytes of value, until the log has
 * `total` bytes; the batches are alike but for their timestamps, which are 1, 2, 3 … */
void world_fill(struct world *w, size_t record_size, size_t batch_size);

/* Bytes from the batch of `offset` on, as a fetch gets them: what is not known to be right, or not in memory (the kernel
 * may say so of any page at any time), is read and checked first. */
void world_read(struct world *w, offset64 offset, size_t max, struct plog_slice *ret);

struct clock_pair {
    double wall, cpu;
};

void clocks_start(struct clock_pair *c);
void clocks_stop(const struct clock_pair *c, struct measure *m); /* adds */
wall_ms wall_clock(void);

/* --- Batches ------------------------------------------------------------------------------------------------------ */

struct template
{
    uint8_t *bytes; /* an unstamped batch; mem_free */
    size_t size;
    int32_t n_records;
};

void template_make(struct template *t, size_t record_size, size_t batch_size, wall_ms timestamp);

/* --- Cases -------------------------------------------------------------------------------------------------------- */

struct bench_case {
    const char *name;
    const char *unit; /* of measure.n */
    size_t record_size, batch_size;
    size_t range_size;                                            /* of a read */
    bool is_packed;                                               /* with lz4 */
    void (*prepare)(struct world *w, const struct bench_case *c); /* once a case; may be NULL */
    void (*weir)(struct world *w, const struct bench_case *c, struct measure *m);
    void (*floor)(struct world *w, const struct bench_case *c, struct measure *m);
    void (*finish)(struct world *w, const struct bench_case *c); /* may be NULL */
};

extern const struct bench_case append_cases[], read_cases[], look_cases[], compact_cases[];
extern const size_t n_append_cases, n_read_cases, n_look_cases, n_compact_cases;
