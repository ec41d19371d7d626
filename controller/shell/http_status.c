/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/shell/http_resources.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

/* `GET /`: the cluster on one screen, for people with curl and for `weir status`. */

enum {
    OFFLINE_SHOWN = 10,
    BROKERS_SHOWN = 50,
    REASONS_SHOWN = 8
};

/* --- Health --------------------------------------------------------------------------------------------------------- */

struct reasons {
    struct buf text; /* a line each */
    size_t n;
};

__attribute__((format(printf, 2, 3))) static void add_reason(
        struct reasons *r, const char *format, ...)
{
    char line[512];
    va_list args;

    if (r->n++ < REASONS_SHOWN) {
        va_start(args, format);
        (void)vsnprintf(line, sizeof(line), format, args);
        va_end(args);
        buf_append_format(&r->text, "  - %s\n", line);
    }
}

static void find_broker_reasons(const struct http_view *v, struct reasons *r)
{
    struct http_broker_walk walk = {0};
    struct http_broker b;

    while (http_view_next_broker(v, &walk, &b)) {
        broker_id id = http_broker_id(&b);
        if (b.refused != NULL) {
            add_reason(r, "broker %" PRId32 " is refused: %s", id, b.refused->problem);
        } else if (b.broker->state == BROKER_FENCED) {
            const struct http_link *link = http_view_link(v, id);
            add_reason(r, "broker %" PRId32 " does not serve: %s", id,
                    link == NULL               ? "fenced"
                    : link->is_connected       ? "it is connected and catches up"
                    : link->trouble[0] != '\0' ? link->trouble
                                               : "not connected");
        } else if (b.broker->state == BROKER_SHUTTING) {
            add_reason(r, "broker %" PRId32 " shuts down", id);
        }
    }
}

static void find_disk_reasons(const struct http_view *v, struct reasons *r)
{
    for (size_t i = 0; i < v->n_links; i++) {
        const struct http_link *link = &v->links[i];
        for (size_t k = 0; link->is_connected && k < link->n_dirs; k++) {
            const struct msg_log_dir_state *d = &link->dirs[k];
            if (d->failed) {
                add_reason(r, "broker %" PRId32 ": log directory %s has failed; its log says why",
                        link->id, d->path);
            } else if (d->stall_ms > 0) {
                add_reason(r,
                        "broker %" PRId32 ": log directory %s has not answered for %" PRIu32
                        " s; appends there are refused",
                        link->id, d->path, d->stall_ms / 1000);
            } else if (d->full) {
                add_reason(r,
                        "broker %" PRId32 ": log directory %s is full (%" PRIu64
                        " MiB free); appends there are refused until space is freed",
                        link->id, d->path, d->free_bytes / (1024 * 1024));
            }
        }
    }
}

static void find_reasons(const struct http_view *v, struct reasons *r)
{
    if (!v->zookeeper.is_connected) {
        add_reason(r, "ZooKeeper is not connected: %s", v->zookeeper.trouble);
    }
    if (!v->has_active) {
        add_reason(r, "no controller is active");
    }
    if (v->metadata_trouble != NULL && v->metadata_trouble[0] != '\0') {
        add_reason(r, "controller %" PRId32 " cannot use the metadata: %s", v->self_id,
                v->metadata_trouble);
    } else if (!v->is_metadata_read) {
        add_reason(r, "this controller has not read the metadata yet");
    }
    if (v->counts->n_offline > 0) {
        add_reason(r, "%zu of %zu partition%s %s no leader", v->counts->n_offline,
                v->counts->n_partitions, v->counts->n_partitions == 1 ? "" : "s",
                v->counts->n_offline == 1 ? "has" : "have");
    }
    if (v->counts->n_internal_offline > 0) {
        add_reason(r, "%zu partition%s of the cluster's own topics (__…) %s no leader",
                v->counts->n_internal_offline, v->counts->n_internal_offline == 1 ? "" : "s",
                v->counts->n_internal_offline == 1 ? "has" : "have");
    }
    if (v->counts->n_under_min_isr > 0) {
        add_reason(r,
                "%zu partition%s fewer replicas in sync than min.insync.replicas: acks=all is "
                "refused there",
                v->counts->n_under_min_isr, v->counts->n_under_min_isr == 1 ? " has" : "s have");
    }
    if (v->counts->n_under_replicated > 0) {
        add_reason(r, "%zu partition%s replicas that are not in sync",
                v->counts->n_under_replicated,
                v->counts->n_under_replicated == 1 ? " has" : "s have");
    }
    if (image_n_brokers(v->image) == 0 && v->n_refused == 0) {
        add_reason(r, "there is no broker");
    }
    find_broker_reasons(v, r);
    find_disk_reasons(v, r);
}

