/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/arena.h"
#include "controller/core/ctl_state.h"

#include <stdarg.h>
#include <stdio.h>

void ctl_fx_deinit(struct ctl_fx *fx)
{
    if (fx->arena != NULL) {
        arena_deinit(fx->arena);
        mem_free(fx->arena);
    }
    mem_free(fx->items);
    *fx = (struct ctl_fx){0};
}

static enum meta_cause cause_of(enum ctl_event_kind kind)
{
    switch (kind) {
    case CTL_EV_BROKER_SEEN: return CAUSE_BROKER_REGISTERED;
    case CTL_EV_BROKER_GONE: return CAUSE_BROKER_GONE;
    case CTL_EV_BROKER_REFUSED: return CAUSE_BROKER_REFUSED;
    case CTL_EV_BROKER_SILENT: return CAUSE_BROKER_SILENT;
    case CTL_EV_BROKER_DIRS_FAILED: return CAUSE_BROKER_DIRS_FAILED;
    case CTL_EV_BROKER_READY: return CAUSE_BROKER_READY;
    case CTL_EV_BROKER_SHUTDOWN: return CAUSE_BROKER_SHUTDOWN;
    case CTL_EV_ALTER_PARTITION: return CAUSE_ISR_PROPOSED;
    case CTL_EV_REPLICA_FAILED: return CAUSE_REPLICA_FAILED;
    case CTL_EV_PRODUCER_IDS: return CAUSE_PRODUCER_IDS;
    case CTL_EV_CREATE_TOPIC:
    case CTL_EV_ADD_PARTITIONS:
    case CTL_EV_DELETE_TOPIC:
    case CTL_EV_PURGE_TOPIC:
    case CTL_EV_RESTORE_TOPIC:
    case CTL_EV_ELECT:
    case CTL_EV_REASSIGN:
    case CTL_EV_BROKER_INTENT:
    case CTL_EV_FORGET_BROKER:
    case CTL_EV_CANCEL_OPERATION:
    case CTL_EV_SET_CONFIGS: return CAUSE_ADMIN;
    case CTL_EV_ELECTED:
    case CTL_EV_BROKERS_LISTED:
    case CTL_EV_COMMITTED:
    case CTL_EV_DEPOSED:
    case CTL_EV_LOG_ENDS:
    case CTL_EV_SIZES:
    case CTL_EV_TICK: break;
    }
    return CAUSE_CONTROLLER_ELECTED;
}

/* Who is behind the event; "" = the controller itself. */
static const char *actor_of(struct ctl *c, const struct ctl_event *ev)
{
    broker_id id = ev->kind == CTL_EV_BROKER_READY      ? ev->ready.id
                   : ev->kind == CTL_EV_ALTER_PARTITION ? ev->alter.id
                   : ev->kind == CTL_EV_REPLICA_FAILED  ? ev->failed.id
                   : ev->kind == CTL_EV_BROKER_SHUTDOWN || ev->kind == CTL_EV_PRODUCER_IDS
                           ? ev->broker.id
                           : BROKER_NONE;

    return id != BROKER_NONE ? ctl_format(c, "broker %d", id) : ctl_strdup(c, ev->actor);
}

void ctl_fx_begin(struct ctl *c, const struct ctl_event *ev, struct ctl_fx *fx)
{
    if (fx->arena == NULL) {
        fx->arena = mem_new(struct arena);
    }
    arena_deinit(fx->arena);
    arena_init(fx->arena, 0);
    fx->n = 0;
    if (c->records.cap > 4096) {
        array_deinit(&c->records); /* A large decision does not hold its memory for ever. */
    }
    array_clear(&c->records);
    c->n_traced = c->n_unclean = c->n_reverted = 0;
    memset(&c->opening, 0, sizeof(c->opening));
    c->ev = ev;
    c->fx = fx;
    c->why = (struct meta_why){
            .cause = cause_of(ev->kind),
            .actor = actor_of(c, ev),
            .reason = ctl_strdup(c, ev->reason),
            .inputs = "",
    };
}

