/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/ctl_link.h"

#include <stdio.h>

#include "broker/shell/broker.h"
#include "broker/shell/broker_configs.h"
#include "broker/shell/describe_ends.h"
#include "broker/shell/describe_logs.h"
#include "broker/shell/errcode_map.h"
#include "broker/shell/keeper.h"
#include "broker/shell/keeper_image.h"
#include "broker/shell/producer_ids.h"
#include "broker/shell/push.h"
#include "broker/shell/registration.h"
#include "broker/shell/roles.h"
#include "broker/shell/trim.h"
#include "common/base/mem.h"
#include "common/base/must.h"
#include "common/conf/conf.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"

enum {
    READY_RETRY_MS = 500,
    ADOPTION_POLL_MS = 10,
    READY_TIMEOUT_MS = 5000,
    SHUTDOWN_RETRY_MS = 200,
    SHUTDOWN_TIMEOUT_MS = 2000,
    PRODUCER_IDS_TIMEOUT_MS = 5000,
    DIRS_MAX = 64,
};

struct ctl_link {
    struct broker *b;
    struct rpc_conn *c; /* NULL = no controller is connected */
    uint64_t max_ctl_epoch;
    int32_t controller_id;
    struct push push;

    wtime lease_until; /* 0 = no Beat yet */
    struct timer lease_timer;
    char **controllers;
    size_t n_controllers;

    struct timer ready_timer;
    bool is_ready_asked;   /* BrokerReady is under way */
    int64_t settled_epoch; /* incarnation whose unfencing was noted */

    struct timer shutdown_timer;
    bool is_shutdown_asked;  /* under way */
    uint64_t shutdown_index; /* apply up to here; valid with is_shutdown_done */
    bool is_shutdown_done;
    void (*shutdown_fn)(void *ctx, bool done); /* NULL = not asked, or told */
    void *shutdown_ctx;
};

/* --- Ready and settled ------------------------------------------------------------------------------------------- */

static void consider_ready(struct ctl_link *l);

static void on_ready_answer(void *ctx, struct rpc_reply *reply)
{
    struct ctl_link *l = ctx;

    l->is_ready_asked = false;
    if (reply->error != ERRCODE_NONE) {
        log_warn("ctl_link", "ready_refused", KV_STR("reason", errcode_name(reply->error)),
                KV_STR("detail", reply->detail));
    }
    /* Asked again until the unfencing shows in the image. */
    timer_set(&l->ready_timer, wtime_add(loop_now(l->b->control), WTIME_MS(READY_RETRY_MS)));
}

static void send_ready(struct ctl_link *l)
{
    struct msg_broker_ready_request m = {
            .broker_epoch = broker_epoch(l->b), .applied_index = image_position(l->b->image).index};
    struct rpc_out *out = rpc_out_new();

    m.failed = roles_failed(l->b, &m.n_failed);
    wire_encode_broker_ready_request(&m, rpc_out_buf(out));
    log_info("ctl_link", "ready_sent", KV_I64("broker_epoch", m.broker_epoch),
            KV_U64("applied_index", m.applied_index), KV_U64("failed", m.n_failed));
    (void)mem_free(m.failed);
    l->is_ready_asked = true;
    rpc_call(l->c, API_BROKER_READY, READY_TIMEOUT_MS, out, on_ready_answer, l);
}

/* [BRK-9] Ready is said once the own registration was applied, and until the unfencing is. */
static void consider_ready(struct ctl_link *l)
{
    const struct image_broker *me = image_broker(l->b->image, l->b->id);
    int64_t epoch = broker_epoch(l->b);

    if (me == NULL || !registration_stands(l->b->registration) || me->epoch != epoch ||
            push_trouble(&l->push)[0] != '\0') {
        return;
    }
    if (me->state == BROKER_FENCED) {
        if (l->c != NULL && !keeper_is_adopted(l->b->keeper)) { /* [BRK-8] */
            timer_set(&l->ready_timer,
                    wtime_add(loop_now(l->b->control), WTIME_MS(ADOPTION_POLL_MS)));
        } else if (l->c != NULL && !l->is_ready_asked && l->ready_timer.deadline == WTIME_NEVER) {
            send_ready(l);
        }
        return;
    }
    if (l->settled_epoch != epoch) {
        l->settled_epoch = epoch;
        log_info("ctl_link", "unfenced", KV_I64("broker_epoch", epoch));
        keeper_settled(l->b->keeper);
        registration_settled(l->b->registration);
        producer_ids_prepare(l->b->producer_ids);
    }
}

