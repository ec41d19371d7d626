/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/bytes.h"
#include "common/base/err.h"
#include "common/base/wtime.h"

#include <stdbool.h>
#include <stdint.h>

struct batch;

/* What a topic asks of a producer's batch beyond the form of it (batch_validate_produced()), and how little of it must be
 * looked at to know. docs/design/47-append-checks.md has the rules.
 *
 *   header ──append_judge_header──► refused
 *      └──append_look──► HEADER: nothing more · RECORDS: append_judge_records · RECODE: that, then written anew
 *
 * Pure: the clock comes in, decompression is the caller's. Thread: any. */

enum {
    APPEND_KEEP_CODEC = -1 /* compression.type=producer */
};

struct append_rules {
    int64_t max_message_bytes;
    int64_t before_max_ms, after_max_ms; /* INT64_MAX = any */
    bool is_append_time;                 /* message.timestamp.type=LogAppendTime */
    bool is_compacted;                   /* cleanup.policy names compact */
    int codec;                           /* enum batch_codec, or APPEND_KEEP_CODEC */
    int level;                           /* of `codec`, as compress_bytes() takes it */
};

enum append_look {
    APPEND_LOOK_HEADER = 0, /* the header says all */
    APPEND_LOOK_RECORDS,    /* each record must be seen */
    APPEND_LOOK_RECODE,     /* and the batch is stored with rules->codec */
};

enum {
    APPEND_E_SIZE = 1,    /* larger than max.message.bytes */
    APPEND_E_STAMPED = 2, /* claims to have the broker's time */
    APPEND_E_TIME = 3,    /* a timestamp outside the limits */
    APPEND_E_NO_KEY = 4,  /* a record without key on a compacted topic */
    APPEND_E_RECORD = 5,  /* the records are not what the header says, or malformed */
};

/* Where and why. */
struct append_fault {
    int32_t record; /* from 0; -1 = as the header says */
    wall_ms timestamp;
    uint64_t off_ms; /* from the clock */
    bool is_ahead;
};

/* > 0: APPEND_E_SIZE, _STAMPED, _TIME; `*ret` says where. */
MUST_CHECK int append_judge_header(const struct append_rules *rules,
        const struct batch *b,
        wall_ms now,
        struct append_fault *ret);
/* What is to be looked at besides the header. */
enum append_look append_look(const struct append_rules *rules, const struct batch *b);
/* `plain`: the records section, decompressed. `*ret_max`: their largest timestamp. > 0: APPEND_E_TIME, _NO_KEY, _RECORD. */
MUST_CHECK int append_judge_records(const struct append_rules *rules,
        const struct batch *b,
        wall_ms now,
        struct bytes plain,
        wall_ms *ret_max,
        struct append_fault *ret);
