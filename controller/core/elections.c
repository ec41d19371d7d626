/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/arena.h"
#include "common/base/cover.h"
#include "controller/core/ctl_state.h"

/* Elections that somebody asks for, and leaderships that go back to whom they are preferred with. */

#define REBALANCE_QUIET WTIME_S(30)
#define REBALANCE_LATE  WTIME_S(300) /* of a cluster that is never quiet */
#define REBALANCE_NEXT  WTIME_S(1)

enum {
    REBALANCE_BATCH = 500
};

/* --- The preferred leader --------------------------------------------------------------------- */

/* [CTL-48] NULL, or why the first replica cannot lead. */
static const char *unfit_to_lead(struct ctl *c, const struct partition_state *p)
{
    broker_id first = p->replicas.at[0];
    struct broker_set active = ctl_active_replicas(c, p);

    if (!broker_set_has(&active, first)) {
        const struct image_broker *b = image_broker(c->next, first);
        return ctl_format(c, "broker %d %s", first,
                b->state == BROKER_FENCED     ? "does not serve; start it, or wait until it is ready"
                : b->state == BROKER_SHUTTING ? "shuts down"
                                              : "has given up its replica; its log says why");
    }
    if (image_broker(c->next, first)->intent >= BROKER_DRAINING) { /* [CTL-71] */
        return ctl_format(c, "broker %d %s; undrain it first", first,
                ctl_intent_text(image_broker(c->next, first)->intent));
    }
    if (!broker_set_has(&p->isr, first)) {
        return ctl_format(c, "broker %d is not in sync yet; wait until it has caught up", first);
    }
    return NULL;
}

static bool leads_as_preferred(const struct partition_state *p)
{
    return p->leader == p->replicas.at[0];
}

static void elect_preferred(struct ctl *c, const struct partition_state *p)
{
    const struct partition_want wish = {.isr = p->isr, .to_preferred = true};
    struct partition_state next = ctl_changed(c, p, &wish);

    must(next.leader == p->replicas.at[0]);
    COVER(CTL, 48);
    ctl_append_partition(c, p, &next, ctl_format(c, "preferred=%d", next.leader));
}

/* --- On demand -------------------------------------------------------------------------------- */

static int refuse(struct ctl_elected *e, int error, const char *detail)
{
    e->detail = detail;
    return error;
}

static int decide_preferred(
        struct ctl *c, const struct partition_state *p, struct ctl_elected *e)
{
    const char *why = leads_as_preferred(p) ? NULL : unfit_to_lead(c, p);

    if (why != NULL) {
        return refuse(e, ERRCODE_PREFERRED_LEADER_NOT_AVAILABLE, why);
    }
    if (!leads_as_preferred(p) && !c->ev->elect.dry_run) {
        elect_preferred(c, p);
    }
    e->leader = p->replicas.at[0];
    return ERRCODE_NONE;
}

/* [CTL-50] */
static int check_unclean(struct ctl *c,
        const struct partition_state *p,
        broker_id winner,
        struct ctl_elected *e)
{
    if (p->leader != BROKER_NONE) {
        return refuse(e, ERRCODE_ELECTION_NOT_NEEDED,
                ctl_format(c, "broker %d leads; nothing is lost while somebody does", p->leader));
    }
    if (p->replicas.n == 1) {
        return refuse(e, ERRCODE_ELIGIBLE_LEADERS_NOT_AVAILABLE,
                ctl_format(c, "broker %d has the only replica: start it, or restore its log",
                        p->replicas.at[0]));
    }
    if (winner == BROKER_NONE) {
        return refuse(e, ERRCODE_INVALID_REQUEST,
                "say which replica is to lead: what the others have beyond its log is lost");
    }
    if (!broker_set_has(&p->replicas, winner)) {
        return refuse(e, ERRCODE_INELIGIBLE_REPLICA,
                ctl_format(c, "broker %d has no replica of it", winner));
    }
    if (!image_broker_is_active(c->next, winner)) {
        return refuse(e, ERRCODE_INELIGIBLE_REPLICA,
                ctl_format(c, "broker %d does not serve; start it, or name another", winner));
    }
    return ERRCODE_NONE;
}

void ctl_elect_unclean(struct ctl *c,
        const struct partition_state *p,
        broker_id winner,
        const char *what)
{
    struct partition_state next = partition_elect_unclean(p, winner);

    ctl_append_partition(c, p, &next, what);
}

static int decide_unclean(struct ctl *c,
        const struct partition_state *p,
        broker_id winner,
        struct ctl_elected *e)
{
    int error = check_unclean(c, p, winner, e);

    if (error != ERRCODE_NONE) {
        return error;
    }
    if (!c->ev->elect.dry_run) {
        COVER(CTL, 50);
        ctl_forgive(c, winner, p); /* It may have begun anew since; else it gives up again. */
        ctl_elect_unclean(c, p, winner, ctl_format(c, "named=%d", winner));
    }
    e->leader = winner;
    return ERRCODE_NONE;
}

