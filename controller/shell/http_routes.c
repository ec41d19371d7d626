/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/shell/http_resources.h"

#include <inttypes.h>

struct route {
    const char *method;
    const char *pattern;  /* `{}` stands for one segment */
    const char *params;   /* the query parameters it knows, each followed by a space */
    http_get_fn *get;     /* either this */
    http_write_fn *write; /* or this, which only the active controller does */
    bool is_metadata;     /* the answer comes from the metadata */
    http_later_fn *later; /* or this instead of both: it answers in a later turn */
    bool is_active_only;  /* `later` is for the active controller; a standby sends to it */
};

#define PAGE "page_size page_token "

static const struct route routes[] = {
        {"GET", "/", "", http_get_status_text, NULL, true, NULL, false},
        {"GET", "/healthz", "", http_get_health, NULL, false, NULL, false},
        {"GET", "/readyz", "", http_get_ready, NULL, false, NULL, false},
        {"GET", "/metrics", "", http_get_metrics, NULL, false, NULL, false},
        {"GET", "/v1/version", "", http_get_version, NULL, false, NULL, false},
        {"GET", "/v1/cluster", "", http_get_cluster, NULL, true, NULL, false},
        {"GET", "/v1/controllers", PAGE, http_get_controllers, NULL, true, NULL, false},
        {"GET", "/v1/cluster/configs", "", http_get_cluster_configs, NULL, true, NULL, false},
        {"PATCH", "/v1/cluster/configs", "dry_run ", NULL, http_patch_cluster_configs, true, NULL,
                false},
        {"GET", "/v1/brokers/{}/configs", "", NULL, NULL, true, http_get_broker_configs, true},
        {"PATCH", "/v1/brokers/{}/configs", "dry_run ", NULL, http_patch_broker_configs, true, NULL,
                false},
        {"GET", "/v1/topics/{}/configs", "", http_get_topic_configs, NULL, true, NULL, false},
        {"PATCH", "/v1/topics/{}/configs", "dry_run ", NULL, http_patch_topic_configs, true, NULL,
                false},
        {"POST", "/v1/controllers:transfer", "", NULL, NULL, false, http_post_transfer, true},
        {"GET", "/v1/brokers:reach", "", NULL, NULL, false, http_get_reach, false},
        {"GET", "/v1/brokers", PAGE, http_get_brokers, NULL, true, NULL, false},
        {"GET", "/v1/brokers/{}", "", http_get_broker, NULL, true, http_get_broker_logs, true},
        {"DELETE", "/v1/brokers/{}", "dry_run ", NULL, http_delete_broker, true, NULL, false},
        {"POST", "/v1/brokers/{}:cordon", "dry_run ", NULL, http_post_cordon, true, NULL, false},
        {"POST", "/v1/brokers/{}:drain", "dry_run ", NULL, http_post_drain, true, NULL, false},
        {"POST", "/v1/brokers/{}:undrain", "dry_run ", NULL, http_post_undrain, true, NULL, false},
        {"POST", "/v1/brokers/{}:decommission", "dry_run ", NULL, http_post_decommission, true,
                NULL, false},
        {"GET", "/v1/operations", PAGE "state ", http_get_operations, NULL, true, NULL, false},
        {"GET", "/v1/operations/{}", "wait_ms ", NULL, NULL, true, http_get_operation, false},
        {"DELETE", "/v1/operations/{}", "dry_run ", NULL, http_delete_operation, true, NULL, false},
        {"GET", "/v1/topics", PAGE "filter include ", http_get_topics, NULL, true, NULL, false},
        {"POST", "/v1/topics", "dry_run ", NULL, http_post_topics, true, NULL, false},
        {"GET", "/v1/topics/{}", "", http_get_topic, NULL, true, NULL, false},
        {"PATCH", "/v1/topics/{}", "dry_run ", NULL, http_patch_topic, true, NULL, false},
        {"DELETE", "/v1/topics/{}", "confirm now dry_run ", NULL, http_delete_topic, true, NULL,
                false},
        {"POST", "/v1/topics/{}:trim", "confirm dry_run ", NULL, NULL, true, http_post_trim, true},
        {"GET", "/v1/trash", PAGE "name ", http_get_trash_untold, NULL, true, http_get_trash, true},
        {"GET", "/v1/trash/{}", "", http_get_trashed_untold, NULL, true, http_get_trashed, true},
        {"DELETE", "/v1/trash/{}", "confirm dry_run ", NULL, http_delete_trashed, true, NULL,
                false},
        {"POST", "/v1/trash/{}:restore", "dry_run ", NULL, http_post_restore, true, NULL, false},
        {"GET", "/v1/decisions", PAGE "topic partition broker cause since_seq since ", NULL, NULL,
                true, http_get_decisions, false},
        {"GET", "/v1/decisions/{}", "", NULL, NULL, true, http_get_decision, false},
        {"GET", "/v1/topics/{}/partitions", PAGE, http_get_partitions, NULL, true, NULL, false},
        {"GET", "/v1/partitions", PAGE "state topic ", http_get_all_partitions, NULL, true, NULL,
                false},
        {"POST", "/v1/partitions:elect", "confirm dry_run ", NULL, http_post_elect, true, NULL,
                false},
        {"GET", "/v1/reassignments", PAGE, http_get_reassignments, NULL, true, NULL, false},
        {"POST", "/v1/reassignments", "dry_run ", NULL, http_post_reassignments, true, NULL, false},
        {"GET", "/v1/balance", "", NULL, http_get_balance, true, NULL, false},
        {"DELETE", "/v1/reassignments", "dry_run partition topic ", NULL, http_delete_reassignments,
                true, NULL, false},
        {"GET", "/v1/brokers/{}/stop-check", "", http_get_stop_check, NULL, true, NULL, false},
        {"GET", "/v1/metadata/image", "", NULL, NULL, false, http_export_image, false},
};

