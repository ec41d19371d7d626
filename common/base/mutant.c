/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/mutant.h"

#include "common/base/must.h"

#include <stddef.h>

enum mutant mutant_active;

static const struct {
    const char *name, *text;
} mutants[MUTANT_COUNT] = {
        [MUTANT_NONE] = {"NONE", "every rule holds"},
#define MUTANT(name, text) [MUTANT_##name] = {#name, text},
#include "common/base/mutant.def"
#undef MUTANT
};

const char *mutant_name(enum mutant m)
{
    must(m < MUTANT_COUNT);
    return mutants[m].name;
}

const char *mutant_text(enum mutant m)
{
    must(m < MUTANT_COUNT);
    return mutants[m].text;
}
