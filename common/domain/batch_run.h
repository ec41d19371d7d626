/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/bytes.h"
#include "common/domain/ids.h"

/* The whole batches that an answer to a replica's fetch begins with, seen as one. */
struct batch_run {
    size_t size; /* of the whole ones */
    bool is_sound;
    epoch32 first_epoch, last_epoch;
    offset64 first_base, next;
};

/* [FET-10] For who has a log that ends at `end`. Sound: checksums right, offsets and epochs rising, and not without a whole
 * batch in it. What compaction took at the leader is missing between batches. The first batch of an empty log may begin
 * below its end: the leader's log starts within it. Pure. */
struct batch_run batch_run_of(struct bytes records, offset64 end, bool is_empty);
