/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/shell/http_admin.h"

#include "common/net/http.h"
#include "common/net/loop.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"
#include "controller/shell/controller.h"
#include "controller/shell/http_resources.h"

#include <sys/queue.h>

#define IDLE_TIMEOUT WTIME_S(10)
/* How long a creation waits for the leaders to take it up. */
#define READY_WAIT WTIME_S(2)

struct http_admin {
    struct loop *loop;
    struct controller *controller;
    struct http_server *server;
    struct http_counts counts;
    LIST_HEAD(, pending) pendings;
    LIST_HEAD(, http_later) laters;
    /* The view's arrays, reused from request to request. */
    ARRAY(struct http_candidate) candidates;
    ARRAY(struct http_link) links;
    ARRAY(struct http_refused) refused;
    ARRAY(struct http_param) params;
};

/* A write that the controller has not answered yet. */
struct pending {
    LIST_ENTRY(pending) entry;
    struct http_admin *admin;
    struct http_request *request;
    struct http_write write;
    wtime began;
    bool is_ready; /* the brokers acknowledged; while one tells its values */
};

/* A request that somebody answers in a later turn. */
struct http_later {
    LIST_ENTRY(http_later) entry;
    struct http_admin *admin;
    struct http_request *request;
    struct http_call call;
    void (*on_cancel)(void *ctx);
    void *ctx;
};

/* --- The view ------------------------------------------------------------------------------------------------------- */

static void add_candidates(struct http_admin *a)
{
    array_clear(&a->candidates);
    for (size_t i = 0; i < controller_n_candidates(a->controller); i++) {
        const struct msg_candidate *m = controller_candidate(a->controller, i);
        /* A restarted controller may have two nodes until the older session ends. */
        if (a->candidates.n > 0 &&
                a->candidates.items[a->candidates.n - 1].id == m->controller_id) {
            continue;
        }
        *array_push(&a->candidates) = (struct http_candidate){
                .id = m->controller_id, .url = m->http, .version = m->version};
    }
}

static void add_links(struct http_admin *a)
{
    wtime now = loop_now(a->loop);

    array_clear(&a->links);
    for (size_t i = 0; i < controller_n_links(a->controller); i++) {
        struct controller_link l = controller_link(a->controller, i);
        *array_push(&a->links) = (struct http_link){
                .id = l.id,
                .is_connected = l.is_connected,
                .applied_index = l.applied_index,
                .heartbeat_age_ms = l.last_heartbeat > 0 ? (now - l.last_heartbeat) / 1000 : -1,
                .dirs = l.dirs,
                .n_dirs = l.n_dirs,
                .trouble = l.trouble,
        };
    }
}

static void add_refusals(struct http_admin *a)
{
    array_clear(&a->refused);
    for (size_t i = 0; i < controller_n_refusals(a->controller); i++) {
        struct controller_refusal r = controller_refusal(a->controller, i);
        struct http_refused *to = array_push(&a->refused);
        *to = (struct http_refused){.id = r.id, .problem = r.problem, .rack = "", .version = ""};
        to->epoch = r.epoch;
        if (r.registration != NULL) {
            to->rack = r.registration->rack;
            to->version = r.registration->version;
            to->crash_kind = r.registration->crash_kind;
            to->endpoints = r.registration->endpoints;
            to->n_endpoints = r.registration->n_endpoints;
        }
    }
}

/* What the answer to a write looks at. Also while the controller is taken apart and ends what waits for it: then only
 * its image is left to be seen. */
static struct http_view look_at_image(struct http_admin *a)
{
    struct controller *c = a->controller;

    return (struct http_view){.now = clock_wall(),
            .image = controller_image(c),
            .counts = &a->counts,
            .self_id = controller_id(c),
            .is_active = controller_is_active(c)};
}

/* Valid until the controller does anything. */
static struct http_view look(struct http_admin *a)
{
    struct controller *c = a->controller;
    const struct msg_active *active = controller_active(c);
    struct controller_zk zookeeper = controller_zk(c);
    struct http_view v = look_at_image(a);

