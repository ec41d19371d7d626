/* SPDX-License-Identifier: Apache-2.0 */
#include "common/wire/messages.h"

#include "common/wire/codec.h"

#include "proto/control.pb-c.h"

/* --- Push --- */

void wire_encode_push_request(const struct msg_push_request *m, struct buf *out)
{
    CLEANUP(enc_deinit) struct enc e = {0};
    Weir__V1__PushRequest pb;
    Weir__V1__SnapshotChunk snapshot;

    weir__v1__push_request__init(&pb);
    weir__v1__snapshot_chunk__init(&snapshot);
    pb.ctl_epoch = m->ctl_epoch;
    if (m->has_snapshot) {
        snapshot.index = m->snapshot.index;
        snapshot.log_crc64 = m->snapshot.log_crc64;
        snapshot.last_seq = m->snapshot.last_seq;
        snapshot.chunk = m->snapshot.chunk;
        snapshot.chunks = m->snapshot.chunks;
        snapshot.records = enc_bytes(m->snapshot.records);
        pb.snapshot = &snapshot;
    }
    pb.prev_crc64 = m->prev_crc64;
    pb.batches = enc_list(&e, &weir__v1__pushed_batch__descriptor, m->n_batches);
    pb.n_batches = m->n_batches;
    for (size_t i = 0; i < m->n_batches; i++) {
        pb.batches[i]->index = m->batches[i].index;
        pb.batches[i]->batch = enc_bytes(m->batches[i].batch);
    }
    enc_finish(&pb.base, out);
}

static void from_push_request(
        struct dec *d, const Weir__V1__PushRequest *pb, struct msg_push_request *m)
{
    m->ctl_epoch = pb->ctl_epoch;
    m->has_snapshot = pb->snapshot != NULL;
    if (m->has_snapshot) {
        m->snapshot.index = pb->snapshot->index;
        m->snapshot.log_crc64 = pb->snapshot->log_crc64;
        m->snapshot.last_seq = pb->snapshot->last_seq;
        m->snapshot.chunk = pb->snapshot->chunk;
        m->snapshot.chunks = pb->snapshot->chunks;
        m->snapshot.records = dec_bytes(d, &pb->snapshot->records);
    }
    m->prev_crc64 = pb->prev_crc64;
    m->batches = dec_list(d, pb->n_batches, sizeof(*m->batches));
    m->n_batches = pb->n_batches;
    for (size_t i = 0; m->batches != NULL && i < pb->n_batches; i++) {
        m->batches[i].index = pb->batches[i]->index;
        m->batches[i].batch = dec_bytes(d, &pb->batches[i]->batch);
    }
}

DEFINE_DECODE(push_request, Weir__V1__PushRequest, weir__v1__push_request__descriptor)

void wire_encode_push_response(const struct msg_push_response *m, struct buf *out)
{
    Weir__V1__PushResponse pb;

    weir__v1__push_response__init(&pb);
    pb.applied_index = m->applied_index;
    pb.applied_crc64 = m->applied_crc64;
    pb.need = m->need;
    enc_finish(&pb.base, out);
}

static void from_push_response(
        struct dec *d, const Weir__V1__PushResponse *pb, struct msg_push_response *m)
{
    (void)d;
    m->applied_index = pb->applied_index;
    m->applied_crc64 = pb->applied_crc64;
    m->need = pb->need != 0;
}

DEFINE_DECODE(push_response, Weir__V1__PushResponse, weir__v1__push_response__descriptor)

/* --- Beat --- */

void wire_encode_beat_request(const struct msg_beat_request *m, struct buf *out)
{
    Weir__V1__BeatRequest pb;

    weir__v1__beat_request__init(&pb);
    pb.ctl_epoch = m->ctl_epoch;
    pb.committed_index = m->committed_index;
    pb.lease_ms = m->lease_ms;
    pb.controllers = enc_borrow(m->controllers);
    pb.n_controllers = m->n_controllers;
    enc_finish(&pb.base, out);
}

