/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/log_trash.h"
#include "broker/shell/producer_state.h"
#include "common/base/mem.h"
#include "common/base/must.h"
#include "tests/sim/sim.h"

#include <errno.h>
#include <stdio.h>

/* A partition of a broker: the real core, the real log and the real state of producers, and what the shell does between them. */

static const struct plog_config log_config = {
        .segment_bytes = 4096, .index_interval_bytes = 512, .index_bytes = 4096, .segment_ms = 0};

static const char *who(const struct sim_part *p)
{
    return sim_node_name(p->b->id);
}

/* --- What the log holds ---------------------------------------------------------------------------------------------- */

static void note_recs(struct sim_part *p, offset64 base, offset64 last, epoch32 epoch, uint32_t crc)
{
    if ((offset64)p->recs.n != base) {
        sim_violation(p->b->sim, "S9", "%s of %s: a batch stands at %lld, not at %zu", p->name,
                who(p), (long long)base, p->recs.n);
    }
    for (offset64 at = base; at <= last; at++) {
        *array_push(&p->recs) = (struct sim_rec){.epoch = epoch, .crc = crc};
    }
}

static void on_head(void *ctx, const struct batch_head *h)
{
    note_recs(ctx, h->base, h->last, h->leader_epoch, h->crc);
}

void sim_part_reload(struct sim_part *p)
{
    array_clear(&p->recs);
    p->verified = 0;
    if (plog_replay(p->log, 0, on_head, p) != 0) {
        must(log_dir_failed(p->b->dir)); /* nothing else makes a log unreadable here */
    }
}

void sim_part_note(struct sim_part *p, const struct batch *b, offset64 base)
{
    struct producers_batch noted = producer_batch_of_request(b);

    noted.base = base;
    producers_note(&p->producers, &noted, 0);
    note_recs(p, base, base + b->last_offset_delta, plog_last_epoch(p->log), b->crc);
}

/* --- Opening and closing --------------------------------------------------------------------------------------------- */

/* `is_anew`: it was set aside on purpose, and the checkpoint that was read at the start still speaks of it. */
static bool open_log(struct sim_part *p, bool is_anew)
{
    struct sim *s = p->b->sim;
    struct plog_open_stats stats = {0};
    struct producer_state_source source;
    int r = plog_open(
            p->b->dir, p->b->files, SIM_TOPIC, &s->topic_id, p->idx, &log_config, &p->log, &stats);

    stats.lost = stats.lost && !is_anew;
    if (r == 0 && !stats.lost) {
        r = producer_state_restore(&p->producers, p->log, 0, 0, &source);
    }
    if (r != 0 || stats.lost) {
        sim_tell(s, who(p), "%s does not open: %s", p->name, stats.lost ? "it is gone" : "damaged");
        p->log = plog_close(p->log);
        return false;
    }
    sim_part_reload(p);
    return true;
}

void sim_part_open(struct sim_part *p)
{
    struct sim *s = p->b->sim;
    bool has_log = false;

    (void)snprintf(p->name, sizeof(p->name), "%s-%d", SIM_TOPIC, p->idx);
    if (!s->has_topic || !broker_set_has(&s->truth[p->idx].record.replicas, p->b->id)) {
        return;
    }
    p->has_saved = log_dir_checkpoint(p->b->dir, &s->topic_id, p->idx, &p->saved);
    has_log = open_log(p, false);
    replica_init(&p->core, p->b->id, p->name, has_log ? plog_end(p->log) : 0,
            has_log ? plog_recovery_point(p->log) : 0,
            has_log && p->has_saved ? p->saved.high_watermark : 0, &p->b->trace);
    p->noted_hw = p->core.high_watermark;
    p->is_live = true;
    if (!has_log) {
        sim_part_fail(p);
    }
}

static void answer(struct sim_part *p, struct sim_msg *a)
{
    *array_push(&p->b->outbox) = a;
}

