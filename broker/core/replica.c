/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/replica.h"

#include "broker/core/replica_check.h"
#include "broker/core/replica_impl.h"
#include "common/base/cover.h"
#include "common/base/mem.h"
#include "common/base/must.h"
#include "common/base/mutant.h"

const char *replica_role_text(enum replica_role role)
{
    switch (role) {
    case REPLICA_NONE: return "none";
    case REPLICA_LEADER: return "leader";
    case REPLICA_FOLLOWER: return "follower";
    case REPLICA_FAILED: return "failed";
    }
    must_not_reach("an unknown role");
}

void replica_init(struct replica *r,
        broker_id self,
        const char *name,
        offset64 log_end,
        offset64 flushed,
        offset64 high_watermark,
        const struct trace *trace)
{
    must(log_end >= 0);
    must(flushed <= log_end);
    *r = (struct replica){
            .self = self,
            .name = name,
            .trace = trace,
            .role = REPLICA_NONE,
            .log_end = log_end,
            .flushed = MUTANT_IS(KILLED_IS_SYNCED) ? log_end : flushed,
            .high_watermark = high_watermark < 0 ? 0 : high_watermark,
            .epoch_start = log_end,
            .record = {.partition_epoch = EPOCH_NONE,
                    .leader_epoch = EPOCH_NONE,
                    .leader = BROKER_NONE,
                    .unclean_epoch = EPOCH_NONE},
            .role_epoch = EPOCH_NONE,
            .failed_epoch = EPOCH_NONE,
            .lag_max = WTIME_NEVER,
            .failure = "",
    };
    if (r->high_watermark > log_end) {
        r->high_watermark = log_end;
    }
    TAILQ_INIT(&r->interests);
    TAILQ_INIT(&r->replica_waits);
}

void replica_deinit(struct replica *r)
{
    while (!TAILQ_EMPTY(&r->interests)) {
        replica_unpark(r, TAILQ_FIRST(&r->interests));
    }
    while (!TAILQ_EMPTY(&r->replica_waits)) {
        replica_unpark(r, TAILQ_FIRST(&r->replica_waits));
    }
}

void replica_fx_deinit(struct replica_fx *fx)
{
    fx->items = mem_free(fx->items);
    fx->n = fx->cap = 0;
}

struct replica_fx_item *replica_fx_push(struct replica_fx *fx, enum replica_fx_kind kind)
{
    if (fx->n == fx->cap) {
        size_t cap = fx->cap < 8 ? 8 : fx->cap * 2;

        fx->items = mem_resize(fx->items, cap, sizeof(*fx->items));
        fx->cap = cap;
    }
    fx->items[fx->n] = (struct replica_fx_item){.kind = kind,
            .detail = "",
            .base = OFFSET_NONE,
            .leader_epoch = EPOCH_NONE,
            .leader = BROKER_NONE};
    return &fx->items[fx->n++];
}

void replica_fx_reply(
        struct replica_fx *fx, const struct replica_ask *ask, int error, const char *detail)
{
    struct replica_fx_item *it = replica_fx_push(fx, REPLICA_FX_REPLY);

    it->ask = *ask;
    it->error = error;
    it->detail = detail;
}

static struct replica_interests *list_of(struct replica *r, const struct replica_interest *w)
{
    return w->is_replica ? &r->replica_waits : &r->interests;
}

void replica_park(struct replica *r, const struct replica_interest *w)
{
    struct replica_interest *kept = mem_new(struct replica_interest);

    *kept = *w;
    r->n_disk_waits += w->needs_disk;
    TAILQ_INSERT_TAIL(list_of(r, w), kept, entry);
    HASH_ADD(hh, r->interests_by_ask, ask, sizeof(kept->ask), kept);
}

void replica_unpark(struct replica *r, struct replica_interest *w)
{
    TAILQ_REMOVE(list_of(r, w), w, entry);
    HASH_DEL(r->interests_by_ask, w);
    r->n_disk_waits -= w->needs_disk;
    (void)mem_free(w);
}

