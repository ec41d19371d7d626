/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/broker/replica_model_impl.h"

#include "common/base/must.h"

#include <string.h>

static struct model *running; /* for model_must_fail() */

_Noreturn void model_violation(struct model *m, const char *why)
{
    m->why = why;
    longjmp(m->violated, 1);
}

/* The cores of the model call this in place of must_fail(). */
_Noreturn void model_must_fail(const char *file, int line, const char *func, const char *what);

_Noreturn void model_must_fail(const char *file, int line, const char *func, const char *what)
{
    (void)file;
    (void)line;
    (void)func;
    model_violation(running, what);
}

/* --- Logs --------------------------------------------------------------------------------------------------------- */

/* As plog_epoch_end(). */
static void epoch_end(const struct model_broker *b, epoch32 asked, epoch32 *e, offset64 *end)
{
    int i = b->end;

    *e = EPOCH_NONE;
    *end = OFFSET_NONE;
    if (b->begun > last_epoch(b) && b->begun <= asked) {
        *e = b->begun;
        *end = b->end;
        return;
    }
    if (b->end == b->start && b->begun == EPOCH_NONE) {
        return;
    }
    while (i > b->start && b->log[i - 1].epoch > asked) {
        i--;
    }
    *e = i > b->start ? b->log[i - 1].epoch : asked;
    *end = i;
}

static void cut_log(struct model_broker *b, int to)
{
    if (to < b->start) {
        b->start = to;
    }
    if (to < b->end) {
        b->end = to;
    }
    if (b->flushed > b->end) {
        b->flushed = b->end;
    }
}

static void append(struct model *m, struct model_broker *b, struct model_record r)
{
    if (b->end >= MODEL_LOG_MAX) {
        model_violation(m, "the model's log is full");
    }
    b->log[b->end++] = r;
}

/* --- Driving a core ----------------------------------------------------------------------------------------------- */

static bool is_own_epoch(const struct model_broker *b, int64_t epoch)
{
    for (int i = 0; i < b->n_epochs; i++) {
        if (b->epochs[i] == epoch) {
            return true;
        }
    }
    return false;
}

/* As what the broker speaks: the incarnation that its image has, if it is this process. */
static int64_t epoch_in_use(const struct model *m, int id)
{
    const struct model_broker *b = &m->b[id];
    int64_t registered = m->history[b->applied < 0 ? 0 : b->applied].registered[id];

    return is_own_epoch(b, registered) ? registered : b->epoch;
}

static void send_call(struct model *m, int id, const struct replica_proposal *q)
{
    struct model_broker *b = &m->b[id];
    struct model_call call = {.is_set = true, .from = id, .process = b->process, .q = *q};

    call.epoch = epoch_in_use(m, id);
    for (int i = 0; i < MODEL_SLOTS; i++) {
        if (!m->waiting[i].is_set) {
            m->waiting[i] = call;
            break;
        }
    }
    m->calls[below(m, MODEL_SLOTS)] = call; /* another one that was there is lost */
}

static void note_reply(
        struct model *m, const struct model_broker *b, const struct replica_fx_item *it)
{
    int at = (int)it->base;

    if (it->error != ERRCODE_NONE || it->ask.part != 1) {
        return; /* not acks=all */
    }
    m->counts.acked++;
    if (b->core.record.leader_epoch < present(m)->record.unclean_epoch) {
        return;
    }
    if (at >= m->n_committed || m->committed[at].id != (int)it->ask.request) {
        model_violation(m, "C1 what was acknowledged is not committed");
    }
}

