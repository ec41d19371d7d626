/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/core/elect.h"

#include "common/base/cover.h"
#include "common/base/mutant.h"

static broker_id first_of(const struct broker_set *order,
        const struct broker_set *members,
        const struct broker_set *active)
{
    for (int i = 0; i < order->n; i++) {
        if (broker_set_has(members, order->at[i]) && broker_set_has(active, order->at[i])) {
            return order->at[i];
        }
    }
    return BROKER_NONE;
}

broker_id elect_leader(const struct partition_state *p, const struct broker_set *active)
{
    /* [REP-8] Keep, else the ISR in order of preference, else the ELR when nobody is in sync. */
    if (broker_set_has(&p->isr, p->leader) && broker_set_has(active, p->leader)) {
        return p->leader;
    }
    COVER_IF(p->isr.n == 0 && p->elr.n > 0, REP, 8);
    if (MUTANT_IS(LAST_KNOWN_LEADS) && p->isr.n == 0 && p->elr.n == 0) {
        return first_of(&p->replicas, &p->lk, active);
    }
    return first_of(&p->replicas, p->isr.n > 0 ? &p->isr : &p->elr, active);
}
