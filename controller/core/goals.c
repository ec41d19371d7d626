/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/arena.h"
#include "common/base/cover.h"
#include "controller/core/balance.h"
#include "controller/core/ctl_state.h"

/* Reassignments that are asked for by what shall be, not by name: even loads, an empty broker, a replication factor.
 * The plan is made of `next` and begun at once; a dry run shows it. */

struct goal {
    struct ctl *c;
    struct balance_broker *brokers; /* all that are registered */
    size_t n_brokers;
    struct balance_partition *plan;
    const struct partition_state **now; /* beside `plan` */
    size_t n;
    struct ctl_reassigned *results;
    size_t n_results;
    bool has_sizes; /* of everything that may move */
};

/* --- What is there ---------------------------------------------------------------------------- */

static void gather_brokers(struct goal *g, const struct broker_set *leaving)
{
    const struct image *image = g->c->next;
    size_t n = image_n_brokers(image);

    g->brokers = arena_alloc(g->c->fx->arena, (n + 1) * sizeof(*g->brokers));
    must(g->brokers != NULL);
    g->n_brokers = n;
    for (size_t i = 0; i < n; i++) {
        const struct image_broker *b = image_broker_at(image, i);
        g->brokers[i] =
                (struct balance_broker){.load = {.id = b->id, .rack = ctl_strdup(g->c, b->rack)},
                        .is_closed = !image_broker_is_open(b) || broker_set_has(leaving, b->id)};
    }
}

/* [CTL-60] The partitions of users, or the cluster's own: the two are balanced each for itself, as they are
 * placed ([DEC-3]). What is on its way, and what nobody leads, is counted as it will be and left alone. */
static void gather(struct goal *g, bool is_internal, const struct broker_set *leaving)
{
    const struct image *image = g->c->next;
    size_t n = image_n_partitions(image) + 1;

    gather_brokers(g, leaving);
    g->plan = arena_alloc(g->c->fx->arena, n * sizeof(*g->plan));
    g->now = arena_alloc(g->c->fx->arena, n * sizeof(const struct partition_state *));
    must(g->plan != NULL && g->now != NULL);
    g->n = 0;
    g->has_sizes = true;
    for (size_t i = 0; i < image_n_topics(image); i++) {
        const struct image_topic *t = image_topic_at(image, i);
        for (int32_t k = 0; k < t->n_partitions && t->internal == is_internal; k++) {
            const struct partition_state *p = &t->partitions[k];
            g->now[g->n] = p;
            int64_t bytes = ctl_size_of(g->c, p);
            g->has_sizes = g->has_sizes && bytes >= 0;
            g->plan[g->n] = (struct balance_partition){.replicas = partition_target(p),
                    .bytes = bytes >= 0 ? bytes : 0,
                    .is_fixed = partition_is_moving(p) || p->leader == BROKER_NONE};
            balance_count(g->brokers, g->n_brokers, &g->plan[g->n++]);
        }
    }
}

/* --- What becomes of it ----------------------------------------------------------------------- */

static void begin(struct goal *g, size_t i)
{
    const struct partition_state *p = g->now[i];
    const struct broker_set target = partition_target(p);

    if (!broker_set_equal_ordered(&target, &g->plan[i].replicas)) {
        const struct image_topic *t = image_topic_by_id(g->c->next, &p->topic_id);
        g->results[g->n_results++] =
                ctl_reassign_one(g->c, t->name, p, &g->plan[i].replicas);
    }
}

static void fail(struct goal *g, const struct partition_state *p, const char *detail)
{
    const struct image_topic *t = image_topic_by_id(g->c->next, &p->topic_id);

    g->results[g->n_results++] = (struct ctl_reassigned){.topic = ctl_strdup(g->c, t->name),
            .partition = p->partition,
            .error = ERRCODE_INVALID_REPLICA_ASSIGNMENT,
            .detail = detail,
            .was = p->replicas,
            .target = partition_target(p)};
}

/* [CTL-73] It begins by itself when it can. */
static void wait(struct goal *g, const struct partition_state *p, const char *detail)
{
    fail(g, p, detail);
    COVER(CTL, 73);
    g->results[g->n_results - 1].error = ERRCODE_NONE;
    g->results[g->n_results - 1].is_waiting = true;
}

