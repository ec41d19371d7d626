/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/wtime.h"
#include "common/domain/errcode.h"
#include "common/domain/ids.h"

#include <stdbool.h>
#include <stddef.h>

/* A request that may have to wait: a produce for its commits, a fetch for its bytes. One answer over all its
 * partitions, exactly once. Pure.
 *
 *             PART … PART, READY                     PART, WOKEN, TICK
 *   LOOKING ─────────────────────► (PARK) WAITING ─────────────────────► (ANSWER) ANSWERED
 *      └──────── READY ──────────► (ANSWER) ANSWERED
 *
 * A produce is answered when every partition has its outcome, at the latest at its deadline (the others then end with
 * REQUEST_TIMED_OUT: whether they took effect is unknown). A fetch is answered by the rules [BRK-20] to [BRK-24] of
 * docs/design/40-broker.md. Owner: the loop of the request's connection. */

enum pending_kind {
    PENDING_PRODUCE,
    PENDING_FETCH
};

enum pending_state {
    PENDING_LOOKING,
    PENDING_WAITING,
    PENDING_ANSWERED
};

struct pending_part {
    bool is_done; /* produce: has its outcome */
    int error;
    offset64 base; /* produce */
    size_t bytes;  /* fetch: readable now, within the partition's own limit */
    bool releases; /* fetch: an error, another log, or its offset lies on an older segment than the end */
};

struct pending {
    enum pending_kind kind;
    enum pending_state state;
    wtime deadline;
    size_t min_bytes;
    size_t bytes;               /* fetch: sum over parts */
    size_t n_open;              /* produce: parts without outcome */
    struct pending_part *parts; /* the caller's memory, n_parts items */
    size_t n_parts;
};

enum pending_event_kind {
    PENDING_EV_PART,  /* partition `part` stands so */
    PENDING_EV_READY, /* each partition was looked at once: answer or wait */
    PENDING_EV_TICK,  /* time has gone on */
};

struct pending_event {
    enum pending_event_kind kind;
    wtime now;
    size_t part;
    int error;
    offset64 base;         /* produce with NONE */
    size_t bytes;          /* fetch */
    bool is_older_segment; /* fetch */
    bool is_diverging;     /* fetch: what was read before is not what is here */
};

enum pending_fx {
    PENDING_FX_NOTHING,
    PENDING_FX_PARK,
    PENDING_FX_ANSWER
};

/* `parts` has n_parts zeroed items. deadline = when the request must be answered; a deadline not after `now` means
 * that it never waits. */
void pending_init_produce(
        struct pending *p, struct pending_part *parts, size_t n_parts, wtime deadline);
void pending_init_fetch(struct pending *p,
        struct pending_part *parts,
        size_t n_parts,
        size_t min_bytes,
        wtime deadline);
void pending_step(struct pending *p, const struct pending_event *ev, enum pending_fx *ret_fx);
/* When it wants a TICK. */
wtime pending_deadline(const struct pending *p);
