/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/image_text.h"

#include "common/base/mem.h"

static void set_text(struct buf *out, const char *name, const struct broker_set *s)
{
    buf_append_format(out, " %s={", name);
    for (int i = 0; i < s->n; i++) {
        buf_append_format(out, "%s%d", i > 0 ? "," : "", s->at[i]);
    }
    buf_append_str(out, "}");
}

static void pairs_text(struct buf *out, const struct meta_config_pair *pairs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        buf_append_format(
                out, " %s=%s", pairs[i].key, pairs[i].value != NULL ? pairs[i].value : "(default)");
    }
}

static void broker_text(struct buf *out, const struct meta_register_broker *r)
{
    char id[UUID_TEXT_SIZE];

    buf_append_format(out, "register %d epoch %lld served %lld kind %d rack '%s' version '%s'",
            r->id, (long long)r->epoch, (long long)r->served_epoch, (int)r->crash_kind, r->rack,
            r->version);
    for (size_t i = 0; i < r->n_endpoints; i++) {
        buf_append_format(out, " %s://%s:%u", r->endpoints[i].name, r->endpoints[i].host,
                (unsigned)r->endpoints[i].port);
    }
    for (size_t i = 0; i < r->n_dirs; i++) {
        buf_append_format(out, " dir %s", uuid_format(&r->dirs[i], id));
    }
}

static void partition_text(struct buf *out, const struct partition_state *p)
{
    char id[UUID_TEXT_SIZE];

    buf_append_format(out, "partition %s-%d", uuid_format(&p->topic_id, id), p->partition);
    set_text(out, "replicas", &p->replicas);
    set_text(out, "adding", &p->adding);
    set_text(out, "removing", &p->removing);
    set_text(out, "isr", &p->isr);
    set_text(out, "elr", &p->elr);
    set_text(out, "lk", &p->lk);
    buf_append_format(out, " leader %d le %d pe %d min %d recovering %d unclean %d", p->leader,
            p->leader_epoch, p->partition_epoch, p->min_isr, p->recovering, p->unclean_epoch);
    if (p->is_durable) {
        buf_append_str(out, " durable");
    }
    if (p->operation != 0) {
        buf_append_format(out, " operation %llu", (unsigned long long)p->operation);
    }
}

static void topic_text(struct buf *out, const struct meta_record *r)
{
    char id[UUID_TEXT_SIZE];

    buf_append_format(out, "topic %s %s internal %d partitions %d rf %d at %llu %lld",
            r->create_topic.name, uuid_format(&r->create_topic.id, id), r->create_topic.internal,
            r->create_topic.n_partitions, r->create_topic.replication_factor,
            (unsigned long long)r->create_topic.created_at_index, (long long)r->at);
    pairs_text(out, r->create_topic.configs, r->create_topic.n_configs);
}

static void operation_text(struct buf *out, const struct meta_operation *o)
{
    buf_append_format(out,
            "operation %llu kind %d state %d partitions %d from %lld to %lld '%s' '%s' '%s'",
            (unsigned long long)o->id, (int)o->kind, (int)o->state, o->n_partitions,
            (long long)o->started, (long long)o->ended, o->detail, o->actor, o->reason);
    set_text(out, "brokers", &o->brokers);
}

void record_text(struct buf *out, const struct meta_record *r)
{
    char id[UUID_TEXT_SIZE];

    switch (r->kind) {
    case META_NEW_CONTROLLER:
        buf_append_format(out, "controller %d epoch %llu", r->new_controller.controller_id,
                (unsigned long long)r->new_controller.ctl_epoch);
        break;
    case META_REGISTER_BROKER: broker_text(out, &r->register_broker); break;
    case META_BROKER_PURGED:
    case META_FENCE_BROKER:
    case META_UNFENCE_BROKER:
    case META_BROKER_SHUTDOWN:
        buf_append_format(out, "%s %d epoch %lld",
                r->kind == META_BROKER_PURGED    ? "purged"
                : r->kind == META_FENCE_BROKER   ? "fence"
                : r->kind == META_UNFENCE_BROKER ? "unfence"
                                                 : "shutdown",
                r->broker.id, (long long)r->broker.epoch);
        break;
    case META_CREATE_TOPIC: topic_text(out, r); break;
    case META_REMOVE_TOPIC:
        buf_append_format(out, "remove %s %lld", uuid_format(&r->remove_topic.id, id),
                (long long)r->at);
        break;
    case META_PARTITION_STATE: partition_text(out, &r->partition); break;
    case META_CONFIG_SET:
        buf_append_format(out, "config scope %d broker %d %s", (int)r->config_set.scope,
                r->config_set.broker, uuid_format(&r->config_set.topic_id, id));
        pairs_text(out, r->config_set.configs, r->config_set.n_configs);
        break;
    case META_PRODUCER_ID_BLOCK:
        buf_append_format(out, "producer ids %lld +%d", (long long)r->producer_ids.first,
                r->producer_ids.count);
        break;
    case META_FEATURE_SET:
        buf_append_format(out, "feature %s %d", r->feature.name, r->feature.level);
        break;
    case META_PURGE_TOPIC:
        buf_append_format(out, "%s %s %lld", r->purge_topic.is_tombstone ? "gone" : "purge",
                uuid_format(&r->purge_topic.id, id), (long long)r->at);
        break;
    case META_RESTORE_TOPIC:
        buf_append_format(out, "restore %s as %s", uuid_format(&r->restore_topic.id, id),
                r->restore_topic.name);
        break;
    case META_BROKER_INTENT:
        buf_append_format(out, "intent %d %d", r->intent.id, (int)r->intent.intent);
        break;
    case META_BROKER_FORGOTTEN: buf_append_format(out, "forgotten %d", r->forgotten.id); break;
    case META_OPERATION: operation_text(out, &r->operation); break;
    }
    buf_append_str(out, "\n");
}

static void add_line(void *ctx, const struct meta_record *record)
{
    record_text(ctx, record);
}

char *image_text(const struct image *image)
{
    struct buf out = {0};

    image_snapshot(image, add_line, &out);
    char *text = mem_strdup(buf_str(&out));
    buf_deinit(&out);
    return text;
}
