/* SPDX-License-Identifier: Apache-2.0 */
#include "common/domain/errcode.h"
#include "common/net/resolve.h"
#include "tests/unit/net/peers.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    API = 7
};

static bool body_is(const struct call_end *e, const char *text)
{
    return e->body.size == strlen(text) && memcmp(e->body.data, text, e->body.size) == 0;
}

/* --- Calls ------------------------------------------------------------------------------------ */

static void pipelined_calls_get_their_own_answers_in_any_order(void)
{
    struct pair *p = pair_new();
    struct call_end ends[50] = {0};
    char text[32];

    pair_connect(p);
    for (unsigned i = 0; i < COUNT_OF(ends); i++) {
        (void)snprintf(text, sizeof(text), "question %u", i);
        rpc_call(p->client.conn, API, 0, out_text(text), note_reply, &ends[i]);
        CHECK_EQ(ends[i].n, 0);
    }
    TURN_UNTIL(p->loop, p->server.requests.n == COUNT_OF(ends));
    CHECK_EQ(p->server.requests.items[3]->header.api, API);
    CHECK_MEM(p->server.requests.items[3]->body.at, "question 3", 10);
    CHECK_EQ(p->server.requests.items[3]->body.size, 10);
    for (unsigned i = COUNT_OF(ends); i-- > 0;) {
        (void)snprintf(text, sizeof(text), "answer %u", i);
        end_answer(&p->server, i, text);
    }
    TURN_UNTIL(p->loop, ends[0].n == 1);
    for (unsigned i = 0; i < COUNT_OF(ends); i++) {
        (void)snprintf(text, sizeof(text), "answer %u", i);
        CHECK_EQ(ends[i].n, 1);
        CHECK_EQ(ends[i].error, 0);
        CHECK(ends[i].sent);
        CHECK(body_is(&ends[i], text));
        buf_deinit(&ends[i].body);
    }
    pair_free(p);
}

static void both_sides_may_ask(void)
{
    struct pair *p = pair_new();
    struct call_end up = {0};
    struct call_end down = {0};

    pair_connect(p);
    rpc_call(p->client.conn, API, 0, out_text("up"), note_reply, &up);
    rpc_call(p->server.conn, API, 0, out_text("down"), note_reply, &down);
    TURN_UNTIL(p->loop, p->server.requests.n == 1 && p->client.requests.n == 1);
    end_answer(&p->server, 0, "to up");
    end_answer(&p->client, 0, "to down");
    TURN_UNTIL(p->loop, up.n == 1 && down.n == 1);
    CHECK(body_is(&up, "to up"));
    CHECK(body_is(&down, "to down"));
    buf_deinit(&up.body);
    buf_deinit(&down.body);
    pair_free(p);
}

static void error_answer_carries_code_and_detail_without_body(void)
{
    struct pair *p = pair_new();
    struct call_end end = {0};

    pair_connect(p);
    rpc_call(p->client.conn, API, 1000, NULL, note_reply, &end);
    TURN_UNTIL(p->loop, p->server.requests.n == 1);
    struct rpc_request *r = p->server.requests.items[0];
    CHECK_EQ(r->header.timeout_ms, 1000);
    CHECK_EQ(r->body.size, 0);
    rpc_answer(p->server.conn, &r->header, ERRCODE_INVALID_REQUEST, "no such field",
            out_text("dropped"));
    TURN_UNTIL(p->loop, end.n == 1);
    CHECK_EQ(end.error, ERRCODE_INVALID_REQUEST);
    CHECK_EQ(end.body.size, 0);
    buf_deinit(&end.body);
    pair_free(p);
}

