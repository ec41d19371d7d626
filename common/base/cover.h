/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Marks on the branches of numbered rules, so that tests can tell which of them a run has taken: docs/dev/simulator.md.
 *
 * COVER(REP, 29) and COVER_IF(condition, REP, 29) are nothing in every build that is shipped; the condition is not looked
 * at there. Only tests compile cores with WEIR_MUTANTS. Which rules have a mark, and why others have none, stands in
 * tests/sim/cover.def. */
#ifdef WEIR_MUTANTS

#include <stdbool.h>

enum {
    COVER_RULES = 100 /* of an area; their numbers are below */
};

/* Thread: any, one at a time. */
struct cover {
    bool REP[COVER_RULES], CTL[COVER_RULES];
};

extern struct cover cover_taken; /* since it was last zeroed */

#define COVER(area, n) ((void)(cover_taken.area[n] = true))
#define COVER_IF(condition, area, n)                                                               \
    do {                                                                                           \
        if (condition) {                                                                           \
            COVER(area, n);                                                                        \
        }                                                                                          \
    } while (0)

#else

#define COVER(area, n)               ((void)0)
#define COVER_IF(condition, area, n) ((void)0)

#endif
