/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* The numbers that make a producer idempotent: each batch of a partition carries producer id, epoch and the sequence of
 * its first record. A broker takes only what follows the last it took, and answers a batch that it has (of the last
 * SEQ_WINDOW) as if it had just been written. docs/design/48-idempotent-producer.md has the rules.
 *
 * A *run* is the sequences of one partition under one id and epoch, from 0. A batch is *open* from getting its number to
 * its end. Once a number stays missing the run is broken: its open batches come to their ends, then a new run begins.
 *
 *   no run ──first batch──► unproven ──acknowledged──► proven ──a number is lost──► broken
 *                              │ one batch in flight      │ up to SEQ_WINDOW            │ only what is open
 *                              └──── lost ────────────────┼───────► broken ◄────────────┘
 *                                                         └── the last open batch ended ──► a new run: epoch + 1
 *
 * Pure; embedded in the accumulator. Thread: owner. */

enum {
    SEQ_WINDOW = 5, /* batches that a broker remembers of a producer */
    SEQ_EPOCH_MAX = 32767,
    SEQ_ID_NONE = -1,
    SEQ_IDLE_S = 60 /* after so long without a batch a broker may have forgotten the producer */
};

/* As a broker gave it. */
struct seq_id {
    int64_t producer_id; /* SEQ_ID_NONE = none yet */
    int16_t epoch;
};

struct seq_run {
    int64_t producer_id; /* SEQ_ID_NONE = no run yet */
    int16_t epoch;
    int32_t next;
    uint32_t n_open;
    bool is_proven; /* a batch of it was acknowledged: the broker keeps state of it */
    bool is_broken; /* a number will stay missing */
    bool is_spent;  /* the next run must have another producer id */
};

/* Of a batch. */
struct seq_mark {
    bool is_set;
    bool was_first; /* when it was last sent nothing before it was open */
    bool is_dead; /* a number before it is certainly missing: it cannot be written under this one */
    int64_t producer_id;
    int16_t epoch;
    int32_t first;
};

void seq_run_init(struct seq_run *r);
/* Nothing was open for SEQ_IDLE_S. */
void seq_on_idle(struct seq_run *r);
/* Whether a batch may be sent now. `is_head`: nothing before it is open. `id`: the client's. */
bool seq_may_send(
        const struct seq_run *r, const struct seq_mark *m, bool is_head, const struct seq_id *id);
/* Whether it waits for a producer id that the client does not have. */
bool seq_wants_id(const struct seq_run *r, const struct seq_mark *m, const struct seq_id *id);
/* It is being sent; it gets its number if it has none. */
void seq_on_sent(struct seq_run *r,
        struct seq_mark *m,
        uint32_t n_records,
        bool is_head,
        const struct seq_id *id);

enum seq_verdict {
    SEQ_AS_USUAL = 0, /* the code says nothing about numbers */
    SEQ_AGAIN,        /* what was before it comes first; then it */
    SEQ_RENEW, /* not written and never will be under its number: seq_withdraw(), and sent again */
    SEQ_LOST,  /* nobody can tell any more whether it was written */
};

/* What a failed try says. `may_be_written`: after all tries so far. */
enum seq_verdict seq_judge(struct seq_run *r,
        const struct seq_mark *m,
        bool is_answered,
        int code,
        bool may_be_written);

/* Ends of an open batch. */
void seq_on_delivered(struct seq_run *r, struct seq_mark *m);
void seq_on_lost(struct seq_run *r, struct seq_mark *m);
/* It has no number any more, but will be sent. */
void seq_withdraw(struct seq_run *r, struct seq_mark *m);
