/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/roles.h"

#include <string.h>

#include "broker/log/log_trash.h"
#include "broker/shell/broker.h"
#include "broker/shell/fetcher.h"
#include "broker/shell/keeper.h"
#include "broker/shell/peers.h"
#include "broker/shell/registration.h"
#include "broker/shell/trash_keeper.h"
#include "common/base/array.h"
#include "common/base/mem.h"
#include "common/base/must.h"
#include "common/conf/conf.h"
#include "common/obs/log.h"

/* Orders of one round, by loop: a restarted broker has tens of thousands, and each data loop is woken once for its own. */
struct round {
    struct broker *b;
    struct loop_tasks *tasks; /* one list a data loop */
    bool is_catalog_old;      /* partitions came or went */
};

static void round_begin(struct round *r, struct broker *b)
{
    *r = (struct round){.b = b, .tasks = mem_new_n(struct loop_tasks, b->data.n)};
    for (uint32_t i = 0; i < b->data.n; i++) {
        STAILQ_INIT(&r->tasks[i]);
    }
}

static void round_end(struct round *r)
{
    for (uint32_t i = 0; i < r->b->data.n; i++) {
        loop_post_all(r->b->data.items[i].loop, &r->tasks[i]);
    }
    r->tasks = mem_free(r->tasks);
    if (r->is_catalog_old) {
        keeper_catalog_changed(r->b->keeper);
    }
}

static void order(struct round *r, struct partition *p, const struct partition_order *o)
{
    partition_order(p, o, &r->tasks[data_loops_for(&r->b->data, &p->key)]);
}

/* Its log goes to the trash; `is_moved`: not for long. */
static void discard(struct round *r, struct partition *p, bool is_moved)
{
    struct partition *taken = partitions_take(&r->b->partitions, &p->key.topic_id, p->key.number);

    must(taken == p);
    log_trash_begin(p->dir, &p->key.topic_id, p->key.number, p->name); /* before anybody can end it */
    if (is_moved) {
        trash_keeper_moved_away(r->b->trash, &p->key);
    }
    order(r, p, &(struct partition_order){.kind = PARTITION_DELETE});
    keeper_trash(r->b->keeper, p); /* takes the reference */
    r->is_catalog_old = true;
}

/* [TRS-14] No replica here any more, says a record that this incarnation was told of: its log goes, and is removed. */
static void leave(struct round *r, const struct partition_state *state)
{
    struct partition *p = partitions_get(&r->b->partitions, &state->topic_id, state->partition);

    if (p != NULL) {
        log_info("roles", "replica_moved_away", KV_STR("partition", p->name));
        discard(r, p, true);
        partition_unref(p);
    }
}

/* [TRS-8] Restored under another name while this broker was away: the folder goes the way that it would have gone. */
static void free_former_name(
        struct round *r, const struct image_topic *topic, const struct partition_state *state)
{
    struct partition *p = partitions_get(&r->b->partitions, &state->topic_id, state->partition);

    if (p != NULL && strcmp(p->topic, topic->name) != 0) {
        log_info("roles", "log_renamed", KV_STR("partition", p->name), KV_STR("to", topic->name));
        discard(r, p, false);
    }
    partition_unref(p);
}

/* One partition of the image that has a replica here. */
static void follow(struct round *r,
        const struct image_topic *topic,
        const struct topic_settings *settings,
        const struct partition_state *state)
{
    struct broker *b = r->b;
    struct partition_order o = {.kind = PARTITION_BECOME,
            .record = *state,
            .may_lead = broker_may_lead(b),
            .settings = *settings};
    size_t n_before = b->partitions.n;
    bool is_later = false;
    struct partition *p;

    o.n_peers = peers_of(b->image, &state->replicas, o.peers);
    free_former_name(r, topic, state);
    p = partitions_ensure(
            &b->partitions, &state->topic_id, state->partition, topic->name, &is_later);
    if (p == NULL) {
        log_error("roles", "no_folder", KV_STR("topic", topic->name),
                KV_I64("partition", state->partition),
                KV_STR("reason", "every log directory has failed"));
        return;
    }
    order(r, p, &o);
    keeper_note_flush_ms(b->keeper, settings->flush_ms);
    if (is_later) {
        trash_keeper_open(b->trash, p);
    }
    r->is_catalog_old = r->is_catalog_old || b->partitions.n != n_before;
}

