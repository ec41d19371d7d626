/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/bytes.h"
#include "tests/lib/proxy.h"
#include "tests/lib/zkserver.h"

#include <stdbool.h>
#include <sys/types.h>

/* Real controllers and brokers as processes on a real ZooKeeper, controllers through a proxy
 * that can break their connections. Each case has a chroot of its own. Everything fails the case
 * when it does not go as it should. Thread: one. */
enum {
    CW_NODES_MAX = 4
};

struct cw_node {
    pid_t pid; /* 0 = not running */
    uint16_t port, http_port; /* a controller has only the second */
    char log[512], dir[512];
};

struct cw {
    const char *name;
    char direct[256], proxied[256]; /* connect strings */
    struct proxy *proxy;
    int session_ms;
    const char *more; /* one more line of the controllers' configuration; NULL = none */
    struct cw_node controllers[CW_NODES_MAX], brokers[CW_NODES_MAX]; /* by id, from 1 */
};

/* `name` is the chroot's; borrowed. */
struct cw *cw_new(const char *name);
/* Stops what runs (controllers and brokers must stop in order), and looks for sanitizer reports. */
void cw_free(struct cw *w);
/* At the end of the program. */
void cw_stop_zookeeper(void);

void cw_start_controller(struct cw *w, int id);
void cw_start_broker(struct cw *w, int id);
void cw_kill(struct cw_node *n);
bool cw_log_has(const struct cw_node *n, const char *text);
/* Status of GET; the body in `ret` (cleared first; may be NULL). 0 = not reached. */
int cw_get(uint16_t port, const char *path, struct buf *ret);
/* Waits until that node's /readyz answers `status`. */
void cw_await_ready(const struct cw_node *n, int status);
/* Waits until the controller is active and that many brokers are up; its body of /v1/cluster
 * says so. */
void cw_await_active(const struct cw_node *n, int brokers_up);

/* Several POST /v1/topics at once, each on a connection of its own. */
struct cw_post {
    char topic[64];
    int n_partitions;
    int fd;
    int status; /* after cw_posts_end(): 0 = no answer */
};

void cw_posts_begin(uint16_t port, struct cw_post *posts, size_t n);
void cw_posts_end(struct cw_post *posts, size_t n);
