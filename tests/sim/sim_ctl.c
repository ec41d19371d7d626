/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/mem.h"
#include "common/base/mutant.h"
#include "tests/sim/sim.h"

/* A controller: the real core, and around it what its shell does. Records leave in batches that are cut anywhere, one at a time;
 * answers and pushes wait for the commit of what they rest on. */

static const char *name_of(const struct sim_ctl *c)
{
    return sim_node_name(c->node);
}

static void tell_trace(void *ctx, const char *text)
{
    struct sim_ctl *c = ctx;

    sim_tell(c->sim, name_of(c), "%s", text);
}

/* --- Effects -------------------------------------------------------------------------------------------------------- */

static void queue_records(struct sim_ctl *c, const struct ctl_fx_item *it)
{
    for (size_t i = 0; i < it->append.n; i++) {
        struct sim_record *r = array_push(&c->records);

        r->seq = it->append.records[i].seq;
        wire_append_record(&it->append.records[i], &r->bytes);
    }
}

static void queue_reply(struct sim_ctl *c, const struct ctl_reply *reply)
{
    struct sim_msg *a;

    if (c->ask == NULL || c->ask->kind == SIM_REPORT) {
        return; /* whether it was heard, or what people asked for was done, shows in the records */
    }
    if (c->ask->kind == SIM_SHUTDOWN) {
        a = sim_msg_answer(c->ask, SIM_SHUTDOWN_DONE);
        a->error = reply->error;
        a->propose.remaining = reply->shutdown_remaining;
    } else {
        a = sim_msg_answer(c->ask, SIM_PROPOSED);
        a->error = reply->error;
        a->propose.proposal = c->ask->propose.proposal;
        if (reply->error == ERRCODE_NONE) {
            must(reply->n_altered == 1);
            a->error = reply->altered[0].error;
            a->propose.record = reply->altered[0].state;
        }
    }
    *array_push(&c->replies) = (struct sim_reply){.after_seq = reply->after_seq, .msg = a};
}

/* One question a partition. */
static void ask_ends(struct sim *s, struct sim_ctl *c, const struct ctl_fx_item *it)
{
    for (size_t i = 0; i < it->ask.n; i++) {
        struct sim_msg *m = sim_msg_new(SIM_ASK_ENDS, c->node, it->ask.id);
        struct sim_ask *a = array_push(&c->asks);

        *a = (struct sim_ask){.token = ++s->next_id,
                .at = s->now,
                .id = it->ask.id,
                .epoch = it->ask.epoch,
                .ref = it->ask.refs[i]};
        m->token = a->token;
        m->topic_id = a->ref.topic_id;
        m->part = a->ref.partition;
        m->ends.broker_epoch = a->epoch;
        sim_send(s, m);
    }
}

/* Answers whose records are committed. */
static void send_replies(struct sim *s, struct sim_ctl *c, uint64_t committed_seq)
{
    for (size_t i = 0; i < c->replies.n;) {
        if (c->replies.items[i].after_seq <= committed_seq) {
            sim_send(s, c->replies.items[i].msg);
            array_remove(&c->replies, i);
        } else {
            i++;
        }
    }
}

static uint64_t committed_seq(const struct sim_ctl *c)
{
    return image_position(c->image).last_seq;
}

static void step(struct sim *s, struct sim_ctl *c, struct ctl_event *ev)
{
    ev->now = s->now;
    ev->wall = s->now / 1000;
    ev->request = c->ask != NULL ? 1 : ev->request;
    ev->actor = ev->actor != NULL ? ev->actor : "";
    ev->reason = ev->reason != NULL ? ev->reason : "";
    ctl_step(c->core, ev, &c->fx);
    for (size_t i = 0; i < c->fx.n; i++) {
        const struct ctl_fx_item *it = &c->fx.items[i];
        switch (it->kind) {
        case CTL_FX_APPEND: queue_records(c, it); break;
        case CTL_FX_REPLY: queue_reply(c, &it->reply); break;
        case CTL_FX_ASK_SIZES: must_not_reach("the balance is not looked at");
        case CTL_FX_ASK_ENDS: ask_ends(s, c, it); break;
        }
    }
    if (mutant_active == MUTANT_NONE && !ctl_check(c->core)) {
        sim_violation(s, "S5", "the controller core contradicts itself");
    }
    if (c->is_active) {
        send_replies(s, c, committed_seq(c));
    }
}

