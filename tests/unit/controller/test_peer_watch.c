/* SPDX-License-Identifier: Apache-2.0 */
/* The watch over the active controller's process, which this program plays; and who is reached. */
#include "controller/shell/peer_watch.h"
#include "controller/shell/reach.h"
#include "tests/unit/net/turns.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static struct {
    struct loop *loop;
    struct resolver *resolver;
    struct peer_watch *watch;
    uint16_t port;
    int listener, peer; /* -1 = none */
    unsigned n_dead, n_alive;
    uint64_t term;
    wtime dead_at;
} t;

static void on_evidence(void *ctx, uint64_t term, bool is_dead)
{
    t.term = term;
    t.n_dead += is_dead;
    t.n_alive += !is_dead;
    t.dead_at = clock_now();
}

static void open_port(void)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(t.port)};
    socklen_t size = sizeof(in);
    const int yes = 1;

    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    t.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    CHECK(t.listener >= 0);
    CHECK_EQ(setsockopt(t.listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)), 0);
    CHECK_EQ(bind(t.listener, (const struct sockaddr *)&in, sizeof(in)), 0);
    CHECK_EQ(listen(t.listener, 8), 0);
    CHECK_EQ(getsockname(t.listener, (struct sockaddr *)&in, &size), 0);
    t.port = ntohs(in.sin_port);
}

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
        *fd = -1;
    }
}

static bool accepted(void)
{
    if (t.listener >= 0 && t.peer < 0) {
        t.peer = accept4(t.listener, NULL, NULL, SOCK_CLOEXEC);
    }
    return t.peer >= 0;
}

static void watch(uint64_t term)
{
    char url[64];

    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u", (unsigned)t.port);
    peer_watch_set(t.watch, term, url);
}

static void begin(void)
{
    memset(&t, 0, sizeof(t));
    t.listener = t.peer = -1;
    t.loop = loop_new("watch");
    t.resolver = resolver_new();
    t.watch = peer_watch_new(&(struct peer_watch_options){
            .loop = t.loop, .resolver = t.resolver, .on_evidence = on_evidence});
    open_port();
}

static void end(void)
{
    peer_watch_free(t.watch);
    resolver_free(t.resolver);
    loop_free(t.loop);
    close_fd(&t.peer);
    close_fd(&t.listener);
}

static void pass(wtime d)
{
    wtime until = wtime_add(clock_now(), d);

    while (clock_now() < until) {
        turn_once(t.loop);
    }
}

/* [ZK-22] */
static void port_that_closed_and_refuses_twice_is_a_dead_process(void)
{
    begin();
    watch(7);
    TURN_UNTIL(t.loop, accepted());
    close_fd(&t.listener);
    wtime closed_at = clock_now();
    close_fd(&t.peer);
    TURN_UNTIL(t.loop, t.n_dead == 1);
    CHECK_EQ(t.term, 7);
    CHECK(t.dead_at - closed_at >= WTIME_MS(100)); /* the second look */
    pass(WTIME_MS(600));
    CHECK_EQ(t.n_dead, 1);
    open_port(); /* something accepts there again */
    TURN_UNTIL(t.loop, t.n_alive == 1);
    CHECK_EQ(t.n_dead, 1);
    end();
}

/* [ZK-22] An HTTP server closes idle connections. */
static void closed_connection_that_can_be_made_again_is_no_evidence(void)
{
    begin();
    watch(7);
    for (int i = 0; i < 5; i++) {
        TURN_UNTIL(t.loop, accepted());
        close_fd(&t.peer);
    }
    TURN_UNTIL(t.loop, accepted());
    CHECK_EQ(t.n_dead + t.n_alive, 0);
    end();
}

/* [ZK-22] The admin endpoint was restarted within 100 ms: one refusal, then accepted. */
static void single_refusal_is_no_evidence(void)
{
    begin();
    watch(7);
    TURN_UNTIL(t.loop, accepted());
    close_fd(&t.listener);
    close_fd(&t.peer);
    pass(WTIME_MS(40));
    open_port();
    TURN_UNTIL(t.loop, accepted());
    pass(WTIME_MS(300));
    CHECK_EQ(t.n_dead + t.n_alive, 0);
    end();
}

