/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/replica_impl.h"
#include "common/base/cover.h"
#include "common/base/must.h"
#include "common/base/mutant.h"

/* The rules when leading. */

void replica_begin_leading(struct replica *r, struct replica_fx *fx)
{
    must(r->role == REPLICA_LEADER);
    COVER_IF(r->log_end > 0, REP, 22);
    r->epoch_start = r->log_end; /* [REP-22] What lies below was written under former epochs. */
    r->propose_after = r->claim_after = 0;
    replica_peers_begin(r);
    replica_consider_isr(r, fx);
    replica_advance(r, fx);
}

bool replica_admit(struct replica *r,
        const struct replica_ask *ask,
        epoch32 leader_epoch,
        struct replica_fx *fx)
{
    if (r->role == REPLICA_FAILED) {
        replica_fx_reply(fx, ask, ERRCODE_KAFKA_STORAGE_ERROR,
                "the disk or the log of this replica failed; the broker's log says how");
        return false;
    }
    if (r->role != REPLICA_LEADER) {
        replica_fx_reply(fx, ask, ERRCODE_NOT_LEADER_OR_FOLLOWER, "");
        return false;
    }
    if (leader_epoch != EPOCH_NONE && leader_epoch != r->record.leader_epoch) { /* [REP-24] */
        COVER(REP, 24);
        replica_fx_reply(fx, ask,
                leader_epoch < r->record.leader_epoch ? ERRCODE_FENCED_LEADER_EPOCH
                                                      : ERRCODE_UNKNOWN_LEADER_EPOCH,
                "");
        return false;
    }
    return true;
}

bool replica_interest_is_over(const struct replica *r, const struct replica_interest *w)
{
    if (!w->is_produce) {
        return w->offset < (w->is_replica ? r->log_end : r->high_watermark);
    }
    return (!w->needs_commit || w->offset < r->high_watermark) &&
           (!w->needs_disk || w->offset < r->flushed);
}

/* The good end of a produce; `needs_disk`: its own. */
static void acknowledge(struct replica *r,
        const struct replica_ask *ask,
        offset64 base,
        offset64 last,
        bool needs_disk,
        struct replica_fx *fx)
{
    replica_fx_reply(fx, ask, ERRCODE_NONE, "");
    struct replica_fx_item *it = &fx->items[fx->n - 1];
    it->base = base;
    it->leader_epoch = r->record.leader_epoch;
    it->is_on_disk = (r->fsync_acks || needs_disk) && last < r->flushed; /* [LOG-70] */
}

static void wake_passed_of(struct replica *r, struct replica_interests *list, struct replica_fx *fx)
{
    struct replica_interest *next;

    for (struct replica_interest *w = TAILQ_FIRST(list); w != NULL; w = next) {
        next = TAILQ_NEXT(w, entry);
        if (!replica_interest_is_over(r, w)) {
            continue;
        }
        if (w->is_produce) { /* [REP-25] Committed: now it may be acknowledged. */
            acknowledge(r, &w->ask, w->base, w->offset, w->needs_disk, fx);
        } else {
            replica_fx_push(fx, REPLICA_FX_WAKE)->ask = w->ask;
        }
        replica_unpark(r, w);
    }
}

/* [REP-23] What everybody has confirmed who may be elected without the others: those of the committed ISR, and those of the
 * proposal that may have become one. OFFSET_NONE = too few to commit anything. */
static offset64 confirmed_end(const struct replica *r)
{
    struct broker_set all = r->record.isr;
    offset64 least = r->log_end;

    if (r->record.isr.n < r->record.min_isr && !MUTANT_IS(MIN_ISR_NOT_STRICT)) {
        return OFFSET_NONE;
    }
    if (r->pending.is_set && MUTANT_IS(HW_WITHOUT_PENDING)) {
        all = r->pending.brake;
    } else if (r->pending.is_set) {
        COVER(REP, 23);
        for (uint8_t i = 0; i < r->pending.brake.n; i++) {
            (void)broker_set_add(&all, r->pending.brake.at[i]); /* Full: never, all are replicas. */
        }
    }
    for (uint8_t i = 0; i < all.n; i++) {
        offset64 ack = replica_ack_of(r, all.at[i]);

        least = ack < least ? ack : least;
    }
    return least;
}

