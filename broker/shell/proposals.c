/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/proposals.h"

#include "broker/shell/broker.h"
#include "broker/shell/ctl_link.h"
#include "common/base/mem.h"
#include "common/base/must.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"

enum {
    PROPOSALS_A_REQUEST = 2000, /* about 100 bytes each */
    PROPOSAL_MS = 5000,
};

struct proposal {
    STAILQ_ENTRY(proposal) entry;
    struct partition *p;
    struct replica_proposal wanted;
    const char *reason; /* of a report; NULL = a proposal */
};

STAILQ_HEAD(proposal_list, proposal);

struct proposals {
    struct broker *b;
    pthread_mutex_t lock;
    struct proposal_list queue; /* under lock */
    bool is_posted;             /* under lock */
    struct loop_task task;
};

/* A request that is under way: its proposals, in the order asked. */
struct asked {
    struct proposals *q;
    struct proposal_list list;
    size_t n;
};

static void proposal_free(struct proposal *x)
{
    partition_unref(x->p);
    (void)mem_free(x);
}

static void answer(struct proposals *q,
        struct proposal *x,
        int error,
        const struct partition_state *record)
{
    if (x->reason != NULL || q->b->is_over) {
        return; /* a report, or nobody is there any more */
    }
    struct partition_answer a = {.leader_epoch = x->wanted.leader_epoch,
            .partition_epoch = x->wanted.partition_epoch,
            .error = error,
            .has_record = record != NULL};

    if (record != NULL) {
        a.record = *record;
    }
    partition_answered(x->p, &a, q->b->data.items[data_loops_for(&q->b->data, &x->p->key)].loop);
}

static void answer_all(struct asked *k, int error)
{
    struct proposal *x;

    while ((x = STAILQ_FIRST(&k->list)) != NULL) {
        STAILQ_REMOVE_HEAD(&k->list, entry);
        answer(k->q, x, error, NULL);
        proposal_free(x);
    }
    (void)mem_free(k);
}

/* Each answer belongs to the proposal in its place. */
static bool is_of(const struct msg_alter_partition_result *r, const struct proposal *x)
{
    return uuid_equal(&r->topic_id, &x->p->key.topic_id) && r->partition == x->p->key.number &&
           (r->error != ERRCODE_NONE || r->has_state);
}

static void note(const struct proposal *x, const struct msg_alter_partition_result *r)
{
    if (r->error != ERRCODE_NONE) {
        log_info("proposals", "isr_refused", KV_STR("partition", x->p->name),
                KV_STR("code", errcode_name(r->error)), KV_STR("reason", r->detail));
    }
}

static void take_results(struct asked *k, const struct msg_alter_partition_response *m)
{
    for (size_t i = 0; i < m->n_partitions; i++) {
        const struct msg_alter_partition_result *r = &m->partitions[i];
        struct proposal *x = STAILQ_FIRST(&k->list);

        if (x == NULL || !is_of(r, x)) {
            break;
        }
        STAILQ_REMOVE_HEAD(&k->list, entry);
        note(x, r);
        answer(k->q, x, r->error, r->error == ERRCODE_NONE ? &r->state : NULL);
        proposal_free(x);
    }
}

static void on_answer(void *ctx, struct rpc_reply *reply)
{
    struct msg_alter_partition_response m;
    struct asked *k = ctx;
    struct arena arena;
    int error = reply->error == ERRCODE_NETWORK_EXCEPTION ? ERRCODE_REQUEST_TIMED_OUT : reply->error;

    if (reply->error == ERRCODE_NONE) {
        arena_init(&arena, wire_arena_ceiling(reply->body.size));
        if (wire_decode_alter_partition_response(reply->body, &arena, &m) == 0) {
            take_results(k, &m);
        }
        arena_deinit(&arena);
        error = ERRCODE_REQUEST_TIMED_OUT; /* of those that it did not answer */
    }
    answer_all(k, error);
}

static void on_reported(void *ctx, struct rpc_reply *reply)
{
    if (reply->error != ERRCODE_NONE && reply->error != ERRCODE_NETWORK_EXCEPTION) {
        log_warn("proposals", "report_refused", KV_STR("code", errcode_name(reply->error)),
                KV_STR("reason", reply->detail));
    }
}

/* --- Requests --------------------------------------------------------------------------------------------------------- */

