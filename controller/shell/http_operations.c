/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/array.h"
#include "common/base/mem.h"
#include "common/base/must.h"
#include "controller/shell/http_resources.h"
#include "controller/shell/move_sizes.h"

#include <inttypes.h>
#include <string.h>

/* Operations: what somebody asked for and that takes its time; and what begins and ends them beside
 * /v1/reassignments. */

enum {
    OPERATIONS_SHOWN = 10 /* of GET / */
};

#define THROTTLE_KEY "weir.reassignment.bytes.per.second"

/* What is under way of one operation, beside what the image counts. */
struct under_way {
    struct move_bytes bytes;
    int32_t n_led; /* DRAIN: partitions that it leads and another may lead one day */
};

/* --- Progress --------------------------------------------------------------------------------------------------------- */

static bool has_hope(const struct image *image, const struct partition_state *p)
{
    for (int i = 0; i < p->replicas.n; i++) {
        if (p->replicas.at[i] != p->leader &&
                image_broker(image, p->replicas.at[i])->intent < BROKER_DRAINING) {
            return true;
        }
    }
    return false;
}

/* What is counted in one walk over all partitions. */
struct walk {
    const struct http_view *v;
    struct under_way *list; /* one for each operation of the image */
    ARRAY(size_t) drains;   /* those of the operations that run and are drains */
};

static void add_partition(struct walk *w, const struct partition_state *p)
{
    ARRAY_FOREACH (i, &w->drains) {
        const struct meta_operation *drain = &image_operation_at(w->v->image, *i)->is;
        if (p->leader != BROKER_NONE && broker_set_has(&drain->brokers, p->leader)) {
            w->list[*i].n_led += has_hope(w->v->image, p);
        }
    }
}

/* One for each operation of the image; mem_free. */
static struct under_way *look(const struct http_view *v)
{
    size_t n = image_n_operations(v->image);
    struct walk w = {.v = v, .list = mem_new_n(struct under_way, n)};

    for (size_t i = 0; i < n; i++) {
        const struct meta_operation *o = &image_operation_at(v->image, i)->is;
        w.list[i].bytes = v->moves != NULL
                                  ? move_sizes_of_operation(v->moves, o->id)
                                  : (struct move_bytes){.done = -1, .total = -1, .eta_ms = -1};
        if (o->state == OPERATION_RUNNING && o->kind == OPERATION_DRAIN) {
            *array_push(&w.drains) = i;
        }
    }
    for (size_t i = 0; w.drains.n > 0 && i < image_n_topics(v->image); i++) {
        const struct image_topic *t = image_topic_at(v->image, i);
        for (int32_t k = 0; k < t->n_partitions; k++) {
            add_partition(&w, &t->partitions[k]);
        }
    }
    array_deinit(&w.drains);
    return w.list;
}

static int32_t n_left(
        const struct http_view *v, const struct image_operation *o, const struct under_way *u)
{
    int32_t n = 0;

    if (o->is.state != OPERATION_RUNNING) {
        return o->n_left; /* What could not be taken back goes on. */
    }
    switch (o->is.kind) {
    case OPERATION_REASSIGN:
    case OPERATION_BALANCE:
    case OPERATION_REPLICATION: return o->n_left;
    case OPERATION_DRAIN: return u->n_led;
    case OPERATION_DECOMMISSION: break;
    }
    for (int i = 0; i < o->is.brokers.n; i++) {
        n += http_counts_of(v->counts, o->is.brokers.at[i]).replicas;
    }
    return n;
}

static json_t *known(int64_t n)
{
    return n >= 0 ? json_integer((json_int_t)n) : json_null();
}

static json_t *throttle_json(const struct http_view *v, const struct image_operation *o)
{
    const char *text = image_cluster_config(v->image, THROTTLE_KEY);
    const struct conf_key *key = conf_find_dynamic(CONF_OF_CLUSTER, THROTTLE_KEY);
    int64_t n = -1;

    if (o->n_left == 0 || key == NULL || o->is.kind == OPERATION_DRAIN) {
        return json_null();
    }
    return http_parse_i64(text != NULL ? text : key->fallback, 0, INT64_MAX, &n) ? known(n)
                                                                                 : json_null();
}

