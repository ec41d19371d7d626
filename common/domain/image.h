/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/err.h"
#include "common/base/uuid.h"
#include "common/domain/ids.h"
#include "common/domain/meta_record.h"
#include "common/domain/partition.h"

/* The cluster's metadata: what the records of the metadata log add up to.
 *
 * Controllers and brokers hold images and change them only with image_apply(), so a broker's
 * image is always a prefix of the controller's history. The image owns everything it points to.
 * Objects stay at their address until they are removed. A removed topic stays in the trash, whole,
 * until it is purged or restored ([TRS-1]); lists of topics do not show it. Owner: one loop (controller's loop,
 * broker's control loop). Pure: no I/O, no clock. */

enum broker_state {
    BROKER_FENCED = 1,   /* registered, not leading, not in any ISR */
    BROKER_ACTIVE = 2,   /* unfenced */
    BROKER_SHUTTING = 3, /* controlled shutdown under way: leads nothing new */
};

struct image_config {
    char *key;
    char *value;
};

struct image_configs {
    struct image_config *items; /* sorted by key */
    size_t n, cap;
};

struct image_broker {
    broker_id id;
    int64_t epoch;
    int64_t served_epoch; /* of its last incarnation that was unfenced; 0 = none */
    enum crash_kind crash_kind;
    enum broker_state state;
    bool purge_pending; /* registered, but not yet taken out of every ISR */
    enum broker_intent intent; /* it outlives a registration */
    char *rack, *version;
    struct endpoint *endpoints;
    size_t n_endpoints;
    struct uuid *dirs;
    size_t n_dirs;
    struct image_configs configs; /* overrides only; they outlive a registration */
};

struct image_topic {
    struct uuid id;
    char *name;
    bool internal;
    int32_t replication_factor; /* once there are partitions: what the first of them has, or is about to have */
    uint64_t created_at_index; /* N of the batch that created it */
    wall_ms created_at;
    struct partition_state *partitions; /* by partition number */
    int32_t n_partitions;               /* present; dense from 0 */
    int32_t n_declared; /* what CREATE_TOPIC announced; the rest is still to come. Grows with them later. */
    int32_t n_room;     /* of `partitions` */
    struct image_configs configs;       /* overrides only */
    wall_ms removed_at;                 /* in the trash: since when; else 0 */
};

/* [TRS-3] What is known of a purged topic: that it was, so that a broker which was away does not
 * keep its logs for ever. */
struct image_tombstone {
    struct uuid id;
    wall_ms at;
};

enum {
    IMAGE_TOMBSTONES_MAX = 4096,
    IMAGE_TOMBSTONE_DAYS = 7
};

/* Strings are its own. */
struct image_operation {
    struct meta_operation is;
    int32_t n_left; /* partitions, of topics that are there, that it still moves */
};

enum {
    IMAGE_OPERATIONS_ENDED = 100 /* [CTL-76] so many are remembered */
};

struct image;

struct image *image_new(void);
struct image *image_free(struct image *image);
/* An image of its own with the same content and position, which shares nothing with the first: so
 * that another thread, or a later turn, can encode what stood at one index. 100,000 partitions
 * cost about 13 ms in 1,000 topics, 50 ms in 100,000 (two cores, 2026-11). */
struct image *image_copy(const struct image *image);

/* Applies one record that belongs to batch `index`. The order is the log's. Never fails halfway.
 * > 0: IMAGE_E_KIND = this version does not know the record (a newer feature level), nothing
 * changed; IMAGE_E_BROKEN = the record contradicts the image (unknown topic, partition gap,
 * epochs going back): a damaged log; nothing changed. IMAGE_E_LEVEL = the record puts a feature
 * level in force that is above META_FEATURE_LEVEL: a newer version runs the cluster; nothing
 * changed, and image_level_refusal() has the sentence. */
enum { IMAGE_E_KIND = 1, IMAGE_E_BROKEN = 2, IMAGE_E_LEVEL = 3 };
MUST_CHECK int image_apply(struct image *image, uint64_t index, const struct meta_record *record);

/* After IMAGE_E_LEVEL: a sentence with both levels, this program's version, and what to do. */
void image_level_refusal(
        const struct image *image, const char *version, char *ret_text, size_t size);

/* Position in the metadata log, set by the shell after a whole batch was applied. */
struct image_position {
    uint64_t index;    /* N of the last applied batch; 0 = nothing */
    uint64_t crc;      /* chain checksum at N */
    uint64_t last_seq; /* seq of the last applied record */
};
struct image_position image_position(const struct image *image);
void image_set_position(struct image *image, struct image_position at);

