/* SPDX-License-Identifier: Apache-2.0 */
#include "common/wire/messages.h"

#include "common/wire/codec.h"
#include "common/wire/scan.h"

#include "proto/state.pb-c.h"

/* struct meta_record and Record of state.proto. */

enum {
    LIST_RECORDS = 1
}; /* the field number in RecordList */

void *enc_endpoints(struct enc *e, const struct endpoint *endpoints, size_t n)
{
    Weir__V1__Endpoint **list = enc_list(e, &weir__v1__endpoint__descriptor, n);

    for (size_t i = 0; i < n; i++) {
        list[i]->name = enc_borrow(endpoints[i].name);
        list[i]->host = enc_borrow(endpoints[i].host);
        list[i]->port = endpoints[i].port;
    }
    return list;
}

struct endpoint *dec_endpoints(struct dec *d, void *endpoints, size_t n)
{
    Weir__V1__Endpoint **from = endpoints;
    struct endpoint *list = dec_list(d, n, sizeof(*list));

    for (size_t i = 0; list != NULL && i < n; i++) {
        list[i] = (struct endpoint){
                .name = dec_text(d, from[i]->name),
                .host = dec_text(d, from[i]->host),
                .port = dec_port(d, from[i]->port),
        };
    }
    return list;
}

static Weir__V1__ConfigPair **enc_configs(
        struct enc *e, const struct meta_config_pair *configs, size_t n)
{
    Weir__V1__ConfigPair **list = enc_list(e, &weir__v1__config_pair__descriptor, n);

    for (size_t i = 0; i < n; i++) {
        list[i]->key = enc_borrow(configs[i].key);
        list[i]->value = enc_borrow(configs[i].value);
        list[i]->removed = configs[i].value == NULL;
    }
    return list;
}

static struct meta_config_pair *dec_configs(
        struct dec *d, Weir__V1__ConfigPair *const *from, size_t n)
{
    struct meta_config_pair *list = dec_list(d, n, sizeof(*list));

    for (size_t i = 0; list != NULL && i < n; i++) {
        list[i].key = dec_text(d, from[i]->key);
        list[i].value = from[i]->removed ? NULL : dec_text(d, from[i]->value);
    }
    return list;
}

/* --- Encoding: the storage of every kind of sub-message, of which one is used --- */

union kind_storage {
    Weir__V1__NewController new_controller;
    Weir__V1__RegisterBroker register_broker;
    Weir__V1__BrokerRef broker;
    Weir__V1__CreateTopic create_topic;
    Weir__V1__RemoveTopic remove_topic;
    Weir__V1__PartitionState partition;
    Weir__V1__ConfigSet config_set;
    Weir__V1__ProducerIdBlock producer_ids;
    Weir__V1__FeatureSet feature;
    Weir__V1__PurgeTopic purge_topic;
    Weir__V1__RestoreTopic restore_topic;
    Weir__V1__BrokerIntentSet intent;
    Weir__V1__BrokerForgotten forgotten;
    Weir__V1__OperationState operation;
};

static void to_register_broker(
        struct enc *e, const struct meta_register_broker *r, Weir__V1__RegisterBroker *pb)
{
    weir__v1__register_broker__init(pb);
    pb->broker_id = r->id;
    pb->broker_epoch = r->epoch;
    pb->served_epoch = r->served_epoch;
    pb->crash_kind = (Weir__V1__CrashKind)r->crash_kind;
    pb->rack = enc_borrow(r->rack);
    pb->version = enc_borrow(r->version);
    pb->endpoints = enc_endpoints(e, r->endpoints, r->n_endpoints);
    pb->n_endpoints = r->n_endpoints;
    pb->dir_ids = enc_uuids(e, r->dirs, r->n_dirs);
    pb->n_dir_ids = r->n_dirs;
}

