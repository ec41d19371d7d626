/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/prng.h"
#include "common/domain/errcode.h"
#include "common/net/frame_reader.h"
#include "common/net/unanswered.h"
#include "tests/unit/net/peers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    API = 7
};

/* --- Frames in -------------------------------------------------------------------------------- */

static void frames_that_come_byte_by_byte_are_whole(void)
{
    struct pair *p = pair_new();
    struct buf b = {0};
    int fd = pair_dial(p);

    request_frame(&b, API, 1, "first", 5);
    request_frame(&b, API, 2, "", 0);
    request_frame(&b, API, 3, "third", 5);
    for (size_t i = 0; i < b.size; i++) {
        CHECK_EQ(send(fd, b.data + i, 1, MSG_NOSIGNAL), 1);
        turn_once(p->loop);
    }
    TURN_UNTIL(p->loop, p->server.requests.n == 3);
    CHECK_EQ(p->server.requests.items[0]->body.size, 5);
    CHECK_MEM(p->server.requests.items[0]->body.at, "first", 5);
    CHECK_EQ(p->server.requests.items[1]->body.size, 0);
    CHECK_EQ(p->server.requests.items[2]->header.correlation, 3);
    CHECK_MEM(p->server.requests.items[2]->body.at, "third", 5);
    (void)close(fd);
    buf_deinit(&b);
    pair_free(p);
}

/* Sizes around those of the read-ahead, of a frame's first memory and of its growth, in one
 * stream. */
static void frames_of_every_size_class_arrive_intact(void)
{
    static const size_t sizes[] = {0, 1, 16370, 16384, 100, 65500, 65530, 65536, 65540, 7, 1 << 20,
            (1 << 20) + 20, 5000000, 3};
    struct pair *p = pair_new();
    struct buf stream = {0};
    struct prng prng;
    uint8_t *noise = mem_alloc(5000000);

    prng_init(&prng, check_seed());
    for (size_t i = 0; i < 5000000; i++) {
        noise[i] = (uint8_t)prng_u64(&prng);
    }
    int fd = pair_dial(p);
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < COUNT_OF(sizes); i++) {
            request_frame(&stream, API, i, noise + i, sizes[i] > i ? sizes[i] - i : 0);
        }
    }
    for (size_t at = 0; at < stream.size;) {
        size_t part = 1 + (size_t)prng_below(&prng, 100000);
        part = part < stream.size - at ? part : stream.size - at;
        send_all(p->loop, fd, stream.data + at, part);
        at += part;
    }
    TURN_UNTIL(p->loop, p->server.requests.n == 2 * COUNT_OF(sizes));
    for (unsigned k = 0; k < 2 * COUNT_OF(sizes); k++) {
        unsigned i = k % COUNT_OF(sizes);
        const struct rpc_request *r = p->server.requests.items[k];
        CHECK_EQ(r->header.correlation, i);
        CHECK_EQ(r->body.size, sizes[i] > i ? sizes[i] - i : 0);
        CHECK_MEM(r->body.at, noise + i, r->body.size);
    }
    (void)close(fd);
    buf_deinit(&stream);
    mem_free(noise);
    pair_free(p);
}

static void check_refused(uint32_t frame_max, const void *bytes, size_t size, const char *reason)
{
    struct pair *p = pair_new();

    p->limits.frame_max = frame_max;
    int fd = pair_dial(p);
    send_all(p->loop, fd, bytes, size);
    TURN_UNTIL(p->loop, p->server.n_closed == 1);
    CHECK_STR(p->server.reason, reason);
    CHECK_EQ(p->server.n_requests, 0);
    (void)close(fd);
    pair_free(p);
}

static void frame_that_is_not_ours_closes_the_connection(void)
{
    check_refused(1000, "\0\0\0\0", 4, "the peer sent a frame of length 0");
    check_refused(
            1000, "\0\0\x03\xe9zz", 6, "the peer sent a frame of 1001 bytes, the limit is 1000");
    check_refused(1000, "GET / HTTP/1.1\r\n\r\n", 18,
            "the peer sent a frame of 1195725856 bytes, the limit is 1000");
    check_refused(1000, "\0\0\0\x04\x05zzz", 8,
            "the peer sent a frame of 4 bytes that does not begin with a header");
    check_refused(1000, "\0\0\0\x04\x03zzz", 8,
            "the peer sent a frame of 4 bytes that does not begin with a header");
}

