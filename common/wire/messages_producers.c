/* SPDX-License-Identifier: Apache-2.0 */
#include "common/wire/messages.h"

#include "common/wire/codec.h"

#include "proto/control.pb-c.h"
#include "proto/data.pb-c.h"

/* Producer ids: a client asks a broker, a broker asks the controller. */

void wire_encode_init_producer_id_request(
        const struct msg_init_producer_id_request *m, struct buf *out)
{
    Weir__V1__InitProducerIdRequest pb;

    weir__v1__init_producer_id_request__init(&pb);
    pb.transactional_id = enc_borrow(m->transactional_id);
    pb.producer_id = m->producer_id;
    pb.producer_epoch = m->producer_epoch;
    enc_finish(&pb.base, out);
}

static void from_init_producer_id_request(struct dec *d,
        const Weir__V1__InitProducerIdRequest *pb,
        struct msg_init_producer_id_request *m)
{
    m->transactional_id = dec_text(d, pb->transactional_id);
    m->producer_id = pb->producer_id;
    m->producer_epoch = pb->producer_epoch;
}

DEFINE_DECODE(init_producer_id_request,
        Weir__V1__InitProducerIdRequest,
        weir__v1__init_producer_id_request__descriptor)

void wire_encode_init_producer_id_response(
        const struct msg_init_producer_id_response *m, struct buf *out)
{
    Weir__V1__InitProducerIdResponse pb;

    weir__v1__init_producer_id_response__init(&pb);
    pb.producer_id = m->producer_id;
    pb.producer_epoch = m->producer_epoch;
    enc_finish(&pb.base, out);
}

static void from_init_producer_id_response(struct dec *d,
        const Weir__V1__InitProducerIdResponse *pb,
        struct msg_init_producer_id_response *m)
{
    (void)d;
    m->producer_id = pb->producer_id;
    m->producer_epoch = pb->producer_epoch;
}

DEFINE_DECODE(init_producer_id_response,
        Weir__V1__InitProducerIdResponse,
        weir__v1__init_producer_id_response__descriptor)

void wire_encode_allocate_producer_ids_request(
        const struct msg_allocate_producer_ids_request *m, struct buf *out)
{
    Weir__V1__AllocateProducerIdsRequest pb;

    weir__v1__allocate_producer_ids_request__init(&pb);
    pb.broker_epoch = m->broker_epoch;
    enc_finish(&pb.base, out);
}

static void from_allocate_producer_ids_request(struct dec *d,
        const Weir__V1__AllocateProducerIdsRequest *pb,
        struct msg_allocate_producer_ids_request *m)
{
    (void)d;
    m->broker_epoch = pb->broker_epoch;
}

DEFINE_DECODE(allocate_producer_ids_request,
        Weir__V1__AllocateProducerIdsRequest,
        weir__v1__allocate_producer_ids_request__descriptor)

void wire_encode_allocate_producer_ids_response(
        const struct msg_allocate_producer_ids_response *m, struct buf *out)
{
    Weir__V1__AllocateProducerIdsResponse pb;

    weir__v1__allocate_producer_ids_response__init(&pb);
    pb.first = m->first;
    pb.count = enc_count(m->count);
    enc_finish(&pb.base, out);
}

static void from_allocate_producer_ids_response(struct dec *d,
        const Weir__V1__AllocateProducerIdsResponse *pb,
        struct msg_allocate_producer_ids_response *m)
{
    m->first = pb->first;
    m->count = dec_count(d, pb->count);
}

DEFINE_DECODE(allocate_producer_ids_response,
        Weir__V1__AllocateProducerIdsResponse,
        weir__v1__allocate_producer_ids_response__descriptor)
