/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/partition_impl.h"

#include "broker/shell/errcode_map.h"
#include "broker/shell/pulses.h"
#include "common/base/mem.h"
#include "common/base/must.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"

#include <errno.h>

static void note_became(struct partition *p, const struct replica_fx_item *it)
{
    atomic_int *leaders = &p->env->n_leaders;
    int n = atomic_load(leaders);

    if (it->role == REPLICA_LEADER && it->was != REPLICA_LEADER) {
        n = atomic_fetch_add(leaders, 1) + 1;
    } else if (it->was == REPLICA_LEADER && it->role != REPLICA_LEADER) {
        n = atomic_fetch_sub(leaders, 1) - 1;
    }
    metric_set(METRIC_BROKER_LEADERS, n);
    if (it->role == REPLICA_FAILED) {
        atomic_store(&p->is_failed, true);
        log_error("partition", "replica_failed", KV_STR("partition", p->name),
                KV_STR("dir", log_dir_path(p->dir)),
                KV_STR("reason", log_dir_failed(p->dir)
                                ? log_dir_failure(p->dir)
                                : "its log is lost or damaged; an earlier line says how"));
    } else {
        log_debug("partition", "role_changed", KV_STR("partition", p->name),
                KV_STR("role", replica_role_text(it->role)),
                KV_I64("leader_epoch", it->leader_epoch));
    }
}

/* Whom it follows has changed, or under which leader epoch. */
static void note_leader(struct hold *h, const struct replica_fx_item *it)
{
    struct partition *p = h->p;

    h->has_moved = h->has_moved || it->leader != BROKER_NONE || p->following != BROKER_NONE;
    p->following = it->leader;
    if (it->role == REPLICA_LEADER && p->log != NULL) {
        plog_begin_epoch(p->log, it->leader_epoch);
    }
}

/* The log stays for the work, also when its topic is removed. */
static void begin_work(struct hold *h, enum partition_work work, const struct replica_fx_item *it)
{
    h->p->n_users++;
    h->work = work;
    h->work_at = it->base;
    h->work_keep = it->keep;
}

void partition_step(struct hold *h,
        const struct replica_event *ev,
        const struct replica_ask *own,
        struct replica_fx_item *ret_own)
{
    struct partition *p = h->p;
    struct replica_event stamped = *ev;

    stamped.now = clock_now();
    replica_step(&p->core, &stamped, &p->fx);
    FX_FOREACH (it, &p->fx) {
        switch (it->kind) {
        case REPLICA_FX_APPEND:
        case REPLICA_FX_READ:
        case REPLICA_FX_DIVERGES:
        case REPLICA_FX_OFFSETS:
            must(ret_own != NULL);
            *ret_own = *it;
            break;
        case REPLICA_FX_REPLY:
            if (own != NULL && it->ask.loop == own->loop && it->ask.request == own->request &&
                    it->ask.part == own->part) {
                *ret_own = *it;
            } else {
                *array_push(&h->wakes) = (struct partition_wake){.ask = it->ask,
                        .is_reply = true,
                        .error = it->error,
                        .detail = it->detail,
                        .base = it->base,
                        .is_on_disk = it->is_on_disk};
            }
            break;
        case REPLICA_FX_FLUSH: partition_want_flush_locked(h); break;
        case REPLICA_FX_WAKE:
            *array_push(&h->wakes) = (struct partition_wake){.ask = it->ask, .detail = ""};
            break;
        case REPLICA_FX_SAVE_HW: atomic_store(&p->env->is_checkpoint_stale, true); break;
        case REPLICA_FX_BECAME:
            note_became(p, it);
            note_leader(h, it);
            break;
        case REPLICA_FX_PROPOSE:
            *array_push(&h->proposals) = it->proposal;
            break;
        case REPLICA_FX_REPORT: h->report = it->detail; break;
        case REPLICA_FX_TRUNCATE: begin_work(h, PARTITION_WORK_CUT, it); break;
        case REPLICA_FX_RESTART: begin_work(h, PARTITION_WORK_RESTART, it); break;
        case REPLICA_FX_START: partition_start_locked(p, it->base); break;
        case REPLICA_FX_PROGRESS: h->has_moved = true; break;
        case REPLICA_FX_COPY:
        case REPLICA_FX_FETCH_LATER: break; /* partition_follow() looks for these */
        }
    }
}

void partition_fail_locked(struct hold *h)
{
    if (atomic_load(&h->p->is_restarting) && !log_dir_failed(h->p->dir)) {
        return; /* it is the old log, which goes */
    }
    partition_step(h,
            &(struct replica_event){.kind = REPLICA_EV_LOG_FAILED,
                    .failed = {.is_disk = log_dir_failed(h->p->dir)}},
            NULL, NULL);
}