static bool has_any(const struct broker_set *s, const struct broker_set *of)
{
    for (int i = 0; i < of->n; i++) {
        if (broker_set_has(s, of->at[i])) {
            return true;
        }
    }
    return false;
}

static void balance(struct goal *g)
{
    const struct broker_set none = {0};

    for (int internal = 0; internal <= 1; internal++) {
        gather(g, internal == 1, &none);
        balance_even(g->brokers, g->n_brokers, g->plan, g->n, g->has_sizes);
        for (size_t i = 0; i < g->n; i++) {
            begin(g, i);
        }
    }
}

/* [CTL-73] The cluster's own topics have as many replicas as can be: what nobody else can take is done without. */
static bool do_without(struct goal *g, size_t i, const struct broker_set *leaving)
{
    struct broker_set rest = partition_target(g->now[i]);

    for (int k = 0; k < leaving->n; k++) {
        broker_set_remove(&rest, leaving->at[k]);
    }
    if (rest.n > 0) {
        g->plan[i].replicas = rest;
    }
    return rest.n > 0;
}

static void empty(struct goal *g, const struct broker_set *leaving)
{
    for (int internal = 0; internal <= 1; internal++) {
        gather(g, internal == 1, leaving);
        for (size_t i = 0; i < g->n; i++) {
            if (!has_any(&g->plan[i].replicas, leaving)) {
                continue;
            }
            if (g->plan[i].is_fixed) {
                wait(g, g->now[i],
                        partition_is_moving(g->now[i])
                                ? "another move is under way"
                                : "nobody leads it, so that it could be copied");
            } else if (balance_leave(g->brokers, g->n_brokers, &g->plan[i], leaving) ||
                       (internal == 1 && do_without(g, i, leaving))) {
                begin(g, i);
            } else {
                wait(g, g->now[i], "too few other brokers take new replicas");
            }
        }
    }
}

static void resize(struct goal *g, const struct image_topic *t, int32_t replication_factor)
{
    const struct broker_set none = {0};

    gather(g, t->internal, &none);
    for (size_t i = 0; i < g->n; i++) {
        if (!uuid_equal(&g->now[i]->topic_id, &t->id)) {
            continue;
        }
        if (balance_resize(g->brokers, g->n_brokers, &g->plan[i], replication_factor,
                    &g->now[i]->isr)) {
            begin(g, i);
        } else {
            fail(g, g->now[i], "too few brokers are up to hold as many replicas");
        }
    }
}

/* --- Asked for -------------------------------------------------------------------------------- */

static int refuse(const char **ret_detail, int error, const char *detail)
{
    *ret_detail = detail;
    return error;
}

/* [CTL-63] */
static int check_factor(struct ctl *c, const struct image_topic *t, const char **ret_detail)
{
    int32_t rf = c->ev->reassign.replication_factor;
    int32_t n_up = 0;

    COVER(CTL, 63);
    if (t == NULL) {
        return refuse(ret_detail, ERRCODE_UNKNOWN_TOPIC_OR_PARTITION,
                ctl_format(c, "there is no topic %s", c->ev->reassign.topic));
    }
    if (t->n_partitions < t->n_declared) {
        return refuse(ret_detail, ERRCODE_LEADER_NOT_AVAILABLE,
                ctl_format(c, "topic %s is still being created; try again", t->name));
    }
    for (size_t i = 0; i < image_n_brokers(c->next); i++) {
        n_up += image_broker_is_open(image_broker_at(c->next, i));
    }
    if (rf < 1 || rf > c->replication_factor_max) {
        return refuse(ret_detail, ERRCODE_INVALID_REPLICATION_FACTOR,
                ctl_format(c, "replication factor %d: it is 1 to %d", rf,
                        c->replication_factor_max));
    }
    if (rf > n_up && rf > t->replication_factor) {
        return refuse(ret_detail, ERRCODE_INVALID_REPLICATION_FACTOR,
                ctl_format(c, "replication factor %d needs %d brokers and %d are up", rf, rf,
                        n_up));
    }
    return ERRCODE_NONE;
}

