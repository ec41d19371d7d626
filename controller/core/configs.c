/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/arena.h"
#include "controller/core/ctl_state.h"

enum {
    OLD_SHOWN = 6 /* former values that a record's inputs name; the rest is counted */
};

/* Whom the change is about; strings for people. */
struct config_target {
    const struct ctl_set_configs *asked;
    const struct image_topic *topic;
    const struct image_broker *broker;
    const char *name; /* "cluster", "topic orders", "broker 2" */
};

static const char *value_of(
        const struct ctl *c, const struct config_target *target, const char *key)
{
    switch (target->asked->scope) {
    case CONFIG_CLUSTER: return image_cluster_config(c->next, key);
    case CONFIG_TOPIC: return image_topic_config(target->topic, key);
    case CONFIG_BROKER: return image_broker_config(target->broker, key);
    }
    must_not_reach("a scope that is none");
}

static int refuse(const char **ret_detail, int error, const char *detail)
{
    *ret_detail = detail;
    return error;
}

static int find_target(struct ctl *c, struct config_target *t, const char **ret_detail)
{
    const struct ctl_set_configs *asked = t->asked;

    switch (asked->scope) {
    case CONFIG_CLUSTER: t->name = "cluster"; return ERRCODE_NONE;
    case CONFIG_TOPIC:
        t->topic = image_topic_by_name(c->next, asked->topic);
        t->name = ctl_format(c, "topic %s", asked->topic);
        return t->topic != NULL ? ERRCODE_NONE
                                : refuse(ret_detail, ERRCODE_UNKNOWN_TOPIC_OR_PARTITION,
                                          ctl_format(c, "there is no topic %s", asked->topic));
    case CONFIG_BROKER:
        t->broker = image_broker(c->next, asked->broker);
        t->name = ctl_format(c, "broker %d", asked->broker);
        return t->broker != NULL
                       ? ERRCODE_NONE
                       : refuse(ret_detail, ERRCODE_BROKER_ID_NOT_REGISTERED,
                                 ctl_format(c, "no broker %d has registered", asked->broker));
    }
    must_not_reach("a scope that is none");
}

int ctl_check_configs_fit(struct ctl *c,
        const struct meta_config_pair *pairs,
        size_t n,
        const char **ret_detail)
{
    size_t size = record_configs_max(pairs, n);

    if (size <= META_CONFIGS_MAX) {
        return ERRCODE_NONE;
    }
    return refuse(ret_detail, ERRCODE_INVALID_CONFIG,
            ctl_format(c, "the configurations take %zu bytes; one request may have %d", size,
                    META_CONFIGS_MAX));
}

/* [CFG-4] A default that every creation would be refused for is no default. */
static int check_replication(
        struct ctl *c, const struct ctl_set_configs *asked, const char **ret_detail)
{
    for (size_t i = 0; asked->scope == CONFIG_CLUSTER && i < asked->n_pairs; i++) {
        int32_t rf = ctl_number_of(asked->pairs[i].value, 1);
        if (strcmp(asked->pairs[i].key, "default.replication.factor") == 0 &&
                rf > c->replication_factor_max) {
            return refuse(ret_detail, ERRCODE_INVALID_REPLICATION_FACTOR,
                    ctl_format(c, "replication factor %d: at most %d is served", rf,
                            c->replication_factor_max));
        }
    }
    return ERRCODE_NONE;
}

static bool differs(const char *a, const char *b)
{
    return (a == NULL) != (b == NULL) || (a != NULL && strcmp(a, b) != 0);
}

/* The pairs that change something, in the memory of the effects, and the values before them. */
static size_t gather_changes(struct ctl *c,
        const struct config_target *t,
        struct meta_config_pair *ret,
        const char **ret_old)
{
    const char *old = "";
    size_t n = 0;

    for (size_t i = 0; i < t->asked->n_pairs; i++) {
        const struct meta_config_pair *pair = &t->asked->pairs[i];
        const char *before = value_of(c, t, pair->key);
        if (!differs(before, pair->value)) {
            continue;
        }
        ret[n++] = (struct meta_config_pair){.key = ctl_strdup(c, pair->key),
                .value = pair->value != NULL ? ctl_strdup(c, pair->value) : NULL};
        if (n <= OLD_SHOWN) {
            old = ctl_format(c, "%s%s%s=%s", old, n > 1 ? " " : "", pair->key,
                    before != NULL ? before : "unset");
        }
    }
    *ret_old = n > OLD_SHOWN ? ctl_format(c, "%s and %zu more", old, n - OLD_SHOWN) : old;
    return n;
}

