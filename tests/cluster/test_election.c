/* SPDX-License-Identifier: Apache-2.0 */
/* Who is the active controller: killed, stopped, handed over, and what is no reason to change. Numbers in brackets are
 * rules of docs/design/20-zookeeper.md. Times are bounded generously; tests/bench/takeover measures them. */
#include "common/auth/auth.h"
#include "common/base/mem.h"
#include "common/net/http.h"
#include "common/wire/messages.h"
#include "common/zk/zk.h"
#include "common/zk/zk_paths.h"
#include "tests/lib/check.h"
#include "tests/lib/cluster.h"
#include "tests/lib/loop_until.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    N_CONTROLLERS = 3,
    SETTLE_MS = 20000
};

static void need_cluster(void)
{
    if (!cluster_is_up()) {
        cluster_up((const char *const[]){"--zookeepers", "1", "--controllers", "3", "--brokers",
                "1", "--set", "zookeeper.session.timeout.ms=3000", "--set",
                "weir.broker.timeout.ms=1000", NULL});
        (void)WEIR_OK("topic", "create", "load", "-p", "1");
    }
}

/* --- What controllers say ------------------------------------------------------------------------------------------- */

/* The active one and its epoch, as the controller at `port` says; 0 = it knows none or does not answer. */
static int active_at(int port, uint64_t *ret_epoch)
{
    struct buf b = {0};
    int id = 0;
    uint64_t epoch = 0;
    const char *at = NULL;

    if (http_request(port, "GET", "/v1/cluster", NULL, false, &b) == 200) {
        at = strstr(buf_str(&b), "\"controller\": {");
    }
    if (at == NULL ||
            sscanf(at, "\"controller\": {\"id\": %d, \"epoch\": %" SCNu64, &id, &epoch) != 2) {
        id = 0;
    }
    *ret_epoch = epoch;
    buf_deinit(&b);
    return id;
}

static bool acts(int port)
{
    struct buf b = {0};
    int status = http_request(port, "GET", "/metrics", NULL, false, &b);
    bool active = status == 200 && strstr(buf_str(&b), "\nweir_controller_active 1\n") != NULL;

    buf_deinit(&b);
    return active;
}

/* The one that acts; 0 = none. */
static int acting(void)
{
    for (int id = 1; id <= N_CONTROLLERS; id++) {
        if (acts(controller_port(id))) {
            return id;
        }
    }
    return 0;
}

static int await_acting(uint64_t *ret_epoch)
{
    int id = 0;

    CHECK_WITHIN(SETTLE_MS, (id = acting()) != 0);
    CHECK_EQ(active_at(controller_port(id), ret_epoch), id);
    return id;
}

static const char *node(int id)
{
    static char names[N_CONTROLLERS + 1][16];

    (void)snprintf(names[id], sizeof(names[id]), "controller-%d", id);
    return names[id];
}

/* All are there, and all name the same one. */
static void await_calm(void)
{
    uint64_t epoch = 0, other = 0;
    int id = await_acting(&epoch);

    for (int i = 1; i <= N_CONTROLLERS; i++) {
        node_wait_ready(node(i));
        CHECK_WITHIN(SETTLE_MS, active_at(controller_port(i), &other) == id && other == epoch);
    }
    check_pause_ms(100); /* their watches of its port stand */
}

static bool took_over_from(int id, int former, uint64_t epoch)
{
    char text[96];

    (void)snprintf(text, sizeof(text), "event=taking_over active=%d ctl_epoch=%" PRIu64, former,
            epoch);
    return node_log_has(node(id), text);
}

/* A loop of `weir produce` until end_load(), which checks that none failed. */
static struct {
    pid_t pid;
    char *stop, *failed;
} load;

static void begin_load(void)
{
    load.stop = mem_format("%s/load.stop", test_folder());
    load.failed = mem_format("%s/load.failed", test_folder());
    (void)unlink(load.stop);
    (void)unlink(load.failed);
    char *script = mem_format("while [ ! -e %s ]; do seq 100 | %s/clients/cli/weir produce load || "
                              "echo failed >>%s; done",
            load.stop, test_build_root(), load.failed);
    load.pid = run_background((const char *const[]){"sh", "-c", script, NULL}, NULL, "/dev/null");
    mem_free(script);
}

