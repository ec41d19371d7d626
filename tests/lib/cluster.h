/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "tests/lib/run.h"

/* A whole cluster of real processes for a test program, started with `weir dev up` in the program's folder on free
 * ports. It is taken down at exit; if the test program dies, a guardian process ends every node. One at a time. */

/* `more` = further arguments of `weir dev up`, ended by NULL; at most 16. Fails the case when it does not come up. */
void cluster_up(const char *const *more);
/* One of each: ZooKeeper, controller, broker. */
void cluster_up_small(void);
/* Stops it and removes its data; checks that every daemon ended by itself and left no sanitizer report. */
void cluster_down(void);
bool cluster_is_up(void);

/* Runs `weir ARG…` against it. */
void weir_run(struct run_result *ret, const struct run_options *options, const char *const *args);
#define WEIR(ret, ...) weir_run((ret), NULL, (const char *const[]){__VA_ARGS__, NULL})
#define WEIR_WITH(ret, options, ...)                                                               \
    weir_run((ret), (options), (const char *const[]){__VA_ARGS__, NULL})
/* The same, checked to succeed. Its stdout, valid until the next call. */
const char *weir_ok_(const char *const *args);
#define WEIR_OK(...) weir_ok_((const char *const[]){__VA_ARGS__, NULL})
/* Starts `weir ARG…` in the background; its output in test_folder()/name. */
pid_t weir_background_(const char *name, const char *input_path, const char *const *args);
#define WEIR_BACKGROUND(name, input, ...)                                                          \
    weir_background_((name), (input), (const char *const[]){__VA_ARGS__, NULL})

/* "broker-1" …: start, stop, kill and wait until it answers /readyz again. */
void node_start(const char *name);
void node_stop(const char *name);
void node_kill(const char *name);
void node_wait_ready(const char *name);
/* Starts one, also one that was killed a moment ago, and waits until it is ready. */
void node_start_again(const char *name);
pid_t node_pid(const char *name);                    /* 0 = not running */
char *node_path(const char *name, const char *file); /* under its folder; mem_free */
/* Whether its log has a line that contains `text`. */
bool node_log_has(const char *name, const char *text);

int broker_port(int id);
int broker_http_port(int id);
int controller_port(int id);
int zookeeper_port(int id);

/* One HTTP request to 127.0.0.1 by hand: status and body (with head when `with_head`), no retries. 0 = not reached. */
int http_request(int port,
        const char *method,
        const char *path,
        const char *body,
        bool with_head,
        struct buf *ret);
/* The same with more headers, each ended by "\r\n". */
int http_request_with(int port,
        const char *method,
        const char *path,
        const char *headers,
        const char *body,
        bool with_head,
        struct buf *ret);
/* A port range start for --port-base whose ports are free. */
int free_port_base(void);
