/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/mem.h"
#include "common/base/must.h"
#include "common/domain/batch_run.h"
#include "tests/sim/sim.h"

#include <errno.h>

/* Fetches: what a follower asks and does with the answer, what a leader answers followers and readers. */

enum {
    FETCH_MAX = 600, /* bytes: a few batches */
};

/* --- The leader's end ------------------------------------------------------------------------------------------------ */

static void answer(struct sim_part *p, struct sim_msg *a)
{
    *array_push(&p->b->outbox) = a;
}

/* False: the log gave nothing, and it has failed. */
static bool read_log(struct sim_part *p, offset64 from, offset64 limit, struct buf *out)
{
    const struct file_io *io = mem_disk_io(p->b->disk);
    struct plog_slice slice = {0};
    int r = plog_read(p->log, from, limit, FETCH_MAX, true, &slice);

    if (r == 0 && slice.file != NULL) {
        uint8_t *into = buf_grow(out, slice.size);
        r = (int)io->pread(io->ctx, slice.fd, into, slice.size, slice.at) == (int)slice.size ? 0
                                                                                             : -EIO;
        cached_file_release(slice.file);
    }
    if (r == PLOG_E_DAMAGED || r < 0) {
        sim_part_fail(p);
    }
    return r == 0;
}

static bool look_up_epoch(struct sim_part *p, struct replica_event *ev)
{
    int r = 0;

    if (ev->fetch.last_epoch >= 0 && p->core.role == REPLICA_LEADER) {
        r = plog_epoch_end(
                p->log, ev->fetch.last_epoch, &ev->fetch.known_epoch, &ev->fetch.known_end);
    }
    if (r == PLOG_E_DAMAGED || r < 0) {
        sim_part_fail(p);
    }
    return r == 0;
}

static void park(struct sim_part *p, const struct sim_msg *m, const struct replica_fx_item *read)
{
    struct replica_event ev = {.kind = REPLICA_EV_WAIT,
            .ask = {.request = ++p->b->sim->next_id},
            .wait = {.leader_epoch = read->leader_epoch, .seen = read->limit, .is_replica = true}};
    struct sim_msg *kept = mem_dup(m, sizeof(*m));

    kept->data = (struct buf){0};
    *array_push(&p->parked) = (struct sim_parked){
            .request = ev.ask.request, .until = p->b->sim->now + WTIME_MS(300), .msg = kept};
    sim_part_step(p, &ev, NULL);
}

void sim_follow_look(struct sim_part *p, struct sim_msg *m)
{
    m->fetch.is_look = true;
    sim_follow_serve(p, m);
    sim_msg_free(m);
}

static void give(struct sim_part *p, const struct sim_msg *m, const struct replica_fx_item *own)
{
    struct sim_msg *a = sim_msg_answer(m, SIM_FETCHED);
    offset64 limit = own->limit;

    a->fetch = m->fetch;
    a->fetch.diverging_epoch = EPOCH_NONE;
    a->fetch.hw = own->high_watermark;
    a->fetch.log_start = plog_start(p->log);
    if (own->kind == REPLICA_FX_DIVERGES) {
        a->fetch.diverging_epoch = own->leader_epoch;
        a->fetch.diverging_end = own->base;
    } else if (m->fetch.offset < limit && !read_log(p, m->fetch.offset, limit, &a->data)) {
        a->error = ERRCODE_KAFKA_STORAGE_ERROR;
    }
    answer(p, a);
}

