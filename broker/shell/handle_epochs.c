/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/broker.h"
#include "broker/shell/errcode_map.h"
#include "common/base/mem.h"

/* OffsetForLeaderEpoch: answered in passing, for the epochs of a log are in memory. */

static void look_up(struct partitions *t,
        const struct msg_offset_for_leader_epoch_partition *ep,
        struct msg_offset_for_leader_epoch_result *ret)
{
    struct partition *p = partitions_get(t, &ep->topic_id, ep->partition);
    struct partition_epoch_end end;

    *ret = (struct msg_offset_for_leader_epoch_result){.topic_id = ep->topic_id,
            .partition = ep->partition,
            .detail = "",
            .leader_epoch = EPOCH_NONE,
            .end_offset = OFFSET_NONE};
    if (p == NULL) {
        ret->error = partitions_refusal(t, &ep->topic_id);
        ret->detail = partitions_refusal_text(ret->error);
        return;
    }
    partition_epoch_end(p, ep->current_leader_epoch, ep->leader_epoch, &end);
    partition_unref(p);
    ret->error = end.error;
    ret->detail = end.error != ERRCODE_NONE && end.detail[0] == '\0' ? errcode_text(end.error)
                                                                     : end.detail;
    ret->leader_epoch = end.epoch;
    ret->end_offset = end.end;
}

void handle_offset_for_leader_epoch(struct client_conn *conn, struct rpc_request *r)
{
    struct msg_offset_for_leader_epoch_request m;
    struct arena arena;
    int e;

    arena_init(&arena, wire_arena_ceiling(r->body.size));
    e = wire_decode_offset_for_leader_epoch_request(r->body, &arena, &m);
    if (e != 0) {
        struct refusal no = errcode_of_wire(e);

        answer_error(conn, r, no.error, no.detail);
        arena_deinit(&arena);
        return;
    }
    struct msg_offset_for_leader_epoch_response out = {.n_partitions = m.n_partitions};
    struct rpc_out *o = rpc_out_new();

    out.partitions = mem_new_n(struct msg_offset_for_leader_epoch_result, m.n_partitions + 1);
    for (size_t i = 0; i < m.n_partitions; i++) {
        look_up(&conn->dl->broker->partitions, &m.partitions[i], &out.partitions[i]);
    }
    wire_encode_offset_for_leader_epoch_response(&out, rpc_out_buf(o));
    (void)mem_free(out.partitions);
    arena_deinit(&arena);
    rpc_answer(conn->c, &r->header, ERRCODE_NONE, "", o);
    (void)rpc_request_free(r);
}