static void to_create_topic(struct enc *e, const struct meta_record *r, Weir__V1__CreateTopic *pb)
{
    weir__v1__create_topic__init(pb);
    pb->topic_id = enc_uuid(&r->create_topic.id);
    pb->name = enc_borrow(r->create_topic.name);
    pb->internal = r->create_topic.internal;
    pb->partitions = enc_count(r->create_topic.n_partitions);
    pb->replication_factor = enc_count(r->create_topic.replication_factor);
    pb->configs = enc_configs(e, r->create_topic.configs, r->create_topic.n_configs);
    pb->n_configs = r->create_topic.n_configs;
    pb->created_at_index = r->create_topic.created_at_index;
}

void enc_partition_state(const struct partition_state *p, void *ret_pb)
{
    Weir__V1__PartitionState *pb = ret_pb;

    weir__v1__partition_state__init(pb);
    pb->topic_id = enc_uuid(&p->topic_id);
    pb->partition = enc_count(p->partition);
    pb->replicas = enc_borrow(p->replicas.at);
    pb->n_replicas = p->replicas.n;
    pb->adding = enc_borrow(p->adding.at);
    pb->n_adding = p->adding.n;
    pb->removing = enc_borrow(p->removing.at);
    pb->n_removing = p->removing.n;
    pb->isr = enc_borrow(p->isr.at);
    pb->n_isr = p->isr.n;
    pb->elr = enc_borrow(p->elr.at);
    pb->n_elr = p->elr.n;
    pb->last_known = enc_borrow(p->lk.at);
    pb->n_last_known = p->lk.n;
    pb->leader = p->leader;
    pb->leader_epoch = p->leader_epoch;
    pb->partition_epoch = p->partition_epoch;
    pb->min_isr = enc_count(p->min_isr);
    pb->recovering = p->recovering;
    pb->unclean_epoch = p->unclean_epoch;
    pb->operation = p->operation;
    pb->durable = p->is_durable;
}

static void to_operation(const struct meta_operation *o, Weir__V1__OperationState *pb)
{
    weir__v1__operation_state__init(pb);
    pb->id = o->id;
    pb->kind = (Weir__V1__OperationKind)o->kind;
    pb->state = (Weir__V1__OperationStatus)o->state;
    pb->brokers = enc_borrow(o->brokers.at);
    pb->n_brokers = o->brokers.n;
    pb->partitions = enc_count(o->n_partitions);
    pb->started_ms = o->started;
    pb->ended_ms = o->ended;
    pb->detail = enc_borrow(o->detail);
    pb->actor = enc_borrow(o->actor);
    pb->reason = enc_borrow(o->reason);
}

static void to_config_set(struct enc *e, const struct meta_record *r, Weir__V1__ConfigSet *pb)
{
    weir__v1__config_set__init(pb);
    pb->scope = (uint32_t)r->config_set.scope;
    pb->topic_id = enc_uuid(&r->config_set.topic_id);
    pb->broker_id = r->config_set.broker;
    pb->configs = enc_configs(e, r->config_set.configs, r->config_set.n_configs);
    pb->n_configs = r->config_set.n_configs;
}

static void to_broker_ref(const struct meta_record *r, Weir__V1__BrokerRef *pb)
{
    weir__v1__broker_ref__init(pb);
    pb->broker_id = r->broker.id;
    pb->broker_epoch = r->broker.epoch;
}

