/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "broker/log/plog_impl.h"

/* What the parts of a log's recovery share; nobody else includes it.
 *
 *   recover.c        the whole log: which segment is taken how, and what is cut or removed
 *   recover_list.c   the names in the folder
 *   recover_seal.c   a segment by its seal
 *   recover_scan.c   a segment by its batches
 *   recover_measure.c  how much of a log is to be scanned, told before
 *
 * > 0 everywhere: as each function says; negative: as the operations on the file say, nothing is
 * latched here. */

struct seal;

enum {
    SCAN_WINDOW_SIZE = 64 * 1024
};

struct recovery {
    struct plog *l;
    offset64 recovery_point;
    bool is_host;   /* the kernel died: what was written may be gone, index files included */
    uint8_t *bytes; /* SCAN_WINDOW_SIZE */
    epoch32 epoch;  /* of the last good batch */
    struct epoch_recovery epochs;
    struct plog_open_stats *stats;
};

/* Makes a segment object of every .log file, its size that of the file; notes the snapshots;
 * removes what is left over. */
MUST_CHECK int recovery_list_segments(struct plog *l);

/* What the segment's seal says, if it has one that can be read. *ret_why: what in it cannot be
 * true of what stands there; NULL = nothing. > 0: SEAL_E_*. */
MUST_CHECK int recovery_look_at_seal(struct recovery *c,
        const struct segment *s,
        offset64 next_base,
        struct seal *ret,
        const char **ret_why);
/* *ret_taken = false: it has no seal, or (*ret_misfits) its indexes are not those that were
 * sealed. > 0: SEGMENT_E_BAD, said. */
MUST_CHECK int recovery_take_by_seal(struct recovery *c,
        struct segment *s,
        offset64 next_base,
        bool *ret_taken,
        bool *ret_misfits);

/* A segment below the recovery point without a seal, whose file the caller holds: its last
 * batches, found by the index, must end right before `next_base`. With doubtful indexes all its
 * headers are walked instead; after a death of the kernel too, for nobody synced them. > 0:
 * SEGMENT_E_BAD. */
MUST_CHECK int recovery_take_unsealed(
        struct recovery *c, struct segment *s, int fd, offset64 next_base, bool is_doubtful);
/* The segment of the recovery point (`is_first`), or one after it; `next_base` is INT64_MAX for
 * the last one. It ends where its good batches do. */
MUST_CHECK int recovery_take_scanned(
        struct recovery *c, struct segment *s, int fd, offset64 next_base, bool is_first);
/* The last word of the time index, of a segment that was taken in to its end and is not the
 * last. */
MUST_CHECK int recovery_end_times(struct recovery *c, struct segment *s, offset64 next_base);

/* Says what is wrong below the recovery point: PLOG_E_DAMAGED. */
int recovery_damaged(const struct recovery *c, const char *file, offset64 offset, const char *why);
