/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/sim.h"

#include <stdio.h>

/* What people ask the active controller for: topics made, deleted and made to grow, settings, elections, other replicas. */

void sim_admin_init(struct sim *s)
{
    s->n_wanted = 1 + (int)sim_below(s, (uint64_t)s->n_parts);
    s->unclean = sim_one_in(s, 2)   ? SIM_UNCLEAN_NEVER
                 : sim_one_in(s, 2) ? SIM_UNCLEAN_OPERATOR
                                    : SIM_UNCLEAN_BALANCED;
}

static const struct image_topic *topic_of(const struct sim_ctl *c)
{
    return image_topic_by_name(ctl_next_image(c->core), SIM_TOPIC);
}

/* --- The topic ------------------------------------------------------------------------------------------------------- */

static void make_topic(struct sim *s, struct sim_ctl *c)
{
    struct meta_config_pair configs[] = {
            {"min.insync.replicas", s->min_isr == 1 ? "1" : "2"},
            {"weir.unclean.election", s->unclean == SIM_UNCLEAN_BALANCED ? "balanced" : "never"},
            {"weir.ack.durability", s->is_fsync ? "fsync" : "replicated"},
    };
    struct ctl_event ev = {.kind = CTL_EV_CREATE_TOPIC,
            .create = {.name = SIM_TOPIC,
                    .n_partitions = s->n_wanted,
                    .replication_factor = s->has_singles ? 1 + (int)sim_below(s, 3) : 3,
                    .configs = configs,
                    .n_configs = COUNT_OF(configs)}};

    sim_ctl_ask(s, c, &ev);
}

/* [TRS-2] The topic that was deleted last, when all that was decided is committed: of those before it nothing is remembered. */
static bool restore_topic(struct sim *s, struct sim_ctl *c)
{
    const struct image *next = ctl_next_image(c->core);
    size_t n = image_n_trash(next);

    if (c->records.n > 0 || c->is_committing || s->has_topic || !s->trash.is_there || n == 0 || !sim_one_in(s, 2) ||
            !uuid_equal(&image_trash_at(next, n - 1)->id, &s->trash.topic_id)) {
        return false;
    }
    sim_tell(s, sim_node_name(c->node), "the topic is to come back");
    sim_ctl_ask(s, c,
            &(struct ctl_event){.kind = CTL_EV_RESTORE_TOPIC,
                    .restore_topic = {.id = s->trash.topic_id, .name = ""}});
    return true;
}

/* Nobody vouches for a partition: somebody says who is to lead. */
static void recover(struct sim *s, struct sim_ctl *c)
{
    if (s->unclean == SIM_UNCLEAN_OPERATOR && (s->is_healing || sim_one_in(s, 8))) {
        sim_admin_elect_unclean(s, c);
    }
}

/* Of a broker that was emptied, or drained, everything is wanted again. */
static void want_all(struct sim *s, struct sim_ctl *c)
{
    for (int i = 0; i < s->n_brokers; i++) {
        const struct image_broker *b = image_broker(ctl_next_image(c->core), i);

        if (b != NULL && b->intent != BROKER_WANTED && (s->is_healing || sim_one_in(s, 8))) {
            sim_ctl_ask(s, c,
                    &(struct ctl_event){.kind = CTL_EV_BROKER_INTENT,
                            .intent = {.id = i, .intent = BROKER_WANTED}});
        }
    }
}

void sim_admin_drain(struct sim *s, struct sim_ctl *c, int id)
{
    if (image_broker(ctl_next_image(c->core), id) != NULL) {
        sim_ctl_ask(s, c,
                &(struct ctl_event){.kind = CTL_EV_BROKER_INTENT,
                        .intent = {.id = id,
                                .intent = sim_one_in(s, 3) ? BROKER_CORDONED : BROKER_DRAINING}});
    }
}

