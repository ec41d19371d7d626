/* SPDX-License-Identifier: Apache-2.0 */
/* A cut between the active controller and all brokers, in network namespaces of this program's own. They have no names
 * and go with their processes. Numbers in brackets are rules of docs/design/20-zookeeper.md.
 *
 *    A: controller 1            H: this program, ZooKeeper,           B: brokers 1, 2, 3
 *    10.77.1.2 ─────────────────── controller 2, routes ──────────────── 10.77.2.2
 *                   10.77.1.1                          10.77.2.1
 */
#include "common/base/array.h"
#include "common/base/mem.h"
#include "common/wire/messages.h"
#include "common/zk/zk.h"
#include "common/zk/zk_paths.h"
#include "tests/lib/check.h"
#include "tests/lib/cluster.h"
#include "tests/lib/loop_until.h"
#include "tests/lib/netns.h"
#include "tests/lib/zkserver.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    N_BROKERS = 3,
    SETTLE_MS = 30000
};

#define A_ADDRESS "10.77.1.2"
#define H_ADDRESS "10.77.1.1"
#define B_ADDRESS "10.77.2.2"

static struct {
    struct zkserver *server;
    pid_t a, b; /* processes that hold the namespaces */
    pid_t controllers[3], brokers[N_BROKERS + 1];
} t;

/* --- Namespaces ----------------------------------------------------------------------------------------------------- */

static void connect_namespace(pid_t pid, int subnet)
{
    netns_run("ip link add v%d type veth peer name eth0 netns %d", subnet, (int)pid);
    netns_run("ip addr add 10.77.%d.1/24 dev v%d && ip link set v%d up", subnet, subnet, subnet);
    netns_run("nsenter -t %d -n sh -c 'ip link set lo up && ip addr add 10.77.%d.2/24 dev eth0 && "
              "ip link set eth0 up && ip route add default via 10.77.%d.1'",
            (int)pid, subnet, subnet);
}

static void cut(void)
{
    netns_run("ip rule add from " A_ADDRESS " to " B_ADDRESS " blackhole");
    netns_run("ip rule add from " B_ADDRESS " to " A_ADDRESS " blackhole");
}

static void heal(void)
{
    netns_run("ip rule del from " A_ADDRESS " to " B_ADDRESS);
    netns_run("ip rule del from " B_ADDRESS " to " A_ADDRESS);
}

/* --- Daemons -------------------------------------------------------------------------------------------------------- */

static char *log_path(const char *name)
{
    return mem_format("%s/%s.log", test_folder(), name);
}

/* What all daemons prove: the brokers listen beyond their machine. */
static void write_secret(void)
{
    char *path = mem_format("%s/secret", test_folder());
    FILE *f = fopen(path, "we");

    CHECK(f != NULL);
    CHECK_EQ(fchmod(fileno(f), 0600), 0);
    CHECK(fputs("the secret of five namespaces\n", f) >= 0);
    CHECK_EQ(fclose(f), 0);
    mem_free(path);
}

/* `holder` 0 = here. */
static pid_t start(pid_t holder, const char *program, const char *name, const char *conf)
{
    char *path = mem_format("%s/%s", test_build_root(), program);
    char *file = mem_format("%s/%s.conf", test_folder(), name);
    char *log = log_path(name);
    char target[16];
    FILE *f = fopen(file, "we");

    (void)snprintf(target, sizeof(target), "%d", (int)(holder != 0 ? holder : getpid()));
    CHECK(f != NULL);
    CHECK(fprintf(f,
                  "%szookeeper.connect = " H_ADDRESS ":%u\nzookeeper.session.timeout.ms = 6000\n"
                  "weir.cluster.secret.file = %s/secret\n",
                  conf, (unsigned)zkserver_port(t.server, 0), test_folder()) > 0);
    CHECK_EQ(fclose(f), 0);
    pid_t pid = run_background((const char *const[]){"nsenter", "-t", target, "-n", "--", path,
                                       "--config", file, NULL},
            NULL, log);
    mem_free(path);
    mem_free(file);
    mem_free(log);
    return pid;
}

static void start_controller(int id, pid_t holder, const char *address)
{
    char *conf = mem_format("controller.id = %d\nhttp.listen = %s:%d\n"
                            "weir.broker.timeout.ms = 1500\n",
            id, address, 9180 + id);
    char name[32];

    (void)snprintf(name, sizeof(name), "controller-%d", id);
    t.controllers[id] = start(holder, "controller/weir-controller", name, conf);
    mem_free(conf);
}

