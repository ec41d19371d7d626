/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Load on the cluster of tests/lib/cluster.h that goes on while a test breaks something: producers
 * with acks 0, 1 and all (weir_load), each with a consumer. Everything that is not as it should
 * fails the case. */
enum {
    N_LOADS = 3,
    N_DAEMONS = 5
};

struct loads {
    const char *topic;
    pid_t pid[N_LOADS];
    char *out[N_LOADS];
};

/* Creates the topic, with three partitions of three replicas, and returns when records come. */
void loads_start(struct loads *l, const char *topic);
/* Ends the loads and deletes the topic. Nothing acknowledged is missing, nothing failed, no
 * partition was silent for two seconds. `led_alike` false: leaders changed meanwhile, and with acks
 * 0 and 1 what a former one has alone is lost by design. */
void loads_end(struct loads *l, bool led_alike);

/* What the daemons of a cluster of `weir dev up` without a shape spend. */
extern const char *const loads_daemons[N_DAEMONS];

struct meter {
    int64_t began, cpu[N_DAEMONS];
    int lines[N_DAEMONS];
};

void meter_start(struct meter *m);
/* Nobody spins, nobody floods the log: at most so many lines a minute, beside some at each change.
 * */
void meter_end(const struct meter *m, int lines_a_minute);
