/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/prng.h"
#include "common/base/wtime.h"
#include "common/domain/ids.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

/* What a consumer fetches from whom, and when it stops because enough is queued.
 *
 * A partition of the plan is embedded in a struct of the shell. It has a position to look up
 * (`seek`), or an offset to fetch from. Whatever moves it gives it a new `version`; answers to
 * questions of an older one are dropped by the shell. Pure. Owner: whoever holds the client's lock.
 * Thread: owner. */

enum fetch_seek {
    FETCH_SEEK_NONE = 0, /* `offset` is where to fetch */
    FETCH_SEEK_START,
    FETCH_SEEK_END,
    FETCH_SEEK_TIME, /* `seek_time` */
};

enum fetch_reset {
    FETCH_RESET_NONE = 0,
    FETCH_RESET_EARLIEST,
    FETCH_RESET_LATEST,
};

struct fetch_settings {
    size_t queue_max;     /* bytes fetched and not handed out, over all partitions */
    size_t partition_max; /* bytes asked of one partition at a time */
    size_t request_max;   /* bytes asked of one broker at a time */
    enum fetch_reset reset;
    wtime retry_backoff, retry_backoff_max;
};

/* Which leader epochs the records were of that were fetched one after the other: the first offset
 * read of each. */
struct fetch_epochs {
    uint8_t n;

    struct {
        epoch32 epoch;
        offset64 start;
    } at[8];
};

/* What follows from `start` on is of that epoch. When there is no room, two epochs are kept as the
 * older one, so that a cut among them looks lower than it is, never higher. */
void fetch_epochs_note(struct fetch_epochs *e, epoch32 epoch, offset64 start);

TAILQ_HEAD(fetch_parts, fetch_part);

struct fetch_part {
    TAILQ_ENTRY(fetch_part) entry;
    uint64_t version;           /* unique among all partitions that the plan ever had */
    broker_id leader;           /* BROKER_NONE = not known */
    epoch32 leader_epoch;       /* of that leader; EPOCH_NONE = not known */
    offset64 offset;            /* next to fetch */
    struct fetch_epochs epochs; /* of what was fetched below it */
    bool is_parting; /* what was handed out is not in the log; from where on is being looked for */
    enum fetch_seek seek;
    wall_ms seek_time;
    offset64 high_watermark; /* OFFSET_NONE = not known */
    size_t queued;           /* bytes fetched and not handed out */
    bool is_paused;
    bool is_resting;  /* an error was reported: until sought */
    uint32_t n_asked; /* questions of this version that are out: 0 or 1 */
    uint32_t n_failures;
    wtime not_before;
};

struct fetch_plan {
    struct fetch_settings settings;
    struct prng prng;
    struct fetch_parts parts; /* those served last stand last */
    size_t queued;
    uint64_t n_added;
};

void fetch_plan_init(struct fetch_plan *plan, const struct fetch_settings *settings, uint64_t seed);
/* at: an offset, or -1 the end, -2 the start. */
void fetch_plan_add(struct fetch_plan *plan, struct fetch_part *p, offset64 at);
void fetch_plan_remove(struct fetch_plan *plan, struct fetch_part *p);
/* What is queued of it is dropped by the shell, which says so with fetch_plan_unqueued(). */
void fetch_plan_seek(struct fetch_part *p, offset64 at);
/* [FET-31] The record before `at` was of that epoch, says who sought; EPOCH_NONE = not known. */
void fetch_plan_seek_epoch(struct fetch_part *p, offset64 at, epoch32 epoch);
void fetch_plan_seek_time(struct fetch_part *p, wall_ms time);

/* Partitions of `broker` whose position must be looked up now; they count as asked. Returns how
 * many. */
size_t fetch_plan_lookups(
        struct fetch_plan *plan, broker_id broker, wtime now, struct fetch_part **ret, size_t max);
/* Partitions to fetch from `broker` now, those served longest ago first; they count as asked.
 * `*ret_max_bytes`: how much to ask for in all. Returns how many. */
size_t fetch_plan_fetches(struct fetch_plan *plan,
        broker_id broker,
        wtime now,
        struct fetch_part **ret,
        size_t max,
        size_t *ret_max_bytes);
/* Whether a partition that wants something lacks a leader. */
bool fetch_plan_lacks_leader(const struct fetch_plan *plan);

/* Answers, of the present version. */
void fetch_plan_found(struct fetch_part *p, offset64 offset);
/* `size` bytes came that end before `next`, of those epochs; 0 = nothing new. The partition goes
 * behind the others. */
void fetch_plan_fetched(struct fetch_plan *plan,
        struct fetch_part *p,
        size_t size,
        offset64 next,
        const struct fetch_epochs *epochs,
        offset64 high_watermark);
/* The epoch of the last record that was fetched; EPOCH_NONE = none was since the last seek. */
epoch32 fetch_plan_last_epoch(const struct fetch_part *p);
/* [FET-31] What was fetched is not in the leader's log: epoch `epoch`, the largest not above the one
 * that was named, ends there at `end`. Fetching goes on lower, where both may agree; the shell drops
 * what is queued. `position`: what lies below was handed out. False: the answer makes no sense. */
bool fetch_plan_diverged(struct fetch_part *p, epoch32 epoch, offset64 end, offset64 position);
/* The leader had nothing against `offset`. True: this is where the logs part, and what was handed
 * out above it is gone. */
bool fetch_plan_agreed(struct fetch_part *p);
/* `size` queued bytes were handed out or dropped. */
void fetch_plan_unqueued(struct fetch_plan *plan, struct fetch_part *p, size_t size);

enum fetch_verdict {
    FETCH_RETRY = 1, /* again after a moment, with fresh metadata */
    FETCH_MOVED,     /* auto.offset.reset: the position is looked up anew */
    FETCH_REST,      /* report it; the partition rests */
};

/* A question failed with ERRCODE_*; a lost connection is NETWORK_EXCEPTION. */
enum fetch_verdict fetch_plan_failed(
        struct fetch_plan *plan, struct fetch_part *p, int code, wtime now);
/* The shell found that what came cannot be used; a question that is out is not waited for. */
void fetch_plan_rest(struct fetch_part *p);

/* Whether nothing more is there of any partition that is not paused or resting; false without such
 * partitions. */
bool fetch_plan_is_at_end(const struct fetch_plan *plan);
/* When a backoff ends; WTIME_NEVER = nothing waits for time. */
wtime fetch_plan_deadline(const struct fetch_plan *plan, wtime now);
