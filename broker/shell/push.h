/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/wire/messages.h"

struct broker;
struct image;

/* Applies what a controller pushes to the broker's image, and posts the roles that follow. Thread: control. */
struct push {
    struct broker *b;
    struct image *incoming; /* a snapshot under way */
    uint64_t incoming_index;
    uint32_t next_chunk;
    char trouble[256];
    bool is_regressed; /* the trouble is metadata that went back, so the right metadata ends it */
};

enum push_result {
    PUSH_DONE, /* applied, or known already */
    PUSH_NEED, /* a gap or another chain: send again from what is applied */
};

void push_init(struct push *p, struct broker *b);
void push_deinit(struct push *p);
enum push_result push_apply(struct push *p, const struct msg_push_request *m);
/* The controller has committed up to here. Ours being further is metadata that went back ([BRK-13]); true when that
 * was found now. */
bool push_check_committed(struct push *p, uint64_t committed_index);
/* The connection is another one: a snapshot half received is dropped. */
void push_forget_snapshot(struct push *p);
/* Why nothing is applied any more; "" = nothing is wrong. [RBD-10] Metadata that went back is over with the first batch
 * that continues what was applied here; everything else with a restart. */
const char *push_trouble(const struct push *p);