static void follow_topic(struct round *r, const struct image_topic *topic)
{
    struct topic_settings settings = topic_settings_of(r->b->image, topic);
    for (int32_t i = 0; i < topic->n_partitions; i++) {
        if (broker_set_has(&topic->partitions[i].replicas, r->b->id)) {
            follow(r, topic, &settings, &topic->partitions[i]);
        }
    }
}

/* [TRS-13] A restarted broker is told history again: topics made, removed and restored under names that its folders do
 * not have any more, or not yet. Nothing that an earlier run applied is younger than this incarnation's registration, so
 * nothing is done to logs before that. */
static bool is_current(struct broker *b)
{
    const struct image_broker *me = image_broker(b->image, b->id);

    b->is_current = b->is_current || (me != NULL && b->registration != NULL &&
                                             registration_was(b->registration, me->epoch));
    return b->is_current;
}

void roles_remove_topic(struct broker *b, const struct image_topic *topic)
{
    struct round r;

    if (!is_current(b)) {
        return;
    }
    round_begin(&r, b);
    trash_keeper_image_moves(b->trash);
    partitions_forget_topic(&b->partitions, &topic->id);
    for (int32_t i = 0; i < topic->n_partitions; i++) {
        struct partition *p = partitions_get(&b->partitions, &topic->id, i);

        if (p != NULL) {
            discard(&r, p, false);
        }
        partition_unref(p);
    }
    round_end(&r);
}

static bool is_gone(const struct image *image, const struct uuid *id)
{
    for (size_t i = 0; i < image_n_tombstones(image); i++) {
        if (uuid_equal(&image_tombstone_at(image, i)->id, id)) {
            return true;
        }
    }
    return false;
}

/* Logs of topics that the image does not have: deleted while this broker was away. [BRK-10] What no image names is left
 * alone: an empty or older image must not wipe a broker. [TRS-10] Only when another topic needs the folder's name it
 * makes way, into the trash, where it is kept for a day. */
static void discard_deleted(struct round *r)
{
    const struct image *image = r->b->image;
    size_t n;
    struct partition **all = partitions_all(&r->b->partitions, &n);

    for (size_t i = 0; i < n; i++) {
        const struct uuid *id = &all[i]->key.topic_id;
        if (image_topic_by_id(image, id) == NULL) {
            bool is_deleted = image_trash_by_id(image, id) != NULL || is_gone(image, id);
            if (is_deleted || image_topic_by_name(image, all[i]->topic) != NULL) {
                log_info("roles", is_deleted ? "deleted_meanwhile" : "log_moved_aside",
                        KV_STR("partition", all[i]->name));
                discard(r, all[i], false);
            }
        }
        partition_unref(all[i]);
    }
    (void)mem_free(all);
}

/* Brokers have come, gone, or moved. */
static void look_at_peers(struct broker *b)
{
    if (peers_update(b->peers, b->image)) {
        fetchers_restart(b->fetchers);
    }
}

/* [REP-29] A leader judges its followers by what the image says of their brokers: the partitions led here that have a replica on
 * one of them are told. */
static void tell_leaders(struct round *r, const broker_id *touched, size_t n_touched)
{
    const struct image *image = r->b->image;

    for (size_t i = 0; i < image_n_topics(image); i++) {
        const struct image_topic *t = image_topic_at(image, i);
        struct topic_settings settings = topic_settings_of(image, t);

        for (int32_t n = 0; n < t->n_partitions; n++) {
            const struct partition_state *s = &t->partitions[n];
            bool is_touched = false;

            for (size_t k = 0; k < n_touched && s->leader == r->b->id; k++) {
                is_touched = is_touched || broker_set_has(&s->replicas, touched[k]);
            }
            if (is_touched) {
                follow(r, t, &settings, s);
            }
        }
    }
}

/* What the image says of the trash is another thing now. */
static void look_at_trash(struct broker *b)
{
    trash_keeper_image_moved(b->trash);
    keeper_sweep_trash(b->keeper);
}

void roles_all(struct broker *b)
{
    struct partition **all;
    struct round r;
    size_t n;

    if (!is_current(b)) {
        return;
    }
    round_begin(&r, b);
    trash_keeper_image_moves(b->trash);
    partitions_know_image(&b->partitions, b->image);
    discard_deleted(&r);
    for (size_t i = 0; i < image_n_topics(b->image); i++) {
        follow_topic(&r, image_topic_at(b->image, i));
    }
    all = partitions_all(&b->partitions, &n);
    for (size_t i = 0; i < n; i++) {
        const struct partition_state *s =
                image_partition(b->image, &all[i]->key.topic_id, all[i]->key.number);
        if (s == NULL) {
            order(&r, all[i], &(struct partition_order){.kind = PARTITION_STOP});
        } else if (!broker_set_has(&s->replicas, b->id)) {
            discard(&r, all[i], false); /* [TRS-14] For a day: nobody says when it left. */
        }
        partition_unref(all[i]);
    }
    (void)mem_free(all);
    round_end(&r);
    if (image_position(b->image).index > 0) {
        look_at_trash(b);
    }
    look_at_peers(b);
}

