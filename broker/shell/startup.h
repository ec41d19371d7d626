/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "broker/core/progress.h"
#include "common/domain/meta_record.h"

#include <stdbool.h>

struct broker;

/* Opens the logs that stand in the folders, before anything is served: each folder by threads of
 * its own (num.recovery.threads.per.data.dir), the log with the most to scan first. The control
 * loop turns meanwhile.
 *
 *   ──▶ measuring: how much is to be scanned ──▶ opening ──▶ is_over
 *                         └──────── startup_interrupt ────────▶ */
struct startup;

/* How far one folder is. */
struct startup_dir_state {
    const char *path; /* borrowed from the folder */
    enum crash_kind crash_kind;
    struct progress_facts facts;
    size_t n_failed;  /* of the opened: damaged or lost */
    bool is_measured; /* facts.to_scan is of all its logs */
};

/* Makes the partitions and begins. `on_over` is called once, on the control loop, when no thread
 * works on a log any more: `is_whole` = not interrupted. Thread: control. */
struct startup *startup_new(struct broker *b, void (*on_over)(void *ctx, bool is_whole), void *ctx);
/* Takes NULL; after is_over, or before the loop ran. Thread: control. */
struct startup *startup_free(struct startup *s);
/* [LOG-16] Logs that are not open yet stay as they are. Thread: control. */
void startup_interrupt(struct startup *s);

bool startup_is_over(const struct startup *s);
wtime startup_elapsed(const struct startup *s);
/* One for each folder, as the broker has them. Thread: control. */
size_t startup_dirs(const struct startup *s, struct startup_dir_state *ret, size_t max);
struct progress startup_progress(const struct startup *s); /* of all together. Thread: control */
const char *startup_crash_kind_text(enum crash_kind kind);