static struct ctl_elected decide(struct ctl *c,
        const char *topic,
        int32_t partition,
        const struct partition_state *p,
        broker_id winner)
{
    struct ctl_elected e = {.topic = ctl_strdup(c, topic),
            .partition = partition,
            .detail = "",
            .was = BROKER_NONE,
            .leader = BROKER_NONE};

    if (p == NULL) {
        e.error = refuse(&e, ERRCODE_UNKNOWN_TOPIC_OR_PARTITION,
                ctl_format(c, "there is no partition %s-%d", topic, partition));
        return e;
    }
    e.was = e.leader = p->leader;
    e.error = c->ev->elect.is_unclean ? decide_unclean(c, p, winner, &e)
                                      : decide_preferred(c, p, &e);
    return e;
}

/* The partitions named. */
static size_t elect_named(struct ctl *c, struct ctl_elected **ret)
{
    size_t n = c->ev->elect.n;
    struct ctl_elected *list = arena_alloc(c->fx->arena, n * sizeof(*list));

    must(list != NULL);
    for (size_t i = 0; i < n; i++) {
        const struct ctl_elect_partition *asked = &c->ev->elect.partitions[i];
        const struct image_topic *t = image_topic_by_name(c->next, asked->topic);
        const struct partition_state *p =
                t != NULL ? image_partition(c->next, &t->id, asked->partition) : NULL;
        list[i] = decide(c, asked->topic, asked->partition, p, asked->leader);
    }
    *ret = list;
    return n;
}

/* Every partition that another than its first replica leads. */
static size_t elect_all(struct ctl *c, struct ctl_elected **ret)
{
    size_t n = 0;
    struct ctl_elected *list =
            arena_alloc(c->fx->arena, (image_n_partitions(c->next) + 1) * sizeof(*list));

    must(list != NULL);
    for (size_t i = 0; i < image_n_topics(c->next); i++) {
        const struct image_topic *t = image_topic_at(c->next, i);
        for (int32_t k = 0; k < t->n_partitions; k++) {
            if (!leads_as_preferred(&t->partitions[k])) {
                list[n++] = decide(c, t->name, k, &t->partitions[k], BROKER_NONE);
            }
        }
    }
    *ret = list;
    return n;
}

void ctl_on_elect(struct ctl *c)
{
    struct ctl_elected *list = NULL;
    size_t n = 0;

    if (c->ev->elect.n == 0 && c->ev->elect.is_unclean) { /* [CTL-50] */
        (void)ctl_answer(c, ERRCODE_INVALID_REQUEST,
                "name the partitions: an unclean election loses records");
        return;
    }
    n = c->ev->elect.n > 0 ? elect_named(c, &list) : elect_all(c, &list);
    struct ctl_reply *reply = ctl_answer(c, ERRCODE_NONE, "");

    if (reply != NULL) {
        reply->elected = list;
        reply->n_elected = n;
    }
}

/* --- By itself -------------------------------------------------------------------------------- */

static bool may_rebalance(const struct ctl *c)
{
    const char *value = image_cluster_config(c->next, "auto.leader.rebalance.enable");

    return value == NULL || strcmp(value, "false") != 0;
}

/* Moves what may be moved of the topic; the number that may still be. */
static unsigned rebalance_topic(struct ctl *c, const struct image_topic *t, unsigned n_left)
{
    for (int32_t k = 0; k < t->n_partitions && n_left > 0; k++) {
        const struct partition_state *p = &t->partitions[k];
        if (p->leader != BROKER_NONE && !leads_as_preferred(p) && unfit_to_lead(c, p) == NULL) {
            elect_preferred(c, p);
            n_left--;
        }
    }
    return n_left;
}

/* [CTL-49] */
void ctl_rebalance(struct ctl *c)
{
    const struct meta_why why = c->why;
    unsigned n_left = REBALANCE_BATCH;

    if (!wtime_due(c->rebalance_at, c->ev->now)) {
        return;
    }
    c->rebalance_at = c->rebalance_by = WTIME_NEVER;
    c->is_stirred = false;
    COVER(CTL, 49);
    if (!may_rebalance(c)) {
        return;
    }
    c->why = (struct meta_why){
            .cause = CAUSE_LEADERS_BALANCED, .actor = "", .reason = "", .inputs = ""};
    for (size_t i = 0; i < image_n_topics(c->next) && n_left > 0; i++) {
        n_left = rebalance_topic(c, image_topic_at(c->next, i), n_left);
    }
    c->why = why;
    c->is_stirred = false; /* by ourselves */
    if (n_left == 0) {
        c->rebalance_at = wtime_add(c->ev->now, REBALANCE_NEXT);
    }
}

void ctl_plan_rebalance(struct ctl *c)
{
    if (c->next == NULL) {
        c->rebalance_at = c->rebalance_by = WTIME_NEVER;
    } else if (c->is_stirred) {
        if (c->rebalance_by == WTIME_NEVER) {
            c->rebalance_by = wtime_add(c->ev->now, REBALANCE_LATE);
        }
        c->rebalance_at =
                wtime_min(wtime_add(c->ev->now, REBALANCE_QUIET), c->rebalance_by);
    }
    c->is_stirred = false;
}
