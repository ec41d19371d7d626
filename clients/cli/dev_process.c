/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/cli/dev.h"

#include "common/base/array.h"
#include "common/net/loop.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    ENDING_MS = 10000
};

static void pause_ms(int ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

    (void)nanosleep(&t, NULL);
}

/* Field 22 of /proc/<pid>/stat: start time in ticks since boot; 0 = no such process, or only its zombie is left. The first
 * thread of a killed process is a zombie before the others have ended, and until then its ports are taken: field 20
 * counts them. */
static unsigned long long start_time(int pid)
{
    char path[64];
    char text[1024];
    unsigned long long ticks = 0;
    long n_threads = 0;

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        return 0;
    }
    size_t n = fread(text, 1, sizeof(text) - 1, f);
    (void)fclose(f);
    text[n] = '\0';
    const char *at = strrchr(text, ')'); /* the command may hold anything, also ") " */
    if (at == NULL || at[1] != ' ') {
        return 0;
    }
    bool is_zombie = at[2] == 'Z' || at[2] == 'X';
    for (int field = 2; field < 20 && at != NULL; field++) {
        at = strchr(at + 1, ' ');
    }
    if (at == NULL || sscanf(at, "%ld %*d %llu", &n_threads, &ticks) != 2) {
        return 0;
    }
    return is_zombie && n_threads <= 1 ? 0 : ticks;
}

int dev_pid(const struct dev_node *n)
{
    char *path = mem_format("%s/pid", n->folder);
    FILE *f = fopen(path, "re");
    int pid = 0;
    unsigned long long started = 0;

    mem_free(path);
    if (f == NULL) {
        return 0;
    }
    bool read = fscanf(f, "%d %llu", &pid, &started) == 2;
    (void)fclose(f);
    return read && pid > 0 && started != 0 && start_time(pid) == started ? pid : 0;
}

/* The program beside `weir`, or where a build folder has it. */
static char *find_program(const char *name, const char *build_folder)
{
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

    if (n > 0) {
        self[n] = '\0';
        *strrchr(self, '/') = '\0';
        char *beside = mem_format("%s/%s", self, name);
        if (access(beside, X_OK) == 0) {
            return beside;
        }
        mem_free(beside);
        char *built = mem_format("%s/../../%s/%s", self, build_folder, name);
        if (access(built, X_OK) == 0) {
            return built;
        }
        mem_free(built);
    }
    return mem_strdup(name); /* execvp looks in PATH */
}

struct command {
    char *argv[24];
    int n;
};

static void command_add(struct command *c, char *owned)
{
    must(c->n + 1 < (int)COUNT_OF(c->argv));
    c->argv[c->n++] = owned;
}

static void command_deinit(struct command *c)
{
    for (int i = 0; i < c->n; i++) {
        mem_free(c->argv[i]);
    }
}

static void make_command(const struct dev_node *n, struct command *c)
{
    *c = (struct command){0};
    switch (n->kind) {
    case DEV_ZOOKEEPER:
        command_add(c, mem_strdup("java"));
        /* It keeps the last 500 commits in memory, in a burst of metadata 256 KiB each: 128 MiB. */
        command_add(c, mem_strdup("-Xmx512m"));
        command_add(c, mem_strdup("-XX:+UseSerialGC"));
        command_add(c, mem_strdup("-Dzookeeper.admin.enableServer=false"));
        command_add(c, mem_strdup("-Djava.net.preferIPv4Stack=true"));
        command_add(c, mem_strdup("-cp"));
        command_add(c, mem_format("%s:/usr/share/java/zookeeper.jar", n->folder));
        command_add(c, mem_strdup("org.apache.zookeeper.server.quorum.QuorumPeerMain"));
        command_add(c, mem_format("%s/zoo.cfg", n->folder));
        return;
    case DEV_CONTROLLER:
        command_add(c, find_program("weir-controller", "controller"));
        command_add(c, mem_strdup("--config"));
        command_add(c, mem_format("%s/controller.conf", n->folder));
        return;
    case DEV_BROKER:
        command_add(c, find_program("weir-broker", "broker"));
        command_add(c, mem_strdup("--config"));
        command_add(c, mem_format("%s/broker.conf", n->folder));
        return;
    }
    must_not_reach("kind of node");
}

/* In the child: own session, log as output, nothing of ours kept open. Tells the parent why exec failed. */
_Noreturn static void become(const struct dev_node *n, const struct command *c, int tell)
{
    char *log = mem_format("%s/log", n->folder);
    int out = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    int in = open("/dev/null", O_RDONLY | O_CLOEXEC);

    (void)setsid();
    (void)signal(SIGPIPE, SIG_DFL);
    if (in >= 0 && out >= 0 && dup2(in, 0) == 0 && dup2(out, 1) == 1 && dup2(out, 2) == 2) {
        (void)close_range(3, (unsigned)tell - 1, 0);
        (void)close_range((unsigned)tell + 1, ~0U, 0);
        (void)execvp(c->argv[0], c->argv);
    }
    int error = errno;
    if (write(tell, &error, sizeof(error)) != (ssize_t)sizeof(error)) {
        _exit(126);
    }
    _exit(127);
}

