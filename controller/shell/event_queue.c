/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/shell/event_queue.h"

#include "common/base/mem.h"
#include "common/base/must.h"

#include <string.h>

/* The arenas here have no ceiling: what is copied was decoded under one. */

static const char *copy_text(struct arena *a, const char *s)
{
    const char *copy = s != NULL ? arena_strndup(a, s, strlen(s)) : "";

    must(copy != NULL);
    return copy;
}

static void *copy_array(struct arena *a, const void *items, size_t n, size_t item_size)
{
    void *copy = NULL;

    if (n == 0) {
        return NULL;
    }
    copy = arena_dup(a, items, n * item_size);
    must(copy != NULL);
    return copy;
}

static void copy_seen(struct meta_register_broker *b, struct arena *a)
{
    struct endpoint *endpoints = copy_array(a, b->endpoints, b->n_endpoints, sizeof(*b->endpoints));

    for (size_t i = 0; i < b->n_endpoints; i++) {
        endpoints[i].name = copy_text(a, endpoints[i].name);
        endpoints[i].host = copy_text(a, endpoints[i].host);
    }
    b->endpoints = endpoints;
    b->dirs = copy_array(a, b->dirs, b->n_dirs, sizeof(*b->dirs));
    b->rack = copy_text(a, b->rack);
    b->version = copy_text(a, b->version);
}

static const struct meta_config_pair *copy_pairs(
        struct arena *a, const struct meta_config_pair *pairs, size_t n)
{
    struct meta_config_pair *copy = copy_array(a, pairs, n, sizeof(*pairs));

    for (size_t i = 0; i < n; i++) {
        copy[i].key = copy_text(a, copy[i].key);
        if (copy[i].value != NULL) {
            copy[i].value = copy_text(a, copy[i].value);
        }
    }
    return copy;
}

static void copy_create(struct ctl_create_topic *t, struct arena *a)
{
    t->configs = copy_pairs(a, t->configs, t->n_configs);
    t->assignments = copy_array(a, t->assignments, t->n_assignments, sizeof(*t->assignments));
    t->name = copy_text(a, t->name);
}

static void copy_set(struct ctl_set_configs *s, struct arena *a)
{
    s->pairs = copy_pairs(a, s->pairs, s->n_pairs);
    s->topic = copy_text(a, s->topic);
}

static const struct ctl_alter_partition *copy_alter(
        struct arena *a, const struct ctl_alter_partition *partitions, size_t n)
{
    struct ctl_alter_partition *copy = copy_array(a, partitions, n, sizeof(*partitions));

    for (size_t i = 0; i < n; i++) {
        copy[i].isr = copy_array(a, copy[i].isr, copy[i].n_isr, sizeof(*copy[i].isr));
    }
    return copy;
}

static const struct ctl_failed_replica *copy_failed(
        struct arena *a, const struct ctl_failed_replica *replicas, size_t n)
{
    struct ctl_failed_replica *copy = copy_array(a, replicas, n, sizeof(*replicas));

    for (size_t i = 0; i < n; i++) {
        copy[i].reason = copy_text(a, copy[i].reason);
    }
    return copy;
}

static const struct ctl_elect_partition *copy_elect(
        struct arena *a, const struct ctl_elect_partition *partitions, size_t n)
{
    struct ctl_elect_partition *copy = copy_array(a, partitions, n, sizeof(*partitions));

    for (size_t i = 0; i < n; i++) {
        copy[i].topic = copy_text(a, copy[i].topic);
    }
    return copy;
}

static const struct ctl_reassign *copy_reassign(
        struct arena *a, const struct ctl_reassign *partitions, size_t n)
{
    struct ctl_reassign *copy = copy_array(a, partitions, n, sizeof(*partitions));

    for (size_t i = 0; i < n; i++) {
        copy[i].topic = copy_text(a, copy[i].topic);
    }
    return copy;
}

void event_queue_init(struct event_queue *q)
{
    STAILQ_INIT(&q->events);
}

void event_queue_deinit(struct event_queue *q)
{
    struct queued_event *e = NULL;

    while ((e = event_queue_pop(q)) != NULL) {
        queued_event_free(e);
    }
}

