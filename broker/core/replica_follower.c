/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/replica_impl.h"
#include "common/base/cover.h"
#include "common/base/must.h"
#include "common/base/mutant.h"

/* The rules when following, and how a failed replica comes back. */

static void fetch_later(int error, struct replica_fx *fx)
{
    replica_fx_push(fx, REPLICA_FX_FETCH_LATER)->error = error;
}

static void begin_work(struct replica *r,
        enum replica_work work,
        enum replica_fx_kind kind,
        offset64 base,
        struct replica_fx *fx)
{
    must(r->work == REPLICA_WORK_NONE);
    r->work = work;
    replica_fx_push(fx, kind)->base = base;
}

/* Whether the answer is to what would be asked now. */
static bool is_current(const struct replica *r, const struct replica_event *ev)
{
    COVER_IF(ev->fetched.leader_epoch != r->record.leader_epoch || ev->fetched.asked != r->log_end,
            REP, 44);
    if (r->role != REPLICA_FOLLOWER || r->work != REPLICA_WORK_NONE) {
        return false;
    }
    /* [REP-44] Only the leader of this leader epoch, and only about the log as it is. */
    if (ev->fetched.leader_epoch != r->record.leader_epoch && !MUTANT_IS(ANSWER_OF_ANY_EPOCH)) {
        return false;
    }
    if (MUTANT_IS(ANSWER_OF_ANY_OFFSET)) {
        return true;
    }
    /* Logs of one end and one last epoch are one log; of one end alone it may have been cut and have grown since. */
    return ev->fetched.asked == r->log_end &&
           (ev->fetched.asked_epoch == ev->fetched.log_last_epoch || MUTANT_IS(ANSWER_OF_ANY_LOG));
}

static void on_out_of_range(
        struct replica *r, const struct replica_event *ev, struct replica_fx *fx)
{
    /* [REP-47] Who may be elected drops nothing: the controller must know first. */
    if (replica_is_in_isr_or_elr(r) && !MUTANT_IS(RESTART_IN_ISR)) {
        COVER(REP, 47);
        replica_report(r, "the leader's log does not reach down to the end of this one", fx);
        fetch_later(ev->fetched.error, fx);
        return;
    }
    trace_emit(r->trace, "%s begins anew at the leader's start %lld instead of %lld", r->name,
            (long long)ev->fetched.leader_start, (long long)r->log_end);
    begin_work(r, REPLICA_WORK_RESTART, REPLICA_FX_RESTART, ev->fetched.leader_start, fx);
}

/* [REP-45] The histories differ: cut to the end of the largest epoch that both know. */
static void on_diverging(struct replica *r, const struct replica_event *ev, struct replica_fx *fx)
{
    offset64 to = ev->fetched.local_end;

    if (ev->fetched.local_epoch == ev->fetched.diverging_epoch) {
        to = ev->fetched.diverging_end < to ? ev->fetched.diverging_end : to;
    }
    if (to < 0 || to >= r->log_end) { /* That is no answer: it would not shorten this log. */
        fetch_later(ERRCODE_UNKNOWN_SERVER_ERROR, fx);
        return;
    }
    r->may_cut_hw = r->record.unclean_epoch > ev->fetched.hw_epoch;
    if (to < r->high_watermark && !r->may_cut_hw) { /* [REP-46] */
        COVER(REP, 46);
        replica_fail(r,
                "the leader lacks what was committed here, and no unclean election explains that",
                fx);
        return;
    }
    trace_emit(r->trace,
            "%s differs from leader %d: epoch %d ends there at %lld -> cut %lld to %lld", r->name,
            r->record.leader, ev->fetched.diverging_epoch, (long long)ev->fetched.diverging_end,
            (long long)r->log_end, (long long)to);
    COVER(REP, 45);
    begin_work(r, REPLICA_WORK_CUT, REPLICA_FX_TRUNCATE, to, fx);
}

/* [REP-48] What comes must continue this log. */
static bool is_continuation(const struct replica *r, const struct replica_event *ev)
{
    bool is_empty = ev->fetched.log_last_epoch == EPOCH_NONE;

    if (ev->fetched.next <= r->log_end || ev->fetched.first_epoch < ev->fetched.log_last_epoch ||
            ev->fetched.last_epoch > r->record.leader_epoch) {
        return false;
    }
    if (ev->fetched.first_base > r->log_end) {
        return ev->fetched.may_skip;
    }
    return ev->fetched.first_base == r->log_end || is_empty || MUTANT_IS(ANSWER_OF_ANY_OFFSET);
}

/* [REP-49] What the leader has committed and is here. */
static void follow_hw(struct replica *r, offset64 leader_hw, struct replica_fx *fx)
{
    offset64 hw = leader_hw < r->log_end ? leader_hw : r->log_end;

    if (hw > r->high_watermark) {
        replica_set_hw(r, hw, fx);
    }
}

static void follow_start(struct replica *r, offset64 leader_start, struct replica_fx *fx)
{
    offset64 start = leader_start < r->high_watermark ? leader_start : r->high_watermark;

    if (start > r->start_told) {
        COVER(REP, 49);
        r->start_told = start;
        replica_fx_push(fx, REPLICA_FX_START)->base = start;
    }
}

