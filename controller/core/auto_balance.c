/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/core/balance.h"
#include "controller/core/ctl_state.h"

#include <stdio.h>
#include <string.h>

/* The balance that the controller keeps by itself (weir.auto.balance).
 *
 *   brokers come, go ─quiet─▶ look ─▶ nothing in the way? ─ASK_SIZES─▶ SIZES ─▶ plan ─apply─▶ moves ─ended─▶ look
 *                              ▲                                          └─ else: says what it would move
 *                              └── again after ten minutes: sizes drift
 *
 * Whatever comes of it is told, above all why nothing was done. */

#define BALANCE_QUIET_MS 60000
#define BALANCE_AGAIN    WTIME_S(600) /* sizes drift */
#define BALANCE_RETRY    WTIME_S(30)  /* something that passes was in the way */
#define BALANCE_ROUND    WTIME_S(1)   /* after a move has ended: more than one may */

enum {
    BALANCE_AT_ONCE = 20 /* [CTL-85] moves under way that a broker takes part in */
};

/* --- What is asked for ------------------------------------------------------------------------ */

static enum ctl_balance_mode mode_of(const struct ctl *c)
{
    const char *text = image_cluster_config(c->next, "weir.auto.balance");

    return text == NULL                  ? CTL_BALANCE_PLAN
           : strcmp(text, "off") == 0   ? CTL_BALANCE_OFF
           : strcmp(text, "apply") == 0 ? CTL_BALANCE_APPLY
                                        : CTL_BALANCE_PLAN;
}

static wtime quiet_of(const struct ctl *c)
{
    return WTIME_MS(ctl_number_of(
            image_cluster_config(c->next, "weir.auto.balance.quiet.ms"), BALANCE_QUIET_MS));
}

/* --- What came of it -------------------------------------------------------------------------- */

static struct ctl_balance_broker *broker_of(struct ctl *c, broker_id id)
{
    size_t from = 0, to = c->balance.brokers.n;

    while (from < to) {
        size_t mid = from + (to - from) / 2;
        if (c->balance.brokers.items[mid].id < id) {
            from = mid + 1;
        } else {
            to = mid;
        }
    }
    must(from < c->balance.brokers.n && c->balance.brokers.items[from].id == id);
    return &c->balance.brokers.items[from];
}

static void count_partition(struct ctl *c, const struct partition_state *p)
{
    int64_t bytes = ctl_size_of(c, p);

    for (int i = 0; i < p->replicas.n; i++) {
        struct ctl_balance_broker *b = broker_of(c, p->replicas.at[i]);
        b->replicas++;
        b->leaders += i == 0;
        b->bytes = bytes < 0 || b->bytes < 0 ? -1 : b->bytes + bytes;
    }
}

static void count_brokers(struct ctl *c)
{
    const struct image *image = c->next;

    array_clear(&c->balance.brokers);
    for (size_t i = 0; i < image_n_brokers(image); i++) {
        *array_push(&c->balance.brokers) =
                (struct ctl_balance_broker){.id = image_broker_at(image, i)->id};
    }
    for (size_t i = 0; i < image_n_topics(image); i++) {
        const struct image_topic *t = image_topic_at(image, i);
        for (int32_t k = 0; k < t->n_partitions; k++) {
            count_partition(c, &t->partitions[k]);
        }
    }
    c->balance.last.brokers = c->balance.brokers.items;
    c->balance.last.n_brokers = c->balance.brokers.n;
}

/* [CTL-84] */
static void tell(struct ctl *c, bool is_balanced, const struct ctl_even *even, const char *why)
{
    struct ctl_balance *b = &c->balance.last;

    if (strcmp(b->why, why) != 0) {
        trace_emit(c->trace, "ctl  balance: %s", why);
    }
    (void)snprintf(b->why, sizeof(b->why), "%s", why);
    b->mode = mode_of(c);
    b->evaluated_at = c->ev->wall;
    b->is_balanced = is_balanced;
    b->n_moves = even != NULL ? even->n_moves : 0;
    b->bytes_to_move = even != NULL ? even->bytes : -1;
    count_brokers(c);
}

/* --- What is in the way ----------------------------------------------------------------------- */

struct found {
    size_t n_moving, n_leaderless, n_unsized, n_up;
    const struct image_broker *down; /* one of them; NULL = none is */
    const char *leaderless;          /* one of them */
};

static struct found look_around(const struct ctl *c)
{
    struct found f = {0};

    for (size_t i = 0; i < image_n_brokers(c->next); i++) {
        const struct image_broker *b = image_broker_at(c->next, i);
        bool is_up = b->state == BROKER_ACTIVE;
        f.n_up += is_up;
        f.down = is_up ? f.down : b;
    }
    for (size_t i = 0; i < image_n_topics(c->next); i++) {
        const struct image_topic *t = image_topic_at(c->next, i);
        for (int32_t k = 0; k < t->n_partitions; k++) {
            const struct partition_state *p = &t->partitions[k];
            f.n_moving += partition_is_moving(p);
            f.n_unsized += ctl_size_of(c, p) < 0;
            if (p->leader == BROKER_NONE) {
                f.n_leaderless++;
                f.leaderless = t->name;
            }
        }
    }
    return f;
}

