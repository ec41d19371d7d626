/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/err.h"
#include "common/domain/record_batch.h"

/* The records of the decision journal (docs/design/80-decisions.md). Pure. Thread: any.
 *
 *   decision  key: index, 8 bytes big-endian   value: the Batch as it stands in ZooKeeper   no headers
 *   gap       key: first index that is missing value: why, a sentence                      header "gap": last index */
struct journal_record {
    bool is_gap;
    uint64_t from, to;  /* indexes; equal unless it is a gap */
    struct bytes value; /* the Batch, or the sentence; borrowed */
};

enum {
    JOURNAL_E_FORM = 1, /* no record of the journal */
    JOURNAL_WHY_MAX = 512,
};

MUST_CHECK int journal_record_read(const struct record *r, struct journal_record *ret);
void journal_record_add(struct batch_builder *bb, uint64_t index, struct bytes batch, wall_ms at);
void journal_record_add_gap(
        struct batch_builder *bb, uint64_t from, uint64_t to, const char *why, wall_ms at);

/* Walks record batches as they come in a Fetch answer and gives each record of the journal to
 * `fn`; others, and what is damaged or compressed, are passed over. The last batch may be cut
 * short. Returns the offset behind what was walked, or -1 when there was not one whole batch. */
offset64 journal_records_walk(struct bytes records,
        void (*fn)(void *ctx, offset64 offset, const struct journal_record *r),
        void *ctx);
