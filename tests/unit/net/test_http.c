/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/array.h"
#include "common/net/http.h"
#include "common/net/http_target.h"
#include "tests/unit/net/turns.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

struct web {
    struct loop *loop;
    struct http_server *server;
    ARRAY(struct http_request *) waiting; /* kept for a later answer */
    bool is_keeping;
    unsigned n_requests;
    uint64_t last_id;
};

/* Tells what it was asked, in one line. */
static void echo(struct http_request *r)
{
    struct buf b = {0};
    struct bytes body = http_body(r);

    buf_append_format(&b, "%s %s", http_method(r), http_path(r));
    for (size_t i = 0; http_query_name(r, i) != NULL; i++) {
        const char *name = http_query_name(r, i);
        buf_append_format(&b, " %s=[%s]", name, http_query(r, name));
    }
    if (http_header(r, "x-name") != NULL) {
        buf_append_format(&b, " name=%s", http_header(r, "X-Name"));
    }
    buf_append_format(&b, " raw=%s from=%s body=", http_query_text(r), http_peer(r));
    buf_append(&b, body.at, body.size);
    http_set_header(r, "X-Weir", "yes");
    http_set_header(r, "X-Split", "a\r\nSet-Cookie: b");
    http_reply_buf(r, 200, "text/plain", &b);
    CHECK(b.data == NULL);
}

static void handle(void *ctx, struct http_request *r)
{
    struct web *w = ctx;

    w->n_requests++;
    CHECK(http_request_id(r) > w->last_id);
    w->last_id = http_request_id(r);
    if (w->is_keeping) {
        *array_push(&w->waiting) = r;
    } else if (strcmp(http_path(r), "/large") == 0) {
        struct buf b = {0};
        for (uint32_t i = 0; i < 1500000; i++) {
            buf_be32(&b, i);
        }
        http_reply_buf(r, 200, "application/octet-stream", &b);
    } else if (strcmp(http_path(r), "/422") == 0) {
        http_reply(r, 422, "text/plain", "no", 2);
    } else {
        echo(r);
    }
}

static struct web *web_new(wtime idle_timeout)
{
    struct web *w = mem_new(struct web);
    struct http_limits limits = {.body_max = 100000, .idle_timeout = idle_timeout};

    w->loop = loop_new("web");
    CHECK_EQ(http_server_new(w->loop, "127.0.0.1", 0, &limits, handle, w, &w->server), 0);
    return w;
}

static struct web *web_free(struct web *w)
{
    http_server_free(w->server);
    array_deinit(&w->waiting);
    loop_free(w->loop);
    return mem_free(w);
}

static int dial(const struct web *w)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(http_server_port(w->server))};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    CHECK(fd >= 0);
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK_EQ(connect(fd, (const struct sockaddr *)&in, sizeof(in)), 0);
    CHECK_EQ(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

static void say(const struct web *w, int fd, const char *text, size_t size)
{
    wtime deadline = wtime_add(clock_now(), WTIME_S(10));

    while (size > 0) {
        ssize_t n = send(fd, text, size, MSG_NOSIGNAL);
        CHECK(n > 0 || errno == EAGAIN);
        CHECK(clock_now() < deadline);
        if (n > 0) {
            text += n;
            size -= (size_t)n;
        } else {
            turn_once(w->loop);
        }
    }
}

/* Reads on; false when the server has closed. */
static bool hear(const struct web *w, int fd, struct buf *b)
{
    char bytes[65536];

    turn_once(w->loop);
    for (;;) {
        ssize_t n = recv(fd, bytes, sizeof(bytes), 0);
        if (n <= 0) {
            return n < 0 && errno == EAGAIN;
        }
        buf_append(b, bytes, (size_t)n);
    }
}

/* One request with "Connection: close"; the whole answer in `b`. */
static const char *ask(const struct web *w, const char *request, struct buf *b)
{
    wtime deadline = wtime_add(clock_now(), WTIME_S(10));
    int fd = dial(w);

    buf_clear(b);
    say(w, fd, request, strlen(request));
    while (hear(w, fd, b)) {
        CHECK(clock_now() < deadline);
    }
    (void)close(fd);
    return buf_str(b);
}

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static bool contains(struct buf *b, const char *text)
{
    return memmem(buf_str(b), b->size, text, strlen(text)) != NULL;
}

static const char *body_of(const char *answer)
{
    const char *end = strstr(answer, "\r\n\r\n");

    return end != NULL ? end + 4 : "(no body)";
}

#define END " HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"

/* --- Targets ---------------------------------------------------------------------------------- */

static void target_is_decoded_once(void)
{
    struct http_target t = {0};

    CHECK_EQ(http_target_parse("/a%20b%2fc%2525+", "x=1+2%2b3&&flag&y=&z=%c3%a4=", &t), 0);
    CHECK_STR(t.path, "/a b/c%25+");
    CHECK_EQ(t.params.n, 4);
    CHECK_STR(t.params.items[0].name, "x");
    CHECK_STR(t.params.items[0].value, "1 2+3");
    CHECK_STR(t.params.items[1].name, "flag");
    CHECK_STR(t.params.items[1].value, "");
    CHECK_STR(t.params.items[2].value, "");
    CHECK_STR(t.params.items[3].value, "\xc3\xa4=");
    http_target_deinit(&t);
    CHECK_EQ(http_target_parse("/", NULL, &t), 0);
    CHECK_EQ(t.params.n, 0);
    http_target_deinit(&t);
}

static void badly_encoded_target_is_refused(void)
{
    static const char *const paths[] = {"/%", "/%1", "/%zz", "/a%00b", "/%ff", "/%c3", "/%c0%af",
            "/%ed%a0%80", "/%f4%90%80%80"};
    struct http_target t = {0};

    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        CHECK_EQ(http_target_parse(paths[i], NULL, &t), HTTP_TARGET_E_ENCODING);
        http_target_deinit(&t);
        CHECK_EQ(http_target_parse("/", paths[i], &t), HTTP_TARGET_E_ENCODING);
        http_target_deinit(&t);
    }
}

