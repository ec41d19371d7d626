/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/arena.h"
#include "common/domain/name_rules.h"
#include "controller/core/ctl_state.h"

#include <stdlib.h>

/* Deleting topics: into the trash, and out of it again, for good or as they were. */

#define GRACE_DEFAULT ((wall_ms)24 * 60 * 60 * 1000)
/* The wall clock may be set: looked at again after this long at the latest. */
#define LOOK_MAX WTIME_S(60)

/* [TRS-4] */
static wall_ms grace_of(const struct ctl *c)
{
    const char *text = image_cluster_config(c->next, "weir.delete.grace.ms");
    char *end = NULL;
    long long n = text != NULL ? strtoll(text, &end, 10) : -1;

    return text != NULL && end != text && *end == '\0' && n >= 0 ? (wall_ms)n : GRACE_DEFAULT;
}

/* [TRS-7] */
static bool is_protected(const struct ctl *c, const struct image_topic *t)
{
    const char *own = image_topic_config(t, "weir.delete.protection");
    const char *cluster = image_cluster_config(c->next, "weir.delete.protection");
    const char *value = own != NULL ? own : cluster;

    return value != NULL && strcmp(value, "true") == 0;
}

static void purge(struct ctl *c, const struct image_topic *t)
{
    struct meta_record r = ctl_record(c, META_PURGE_TOPIC,
            ctl_format(c, "topic=%s removed_at=%lld", t->name, (long long)t->removed_at));

    r.purge_topic.id = t->id;
    trace_emit(c->trace, "ctl  deleted topic %s purged", t->name);
    ctl_append(c, &r);
}

/* The longest removed one goes, for that cause. */
static void purge_oldest(struct ctl *c, enum meta_cause cause)
{
    const struct meta_why why = c->why;

    c->why = (struct meta_why){.cause = cause, .actor = "", .reason = "", .inputs = ""};
    purge(c, image_trash_at(c->next, 0));
    c->why = why;
}

/* [TRS-5] The one that was removed last stays, however large. */
static void make_room(struct ctl *c)
{
    while (image_n_trash(c->next) > c->trash_topics_max ||
            (image_n_trash(c->next) > 1 &&
                    image_n_trash_partitions(c->next) > c->trash_partitions_max)) {
        purge_oldest(c, CAUSE_TRASH_FULL);
    }
}

/* --- Delete ----------------------------------------------------------------------------------- */

/* What stands in the way, or NONE. */
static int check_delete(struct ctl *c, const struct image_topic *t, const char **ret_detail)
{
    const char *name = c->ev->delete_topic.name;

    if (t == NULL) {
        *ret_detail = ctl_format(c, "there is no topic %s", name);
        return ERRCODE_UNKNOWN_TOPIC_OR_PARTITION;
    }
    if (t->internal) { /* [CTL-12] */
        *ret_detail = ctl_format(
                c, "topic %s holds the cluster's own state and cannot be deleted", name);
        return ERRCODE_POLICY_VIOLATION;
    }
    if (is_protected(c, t)) {
        *ret_detail = ctl_format(c, "'%s' has weir.delete.protection=true", name);
        return ERRCODE_POLICY_VIOLATION;
    }
    return ERRCODE_NONE;
}

static void append_removal(struct ctl *c, const struct image_topic *t, bool is_now)
{
    struct meta_record r = ctl_record(c, META_REMOVE_TOPIC,
            ctl_format(c, "topic=%s partitions=%d", t->name, t->n_partitions));

    r.remove_topic.id = t->id;
    trace_emit(c->trace, "ctl  topic %s deleted", t->name);
    ctl_forget_failures(c, &t->id);
    ctl_append(c, &r);
    if (is_now) {
        purge(c, t);
    } else {
        make_room(c);
    }
}

void ctl_on_delete_topic(struct ctl *c)
{
    const struct image_topic *t = image_topic_by_name(c->next, c->ev->delete_topic.name);
    wall_ms grace = grace_of(c);
    bool is_now = c->ev->delete_topic.is_now || grace == 0;
    const char *detail = "";
    int error = check_delete(c, t, &detail);
    struct uuid id = t != NULL ? t->id : (struct uuid){{0}};

    if (error == ERRCODE_NONE && !c->ev->delete_topic.dry_run) {
        append_removal(c, t, is_now);
    }
    struct ctl_reply *reply = ctl_answer(c, error, detail);

    if (reply != NULL && error == ERRCODE_NONE) {
        reply->topic_id = id;
        reply->purged_at = is_now ? 0 : c->ev->wall + grace;
    } else if (reply != NULL) {
        reply->is_protected = error == ERRCODE_POLICY_VIOLATION && !t->internal;
    }
}

