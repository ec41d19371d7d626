/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "broker/core/replica.h"
#include "common/base/bytes.h"

#include <stdbool.h>

/* A replica of broker 1 with its story: trace lines, and one line for each effect. */
struct fixture {
    struct replica r;
    struct replica_fx fx;
    struct buf story;
    struct trace trace;
    wtime now;
    bool is_isolated; /* the control plane is not heard */
    const struct replica_session *sessions;
    size_t n_sessions;
};

struct fixture *fixture_new(offset64 log_end, offset64 high_watermark);
void fixture_free(struct fixture *f);
void step(struct fixture *f, const struct replica_event *ev);
const char *story(struct fixture *f);
void forget_story(struct fixture *f);
struct partition_state record(broker_id leader, epoch32 leader_epoch, epoch32 partition_epoch);
void become_as(struct fixture *f, const struct partition_state *p, bool may_lead, bool fsync);
void become(struct fixture *f, struct partition_state p);
struct replica_ask ask(uint64_t request);
void produce(struct fixture *f, uint64_t request, int32_t acks);
void appended(struct fixture *f, uint64_t request, int32_t acks, int n);
void repeated(struct fixture *f, uint64_t request, int32_t acks, offset64 base, offset64 last);
void flushed(struct fixture *f, offset64 offset);
void fetch(struct fixture *f, uint64_t request, epoch32 epoch, offset64 offset);
void wait_for(struct fixture *f, uint64_t request, epoch32 epoch, offset64 seen);