static void start_broker(int id)
{
    char *dir = mem_format("%s/data-%d", test_folder(), id);
    char *conf = mem_format("broker.id = %d\nlog.dirs = %s\nlisteners = weir://" B_ADDRESS
                            ":%d\nhttp.listen = " B_ADDRESS ":%d\n",
            id, dir, 9190 + id, 9290 + id);
    char name[32];

    CHECK_EQ(mkdir(dir, 0755), 0);
    (void)snprintf(name, sizeof(name), "broker-%d", id);
    t.brokers[id] = start(t.b, "broker/weir-broker", name, conf);
    mem_free(conf);
    mem_free(dir);
}

/* One GET with curl; "" = no answer. */
static const char *get(const char *address, int port, const char *path)
{
    static struct run_result r;
    char url[256];

    (void)snprintf(url, sizeof(url), "http://%s:%d%s", address, port, path);
    run_program(
            (const char *const[]){"curl", "-s", "--noproxy", "*", "-m", "3", url, NULL}, NULL, &r);
    return buf_str(&r.out);
}

static bool acts(int id)
{
    const char *address = id == 1 ? A_ADDRESS : H_ADDRESS;

    return strstr(get(address, 9180 + id, "/metrics"), "\nweir_controller_active 1\n") != NULL;
}

static int count(const char *text, const char *what)
{
    int n = 0;

    for (const char *at = text; (at = strstr(at, what)) != NULL; at++) {
        n++;
    }
    return n;
}

static bool log_has(const char *name, const char *text)
{
    char *log = log_path(name);
    char *command = mem_format("grep -q '%s' %s", text, log);
    bool has = system(command) == 0;

    mem_free(command);
    mem_free(log);
    return has;
}

/* --- The metadata log ----------------------------------------------------------------------------------------------- */

struct outcome {
    bool is_done;
    enum zk_rc rc;
    ARRAY(char *) names;
    unsigned n_fences;
};

static bool is_done(void *ctx)
{
    return ((struct outcome *)ctx)->is_done;
}

static void on_names(void *ctx, enum zk_rc rc, const char *const *names, size_t n)
{
    struct outcome *o = ctx;

    for (size_t i = 0; i < n; i++) {
        *array_push(&o->names) = mem_strdup(names[i]);
    }
    o->rc = rc;
    o->is_done = true;
}

static void on_batch(void *ctx, enum zk_rc rc, struct bytes data, const struct zk_stat *stat)
{
    struct outcome *o = ctx;
    struct arena a;
    struct msg_batch batch = {0};
    struct msg_record_list list = {0};

    arena_init(&a, 0);
    CHECK_EQ(rc, ZK_OK);
    CHECK_EQ(wire_decode_batch(data, &a, &batch), 0);
    CHECK_EQ(wire_decode_record_list(batch.payload, &a, &list), 0);
    for (size_t i = 0; i < list.n_records; i++) {
        o->n_fences += list.records[i].kind == META_FENCE_BROKER;
    }
    arena_deinit(&a);
    o->is_done = true;
}

static void on_session(void *ctx)
{
}

static bool is_connected(void *ctx)
{
    return zk_is_connected(ctx);
}

/* FENCE_BROKER records in the whole log. */
static unsigned count_fences(void)
{
    struct loop *loop = loop_new("test");
    struct resolver *resolver = resolver_new();
    struct zk_options options = {.connect = zkserver_connect(t.server),
            .session_timeout_ms = 20000,
            .on_session = on_session};
    struct outcome o = {0};
    struct zk *zk = NULL;
    char error[256], path[128];

    CHECK_EQ(zk_new(loop, resolver, &options, &zk, error, sizeof(error)), 0);
    CHECK(loop_until(loop, 10000, is_connected, zk));
    zk_children(zk, ZK_PATH_META_LOG, NULL, on_names, &o);
    CHECK(loop_until(loop, 10000, is_done, &o));
    CHECK_EQ(o.rc, ZK_OK);
    CHECK(o.names.n > 0);
    ARRAY_FOREACH (name, &o.names) {
        o.is_done = false;
        (void)snprintf(path, sizeof(path), "%s/%s", ZK_PATH_META_LOG, *name);
        zk_get(zk, path, NULL, on_batch, &o);
        CHECK(loop_until(loop, 10000, is_done, &o));
        mem_free(*name);
    }
    array_deinit(&o.names);
    zk_free(zk);
    resolver_free(resolver);
    loop_free(loop);
    return o.n_fences;
}

/* --- The case ------------------------------------------------------------------------------------------------------- */