/* --- Requests and answers --------------------------------------------------------------------- */

static void each_method_reaches_the_handler(void)
{
    static const char *const methods[] = {"GET", "PUT", "POST", "PATCH", "DELETE"};
    struct web *w = web_new(WTIME_S(10));
    struct buf b = {0};
    char text[200];
    char expected[200];

    for (size_t i = 0; i < COUNT_OF(methods); i++) {
        (void)snprintf(text, sizeof(text),
                "%s /v1/topics/a%%2Fb?x=1&y=a+b HTTP/1.1\r\nX-Name: n\r\nConnection: close\r\n"
                "Content-Length: 4\r\n\r\nbody",
                methods[i]);
        (void)snprintf(expected, sizeof(expected),
                "%s /v1/topics/a/b x=[1] y=[a b] name=n raw=x=1&y=a+b from=127.0.0.1 body=body",
                methods[i]);
        const char *answer = ask(w, text, &b);
        CHECK(begins(answer, "HTTP/1.1 200 OK\r\n"));
        CHECK(strstr(answer, "Content-Type: text/plain\r\n") != NULL);
        CHECK(strstr(answer, "X-Weir: yes\r\n") != NULL);
        CHECK(strstr(answer, "Set-Cookie") == NULL);
        CHECK_STR(body_of(answer), expected);
    }
    CHECK_STR(body_of(ask(w, "OPTIONS /x" END, &b)), " /x raw= from=127.0.0.1 body=");
    CHECK_STR(body_of(ask(w, "BREW /pot" END, &b)), " /pot raw= from=127.0.0.1 body=");
    CHECK(begins(ask(w, "GET /422" END, &b), "HTTP/1.1 422 Unprocessable Content\r\n"));
    buf_deinit(&b);
    web_free(w);
}

static void head_has_the_length_and_no_body(void)
{
    struct web *w = web_new(WTIME_S(10));
    struct buf b = {0};

    const char *answer = ask(w, "HEAD /x" END, &b);
    CHECK(begins(answer, "HTTP/1.1 200 OK\r\n"));
    CHECK(strstr(answer, "Content-Length: 33\r\n") != NULL);
    CHECK_STR(body_of(answer), "");
    answer = ask(w, "HEAD /large" END, &b);
    CHECK(strstr(answer, "Content-Length: 6000000\r\n") != NULL);
    CHECK_STR(body_of(answer), "");
    buf_deinit(&b);
    web_free(w);
}

static void bad_target_gets_400_without_the_handler(void)
{
    struct web *w = web_new(WTIME_S(10));
    struct buf b = {0};

    CHECK(begins(ask(w, "GET /a%00b" END, &b), "HTTP/1.1 400 Bad Request\r\n"));
    CHECK(strstr(buf_str(&b), "application/problem+json") != NULL);
    CHECK(begins(ask(w, "GET /a?x=%zz" END, &b), "HTTP/1.1 400 Bad Request\r\n"));
    CHECK(begins(ask(w, "OPTIONS *" END, &b), "HTTP/1.1 400 Bad Request\r\n"));
    CHECK(begins(ask(w, "utter nonsense\r\n\r\n", &b), "HTTP/1.1 400 Bad Request\r\n") ||
            strstr(buf_str(&b), "400") != NULL);
    CHECK_EQ(w->n_requests, 0);
    buf_deinit(&b);
    web_free(w);
}

