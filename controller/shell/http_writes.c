/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/shell/http_resources.h"

#include <inttypes.h>
#include <stdio.h>
#include <strings.h>

/* Placements in the answer of a creation; a topic may have 100,000, and no answer may hold the loop up. */
enum {
    PLACEMENTS_MAX = 1000
};

void http_write_deinit(struct http_write *w)
{
    http_topic_spec_deinit(&w->spec);
    http_configs_deinit(&w->config.configs);
    mem_free(w->config.pairs);
    json_decref(w->items);
    mem_free(w->reason);
    mem_free(w->actor);
    mem_free(w->detail);
    mem_free(w->topic);
    json_decref(w->placement);
    json_decref(w->elected);
    http_elect_spec_deinit(&w->elect);
    json_decref(w->reassigned);
    http_reassign_spec_deinit(&w->reassign);
    array_deinit(&w->leaders);
    memset(w, 0, sizeof(*w));
}

/* JSON costs up to 100 ns a byte to read, and no handler may hold the loop for more than 20 ms. */
enum {
    BODY_MAX = 128 << 10
};

/* --- From the call to the event ------------------------------------------------------------------------------------- */

static bool is_type(const char *content_type, const char *wanted)
{
    size_t size = strlen(wanted);

    if (content_type == NULL || strncasecmp(content_type, wanted, size) != 0) {
        return false;
    }
    size += strspn(content_type + size, " \t");
    return content_type[size] == '\0' || content_type[size] == ';';
}

bool http_is_json(const struct http_call *c, bool and_merge_patch)
{
    return is_type(c->content_type, "application/json") ||
           (and_merge_patch && is_type(c->content_type, "application/merge-patch+json"));
}

void http_refuse_body(
        const struct http_call *c, struct http_answer *a, struct http_faults *f, const char *hint)
{
    const json_t *first = json_array_get(f->list, 0);
    char *pointer = mem_strdup(json_string_value(json_object_get(first, "pointer")));
    char *detail = mem_strdup(json_string_value(json_object_get(first, "detail")));
    const char *gap = pointer[0] != '\0' ? ": " : "";

    if (f->is_malformed) {
        http_problem(a, c, HTTP_PROBLEM_BAD_BODY, f, hint, "%s%s%s", pointer, gap, detail);
    } else {
        http_problem_of(
                a, c, f->code, f, "Change what `errors` names.", "%s%s%s", pointer, gap, detail);
    }
    mem_free(pointer);
    mem_free(detail);
}

bool http_takes_body(const struct http_call *c,
        struct http_answer *a,
        size_t max,
        const char *what,
        const char *hint)
{
    if (!http_is_json(c, false)) {
        http_problem(a, c, HTTP_PROBLEM_NOT_JSON, NULL,
                "Send it with Content-Type: application/json", "the body must be JSON and say so");
        return false;
    }
    if (c->body.size > max) {
        http_problem(a, c, HTTP_PROBLEM_TOO_LARGE, NULL, hint,
                "the body has %zu bytes; %s takes at most %zu", c->body.size, what, max);
        return false;
    }
    return true;
}

void http_post_topics(const struct http_view *v,
        const struct http_call *c,
        const char *arg,
        struct http_answer *a,
        struct http_write *w)
{
    struct http_faults faults = {0};

    (void)v;
    (void)arg;
    if (!http_takes_body(c, a, BODY_MAX, "a topic", "Leave assignments out: then the controller places the replicas.")) {
        return;
    }
    http_topic_spec_parse(c->body, &w->spec, &faults);
    if (faults.list != NULL) {
        http_refuse_body(c, a, &faults, "For example: {\"name\": \"orders\", \"partitions\": 6}");
        return;
    }
    w->kind = HTTP_WRITE_CREATE_TOPIC;
}

void http_delete_topic(const struct http_view *v,
        const struct http_call *c,
        const char *arg,
        struct http_answer *a,
        struct http_write *w)
{
    const char *confirm = http_call_param(c, "confirm");
    char shown[HTTP_SHOWN_SIZE];