/* [CTL-82] A sentence; NULL = nothing. */
static const char *obstacle(struct ctl *c, const struct found *f)
{
    if (mode_of(c) == CTL_BALANCE_OFF) {
        return "weir.auto.balance is off";
    }
    if (!c->is_listed) {
        return "which brokers are up is not known yet";
    }
    if (f->down != NULL) {
        return ctl_format(c, "broker %d is down, and what it holds may be needed", f->down->id);
    }
    if (f->n_up < 2) {
        return "there is nobody to share with: one broker";
    }
    if (f->n_leaderless > 0) {
        return ctl_format(c, "%zu partitions have no leader, of topic %s for one", f->n_leaderless,
                f->leaderless);
    }
    if (f->n_moving > 0) {
        return ctl_format(c, "%zu partitions are on their way; what is even is seen when they have "
                             "arrived",
                f->n_moving);
    }
    return NULL;
}

/* --- Looks ------------------------------------------------------------------------------------ */

void ctl_auto_balance(struct ctl *c)
{
    if (!wtime_due(c->balance.at, c->ev->now)) {
        return;
    }
    const struct found f = look_around(c);
    const char *why = obstacle(c, &f);

    c->balance.at = wtime_add(c->ev->now, BALANCE_AGAIN);
    if (why != NULL) {
        tell(c, false, NULL, why);
        c->balance.is_begun = c->balance.is_begun && f.n_moving > 0;
        if (f.n_moving > 0) { /* They may be an operator's, of whose end nothing stirs us. */
            c->balance.at = wtime_add(c->ev->now, BALANCE_RETRY);
        }
        return;
    }
    c->balance.is_asking = true;
    array_push(c->fx)->kind = CTL_FX_ASK_SIZES;
}

/* [CTL-83] [CTL-85] [CTL-86] */
static void plan(struct ctl *c)
{
    bool may_begin = mode_of(c) == CTL_BALANCE_APPLY && !c->balance.is_resting &&
                     ctl_operation_refusal(c) == NULL;
    const struct meta_why why = c->why;
    struct ctl_even even;

    c->why = (struct meta_why){
            .cause = CAUSE_AUTO_BALANCE, .actor = "", .reason = "", .inputs = ""};
    c->opening.kind = OPERATION_BALANCE; /* each round is one, which can be watched and cancelled */
    ctl_plan_even(c, may_begin ? BALANCE_AT_ONCE : 0, &even);
    (void)ctl_operation_close(c);
    c->why = why;
    c->balance.is_begun = even.n_begun > 0;
    if (even.n_moves == 0) {
        tell(c, true, &even, "replicas, leaders and bytes are even");
    } else if (may_begin) {
        tell(c, false, &even,
                ctl_format(c, "%zu moves of %zu were begun", even.n_begun, even.n_moves));
    } else if (c->balance.is_resting) { /* [CTL-87] */
        tell(c, false, &even,
                "moves were taken back; the next ones are begun when a broker comes or goes, or "
                "weir.auto.balance is set again");
    } else {
        tell(c, false, &even, "`weir balance apply` begins these moves, weir.auto.balance=apply "
                              "those of later plans, too");
    }
    if (even.n_begun > 0) { /* Such as change the order only have ended with it. */
        c->balance.has_arrived = true;
    }
}

void ctl_balance_on_sizes(struct ctl *c)
{
    const struct found f = look_around(c);
    const char *why = obstacle(c, &f);

    c->balance.is_asking = false;
    c->balance.at = wtime_add(c->ev->now, BALANCE_AGAIN);
    if (why == NULL && f.n_unsized > 0) {
        why = ctl_format(c, "how large %zu partitions are is not known: their leaders do not say",
                f.n_unsized);
    }
    if (why != NULL) {
        tell(c, false, NULL, why);
        c->balance.at = wtime_add(c->ev->now, BALANCE_RETRY);
    } else {
        plan(c);
    }
}

/* --- When ------------------------------------------------------------------------------------- */

void ctl_balance_rest(struct ctl *c)
{
    if (!ctl_is_dry_run(c)) {
        c->balance.is_resting = true;
        c->balance.is_begun = false;
    }
}

void ctl_plan_auto_balance(struct ctl *c)
{
    bool is_stirred = c->balance.is_stirred || c->ev->kind == CTL_EV_BROKERS_LISTED;
    bool has_arrived = c->balance.has_arrived;

    c->balance.is_stirred = c->balance.has_arrived = false;
    if (c->next == NULL || !c->balance.is_enabled) {
        c->balance.at = WTIME_NEVER;
    } else if (is_stirred) { /* [CTL-81] */
        c->balance.is_resting = false;
        c->balance.at = wtime_add(c->ev->now, quiet_of(c));
    } else if (has_arrived && c->balance.is_begun) {
        c->balance.at = wtime_min(c->balance.at, wtime_add(c->ev->now, BALANCE_ROUND));
    }
}

void ctl_balance_forget(struct ctl *c)
{
    array_deinit(&c->sizes);
    array_deinit(&c->balance.brokers);
    c->balance.is_stirred = c->balance.has_arrived = false;
    c->balance.is_asking = c->balance.is_begun = c->balance.is_resting = false;
    c->balance.at = WTIME_NEVER;
    c->balance.last = (struct ctl_balance){.mode = CTL_BALANCE_PLAN,
            .why = "the balance was not looked at yet",
            .bytes_to_move = -1};
}

const struct ctl_balance *ctl_balance(const struct ctl *c)
{
    return &c->balance.last;
}
