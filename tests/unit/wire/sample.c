/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/wire/sample.h"

#include "common/base/array.h"
#include "tests/lib/check.h"

#include "proto/control.pb-c.h"
#include "proto/data.pb-c.h"
#include "proto/state.pb-c.h"

#include <stdio.h>
#include <stdlib.h>

/* --- Values --- */

static uint32_t counter;

uint32_t sample_u32(uint32_t id)
{
    return ++counter % 600 * 100 + 100 + id;
}

uint64_t sample_u64(uint32_t id)
{
    return 10000000000000000000ULL + sample_u32(id);
}

int32_t sample_i32(uint32_t id)
{
    return -sample_count(id);
}

int64_t sample_i64(uint32_t id)
{
    return -9000000000000000000LL - sample_count(id);
}

int32_t sample_count(uint32_t id)
{
    return (int32_t)sample_u32(id);
}

uint16_t sample_port(uint32_t id)
{
    return (uint16_t)sample_u32(id);
}

const char *sample_text(uint32_t id)
{
    static char texts[512][24];
    static size_t n;
    char *text = texts[n++ % COUNT_OF(texts)];

    (void)snprintf(text, sizeof(texts[0]), "text%u-%02u", sample_u32(0), id);
    return text;
}

struct uuid sample_uuid(uint32_t id)
{
    struct uuid u;

    memset(u.bytes, (int)(sample_u32(0) / 100 % 250 + 1), sizeof(u.bytes));
    u.bytes[15] = (uint8_t)id;
    return u;
}

struct bytes sample_bytes(uint32_t id, size_t size)
{
    static uint8_t bytes[64][64];
    static size_t n;
    uint8_t *at = bytes[n++ % COUNT_OF(bytes)];

    must(size > 0 && size <= sizeof(bytes[0]));
    memset(at, (int)(sample_u32(0) / 100 % 250), size);
    at[size - 1] = (uint8_t)id;
    return (struct bytes){.at = at, .size = size};
}

struct broker_set sample_set(uint32_t id, uint8_t n)
{
    struct broker_set s = {.n = n};

    for (size_t i = 0; i < n; i++) {
        s.at[i] = sample_count(id);
    }
    return s;
}

/* --- The check --- */

static void check_number(const ProtobufCFieldDescriptor *f, uint64_t v)
{
    uint64_t magnitude =
            v > INT64_MAX && f->type != PROTOBUF_C_TYPE_UINT64 && f->type != PROTOBUF_C_TYPE_FIXED64
                    ? 0 - v
                    : v;

    check_count();
    if (magnitude == 0 || magnitude % 100 != f->id) {
        check_fail(__FILE__, __LINE__, "field %s = %u holds %llu", f->name, f->id,
                (unsigned long long)v);
    }
}

static void check_tail(const ProtobufCFieldDescriptor *f, bool is_right)
{
    check_count();
    if (!is_right) {
        check_fail(__FILE__, __LINE__, "field %s = %u is empty or another's", f->name, f->id);
    }
}

static void check_value(const ProtobufCFieldDescriptor *f, const void *at)
{
    switch (f->type) {
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        check_number(f, (uint64_t)(int64_t) * (const int32_t *)at);
        break;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32: check_number(f, *(const uint32_t *)at); break;
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64: check_number(f, *(const uint64_t *)at); break;
    case PROTOBUF_C_TYPE_BOOL:
    case PROTOBUF_C_TYPE_ENUM: check_tail(f, *(const int *)at != 0); break;
    case PROTOBUF_C_TYPE_STRING: {
        const char *dash = strrchr(*(char *const *)at, '-');
        check_tail(f, dash != NULL && strtoul(dash + 1, NULL, 10) == f->id);
        break;
    }
    case PROTOBUF_C_TYPE_BYTES: {
        const ProtobufCBinaryData *b = at;
        check_tail(f, b->len > 0 && b->data[b->len - 1] == f->id);
        break;
    }
    case PROTOBUF_C_TYPE_MESSAGE: {
        const ProtobufCMessage *m = *(ProtobufCMessage *const *)at;
        check_tail(f, m != NULL);
        sample_check(m);
        break;
    }
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_DOUBLE: must_not_reach("no message has one");
    }
}