    const char *now = http_call_param(c, "now");

    if (http_known_topic(v, c, arg, a) == NULL) {
        return;
    }
    if (now != NULL && strcmp(now, "true") != 0 && strcmp(now, "false") != 0) {
        http_problem(a, c, HTTP_PROBLEM_BAD_QUERY, NULL, "", "now must be true or false, not '%s'",
                http_shown(now, shown));
        return;
    }
    w->is_now = now != NULL && strcmp(now, "true") == 0;
    if (confirm == NULL || strcmp(confirm, arg) != 0) {
        char *hint = mem_format("Repeat it with ?confirm=%s", http_shown(arg, shown));
        http_problem(a, c, HTTP_PROBLEM_NOT_CONFIRMED, NULL, hint,
                w->is_now ? "deleting topic '%s' now removes all its records for good; confirm must be "
                            "its name"
                          : "deleting topic '%s' takes all its records away; confirm must be its "
                            "name",
                shown);
        mem_free(hint);
        return;
    }
    w->spec.name = mem_strdup(arg);
    w->kind = HTTP_WRITE_DELETE_TOPIC;
}

static enum config_scope scope_of(enum conf_target target)
{
    switch (target) {
    case CONF_OF_CLUSTER: return CONFIG_CLUSTER;
    case CONF_OF_TOPIC: return CONFIG_TOPIC;
    case CONF_OF_BROKER: return CONFIG_BROKER;
    }
    must_not_reach("a target that is none");
}

static bool is_operation(enum http_write_kind kind)
{
    return kind == HTTP_WRITE_REASSIGN || kind == HTTP_WRITE_BROKER_INTENT ||
           kind == HTTP_WRITE_FORGET_BROKER || kind == HTTP_WRITE_CANCEL_OPERATION;
}

void http_write_event(const struct http_write *w, struct ctl_event *ret)
{
    must(w->kind != HTTP_WRITE_NONE);
    memset(ret, 0, sizeof(*ret));
    ret->actor = w->actor;
    ret->reason = w->reason;
    if (w->kind == HTTP_WRITE_SET_CONFIGS) {
        ret->kind = CTL_EV_SET_CONFIGS;
        ret->set_configs = (struct ctl_set_configs){.scope = scope_of(w->config.target),
                .topic = w->spec.name,
                .broker = w->config.broker,
                .pairs = w->config.pairs,
                .n_pairs = w->config.configs.n,
                .if_seq = w->config.if_seq,
                .dry_run = w->dry_run};
        return;
    }
    if (w->kind == HTTP_WRITE_DELETE_TOPIC) {
        ret->kind = CTL_EV_DELETE_TOPIC;
        ret->delete_topic.name = w->spec.name;
        ret->delete_topic.is_now = w->is_now;
        ret->delete_topic.dry_run = w->dry_run;
        return;
    }
    if (w->kind == HTTP_WRITE_PURGE_TOPIC) {
        ret->kind = CTL_EV_PURGE_TOPIC;
        ret->purge_topic.id = w->trashed;
        ret->purge_topic.dry_run = w->dry_run;
        return;
    }
    if (w->kind == HTTP_WRITE_RESTORE_TOPIC) {
        ret->kind = CTL_EV_RESTORE_TOPIC;
        ret->restore_topic.id = w->trashed;
        ret->restore_topic.name = w->spec.name;
        ret->restore_topic.dry_run = w->dry_run;
        return;
    }
    if (w->kind == HTTP_WRITE_ADD_PARTITIONS) {
        ret->kind = CTL_EV_ADD_PARTITIONS;
        ret->add_partitions.name = w->spec.name;
        ret->add_partitions.n_partitions = w->spec.n_partitions;
        ret->add_partitions.dry_run = w->dry_run;
        return;
    }
    if (w->kind == HTTP_WRITE_ELECT) {
        ret->kind = CTL_EV_ELECT;
        ret->elect.partitions = w->elect.partitions.items;
        ret->elect.n = w->elect.partitions.n;
        ret->elect.is_unclean = w->elect.is_unclean;
        ret->elect.dry_run = w->dry_run;
        return;
    }
    if (is_operation(w->kind)) {
        http_operations_event(w, ret);
        return;
    }
    ret->kind = CTL_EV_CREATE_TOPIC;
    ret->create = (struct ctl_create_topic){
            .name = w->spec.name,
            .n_partitions = w->spec.n_partitions,
            .replication_factor = w->spec.replication_factor,
            .configs = w->spec.pairs,
            .n_configs = w->spec.configs.n,
            .assignments = w->spec.assignments.items,
            .n_assignments = w->spec.assignments.n,
            .dry_run = w->dry_run,
    };
}

