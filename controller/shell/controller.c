/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/shell/controller.h"

#include "common/obs/log.h"
#include "common/obs/metrics.h"
#include "common/zk/zk_paths.h"
#include "controller/core/succession.h"
#include "controller/shell/controller_internal.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define BOOTSTRAP_AGAIN WTIME_S(5)
#define GAUGES_EVERY    WTIME_S(1)
#define TURN_STEP       WTIME_MS(100) /* [ZK-23] enough to see a take-over of those before us */

/* --- Becoming and ceasing to be active --------------------------------------------------------- */

static void on_claim_won(void *ctx, uint64_t ctl_epoch, int32_t fence_version)
{
    struct controller *c = ctx;

    peer_watch_stop(c->peer);
    meta_log_take_over(c->log, ctl_epoch, fence_version);
}

static void on_log_taken(void *ctx)
{
    struct controller *c = ctx;
    struct ctl_event ev = {.kind = CTL_EV_ELECTED};

    ev.elected.ctl_epoch = c->log_epoch = claim_epoch(c->claim);
    ev.elected.controller_id = c->options.id;
    metric_set(METRIC_CONTROLLER_ACTIVE, 1);
    metric_add(METRIC_CONTROLLER_ELECTIONS_WON, 1);
    log_info("controller", "controller_active", KV_U64("ctl_epoch", c->log_epoch),
            KV_U64("index", image_position(meta_log_image(c->log)).index));
    controller_handover_begin_term(c);
    controller_push_event(c, &ev);
    controller_sizes_begin_term(c);
    broker_links_start(c->links, &c->cluster_id, c->log_epoch);
    broker_watch_start(c->brokers, &c->cluster_id);
    journal_start(c->journal, &c->cluster_id);
}

/* [ZK-21] Nothing is answered, pushed or dialled from here on. */
static void on_claim_lost(void *ctx, const char *why)
{
    struct controller *c = ctx;
    struct ctl_event ev = {.kind = CTL_EV_DEPOSED};

    meta_log_stand_down(c->log);
    if (c->log_epoch == 0) {
        return; /* it was still reading */
    }
    c->log_epoch = 0;
    metric_set(METRIC_CONTROLLER_ACTIVE, 0);
    controller_sizes_end_term(c);
    broker_watch_stop(c->brokers);
    broker_links_stop(c->links);
    journal_stop(c->journal);
    controller_push_event(c, &ev);
    controller_handover_on_lost(c);
    controller_fail_held(c);
    controller_on_acked(c);
}

/* [ZK-22] A standby watches the process of whoever is active. */
static void on_other_active(void *ctx, const struct msg_active *active)
{
    struct controller *c = ctx;

    if (active->controller_id != c->options.id) { /* else: what a former run of ours left */
        peer_watch_set(c->peer, active->ctl_epoch, active->http);
    }
    controller_handover_on_other(c, active);
}

static void on_evidence(void *ctx, uint64_t term, bool is_dead)
{
    struct controller *c = ctx;
    const struct msg_active *active = claim_active(c->claim);
    int32_t *ids = mem_new_n(int32_t, c->candidates.n + 1);
    size_t rank = 0;

    for (size_t i = 0; i < c->candidates.n; i++) {
        ids[i] = c->candidates.items[i].value.controller_id;
    }
    if (active != NULL) { /* [CTL-22] */
        rank = succession_rank(ids, c->candidates.n, c->options.id, active->controller_id);
    }
    mem_free(ids);
    claim_set_evidence(
            c->claim, term, is_dead, wtime_add(clock_now(), TURN_STEP * (wtime)rank));
}

/* --- The log ----------------------------------------------------------------------------------- */

static void on_log_read(void *ctx)
{
    struct controller *c = ctx;

    c->was_read = true;
    claim_set_eligible(c->claim, !c->is_stopping);
}

static void on_log_applied(void *ctx, uint64_t index, uint64_t last_seq, bool mine)
{
    struct controller *c = ctx;

    journal_on_applied(c->journal);
    if (mine) {
        journal_on_committed(c->journal, index);
        broker_links_push(c->links);
        controller_on_committed(c, index, last_seq);
    }
}

static uint64_t journal_lacks(void *ctx)
{
    const struct controller *c = ctx;

    return c->journal != NULL ? journal_needs_from(c->journal) : 0;
}

