/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "broker/log/batch_head.h"
#include "broker/log/plog.h"

/* What is derived from a log and kept beside it: walking its batch headers, and snapshots of a
 * state at an offset, whose bytes mean nothing here.
 *
 *   <offset, 20 digits>.snapshot   the state that the batches below `offset` give
 *
 * A state at an offset is newest snapshot at or below it + replay from there. A snapshot above the
 * end that recovery finds, or at which a log is cut, is of another history and is removed before
 * anything is appended. */

typedef void plog_batch_fn(void *ctx, const struct batch_head *h);

/* Calls `each` for every batch that begins at or above `from`, in order, up to the log's end.
 * Headers are read, not records, and checked for what they alone can show. > 0: DAMAGED, BUSY. */
MUST_CHECK int plog_replay(struct plog *l, offset64 from, plog_batch_fn *each, void *ctx);
/* Where the first segment begins: what lay below was deleted. */
offset64 plog_first_offset(const struct plog *l);
/* Changes whenever a segment is made. */
uint64_t plog_n_segments_made(const struct plog *l);

enum {
    PLOG_SNAPSHOT_SIZE_MAX = 256 * 1024 * 1024 /* a larger one is not read */
};

/* [PID-36] Under the lock, before a state at plog_end() is written: until plog_snapshot_end() the log is not cut. Else a
 * snapshot of records that were cut could stand there when the log has grown over its offset, and be believed at the next
 * start. False: not now, the log is being cut or another one is being written. */
bool plog_snapshot_begin(struct plog *l);
void plog_snapshot_end(struct plog *l);
/* Writes a snapshot durably. Touches nothing of the log but its folder's name, so it runs without
 * the partition's lock as long as the log stays open. > 0: FULL, BUSY. Thread: pool. */
MUST_CHECK int plog_snapshot_write(struct plog *l, offset64 offset, const void *bytes, size_t size);
/* Under the lock: it was written, and counts; of the older ones the newest stay, `keep` in all.
 * > 0: BUSY. */
MUST_CHECK int plog_snapshot_written(struct plog *l, offset64 offset, size_t keep);
/* Under the lock: it is of no use. > 0: BUSY. */
MUST_CHECK int plog_snapshot_drop(struct plog *l, offset64 offset);
/* The newest one at or below `at_most`; *ret_bytes by mem_free. > 0: NOT_FOUND, BUSY. */
MUST_CHECK int plog_snapshot_newest(struct plog *l,
        offset64 at_most,
        offset64 *ret_offset,
        uint8_t **ret_bytes,
        size_t *ret_size);
/* Removes those above `end`, synced before it returns. To be called before the log is cut there.
 * > 0: FULL, BUSY. */
MUST_CHECK int plog_snapshot_remove_above(struct plog *l, offset64 end);