/* [CTL-80] What is planned weighs bytes, and says how many would move. */
bool http_write_wants_sizes(const struct http_write *w)
{
    bool is_back = w->reassign.goal == CTL_GOAL_TAKE_BACK ||
                   (w->reassign.partitions.n > 0 && w->reassign.partitions.items[0].replicas.n == 0);

    return w->kind == HTTP_WRITE_REASSIGN && !is_back;
}

/* --- From the reply to the answer ----------------------------------------------------------------------------------- */

static json_t *placement_json(const struct ctl_placement *p)
{
    json_t *replicas = json_array();

    for (uint8_t i = 0; i < p->replicas.n; i++) {
        must(json_array_append_new(replicas, json_integer(p->replicas.at[i])) == 0);
    }
    return json_pack("{s:i, s:o, s:o, s:o}", "partition", (int)p->partition, "replicas", replicas,
            "leader", p->leader != BROKER_NONE ? json_integer(p->leader) : json_null(), "why",
            http_json_text(p->why != NULL ? p->why : ""));
}

static void add_leader(struct http_write *w, broker_id id)
{
    for (size_t i = 0; i < w->leaders.n; i++) {
        if (w->leaders.items[i] == id) {
            return;
        }
    }
    if (id != BROKER_NONE) {
        *array_push(&w->leaders) = id;
    }
}

void http_write_take(struct http_write *w, const struct ctl_reply *reply)
{
    must(w->detail == NULL);
    w->error = reply->error;
    w->detail = mem_strdup(reply->detail != NULL ? reply->detail : "");
    w->decision = reply->after_seq;
    w->topic_id = reply->topic_id;
    w->is_unchanged = reply->is_unchanged;
    w->topic = reply->topic != NULL ? mem_strdup(reply->topic) : NULL;
    w->purged_at = reply->purged_at;
    w->is_protected = reply->is_protected;
    w->elected = http_elected_json(reply);
    w->reassigned = http_reassigned_json(reply);
    w->n_moved = reply->n_moved;
    w->n_waiting = reply->n_waiting;
    w->n_single = reply->n_single;
    if (w->kind != HTTP_WRITE_CANCEL_OPERATION) {
        w->operation = reply->operation;
    }
    w->placement = json_array();
    for (size_t i = 0; i < reply->n_placement; i++) {
        add_leader(w, reply->placement[i].leader);
        w->has_offline |= reply->placement[i].leader == BROKER_NONE;
        if (i < PLACEMENTS_MAX) {
            must(json_array_append_new(w->placement, placement_json(&reply->placement[i])) == 0);
        }
    }
}

bool http_write_waits_for_leaders(const struct http_write *w)
{
    if (w->error != ERRCODE_NONE || w->dry_run) {
        return false;
    }
    return (w->kind == HTTP_WRITE_CREATE_TOPIC && !w->has_offline) ||
           (w->kind == HTTP_WRITE_ADD_PARTITIONS && w->leaders.n > 0) ||
           (w->kind == HTTP_WRITE_RESTORE_TOPIC && w->leaders.n > 0) ||
           (w->kind == HTTP_WRITE_SET_CONFIGS && w->leaders.n > 0);
}

