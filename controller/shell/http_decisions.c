/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/shell/controller.h"
#include "controller/shell/decision.h"
#include "controller/shell/http_resources.h"
#include "controller/shell/journal.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

/* GET /v1/decisions and /v1/decisions/{seq}: a scan of the journal, answered when it ends. */

enum {
    /* Pages that one decision is looked for through, so that an old one is found in one request. */
    ROUNDS_MAX = 16,
};

struct asked {
    struct http_later *later;
    struct journal_scan *scan;
    struct journal_query query;
    char *topic;
    struct http_page page; /* of a list */
    unsigned n_rounds;
};

/* --- The query --------------------------------------------------------------------------------- */

static bool refuse(struct http_answer *a,
        const struct http_call *c,
        const char *name,
        const char *value,
        const char *what)
{
    char shown[HTTP_SHOWN_SIZE];

    http_problem(a, c, HTTP_PROBLEM_BAD_QUERY, NULL, "", "%s must be %s, not '%s'", name, what,
            http_shown(value, shown));
    return false;
}

static bool read_number(const struct http_call *c,
        const char *name,
        int64_t max,
        int64_t *ret,
        struct http_answer *a)
{
    const char *text = http_call_param(c, name);

    return text == NULL || http_parse_i64(text, 0, max, ret) ||
           refuse(a, c, name, text, "a number from 0");
}

/* "2026-11-20T10:00:00Z", with or without milliseconds. */
static bool parse_time(const char *text, wall_ms *ret)
{
    struct tm tm = {0};
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    wall_ms ms = 0;

    if (rest == NULL) {
        return false;
    }
    if (*rest == '.') {
        wall_ms unit = 100;
        for (rest++; *rest >= '0' && *rest <= '9'; rest++, unit /= 10) {
            ms += (*rest - '0') * unit;
        }
    }
    *ret = (wall_ms)timegm(&tm) * 1000 + ms;
    return strcmp(rest, "Z") == 0 && *ret > 0;
}

static bool read_filter(const struct http_call *c, struct asked *k, struct http_answer *a)
{
    const char *cause = http_call_param(c, "cause"), *since = http_call_param(c, "since");
    const char *topic = http_call_param(c, "topic");
    int64_t partition = -1, broker = BROKER_NONE, since_seq = 0;

    if (!read_number(c, "partition", INT32_MAX, &partition, a) ||
            !read_number(c, "broker", INT32_MAX, &broker, a) ||
            !read_number(c, "since_seq", INT64_MAX, &since_seq, a)) {
        return false;
    }
    if (partition >= 0 && topic == NULL) {
        http_problem(a, c, HTTP_PROBLEM_BAD_QUERY, NULL, "For example: ?topic=orders&partition=3",
                "partition needs a topic");
        return false;
    }
    if (cause != NULL && (k->query.cause = (int)decision_cause_by_name(cause)) == 0) {
        return refuse(a, c, "cause", cause, "the name of a cause, as in the items' \"cause\"");
    }
    if (since != NULL && !parse_time(since, &k->query.since)) {
        return refuse(a, c, "since", since, "a time such as 2026-11-20T10:00:00Z");
    }
    k->topic = topic != NULL ? mem_strdup(topic) : NULL;
    k->query.topic = k->topic;
    k->query.partition = (int32_t)partition;
    k->query.broker = (broker_id)broker;
    k->query.since_seq = (uint64_t)since_seq;
    return true;
}

static bool read_place(const struct http_call *c, struct asked *k, struct http_answer *a)
{
    struct journal_place *p = &k->query.from;
    int n = 0;

    if (!k->page.has_after) {
        return true;
    }
    if (sscanf(k->page.after, "%" SCNu64 ".%" SCNu64 ".%" SCNd64 "%n", &p->index, &p->seq,
                &p->offset, &n) == 3 &&
            k->page.after[n] == '\0' && p->index > 0) {
        return true;
    }
    http_problem(a, c, HTTP_PROBLEM_BAD_QUERY, NULL,
            "Start again without page_token, and give next_page_token as it was answered.",
            "page_token is none that this list gave");
    return false;
}

/* --- The answer -------------------------------------------------------------------------------- */

static void asked_free(struct asked *k)
{
    json_decref(k->page.items);
    mem_free(k->page.next);
    mem_free(k->topic);
    mem_free(k);
}

static void on_cancel(void *ctx)
{
    asked_free(ctx); /* The controller is gone, and its scans with it. */
}

