/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/broker/replica_model.h"

#include "broker/core/replica_check.h"

/* What must hold between replicas. */

static const struct model_image *present(const struct model *m)
{
    return &m->history[m->n_history - 1];
}

/* What a leader of an epoch before the last unclean election commits is not kept: that was decided when nobody else was left. */
static bool counts(const struct model *m, epoch32 epoch)
{
    return epoch >= present(m)->record.unclean_epoch;
}

void model_note_commits(struct model *m, int id, int from)
{
    const struct model_broker *b = &m->b[id];

    for (int i = from < m->n_committed ? from : m->n_committed; i < b->core.high_watermark; i++) {
        if (i < m->n_committed) {
            if (i >= b->start && m->committed[i].id != b->log[i].id &&
                    counts(m, b->core.record.leader_epoch)) {
                model_violation(m, "S8 two different records were committed at one offset");
            }
        } else if (counts(m, b->core.record.leader_epoch)) {
            m->committed_by[m->n_committed] = b->core.record.leader_epoch;
            m->committed[m->n_committed++] = b->log[i];
            m->counts.commits++;
        }
    }
}

void model_note_unclean(struct model *m, int winner)
{
    const struct model_broker *b = &m->b[winner];
    int n = b->start;

    while (n < m->n_committed && n < b->end && b->log[n].id == m->committed[n].id) {
        n++;
    }
    m->n_committed = n < m->n_committed ? n : m->n_committed;
}

static void check_has_committed(struct model *m, int id, const char *why)
{
    const struct model_broker *b = &m->b[id];

    if (b->start > m->highest_start) {
        model_violation(m, "a log begins above what retention removed");
    }
    for (int i = b->start; i < m->n_committed; i++) {
        if (i >= b->end || b->log[i].id != m->committed[i].id) {
            model_violation(m, why);
        }
    }
    if (b->end < m->n_committed) {
        model_violation(m, why);
    }
}

void model_check_leader(struct model *m, int id)
{
    const struct model_broker *b = &m->b[id];

    if (!counts(m, b->core.record.leader_epoch)) {
        return;
    }
    for (int i = b->start; i < m->n_committed; i++) {
        if (m->committed_by[i] > b->core.record.leader_epoch) {
            break; /* It comes late, and is no leader any more: what was committed since, it need not have. */
        }
        if (i >= b->end || b->log[i].id != m->committed[i].id) {
            model_violation(m, "S7 a leader begins without a committed record");
        }
    }
}

static void check_members(struct model *m) /* S6 */
{
    const struct model_image *now = present(m);

    for (int id = 0; id < m->n; id++) {
        const struct model_broker *b = &m->b[id];

        if (!broker_set_has(&now->record.isr, id) && !broker_set_has(&now->record.elr, id)) {
            continue;
        }
        if (now->registered[id] != b->epoch || !now->is_purged[id]) {
            continue; /* It has started anew, and can be elected only after its purge. */
        }
        if (!b->is_up && b->kind == MODEL_HOST && !m->is_fsync) {
            continue; /* Registers as what it is. */
        }
        if (b->needs_disqualifying || b->is_damaged ||
                (b->is_up && b->core.role == REPLICA_FAILED)) {
            continue; /* It serves nobody, and says so before it can be elected again. */
        }
        check_has_committed(m, id, "S6 a member of ISR or ELR lacks a committed record");
    }
}

static void check_logs(struct model *m, int x, int y) /* S9 */
{
    const struct model_broker *a = &m->b[x], *b = &m->b[y];
    int start = a->start > b->start ? a->start : b->start;
    int i = (a->end < b->end ? a->end : b->end) - 1;

    while (i >= start && a->log[i].epoch != b->log[i].epoch) {
        i--;
    }
    for (; i >= start; i--) {
        if (a->log[i].epoch != b->log[i].epoch || a->log[i].id != b->log[i].id) {
            model_violation(m, "S9 two logs agree in a record and differ below it");
        }
    }
}

static void check_core(struct model *m, int id) /* S11 */
{
    const struct model_broker *b = &m->b[id];
    const struct replica *r = &b->core;
    offset64 hw = r->high_watermark;

    if (!b->is_up) {
        return;
    }
    if (hw < 0 || hw > r->log_end) {
        model_violation(m, "S11 a high watermark lies beyond its log");
    }
    if (b->work == REPLICA_WORK_NONE && r->role != REPLICA_FAILED && r->log_end != b->end) {
        model_violation(m, "a core does not know where its log ends");
    }
    if (r->role == REPLICA_FAILED || hw == 0 || hw <= b->start ||
            !counts(m, b->log[hw - 1].epoch) || present(m)->record.unclean_epoch != EPOCH_NONE) {
        return;
    }
    for (int i = b->start; i < hw; i++) {
        if (i >= m->n_committed || b->log[i].id != m->committed[i].id) {
            model_violation(m, "S11 a high watermark covers what was never committed");
        }
    }
}

void model_check(struct model *m)
{
    if (!partition_state_is_valid(&present(m)->record)) {
        model_violation(m, "S4 the record contradicts itself");
    }
    check_members(m);
    for (int id = 0; id < m->n; id++) {
        check_core(m, id);
        if (m->b[id].is_up && mutant_active == MUTANT_NONE && !replica_check(&m->b[id].core)) {
            model_violation(m, "S10 to S14 a replica contradicts itself");
        }
        for (int other = 0; other < id; other++) {
            check_logs(m, id, other);
        }
    }
}