static void on_ready_timer(void *ctx)
{
    struct ctl_link *l = ctx;

    timer_cancel(&l->ready_timer);
    consider_ready(l);
}

void ctl_link_registration_changed(struct ctl_link *l)
{
    roles_all(l->b); /* [REP-20] The image may have been ahead of this registration. */
    if (l->c != NULL) {
        /* Its Hello was answered with the former incarnation: it dials again and hears the new one. */
        rpc_conn_close(l->c);
        l->c = NULL;
        log_info("ctl_link", "controller_dropped",
                KV_STR("reason", "this broker's registration changed"));
    }
    consider_ready(l);
}

/* --- Shutdown ---------------------------------------------------------------------------------------------------- */

static void end_shutdown(struct ctl_link *l, bool done)
{
    void (*fn)(void *ctx, bool ok) = l->shutdown_fn;

    if (fn != NULL) {
        l->shutdown_fn = NULL;
        timer_cancel(&l->shutdown_timer);
        fn(l->shutdown_ctx, done);
    }
}

static void consider_shutdown(struct ctl_link *l)
{
    if (l->is_shutdown_done && image_position(l->b->image).index >= l->shutdown_index) {
        end_shutdown(l, true);
    }
}

static void on_shutdown_answer(void *ctx, struct rpc_reply *reply)
{
    struct msg_controlled_shutdown_response m = {0};
    struct ctl_link *l = ctx;
    struct arena arena;
    int r = WIRE_E_FORM;

    l->is_shutdown_asked = false;
    arena_init(&arena, wire_arena_ceiling(reply->body.size));
    if (reply->error == ERRCODE_NONE) {
        r = wire_decode_controlled_shutdown_response(reply->body, &arena, &m);
    }
    arena_deinit(&arena);
    if (r == 0 && m.done) {
        l->is_shutdown_done = true;
        l->shutdown_index = m.index;
        consider_shutdown(l);
    } else if (l->shutdown_fn != NULL) {
        timer_set(&l->shutdown_timer,
                wtime_add(loop_now(l->b->control), WTIME_MS(SHUTDOWN_RETRY_MS)));
    }
}

static void ask_shutdown(void *ctx)
{
    struct ctl_link *l = ctx;
    struct msg_controlled_shutdown_request m = {.broker_epoch = broker_epoch(l->b)};
    struct rpc_out *out;

    if (l->shutdown_fn == NULL || l->is_shutdown_asked || l->is_shutdown_done) {
        return;
    }
    if (l->c == NULL) { /* Another controller may take over within the time allowed. */
        timer_set(&l->shutdown_timer,
                wtime_add(loop_now(l->b->control), WTIME_MS(SHUTDOWN_RETRY_MS)));
        return;
    }
    out = rpc_out_new();
    wire_encode_controlled_shutdown_request(&m, rpc_out_buf(out));
    l->is_shutdown_asked = true;
    rpc_call(l->c, API_CONTROLLED_SHUTDOWN, SHUTDOWN_TIMEOUT_MS, out, on_shutdown_answer, l);
}

bool ctl_link_shutdown(struct ctl_link *l, void (*fn)(void *ctx, bool done), void *ctx)
{
    if (l->c == NULL || broker_epoch(l->b) == BROKER_EPOCH_NONE) {
        return false;
    }
    l->shutdown_fn = fn;
    l->shutdown_ctx = ctx;
    ask_shutdown(l);
    return true;
}

/* --- Producer ids ----------------------------------------------------------------------------- */

bool ctl_link_ask_producer_ids(
        struct ctl_link *l, void (*fn)(void *ctx, struct rpc_reply *reply), void *ctx)
{
    struct msg_allocate_producer_ids_request m = {.broker_epoch = broker_epoch(l->b)};
    struct rpc_out *out;

    if (l->c == NULL || m.broker_epoch == BROKER_EPOCH_NONE) {
        return false;
    }
    out = rpc_out_new();
    wire_encode_allocate_producer_ids_request(&m, rpc_out_buf(out));
    rpc_call(l->c, API_ALLOCATE_PRODUCER_IDS, PRODUCER_IDS_TIMEOUT_MS, out, fn, ctx);
    return true;
}

/* --- Requests of the controller ---------------------------------------------------------------------------------- */

