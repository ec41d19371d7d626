/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/uuid.h"
#include "controller/shell/http_resources.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Deleted topics that can still be restored: /v1/trash. */

/* --- What is shown ---------------------------------------------------------------------------- */

static wall_ms grace_of(const struct image *image)
{
    const struct conf_key *key =
            conf_find_key(conf_cluster_keys, conf_n_cluster_keys, "weir.delete.grace.ms");
    const char *text = image_cluster_config(image, "weir.delete.grace.ms");
    int64_t grace = 0;
    char error[256];

    must(key != NULL);
    if (text == NULL || conf_check_value(key, text, &grace, error, sizeof(error)) != 0) {
        must(conf_check_value(key, key->fallback, &grace, error, sizeof(error)) == 0);
    }
    return grace;
}

static const struct http_told *told_by(const struct http_told_list *told, broker_id id)
{
    for (size_t i = 0; i < told->n; i++) {
        if (told->items[i].broker == id) {
            return &told->items[i];
        }
    }
    return NULL;
}

static bool holds(const struct image_topic *t, broker_id id)
{
    for (int32_t p = 0; p < t->n_partitions; p++) {
        if (broker_set_has(&t->partitions[p].replicas, id)) {
            return true;
        }
    }
    return false;
}

struct trash_sum {
    bool is_known; /* every broker that holds it told */
    uint64_t bytes;
    json_t *emptied_on;
};

static struct trash_sum sum_of(
        const struct image *image, const struct image_topic *t, const struct http_told_list *told)
{
    struct trash_sum sum = {.is_known = true, .emptied_on = json_array()};

    for (size_t i = 0; i < image_n_brokers(image); i++) {
        broker_id id = image_broker_at(image, i)->id;
        if (!holds(t, id)) {
            continue;
        }
        const struct http_told *from = told_by(told, id);
        if (from == NULL || !from->is_told) {
            sum.is_known = false;
            continue;
        }
        for (size_t k = 0; k < from->trash.n; k++) {
            const struct msg_topic_bytes *b = &from->trash.items[k];
            if (uuid_equal(&b->topic_id, &t->id)) {
                sum.bytes += b->bytes;
                if (b->emptied > 0) {
                    must(json_array_append_new(sum.emptied_on, json_integer(id)) == 0);
                }
            }
        }
    }
    return sum;
}

json_t *http_trash_json(const struct image *image,
        const struct image_topic *t,
        const struct http_told_list *told)
{
    struct trash_sum sum = sum_of(image, t, told);

    return json_pack("{s:o, s:o, s:i, s:i, s:o, s:o, s:o, s:o}", "name", http_json_text(t->name),
            "topic_id", http_json_uuid(&t->id), "partitions", (int)t->n_declared,
            "replication_factor", (int)t->replication_factor, "removed_at",
            http_json_time(t->removed_at), "purged_at",
            http_json_time(t->removed_at + grace_of(image)), "bytes",
            sum.is_known ? json_integer((json_int_t)sum.bytes) : json_null(), "emptied_on",
            sum.emptied_on);
}

/* --- Reading ---------------------------------------------------------------------------------- */

/* By id, or by a name; `*ret_n` = how many are called so. */
static const struct image_topic *find_trash(
        const struct image *image, const char *arg, size_t *ret_n)
{
    const struct image_topic *found = NULL;
    struct uuid id = {{0}};

    *ret_n = 0;
    if (uuid_parse(arg, &id) && image_trash_by_id(image, &id) != NULL) {
        *ret_n = 1;
        return image_trash_by_id(image, &id);
    }
    for (size_t i = 0; i < image_n_trash(image); i++) {
        const struct image_topic *t = image_trash_at(image, i);
        if (strcmp(t->name, arg) == 0) {
            found = t;
            (*ret_n)++;
        }
    }
    return found;
}

const struct image_topic *http_known_trash(const struct http_view *v,
        const struct http_call *c,
        const char *arg,
        struct http_answer *a)
{
    char shown[HTTP_SHOWN_SIZE];
    size_t n = 0;
    const struct image_topic *t = find_trash(v->image, arg, &n);

    if (t != NULL && n > 1) {
        http_problem(a, c, HTTP_PROBLEM_AMBIGUOUS, NULL,
                "Give the id of the one that is meant: GET /v1/trash?name= (weir trash list)",
                "%zu topics in the trash are called %s", n, http_shown(arg, shown));
        return NULL;
    }
    if (t == NULL) {
        http_problem_of(a, c, ERRCODE_UNKNOWN_TOPIC_ID, NULL,
                "See what is there: GET /v1/trash (weir trash list)",
                "there is no topic %s in the trash", http_shown(arg, shown));
    }
    return t;
}