static void wake_fetches_of(
        struct replica *r, struct replica_interests *list, struct replica_fx *fx)
{
    struct replica_interest *next;

    for (struct replica_interest *w = TAILQ_FIRST(list); w != NULL; w = next) {
        next = TAILQ_NEXT(w, entry);
        if (!w->is_produce) {
            replica_fx_push(fx, REPLICA_FX_WAKE)->ask = w->ask;
            replica_unpark(r, w);
        }
    }
}

static void wake_fetches(struct replica *r, struct replica_fx *fx)
{
    wake_fetches_of(r, &r->interests, fx);
    wake_fetches_of(r, &r->replica_waits, fx);
}

void replica_release_all(struct replica *r, int error, const char *detail, struct replica_fx *fx)
{
    struct replica_interest *w;

    while ((w = TAILQ_FIRST(&r->interests)) != NULL) {
        if (w->is_produce) {
            replica_fx_reply(fx, &w->ask, error, detail);
        } else {
            replica_fx_push(fx, REPLICA_FX_WAKE)->ask = w->ask;
        }
        replica_unpark(r, w);
    }
    wake_fetches(r, fx);
}

void replica_set_hw(struct replica *r, offset64 hw, struct replica_fx *fx)
{
    must(hw <= r->log_end);
    r->high_watermark = hw;
    replica_fx_push(fx, REPLICA_FX_SAVE_HW)->limit = hw;
}

bool replica_is_in_isr_or_elr(const struct replica *r)
{
    return broker_set_has(&r->record.isr, r->self) || broker_set_has(&r->record.elr, r->self);
}

void replica_report(struct replica *r, const char *why, struct replica_fx *fx)
{
    if (r->now < r->report_after) {
        return;
    }
    r->report_after = wtime_add(r->now, REPLICA_REPORT_PAUSE);
    replica_fx_push(fx, REPLICA_FX_REPORT)->detail = why;
}

/* --- Roles -------------------------------------------------------------------------------------------------------- */

static void stop_leading(struct replica *r, enum replica_role role, struct replica_fx *fx)
{
    /* [REP-21] What was appended may still count: the outcome is unknown, never "not written". */
    COVER(REP, 21);
    if (role == REPLICA_FAILED) {
        replica_release_all(r, ERRCODE_KAFKA_STORAGE_ERROR,
                "the disk failed before the batch was committed; whether it counts is unknown", fx);
    } else {
        replica_release_all(r, ERRCODE_REQUEST_TIMED_OUT,
                "leadership was lost before the batch was committed; whether it counts is unknown",
                fx);
    }
    r->pending = (struct replica_pending){0};
}

static void set_role(struct replica *r, enum replica_role role, struct replica_fx *fx)
{
    enum replica_role was = r->role;
    bool is_other_epoch = r->role_epoch != r->record.leader_epoch;
    struct replica_fx_item *it;

    r->role_epoch = r->record.leader_epoch;
    if (was == REPLICA_LEADER && role != REPLICA_LEADER) {
        stop_leading(r, role, fx);
    } else if (was == REPLICA_LEADER) {
        wake_fetches(r,
                fx); /* [REP-21] Who reads looks again under the new epoch; what is appended stays appended. */
    }
    if (role == was && (role == REPLICA_NONE || role == REPLICA_FAILED || !is_other_epoch)) {
        return;
    }
    r->role = role;
    it = replica_fx_push(fx, REPLICA_FX_BECAME);
    it->role = role;
    it->was = was;
    it->leader_epoch = r->record.leader_epoch;
    it->leader = role == REPLICA_FOLLOWER ? r->record.leader : BROKER_NONE;
    trace_emit(r->trace, "%s %s -> %s, leader epoch %d, log end %lld", r->name,
            replica_role_text(was), replica_role_text(role), r->record.leader_epoch,
            (long long)r->log_end);
}

void replica_fail(struct replica *r, const char *why, struct replica_fx *fx)
{
    r->failure = why;
    r->failed_epoch = r->record.leader_epoch;
    r->work = REPLICA_WORK_NONE;
    set_role(r, REPLICA_FAILED, fx);
    replica_mend(r, fx);
}

