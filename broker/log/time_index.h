/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "broker/log/sparse_index.h"
#include "common/domain/record_batch.h"

/* The sparse time index of a segment, in Kafka's form: entries of (timestamp, offset - base), each for the last offset of
 * the first batch with that timestamp, which is the largest up to some batch behind it. So all that stands at or below an
 * entry's offset is at most as young as the entry says. */
struct time_entry {
    wall_ms timestamp;
    uint32_t delta; /* offset - segment base */
};

enum {
    TIME_ENTRY_SIZE = 12
};

/* The last entry whose timestamp and delta are at most these; {-1, 0} when there is none. *ret_n = how many entries there
 * are up to and including it. */
static inline MUST_CHECK int time_index_floor(const struct file_io *io,
        const struct sparse_index *x,
        wall_ms timestamp_max,
        int64_t delta_max,
        struct time_entry *ret,
        uint32_t *ret_n)
{
    struct sparse_entry e = {.key = -1};
    int r = sparse_index_floor(io, x, timestamp_max, delta_max, &e, ret_n);

    if (r >= 0) {
        *ret = (struct time_entry){.timestamp = e.key, .delta = (uint32_t)e.value};
    }
    return r;
}

static inline MUST_CHECK int time_index_add(
        const struct file_io *io, struct sparse_index *x, struct time_entry e)
{
    return sparse_index_add(io, x, (struct sparse_entry){.key = e.timestamp, .value = e.delta});
}
