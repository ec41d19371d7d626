/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "broker/clean/clean_pass.h"
#include "common/base/bytes.h"
#include "common/domain/record_batch.h"

/* Batches with keys, and compaction of a log without a broker around it. */

struct test_record {
    const char *key, *value; /* NULL = null */
    wall_ms timestamp;
};

struct test_batch {
    const struct test_record *records;
    int n;
    enum batch_codec codec;
    int64_t producer_id; /* -1 = none */
    int32_t base_sequence;
    uint16_t attributes;
};

/* Appended to `out`, not stamped. */
void test_batch_make(struct buf *out, const struct test_batch *t);
/* A marker of that producer's transaction. */
void test_marker_make(struct buf *out, int64_t producer_id, bool is_commit, wall_ms timestamp);
/* Stamps and appends what `bytes` holds. Returns plog_append's result. */
int test_append(struct plog *l, struct buf *bytes, epoch32 epoch);

/* FNV-1a twice: enough for a few keys. */
struct key_hash test_hash(void *ctx, struct bytes key);

/* Everything that is cleanable of `l`, as a broker would; `limit` and so on as cleaning_choose(). Returns clean_run()'s. */
struct test_cleaner {
    struct cleaning_policy policy;
    offset64 first_dirty;
    epoch32 epoch;
    wall_ms now;
    int64_t map_size;
    struct clean_result result;
    struct plog *l;
    int n_until_stop;                                /* of pace(): it refuses then; 0 = never */
    /* Each may be NULL. */
    void (*before_commit)(struct test_cleaner *c);
    void (*after_commit)(struct test_cleaner *c, int r);
    void (*meanwhile)(struct test_cleaner *c); /* when something was read or written, and before a commit */
    void *ctx;
};

void test_cleaner_init(struct test_cleaner *c, struct plog *l);
int test_cleaner_run(struct test_cleaner *c, struct log_dir *dir);

/* All records of a log from `from` on, in order; calls `each`, which gets borrowed records. Checks that batches chain up to
 * the log's end. */
void test_walk(struct plog *l,
        const struct file_io *io,
        offset64 from,
        void (*each)(void *ctx, const struct batch *b, const struct record *r),
        void *ctx);
