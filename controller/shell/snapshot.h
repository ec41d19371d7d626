/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/array.h"
#include "common/base/bytes.h"
#include "common/domain/image.h"

/* An image as chunks: each a self-contained RecordList of a size that ZooKeeper and a push can carry. Thread: control. */
struct snapshot {
    struct image_position at;
    ARRAY(struct buf) chunks; /* at least one, which may be empty */
    uint64_t bytes, crc;      /* of all chunks, one after the other */
};

void snapshot_build(const struct image *image, struct snapshot *ret);
void snapshot_deinit(struct snapshot *s); /* takes a zeroed one */

/* Applies one chunk of a snapshot of batch `index` to an image that was empty before the first. > 0: SNAPSHOT_E_BROKEN:
 * it does not decode, or its records contradict each other; the image is to be thrown away. */
enum {
    SNAPSHOT_E_BROKEN = 1,
    SNAPSHOT_E_KIND = 2,  /* a record of a kind that this version does not know */
    SNAPSHOT_E_LEVEL = 3, /* a newer feature level is in force: image_level_refusal() */
};

MUST_CHECK int snapshot_apply(struct image *image, uint64_t index, struct bytes chunk);
