/* SPDX-License-Identifier: Apache-2.0 */
#include "common/net/rpc_conn.h"

#include "common/base/mem.h"
#include "common/base/must.h"
#include "common/domain/errcode.h"

#include <string.h>

/* One of our own requests. */
struct call {
    void (*fn)(void *ctx, struct rpc_reply *reply);
    void *ctx;
    /* Bytes of the stream before its frame: some of it left when more than that was sent. */
    uint64_t stream_at;
};

/* A call that calls again when it ends on a closed connection is forgiven this often; more is a
 * loop. */
enum {
    END_ROUNDS_MAX = 1000
};

struct rpc_request *rpc_request_free(struct rpc_request *r)
{
    if (r == NULL) {
        return NULL;
    }
    mem_free(r->frame);
    return mem_free(r);
}

uint8_t *rpc_reply_take(struct rpc_reply *r)
{
    return mem_steal(&r->frame);
}

/* --- Our requests ----------------------------------------------------------------------------- */

static void call_end(struct rpc_conn *c, struct call *call, struct rpc_reply *reply)
{
    reply->sent = c->queue.n_sent > call->stream_at;
    call->fn(call->ctx, reply);
    mem_free(reply->frame);
    mem_free(call);
}

void conn_end_calls(struct rpc_conn *c)
{
    unsigned n_rounds = 0;

    while (calls_n(c->calls) > 0) {
        must(++n_rounds < END_ROUNDS_MAX);
        for (size_t n = calls_n(c->calls); n > 0; n--) {
            struct rpc_reply reply = {.error = ERRCODE_NETWORK_EXCEPTION, .detail = c->reason};
            call_end(c, calls_take_any(c->calls), &reply);
        }
    }
}

void conn_expire_calls(struct rpc_conn *c)
{
    wtime now = loop_now(c->loop);

    while (c->state != CONN_CLOSED) {
        struct call *call = calls_expired(c->calls, now);
        if (call == NULL) {
            break;
        }
        struct rpc_reply reply = {
                .error = ERRCODE_REQUEST_TIMED_OUT, .detail = "the peer did not answer in time"};
        call_end(c, call, &reply);
    }
}

void rpc_call(struct rpc_conn *c,
        uint32_t api,
        uint32_t timeout_ms,
        struct rpc_out *out,
        void (*fn)(void *ctx, struct rpc_reply *reply),
        void *ctx)
{
    struct frame_header h = {.api = api, .detail = "", .timeout_ms = timeout_ms};
    bool is_sending = c->state == CONN_CONNECTING || c->state == CONN_OPEN;

    must(loop_is_mine(c->loop));
    must(api != 0);
    if (fn != NULL) {
        struct call *call = mem_new(struct call);
        wtime deadline =
                timeout_ms > 0 ? wtime_add(loop_now(c->loop), WTIME_MS(timeout_ms)) : WTIME_NEVER;
        *call = (struct call){.fn = fn, .ctx = ctx, .stream_at = c->queue.n_queued};
        h.correlation = calls_begin(c->calls, call, deadline);
    } else { /* takes a correlation of its own, so that an answer to it would find nobody */
        h.correlation = calls_begin(c->calls, c, WTIME_NEVER);
        (void)calls_end(c->calls, h.correlation);
    }
    if (!is_sending) {
        rpc_out_free(out); /* the call ends with the connection */
        return;
    }
    send_queue_frame(&c->queue, &h, out, false);
    conn_set_timer(c);
    conn_want_turn(c);
}

/* --- The peer's requests ---------------------------------------------------------------------- */

static void queue_answer(struct rpc_conn *c,
        uint32_t correlation,
        int error,
        const char *detail,
        struct rpc_out *out)
{
    struct frame_header h = {
            .correlation = correlation, .error = error, .detail = detail != NULL ? detail : ""};
    char cut[FRAME_DETAIL_MAX + 1];

    if (error != ERRCODE_NONE) {
        out = rpc_out_free(out);
    }
    size_t size = strnlen(h.detail, FRAME_DETAIL_MAX + 1);
    if (size > FRAME_DETAIL_MAX) { /* cut before a character, not inside */
        size = FRAME_DETAIL_MAX;
        while (size > 0 && ((uint8_t)h.detail[size] & 0xc0) == 0x80) {
            size--;
        }
        memcpy(cut, h.detail, size);
        cut[size] = '\0';
        h.detail = cut;
    }
    send_queue_frame(&c->queue, &h, out, true);
}

/* Whether answers still leave. */
static bool is_answering(const struct rpc_conn *c)
{
    return c->state == CONN_OPEN || c->state == CONN_FLUSHING;
}

void rpc_answer(struct rpc_conn *c,
        const struct frame_header *request,
        int error,
        const char *detail,
        struct rpc_out *out)
{
    must(loop_is_mine(c->loop));
    if (!is_answering(c)) {
        rpc_out_free(out);
        return;
    }
    must(unanswered_remove(&c->unanswered, request->correlation));
    if (c->is_shaking_hands) {
        c->is_shaking_hands = false;
        c->phase_deadline = WTIME_NEVER;
    }
    queue_answer(c, request->correlation, error, detail, out);
    conn_want_turn(c);
}

void rpc_weigh_request(struct rpc_conn *c, const struct frame_header *request, size_t bytes)
{
    must(loop_is_mine(c->loop));
    if (is_answering(c)) {
        must(unanswered_weigh(&c->unanswered, request->correlation,
                bytes < UINT32_MAX ? (uint32_t)bytes : UINT32_MAX));
    }
}

void rpc_no_answer(struct rpc_conn *c, const struct frame_header *request)
{
    must(loop_is_mine(c->loop));
    if (!is_answering(c)) {
        return;
    }
    must(unanswered_remove(&c->unanswered, request->correlation));
    if (!c->is_reading) { /* it may have been the one too many */
        conn_want_turn(c);
    }
}

/* --- Frames ----------------------------------------------------------------------------------- */

static void on_answer(
        struct rpc_conn *c, const struct frame_header *h, struct bytes body, uint8_t *frame)
{
    struct call *call = calls_end(c->calls, h->correlation);
    struct rpc_reply reply = {.error = h->error,
            .detail = h->detail,
            .throttle_ms = h->throttle_ms,
            .body = body,
            .frame = frame};

    if (call == NULL) { /* timed out before, or never asked: nobody waits */
        mem_free(frame);
        return;
    }
    call_end(c, call, &reply);
}

void conn_on_frame(struct rpc_conn *c, uint8_t *frame, size_t size)
{
    char detail[FRAME_DETAIL_MAX + 1];
    struct frame_header h = {0};
    struct bytes body = {0};

    if (frame_split(frame, size, detail, &h, &body) != 0) {
        mem_free(frame);
        conn_fail(c, "the peer sent a frame of %zu bytes that does not begin with a header", size);
        return;
    }
    if (h.api == 0) {
        on_answer(c, &h, body, frame);
        return;
    }
    if (c->cb->on_request == NULL) {
        mem_free(frame);
        queue_answer(
                c, h.correlation, ERRCODE_UNSUPPORTED_VERSION, "no requests are taken here", NULL);
        return;
    }
    struct rpc_request *r = mem_new(struct rpc_request);
    h.detail = "";
    *r = (struct rpc_request){.header = h,
            .body = body,
            .frame = frame,
            .received = loop_now(c->loop),
            .conn_id = c->id};
    unanswered_add(&c->unanswered, h.correlation, (uint32_t)size);
    c->cb->on_request(c->owner, c, r);
}