    http_counts_refresh(&a->counts, v.image);
    add_candidates(a);
    add_links(a);
    add_refusals(a);
    v.is_metadata_read = controller_is_metadata_read(c);
    v.metadata_trouble = controller_metadata_trouble(c);
    v.has_active = active != NULL;
    v.candidates = a->candidates.items;
    v.n_candidates = a->candidates.n;
    v.cluster_id = controller_cluster_id(c);
    v.links = a->links.items;
    v.n_links = a->links.n;
    v.refused = a->refused.items;
    v.n_refused = a->refused.n;
    v.moves = controller_move_sizes(c);
    v.balance = controller_balance(c);
    if (active != NULL) {
        v.active.id = active->controller_id;
        v.active.epoch = active->ctl_epoch;
        v.active.since = active->since;
        v.active.url = active->http;
    }
    v.zookeeper.is_connected = zookeeper.is_connected;
    v.zookeeper.session_ms = zookeeper.session_timeout_ms;
    v.zookeeper.trouble = zookeeper.trouble;
    return v;
}

/* --- Requests and answers ------------------------------------------------------------------------------------------- */

static struct http_call read_call(struct http_admin *a, struct http_request *r)
{
    const char *name;

    array_clear(&a->params);
    for (size_t i = 0; (name = http_query_name(r, i)) != NULL; i++) {
        *array_push(&a->params) = (struct http_param){.name = name, .value = http_query(r, name)};
    }
    return (struct http_call){
            .id = http_request_id(r),
            .method = http_method(r),
            .path = http_path(r),
            .query_text = http_query_text(r),
            .params = a->params.items,
            .n_params = a->params.n,
            .content_type = http_header(r, "Content-Type"),
            .reason = http_header(r, "Weir-Reason"),
            .if_match = http_header(r, "If-Match"),
            .body = http_body(r),
            .peer = http_peer(r),
    };
}

/* Ends the handle and the answer. */
static void send_answer(struct http_request *r, struct http_answer *answer)
{
    for (size_t i = 0; i < answer->headers.n; i++) {
        http_set_header(r, answer->headers.items[i].name, answer->headers.items[i].value);
    }
    metric_add(METRIC_HTTP_REQUESTS, 1);
    http_reply_buf(r, answer->status, answer->content_type, &answer->body); /* HEAD: without it */
    http_answer_deinit(answer);
}

/* --- Writes --------------------------------------------------------------------------------------------------------- */

static void pending_free(struct pending *p)
{
    LIST_REMOVE(p, entry);
    http_write_deinit(&p->write);
    mem_free(p);
}

static void pending_answer(struct pending *p, bool is_ready)
{
    struct http_admin *a = p->admin;
    struct http_answer answer = {0};
    struct http_view v = look_at_image(a);
    struct http_call c = read_call(a, p->request);

    http_write_answer(&p->write, &v, &c, is_ready, &answer);
    log_info("http", "write_answered", KV_STR("actor", p->write.actor), KV_STR("path", c.path),
            KV_STR("method", c.method), KV_I64("status", answer.status),
            KV_U64("seq", p->write.decision));
    send_answer(p->request, &answer);
    pending_free(p);
}

static void on_configs(void *ctx, const struct msg_describe_configs_response *m)
{
    struct pending *p = ctx;
    struct http_view v = look_at_image(p->admin);

    http_write_take_configs(&p->write, &v, m);
    pending_answer(p, p->is_ready);
}

/* The decision is made, and taken up or not; a broker's values are its own to tell. */
static void pending_finish(struct pending *p, bool is_ready)
{
    broker_id id = BROKER_NONE;

    p->is_ready = is_ready;
    if (!http_write_wants_configs(&p->write, &id)) {
        pending_answer(p, is_ready);
        return;
    }
    /* One that was too slow to apply it in time is not waited for again. */
    bool is_there = is_ready || p->write.dry_run;
    if (!is_there || !controller_describe_configs(p->admin->controller, id, on_configs, p)) {
        on_configs(p, NULL);
    }
}

static void on_acks(void *ctx, bool all)
{
    pending_finish(ctx, all);
}

static void on_reply(void *ctx, const struct ctl_reply *reply, uint64_t committed_index)
{
    struct pending *p = ctx;
    struct http_admin *a = p->admin;

    http_write_take(&p->write, reply);
    if (!http_write_waits_for_leaders(&p->write)) {
        pending_finish(p, false);
        return;
    }
    wtime left = wtime_add(p->began, READY_WAIT) - loop_now(a->loop);
    controller_wait_acks(a->controller, committed_index, p->write.leaders.items, p->write.leaders.n,
            left > WTIME_MS(1) ? left : WTIME_MS(1), on_acks, p);
}

