/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Rules of the cores that can be replaced by the wrong ones of history, so that tests prove they would notice.
 *
 * `MUTANT_IS(NAME)` is a plain `false` in every build that is shipped. Only tests compile cores with WEIR_MUTANTS: then
 * mutant_active says which one is wrong, MUTANT_NONE at first. The names are in common/base/mutant.def. */
#ifdef WEIR_MUTANTS

enum mutant {
    MUTANT_NONE,
#define MUTANT(name, text) MUTANT_##name,
#include "common/base/mutant.def"
#undef MUTANT
    MUTANT_COUNT
};

/* Thread: any, set before anything runs. */
extern enum mutant mutant_active;
const char *mutant_name(enum mutant m); /* "HW_WITHOUT_PENDING" */
const char *mutant_text(enum mutant m);

#define MUTANT_IS(name) (mutant_active == MUTANT_##name)

#else

#define MUTANT_IS(name) 0

#endif
