/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/cluster/controller_world.h"

#include "common/base/mem.h"
#include "tests/lib/check.h"
#include "tests/lib/cluster.h"
#include "tests/lib/run.h"

#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    START_MS = 30000,
    ANSWER_MS = 40000
};

static struct zkserver *zookeeper;

struct cw *cw_new(const char *name)
{
    struct cw *w = mem_new(struct cw);

    if (zookeeper == NULL) {
        zookeeper = zkserver_new(1, 0);
    }
    w->name = name;
    w->proxy = proxy_new(zkserver_port(zookeeper, 0));
    w->session_ms = 20000;
    (void)snprintf(w->direct, sizeof(w->direct), "%s/%s", zkserver_connect(zookeeper), name);
    (void)snprintf(w->proxied, sizeof(w->proxied), "127.0.0.1:%u/%s",
            (unsigned)proxy_port(w->proxy), name);
    return w;
}

void cw_stop_zookeeper(void)
{
    zookeeper = zkserver_free(zookeeper);
    CHECK(zookeeper == NULL);
}

static void stop(struct cw_node *n)
{
    if (n->pid != 0) {
        CHECK_EQ(run_wait(n->pid, SIGTERM, START_MS), 0);
        n->pid = 0;
    }
    if (n->log[0] != '\0') {
        CHECK(!cw_log_has(n, "Sanitizer"));
        CHECK(!cw_log_has(n, "runtime error"));
    }
}

void cw_free(struct cw *w)
{
    for (int id = 1; id < CW_NODES_MAX; id++) {
        stop(&w->brokers[id]);
    }
    for (int id = 1; id < CW_NODES_MAX; id++) {
        stop(&w->controllers[id]);
    }
    proxy_free(w->proxy);
    mem_free(w);
}

void cw_start_controller(struct cw *w, int id)
{
    struct cw_node *n = &w->controllers[id];
    char program[512], conf[512];
    const char *argv[] = {program, "--config", conf, NULL};

    CHECK_EQ(n->pid, 0);
    n->http_port = n->http_port == 0 ? zkserver_free_port() : n->http_port;
    (void)snprintf(program, sizeof(program), "%s/controller/weir-controller", test_build_root());
    (void)snprintf(conf, sizeof(conf), "%s/%s-%d.conf", test_folder(), w->name, id);
    (void)snprintf(n->log, sizeof(n->log), "%s/%s-controller-%d.log", test_folder(), w->name, id);
    FILE *f = fopen(conf, "we");
    CHECK(f != NULL);
    CHECK(fprintf(f,
                  "controller.id = %d\nhttp.listen = 127.0.0.1:%u\nzookeeper.connect = %s\n"
                  "zookeeper.session.timeout.ms = %d\nweir.meta.snapshot.entries = 4000\n%s\n",
                  id, (unsigned)n->http_port, w->proxied, w->session_ms,
                  w->more != NULL ? w->more : "") > 0);
    CHECK_EQ(fclose(f), 0);
    n->pid = run_background(argv, NULL, n->log);
}

void cw_start_broker(struct cw *w, int id)
{
    struct cw_node *n = &w->brokers[id];
    char program[512], set[6][600];
    const char *argv[16] = {program};
    int at = 1;

    CHECK_EQ(n->pid, 0);
    n->port = n->port == 0 ? zkserver_free_port() : n->port;
    n->http_port = n->http_port == 0 ? zkserver_free_port() : n->http_port;
    (void)snprintf(program, sizeof(program), "%s/broker/weir-broker", test_build_root());
    (void)snprintf(n->dir, sizeof(n->dir), "%s/%s-broker-%d", test_folder(), w->name, id);
    (void)snprintf(n->log, sizeof(n->log), "%s/%s-broker-%d.log", test_folder(), w->name, id);
    (void)snprintf(set[0], sizeof(set[0]), "broker.id=%d", id);
    (void)snprintf(set[1], sizeof(set[1]), "log.dirs=%s", n->dir);
    (void)snprintf(set[2], sizeof(set[2]), "listeners=weir://127.0.0.1:%u", (unsigned)n->port);
    (void)snprintf(set[3], sizeof(set[3]), "http.listen=127.0.0.1:%u", (unsigned)n->http_port);
    (void)snprintf(set[4], sizeof(set[4]), "zookeeper.connect=%s", w->direct);
    (void)snprintf(set[5], sizeof(set[5]), "zookeeper.session.timeout.ms=20000");
    for (int i = 0; i < 6; i++) {
        argv[at++] = "--set";
        argv[at++] = set[i];
    }
    n->pid = run_background(argv, NULL, n->log);
}

