/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/domain/partition.h"

/* Who shall lead a partition whose ISR and ELR are these. Pure.
 *
 * [REP-8] The present leader stays while it is in the ISR and active; else the first replica, in
 * order of preference, that is in the ISR and active; else, only when the ISR is empty, the
 * first active one of the ELR. BROKER_NONE = nobody may.
 *
 * `active` = replicas whose broker is registered, purged, unfenced, not shutting down, and that
 * have not failed. */
broker_id elect_leader(const struct partition_state *p, const struct broker_set *active);
