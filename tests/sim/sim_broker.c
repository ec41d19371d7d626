/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/log_trash.h"
#include "common/base/mem.h"
#include "tests/sim/sim.h"

#include <stdio.h>

/* A broker: its folder on a disk that forgets, its ephemeral node, the image that controllers push, and from that the roles of
 * its partitions. What it sends leaves at the end of an event, and only if the disk has not killed the process meanwhile. */

static const struct uuid cluster_id = {{7}};

static void tell_trace(void *ctx, const char *text)
{
    struct sim_broker *b = ctx;

    sim_tell(b->sim, sim_node_name(b->id), "%s", text);
}

static bool is_own(const struct sim_broker *b, int64_t epoch)
{
    for (unsigned i = 0; i < b->n_epochs; i++) {
        if (b->epochs[i] == epoch) {
            return true;
        }
    }
    return false;
}

/* What the image has of this process; NULL = nothing, or of an earlier one. */
static const struct image_broker *self(const struct sim_broker *b)
{
    const struct image_broker *me = image_broker(b->image, b->id);

    return me != NULL && is_own(b, me->epoch) ? me : NULL;
}

int64_t sim_broker_epoch(const struct sim_broker *b)
{
    const struct image_broker *me = self(b);

    if (me != NULL) {
        return me->epoch;
    }
    return b->n_epochs > 0 ? b->epochs[b->n_epochs - 1] : BROKER_EPOCH_NONE;
}

/* --- The disk -------------------------------------------------------------------------------------------------------- */

/* What a checkpoint says of it. */
static void note_saved(struct sim_part *p)
{
    if (p->log != NULL) {
        offset64 end = plog_end_after_cut(p->log); /* [REP-53] */
        offset64 hw = p->core.work == REPLICA_WORK_RESTART ? plog_start(p->log)
                                                           : p->core.high_watermark;

        p->saved = (struct checkpoint_entry){.topic_id = p->topic_id,
                .partition = p->idx,
                .recovery_point = plog_recovery_point(p->log),
                .high_watermark = hw < end ? hw : end,
                .log_start = plog_start(p->log)};
        p->has_saved = true;
    } /* else, of a failed one, it stays as it was */
}

bool sim_broker_save(struct sim_broker *b)
{
    struct checkpoint_entry *entries = mem_new_n(struct checkpoint_entry, SIM_PARTS_MAX);
    size_t n = 0;

    for (int i = 0; i < b->sim->n_parts; i++) {
        struct sim_part *p = &b->parts[i];

        if (p->is_live) {
            note_saved(p);
        }
        if (p->has_saved) {
            entries[n++] = p->saved;
        }
    }
    entries = log_trash_add_checkpoints(b->dir, entries, &n);
    int r = log_dir_write_checkpoints(b->dir, entries, n);
    if (r == 0) {
        (void)log_trash_remember(b->dir, entries, n); /* who sweeps does so again by itself */
    }
    (void)mem_free(entries);
    return r == 0;
}

/* The partition's folder, or else what the topic is now. */
static bool find_log(struct sim *s, struct sim_broker *b, struct sim_part *p)
{
    size_t n;
    const struct found_log *logs = log_dir_logs(b->dir, &n);

    p->topic_id = s->topic_id;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(logs[i].name, p->name) == 0) {
            p->topic_id = logs[i].topic_id;
            return true;
        }
    }
    return false;
}

static void open_dir(struct sim *s, struct sim_broker *b)
{
    char error[256];

    b->files = file_cache_new(mem_disk_io(b->disk), 8);
    must(log_dir_open(mem_disk_io(b->disk), "/data", b->id, &b->dir, error, sizeof(error)) == 0);
    must(log_dir_adopt(b->dir, &cluster_id) == 0);
    b->kind = log_dir_crash_kind(b->dir);
    must(log_dir_begin_run(b->dir, BROKER_EPOCH_NONE) == 0);
    for (int i = 0; i < s->n_parts; i++) {
        struct sim_part *p = &b->parts[i];
        bool is_found = find_log(s, b, p);

        p->has_saved = log_dir_checkpoint(b->dir, &p->topic_id, i, &p->saved);
        if (is_found) {
            sim_part_open(p);
        }
    }
}

/* --- Roles ----------------------------------------------------------------------------------------------------------- */

