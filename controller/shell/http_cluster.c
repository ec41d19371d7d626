/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/shell/http_resources.h"

#include "common/obs/metrics.h"

#include <inttypes.h>
#include <stdio.h>

/* --- Process -------------------------------------------------------------------------------------------------------- */

void http_get_health(const struct http_view *v,
        const struct http_call *c,
        const char *arg,
        struct http_answer *a)
{
    (void)v;
    (void)c;
    (void)arg;
    http_answer_json(a, 200, json_pack("{s:s}", "status", "ok"));
}

void http_get_version(const struct http_view *v,
        const struct http_call *c,
        const char *arg,
        struct http_answer *a)
{
    (void)v;
    (void)c;
    (void)arg;
    http_answer_json(a, 200,
            json_pack("{s:s, s:i}", "version", WEIR_VERSION, "feature_level", META_FEATURE_LEVEL));
}

static bool add_check(json_t *checks, const char *name, bool is_ok, const char *detail)
{
    must(json_array_append_new(
                 checks, json_pack("{s:s, s:b, s:o}", "name", name, "ok", is_ok ? 1 : 0, "detail",
                                 http_json_text(is_ok ? "" : detail))) == 0);
    return is_ok;
}

void http_get_ready(const struct http_view *v,
        const struct http_call *c,
        const char *arg,
        struct http_answer *a)
{
    json_t *checks = json_array();
    bool is_ok = true;

    (void)c;
    (void)arg;
    is_ok &= add_check(checks, "zookeeper", v->zookeeper.is_connected, v->zookeeper.trouble);
    is_ok &= add_check(checks, "controller",
            v->is_active || (v->has_active && v->active.id != v->self_id),
            "no active controller is known");
    bool is_sound = v->metadata_trouble == NULL || v->metadata_trouble[0] == '\0';
    is_ok &= add_check(checks, "metadata", v->is_metadata_read && is_sound,
            is_sound ? "the metadata log is not read yet" : v->metadata_trouble);
    http_answer_json(a, is_ok ? 200 : 503,
            json_pack("{s:s, s:o}", "status", is_ok ? "ok" : "failing", "checks", checks));
    if (!is_ok) {
        http_answer_header(a, "Retry-After", "1");
    }
}

static void write_broker_family(const struct http_view *v,
        struct buf *out,
        const char *name,
        const char *text,
        int64_t (*value)(const struct http_view *v, broker_id id))
{
    metrics_write_family(out, name, "gauge", text);
    for (size_t i = 0; i < image_n_brokers(v->image); i++) {
        char labels[32];
        broker_id id = image_broker_at(v->image, i)->id;
        (void)snprintf(labels, sizeof(labels), "broker=\"%" PRId32 "\"", id);
        metrics_write_sample(out, name, labels, value(v, id));
    }
}

static int64_t broker_leaders(const struct http_view *v, broker_id id)
{
    return http_counts_of(v->counts, id).leaders;
}

static int64_t broker_replicas(const struct http_view *v, broker_id id)
{
    return http_counts_of(v->counts, id).replicas;
}

static int64_t broker_is_connected(const struct http_view *v, broker_id id)
{
    return http_view_live_link(v, id) != NULL ? 1 : 0;
}

static size_t count_active_brokers(const struct http_view *v)
{
    size_t n = 0;

    for (size_t i = 0; i < image_n_brokers(v->image); i++) {
        n += image_broker_at(v->image, i)->state == BROKER_ACTIVE ? 1 : 0;
    }
    return n;
}

void http_get_metrics(const struct http_view *v,
        const struct http_call *c,
        const char *arg,
        struct http_answer *a)
{
    (void)c;
    (void)arg;
    metric_set(METRIC_CONTROLLER_ACTIVE, v->is_active ? 1 : 0);
    metric_set(METRIC_CONTROLLER_EPOCH, (int64_t)image_ctl_epoch(v->image));
    metric_set(METRIC_CONTROLLER_COMMITTED_INDEX, (int64_t)image_position(v->image).index);
    metric_set(METRIC_CONTROLLER_BROKERS_ACTIVE, (int64_t)count_active_brokers(v));
    metric_set(METRIC_CONTROLLER_TOPICS, (int64_t)v->counts->n_topics);
    metric_set(METRIC_CONTROLLER_PARTITIONS, (int64_t)v->counts->n_partitions);
    metric_set(METRIC_CONTROLLER_OFFLINE_PARTITIONS, (int64_t)v->counts->n_offline);
    metric_set(METRIC_CONTROLLER_UNDER_REPLICATED_PARTITIONS,
            (int64_t)v->counts->n_under_replicated);
    metric_set(METRIC_CONTROLLER_UNDER_MIN_ISR_PARTITIONS, (int64_t)v->counts->n_under_min_isr);
    metrics_write(&a->body, "controller");
    write_broker_family(v, &a->body, "weir_controller_broker_leaders",
            "Partitions that the broker leads.", broker_leaders);
    write_broker_family(v, &a->body, "weir_controller_broker_replicas",
            "Partitions that the broker has a replica of.", broker_replicas);
    write_broker_family(v, &a->body, "weir_controller_broker_connected",
            "1 when this controller has a connection to the broker; standbys have none.",
            broker_is_connected);
    buf_append_str(&a->body, "# EOF\n");
    http_answer_text(a, "application/openmetrics-text; version=1.0.0; charset=utf-8");
}

