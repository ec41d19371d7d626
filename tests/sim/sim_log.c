/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/log_trash.h"
#include "broker/log/plog_replay.h"
#include "broker/shell/producer_state.h"
#include "common/base/must.h"
#include "common/base/mutant.h"
#include "tests/sim/sim.h"

#include <errno.h>

/* A partition's log: the real one on its disk, what it holds offset by offset, and the work that the core asks for. */

static struct plog_config config_of(const struct sim *s)
{
    return (struct plog_config){.segment_bytes = s->segment_bytes,
            .index_interval_bytes = 512,
            .index_bytes = 4096,
            .segment_ms = 0};
}

static const char *who(const struct sim_part *p)
{
    return sim_node_name(p->b->id);
}

/* --- What the log holds ---------------------------------------------------------------------------------------------- */

/* It has nothing below. */
static void begin_recs(struct sim_part *p, offset64 base)
{
    array_clear(&p->recs);
    for (offset64 at = 0; at < base; at++) {
        *array_push(&p->recs) = (struct sim_rec){.epoch = EPOCH_NONE};
    }
    p->begin = p->verified = base;
}

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
    struct sim_part *p = ctx;

    if ((offset64)p->recs.n == p->begin && h->base < p->begin) { /* The start lies within it. */
        begin_recs(p, h->base);
    }
    note_recs(p, h->base, h->last, h->leader_epoch, h->crc);
}

void sim_log_reload(struct sim_part *p)
{
    offset64 first = plog_first_offset(p->log);

    p->synced = plog_synced_end(p->log);

    begin_recs(p, first >= 0 ? first : plog_start(p->log));
    if (plog_replay(p->log, 0, on_head, p) != 0) {
        must(log_dir_failed(p->b->dir)); /* nothing else makes a log unreadable here */
    }
}

void sim_log_note(struct sim_part *p, const struct batch *b, offset64 base)
{
    struct producers_batch noted = producer_batch_of_request(b);

    if (base < p->begin) { /* [LOG-77] The first batch, and the start lies within it. */
        begin_recs(p, base);
        (void)producers_truncate(&p->producers, base);
    }
    noted.base = base;
    producers_note(&p->producers, &noted, 0);
    note_recs(p, base, base + b->last_offset_delta, plog_last_epoch(p->log), b->crc);
}

/* --- Opening and closing --------------------------------------------------------------------------------------------- */

bool sim_log_open(struct sim_part *p)
{
    struct sim *s = p->b->sim;
    struct plog_config config = config_of(s);
    struct plog_open_stats stats = {0};
    struct producer_state_source source;
    int r = plog_open(
            p->b->dir, p->b->files, SIM_TOPIC, &p->topic_id, p->idx, &config, &p->log, &stats);

    if (r == 0 && !stats.lost) {
        r = producer_state_restore(&p->producers, p->log, 0, 0, &source);
    }
    if (r != 0 || stats.lost) {
        sim_tell(s, who(p), "%s does not open: %s", p->name, stats.lost ? "it is gone" : "damaged");
        p->log = plog_close(p->log);
        return false;
    }
    sim_log_reload(p);
    return true;
}

void sim_log_close(struct sim_part *p)
{
    producers_deinit(&p->producers);
    array_deinit(&p->recs);
    p->verified = p->begin = p->synced = 0;
    p->log = plog_close(p->log);
}

/* [TRS-10] What a deleted topic had, stays; [TRS-14] what was moved away goes at once. */
static enum log_trash_verdict judge(void *ctx, const struct uuid *topic_id, int32_t partition)
{
    const struct sim_broker *b = ctx;
    const struct image_topic *t = image_topic_by_id(b->image, topic_id);
    bool is_back = t != NULL && partition < t->n_partitions &&
                   broker_set_has(&t->partitions[partition].replicas, b->id);

    return is_back || image_trash_by_id(b->image, topic_id) != NULL ? LOG_TRASH_KEEP
                                                                    : LOG_TRASH_PURGE;
}

bool sim_log_restore(struct sim_part *p)
{
    int r = log_trash_restore(p->b->dir, &p->topic_id, p->idx, SIM_TOPIC);

    if (r == 0) {
        sim_tell(p->b->sim, who(p), "%s comes back from the trash", p->name);
        p->b->sim->counts.comebacks++;
    }
    if (r == LOG_TRASH_E_EMPTIED || r == LOG_TRASH_E_BUSY) {
        sim_violation(p->b->sim, "simulator", "%s of %s cannot come back: %d", p->name, who(p), r);
    }
    return r == 0 || r == LOG_TRASH_E_ABSENT;
}

