/* SPDX-License-Identifier: Apache-2.0 */
#include "common/wire/messages.h"

#include "common/wire/codec.h"

#include "proto/data.pb-c.h"

const char *wire_api_name(uint32_t api)
{
    switch (api) {
    case API_ANSWER: return "answer";
    case API_HELLO: return "hello";
    case API_METADATA: return "metadata";
    case API_PRODUCE: return "produce";
    case API_FETCH: return "fetch";
    case API_LIST_OFFSETS: return "list_offsets";
    case API_OFFSET_FOR_LEADER_EPOCH: return "offset_for_leader_epoch";
    case API_DELETE_RECORDS: return "delete_records";
    case API_INIT_PRODUCER_ID: return "init_producer_id";
    case API_PUSH: return "push";
    case API_BEAT: return "beat";
    case API_BROKER_READY: return "broker_ready";
    case API_CONTROLLED_SHUTDOWN: return "controlled_shutdown";
    case API_DESCRIBE_CONFIGS: return "describe_configs";
    case API_DESCRIBE_LOGS: return "describe_logs";
    case API_ALLOCATE_PRODUCER_IDS: return "allocate_producer_ids";
    case API_ALTER_PARTITION: return "alter_partition";
    case API_REPLICA_FAILED: return "replica_failed";
    case API_DESCRIBE_ENDS: return "describe_ends";
    default: return "unknown";
    }
}

/* --- Hello --- */

void wire_encode_hello_request(const struct msg_hello_request *m, struct buf *out)
{
    Weir__V1__HelloRequest pb;
    Weir__V1__ControllerHello controller;
    Weir__V1__ReplicaHello replica;

    weir__v1__hello_request__init(&pb);
    weir__v1__controller_hello__init(&controller);
    weir__v1__replica_hello__init(&replica);
    pb.client_id = enc_borrow(m->client_id);
    pb.role = (Weir__V1__Role)m->role;
    pb.cluster_id = enc_uuid(&m->cluster_id);
    pb.library = enc_borrow(m->library);
    pb.library_version = enc_borrow(m->library_version);
    pb.feature_level = m->feature_level;
    pb.auth = enc_bytes(m->auth);
    if (m->role == ROLE_CONTROLLER) {
        controller.ctl_epoch = m->ctl_epoch;
        controller.controller_id = m->controller_id;
        pb.controller = &controller;
    }
    if (m->role != ROLE_CLIENT && m->replica_epoch > 0) {
        replica.broker_id = m->replica;
        replica.broker_epoch = m->replica_epoch;
        pb.replica = &replica;
    }
    enc_finish(&pb.base, out);
}

static void from_hello_request(
        struct dec *d, const Weir__V1__HelloRequest *pb, struct msg_hello_request *m)
{
    m->client_id = dec_text(d, pb->client_id);
    m->role = (enum wire_role)dec_enum(d, (int)pb->role, ROLE_CLIENT, ROLE_CONTROLLER);
    m->cluster_id = dec_uuid(d, &pb->cluster_id);
    m->library = dec_text(d, pb->library);
    m->library_version = dec_text(d, pb->library_version);
    m->feature_level = pb->feature_level;
    m->ctl_epoch = pb->controller != NULL ? pb->controller->ctl_epoch : 0;
    m->controller_id = pb->controller != NULL ? pb->controller->controller_id : -1;
    m->replica = pb->replica != NULL ? pb->replica->broker_id : BROKER_NONE;
    m->replica_epoch = pb->replica != NULL ? pb->replica->broker_epoch : BROKER_EPOCH_NONE;
    m->auth = dec_bytes(d, &pb->auth);
}

DEFINE_DECODE(hello_request, Weir__V1__HelloRequest, weir__v1__hello_request__descriptor)

void wire_encode_hello_response(const struct msg_hello_response *m, struct buf *out)
{
    Weir__V1__HelloResponse pb;

    weir__v1__hello_response__init(&pb);
    pb.cluster_id = enc_uuid(&m->cluster_id);
    pb.broker_id = m->broker;
    pb.broker_epoch = m->broker_epoch;
    pb.version = enc_borrow(m->version);
    pb.feature_level = m->feature_level;
    pb.max_request_bytes = m->max_request_bytes;
    pb.applied_index = m->applied_index;
    pb.applied_crc64 = m->applied_crc64;
    pb.auth = enc_bytes(m->auth);
    enc_finish(&pb.base, out);
}

