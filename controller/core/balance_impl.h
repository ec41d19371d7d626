/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "controller/core/balance.h"

/* What the files of the balance share; nobody else includes it. */

struct balance_broker *balance_find(struct balance_broker *brokers, size_t n, broker_id id);
/* Replicas on that rack, but for the one at `except`. */
int balance_in_rack(struct balance_broker *brokers,
        size_t n,
        const struct broker_set *replicas,
        const char *rack,
        int except);
/* The replica at that place is on `to` instead. */
void balance_move(struct balance_broker *brokers,
        size_t n,
        struct balance_partition *p,
        int place,
        struct balance_broker *to);

/* [CTL-80] Bytes of brokers even, as far as that needs no broker to have more replicas. `was`: where the replicas are
 * now; what is elsewhere has to be copied. False: nothing was changed. */
bool balance_even_bytes(struct balance_broker *brokers,
        size_t n,
        struct balance_partition *partitions,
        size_t n_partitions,
        const struct broker_set *was);
