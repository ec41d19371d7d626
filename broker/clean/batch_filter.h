/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "broker/core/cleaning.h"
#include "common/domain/record_batch.h"

/* What compaction makes of one batch: the same bytes, another batch, or nothing. Records that stay keep offset,
 * timestamp and bytes; the batch keeps its offsets, epochs, producer, sequence and codec. Owner: one thread. */
struct batch_filter {
    struct buf plain, kept, out;
};

struct filter_rules {
    struct cleaning_batch head;
    struct cleaning_judgement judgement;
    offset64 end; /* records from there on are not judged */
    wall_ms now, new_horizon;
    /* The newest offset of a key, OFFSET_NONE = it is not known. */
    offset64 (*newest)(void *ctx, struct bytes key);
    void *ctx;
};

enum filter_result {
    FILTER_SAME,
    FILTER_OTHER,
    FILTER_GONE
};

struct filtered {
    enum filter_result result;
    struct bytes bytes; /* of SAME the batch's own, of OTHER valid until the next call */
    int32_t n_records;  /* that stay */
    wall_ms max_timestamp;
};

enum {
    BATCH_FILTER_E_BAD = 1,                       /* the records are not what the header says */
    BATCH_FILTER_PLAIN_MAX = 128 * 1024 * 1024 /* a batch that unpacks to more cannot be cleaned: BAD */
};

/* Negative: -ENOMEM. > 0: BAD. */
MUST_CHECK int batch_filter_run(struct batch_filter *f,
        const struct batch *b,
        const struct filter_rules *rules,
        struct filtered *ret);
void batch_filter_deinit(struct batch_filter *f);