static void tell_part(struct sim_broker *b, const struct image_topic *t, int i, bool may_lead)
{
    struct sim_part *p = &b->parts[i];
    bool is_replica = t != NULL && i < t->n_partitions &&
                      broker_set_has(&t->partitions[i].replicas, b->id);

    if (p->is_live && (!is_replica || !uuid_equal(&p->topic_id, &t->id))) {
        sim_part_discard(p); /* [TRS-10] [TRS-14] */
    }
    if (!is_replica) {
        return;
    }
    if (!p->is_live) {
        p->topic_id = t->id;
        if (!sim_log_restore(p)) { /* no room, or the disk failed: it has no role yet */
            b->is_waiting = true;
            return;
        }
        p->has_saved = log_dir_checkpoint(b->dir, &p->topic_id, i, &p->saved);
        sim_part_open(p);
    }
    if (p->core.role == REPLICA_LEADER && log_dir_failed(b->dir)) {
        sim_part_fail(p); /* the one before has met the failure */
    }
    sim_part_become(p, &t->partitions[i], may_lead);
}

void sim_broker_tell_parts(struct sim_broker *b)
{
    const struct image_topic *t = image_topic_by_name(b->image, SIM_TOPIC);

    const struct image_broker *me = self(b);

    if (me == NULL) {
        return; /* [TRS-13] history of before this process */
    }
    b->is_waiting = false;
    for (int i = 0; i < b->sim->n_parts; i++) {
        tell_part(b, t, i, me->state != BROKER_FENCED);
    }
}

static void note_unfenced(struct sim_broker *b)
{
    const struct image_broker *me = self(b);

    if (me != NULL && me->state == BROKER_ACTIVE && me->epoch != b->settled) {
        b->settled = me->epoch;
        b->kind = CRASH_CLEAN;
        must(log_dir_settled(b->dir) == 0 || log_dir_failed(b->dir));
    }
}

static void on_push(struct sim *s, struct sim_broker *b, const struct sim_msg *m)
{
    if (m->push.ctl_epoch < b->ctl_epoch) {
        sim_tell(s, sim_node_name(b->id), "refuses controller epoch %llu",
                (unsigned long long)m->push.ctl_epoch);
    } else {
        b->ctl_epoch = m->push.ctl_epoch;
        b->ctl_node = m->from;
        b->conn = m->conn;
        b->ctl_heard = s->now;
        if (m->push.from <= b->applied && m->push.n > b->applied) {
            sim_zk_apply(s, b->image, &b->applied, m->push.n);
            sim_broker_tell_parts(b);
            note_unfenced(b);
        }
    }
    b->ack_sent = 0;
}

static void send_ack(struct sim *s, struct sim_broker *b)
{
    const struct image_broker *me = self(b);
    struct sim_msg *m;

    if (b->ctl_node < 0) {
        return;
    }
    m = sim_msg_new(SIM_ACK, b->id, b->ctl_node);
    m->conn = b->conn;
    m->ack.ctl_epoch = b->ctl_epoch;
    m->ack.applied = b->applied;
    m->ack.epoch = BROKER_EPOCH_NONE;
    m->ack.is_diskless = log_dir_failed(b->dir);
    if (me != NULL && b->is_registered && me->epoch == b->epochs[b->n_epochs - 1] &&
            !b->is_stopping) {
        m->ack.epoch = me->epoch;
    }
    for (int i = 0; i < s->n_parts; i++) {
        if (b->parts[i].is_live && b->parts[i].core.role == REPLICA_FAILED) {
            m->ack.failed[m->ack.n_failed++] = (uint8_t)i;
            m->topic_id = b->parts[i].topic_id; /* [TRS-10] all are of one topic */
        }
    }
    b->ack_sent = s->now;
    *array_push(&b->outbox) = m;
}

/* --- ZooKeeper ------------------------------------------------------------------------------------------------------- */

static void on_registered(struct sim *s, struct sim_broker *b, const struct sim_msg *m)
{
    if (m->zk.session != b->session || b->is_registered) {
        return;
    }
    b->is_registered = true;
    if (is_own(b, m->zk.epoch)) {
        return;
    }
    if (b->n_epochs == SIM_EPOCHS) {
        sim_violation(s, "simulator", "more incarnations of one process than are kept");
    }
    b->epochs[b->n_epochs++] = m->zk.epoch;
    must(log_dir_begin_run(b->dir, m->zk.epoch) == 0 || log_dir_failed(b->dir));
}

static void look_at_session(struct sim *s, struct sim_broker *b)
{
    struct sim_msg *m = sim_msg_new(SIM_ZK_PING, b->id, SIM_NODE_ZK);

    m->zk.session = b->session;
    *array_push(&b->outbox) = m;
    if (!b->is_registered && s->now - b->register_sent > WTIME_MS(250) && !b->is_stopping) {
        b->register_sent = s->now;
        m = sim_msg_new(SIM_ZK_REGISTER, b->id, SIM_NODE_ZK);
        m->zk.session = b->session;
        m->zk.crash_kind = b->kind;
        m->zk.prev_epoch =
                b->n_epochs > 0 ? b->epochs[b->n_epochs - 1] : log_dir_prev_epoch(b->dir);
        m->zk.dir = *log_dir_id(b->dir);
        *array_push(&b->outbox) = m;
    }
}

