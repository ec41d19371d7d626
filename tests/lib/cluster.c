/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/cluster.h"

#include "common/base/mem.h"
#include "common/base/must.h"
#include "tests/lib/check.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static struct {
    bool up;
    int port_base;
    char dir[512];
    char weir[4200];
    int guard_pipe;
    pid_t guardian;
    pid_t owner;
    struct run_result last;
} cluster = {.guard_pipe = -1};

/* --- The guardian: ends what a dead test left behind -------------------------------------------------------------- */

static void kill_nodes(const char *dir)
{
    DIR *d = opendir(dir);
    const struct dirent *e;

    while (d != NULL && (e = readdir(d)) != NULL) {
        char path[1024];
        int pid = 0;
        (void)snprintf(path, sizeof(path), "%s/%s/pid", dir, e->d_name);
        FILE *f = fopen(path, "re");
        if (f != NULL) {
            if (fscanf(f, "%d", &pid) == 1 && pid > 1) {
                char command[64];
                char line[4096];
                (void)snprintf(command, sizeof(command), "/proc/%d/cmdline", pid);
                int fd = open(command, O_RDONLY | O_CLOEXEC);
                ssize_t n = fd >= 0 ? read(fd, line, sizeof(line) - 1) : -1;
                /* Its folder stands on its command line, so a recycled pid is not hit. */
                if (n > 0 && memmem(line, (size_t)n, dir, strlen(dir)) != NULL) {
                    (void)kill(pid, SIGKILL);
                }
                if (fd >= 0) {
                    (void)close(fd);
                }
            }
            (void)fclose(f);
        }
    }
    if (d != NULL) {
        (void)closedir(d);
    }
}

static void start_guardian(void)
{
    int ends[2];

    must(pipe2(ends, O_CLOEXEC) == 0);
    (void)fflush(NULL);
    cluster.guardian = fork();
    must(cluster.guardian >= 0);
    if (cluster.guardian == 0) {
        char byte;
        (void)setsid();
        (void)close(ends[1]);
        (void)close(0);
        (void)close(1);
        (void)close(2);
        while (read(ends[0], &byte, 1) < 0 && errno == EINTR) {
        }
        kill_nodes(cluster.dir);
        _exit(0);
    }
    (void)close(ends[0]);
    cluster.guard_pipe = ends[1];
}

static void at_exit(void)
{
    if (getpid() == cluster.owner && cluster.up) {
        kill_nodes(cluster.dir);
    }
}

/* --- Ports -------------------------------------------------------------------------------------------------------- */

