/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/array.h"
#include "common/base/mem.h"
#include "common/base/must.h"
#include "controller/shell/http_resources.h"
#include "controller/shell/move_sizes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Partitions on their way to other brokers: who they are, more of them, and back. */

enum {
    BODY_MAX = 128 << 10,
    PARTITIONS_MAX = 1000, /* of one request */
    SHOWN = 1000,
    KEY_SIZE = 256 + 16
};

static json_t *set_json(const struct broker_set *s)
{
    json_t *list = json_array();

    for (uint8_t i = 0; i < s->n; i++) {
        must(json_array_append_new(list, json_integer(s->at[i])) == 0);
    }
    return list;
}

/* --- List ------------------------------------------------------------------------------------------------------------- */

/* -1 = null: it is not known. */
static json_t *known(int64_t n)
{
    return n >= 0 ? json_integer(n) : json_null();
}

static void add_progress(
        json_t *json, const struct move_sizes *m, const struct image_topic *t, int32_t partition)
{
    int64_t done = -1, total = -1;

    if (m == NULL || !move_sizes_get(m, &t->id, partition, &done, &total)) {
        done = total = -1;
    }
    must(json_object_set_new(json, "done_bytes", known(done)) == 0);
    must(json_object_set_new(json, "total_bytes", known(total)) == 0);
    must(json_object_set_new(json, "bytes_per_second",
                 known(m != NULL ? move_sizes_rate(m, &t->id, partition) : -1)) == 0);
    must(json_object_set_new(json, "eta_ms",
                 known(m != NULL ? move_sizes_eta_ms(m, &t->id, partition) : -1)) == 0);
}

static json_t *moving_json(const struct http_view *v,
        const struct image_topic *t,
        const struct partition_state *p)
{
    const struct broker_set target = partition_target(p);
    struct broker_set behind = p->adding;

    for (int i = 0; i < p->isr.n; i++) {
        broker_set_remove(&behind, p->isr.at[i]);
    }
    json_t *json = json_pack("{s:o, s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "topic",
            http_json_text(t->name), "partition", (int)p->partition, "leader",
            p->leader != BROKER_NONE ? json_integer(p->leader) : json_null(), "replicas",
            set_json(&p->replicas), "target", set_json(&target), "adding", set_json(&p->adding),
            "removing", set_json(&p->removing), "isr", set_json(&p->isr), "to_catch_up",
            set_json(&behind));
    must(json_object_set_new(json, "operation",
                 p->operation != 0 ? json_integer((json_int_t)p->operation) : json_null()) == 0);
    add_progress(json, v->moves, t, p->partition);
    return json;
}

struct place {
    size_t topic;
    int32_t partition;
};

/* Keys are "name/number": no topic's name has a slash. */
static struct place first_place(const struct image *image, const struct http_page *page)
{
    const char *slash = page->has_after ? strrchr(page->after, '/') : NULL;
    struct place at = {0};
    char name[KEY_SIZE];

    if (slash == NULL) {
        return at;
    }
    (void)snprintf(name, sizeof(name), "%.*s", (int)(slash - page->after), page->after);
    at.topic = image_topic_lower_bound(image, name);
    if (at.topic < image_n_topics(image) &&
            strcmp(image_topic_at(image, at.topic)->name, name) == 0) {
        at.partition = (int32_t)strtol(slash + 1, NULL, 10) + 1;
    }
    return at;
}

void http_get_reassignments(const struct http_view *v,
        const struct http_call *c,
        const char *arg,
        struct http_answer *a)
{
    struct http_page page;
    char last[KEY_SIZE] = "";
    bool is_full = false;

    (void)arg;
    if (!http_page_begin(&page, 'm', c, a)) {
        return;
    }
    struct place at = first_place(v->image, &page);

    for (; at.topic < image_n_topics(v->image) && !is_full; at.topic++, at.partition = 0) {
        const struct image_topic *t = image_topic_at(v->image, at.topic);
        for (int32_t k = at.partition; k < t->n_partitions && !is_full; k++) {
            if (!partition_is_moving(&t->partitions[k])) {
                continue;
            }
            is_full = http_page_is_full(&page);
            if (is_full) {
                http_page_more(&page, last);
                break;
            }
            http_page_add(&page, moving_json(v, t, &t->partitions[k]));
            (void)snprintf(last, sizeof(last), "%s/%" PRId32, t->name, k);
        }
    }
    http_page_end(&page, a);
}

/* --- Bodies ----------------------------------------------------------------------------------------------------------- */

