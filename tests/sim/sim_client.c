/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/mem.h"
#include "common/base/must.h"
#include "tests/sim/sim.h"

#include <stdio.h>

/* Clients: each sends numbered batches to every partition, one at a time, the same again until it is acknowledged (acks=all,
 * idempotent), and reads every partition from its begin. A careless one sends without numbers, waits for one replica or for
 * nobody, and sends nothing twice. */

static struct sim_client *client_of(struct sim *s, int node)
{
    return &s->clients[node - SIM_NODE_CLIENT];
}

/* Mostly the leader; a client may be wrong about who that is. */
static int whom_to_ask(struct sim *s, int part)
{
    broker_id leader = s->truth[part].record.leader;

    return leader != BROKER_NONE && !sim_one_in(s, 6) ? leader
                                                      : (int)sim_below(s, (uint64_t)s->n_brokers);
}

static bool is_careless(struct sim *s, const struct sim_client *c)
{
    return s->is_careless && c->node != SIM_NODE_CLIENT;
}

static void build(struct sim *s, struct sim_client *c, struct sim_client_part *x)
{
    struct batch_builder bb = {0};
    struct batch_build_options options = {
            .producer_id = x->producer_id, .base_sequence = x->sequence};
    if (is_careless(s, c)) {
        options = (struct batch_build_options){
                .producer_id = -1, .producer_epoch = -1, .base_sequence = -1};
    }
    char text[64];
    struct batch b;
    int n = 1 + (int)sim_below(s, (uint64_t)s->rates.records_max);

    for (int i = 0; i < n; i++) {
        (void)snprintf(text, sizeof(text), "client %d.%lld record %d", c->node,
                (long long)x->producer_id, x->sequence + i);
        struct record r = {.timestamp = s->now / 1000,
                .key = {(const uint8_t *)text, 8},
                .value = {(const uint8_t *)text, strlen(text)}};
        batch_builder_add(&bb, &r, NULL);
    }
    buf_clear(&x->batch);
    batch_builder_finish(
            &bb, &options, CODEC_NONE, (struct bytes){bb.records.data, bb.records.size}, &x->batch);
    batch_builder_deinit(&bb);
    must(batch_parse(x->batch.data, x->batch.size, &b) == 0);
    x->crc = b.crc;
    x->sequence += n;
    x->is_busy = true;
}

static void send_batch(struct sim *s, struct sim_client *c, int part)
{
    struct sim_client_part *x = &c->parts[part];
    struct sim_msg *m = sim_msg_new(SIM_PRODUCE, c->node, whom_to_ask(s, part));

    m->part = part;
    m->topic_id = s->topic_id;
    m->token = x->token = ++s->next_id;
    m->produce.acks = is_careless(s, c) ? (int32_t)(s->next_id % 2) : -1;
    x->sent = s->now;
    buf_append(&m->data, x->batch.data, x->batch.size);
    sim_send(s, m);
}

static void ask_for_more(struct sim *s, struct sim_client *c, int part)
{
    struct sim_client_part *x = &c->parts[part];
    struct sim_msg *m = sim_msg_new(SIM_READ, c->node, whom_to_ask(s, part));

    m->part = part;
    m->topic_id = s->topic_id;
    m->token = x->read_token = ++s->next_id;
    m->fetch.offset = x->read;
    m->fetch.is_latest = s->next_id % 8 == 0;
    x->read_sent = s->now;
    sim_send(s, m);
}

/* As another producer: what became of the last batch is not asked any more. */
static void begin_anew(struct sim *s, struct sim_client_part *x)
{
    x->is_busy = false;
    x->token = 0;
    x->producer_id = (int64_t)(1000 + ++s->next_id);
    x->sequence = 0;
}

static void on_produced(struct sim *s, struct sim_client *c, const struct sim_msg *m)
{
    struct sim_client_part *x = &c->parts[m->part];
    const struct sim_truth *t = &s->truth[m->part];

    if (!x->is_busy || m->token != x->token) {
        return;
    }
    x->token = 0;
    if (is_careless(s, c)) {
        begin_anew(s, x);
    }
    x->next_at = s->now + WTIME_MS(20) + (wtime)sim_below(s, (uint64_t)s->rates.produce_pause);
    if (is_careless(s, c)) {
        return; /* nothing is promised beyond one leader's log */
    }
    if (m->error == ERRCODE_OUT_OF_ORDER_SEQUENCE_NUMBER && t->start > 0) {
        begin_anew(s, x); /* [PID-11] Its batches are removed, and an old copy of one may have come late. */
        return;
    }
    /* A leader that was deposed and does not know may lack what its successor has acknowledged. */
    if (m->error == ERRCODE_OUT_OF_ORDER_SEQUENCE_NUMBER &&
            m->produce.leader_epoch == t->record.leader_epoch) {
        sim_violation(s, "S19", "client %d is told that its sequence on %s-%d has a gap", c->node,
                SIM_TOPIC, m->part);
    }
    if (m->error != ERRCODE_NONE) {
        return; /* the same again */
    }
    if (m->produce.leader_epoch < t->record.unclean_epoch) {
        /* By a leader of before, which nobody waited for: what it acknowledges now is lost, as was said loudly. */
        begin_anew(s, x);
        return;
    }
    if (m->produce.base < 0 || (size_t)m->produce.base >= t->committed.n ||
            t->committed.items[m->produce.base].crc != x->crc) {
        sim_violation(s, "C1",
                "client %d has %s-%d acknowledged at %lld, where it was not committed", c->node,
                SIM_TOPIC, m->part, (long long)m->produce.base);
    }
    *array_push(&s->truth[m->part].acked) =
            (struct sim_acked){.base = m->produce.base, .crc = x->crc};
    s->counts.acked++;
    x->is_busy = false;
}

