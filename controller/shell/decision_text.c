/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/shell/decision.h"

#include "common/base/array.h"
#include "common/domain/image.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* --- Names ------------------------------------------------------------------------------------- */

const char *decision_kind_name(enum meta_kind kind)
{
    switch (kind) {
    case META_NEW_CONTROLLER: return "new_controller";
    case META_REGISTER_BROKER: return "register_broker";
    case META_BROKER_PURGED: return "broker_purged";
    case META_FENCE_BROKER: return "fence_broker";
    case META_UNFENCE_BROKER: return "unfence_broker";
    case META_BROKER_SHUTDOWN: return "broker_shutdown";
    case META_CREATE_TOPIC: return "create_topic";
    case META_REMOVE_TOPIC: return "remove_topic";
    case META_PARTITION_STATE: return "partition_state";
    case META_CONFIG_SET: return "config_set";
    case META_PRODUCER_ID_BLOCK: return "producer_id_block";
    case META_FEATURE_SET: return "feature_set";
    case META_PURGE_TOPIC: return "purge_topic";
    case META_RESTORE_TOPIC: return "restore_topic";
    case META_BROKER_INTENT: return "broker_intent";
    case META_BROKER_FORGOTTEN: return "broker_forgotten";
    case META_OPERATION: return "operation";
    }
    return "unknown";
}

static const struct {
    enum meta_cause cause;
    const char *name;
} causes[] = {
        {CAUSE_CONTROLLER_ELECTED, "controller_elected"},
        {CAUSE_BROKER_REGISTERED, "broker_registered"},
        {CAUSE_BROKER_GONE, "broker_gone"},
        {CAUSE_BROKER_REFUSED, "broker_refused"},
        {CAUSE_BROKER_SILENT, "broker_silent"},
        {CAUSE_BROKER_READY, "broker_ready"},
        {CAUSE_BROKER_SHUTDOWN, "broker_shutdown"},
        {CAUSE_ADMIN, "admin"},
        {CAUSE_ISR_PROPOSED, "isr_proposed"},
        {CAUSE_REPLICA_FAILED, "replica_failed"},
        {CAUSE_INTERNAL_TOPIC, "internal_topic"},
        {CAUSE_BROKER_DIRS_FAILED, "broker_dirs_failed"},
        {CAUSE_PRODUCER_IDS, "producer_ids"},
        {CAUSE_TRASH_EXPIRED, "trash_expired"},
        {CAUSE_TRASH_FULL, "trash_full"},
        {CAUSE_LEADERS_BALANCED, "leaders_balanced"},
        {CAUSE_FURTHEST_LOG, "furthest_log"},
        {CAUSE_DECOMMISSION, "decommission"},
        {CAUSE_OPERATION_ENDED, "operation_ended"},
        {CAUSE_AUTO_BALANCE, "auto_balance"},
};

const char *decision_cause_name(enum meta_cause cause)
{
    for (size_t i = 0; i < COUNT_OF(causes); i++) {
        if (causes[i].cause == cause) {
            return causes[i].name;
        }
    }
    return "unknown";
}

enum meta_cause decision_cause_by_name(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(causes); i++) {
        if (strcmp(causes[i].name, name) == 0) {
            return causes[i].cause;
        }
    }
    return (enum meta_cause)0;
}

/* --- What it is about -------------------------------------------------------------------------- */

