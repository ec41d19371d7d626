/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/shell/broker_watch.h"

#include "common/base/array.h"
#include "common/base/mem.h"
#include "common/base/must.h"
#include "common/conf/conf.h"
#include "common/obs/log.h"
#include "common/zk/zk_paths.h"
#include "controller/shell/child_watch.h"

#include <stdlib.h>

struct known {
    broker_id id;
    int64_t epoch;
    bool is_listed;
};

struct broker_watch {
    struct broker_watch_options options;
    struct child_watch *children;
    struct uuid cluster_id;
    bool is_running, was_listed;
    ARRAY(struct known) known;
    ARRAY(struct broker_refusal) refusals;
};

static void refusal_deinit(struct broker_refusal *r)
{
    mem_free(r->problem);
    arena_deinit(&r->arena);
    mem_free(r->value);
}

static void refusals_clear(struct broker_watch *w)
{
    ARRAY_FOREACH (r, &w->refusals) {
        refusal_deinit(r);
    }
    array_clear(&w->refusals);
}

/* --- Judging a registration -------------------------------------------------------------------- */

/* NULL, or why the registration is not accepted (to be freed). */
static char *judge(const struct broker_watch *w, broker_id id, const struct msg_broker_reg *reg)
{
    const struct endpoint *endpoint = NULL;
    bool is_other_machine = w->options.boot_id[0] != '\0' && reg->boot_id[0] != '\0' &&
                            strcmp(w->options.boot_id, reg->boot_id) != 0;
    char other[UUID_TEXT_SIZE], own[UUID_TEXT_SIZE];

    if (reg->broker != id) {
        return mem_format("the node of broker %d holds the registration of broker %d", (int)id,
                (int)reg->broker);
    }
    if (!uuid_is_zero(&reg->cluster_id) && !uuid_equal(&reg->cluster_id, &w->cluster_id)) {
        return mem_format("its directories belong to cluster %s, this is cluster %s; give it empty "
                          "log.dirs or the other cluster's zookeeper.connect",
                uuid_format(&reg->cluster_id, other), uuid_format(&w->cluster_id, own));
    }
    for (size_t i = 0; i < reg->n_endpoints; i++) {
        const struct endpoint *e = &reg->endpoints[i];
        if (strcmp(e->name, w->options.listener) == 0) {
            endpoint = e;
        }
        if (conf_host_is_wildcard(e->host) ||
                (is_other_machine && conf_host_is_loopback(e->host))) {
            return mem_format("it advertises %s://%s:%u, an address that works only on its own "
                              "machine; set advertised.listeners to one that others reach",
                    e->name, e->host, (unsigned)e->port);
        }
    }
    if (endpoint == NULL) {
        return mem_format("it has no listener named '%s' (inter.broker.listener.name of this "
                          "controller)",
                w->options.listener);
    }
    return NULL;
}

static struct meta_register_broker registration_of(
        broker_id id, int64_t epoch, const struct msg_broker_reg *reg)
{
    return (struct meta_register_broker){
            .id = id,
            .epoch = epoch,
            .crash_kind = reg->crash_kind,
            .rack = reg->rack,
            .version = reg->version,
            .endpoints = reg->endpoints,
            .n_endpoints = reg->n_endpoints,
            .dirs = reg->dirs,
            .n_dirs = reg->n_dirs,
    };
}

/* What it could not take part in: NULL, or why (to be freed). */
static char *judge_ability(
        const struct broker_watch *w, broker_id id, const struct msg_broker_reg *reg)
{
    const struct meta_record record = {
            .kind = META_REGISTER_BROKER, .register_broker = registration_of(id, 0, reg)};
    int32_t level = w->options.feature_level(w->options.ctx);
    size_t size = record_stored_max(&record);

    if (reg->feature_level < (uint32_t)level) { /* [ZK-45] */
        return mem_format("its version %s knows feature levels up to %u, and level %d is in force; "
                          "run a version that knows level %d",
                reg->version, (unsigned)reg->feature_level, (int)level, (int)level);
    }
    if (size > META_CONFIGS_MAX) { /* [ZK-34] */
        return mem_format("its registration takes %zu bytes, at most %d are taken; give it fewer "
                          "or shorter listeners, log.dirs or a shorter broker.rack",
                size, (int)META_CONFIGS_MAX);
    }
    return NULL;
}

static struct known *find_known(struct broker_watch *w, broker_id id)
{
    ARRAY_FOREACH (k, &w->known) {
        if (k->id == id) {
            return k;
        }
    }
    return NULL;
}

/* A node whose registration was refused before, in this incarnation: told once. */
static bool was_refused(const struct broker_watch *w, broker_id id, int64_t epoch)
{
    for (size_t i = 0; i < w->refusals.n; i++) {
        if (w->refusals.items[i].id == id && w->refusals.items[i].epoch == epoch) {
            return true;
        }
    }
    return false;
}

static void keep_refusal(struct broker_watch *w, const struct broker_refusal *refusal)
{
    size_t i = 0;

    if (was_refused(w, refusal->id, refusal->epoch)) {
        struct broker_refusal copy = *refusal;
        refusal_deinit(&copy);
        return;
    }
    log_error("broker_watch", "registration_refused", KV_I64("broker", refusal->id),
            KV_I64("broker_epoch", refusal->epoch), KV_STR("reason", refusal->problem));
    while (i < w->refusals.n && w->refusals.items[i].id < refusal->id) {
        i++;
    }
    if (i < w->refusals.n && w->refusals.items[i].id == refusal->id) {
        refusal_deinit(&w->refusals.items[i]);
        w->refusals.items[i] = *refusal;
    } else {
        *array_insert(&w->refusals, i) = *refusal;
    }
}