/* --- Terms ----------------------------------------------------------------------------------------------------------- */

static void forget_work(struct sim_ctl *c)
{
    ARRAY_FOREACH (r, &c->records) {
        buf_deinit(&r->bytes);
    }
    array_clear(&c->records);
    ARRAY_FOREACH (r, &c->replies) {
        sim_msg_free(r->msg);
    }
    array_clear(&c->replies);
    array_clear(&c->asks);
    c->is_committing = false;
    buf_clear(&c->commit);
    c->is_active = false;
    c->nonce = 0;
}

static void depose(struct sim *s, struct sim_ctl *c, const char *why)
{
    if (!c->is_active) {
        c->nonce = 0;
        return;
    }
    sim_tell(s, name_of(c), "acts no more: %s", why);
    step(s, c, &(struct ctl_event){.kind = CTL_EV_DEPOSED});
    forget_work(c);
    c->session = ++s->next_id; /* which ends the one that holds /weir/controller */
}

static void see_broker(struct sim *s, struct sim_ctl *c, int id)
{
    static const struct endpoint endpoint = {"weir", "127.0.0.1", 9190};
    const struct sim_node *n = &c->seen[id];
    struct ctl_event ev = {.kind = CTL_EV_BROKER_SEEN};

    ev.seen = (struct meta_register_broker){.id = id,
            .epoch = n->epoch,
            .crash_kind = n->kind,
            .rack = "",
            .version = "1",
            .endpoints = &endpoint,
            .n_endpoints = 1,
            .dirs = &n->dir,
            .n_dirs = 1};
    ev.seen_prev_epoch = n->prev_epoch;
    step(s, c, &ev);
}

static void new_connection(struct sim *s, struct sim_ctl *c, int id)
{
    c->links[id] = (struct sim_link){.conn = ++s->next_id,
            .cursor = UINT64_MAX,
            .heard = s->now,
            .ready_told = BROKER_EPOCH_NONE};
}

static void take_list(struct sim *s, struct sim_ctl *c, const struct sim_msg *m, bool is_first)
{
    if (!is_first && m->zk.change <= c->seen_change) {
        return;
    }
    c->seen_change = m->zk.change;
    for (int i = 0; i < s->n_brokers; i++) {
        int64_t was = is_first ? BROKER_EPOCH_NONE : c->seen[i].epoch;

        c->seen[i] = m->zk.brokers[i];
        if (c->seen[i].epoch == was) {
            continue;
        }
        if (c->seen[i].epoch == BROKER_EPOCH_NONE) {
            step(s, c,
                    &(struct ctl_event){.kind = CTL_EV_BROKER_GONE,
                            .broker = {
                                    .id = i, .epoch = sim_one_in(s, 2) ? was : BROKER_EPOCH_NONE}});
        } else {
            see_broker(s, c, i);
            new_connection(s, c, i);
        }
    }
}

static void on_claimed(struct sim *s, struct sim_ctl *c, const struct sim_msg *m)
{
    if (c->nonce == 0 || m->zk.nonce != c->nonce || c->is_active) {
        return;
    }
    c->nonce = 0;
    if (!m->zk.is_won) {
        return;
    }
    sim_zk_apply(s, c->image, &c->applied, m->zk.n);
    c->is_active = true;
    c->ctl_epoch = m->zk.ctl_epoch;
    c->fence = m->zk.fence;
    s->counts.ctl_terms++;
    struct ctl_event ev = {.kind = CTL_EV_ELECTED,
            .elected = {.ctl_epoch = c->ctl_epoch,
                    .controller_id = c->id,
                    .image = c->image,
                    .last_seq = committed_seq(c)}};
    step(s, c, &ev);
    take_list(s, c, m, true);
    step(s, c, &(struct ctl_event){.kind = CTL_EV_BROKERS_LISTED});
    for (int i = 0; i < s->n_brokers; i++) {
        new_connection(s, c, i);
    }
}