bool http_is_healthy(const struct http_view *v)
{
    struct reasons reasons = {0};

    find_reasons(v, &reasons);
    buf_deinit(&reasons.text);
    return reasons.n == 0;
}

static void write_health(const struct reasons *r, struct buf *out)
{
    if (r->n == 0) {
        buf_append_str(out, "healthy\n\n");
        return;
    }
    buf_append_str(out, "NOT HEALTHY\n");
    buf_append(out, r->text.data, r->text.size);
    if (r->n > REASONS_SHOWN) {
        buf_append_format(out, "  and %zu more\n", r->n - REASONS_SHOWN);
    }
    buf_append_str(out, "\n");
}

/* --- What there is -------------------------------------------------------------------------------------------------- */

static void write_controllers(const struct http_view *v, struct buf *out)
{
    char since[HTTP_TIME_TEXT_SIZE];
    size_t n_standbys = 0;

    if (v->has_active) {
        bool has_since = v->active.since > 0;
        buf_append_format(out, "controller   %" PRId32 " at %s, epoch %" PRIu64, v->active.id,
                v->active.url, v->active.epoch);
        if (has_since) {
            /* Whole seconds: people do not need more here. */
            buf_append_format(
                    out, ", since %s", http_time_text(v->active.since / 1000 * 1000, since));
        }
        buf_append_str(out, "\n");
    } else {
        buf_append_str(out, "controller   none\n");
    }
    for (size_t i = 0; i < v->n_candidates; i++) {
        const struct http_candidate *one = &v->candidates[i];
        if (!v->has_active || one->id != v->active.id) {
            buf_append_format(out, "standby      %" PRId32 " at %s\n", one->id, one->url);
            n_standbys++;
        }
    }
    if (n_standbys == 0) {
        buf_append_str(out, "standby      none\n");
    }
    if (!v->is_active) {
        buf_append_format(out,
                "             (told by standby %" PRId32 ": it may be a moment behind)\n",
                v->self_id);
    }
}

static void write_summary(const struct http_view *v, struct buf *out)
{
    char id[UUID_TEXT_SIZE];
    const struct http_counts *n = v->counts;

    buf_append_format(out, "cluster      %s, metadata %" PRIu64 "\n",
            uuid_is_zero(&v->cluster_id) ? "not known yet" : uuid_format(&v->cluster_id, id),
            image_position(v->image).index);
    write_controllers(v, out);
    if (v->zookeeper.is_connected) {
        buf_append_format(
                out, "zookeeper    connected, session timeout %d ms\n", v->zookeeper.session_ms);
    } else {
        buf_append_str(out, "zookeeper    not connected\n");
    }
    buf_append_format(out, "topics       %zu with %zu partition%s, %zu offline\n\n", n->n_topics,
            n->n_partitions, n->n_partitions == 1 ? "" : "s", n->n_offline);
}

static void write_broker(const struct http_view *v, const struct http_broker *b, struct buf *out)
{
    broker_id id = http_broker_id(b);
    struct http_broker_counts counts = http_counts_of(v->counts, id);
    const struct http_link *link = http_view_live_link(v, id);
    const struct endpoint *endpoints =
            b->broker != NULL ? b->broker->endpoints : b->refused->endpoints;
    size_t n_endpoints = b->broker != NULL ? b->broker->n_endpoints : b->refused->n_endpoints;
    char address[300] = "-";
    char heartbeat[32] = "-";
    char shown[HTTP_SHOWN_SIZE];
    bool is_wanted = b->broker == NULL || b->broker->intent == BROKER_WANTED;
    const char *state = is_wanted || b->broker->state != BROKER_ACTIVE
                                ? http_broker_state(b)
                                : broker_intent_name(b->broker->intent);

    if (n_endpoints > 0) {
        bool is_v6 = strchr(endpoints[0].host, ':') != NULL;
        (void)snprintf(address, sizeof(address), "%s%s%s:%u", is_v6 ? "[" : "",
                http_shown(endpoints[0].host, shown), is_v6 ? "]" : "",
                (unsigned)endpoints[0].port);
    }
    if (link != NULL && link->heartbeat_age_ms >= 0) {
        (void)snprintf(heartbeat, sizeof(heartbeat), "%" PRId64 " ms ago", link->heartbeat_age_ms);
    }
    buf_append_format(out, "%-7" PRId32 " %-15s %-22s %8" PRId32 " %9" PRId32 "  %s\n", id, state,
            address, counts.leaders, counts.replicas, heartbeat);
}

