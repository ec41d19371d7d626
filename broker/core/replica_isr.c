/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/replica_impl.h"
#include "common/base/cover.h"
#include "common/base/must.h"
#include "common/base/mutant.h"

/* A leader's view of the other replicas, and what it asks the controller for. */

/* --- Peers -------------------------------------------------------------------------------------------------------- */

static void forget_ack(struct replica_peer *p, wtime now)
{
    p->end = OFFSET_NONE;
    p->flushed = OFFSET_NONE;
    p->fetched_at = WTIME_NEVER;
    p->heard_at = WTIME_NEVER;
    p->end_then = OFFSET_NONE;
    p->caught_up_at = now; /* [REP-37] */
}

static int peer_index(const struct replica *r, broker_id id)
{
    for (uint8_t i = 0; i < r->n_peers; i++) {
        if (r->peers[i].id == id) {
            return i;
        }
    }
    return -1;
}

struct replica_peer *replica_peer_of(struct replica *r, broker_id id)
{
    int i = peer_index(r, id);

    return i < 0 ? NULL : &r->peers[i];
}

void replica_peers_match(struct replica *r)
{
    struct replica_peer kept[REPLICAS_MAX];
    const struct broker_set *all = &r->record.replicas;

    for (uint8_t i = 0; i < all->n; i++) {
        const struct replica_peer *old = replica_peer_of(r, all->at[i]);

        if (old != NULL) {
            kept[i] = *old;
        } else {
            kept[i] = (struct replica_peer){.id = all->at[i], .epoch = BROKER_EPOCH_NONE};
            forget_ack(&kept[i], r->now);
        }
    }
    r->n_peers = all->n;
    for (uint8_t i = 0; i < all->n; i++) {
        r->peers[i] = kept[i];
    }
}

bool replica_peers_see(struct replica *r, const struct replica_peer_view *views, uint8_t n)
{
    bool is_changed = false;

    for (uint8_t i = 0; i < n; i++) {
        struct replica_peer *p = replica_peer_of(r, views[i].id);

        if (p == NULL) {
            continue; /* of an older record */
        }
        if (p->epoch != views[i].epoch && !MUTANT_IS(ANY_INCARNATION)) {
            forget_ack(
                    p, r->now); /* [REP-31] What another incarnation confirmed is worth nothing. */
            p->session = 0;
        }
        is_changed = is_changed || p->epoch != views[i].epoch || p->is_active != views[i].is_active;
        p->epoch = views[i].epoch;
        p->is_active = views[i].is_active;
    }
    return is_changed;
}

void replica_peers_begin(struct replica *r)
{
    for (uint8_t i = 0; i < r->n_peers; i++) {
        if (!MUTANT_IS(ACK_SURVIVES_EPOCH)) {
            forget_ack(&r->peers[i], r->now); /* [REP-30] */
        }
    }
}

void replica_peer_fetched(
        struct replica *r, struct replica_peer *p, offset64 offset, offset64 flushed)
{
    /* [REP-37] The lag clock: level with the log's end now, or with where it ended at the previous fetch. */
    if (offset >= r->log_end) {
        p->caught_up_at = r->now;
    } else if (p->fetched_at != WTIME_NEVER && offset >= p->end_then) {
        p->caught_up_at = wtime_max(p->caught_up_at, p->fetched_at);
    }
    p->fetched_at = r->now;
    p->end_then = r->log_end;
    if (offset > p->end) { /* A repeat of an older fetch takes nothing back. */
        p->end = offset;
    }
    if (flushed > p->flushed) {
        p->flushed = flushed;
    }
}

/* [REP-57] The record is as binding as the configuration, whichever of them comes first: what it
 * says holds until the controller takes it back. So does a proposal of it, which may be the record
 * by now. */
bool replica_counts_synced(const struct replica *r)
{
    COVER_IF(r->record.is_durable, REP, 57);
    return r->fsync_acks || r->record.is_durable || (r->pending.is_set && r->pending.is_durable);
}

offset64 replica_ack_of(const struct replica *r, broker_id id)
{
    bool is_synced = replica_counts_synced(r) && !MUTANT_IS(UNSYNCED_COUNTS);
    int i = peer_index(r, id);

    if (id == r->self) {
        return is_synced ? r->flushed : r->log_end;
    }
    if (i < 0) {
        return OFFSET_NONE;
    }
    const struct replica_peer *p = &r->peers[i];
    if (is_synced) { /* [REP-32] */
        return p->flushed < p->end ? p->flushed : p->end;
    }
    return p->end;
}

static bool waits_here(const struct replica *r, const struct replica_session *s)
{
    const struct replica_interest *w;

    TAILQ_FOREACH (w, &r->replica_waits, entry) {
        if (w->ask.loop == s->loop && w->ask.request == s->request) {
            return true;
        }
    }
    return false;
}

