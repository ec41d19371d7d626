/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/shell/broker_link.h"

#include "common/domain/errcode.h"
#include "common/obs/log.h"

#include <stdio.h>

/* Pushing: one push under way, its answer moves the cursor and starts the next. */
enum {
    PUSH_BYTES = 512 * 1024,
    PUSH_BATCHES_MAX = 512,
    PUSH_NEEDS_MAX = 3
};

static void on_pushed(void *ctx, struct rpc_reply *reply);

static void snapshot_end(struct broker_link *l)
{
    if (l->snapshot != NULL) {
        snapshot_pool_give(&l->set->snapshots, l->snapshot);
        l->snapshot = NULL;
    }
}

void link_push_reset(struct broker_link *l)
{
    snapshot_end(l);
    l->push_under_way = false;
    l->wants_snapshot = false;
    l->is_proved = false;
    l->n_needs = 0;
}

static void send_push(struct broker_link *l, const struct msg_push_request *m)
{
    struct rpc_out *out = rpc_out_new();

    wire_encode_push_request(m, rpc_out_buf(out));
    l->push_under_way = true;
    rpc_call(l->conn, API_PUSH, 0, out, on_pushed, l); /* a dead peer is found by its silence */
}

static void push_chunk(struct broker_link *l)
{
    const struct buf *chunk = &l->snapshot->chunks.items[l->next_chunk];
    struct msg_push_request m = {.ctl_epoch = l->set->ctl_epoch, .has_snapshot = true};

    m.snapshot.index = l->snapshot->at.index;
    m.snapshot.log_crc64 = l->snapshot->at.crc;
    m.snapshot.last_seq = l->snapshot->at.last_seq;
    m.snapshot.chunk = (uint32_t)l->next_chunk++;
    m.snapshot.chunks = (uint32_t)l->snapshot->chunks.n;
    m.snapshot.records = (struct bytes){.at = chunk->data, .size = chunk->size};
    send_push(l, &m);
}

static void push_batches(struct broker_link *l)
{
    const struct batch_ring *ring = meta_log_ring(l->set->options.log);
    struct msg_pushed_batch batches[PUSH_BATCHES_MAX];
    struct msg_push_request m = {
            .ctl_epoch = l->set->ctl_epoch, .prev_crc64 = l->applied_crc, .batches = batches};
    size_t size = 0;

    while (m.n_batches < PUSH_BATCHES_MAX) {
        const struct ring_batch *b = batch_ring_get(ring, l->applied_index + 1 + m.n_batches);
        if (b == NULL || (m.n_batches > 0 && size + b->bytes.size > PUSH_BYTES)) {
            break;
        }
        batches[m.n_batches++] = (struct msg_pushed_batch){.index = b->index, .batch = b->bytes};
        size += b->bytes.size;
    }
    send_push(l, &m);
}

/* What cannot be pushed without making the broker forget what it knows. It hears of it by a beat, when the log ends before
 * that, or else by the batch that stands where it is: another one than it has applied. */
static void push_proof_or_leave(struct broker_link *l, struct image_position at)
{
    const struct ring_batch *own = batch_ring_get(meta_log_ring(l->set->options.log), l->applied_index);
    struct msg_pushed_batch batch;
    struct msg_push_request m = {.ctl_epoch = l->set->ctl_epoch, .batches = &batch, .n_batches = 1};

    if (l->beat_under_way) {
        return; /* its answer comes back here */
    }
    if (own != NULL && !l->is_proved) {
        l->is_proved = true;
        m.prev_crc64 = own->prev_crc;
        batch = (struct msg_pushed_batch){.index = own->index, .batch = own->bytes};
        send_push(l, &m);
        return;
    }
    log_error("broker_link", "metadata_regressed", KV_I64("broker", l->id),
            KV_U64("broker_index", l->applied_index), KV_U64("committed_index", at.index));
    link_redial(l, WTIME_S(5),
            "it has applied metadata that the log does not hold: was ZooKeeper restored from an "
            "old copy?");
}

/* [ZK-43] The broker knows more than the log, or something else at the same index, also when the log has grown past it
 * since: ZooKeeper lost data, or this is another cluster's broker. It fences itself; nothing is pushed that would make
 * it forget. */
static bool is_ahead(const struct broker_link *l, struct image_position at)
{
    return l->applied_index > at.index ||
           (l->applied_index == at.index && l->applied_crc != at.crc && at.index > 0) ||
           batch_ring_contradicts(
                   meta_log_ring(l->set->options.log), l->applied_index, l->applied_crc);
}

void link_push(struct broker_link *l)
{
    struct image_position at = image_position(meta_log_image(l->set->options.log));

    if (l->state != LINK_UP || l->push_under_way || !link_may_act(l)) { /* [ZK-25] */
        return;
    }
    if (l->snapshot != NULL) {
        push_chunk(l);
        return;
    }
    if (is_ahead(l, at)) {
        push_proof_or_leave(l, at);
        return;
    }
    if (l->applied_index == at.index) {
        return;
    }
    if (!l->wants_snapshot && batch_ring_follows(meta_log_ring(l->set->options.log),
                                      l->applied_index, l->applied_crc)) {
        push_batches(l);
        return;
    }
    l->wants_snapshot = true;
    l->snapshot = snapshot_pool_take(&l->set->snapshots, meta_log_image(l->set->options.log),
            meta_log_ring(l->set->options.log));
    if (l->snapshot == NULL) {
        return; /* [ZK-46] the next beat asks again */
    }
    log_info("broker_link", "snapshot_pushed", KV_I64("broker", l->id),
            KV_U64("applied_index", l->applied_index), KV_U64("index", l->snapshot->at.index));
    l->wants_snapshot = false;
    l->next_chunk = 0;
    push_chunk(l);
}

/* The broker could not use the push: from where it stands, or else a snapshot. */
static void on_need(struct broker_link *l)
{
    snapshot_end(l);
    if (++l->n_needs > PUSH_NEEDS_MAX) {
        link_redial(l, WTIME_S(1), "it cannot use what is pushed to it");
        return;
    }
    l->wants_snapshot = l->n_needs > 1;
    link_push(l);
}

static void on_pushed(void *ctx, struct rpc_reply *reply)
{
    struct broker_link *l = ctx;
    struct arena a;
    struct msg_push_response m = {0};
    int r = 0;

    l->push_under_way = false;
    if (l->conn == NULL || reply->error == ERRCODE_NETWORK_EXCEPTION) {
        return;
    }
    if (l->is_proved) {
        link_push(l);
        return;
    }
    if (reply->error != ERRCODE_NONE) {
        link_redial(l, WTIME_S(1),
                reply->detail[0] != '\0' ? reply->detail : errcode_text(reply->error));
        return;
    }
    arena_init(&a, wire_arena_ceiling(reply->body.size));
    r = wire_decode_push_response(reply->body, &a, &m);
    arena_deinit(&a);
    if (r != 0) {
        link_redial(l, WTIME_S(1), "its answer to a push does not decode");
        return;
    }
    l->applied_index = m.applied_index;
    l->applied_crc = m.applied_crc64;
    if (m.need) {
        on_need(l);
        return;
    }
    l->n_needs = 0;
    if (l->snapshot != NULL && l->next_chunk == l->snapshot->chunks.n) {
        snapshot_end(l);
    }
    link_push(l);
    l->set->options.on_acked(l->set->options.ctx);
}