bool decision_topic_id(const struct meta_record *r, struct uuid *ret)
{
    switch (r->kind) {
    case META_CREATE_TOPIC: *ret = r->create_topic.id; return true;
    case META_REMOVE_TOPIC: *ret = r->remove_topic.id; return true;
    case META_PURGE_TOPIC: *ret = r->purge_topic.id; return true;
    case META_RESTORE_TOPIC: *ret = r->restore_topic.id; return true;
    case META_PARTITION_STATE: *ret = r->partition.topic_id; return true;
    case META_CONFIG_SET: *ret = r->config_set.topic_id; return r->config_set.scope == CONFIG_TOPIC;
    case META_NEW_CONTROLLER:
    case META_REGISTER_BROKER:
    case META_BROKER_PURGED:
    case META_FENCE_BROKER:
    case META_UNFENCE_BROKER:
    case META_BROKER_SHUTDOWN:
    case META_PRODUCER_ID_BLOCK:
    case META_BROKER_INTENT:
    case META_BROKER_FORGOTTEN:
    case META_OPERATION:
    case META_FEATURE_SET: break;
    }
    return false;
}

broker_id decision_broker(const struct meta_record *r)
{
    if (r->kind == META_CONFIG_SET) {
        return r->config_set.scope == CONFIG_BROKER ? r->config_set.broker : BROKER_NONE;
    }
    if (r->kind == META_PRODUCER_ID_BLOCK) {
        return r->producer_ids.broker;
    }
    if (r->kind == META_OPERATION) {
        return r->operation.brokers.n == 1 ? r->operation.brokers.at[0] : BROKER_NONE;
    }
    return record_broker(r);
}

/* --- Words ------------------------------------------------------------------------------------- */

static void put_set(struct buf *out, const struct broker_set *s)
{
    buf_append_str(out, "[");
    for (int i = 0; i < s->n; i++) {
        buf_append_format(out, "%s%" PRId32, i > 0 ? "," : "", s->at[i]);
    }
    buf_append_str(out, "]");
}

static void put_leader(struct buf *out, broker_id leader)
{
    if (leader == BROKER_NONE) {
        buf_append_str(out, "none");
    } else {
        buf_append_format(out, "%" PRId32, leader);
    }
}

/* A value, or "old → new" where they are known to differ. */
static void put_number(struct buf *out, const char *name, const int32_t *old, int32_t now)
{
    buf_append_format(out, ", %s ", name);
    if (old != NULL && *old != now) {
        buf_append_format(out, "%" PRId32 " → ", *old);
    }
    buf_append_format(out, "%" PRId32, now);
}

/* What becomes of the replicas, when something does. */
static void put_replicas(
        const struct partition_state *p, const struct partition_state *old, struct buf *out)
{
    const struct broker_set target = partition_target(p);

    if (partition_is_moving(p)) {
        buf_append_str(out, ", on its way to replicas ");
        put_set(out, &target);
    } else if (old != NULL && (partition_is_moving(old) ||
                                      !broker_set_equal(&old->replicas, &p->replicas))) {
        buf_append_str(out, ", replicas ");
        put_set(out, &old->replicas);
        buf_append_str(out, " → ");
        put_set(out, &p->replicas);
    }
}

static void put_partition(const struct decision *d, struct buf *out)
{
    const struct partition_state *p = &d->record->partition, *old = d->old;

    buf_append_format(out, "%s/%" PRId32 ": leader ",
            d->topic != NULL ? d->topic : "(a topic that is gone)", p->partition);
    if (old != NULL && old->leader != p->leader) {
        put_leader(out, old->leader);
        buf_append_str(out, " → ");
    }
    put_leader(out, p->leader);
    put_number(out, "leader epoch", old != NULL ? &old->leader_epoch : NULL, p->leader_epoch);
    buf_append_str(out, ", isr ");
    if (old != NULL && !broker_set_equal(&old->isr, &p->isr)) {
        put_set(out, &old->isr);
        buf_append_str(out, " → ");
    }
    put_set(out, &p->isr);
    put_replicas(p, old, out);
    if (p->partition_epoch == 0) {
        buf_append_str(out, ", as created");
    }
    if (p->unclean_epoch != EPOCH_NONE && p->unclean_epoch == p->leader_epoch) {
        buf_append_str(out, ", UNCLEAN: the last records may be lost");
    }
    if (p->recovering) {
        buf_append_str(out, ", recovering");
    }
    if (p->is_durable) {
        buf_append_str(out, ", durable");
    }
}