static void from_hello_response(
        struct dec *d, const Weir__V1__HelloResponse *pb, struct msg_hello_response *m)
{
    m->cluster_id = dec_uuid(d, &pb->cluster_id);
    m->broker = pb->broker_id;
    m->broker_epoch = pb->broker_epoch;
    m->version = dec_text(d, pb->version);
    m->feature_level = pb->feature_level;
    m->max_request_bytes = pb->max_request_bytes;
    m->applied_index = pb->applied_index;
    m->applied_crc64 = pb->applied_crc64;
    m->auth = dec_bytes(d, &pb->auth);
}

DEFINE_DECODE(hello_response, Weir__V1__HelloResponse, weir__v1__hello_response__descriptor)

void wire_encode_hello_auth(const struct msg_hello_auth *m, struct buf *out)
{
    Weir__V1__HelloAuth pb;

    weir__v1__hello_auth__init(&pb);
    pb.nonce = enc_bytes(m->nonce);
    pb.proof = enc_bytes(m->proof);
    enc_finish(&pb.base, out);
}

static void from_hello_auth(
        struct dec *d, const Weir__V1__HelloAuth *pb, struct msg_hello_auth *m)
{
    m->nonce = dec_bytes(d, &pb->nonce);
    m->proof = dec_bytes(d, &pb->proof);
}

DEFINE_DECODE(hello_auth, Weir__V1__HelloAuth, weir__v1__hello_auth__descriptor)

/* --- Metadata --- */

void wire_encode_metadata_request(const struct msg_metadata_request *m, struct buf *out)
{
    CLEANUP(enc_deinit) struct enc e = {0};
    Weir__V1__MetadataRequest pb;

    weir__v1__metadata_request__init(&pb);
    pb.topics = enc_borrow(m->topics);
    pb.n_topics = m->n_topics;
    pb.topic_ids = enc_uuids(&e, m->topic_ids, m->n_topic_ids);
    pb.n_topic_ids = m->n_topic_ids;
    enc_finish(&pb.base, out);
}

static void from_metadata_request(
        struct dec *d, const Weir__V1__MetadataRequest *pb, struct msg_metadata_request *m)
{
    m->topics = dec_texts(d, pb->topics, pb->n_topics);
    m->n_topics = pb->n_topics;
    m->topic_ids = dec_uuids(d, pb->topic_ids, pb->n_topic_ids);
    m->n_topic_ids = pb->n_topic_ids;
}

DEFINE_DECODE(metadata_request, Weir__V1__MetadataRequest, weir__v1__metadata_request__descriptor)

static void to_topic(struct enc *e, const struct msg_metadata_topic *t, Weir__V1__MetadataTopic *pb)
{
    pb->error = t->error;
    pb->name = enc_borrow(t->name);
    pb->topic_id = enc_uuid(&t->topic_id);
    pb->internal = t->internal;
    pb->partitions = enc_list(e, &weir__v1__metadata_partition__descriptor, t->n_partitions);
    pb->n_partitions = t->n_partitions;
    for (size_t i = 0; i < t->n_partitions; i++) {
        const struct msg_metadata_partition *p = &t->partitions[i];
        Weir__V1__MetadataPartition *to = pb->partitions[i];
        to->leader = p->leader;
        to->leader_epoch = p->leader_epoch;
        to->replicas = enc_borrow(p->replicas.at);
        to->n_replicas = p->replicas.n;
        to->isr = enc_borrow(p->isr.at);
        to->n_isr = p->isr.n;
    }
}