void sim_part_close(struct sim_part *p)
{
    ARRAY_FOREACH (x, &p->parked) {
        sim_msg_free(x->msg);
    }
    array_deinit(&p->parked);
    if (p->is_live) {
        replica_deinit(&p->core);
        p->is_live = false;
    }
    replica_fx_deinit(&p->fx);
    producers_deinit(&p->producers);
    array_deinit(&p->recs);
    p->log = plog_close(p->log);
}

void sim_part_fail(struct sim_part *p)
{
    struct replica_event ev = {
            .kind = REPLICA_EV_LOG_FAILED, .failed = {.is_disk = log_dir_failed(p->b->dir)}};

    if (p->core.role == REPLICA_FAILED && (p->core.is_disk_failed || !ev.failed.is_disk)) {
        return;
    }
    p->is_working = false;
    sim_part_step(p, &ev, NULL);
    p->log = plog_close(p->log);
    producers_deinit(&p->producers);
    array_clear(&p->recs);
    p->verified = 0;
}

/* --- Parked requests ------------------------------------------------------------------------------------------------- */

static void park(struct sim_part *p, uint64_t request, bool is_produce, struct sim_msg *m)
{
    struct sim_msg *kept = mem_dup(m, sizeof(*m));

    kept->data = (struct buf){0};
    *array_push(&p->parked) = (struct sim_parked){.request = request,
            .is_produce = is_produce,
            .until = p->b->sim->now + (is_produce ? WTIME_S(1) : WTIME_MS(300)),
            .msg = kept};
}

static struct sim_msg *unpark(struct sim_part *p, uint64_t request)
{
    for (size_t i = 0; i < p->parked.n; i++) {
        if (p->parked.items[i].request == request) {
            struct sim_msg *m = p->parked.items[i].msg;
            array_remove(&p->parked, i);
            return m;
        }
    }
    return NULL;
}

void sim_part_answer_error(struct sim_part *p, const struct sim_msg *m, int error)
{
    enum sim_msg_kind kind = m->kind == SIM_PRODUCE ? SIM_PRODUCED
                             : m->kind == SIM_FETCH ? SIM_FETCHED
                                                    : SIM_READ_DONE;
    struct sim_msg *a = sim_msg_answer(m, kind);

    if (m->kind != SIM_PRODUCE) {
        a->fetch = m->fetch;
        a->fetch.diverging_epoch = EPOCH_NONE;
    }
    if (m->kind == SIM_READ) {
        a->fetch.leader_epoch = p->core.record.leader_epoch; /* as whom it answers */
    }
    if (m->kind == SIM_PRODUCE) {
        a->produce.leader_epoch = p->core.record.leader_epoch;
    }
    a->error = error;
    answer(p, a);
}

static void answer_produce(struct sim_part *p, const struct sim_msg *m, int error, offset64 base)
{
    struct sim_msg *a = sim_msg_answer(m, SIM_PRODUCED);

    if (error == ERRCODE_NONE && log_dir_failed(p->b->dir)) {
        sim_violation(
                p->b->sim, "S18", "%s of %s is acknowledged on a failed disk", p->name, who(p));
    }
    a->error = error;
    a->produce.base = base;
    answer(p, a);
}

static void end_parked(struct sim_part *p, const struct replica_fx_item *it)
{
    struct sim_msg *m = unpark(p, it->ask.request);

    if (m == NULL) {
        return; /* given up */
    }
    if (it->kind == REPLICA_FX_WAKE) {
        sim_follow_look(p, m);
        return;
    }
    answer_produce(p, m, it->error, it->base);
    sim_msg_free(m);
}

