/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What an image is made of; for image*.c alone. */
#include "common/base/array.h"
#include "common/base/map.h"
#include "common/domain/image.h"

struct topic_node {
    struct image_topic topic;
    UT_hash_handle hh; /* by topic.id */
};

struct image {
    struct topic_node *topics_by_id;
    ARRAY(struct image_topic *) topics;   /* sorted by name */
    ARRAY(struct image_topic *) trash;    /* by removal; not in topics_by_id */
    ARRAY(struct image_tombstone) tombstones; /* by purge */
    ARRAY(struct image_broker *) brokers; /* sorted by id */
    ARRAY(struct image_operation) operations; /* sorted by id */
    struct image_configs configs;         /* of the cluster */
    struct image_position position;
    uint64_t ctl_epoch;
    int32_t controller_id;
    int32_t feature_level;
    int32_t refused_level; /* of the last record that met IMAGE_E_LEVEL */
    int64_t next_producer_id;
    size_t n_partitions;
    size_t n_trash_partitions;
};

/* A topic that is there, or NULL. */
struct image_topic *image_find_topic(const struct image *image, const struct uuid *id);
void image_topic_free(struct image_topic *t);
void image_broker_free(struct image_broker *b);
/* image_operations.c */
int image_apply_intent(struct image *image, const struct meta_record *r);
int image_apply_forgotten(struct image *image, const struct meta_record *r);
int image_apply_operation(struct image *image, const struct meta_record *r);
void image_operations_free(struct image *image);
bool image_operations_are_sound(const struct image *image);
void image_operations_copy(const struct image *from, struct image *to);
/* A partition of a topic that is there names the operation (+1), or does not any more (-1). */
void image_operation_count(struct image *image, uint64_t id, int change);
void image_operation_count_topic(struct image *image, const struct image_topic *t, int change);
/* image_trash.c */
struct image_topic *image_find_trash(const struct image *image, const struct uuid *id);
int image_apply_remove(struct image *image, const struct meta_record *r);
int image_apply_purge(struct image *image, const struct meta_record *r);
int image_apply_restore(struct image *image, const struct meta_record *r);

#define IMAGE_FEATURE "metadata.version"
