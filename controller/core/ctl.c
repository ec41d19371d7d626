/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/core/ctl.h"

#include "common/base/cover.h"
#include "controller/core/ctl_state.h"

struct ctl *ctl_new(const struct ctl_options *options)
{
    struct ctl *c = mem_new(struct ctl);

    must(options->replication_factor_max >= 1);
    must(options->replication_factor_max <= REPLICAS_MAX);
    c->trace = options->trace;
    c->replication_factor_max = options->replication_factor_max;
    c->trash_topics_max =
            options->trash_topics_max > 0 ? options->trash_topics_max : CTL_TRASH_TOPICS;
    c->trash_partitions_max = options->trash_partitions_max > 0 ? options->trash_partitions_max
                                                                : CTL_TRASH_PARTITIONS;
    c->operations_max = options->operations_max > 0 ? options->operations_max : CTL_OPERATIONS_MAX;
    c->has_journal = options->has_journal;
    c->balance.is_enabled = options->has_auto_balance;
    ctl_balance_forget(c);
    c->purge_at = c->rebalance_at = c->rebalance_by = c->ask_at = c->raise_at = WTIME_NEVER;
    c->empty_at = WTIME_NEVER;
    prng_init(&c->prng, options->seed);
    return c;
}

/* Everything but the generator, which must never give the same ids again. */
static void forget(struct ctl *c)
{
    c->next = image_free(c->next);
    ctl_forget_seen(c);
    c->last_seq = c->committed_seq = 0;
    c->is_listed = false;
    c->purge_at = c->rebalance_at = c->rebalance_by = c->ask_at = c->raise_at = WTIME_NEVER;
    c->empty_at = WTIME_NEVER;
    c->n_leaving = 0;
    array_deinit(&c->recoveries);
    ctl_balance_forget(c);
    c->is_stirred = c->is_raise_due = c->is_empty_due = false;
}

struct ctl *ctl_free(struct ctl *c)
{
    if (c == NULL) {
        return NULL;
    }
    forget(c);
    array_deinit(&c->records);
    return mem_free(c);
}

static void copy_record(void *ctx, const struct meta_record *record)
{
    int applied = image_apply(ctx, 0, record);

    must(applied == 0);
}

/* [CTL-1] The first record of a term is the barrier behind which nothing of an older one can
 * come. */
static void on_elected(struct ctl *c)
{
    const struct ctl_event *ev = c->ev;

    forget(c);
    c->next = image_new();
    image_snapshot(ev->elected.image, copy_record, c->next);
    image_set_position(c->next, image_position(ev->elected.image));
    c->last_seq = c->committed_seq = ev->elected.last_seq;
    for (size_t i = 0; i < image_n_brokers(c->next); i++) {
        c->n_leaving += image_broker_at(c->next, i)->intent == BROKER_DECOMMISSIONING;
    }
    uint64_t was_epoch = image_ctl_epoch(c->next);
    must(ev->elected.ctl_epoch > was_epoch);
    COVER_IF(was_epoch > 0, CTL, 1);

    struct meta_record r = ctl_record(c, META_NEW_CONTROLLER, "");
    r.new_controller.ctl_epoch = ev->elected.ctl_epoch;
    r.new_controller.controller_id = ev->elected.controller_id;
    trace_emit(c->trace, "ctl  controller %d acts in epoch %llu", ev->elected.controller_id,
            (unsigned long long)ev->elected.ctl_epoch);
    ctl_append(c, &r);
    if (image_feature_level(c->next) == 0) {
        struct meta_record level = ctl_record(c, META_FEATURE_SET, "new cluster");
        level.feature.name = "metadata.version";
        level.feature.level = META_FEATURE_LEVEL;
        ctl_append(c, &level);
    }
    if (ev->elected.ctl_epoch - was_epoch >= META_REBUILD_EPOCHS && was_epoch > 0) {
        ctl_skip_producer_ids(c);
    }
}

static void on_committed(struct ctl *c)
{
    must(c->ev->committed_seq >= c->committed_seq);
    must(c->ev->committed_seq <= c->last_seq);
    c->committed_seq = c->ev->committed_seq;
}