static void on_log_failed(void *ctx, const char *why)
{
    struct controller *c = ctx;

    claim_resign(c->claim, why);
}

static void on_log_broken(void *ctx, const char *why)
{
    struct controller *c = ctx;

    claim_set_eligible(c->claim, false);
    claim_resign(c->claim, why);
}

/* --- Brokers ----------------------------------------------------------------------------------- */

/* A new cluster has none before the first commit: then the one that this controller is about to put in force. */
static int32_t feature_level(void *ctx)
{
    struct controller *c = ctx;
    int32_t level = image_feature_level(meta_log_image(c->log));

    return level > 0 ? level : META_FEATURE_LEVEL;
}

static void on_broker_seen(void *ctx, const struct meta_register_broker *broker, int64_t prev_epoch)
{
    struct controller *c = ctx;
    struct ctl_event ev = {
            .kind = CTL_EV_BROKER_SEEN, .seen = *broker, .seen_prev_epoch = prev_epoch};

    log_info("controller", "broker_seen", KV_I64("broker", broker->id),
            KV_I64("broker_epoch", broker->epoch));
    controller_push_event(c, &ev);
    broker_links_set(c->links, broker);
}

static void push_broker_event(
        struct controller *c, enum ctl_event_kind kind, broker_id id, int64_t epoch)
{
    struct ctl_event ev = {.kind = kind};

    ev.broker.id = id;
    ev.broker.epoch = epoch;
    controller_push_event(c, &ev);
}

static void on_broker_gone(void *ctx, broker_id id, int64_t epoch)
{
    struct controller *c = ctx;

    log_info("controller", "broker_gone", KV_I64("broker", id), KV_I64("broker_epoch", epoch));
    push_broker_event(c, CTL_EV_BROKER_GONE, id, epoch);
    broker_links_remove(c->links, id);
}

static void on_brokers_listed(void *ctx)
{
    struct ctl_event ev = {.kind = CTL_EV_BROKERS_LISTED};

    controller_push_event(ctx, &ev);
}

static void on_broker_refused(void *ctx, broker_id id, int64_t epoch)
{
    log_warn("controller", "broker_refuses", KV_I64("broker", id), KV_I64("broker_epoch", epoch),
            KV_STR("detail", "its port refused twice: the process is dead"));
    push_broker_event(ctx, CTL_EV_BROKER_REFUSED, id, epoch);
}

static void on_broker_silent(void *ctx, broker_id id, int64_t epoch)
{
    log_warn("controller", "broker_silent", KV_I64("broker", id), KV_I64("broker_epoch", epoch));
    push_broker_event(ctx, CTL_EV_BROKER_SILENT, id, epoch);
}

static void on_most_silent(void *ctx, size_t n_silent, size_t n_brokers)
{
    controller_consider_handover(ctx, n_silent, n_brokers);
}

static bool may_act(void *ctx)
{
    struct controller *c = ctx;

    return claim_may_act(c->claim);
}

static void on_broker_dirs_failed(void *ctx, broker_id id, int64_t epoch)
{
    log_error("controller", "broker_without_disk", KV_I64("broker", id),
            KV_I64("broker_epoch", epoch),
            KV_STR("action", "it is fenced until it is restarted with a log directory that works"));
    push_broker_event(ctx, CTL_EV_BROKER_DIRS_FAILED, id, epoch);
}

static void on_broker_ready(void *ctx, broker_id id, const struct msg_broker_ready_request *m)
{
    struct ctl_event ev = {.kind = CTL_EV_BROKER_READY};
    struct ctl_partition_ref *failed = mem_new_n(struct ctl_partition_ref, m->n_failed + 1);

    for (size_t i = 0; i < m->n_failed; i++) {
        failed[i].topic_id = m->failed[i].topic_id;
        failed[i].partition = m->failed[i].partition;
    }
    ev.ready.id = id;
    ev.ready.epoch = m->broker_epoch;
    ev.ready.failed = failed;
    ev.ready.n_failed = m->n_failed;
    controller_push_event(ctx, &ev);
    mem_free(failed);
}

struct broker_request {
    struct controller *c;
    struct link_request *request;
};

