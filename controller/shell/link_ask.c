/* SPDX-License-Identifier: Apache-2.0 */
#include "common/domain/errcode.h"
#include "common/obs/log.h"
#include "controller/shell/broker_link.h"

/* What only a broker knows is asked from that broker, each time, and kept nowhere else: what it
 * runs with (its file is on its machine), what its log directories hold, how far the logs reach, and whether the starts of
 * the logs that it leads were moved, which it answers when they are on its disks. */

enum {
    CONFIGS_TIMEOUT_MS = 2000,
    LOGS_TIMEOUT_MS = 3000,
    ENDS_TIMEOUT_MS = 3000,
    TRIM_TIMEOUT_MS = 30000
};

struct link_ask {
    /* Decodes a good answer and hands it on; `body` NULL = there is none. */
    void (*give)(const struct link_ask *ask, const struct bytes *body, struct arena *arena);
    const char *event; /* in the log when the broker refuses */

    union {
        broker_configs_fn *configs;
        broker_logs_fn *logs;
        broker_trim_fn *trim;
        broker_ends_fn *ends;
    } fn;
    void *ctx;
};

static void give_configs(const struct link_ask *ask, const struct bytes *body, struct arena *arena)
{
    struct msg_describe_configs_response m = {0};
    bool is_good = body != NULL && wire_decode_describe_configs_response(*body, arena, &m) == 0;

    ask->fn.configs(ask->ctx, is_good ? &m : NULL);
}

static void give_logs(const struct link_ask *ask, const struct bytes *body, struct arena *arena)
{
    struct msg_describe_logs_response m = {0};
    bool is_good = body != NULL && wire_decode_describe_logs_response(*body, arena, &m) == 0;

    ask->fn.logs(ask->ctx, is_good ? &m : NULL);
}

static void give_trim(const struct link_ask *ask, const struct bytes *body, struct arena *arena)
{
    struct msg_delete_records_response m = {0};
    bool is_good = body != NULL && wire_decode_delete_records_response(*body, arena, &m) == 0;

    ask->fn.trim(ask->ctx, is_good ? &m : NULL);
}

static void give_ends(const struct link_ask *ask, const struct bytes *body, struct arena *arena)
{
    struct msg_describe_ends_response m = {0};
    bool is_good = body != NULL && wire_decode_describe_ends_response(*body, arena, &m) == 0;

    ask->fn.ends(ask->ctx, is_good ? &m : NULL);
}

static void on_answer(void *ctx, struct rpc_reply *reply)
{
    struct link_ask *ask = ctx;
    bool is_told = reply->error == ERRCODE_NONE;
    struct arena a;

    if (!is_told) {
        log_warn("broker_link", ask->event, KV_STR("code", errcode_name(reply->error)),
                KV_STR("reason", reply->detail));
    }
    arena_init(&a, wire_arena_ceiling(reply->body.size));
    ask->give(ask, is_told ? &reply->body : NULL, &a);
    arena_deinit(&a);
    mem_free(ask);
}

static void ask_broker(struct broker_link *l,
        uint32_t api,
        uint32_t timeout_ms,
        struct rpc_out *out,
        const struct link_ask *ask)
{
    struct link_ask *kept = mem_new(struct link_ask);

    must(l->state == LINK_UP);
    *kept = *ask;
    rpc_call(l->conn, api, timeout_ms, out, on_answer, kept);
}

void link_describe_configs(struct broker_link *l, broker_configs_fn *fn, void *ctx)
{
    const struct msg_describe_configs_request m = {0};
    struct rpc_out *out = rpc_out_new();

    wire_encode_describe_configs_request(&m, rpc_out_buf(out));
    ask_broker(l, API_DESCRIBE_CONFIGS, CONFIGS_TIMEOUT_MS, out,
            &(struct link_ask){.give = give_configs,
                    .event = "configs_not_told",
                    .fn.configs = fn,
                    .ctx = ctx});
}

void link_describe_logs(struct broker_link *l, bool with_topics, broker_logs_fn *fn, void *ctx)
{
    const struct msg_describe_logs_request m = {.with_topics = with_topics};
    struct rpc_out *out = rpc_out_new();

    wire_encode_describe_logs_request(&m, rpc_out_buf(out));
    ask_broker(l, API_DESCRIBE_LOGS, LOGS_TIMEOUT_MS, out,
            &(struct link_ask){
                    .give = give_logs, .event = "logs_not_told", .fn.logs = fn, .ctx = ctx});
}

void link_delete_records(struct broker_link *l,
        const struct msg_delete_records_request *m,
        broker_trim_fn *fn,
        void *ctx)
{
    struct rpc_out *out = rpc_out_new();

    wire_encode_delete_records_request(m, rpc_out_buf(out));
    ask_broker(l, API_DELETE_RECORDS, TRIM_TIMEOUT_MS, out,
            &(struct link_ask){
                    .give = give_trim, .event = "records_not_deleted", .fn.trim = fn, .ctx = ctx});
}

void link_describe_ends(struct broker_link *l,
        const struct msg_describe_ends_request *m,
        broker_ends_fn *fn,
        void *ctx)
{
    const struct link_ask ask = {
            .give = give_ends, .event = "ends_not_told", .fn.ends = fn, .ctx = ctx};
    struct rpc_out *out = rpc_out_new();

    wire_encode_describe_ends_request(m, rpc_out_buf(out));
    ask_broker(l, API_DESCRIBE_ENDS, ENDS_TIMEOUT_MS, out, &ask);
}
