/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/plog_check.h"
#include "broker/shell/errcode_map.h"
#include "broker/shell/partition_impl.h"
#include "common/base/must.h"

#include <errno.h>

/* Reading a partition's log: what a fetch is given at once, and the cold read that makes it
 * ready first. */

/* The log did not do what was asked of it. */
static void refuse(struct hold *h, int r, struct partition_fetched *ret)
{
    ret->error = errcode_of_plog(r).error;
    ret->detail = errcode_of_plog(r).detail;
    ret->is_busy = r == PLOG_E_BUSY;
    if (r == PLOG_E_DAMAGED || (r < 0 && log_dir_failed(h->p->dir))) { /* [LOG-83] */
        partition_fail_locked(h);
    }
}

/* What the log gives, or why it does not. */
static void read_locked(
        struct hold *h, const struct partition_fetch_ask *ask, struct partition_fetched *ret)
{
    struct partition *p = h->p;
    size_t max_bytes = ask->max_bytes;
    bool first_whole = ask->first_whole;

    ret->is_filling = partition_is_filling(&p->core.record, ask->replica); /* [THR-1] */
    if (ret->is_filling && ask->fill_max == 0) { /* [THR-4] */
        ret->is_held = true;
        return;
    }
    if (ret->is_filling && (uint64_t)ask->fill_max < max_bytes) {
        max_bytes = (size_t)ask->fill_max;
        first_whole = true; /* [THR-2] a larger batch is owed for */
    }
    int r = plog_read_checked(p->log, ask->offset, ret->limit, max_bytes, first_whole,
            ask->may_wait, &ret->slice);

    if (r == 0) {
        return;
    }
    ret->slice = (struct plog_slice){0};
    if (r == PLOG_E_COLD) {
        ret->is_cold = true;
    } else {
        refuse(h, r, ret);
    }
}

/* [LOG-75] Where the epoch of the asker's last record ends here. False: the log did not say, and `ret` has why. */
static bool look_up_epoch(
        struct hold *h, struct replica_event *ev, struct partition_fetched *ret)
{
    struct partition *p = h->p;
    int r = 0;

    if (ev->fetch.last_epoch >= 0 && p->core.role == REPLICA_LEADER) {
        r = plog_epoch_end(
                p->log, ev->fetch.last_epoch, &ev->fetch.known_epoch, &ev->fetch.known_end);
    }
    if (r != 0) {
        refuse(h, r, ret);
    }
    return r == 0;
}

static void fetch_locked(
        struct hold *h, const struct partition_fetch_ask *ask, struct partition_fetched *ret)
{
    struct replica_ask none = {0};
    struct replica_fx_item own = {.kind = REPLICA_FX_BECAME};
    struct partition *p = h->p;
    struct replica_event ev = {.kind = REPLICA_EV_FETCH,
            .ask = none,
            .fetch = {.replica = ask->replica,
                    .broker_epoch = ask->broker_epoch,
                    .leader_epoch = ask->leader_epoch,
                    .offset = ask->offset,
                    .last_epoch = ask->last_epoch,
                    .known_epoch = EPOCH_NONE,
                    .known_end = OFFSET_NONE,
                    .flushed = ask->flushed,
                    .session = ask->session,
                    .is_look = ask->is_look}};

    if (p->log != NULL) {
        ret->log_start = ev.fetch.log_start = plog_start(p->log);
    }
    if (!look_up_epoch(h, &ev, ret)) {
        return;
    }
    partition_step(h, &ev, &none, &own);
    if (own.kind == REPLICA_FX_REPLY) {
        ret->error = own.error;
        ret->detail = own.detail;
        return;
    }
    ret->limit = own.limit;
    ret->high_watermark = own.high_watermark;
    ret->leader_epoch = p->core.record.leader_epoch;
    if (own.kind == REPLICA_FX_DIVERGES) {
        ret->diverging_epoch = own.leader_epoch;
        ret->diverging_end = own.base;
        return;
    }
    must(own.kind == REPLICA_FX_READ);
    if (ask->offset < own.limit || ask->offset < ret->log_start) {
        read_locked(h, ask, ret);
    }
}

void partition_fetch(
        struct partition *p, const struct partition_fetch_ask *ask, struct partition_fetched *ret)
{
    struct hold h;

    *ret = partition_fetched_none(ERRCODE_NONE, "");
    hold_begin(&h, p);
    fetch_locked(&h, ask, ret);
    hold_end(&h);
}

int partition_read_slice(
        struct partition *p, const struct plog_slice *slice, bool may_wait, uint8_t *into)
{
    const struct file_io *io = log_dir_io(p->dir);
    int64_t n = may_wait ? io->pread(io->ctx, slice->fd, into, slice->size, slice->at)
                         : io->pread_hot(io->ctx, slice->fd, into, slice->size, slice->at);

    if (n == -EAGAIN) {
        return PLOG_E_COLD;
    }
    if (n < 0) {
        log_dir_fail(p->dir, (int)n, "stored records could not be read");
        return err_forward((int)n);
    }
    return n == (int64_t)slice->size ? 0 : err_origin(-EIO); /* somebody cut the file */
}

bool partition_is_hot(const struct partition *p, const struct plog_slice *slice)
{
    const struct file_io *io = log_dir_io(p->dir);

    return io->is_hot(io->ctx, slice->fd, slice->at, (int64_t)slice->size);
}

/* From *offset, which moves to the next segment when this one has nothing from there on:
 * PLOG_E_NOT_FOUND. */
static int check_piece(struct partition *p, const struct partition_cold *cold, offset64 *offset)
{
    struct plog_check c;
    struct plog *l;
    struct hold h;
    int r = 0;

    hold_begin(&h, p);
    l = partition_use_begin(&h);
    if (l != NULL) {
        r = plog_check_begin(l, *offset, cold->limit, cold->size, &c);
        if (r != 0) {
            partition_use_end(&h);
        }
    }
    hold_end(&h);
    if (l == NULL || r != 0) { /* Who looks again is told what is wrong. */
        return r == PLOG_E_BUSY ? r : 0;
    }
    r = plog_check_run(&c);
    hold_begin(&h, p);
    *offset = c.segment.end;
    r = plog_check_end(l, &c, r);
    if (r == PLOG_E_DAMAGED || r < 0) { /* [LOG-83] */
        partition_fail_locked(&h);
    }
    partition_use_end(&h);
    hold_end(&h);
    return r == PLOG_E_BUSY || r == PLOG_E_NOT_FOUND ? r : 0;
}

int partition_warm(struct partition *p, const struct partition_cold *cold)
{
    offset64 offset = cold->offset;
    int r = PLOG_E_NOT_FOUND;

    while (r == PLOG_E_NOT_FOUND && offset < cold->limit && !partition_is_removed(p)) {
        r = check_piece(p, cold, &offset);
    }
    return r == PLOG_E_NOT_FOUND ? 0 : r;
}