/* What the record makes of this replica. */
static enum replica_role role_by_record(const struct replica *r)
{
    if (!broker_set_has(&r->record.replicas, r->self)) {
        return REPLICA_NONE;
    }
    if (r->record.leader != r->self) {
        return REPLICA_FOLLOWER;
    }
    COVER_IF(!r->may_lead, REP, 20);
    return r->may_lead ? REPLICA_LEADER : REPLICA_NONE; /* [REP-20] */
}

bool replica_install(struct replica *r, const struct partition_state *p)
{
    if (r->has_record && p->partition_epoch <= r->record.partition_epoch) { /* [REP-19] */
        COVER(REP, 19);
        return false;
    }
    if (r->pending.is_durable && !p->is_durable) { /* [REP-58] */
        r->claim_after = wtime_add(r->now, REPLICA_PROPOSE_PAUSE);
    }
    r->record = *p;
    r->has_record = true;
    COVER_IF(r->pending.is_set, REP, 39);
    if (r->pending.is_taken_back) {
        COVER(REP, 41);
        r->propose_after = wtime_add(r->now, REPLICA_PROPOSE_PAUSE); /* [REP-41] */
    }
    r->pending = (struct replica_pending){
            0}; /* [REP-39] Whatever was proposed: this is what became of it. */
    replica_peers_match(r);
    return true;
}

static void lead_on(struct replica *r, struct replica_fx *fx)
{
    if (r->record.leader_epoch != r->role_epoch || r->role != REPLICA_LEADER) {
        set_role(r, REPLICA_LEADER, fx);
        replica_begin_leading(r, fx);
        return;
    }
    replica_consider_isr(r, fx);
    replica_advance(r, fx); /* the committed ISR may have changed */
}

void replica_settle(struct replica *r, struct replica_fx *fx)
{
    enum replica_role role;

    if (r->role == REPLICA_FAILED) {
        replica_mend(r, fx);
        return;
    }
    /* [REP-35] The log's end is not known while it is worked on: leading has to wait. */
    if (r->is_stopped || !r->has_record ||
            (r->work != REPLICA_WORK_NONE && !MUTANT_IS(LEAD_DURING_CUT))) {
        COVER_IF(r->work != REPLICA_WORK_NONE && role_by_record(r) == REPLICA_LEADER, REP, 35);
        return;
    }
    role = role_by_record(r);
    if (role == REPLICA_LEADER) {
        lead_on(r, fx);
    } else if (role != r->role || r->record.leader_epoch != r->role_epoch) {
        set_role(r, role, fx);
    }
    if (MUTANT_IS(CUT_TO_HW) && r->role == REPLICA_FOLLOWER && r->record.leader != BROKER_NONE &&
            r->log_end > r->high_watermark) {
        r->work = REPLICA_WORK_CUT;
        replica_fx_push(fx, REPLICA_FX_TRUNCATE)->base = r->high_watermark;
    }
}

/* --- Events ------------------------------------------------------------------------------------------------------- */

/* [REP-32] What a killed process has left counts when it is on the disk, and nobody else asks for
 * that; and what was synced while that did not matter has not been told. */
static void tell_of_disk(struct replica *r, bool did_count, struct replica_fx *fx)
{
    if (!replica_counts_synced(r) || r->work != REPLICA_WORK_NONE ||
            (r->role != REPLICA_LEADER && r->role != REPLICA_FOLLOWER)) {
        return;
    }
    if (r->flushed < r->log_end) {
        COVER(REP, 32);
        (void)replica_fx_push(fx, REPLICA_FX_FLUSH);
    } else if (!did_count && r->role == REPLICA_FOLLOWER) {
        (void)replica_fx_push(fx, REPLICA_FX_PROGRESS);
    }
}

