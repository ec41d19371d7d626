/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/shell/controller_internal.h"

#include "common/obs/metrics.h"

const struct image *controller_image(const struct controller *c)
{
    return meta_log_image(c->log);
}

struct bytes controller_last_batch(const struct controller *c)
{
    struct image_position at = image_position(meta_log_image(c->log));
    const struct ring_batch *b = batch_ring_get(meta_log_ring(c->log), at.index);

    return b != NULL && b->crc == at.crc ? b->bytes : (struct bytes){0};
}

bool controller_is_metadata_read(const struct controller *c)
{
    return c->was_read;
}

const char *controller_metadata_trouble(const struct controller *c)
{
    return meta_log_trouble(c->log);
}

bool controller_is_active(const struct controller *c)
{
    return c->core_epoch != 0 && c->core_epoch == c->log_epoch && claim_may_act(c->claim);
}

const struct msg_active *controller_active(const struct controller *c)
{
    return claim_active(c->claim);
}

int32_t controller_id(const struct controller *c)
{
    return c->options.id;
}

struct uuid controller_cluster_id(const struct controller *c)
{
    return c->cluster_id;
}

struct journal *controller_journal(struct controller *c)
{
    return c->journal;
}

size_t controller_n_candidates(const struct controller *c)
{
    return c->candidates.n;
}

const struct msg_candidate *controller_candidate(const struct controller *c, size_t i)
{
    must(i < c->candidates.n);
    return &c->candidates.items[i].value;
}

struct controller_zk controller_zk(const struct controller *c)
{
    return (struct controller_zk){.is_connected = zk_is_connected(c->zk),
            .session_timeout_ms = zk_session_timeout_ms(c->zk),
            .trouble = zk_trouble(c->zk)};
}

size_t controller_n_links(const struct controller *c)
{
    return broker_links_n(c->links);
}

struct controller_link controller_link(const struct controller *c, size_t i)
{
    struct link_view v = broker_links_view(c->links, i);

    return (struct controller_link){.id = v.id,
            .epoch = v.epoch,
            .is_connected = v.is_up,
            .applied_index = v.applied_index,
            .last_heartbeat = v.last_heartbeat,
            .dirs = v.dirs,
            .n_dirs = v.n_dirs,
            .trouble = v.trouble};
}

size_t controller_n_refusals(const struct controller *c)
{
    return broker_watch_n_refusals(c->brokers);
}

struct controller_refusal controller_refusal(const struct controller *c, size_t i)
{
    const struct broker_refusal *r = broker_watch_refusal(c->brokers, i);

    return (struct controller_refusal){
            .id = r->id, .problem = r->problem, .epoch = r->epoch, .registration = r->registration};
}

/* Gauges that need a walk, made at most once a second and only when the image moved. */
void controller_update_gauges(struct controller *c)
{
    const struct image *image = meta_log_image(c->log);
    int64_t n_active = 0, n_offline = 0, n_under_replicated = 0, n_under_min_isr = 0;

    if (image_position(image).index == c->gauges_index) {
        return;
    }
    c->gauges_index = image_position(image).index;
    for (size_t i = 0; i < image_n_brokers(image); i++) {
        n_active += image_broker_at(image, i)->state == BROKER_ACTIVE;
    }
    for (size_t i = 0; i < image_n_topics(image); i++) {
        const struct image_topic *t = image_topic_at(image, i);
        for (int32_t p = 0; p < t->n_partitions; p++) {
            n_offline += t->partitions[p].leader == BROKER_NONE;
            n_under_replicated += t->partitions[p].isr.n < t->partitions[p].replicas.n;
            n_under_min_isr += t->partitions[p].isr.n < t->partitions[p].min_isr;
        }
    }
    metric_set(METRIC_CONTROLLER_BROKERS_ACTIVE, n_active);
    metric_set(METRIC_CONTROLLER_OFFLINE_PARTITIONS, n_offline);
    metric_set(METRIC_CONTROLLER_UNDER_REPLICATED_PARTITIONS, n_under_replicated);
    metric_set(METRIC_CONTROLLER_UNDER_MIN_ISR_PARTITIONS, n_under_min_isr);
    metric_set(METRIC_CONTROLLER_TOPICS, (int64_t)image_n_topics(image));
    metric_set(METRIC_CONTROLLER_PARTITIONS, (int64_t)image_n_partitions(image));
}

bool controller_describe_configs(
        struct controller *c, broker_id id, controller_configs_fn *fn, void *ctx)
{
    return broker_links_describe_configs(c->links, id, fn, ctx);
}

bool controller_delete_records(struct controller *c,
        broker_id id,
        const struct msg_delete_records_request *m,
        controller_trim_fn *fn,
        void *ctx)
{
    return broker_links_delete_records(c->links, id, m, fn, ctx);
}

bool controller_describe_logs(struct controller *c,
        broker_id id,
        bool with_topics,
        controller_logs_fn *fn,
        void *ctx)
{
    return broker_links_describe_logs(c->links, id, with_topics, fn, ctx);
}
