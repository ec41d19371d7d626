/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/clean/clean_pass.h"
#include "common/auth/key_hash.h"
#include "common/base/crc.h"
#include "common/base/mem.h"
#include "common/base/prng.h"
#include "common/compress/compress.h"
#include "common/domain/record_batch.h"
#include "tests/bench/log_bench.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One compaction of a log in which each key was written four times on the average, at no bound of I/O. MB/s counts what is
 * read and what is written. The floor: the same number of bytes read, checksummed, and written; files synced, as a
 * segment must be before it takes another one's place. */

struct compaction {
    struct auth_hasher *hasher;
    struct plog *log;
};

static int64_t n_read, n_written; /* by the last compaction, for the floor after it */

static struct key_hash hash(void *ctx, struct bytes key)
{
    struct compaction *x = ctx;
    uint8_t bytes[AUTH_HASH_SIZE];
    struct key_hash ret;

    auth_hasher_run(x->hasher, key, bytes);
    memcpy(&ret, bytes, sizeof(ret));
    return ret;
}

static bool pace(void *ctx, int64_t bytes)
{
    return true;
}

/* Nobody else holds this log, so its lock is left out. */
static int claim(void *ctx, const struct sealed_list *list)
{
    struct compaction *x = ctx;

    return plog_swap_claim(x->log, list);
}

static int commit(void *ctx, struct plog_swap *s)
{
    struct compaction *x = ctx;

    return plog_swap_commit(x->log, s);
}

static void release(void *ctx)
{
    struct compaction *x = ctx;

    plog_swap_release(x->log);
}

static bool is_as_listed(void *ctx, const struct sealed_list *list)
{
    struct compaction *x = ctx;

    return plog_is_as_listed(x->log, list);
}

/* A batch of records whose keys are random ones of `n_keys`. */
static void make_batch(
        struct prng *random, uint64_t n_keys, const struct bench_case *c, struct buf *out)
{
    struct batch_builder bb = {0};
    struct batch_build_options opt = {.producer_id = -1, .producer_epoch = -1, .base_sequence = -1};
    enum batch_codec codec = c->is_packed ? CODEC_LZ4 : CODEC_NONE;
    uint8_t *value = mem_alloc(c->record_size);
    struct buf packed = {0};

    for (size_t i = 0; i < c->record_size; i++) { /* compresses to about a half */
        value[i] = (uint8_t)prng_below(random, 16);
    }
    do {
        uint64_t key = prng_below(random, n_keys);
        struct record r = {.timestamp = 1,
                .key = {.at = (const uint8_t *)&key, .size = sizeof(key)},
                .value = {.at = value, .size = c->record_size}};
        batch_builder_add(&bb, &r, NULL);
    } while (bb.records.size + c->record_size + 64 < c->batch_size);
    if (codec != CODEC_NONE) {
        struct bytes plain = {.at = bb.records.data, .size = bb.records.size};
        need(compress_bytes(codec, 0, plain, &packed), "compressing");
    }
    batch_builder_finish(
            &bb, &opt, codec, (struct bytes){.at = packed.data, .size = packed.size}, out);
    buf_deinit(&packed);
    batch_builder_deinit(&bb);
    (void)mem_free(value);
}

static void fill_keyed(struct world *w, const struct bench_case *c)
{
    uint64_t n_keys = (uint64_t)w->total / c->record_size / 4 + 1;
    struct prng random;

    prng_init(&random, 1);
    while (plog_bytes(w->log) < w->total) {
        struct buf bytes = {0};
        struct batch b;
        offset64 base;

        make_batch(&random, n_keys, c, &bytes);
        need(batch_parse(bytes.data, bytes.size, &b), "a batch of its own");
        need(plog_append(w->log, bytes.data, &b, 0, &base), "appending");
        buf_deinit(&bytes);
    }
    need(plog_roll_active(w->log), "rolling");
    world_flush(w);
}