static void on_event_while_active(struct ctl *c)
{
    switch (c->ev->kind) {
    case CTL_EV_ELECTED: on_elected(c); break;
    case CTL_EV_COMMITTED: on_committed(c); break;
    case CTL_EV_DEPOSED:
        trace_emit(c->trace, "ctl  deposed");
        forget(c);
        break;
    case CTL_EV_BROKERS_LISTED: ctl_on_brokers_listed(c); break;
    case CTL_EV_BROKER_SEEN: ctl_on_broker_seen(c, &c->ev->seen); break;
    case CTL_EV_BROKER_GONE: ctl_on_broker_gone(c); break;
    case CTL_EV_BROKER_REFUSED:
    case CTL_EV_BROKER_SILENT:
    case CTL_EV_BROKER_DIRS_FAILED: ctl_on_broker_suspected(c); break;
    case CTL_EV_BROKER_READY: ctl_on_broker_ready(c); break;
    case CTL_EV_BROKER_SHUTDOWN: ctl_on_broker_shutdown(c); break;
    case CTL_EV_ALTER_PARTITION: ctl_on_alter_partition(c); break;
    case CTL_EV_REPLICA_FAILED: ctl_on_replica_failed(c); break;
    case CTL_EV_PRODUCER_IDS: ctl_on_producer_ids(c); break;
    case CTL_EV_CREATE_TOPIC: ctl_on_create_topic(c, &c->ev->create); break;
    case CTL_EV_ADD_PARTITIONS: ctl_on_add_partitions(c); break;
    case CTL_EV_DELETE_TOPIC: ctl_on_delete_topic(c); break;
    case CTL_EV_PURGE_TOPIC: ctl_on_purge_topic(c); break;
    case CTL_EV_RESTORE_TOPIC: ctl_on_restore_topic(c); break;
    case CTL_EV_SET_CONFIGS: ctl_on_set_configs(c, &c->ev->set_configs); break;
    case CTL_EV_ELECT: ctl_on_elect(c); break;
    case CTL_EV_REASSIGN: ctl_on_reassign(c); break;
    case CTL_EV_BROKER_INTENT: ctl_on_broker_intent(c); break;
    case CTL_EV_FORGET_BROKER: ctl_on_forget_broker(c); break;
    case CTL_EV_CANCEL_OPERATION: ctl_on_cancel_operation(c); break;
    case CTL_EV_LOG_ENDS: ctl_on_log_ends(c); break;
    case CTL_EV_SIZES: ctl_on_sizes(c); break;
    case CTL_EV_TICK:
        ctl_purge_old(c);
        ctl_ask_again(c);
        ctl_rebalance(c);
        ctl_raise_internal(c);
        ctl_empty_brokers(c);
        ctl_auto_balance(c);
        break;
    }
}

/* [CTL-7] A standby decides nothing: it refuses requests and lets the rest pass. */
static void on_event_while_standby(struct ctl *c)
{
    if (c->ev->kind == CTL_EV_ELECTED) {
        on_elected(c);
    } else {
        COVER_IF(c->ev->kind == CTL_EV_ALTER_PARTITION, CTL, 7);
        (void)ctl_answer(
                c, ERRCODE_NOT_CONTROLLER, "this controller stands by; ask the active one");
    }
}

void ctl_step(struct ctl *c, const struct ctl_event *ev, struct ctl_fx *fx)
{
    must(!c->is_stepping);
    c->is_stepping = true;
    ctl_fx_begin(c, ev, fx);
    if (c->next != NULL) {
        on_event_while_active(c);
    } else {
        on_event_while_standby(c);
    }
    ctl_end_operations(c);
    ctl_plan_raise(c);
    ctl_plan_empty(c);
    ctl_settle_summary(c);
    ctl_plan_purge(c);
    ctl_plan_rebalance(c);
    ctl_plan_auto_balance(c);
    ctl_fx_end(c);
    c->is_stepping = false;
    check_slow(ctl_check(c));
}

wtime ctl_deadline(const struct ctl *c)
{
    wtime sooner = wtime_min(wtime_min(c->purge_at, c->rebalance_at),
            wtime_min(c->empty_at, c->balance.at));

    return wtime_min(sooner, wtime_min(c->ask_at, c->raise_at));
}

bool ctl_is_active(const struct ctl *c)
{
    return c->next != NULL;
}

const struct image *ctl_next_image(const struct ctl *c)
{
    return c->next;
}