static void call_that_nobody_answers_times_out_and_its_late_answer_is_ignored(void)
{
    struct pair *p = pair_new();
    struct call_end late = {0};
    struct call_end next = {0};
    wtime start = clock_now();

    pair_connect(p);
    rpc_call(p->client.conn, API, 30, out_text("late"), note_reply, &late);
    TURN_UNTIL(p->loop, late.n == 1);
    CHECK_EQ(late.error, ERRCODE_REQUEST_TIMED_OUT);
    CHECK(late.sent);
    CHECK(clock_now() - start >= WTIME_MS(30));
    rpc_call(p->client.conn, API, 10000, out_text("next"), note_reply, &next);
    TURN_UNTIL(p->loop, p->server.requests.n == 2);
    end_answer(&p->server, 0, "too late");
    end_answer(&p->server, 0, "in time");
    TURN_UNTIL(p->loop, next.n == 1);
    CHECK(body_is(&next, "in time"));
    CHECK_EQ(late.n, 1);
    buf_deinit(&late.body);
    buf_deinit(&next.body);
    pair_free(p);
}

static void request_without_answer_leaves_nothing_behind(void)
{
    struct pair *p = pair_new();
    struct call_end end = {0};

    p->limits.outstanding_max = 100000;
    pair_connect(p);
    for (unsigned i = 0; i < 100; i++) { /* more than the limit, were they not ended */
        struct rpc_out *o = rpc_out_new();
        (void)memset(buf_grow(rpc_out_buf(o), 50000), 'x', 50000);
        rpc_call(p->client.conn, API, 0, o, NULL, NULL);
    }
    rpc_call(p->client.conn, API, 0, NULL, note_reply, &end);
    wtime deadline = wtime_add(clock_now(), WTIME_S(10));
    while (end.n == 0 && clock_now() < deadline) {
        while (p->server.requests.n > 0) {
            struct rpc_request *r = p->server.requests.items[0];
            if (r->body.size == 0) {
                end_answer(&p->server, 0, "done");
                continue;
            }
            array_remove(&p->server.requests, 0);
            rpc_no_answer(p->server.conn, &r->header);
            rpc_request_free(r);
        }
        turn_once(p->loop);
    }
    CHECK(body_is(&end, "done"));
    CHECK_EQ(p->server.n_requests, 101);
    buf_deinit(&end.body);
    pair_free(p);
}

static void side_that_takes_no_requests_says_so(void)
{
    static const struct rpc_callbacks deaf = {.on_closed = NULL};
    struct rpc_callbacks cb = deaf;
    struct pair *p = pair_new();
    struct call_end end = {0};

    cb.on_closed = end_callbacks.on_closed;
    pair_connect(p);
    rpc_conn_set_owner(p->server.conn, &cb, &p->server);
    rpc_call(p->client.conn, API, 0, NULL, note_reply, &end);
    TURN_UNTIL(p->loop, end.n == 1);
    CHECK_EQ(end.error, ERRCODE_UNSUPPORTED_VERSION);
    buf_deinit(&end.body);
    pair_free(p);
}

static void take_frame(void *ctx, struct rpc_reply *reply)
{
    struct rpc_reply *kept = ctx;

    *kept = *reply;
    kept->frame = rpc_reply_take(reply);
}

static void taken_answer_outlives_its_callback(void)
{
    struct pair *p = pair_new();
    struct rpc_reply kept = {0};

    pair_connect(p);
    rpc_call(p->client.conn, API, 0, NULL, take_frame, &kept);
    TURN_UNTIL(p->loop, p->server.requests.n == 1);
    end_answer(&p->server, 0, "kept");
    TURN_UNTIL(p->loop, kept.frame != NULL);
    pair_free(p);
    CHECK_EQ(kept.body.size, 4);
    CHECK_MEM(kept.body.at, "kept", 4);
    mem_free(kept.frame);
}

/* --- Closing ---------------------------------------------------------------------------------- */

static void closing_ends_each_call_once_and_is_silent_for_its_owner(void)
{
    struct pair *p = pair_new();
    struct call_end ends[3] = {0};

    pair_connect(p);
    rpc_call(p->client.conn, API, 0, NULL, note_reply, &ends[0]);
    TURN_UNTIL(p->loop, p->server.requests.n == 1);
    rpc_call(p->client.conn, API, 5000, NULL, note_reply, &ends[1]);
    rpc_call(p->client.conn, API, 0, NULL, note_reply, &ends[2]);
    rpc_conn_close(p->client.conn);
    p->client.conn = NULL;
    for (unsigned i = 0; i < COUNT_OF(ends); i++) {
        CHECK_EQ(ends[i].n, 1);
        CHECK_EQ(ends[i].error, ERRCODE_NETWORK_EXCEPTION);
        CHECK_EQ(ends[i].sent, i == 0);
    }
    TURN_UNTIL(p->loop, p->server.n_closed == 1);
    CHECK_STR(p->server.reason, "the peer closed the connection");
    CHECK_EQ(p->client.n_closed, 0);
    pair_free(p);
}

