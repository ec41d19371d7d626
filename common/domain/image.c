/* SPDX-License-Identifier: Apache-2.0 */
#include "common/domain/image.h"

#include "common/domain/image_impl.h"
#include "common/domain/name_rules.h"

#include <stdio.h>
#include <string.h>

/* --- Life ------------------------------------------------------------------------------------- */
struct image *image_new(void)
{
    struct image *image = mem_new(struct image);

    image->controller_id = -1;
    return image;
}

static void configs_deinit(struct image_configs *configs)
{
    for (size_t i = 0; i < configs->n; i++) {
        mem_free(configs->items[i].key);
        mem_free(configs->items[i].value);
    }
    array_deinit(configs);
}

/* Frees what a registration brought; configs stay. */
static void registration_deinit(struct image_broker *b)
{
    for (size_t i = 0; i < b->n_endpoints; i++) {
        mem_free((void *)(uintptr_t)b->endpoints[i].name);
        mem_free((void *)(uintptr_t)b->endpoints[i].host);
    }
    mem_free(b->endpoints);
    mem_free(b->dirs);
    mem_free(b->rack);
    mem_free(b->version);
}

void image_topic_free(struct image_topic *t)
{
    mem_free(t->name);
    mem_free(t->partitions);
    configs_deinit(&t->configs);
    mem_free(container_of(t, struct topic_node, topic));
}

void image_broker_free(struct image_broker *b)
{
    registration_deinit(b);
    configs_deinit(&b->configs);
    mem_free(b);
}

struct image *image_free(struct image *image)
{
    if (image == NULL) {
        return NULL;
    }
    HASH_CLEAR(hh, image->topics_by_id);
    for (size_t i = 0; i < image->topics.n; i++) {
        image_topic_free(image->topics.items[i]);
    }
    for (size_t i = 0; i < image->trash.n; i++) {
        image_topic_free(image->trash.items[i]);
    }
    for (size_t i = 0; i < image->brokers.n; i++) {
        image_broker_free(image->brokers.items[i]);
    }
    image_operations_free(image);
    array_deinit(&image->topics);
    array_deinit(&image->trash);
    array_deinit(&image->tombstones);
    array_deinit(&image->brokers);
    configs_deinit(&image->configs);
    return mem_free(image);
}

/* --- Finding ---------------------------------------------------------------------------------- */
static size_t broker_lower_bound(const struct image *image, broker_id id)
{
    size_t from = 0, to = image->brokers.n;

    while (from < to) {
        size_t mid = from + (to - from) / 2;
        if (image->brokers.items[mid]->id < id) {
            from = mid + 1;
        } else {
            to = mid;
        }
    }
    return from;
}

static struct image_broker *find_broker(const struct image *image, broker_id id)
{
    size_t i = broker_lower_bound(image, id);

    return i < image->brokers.n && image->brokers.items[i]->id == id ? image->brokers.items[i]
                                                                     : NULL;
}

size_t image_topic_lower_bound(const struct image *image, const char *name)
{
    size_t from = 0, to = image->topics.n;

    /* Snapshots and most tests bring names in order: the end is looked at first. */
    if (to > 0 && strcmp(image->topics.items[to - 1]->name, name) < 0) {
        return to;
    }
    while (from < to) {
        size_t mid = from + (to - from) / 2;
        if (strcmp(image->topics.items[mid]->name, name) < 0) {
            from = mid + 1;
        } else {
            to = mid;
        }
    }
    return from;
}

struct image_topic *image_find_topic(const struct image *image, const struct uuid *id)
{
    struct topic_node *node = NULL;

    HASH_FIND(hh, image->topics_by_id, id->bytes, sizeof(id->bytes), node);
    return node != NULL ? &node->topic : NULL;
}

