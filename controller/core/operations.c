/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/arena.h"
#include "controller/core/ctl_state.h"

/* Operations: what somebody asked for and that goes on for a while. All of it is in the image, so a controller that takes
 * over goes on with it.
 *
 *   request ─▶ running ─ nothing is left to do ─▶ done
 *                 └──── taken back, undrained ──▶ cancelled */

/* --- Records ---------------------------------------------------------------------------------- */

const char *ctl_operation_refusal(struct ctl *c)
{
    size_t n = 0;

    for (size_t i = 0; i < image_n_operations(c->next); i++) {
        n += image_operation_at(c->next, i)->is.state == OPERATION_RUNNING;
    }
    return n < c->operations_max
                   ? NULL
                   : ctl_format(
                             c, "%zu operations run; wait until one has ended, or cancel one", n);
}

static void append(struct ctl *c, const struct meta_operation *o)
{
    struct meta_record r = ctl_record(c, META_OPERATION, "");

    r.operation = *o;
    r.operation.detail = ctl_strdup(c, o->detail);
    r.operation.actor = ctl_strdup(c, o->actor);
    r.operation.reason = ctl_strdup(c, o->reason);
    ctl_append(c, &r);
}

uint64_t ctl_operation_begin(struct ctl *c,
        enum operation_kind kind,
        const struct broker_set *brokers,
        int32_t n_partitions,
        const char *detail)
{
    const struct meta_operation o = {.id = c->last_seq + 1,
            .kind = kind,
            .state = OPERATION_RUNNING,
            .brokers = *brokers,
            .n_partitions = n_partitions,
            .started = c->ev->wall,
            .detail = detail,
            .actor = c->why.actor,
            .reason = c->why.reason};

    append(c, &o);
    trace_emit(c->trace, "ctl  operation %llu begins: %s", (unsigned long long)o.id,
            operation_kind_name(kind));
    return o.id;
}

uint64_t ctl_operation_of_move(struct ctl *c)
{
    if (c->opening.kind == 0) {
        return 0; /* Nobody asked for it. */
    }
    if (c->opening.id == 0) { /* [CTL-75] */
        c->opening.id = ctl_operation_begin(c, c->opening.kind, &c->opening.brokers, 1, "");
    }
    c->opening.n++;
    return c->opening.id;
}

void ctl_operation_update(struct ctl *c, const struct meta_operation *o)
{
    const struct image_operation *was = image_operation(c->next, o->id);

    must(was != NULL);
    if (was->is.state != o->state || was->is.n_partitions != o->n_partitions ||
            !broker_set_equal(&was->is.brokers, &o->brokers) ||
            strcmp(was->is.detail, o->detail) != 0) {
        append(c, o);
    }
}

uint64_t ctl_operation_close(struct ctl *c)
{
    uint64_t id = c->opening.id;

    if (id != 0 && c->opening.kind != OPERATION_DECOMMISSION) {
        struct meta_operation o = image_operation(c->next, id)->is;
        o.n_partitions = c->opening.n;
        ctl_operation_update(c, &o);
    }
    c->opening.kind = 0;
    return id;
}

uint64_t ctl_operation_for(const struct ctl *c, enum operation_kind kind, broker_id id)
{
    for (size_t i = 0; i < image_n_operations(c->next); i++) {
        const struct meta_operation *o = &image_operation_at(c->next, i)->is;
        if (o->state == OPERATION_RUNNING && o->kind == kind && broker_set_has(&o->brokers, id)) {
            return o->id;
        }
    }
    return 0;
}

void ctl_operation_end(struct ctl *c, uint64_t id, enum operation_state state, const char *detail)
{
    struct meta_operation o = image_operation(c->next, id)->is;

    o.state = state;
    o.ended = c->ev->wall;
    o.detail = detail;
    trace_emit(c->trace, "ctl  operation %llu (%s) %s: %s", (unsigned long long)id,
            operation_kind_name(o.kind), operation_state_name(state), detail);
    append(c, &o);
}

/* --- The end ---------------------------------------------------------------------------------- */