static void begin(void)
{
    netns_run("echo 1 >/proc/sys/net/ipv4/ip_forward");
    t.a = netns_hold();
    t.b = netns_hold();
    connect_namespace(t.a, 1);
    connect_namespace(t.b, 2);
    zkserver_listen_everywhere();
    t.server = zkserver_new(1, 0);
    write_secret();
    start_controller(1, t.a, A_ADDRESS);
    CHECK_WITHIN(SETTLE_MS, acts(1));
    start_controller(2, 0, H_ADDRESS);
    for (int id = 1; id <= N_BROKERS; id++) {
        start_broker(id);
    }
    CHECK_WITHIN(SETTLE_MS,
            count(get(A_ADDRESS, 9181, "/v1/brokers"), "\"state\": \"up\"") == N_BROKERS);
    CHECK_WITHIN(SETTLE_MS, strstr(get(H_ADDRESS, 9182, "/readyz"), "\"status\": \"ok\"") != NULL);
    CHECK_EQ(setenv("WEIR_BROKERS", B_ADDRESS ":9191," B_ADDRESS ":9192", 1), 0);
    CHECK_EQ(setenv("WEIR_CONTROLLER", "http://" H_ADDRESS ":9182", 1), 0);
    (void)WEIR_OK("topic", "create", "cut", "-p", "6");
}

static void end(void)
{
    for (int id = 1; id <= 2; id++) {
        CHECK_EQ(run_wait(t.controllers[id], SIGTERM, 15000), 0);
    }
    for (int id = 1; id <= N_BROKERS; id++) {
        CHECK_EQ(run_wait(t.brokers[id], SIGTERM, 30000), 0);
    }
    t.server = zkserver_free(t.server);
    (void)run_wait(t.a, SIGKILL, 5000);
    (void)run_wait(t.b, SIGKILL, 5000);
    CHECK(!log_has("controller-1", "Sanitizer"));
    CHECK(!log_has("controller-2", "Sanitizer"));
}

static void produce(const char *text)
{
    struct run_result r = {0};

    WEIR_WITH(&r, (&(struct run_options){.input = text}), "produce", "cut");
    if (r.code != 0) {
        check_fail(__FILE__, __LINE__, "produce: %d: %s", r.code, buf_str(&r.err));
    }
    CHECK_EQ(r.code, 0);
    run_result_deinit(&r);
}

/* Of the whole list of partitions: who leads under which epoch. */
static char *leaders(void)
{
    return mem_strdup(get(H_ADDRESS, 9182, "/v1/topics/cut/partitions"));
}

/* [ZK-26] [ZK-42] [CTL-20] ZooKeeper hears both controllers, and nobody but the active one misses the brokers. */
static void controller_that_is_cut_from_all_brokers_hands_over_and_no_leader_changes(void)
{
    begin();
    char *before = leaders();
    CHECK_EQ(count(before, "\"state\": \"online\""), 6);
    unsigned n_fences = count_fences();
    cut();
    produce("cut\n");
    CHECK_WITHIN(SETTLE_MS, acts(2));
    CHECK(log_has("controller-1", "event=most_brokers_silent"));
    CHECK(log_has("controller-1", "event=handing_over to=2"));
    CHECK(!acts(1));
    CHECK_WITHIN(SETTLE_MS,
            count(get(H_ADDRESS, 9182, "/v1/brokers"), "\"state\": \"up\"") == N_BROKERS &&
                    count(get(H_ADDRESS, 9182, "/v1/brokers"), "\"problem\": null") == N_BROKERS);
    produce("during\n");
    (void)WEIR_OK("topic", "create", "during", "-p", "3");
    char *during = leaders();
    CHECK_STR(during, before);
    CHECK_EQ(count_fences(), n_fences);
    heal();
    produce("after\n");
    CHECK_EQ(count(WEIR_OK("controller", "transfer", "--to", "1"), "controller 1 is active"), 1);
    CHECK_WITHIN(SETTLE_MS, acts(1));
    (void)WEIR_OK("topic", "create", "after", "-p", "3");
    char *after = leaders();
    CHECK_STR(after, before);
    CHECK_EQ(count_fences(), n_fences);
    mem_free(before);
    mem_free(during);
    mem_free(after);
    end();
}

static const struct check_case cases[] = {
        CASE(controller_that_is_cut_from_all_brokers_hands_over_and_no_leader_changes),
};

/* This program itself is in the namespace H. */
int main(int argc, char **argv)
{
    if (!netns_enter()) {
        printf("ok 1 - netns # SKIP network namespaces are for root only\n1..1\n");
        return 0;
    }
    return check_main("netns", cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
}