/* A socket that has the port, and does not listen; -1 = somebody else has it. */
static int bind_port(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    must(fd >= 0);
    if (bind(fd, (const struct sockaddr *)&a, sizeof(a)) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

static bool port_is_free(int port)
{
    int fd = bind_port(port);

    if (fd >= 0) {
        (void)close(fd);
    }
    return fd >= 0;
}

/* The last of the hundred is held until this program ends, and used by nobody: so no other test finds all of them free,
 * whose daemons do not listen yet or are down for a moment. */
int free_port_base(void)
{
    unsigned start = (unsigned)getpid() * 100 + (unsigned)check_now_ms() / 100 * 100;

    for (unsigned i = 0; i < 200; i++) {
        int base = 10000 + (int)((start + i * 100) % 22000);
        bool all_free = true;
        for (int port = base; all_free && port < base + 99; port++) {
            all_free = port_is_free(port);
        }
        all_free = all_free && bind_port(base + 99) >= 0;
        if (all_free) {
            return base;
        }
    }
    check_fail(__FILE__, __LINE__, "no hundred free ports in a row");
}

int broker_port(int id)
{
    return cluster.port_base + 20 + id;
}

int broker_http_port(int id)
{
    return cluster.port_base + 40 + id;
}

int controller_port(int id)
{
    return cluster.port_base + id;
}

int zookeeper_port(int id)
{
    return cluster.port_base + 60 + 3 * id;
}

/* --- Up and down -------------------------------------------------------------------------------------------------- */

bool cluster_is_up(void)
{
    return cluster.up;
}

void cluster_up(const char *const *more)
{
    static int n;
    char port_base[16];
    const char *argv[32] = {
            cluster.weir, "dev", "up", "--dir", cluster.dir, "--port-base", port_base};
    size_t n_args = 7;

    must(!cluster.up);
    cluster.owner = getpid();
    (void)snprintf(cluster.weir, sizeof(cluster.weir), "%s/clients/cli/weir", test_build_root());
    (void)snprintf(cluster.dir, sizeof(cluster.dir), "%s/cluster-%d", test_folder(), ++n);
    cluster.port_base = free_port_base();
    (void)snprintf(port_base, sizeof(port_base), "%d", cluster.port_base);
    for (; more != NULL && *more != NULL; more++) {
        must(n_args < 31);
        argv[n_args++] = *more;
    }
    if (n == 1) {
        must(atexit(at_exit) == 0);
    }
    start_guardian();
    cluster.up = true;
    run_program(argv, &(struct run_options){.timeout_ms = 120000}, &cluster.last);
    if (cluster.last.code != 0) {
        check_fail(__FILE__, __LINE__, "weir dev up: %d: %s", cluster.last.code,
                buf_str(&cluster.last.err));
    }
    char brokers[2048];
    char controllers[2048];
    char *env = mem_format("%s/env", cluster.dir);
    FILE *f = fopen(env, "re");
    must(f != NULL);
    must(fscanf(f, "export WEIR_BROKERS=%2047s export WEIR_CONTROLLER=%2047s", brokers,
                 controllers) == 2);
    (void)fclose(f);
    mem_free(env);
    (void)setenv("WEIR_BROKERS", brokers, 1);
    (void)setenv("WEIR_CONTROLLER", controllers, 1);
}

void cluster_up_small(void)
{
    cluster_up((const char *const[]){"--small", NULL});
}

static bool log_is_clean(const char *name)
{
    return !node_log_has(name, "ERROR: AddressSanitizer") &&
           !node_log_has(name, "ERROR: LeakSanitizer") && !node_log_has(name, "runtime error:") &&
           !node_log_has(name, "assertion_failed");
}

static void check_logs(void)
{
    DIR *d = opendir(cluster.dir);
    const struct dirent *e;
    char dirty[64] = "";

    must(d != NULL);
    while ((e = readdir(d)) != NULL) {
        if ((strncmp(e->d_name, "broker-", 7) == 0 || strncmp(e->d_name, "controller-", 11) == 0) &&
                !log_is_clean(e->d_name)) {
            (void)snprintf(dirty, sizeof(dirty), "%.60s", e->d_name);
        }
    }
    (void)closedir(d);
    if (dirty[0] != '\0') {
        (void)setenv("WEIR_TEST_KEEP", "1", 1);
        check_fail(__FILE__, __LINE__, "%s left a report in %s/%s/log", dirty, cluster.dir, dirty);
    }
}

void cluster_down(void)
{
    const char *argv[] = {cluster.weir, "dev", "down", "--dir", cluster.dir, NULL};
    int status;

    if (!cluster.up) {
        return;
    }
    run_program(argv, &(struct run_options){.timeout_ms = 90000}, &cluster.last);
    kill_nodes(cluster.dir);
    cluster.up = false;
    (void)close(cluster.guard_pipe);
    (void)waitpid(cluster.guardian, &status, 0);
    if (cluster.last.code != 0 || strstr(buf_str(&cluster.last.err), "killed") != NULL) {
        check_fail(__FILE__, __LINE__, "weir dev down: %d: %s", cluster.last.code,
                buf_str(&cluster.last.err));
    }
    check_logs();
    run_result_deinit(&cluster.last);
}

/* --- weir --------------------------------------------------------------------------------------------------------- */

static size_t make_argv(const char **argv, size_t max, const char *const *args)
{
    size_t n = 0;

    argv[n++] = cluster.weir;
    for (; *args != NULL; args++) {
        must(n + 1 < max);
        argv[n++] = *args;
    }
    argv[n] = NULL;
    return n;
}

void weir_run(struct run_result *ret, const struct run_options *options, const char *const *args)
{
    const char *argv[64];

    (void)snprintf(cluster.weir, sizeof(cluster.weir), "%s/clients/cli/weir", test_build_root());
    (void)make_argv(argv, 64, args);
    run_program(argv, options, ret);
}

const char *weir_ok_(const char *const *args)
{
    weir_run(&cluster.last, NULL, args);
    if (cluster.last.code != 0) {
        check_fail(__FILE__, __LINE__, "weir %s: exit %d: %s", args[0], cluster.last.code,
                buf_str(&cluster.last.err));
    }
    return buf_str(&cluster.last.out);
}

pid_t weir_background_(const char *name, const char *input_path, const char *const *args)
{
    const char *argv[64];
    char *log = mem_format("%s/%s", test_folder(), name);

    (void)make_argv(argv, 64, args);
    pid_t pid = run_background(argv, input_path, log);
    mem_free(log);
    return pid;
}

static void node_command(const char *verb, const char *name)
{
    (void)WEIR_OK("dev", verb, name, "--dir", cluster.dir);
}

void node_start(const char *name)
{
    node_command("start", name);
}

void node_stop(const char *name)
{
    node_command("stop", name);
}

void node_kill(const char *name)
{
    node_command("kill", name);
}

char *node_path(const char *name, const char *file)
{
    return mem_format("%s/%s/%s", cluster.dir, name, file);
}

pid_t node_pid(const char *name)
{
    char *path = node_path(name, "pid");
    FILE *f = fopen(path, "re");
    int pid = 0;

    mem_free(path);
    if (f != NULL) {
        if (fscanf(f, "%d", &pid) != 1) {
            pid = 0;
        }
        (void)fclose(f);
    }
    return process_is_alive(pid) ? pid : 0;
}

bool node_log_has(const char *name, const char *text)
{
    char *path = node_path(name, "log");
    FILE *f = fopen(path, "re");
    char *line = NULL;
    size_t size = 0;
    bool found = false;

    mem_free(path);
    while (f != NULL && !found && getline(&line, &size, f) >= 0) {
        found = strstr(line, text) != NULL;
    }
    free(line);
    if (f != NULL) {
        (void)fclose(f);
    }
    return found;
}

static bool node_is_ready(const char *name)
{
    int id = (int)strtol(strchr(name, '-') + 1, NULL, 10);
    struct buf body = {0};
    int port = strncmp(name, "broker-", 7) == 0 ? broker_http_port(id) : controller_port(id);
    bool ready = http_request(port, "GET", "/readyz", NULL, false, &body) == 200;

    buf_deinit(&body);
    return ready;
}

void node_wait_ready(const char *name)
{
    CHECK_WITHIN(30000, node_is_ready(name));
}

void node_start_again(const char *name)
{
    node_start(name);
    CHECK(node_pid(name) != 0);
    node_wait_ready(name);
}

/* --- HTTP by hand ------------------------------------------------------------------------------------------------- */

static int connect_to(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval limit = {.tv_sec = 10};

    must(fd >= 0);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    if (connect(fd, (const struct sockaddr *)&a, sizeof(a)) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

int http_request(int port,
        const char *method,
        const char *path,
        const char *body,
        bool with_head,
        struct buf *ret)
{
    return http_request_with(port, method, path, "", body, with_head, ret);
}

int http_request_with(int port,
        const char *method,
        const char *path,
        const char *headers,
        const char *body,
        bool with_head,
        struct buf *ret)
{
    struct buf request = {0};
    char block[65536];
    ssize_t n;
    int status = 0;
    int fd = connect_to(port);

    buf_clear(ret);
    (void)buf_str(ret);
    if (fd < 0) {
        return 0;
    }
    buf_append_format(&request, "%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n%s",
            method, path, headers);
    if (body != NULL) {
        buf_append_format(&request, "Content-Type: application/json\r\nContent-Length: %zu\r\n",
                strlen(body));
    }
    buf_append_format(&request, "\r\n%s", body != NULL ? body : "");
    (void)send(fd, request.data, request.size, MSG_NOSIGNAL);
    buf_deinit(&request);
    while ((n = recv(fd, block, sizeof(block), 0)) > 0) {
        buf_append(ret, block, (size_t)n);
    }
    (void)close(fd);
    const char *text = buf_str(ret);
    if (sscanf(text, "HTTP/1.1 %d", &status) != 1) {
        return 0;
    }
    const char *end_of_head = strstr(text, "\r\n\r\n");
    if (!with_head && end_of_head != NULL) {
        size_t head = (size_t)(end_of_head + 4 - text);
        memmove(ret->data, ret->data + head, ret->size - head);
        ret->size -= head;
        (void)buf_str(ret);
    }
    return status;
}