static void on_shutdown_reply(void *ctx, const struct ctl_reply *reply, uint64_t committed_index)
{
    struct broker_request *s = ctx;
    const struct msg_controlled_shutdown_response m = {.done = reply->shutdown_done,
            .index = committed_index,
            .remaining = reply->shutdown_remaining};

    struct rpc_out *out = NULL;

    if (reply->error == ERRCODE_NONE) {
        out = rpc_out_new();
        wire_encode_controlled_shutdown_response(&m, rpc_out_buf(out));
    }
    broker_links_answer(s->c->links, s->request, reply->error, reply->detail, out);
    mem_free(s);
}

static void submit_broker_request(struct controller *c,
        enum ctl_event_kind kind,
        broker_id id,
        int64_t epoch,
        struct link_request *request,
        controller_reply_fn *fn)
{
    struct broker_request *s = mem_new(struct broker_request);
    struct ctl_event ev = {.kind = kind};

    s->c = c;
    s->request = request;
    ev.broker.id = id;
    ev.broker.epoch = epoch;
    controller_submit(c, &ev, fn, s);
}

static void on_broker_shutdown(void *ctx, broker_id id, int64_t epoch, struct link_request *request)
{
    submit_broker_request(ctx, CTL_EV_BROKER_SHUTDOWN, id, epoch, request, on_shutdown_reply);
}

static void on_producer_ids_reply(
        void *ctx, const struct ctl_reply *reply, uint64_t committed_index)
{
    struct broker_request *s = ctx;
    const struct msg_allocate_producer_ids_response m = {
            .first = reply->ids_first, .count = reply->ids_count};
    struct rpc_out *out = NULL;

    (void)committed_index;
    if (reply->error == ERRCODE_NONE) {
        out = rpc_out_new();
        wire_encode_allocate_producer_ids_response(&m, rpc_out_buf(out));
    }
    broker_links_answer(s->c->links, s->request, reply->error, reply->detail, out);
    mem_free(s);
}

static void on_producer_ids(void *ctx, broker_id id, int64_t epoch, struct link_request *request)
{
    submit_broker_request(ctx, CTL_EV_PRODUCER_IDS, id, epoch, request, on_producer_ids_reply);
}

static void on_acked(void *ctx)
{
    controller_on_acked(ctx);
}

/* --- Candidates -------------------------------------------------------------------------------- */

static void candidates_clear(struct controller *c)
{
    ARRAY_FOREACH (it, &c->candidates) {
        arena_deinit(&it->arena);
    }
    array_clear(&c->candidates);
}

/* Brokers tell clients where the controllers are: the active one first. */
static void tell_controllers(struct controller *c)
{
    const char **urls = mem_new_n(const char *, c->candidates.n + 1);
    size_t n = 0;

    urls[n++] = c->http; /* only the active controller has links */
    ARRAY_FOREACH (it, &c->candidates) {
        if (it->value.controller_id != c->options.id) {
            urls[n++] = it->value.http;
        }
    }
    broker_links_set_controllers(c->links, urls, n);
    mem_free(urls);
}

static void on_candidates(void *ctx, const struct child *children, size_t n)
{
    struct controller *c = ctx;

    candidates_clear(c);
    for (size_t i = 0; i < n; i++) {
        struct candidate one = {0};
        size_t at = 0;
        struct arena copy;
        struct bytes data = {0};
        arena_init(&copy, 0);
        data = (struct bytes){.at = arena_dup(&copy, children[i].data.at, children[i].data.size),
                .size = children[i].data.size};
        if (data.at == NULL || wire_decode_candidate(data, &copy, &one.value) != 0) {
            arena_deinit(&copy);
            continue;
        }
        one.arena = copy;
        while (at < c->candidates.n &&
                c->candidates.items[at].value.controller_id < one.value.controller_id) {
            at++;
        }
        *array_insert(&c->candidates, at) = one;
    }
    tell_controllers(c);
}

/* --- The session ------------------------------------------------------------------------------- */

