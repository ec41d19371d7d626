/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* A cluster whose nodes are hosts: two controllers and three brokers, each in a network namespace
 * of its own, on a bridge; ZooKeeper, this program and its clients at the bridge. For programs that
 * netns_enter() has moved. judged.h and seen.h work on it. Thread: one.
 *
 *   10.78.0.1            ZooKeeper, clients
 *   10.78.0.11 12 13     broker-1, -2, -3
 *   10.78.0.21 22        controller-1, -2
 */
#define HOSTS_BROKER(id)  "10.78.0.1" #id
#define HOSTS_CONTROLLERS "10.78.0.21,10.78.0.22"
#define HOSTS_ALL         "10.78.0.0/24"

enum {
    HOSTS_BROKERS = 3,
    HOSTS_CONTROLLERS_N = 2,
    HOSTS_BROKER_TIMEOUT_MS = 1500,
    HOSTS_LAG_MS = 1500,
    HOSTS_SESSION_MS = 3000
};

/* Fails the case when it does not come up. */
void hosts_up(void);
/* Kills all nodes, checks that no sanitizer complained and that the brokers' logs are the same. */
void hosts_down(void);
bool hosts_are_up(void);

/* What comes from the addresses ("a,b", or a net) never reaches the node; and what it sends to them
 * never leaves it. NULL = it does. Nobody is told: all links stay up. */
void hosts_cut(const char *node, const char *from, const char *to);
/* The same of ZooKeeper alone, both ways. */
void hosts_cut_zookeeper(const char *node);
void hosts_heal(const char *node);
/* Whether that controller says that it is the active one. */
bool hosts_controller_acts(int id);
