/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "tests/cluster/broker_world.h"

/* Topics of one partition whose records say which they are: record i of a topic is batch i of one idempotent producer,
 * has NUMBERED_SIZE bytes, and stands at offset i, whatever happened. Thread: one. */

enum {
    NUMBERED_SIZE = 300 * 1024 /* three of them, and no fourth, go into a segment of a MiB */
};

/* The timestamp of that record. */
wall_ms numbered_time(int32_t number);
/* With segments of a MiB. */
void create_numbered(struct world *w, uint8_t topic, const char *name);
/* Sends batch `number`; when it is taken its offset is right. */
struct msg_produce_result put_numbered(struct world *w, uint8_t topic, int32_t number);
/* Reads from offset `from` on as far as the broker gives records, checks that they are the right ones, and returns the
 * offset behind the last; *ret_error is that of the answer which ended it. */
offset64 read_numbered(struct world *w, uint8_t topic, offset64 from, int *ret_error);
/* After stop_broker(): the same broker again, with a client. */
void start_again(struct world *w);