static void on_read(struct sim *s, struct sim_client *c, const struct sim_msg *m)
{
    struct sim_client_part *x = &c->parts[m->part];
    const struct sim_truth *t = &s->truth[m->part];
    struct batch b;

    if (m->token != x->read_token) {
        return;
    }
    x->read_token = 0;
    if (m->fetch.leader_epoch < t->record.unclean_epoch || t->is_open) {
        return;
    }
    if (m->error == ERRCODE_OFFSET_OUT_OF_RANGE && x->read < m->fetch.log_start) {
        x->read = m->fetch.log_start < t->start ? m->fetch.log_start : t->start;
        return;
    }
    if (m->error == ERRCODE_OFFSET_OUT_OF_RANGE &&
            m->fetch.leader_epoch == t->record.leader_epoch) {
        /* A leader that is one has at least what was read before. */
        sim_violation(s, "C2", "client %d finds %s-%d shorter than what it has read", c->node,
                SIM_TOPIC, m->part);
    }
    if (m->fetch.is_latest) { /* KIP-207 */
        if (m->error == ERRCODE_NONE && m->fetch.hw < x->read &&
                m->fetch.leader_epoch == t->record.leader_epoch) {
            sim_violation(s, "C2", "client %d is told that %s-%d ends at %lld, and has read more",
                    c->node, SIM_TOPIC, m->part, (long long)m->fetch.hw);
        }
        return;
    }
    for (size_t at = 0; m->error == ERRCODE_NONE && at < m->data.size; at += b.size) {
        if (batch_parse(m->data.data + at, m->data.size - at, &b) != 0 || !batch_crc_is_right(&b)) {
            sim_violation(s, "C13", "client %d is given what is no batch", c->node);
        }
        if (b.base_offset > x->read) {
            sim_violation(
                    s, "C8", "client %d misses records of %s-%d", c->node, SIM_TOPIC, m->part);
        }
        for (offset64 o = b.base_offset; o <= batch_last_offset(&b); o++) {
            if ((size_t)o >= t->committed.n || t->committed.items[o].crc != b.crc) {
                sim_violation(s, "C3",
                        "client %d reads at %lld of %s-%d what was not committed there", c->node,
                        (long long)o, SIM_TOPIC, m->part);
            }
        }
        x->read = batch_last_offset(&b) + 1;
        s->counts.read += (uint64_t)b.n_records;
    }
}

void sim_client_deliver(struct sim *s, struct sim_msg *m)
{
    struct sim_client *c = client_of(s, m->to);

    if (m->kind == SIM_PRODUCED) {
        on_produced(s, c, m);
    } else {
        must(m->kind == SIM_READ_DONE);
        on_read(s, c, m);
    }
}

static void tick(struct sim *s, int node, uint64_t arg)
{
    struct sim_client *c = client_of(s, node);

    for (int i = 0; i < s->n_parts; i++) {
        struct sim_client_part *x = &c->parts[i];

        if (!s->truth[i].is_there) {
            continue;
        }
        if (x->is_busy && is_careless(s, c) && s->now - x->sent > WTIME_MS(1500)) {
            begin_anew(s, x);
        }
        if (!x->is_busy && wtime_due(x->next_at, s->now)) {
            build(s, c, x);
            send_batch(s, c, i);
        } else if (x->is_busy && ((x->token == 0 && wtime_due(x->next_at, s->now)) ||
                                         s->now - x->sent > WTIME_MS(1500))) {
            send_batch(s, c, i);
        }
        if (x->read_token == 0 || s->now - x->read_sent > WTIME_MS(500)) {
            if (sim_one_in(s, 3)) {
                ask_for_more(s, c, i);
            }
        }
    }
    sim_at(s, WTIME_MS(40 + (int64_t)sim_below(s, 40)), node, 0, tick, arg);
}

void sim_client_reset(struct sim *s, int part, offset64 end)
{
    for (int i = 0; i < SIM_CLIENTS; i++) {
        struct sim_client_part *x = &s->clients[i].parts[part];

        begin_anew(s, x);
        x->read_token = 0;
        x->read = x->read < end ? x->read : end;
    }
}

void sim_client_start(struct sim *s, struct sim_client *c)
{
    for (int i = 0; i < SIM_PARTS_MAX; i++) {
        c->parts[i].producer_id = 1000 + c->node;
    }
    sim_at(s, WTIME_MS(500), c->node, 0, tick, 0);
}

void sim_client_deinit(struct sim_client *c)
{
    for (int i = 0; i < SIM_PARTS_MAX; i++) {
        buf_deinit(&c->parts[i].batch);
    }
}
