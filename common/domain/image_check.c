/* SPDX-License-Identifier: Apache-2.0 */
#include "common/domain/image.h"

#include "common/domain/image_impl.h"

#include <string.h>

static bool configs_are_sorted(const struct image_configs *configs)
{
    for (size_t i = 0; i < configs->n; i++) {
        if (configs->items[i].value == NULL) {
            return false;
        }
        if (i > 0 && strcmp(configs->items[i - 1].key, configs->items[i].key) >= 0) {
            return false;
        }
    }
    return true;
}

static bool broker_is_sound(const struct image *image, size_t i)
{
    const struct image_broker *b = image->brokers.items[i];

    if (b->id < 0 || b->epoch < 0 || (i > 0 && image->brokers.items[i - 1]->id >= b->id)) {
        return false;
    }
    return configs_are_sorted(&b->configs) && (!b->purge_pending || b->state == BROKER_FENCED);
}

static bool partition_is_sound(
        const struct image *image, const struct image_topic *t, const struct partition_state *p)
{
    if (p->partition != p - t->partitions || !uuid_equal(&p->topic_id, &t->id)) {
        return false;
    }
    for (int i = 0; i < p->replicas.n; i++) {
        if (image_broker(image, p->replicas.at[i]) == NULL) {
            return false;
        }
    }
    return partition_state_is_valid(p);
}

static bool content_is_sound(const struct image *image, const struct image_topic *t)
{
    for (int32_t p = 0; p < t->n_partitions; p++) {
        if (!partition_is_sound(image, t, &t->partitions[p])) {
            return false;
        }
    }
    return configs_are_sorted(&t->configs);
}

static bool topic_is_sound(const struct image *image, size_t i)
{
    const struct image_topic *t = image->topics.items[i];

    if (i > 0 && strcmp(image->topics.items[i - 1]->name, t->name) >= 0) {
        return false;
    }
    if (image_topic_by_id(image, &t->id) != t || t->n_partitions > t->n_declared) {
        return false;
    }
    return t->removed_at == 0 && content_is_sound(image, t);
}

/* [TRS-1] Each once, and not beside the topics that are there; in the order of removal. */
static bool trash_is_sound(const struct image *image)
{
    size_t n_partitions = 0;

    for (size_t i = 0; i < image->trash.n; i++) {
        const struct image_topic *t = image->trash.items[i];
        if (image_topic_by_id(image, &t->id) != NULL || image_trash_by_id(image, &t->id) != t ||
                t->n_partitions > t->n_declared || !content_is_sound(image, t)) {
            return false;
        }
        n_partitions += (size_t)t->n_partitions;
    }
    return n_partitions == image->n_trash_partitions &&
           image->tombstones.n <= IMAGE_TOMBSTONES_MAX;
}

bool image_check(const struct image *image)
{
    size_t n_partitions = 0;

    if (HASH_COUNT(image->topics_by_id) != image->topics.n ||
            !configs_are_sorted(&image->configs) || !trash_is_sound(image) ||
            !image_operations_are_sound(image)) {
        return false;
    }
    for (size_t i = 0; i < image->brokers.n; i++) {
        if (!broker_is_sound(image, i)) {
            return false;
        }
    }
    for (size_t i = 0; i < image->topics.n; i++) {
        if (!topic_is_sound(image, i)) {
            return false;
        }
        n_partitions += (size_t)image->topics.items[i]->n_partitions;
    }
    return n_partitions == image->n_partitions;
}

/* [REP-6] What one partition owes to the states of its brokers. */
static bool partition_is_settled(const struct image *image, const struct partition_state *p)
{
    for (int i = 0; i < p->isr.n; i++) {
        const struct image_broker *b = image_broker(image, p->isr.at[i]);
        if (b == NULL || (b->state == BROKER_FENCED && p->replicas.n > 1)) {
            return false;
        }
        if (b->state == BROKER_FENCED && p->leader == b->id) {
            return false;
        }
        if (b->state == BROKER_SHUTTING && p->isr.n > 1) {
            return false; /* Only the last one may stay until it is gone. */
        }
    }
    return true;
}

bool image_check_settled(const struct image *image)
{
    for (size_t i = 0; i < image->topics.n; i++) {
        const struct image_topic *t = image->topics.items[i];
        for (int32_t p = 0; p < t->n_partitions; p++) {
            if (!partition_is_settled(image, &t->partitions[p])) {
                return false;
            }
        }
    }
    return true;
}
