/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/cover.h"

#include "tests/sim/sim.h"

/* Which branches of numbered rules the runs have taken. */

static struct sim_cover rules[] = {
#define RULE(area, number, what) {.name = #area "-" #number, .text = what},
#define EXEMPT(area, number, why)
#include "tests/sim/cover.def"
#undef RULE
#undef EXEMPT
};

static const bool *const marks[] = {
#define RULE(area, number, what) &cover_taken.area[number],
#define EXEMPT(area, number, why)
#include "tests/sim/cover.def"
#undef RULE
#undef EXEMPT
};

struct sim_cover *sim_cover(size_t *ret_n)
{
    *ret_n = COUNT_OF(rules);
    return rules;
}

void sim_cover_begin(void)
{
    cover_taken = (struct cover){0};
}

void sim_cover_end(void)
{
    for (size_t i = 0; i < COUNT_OF(rules); i++) {
        rules[i].n_seeds += *marks[i];
    }
}
