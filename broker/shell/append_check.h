/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "broker/core/append_rules.h"
#include "common/base/arena.h"
#include "common/domain/record_batch.h"

/* One partition's batch of a Produce, from its bytes to what may be appended: form, the topic's rules (broker/core
 * append_rules), and compression where the topic has its own. Nothing here takes a lock. */

struct append_check {
    struct append_rules rules;
    wall_ms now;
    struct batch batch; /* what is to be appended */
    enum append_look look;
    struct buf recoded; /* holds batch.bytes when the batch was written anew */
    int error;          /* ERRCODE_* of a refusal */
    const char *detail; /* static or in the arena */
};

/* Looks at what costs little: form, checksum, header. `bytes` stay where they are. Thread: data. */
void append_check_begin(struct append_check *c,
        const struct append_rules *rules,
        wall_ms now,
        struct bytes bytes,
        struct arena *arena);
/* [LOG-108] Whether the rest is work for the pool. */
bool append_check_is_long(const struct append_check *c);
/* The rest. Thread: data, or pool when it is long. */
void append_check_end(struct append_check *c, struct arena *arena);
void append_check_deinit(struct append_check *c);
