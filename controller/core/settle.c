/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/cover.h"
#include "controller/core/ctl_state.h"

#include <stdio.h>

/* --- What a partition should be --------------------------------------------------------------- */
static bool may_lead(const struct ctl *c, const struct partition_state *p, broker_id id)
{
    const struct ctl_seen *s = ctl_find_seen(c, id);

    if (!image_broker_is_active(c->next, id) || ctl_has_failed(c, id, p)) {
        return false;
    }
    /* [CTL-6] Only its broker can say whether a single replica without a leader has failed: that
     * is not in the image, because it never leaves the ISR. */
    return p->replicas.n > 1 || p->leader == id || (s != NULL && s->is_ready);
}

struct broker_set ctl_active_replicas(const struct ctl *c, const struct partition_state *p)
{
    struct broker_set active = {0};

    for (int i = 0; i < p->replicas.n; i++) {
        if (may_lead(c, p, p->replicas.at[i])) {
            (void)broker_set_add(&active, p->replicas.at[i]);
        }
    }
    return active;
}

/* [REP-6] The ISR without the fenced, and without those that shut down while another member can
 * lead. */
static struct broker_set isr_of_the_living(const struct ctl *c,
        const struct broker_set *wanted,
        const struct broker_set *active,
        broker_id leader)
{
    struct broker_set isr = *wanted;
    bool is_led = false;

    for (int i = 0; i < wanted->n; i++) {
        is_led = is_led || broker_set_has(active, wanted->at[i]);
    }
    for (int i = 0; i < wanted->n; i++) {
        const struct image_broker *b = image_broker(c->next, wanted->at[i]);
        must(b != NULL);
        if (b->state == BROKER_FENCED || (b->state == BROKER_SHUTTING && is_led)) {
            COVER(REP, 6);
            broker_set_remove(&isr, b->id);
        }
    }
    /* Several that shut down together: the leader stays to the end. */
    for (int i = 0; i < wanted->n && isr.n > 1; i++) {
        const struct image_broker *b = image_broker(c->next, wanted->at[i]);
        if (b != NULL && b->state == BROKER_SHUTTING && b->id != leader) {
            broker_set_remove(&isr, b->id);
        }
    }
    return isr;
}

static const char *own_config(
        const struct ctl *c, const struct partition_state *p, const char *key)
{
    const struct image_topic *t = image_topic_by_id(c->next, &p->topic_id);

    must(t != NULL);
    return image_topic_config(t, key);
}

/* The min_isr in force with so many replicas: what is configured, but never more than those. */
static int32_t min_isr_in_force(const struct ctl *c, const struct partition_state *p, int n)
{
    return ctl_min_isr(c, own_config(c, p, "min.insync.replicas"), n);
}

bool ctl_is_synced(const struct ctl *c, const struct partition_state *p)
{
    const char *own = own_config(c, p, "weir.ack.durability");
    const char *cluster = image_cluster_config(c->next, "weir.ack.durability");
    const char *value = own != NULL ? own : cluster;

    return value != NULL && strcmp(value, "fsync") == 0;
}

bool ctl_has_lost(const struct partition_state *p, enum crash_kind kind)
{
    COVER_IF(p->is_durable && kind == CRASH_HOST, CTL, 89);
    return kind == CRASH_DISK || (kind == CRASH_HOST && !p->is_durable);
}

struct partition_state ctl_changed(
        const struct ctl *c, const struct partition_state *p, const struct partition_want *wish)
{
    struct partition_want want = *wish;
    const struct image_broker *leader = image_broker(c->next, p->leader);

    want.active = ctl_active_replicas(c, p);
    for (int i = 0; i < want.disqualified.n; i++) {
        broker_set_remove(&want.active, want.disqualified.at[i]);
    }
    want.isr = isr_of_the_living(c, &wish->isr, &want.active, p->leader);
    if (leader != NULL && leader->state == BROKER_SHUTTING &&
            !broker_set_has(&want.disqualified, leader->id) &&
            broker_set_has(&want.isr, leader->id)) {
        COVER(CTL, 8);
        (void)broker_set_add(
                &want.active, leader->id); /* [CTL-8] It leads on when nobody else can. */
    }
    want.reluctant = ctl_reluctant(c, p);
    want.is_synced = ctl_is_synced(c, p);
    COVER_IF(min_isr_in_force(c, p, p->replicas.n - p->adding.n) != p->min_isr, CTL, 51);
    /* [CTL-51] [CTL-56] While replicas are added and removed, as with those that there were. */
    want.min_isr = min_isr_in_force(c, p, p->replicas.n - p->adding.n);
    want.min_isr_moved = min_isr_in_force(
            c, p, wish->target.n > 0 ? wish->target.n : p->replicas.n - p->removing.n);
    return partition_change(p, &want);
}

struct partition_state ctl_settled(
        const struct ctl *c, const struct partition_state *p, broker_id disqualified)
{
    struct partition_want wish = {.isr = p->isr};

    if (disqualified != BROKER_NONE) {
        (void)broker_set_add(&wish.disqualified, disqualified);
    }
    return ctl_changed(c, p, &wish);
}

/* --- Records ---------------------------------------------------------------------------------- */
const char *ctl_set_text(const struct broker_set *s, char *text, size_t size)
{
    size_t used = 0;

    for (int i = 0; i < s->n && used < size; i++) {
        used += (size_t)snprintf(text + used, size - used, "%s%d", i > 0 ? "," : "", s->at[i]);
    }
    text[s->n > 0 ? size - 1 : 0] = '\0';
    return text;
}

