/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/batch_head.h"
#include "common/base/mem.h"
#include "common/base/prng.h"
#include "common/domain/record_batch.h"
#include "tests/bench/log_bench.h"

#include <errno.h>

/* Looking up where a random offset, or the first batch of a random time, lies in a log that is in memory. The floor: one
 * pread of a batch's header, for whatever an index says, the batch must be looked at. */

enum {
    LOOK_UPS = 200 * 1000
};

static void fill(struct world *w, const struct bench_case *c)
{
    world_open(w, 128 * MIB);
    world_fill(w, c->record_size, c->batch_size);
}

static void empty(struct world *w, const struct bench_case *c)
{
    world_close(w);
}

static void offsets_weir(struct world *w, const struct bench_case *c, struct measure *m)
{
    struct clock_pair clocks;
    struct prng random;

    prng_init(&random, 1);
    clocks_start(&clocks);
    for (int i = 0; i < LOOK_UPS; i++) {
        offset64 offset = (offset64)prng_below(&random, (uint64_t)plog_end(w->log));
        struct plog_slice s;

        world_read(w, offset, 1, &s);
        need(s.size == w->batch_size ? 0 : -EIO, "one batch");
        cached_file_release(s.file);
    }
    clocks_stop(&clocks, m);
    m->n += LOOK_UPS;
}

static void times_weir(struct world *w, const struct bench_case *c, struct measure *m)
{
    uint64_t n_batches = (uint64_t)plog_end(w->log) / (uint64_t)w->batch_records;
    struct clock_pair clocks;
    struct prng random;

    prng_init(&random, 1);
    clocks_start(&clocks);
    for (int i = 0; i < LOOK_UPS; i++) {
        wall_ms t = (wall_ms)prng_below(&random, n_batches) + 1;
        struct plog_slice s;

        need(plog_find_time(w->log, t, plog_end(w->log), &s), "finding a time");
        cached_file_release(s.file);
    }
    clocks_stop(&clocks, m);
    m->n += LOOK_UPS;
}

static void look_floor(struct world *w, const struct bench_case *c, struct measure *m)
{
    uint8_t head[BATCH_HEADER_SIZE];
    struct clock_pair clocks;
    struct plog_segment s;
    struct prng random;

    plog_segment_at(w->log, 0, &s);
    char *path = mem_format("%s/bench-0/%020lld.log", w->path, (long long)s.base);
    int fd = file_io_posix.open(NULL, path, 0);
    prng_init(&random, 1);
    clocks_start(&clocks);
    for (int i = 0; i < LOOK_UPS; i++) {
        int64_t at = (int64_t)prng_below(&random, (uint64_t)s.size - sizeof(head));

        need(file_io_posix.pread(NULL, fd, head, sizeof(head), at) == sizeof(head) ? 0 : -EIO,
                path);
    }
    clocks_stop(&clocks, m);
    m->n += LOOK_UPS;
    (void)file_io_posix.close(NULL, fd);
    (void)mem_free(path);
}

#define LOOK(text, batch, weir_side)                                                               \
    {                                                                                              \
        .name = text, .unit = "look-ups", .record_size = 100, .batch_size = batch,                 \
        .prepare = fill, .weir = weir_side, .floor = look_floor, .finish = empty                   \
    }

const struct bench_case look_cases[] = {
        LOOK("offset among 1 KiB batches", 1024, offsets_weir),
        LOOK("offset among 16 KiB batches", 16 * 1024, offsets_weir),
        LOOK("time among 1 KiB batches", 1024, times_weir),
        LOOK("time among 16 KiB batches", 16 * 1024, times_weir),
};
const size_t n_look_cases = sizeof(look_cases) / sizeof(look_cases[0]);
