/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/plog_check.h"
#include "common/base/mem.h"
#include "common/domain/record_batch.h"
#include "tests/bench/log_bench.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static char *made; /* the folder that goes when the program fails, too */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    return remove(path);
}

static void remove_made(void)
{
    if (made != NULL) {
        (void)nftw(made, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    }
    made = mem_free(made);
}

void fail(const char *what, int error)
{
    (void)fprintf(stderr, "log_bench: %s: %s\n", what,
            error < 0 ? strerror(-error) : "refused (see the header of the module)");
    remove_made();
    exit(3);
}

void need(int r, const char *what)
{
    if (r != 0) {
        fail(what, r);
    }
}

/* --- Time --------------------------------------------------------------------------------------------------------- */

static double wall_now(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Of this process, which has one thread: what a child does, who only empties a socket, does not count. */
static double cpu_now(void)
{
    struct rusage u;

    (void)getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

void clocks_start(struct clock_pair *c)
{
    *c = (struct clock_pair){.wall = wall_now(), .cpu = cpu_now()};
}

void clocks_stop(const struct clock_pair *c, struct measure *m)
{
    m->wall_s += wall_now() - c->wall;
    m->cpu_s += cpu_now() - c->cpu;
}

wall_ms wall_clock(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (wall_ms)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* --- The directory ------------------------------------------------------------------------------------------------ */

static void open_log(struct world *w)
{
    char error[256] = "";
    struct uuid cluster = {{7}};

    if (log_dir_open(&file_io_posix, w->path, 1, &w->dir, error, sizeof(error)) != 0) {
        (void)fprintf(stderr, "log_bench: %s: %s\n", w->path, error);
        exit(3);
    }
    need(log_dir_adopt(w->dir, &cluster), "adopting the directory");
    need(log_dir_begin_run(w->dir, 100), "writing the run's marker");
    w->files = file_cache_new(&file_io_posix, 1024);
    need(plog_open(w->dir, w->files, "bench", &w->topic_id, 0, &w->config, &w->log, NULL),
            "opening the log");
}

static void close_log(struct world *w)
{
    w->log = plog_close(w->log);
    w->files = file_cache_free(w->files);
    w->dir = log_dir_close(w->dir);
}

void world_open(struct world *w, int64_t segment_bytes)
{
    w->path = mem_format("%s/weir-log-bench-XXXXXX", w->folder);
    if (mkdtemp(w->path) == NULL) {
        fail(w->path, -errno);
    }
    made = mem_strdup(w->path);
    w->topic_id = (struct uuid){{1, 2, 3}};
    w->config = (struct plog_config){
            .segment_bytes = segment_bytes, .index_interval_bytes = 4096, .index_bytes = 10 * MIB};
    open_log(w);
}

void world_flush(struct world *w)
{
    for (struct plog_flush *f = plog_flush_begin(w->log); f != NULL; f = plog_flush_begin(w->log)) {
        need(plog_flush_run(f), "syncing the log");
        plog_flush_end(w->log, f);
    }
}

void world_reopen(struct world *w)
{
    struct checkpoint_entry e = {.topic_id = w->topic_id,
            .recovery_point = plog_recovery_point(w->log),
            .high_watermark = plog_recovery_point(w->log)};

    need(log_dir_write_checkpoints(w->dir, &e, 1), "writing the checkpoints");
    need(log_dir_settled(w->dir), "settling");
    need(log_dir_mark_clean(w->dir, 100, 1), "writing the clean marker");
    close_log(w);
    open_log(w);
}

void world_close(struct world *w)
{
    close_log(w);
    remove_made();
    w->path = mem_free(w->path);
}

/* --- Batches ------------------------------------------------------------------------------------------------------ */

void template_make(struct template *t, size_t record_size, size_t batch_size, wall_ms timestamp)
{
    struct batch_builder bb = {0};
    struct batch_build_options opt = {.producer_id = -1, .producer_epoch = -1, .base_sequence = -1};
    struct buf out = {0};
    uint8_t *value = mem_alloc(record_size);
    struct record r = {.timestamp = timestamp, .value = {.at = value, .size = record_size}};

    memset(value, 'x', record_size);
    do {
        batch_builder_add(&bb, &r, NULL);
    } while (bb.records.size + record_size + 64 < batch_size);
    batch_builder_finish(&bb, &opt, CODEC_NONE, (struct bytes){0}, &out);
    *t = (struct template){
            .bytes = mem_alloc(out.size), .size = out.size, .n_records = bb.n_records};
    memcpy(t->bytes, out.data, out.size);
    buf_deinit(&out);
    batch_builder_deinit(&bb);
    (void)mem_free(value);
}

void world_fill(struct world *w, size_t record_size, size_t batch_size)
{
    wall_ms timestamp = 1;

    while (plog_bytes(w->log) < w->total) {
        struct template t;
        struct batch b;
        offset64 base;

        template_make(&t, record_size, batch_size, timestamp++);
        need(batch_validate_produced(t.bytes, t.size, &b), "a batch of its own");
        need(plog_append(w->log, t.bytes, &b, 0, &base), "appending");
        w->batch_size = t.size;
        w->batch_records = t.n_records;
        (void)mem_free(t.bytes);
    }
    world_flush(w);
}

void world_read(struct world *w, offset64 offset, size_t max, struct plog_slice *ret)
{
    struct plog_check check;
    int r = plog_read_checked(w->log, offset, plog_end(w->log), max, true, false, ret);

    while (r == PLOG_E_COLD) {
        need(plog_check_begin(w->log, offset, plog_end(w->log), (int64_t)max, &check), "a check");
        need(plog_check_end(w->log, &check, plog_check_run(&check)), "the check's end");
        r = plog_read_checked(w->log, offset, plog_end(w->log), max, true, true, ret);
    }
    need(r, "reading");
}
