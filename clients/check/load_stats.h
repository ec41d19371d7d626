/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a load generator measures: how long records took, how long a partition acknowledged nothing,
 * which errors came. Times are microseconds of one monotonic clock. Pure. Thread: one. */
enum {
    LOAD_N_BUCKETS = 64 * 32,
    LOAD_N_ERRORS = 16
};

/* Durations in buckets of 3 % width. */
struct load_latency {
    uint64_t n, max;
    uint32_t buckets[LOAD_N_BUCKETS];
};

void load_latency_add(struct load_latency *l, uint64_t us);
/* The upper end of the bucket that the quantile (in thousandths) falls into, at most the maximum; 0
 * = nothing came. */
uint64_t load_latency_quantile(const struct load_latency *l, unsigned thousandths);

/* One partition's stream of acknowledgements. Time counts as a gap only while records wait for one.
 * */
struct load_stream {
    uint64_t n_waiting;
    int64_t since; /* the present wait's first record, or the acknowledgement before it */
};

struct load_gap {
    int64_t length, began; /* the longest wait so far */
    int32_t partition;     /* -1 = none yet */
};

void load_stream_sent(struct load_stream *s, int64_t now);
void load_stream_acked(
        struct load_stream *s, int32_t partition, int64_t now, struct load_gap *longest);
/* A record that failed ends no wait: the partition has still acknowledged nothing. With it the last
 * waiting record is gone, the wait is counted and over. */
void load_stream_failed(
        struct load_stream *s, int32_t partition, int64_t now, struct load_gap *longest);
/* The wait that goes on counts too. */
void load_stream_look(
        const struct load_stream *s, int32_t partition, int64_t now, struct load_gap *longest);

struct load_errors {
    struct {
        const char *name; /* borrowed */
        uint64_t n;
    } at[LOAD_N_ERRORS];

    size_t n;
};

/* Names beyond the table's room count as its last one. */
void load_errors_add(struct load_errors *e, const char *name);