static void stream_that_ends_inside_a_frame_is_told_apart(void)
{
    struct pair *p = pair_new();
    struct buf b = {0};
    int fd = pair_dial(p);

    request_frame(&b, API, 1, "whole", 5);
    send_all(p->loop, fd, b.data, b.size);
    send_all(p->loop, fd, b.data, b.size - 1);
    (void)close(fd);
    TURN_UNTIL(p->loop, p->server.n_closed == 1);
    CHECK_STR(p->server.reason, "the peer closed the connection in the middle of a frame");
    CHECK_EQ(p->server.requests.n, 1);
    buf_deinit(&b);
    pair_free(p);
}

static void memory_of_a_frame_grows_with_what_came(void)
{
    struct frame_reader r = {0};
    uint8_t *bytes = mem_alloc(70000);
    uint8_t *frame = NULL;
    size_t size = 0;
    size_t n = 0;
    int fds[2];

    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    struct transport *t = transport_tcp_new(fds[0]);
    store_be32(bytes, 100 << 20); /* what the peer claims */
    CHECK_EQ(send(fds[1], bytes, 4, 0), 4);
    CHECK_EQ(frame_reader_fill(&r, t, &n), FRAME_READER_E_DRAINED);
    CHECK_EQ(frame_reader_next(&r, 100 << 20, &frame, &size), FRAME_READER_E_MORE);
    CHECK_EQ(r.frame_size, 100 << 20);
    CHECK_EQ(r.frame_cap, 65536);
    for (unsigned i = 0; i < 2; i++) {
        CHECK_EQ(send(fds[1], bytes, 70000, 0), 70000);
        while (frame_reader_fill(&r, t, &n) == 0) {
            CHECK_EQ(frame_reader_next(&r, 100 << 20, &frame, &size), FRAME_READER_E_MORE);
        }
    }
    CHECK_EQ(r.frame_have, 140000);
    CHECK_EQ(r.frame_cap, 1 << 20);
    frame_reader_deinit(&r);
    t->ops->close(t);
    (void)close(fds[1]);
    mem_free(bytes);
}

static void resting_reader_holds_no_memory(void)
{
    struct frame_reader r = {0};
    struct buf b = {0};
    uint8_t *frame = NULL;
    size_t size = 0;
    size_t n = 0;
    int fds[2];

    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    struct transport *t = transport_tcp_new(fds[0]);
    request_frame(&b, API, 1, "whole", 5);
    CHECK_EQ(send(fds[1], b.data, b.size, 0), (ssize_t)b.size);
    CHECK_EQ(frame_reader_fill(&r, t, &n), FRAME_READER_E_DRAINED);
    CHECK_EQ(frame_reader_next(&r, 1000, &frame, &size), 0);
    CHECK_EQ(size, b.size - 4);
    frame_reader_rest(&r);
    CHECK(r.ahead == NULL && r.frame == NULL);
    mem_free(frame);
    frame_reader_deinit(&r);
    t->ops->close(t);
    (void)close(fds[1]);
    buf_deinit(&b);
}

static void answer_that_nobody_waits_for_is_ignored(void)
{
    struct pair *p = pair_new();
    struct buf b = {0};
    int fd = pair_dial(p);

    request_frame(&b, 0, 4711, "who?", 4);
    request_frame(&b, API, 1, "go on", 5);
    send_all(p->loop, fd, b.data, b.size);
    TURN_UNTIL(p->loop, p->server.requests.n == 1);
    CHECK_EQ(p->server.n_closed, 0);
    (void)close(fd);
    buf_deinit(&b);
    pair_free(p);
}

/* --- Limits ----------------------------------------------------------------------------------- */

