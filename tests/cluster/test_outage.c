/* SPDX-License-Identifier: Apache-2.0 */
/* ZooKeeper goes away in all the ways it can, under load, and controllers do. Produce with acks 0, 1 and all and fetch
 * go on without an error; administration stops meanwhile and works afterwards. WEIR_OUTAGE_S=300
 * makes the outages five minutes long. */
#include "tests/lib/check.h"
#include "tests/lib/cluster.h"
#include "tests/lib/loads.h"
#include "tests/lib/seen.h"
#include "tests/lib/zkserver.h"

#include "common/base/array.h"
#include "common/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <jansson.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    N_SERVERS = 3,
    N_BROKERS = 3,
    SESSION_MS = 2000,
    LEASE_MS = 2000,
    BACK_MS = 30000 /* generous: for administration after an outage */
};

static const char *const servers[] = {"zookeeper-1", "zookeeper-2", "zookeeper-3"};
static unsigned server_address[N_SERVERS] = {1, 1, 1}; /* 127.0.0.x */

static int outage_ms(void)
{
    const char *seconds = getenv("WEIR_OUTAGE_S");

    return seconds != NULL ? 1000 * (int)strtol(seconds, NULL, 10) : 5 * SESSION_MS / 2;
}

/* A case that failed may have left servers stopped or gone. */
static void mend_servers(void)
{
    for (int i = 0; i < N_SERVERS; i++) {
        pid_t pid = node_pid(servers[i]);
        if (pid > 0) {
            (void)kill(pid, SIGCONT);
        } else {
            node_start(servers[i]);
        }
    }
}

static void need_cluster(void)
{
    if (cluster_is_up()) {
        mend_servers();
    } else {
        cluster_up((const char *const[]){
                "--set", "zookeeper.session.timeout.ms=2000", "--set", "weir.lease.ms=2000", NULL});
    }
}

/* --- ZooKeeper -------------------------------------------------------------------------------- */

static const char *server_mode(int i)
{
    return zkserver_mode_at(0x7f000000U + server_address[i], (uint16_t)zookeeper_port(i + 1));
}

static void wait_serving(int i)
{
    CHECK_WITHIN(BACK_MS, server_mode(i)[0] != '\0');
}

static int leader_of_ensemble(void)
{
    int leader = -1;

    for (int i = 0; i < N_SERVERS && leader < 0; i++) {
        leader = strcmp(server_mode(i), "leader") == 0 ? i : -1;
    }
    return leader;
}

/* Directly: `weir dev kill` waits for one after the other. */
static void signal_servers(int signal_number, int n)
{
    for (int i = 0; i < n; i++) {
        pid_t pid = node_pid(servers[i]);
        CHECK(pid > 0); /* 0 would be this test's own process group */
        CHECK_EQ(kill(pid, signal_number), 0);
    }
}

static void start_servers(int n)
{
    for (int i = 0; i < n; i++) {
        CHECK_WITHIN(10000, node_pid(servers[i]) == 0);
        node_start(servers[i]);
    }
}

/* --- What the daemons say --------------------------------------------------------------------- */

static bool answer_has(int port, const char *path, const char *text)
{
    struct buf b = {0};
    bool has = http_request(port, "GET", path, NULL, false, &b) != 0 &&
               strstr(buf_str(&b), text) != NULL;

    buf_deinit(&b);
    return has;
}

static bool all_brokers_say(const char *path, const char *text)
{
    bool all = true;

    for (int id = 1; id <= N_BROKERS; id++) {
        all = all && answer_has(broker_http_port(id), path, text);
    }
    return all;
}

static bool administration_works(const char *topic)
{
    struct run_result r = {0};

    WEIR(&r, "topic", "create", topic, "-p", "1", "--if-not-exists");
    bool works = r.code == 0;
    run_result_deinit(&r);
    return works;
}

static void administration_is_back(const char *topic)
{
    CHECK_WITHIN(BACK_MS, administration_works(topic));
    (void)WEIR_OK("topic", "delete", topic, "--yes");
    for (int id = 1; id <= N_BROKERS; id++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "broker-%d", id);
        node_wait_ready(name);
    }
    CHECK_WITHIN(BACK_MS, all_brokers_say("/metrics", "\nweir_broker_isolated 0\n"));
}

