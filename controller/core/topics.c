/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/arena.h"
#include "common/base/cover.h"
#include "common/domain/name_rules.h"
#include "controller/core/assign.h"
#include "controller/core/ctl_state.h"
#include "controller/core/elect.h"

#include <stdlib.h>

/* A topic that is being decided. */
struct plan {
    const struct ctl_create_topic *asked;
    bool is_internal;
    int32_t n_partitions, replication_factor, min_isr;
    struct assign_broker *brokers; /* the active ones */
    size_t n_brokers;
    size_t n_closed; /* active, but they get no new replicas */
    struct ctl_placement *placement;
};

/* --- What was asked --------------------------------------------------------------------------- */
int32_t ctl_number_of(const char *text, int32_t fallback)
{
    char *end = NULL;
    long long n = text != NULL ? strtoll(text, &end, 10) : 0;

    return text != NULL && end != text && *end == '\0' && n >= 1 && n <= INT32_MAX ? (int32_t)n
                                                                                   : fallback;
}

int32_t ctl_min_isr(const struct ctl *c, const char *own, int32_t replication_factor)
{
    int32_t standard = replication_factor >= 3 ? 2 : 1;
    const char *cluster = image_cluster_config(c->next, "min.insync.replicas");
    int32_t min_isr = ctl_number_of(own, ctl_number_of(cluster, standard));

    return min_isr < replication_factor ? min_isr : replication_factor;
}

int32_t ctl_default_replication(const struct ctl *c)
{
    int32_t standard = 0;

    for (size_t i = 0; i < image_n_brokers(c->next) && standard < CTL_REPLICATION_DEFAULT; i++) {
        standard += image_broker_is_open(image_broker_at(c->next, i));
    }
    standard = standard < c->replication_factor_max ? standard : c->replication_factor_max;
    return ctl_number_of(image_cluster_config(c->next, "default.replication.factor"),
            standard > 0 ? standard : 1);
}

static const char *own_config(const struct ctl_create_topic *t, const char *key)
{
    for (size_t i = 0; i < t->n_configs; i++) {
        if (strcmp(t->configs[i].key, key) == 0) {
            return t->configs[i].value;
        }
    }
    return NULL;
}

static int refuse(const char **ret_detail, int error, const char *detail)
{
    *ret_detail = detail;
    return error;
}

static int check_name(struct ctl *c, const struct plan *plan, const char **ret_detail)
{
    const char *wrong = topic_name_refusal(plan->asked->name);

    if (wrong == NULL && topic_name_is_internal(plan->asked->name)) { /* [DEC-2] */
        wrong = "names that begin with '__' are kept for the cluster's own topics; choose another";
    }
    if (wrong != NULL) {
        return refuse(ret_detail, ERRCODE_INVALID_TOPIC_EXCEPTION, wrong);
    }
    if (image_topic_by_name(c->next, plan->asked->name) != NULL) {
        return refuse(ret_detail, ERRCODE_TOPIC_ALREADY_EXISTS,
                ctl_format(c, "topic %s exists; choose another name or delete it first",
                        plan->asked->name));
    }
    return ERRCODE_NONE;
}

static int check_partitions(struct ctl *c, struct plan *plan, const char **ret_detail)
{
    const struct ctl_create_topic *t = plan->asked;

    plan->n_partitions = t->n_partitions;
    if (t->n_partitions == -1) {
        plan->n_partitions =
                t->n_assignments > 0
                        ? (int32_t)(t->n_assignments <= INT32_MAX ? t->n_assignments : INT32_MAX)
                        : ctl_number_of(image_cluster_config(c->next, "num.partitions"),
                                  CTL_PARTITIONS_DEFAULT);
    }
    if (plan->n_partitions < 1 || plan->n_partitions > PARTITIONS_PER_TOPIC_MAX) {
        return refuse(ret_detail, ERRCODE_INVALID_PARTITIONS,
                ctl_format(c, "%d partitions: a topic has 1 to %d", plan->n_partitions,
                        PARTITIONS_PER_TOPIC_MAX));
    }
    if (t->n_assignments > 0 && t->n_assignments != (size_t)plan->n_partitions) {
        return refuse(ret_detail, ERRCODE_INVALID_REPLICA_ASSIGNMENT,
                ctl_format(c, "%zu replica lists for %d partitions: give one a partition",
                        t->n_assignments, plan->n_partitions));
    }
    return ERRCODE_NONE;
}