void sample_check(const ProtobufCMessage *m)
{
    const uint8_t *at = (const uint8_t *)m;

    for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
        if (strcmp(f->name, "removed") == 0) {
            continue; /* It stands instead of a value, which the sample has. */
        }
        if ((f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0) {
            if (*(const uint32_t *)(const void *)(at + f->quantifier_offset) == f->id) {
                check_value(f, at + f->offset);
            }
        } else if (f->label == PROTOBUF_C_LABEL_REPEATED) {
            check_tail(f, *(const size_t *)(const void *)(at + f->quantifier_offset) > 0);
            check_value(f, *(void *const *)(const void *)(at + f->offset));
        } else {
            check_value(f, at + f->offset);
        }
    }
}

/* --- The samples --- */

static const char *texts_3[2];
static const char *texts_4[2];
static const char *texts_1[2];
static struct uuid uuids_2[2];
static struct uuid uuids_4[2];
static struct uuid uuids_7[2];
static struct endpoint endpoints[2];
static struct meta_config_pair configs[2];

static void fill_lists(void)
{
    for (size_t i = 0; i < 2; i++) {
        texts_1[i] = sample_text(1);
        texts_3[i] = sample_text(3);
        texts_4[i] = sample_text(4);
        uuids_2[i] = sample_uuid(2);
        uuids_4[i] = sample_uuid(4);
        uuids_7[i] = sample_uuid(7);
        endpoints[i] = (struct endpoint){sample_text(1), sample_text(2), sample_port(3)};
        configs[i] = (struct meta_config_pair){sample_text(1), sample_text(2)};
    }
}

static void make_hello_request(struct msg_hello_request *m)
{
    *m = (struct msg_hello_request){
            .client_id = sample_text(1),
            .role = ROLE_CONTROLLER,
            .cluster_id = sample_uuid(3),
            .library = sample_text(4),
            .library_version = sample_text(5),
            .feature_level = sample_u32(6),
            .ctl_epoch = sample_u64(1),
            .controller_id = sample_i32(2),
            .replica = sample_i32(1),
            .replica_epoch = -sample_i64(2), /* 0 and less = absent */
            .auth = sample_bytes(15, 9),
    };
}

static void make_hello_response(struct msg_hello_response *m)
{
    *m = (struct msg_hello_response){
            .cluster_id = sample_uuid(1),
            .broker = sample_i32(2),
            .broker_epoch = sample_i64(3),
            .version = sample_text(4),
            .feature_level = sample_u32(5),
            .max_request_bytes = sample_u32(6),
            .applied_index = sample_u64(7),
            .applied_crc64 = sample_u64(8),
            .auth = sample_bytes(15, 1),
    };
}

static void make_hello_auth(struct msg_hello_auth *m)
{
    *m = (struct msg_hello_auth){.nonce = sample_bytes(1, 32), .proof = sample_bytes(2, 32)};
}

static void make_metadata_request(struct msg_metadata_request *m)
{
    *m = (struct msg_metadata_request){
            .topics = texts_1, .n_topics = 2, .topic_ids = uuids_2, .n_topic_ids = 2};
}

static void make_metadata_response(struct msg_metadata_response *m)
{
    static struct msg_metadata_broker brokers[2];
    static struct msg_metadata_partition partitions[2];
    static struct msg_metadata_topic topics[2];

    for (size_t i = 0; i < 2; i++) {
        brokers[i] = (struct msg_metadata_broker){
                .id = sample_i32(1),
                .host = sample_text(2),
                .port = sample_port(3),
                .rack = sample_text(4),
        };
        partitions[i] = (struct msg_metadata_partition){
                .leader = sample_i32(1),
                .leader_epoch = sample_i32(2),
                .replicas = sample_set(3, REPLICAS_MAX),
                .isr = sample_set(4, 2),
        };
        topics[i] = (struct msg_metadata_topic){
                .error = sample_i32(1),
                .name = sample_text(2),
                .topic_id = sample_uuid(3),
                .internal = true,
                .partitions = partitions,
                .n_partitions = 2,
        };
    }
    *m = (struct msg_metadata_response){
            .cluster_id = sample_uuid(1),
            .metadata_index = sample_u64(2),
            .controllers = texts_3,
            .n_controllers = 2,
            .brokers = brokers,
            .n_brokers = 2,
            .topics = topics,
            .n_topics = 2,
    };
}

