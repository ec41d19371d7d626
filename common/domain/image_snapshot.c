/* SPDX-License-Identifier: Apache-2.0 */
#include "common/domain/image.h"

#include "common/domain/image_impl.h"

struct writer {
    void (*emit)(void *ctx, const struct meta_record *record);
    void *ctx;
    ARRAY(struct meta_config_pair) pairs; /* scratch */
};

/* A snapshot's records carry no seq, time or cause of their own: the decisions behind them are
 * in the log. */
static struct meta_record record_of(enum meta_kind kind)
{
    return (struct meta_record){
            .kind = kind,
            .why = {.cause = CAUSE_CONTROLLER_ELECTED, .actor = "", .reason = "", .inputs = ""},
    };
}

/* [ZK-34] As many pairs from `from` on as one record may have, at least one; the index of the next. Set bit by bit,
 * configurations can be more together than one record is. */
static size_t gather_pairs(struct writer *w, const struct image_configs *configs, size_t from)
{
    size_t size = 0;

    array_clear(&w->pairs);
    for (; from < configs->n; from++) {
        struct meta_config_pair pair = {
                .key = configs->items[from].key, .value = configs->items[from].value};
        size += record_configs_max(&pair, 1);
        if (size > META_CONFIGS_MAX && w->pairs.n > 0) {
            break;
        }
        *array_push(&w->pairs) = pair;
    }
    return from;
}

/* The configurations from index `from` on. */
static void emit_configs(struct writer *w,
        const struct image_configs *configs,
        size_t from,
        const struct meta_record *like)
{
    while (from < configs->n) {
        struct meta_record r = *like;
        from = gather_pairs(w, configs, from);
        r.config_set.configs = w->pairs.items;
        r.config_set.n_configs = w->pairs.n;
        w->emit(w->ctx, &r);
    }
}

static struct meta_record config_record(enum config_scope scope, broker_id broker)
{
    struct meta_record r = record_of(META_CONFIG_SET);

    r.config_set.scope = scope;
    r.config_set.broker = broker;
    return r;
}

static void emit_head(struct writer *w, const struct image *image)
{
    if (image->ctl_epoch > 0) {
        struct meta_record r = record_of(META_NEW_CONTROLLER);
        r.new_controller.ctl_epoch = image->ctl_epoch;
        r.new_controller.controller_id = image->controller_id;
        w->emit(w->ctx, &r);
    }
    if (image->feature_level > 0) {
        struct meta_record r = record_of(META_FEATURE_SET);
        r.feature.name = IMAGE_FEATURE;
        r.feature.level = image->feature_level;
        w->emit(w->ctx, &r);
    }
    struct meta_record configs = config_record(CONFIG_CLUSTER, BROKER_NONE);

    emit_configs(w, &image->configs, 0, &configs);
    if (image->next_producer_id > 0) {
        struct meta_record r = record_of(META_PRODUCER_ID_BLOCK);
        r.producer_ids.broker = BROKER_NONE;
        r.producer_ids.broker_epoch = BROKER_EPOCH_NONE;
        r.producer_ids.first = image->next_producer_id - 1;
        r.producer_ids.count = 1;
        w->emit(w->ctx, &r);
    }
}

static void emit_broker_state(
        struct writer *w, const struct image_broker *b, enum meta_kind kind, bool is_due)
{
    if (!is_due) {
        return;
    }
    struct meta_record r = record_of(kind);

    r.broker.id = b->id;
    r.broker.epoch = b->epoch;
    w->emit(w->ctx, &r);
}

static void emit_broker(struct writer *w, const struct image_broker *b)
{
    struct meta_record r = record_of(META_REGISTER_BROKER);

    r.register_broker = (struct meta_register_broker){
            .id = b->id,
            .epoch = b->epoch,
            .served_epoch = b->served_epoch,
            .crash_kind = b->crash_kind,
            .rack = b->rack,
            .version = b->version,
            .endpoints = b->endpoints,
            .n_endpoints = b->n_endpoints,
            .dirs = b->dirs,
            .n_dirs = b->n_dirs,
    };
    w->emit(w->ctx, &r);
    emit_broker_state(w, b, META_BROKER_PURGED, !b->purge_pending);
    emit_broker_state(w, b, META_UNFENCE_BROKER, b->state != BROKER_FENCED);
    emit_broker_state(w, b, META_BROKER_SHUTDOWN, b->state == BROKER_SHUTTING);
    if (b->intent != BROKER_WANTED) {
        struct meta_record intent = record_of(META_BROKER_INTENT);
        intent.intent.id = b->id;
        intent.intent.intent = b->intent;
        w->emit(w->ctx, &intent);
    }
    struct meta_record configs = config_record(CONFIG_BROKER, b->id);

    emit_configs(w, &b->configs, 0, &configs);
}