static void on_lease_over(void *ctx)
{
    struct ctl_link *l = ctx;

    if (ctl_link_is_isolated(l)) {
        log_warn("ctl_link", "isolated", KV_I64("lease_ms", conf_i64(l->b->conf, "weir.lease.ms")),
                KV_STR("reason", "no word of a controller within the lease; serving goes on"));
        metric_set(METRIC_BROKER_ISOLATED, 1);
    }
}

static void renew_lease(struct ctl_link *l, uint32_t lease_ms)
{
    wtime now = loop_now(l->b->control);
    wtime lease = WTIME_MS(conf_i64(l->b->conf, "weir.lease.ms"));

    if (lease_ms > 0) {
        lease = wtime_min(lease, WTIME_MS((wtime)lease_ms));
    }
    l->lease_until = wtime_add(now, lease);
    atomic_store(&l->b->env.lease_until, l->lease_until);
    timer_set(&l->lease_timer, l->lease_until);
    metric_set(METRIC_BROKER_ISOLATED, 0);
}

static void free_controllers(struct ctl_link *l)
{
    for (size_t i = 0; i < l->n_controllers; i++) {
        (void)mem_free(l->controllers[i]);
    }
    l->controllers = mem_free(l->controllers);
    l->n_controllers = 0;
}

static void keep_controllers(struct ctl_link *l, const struct msg_beat_request *m)
{
    free_controllers(l);
    l->controllers = mem_new_n(char *, m->n_controllers + 1);
    for (size_t i = 0; i < m->n_controllers; i++) {
        l->controllers[l->n_controllers++] = mem_strdup(m->controllers[i]);
    }
}

static void drop(struct ctl_link *l, const char *reason)
{
    log_warn("ctl_link", "controller_dropped", KV_STR("peer", rpc_conn_peer(l->c)),
            KV_STR("reason", reason));
    rpc_conn_close_after_flush(l->c);
}

/* [BRK-7] A message under another epoch than the connection's is not believed. */
static bool epoch_is_right(struct ctl_link *l, struct rpc_request *r, uint64_t ctl_epoch)
{
    if (ctl_epoch == l->max_ctl_epoch) {
        return true;
    }
    rpc_answer(l->c, &r->header, ERRCODE_NOT_CONTROLLER,
            "the message is of another controller epoch than the connection's Hello", NULL);
    drop(l, "a message of another controller epoch");
    return false;
}

static void on_beat(struct ctl_link *l, struct rpc_request *r, struct arena *arena)
{
    struct msg_log_dir_state dirs[DIRS_MAX];
    struct msg_beat_response out = {.broker_epoch = broker_epoch(l->b),
            .applied_index = image_position(l->b->image).index,
            .dirs = dirs};
    struct msg_beat_request m;
    struct rpc_out *o;
    int e = wire_decode_beat_request(r->body, arena, &m);

    if (e != 0) {
        rpc_answer(l->c, &r->header, errcode_of_wire(e).error, errcode_of_wire(e).detail, NULL);
        return;
    }
    if (!epoch_is_right(l, r, m.ctl_epoch)) {
        return;
    }
    if (push_check_committed(&l->push, m.committed_index)) {
        roles_all(l->b);
    }
    renew_lease(l, m.lease_ms);
    keep_controllers(l, &m);
    out.n_dirs = keeper_dir_states(l->b->keeper, dirs, DIRS_MAX);
    o = rpc_out_new();
    wire_encode_beat_response(&out, rpc_out_buf(o));
    rpc_answer(l->c, &r->header, ERRCODE_NONE, "", o);
}

static void on_push(struct ctl_link *l, struct rpc_request *r, struct arena *arena)
{
    struct msg_push_response out = {0};
    struct msg_push_request m;
    struct image_position at;
    struct rpc_out *o;
    int e = wire_decode_push_request(r->body, arena, &m);

    if (e != 0) {
        rpc_answer(l->c, &r->header, errcode_of_wire(e).error, errcode_of_wire(e).detail, NULL);
        return;
    }
    if (!epoch_is_right(l, r, m.ctl_epoch)) {
        return;
    }
    out.need = push_apply(&l->push, &m) != PUSH_DONE;
    if (push_trouble(&l->push)[0] != '\0') {
        roles_all(l->b);
        rpc_answer(l->c, &r->header, ERRCODE_UNKNOWN_SERVER_ERROR, push_trouble(&l->push), NULL);
        return;
    }
    at = image_position(l->b->image);
    out.applied_index = at.index;
    out.applied_crc64 = at.crc;
    metric_set(METRIC_BROKER_APPLIED_INDEX, (int64_t)at.index);
    o = rpc_out_new();
    wire_encode_push_response(&out, rpc_out_buf(o));
    rpc_answer(l->c, &r->header, ERRCODE_NONE, "", o);
    consider_ready(l);
    consider_shutdown(l);
}