static int write_pid(const struct dev_node *n, int pid)
{
    char *path = mem_format("%s/pid", n->folder);
    FILE *f = fopen(path, "we");
    int r = -1;

    if (f == NULL || fprintf(f, "%d %llu\n", pid, start_time(pid)) < 0 || fclose(f) != 0) {
        r = cli_fail(EXIT_FAILED, "", "cannot write %s: %s", path, strerror(errno));
    }
    mem_free(path);
    return r;
}

static const char *install_hint(enum dev_kind kind)
{
    return kind == DEV_ZOOKEEPER ? "Install it: apt-get install zookeeper default-jre-headless"
                                 : "Build and install Weir whole: `ninja -C build` makes weir, "
                                   "weir-controller and "
                                   "weir-broker.";
}

/* The first free port problem of a node that is about to start, 0 = none. */
static int taken_port(const struct dev_node *n)
{
    const int ports[] = {n->port, n->http_port, n->peer_port, n->election_port};

    for (size_t i = 0; i < COUNT_OF(ports); i++) {
        if (ports[i] != 0 && dev_port_is_taken(ports[i])) {
            return ports[i];
        }
    }
    return 0;
}

/* Whether SIGKILL has struck the process and it has not ended yet: its first thread has, or the signal waits for one
 * that is in the kernel. */
static bool is_ending(int pid)
{
    char path[64], line[256], state = 'R';
    unsigned long long waiting = 0;

    (void)snprintf(path, sizeof(path), "/proc/%d/status", pid);
    FILE *f = fopen(path, "re");
    while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
        unsigned long long set = 0;
        if (sscanf(line, "SigPnd: %llx", &set) == 1 || sscanf(line, "ShdPnd: %llx", &set) == 1) {
            waiting |= set;
        }
        (void)sscanf(line, "State: %c", &state);
    }
    if (f != NULL) {
        (void)fclose(f);
    }
    return state == 'Z' || state == 'X' || (waiting & (1ULL << (SIGKILL - 1))) != 0;
}

int dev_start(const struct dev_node *n)
{
    struct command c;
    int pipe_ends[2];
    int error = 0;

    int running = dev_pid(n);
    if (running != 0 && is_ending(running)) {
        (void)dev_wait_gone(n, ENDING_MS);
    }
    if (dev_pid(n) != 0) {
        return -1;
    }
    int port = taken_port(n);
    if (port != 0) {
        return cli_fail(EXIT_CONFLICT,
                "Stop what listens there (`ss -ltnp` names it), or start with other ports: weir "
                "dev up --port-base 20000",
                "port %d, which %s needs, is taken by another process", port, n->name);
    }
    if (pipe2(pipe_ends, O_CLOEXEC) != 0) {
        return cli_fail(EXIT_FAILED, "", "cannot make a pipe: %s", strerror(errno));
    }
    make_command(n, &c);
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        become(n, &c, pipe_ends[1]);
    }
    (void)close(pipe_ends[1]);
    bool failed = pid < 0 || read(pipe_ends[0], &error, sizeof(error)) == (ssize_t)sizeof(error);
    (void)close(pipe_ends[0]);
    int r = -1;
    if (failed) {
        r = cli_fail(EXIT_FAILED, install_hint(n->kind), "cannot run %s: %s", c.argv[0],
                strerror(error != 0 ? error : errno));
    } else {
        r = write_pid(n, pid);
    }
    command_deinit(&c);
    return r;
}

bool dev_signal(const struct dev_node *n, int signal_number)
{
    int pid = dev_pid(n);

    return pid != 0 && kill(pid, signal_number) == 0;
}

bool dev_wait_gone(const struct dev_node *n, int64_t timeout_ms)
{
    wtime deadline = clock_now() + WTIME_MS(timeout_ms);

    while (dev_pid(n) != 0) {
        if (clock_now() > deadline) {
            return false;
        }
        (void)waitpid(-1, NULL, WNOHANG); /* when this very command started it */
        pause_ms(20);
    }
    return true;
}

uint64_t dev_resident(int pid)
{
    char path[64];
    unsigned long long size = 0;
    unsigned long long resident = 0;

    (void)snprintf(path, sizeof(path), "/proc/%d/statm", pid);
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        return 0;
    }
    bool read = fscanf(f, "%llu %llu", &size, &resident) == 2;
    (void)fclose(f);
    return read ? resident * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

void dev_show_log_tail(const struct dev_node *n, int n_lines)
{
    char *path = mem_format("%s/log", n->folder);
    char text[8192];
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd >= 0) {
        off_t end = lseek(fd, 0, SEEK_END);
        off_t from = end > (off_t)sizeof(text) ? end - (off_t)sizeof(text) : 0;
        ssize_t got = pread(fd, text, sizeof(text), from);
        size_t at = got > 0 ? (size_t)got : 0;
        size_t size = at;
        for (int lines = 0; at > 0; at--) {
            if (text[at - 1] == '\n' && at != size && ++lines == n_lines) {
                break;
            }
        }
        cli_note("%s:\n%.*s", path, (int)(size - at), text + at);
        (void)close(fd);
    }
    mem_free(path);
}

bool dev_port_is_taken(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int one = 1;
    bool taken = false;

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd >= 0) {
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
        taken = bind(fd, (const struct sockaddr *)&a, sizeof(a)) != 0 && errno == EADDRINUSE;
        (void)close(fd);
    }
    return taken;
}
