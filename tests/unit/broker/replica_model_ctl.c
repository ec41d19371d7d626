/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/broker/replica_model_impl.h"

#include "controller/core/partition_change.h"

static struct broker_set active_set(struct model *m)
{
    struct broker_set s = {0};

    for (int i = 0; i < m->n; i++) {
        if (!present(m)->is_fenced[i] && present(m)->is_purged[i]) {
            (void)broker_set_add(&s, i);
        }
    }
    return s;
}

/* The next entry; the caller changes what it wants in it. */
static struct model_image *next_entry(struct model *m)
{
    m->history[m->n_history] = *present(m);
    return &m->history[m->n_history++];
}

static void decide_anew(
        struct model *m, struct broker_set isr, struct broker_set disqualified, int32_t min_isr)
{
    struct model_image *im = present(m);
    epoch32 was = im->record.leader_epoch;
    bool had_isr = im->record.isr.n > 0 && isr.n > 0;
    struct partition_want want = {
            .isr = isr, .disqualified = disqualified, .active = active_set(m), .min_isr = min_isr};

    im->record = partition_change(&im->record, &want);
    m->counts.elections += im->record.leader_epoch != was && im->record.leader != BROKER_NONE;
    m->counts.elr_elections +=
            !had_isr && im->record.leader_epoch != was && im->record.leader != BROKER_NONE;
    TELL(m, "decided: pe %d le %d leader %d isr %u elr %u min %d", im->record.partition_epoch,
            im->record.leader_epoch, im->record.leader, im->record.isr.n, im->record.elr.n,
            im->record.min_isr);
}

/* As decide_anew(), but a record that would say the same stays. */
static void decide(
        struct model *m, struct broker_set isr, struct broker_set disqualified, int32_t min_isr)
{
    struct partition_state was = present(m)->record;

    decide_anew(m, isr, disqualified, min_isr);
    if (!partition_differs(&was, &present(m)->record)) {
        present(m)->record = was;
    }
}

static int judge_proposal(struct model *m, const struct model_call *c)
{
    const struct model_image *im = present(m);
    const struct partition_state *p = &im->record;
    struct broker_set active = active_set(m);
    bool has_leader = false;

    if (c->q.leader_epoch < p->leader_epoch) {
        return ERRCODE_FENCED_LEADER_EPOCH;
    }
    if (c->from != p->leader || c->epoch != im->registered[c->from]) {
        return ERRCODE_STALE_BROKER_EPOCH;
    }
    if (c->q.partition_epoch < p->partition_epoch) {
        return ERRCODE_INVALID_UPDATE_VERSION;
    }
    for (int i = 0; i < c->q.n; i++) {
        broker_id id = c->q.isr[i].id;

        has_leader = has_leader || id == p->leader;
        if (!broker_set_has(&p->isr, id) &&
                (!broker_set_has(&active, id) ||
                        (im->registered[id] != c->q.isr[i].epoch && !MUTANT_IS(ANY_INCARNATION)))) {
            return ERRCODE_INELIGIBLE_REPLICA;
        }
    }
    return has_leader && (!p->recovering || c->q.n == 1) ? ERRCODE_NONE : ERRCODE_INVALID_REQUEST;
}

void model_deliver_call(struct model *m)
{
    struct model_call *slot = PICK(m, m->calls);
    struct model_call c = *slot;

    if (!slot->is_set || is_full(m)) {
        return;
    }
    slot->is_set =
            false; /* A connection doubles nothing; only the leader does, and then it knows. */
    int error = judge_proposal(m, &c);
    if (error == ERRCODE_NONE) {
        struct broker_set isr = {0};
        int was = present(m)->record.isr.n;

        (void)next_entry(m);
        for (int i = 0; i < c.q.n; i++) {
            (void)broker_set_add(&isr, c.q.isr[i].id);
        }
        if (c.q.recovered) {
            present(m)->record.recovering = false;
        }
        m->counts.joins += isr.n > was;
        m->counts.leaves += isr.n < was;
        decide_anew(m, isr, (struct broker_set){0}, 0);
    } else {
        m->counts.refused++;
    }
    /* The answer finds the one who waits for it, or is lost. */
    for (int i = 0; i < MODEL_SLOTS; i++) {
        struct model_call *w = &m->waiting[i];

        if (w->is_set && w->from == c.from && w->process == c.process &&
                w->q.partition_epoch == c.q.partition_epoch && !one_in(m, 3)) {
            struct partition_state record = present(m)->record;
            struct replica_event ev = {.kind = REPLICA_EV_PROPOSED,
                    .proposed = {.leader_epoch = c.q.leader_epoch,
                            .partition_epoch = c.q.partition_epoch,
                            .error = error,
                            .record = error == ERRCODE_NONE ? &record : NULL}};

            w->is_set = false;
            if (m->b[c.from].is_up) {
                model_step_core(m, c.from, &ev);
            }
            return;
        }
    }
}