void sim_log_discard(struct sim_part *p, struct plog *log)
{
    struct log_trash_judge judges = {.judge = judge, .ctx = p->b};
    struct log_dir *d = p->b->dir;

    log_trash_begin(d, &p->topic_id, p->idx, p->name);
    if (p->has_saved) {
        log_trash_note(d, &p->saved); /* [TRS-9] */
    }
    p->has_saved = false;
    int r = log != NULL ? plog_delete(log)
                        : log_trash_move_found(d, p->name, &p->topic_id, p->idx);
    log_trash_left(d, &p->topic_id, p->idx, p->name, r < 0);
    if (r == 0) {
        r = log_trash_sync(d);
    }
    if (r == 0) {
        r = log_trash_sweep(d, &judges);
    }
    if (r >= 0 && sim_broker_save(p->b) && r > 0) { /* [TRS-9] */
        (void)!log_trash_sweep(d, &judges); /* later, or latched */
    }
}

/* --- Syncing --------------------------------------------------------------------------------------------------------- */

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
        if (plog_recovery_point(p->log) > p->synced) {
            p->synced = plog_recovery_point(p->log);
        }
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

void sim_log_want_flush(struct sim_part *p)
{
    struct sim *s = p->b->sim;

    if (!p->is_flushing) {
        p->is_flushing = true;
        sim_at(s, 500 + (wtime)sim_below(s, (uint64_t)s->rates.sync_max), p->b->id, p->b->life,
                finish_flush, (uint64_t)p->idx);
    }
}

/* --- The begin ------------------------------------------------------------------------------------------------------- */

void sim_log_set_start(struct sim_part *p, offset64 start)
{
    if (p->log != NULL && start > plog_start(p->log)) {
        plog_set_start(p->log, start);
    }
}

/* What lies below the start that a checkpoint has is removed. */
void sim_log_remove(struct sim_part *p)
{
    struct plog_removed removed;
    struct plog_reap *reap = NULL;
    int r = 0;

    if (p->log == NULL || p->is_working || p->core.role == REPLICA_FAILED) {
        return;
    }
    if (p->has_saved) {
        plog_start_saved(p->log, p->saved.log_start);
    }
    if (plog_has_removable(p->log)) {
        r = plog_remove_below_start(p->log, p->b->sim->now, &removed);
        p->b->sim->counts.removed += r == 0 ? removed.n_segments : 0;
    }
    reap = r == 0 ? plog_reap_begin(p->log, p->b->sim->now, 0) : NULL;
    if (reap != NULL) {
        r = plog_reap_run(reap);
        plog_reap_end(p->log, reap);
    }
    if (r < 0) {
        sim_part_fail(p);
    }
}

/* A leader's retention, or somebody who asked for it: everything below is given up. */
void sim_log_retain(struct sim_part *p)
{
    struct sim *s = p->b->sim;
    offset64 start, hw = p->core.high_watermark;

    if (!p->is_live || p->log == NULL || p->core.role != REPLICA_LEADER || hw <= plog_start(p->log)) {
        return;
    }
    start = plog_start(p->log);
    start += sim_one_in(s, 2) ? hw - start : 1 + (offset64)sim_below(s, (uint64_t)(hw - start));
    sim_tell(s, who(p), "%s begins at %lld now", p->name, (long long)start);
    sim_check_start(p, start);
    sim_log_set_start(p, start);
    if (sim_one_in(s, 2) && plog_roll_active(p->log) < 0) {
        sim_part_fail(p);
    }
    s->counts.retained++;
}

/* --- Cutting, and beginning anew ------------------------------------------------------------------------------------- */

/* As in the shell: where, then the checkpoint, then the cut. 0 = done; PLOG_E_BUSY = to be asked again. */
static int cut_log(struct sim_part *p)
{
    offset64 end;
    int r = plog_truncate_begin(p->log, p->work_base, &end);

    if (r == 0 && !sim_broker_save(p->b)) {
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
        sim_log_reload(p);
    }
    return r;
}

