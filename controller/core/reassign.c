/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/arena.h"
#include "common/base/cover.h"
#include "controller/core/ctl_state.h"

#include <stdio.h>

/* Reassignments: begun and taken back here, ended in partition_change(). */

static int refuse(struct ctl_reassigned *r, int error, const char *detail)
{
    r->detail = detail;
    return error;
}

static const char *set_text(struct ctl *c, const struct broker_set *s)
{
    char text[CTL_SET_TEXT_SIZE];

    return ctl_strdup(c, s->n > 0 ? ctl_set_text(s, text, sizeof(text)) : "");
}

bool ctl_is_dry_run(const struct ctl *c)
{
    return (c->ev->kind == CTL_EV_REASSIGN && c->ev->reassign.dry_run) ||
           (c->ev->kind == CTL_EV_CANCEL_OPERATION && c->ev->cancel.dry_run) ||
           (c->ev->kind == CTL_EV_BROKER_INTENT && c->ev->intent.dry_run);
}

/* What has to be copied; -1 = not known. */
static int64_t bytes_of(
        const struct ctl *c, const struct partition_state *p, const struct broker_set *target)
{
    int64_t size = ctl_size_of(c, p), sum = 0;

    for (int i = 0; i < target->n; i++) {
        if (!broker_set_has(&p->replicas, target->at[i])) {
            sum = size < 0 ? -1 : sum + size;
        }
    }
    return sum;
}

/* --- Begin ------------------------------------------------------------------------------------ */

/* [CTL-59] What is wrong with the target, or NULL. */
static const char *target_refusal(
        struct ctl *c, const struct partition_state *p, const struct broker_set *target)
{
    struct broker_set all = {0};

    if (target->n > c->replication_factor_max) {
        return ctl_format(c, "%d replicas: at most %d are served", target->n,
                c->replication_factor_max);
    }
    for (int i = 0; i < target->n; i++) {
        if (broker_set_has(&all, target->at[i])) {
            return ctl_format(c, "broker %d is named twice", target->at[i]);
        }
        if (image_broker(c->next, target->at[i]) == NULL) {
            return ctl_format(c, "broker %d is not known", target->at[i]);
        }
        enum broker_intent intent = image_broker(c->next, target->at[i])->intent;
        if (intent != BROKER_WANTED &&
                !broker_set_has(&p->replicas, target->at[i])) { /* [CTL-70] */
            return ctl_format(
                    c, "broker %d %s; undrain it first", target->at[i], ctl_intent_text(intent));
        }
        (void)broker_set_add(&all, target->at[i]);
    }
    for (int i = 0; i < p->replicas.n; i++) {
        if (!broker_set_add(&all, p->replicas.at[i])) {
            return ctl_format(c, "old and new replicas together are more than %d; move it in two "
                                 "steps",
                    REPLICAS_MAX);
        }
    }
    return NULL;
}

static int check_target(struct ctl *c,
        const struct partition_state *p,
        const struct broker_set *target,
        struct ctl_reassigned *r)
{
    const struct broker_set now = partition_target(p);
    const char *wrong = target_refusal(c, p, target);

    if (wrong != NULL) {
        return refuse(r, ERRCODE_INVALID_REPLICA_ASSIGNMENT, wrong);
    }
    r->is_unchanged = broker_set_equal_ordered(&now, target);
    if (partition_is_moving(p) && !r->is_unchanged) { /* [CTL-59] */
        COVER(CTL, 59);
        return refuse(r, ERRCODE_REASSIGNMENT_IN_PROGRESS,
                ctl_format(c, "it is on its way to [%s]; wait for that, or take it back first",
                        set_text(c, &now)));
    }
    if (p->leader == BROKER_NONE && !r->is_unchanged) { /* [CTL-59] */
        return refuse(r, ERRCODE_LEADER_NOT_AVAILABLE,
                "nobody leads it, so there is nobody to copy it from; bring one of its replicas "
                "back first");
    }
    return ERRCODE_NONE;
}

static int begin(struct ctl *c,
        const struct partition_state *p,
        const struct broker_set *target,
        struct ctl_reassigned *r)
{
    const struct partition_want wish = {.isr = p->isr, .target = *target};
    int error = check_target(c, p, target, r);

    r->target = *target;
    r->bytes = bytes_of(c, p, target);
    if (error != ERRCODE_NONE || r->is_unchanged) {
        return error;
    }
    struct partition_state next = ctl_changed(c, p, &wish);

    r->is_done = !partition_is_moving(&next);
    if (!ctl_is_dry_run(c)) {
        next.operation = r->is_done ? 0 : ctl_operation_of_move(c);
        ctl_append_partition(c, p, &next, ctl_format(c, "target=[%s]", set_text(c, target)));
    }
    return ERRCODE_NONE;
}

/* --- Take back -------------------------------------------------------------------------------- */