static const char *crash_text(enum crash_kind kind)
{
    switch (kind) {
    case CRASH_CLEAN: return "it had stopped in order";
    case CRASH_PROC: return "its process had died";
    case CRASH_HOST: return "its machine may have lost what was not on disk";
    case CRASH_DISK: break;
    }
    return "a disk of it is missing, new, or an old copy";
}

static void put_configs(struct buf *out, const struct meta_config_pair *pairs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        buf_append_str(out, i > 0 ? ", " : "");
        if (pairs[i].value != NULL) {
            buf_append_format(out, "%s=%s", pairs[i].key, pairs[i].value);
        } else {
            buf_append_format(out, "%s back to its default", pairs[i].key);
        }
    }
}

static void put_config_set(const struct decision *d, struct buf *out)
{
    const struct meta_record *r = d->record;

    switch (r->config_set.scope) {
    case CONFIG_CLUSTER: buf_append_str(out, "cluster configuration: "); break;
    case CONFIG_TOPIC:
        buf_append_format(
                out, "configuration of topic %s: ", d->topic != NULL ? d->topic : "(that is gone)");
        break;
    case CONFIG_BROKER:
        buf_append_format(out, "configuration of broker %" PRId32 ": ", r->config_set.broker);
        break;
    }
    put_configs(out, r->config_set.configs, r->config_set.n_configs);
}

static void put_topic(const struct decision *d, struct buf *out)
{
    const struct meta_record *r = d->record;

    const char *name = d->topic != NULL ? d->topic : "(its name is not known)";

    if (r->kind == META_REMOVE_TOPIC) {
        buf_append_format(out, "topic %s deleted", name);
        return;
    }
    if (r->kind == META_PURGE_TOPIC) {
        buf_append_format(out, "deleted topic %s purged: it cannot be restored any more", name);
        return;
    }
    if (r->kind == META_RESTORE_TOPIC) {
        buf_append_format(out, "deleted topic restored as %s", r->restore_topic.name);
        return;
    }
    buf_append_format(out, "topic %s created: %" PRId32 " partition%s, replication factor %" PRId32,
            r->create_topic.name, r->create_topic.n_partitions,
            r->create_topic.n_partitions == 1 ? "" : "s", r->create_topic.replication_factor);
    if (r->create_topic.n_configs > 0) {
        buf_append_str(out, ", ");
        put_configs(out, r->create_topic.configs, r->create_topic.n_configs);
    }
}

static void put_producer_ids(const struct meta_record *r, struct buf *out)
{
    buf_append_format(out, "producer ids %" PRId64 " to %" PRId64 " ", r->producer_ids.first,
            r->producer_ids.first + r->producer_ids.count - 1);
    if (r->producer_ids.broker == BROKER_NONE) {
        buf_append_str(out, "are given to nobody: the history that was lost may have given them");
    } else {
        buf_append_format(out, "given to broker %" PRId32, r->producer_ids.broker);
    }
}

static const char *intent_text(enum broker_intent intent)
{
    switch (intent) {
    case BROKER_WANTED: break;
    case BROKER_CORDONED: return "is cordoned: it gets no new replicas";
    case BROKER_DRAINING:
        return "is drained: it gets no new replicas and leads nothing that another can lead";
    case BROKER_DECOMMISSIONING:
        return "is decommissioned: it leads nothing that another can lead, and its replicas go to "
               "other brokers";
    }
    return "takes part again: it may lead and get new replicas";
}

