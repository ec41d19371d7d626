/* SPDX-License-Identifier: Apache-2.0 */
#include "common/wire/messages.h"

#include "common/base/crc.h"
#include "common/wire/codec.h"

#include "proto/state.pb-c.h"

/* --- Identity and election --- */

void wire_encode_cluster_id(const struct msg_cluster_id *m, struct buf *out)
{
    Weir__V1__ClusterId pb;

    weir__v1__cluster_id__init(&pb);
    pb.cluster_id = enc_uuid(&m->cluster_id);
    pb.format = m->format;
    pb.created_ms = m->created;
    enc_finish(&pb.base, out);
}

static void from_cluster_id(struct dec *d, const Weir__V1__ClusterId *pb, struct msg_cluster_id *m)
{
    m->cluster_id = dec_uuid(d, &pb->cluster_id);
    m->format = pb->format;
    m->created = pb->created_ms;
}

DEFINE_DECODE(cluster_id, Weir__V1__ClusterId, weir__v1__cluster_id__descriptor)

void wire_encode_epoch(const struct msg_epoch *m, struct buf *out)
{
    Weir__V1__Epoch pb;

    weir__v1__epoch__init(&pb);
    pb.ctl_epoch = m->ctl_epoch;
    pb.controller_id = m->controller_id;
    pb.nonce = enc_uuid(&m->nonce);
    enc_finish(&pb.base, out);
}

static void from_epoch(struct dec *d, const Weir__V1__Epoch *pb, struct msg_epoch *m)
{
    m->ctl_epoch = pb->ctl_epoch;
    m->controller_id = pb->controller_id;
    m->nonce = dec_uuid(d, &pb->nonce);
}

DEFINE_DECODE(epoch, Weir__V1__Epoch, weir__v1__epoch__descriptor)

void wire_encode_active(const struct msg_active *m, struct buf *out)
{
    Weir__V1__Active pb;

    weir__v1__active__init(&pb);
    pb.ctl_epoch = m->ctl_epoch;
    pb.controller_id = m->controller_id;
    pb.nonce = enc_uuid(&m->nonce);
    pb.http = enc_borrow(m->http);
    pb.since_ms = m->since;
    pb.has_successor = m->has_successor;
    pb.successor = m->successor;
    enc_finish(&pb.base, out);
}

static void from_active(struct dec *d, const Weir__V1__Active *pb, struct msg_active *m)
{
    m->ctl_epoch = pb->ctl_epoch;
    m->controller_id = pb->controller_id;
    m->nonce = dec_uuid(d, &pb->nonce);
    m->http = dec_text(d, pb->http);
    m->since = pb->since_ms;
    m->has_successor = pb->has_successor;
    m->successor = pb->successor;
}

DEFINE_DECODE(active, Weir__V1__Active, weir__v1__active__descriptor)

void wire_encode_candidate(const struct msg_candidate *m, struct buf *out)
{
    Weir__V1__Candidate pb;

    weir__v1__candidate__init(&pb);
    pb.controller_id = m->controller_id;
    pb.http = enc_borrow(m->http);
    pb.version = enc_borrow(m->version);
    pb.feature_level = m->feature_level;
    enc_finish(&pb.base, out);
}

static void from_candidate(struct dec *d, const Weir__V1__Candidate *pb, struct msg_candidate *m)
{
    m->controller_id = pb->controller_id;
    m->http = dec_text(d, pb->http);
    m->version = dec_text(d, pb->version);
    m->feature_level = pb->feature_level;
}

DEFINE_DECODE(candidate, Weir__V1__Candidate, weir__v1__candidate__descriptor)

/* --- Brokers --- */

void wire_encode_broker_reg(const struct msg_broker_reg *m, struct buf *out)
{
    CLEANUP(enc_deinit) struct enc e = {0};
    Weir__V1__BrokerReg pb;

    weir__v1__broker_reg__init(&pb);
    pb.cluster_id = enc_uuid(&m->cluster_id);
    pb.broker_id = m->broker;
    pb.nonce = enc_uuid(&m->nonce);
    pb.dir_ids = enc_uuids(&e, m->dirs, m->n_dirs);
    pb.n_dir_ids = m->n_dirs;
    pb.endpoints = enc_endpoints(&e, m->endpoints, m->n_endpoints);
    pb.n_endpoints = m->n_endpoints;
    pb.rack = enc_borrow(m->rack);
    pb.crash_kind = (Weir__V1__CrashKind)m->crash_kind;
    pb.prev_epoch = m->prev_epoch;
    pb.boot_id = enc_borrow(m->boot_id);
    pb.version = enc_borrow(m->version);
    pb.feature_level = m->feature_level;
    enc_finish(&pb.base, out);
}

