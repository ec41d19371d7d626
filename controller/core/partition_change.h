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
    int32_t min_isr;          /* 0 = as it is */
    bool to_preferred;        /* the present leader is not kept: who comes first leads */
    bool is_recovered;        /* its leader has opened its log: `recovering` ends */
};

/* The record that follows `p`.
 *
 * [REP-3] The leader epoch grows by one when the leader changes, also to none; the partition
 * epoch always. [REP-4] While the ISR is below min_isr, those who leave it and are not
 * disqualified go to the ELR: they hold everything committed. The rest is last known. As soon as
 * the ISR of the *final* record is full, both are emptied. [REP-5] The only replica of a
 * partition never leaves the ISR. When it is disqualified, the record is marked `recovering`;
 * the election that brings it back is unclean: it sets unclean_epoch to the new leader epoch and
 * clears the mark. */
struct partition_state partition_change(
        const struct partition_state *p, const struct partition_want *want);

/* The record in which `winner` leads although it was neither in the ISR nor in the ELR: what others
 * have beyond its log is lost.
 *
 * [REP-9] The winner alone is in sync and nobody else may be elected; the record is marked
 * `recovering`, and unclean_epoch is the new leader epoch, so that followers and consumers know.
 * `p` has no leader and several replicas. */
struct partition_state partition_elect_unclean(const struct partition_state *p, broker_id winner);

/* Whether `b` decides anything else than `a`: all but the partition epoch, sets without order. */
bool partition_differs(const struct partition_state *a, const struct partition_state *b);