void wire_encode_metadata_response(const struct msg_metadata_response *m, struct buf *out)
{
    CLEANUP(enc_deinit) struct enc e = {0};
    Weir__V1__MetadataResponse pb;

    weir__v1__metadata_response__init(&pb);
    pb.cluster_id = enc_uuid(&m->cluster_id);
    pb.metadata_index = m->metadata_index;
    pb.controllers = enc_borrow(m->controllers);
    pb.n_controllers = m->n_controllers;
    pb.brokers = enc_list(&e, &weir__v1__metadata_broker__descriptor, m->n_brokers);
    pb.n_brokers = m->n_brokers;
    for (size_t i = 0; i < m->n_brokers; i++) {
        pb.brokers[i]->id = m->brokers[i].id;
        pb.brokers[i]->host = enc_borrow(m->brokers[i].host);
        pb.brokers[i]->port = m->brokers[i].port;
        pb.brokers[i]->rack = enc_borrow(m->brokers[i].rack);
    }
    pb.topics = enc_list(&e, &weir__v1__metadata_topic__descriptor, m->n_topics);
    pb.n_topics = m->n_topics;
    for (size_t i = 0; i < m->n_topics; i++) {
        to_topic(&e, &m->topics[i], pb.topics[i]);
    }
    enc_finish(&pb.base, out);
}

static void from_topic(
        struct dec *d, const Weir__V1__MetadataTopic *pb, struct msg_metadata_topic *t)
{
    t->error = pb->error;
    t->name = dec_text(d, pb->name);
    t->topic_id = dec_uuid(d, &pb->topic_id);
    t->internal = pb->internal;
    t->partitions = dec_list(d, pb->n_partitions, sizeof(*t->partitions));
    t->n_partitions = pb->n_partitions;
    for (size_t i = 0; t->partitions != NULL && i < pb->n_partitions; i++) {
        const Weir__V1__MetadataPartition *from = pb->partitions[i];
        t->partitions[i] = (struct msg_metadata_partition){
                .leader = from->leader,
                .leader_epoch = from->leader_epoch,
                .replicas = dec_set(d, from->replicas, from->n_replicas),
                .isr = dec_set(d, from->isr, from->n_isr),
        };
    }
}

static void from_metadata_response(
        struct dec *d, const Weir__V1__MetadataResponse *pb, struct msg_metadata_response *m)
{
    m->cluster_id = dec_uuid(d, &pb->cluster_id);
    m->metadata_index = pb->metadata_index;
    m->controllers = dec_texts(d, pb->controllers, pb->n_controllers);
    m->n_controllers = pb->n_controllers;
    m->brokers = dec_list(d, pb->n_brokers, sizeof(*m->brokers));
    m->n_brokers = pb->n_brokers;
    for (size_t i = 0; m->brokers != NULL && i < pb->n_brokers; i++) {
        m->brokers[i] = (struct msg_metadata_broker){
                .id = pb->brokers[i]->id,
                .host = dec_text(d, pb->brokers[i]->host),
                .port = dec_port(d, pb->brokers[i]->port),
                .rack = dec_text(d, pb->brokers[i]->rack),
        };
    }
    m->topics = dec_list(d, pb->n_topics, sizeof(*m->topics));
    m->n_topics = pb->n_topics;
    for (size_t i = 0; m->topics != NULL && i < pb->n_topics; i++) {
        from_topic(d, pb->topics[i], &m->topics[i]);
    }
}

DEFINE_DECODE(
        metadata_response, Weir__V1__MetadataResponse, weir__v1__metadata_response__descriptor)

/* --- Produce answers, Fetch requests; the other halves are in produce.c and fetch.c --- */

void wire_encode_produce_response(const struct msg_produce_response *m, struct buf *out)
{
    CLEANUP(enc_deinit) struct enc e = {0};
    Weir__V1__ProduceResponse pb;

    weir__v1__produce_response__init(&pb);
    pb.partitions = enc_list(&e, &weir__v1__produce_partition_result__descriptor, m->n_partitions);
    pb.n_partitions = m->n_partitions;
    for (size_t i = 0; i < m->n_partitions; i++) {
        const struct msg_produce_result *p = &m->partitions[i];
        Weir__V1__ProducePartitionResult *to = pb.partitions[i];
        to->topic_id = enc_uuid(&p->topic_id);
        to->partition = enc_count(p->partition);
        to->error = p->error;
        to->detail = enc_borrow(p->detail);
        to->base_offset = p->base_offset;
        to->log_append_time_ms = p->log_append_time;
        to->log_start_offset = p->log_start;
        to->durability = (Weir__V1__Durability)p->durability;
    }
    enc_finish(&pb.base, out);
}

