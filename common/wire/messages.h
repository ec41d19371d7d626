/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/arena.h"
#include "common/base/bytes.h"
#include "common/base/err.h"
#include "common/base/uuid.h"
#include "common/domain/ids.h"
#include "common/domain/meta_record.h"

/* The messages of proto/ as plain structs: what every part of Weir but common/wire works with.
 * Fields, units and ranges are documented in the .proto of the same name.
 *
 * Rules of the pairs below:
 *   void wire_encode_X(const struct msg_X *, struct buf *out)                 appends the body
 *   int  wire_decode_X(struct bytes body, struct arena *, struct msg_X *ret)  MUST_CHECK
 *
 * What a decoder gives lives until the arena or the body ends, whichever is first: strings are
 * NUL-terminated copies in the arena; `struct bytes` are copies in the arena too, except the
 * `records` of Produce and Fetch, which are never copied and point into `body`. `*ret` is
 * untouched unless the result is 0. Results:
 *   WIRE_E_FORM    not that message; a uuid that is not 16 bytes; a count, port or set that does
 *                  not fit; an enum out of range; text with a NUL; a single sub-message or a
 *                  oneof given twice. Text is not checked to be UTF-8.
 *   WIRE_E_MEMORY  the arena's ceiling (or memory itself) is reached: an answer to one hostile
 *                  body, not to the process.
 *   WIRE_E_LIMIT   the body is above WIRE_BODY_MAX (Produce, Fetch and record lists have no such
 *                  limit).
 * Unknown fields are skipped, absent ones decode as 0, "", an empty list; -1 where a comment here
 * says so. An absent uuid is zero and a zero uuid is not sent. `n_x` counts `x`; a list of none
 * is NULL. NULL strings are encoded as "". Numbers that are uint32 on the wire and int32_t here
 * (partition, counts) must not be negative when encoded. Thread: any. */

enum {
    WIRE_E_FORM = 1,
    WIRE_E_MEMORY = 2,
    WIRE_E_LIMIT = 3
};

enum {
    /* Bodies other than Produce requests and Fetch answers above this are refused before
     * decoding. */
    WIRE_BODY_MAX = 1024 * 1024,
    /* Decoded, legal messages take up to 18 times their encoded size (a list of FENCE_BROKER
     * records: 18 bytes each, 320 for a meta_record). A list of empty messages would take up to
     * 160 times, and is refused. */
    WIRE_ARENA_FACTOR = 24,
    WIRE_ARENA_BASE = 64 * 1024,
};

/* Arena ceiling for a decoded body of that size: WIRE_ARENA_FACTOR x body + WIRE_ARENA_BASE,
 * where of a Produce or Fetch body, whose payload is not copied, only the first WIRE_BODY_MAX
 * bytes count: never above 25 MiB. A record list above WIRE_BODY_MAX needs a ceiling of the
 * caller's own. While it runs, a decoder takes at most 32 x body + 64 KiB more. */
size_t wire_arena_ceiling(size_t body_size);

enum wire_api {
    API_ANSWER = 0,
    API_HELLO = 1,
    API_METADATA = 2,
    API_PRODUCE = 3,
    API_FETCH = 4,
    API_LIST_OFFSETS = 5,
    API_OFFSET_FOR_LEADER_EPOCH = 6,
    API_DELETE_RECORDS = 7, /* from a client or a controller */
    API_INIT_PRODUCER_ID = 8,
    API_PUSH = 32,
    API_BEAT = 33,
    API_BROKER_READY = 34,
    API_CONTROLLED_SHUTDOWN = 35,
    API_DESCRIBE_CONFIGS = 36,      /* controller → broker */
    API_ALLOCATE_PRODUCER_IDS = 37, /* broker → controller */
    API_DESCRIBE_LOGS = 38,    /* controller → broker */
    API_ALTER_PARTITION = 39,  /* broker → controller */
    API_REPLICA_FAILED = 40,   /* broker → controller */
    API_DESCRIBE_ENDS = 41,    /* controller → broker */
};

