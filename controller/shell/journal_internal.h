/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/array.h"
#include "common/domain/record_batch.h"
#include "common/net/loop.h"
#include "controller/core/journal_window.h"
#include "controller/shell/journal.h"
#include "controller/shell/journal_link.h"
#include "controller/shell/journal_record.h"
#include "controller/shell/meta_log.h"

#include <sys/queue.h>

/* The journal taken apart: journal_write.c (the active controller's side) and journal_read.c
 * (scans). Nobody else includes this. */

enum journal_state {
    JOURNAL_OFF,
    JOURNAL_DIALLING,
    JOURNAL_ENDING,  /* reading where it ends */
    JOURNAL_FILLING, /* reading what it lacks from ZooKeeper */
    JOURNAL_WRITING,
};

struct journal_scan;

/* The name of a topic that is gone, as a REMOVE_TOPIC that was scanned says. */
struct journal_name {
    struct uuid id;
    char *name;
};

/* Who decided in a term. */
struct journal_term {
    uint64_t ctl_epoch;
    int32_t id;
};

struct journal {
    struct journal_options options;
    char client_id[48];

    /* Writing. */
    enum journal_state state;
    struct uuid cluster_id;
    struct journal_link *link;
    struct timer again;
    struct journal_window window;
    bool is_asking;    /* a produce is under way */
    uint64_t asked_to; /* the last index in it */
    bool asked_gap;
    offset64 end_at;    /* the record that is being looked at for the end */
    uint64_t end_index; /* the greatest index seen there */
    struct batch_builder builder;
    char trouble[256];

    /* What was read from ZooKeeper because the ring did not have it; by falling index. */
    ARRAY(struct ring_batch) older;
    bool is_filling;
    uint64_t fill_round, fill_index, fill_crc;
    void (*on_filled)(struct journal *j);

    /* Reading. */
    LIST_HEAD(, journal_scan) scans;
    /* Names of topics that were removed, learnt from batches `names_from` to `names_to`. */
    ARRAY(struct journal_name) names;
    uint64_t names_from, names_to;
    ARRAY(struct journal_term) terms; /* by epoch */
};

/* journal_fill.c */
/* Looks for what the journal lacks in ZooKeeper; `on_filled` runs once, perhaps inside this. */
void journal_fill(struct journal *j, void (*on_filled)(struct journal *j));
void journal_fill_stop(struct journal *j); /* and forgets what was read */
/* A batch that is in memory, in the ring or read from ZooKeeper, or NULL. */
const struct ring_batch *journal_batch(const struct journal *j, uint64_t index);

/* journal_read.c */
void journal_read_deinit(struct journal *j);