void event_queue_push(struct event_queue *q, const struct ctl_event *ev)
{
    struct queued_event *e = mem_new(struct queued_event);

    arena_init(&e->arena, 0);
    e->ev = *ev;
    e->ev.actor = copy_text(&e->arena, ev->actor);
    e->ev.reason = copy_text(&e->arena, ev->reason);
    switch (ev->kind) {
    case CTL_EV_BROKER_SEEN: copy_seen(&e->ev.seen, &e->arena); break;
    case CTL_EV_BROKER_READY:
        e->ev.ready.failed = copy_array(
                &e->arena, ev->ready.failed, ev->ready.n_failed, sizeof(*ev->ready.failed));
        break;
    case CTL_EV_ALTER_PARTITION:
        e->ev.alter.partitions = copy_alter(&e->arena, ev->alter.partitions, ev->alter.n);
        break;
    case CTL_EV_REPLICA_FAILED:
        e->ev.failed.replicas = copy_failed(&e->arena, ev->failed.replicas, ev->failed.n);
        break;
    case CTL_EV_LOG_ENDS:
        e->ev.ends.partitions = copy_array(
                &e->arena, ev->ends.partitions, ev->ends.n, sizeof(*ev->ends.partitions));
        break;
    case CTL_EV_SIZES:
        e->ev.sizes.items = copy_array(
                &e->arena, ev->sizes.items, ev->sizes.n, sizeof(*ev->sizes.items));
        break;
    case CTL_EV_REASSIGN:
        e->ev.reassign.partitions =
                copy_reassign(&e->arena, ev->reassign.partitions, ev->reassign.n);
        e->ev.reassign.topic = copy_text(&e->arena, ev->reassign.topic);
        if (ev->reassign.throttle != NULL) {
            e->ev.reassign.throttle = copy_text(&e->arena, ev->reassign.throttle);
        }
        break;
    case CTL_EV_ELECT:
        e->ev.elect.partitions = copy_elect(&e->arena, ev->elect.partitions, ev->elect.n);
        break;
    case CTL_EV_CREATE_TOPIC: copy_create(&e->ev.create, &e->arena); break;
    case CTL_EV_ADD_PARTITIONS:
        e->ev.add_partitions.name = copy_text(&e->arena, ev->add_partitions.name);
        break;
    case CTL_EV_DELETE_TOPIC:
        e->ev.delete_topic.name = copy_text(&e->arena, ev->delete_topic.name);
        break;
    case CTL_EV_RESTORE_TOPIC:
        e->ev.restore_topic.name = copy_text(&e->arena, ev->restore_topic.name);
        break;
    case CTL_EV_SET_CONFIGS: copy_set(&e->ev.set_configs, &e->arena); break;
    case CTL_EV_ELECTED:
    case CTL_EV_COMMITTED:
    case CTL_EV_DEPOSED:
    case CTL_EV_BROKERS_LISTED:
    case CTL_EV_BROKER_GONE:
    case CTL_EV_BROKER_REFUSED:
    case CTL_EV_BROKER_SILENT:
    case CTL_EV_BROKER_DIRS_FAILED:
    case CTL_EV_BROKER_SHUTDOWN:
    case CTL_EV_PRODUCER_IDS:
    case CTL_EV_PURGE_TOPIC:
    case CTL_EV_BROKER_INTENT:
    case CTL_EV_FORGET_BROKER:
    case CTL_EV_CANCEL_OPERATION:
    case CTL_EV_TICK: break;
    }
    STAILQ_INSERT_TAIL(&q->events, e, entry);
}

struct queued_event *event_queue_pop(struct event_queue *q)
{
    struct queued_event *e = STAILQ_FIRST(&q->events);

    if (e != NULL) {
        STAILQ_REMOVE_HEAD(&q->events, entry);
    }
    return e;
}

struct queued_event *queued_event_free(struct queued_event *e)
{
    arena_deinit(&e->arena);
    return mem_free(e);
}

static const struct ctl_placement *copy_placement(
        struct arena *a, const struct ctl_placement *placement, size_t n)
{
    struct ctl_placement *copy = copy_array(a, placement, n, sizeof(*placement));

    for (size_t i = 0; i < n; i++) {
        copy[i].why = copy_text(a, copy[i].why);
    }
    return copy;
}

static const struct ctl_altered *copy_altered(
        struct arena *a, const struct ctl_altered *altered, size_t n)
{
    struct ctl_altered *copy = copy_array(a, altered, n, sizeof(*altered));

    for (size_t i = 0; i < n; i++) {
        copy[i].detail = copy_text(a, copy[i].detail);
    }
    return copy;
}

static const struct ctl_elected *copy_elected(
        struct arena *a, const struct ctl_elected *elected, size_t n)
{
    struct ctl_elected *copy = copy_array(a, elected, n, sizeof(*elected));

    for (size_t i = 0; i < n; i++) {
        copy[i].topic = copy_text(a, copy[i].topic);
        copy[i].detail = copy_text(a, copy[i].detail);
    }
    return copy;
}

static const struct ctl_reassigned *copy_reassigned(
        struct arena *a, const struct ctl_reassigned *reassigned, size_t n)
{
    struct ctl_reassigned *copy = copy_array(a, reassigned, n, sizeof(*reassigned));

    for (size_t i = 0; i < n; i++) {
        copy[i].topic = copy_text(a, copy[i].topic);
        copy[i].detail = copy_text(a, copy[i].detail);
    }
    return copy;
}

struct ctl_reply ctl_reply_copy(const struct ctl_reply *reply, struct arena *a)
{
    struct ctl_reply copy = *reply;

    copy.placement = copy_placement(a, reply->placement, reply->n_placement);
    copy.altered = copy_altered(a, reply->altered, reply->n_altered);
    copy.elected = copy_elected(a, reply->elected, reply->n_elected);
    copy.reassigned = copy_reassigned(a, reply->reassigned, reply->n_reassigned);
    copy.detail = copy_text(a, reply->detail);
    copy.topic = reply->topic != NULL ? copy_text(a, reply->topic) : NULL;
    return copy;
}
