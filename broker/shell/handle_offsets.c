/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/broker.h"
#include "broker/shell/errcode_map.h"
#include "common/base/cleanup.h"
#include "common/base/mem.h"
#include "common/base/must.h"
#include "common/compress/compress.h"

#include <errno.h>

/* ListOffsets. The ends are known at once; a look-up by time reads and may decompress a batch, so that a request with
 * one runs on the pool as a whole. */

enum {
    LOOKUP_PLAIN_MAX = 128 * 1024 * 1024
};

static void refuse(struct msg_list_offsets_result *ret, int error, const char *detail)
{
    ret->error = error;
    ret->detail = detail[0] != '\0' ? detail : errcode_text(error);
    ret->offset = OFFSET_NONE;
    ret->timestamp = -1;
}

/* The first record of the batch at or after `t`, or with `largest` the first of its largest timestamp. 0, negative, or
 * what the decoders say; PLOG_E_NOT_FOUND is folded into RECORD_END. */
static int find_record(
        const struct batch *b, wall_ms t, bool largest, struct msg_list_offsets_result *ret)
{
    CLEANUP(buf_deinit) struct buf scratch = {0};
    struct record_iter it;
    struct record rec;
    struct bytes plain;
    int r;

    if ((b->attributes & BATCH_LOG_APPEND_TIME) != 0) { /* every record has the batch's time */
        ret->offset = b->base_offset;
        ret->timestamp = b->max_timestamp;
        return 0;
    }
    r = batch_plain_records(b, LOOKUP_PLAIN_MAX, &scratch, &plain);
    if (r != 0) {
        return r;
    }
    record_iter_init(&it, b, plain.at, plain.size);
    while ((r = record_iter_next(&it, &rec)) == 0) {
        if (largest ? rec.timestamp == b->max_timestamp : rec.timestamp >= t) {
            ret->offset = rec.offset;
            ret->timestamp = rec.timestamp;
            return 0;
        }
    }
    return r;
}

static int read_batch(
        const struct plog_slice *s, const struct file_io *io, struct buf *buf, struct batch *ret)
{
    uint8_t *at;
    int64_t n;

    buf->limit = LOOKUP_PLAIN_MAX;
    at = buf_grow(buf, s->size);
    if (at == NULL) {
        return err_origin(-EFBIG);
    }
    n = io->pread(io->ctx, s->fd, at, s->size, s->at);
    if (n != (int64_t)s->size) {
        return err_origin(n < 0 ? (int)n : -EIO);
    }
    if (batch_parse(at, s->size, ret) != 0 || !batch_crc_is_right(ret)) {
        return BATCH_E_CRC;
    }
    return 0;
}

/* [LOG-83] The batch that was found is not right: it is checked in the way that fails the replica if it is so. */
static void refuse_damaged(struct partition *p,
        const struct buf *bytes,
        offset64 limit,
        struct msg_list_offsets_result *ret)
{
    struct partition_cold cold = {
            .offset = (offset64)load_be64(bytes->data), .limit = limit, .size = 1};

    int r = partition_warm(p, &cold);
    struct refusal no = errcode_of_plog(r == 0 ? PLOG_E_DAMAGED : r);

    refuse(ret, no.error, no.detail);
}

static void look_up(struct partition *p,
        const struct msg_list_offsets_partition *lp,
        offset64 limit,
        struct msg_list_offsets_result *ret)
{
    CLEANUP(buf_deinit) struct buf buf = {0};
    bool largest = lp->timestamp == LIST_MAX_TIMESTAMP;
    struct plog_slice slice = {0};
    struct batch b;
    int r = partition_find(p, lp->timestamp, largest, limit, &slice);

    if (r == PLOG_E_NOT_FOUND || (r == 0 && slice.file == NULL)) {
        return; /* -1: there is no such record */
    }
    if (r != 0) {
        refuse(ret, errcode_of_plog(r).error, errcode_of_plog(r).detail);
        return;
    }
    r = read_batch(&slice, log_dir_io(p->dir), &buf, &b);
    cached_file_release(slice.file);
    if (r == 0) {
        r = find_record(&b, lp->timestamp, largest, ret);
    }
    if (r == BATCH_E_CRC) {
        refuse_damaged(p, &buf, limit, ret);
    } else if (r != 0 && r != RECORD_END) {
        refuse(ret, errcode_of_stored_batch(r).error, errcode_of_stored_batch(r).detail);
    }
}