static void carry_out(struct model *m, int id, const struct replica_fx_item *it)
{
    struct model_broker *b = &m->b[id];

    TELL(m, "      effect %d base %lld limit %lld error %d", (int)it->kind, (long long)it->base,
            (long long)it->limit, it->error);

    switch (it->kind) {
    case REPLICA_FX_REPLY: note_reply(m, b, it); break;
    case REPLICA_FX_SAVE_HW:
        if (one_in(m, 2)) {
            b->saved_hw = (int)it->limit;
        }
        break;
    case REPLICA_FX_BECAME:
        if (it->role == REPLICA_LEADER) {
            b->begun = it->leader_epoch;
            model_check_leader(m, id);
        }
        break;
    case REPLICA_FX_PROPOSE: send_call(m, id, &it->proposal); break;
    case REPLICA_FX_REPORT:
        m->counts.reports++;
        m->reports[below(m, MODEL_SLOTS)] =
                (struct model_report){.is_set = true, .from = id, .epoch = epoch_in_use(m, id)};
        break;
    case REPLICA_FX_COPY:
    case REPLICA_FX_TRUNCATE:
    case REPLICA_FX_RESTART:
        b->work = b->core.work;
        b->work_base = it->base;
        break;
    case REPLICA_FX_START:
        if (it->base > b->start && b->work == REPLICA_WORK_NONE) {
            b->start = (int)it->base < b->end ? (int)it->base : b->end;
        }
        break;
    case REPLICA_FX_APPEND:
    case REPLICA_FX_READ:
    case REPLICA_FX_DIVERGES:
    case REPLICA_FX_OFFSETS:
    case REPLICA_FX_WAKE:
    case REPLICA_FX_FLUSH:
    case REPLICA_FX_PROGRESS:
    case REPLICA_FX_FETCH_LATER: break;
    }
}

void model_step_core(struct model *m, int id, struct replica_event *ev)
{
    struct model_broker *b = &m->b[id];
    bool was_taken_back = b->core.pending.is_taken_back;
    offset64 hw = b->core.high_watermark;

    ev->now = m->now;
    replica_step(&b->core, ev, &b->fx);
    TELL(m, "%ld: broker %d, event %d -> %s, leader epoch %d, isr %u of %d, log [%d, %d), hw %lld",
            m->counts.steps, id, (int)ev->kind, replica_role_text(b->core.role),
            b->core.record.leader_epoch, b->core.record.isr.n, b->core.record.min_isr, b->start,
            b->end, (long long)b->core.high_watermark);
    if (b->core.role == REPLICA_LEADER && b->core.high_watermark > hw) {
        model_note_commits(m, id, (int)hw);
    }
    m->counts.taken_back += !was_taken_back && b->core.pending.is_taken_back;
    FX_FOREACH (it, &b->fx) {
        carry_out(m, id, it);
    }
}

/* The broker applies one more entry of the history. */
static void apply_next(struct model *m, int id)
{
    struct model_broker *b = &m->b[id];
    const struct model_image *im = &m->history[b->applied + 1];
    struct replica_peer_view peers[MODEL_BROKERS_MAX];

    b->applied++;
    b->is_ready = b->is_ready || im->registered[id] == b->epoch;
    for (int i = 0; i < m->n; i++) {
        peers[i] = (struct replica_peer_view){.id = i,
                .epoch = im->registered[i],
                .is_active = !im->is_fenced[i] && im->is_purged[i]};
    }
    struct replica_event ev = {.kind = REPLICA_EV_BECOME,
            .become = {.record = &im->record,
                    .may_lead = is_own_epoch(b, im->registered[id]) && !im->is_fenced[id] &&
                                im->is_purged[id],
                    .fsync_acks = m->is_fsync,
                    .peers = peers,
                    .n_peers = (uint8_t)m->n,
                    .lag_max = m->lag_max,
                    .lease = WTIME_S(2)}};
    model_step_core(m, id, &ev);
}

/* --- Replication -------------------------------------------------------------------------------------------------- */