/* [LOG-76] The checkpoint says that it has no records, its folder is put aside, and an empty one begins. */
static int restart_log(struct sim_part *p)
{
    struct sim_broker *b = p->b;
    struct plog_config config = config_of(b->sim);
    offset64 start = p->log != NULL ? plog_start(p->log) : p->has_saved ? p->saved.log_start : 0;
    struct plog *old = p->log;
    int r;

    start = start < p->work_base ? start : p->work_base; /* [REP-51] */
    p->log = NULL; /* for the checkpoint */
    p->saved = (struct checkpoint_entry){.topic_id = p->topic_id,
            .partition = p->idx,
            .high_watermark = start,
            .log_start = start};
    p->has_saved = true;
    if (!sim_broker_save(b)) {
        p->log = old;
        return PLOG_E_BUSY;
    }
    p->log = old;
    sim_log_close(p);
    r = log_trash_put_aside(
            b->dir, p->name, &p->topic_id, p->idx, p->keeps, b->sim->now / 1000);
    if (r != 0) {
        return -EIO;
    }
    p->log = plog_new_at(
            b->dir, b->files, SIM_TOPIC, &p->topic_id, p->idx, &config, p->work_base);
    p->producers.end = p->work_base;
    begin_recs(p, p->work_base);
    p->noted_hw = p->work_base;
    b->sim->counts.restarts++;
    return 0;
}

/* [REP-51] As in the shell: the checkpoint says where the empty log begins. */
static bool save_begin(struct sim_part *p)
{
    if (MUTANT_IS(BEGIN_UNSAVED) || p->work_base == 0) {
        return true;
    }
    return sim_broker_save(p->b);
}

/* The partition whose work that is; NULL: it has failed or left meanwhile. */
static struct sim_part *working(struct sim_broker *b, uint64_t work_id)
{
    for (int i = 0; i < SIM_PARTS_MAX; i++) {
        if (b->parts[i].is_working && b->parts[i].work_id == work_id) {
            return &b->parts[i];
        }
    }
    return NULL;
}

static void finish_restart(struct sim *s, int node, uint64_t work_id)
{
    struct sim_broker *b = &s->brokers[node];
    struct sim_part *p = working(b, work_id);
    struct replica_event ev = {.kind = REPLICA_EV_CUT};

    if (p == NULL) {
        return;
    }
    sim_broker_event_begin(b);
    if (save_begin(p)) {
        p->is_working = false;
        ev.cut.log_end = plog_end(p->log);
        sim_part_step(p, &ev, NULL);
    } else if (log_dir_failed(b->dir)) {
        sim_part_fail(p);
    } else {
        sim_at(s, WTIME_MS(100), b->id, b->life, finish_restart, work_id);
    }
    sim_broker_event_end(b);
}

static void finish_work(struct sim *s, int node, uint64_t work_id)
{
    struct sim_broker *b = &s->brokers[node];
    struct sim_part *p = working(b, work_id);
    struct replica_event ev = {.kind = REPLICA_EV_CUT};

    if (p == NULL) {
        return;
    }
    sim_broker_event_begin(b);
    bool is_restart = p->work == REPLICA_FX_RESTART;
    int r = is_restart ? restart_log(p) : cut_log(p);

    p->is_working = false;
    s->counts.cuts++;
    if (r != 0 && r != PLOG_E_BUSY && !(is_restart && p->core.role == REPLICA_FAILED &&
                                              !log_dir_failed(b->dir))) {
        sim_part_fail(p);
    } else if (is_restart && r == 0) {
        sim_fault_provoke(p, SIM_EMPTY_LOG);
        p->is_working = true;
        sim_at(s, (wtime)sim_below(s, (uint64_t)s->rates.work_max), node, b->life, finish_restart,
                work_id);
    } else {
        ev.cut.error = r == 0 ? ERRCODE_NONE : ERRCODE_KAFKA_STORAGE_ERROR;
        ev.cut.log_end = p->log != NULL ? plog_end(p->log) : 0;
        sim_part_step(p, &ev, NULL);
    }
    sim_broker_event_end(b);
}

void sim_log_begin_work(struct sim_part *p, const struct replica_fx_item *it)
{
    struct sim *s = p->b->sim;

    if (it->kind == REPLICA_FX_TRUNCATE && it->base < p->core.high_watermark &&
            p->core.record.unclean_epoch == EPOCH_NONE) {
        sim_violation(s, "S12", "%s of %s is to be cut to %lld below its high watermark %lld",
                p->name, who(p), (long long)it->base, (long long)p->core.high_watermark);
    }
    sim_fault_provoke(p, SIM_WORK);
    must(!p->is_working);
    p->is_working = true;
    p->work = it->kind;
    p->work_id = ++s->next_id;
    p->work_base = it->base;
    p->keeps = it->keep;
    sim_at(s, 500 + (wtime)sim_below(s, (uint64_t)s->rates.work_max), p->b->id, p->b->life,
            finish_work, p->work_id);
}
