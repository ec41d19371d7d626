/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "broker/core/cleaning.h"
#include "broker/core/key_map.h"
#include "broker/log/plog_swap.h"
#include "common/base/bytes.h"

/* One compaction of one log, from what was listed under its lock to the swaps of its segments.
 *
 *   survey   headers of all segments: aborted transactions, producers' last batches, is the clean part what it was
 *   map      the dirty part, record by record: the newest offset of each key, until the memory is used up
 *   rewrite  group by group: every batch read, filtered, written; then the swap, under the log's lock for its renames only
 *
 * Memory: the map, two buffers of the largest batch, one of a plain batch. Everything read and written is paced.
 * Thread: pool (one of its own). */

struct clean_env {
    struct log_dir *dir;
    struct key_hash (*hash)(void *ctx, struct bytes key);
    /* `bytes` were read or written: waits for its share of the disk. False: to be given up. */
    bool (*pace)(void *ctx, int64_t bytes);
    /* plog_swap_claim(), _commit(), _release() under the log's lock. */
    int (*claim)(void *ctx, const struct sealed_list *list);
    int (*commit)(void *ctx, struct plog_swap *s);
    void (*release)(void *ctx);
    /* plog_is_as_listed() under the log's lock: else what does not read as batches is no damage. */
    bool (*is_as_listed)(void *ctx, const struct sealed_list *list);
    void *ctx;
    wall_ms now;
    int64_t map_size; /* bytes at most */
    uint32_t map_load_ppm;
    int64_t producer_expiry_ms;
};

struct clean_task {
    struct cleaning_policy policy;
    struct sealed_list list;
    struct cleaning_range range;
    /* Leader epoch of the last batch below range.from when that was cleaned; EPOCH_NONE = not known. */
    epoch32 epoch;
};

struct clean_result {
    offset64 first_dirty; /* as far as it came */
    epoch32 epoch;
    int64_t bytes_read, bytes_written;
    int64_t size_before, size_after; /* of the segments that were gone over */
    uint64_t n_records, n_kept;
    size_t n_keys, n_swaps;
    const char *why; /* of DAMAGED and TOO_SMALL */
    offset64 at;
};

enum {
    CLEAN_E_STOPPED = 1,
    CLEAN_E_CHANGED = 2,   /* the log is not what was listed: to be listed again */
    CLEAN_E_FULL = 3,      /* no space, memory or descriptor: to be tried later */
    CLEAN_E_DAMAGED = 4,   /* what is stored cannot be read as batches: trying again is of no use */
    CLEAN_E_TOO_SMALL = 5, /* one batch has more keys than the map may hold */
};

/* Negative: the directory has been latched. > 0: CLEAN_E_*; swaps that were made stay. `ret` is filled in either way. */
MUST_CHECK int clean_run(
        const struct clean_env *env, const struct clean_task *task, struct clean_result *ret);

/* The largest timestamp of a segment and that of its first batch, by its headers. > 0: CLEAN_E_*. */
MUST_CHECK int clean_look_at_times(const struct clean_env *env,
        const struct sealed_list *list,
        const struct sealed_segment *s,
        bool only_first,
        wall_ms *ret_first,
        wall_ms *ret_max);