static void give_up_parked(struct sim_part *p)
{
    for (size_t i = 0; i < p->parked.n;) {
        struct sim_parked *x = &p->parked.items[i];
        struct replica_event ev = {.kind = REPLICA_EV_FORGET, .ask = {.request = x->request}};

        if (!wtime_due(x->until, p->b->sim->now)) {
            i++;
            continue;
        }
        bool is_produce = x->is_produce;
        struct sim_msg *m = unpark(p, x->request);
        sim_part_step(p, &ev, NULL);
        if (is_produce) {
            answer_produce(p, m, ERRCODE_REQUEST_TIMED_OUT, OFFSET_NONE);
            sim_msg_free(m);
        } else {
            m->fetch.is_look = true; /* answered now, with whatever there is */
            sim_follow_serve(p, m);
            sim_msg_free(m);
        }
    }
}

/* --- Effects --------------------------------------------------------------------------------------------------------- */

static void propose(struct sim_part *p, const struct replica_proposal *q)
{
    struct sim_broker *b = p->b;
    struct sim_waiting *w = NULL;

    for (int i = 0; i < SIM_WAITING && w == NULL; i++) {
        w = p->waiting[i].is_set ? NULL : &p->waiting[i];
    }
    if (w == NULL) {
        sim_violation(b->sim, "simulator", "more proposals wait for an answer than can be");
    }
    *w = (struct sim_waiting){.is_set = true,
            .token = ++b->sim->next_id,
            .leader_epoch = q->leader_epoch,
            .partition_epoch = q->partition_epoch,
            .sent = b->sim->now};
    if (b->ctl_node < 0) {
        return; /* it times out */
    }
    struct sim_msg *m = sim_msg_new(SIM_PROPOSE, b->id, b->ctl_node);
    m->token = w->token;
    m->part = p->idx;
    m->propose.broker_epoch = sim_broker_epoch(b);
    m->propose.proposal = *q;
    answer(p, m);
}

static void report(struct sim_part *p, const char *why)
{
    struct sim_broker *b = p->b;

    sim_tell(b->sim, who(p), "%s gives itself up: %s", p->name, why);
    if (b->ctl_node >= 0) {
        struct sim_msg *m = sim_msg_new(SIM_REPORT, b->id, b->ctl_node);
        m->part = p->idx;
        m->propose.broker_epoch = sim_broker_epoch(b);
        answer(p, m);
    }
}

static void finish_flush(struct sim *s, int node, uint64_t idx);
static void finish_work(struct sim *s, int node, uint64_t idx);

static void want_flush(struct sim_part *p)
{
    struct sim *s = p->b->sim;

    if (!p->is_flushing) {
        p->is_flushing = true;
        sim_at(s, 500 + (wtime)sim_below(s, 10000), p->b->id, p->b->life, finish_flush,
                (uint64_t)p->idx);
    }
}

static void begin_work(struct sim_part *p, const struct replica_fx_item *it)
{
    struct sim *s = p->b->sim;

    if (it->kind == REPLICA_FX_TRUNCATE && it->base < p->core.high_watermark &&
            p->core.record.unclean_epoch == EPOCH_NONE) {
        sim_violation(s, "S12", "%s of %s is to be cut to %lld below its high watermark %lld",
                p->name, who(p), (long long)it->base, (long long)p->core.high_watermark);
    }
    must(!p->is_working);
    p->is_working = true;
    p->work = it->kind;
    p->work_base = it->base;
    sim_at(s, 500 + (wtime)sim_below(s, (uint64_t)s->rates.work_max), p->b->id, p->b->life,
            finish_work, (uint64_t)p->idx);
}

static void became(struct sim_part *p, const struct replica_fx_item *it)
{
    struct sim *s = p->b->sim;

    p->fetch_token = 0;
    p->fetch_after = 0;
    if (it->role == REPLICA_LEADER) {
        if (p->log != NULL) {
            plog_begin_epoch(p->log, it->leader_epoch);
        }
        s->counts.elections++;
        sim_check_leads(p);
    }
}