void sim_follow_serve(struct sim_part *p, struct sim_msg *m)
{
    struct replica_fx_item own = {.kind = REPLICA_FX_BECAME};
    struct replica_event ev = {.kind = REPLICA_EV_FETCH,
            .fetch = {.replica = m->from,
                    .broker_epoch = m->fetch.broker_epoch,
                    .leader_epoch = m->fetch.leader_epoch,
                    .offset = m->fetch.offset,
                    .last_epoch = m->fetch.last_epoch,
                    .known_epoch = EPOCH_NONE,
                    .known_end = OFFSET_NONE,
                    .flushed = m->fetch.flushed,
                    .session = m->token,
                    .is_look = m->fetch.is_look}};

    if (p->log == NULL) {
        sim_part_answer_error(p, m, ERRCODE_NOT_LEADER_OR_FOLLOWER);
        return;
    }
    ev.fetch.log_start = plog_start(p->log);
    if (!look_up_epoch(p, &ev)) {
        sim_part_answer_error(p, m, ERRCODE_KAFKA_STORAGE_ERROR);
        return;
    }
    sim_part_step(p, &ev, &own);
    if (own.kind == REPLICA_FX_REPLY) {
        sim_part_answer_error(p, m, own.error);
    } else if (own.kind == REPLICA_FX_READ && !m->fetch.is_look && m->fetch.offset == own.limit) {
        park(p, m, &own);
    } else {
        give(p, m, &own);
    }
}

/* Where does it end? */
static void tell_latest(struct sim_part *p, struct sim_msg *m)
{
    struct replica_fx_item own = {.kind = REPLICA_FX_BECAME};
    struct replica_event ev = {.kind = REPLICA_EV_LIST,
            .list = {.leader_epoch = EPOCH_NONE, .latest = true}};

    sim_part_step(p, &ev, &own);
    if (own.kind == REPLICA_FX_REPLY) {
        sim_part_answer_error(p, m, own.error);
        return;
    }
    struct sim_msg *a = sim_msg_answer(m, SIM_READ_DONE);
    a->fetch = m->fetch;
    a->fetch.leader_epoch = own.leader_epoch;
    a->fetch.hw = own.limit;
    answer(p, a);
}

/* A reader's. */
void sim_follow_read(struct sim_part *p, struct sim_msg *m)
{
    struct replica_fx_item own = {.kind = REPLICA_FX_BECAME};
    struct replica_event ev = {.kind = REPLICA_EV_FETCH,
            .fetch = {.replica = BROKER_NONE,
                    .leader_epoch = EPOCH_NONE,
                    .offset = m->fetch.offset,
                    .last_epoch = EPOCH_NONE,
                    .known_epoch = EPOCH_NONE,
                    .known_end = OFFSET_NONE}};

    if (p->log == NULL) {
        sim_part_answer_error(p, m, ERRCODE_NOT_LEADER_OR_FOLLOWER);
        return;
    }
    if (m->fetch.is_latest) {
        tell_latest(p, m);
        return;
    }
    sim_part_step(p, &ev, &own);
    if (own.kind == REPLICA_FX_REPLY) {
        sim_part_answer_error(p, m, own.error);
        return;
    }
    if (m->fetch.offset < plog_start(p->log)) { /* the reader begins again there */
        sim_part_answer_error(p, m, ERRCODE_OFFSET_OUT_OF_RANGE);
        return;
    }
    struct sim_msg *a = sim_msg_answer(m, SIM_READ_DONE);
    a->fetch = m->fetch;
    a->fetch.leader_epoch = p->core.record.leader_epoch;
    if (m->fetch.offset < own.limit && !read_log(p, m->fetch.offset, own.limit, &a->data)) {
        a->error = ERRCODE_KAFKA_STORAGE_ERROR;
    }
    answer(p, a);
}

/* --- The follower's end ---------------------------------------------------------------------------------------------- */

static bool is_following(const struct sim_part *p)
{
    return p->is_live && p->core.role == REPLICA_FOLLOWER && p->core.record.leader != BROKER_NONE &&
           p->log != NULL && p->core.work == REPLICA_WORK_NONE;
}

void sim_follow_ask(struct sim_part *p)
{
    struct sim *s = p->b->sim;
    struct sim_msg *m;

    if (!p->is_live || !is_following(p) || s->now < p->fetch_after ||
            (p->fetch_token != 0 && s->now - p->fetch_sent < WTIME_MS(600))) {
        return;
    }
    m = sim_msg_new(SIM_FETCH, p->b->id, p->core.record.leader);
    m->part = p->idx;
    m->topic_id = p->topic_id;
    m->token = p->fetch_token = ++s->next_id;
    p->fetch_sent = s->now;
    m->fetch.broker_epoch = sim_broker_epoch(p->b);
    m->fetch.leader_epoch = p->core.record.leader_epoch;
    m->fetch.last_epoch = plog_last_epoch(p->log);
    m->fetch.offset = plog_end(p->log);
    m->fetch.flushed = p->core.flushed;
    answer(p, m);
}

