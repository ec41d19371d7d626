/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/throttle.h"

#include "common/base/must.h"

#define SECOND        WTIME_S(1)
#define ELAPSED_S_MAX 1000000 /* longer than any debt takes that matters, and its product fits */

/* --- The bucket ------------------------------------------------------------------------------- */

static int64_t most(const struct throttle *t)
{
    return t->rate / 4 > 0 ? t->rate / 4 : 1;
}

/* Less is not worth an answer of its own. */
static int64_t least(const struct throttle *t)
{
    return t->rate / 20 > 0 ? t->rate / 20 : 1;
}

static void fill(struct throttle *t, wtime now)
{
    wtime elapsed = now > t->at ? now - t->at : 0;
    int64_t s = elapsed / SECOND < ELAPSED_S_MAX ? elapsed / SECOND : ELAPSED_S_MAX;
    int64_t part = elapsed % SECOND;
    int64_t more = s * t->rate + part * t->rate / SECOND;
    int64_t room = 0;

    if (t->rate == 0 || more == 0) {
        return; /* `at` stays: what is less than a byte is not lost */
    }
    if (__builtin_add_overflow(t->room, more, &room) || room > most(t)) {
        room = most(t);
    }
    t->room = room;
    t->at = now;
}

/* --- Use -------------------------------------------------------------------------------------- */

static int64_t in_range(int64_t rate)
{
    const int64_t max = INT64_C(1) << THROTTLE_RATE_MAX_LOG2;

    return rate < 0 ? 0 : rate > max ? max : rate;
}

void throttle_init(struct throttle *t, int64_t rate, wtime now)
{
    *t = (struct throttle){.rate = in_range(rate), .at = now, .held_since = WTIME_NEVER};
    t->room = most(t);
}

void throttle_set_rate(struct throttle *t, int64_t rate, wtime now)
{
    fill(t, now);
    if (t->rate == 0) { /* There was no limit: nothing is owed. */
        t->room = INT64_MAX;
    }
    t->rate = in_range(rate);
    t->at = now;
    t->room = t->room < most(t) ? t->room : most(t);
}

int64_t throttle_room(struct throttle *t, wtime now)
{
    if (t->rate == 0) {
        return THROTTLE_ALL;
    }
    fill(t, now);
    return t->room >= least(t) ? t->room : 0;
}

wtime throttle_when(struct throttle *t, wtime now)
{
    if (throttle_room(t, now) > 0) {
        return now;
    }
    int64_t lacks = least(t) - t->room;

    must(lacks > 0);
    return wtime_add(t->at,
            wtime_add(lacks / t->rate * SECOND, lacks % t->rate * SECOND / t->rate + 1));
}

void throttle_held(struct throttle *t, wtime now)
{
    t->held_since = t->held_since < now ? t->held_since : now;
}

void throttle_took(struct throttle *t, int64_t bytes, wtime now)
{
    must(bytes >= 0);
    if (t->held_since != WTIME_NEVER) {
        t->held += now > t->held_since ? now - t->held_since : 0;
        t->held_since = WTIME_NEVER;
    }
    if (t->rate > 0) {
        fill(t, now);
        if (__builtin_sub_overflow(t->room, bytes, &t->room)) {
            t->room = INT64_MIN / 2;
        }
    }
}