static void close_inside_request(struct end *e, struct rpc_request *r)
{
    rpc_answer(e->conn, &r->header, 0, NULL, out_text("never sent"));
    rpc_request_free(r);
    rpc_conn_close(e->conn);
    rpc_conn_close(e->conn); /* once more does no harm inside the callback */
    e->conn = NULL;
}

static void closing_inside_on_request_is_safe(void)
{
    struct pair *p = pair_new();
    struct call_end ends[20] = {0};

    pair_connect(p);
    p->server.on_request = close_inside_request;
    for (unsigned i = 0; i < COUNT_OF(ends); i++) {
        rpc_call(p->client.conn, API, 0, NULL, note_reply, &ends[i]);
    }
    TURN_UNTIL(p->loop, p->client.n_closed == 1);
    CHECK_EQ(p->server.n_requests, 1);
    CHECK_EQ(p->server.n_closed, 0);
    for (unsigned i = 0; i < COUNT_OF(ends); i++) {
        CHECK_EQ(ends[i].n, 1);
        CHECK_EQ(ends[i].error, ERRCODE_NETWORK_EXCEPTION);
    }
    pair_free(p);
}

static void close_inside_reply(void *ctx, struct rpc_reply *reply)
{
    struct end *e = ctx;

    (void)reply;
    if (e->conn != NULL) {
        struct rpc_conn *c = mem_steal(&e->conn);
        rpc_conn_close(c);
    }
    e->n_requests++;
}

static void closing_inside_a_reply_is_safe(void)
{
    struct pair *p = pair_new();

    pair_connect(p);
    for (unsigned i = 0; i < 5; i++) {
        rpc_call(p->client.conn, API, 0, NULL, close_inside_reply, &p->client);
    }
    TURN_UNTIL(p->loop, p->server.requests.n == 5);
    end_answer(&p->server, 2, "first");
    TURN_UNTIL(p->loop, p->server.n_closed == 1);
    CHECK_EQ(p->client.n_requests, 5);
    CHECK_EQ(p->client.n_closed, 0);
    pair_free(p);
}

static void call_once_more(void *ctx, struct rpc_reply *reply)
{
    struct end *e = ctx;

    CHECK_EQ(reply->error, ERRCODE_NETWORK_EXCEPTION);
    if (++e->n_requests < 10) {
        rpc_call(e->conn, API, 0, out_text("again"), call_once_more, e);
    }
}

static void call_made_while_the_connection_breaks_ends_too(void)
{
    struct pair *p = pair_new();

    pair_connect(p);
    rpc_call(p->client.conn, API, 0, NULL, call_once_more, &p->client);
    TURN_UNTIL(p->loop, p->server.requests.n == 1);
    rpc_conn_close(p->server.conn);
    p->server.conn = NULL;
    TURN_UNTIL(p->loop, p->client.n_closed == 1);
    CHECK_EQ(p->client.n_requests, 10);
    pair_free(p);
}

static void answer_and_close(struct end *e, struct rpc_request *r)
{
    struct rpc_out *o = rpc_out_new();

    (void)memset(buf_grow(rpc_out_buf(o), 8 << 20), 'z', 8 << 20);
    rpc_answer(e->conn, &r->header, 0, NULL, o);
    rpc_request_free(r);
    rpc_conn_close_after_flush(e->conn);
}