static void from_produce_response(
        struct dec *d, const Weir__V1__ProduceResponse *pb, struct msg_produce_response *m)
{
    m->partitions = dec_list(d, pb->n_partitions, sizeof(*m->partitions));
    m->n_partitions = pb->n_partitions;
    for (size_t i = 0; m->partitions != NULL && i < pb->n_partitions; i++) {
        const Weir__V1__ProducePartitionResult *from = pb->partitions[i];
        m->partitions[i] = (struct msg_produce_result){
                .topic_id = dec_uuid(d, &from->topic_id),
                .partition = dec_count(d, from->partition),
                .error = from->error,
                .detail = dec_text(d, from->detail),
                .base_offset = from->base_offset,
                .log_append_time = from->log_append_time_ms,
                .log_start = from->log_start_offset,
                .durability = (enum wire_durability)dec_enum(
                        d, (int)from->durability, DURABILITY_REPLICATED, DURABILITY_FSYNC),
        };
    }
}

DEFINE_DECODE(produce_response, Weir__V1__ProduceResponse, weir__v1__produce_response__descriptor)

void wire_encode_fetch_request(const struct msg_fetch_request *m, struct buf *out)
{
    CLEANUP(enc_deinit) struct enc e = {0};
    Weir__V1__FetchRequest pb;

    weir__v1__fetch_request__init(&pb);
    pb.max_wait_ms = m->max_wait_ms;
    pb.min_bytes = m->min_bytes;
    pb.max_bytes = m->max_bytes;
    pb.replica_id = m->replica;
    pb.broker_epoch = m->broker_epoch;
    pb.partitions = enc_list(&e, &weir__v1__fetch_partition__descriptor, m->n_partitions);
    pb.n_partitions = m->n_partitions;
    for (size_t i = 0; i < m->n_partitions; i++) {
        const struct msg_fetch_partition *p = &m->partitions[i];
        Weir__V1__FetchPartition *to = pb.partitions[i];
        to->topic_id = enc_uuid(&p->topic_id);
        to->partition = enc_count(p->partition);
        to->leader_epoch = p->leader_epoch;
        to->fetch_offset = p->fetch_offset;
        to->last_fetched_epoch = p->last_fetched_epoch;
        to->max_bytes = p->max_bytes;
        to->log_start_offset = p->log_start;
        to->flushed_offset = p->flushed;
    }
    pb.session_epoch = m->session_epoch;
    pb.session_id = m->session_id;
    pb.forgotten = enc_list(&e, &weir__v1__fetch_forgotten__descriptor, m->n_forgotten);
    pb.n_forgotten = m->n_forgotten;
    for (size_t i = 0; i < m->n_forgotten; i++) {
        pb.forgotten[i]->topic_id = enc_uuid(&m->forgotten[i].topic_id);
        pb.forgotten[i]->partition = enc_count(m->forgotten[i].partition);
    }
    enc_finish(&pb.base, out);
}

static void from_fetch_request(
        struct dec *d, const Weir__V1__FetchRequest *pb, struct msg_fetch_request *m)
{
    m->max_wait_ms = pb->max_wait_ms;
    m->min_bytes = pb->min_bytes;
    m->max_bytes = pb->max_bytes;
    m->replica = pb->replica_id;
    m->broker_epoch = pb->broker_epoch;
    m->partitions = dec_list(d, pb->n_partitions, sizeof(*m->partitions));
    m->n_partitions = pb->n_partitions;
    for (size_t i = 0; m->partitions != NULL && i < pb->n_partitions; i++) {
        const Weir__V1__FetchPartition *from = pb->partitions[i];
        m->partitions[i] = (struct msg_fetch_partition){
                .topic_id = dec_uuid(d, &from->topic_id),
                .partition = dec_count(d, from->partition),
                .leader_epoch = from->leader_epoch,
                .fetch_offset = from->fetch_offset,
                .last_fetched_epoch = from->last_fetched_epoch,
                .max_bytes = from->max_bytes,
                .log_start = from->log_start_offset,
                .flushed = from->flushed_offset,
        };
    }
    m->session_epoch = pb->session_epoch;
    m->session_id = pb->session_id;
    m->forgotten = dec_list(d, pb->n_forgotten, sizeof(*m->forgotten));
    m->n_forgotten = pb->n_forgotten;
    for (size_t i = 0; m->forgotten != NULL && i < pb->n_forgotten; i++) {
        m->forgotten[i] = (struct msg_partition_ref){
                .topic_id = dec_uuid(d, &pb->forgotten[i]->topic_id),
                .partition = dec_count(d, pb->forgotten[i]->partition),
        };
    }
}