void cw_kill(struct cw_node *n)
{
    (void)run_wait(n->pid, SIGKILL, START_MS);
    n->pid = 0;
}

bool cw_log_has(const struct cw_node *n, const char *text)
{
    char line[4096];
    bool found = false;
    FILE *f = fopen(n->log, "re");

    while (f != NULL && !found && fgets(line, sizeof(line), f) != NULL) {
        found = strstr(line, text) != NULL;
    }
    if (f != NULL) {
        (void)fclose(f);
    }
    return found;
}

/* --- HTTP
 * --------------------------------------------------------------------------------------- */

int cw_get(uint16_t port, const char *path, struct buf *ret)
{
    struct buf own = {0}, *body = ret != NULL ? ret : &own;
    int status = 0;

    buf_clear(body);
    status = http_request(port, "GET", path, NULL, false, body);
    buf_deinit(&own);
    return status;
}

void cw_await_ready(const struct cw_node *n, int status)
{
    CHECK_WITHIN(START_MS, cw_get(n->http_port, "/readyz", NULL) == status);
}

static bool is_active(const struct cw_node *n, int brokers_up)
{
    struct buf body = {0};
    char up[32], self[64];
    bool is_it = false;

    (void)snprintf(up, sizeof(up), "\"brokers_up\": %d", brokers_up);
    (void)snprintf(self, sizeof(self), "http://127.0.0.1:%u\"", (unsigned)n->http_port);
    if (cw_get(n->http_port, "/v1/cluster", &body) == 200) {
        is_it = strstr(buf_str(&body), up) != NULL && strstr(buf_str(&body), self) != NULL &&
                strstr(buf_str(&body), "\"metadata_index\": 0,") == NULL;
    }
    buf_deinit(&body);
    return is_it;
}

void cw_await_active(const struct cw_node *n, int brokers_up)
{
    CHECK_WITHIN(START_MS, is_active(n, brokers_up));
}

void cw_posts_begin(uint16_t port, struct cw_post *posts, size_t n)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
            .sin_port = htons(port),
            .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};

    for (size_t i = 0; i < n; i++) {
        char body[160], request[512];
        int size = snprintf(body, sizeof(body), "{\"name\": \"%s\", \"partitions\": %d}",
                posts[i].topic, posts[i].n_partitions);
        posts[i].fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        CHECK(posts[i].fd >= 0);
        CHECK_EQ(connect(posts[i].fd, (struct sockaddr *)&to, sizeof(to)), 0);
        size = snprintf(request, sizeof(request),
                "POST /v1/topics HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: "
                "application/json\r\nContent-Length: %d\r\n\r\n%s",
                size, body);
        CHECK(send(posts[i].fd, request, (size_t)size, MSG_NOSIGNAL) == size);
    }
}

void cw_posts_end(struct cw_post *posts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char head[64] = "";
        struct pollfd poll_fd = {.fd = posts[i].fd, .events = POLLIN};
        ssize_t got = 0;
        CHECK(poll(&poll_fd, 1, ANSWER_MS) == 1); /* every request is answered or dropped */
        got = recv(posts[i].fd, head, sizeof(head) - 1, 0);
        posts[i].status = 0;
        if (got > 12) {
            posts[i].status = (int)strtol(head + strlen("HTTP/1.1 "), NULL, 10);
        }
        (void)close(posts[i].fd);
    }
}