static void end_load(void)
{
    FILE *f = fopen(load.stop, "we");

    CHECK(f != NULL);
    (void)fclose(f);
    CHECK_EQ(run_wait(load.pid, 0, 60000), 0);
    CHECK(access(load.failed, F_OK) != 0);
    load.stop = mem_free(load.stop);
    load.failed = mem_free(load.failed);
}

/* --- Death ---------------------------------------------------------------------------------------------------------- */

/* [ZK-22] [ZK-23] [CTL-22] */
static void sigkill_is_followed_by_the_first_in_line_on_evidence(void)
{
    need_cluster();
    await_calm();
    begin_load();
    for (int round = 0; round < 3; round++) {
        uint64_t epoch = 0, next_epoch = 0;
        int former = await_acting(&epoch);
        int first = former == 1 ? 2 : 1;
        node_kill(node(former));
        CHECK_WITHIN(SETTLE_MS, acts(controller_port(first)));
        CHECK_EQ(active_at(controller_port(first), &next_epoch), first);
        CHECK_EQ(next_epoch, epoch + 1);
        CHECK(took_over_from(first, former, epoch));
        node_start(node(former));
        await_calm();
    }
    end_load();
}

/* [ZK-23] The second in line is dead too, though its registration still stands: the third waits for its turn. */
static void two_that_die_in_turn_are_followed(void)
{
    uint64_t epoch = 0;
    int first = 0, second = 0, third = 0;

    need_cluster();
    await_calm();
    first = await_acting(&epoch);
    node_kill(node(first));
    CHECK_WITHIN(SETTLE_MS, (second = acting()) != 0);
    third = 6 - first - second;
    CHECK_WITHIN(SETTLE_MS, active_at(controller_port(third), &epoch) == second);
    check_pause_ms(100); /* its watch stands */
    node_kill(node(second));
    CHECK_WITHIN(SETTLE_MS, acting() == third);
    CHECK(took_over_from(third, second, epoch));
    node_start(node(first));
    node_start(node(second));
    await_calm();
    (void)WEIR_OK("topic", "create", "after-two", "-p", "1");
}

/* --- Stop and go ---------------------------------------------------------------------------------------------------- */

/* Sends a request and leaves the socket open. */
static int ask_and_leave(int port, const char *request)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval limit = {.tv_sec = 20};

    CHECK(fd >= 0);
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
    CHECK_EQ(connect(fd, (const struct sockaddr *)&in, sizeof(in)), 0);
    CHECK_EQ(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
    return fd;
}

static int status_of(int fd)
{
    char text[256] = "";
    int status = 0;

    CHECK(recv(fd, text, sizeof(text) - 1, MSG_WAITALL) > 0);
    CHECK_EQ(sscanf(text, "HTTP/1.1 %d", &status), 1);
    (void)close(fd);
    return status;
}

/* [ZK-25] [ZK-4] What lay in its sockets is decided by nobody, and it dials nobody. A stopped process still has its port,
 * so nobody takes it for dead before its session ends. KAFKA-6082 */
static void stopped_controller_changes_nothing_when_it_goes_on(void)
{
    static const char post[] = "POST /v1/topics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                               "Content-Type: application/json\r\nContent-Length: 17\r\n\r\n"
                               "{\"name\": \"ghost\"}";
    uint64_t epoch = 0, next_epoch = 0;
    struct run_result r = {0};
    int next = 0;

    need_cluster();
    await_calm();
    begin_load();
    int former = await_acting(&epoch);
    CHECK_EQ(kill(node_pid(node(former)), SIGSTOP), 0);
    int fd = ask_and_leave(controller_port(former), post);
    int standby = former == 1 ? 2 : 1;
    CHECK_WITHIN(SETTLE_MS, (next = active_at(controller_port(standby), &next_epoch)) != former &&
                                    next != 0 && acts(controller_port(next)));
    CHECK(next_epoch > epoch);
    CHECK(!took_over_from(next, former, epoch)); /* it was followed when its session ended */
    (void)WEIR_OK("topic", "create", "while-stopped", "-p", "1");
    CHECK_EQ(kill(node_pid(node(former)), SIGCONT), 0);
    int status = status_of(fd);
    CHECK(status == 307 || status == 503);
    CHECK_WITHIN(SETTLE_MS, active_at(controller_port(former), &epoch) == next);
    CHECK_EQ(epoch, next_epoch);
    CHECK(!acts(controller_port(former)));
    CHECK(node_log_has(node(former), "event=leadership_lost"));
    WEIR(&r, "topic", "describe", "ghost");
    CHECK_EQ(r.code, 3);
    (void)WEIR_OK("topic", "create", "after-stop", "-p", "1");
    CHECK(!node_log_has("broker-1", "is over: epoch")); /* the old one greeted no broker */
    end_load();
    run_result_deinit(&r);
    await_calm();
}

