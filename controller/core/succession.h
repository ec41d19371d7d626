/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Who is to be the active controller instead of the present one, as pure functions. */

enum {
    SUCCESSION_NONE = -1 /* no controller */
};

/* [CTL-20] Whether the silence of brokers is this controller's own problem: more than half of `n_brokers`, whose nodes
 * all stand, are quiet. A broker is quiet long before it is silent enough to be fenced, so that a cut that silences all
 * is recognised before the first of them is fenced. */
bool succession_is_own_problem(size_t n_brokers, size_t n_quiet);

/* What a standby said when it was asked whom it reaches. */
struct succession_standby {
    int32_t id;
    bool is_ready; /* it answered, and may take over */
    size_t n_reached;
};

/* [CTL-21] The standby that is handed over to: of those that are ready and reach at least `n_min` brokers the one that
 * reaches most, of equals the one with the lowest id. SUCCESSION_NONE = none is. */
int32_t succession_choose(const struct succession_standby *standbys, size_t n, size_t n_min);

/* [CTL-22] How many candidates have the precedence over `self` when `dead` is to be followed: those with a lower id.
 * `ids` may hold `self`, `dead` and doubles (a controller that was restarted may have two nodes); it is sorted. */
size_t succession_rank(const int32_t *ids, size_t n, int32_t self, int32_t dead);
