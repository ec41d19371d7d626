/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/bytes.h"

#include <stdbool.h>
#include <stdint.h>

struct broker;

/* `meta.image` in the first good log directory: a cache of the metadata that this broker has
 * applied, for the day that ZooKeeper has lost everything (docs/design/90-rebuild.md). Nothing
 * is decided from it.
 *
 *   changed ──▶ due in a second ──▶ image copied (control) ──▶ encoded and written (pool)
 *
 * A disk that does not take it costs a warning. */
struct keeper_image;

/* Reads what earlier runs left, so that nothing newer is overwritten. Thread: main, before the
 * loops run. */
struct keeper_image *keeper_image_new(struct broker *b);
/* After the pool has ended. Takes NULL. Thread: main. */
struct keeper_image *keeper_image_free(struct keeper_image *k);

/* Batch `index` was applied; these are its bytes, empty after a snapshot. Thread: control. */
void keeper_image_applied(struct keeper_image *k, uint64_t index, struct bytes batch);
/* A controller of that epoch said Hello. Thread: control. */
void keeper_image_heard(struct keeper_image *k, uint64_t ctl_epoch);
/* Whether the files that earlier runs left know this broker under that epoch. Thread: control. */
bool keeper_image_knows_epoch(const struct keeper_image *k, int64_t epoch);

/* The orderly end: writes what is not written yet. After the pool has ended. Thread: main. */
void keeper_image_finish(struct keeper_image *k);
