/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "broker/shell/partition.h"

struct broker;

/* Cold reads: what a fetch needs and has first to be brought into memory, and checked, is read on
 * threads of its folder, so that no loop waits for a disk, and no disk for another one.
 *
 *   fetch ──▶ COLD ──cold_reads_ask──▶ queue of its folder ──▶ partition_warm ──▶ wake (is_warm)
 *     ▲                                                                                  │
 *     └───────────────────────────────── looks again ◀──────────────────────────────────┘
 *
 * One read a partition and offset, however many fetches wait for it. [LOG-84] [LOG-85] */
struct cold_reads;

enum {
    COLD_READ_SIZE = 1024 * 1024, /* of a read, but whole batches */
    COLD_READS_MAX = 1024,        /* that wait or run, of a broker */
};

struct cold_reads *cold_reads_new(struct broker *b);
/* What has not begun is dropped. Takes NULL. Thread: main. */
struct cold_reads *cold_reads_free(struct cold_reads *c);
/* `waiter` is woken when it is over, with ERRCODE_REPLICA_NOT_AVAILABLE when it could not be
 * made. False: too many wait. Thread: data. */
bool cold_reads_ask(struct cold_reads *c,
        struct partition *p,
        const struct partition_cold *cold,
        const struct replica_ask *waiter);
