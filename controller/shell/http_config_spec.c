/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/shell/http_resources.h"

#include <inttypes.h>
#include <stdio.h>

/* Reading configuration values out of a body: of a new topic, and of a change to whatever has
 * configuration. */

const char *http_json_type(const json_t *value)
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

const char *http_pointer(const char *parent, const char *member, char *ret, size_t ret_size)
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

json_t *http_body_object(struct bytes body, struct http_faults *f)
{
    json_error_t error;

    if (body.size == 0) {
        http_fault(f, "", "the body is empty");
        return NULL;
    }
    json_t *json = json_loadb(
            (const char *)body.at, body.size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (json == NULL) {
        http_fault(f, "", "line %d, column %d: %s", error.line, error.column, error.text);
    } else if (!json_is_object(json)) {
        http_fault(f, "", "must be an object, not %s", http_json_type(json));
        json_decref(json);
        json = NULL;
    }
    return json;
}

/* --- Values ----------------------------------------------------------------------------------- */

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

/* Takes `value`. */
static void add_config(struct image_configs *to, const char *key, char *value)
{
    struct image_config *c = array_push(to);

    c->key = mem_strdup(key);
    c->value = value;
}

static void read_value(const struct conf_key *row,
        const char *pointer,
        const json_t *value,
        struct image_configs *ret,
        struct http_faults *f)
{
    char error[1024];
    int64_t number = 0;
    char *text = config_text(value);

    if (text == NULL) {
        http_fault(f, pointer, "must be a text, a whole number, true or false, not %s",
                http_json_type(value));
    } else if (conf_check_value(row, text, &number, error, sizeof(error)) != 0) {
        http_fault_rule(f, ERRCODE_INVALID_CONFIG, pointer, "%s", error);
    } else {
        /* [CFG-6] "64MiB" is kept as 67108864: everybody who reads the metadata understands plain
         * numbers. */
        add_config(ret, row->name,
                row->type == CONF_I64 ? mem_format("%" PRId64, number) : mem_steal(&text));
    }
    mem_free(text);
}

void http_configs_read(json_t *object,
        enum conf_target target,
        const char *parent,
        bool may_reset,
        struct image_configs *ret,
        struct http_faults *f)
{
    const char *key;
    json_t *value;

    json_object_foreach(object, key, value)
    {
        const struct conf_key *row = conf_find_dynamic(target, key);
        char pointer[160];
        char error[1024];

        (void)http_pointer(parent, key, pointer, sizeof(pointer));
        if (row == NULL) {
            http_fault_rule(f, ERRCODE_INVALID_CONFIG, pointer, "%s",
                    conf_explain_target(target, key, error, sizeof(error)));
        } else if (may_reset && json_is_null(value)) {
            add_config(ret, key, NULL);
        } else {
            read_value(row, pointer, value, ret, f);
        }
    }
}

struct meta_config_pair *http_configs_pairs(const struct image_configs *configs)
{
    struct meta_config_pair *pairs = mem_new_n(struct meta_config_pair, configs->n + 1);

    for (size_t i = 0; i < configs->n; i++) {
        pairs[i] = (struct meta_config_pair){
                .key = configs->items[i].key, .value = configs->items[i].value};
    }
    return pairs;
}

void http_configs_deinit(struct image_configs *configs)
{
    ARRAY_FOREACH (c, configs) {
        mem_free(c->key);
        mem_free(c->value);
    }
    array_deinit(configs);
}