/* "produce"; "unknown" for a number that is not in the list. */
const char *wire_api_name(uint32_t api);

enum wire_role {
    ROLE_CLIENT = 0,
    ROLE_REPLICA = 1,
    ROLE_CONTROLLER = 2
};

struct msg_hello_request {
    const char *client_id;
    enum wire_role role;
    struct uuid cluster_id;
    const char *library, *library_version;
    uint32_t feature_level;
    uint64_t ctl_epoch;    /* ControllerHello; 0 when absent */
    int32_t controller_id; /* ControllerHello; -1 when absent */
    broker_id replica;     /* ReplicaHello; BROKER_NONE when absent */
    int64_t replica_epoch; /* ReplicaHello; BROKER_EPOCH_NONE when absent */
    struct bytes auth;
};

struct msg_hello_response {
    struct uuid cluster_id;
    broker_id broker;
    int64_t broker_epoch;
    const char *version;
    uint32_t feature_level, max_request_bytes;
    uint64_t applied_index, applied_crc64;
    struct bytes auth;
};

struct msg_hello_auth {
    struct bytes nonce, proof; /* proof empty = none yet */
};

struct msg_metadata_request {
    const char **topics;
    size_t n_topics;
    struct uuid *topic_ids;
    size_t n_topic_ids;
};

struct msg_metadata_broker {
    broker_id id;
    const char *host;
    uint16_t port;
    const char *rack;
};

struct msg_metadata_partition {
    broker_id leader;
    epoch32 leader_epoch;
    struct broker_set replicas, isr;
};

struct msg_metadata_topic {
    int32_t error;
    const char *name;
    struct uuid topic_id;
    bool internal;
    struct msg_metadata_partition *partitions;
    size_t n_partitions;
};

struct msg_metadata_response {
    struct uuid cluster_id;
    uint64_t metadata_index;
    const char **controllers;
    size_t n_controllers;
    struct msg_metadata_broker *brokers;
    size_t n_brokers;
    struct msg_metadata_topic *topics;
    size_t n_topics;
};

enum wire_durability {
    DURABILITY_REPLICATED = 0,
    DURABILITY_FSYNC = 1
};

struct msg_produce_result {
    struct uuid topic_id;
    int32_t partition;
    int32_t error;
    const char *detail;
    offset64 base_offset;
    wall_ms log_append_time;
    offset64 log_start;
    enum wire_durability durability;
};

struct msg_produce_response {
    struct msg_produce_result *partitions;
    size_t n_partitions;
};

struct msg_partition_ref {
    struct uuid topic_id;
    int32_t partition;
};

struct msg_fetch_partition {
    struct uuid topic_id;
    int32_t partition;
    epoch32 leader_epoch;
    offset64 fetch_offset;
    epoch32 last_fetched_epoch;
    uint32_t max_bytes;
    offset64 log_start, flushed;
};

struct msg_fetch_request {
    uint32_t max_wait_ms, min_bytes, max_bytes;
    broker_id replica;
    int64_t broker_epoch;
    uint32_t session_epoch;
    uint64_t session_id;
    struct msg_fetch_partition *partitions;
    size_t n_partitions;
    struct msg_partition_ref *forgotten;
    size_t n_forgotten;
};

struct msg_list_offsets_partition {
    struct uuid topic_id;
    int32_t partition;
    epoch32 leader_epoch;
    int64_t timestamp; /* ms, or LIST_LATEST … */
};

enum {
    LIST_LATEST = -1,
    LIST_EARLIEST = -2,
    LIST_MAX_TIMESTAMP = -3
};

struct msg_list_offsets_request {
    struct msg_list_offsets_partition *partitions;
    size_t n_partitions;
};

struct msg_list_offsets_result {
    struct uuid topic_id;
    int32_t partition;
    int32_t error;
    const char *detail;
    offset64 offset;
    wall_ms timestamp;
    epoch32 leader_epoch;
};