DEFINE_DECODE(fetch_request, Weir__V1__FetchRequest, weir__v1__fetch_request__descriptor)

/* --- ListOffsets --- */

void wire_encode_list_offsets_request(const struct msg_list_offsets_request *m, struct buf *out)
{
    CLEANUP(enc_deinit) struct enc e = {0};
    Weir__V1__ListOffsetsRequest pb;

    weir__v1__list_offsets_request__init(&pb);
    pb.partitions = enc_list(&e, &weir__v1__list_offsets_partition__descriptor, m->n_partitions);
    pb.n_partitions = m->n_partitions;
    for (size_t i = 0; i < m->n_partitions; i++) {
        const struct msg_list_offsets_partition *p = &m->partitions[i];
        Weir__V1__ListOffsetsPartition *to = pb.partitions[i];
        to->topic_id = enc_uuid(&p->topic_id);
        to->partition = enc_count(p->partition);
        to->leader_epoch = p->leader_epoch;
        to->timestamp_ms = p->timestamp;
    }
    enc_finish(&pb.base, out);
}

static void from_list_offsets_request(
        struct dec *d, const Weir__V1__ListOffsetsRequest *pb, struct msg_list_offsets_request *m)
{
    m->partitions = dec_list(d, pb->n_partitions, sizeof(*m->partitions));
    m->n_partitions = pb->n_partitions;
    for (size_t i = 0; m->partitions != NULL && i < pb->n_partitions; i++) {
        const Weir__V1__ListOffsetsPartition *from = pb->partitions[i];
        m->partitions[i] = (struct msg_list_offsets_partition){
                .topic_id = dec_uuid(d, &from->topic_id),
                .partition = dec_count(d, from->partition),
                .leader_epoch = from->leader_epoch,
                .timestamp = from->timestamp_ms,
        };
    }
}

DEFINE_DECODE(list_offsets_request,
        Weir__V1__ListOffsetsRequest,
        weir__v1__list_offsets_request__descriptor)

void wire_encode_list_offsets_response(const struct msg_list_offsets_response *m, struct buf *out)
{
    CLEANUP(enc_deinit) struct enc e = {0};
    Weir__V1__ListOffsetsResponse pb;

    weir__v1__list_offsets_response__init(&pb);
    pb.partitions =
            enc_list(&e, &weir__v1__list_offsets_partition_result__descriptor, m->n_partitions);
    pb.n_partitions = m->n_partitions;
    for (size_t i = 0; i < m->n_partitions; i++) {
        const struct msg_list_offsets_result *p = &m->partitions[i];
        Weir__V1__ListOffsetsPartitionResult *to = pb.partitions[i];
        to->topic_id = enc_uuid(&p->topic_id);
        to->partition = enc_count(p->partition);
        to->error = p->error;
        to->detail = enc_borrow(p->detail);
        to->offset = p->offset;
        to->timestamp_ms = p->timestamp;
        to->leader_epoch = p->leader_epoch;
    }
    enc_finish(&pb.base, out);
}

static void from_list_offsets_response(
        struct dec *d, const Weir__V1__ListOffsetsResponse *pb, struct msg_list_offsets_response *m)
{
    m->partitions = dec_list(d, pb->n_partitions, sizeof(*m->partitions));
    m->n_partitions = pb->n_partitions;
    for (size_t i = 0; m->partitions != NULL && i < pb->n_partitions; i++) {
        const Weir__V1__ListOffsetsPartitionResult *from = pb->partitions[i];
        m->partitions[i] = (struct msg_list_offsets_result){
                .topic_id = dec_uuid(d, &from->topic_id),
                .partition = dec_count(d, from->partition),
                .error = from->error,
                .detail = dec_text(d, from->detail),
                .offset = from->offset,
                .timestamp = from->timestamp_ms,
                .leader_epoch = from->leader_epoch,
        };
    }
}

DEFINE_DECODE(list_offsets_response,
        Weir__V1__ListOffsetsResponse,
        weir__v1__list_offsets_response__descriptor)
