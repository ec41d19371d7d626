/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/append_rules.h"
#include "common/base/crc.h"
#include "common/base/mem.h"
#include "common/domain/record_batch.h"
#include "tests/bench/log_bench.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* Appending: what a broker does with a producer's batch from its bytes on (form, checksum, the topic's rules, the log).
 * The floor: the checksum that nobody can leave out, and one pwrite of the same bytes. */

static void append_weir(struct world *w, const struct bench_case *c, struct measure *m)
{
    struct append_rules rules = {.max_message_bytes = 2 * MIB,
            .before_max_ms = INT64_MAX,
            .after_max_ms = INT64_MAX,
            .codec = APPEND_KEEP_CODEC};
    struct append_fault fault;
    struct clock_pair clocks;
    struct template t;

    world_open(w, 128 * MIB);
    template_make(&t, c->record_size, c->batch_size, wall_clock());
    int64_t count = w->total / (int64_t)t.size;
    clocks_start(&clocks);
    for (int64_t i = 0; i < count; i++) {
        struct batch b;
        offset64 base;

        need(batch_validate_produced(t.bytes, t.size, &b), "the batch");
        need(append_judge_header(&rules, &b, wall_clock(), &fault), "the batch's header");
        need(append_look(&rules, &b) != APPEND_LOOK_HEADER, "the header says all");
        need(plog_append(w->log, t.bytes, &b, 0, &base), "appending");
    }
    clocks_stop(&clocks, m);
    m->bytes += (double)count * (double)t.size;
    m->n += (double)count * t.n_records;
    (void)mem_free(t.bytes);
    world_flush(w);
    world_close(w);
}

static void append_floor(struct world *w, const struct bench_case *c, struct measure *m)
{
    struct clock_pair clocks;
    struct template t;
    char *path = mem_format("%s/weir-log-floor-XXXXXX", w->folder);
    int fd = mkostemp(path, O_CLOEXEC);
    uint32_t crc = 0;

    if (fd < 0) {
        fail(path, -errno);
    }
    (void)unlink(path);
    template_make(&t, c->record_size, c->batch_size, 1);
    int64_t count = w->total / (int64_t)t.size;
    clocks_start(&clocks);
    for (int64_t i = 0; i < count; i++) {
        crc ^= crc32c(0, t.bytes, t.size);
        if (pwrite(fd, t.bytes, t.size, i * (int64_t)t.size) != (ssize_t)t.size) {
            fail("pwrite", -errno);
        }
    }
    clocks_stop(&clocks, m);
    m->bytes += (double)count * (double)t.size;
    m->n += (double)count * t.n_records;
    need(crc == 1 ? -EIO : 0, "the checksum is used");
    (void)fdatasync(fd);
    (void)close(fd);
    (void)mem_free(t.bytes);
    (void)mem_free(path);
}

#define APPEND(text, record, batch)                                                                \
    {                                                                                              \
        .name = text, .unit = "records", .record_size = record, .batch_size = batch,               \
        .weir = append_weir, .floor = append_floor                                                 \
    }

const struct bench_case append_cases[] = {
        APPEND("append 100 B in 16 KiB", 100, 16 * 1024),
        APPEND("append 100 B in 1 MiB", 100, MIB),
        APPEND("append 1 KiB in 16 KiB", 1024, 16 * 1024),
        APPEND("append 1 KiB in 1 MiB", 1024, MIB),
};
const size_t n_append_cases = sizeof(append_cases) / sizeof(append_cases[0]);