void replica_hear_sessions(struct replica *r, const struct replica_session *sessions, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct replica_peer *p = replica_peer_of(r, sessions[i].replica);

        if (p != NULL && p->id != r->self && p->epoch == sessions[i].broker_epoch &&
                waits_here(r, &sessions[i])) { /* [REP-56] */
            p->heard_at = sessions[i].heard_at;
        }
    }
}

static bool is_within_lease(const struct replica *r, wtime t)
{
    return t != WTIME_NEVER && r->now <= wtime_add(t, r->lease);
}

bool replica_is_followed(const struct replica *r)
{
    for (uint8_t i = 0; i < r->n_peers; i++) {
        const struct replica_peer *p = &r->peers[i];

        if (p->id != r->self && broker_set_has(&r->record.isr, p->id) &&
                (is_within_lease(r, p->fetched_at) || is_within_lease(r, p->heard_at))) {
            return true;
        }
    }
    return false;
}

/* --- Who should be in the ISR ------------------------------------------------------------------------------------- */

/* When `p` is behind, unless it fetches more; WTIME_NEVER = it has everything. */
static wtime behind_at(const struct replica *r, const struct replica_peer *p)
{
    if (p->end == r->log_end) {
        return WTIME_NEVER;
    }
    return wtime_add(wtime_add(p->caught_up_at, r->lag_max), 1);
}

static bool is_behind(const struct replica *r, const struct replica_peer *p)
{
    return wtime_due(behind_at(r, p), r->now);
}

/* [REP-37] Who has everything fetches nothing while nothing is appended: its time begins with the append. */
void replica_note_level(struct replica *r)
{
    for (uint8_t i = 0; i < r->n_peers; i++) {
        if (r->peers[i].end == r->log_end) {
            r->peers[i].caught_up_at = r->now;
        }
    }
}

static bool may_join(const struct replica *r, const struct replica_peer *p)
{
    offset64 ack = replica_ack_of(r, p->id);

    if (!p->is_active || ack == OFFSET_NONE) {
        return false;
    }
    /* [REP-36] The high watermark of a new leader lags behind what the former one committed. */
    if (ack < r->high_watermark && !MUTANT_IS(JOIN_BELOW_HW)) {
        return false;
    }
    COVER_IF(ack < r->epoch_start, REP, 36);
    if (ack < r->epoch_start && !MUTANT_IS(JOIN_BEFORE_EPOCH_START) && !MUTANT_IS(JOIN_BELOW_HW)) {
        return false;
    }
    COVER_IF(is_behind(r, p), REP, 38);
    return !is_behind(r, p); /* [REP-38] It would have to leave at once. */
}

/* The ISR that there should be. */
static struct broker_set wanted_isr(const struct replica *r)
{
    struct broker_set want = {.n = 1, .at = {r->self}};

    if (r->record.recovering) {
        COVER(REP, 42);
        return want; /* [REP-42] */
    }
    want = r->record.isr;
    for (uint8_t i = 0; i < r->n_peers; i++) {
        const struct replica_peer *p = &r->peers[i];

        if (p->id == r->self) {
            continue;
        }
        if (broker_set_has(&r->record.isr, p->id)) {
            if (is_behind(r, p)) {
                COVER(REP, 37);
                broker_set_remove(&want, p->id); /* [REP-37] */
            }
        } else if (may_join(r, p)) {
            (void)broker_set_add(&want, p->id); /* Full: never, it is of the replicas. */
        }
    }
    return want;
}

static bool is_change_wanted(const struct replica *r, const struct broker_set *want)
{
    return r->record.recovering || !broker_set_equal(want, &r->record.isr);
}

/* [REP-58] All of the ISR have on their disks what this leadership has committed, and what former
 * ones may have: a new leader's high watermark lags. Of the ELR nothing is known here. */
static bool may_claim_durable(const struct replica *r)
{
    const struct broker_set *isr = &r->record.isr;
    offset64 least = r->high_watermark > r->epoch_start ? r->high_watermark : r->epoch_start;

    if (!r->fsync_acks || r->record.is_durable || r->record.recovering || r->record.elr.n > 0) {
        return false;
    }
    for (uint8_t i = 0; i < isr->n && !MUTANT_IS(DURABLE_WITHOUT_SYNC); i++) {
        if (replica_ack_of(r, isr->at[i]) < least) {
            return false;
        }
    }
    return true;
}

/* --- Proposals ---------------------------------------------------------------------------------------------------- */

static void fill_proposal(
        struct replica *r, const struct broker_set *isr, bool recovered, bool durable)
{
    struct replica_proposal *q = &r->pending.proposal;

    *q = (struct replica_proposal){.leader_epoch = r->record.leader_epoch,
            .partition_epoch = r->record.partition_epoch,
            .n = isr->n,
            .recovered = recovered,
            .durable = durable};
    for (uint8_t i = 0; i < isr->n; i++) {
        const struct replica_peer *p = replica_peer_of(r, isr->at[i]);

        must(p != NULL);
        q->isr[i].id = p->id;
        q->isr[i].epoch = p->epoch;
    }
}

