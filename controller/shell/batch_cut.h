/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/array.h"
#include "common/base/bytes.h"
#include "common/domain/meta_record.h"

/* What is to be committed, record by record, and where it is cut into batches.
 *
 * [ZK-34] A batch is closed before the record that would take it past BATCH_CUT_SIZE. No record
 * is larger than META_RECORD_MAX, so every batch holds at least one, and the largest request to
 * ZooKeeper that writes one (payload, the rest of a Batch, three paths) stays far below the 512
 * KiB that zk_multi() takes. Pure. Thread: control. */
enum {
    BATCH_CUT_SIZE = 256 * 1024 - 256, /* payload; the whole Batch has at most 256 KiB */
    BATCH_CUT_AROUND = 128,            /* what a Batch has at most beside its payload */
};

_Static_assert((int)META_RECORD_MAX <= (int)BATCH_CUT_SIZE, "a record fits into a batch");

struct batch_cut {
    struct buf bytes; /* records as they are stored; the first `taken` bytes were cut off */
    size_t taken;
    ARRAY(struct batch_cut_mark) marks; /* one a record; the first `n_taken` were cut off */
    size_t n_taken;
};

struct batch_cut_mark {
    size_t end; /* in `bytes` */
    uint64_t seq;
};

struct batch_piece {
    struct bytes payload; /* a RecordList, borrowed until the next call */
    size_t n_records;
    uint64_t first_seq, last_seq;
};

void batch_cut_deinit(struct batch_cut *c); /* zero-initialised is empty */
void batch_cut_clear(struct batch_cut *c);
/* Records come with rising seq. */
void batch_cut_add(struct batch_cut *c, const struct meta_record *record);
/* Takes as many records as one batch holds; false when there is none. */
bool batch_cut_take(struct batch_cut *c, struct batch_piece *ret);
/* Bytes that batch_cut_take() would return next; 0 = nothing waits. */
size_t batch_cut_next_size(const struct batch_cut *c);
