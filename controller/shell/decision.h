/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/bytes.h"
#include "common/domain/meta_record.h"

/* A decision as people see it: a record of the metadata log and what was known around it, or a gap
 * of the journal. Pure. Thread: owner. */
struct decision {
    bool is_gap;
    uint64_t index;  /* of its batch; of a gap, the first that is missing */
    uint64_t gap_to; /* a gap: the last that is missing */
    const char *why; /* a gap: a sentence */
    uint64_t ctl_epoch;
    int32_t controller;               /* that decided; -1 = not known */
    const struct meta_record *record; /* NULL = a gap */
    const char *topic; /* its name then; NULL = not about a topic, or not known any more */
    const struct partition_state
            *old; /* PARTITION_STATE: before; NULL = not known, or there was none */
};

/* "partition_state", "admin"; "unknown" for a number of a newer version. */
const char *decision_kind_name(enum meta_kind kind);
const char *decision_cause_name(enum meta_cause cause);
/* The cause of that name, or 0. */
enum meta_cause decision_cause_by_name(const char *name);

/* The topic that the record is about; false when it is about none. */
bool decision_topic_id(const struct meta_record *r, struct uuid *ret);
/* The broker that the record itself is about, or BROKER_NONE. */
broker_id decision_broker(const struct meta_record *r);

/* One sentence: what was decided, because of what, and what the decision saw. */
void decision_text(const struct decision *d, struct buf *out);
