/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/roles.h"

#include "broker/shell/broker.h"
#include "broker/shell/keeper.h"
#include "common/base/array.h"
#include "common/base/mem.h"
#include "common/obs/log.h"

static void order(struct broker *b, struct partition *p, const struct partition_order *o)
{
    partition_order(p, o, data_loops_for(&b->data, &p->key));
}

/* One partition of the image. */
static void follow(struct broker *b,
        const struct image_topic *topic,
        const struct topic_settings *settings,
        const struct partition_state *state)
{
    struct partition_order o = {.kind = PARTITION_BECOME,
            .record = *state,
            .may_lead = broker_may_lead(b),
            .settings = *settings};
    size_t n_before = b->partitions.n;
    struct partition *p;

    partitions_know_topic(&b->partitions, &topic->id);
    if (!broker_set_has(&state->replicas, b->id)) {
        p = partitions_get(&b->partitions, &state->topic_id, state->partition);
        if (p != NULL) {
            o.kind = PARTITION_STOP; /* no replica here any more; the log stays */
            order(b, p, &o);
            partition_unref(p);
        }
        return;
    }
    p = partitions_ensure(&b->partitions, &state->topic_id, state->partition, topic->name);
    if (p == NULL) {
        log_error("roles", "no_folder", KV_STR("topic", topic->name),
                KV_I64("partition", state->partition),
                KV_STR("reason", "every log directory has failed"));
        return;
    }
    order(b, p, &o);
    if (b->partitions.n != n_before) {
        keeper_catalog_changed(b->keeper);
    }
}

static void follow_topic(struct broker *b, const struct image_topic *topic)
{
    struct topic_settings settings = topic_settings_of(b->image, topic);

    for (int32_t i = 0; i < topic->n_partitions; i++) {
        follow(b, topic, &settings, &topic->partitions[i]);
    }
}

void roles_remove_topic(struct broker *b, const struct image_topic *topic)
{
    partitions_forget_topic(&b->partitions, &topic->id);
    for (int32_t i = 0; i < topic->n_partitions; i++) {
        struct partition *p = partitions_take(&b->partitions, &topic->id, i);

        if (p != NULL) {
            order(b, p, &(struct partition_order){.kind = PARTITION_DELETE});
            keeper_trash(b->keeper, p); /* takes the reference */
            keeper_catalog_changed(b->keeper);
        }
    }
}

void roles_all(struct broker *b)
{
    struct partition **all;
    size_t n;

    partitions_know_image(&b->partitions, b->image);
    for (size_t i = 0; i < image_n_topics(b->image); i++) {
        follow_topic(b, image_topic_at(b->image, i));
    }
    /* [BRK-10] What no image names is left alone: an empty or older image must not wipe a broker. */
    all = partitions_all(&b->partitions, &n);
    for (size_t i = 0; i < n; i++) {
        if (image_partition(b->image, &all[i]->key.topic_id, all[i]->key.number) == NULL) {
            order(b, all[i], &(struct partition_order){.kind = PARTITION_STOP});
        }
        partition_unref(all[i]);
    }
    (void)mem_free(all);
}

static bool is_about_me(const struct broker *b, const struct meta_record *r)
{
    switch (r->kind) {
    case META_REGISTER_BROKER: return r->register_broker.id == b->id;
    case META_BROKER_PURGED:
    case META_FENCE_BROKER:
    case META_UNFENCE_BROKER:
    case META_BROKER_SHUTDOWN: return r->broker.id == b->id;
    case META_CONFIG_SET: return r->config_set.scope == CONFIG_CLUSTER;
    case META_NEW_CONTROLLER:
    case META_CREATE_TOPIC:
    case META_REMOVE_TOPIC:
    case META_PARTITION_STATE:
    case META_PRODUCER_ID_BLOCK:
    case META_FEATURE_SET: return false;
    }
    return false;
}

static void after_record(struct broker *b, const struct meta_record *r)
{
    const struct image_topic *topic;

    if (r->kind == META_PARTITION_STATE) {
        const struct partition_state *p =
                image_partition(b->image, &r->partition.topic_id, r->partition.partition);

        topic = image_topic_by_id(b->image, &r->partition.topic_id);
        if (topic != NULL && p != NULL) { /* else removed later in the same batch */
            struct topic_settings settings = topic_settings_of(b->image, topic);

            follow(b, topic, &settings, p);
        }
    } else if (r->kind == META_CONFIG_SET && r->config_set.scope == CONFIG_TOPIC) {
        topic = image_topic_by_id(b->image, &r->config_set.topic_id);
        if (topic != NULL) {
            follow_topic(b, topic);
        }
    }
}

void roles_after_records(struct broker *b, const struct msg_record_list *records)
{
    bool all = false;

    for (size_t i = 0; i < records->n_records && !all; i++) {
        all = is_about_me(b, &records->records[i]);
    }
    if (all) {
        roles_all(b);
        return;
    }
    for (size_t i = 0; i < records->n_records; i++) {
        after_record(b, &records->records[i]);
    }
}

struct msg_partition_ref *roles_failed(struct broker *b, size_t *ret_n)
{
    ARRAY(struct msg_partition_ref) failed = {0};
    struct partition **all;
    size_t n;

    all = partitions_all(&b->partitions, &n);
    for (size_t i = 0; i < n; i++) {
        const struct partition_state *s =
                image_partition(b->image, &all[i]->key.topic_id, all[i]->key.number);

        if (s != NULL && broker_set_has(&s->replicas, b->id) && atomic_load(&all[i]->is_failed)) {
            *array_push(&failed) = (struct msg_partition_ref){
                    .topic_id = all[i]->key.topic_id, .partition = all[i]->key.number};
        }
        partition_unref(all[i]);
    }
    (void)mem_free(all);
    *ret_n = failed.n;
    return failed.items;
}
