/* SPDX-License-Identifier: Apache-2.0 */
#include "common/wire/messages.h"

#include "common/base/cleanup.h"
#include "common/wire/codec.h"

#include "proto/data.pb-c.h"

/* OffsetForLeaderEpoch. */

void wire_encode_offset_for_leader_epoch_request(
        const struct msg_offset_for_leader_epoch_request *m, struct buf *out)
{
    CLEANUP(enc_deinit) struct enc e = {0};
    Weir__V1__OffsetForLeaderEpochRequest pb;

    weir__v1__offset_for_leader_epoch_request__init(&pb);
    pb.partitions = enc_list(
            &e, &weir__v1__offset_for_leader_epoch_partition__descriptor, m->n_partitions);
    pb.n_partitions = m->n_partitions;
    for (size_t i = 0; i < m->n_partitions; i++) {
        const struct msg_offset_for_leader_epoch_partition *p = &m->partitions[i];
        Weir__V1__OffsetForLeaderEpochPartition *to = pb.partitions[i];
        to->topic_id = enc_uuid(&p->topic_id);
        to->partition = enc_count(p->partition);
        to->current_leader_epoch = p->current_leader_epoch;
        to->leader_epoch = p->leader_epoch;
    }
    enc_finish(&pb.base, out);
}

static void from_offset_for_leader_epoch_request(struct dec *d,
        const Weir__V1__OffsetForLeaderEpochRequest *pb,
        struct msg_offset_for_leader_epoch_request *m)
{
    m->partitions = dec_list(d, pb->n_partitions, sizeof(*m->partitions));
    m->n_partitions = pb->n_partitions;
    for (size_t i = 0; m->partitions != NULL && i < pb->n_partitions; i++) {
        const Weir__V1__OffsetForLeaderEpochPartition *from = pb->partitions[i];
        m->partitions[i] = (struct msg_offset_for_leader_epoch_partition){
                .topic_id = dec_uuid(d, &from->topic_id),
                .partition = dec_count(d, from->partition),
                .current_leader_epoch = from->current_leader_epoch,
                .leader_epoch = from->leader_epoch,
        };
    }
}

DEFINE_DECODE(offset_for_leader_epoch_request,
        Weir__V1__OffsetForLeaderEpochRequest,
        weir__v1__offset_for_leader_epoch_request__descriptor)

void wire_encode_offset_for_leader_epoch_response(
        const struct msg_offset_for_leader_epoch_response *m, struct buf *out)
{
    CLEANUP(enc_deinit) struct enc e = {0};
    Weir__V1__OffsetForLeaderEpochResponse pb;

    weir__v1__offset_for_leader_epoch_response__init(&pb);
    pb.partitions = enc_list(
            &e, &weir__v1__offset_for_leader_epoch_partition_result__descriptor, m->n_partitions);
    pb.n_partitions = m->n_partitions;
    for (size_t i = 0; i < m->n_partitions; i++) {
        const struct msg_offset_for_leader_epoch_result *p = &m->partitions[i];
        Weir__V1__OffsetForLeaderEpochPartitionResult *to = pb.partitions[i];
        to->topic_id = enc_uuid(&p->topic_id);
        to->partition = enc_count(p->partition);
        to->error = p->error;
        to->detail = enc_borrow(p->detail);
        to->leader_epoch = p->leader_epoch;
        to->end_offset = p->end_offset;
    }
    enc_finish(&pb.base, out);
}

static void from_offset_for_leader_epoch_response(struct dec *d,
        const Weir__V1__OffsetForLeaderEpochResponse *pb,
        struct msg_offset_for_leader_epoch_response *m)
{
    m->partitions = dec_list(d, pb->n_partitions, sizeof(*m->partitions));
    m->n_partitions = pb->n_partitions;
    for (size_t i = 0; m->partitions != NULL && i < pb->n_partitions; i++) {
        const Weir__V1__OffsetForLeaderEpochPartitionResult *from = pb->partitions[i];
        m->partitions[i] = (struct msg_offset_for_leader_epoch_result){
                .topic_id = dec_uuid(d, &from->topic_id),
                .partition = dec_count(d, from->partition),
                .error = from->error,
                .detail = dec_text(d, from->detail),
                .leader_epoch = from->leader_epoch,
                .end_offset = from->end_offset,
        };
    }
}

DEFINE_DECODE(offset_for_leader_epoch_response,
        Weir__V1__OffsetForLeaderEpochResponse,
        weir__v1__offset_for_leader_epoch_response__descriptor)
