/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "broker/core/producers.h"
#include "broker/log/plog_replay.h"

/* The state of a partition's producers (broker/core/producers) and the log that it is a function
 * of. Thread: data or pool, under the partition's lock. */

/* What a batch in the log says of its producer. */
struct producers_batch producer_batch_of(const struct batch_head *h);
/* What a batch of a produce request says; its base offset is not given yet. */
struct producers_batch producer_batch_of_request(const struct batch *b);

struct producer_state_source {
    offset64 snapshot; /* the state began with; OFFSET_NONE = none */
    int64_t replayed;  /* bytes of batches behind it */
};

/* The state at the log's end, from the newest snapshot that can be used and what was appended
 * since; `ret` is empty before. `no_producers`: below it there is nothing to know (struct
 * checkpoint_entry). Results as plog_replay; `ret` is empty then. */
MUST_CHECK int producer_state_restore(struct producers *ret,
        struct plog *log,
        offset64 no_producers,
        wall_ms now,
        struct producer_state_source *ret_source);
/* [PID-18] Before the first plog_truncate_step() of a log that has such a state, which is that of `end` then: what of it is
 * to be cut is forgotten, and what it would have remembered without that is read from a snapshot and the log. `end` is
 * plog_truncate_begin()'s; `no_producers` is at most that, in the checkpoint that was written since, too. > 0: as
 * plog_replay: to be called again, and nothing is asked of the state or noted in it before. *ret_source stays
 * untouched when nothing had to be read. Thread: pool. */
MUST_CHECK int producer_state_truncate(struct producers *state,
        struct plog *log,
        offset64 end,
        offset64 no_producers,
        wall_ms now,
        struct producer_state_source *ret_source);
