/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/mem.h"
#include "common/net/loop.h"
#include "common/net/resolve.h"
#include "common/zk/zk.h"
#include "tests/lib/check.h"
#include "tests/lib/loop_until.h"
#include "tests/lib/zkserver.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* The ZooKeeper client against real servers. Numbers in brackets are rules of docs/design/20-zookeeper.md. */

static struct zkserver *server; /* shared by the cases; each works below a chroot of its own */

struct client {
    struct loop *loop;
    struct resolver *resolver;
    struct zk *zk;
    int n_sessions, n_lost, n_connected, n_disconnected;
};

/* The outcome of the last call. */
struct outcome {
    bool is_done;
    enum zk_rc rc;
    int failed;
    struct zk_stat stat;
    char data[64];
    size_t data_size;
    char names[256];
    int n_fired;
};

static struct zkserver *the_server(void)
{
    if (server == NULL) {
        server = zkserver_new(1, 0);
    }
    return server;
}

static bool is_done(void *ctx)
{
    return ((struct outcome *)ctx)->is_done;
}

static bool is_connected(void *ctx)
{
    return zk_is_connected(((struct client *)ctx)->zk);
}

static bool is_disconnected(void *ctx)
{
    return !is_connected(ctx);
}

static bool has_second_session(void *ctx)
{
    return ((struct client *)ctx)->n_sessions == 2;
}

/* --- The client -------------------------------------------------------------------------------- */

static void on_session(void *ctx)
{
    ((struct client *)ctx)->n_sessions++;
}

static void on_session_lost(void *ctx)
{
    ((struct client *)ctx)->n_lost++;
}

static void on_connection(void *ctx, bool connected)
{
    struct client *c = ctx;

    (*(connected ? &c->n_connected : &c->n_disconnected))++;
}

static void client_start(struct client *c, const char *connect, int timeout_ms)
{
    char error[256];
    const struct zk_options options = {.connect = connect,
            .session_timeout_ms = timeout_ms,
            .on_session = on_session,
            .on_connection = on_connection,
            .on_session_lost = on_session_lost,
            .ctx = c};

    *c = (struct client){0};
    c->loop = loop_new("test");
    c->resolver = resolver_new();
    CHECK_EQ(zk_new(c->loop, c->resolver, &options, &c->zk, error, sizeof(error)), 0);
}

static void client_stop(struct client *c)
{
    zk_free(c->zk);
    resolver_free(c->resolver);
    loop_free(c->loop);
}

static void on_root(void *ctx, enum zk_rc rc)
{
    struct outcome *o = ctx;

    o->is_done = true;
    o->rc = rc;
}

/* Connected, with the chroot `/name` made. */
static void client_connect(struct client *c, const char *name, int timeout_ms)
{
    struct outcome o = {0};
    char *connect = mem_format("%s/%s/deep", zkserver_connect(the_server()), name);

    client_start(c, connect, timeout_ms);
    mem_free(connect);
    CHECK(loop_until(c->loop, 10000, is_connected, c));
    zk_create_parents(c->zk, "/x", on_root, &o);
    CHECK(loop_until(c->loop, 5000, is_done, &o));
    CHECK_EQ(o.rc, ZK_OK);
}

static void on_get(void *ctx, enum zk_rc rc, struct bytes data, const struct zk_stat *stat)
{
    struct outcome *o = ctx;

    on_root(o, rc);
    o->stat = *stat;
    o->data_size = data.size < sizeof(o->data) ? data.size : sizeof(o->data);
    if (o->data_size > 0) {
        memcpy(o->data, data.at, o->data_size);
    }
}

static void on_stat(void *ctx, enum zk_rc rc, const struct zk_stat *stat)
{
    on_root(ctx, rc);
    ((struct outcome *)ctx)->stat = *stat;
}

static void on_names(void *ctx, enum zk_rc rc, const char *const *names, size_t n)
{
    struct outcome *o = ctx;

    on_root(o, rc);
    o->names[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        size_t at = strlen(o->names);
        snprintf(o->names + at, sizeof(o->names) - at, "%s ", names[i]);
    }
}