void partition_carry_out(struct hold *h, const struct partition_order *o)
{
    struct partition *p = h->p;
    int64_t scanned = 0;

    if (atomic_load(&p->is_removed)) {
        return;
    }
    switch (o->kind) {
    case PARTITION_BECOME:
        p->settings = o->settings;
        atomic_store(&p->flush_ms, o->settings.flush_ms);
        atomic_store(&p->is_compacted, o->settings.append.is_compacted);
        if (p->is_opening) {
            p->held = *o;
            p->has_held = true;
            return;
        }
        if (p->log == NULL && p->core.role != REPLICA_FAILED && !atomic_load(&p->is_restarting)) {
            partition_install_log(p, partition_open_log(p, &p->settings.log, &scanned));
            if (p->log == NULL) {
                partition_fail_locked(h);
            }
        }
        if (p->log != NULL) {
            plog_set_config(p->log, &o->settings.log); /* [CFG-13] */
        }
        partition_step(h,
                &(struct replica_event){.kind = REPLICA_EV_BECOME,
                        .become = {.record = &o->record,
                                .may_lead = o->may_lead,
                                .fsync_acks = o->settings.is_fsync,
                                .peers = o->peers,
                                .n_peers = o->n_peers,
                                .lag_max = p->env->lag_max,
                                .lease = p->env->lease}},
                NULL, NULL);
        break;
    case PARTITION_STOP:
        p->has_held = false;
        partition_step(h, &(struct replica_event){.kind = REPLICA_EV_STOP}, NULL, NULL);
        break;
    case PARTITION_DELETE:
        partition_step(h, &(struct replica_event){.kind = REPLICA_EV_STOP}, NULL, NULL);
        atomic_store(&p->is_removed, true); /* The log itself goes with partition_trash(), on the pool. */
        atomic_store(&p->is_unsynced, false);
        break;
    }
}

/* Another partition of the same folder met the failure. */
static void fail_with_folder(struct hold *h)
{
    if (h->p->core.role == REPLICA_LEADER && log_dir_failed(h->p->dir)) {
        partition_fail_locked(h);
    }
}

/* Whoever takes the lock drains the inbox first, so that no request is judged by an older record than the control loop
 * has posted. */
static void drain_inbox(struct hold *h)
{
    struct partition *p = h->p;

    fail_with_folder(h); /* before a smaller ISR in the inbox acknowledges what is on the failed disk alone */
    for (;;) {
        struct partition_order o;
        struct partition_answer a;
        bool has_order, has_answer;

        (void)pthread_mutex_lock(&p->inbox_lock);
        has_order = p->has_order;
        o = p->order;
        has_answer = p->has_answer;
        a = p->answer;
        p->has_order = p->has_answer = false;
        (void)pthread_mutex_unlock(&p->inbox_lock);
        if (!has_order && !has_answer) {
            break;
        }
        if (has_answer) {
            partition_take_answer(h, &a);
        }
        if (has_order) {
            partition_carry_out(h, &o);
        }
    }
    fail_with_folder(h);
}

void hold_begin(struct hold *h, struct partition *p)
{
    *h = (struct hold){.p = p, .was_following = BROKER_NONE};
    (void)pthread_mutex_lock(&p->lock);
    h->was_following = p->following;
    drain_inbox(h);
}

/* What the steps under the hold want of others. */
static void send_out(struct hold *h, broker_id following)
{
    struct partition *p = h->p;
    struct partition_env *env = p->env;

    if (h->wakes.n > 0) {
        env->wake(env->ctx, h->wakes.items, h->wakes.n);
    }
    if (h->wants_flush && !atomic_exchange(&p->is_flush_asked, true)) {
        env->wants_flush(env->ctx, p);
    }
    ARRAY_FOREACH (x, &h->proposals) {
        env->propose(env->ctx, p, x);
    }
    array_deinit(&h->proposals);
    if (h->report != NULL) {
        env->report(env->ctx, p, h->report);
    }
    if (h->has_moved) {
        env->follows(env->ctx, p, h->was_following, following);
    }
    if (h->work == PARTITION_WORK_CUT) {
        partition_cut_begin(p, h->work_at);
    } else if (h->work == PARTITION_WORK_RESTART) {
        partition_restart_begin(p, h->work_at, h->work_keep);
    }
    array_deinit(&h->wakes);
}

