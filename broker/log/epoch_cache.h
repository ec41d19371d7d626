/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/array.h"
#include "common/base/bytes.h"
#include "common/base/err.h"
#include "common/domain/ids.h"

/* Which leader epoch begins at which offset of a log: rising pairs, no file behind it. An epoch ends where the next one
 * begins, the last one at the log's end. An epoch in which nothing was appended has no entry, except the last one.
 *
 *   offset   0 ………… 100 ………… 140 ………… end
 *   epoch      2         3         7
 *
 * As text it is what Kafka's leader-epoch-checkpoint holds, so that an operator's tools read it: a line `0` (version), a
 * line with the number of entries, a line `<epoch> <start offset>` an entry. It has no checksum: who reads one has to
 * look whether it is true (plog_epochs.c). Owner: whoever holds the log's lock. */
struct epoch_entry {
    epoch32 epoch;
    offset64 start;
    bool is_sure; /* seen in the log's batches, not only read from the file */
};

struct epoch_cache {
    ARRAY(struct epoch_entry) entries;
};

enum {
    EPOCH_CACHE_E_DAMAGED = 1,
    /* More than any log has: a leader epoch is a decision of a controller. */
    EPOCH_CACHE_ENTRIES_MAX = 1000000,
    EPOCH_CACHE_TEXT_MAX = 32 * 1024 * 1024,
};

/* --- Pure ---------------------------------------------------------------------------------------------------------- */

void epoch_cache_deinit(struct epoch_cache *c);
/* What stands at `start` is of `epoch`: entries that begin there or later, or are of a greater epoch, go, and it begins there
 * unless the last one that is left is of it. False: nothing changed. */
bool epoch_cache_assign(struct epoch_cache *c, epoch32 epoch, offset64 start, bool is_sure);
/* The largest epoch that is not above `asked`, and where it ends in a log that ends at `log_end`. An epoch before the
 * first known one ended where that begins, at the latest: (asked, its start). Both -1 when nothing is known. */
void epoch_cache_end(const struct epoch_cache *c,
        epoch32 asked,
        offset64 log_end,
        epoch32 *ret_epoch,
        offset64 *ret_end);
/* The epoch of what stands at `offset`; EPOCH_NONE before the first entry. */
epoch32 epoch_cache_at(const struct epoch_cache *c, offset64 offset);
epoch32 epoch_cache_latest(const struct epoch_cache *c); /* EPOCH_NONE = empty */
/* Index of the last entry of an epoch not above `epoch`; -1 = none. */
int64_t epoch_cache_find(const struct epoch_cache *c, epoch32 epoch);
/* The log ends at `end` now: entries that begin there or later go. True: some did. */
bool epoch_cache_cut_tail(struct epoch_cache *c, offset64 end);
/* The log starts at `start` now: entries that end there or before go. The first one that stays keeps its own start. */
bool epoch_cache_cut_head(struct epoch_cache *c, offset64 start);

/* Appends the text. */
void epoch_cache_format(const struct epoch_cache *c, struct buf *out);
/* `c` is empty. > 0: DAMAGED (form, or entries that do not rise), and `c` stays empty. */
MUST_CHECK int epoch_cache_parse(struct epoch_cache *c, const char *text, size_t size);