static void produce(struct model *m, int id)
{
    struct model_broker *b = &m->b[id];
    int32_t acks = one_in(m, 3) ? 1 : -1;
    struct replica_ask ask = {.request = (uint64_t)m->next_id, .part = acks == -1};

    if (b->end >= MODEL_LOG_MAX - 1) {
        return;
    }
    struct replica_event ev = {.kind = REPLICA_EV_PRODUCE,
            .ask = ask,
            .produce = {.acks = acks, .has_lease = !one_in(m, 3)}};
    model_step_core(m, id, &ev);
    if (b->fx.n == 0 || b->fx.items[0].kind != REPLICA_FX_APPEND) {
        return;
    }
    epoch32 epoch = b->fx.items[0].leader_epoch;
    append(m, b, (struct model_record){.epoch = epoch, .id = m->next_id++});
    ev = (struct replica_event){.kind = REPLICA_EV_APPENDED,
            .ask = ask,
            .appended = {
                    .acks = acks, .leader_epoch = epoch, .base = b->end - 1, .log_end = b->end}};
    model_step_core(m, id, &ev);
}

static void send_fetch(struct model *m, int id)
{
    struct model_broker *b = &m->b[id];
    const struct replica *r = &b->core;

    if (r->role != REPLICA_FOLLOWER || r->work != REPLICA_WORK_NONE ||
            r->record.leader == BROKER_NONE || r->record.leader == id) {
        return;
    }
    m->fetches[below(m, MODEL_SLOTS)] = (struct model_fetch){.is_set = true,
            .from = id,
            .to = r->record.leader,
            .process = b->process,
            .epoch = epoch_in_use(m, id),
            .leader_epoch = r->record.leader_epoch,
            .last_epoch = last_epoch(b),
            .offset = b->end,
            .flushed = b->flushed};
}

static void answer_fetch(struct model *m, const struct model_fetch *q, int id)
{
    struct model_broker *b = &m->b[id];
    struct model_answer a = {.is_set = true, .to = q->from, .process = q->process};
    struct replica_event ev = {.kind = REPLICA_EV_FETCH,
            .ask = {.request = 0},
            .fetch = {.replica = q->from,
                    .broker_epoch = q->epoch,
                    .leader_epoch = q->leader_epoch,
                    .offset = q->offset,
                    .last_epoch = q->last_epoch,
                    .known_epoch = EPOCH_NONE,
                    .known_end = OFFSET_NONE,
                    .log_start = b->start,
                    .flushed = q->flushed,
                    .is_look = one_in(m, 4)}};

    if (q->last_epoch >= 0 && b->core.role == REPLICA_LEADER) {
        epoch_end(b, q->last_epoch, &ev.fetch.known_epoch, &ev.fetch.known_end);
    }
    model_step_core(m, id, &ev);
    a.ev = (struct replica_event){.kind = REPLICA_EV_FETCHED,
            .fetched = {.leader_epoch = q->leader_epoch,
                    .asked = q->offset,
                    .asked_epoch = q->last_epoch,
                    .leader_start = b->start,
                    .diverging_epoch = EPOCH_NONE,
                    .is_sound = true}};
    FX_FOREACH (it, &b->fx) {
        if (it->kind == REPLICA_FX_REPLY && it->ask.part == 0 && it->ask.request == 0) {
            a.ev.fetched.error = it->error;
        } else if (it->kind == REPLICA_FX_DIVERGES) {
            a.ev.fetched.diverging_epoch = it->leader_epoch;
            a.ev.fetched.diverging_end = it->base;
        } else if (it->kind == REPLICA_FX_READ) {
            a.ev.fetched.leader_hw = it->high_watermark;
            for (int i = q->offset; i < it->limit && a.ev.fetched.n_bytes < MODEL_BATCH; i++) {
                a.batch[a.ev.fetched.n_bytes++] = b->log[i];
            }
        }
    }
    m->answers[below(m, MODEL_SLOTS)] = a;
}