static void on_describe_configs(struct ctl_link *l, struct rpc_request *r, struct arena *arena)
{
    struct msg_describe_configs_response out;
    struct msg_describe_configs_request m;
    struct rpc_out *o;
    int e = wire_decode_describe_configs_request(r->body, arena, &m);

    if (e != 0) {
        rpc_answer(l->c, &r->header, errcode_of_wire(e).error, errcode_of_wire(e).detail, NULL);
        return;
    }
    out = broker_configs_describe(l->b->configs);
    o = rpc_out_new();
    wire_encode_describe_configs_response(&out, rpc_out_buf(o));
    rpc_answer(l->c, &r->header, ERRCODE_NONE, "", o);
    (void)mem_free(out.configs);
}

/* --- DeleteRecords ----------------------------------------------------------------------------------------------- */

/* An answer that comes from the pool, for the connection that asked if it still stands. */
struct trim_answer {
    struct loop_task task;
    struct ctl_link *l;
    uint64_t conn_id;
    struct frame_header header;
    int error;
    const char *detail;
    struct rpc_out *out;
};

static void on_trim_answer(struct loop_task *t)
{
    struct trim_answer *a = container_of(t, struct trim_answer, task);
    struct rpc_conn *c = a->l->c;

    if (c != NULL && rpc_conn_id(c) == a->conn_id) {
        rpc_answer(c, &a->header, a->error, a->detail, mem_steal(&a->out));
    } else {
        (void)rpc_out_free(a->out);
    }
    (void)mem_free(a);
}

static void post_trim_answer(void *ctx, struct rpc_out *out)
{
    struct trim_answer *a = ctx;

    a->out = out;
    loop_post(a->l->b->control, &a->task);
}

static void post_trim_refusal(void *ctx, int error, const char *detail)
{
    struct trim_answer *a = ctx;

    a->error = error;
    a->detail = detail;
    loop_post(a->l->b->control, &a->task);
}

/* Takes the request. */
static void on_delete_records(struct ctl_link *l, struct rpc_request *r)
{
    struct trim_answer *a = mem_new(struct trim_answer);

    a->task.run = on_trim_answer;
    a->l = l;
    a->conn_id = rpc_conn_id(l->c);
    a->header = r->header;
    a->header.detail = a->detail = "";
    trim_order(l->b, r, post_trim_answer, post_trim_refusal, a);
}

static void on_request(void *owner, struct rpc_conn *c, struct rpc_request *r)
{
    struct ctl_link *l = owner;
    struct arena arena;

    if (c == l->c && r->header.api == API_DELETE_RECORDS) {
        on_delete_records(l, r);
        return;
    }
    arena_init(&arena, wire_arena_ceiling(r->body.size));
    if (c != l->c) {
        rpc_answer(c, &r->header, ERRCODE_NOT_CONTROLLER, "another controller connection took over",
                NULL);
    } else if (r->header.api == API_PUSH) {
        on_push(l, r, &arena);
    } else if (r->header.api == API_BEAT) {
        on_beat(l, r, &arena);
    } else if (r->header.api == API_DESCRIBE_CONFIGS) {
        on_describe_configs(l, r, &arena);
    } else if (r->header.api == API_DESCRIBE_LOGS) {
        describe_logs(l->b, c, r);
    } else if (r->header.api == API_DESCRIBE_ENDS) {
        describe_ends(l->b, c, r);
    } else {
        rpc_answer(c, &r->header, ERRCODE_UNSUPPORTED_VERSION,
                "a broker takes Push, Beat, DescribeConfigs, DescribeLogs, DescribeEnds and "
                "DeleteRecords on this connection", NULL);
    }
    arena_deinit(&arena);
    (void)rpc_request_free(r);
}

static void on_closed(void *owner, struct rpc_conn *c, const char *reason)
{
    struct ctl_link *l = owner;

    if (c != l->c) {
        return;
    }
    log_warn("ctl_link", "controller_gone", KV_STR("peer", rpc_conn_peer(c)),
            KV_STR("reason", reason));
    l->c = NULL;
    push_forget_snapshot(&l->push);
}