static void answer(struct asked *k, struct http_answer *a)
{
    struct http_later *later = k->later;
    struct controller *c = http_later_controller(later);
    const struct http_view v = {.image = controller_image(c), .is_active = controller_is_active(c)};

    if (a->status != 0) {
        http_answer_metadata(a, &v);
    }
    asked_free(k);
    http_later_answer(later, a);
}

static void refuse_unread(struct asked *k, const char *trouble, struct http_answer *a)
{
    http_problem_of(a, http_later_call(k->later), ERRCODE_LEADER_NOT_AVAILABLE, NULL,
            "What the controllers have in memory is answered without the topic; for older ones "
            "start "
            "the broker that holds it.",
            "these decisions are older than what this controller has in memory, and %s", trouble);
}

static void on_page(void *ctx, const struct journal_page *found)
{
    struct asked *k = ctx;
    struct http_answer a = {0};
    char token[96];

    k->scan = NULL;
    if (found->n == 0 && found->trouble != NULL) {
        refuse_unread(k, found->trouble, &a);
        answer(k, &a);
        return;
    }
    for (size_t i = 0; i < found->n; i++) {
        http_page_add(&k->page, http_decision_json(&found->items[i]));
    }
    if (found->has_more) {
        (void)snprintf(token, sizeof(token), "%" PRIu64 ".%" PRIu64 ".%" PRId64, found->next.index,
                found->next.seq, found->next.offset);
        http_page_more(&k->page, token);
    }
    http_page_end(&k->page, &a);
    answer(k, &a);
}

static void start(struct asked *k, void (*fn)(void *ctx, const struct journal_page *page))
{
    struct controller *c = http_later_controller(k->later);
    const struct uuid cluster_id = controller_cluster_id(c);

    k->scan = journal_scan_start(controller_journal(c), &cluster_id, &k->query, fn, k);
}

static struct asked *asked_new(struct http_later *later)
{
    struct asked *k = mem_new(struct asked);

    k->later = later;
    k->query = (struct journal_query){.partition = -1, .broker = BROKER_NONE, .n_max = 1};
    k->query.from.offset = OFFSET_NONE;
    http_later_on_cancel(later, on_cancel, k);
    return k;
}

void http_get_decisions(const struct http_view *v,
        const struct http_call *c,
        const char *arg,
        struct http_later *later)
{
    struct asked *k = asked_new(later);
    struct http_answer a = {0};

    (void)v;
    (void)arg;
    if (!http_page_begin(&k->page, 'd', c, &a) || !read_place(c, k, &a) || !read_filter(c, k, &a)) {
        answer(k, &a);
        return;
    }
    k->query.n_max = k->page.size;
    start(k, on_page);
}

/* --- One --------------------------------------------------------------------------------------- */

static void on_one(void *ctx, const struct journal_page *found)
{
    struct asked *k = ctx;
    struct http_answer a = {0};

    k->scan = NULL;
    if (found->n > 0) {
        http_answer_json(&a, 200, http_decision_json(&found->items[0]));
    } else if (found->trouble != NULL) {
        refuse_unread(k, found->trouble, &a);
    } else if (found->has_more && ++k->n_rounds < ROUNDS_MAX) {
        k->query.from = found->next;
        start(k, on_one);
        return;
    } else if (found->has_more) {
        http_problem_of(&a, http_later_call(k->later), ERRCODE_REQUEST_TIMED_OUT, NULL,
                "List them with since and page_token, which gets there in steps.",
                "the decision is too far back to be found in one request");
    } else {
        http_problem(&a, http_later_call(k->later), HTTP_PROBLEM_NO_DECISION, NULL,
                "See the newest: GET /v1/decisions", "there is no decision %" PRIu64,
                k->query.only_seq);
    }
    answer(k, &a);
}

void http_get_decision(const struct http_view *v,
        const struct http_call *c,
        const char *arg,
        struct http_later *later)
{
    struct asked *k = asked_new(later);
    struct http_answer a = {0};
    char shown[HTTP_SHOWN_SIZE];
    int64_t seq = 0;

    (void)v;
    if (!http_parse_i64(arg, 1, INT64_MAX, &seq)) {
        http_problem(&a, c, HTTP_PROBLEM_NO_DECISION, NULL, "See the newest: GET /v1/decisions",
                "there is no decision '%s'", http_shown(arg, shown));
        answer(k, &a);
        return;
    }
    k->query.only_seq = (uint64_t)seq;
    start(k, on_one);
}
