/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/cli/dev.h"

#include "common/base/array.h"
#include "common/net/loop.h"

#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* An absolute path, so that every command line names the node's folder whole. mem_free. */
static char *absolute(const char *dir)
{
    char cwd[4096];

    if (dir == NULL) {
        return dev_default_dir();
    }
    if (dir[0] == '/' || getcwd(cwd, sizeof(cwd)) == NULL) {
        return mem_strdup(dir);
    }
    return mem_format("%s/%s", cwd, dir);
}

int dev_load(struct dev_cluster *d, const char *dir_option)
{
    char *dir = absolute(dir_option);
    int stop = -1;

    if (!dev_cluster_load(d, dir, &stop) && stop < 0) {
        stop = cli_fail(
                EXIT_NOT_FOUND, "`weir dev up` makes one.", "there is no local cluster in %s", dir);
    }
    mem_free(dir);
    return stop;
}

/* --- up ----------------------------------------------------------------------------------------------------------- */

bool dev_is_ready(const struct dev_node *n)
{
    struct http_answer a = {0};
    bool ready = false;

    if (n->kind == DEV_ZOOKEEPER) {
        return dev_port_is_taken(n->port);
    }
    char *url = mem_format(
            "http://127.0.0.1:%d/readyz", n->kind == DEV_BROKER ? n->http_port : n->port);
    cli_http_url("GET", url, NULL, 1000, &a);
    ready = a.status == 200;
    mem_free(url);
    http_answer_deinit(&a);
    return ready;
}

/* Waits until every node is ready. Returns -1 or the exit code of the error it said. */
static int wait_ready(const struct dev_cluster *d, int64_t timeout_ms)
{
    wtime start = clock_now();
    size_t ready = 0;

    while (ready < d->n_nodes) {
        const struct dev_node *n = &d->nodes[ready];
        if (dev_pid(n) == 0) {
            dev_show_log_tail(n, 5);
            return cli_fail(EXIT_FAILED, "Mend what its log says, then run `weir dev up` again.",
                    "%s stopped while starting", n->name);
        }
        if (dev_is_ready(n)) {
            ready++;
            continue;
        }
        if (cli_interrupted()) {
            return cli_fail(
                    EXIT_INTERRUPTED, "`weir dev down` stops what was started.", "interrupted");
        }
        if (clock_now() - start > WTIME_MS(timeout_ms)) {
            dev_show_log_tail(n, 5);
            return cli_fail(EXIT_UNREACHABLE,
                    "Its log is shown above; `weir dev status` shows the others, `weir dev down` "
                    "stops them.",
                    "%s was not ready within %lld s", n->name, (long long)(timeout_ms / 1000));
        }
        if (cli_stderr_is_tty()) {
            fprintf(stderr, "\r\033[Kwaiting for %s (%zu of %zu ready)", n->name, ready,
                    d->n_nodes);
        }
        struct timespec t = {.tv_nsec = 25000000};
        (void)nanosleep(&t, NULL);
    }
    if (cli_stderr_is_tty()) {
        fprintf(stderr, "\r\033[K");
    }
    return -1;
}

static bool same_shape(const struct dev_shape *a, const struct dev_shape *b)
{
    bool same = a->n_zookeepers == b->n_zookeepers && a->n_controllers == b->n_controllers &&
                a->n_brokers == b->n_brokers && a->port_base == b->port_base &&
                a->sets.n == b->sets.n;

    for (size_t i = 0; same && i < a->sets.n; i++) {
        same = strcmp(a->sets.items[i], b->sets.items[i]) == 0;
    }
    return same;
}

