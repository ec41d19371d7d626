/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/sim.h"

/* ZooKeeper: sessions that expire, ephemeral nodes, and the metadata log, which takes the next batch only from who holds
 * /weir/epoch at its present version. Answers may be lost: who asks the same again is told the same. */

static bool is_alive(const struct sim *s, const struct sim_msg *m)
{
    const struct sim_session *x = &s->zk.sessions[m->from];

    return x->is_open && x->id == m->zk.session;
}

static void end_session(struct sim *s, int node)
{
    struct sim_session *x = &s->zk.sessions[node];
    struct sim_zk *zk = &s->zk;

    x->is_open = false;
    s->counts.expiries++;
    sim_tell(s, "zk", "session %llu of %s ends", (unsigned long long)x->id, sim_node_name(node));
    if (node < SIM_NODE_CTL && zk->brokers[node].epoch != BROKER_EPOCH_NONE &&
            zk->brokers[node].session == x->id) {
        zk->brokers[node].epoch = BROKER_EPOCH_NONE;
        zk->change++;
    }
    if (zk->controller == x->id) {
        zk->controller = 0;
    }
}

void sim_zk_expire(struct sim *s, int node)
{
    if (s->zk.sessions[node].is_open) {
        end_session(s, node);
    }
}

void sim_zk_tick(struct sim *s, int node, uint64_t arg)
{
    for (int i = 0; i < SIM_NODES; i++) {
        if (s->zk.sessions[i].is_open && s->now - s->zk.sessions[i].heard > SIM_SESSION) {
            end_session(s, i);
        }
    }
    sim_at(s, WTIME_MS(100), node, 0, sim_zk_tick, arg);
}

static void on_ping(struct sim *s, const struct sim_msg *m)
{
    struct sim_session *x = &s->zk.sessions[m->from];

    if (m->zk.session >
            x->id) { /* a new one; the one before lives until it expires, or goes here */
        if (x->is_open) {
            end_session(s, m->from);
        }
        *x = (struct sim_session){.id = m->zk.session, .is_open = true};
    }
    if (is_alive(s, m)) {
        x->heard = s->now;
    }
    struct sim_msg *a = sim_msg_answer(m, is_alive(s, m) ? SIM_ZK_PONG : SIM_ZK_EXPIRED);
    a->zk.session = m->zk.session;
    sim_send(s, a);
}

static void on_register(struct sim *s, const struct sim_msg *m)
{
    struct sim_node *n = &s->zk.brokers[m->from];

    if (n->epoch == BROKER_EPOCH_NONE ||
            n->session != m->zk.session) { /* or in place of a dead predecessor's */
        *n = (struct sim_node){.epoch = ++s->zk.zxid,
                .session = m->zk.session,
                .kind = m->zk.crash_kind,
                .prev_epoch = m->zk.prev_epoch,
                .dir = m->zk.dir};
        s->zk.change++;
        sim_tell(s, "zk", "broker %d has epoch %lld", m->from, (long long)n->epoch);
    }
    struct sim_msg *a = sim_msg_answer(m, SIM_ZK_REGISTERED);
    a->zk.session = m->zk.session;
    a->zk.epoch = n->epoch;
    sim_send(s, a);
}

static void show(struct sim *s, struct sim_msg *a)
{
    a->zk.n = s->zk.log.n;
    a->zk.change = s->zk.change;
    a->zk.has_controller = s->zk.controller != 0;
    memcpy(a->zk.brokers, s->zk.brokers, sizeof(a->zk.brokers));
}