static void administration_says_why_not(void)
{
    struct run_result r = {0};

    WEIR(&r, "status");
    CHECK_EQ(r.code, 10);
    CHECK(strstr(buf_str(&r.out), "ZooKeeper is not connected") != NULL);
    WEIR(&r, "topic", "create", "late", "-p", "1");
    CHECK_EQ(r.code, 6);
    CHECK(strstr(buf_str(&r.err), "without ZooKeeper nothing can be decided") != NULL);
    run_result_deinit(&r);
}

static int64_t number(const json_t *o, const char *key)
{
    return json_integer_value(json_object_get(o, key));
}

struct epochs {
    int64_t of[N_BROKERS];
};

static struct epochs incarnations(void)
{
    struct run_result r = {0};
    struct epochs e = {0};
    json_error_t error;

    WEIR(&r, "broker", "list", "-O", "json");
    json_t *list = json_loads(buf_str(&r.out), 0, &error);
    for (size_t i = 0; i < N_BROKERS; i++) {
        e.of[i] = number(
                json_array_get(json_is_array(list) ? list : json_object_get(list, "items"), i),
                "epoch");
        CHECK(e.of[i] > 0);
    }
    json_decref(list);
    run_result_deinit(&r);
    return e;
}

static int n_changed(struct epochs a, struct epochs b)
{
    int n = 0;

    for (size_t i = 0; i < N_BROKERS; i++) {
        n += a.of[i] != b.of[i] ? 1 : 0;
    }
    return n;
}

/* --- Outages ---------------------------------------------------------------------------------- */

/* Waits out the outage, in which administration says why it does not work. */
static void stay_away(int64_t began)
{
    struct meter m;

    CHECK_WITHIN(BACK_MS, all_brokers_say("/metrics", "\nweir_broker_isolated 1\n"));
    CHECK(all_brokers_say("/readyz", "zookeeper"));
    administration_says_why_not();
    meter_start(&m);
    do {
        check_pause_ms(1000); /* also how long the meter runs at least */
    } while (check_now_ms() - began < outage_ms());
    meter_end(&m, 20);
}

static int verify(const char *history)
{
    struct run_result r = {0};
    char *program = mem_format("%s/tests/lib/weir_load", test_build_root());

    run_program((const char *const[]){program, "verify", "judged", "--history", history, NULL},
            NULL, &r);
    mem_free(program);
    run_result_deinit(&r);
    return r.code;
}

/* Who judges the other cases is judged first. */
static void the_load_finds_what_is_missing(void)
{
    char *history = mem_format("%s/history", test_folder());
    char *program = mem_format("%s/tests/lib/weir_load", test_build_root());
    struct run_result r = {0};

    need_cluster();
    (void)WEIR_OK("topic", "create", "judged", "-p", "2");
    run_program((const char *const[]){program, "judged", "--id", "a", "--for", "500ms", "--rate",
                        "200", "--history", history, NULL},
            NULL, &r);
    CHECK_EQ(r.code, 0);
    CHECK(strstr(buf_str(&r.out), "\"missing\": 0") != NULL);
    CHECK_EQ(verify(history), 0);
    FILE *f = fopen(history, "ae");
    CHECK(f != NULL);
    CHECK(fputs("{\"i\":1000000,\"process\":0,\"t\":1,\"type\":\"invoke\",\"f\":\"send\","
                "\"value\":[\"judged\",0,\"a-1000000\",null]}\n"
                "{\"i\":1000001,\"process\":0,\"t\":2,\"type\":\"ok\",\"f\":\"send\","
                "\"value\":[\"judged\",0,\"a-1000000\",7]}\n",
                  f) >= 0);
    CHECK_EQ(fclose(f), 0);
    CHECK_EQ(verify(history), 1);
    CHECK_EQ(verify("/nowhere"), 3);
    (void)WEIR_OK("topic", "delete", "judged", "--yes");
    run_result_deinit(&r);
    mem_free(program);
    mem_free(history);
}

static void all_servers_die_and_come_back(void)
{
    struct loads l;

    need_cluster();
    loads_start(&l, "killed");
    struct epochs before = incarnations();
    int64_t began = check_now_ms();
    signal_servers(SIGKILL, N_SERVERS);
    stay_away(began);
    start_servers(N_SERVERS);
    administration_is_back("after-killed");
    CHECK_EQ(n_changed(before, incarnations()), 0); /* [ZK-17] */
    loads_end(&l, true);
}