static void on_multi(void *ctx, enum zk_rc rc, int failed)
{
    on_root(ctx, rc);
    ((struct outcome *)ctx)->failed = failed;
}

static void on_fired(void *ctx)
{
    ((struct outcome *)ctx)->n_fired++;
}

static bool has_fired(void *ctx)
{
    return ((struct outcome *)ctx)->n_fired > 0;
}

static struct bytes text(const char *s)
{
    return (struct bytes){.at = (const uint8_t *)s, .size = strlen(s)};
}

static enum zk_rc finish(struct client *c, struct outcome *o)
{
    CHECK(loop_until(c->loop, 10000, is_done, o));
    o->is_done = false;
    return o->rc;
}

static enum zk_rc create(
        struct client *c, const char *path, const char *data, enum zk_create_flags flags)
{
    struct outcome o = {0};

    zk_create(c->zk, path, text(data), flags, on_root, &o);
    return finish(c, &o);
}

static enum zk_rc get(struct client *c, const char *path, struct outcome *o)
{
    zk_get(c->zk, path, NULL, on_get, o);
    return finish(c, o);
}

/* --- Cases ------------------------------------------------------------------------------------- */

/* [ZK-13] */
static void nodes_are_created_read_changed_and_deleted(void)
{
    struct client c;
    struct outcome o = {0};

    client_connect(&c, "basic", 4000);
    CHECK_EQ(get(&c, "/none", &o), ZK_NO_NODE);
    CHECK_EQ(create(&c, "/b", "one", ZK_PERSISTENT), ZK_OK);
    CHECK_EQ(create(&c, "/b", "one", ZK_PERSISTENT), ZK_NODE_EXISTS);
    CHECK_EQ(create(&c, "/a", "", ZK_EPHEMERAL), ZK_OK);
    CHECK_EQ(get(&c, "/b", &o), ZK_OK);
    CHECK_EQ(o.data_size, 3);
    CHECK_MEM(o.data, "one", 3);
    CHECK_EQ(o.stat.version, 0);
    CHECK_EQ(o.stat.ephemeral_owner, 0);
    zk_set(c.zk, "/b", text("two"), 7, on_stat, &o);
    CHECK_EQ(finish(&c, &o), ZK_BAD_VERSION);
    zk_set(c.zk, "/b", text("two"), 0, on_stat, &o);
    CHECK_EQ(finish(&c, &o), ZK_OK);
    CHECK_EQ(o.stat.version, 1);
    CHECK_EQ(get(&c, "/a", &o), ZK_OK);
    CHECK_EQ(o.data_size, 0);
    CHECK_EQ(o.stat.ephemeral_owner, zk_session_id(c.zk));
    zk_children(c.zk, "/b", NULL, on_names, &o);
    CHECK_EQ(finish(&c, &o), ZK_OK);
    CHECK_STR(o.names, "");
    zk_delete(c.zk, "/b", 0, on_root, &o);
    CHECK_EQ(finish(&c, &o), ZK_BAD_VERSION);
    zk_delete(c.zk, "/b", -1, on_root, &o);
    CHECK_EQ(finish(&c, &o), ZK_OK);
    CHECK_EQ(c.n_sessions, 1);
    client_stop(&c);
}

/* [ZK-3] [ZK-8] [ZK-11] More calls than may be in flight. */
static void children_come_sorted_and_in_the_order_of_calls(void)
{
    struct client c;
    struct outcome made[26] = {0}, o = {0};

    client_connect(&c, "names", 4000);
    for (int i = 25; i >= 0; i--) { /* more than may be in flight */
        char path[32];
        snprintf(path, sizeof(path), "/x%c", 'a' + i);
        zk_create(c.zk, path, text(""), ZK_PERSISTENT, on_root, &made[i]);
    }
    zk_exists(c.zk, "/xa", NULL, on_stat, &o);
    CHECK_EQ(finish(&c, &o), ZK_OK);
    for (int i = 0; i < 26; i++) {
        CHECK(made[i].is_done);
        CHECK_EQ(made[i].rc, ZK_OK);
    }
    zk_create(c.zk, "/xa/q", text(""), ZK_PERSISTENT, on_root, &o);
    zk_create(c.zk, "/xa/b", text(""), ZK_PERSISTENT, on_root, &o);
    zk_children(c.zk, "/xa", NULL, on_names, &o);
    CHECK(loop_until(c.loop, 5000, is_done, &o));
    o.is_done = false;
    zk_children(c.zk, "/xa", NULL, on_names, &o);
    CHECK_EQ(finish(&c, &o), ZK_OK);
    CHECK_STR(o.names, "b q ");
    zk_delete(c.zk, "/xa", -1, on_root, &o);
    CHECK_EQ(finish(&c, &o), ZK_NOT_EMPTY);
    client_stop(&c);
}

