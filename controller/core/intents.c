/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/core/ctl_state.h"

/* What operators want of brokers: that they get nothing new, lead nothing, hold nothing, or are forgotten. */

const char *ctl_intent_text(enum broker_intent intent)
{
    switch (intent) {
    case BROKER_WANTED: break;
    case BROKER_CORDONED: return "is cordoned and takes no new replicas";
    case BROKER_DRAINING: return "is drained: it takes no new replicas and leads nothing";
    case BROKER_DECOMMISSIONING: return "is decommissioned";
    }
    return NULL;
}

struct broker_set ctl_reluctant(const struct ctl *c, const struct partition_state *p)
{
    struct broker_set reluctant = {0};

    for (int i = 0; i < p->replicas.n; i++) {
        const struct image_broker *b = image_broker(c->next, p->replicas.at[i]);
        must(b != NULL);
        if (b->intent >= BROKER_DRAINING) {
            (void)broker_set_add(&reluctant, b->id);
        }
    }
    return reluctant;
}

/* --- What it leads ---------------------------------------------------------------------------- */

struct led {
    uint32_t n_movable, n_waiting, n_single;
};

/* Another than `id` may lead it now, and is not drained itself. */
static bool has_willing(const struct ctl *c, const struct partition_state *p, broker_id id)
{
    struct broker_set active = ctl_active_replicas(c, p);
    struct broker_set reluctant = ctl_reluctant(c, p);

    for (int i = 0; i < p->isr.n; i++) {
        if (p->isr.at[i] != id && broker_set_has(&active, p->isr.at[i]) &&
                !broker_set_has(&reluctant, p->isr.at[i])) {
            return true;
        }
    }
    return false;
}

/* Another than `id` has a replica, and is not drained itself: it may lead one day. */
static bool has_hope(const struct ctl *c, const struct partition_state *p, broker_id id)
{
    for (int i = 0; i < p->replicas.n; i++) {
        if (p->replicas.at[i] != id &&
                image_broker(c->next, p->replicas.at[i])->intent < BROKER_DRAINING) {
            return true;
        }
    }
    return false;
}

static struct led count_led(const struct ctl *c, broker_id id)
{
    struct led led = {0};

    for (size_t i = 0; i < image_n_topics(c->next); i++) {
        const struct image_topic *t = image_topic_at(c->next, i);
        for (int32_t k = 0; k < t->n_partitions; k++) {
            const struct partition_state *p = &t->partitions[k];
            if (p->leader != id) {
                continue;
            }
            led.n_movable += has_willing(c, p, id);
            led.n_waiting += !has_willing(c, p, id) && has_hope(c, p, id);
            led.n_single += !has_hope(c, p, id);
        }
    }
    return led;
}

bool ctl_is_drained(const struct ctl *c, broker_id id, uint32_t *ret_n_single)
{
    struct led led = count_led(c, id);

    *ret_n_single = led.n_single;
    return led.n_movable + led.n_waiting == 0;
}

/* --- Cordon, drain, undrain ------------------------------------------------------------------- */

void ctl_set_intent(struct ctl *c, broker_id id, enum broker_intent intent)
{
    const struct image_broker *b = image_broker(c->next, id);

    must(b != NULL);
    if (b->intent == intent) {
        return;
    }
    ctl_operations_part_from(
            c, id, intent == BROKER_WANTED ? "undrained" : "it is decommissioned instead");
    const char *name = intent != BROKER_WANTED ? broker_intent_name(intent) : "undrained";
    struct meta_record r = ctl_record(c, META_BROKER_INTENT, "");

    r.intent.id = id;
    r.intent.intent = intent;
    trace_emit(c->trace, "ctl  broker %d %s", id, name);
    ctl_append(c, &r);
    ctl_settle(c, id, CRASH_CLEAN, ctl_format(c, "%s=%d", name, id)); /* [CTL-71] */
}

static int check_intent(struct ctl *c, const struct image_broker *b, const char **ret_detail)
{
    enum broker_intent intent = c->ev->intent.intent;

    if (b == NULL) {
        *ret_detail = ctl_format(c, "broker %d is not known", c->ev->intent.id);
        return ERRCODE_BROKER_ID_NOT_REGISTERED;
    }
    if (intent != BROKER_WANTED && intent < b->intent) {
        *ret_detail = ctl_format(c, "broker %d %s, which is more; undrain it first", b->id,
                ctl_intent_text(b->intent));
        return ERRCODE_POLICY_VIOLATION;
    }
    *ret_detail = intent == BROKER_DRAINING ? ctl_operation_refusal(c) : NULL;
    return *ret_detail != NULL ? ERRCODE_POLICY_VIOLATION : ERRCODE_NONE;
}

