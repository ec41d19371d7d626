/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/shell/controller.h"
#include "controller/shell/http_resources.h"

#include "common/obs/log.h"

#include <inttypes.h>
#include <stdio.h>

/* [LOG-33] POST /v1/topics/{t}:trim. The partitions' leaders do it; each is asked once, and the answer waits for all of them. */

enum {
    TRIM_BODY_MAX = 128 * 1024,
    TRIM_REASON_MAX = 512,
};

struct item {
    int32_t partition;
    offset64 before;
    broker_id leader;
    bool is_done;
    int error;
    char *detail; /* NULL = none */
    offset64 log_start, old_log_start;
};

struct trim {
    struct http_later *later; /* NULL = nobody waits any more */
    struct controller *controller;
    char *topic;
    struct uuid topic_id;
    bool dry_run;
    char *actor, *reason;
    ARRAY(struct item) items;
    size_t n_asked; /* brokers that have not answered */
};

struct asked {
    struct trim *trim;
    broker_id id;
};

static const char example[] =
        "For example: {\"partitions\": [{\"partition\": 0, \"before_offset\": 100}]}; -1 = the end";

/* --- The body ------------------------------------------------------------------------------------------------------- */

static bool read_number(const json_t *object,
        const char *member,
        int64_t min,
        int64_t max,
        const char *pointer,
        int64_t *ret,
        struct http_faults *f)
{
    const json_t *value = json_object_get(object, member);

    if (!json_is_integer(value) || json_integer_value(value) < min ||
            json_integer_value(value) > max) {
        http_fault(f, pointer, "needs \"%s\", a whole number from %" PRId64 " to %" PRId64, member,
                min, max);
        return false;
    }
    *ret = json_integer_value(value);
    return true;
}

static void read_item(struct trim *t,
        const struct image_topic *topic,
        size_t i,
        json_t *value,
        struct http_faults *f)
{
    char pointer[64];
    int64_t partition = 0, before = 0;

    (void)snprintf(pointer, sizeof(pointer), "/partitions/%zu", i);
    if (!json_is_object(value) || json_object_size(value) != 2) {
        http_fault(f, pointer, "must be an object with \"partition\" and \"before_offset\" alone");
        return;
    }
    if (!read_number(value, "partition", 0, topic->n_partitions - 1, pointer, &partition, f) ||
            !read_number(value, "before_offset", -1, INT64_MAX, pointer, &before, f)) {
        return;
    }
    ARRAY_FOREACH (it, &t->items) {
        if (it->partition == partition) {
            http_fault(f, pointer, "partition %" PRId64 " stands twice", partition);
            return;
        }
    }
    *array_push(&t->items) = (struct item){.partition = (int32_t)partition,
            .before = before,
            .leader = topic->partitions[partition].leader,
            .log_start = OFFSET_NONE,
            .old_log_start = OFFSET_NONE};
}

static void read_body(
        struct trim *t, const struct image_topic *topic, struct bytes body, struct http_faults *f)
{
    json_t *object = http_body_object(body, f);
    json_t *list = json_object_get(object, "partitions");
    const char *member;
    json_t *value;

    json_object_foreach(object, member, value)
    {
        if (value != list) {
            http_fault(f, "", "unknown member; there is \"partitions\"");
        }
    }
    if (object != NULL && json_array_size(list) == 0) {
        http_fault(f, "/partitions", "must be an array of at least one partition");
    }
    for (size_t i = 0; f->list == NULL && i < json_array_size(list); i++) {
        read_item(t, topic, i, json_array_get(list, i), f);
    }
    json_decref(object);
}

/* --- The answer ----------------------------------------------------------------------------------------------------- */

static void trim_free(struct trim *t)
{
    ARRAY_FOREACH (it, &t->items) {
        mem_free(it->detail);
    }
    array_deinit(&t->items);
    mem_free(t->topic);
    mem_free(t->actor);
    mem_free(t->reason);
    mem_free(t);
}

