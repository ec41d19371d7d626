/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/array.h"
#include "common/base/bytes.h"
#include "common/base/err.h"
#include "common/base/wtime.h"
#include "common/domain/ids.h"

#include <stdbool.h>

/* What one partition knows of the producers that wrote to it, so that a batch that is sent again is
 * written once, and none is missed. Pure.
 *
 *   batch ──► producers_check() ──► APPEND ──► (the log takes it) ──► producers_note()
 *                            ├────► DUPLICATE: the answer is that of the original
 *                            └────► REFUSED
 *
 * The state is a function of the log: producers_note() of every batch, in order, gives it, and so
 * does a snapshot (producers_encode) with what was appended since. Who follows a leader or rebuilds
 * the state notes without checking. Rules are numbered [PID-n] in docs/design/44-producers.md.
 * Owner: whoever holds the partition's lock. */

enum {
    PRODUCERS_BATCHES = 5, /* that are remembered of each, and that a client may have in flight */
    PRODUCERS_SEQUENCE_MAX = INT32_MAX,
};

/* A batch as its header describes it. */
struct producers_batch {
    int64_t id; /* -1 = no producer id */
    int16_t epoch;
    int32_t base_sequence;
    int32_t last_delta;                /* of offsets, and so of sequences */
    bool is_transactional, is_control; /* attributes */
    offset64 base;                     /* producers_note() only */
    wall_ms timestamp;                 /* the largest of its records */
};

struct producer_batch {
    int32_t first, last; /* sequences */
    offset64 base;
    wall_ms timestamp;
};

struct producer {
    int64_t id;
    int16_t epoch;
    uint8_t n;            /* of `batches`, the oldest first */
    wall_ms seen;         /* when its last batch came in, by this broker's clock */
    offset64 last_offset; /* of its last batch or marker */
    struct producer_batch batches[PRODUCERS_BATCHES];
};

/* Zero-initialised: nobody is known, and the log is empty. Nobody known costs no memory. */
struct producers {
    ARRAY(struct producer *) known; /* by id */
    offset64 end;                   /* every batch below it was noted */
};

void producers_deinit(struct producers *p);

enum producers_verdict_kind {
    PRODUCERS_APPEND,
    PRODUCERS_DUPLICATE,
    PRODUCERS_REFUSED
};

struct producers_verdict {
    enum producers_verdict_kind kind;
    int error;           /* REFUSED: ERRCODE_* */
    const char *detail;  /* REFUSED: a static sentence; "" otherwise */
    offset64 base, last; /* DUPLICATE: where the original stands */
    wall_ms timestamp;   /* DUPLICATE: the original's */
};

/* May the leader append it? */
struct producers_verdict producers_check(
        const struct producers *p, const struct producers_batch *b);
/* It stands in the log from `b->base` on, which is not below what was noted before. `now`: by this
 * broker's clock. */
void producers_note(struct producers *p, const struct producers_batch *b, wall_ms now);
/* The log was cut at `end`. False: what was cut had a part in the state, which is empty now and has
 * to be rebuilt from a snapshot at or below `end` and the log ([PID-18]). */
bool producers_truncate(struct producers *p, offset64 end);
/* Forgets who wrote nothing for `ttl` ms; how many. */
size_t producers_expire(struct producers *p, wall_ms now, int64_t ttl);

/* --- Snapshots: a state as bytes, versioned and with a checksum ------------------------------- */

enum {
    PRODUCERS_E_DAMAGED = 1,
    PRODUCERS_E_VERSION = 2, /* written by a newer version */
};

void producers_encode(const struct producers *p, struct buf *out);
/* Into an empty state, which stays empty unless the result is 0. > 0: DAMAGED, VERSION. */
MUST_CHECK int producers_decode(struct bytes b, struct producers *ret);

/* --- For tests and the simulator --- */
const struct producer *producers_find(const struct producers *p, int64_t id); /* NULL = not known */
bool producers_are_sound(const struct producers *p);
