/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/partition_impl.h"

#include "broker/shell/errcode_map.h"
#include "common/base/must.h"
#include "common/domain/batch_run.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"

/* A partition that follows: what it asks its leader with, and what an answer does to its log. */

static bool is_following(const struct partition *p)
{
    return p->core.role == REPLICA_FOLLOWER && p->core.record.leader != BROKER_NONE &&
           p->log != NULL && p->core.work == REPLICA_WORK_NONE && !atomic_load(&p->is_removed);
}

void partition_position(struct partition *p, struct partition_position *ret)
{
    struct hold h;

    *ret = (struct partition_position){.leader = BROKER_NONE};
    hold_begin(&h, p);
    if (is_following(p)) {
        *ret = (struct partition_position){.leader = p->core.record.leader,
                .leader_epoch = p->core.record.leader_epoch,
                .last_epoch = plog_last_epoch(p->log),
                .end = plog_end(p->log),
                .log_start = plog_start(p->log),
                .flushed = p->core.flushed};
    }
    hold_end(&h);
}

/* --- What the leader sent --------------------------------------------------------------------------------------------- */

/* [FET-11] The offsets that compaction took at the leader, as one batch without records: a log has no gaps but in what it has
 * compacted itself. It is of the epoch of what follows, as [LOG-62] takes it to be at the leader: of the epoch before, it might
 * end beyond where the leader says that this one ends. */
static int fill_gap(struct plog *l, offset64 until, epoch32 epoch)
{
    uint8_t bytes[BATCH_HEADER_SIZE];
    int r = 0;

    while (r == 0 && plog_end(l) < until) {
        int64_t n = until - plog_end(l);
        struct batch b;
        offset64 base;

        batch_make_empty(bytes, n > INT32_MAX ? INT32_MAX : (int32_t)n);
        must(batch_parse(bytes, sizeof(bytes), &b) == 0);
        r = plog_append(l, bytes, &b, epoch, &base);
    }
    return r < 0 ? err_forward(r) : r;
}

/* > 0: as copy(). */
static int copy_one(struct partition *p, uint8_t *bytes, const struct batch *b)
{
    offset64 base = b->base_offset;
    int r;

    if (base < plog_end(p->log)) { /* [LOG-77] */
        r = plog_append_first(p->log, bytes, b, b->leader_epoch);
        if (r == 0) {
            partition_producers_begin_below(p, base);
        }
    } else {
        r = fill_gap(p->log, base, b->leader_epoch);
        if (r == 0) {
            r = plog_append(p->log, bytes, b, b->leader_epoch, &base);
        }
    }
    if (r == 0) {
        must(base == b->base_offset);
        partition_producers_note(p, b, base);
    }
    return r < 0 ? err_forward(r) : r;
}

/* Appends them as they are. > 0: PLOG_E_FULL, PLOG_E_BUSY, and what was appended before stays; PLOG_E_OUT_OF_RANGE: this log
 * cannot take it. */
static int copy(struct partition *p, uint8_t *bytes, size_t size)
{
    struct batch b;
    int r = 0;

    for (size_t at = 0; r == 0 && at < size; at += b.size) {
        must(batch_parse(bytes + at, size - at, &b) == 0);
        r = copy_one(p, bytes + at, &b);
    }
    return r < 0 ? err_forward(r) : r;
}

static void copy_locked(struct hold *h, uint8_t *bytes, size_t size, struct partition_followed *ret)
{
    struct partition *p = h->p;
    int r = copy(p, bytes, size);

    if (!atomic_exchange(&p->is_unsynced, true)) {
        atomic_store(&p->unsynced_since, clock_now());
    }
    if (r < 0 || r == PLOG_E_OUT_OF_RANGE) {
        partition_fail_locked(h);
        ret->next = FOLLOW_NO_MORE;
        return;
    }
    if (r > 0) { /* [FET-12] A full disk, or no descriptor: later. */
        ret->next = FOLLOW_LATER;
        ret->detail = errcode_of_plog(r).detail;
    }
    partition_step(h,
            &(struct replica_event){.kind = REPLICA_EV_COPIED,
                    .copied = {.log_end = plog_end(p->log),
                            .error = r > 0 ? errcode_of_plog(r).error : ERRCODE_NONE}},
            NULL, NULL);
    if (plog_unsynced_bytes(p->log) >= UNSYNCED_MAX && !p->is_flushing) {
        h->wants_flush = true;
    }
    metric_add(METRIC_BROKER_REPLICATION_BYTES_IN, size);
}

/* What the core wants done for an answer. */
static void carry_out(struct hold *h,
        const struct partition_follow_ask *a,
        const struct batch_run *run,
        struct partition_followed *ret)
{
    struct partition *p = h->p;
    bool must_copy = false;

    FX_FOREACH (it, &p->fx) {
        must_copy = must_copy || it->kind == REPLICA_FX_COPY;
        if (it->kind == REPLICA_FX_FETCH_LATER) {
            ret->next = FOLLOW_LATER;
            ret->error = it->error;
        } /* partition_step() has done the others */
    }
    if (must_copy) {
        ret->next = FOLLOW_AGAIN;
        copy_locked(h, a->records, run->size, ret);
    } else if (!is_following(p)) {
        ret->next = FOLLOW_NO_MORE;
    }
}

static void take_locked(struct hold *h,
        const struct partition_follow_ask *a,
        struct partition_followed *ret)
{
    const struct msg_fetch_result *m = a->answer;
    struct partition *p = h->p;
    struct batch_run run = batch_run_of((struct bytes){a->records, m->records.size}, plog_end(p->log),
            plog_last_epoch(p->log) == EPOCH_NONE);
    struct replica_event ev = {.kind = REPLICA_EV_FETCHED,
            .fetched = {.leader_epoch = a->leader_epoch,
                    .asked = a->offset,
                    .asked_epoch = a->last_epoch,
                    .error = m->error,
                    .leader_start = m->log_start,
                    .leader_hw = m->high_watermark,
                    .diverging_epoch = m->diverging_epoch,
                    .diverging_end = m->diverging_end,
                    .local_epoch = EPOCH_NONE,
                    .local_end = OFFSET_NONE,
                    .hw_epoch = plog_epoch_at(p->log, p->core.high_watermark - 1),
                    .n_bytes = run.size,
                    .first_base = run.first_base,
                    .may_skip = true, /* [FET-11] */
                    .next = run.next,
                    .first_epoch = run.first_epoch,
                    .last_epoch = run.last_epoch,
                    .log_last_epoch = plog_last_epoch(p->log),
                    .is_sound = run.is_sound}};

    if (m->diverging_epoch != EPOCH_NONE) {
        int r = plog_epoch_end(p->log, m->diverging_epoch, &ev.fetched.local_epoch,
                &ev.fetched.local_end);
        if (r != 0) {
            ret->next = FOLLOW_LATER;
            ret->detail = errcode_of_plog(r).detail;
            if (r < 0 || r == PLOG_E_DAMAGED) {
                partition_fail_locked(h);
                ret->next = FOLLOW_NO_MORE;
            }
            return;
        }
    }
    partition_step(h, &ev, NULL, NULL);
    carry_out(h, a, &run, ret);
}

void partition_follow(struct partition *p,
        const struct partition_follow_ask *a,
        struct partition_followed *ret)
{
    struct hold h;

    *ret = (struct partition_followed){.next = FOLLOW_NOTHING, .detail = ""};
    hold_begin(&h, p);
    if (!is_following(p)) {
        ret->next = FOLLOW_NO_MORE;
    } else {
        take_locked(&h, a, ret);
    }
    hold_end(&h);
}