static void to_small(const struct meta_record *r, union kind_storage *s)
{
    if (r->kind == META_NEW_CONTROLLER) {
        weir__v1__new_controller__init(&s->new_controller);
        s->new_controller.ctl_epoch = r->new_controller.ctl_epoch;
        s->new_controller.controller_id = r->new_controller.controller_id;
    } else if (r->kind == META_REMOVE_TOPIC) {
        weir__v1__remove_topic__init(&s->remove_topic);
        s->remove_topic.topic_id = enc_uuid(&r->remove_topic.id);
    } else if (r->kind == META_PURGE_TOPIC) {
        weir__v1__purge_topic__init(&s->purge_topic);
        s->purge_topic.topic_id = enc_uuid(&r->purge_topic.id);
        s->purge_topic.tombstone = r->purge_topic.is_tombstone;
    } else if (r->kind == META_RESTORE_TOPIC) {
        weir__v1__restore_topic__init(&s->restore_topic);
        s->restore_topic.topic_id = enc_uuid(&r->restore_topic.id);
        s->restore_topic.name = enc_borrow(r->restore_topic.name);
    } else if (r->kind == META_BROKER_INTENT) {
        weir__v1__broker_intent_set__init(&s->intent);
        s->intent.broker_id = r->intent.id;
        s->intent.intent = (Weir__V1__BrokerIntent)r->intent.intent;
    } else if (r->kind == META_BROKER_FORGOTTEN) {
        weir__v1__broker_forgotten__init(&s->forgotten);
        s->forgotten.broker_id = r->forgotten.id;
    } else if (r->kind == META_PRODUCER_ID_BLOCK) {
        weir__v1__producer_id_block__init(&s->producer_ids);
        s->producer_ids.broker_id = r->producer_ids.broker;
        s->producer_ids.broker_epoch = r->producer_ids.broker_epoch;
        s->producer_ids.first = r->producer_ids.first;
        s->producer_ids.count = enc_count(r->producer_ids.count);
    } else {
        must(r->kind == META_FEATURE_SET);
        weir__v1__feature_set__init(&s->feature);
        s->feature.name = enc_borrow(r->feature.name);
        s->feature.level = enc_count(r->feature.level);
    }
}

static Weir__V1__Record__KindCase to_kind(
        struct enc *e, const struct meta_record *r, union kind_storage *s)
{
    switch (r->kind) {
    case META_NEW_CONTROLLER: to_small(r, s); return WEIR__V1__RECORD__KIND_NEW_CONTROLLER;
    case META_REGISTER_BROKER:
        to_register_broker(e, &r->register_broker, &s->register_broker);
        return WEIR__V1__RECORD__KIND_REGISTER_BROKER;
    case META_BROKER_PURGED:
        to_broker_ref(r, &s->broker);
        return WEIR__V1__RECORD__KIND_BROKER_PURGED;
    case META_FENCE_BROKER:
        to_broker_ref(r, &s->broker);
        return WEIR__V1__RECORD__KIND_FENCE_BROKER;
    case META_UNFENCE_BROKER:
        to_broker_ref(r, &s->broker);
        return WEIR__V1__RECORD__KIND_UNFENCE_BROKER;
    case META_BROKER_SHUTDOWN:
        to_broker_ref(r, &s->broker);
        return WEIR__V1__RECORD__KIND_BROKER_SHUTDOWN;
    case META_CREATE_TOPIC:
        to_create_topic(e, r, &s->create_topic);
        return WEIR__V1__RECORD__KIND_CREATE_TOPIC;
    case META_REMOVE_TOPIC: to_small(r, s); return WEIR__V1__RECORD__KIND_REMOVE_TOPIC;
    case META_PARTITION_STATE:
        enc_partition_state(&r->partition, &s->partition);
        return WEIR__V1__RECORD__KIND_PARTITION_STATE;
    case META_CONFIG_SET:
        to_config_set(e, r, &s->config_set);
        return WEIR__V1__RECORD__KIND_CONFIG_SET;
    case META_PRODUCER_ID_BLOCK: to_small(r, s); return WEIR__V1__RECORD__KIND_PRODUCER_ID_BLOCK;
    case META_FEATURE_SET: to_small(r, s); return WEIR__V1__RECORD__KIND_FEATURE_SET;
    case META_PURGE_TOPIC: to_small(r, s); return WEIR__V1__RECORD__KIND_PURGE_TOPIC;
    case META_RESTORE_TOPIC: to_small(r, s); return WEIR__V1__RECORD__KIND_RESTORE_TOPIC;
    case META_BROKER_INTENT: to_small(r, s); return WEIR__V1__RECORD__KIND_BROKER_INTENT;
    case META_BROKER_FORGOTTEN: to_small(r, s); return WEIR__V1__RECORD__KIND_BROKER_FORGOTTEN;
    case META_OPERATION:
        to_operation(&r->operation, &s->operation);
        return WEIR__V1__RECORD__KIND_OPERATION;
    }
    must_not_reach("a record of a kind that nobody can read is not written");
}