/* The member of the body that an error of the core is about, or NULL. */
static const char *pointer_of(enum http_write_kind kind, int errcode)
{
    static const struct {
        int errcode;
        const char *pointer;
    } rows[] = {
            {ERRCODE_INVALID_TOPIC_EXCEPTION, "/name"},
            {ERRCODE_INVALID_PARTITIONS, "/partitions"},
            {ERRCODE_INVALID_REPLICATION_FACTOR, "/replication_factor"},
            {ERRCODE_INVALID_REPLICA_ASSIGNMENT, "/assignments"},
            {ERRCODE_INVALID_CONFIG, "/configs"},
    };

    if (kind == HTTP_WRITE_SET_CONFIGS && errcode == ERRCODE_INVALID_REPLICATION_FACTOR) {
        return "/default.replication.factor";
    }
    bool has_name = kind == HTTP_WRITE_RESTORE_TOPIC;

    if (kind == HTTP_WRITE_ADD_PARTITIONS) {
        return errcode == ERRCODE_INVALID_PARTITIONS ? "/partitions" : NULL;
    }

    for (size_t i = 0; i < COUNT_OF(rows) && (kind == HTTP_WRITE_CREATE_TOPIC || (has_name && i == 0));
            i++) {
        if (rows[i].errcode == errcode) {
            return rows[i].pointer;
        }
    }
    return NULL;
}

static const char *hint_of(enum http_write_kind kind, int errcode, const char *pointer)
{
    switch (http_status_of(errcode)) {
    case 503:
        return errcode == ERRCODE_NOT_CONTROLLER
                       ? "Try again in a second."
                       : "See which brokers are up: GET /v1/brokers (weir broker list)";
    case 412: return "Read it again, decide again, and send it with the new ETag.";
    case 504:
        return kind == HTTP_WRITE_SET_CONFIGS
                       ? "See whether it took effect: GET the same path."
                       : "See whether it took effect: GET /v1/topics (weir topic list)";
    case 500: return "The controller's log has more.";
    default: return pointer != NULL ? "Change what `errors` names and send it again." : "";
    }
}

static void answer_protected(
        const struct http_write *w, const struct http_call *c, struct http_answer *a)
{
    char *hint = mem_format("PATCH /v1/topics/%s/configs {\"weir.delete.protection\": null} first "
                            "(weir topic unset %s weir.delete.protection)",
            w->spec.name, w->spec.name);

    http_problem(a, c, HTTP_PROBLEM_PROTECTED, NULL, hint, "%s", w->detail);
    mem_free(hint);
}

static void answer_exists(const struct http_write *w,
        const struct http_view *v,
        const struct http_call *c,
        struct http_answer *a)
{
    const struct image_topic *t = image_topic_by_name(v->image, w->spec.name);
    char shown[HTTP_SHOWN_SIZE];
    char since[HTTP_TIME_TEXT_SIZE + 8] = "";
    char *hint = mem_format("Choose another name, or see it: GET /v1/topics/%s", w->spec.name);

    /* Not there yet when another request creates it at this moment. */
    json_t *at = t != NULL ? http_json_time(t->created_at) : json_null();
    if (json_is_string(at)) {
        (void)snprintf(since, sizeof(since), " since %s", json_string_value(at));
    }
    http_problem_of(a, c, w->error, NULL, hint, "a topic '%s' exists%s",
            http_shown(w->spec.name, shown), since);
    json_decref(at);
    mem_free(hint);
}

static void answer_error(const struct http_write *w,
        const struct http_view *v,
        const struct http_call *c,
        struct http_answer *a)
{
    const char *detail = w->detail[0] != '\0' ? w->detail : errcode_text(w->error);
    const char *pointer = pointer_of(w->kind, w->error);
    struct http_faults faults = {0};

