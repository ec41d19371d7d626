/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/shell/http_resources.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Partitions across topics: which of them want something, and who of them is to lead. */

enum {
    ELECTED_SHOWN = 1000, /* an election of all may be of 100,000 */
    ELECT_MAX = 1000,     /* named in one request */
    ELECT_BODY_MAX = 256 << 10,
    KEY_SIZE = TOPIC_NAME_MAX + 16,
};

/* --- One partition ---------------------------------------------------------------------------------------------------- */

static json_t *set_json(const struct broker_set *s)
{
    json_t *list = json_array();

    for (uint8_t i = 0; i < s->n; i++) {
        must(json_array_append_new(list, json_integer(s->at[i])) == 0);
    }
    return list;
}

static json_t *leader_json(broker_id leader)
{
    return leader != BROKER_NONE ? json_integer(leader) : json_null();
}

json_t *http_partition_json(const struct partition_state *p)
{
    return json_pack("{s:i, s:o, s:i, s:i, s:o, s:o, s:o, s:i, s:b, s:b, s:s}", "partition",
            (int)p->partition, "leader", leader_json(p->leader), "leader_epoch",
            (int)p->leader_epoch, "partition_epoch", (int)p->partition_epoch, "replicas",
            set_json(&p->replicas), "isr", set_json(&p->isr), "elr", set_json(&p->elr), "min_isr",
            (int)p->min_isr, "recovering", p->recovering ? 1 : 0, "durable",
            p->is_durable ? 1 : 0, "state",
            p->leader != BROKER_NONE ? "online" : "offline");
}

/* --- The list --------------------------------------------------------------------------------------------------------- */

enum wanted_state {
    WANT_ALL,
    WANT_OFFLINE,
    WANT_UNDER_REPLICATED,
    WANT_UNDER_MIN_ISR,
    WANT_NOT_PREFERRED,
};

static const struct {
    const char *name;
    enum wanted_state state;
} states[] = {
        {"offline", WANT_OFFLINE},
        {"under_replicated", WANT_UNDER_REPLICATED},
        {"under_min_isr", WANT_UNDER_MIN_ISR},
        {"not_preferred", WANT_NOT_PREFERRED},
};

static bool is_wanted(const struct partition_state *p, enum wanted_state state)
{
    switch (state) {
    case WANT_ALL: return true;
    case WANT_OFFLINE: return p->leader == BROKER_NONE;
    case WANT_UNDER_REPLICATED: return p->isr.n < p->replicas.n;
    case WANT_UNDER_MIN_ISR: return p->isr.n < p->min_isr;
    case WANT_NOT_PREFERRED: return p->leader != p->replicas.at[0];
    }
    must_not_reach("a state that is none");
}

static bool read_state(const struct http_call *c, enum wanted_state *ret, struct http_answer *a)
{
    const char *given = http_call_param(c, "state");
    char shown[HTTP_SHOWN_SIZE];

    *ret = WANT_ALL;
    for (size_t i = 0; given != NULL && i < COUNT_OF(states); i++) {
        if (strcmp(states[i].name, given) == 0) {
            *ret = states[i].state;
        }
    }
    if (given != NULL && *ret == WANT_ALL) {
        http_problem(a, c, HTTP_PROBLEM_BAD_QUERY, NULL, "Leave it out for all partitions.",
                "state must be offline, under_replicated, under_min_isr or not_preferred, not '%s'",
                http_shown(given, shown));
        return false;
    }
    return true;
}

/* Where a page begins, in the order of topics and numbers. */
struct place {
    size_t topic;
    int32_t partition;
};

/* Keys are "name/number": no topic's name has a slash. */
static struct place first_place(const struct image *image, const struct http_page *page)
{
    struct place at = {0};
    char name[KEY_SIZE];
    const char *slash = page->has_after ? strrchr(page->after, '/') : NULL;

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

static void add_item(
        struct http_page *page, const struct image_topic *t, const struct partition_state *p)
{
    json_t *item = http_partition_json(p);

    must(json_object_set_new(item, "topic", http_json_text(t->name)) == 0);
    http_page_add(page, item);
}

/* The topic's wanted partitions from `from` on; false when the page was full before its end. */
static bool add_topic(struct http_page *page,
        const struct image_topic *t,
        int32_t from,
        enum wanted_state state,
        char *last)
{
    for (int32_t k = from; k < t->n_partitions; k++) {
        if (!is_wanted(&t->partitions[k], state)) {
            continue;
        }
        if (http_page_is_full(page)) {
            http_page_more(page, last);
            return false;
        }
        add_item(page, t, &t->partitions[k]);
        (void)snprintf(last, KEY_SIZE, "%s/%" PRId32, t->name, k);
    }
    return true;
}

void http_get_all_partitions(const struct http_view *v,
        const struct http_call *c,
        const char *arg,
        struct http_answer *a)
{
    enum wanted_state state = WANT_ALL;
    const char *only = http_call_param(c, "topic");
    struct http_page page;
    char last[KEY_SIZE] = "";

    (void)arg;
    if (only != NULL && image_topic_by_name(v->image, only) == NULL) {
        http_no_topic(a, c, only);
        return;
    }
    if (!read_state(c, &state, a) || !http_page_begin(&page, 'r', c, a)) {
        return;
    }
    struct place at = first_place(v->image, &page);

