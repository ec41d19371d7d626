/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/replica_impl.h"
#include "common/base/mem.h"
#include "common/base/must.h"

/* The rules when leading. */

void replica_begin_leading(struct replica *r, struct replica_fx *fx)
{
    must(r->role == REPLICA_LEADER);
    r->epoch_start = r->log_end; /* [REP-22] What lies below was written under former epochs. */
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
        replica_fx_reply(fx, ask,
                leader_epoch < r->record.leader_epoch ? ERRCODE_FENCED_LEADER_EPOCH
                                                      : ERRCODE_UNKNOWN_LEADER_EPOCH,
                "");
        return false;
    }
    return true;
}

/* How far `id` has everything; OFFSET_NONE = not known. Other replicas' fetches are refused ([REP-26]), so nobody else
 * has confirmed anything in this epoch. */
static offset64 ack_of(const struct replica *r, broker_id id)
{
    if (id != r->self) {
        return OFFSET_NONE;
    }
    return r->fsync_acks ? r->flushed : r->log_end;
}

bool replica_interest_is_over(const struct replica *r, const struct replica_interest *w)
{
    if (!w->is_produce) {
        return w->offset < r->high_watermark;
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

static void wake_passed(struct replica *r, struct replica_fx *fx)
{
    struct replica_interest *next;

    for (struct replica_interest *w = TAILQ_FIRST(&r->interests); w != NULL; w = next) {
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

void replica_advance(struct replica *r, struct replica_fx *fx)
{
    offset64 least = r->log_end;

    must(r->role == REPLICA_LEADER);
    if (r->record.isr.n < r->record.min_isr) { /* [REP-23] Strict: too few to commit anything. */
        return;
    }
    for (uint8_t i = 0; i < r->record.isr.n; i++) {
        offset64 ack = ack_of(r, r->record.isr.at[i]);

        if (ack < least) {
            least = ack;
        }
    }
    if (least <= r->high_watermark) {
        return;
    }
    r->high_watermark = least;
    replica_fx_push(fx, REPLICA_FX_SAVE_HW)->limit = least;
    wake_passed(r, fx);
}

void replica_on_produce(struct replica *r, const struct replica_event *ev, struct replica_fx *fx)
{
    struct replica_fx_item *it;

    must(ev->produce.acks >= -1 && ev->produce.acks <= 1);
    if (!replica_admit(r, &ev->ask, EPOCH_NONE, fx)) {
        return;
    }
    if (ev->produce.acks == -1 && r->record.isr.n < r->record.min_isr) { /* [REP-25] */
        replica_fx_reply(fx, &ev->ask, ERRCODE_NOT_ENOUGH_REPLICAS, "");
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
    if (r->fsync_acks || ev->appended.needs_disk) {
        (void)replica_fx_push(fx, REPLICA_FX_FLUSH); /* [LOG-71] */
    }
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
    if (flushed > r->flushed) {
        r->flushed = flushed;
    }
    if (r->role == REPLICA_LEADER) {
        replica_advance(r, fx);
        if (r->n_disk_waits > 0) { /* also of those for whom the high watermark need not move */
            wake_passed(r, fx);
        }
    }
}

/* [LOG-75] Whether the asker's records are not the leader's: its last one is of an epoch that is not known here, or of one
 * that ended before the offset that it has come to. */
static bool diverges(const struct replica_event *ev)
{
    return ev->fetch.last_epoch >= 0 && ev->fetch.known_epoch >= 0 &&
           (ev->fetch.known_epoch != ev->fetch.last_epoch ||
                   ev->fetch.known_end < ev->fetch.offset);
}

void replica_on_fetch(struct replica *r, const struct replica_event *ev, struct replica_fx *fx)
{
    struct replica_fx_item *it;

    if (ev->fetch.replica != BROKER_NONE) { /* [REP-26] */
        replica_fx_reply(fx, &ev->ask, ERRCODE_UNSUPPORTED_VERSION,
                "this version serves consumers only: fetching as a replica is not offered");
        return;
    }
    if (!replica_admit(r, &ev->ask, ev->fetch.leader_epoch, fx)) {
        return;
    }
    if (diverges(ev)) {
        it = replica_fx_push(fx, REPLICA_FX_DIVERGES);
        it->ask = ev->ask;
        it->leader_epoch = ev->fetch.known_epoch;
        it->base = ev->fetch.known_end;
        it->limit = r->high_watermark;
        return;
    }
    if (ev->fetch.offset < 0 || ev->fetch.offset > r->log_end) {
        replica_fx_reply(fx, &ev->ask, ERRCODE_OFFSET_OUT_OF_RANGE, "");
        return;
    }
    /* [REP-27] Between the high watermark and the log end there is nothing to read yet, which is no error. */
    it = replica_fx_push(fx, REPLICA_FX_READ);
    it->ask = ev->ask;
    it->base = ev->fetch.offset;
    it->limit = r->high_watermark;
    it->leader_epoch = r->record.leader_epoch;
}

void replica_on_wait(struct replica *r, const struct replica_event *ev, struct replica_fx *fx)
{
    if (r->role != REPLICA_LEADER || ev->wait.leader_epoch != r->record.leader_epoch ||
            r->high_watermark > ev->wait.seen) {
        replica_fx_push(fx, REPLICA_FX_WAKE)->ask =
                ev->ask; /* it changed since the reader looked */
        return;
    }
    replica_park(r, &(struct replica_interest){
                            .ask = ev->ask, .offset = ev->wait.seen, .base = OFFSET_NONE});
}

void replica_on_list(struct replica *r, const struct replica_event *ev, struct replica_fx *fx)
{
    struct replica_fx_item *it;

    if (!replica_admit(r, &ev->ask, ev->list.leader_epoch, fx)) {
        return;
    }
    if (ev->list.latest && r->high_watermark < r->epoch_start) { /* [REP-28] KIP-207 */
        replica_fx_reply(fx, &ev->ask, ERRCODE_OFFSET_NOT_AVAILABLE, "");
        return;
    }
    it = replica_fx_push(fx, REPLICA_FX_OFFSETS);
    it->ask = ev->ask;
    it->limit = r->high_watermark;
    it->leader_epoch = r->record.leader_epoch;
}
