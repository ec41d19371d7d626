/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/hosts.h"

#include "common/base/mem.h"
#include "tests/lib/check.h"
#include "tests/lib/judged.h"
#include "tests/lib/netns.h"
#include "tests/lib/run.h"
#include "tests/lib/seen.h"
#include "tests/lib/zkserver.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    UP_MS = 30000,
    N_NODES = HOSTS_CONTROLLERS_N + HOSTS_BROKERS
};

#define HERE "10.78.0.1"

struct node {
    const char *name, *kind;
    int id, address; /* 10.78.0.<address> */
    pid_t holder, pid;
};

static struct node nodes[N_NODES] = {
        {.name = "controller-1", .kind = "controller", .id = 1, .address = 21},
        {.name = "controller-2", .kind = "controller", .id = 2, .address = 22},
        {.name = "broker-1", .kind = "broker", .id = 1, .address = 11},
        {.name = "broker-2", .kind = "broker", .id = 2, .address = 12},
        {.name = "broker-3", .kind = "broker", .id = 3, .address = 13},
};

static struct zkserver *server;

static struct node *find(const char *name)
{
    for (int i = 0; i < N_NODES; i++) {
        if (strcmp(nodes[i].name, name) == 0) {
            return &nodes[i];
        }
    }
    check_fail(__FILE__, __LINE__, "no node %s", name);
}

static char *file_of(const char *name, const char *what)
{
    return mem_format("%s/hosts-%s%s", test_folder(), name, what);
}

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "we");

    CHECK(f != NULL);
    CHECK_EQ(fchmod(fileno(f), 0600), 0);
    CHECK(fputs(text, f) >= 0);
    CHECK_EQ(fclose(f), 0);
}

/* --- Up --------------------------------------------------------------------------------------- */

static void build_network(void)
{
    netns_run("ip link add br0 type bridge && ip addr add " HERE "/24 dev br0 && "
              "ip link set br0 up");
    for (int i = 0; i < N_NODES; i++) {
        struct node *n = &nodes[i];
        n->holder = netns_hold();
        netns_run("ip link add v%d type veth peer name eth0 netns %d && ip link set v%d master br0 "
                  "up",
                n->address, (int)n->holder, n->address);
        netns_run("nsenter -t %d -n sh -c 'ip link set lo up && ip addr add 10.78.0.%d/24 dev eth0 "
                  "&& ip link set eth0 up'",
                (int)n->holder, n->address);
    }
}

static char *conf_of(const struct node *n, const char *secret)
{
    char *data = file_of(n->name, ".data");
    char *own = n->kind[0] == 'c' ? mem_format("controller.id = %d\nhttp.listen = 10.78.0.%d:9180\n"
                                               "weir.broker.timeout.ms = %d\n",
                                            n->id, n->address, HOSTS_BROKER_TIMEOUT_MS)
                                  : mem_format("broker.id = %d\nlog.dirs = %s\n"
                                               "listeners = weir://10.78.0.%d:9190\n"
                                               "http.listen = 10.78.0.%d:9290\n"
                                               "replica.lag.time.max.ms = %d\n",
                                            n->id, data, n->address, n->address, HOSTS_LAG_MS);
    char *conf = mem_format("%szookeeper.connect = " HERE ":%u\nzookeeper.session.timeout.ms = %d\n"
                            "weir.cluster.secret.file = %s\n",
            own, (unsigned)zkserver_port(server, 0), HOSTS_SESSION_MS, secret);

    mem_free(own);
    mem_free(data);
    return conf;
}

static void start(struct node *n, const char *secret)
{
    char *program = mem_format("%s/%s/weir-%s", test_build_root(), n->kind, n->kind);
    char *file = file_of(n->name, ".conf");
    char *log = file_of(n->name, ".log");
    char *conf = conf_of(n, secret);
    char target[16];

    write_file(file, conf);
    (void)snprintf(target, sizeof(target), "%d", (int)n->holder);
    n->pid = run_background((const char *const[]){"nsenter", "-t", target, "-n", "--", program,
                                    "--config", file, NULL},
            NULL, log);
    mem_free(program);
    mem_free(file);
    mem_free(log);
    mem_free(conf);
}

static bool all_are_there(void)
{
    return seen_broker_says(1, "state", "up") && seen_broker_says(2, "state", "up") &&
           seen_broker_says(3, "state", "up");
}