static void on_claim(struct sim *s, const struct sim_msg *m)
{
    struct sim_msg *a = sim_msg_answer(m, SIM_ZK_CLAIMED);
    bool is_mine = s->zk.controller == m->zk.session && s->zk.epoch_nonce == m->zk.nonce;

    if (!is_mine && (s->zk.controller == 0 || m->zk.is_forced)) {
        s->zk.controller = m->zk.session;
        s->zk.epoch_nonce = m->zk.nonce;
        s->zk.ctl_epoch++;
        s->zk.fence++;
        is_mine = true;
        sim_tell(s, "zk", "%s has controller epoch %llu%s", sim_node_name(m->from),
                (unsigned long long)s->zk.ctl_epoch, m->zk.is_forced ? ", taken" : "");
    }
    a->zk.is_won = is_mine;
    a->zk.nonce = m->zk.nonce;
    a->zk.ctl_epoch = s->zk.ctl_epoch;
    a->zk.fence = s->zk.fence;
    show(s, a);
    sim_send(s, a);
}

static void append(struct sim *s, const struct sim_msg *m)
{
    struct sim_batch *b = mem_new(struct sim_batch);

    b->nonce = m->zk.nonce;
    b->ctl_epoch = s->zk.ctl_epoch;
    arena_init(&b->arena, 0);
    must(wire_decode_record_list(
                 (struct bytes){m->data.data, m->data.size}, &b->arena, &b->records) == 0);
    *array_push(&s->zk.log) = b;
    for (size_t i = 0; i < b->records.n_records; i++) {
        if (image_apply(s->image, s->zk.log.n, &b->records.records[i]) != 0) {
            sim_violation(s, "S1", "a record contradicts the log before it");
        }
        sim_check_record(s, &b->records.records[i]);
    }
}

static void on_commit(struct sim *s, const struct sim_msg *m)
{
    struct sim_msg *a = sim_msg_answer(m, SIM_ZK_COMMITTED);
    bool is_there = m->zk.n <= s->zk.log.n && s->zk.log.items[m->zk.n - 1]->nonce == m->zk.nonce;

    if (!is_there && m->zk.fence == s->zk.fence && m->zk.n == s->zk.log.n + 1) {
        append(s, m);
        is_there = true;
    }
    a->zk.n = m->zk.n;
    a->zk.nonce = m->zk.nonce;
    a->zk.is_done = is_there;
    sim_send(s, a);
}

void sim_zk_deliver(struct sim *s, struct sim_msg *m)
{
    struct sim_msg *a;

    if (m->kind == SIM_ZK_PING) {
        on_ping(s, m);
        return;
    }
    if (!is_alive(s, m)) {
        a = sim_msg_answer(m, SIM_ZK_EXPIRED);
        a->zk.session = m->zk.session;
        sim_send(s, a);
        return;
    }
    switch ((int)m->kind) {
    case SIM_ZK_REGISTER: on_register(s, m); break;
    case SIM_ZK_CLAIM: on_claim(s, m); break;
    case SIM_ZK_COMMIT: on_commit(s, m); break;
    case SIM_ZK_LOOK:
        a = sim_msg_answer(m, SIM_ZK_SEEN);
        show(s, a);
        a->zk.is_won = s->zk.controller == m->zk.session;
        a->zk.session = m->zk.session;
        sim_send(s, a);
        break;
    default: must_not_reach("ZooKeeper was sent what it does not know");
    }
}

void sim_zk_apply(struct sim *s, struct image *image, uint64_t *applied, uint64_t n)
{
    must(n <= s->zk.log.n); /* S3: nothing that is not committed is ever seen */
    while (*applied < n) {
        struct sim_batch *b = s->zk.log.items[(*applied)++];

        for (size_t i = 0; i < b->records.n_records; i++) {
            must(image_apply(image, *applied, &b->records.records[i]) == 0);
        }
        image_set_position(
                image, (struct image_position){.index = *applied,
                               .last_seq = b->records.records[b->records.n_records - 1].seq});
    }
}

void sim_zk_deinit(struct sim *s)
{
    ARRAY_FOREACH (b, &s->zk.log) {
        arena_deinit(&(*b)->arena);
        (void)mem_free(*b);
    }
    array_deinit(&s->zk.log);
}
