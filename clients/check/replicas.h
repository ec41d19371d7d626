/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "broker/log/file_io.h"
#include "common/domain/ids.h"

#include <stdio.h>

/* C15: after faults are healed, all replicas of a partition hold the same bytes up to the high
 * watermark. Reads brokers' log directories, read-only; beside running brokers too. Batches are
 * compared, not files: where a replica begins a new segment is its own affair. A compacted
 * partition is passed over, because each replica compacts when it likes. Thread: any. */

enum {
    REPLICAS_WITNESSES_MAX = 5,
    REPLICAS_DIRS_MAX = 32
};

/* Where one replica is not as another; texts are owned by the verdict. */
struct replicas_witness {
    char *partition; /* "orders-0" */
    char *folder;    /* of the replica that differs or ends too early */
    char *other;     /* of the one that it is compared with; NULL = it ends too early */
    offset64 offset;
    offset64 limit; /* the high watermark */
};

struct replicas_verdict {
    uint64_t n_compared;  /* partitions */
    uint64_t n_alone;     /* one replica was given: nothing to compare */
    uint64_t n_compacted; /* passed over */
    uint64_t n_batches;   /* of all replicas, below the limit */
    int64_t bytes;
    uint64_t n_differ; /* partitions */
    size_t n_witnesses;
    struct replicas_witness witnesses[REPLICAS_WITNESSES_MAX];
};

/* What the caller knows to be committed: it goes before what checkpoints say. */
struct replicas_end {
    const char *topic;
    int32_t partition;
    offset64 end;
};

enum {
    REPLICAS_E_NOT_A_LOG = 1 /* a folder without meta.properties; `error` names it */
};

/* `dirs`: log directories of different brokers. Without `ends` (n_ends 0) every partition is
 * compared up to the highest high watermark that a replica's checkpoint has, else those of `ends`
 * alone. Negative: something cannot be read; `error` says what. */
MUST_CHECK int replicas_compare(const struct file_io *io,
        const char *const *dirs,
        size_t n_dirs,
        const struct replicas_end *ends,
        size_t n_ends,
        struct replicas_verdict *ret,
        char *error,
        size_t error_size);
void replicas_verdict_deinit(struct replicas_verdict *v);
/* The line of C15, and its first witnesses. */
void replicas_print(FILE *out, const struct replicas_verdict *v);
/* A witness in a sentence; mem_free. */
char *replicas_witness_text(const struct replicas_witness *w);