static const char *inputs_of(struct ctl *c, const struct partition_state *p, const char *what)
{
    char isr[CTL_SET_TEXT_SIZE], elr[CTL_SET_TEXT_SIZE], live[CTL_SET_TEXT_SIZE];
    struct broker_set active = ctl_active_replicas(c, p);

    ctl_set_text(&p->isr, isr, sizeof(isr));
    ctl_set_text(&active, live, sizeof(live));
    if (p->elr.n == 0) {
        return ctl_format(c, "%s isr=[%s] live=[%s]", what, isr, live);
    }
    return ctl_format(c, "%s isr=[%s] elr=[%s] live=[%s]", what, isr,
            ctl_set_text(&p->elr, elr, sizeof(elr)), live);
}

/* ", replicas …" when they change. */
static const char *replicas_text(
        struct ctl *c, const struct partition_state *p, const struct partition_state *next)
{
    char old[CTL_SET_TEXT_SIZE], new[CTL_SET_TEXT_SIZE], target[CTL_SET_TEXT_SIZE];
    struct broker_set to = partition_target(next);

    if (broker_set_equal(&p->replicas, &next->replicas) && !partition_is_moving(p)) {
        return "";
    }
    if (!partition_is_moving(next)) {
        return ctl_format(c, ", replicas {%s} -> {%s}, moved",
                ctl_set_text(&p->replicas, old, sizeof(old)),
                ctl_set_text(&next->replicas, new, sizeof(new)));
    }
    return ctl_format(c, ", replicas {%s} -> {%s}", ctl_set_text(&p->replicas, old, sizeof(old)),
            ctl_set_text(&to, target, sizeof(target)));
}

static void trace_change(
        struct ctl *c, const struct partition_state *p, const struct partition_state *next)
{
    const struct image_topic *t = image_topic_by_id(c->next, &p->topic_id);
    char old_isr[CTL_SET_TEXT_SIZE], new_isr[CTL_SET_TEXT_SIZE], leader[32] = "no leader";

    must(t != NULL);
    bool is_unclean = next->unclean_epoch != p->unclean_epoch;
    unsigned *n_told = is_unclean ? &c->n_unclean : &c->n_traced;
    if ((*n_told)++ >= CTL_TRACED_PARTITIONS) {
        return;
    }
    if (is_unclean && p->replicas.n > 1) { /* [REP-9] Loud. */
        trace_emit(c->trace,
                "ctl  %s-%d UNCLEAN: broker %d leads in leader epoch %d, and what only {%s} had is "
                "lost",
                t->name, p->partition, next->leader, next->leader_epoch,
                ctl_set_text(&p->replicas, old_isr, sizeof(old_isr)));
        return;
    }
    if (is_unclean) { /* [REP-5] Loud. */
        trace_emit(c->trace,
                "ctl  %s-%d UNCLEAN: its only replica, on broker %d, may have lost its last "
                "records; "
                "leads again in leader epoch %d",
                t->name, p->partition, next->leader, next->leader_epoch);
        return;
    }
    if (next->leader != BROKER_NONE) {
        (void)snprintf(leader, sizeof(leader), "leader %d", next->leader);
    }
    trace_emit(c->trace, "ctl  %s-%d isr {%s} -> {%s}, %s, leader epoch %d%s%s%s", t->name,
            p->partition, ctl_set_text(&p->isr, old_isr, sizeof(old_isr)),
            ctl_set_text(&next->isr, new_isr, sizeof(new_isr)), leader, next->leader_epoch,
            next->recovering ? ", recovering" : "",
            next->is_durable == p->is_durable ? ""
            : next->is_durable                ? ", durable"
                                              : ", durable no more",
            replicas_text(c, p, next));
}

void ctl_append_partition(struct ctl *c,
        const struct partition_state *p,
        const struct partition_state *next,
        const char *what)
{
    struct meta_record r = ctl_record(c, META_PARTITION_STATE, inputs_of(c, p, what));

    trace_change(c, p, next);
    r.partition = *next;
    ctl_append(c, &r);
    ctl_note_lost(c, next);
}

void ctl_settle_one(
        struct ctl *c, const struct partition_state *p, broker_id disqualified, const char *what)
{
    struct partition_state next = ctl_settled(c, p, disqualified);

    if (partition_differs(p, &next)) {
        ctl_append_partition(c, p, &next, what);
    }
}

void ctl_settle(struct ctl *c, broker_id id, enum crash_kind kind, const char *what)
{
    for (size_t i = 0; i < image_n_topics(c->next); i++) {
        const struct image_topic *t = image_topic_at(c->next, i);
        for (int32_t p = 0; p < t->n_partitions; p++) {
            const struct partition_state *state = &t->partitions[p];
            if (id == BROKER_NONE || broker_set_has(&state->replicas, id)) {
                ctl_settle_one(c, state, ctl_has_lost(state, kind) ? id : BROKER_NONE, what);
            }
        }
    }
}

void ctl_settle_summary(struct ctl *c)
{
    if (c->n_traced > CTL_TRACED_PARTITIONS) {
        trace_emit(c->trace, "ctl  and %u more partitions", c->n_traced - CTL_TRACED_PARTITIONS);
    }
    if (c->n_unclean > CTL_TRACED_PARTITIONS) {
        trace_emit(c->trace, "ctl  and %u more partitions UNCLEAN",
                c->n_unclean - CTL_TRACED_PARTITIONS);
    }
}
