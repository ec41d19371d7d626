/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "clients/check/history.h"

/* Whether a history is one that a correct cluster may have given to its clients. Sound: what is not
 * known for sure (a send without an answer, a part of a partition that nobody read) counts for the
 * cluster. docs/dev/checker.md explains each property. Pure, n log n. Thread: one. */

enum judge_property {
    JUDGE_C1_LOST,         /* acknowledged, others behind it were read, it never was */
    JUDGE_C2_UNSEEN,       /* acknowledged, and not there in the final read */
    JUDGE_C3_INCONSISTENT, /* two values at one offset */
    JUDGE_C4_DUPLICATE,    /* one value at two offsets */
    JUDGE_C5_FAILED_READ,  /* what certainly was not written was read */
    JUDGE_C6_REORDERED,    /* a producer's later record lies before its earlier one */
    JUDGE_C11_DISPLACED,   /* there, and not at the offset that was acknowledged */
    JUDGE_C13_CHANGED,     /* other bytes than were sent */
    JUDGE_C14_END_BACK,    /* a listed end below what its client knew to be there */
    JUDGE_N_PROPERTIES
};

enum {
    JUDGE_WITNESSES_MAX = 5
};

/* One case of a violation; what does not apply is HISTORY_NONE or -1. */
struct judge_witness {
    uint32_t key;
    uint32_t value, other_value;
    int64_t offset, other_offset;
    uint32_t line, other_line; /* where it is seen; what it is against */
};

struct judge_result {
    bool is_judged;     /* the history has what is needed to judge it */
    uint64_t n;         /* cases */
    size_t n_witnesses; /* the first ones in order of partition and offset, or of lines */
    struct judge_witness witnesses[JUDGE_WITNESSES_MAX];
};

struct judge_verdict {
    struct judge_result results[JUDGE_N_PROPERTIES];
    uint64_t n_lines, n_sent, n_acked, n_failed;
    uint64_t n_unknown,
            n_unknown_seen;  /* sends whose end nobody knows, and those of them that were read */
    uint64_t n_acked_absent; /* acknowledged values that nobody read, whatever the reason */
    uint64_t n_early_absent; /* of those, the ones that were no promise: acks=1, several replicas */
    uint64_t n_polled;       /* records, each time one was read */
    uint64_t n_foreign;      /* values read that no history sends */
    uint64_t n_doubled;      /* values at two offsets, also of producers that may write twice */
    size_t n_keys, n_finals; /* partitions; those that were read whole in the end */
};

/* "C1", "lost write", and the sentence for what it demands. */
const char *judge_id(enum judge_property p);
const char *judge_name(enum judge_property p);
const char *judge_demand(enum judge_property p);

void judge_history(const struct history *h, struct judge_verdict *ret);
/* The properties that are violated. */
size_t judge_n_violated(const struct judge_verdict *v);