static void body_above_the_limit_gets_413(void)
{
    struct web *w = web_new(WTIME_S(10));
    struct buf b = {0};
    struct buf request = {0};

    buf_append_str(
            &request, "POST /x HTTP/1.1\r\nConnection: close\r\nContent-Length: 3000000\r\n\r\n");
    (void)memset(buf_grow(&request, 3000000), 'x', 3000000);
    CHECK(begins(ask(w, buf_str(&request), &b), "HTTP/1.1 413 "));
    CHECK_EQ(w->n_requests, 0);
    buf_clear(&request);
    buf_append_str(
            &request, "POST /x HTTP/1.1\r\nConnection: close\r\nContent-Length: 100000\r\n\r\n");
    (void)memset(buf_grow(&request, 100000), 'x', 100000);
    CHECK(begins(ask(w, buf_str(&request), &b), "HTTP/1.1 200 "));
    buf_deinit(&request);
    buf_deinit(&b);
    web_free(w);
}

static void large_answer_arrives_whole(void)
{
    struct web *w = web_new(WTIME_S(10));
    struct buf b = {0};

    const uint8_t *body = (const uint8_t *)body_of(ask(w, "GET /large" END, &b));
    CHECK_EQ(b.size - (size_t)(body - b.data), 6000000);
    for (uint32_t i = 0; i < 1500000; i++) {
        if (load_be32(body + (size_t)4 * i) != i) {
            CHECK_EQ(load_be32(body + (size_t)4 * i), i);
        }
    }
    buf_deinit(&b);
    web_free(w);
}

static void requests_on_one_connection_are_answered_in_turn(void)
{
    static const char two[] = "GET /large HTTP/1.1\r\n\r\nGET /second HTTP/1.1\r\n\r\n";
    struct web *w = web_new(WTIME_S(10));
    struct buf b = {0};
    int fd = dial(w);

    say(w, fd, two, sizeof(two) - 1);
    TURN_UNTIL(w->loop, hear(w, fd, &b) && contains(&b, "GET /second raw"));
    say(w, fd, "GET /third HTTP/1.1\r\n\r\n", 23);
    TURN_UNTIL(w->loop, hear(w, fd, &b) && contains(&b, "GET /third raw"));
    (void)close(fd);
    buf_deinit(&b);
    web_free(w);
}

/* --- Slow and vanished clients ---------------------------------------------------------------- */

static void client_that_drips_or_is_silent_is_dropped(void)
{
    struct web *w = web_new(WTIME_MS(150));
    struct buf b = {0};
    int silent = dial(w);
    int dripping = dial(w);
    wtime start = clock_now();

    say(w, dripping, "GET /", 5);
    while (hear(w, dripping, &b)) { /* a byte each 20 ms: never silent for 150 */
        (void)send(dripping, "x", 1, MSG_NOSIGNAL);
        CHECK(clock_now() - start < WTIME_S(5));
    }
    CHECK(clock_now() - start >= WTIME_MS(150));
    TURN_UNTIL(w->loop, !hear(w, silent, &b));
    CHECK_EQ(b.size, 0);
    int idle = dial(w);
    say(w, idle, "GET /first HTTP/1.1\r\n\r\n", 23);
    TURN_UNTIL(w->loop, !hear(w, idle, &b)); /* answered, then dropped for its silence */
    CHECK(contains(&b, "GET /first"));
    CHECK_EQ(w->n_requests, 1);
    (void)close(silent);
    (void)close(dripping);
    (void)close(idle);
    buf_deinit(&b);
    web_free(w);
}

static void delayed_answer_may_take_longer_than_the_idle_timeout(void)
{
    struct web *w = web_new(WTIME_MS(50));
    struct buf b = {0};
    int fd = dial(w);
    wtime start = clock_now();

    w->is_keeping = true;
    say(w, fd, "GET /late" END, strlen("GET /late" END));
    TURN_UNTIL(w->loop, w->waiting.n == 1);
    TURN_UNTIL(w->loop, clock_now() - start > WTIME_MS(150));
    CHECK(!http_client_is_gone(w->waiting.items[0]));
    echo(w->waiting.items[0]);
    TURN_UNTIL(w->loop, !hear(w, fd, &b));
    CHECK(begins(buf_str(&b), "HTTP/1.1 200 OK\r\n"));
    (void)close(fd);
    buf_deinit(&b);
    web_free(w);
}

