/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/net/rpc.h"

struct broker;

/* DescribeLogs: what the log directories hold, by topic, and what is in their trash. It is summed up on the pool, so the
 * answer comes in a later turn; nobody gets one whose connection is gone. Thread: control. */
void describe_logs(struct broker *b, struct rpc_conn *c, struct rpc_request *r);