void wire_append_record(const struct meta_record *r, struct buf *out)
{
    CLEANUP(enc_deinit) struct enc e = {0};
    Weir__V1__Record pb;
    union kind_storage kind;

    weir__v1__record__init(&pb);
    pb.seq = r->seq;
    pb.at_ms = r->at;
    pb.cause = (uint32_t)r->why.cause;
    pb.actor = enc_borrow(r->why.actor);
    pb.reason = enc_borrow(r->why.reason);
    pb.inputs = enc_borrow(r->why.inputs);
    pb.kind_case = to_kind(&e, r, &kind);
    pb.new_controller = (void *)&kind; /* All members of the oneof share this pointer. */

    size_t size = protobuf_c_message_get_packed_size(&pb.base);
    buf_uvarint(out, scan_tag(LIST_RECORDS, WT_BYTES));
    buf_uvarint(out, size);
    uint8_t *at = buf_grow(out, size);
    if (at != NULL) {
        must(protobuf_c_message_pack(&pb.base, at) == size);
    }
}

void wire_encode_record_list(const struct msg_record_list *m, struct buf *out)
{
    for (size_t i = 0; i < m->n_records; i++) {
        wire_append_record(&m->records[i], out);
    }
}

/* --- Decoding --- */

static void from_broker_ref(
        const Weir__V1__BrokerRef *pb, enum meta_kind kind, struct meta_record *r)
{
    r->kind = kind;
    r->broker.id = pb->broker_id;
    r->broker.epoch = pb->broker_epoch;
}

static void from_register_broker(
        struct dec *d, const Weir__V1__RegisterBroker *pb, struct meta_register_broker *r)
{
    r->id = pb->broker_id;
    r->epoch = pb->broker_epoch;
    r->served_epoch = pb->served_epoch;
    r->crash_kind = (enum crash_kind)dec_enum(d, (int)pb->crash_kind, CRASH_CLEAN, CRASH_DISK);
    r->rack = dec_text(d, pb->rack);
    r->version = dec_text(d, pb->version);
    r->endpoints = dec_endpoints(d, pb->endpoints, pb->n_endpoints);
    r->n_endpoints = pb->n_endpoints;
    r->dirs = dec_uuids(d, pb->dir_ids, pb->n_dir_ids);
    r->n_dirs = pb->n_dir_ids;
}

static void from_create_topic(struct dec *d, const Weir__V1__CreateTopic *pb, struct meta_record *r)
{
    r->create_topic.id = dec_uuid(d, &pb->topic_id);
    r->create_topic.name = dec_text(d, pb->name);
    r->create_topic.internal = pb->internal != 0;
    r->create_topic.n_partitions = dec_count(d, pb->partitions);
    r->create_topic.replication_factor = dec_count(d, pb->replication_factor);
    r->create_topic.configs = dec_configs(d, pb->configs, pb->n_configs);
    r->create_topic.n_configs = pb->n_configs;
    r->create_topic.created_at_index = pb->created_at_index;
}

