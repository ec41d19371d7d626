/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/prng.h"
#include "common/base/uuid.h"
#include "common/base/wtime.h"
#include "common/domain/ids.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a client believes about topics and leaders, and when it asks again.
 *
 * Topics are embedded in structs of the shell. An answer may come from a broker that lags behind: a
 * leader of an older leader epoch never replaces a newer one of the same topic id. Pure. Owner:
 * whoever holds the client's lock. Thread: owner. */

struct mv_partition {
    broker_id leader; /* BROKER_NONE = none, or not known */
    epoch32 leader_epoch;
};

enum mv_topic_state {
    MV_TOPIC_ASKED = 0, /* no answer yet */
    MV_TOPIC_KNOWN,
    MV_TOPIC_REFUSED, /* the last answer was `error`; what was known before is kept */
};

struct mv_topic {
    enum mv_topic_state state;
    struct uuid id; /* zero until known */
    int error;      /* REFUSED: ERRCODE_* */
    wtime refused_since;
    struct mv_partition *partitions;
    int32_t n_partitions; /* 0 until known; never shrinks while the id stays */
};

void mv_topic_deinit(struct mv_topic *t);

/* One topic of an answer. `leaders` has `n` items by partition number. */
struct mv_answer_topic {
    int error;
    struct uuid id;
    const struct mv_partition *leaders;
    int32_t n;
};

/* True when anything changed. */
bool mv_topic_apply(struct mv_topic *t, const struct mv_answer_topic *answer, wtime now);
/* Whether work for the topic must wait for another answer: unknown, refused, or a partition without
 * a leader. */
bool mv_topic_is_incomplete(const struct mv_topic *t);

/* When to ask. At most one question is out. */
struct mv_refresh {
    wtime first_wait, max_wait; /* backoff between questions that did not settle the matter */
    wtime max_age;              /* asks again without a reason after this time */
    struct prng prng;
    bool is_asking;
    bool is_wanted;
    uint32_t n_fruitless; /* questions in a row that failed or left something incomplete */
    wtime not_before;
    wtime asked_last; /* end of the last good answer; WTIME_NEVER = none yet */
};

void mv_refresh_init(
        struct mv_refresh *r, wtime first_wait, wtime max_wait, wtime max_age, uint64_t seed);
/* Something showed that the view is old. */
void mv_refresh_want(struct mv_refresh *r);
bool mv_refresh_is_due(const struct mv_refresh *r, wtime now);
wtime mv_refresh_deadline(const struct mv_refresh *r);
void mv_refresh_begin(struct mv_refresh *r);
/* The question was answered; `is_complete`: nothing waits for more. */
void mv_refresh_answered(struct mv_refresh *r, bool is_complete, wtime now);
void mv_refresh_failed(struct mv_refresh *r, wtime now);
