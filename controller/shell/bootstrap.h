/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/uuid.h"
#include "common/zk/zk.h"

/* Makes what Weir needs in ZooKeeper when it is not there (the chroot, the folders, /weir/epoch, /weir/id) and reads the
 * cluster's identity. [ZK-1] Thread: control. */
struct bootstrap;

/* `done` runs once for each start that is not overtaken: `trouble` NULL = `cluster_id` stands; otherwise a sentence.
 * Nothing is told when the connection broke meanwhile: the owner starts again when it is back. */
struct bootstrap *bootstrap_new(struct zk *zk,
        void (*done)(void *ctx, const char *trouble, const struct uuid *cluster_id),
        void *ctx);
struct bootstrap *bootstrap_free(struct bootstrap *b); /* after zk_free() */
void bootstrap_start(struct bootstrap *b);
