/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/clean/clean_describe.h"

/* The key of a control record, as Kafka writes it: version i16, type i16. */
enum {
    CONTROL_KEY_SIZE = 4,
    CONTROL_ABORT = 0,
    CONTROL_COMMIT = 1
};

static enum cleaning_marker marker_of(const struct batch *b)
{
    struct record_iter it;
    struct record r;

    if ((b->attributes & BATCH_CONTROL) == 0) {
        return CLEANING_NO_MARKER;
    }
    if (b->n_records == 0) {
        return CLEANING_EMPTY_MARKER;
    }
    if (batch_codec(b) != CODEC_NONE) {
        return CLEANING_OTHER_MARKER;
    }
    record_iter_init(&it, b, b->bytes + BATCH_HEADER_SIZE, b->size - BATCH_HEADER_SIZE);
    if (record_iter_next(&it, &r) != 0 || r.key.at == NULL || r.key.size < CONTROL_KEY_SIZE) {
        return CLEANING_OTHER_MARKER;
    }
    switch (load_be16(r.key.at + 2)) {
    case CONTROL_ABORT: return CLEANING_ABORT;
    case CONTROL_COMMIT: return CLEANING_COMMIT;
    default: return CLEANING_OTHER_MARKER;
    }
}

struct cleaning_batch clean_describe(const struct batch *b)
{
    return (struct cleaning_batch){.base = b->base_offset,
            .last = batch_last_offset(b),
            .producer_id = b->producer_id,
            .is_transactional = (b->attributes & BATCH_TRANSACTIONAL) != 0,
            .marker = marker_of(b),
            .max_timestamp = b->max_timestamp,
            .horizon = batch_delete_horizon(b)};
}