/* [ZK-22] Otherwise a wrong http.advertised would make controllers depose each other. */
static void address_that_accepted_nothing_in_this_term_is_no_evidence(void)
{
    begin();
    watch(7);
    TURN_UNTIL(t.loop, accepted());
    close_fd(&t.listener);
    watch(8); /* another term, which begins with a port that refuses */
    close_fd(&t.peer);
    pass(WTIME_MS(1300));
    CHECK_EQ(t.n_dead, 0);
    open_port();
    TURN_UNTIL(t.loop, accepted());
    close_fd(&t.listener);
    close_fd(&t.peer);
    TURN_UNTIL(t.loop, t.n_dead == 1);
    CHECK_EQ(t.term, 8);
    end();
}

static void address_that_is_no_url_is_not_watched(void)
{
    begin();
    peer_watch_set(t.watch, 1, "controller-1");
    pass(WTIME_MS(100));
    CHECK(!accepted());
    watch(1);
    TURN_UNTIL(t.loop, accepted());
    peer_watch_stop(t.watch);
    close_fd(&t.listener);
    close_fd(&t.peer);
    pass(WTIME_MS(300));
    CHECK_EQ(t.n_dead, 0);
    end();
}

/* --- Reach ---------------------------------------------------------------------------------------------------------- */

static struct {
    unsigned n;
    size_t n_reached, n_missed;
    broker_id reached, missed[2];
} told;

static void on_reach(void *ctx, const struct reach_result *r)
{
    told.n++;
    told.n_reached = r->reached.n;
    told.n_missed = r->missed.n;
    told.reached = r->reached.n > 0 ? r->reached.items[0] : -1;
    for (size_t i = 0; i < r->missed.n && i < 2; i++) {
        told.missed[i] = r->missed.items[i];
    }
}

static void add_broker(struct image *image, broker_id id, const char *listener, uint16_t port)
{
    struct endpoint endpoint = {.name = listener, .host = "127.0.0.1", .port = port};
    struct meta_record r = {.kind = META_REGISTER_BROKER, .seq = (uint64_t)id};

    r.register_broker = (struct meta_register_broker){.id = id,
            .epoch = 10 + id,
            .crash_kind = CRASH_CLEAN,
            .rack = "",
            .version = "",
            .endpoints = &endpoint,
            .n_endpoints = 1};
    CHECK_EQ(image_apply(image, 1, &r), 0);
}

/* [ZK-26] */
static void brokers_that_accept_are_reached(void)
{
    struct image *image = image_new();

    begin();
    memset(&told, 0, sizeof(told));
    add_broker(image, 1, "weir", 1); /* refuses */
    add_broker(image, 2, "weir", t.port);
    add_broker(image, 3, "other", t.port); /* controllers do not use that listener */
    (void)reach_start(t.loop, t.resolver, image, "weir", WTIME_MS(500), on_reach, NULL);
    CHECK_EQ(told.n, 0);
    TURN_UNTIL(t.loop, told.n == 1);
    CHECK_EQ(told.n_reached, 1);
    CHECK_EQ(told.reached, 2);
    CHECK_EQ(told.n_missed, 2);
    CHECK_EQ(told.missed[0], 1);
    CHECK_EQ(told.missed[1], 3);
    (void)reach_cancel(
            reach_start(t.loop, t.resolver, image, "weir", WTIME_MS(500), on_reach, NULL));
    pass(WTIME_MS(50));
    CHECK_EQ(told.n, 1);
    image_free(image);
    end();
}

static void nobody_is_reached_where_there_is_no_broker(void)
{
    struct image *image = image_new();

    begin();
    memset(&told, 0, sizeof(told));
    (void)reach_start(t.loop, t.resolver, image, "weir", WTIME_S(5), on_reach, NULL);
    TURN_UNTIL(t.loop, told.n == 1);
    CHECK_EQ(told.n_reached + told.n_missed, 0);
    image_free(image);
    end();
}

static const struct check_case cases[] = {
        CASE(port_that_closed_and_refuses_twice_is_a_dead_process),
        CASE(closed_connection_that_can_be_made_again_is_no_evidence),
        CASE(single_refusal_is_no_evidence),
        CASE(address_that_accepted_nothing_in_this_term_is_no_evidence),
        CASE(address_that_is_no_url_is_not_watched),
        CASE(brokers_that_accept_are_reached),
        CASE(nobody_is_reached_where_there_is_no_broker),
};

CHECK_MAIN("peer_watch", cases)
