/* SPDX-License-Identifier: Apache-2.0 */
#include "common/wire/messages.h"

#include "common/base/cleanup.h"
#include "common/wire/codec.h"

#include "proto/control.pb-c.h"
#include "proto/state.pb-c.h"

/* What a broker tells the controller of its replicas: AlterPartition, ReplicaFailed, DescribeEnds. */

/* --- AlterPartition --- */

static void to_isr(struct enc *e, const struct msg_alter_partition *p, Weir__V1__AlterPartition *to)
{
    to->isr = enc_list(e, &weir__v1__isr_member__descriptor, p->n_isr);
    to->n_isr = p->n_isr;
    for (size_t i = 0; i < p->n_isr; i++) {
        to->isr[i]->id = p->isr[i].id;
        to->isr[i]->broker_epoch = p->isr[i].broker_epoch;
    }
}

void wire_encode_alter_partition_request(
        const struct msg_alter_partition_request *m, struct buf *out)
{
    CLEANUP(enc_deinit) struct enc e = {0};
    Weir__V1__AlterPartitionRequest pb;

    weir__v1__alter_partition_request__init(&pb);
    pb.broker_epoch = m->broker_epoch;
    pb.partitions = enc_list(&e, &weir__v1__alter_partition__descriptor, m->n_partitions);
    pb.n_partitions = m->n_partitions;
    for (size_t i = 0; i < m->n_partitions; i++) {
        const struct msg_alter_partition *p = &m->partitions[i];
        Weir__V1__AlterPartition *to = pb.partitions[i];
        to->topic_id = enc_uuid(&p->topic_id);
        to->partition = enc_count(p->partition);
        to->leader_epoch = p->leader_epoch;
        to->partition_epoch = p->partition_epoch;
        to_isr(&e, p, to);
        to->recovered = p->recovered;
        to->durable = p->durable;
    }
    enc_finish(&pb.base, out);
}

static struct msg_isr_member *from_isr(struct dec *d, const Weir__V1__AlterPartition *pb)
{
    struct msg_isr_member *isr = dec_list(d, pb->n_isr, sizeof(*isr));

    for (size_t i = 0; isr != NULL && i < pb->n_isr; i++) {
        isr[i] = (struct msg_isr_member){
                .id = pb->isr[i]->id, .broker_epoch = pb->isr[i]->broker_epoch};
    }
    return isr;
}

static void from_alter_partition_request(struct dec *d,
        const Weir__V1__AlterPartitionRequest *pb,
        struct msg_alter_partition_request *m)
{
    m->broker_epoch = pb->broker_epoch;
    m->partitions = dec_list(d, pb->n_partitions, sizeof(*m->partitions));
    m->n_partitions = pb->n_partitions;
    for (size_t i = 0; m->partitions != NULL && i < pb->n_partitions; i++) {
        const Weir__V1__AlterPartition *from = pb->partitions[i];
        m->partitions[i] = (struct msg_alter_partition){
                .topic_id = dec_uuid(d, &from->topic_id),
                .partition = dec_count(d, from->partition),
                .leader_epoch = from->leader_epoch,
                .partition_epoch = from->partition_epoch,
                .isr = from_isr(d, from),
                .n_isr = from->n_isr,
                .recovered = from->recovered != 0,
                .durable = from->durable != 0,
        };
    }
}

DEFINE_DECODE(alter_partition_request,
        Weir__V1__AlterPartitionRequest,
        weir__v1__alter_partition_request__descriptor)

/* n messages for the states of the results that have one, in their order. */
static Weir__V1__PartitionState **states_of(
        struct enc *e, const struct msg_alter_partition_response *m)
{
    size_t n = 0;

    for (size_t i = 0; i < m->n_partitions; i++) {
        n += m->partitions[i].has_state;
    }
    Weir__V1__PartitionState **states = enc_list(e, &weir__v1__partition_state__descriptor, n);

    n = 0;
    for (size_t i = 0; i < m->n_partitions; i++) {
        if (m->partitions[i].has_state) {
            enc_partition_state(&m->partitions[i].state, states[n++]);
        }
    }
    return states;
}

void wire_encode_alter_partition_response(
        const struct msg_alter_partition_response *m, struct buf *out)
{
    CLEANUP(enc_deinit) struct enc e = {0};
    Weir__V1__AlterPartitionResponse pb;
    Weir__V1__PartitionState **state = states_of(&e, m);

    weir__v1__alter_partition_response__init(&pb);
    pb.partitions = enc_list(&e, &weir__v1__alter_partition_result__descriptor, m->n_partitions);
    pb.n_partitions = m->n_partitions;
    for (size_t i = 0; i < m->n_partitions; i++) {
        const struct msg_alter_partition_result *p = &m->partitions[i];
        Weir__V1__AlterPartitionResult *to = pb.partitions[i];
        to->topic_id = enc_uuid(&p->topic_id);
        to->partition = enc_count(p->partition);
        to->error = p->error;
        to->detail = enc_borrow(p->detail);
        if (p->has_state) {
            to->state = *state++;
        }
    }
    enc_finish(&pb.base, out);
}

static void from_alter_partition_response(struct dec *d,
        const Weir__V1__AlterPartitionResponse *pb,
        struct msg_alter_partition_response *m)
{
    m->partitions = dec_list(d, pb->n_partitions, sizeof(*m->partitions));
    m->n_partitions = pb->n_partitions;
    for (size_t i = 0; m->partitions != NULL && i < pb->n_partitions; i++) {
        const Weir__V1__AlterPartitionResult *from = pb->partitions[i];
        struct msg_alter_partition_result *r = &m->partitions[i];
        r->topic_id = dec_uuid(d, &from->topic_id);
        r->partition = dec_count(d, from->partition);
        r->error = from->error;
        r->detail = dec_text(d, from->detail);
        r->has_state = from->state != NULL;
        if (from->state != NULL) {
            dec_partition_state(d, from->state, &r->state);
        }
    }
}