static void carry_out(struct sim_part *p, const struct replica_fx_item *it)
{
    switch (it->kind) {
    case REPLICA_FX_REPLY:
    case REPLICA_FX_WAKE: end_parked(p, it); break;
    case REPLICA_FX_FLUSH: want_flush(p); break;
    case REPLICA_FX_BECAME: became(p, it); break;
    case REPLICA_FX_PROPOSE: propose(p, &it->proposal); break;
    case REPLICA_FX_REPORT: report(p, it->detail); break;
    case REPLICA_FX_TRUNCATE:
    case REPLICA_FX_RESTART: begin_work(p, it); break;
    case REPLICA_FX_FETCH_LATER: p->fetch_after = p->b->sim->now + WTIME_MS(100); break;
    case REPLICA_FX_SAVE_HW:  /* with the next checkpoint */
    case REPLICA_FX_START:    /* nothing is ever removed from a begin here */
    case REPLICA_FX_PROGRESS: /* the next fetch tells it anyway */
    case REPLICA_FX_COPY:     /* sim_follow_take() looks for it */
    case REPLICA_FX_APPEND:
    case REPLICA_FX_READ:
    case REPLICA_FX_DIVERGES:
    case REPLICA_FX_OFFSETS: break;
    }
}

static bool is_own(const struct replica_event *ev, const struct replica_fx_item *it)
{
    switch (it->kind) {
    case REPLICA_FX_APPEND:
    case REPLICA_FX_READ:
    case REPLICA_FX_DIVERGES:
    case REPLICA_FX_OFFSETS:
    case REPLICA_FX_COPY: return true;
    case REPLICA_FX_REPLY: return it->ask.request == ev->ask.request;
    case REPLICA_FX_WAKE: return ev->kind == REPLICA_EV_WAIT && it->ask.request == ev->ask.request;
    case REPLICA_FX_FLUSH:
    case REPLICA_FX_SAVE_HW:
    case REPLICA_FX_BECAME:
    case REPLICA_FX_PROPOSE:
    case REPLICA_FX_REPORT:
    case REPLICA_FX_TRUNCATE:
    case REPLICA_FX_RESTART:
    case REPLICA_FX_START:
    case REPLICA_FX_PROGRESS:
    case REPLICA_FX_FETCH_LATER: return false;
    }
    return false;
}

void sim_part_step(struct sim_part *p, struct replica_event *ev, struct replica_fx_item *ret_own)
{
    struct replica_fx_item *items;
    size_t n;

    ev->now = p->b->sim->now;
    replica_step(&p->core, ev, &p->fx);
    n = p->fx.n;
    items = n > 0 ? mem_dup(p->fx.items, n * sizeof(*items))
                  : NULL; /* what is done may step again */
    sim_check_hw(p);
    for (size_t i = 0; i < n; i++) {
        if (ret_own != NULL && is_own(ev, &items[i])) {
            *ret_own = items[i];
        } else {
            carry_out(p, &items[i]);
        }
    }
    (void)mem_free(items);
}

/* --- Work on the log ------------------------------------------------------------------------------------------------- */

static void finish_flush(struct sim *s, int node, uint64_t idx)
{
    struct sim_broker *b = &s->brokers[node];
    struct sim_part *p = &b->parts[idx];
    struct plog_flush *f;

    sim_broker_event_begin(b);
    p->is_flushing = false;
    f = p->log != NULL && !p->is_working ? plog_flush_begin(p->log) : NULL;
    if (f != NULL) {
        int r = plog_flush_run(f);

        plog_flush_end(p->log, f);
        if (r < 0) {
            sim_part_fail(p);
        } else {
            struct replica_event ev = {
                    .kind = REPLICA_EV_FLUSHED, .flushed = plog_recovery_point(p->log)};
            sim_part_step(p, &ev, NULL);
        }
    }
    sim_broker_event_end(b);
}