static size_t config_lower_bound(const struct image_configs *configs, const char *key)
{
    size_t from = 0, to = configs->n;

    while (from < to) {
        size_t mid = from + (to - from) / 2;
        if (strcmp(configs->items[mid].key, key) < 0) {
            from = mid + 1;
        } else {
            to = mid;
        }
    }
    return from;
}

static const char *config_value(const struct image_configs *configs, const char *key)
{
    size_t i = config_lower_bound(configs, key);

    return i < configs->n && strcmp(configs->items[i].key, key) == 0 ? configs->items[i].value
                                                                     : NULL;
}

static void config_set(struct image_configs *configs, const struct meta_config_pair *pair)
{
    size_t i = config_lower_bound(configs, pair->key);
    bool is_there = i < configs->n && strcmp(configs->items[i].key, pair->key) == 0;

    if (is_there) {
        mem_free(configs->items[i].value);
        if (pair->value != NULL) {
            configs->items[i].value = mem_strdup(pair->value);
        } else {
            mem_free(configs->items[i].key);
            array_remove(configs, i);
        }
        return;
    }
    if (pair->value == NULL) {
        return; /* It has the default already. */
    }
    struct image_config *config = array_insert(configs, i);
    config->key = mem_strdup(pair->key);
    config->value = mem_strdup(pair->value);
}

static bool pairs_are_valid(const struct meta_config_pair *pairs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (pairs[i].key == NULL || pairs[i].key[0] == '\0') {
            return false;
        }
    }
    return true;
}

/* --- Brokers ---------------------------------------------------------------------------------- */
static int apply_new_controller(struct image *image, const struct meta_record *r)
{
    if (r->new_controller.ctl_epoch <= image->ctl_epoch) {
        return IMAGE_E_BROKEN;
    }
    image->ctl_epoch = r->new_controller.ctl_epoch;
    image->controller_id = r->new_controller.controller_id;
    return 0;
}

static void registration_copy(struct image_broker *b, const struct meta_register_broker *from)
{
    b->epoch = from->epoch;
    b->served_epoch = from->served_epoch;
    b->crash_kind = from->crash_kind;
    b->state = BROKER_FENCED;
    b->purge_pending = true;
    b->rack = mem_strdup(from->rack);
    b->version = mem_strdup(from->version);
    b->n_endpoints = from->n_endpoints;
    b->endpoints = mem_new_n(struct endpoint, from->n_endpoints);
    for (size_t i = 0; i < from->n_endpoints; i++) {
        b->endpoints[i] = (struct endpoint){
                .name = mem_strdup(from->endpoints[i].name),
                .host = mem_strdup(from->endpoints[i].host),
                .port = from->endpoints[i].port,
        };
    }
    b->n_dirs = from->n_dirs;
    b->dirs = mem_new_n(struct uuid, from->n_dirs);
    for (size_t i = 0; i < from->n_dirs; i++) {
        b->dirs[i] = from->dirs[i];
    }
}

static int apply_register_broker(struct image *image, const struct meta_register_broker *r)
{
    size_t at = broker_lower_bound(image, r->id);
    struct image_broker *b = find_broker(image, r->id);

    if (r->id < 0 || r->epoch < 0 || r->crash_kind < CRASH_CLEAN || r->crash_kind > CRASH_DISK ||
            (b != NULL && b->epoch == r->epoch)) {
        return IMAGE_E_BROKEN; /* [REP-7] A registration is a new incarnation. */
    }
    if (b == NULL) {
        b = mem_new(struct image_broker);
        b->id = r->id;
        *array_insert(&image->brokers, at) = b;
    } else {
        registration_deinit(b);
    }
    registration_copy(b, r);
    return 0;
}

