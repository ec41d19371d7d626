/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "broker/core/cleaning.h"
#include "broker/log/plog_swap.h"

#include <stdbool.h>

struct partition;

/* A partition's log as compaction uses it: looked at under the lock, read and rewritten outside it, swapped under it.
 * Thread: pool. */
struct clean_look {
    struct cleaning_policy policy;
    struct sealed_list list; /* sealed_list_deinit() */
    offset64 limit;          /* nothing at or above is touched */
};

/* False: there is nothing to compact here. True: the log stays until partition_clean_leave(). */
bool partition_clean_look(struct partition *p, struct clean_look *ret);
void partition_clean_leave(struct partition *p);
/* plog_is_as_listed() under the lock. */
bool partition_clean_is_as_listed(struct partition *p, const struct sealed_list *list);
/* plog_swap_claim() and _release() under the lock. */
int partition_clean_claim(struct partition *p, const struct sealed_list *list);
void partition_clean_release(struct partition *p);
/* plog_swap_commit() under the lock; *ret_us = how long that was held. */
int partition_clean_commit(struct partition *p, struct plog_swap *s, int64_t *ret_us);