/* --- Paths ---------------------------------------------------------------------------------------------------------- */

/* Whether `path` has the pattern's form; what stands for `{}` is copied to `arg` (mem_free). */
static bool path_matches(const char *pattern, const char *path, char **arg)
{
    const char *hole = strstr(pattern, "{}");
    size_t head = hole != NULL ? (size_t)(hole - pattern) : strlen(pattern);

    if (strncmp(path, pattern, head) != 0) {
        return false;
    }
    if (hole == NULL) {
        return path[head] == '\0';
    }
    /* A verb stands behind a colon, which no name has. */
    size_t size = strcspn(path + head, hole[2] == ':' ? "/:" : "/");
    if (size == 0 || strcmp(path + head + size, hole + 2) != 0) {
        return false;
    }
    if (arg != NULL) {
        *arg = mem_strndup(path + head, size);
    }
    return true;
}

/* HEAD is GET without the body. */
static bool method_matches(const char *method, const char *given)
{
    return strcmp(method, given) == 0 || (strcmp(method, "GET") == 0 && strcmp(given, "HEAD") == 0);
}

static void refuse_method(const struct http_call *c, struct http_answer *a)
{
    struct buf allow = {0};
    char shown[HTTP_SHOWN_SIZE];

    for (size_t i = 0; i < COUNT_OF(routes); i++) {
        if (path_matches(routes[i].pattern, c->path, NULL)) {
            buf_append_format(&allow, "%s%s", allow.size > 0 ? ", " : "", routes[i].method);
            if (strcmp(routes[i].method, "GET") == 0) {
                buf_append_str(&allow, ", HEAD");
            }
        }
    }
    (void)buf_str(&allow);
    http_problem(a, c, HTTP_PROBLEM_METHOD, NULL, "The header Allow names the methods that it has.",
            "%s has no method %s", http_shown(c->path, shown),
            c->method[0] != '\0' ? c->method : "of that name");
    http_answer_header(a, "Allow", "%s", (const char *)allow.data);
    buf_deinit(&allow);
}

