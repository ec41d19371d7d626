/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/shell/http_resources.h"

#include <inttypes.h>
#include <stdio.h>

static const char *crash_kind_text(enum crash_kind kind)
{
    switch (kind) {
    case CRASH_CLEAN: return "clean";
    case CRASH_PROC: return "proc";
    case CRASH_HOST: return "host";
    case CRASH_DISK: return "disk";
    }
    return NULL; /* a refused registration need not have one */
}

static json_t *endpoints_json(const struct endpoint *endpoints, size_t n)
{
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++) {
        must(json_array_append_new(list,
                     json_pack("{s:o, s:o, s:i}", "listener", http_json_text(endpoints[i].name),
                             "host", http_json_text(endpoints[i].host), "port",
                             (int)endpoints[i].port)) == 0);
    }
    return list;
}

static const char *dir_state(const struct msg_log_dir_state *d)
{
    return d->failed ? "failed" : d->stall_ms > 0 ? "stalled" : d->full ? "full" : "ok";
}

/* The topics that lie in a directory, the largest first. */
static json_t *topics_json(const struct image *image, const struct msg_dir_logs *logs)
{
    json_t *list = json_array();

    for (size_t i = 0; i < logs->n_topics; i++) {
        const struct msg_topic_bytes *b = &logs->topics[i];
        const struct image_topic *t = image_topic_by_id(image, &b->topic_id);
        must(json_array_append_new(list,
                     json_pack("{s:o, s:o, s:I, s:I}", "name",
                             http_json_text(t != NULL ? t->name : NULL), "topic_id",
                             http_json_uuid(&b->topic_id), "partitions",
                             (json_int_t)b->partitions, "bytes", (json_int_t)b->bytes)) == 0);
    }
    return list;
}

/* What only the broker knows: null when it was not asked, or did not tell. */
static json_t *contents_json(const struct image *image,
        const struct msg_log_dir_state *d,
        const struct msg_describe_logs_response *logs)
{
    for (size_t i = 0; logs != NULL && i < logs->n_dirs; i++) {
        const struct msg_dir_logs *l = &logs->dirs[i];
        if (uuid_equal(&l->dir_id, &d->dir_id)) {
            return json_pack("{s:o, s:I, s:I, s:I}", "topics", topics_json(image, l), "n_topics",
                    (json_int_t)l->n_all, "topics_bytes", (json_int_t)l->bytes, "trash_bytes",
                    (json_int_t)l->trash_bytes);
        }
    }
    return json_pack(
            "{s:n, s:n, s:n, s:n}", "topics", "n_topics", "topics_bytes", "trash_bytes");
}

static json_t *dirs_json(const struct image *image,
        const struct http_link *link,
        bool with_contents,
        const struct msg_describe_logs_response *logs)
{
    json_t *list = json_array();

    for (size_t i = 0; i < link->n_dirs; i++) {
        const struct msg_log_dir_state *d = &link->dirs[i];
        must(json_array_append_new(
                     list, json_pack("{s:o, s:o, s:s, s:I, s:I, s:I, s:I, s:I, s:I}", "id",
                                   http_json_uuid(&d->dir_id), "path", http_json_text(d->path),
                                   "state", dir_state(d), "total_bytes", (json_int_t)d->total_bytes,
                                   "free_bytes", (json_int_t)d->free_bytes, "reserve_bytes",
                                   (json_int_t)d->reserve_bytes, "log_bytes",
                                   (json_int_t)d->log_bytes, "stall_ms", (json_int_t)d->stall_ms,
                                   "canary_ms", (json_int_t)d->canary_ms)) == 0);
    }
    for (size_t i = 0; with_contents && i < link->n_dirs; i++) {
        must(json_object_update_new(json_array_get(list, i),
                     contents_json(image, &link->dirs[i], logs)) == 0);
    }
    return list;
}

