/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/shell/decision.h"
#include "controller/shell/http_resources.h"

static json_t *set_json(const struct broker_set *s)
{
    json_t *list = json_array();

    for (uint8_t i = 0; i < s->n; i++) {
        must(json_array_append_new(list, json_integer(s->at[i])) == 0);
    }
    return list;
}

static json_t *id_json(int32_t id)
{
    return id >= 0 ? json_integer(id) : json_null();
}

static json_t *partition_json(const struct partition_state *p)
{
    return json_pack("{s:o, s:i, s:i, s:o, s:o, s:o, s:i, s:b, s:b, s:o}", "leader",
            id_json(p->leader), "leader_epoch", (int)p->leader_epoch, "partition_epoch", (int)p->partition_epoch,
            "replicas", set_json(&p->replicas), "isr", set_json(&p->isr), "elr", set_json(&p->elr),
            "min_isr", (int)p->min_isr, "recovering", p->recovering ? 1 : 0, "durable",
            p->is_durable ? 1 : 0, "unclean_epoch",
            id_json(p->unclean_epoch));
}

static json_t *configs_json(const struct meta_config_pair *pairs, size_t n)
{
    json_t *o = json_object();

    for (size_t i = 0; i < n; i++) {
        json_t *key = http_json_text(pairs[i].key);
        must(json_object_set_new(o, json_string_value(key), http_json_text(pairs[i].value)) == 0);
        json_decref(key);
    }
    return o;
}

static const char *crash_name(enum crash_kind kind)
{
    switch (kind) {
    case CRASH_CLEAN: return "clean";
    case CRASH_PROC: return "proc";
    case CRASH_HOST: return "host";
    case CRASH_DISK: break;
    }
    return "disk";
}

static json_t *new_json(const struct meta_record *r)
{
    switch (r->kind) {
    case META_NEW_CONTROLLER:
        return json_pack("{s:I, s:i}", "epoch", (json_int_t)r->new_controller.ctl_epoch,
                "controller", (int)r->new_controller.controller_id);
    case META_REGISTER_BROKER:
        return json_pack("{s:I, s:s, s:o, s:o}", "epoch", (json_int_t)r->register_broker.epoch,
                "crash_kind", crash_name(r->register_broker.crash_kind), "rack",
                http_json_text_or_null(r->register_broker.rack), "version",
                http_json_text(r->register_broker.version));
    case META_BROKER_PURGED:
    case META_FENCE_BROKER:
    case META_UNFENCE_BROKER:
    case META_BROKER_SHUTDOWN: return json_pack("{s:I}", "epoch", (json_int_t)r->broker.epoch);
    case META_CREATE_TOPIC:
        return json_pack("{s:o, s:b, s:i, s:i, s:o}", "topic_id",
                http_json_uuid(&r->create_topic.id), "internal", r->create_topic.internal ? 1 : 0,
                "partitions", (int)r->create_topic.n_partitions, "replication_factor",
                (int)r->create_topic.replication_factor, "configs",
                configs_json(r->create_topic.configs, r->create_topic.n_configs));
    case META_REMOVE_TOPIC:
        return json_pack("{s:o}", "topic_id", http_json_uuid(&r->remove_topic.id));
    case META_PARTITION_STATE: return partition_json(&r->partition);
    case META_CONFIG_SET:
        return json_pack(
                "{s:o}", "configs", configs_json(r->config_set.configs, r->config_set.n_configs));
    case META_PRODUCER_ID_BLOCK:
        return json_pack("{s:I, s:i}", "first", (json_int_t)r->producer_ids.first, "count",
                (int)r->producer_ids.count);
    case META_FEATURE_SET:
        return json_pack("{s:o, s:i}", "name", http_json_text(r->feature.name), "level",
                (int)r->feature.level);
    case META_PURGE_TOPIC: return json_pack("{s:o}", "topic_id", http_json_uuid(&r->purge_topic.id));
    case META_RESTORE_TOPIC:
        return json_pack("{s:o, s:o}", "topic_id", http_json_uuid(&r->restore_topic.id), "name",
                http_json_text(r->restore_topic.name));
    case META_BROKER_INTENT:
        return json_pack("{s:s}", "intent", broker_intent_name(r->intent.intent));
    case META_BROKER_FORGOTTEN: return json_object();
    case META_OPERATION:
        return json_pack("{s:I, s:s, s:s, s:o, s:i, s:o}", "operation", (json_int_t)r->operation.id,
                "kind", operation_kind_name(r->operation.kind), "state",
                operation_state_name(r->operation.state), "brokers",
                set_json(&r->operation.brokers), "partitions", (int)r->operation.n_partitions,
                "detail", http_json_text(r->operation.detail));
    }
    return json_null();
}

static json_t *text_json(const struct decision *d)
{
    struct buf text = {0};
    json_t *json;

    decision_text(d, &text);
    json = http_json_text(buf_str(&text));
    buf_deinit(&text);
    return json;
}

static json_t *gap_json(const struct decision *d)
{
    return json_pack("{s:s, s:I, s:I, s:o}", "kind", "gap", "from", (json_int_t)d->index, "to",
            (json_int_t)d->gap_to, "text", text_json(d));
}

json_t *http_decision_json(const struct decision *d)
{
    const struct meta_record *r = d->record;

    if (d->is_gap) {
        return gap_json(d);
    }
    json_t *json = json_pack("{s:I, s:I, s:o, s:I, s:o, s:s, s:s, s:o, s:o, s:o}", "seq",
            (json_int_t)r->seq, "index", (json_int_t)d->index, "at", http_json_time(r->at), "epoch",
            (json_int_t)d->ctl_epoch, "controller", id_json(d->controller), "kind",
            decision_kind_name(r->kind), "cause", decision_cause_name(r->why.cause), "actor",
            http_json_text(r->why.actor), "reason", http_json_text(r->why.reason), "inputs",
            http_json_text(r->why.inputs));
    must(json != NULL);
    int failed = json_object_set_new(json, "topic", http_json_text_or_null(d->topic));
    failed |= json_object_set_new(json, "partition",
            id_json(r->kind == META_PARTITION_STATE ? r->partition.partition : -1));
    failed |= json_object_set_new(json, "broker", id_json(decision_broker(r)));
    failed |=
            json_object_set_new(json, "old", d->old != NULL ? partition_json(d->old) : json_null());
    failed |= json_object_set_new(json, "new", new_json(r));
    failed |= json_object_set_new(json, "text", text_json(d));
    must(failed == 0);
    return json;
}