static void deliver_fetch(struct model *m)
{
    struct model_fetch *slot = PICK(m, m->fetches);
    struct model_fetch q = *slot;
    int to = q.to;

    if (!slot->is_set) {
        return;
    }
    slot->is_set = one_in(m, 5); /* doubled */
    if (MUTANT_IS(FETCH_OF_ANY_EPOCH) && one_in(m, 2)) {
        to = (int)below(m, (uint32_t)m->n); /* whoever took over the address */
    }
    if (m->b[to].is_up && to != q.from) {
        answer_fetch(m, &q, to);
    }
}

static void deliver_answer(struct model *m)
{
    struct model_answer *slot = PICK(m, m->answers);
    struct model_broker *b = &m->b[slot->to];
    struct replica_event ev = slot->ev;

    if (!slot->is_set) {
        return;
    }
    struct model_answer a = *slot;
    slot->is_set = one_in(m, 5);
    if (!b->is_up || b->process != a.process || b->work != REPLICA_WORK_NONE) {
        return;
    }
    if (ev.fetched.diverging_epoch != EPOCH_NONE) {
        epoch_end(b, ev.fetched.diverging_epoch, &ev.fetched.local_epoch, &ev.fetched.local_end);
    }
    int hw = (int)b->core.high_watermark;
    ev.fetched.hw_epoch = hw > b->start && hw <= b->end ? b->log[hw - 1].epoch : EPOCH_NONE;
    ev.fetched.log_last_epoch = last_epoch(b);
    int n = (int)ev.fetched.n_bytes;
    if (n > 0) {
        ev.fetched.first_base = ev.fetched.asked;
        ev.fetched.next = ev.fetched.asked + n;
        ev.fetched.first_epoch = a.batch[0].epoch;
        ev.fetched.last_epoch = a.batch[n - 1].epoch;
        ev.fetched.is_sound = !one_in(m, 30);
    }
    memcpy(b->batch, a.batch, sizeof(b->batch));
    b->n_batch = n;
    model_step_core(m, slot->to, &ev);
}

static void finish_work(struct model *m, int id)
{
    struct model_broker *b = &m->b[id];
    struct replica_event ev = {.kind = REPLICA_EV_CUT};
    bool is_in_vain = one_in(m, 20);

    if (b->work == REPLICA_WORK_NONE) {
        return;
    }
    switch (b->work) {
    case REPLICA_WORK_NONE: break;
    case REPLICA_WORK_COPY:
        ev.kind = REPLICA_EV_COPIED;
        for (int i = 0; !is_in_vain && i < b->n_batch && b->end < MODEL_LOG_MAX; i++) {
            append(m, b, b->batch[i]);
        }
        m->counts.copies++;
        break;
    case REPLICA_WORK_CUT:
        if (!is_in_vain) {
            m->counts.hw_cuts += b->work_base < b->core.high_watermark;
            cut_log(b, (int)b->work_base);
            m->counts.cuts++;
        }
        break;
    case REPLICA_WORK_RESTART:
        if (!is_in_vain) {
            m->counts.refills += b->is_damaged;
            m->counts.restarts++;
            b->start = b->end = b->flushed = (int)b->work_base;
            b->saved_hw = b->start;
            b->begun = EPOCH_NONE;
            b->is_damaged = false;
        }
        break;
    }
    b->work = REPLICA_WORK_NONE;
    if (ev.kind == REPLICA_EV_COPIED) {
        ev.copied.log_end = b->end;
        ev.copied.error = is_in_vain ? ERRCODE_KAFKA_STORAGE_ERROR : ERRCODE_NONE;
    } else {
        ev.cut.log_end = b->end;
        ev.cut.error = is_in_vain ? ERRCODE_REPLICA_NOT_AVAILABLE : ERRCODE_NONE;
    }
    model_step_core(m, id, &ev);
}

static void flush(struct model *m, int id)
{
    struct model_broker *b = &m->b[id];
    struct replica_event ev = {.kind = REPLICA_EV_FLUSHED, .flushed = b->end};

    if (b->work == REPLICA_WORK_NONE && b->core.role != REPLICA_FAILED) {
        b->flushed = b->end;
        model_step_core(m, id, &ev);
    }
}

