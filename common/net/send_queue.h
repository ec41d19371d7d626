/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/net/rpc.h"
#include "common/net/transport.h"

#include <sys/queue.h>

/* What a connection has yet to send: memory, borrowed memory and file ranges, in order.
 *
 * Small frames are gathered in one growing piece of memory, so that a burst of them is one piece of
 * one writev(). Private to common/net. Thread: owner of the connection's loop. */
struct out_piece;
STAILQ_HEAD(out_pieces, out_piece);

struct rpc_out {
    struct out_pieces pieces;
    size_t pieces_size;
    struct buf tail; /* what was appended behind the last piece */
};

struct send_queue {
    struct out_pieces pieces;
    struct out_piece
            *gather;       /* the last piece, when small frames may be appended to it; else NULL */
    size_t unsent;         /* bytes */
    size_t unsent_answers; /* those of them that belong to answers */
    uint64_t n_queued;     /* bytes since the beginning; n_queued - n_sent == unsent */
    uint64_t n_sent;
};

enum {
    SEND_E_BLOCKED = 1, /* the socket takes no more now */
    SEND_E_BUDGET = 2,  /* others come first; the socket may still be writable */
    SEND_E_SHRUNK = 3,  /* a file range is shorter than promised: the stream is broken */
};

void send_queue_init(struct send_queue *q);
/* Releases everything. */
void send_queue_deinit(struct send_queue *q);
/* Queues a frame; takes `out` (NULL = empty body). */
void send_queue_frame(
        struct send_queue *q, const struct frame_header *h, struct rpc_out *out, bool is_answer);
/* Writes until all is sent (0), or SEND_E_*; negative: the stream is broken. */
MUST_CHECK int send_queue_flush(struct send_queue *q, struct transport *t);
