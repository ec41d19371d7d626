/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/uuid.h"
#include "common/domain/ids.h"

#include <stdbool.h>

/* A set of brokers that keeps the order in which they were given (replica order is preference order). */
struct broker_set {
    uint8_t n;
    broker_id at[REPLICAS_MAX];
};

bool broker_set_has(const struct broker_set *s, broker_id id);
/* Appends `id` unless it is there; false when the set is full. */
bool broker_set_add(struct broker_set *s, broker_id id);
void broker_set_remove(struct broker_set *s, broker_id id);
bool broker_set_equal(const struct broker_set *a, const struct broker_set *b); /* as sets */
/* In the same order, too: the first replica is the preferred leader. */
bool broker_set_equal_ordered(const struct broker_set *a, const struct broker_set *b);

/* Which partition. No padding, so that it can be hashed as memory. */
struct partition_key {
    struct uuid topic_id;
    int32_t number;
};

/* The partition record: all that is decided about one partition (docs/design/10-replication.md [REP-1]).
 * Only the controller makes a new one, always through partition_change(). */
struct partition_state {
    struct uuid topic_id;
    int32_t partition;
    struct broker_set replicas; /* in order of preference */
    struct broker_set adding, removing; /* a reassignment under way */
    struct broker_set isr;
    struct broker_set elr; /* left the ISR while it was below min_isr: hold everything committed (KIP-966) */
    struct broker_set lk;  /* last known, for unclean recovery only */
    broker_id leader;      /* BROKER_NONE = offline */
    epoch32 leader_epoch;
    epoch32 partition_epoch;
    int32_t min_isr; /* effective: min(config, replication factor) */
    bool recovering;
    bool is_durable; /* [REP-57] each of ISR and ELR has on its disk what is committed */
    epoch32 unclean_epoch; /* leader epoch of the last unclean election, EPOCH_NONE = never */
    uint64_t operation;    /* [CTL-75] that moves it; 0 = none, as whenever nothing is under way */
};

/* Whether a reassignment is under way. */
bool partition_is_moving(const struct partition_state *p);
/* Who is to hold it when that has ended, and who held it when it began: the replicas where there is none. */
struct broker_set partition_target(const struct partition_state *p);
struct broker_set partition_origin(const struct partition_state *p);

/* [THR-1] A reassignment is filling that replica: it is to be added, and has not been in sync yet. */
bool partition_is_filling(const struct partition_state *p, broker_id replica);

/* Whether the record keeps the invariants S4 that one record alone can show. */
bool partition_state_is_valid(const struct partition_state *p);