static int apply_broker_state(struct image *image, const struct meta_record *r)
{
    struct image_broker *b = find_broker(image, r->broker.id);

    if (b == NULL || b->epoch != r->broker.epoch) {
        return IMAGE_E_BROKEN; /* [REP-7] Another incarnation's state is not this one's. */
    }
    if (r->kind == META_BROKER_PURGED) {
        if (!b->purge_pending) {
            return IMAGE_E_BROKEN;
        }
        b->purge_pending = false;
        return 0;
    }
    if (r->kind == META_FENCE_BROKER) {
        if (b->state == BROKER_FENCED) {
            return IMAGE_E_BROKEN;
        }
        b->state = BROKER_FENCED;
        return 0;
    }
    if (r->kind == META_UNFENCE_BROKER) {
        if (b->state != BROKER_FENCED || b->purge_pending) {
            return IMAGE_E_BROKEN; /* [REP-7] Registered, purged, unfenced: in this order. */
        }
        b->state = BROKER_ACTIVE;
        b->served_epoch = b->epoch;
        return 0;
    }
    must(r->kind == META_BROKER_SHUTDOWN);
    if (b->state != BROKER_ACTIVE) {
        return IMAGE_E_BROKEN;
    }
    b->state = BROKER_SHUTTING;
    return 0;
}

/* --- Topics ----------------------------------------------------------------------------------- */
static int apply_create_topic(struct image *image, uint64_t index, const struct meta_record *r)
{
    const char *name = r->create_topic.name;
    int32_t n = r->create_topic.n_partitions;
    int32_t rf = r->create_topic.replication_factor;

    if (uuid_is_zero(&r->create_topic.id) || image_find_topic(image, &r->create_topic.id) != NULL ||
            image_find_trash(image, &r->create_topic.id) != NULL ||
            topic_name_refusal(name) != NULL || image_topic_by_name(image, name) != NULL || n < 1 ||
            n > PARTITIONS_PER_TOPIC_MAX || rf < 1 || rf > REPLICAS_MAX ||
            !pairs_are_valid(r->create_topic.configs, r->create_topic.n_configs)) {
        return IMAGE_E_BROKEN;
    }
    struct topic_node *node = mem_new(struct topic_node);
    struct image_topic *t = &node->topic;
    uint64_t original = r->create_topic.created_at_index;

    t->id = r->create_topic.id;
    t->name = mem_strdup(name);
    t->internal = r->create_topic.internal;
    t->replication_factor = rf;
    t->created_at_index = original > 0 ? original : index;
    t->created_at = r->at;
    t->partitions = mem_new_n(struct partition_state, (size_t)n);
    t->n_declared = t->n_room = n;
    for (size_t i = 0; i < r->create_topic.n_configs; i++) {
        config_set(&t->configs, &r->create_topic.configs[i]);
    }
    *array_insert(&image->topics, image_topic_lower_bound(image, name)) = t;
    HASH_ADD(hh, image->topics_by_id, topic.id.bytes, sizeof(node->topic.id.bytes), node);
    return 0;
}

static bool replicas_are_known(const struct image *image, const struct broker_set *replicas)
{
    for (int i = 0; i < replicas->n; i++) {
        if (find_broker(image, replicas->at[i]) == NULL) {
            return false;
        }
    }
    return true;
}

/* [REP-3] Epochs only grow: the partition epoch with each record, the leader epoch with each
 * change of the leader. */
static bool may_follow(const struct partition_state *old, const struct partition_state *new)
{
    if (new->partition_epoch <= old->partition_epoch || new->leader_epoch < old->leader_epoch ||
            new->unclean_epoch < old->unclean_epoch) {
        return false;
    }
    return new->leader == old->leader || new->leader_epoch > old->leader_epoch;
}

/* [CTL-54] For one more partition than there are, announced or not. */
static void make_room(struct image_topic *t)
{
    if (t->n_partitions == t->n_room) {
        t->n_room *= 2;
        t->partitions = mem_resize(t->partitions, (size_t)t->n_room, sizeof(*t->partitions));
    }
    if (t->n_partitions == t->n_declared) {
        t->n_declared++;
    }
}