static void refuse_path(const struct http_call *c, struct http_answer *a)
{
    char shown[HTTP_SHOWN_SIZE];
    size_t size = strlen(c->path);
    bool has_slash = size > 1 && c->path[size - 1] == '/';

    http_problem(a, c, HTTP_PROBLEM_NO_RESOURCE, NULL,
            has_slash ? "Paths have no slash at their end."
                      : "The resources are /v1/cluster, /v1/controllers, /v1/brokers, /v1/topics, "
                        "/v1/partitions, /v1/reassignments, /v1/balance, /v1/operations, /v1/trash and "
                        "/v1/decisions.",
            "there is nothing at %s", http_shown(c->path, shown));
}

/* --- Query ---------------------------------------------------------------------------------------------------------- */

static bool is_known_param(const char *params, const char *name)
{
    size_t size = strlen(name);

    if (size == 0 || strchr(name, ' ') != NULL) {
        return false;
    }
    for (const char *at = params; *at != '\0'; at = strchr(at, ' ') + 1) {
        if (strncmp(at, name, size) == 0 && at[size] == ' ') {
            return true;
        }
    }
    return false;
}

static bool check_query(const struct route *r, const struct http_call *c, struct http_answer *a)
{
    char shown[HTTP_SHOWN_SIZE];

    for (size_t i = 0; i < c->n_params; i++) {
        const char *name = c->params[i].name;
        if (!is_known_param(r->params, name)) {
            char *hint = r->params[0] != '\0' ? mem_format("It takes: %s", r->params)
                                              : mem_strdup("It takes none.");
            http_problem(a, c, HTTP_PROBLEM_BAD_QUERY, NULL, hint, "unknown query parameter '%s'",
                    http_shown(name, shown));
            mem_free(hint);
            return false;
        }
        for (size_t j = 0; j < i; j++) {
            if (strcmp(c->params[j].name, name) == 0) {
                http_problem(a, c, HTTP_PROBLEM_BAD_QUERY, NULL, "Give it once.",
                        "query parameter '%s' is given twice", http_shown(name, shown));
                return false;
            }
        }
    }
    return true;
}

/* --- Writes --------------------------------------------------------------------------------------------------------- */

static char *url_with_path(const char *url, const struct http_call *c)
{
    struct buf b = {0};
    size_t size = strlen(url);

    buf_append(&b, url, size > 0 && url[size - 1] == '/' ? size - 1 : size);
    for (const char *at = c->path; *at != '\0'; at++) {
        bool is_plain = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') ||
                        (*at >= '0' && *at <= '9') || strchr("-._~/", *at) != NULL;
        if (is_plain) {
            buf_u8(&b, (uint8_t)*at);
        } else {
            buf_append_format(&b, "%%%02X", (unsigned)(unsigned char)*at);
        }
    }
    if (c->query_text[0] != '\0') {
        buf_append_format(&b, "?%s", c->query_text);
    }
    char *text = mem_strdup(buf_str(&b));
    buf_deinit(&b);
    return text;
}

/* A standby sends writes to the active controller, or says that it knows of none. */
static void send_to_active(
        const struct http_view *v, const struct http_call *c, struct http_answer *a)
{
    bool is_known = v->has_active && v->active.id != v->self_id;
    if (!is_known && !v->zookeeper.is_connected) {
        http_problem_of(a, c, ERRCODE_NOT_CONTROLLER, NULL,
                "Look whether a majority of the ZooKeeper servers runs; brokers serve meanwhile.",
                "without ZooKeeper nothing can be decided: %s", v->zookeeper.trouble);
        return;
    }
    if (!is_known) {
        http_problem_of(a, c, ERRCODE_NOT_CONTROLLER, NULL, "Try again in a second.",
                "controller %" PRId32 " stands by and knows of no active controller", v->self_id);
        return;
    }
    char *url = url_with_path(v->active.url, c);
    http_problem(a, c, HTTP_PROBLEM_ELSEWHERE, NULL, "Follow the header Location (curl: -L).",
            "controller %" PRId32 " stands by; controller %" PRId32 " is active", v->self_id,
            v->active.id);
    http_answer_header(a, "Location", "%s", url);
    mem_free(url);
}