static void close_after_flush_delivers_the_last_answer(void)
{
    struct pair *p = pair_new();
    struct call_end ends[2] = {0};
    struct rpc_out *o = rpc_out_new();

    pair_connect(p);
    p->server.on_request = answer_and_close;
    rpc_call(p->client.conn, API, 0, NULL, note_reply, &ends[0]);
    (void)memset(buf_grow(rpc_out_buf(o), 1 << 20), 'y', 1 << 20);
    rpc_call(p->client.conn, API, 0, o, note_reply,
            &ends[1]); /* never read, must not reset the answer */
    TURN_UNTIL(p->loop, p->client.n_closed == 1 && p->server.n_closed == 1);
    CHECK_EQ(ends[0].n, 1);
    CHECK_EQ(ends[0].error, 0);
    CHECK_EQ(ends[0].body.size, 8 << 20);
    CHECK_EQ(ends[1].n, 1);
    CHECK_EQ(ends[1].error, ERRCODE_NETWORK_EXCEPTION);
    CHECK_EQ(p->server.n_requests, 1);
    buf_deinit(&ends[0].body);
    buf_deinit(&ends[1].body);
    pair_free(p);
}

static void refused_connect_is_told_later_and_nothing_was_sent(void)
{
    struct pair *p = pair_new();
    struct rpc_limits limits = {.frame_max = 1000, .handshake_timeout = WTIME_NEVER};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(listener_port(p->listener))};
    struct sockaddr_storage addr = {0};
    struct call_end end = {0};

    p->listener = listener_free(p->listener);
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    memcpy(&addr, &in, sizeof(in));
    p->client.conn = rpc_conn_connect(
            p->loop, &addr, sizeof(in), WTIME_S(10), &limits, &end_callbacks, &p->client);
    rpc_call(p->client.conn, API, 0, out_text("hello?"), note_reply, &end);
    CHECK_EQ(p->client.n_closed, 0);
    CHECK_EQ(end.n, 0);
    TURN_UNTIL(p->loop, p->client.n_closed == 1);
    CHECK_EQ(p->client.n_connected, 0);
    CHECK_EQ(end.n, 1);
    CHECK_EQ(end.error, ERRCODE_NETWORK_EXCEPTION);
    CHECK(!end.sent);
    CHECK_STR(p->client.reason, "connecting failed: Connection refused");
    pair_free(p);
}

static void connect_to_an_address_of_no_route_fails_without_calling_back_at_once(void)
{
    struct pair *p = pair_new();
    struct rpc_limits limits = {.frame_max = 1000, .handshake_timeout = WTIME_NEVER};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(1)};
    struct sockaddr_storage addr = {0};

    in.sin_addr.s_addr = htonl(INADDR_BROADCAST);
    memcpy(&addr, &in, sizeof(in));
    p->client.conn = rpc_conn_connect(
            p->loop, &addr, sizeof(in), WTIME_S(10), &limits, &end_callbacks, &p->client);
    CHECK_EQ(p->client.n_closed, 0);
    TURN_UNTIL(p->loop, p->client.n_closed == 1);
    CHECK_EQ(strncmp(p->client.reason, "connecting failed: ", 19), 0);
    pair_free(p);
}

static void peer_that_sends_no_first_request_is_dropped(void)
{
    struct pair *p = pair_new();
    struct call_end end = {0};

    p->limits.handshake_timeout = WTIME_MS(30);
    int silent = pair_dial(p);
    TURN_UNTIL(p->loop, p->server.n_closed == 1);
    CHECK_STR(p->server.reason, "the first request was not answered in time");
    (void)close(silent);
    p->limits.handshake_timeout = WTIME_MS(200);
    pair_connect(p);
    rpc_call(p->client.conn, API, 0, NULL, note_reply, &end);
    TURN_UNTIL(p->loop, p->server.requests.n == 1);
    end_answer(&p->server, 0, "welcome");
    TURN_UNTIL(p->loop, end.n == 1);
    end.n = 0;
    rpc_call(p->client.conn, API, 300, NULL, note_reply,
            &end); /* outlasts the handshake's deadline */
    TURN_UNTIL(p->loop, end.n == 1);
    CHECK_EQ(end.error, ERRCODE_REQUEST_TIMED_OUT);
    CHECK_EQ(p->server.n_closed, 1);
    buf_deinit(&end.body);
    pair_free(p);
}

/* --- Moving ----------------------------------------------------------------------------------- */