/* [CTL-62] */
static int check_leaving(struct ctl *c, const char **ret_detail)
{
    const struct broker_set *leaving = &c->ev->reassign.brokers;

    COVER(CTL, 62);
    for (int i = 0; i < leaving->n; i++) {
        if (image_broker(c->next, leaving->at[i]) == NULL) {
            return refuse(ret_detail, ERRCODE_BROKER_ID_NOT_REGISTERED,
                    ctl_format(c, "broker %d is not known", leaving->at[i]));
        }
    }
    return leaving->n > 0 ? ERRCODE_NONE
                          : refuse(ret_detail, ERRCODE_INVALID_REQUEST,
                                    "name the brokers that are to become empty");
}

int ctl_reassign_goal(
        struct ctl *c, struct ctl_reassigned **ret, size_t *ret_n, const char **ret_detail)
{
    const struct image_topic *t = NULL;
    struct goal g = {.c = c};
    int error = ERRCODE_NONE;

    g.results = arena_alloc(
            c->fx->arena, (image_n_partitions(c->next) + 1) * sizeof(*g.results));
    must(g.results != NULL);
    if (!c->is_listed) { /* Who is down is not known yet. */
        return refuse(ret_detail, ERRCODE_LEADER_NOT_AVAILABLE,
                "this controller has just been elected and does not know yet which brokers are up; "
                "try again");
    }
    if (c->ev->reassign.goal == CTL_GOAL_BALANCE) {
        COVER(CTL, 61);
        balance(&g);
    } else if (c->ev->reassign.goal == CTL_GOAL_EMPTY) {
        error = check_leaving(c, ret_detail);
        if (error == ERRCODE_NONE) {
            ctl_begin_decommission(c, &c->ev->reassign.brokers);
            empty(&g, &c->ev->reassign.brokers);
            ctl_tell_decommission(c, g.results, g.n_results);
        }
    } else {
        t = image_topic_by_name(c->next, c->ev->reassign.topic);
        error = check_factor(c, t, ret_detail);
        if (error == ERRCODE_NONE) {
            resize(&g, t, c->ev->reassign.replication_factor);
        }
    }
    *ret = g.results;
    *ret_n = g.n_results;
    return error;
}

void ctl_reassign_from(
        struct ctl *c, const struct broker_set *leaving, struct ctl_reassigned **ret, size_t *ret_n)
{
    struct goal g = {.c = c};

    g.results = arena_alloc(c->fx->arena, (image_n_partitions(c->next) + 1) * sizeof(*g.results));
    must(g.results != NULL);
    empty(&g, leaving);
    *ret = g.results;
    *ret_n = g.n_results;
}

/* --- Even, in rounds -------------------------------------------------------------------------- */

/* Moves under way that a broker takes part in; beside image_broker_at(). */
struct busy {
    uint32_t *n;
    uint32_t n_max;
};

static uint32_t *busy_of(const struct goal *g, const struct busy *b, broker_id id)
{
    for (size_t i = 0; i < g->n_brokers; i++) {
        if (g->brokers[i].load.id == id) {
            return &b->n[i];
        }
    }
    must_not_reach("a replica on a broker that never registered");
}

/* Whom the move burdens: who copies, and the leader, who is copied from. */
static struct broker_set burdened(const struct partition_state *p, const struct broker_set *target)
{
    struct broker_set s = {0};

    for (int i = 0; i < target->n; i++) {
        if (!broker_set_has(&p->replicas, target->at[i])) {
            (void)broker_set_add(&s, target->at[i]);
        }
    }
    if (s.n > 0) {
        (void)broker_set_add(&s, p->leader);
    }
    return s;
}

/* [CTL-85] */
static bool take_turn(const struct goal *g, const struct busy *b, size_t i)
{
    const struct broker_set s = burdened(g->now[i], &g->plan[i].replicas);

    for (int k = 0; k < s.n; k++) {
        if (*busy_of(g, b, s.at[k]) >= b->n_max) {
            return false;
        }
    }
    for (int k = 0; k < s.n; k++) {
        (*busy_of(g, b, s.at[k]))++;
    }
    return true;
}

