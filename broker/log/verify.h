/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "broker/log/file_io.h"
#include "common/domain/ids.h"

/* Checks what a log directory holds, offline and without changing anything: what recovery would find, said instead of
 * acted upon. Thread: any. */

enum verify_severity {
    VERIFY_NOTE,   /* nothing is lost: what a start removes or makes anew by itself */
    VERIFY_DAMAGE, /* records are missing or wrong, or it cannot be told whose they are: a start fails the replica */
};

struct verify_finding {
    enum verify_severity severity;
    const char *file; /* whole path */
    int64_t at;       /* position in the file, -1 = the file as such */
    offset64 offset;  /* next to it, OFFSET_NONE = none */
    const char *what; /* a sentence */
};

/* What was looked at, and who hears of findings and of the way that was made. */
struct verify {
    const struct file_io *io;
    void (*found)(void *ctx, const struct verify_finding *f);
    void (*moved)(void *ctx, int64_t bytes); /* may be NULL; bytes of segments read since the last call */
    void *ctx;
    uint64_t n_partitions, n_segments, n_batches, n_records;
    int64_t bytes;
    uint64_t n_damages, n_notes;
};

/* A partition's folder ("orders-0"), or a broker's log directory with all its partitions; `path` without a slash at its end.
 * The recovery point of the log directory tells a torn end from damage: without one, what stands behind the last whole
 * batch of the newest segment is a note. Negative: the folder cannot be read. > 0: VERIFY_E_NOT_A_LOG. */
enum {
    VERIFY_E_NOT_A_LOG = 1 /* neither of the two */
};
MUST_CHECK int verify_path(struct verify *v, const char *path);