void ctl_on_broker_intent(struct ctl *c)
{
    broker_id id = c->ev->intent.id;
    enum broker_intent intent = c->ev->intent.intent;
    const struct image_broker *b = image_broker(c->next, id);
    const char *detail = "";
    struct led led = {0};
    uint64_t operation = 0;
    int error = check_intent(c, b, &detail);

    must(intent != BROKER_DECOMMISSIONING);
    if (error != ERRCODE_NONE) {
        (void)ctl_answer(c, error, detail);
        return;
    }
    bool is_unchanged = b->intent == intent;

    if (intent == BROKER_DRAINING) {
        led = count_led(c, id);
        operation = ctl_operation_for(c, OPERATION_DRAIN, id);
    }
    if (!c->ev->intent.dry_run) {
        const struct broker_set only = {1, {id}};
        ctl_set_intent(c, id, intent);
        if (operation == 0 && led.n_waiting > 0) { /* [CTL-72] */
            operation = ctl_operation_begin(c, OPERATION_DRAIN, &only,
                    (int32_t)(led.n_movable + led.n_waiting),
                    "it leads on until another replica is in sync");
        }
    }
    struct ctl_reply *reply = ctl_answer(c, ERRCODE_NONE, "");

    if (reply != NULL) {
        reply->is_unchanged = is_unchanged;
        reply->operation = operation;
        reply->n_moved = led.n_movable;
        reply->n_waiting = led.n_waiting;
        reply->n_single = led.n_single;
    }
}

/* --- Forget ----------------------------------------------------------------------------------- */

static uint32_t n_held(const struct image_topic *t, broker_id id)
{
    uint32_t n = 0;

    for (int32_t k = 0; k < t->n_partitions; k++) {
        n += broker_set_has(&t->partitions[k].replicas, id);
    }
    return n;
}

uint32_t ctl_n_held(const struct ctl *c, broker_id id)
{
    uint32_t n = 0;

    for (size_t i = 0; i < image_n_topics(c->next); i++) {
        n += n_held(image_topic_at(c->next, i), id);
    }
    return n;
}

uint32_t ctl_n_held_in_trash(const struct ctl *c, broker_id id)
{
    uint32_t n = 0;

    for (size_t i = 0; i < image_n_trash(c->next); i++) {
        n += n_held(image_trash_at(c->next, i), id);
    }
    return n;
}

/* [CTL-74] What stands in the way, or NONE. */
static int check_forget(struct ctl *c, const char **ret_detail)
{
    broker_id id = c->ev->forget.id;
    const struct image_broker *b = image_broker(c->next, id);

    if (b == NULL) {
        *ret_detail = ctl_format(c, "broker %d is not known", id);
        return ERRCODE_BROKER_ID_NOT_REGISTERED;
    }
    if (!c->is_listed) {
        *ret_detail =
                "this controller has just been elected and does not know yet which brokers are "
                "up; try again";
        return ERRCODE_LEADER_NOT_AVAILABLE;
    }
    if (b->state != BROKER_FENCED || ctl_find_seen(c, id) != NULL) {
        *ret_detail = ctl_format(c, "broker %d is there; decommission it, then stop it", id);
        return ERRCODE_POLICY_VIOLATION;
    }
    uint32_t n = ctl_n_held(c, id), n_trash = ctl_n_held_in_trash(c, id);

    if (n > 0) {
        *ret_detail = ctl_format(c,
                "broker %d still has %u replica%s; decommission it first, so that others have them",
                id, n, n == 1 ? "" : "s");
        return ERRCODE_POLICY_VIOLATION;
    }
    if (n_trash > 0) {
        *ret_detail = ctl_format(c,
                "broker %d still has %u replica%s of deleted topics; purge those, or wait until "
                "the trash gives them up",
                id, n_trash, n_trash == 1 ? "" : "s");
        return ERRCODE_POLICY_VIOLATION;
    }
    return ERRCODE_NONE;
}

void ctl_on_forget_broker(struct ctl *c)
{
    const char *detail = "";
    int error = check_forget(c, &detail);

    if (error == ERRCODE_NONE && !c->ev->forget.dry_run) {
        struct meta_record r = ctl_record(c, META_BROKER_FORGOTTEN, "");
        r.forgotten.id = c->ev->forget.id;
        trace_emit(c->trace, "ctl  broker %d forgotten", c->ev->forget.id);
        ctl_append(c, &r);
    }
    (void)ctl_answer(c, error, detail);
}