void replica_advance(struct replica *r, struct replica_fx *fx)
{
    must(r->role == REPLICA_LEADER);
    offset64 end = confirmed_end(r);

    if (end > r->high_watermark) {
        replica_set_hw(r, end, fx);
        wake_passed_of(r, &r->interests, fx);
    }
}

/* [REP-29] acks 0 and 1 need nobody else, so they would go on on a leader that was replaced long ago. */
static bool may_vouch_alone(struct replica *r, const struct replica_event *ev)
{
    bool is_alone = r->record.isr.n == 1 && r->record.isr.at[0] == r->self;

    if (ev->produce.has_lease || r->record.replicas.n == 1 || is_alone) {
        return true;
    }
    replica_hear_sessions(r, ev->produce.sessions, ev->produce.n_sessions);
    return replica_is_followed(r);
}

void replica_on_produce(struct replica *r, const struct replica_event *ev, struct replica_fx *fx)
{
    struct replica_fx_item *it;

    must(ev->produce.acks >= -1 && ev->produce.acks <= 1);
    if (!replica_admit(r, &ev->ask, EPOCH_NONE, fx)) {
        return;
    }
    if (ev->produce.acks == -1 && r->record.isr.n < r->record.min_isr) { /* [REP-25] */
        COVER(REP, 25);
        replica_fx_reply(fx, &ev->ask, ERRCODE_NOT_ENOUGH_REPLICAS, "");
        return;
    }
    if (ev->produce.acks != -1 && !may_vouch_alone(r, ev)) {
        COVER(REP, 29);
        replica_fx_reply(fx, &ev->ask, ERRCODE_NOT_LEADER_OR_FOLLOWER,
                "neither the controllers nor another replica were heard for weir.lease.ms: "
                "somebody else "
                "may lead by now, and only acks=all is safe");
        return;
    }
    it = replica_fx_push(fx, REPLICA_FX_APPEND);
    it->ask = ev->ask;
    it->leader_epoch = r->record.leader_epoch;
}

void replica_on_appended(struct replica *r, const struct replica_event *ev, struct replica_fx *fx)
{
    must(r->role == REPLICA_LEADER);
    must(ev->appended.leader_epoch == r->record.leader_epoch);
    must(ev->appended.base == r->log_end);
    must(ev->appended.log_end > ev->appended.base);

    replica_note_level(r);
    r->log_end = ev->appended.log_end;
    struct replica_interest w = {.is_produce = true,
            .ask = ev->ask,
            .base = ev->appended.base,
            .offset = ev->appended.log_end - 1,
            .needs_commit = ev->appended.acks == -1,
            /* [LOG-70] An acknowledgement means "on the disk" there; who wants none waits for none. */
            .needs_disk = ev->appended.acks != 0 && (r->fsync_acks || ev->appended.needs_disk)};
    if (w.needs_commit || w.needs_disk) {
        replica_park(r, &w);
    } else {
        acknowledge(r, &w.ask, w.base, w.offset, false, fx);
    }
    if (replica_counts_synced(r) || ev->appended.needs_disk) {
        (void)replica_fx_push(fx, REPLICA_FX_FLUSH); /* [LOG-71] */
    }
    wake_passed_of(r, &r->replica_waits, fx);
    replica_advance(r, fx);
}

void replica_on_repeated(struct replica *r, const struct replica_event *ev, struct replica_fx *fx)
{
    must(r->role == REPLICA_LEADER);
    must(ev->repeated.base <= ev->repeated.last && ev->repeated.last < r->log_end);

    /* [PID-19] As the original: what may still be cut, or is not on the disk, is not acknowledged to who asks for that. */
    struct replica_interest w = {.is_produce = true,
            .ask = ev->ask,
            .base = ev->repeated.base,
            .offset = ev->repeated.last,
            .needs_commit = ev->repeated.acks == -1,
            .needs_disk = ev->repeated.acks != 0 && r->fsync_acks};
    if (replica_interest_is_over(r, &w)) {
        acknowledge(r, &w.ask, w.base, w.offset, w.needs_disk, fx);
    } else {
        replica_park(r, &w);
    }
}