void sim_admin_tick(struct sim *s, struct sim_ctl *c)
{
    const struct image_topic *t;

    want_all(s, c);
    t = topic_of(c);
    if (t == NULL) {
        if (!restore_topic(s, c)) {
            make_topic(s, c);
        }
        return;
    }
    recover(s, c);
    if (t->n_partitions < s->n_parts && t->n_partitions == t->n_declared && !s->is_healing &&
            sim_one_in(s, 20)) {
        s->counts.growths++;
        sim_ctl_ask(s, c,
                &(struct ctl_event){.kind = CTL_EV_ADD_PARTITIONS,
                        .add_partitions = {
                                .name = SIM_TOPIC, .n_partitions = t->n_partitions + 1}});
    }
}

void sim_admin_delete(struct sim *s, struct sim_ctl *c)
{
    if (topic_of(c) != NULL) {
        s->counts.deletions++;
        sim_ctl_ask(s, c,
                &(struct ctl_event){.kind = CTL_EV_DELETE_TOPIC,
                        .delete_topic = {.name = SIM_TOPIC, .is_now = sim_one_in(s, 2)}});
    }
}

void sim_admin_set_min_isr(struct sim *s, struct sim_ctl *c)
{
    static const char *const values[] = {"1", "2", "3"};
    struct meta_config_pair pair = {"min.insync.replicas", values[sim_below(s, 3)]};
    struct ctl_event ev = {.kind = CTL_EV_SET_CONFIGS,
            .set_configs = {
                    .scope = CONFIG_TOPIC, .topic = SIM_TOPIC, .pairs = &pair, .n_pairs = 1}};

    if (topic_of(c) != NULL) {
        s->counts.min_isr_changes++;
        sim_tell(s, sim_node_name(c->node), "min.insync.replicas is to be %s", pair.value);
        sim_ctl_ask(s, c, &ev);
    }
}

void sim_admin_set_durability(struct sim *s, struct sim_ctl *c)
{
    const struct image_topic *t = topic_of(c);
    const char *now = t != NULL ? image_topic_config(t, "weir.ack.durability") : NULL;
    struct meta_config_pair pair = {"weir.ack.durability",
            now != NULL && strcmp(now, "fsync") == 0 ? "replicated" : "fsync"};
    struct ctl_event ev = {.kind = CTL_EV_SET_CONFIGS,
            .set_configs = {
                    .scope = CONFIG_TOPIC, .topic = SIM_TOPIC, .pairs = &pair, .n_pairs = 1}};

    if (t != NULL) {
        s->counts.durability_changes++;
        sim_tell(s, sim_node_name(c->node), "weir.ack.durability is to be %s", pair.value);
        sim_ctl_ask(s, c, &ev);
    }
}

/* --- Elections ------------------------------------------------------------------------------------------------------- */

void sim_admin_elect(struct sim *s, struct sim_ctl *c)
{
    sim_tell(s, sim_node_name(c->node), "the preferred replicas are to lead");
    sim_ctl_ask(s, c, &(struct ctl_event){.kind = CTL_EV_ELECT});
}

void sim_admin_elect_unclean(struct sim *s, struct sim_ctl *c)
{
    const struct image_topic *t = topic_of(c);

    for (int32_t k = 0; t != NULL && k < t->n_partitions; k++) {
        const struct partition_state *p = &t->partitions[k];
        struct ctl_elect_partition named = {.topic = SIM_TOPIC,
                .partition = k,
                .leader = p->replicas.at[sim_below(s, p->replicas.n)]};

        if (p->leader == BROKER_NONE && p->isr.n + p->elr.n == 0) {
            if (s->is_healing && sim_one_in(s, 4)) { /* it may have begun anew: READY says so [CTL-47] */
                sim_ctl_suspect(s, c, named.leader);
            }
            sim_ctl_ask(s, c,
                    &(struct ctl_event){.kind = CTL_EV_ELECT,
                            .elect = {.partitions = &named, .n = 1, .is_unclean = true}});
            t = topic_of(c);
        }
    }
}

/* --- Other replicas -------------------------------------------------------------------------------------------------- */