/* --- Purge ------------------------------------------------------------------------------------ */

static const struct image_topic *find_trashed(struct ctl *c, const struct uuid *id)
{
    const struct image_topic *t = image_trash_by_id(c->next, id);
    char text[UUID_TEXT_SIZE];

    if (t == NULL) {
        (void)ctl_answer(c, ERRCODE_UNKNOWN_TOPIC_ID,
                ctl_format(c, "there is no topic %s in the trash", uuid_format(id, text)));
    }
    return t;
}

static void answer_about(struct ctl *c, const struct uuid *id, const char *name)
{
    struct ctl_reply *reply = ctl_answer(c, ERRCODE_NONE, "");

    if (reply != NULL) {
        reply->topic_id = *id;
        reply->topic = name;
    }
}

void ctl_on_purge_topic(struct ctl *c)
{
    struct uuid id = c->ev->purge_topic.id;
    const struct image_topic *t = find_trashed(c, &id);

    if (t == NULL) {
        return;
    }
    const char *name = ctl_strdup(c, t->name);

    if (!c->ev->purge_topic.dry_run) {
        purge(c, t);
    }
    answer_about(c, &id, name);
}

/* Of a clock that was set back, or of another controller's that is ahead: nothing yet. */
static wall_ms age_of_oldest(const struct ctl *c)
{
    wall_ms removed_at = image_trash_at(c->next, 0)->removed_at;

    return removed_at >= 0 && removed_at < c->ev->wall ? c->ev->wall - removed_at : 0;
}

/* [TRS-4] Judged by the wall clock, because the trash outlives every controller. */
void ctl_purge_old(struct ctl *c)
{
    wall_ms grace = grace_of(c);

    while (image_n_trash(c->next) > 0 && age_of_oldest(c) >= grace) {
        purge_oldest(c, CAUSE_TRASH_EXPIRED);
    }
}

void ctl_plan_purge(struct ctl *c)
{
    c->purge_at = WTIME_NEVER;
    if (c->next == NULL || image_n_trash(c->next) == 0) {
        return;
    }
    wall_ms left = age_of_oldest(c) < grace_of(c) ? grace_of(c) - age_of_oldest(c) : 0;
    wtime wait = left > LOOK_MAX / WTIME_MS(1) ? LOOK_MAX : WTIME_MS(left);

    c->purge_at = wtime_add(c->ev->now, wait);
}

/* --- Restore ---------------------------------------------------------------------------------- */

static int check_restore(struct ctl *c, const char *name, const char **ret_detail)
{
    const char *wrong = topic_name_refusal(name);

    if (wrong == NULL && topic_name_is_internal(name)) { /* [DEC-2] */
        wrong = "names that begin with '__' are kept for the cluster's own topics; choose another";
    }
    if (wrong != NULL) {
        *ret_detail = wrong;
        return ERRCODE_INVALID_TOPIC_EXCEPTION;
    }
    if (image_topic_by_name(c->next, name) != NULL) { /* [TRS-2] */
        *ret_detail = ctl_format(c, "a topic %s exists; restore it under another name", name);
        return ERRCODE_TOPIC_ALREADY_EXISTS;
    }
    return ERRCODE_NONE;
}

/* [TRS-2] Leaders are chosen among those who held the data and are up, as after any change. A single replica leads at once,
 * as after a creation: whether its broker said READY to this controller ([CTL-6]) tells nothing of a log that it is only
 * about to open. */
static void lead_again(struct ctl *c, const struct partition_state *p)
{
    broker_id only = p->replicas.n == 1 ? p->replicas.at[0] : BROKER_NONE;

    if (only == BROKER_NONE || !image_broker_is_active(c->next, only) ||
            ctl_has_failed(c, only, p)) {
        ctl_settle_one(c, p, BROKER_NONE, "restored");
        return;
    }
    struct partition_want want = {.isr = p->isr, .min_isr = 1, .is_synced = ctl_is_synced(c, p)};
    (void)broker_set_add(&want.active, only);
    struct meta_record r = ctl_record(c, META_PARTITION_STATE, "restored");

    r.partition = partition_change(p, &want);
    ctl_append(c, &r);
}

