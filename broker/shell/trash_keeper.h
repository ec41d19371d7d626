/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "broker/log/log_dir.h"
#include "common/net/loop.h"

struct broker;
struct io_job;
struct partition;

/* The trash of a broker's log directories: what the image says of it, brought to the disks, and logs that come back.
 *
 *   image ──(control: which topics are in the trash, which are gone)──▶ view ──(pool: sweep, relief)──▶ .trash
 *   a new partition whose log is in the trash, or whose folder's name is not free ──(pool)──▶ opened
 *
 * The keeper's purge chore runs the sweep. Until an image was applied nothing is removed ([BRK-10]). */
struct trash_keeper;

struct trash_keeper *trash_keeper_new(struct broker *b);
/* After the pool has ended. Takes NULL. Thread: main. */
struct trash_keeper *trash_keeper_free(struct trash_keeper *t);

/* The image moves on: what the last view says of unknown topics does not count. Thread: control. */
void trash_keeper_image_moves(struct trash_keeper *t);
/* Takes a new view of the image. Thread: control. */
void trash_keeper_image_moved(struct trash_keeper *t);

/* [TRS-14] A record has taken its replica away from here: once it is in the trash it is removed, unless it comes back
 * before. Thread: control. */
struct partition_key;
void trash_keeper_moved_away(struct trash_keeper *t, const struct partition_key *key);

/* Looks at the configuration again. Thread: control. */
void trash_keeper_tick(struct trash_keeper *t);

/* Opens that partition's log on the pool, as soon as it can be. Thread: control. */
void trash_keeper_open(struct trash_keeper *t, struct partition *p);
/* Whoever waits tries again. Thread: any. */
void trash_keeper_retry(struct trash_keeper *t);

/* Removes what is to be removed; and below the low-space mark the oldest deleted topics, one after the other, until
 * there is room. > 0: NAMED, as log_trash_sweep(). Thread: pool (one caller at a time). */
MUST_CHECK int trash_keeper_sweep(struct trash_keeper *t, struct log_dir *dir);
/* Whether a sweep is worth its while: the last one is long ago, or the disk is low and has trash. Thread: pool. */
bool trash_keeper_is_due(struct trash_keeper *t);