static void multi_is_all_or_nothing_and_names_the_failed_operation(void)
{
    struct client c;
    struct outcome o = {0};
    struct zk_op ops[3] = {
            {.kind = ZK_OP_CHECK, .path = "/epoch", .version = 0},
            {.kind = ZK_OP_CHECK, .path = "/log0", .version = -1},
            {.kind = ZK_OP_CREATE, .path = "/log1", .data = text("batch")},
    };

    client_connect(&c, "multi", 4000);
    CHECK_EQ(create(&c, "/epoch", "", ZK_PERSISTENT), ZK_OK);
    zk_multi(c.zk, ops, 3, on_multi, &o);
    CHECK_EQ(finish(&c, &o), ZK_NO_NODE); /* a gap */
    CHECK_EQ(o.failed, 1);
    CHECK_EQ(get(&c, "/log1", &o), ZK_NO_NODE);
    CHECK_EQ(create(&c, "/log0", "", ZK_PERSISTENT), ZK_OK);
    zk_multi(c.zk, ops, 3, on_multi, &o);
    CHECK_EQ(finish(&c, &o), ZK_OK);
    CHECK_EQ(o.failed, -1);
    zk_multi(c.zk, ops, 3, on_multi, &o);
    CHECK_EQ(finish(&c, &o), ZK_NODE_EXISTS); /* [ZK-7] those before the failing one read 0 */
    CHECK_EQ(o.failed, 2);
    ops[0] = (struct zk_op){.kind = ZK_OP_SET, .path = "/epoch", .data = text("2"), .version = 0};
    ops[1] = (struct zk_op){.kind = ZK_OP_DELETE, .path = "/log1", .version = 0};
    ops[2] = (struct zk_op){.kind = ZK_OP_CREATE, .path = "/me", .flags = ZK_EPHEMERAL};
    zk_multi(c.zk, ops, 3, on_multi, &o);
    CHECK_EQ(finish(&c, &o), ZK_OK);
    ops[0] = (struct zk_op){.kind = ZK_OP_CHECK, .path = "/epoch", .version = 0};
    zk_multi(c.zk, ops, 1, on_multi, &o);
    CHECK_EQ(finish(&c, &o), ZK_BAD_VERSION);
    CHECK_EQ(o.failed, 0);
    CHECK_EQ(get(&c, "/me", &o), ZK_OK);
    CHECK_EQ(o.stat.ephemeral_owner, zk_session_id(c.zk));
    client_stop(&c);
}

