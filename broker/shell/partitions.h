/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "broker/shell/partition.h"

#include <pthread.h>

struct image;
struct known_topic;

/* All partitions of this broker, by topic id and number.
 *
 * It also knows which topics the image has, so that a request for a partition that is not here can be told apart from
 * one for a topic that does not exist.
 *
 * Only the control loop (and main before and after the loops) adds and removes; data loops and the pool look up under a
 * read lock and get a reference. A log that no image names stays in the table without a role, so that its folder is
 * known and left alone. */

struct broker_dirs {
    struct log_dir **items;
    size_t n;
};

struct partitions {
    struct partition_env *env;
    const struct broker_dirs *dirs;
    pthread_rwlock_t lock;
    struct partition *by_key; /* under `lock` */
    size_t n;
    struct known_topic *topics; /* of the image, by id; under `lock` */
    size_t *n_in_dir;           /* by folder; control only */
};

void partitions_init(
        struct partitions *t, struct partition_env *env, const struct broker_dirs *dirs);
/* Drops every reference of the table. */
void partitions_deinit(struct partitions *t);

/* A partition, not open yet, for every log that was found in folder `d`; borrowed, and mem_free() the array. Thread: main,
 * before the loops run. */
struct partition **partitions_add_found(struct partitions *t, size_t d, size_t *ret_n);

/* A reference, or NULL. Thread: any. */
struct partition *partitions_get(struct partitions *t, const struct uuid *topic_id, int32_t number);
/* Why partitions_get() gave nothing: UNKNOWN_TOPIC_ID when the image has no such topic, else
 * UNKNOWN_TOPIC_OR_PARTITION. Thread: any. */
int partitions_refusal(struct partitions *t, const struct uuid *topic_id);
const char *partitions_refusal_text(int error); /* its sentence; static */
/* The topics of the image, as they come and go. Thread: control. */
void partitions_know_topic(struct partitions *t, const struct uuid *topic_id);
void partitions_forget_topic(struct partitions *t, const struct uuid *topic_id);
/* Exactly those of the image from now on. Thread: control. */
void partitions_know_image(struct partitions *t, const struct image *image);
/* The partition, made when it is not there yet; borrowed until it is removed. NULL: no folder works any more. A log
 * that a checkpoint promises and no folder has is a lost one; one that is in the trash comes back. `ret_is_later`: it was
 * made, and its log is to be opened by partition_try_open(). Thread: control. */
struct partition *partitions_ensure(struct partitions *t,
        const struct uuid *topic_id,
        int32_t number,
        const char *topic,
        bool *ret_is_later);
/* Takes it out of the table; the caller gets the table's reference. NULL when absent. Thread: control. */
struct partition *partitions_take(
        struct partitions *t, const struct uuid *topic_id, int32_t number);
/* References to all of them, in no order; mem_free() the array and unref each. Thread: any. */
struct partition **partitions_all(struct partitions *t, size_t *ret_n);