struct mover {
    struct loop *to;
    struct end there;
    atomic_uint n_there, n_wrong_thread;
    atomic_bool has_arrived;
};

static void answer_there(struct end *e, struct rpc_request *r)
{
    struct mover *m = e->ctx;
    struct rpc_out *o = rpc_out_new();

    if (!loop_is_mine(m->to) || rpc_conn_loop(e->conn) != m->to) {
        atomic_fetch_add(&m->n_wrong_thread, 1);
    }
    buf_append(rpc_out_buf(o), r->body.at, r->body.size);
    rpc_answer(e->conn, &r->header, 0, NULL, o);
    rpc_request_free(r);
    atomic_fetch_add(&m->n_there, 1);
}

static void on_arrived(void *owner, struct rpc_conn *c)
{
    struct end *e = owner;
    struct mover *m = e->ctx;

    if (e->conn != c || !loop_is_mine(m->to)) {
        atomic_fetch_add(&m->n_wrong_thread, 1);
    }
    atomic_store(&m->has_arrived, true);
}

static void answer_and_move(struct end *e, struct rpc_request *r)
{
    struct mover *m = e->ctx;

    rpc_answer(e->conn, &r->header, 0, NULL, out_text("hello"));
    rpc_request_free(r);
    m->there = (struct end){.conn = e->conn, .on_request = answer_there, .ctx = m};
    e->conn = NULL;
    rpc_conn_move(m->there.conn, m->to, &end_callbacks, &m->there, on_arrived);
}

static void connection_moves_with_the_bytes_behind_hello(void)
{
    struct pair *p = pair_new();
    struct mover m = {.to = loop_new("there")};
    struct call_end ends[300] = {0};

    pair_connect(p);
    p->server.on_request = answer_and_move;
    p->server.ctx = &m;
    loop_start(m.to);
    for (unsigned i = 0; i < COUNT_OF(ends);
            i++) { /* all in one packet or two, so they are read with Hello */
        char text[16];
        (void)snprintf(text, sizeof(text), "%u", i);
        rpc_call(p->client.conn, API, 0, out_text(text), note_reply, &ends[i]);
    }
    TURN_UNTIL(p->loop, ends[COUNT_OF(ends) - 1].n == 1);
    CHECK(atomic_load(&m.has_arrived));
    CHECK_EQ(p->server.n_requests, 1);
    CHECK_EQ(atomic_load(&m.n_there), COUNT_OF(ends) - 1);
    CHECK_EQ(atomic_load(&m.n_wrong_thread), 0);
    CHECK(body_is(&ends[0], "hello"));
    CHECK(body_is(&ends[299], "299"));
    for (unsigned i = 0; i < COUNT_OF(ends); i++) {
        CHECK_EQ(ends[i].n, 1);
        buf_deinit(&ends[i].body);
    }
    loop_stop(m.to);
    loop_join(m.to);
    rpc_conn_close(m.there.conn);
    loop_free(m.to);
    pair_free(p);
}

static const struct check_case cases[] = {
        CASE(pipelined_calls_get_their_own_answers_in_any_order),
        CASE(both_sides_may_ask),
        CASE(error_answer_carries_code_and_detail_without_body),
        CASE(call_that_nobody_answers_times_out_and_its_late_answer_is_ignored),
        CASE(request_without_answer_leaves_nothing_behind),
        CASE(side_that_takes_no_requests_says_so),
        CASE(taken_answer_outlives_its_callback),
        CASE(closing_ends_each_call_once_and_is_silent_for_its_owner),
        CASE(closing_inside_on_request_is_safe),
        CASE(closing_inside_a_reply_is_safe),
        CASE(call_made_while_the_connection_breaks_ends_too),
        CASE(close_after_flush_delivers_the_last_answer),
        CASE(refused_connect_is_told_later_and_nothing_was_sent),
        CASE(connect_to_an_address_of_no_route_fails_without_calling_back_at_once),
        CASE(peer_that_sends_no_first_request_is_dropped),
        CASE(connection_moves_with_the_bytes_behind_hello),
};
CHECK_MAIN("rpc", cases)