/* Whether this step changed anything that the brokers lead or hold. */
static bool concerns(const struct ctl *c, const struct broker_set *brokers)
{
    if (c->ev->kind ==
            CTL_EV_BROKERS_LISTED) { /* [CTL-2] Its predecessor may not have come to it. */
        return true;
    }
    for (size_t k = 0; k < c->records.n; k++) {
        const struct meta_record *r = &c->records.items[k];
        if (r->kind == META_REMOVE_TOPIC || r->kind == META_BROKER_INTENT ||
                r->kind == META_OPERATION) {
            return true;
        }
        for (int i = 0; r->kind == META_PARTITION_STATE && i < brokers->n; i++) {
            const struct partition_state *p = &r->partition;
            /* One that has left it is named by the operation no more, and by its record neither. */
            if (!partition_is_moving(p) || broker_set_has(&p->replicas, brokers->at[i])) {
                return true;
            }
        }
    }
    return false;
}

/* NULL, or what there is to say now that it is done. */
static const char *drained(struct ctl *c, const struct meta_operation *o)
{
    uint32_t n_single = 0, n_kept = 0;

    for (int i = 0; i < o->brokers.n; i++) {
        if (!ctl_is_drained(c, o->brokers.at[i], &n_single)) {
            return NULL;
        }
        n_kept += n_single;
    }
    return n_kept == 0 ? "it leads nothing"
                       : ctl_format(c, "it leads only what nobody else holds (%u)", n_kept);
}

static const char *emptied(struct ctl *c, const struct meta_operation *o)
{
    uint32_t n_trash = 0;

    for (int i = 0; i < o->brokers.n; i++) {
        if (ctl_n_held(c, o->brokers.at[i]) > 0) {
            return NULL;
        }
        n_trash += ctl_n_held_in_trash(c, o->brokers.at[i]);
    }
    return n_trash == 0 ? "all replicas are elsewhere; it may be stopped and forgotten"
                        : ctl_format(c,
                                  "all replicas are elsewhere, but for %u of deleted topics in the "
                                  "trash; "
                                  "it may be stopped",
                                  n_trash);
}

static void end_if_done(struct ctl *c, const struct image_operation *o)
{
    const char *detail = NULL;
    enum operation_state state = OPERATION_DONE;

    switch (o->is.kind) {
    case OPERATION_DRAIN: detail = concerns(c, &o->is.brokers) ? drained(c, &o->is) : NULL; break;
    case OPERATION_DECOMMISSION:
        detail = o->n_left == 0 && concerns(c, &o->is.brokers) ? emptied(c, &o->is) : NULL;
        break;
    case OPERATION_REASSIGN:
    case OPERATION_BALANCE:
    case OPERATION_REPLICATION:
        if (o->n_left == 0 && c->n_reverted > 0) {
            state = OPERATION_CANCELLED;
            detail = "what was left of it was taken back";
        } else if (o->n_left == 0) {
            detail = "nothing of it is on its way any more";
        }
        break;
    }
    if (detail != NULL) {
        ctl_operation_end(c, o->is.id, state, detail);
    }
}

void ctl_end_operations(struct ctl *c)
{
    const struct meta_why why = c->why;

    if (c->next == NULL || (c->records.n == 0 && c->ev->kind != CTL_EV_BROKERS_LISTED)) {
        return;
    }
    c->why = (struct meta_why){
            .cause = CAUSE_OPERATION_ENDED, .actor = "", .reason = "", .inputs = ""};
    /* Backwards: the end of one may let an older one be forgotten. */
    for (size_t i = image_n_operations(c->next); i > 0; i--) {
        const struct image_operation *o =
                i <= image_n_operations(c->next) ? image_operation_at(c->next, i - 1) : NULL;
        if (o != NULL && o->is.state == OPERATION_RUNNING) {
            end_if_done(c, o);
        }
    }
    c->why = why;
}

/* --- Taken back ------------------------------------------------------------------------------- */

/* Takes back what the operation moves (`id` not 0), or what a decommission moves away from a broker. */
static size_t take_back(struct ctl *c, uint64_t id, broker_id from, struct ctl_reassigned *list)
{
    const struct broker_set none = {0};
    size_t n = 0;

    for (size_t i = 0; i < image_n_topics(c->next); i++) {
        const struct image_topic *t = image_topic_at(c->next, i);
        for (int32_t k = 0; k < t->n_partitions; k++) {
            const struct partition_state *p = &t->partitions[k];
            const struct image_operation *o =
                    id == 0 && p->operation != 0 ? image_operation(c->next, p->operation) : NULL;
            bool is_it = id != 0 ? p->operation == id
                                 : o != NULL && o->is.kind == OPERATION_DECOMMISSION &&
                                           broker_set_has(&p->removing, from);
            if (is_it) {
                list[n++] = ctl_reassign_one(c, t->name, p, &none);
            }
        }
    }
    return n;
}

