/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/shell/journal_link.h"

#include "common/base/mem.h"
#include "common/base/must.h"
#include "common/domain/errcode.h"
#include "common/domain/name_rules.h"
#include "controller/shell/meta_log.h"

#include <stdio.h>

#define JOURNAL_CONNECT_MAX WTIME_S(3)

enum {
    JOURNAL_CALL_MS = 10000,
    JOURNAL_FRAME_MAX = 4 * 1024 * 1024, /* above what is asked for and any one batch */
};

struct journal_link {
    struct journal_link_options options;
    struct uuid cluster_id, topic_id;
    epoch32 leader_epoch;
    struct lookup *lookup;
    struct rpc_conn *conn;
    struct timer fail; /* nobody to dial: said in the next turn */
};

/* --- Whom to dial ------------------------------------------------------------------------------ */

static const struct partition_state *partition_of(const struct journal_link *l)
{
    const struct image_topic *t =
            image_topic_by_name(meta_log_image(l->options.log), TOPIC_DECISIONS);

    return t != NULL && t->internal && t->n_partitions > 0 ? &t->partitions[0] : NULL;
}

static const struct endpoint *endpoint_of(
        const struct journal_link *l, const struct partition_state *p)
{
    const struct image_broker *b =
            p != NULL ? image_broker(meta_log_image(l->options.log), p->leader) : NULL;

    return b != NULL ? image_broker_endpoint(b, l->options.listener) : NULL;
}

const char *journal_link_trouble(const struct journal_link *l)
{
    const struct partition_state *p = partition_of(l);

    if (p == NULL) {
        return "the topic " TOPIC_DECISIONS " is not there yet";
    }
    if (p->leader == BROKER_NONE) {
        return "the topic " TOPIC_DECISIONS " has no leader: the broker that holds it is away";
    }
    return endpoint_of(l, p) == NULL ? "the leader of " TOPIC_DECISIONS
                                       " has no listener that controllers dial"
                                     : NULL;
}

/* --- The connection ---------------------------------------------------------------------------- */

void journal_link_close(struct journal_link *l)
{
    struct rpc_conn *conn = mem_steal(&l->conn);

    timer_cancel(&l->fail);
    if (l->lookup != NULL) {
        lookup_cancel(l->lookup);
        l->lookup = NULL;
    }
    if (conn != NULL) {
        rpc_conn_close(conn);
    }
}

static void fail(struct journal_link *l, const char *why)
{
    journal_link_close(l);
    l->options.on_down(l->options.ctx, why);
}

static void on_hello(void *ctx, struct rpc_reply *reply)
{
    struct journal_link *l = ctx;
    struct msg_hello_response m = {0};
    struct arena a;
    bool is_right;

    if (l->conn == NULL || reply->error == ERRCODE_NETWORK_EXCEPTION) {
        return; /* closed; on_closed() goes on from there */
    }
    if (reply->error != ERRCODE_NONE) {
        fail(l, reply->detail[0] != '\0' ? reply->detail : errcode_text(reply->error));
        return;
    }
    arena_init(&a, wire_arena_ceiling(reply->body.size));
    is_right = wire_decode_hello_response(reply->body, &a, &m) == 0 &&
               uuid_equal(&m.cluster_id, &l->cluster_id);
    arena_deinit(&a);
    if (is_right) {
        l->options.on_up(l->options.ctx);
    } else {
        fail(l, "another cluster answers at the address of the leader of " TOPIC_DECISIONS);
    }
}

static void on_connected(void *owner, struct rpc_conn *conn)
{
    struct journal_link *l = owner;
    const struct msg_hello_request m = {.client_id = l->options.client_id,
            .role = ROLE_CLIENT,
            .cluster_id = l->cluster_id,
            .library = "weir-controller",
            .library_version = WEIR_VERSION,
            .feature_level = 1,
            .controller_id = -1};
    struct rpc_out *out = rpc_out_new();

    wire_encode_hello_request(&m, rpc_out_buf(out));
    rpc_call(conn, API_HELLO, JOURNAL_CALL_MS, out, on_hello, l);
}

static void on_closed(void *owner, struct rpc_conn *conn, const char *reason)
{
    struct journal_link *l = owner;

    l->conn = NULL;
    fail(l, reason);
}

static const struct rpc_callbacks callbacks = {
        .on_connected = on_connected, .on_closed = on_closed};

static void on_found(void *ctx, const struct resolved *result)
{
    struct journal_link *l = ctx;
    const struct rpc_limits limits = {
            .frame_max = JOURNAL_FRAME_MAX, .handshake_timeout = WTIME_NEVER};

    l->lookup = NULL;
    if (result->n == 0) {
        fail(l, "the name of the leader of " TOPIC_DECISIONS " is not found");
        return;
    }
    l->conn = rpc_conn_connect(l->options.loop, &result->addr[0], result->addr_len[0],
            JOURNAL_CONNECT_MAX, &limits, &callbacks, l);
}

static void on_nobody(void *ctx)
{
    struct journal_link *l = ctx;
    const char *why = journal_link_trouble(l);

    fail(l, why != NULL ? why : "the leader of " TOPIC_DECISIONS " has just changed");
}