static json_t *item_json(const struct item *it)
{
    if (it->error == ERRCODE_NONE) {
        return json_pack("{s:i, s:I, s:I}", "partition", (int)it->partition, "log_start_offset",
                (json_int_t)it->log_start, "old_log_start_offset", (json_int_t)it->old_log_start);
    }
    return json_pack("{s:i, s:n, s:{s:s, s:i, s:o}}", "partition", (int)it->partition,
            "log_start_offset", "error", "code", errcode_name(it->error), "kafka_code", it->error,
            "detail", http_json_text(it->detail));
}

static void tell(struct trim *t)
{
    size_t n_failed = 0;

    ARRAY_FOREACH (it, &t->items) {
        n_failed += it->error != ERRCODE_NONE ? 1 : 0;
    }
    log_info("http", "records_deleted", KV_STR("topic", t->topic), KV_U64("partitions", t->items.n),
            KV_U64("failed", n_failed), KV_STR("actor", t->actor), KV_STR("reason", t->reason));
}

static void end(struct trim *t)
{
    struct http_answer a = {0};
    json_t *list = json_array();

    if (!t->dry_run) {
        tell(t);
    }
    ARRAY_FOREACH (it, &t->items) {
        must(json_array_append_new(list, item_json(it)) == 0);
    }
    if (t->later != NULL) {
        http_answer_json(&a, 200,
                json_pack("{s:o, s:o, s:o}", "name", http_json_text(t->topic), "topic_id",
                        http_json_uuid(&t->topic_id), "partitions", list));
        http_later_answer(t->later, &a);
    } else {
        json_decref(list);
    }
    trim_free(t);
}

static void fail_item(struct item *it, int error, char *detail)
{
    it->is_done = true;
    it->error = error;
    it->detail = detail;
}

static struct item *find_item(struct trim *t, broker_id leader, int32_t partition)
{
    ARRAY_FOREACH (it, &t->items) {
        if (it->leader == leader && it->partition == partition && !it->is_done) {
            return it;
        }
    }
    return NULL;
}

static void on_answer(void *ctx, const struct msg_delete_records_response *m)
{
    struct asked *asked = ctx;
    struct trim *t = asked->trim;
    broker_id id = asked->id;

    mem_free(asked);
    for (size_t i = 0; m != NULL && i < m->n_partitions; i++) {
        const struct msg_delete_records_result *r = &m->partitions[i];
        struct item *it = find_item(t, id, r->partition);
        if (it == NULL || !uuid_equal(&r->topic_id, &t->topic_id)) {
            continue; /* was not asked */
        }
        if (r->error != ERRCODE_NONE) {
            fail_item(it, r->error, mem_strdup(r->detail));
        } else {
            it->is_done = true;
            it->log_start = r->log_start;
            it->old_log_start = r->old_log_start;
        }
    }
    ARRAY_FOREACH (it, &t->items) {
        if (it->leader == id && !it->is_done) {
            fail_item(it, ERRCODE_REQUEST_TIMED_OUT,
                    mem_format("broker %" PRId32 " did not answer: it may be done or not", id));
        }
    }
    if (--t->n_asked == 0) {
        end(t);
    }
}

/* --- Asking --------------------------------------------------------------------------------------------------------- */

static void ask_leader(struct trim *t, broker_id id)
{
    struct msg_delete_records_request m = {.dry_run = t->dry_run};
    struct asked *asked = mem_new(struct asked);

    asked->trim = t;
    asked->id = id;
    m.partitions = mem_new_n(struct msg_delete_records_partition, t->items.n);
    ARRAY_FOREACH (it, &t->items) {
        if (it->leader == id) {
            m.partitions[m.n_partitions++] = (struct msg_delete_records_partition){
                    .topic_id = t->topic_id, .partition = it->partition, .before = it->before};
        }
    }
    if (controller_delete_records(t->controller, id, &m, on_answer, asked)) {
        t->n_asked++;
    } else {
        mem_free(asked);
        ARRAY_FOREACH (it, &t->items) {
            if (it->leader == id) {
                fail_item(it, ERRCODE_LEADER_NOT_AVAILABLE,
                        mem_format("broker %" PRId32 ", its leader, is not connected here", id));
            }
        }
    }
    mem_free(m.partitions);
}

