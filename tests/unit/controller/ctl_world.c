/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/controller/ctl_world.h"

#include "common/base/array.h"
#include "common/base/mem.h"
#include "controller/core/partition_change.h"
#include "tests/lib/check.h"
#include "tests/lib/image_text.h"

static void tell(void *ctx, const char *text)
{
    struct world *w = ctx;

    buf_append_str(&w->story, text);
    buf_append_str(&w->story, "\n");
}

static void init(struct world *w, int32_t replication_factor_max, uint64_t seed, bool has_journal)
{
    *w = (struct world){.trace = {.line = tell, .ctx = w}, .log = image_new(), .keep_n = -1, .wall = 1000};
    struct ctl_options options = {.seed = seed,
            .trace = &w->trace,
            .replication_factor_max = replication_factor_max,
            .trash_topics_max = WORLD_TRASH_TOPICS,
            .trash_partitions_max = WORLD_TRASH_PARTITIONS,
            .operations_max = WORLD_OPERATIONS,
            .has_journal = has_journal};

    w->ctl = ctl_new(&options);
}

void world_init(struct world *w, int32_t replication_factor_max, uint64_t seed)
{
    init(w, replication_factor_max, seed, false);
}

void world_init_with_balance(struct world *w, int32_t replication_factor_max)
{
    init(w, replication_factor_max, 42, false);
    w->ctl = ctl_free(w->ctl);
    const struct ctl_options options = {.seed = 42,
            .trace = &w->trace,
            .replication_factor_max = replication_factor_max,
            .trash_topics_max = WORLD_TRASH_TOPICS,
            .trash_partitions_max = WORLD_TRASH_PARTITIONS,
            .has_auto_balance = true};

    w->ctl = ctl_new(&options);
}

void world_init_with_journal(struct world *w, int32_t replication_factor_max)
{
    init(w, replication_factor_max, 42, true);
}

void world_deinit(struct world *w)
{
    w->ctl = ctl_free(w->ctl);
    ctl_fx_deinit(&w->fx);
    buf_deinit(&w->story);
    w->log = image_free(w->log);
}

static void take_append(struct world *w, const struct ctl_fx_item *item)
{
    size_t n = item->append.n;

    if (w->keep_n >= 0 && (size_t)w->keep_n < n) {
        n = (size_t)w->keep_n;
    }
    for (size_t i = 0; i < n; i++) {
        const struct meta_record *r = &item->append.records[i];
        CHECK_EQ(r->seq, ++w->last_seq);
        CHECK(r->why.cause != 0 && r->why.actor != NULL && r->why.reason != NULL);
        CHECK(r->why.inputs != NULL);
        CHECK_EQ(image_apply(w->log, 0, r), 0);
    }
    w->n_appended = n;
}

static void take_ask(struct world *w, const struct ctl_fx_item *item)
{
    struct world_ask *ask = &w->asks[w->n_asks++];

    CHECK(w->n_asks <= COUNT_OF(w->asks));
    CHECK(item->ask.n > 0 && item->ask.n <= COUNT_OF(ask->refs));
    *ask = (struct world_ask){.id = item->ask.id, .epoch = item->ask.epoch, .n = item->ask.n};
    for (size_t i = 0; i < ask->n; i++) {
        ask->refs[i] = item->ask.refs[i];
    }
}

const struct world_ask *world_ask_of(const struct world *w, broker_id id)
{
    for (size_t i = 0; i < w->n_asks; i++) {
        if (w->asks[i].id == id) {
            return &w->asks[i];
        }
    }
    CHECK(!"that broker was not asked");
    return NULL;
}

static void tell_ends(
        struct world *w, const struct world_ask *ask, const struct ctl_log_end *ends, size_t n)
{
    struct ctl_event ev = {.kind = CTL_EV_LOG_ENDS};

    ev.ends.id = ask->id;
    ev.ends.epoch = ask->epoch;
    ev.ends.partitions = ends;
    ev.ends.n = n;
    world_step(w, ev);
}

void world_tell(struct world *w, broker_id id, epoch32 last_epoch, offset64 end)
{
    const struct world_ask *ask = world_ask_of(w, id);
    const struct ctl_log_end one = {.ref = ask->refs[0], .last_epoch = last_epoch, .end = end};

    tell_ends(w, ask, &one, 1);
}

void world_tell_error(struct world *w, broker_id id, int error)
{
    const struct world_ask *ask = world_ask_of(w, id);
    struct ctl_log_end ends[COUNT_OF(ask->refs)];

    for (size_t k = 0; k < ask->n; k++) {
        ends[k] = (struct ctl_log_end){
                .ref = ask->refs[k], .error = error, .last_epoch = EPOCH_NONE, .end = OFFSET_NONE};
    }
    tell_ends(w, ask, ends, ask->n);
}