static void append_restore(struct ctl *c, const struct image_topic *t, const char *name)
{
    struct uuid id = t->id;
    struct meta_record r = ctl_record(
            c, META_RESTORE_TOPIC, ctl_format(c, "topic=%s partitions=%d", t->name, t->n_partitions));

    r.restore_topic.id = id;
    r.restore_topic.name = name;
    trace_emit(c->trace, "ctl  topic %s restored as %s", t->name, name);
    ctl_append(c, &r);
    t = image_topic_by_id(c->next, &id);
    must(t != NULL);
    for (int32_t p = 0; p < t->n_partitions; p++) {
        lead_again(c, &t->partitions[p]);
        ctl_note_lost(c, &t->partitions[p]);
    }
    if (c->is_listed && t->n_partitions < t->n_declared) {
        ctl_finish_topics(c);
    }
}

/* Who leads it now, as after a creation. */
static void tell_leaders(struct ctl *c, const struct uuid *id)
{
    const struct image_topic *t = image_topic_by_id(c->next, id);
    struct ctl_fx_item *last = c->fx->n > 0 ? &c->fx->items[c->fx->n - 1] : NULL;

    if (t == NULL || last == NULL || last->kind != CTL_FX_REPLY) {
        return;
    }
    struct ctl_placement *placement =
            arena_alloc(c->fx->arena, (size_t)t->n_partitions * sizeof(*placement));
    must(placement != NULL);
    for (int32_t p = 0; p < t->n_partitions; p++) {
        placement[p] = (struct ctl_placement){.partition = p,
                .replicas = t->partitions[p].replicas,
                .leader = t->partitions[p].leader,
                .why = "as before"};
    }
    last->reply.placement = placement;
    last->reply.n_placement = (size_t)t->n_partitions;
}

void ctl_on_restore_topic(struct ctl *c)
{
    struct uuid id = c->ev->restore_topic.id;
    const struct image_topic *t = find_trashed(c, &id);
    const char *asked = c->ev->restore_topic.name;
    const char *detail = "";

    if (t == NULL) {
        return;
    }
    const char *name = ctl_strdup(c, asked != NULL && asked[0] != '\0' ? asked : t->name);
    int error = check_restore(c, name, &detail);

    if (error != ERRCODE_NONE) {
        trace_emit(c->trace, "ctl  restore refused, %s: %s", errcode_name(error), detail);
        (void)ctl_answer(c, error, detail);
        return;
    }
    if (!c->ev->restore_topic.dry_run) {
        append_restore(c, t, name);
    }
    answer_about(c, &id, name);
    tell_leaders(c, &id);
}

/* --- What is in the trash --------------------------------------------------------------------- */

/* Nobody is elected there: who may lead is asked when the topic comes back. */
static void doubt_one(struct ctl *c, const struct partition_state *p, broker_id id, const char *what)
{
    struct partition_want want = {.isr = p->isr, .is_synced = p->is_durable};

    (void)broker_set_add(&want.disqualified, id);
    struct partition_state next = partition_change(p, &want);

    if (partition_differs(p, &next)) {
        struct meta_record r = ctl_record(c, META_PARTITION_STATE, what);
        r.partition = next;
        ctl_append(c, &r);
    }
}

void ctl_doubt_trashed(
        struct ctl *c, const struct ctl_partition_ref *ref, broker_id id, const char *what)
{
    const struct image_topic *t = image_trash_by_id(c->next, &ref->topic_id);

    if (t != NULL && ref->partition >= 0 && ref->partition < t->n_partitions &&
            broker_set_has(&t->partitions[ref->partition].replicas, id)) {
        doubt_one(c, &t->partitions[ref->partition], id, what);
    }
}

void ctl_doubt_trash(struct ctl *c, broker_id id, enum crash_kind kind, const char *what)
{
    for (size_t i = 0; i < image_n_trash(c->next); i++) {
        const struct image_topic *t = image_trash_at(c->next, i);
        for (int32_t p = 0; p < t->n_partitions; p++) {
            if (broker_set_has(&t->partitions[p].replicas, id) &&
                    ctl_has_lost(&t->partitions[p], kind)) {
                doubt_one(c, &t->partitions[p], id, what);
            }
        }
    }
}
