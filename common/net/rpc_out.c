/* SPDX-License-Identifier: Apache-2.0 */
#include "common/net/send_queue.h"

#include "common/base/mem.h"
#include "common/base/must.h"

#include <errno.h>

enum {
    GATHER_FRAME_MAX = 4096,  /* larger bodies are not copied behind others */
    GATHER_PIECE_MAX = 65536, /* a gathering piece that has reached it is left alone */
    IOV_MAX_USED = 64,
    FLUSH_BUDGET = 4 << 20,
};

enum piece_kind {
    PIECE_MEMORY,
    PIECE_BORROWED,
    PIECE_FILE
};

struct out_piece {
    STAILQ_ENTRY(out_piece) entry;
    enum piece_kind kind;
    bool is_answer;
    size_t at; /* bytes sent */
    size_t size;
    struct buf memory;
    const uint8_t *borrowed;
    int fd;
    int64_t file_at;
    void (*release)(void *ctx);
    void *ctx;
};

static void piece_free(struct out_piece *p)
{
    if (p->release != NULL) {
        p->release(p->ctx);
    }
    buf_deinit(&p->memory);
    mem_free(p);
}

static void pieces_free(struct out_pieces *pieces)
{
    while (!STAILQ_EMPTY(pieces)) {
        struct out_piece *p = STAILQ_FIRST(pieces);
        STAILQ_REMOVE_HEAD(pieces, entry);
        piece_free(p);
    }
}

/* --- A frame under construction --------------------------------------------------------------- */

struct rpc_out *rpc_out_new(void)
{
    struct rpc_out *o = mem_new(struct rpc_out);

    STAILQ_INIT(&o->pieces);
    return o;
}

struct rpc_out *rpc_out_free(struct rpc_out *o)
{
    if (o == NULL) {
        return NULL;
    }
    pieces_free(&o->pieces);
    buf_deinit(&o->tail);
    return mem_free(o);
}

struct buf *rpc_out_buf(struct rpc_out *o)
{
    return &o->tail;
}

static void out_append(struct rpc_out *o, const struct out_piece *piece)
{
    struct out_piece *p = mem_new(struct out_piece);

    *p = *piece;
    o->pieces_size += p->size;
    STAILQ_INSERT_TAIL(&o->pieces, p, entry);
}

/* What was appended to the tail becomes a piece of its own, so that something else can stand behind
 * it. */
static void out_close_tail(struct rpc_out *o)
{
    must(!o->tail.failed); /* a frame with a hole in it must not leave */
    if (o->tail.size > 0) {
        out_append(o,
                &(struct out_piece){.kind = PIECE_MEMORY, .size = o->tail.size, .memory = o->tail});
        o->tail = (struct buf){0};
    }
}

void rpc_out_borrow(struct rpc_out *o, struct bytes bytes, void (*release)(void *ctx), void *ctx)
{
    out_close_tail(o);
    if (bytes.size == 0) {
        if (release != NULL) {
            release(ctx);
        }
        return;
    }
    out_append(o, &(struct out_piece){.kind = PIECE_BORROWED,
                          .size = bytes.size,
                          .borrowed = bytes.at,
                          .release = release,
                          .ctx = ctx});
}

void rpc_out_file(struct rpc_out *o, const struct file_range *range)
{
    out_close_tail(o);
    if (range->size == 0) {
        if (range->release != NULL) {
            range->release(range->ctx);
        }
        return;
    }
    out_append(o, &(struct out_piece){.kind = PIECE_FILE,
                          .size = range->size,
                          .fd = range->fd,
                          .file_at = range->at,
                          .release = range->release,
                          .ctx = range->ctx});
}

size_t rpc_out_size(const struct rpc_out *o)
{
    return o->pieces_size + o->tail.size;
}

/* --- The queue -------------------------------------------------------------------------------- */

void send_queue_init(struct send_queue *q)
{
    *q = (struct send_queue){0};
    STAILQ_INIT(&q->pieces);
}

void send_queue_deinit(struct send_queue *q)
{
    pieces_free(&q->pieces);
    q->gather = NULL;
    q->unsent = q->unsent_answers = 0;
}

static void count_queued(struct send_queue *q, size_t size, bool is_answer)
{
    q->unsent += size;
    q->unsent_answers += is_answer ? size : 0;
    q->n_queued += size;
}