static void send_proposals(struct proposals *q, struct rpc_conn *c, struct asked *k)
{
    struct msg_alter_partition_request m = {.broker_epoch = broker_epoch(q->b),
            .partitions = mem_new_n(struct msg_alter_partition, k->n)};
    struct msg_isr_member *members = mem_new_n(struct msg_isr_member, k->n * REPLICAS_MAX);
    struct rpc_out *out = rpc_out_new();
    const struct proposal *x;

    STAILQ_FOREACH (x, &k->list, entry) {
        struct msg_isr_member *isr = members + m.n_partitions * REPLICAS_MAX;

        for (size_t i = 0; i < x->wanted.n; i++) {
            isr[i] = (struct msg_isr_member){
                    .id = x->wanted.isr[i].id, .broker_epoch = x->wanted.isr[i].epoch};
        }
        m.partitions[m.n_partitions++] = (struct msg_alter_partition){
                .topic_id = x->p->key.topic_id,
                .partition = x->p->key.number,
                .leader_epoch = x->wanted.leader_epoch,
                .partition_epoch = x->wanted.partition_epoch,
                .isr = isr,
                .n_isr = x->wanted.n,
                .recovered = x->wanted.recovered,
                .durable = x->wanted.durable};
    }
    wire_encode_alter_partition_request(&m, rpc_out_buf(out));
    (void)mem_free(members);
    (void)mem_free(m.partitions);
    metric_add(METRIC_BROKER_ISR_PROPOSALS, k->n);
    rpc_call(c, API_ALTER_PARTITION, PROPOSAL_MS, out, on_answer, k);
}

static void send_reports(struct proposals *q, struct rpc_conn *c, struct asked *k)
{
    struct msg_replica_failed_request m = {.broker_epoch = broker_epoch(q->b),
            .partitions = mem_new_n(struct msg_failed_replica, k->n)};
    struct rpc_out *out = rpc_out_new();
    struct proposal *x;

    while ((x = STAILQ_FIRST(&k->list)) != NULL) {
        STAILQ_REMOVE_HEAD(&k->list, entry);
        m.partitions[m.n_partitions++] = (struct msg_failed_replica){.topic_id = x->p->key.topic_id,
                .partition = x->p->key.number,
                .reason = x->reason};
        log_warn("proposals", "replica_reported", KV_STR("partition", x->p->name),
                KV_STR("reason", x->reason));
        proposal_free(x);
    }
    wire_encode_replica_failed_request(&m, rpc_out_buf(out));
    (void)mem_free(m.partitions);
    (void)mem_free(k);
    rpc_call(c, API_REPLICA_FAILED, PROPOSAL_MS, out, on_reported, NULL);
}

static struct asked *asked_new(struct proposals *q)
{
    struct asked *k = mem_new(struct asked);

    k->q = q;
    STAILQ_INIT(&k->list);
    return k;
}

static void send_asked(struct proposals *q, struct asked *k, bool is_report)
{
    struct rpc_conn *c = q->b->is_over ? NULL : ctl_link_conn(q->b->ctl);

    if (k->n == 0 || c == NULL) {
        answer_all(k, ERRCODE_NOT_CONTROLLER);
    } else if (is_report) {
        send_reports(q, c, k);
    } else {
        send_proposals(q, c, k);
    }
}

static void on_task(struct loop_task *t)
{
    struct proposals *q = container_of(t, struct proposals, task);
    struct asked *asked = asked_new(q), *reports = asked_new(q);
    struct proposal_list list = STAILQ_HEAD_INITIALIZER(list);
    struct proposal *x;

    (void)pthread_mutex_lock(&q->lock);
    STAILQ_CONCAT(&list, &q->queue);
    q->is_posted = false;
    (void)pthread_mutex_unlock(&q->lock);
    while ((x = STAILQ_FIRST(&list)) != NULL) {
        struct asked **to = x->reason != NULL ? &reports : &asked;

        STAILQ_REMOVE_HEAD(&list, entry);
        STAILQ_INSERT_TAIL(&(*to)->list, x, entry);
        if (++(*to)->n == PROPOSALS_A_REQUEST) {
            send_asked(q, *to, x->reason != NULL);
            *to = asked_new(q);
        }
    }
    send_asked(q, asked, false);
    send_asked(q, reports, true);
}

static void queue(struct proposals *q, const struct proposal *like)
{
    struct proposal *x = mem_new(struct proposal);
    bool must_post;

    *x = *like;
    x->p = partition_ref(like->p);
    (void)pthread_mutex_lock(&q->lock);
    STAILQ_INSERT_TAIL(&q->queue, x, entry);
    must_post = !q->is_posted;
    q->is_posted = true;
    (void)pthread_mutex_unlock(&q->lock);
    if (must_post) {
        loop_post(q->b->control, &q->task);
    }
}

void proposals_add(struct proposals *q, struct partition *p, const struct replica_proposal *x)
{
    queue(q, &(struct proposal){.p = p, .wanted = *x});
}

void proposals_report(struct proposals *q, struct partition *p, const char *reason)
{
    queue(q, &(struct proposal){.p = p, .reason = reason});
}

struct proposals *proposals_new(struct broker *b)
{
    struct proposals *q = mem_new(struct proposals);

    q->b = b;
    q->task.run = on_task;
    STAILQ_INIT(&q->queue);
    (void)pthread_mutex_init(&q->lock, NULL);
    return q;
}

struct proposals *proposals_free(struct proposals *q)
{
    struct proposal *x;

    if (q == NULL) {
        return NULL;
    }
    while ((x = STAILQ_FIRST(&q->queue)) != NULL) {
        STAILQ_REMOVE_HEAD(&q->queue, entry);
        proposal_free(x);
    }
    (void)pthread_mutex_destroy(&q->lock);
    return mem_free(q);
}
