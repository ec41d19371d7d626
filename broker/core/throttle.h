/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/wtime.h"

#include <stdbool.h>
#include <stdint.h>

/* How many bytes of a kind may pass in a second: a bucket that fills at a rate and holds a quarter of a second's worth. Pure.
 *
 *   room ≥ a twentieth of a second's worth ─▶ so many may pass      else ─▶ wait until throttle_when()
 *
 * What passes is whole batches, and is known only when it has: what is beyond the room is owed, and paid by waiting. So the
 * rate holds over any time that is long against one answer. Rules are numbered [THR-n] in docs/design/15-fetching.md. */

#define THROTTLE_ALL INT64_MAX

enum {
    THROTTLE_RATE_MAX_LOG2 = 40 /* greater rates are as this one */
};

struct throttle {
    int64_t rate; /* bytes a second; 0 = no limit */
    int64_t room; /* negative = so many are owed */
    wtime at;     /* when `room` was reckoned */
    wtime held_since; /* somebody waits; WTIME_NEVER = nobody */
    wtime held;       /* in which somebody waited, until the last throttle_took() */
};

void throttle_init(struct throttle *t, int64_t rate, wtime now);
/* [THR-5] From now on; what is owed stays owed. */
void throttle_set_rate(struct throttle *t, int64_t rate, wtime now);
/* [THR-2] How many bytes may pass now; THROTTLE_ALL = no limit; 0 = none before throttle_when(). */
int64_t throttle_room(struct throttle *t, wtime now);
/* When there is room; `now` when there is some. */
wtime throttle_when(struct throttle *t, wtime now);
/* Somebody found no room. */
void throttle_held(struct throttle *t, wtime now);
/* So many have passed. */
void throttle_took(struct throttle *t, int64_t bytes, wtime now);