    if (w->is_protected) {
        answer_protected(w, c, a);
    } else if (w->error == ERRCODE_TOPIC_ALREADY_EXISTS && w->kind == HTTP_WRITE_RESTORE_TOPIC) {
        http_problem_of(a, c, w->error, NULL,
                "Send another name: {\"name\": \"…\"} (weir topic undelete ID --as NAME)", "%s", detail);
    } else if (w->error == ERRCODE_UNKNOWN_TOPIC_ID) {
        http_problem_of(a, c, w->error, NULL, "See what is there: GET /v1/trash (weir trash list)",
                "%s", detail);
    } else if (w->error == ERRCODE_TOPIC_ALREADY_EXISTS) {
        answer_exists(w, v, c, a);
    } else if (w->error == ERRCODE_UNKNOWN_TOPIC_OR_PARTITION) {
        http_no_topic(a, c, w->spec.name);
    } else {
        const char *hint = hint_of(w->kind, w->error, pointer);
        if (pointer != NULL) {
            http_fault_rule(&faults, w->error, pointer, "%s", detail);
        }
        http_problem_of(a, c, w->error, &faults, hint, "%s", detail);
    }
}

/* Of what was deleted, purged or restored. */
static void answer_about_topic(const struct http_write *w, bool is_ready, struct http_answer *a)
{
    json_t *json = json_pack("{s:o, s:o}", "name",
            http_json_text(w->topic != NULL ? w->topic : w->spec.name), "topic_id",
            http_json_uuid(&w->topic_id));

    must(json != NULL);
    if (w->kind == HTTP_WRITE_DELETE_TOPIC) {
        must(json_object_set_new(json, "purged_at", http_json_time(w->purged_at)) == 0);
    } else if (w->kind == HTTP_WRITE_RESTORE_TOPIC) {
        must(json_object_set_new(json, "ready", json_boolean(is_ready)) == 0);
        must(json_object_set(json, "partitions", w->placement) == 0);
        if (!w->dry_run) {
            http_answer_header(a, "Location", "/v1/topics/%s", w->topic);
        }
    }
    http_answer_json(a, 200, json);
}

void http_write_answer(const struct http_write *w,
        const struct http_view *v,
        const struct http_call *c,
        bool is_ready,
        struct http_answer *a)
{
    must(w->detail != NULL);
    if (w->error != ERRCODE_NONE) {
        answer_error(w, v, c, a);
    } else if (w->kind == HTTP_WRITE_SET_CONFIGS) {
        http_configs_written(w, v, is_ready, a);
    } else if (w->kind == HTTP_WRITE_ADD_PARTITIONS) {
        http_answer_json(a, 200,
                json_pack("{s:o, s:o, s:b, s:O}", "name", http_json_text(w->spec.name), "topic_id",
                        http_json_uuid(&w->topic_id), "ready", is_ready ? 1 : 0, "partitions",
                        w->placement));
    } else if (w->kind == HTTP_WRITE_ELECT) {
        http_answer_json(a, 200, json_incref(w->elected));
    } else if (is_operation(w->kind)) {
        http_operations_written(w, a);
    } else if (w->kind == HTTP_WRITE_CREATE_TOPIC) {
        http_answer_json(a, w->dry_run ? 200 : 201,
                json_pack("{s:o, s:o, s:b, s:O}", "name", http_json_text(w->spec.name), "topic_id",
                        http_json_uuid(&w->topic_id), "ready", is_ready ? 1 : 0, "partitions",
                        w->placement));
        if (!w->dry_run) {
            http_answer_header(a, "Location", "/v1/topics/%s", w->spec.name);
        }
    } else {
        answer_about_topic(w, is_ready, a);
    }
    if (w->error == ERRCODE_NONE && !w->dry_run && !w->is_unchanged) {
        http_answer_header(a, "Weir-Decision", "%" PRIu64, w->decision);
    }
    http_answer_metadata(a, v);
}