/* --- Transfer ------------------------------------------------------------------------------------------------------- */

static void expect_transfer(int from, int to, uint64_t epoch, bool is_named)
{
    char id[16], line[96];

    (void)snprintf(id, sizeof(id), "%d", to);
    (void)snprintf(line, sizeof(line), "{\"from\":%d,\"to\":%d,\"epoch\":%" PRIu64 "}\n", from, to,
            epoch);
    CHECK_STR(is_named ? WEIR_OK("controller", "transfer", "--to", id, "-O", "jsonl", "--reason",
                                 "new kernel")
                       : WEIR_OK("controller", "transfer", "-O", "jsonl"),
            line);
}

static void expect_refusal(int from, const char *to, int code, const char *text)
{
    struct run_result r = {0};
    char url[64];

    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%d", controller_port(from));
    WEIR(&r, "controller", "transfer", "--to", to, "--controller", url);
    CHECK_EQ(r.code, code);
    if (strstr(buf_str(&r.err), text) == NULL) {
        check_fail(__FILE__, __LINE__, "wanted \"%s\": %s", text, buf_str(&r.err));
    }
    run_result_deinit(&r);
}

/* [ZK-24] */
static void transfer_goes_to_the_one_that_is_named_or_to_any(void)
{
    uint64_t epoch = 0;
    struct run_result r = {0};
    char self[16];

    need_cluster();
    await_calm();
    begin_load();
    for (int round = 0; round < 4; round++) {
        int from = await_acting(&epoch);
        int to = round == 3 ? (from == 1 ? 2 : 1) : from % N_CONTROLLERS + 1;
        expect_transfer(from, to, epoch + 1, round != 3);
        CHECK_WITHIN(SETTLE_MS, acts(controller_port(to)));
        CHECK(!acts(controller_port(from)));
        CHECK(took_over_from(to, from, epoch));
        await_calm();
    }
    end_load();
    CHECK(node_log_has("controller-1", "event=transfer_asked") &&
            node_log_has("controller-1", "reason=\"new kernel\""));
    int last = await_acting(&epoch);
    (void)snprintf(self, sizeof(self), "%d", last);
    expect_refusal(last, self, 4, "is the active one already");
    expect_refusal(last % N_CONTROLLERS + 1, "9", 2, "no controller 9 is registered");
    WEIR(&r, "controller", "transfer", "--dry-run");
    CHECK_EQ(r.code, 2);
    WEIR(&r, "controller", "transfer", "--reason", "two\nlines");
    CHECK_EQ(r.code, 2);
    run_result_deinit(&r);
    CHECK(strstr(WEIR_OK("controller", "list"), "active") != NULL);
    CHECK_EQ(await_acting(&epoch), last);
}

/* [ZK-24] Decisions that are asked for meanwhile are made or refused; none has an unknown outcome. */
static void transfer_leaves_no_decision_unknown(void)
{
    uint64_t epoch = 0;
    char *log = mem_format("%s/creates.log", test_folder());

    need_cluster();
    await_calm();
    char *script = mem_format("for i in $(seq 1 30); do %s/clients/cli/weir topic create t-$i -p 1 "
                              "--timeout 10s; echo \"exit $?\"; done",
            test_build_root());
    pid_t pid = run_background((const char *const[]){"sh", "-c", script, NULL}, NULL, log);
    for (int round = 0; round < 4; round++) {
        int from = await_acting(&epoch);
        expect_transfer(from, from % N_CONTROLLERS + 1, epoch + 1, true);
    }
    CHECK_EQ(run_wait(pid, 0, 120000), 0);
    char *unknown = mem_format("! grep -q 'took effect' %s && grep -q 'exit 0' %s", log, log);
    CHECK_EQ(system(unknown), 0);
    mem_free(unknown);
    mem_free(script);
    mem_free(log);
    await_calm();
}