/* [CTL-10] */
static int check_replication(struct ctl *c, struct plan *plan, const char **ret_detail)
{
    const struct ctl_create_topic *t = plan->asked;
    int32_t rf = t->replication_factor;

    if (rf == -1) {
        rf = t->n_assignments > 0 ? t->assignments[0].n : ctl_default_replication(c);
    }
    plan->replication_factor = rf;
    if (rf < 1) {
        return refuse(ret_detail, ERRCODE_INVALID_REPLICATION_FACTOR,
                ctl_format(c, "replication factor %d: it must be at least 1", rf));
    }
    if (rf > c->replication_factor_max) {
        return refuse(ret_detail, ERRCODE_INVALID_REPLICATION_FACTOR,
                ctl_format(c, "replication factor %d: at most %d is served", rf,
                        c->replication_factor_max));
    }
    return ERRCODE_NONE;
}

/* [CTL-10] */
static int check_brokers(struct ctl *c, const struct plan *plan, const char **ret_detail)
{
    if (!c->is_listed) {
        return refuse(ret_detail, ERRCODE_LEADER_NOT_AVAILABLE,
                "this controller has just been elected and does not know yet which brokers are up; "
                "try again");
    }
    if (plan->n_brokers == 0 && plan->n_closed > 0 && plan->asked->n_assignments == 0) {
        return refuse(ret_detail, ERRCODE_LEADER_NOT_AVAILABLE,
                "every broker that is up is cordoned, draining or decommissioned, so there is no "
                "place for the topic; undrain one, or start another");
    }
    if (plan->n_brokers == 0) {
        return refuse(ret_detail, ERRCODE_LEADER_NOT_AVAILABLE,
                "no broker is up, so there is no place for the topic; start a broker and try "
                "again");
    }
    if (plan->asked->n_assignments == 0 && (size_t)plan->replication_factor > plan->n_brokers) {
        return refuse(ret_detail, ERRCODE_INVALID_REPLICATION_FACTOR,
                ctl_format(c,
                        "replication factor %d needs %d brokers and %zu are up%s; start more "
                        "brokers or ask for at most %zu",
                        plan->replication_factor, plan->replication_factor, plan->n_brokers,
                        plan->n_closed > 0 ? " and take new replicas" : "", plan->n_brokers));
    }
    return ERRCODE_NONE;
}

/* What is wrong with the replica list of partition `p`, or NULL. */
static const char *assignment_refusal(struct ctl *c, const struct plan *plan, int32_t p)
{
    const struct broker_set *set = &plan->asked->assignments[p];
    bool has_active = false;

    if (set->n != plan->replication_factor || set->n > REPLICAS_MAX) {
        return ctl_format(c, "partition %d has %d replicas and the replication factor is %d", p,
                set->n, plan->replication_factor);
    }
    for (int i = 0; i < set->n; i++) {
        for (int j = 0; j < i; j++) {
            if (set->at[i] == set->at[j]) {
                return ctl_format(c, "partition %d names broker %d twice", p, set->at[i]);
            }
        }
        if (image_broker(c->next, set->at[i]) == NULL) {
            return ctl_format(c, "partition %d names broker %d, which is not known", p, set->at[i]);
        }
        if (image_broker(c->next, set->at[i])->intent != BROKER_WANTED) { /* [CTL-70] */
            return ctl_format(c, "partition %d names broker %d, which %s", p, set->at[i],
                    ctl_intent_text(image_broker(c->next, set->at[i])->intent));
        }
        has_active = has_active || image_broker_is_active(c->next, set->at[i]);
    }
    return has_active ? NULL
                      : ctl_format(c, "no broker of partition %d is up; start one of them", p);
}

static int check_assignments(struct ctl *c, const struct plan *plan, const char **ret_detail)
{
    if (plan->asked->n_assignments == 0) {
        return ERRCODE_NONE;
    }
    for (int32_t p = 0; p < plan->n_partitions; p++) {
        const char *wrong = assignment_refusal(c, plan, p);
        if (wrong != NULL) {
            return refuse(ret_detail, ERRCODE_INVALID_REPLICA_ASSIGNMENT, wrong);
        }
    }
    return ERRCODE_NONE;
}