static const struct rpc_callbacks link_callbacks = {
        .on_request = on_request, .on_closed = on_closed};

/* --- Connection -------------------------------------------------------------------------------------------------- */

int ctl_link_judge(
        const struct ctl_link *l, const struct msg_hello_request *m, char *text, size_t size)
{
    if (uuid_is_zero(&m->cluster_id) || m->ctl_epoch == 0 || m->controller_id < 0) {
        (void)snprintf(text, size, "a controller's Hello names its cluster, its id and its epoch");
        return ERRCODE_NOT_CONTROLLER;
    }
    if (m->ctl_epoch < l->max_ctl_epoch) { /* [BRK-7] */
        (void)snprintf(text, size, "controller epoch %llu is over: epoch %llu was here",
                (unsigned long long)m->ctl_epoch, (unsigned long long)l->max_ctl_epoch);
        return ERRCODE_NOT_CONTROLLER;
    }
    if (m->feature_level < (uint32_t)image_feature_level(l->b->image)) { /* [ZK-45] */
        (void)snprintf(text, size,
                "controller version %.32s knows feature levels up to %u, and level %d is in force",
                m->library_version, (unsigned)m->feature_level, image_feature_level(l->b->image));
        return ERRCODE_UNSUPPORTED_VERSION;
    }
    return ERRCODE_NONE;
}

void ctl_link_adopt(struct ctl_link *l, struct rpc_conn *c, const struct msg_hello_request *m)
{
    must(m->ctl_epoch >= l->max_ctl_epoch);
    if (l->c != NULL) {
        struct rpc_conn *old = l->c;

        l->c = NULL;
        rpc_conn_close(old);
    }
    push_forget_snapshot(&l->push);
    l->c = c;
    l->max_ctl_epoch = m->ctl_epoch;
    keeper_image_heard(l->b->image_file, m->ctl_epoch);
    if (l->b->is_elsewhere) { /* [RBD-11] It is our cluster's, so that is in ZooKeeper again. */
        l->b->is_elsewhere = false;
        roles_all(l->b);
    }
    l->controller_id = m->controller_id;
    rpc_conn_set_owner(c, &link_callbacks, l);
    renew_lease(l, 0);
    log_info("ctl_link", "controller_connected", KV_STR("peer", rpc_conn_peer(c)),
            KV_I64("controller", m->controller_id), KV_U64("ctl_epoch", m->ctl_epoch));
    if (uuid_is_zero(
                &l->b->cluster_id)) { /* [BRK-8] Fresh folders join the first cluster that dials. */
        l->b->cluster_id = m->cluster_id;
        keeper_adopt(l->b->keeper, &m->cluster_id);
    }
    timer_cancel(&l->ready_timer);
    consider_ready(l);
}

const char **ctl_link_controllers(const struct ctl_link *l, size_t *ret_n)
{
    *ret_n = l->n_controllers;
    return (const char **)(void *)l->controllers;
}

struct rpc_conn *ctl_link_conn(const struct ctl_link *l)
{
    return l->c;
}

bool ctl_link_is_connected(const struct ctl_link *l)
{
    return l->c != NULL;
}

bool ctl_link_is_isolated(const struct ctl_link *l)
{
    return l->lease_until <= loop_now(l->b->control);
}

const char *ctl_link_trouble(const struct ctl_link *l)
{
    return push_trouble(&l->push);
}

struct ctl_link *ctl_link_new(struct broker *b)
{
    struct ctl_link *l = mem_new(struct ctl_link);

    l->b = b;
    l->controller_id = -1;
    l->settled_epoch = BROKER_EPOCH_NONE;
    push_init(&l->push, b);
    timer_init(&l->lease_timer, b->control, on_lease_over, l);
    timer_init(&l->ready_timer, b->control, on_ready_timer, l);
    timer_init(&l->shutdown_timer, b->control, ask_shutdown, l);
    metric_set(METRIC_BROKER_ISOLATED, 1);
    return l;
}

struct ctl_link *ctl_link_free(struct ctl_link *l)
{
    if (l == NULL) {
        return NULL;
    }
    l->shutdown_fn = NULL;
    if (l->c != NULL) {
        struct rpc_conn *c = l->c;

        l->c = NULL;
        rpc_conn_close(c);
    }
    timer_deinit(&l->lease_timer);
    timer_deinit(&l->ready_timer);
    timer_deinit(&l->shutdown_timer);
    push_deinit(&l->push);
    free_controllers(l);
    return mem_free(l);
}