/* [ZK-24] */
static void standby_that_does_not_answer_is_not_ready(void)
{
    uint64_t epoch = 0;
    char id[16];

    need_cluster();
    await_calm();
    int from = await_acting(&epoch);
    int to = from % N_CONTROLLERS + 1;
    (void)snprintf(id, sizeof(id), "%d", to);
    CHECK_EQ(kill(node_pid(node(to)), SIGSTOP), 0);
    expect_refusal(from, id, 4, "is not ready: its HTTP endpoint gives no answer");
    CHECK_EQ(kill(node_pid(node(to)), SIGCONT), 0);
    CHECK_EQ(acting(), from);
    await_calm();
}

/* [ZK-26] A broker that hangs accepts connections from everybody: no standby reaches more. */
static void brokers_that_hang_are_no_reason_to_hand_over(void)
{
    uint64_t epoch = 0, after = 0;

    need_cluster();
    await_calm();
    int id = await_acting(&epoch);
    CHECK_EQ(kill(node_pid("broker-1"), SIGSTOP), 0);
    CHECK_WITHIN(
            SETTLE_MS, node_log_has(node(id), "no standby that is ready reaches more brokers"));
    CHECK_EQ(kill(node_pid("broker-1"), SIGCONT), 0);
    CHECK_EQ(await_acting(&after), id);
    CHECK_EQ(after, epoch);
    CHECK(!node_log_has(node(id), "silent -> fenced"));
    node_wait_ready("broker-1");
    (void)WEIR_OK("topic", "create", "after-hang", "-p", "1");
}

/* --- A candidate that this program plays ---------------------------------------------------------------------------- */

static struct {
    struct loop *loop;
    struct resolver *resolver;
    struct zk *zk;
    struct http_server *server;
    bool is_created;
    int listener;
    uint16_t port;
} played = {.listener = -1};

static void on_session(void *ctx)
{
}

static bool is_connected(void *ctx)
{
    return zk_is_connected(played.zk);
}

static void on_created(void *ctx, enum zk_rc rc)
{
    CHECK_EQ(rc, ZK_OK);
    played.is_created = true;
}

static bool is_created(void *ctx)
{
    return played.is_created;
}

static void on_request(void *ctx, struct http_request *r)
{
    static const char ready[] = "{\"ready\": true, \"detail\": \"\", \"reached\": [1]}";

    http_reply(r, 200, "application/json", ready, sizeof(ready) - 1);
}

static void play_candidate(int32_t id)
{
    const struct http_limits limits = {.body_max = 1024, .idle_timeout = WTIME_S(10)};
    struct zk_options options = {.session_timeout_ms = 20000, .on_session = on_session};
    struct msg_candidate m = {.controller_id = id, .version = "played", .feature_level = 1};
    char error[256], path[64], url[64], connect[64];
    char *digest_path = node_path("controller-1", "../digest"), *digest = NULL;
    struct buf value = {0};

    (void)snprintf(connect, sizeof(connect), "127.0.0.1:%d", zookeeper_port(1));
    CHECK_EQ(auth_digest_load(digest_path, &digest, error, sizeof(error)), 0);
    options.digest = digest;
    played.loop = loop_new("played");
    played.resolver = resolver_new();
    CHECK_EQ(http_server_new(
                     played.loop, "127.0.0.1", 0, &limits, on_request, NULL, &played.server),
            0);
    options.connect = connect;
    CHECK_EQ(zk_new(played.loop, played.resolver, &options, &played.zk, error, sizeof(error)), 0);
    CHECK(loop_until(played.loop, 10000, is_connected, NULL));
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u",
            (unsigned)http_server_port(played.server));
    (void)snprintf(path, sizeof(path), "%s/%d", ZK_PATH_CONTROLLERS, (int)id);
    m.http = url;
    wire_encode_candidate(&m, &value);
    zk_create(played.zk, path, (struct bytes){value.data, value.size}, ZK_EPHEMERAL, on_created,
            NULL);
    CHECK(loop_until(played.loop, 10000, is_created, NULL));
    buf_deinit(&value);
    mem_free(digest_path);
    mem_free(digest);
}

