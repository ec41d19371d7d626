/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

/* Scalars of the domain; their origin is in docs/design/10-replication.md. */

typedef int64_t offset64;  /* position of a record in a partition; -1 = none */
typedef int32_t epoch32;   /* leader epoch or partition epoch; -1 = none */
typedef int32_t broker_id; /* 0 … INT32_MAX as configured; -1 = none */

#define OFFSET_NONE ((offset64)-1)
#define EPOCH_NONE ((epoch32)-1)
#define BROKER_NONE ((broker_id)-1)
/* A broker's incarnation: czxid of its ephemeral node (KIP-380). Compared for equality; for age only
 * by [CTL-3]. */
#define BROKER_EPOCH_NONE ((int64_t)-1)

enum {
    REPLICAS_MAX = 8,             /* members of one replica set, also during a reassignment */
    TOPIC_NAME_MAX = 249,         /* bytes, as Kafka */
    PARTITIONS_PER_TOPIC_MAX = 100000,
};