static void on_bootstrapped(void *ctx, const char *trouble, const struct uuid *cluster_id)
{
    struct controller *c = ctx;
    char text[UUID_TEXT_SIZE], former[UUID_TEXT_SIZE];

    if (trouble != NULL) {
        log_error("controller", "bootstrap_failed", KV_STR("reason", trouble),
                KV_STR("action", "tried again in 5 s"));
        timer_set(&c->bootstrap_again, wtime_add(clock_now(), BOOTSTRAP_AGAIN));
        return;
    }
    if (!uuid_is_zero(&c->cluster_id) && !uuid_equal(&c->cluster_id, cluster_id)) {
        log_error("controller", "cluster_changed",
                KV_STR("former", uuid_format(&c->cluster_id, former)),
                KV_STR("cluster_id", uuid_format(cluster_id, text)),
                KV_STR("detail", "ZooKeeper holds another cluster than before: was it wiped?"));
    } else {
        log_info(
                "controller", "cluster_found", KV_STR("cluster_id", uuid_format(cluster_id, text)));
    }
    c->cluster_id = *cluster_id;
    c->is_bootstrapped = true;
    meta_log_open(c->log);
    claim_on_session(c->claim);
    child_watch_start(c->candidate_watch);
}

static void on_session(void *ctx)
{
    struct controller *c = ctx;

    c->is_bootstrapped = false;
    bootstrap_start(c->bootstrap);
}

static void on_bootstrap_again(void *ctx)
{
    struct controller *c = ctx;

    if (!c->is_bootstrapped) {
        bootstrap_start(c->bootstrap);
    }
}

static void on_session_lost(void *ctx)
{
    struct controller *c = ctx;

    c->is_bootstrapped = false;
    timer_cancel(&c->bootstrap_again);
    claim_set_eligible(c->claim, false);
    claim_on_session_lost(c->claim);
    peer_watch_stop(c->peer);
    meta_log_close(c->log);
    child_watch_stop(c->candidate_watch);
    candidates_clear(c);
}

static void on_connection(void *ctx, bool connected)
{
    struct controller *c = ctx;

    if (!c->is_bootstrapped) {
        if (connected) {
            bootstrap_start(c->bootstrap);
        }
        return;
    }
    meta_log_on_connection(c->log, connected);
    claim_on_connection(c->claim, connected);
    if (connected) {
        broker_watch_refresh(c->brokers);
        child_watch_start(c->candidate_watch);
    }
}

/* --- Life -------------------------------------------------------------------------------------- */

static void on_gauges(void *ctx)
{
    struct controller *c = ctx;

    timer_set(&c->gauges, wtime_add(clock_now(), GAUGES_EVERY));
    controller_update_gauges(c);
}

static void on_trace(void *ctx, const char *text)
{
    log_info("ctl", "decided", KV_STR("text", text));
}

static void read_boot_id(char *ret, size_t size)
{
    FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");

    ret[0] = '\0';
    if (f != NULL) {
        if (fgets(ret, (int)size, f) == NULL) {
            ret[0] = '\0';
        }
        ret[strcspn(ret, "\n")] = '\0';
        fclose(f);
    }
}

static void make_core(struct controller *c)
{
    static const struct trace trace = {.line = on_trace};
    struct ctl_options options = {
            .trace = &trace, .replication_factor_max = c->options.replication_factor_max,
            .has_journal = true,
            .has_auto_balance = true};

    must(getrandom(&options.seed, sizeof(options.seed), 0) == (ssize_t)sizeof(options.seed));
    c->core = ctl_new(&options);
}

