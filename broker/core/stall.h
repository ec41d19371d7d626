/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/wtime.h"

#include <stdbool.h>
#include <stdint.h>

/* Whether a log directory's disk has stopped answering, judged by its canaries. Pure.
 *
 *              a canary is under way longer than the limit
 *   ANSWERS ───────────────────────────────────────────────▶ STALLED
 *      ◀──────────────────────────────────────────────────────
 *         STALL_GOOD_CANARIES in a row ended within the limit */

enum {
    STALL_GOOD_CANARIES = 2
};

struct stall {
    wtime limit;
    bool is_stalled;
    wtime since;     /* valid while stalled: when the canary began that took too long */
    uint32_t n_good; /* in a row, since the disk stalled */
};

void stall_init(struct stall *s, wtime limit);
/* A canary that began then is still under way. */
void stall_on_waiting(struct stall *s, wtime began, wtime now);
/* A canary ended after so long. */
void stall_on_done(struct stall *s, wtime began, wtime took);
/* How long the directory has been refused for, in ms and at least 1; 0 = it is in service. */
uint32_t stall_ms(const struct stall *s, wtime now);