static bool parse_ids(
        const json_t *list, const char *pointer, struct broker_set *ret, struct http_faults *f)
{
    const json_t *item;
    size_t i;

    if (!json_is_array(list) || json_array_size(list) == 0 ||
            json_array_size(list) > REPLICAS_MAX) {
        http_fault(f, pointer, "replicas or brokers must be a list of 1 to %d broker ids", REPLICAS_MAX);
        return false;
    }
    json_array_foreach(list, i, item)
    {
        json_int_t id = json_is_integer(item) ? json_integer_value(item) : -1;
        if (id < 0 || id > INT32_MAX) {
            http_fault(f, pointer, "must be broker ids");
            return false;
        }
        ret->at[ret->n++] = (broker_id)id; /* Twice the same is the core's to refuse. */
    }
    return true;
}

static void parse_move(
        struct http_reassign_spec *s, json_t *item, size_t i, struct http_faults *f)
{
    struct ctl_reassign one = {0};
    const char *topic = NULL;
    json_int_t partition = -1;
    json_t *replicas = NULL;
    json_error_t error;
    char pointer[48];

    (void)snprintf(pointer, sizeof(pointer), "/plan/%zu", i);
    if (json_unpack_ex(item, &error, JSON_STRICT, "{s:s, s:I, s:o}", "topic", &topic, "partition",
                &partition, "replicas", &replicas) != 0) {
        http_fault(f, pointer, "must be {\"topic\": …, \"partition\": …, \"replicas\": […]}: %s",
                error.text);
        return;
    }
    if (partition < 0 || partition >= PARTITIONS_PER_TOPIC_MAX) {
        http_fault(f, pointer, "the partition is out of range");
        return;
    }
    if (!parse_ids(replicas, pointer, &one.replicas, f)) {
        return;
    }
    one.topic = mem_strdup(topic);
    one.partition = (int32_t)partition;
    *array_push(&s->partitions) = one;
}

static void parse_goal(
        struct http_reassign_spec *s, const char *goal, const json_t *brokers, struct http_faults *f)
{
    if (strcmp(goal, "balance") == 0) {
        s->goal = CTL_GOAL_BALANCE;
    } else if (strcmp(goal, "decommission") == 0) {
        s->goal = CTL_GOAL_EMPTY;
    } else {
        http_fault(f, "/goal", "must be \"balance\" or \"decommission\"");
        return;
    }
    if ((brokers != NULL) != (s->goal == CTL_GOAL_EMPTY)) {
        http_fault(f, "/brokers", "goes with the goal decommission, and only there");
    } else if (brokers != NULL) {
        (void)parse_ids(brokers, "/brokers", &s->brokers, f);
    }
}

/* [THR-7] Null: as it is. */
static void parse_throttle(
        struct http_reassign_spec *s, const json_t *throttle, struct http_faults *f)
{
    const struct conf_key *key =
            conf_find_dynamic(CONF_OF_CLUSTER, "weir.reassignment.bytes.per.second");
    char error[160];

    must(key != NULL);
    if (throttle == NULL || json_is_null(throttle)) {
        return;
    }
    if (!json_is_integer(throttle)) {
        http_fault(f, "/throttle_bytes_per_s", "must be a number of bytes, or null");
        return;
    }
    s->throttle = mem_format("%" JSON_INTEGER_FORMAT, json_integer_value(throttle));
    if (conf_check_value(key, s->throttle, NULL, error, sizeof(error)) != 0) {
        http_fault_rule(f, ERRCODE_INVALID_CONFIG, "/throttle_bytes_per_s", "%s", error);
    }
}

static void parse_body(json_t *body, struct http_reassign_spec *s, struct http_faults *f)
{
    const char *goal = NULL;
    json_t *plan = NULL, *brokers = NULL, *throttle = NULL, *item;
    json_error_t error;
    size_t i;

    if (json_unpack_ex(body, &error, JSON_STRICT, "{s?o, s?s, s?o, s?o}", "plan", &plan, "goal",
                &goal, "brokers", &brokers, "throttle_bytes_per_s", &throttle) != 0) {
        http_fault(f, "", "%s", error.text);
        return;
    }
    parse_throttle(s, throttle, f);
    if ((plan == NULL) == (goal == NULL)) {
        http_fault(f, "", "must have either the member plan or the member goal");
        return;
    }
    if (goal != NULL) {
        parse_goal(s, goal, brokers, f);
        return;
    }
    if (brokers != NULL) {
        http_fault(f, "/brokers", "goes with the goal decommission only");
        return;
    }
    if (!json_is_array(plan) || json_array_size(plan) == 0 ||
            json_array_size(plan) > PARTITIONS_MAX) {
        http_fault(f, "/plan", "must be a list of 1 to %d partitions", PARTITIONS_MAX);
        return;
    }
    json_array_foreach(plan, i, item)
    {
        parse_move(s, item, i, f);
    }
}

