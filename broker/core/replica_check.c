/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/replica_check.h"

static bool interests_are_sound(const struct replica *r)
{
    if (r->role != REPLICA_LEADER) {
        return TAILQ_EMPTY(&r->interests); /* [REP-21] Who leads no more has answered everybody. */
    }
    const struct replica_interest *w;
    TAILQ_FOREACH(w, &r->interests, entry)
    {
        if (w->is_produce && (w->offset < r->high_watermark || w->offset >= r->log_end)) {
            return false; /* committed and not answered, or never appended */
        }
        if (!w->is_produce && w->offset < r->high_watermark) {
            return false; /* there is more to read, and it was not woken */
        }
    }
    return true;
}

bool replica_check(const struct replica *r)
{
    if (r->high_watermark < 0 || r->high_watermark > r->log_end || r->flushed > r->log_end) {
        return false;
    }
    if (r->role == REPLICA_LEADER) {
        if (!r->has_record || !r->may_lead || r->record.leader != r->self) {
            return false;
        }
        if (!broker_set_has(&r->record.isr, r->self) || r->epoch_start > r->log_end) {
            return false;
        }
    }
    return interests_are_sound(r);
}
