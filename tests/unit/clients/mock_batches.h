/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/array.h"
#include "common/domain/record_batch.h"

/* What the mock broker does with batches: Kafka's rule of idempotent producers in one partition, in short, and looking into
 * records. Thread: any. */

enum {
    MOCK_REMEMBERED = 5
};

/* What a partition knows of a producer: its last batches, the newest last. */
struct mock_producer {
    int64_t id;
    int16_t epoch;

    struct {
        int32_t first, last;
        offset64 base;
    } batches[MOCK_REMEMBERED];

    int n;
};

struct mock_producers {
    ARRAY(struct mock_producer) of;
};

/* ERRCODE_*. 0: append it, or *ret_base is where it stands already. */
int mock_producers_check(struct mock_producers *p, const struct batch *b, offset64 *ret_base);
/* It was appended there. */
void mock_producers_note(struct mock_producers *p, const struct batch *b, offset64 base);

/* The values of the records, each followed by a newline, behind `out`. */
void mock_batch_values(const struct buf *batch, struct buf *out);
/* The offset of the first record at or after `time`, or -1. */
offset64 mock_batch_find_time(const struct buf *batch, int64_t time, wall_ms *ret_timestamp);
