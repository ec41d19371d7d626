/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/partition_impl.h"

#include "broker/shell/errcode_map.h"
#include "broker/shell/producer_state.h"
#include "common/base/must.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"

/* The producers of a partition: asked before an append, told after it, and kept on the disk beside
 * requests. */

enum {
    /* [PID-32] */
    UNSAVED_MAX = 64 * 1024 * 1024,
    UNSAVED_AT_STOP_MAX =
            64 * 1024,  /* read in one piece at the next start, as a snapshot would be */
    SNAPSHOTS_KEPT = 2, /* [PID-34] */
};

/* The gauge is of all partitions together. */
static void tell_known(struct partition *p)
{
    size_t n = p->producers.state.known.n;

    metric_add(METRIC_BROKER_PRODUCERS, (uint64_t)n - (uint64_t)p->producers.n_told);
    p->producers.n_told = n;
    atomic_store(&p->producers.is_any_known, n > 0);
}

int partition_producers_open(struct partition *p, struct plog *log, offset64 no_producers)
{
    struct partition_producers *m = &p->producers;
    wall_ms now = clock_wall();
    struct producer_state_source source = {.snapshot = OFFSET_NONE};
    int r = producer_state_restore(&m->state, log, no_producers, now, &source);

    if (r != 0) {
        return r < 0 ? err_forward(r) : r;
    }
    m->snapshot = source.snapshot;
    m->unsaved = source.replayed;
    atomic_store(&m->is_snapshot_due, m->state.known.n > 0 && m->unsaved >= UNSAVED_MAX);
    m->none_below = no_producers;
    m->n_segments = plog_n_segments_made(log);
    (void)producers_expire(&m->state, now, p->env->producer_expiration_ms);
    if (m->state.known.n == 0 && m->none_below < m->state.end) {
        atomic_store(&p->env->is_checkpoint_stale, true); /* so that the next start walks nothing */
    }
    tell_known(p);
    return 0;
}

void partition_producers_close(struct partition *p)
{
    producers_deinit(&p->producers.state);
    tell_known(p);
}

void partition_producers_begin(struct partition *p)
{
    struct partition_producers *m = &p->producers;

    producers_deinit(&m->state);
    m->state.end = plog_end(p->log);
    m->snapshot = OFFSET_NONE;
    m->none_below = m->unsaved = 0;
    m->n_segments = plog_n_segments_made(p->log);
    atomic_store(&m->is_snapshot_due, false);
    tell_known(p);
}

void partition_producers_begin_below(struct partition *p, offset64 base)
{
    (void)producers_truncate(&p->producers.state, base);
}

int partition_producers_cut(struct partition *p, offset64 end)
{
    struct partition_producers *m = &p->producers;
    struct producer_state_source source = {.snapshot = m->snapshot, .replayed = m->unsaved};
    int r = producer_state_truncate(
            &m->state, p->log, end, partition_producers_none_below(p), clock_wall(), &source);

    if (r != 0) {
        return r < 0 ? err_forward(r) : r;
    }
    m->snapshot = source.snapshot <= end ? source.snapshot : OFFSET_NONE;
    m->unsaved = source.replayed;
    m->n_segments = plog_n_segments_made(p->log);
    tell_known(p);
    return 0;
}

/* --- A produce request ------------------------------------------------------------------------ */

static void answer_repeat(struct hold *h,
        const struct replica_ask *ask,
        int32_t acks,
        const struct producers_verdict *v,
        struct partition_produced *ret)
{
    struct replica_fx_item own = {.kind = REPLICA_FX_BECAME};

    metric_add(METRIC_BROKER_PRODUCE_REPEATS, 1);
    ret->is_repeat = true;
    ret->base = v->base;
    ret->append_time = h->p->settings.append.is_append_time ? v->timestamp : -1;
    partition_step(h,
            &(struct replica_event){.kind = REPLICA_EV_REPEATED,
                    .ask = *ask,
                    .repeated = {.acks = acks, .base = v->base, .last = v->last}},
            ask, &own);
    ret->is_done = own.kind == REPLICA_FX_REPLY;
    ret->error = own.error;
    ret->is_on_disk = own.is_on_disk;
}

bool partition_producers_admit(struct hold *h,
        const struct replica_ask *ask,
        int32_t acks,
        const struct batch *b,
        struct partition_produced *ret)
{
    struct producers_batch asked = producer_batch_of_request(b);
    struct producers_verdict v = producers_check(&h->p->producers.state, &asked);

