/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/cli/meta.h"

#include "common/base/must.h"

#include <inttypes.h>
#include <stdio.h>

/* Records of the metadata as JSON, in the words of proto/state.proto. */

static json_t *text_json(const char *text)
{
    json_t *json = json_string(text != NULL ? text : "");

    return json != NULL ? json : json_string("(not UTF-8)");
}

static json_t *uuid_json(const struct uuid *id)
{
    char text[UUID_TEXT_SIZE];

    return json_string(uuid_format(id, text));
}

static json_t *crc_json(uint64_t crc)
{
    char text[24];

    (void)snprintf(text, sizeof(text), "%016" PRIx64, crc);
    return json_string(text);
}

static void put(json_t *object, const char *key, json_t *value)
{
    must(json_object_set_new(object, key, value) == 0);
}

static void put_int(json_t *object, const char *key, int64_t value)
{
    put(object, key, json_integer((json_int_t)value));
}

json_t *meta_head_json(const struct msg_meta_image *m, const struct image *image)
{
    json_t *o = json_object();

    put(o, "kind", json_string("meta_image"));
    put(o, "cluster_id", uuid_json(&m->cluster_id));
    put_int(o, "index", (int64_t)m->index);
    put_int(o, "last_seq", (int64_t)m->last_seq);
    put(o, "log_crc64", crc_json(m->log_crc64));
    put_int(o, "ctl_epoch", (int64_t)m->ctl_epoch);
    put_int(o, "written_ms", m->written);
    put(o, "broker", m->broker == BROKER_NONE ? json_null() : json_integer(m->broker));
    put(o, "has_last_batch", json_boolean(m->last_batch.size > 0));
    put_int(o, "brokers", (int64_t)image_n_brokers(image));
    put_int(o, "topics", (int64_t)image_n_topics(image));
    put_int(o, "partitions", (int64_t)image_n_partitions(image));
    return o;
}

static json_t *set_json(const struct broker_set *s)
{
    json_t *list = json_array();

    for (int i = 0; i < s->n; i++) {
        must(json_array_append_new(list, json_integer(s->at[i])) == 0);
    }
    return list;
}

static json_t *configs_json(const struct meta_config_pair *pairs, size_t n)
{
    json_t *o = json_object();

    for (size_t i = 0; i < n; i++) {
        json_t *value = pairs[i].value != NULL ? text_json(pairs[i].value) : json_null();
        if (json_object_set(o, pairs[i].key, value) != 0) {
            put(o, "(not UTF-8)", json_incref(value));
        }
        json_decref(value);
    }
    return o;
}

static void put_registration(json_t *o, const struct meta_register_broker *r)
{
    static const char *const kinds[] = {"?", "clean", "proc", "host", "disk"};
    json_t *endpoints = json_array();
    json_t *dirs = json_array();

    for (size_t i = 0; i < r->n_endpoints; i++) {
        json_t *e = json_object();
        put(e, "listener", text_json(r->endpoints[i].name));
        put(e, "host", text_json(r->endpoints[i].host));
        put_int(e, "port", r->endpoints[i].port);
        must(json_array_append_new(endpoints, e) == 0);
    }
    for (size_t i = 0; i < r->n_dirs; i++) {
        must(json_array_append_new(dirs, uuid_json(&r->dirs[i])) == 0);
    }
    put_int(o, "broker", r->id);
    put_int(o, "broker_epoch", r->epoch);
    put_int(o, "served_epoch", r->served_epoch);
    put(o, "crash_kind", json_string(kinds[r->crash_kind <= CRASH_DISK ? r->crash_kind : 0]));
    put(o, "rack", text_json(r->rack));
    put(o, "version", text_json(r->version));
    put(o, "endpoints", endpoints);
    put(o, "dirs", dirs);
}

static void put_topic(json_t *o, const struct meta_record *r)
{
    put(o, "topic_id", uuid_json(&r->create_topic.id));
    put(o, "name", text_json(r->create_topic.name));
    put(o, "internal", json_boolean(r->create_topic.internal));
    put_int(o, "partitions", r->create_topic.n_partitions);
    put_int(o, "replication_factor", r->create_topic.replication_factor);
    put(o, "configs", configs_json(r->create_topic.configs, r->create_topic.n_configs));
    put_int(o, "created_at_index", (int64_t)r->create_topic.created_at_index);
    put_int(o, "created_at_ms", r->at);
}

