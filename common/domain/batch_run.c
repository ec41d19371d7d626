/* SPDX-License-Identifier: Apache-2.0 */
#include "common/domain/batch_run.h"

#include "common/domain/record_batch.h"

struct batch_run batch_run_of(struct bytes records, offset64 end, bool is_empty)
{
    struct batch_run run = {.is_sound = true,
            .first_epoch = EPOCH_NONE,
            .last_epoch = EPOCH_NONE,
            .first_base = OFFSET_NONE,
            .next = end};
    struct batch b;

    while (run.is_sound && run.size < records.size &&
            batch_parse(records.at + run.size, records.size - run.size, &b) == 0) {
        bool is_in_order = b.base_offset >= run.next ||
                           (is_empty && run.size == 0 && batch_last_offset(&b) >= end);
        run.is_sound = is_in_order && b.last_offset_delta >= 0 &&
                       b.leader_epoch >= run.last_epoch && batch_crc_is_right(&b);
        if (run.size == 0) {
            run.first_epoch = b.leader_epoch;
            run.first_base = b.base_offset;
        }
        run.last_epoch = b.leader_epoch;
        run.next = batch_last_offset(&b) + 1;
        run.size += b.size;
    }
    if (run.size == 0 && records.size > 0) {
        run.is_sound = false; /* not one whole batch */
    }
    return run;
}
