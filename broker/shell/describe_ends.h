/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/net/rpc.h"

struct broker;

/* DescribeEnds: how far the logs of these partitions reach, whoever leads them. Looked up on the pool, because it takes
 * their locks; nobody gets an answer whose connection is gone. Thread: control. */
void describe_ends(struct broker *b, struct rpc_conn *c, struct rpc_request *r);