/* --- Listings ---------------------------------------------------------------------------------- */

static bool parse_id(const char *name, broker_id *ret)
{
    long long id = 0;

    if (name[0] == '\0' || strlen(name) > 10 || strspn(name, "0123456789") != strlen(name)) {
        return false;
    }
    id = strtoll(name, NULL, 10);
    if (id > INT32_MAX) {
        return false;
    }
    *ret = (broker_id)id;
    return true;
}

static void tell_seen(struct broker_watch *w,
        const struct child *child,
        broker_id id,
        const struct msg_broker_reg *reg)
{
    const struct meta_register_broker seen = registration_of(id, child->czxid, reg);
    struct known *k = find_known(w, id);

    if (k == NULL) {
        k = array_push(&w->known);
    }
    *k = (struct known){.id = id, .epoch = child->czxid, .is_listed = true};
    w->options.on_seen(w->options.ctx, &seen, reg->prev_epoch);
}

static void look_at(struct broker_watch *w, const struct child *child, broker_id id)
{
    struct known *k = find_known(w, id);
    struct broker_refusal refusal = {.id = id, .epoch = child->czxid};
    struct msg_broker_reg reg = {0};

    if (k != NULL && k->epoch == child->czxid) {
        k->is_listed = true;
        return;
    }
    refusal.value = mem_dup(child->data.at, child->data.size);
    arena_init(&refusal.arena, 0);
    if (wire_decode_broker_reg((struct bytes){.at = refusal.value, .size = child->data.size},
                &refusal.arena, &reg) != 0) {
        refusal.problem = mem_strdup("its registration does not decode: another version of Weir?");
    } else if ((refusal.problem = judge(w, id, &reg)) != NULL ||
               (refusal.problem = judge_ability(w, id, &reg)) != NULL) {
        refusal.registration = arena_dup(&refusal.arena, &reg, sizeof(reg));
    }
    if (refusal.problem != NULL) {
        keep_refusal(w, &refusal);
        return;
    }
    tell_seen(w, child, id, &reg);
    refusal_deinit(&refusal);
}

/* Refusals of nodes that are gone or were accepted in another incarnation. */
static void forget_refusals(struct broker_watch *w, const struct child *children, size_t n)
{
    for (size_t i = w->refusals.n; i-- > 0;) {
        struct broker_refusal *r = &w->refusals.items[i];
        bool is_there = false;
        for (size_t k = 0; k < n; k++) {
            is_there = is_there || children[k].czxid == r->epoch;
        }
        if (!is_there) {
            refusal_deinit(r);
            array_remove(&w->refusals, i);
        }
    }
}

static void on_children(void *ctx, const struct child *children, size_t n)
{
    struct broker_watch *w = ctx;

    ARRAY_FOREACH (k, &w->known) {
        k->is_listed = false;
    }
    forget_refusals(w, children, n);
    for (size_t i = 0; i < n && w->is_running; i++) {
        broker_id id = BROKER_NONE;
        if (parse_id(children[i].name, &id)) {
            look_at(w, &children[i], id);
        }
    }
    for (size_t i = w->known.n; i-- > 0 && w->is_running;) {
        struct known k = w->known.items[i];
        if (!k.is_listed) {
            array_remove(&w->known, i);
            w->options.on_gone(w->options.ctx, k.id, k.epoch);
        }
    }
    if (w->is_running && !w->was_listed) {
        w->was_listed = true;
        w->options.on_listed(w->options.ctx);
    }
}

/* --- Life -------------------------------------------------------------------------------------- */

struct broker_watch *broker_watch_new(struct zk *zk, const struct broker_watch_options *options)
{
    struct broker_watch *w = mem_new(struct broker_watch);

    w->options = *options;
    w->children = child_watch_new(zk, ZK_PATH_BROKERS, on_children, w);
    return w;
}

struct broker_watch *broker_watch_free(struct broker_watch *w)
{
    if (w == NULL) {
        return NULL;
    }
    child_watch_free(w->children);
    refusals_clear(w);
    array_deinit(&w->refusals);
    array_deinit(&w->known);
    return mem_free(w);
}

void broker_watch_start(struct broker_watch *w, const struct uuid *cluster_id)
{
    broker_watch_stop(w);
    w->cluster_id = *cluster_id;
    w->is_running = true;
    child_watch_start(w->children);
}

void broker_watch_stop(struct broker_watch *w)
{
    w->is_running = false;
    w->was_listed = false;
    array_clear(&w->known);
    refusals_clear(w);
    child_watch_stop(w->children);
}

void broker_watch_refresh(struct broker_watch *w)
{
    if (w->is_running) {
        child_watch_start(w->children);
    }
}

size_t broker_watch_n_refusals(const struct broker_watch *w)
{
    return w->refusals.n;
}

const struct broker_refusal *broker_watch_refusal(const struct broker_watch *w, size_t i)
{
    must(i < w->refusals.n);
    return &w->refusals.items[i];
}
