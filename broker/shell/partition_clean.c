/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/partition_clean.h"

#include "broker/shell/partition_impl.h"
#include "common/net/loop.h"

bool partition_clean_look(struct partition *p, struct clean_look *ret)
{
    struct hold h;
    struct plog *l;

    hold_begin(&h, p);
    l = p->settings.append.is_compacted ? partition_use_begin(&h) : NULL;
    if (l != NULL) {
        *ret = (struct clean_look){.policy = p->settings.cleaning, .limit = p->core.high_watermark};
        plog_sealed_list(l, &ret->list);
    }
    hold_end(&h);
    return l != NULL;
}

void partition_clean_leave(struct partition *p)
{
    struct hold h;

    hold_begin(&h, p);
    partition_use_end(&h);
    hold_end(&h);
}

bool partition_clean_is_as_listed(struct partition *p, const struct sealed_list *list)
{
    struct hold h;

    hold_begin(&h, p);
    bool is_same = plog_is_as_listed(p->log, list);
    hold_end(&h);
    return is_same;
}

int partition_clean_claim(struct partition *p, const struct sealed_list *list)
{
    struct hold h;

    hold_begin(&h, p);
    int r = plog_swap_claim(p->log, list);
    hold_end(&h);
    return r;
}

void partition_clean_release(struct partition *p)
{
    struct hold h;

    hold_begin(&h, p);
    plog_swap_release(p->log);
    hold_end(&h);
}

int partition_clean_commit(struct partition *p, struct plog_swap *s, int64_t *ret_us)
{
    struct hold h;
    wtime began;
    int r;

    hold_begin(&h, p);
    began = clock_now();
    r = atomic_load(&p->is_removed) ? PLOG_E_CHANGED : plog_swap_commit(p->log, s);
    if (r < 0) {
        partition_fail_locked(&h);
    }
    *ret_us = clock_now() - began;
    hold_end(&h);
    return r;
}
