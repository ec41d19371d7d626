/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/arena.h"
#include "common/base/cover.h"
#include "controller/core/ctl_state.h"

/* [CTL-52] Unclean elections that nobody asked for: of a partition without a member of ISR or ELR, whose last known
 * replicas are all here again, the one whose log reaches furthest leads. */

#define ASK_AGAIN WTIME_S(5)

enum {
    ASKED_AT_ONCE = 4096 /* partitions of one question to one broker */
};

/* --- Which partitions ------------------------------------------------------------------------- */

static bool may_recover(const struct ctl *c, const struct image_topic *t)
{
    const char *own = image_topic_config(t, "weir.unclean.election");
    const char *cluster = image_cluster_config(c->next, "weir.unclean.election");
    const char *value = own != NULL ? own : cluster;

    return value == NULL || strcmp(value, "balanced") == 0;
}

/* Nobody can lead it, and all who may have what is lost are here. One that has failed is asked, too: it may have begun anew
 * since, without a leader that could let it into the ISR; else it answers that it has no log. */
static bool is_lost(const struct ctl *c, const struct partition_state *p)
{
    if (p->leader != BROKER_NONE || p->replicas.n == 1 || p->isr.n + p->elr.n > 0 ||
            p->lk.n == 0) {
        return false;
    }
    for (int i = 0; i < p->lk.n; i++) {
        const struct ctl_seen *s = ctl_find_seen(c, p->lk.at[i]);
        if (!image_broker_is_active(c->next, p->lk.at[i]) || s == NULL || !s->is_ready) {
            return false;
        }
    }
    return true;
}

static size_t lower_bound(const struct ctl *c, const struct ctl_partition_ref *ref)
{
    size_t from = 0, to = c->recoveries.n;

    while (from < to) {
        size_t mid = from + (to - from) / 2;
        if (ctl_compare_refs(&c->recoveries.items[mid].ref, ref) < 0) {
            from = mid + 1;
        } else {
            to = mid;
        }
    }
    return from;
}

static struct ctl_recovery *find(const struct ctl *c, const struct ctl_partition_ref *ref)
{
    size_t i = lower_bound(c, ref);

    return i < c->recoveries.n && ctl_compare_refs(&c->recoveries.items[i].ref, ref) == 0
                   ? &c->recoveries.items[i]
                   : NULL;
}

/* Whether the question is still about what it was about. */
static bool is_current(
        const struct ctl *c, const struct ctl_recovery *r, const struct partition_state *p)
{
    if (p == NULL || p->partition_epoch != r->partition_epoch || !is_lost(c, p)) {
        return false;
    }
    for (int i = 0; i < p->lk.n; i++) {
        if (image_broker(c->next, p->lk.at[i])->epoch != r->asked[i].epoch) {
            return false; /* It started anew: its log may be another one. */
        }
    }
    return true;
}

/* --- Asking ----------------------------------------------------------------------------------- */

static void ask_broker(struct ctl *c, broker_id id, const struct ctl_partition_ref *ref)
{
    struct ctl_fx_item *item = NULL;

    for (size_t i = 0; i < c->fx->n && item == NULL; i++) {
        struct ctl_fx_item *one = &c->fx->items[i];
        item = one->kind == CTL_FX_ASK_ENDS && one->ask.id == id && one->ask.n < ASKED_AT_ONCE
                       ? one
                       : NULL;
    }
    if (item == NULL) {
        item = array_push(c->fx);
        item->kind = CTL_FX_ASK_ENDS;
        item->ask.id = id;
        item->ask.epoch = image_broker(c->next, id)->epoch;
        item->ask.n = 0;
        item->ask.refs = arena_alloc(c->fx->arena, ASKED_AT_ONCE * sizeof(*item->ask.refs));
        must(item->ask.refs != NULL);
    }
    item->ask.refs[item->ask.n++] = *ref;
}

static void ask(struct ctl *c, const struct image_topic *t, const struct partition_state *p)
{
    const struct ctl_partition_ref ref = {.topic_id = p->topic_id, .partition = p->partition};
    struct ctl_recovery *r = find(c, &ref);
    char set[CTL_SET_TEXT_SIZE];

    if (r != NULL && is_current(c, r, p)) {
        return; /* Under way. */
    }
    if (r == NULL) {
        r = array_insert(&c->recoveries, lower_bound(c, &ref));
    }
    *r = (struct ctl_recovery){.ref = ref, .partition_epoch = p->partition_epoch};
    for (int i = 0; i < p->lk.n; i++) {
        r->asked[i].epoch = image_broker(c->next, p->lk.at[i])->epoch;
        ask_broker(c, p->lk.at[i], &ref);
    }
    if (c->n_traced++ < CTL_TRACED_PARTITIONS) {
        trace_emit(c->trace, "ctl  %s-%d has nobody in sync; {%s} are asked how far their logs reach",
                t->name, p->partition, ctl_set_text(&p->lk, set, sizeof(set)));
    }
}

