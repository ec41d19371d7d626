/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/partition_impl.h"

#include "broker/shell/errcode_map.h"

/* Where a leader epoch ends in the leader's log. The core says who may be told, the log knows. */

static void look_up(struct hold *h, epoch32 asked, struct partition_epoch_end *ret)
{
    int r = plog_epoch_end(h->p->log, asked, &ret->epoch, &ret->end);

    if (r != 0) {
        ret->error = errcode_of_plog(r).error;
        ret->detail = errcode_of_plog(r).detail;
        if (r < 0) {
            partition_fail_locked(h);
        }
    }
}

void partition_epoch_end(
        struct partition *p, epoch32 leader_epoch, epoch32 asked, struct partition_epoch_end *ret)
{
    struct replica_fx_item own;
    struct hold h;

    *ret = (struct partition_epoch_end){.detail = "", .epoch = EPOCH_NONE, .end = OFFSET_NONE};
    hold_begin(&h, p);
    if (partition_may_tell(&h, leader_epoch, false, &own)) {
        look_up(&h, asked, ret);
    } else {
        ret->error = own.error;
        ret->detail = own.detail;
    }
    hold_end(&h);
}

void partition_log_end(struct partition *p, struct partition_epoch_end *ret)
{
    struct hold h;

    *ret = (struct partition_epoch_end){.detail = "", .epoch = EPOCH_NONE, .end = OFFSET_NONE};
    hold_begin(&h, p);
    if (p->log == NULL || p->is_opening || p->core.role == REPLICA_FAILED) { /* [CTL-52] */
        ret->error = ERRCODE_KAFKA_STORAGE_ERROR;
        ret->detail = "there is no log here that can be vouched for";
    } else {
        ret->epoch = plog_last_epoch(p->log);
        ret->end = plog_end(p->log);
        ret->bytes = plog_bytes(p->log);
    }
    hold_end(&h);
}