static int start_all(const struct cli *cli, const struct dev_cluster *d)
{
    wtime start = clock_now();
    int r = dev_cluster_write(d);

    for (size_t i = 0; r < 0 && i < d->n_nodes; i++) {
        r = dev_start(&d->nodes[i]);
    }
    r = r < 0 ? wait_ready(d, cli->timeout_ms) : r;
    r = r < 0 ? dev_set_cluster(cli, d, cli->timeout_ms) : r;
    if (r >= 0) {
        return r;
    }
    char took[32];
    cli_note("%lld ZooKeeper, %lld controller and %lld broker processes are ready after %s; folder "
             "%s",
            (long long)d->shape.n_zookeepers, (long long)d->shape.n_controllers,
            (long long)d->shape.n_brokers,
            cli_duration_text((clock_now() - start) / 1000, took, sizeof(took)), d->dir);
    if (d->shape.port_base != 0) {
        cli_note("Use it from this shell: . %s/env", d->dir);
    }
    cli_note("Stop it: weir dev down --dir %s", d->dir);
    return EXIT_DONE;
}

static int dev_up(struct cli *cli, int argc, char **argv)
{
    const char *dir_option = NULL;
    bool small = false;
    struct dev_shape shape = {.n_zookeepers = -1, .n_controllers = -1, .n_brokers = -1};
    const struct cli_opt opts[] = {
            DEV_DIR_OPT(&dir_option),
            {0, "zookeepers", OPT_I64, &shape.n_zookeepers, "N", "ZooKeeper servers (3)", 1, 9},
            {0, "controllers", OPT_I64, &shape.n_controllers, "N", "controllers (2)", 1, 9},
            {0, "brokers", OPT_I64, &shape.n_brokers, "N", "brokers (3)", 1, 19},
            {0, "small", OPT_FLAG, &small, NULL, "one of each", 0, 0},
            {0, "port-base", OPT_I64, &shape.port_base, "N",
                    "ports from N on instead of the default ones", 1024, 65000},
            {0, "set", OPT_MANY, &shape.sets, "KEY=VALUE",
                    "for every daemon whose table has the key, or for the cluster", 0, 0},
    };
    cli->timeout_ms = 90000;
    int r = cli_parse(cli, opts, COUNT_OF(opts), argc, argv, NULL, 0, 0);
    r = r < 0 ? dev_check_sets(&shape.sets) : r;
    if (r >= 0) {
        cli_strings_deinit(&shape.sets);
        return r;
    }
    bool shape_given = small || shape.n_zookeepers > 0 || shape.n_controllers > 0 ||
                       shape.n_brokers > 0 || shape.port_base != 0 || shape.sets.n > 0;
    shape.n_zookeepers = shape.n_zookeepers > 0 ? shape.n_zookeepers : small ? 1 : 3;
    shape.n_controllers = shape.n_controllers > 0 ? shape.n_controllers : small ? 1 : 2;
    shape.n_brokers = shape.n_brokers > 0 ? shape.n_brokers : small ? 1 : 3;
    char *dir = absolute(dir_option);
    struct dev_cluster d = {0};
    cli_catch_interrupt();
    if (dev_cluster_load(&d, dir, &r) && shape_given && !same_shape(&d.shape, &shape)) {
        r = cli_fail(EXIT_CONFLICT,
                "Run `weir dev up` without these options, use another --dir, or remove it: weir "
                "dev down --wipe",
                "%s holds a cluster of another shape", dir);
    } else if (r < 0 && d.dir == NULL) {
        dev_cluster_init(&d, dir, &shape);
    }
    r = r < 0 ? start_all(cli, &d) : r;
    dev_cluster_deinit(&d);
    cli_strings_deinit(&shape.sets);
    mem_free(dir);
    return r;
}

/* --- status ------------------------------------------------------------------------------------------------------- */

