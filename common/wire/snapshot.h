/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/array.h"
#include "common/base/bytes.h"
#include "common/domain/image.h"

/* An image as chunks: each a self-contained RecordList of a size that ZooKeeper, a push and a
 * meta.image can carry. Thread: any. */
struct snapshot {
    struct image_position at;
    ARRAY(struct buf) chunks; /* at least one, which may be empty */
    uint64_t bytes, crc;      /* of all chunks, one after the other; once it is whole */
    struct image_cursor next;
};

enum {
    SNAPSHOT_CHUNK_MAX = 256 * 1024
};

void snapshot_build(const struct image *image, struct snapshot *ret);
/* The same in parts of about `n_steps` records, for an image that nobody changes meanwhile; true
 * when it is whole. */
void snapshot_begin(const struct image *image, struct snapshot *ret);
bool snapshot_step(const struct image *image, struct snapshot *s, size_t n_steps);
void snapshot_deinit(struct snapshot *s); /* takes a zeroed one */

/* Applies one chunk of a snapshot of batch `index` to an image that was empty before the first.
 * > 0: SNAPSHOT_E_BROKEN: it does not decode, or its records contradict each other; the image is
 * to be thrown away. */
enum {
    SNAPSHOT_E_BROKEN = 1,
    SNAPSHOT_E_KIND = 2,  /* a record of a kind that this version does not know */
    SNAPSHOT_E_LEVEL = 3, /* a newer feature level is in force: image_level_refusal() */
};

MUST_CHECK int snapshot_apply(struct image *image, uint64_t index, struct bytes chunk);