static void play_end(void)
{
    zk_free(played.zk);
    http_server_free(played.server);
    resolver_free(played.resolver);
    loop_free(played.loop);
}

struct transfer_run {
    pid_t pid;
    int code;
};

static bool has_ended(void *ctx)
{
    struct transfer_run *t = ctx;

    if (process_is_alive(t->pid)) {
        return false;
    }
    t->code = run_wait(t->pid, 0, 1000);
    return true;
}

/* [ZK-24] It is ready when it is asked, is named, and does not come: the name is taken back, the old one goes on. */
static void successor_that_does_not_come_is_not_waited_for(void)
{
    uint64_t epoch = 0, after = 0;
    struct transfer_run t = {0};

    need_cluster();
    await_calm();
    int from = await_acting(&epoch);
    play_candidate(99);
    char *log = mem_format("%s/transfer.log", test_folder());
    char *weir = mem_format("%s/clients/cli/weir", test_build_root());
    char *says = mem_format("grep -q 'controller 99 did not take over within 3 s' %s", log);
    loop_for(played.loop, 200);
    t.pid = run_background(
            (const char *const[]){weir, "controller", "transfer", "--to", "99", NULL}, NULL, log);
    CHECK(loop_until(played.loop, 15000, has_ended, &t));
    CHECK_EQ(t.code, 6);
    CHECK_EQ(system(says), 0);
    play_end();
    CHECK_EQ(await_acting(&after), from);
    CHECK_EQ(after, epoch);
    (void)WEIR_OK("topic", "create", "after-taken-back", "-p", "1");
    expect_transfer(from, from % N_CONTROLLERS + 1, epoch + 1, true);
    await_calm();
    mem_free(says);
    mem_free(weir);
    mem_free(log);
}

/* --- Addresses that mislead ----------------------------------------------------------------------------------------- */

/* Controllers 11 and 12 of a cluster of their own on the same ZooKeeper, which advertise what the test says. */
static struct {
    pid_t pids[2];
    int ports[2];
    char *logs[2];
} pair;

static void start_one(int i, const char *chroot, const char *advertised)
{
    char *program = mem_format("%s/controller/weir-controller", test_build_root());
    char *id = mem_format("controller.id=%d", 11 + i);
    char *zookeeper = mem_format("zookeeper.connect=127.0.0.1:%d%s", zookeeper_port(1), chroot);
    char *listen = mem_format("http.listen=127.0.0.1:%d", pair.ports[i]);
    char *address = mem_format("http.advertised=%s", advertised);

    pair.logs[i] = mem_format("%s%s-%d.log", test_folder(), chroot, i);
    pair.pids[i] = run_background(
            (const char *const[]){program, "--set", id, "--set", zookeeper, "--set", listen,
                    "--set", address, "--set", "zookeeper.session.timeout.ms=2000", NULL},
            NULL, pair.logs[i]);
    mem_free(program);
    mem_free(id);
    mem_free(zookeeper);
    mem_free(listen);
    mem_free(address);
}

static bool is_ready(int i)
{
    struct buf b = {0};
    bool ready = http_request(pair.ports[i], "GET", "/readyz", NULL, false, &b) == 200;

    buf_deinit(&b);
    return ready;
}

/* The first is active, the second stands by. */
static void start_pair(const char *chroot, const char *advertised_0, const char *advertised_1)
{
    int port = free_port_base();

    pair.ports[0] = port;
    pair.ports[1] = port + 1;
    start_one(0, chroot, advertised_0);
    CHECK_WITHIN(SETTLE_MS, acts(pair.ports[0]));
    start_one(1, chroot, advertised_1);
    CHECK_WITHIN(SETTLE_MS, is_ready(1));
}

static bool pair_log_has(int i, const char *text)
{
    char *command = mem_format("grep -q '%s' %s", text, pair.logs[i]);
    bool has = system(command) == 0;

    mem_free(command);
    return has;
}

static void stop_pair(void)
{
    for (int i = 0; i < 2; i++) {
        if (pair.pids[i] != 0) {
            CHECK_EQ(run_wait(pair.pids[i], SIGTERM, 10000), 0);
            pair.pids[i] = 0;
        }
        CHECK(!pair_log_has(i, "Sanitizer"));
        pair.logs[i] = mem_free(pair.logs[i]);
    }
}