/* As in the shell: where, then the checkpoint, then the cut. 0 = done; PLOG_E_BUSY = to be asked again. */
static int cut_log(struct sim_part *p)
{
    offset64 end;
    int r = plog_truncate_begin(p->log, p->work_base, &end);

    if (r == 0 && !sim_broker_save(p->b, NULL)) {
        plog_truncate_cancel(p->log);
        r = PLOG_E_BUSY;
    }
    if (r == 0) {
        r = plog_truncate_run(p->log);
    }
    if (r == 0 && !producers_truncate(&p->producers, plog_end(p->log))) {
        struct producer_state_source source;
        r = producer_state_restore(&p->producers, p->log, 0, 0, &source);
    }
    if (r == 0) {
        sim_part_reload(p);
    }
    return r;
}

static enum log_trash_verdict purge_all(void *ctx, const struct uuid *topic_id, int32_t partition)
{
    return LOG_TRASH_PURGE;
}

/* The log is set aside, no checkpoint speaks of it, and an empty one begins. */
static int restart_log(struct sim_part *p)
{
    struct sim_broker *b = p->b;
    struct log_trash_judge judge = {.judge = purge_all};
    int r;

    p->log = plog_close(p->log);
    producers_deinit(&p->producers);
    array_clear(&p->recs);
    p->verified = 0;
    r = log_trash_move_found(b->dir, p->name, &b->sim->topic_id, p->idx);
    if (r == 0) {
        r = log_trash_sync(b->dir);
    }
    if (r == 0) {
        p->has_saved = false;
        r = sim_broker_save(b, p) ? log_trash_sweep(b->dir, &judge) : -EIO;
    }
    b->sim->counts.restarts++;
    return r == 0 && open_log(p, true) ? 0 : -EIO;
}

static void finish_work(struct sim *s, int node, uint64_t idx)
{
    struct sim_broker *b = &s->brokers[node];
    struct sim_part *p = &b->parts[idx];
    struct replica_event ev = {.kind = REPLICA_EV_CUT};

    if (!p->is_working) {
        return; /* it failed meanwhile */
    }
    sim_broker_event_begin(b);
    bool is_restart = p->work == REPLICA_FX_RESTART;
    int r = is_restart ? restart_log(p) : cut_log(p);

    p->is_working = false;
    s->counts.cuts++;
    if (r != 0 && r != PLOG_E_BUSY && !(is_restart && !log_dir_failed(b->dir))) {
        sim_part_fail(p);
    } else {
        ev.cut.error = r == 0 ? ERRCODE_NONE : ERRCODE_KAFKA_STORAGE_ERROR;
        ev.cut.log_end = p->log != NULL ? plog_end(p->log) : 0;
        sim_part_step(p, &ev, NULL);
    }
    sim_broker_event_end(b);
}

/* --- Events ---------------------------------------------------------------------------------------------------------- */

void sim_part_become(struct sim_part *p, const struct partition_state *record, bool may_lead)
{
    struct replica_peer_view peers[REPLICAS_MAX];
    struct sim_broker *b = p->b;
    struct replica_event ev = {.kind = REPLICA_EV_BECOME,
            .become = {.record = record,
                    .may_lead = may_lead,
                    .fsync_acks = b->sim->is_fsync,
                    .peers = peers,
                    .n_peers = record->replicas.n,
                    .lag_max = SIM_LAG_MAX,
                    .lease = SIM_LEASE}};

    for (uint8_t i = 0; i < record->replicas.n; i++) {
        const struct image_broker *peer = image_broker(b->image, record->replicas.at[i]);

        peers[i] = (struct replica_peer_view){.id = record->replicas.at[i],
                .epoch = peer != NULL ? peer->epoch : BROKER_EPOCH_NONE,
                .is_active = peer != NULL && image_broker_is_active(b->image, peer->id)};
    }
    if (!p->is_live) {
        sim_part_open(p);
    }
    sim_part_step(p, &ev, NULL);
}

