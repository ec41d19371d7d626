/* SPDX-License-Identifier: Apache-2.0 */
#include "common/obs/metrics.h"

#include "common/base/array.h"
#include "common/base/must.h"
#include "common/obs/process.h"

#include <inttypes.h>
#include <stdatomic.h>

enum metric_kind {
    METRIC_KIND_COUNTER,
    METRIC_KIND_GAUGE,
    METRIC_KIND_HISTOGRAM
};

static const struct {
    const char *name;
    enum metric_kind kind;
    const char *text;
} table[METRIC_MAX] = {

#define METRIC(id, name, kind, text) [METRIC_##id] = {name, METRIC_KIND_##kind, text},
#include "common/obs/metrics.def"
#undef METRIC
};

static const char *const kind_names[] = {
        [METRIC_KIND_COUNTER] = "counter",
        [METRIC_KIND_GAUGE] = "gauge",
        [METRIC_KIND_HISTOGRAM] = "histogram",
};

/* Bucket i holds what is at most 2^(6 + i) µs; the last one holds the rest. */
enum {
    BUCKET_FIRST_LOG = 6,
    N_BOUNDS = 21,
    N_BUCKETS = N_BOUNDS + 1
};

/* Each value has a cache line of its own: data loops count at the same time. */
static struct {
    _Alignas(64) _Atomic int64_t value;
} values[METRIC_MAX];

static struct {
    _Alignas(64) _Atomic uint64_t buckets[N_BUCKETS];
    _Atomic int64_t sum;
} histograms[METRIC_MAX];

void metric_add(enum metric_id id, uint64_t n)
{
    must(id < METRIC_MAX);
    must(table[id].kind != METRIC_KIND_HISTOGRAM);
    atomic_fetch_add_explicit(&values[id].value, (int64_t)n, memory_order_relaxed);
}

void metric_set(enum metric_id id, int64_t value)
{
    must(id < METRIC_MAX);
    must(table[id].kind == METRIC_KIND_GAUGE);
    atomic_store_explicit(&values[id].value, value, memory_order_relaxed);
}

static uint64_t histogram_count(enum metric_id id)
{
    uint64_t count = 0;

    for (size_t i = 0; i < N_BUCKETS; i++) {
        count += atomic_load_explicit(&histograms[id].buckets[i], memory_order_relaxed);
    }
    return count;
}

int64_t metric_get(enum metric_id id)
{
    must(id < METRIC_MAX);
    if (table[id].kind == METRIC_KIND_HISTOGRAM) {
        return (int64_t)histogram_count(id);
    }
    return atomic_load_explicit(&values[id].value, memory_order_relaxed);
}

void metric_observe_us(enum metric_id id, int64_t us)
{
    size_t i = 0;

    must(id < METRIC_MAX);
    must(table[id].kind == METRIC_KIND_HISTOGRAM);
    us = us > 0 ? us : 0;
    while (i < N_BOUNDS && us > (int64_t)1 << (BUCKET_FIRST_LOG + i)) {
        i++;
    }
    atomic_fetch_add_explicit(&histograms[id].buckets[i], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&histograms[id].sum, us, memory_order_relaxed);
}

/* --- Text ------------------------------------------------------------------------------------- */

static bool starts_with(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

void metrics_write_family(struct buf *out, const char *name, const char *kind, const char *text)
{
    size_t size = strlen(name);
    static const char suffix[] = "_total";

    /* OpenMetrics: a counter's family has the name without the suffix that its samples have. */
    if (strcmp(kind, "counter") == 0 && size > strlen(suffix) &&
            strcmp(name + size - strlen(suffix), suffix) == 0) {
        size -= strlen(suffix);
    }
    buf_append_format(
            out, "# TYPE %.*s %s\n# HELP %.*s %s\n", (int)size, name, kind, (int)size, name, text);
}

void metrics_write_sample(struct buf *out, const char *name, const char *labels, int64_t value)
{
    if (labels == NULL || labels[0] == '\0') {
        buf_append_format(out, "%s %" PRId64 "\n", name, value);
    } else {
        buf_append_format(out, "%s{%s} %" PRId64 "\n", name, labels, value);
    }
}

static void write_histogram(struct buf *out, enum metric_id id)
{
    const char *name = table[id].name;
    uint64_t count = 0;

    for (unsigned i = 0; i < N_BOUNDS; i++) {
        count += atomic_load_explicit(&histograms[id].buckets[i], memory_order_relaxed);
        uint64_t bound = (uint64_t)1 << (BUCKET_FIRST_LOG + i);
        buf_append_format(out, "%s_bucket{le=\"%" PRIu64 ".0\"} %" PRIu64 "\n", name, bound, count);
    }
    count += atomic_load_explicit(&histograms[id].buckets[N_BOUNDS], memory_order_relaxed);
    int64_t sum = atomic_load_explicit(&histograms[id].sum, memory_order_relaxed);
    buf_append_format(out, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n", name, count);
    buf_append_format(out, "%s_count %" PRIu64 "\n%s_sum %" PRId64 "\n", name, count, name, sum);
}

/* A name that no daemon claims for itself is of all of them. */
static bool is_of_every_daemon(const char *name)
{
    static const char *const own[] = {"weir_broker_", "weir_controller_", "weir_journal_"};

    for (size_t i = 0; i < COUNT_OF(own); i++) {
        if (starts_with(name, own[i])) {
            return false;
        }
    }
    return true;
}

static void write_process(struct buf *out)
{
    static const char resident[] = "weir_process_resident_bytes";
    static const char files[] = "weir_process_open_files";
    static const char start[] = "weir_process_start_time_seconds";

    metrics_write_family(out, resident, "gauge", "Resident memory of this process.");
    metrics_write_sample(out, resident, NULL, process_resident_bytes());
    metrics_write_family(out, files, "gauge", "Open file descriptors of this process.");
    metrics_write_sample(out, files, NULL, process_open_files());
    metrics_write_family(out, start, "gauge", "When this process started, in seconds since 1970.");
    metrics_write_sample(out, start, NULL, process_start_time_s());
}

void metrics_write(struct buf *out, const char *prefix)
{
    for (int i = 0; i < METRIC_MAX; i++) {
        enum metric_id id = (enum metric_id)i;
        const char *name = table[i].name;
        must(starts_with(name, "weir_"));
        if (!is_of_every_daemon(name) && !starts_with(name + strlen("weir_"), prefix) &&
                !(strcmp(prefix, "controller") == 0 && starts_with(name, "weir_journal_"))) {
            continue;
        }
        metrics_write_family(out, name, kind_names[table[i].kind], table[i].text);
        if (table[i].kind == METRIC_KIND_HISTOGRAM) {
            write_histogram(out, id);
        } else {
            metrics_write_sample(out, name, NULL, metric_get(id));
        }
    }
    write_process(out);
}
