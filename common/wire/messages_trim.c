/* SPDX-License-Identifier: Apache-2.0 */
#include "common/wire/messages.h"

#include "common/base/cleanup.h"
#include "common/wire/codec.h"

#include "proto/data.pb-c.h"

/* DeleteRecords. */

void wire_encode_delete_records_request(const struct msg_delete_records_request *m, struct buf *out)
{
    CLEANUP(enc_deinit) struct enc e = {0};
    Weir__V1__DeleteRecordsRequest pb;

    weir__v1__delete_records_request__init(&pb);
    pb.partitions = enc_list(&e, &weir__v1__delete_records_partition__descriptor, m->n_partitions);
    pb.n_partitions = m->n_partitions;
    for (size_t i = 0; i < m->n_partitions; i++) {
        const struct msg_delete_records_partition *p = &m->partitions[i];
        Weir__V1__DeleteRecordsPartition *to = pb.partitions[i];
        to->topic_id = enc_uuid(&p->topic_id);
        to->partition = enc_count(p->partition);
        to->before_offset = p->before;
    }
    pb.dry_run = m->dry_run;
    enc_finish(&pb.base, out);
}

static void from_delete_records_request(struct dec *d,
        const Weir__V1__DeleteRecordsRequest *pb,
        struct msg_delete_records_request *m)
{
    m->dry_run = pb->dry_run;
    m->partitions = dec_list(d, pb->n_partitions, sizeof(*m->partitions));
    m->n_partitions = pb->n_partitions;
    for (size_t i = 0; m->partitions != NULL && i < pb->n_partitions; i++) {
        const Weir__V1__DeleteRecordsPartition *from = pb->partitions[i];
        m->partitions[i] = (struct msg_delete_records_partition){
                .topic_id = dec_uuid(d, &from->topic_id),
                .partition = dec_count(d, from->partition),
                .before = from->before_offset,
        };
    }
}

DEFINE_DECODE(delete_records_request,
        Weir__V1__DeleteRecordsRequest,
        weir__v1__delete_records_request__descriptor)

void wire_encode_delete_records_response(
        const struct msg_delete_records_response *m, struct buf *out)
{
    CLEANUP(enc_deinit) struct enc e = {0};
    Weir__V1__DeleteRecordsResponse pb;

    weir__v1__delete_records_response__init(&pb);
    pb.partitions =
            enc_list(&e, &weir__v1__delete_records_partition_result__descriptor, m->n_partitions);
    pb.n_partitions = m->n_partitions;
    for (size_t i = 0; i < m->n_partitions; i++) {
        const struct msg_delete_records_result *p = &m->partitions[i];
        Weir__V1__DeleteRecordsPartitionResult *to = pb.partitions[i];
        to->topic_id = enc_uuid(&p->topic_id);
        to->partition = enc_count(p->partition);
        to->error = p->error;
        to->detail = enc_borrow(p->detail);
        to->log_start_offset = p->log_start;
        to->old_log_start_offset = p->old_log_start;
    }
    enc_finish(&pb.base, out);
}

static void from_delete_records_response(struct dec *d,
        const Weir__V1__DeleteRecordsResponse *pb,
        struct msg_delete_records_response *m)
{
    m->partitions = dec_list(d, pb->n_partitions, sizeof(*m->partitions));
    m->n_partitions = pb->n_partitions;
    for (size_t i = 0; m->partitions != NULL && i < pb->n_partitions; i++) {
        const Weir__V1__DeleteRecordsPartitionResult *from = pb->partitions[i];
        m->partitions[i] = (struct msg_delete_records_result){
                .topic_id = dec_uuid(d, &from->topic_id),
                .partition = dec_count(d, from->partition),
                .error = from->error,
                .detail = dec_text(d, from->detail),
                .log_start = from->log_start_offset,
                .old_log_start = from->old_log_start_offset,
        };
    }
}

DEFINE_DECODE(delete_records_response,
        Weir__V1__DeleteRecordsResponse,
        weir__v1__delete_records_response__descriptor)
