/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/shell/http_resources.h"

#include "common/conf/conf.h"

#include <inttypes.h>
#include <stdio.h>

void http_topic_spec_deinit(struct http_topic_spec *s)
{
    ARRAY_FOREACH (c, &s->configs) {
        mem_free(c->key);
        mem_free(c->value);
    }
    array_deinit(&s->configs);
    array_deinit(&s->assignments);
    mem_free(s->pairs);
    mem_free(s->name);
    memset(s, 0, sizeof(*s));
}

static const char *type_text(const json_t *value)
{
    must(value != NULL);
    switch (json_typeof(value)) {
    case JSON_OBJECT: return "an object";
    case JSON_ARRAY: return "an array";
    case JSON_STRING: return "a text";
    case JSON_INTEGER: return "a whole number";
    case JSON_REAL: return "a number with a fraction";
    case JSON_TRUE:
    case JSON_FALSE: return "true or false";
    case JSON_NULL: return "null";
    }
    return "something else";
}

/* "/configs/a~1b" for the member "a/b" (RFC 6901), cut. */
static const char *pointer_to(const char *parent, const char *member, char *ret, size_t ret_size)
{
    size_t at = (size_t)snprintf(ret, ret_size, "%s/", parent);

    for (; *member != '\0' && at + 3 < ret_size; member++) {
        if (*member == '~' || *member == '/') {
            ret[at++] = '~';
            ret[at++] = *member == '~' ? '0' : '1';
        } else {
            ret[at++] = *member;
        }
    }
    ret[at] = '\0';
    return ret;
}

/* A whole number from 1 to `max`. */
static void read_count(const json_t *value,
        const char *pointer,
        int64_t max,
        int code,
        int32_t *ret,
        struct http_faults *f)
{
    if (!json_is_integer(value)) {
        http_fault(f, pointer, "must be a whole number, not %s", type_text(value));
    } else if (json_integer_value(value) < 1 || json_integer_value(value) > max) {
        http_fault_rule(f, code, pointer,
                "must be from 1 to %" PRId64 ", not %" JSON_INTEGER_FORMAT, max,
                json_integer_value(value));
    } else {
        *ret = (int32_t)json_integer_value(value);
    }
}

/* --- Configurations ------------------------------------------------------------------------------------------------- */

static void explain_unknown_config(const char *pointer, const char *key, struct http_faults *f)
{
    const char *nearest = conf_nearest(conf_topic_keys, conf_n_topic_keys, key);
    char shown[HTTP_SHOWN_SIZE];

    (void)http_shown(key, shown);
    if (nearest != NULL) {
        http_fault_rule(f, ERRCODE_INVALID_CONFIG, pointer,
                "unknown topic configuration '%s'; did you mean '%s'?", shown, nearest);
    } else {
        struct buf known = {0};
        for (size_t i = 0; i < conf_n_topic_keys; i++) {
            buf_append_format(&known, "%s%s", i > 0 ? ", " : "", conf_topic_keys[i].name);
        }
        http_fault_rule(f, ERRCODE_INVALID_CONFIG, pointer,
                "unknown topic configuration '%s'; there are %s", shown, buf_str(&known));
        buf_deinit(&known);
    }
}

/* The value as the text that a file would have; NULL for other types. */
static char *config_text(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_STRING: return mem_strdup(json_string_value(value));
    case JSON_INTEGER: return mem_format("%" JSON_INTEGER_FORMAT, json_integer_value(value));
    case JSON_TRUE: return mem_strdup("true");
    case JSON_FALSE: return mem_strdup("false");
    case JSON_OBJECT:
    case JSON_ARRAY:
    case JSON_REAL:
    case JSON_NULL: break;
    }
    return NULL;
}