static void compare_images(const struct world *w)
{
    if (!ctl_is_active(w->ctl) || w->keep_n >= 0) {
        return;
    }
    char *mine = image_text(ctl_next_image(w->ctl));
    char *logged = image_text(w->log);

    CHECK_STR(mine, logged);
    mem_free(mine);
    mem_free(logged);
}

void world_step(struct world *w, struct ctl_event ev)
{
    ev.now = w->now;
    ev.wall = w->wall;
    ev.request = 77;
    ev.actor = ev.actor != NULL ? ev.actor : "";
    ev.reason = ev.reason != NULL ? ev.reason : "";
    w->has_reply = false;
    w->n_appended = 0;
    ctl_step(w->ctl, &ev, &w->fx);
    bool has_asked = false;

    for (size_t i = 0; i < w->fx.n; i++) {
        const struct ctl_fx_item *item = &w->fx.items[i];
        switch (item->kind) {
        case CTL_FX_APPEND:
            CHECK_EQ(i, 0);
            take_append(w, item);
            break;
        case CTL_FX_REPLY:
            CHECK(!w->has_reply);
            CHECK_EQ(item->reply.request, 77);
            CHECK(w->keep_n >= 0 || item->reply.after_seq <= w->last_seq);
            w->has_reply = true;
            w->reply = item->reply;
            break;
        case CTL_FX_ASK_SIZES: w->n_size_asks++; break;
        case CTL_FX_ASK_ENDS:
            w->n_asks = has_asked ? w->n_asks : 0;
            has_asked = true;
            take_ask(w, item);
            break;
        }
    }
    CHECK(ctl_check(w->ctl));
    CHECK(image_check(w->log));
    compare_images(w);
    w->keep_n = -1;
}

void world_elect(struct world *w)
{
    struct ctl_event ev = {.kind = CTL_EV_ELECTED};

    ev.elected.ctl_epoch = ++w->ctl_epoch;
    ev.elected.controller_id = 1;
    ev.elected.image = w->log;
    ev.elected.last_seq = w->last_seq;
    world_step(w, ev);
}

void world_listed(struct world *w)
{
    world_step(w, (struct ctl_event){.kind = CTL_EV_BROKERS_LISTED});
}

void world_seen(struct world *w, broker_id id, int64_t epoch, enum crash_kind kind)
{
    const struct image_broker *b = image_broker(w->log, id);

    world_seen_after(w, id, epoch, kind, b != NULL ? b->epoch : BROKER_EPOCH_NONE);
}

void world_seen_after(
        struct world *w, broker_id id, int64_t epoch, enum crash_kind kind, int64_t prev_epoch)
{
    world_seen_with(w, id, epoch, kind, prev_epoch, NULL);
}

void world_seen_with(struct world *w,
        broker_id id,
        int64_t epoch,
        enum crash_kind kind,
        int64_t prev_epoch,
        const struct uuid *dir)
{
    static const struct endpoint endpoint = {"weir", "127.0.0.1", 9190};
    struct ctl_event ev = {.kind = CTL_EV_BROKER_SEEN};

    ev.seen = (struct meta_register_broker){.id = id,
            .epoch = epoch,
            .crash_kind = kind,
            .rack = "",
            .version = "1",
            .endpoints = &endpoint,
            .n_endpoints = 1,
            .dirs = dir,
            .n_dirs = dir != NULL};
    ev.seen_prev_epoch = prev_epoch;
    world_step(w, ev);
}

void world_broker(struct world *w, enum ctl_event_kind kind, broker_id id, int64_t epoch)
{
    struct ctl_event ev = {.kind = kind};

    ev.broker.id = id;
    ev.broker.epoch = epoch;
    world_step(w, ev);
}

void world_ready(struct world *w, broker_id id, int64_t epoch)
{
    struct ctl_event ev = {.kind = CTL_EV_BROKER_READY};

    ev.ready.id = id;
    ev.ready.epoch = epoch;
    world_step(w, ev);
}

void world_ready_but(
        struct world *w, broker_id id, int64_t epoch, const char *topic, int32_t partition)
{
    const struct partition_state *p = world_partition(w, topic, partition);
    struct ctl_partition_ref failed = {.topic_id = p->topic_id, .partition = partition};
    struct ctl_event ev = {.kind = CTL_EV_BROKER_READY};

    ev.ready.id = id;
    ev.ready.epoch = epoch;
    ev.ready.failed = &failed;
    ev.ready.n_failed = 1;
    world_step(w, ev);
}

void world_failed(struct world *w, broker_id id, int64_t epoch, const char *topic, int32_t partition)
{
    const struct partition_state *p = world_partition(w, topic, partition);
    struct ctl_failed_replica replica = {
            .ref = {.topic_id = p->topic_id, .partition = partition}, .reason = "checksum"};
    struct ctl_event ev = {.kind = CTL_EV_REPLICA_FAILED};

    ev.failed.id = id;
    ev.failed.epoch = epoch;
    ev.failed.replicas = &replica;
    ev.failed.n = 1;
    world_step(w, ev);
    CHECK(w->has_reply);
}

