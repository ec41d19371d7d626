/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/wire/messages.h"

#include <stdbool.h>

/* A reader of the metadata log that trusts nothing: walks all entries that ZooKeeper holds and
 * checks what must be true of any history. Each index once and no gap; the crc chain; records
 * numbered densely; nonces unique; controller epochs that only rise, each opened by one
 * NEW_CONTROLLER record of its own and so written by one controller; the records add up to an
 * image that is sound (when the log reaches back to its beginning); and the snapshot that head
 * names is there with its checksum. Runs a loop and a session of its own. Thread: one. */
struct meta_walk {
    uint64_t first, last, first_seq, last_seq; /* of what is there; 0 = nothing */
    uint64_t last_epoch, head;                 /* head: index of the snapshot, 0 = none */
    size_t n_writers;                          /* NEW_CONTROLLER records */
    size_t n_records;
    size_t largest; /* bytes of the largest entry */
};

typedef void meta_walk_fn(
        void *ctx, const struct msg_batch *batch, const struct meta_record *record);

/* `connect` with the chroot; `fn` may be NULL. Fails the case at the first thing that is wrong. */
void meta_walk(const char *connect, struct meta_walk *ret, meta_walk_fn *fn, void *ctx);

/* Appends a batch as a controller of that epoch would (0 = the epoch of the last batch), for
 * tests that write what this version does not; nobody else may be writing. `records` get their
 * seq. */
void meta_walk_append(
        const char *connect, uint64_t ctl_epoch, struct meta_record *records, size_t n);