static void append(struct sim_part *p, struct sim_msg *m, struct batch *b, epoch32 epoch)
{
    struct replica_event ev = {
            .kind = REPLICA_EV_APPENDED, .ask = {.request = ++p->b->sim->next_id}};
    offset64 base;
    int r = plog_append(p->log, m->data.data, b, epoch, &base);

    if (r != 0) {
        sim_part_answer_error(p, m, ERRCODE_KAFKA_STORAGE_ERROR);
        if (r < 0) {
            sim_part_fail(p);
        }
        return;
    }
    sim_part_note(p, b, base);
    ev.appended.acks = -1;
    ev.appended.leader_epoch = epoch;
    ev.appended.base = base;
    ev.appended.log_end = plog_end(p->log);
    park(p, ev.ask.request, true, m);
    sim_part_step(p, &ev, NULL);
}

static void repeat(struct sim_part *p, struct sim_msg *m, const struct producers_verdict *v)
{
    struct replica_event ev = {.kind = REPLICA_EV_REPEATED,
            .ask = {.request = ++p->b->sim->next_id},
            .repeated = {.acks = -1, .base = v->base, .last = v->last}};

    park(p, ev.ask.request, true, m);
    sim_part_step(p, &ev, NULL);
}

void sim_part_produce(struct sim_part *p, struct sim_msg *m)
{
    struct replica_fx_item own = {.kind = REPLICA_FX_BECAME};
    struct replica_event ev = {.kind = REPLICA_EV_PRODUCE,
            .ask = {.request = ++p->b->sim->next_id},
            .produce = {.acks = -1, .has_lease = p->b->sim->now - p->b->ctl_heard < SIM_LEASE}};
    struct batch b;

    if (!p->is_live) {
        sim_part_answer_error(p, m, ERRCODE_NOT_LEADER_OR_FOLLOWER);
        return;
    }
    sim_part_step(p, &ev, &own);
    if (own.kind == REPLICA_FX_REPLY) {
        sim_part_answer_error(p, m, own.error);
        return;
    }
    must(own.kind == REPLICA_FX_APPEND);
    must(batch_validate_produced(m->data.data, m->data.size, &b) == 0);
    struct producers_batch asked = producer_batch_of_request(&b);
    struct producers_verdict v = producers_check(&p->producers, &asked);
    switch (v.kind) {
    case PRODUCERS_APPEND: append(p, m, &b, own.leader_epoch); break;
    case PRODUCERS_DUPLICATE: repeat(p, m, &v); break;
    case PRODUCERS_REFUSED: sim_part_answer_error(p, m, v.error); break;
    }
}

static void end_waiting(
        struct sim_part *p, struct sim_waiting *w, int error, const struct partition_state *record)
{
    struct replica_event ev = {.kind = REPLICA_EV_PROPOSED,
            .proposed = {.leader_epoch = w->leader_epoch,
                    .partition_epoch = w->partition_epoch,
                    .error = error,
                    .record = record}};

    w->is_set = false;
    sim_part_step(p, &ev, NULL);
}

void sim_part_proposed(struct sim_part *p, const struct sim_msg *m)
{
    for (int i = 0; i < SIM_WAITING && p->is_live; i++) {
        if (p->waiting[i].is_set && p->waiting[i].token == m->token) {
            end_waiting(p, &p->waiting[i], m->error,
                    m->error == ERRCODE_NONE ? &m->propose.record : NULL);
        }
    }
}

void sim_part_tick(struct sim_part *p)
{
    struct sim *s = p->b->sim;

    if (!p->is_live) {
        return;
    }
    if (log_dir_failed(p->b->dir)) {
        sim_part_fail(p);
    }
    for (int i = 0; i < SIM_WAITING; i++) {
        if (p->waiting[i].is_set && s->now - p->waiting[i].sent > WTIME_MS(500)) {
            end_waiting(p, &p->waiting[i], ERRCODE_REQUEST_TIMED_OUT, NULL);
        }
    }
    give_up_parked(p);
    if (wtime_due(replica_deadline(&p->core), s->now)) {
        sim_part_step(p, &(struct replica_event){.kind = REPLICA_EV_TICK}, NULL);
    }
    sim_follow_ask(p);
    if (sim_one_in(s, 30)) {
        want_flush(p);
    }
}