static void write_brokers(const struct http_view *v, struct buf *out)
{
    struct http_broker_walk walk = {0};
    struct http_broker b;
    size_t n = 0;

    while (http_view_next_broker(v, &walk, &b)) {
        if (n == 0) {
            buf_append_format(out, "%-7s %-15s %-22s %8s %9s  %s\n", "BROKER", "STATE", "ADDRESS",
                    "LEADERS", "REPLICAS", "HEARTBEAT");
        }
        if (n++ < BROKERS_SHOWN) {
            write_broker(v, &b, out);
        }
    }
    if (n > BROKERS_SHOWN) {
        buf_append_format(out, "and %zu more: weir broker list\n", n - BROKERS_SHOWN);
    }
    buf_append_str(out, n > 0 ? "\n" : "");
}

/* --- What is offline ------------------------------------------------------------------------------------------------ */

static void write_ids(const struct broker_set *s, struct buf *out)
{
    for (uint8_t i = 0; i < s->n; i++) {
        buf_append_format(out, "%s%" PRId32, i > 0 ? "," : "", s->at[i]);
    }
}

static void write_offline_partition(
        const struct image_topic *t, const struct partition_state *p, struct buf *out)
{
    buf_append_format(out, "  %s-%" PRId32 "  replicas [", t->name, p->partition);
    write_ids(&p->replicas, out);
    buf_append_str(out, "], in sync [");
    write_ids(&p->isr, out);
    buf_append_str(out, "]\n");
}

static void write_offline(const struct http_view *v, struct buf *out)
{
    size_t n = 0;

    if (v->counts->n_offline == 0) {
        return;
    }
    buf_append_str(out, "offline partitions\n");
    for (size_t i = 0; i < image_n_topics(v->image) && n < OFFLINE_SHOWN; i++) {
        const struct image_topic *t = image_topic_at(v->image, i);
        for (int32_t p = 0; p < t->n_partitions && n < OFFLINE_SHOWN; p++) {
            if (t->partitions[p].leader == BROKER_NONE) {
                write_offline_partition(t, &t->partitions[p], out);
                n++;
            }
        }
    }
    if (v->counts->n_offline > n) {
        buf_append_format(out, "  and %zu more\n", v->counts->n_offline - n);
    }
    buf_append_str(out, "\n");
}

/* The first topic that has an offline partition, or NULL. */
static const struct image_topic *first_offline_topic(const struct http_view *v)
{
    for (size_t i = 0; v->counts->n_offline > 0 && i < image_n_topics(v->image); i++) {
        const struct image_topic *t = image_topic_at(v->image, i);
        for (int32_t p = 0; p < t->n_partitions; p++) {
            if (t->partitions[p].leader == BROKER_NONE) {
                return t;
            }
        }
    }
    return NULL;
}

static void write_next(const struct http_view *v, const struct reasons *r, struct buf *out)
{
    const struct image_topic *offline = first_offline_topic(v);

    buf_append_str(out, "next\n");
    if (!v->zookeeper.is_connected || !v->has_active) {
        buf_append_str(out, "  Look at the controllers' logs and whether ZooKeeper serves.\n");
    } else if (image_n_brokers(v->image) == 0) {
        buf_append_str(out, "  Start a broker: weir-broker --config FILE\n");
    } else if (offline != NULL) {
        buf_append_format(out, "  weir topic describe %s\n  weir broker list\n", offline->name);
        buf_append_str(out, "  Start the brokers again that have the replicas.\n");
    } else if (v->counts->n_under_min_isr > 0) {
        buf_append_str(out, "  weir partition list --under-min-isr\n  weir broker list\n");
    } else if (v->counts->n_under_replicated > 0) {
        buf_append_str(out, "  weir partition list --urp\n  weir broker list\n");
    } else if (r->n > 0) {
        buf_append_str(out, "  weir broker list\n");
    } else if (v->counts->n_topics == 0) {
        buf_append_str(out, "  weir topic create orders --partitions 6\n");
    } else {
        buf_append_str(out, "  weir topic list\n  weir broker list\n");
    }
}

void http_get_status_text(const struct http_view *v,
        const struct http_call *c,
        const char *arg,
        struct http_answer *a)
{
    struct reasons reasons = {0};

    (void)c;
    (void)arg;
    find_reasons(v, &reasons);
    write_health(&reasons, &a->body);
    write_summary(v, &a->body);
    write_brokers(v, &a->body);
    http_write_operations(v, &a->body);
    write_offline(v, &a->body);
    write_next(v, &reasons, &a->body);
    buf_deinit(&reasons.text);
    http_answer_text(a, "text/plain; charset=utf-8");
}