static void all_servers_freeze_and_thaw(void)
{
    struct loads l;

    need_cluster();
    loads_start(&l, "frozen");
    struct epochs before = incarnations();
    int64_t began = check_now_ms();
    signal_servers(SIGSTOP, N_SERVERS);
    stay_away(began);
    signal_servers(SIGCONT, N_SERVERS);
    administration_is_back("after-frozen");
    /* The servers' clocks went on: they have ended every session that was silent for so long. */
    int n = n_changed(before, incarnations());
    printf("# %d brokers have a new incarnation\n", n);
    loads_end(&l, n == 0);
}

static void two_servers_of_three_die_and_come_back(void)
{
    struct loads l;

    need_cluster();
    loads_start(&l, "minority");
    struct epochs before = incarnations();
    int64_t began = check_now_ms();
    signal_servers(SIGKILL, 2);
    stay_away(began);
    start_servers(2);
    administration_is_back("after-minority");
    CHECK_EQ(n_changed(before, incarnations()), 0); /* [ZK-17] */
    loads_end(&l, true);
}

static void the_loss_of_each_server_stops_nothing(void)
{
    struct loads l;
    char topic[32];

    need_cluster();
    loads_start(&l, "rolling");
    struct epochs before = incarnations();
    for (int i = 0; i < N_SERVERS; i++) {
        CHECK_WITHIN(BACK_MS, leader_of_ensemble() >= 0);
        /* First the leader by surprise, then the others in order. */
        int victim = i == 0 ? leader_of_ensemble() : i;
        if (i == 0) {
            node_kill(servers[victim]);
        } else {
            node_stop(servers[victim]);
        }
        (void)snprintf(topic, sizeof(topic), "without-%d", i);
        CHECK_WITHIN(BACK_MS, administration_works(topic));
        (void)WEIR_OK("topic", "delete", topic, "--yes");
        node_start(servers[victim]);
        wait_serving(victim);
    }
    administration_is_back("after-rolling");
    CHECK_EQ(n_changed(before, incarnations()), 0);
    loads_end(&l, true);
}

static int64_t greatest_leader_epoch(const char *topic)
{
    struct run_result r = {0};
    json_error_t error;
    json_t *partition;
    size_t i;
    int64_t greatest = -1;

    WEIR(&r, "topic", "describe", topic, "-O", "json");
    json_t *o = json_loads(buf_str(&r.out), 0, &error);
    json_array_foreach(json_object_get(o, "partition_list"), i, partition)
    {
        int64_t epoch = number(partition, "leader_epoch");
        greatest = epoch > greatest ? epoch : greatest;
    }
    json_decref(o);
    run_result_deinit(&r);
    return greatest;
}

static void a_flapping_ensemble_is_ridden_out(void)
{
    /* A second is bearable; after three every session is over, and each round is an election and
     * new incarnations. */
    int down_ms[] = {1000, 1000, 3000};
    int n_rounds = getenv("WEIR_OUTAGE_S") != NULL ? 15 : (int)COUNT_OF(down_ms);
    struct loads l;
    struct meter m;

    need_cluster();
    loads_start(&l, "flapping");
    meter_start(&m);
    for (int i = 0; i < n_rounds; i++) {
        signal_servers(SIGSTOP, N_SERVERS);
        check_pause_ms(down_ms[(size_t)i % COUNT_OF(down_ms)]);
        signal_servers(SIGCONT, N_SERVERS);
        check_pause_ms(1000);
    }
    administration_is_back("after-flapping");
    meter_end(&m, 600); /* an election and its decisions in each round */
    int64_t epoch = greatest_leader_epoch("flapping");
    printf("# greatest leader epoch %d after %d rounds\n", (int)epoch, n_rounds);
    CHECK(epoch >= 0 && epoch <= 2 * n_rounds); /* at most one loss and one gain a round */
    loads_end(&l, epoch == 0);
}

/* --- Servers behind names --------------------------------------------------------------------- */

static char *hosts_path;

static void write_all(const char *path, const char *text, int flags)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC | flags, 0644);

    CHECK(fd >= 0);
    CHECK_EQ(pwrite(fd, text, strlen(text), 0), (long long)strlen(text));
    CHECK_EQ(close(fd), 0);
}