/* --- Placement -------------------------------------------------------------------------------- */
/* The active brokers and what they carry, in the memory of the effects. */
static void gather_brokers(struct ctl *c, struct plan *plan)
{
    size_t n = image_n_brokers(c->next);

    plan->brokers = arena_alloc(c->fx->arena, n * sizeof(*plan->brokers));
    must(plan->brokers != NULL);
    plan->n_brokers = plan->n_closed = 0;
    for (size_t i = 0; i < n; i++) {
        const struct image_broker *b = image_broker_at(c->next, i);
        COVER_IF(b->intent != BROKER_WANTED, CTL, 70);
        plan->n_closed += b->state == BROKER_ACTIVE && b->intent != BROKER_WANTED;
        if (image_broker_is_open(b)) { /* [CTL-70] */
            plan->brokers[plan->n_brokers++] =
                    (struct assign_broker){.id = b->id, .rack = ctl_strdup(c, b->rack)};
        }
    }
    for (size_t i = 0; i < image_n_topics(c->next); i++) {
        const struct image_topic *t = image_topic_at(c->next, i);
        if (t->internal != plan->is_internal) {
            continue; /* [DEC-3] */
        }
        for (int32_t p = 0; p < t->n_partitions; p++) {
            assign_count(plan->brokers, plan->n_brokers, &t->partitions[p].replicas,
                    t->partitions[p].leader);
        }
    }
}

static struct ctl_placement place(struct ctl *c, struct plan *plan, int32_t p)
{
    struct ctl_placement at = {.partition = p, .why = "as asked"};
    struct partition_state state = {.leader = BROKER_NONE};

    if (plan->asked != NULL && plan->asked->n_assignments > 0) {
        at.replicas = plan->asked->assignments[p];
    } else {
        char why[160];
        at.replicas =
                assign_place(plan->brokers, plan->n_brokers, plan->replication_factor, (uint32_t)p);
        assign_explain(plan->brokers, plan->n_brokers, &at.replicas, why, sizeof(why));
        at.why = ctl_strdup(c, why);
    }
    state.replicas = state.isr = at.replicas;
    struct broker_set active = {0};
    for (int i = 0; i < at.replicas.n; i++) {
        if (image_broker_is_active(c->next, at.replicas.at[i])) {
            (void)broker_set_add(&active, at.replicas.at[i]);
        }
    }
    at.leader = elect_leader(&state, &active);
    return at;
}

/* [CTL-11] The first record of a partition: all who are up are in sync, because the log is
 * empty; and all of it is on the disk. */
static void append_partition(struct ctl *c,
        const struct plan *plan,
        const struct uuid *id,
        const struct ctl_placement *at)
{
    struct meta_record r = ctl_record(c, META_PARTITION_STATE, at->why);
    struct partition_state *p = &r.partition;

    COVER(CTL, 11);

    *p = (struct partition_state){
            .topic_id = *id,
            .partition = at->partition,
            .replicas = at->replicas,
            .leader = at->leader,
            .min_isr = plan->min_isr,
            .unclean_epoch = EPOCH_NONE,
    };
    p->is_durable = ctl_is_synced(c, p);
    for (int i = 0; i < at->replicas.n; i++) {
        if (image_broker_is_active(c->next, at->replicas.at[i])) {
            (void)broker_set_add(&p->isr, at->replicas.at[i]);
        }
    }
    ctl_append(c, &r);
}

/* --- Create ----------------------------------------------------------------------------------- */
static const struct meta_config_pair *configs_copy(struct ctl *c, const struct ctl_create_topic *t)
{
    struct meta_config_pair *pairs = arena_alloc(c->fx->arena, t->n_configs * sizeof(*pairs));

    must(pairs != NULL);
    for (size_t i = 0; i < t->n_configs; i++) {
        const char *value = t->configs[i].value;
        pairs[i].key = ctl_strdup(c, t->configs[i].key);
        pairs[i].value = value != NULL ? ctl_strdup(c, value) : NULL;
    }
    return pairs;
}

static struct uuid append_topic(struct ctl *c, const struct plan *plan)
{
    const struct ctl_create_topic *t = plan->asked;
    struct meta_record r =
            ctl_record(c, META_CREATE_TOPIC, ctl_format(c, "brokers_up=%zu", plan->n_brokers));
    struct uuid id = uuid_from_prng(&c->prng);

