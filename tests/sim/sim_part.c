/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/producer_state.h"
#include "common/base/mem.h"
#include "common/base/must.h"
#include "tests/sim/sim.h"

/* A partition of a broker: the real core and the real state of producers, and what the shell does between them. */

static const char *who(const struct sim_part *p)
{
    return sim_node_name(p->b->id);
}

/* --- Opening and closing --------------------------------------------------------------------------------------------- */

void sim_part_open(struct sim_part *p)
{
    bool has_log = sim_log_open(p);

    replica_init(&p->core, p->b->id, p->name, has_log ? plog_end(p->log) : 0,
            has_log ? plog_synced_end(p->log) : 0,
            has_log && p->has_saved ? checkpoint_committed(&p->saved) : 0, &p->b->trace);
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
    memset(p->waiting, 0, sizeof(p->waiting));
    p->is_flushing = p->is_working = false;
    p->fetch_token = 0;
    replica_fx_deinit(&p->fx);
    sim_log_close(p);
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
    sim_log_close(p);
}

/* The partition goes away from this broker, and its log with it. */
void sim_part_discard(struct sim_part *p)
{
    if (p->is_live) {
        sim_part_step(p, &(struct replica_event){.kind = REPLICA_EV_STOP}, NULL);
        sim_tell(p->b->sim, who(p), "%s leaves this broker", p->name);
    }
    struct plog *log = mem_steal(&p->log);

    sim_part_close(p);
    sim_log_discard(p, log);
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

/* How far the log reaches, for who recovers a partition that nobody vouches for. */
void sim_part_tell_end(struct sim_part *p, const struct sim_msg *m)
{
    struct sim_msg *a = sim_msg_answer(m, SIM_ENDS);
    bool is_known = m->ends.broker_epoch == sim_broker_epoch(p->b) && p->log != NULL &&
                    p->core.role != REPLICA_FAILED && !log_dir_failed(p->b->dir) && !p->is_working;

    a->ends = m->ends;
    a->error = is_known ? ERRCODE_NONE : ERRCODE_REPLICA_NOT_AVAILABLE;
    if (is_known) {
        a->ends.last_epoch = plog_last_epoch(p->log);
        a->ends.end = plog_end(p->log);
    }
    answer(p, a);
}

void sim_part_refuse(struct sim_broker *b, const struct sim_msg *m)
{
    enum sim_msg_kind kind = m->kind == SIM_PRODUCE    ? SIM_PRODUCED
                             : m->kind == SIM_FETCH    ? SIM_FETCHED
                             : m->kind == SIM_ASK_ENDS ? SIM_ENDS
                                                       : SIM_READ_DONE;
    struct sim_msg *a = sim_msg_answer(m, kind);

    if (m->kind == SIM_FETCH || m->kind == SIM_READ) {
        a->fetch = m->fetch;
        a->fetch.diverging_epoch = EPOCH_NONE;
        a->fetch.leader_epoch = EPOCH_NONE;
    } else if (m->kind == SIM_ASK_ENDS) {
        a->ends = m->ends;
    } else {
        a->produce.leader_epoch = EPOCH_NONE;
    }
    a->error = ERRCODE_UNKNOWN_TOPIC_OR_PARTITION;
    *array_push(&b->outbox) = a;
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
        a->fetch.log_start = p->log != NULL ? plog_start(p->log) : 0;
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
    a->produce.leader_epoch = p->core.record.leader_epoch;
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
    m->topic_id = p->topic_id;
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
        m->topic_id = p->topic_id;
        m->part = p->idx;
        m->propose.broker_epoch = sim_broker_epoch(b);
        answer(p, m);
    }
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
        sim_fault_provoke(p, SIM_LEADERSHIP);
    }
}

static void carry_out(struct sim_part *p, const struct replica_fx_item *it)
{
    switch (it->kind) {
    case REPLICA_FX_REPLY:
    case REPLICA_FX_WAKE: end_parked(p, it); break;
    case REPLICA_FX_FLUSH: sim_log_want_flush(p); break;
    case REPLICA_FX_BECAME: became(p, it); break;
    case REPLICA_FX_PROPOSE:
        propose(p, &it->proposal);
        sim_fault_provoke(p, SIM_PROPOSAL);
        break;
    case REPLICA_FX_REPORT: report(p, it->detail); break;
    case REPLICA_FX_TRUNCATE:
    case REPLICA_FX_RESTART: sim_log_begin_work(p, it); break;
    case REPLICA_FX_FETCH_LATER: p->fetch_after = p->b->sim->now + WTIME_MS(100); break;
    case REPLICA_FX_START: sim_log_set_start(p, it->base); break;
    case REPLICA_FX_SAVE_HW:  /* with the next checkpoint */
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
    for (size_t i = 0; i < n; i++) {
        if (items[i].kind == REPLICA_FX_BECAME && items[i].role == REPLICA_LEADER) {
            sim_check_leads(p); /* before what it commits at once */
        }
    }
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

/* What the image of its broker says of the topic. */
static bool is_fsync(const struct sim_part *p)
{
    const struct image_topic *t = image_topic_by_id(p->b->image, &p->topic_id);
    const char *value = t != NULL ? image_topic_config(t, "weir.ack.durability") : NULL;

    return value != NULL && strcmp(value, "fsync") == 0;
}

/* --- Events ---------------------------------------------------------------------------------------------------------- */

void sim_part_become(struct sim_part *p, const struct partition_state *record, bool may_lead)
{
    struct replica_peer_view peers[REPLICAS_MAX];
    struct sim_broker *b = p->b;
    struct replica_event ev = {.kind = REPLICA_EV_BECOME,
            .become = {.record = record,
                    .may_lead = may_lead,
                    .fsync_acks = is_fsync(p),
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
    sim_log_note(p, b, base);
    ev.appended.acks = m->produce.acks;
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
            .produce = {.acks = m->produce.acks, .has_lease = p->b->sim->now - p->b->ctl_heard < SIM_LEASE}};
    struct batch b;

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
    if (!s->is_healing && sim_one_in(s, s->rates.retain)) {
        sim_log_retain(p);
    }
    sim_follow_ask(p);
    if (sim_one_in(s, 30)) {
        sim_log_want_flush(p);
    }
}
