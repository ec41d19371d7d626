/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/core/sequence.h"

#include "common/base/must.h"
#include "common/domain/errcode.h"

void seq_run_init(struct seq_run *r)
{
    *r = (struct seq_run){.producer_id = SEQ_ID_NONE};
}

/* [CLI-5] Nothing follows in this run; the next one begins when all of this one has ended. */
static bool is_over(const struct seq_run *r)
{
    return r->producer_id == SEQ_ID_NONE || r->is_broken;
}

/* [CLI-8] A run under `id` may follow. */
static bool may_begin(const struct seq_run *r, const struct seq_id *id)
{
    return id->producer_id != SEQ_ID_NONE && (!r->is_spent || id->producer_id != r->producer_id);
}

bool seq_may_send(
        const struct seq_run *r, const struct seq_mark *m, bool is_head, const struct seq_id *id)
{
    if (m->is_set) {
        return is_head; /* [CLI-2] A retry goes when it is the oldest. */
    }
    if (is_over(r)) {
        return r->n_open == 0 && may_begin(r, id);
    }
    /* [CLI-3] A broker that knows nothing of a producer takes any number as the first. */
    return r->is_proven ? r->n_open < SEQ_WINDOW : r->n_open == 0;
}

bool seq_wants_id(const struct seq_run *r, const struct seq_mark *m, const struct seq_id *id)
{
    return !m->is_set && is_over(r) && r->n_open == 0 && !may_begin(r, id);
}

void seq_on_idle(struct seq_run *r)
{
    must(r->n_open == 0);
    r->is_proven = false; /* [CLI-3] */
}

static void begin(struct seq_run *r, const struct seq_id *id)
{
    bool is_same = r->producer_id == id->producer_id;

    must(r->n_open == 0);
    must(may_begin(r, id));
    *r = (struct seq_run){
            .producer_id = id->producer_id,
            .epoch = (int16_t)(is_same ? r->epoch + 1 : id->epoch),
    };
}

void seq_on_sent(struct seq_run *r,
        struct seq_mark *m,
        uint32_t n_records,
        bool is_head,
        const struct seq_id *id)
{
    must(seq_may_send(r, m, is_head, id));
    if (!m->is_set) { /* [CLI-1] Once, in the order of the queue. */
        if (is_over(r)) {
            begin(r, id);
        }
        *m = (struct seq_mark){
                .is_set = true, .producer_id = r->producer_id, .epoch = r->epoch, .first = r->next};
        r->next = (int32_t)(((uint32_t)r->next + n_records) & INT32_MAX); /* 0 follows 2147483647 */
        r->n_open++;
    }
    m->was_first = is_head;
}

enum seq_verdict seq_judge(struct seq_run *r,
        const struct seq_mark *m,
        bool is_answered,
        int code,
        bool may_be_written)
{
    must(m->is_set);
    if (m->is_dead) { /* [CLI-7] */
        return SEQ_RENEW;
    }
    if (!is_answered) {
        return SEQ_AS_USUAL;
    }
    switch (code) {
    case ERRCODE_OUT_OF_ORDER_SEQUENCE_NUMBER:
    case ERRCODE_UNKNOWN_PRODUCER_ID:
        if (!m->was_first) { /* [CLI-4] */
            return SEQ_AGAIN;
        }
        break;
    case ERRCODE_INVALID_PRODUCER_EPOCH: /* [CLI-8] Somebody else writes under this id. */
        r->is_spent = true;
        break;
    default: return SEQ_AS_USUAL;
    }
    return may_be_written ? SEQ_LOST : SEQ_RENEW; /* [CLI-6] */
}

static void leave(struct seq_run *r, struct seq_mark *m)
{
    must(m->is_set);
    must(r->n_open > 0);
    must(m->producer_id == r->producer_id && m->epoch == r->epoch);
    r->n_open--;
    *m = (struct seq_mark){0};
}

void seq_on_delivered(struct seq_run *r, struct seq_mark *m)
{
    leave(r, m);
    r->is_proven = true;
}

void seq_on_lost(struct seq_run *r, struct seq_mark *m)
{
    leave(r, m);
    r->is_broken = true;
    r->is_spent = r->is_spent || r->epoch == SEQ_EPOCH_MAX;
}

void seq_withdraw(struct seq_run *r, struct seq_mark *m)
{
    seq_on_lost(r, m);
}