    r.create_topic.id = id;
    r.create_topic.name = ctl_strdup(c, t->name);
    r.create_topic.internal = plan->is_internal;
    r.create_topic.n_partitions = plan->n_partitions;
    r.create_topic.replication_factor = plan->replication_factor;
    r.create_topic.configs = configs_copy(c, t);
    r.create_topic.n_configs = t->n_configs;
    ctl_append(c, &r);
    for (int32_t p = 0; p < plan->n_partitions; p++) {
        append_partition(c, plan, &id, &plan->placement[p]);
    }
    trace_emit(c->trace, "ctl  topic %s created: partitions %d, replication factor %d, min isr %d",
            t->name, plan->n_partitions, plan->replication_factor, plan->min_isr);
    return id;
}

static int make_plan(struct ctl *c, struct plan *plan, const char **ret_detail)
{
    int error = check_name(c, plan, ret_detail);

    if (error == ERRCODE_NONE) {
        error = check_partitions(c, plan, ret_detail);
    }
    if (error == ERRCODE_NONE) {
        error = check_replication(c, plan, ret_detail);
    }
    if (error == ERRCODE_NONE) {
        error = ctl_check_configs_fit(
                c, plan->asked->configs, plan->asked->n_configs, ret_detail);
    }
    if (error != ERRCODE_NONE) {
        return error;
    }
    gather_brokers(c, plan);
    error = check_brokers(c, plan, ret_detail);
    return error != ERRCODE_NONE ? error : check_assignments(c, plan, ret_detail);
}

static void place_all(struct ctl *c, struct plan *plan)
{
    plan->placement = arena_alloc(c->fx->arena, (size_t)plan->n_partitions * sizeof(*plan->placement));
    must(plan->placement != NULL);
    for (int32_t p = 0; p < plan->n_partitions; p++) {
        plan->placement[p] = place(c, plan, p);
    }
}

void ctl_on_create_topic(struct ctl *c, const struct ctl_create_topic *t)
{
    struct plan plan = {.asked = t};
    struct uuid id = {{0}};
    const char *detail = "";
    int error = make_plan(c, &plan, &detail);

    if (error != ERRCODE_NONE) {
        COVER(CTL, 10);
        trace_emit(c->trace, "ctl  topic refused, %s: %s", errcode_name(error), detail);
        (void)ctl_answer(c, error, detail);
        return;
    }
    plan.min_isr = ctl_min_isr(c, own_config(t, "min.insync.replicas"), plan.replication_factor);
    place_all(c, &plan);
    if (!t->dry_run) {
        id = append_topic(c, &plan);
    }
    struct ctl_reply *reply = ctl_answer(c, ERRCODE_NONE, "");

    if (reply != NULL) {
        reply->topic_id = id;
        reply->placement = plan.placement;
        reply->n_placement = (size_t)plan.n_partitions;
    }
}

/* --- More partitions -------------------------------------------------------------------------- */

/* [CTL-54] What stands in the way, or NONE. */
static int check_growth(
        struct ctl *c, const struct image_topic *t, struct plan *plan, const char **ret_detail)
{
    if (t == NULL) {
        return refuse(ret_detail, ERRCODE_UNKNOWN_TOPIC_OR_PARTITION,
                ctl_format(c, "there is no topic %s", c->ev->add_partitions.name));
    }
    if (t->internal) {
        return refuse(ret_detail, ERRCODE_POLICY_VIOLATION,
                ctl_format(c, "topic %s holds the cluster's own state, by partition", t->name));
    }
    if (t->n_partitions < t->n_declared) {
        return refuse(ret_detail, ERRCODE_LEADER_NOT_AVAILABLE,
                ctl_format(c, "topic %s is still being created; try again", t->name));
    }
    if (plan->n_partitions < t->n_partitions || plan->n_partitions > PARTITIONS_PER_TOPIC_MAX) {
        return refuse(ret_detail, ERRCODE_INVALID_PARTITIONS,
                ctl_format(c, "topic %s has %d partitions; it may have more, up to %d, never fewer",
                        t->name, t->n_partitions, PARTITIONS_PER_TOPIC_MAX));
    }
    plan->replication_factor = t->replication_factor;
    gather_brokers(c, plan);
    return check_brokers(c, plan, ret_detail);
}