static void outstanding_limit_stops_reading_and_answers_resume_it(void)
{
    struct pair *p = pair_new();
    struct buf b = {0};
    uint8_t body[1000] = {0};
    uint8_t answers[4096];
    unsigned n_answered = 0;

    p->limits.outstanding_max = 10000;
    int fd = pair_dial(p);
    for (uint32_t i = 0; i < 1000; i++) { /* correlations are used twice: both uses count */
        request_frame(&b, API, i / 2, body, sizeof(body));
    }
    size_t frame = b.size / 1000 - 4;
    size_t most = 10000 / frame + 1;
    size_t sent = 0;
    wtime deadline = wtime_add(clock_now(), WTIME_S(10));
    while (n_answered < 1000 && clock_now() < deadline) {
        ssize_t n = sent < b.size ? send(fd, b.data + sent, b.size - sent, MSG_NOSIGNAL) : 0;
        sent += n > 0 ? (size_t)n : 0;
        turn_once(p->loop);
        while (recv(fd, answers, sizeof(answers), 0) > 0) {
        }
        CHECK(p->server.requests.n <= most + 1);
        if (p->server.requests.n < most - 1 && n_answered + p->server.requests.n < 1000) {
            continue; /* more come, because there is room */
        }
        if (p->server.requests.n > 0) {
            end_answer(&p->server, p->server.requests.n / 2, "ok");
            n_answered++;
        }
    }
    CHECK_EQ(n_answered, 1000);
    CHECK_EQ(p->server.n_closed, 0);
    (void)close(fd);
    buf_deinit(&b);
    pair_free(p);
}

static void unsent_answers_count_against_the_limit(void)
{
    struct pair *p = pair_new();
    struct buf b = {0};

    p->limits.outstanding_max = 1 << 20;
    int fd = pair_dial(p);
    for (uint32_t i = 0; i < 3; i++) {
        request_frame(&b, API, i, "x", 1);
        send_all(p->loop, fd, b.data, b.size);
        buf_clear(&b);
        if (i == 0) { /* an answer that does not fit into any socket buffer */
            TURN_UNTIL(p->loop, p->server.requests.n == 1);
            struct rpc_out *o = rpc_out_new();
            (void)memset(buf_grow(rpc_out_buf(o), 32 << 20), 'a', 32 << 20);
            struct rpc_request *r = p->server.requests.items[0];
            array_remove(&p->server.requests, 0);
            rpc_answer(p->server.conn, &r->header, 0, NULL, o);
            rpc_request_free(r);
            turn_once(p->loop);
            CHECK(rpc_conn_unsent(p->server.conn) > (1 << 20));
        }
    }
    for (unsigned i = 0; i < 5; i++) {
        turn_once(p->loop);
    }
    CHECK_EQ(p->server.n_requests, 1);
    uint8_t *sink = mem_alloc(1 << 20);
    while (p->server.n_requests < 3) {
        (void)recv(fd, sink, 1 << 20, 0);
        turn_once(p->loop);
    }
    CHECK(rpc_conn_unsent(p->server.conn) <= 1 << 20);
    mem_free(sink);
    (void)close(fd);
    buf_deinit(&b);
    pair_free(p);
}

/* [BRK-30] */
static void what_a_request_weighs_counts_until_it_is_answered(void)
{
    struct pair *p = pair_new();
    struct buf b = {0};

    p->limits.outstanding_max = 10000;
    int fd = pair_dial(p);
    request_frame(&b, API, 1, "a", 1);
    send_all(p->loop, fd, b.data, b.size);
    TURN_UNTIL(p->loop, p->server.requests.n == 1);
    rpc_weigh_request(p->server.conn, &p->server.requests.items[0]->header, 10000);
    buf_clear(&b);
    for (uint32_t i = 2; i < 5; i++) {
        request_frame(&b, API, i, "b", 1);
    }
    send_all(p->loop, fd, b.data, b.size);
    for (unsigned i = 0; i < 5; i++) {
        turn_once(p->loop);
    }
    CHECK(p->server.requests.n <= 2); /* it was being read when it became heavy */
    end_answer(&p->server, 0, "ok");
    TURN_UNTIL(p->loop, p->server.n_requests == 4);
    (void)close(fd);
    buf_deinit(&b);
    pair_free(p);
}

/* [BRK-29] */
static void limits_may_grow_when_the_peer_is_known(void)
{
    struct pair *p = pair_new();
    struct buf b = {0};
    uint8_t body[5000] = {0};
    struct rpc_limits large = p->limits;

    p->limits.frame_max = 1000;
    int fd = pair_dial(p);
    request_frame(&b, API, 1, "hello", 5);
    send_all(p->loop, fd, b.data, b.size);
    TURN_UNTIL(p->loop, p->server.requests.n == 1);
    rpc_conn_set_limits(p->server.conn, &large);
    buf_clear(&b);
    request_frame(&b, API, 2, body, sizeof(body));
    send_all(p->loop, fd, b.data, b.size);
    TURN_UNTIL(p->loop, p->server.requests.n == 2);
    (void)close(fd);
    TURN_UNTIL(p->loop, p->server.n_closed == 1);
    fd = pair_dial(p);
    send_all(p->loop, fd, b.data, b.size);
    TURN_UNTIL(p->loop, p->server.n_closed == 2);
    CHECK(strstr(p->server.reason, "the limit is 1000") != NULL);
    (void)close(fd);
    buf_deinit(&b);
    pair_free(p);
}