struct msg_list_offsets_response {
    struct msg_list_offsets_result *partitions;
    size_t n_partitions;
};

struct msg_offset_for_leader_epoch_partition {
    struct uuid topic_id;
    int32_t partition;
    epoch32 current_leader_epoch; /* EPOCH_NONE = not checked */
    epoch32 leader_epoch;
};

struct msg_offset_for_leader_epoch_request {
    struct msg_offset_for_leader_epoch_partition *partitions;
    size_t n_partitions;
};

struct msg_offset_for_leader_epoch_result {
    struct uuid topic_id;
    int32_t partition;
    int32_t error;
    const char *detail;
    epoch32 leader_epoch;
    offset64 end_offset;
};

struct msg_offset_for_leader_epoch_response {
    struct msg_offset_for_leader_epoch_result *partitions;
    size_t n_partitions;
};

struct msg_delete_records_partition {
    struct uuid topic_id;
    int32_t partition;
    offset64 before; /* -1 = the high watermark */
};

struct msg_delete_records_request {
    struct msg_delete_records_partition *partitions;
    size_t n_partitions;
    bool dry_run;
};

struct msg_delete_records_result {
    struct uuid topic_id;
    int32_t partition;
    int error;
    const char *detail;
    offset64 log_start, old_log_start; /* -1 with an error */
};

struct msg_delete_records_response {
    struct msg_delete_records_result *partitions;
    size_t n_partitions;
};

struct msg_init_producer_id_request {
    const char *transactional_id; /* "" = none */
    int64_t producer_id;          /* -1 = a new one */
    int32_t producer_epoch;       /* -1 */
};

struct msg_init_producer_id_response {
    int64_t producer_id;
    int32_t producer_epoch;
};

/* --- Produce requests and Fetch answers, walked by hand in produce.c and fetch.c --- */

struct msg_produce_partition {
    struct uuid topic_id;
    int32_t partition;
    struct bytes records; /* points into the frame; the receiver may stamp it in place */
};

struct msg_produce_request {
    int32_t acks;
    struct msg_produce_partition *partitions;
    size_t n_partitions;
};

/* Walks without copying; > 0 as other decoders (the arena holds only the array). */
MUST_CHECK int wire_decode_produce_request(
        struct bytes body, struct arena *a, struct msg_produce_request *ret);
/* The bytes before and between the payloads, so that a client can send them with writev: appends
 * the front of the next partition, whose `records` of `records_size` bytes must follow at once on
 * the wire. */
void wire_produce_front(struct buf *out, int32_t acks);
void wire_produce_partition_front(
        struct buf *out, const struct uuid *topic_id, int32_t partition, size_t records_size);

struct msg_fetch_result {
    struct uuid topic_id;
    int32_t partition;
    int32_t error;
    const char *detail;
    offset64 high_watermark, last_stable, log_start;
    epoch32 leader_epoch;
    epoch32 diverging_epoch;
    offset64 diverging_end;
    struct bytes records;
};

struct msg_fetch_response {
    struct msg_fetch_result *partitions;
    size_t n_partitions;
};

MUST_CHECK int wire_decode_fetch_response(
        struct bytes body, struct arena *a, struct msg_fetch_response *ret);
/* Appends everything of one partition's result but the payload bytes; r->records.at is ignored,
 * r->records.size bytes of payload must follow at once on the wire (nothing when 0). */
void wire_fetch_result_front(struct buf *out, const struct msg_fetch_result *r);

/* --- Control --- */

struct msg_pushed_batch {
    uint64_t index;
    struct bytes batch;
};

struct msg_push_request {
    uint64_t ctl_epoch;
    bool has_snapshot;

    struct {
        uint64_t index, log_crc64, last_seq;
        uint32_t chunk, chunks;
        struct bytes records;
    } snapshot;

    uint64_t prev_crc64;
    struct msg_pushed_batch *batches;
    size_t n_batches;
};

struct msg_push_response {
    uint64_t applied_index, applied_crc64;
    bool need;
};