void dec_partition_state(struct dec *d, const void *from, struct partition_state *p)
{
    const Weir__V1__PartitionState *pb = from;

    p->topic_id = dec_uuid(d, &pb->topic_id);
    p->partition = dec_count(d, pb->partition);
    p->replicas = dec_set(d, pb->replicas, pb->n_replicas);
    p->adding = dec_set(d, pb->adding, pb->n_adding);
    p->removing = dec_set(d, pb->removing, pb->n_removing);
    p->isr = dec_set(d, pb->isr, pb->n_isr);
    p->elr = dec_set(d, pb->elr, pb->n_elr);
    p->lk = dec_set(d, pb->last_known, pb->n_last_known);
    p->leader = pb->leader;
    p->leader_epoch = pb->leader_epoch;
    p->partition_epoch = pb->partition_epoch;
    p->min_isr = dec_count(d, pb->min_isr);
    p->recovering = pb->recovering != 0;
    p->unclean_epoch = pb->unclean_epoch;
    p->operation = pb->operation;
    p->is_durable = pb->durable != 0;
}

static void from_operation(
        struct dec *d, const Weir__V1__OperationState *pb, struct meta_operation *o)
{
    o->id = pb->id;
    o->kind = (enum operation_kind)dec_enum(d, (int)pb->kind, OPERATION_REASSIGN, OPERATION_DRAIN);
    o->state = (enum operation_state)dec_enum(
            d, (int)pb->state, OPERATION_RUNNING, OPERATION_CANCELLED);
    o->brokers = dec_set(d, pb->brokers, pb->n_brokers);
    o->n_partitions = dec_count(d, pb->partitions);
    o->started = pb->started_ms;
    o->ended = pb->ended_ms;
    o->detail = dec_text(d, pb->detail);
    o->actor = dec_text(d, pb->actor);
    o->reason = dec_text(d, pb->reason);
}

static void from_config_set(struct dec *d, const Weir__V1__ConfigSet *pb, struct meta_record *r)
{
    r->config_set.scope =
            (enum config_scope)dec_enum(d, dec_count(d, pb->scope), CONFIG_CLUSTER, CONFIG_BROKER);
    r->config_set.topic_id = dec_uuid(d, &pb->topic_id);
    r->config_set.broker = pb->broker_id;
    r->config_set.configs = dec_configs(d, pb->configs, pb->n_configs);
    r->config_set.n_configs = pb->n_configs;
}

static void from_producer_ids(
        struct dec *d, const Weir__V1__ProducerIdBlock *pb, struct meta_record *r)
{
    r->producer_ids.broker = pb->broker_id;
    r->producer_ids.broker_epoch = pb->broker_epoch;
    r->producer_ids.first = pb->first;
    r->producer_ids.count = dec_count(d, pb->count);
}

