/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "clients/cli/cli.h"

/* A local cluster under one folder: an ensemble of Debian's ZooKeeper, controllers and brokers, each with a folder of
 * its own that holds its configuration, data, log and pid, and whose name stands on its command line.
 *
 *   DIR/cluster.json        the shape: counts and port base, made by the first `up`
 *   DIR/env                 export WEIR_BROKERS=… and WEIR_CONTROLLER=…
 *   DIR/secret, DIR/digest  what the daemons prove to each other and to ZooKeeper, random, for their owner alone
 *   DIR/<node>/pid          "<pid> <start time>": a recycled pid is not mistaken for the node
 *   DIR/<node>/log          what it wrote on stdout and stderr
 */
enum dev_kind {
    DEV_ZOOKEEPER,
    DEV_CONTROLLER,
    DEV_BROKER
};

struct dev_shape {
    int64_t n_zookeepers, n_controllers, n_brokers;
    int64_t port_base;       /* 0 = the default ports */
    struct cli_strings sets; /* key=value for daemons whose table has the key, else for the cluster */
};

struct dev_node {
    enum dev_kind kind;
    int id; /* from 1 */
    char name[32];
    char *folder;
    int port;                     /* zookeeper: client; controller: http; broker: data */
    int http_port;                /* controller, broker */
    int peer_port, election_port; /* zookeeper */
};

struct dev_cluster {
    char *dir;
    struct dev_shape shape;
    struct dev_node *nodes; /* zookeepers, controllers, brokers */
    size_t n_nodes;
};

#define DEV_DIR_OPT(into)                                                                          \
    {                                                                                              \
        0, "dir", OPT_STR, into, "DIR", "the cluster's folder (default: a state folder)", 0, 0     \
    }

/* The cluster of --dir, or the sentence that there is none. Returns -1 or the exit code. */
int dev_load(struct dev_cluster *d, const char *dir_option);
/* The folder of --dir, or the default state folder. mem_free. */
char *dev_default_dir(void);
/* Fills in nodes and ports from dir and shape. */
void dev_cluster_init(struct dev_cluster *d, const char *dir, const struct dev_shape *shape);
void dev_cluster_deinit(struct dev_cluster *d);
/* Reads DIR/cluster.json; false when there is none. A damaged one is an error that is said, *ret_exit set. */
bool dev_cluster_load(struct dev_cluster *d, const char *dir, int *ret_exit);
/* Writes cluster.json, env and each node's configuration. Returns -1 or the exit code of the error it said. */
int dev_cluster_write(const struct dev_cluster *d);
struct dev_node *dev_cluster_node(struct dev_cluster *d, const char *name); /* or NULL */
char *dev_brokers_text(const struct dev_cluster *d);                        /* host:port,… */
char *dev_controllers_text(const struct dev_cluster *d);                    /* URL,… */

/* --set: whether each has a legal key, and those of the cluster a legal value. Returns -1 or the
 * exit code. */
int dev_check_sets(const struct cli_strings *sets);
/* Changes the cluster's configuration as --set asked. Returns -1 or the exit code. */
int dev_set_cluster(const struct cli *cli, const struct dev_cluster *d, int64_t timeout_ms);

/* Waits until every replica of the topic is in sync and nothing moves. False: not in time. */
bool dev_wait_in_sync(const struct cli *here, const char *topic, int64_t timeout_ms);

/* --- Processes ---------------------------------------------------------------------------------------------------- */

/* The node's running process, 0 = none. */
int dev_pid(const struct dev_node *n);
/* Starts it unless it runs; one that has been killed and has not ended yet is waited for. Returns -1 or an exit code. */
int dev_start(const struct dev_node *n);
/* Signals it; false when it does not run. */
bool dev_signal(const struct dev_node *n, int signal_number);
/* Waits until it is gone; false after timeout_ms. */
bool dev_wait_gone(const struct dev_node *n, int64_t timeout_ms);
/* Whether it says that it serves. */
bool dev_is_ready(const struct dev_node *n);
/* Resident bytes, 0 = unknown. */
uint64_t dev_resident(int pid);
/* The last `n` lines of its log to stderr. */
void dev_show_log_tail(const struct dev_node *n, int n_lines);
/* Whether something listens on 127.0.0.1:port. */
bool dev_port_is_taken(int port);