void replica_on_flushed(struct replica *r, offset64 flushed, struct replica_fx *fx)
{
    must(flushed <= r->log_end);
    if (flushed <= r->flushed) {
        return;
    }
    r->flushed = flushed;
    if (r->role == REPLICA_LEADER) {
        replica_consider_isr(r, fx); /* [REP-58] */
        replica_advance(r, fx);
        if (r->n_disk_waits > 0) { /* also of those for whom the high watermark need not move */
            wake_passed_of(r, &r->interests, fx);
        }
    } else if (r->role == REPLICA_FOLLOWER && replica_counts_synced(r)) {
        (void)replica_fx_push(fx, REPLICA_FX_PROGRESS); /* [REP-32] */
    }
}

/* [LOG-75] Whether the asker's records are not the leader's: its last one is of an epoch that is not known here, or of one
 * that ended before the offset that it has come to. */
static bool diverges(const struct replica_event *ev)
{
    if (ev->fetch.last_epoch < 0 || ev->fetch.known_epoch < 0) {
        return false;
    }
    return (ev->fetch.known_epoch != ev->fetch.last_epoch && !MUTANT_IS(EPOCH_NOT_COMPARED)) ||
           ev->fetch.known_end < ev->fetch.offset;
}

static void answer_divergence(
        const struct replica *r, const struct replica_event *ev, struct replica_fx *fx)
{
    struct replica_fx_item *it = replica_fx_push(fx, REPLICA_FX_DIVERGES);

    it->ask = ev->ask;
    it->leader_epoch = ev->fetch.known_epoch;
    it->base = ev->fetch.known_end;
    it->limit = it->high_watermark = r->high_watermark;
}

static void answer_read(const struct replica *r,
        const struct replica_event *ev,
        offset64 limit,
        struct replica_fx *fx)
{
    struct replica_fx_item *it = replica_fx_push(fx, REPLICA_FX_READ);

    it->ask = ev->ask;
    it->base = ev->fetch.offset;
    it->limit = limit;
    it->high_watermark = r->high_watermark;
    it->leader_epoch = r->record.leader_epoch;
}

/* [REP-31] The incarnation that the image has of that replica; NULL: somebody else. */
static struct replica_peer *asking_peer(struct replica *r, const struct replica_event *ev)
{
    struct replica_peer *p = replica_peer_of(r, ev->fetch.replica);

    if (p == NULL || p->id == r->self) {
        return NULL;
    }
    if (MUTANT_IS(ANY_INCARNATION)) {
        return p;
    }
    return p->epoch != BROKER_EPOCH_NONE && p->epoch == ev->fetch.broker_epoch ? p : NULL;
}

/* [REP-50] Whether the histories can be compared at all: a record that both have lies below the offset. An empty log has
 * none, and is believed where this one begins. At this log's start there is none either: then a member of ISR or ELR is
 * believed, for it has everything committed, and so what was removed here; and who confirmed as much in this leader epoch,
 * for it was compared then. [REP-52] Were it sent away, it would begin anew while a proposal of it may be under way. */
static bool is_comparable(
        const struct replica *r, const struct replica_peer *p, const struct replica_event *ev)
{
    bool is_at_start = ev->fetch.offset == ev->fetch.log_start;
    bool is_member = p->is_active && (broker_set_has(&r->record.isr, p->id) ||
                                             broker_set_has(&r->record.elr, p->id));

    if (ev->fetch.last_epoch == EPOCH_NONE) {
        return is_at_start || MUTANT_IS(EMPTY_LOG_ANYWHERE);
    }
    bool was_compared = p->end >= ev->fetch.offset && !MUTANT_IS(CONFIRMED_SENT_AWAY);
    COVER_IF(is_at_start && !is_member && was_compared, REP, 52);
    return !is_at_start || is_member || was_compared || MUTANT_IS(NOTHING_TO_COMPARE);
}

static bool is_out_of_range(
        const struct replica *r, const struct replica_peer *p, const struct replica_event *ev)
{
    return ev->fetch.offset < ev->fetch.log_start || ev->fetch.offset > r->log_end ||
           !is_comparable(r, p, ev);
}

static void on_replica_fetch(
        struct replica *r, const struct replica_event *ev, struct replica_fx *fx)
{
    epoch32 epoch = MUTANT_IS(FETCH_OF_ANY_EPOCH) ? EPOCH_NONE : ev->fetch.leader_epoch;
    struct replica_peer *p;

