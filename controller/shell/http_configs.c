/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/shell/http_resources.h"

#include <inttypes.h>
#include <strings.h>

/* Configuration of the cluster, of topics and of brokers: what it is, and how it is changed (JSON
 * merge patch). */

/* Many unknown keys cost a look for the nearest each, and no handler may hold the loop up. */
enum {
    BODY_MAX = 16 << 10
};

/* --- Items ------------------------------------------------------------------------------------ */

static const char *type_word(const struct conf_key *key)
{
    switch (key->type) {
    case CONF_STRING: return "string";
    case CONF_LIST: return "list";
    case CONF_I64:
    case CONF_RATIO: return "number";
    case CONF_BOOL: return "bool";
    case CONF_ENUM: return "enum";
    }
    must_not_reach("a type that is none");
}

static const char *unit_word(const struct conf_key *key)
{
    switch (key->unit) {
    case CONF_UNIT_NONE: return NULL;
    case CONF_UNIT_MS: return "ms";
    case CONF_UNIT_BYTES: return "bytes";
    }
    must_not_reach("a unit that is none");
}

/* What a key has now; both NULL = it is not known. */
struct held {
    const char *value, *source;
};

static void add_item(json_t *list, const struct conf_key *key, struct held held)
{
    json_t *item = json_pack("{s:s, s:o, s:o, s:o, s:b, s:s, s:o, s:s}", "name", key->name, "value",
            http_json_text(held.value), "default", http_json_text(key->fallback), "source",
            http_json_text(held.source), "read_only", key->is_dynamic ? 0 : 1, "type",
            type_word(key), "unit", http_json_text(unit_word(key)), "text", key->text);

    must(json_array_append_new(list, item) == 0);
}

/* The value set on the object itself: as it is, or as a change that is only shown would leave
 * it. */
static const char *own_value(const char *now, const struct image_configs *preview, const char *key)
{
    for (size_t i = 0; preview != NULL && i < preview->n; i++) {
        if (strcmp(preview->items[i].key, key) == 0) {
            return preview->items[i].value;
        }
    }
    return now;
}

/* [CFG-7] The first that is given, and who gave it. */
static struct held first_of(
        const char *own, const char *own_source, const char *cluster, const char *fallback)
{
    return own != NULL       ? (struct held){own, own_source}
           : cluster != NULL ? (struct held){cluster, "cluster"}
                             : (struct held){fallback, fallback != NULL ? "default" : NULL};
}

json_t *http_topic_config_items(
        const struct image *image, const struct image_topic *t, const struct image_configs *preview)
{
    json_t *list = json_array();

    for (size_t i = 0; i < conf_n_topic_keys; i++) {
        const struct conf_key *key = &conf_topic_keys[i];
        const char *own = own_value(image_topic_config(t, key->name), preview, key->name);
        add_item(list, key,
                first_of(own, "topic", image_cluster_config(image, conf_cluster_key_of(key)->name),
                        key->fallback));
    }
    return list;
}

/* Of a broker's key that the cluster does not set, each broker's own file decides: null. */
static json_t *cluster_config_items(const struct image *image, const struct image_configs *preview)
{
    json_t *list = json_array();

    for (size_t i = 0; i < conf_n_cluster_keys; i++) {
        const struct conf_key *key = &conf_cluster_keys[i];
        const char *own = own_value(image_cluster_config(image, key->name), preview, key->name);
        bool is_brokers = conf_find_dynamic(CONF_OF_BROKER, key->name) != NULL;
        add_item(list, key, first_of(own, "cluster", NULL, is_brokers ? NULL : key->fallback));
    }
    return list;
}

static const struct msg_config_entry *find_entry(
        const struct msg_describe_configs_response *m, const char *key)
{
    for (size_t i = 0; m != NULL && i < m->n_configs; i++) {
        if (strcmp(m->configs[i].name, key) == 0) {
            return &m->configs[i];
        }
    }
    return NULL;
}

/* [CFG-9] What the broker says, but for values that are only shown, and where it says nothing what
 * it was told to have. What its file has below a value that is taken away by the shown change is
 * known to nobody here. */
static struct held broker_held(const struct image *image,
        broker_id id,
        const struct conf_key *key,
        const struct msg_config_entry *told,
        const struct image_configs *preview)
{
    const struct image_broker *b = image_broker(image, id);
    const char *now = b != NULL ? image_broker_config(b, key->name) : NULL;
    const char *own = own_value(now, preview, key->name);

    if (told != NULL && own == now) {
        return (struct held){told->value, told->source};
    }
    return first_of(own, "broker", image_cluster_config(image, key->name), NULL);
}