static int revert(struct ctl *c, const struct partition_state *p, struct ctl_reassigned *r)
{
    const struct partition_want wish = {.isr = p->isr, .is_reverted = true};
    const struct broker_set origin = partition_origin(p);

    r->target = origin;
    r->is_done = true;
    if (!partition_is_moving(p)) {
        return refuse(r, ERRCODE_NO_REASSIGNMENT_IN_PROGRESS,
                "no reassignment of it is under way; it may have ended already");
    }
    const struct image_operation *o = image_operation(c->next, p->operation);

    if (c->ev->kind == CTL_EV_REASSIGN && o != NULL && o->is.state == OPERATION_RUNNING &&
            o->is.kind == OPERATION_DECOMMISSION) { /* [CTL-73] It would begin anew at once. */
        return refuse(r, ERRCODE_POLICY_VIOLATION,
                ctl_format(c, "operation %llu decommissions its broker; cancel that instead",
                        (unsigned long long)p->operation));
    }
    if (!partition_may_revert(p, p->min_isr)) { /* [CTL-57] */
        return refuse(r, ERRCODE_INVALID_REPLICA_ASSIGNMENT,
                ctl_format(c,
                        "too few of its former replicas [%s] are in sync ([%s] are) to do without "
                        "the new ones; wait until they have caught up",
                        set_text(c, &origin), set_text(c, &p->isr)));
    }
    if (!ctl_is_dry_run(c)) {
        struct partition_state next = ctl_changed(c, p, &wish);
        c->n_reverted++;
        ctl_append_partition(c, p, &next, "taken back");
    }
    return ERRCODE_NONE;
}

/* --- Answers ---------------------------------------------------------------------------------- */

struct ctl_reassigned ctl_reassign_one(struct ctl *c,
        const char *topic,
        const struct partition_state *p,
        const struct broker_set *target)
{
    struct ctl_reassigned r = {.topic = ctl_strdup(c, topic),
            .partition = p->partition,
            .detail = "",
            .was = p->replicas};

    r.error = target->n > 0 ? begin(c, p, target, &r) : revert(c, p, &r);
    return r;
}

/* The partitions named. */
static size_t reassign_named(struct ctl *c, struct ctl_reassigned **ret)
{
    size_t n = c->ev->reassign.n;
    struct ctl_reassigned *list = arena_alloc(c->fx->arena, n * sizeof(*list));

    must(list != NULL);
    for (size_t i = 0; i < n; i++) {
        const struct ctl_reassign *asked = &c->ev->reassign.partitions[i];
        const struct image_topic *t = image_topic_by_name(c->next, asked->topic);
        const struct partition_state *p =
                t != NULL ? image_partition(c->next, &t->id, asked->partition) : NULL;
        if (p != NULL) {
            list[i] = ctl_reassign_one(c, asked->topic, p, &asked->replicas);
            continue;
        }
        list[i] = (struct ctl_reassigned){.topic = ctl_strdup(c, asked->topic),
                .partition = asked->partition,
                .error = ERRCODE_UNKNOWN_TOPIC_OR_PARTITION,
                .detail = ctl_format(
                        c, "there is no partition %s-%d", asked->topic, asked->partition),
                .target = asked->replicas};
    }
    *ret = list;
    return n;
}

/* Everything that is under way. */
static size_t revert_all(struct ctl *c, struct ctl_reassigned **ret)
{
    const struct broker_set none = {0};
    size_t n = 0;
    struct ctl_reassigned *list =
            arena_alloc(c->fx->arena, (image_n_partitions(c->next) + 1) * sizeof(*list));

    must(list != NULL);
    for (size_t i = 0; i < image_n_topics(c->next); i++) {
        const struct image_topic *t = image_topic_at(c->next, i);
        for (int32_t k = 0; k < t->n_partitions; k++) {
            if (partition_is_moving(&t->partitions[k])) {
                list[n++] = ctl_reassign_one(c, t->name, &t->partitions[k], &none);
            }
        }
    }
    *ret = list;
    return n;
}

/* Not only takes back. */
static bool begins_any(const struct ctl *c)
{
    bool is_any = c->ev->reassign.goal != CTL_GOAL_NAMED;

    for (size_t i = 0; i < c->ev->reassign.n && !is_any; i++) {
        is_any = c->ev->reassign.partitions[i].replicas.n > 0;
    }
    return is_any && c->ev->reassign.goal != CTL_GOAL_TAKE_BACK;
}

void ctl_on_reassign(struct ctl *c)
{
    struct ctl_reassigned *list = NULL;
    const char *detail = "";
    int error = ERRCODE_NONE;
    size_t n = 0;

    static const enum operation_kind kinds[] = {
            [CTL_GOAL_NAMED] = OPERATION_REASSIGN,
            [CTL_GOAL_TAKE_BACK] = OPERATION_REASSIGN,
            [CTL_GOAL_BALANCE] = OPERATION_BALANCE,
            [CTL_GOAL_EMPTY] = OPERATION_DECOMMISSION,
            [CTL_GOAL_FACTOR] = OPERATION_REPLICATION,
    };

    const char *refusal = begins_any(c) ? ctl_operation_refusal(c) : NULL;

    if (refusal != NULL) {
        (void)ctl_answer(c, ERRCODE_POLICY_VIOLATION, refusal);
        return;
    }
    c->opening.kind = kinds[c->ev->reassign.goal];
    switch (c->ev->reassign.goal) {
    case CTL_GOAL_NAMED: n = reassign_named(c, &list); break;
    case CTL_GOAL_TAKE_BACK:
        n = revert_all(c, &list);
        ctl_balance_rest(c);
        break;
    case CTL_GOAL_BALANCE:
    case CTL_GOAL_EMPTY:
    case CTL_GOAL_FACTOR: error = ctl_reassign_goal(c, &list, &n, &detail); break;
    }
    if (error == ERRCODE_NONE && c->ev->reassign.throttle != NULL && !ctl_is_dry_run(c)) {
        ctl_set_cluster_config( /* [THR-7] */
                c, "weir.reassignment.bytes.per.second", c->ev->reassign.throttle);
    }
    uint64_t operation = ctl_operation_close(c);
    struct ctl_reply *reply = ctl_answer(c, error, detail);

    if (reply != NULL && error == ERRCODE_NONE) {
        reply->operation = operation;
        reply->reassigned = list;
        reply->n_reassigned = n;
    }
}
