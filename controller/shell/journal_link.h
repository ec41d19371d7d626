/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/net/resolve.h"
#include "common/net/rpc.h"
#include "common/wire/messages.h"

/* A connection to the broker that leads the decision journal, as a client of it: looked up in the
 * committed image, greeted, and then asked. One connection at a time; whoever has it decides when
 * to dial again. Thread: control. */
struct journal_link;
struct meta_log;

struct journal_link_options {
    struct loop *loop;
    struct resolver *resolver;
    const struct meta_log *log;
    const char *listener; /* of the brokers, the one that controllers dial; borrowed */
    const char *client_id;
    /* Greeted: it may be asked. Never inside journal_link_dial(). */
    void (*on_up)(void *ctx);
    /* It did not come up, or broke; `why` is a sentence. Calls under way have ended before. Never inside
     * journal_link_dial(). */
    void (*on_down)(void *ctx, const char *why);
    void *ctx;
};

struct journal_link *journal_link_new(const struct journal_link_options *options);
struct journal_link *journal_link_free(struct journal_link *l);
void journal_link_dial(struct journal_link *l, const struct uuid *cluster_id);
/* At once and without on_down; calls under way end in here with NETWORK_EXCEPTION. */
void journal_link_close(struct journal_link *l);
/* NULL, or a sentence: why there is nobody to dial. */
const char *journal_link_trouble(const struct journal_link *l);

/* Of the partition as it was dialled. */
struct uuid journal_link_topic(const struct journal_link *l);
typedef void journal_reply_fn(void *ctx, struct rpc_reply *reply);
void journal_link_list(struct journal_link *l, int64_t timestamp, journal_reply_fn *fn, void *ctx);
/* At most `bytes_max`, but a whole batch when there is one. Does not wait for more. */
void journal_link_fetch(struct journal_link *l,
        offset64 offset,
        uint32_t bytes_max,
        journal_reply_fn *fn,
        void *ctx);
/* acks=all. Copies the batch. */
void journal_link_produce(
        struct journal_link *l, struct bytes batch, journal_reply_fn *fn, void *ctx);

/* The answers. NULL, or why it is none: a sentence that lives in `arena` or for ever. What is
 * fetched lies below the end, so that one without records is none. */
const char *journal_reply_offset(const struct rpc_reply *reply, struct arena *arena, offset64 *ret);
const char *journal_reply_records(
        const struct rpc_reply *reply, struct arena *arena, struct msg_fetch_result *ret);
const char *journal_reply_produced(const struct rpc_reply *reply, struct arena *arena);