static void put_operation(const struct meta_operation *o, struct buf *out)
{
    static const char *const states[] = {
            "is of a newer version", "runs", "is done", "has failed", "is cancelled"};

    buf_append_format(out, "operation %" PRIu64 " (%s", o->id, operation_kind_name(o->kind));
    if (o->brokers.n > 0) {
        buf_append_str(out, o->brokers.n > 1 ? " of brokers " : " of broker ");
        put_set(out, &o->brokers);
    }
    buf_append_format(out, ") %s, %" PRId32 " partition%s",
            states[o->state <= OPERATION_CANCELLED ? o->state : 0], o->n_partitions,
            o->n_partitions == 1 ? "" : "s");
    if (o->detail[0] != '\0') {
        buf_append_format(out, ": %s", o->detail);
    }
}

static void put_what(const struct decision *d, struct buf *out)
{
    const struct meta_record *r = d->record;

    switch (r->kind) {
    case META_NEW_CONTROLLER:
        buf_append_format(out, "controller %" PRId32 " is active in epoch %" PRIu64,
                r->new_controller.controller_id, r->new_controller.ctl_epoch);
        return;
    case META_REGISTER_BROKER:
        buf_append_format(out, "broker %" PRId32 " registered, not serving yet; %s",
                r->register_broker.id, crash_text(r->register_broker.crash_kind));
        return;
    case META_BROKER_PURGED:
        buf_append_format(
                out, "broker %" PRId32 " left every ISR, so it may come back", r->broker.id);
        return;
    case META_FENCE_BROKER:
        buf_append_format(out, "broker %" PRId32 " fenced: it leads nothing", r->broker.id);
        return;
    case META_UNFENCE_BROKER:
        buf_append_format(out, "broker %" PRId32 " serves", r->broker.id);
        return;
    case META_BROKER_SHUTDOWN:
        buf_append_format(out, "broker %" PRId32 " shuts down in order", r->broker.id);
        return;
    case META_CREATE_TOPIC:
    case META_REMOVE_TOPIC:
    case META_PURGE_TOPIC:
    case META_RESTORE_TOPIC: put_topic(d, out); return;
    case META_PARTITION_STATE: put_partition(d, out); return;
    case META_CONFIG_SET: put_config_set(d, out); return;
    case META_PRODUCER_ID_BLOCK: put_producer_ids(r, out); return;
    case META_FEATURE_SET:
        buf_append_format(out, "feature %s at level %" PRId32, r->feature.name, r->feature.level);
        return;
    case META_BROKER_INTENT:
        buf_append_format(
                out, "broker %" PRId32 " %s", r->intent.id, intent_text(r->intent.intent));
        return;
    case META_BROKER_FORGOTTEN:
        buf_append_format(out, "broker %" PRId32 " is not known any more", r->forgotten.id);
        return;
    case META_OPERATION: put_operation(&r->operation, out); return;
    }
    buf_append_str(out, "a decision of a newer version");
}

/* The broker that the cause is about: its own record's, or what the inputs begin with ("fenced=2"). */
static broker_id broker_behind(const struct meta_record *r)
{
    static const char *const heads[] = {"fenced=", "registered=", "ready=", "shutdown=", "failed="};
    broker_id id = decision_broker(r);

    for (size_t i = 0; id == BROKER_NONE && i < COUNT_OF(heads); i++) {
        size_t size = strlen(heads[i]);
        if (strncmp(r->why.inputs, heads[i], size) == 0 && r->why.inputs[size] >= '0' &&
                r->why.inputs[size] <= '9') {
            id = (broker_id)strtol(r->why.inputs + size, NULL, 10);
        }
    }
    return id;
}