/* [CFG-3] One record for all of it, of what really changes. */
static void append_changes(struct ctl *c,
        const struct config_target *t,
        const struct meta_config_pair *pairs,
        size_t n,
        const char *old)
{
    struct meta_record r = ctl_record(c, META_CONFIG_SET, ctl_format(c, "old=[%s]", old));

    r.config_set.scope = t->asked->scope;
    if (t->topic != NULL) {
        r.config_set.topic_id = t->topic->id;
    }
    r.config_set.broker = t->broker != NULL ? t->broker->id : BROKER_NONE;
    r.config_set.configs = pairs;
    r.config_set.n_configs = n;
    for (size_t i = 0; i < n; i++) {
        trace_emit(c->trace, "ctl  %s: %s = %s", t->name, pairs[i].key,
                pairs[i].value != NULL ? pairs[i].value : "(as if not set)");
    }
    ctl_append(c, &r);
}

/* [CTL-51] [CTL-88] The records of partitions hold what is in force, so they follow it at once. */
static void follow(struct ctl *c,
        const struct config_target *t,
        const struct meta_config_pair *pairs,
        size_t n)
{
    const char *held = NULL; /* a key that is */

    for (size_t i = 0; i < n; i++) {
        if (c->is_listed && strcmp(pairs[i].key, "weir.unclean.election") == 0) {
            ctl_look_for_lost(c);
        }
        c->is_stirred =
                c->is_stirred || strcmp(pairs[i].key, "auto.leader.rebalance.enable") == 0;
        c->balance.is_stirred =
                c->balance.is_stirred || strncmp(pairs[i].key, "weir.auto.balance", 17) == 0;
        if (strcmp(pairs[i].key, "min.insync.replicas") == 0 ||
                strcmp(pairs[i].key, "weir.ack.durability") == 0) {
            held = pairs[i].key;
        }
    }
    for (int32_t p = 0; held != NULL && t->topic != NULL && p < t->topic->n_partitions; p++) {
        ctl_settle_one(c, &t->topic->partitions[p], BROKER_NONE, held);
    }
    if (held != NULL && t->asked->scope == CONFIG_CLUSTER) {
        ctl_settle(c, BROKER_NONE, CRASH_CLEAN, held);
    }
}

void ctl_set_cluster_config(struct ctl *c, const char *key, const char *value)
{
    const struct meta_config_pair pair = {.key = key, .value = value};
    const struct ctl_set_configs asked = {
            .scope = CONFIG_CLUSTER, .pairs = &pair, .n_pairs = 1};
    const struct config_target t = {.asked = &asked, .name = "cluster"};
    struct meta_config_pair *changed = arena_alloc(c->fx->arena, sizeof(*changed));
    const char *old = "";

    must(changed != NULL);
    size_t n = gather_changes(c, &t, changed, &old);
    if (n > 0) {
        append_changes(c, &t, changed, n, old);
        follow(c, &t, changed, n);
    }
}

void ctl_on_set_configs(struct ctl *c, const struct ctl_set_configs *s)
{
    struct config_target t = {.asked = s};
    const char *detail = "", *old = "";
    int error = find_target(c, &t, &detail);

    if (error == ERRCODE_NONE && s->if_seq != 0 && s->if_seq != c->last_seq) { /* [CFG-5] */
        error = refuse(&detail, ERRCODE_INVALID_UPDATE_VERSION,
                "the metadata has moved on since it was read");
    }
    error = error == ERRCODE_NONE ? check_replication(c, s, &detail) : error;
    error = error == ERRCODE_NONE ? ctl_check_configs_fit(c, s->pairs, s->n_pairs, &detail) : error;
    if (error != ERRCODE_NONE) {
        trace_emit(c->trace, "ctl  configuration refused, %s: %s", errcode_name(error), detail);
        (void)ctl_answer(c, error, detail);
        return;
    }
    struct meta_config_pair *pairs =
            arena_alloc(c->fx->arena, (s->n_pairs + 1) * sizeof(*pairs)); /* never of no size */
    must(pairs != NULL);
    size_t n = gather_changes(c, &t, pairs, &old);
    if (n > 0 && !s->dry_run) {
        append_changes(c, &t, pairs, n, old);
        follow(c, &t, pairs, n);
    }
    struct ctl_reply *reply = ctl_answer(c, ERRCODE_NONE, "");

    if (reply != NULL) {
        reply->is_unchanged = n == 0;
    }
}