/* Retention, which a leader decides. */
static void retain(struct model *m, int id)
{
    struct model_broker *b = &m->b[id];
    int hw = (int)b->core.high_watermark;

    if (b->core.role != REPLICA_LEADER || hw <= b->start) {
        return;
    }
    b->start += 1 + (int)below(m, (uint32_t)(hw - b->start));
    m->highest_start = b->start > m->highest_start ? b->start : m->highest_start;
    m->counts.retained++;
}

static void tick(struct model *m, int id)
{
    struct model_broker *b = &m->b[id];
    struct replica_event ev = {.kind = REPLICA_EV_TICK};

    if (wtime_due(replica_deadline(&b->core), m->now)) {
        model_step_core(m, id, &ev);
    }
}

/* --- Faults ------------------------------------------------------------------------------------------------------- */

static void stop_core(struct model_broker *b)
{
    if (b->is_core_live) {
        replica_deinit(&b->core);
        b->is_core_live = false;
    }
    b->core.role = REPLICA_NONE;
    b->is_up = false;
    b->work = REPLICA_WORK_NONE;
}

static void crash(struct model *m, int id)
{
    struct model_broker *b = &m->b[id];
    enum model_kind kind = one_in(m, 2) ? MODEL_HOST : MODEL_PROC;

    if (!b->is_up) {
        return;
    }
    if (b->core.is_disk_failed) { /* Another disk is in its place. */
        b->start = b->end = b->flushed = b->saved_hw = 0;
        b->is_damaged = false;
        b->needs_disqualifying = true;
        kind = MODEL_HOST;
    }
    stop_core(b);
    TELL(m, "%ld: broker %d crashes, kind %d, log [%d, %d) synced to %d", m->counts.steps, id,
            (int)kind, b->start, b->end, b->flushed);
    if (kind > b->kind) {
        b->kind = kind;
    }
    if (kind == MODEL_HOST) {
        m->counts.host_crashes++;
        if (b->end > b->flushed) {
            b->end = b->flushed + (int)below(m, (uint32_t)(b->end - b->flushed + 1));
        }
        if (b->end <
                b->start) { /* The checkpoint's log start is above what is left: an empty log. */
            b->end = b->flushed = b->start;
        }
    }
}

static void fail_log(struct model *m, int id, bool is_disk)
{
    struct model_broker *b = &m->b[id];
    struct replica_event ev = {.kind = REPLICA_EV_LOG_FAILED, .failed = {.is_disk = is_disk}};

    b->is_damaged = true;
    b->work = REPLICA_WORK_NONE;
    model_step_core(m, id, &ev);
}

static void start(struct model *m, int id)
{
    struct model_broker *b = &m->b[id];

    if (b->is_up) {
        return;
    }
    TELL(m, "%ld: broker %d starts, log [%d, %d)", m->counts.steps, id, b->start, b->end);
    b->is_up = true;
    b->process = b->epoch = b->epochs[0] = m->next_epoch++;
    b->n_epochs = 1;
    b->is_ready = false;
    b->begun = EPOCH_NONE;
    b->flushed = b->end; /* recovery synced it */
    b->saved_hw = b->saved_hw < b->start ? b->start : b->saved_hw;
    replica_init(&b->core, id, "t-0", b->end, b->flushed, b->saved_hw, NULL);
    b->is_core_live = true;
    b->applied = one_in(m, 3) ? (int)below(m, (uint32_t)m->n_history) - 1 : m->n_history - 2;
    b->needs_disqualifying = b->needs_disqualifying || b->is_damaged;
    if (b->is_damaged) {
        fail_log(m, id, false);
    }
}

static void damage(struct model *m, int id)
{
    if (m->b[id].core.role != REPLICA_FAILED) {
        fail_log(m, id, one_in(m, 4));
    }
}