void journal_link_dial(struct journal_link *l, const struct uuid *cluster_id)
{
    const struct partition_state *p = partition_of(l);
    const struct endpoint *e = endpoint_of(l, p);

    journal_link_close(l);
    if (e == NULL) {
        timer_set(&l->fail, 0);
        return;
    }
    l->cluster_id = *cluster_id;
    l->topic_id = p->topic_id;
    l->leader_epoch = p->leader_epoch;
    l->lookup = resolver_start(l->options.resolver, l->options.loop, e->host, e->port, on_found, l);
}

struct journal_link *journal_link_new(const struct journal_link_options *options)
{
    struct journal_link *l = mem_new(struct journal_link);

    l->options = *options;
    timer_init(&l->fail, options->loop, on_nobody, l);
    return l;
}

struct journal_link *journal_link_free(struct journal_link *l)
{
    if (l == NULL) {
        return NULL;
    }
    journal_link_close(l);
    timer_deinit(&l->fail);
    return mem_free(l);
}

/* --- Asking ------------------------------------------------------------------------------------ */

struct uuid journal_link_topic(const struct journal_link *l)
{
    return l->topic_id;
}

void journal_link_list(struct journal_link *l, int64_t timestamp, journal_reply_fn *fn, void *ctx)
{
    struct msg_list_offsets_partition p = {
            .topic_id = l->topic_id, .leader_epoch = l->leader_epoch, .timestamp = timestamp};
    const struct msg_list_offsets_request m = {.partitions = &p, .n_partitions = 1};
    struct rpc_out *out = rpc_out_new();

    wire_encode_list_offsets_request(&m, rpc_out_buf(out));
    rpc_call(l->conn, API_LIST_OFFSETS, JOURNAL_CALL_MS, out, fn, ctx);
}

void journal_link_fetch(struct journal_link *l,
        offset64 offset,
        uint32_t bytes_max,
        journal_reply_fn *fn,
        void *ctx)
{
    struct msg_fetch_partition p = {.topic_id = l->topic_id,
            .leader_epoch = l->leader_epoch,
            .fetch_offset = offset,
            .last_fetched_epoch = EPOCH_NONE,
            .max_bytes = bytes_max,
            .log_start = OFFSET_NONE,
            .flushed = OFFSET_NONE};
    const struct msg_fetch_request m = {.max_bytes = bytes_max,
            .replica = BROKER_NONE,
            .broker_epoch = BROKER_EPOCH_NONE,
            .partitions = &p,
            .n_partitions = 1};
    struct rpc_out *out = rpc_out_new();

    wire_encode_fetch_request(&m, rpc_out_buf(out));
    rpc_call(l->conn, API_FETCH, JOURNAL_CALL_MS, out, fn, ctx);
}

void journal_link_produce(
        struct journal_link *l, struct bytes batch, journal_reply_fn *fn, void *ctx)
{
    struct rpc_out *out = rpc_out_new();
    struct buf *b = rpc_out_buf(out);

    wire_produce_front(b, -1);
    wire_produce_partition_front(b, &l->topic_id, 0, batch.size);
    buf_append(b, batch.at, batch.size);
    rpc_call(l->conn, API_PRODUCE, JOURNAL_CALL_MS, out, fn, ctx);
}

/* --- Answers ----------------------------------------------------------------------------------- */

static const char *said(struct arena *arena, int error, const char *detail)
{
    char *copy;

    if (error == ERRCODE_NONE) {
        return NULL;
    }
    copy = detail != NULL && detail[0] != '\0' ? arena_strndup(arena, detail, strlen(detail))
                                               : NULL;
    return copy != NULL ? copy : errcode_text(error);
}

static const char undecodable[] = "its answer does not decode";

const char *journal_reply_offset(const struct rpc_reply *reply, struct arena *arena, offset64 *ret)
{
    struct msg_list_offsets_response m;
    const char *why = said(arena, reply->error, reply->detail);

    if (why == NULL && (wire_decode_list_offsets_response(reply->body, arena, &m) != 0 ||
                               m.n_partitions != 1)) {
        why = undecodable;
    }
    if (why == NULL) {
        why = said(arena, m.partitions[0].error, m.partitions[0].detail);
        *ret = m.partitions[0].offset;
    }
    return why;
}

const char *journal_reply_records(
        const struct rpc_reply *reply, struct arena *arena, struct msg_fetch_result *ret)
{
    struct msg_fetch_response m;
    const char *why = said(arena, reply->error, reply->detail);

    if (why == NULL &&
            (wire_decode_fetch_response(reply->body, arena, &m) != 0 || m.n_partitions != 1)) {
        why = undecodable;
    }
    if (why == NULL) {
        why = said(arena, m.partitions[0].error, m.partitions[0].detail);
        *ret = m.partitions[0];
    }
    if (why == NULL && ret->records.size == 0) {
        why = "the broker that holds " TOPIC_DECISIONS " did not read it in time";
    }
    return why;
}

const char *journal_reply_produced(const struct rpc_reply *reply, struct arena *arena)
{
    struct msg_produce_response m;
    const char *why = said(arena, reply->error, reply->detail);

    if (why == NULL &&
            (wire_decode_produce_response(reply->body, arena, &m) != 0 || m.n_partitions != 1)) {
        why = undecodable;
    }
    return why != NULL ? why : said(arena, m.partitions[0].error, m.partitions[0].detail);
}
