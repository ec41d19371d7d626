/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/base/bytes.h"

#include <stdint.h>

/* Metrics: one table (metrics.def) of name, kind, unit and sentence; values without labels in a
 * per-process array of atomics. Values with labels (per topic, per broker) are written at scrape
 * time by their owner.
 *
 *   METRIC(id, "weir_broker_bytes_in_total", COUNTER, "Bytes of record batches accepted from producers.")
 * / */
enum metric_id {
#define METRIC(id, name, kind, text) METRIC_##id,
#include "common/obs/metrics.def"
#undef METRIC
    METRIC_MAX,
};

/* Thread: any. */
void metric_add(enum metric_id id, uint64_t n);
void metric_set(enum metric_id id, int64_t value);
int64_t metric_get(enum metric_id id);
/* Latency histogram in microseconds: powers of two from 64 µs to 64 s; for kind HISTOGRAM. */
void metric_observe_us(enum metric_id id, int64_t us);

/* Appends OpenMetrics text of every metric whose name starts with "weir_" and `prefix`, or that
 * all daemons have ("weir_process_*": resident memory, open files, start time), without the
 * final "# EOF". Thread: any. */
void metrics_write(struct buf *out, const char *prefix);
/* For owners of labelled values: "# TYPE/# HELP" once, then samples `name{labels} value`. */
void metrics_write_family(struct buf *out, const char *name, const char *kind, const char *text);
void metrics_write_sample(struct buf *out, const char *name, const char *labels, int64_t value);