static void from_broker_reg(struct dec *d, const Weir__V1__BrokerReg *pb, struct msg_broker_reg *m)
{
    m->cluster_id = dec_uuid(d, &pb->cluster_id);
    m->broker = pb->broker_id;
    m->nonce = dec_uuid(d, &pb->nonce);
    m->dirs = dec_uuids(d, pb->dir_ids, pb->n_dir_ids);
    m->n_dirs = pb->n_dir_ids;
    m->endpoints = dec_endpoints(d, pb->endpoints, pb->n_endpoints);
    m->n_endpoints = pb->n_endpoints;
    m->rack = dec_text(d, pb->rack);
    m->crash_kind = (enum crash_kind)dec_enum(d, (int)pb->crash_kind, CRASH_CLEAN, CRASH_HOST);
    m->prev_epoch = pb->prev_epoch;
    m->boot_id = dec_text(d, pb->boot_id);
    m->version = dec_text(d, pb->version);
    m->feature_level = pb->feature_level;
}

DEFINE_DECODE(broker_reg, Weir__V1__BrokerReg, weir__v1__broker_reg__descriptor)

/* --- The metadata log --- */

void wire_encode_batch(const struct msg_batch *m, struct buf *out)
{
    Weir__V1__Batch pb;

    weir__v1__batch__init(&pb);
    pb.ctl_epoch = m->ctl_epoch;
    pb.index = m->index;
    pb.first_seq = m->first_seq;
    pb.prev_crc64 = m->prev_crc64;
    pb.nonce = enc_uuid(&m->nonce);
    pb.payload = enc_bytes(m->payload);
    pb.crc64 = m->crc64;
    enc_finish(&pb.base, out);
}

static void from_batch(struct dec *d, const Weir__V1__Batch *pb, struct msg_batch *m)
{
    m->ctl_epoch = pb->ctl_epoch;
    m->index = pb->index;
    m->first_seq = pb->first_seq;
    m->prev_crc64 = pb->prev_crc64;
    m->nonce = dec_uuid(d, &pb->nonce);
    m->payload = dec_bytes(d, &pb->payload);
    m->crc64 = pb->crc64;
}

DEFINE_DECODE(batch, Weir__V1__Batch, weir__v1__batch__descriptor)

uint64_t msg_batch_crc(const struct msg_batch *b)
{
    uint8_t front[24];

    store_le64(front, b->prev_crc64);
    store_le64(front + 8, b->index);
    store_le64(front + 16, b->ctl_epoch);
    uint64_t crc = crc64(0, front, sizeof(front));
    return b->payload.size > 0 ? crc64(crc, b->payload.at, b->payload.size) : crc;
}

void wire_encode_snap_head(const struct msg_snap_head *m, struct buf *out)
{
    Weir__V1__SnapHead pb;

    weir__v1__snap_head__init(&pb);
    pb.index = m->index;
    pb.dir = enc_borrow(m->dir);
    pb.chunks = m->chunks;
    pb.bytes = m->bytes;
    pb.crc64 = m->crc64;
    pb.log_crc64 = m->log_crc64;
    pb.last_seq = m->last_seq;
    enc_finish(&pb.base, out);
}

static void from_snap_head(struct dec *d, const Weir__V1__SnapHead *pb, struct msg_snap_head *m)
{
    m->index = pb->index;
    m->dir = dec_text(d, pb->dir);
    m->chunks = pb->chunks;
    m->bytes = pb->bytes;
    m->crc64 = pb->crc64;
    m->log_crc64 = pb->log_crc64;
    m->last_seq = pb->last_seq;
}

DEFINE_DECODE(snap_head, Weir__V1__SnapHead, weir__v1__snap_head__descriptor)