/* --- An orderly stop ------------------------------------------------------------------------------------------------- */

static void ask_to_stop(struct sim *s, struct sim_broker *b)
{
    struct sim_msg *m;

    if (!b->is_stopping || b->ctl_node < 0 || s->now - b->shutdown_sent < WTIME_MS(200)) {
        return;
    }
    b->shutdown_sent = s->now;
    m = sim_msg_new(SIM_SHUTDOWN, b->id, b->ctl_node);
    m->propose.broker_epoch = sim_broker_epoch(b);
    *array_push(&b->outbox) = m;
}

static void stop_process(struct sim *s, struct sim_broker *b);

/* Everything on the disk, then the marker, then the session. */
static void stop_orderly(struct sim *s, struct sim_broker *b)
{
    bool is_whole = !log_dir_failed(b->dir);

    for (int i = 0; i < s->n_parts; i++) {
        struct sim_part *p = &b->parts[i];
        struct plog_flush *f = p->log != NULL ? plog_flush_begin(p->log) : NULL;

        if (f != NULL) {
            is_whole = plog_flush_run(f) == 0 && is_whole;
            plog_flush_end(p->log, f);
        }
        is_whole = is_whole && !(p->is_live && p->log == NULL); /* it was given up unsynced */
    }
    is_whole = is_whole && sim_broker_save(b);
    for (int i = 0; i < s->n_parts; i++) {
        sim_part_close(&b->parts[i]);
    }
    is_whole = is_whole && log_dir_mark_clean(b->dir, sim_broker_epoch(b), b->applied) == 0;
    sim_tell(s, sim_node_name(b->id), "stops%s", is_whole ? "" : ", not clean");
    s->counts.shutdowns++;
    stop_process(s, b);
    mem_disk_end_process(b->disk);
    sim_zk_expire(s, b->id);
}

static void on_shutdown_done(struct sim *s, struct sim_broker *b, const struct sim_msg *m)
{
    if (b->is_stopping && m->error == ERRCODE_NONE && m->propose.remaining == 0) {
        stop_orderly(s, b);
    }
}

/* --- The process ----------------------------------------------------------------------------------------------------- */

void sim_broker_event_begin(struct sim_broker *b)
{
    must(!b->is_in_event);
    b->is_in_event = true;
}

static void drop_outbox(struct sim_broker *b)
{
    ARRAY_FOREACH (m, &b->outbox) {
        sim_msg_free(*m);
    }
    array_clear(&b->outbox);
}

void sim_broker_event_end(struct sim_broker *b)
{
    b->is_in_event = false;
    if (b->is_up &&
            mem_disk_is_dead(
                    b->disk)) { /* It died within an operation of its disk, and sent nothing. */
        drop_outbox(b);
        b->sim->counts.torn++;
        sim_broker_crash(b->sim, b, sim_one_in(b->sim, 2) && sim_fault_may_cut_power(b->sim, b));
        return;
    }
    for (size_t i = 0; i < b->outbox.n; i++) {
        sim_send(b->sim, b->outbox.items[i]);
    }
    array_clear(&b->outbox);
}

/* NULL: there is no such partition here. */
static struct sim_part *part_of(struct sim_broker *b, const struct sim_msg *m)
{
    struct sim_part *p = &b->parts[m->part];

    return p->is_live && uuid_equal(&p->topic_id, &m->topic_id) ? p : NULL;
}

/* About a partition. */
static void deliver_to_part(struct sim *s, struct sim_broker *b, struct sim_msg *m)
{
    struct sim_part *p = part_of(b, m);

    if (p == NULL) {
        if (m->kind != SIM_PROPOSED && m->kind != SIM_FETCHED) {
            sim_part_refuse(b, m);
        }
        return;
    }
    switch ((int)m->kind) {
    case SIM_PROPOSED: sim_part_proposed(p, m); break;
    case SIM_FETCH: sim_follow_serve(p, m); break;
    case SIM_FETCHED: sim_follow_take(p, m); break;
    case SIM_PRODUCE: sim_part_produce(p, m); break;
    case SIM_READ: sim_follow_read(p, m); break;
    case SIM_ASK_ENDS: sim_part_tell_end(p, m); break;
    default: must_not_reach("a broker was sent what it does not know");
    }
}

