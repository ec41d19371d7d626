/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/wire/messages.h"
#include "common/zk/zk.h"

/* The brokers' ephemeral nodes: who is here, in which incarnation, and whose registration is not accepted. A broker's
 * epoch is the czxid of its node; equal or not is all that is asked of it. [ZK-40] Thread: control. */
struct broker_watch;

struct broker_watch_options {
    const char *listener; /* name of the broker listener that controllers dial; borrowed */
    const char *boot_id;  /* of this machine; borrowed; "" = not known */
    /* The feature level in force. */
    int32_t (*feature_level)(void *ctx);
    /* A new broker, or a new incarnation; borrowed. */
    /* prev_epoch: which incarnation it says was before; BROKER_EPOCH_NONE = none. */
    void (*on_seen)(void *ctx, const struct meta_register_broker *broker, int64_t prev_epoch);
    /* Its node is gone, or was replaced by one that is not accepted. A new incarnation comes without it. */
    void (*on_gone)(void *ctx, broker_id id, int64_t epoch);
    /* The first complete listing since the start was told. */
    void (*on_listed)(void *ctx);
    void *ctx;
};

struct broker_refusal {
    broker_id id;
    int64_t epoch;
    char *problem;
    struct msg_broker_reg *registration; /* NULL = it does not decode */
    struct arena arena;                  /* holds the registration */
    uint8_t *value;                      /* what it was decoded from */
};

struct broker_watch *broker_watch_new(struct zk *zk, const struct broker_watch_options *options);
struct broker_watch *broker_watch_free(struct broker_watch *w); /* after zk_free() */
/* Begins to tell, from nothing: everybody is seen anew. */
void broker_watch_start(struct broker_watch *w, const struct uuid *cluster_id);
/* Stops telling and forgets everybody, without on_gone. */
void broker_watch_stop(struct broker_watch *w);
/* The connection came back. */
void broker_watch_refresh(struct broker_watch *w);

size_t broker_watch_n_refusals(const struct broker_watch *w);
const struct broker_refusal *broker_watch_refusal(
        const struct broker_watch *w, size_t i); /* sorted by id */