static void ask_leaders(struct trim *t)
{
    for (size_t i = 0; i < t->items.n; i++) {
        struct item *it = &t->items.items[i];
        bool is_asked = it->is_done;
        for (size_t k = 0; k < i && !is_asked; k++) {
            is_asked = t->items.items[k].leader == it->leader;
        }
        if (!is_asked && it->leader == BROKER_NONE) {
            fail_item(it, ERRCODE_LEADER_NOT_AVAILABLE, mem_strdup("it has no leader now"));
        } else if (!is_asked) {
            ask_leader(t, it->leader);
        }
    }
}

static void on_cancel(void *ctx)
{
    struct trim *t = ctx;

    t->later = NULL;
}

/* False: `a` says what is wrong. */
static bool may_trim(const struct http_call *c, const char *topic, struct http_answer *a)
{
    const char *confirm = http_call_param(c, "confirm");
    const char *dry_run = http_call_param(c, "dry_run");
    bool is_dry = dry_run != NULL && strcmp(dry_run, "true") == 0;
    char shown[HTTP_SHOWN_SIZE];

    if (!http_is_json(c, false)) {
        http_problem(a, c, HTTP_PROBLEM_NOT_JSON, NULL,
                "Send it with Content-Type: application/json", "the body must be JSON and say so");
    } else if (c->body.size > TRIM_BODY_MAX) {
        http_problem(a, c, HTTP_PROBLEM_TOO_LARGE, NULL, "Trim some partitions a time.",
                "the body has %zu bytes; it takes at most %d", c->body.size, TRIM_BODY_MAX);
    } else if (c->reason != NULL && strlen(c->reason) > TRIM_REASON_MAX) {
        http_problem(a, c, HTTP_PROBLEM_BAD_HEADER, NULL, "",
                "the header Weir-Reason must be UTF-8 text of at most %d bytes", TRIM_REASON_MAX);
    } else if (dry_run != NULL && !is_dry && strcmp(dry_run, "false") != 0) {
        http_problem(a, c, HTTP_PROBLEM_BAD_QUERY, NULL, "",
                "dry_run must be true or false, not '%s'", http_shown(dry_run, shown));
    } else if (!is_dry && (confirm == NULL || strcmp(confirm, topic) != 0)) {
        char *hint = mem_format("Repeat it with ?confirm=%s, or look first: ?dry_run=true",
                http_shown(topic, shown));
        http_problem(a, c, HTTP_PROBLEM_NOT_CONFIRMED, NULL, hint,
                "trimming topic '%s' removes records for good; confirm must be its name", shown);
        mem_free(hint);
    }
    return a->status == 0;
}

void http_post_trim(const struct http_view *v,
        const struct http_call *c,
        const char *arg,
        struct http_later *later)
{
    const char *dry_run = http_call_param(c, "dry_run");
    struct http_faults faults = {0};
    struct http_answer a = {0};
    const struct image_topic *topic = http_known_topic(v, c, arg, &a);
    struct trim *t = NULL;

    if (topic != NULL && may_trim(c, arg, &a)) {
        t = mem_new(struct trim);
        t->topic = mem_strdup(arg);
        t->topic_id = topic->id;
        t->dry_run = dry_run != NULL && strcmp(dry_run, "true") == 0;
        t->actor = mem_format("http %s", c->peer);
        t->reason = mem_strdup(c->reason != NULL ? c->reason : "");
        read_body(t, topic, c->body, &faults);
        if (faults.list != NULL) {
            http_refuse_body(c, &a, &faults, example);
            trim_free(t);
        }
    }
    if (a.status != 0) {
        http_answer_metadata(&a, v);
        http_later_answer(later, &a);
        return;
    }
    t->later = later;
    t->controller = http_later_controller(later);
    http_later_on_cancel(later, on_cancel, t);
    ask_leaders(t);
    if (t->n_asked == 0) {
        end(t);
    }
}
