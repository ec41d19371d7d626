/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/zkserver.h"

#include "common/base/mem.h"
#include "tests/lib/check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct server {
    pid_t pid;
    uint16_t client_port, peer_port, election_port;
};

struct zkserver {
    LIST_ENTRY(zkserver) entry;
    int n, tick_ms;
    char *dir;
    char *connect;
    struct server at[ZKSERVER_MAX];
};

/* A case that fails leaves at once; what it had started ends with the program. */
static LIST_HEAD(zkserver_list, zkserver) alive = LIST_HEAD_INITIALIZER(alive);

static void free_all(void)
{
    while (!LIST_EMPTY(&alive)) {
        zkserver_free(LIST_FIRST(&alive));
    }
}

/* --- Ports ------------------------------------------------------------------------------------- */

uint16_t zkserver_free_port(void)
{
    static uint16_t given[256];
    static size_t n_given;

    for (int tries = 0; tries < 100; tries++) {
        struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
        socklen_t size = sizeof(at);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        bool is_new = fd >= 0 && bind(fd, (struct sockaddr *)&at, size) == 0 &&
                      getsockname(fd, (struct sockaddr *)&at, &size) == 0;
        uint16_t port = ntohs(at.sin_port);
        if (fd >= 0) {
            close(fd);
        }
        for (size_t i = 0; i < n_given; i++) {
            is_new = is_new && given[i] != port;
        }
        if (is_new && n_given < sizeof(given) / sizeof(given[0])) {
            given[n_given++] = port;
            return port;
        }
    }
    check_fail(__FILE__, __LINE__, "no free port");
}

/* --- Files ------------------------------------------------------------------------------------- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return remove(path);
}

static void remove_tree(const char *path)
{
    (void)nftw(
            path, remove_one, 16, FTW_DEPTH | FTW_PHYS); /* what is left is in a temporary folder */
}

static FILE *open_file(const struct zkserver *s, int i, const char *name)
{
    char *path = mem_format("%s/%d/%s", s->dir, i, name);
    FILE *f = fopen(path, "we");

    if (f == NULL) {
        check_fail(__FILE__, __LINE__, "%s: %s", path, strerror(errno));
    }
    mem_free(path);
    return f;
}

static bool listens_everywhere;

void zkserver_listen_everywhere(void)
{
    listens_everywhere = true;
}

static void write_config(const struct zkserver *s, int i)
{
    char *path = mem_format("%s/%d", s->dir, i);
    FILE *f = NULL;

    (void)mkdir(path, 0700); /* it is there when a server starts again */
    mem_free(path);
    f = open_file(s, i, "zoo.cfg");
    fprintf(f,
            "tickTime=%d\ninitLimit=%d\nsyncLimit=%d\ndataDir=%s/%d\nclientPort=%u\n"
            "clientPortAddress=%s\nminSessionTimeout=%d\nmaxSessionTimeout=300000\n"
            "maxClientCnxns=0\nadmin.enableServer=false\n4lw.commands.whitelist=ruok,srvr\n"
            "snapCount=100000\n",
            s->tick_ms, 20000 / s->tick_ms, 10000 / s->tick_ms, s->dir, i,
            (unsigned)s->at[i].client_port, listens_everywhere ? "0.0.0.0" : "127.0.0.1",
            2 * s->tick_ms);
    for (int k = 0; k < s->n && s->n > 1; k++) {
        fprintf(f, "server.%d=127.0.0.1:%u:%u\n", k + 1, (unsigned)s->at[k].peer_port,
                (unsigned)s->at[k].election_port);
    }
    fclose(f);
    f = open_file(s, i, "myid");
    fprintf(f, "%d\n", i + 1);
    fclose(f);
}

/* --- Processes --------------------------------------------------------------------------------- */

static void exec_server(const struct zkserver *s, int i)
{
    char *folder = mem_format("%s/%d", s->dir, i);
    char *config = mem_format("%s/zoo.cfg", folder);
    char *out = mem_format("%s/out", folder);
    int fd = open(out, O_WRONLY | O_CREAT | O_APPEND, 0600);
    int null = open("/dev/null", O_RDONLY);

    if (fd < 0 || null < 0 || dup2(null, 0) < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0) {
        _exit(126);
    }
    execlp("java", "java", "-Xmx256m", "-Xss512k", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
            "-XX:-UsePerfData", "-Dzookeeper.admin.enableServer=false", "-Dzookeeper.forceSync=no",
            "-Djava.net.preferIPv4Stack=true", "-cp",
            "/usr/share/java/zookeeper.jar:/usr/share/java/slf4j-simple.jar",
            "org.apache.zookeeper.server.quorum.QuorumPeerMain", config, (char *)NULL);
    _exit(127);
}

void zkserver_start(struct zkserver *s, int i)
{
    pid_t parent = getpid(), pid = 0;

    CHECK(s->at[i].pid == 0);
    write_config(s, i);
    fflush(NULL);
    pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        /* It must not outlive a test that is killed. */
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent) {
            _exit(125);
        }
        exec_server(s, i);
    }
    s->at[i].pid = pid;
}

