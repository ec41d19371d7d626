/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/err.h"
#include "common/base/wtime.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The pure half of an RPC session: which of our requests are unanswered, and when they time out.
 *
 * Correlations are given out in order and not reused while outstanding. Owner: one loop. Pure. */
struct calls;

struct calls *calls_new(void);
struct calls *calls_free(struct calls *c);
/* A new call; returns its correlation. `user` comes back with its end. deadline WTIME_NEVER =
 * none. */
uint32_t calls_begin(struct calls *c, void *user, wtime deadline);
/* The answer to `correlation` came: returns its user, or NULL when there is no such call (late,
 * or never asked). */
void *calls_end(struct calls *c, uint32_t correlation);
/* A call whose deadline has come at `now`, removed; NULL = none. Earliest first. */
void *calls_expired(struct calls *c, wtime now);
/* Any call, removed, oldest first; NULL = none left. For a broken connection. */
void *calls_take_any(struct calls *c);
size_t calls_n(const struct calls *c);
wtime calls_deadline(const struct calls *c);