    if (!replica_admit(
                r, &ev->ask, epoch, fx)) { /* [REP-30] The same leader epoch on both sides. */
        return;
    }
    if (ev->fetch.leader_epoch == EPOCH_NONE) {
        replica_fx_reply(
                fx, &ev->ask, ERRCODE_FENCED_LEADER_EPOCH, "a replica names its leader epoch");
        return;
    }
    p = asking_peer(r, ev);
    if (p == NULL) {
        COVER(REP, 31);
        replica_fx_reply(fx, &ev->ask, ERRCODE_STALE_BROKER_EPOCH, "");
        return;
    }
    if (ev->fetch.session < p->session) {
        COVER(REP, 60);
        replica_fx_reply(fx, &ev->ask, ERRCODE_INVALID_FETCH_SESSION_EPOCH,
                "the replica fetches on another connection by now");
        return;
    }
    p->session = ev->fetch.session;
    if (MUTANT_IS(ACK_BEFORE_DIVERGENCE) && ev->fetch.offset <= r->log_end) {
        replica_peer_fetched(r, p, ev->fetch.offset, ev->fetch.flushed);
        replica_advance(r, fx);
    }
    if (diverges(ev)) {
        answer_divergence(r, ev, fx);
        return;
    }
    if (is_out_of_range(r, p, ev)) {
        COVER_IF(!is_comparable(r, p, ev), REP, 50);
        replica_fx_reply(fx, &ev->ask, ERRCODE_OFFSET_OUT_OF_RANGE, "");
        return;
    }
    if (!ev->fetch.is_look) {
        /* [REP-30] Only now is it known that everything below the offset is as here. */
        COVER(REP, 30);
        replica_peer_fetched(r, p, ev->fetch.offset, ev->fetch.flushed);
        replica_consider_isr(r, fx);
        replica_advance(r, fx);
    }
    answer_read(r, ev, r->log_end, fx);
}

void replica_on_fetch(struct replica *r, const struct replica_event *ev, struct replica_fx *fx)
{
    if (ev->fetch.replica != BROKER_NONE) {
        on_replica_fetch(r, ev, fx);
        return;
    }
    if (!replica_admit(r, &ev->ask, ev->fetch.leader_epoch, fx)) {
        return;
    }
    if (diverges(ev)) {
        answer_divergence(r, ev, fx);
        return;
    }
    if (ev->fetch.offset < 0 || ev->fetch.offset > r->log_end) {
        replica_fx_reply(fx, &ev->ask, ERRCODE_OFFSET_OUT_OF_RANGE, "");
        return;
    }
    /* [REP-27] Between the high watermark and the log end there is nothing to read yet, which is no error. */
    COVER_IF(ev->fetch.offset > r->high_watermark, REP, 27);
    answer_read(r, ev, r->high_watermark, fx);
}

void replica_on_wait(struct replica *r, const struct replica_event *ev, struct replica_fx *fx)
{
    struct replica_interest w = {.ask = ev->ask,
            .is_replica = ev->wait.is_replica,
            .offset = ev->wait.seen,
            .base = OFFSET_NONE};

    if (r->role != REPLICA_LEADER || ev->wait.leader_epoch != r->record.leader_epoch ||
            replica_interest_is_over(r, &w)) {
        replica_fx_push(fx, REPLICA_FX_WAKE)->ask =
                ev->ask; /* it changed since the reader looked */
        return;
    }
    replica_park(r, &w);
}

void replica_on_list(struct replica *r, const struct replica_event *ev, struct replica_fx *fx)
{
    struct replica_fx_item *it;

    if (!replica_admit(r, &ev->ask, ev->list.leader_epoch, fx)) {
        return;
    }
    if (ev->list.latest && r->high_watermark < r->epoch_start) { /* [REP-28] KIP-207 */
        COVER(REP, 28);
        replica_fx_reply(fx, &ev->ask, ERRCODE_OFFSET_NOT_AVAILABLE, "");
        return;
    }
    it = replica_fx_push(fx, REPLICA_FX_OFFSETS);
    it->ask = ev->ask;
    it->limit = r->high_watermark;
    it->leader_epoch = r->record.leader_epoch;
}
