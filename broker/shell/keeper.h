/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/wire/messages.h"

#include <stddef.h>

struct broker;
struct io_job;
struct partition;

/* Background work on the disks: syncing what was appended, checkpoints, the catalog, markers, the trash. The control
 * loop asks; the pool does. One job of a kind at a time; what is asked meanwhile is done by one more round. */
struct keeper;

/* Starts its timers. Thread: control. */
struct keeper *keeper_new(struct broker *b);
/* After the pool has ended. Takes NULL. Thread: main. */
struct keeper *keeper_free(struct keeper *k);

/* The set of partitions here changed. Thread: control. */
void keeper_catalog_changed(struct keeper *k);
/* The cluster became known: fresh folders join it. Thread: control. */
void keeper_adopt(struct keeper *k, const struct uuid *cluster_id);
/* Every folder has its lasting identity on disk, so that logs may be made in them. Thread: control. */
bool keeper_is_adopted(const struct keeper *k);
/* Registered under that epoch: it goes into the run markers. Thread: control. */
void keeper_registered(struct keeper *k, int64_t broker_epoch);
/* This broker's unfencing was applied. Thread: control. */
void keeper_settled(struct keeper *k);
/* The log of a removed partition goes to the trash, after log_trash_begin(). Takes the reference. Thread: control. */
void keeper_trash(struct keeper *k, struct partition *p);
/* What is in the trash is to be looked through. Thread: any. */
void keeper_sweep_trash(struct keeper *k);
/* Much of one partition is unsynced, or somebody waits for the disk: by the folder's own threads. Thread: data, pool. */
void keeper_flush_soon(struct keeper *k, struct partition *p);
/* [LOG-74] A topic is here with that flush.ms. Thread: control. */
void keeper_note_flush_ms(struct keeper *k, int64_t flush_ms);
/* weir.flush.interval.ms or log.retention.check.interval.ms is another now: a shorter one counts from now on, not after
 * the present one. Thread: control. */
void keeper_intervals_changed(struct keeper *k);
/* Settings of topics changed: old segments are judged anew. Thread: control. */
void keeper_retain_soon(struct keeper *k);
/* Runs `job` once checkpoints were written in a round that began after this call; whether they could be is for it to
 * see. It does not block. Thread: any → pool (or main, at the end). */
void keeper_after_checkpoint(struct keeper *k, struct io_job *job);

/* As last measured; paths are borrowed from the folders. Returns how many. Thread: control. */
size_t keeper_dir_states(struct keeper *k, struct msg_log_dir_state *ret, size_t max);

/* What was asked for is still synced. After the loops and the pool have ended. Takes NULL. Thread: main. */
void keeper_end_syncs(struct keeper *k);
/* The orderly end: everything synced, checkpoints and catalog written, folders marked clean. Nobody else uses the
 * partitions any more. False when a folder could not be marked. Thread: main. */
bool keeper_finish(struct keeper *k, int64_t broker_epoch, uint64_t meta_index);