bool hosts_are_up(void)
{
    return server != NULL;
}

void hosts_up(void)
{
    char *secret = file_of("secret", "");

    build_network();
    zkserver_listen_everywhere();
    server = zkserver_new(1, 0);
    write_file(secret, "the secret of five hosts\n");
    for (int i = 0; i < N_NODES; i++) {
        start(&nodes[i], secret);
    }
    CHECK_EQ(setenv("WEIR_BROKERS", "10.78.0.11:9190,10.78.0.12:9190,10.78.0.13:9190", 1), 0);
    CHECK_EQ(setenv("WEIR_CONTROLLER", "http://10.78.0.21:9180,http://10.78.0.22:9180", 1), 0);
    seen_from("http://10.78.0.21:9180", "http://10.78.0.22:9180");
    CHECK_WITHIN(UP_MS, all_are_there());
    mem_free(secret);
}

/* --- Down ------------------------------------------------------------------------------------- */

static void check_log(const struct node *n)
{
    char *log = file_of(n->name, ".log");
    char *command = mem_format("grep -E 'Sanitizer|runtime error:|assertion_failed' %s", log);

    if (system(command) == 0) {
        check_fail(__FILE__, __LINE__, "%s left a report", n->name);
    }
    mem_free(command);
    mem_free(log);
}

void hosts_down(void)
{
    char *dirs[HOSTS_BROKERS];
    int n = 0;

    for (int i = 0; i < N_NODES; i++) {
        CHECK_EQ(run_wait(nodes[i].pid, SIGKILL, UP_MS), 128 + SIGKILL);
        if (nodes[i].kind[0] == 'b') {
            dirs[n++] = file_of(nodes[i].name, ".data");
        }
    }
    judged_compare_logs(dirs, n);
    for (int i = 0; i < N_NODES; i++) {
        check_log(&nodes[i]);
        (void)run_wait(nodes[i].holder, SIGKILL, UP_MS);
    }
    for (int i = 0; i < n; i++) {
        mem_free(dirs[i]);
    }
    server = zkserver_free(server);
}

/* --- Cuts ------------------------------------------------------------------------------------- */

/* Packets of the node that match are dropped. */
static void add_rules(const char *name, const char *in, const char *out)
{
    char *rules = mem_format("table ip cut {\n chain in {\n  type filter hook input priority 0;\n"
                             "  %s\n }\n chain out {\n  type filter hook output priority 0;\n"
                             "  %s\n }\n}\n",
            in, out);
    struct run_result r = {0};
    char target[16];

    (void)snprintf(target, sizeof(target), "%d", (int)find(name)->holder);
    run_program((const char *const[]){"nsenter", "-t", target, "-n", "nft", "-f", "-", NULL},
            &(struct run_options){.input = rules}, &r);
    if (r.code != 0) {
        check_fail(__FILE__, __LINE__, "nft: %s: %s", rules, buf_str(&r.err));
    }
    run_result_deinit(&r);
    mem_free(rules);
}

void hosts_cut(const char *node, const char *from, const char *to)
{
    char *in = from != NULL ? mem_format("ip saddr {%s} drop", from) : mem_strdup("");
    char *out = to != NULL ? mem_format("ip daddr {%s} drop", to) : mem_strdup("");

    add_rules(node, in, out);
    mem_free(in);
    mem_free(out);
}

void hosts_cut_zookeeper(const char *node)
{
    unsigned port = zkserver_port(server, 0);
    char *in = mem_format("ip saddr " HERE " tcp sport %u drop", port);
    char *out = mem_format("ip daddr " HERE " tcp dport %u drop", port);

    add_rules(node, in, out);
    mem_free(in);
    mem_free(out);
}

void hosts_heal(const char *node)
{
    netns_run("nsenter -t %d -n nft delete table ip cut", (int)find(node)->holder);
}

bool hosts_controller_acts(int id)
{
    struct run_result r = {0};
    char url[64];

    (void)snprintf(url, sizeof(url), "http://10.78.0.%d:9180/metrics", 20 + id);
    run_program(
            (const char *const[]){"curl", "-s", "--noproxy", "*", "-m", "3", url, NULL}, NULL, &r);
    bool acts = strstr(buf_str(&r.out), "\nweir_controller_active 1\n") != NULL;
    run_result_deinit(&r);
    return acts;
}