static void unanswered_table_counts_exactly(void)
{
    struct unanswered u = {0};
    struct prng prng;
    uint32_t counts[64] = {0}; /* open uses of a correlation, all of one size */
    uint64_t bytes = 0;

    prng_init(&prng, check_seed());
    for (unsigned i = 0; i < 100000; i++) {
        uint32_t c = (uint32_t)prng_below(&prng, COUNT_OF(counts));
        if (prng_below(&prng, 100) < 50) {
            unanswered_add(&u, c * 0x01000193U, c + 1);
            counts[c]++;
            bytes += c + 1;
        } else {
            bool was_open = unanswered_remove(&u, c * 0x01000193U);
            CHECK_EQ(was_open, counts[c] > 0);
            bytes -= was_open ? c + 1 : 0;
            counts[c] -= was_open ? 1 : 0;
        }
        CHECK_EQ(u.bytes, bytes);
    }
    unanswered_deinit(&u);
}

/* --- Frames out ------------------------------------------------------------------------------- */

enum {
    FILE_SIZE = 6 << 20
};

static int noise_file(const uint8_t *noise)
{
    int fd = memfd_create("noise", MFD_CLOEXEC);

    CHECK(fd >= 0);
    CHECK_EQ(write(fd, noise, FILE_SIZE), FILE_SIZE);
    return fd;
}

static void count_release(void *ctx)
{
    ++*(unsigned *)ctx;
}

static void file_ranges_arrive_intact_between_memory(void)
{
    struct pair *p = pair_new();
    struct call_end end = {0};
    struct buf expected = {0};
    struct prng prng;
    uint8_t *noise = mem_alloc(FILE_SIZE);
    unsigned n_released = 0;

    prng_init(&prng, check_seed());
    for (size_t i = 0; i < FILE_SIZE; i++) {
        noise[i] = (uint8_t)prng_u64(&prng);
    }
    int fd = noise_file(noise);
    CHECK_EQ(lseek(fd, 3, SEEK_SET), 3);
    pair_connect(p);
    rpc_call(p->client.conn, API, 0, NULL, note_reply, &end);
    TURN_UNTIL(p->loop, p->server.requests.n == 1);
    struct rpc_out *o = rpc_out_new();
    for (unsigned i = 0; i < 4; i++) {
        struct file_range range = {.fd = fd,
                .at = 12345 * (int64_t)i,
                .size = i == 2 ? 0 : (size_t)4 << 20,
                .release = count_release,
                .ctx = &n_released};
        buf_append_str(rpc_out_buf(o), "head");
        rpc_out_file(o, &range);
        rpc_out_borrow(o, (struct bytes){noise + i, 100000}, count_release, &n_released);
        buf_append_str(&expected, "head");
        buf_append(&expected, noise + range.at, range.size);
        buf_append(&expected, noise + i, 100000);
    }
    CHECK_EQ(rpc_out_size(o), expected.size);
    struct rpc_request *r = p->server.requests.items[0];
    array_remove(&p->server.requests, 0);
    rpc_answer(p->server.conn, &r->header, 0, NULL, o);
    rpc_request_free(r);
    TURN_UNTIL(p->loop, end.n == 1);
    CHECK_EQ(end.body.size, expected.size);
    CHECK_MEM(end.body.data, expected.data, expected.size);
    CHECK_EQ(n_released, 8);
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 3); /* the file's own position is somebody else's */
    CHECK_EQ(rpc_conn_unsent(p->server.conn), 0);
    (void)close(fd);
    buf_deinit(&expected);
    buf_deinit(&end.body);
    mem_free(noise);
    pair_free(p);
}

