/* SPDX-License-Identifier: Apache-2.0 */
#include "common/domain/errcode.h"
#include "common/obs/log.h"
#include "controller/shell/broker_link.h"

/* What log directories hold is asked from their broker, each time: it is kept nowhere else. */

enum {
    LOGS_TIMEOUT_MS = 3000
};

struct logs_ask {
    broker_logs_fn *fn;
    void *ctx;
};

static void on_answer(void *ctx, struct rpc_reply *reply)
{
    struct logs_ask *ask = ctx;
    struct msg_describe_logs_response m = {0};
    struct arena a;
    bool is_good = false;

    arena_init(&a, wire_arena_ceiling(reply->body.size));
    if (reply->error == ERRCODE_NONE) {
        is_good = wire_decode_describe_logs_response(reply->body, &a, &m) == 0;
    } else {
        log_warn("broker_link", "logs_not_told", KV_STR("code", errcode_name(reply->error)),
                KV_STR("reason", reply->detail));
    }
    ask->fn(ask->ctx, is_good ? &m : NULL);
    arena_deinit(&a);
    mem_free(ask);
}

void link_describe_logs(struct broker_link *l, bool with_topics, broker_logs_fn *fn, void *ctx)
{
    const struct msg_describe_logs_request m = {.with_topics = with_topics};
    struct logs_ask *ask = mem_new(struct logs_ask);
    struct rpc_out *out = rpc_out_new();

    must(l->state == LINK_UP);
    ask->fn = fn;
    ask->ctx = ctx;
    wire_encode_describe_logs_request(&m, rpc_out_buf(out));
    rpc_call(l->conn, API_DESCRIBE_LOGS, LOGS_TIMEOUT_MS, out, on_answer, ask);
}
