/* SPDX-License-Identifier: Apache-2.0 */
#include "common/domain/image.h"

#include "common/domain/image_impl.h"

static void copy_configs(const struct image_configs *from, struct image_configs *ret)
{
    for (size_t i = 0; i < from->n; i++) {
        *array_push(ret) = (struct image_config){
                .key = mem_strdup(from->items[i].key),
                .value = mem_strdup(from->items[i].value),
        };
    }
}

static void *copy_items(const void *items, size_t n, size_t item_size)
{
    return n > 0 ? mem_dup(items, n * item_size) : mem_alloc_n(n, item_size);
}

static struct image_broker *copy_broker(const struct image_broker *from)
{
    struct image_broker *b = mem_dup(from, sizeof(*from));

    b->rack = mem_strdup(from->rack);
    b->version = mem_strdup(from->version);
    b->endpoints = copy_items(from->endpoints, from->n_endpoints, sizeof(*from->endpoints));
    for (size_t i = 0; i < from->n_endpoints; i++) {
        b->endpoints[i].name = mem_strdup(from->endpoints[i].name);
        b->endpoints[i].host = mem_strdup(from->endpoints[i].host);
    }
    b->dirs = copy_items(from->dirs, from->n_dirs, sizeof(*from->dirs));
    b->configs = (struct image_configs){0};
    copy_configs(&from->configs, &b->configs);
    return b;
}

static struct topic_node *copy_topic(const struct image_topic *from)
{
    struct topic_node *node = mem_new(struct topic_node);
    struct image_topic *t = &node->topic;

    *t = *from;
    t->name = mem_strdup(from->name);
    /* Room for all that were announced, as image_apply() counts on it. */
    t->n_room = from->n_declared;
    t->partitions = mem_new_n(struct partition_state, (size_t)t->n_room);
    memcpy(t->partitions, from->partitions, (size_t)from->n_partitions * sizeof(*t->partitions));
    t->configs = (struct image_configs){0};
    copy_configs(&from->configs, &t->configs);
    return node;
}

struct image *image_copy(const struct image *image)
{
    struct image *to = image_new();

    to->position = image->position;
    to->ctl_epoch = image->ctl_epoch;
    to->controller_id = image->controller_id;
    to->feature_level = image->feature_level;
    to->next_producer_id = image->next_producer_id;
    to->n_partitions = image->n_partitions;
    copy_configs(&image->configs, &to->configs);
    for (size_t i = 0; i < image->brokers.n; i++) {
        *array_push(&to->brokers) = copy_broker(image->brokers.items[i]);
    }
    for (size_t i = 0; i < image->topics.n; i++) {
        struct topic_node *node = copy_topic(image->topics.items[i]);
        *array_push(&to->topics) = &node->topic;
        HASH_ADD(hh, to->topics_by_id, topic.id.bytes, sizeof(node->topic.id.bytes), node);
    }
    image_operations_copy(image, to);
    to->n_trash_partitions = image->n_trash_partitions;
    for (size_t i = 0; i < image->trash.n; i++) {
        *array_push(&to->trash) = &copy_topic(image->trash.items[i])->topic;
    }
    for (size_t i = 0; i < image->tombstones.n; i++) {
        *array_push(&to->tombstones) = image->tombstones.items[i];
    }
    return to;
}