/* --- Controllers ---------------------------------------------------------------------------------------------------- */

static bool is_the_active(const struct http_view *v, int32_t id)
{
    return v->has_active && v->active.id == id;
}

void http_get_controllers(const struct http_view *v,
        const struct http_call *c,
        const char *arg,
        struct http_answer *a)
{
    struct http_page page;
    int64_t last = -1;

    (void)arg;
    if (!http_page_begin(&page, 'c', c, a)) {
        return;
    }
    int64_t after = http_page_after_number(&page);
    for (size_t i = 0; i < v->n_candidates; i++) {
        const struct http_candidate *one = &v->candidates[i];
        bool is_active = is_the_active(v, one->id);
        if (one->id <= after) {
            continue;
        }
        if (http_page_is_full(&page)) {
            http_page_more_number(&page, last);
            break;
        }
        last = one->id;
        http_page_add(
                &page, json_pack("{s:i, s:s, s:o, s:o, s:o, s:o}", "id", (int)one->id, "state",
                               is_active ? "active" : "standby", "url", http_json_text(one->url),
                               "version", http_json_text(one->version), "epoch",
                               is_active ? json_integer((json_int_t)v->active.epoch) : json_null(),
                               "since", is_active ? http_json_time(v->active.since) : json_null()));
    }
    http_page_end(&page, a);
}

/* --- Cluster -------------------------------------------------------------------------------------------------------- */

static json_t *active_json(const struct http_view *v)
{
    if (!v->has_active) {
        return json_null();
    }
    return json_pack("{s:i, s:I, s:o, s:o}", "id", (int)v->active.id, "epoch",
            (json_int_t)v->active.epoch, "since", http_json_time(v->active.since), "url",
            http_json_text(v->active.url));
}

static json_t *standbys_json(const struct http_view *v)
{
    json_t *list = json_array();

    for (size_t i = 0; i < v->n_candidates; i++) {
        const struct http_candidate *one = &v->candidates[i];
        if (!is_the_active(v, one->id)) {
            must(json_array_append_new(list, json_pack("{s:i, s:o}", "id", (int)one->id, "url",
                                                     http_json_text(one->url))) == 0);
        }
    }
    return list;
}

static json_t *counts_json(const struct http_view *v)
{
    struct http_broker_walk walk = {0};
    struct http_broker b;
    json_int_t n = 0;

    while (http_view_next_broker(v, &walk, &b)) {
        n++;
    }
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "brokers", n, "brokers_up",
            (json_int_t)count_active_brokers(v), "topics", (json_int_t)v->counts->n_topics,
            "partitions", (json_int_t)v->counts->n_partitions, "offline",
            (json_int_t)v->counts->n_offline, "under_replicated",
            (json_int_t)v->counts->n_under_replicated, "under_min_isr",
            (json_int_t)v->counts->n_under_min_isr);
}

void http_get_cluster(const struct http_view *v,
        const struct http_call *c,
        const char *arg,
        struct http_answer *a)
{
    bool is_connected = v->zookeeper.is_connected;

    (void)c;
    (void)arg;
    json_t *zookeeper = json_pack("{s:s, s:i, s:o}", "state",
            is_connected ? "connected" : "disconnected", "session_ms", v->zookeeper.session_ms,
            "detail", http_json_text(is_connected ? "" : v->zookeeper.trouble));
    http_answer_json(a, 200,
            json_pack("{s:o, s:b, s:o, s:o, s:o, s:I, s:o, s:{s:i}}", "cluster_id",
                    http_json_uuid(&v->cluster_id), "healthy", (int)http_is_healthy(v), "controller", active_json(v), "standbys",
                    standbys_json(v), "zookeeper", zookeeper, "metadata_index",
                    (json_int_t)image_position(v->image).index, "counts", counts_json(v),
                    "features", "metadata.version", (int)image_feature_level(v->image)));
}
