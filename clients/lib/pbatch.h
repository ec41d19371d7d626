/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "clients/lib/client.h"
#include "common/net/rpc.h"

#include <weir/producer.h>

/* A batch with its bytes: encoded record by record while it gathers, finished (compressed) once
 * before it is first sent, then unchanged through all retries. Its header goes out as a copy, so that
 * it can be written anew when its number changes while a connection still borrows the rest.
 *
 * A borrowed value is not copied: `bytes` has a seam where it belongs, and `seams` says whose it
 * is. Only compression copies it. */

struct sync_wait;

/* What is kept of each record for its report. */
struct note {
    void *opaque;
    wall_ms timestamp;
};

struct seam {
    uint32_t record;
    size_t at;               /* in `bytes`: the value stands before the byte at `at` */
    struct weir_bytes value; /* at NULL: a record of weir_produce_sync() with nothing borrowed */
    void (*release)(void *ctx, struct weir_bytes value);
    void *release_ctx;
    struct sync_wait *wait; /* weir_produce_sync(): who waits */
};

struct pbatch {
    struct acc_batch acc;
    TAILQ_ENTRY(pbatch) entry; /* in done or spare */
    struct weir_topic *topic;
    int32_t partition; /* -1: records that never got one */
    struct buf bytes;  /* header and records */
    ARRAY(struct note) notes;
    ARRAY(struct seam) seams; /* by record */
    size_t borrowed_size;
    wall_ms base_timestamp, max_timestamp;
    size_t charged; /* of buffer.memory */

    /* Internal thread, once taken. */
    bool is_finished;    /* encoded for good */
    bool is_settled;     /* the outcome below holds */
    bool is_fatal;       /* it failed because the client can produce nothing any more */
    enum batch_codec codec; /* once finished */
    bool has_header;        /* the header is written, with: */
    int64_t producer_id;
    int16_t producer_epoch;
    int32_t sequence;
    uint32_t n_lent;     /* pieces that a connection still borrows */
    uint64_t conn_id;    /* acks=0: the connection it left on */
    struct uuid sent_to; /* topic id of the last try */
    struct buf packed;   /* header and compressed records, instead of `bytes` */
    enum outcome outcome;
    int code;
    offset64 base_offset;
    wall_ms append_time; /* -1 = each record has its own */
    bool is_on_disk;
    char *detail; /* of the broker; NULL = none */
};

/* Upper bound of what a record takes in a batch, and what it costs in buffer.memory. */
size_t record_size_max(const struct weir_record *r);
size_t record_charge(size_t encoded);

/* An empty batch, from the spare ones when there are. Under the lock. */
struct pbatch *pbatch_new(struct weir_client *c);
/* Back to the spare ones, or freed. Under the lock. */
void pbatch_put(struct weir_client *c, struct pbatch *b);
void pbatch_free(struct pbatch *b);
/* Appends; `wait` may be NULL. Returns the encoded size. Under the lock. */
size_t pbatch_add(
        struct pbatch *b, const struct weir_record *r, wall_ms timestamp, struct sync_wait *wait);
/* A record that will only be reported (it never gets a partition). Under the lock. */
void pbatch_add_note(
        struct pbatch *b, const struct weir_record *r, wall_ms timestamp, struct sync_wait *wait);
/* Compresses. WEIR_E_MEMORY. Once. */
int pbatch_finish(struct pbatch *b, enum batch_codec codec);
size_t pbatch_wire_size(const struct pbatch *b);
/* Appends the finished batch, under the number of b->acc.mark, to a request; each piece that is given
 * back calls `returned(b)`. */
void pbatch_lend(struct pbatch *b, struct rpc_out *out, void (*returned)(void *batch));