/* [ZK-9] */
static void a_watch_fires_once_for_creation_change_and_children(void)
{
    struct client c;
    struct outcome made = {0}, changed = {0}, child = {0}, lost = {0};

    client_connect(&c, "watch", 4000);
    zk_exists(c.zk, "/n", on_fired, on_stat, &made);
    CHECK_EQ(finish(&c, &made), ZK_NO_NODE);
    zk_get(c.zk, "/n", on_fired, on_get, &lost);
    CHECK_EQ(finish(&c, &lost), ZK_NO_NODE); /* a get of nothing leaves no watch */
    CHECK_EQ(create(&c, "/n", "1", ZK_PERSISTENT), ZK_OK);
    CHECK(loop_until(c.loop, 5000, has_fired, &made));
    zk_get(c.zk, "/n", on_fired, on_get, &changed);
    CHECK_EQ(finish(&c, &changed), ZK_OK);
    zk_children(c.zk, "/n", on_fired, on_names, &child);
    CHECK_EQ(finish(&c, &child), ZK_OK);
    zk_set(c.zk, "/n", text("2"), -1, on_stat, &lost);
    CHECK_EQ(finish(&c, &lost), ZK_OK);
    CHECK(loop_until(c.loop, 5000, has_fired, &changed));
    zk_set(c.zk, "/n", text("3"), -1, on_stat, &lost);
    CHECK_EQ(finish(&c, &lost), ZK_OK);
    CHECK_EQ(child.n_fired, 0);
    CHECK_EQ(create(&c, "/n/c", "", ZK_PERSISTENT), ZK_OK);
    CHECK(loop_until(c.loop, 5000, has_fired, &child));
    CHECK_EQ(made.n_fired, 1);
    CHECK_EQ(changed.n_fired, 1);
    CHECK_EQ(lost.n_fired, 0);
    client_stop(&c);
}

/* [ZK-4] [ZK-5] The loop stands still for longer than its session lives. KAFKA-8532 */
static void a_stuck_loop_loses_its_session_and_gets_a_new_one(void)
{
    struct client c, other;
    struct outcome o = {0}, unknown = {0};
    int64_t former = 0;

    client_connect(&c, "expiry", 1000);
    client_connect(&other, "expiry", 4000);
    former = zk_session_id(c.zk);
    CHECK(former != 0);
    CHECK_EQ(create(&c, "/mine", "", ZK_EPHEMERAL), ZK_OK);
    for (int i = 0; i < 60 && get(&other, "/mine", &o) != ZK_NO_NODE; i++) {
        loop_for(other.loop, 100);
    }
    CHECK_EQ(o.rc, ZK_NO_NODE);
    zk_create(c.zk, "/late", text(""), ZK_EPHEMERAL, on_root, &unknown);
    CHECK(loop_until(c.loop, 10000, has_second_session, &c));
    CHECK_EQ(c.n_lost, 1);
    CHECK(unknown.is_done);
    CHECK_EQ(unknown.rc, ZK_UNKNOWN);
    CHECK(zk_session_id(c.zk) != former);
    CHECK_EQ(get(&c, "/mine", &o), ZK_NO_NODE);
    CHECK_EQ(create(&c, "/mine", "", ZK_EPHEMERAL), ZK_OK);
    client_stop(&c);
    client_stop(&other);
}

/* [ZK-6] Killed with calls under way: their outcome is unknown; the same session goes on with the restarted server. */
static void a_restarted_server_keeps_the_session_and_its_watches(void)
{
    struct client c;
    struct outcome o = {0}, watch = {0}, many[40] = {0};
    int64_t session = 0;
    int n_ok = 0, n_unknown = 0;

    client_connect(&c, "restart", 20000);
    session = zk_session_id(c.zk);
    CHECK_EQ(create(&c, "/mine", "", ZK_EPHEMERAL), ZK_OK);
    zk_exists(c.zk, "/later", on_fired, on_stat, &watch);
    CHECK_EQ(finish(&c, &watch), ZK_NO_NODE);
    zkserver_pause(the_server(), 0);
    for (int i = 0; i < 40; i++) {
        char path[32];
        snprintf(path, sizeof(path), "/many%d", i);
        zk_create(c.zk, path, text(""), ZK_PERSISTENT, on_root, &many[i]);
    }
    loop_for(c.loop, 200);
    zkserver_kill(the_server(), 0);
    CHECK(loop_until(c.loop, 5000, is_disconnected, &c));
    CHECK(zk_trouble(c.zk)[0] != '\0');
    zkserver_start(the_server(), 0);
    CHECK(loop_until(c.loop, 30000, is_connected, &c));
    CHECK(loop_until(c.loop, 10000, is_done, &many[39]));
    for (int i = 0; i < 40; i++) {
        CHECK(many[i].is_done);
        n_ok += many[i].rc == ZK_OK;
        n_unknown += many[i].rc == ZK_UNKNOWN;
    }
    CHECK_EQ(n_unknown, 16); /* what was in flight */
    CHECK_EQ(n_ok, 24);      /* what had waited was sent when the server came back */
    CHECK_EQ(zk_session_id(c.zk), session);
    CHECK_EQ(get(&c, "/mine", &o), ZK_OK);
    CHECK_EQ(o.stat.ephemeral_owner, session);
    CHECK_EQ(create(&c, "/later", "", ZK_PERSISTENT), ZK_OK);
    CHECK(loop_until(c.loop, 5000, has_fired, &watch));
    CHECK_EQ(c.n_sessions, 1);
    CHECK_EQ(c.n_lost, 0);
    CHECK_STR(zk_trouble(c.zk), "");
    client_stop(&c);
}