static void claim(struct sim *s, struct sim_ctl *c, bool is_forced)
{
    struct sim_msg *m = sim_msg_new(SIM_ZK_CLAIM, c->node, SIM_NODE_ZK);

    c->nonce = c->nonce != 0 && !is_forced ? c->nonce : ++s->next_id;
    m->zk.session = c->session;
    m->zk.nonce = c->nonce;
    m->zk.is_forced = is_forced;
    sim_send(s, m);
}

void sim_ctl_duel(struct sim *s, struct sim_ctl *c)
{
    if (c->is_up && !c->is_active) {
        claim(s, c, true);
    }
}

/* --- Commits --------------------------------------------------------------------------------------------------------- */

static void send_commit(struct sim *s, struct sim_ctl *c)
{
    struct sim_msg *m = sim_msg_new(SIM_ZK_COMMIT, c->node, SIM_NODE_ZK);

    m->zk.session = c->session;
    m->zk.fence = c->fence;
    m->zk.n = c->commit_n;
    m->zk.nonce = c->commit_nonce;
    buf_append(&m->data, c->commit.data, c->commit.size);
    c->commit_sent = s->now;
    sim_send(s, m);
}

static void commit_more(struct sim *s, struct sim_ctl *c)
{
    if (!c->is_active || c->is_committing || c->records.n == 0) {
        return;
    }
    size_t n = sim_one_in(s, 3) ? 1 + sim_below(s, c->records.n) : c->records.n;

    buf_clear(&c->commit);
    for (size_t i = 0; i < n; i++) {
        struct sim_record *r = &c->records.items[0];

        buf_append(&c->commit, r->bytes.data, r->bytes.size);
        c->commit_seq = r->seq;
        buf_deinit(&r->bytes);
        array_remove(&c->records, 0);
    }
    c->is_committing = true;
    c->commit_n = c->applied + 1;
    c->commit_nonce = ++s->next_id;
    send_commit(s, c);
}

static void push_to(struct sim *s, struct sim_ctl *c, int id);

static void on_committed(struct sim *s, struct sim_ctl *c, const struct sim_msg *m)
{
    if (!c->is_committing || m->zk.nonce != c->commit_nonce) {
        return;
    }
    if (!m->zk.is_done) {
        depose(s, c, "its commit was refused");
        return;
    }
    c->is_committing = false;
    sim_zk_apply(s, c->image, &c->applied, c->commit_n);
    must(committed_seq(c) == c->commit_seq);
    step(s, c, &(struct ctl_event){.kind = CTL_EV_COMMITTED, .committed_seq = c->commit_seq});
    for (int i = 0; i < s->n_brokers; i++) {
        push_to(s, c, i);
    }
    commit_more(s, c);
}

/* --- Brokers --------------------------------------------------------------------------------------------------------- */

static void push_to(struct sim *s, struct sim_ctl *c, int id)
{
    struct sim_link *l = &c->links[id];
    struct sim_msg *m;

    if (l->conn == 0 || c->seen[id].epoch == BROKER_EPOCH_NONE) {
        return;
    }
    m = sim_msg_new(SIM_PUSH, c->node, id);
    m->conn = l->conn;
    m->push.ctl_epoch = c->ctl_epoch;
    m->push.from = l->cursor == UINT64_MAX ? c->applied : l->cursor; /* the first one only greets */
    m->push.n = c->applied;
    l->sent = s->now;
    sim_send(s, m);
}

/* A connection that broke is made anew; who is not heard is suspected. */
static void look_at_link(struct sim *s, struct sim_ctl *c, int id)
{
    struct sim_link *l = &c->links[id];

    if (c->seen[id].epoch == BROKER_EPOCH_NONE) {
        return;
    }
    if (l->conn == 0 || (l->is_broken && sim_one_in(s, 4))) {
        wtime heard = l->heard;
        bool was_told = l->is_silent_told;

        new_connection(s, c, id);
        c->links[id].heard = heard;
        c->links[id].is_silent_told = was_told;
    }
    if (s->now - l->heard > SIM_BROKER_TIMEOUT && !l->is_silent_told) {
        new_connection(s, c, id); /* [CTL-5] it has to be ready again */
        l->heard = s->now - SIM_BROKER_TIMEOUT;
        l->is_silent_told = true;
        step(s, c,
                &(struct ctl_event){.kind = CTL_EV_BROKER_SILENT,
                        .broker = {.id = id, .epoch = c->seen[id].epoch}});
    }
    if (l->cursor != c->applied || s->now - l->sent > WTIME_MS(200)) {
        push_to(s, c, id);
    }
}