static void file_that_shrank_closes_the_connection(void)
{
    struct pair *p = pair_new();
    struct call_end end = {0};
    uint8_t *noise = mem_alloc(FILE_SIZE);
    unsigned n_released = 0;

    int fd = noise_file(noise);
    pair_connect(p);
    rpc_call(p->client.conn, API, 0, NULL, note_reply, &end);
    TURN_UNTIL(p->loop, p->server.requests.n == 1);
    struct rpc_out *o = rpc_out_new();
    struct file_range range = {
            .fd = fd, .size = FILE_SIZE, .release = count_release, .ctx = &n_released};
    rpc_out_file(o, &range);
    rpc_out_borrow(o, (struct bytes){noise, 10}, count_release, &n_released);
    CHECK_EQ(ftruncate(fd, FILE_SIZE - 1), 0);
    rpc_answer(p->server.conn, &p->server.requests.items[0]->header, 0, NULL, o);
    TURN_UNTIL(p->loop, p->server.n_closed == 1 && p->client.n_closed == 1);
    CHECK_STR(p->server.reason, "a file became shorter than the range that was to be sent");
    CHECK_EQ(end.n, 1);
    CHECK_EQ(end.error, ERRCODE_NETWORK_EXCEPTION);
    CHECK_EQ(n_released, 2);
    (void)close(fd);
    buf_deinit(&end.body);
    mem_free(noise);
    pair_free(p);
}

static void unsent_frames_are_released_when_the_connection_closes(void)
{
    struct pair *p = pair_new();
    uint8_t *noise = mem_alloc(1 << 20);
    unsigned n_released = 0;

    pair_connect(p);
    for (unsigned i = 0; i < 40; i++) {
        struct rpc_out *o = rpc_out_new();
        rpc_out_borrow(o, (struct bytes){noise, 1 << 20}, count_release, &n_released);
        rpc_call(p->client.conn, API, 0, o, NULL, NULL);
    }
    struct rpc_out *never = rpc_out_new();
    rpc_out_borrow(never, (struct bytes){noise, 1}, count_release, &n_released);
    rpc_out_free(never);
    CHECK_EQ(n_released, 1);
    rpc_conn_close(p->client.conn);
    p->client.conn = NULL;
    CHECK_EQ(n_released, 41);
    TURN_UNTIL(p->loop, p->server.n_closed == 1);
    mem_free(noise);
    pair_free(p);
}

/* --- Fairness --------------------------------------------------------------------------------- */

static void note_time(void *ctx)
{
    *(wtime *)ctx = clock_now();
}

static void drop_request(struct end *e, struct rpc_request *r)
{
    rpc_no_answer(e->conn, &r->header);
    rpc_request_free(r);
}

/* 20,000 small frames that are all read ahead or waiting in the socket take many turns, between
 * which a timer that is due rings. */
static void busy_peer_leaves_turns_to_others(void)
{
    struct pair *p = pair_new();
    struct buf b = {0};
    struct timer timer;
    wtime rung = 0;
    unsigned n_at_ring = 0;

    p->server.on_request = drop_request;
    int fd = pair_dial(p);
    for (uint32_t i = 0; i < 20000; i++) {
        request_frame(&b, API, i, "", 0);
    }
    CHECK(send(fd, b.data, b.size, MSG_NOSIGNAL) == (ssize_t)b.size);
    timer_init(&timer, p->loop, note_time, &rung);
    timer_set(&timer, clock_now());
    while (rung == 0 || n_at_ring == 0) {
        turn_once(p->loop);
        n_at_ring = p->server.n_requests;
    }
    CHECK(n_at_ring < 1000);
    TURN_UNTIL(p->loop, p->server.n_requests == 20000);
    timer_deinit(&timer);
    (void)close(fd);
    buf_deinit(&b);
    pair_free(p);
}

static const struct check_case cases[] = {
        CASE(frames_that_come_byte_by_byte_are_whole),
        CASE(frames_of_every_size_class_arrive_intact),
        CASE(frame_that_is_not_ours_closes_the_connection),
        CASE(stream_that_ends_inside_a_frame_is_told_apart),
        CASE(memory_of_a_frame_grows_with_what_came),
        CASE(resting_reader_holds_no_memory),
        CASE(answer_that_nobody_waits_for_is_ignored),
        CASE(outstanding_limit_stops_reading_and_answers_resume_it),
        CASE(unsent_answers_count_against_the_limit),
        CASE(what_a_request_weighs_counts_until_it_is_answered),
        CASE(limits_may_grow_when_the_peer_is_known),
        CASE(unanswered_table_counts_exactly),
        CASE(file_ranges_arrive_intact_between_memory),
        CASE(file_that_shrank_closes_the_connection),
        CASE(unsent_frames_are_released_when_the_connection_closes),
        CASE(busy_peer_leaves_turns_to_others),
};
CHECK_MAIN("rpc_bytes", cases)