/* Its ZooKeeper session ends, the process lives: another incarnation, nothing is lost. */
static void renew_session(struct model *m, int id)
{
    struct model_broker *b = &m->b[id];

    if (b->n_epochs < 8) {
        b->epoch = b->epochs[b->n_epochs++] = m->next_epoch++;
        b->is_ready = false;
        b->needs_disqualifying = b->needs_disqualifying || b->core.role == REPLICA_FAILED;
    }
}

/* --- The walk ----------------------------------------------------------------------------------------------------- */

static const struct {
    int usual;
    bool is_fault; /* may be left out, and is rare in most walks */
} actions[MODEL_N_ACTIONS] = {
        [MODEL_APPLY] = {24, false},
        [MODEL_PRODUCE] = {8, false},
        [MODEL_SEND_FETCH] = {20, false},
        [MODEL_FINISH_WORK] = {16, false},
        [MODEL_FLUSH] = {6, false},
        [MODEL_TICK] = {6, false},
        [MODEL_RETAIN] = {2, true},
        [MODEL_DAMAGE] = {1, true},
        [MODEL_RENEW_SESSION] = {2, true},
        [MODEL_CRASH] = {3, true},
        [MODEL_START] = {8, false},
        [MODEL_ADVANCE_BROKER] = {16, false},
        [MODEL_FENCE] = {4, true},
        [MODEL_DELIVER_FETCH] = {20, false},
        [MODEL_DELIVER_ANSWER] = {20, false},
        [MODEL_DELIVER_CALL] = {8, false},
        [MODEL_GIVE_UP_WAITING] = {4, false},
        [MODEL_DELIVER_REPORT] = {4, false},
        [MODEL_CHANGE_MIN_ISR] = {2, true},
        [MODEL_PREFER_ANOTHER] = {2, true},
        [MODEL_ELECT_UNCLEANLY] = {8, true},
};

static void choose_weights(struct model *m)
{
    static const int of_work[] = {2, 16, 16, 16, 32}; /* sixteenths of the usual */
    static const int of_faults[] = {0, 0, 1, 1, 2, 4, 8};

    m->weight_sum = 0;
    for (int i = 0; i < MODEL_N_ACTIONS; i++) {
        m->weights[i] = actions[i].usual *
                        (actions[i].is_fault ? of_faults[below(m, sizeof(of_faults) / sizeof(int))]
                                             : of_work[below(m, sizeof(of_work) / sizeof(int))]);
        if ((m->emphasis >> i & 1) != 0) {
            m->weights[i] += actions[i].usual * 16;
        }
        m->weight_sum += m->weights[i];
    }
}

static enum model_action choose(struct model *m)
{
    int at = (int)below(m, (uint32_t)m->weight_sum);
    int i = 0;

    while (at >= m->weights[i]) {
        at -= m->weights[i++];
    }
    return (enum model_action)i;
}

/* One entry, or a push of all that there is. */
static void apply_in_time(struct model *m, int id)
{
    bool is_all = one_in(m, 2);

    if (m->slowness[id] > 0 && !one_in(m, m->slowness[id])) {
        return;
    }
    while (m->b[id].applied < m->n_history - 1) {
        apply_next(m, id);
        if (!is_all) {
            break;
        }
    }
}