static struct ctl_reassigned *list_new(struct ctl *c)
{
    struct ctl_reassigned *list =
            arena_alloc(c->fx->arena, (image_n_partitions(c->next) + 1) * sizeof(*list));

    must(list != NULL);
    return list;
}

static const char *taken_back_text(struct ctl *c, const char *what, int32_t n_left)
{
    return n_left == 0 ? ctl_format(c, "%s; taken back: %u", what, c->n_reverted)
                       : ctl_format(c,
                                 "%s; taken back: %u, not taken back: %d, because too few of their "
                                 "former replicas are in sync",
                                 what, c->n_reverted, n_left);
}

void ctl_operations_part_from(struct ctl *c, broker_id id, const char *detail)
{
    if (image_broker(c->next, id)->intent == BROKER_DECOMMISSIONING) {
        (void)take_back(c, 0, id, list_new(c));
    }
    for (size_t i = image_n_operations(c->next); i > 0; i--) {
        const struct image_operation *o =
                i <= image_n_operations(c->next) ? image_operation_at(c->next, i - 1) : NULL;
        bool is_it =
                o != NULL && o->is.state == OPERATION_RUNNING && broker_set_has(&o->is.brokers, id);
        if (is_it && o->is.brokers.n == 1) {
            ctl_operation_end(c, o->is.id, OPERATION_CANCELLED,
                    o->is.kind == OPERATION_DRAIN ? detail : taken_back_text(c, detail, o->n_left));
        } else if (is_it) {
            struct meta_operation rest = o->is;
            broker_set_remove(&rest.brokers, id);
            ctl_operation_update(c, &rest);
        }
    }
}

static void cancel(struct ctl *c, const struct meta_operation *o)
{
    for (int i = 0; i < o->brokers.n; i++) {
        if (image_broker(c->next, o->brokers.at[i]) != NULL) {
            ctl_set_intent(c, o->brokers.at[i], BROKER_WANTED);
        }
    }
    const struct image_operation *now = image_operation(c->next, o->id);

    if (now->is.state == OPERATION_RUNNING) {
        ctl_operation_end(
                c, o->id, OPERATION_CANCELLED, taken_back_text(c, "cancelled", now->n_left));
    }
}

/* [CTL-77] */
void ctl_on_cancel_operation(struct ctl *c)
{
    uint64_t id = c->ev->cancel.id;
    const struct image_operation *o = image_operation(c->next, id);

    if (o == NULL) {
        (void)ctl_answer(c, ERRCODE_INVALID_REQUEST,
                ctl_format(c, "there is no operation %llu", (unsigned long long)id));
        return;
    }
    if (o->is.state != OPERATION_RUNNING) {
        (void)ctl_answer(c, ERRCODE_NO_REASSIGNMENT_IN_PROGRESS,
                ctl_format(c, "operation %llu is %s already", (unsigned long long)id,
                        operation_state_name(o->is.state)));
        return;
    }
    struct ctl_reassigned *list = list_new(c);
    const struct meta_operation was = o->is;
    size_t n = take_back(c, id, BROKER_NONE, list);

    if (!c->ev->cancel.dry_run) {
        cancel(c, &was);
    }
    if (was.kind == OPERATION_BALANCE) { /* [CTL-87] */
        ctl_balance_rest(c);
    }
    struct ctl_reply *reply = ctl_answer(c, ERRCODE_NONE, "");

    if (reply != NULL) {
        reply->reassigned = list;
        reply->n_reassigned = n;
    }
}

/* --- Decommission ----------------------------------------------------------------------------- */

void ctl_begin_decommission(struct ctl *c, const struct broker_set *brokers)
{
    struct broker_set mine = {0};
    uint32_t n = 0;

    if (c->ev->reassign.dry_run) {
        return;
    }
    for (int i = 0; i < brokers->n; i++) {
        uint64_t running = ctl_operation_for(c, OPERATION_DECOMMISSION, brokers->at[i]);
        if (running != 0) {
            c->opening.id = running; /* Asked for again. */
        } else {
            (void)broker_set_add(&mine, brokers->at[i]);
            n += ctl_n_held(c, brokers->at[i]);
            ctl_set_intent(c, brokers->at[i], BROKER_DECOMMISSIONING);
        }
    }
    if (n > 0) {
        c->opening.id = ctl_operation_begin(c, OPERATION_DECOMMISSION, &mine, (int32_t)n, "");
    }
}