static void from_beat_request(
        struct dec *d, const Weir__V1__BeatRequest *pb, struct msg_beat_request *m)
{
    m->ctl_epoch = pb->ctl_epoch;
    m->committed_index = pb->committed_index;
    m->lease_ms = pb->lease_ms;
    m->controllers = dec_texts(d, pb->controllers, pb->n_controllers);
    m->n_controllers = pb->n_controllers;
}

DEFINE_DECODE(beat_request, Weir__V1__BeatRequest, weir__v1__beat_request__descriptor)

void wire_encode_beat_response(const struct msg_beat_response *m, struct buf *out)
{
    CLEANUP(enc_deinit) struct enc e = {0};
    Weir__V1__BeatResponse pb;

    weir__v1__beat_response__init(&pb);
    pb.broker_epoch = m->broker_epoch;
    pb.applied_index = m->applied_index;
    pb.dirs = enc_list(&e, &weir__v1__log_dir_state__descriptor, m->n_dirs);
    pb.n_dirs = m->n_dirs;
    for (size_t i = 0; i < m->n_dirs; i++) {
        const struct msg_log_dir_state *s = &m->dirs[i];
        Weir__V1__LogDirState *to = pb.dirs[i];
        to->dir_id = enc_uuid(&s->dir_id);
        to->path = enc_borrow(s->path);
        to->failed = s->failed;
        to->total_bytes = s->total_bytes;
        to->free_bytes = s->free_bytes;
        to->log_bytes = s->log_bytes;
        to->stall_ms = s->stall_ms;
        to->full = s->full;
        to->reserve_bytes = s->reserve_bytes;
        to->canary_ms = s->canary_ms;
    }
    enc_finish(&pb.base, out);
}

static void from_beat_response(
        struct dec *d, const Weir__V1__BeatResponse *pb, struct msg_beat_response *m)
{
    m->broker_epoch = pb->broker_epoch;
    m->applied_index = pb->applied_index;
    m->dirs = dec_list(d, pb->n_dirs, sizeof(*m->dirs));
    m->n_dirs = pb->n_dirs;
    for (size_t i = 0; m->dirs != NULL && i < pb->n_dirs; i++) {
        const Weir__V1__LogDirState *from = pb->dirs[i];
        m->dirs[i] = (struct msg_log_dir_state){
                .dir_id = dec_uuid(d, &from->dir_id),
                .path = dec_text(d, from->path),
                .failed = from->failed != 0,
                .total_bytes = from->total_bytes,
                .free_bytes = from->free_bytes,
                .log_bytes = from->log_bytes,
                .stall_ms = from->stall_ms,
                .full = from->full,
                .reserve_bytes = from->reserve_bytes,
                .canary_ms = from->canary_ms,
        };
    }
}

DEFINE_DECODE(beat_response, Weir__V1__BeatResponse, weir__v1__beat_response__descriptor)

/* --- Broker to controller --- */

void wire_encode_broker_ready_request(const struct msg_broker_ready_request *m, struct buf *out)
{
    CLEANUP(enc_deinit) struct enc e = {0};
    Weir__V1__BrokerReadyRequest pb;

    weir__v1__broker_ready_request__init(&pb);
    pb.broker_epoch = m->broker_epoch;
    pb.applied_index = m->applied_index;
    pb.failed = enc_list(&e, &weir__v1__partition_ref__descriptor, m->n_failed);
    pb.n_failed = m->n_failed;
    for (size_t i = 0; i < m->n_failed; i++) {
        pb.failed[i]->topic_id = enc_uuid(&m->failed[i].topic_id);
        pb.failed[i]->partition = enc_count(m->failed[i].partition);
    }
    enc_finish(&pb.base, out);
}

static void from_broker_ready_request(
        struct dec *d, const Weir__V1__BrokerReadyRequest *pb, struct msg_broker_ready_request *m)
{
    m->broker_epoch = pb->broker_epoch;
    m->applied_index = pb->applied_index;
    m->failed = dec_list(d, pb->n_failed, sizeof(*m->failed));
    m->n_failed = pb->n_failed;
    for (size_t i = 0; m->failed != NULL && i < pb->n_failed; i++) {
        m->failed[i].topic_id = dec_uuid(d, &pb->failed[i]->topic_id);
        m->failed[i].partition = dec_count(d, pb->failed[i]->partition);
    }
}