static void client_that_left_before_the_answer_is_noticed(void)
{
    struct web *w = web_new(WTIME_S(10));

    w->is_keeping = true;
    for (unsigned i = 0; i < 2; i++) {
        int fd = dial(w);
        say(w, fd, "GET /late?x=1" END, strlen("GET /late?x=1" END));
        TURN_UNTIL(w->loop, w->waiting.n == 1);
        struct http_request *r = w->waiting.items[0];
        CHECK(!http_client_is_gone(r));
        (void)close(fd);
        TURN_UNTIL(w->loop, http_client_is_gone(r));
        CHECK_STR(http_method(r), "GET");
        CHECK_STR(http_query(r, "x"), "1");
        if (i == 0) {
            echo(r);
        } else {
            http_reply(r, 500, NULL, NULL, 0);
        }
        array_clear(&w->waiting);
    }
    web_free(w);
}

/* The answer is given in the turn in which the client goes, before the loop could see it. */
static void answer_to_a_client_that_is_just_leaving_is_safe(void)
{
    struct web *w = web_new(WTIME_S(10));
    const struct linger reset = {.l_onoff = 1};

    w->is_keeping = true;
    for (unsigned i = 0; i < 4; i++) {
        int fd = dial(w);
        say(w, fd, "GET /late" END, strlen("GET /late" END));
        TURN_UNTIL(w->loop, w->waiting.n == 1);
        if (i % 2 == 1) {
            CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
        }
        (void)close(fd);
        struct buf b = {0};
        (void)memset(buf_grow(&b, i < 2 ? 10 : 9000000), 'x', i < 2 ? 10 : 9000000);
        http_reply_buf(w->waiting.items[0], 200, "text/plain", &b);
        array_clear(&w->waiting);
        for (unsigned turn = 0; turn < 5; turn++) {
            turn_once(w->loop);
        }
    }
    CHECK_EQ(w->n_requests, 4);
    web_free(w);
}

static void client_that_leaves_in_the_middle_of_a_large_answer_is_safe(void)
{
    struct web *w = web_new(WTIME_S(10));
    struct buf b = {0};
    int fd = dial(w);

    say(w, fd, "GET /large" END, strlen("GET /large" END));
    TURN_UNTIL(w->loop, w->n_requests == 1);
    CHECK(hear(w, fd, &b));
    (void)close(fd);
    for (unsigned turn = 0; turn < 10; turn++) {
        turn_once(w->loop);
    }
    fd = dial(w); /* and one that is still there when the server goes */
    say(w, fd, "GET /large" END, strlen("GET /large" END));
    TURN_UNTIL(w->loop, w->n_requests == 2);
    web_free(w);
    (void)close(fd);
    buf_deinit(&b);
}

static void server_goes_with_requests_unanswered(void)
{
    struct web *w = web_new(WTIME_S(10));

    w->is_keeping = true;
    int gone = dial(w);
    int waiting = dial(w);
    int half = dial(w);
    say(w, gone, "GET /a" END, strlen("GET /a" END));
    say(w, waiting, "GET /b" END, strlen("GET /b" END));
    say(w, half, "GET /c", 6);
    TURN_UNTIL(w->loop, w->waiting.n == 2);
    (void)close(gone);
    TURN_UNTIL(w->loop,
            http_client_is_gone(w->waiting.items[0]) || http_client_is_gone(w->waiting.items[1]));
    web_free(w);
    (void)close(waiting);
    (void)close(half);
}

static void server_waits_out_a_lack_of_descriptors(void)
{
    struct web *w = web_new(WTIME_S(10));
    struct rlimit before;
    struct rlimit none;
    struct buf b = {0};
    int fd = dial(w);

    say(w, fd, "GET /x" END, strlen("GET /x" END));
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 3;
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
    for (unsigned i = 0; i < 3; i++) {
        turn_once(w->loop);
    }
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
    TURN_UNTIL(w->loop, !hear(w, fd, &b));
    CHECK(begins(buf_str(&b), "HTTP/1.1 200 OK\r\n"));
    (void)close(fd);
    buf_deinit(&b);
    web_free(w);
}

static const struct check_case cases[] = {
        CASE(target_is_decoded_once),
        CASE(badly_encoded_target_is_refused),
        CASE(each_method_reaches_the_handler),
        CASE(head_has_the_length_and_no_body),
        CASE(bad_target_gets_400_without_the_handler),
        CASE(body_above_the_limit_gets_413),
        CASE(large_answer_arrives_whole),
        CASE(requests_on_one_connection_are_answered_in_turn),
        CASE(client_that_drips_or_is_silent_is_dropped),
        CASE(delayed_answer_may_take_longer_than_the_idle_timeout),
        CASE(client_that_left_before_the_answer_is_noticed),
        CASE(answer_to_a_client_that_is_just_leaving_is_safe),
        CASE(client_that_leaves_in_the_middle_of_a_large_answer_is_safe),
        CASE(server_goes_with_requests_unanswered),
        CASE(server_waits_out_a_lack_of_descriptors),
};
CHECK_MAIN("http", cases)