static void make_produce_response(struct msg_produce_response *m)
{
    static struct msg_produce_result p[2];

    for (size_t i = 0; i < 2; i++) {
        p[i] = (struct msg_produce_result){
                .topic_id = sample_uuid(1),
                .partition = sample_count(2),
                .error = sample_i32(3),
                .detail = sample_text(4),
                .base_offset = sample_i64(5),
                .log_append_time = sample_i64(6),
                .log_start = sample_i64(7),
                .durability = DURABILITY_FSYNC,
        };
    }
    *m = (struct msg_produce_response){.partitions = p, .n_partitions = 2};
}

static void make_fetch_request(struct msg_fetch_request *m)
{
    static struct msg_fetch_partition p[2];
    static struct msg_partition_ref forgotten;

    forgotten = (struct msg_partition_ref){
            .topic_id = sample_uuid(1), .partition = sample_count(2)};

    for (size_t i = 0; i < 2; i++) {
        p[i] = (struct msg_fetch_partition){
                .topic_id = sample_uuid(1),
                .partition = sample_count(2),
                .leader_epoch = sample_i32(3),
                .fetch_offset = sample_i64(4),
                .last_fetched_epoch = sample_i32(5),
                .max_bytes = sample_u32(6),
                .log_start = sample_i64(7),
                .flushed = sample_i64(8),
        };
    }
    *m = (struct msg_fetch_request){
            .max_wait_ms = sample_u32(1),
            .min_bytes = sample_u32(2),
            .max_bytes = sample_u32(3),
            .replica = sample_i32(4),
            .broker_epoch = sample_i64(5),
            .session_epoch = sample_u32(7),
            .session_id = sample_u64(9),
            .partitions = p,
            .n_partitions = 2,
            .forgotten = &forgotten,
            .n_forgotten = 1,
    };
}

static void make_list_offsets_request(struct msg_list_offsets_request *m)
{
    static struct msg_list_offsets_partition p[2];

    for (size_t i = 0; i < 2; i++) {
        p[i] = (struct msg_list_offsets_partition){
                .topic_id = sample_uuid(1),
                .partition = sample_count(2),
                .leader_epoch = sample_i32(3),
                .timestamp = sample_i64(4),
        };
    }
    *m = (struct msg_list_offsets_request){.partitions = p, .n_partitions = 2};
}

static void make_list_offsets_response(struct msg_list_offsets_response *m)
{
    static struct msg_list_offsets_result p[2];

    for (size_t i = 0; i < 2; i++) {
        p[i] = (struct msg_list_offsets_result){
                .topic_id = sample_uuid(1),
                .partition = sample_count(2),
                .error = sample_i32(3),
                .detail = sample_text(4),
                .offset = sample_i64(5),
                .timestamp = sample_i64(6),
                .leader_epoch = sample_i32(7),
        };
    }
    *m = (struct msg_list_offsets_response){.partitions = p, .n_partitions = 2};
}

static void make_offset_for_leader_epoch_request(struct msg_offset_for_leader_epoch_request *m)
{
    static struct msg_offset_for_leader_epoch_partition p[2];

    for (size_t i = 0; i < 2; i++) {
        p[i] = (struct msg_offset_for_leader_epoch_partition){
                .topic_id = sample_uuid(1),
                .partition = sample_count(2),
                .current_leader_epoch = sample_i32(3),
                .leader_epoch = sample_i32(4),
        };
    }
    *m = (struct msg_offset_for_leader_epoch_request){.partitions = p, .n_partitions = 2};
}

static void make_offset_for_leader_epoch_response(struct msg_offset_for_leader_epoch_response *m)
{
    static struct msg_offset_for_leader_epoch_result p[2];

    for (size_t i = 0; i < 2; i++) {
        p[i] = (struct msg_offset_for_leader_epoch_result){
                .topic_id = sample_uuid(1),
                .partition = sample_count(2),
                .error = sample_i32(3),
                .detail = sample_text(4),
                .leader_epoch = sample_i32(5),
                .end_offset = sample_i64(6),
        };
    }
    *m = (struct msg_offset_for_leader_epoch_response){.partitions = p, .n_partitions = 2};
}

