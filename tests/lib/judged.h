/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

/* Load on the cluster of tests/lib/cluster.h that is judged: client processes of their own
 * (weir_load), each with a producer (idempotent, acks=all), a consumer and one that reads again,
 * each with a history. A test breaks something meanwhile, mends it, and has all histories judged
 * together, after one reading of the whole topic (docs/dev/checker.md). */
enum {
    JUDGED_MAX = 8
};

struct judged {
    const char *topic;
    int n;
    pid_t pid[JUDGED_MAX];
    char *out[JUDGED_MAX], *history[JUDGED_MAX];
};

/* What the clients saw, all together. */
struct judged_sum {
    int64_t n_acked, n_failed, n_unknown;
    int64_t n_errors; /* that a producer or a consumer was told, by name */
    int64_t longest_gap_ms; /* of acknowledgements, in the worst partition of the worst client */
};

/* Starts `n` clients on a topic that exists, `rate` records a second each, and returns when the
 * first of their records can be read. */
void judged_start(struct judged *j, const char *topic, int n, int rate);
/* SIGKILL: what it had not written down is not judged. */
void judged_crash(struct judged *j, int i);
/* Ends the clients, reads the topic and judges. A property that is violated, and a history that
 * cannot be judged, fails the case; the verdict is printed. */
struct judged_sum judged_end(struct judged *j);
/* C15, of all topics: the first brokers and controllers are killed for it and started again. */
void judged_logs_are_the_same(int n_brokers, int n_controllers);
/* The same of these log directories, which nobody uses. */
void judged_compare_logs(char *const *dirs, int n);