static json_t *operation_json(
        const struct http_view *v, const struct image_operation *o, const struct under_way *u)
{
    json_t *brokers = json_array();
    int32_t left = n_left(v, o, u);
    int32_t total = left > o->is.n_partitions ? left : o->is.n_partitions;

    for (int i = 0; i < o->is.brokers.n; i++) {
        must(json_array_append_new(brokers, json_integer(o->is.brokers.at[i])) == 0);
    }
    json_t *progress =
            json_pack("{s:i, s:i, s:o, s:o}", "partitions_total", (int)total, "partitions_left",
                    (int)left, "done_bytes", known(u->bytes.done), "total_bytes", known(u->bytes.total));
    json_t *json = json_pack("{s:I, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "id",
            (json_int_t)o->is.id, "kind", operation_kind_name(o->is.kind), "state",
            operation_state_name(o->is.state), "brokers", brokers, "progress", progress, "eta_ms",
            known(u->bytes.eta_ms), "throttle_bytes_per_s", throttle_json(v, o), "started_at",
            http_json_time(o->is.started), "ended_at",
            o->is.ended > 0 ? http_json_time(o->is.ended) : json_null(), "detail",
            http_json_text(o->is.detail), "actor", http_json_text(o->is.actor), "reason",
            http_json_text(o->is.reason));

    must(json != NULL);
    return json;
}

/* --- Read ------------------------------------------------------------------------------------------------------------- */

static bool check_state(const struct http_call *c, struct http_answer *a, const char **ret)
{
    char shown[HTTP_SHOWN_SIZE];

    *ret = http_call_param(c, "state");
    for (int s = OPERATION_RUNNING; *ret != NULL && s <= OPERATION_CANCELLED; s++) {
        if (strcmp(operation_state_name((enum operation_state)s), *ret) == 0) {
            return true;
        }
    }
    if (*ret != NULL) {
        http_problem(a, c, HTTP_PROBLEM_BAD_QUERY, NULL, "",
                "state must be running, done, failed or cancelled, not '%s'",
                http_shown(*ret, shown));
    }
    return *ret == NULL;
}

void http_get_operations(const struct http_view *v,
        const struct http_call *c,
        const char *arg,
        struct http_answer *a)
{
    struct http_page page;
    const char *state = NULL;
    int64_t last = -1;

    (void)arg;
    if (!check_state(c, a, &state) || !http_page_begin(&page, 'o', c, a)) {
        return;
    }
    int64_t after = http_page_after_number(&page);
    struct under_way *list = look(v);

    for (size_t i = 0; i < image_n_operations(v->image); i++) {
        const struct image_operation *o = image_operation_at(v->image, i);
        if ((int64_t)o->is.id <= after ||
                (state != NULL && strcmp(operation_state_name(o->is.state), state) != 0)) {
            continue;
        }
        if (http_page_is_full(&page)) {
            http_page_more_number(&page, last);
            break;
        }
        last = (int64_t)o->is.id;
        http_page_add(&page, operation_json(v, o, &list[i]));
    }
    mem_free(list);
    http_page_end(&page, a);
}

const struct image_operation *http_known_operation(const struct http_view *v,
        const struct http_call *c,
        const char *arg,
        struct http_answer *a)
{
    int64_t id = -1;
    char shown[HTTP_SHOWN_SIZE];
    const struct image_operation *o =
            http_parse_i64(arg, 1, INT64_MAX, &id) ? image_operation(v->image, (uint64_t)id) : NULL;

    if (o == NULL) {
        http_problem(a, c, HTTP_PROBLEM_NO_OPERATION, NULL,
                "See those that run, and the last that ended: GET /v1/operations (weir ops list)",
                "there is no operation %s", http_shown(arg, shown));
    }
    return o;
}

void http_answer_operation(const struct http_view *v,
        const struct http_call *c,
        const char *arg,
        struct http_answer *a)
{
    const struct image_operation *o = http_known_operation(v, c, arg, a);

    if (o != NULL) {
        struct under_way *list = look(v);
        size_t i = 0;
        while (image_operation_at(v->image, i) != o) {
            i++;
        }
        http_answer_json(a, 200, operation_json(v, o, &list[i]));
        mem_free(list);
    }
}