enum {
    REASON_MAX = 512
};

static bool begin_write(const struct http_call *c, struct http_answer *a, struct http_write *w)
{
    const char *dry_run = http_call_param(c, "dry_run");
    json_t *reason = json_string(c->reason != NULL ? c->reason : "");
    bool is_text = reason != NULL;
    char shown[HTTP_SHOWN_SIZE];

    json_decref(reason);
    if (dry_run != NULL && strcmp(dry_run, "true") != 0 && strcmp(dry_run, "false") != 0) {
        http_problem(a, c, HTTP_PROBLEM_BAD_QUERY, NULL, "",
                "dry_run must be true or false, not '%s'", http_shown(dry_run, shown));
        return false;
    }
    if (!is_text || (c->reason != NULL && strlen(c->reason) > REASON_MAX)) {
        http_problem(a, c, HTTP_PROBLEM_BAD_HEADER, NULL, "",
                "the header Weir-Reason must be UTF-8 text of at most %d bytes", REASON_MAX);
        return false;
    }
    w->dry_run = dry_run != NULL && strcmp(dry_run, "true") == 0;
    w->reason = mem_strdup(c->reason != NULL ? c->reason : "");
    w->actor = mem_format("http %s", c->peer);
    return true;
}

/* --- All of it ------------------------------------------------------------------------------------------------------ */

void http_answer_metadata(struct http_answer *a, const struct http_view *v)
{
    http_answer_header(a, "Weir-Metadata-Epoch", "%" PRIu64, image_ctl_epoch(v->image));
    http_answer_header(a, "Weir-Metadata-Index", "%" PRIu64, image_position(v->image).index);
    if (!v->is_active) {
        http_answer_header(a, "Weir-Stale", "true");
    }
}

static void run(const struct route *r,
        const struct http_view *v,
        const struct http_call *c,
        const char *arg,
        struct http_answer *a,
        struct http_write *w,
        http_later_fn **ret_later)
{
    if (!check_query(r, c, a)) {
        return;
    }
    if (r->later != NULL && (v->is_active || !r->is_active_only)) {
        *ret_later = r->later;
    } else if (r->get != NULL) {
        r->get(v, c, arg, a);
    } else if (!v->is_active) {
        send_to_active(v, c, a);
    } else if (begin_write(c, a, w)) {
        r->write(v, c, arg, a, w);
    }
}

void http_dispatch(const struct http_view *v,
        const struct http_call *c,
        struct http_answer *a,
        struct http_write *w,
        http_later_fn **ret_later,
        char **ret_arg)
{
    bool is_path = false;

    *ret_later = NULL;
    *ret_arg = NULL;
    for (size_t i = 0; i < COUNT_OF(routes); i++) {
        const struct route *r = &routes[i];
        char *arg = NULL;
        if (!path_matches(r->pattern, c->path, &arg)) {
            continue;
        }
        is_path = true;
        if (method_matches(r->method, c->method)) {
            run(r, v, c, arg, a, w, ret_later);
            if (a->status != 0 && r->is_metadata) {
                http_answer_metadata(a, v);
            }
            if (*ret_later != NULL) {
                *ret_arg = mem_steal(&arg);
            }
            mem_free(arg);
            must((a->status != 0) + (w->kind != HTTP_WRITE_NONE) + (*ret_later != NULL) == 1);
            return;
        }
        mem_free(arg);
    }
    if (is_path) {
        refuse_method(c, a);
    } else {
        refuse_path(c, a);
    }
}