    switch (v.kind) {
    case PRODUCERS_APPEND: return true;
    case PRODUCERS_DUPLICATE: answer_repeat(h, ask, acks, &v, ret); return false; /* [PID-14] */
    case PRODUCERS_REFUSED:
        ret->error = v.error;
        ret->detail = v.detail;
        return false;
    }
    must_not_reach("a verdict that is none");
}

void partition_producers_note(struct partition *p, const struct batch *b, offset64 base)
{
    struct partition_producers *m = &p->producers;
    struct producers_batch noted = producer_batch_of_request(b);
    uint64_t n_segments = plog_n_segments_made(p->log);

    noted.base = base;
    producers_note(&m->state, &noted, clock_wall()); /* [PID-16] */
    if (m->state.known.n != m->n_told) {
        tell_known(p);
    }
    if (m->state.known.n > 0) { /* [PID-32] A log's first segment is no roll. */
        bool is_rolled = n_segments != m->n_segments && base > plog_first_offset(p->log);
        m->unsaved += (int64_t)b->size;
        if (is_rolled || m->unsaved >= UNSAVED_MAX) {
            atomic_store(&m->is_snapshot_due, true);
        }
    }
    m->n_segments = n_segments;
}

offset64 partition_producers_none_below(struct partition *p)
{
    struct partition_producers *m = &p->producers;
    offset64 synced = plog_recovery_point(p->log);

    /* Where nobody was known is a place to begin from until there is a later one, or a snapshot. */
    if (m->state.known.n == 0 && synced <= m->state.end) {
        m->none_below = synced;
    }
    if (m->none_below > synced) { /* The log was cut. Who was forgotten there is so before it too. */
        m->none_below = synced;
    }
    return m->none_below;
}

/* --- Beside requests -------------------------------------------------------------------------- */

struct saving {
    struct plog *log;
    struct buf bytes;
    offset64 end;
    int64_t unsaved;
};

/* NULL `log`: there is nothing to save. The log stays until end_saving(). */
static void begin_saving(struct partition *p, bool is_stop, struct saving *s)
{
    struct partition_producers *m = &p->producers;
    struct hold h;

    *s = (struct saving){.end = OFFSET_NONE};
    hold_begin(&h, p);
    atomic_store(&m->is_snapshot_due, false);
    if (m->state.known.n > 0 && m->state.end != m->snapshot &&
            (!is_stop || m->unsaved > UNSAVED_AT_STOP_MAX)) {
        s->log = partition_use_begin(&h);
    }
    if (s->log != NULL && !plog_snapshot_begin(s->log)) {
        s->log = NULL;
        partition_use_end(&h);
        atomic_store(&m->is_snapshot_due, true);
    }
    if (s->log != NULL) {
        s->end = m->state.end;
        s->unsaved = m->unsaved;
        producers_encode(&m->state, &s->bytes);
    }
    hold_end(&h);
}

static void note_refusal(struct partition *p, int r)
{
    if (!p->producers.was_refused) {
        log_warn("partition", "producer_snapshot_postponed", KV_STR("partition", p->name),
                KV_STR("reason", errcode_of_plog(r).detail));
    }
    p->producers.was_refused = true;
    atomic_store(&p->producers.is_snapshot_due, true);
}

static void end_saving(struct partition *p, struct saving *s, int r)
{
    struct partition_producers *m = &p->producers;
    struct hold h;

    hold_begin(&h, p);
    if (r == 0) {
        r = plog_snapshot_written(s->log, s->end, SNAPSHOTS_KEPT);
    }
    plog_snapshot_end(s->log);
    if (r == 0) {
        m->snapshot = s->end;
        m->unsaved -= s->unsaved;
        m->was_refused = false;
    } else if (r > 0) {
        note_refusal(p, r);
    } else {
        log_error("partition", "producer_snapshot_failed", KV_STR("partition", p->name),
                KV_STR("dir", log_dir_path(p->dir)), KV_ERR(r));
        partition_fail_locked(&h);
    }
    partition_use_end(&h);
    hold_end(&h);
    buf_deinit(&s->bytes);
}

void partition_producers_save(struct partition *p, bool is_stop)
{
    struct saving s;

    begin_saving(p, is_stop, &s);
    if (s.log != NULL) {
        end_saving(p, &s, plog_snapshot_write(s.log, s.end, s.bytes.data, s.bytes.size));
    }
}

void partition_producers_expire(struct partition *p)
{
    struct hold h;
    size_t n;

    if (!atomic_load(&p->producers.is_any_known)) {
        return;
    }
    hold_begin(&h, p);
    n = producers_expire(&p->producers.state, clock_wall(), p->env->producer_expiration_ms);
    if (n > 0) {
        tell_known(p);
        atomic_store(&p->env->is_checkpoint_stale, true);
    }
    hold_end(&h);
}
