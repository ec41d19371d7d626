/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Real ZooKeeper servers (Debian's package) for tests: one alone or an ensemble of three, in a temporary folder, on free
 * ports of 127.0.0.1, with a small heap. The servers die with the process that started them, whatever ends it. A failure
 * to start fails the case. Thread: one. */
struct zkserver;

enum {
    ZKSERVER_MAX = 3
};

/* Starts `n` servers (1 or 3) with tickTime `tick_ms` (0 = 200: sessions of 400 ms to 300 s) and waits until they serve.
 * Freed with zkserver_free(), which kills them and removes the folder. */
struct zkserver *zkserver_new(int n, int tick_ms);
struct zkserver *zkserver_free(struct zkserver *s); /* takes NULL */

/* Servers that are made from now on listen on every address of this machine, for tests in network namespaces. */
void zkserver_listen_everywhere(void);

/* "127.0.0.1:40001,127.0.0.1:40002,…" */
const char *zkserver_connect(const struct zkserver *s);
uint16_t zkserver_port(const struct zkserver *s, int i);
pid_t zkserver_pid(const struct zkserver *s, int i); /* 0 = not running */

void zkserver_kill(struct zkserver *s, int i); /* SIGKILL, waits for its end */
/* Starts a killed server again on its data and its ports, without waiting. */
void zkserver_start(struct zkserver *s, int i);
/* Removes what a killed server has stored. */
void zkserver_wipe(struct zkserver *s, int i);
void zkserver_pause(struct zkserver *s, int i);  /* SIGSTOP */
void zkserver_resume(struct zkserver *s, int i); /* SIGCONT */
/* Whether server `i` says that it serves, alone or in a quorum. */
bool zkserver_is_serving(const struct zkserver *s, int i);
/* Waits until all running servers serve; fails the case after 30 s. */
void zkserver_wait(struct zkserver *s);

/* What the server at that IPv4 address (host order) says of itself: "standalone", "leader", "follower", "" = it does not
 * serve. Good until the next call. */
const char *zkserver_mode_at(uint32_t address, uint16_t port);

/* A TCP port of 127.0.0.1 that was free a moment ago and that no other call of this process gave. */
uint16_t zkserver_free_port(void);
