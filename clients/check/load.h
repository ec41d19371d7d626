/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "clients/check/history_file.h"
#include "clients/check/load_record.h"
#include "clients/check/load_stats.h"

/* A load on one topic that keeps its history: a producer at a steady rate, a consumer at the end,
 * one that goes back again and again, and somebody who asks for the ends. Record n is due at n /
 * rate after the start, whatever became of those before it: a stall is followed by what it held
 * up. Its partition is n modulo their number, so that the silence of one is not hidden by the
 * others.
 *
 * The processes of its history: 0 produces and asks for ends, 1 consumes, 2 goes back, 3 reads all
 * in the end. Thread: owner; a thread of its own asks for the ends. */
struct load;

enum load_process {
    LOAD_PRODUCER = 0,
    LOAD_CONSUMER = 1,
    LOAD_REREADER = 2,
    LOAD_FINAL_READER = 3
};

struct load_options {
    const char *topic, *brokers, *acks, *id; /* id NULL = random */
    const char *const *confs;                /* key=value of libweir */
    size_t n_confs;
    double rate; /* records a second */
    size_t size; /* of values, at least */
    bool consumes, rereads, lists;
    const char *history_path; /* appended to; NULL = in memory alone */
    bool keeps_history;       /* in memory, for a verdict */
    uint64_t seed;            /* of what is read again */
};

struct load_figures {
    uint64_t n_sent, n_acked, n_failed;
    uint64_t n_unknown;  /* of the failed ones, those of which nobody knows */
    uint64_t n_consumed; /* own records that the consumer had */
    struct load_gap gap;
    struct load_latency latency, delay; /* to the report; to the consumer */
    struct load_errors errors;
    char first_error[WEIR_TEXT_SIZE + 16];
    int64_t start, start_wall_ms; /* monotonic µs; ms since 1970 */
};

/* Opens files, client and consumers; waits up to 30 s for the cluster. False: `error` says why. */
bool load_open(const struct load_options *o, struct load **ret, char *error, size_t error_size);
/* The first record is due now. */
void load_start(struct load *l);
/* Sends what is due, runs what is to be run, waits at most so long for either. */
void load_step(struct load *l, int wait_ms);
/* The same without sending. False: some records have no report yet. */
bool load_flush(struct load *l, int wait_ms);
/* Whether the consumer has had all that was acknowledged. */
bool load_is_consumed(const struct load *l);
/* Ends producer and consumers; what has no report is unknown now. */
void load_stop(struct load *l);
/* After load_stop(): reads the topic whole. False: `error` says why. `*ret_ends` (mem_free) may be
 * NULL. */
bool load_read_all(struct load *l,
        int timeout_ms,
        int64_t **ret_ends,
        size_t *ret_n_ends,
        char *error,
        size_t error_size);
/* Takes NULL; stops it if that was not done. */
void load_free(struct load *l);

const struct load_figures *load_figures(const struct load *l);
const char *load_id(const struct load *l);
/* As of now, with the waits that go on. */
void load_look_at_gaps(struct load *l);
/* The history so far, held still until it is given back; keeps_history. */
const struct history *load_history_hold(struct load *l);
void load_history_release(struct load *l);
/* Writes out what is buffered. 0 or the errno of the first write that failed. */
int load_history_flush(struct load *l);
/* Monotonic µs. */
int64_t load_now(void);
