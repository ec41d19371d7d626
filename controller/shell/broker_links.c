/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/shell/broker_links.h"

#include "common/domain/errcode.h"
#include "common/obs/log.h"
#include "controller/core/succession.h"
#include "controller/shell/broker_link.h"

#define LINKS_CHECK WTIME_MS(100)

static size_t lower_bound(const struct broker_links *l, broker_id id)
{
    size_t i = 0;

    while (i < l->links.n && l->links.items[i]->id < id) {
        i++;
    }
    return i;
}

static struct broker_link *find(const struct broker_links *l, broker_id id)
{
    size_t i = lower_bound(l, id);

    return i < l->links.n && l->links.items[i]->id == id ? l->links.items[i] : NULL;
}

static void tell_majority(struct broker_links *l, bool is_own_problem, size_t n_quiet)
{
    if (is_own_problem != l->majority_told) {
        l->majority_told = is_own_problem;
        if (is_own_problem) {
            log_warn("broker_link", "most_brokers_silent", KV_U64("quiet", n_quiet),
                    KV_U64("brokers", l->links.n),
                    KV_STR("action", "none is fenced for its silence: it may be our network"));
        } else {
            log_info("broker_link", "most_brokers_heard", KV_U64("brokers", l->links.n));
        }
    }
}

/* [ZK-42] Silence of more than half of the brokers is this controller's own problem: it fences none of them. */
static void on_check(void *ctx)
{
    struct broker_links *l = ctx;
    wtime now = clock_now();
    size_t n_quiet = 0, n_silent = 0;
    bool is_own_problem = false;

    timer_set(&l->check, wtime_add(now, LINKS_CHECK));
    if (!l->options.may_act(l->options.ctx)) { /* [ZK-25] */
        return;
    }
    ARRAY_FOREACH (it, &l->links) {
        n_quiet += link_is_quiet(*it, now);
        n_silent += link_is_silent(*it, now);
    }
    is_own_problem = succession_is_own_problem(l->links.n, n_quiet); /* [CTL-20] */
    tell_majority(l, is_own_problem, n_quiet);
    if (succession_is_own_problem(l->links.n, n_silent)) {
        l->options.on_most_silent(l->options.ctx, n_silent, l->links.n);
        return;
    }
    for (size_t i = 0; i < l->links.n && !is_own_problem; i++) {
        struct broker_link *link = l->links.items[i];
        if (link_is_silent(link, now) && !link->silent_told) {
            link->silent_told = true;
            l->options.on_silent(l->options.ctx, link->id, link->epoch);
        }
    }
}

struct broker_links *broker_links_new(const struct broker_links_options *options)
{
    struct broker_links *l = mem_new(struct broker_links);

    l->options = *options;
    timer_init(&l->check, options->loop, on_check, l);
    return l;
}

struct broker_links *broker_links_free(struct broker_links *l)
{
    if (l == NULL) {
        return NULL;
    }
    broker_links_stop(l);
    broker_links_set_controllers(l, NULL, 0);
    array_deinit(&l->controllers);
    array_deinit(&l->links);
    timer_deinit(&l->check);
    return mem_free(l);
}

void broker_links_start(struct broker_links *l, const struct uuid *cluster_id, uint64_t ctl_epoch)
{
    broker_links_stop(l);
    l->cluster_id = *cluster_id;
    l->ctl_epoch = ctl_epoch;
    l->is_running = true;
    timer_set(&l->check, wtime_add(clock_now(), LINKS_CHECK));
}

void broker_links_stop(struct broker_links *l)
{
    l->is_running = false;
    l->majority_told = false;
    timer_cancel(&l->check);
    while (l->links.n > 0) {
        link_free(l->links.items[--l->links.n]);
    }
}

void broker_links_set(struct broker_links *l, const struct meta_register_broker *broker)
{
    must(l->is_running);
    broker_links_remove(l, broker->id);
    *array_insert(&l->links, lower_bound(l, broker->id)) = link_new(l, broker);
}

void broker_links_remove(struct broker_links *l, broker_id id)
{
    struct broker_link *link = find(l, id);

    if (link != NULL) {
        array_remove(&l->links, lower_bound(l, id));
        link_free(link);
    }
}

void broker_links_push(struct broker_links *l)
{
    for (int gained = 1; gained >= 0; gained--) { /* [ZK-47] */
        for (size_t i = 0; i < l->links.n; i++) {
            struct broker_link *link = l->links.items[i];
            if (meta_log_is_gained(l->options.log, link->id) == (gained == 1)) {
                link_push(link);
            }
        }
    }
}

void broker_links_set_controllers(struct broker_links *l, const char *const *urls, size_t n)
{
    ARRAY_FOREACH (it, &l->controllers) {
        mem_free(*it);
    }
    array_clear(&l->controllers);
    for (size_t i = 0; i < n; i++) {
        *array_push(&l->controllers) = mem_strdup(urls[i]);
    }
}

void broker_links_answer(struct broker_links *l,
        struct link_request *request,
        int error,
        const char *detail,
        struct rpc_out *out)
{
    struct broker_link *link = find(l, request->id);

    if (link != NULL && link->conn != NULL && rpc_conn_id(link->conn) == request->conn_id) {
        rpc_answer(link->conn, &request->header, error, detail, out);
    } else {
        (void)rpc_out_free(out);
    }
    mem_free(request);
}

bool broker_links_has_applied(const struct broker_links *l, broker_id id, uint64_t index)
{
    const struct broker_link *link = find(l, id);

    return link != NULL && link->applied_index >= index;
}

bool broker_links_describe_configs(
        struct broker_links *l, broker_id id, broker_configs_fn *fn, void *ctx)
{
    struct broker_link *link = find(l, id);

    if (link == NULL || link->state != LINK_UP) {
        return false;
    }
    link_describe_configs(link, fn, ctx);
    return true;
}

bool broker_links_delete_records(struct broker_links *l,
        broker_id id,
        const struct msg_delete_records_request *m,
        broker_trim_fn *fn,
        void *ctx)
{
    struct broker_link *link = find(l, id);

    if (link == NULL || link->state != LINK_UP) {
        return false;
    }
    link_delete_records(link, m, fn, ctx);
    return true;
}

bool broker_links_describe_logs(
        struct broker_links *l, broker_id id, bool with_topics, broker_logs_fn *fn, void *ctx)
{
    struct broker_link *link = find(l, id);

    if (link == NULL || link->state != LINK_UP) {
        return false;
    }
    link_describe_logs(link, with_topics, fn, ctx);
    return true;
}

bool broker_links_describe_ends(struct broker_links *l,
        broker_id id,
        int64_t epoch,
        const struct msg_describe_ends_request *m,
        broker_ends_fn *fn,
        void *ctx)
{
    struct broker_link *link = find(l, id);

    if (link == NULL || link->state != LINK_UP || link->epoch != epoch) {
        return false;
    }
    link_describe_ends(link, m, fn, ctx);
    return true;
}

size_t broker_links_n(const struct broker_links *l)
{
    return l->links.n;
}

struct link_view broker_links_view(const struct broker_links *l, size_t i)
{
    const struct broker_link *link = NULL;

    must(i < l->links.n);
    link = l->links.items[i];
    return (struct link_view){.id = link->id,
            .epoch = link->epoch,
            .is_up = link->state == LINK_UP,
            .applied_index = link->applied_index,
            .last_heartbeat = link->last_heartbeat,
            .dirs = link->dirs,
            .n_dirs = link->n_dirs,
            .trouble = link->state == LINK_UP ? "" : link->trouble};
}