static void make_delete_records_request(struct msg_delete_records_request *m)
{
    static struct msg_delete_records_partition p[2];

    for (size_t i = 0; i < 2; i++) {
        p[i] = (struct msg_delete_records_partition){
                .topic_id = sample_uuid(1), .partition = sample_count(2), .before = sample_i64(3)};
    }
    *m = (struct msg_delete_records_request){.partitions = p, .n_partitions = 2, .dry_run = true};
}

static void make_delete_records_response(struct msg_delete_records_response *m)
{
    static struct msg_delete_records_result p[2];

    for (size_t i = 0; i < 2; i++) {
        p[i] = (struct msg_delete_records_result){
                .topic_id = sample_uuid(1),
                .partition = sample_count(2),
                .error = sample_i32(3),
                .detail = sample_text(4),
                .log_start = sample_i64(5),
                .old_log_start = sample_i64(6),
        };
    }
    *m = (struct msg_delete_records_response){.partitions = p, .n_partitions = 2};
}

static void make_init_producer_id_request(struct msg_init_producer_id_request *m)
{
    *m = (struct msg_init_producer_id_request){sample_text(1), sample_i64(2), sample_i32(3)};
}

static void make_init_producer_id_response(struct msg_init_producer_id_response *m)
{
    *m = (struct msg_init_producer_id_response){sample_i64(1), sample_i32(2)};
}

static void make_allocate_producer_ids_request(struct msg_allocate_producer_ids_request *m)
{
    m->broker_epoch = sample_i64(1);
}

static void make_allocate_producer_ids_response(struct msg_allocate_producer_ids_response *m)
{
    *m = (struct msg_allocate_producer_ids_response){sample_i64(1), sample_count(2)};
}

static void make_alter_partition_request(struct msg_alter_partition_request *m)
{
    static struct msg_alter_partition p[2];
    static struct msg_isr_member isr[2][3];

    m->broker_epoch = sample_i64(1);
    for (size_t i = 0; i < 2; i++) {
        for (size_t k = 0; k < 3; k++) {
            isr[i][k] = (struct msg_isr_member){sample_i32(1), sample_i64(2)};
        }
        p[i] = (struct msg_alter_partition){
                .topic_id = sample_uuid(1),
                .partition = sample_count(2),
                .leader_epoch = sample_i32(3),
                .partition_epoch = sample_i32(4),
                .isr = isr[i],
                .n_isr = 3,
                .recovered = true,
                .durable = true,
        };
    }
    m->partitions = p;
    m->n_partitions = 2;
}

static struct partition_state make_state(void)
{
    return (struct partition_state){sample_uuid(1), sample_count(2), sample_set(3, 8),
            sample_set(4, 1), sample_set(5, 2), sample_set(6, 3), sample_set(7, 4),
            sample_set(8, 5), sample_i32(9), sample_i32(10), sample_i32(11), sample_count(12), true,
            true, sample_i32(14), sample_u64(15)};
}

static void make_alter_partition_response(struct msg_alter_partition_response *m)
{
    static struct msg_alter_partition_result p[2];

    for (size_t i = 0; i < 2; i++) {
        p[i] = (struct msg_alter_partition_result){
                .topic_id = sample_uuid(1),
                .partition = sample_count(2),
                .error = sample_i32(3),
                .detail = sample_text(4),
                .has_state = true,
                .state = make_state(),
        };
    }
    *m = (struct msg_alter_partition_response){.partitions = p, .n_partitions = 2};
}

static void make_replica_failed_request(struct msg_replica_failed_request *m)
{
    static struct msg_failed_replica p[2];

    m->broker_epoch = sample_i64(1);
    for (size_t i = 0; i < 2; i++) {
        p[i] = (struct msg_failed_replica){
                .topic_id = sample_uuid(1), .partition = sample_count(2), .reason = sample_text(3)};
    }
    m->partitions = p;
    m->n_partitions = 2;
}

static void make_describe_ends_request(struct msg_describe_ends_request *m)
{
    static struct msg_partition_ref p[2];

    for (size_t i = 0; i < 2; i++) {
        p[i] = (struct msg_partition_ref){.topic_id = sample_uuid(1), .partition = sample_count(2)};
    }
    *m = (struct msg_describe_ends_request){.partitions = p, .n_partitions = 2};
}