/* The names' addresses: of one length, and written over the old ones at once, so that a reader sees
 * either. */
static void point_names(void)
{
    char text[256];

    (void)snprintf(text, sizeof(text),
            "127.0.0.1 localhost\n127.0.0.%-3u weir-zk1\n127.0.0.%-3u weir-zk2\n127.0.0.%-3u "
            "weir-zk3\n",
            server_address[0], server_address[1], server_address[2]);
    write_all(hosts_path, text, O_CREAT);
}

/* A private /etc/hosts for this program and all that it starts. False: this machine allows no mount
 * namespace. */
static bool enter_private_hosts(void)
{
    char map[32];
    uid_t uid = getuid();
    gid_t gid = getgid();

    if (unshare(CLONE_NEWNS) != 0) {
        if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) {
            return false;
        }
        (void)snprintf(map, sizeof(map), "0 %u 1", uid);
        write_all("/proc/self/uid_map", map, 0);
        write_all("/proc/self/setgroups", "deny", 0);
        (void)snprintf(map, sizeof(map), "0 %u 1", gid);
        write_all("/proc/self/gid_map", map, 0);
    }
    hosts_path = mem_format("%s/hosts", test_folder());
    point_names();
    return mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount(hosts_path, "/etc/hosts", NULL, MS_BIND, NULL) == 0;
}

/* In one node's file, each `from` becomes `to`. */
static void edit(const char *node, const char *file, const char *from, const char *to)
{
    char *path = node_path(node, file);
    struct run_result r = {0};
    char *script = mem_format("s|%s|%s|", from, to);

    run_program((const char *const[]){"sed", "-i", script, path, NULL}, NULL, &r);
    CHECK_EQ(r.code, 0);
    run_result_deinit(&r);
    mem_free(script);
    mem_free(path);
}

/* Everybody, servers among themselves too, knows the servers by name only. */
static void rename_servers(void)
{
    char from[64];
    char to[64];

    for (int i = 0; i < N_SERVERS; i++) {
        for (int k = 0; k < N_SERVERS; k++) {
            (void)snprintf(from, sizeof(from), "server.%d=127.0.0.1", k + 1);
            (void)snprintf(to, sizeof(to), "server.%d=weir-zk%d", k + 1, k + 1);
            edit(servers[i], "zoo.cfg", from, to);
        }
        (void)snprintf(to, sizeof(to), "clientPortAddress=weir-zk%d", i + 1);
        edit(servers[i], "zoo.cfg", "clientPortAddress=127.0.0.1", to);
        (void)snprintf(from, sizeof(from), "127.0.0.1:%d", zookeeper_port(i + 1));
        (void)snprintf(to, sizeof(to), "weir-zk%d:%d", i + 1, zookeeper_port(i + 1));
        for (size_t d = 0; d < N_DAEMONS; d++) {
            edit(loads_daemons[d], loads_daemons[d][0] == 'b' ? "broker.conf" : "controller.conf",
                    from, to);
        }
    }
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    return ftw->level <= 1 && strstr(path, "myid") != NULL ? 0 : ftw->level == 0 ? 0 : remove(path);
}

/* Another machine takes the server's place: same id and name, other address, nothing of its data.
 * */