void ctl_look_for_lost(struct ctl *c)
{
    c->ask_at = WTIME_NEVER;
    for (size_t i = 0; i < image_n_topics(c->next); i++) {
        const struct image_topic *t = image_topic_at(c->next, i);
        for (int32_t k = 0; k < t->n_partitions; k++) {
            if (is_lost(c, &t->partitions[k]) && may_recover(c, t)) {
                ask(c, t, &t->partitions[k]);
            }
        }
    }
}

void ctl_note_lost(struct ctl *c, const struct partition_state *p)
{
    if (c->is_listed && p->leader == BROKER_NONE && p->isr.n + p->elr.n == 0 && p->lk.n > 0) {
        c->ask_at = wtime_min(c->ask_at, c->ev->now);
    }
}

void ctl_ask_again(struct ctl *c)
{
    if (wtime_due(c->ask_at, c->ev->now)) {
        ctl_look_for_lost(c);
    }
}

/* --- Answers ---------------------------------------------------------------------------------- */

static bool is_further(
        const struct ctl_recovery_answer *a, const struct ctl_recovery_answer *than, bool is_rather)
{
    return a->last_epoch > than->last_epoch ||
           (a->last_epoch == than->last_epoch &&
                   (a->end > than->end || (a->end == than->end && is_rather)));
}

/* The furthest log: the greater last epoch, of equals the greater end, of equals one that is not drained ([CTL-71]), of
 * those the one that is preferred. */
static broker_id winner_of(
        const struct ctl *c, const struct ctl_recovery *r, const struct partition_state *p)
{
    const struct broker_set reluctant = ctl_reluctant(c, p);
    broker_id best = BROKER_NONE;
    struct ctl_recovery_answer at = {.last_epoch = EPOCH_NONE, .end = OFFSET_NONE};

    for (int i = 0; i < p->replicas.n; i++) {
        for (int k = 0; k < p->lk.n; k++) {
            const struct ctl_recovery_answer *one = &r->asked[k];
            bool is_rather = broker_set_has(&reluctant, best) &&
                             !broker_set_has(&reluctant, p->replicas.at[i]);
            if (p->lk.at[k] == p->replicas.at[i] &&
                    (best == BROKER_NONE || is_further(one, &at, is_rather))) {
                best = p->lk.at[k];
                at = *one;
            }
        }
    }
    must(best != BROKER_NONE);
    return best;
}

static void recover(struct ctl *c, const struct ctl_recovery *r, const struct partition_state *p)
{
    const struct meta_why why = c->why;
    const char *told = "";

    COVER(CTL, 52);

    for (int i = 0; i < p->lk.n; i++) {
        told = ctl_format(c, "%s%s%d:%lld@%d", told, i > 0 ? "," : "", p->lk.at[i],
                (long long)r->asked[i].end, r->asked[i].last_epoch);
        ctl_forgive(c, p->lk.at[i], p); /* A later failure would have made another record. */
    }
    c->why = (struct meta_why){
            .cause = CAUSE_FURTHEST_LOG, .actor = "", .reason = "", .inputs = ""};
    ctl_elect_unclean(c, p, winner_of(c, r, p), ctl_format(c, "ends=[%s]", told));
    c->why = why;
}

static bool is_complete(const struct ctl_recovery *r, const struct partition_state *p)
{
    for (int i = 0; i < p->lk.n; i++) {
        if (!r->asked[i].is_told) {
            return false;
        }
    }
    return true;
}

static void forget(struct ctl *c, struct ctl_recovery *r)
{
    array_remove(&c->recoveries, (size_t)(r - c->recoveries.items));
}

static void take(struct ctl *c, const struct ctl_log_end *told)
{
    struct ctl_recovery *r = find(c, &told->ref);
    const struct partition_state *p =
            image_partition(c->next, &told->ref.topic_id, told->ref.partition);

    if (r == NULL) {
        return;
    }
    if (!is_current(c, r, p)) {
        forget(c, r); /* The record, or who was asked, is another by now: what is lost still is asked for again. */
        c->ask_at = wtime_min(c->ask_at, c->ev->now);
        return;
    }
    for (int i = 0; i < p->lk.n; i++) {
        if (p->lk.at[i] != c->ev->ends.id || r->asked[i].epoch != c->ev->ends.epoch) {
            continue;
        }
        if (told->error != ERRCODE_NONE) { /* Nobody is chosen without all answers. */
            forget(c, r);
            c->ask_at = wtime_min(c->ask_at, wtime_add(c->ev->now, ASK_AGAIN));
            return;
        }
        r->asked[i].last_epoch = told->last_epoch;
        r->asked[i].end = told->end;
        r->asked[i].is_told = true;
    }
    if (is_complete(r, p)) {
        recover(c, r, p);
        forget(c, r);
    }
}

void ctl_on_log_ends(struct ctl *c)
{
    for (size_t i = 0; i < c->ev->ends.n; i++) {
        take(c, &c->ev->ends.partitions[i]);
    }
}
