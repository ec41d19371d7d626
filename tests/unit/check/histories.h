/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/array.h"
#include "common/base/bytes.h"

#include <stdbool.h>
#include <stdint.h>

/* Made histories: what a correct cluster would have told its clients, from a seed, as a table of
 * what stands where and a list of operations, either of which a test doctors before it is written
 * as lines. */
enum {
    MADE_PARTITIONS = 3,
    MADE_PRODUCERS = 2,
    MADE_CONSUMERS = 2
};

struct made_record {
    int producer;
    int partition;
    uint64_t number; /* its value is "p<producer>-<number>" */
    uint64_t hash;
    int64_t offset; /* where it stands; -1 = it was not written */
    int outcome;    /* 'o' acknowledged, 'f' failed, 'i' unknown */
    int64_t acked;  /* the offset that the producer was told */
};

/* What a consumer reads of a record. */
struct made_read {
    int consumer; /* MADE_CONSUMERS = the final read */
    size_t record;
    int64_t offset;
    uint64_t hash;
    bool is_left_out;
};

struct made_listing {
    int producer, partition;
    size_t after; /* so many records were sent and have ended */
    int64_t end;
};

struct made {
    ARRAY(struct made_record) records; /* in the order of sending */
    ARRAY(struct made_read) reads;     /* of a consumer: in the order of reading */
    ARRAY(struct made_listing) listings;
    int64_t ends[MADE_PARTITIONS];
    bool has_final;
};

void made_init(struct made *m, uint64_t seed, size_t n_records);
void made_deinit(struct made *m);
/* Lines of the one file, or those of the process whose number is `only`; -1 = all. */
void made_write(const struct made *m, int only, struct buf *out);

/* A record that was acknowledged, lies below others of its partition and is nobody's first or last;
 * `n` = which of them. */
size_t made_pick(const struct made *m, uint64_t n);
/* The record that stands there. */
size_t made_at(const struct made *m, int partition, int64_t offset);