void ctl_tell_decommission(struct ctl *c, const struct ctl_reassigned *list, size_t n)
{
    size_t n_waiting = 0;
    const char *first = "";

    if (c->opening.id == 0) {
        return; /* It held nothing, or nothing is changed. */
    }
    for (size_t i = 0; i < n; i++) {
        bool is_behind = list[i].is_waiting || list[i].error != ERRCODE_NONE;
        first = is_behind && n_waiting == 0 ? list[i].detail : first;
        n_waiting += is_behind;
    }
    struct meta_operation o = image_operation(c->next, c->opening.id)->is;

    o.detail = n_waiting > 0 ? ctl_format(c, "waiting: %zu, the first because %s", n_waiting, first)
                             : "";
    ctl_operation_update(c, &o);
}

/* An operation for each broker that is decommissioned and got something again, as a topic from the trash. */
static void reopen(struct ctl *c)
{
    for (size_t i = 0; i < image_n_brokers(c->next); i++) {
        const struct image_broker *b = image_broker_at(c->next, i);
        const struct broker_set only = {1, {b->id}};
        uint32_t n = b->intent == BROKER_DECOMMISSIONING &&
                                     ctl_operation_for(c, OPERATION_DECOMMISSION, b->id) == 0
                             ? ctl_n_held(c, b->id)
                             : 0;
        if (n > 0) {
            (void)ctl_operation_begin(c, OPERATION_DECOMMISSION, &only, (int32_t)n, "");
        }
    }
}

/* [CTL-73] */
void ctl_empty_brokers(struct ctl *c)
{
    const struct meta_why why = c->why;
    struct ctl_reassigned *list = NULL;
    size_t n = 0;

    if (!wtime_due(c->empty_at, c->ev->now)) {
        return;
    }
    c->empty_at = WTIME_NEVER;
    c->why =
            (struct meta_why){.cause = CAUSE_DECOMMISSION, .actor = "", .reason = "", .inputs = ""};
    reopen(c);
    for (size_t i = 0; i < image_n_operations(c->next); i++) {
        const struct meta_operation o = image_operation_at(c->next, i)->is;
        if (o.state == OPERATION_RUNNING && o.kind == OPERATION_DECOMMISSION) {
            c->opening.kind = o.kind;
            c->opening.id = o.id;
            ctl_reassign_from(c, &o.brokers, &list, &n);
            ctl_tell_decommission(c, list, n);
        }
    }
    c->opening.kind = 0;
    c->why = why;
}

static bool may_leave(const struct ctl *c, const struct partition_state *p)
{
    bool is_on_leaving = false;

    for (int i = 0; i < p->replicas.n; i++) {
        const struct image_broker *b = image_broker(c->next, p->replicas.at[i]);
        is_on_leaving = is_on_leaving || (b != NULL && b->intent == BROKER_DECOMMISSIONING);
    }
    return is_on_leaving && !partition_is_moving(p) && p->leader != BROKER_NONE;
}

void ctl_note_for_empty(struct ctl *c, const struct meta_record *r)
{
    if (r->kind == META_BROKER_INTENT || r->kind == META_BROKER_FORGOTTEN) {
        c->n_leaving = 0;
        for (size_t i = 0; i < image_n_brokers(c->next); i++) {
            c->n_leaving += image_broker_at(c->next, i)->intent == BROKER_DECOMMISSIONING;
        }
    }
    if (c->n_leaving == 0) {
        return;
    }
    c->is_empty_due = c->is_empty_due || r->kind == META_BROKER_INTENT ||
                      r->kind == META_UNFENCE_BROKER ||
                      (r->kind == META_PARTITION_STATE && may_leave(c, &r->partition));
}

void ctl_plan_empty(struct ctl *c)
{
    if (c->is_empty_due && c->next != NULL && c->is_listed) {
        c->empty_at = c->ev->now;
    }
    c->is_empty_due = false;
}