/* [ZK-6] The answer of a multi is lost: after the connection is back, sync and get tell what happened. */
static void a_multi_without_an_answer_is_resolved_by_reading(void)
{
    struct client c;
    struct outcome o = {0}, multi = {0};
    const struct zk_op op = {.kind = ZK_OP_CREATE, .path = "/batch", .data = text("nonce")};

    client_connect(&c, "ambiguous", 20000);
    zkserver_pause(the_server(), 0);
    zk_multi(c.zk, &op, 1, on_multi, &multi);
    loop_for(c.loop, 100);
    zkserver_kill(the_server(), 0);
    CHECK(loop_until(c.loop, 5000, is_done, &multi));
    CHECK_EQ(multi.rc, ZK_UNKNOWN);
    CHECK_EQ(multi.failed, -1);
    zkserver_start(the_server(), 0);
    CHECK(loop_until(c.loop, 30000, is_connected, &c));
    zk_sync(c.zk, "/batch", on_root, &o);
    CHECK_EQ(finish(&c, &o), ZK_OK);
    if (get(&c, "/batch", &o) == ZK_OK) {
        CHECK_MEM(o.data, "nonce", 5);
    } else {
        CHECK_EQ(o.rc, ZK_NO_NODE);
    }
    client_stop(&c);
}

/* [ZK-4] A server that says nothing: the time of its last word does not move on. */
static void silence_shows_in_last_heard(void)
{
    struct client c;
    wtime before = 0;

    client_connect(&c, "silence", 20000);
    before = zk_last_heard(c.zk);
    loop_for(c.loop, 700);
    CHECK(zk_last_heard(c.zk) > before);
    zkserver_pause(the_server(), 0);
    loop_for(c.loop, 100);
    before = zk_last_heard(c.zk);
    loop_for(c.loop, 700);
    CHECK_EQ(zk_last_heard(c.zk), before);
    zkserver_resume(the_server(), 0);
    loop_for(c.loop, 500);
    CHECK(zk_last_heard(c.zk) > before);
    CHECK_EQ(c.n_disconnected, 0);
    client_stop(&c);
}

static void on_late_get(void *ctx, enum zk_rc rc, struct bytes data, const struct zk_stat *stat)
{
    bool *is_answered = ctx;

    *is_answered = true;
}

/* [ZK-4] An answer that lay in the socket while nobody turned the loop is no word of now. */
static void late_answer_is_counted_from_its_question(void)
{
    struct client c;
    bool is_answered = false;

    client_connect(&c, "late", 20000);
    zkserver_pause(the_server(), 0);
    zk_get(c.zk, "/weir", NULL, on_late_get, &is_answered);
    loop_for(c.loop, 50);
    zkserver_resume(the_server(), 0);
    check_pause_ms(400);
    zkserver_pause(the_server(), 0);
    loop_for(c.loop, 50);
    CHECK(is_answered);
    CHECK(clock_now() - zk_last_heard(c.zk) >= WTIME_MS(450));
    zkserver_resume(the_server(), 0);
    client_stop(&c);
}

