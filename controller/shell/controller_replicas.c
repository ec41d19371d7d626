/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/shell/controller_internal.h"

#include "common/obs/log.h"
#include "common/obs/metrics.h"

/* What brokers say of their replicas, on its way to the core, and the core's answer on its way back, once it is
 * committed. */

struct replica_request {
    struct controller *c;
    struct link_request *request;
};

static struct replica_request *request_new(struct controller *c, struct link_request *request)
{
    struct replica_request *r = mem_new(struct replica_request);

    r->c = c;
    r->request = request;
    return r;
}

/* --- AlterPartition ---------------------------------------------------------------------------- */

static void encode_altered(const struct ctl_reply *reply, struct rpc_out *out)
{
    struct msg_alter_partition_response m = {.n_partitions = reply->n_altered};

    m.partitions = mem_new_n(struct msg_alter_partition_result, m.n_partitions + 1);
    for (size_t i = 0; i < m.n_partitions; i++) {
        const struct ctl_altered *from = &reply->altered[i];
        m.partitions[i] = (struct msg_alter_partition_result){
                .topic_id = from->ref.topic_id,
                .partition = from->ref.partition,
                .error = from->error,
                .detail = from->detail,
                .has_state = from->error == ERRCODE_NONE,
                .state = from->state,
        };
        metric_add(from->error == ERRCODE_NONE ? METRIC_CONTROLLER_ISR_ACCEPTED
                                               : METRIC_CONTROLLER_ISR_REFUSED,
                1);
    }
    wire_encode_alter_partition_response(&m, rpc_out_buf(out));
    mem_free(m.partitions);
}

static void on_altered(void *ctx, const struct ctl_reply *reply, uint64_t committed_index)
{
    struct replica_request *r = ctx;
    struct rpc_out *out = NULL;

    (void)committed_index;
    if (reply->error == ERRCODE_NONE) {
        out = rpc_out_new();
        encode_altered(reply, out);
    }
    broker_links_answer(r->c->links, r->request, reply->error, reply->detail, out);
    mem_free(r);
}

void controller_on_alter_partition(void *ctx,
        broker_id id,
        const struct msg_alter_partition_request *m,
        struct link_request *request)
{
    struct controller *c = ctx;
    struct ctl_event ev = {.kind = CTL_EV_ALTER_PARTITION};
    struct ctl_alter_partition *list = mem_new_n(struct ctl_alter_partition, m->n_partitions + 1);
    size_t n_members = 0;

    for (size_t i = 0; i < m->n_partitions; i++) {
        n_members += m->partitions[i].n_isr;
    }
    struct ctl_isr_member *members = mem_new_n(struct ctl_isr_member, n_members + 1);

    n_members = 0;
    for (size_t i = 0; i < m->n_partitions; i++) {
        const struct msg_alter_partition *from = &m->partitions[i];
        list[i] = (struct ctl_alter_partition){
                .ref = {.topic_id = from->topic_id, .partition = from->partition},
                .leader_epoch = from->leader_epoch,
                .partition_epoch = from->partition_epoch,
                .isr = &members[n_members],
                .n_isr = from->n_isr,
                .is_recovered = from->recovered,
                .is_durable = from->durable,
        };
        for (size_t k = 0; k < from->n_isr; k++) {
            members[n_members++] = (struct ctl_isr_member){
                    .id = from->isr[k].id, .epoch = from->isr[k].broker_epoch};
        }
    }
    ev.alter.id = id;
    ev.alter.epoch = m->broker_epoch;
    ev.alter.partitions = list;
    ev.alter.n = m->n_partitions;
    controller_submit(c, &ev, on_altered, request_new(c, request));
    mem_free(members);
    mem_free(list);
}

/* --- ReplicaFailed ----------------------------------------------------------------------------- */

static void on_failed(void *ctx, const struct ctl_reply *reply, uint64_t committed_index)
{
    struct replica_request *r = ctx;

    (void)committed_index;
    broker_links_answer(r->c->links, r->request, reply->error, reply->detail, NULL);
    mem_free(r);
}

void controller_on_replica_failed(void *ctx,
        broker_id id,
        const struct msg_replica_failed_request *m,
        struct link_request *request)
{
    struct controller *c = ctx;
    struct ctl_event ev = {.kind = CTL_EV_REPLICA_FAILED};
    struct ctl_failed_replica *list = mem_new_n(struct ctl_failed_replica, m->n_partitions + 1);

    for (size_t i = 0; i < m->n_partitions; i++) {
        list[i] = (struct ctl_failed_replica){
                .ref = {.topic_id = m->partitions[i].topic_id,
                        .partition = m->partitions[i].partition},
                .reason = m->partitions[i].reason,
        };
    }
    log_warn("controller", "replicas_failed", KV_I64("broker", id),
            KV_U64("count", m->n_partitions),
            KV_STR("reason", m->n_partitions > 0 ? m->partitions[0].reason : ""));
    metric_add(METRIC_CONTROLLER_REPLICAS_FAILED, m->n_partitions);
    ev.failed.id = id;
    ev.failed.epoch = m->broker_epoch;
    ev.failed.replicas = list;
    ev.failed.n = m->n_partitions;
    controller_submit(c, &ev, on_failed, request_new(c, request));
    mem_free(list);
}

/* --- How far logs reach ------------------------------------------------------------------------ */

struct ends_question {
    struct controller *c;
    broker_id id;
    int64_t epoch;
    ARRAY(struct ctl_log_end) ends; /* errors until it answers */
};

static void take_ends(struct ends_question *q, const struct msg_describe_ends_response *m)
{
    if (m == NULL || m->n_partitions != q->ends.n) {
        return;
    }
    for (size_t i = 0; i < q->ends.n; i++) {
        const struct msg_log_end *from = &m->partitions[i];
        struct ctl_log_end *to = &q->ends.items[i];
        if (uuid_equal(&from->topic_id, &to->ref.topic_id) &&
                from->partition == to->ref.partition) {
            to->error = from->error;
            to->last_epoch = from->last_epoch;
            to->end = from->end;
        }
    }
}

static void on_ends(void *ctx, const struct msg_describe_ends_response *m)
{
    struct ends_question *q = ctx;
    struct ctl_event ev = {.kind = CTL_EV_LOG_ENDS};

    take_ends(q, m);
    ev.ends.id = q->id;
    ev.ends.epoch = q->epoch;
    ev.ends.partitions = q->ends.items;
    ev.ends.n = q->ends.n;
    controller_push_event(q->c, &ev);
    array_deinit(&q->ends);
    mem_free(q);
}

void controller_ask_ends(struct controller *c, const struct ctl_fx_item *fx)
{
    struct ends_question *q = mem_new(struct ends_question);
    struct msg_describe_ends_request m = {.n_partitions = fx->ask.n};

    q->c = c;
    q->id = fx->ask.id;
    q->epoch = fx->ask.epoch;
    m.partitions = mem_new_n(struct msg_partition_ref, m.n_partitions + 1);
    for (size_t i = 0; i < fx->ask.n; i++) {
        m.partitions[i].topic_id = fx->ask.refs[i].topic_id;
        m.partitions[i].partition = fx->ask.refs[i].partition;
        *array_push(&q->ends) = (struct ctl_log_end){.ref = fx->ask.refs[i],
                .error = ERRCODE_BROKER_NOT_AVAILABLE,
                .last_epoch = EPOCH_NONE,
                .end = OFFSET_NONE};
    }
    if (!broker_links_describe_ends(c->links, q->id, q->epoch, &m, on_ends, q)) {
        on_ends(q, NULL);
    }
    mem_free(m.partitions);
}
