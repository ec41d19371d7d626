/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/core/succession.h"
#include "controller/shell/controller.h"
#include "controller/shell/http_resources.h"

#include <inttypes.h>

/* POST /v1/controllers:transfer and GET /v1/brokers:reach: both are answered in a later turn. */

/* Somebody waits for the controller; `later` is NULL once the endpoint is closed. */
struct waiting {
    struct http_later *later;
};

static void on_cancel(void *ctx)
{
    struct waiting *w = ctx;

    w->later = NULL;
}

static struct waiting *wait_for(struct http_later *later)
{
    struct waiting *w = mem_new(struct waiting);

    w->later = later;
    http_later_on_cancel(later, on_cancel, w);
    return w;
}

/* The handle, when somebody still waits; ends the wait. */
static struct http_later *wait_end(struct waiting *w)
{
    struct http_later *later = w->later;

    mem_free(w);
    return later;
}

/* --- Whom this controller reaches ----------------------------------------------------------------------------------- */

static json_t *ids_json(const broker_id *ids, size_t n)
{
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++) {
        must(json_array_append_new(list, json_integer(ids[i])) == 0);
    }
    return list;
}

static void on_reach(void *ctx, const struct controller_reach *r)
{
    struct http_later *later = wait_end(ctx);
    struct http_answer a = {0};

    if (later == NULL) {
        return;
    }
    http_answer_json(&a, 200,
            json_pack("{s:b, s:o, s:o, s:o}", "ready", r->is_ready ? 1 : 0, "detail",
                    http_json_text(r->detail), "reached", ids_json(r->reached, r->n_reached),
                    "not_reached", ids_json(r->missed, r->n_missed)));
    http_later_answer(later, &a);
}

void http_get_reach(const struct http_view *v,
        const struct http_call *c,
        const char *arg,
        struct http_later *later)
{
    (void)v;
    (void)c;
    (void)arg;
    controller_reach(http_later_controller(later), on_reach, wait_for(later));
}

/* --- Transfer ------------------------------------------------------------------------------------------------------- */

enum {
    TRANSFER_BODY_MAX = 1024,
    TRANSFER_REASON_MAX = 512,
};

static const char example[] = "For example: {\"to\": 2}, or {} for any standby";

static void refuse_member(
        const struct http_call *c, struct http_answer *a, const char *pointer, const char *detail)
{
    struct http_faults f = {0};

    http_fault(&f, pointer, "%s", detail);
    http_problem(a, c, HTTP_PROBLEM_BAD_BODY, &f, example, "%s%s%s", pointer,
            pointer[0] != '\0' ? ": " : "", detail);
    http_faults_deinit(&f);
}

static bool read_object(
        const struct http_call *c, struct http_answer *a, json_t *json, int32_t *ret_to)
{
    const char *key;
    json_t *value;

    if (!json_is_object(json)) {
        refuse_member(c, a, "", "the body must be an object");
        return false;
    }
    json_object_foreach(json, key, value)
    {
        if (strcmp(key, "to") != 0) {
            refuse_member(c, a, "", "unknown member; there is \"to\"");
            return false;
        }
        if (!json_is_integer(value) || json_integer_value(value) < 0 ||
                json_integer_value(value) > INT32_MAX) {
            refuse_member(c, a, "/to", "must be a controller's number");
            return false;
        }
        *ret_to = (int32_t)json_integer_value(value);
    }
    return true;
}