static struct broker_set some_brokers(struct sim *s)
{
    struct broker_set set = {0};
    int n = s->has_singles ? 1 + (int)sim_below(s, 3) : 2 + (int)sim_below(s, 2);

    while (set.n < n) {
        (void)broker_set_add(&set, (broker_id)sim_below(s, (uint64_t)s->n_brokers));
    }
    return set;
}

void sim_admin_move(struct sim *s, struct sim_ctl *c)
{
    const struct image_topic *t = topic_of(c);
    struct ctl_reassign named = {.topic = SIM_TOPIC, .replicas = some_brokers(s)};
    struct ctl_event ev = {.kind = CTL_EV_REASSIGN};

    if (t == NULL || t->n_partitions == 0) {
        return;
    }
    named.partition = (int32_t)sim_below(s, (uint64_t)t->n_partitions);
    ev.reassign.partitions = &named;
    ev.reassign.n = 1;
    switch (sim_below(s, 6)) {
    case 0: ev.reassign.goal = CTL_GOAL_BALANCE; break;
    case 1:
        ev.reassign.goal = CTL_GOAL_EMPTY;
        (void)broker_set_add(
                &ev.reassign.brokers, (broker_id)sim_below(s, (uint64_t)s->n_brokers));
        break;
    case 2:
        ev.reassign.goal = CTL_GOAL_FACTOR;
        ev.reassign.topic = SIM_TOPIC;
        ev.reassign.replication_factor = s->has_singles ? 1 + (int32_t)sim_below(s, 3) : 2 + (int32_t)sim_below(s, 2);
        break;
    default: ev.reassign.goal = CTL_GOAL_NAMED; break;
    }
    s->counts.moves++;
    sim_tell(s, sim_node_name(c->node), "replicas are to move");
    sim_ctl_ask(s, c, &ev);
}

/* Of the ISR: `wanted`, or somebody else than who leads. */
static broker_id next_leader(struct sim *s, const struct partition_state *p, broker_id wanted)
{
    broker_id next = p->isr.at[sim_below(s, p->isr.n)];

    if (broker_set_has(&p->isr, wanted)) {
        return wanted;
    }
    while (next == p->leader) {
        next = p->isr.at[sim_below(s, p->isr.n)];
    }
    return next;
}

void sim_admin_swap(struct sim *s, struct sim_ctl *c, int part, broker_id wanted)
{
    const struct image_topic *t = topic_of(c);
    struct ctl_reassign named = {.topic = SIM_TOPIC, .partition = part};
    struct ctl_elect_partition elect = {.topic = SIM_TOPIC, .partition = part};

    if (t == NULL || part >= t->n_partitions) {
        return;
    }
    const struct partition_state *p = &t->partitions[part];

    if (partition_is_moving(p) || p->isr.n < 2) {
        return;
    }
    broker_id next = next_leader(s, p, wanted != p->leader ? wanted : BROKER_NONE);

    (void)broker_set_add(&named.replicas, next);
    for (uint8_t i = 0; i < p->replicas.n; i++) {
        (void)broker_set_add(&named.replicas, p->replicas.at[i]);
    }
    sim_tell(s, sim_node_name(c->node), "%s is to lead %s-%d", sim_node_name(next), SIM_TOPIC, part);
    s->counts.swaps++;
    sim_ctl_ask(s, c,
            &(struct ctl_event){.kind = CTL_EV_REASSIGN,
                    .reassign = {.goal = CTL_GOAL_NAMED, .partitions = &named, .n = 1}});
    sim_ctl_ask(s, c,
            &(struct ctl_event){.kind = CTL_EV_ELECT, .elect = {.partitions = &elect, .n = 1}});
}

void sim_admin_revert(struct sim *s, struct sim_ctl *c)
{
    sim_tell(s, sim_node_name(c->node), "moves are to be taken back");
    sim_ctl_ask(s, c,
            &(struct ctl_event){
                    .kind = CTL_EV_REASSIGN, .reassign = {.goal = CTL_GOAL_TAKE_BACK}});
}