static void on_ready(struct sim *s, struct sim_ctl *c, const struct sim_msg *m)
{
    struct ctl_partition_ref failed[SIM_PARTS_MAX];

    for (uint8_t i = 0; i < m->ack.n_failed; i++) {
        failed[i] = (struct ctl_partition_ref){m->topic_id, m->ack.failed[i]};
    }
    step(s, c,
            &(struct ctl_event){.kind = CTL_EV_BROKER_READY,
                    .ready = {.id = m->from,
                            .epoch = m->ack.epoch,
                            .failed = failed,
                            .n_failed = m->ack.n_failed}});
}

static void on_ack(struct sim *s, struct sim_ctl *c, const struct sim_msg *m)
{
    struct sim_link *l = &c->links[m->from];

    if (m->ack.ctl_epoch > c->ctl_epoch) {
        depose(s, c, "a broker knows a newer controller");
        return;
    }
    if (l->conn != m->conn) {
        return;
    }
    l->heard = s->now;
    l->is_silent_told = false;
    l->cursor = m->ack.applied;
    must(m->ack.applied <= s->zk.log.n);
    if (m->ack.is_diskless) {
        step(s, c,
                &(struct ctl_event){.kind = CTL_EV_BROKER_DIRS_FAILED,
                        .broker = {.id = m->from, .epoch = c->seen[m->from].epoch}});
    }
    if (m->ack.epoch != BROKER_EPOCH_NONE && m->ack.epoch != l->ready_told) {
        l->ready_told = m->ack.epoch;
        on_ready(s, c, m);
    }
}

static void tell_end(struct sim *s, struct sim_ctl *c, size_t i, struct ctl_log_end end)
{
    struct sim_ask a = c->asks.items[i];

    array_remove(&c->asks, i);
    end.ref = a.ref;
    step(s, c,
            &(struct ctl_event){.kind = CTL_EV_LOG_ENDS,
                    .ends = {.id = a.id, .epoch = a.epoch, .partitions = &end, .n = 1}});
}

static void on_ends(struct sim *s, struct sim_ctl *c, const struct sim_msg *m)
{
    for (size_t i = 0; i < c->asks.n; i++) {
        if (c->asks.items[i].token == m->token) {
            tell_end(s, c, i,
                    (struct ctl_log_end){.error = m->error,
                            .last_epoch = m->ends.last_epoch,
                            .end = m->ends.end});
            return;
        }
    }
}

/* Nobody answered. */
static void give_up_asks(struct sim *s, struct sim_ctl *c)
{
    for (size_t i = 0; i < c->asks.n;) {
        if (s->now - c->asks.items[i].at > WTIME_MS(1000)) {
            tell_end(s, c, i, (struct ctl_log_end){.error = ERRCODE_REQUEST_TIMED_OUT});
        } else {
            i++;
        }
    }
}

void sim_ctl_suspect(struct sim *s, struct sim_ctl *c, int id)
{
    if (c->seen[id].epoch == BROKER_EPOCH_NONE) {
        return;
    }
    sim_tell(s, name_of(c), "takes %s for dead", sim_node_name(id));
    s->counts.suspicions++;
    new_connection(s, c, id);
    step(s, c,
            &(struct ctl_event){.kind = CTL_EV_BROKER_REFUSED,
                    /* or news of its predecessor that come late */
                    .broker = {.id = id, .epoch = c->seen[id].epoch - sim_one_in(s, 4)}});
    commit_more(s, c);
}

void sim_ctl_refused(struct sim *s, int node, uint64_t id)
{
    struct sim_ctl *c = sim_ctl_active(s);

    if (c != NULL && !s->brokers[id].is_up && !s->is_cut[c->node][id] &&
            c->seen[id].epoch != BROKER_EPOCH_NONE) {
        new_connection(s, c, (int)id);
        step(s, c,
                &(struct ctl_event){.kind = CTL_EV_BROKER_REFUSED,
                        .broker = {.id = (broker_id)id, .epoch = c->seen[id].epoch}});
        commit_more(s, c);
    }
}