static void read_config(
        const char *key, const json_t *value, struct http_topic_spec *ret, struct http_faults *f)
{
    const struct conf_key *row = conf_find_key(conf_topic_keys, conf_n_topic_keys, key);
    char pointer[160];
    char error[1024];
    int64_t number = 0;
    char *text = config_text(value);

    (void)pointer_to("/configs", key, pointer, sizeof(pointer));
    if (row == NULL) {
        explain_unknown_config(pointer, key, f);
    } else if (text == NULL) {
        http_fault(f, pointer, "must be a text, a whole number, true or false, not %s",
                type_text(value));
    } else if (conf_check_value(row, text, &number, error, sizeof(error)) != 0) {
        http_fault_rule(f, ERRCODE_INVALID_CONFIG, pointer, "%s", error);
    } else {
        struct image_config *c = array_push(&ret->configs);
        c->key = mem_strdup(key);
        /* "64MiB" is kept as 67108864: everybody who reads the metadata understands plain numbers. */
        c->value = row->type == CONF_I64 ? mem_format("%" PRId64, number) : mem_steal(&text);
    }
    mem_free(text);
}

static void read_configs(json_t *value, struct http_topic_spec *ret, struct http_faults *f)
{
    const char *key;
    json_t *one;

    if (!json_is_object(value)) {
        http_fault(f, "/configs", "must be an object, not %s", type_text(value));
        return;
    }
    json_object_foreach(value, key, one)
    {
        read_config(key, one, ret, f);
    }
    ret->pairs = mem_new_n(struct meta_config_pair, ret->configs.n > 0 ? ret->configs.n : 1);
    for (size_t i = 0; i < ret->configs.n; i++) {
        ret->pairs[i] = (struct meta_config_pair){
                .key = ret->configs.items[i].key, .value = ret->configs.items[i].value};
    }
}

/* --- Assignments ---------------------------------------------------------------------------------------------------- */

static bool read_replica(
        const json_t *value, const char *pointer, struct broker_set *set, struct http_faults *f)
{
    if (!json_is_integer(value)) {
        http_fault(f, pointer, "must be a broker's number, not %s", type_text(value));
        return false;
    }
    if (json_integer_value(value) < 0 || json_integer_value(value) > INT32_MAX) {
        http_fault_rule(
                f, ERRCODE_INVALID_REPLICA_ASSIGNMENT, pointer, "no broker has that number");
        return false;
    }
    broker_id id = (broker_id)json_integer_value(value);
    for (uint8_t i = 0; i < set->n; i++) {
        if (set->at[i] == id) {
            http_fault_rule(f, ERRCODE_INVALID_REPLICA_ASSIGNMENT, pointer,
                    "broker %" PRId32 " stands twice in one partition", id);
            return false;
        }
    }
    set->at[set->n++] = id;
    return true;
}

static void read_replicas(
        const json_t *value, size_t partition, struct broker_set *set, struct http_faults *f)
{
    char pointer[64];
    size_t n = json_array_size(value);

    (void)snprintf(pointer, sizeof(pointer), "/assignments/%zu", partition);
    if (!json_is_array(value)) {
        http_fault(f, pointer, "must be an array of brokers' numbers, not %s", type_text(value));
        return;
    }
    if (n < 1 || n > REPLICAS_MAX) {
        http_fault_rule(f, ERRCODE_INVALID_REPLICA_ASSIGNMENT, pointer,
                "a partition has 1 to %d replicas, not %zu", REPLICAS_MAX, n);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        (void)snprintf(pointer, sizeof(pointer), "/assignments/%zu/%zu", partition, i);
        if (!read_replica(json_array_get(value, i), pointer, set, f)) {
            return;
        }
    }
}

static void read_assignments(
        const json_t *value, struct http_topic_spec *ret, struct http_faults *f)
{
    size_t n = json_array_size(value);

    if (!json_is_array(value)) {
        http_fault(f, "/assignments", "must be an array of arrays of brokers' numbers, not %s",
                type_text(value));
        return;
    }
    if (n < 1 || n > PARTITIONS_PER_TOPIC_MAX) {
        http_fault_rule(f, ERRCODE_INVALID_REPLICA_ASSIGNMENT, "/assignments",
                "must name from 1 to %d partitions, not %zu", PARTITIONS_PER_TOPIC_MAX, n);
        return;
    }
    array_reserve(&ret->assignments, n);
    for (size_t i = 0; i < n; i++) {
        read_replicas(json_array_get(value, i), i, array_push(&ret->assignments), f);
    }
}