void hold_end(struct hold *h)
{
    struct partition *p = h->p;

    drain_inbox(h);
    partition_note_core(p);
    broker_id following = p->following;
    (void)pthread_mutex_unlock(&p->lock);
    send_out(h, following);
    if (h->is_leaving) {
        partition_leave(p, h->removed);
    }
}

static void on_drain_task(struct loop_task *t)
{
    struct partition *p = container_of(t, struct partition, drain_task);

    (void)pthread_mutex_lock(&p->inbox_lock);
    p->is_posted = false;
    (void)pthread_mutex_unlock(&p->inbox_lock);
    struct hold h;
    hold_begin(&h, p);
    partition_tick_locked(&h);
    hold_end(&h);
    partition_unref(p);
}

struct partition *partition_new(struct partition_env *env,
        const struct partition_key *key,
        const char *topic,
        struct log_dir *dir,
        bool is_lost)
{
    struct partition *p = mem_new(struct partition);

    p->key = *key;
    p->topic = mem_strdup(topic);
    p->name = mem_format("%s-%d", topic, key->number);
    p->env = env;
    p->dir = dir;
    atomic_init(&p->refs, 1);
    (void)pthread_mutex_init(&p->inbox_lock, NULL);
    (void)pthread_mutex_init(&p->lock, NULL);
    p->drain_task.run = on_drain_task;
    p->settings = topic_settings_default();
    p->append_rules = p->settings.append;
    p->producers.snapshot = OFFSET_NONE;
    p->following = BROKER_NONE;
    atomic_init(&p->deadline, WTIME_NEVER);
    atomic_init(&p->flush_ms, p->settings.flush_ms);
    replica_init(&p->core, env->self, p->name, 0, 0, 0, env->trace);
    if (is_lost) {
        struct hold h;

        log_error("partition", "log_lost", KV_STR("partition", p->name),
                KV_STR("dir", log_dir_path(dir)),
                KV_STR("reason", "the checkpoint names data, but the folder is gone"));
        hold_begin(&h, p);
        partition_fail_locked(&h);
        hold_end(&h);
    }
    return p;
}

struct partition *partition_ref(struct partition *p)
{
    (void)atomic_fetch_add(&p->refs, 1);
    return p;
}

void partition_unref(struct partition *p)
{
    if (p == NULL || atomic_fetch_sub(&p->refs, 1) != 1) {
        return;
    }
    partition_producers_close(p);
    (void)plog_close(p->log);
    replica_deinit(&p->core);
    replica_fx_deinit(&p->fx);
    (void)pthread_mutex_destroy(&p->lock);
    (void)pthread_mutex_destroy(&p->inbox_lock);
    (void)mem_free(p->topic);
    (void)mem_free(p->name);
    (void)mem_free(p);
}

struct plog *partition_open_log(
        struct partition *p, const struct plog_config *config, int64_t *ret_scanned)
{
    struct checkpoint_entry ckpt = {0};
    struct plog_open_stats stats = {0};
    struct plog *log = NULL;
    int r = plog_open(p->dir, p->env->files, p->topic, &p->key.topic_id, p->key.number,
            config, &log, &stats);

    if (r == 0) {
        (void)log_dir_checkpoint(p->dir, &p->key.topic_id, p->key.number, &ckpt); /* else zeros */
        r = partition_producers_open(p, log, ckpt.no_producers);
    }
    if (r != 0) {
        (void)plog_close(log);
        if (r == -ECANCELED && log_dir_is_interrupted(p->dir)) { /* [LOG-16] */
            return NULL;
        }
        log_error("partition", "log_open_failed", KV_STR("partition", p->name),
                KV_STR("dir", log_dir_path(p->dir)), KV_STR("reason", errcode_of_plog(r).detail),
                KV_STR("error", r < 0 ? log_err_text(r) : ""));
        return NULL;
    }
    if (stats.cut_bytes > 0) {
        log_warn("partition", "tail_cut", KV_STR("partition", p->name),
                KV_I64("bytes", stats.cut_bytes), KV_I64("log_end", plog_end(log)));
    }
    *ret_scanned = stats.scanned_bytes;
    return log;
}

/* Under the lock (or before anybody else knows the partition). */
void partition_install_log(struct partition *p, struct plog *log)
{
    struct checkpoint_entry ckpt = {0};

    must(p->log == NULL && p->core.role == REPLICA_NONE);
    if (log == NULL) {
        return;
    }
    p->log = log;
    atomic_store(&p->is_unsealed, plog_lacks_seals(p->log));
    (void)log_dir_checkpoint(p->dir, &p->key.topic_id, p->key.number, &ckpt); /* else zeros */
    replica_deinit(&p->core);
    replica_init(&p->core, p->env->self, p->name, plog_end(p->log), plog_synced_end(p->log),
            checkpoint_committed(&ckpt), p->env->trace);
}