void model_give_up_waiting(struct model *m)
{
    struct model_call *w = PICK(m, m->waiting);
    struct replica_event ev = {.kind = REPLICA_EV_PROPOSED,
            .proposed = {.leader_epoch = w->q.leader_epoch,
                    .partition_epoch = w->q.partition_epoch,
                    .error = one_in(m, 2) ? ERRCODE_REQUEST_TIMED_OUT : ERRCODE_NOT_CONTROLLER}};

    if (!w->is_set) {
        return;
    }
    w->is_set = false;
    if (m->b[w->from].is_up && m->b[w->from].process == w->process) {
        model_step_core(m, w->from, &ev);
    }
}

void model_deliver_report(struct model *m)
{
    struct model_report *q = PICK(m, m->reports);
    struct broker_set gone = {.n = 1, .at = {q->from}};

    if (!q->is_set || is_full(m)) {
        return;
    }
    q->is_set = one_in(m, 8);
    if (present(m)->registered[q->from] != q->epoch) {
        return;
    }
    struct model_image *im = next_entry(m);
    epoch32 was = im->record.leader_epoch;
    struct broker_set isr = im->record.isr;

    broker_set_remove(&isr, q->from);
    decide_anew(m, isr, gone, 0);
    if (im->record.leader_epoch == was) {
        im->record.leader_epoch++; /* [REP-34] */
    }
}

void model_fence(struct model *m, int id)
{
    if (is_full(m) || present(m)->is_fenced[id]) {
        return;
    }
    struct model_image *im = next_entry(m);
    struct broker_set isr = im->record.isr;

    im->is_fenced[id] = true;
    broker_set_remove(&isr, id);
    decide(m, isr, (struct broker_set){0}, 0);
}

/* Registering, purging and unfencing are entries of their own. */
void model_advance_broker(struct model *m, int id)
{
    struct model_broker *b = &m->b[id];

    if (!b->is_up || is_full(m)) {
        return;
    }
    if (present(m)->registered[id] != b->epoch) {
        struct model_image *im = next_entry(m);

        im->registered[id] = b->epoch;
        im->is_fenced[id] = true;
        im->is_purged[id] = false;
    } else if (!present(m)->is_purged[id]) {
        struct model_image *im = next_entry(m);
        struct broker_set isr = im->record.isr, lost = {0};

        broker_set_remove(&isr, id);
        if (b->needs_disqualifying || (b->kind == MODEL_HOST && !m->is_fsync)) {
            (void)broker_set_add(&lost, id);
        }
        im->is_purged[id] = true;
        decide(m, isr, lost, 0);
        b->needs_disqualifying = false;
        b->kind = MODEL_CLEAN;
    } else if (present(m)->is_fenced[id] && b->is_ready) {
        next_entry(m)->is_fenced[id] = false;
        decide(m, present(m)->record.isr, (struct broker_set){0}, 0);
    }
}

void model_change_min_isr(struct model *m)
{
    if (!is_full(m)) {
        (void)next_entry(m);
        decide(m, present(m)->record.isr, (struct broker_set){0},
                1 + (int32_t)below(m, (uint32_t)m->n));
    }
}

void model_prefer_another(struct model *m)
{
    struct broker_set active = active_set(m);
    const struct partition_state *p = &present(m)->record;
    broker_id id = (broker_id)below(m, (uint32_t)m->n);

    if (is_full(m) || p->leader == BROKER_NONE || id == p->leader || !broker_set_has(&p->isr, id) ||
            !broker_set_has(&active, id)) {
        return;
    }
    struct model_image *im = next_entry(m);
    im->record.leader = id;
    im->record.leader_epoch++;
    im->record.partition_epoch++;
    m->counts.elections++;
}

/* Policy `balanced`: nobody is left in ISR and ELR, and all of the last known are there to be asked. */
void model_elect_uncleanly(struct model *m)
{
    const struct partition_state *p = &present(m)->record;
    struct broker_set active = active_set(m);
    int best = -1;

    if (is_full(m) || p->isr.n > 0 || p->elr.n > 0) {
        return;
    }
    for (int i = 0; i < p->lk.n; i++) {
        const struct model_broker *b = &m->b[p->lk.at[i]];

        if (!broker_set_has(&active, p->lk.at[i]) || !b->is_up || b->is_damaged ||
                b->core.role == REPLICA_FAILED || b->work != REPLICA_WORK_NONE) {
            return;
        }
        if (best < 0 || last_epoch(b) > last_epoch(&m->b[best]) ||
                (last_epoch(b) == last_epoch(&m->b[best]) && b->end > m->b[best].end)) {
            best = p->lk.at[i];
        }
    }
    if (best < 0) {
        return;
    }
    struct model_image *im = next_entry(m);
    im->record.isr = (struct broker_set){.n = 1, .at = {best}};
    im->record.elr = im->record.lk = (struct broker_set){0};
    im->record.leader = best;
    im->record.leader_epoch++;
    im->record.partition_epoch++;
    im->record.recovering = true;
    im->record.unclean_epoch = im->record.leader_epoch;
    m->counts.unclean++;
    TELL(m, "unclean: %d leads with %d records", best, m->b[best].end);
    model_note_unclean(m, best);
}
