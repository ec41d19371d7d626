/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/shell/broker_link.h"

#include "common/domain/errcode.h"
#include "common/obs/log.h"

/* Log starts are moved by the partitions' leaders; the answer comes when that is on their disks. */

enum {
    TRIM_TIMEOUT_MS = 30000
};

struct trim_ask {
    broker_trim_fn *fn;
    void *ctx;
};

static void on_answer(void *ctx, struct rpc_reply *reply)
{
    struct trim_ask *ask = ctx;
    struct msg_delete_records_response m = {0};
    struct arena a;
    bool is_good = false;

    arena_init(&a, wire_arena_ceiling(reply->body.size));
    if (reply->error == ERRCODE_NONE) {
        is_good = wire_decode_delete_records_response(reply->body, &a, &m) == 0;
    } else {
        log_warn("broker_link", "records_not_deleted", KV_STR("code", errcode_name(reply->error)),
                KV_STR("reason", reply->detail));
    }
    ask->fn(ask->ctx, is_good ? &m : NULL);
    arena_deinit(&a);
    mem_free(ask);
}

void link_delete_records(struct broker_link *l,
        const struct msg_delete_records_request *m,
        broker_trim_fn *fn,
        void *ctx)
{
    struct trim_ask *ask = mem_new(struct trim_ask);
    struct rpc_out *out = rpc_out_new();

    must(l->state == LINK_UP);
    ask->fn = fn;
    ask->ctx = ctx;
    wire_encode_delete_records_request(m, rpc_out_buf(out));
    rpc_call(l->conn, API_DELETE_RECORDS, TRIM_TIMEOUT_MS, out, on_answer, ask);
}
