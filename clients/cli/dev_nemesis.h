/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "clients/cli/dev.h"

#include <sys/types.h>

/* A process that does harm to a local cluster, one thing at a time and by a seeded schedule: it
 * kills, stops and freezes nodes, which come back, and has leaders and replicas move. It is a
 * process of its own so that whoever measures the cluster meanwhile never waits for it, and so
 * that the nodes are started again even if the other one dies. Thread: main. */

enum nemesis_fault {
    NEMESIS_KILL,    /* SIGKILL, and started again */
    NEMESIS_RESTART, /* an orderly stop, and started again */
    NEMESIS_FREEZE,  /* SIGSTOP, and after a while SIGCONT */
    NEMESIS_ELECT,   /* preferred leaders lead */
    NEMESIS_MOVE,    /* a partition of the topic goes to other brokers */
    NEMESIS_N_FAULTS
};

struct nemesis_plan {
    uint64_t seed;
    int64_t every_ms;           /* from one fault to the next, on average */
    bool kinds[DEV_BROKER + 1]; /* whom the first three happen to; none = they do not */
    bool faults[NEMESIS_N_FAULTS];
    /* Whom it asks for the last two, and where; borrowed. */
    const struct cli *cli;
    const char *topic;
    int64_t n_partitions;
    size_t n_replicas;
};

enum nemesis_what {
    NEMESIS_STRUCK,
    NEMESIS_STARTED,
    NEMESIS_READY,
    NEMESIS_FAILED /* the node does not come back; its log has why */
};

struct nemesis_event {
    enum nemesis_what what;
    enum nemesis_fault fault;
    int node; /* index in the cluster's nodes; -1 = none */
};

struct nemesis {
    pid_t pid; /* 0 = none */
    int control, events;
};

const char *nemesis_fault_name(enum nemesis_fault fault);
/* "kill,move" …; false = a word in it is none of them. */
bool nemesis_read_faults(const char *text, bool faults[NEMESIS_N_FAULTS]);
/* Before this process has a second thread. Returns -1 or the exit code of the error it said. */
int nemesis_start(struct nemesis *n, const struct dev_cluster *d, const struct nemesis_plan *plan);
/* The next event that came; false = none now. */
bool nemesis_next(struct nemesis *n, struct nemesis_event *ret);
/* It kills no more, starts what is down, waits until that is ready, and ends. */
void nemesis_heal(struct nemesis *n);
/* Whether it has ended. */
bool nemesis_has_ended(struct nemesis *n);
/* Heals and waits for the end. */
void nemesis_deinit(struct nemesis *n);