struct msg_beat_request {
    uint64_t ctl_epoch, committed_index;
    uint32_t lease_ms;
    const char **controllers;
    size_t n_controllers;
};

struct msg_log_dir_state {
    struct uuid dir_id;
    const char *path;
    bool failed;
    uint64_t total_bytes, free_bytes, log_bytes;
    uint32_t stall_ms, canary_ms;
    bool full;
    uint64_t reserve_bytes;
};

struct msg_beat_response {
    int64_t broker_epoch;
    uint64_t applied_index;
    struct msg_log_dir_state *dirs;
    size_t n_dirs;
};

struct msg_broker_ready_request {
    int64_t broker_epoch;
    uint64_t applied_index;
    struct msg_partition_ref *failed;
    size_t n_failed;
};

struct msg_controlled_shutdown_request {
    int64_t broker_epoch;
};

struct msg_controlled_shutdown_response {
    bool done;
    uint64_t index;
    uint32_t remaining;
};

/* The request has no member. */
struct msg_describe_configs_request {
    char unused;
};

struct msg_config_entry {
    const char *name, *value;
    const char *source; /* "default", "file", "cluster", "broker" */
    bool read_only;
};

struct msg_describe_configs_response {
    struct msg_config_entry *configs;
    size_t n_configs;
};

struct msg_allocate_producer_ids_request {
    int64_t broker_epoch;
};

struct msg_allocate_producer_ids_response {
    int64_t first;
    int32_t count; /* ids first … first + count - 1 */
};

struct msg_describe_logs_request {
    bool with_topics; /* else only the trash */
};

struct msg_topic_bytes {
    struct uuid topic_id;
    uint64_t bytes;
    uint32_t partitions;
    uint32_t emptied; /* of them, without their records any more; trash only */
};

struct msg_dir_logs {
    struct uuid dir_id;
    struct msg_topic_bytes *topics; /* the largest; `n_all` and `bytes` count all */
    size_t n_topics;
    uint32_t n_all;
    uint64_t bytes;
    struct msg_topic_bytes *trash;
    size_t n_trash;
    uint64_t trash_bytes;
};

struct msg_describe_logs_response {
    struct msg_dir_logs *dirs;
    size_t n_dirs;
};

struct msg_isr_member {
    broker_id id;
    int64_t broker_epoch;
};

struct msg_alter_partition {
    struct uuid topic_id;
    int32_t partition;
    epoch32 leader_epoch, partition_epoch;
    struct msg_isr_member *isr;
    size_t n_isr;
    bool recovered, durable;
};

struct msg_alter_partition_request {
    int64_t broker_epoch;
    struct msg_alter_partition *partitions;
    size_t n_partitions;
};

struct msg_alter_partition_result {
    struct uuid topic_id;
    int32_t partition;
    int32_t error;
    const char *detail;
    bool has_state;
    struct partition_state state;
};

struct msg_alter_partition_response {
    struct msg_alter_partition_result *partitions; /* in the order asked */
    size_t n_partitions;
};

struct msg_failed_replica {
    struct uuid topic_id;
    int32_t partition;
    const char *reason;
};

struct msg_replica_failed_request {
    int64_t broker_epoch;
    struct msg_failed_replica *partitions;
    size_t n_partitions;
};

struct msg_describe_ends_request {
    struct msg_partition_ref *partitions;
    size_t n_partitions;
};

struct msg_log_end {
    struct uuid topic_id;
    int32_t partition;
    int32_t error;
    epoch32 last_epoch;
    offset64 end;
    uint64_t bytes;
};

struct msg_describe_ends_response {
    struct msg_log_end *partitions;
    size_t n_partitions;
};

/* The answer to ReplicaFailed has no member: an empty body. */

/* Pushes carry up to 512 KiB of batches or one snapshot chunk. */

/* --- Values in ZooKeeper --- */

struct msg_cluster_id {
    struct uuid cluster_id;
    uint32_t format;
    wall_ms created;
};

