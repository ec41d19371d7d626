/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "clients/cli/dev.h"

#include <sys/types.h>

/* A process that kills nodes of a local cluster and starts them again, one at a time, by a seeded
 * schedule. It is a process of its own so that whoever measures the cluster meanwhile never waits
 * for it, and so that the nodes are started again even if the other one dies. Thread: main. */

struct nemesis_plan {
    uint64_t seed;
    int64_t every_ms;           /* from one kill to the next, on average */
    bool kinds[DEV_BROKER + 1]; /* which nodes it kills; none = it does nothing */
};

enum nemesis_what {
    NEMESIS_KILLED,
    NEMESIS_STARTED,
    NEMESIS_READY,
    NEMESIS_FAILED /* the node does not come back; its log has why */
};

struct nemesis_event {
    enum nemesis_what what;
    int node; /* index in the cluster's nodes */
};

struct nemesis {
    pid_t pid; /* 0 = none */
    int control, events;
};

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