DEFINE_DECODE(alter_partition_response,
        Weir__V1__AlterPartitionResponse,
        weir__v1__alter_partition_response__descriptor)

/* --- ReplicaFailed --- */

void wire_encode_replica_failed_request(const struct msg_replica_failed_request *m, struct buf *out)
{
    CLEANUP(enc_deinit) struct enc e = {0};
    Weir__V1__ReplicaFailedRequest pb;

    weir__v1__replica_failed_request__init(&pb);
    pb.broker_epoch = m->broker_epoch;
    pb.partitions = enc_list(&e, &weir__v1__failed_replica__descriptor, m->n_partitions);
    pb.n_partitions = m->n_partitions;
    for (size_t i = 0; i < m->n_partitions; i++) {
        pb.partitions[i]->topic_id = enc_uuid(&m->partitions[i].topic_id);
        pb.partitions[i]->partition = enc_count(m->partitions[i].partition);
        pb.partitions[i]->reason = enc_borrow(m->partitions[i].reason);
    }
    enc_finish(&pb.base, out);
}

static void from_replica_failed_request(struct dec *d,
        const Weir__V1__ReplicaFailedRequest *pb,
        struct msg_replica_failed_request *m)
{
    m->broker_epoch = pb->broker_epoch;
    m->partitions = dec_list(d, pb->n_partitions, sizeof(*m->partitions));
    m->n_partitions = pb->n_partitions;
    for (size_t i = 0; m->partitions != NULL && i < pb->n_partitions; i++) {
        m->partitions[i] = (struct msg_failed_replica){
                .topic_id = dec_uuid(d, &pb->partitions[i]->topic_id),
                .partition = dec_count(d, pb->partitions[i]->partition),
                .reason = dec_text(d, pb->partitions[i]->reason),
        };
    }
}

DEFINE_DECODE(replica_failed_request,
        Weir__V1__ReplicaFailedRequest,
        weir__v1__replica_failed_request__descriptor)

/* --- DescribeEnds --- */

void wire_encode_describe_ends_request(const struct msg_describe_ends_request *m, struct buf *out)
{
    CLEANUP(enc_deinit) struct enc e = {0};
    Weir__V1__DescribeEndsRequest pb;

    weir__v1__describe_ends_request__init(&pb);
    pb.partitions = enc_list(&e, &weir__v1__partition_ref__descriptor, m->n_partitions);
    pb.n_partitions = m->n_partitions;
    for (size_t i = 0; i < m->n_partitions; i++) {
        pb.partitions[i]->topic_id = enc_uuid(&m->partitions[i].topic_id);
        pb.partitions[i]->partition = enc_count(m->partitions[i].partition);
    }
    enc_finish(&pb.base, out);
}

static void from_describe_ends_request(struct dec *d,
        const Weir__V1__DescribeEndsRequest *pb,
        struct msg_describe_ends_request *m)
{
    m->partitions = dec_list(d, pb->n_partitions, sizeof(*m->partitions));
    m->n_partitions = pb->n_partitions;
    for (size_t i = 0; m->partitions != NULL && i < pb->n_partitions; i++) {
        m->partitions[i] = (struct msg_partition_ref){
                .topic_id = dec_uuid(d, &pb->partitions[i]->topic_id),
                .partition = dec_count(d, pb->partitions[i]->partition),
        };
    }
}

DEFINE_DECODE(describe_ends_request,
        Weir__V1__DescribeEndsRequest,
        weir__v1__describe_ends_request__descriptor)

void wire_encode_describe_ends_response(const struct msg_describe_ends_response *m, struct buf *out)
{
    CLEANUP(enc_deinit) struct enc e = {0};
    Weir__V1__DescribeEndsResponse pb;

    weir__v1__describe_ends_response__init(&pb);
    pb.partitions = enc_list(&e, &weir__v1__log_end__descriptor, m->n_partitions);
    pb.n_partitions = m->n_partitions;
    for (size_t i = 0; i < m->n_partitions; i++) {
        const struct msg_log_end *p = &m->partitions[i];
        Weir__V1__LogEnd *to = pb.partitions[i];
        to->topic_id = enc_uuid(&p->topic_id);
        to->partition = enc_count(p->partition);
        to->error = p->error;
        to->last_epoch = p->last_epoch;
        to->end = p->end;
        to->bytes = p->bytes;
    }
    enc_finish(&pb.base, out);
}

static void from_describe_ends_response(struct dec *d,
        const Weir__V1__DescribeEndsResponse *pb,
        struct msg_describe_ends_response *m)
{
    m->partitions = dec_list(d, pb->n_partitions, sizeof(*m->partitions));
    m->n_partitions = pb->n_partitions;
    for (size_t i = 0; m->partitions != NULL && i < pb->n_partitions; i++) {
        const Weir__V1__LogEnd *from = pb->partitions[i];
        m->partitions[i] = (struct msg_log_end){
                .topic_id = dec_uuid(d, &from->topic_id),
                .partition = dec_count(d, from->partition),
                .error = from->error,
                .last_epoch = from->last_epoch,
                .end = from->end,
                .bytes = from->bytes,
        };
    }
}

DEFINE_DECODE(describe_ends_response,
        Weir__V1__DescribeEndsResponse,
        weir__v1__describe_ends_response__descriptor)