json_t *http_broker_config_items(const struct image *image,
        broker_id id,
        const struct msg_describe_configs_response *m,
        const struct image_configs *preview)
{
    json_t *list = json_array();

    for (size_t i = 0; i < conf_n_broker_keys; i++) {
        const struct conf_key *key = &conf_broker_keys[i];
        add_item(list, key, broker_held(image, id, key, find_entry(m, key->name), preview));
    }
    return list;
}

/* --- Answers ---------------------------------------------------------------------------------- */

/* [CFG-5] The metadata's index stands for everything that configuration rests on. */
static void add_etag(struct http_answer *a, const struct http_view *v)
{
    http_answer_header(a, "ETag", "\"%" PRIu64 "\"", image_position(v->image).index);
}

void http_answer_configs(
        struct http_answer *a, const struct http_view *v, json_t *items, const char *problem)
{
    json_t *json = json_pack("{s:o}", "items", items);

    must(json != NULL);
    if (problem != NULL) {
        must(json_object_set_new(json, "problem", http_json_text_or_null(problem)) == 0);
    }
    http_answer_json(a, 200, json);
    add_etag(a, v);
}

void http_get_cluster_configs(const struct http_view *v,
        const struct http_call *c,
        const char *arg,
        struct http_answer *a)
{
    (void)c;
    (void)arg;
    http_answer_configs(a, v, cluster_config_items(v->image, NULL), NULL);
}

void http_get_topic_configs(const struct http_view *v,
        const struct http_call *c,
        const char *arg,
        struct http_answer *a)
{
    const struct image_topic *t = http_known_topic(v, c, arg, a);

    if (t == NULL) {
        return;
    }
    http_answer_configs(a, v, http_topic_config_items(v->image, t, NULL), NULL);
}

const struct image_broker *http_known_broker(const struct http_view *v,
        const struct http_call *c,
        const char *arg,
        struct http_answer *a)
{
    int64_t id = -1;
    char shown[HTTP_SHOWN_SIZE];
    const struct image_broker *b =
            http_parse_i64(arg, 0, INT32_MAX, &id) ? image_broker(v->image, (broker_id)id) : NULL;

    if (b == NULL) {
        http_problem(a, c, HTTP_PROBLEM_NO_BROKER, NULL, "See those there are: GET /v1/brokers",
                "no broker %s has registered", http_shown(arg, shown));
    }
    return b;
}

/* --- Changes ---------------------------------------------------------------------------------- */

/* [CFG-5] If-Match: `"12"` is the index that was read, `*` any. The core looks again whether
 * anything was decided after it. */
static bool check_match(const struct http_view *v,
        const struct http_call *c,
        struct http_answer *a,
        struct http_write *w)
{
    struct image_position at = image_position(v->image);
    char *etag = mem_format("\"%" PRIu64 "\"", at.index);
    bool is_given = c->if_match != NULL && strcmp(c->if_match, "*") != 0;
    bool is_good = !is_given || strcmp(c->if_match, etag) == 0;
    char shown[HTTP_SHOWN_SIZE];

    if (is_given && c->if_match[0] != '"') {
        http_problem(a, c, HTTP_PROBLEM_BAD_HEADER, NULL, "Give the ETag that GET answered.",
                "the header If-Match must be an ETag in quotes or *, not '%s'",
                http_shown(c->if_match, shown));
        is_good = false;
    } else if (!is_good) {
        http_problem_of(a, c, ERRCODE_INVALID_UPDATE_VERSION, NULL,
                "Read it again, decide again, and send it with the new ETag.",
                "the metadata is at %s, and If-Match says %s", etag,
                http_shown(c->if_match, shown));
    }
    w->config.if_seq = is_given && is_good ? at.last_seq : 0;
    mem_free(etag);
    return is_good;
}

/* Those that are to have applied it when the answer goes out. */
static void add_appliers(const struct http_view *v, struct http_write *w)
{
    for (size_t i = 0; i < v->n_links; i++) {
        bool is_meant = w->config.target != CONF_OF_BROKER || v->links[i].id == w->config.broker;
        if (v->links[i].is_connected && is_meant) {
            *array_push(&w->leaders) = v->links[i].id;
        }
    }
}