static void on_batches(struct replica *r, const struct replica_event *ev, struct replica_fx *fx)
{
    if (!ev->fetched.is_sound) {
        COVER(REP, 48);
        /* [REP-48] It is not this log that is damaged: ask again. Who never gets it falls behind, and leaves the ISR. */
        fetch_later(ERRCODE_CORRUPT_MESSAGE, fx);
        return;
    }
    if (!is_continuation(r, ev)) {
        replica_fail(r, "the leader sent what does not continue this log", fx);
        return;
    }
    r->work_hw = ev->fetched.leader_hw;
    begin_work(r, REPLICA_WORK_COPY, REPLICA_FX_COPY, ev->fetched.first_base, fx);
}

void replica_on_fetched(struct replica *r, const struct replica_event *ev, struct replica_fx *fx)
{
    if (!is_current(r, ev)) {
        return;
    }
    if (ev->fetched.error == ERRCODE_OFFSET_OUT_OF_RANGE) {
        on_out_of_range(r, ev, fx);
        return;
    }
    if (ev->fetched.error != ERRCODE_NONE) {
        fetch_later(ev->fetched.error, fx);
        return;
    }
    if (ev->fetched.diverging_epoch != EPOCH_NONE) {
        on_diverging(r, ev, fx);
        return;
    }
    follow_hw(r, ev->fetched.leader_hw, fx);
    follow_start(r, ev->fetched.leader_start, fx);
    if (ev->fetched.n_bytes > 0) {
        on_batches(r, ev, fx);
    }
}

void replica_on_copied(struct replica *r, const struct replica_event *ev, struct replica_fx *fx)
{
    must(r->work == REPLICA_WORK_COPY);
    must(ev->copied.log_end >= r->log_end);
    r->work = REPLICA_WORK_NONE;
    r->log_end = ev->copied.log_end;
    follow_hw(r, r->work_hw, fx);
    if (replica_counts_synced(r)) {
        (void)replica_fx_push(
                fx, REPLICA_FX_FLUSH); /* [REP-32] The leader waits for this disk too. */
    }
    if (ev->copied.error != ERRCODE_NONE) {
        fetch_later(ev->copied.error, fx);
    }
    replica_settle(r, fx);
}

static void on_restarted(struct replica *r, const struct replica_event *ev, struct replica_fx *fx)
{
    if (ev->cut.error != ERRCODE_NONE) {
        r->restart_after = wtime_add(r->now, REPLICA_REPORT_PAUSE);
        return;
    }
    r->log_end = r->flushed = ev->cut.log_end;
    r->start_told = r->log_end;
    replica_set_hw(r, r->log_end, fx);
    if (r->role == REPLICA_FAILED) {
        r->role = REPLICA_NONE; /* and what the record makes of it follows */
    }
}

void replica_on_cut(struct replica *r, const struct replica_event *ev, struct replica_fx *fx)
{
    enum replica_work work = r->work;

    must(work == REPLICA_WORK_CUT || work == REPLICA_WORK_RESTART);
    r->work = REPLICA_WORK_NONE;
    if (work == REPLICA_WORK_RESTART) {
        on_restarted(r, ev, fx);
    } else {
        must(ev->cut.log_end <= r->log_end);
        r->log_end = ev->cut.log_end;
        r->flushed = r->flushed < r->log_end ? r->flushed : r->log_end;
        if (r->log_end < r->high_watermark) {
            if (!r->may_cut_hw) { /* [REP-46] A batch goes whole, and this one held committed records. */
                replica_set_hw(r, r->log_end, fx);
                replica_fail(r, "the cut took what was committed here", fx);
                return;
            }
            replica_set_hw(r, r->log_end, fx);
        }
    }
    if (ev->cut.error != ERRCODE_NONE && r->role == REPLICA_FOLLOWER) {
        fetch_later(ev->cut.error, fx);
    }
    replica_settle(r, fx);
}

/* --- Failed ------------------------------------------------------------------------------------------------------- */

/* [REP-34] The image is of this incarnation's time, the controller has heard of the failure, and nothing that was confirmed
 * before counts any more: acknowledgements are bound to the leader epoch, and that has grown since. */
static bool is_given_up(const struct replica *r)
{
    return r->may_lead && !replica_is_in_isr_or_elr(r) &&
           (r->record.leader_epoch > r->failed_epoch || MUTANT_IS(REFILL_IN_EPOCH));
}

/* [REP-34] Filled anew from the leader, except on a disk that nobody trusts. */
static bool may_restart(const struct replica *r)
{
    return is_given_up(r) && !r->is_disk_failed && r->record.leader != BROKER_NONE &&
           r->record.leader != r->self;
}

static bool is_mending(const struct replica *r)
{
    return r->role == REPLICA_FAILED && !r->is_stopped && r->has_record &&
           r->work == REPLICA_WORK_NONE && broker_set_has(&r->record.replicas, r->self);
}

void replica_mend(struct replica *r, struct replica_fx *fx)
{
    if (!is_mending(r)) {
        return;
    }
    if (!is_given_up(r)) {
        COVER(REP, 33);
        replica_report(r, r->failure, fx); /* [REP-33] */
    } else if (may_restart(r) && r->now >= r->restart_after) {
        COVER(REP, 34);
        trace_emit(r->trace, "%s begins anew: %s", r->name, r->failure);
        begin_work(r, REPLICA_WORK_RESTART, REPLICA_FX_RESTART, 0, fx);
        fx->items[fx->n - 1].keep = true;
    }
}

wtime replica_mend_deadline(const struct replica *r)
{
    if (!is_mending(r)) {
        return WTIME_NEVER;
    }
    if (!is_given_up(r)) {
        return r->report_after;
    }
    return may_restart(r) ? r->restart_after : WTIME_NEVER;
}