static void make_describe_ends_response(struct msg_describe_ends_response *m)
{
    static struct msg_log_end p[2];

    for (size_t i = 0; i < 2; i++) {
        p[i] = (struct msg_log_end){
                .topic_id = sample_uuid(1),
                .partition = sample_count(2),
                .error = sample_i32(3),
                .last_epoch = sample_i32(4),
                .end = sample_i64(5),
                .bytes = sample_u64(6),
        };
    }
    *m = (struct msg_describe_ends_response){.partitions = p, .n_partitions = 2};
}

static void make_push_request(struct msg_push_request *m)
{
    static struct msg_pushed_batch batches[2];

    for (size_t i = 0; i < 2; i++) {
        batches[i] = (struct msg_pushed_batch){sample_u64(1), sample_bytes(2, 40)};
    }
    *m = (struct msg_push_request){
            .ctl_epoch = sample_u64(1),
            .has_snapshot = true,
            .snapshot = {.index = sample_u64(1),
                    .log_crc64 = sample_u64(2),
                    .last_seq = sample_u64(3),
                    .chunk = sample_u32(4),
                    .chunks = sample_u32(5),
                    .records = sample_bytes(6, 33)},
            .prev_crc64 = sample_u64(3),
            .batches = batches,
            .n_batches = 2,
    };
}

static void make_push_response(struct msg_push_response *m)
{
    *m = (struct msg_push_response){sample_u64(1), sample_u64(2), true};
}

static void make_beat_request(struct msg_beat_request *m)
{
    *m = (struct msg_beat_request){
            .ctl_epoch = sample_u64(1),
            .committed_index = sample_u64(2),
            .lease_ms = sample_u32(3),
            .controllers = texts_4,
            .n_controllers = 2,
    };
}

static void make_beat_response(struct msg_beat_response *m)
{
    static struct msg_log_dir_state dirs[2];

    for (size_t i = 0; i < 2; i++) {
        dirs[i] = (struct msg_log_dir_state){
                .dir_id = sample_uuid(1),
                .path = sample_text(2),
                .failed = true,
                .total_bytes = sample_u64(4),
                .free_bytes = sample_u64(5),
                .log_bytes = sample_u64(6),
                .stall_ms = sample_u32(7),
                .canary_ms = sample_u32(8),
                .full = true,
                .reserve_bytes = sample_u64(10),
        };
    }
    *m = (struct msg_beat_response){
            .broker_epoch = sample_i64(1),
            .applied_index = sample_u64(2),
            .dirs = dirs,
            .n_dirs = 2,
    };
}

static void make_broker_ready_request(struct msg_broker_ready_request *m)
{
    static struct msg_partition_ref failed[2];

    for (size_t i = 0; i < 2; i++) {
        failed[i] = (struct msg_partition_ref){sample_uuid(1), sample_count(2)};
    }
    *m = (struct msg_broker_ready_request){sample_i64(1), sample_u64(2), failed, 2};
}

static void make_controlled_shutdown_request(struct msg_controlled_shutdown_request *m)
{
    m->broker_epoch = sample_i64(1);
}

static void make_describe_configs_response(struct msg_describe_configs_response *m)
{
    static struct msg_config_entry entries[2];

    for (size_t i = 0; i < 2; i++) {
        entries[i] =
                (struct msg_config_entry){sample_text(1), sample_text(2), sample_text(3), true};
    }
    *m = (struct msg_describe_configs_response){entries, 2};
}

static void make_describe_logs_request(struct msg_describe_logs_request *m)
{
    m->with_topics = true;
}

static void make_describe_logs_response(struct msg_describe_logs_response *m)
{
    static struct msg_topic_bytes topics[2];
    static struct msg_dir_logs dirs[2];

    for (size_t i = 0; i < 2; i++) {
        topics[i] = (struct msg_topic_bytes){
                sample_uuid(1), sample_u64(2), sample_u32(3), sample_u32(4)};
    }
    for (size_t i = 0; i < 2; i++) {
        dirs[i] = (struct msg_dir_logs){sample_uuid(1), topics, 2, sample_u32(3), sample_u64(4),
                topics, 2, sample_u64(6)};
    }
    *m = (struct msg_describe_logs_response){dirs, 2};
}

static void make_controlled_shutdown_response(struct msg_controlled_shutdown_response *m)
{
    *m = (struct msg_controlled_shutdown_response){true, sample_u64(2), sample_u32(3)};
}

static void make_cluster_id(struct msg_cluster_id *m)
{
    *m = (struct msg_cluster_id){sample_uuid(1), sample_u32(2), sample_i64(3)};
}