/* The last piece if small frames of this kind may be appended to it, else a new one. */
static struct out_piece *gathering_piece(struct send_queue *q, bool is_answer)
{
    struct out_piece *p = q->gather;

    if (p == NULL || p->is_answer != is_answer || p->size >= GATHER_PIECE_MAX) {
        p = mem_new(struct out_piece);
        *p = (struct out_piece){.kind = PIECE_MEMORY, .is_answer = is_answer};
        STAILQ_INSERT_TAIL(&q->pieces, p, entry);
        q->gather = p;
    }
    return p;
}

void send_queue_frame(
        struct send_queue *q, const struct frame_header *h, struct rpc_out *out, bool is_answer)
{
    size_t body_size = out != NULL ? rpc_out_size(out) : 0;
    struct out_piece *gather = gathering_piece(q, is_answer);
    size_t before = gather->memory.size;

    buf_reserve(&gather->memory, 512);
    frame_begin(&gather->memory, h, body_size);
    if (out != NULL && STAILQ_EMPTY(&out->pieces) && body_size <= GATHER_FRAME_MAX) {
        must(!out->tail.failed);
        buf_append(&gather->memory, out->tail.data, out->tail.size);
        out = rpc_out_free(out);
    }
    gather->size = gather->memory.size;
    count_queued(q, gather->memory.size - before, is_answer);
    if (out == NULL) {
        return;
    }
    out_close_tail(out);
    struct out_piece *p = NULL;
    STAILQ_FOREACH(p, &out->pieces, entry)
    {
        p->is_answer = is_answer;
        count_queued(q, p->size, is_answer);
    }
    if (!STAILQ_EMPTY(&out->pieces)) {
        STAILQ_CONCAT(&q->pieces, &out->pieces);
        q->gather = NULL;
    }
    rpc_out_free(out);
}

static void advance(struct send_queue *q, size_t n)
{
    q->unsent -= n;
    q->n_sent += n;
    while (n > 0) {
        struct out_piece *p = STAILQ_FIRST(&q->pieces);
        must(p != NULL);
        size_t part = p->size - p->at < n ? p->size - p->at : n;
        p->at += part;
        n -= part;
        q->unsent_answers -= p->is_answer ? part : 0;
        if (p->at == p->size) {
            STAILQ_REMOVE_HEAD(&q->pieces, entry);
            q->gather = q->gather == p ? NULL : q->gather;
            piece_free(p);
        }
    }
}

static ssize_t write_memory(struct send_queue *q, struct transport *t)
{
    struct iovec iov[IOV_MAX_USED];
    int n = 0;
    struct out_piece *p = NULL;

    STAILQ_FOREACH(p, &q->pieces, entry)
    {
        if (p->kind == PIECE_FILE || n == IOV_MAX_USED) {
            break;
        }
        const uint8_t *from = p->kind == PIECE_MEMORY ? p->memory.data : p->borrowed;
        /* writev() takes pointers to bytes it does not change. */
        iov[n++] = (struct iovec){
                .iov_base = (void *)(uintptr_t)(from + p->at), .iov_len = p->size - p->at};
    }
    return t->ops->writev(t, iov, n, p != NULL);
}

static ssize_t write_file(const struct out_piece *p, struct transport *t)
{
    size_t left = p->size - p->at;

    return t->ops->sendfile(
            t, p->fd, p->file_at + (int64_t)p->at, left < FLUSH_BUDGET ? left : FLUSH_BUDGET);
}

int send_queue_flush(struct send_queue *q, struct transport *t)
{
    size_t written = 0;

    while (!STAILQ_EMPTY(&q->pieces)) {
        const struct out_piece *head = STAILQ_FIRST(&q->pieces);
        if (written >= FLUSH_BUDGET) {
            return SEND_E_BUDGET;
        }
        bool is_file = head->kind == PIECE_FILE;
        ssize_t n = is_file ? write_file(head, t) : write_memory(q, t);
        if (n == -EAGAIN) {
            return SEND_E_BLOCKED;
        }
        if (n < 0) {
            return err_forward((int)n);
        }
        if (n == 0 && is_file) {
            return SEND_E_SHRUNK;
        }
        written += (size_t)n;
        advance(q, (size_t)n);
    }
    must(q->unsent == 0);
    return 0;
}