static void emit_topic(struct writer *w, const struct image_topic *t)
{
    struct meta_record r = record_of(META_CREATE_TOPIC);

    size_t n_given = gather_pairs(w, &t->configs, 0);

    r.at = t->created_at;
    r.create_topic.id = t->id;
    r.create_topic.name = t->name;
    r.create_topic.internal = t->internal;
    r.create_topic.n_partitions = t->n_declared;
    r.create_topic.replication_factor = t->replication_factor;
    r.create_topic.created_at_index = t->created_at_index;
    r.create_topic.configs = w->pairs.items;
    r.create_topic.n_configs = w->pairs.n;
    w->emit(w->ctx, &r);
    struct meta_record configs = config_record(CONFIG_TOPIC, BROKER_NONE);

    configs.config_set.topic_id = t->id;
    emit_configs(w, &t->configs, n_given, &configs);
}

static void emit_removal(struct writer *w, const struct image_topic *t)
{
    struct meta_record r = record_of(META_REMOVE_TOPIC);

    r.at = t->removed_at;
    r.remove_topic.id = t->id;
    w->emit(w->ctx, &r);
}

static void emit_operation(struct writer *w, const struct image_operation *o)
{
    struct meta_record r = record_of(META_OPERATION);

    r.operation = o->is;
    w->emit(w->ctx, &r);
}

static void emit_tombstone(struct writer *w, const struct image_tombstone *t)
{
    struct meta_record r = record_of(META_PURGE_TOPIC);

    r.at = t->at;
    r.purge_topic.id = t->id;
    r.purge_topic.is_tombstone = true;
    w->emit(w->ctx, &r);
}

/* One step of a topic: itself, one of its partitions, or, of one in the trash, its removal. True:
 * it was the last. */
static bool emit_topic_step(struct writer *w, const struct image_topic *t, bool is_trash, int32_t step)
{
    int32_t n_steps = 1 + t->n_partitions + (is_trash ? 1 : 0);

    if (step == 0) {
        emit_topic(w, t);
    } else if (step <= t->n_partitions) {
        struct meta_record state = record_of(META_PARTITION_STATE);
        state.partition = t->partitions[step - 1];
        w->emit(w->ctx, &state);
    } else {
        emit_removal(w, t);
    }
    return step + 1 == n_steps;
}

static void emit_next(struct writer *w, const struct image_topic *t, bool is_trash, size_t *index, int32_t *step)
{
    if (emit_topic_step(w, t, is_trash, *step)) {
        (*index)++;
        *step = 0;
    } else {
        (*step)++;
    }
}

bool image_snapshot_part(const struct image *image,
        struct image_cursor *at,
        size_t n_steps,
        void (*emit)(void *ctx, const struct meta_record *record),
        void *ctx)
{
    struct writer w = {.emit = emit, .ctx = ctx};

    if (!at->is_begun) {
        at->is_begun = true;
        emit_head(&w, image);
    }
    for (; n_steps > 0 && at->broker < image->brokers.n; n_steps--) {
        emit_broker(&w, image->brokers.items[at->broker++]);
    }
    /* In front of the partitions, which name them. */
    for (; n_steps > 0 && at->operation < image->operations.n; n_steps--) {
        emit_operation(&w, &image->operations.items[at->operation++]);
    }
    for (; n_steps > 0 && at->tombstone < image->tombstones.n; n_steps--) {
        emit_tombstone(&w, &image->tombstones.items[at->tombstone++]);
    }
    /* [TRS-1] A topic in the trash is one that was made and removed; its name may be another's by now, which therefore comes
     * after it. */
    for (; n_steps > 0 && at->trash < image->trash.n; n_steps--) {
        emit_next(&w, image->trash.items[at->trash], true, &at->trash, &at->step);
    }
    for (; n_steps > 0 && at->topic < image->topics.n; n_steps--) {
        emit_next(&w, image->topics.items[at->topic], false, &at->topic, &at->step);
    }
    array_deinit(&w.pairs);
    return at->broker < image->brokers.n || at->operation < image->operations.n ||
           at->tombstone < image->tombstones.n || at->trash < image->trash.n ||
           at->topic < image->topics.n;
}

void image_snapshot(const struct image *image,
        void (*emit)(void *ctx, const struct meta_record *record),
        void *ctx)
{
    struct image_cursor at = {0};

    must(!image_snapshot_part(image, &at, SIZE_MAX, emit, ctx));
}