static int dev_status(struct cli *cli, int argc, char **argv)
{
    static const char *const heads[] = {"NODE", "STATE", "PID", "PORT", "RESIDENT", "FOLDER"};
    const char *dir_option = NULL;
    const struct cli_opt opts[] = {DEV_DIR_OPT(&dir_option)};
    struct dev_cluster d = {0};
    size_t n_running = 0;
    int r = cli_parse(cli, opts, COUNT_OF(opts), argc, argv, NULL, 0, 0);

    r = r < 0 ? dev_load(&d, dir_option) : r;
    if (r >= 0) {
        return r;
    }
    struct cli_table *t = cli_table_new(heads, COUNT_OF(heads));
    for (size_t i = 0; i < d.n_nodes; i++) {
        const struct dev_node *n = &d.nodes[i];
        int pid = dev_pid(n);
        char pid_text[16] = "-";
        char port[16];
        char resident[32] = "-";
        n_running += pid != 0 ? 1 : 0;
        if (pid != 0) {
            (void)snprintf(pid_text, sizeof(pid_text), "%d", pid);
            (void)cli_size_text(dev_resident(pid), resident, sizeof(resident));
        }
        (void)snprintf(port, sizeof(port), "%d", n->port);
        const char *state = pid == 0 ? "stopped" : dev_is_ready(n) ? "ready" : "starting";
        cli_table_add(
                t, (const char *const[]){n->name, state, pid_text, port, resident, n->folder});
    }
    cli_table_print_free(t);
    r = n_running == d.n_nodes ? EXIT_DONE : EXIT_UNHEALTHY;
    dev_cluster_deinit(&d);
    return r;
}

/* --- down, start, stop, kill -------------------------------------------------------------------------------------- */

