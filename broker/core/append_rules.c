/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/append_rules.h"

#include "common/base/must.h"
#include "common/domain/record_batch.h"

enum {
    NO_TIMESTAMP = -1 /* a record that has none: nothing to judge */
};

/* [LOG-101] Any two 64-bit times have a distance. */
static bool is_outside(
        const struct append_rules *rules, wall_ms t, wall_ms now, struct append_fault *ret)
{
    bool is_ahead = t > now;
    uint64_t off = is_ahead ? (uint64_t)t - (uint64_t)now : (uint64_t)now - (uint64_t)t;
    int64_t limit = is_ahead ? rules->after_max_ms : rules->before_max_ms;

    must(limit >= 0);
    if (t == NO_TIMESTAMP || limit == INT64_MAX || off <= (uint64_t)limit) {
        return false;
    }
    ret->timestamp = t;
    ret->off_ms = off;
    ret->is_ahead = is_ahead;
    return true;
}

int append_judge_header(const struct append_rules *rules,
        const struct batch *b,
        wall_ms now,
        struct append_fault *ret)
{
    *ret = (struct append_fault){.record = -1};
    if ((int64_t)b->size > rules->max_message_bytes) { /* [LOG-104] Before anything is unpacked. */
        return APPEND_E_SIZE;
    }
    if ((b->attributes & BATCH_LOG_APPEND_TIME) != 0) { /* [LOG-100] */
        return APPEND_E_STAMPED;
    }
    /* [LOG-102] What is outside as the largest is outside as a record. */
    if (!rules->is_append_time && is_outside(rules, b->max_timestamp, now, ret)) {
        return APPEND_E_TIME;
    }
    return 0;
}

enum append_look append_look(const struct append_rules *rules, const struct batch *b)
{
    if (rules->codec != APPEND_KEEP_CODEC && rules->codec != (int)batch_codec(b)) {
        return APPEND_LOOK_RECODE; /* [LOG-106] */
    }
    if (rules->is_compacted) { /* [LOG-103] */
        return APPEND_LOOK_RECORDS;
    }
    /* [LOG-102] Only a limit to the past needs more than the largest timestamp; of one record that is the least too. */
    return !rules->is_append_time && rules->before_max_ms != INT64_MAX && b->n_records > 1
                   ? APPEND_LOOK_RECORDS
                   : APPEND_LOOK_HEADER;
}

int append_judge_records(const struct append_rules *rules,
        const struct batch *b,
        wall_ms now,
        struct bytes plain,
        wall_ms *ret_max,
        struct append_fault *ret)
{
    wall_ms largest = NO_TIMESTAMP;
    struct record_iter it;
    struct record rec;
    int r;

    *ret = (struct append_fault){.record = -1};
    record_iter_init(&it, b, plain.at, plain.size);
    while ((r = record_iter_next(&it, &rec)) == 0) {
        ret->record = it.i - 1;
        if (!rules->is_append_time && is_outside(rules, rec.timestamp, now, ret)) {
            return APPEND_E_TIME;
        }
        if (rules->is_compacted && rec.key.at == NULL) { /* [LOG-103] */
            return APPEND_E_NO_KEY;
        }
        largest = ret->record == 0 || rec.timestamp > largest ? rec.timestamp : largest;
    }
    if (r != RECORD_END) { /* [LOG-105] */
        ret->record = it.i;
        return APPEND_E_RECORD;
    }
    *ret_max = largest;
    return 0;
}