uint64_t image_ctl_epoch(const struct image *image); /* of the last NEW_CONTROLLER; 0 = none */
int32_t image_controller_id(const struct image *image);

/* Queries. Lists are sorted (brokers by id, topics by name) and indexable; pointers live until
 * the next apply. */
size_t image_n_brokers(const struct image *image);
const struct image_broker *image_broker_at(const struct image *image, size_t i);
const struct image_broker *image_broker(const struct image *image, broker_id id); /* or NULL */
/* Registered with this epoch, unfenced and not shutting down. */
bool image_broker_is_active(const struct image *image, broker_id id);
/* The endpoint of that listener name, or NULL. */
const struct endpoint *image_broker_endpoint(const struct image_broker *broker, const char *listener);

size_t image_n_topics(const struct image *image);
const struct image_topic *image_topic_at(const struct image *image, size_t i);
/* Index of the first topic whose name is >= `name` (for paging). */
size_t image_topic_lower_bound(const struct image *image, const char *name);
const struct image_topic *image_topic_by_name(const struct image *image, const char *name); /* or NULL */
const struct image_topic *image_topic_by_id(const struct image *image, const struct uuid *id); /* or NULL */
const struct partition_state *image_partition(const struct image *image, const struct uuid *topic_id, int32_t partition);
size_t image_n_partitions(const struct image *image); /* of all topics */

/* The trash, the longest removed one first. */
size_t image_n_trash(const struct image *image);
const struct image_topic *image_trash_at(const struct image *image, size_t i);
const struct image_topic *image_trash_by_id(const struct image *image, const struct uuid *id); /* or NULL */
size_t image_n_trash_partitions(const struct image *image);
/* Purged topics, the longest purged one first; the oldest are forgotten. */
size_t image_n_tombstones(const struct image *image);
const struct image_tombstone *image_tombstone_at(const struct image *image, size_t i);

/* Value of a config: topic override, else NULL; cluster value, else NULL. Defaults are conf's
 * business. */
const char *image_topic_config(const struct image_topic *topic, const char *key);
const char *image_cluster_config(const struct image *image, const char *key);
const char *image_broker_config(const struct image_broker *broker, const char *key); /* or NULL */

/* "draining", "decommission", "running": the words of the API; "unknown" for a number of a newer version. */
const char *broker_intent_name(enum broker_intent intent);
const char *operation_kind_name(enum operation_kind kind);
const char *operation_state_name(enum operation_state state);

/* Whether it may get new replicas: active, and nobody wants otherwise. */
bool image_broker_is_open(const struct image_broker *broker);
/* Whether a partition, also one in the trash, has a replica there. */
bool image_broker_is_empty(const struct image *image, broker_id id);

/* Operations, by id: those that run, and the last that ended. */
size_t image_n_operations(const struct image *image);
const struct image_operation *image_operation_at(const struct image *image, size_t i);
const struct image_operation *image_operation(const struct image *image, uint64_t id); /* or NULL */

int64_t image_next_producer_id(const struct image *image);
int32_t image_feature_level(const struct image *image); /* of "metadata.version" */

/* The image as records that rebuild it, for a snapshot, in an order that image_apply() takes;
 * `emit` is called once a record, strings borrowed from the image. Two equal images emit equal
 * records. */
void image_snapshot(const struct image *image, void (*emit)(void *ctx, const struct meta_record *record), void *ctx);

/* The same in parts, for an image that nobody changes meanwhile: each call goes on where the cursor
 * stands (zero-initialised: the begin), for about `n_steps` records (a broker counts as one). True
 * while there is more. */
struct image_cursor {
    bool is_begun;
    size_t broker, operation, tombstone, trash, topic;
    int32_t step; /* of the topic: 0 = itself, p + 1 = its partition p; at last its removal */
};
bool image_snapshot_part(const struct image *image, struct image_cursor *at, size_t n_steps,
        void (*emit)(void *ctx, const struct meta_record *record), void *ctx);

/* Every invariant of an image that must hold after any record: the structure and S4 ([REP-2]).
 * For check_slow and tests. */
bool image_check(const struct image *image);
/* S5 ([REP-6]), which holds after the last record of a decision: no fenced, unpurged or
 * shutting-down broker leads or is in an ISR, but for the last replica that holds the data. A
 * decision may span batches. */
bool image_check_settled(const struct image *image);
