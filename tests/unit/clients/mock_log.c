/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/clients/mock_log.h"

#include "common/base/must.h"
#include "common/domain/errcode.h"

offset64 mock_log_append(struct mock_log *log, const void *bytes, size_t size, bool forgets)
{
    struct batch b;

    must(batch_parse(bytes, size, &b) == 0);
    offset64 base = log->end;
    log->end += b.last_offset_delta + 1;
    if (!forgets) {
        struct mock_log_batch *last = array_push(&log->batches);
        buf_append(&last->bytes, bytes, size);
        batch_stamp(last->bytes.data, base, log->epoch);
        last->base = base;
        last->end = log->end;
    }
    return base;
}

void mock_log_cut(struct mock_log *log, offset64 end)
{
    while (log->batches.n > 0 && log->batches.items[log->batches.n - 1].end > end) {
        struct mock_log_batch *last = &log->batches.items[--log->batches.n];
        log->end = last->base;
        buf_deinit(&last->bytes);
    }
    log->epoch++;
}

void mock_log_read(const struct mock_log *log, offset64 at, size_t max, struct buf *ret)
{
    for (size_t i = 0; i < log->batches.n; i++) {
        const struct mock_log_batch *b = &log->batches.items[i];
        if (b->end <= at) {
            continue;
        }
        if (ret->size > 0 && ret->size + b->bytes.size > max) {
            return;
        }
        buf_append(ret, b->bytes.data, b->bytes.size);
    }
}

int mock_log_epoch_error(const struct mock_log *log, epoch32 epoch)
{
    return epoch == EPOCH_NONE || epoch == log->epoch ? 0
           : epoch < log->epoch                       ? ERRCODE_FENCED_LEADER_EPOCH
                                                      : ERRCODE_UNKNOWN_LEADER_EPOCH;
}

/* The largest epoch that is not above `asked`, and where it ends; one before all: where the first
 * begins. */
static void find_epoch(
        const struct mock_log *log, epoch32 asked, epoch32 *ret_epoch, offset64 *ret_end)
{
    struct batch b;

    *ret_epoch = asked;
    *ret_end = log->end;
    for (size_t i = log->batches.n; i > 0; i--) {
        const struct mock_log_batch *l = &log->batches.items[i - 1];
        must(batch_parse(l->bytes.data, l->bytes.size, &b) == 0);
        if (b.leader_epoch <= asked) {
            *ret_epoch = b.leader_epoch;
            return;
        }
        *ret_end = l->base;
    }
}

bool mock_log_diverges(const struct mock_log *log,
        const struct msg_fetch_partition *p,
        struct msg_fetch_result *ret)
{
    epoch32 epoch = EPOCH_NONE;
    offset64 end = OFFSET_NONE;

    if (p->last_fetched_epoch == EPOCH_NONE) {
        return false;
    }
    find_epoch(log, p->last_fetched_epoch, &epoch, &end);
    if (epoch == p->last_fetched_epoch && end >= p->fetch_offset) {
        return false;
    }
    ret->diverging_epoch = epoch;
    ret->diverging_end = end;
    return true;
}

offset64 mock_log_find_time(const struct mock_log *log, int64_t time, wall_ms *ret_timestamp)
{
    offset64 found = -1;

    for (size_t i = 0; i < log->batches.n && found < 0; i++) {
        found = mock_batch_find_time(&log->batches.items[i].bytes, time, ret_timestamp);
    }
    return found;
}