int64_t partition_open(struct partition *p)
{
    struct hold h;
    int64_t scanned = 0;

    hold_begin(&h, p);
    if (p->log == NULL && p->core.role == REPLICA_NONE && !atomic_load(&p->is_removed)) {
        partition_install_log(p, partition_open_log(p, &p->settings.log, &scanned));
        if (p->log == NULL && !log_dir_is_interrupted(p->dir)) {
            partition_fail_locked(&h);
        }
    }
    hold_end(&h);
    return scanned;
}

void partition_order(
        struct partition *p, const struct partition_order *order, struct loop_tasks *tasks)
{
    bool must_post;

    (void)pthread_mutex_lock(&p->inbox_lock);
    if (!p->has_order || p->order.kind != PARTITION_DELETE) { /* Nothing follows a removal. */
        p->order = *order;
        p->has_order = true;
        if (order->kind == PARTITION_BECOME) {
            p->append_rules = order->settings.append;
        }
    }
    must_post = !p->is_posted;
    p->is_posted = true;
    (void)pthread_mutex_unlock(&p->inbox_lock);
    if (must_post) {
        (void)partition_ref(p); /* the task's */
        STAILQ_INSERT_TAIL(tasks, &p->drain_task, entry);
    }
}

void partition_drain(struct partition *p)
{
    struct hold h;

    hold_begin(&h, p);
    hold_end(&h);
}

static void step_produce(struct hold *h,
        const struct replica_ask *ask,
        int32_t acks,
        struct replica_fx_item *ret_own)
{
    const struct partition_env *env = h->p->env;
    struct replica_event ev = {.kind = REPLICA_EV_PRODUCE, .ask = *ask, .produce.acks = acks};
    struct replica_session *sessions = NULL;

    *ret_own = (struct replica_fx_item){.kind = REPLICA_FX_BECAME};
    ev.produce.has_lease = clock_now() < atomic_load(&env->lease_until);
    if (!ev.produce.has_lease && acks != -1) {
        ev.produce.sessions = sessions = pulses_copy(env->pulses, &ev.produce.n_sessions);
    }
    partition_step(h, &ev, ask, ret_own);
    (void)mem_free(sessions);
}

static void produce_locked(struct hold *h,
        const struct replica_ask *ask,
        int32_t acks,
        uint8_t *bytes,
        const struct batch *b,
        struct partition_produced *ret)
{
    struct partition *p = h->p;
    struct replica_fx_item own;
    struct batch stamped = *b;
    epoch32 epoch;
    int r;

    step_produce(h, ask, acks, &own);
    if (own.kind == REPLICA_FX_REPLY) {
        ret->error = own.error;
        ret->detail = own.detail;
        return;
    }
    must(own.kind == REPLICA_FX_APPEND);
    epoch = own.leader_epoch;
    ret->log_start = plog_start(p->log);
    if (!partition_producers_admit(h, ask, acks, b, ret)) {
        return;
    }
    if ((int64_t)b->size > p->settings.append.max_message_bytes) {
        ret->error = ERRCODE_MESSAGE_TOO_LARGE;
        ret->detail = "the batch is larger than max.message.bytes of the topic";
        return;
    }
    if (p->settings.append.is_append_time) {
        ret->append_time = clock_wall();
        batch_set_append_time(bytes, b->size, ret->append_time);
        must(batch_parse(bytes, b->size, &stamped) == 0);
    }
    r = plog_append(p->log, bytes, &stamped, epoch, &ret->base);
    if (r != 0) {
        ret->error = errcode_of_plog(r).error;
        ret->detail = errcode_of_plog(r).detail;
        if (r < 0) {
            partition_fail_locked(h);
        }
        return;
    }
    partition_producers_note(p, &stamped, ret->base);
    if (!atomic_exchange(&p->is_unsynced, true)) {
        atomic_store(&p->unsynced_since, clock_now());
    }
    own = (struct replica_fx_item){.kind = REPLICA_FX_BECAME};
    partition_step(h,
            &(struct replica_event){.kind = REPLICA_EV_APPENDED,
                    .ask = *ask,
                    .appended = {.acks = acks,
                            .leader_epoch = epoch,
                            .base = ret->base,
                            .log_end = plog_end(p->log),
                            .needs_disk = plog_end(p->log) - plog_recovery_point(p->log) >=
                                          p->settings.flush_messages}}, /* [LOG-73] */
            ask, &own);
    ret->is_done = own.kind == REPLICA_FX_REPLY;
    ret->error = own.error;
    ret->is_on_disk = own.is_on_disk;
}