static void choose(const struct world *w, struct clean_task *task)
{
    plog_sealed_list(w->log, &task->list);
    struct cleaning_segment *segments = mem_new_n(struct cleaning_segment, task->list.n + 1);
    for (size_t i = 0; i < task->list.n; i++) {
        const struct sealed_segment *s = &task->list.items[i];
        segments[i] = (struct cleaning_segment){.base = s->base,
                .end = s->end,
                .size = s->size,
                .first_timestamp = -1,
                .is_synced = s->is_synced};
    }
    cleaning_choose(
            &task->policy, segments, task->list.n, 0, plog_end(w->log), wall_clock(), &task->range);
    (void)mem_free(segments);
    need(task->range.is_due ? 0 : -EIO, "there is something to compact");
}

static void compact_weir(struct world *w, const struct bench_case *c, struct measure *m)
{
    struct clean_result done = {0};
    struct clock_pair clocks;

    world_open(w, 64 * MIB);
    fill_keyed(w, c);
    struct compaction x = {.hasher = auth_hasher_new(), .log = w->log};
    struct clean_env env = {.dir = w->dir,
            .hash = hash,
            .pace = pace,
            .claim = claim,
            .commit = commit,
            .release = release,
            .is_as_listed = is_as_listed,
            .ctx = &x,
            .now = wall_clock(),
            .map_size = 128 * MIB,
            .map_load_ppm = 900000,
            .producer_expiry_ms = 86400000};
    struct clean_task task = {.policy = {.segment_bytes = 64 * MIB,
                                      .delete_retention_ms = 86400000,
                                      .max_lag_ms = INT64_MAX},
            .epoch = EPOCH_NONE};
    choose(w, &task);
    clocks_start(&clocks);
    need(clean_run(&env, &task, &done), "compacting");
    clocks_stop(&clocks, m);
    n_read = done.bytes_read;
    n_written = done.bytes_written;
    m->bytes += (double)(n_read + n_written);
    m->n += (double)done.n_records;
    sealed_list_deinit(&task.list);
    (void)auth_hasher_free(x.hasher);
    world_close(w);
}

/* Goes round in a file of 64 MiB. */
static void move(int fd, int64_t total, bool is_write)
{
    uint8_t *bytes = mem_alloc(MIB);

    memset(bytes, 'x', MIB);
    for (int64_t at = 0; at < total; at += MIB) {
        ssize_t n = is_write ? pwrite(fd, bytes, MIB, at) : pread(fd, bytes, MIB, at % (64 * MIB));
        if (n != MIB) {
            fail("moving bytes", -errno);
        }
        need(!is_write && crc32c(0, bytes, MIB) == 1 ? -EIO : 0, "the checksum is used");
    }
    (void)mem_free(bytes);
}

static void compact_floor(struct world *w, const struct bench_case *c, struct measure *m)
{
    char *path = mem_format("%s/weir-log-floor-XXXXXX", w->folder);
    char *path2 = mem_format("%s/weir-log-floor-XXXXXX", w->folder);
    int from = mkostemp(path, O_CLOEXEC), to = mkostemp(path2, O_CLOEXEC);
    struct clock_pair clocks;

    if (from < 0 || to < 0) {
        fail(path, -errno);
    }
    (void)unlink(path);
    (void)unlink(path2);
    move(from, 64 * MIB, true);
    clocks_start(&clocks);
    move(from, n_read, false);
    move(to, n_written, true);
    need(fdatasync(to), "syncing");
    clocks_stop(&clocks, m);
    m->bytes += (double)(n_read + n_written);
    (void)close(from);
    (void)close(to);
    (void)mem_free(path);
    (void)mem_free(path2);
}

#define COMPACT(text, record, packed)                                                              \
    {                                                                                              \
        .name = text, .unit = "records", .record_size = record, .batch_size = 16 * 1024,           \
        .is_packed = packed, .weir = compact_weir, .floor = compact_floor                          \
    }

const struct bench_case compact_cases[] = {
        COMPACT("compact 100 B", 100, false),
        COMPACT("compact 1 KiB", 1024, false),
        COMPACT("compact 1 KiB, lz4", 1024, true),
};
const size_t n_compact_cases = sizeof(compact_cases) / sizeof(compact_cases[0]);
