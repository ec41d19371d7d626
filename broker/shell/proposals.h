/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "broker/shell/partition.h"

/* What this broker's partitions want of the controller, over its connection: another ISR (AlterPartition), and to leave ISR and
 * ELR (ReplicaFailed).
 *
 *   any thread: partition ──add──▶ queue ──▶ control loop: one request for all ──▶ controller
 *   data loop: partition ◀── partition_answered() ◀── its answer; without one NOT_CONTROLLER or REQUEST_TIMED_OUT
 *
 * Each proposal is answered exactly once. Whether and when it is made again is the core's to say. */
struct proposals;
struct broker;

struct proposals *proposals_new(struct broker *b);
/* After the link to the controller, the data loops and the pool have ended. Takes NULL. Thread: main. */
struct proposals *proposals_free(struct proposals *q);
void proposals_add(
        struct proposals *q, struct partition *p, const struct replica_proposal *x); /* Thread: any */
/* `reason`: static. Not answered: the core reports again until the record shows it. Thread: any. */
void proposals_report(struct proposals *q, struct partition *p, const char *reason);
