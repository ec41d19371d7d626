/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/replica_check.h"

#include "broker/core/replica_impl.h"

static bool interests_are_sound(const struct replica *r)
{
    if (r->role != REPLICA_LEADER) {
        return TAILQ_EMPTY(&r->interests); /* [REP-21] Who leads no more has answered everybody. */
    }
    const struct replica_interest *w;
    size_t n_disk_waits = 0;
    TAILQ_FOREACH(w, &r->interests, entry)
    {
        if (replica_interest_is_over(r, w)) {
            return false; /* committed, or on the disk, and not answered; or there is more to read, and it was not woken */
        }
        if (w->is_produce && w->offset >= r->log_end) {
            return false; /* never appended */
        }
        n_disk_waits += w->needs_disk;
    }
    return n_disk_waits == r->n_disk_waits;
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