static void copy(struct sim_part *p, struct sim_msg *m, size_t size)
{
    struct replica_event ev = {.kind = REPLICA_EV_COPIED};
    struct batch b;
    int r = 0;

    for (size_t at = 0; r == 0 && at < size; at += b.size) {
        must(batch_parse(m->data.data + at, size - at, &b) == 0);
        offset64 base = b.base_offset;

        if (base < plog_end(p->log)) { /* [LOG-77] */
            r = plog_append_first(p->log, m->data.data + at, &b, b.leader_epoch);
        } else {
            r = plog_append(p->log, m->data.data + at, &b, b.leader_epoch, &base);
        }
        if (r == 0) {
            if (base != b.base_offset) {
                sim_violation(p->b->sim, "S9", "%s of b%d copies %lld to %lld", p->name, p->b->id,
                        (long long)b.base_offset, (long long)base);
            }
            sim_log_note(p, &b, base);
        }
    }
    if (r < 0 || r == PLOG_E_OUT_OF_RANGE) {
        sim_part_fail(p);
        return;
    }
    p->b->sim->counts.copies++;
    ev.copied.log_end = plog_end(p->log);
    ev.copied.error = r > 0 ? ERRCODE_KAFKA_STORAGE_ERROR : ERRCODE_NONE;
    sim_part_step(p, &ev, NULL);
}

static void take(struct sim_part *p, struct sim_msg *m, struct replica_event *ev)
{
    struct replica_fx_item own = {.kind = REPLICA_FX_BECAME};
    struct batch_run run = batch_run_of((struct bytes){m->data.data, m->data.size},
            plog_end(p->log), plog_last_epoch(p->log) == EPOCH_NONE);

    ev->fetched.n_bytes = run.size;
    ev->fetched.first_base = run.first_base;
    ev->fetched.next = run.next;
    ev->fetched.first_epoch = run.first_epoch;
    ev->fetched.last_epoch = run.last_epoch;
    ev->fetched.is_sound = run.is_sound;
    sim_part_step(p, ev, &own);
    if (own.kind == REPLICA_FX_COPY) {
        copy(p, m, run.size);
    }
}

void sim_follow_take(struct sim_part *p, struct sim_msg *m)
{
    if (!is_following(p)) {
        return;
    }
    struct replica_event ev = {.kind = REPLICA_EV_FETCHED,
            .fetched = {.leader_epoch = m->fetch.leader_epoch,
                    .asked = m->fetch.offset,
                    .asked_epoch = m->fetch.last_epoch,
                    .error = m->error,
                    .leader_start = m->fetch.log_start,
                    .leader_hw = m->fetch.hw,
                    .diverging_epoch = m->fetch.diverging_epoch,
                    .diverging_end = m->fetch.diverging_end,
                    .local_epoch = EPOCH_NONE,
                    .local_end = OFFSET_NONE,
                    .hw_epoch = plog_epoch_at(p->log, p->core.high_watermark - 1),
                    .may_skip = true,
                    .log_last_epoch = plog_last_epoch(p->log)}};

    if (m->token == p->fetch_token) {
        p->fetch_token = 0;
    }
    if (m->fetch.diverging_epoch != EPOCH_NONE) {
        int r = plog_epoch_end(
                p->log, m->fetch.diverging_epoch, &ev.fetched.local_epoch, &ev.fetched.local_end);
        if (r != 0) {
            p->fetch_after = p->b->sim->now + WTIME_MS(100);
            if (r < 0 || r == PLOG_E_DAMAGED) {
                sim_part_fail(p);
            }
            return;
        }
    }
    take(p, m, &ev);
    sim_follow_ask(p);
}