static void make_parts(struct controller *c, struct resolver *resolver)
{
    const struct claim_options claim = {.controller_id = c->options.id,
            .http = c->http,
            .on_won = on_claim_won,
            .on_lost = on_claim_lost,
            .on_other = on_other_active,
            .ctx = c};
    const struct peer_watch_options peer = {
            .loop = c->loop, .resolver = resolver, .on_evidence = on_evidence, .ctx = c};
    const struct meta_log_options log = {.snapshot_entries = c->options.snapshot_entries,
            .on_read = on_log_read,
            .on_taken = on_log_taken,
            .on_applied = on_log_applied,
            .on_append_failed = on_log_failed,
            .on_broken = on_log_broken,
            .needs_from = journal_lacks,
            .ctx = c};
    const struct broker_watch_options brokers = {.listener = c->listener,
            .boot_id = c->boot_id,
            .feature_level = feature_level,
            .on_seen = on_broker_seen,
            .on_gone = on_broker_gone,
            .on_listed = on_brokers_listed,
            .ctx = c};
    struct broker_links_options links = {.loop = c->loop,
            .resolver = resolver,
            .listener = c->listener,
            .controller_id = c->options.id,
            .secret = c->options.secret,
            .broker_timeout = c->options.broker_timeout,
            .session_timeout = WTIME_MS(c->options.session_timeout_ms),
            .on_refused = on_broker_refused,
            .on_silent = on_broker_silent,
            .on_dirs_failed = on_broker_dirs_failed,
            .on_most_silent = on_most_silent,
            .may_act = may_act,
            .on_ready = on_broker_ready,
            .on_shutdown = on_broker_shutdown,
            .on_producer_ids = on_producer_ids,
            .on_alter_partition = controller_on_alter_partition,
            .on_replica_failed = controller_on_replica_failed,
            .on_acked = on_acked,
            .ctx = c};

    c->bootstrap = bootstrap_new(c->zk, on_bootstrapped, c);
    c->claim = claim_new(c->loop, c->zk, &claim);
    c->peer = peer_watch_new(&peer);
    c->log = meta_log_new(c->loop, c->zk, &log);
    c->brokers = broker_watch_new(c->zk, &brokers);
    links.log = c->log;
    c->links = broker_links_new(&links);
    const struct journal_options journal = {.loop = c->loop,
            .resolver = resolver,
            .zk = c->zk,
            .log = c->log,
            .listener = c->listener,
            .controller_id = c->options.id};
    c->journal = journal_new(&journal);
    c->candidate_watch = child_watch_new(c->zk, ZK_PATH_CONTROLLERS, on_candidates, c);
}

int controller_new(struct loop *loop,
        struct resolver *resolver,
        const struct controller_options *options,
        struct controller **ret,
        char *error,
        size_t error_size)
{
    struct controller *c = mem_new(struct controller);
    const struct zk_options zk = {.connect = options->zookeeper,
            .session_timeout_ms = options->session_timeout_ms,
            .digest = options->digest,
            .on_session = on_session,
            .on_connection = on_connection,
            .on_session_lost = on_session_lost,
            .ctx = c};
    int r = zk_new(loop, resolver, &zk, &c->zk, error, error_size);

    if (r != 0) {
        mem_free(c);
        return r > 0 ? CONTROLLER_E_OPTIONS : err_forward(r);
    }
    c->loop = loop;
    c->resolver = resolver;
    c->options = *options;
    c->http = mem_strdup(options->http);
    c->listener = mem_strdup(options->listener);
    c->options.zookeeper = c->options.http = c->options.listener = c->options.digest = NULL;
    read_boot_id(c->boot_id, sizeof(c->boot_id));
    controller_requests_init(c);
    controller_sizes_init(c);
    timer_init(&c->bootstrap_again, loop, on_bootstrap_again, c);
    timer_init(&c->gauges, loop, on_gauges, c);
    timer_set(&c->gauges, wtime_add(clock_now(), GAUGES_EVERY));
    make_core(c);
    make_parts(c, resolver);
    tell_controllers(c);
    *ret = c;
    return 0;
}

void controller_stop(struct controller *c, void (*done)(void *ctx), void *ctx)
{
    c->is_stopping = true;
    claim_set_eligible(c->claim, false);
    claim_retire(c->claim, done, ctx);
}

struct controller *controller_free(struct controller *c)
{
    if (c == NULL) {
        return NULL;
    }
    c->is_stopping = true;
    broker_watch_stop(c->brokers);
    broker_links_stop(c->links);
    journal_stop(c->journal);
    c->zk = zk_free(c->zk); /* First: calls under way end in the parts that made them. */
    controller_handover_deinit(c);
    controller_requests_deinit(c);
    controller_sizes_deinit(c);
    timer_deinit(&c->bootstrap_again);
    timer_deinit(&c->gauges);
    child_watch_free(c->candidate_watch);
    broker_watch_free(c->brokers);
    broker_links_free(c->links);
    bootstrap_free(c->bootstrap);
    peer_watch_free(c->peer);
    claim_free(c->claim);
    journal_free(c->journal);
    meta_log_free(c->log);
    candidates_clear(c);
    array_deinit(&c->candidates);
    ctl_fx_deinit(&c->fx);
    ctl_free(c->core);
    mem_free(c->http);
    mem_free(c->listener);
    return mem_free(c);
}