/* `format` while `weir meta rebuild` writes the tree: no controller starts on half of it. */
#define CLUSTER_FORMAT_REBUILDING UINT32_MAX

struct msg_epoch {
    uint64_t ctl_epoch;
    int32_t controller_id;
    struct uuid nonce;
};

struct msg_active {
    uint64_t ctl_epoch;
    int32_t controller_id;
    struct uuid nonce;
    const char *http;
    wall_ms since;
    bool has_successor; /* it hands over to that controller */
    int32_t successor;
};

struct msg_candidate {
    int32_t controller_id;
    const char *http, *version;
    uint32_t feature_level;
};

struct msg_broker_reg {
    struct uuid cluster_id; /* zero = not known */
    broker_id broker;
    struct uuid nonce;
    struct uuid *dirs;
    size_t n_dirs;
    struct endpoint *endpoints;
    size_t n_endpoints;
    const char *rack;
    enum crash_kind crash_kind;
    int64_t prev_epoch;
    const char *boot_id, *version;
    uint32_t feature_level;
};

struct msg_batch {
    uint64_t ctl_epoch, index, first_seq, prev_crc64;
    struct uuid nonce;
    struct bytes payload; /* a serialized RecordList */
    uint64_t crc64;
};

/* The checksum that `crc64` must have. */
uint64_t msg_batch_crc(const struct msg_batch *b);

struct msg_snap_head {
    uint64_t index;
    const char *dir;
    uint32_t chunks;
    uint64_t bytes, crc64, log_crc64, last_seq;
};

struct msg_record_list {
    struct meta_record *records; /* strings and sets in the arena */
    size_t n_records;
};

/* Record lists are built record by record: a serialized RecordList is the concatenation of its
 * records. Appends tag, length and Record. The kind must be one of enum meta_kind. */
void wire_append_record(const struct meta_record *r, struct buf *out);

#define WIRE_PAIR(X)                                                                               \
    void wire_encode_##X(const struct msg_##X *m, struct buf *out);                                \
    MUST_CHECK int wire_decode_##X(struct bytes body, struct arena *a, struct msg_##X *ret)

WIRE_PAIR(hello_request);
WIRE_PAIR(hello_response);
WIRE_PAIR(hello_auth);
WIRE_PAIR(metadata_request);
WIRE_PAIR(metadata_response);
WIRE_PAIR(produce_response);
WIRE_PAIR(fetch_request);
WIRE_PAIR(list_offsets_request);
WIRE_PAIR(list_offsets_response);
WIRE_PAIR(offset_for_leader_epoch_request);
WIRE_PAIR(offset_for_leader_epoch_response);
WIRE_PAIR(delete_records_request);
WIRE_PAIR(delete_records_response);
WIRE_PAIR(init_producer_id_request);
WIRE_PAIR(init_producer_id_response);
WIRE_PAIR(push_request);
WIRE_PAIR(push_response);
WIRE_PAIR(beat_request);
WIRE_PAIR(beat_response);
WIRE_PAIR(broker_ready_request);
WIRE_PAIR(controlled_shutdown_request);
WIRE_PAIR(controlled_shutdown_response);
WIRE_PAIR(describe_configs_request);
WIRE_PAIR(describe_configs_response);
WIRE_PAIR(describe_logs_request);
WIRE_PAIR(describe_logs_response);
WIRE_PAIR(allocate_producer_ids_request);
WIRE_PAIR(allocate_producer_ids_response);
WIRE_PAIR(alter_partition_request);
WIRE_PAIR(alter_partition_response);
WIRE_PAIR(replica_failed_request);
WIRE_PAIR(describe_ends_request);
WIRE_PAIR(describe_ends_response);
WIRE_PAIR(cluster_id);
WIRE_PAIR(epoch);
WIRE_PAIR(active);
WIRE_PAIR(candidate);
WIRE_PAIR(broker_reg);
WIRE_PAIR(batch);
WIRE_PAIR(snap_head);
/* A record of an unknown kind decodes with kind 0; image_apply refuses it. */
WIRE_PAIR(record_list);
