/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/shell/broker_link.h"

#include "common/domain/errcode.h"
#include "common/obs/log.h"

/* What a broker runs with is asked from the broker itself: its file is on its machine. */

enum {
    CONFIGS_TIMEOUT_MS = 2000
};

struct configs_ask {
    broker_configs_fn *fn;
    void *ctx;
};

static void on_answer(void *ctx, struct rpc_reply *reply)
{
    struct configs_ask *ask = ctx;
    struct msg_describe_configs_response m = {0};
    struct arena a;
    bool is_good = false;

    arena_init(&a, wire_arena_ceiling(reply->body.size));
    if (reply->error == ERRCODE_NONE) {
        is_good = wire_decode_describe_configs_response(reply->body, &a, &m) == 0;
    } else {
        log_warn("broker_link", "configs_not_told", KV_STR("code", errcode_name(reply->error)),
                KV_STR("reason", reply->detail));
    }
    ask->fn(ask->ctx, is_good ? &m : NULL);
    arena_deinit(&a);
    mem_free(ask);
}

void link_describe_configs(struct broker_link *l, broker_configs_fn *fn, void *ctx)
{
    const struct msg_describe_configs_request m = {0};
    struct configs_ask *ask = mem_new(struct configs_ask);
    struct rpc_out *out = rpc_out_new();

    must(l->state == LINK_UP);
    ask->fn = fn;
    ask->ctx = ctx;
    wire_encode_describe_configs_request(&m, rpc_out_buf(out));
    rpc_call(l->conn, API_DESCRIBE_CONFIGS, CONFIGS_TIMEOUT_MS, out, on_answer, ask);
}
