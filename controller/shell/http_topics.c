/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/shell/http_resources.h"

#include <inttypes.h>
#include <stdio.h>

void http_no_topic(struct http_answer *a, const struct http_call *c, const char *name)
{
    char shown[HTTP_SHOWN_SIZE];

    http_problem_of(a, c, ERRCODE_UNKNOWN_TOPIC_OR_PARTITION, NULL,
            "See those there are: GET /v1/topics (weir topic list)", "there is no topic '%s'",
            http_shown(name, shown));
}

const struct image_topic *http_known_topic(const struct http_view *v,
        const struct http_call *c,
        const char *arg,
        struct http_answer *a)
{
    const struct image_topic *t = image_topic_by_name(v->image, arg);

    if (t == NULL) {
        http_no_topic(a, c, arg);
    }
    return t;
}

/* --- Topics --------------------------------------------------------------------------------------------------------- */

static int32_t count_offline(const struct image_topic *t)
{
    int32_t n = 0;

    for (int32_t p = 0; p < t->n_partitions; p++) {
        n += t->partitions[p].leader == BROKER_NONE ? 1 : 0;
    }
    return n;
}

static json_t *topic_json(const struct image_topic *t)
{
    return json_pack("{s:o, s:o, s:b, s:i, s:i, s:i, s:o}", "name", http_json_text(t->name),
            "topic_id", http_json_uuid(&t->id), "internal", t->internal ? 1 : 0, "partitions",
            (int)t->n_partitions, "replication_factor", (int)t->replication_factor, "offline",
            (int)count_offline(t), "created_at", http_json_time(t->created_at));
}

struct topic_filter {
    const char *prefix;
    size_t prefix_size;
    bool with_internal;
};

static bool read_filter(const struct http_call *c, struct topic_filter *ret, struct http_answer *a)
{
    static const char head[] = "name~";
    const char *filter = http_call_param(c, "filter");
    const char *include = http_call_param(c, "include");
    char shown[HTTP_SHOWN_SIZE];

    if (filter != NULL && strncmp(filter, head, strlen(head)) != 0) {
        http_problem(a, c, HTTP_PROBLEM_BAD_QUERY, NULL, "For example: ?filter=name~ord",
                "filter must be name~ and a prefix, not '%s'", http_shown(filter, shown));
        return false;
    }
    if (include != NULL && strcmp(include, "internal") != 0) {
        http_problem(a, c, HTTP_PROBLEM_BAD_QUERY, NULL, "Leave it out, or: ?include=internal",
                "include must be internal, not '%s'", http_shown(include, shown));
        return false;
    }
    ret->prefix = filter != NULL ? filter + strlen(head) : "";
    ret->prefix_size = strlen(ret->prefix);
    ret->with_internal = include != NULL;
    return true;
}

/* Where the page begins: after its token, and not before the prefix. */
static size_t first_topic(
        const struct image *image, const struct http_page *page, const struct topic_filter *filter)
{
    size_t at = image_topic_lower_bound(image, filter->prefix);

    if (page->has_after) {
        size_t after = image_topic_lower_bound(image, page->after);
        if (after < image_n_topics(image) &&
                strcmp(image_topic_at(image, after)->name, page->after) == 0) {
            after++;
        }
        at = after > at ? after : at;
    }
    return at;
}

void http_get_topics(const struct http_view *v,
        const struct http_call *c,
        const char *arg,
        struct http_answer *a)
{
    struct topic_filter filter;
    struct http_page page;
    const char *last = NULL;

    (void)arg;
    if (!read_filter(c, &filter, a) || !http_page_begin(&page, 't', c, a)) {
        return;
    }
    for (size_t i = first_topic(v->image, &page, &filter); i < image_n_topics(v->image); i++) {
        const struct image_topic *t = image_topic_at(v->image, i);
        if (strncmp(t->name, filter.prefix, filter.prefix_size) != 0) {
            break;
        }
        if (t->internal && !filter.with_internal) {
            continue;
        }
        if (http_page_is_full(&page)) {
            http_page_more(&page, last);
            break;
        }
        last = t->name;
        http_page_add(&page, topic_json(t));
    }
    http_page_end(&page, a);
}

void http_get_topic(const struct http_view *v,
        const struct http_call *c,
        const char *arg,
        struct http_answer *a)
{
    const struct image_topic *t = http_known_topic(v, c, arg, a);

    if (t == NULL) {
        return;
    }
    json_t *json = topic_json(t);
    must(json_object_set_new(json, "configs", http_topic_config_items(v->image, t, NULL)) == 0);
    http_answer_json(a, 200, json);
}

/* --- Partitions ----------------------------------------------------------------------------------------------------- */

void http_get_partitions(const struct http_view *v,
        const struct http_call *c,
        const char *arg,
        struct http_answer *a)
{
    const struct image_topic *t = http_known_topic(v, c, arg, a);
    struct http_page page;

    if (t == NULL) {
        return;
    }
    if (!http_page_begin(&page, 'p', c, a)) {
        return;
    }
    for (int64_t i = http_page_after_number(&page) + 1; i < t->n_partitions; i++) {
        if (http_page_is_full(&page)) {
            http_page_more_number(&page, i - 1);
            break;
        }
        http_page_add(&page, http_partition_json(&t->partitions[i]));
    }
    http_page_end(&page, a);
}

/* --- Growth --------------------------------------------------------------------------------------------------------- */

void http_patch_topic(const struct http_view *v,
        const struct http_call *c,
        const char *arg,
        struct http_answer *a,
        struct http_write *w)
{
    static const char example[] = "For example: {\"partitions\": 12}";
    struct http_faults faults = {0};
    json_int_t n = -1, factor = -1;
    json_error_t error;

    if (image_topic_by_name(v->image, arg) == NULL) {
        http_no_topic(a, c, arg);
        return;
    }
    if (!http_is_json(c, true)) {
        http_problem(a, c, HTTP_PROBLEM_NOT_JSON, NULL,
                "Send it with Content-Type: application/json", "the body must be JSON and say so");
        return;
    }
    json_t *body = http_body_object(c->body, &faults);

    if (body != NULL && json_unpack_ex(body, &error, JSON_STRICT, "{s?I, s?I}", "partitions", &n,
                                "replication_factor", &factor) != 0) {
        http_fault(&faults, "",
                "must have the member partitions or replication_factor, a whole number: %s",
                error.text);
    } else if (body != NULL && (n == -1) == (factor == -1)) {
        http_fault(&faults, "", "must have either the member partitions or replication_factor");
    } else if (body != NULL && n == -1 && (factor < 1 || factor > REPLICAS_MAX)) {
        http_fault_rule(&faults, ERRCODE_INVALID_REPLICATION_FACTOR, "/replication_factor",
                "must be at least 1, and as many as brokers are up at most");
    } else if (body != NULL && n != -1 && (n < 1 || n > PARTITIONS_PER_TOPIC_MAX)) {
        http_fault_rule(&faults, ERRCODE_INVALID_PARTITIONS, "/partitions",
                "must be 1 to %d, not %lld", PARTITIONS_PER_TOPIC_MAX, (long long)n);
    }
    json_decref(body);
    if (faults.list != NULL) {
        http_refuse_body(c, a, &faults, example);
        return;
    }
    w->spec.name = mem_strdup(arg);
    if (n == -1) {
        w->reassign.goal = CTL_GOAL_FACTOR;
        w->reassign.replication_factor = (int32_t)factor;
        w->kind = HTTP_WRITE_REASSIGN;
        return;
    }
    w->spec.n_partitions = (int32_t)n;
    w->kind = HTTP_WRITE_ADD_PARTITIONS;
}