static void act(struct model *m, enum model_action what, int id)
{
    switch (what) {
    case MODEL_APPLY: apply_in_time(m, id); break;
    case MODEL_PRODUCE: produce(m, id); break;
    case MODEL_SEND_FETCH: send_fetch(m, id); break;
    case MODEL_FINISH_WORK: finish_work(m, id); break;
    case MODEL_FLUSH: flush(m, id); break;
    case MODEL_TICK: tick(m, id); break;
    case MODEL_RETAIN: retain(m, id); break;
    case MODEL_DAMAGE: damage(m, id); break;
    case MODEL_RENEW_SESSION: renew_session(m, id); break;
    case MODEL_CRASH: crash(m, id); break;
    case MODEL_START: start(m, id); break;
    case MODEL_ADVANCE_BROKER: model_advance_broker(m, id); break;
    case MODEL_FENCE: model_fence(m, id); break;
    case MODEL_DELIVER_FETCH: deliver_fetch(m); break;
    case MODEL_DELIVER_ANSWER: deliver_answer(m); break;
    case MODEL_DELIVER_CALL: model_deliver_call(m); break;
    case MODEL_GIVE_UP_WAITING: model_give_up_waiting(m); break;
    case MODEL_DELIVER_REPORT: model_deliver_report(m); break;
    case MODEL_CHANGE_MIN_ISR: model_change_min_isr(m); break;
    case MODEL_PREFER_ANOTHER: model_prefer_another(m); break;
    case MODEL_ELECT_UNCLEANLY: model_elect_uncleanly(m); break;
    case MODEL_N_ACTIONS: break;
    }
}

static void model_step(struct model *m)
{
    int id = (int)below(m, (uint32_t)m->n);
    enum model_action what = choose(m);

    if ((what == MODEL_PRODUCE || what == MODEL_RETAIN || what == MODEL_TICK) && !one_in(m, 4) &&
            present(m)->record.leader != BROKER_NONE) {
        id = present(m)->record.leader;
    }

    m->counts.steps++;
    m->now += WTIME_MS(below(m, 40));
    if (what > MODEL_CRASH || m->b[id].is_up) {
        act(m, what, id);
        model_check(m);
    }
}

void model_init(struct model *m, uint64_t seed, int n_brokers, unsigned emphasis)
{
    struct model_image *im = &m->history[0];

    memset(m, 0, sizeof(*m));
    must(n_brokers <= MODEL_BROKERS_MAX);
    prng_init(&m->rng, seed);
    m->n = n_brokers;
    m->emphasis = emphasis;
    m->now = WTIME_S(1000);
    m->next_epoch = 100;
    m->next_id = 1;
    m->lag_max = WTIME_S(one_in(m, 2) ? 2 : 30);
    m->is_fsync = one_in(m, 3);
    choose_weights(m);
    im->record = (struct partition_state){.topic_id = {.bytes = {1}},
            .leader = 0,
            .leader_epoch = 1,
            .partition_epoch = 1,
            .min_isr = 1 + (int32_t)below(m, (uint32_t)n_brokers),
            .unclean_epoch = EPOCH_NONE};
    m->n_history = 1;
    for (int i = 0; i < n_brokers; i++) {
        struct model_broker *b = &m->b[i];

        (void)broker_set_add(&im->record.replicas, i);
        (void)broker_set_add(&im->record.isr, i);
        m->slowness[i] = one_in(m, 3) ? (int)below(m, 12) : 0;
        b->is_up = b->is_ready = true;
        b->process = b->epoch = b->epochs[0] = m->next_epoch++;
        b->n_epochs = 1;
        b->begun = EPOCH_NONE;
        b->applied = -1;
        im->registered[i] = b->epoch;
        im->is_purged[i] = true;
        replica_init(&b->core, i, "t-0", 0, 0, 0, NULL);
        b->is_core_live = true;
    }
}

void model_deinit(struct model *m)
{
    for (int i = 0; i < m->n; i++) {
        m->b[i].core.is_stepping = false;
        stop_core(&m->b[i]);
        replica_fx_deinit(&m->b[i].fx);
    }
}

/* Nobody is left who may ever be elected. */
static bool is_dead(struct model *m)
{
    const struct partition_state *p = &present(m)->record;

    return p->isr.n == 0 && p->elr.n == 0 && m->weights[MODEL_ELECT_UNCLEANLY] == 0 &&
           one_in(m, 50);
}

bool model_walk(struct model *m, int n_steps)
{
    running = m;
    if (setjmp(m->violated) != 0) {
        return false;
    }
    for (int i = 0; i < n_steps && !is_full(m) && !is_dead(m); i++) {
        model_step(m);
    }
    return true;
}