/* false: `a` says what is wrong. */
static bool read_transfer(const struct http_call *c, struct http_answer *a, int32_t *ret_to)
{
    json_error_t error;

    *ret_to = SUCCESSION_NONE;
    if (!http_is_json(c, false)) {
        http_problem(a, c, HTTP_PROBLEM_NOT_JSON, NULL,
                "Send it with Content-Type: application/json", "the body must be JSON and say so");
        return false;
    }
    if (c->body.size > TRANSFER_BODY_MAX) {
        http_problem(a, c, HTTP_PROBLEM_TOO_LARGE, NULL, example,
                "the body has %zu bytes; a transfer takes at most %d", c->body.size,
                TRANSFER_BODY_MAX);
        return false;
    }
    if (c->reason != NULL && strlen(c->reason) > TRANSFER_REASON_MAX) {
        http_problem(a, c, HTTP_PROBLEM_BAD_HEADER, NULL, "",
                "the header Weir-Reason must be UTF-8 text of at most %d bytes",
                TRANSFER_REASON_MAX);
        return false;
    }
    if (c->body.size == 0) {
        refuse_member(c, a, "", "the body is empty");
        return false;
    }
    json_t *json =
            json_loadb((const char *)c->body.at, c->body.size, JSON_REJECT_DUPLICATES, &error);
    if (json == NULL) {
        char *text = mem_format("line %d, column %d: %s", error.line, error.column, error.text);
        refuse_member(c, a, "", text);
        mem_free(text);
        return false;
    }
    bool is_read = read_object(c, a, json, ret_to);
    json_decref(json);
    return is_read;
}

static const char see_controllers[] = "GET /v1/controllers lists them.";

static void refuse(const struct http_call *c,
        struct http_answer *a,
        const struct controller_transfer *t)
{
    switch (t->end) {
    case TRANSFER_DONE: must_not_reach("a transfer that was done is refused");
    case TRANSFER_NOT_ACTIVE:
        http_problem_of(a, c, ERRCODE_NOT_CONTROLLER, NULL, "Try again in a second.", "%s",
                t->detail);
        return;
    case TRANSFER_ALREADY:
        http_problem(a, c, HTTP_PROBLEM_TRANSFER, NULL, "Name another, or none for any standby.",
                "controller %" PRId32 " is the active one already", t->to);
        return;
    case TRANSFER_UNKNOWN:
        http_problem(a, c, HTTP_PROBLEM_NO_CONTROLLER, NULL, see_controllers,
                "no controller %" PRId32 " is registered", t->to);
        return;
    case TRANSFER_NO_STANDBY:
        http_problem(a, c, HTTP_PROBLEM_TRANSFER, NULL,
                "Start another controller with the same zookeeper.connect first.",
                "there is no standby: controller %" PRId32 " is the only one", t->from);
        return;
    case TRANSFER_NOT_READY:
        http_problem(a, c, HTTP_PROBLEM_TRANSFER, NULL,
                "GET /readyz of the standby says what it waits for.", "%s", t->detail);
        return;
    case TRANSFER_BUSY:
        http_problem(a, c, HTTP_PROBLEM_TRANSFER, NULL, "Try again in some seconds.",
                "another transfer is under way");
        return;
    case TRANSFER_TIMED_OUT:
        http_problem_of(a, c, ERRCODE_REQUEST_TIMED_OUT, NULL, see_controllers, "%s", t->detail);
        return;
    case TRANSFER_OTHER:
        http_problem(a, c, HTTP_PROBLEM_TRANSFER, NULL, see_controllers,
                "controller %" PRId32 " became the active one instead, under epoch %" PRIu64, t->to,
                t->epoch);
        return;
    }
}

static void on_transfer(void *ctx, const struct controller_transfer *t)
{
    struct http_later *later = wait_end(ctx);
    struct http_answer a = {0};

    if (later == NULL) {
        return;
    }
    if (t->end == TRANSFER_DONE) {
        http_answer_json(&a, 200,
                json_pack("{s:i, s:i, s:I}", "from", (int)t->from, "to", (int)t->to, "epoch",
                        (json_int_t)t->epoch));
    } else {
        refuse(http_later_call(later), &a, t);
    }
    http_later_answer(later, &a);
}

void http_post_transfer(const struct http_view *v,
        const struct http_call *c,
        const char *arg,
        struct http_later *later)
{
    struct http_answer a = {0};
    char actor[96];
    int32_t to = SUCCESSION_NONE;

    (void)v;
    (void)arg;
    if (!read_transfer(c, &a, &to)) {
        http_later_answer(later, &a);
        return;
    }
    (void)snprintf(actor, sizeof(actor), "http %s", c->peer);
    controller_transfer(http_later_controller(later), to, actor, c->reason != NULL ? c->reason : "",
            on_transfer, wait_for(later));
}