void http_write_operations(const struct http_view *v, struct buf *out)
{
    struct under_way *list = look(v);
    size_t n = 0;

    for (size_t i = 0; i < image_n_operations(v->image); i++) {
        const struct image_operation *o = image_operation_at(v->image, i);
        if (o->is.state != OPERATION_RUNNING || n++ >= OPERATIONS_SHOWN) {
            continue;
        }
        buf_append_format(out, "%s  %" PRIu64 " %s", n == 1 ? "operations\n" : "", o->is.id,
                operation_kind_name(o->is.kind));
        for (int k = 0; k < o->is.brokers.n; k++) {
            buf_append_format(out, "%s%" PRId32, k > 0 ? "," : " of broker ", o->is.brokers.at[k]);
        }
        buf_append_format(out, ", %" PRId32 " of %" PRId32 " partitions left%s%s\n",
                n_left(v, o, &list[i]), o->is.n_partitions, o->is.detail[0] != '\0' ? "; " : "",
                o->is.detail);
    }
    if (n > OPERATIONS_SHOWN) {
        buf_append_format(out, "  and %zu more: weir ops list\n", n - OPERATIONS_SHOWN);
    }
    buf_append_str(out, n > 0 ? "\n" : "");
    mem_free(list);
}

bool http_operation_wait(const struct http_call *c, struct http_answer *a, int64_t *ret_ms)
{
    const char *text = http_call_param(c, "wait_ms");
    char shown[HTTP_SHOWN_SIZE];

    *ret_ms = 0;
    if (text == NULL || http_parse_i64(text, 0, HTTP_OPERATION_WAIT_MAX_MS, ret_ms)) {
        return true;
    }
    http_problem(a, c, HTTP_PROBLEM_BAD_QUERY, NULL, "Ask again when it has been answered.",
            "wait_ms must be 0 to %d, not '%s'", HTTP_OPERATION_WAIT_MAX_MS,
            http_shown(text, shown));
    return false;
}

/* --- Writes ----------------------------------------------------------------------------------------------------------- */

void http_delete_operation(const struct http_view *v,
        const struct http_call *c,
        const char *arg,
        struct http_answer *a,
        struct http_write *w)
{
    const struct image_operation *o = http_known_operation(v, c, arg, a);

    if (o != NULL) {
        w->operation = o->is.id;
        w->kind = HTTP_WRITE_CANCEL_OPERATION;
    }
}

static void intend(const struct http_view *v,
        const struct http_call *c,
        const char *arg,
        struct http_answer *a,
        struct http_write *w,
        enum broker_intent intent)
{
    const struct image_broker *b = http_known_broker(v, c, arg, a);

    if (b != NULL) {
        w->broker = b->id;
        w->intent = intent;
        w->kind = HTTP_WRITE_BROKER_INTENT;
    }
}

void http_post_cordon(const struct http_view *v,
        const struct http_call *c,
        const char *arg,
        struct http_answer *a,
        struct http_write *w)
{
    intend(v, c, arg, a, w, BROKER_CORDONED);
}

void http_post_drain(const struct http_view *v,
        const struct http_call *c,
        const char *arg,
        struct http_answer *a,
        struct http_write *w)
{
    intend(v, c, arg, a, w, BROKER_DRAINING);
}

void http_post_undrain(const struct http_view *v,
        const struct http_call *c,
        const char *arg,
        struct http_answer *a,
        struct http_write *w)
{
    intend(v, c, arg, a, w, BROKER_WANTED);
}

void http_post_decommission(const struct http_view *v,
        const struct http_call *c,
        const char *arg,
        struct http_answer *a,
        struct http_write *w)
{
    const struct image_broker *b = http_known_broker(v, c, arg, a);

    if (b != NULL) {
        w->reassign.goal = CTL_GOAL_EMPTY;
        (void)broker_set_add(&w->reassign.brokers, b->id);
        w->kind = HTTP_WRITE_REASSIGN;
    }
}

void http_delete_broker(const struct http_view *v,
        const struct http_call *c,
        const char *arg,
        struct http_answer *a,
        struct http_write *w)
{
    const struct image_broker *b = http_known_broker(v, c, arg, a);

