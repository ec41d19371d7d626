/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/err.h"
#include "common/base/uuid.h"
#include "common/domain/ids.h"

#include <stdbool.h>
#include <stddef.h>

struct log_dir;
struct plog;

/* The check of a whole sealed segment, in steps: every checksum, the chain of headers, and that
 * each entry of its indexes stands for a batch. Begin and end under the log's lock, steps without
 * it; the log may go away between. It reads through descriptors of its own and leaves nothing in
 * the page cache that was not there. */
struct plog_scrub;

/* The first segment from `from` on that is synced to its end and no longer the active one. > 0:
 * NOT_FOUND, BUSY. Thread: pool. */
MUST_CHECK int plog_scrub_begin(struct plog *l, offset64 from, struct plog_scrub **ret);
/* Reads about `max_bytes` more; *ret_bytes = how many. *ret_done: nothing is left, or it was found
 * damaged. Negative: errno, for end. Thread: pool, without the lock. */
MUST_CHECK int plog_scrub_step(
        struct plog_scrub *s, int64_t max_bytes, int64_t *ret_bytes, bool *ret_done);
/* The offset behind the segment. */
offset64 plog_scrub_next(const struct plog_scrub *s);
/* Takes `s`; `r` is what a step gave. Makes a wrong index, and the other one, anew (*ret_is_index_new). 0 also when the
 * segment is not the same any more. > 0: DAMAGED (logged), BUSY; negative as ever. Thread: pool. */
MUST_CHECK int plog_scrub_end(struct plog *l, struct plog_scrub *s, int r, bool *ret_is_index_new);
/* Drops it without a result. Takes NULL. */
struct plog_scrub *plog_scrub_free(struct plog_scrub *s);

/* Where the scrubber of a directory goes on: `scrub.cursor`. */
struct scrub_cursor {
    struct uuid topic_id;
    int32_t partition;
    offset64 offset;
};

/* As it was left; zeros when it is absent or damaged. */
MUST_CHECK int scrub_cursor_read(const struct log_dir *d, struct scrub_cursor *ret);
MUST_CHECK int scrub_cursor_write(const struct log_dir *d, const struct scrub_cursor *c);
