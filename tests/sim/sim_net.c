/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/sim.h"

/* The network. A message of its own may be late, lost, doubled or overtaken; what goes over a controller's connection comes in
 * order, until something of it is lost: then all that follows on that connection is lost too, in both directions. */

struct sim_msg *sim_msg_new(enum sim_msg_kind kind, int from, int to)
{
    struct sim_msg *m = mem_new(struct sim_msg);

    m->kind = kind;
    m->from = from;
    m->to = to;
    return m;
}

void sim_msg_free(struct sim_msg *m)
{
    if (m != NULL) {
        buf_deinit(&m->data);
        (void)mem_free(m);
    }
}

struct sim_msg *sim_msg_answer(const struct sim_msg *to, enum sim_msg_kind kind)
{
    struct sim_msg *m = sim_msg_new(kind, to->to, to->from);

    m->to_life = to->from_life;
    m->token = to->token;
    m->part = to->part;
    m->topic_id = to->topic_id;
    m->conn = to->conn;
    return m;
}

static struct sim_msg *copy_of(const struct sim_msg *m)
{
    struct sim_msg *c = mem_dup(m, sizeof(*m));

    c->data = (struct buf){0};
    buf_append(&c->data, m->data.data, m->data.size);
    return c;
}

static wtime delay(struct sim *s, enum sim_msg_kind kind)
{
    if (!s->is_healing && (sim_one_in(s, s->rates.slow) || sim_one_in(s, s->rates.slow_kinds[kind]))) {
        return WTIME_MS(20) + (wtime)sim_below(s, (uint64_t)s->rates.slow_max);
    }
    return 200 + (wtime)sim_below(s, 4000);
}

static void deliver_at(struct sim *s, struct sim_msg *m, wtime at)
{
    sim_push_event(s, &(struct sim_event){.at = at, .node = m->to, .msg = m});
}

static struct sim_link *link_of(struct sim *s, const struct sim_msg *m)
{
    bool is_to_broker = m->to < SIM_NODE_CTL;
    int broker = is_to_broker ? m->to : m->from;

    return &s->ctls[(is_to_broker ? m->from : m->to) - SIM_NODE_CTL].links[broker];
}

static void send_on_connection(struct sim *s, struct sim_msg *m, bool is_lost)
{
    struct sim_link *l = link_of(s, m);
    wtime at = s->now + delay(s, m->kind);

    if (m->kind == SIM_PUSH && m->to == s->rates.late_broker && !s->is_healing) {
        at += (wtime)sim_below(s, (uint64_t)WTIME_MS(1200));
    }
    at = wtime_max(at, s->stream_at[m->from][m->to] + 1);
    if (l->conn != m->conn || l->is_broken) {
        sim_msg_free(m);
        return;
    }
    if (is_lost) {
        l->is_broken = true;
        sim_msg_free(m);
        return;
    }
    s->stream_at[m->from][m->to] = at;
    deliver_at(s, m, at);
}

/* A wrong byte in the first batch, on the leader's disk or on the way; where its checksum covers it. */
static void spoil(struct sim *s, struct sim_msg *m)
{
    struct batch b;

    if (m->kind != SIM_FETCHED || m->data.size == 0 || s->is_healing ||
            !sim_one_in(s, s->rates.rot)) {
        return;
    }
    must(batch_parse(m->data.data, m->data.size, &b) == 0);
    m->data.data[21 + sim_below(s, b.size - 21)] ^= (uint8_t)(1 + sim_below(s, 255));
    s->counts.rotten++;
}

void sim_send(struct sim *s, struct sim_msg *m)
{
    bool is_lost = s->is_cut[m->from][m->to] || (!s->is_healing && sim_one_in(s, s->rates.loss));

    m->from_life = sim_life(s, m->from);
    s->counts.messages++;
    if (m->conn != 0) {
        send_on_connection(s, m, is_lost);
        return;
    }
    if (is_lost) {
        sim_msg_free(m);
        return;
    }
    spoil(s, m);
    /* What a broker sends, to the controller ([REP-41]) or to a leader, is sent once on a connection. It may come late, when
     * there is a later connection already ([REP-60]). A client repeats only what has a number. */
    bool is_once = m->kind == SIM_PROPOSE || m->kind == SIM_FETCH ||
                   (m->kind == SIM_PRODUCE && m->produce.acks != -1);
    if (!is_once && !s->is_healing && sim_one_in(s, s->rates.dup)) {
        wtime late = sim_one_in(s, 2) ? (wtime)sim_below(s, (uint64_t)s->rates.slow_max) : 0;
        deliver_at(s, copy_of(m), s->now + delay(s, m->kind) + late);
    }
    deliver_at(s, m, s->now + delay(s, m->kind));
}