/* A default of topics is among what the cluster got. */
static bool changes_topics(const struct meta_record *r)
{
    bool is_any = false;

    for (size_t i = 0; r->config_set.scope == CONFIG_CLUSTER && i < r->config_set.n_configs; i++) {
        is_any = is_any || conf_find_dynamic(CONF_OF_BROKER, r->config_set.configs[i].key) == NULL;
    }
    return is_any;
}

static bool is_about_me(const struct broker *b, const struct meta_record *r)
{
    switch (r->kind) {
    case META_REGISTER_BROKER: return r->register_broker.id == b->id;
    case META_BROKER_PURGED:
    case META_FENCE_BROKER:
    case META_UNFENCE_BROKER:
    case META_BROKER_SHUTDOWN: return r->broker.id == b->id;
    case META_CONFIG_SET: return changes_topics(r);
    case META_NEW_CONTROLLER:
    case META_CREATE_TOPIC:
    case META_REMOVE_TOPIC:
    case META_PARTITION_STATE:
    case META_PRODUCER_ID_BLOCK:
    case META_FEATURE_SET:
    case META_PURGE_TOPIC:
    case META_RESTORE_TOPIC:
    case META_BROKER_INTENT:
    case META_BROKER_FORGOTTEN:
    case META_OPERATION: return false;
    }
    return false;
}

static void after_record(struct round *round, const struct meta_record *r)
{
    struct broker *b = round->b;
    const struct image_topic *topic;

    if (r->kind == META_PARTITION_STATE) {
        const struct partition_state *p =
                image_partition(b->image, &r->partition.topic_id, r->partition.partition);

        topic = image_topic_by_id(b->image, &r->partition.topic_id);
        if (topic == NULL || p == NULL) { /* removed later in the same batch */
            return;
        }
        partitions_know_topic(&b->partitions, &topic->id);
        if (broker_set_has(&p->replicas, b->id)) {
            struct topic_settings settings = topic_settings_of(b->image, topic);

            follow(round, topic, &settings, p);
        } else {
            leave(round, p);
        }
    } else if (r->kind == META_CONFIG_SET && r->config_set.scope == CONFIG_TOPIC) {
        topic = image_topic_by_id(b->image, &r->config_set.topic_id);
        if (topic != NULL) {
            follow_topic(round, topic);
            keeper_retain_soon(b->keeper);
        }
    } else if (r->kind == META_RESTORE_TOPIC) {
        topic = image_topic_by_id(b->image, &r->restore_topic.id);
        if (topic != NULL) {
            partitions_know_topic(&b->partitions, &topic->id);
            follow_topic(round, topic);
        }
    }
}

static bool touches_trash(const struct meta_record *r)
{
    return r->kind == META_REMOVE_TOPIC || r->kind == META_PURGE_TOPIC ||
           r->kind == META_RESTORE_TOPIC;
}

void roles_after_records(struct broker *b, const struct msg_record_list *records)
{
    struct round round;
    bool all = !b->is_current;

    for (size_t i = 0; i < records->n_records && !all; i++) {
        all = is_about_me(b, &records->records[i]);
    }
    if (all) {
        roles_all(b);
        keeper_retain_soon(b->keeper);
        return;
    }
    ARRAY(broker_id) touched = {0};
    bool is_trash_touched = false;

    round_begin(&round, b);
    for (size_t i = 0; i < records->n_records; i++) {
        broker_id about = record_broker(&records->records[i]);
        if (about != BROKER_NONE) {
            *array_push(&touched) = about;
        }
        after_record(&round, &records->records[i]);
        is_trash_touched = is_trash_touched || touches_trash(&records->records[i]);
    }
    if (touched.n > 0) {
        tell_leaders(&round, touched.items, touched.n);
        look_at_peers(b);
    }
    array_deinit(&touched);
    round_end(&round);
    if (is_trash_touched) {
        look_at_trash(b);
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