/* [ZK-22] Nobody listens where they say that they do. They do not depose each other for it, and a death is noticed when
 * the session ends. */
static void wrong_advertised_address_starts_no_duel(void)
{
    uint64_t epoch = 0, after = 0;

    need_cluster();
    start_pair("/wrong", "http://127.0.0.1:1", "http://127.0.0.1:1");
    CHECK_EQ(active_at(pair.ports[1], &epoch), 11);
    check_pause_ms(1000);
    CHECK_EQ(active_at(pair.ports[1], &after), 11);
    CHECK_EQ(after, epoch);
    (void)run_wait(pair.pids[0], SIGKILL, 5000);
    pair.pids[0] = 0;
    CHECK_WITHIN(SETTLE_MS, acts(pair.ports[1]));
    CHECK(!pair_log_has(1, "event=taking_over"));
    stop_pair();
}

static void open_played_port(void)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    socklen_t size = sizeof(in);

    played.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    CHECK(played.listener >= 0);
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK_EQ(bind(played.listener, (const struct sockaddr *)&in, sizeof(in)), 0);
    CHECK_EQ(listen(played.listener, 16), 0);
    CHECK_EQ(getsockname(played.listener, (struct sockaddr *)&in, &size), 0);
    played.port = ntohs(in.sin_port);
}

/* Accepts one connection, if there is one, and closes it. */
static bool drop_one(void)
{
    int fd = accept4(played.listener, NULL, NULL, SOCK_CLOEXEC);

    if (fd < 0) {
        return false;
    }
    (void)close(fd);
    return true;
}

/* [ZK-22] [ZK-23] The active one's address is this program's: connections that end and can be made again are no
 * evidence. A port that then refuses is: the active one is followed although it lives, once, and stands by. */
static void closed_connections_are_no_evidence_and_false_evidence_costs_one_change(void)
{
    uint64_t epoch = 0, after = 0;
    char misleading[64], right[64];

    need_cluster();
    open_played_port();
    (void)snprintf(misleading, sizeof(misleading), "http://127.0.0.1:%u", (unsigned)played.port);
    (void)snprintf(right, sizeof(right), "http://127.0.0.1:%d", free_port_base() + 1);
    start_pair("/misled", misleading, right);
    (void)snprintf(right, sizeof(right), "http://127.0.0.1:%d", pair.ports[1]);
    for (int i = 0; i < 5; i++) {
        CHECK_WITHIN(SETTLE_MS, drop_one());
    }
    check_pause_ms(300);
    CHECK_EQ(active_at(pair.ports[1], &epoch), 11);
    CHECK_EQ(close(played.listener), 0);
    CHECK_WITHIN(SETTLE_MS, acts(pair.ports[1]));
    CHECK(pair_log_has(1, "event=taking_over active=11"));
    CHECK_WITHIN(SETTLE_MS, active_at(pair.ports[0], &after) == 12);
    check_pause_ms(500);
    CHECK_EQ(active_at(pair.ports[0], &after), 12);
    CHECK_EQ(after, epoch + 1);
    CHECK(!acts(pair.ports[0]));
    stop_pair();
}

static void the_cluster_goes_down_whole(void)
{
    need_cluster();
    cluster_down();
    CHECK(!cluster_is_up());
}

static const struct check_case cases[] = {
        CASE(sigkill_is_followed_by_the_first_in_line_on_evidence),
        CASE(two_that_die_in_turn_are_followed),
        CASE(stopped_controller_changes_nothing_when_it_goes_on),
        CASE(transfer_goes_to_the_one_that_is_named_or_to_any),
        CASE(transfer_leaves_no_decision_unknown),
        CASE(standby_that_does_not_answer_is_not_ready),
        CASE(brokers_that_hang_are_no_reason_to_hand_over),
        CASE(successor_that_does_not_come_is_not_waited_for),
        CASE(wrong_advertised_address_starts_no_duel),
        CASE(closed_connections_are_no_evidence_and_false_evidence_costs_one_change),
        CASE(the_cluster_goes_down_whole),
};

CHECK_MAIN("election", cases)