static json_t *broker_json(const struct http_view *v,
        const struct http_broker *b,
        bool with_contents,
        const struct msg_describe_logs_response *logs)
{
    const struct image_broker *i = b->broker;
    const struct http_refused *r = b->refused;
    broker_id id = http_broker_id(b);
    struct http_broker_counts counts = http_counts_of(v->counts, id);
    const struct http_link *any = http_view_link(v, id);
    const struct http_link *link = http_view_live_link(v, id);
    const char *problem = r != NULL                     ? r->problem
                          : any != NULL && link == NULL ? any->trouble
                                                        : NULL;
    int64_t epoch = i != NULL ? i->epoch : r->epoch;

    json_t *json = json_pack("{s:i, s:s, s:o, s:o, s:o, s:o, s:o, s:i, s:i}", "id", (int)id,
            "state", http_broker_state(b), "rack",
            http_json_text_or_null(i != NULL ? i->rack : r->rack), "version",
            http_json_text_or_null(i != NULL ? i->version : r->version), "epoch",
            epoch != BROKER_EPOCH_NONE ? json_integer((json_int_t)epoch) : json_null(),
            "crash_kind",
            http_json_text(crash_kind_text(i != NULL ? i->crash_kind : r->crash_kind)), "endpoints",
            endpoints_json(i != NULL ? i->endpoints : r->endpoints,
                    i != NULL ? i->n_endpoints : r->n_endpoints),
            "leaders", (int)counts.leaders, "replicas", (int)counts.replicas);
    must(json != NULL);
    must(json_object_set_new(json, "intent",
                 json_string(broker_intent_name(i != NULL ? i->intent : BROKER_WANTED))) == 0);
    json_t *live = json_pack("{s:o, s:o, s:o, s:o}", "applied_index",
            link != NULL ? json_integer((json_int_t)link->applied_index) : json_null(),
            "heartbeat_age_ms",
            link != NULL && link->heartbeat_age_ms >= 0
                    ? json_integer((json_int_t)link->heartbeat_age_ms)
                    : json_null(),
            "dirs",
            link != NULL ? dirs_json(v->image, link, with_contents, logs) : json_null(), "problem",
            http_json_text_or_null(problem));
    must(json_object_update_new(json, live) == 0);
    return json;
}

void http_get_brokers(const struct http_view *v,
        const struct http_call *c,
        const char *arg,
        struct http_answer *a)
{
    struct http_page page;
    struct http_broker_walk walk = {0};
    struct http_broker b;
    int64_t last = -1;

    (void)arg;
    if (!http_page_begin(&page, 'b', c, a)) {
        return;
    }
    int64_t after = http_page_after_number(&page);
    while (http_view_next_broker(v, &walk, &b)) {
        if (http_broker_id(&b) <= after) {
            continue;
        }
        if (http_page_is_full(&page)) {
            http_page_more_number(&page, last);
            break;
        }
        last = http_broker_id(&b);
        http_page_add(&page, broker_json(v, &b, false, NULL));
    }
    http_page_end(&page, a);
}

void http_answer_broker(const struct http_view *v,
        const struct http_call *c,
        const char *arg,
        const struct msg_describe_logs_response *logs,
        struct http_answer *a)
{
    struct http_broker_walk walk = {0};
    struct http_broker b;
    int64_t id = -1;
    char shown[HTTP_SHOWN_SIZE];

    if (http_parse_i64(arg, 0, INT32_MAX, &id)) {
        while (http_view_next_broker(v, &walk, &b)) {
            if (http_broker_id(&b) == id) {
                http_answer_json(a, 200, broker_json(v, &b, true, logs));
                return;
            }
        }
    }
    http_problem(a, c, HTTP_PROBLEM_NO_BROKER, NULL, "See those there are: GET /v1/brokers",
            "there is no broker %s", http_shown(arg, shown));
}

void http_get_broker(const struct http_view *v,
        const struct http_call *c,
        const char *arg,
        struct http_answer *a)
{
    http_answer_broker(v, c, arg, NULL, a);
}