static void make_epoch(struct msg_epoch *m)
{
    *m = (struct msg_epoch){sample_u64(1), sample_i32(2), sample_uuid(3)};
}

static void make_active(struct msg_active *m)
{
    *m = (struct msg_active){
            sample_u64(1), sample_i32(2), sample_uuid(3), sample_text(4), sample_i64(5), true,
            sample_i32(7)};
}

static void make_candidate(struct msg_candidate *m)
{
    *m = (struct msg_candidate){sample_i32(1), sample_text(2), sample_text(3), sample_u32(4)};
}

static void make_broker_reg(struct msg_broker_reg *m)
{
    *m = (struct msg_broker_reg){
            .cluster_id = sample_uuid(1),
            .broker = sample_i32(2),
            .nonce = sample_uuid(3),
            .dirs = uuids_4,
            .n_dirs = 2,
            .endpoints = endpoints,
            .n_endpoints = 2,
            .rack = sample_text(6),
            .crash_kind = CRASH_HOST,
            .prev_epoch = sample_i64(8),
            .boot_id = sample_text(9),
            .version = sample_text(10),
            .feature_level = sample_u32(11),
    };
}

static void make_batch(struct msg_batch *m)
{
    *m = (struct msg_batch){
            .ctl_epoch = sample_u64(1),
            .index = sample_u64(2),
            .first_seq = sample_u64(3),
            .prev_crc64 = sample_u64(4),
            .nonce = sample_uuid(5),
            .payload = sample_bytes(6, 64),
            .crc64 = sample_u64(7),
    };
}

static void make_snap_head(struct msg_snap_head *m)
{
    *m = (struct msg_snap_head){
            .index = sample_u64(1),
            .dir = sample_text(2),
            .chunks = sample_u32(3),
            .bytes = sample_u64(4),
            .crc64 = sample_u64(5),
            .log_crc64 = sample_u64(6),
            .last_seq = sample_u64(7),
    };
}

/* --- Records --- */

static void fill_kind(struct meta_record *r)
{
    switch (r->kind) {
    case META_NEW_CONTROLLER:
        r->new_controller.ctl_epoch = sample_u64(1);
        r->new_controller.controller_id = sample_i32(2);
        break;
    case META_REGISTER_BROKER:
        r->register_broker = (struct meta_register_broker){sample_i32(1), sample_i64(2),
                sample_i64(8), CRASH_DISK, sample_text(4), sample_text(5), endpoints, 2, uuids_7,
                2};
        break;
    case META_BROKER_PURGED:
    case META_FENCE_BROKER:
    case META_UNFENCE_BROKER:
    case META_BROKER_SHUTDOWN:
        r->broker.id = sample_i32(1);
        r->broker.epoch = sample_i64(2);
        break;
    case META_CREATE_TOPIC:
        r->create_topic.id = sample_uuid(1);
        r->create_topic.name = sample_text(2);
        r->create_topic.internal = true;
        r->create_topic.n_partitions = sample_count(4);
        r->create_topic.replication_factor = sample_count(5);
        r->create_topic.configs = configs;
        r->create_topic.n_configs = 2;
        r->create_topic.created_at_index = sample_u64(7);
        break;
    case META_REMOVE_TOPIC: r->remove_topic.id = sample_uuid(1); break;
    case META_PARTITION_STATE: r->partition = make_state(); break;
    case META_CONFIG_SET:
        r->config_set.scope = CONFIG_CLUSTER;
        r->config_set.topic_id = sample_uuid(2);
        r->config_set.broker = sample_i32(3);
        r->config_set.configs = configs;
        r->config_set.n_configs = 2;
        break;
    case META_PRODUCER_ID_BLOCK:
        r->producer_ids.broker = sample_i32(1);
        r->producer_ids.broker_epoch = sample_i64(2);
        r->producer_ids.first = sample_i64(3);
        r->producer_ids.count = sample_count(4);
        break;
    case META_FEATURE_SET:
        r->feature.name = sample_text(1);
        r->feature.level = sample_count(2);
        break;
    case META_PURGE_TOPIC:
        r->purge_topic.id = sample_uuid(1);
        r->purge_topic.is_tombstone = true;
        break;
    case META_RESTORE_TOPIC:
        r->restore_topic.id = sample_uuid(1);
        r->restore_topic.name = sample_text(2);
        break;
    case META_BROKER_INTENT:
        r->intent.id = sample_i32(1);
        r->intent.intent = BROKER_DRAINING;
        break;
    case META_BROKER_FORGOTTEN: r->forgotten.id = sample_i32(1); break;
    case META_OPERATION:
        r->operation = (struct meta_operation){sample_u64(1), OPERATION_DECOMMISSION,
                OPERATION_CANCELLED, sample_set(4, 3), sample_count(5), sample_i64(6),
                sample_i64(7), sample_text(8), sample_text(9), sample_text(10)};
        break;
    }
}

