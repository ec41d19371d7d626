/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/err.h"

struct broker;
struct rpc_out;
struct rpc_request;

/* Carries DeleteRecords out, whoever asks. 0: the request is taken, and `answer` gets the answer's body when the log
 * starts are on the disk (Thread: pool). > 0: WIRE_E_*, the request is still the caller's. Thread: data or pool. */
MUST_CHECK int trim_begin(struct broker *b,
        struct rpc_request *r,
        void (*answer)(void *ctx, struct rpc_out *out),
        void *ctx);
/* The same on the pool, for who may not wait for a partition's lock; takes the request. `answer` or `on_refusal` (a body
 * that cannot be read; `detail` is static) runs once. Thread: control. */
void trim_order(struct broker *b,
        struct rpc_request *r,
        void (*answer)(void *ctx, struct rpc_out *out),
        void (*on_refusal)(void *ctx, int error, const char *detail),
        void *ctx);