/* Numbers that are given twice agree. */
static void check_assignments(struct http_topic_spec *s, struct http_faults *f)
{
    size_t n = s->assignments.n;

    if (n == 0) {
        return;
    }
    if (s->n_partitions != -1 && (size_t)s->n_partitions != n) {
        http_fault_rule(f, ERRCODE_INVALID_REPLICA_ASSIGNMENT, "/assignments",
                "names %zu partitions, and \"partitions\" says %" PRId32, n, s->n_partitions);
    }
    for (size_t i = 0; i < n; i++) {
        uint8_t first = s->assignments.items[0].n;
        uint8_t here = s->assignments.items[i].n;
        int32_t wanted = s->replication_factor != -1 ? s->replication_factor : (int32_t)first;
        if (here != wanted) {
            char pointer[64];
            (void)snprintf(pointer, sizeof(pointer), "/assignments/%zu", i);
            http_fault_rule(f, ERRCODE_INVALID_REPLICA_ASSIGNMENT, pointer,
                    "has %d replicas, and %s %" PRId32, (int)here,
                    s->replication_factor != -1 ? "\"replication_factor\" says"
                                                : "the first partition has",
                    wanted);
            return;
        }
    }
    s->n_partitions = (int32_t)n;
    s->replication_factor = (int32_t)s->assignments.items[0].n;
}

/* --- The body ------------------------------------------------------------------------------------------------------- */

static void read_member(
        const char *key, json_t *value, struct http_topic_spec *ret, struct http_faults *f)
{
    if (strcmp(key, "name") == 0) {
        if (json_is_string(value)) {
            ret->name = mem_strdup(json_string_value(value));
        } else {
            http_fault(f, "/name", "must be a text, not %s", type_text(value));
        }
    } else if (strcmp(key, "partitions") == 0) {
        read_count(value, "/partitions", PARTITIONS_PER_TOPIC_MAX, ERRCODE_INVALID_PARTITIONS,
                &ret->n_partitions, f);
    } else if (strcmp(key, "replication_factor") == 0) {
        read_count(value, "/replication_factor", REPLICAS_MAX, ERRCODE_INVALID_REPLICATION_FACTOR,
                &ret->replication_factor, f);
    } else if (strcmp(key, "configs") == 0) {
        read_configs(value, ret, f);
    } else if (strcmp(key, "assignments") == 0) {
        read_assignments(value, ret, f);
    } else {
        char pointer[160];
        http_fault(f, pointer_to("", key, pointer, sizeof(pointer)),
                "unknown member; there are name, partitions, replication_factor, configs, "
                "assignments");
    }
}

void http_topic_spec_parse(struct bytes body, struct http_topic_spec *ret, struct http_faults *f)
{
    json_error_t error;
    const char *key;
    json_t *value;

    memset(ret, 0, sizeof(*ret));
    ret->n_partitions = -1;
    ret->replication_factor = -1;
    if (body.size == 0) {
        http_fault(f, "", "the body is empty");
        return;
    }
    json_t *json = json_loadb(
            (const char *)body.at, body.size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (json == NULL) {
        http_fault(f, "", "line %d, column %d: %s", error.line, error.column, error.text);
        return;
    }
    if (!json_is_object(json)) {
        http_fault(f, "", "must be an object, not %s", type_text(json));
        json_decref(json);
        return;
    }
    json_object_foreach(json, key, value)
    {
        read_member(key, value, ret, f);
    }
    if (json_object_get(json, "name") == NULL) {
        http_fault(f, "/name", "is missing");
    }
    if (f->list == NULL) {
        check_assignments(ret, f);
    }
    json_decref(json);
}