static void on_become(struct replica *r, const struct replica_event *ev, struct replica_fx *fx)
{
    bool did_count = replica_counts_synced(r);

    (void)replica_install(
            r, ev->become.record); /* An older one tells of the brokers nevertheless. */
    r->may_lead = ev->become.may_lead;
    r->fsync_acks = ev->become.fsync_acks;
    r->lag_max = ev->become.lag_max > 0 ? ev->become.lag_max : WTIME_NEVER;
    r->lease = ev->become.lease;
    if (ev->become.peers != NULL && replica_peers_see(r, ev->become.peers, ev->become.n_peers)) {
        r->propose_after = 0; /* [REP-41] The reason of the refusal may be gone. */
    }
    r->is_stopped = false;
    replica_settle(r, fx);
    tell_of_disk(r, did_count, fx);
}

static void on_forget(struct replica *r, const struct replica_ask *ask)
{
    struct replica_interest *w = NULL;

    HASH_FIND(hh, r->interests_by_ask, ask, sizeof(*ask), w);
    if (w != NULL) {
        replica_unpark(r, w);
    }
}

static void on_log_failed(struct replica *r, const struct replica_event *ev, struct replica_fx *fx)
{
    r->is_disk_failed = r->is_disk_failed || ev->failed.is_disk;
    replica_fail(r,
            r->is_disk_failed ? "the disk below its log failed"
                              : "its log is lost or damaged; the broker's log says how",
            fx);
}

static void on_stop(struct replica *r, struct replica_fx *fx)
{
    r->is_stopped = true;
    if (r->role != REPLICA_FAILED) {
        set_role(r, REPLICA_NONE, fx);
    }
}

static void on_tick(struct replica *r, struct replica_fx *fx)
{
    if (r->role == REPLICA_LEADER) {
        replica_isr_tick(r, fx);
    } else if (r->role == REPLICA_FAILED) {
        replica_mend(r, fx);
    }
}

wtime replica_deadline(const struct replica *r)
{
    switch (r->role) {
    case REPLICA_LEADER: return replica_isr_deadline(r);
    case REPLICA_FAILED: return replica_mend_deadline(r);
    case REPLICA_NONE:
    case REPLICA_FOLLOWER: return WTIME_NEVER;
    }
    must_not_reach("an unknown role");
}

static void dispatch(struct replica *r, const struct replica_event *ev, struct replica_fx *fx)
{
    switch (ev->kind) {
    case REPLICA_EV_BECOME: on_become(r, ev, fx); break;
    case REPLICA_EV_PRODUCE: replica_on_produce(r, ev, fx); break;
    case REPLICA_EV_APPENDED: replica_on_appended(r, ev, fx); break;
    case REPLICA_EV_REPEATED: replica_on_repeated(r, ev, fx); break;
    case REPLICA_EV_FLUSHED: replica_on_flushed(r, ev->flushed, fx); break;
    case REPLICA_EV_FETCH: replica_on_fetch(r, ev, fx); break;
    case REPLICA_EV_WAIT: replica_on_wait(r, ev, fx); break;
    case REPLICA_EV_LIST: replica_on_list(r, ev, fx); break;
    case REPLICA_EV_FORGET: on_forget(r, &ev->ask); break;
    case REPLICA_EV_LOG_FAILED: on_log_failed(r, ev, fx); break;
    case REPLICA_EV_STOP: on_stop(r, fx); break;
    case REPLICA_EV_PROPOSED: replica_on_proposed(r, ev, fx); break;
    case REPLICA_EV_TICK: on_tick(r, fx); break;
    case REPLICA_EV_FETCHED: replica_on_fetched(r, ev, fx); break;
    case REPLICA_EV_COPIED: replica_on_copied(r, ev, fx); break;
    case REPLICA_EV_CUT: replica_on_cut(r, ev, fx); break;
    }
}

void replica_step(struct replica *r, const struct replica_event *ev, struct replica_fx *fx)
{
    offset64 was_hw = r->high_watermark;

    must(!r->is_stepping);
    r->is_stepping = true;
    r->now = wtime_max(r->now, ev->now);
    fx->n = 0;
    dispatch(r, ev, fx);
    must(r->high_watermark >= was_hw || ev->kind == REPLICA_EV_CUT); /* [REP-23] Forward only. */
    check_slow(replica_check(r));
    check_slow(replica_check_moved(r, was_hw));
    r->is_stepping = false;
}