/* [ZK-17] After its data was wiped, a server refuses the old handle for ever. */
static void wiped_servers_lead_to_a_new_session(void)
{
    struct zkserver *own = zkserver_new(1, 0);
    struct client c;

    client_start(&c, zkserver_connect(own), 1000);
    CHECK(loop_until(c.loop, 10000, is_connected, &c));
    for (int i = 0; i < 5; i++) {
        char path[32];
        snprintf(path, sizeof(path), "/n%d", i);
        CHECK_EQ(create(&c, path, "", ZK_PERSISTENT), ZK_OK);
    }
    zkserver_kill(own, 0);
    zkserver_wipe(own, 0);
    zkserver_start(own, 0);
    CHECK(loop_until(c.loop, 30000, has_second_session, &c));
    CHECK_EQ(c.n_lost, 1);
    client_stop(&c);
    zkserver_free(own);
}

/* [ZK-17] Only a server's word ends a session. */
static void a_session_outlives_the_absence_of_every_server(void)
{
    struct zkserver *own = zkserver_new(1, 0);
    struct client c;

    client_start(&c, zkserver_connect(own), 8000); /* the time to come back in, too */
    CHECK(loop_until(c.loop, 10000, is_connected, &c));
    zkserver_kill(own, 0);
    loop_for(c.loop, 9500);
    zkserver_start(own, 0);
    CHECK(loop_until(c.loop, 30000, is_connected, &c));
    CHECK_EQ(c.n_sessions, 1);
    CHECK_EQ(c.n_lost, 0);
    client_stop(&c);
    zkserver_free(own);
}

