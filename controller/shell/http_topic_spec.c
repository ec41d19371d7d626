/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/shell/http_resources.h"

#include "common/conf/conf.h"

#include <inttypes.h>
#include <stdio.h>

void http_topic_spec_deinit(struct http_topic_spec *s)
{
    http_configs_deinit(&s->configs);
    array_deinit(&s->assignments);
    mem_free(s->pairs);
    mem_free(s->name);
    memset(s, 0, sizeof(*s));
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
        http_fault(f, pointer, "must be a whole number, not %s", http_json_type(value));
    } else if (json_integer_value(value) < 1 || json_integer_value(value) > max) {
        http_fault_rule(f, code, pointer,
                "must be from 1 to %" PRId64 ", not %" JSON_INTEGER_FORMAT, max,
                json_integer_value(value));
    } else {
        *ret = (int32_t)json_integer_value(value);
    }
}

/* --- Configurations ------------------------------------------------------------------------------------------------- */

static void read_configs(json_t *value, struct http_topic_spec *ret, struct http_faults *f)
{
    if (!json_is_object(value)) {
        http_fault(f, "/configs", "must be an object, not %s", http_json_type(value));
        return;
    }
    http_configs_read(value, CONF_OF_TOPIC, "/configs", false, &ret->configs, f);
    ret->pairs = http_configs_pairs(&ret->configs);
}

/* --- Assignments ---------------------------------------------------------------------------------------------------- */

static bool read_replica(
        const json_t *value, const char *pointer, struct broker_set *set, struct http_faults *f)
{
    if (!json_is_integer(value)) {
        http_fault(f, pointer, "must be a broker's number, not %s", http_json_type(value));
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
        http_fault(
                f, pointer, "must be an array of brokers' numbers, not %s", http_json_type(value));
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
                http_json_type(value));
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
            http_fault(f, "/name", "must be a text, not %s", http_json_type(value));
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
        http_fault(f, http_pointer("", key, pointer, sizeof(pointer)),
                "unknown member; there are name, partitions, replication_factor, configs, "
                "assignments");
    }
}

void http_topic_spec_parse(struct bytes body, struct http_topic_spec *ret, struct http_faults *f)
{
    const char *key;
    json_t *value;

    memset(ret, 0, sizeof(*ret));
    ret->n_partitions = -1;
    ret->replication_factor = -1;
    json_t *json = http_body_object(body, f);
    if (json == NULL) {
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