/* "<removed at>.<id>" of the last item; the one behind it comes next, also when that was purged. */
static size_t first_trash(const struct image *image, const struct http_page *page)
{
    char *end = NULL;
    struct uuid id = {{0}};
    size_t i = 0;

    if (!page->has_after) {
        return 0;
    }
    wall_ms removed_at = strtoll(page->after, &end, 10);
    if (*end == '.' && uuid_parse(end + 1, &id)) {
        for (i = 0; i < image_n_trash(image); i++) {
            if (uuid_equal(&image_trash_at(image, i)->id, &id)) {
                return i + 1;
            }
        }
    }
    for (i = 0; i < image_n_trash(image) && image_trash_at(image, i)->removed_at <= removed_at;) {
        i++;
    }
    return i;
}

void http_answer_trash(const struct http_view *v,
        const struct http_call *c,
        const struct http_told_list *told,
        struct http_answer *a)
{
    const char *name = http_call_param(c, "name");
    const struct image_topic *last = NULL;
    struct http_page page;
    char key[64], id[UUID_TEXT_SIZE];

    if (!http_page_begin(&page, 'x', c, a)) {
        return;
    }
    for (size_t i = first_trash(v->image, &page); i < image_n_trash(v->image); i++) {
        const struct image_topic *t = image_trash_at(v->image, i);
        if (name != NULL && strcmp(name, t->name) != 0) {
            continue;
        }
        if (http_page_is_full(&page)) {
            (void)snprintf(key, sizeof(key), "%" PRId64 ".%s", last->removed_at,
                    uuid_format(&last->id, id));
            http_page_more(&page, key);
            break;
        }
        last = t;
        http_page_add(&page, http_trash_json(v->image, t, told));
    }
    http_page_end(&page, a);
}

void http_answer_trashed(const struct http_view *v,
        const struct http_call *c,
        const char *arg,
        const struct http_told_list *told,
        struct http_answer *a)
{
    const struct image_topic *t = http_known_trash(v, c, arg, a);

    if (t != NULL) {
        http_answer_json(a, 200, http_trash_json(v->image, t, told));
    }
}

/* A standby has no connection to a broker: what only those know is null. */
void http_get_trash_untold(const struct http_view *v,
        const struct http_call *c,
        const char *arg,
        struct http_answer *a)
{
    const struct http_told_list nobody = {0};

    (void)arg;
    http_answer_trash(v, c, &nobody, a);
}

void http_get_trashed_untold(const struct http_view *v,
        const struct http_call *c,
        const char *arg,
        struct http_answer *a)
{
    const struct http_told_list nobody = {0};

    http_answer_trashed(v, c, arg, &nobody, a);
}

/* --- Writing ---------------------------------------------------------------------------------- */

void http_delete_trashed(const struct http_view *v,
        const struct http_call *c,
        const char *arg,
        struct http_answer *a,
        struct http_write *w)
{
    const struct image_topic *t = http_known_trash(v, c, arg, a);
    const char *confirm = http_call_param(c, "confirm");
    char shown[HTTP_SHOWN_SIZE];

    if (t == NULL) {
        return;
    }
    if (confirm == NULL || (strcmp(confirm, t->name) != 0 && strcmp(confirm, arg) != 0)) {
        char *hint = mem_format("Repeat it with ?confirm=%s", http_shown(t->name, shown));
        http_problem(a, c, HTTP_PROBLEM_NOT_CONFIRMED, NULL, hint,
                "purging topic '%s' removes all its records for good; confirm must be its name",
                shown);
        mem_free(hint);
        return;
    }
    w->trashed = t->id;
    w->kind = HTTP_WRITE_PURGE_TOPIC;
}

static void read_restore(struct bytes body, char **ret_name, struct http_faults *f)
{
    const char *key;
    json_t *value;
    json_t *json = body.size > 0 ? http_body_object(body, f) : NULL;

    json_object_foreach(json, key, value)
    {
        if (strcmp(key, "name") != 0) {
            char pointer[160];
            http_fault(f, http_pointer("", key, pointer, sizeof(pointer)),
                    "unknown member; there is name");
        } else if (!json_is_string(value) || json_string_length(value) == 0) {
            http_fault(f, "/name", "must be a text, not %s",
                    json_is_string(value) ? "an empty one" : http_json_type(value));
        } else {
            *ret_name = mem_strdup(json_string_value(value));
        }
    }
    json_decref(json);
}

void http_post_restore(const struct http_view *v,
        const struct http_call *c,
        const char *arg,
        struct http_answer *a,
        struct http_write *w)
{
    const struct image_topic *t = http_known_trash(v, c, arg, a);
    struct http_faults faults = {0};

    if (t == NULL) {
        return;
    }
    if (c->body.size > 0 && !http_is_json(c, false)) {
        http_problem(a, c, HTTP_PROBLEM_NOT_JSON, NULL,
                "Send it with Content-Type: application/json", "the body must be JSON and say so");
        return;
    }
    read_restore(c->body, &w->spec.name, &faults);
    if (faults.list != NULL) {
        http_refuse_body(c, a, &faults, "For example: {\"name\": \"orders-restored\"}, or no body");
        return;
    }
    w->trashed = t->id;
    w->kind = HTTP_WRITE_RESTORE_TOPIC;
}