struct append_rules partition_append_rules(struct partition *p)
{
    struct append_rules rules;

    (void)pthread_mutex_lock(&p->inbox_lock);
    rules = p->append_rules;
    (void)pthread_mutex_unlock(&p->inbox_lock);
    return rules;
}

void partition_may_produce(struct partition *p,
        const struct replica_ask *ask,
        int32_t acks,
        struct partition_produced *ret)
{
    struct replica_fx_item own;
    struct hold h;

    hold_begin(&h, p);
    step_produce(&h, ask, acks, &own);
    hold_end(&h);
    if (own.kind == REPLICA_FX_REPLY) {
        ret->error = own.error;
        ret->detail = own.detail;
    }
}

void partition_produce(struct partition *p,
        const struct replica_ask *ask,
        int32_t acks,
        uint8_t *bytes,
        const struct batch *b,
        struct partition_produced *ret)
{
    struct hold h;

    *ret = (struct partition_produced){.is_done = true,
            .detail = "",
            .base = OFFSET_NONE,
            .append_time = -1,
            .log_start = OFFSET_NONE};
    hold_begin(&h, p);
    produce_locked(&h, ask, acks, bytes, b, ret);
    if (p->log != NULL && plog_unsynced_bytes(p->log) >= UNSYNCED_MAX && !p->is_flushing) {
        h.wants_flush = true;
    }
    hold_end(&h);
    if (ret->error != ERRCODE_NONE) {
        ret->base = OFFSET_NONE;
        ret->append_time = -1;
    }
}

void partition_wait(struct partition *p,
        const struct replica_ask *ask,
        epoch32 leader_epoch,
        offset64 seen,
        bool is_replica)
{
    struct hold h;

    hold_begin(&h, p);
    partition_step(&h,
            &(struct replica_event){.kind = REPLICA_EV_WAIT,
                    .ask = *ask,
                    .wait = {.leader_epoch = leader_epoch, .seen = seen, .is_replica = is_replica}},
            NULL, NULL);
    hold_end(&h);
}

void partition_forget(struct partition *p, const struct replica_ask *ask)
{
    struct hold h;

    hold_begin(&h, p);
    partition_step(&h, &(struct replica_event){.kind = REPLICA_EV_FORGET, .ask = *ask}, NULL, NULL);
    hold_end(&h);
}

bool partition_may_tell(
        struct hold *h, epoch32 leader_epoch, bool latest, struct replica_fx_item *ret_answer)
{
    struct replica_ask none = {0};

    *ret_answer = (struct replica_fx_item){.kind = REPLICA_FX_BECAME};
    partition_step(h,
            &(struct replica_event){.kind = REPLICA_EV_LIST,
                    .ask = none,
                    .list = {.leader_epoch = leader_epoch, .latest = latest}},
            &none, ret_answer);
    must(ret_answer->kind == REPLICA_FX_REPLY || ret_answer->kind == REPLICA_FX_OFFSETS);
    return ret_answer->kind == REPLICA_FX_OFFSETS;
}

void partition_ends(
        struct partition *p, epoch32 leader_epoch, bool latest, struct partition_ends *ret)
{
    struct replica_fx_item own;
    struct hold h;

    *ret = (struct partition_ends){.detail = "", .start = OFFSET_NONE, .limit = OFFSET_NONE};
    hold_begin(&h, p);
    if (partition_may_tell(&h, leader_epoch, latest, &own)) {
        ret->start = plog_start(p->log);
        ret->limit = own.limit;
        ret->leader_epoch = own.leader_epoch;
    } else {
        ret->error = own.error;
        ret->detail = own.detail;
    }
    hold_end(&h);
}

int partition_find(
        struct partition *p, wall_ms t, bool largest, offset64 limit, struct plog_slice *ret)
{
    struct hold h;
    int r = PLOG_E_NOT_FOUND;

    hold_begin(&h, p);
    if (p->log != NULL && p->core.role == REPLICA_LEADER) {
        r = largest ? plog_find_max_time(p->log, limit, ret)
                    : plog_find_time(p->log, t, limit, ret);
        if (r == PLOG_E_DAMAGED) { /* [LOG-83] */
            partition_fail_locked(&h);
        }
    }
    hold_end(&h);
    return r;
}
