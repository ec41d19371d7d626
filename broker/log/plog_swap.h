/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "broker/log/plog.h"
#include "broker/log/segment_writer.h"

/* [LOG-51] Replacing neighbouring segments of a log by one that was written anew beside them.
 *
 *   plog_sealed_list      under the lock: what there is to read                        ┐ then long work outside it,
 *   segment_writer_*      <base>.log.cleaned, whole and synced                         ┘ file by file
 *   plog_swap_claim       under the lock: from here to plog_swap_release() the log's end is not cut off
 *   plog_swap_prepare     outside: its seal, which says compacted; cleaning.manifest, synced; then .cleaned → .swap
 *   plog_swap_commit      under the lock: old ones → .deleted, .swap → final, the list; some renames, no sync
 *   plog_swap_end         outside: the folder synced, the manifest removed, old files unlinked; or all undone
 *   plog_swap_release     under the lock
 *
 * A death leaves the old segments or the new one, never a mixture: the manifest names both, and the next start finishes
 * what had begun to be renamed and undoes what had not. Readers who hold an old file read on. */

/* A segment that is not the active one, as it is now. */
struct sealed_segment {
    uint64_t id;
    offset64 base, end;
    int64_t size;
    uint32_t n_index;
    bool is_synced;
    bool is_compacted;
    bool has_max_timestamp;
    wall_ms max_timestamp;
};

struct sealed_list {
    struct sealed_segment *items; /* mem_free */
    size_t n;
    char *folder; /* its path; mem_free */
    struct uuid topic_id;
    int32_t partition;
    int64_t index_interval;
    uint32_t n_truncations;
};

/* Under the lock. */
void plog_sealed_list(const struct plog *l, struct sealed_list *ret);
void sealed_list_deinit(struct sealed_list *list);
/* Under the lock: its end was not cut off since. Else what was read may be there no more, or in part. */
bool plog_is_as_listed(const struct plog *l, const struct sealed_list *list);

struct plog_swap;

enum {
    PLOG_E_CHANGED = 7 /* the log is not what it was any more */
};
/* Under the lock. A cut beside the manifest could not be told from a commit at the next start. One at a time. > 0: CHANGED,
 * BUSY (it is being cut). */
MUST_CHECK int plog_swap_claim(struct plog *l, const struct sealed_list *list);
void plog_swap_release(struct plog *l);
/* The finished `w` takes the place of `old`, `n` neighbours; its base is that of the first, its end that of the last.
 * Takes w's files over, whatever comes. Touches nothing of the log but its folder: the log must stay open. > 0: FULL,
 * BUSY: all is as it was. Negative: the directory has been latched. Thread: pool, without the lock. */
MUST_CHECK int plog_swap_prepare(struct log_dir *dir,
        const struct sealed_list *list,
        const struct sealed_segment *old,
        size_t n,
        const struct segment_writer *w,
        struct plog_swap **ret);
/* Under the lock. > 0: CHANGED, BUSY (a seal is being written), FULL: nothing was changed. Negative: the directory has been
 * latched. */
MUST_CHECK int plog_swap_commit(struct plog *l, struct plog_swap *s);
/* After prepare, with or without a commit; frees. Negative: the directory has been latched. Thread: pool, without the
 * lock. */
MUST_CHECK int plog_swap_end(struct plog_swap *s);