static void list_one(struct partitions *t,
        const struct msg_list_offsets_partition *lp,
        struct msg_list_offsets_result *ret)
{
    struct partition *p = partitions_get(t, &lp->topic_id, lp->partition);
    struct partition_ends ends;

    *ret = (struct msg_list_offsets_result){.topic_id = lp->topic_id,
            .partition = lp->partition,
            .detail = "",
            .offset = OFFSET_NONE,
            .timestamp = -1,
            .leader_epoch = EPOCH_NONE};
    if (p == NULL) {
        int error = partitions_refusal(t, &lp->topic_id);

        refuse(ret, error, partitions_refusal_text(error));
        return;
    }
    /* Everything but the start depends on where the committed log ends. */
    partition_ends(p, lp->leader_epoch, lp->timestamp != LIST_EARLIEST, &ends);
    ret->leader_epoch = ends.leader_epoch;
    if (ends.error != ERRCODE_NONE) {
        refuse(ret, ends.error, ends.detail);
    } else if (lp->timestamp == LIST_LATEST) {
        ret->offset = ends.limit;
    } else if (lp->timestamp == LIST_EARLIEST) {
        ret->offset = ends.start;
    } else if (lp->timestamp >= 0 || lp->timestamp == LIST_MAX_TIMESTAMP) {
        look_up(p, lp, ends.limit, ret);
    } else {
        refuse(ret, ERRCODE_INVALID_REQUEST, "a timestamp is 0 or more, or -1, -2 or -3");
    }
    partition_unref(p);
}

/* The whole answer; owns its request. */
struct listing {
    struct io_job job;
    struct partitions *partitions;
    struct late_answer *answer;
    struct rpc_request *request;
    struct arena arena;
    struct msg_list_offsets_request m;
};

static struct rpc_out *list_all(struct listing *l)
{
    struct msg_list_offsets_response out = {.n_partitions = l->m.n_partitions};
    struct rpc_out *o = rpc_out_new();

    out.partitions = mem_new_n(struct msg_list_offsets_result, l->m.n_partitions + 1);
    for (size_t i = 0; i < l->m.n_partitions; i++) {
        list_one(l->partitions, &l->m.partitions[i], &out.partitions[i]);
    }
    wire_encode_list_offsets_response(&out, rpc_out_buf(o));
    (void)mem_free(out.partitions);
    return o;
}

static void listing_free(struct listing *l)
{
    arena_deinit(&l->arena);
    (void)rpc_request_free(l->request);
    (void)mem_free(l);
}

static void run_on_pool(struct io_job *job)
{
    struct listing *l = container_of(job, struct listing, job);

    l->answer->out = list_all(l);
    late_answer_post(l->answer);
    listing_free(l);
}

static bool needs_disk(const struct msg_list_offsets_request *m)
{
    for (size_t i = 0; i < m->n_partitions; i++) {
        if (m->partitions[i].timestamp >= 0 || m->partitions[i].timestamp == LIST_MAX_TIMESTAMP) {
            return true;
        }
    }
    return false;
}

void handle_list_offsets(struct client_conn *conn, struct rpc_request *r)
{
    struct listing *l = mem_new(struct listing);
    int e;

    l->partitions = &conn->dl->broker->partitions;
    arena_init(&l->arena, wire_arena_ceiling(r->body.size));
    e = wire_decode_list_offsets_request(r->body, &l->arena, &l->m);
    if (e != 0) {
        struct refusal no = errcode_of_wire(e);

        answer_error(conn, r, no.error, no.detail);
        listing_free(l);
        return;
    }
    l->request = r;
    if (!needs_disk(&l->m)) {
        rpc_answer(conn->c, &r->header, ERRCODE_NONE, "", list_all(l));
        listing_free(l);
        return;
    }
    l->answer = mem_new(struct late_answer);
    l->answer->dl = conn->dl;
    l->answer->conn_id = conn->id;
    l->answer->header = r->header;
    l->answer->header.detail = "";
    l->job.run = run_on_pool;
    io_pool_submit(conn->dl->broker->pool, &l->job);
}
