/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/replica_check.h"

#include "broker/core/replica_impl.h"

/* The numbers S10 to S14 are those of the invariants in docs/design/10-replication.md. */

static bool interests_of_are_sound(
        const struct replica *r, const struct replica_interests *list, size_t *n_disk_waits)
{
    const struct replica_interest *w;

    TAILQ_FOREACH(w, list, entry)
    {
        if (replica_interest_is_over(r, w)) {
            return false; /* committed, or on the disk, and not answered; or there is more to read, and it was not woken */
        }
        if (w->is_produce && w->offset >= r->log_end) {
            return false; /* never appended */
        }
        *n_disk_waits += w->needs_disk;
    }
    return true;
}

static bool interests_are_sound(const struct replica *r)
{
    size_t n_disk_waits = 0;

    if (r->role != REPLICA_LEADER) { /* [REP-21] Who leads no more has answered everybody. */
        return TAILQ_EMPTY(&r->interests) && TAILQ_EMPTY(&r->replica_waits);
    }
    return interests_of_are_sound(r, &r->interests, &n_disk_waits) &&
           interests_of_are_sound(r, &r->replica_waits, &n_disk_waits) &&
           n_disk_waits == r->n_disk_waits;
}

/* S13 by construction: what is kept of a peer is of this leader epoch and of its present incarnation. */
static bool peers_are_sound(const struct replica *r)
{
    if (r->n_peers != (r->has_record ? r->record.replicas.n : 0)) {
        return false;
    }
    for (uint8_t i = 0; i < r->n_peers; i++) {
        const struct replica_peer *p = &r->peers[i];

        if (p->id != r->record.replicas.at[i] || p->end < OFFSET_NONE) {
            return false;
        }
        if (r->role == REPLICA_LEADER && p->end > r->log_end) {
            return false; /* It cannot have confirmed what is not here. */
        }
    }
    return true;
}

/* S14 Whoever is proposed to join has what is committed and what the leadership began with, as long as it is the same
 * incarnation. */
static bool joiners_are_sound(const struct replica *r)
{
    const struct replica_proposal *q = &r->pending.proposal;

    for (uint8_t i = 0; i < q->n; i++) {
        for (uint8_t k = 0; k < r->n_peers; k++) {
            const struct replica_peer *p = &r->peers[k];

            if (p->id == q->isr[i].id && p->epoch == q->isr[i].epoch && p->end != OFFSET_NONE &&
                    !broker_set_has(&r->record.isr, p->id) &&
                    (p->end < r->high_watermark || p->end < r->epoch_start)) {
                return false;
            }
        }
    }
    return true;
}

static bool pending_is_sound(const struct replica *r)
{
    const struct replica_proposal *q = &r->pending.proposal;

    if (!r->pending.is_set) {
        return true;
    }
    return r->role == REPLICA_LEADER && q->leader_epoch == r->record.leader_epoch &&
           q->partition_epoch == r->record.partition_epoch && q->n > 0 &&
           broker_set_has(&r->pending.brake, r->self) && joiners_are_sound(r);
}

static bool leader_is_sound(const struct replica *r)
{
    return r->has_record && r->may_lead && r->record.leader == r->self &&
           broker_set_has(&r->record.isr, r->self) && r->epoch_start <= r->log_end &&
           r->work == REPLICA_WORK_NONE && r->role_epoch == r->record.leader_epoch;
}

bool replica_check(const struct replica *r)
{
    /* S11 */
    if (r->high_watermark < 0 || r->high_watermark > r->log_end || r->flushed > r->log_end) {
        return false;
    }
    if (r->role == REPLICA_LEADER && !leader_is_sound(r)) {
        return false;
    }
    return peers_are_sound(r) && pending_is_sound(r) && interests_are_sound(r);
}

/* S10 A leader's high watermark moves only with min_isr members, and not beyond what each of them, and of those who are
 * proposed, has confirmed. */
bool replica_check_moved(const struct replica *r, offset64 was_hw)
{
    if (r->role != REPLICA_LEADER || r->high_watermark <= was_hw) {
        return true;
    }
    if (r->record.isr.n < r->record.min_isr) {
        return false;
    }
    for (uint8_t i = 0; i < r->n_peers; i++) {
        broker_id id = r->peers[i].id;
        bool counts = broker_set_has(&r->record.isr, id) ||
                      (r->pending.is_set && broker_set_has(&r->pending.brake, id));

        if (counts && replica_ack_of(r, id) < r->high_watermark) {
            return false;
        }
    }
    return true;
}