static void on_propose(struct sim *s, struct sim_ctl *c, struct sim_msg *m)
{
    const struct replica_proposal *q = &m->propose.proposal;
    struct ctl_isr_member isr[REPLICAS_MAX];

    for (uint8_t i = 0; i < q->n; i++) {
        isr[i] = (struct ctl_isr_member){q->isr[i].id, q->isr[i].epoch};
    }
    struct ctl_alter_partition alter = {.ref = {m->topic_id, m->part},
            .leader_epoch = q->leader_epoch,
            .partition_epoch = q->partition_epoch,
            .isr = isr,
            .n_isr = q->n,
            .is_recovered = q->recovered,
            .is_durable = q->durable};
    c->ask = m;
    step(s, c,
            &(struct ctl_event){.kind = CTL_EV_ALTER_PARTITION,
                    .alter = {.id = m->from,
                            .epoch = m->propose.broker_epoch,
                            .partitions = &alter,
                            .n = 1}});
    c->ask = NULL;
}

static void on_report(struct sim *s, struct sim_ctl *c, struct sim_msg *m)
{
    struct ctl_failed_replica failed = {.ref = {m->topic_id, m->part}, .reason = "it says so"};

    c->ask = m;
    step(s, c,
            &(struct ctl_event){.kind = CTL_EV_REPLICA_FAILED,
                    .failed = {.id = m->from,
                            .epoch = m->propose.broker_epoch,
                            .replicas = &failed,
                            .n = 1}});
    c->ask = NULL;
}

static void on_shutdown(struct sim *s, struct sim_ctl *c, struct sim_msg *m)
{
    c->ask = m;
    step(s, c,
            &(struct ctl_event){.kind = CTL_EV_BROKER_SHUTDOWN,
                    .broker = {.id = m->from, .epoch = m->propose.broker_epoch}});
    c->ask = NULL;
}

void sim_ctl_deliver(struct sim *s, struct sim_msg *m)
{
    struct sim_ctl *c = &s->ctls[m->to - SIM_NODE_CTL];
    bool is_mine = m->from == SIM_NODE_ZK
                           ? m->zk.session == c->session || m->kind == SIM_ZK_CLAIMED ||
                                     m->kind == SIM_ZK_COMMITTED || m->kind == SIM_ZK_SEEN
                           : true;

    if (!c->is_up || !is_mine) {
        return;
    }
    if (m->from == SIM_NODE_ZK && m->kind != SIM_ZK_EXPIRED) {
        c->zk_heard = s->now;
    }
    switch ((int)m->kind) {
    case SIM_ZK_PONG: break;
    case SIM_ZK_EXPIRED:
        if (m->zk.session == c->session) {
            depose(s, c, "its session ended");
            c->session = ++s->next_id;
        }
        break;
    case SIM_ZK_CLAIMED: on_claimed(s, c, m); break;
    case SIM_ZK_COMMITTED: on_committed(s, c, m); break;
    case SIM_ZK_SEEN:
        c->is_seen_controller = m->zk.has_controller;
        if (m->zk.is_won && m->zk.session == c->session && !c->is_active && c->nonce == 0) {
            c->session = ++s->next_id; /* of a claim that came late, and was given up */
        }
        if (c->is_active) {
            take_list(s, c, m, false);
        }
        break;
    case SIM_ACK:
        if (c->is_active) {
            on_ack(s, c, m);
        }
        break;
    case SIM_PROPOSE: on_propose(s, c, m); break;
    case SIM_REPORT: on_report(s, c, m); break;
    case SIM_SHUTDOWN: on_shutdown(s, c, m); break;
    case SIM_ENDS: on_ends(s, c, m); break;
    default: must_not_reach("a controller was sent what it does not know");
    }
    if (!c->is_active) {
        send_replies(s, c, UINT64_MAX); /* refusals */
    }
    commit_more(s, c);
}