static void put_partition(json_t *o, const struct partition_state *p)
{
    put(o, "topic_id", uuid_json(&p->topic_id));
    put_int(o, "partition", p->partition);
    put(o, "replicas", set_json(&p->replicas));
    if (p->adding.n + p->removing.n > 0) {
        put(o, "adding", set_json(&p->adding));
        put(o, "removing", set_json(&p->removing));
    }
    put(o, "isr", set_json(&p->isr));
    put(o, "elr", set_json(&p->elr));
    put(o, "last_known", set_json(&p->lk));
    put(o, "leader", p->leader == BROKER_NONE ? json_null() : json_integer(p->leader));
    put_int(o, "leader_epoch", p->leader_epoch);
    put_int(o, "partition_epoch", p->partition_epoch);
    put_int(o, "min_isr", p->min_isr);
    put(o, "recovering", json_boolean(p->recovering));
    put(o, "durable", json_boolean(p->is_durable));
    put_int(o, "unclean_epoch", p->unclean_epoch);
    if (p->operation != 0) {
        put_int(o, "operation", (int64_t)p->operation);
    }
}

static void put_config(json_t *o, const struct meta_record *r)
{
    switch (r->config_set.scope) {
    case CONFIG_CLUSTER: put(o, "scope", json_string("cluster")); break;
    case CONFIG_TOPIC:
        put(o, "scope", json_string("topic"));
        put(o, "topic_id", uuid_json(&r->config_set.topic_id));
        break;
    case CONFIG_BROKER:
        put(o, "scope", json_string("broker"));
        put_int(o, "broker", r->config_set.broker);
        break;
    }
    put(o, "configs", configs_json(r->config_set.configs, r->config_set.n_configs));
}

static void put_operation(json_t *o, const struct meta_operation *from)
{
    put_int(o, "id", (int64_t)from->id);
    put(o, "operation", json_string(operation_kind_name(from->kind)));
    put(o, "state", json_string(operation_state_name(from->state)));
    put(o, "brokers", set_json(&from->brokers));
    put_int(o, "partitions", from->n_partitions);
    put_int(o, "started_ms", from->started);
    put_int(o, "ended_ms", from->ended);
    put(o, "detail", text_json(from->detail));
    put(o, "actor", text_json(from->actor));
    put(o, "reason", text_json(from->reason));
}

/* The kind's name, and what it holds. */
static const char *put_kind(json_t *o, const struct meta_record *r)
{
    switch (r->kind) {
    case META_NEW_CONTROLLER:
        put_int(o, "ctl_epoch", (int64_t)r->new_controller.ctl_epoch);
        put_int(o, "controller", r->new_controller.controller_id);
        return "new_controller";
    case META_REGISTER_BROKER: put_registration(o, &r->register_broker); return "register_broker";
    case META_BROKER_PURGED:
    case META_FENCE_BROKER:
    case META_UNFENCE_BROKER:
    case META_BROKER_SHUTDOWN:
        put_int(o, "broker", r->broker.id);
        put_int(o, "broker_epoch", r->broker.epoch);
        return r->kind == META_BROKER_PURGED    ? "broker_purged"
               : r->kind == META_FENCE_BROKER   ? "fence_broker"
               : r->kind == META_UNFENCE_BROKER ? "unfence_broker"
                                                : "broker_shutdown";
    case META_CREATE_TOPIC: put_topic(o, r); return "create_topic";
    case META_REMOVE_TOPIC:
        put(o, "topic_id", uuid_json(&r->remove_topic.id));
        return "remove_topic";
    case META_PARTITION_STATE: put_partition(o, &r->partition); return "partition_state";
    case META_CONFIG_SET: put_config(o, r); return "config_set";
    case META_PRODUCER_ID_BLOCK:
        put_int(o, "first", r->producer_ids.first);
        put_int(o, "count", r->producer_ids.count);
        return "producer_id_block";
    case META_FEATURE_SET:
        put(o, "name", text_json(r->feature.name));
        put_int(o, "level", r->feature.level);
        return "feature_set";
    case META_PURGE_TOPIC:
        put(o, "topic_id", uuid_json(&r->purge_topic.id));
        return "purge_topic";
    case META_RESTORE_TOPIC:
        put(o, "topic_id", uuid_json(&r->restore_topic.id));
        put(o, "name", text_json(r->restore_topic.name));
        return "restore_topic";
    case META_BROKER_INTENT:
        put_int(o, "broker", r->intent.id);
        put(o, "intent", json_string(broker_intent_name(r->intent.intent)));
        return "broker_intent";
    case META_BROKER_FORGOTTEN: put_int(o, "broker", r->forgotten.id); return "broker_forgotten";
    case META_OPERATION: put_operation(o, &r->operation); return "operation";
    }
    return "?";
}

json_t *meta_record_json(const struct meta_record *r)
{
    json_t *content = json_object();
    const char *kind = put_kind(content, r);
    json_t *o = json_object();

    put(o, "kind", json_string(kind)); /* in front, for people */
    must(json_object_update_new(o, content) == 0);
    return o;
}