static void replace_server(int i, unsigned address)
{
    char *data = node_path(servers[i], "data");

    node_stop(servers[i]);
    CHECK_EQ(nftw(data, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
    mem_free(data);
    server_address[i] = address;
    point_names();
    node_start(servers[i]);
    wait_serving(i);
}

static void stop_all_but_start_later(void)
{
    for (size_t d = N_DAEMONS; d-- > 0;) {
        node_stop(loads_daemons[d]);
    }
    for (int i = 0; i < N_SERVERS; i++) {
        node_stop(servers[i]);
    }
}

/* [ZK-10] Every server in turn comes back at another address behind its name; nobody is started
 * anew. */
static void each_server_is_replaced_behind_its_name(void)
{
    struct loads l;

    need_cluster();
    if (!enter_private_hosts()) {
        printf("# not shown: this machine allows no mount namespace (%s)\n", strerror(errno));
        CHECK(true);
        return;
    }
    stop_all_but_start_later();
    rename_servers();
    for (unsigned i = 0; i < N_SERVERS; i++) {
        server_address[i] = 111 + i;
    }
    point_names();
    /* A JVM keeps addresses for 30 s, and for ever with a security manager. */
    CHECK_EQ(setenv("JAVA_TOOL_OPTIONS",
                     "-Dsun.net.inetaddr.ttl=0 -Dsun.net.inetaddr.negative.ttl=0", 1),
            0);
    for (int i = 0; i < N_SERVERS; i++) {
        node_start(servers[i]);
    }
    for (size_t d = 0; d < N_DAEMONS; d++) {
        node_start(loads_daemons[d]);
    }
    administration_is_back("by-name");
    loads_start(&l, "replaced");
    struct epochs before = incarnations();
    for (int i = 0; i < N_SERVERS; i++) {
        replace_server(i, 121 + (unsigned)i);
        administration_is_back("after-replacement");
    }
    CHECK_EQ(n_changed(before, incarnations()), 0); /* a quorum stood all the time */
    loads_end(&l, true);
}

/* --- Controllers ------------------------------------------------------------------------------ */

static void signal_nodes(const char *const *names, size_t n, int signal_number)
{
    for (size_t i = 0; i < n; i++) {
        pid_t pid = node_pid(names[i]);
        CHECK(pid > 0);
        CHECK_EQ(kill(pid, signal_number), 0);
    }
}

/* One record, of its leader alone; whether it was acknowledged. */
static bool is_taken(const char *topic, int leader, const char *acks)
{
    char *broker = mem_format("127.0.0.1:%d", broker_port(leader));
    struct run_result r = {0};

    WEIR_WITH(&r, (&(struct run_options){.input = "x\n"}), "produce", topic, "--acks", acks,
            "--brokers", broker, "-X", "delivery.timeout.ms=1000");
    bool is_good = r.code == 0;
    run_result_deinit(&r);
    mem_free(broker);
    return is_good;
}

/* [REP-29] [REP-56] Nobody is heard but followers, whose fetches do not name a partition that is idle: their sessions
 * prove that they follow, as long as they live. */
static void an_idle_partition_goes_on_taking_acks_1_without_controllers(void)
{
    const char *followers[N_BROKERS - 1];
    static const char *const brokers[] = {"broker-1", "broker-2", "broker-3"};
    size_t n = 0;

    need_cluster();
    (void)WEIR_OK("topic", "create", "idle", "-p", "1", "-r", "3");
    CHECK_WITHIN(BACK_MS, seen_all_have("idle", 3));
    int leader = seen_leader("idle");
    for (int i = 0; i < N_BROKERS; i++) {
        if (i + 1 != leader) {
            followers[n++] = brokers[i];
        }
    }
    CHECK(is_taken("idle", leader, "all"));
    int64_t named_at = check_now_ms(); /* by followers; never again while nothing is written */
    signal_nodes(loads_daemons, 2, SIGSTOP); /* the controllers */
    CHECK_WITHIN(BACK_MS, all_brokers_say("/metrics", "\nweir_broker_isolated 1\n") &&
                                  check_now_ms() > named_at + LEASE_MS);
    CHECK(is_taken("idle", leader, "1"));
    CHECK(is_taken("idle", leader, "1"));

    signal_nodes(followers, n, SIGSTOP);
    CHECK_WITHIN(BACK_MS, !is_taken("idle", leader, "1"));
    signal_nodes(followers, n, SIGCONT);
    signal_nodes(loads_daemons, 2, SIGCONT);
    CHECK_WITHIN(BACK_MS, is_taken("idle", leader, "1"));
    administration_is_back("after-idle");
    (void)WEIR_OK("topic", "delete", "idle", "--yes");
}

static void stop_cluster(void)
{
    cluster_down();
    CHECK(!cluster_is_up());
}

static const struct check_case cases[] = {
        CASE(the_load_finds_what_is_missing),
        CASE(all_servers_die_and_come_back),
        CASE(all_servers_freeze_and_thaw),
        CASE(two_servers_of_three_die_and_come_back),
        CASE(the_loss_of_each_server_stops_nothing),
        CASE(a_flapping_ensemble_is_ridden_out),
        CASE(each_server_is_replaced_behind_its_name),
        CASE(an_idle_partition_goes_on_taking_acks_1_without_controllers),
        CASE(stop_cluster),
};
CHECK_MAIN("outage", cases)