static void from_kind(struct dec *d, const Weir__V1__Record *pb, struct meta_record *r)
{
    switch (pb->kind_case) {
    case WEIR__V1__RECORD__KIND_NEW_CONTROLLER:
        r->kind = META_NEW_CONTROLLER;
        r->new_controller.ctl_epoch = pb->new_controller->ctl_epoch;
        r->new_controller.controller_id = pb->new_controller->controller_id;
        break;
    case WEIR__V1__RECORD__KIND_REGISTER_BROKER:
        r->kind = META_REGISTER_BROKER;
        from_register_broker(d, pb->register_broker, &r->register_broker);
        break;
    case WEIR__V1__RECORD__KIND_BROKER_PURGED:
        from_broker_ref(pb->broker_purged, META_BROKER_PURGED, r);
        break;
    case WEIR__V1__RECORD__KIND_FENCE_BROKER:
        from_broker_ref(pb->fence_broker, META_FENCE_BROKER, r);
        break;
    case WEIR__V1__RECORD__KIND_UNFENCE_BROKER:
        from_broker_ref(pb->unfence_broker, META_UNFENCE_BROKER, r);
        break;
    case WEIR__V1__RECORD__KIND_BROKER_SHUTDOWN:
        from_broker_ref(pb->broker_shutdown, META_BROKER_SHUTDOWN, r);
        break;
    case WEIR__V1__RECORD__KIND_CREATE_TOPIC:
        r->kind = META_CREATE_TOPIC;
        from_create_topic(d, pb->create_topic, r);
        break;
    case WEIR__V1__RECORD__KIND_REMOVE_TOPIC:
        r->kind = META_REMOVE_TOPIC;
        r->remove_topic.id = dec_uuid(d, &pb->remove_topic->topic_id);
        break;
    case WEIR__V1__RECORD__KIND_PARTITION_STATE:
        r->kind = META_PARTITION_STATE;
        dec_partition_state(d, pb->partition_state, &r->partition);
        break;
    case WEIR__V1__RECORD__KIND_CONFIG_SET:
        r->kind = META_CONFIG_SET;
        from_config_set(d, pb->config_set, r);
        break;
    case WEIR__V1__RECORD__KIND_PRODUCER_ID_BLOCK:
        r->kind = META_PRODUCER_ID_BLOCK;
        from_producer_ids(d, pb->producer_id_block, r);
        break;
    case WEIR__V1__RECORD__KIND_FEATURE_SET:
        r->kind = META_FEATURE_SET;
        r->feature.name = dec_text(d, pb->feature_set->name);
        r->feature.level = dec_count(d, pb->feature_set->level);
        break;
    case WEIR__V1__RECORD__KIND_PURGE_TOPIC:
        r->kind = META_PURGE_TOPIC;
        r->purge_topic.id = dec_uuid(d, &pb->purge_topic->topic_id);
        r->purge_topic.is_tombstone = pb->purge_topic->tombstone != 0;
        break;
    case WEIR__V1__RECORD__KIND_RESTORE_TOPIC:
        r->kind = META_RESTORE_TOPIC;
        r->restore_topic.id = dec_uuid(d, &pb->restore_topic->topic_id);
        r->restore_topic.name = dec_text(d, pb->restore_topic->name);
        break;
    case WEIR__V1__RECORD__KIND_BROKER_INTENT:
        r->kind = META_BROKER_INTENT;
        r->intent.id = pb->broker_intent->broker_id;
        r->intent.intent = (enum broker_intent)dec_enum(
                d, (int)pb->broker_intent->intent, BROKER_WANTED, BROKER_DECOMMISSIONING);
        break;
    case WEIR__V1__RECORD__KIND_BROKER_FORGOTTEN:
        r->kind = META_BROKER_FORGOTTEN;
        r->forgotten.id = pb->broker_forgotten->broker_id;
        break;
    case WEIR__V1__RECORD__KIND_OPERATION:
        r->kind = META_OPERATION;
        from_operation(d, pb->operation, &r->operation);
        break;
    case WEIR__V1__RECORD__KIND__NOT_SET: break; /* Kind 0: a newer version's record. */
    case _WEIR__V1__RECORD__KIND__CASE_IS_INT_SIZE: must_not_reach("not a kind");
    }
}

static void from_record_list(
        struct dec *d, const Weir__V1__RecordList *pb, struct msg_record_list *m)
{
    m->records = dec_list(d, pb->n_records, sizeof(*m->records));
    m->n_records = pb->n_records;
    for (size_t i = 0; m->records != NULL && i < pb->n_records; i++) {
        const Weir__V1__Record *from = pb->records[i];
        struct meta_record *r = &m->records[i];
        r->seq = from->seq;
        r->at = from->at_ms;
        r->why.cause = (enum meta_cause)from->cause;
        r->why.actor = dec_text(d, from->actor);
        r->why.reason = dec_text(d, from->reason);
        r->why.inputs = dec_text(d, from->inputs);
        from_kind(d, from, r);
    }
}

int wire_decode_record_list(struct bytes body, struct arena *a, struct msg_record_list *ret)
{
    DEC_BODY(Weir__V1__RecordList, weir__v1__record_list__descriptor, SIZE_MAX,
            struct msg_record_list, from_record_list);
}