static int silent_listener(uint16_t port)
{
    const struct sockaddr_in addr = {.sin_family = AF_INET,
            .sin_port = htons(port),
            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    CHECK(fd >= 0);
    CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)), 0);
    CHECK_EQ(bind(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
    CHECK_EQ(listen(fd, 8), 0);
    CHECK_EQ(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

struct silent {
    int listener, fd;
};

static bool has_accepted(void *ctx)
{
    struct silent *s = ctx;

    s->fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);
    return s->fd >= 0;
}

/* [ZK-19] The library itself would wait 20 s for the answer that never comes. */
static void a_connection_that_is_forgotten_is_given_up(void)
{
    struct zkserver *own = zkserver_new(1, 0);
    struct silent silent = {0};
    struct client c;

    client_start(&c, zkserver_connect(own), 30000);
    CHECK(loop_until(c.loop, 10000, is_connected, &c));
    zkserver_kill(own, 0);
    silent.listener = silent_listener(zkserver_port(own, 0));
    CHECK(loop_until(c.loop, 10000, has_accepted, &silent));
    close(silent.listener);
    zkserver_start(own, 0);
    CHECK(loop_until(c.loop, 17000, is_connected, &c));
    CHECK_EQ(c.n_sessions, 1);
    CHECK_EQ(c.n_lost, 0);
    close(silent.fd);
    client_stop(&c);
    zkserver_free(own);
}

/* [ZK-17] Two servers of three are away: the third accepts connections and takes no session, for longer than the patience
 * after which the handle is replaced. */
static void a_session_outlives_the_loss_of_the_quorum(void)
{
    struct zkserver *own = zkserver_new(3, 0);
    struct client c;

    client_start(&c, zkserver_connect(own), 2000);
    CHECK(loop_until(c.loop, 10000, is_connected, &c));
    zkserver_kill(own, 0);
    zkserver_kill(own, 1);
    CHECK(loop_until(c.loop, 10000, is_disconnected, &c));
    loop_for(c.loop, 5000);
    CHECK(strstr(zk_trouble(c.zk), "no quorum?") != NULL);
    zkserver_start(own, 0);
    zkserver_start(own, 1);
    CHECK(loop_until(c.loop, 30000, is_connected, &c));
    CHECK_EQ(c.n_sessions, 1);
    CHECK_EQ(c.n_lost, 0);
    client_stop(&c);
    zkserver_free(own);
}

/* [ZK-2] [ZK-10] The server is given by name, and its port refuses at first. */
static void it_keeps_trying_until_a_server_comes(void)
{
    struct client c;
    char connect[64];

    zkserver_kill(the_server(), 0);
    snprintf(connect, sizeof(connect), "localhost:%u/late", zkserver_port(the_server(), 0));
    client_start(&c, connect, 4000);
    CHECK(!loop_until(c.loop, 500, is_connected, &c));
    CHECK(strstr(zk_trouble(c.zk), "accepts a connection") != NULL);
    zkserver_start(the_server(), 0);
    CHECK(loop_until(c.loop, 30000, is_connected, &c));
    CHECK_EQ(c.n_sessions, 1);
    client_stop(&c);
    zkserver_wait(the_server());
}

/* [ZK-10] */
static void an_unknown_name_is_told(void)
{
    struct client c;

    client_start(&c, "zk.invalid:2181", 4000);
    CHECK(!loop_until(c.loop, 1500, is_connected, &c));
    CHECK(strstr(zk_trouble(c.zk), "zk.invalid") != NULL);
    client_stop(&c);
}

/* A session moves from server to server of an ensemble and loses nothing. */
static void an_ensemble_survives_the_loss_of_each_server(void)
{
    struct zkserver *three = zkserver_new(3, 0);
    struct client c;
    struct outcome o = {0};
    int64_t session = 0;

    client_start(&c, zkserver_connect(three), 10000);
    CHECK(loop_until(c.loop, 20000, is_connected, &c));
    session = zk_session_id(c.zk);
    CHECK_EQ(create(&c, "/mine", "", ZK_EPHEMERAL), ZK_OK);
    for (int i = 0; i < 3; i++) {
        zkserver_kill(three, i);
        loop_for(c.loop, 500);
        CHECK(loop_until(c.loop, 30000, is_connected, &c));
        do {
            (void)get(&c, "/mine", &o);
        } while (o.rc == ZK_UNKNOWN);
        CHECK_EQ(o.rc, ZK_OK);
        CHECK_EQ(o.stat.ephemeral_owner, session);
        zkserver_start(three, i);
        zkserver_wait(three);
    }
    CHECK_EQ(c.n_lost, 0);
    client_stop(&c);
    zkserver_free(three);
}

/* [ZK-18] Whichever of two servers is there is found, and the search costs no processor. */
static void the_second_of_two_servers_is_found(void)
{
    char connect[128];
    uint16_t nobody = zkserver_free_port(), port = zkserver_port(the_server(), 0);
    struct client c;

    for (int i = 0; i < 2; i++) {
        snprintf(connect, sizeof(connect), "127.0.0.1:%u,127.0.0.1:%u", i == 0 ? nobody : port,
                i == 0 ? port : nobody);
        client_start(&c, connect, 4000);
        CHECK(loop_until(c.loop, 5000, is_connected, &c));
        client_stop(&c);
    }
    snprintf(connect, sizeof(connect), "127.0.0.1:%u,127.0.0.2:%u", nobody, nobody);
    client_start(&c, connect, 4000);
    clock_t before = clock();
    loop_for(c.loop, 1000);
    CHECK(clock() - before < CLOCKS_PER_SEC / 4);
    client_stop(&c);
}

static const struct check_case cases[] = {
        CASE(nodes_are_created_read_changed_and_deleted),
        CASE(children_come_sorted_and_in_the_order_of_calls),
        CASE(multi_is_all_or_nothing_and_names_the_failed_operation),
        CASE(a_watch_fires_once_for_creation_change_and_children),
        CASE(a_stuck_loop_loses_its_session_and_gets_a_new_one),
        CASE(a_restarted_server_keeps_the_session_and_its_watches),
        CASE(a_multi_without_an_answer_is_resolved_by_reading),
        CASE(silence_shows_in_last_heard),
        CASE(late_answer_is_counted_from_its_question),
        CASE(wiped_servers_lead_to_a_new_session),
        CASE(a_session_outlives_the_absence_of_every_server),
        CASE(a_connection_that_is_forgotten_is_given_up),
        CASE(a_session_outlives_the_loss_of_the_quorum),
        CASE(it_keeps_trying_until_a_server_comes),
        CASE(an_unknown_name_is_told),
        CASE(the_second_of_two_servers_is_found),
        CASE(an_ensemble_survives_the_loss_of_each_server),
};
CHECK_MAIN("zk", cases)