static void submit_now(void *ctx)
{
    struct pending *p = ctx;
    struct ctl_event ev;

    http_write_event(&p->write, &ev);
    controller_submit(p->admin->controller, &ev, on_reply, p);
}

static void submit(struct http_admin *a, struct http_request *r, struct http_write *w)
{
    struct pending *p = mem_new(struct pending);

    p->admin = a;
    p->request = r;
    p->write = *w;
    p->began = loop_now(a->loop);
    memset(w, 0, sizeof(*w));
    LIST_INSERT_HEAD(&a->pendings, p, entry);
    if (http_write_wants_sizes(&p->write)) {
        controller_survey_sizes(a->controller, submit_now, p);
    } else {
        submit_now(p);
    }
}

/* --- Later answers -------------------------------------------------------------------------------------------------- */

static struct http_later *later_new(struct http_admin *a, struct http_request *r)
{
    struct http_later *l = mem_new(struct http_later);

    l->admin = a;
    l->request = r;
    LIST_INSERT_HEAD(&a->laters, l, entry);
    return l;
}

static void later_free(struct http_later *l)
{
    LIST_REMOVE(l, entry);
    mem_free(l);
}

void http_later_on_cancel(struct http_later *l, void (*on_cancel)(void *ctx), void *ctx)
{
    l->on_cancel = on_cancel;
    l->ctx = ctx;
}

const struct http_call *http_later_call(struct http_later *l)
{
    l->call = read_call(l->admin, l->request);
    return &l->call;
}

struct http_view http_later_view(struct http_later *l)
{
    return look(l->admin);
}

void http_later_answer(struct http_later *l, struct http_answer *a)
{
    send_answer(l->request, a);
    later_free(l);
}

struct controller *http_later_controller(struct http_later *l)
{
    return l->admin->controller;
}

struct loop *http_later_loop(struct http_later *l)
{
    return l->admin->loop;
}

/* --- All of it ------------------------------------------------------------------------------------------------------ */

static void on_request(void *ctx, struct http_request *r)
{
    struct http_admin *a = ctx;
    struct http_view v = look(a);
    struct http_call c = read_call(a, r);
    struct http_answer answer = {0};
    struct http_write write = {.kind = HTTP_WRITE_NONE};
    http_later_fn *later = NULL;
    char *arg = NULL;

    http_dispatch(&v, &c, &answer, &write, &later, &arg);
    if (later != NULL) {
        later(&v, &c, arg, later_new(a, r));
    } else if (answer.status != 0) {
        send_answer(r, &answer);
    } else {
        submit(a, r, &write);
    }
    mem_free(arg);
    http_write_deinit(&write);
}

int http_admin_new(struct loop *loop,
        struct controller *controller,
        const struct http_admin_options *options,
        struct http_admin **ret)
{
    struct http_admin *a = mem_new(struct http_admin);
    struct http_limits limits = {
            .body_max = options->body_max,
            .idle_timeout = options->idle_timeout > 0 ? options->idle_timeout : IDLE_TIMEOUT,
    };

    a->loop = loop;
    a->controller = controller;
    LIST_INIT(&a->pendings);
    LIST_INIT(&a->laters);
    int r = http_server_new(loop, options->host, options->port, &limits, on_request, a, &a->server);
    if (r < 0) {
        mem_free(a);
        return err_forward(r);
    }
    *ret = a;
    return 0;
}

struct http_admin *http_admin_free(struct http_admin *a)
{
    struct pending *p;
    struct http_later *l;

    if (a == NULL) {
        return NULL;
    }
    http_server_free(a->server);
    while ((l = LIST_FIRST(&a->laters)) != NULL) {
        if (l->on_cancel != NULL) {
            l->on_cancel(l->ctx);
        }
        later_free(l);
    }
    while ((p = LIST_FIRST(&a->pendings)) != NULL) {
        pending_free(p);
    }
    http_counts_deinit(&a->counts);
    array_deinit(&a->candidates);
    array_deinit(&a->links);
    array_deinit(&a->refused);
    array_deinit(&a->params);
    return mem_free(a);
}

uint16_t http_admin_port(const struct http_admin *a)
{
    return http_server_port(a->server);
}