void ctl_fx_end(struct ctl *c)
{
    if (c->records.n > 0) {
        struct ctl_fx_item *item = array_insert(c->fx, (size_t)0);
        item->kind = CTL_FX_APPEND;
        item->append.records = c->records.items;
        item->append.n = c->records.n;
    }
    c->ev = NULL;
    c->fx = NULL;
}

const char *ctl_format(struct ctl *c, const char *format, ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return ctl_strdup(c, text);
}

const char *ctl_strdup(struct ctl *c, const char *s)
{
    if (s == NULL || s[0] == '\0') {
        return "";
    }
    const char *copy = arena_strndup(c->fx->arena, s, strlen(s));

    must(copy != NULL);
    return copy;
}

struct meta_record ctl_record(struct ctl *c, enum meta_kind kind, const char *inputs)
{
    struct meta_record r = {.kind = kind, .at = c->ev->wall, .why = c->why};

    r.why.inputs = inputs;
    return r;
}

/* What may let a leadership go back, or not yet: brokers that change, partitions that do. */
static bool stirs(enum meta_kind kind)
{
    return kind == META_PARTITION_STATE || kind == META_UNFENCE_BROKER ||
           kind == META_FENCE_BROKER || kind == META_REGISTER_BROKER ||
           kind == META_BROKER_SHUTDOWN || kind == META_BROKER_INTENT;
}

/* [CTL-64] A partition of the cluster's own has arrived: it may go on to more brokers. */
static bool ends_internal_move(const struct ctl *c, const struct meta_record *r)
{
    const struct image_topic *t = r->kind == META_PARTITION_STATE
                                          ? image_topic_by_id(c->next, &r->partition.topic_id)
                                          : NULL;

    return t != NULL && t->internal && !partition_is_moving(&r->partition) &&
           r->partition.partition < t->n_partitions;
}

/* [CTL-81] */
static bool stirs_balance(enum meta_kind kind)
{
    return (stirs(kind) && kind != META_PARTITION_STATE) || kind == META_BROKER_INTENT;
}

static bool ends_move(const struct ctl *c, const struct meta_record *r)
{
    const struct partition_state *was =
            c->balance.is_begun && r->kind == META_PARTITION_STATE
                    ? image_partition(c->next, &r->partition.topic_id, r->partition.partition)
                    : NULL;

    return was != NULL && partition_is_moving(was) && !partition_is_moving(&r->partition);
}

void ctl_append(struct ctl *c, const struct meta_record *record)
{
    struct meta_record *r = array_push(&c->records);

    c->is_stirred = c->is_stirred || stirs(record->kind);
    c->balance.is_stirred = c->balance.is_stirred || stirs_balance(record->kind);
    c->balance.has_arrived = c->balance.has_arrived || ends_move(c, record);
    c->is_raise_due = c->is_raise_due || record->kind == META_UNFENCE_BROKER ||
                      record->kind == META_BROKER_INTENT || ends_internal_move(c, record);

    *r = *record;
    r->seq = ++c->last_seq;
    must(record_stored_max(r) <= META_RECORD_MAX); /* [ZK-34] refused where the text came in */
    int applied = image_apply(c->next, 0, r); /* The batch's number is the store's to give. */
    must(applied == 0);
    ctl_note_for_empty(c, r);
}

void ctl_append_broker(
        struct ctl *c, enum meta_kind kind, broker_id id, int64_t epoch, const char *inputs)
{
    struct meta_record r = ctl_record(c, kind, inputs);

    r.broker.id = id;
    r.broker.epoch = epoch;
    ctl_append(c, &r);
}

struct ctl_reply *ctl_answer(struct ctl *c, int error, const char *detail)
{
    if (c->ev->request == 0) {
        return NULL;
    }
    struct ctl_fx_item *item = array_push(c->fx);

    item->kind = CTL_FX_REPLY;
    item->reply = (struct ctl_reply){
            .request = c->ev->request,
            .after_seq = c->next != NULL ? c->last_seq : 0,
            .error = error,
            .detail = detail,
    };
    return &item->reply;
}