static void send_proposal(struct replica *r, struct replica_fx *fx)
{
    r->pending.n_sent++;
    r->pending.resend_at = WTIME_NEVER;
    replica_fx_push(fx, REPLICA_FX_PROPOSE)->proposal = r->pending.proposal;
}

void replica_consider_isr(struct replica *r, struct replica_fx *fx)
{
    struct broker_set want;

    must(r->role == REPLICA_LEADER);
    if (r->pending.is_set && !MUTANT_IS(PROPOSE_ANEW)) {
        return; /* [REP-39] One at a time. */
    }
    want = wanted_isr(r);
    bool is_change = is_change_wanted(r, &want);
    bool is_claim = !is_change && r->now >= r->claim_after && may_claim_durable(r);

    if (r->now < r->propose_after || !(is_change || is_claim)) {
        return;
    }
    COVER_IF(is_claim, REP, 58);
    r->pending =
            (struct replica_pending){.is_set = true, .brake = want, .is_durable = is_claim};
    fill_proposal(r, &want, r->record.recovering, is_claim);
    send_proposal(r, fx);
    trace_emit(r->trace, "%s proposes an ISR of %u instead of %u%s, partition epoch %d", r->name,
            want.n, r->record.isr.n, is_claim ? ", durable" : "", r->record.partition_epoch);
}

/* [REP-41] Nothing of what was added may join. When it was sent once, that is the end of it. Else the other copy may still
 * be carried out, when the controller gets it late: then the ISR as it is is proposed, which uses its partition epoch up. */
static void on_refused_for_good(struct replica *r)
{
    if (r->pending.n_sent == 1 || MUTANT_IS(REFUSAL_IS_FINAL)) {
        r->pending = (struct replica_pending){0};
        r->propose_after = wtime_add(r->now, REPLICA_PROPOSE_PAUSE);
        return;
    }
    r->pending.is_taken_back = true;
    fill_proposal(r, &r->record.isr, false, false);
    r->pending.resend_at = wtime_add(r->now, REPLICA_RESEND_PAUSE);
}

static bool is_of_pending(const struct replica *r, const struct replica_event *ev)
{
    return r->pending.is_set && ev->proposed.leader_epoch == r->pending.proposal.leader_epoch &&
           ev->proposed.partition_epoch == r->pending.proposal.partition_epoch;
}

void replica_on_proposed(struct replica *r, const struct replica_event *ev, struct replica_fx *fx)
{
    if (r->role != REPLICA_LEADER) {
        return;
    }
    if (ev->proposed.error == ERRCODE_NONE && ev->proposed.record != NULL &&
            replica_install(
                    r, ev->proposed.record)) { /* [REP-43] The answer came before the push. */
        COVER(REP, 43);
        replica_settle(r, fx);
        return;
    }
    if (!is_of_pending(r, ev)) {
        return;
    }
    switch (ev->proposed.error) {
    case ERRCODE_INELIGIBLE_REPLICA: on_refused_for_good(r); break;
    case ERRCODE_NONE:
    case ERRCODE_INVALID_UPDATE_VERSION:
    case ERRCODE_FENCED_LEADER_EPOCH:
    case ERRCODE_STALE_BROKER_EPOCH:
    case ERRCODE_UNKNOWN_TOPIC_ID:
        break; /* [REP-40] There is a newer record than this one: it comes with the push. */
    default:   /* [REP-40] Perhaps it was carried out: the same once more. */
        COVER(REP, 40);
        r->pending.resend_at = wtime_add(r->now, REPLICA_RESEND_PAUSE);
        break;
    }
    replica_advance(r, fx);
}

void replica_isr_tick(struct replica *r, struct replica_fx *fx)
{
    if (r->pending.is_set && wtime_due(r->pending.resend_at, r->now)) {
        send_proposal(r, fx);
    }
    replica_consider_isr(r, fx);
}

wtime replica_isr_deadline(const struct replica *r)
{
    wtime t = WTIME_NEVER;

    if (r->pending.is_set) {
        return r->pending.resend_at;
    }
    struct broker_set want = wanted_isr(r);
    if (is_change_wanted(r, &want)) {
        return wtime_max(r->propose_after, r->now);
    }
    if (may_claim_durable(r)) {
        t = wtime_max(wtime_max(r->propose_after, r->claim_after), r->now);
    }
    for (uint8_t i = 0; i < r->n_peers; i++) {
        const struct replica_peer *p = &r->peers[i];

        if (p->id != r->self && broker_set_has(&r->record.isr, p->id)) {
            t = wtime_min(t, behind_at(r, p));
        }
    }
    return t == WTIME_NEVER ? t : wtime_max(t, r->propose_after);
}