struct meta_record sample_record(enum meta_kind kind)
{
    struct meta_record r = {
            .seq = sample_u64(1),
            .at = sample_i64(2),
            .why = {(enum meta_cause)sample_u32(3), sample_text(4), sample_text(5), sample_text(6)},
            .kind = kind,
    };

    fill_lists();
    fill_kind(&r);
    return r;
}

static void make_record_list(struct msg_record_list *m)
{
    static struct meta_record records[META_KINDS];

    for (size_t i = 0; i < COUNT_OF(records); i++) {
        records[i] = sample_record((enum meta_kind)(META_NEW_CONTROLLER + i));
    }
    *m = (struct msg_record_list){.records = records, .n_records = COUNT_OF(records)};
}

/* --- The table --- */

#define DEFINE(X)                                                                                  \
    static void encode_##X(struct buf *out)                                                        \
    {                                                                                              \
        struct msg_##X m = {0};                                                                    \
        counter = 0;                                                                               \
        fill_lists();                                                                              \
        make_##X(&m);                                                                              \
        wire_encode_##X(&m, out);                                                                  \
    }                                                                                              \
    static int decode_##X(struct bytes body, struct arena *a, struct buf *again)                   \
    {                                                                                              \
        struct msg_##X m;                                                                          \
        int r = wire_decode_##X(body, a, &m);                                                      \
        if (r == 0 && again != NULL) {                                                             \
            wire_encode_##X(&m, again);                                                            \
        }                                                                                          \
        return r;                                                                                  \
    }

#define EACH(DO)                                                                                   \
    DO(hello_request)                                                                              \
    DO(hello_response)                                                                             \
    DO(metadata_request)                                                                           \
    DO(metadata_response)                                                                          \
    DO(produce_response)                                                                           \
    DO(fetch_request)                                                                              \
    DO(list_offsets_request)                                                                       \
    DO(list_offsets_response)                                                                      \
    DO(push_request)                                                                               \
    DO(push_response)                                                                              \
    DO(beat_request)                                                                               \
    DO(beat_response)                                                                              \
    DO(broker_ready_request)                                                                       \
    DO(controlled_shutdown_request)                                                                \
    DO(controlled_shutdown_response)                                                               \
    DO(describe_configs_response)                                                                  \
    DO(describe_logs_request)                                                                      \
    DO(describe_logs_response)                                                                     \
    DO(cluster_id)                                                                                 \
    DO(epoch)                                                                                      \
    DO(active)                                                                                     \
    DO(candidate)                                                                                  \
    DO(broker_reg)                                                                                 \
    DO(batch)                                                                                      \
    DO(snap_head)                                                                                  \
    DO(record_list)                                                                                \
    DO(hello_auth)                                                                                 \
    DO(init_producer_id_request)                                                                   \
    DO(init_producer_id_response)                                                                  \
    DO(allocate_producer_ids_request)                                                              \
    DO(allocate_producer_ids_response)                                                             \
    DO(delete_records_request)                                                                     \
    DO(delete_records_response)                                                                    \
    DO(offset_for_leader_epoch_request)                                                            \
    DO(offset_for_leader_epoch_response)                                                           \
    DO(alter_partition_request)                                                                    \
    DO(alter_partition_response)                                                                   \
    DO(replica_failed_request)                                                                     \
    DO(describe_ends_request)                                                                      \
    DO(describe_ends_response)

#define ROW(X) {#X, &weir__v1__##X##__descriptor, encode_##X, decode_##X},

EACH(DEFINE)
const struct sample_kind sample_kinds[] = {EACH(ROW)};
const size_t n_sample_kinds = COUNT_OF(sample_kinds);