static void note_move(struct goal *g, const struct busy *b, size_t i, struct ctl_even *ret)
{
    const struct partition_state *p = g->now[i];
    const struct broker_set target = partition_target(p);
    int64_t size = ctl_size_of(g->c, p);

    if (broker_set_equal_ordered(&target, &g->plan[i].replicas)) {
        return;
    }
    ret->n_moves++;
    for (int k = 0; k < g->plan[i].replicas.n; k++) {
        if (!broker_set_has(&p->replicas, g->plan[i].replicas.at[k])) {
            ret->bytes = size < 0 || ret->bytes < 0 ? -1 : ret->bytes + size;
        }
    }
    if (b->n_max > 0 && take_turn(g, b, i)) {
        begin(g, i);
        ret->n_begun += g->results[g->n_results - 1].error == ERRCODE_NONE;
    }
}

void ctl_plan_even(struct ctl *c, uint32_t n_max, struct ctl_even *ret)
{
    const struct broker_set none = {0};
    size_t n_partitions = image_n_partitions(c->next);
    struct goal g = {.c = c};
    struct busy b = {.n_max = n_max};

    *ret = (struct ctl_even){0};
    b.n = arena_alloc(c->fx->arena, (image_n_brokers(c->next) + 1) * sizeof(*b.n));
    g.results = arena_alloc(c->fx->arena, (n_partitions + 1) * sizeof(*g.results));
    must(b.n != NULL && g.results != NULL);
    memset(b.n, 0, (image_n_brokers(c->next) + 1) * sizeof(*b.n));
    for (int internal = 0; internal <= 1; internal++) {
        gather(&g, internal == 1, &none);
        balance_even(g.brokers, g.n_brokers, g.plan, g.n, g.has_sizes);
        for (size_t i = 0; i < g.n; i++) {
            note_move(&g, &b, i, ret);
        }
    }
}

/* --- By itself -------------------------------------------------------------------------------- */

void ctl_plan_raise(struct ctl *c)
{
    if (!c->is_raise_due) {
        return;
    }
    c->is_raise_due = false;
    c->raise_at = WTIME_NEVER;
    for (size_t i = 0; c->next != NULL && c->is_listed && i < image_n_topics(c->next); i++) {
        const struct image_topic *t = image_topic_at(c->next, i);
        if (t->internal && t->replication_factor < CTL_JOURNAL_REPLICAS) {
            c->raise_at = c->ev->now;
        }
    }
}

/* Nothing of the topic is on its way, and all of it is led. */
static bool is_settled(const struct image_topic *t)
{
    bool is_quiet = t->n_partitions == t->n_declared;

    for (int32_t k = 0; k < t->n_partitions; k++) {
        is_quiet = is_quiet && !partition_is_moving(&t->partitions[k]) &&
                   t->partitions[k].leader != BROKER_NONE;
    }
    return is_quiet;
}

/* [CTL-64] */
void ctl_raise_internal(struct ctl *c)
{
    const struct meta_why why = c->why;
    const struct broker_set none = {0};
    int32_t wanted = c->replication_factor_max < CTL_JOURNAL_REPLICAS ? c->replication_factor_max
                                                                      : CTL_JOURNAL_REPLICAS;
    struct goal g = {.c = c};

    if (!wtime_due(c->raise_at, c->ev->now)) {
        return;
    }
    c->raise_at = WTIME_NEVER;
    gather_brokers(&g, &none);
    int32_t n_up = 0;
    for (size_t i = 0; i < g.n_brokers; i++) {
        n_up += !g.brokers[i].is_closed;
    }
    int32_t most = ctl_number_of(image_cluster_config(c->next, "default.replication.factor"), wanted);
    wanted = most < wanted ? most : wanted;
    wanted = n_up < wanted ? n_up : wanted;
    g.results = arena_alloc(
            c->fx->arena, (image_n_partitions(c->next) + 1) * sizeof(*g.results));
    must(g.results != NULL);
    c->why = (struct meta_why){
            .cause = CAUSE_INTERNAL_TOPIC, .actor = "", .reason = "", .inputs = ""};
    for (size_t i = 0; i < image_n_topics(c->next); i++) {
        const struct image_topic *t = image_topic_at(c->next, i);
        if (t->internal && t->replication_factor < wanted && is_settled(t)) {
            g.n_results = 0;
            resize(&g, t, wanted);
        }
    }
    c->why = why;
}