static const char *broker_cause(enum meta_cause cause)
{
    switch (cause) {
    case CAUSE_BROKER_REGISTERED: return "came with a new registration";
    case CAUSE_BROKER_GONE: return "is gone from ZooKeeper";
    case CAUSE_BROKER_REFUSED: return "was refused twice (its process is dead)";
    case CAUSE_BROKER_SILENT: return "sent no heartbeat for weir.broker.timeout.ms";
    case CAUSE_BROKER_DIRS_FAILED: return "said that all of its log directories have failed";
    case CAUSE_BROKER_READY: return "said that it is ready";
    case CAUSE_BROKER_SHUTDOWN: return "asked to shut down";
    case CAUSE_REPLICA_FAILED: return "said that its replica failed";
    case CAUSE_PRODUCER_IDS: return "ran out of them";
    case CAUSE_CONTROLLER_ELECTED:
    case CAUSE_ADMIN:
    case CAUSE_ISR_PROPOSED:
    case CAUSE_INTERNAL_TOPIC:
    case CAUSE_TRASH_EXPIRED:
    case CAUSE_TRASH_FULL:
    case CAUSE_LEADERS_BALANCED:
    case CAUSE_FURTHEST_LOG:
    case CAUSE_DECOMMISSION:
    case CAUSE_OPERATION_ENDED:
    case CAUSE_AUTO_BALANCE: break;
    }
    return NULL;
}

static void put_because(const struct meta_record *r, struct buf *out)
{
    const char *of_broker = broker_cause(r->why.cause);
    broker_id id = broker_behind(r);

    buf_append_str(out, ", because ");
    if (of_broker != NULL) {
        if (id != BROKER_NONE) {
            buf_append_format(out, "broker %" PRId32 " %s", id, of_broker);
        } else {
            buf_append_format(out, "a broker %s", of_broker);
        }
    } else if (r->why.cause == CAUSE_CONTROLLER_ELECTED) {
        buf_append_str(out, "a controller was elected");
    } else if (r->why.cause == CAUSE_ADMIN) {
        buf_append_format(
                out, "%s asked for it", r->why.actor[0] != '\0' ? r->why.actor : "an operator");
    } else if (r->why.cause == CAUSE_ISR_PROPOSED) {
        buf_append_format(out, "%s%sits leader%s proposed the ISR", r->why.actor,
                r->why.actor[0] != '\0' ? ", " : "", r->why.actor[0] != '\0' ? "," : "");
    } else if (r->why.cause == CAUSE_INTERNAL_TOPIC) {
        buf_append_str(out, "the cluster keeps its own state in it");
    } else if (r->why.cause == CAUSE_TRASH_EXPIRED) {
        buf_append_str(out, "it had been in the trash for weir.delete.grace.ms");
    } else if (r->why.cause == CAUSE_FURTHEST_LOG) {
        buf_append_str(out, "nobody was in sync, and of all who may have the last records its log "
                            "reaches furthest (weir.unclean.election=balanced)");
    } else if (r->why.cause == CAUSE_LEADERS_BALANCED) {
        buf_append_str(out, "its first replica is in sync again and auto.leader.rebalance.enable is "
                            "true");
    } else if (r->why.cause == CAUSE_DECOMMISSION) {
        buf_append_str(out, "a broker is decommissioned");
    } else if (r->why.cause == CAUSE_OPERATION_ENDED) {
        buf_append_str(out, "nothing of it was left to do");
    } else if (r->why.cause == CAUSE_AUTO_BALANCE) {
        buf_append_str(out, "brokers are to hold and lead as much, and weir.auto.balance is apply");
    } else if (r->why.cause == CAUSE_TRASH_FULL) {
        buf_append_str(out, "the trash holds no more topics and it was the oldest");
    } else {
        buf_append_format(out, "of cause %d, which is of a newer version", (int)r->why.cause);
    }
    if (r->why.reason[0] != '\0') {
        buf_append_format(out, " (\"%s\")", r->why.reason);
    }
}

void decision_text(const struct decision *d, struct buf *out)
{
    if (d->is_gap) {
        buf_append_format(out, "the batches %" PRIu64 " to %" PRIu64 " are not in the journal: %s",
                d->index, d->gap_to, d->why);
        return;
    }
    put_what(d, out);
    put_because(d->record, out);
    if (d->record->why.inputs[0] != '\0') {
        buf_append_format(out, "; it saw %s", d->record->why.inputs);
    }
}