    if (b != NULL) {
        w->broker = b->id;
        w->kind = HTTP_WRITE_FORGET_BROKER;
    }
}

void http_operations_event(const struct http_write *w, struct ctl_event *ret)
{
    switch (w->kind) {
    case HTTP_WRITE_REASSIGN:
        ret->kind = CTL_EV_REASSIGN;
        ret->reassign.goal = w->reassign.goal;
        ret->reassign.partitions = w->reassign.partitions.items;
        ret->reassign.n = w->reassign.partitions.n;
        ret->reassign.brokers = w->reassign.brokers;
        ret->reassign.topic = w->spec.name;
        ret->reassign.replication_factor = w->reassign.replication_factor;
        ret->reassign.throttle = w->reassign.throttle;
        ret->reassign.dry_run = w->dry_run;
        return;
    case HTTP_WRITE_BROKER_INTENT:
        ret->kind = CTL_EV_BROKER_INTENT;
        ret->intent.id = w->broker;
        ret->intent.intent = w->intent;
        ret->intent.dry_run = w->dry_run;
        return;
    case HTTP_WRITE_FORGET_BROKER:
        ret->kind = CTL_EV_FORGET_BROKER;
        ret->forget.id = w->broker;
        ret->forget.dry_run = w->dry_run;
        return;
    case HTTP_WRITE_CANCEL_OPERATION:
        ret->kind = CTL_EV_CANCEL_OPERATION;
        ret->cancel.id = w->operation;
        ret->cancel.dry_run = w->dry_run;
        return;
    case HTTP_WRITE_NONE:
    case HTTP_WRITE_CREATE_TOPIC:
    case HTTP_WRITE_DELETE_TOPIC:
    case HTTP_WRITE_SET_CONFIGS:
    case HTTP_WRITE_PURGE_TOPIC:
    case HTTP_WRITE_RESTORE_TOPIC:
    case HTTP_WRITE_ELECT:
    case HTTP_WRITE_ADD_PARTITIONS: break;
    }
    must_not_reach("a write of another kind");
}

/* --- What came of it -------------------------------------------------------------------------------------------------- */

static json_t *operation_id(const struct http_write *w)
{
    return w->operation != 0 ? json_integer((json_int_t)w->operation) : json_null();
}

/* 202 when something goes on. */
static void answer(const struct http_write *w, struct http_answer *a, json_t *json)
{
    bool goes_on = w->operation != 0 && !w->dry_run;

    must(json != NULL);
    http_answer_json(a, goes_on ? 202 : 200, json);
    if (goes_on) {
        http_answer_header(a, "Location", "/v1/operations/%" PRIu64, w->operation);
    }
}

void http_operations_written(const struct http_write *w, struct http_answer *a)
{
    json_t *json = NULL;

    switch (w->kind) {
    case HTTP_WRITE_REASSIGN:
        json = json_copy(w->reassigned);
        must(json != NULL && json_object_set_new(json, "operation", operation_id(w)) == 0);
        answer(w, a, json);
        return;
    case HTTP_WRITE_CANCEL_OPERATION: http_answer_json(a, 200, json_incref(w->reassigned)); return;
    case HTTP_WRITE_BROKER_INTENT:
        answer(w, a,
                json_pack("{s:i, s:s, s:i, s:i, s:i, s:o}", "broker", (int)w->broker, "intent",
                        broker_intent_name(w->intent), "moved", (int)w->n_moved, "waiting",
                        (int)w->n_waiting, "single", (int)w->n_single, "operation",
                        operation_id(w)));
        return;
    case HTTP_WRITE_FORGET_BROKER:
        http_answer_json(a, 200, json_pack("{s:i}", "broker", (int)w->broker));
        return;
    case HTTP_WRITE_NONE:
    case HTTP_WRITE_CREATE_TOPIC:
    case HTTP_WRITE_DELETE_TOPIC:
    case HTTP_WRITE_SET_CONFIGS:
    case HTTP_WRITE_PURGE_TOPIC:
    case HTTP_WRITE_RESTORE_TOPIC:
    case HTTP_WRITE_ELECT:
    case HTTP_WRITE_ADD_PARTITIONS: break;
    }
    must_not_reach("a write of another kind");
}