void zkserver_kill(struct zkserver *s, int i)
{
    if (s->at[i].pid == 0) {
        return;
    }
    kill(s->at[i].pid, SIGKILL);
    while (waitpid(s->at[i].pid, NULL, 0) < 0 && errno == EINTR) {
    }
    s->at[i].pid = 0;
}

void zkserver_wipe(struct zkserver *s, int i)
{
    char *data = mem_format("%s/%d/version-2", s->dir, i);

    CHECK(s->at[i].pid == 0);
    remove_tree(data);
    mem_free(data);
}

void zkserver_pause(struct zkserver *s, int i)
{
    CHECK(s->at[i].pid > 0);
    CHECK_EQ(kill(s->at[i].pid, SIGSTOP), 0);
}

void zkserver_resume(struct zkserver *s, int i)
{
    CHECK(s->at[i].pid > 0);
    CHECK_EQ(kill(s->at[i].pid, SIGCONT), 0);
}

/* --- Questions --------------------------------------------------------------------------------- */

const char *zkserver_mode_at(uint32_t address, uint16_t port)
{
    static char mode[16];
    struct sockaddr_in at = {
            .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(address)}};
    const struct timeval patience = {.tv_sec = 2};
    char answer[4096];
    size_t size = 0;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    CHECK(fd >= 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    if (connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0 && write(fd, "srvr", 4) == 4) {
        ssize_t n = 0;
        while (size < sizeof(answer) - 1 &&
                (n = read(fd, answer + size, sizeof(answer) - 1 - size)) > 0) {
            size += (size_t)n;
        }
    }
    (void)close(fd);
    answer[size] = '\0';
    const char *found = strstr(answer, "Mode: ");
    mode[0] = '\0';
    return found != NULL && sscanf(found, "Mode: %15s", mode) == 1 ? mode : "";
}

bool zkserver_is_serving(const struct zkserver *s, int i)
{
    return zkserver_mode_at(INADDR_LOOPBACK, s->at[i].client_port)[0] != '\0';
}

void zkserver_wait(struct zkserver *s)
{
    int64_t deadline = check_now_ms() + 30000;

    for (int i = 0; i < s->n; i++) {
        while (s->at[i].pid != 0 && !zkserver_is_serving(s, i)) {
            int status = 0;
            if (waitpid(s->at[i].pid, &status, WNOHANG) == s->at[i].pid) {
                s->at[i].pid = 0;
                check_fail(
                        __FILE__, __LINE__, "ZooKeeper server %d ended with status %d", i, status);
            }
            if (check_now_ms() > deadline) {
                check_fail(__FILE__, __LINE__, "ZooKeeper server %d does not serve", i);
            }
            check_pause_ms(20);
        }
    }
}

/* --- Life -------------------------------------------------------------------------------------- */

struct zkserver *zkserver_new(int n, int tick_ms)
{
    static bool is_registered;
    struct zkserver *s = mem_new(struct zkserver);
    const char *tmp = getenv("TMPDIR");

    if (!is_registered) {
        is_registered = true;
        CHECK_EQ(atexit(free_all), 0);
    }
    LIST_INSERT_HEAD(&alive, s, entry);

    CHECK(n == 1 || n == ZKSERVER_MAX);
    s->n = n;
    s->tick_ms = tick_ms > 0 ? tick_ms : 200;
    s->dir = mem_format("%s/weir-zk-XXXXXX", tmp != NULL ? tmp : "/tmp");
    CHECK(mkdtemp(s->dir) != NULL);
    for (int i = 0; i < n; i++) {
        char *longer = NULL;
        s->at[i].client_port = zkserver_free_port();
        s->at[i].peer_port = zkserver_free_port();
        s->at[i].election_port = zkserver_free_port();
        longer = mem_format("%s%s127.0.0.1:%u", s->connect != NULL ? s->connect : "",
                i > 0 ? "," : "", (unsigned)s->at[i].client_port);
        mem_free(s->connect);
        s->connect = longer;
    }
    for (int i = 0; i < n; i++) {
        zkserver_start(s, i);
    }
    zkserver_wait(s);
    return s;
}

struct zkserver *zkserver_free(struct zkserver *s)
{
    if (s == NULL) {
        return NULL;
    }
    LIST_REMOVE(s, entry);
    for (int i = 0; i < s->n; i++) {
        zkserver_kill(s, i);
    }
    remove_tree(s->dir);
    mem_free(s->dir);
    mem_free(s->connect);
    return mem_free(s);
}

const char *zkserver_connect(const struct zkserver *s)
{
    return s->connect;
}

uint16_t zkserver_port(const struct zkserver *s, int i)
{
    return s->at[i].client_port;
}

pid_t zkserver_pid(const struct zkserver *s, int i)
{
    return s->at[i].pid;
}