void sim_ctl_ask(struct sim *s, struct sim_ctl *c, struct ctl_event *ev)
{
    ev->request = 1; /* somebody waits: what it is answered is made, too */
    step(s, c, ev);
    commit_more(s, c);
}

/* --- The process ----------------------------------------------------------------------------------------------------- */

static void send_zk(struct sim *s, struct sim_ctl *c, enum sim_msg_kind kind)
{
    struct sim_msg *m = sim_msg_new(kind, c->node, SIM_NODE_ZK);

    m->zk.session = c->session;
    sim_send(s, m);
}

static void act(struct sim *s, struct sim_ctl *c)
{
    if (s->now - c->zk_heard > SIM_SESSION * 2 / 3) {
        depose(s, c, "ZooKeeper has not answered for two thirds of the session");
        return;
    }
    if (c->is_committing && s->now - c->commit_sent > WTIME_MS(300)) {
        send_commit(s, c);
    }
    for (int i = 0; i < s->n_brokers && c->is_active; i++) {
        look_at_link(s, c, i);
    }
    if (wtime_due(ctl_deadline(c->core), s->now)) {
        step(s, c, &(struct ctl_event){.kind = CTL_EV_TICK});
    }
    give_up_asks(s, c);
    if (wtime_due(c->admin_at, s->now)) {
        c->admin_at = s->now + WTIME_MS(500);
        sim_admin_tick(s, c);
    }
    commit_more(s, c);
}

static void stand_by(struct sim *s, struct sim_ctl *c)
{
    if (c->is_seen_controller &&
            c->nonce == 0) { /* else that may be this one, and the answer was lost */
        c->claim_at = WTIME_NEVER;
    } else if (c->claim_at == WTIME_NEVER) {
        c->claim_at = s->now + WTIME_MS((int64_t)sim_below(s, 300));
    } else if (wtime_due(c->claim_at, s->now)) {
        c->claim_at = s->now + WTIME_MS(300);
        claim(s, c, false);
    }
}

static void tick(struct sim *s, int node, uint64_t arg)
{
    struct sim_ctl *c = &s->ctls[node - SIM_NODE_CTL];

    send_zk(s, c, SIM_ZK_PING);
    send_zk(s, c, SIM_ZK_LOOK);
    if (c->is_active) {
        act(s, c);
    } else {
        stand_by(s, c);
    }
    sim_at(s, WTIME_MS(60 + (int64_t)sim_below(s, 40)), node, c->life, tick, arg);
}

void sim_ctl_start(struct sim *s, struct sim_ctl *c)
{
    int id = c->id, node = c->node;

    *c = (struct sim_ctl){.id = id,
            .node = node,
            .sim = s,
            .is_up = true,
            .life = ++s->next_life,
            .session = ++s->next_id,
            .is_seen_controller = true,
            .claim_at = WTIME_NEVER,
            .image = image_new(),
            .trace = {.line = tell_trace, .ctx = c}};
    c->core = ctl_new(&(struct ctl_options){
            .seed = prng_u64(&s->rng), .trace = &c->trace, .replication_factor_max = 5});
    sim_tell(s, name_of(c), "starts");
    sim_at(s, 1 + (wtime)sim_below(s, 1000), node, c->life, tick, 0);
}

void sim_ctl_crash(struct sim *s, struct sim_ctl *c)
{
    if (!c->is_up) {
        return;
    }
    sim_tell(s, name_of(c), "dies");
    c->is_up = false;
    forget_work(c);
    array_deinit(&c->records);
    array_deinit(&c->replies);
    array_deinit(&c->asks);
    buf_deinit(&c->commit);
    c->core = ctl_free(c->core);
    ctl_fx_deinit(&c->fx);
    c->image = image_free(c->image);
    for (int i = 0; i < SIM_BROKERS_MAX; i++) {
        c->links[i].is_broken = true;
    }
}

struct sim_ctl *sim_ctl_active(struct sim *s)
{
    struct sim_ctl *best = NULL;

    for (int i = 0; i < s->n_ctls; i++) {
        struct sim_ctl *c = &s->ctls[i];

        if (c->is_up && c->is_active && (best == NULL || c->ctl_epoch > best->ctl_epoch)) {
            best = c;
        }
    }
    return best;
}