int world_propose(
        struct world *w, const char *topic, int32_t partition, const struct world_proposal *p)
{
    const struct partition_state *now = world_partition(w, topic, partition);
    struct ctl_alter_partition alter = {
            .ref = {.topic_id = now->topic_id, .partition = partition},
            .leader_epoch = now->leader_epoch + p->leader_epoch_off,
            .partition_epoch = now->partition_epoch + p->partition_epoch_off,
            .isr = p->isr,
            .n_isr = p->n,
            .is_recovered = p->is_recovered,
            .is_durable = p->is_durable,
    };
    struct ctl_event ev = {.kind = CTL_EV_ALTER_PARTITION};

    ev.alter.id = p->from;
    ev.alter.epoch = p->from_epoch;
    ev.alter.partitions = &alter;
    ev.alter.n = 1;
    world_step(w, ev);
    CHECK(w->has_reply);
    if (w->reply.error != ERRCODE_NONE) {
        CHECK_EQ(w->reply.n_altered, 0);
        return w->reply.error;
    }
    CHECK_EQ(w->reply.n_altered, 1);
    CHECK_EQ(w->reply.altered[0].ref.partition, partition);
    if (w->reply.altered[0].error == ERRCODE_NONE) {
        now = image_partition(ctl_next_image(w->ctl), &alter.ref.topic_id, partition);
        CHECK(!partition_differs(&w->reply.altered[0].state, now));
        CHECK_EQ(w->reply.altered[0].state.partition_epoch, now->partition_epoch);
    }
    return w->reply.altered[0].error;
}

const struct ctl_reassigned *world_reassign(
        struct world *w, const char *topic, int32_t partition, struct broker_set target)
{
    struct ctl_reassign asked = {.topic = topic, .partition = partition, .replicas = target};
    struct ctl_event ev = {.kind = CTL_EV_REASSIGN, .actor = "http 127.0.0.1"};

    ev.reassign.partitions = &asked;
    ev.reassign.n = 1;
    world_step(w, ev);
    CHECK(w->has_reply);
    CHECK_EQ(w->reply.error, ERRCODE_NONE);
    CHECK_EQ(w->reply.n_reassigned, 1);
    return &w->reply.reassigned[0];
}

void world_create(
        struct world *w, const char *name, int32_t n_partitions, int32_t replication_factor)
{
    struct ctl_event ev = {.kind = CTL_EV_CREATE_TOPIC, .actor = "http 127.0.0.1"};

    ev.create.name = name;
    ev.create.n_partitions = n_partitions;
    ev.create.replication_factor = replication_factor;
    world_step(w, ev);
    CHECK(w->has_reply);
}

void world_delete(struct world *w, const char *name)
{
    struct ctl_event ev = {.kind = CTL_EV_DELETE_TOPIC, .actor = "http 127.0.0.1"};

    ev.delete_topic.name = name;
    world_step(w, ev);
    CHECK(w->has_reply);
}

static struct uuid last_trashed(const struct world *w)
{
    size_t n = image_n_trash(w->log);

    return n > 0 ? image_trash_at(w->log, n - 1)->id : (struct uuid){{0xff}};
}

void world_restore(struct world *w, const char *as)
{
    struct ctl_event ev = {.kind = CTL_EV_RESTORE_TOPIC, .actor = "http 127.0.0.1"};

    ev.restore_topic.id = last_trashed(w);
    ev.restore_topic.name = as;
    world_step(w, ev);
    CHECK(w->has_reply);
}

void world_purge(struct world *w)
{
    struct ctl_event ev = {.kind = CTL_EV_PURGE_TOPIC, .actor = "http 127.0.0.1"};

    ev.purge_topic.id = last_trashed(w);
    world_step(w, ev);
    CHECK(w->has_reply);
}

void world_start(struct world *w, broker_id n_brokers)
{
    world_elect(w);
    world_listed(w);
    for (broker_id id = 1; id <= n_brokers; id++) {
        world_seen(w, id, 100 + id, CRASH_CLEAN);
        world_ready(w, id, 100 + id);
    }
    buf_clear(&w->story);
}

const struct partition_state *world_partition(
        const struct world *w, const char *topic, int32_t partition)
{
    const struct image_topic *t = image_topic_by_name(w->log, topic);

    CHECK(t != NULL);
    CHECK(partition < t->n_partitions);
    return &t->partitions[partition];
}

const char *world_story(struct world *w)
{
    const char *text = buf_str(&w->story);

    w->story.size = 0;
    return text;
}
