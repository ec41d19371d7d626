/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/net/loop.h"

/* Runs the loop in this thread until `holds(ctx)`, asked every 5 ms, or until the time is over; returns what it said
 * last. */
bool loop_until(struct loop *loop, int timeout_ms, bool (*holds)(void *ctx), void *ctx);
/* Runs the loop for that long. */
void loop_for(struct loop *loop, int ms);