    for (; at.topic < image_n_topics(v->image); at.topic++, at.partition = 0) {
        const struct image_topic *t = image_topic_at(v->image, at.topic);
        if ((only == NULL || strcmp(t->name, only) == 0) &&
                !add_topic(&page, t, at.partition, state, last)) {
            break;
        }
    }
    http_page_end(&page, a);
}

/* --- Elections: the body ---------------------------------------------------------------------------------------------- */

static void parse_partition(
        struct http_elect_spec *s, const json_t *item, size_t i, struct http_faults *f)
{
    const char *topic = NULL;
    json_int_t partition = -1, leader = BROKER_NONE;
    json_error_t error;
    char pointer[48];

    (void)snprintf(pointer, sizeof(pointer), "/partitions/%zu", i);
    if (json_unpack_ex((json_t *)(uintptr_t)item, &error, JSON_STRICT, "{s:s, s:I, s?I}", "topic",
                &topic, "partition", &partition, "leader", &leader) != 0) {
        http_fault(f, pointer, "must be {\"topic\": …, \"partition\": …}, with \"leader\" for an "
                               "unclean election: %s",
                error.text);
        return;
    }
    if (partition < 0 || partition >= PARTITIONS_PER_TOPIC_MAX || leader < BROKER_NONE ||
            leader > INT32_MAX) {
        http_fault(f, pointer, "the partition or the leader is out of range");
        return;
    }
    *array_push(&s->partitions) = (struct ctl_elect_partition){.topic = mem_strdup(topic),
            .partition = (int32_t)partition,
            .leader = (broker_id)leader};
}

static void parse_elect(json_t *body, struct http_elect_spec *s, struct http_faults *f)
{
    const char *kind = "preferred";
    json_t *list = NULL, *item = NULL;
    json_error_t error;
    size_t i = 0;

    if (json_unpack_ex(body, &error, JSON_STRICT, "{s?s, s?o}", "kind", &kind, "partitions",
                &list) != 0) {
        http_fault(f, "", "%s", error.text);
        return;
    }
    s->is_unclean = strcmp(kind, "unclean") == 0;
    if (!s->is_unclean && strcmp(kind, "preferred") != 0) {
        http_fault(f, "/kind", "must be \"preferred\" or \"unclean\"");
    }
    if (list != NULL && (!json_is_array(list) || json_array_size(list) == 0 ||
                                json_array_size(list) > ELECT_MAX)) {
        http_fault(f, "/partitions", "must be a list of 1 to %d partitions", ELECT_MAX);
        return;
    }
    json_array_foreach(list, i, item)
    {
        parse_partition(s, item, i, f);
    }
    if (s->is_unclean && list == NULL) {
        http_fault(f, "/partitions", "must be given: an unclean election loses records");
    }
}

void http_elect_spec_deinit(struct http_elect_spec *s)
{
    ARRAY_FOREACH (p, &s->partitions) {
        mem_free((void *)(uintptr_t)p->topic);
    }
    array_deinit(&s->partitions);
}

static bool is_confirmed(const struct http_call *c, struct http_answer *a)
{
    const char *confirm = http_call_param(c, "confirm");

    if (confirm != NULL && strcmp(confirm, "unclean") == 0) {
        return true;
    }
    http_problem(a, c, HTTP_PROBLEM_NOT_CONFIRMED, NULL, "Repeat it with ?confirm=unclean",
            "an unclean election loses what the other replicas have beyond the new leader's log; "
            "confirm must be 'unclean'");
    return false;
}

void http_post_elect(const struct http_view *v,
        const struct http_call *c,
        const char *arg,
        struct http_answer *a,
        struct http_write *w)
{
    struct http_faults faults = {0};

    (void)v;
    (void)arg;
    if (!http_takes_body(c, a, ELECT_BODY_MAX, "an election", "Name fewer partitions at once.")) {
        return;
    }
    json_t *body = http_body_object(c->body, &faults);

    if (body != NULL) {
        parse_elect(body, &w->elect, &faults);
    }
    json_decref(body);
    if (faults.list != NULL) {
        http_refuse_body(c, a, &faults,
                "For example: {\"kind\": \"preferred\", \"partitions\": [{\"topic\": \"orders\", "
                "\"partition\": 0}]}");
        return;
    }
    if (w->elect.is_unclean && !is_confirmed(c, a)) {
        return;
    }
    w->kind = HTTP_WRITE_ELECT;
}

/* --- Elections: the answer -------------------------------------------------------------------------------------------- */

json_t *http_elected_json(const struct ctl_reply *reply)
{
    json_t *items = json_array();
    json_int_t n_moved = 0, n_failed = 0;

    for (size_t i = 0; i < reply->n_elected; i++) {
        const struct ctl_elected *e = &reply->elected[i];
        n_failed += e->error != ERRCODE_NONE;
        n_moved += e->error == ERRCODE_NONE && e->was != e->leader;
        if (i < ELECTED_SHOWN) {
            must(json_array_append_new(items,
                         json_pack("{s:o, s:i, s:o, s:o, s:o, s:o}", "topic",
                                 http_json_text(e->topic), "partition", (int)e->partition,
                                 "old_leader", leader_json(e->was), "leader",
                                 leader_json(e->leader), "error",
                                 e->error != ERRCODE_NONE ? json_string(errcode_name(e->error))
                                                          : json_null(),
                                 "detail", http_json_text(e->detail))) == 0);
        }
    }
    return json_pack(
            "{s:o, s:I, s:I}", "items", items, "moved", n_moved, "failed", n_failed);
}