void http_reassign_spec_deinit(struct http_reassign_spec *s)
{
    ARRAY_FOREACH (p, &s->partitions) {
        mem_free((void *)(uintptr_t)p->topic);
    }
    array_deinit(&s->partitions);
    s->throttle = mem_free(s->throttle);
}

void http_post_reassignments(const struct http_view *v,
        const struct http_call *c,
        const char *arg,
        struct http_answer *a,
        struct http_write *w)
{
    struct http_faults faults = {0};

    (void)v;
    (void)arg;
    if (!http_takes_body(c, a, BODY_MAX, "a plan", "Name fewer partitions at once.")) {
        return;
    }
    json_t *body = http_body_object(c->body, &faults);

    if (body != NULL) {
        parse_body(body, &w->reassign, &faults);
    }
    json_decref(body);
    if (faults.list != NULL) {
        http_refuse_body(c, a, &faults,
                "For example: {\"plan\": [{\"topic\": \"orders\", \"partition\": 0, \"replicas\": "
                "[1, 2, 3]}]}");
        return;
    }
    w->kind = HTTP_WRITE_REASSIGN;
}

/* --- Back ------------------------------------------------------------------------------------------------------------- */

void http_delete_reassignments(const struct http_view *v,
        const struct http_call *c,
        const char *arg,
        struct http_answer *a,
        struct http_write *w)
{
    const char *topic = http_call_param(c, "topic"), *number = http_call_param(c, "partition");
    int64_t partition = 0;
    char shown[HTTP_SHOWN_SIZE];

    (void)arg;
    if ((topic == NULL) != (number == NULL)) {
        http_problem(a, c, HTTP_PROBLEM_BAD_QUERY, NULL,
                "DELETE /v1/reassignments without both takes back everything that is under way.",
                "topic and partition go together");
        return;
    }
    w->reassign.goal = topic == NULL ? CTL_GOAL_TAKE_BACK : CTL_GOAL_NAMED;
    w->kind = HTTP_WRITE_REASSIGN;
    if (topic == NULL) {
        return;
    }
    if (http_known_topic(v, c, topic, a) == NULL) {
        w->kind = HTTP_WRITE_NONE;
        return;
    }
    if (!http_parse_i64(number, 0, PARTITIONS_PER_TOPIC_MAX - 1, &partition)) {
        http_problem(a, c, HTTP_PROBLEM_BAD_QUERY, NULL, "", "partition must be a number, not '%s'",
                http_shown(number, shown));
        w->kind = HTTP_WRITE_NONE;
        return;
    }
    *array_push(&w->reassign.partitions) = (struct ctl_reassign){
            .topic = mem_strdup(topic), .partition = (int32_t)partition};
}

/* --- The answer ------------------------------------------------------------------------------------------------------- */

static const char *state_of(const struct ctl_reassigned *r)
{
    return r->error != ERRCODE_NONE ? "failed"
           : r->is_unchanged        ? "unchanged"
           : r->is_waiting          ? "waiting"
           : r->is_done             ? "done"
                                    : "moving";
}

json_t *http_reassigned_json(const struct ctl_reply *reply)
{
    json_t *items = json_array();
    json_int_t n_moving = 0, n_waiting = 0, n_done = 0, n_failed = 0;
    int64_t bytes = 0;

    for (size_t i = 0; i < reply->n_reassigned; i++) {
        const struct ctl_reassigned *r = &reply->reassigned[i];
        bool is_well = r->error == ERRCODE_NONE && !r->is_unchanged;
        n_failed += r->error != ERRCODE_NONE;
        n_moving += is_well && !r->is_done && !r->is_waiting;
        n_waiting += is_well && r->is_waiting;
        n_done += is_well && r->is_done;
        if (is_well) {
            bytes = bytes < 0 || r->bytes < 0 ? -1 : bytes + r->bytes;
        }
        if (i < SHOWN) {
            must(json_array_append_new(items,
                         json_pack("{s:o, s:i, s:o, s:o, s:s, s:o, s:o, s:o}", "topic",
                                 http_json_text(r->topic), "partition", (int)r->partition, "from",
                                 set_json(&r->was), "to", set_json(&r->target), "state",
                                 state_of(r), "error",
                                 r->error != ERRCODE_NONE ? json_string(errcode_name(r->error))
                                                          : json_null(),
                                 "detail", http_json_text(r->detail), "bytes",
                                 known(is_well ? r->bytes : 0))) == 0);
        }
    }
    return json_pack("{s:o, s:I, s:I, s:I, s:I, s:o}", "items", items, "moving", n_moving, "waiting",
            n_waiting, "done", n_done, "failed", n_failed, "bytes_to_move", known(bytes));
}