static void patch(const struct http_view *v,
        const struct http_call *c,
        enum conf_target target,
        struct http_answer *a,
        struct http_write *w)
{
    static const char hint[] = "For example: {\"KEY\": \"VALUE\", \"OTHER\": null}";
    struct http_faults faults = {0};

    if (!http_is_json(c, true)) {
        http_problem(a, c, HTTP_PROBLEM_NOT_JSON, NULL,
                "Send it with Content-Type: application/merge-patch+json",
                "the body must be a JSON merge patch and say so");
        return;
    }
    if (c->body.size > BODY_MAX) {
        http_problem(a, c, HTTP_PROBLEM_TOO_LARGE, NULL, "Name only what changes.",
                "the body has %zu bytes; it takes at most %d", c->body.size, BODY_MAX);
        return;
    }
    w->config.target = target;
    if (!check_match(v, c, a, w)) {
        return;
    }
    json_t *body = http_body_object(c->body, &faults);
    if (body != NULL) {
        http_configs_read(body, target, "", true, &w->config.configs, &faults);
        json_decref(body);
    }
    if (faults.list != NULL) { /* [CFG-6] Nothing is applied unless all of it is right. */
        http_refuse_body(c, a, &faults, hint);
        return;
    }
    w->config.pairs = http_configs_pairs(&w->config.configs);
    add_appliers(v, w);
    w->kind = HTTP_WRITE_SET_CONFIGS;
}

void http_patch_cluster_configs(const struct http_view *v,
        const struct http_call *c,
        const char *arg,
        struct http_answer *a,
        struct http_write *w)
{
    (void)arg;
    patch(v, c, CONF_OF_CLUSTER, a, w);
}

void http_patch_topic_configs(const struct http_view *v,
        const struct http_call *c,
        const char *arg,
        struct http_answer *a,
        struct http_write *w)
{
    if (http_known_topic(v, c, arg, a) == NULL) {
        return;
    }
    w->spec.name = mem_strdup(arg);
    patch(v, c, CONF_OF_TOPIC, a, w);
}

void http_patch_broker_configs(const struct http_view *v,
        const struct http_call *c,
        const char *arg,
        struct http_answer *a,
        struct http_write *w)
{
    const struct image_broker *b = http_known_broker(v, c, arg, a);

    if (b != NULL) {
        w->config.broker = b->id;
        patch(v, c, CONF_OF_BROKER, a, w);
    }
}

/* --- After the decision ----------------------------------------------------------------------- */

bool http_write_wants_configs(const struct http_write *w, broker_id *ret)
{
    *ret = w->config.broker;
    return w->kind == HTTP_WRITE_SET_CONFIGS && w->config.target == CONF_OF_BROKER &&
           w->error == ERRCODE_NONE;
}

void http_write_take_configs(struct http_write *w,
        const struct http_view *v,
        const struct msg_describe_configs_response *m)
{
    must(w->items == NULL);
    w->items = http_broker_config_items(
            v->image, w->config.broker, m, w->dry_run ? &w->config.configs : NULL);
}

static json_t *written_items(const struct http_write *w, const struct http_view *v)
{
    const struct image_configs *preview = w->dry_run ? &w->config.configs : NULL;
    const struct image_topic *t;

    switch (w->config.target) {
    case CONF_OF_CLUSTER: return cluster_config_items(v->image, preview);
    case CONF_OF_TOPIC:
        t = image_topic_by_name(v->image, w->spec.name);
        /* NULL: removed by another request since. */
        return t != NULL ? http_topic_config_items(v->image, t, preview) : json_array();
    case CONF_OF_BROKER:
        return w->items != NULL
                       ? json_incref(w->items)
                       : http_broker_config_items(v->image, w->config.broker, NULL, preview);
    }
    must_not_reach("a target that is none");
}

/* [CFG-8] */
void http_configs_written(const struct http_write *w,
        const struct http_view *v,
        bool is_applied,
        struct http_answer *a)
{
    bool is_nobody = w->leaders.n == 0 && w->config.target != CONF_OF_BROKER;
    bool applied = !w->dry_run && (is_applied || is_nobody);

    http_answer_json(a, 200,
            json_pack("{s:b, s:b, s:o}", "changed", w->is_unchanged ? 0 : 1, "applied",
                    applied ? 1 : 0, "items", written_items(w, v)));
    add_etag(a, v);
}