static int apply_partition(struct image *image, const struct partition_state *p)
{
    struct image_topic *live = image_find_topic(image, &p->topic_id);
    struct image_topic *t = live != NULL ? live : image_find_trash(image, &p->topic_id);

    if (t == NULL || !partition_state_is_valid(p) || p->partition > t->n_partitions ||
            p->partition >= PARTITIONS_PER_TOPIC_MAX ||
            !replicas_are_known(image, &p->replicas)) {
        return IMAGE_E_BROKEN;
    }
    if (p->partition < t->n_partitions) {
        if (!may_follow(&t->partitions[p->partition], p)) {
            return IMAGE_E_BROKEN;
        }
        if (live != NULL) {
            image_operation_count(image, t->partitions[p->partition].operation, -1);
        }
    } else if (live != NULL) {
        make_room(t);
        t->n_partitions++;
        image->n_partitions++;
    } else {
        return IMAGE_E_BROKEN; /* What is in the trash does not grow. */
    }
    t->partitions[p->partition] = *p;
    if (live != NULL) {
        image_operation_count(image, p->operation, 1);
    }
    if (p->partition == 0) { /* [CTL-58] Of the topic: what its first partition has, or is about to have. */
        t->replication_factor = p->replicas.n - p->removing.n;
    }
    return 0;
}

/* --- The rest --------------------------------------------------------------------------------- */
static struct image_configs *configs_of(struct image *image, const struct meta_record *r)
{
    struct image_topic *t = NULL;
    struct image_broker *b = NULL;

    switch (r->config_set.scope) {
    case CONFIG_CLUSTER: return &image->configs;
    case CONFIG_TOPIC: t = image_find_topic(image, &r->config_set.topic_id); break;
    case CONFIG_BROKER: b = find_broker(image, r->config_set.broker); break;
    }
    return t != NULL ? &t->configs : b != NULL ? &b->configs : NULL;
}

static int apply_config_set(struct image *image, const struct meta_record *r)
{
    struct image_configs *configs = configs_of(image, r);

    if (configs == NULL || !pairs_are_valid(r->config_set.configs, r->config_set.n_configs)) {
        return IMAGE_E_BROKEN;
    }
    for (size_t i = 0; i < r->config_set.n_configs; i++) {
        config_set(configs, &r->config_set.configs[i]);
    }
    return 0;
}

static int apply_producer_ids(struct image *image, const struct meta_record *r)
{
    int64_t end = 0;

    if (r->producer_ids.first < image->next_producer_id || r->producer_ids.count < 1 ||
            __builtin_add_overflow(r->producer_ids.first, r->producer_ids.count, &end)) {
        return IMAGE_E_BROKEN;
    }
    image->next_producer_id = end;
    return 0;
}

static int apply_feature(struct image *image, const struct meta_record *r)
{
    if (strcmp(r->feature.name, IMAGE_FEATURE) != 0) {
        return IMAGE_E_KIND;
    }
    if (r->feature.level < 1 || r->feature.level < image->feature_level) {
        return IMAGE_E_BROKEN;
    }
    if (r->feature.level > META_FEATURE_LEVEL) { /* [ZK-44] */
        image->refused_level = r->feature.level;
        return IMAGE_E_LEVEL;
    }
    image->feature_level = r->feature.level;
    return 0;
}

void image_level_refusal(
        const struct image *image, const char *version, char *ret_text, size_t size)
{
    (void)snprintf(ret_text, size,
            "feature level %d is in force in this cluster, and this version (%s) knows levels up "
            "to %d; run a version that knows level %d",
            image->refused_level, version, META_FEATURE_LEVEL, image->refused_level);
}

