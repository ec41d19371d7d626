/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/domain/partition.h"

/* The only way to a new partition record: used by fencing, registration, shutdown, proposals of
 * leaders, configuration and reassignment alike. Pure. */
struct partition_want {
    struct broker_set isr; /* the new ISR; a subset of the replicas */
    struct broker_set
            disqualified; /* lost or cannot vouch for data: not in the ISR, and leave the ELR too */
    struct broker_set active; /* as for elect_leader() */
    struct broker_set reluctant; /* [CTL-71] lead only when none of the others can */
    int32_t min_isr;          /* 0 = as it is */
    bool to_preferred;        /* the present leader is not kept: who comes first leads */
    bool is_synced;  /* the topic's acknowledgements are for the disk: the record may be durable */
    bool is_durable; /* its leader says that all of `isr` have on their disks what is committed */
    bool is_recovered;        /* its leader has opened its log: `recovering` ends */
    struct broker_set target; /* a reassignment begins: who is to hold it; none = as it is */
    int32_t min_isr_moved;    /* once the replicas are the target's; 0 = as it is */
    bool is_reverted;         /* the reassignment under way is taken back */
};

/* The record that follows `p`.
 *
 * [REP-3] The leader epoch grows by one when the leader changes, also to none; the partition
 * epoch always. [REP-4] While the ISR is below min_isr, those who leave it and are not
 * disqualified go to the ELR: they hold everything committed. The rest is last known. As soon as
 * the ISR of the *final* record is full, both are emptied. [REP-5] The only replica of a
 * partition never leaves the ISR. When it is disqualified, the record is marked `recovering`;
 * the election that brings it back is unclean: it sets unclean_epoch to the new leader epoch and
 * clears the mark. [REP-57] It stays durable, because nobody joins ISR or ELR but by the leader's
 * word, until the topic is not to be so any more or somebody has lost data; it becomes so by the
 * leader's word about the ISR, when there is no ELR beside it. */
struct partition_state partition_change(
        const struct partition_state *p, const struct partition_want *want);

/* Reassignments are decided in the same function, so that each change of an ISR ends what it can.
 *
 * [CTL-55] While one is under way the replicas are the target's, in its order, and behind them
 * those that leave. [CTL-56] It ends in the first record that has every adding replica in the ISR
 * and as many of the target's as min_isr wants, one of which can lead: the others leave replicas,
 * ISR and ELR, and the leader epoch grows also when the leader stays, so that no fetch of theirs
 * counts any more. [CTL-57] Taking it back does the same with those that were to come; it loses
 * nothing where those who held it before have what is committed without the others, as many of
 * them as `min_isr` wants. */
bool partition_may_revert(const struct partition_state *p, int32_t min_isr);

/* The record in which `winner` leads although it was neither in the ISR nor in the ELR: what others
 * have beyond its log is lost.
 *
 * [REP-9] The winner alone is in sync and nobody else may be elected; the record is marked
 * `recovering`, and unclean_epoch is the new leader epoch, so that followers and consumers know.
 * `p` has no leader and several replicas. */
struct partition_state partition_elect_unclean(const struct partition_state *p, broker_id winner);

/* Whether `b` decides anything else than `a`: all but the partition epoch, sets without order. */
bool partition_differs(const struct partition_state *a, const struct partition_state *b);
