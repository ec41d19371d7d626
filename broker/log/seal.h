/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "broker/log/batch_head.h"
#include "common/base/uuid.h"

/* <base>.seal: what a segment that is no longer written to holds, and whose it is, so that a start need not read it and
 * nobody takes another log's file for it. Written in the background once the segment's bytes are synced; a missing or
 * unreadable one is made again. Thread: any. */
struct seal {
    struct uuid topic_id;
    int32_t partition;
    struct uuid dir_id;   /* of the log directory that it was written in */
    offset64 base, end;   /* the offsets that the segment covers: `end` is where the next one begins */
    int64_t size;         /* of its .log */
    uint64_t heads;       /* batch_head_digest() over its batches, in order */
    epoch32 last_epoch;   /* of its last batch, EPOCH_NONE without any */
    wall_ms max_timestamp; /* INT64_MIN without any */
    uint32_t index_n;     /* entries of its .index, */
    uint32_t index_crc;   /* and their CRC-32C */
    uint32_t time_n;      /* the same of its .timeindex; 0 also when it has none */
    uint32_t time_crc;
    bool is_compacted;    /* offsets inside may be missing */
};

enum {
    SEAL_E_ABSENT = 1,
    SEAL_E_DAMAGED = 2
};

/* > 0: ABSENT, DAMAGED. */
MUST_CHECK int seal_read(const struct file_io *io, const char *path, struct seal *ret);
/* Durably. */
MUST_CHECK int seal_write(const struct file_io *io, const char *path, const struct seal *s);

/* What stands in front of a batch's own checksum (base offset, length, leader epoch, magic, the checksum), added to a
 * digest that begins with 0. Together with each batch's checksum it proves a whole file. */
uint64_t batch_head_digest(uint64_t digest, const struct batch_head *h);