void sim_broker_deliver(struct sim *s, struct sim_msg *m)
{
    struct sim_broker *b = &s->brokers[m->to];

    for (int i = 0; i < s->n_parts; i++) {
        if (b->parts[i].is_live && b->parts[i].core.role == REPLICA_LEADER &&
                log_dir_failed(b->dir)) {
            sim_part_fail(&b->parts[i]); /* another partition met the failure */
        }
    }
    switch ((int)m->kind) {
    case SIM_ZK_PONG: b->zk_heard = s->now; break;
    case SIM_ZK_EXPIRED:
        if (m->zk.session == b->session) { /* The process lives: another incarnation of it. */
            sim_tell(s, sim_node_name(b->id), "lost its session");
            b->session = ++s->next_id;
            b->is_registered = false;
        }
        break;
    case SIM_ZK_REGISTERED: on_registered(s, b, m); break;
    case SIM_PUSH: on_push(s, b, m); break;
    case SIM_SHUTDOWN_DONE: on_shutdown_done(s, b, m); break;
    default: deliver_to_part(s, b, m); break;
    }
    if (b->is_up && b->ack_sent == 0) {
        send_ack(s, b);
    }
}

static void tick(struct sim *s, int node, uint64_t arg)
{
    struct sim_broker *b = &s->brokers[node];

    sim_broker_event_begin(b);
    look_at_session(s, b);
    ask_to_stop(s, b);
    if (s->now - b->ack_sent > WTIME_MS(200)) {
        send_ack(s, b);
    }
    if (b->is_waiting) {
        sim_broker_tell_parts(b);
    }
    for (int i = 0; i < s->n_parts; i++) {
        sim_part_tick(&b->parts[i]);
    }
    if (sim_one_in(s, 24) && sim_broker_save(b)) { /* else later, or latched */
        for (int i = 0; i < s->n_parts; i++) {
            sim_log_remove(&b->parts[i]);
        }
    }
    sim_at(s, WTIME_MS(20 + (int64_t)sim_below(s, 30)), node, b->life, tick, arg);
    sim_broker_event_end(b);
}

void sim_broker_start(struct sim *s, struct sim_broker *b)
{
    broker_id id = b->id;
    struct mem_disk *disk = b->disk;

    *b = (struct sim_broker){.sim = s,
            .id = id,
            .is_up = true,
            .life = ++s->next_life,
            .disk = disk,
            .session = ++s->next_id,
            .settled = BROKER_EPOCH_NONE,
            .image = image_new(),
            .ctl_node = -1,
            .ack_sent = s->now,
            .zk_heard = s->now,
            .trace = {.line = tell_trace, .ctx = b}};
    for (int i = 0; i < s->n_parts; i++) {
        struct sim_part *p = &b->parts[i];

        p->b = b;
        p->idx = i;
        (void)snprintf(p->name, sizeof(p->name), "%s-%d", SIM_TOPIC, i);
    }
    open_dir(s, b);
    sim_tell(s, sim_node_name(id), "starts, its end was of kind %d", (int)b->kind);
    sim_at(s, 1 + (wtime)sim_below(s, 1000), id, b->life, tick, 0);
}

static void stop_process(struct sim *s, struct sim_broker *b)
{
    b->is_up = false;
    for (int i = 0; i < s->n_parts; i++) {
        sim_part_close(&b->parts[i]);
    }
    drop_outbox(b);
    array_deinit(&b->outbox);
    b->image = image_free(b->image);
    b->files = file_cache_free(b->files);
    b->dir = log_dir_close(b->dir);
    for (int i = 0; i < SIM_CTLS_MAX; i++) {
        s->ctls[i].links[b->id].is_broken = true;
    }
    sim_at(s, WTIME_MS(200), -1, 0, sim_ctl_refused, (uint64_t)b->id);
}

void sim_broker_crash(struct sim *s, struct sim_broker *b, bool is_host)
{
    bool is_disk_bad = log_dir_failed(b->dir) && !mem_disk_is_dead(b->disk);

    sim_tell(s, sim_node_name(b->id), "%s", is_host ? "loses power" : "is killed");
    s->counts.crashes++;
    s->counts.host_crashes += is_host;
    stop_process(s, b);
    mem_disk_die_at(b->disk, 0);
    mem_disk_fail_at(b->disk, 0, 0);
    if (is_disk_bad && sim_fault_may_lose(s, b)) { /* another disk is put in its place */
        sim_tell(s, sim_node_name(b->id), "gets an empty disk");
        mem_disk_end_process(b->disk);
        b->disk = mem_disk_free(b->disk);
        b->disk = mem_disk_new(prng_u64(&s->rng));
        s->had_other_disk[b->id] = true;
    } else if (is_host) {
        mem_disk_cut_power(b->disk);
    } else {
        mem_disk_end_process(b->disk);
    }
}