/* Each record announces its partition itself: a growth that is cut short is as far as it got. */
static void grow(struct ctl *c, const struct image_topic *t, struct plan *plan, size_t n)
{
    struct uuid id = t->id;

    COVER(CTL, 54);
    trace_emit(c->trace, "ctl  topic %s grows from %d to %d partitions", t->name,
            t->n_partitions, plan->n_partitions);
    for (size_t i = 0; i < n; i++) {
        append_partition(c, plan, &id, &plan->placement[i]);
    }
}

void ctl_on_add_partitions(struct ctl *c)
{
    const struct image_topic *t = image_topic_by_name(c->next, c->ev->add_partitions.name);
    const struct ctl_create_topic asked = {.name = c->ev->add_partitions.name};
    struct plan plan = {.asked = &asked, .n_partitions = c->ev->add_partitions.n_partitions};
    const char *detail = "";
    int error = check_growth(c, t, &plan, &detail);

    if (error != ERRCODE_NONE) {
        trace_emit(c->trace, "ctl  partitions refused, %s: %s", errcode_name(error), detail);
        (void)ctl_answer(c, error, detail);
        return;
    }
    size_t n = (size_t)(plan.n_partitions - t->n_partitions);
    struct uuid id = t->id;

    plan.min_isr = ctl_min_isr(
            c, image_topic_config(t, "min.insync.replicas"), plan.replication_factor);
    plan.placement = arena_alloc(c->fx->arena, (n + 1) * sizeof(*plan.placement));
    must(plan.placement != NULL);
    for (size_t i = 0; i < n; i++) {
        plan.placement[i] = place(c, &plan, t->n_partitions + (int32_t)i);
    }
    if (n > 0 && !c->ev->add_partitions.dry_run) {
        grow(c, t, &plan, n);
    }
    struct ctl_reply *reply = ctl_answer(c, ERRCODE_NONE, "");

    if (reply != NULL) {
        reply->topic_id = id;
        reply->is_unchanged = n == 0;
        reply->placement = plan.placement;
        reply->n_placement = n;
    }
}

static int32_t least(int32_t a, int32_t b)
{
    return a < b ? a : b;
}

/* [DEC-1] Asked for by nobody, so refused to nobody: where it cannot be, the next broker that gets
 * ready brings it up again. */
void ctl_make_journal(struct ctl *c)
{
    const struct ctl_create_topic asked = {.name = TOPIC_DECISIONS};
    struct plan plan = {.asked = &asked, .is_internal = true, .n_partitions = 1};
    const struct meta_why why = c->why;

    if (!c->has_journal || image_topic_by_name(c->next, TOPIC_DECISIONS) != NULL) {
        return;
    }
    gather_brokers(c, &plan);
    if (plan.n_brokers == 0) {
        return;
    }
    plan.replication_factor = least(least(CTL_JOURNAL_REPLICAS, c->replication_factor_max),
            plan.n_brokers < INT32_MAX ? (int32_t)plan.n_brokers : INT32_MAX);
    plan.min_isr = ctl_min_isr(c, NULL, plan.replication_factor);
    place_all(c, &plan);
    c->why = (struct meta_why){
            .cause = CAUSE_INTERNAL_TOPIC, .actor = "", .reason = "", .inputs = ""};
    (void)append_topic(c, &plan);
    c->why = why;
}

/* [CTL-2] */
void ctl_finish_topics(struct ctl *c)
{
    for (size_t i = 0; i < image_n_topics(c->next); i++) {
        const struct image_topic *t = image_topic_at(c->next, i);
        if (t->n_partitions == t->n_declared) {
            continue;
        }
        struct plan plan = {.n_partitions = t->n_declared,
                .replication_factor = t->replication_factor,
                .is_internal = t->internal,
                .min_isr = ctl_min_isr(
                        c, image_topic_config(t, "min.insync.replicas"), t->replication_factor)};
        gather_brokers(c, &plan);
        if (plan.n_brokers < (size_t)plan.replication_factor) {
            continue; /* The next broker that gets ready brings it up again. */
        }
        trace_emit(c->trace, "ctl  topic %s: partitions %d to %d are still to be placed", t->name,
                t->n_partitions, t->n_declared - 1);
        for (int32_t p = t->n_partitions; p < t->n_declared; p++) {
            struct ctl_placement at = place(c, &plan, p);
            append_partition(c, &plan, &t->id, &at);
        }
    }
}