DEFINE_DECODE(broker_ready_request,
        Weir__V1__BrokerReadyRequest,
        weir__v1__broker_ready_request__descriptor)

void wire_encode_controlled_shutdown_request(
        const struct msg_controlled_shutdown_request *m, struct buf *out)
{
    Weir__V1__ControlledShutdownRequest pb;

    weir__v1__controlled_shutdown_request__init(&pb);
    pb.broker_epoch = m->broker_epoch;
    enc_finish(&pb.base, out);
}

static void from_controlled_shutdown_request(struct dec *d,
        const Weir__V1__ControlledShutdownRequest *pb,
        struct msg_controlled_shutdown_request *m)
{
    (void)d;
    m->broker_epoch = pb->broker_epoch;
}

DEFINE_DECODE(controlled_shutdown_request,
        Weir__V1__ControlledShutdownRequest,
        weir__v1__controlled_shutdown_request__descriptor)

void wire_encode_controlled_shutdown_response(
        const struct msg_controlled_shutdown_response *m, struct buf *out)
{
    Weir__V1__ControlledShutdownResponse pb;

    weir__v1__controlled_shutdown_response__init(&pb);
    pb.done = m->done;
    pb.index = m->index;
    pb.remaining = m->remaining;
    enc_finish(&pb.base, out);
}

static void from_controlled_shutdown_response(struct dec *d,
        const Weir__V1__ControlledShutdownResponse *pb,
        struct msg_controlled_shutdown_response *m)
{
    (void)d;
    m->done = pb->done != 0;
    m->index = pb->index;
    m->remaining = pb->remaining;
}

DEFINE_DECODE(controlled_shutdown_response,
        Weir__V1__ControlledShutdownResponse,
        weir__v1__controlled_shutdown_response__descriptor)

/* --- Configuration --- */

void wire_encode_describe_configs_request(
        const struct msg_describe_configs_request *m, struct buf *out)
{
    Weir__V1__DescribeConfigsRequest pb;

    (void)m;
    weir__v1__describe_configs_request__init(&pb);
    enc_finish(&pb.base, out);
}

static void from_describe_configs_request(struct dec *d,
        const Weir__V1__DescribeConfigsRequest *pb,
        struct msg_describe_configs_request *m)
{
    (void)d;
    (void)pb;
    m->unused = 0;
}

DEFINE_DECODE(describe_configs_request,
        Weir__V1__DescribeConfigsRequest,
        weir__v1__describe_configs_request__descriptor)

void wire_encode_describe_configs_response(
        const struct msg_describe_configs_response *m, struct buf *out)
{
    CLEANUP(enc_deinit) struct enc e = {0};
    Weir__V1__DescribeConfigsResponse pb;

    weir__v1__describe_configs_response__init(&pb);
    pb.configs = enc_list(&e, &weir__v1__config_entry__descriptor, m->n_configs);
    pb.n_configs = m->n_configs;
    for (size_t i = 0; i < m->n_configs; i++) {
        Weir__V1__ConfigEntry *to = pb.configs[i];
        to->name = enc_borrow(m->configs[i].name);
        to->value = enc_borrow(m->configs[i].value);
        to->source = enc_borrow(m->configs[i].source);
        to->read_only = m->configs[i].read_only;
    }
    enc_finish(&pb.base, out);
}

static void from_describe_configs_response(struct dec *d,
        const Weir__V1__DescribeConfigsResponse *pb,
        struct msg_describe_configs_response *m)
{
    m->configs = dec_list(d, pb->n_configs, sizeof(*m->configs));
    m->n_configs = pb->n_configs;
    for (size_t i = 0; m->configs != NULL && i < pb->n_configs; i++) {
        const Weir__V1__ConfigEntry *from = pb->configs[i];
        m->configs[i] = (struct msg_config_entry){
                .name = dec_text(d, from->name),
                .value = dec_text(d, from->value),
                .source = dec_text(d, from->source),
                .read_only = from->read_only != 0,
        };
    }
}

DEFINE_DECODE(describe_configs_response,
        Weir__V1__DescribeConfigsResponse,
        weir__v1__describe_configs_response__descriptor)