int image_apply(struct image *image, uint64_t index, const struct meta_record *record)
{
    switch (record->kind) {
    case META_NEW_CONTROLLER: return apply_new_controller(image, record);
    case META_REGISTER_BROKER: return apply_register_broker(image, &record->register_broker);
    case META_BROKER_PURGED:
    case META_FENCE_BROKER:
    case META_UNFENCE_BROKER:
    case META_BROKER_SHUTDOWN: return apply_broker_state(image, record);
    case META_CREATE_TOPIC: return apply_create_topic(image, index, record);
    case META_REMOVE_TOPIC: return image_apply_remove(image, record);
    case META_PURGE_TOPIC: return image_apply_purge(image, record);
    case META_RESTORE_TOPIC: return image_apply_restore(image, record);
    case META_PARTITION_STATE: return apply_partition(image, &record->partition);
    case META_CONFIG_SET: return apply_config_set(image, record);
    case META_PRODUCER_ID_BLOCK: return apply_producer_ids(image, record);
    case META_FEATURE_SET: return apply_feature(image, record);
    case META_BROKER_INTENT: return image_apply_intent(image, record);
    case META_BROKER_FORGOTTEN: return image_apply_forgotten(image, record);
    case META_OPERATION: return image_apply_operation(image, record);
    }
    return IMAGE_E_KIND;
}

/* --- Queries ---------------------------------------------------------------------------------- */
struct image_position image_position(const struct image *image)
{
    return image->position;
}

void image_set_position(struct image *image, struct image_position at)
{
    image->position = at;
}

uint64_t image_ctl_epoch(const struct image *image)
{
    return image->ctl_epoch;
}

int32_t image_controller_id(const struct image *image)
{
    return image->controller_id;
}

size_t image_n_brokers(const struct image *image)
{
    return image->brokers.n;
}

const struct image_broker *image_broker_at(const struct image *image, size_t i)
{
    must(i < image->brokers.n);
    return image->brokers.items[i];
}

const struct image_broker *image_broker(const struct image *image, broker_id id)
{
    return find_broker(image, id);
}

bool image_broker_is_active(const struct image *image, broker_id id)
{
    const struct image_broker *b = find_broker(image, id);

    return b != NULL && b->state == BROKER_ACTIVE;
}

const struct endpoint *image_broker_endpoint(
        const struct image_broker *broker, const char *listener)
{
    for (size_t i = 0; i < broker->n_endpoints; i++) {
        if (strcmp(broker->endpoints[i].name, listener) == 0) {
            return &broker->endpoints[i];
        }
    }
    return NULL;
}

size_t image_n_topics(const struct image *image)
{
    return image->topics.n;
}

const struct image_topic *image_topic_at(const struct image *image, size_t i)
{
    must(i < image->topics.n);
    return image->topics.items[i];
}

const struct image_topic *image_topic_by_name(const struct image *image, const char *name)
{
    size_t i = image_topic_lower_bound(image, name);

    return i < image->topics.n && strcmp(image->topics.items[i]->name, name) == 0
                   ? image->topics.items[i]
                   : NULL;
}

const struct image_topic *image_topic_by_id(const struct image *image, const struct uuid *id)
{
    return image_find_topic(image, id);
}

const struct partition_state *image_partition(
        const struct image *image, const struct uuid *topic_id, int32_t partition)
{
    const struct image_topic *t = image_find_topic(image, topic_id);

    return t != NULL && partition >= 0 && partition < t->n_partitions ? &t->partitions[partition]
                                                                      : NULL;
}

size_t image_n_partitions(const struct image *image)
{
    return image->n_partitions;
}

const char *image_topic_config(const struct image_topic *topic, const char *key)
{
    return config_value(&topic->configs, key);
}

const char *image_cluster_config(const struct image *image, const char *key)
{
    return config_value(&image->configs, key);
}

const char *image_broker_config(const struct image_broker *broker, const char *key)
{
    return config_value(&broker->configs, key);
}

int64_t image_next_producer_id(const struct image *image)
{
    return image->next_producer_id;
}

int32_t image_feature_level(const struct image *image)
{
    return image->feature_level;
}