/* Asks every node of the kind to stop, then waits; what does not stop in time is killed and said. */
static void stop_kind(const struct dev_cluster *d, enum dev_kind kind, int64_t timeout_ms)
{
    for (size_t i = 0; i < d->n_nodes; i++) {
        if (d->nodes[i].kind == kind) {
            (void)dev_signal(&d->nodes[i], SIGTERM);
        }
    }
    for (size_t i = 0; i < d->n_nodes; i++) {
        const struct dev_node *n = &d->nodes[i];
        if (n->kind == kind && !dev_wait_gone(n, timeout_ms)) {
            cli_note("%s did not stop within %lld s: killed", n->name,
                    (long long)(timeout_ms / 1000));
            (void)dev_signal(n, SIGKILL);
            (void)dev_wait_gone(n, 5000);
        }
    }
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

static int dev_down(struct cli *cli, int argc, char **argv)
{
    const char *dir_option = NULL;
    bool wipe = false;
    const struct cli_opt opts[] = {
            DEV_DIR_OPT(&dir_option),
            {0, "wipe", OPT_FLAG, &wipe, NULL, "also remove the folder with all data", 0, 0},
    };
    struct dev_cluster d = {0};
    int r = cli_parse(cli, opts, COUNT_OF(opts), argc, argv, NULL, 0, 0);

    r = r < 0 ? dev_load(&d, dir_option) : r;
    if (r >= 0) {
        return r;
    }
    r = EXIT_DONE;
    stop_kind(&d, DEV_BROKER, 15000);
    stop_kind(&d, DEV_CONTROLLER, 10000);
    stop_kind(&d, DEV_ZOOKEEPER, 10000);
    if (wipe && nftw(d.dir, remove_one, 32, FTW_DEPTH | FTW_PHYS) != 0) {
        r = cli_fail(EXIT_FAILED, "", "cannot remove %s: %s", d.dir, strerror(errno));
    }
    dev_cluster_deinit(&d);
    return r;
}

enum node_action {
    NODE_START,
    NODE_STOP,
    NODE_KILL
};

static int act_on(const struct dev_node *n, enum node_action action)
{
    switch (action) {
    case NODE_START: return dev_start(n);
    case NODE_STOP:
    case NODE_KILL: break;
    }
    if (!dev_signal(n, action == NODE_KILL ? SIGKILL : SIGTERM)) {
        return cli_fail(
                EXIT_CONFLICT, "`weir dev status` shows all nodes.", "%s is not running", n->name);
    }
    if (!dev_wait_gone(n, 30000)) {
        return cli_fail(EXIT_UNREACHABLE, "`weir dev kill` ends it at once.",
                "%s did not stop within 30 s", n->name);
    }
    return -1;
}

static int node_command(struct cli *cli, int argc, char **argv, enum node_action action)
{
    const char *dir_option = NULL;
    const char *names[32];
    const struct cli_opt opts[] = {DEV_DIR_OPT(&dir_option)};
    struct dev_cluster d = {0};
    int r = cli_parse(cli, opts, COUNT_OF(opts), argc, argv, names, 1, COUNT_OF(names));

    r = r < 0 ? dev_load(&d, dir_option) : r;
    if (r >= 0) {
        return r;
    }
    for (int i = 0; r < 0 && i < cli_n_args(); i++) {
        const struct dev_node *n = dev_cluster_node(&d, names[i]);
        r = n != NULL ? act_on(n, action)
                      : cli_fail(EXIT_NOT_FOUND, "`weir dev status` shows all nodes.",
                                "there is no node `%s`", names[i]);
    }
    dev_cluster_deinit(&d);
    return r < 0 ? EXIT_DONE : r;
}

static int dev_start_command(struct cli *cli, int argc, char **argv)
{
    return node_command(cli, argc, argv, NODE_START);
}

static int dev_stop_command(struct cli *cli, int argc, char **argv)
{
    return node_command(cli, argc, argv, NODE_STOP);
}

static int dev_kill_command(struct cli *cli, int argc, char **argv)
{
    return node_command(cli, argc, argv, NODE_KILL);
}

const struct cli_command cli_dev_up = {
        .noun = "dev",
        .verb = "up",
        .summary = "start a local cluster: a ZooKeeper ensemble, controllers and brokers",
        .usage = "[--dir DIR] [--zookeepers N --controllers N --brokers N | --small] [--port-base "
                 "N] [--set K=V]",
        .details = "Starts what does not run yet and waits until all of it is ready. The default "
                   "ports are the\n"
                   "defaults of every other command, so that nothing needs to be set; with "
                   "--port-base, DIR/env has\n"
                   "the variables. Needs Debian's packages zookeeper and default-jre-headless.\n",
        .examples = "  weir dev up\n"
                    "  weir dev up --small --dir /tmp/one --port-base 20000\n"
                    "  weir dev up --brokers 5 --set num.network.threads=1\n",
        .run = dev_up,
};
const struct cli_command cli_dev_status = {
        .noun = "dev",
        .verb = "status",
        .summary = "the processes of the local cluster",
        .usage = "[--dir DIR]",
        .details = "Exit code 10 when one of them does not run.\n",
        .examples = "  weir dev status\n",
        .run = dev_status,
};
const struct cli_command cli_dev_down = {
        .noun = "dev",
        .verb = "down",
        .summary = "stop the local cluster; no process is left",
        .usage = "[--dir DIR] [--wipe]",
        .details = "",
        .examples = "  weir dev down\n"
                    "  weir dev down --wipe\n",
        .run = dev_down,
};
const struct cli_command cli_dev_start = {
        .noun = "dev",
        .verb = "start",
        .summary = "start nodes of the local cluster",
        .usage = "NODE… [--dir DIR]",
        .details = "",
        .examples = "  weir dev start broker-1\n",
        .run = dev_start_command,
};
const struct cli_command cli_dev_stop = {
        .noun = "dev",
        .verb = "stop",
        .summary = "stop nodes in order (SIGTERM)",
        .usage = "NODE… [--dir DIR]",
        .details = "",
        .examples = "  weir dev stop broker-2 zookeeper-3\n",
        .run = dev_stop_command,
};
const struct cli_command cli_dev_kill = {
        .noun = "dev",
        .verb = "kill",
        .summary = "kill nodes (SIGKILL)",
        .usage = "NODE… [--dir DIR]",
        .details = "",
        .examples = "  weir dev kill controller-1\n",
        .run = dev_kill_command,
};
