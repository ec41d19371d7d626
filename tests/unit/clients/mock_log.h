/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/wire/messages.h"
#include "tests/unit/clients/mock_batches.h"

/* The log of one partition of the mock broker, in memory. Thread: any. */

struct mock_log_batch {
    struct buf bytes;
    offset64 base, end;
};

struct mock_log {
    ARRAY(struct mock_log_batch) batches;
    struct mock_producers producers;
    offset64 start, end;
    int leader;
    epoch32 epoch, told_epoch;
};

/* Stamps a batch with its offset, which is returned, and keeps it, unless only the offsets count. */
offset64 mock_log_append(struct mock_log *log, const void *bytes, size_t size, bool forgets);
/* What ends behind `end` is not there, and another leader epoch has begun. */
void mock_log_cut(struct mock_log *log, offset64 end);
/* Whole batches from `at` on: at least one. */
void mock_log_read(const struct mock_log *log, offset64 at, size_t max, struct buf *ret);
/* ERRCODE_* for who believes in that leader epoch; EPOCH_NONE = in none. */
int mock_log_epoch_error(const struct mock_log *log, epoch32 epoch);
/* Whether what the asker has is not what is here; then *ret says it. */
bool mock_log_diverges(const struct mock_log *log,
        const struct msg_fetch_partition *p,
        struct msg_fetch_result *ret);
/* As mock_batch_find_time(). */
offset64 mock_log_find_time(const struct mock_log *log, int64_t time, wall_ms *ret_timestamp);
