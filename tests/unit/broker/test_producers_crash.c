/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/shell/producer_state.h"

#include "common/base/mem.h"
#include "common/base/prng.h"
#include "common/obs/log.h"
#include "tests/lib/check.h"
#include "tests/lib/mem_disk.h"

#include <stdlib.h>

/* A partition with producers on a disk that forgets: the process dies, or the power goes, at any
 * write, sync, rename or removal, snapshots and checkpoints included. What is known after the next
 * start is what a walk through all that is in the log gives. The seed is check_seed(), the number
 * of lives $WEIR_CRASH_LIVES. */

enum {
    LIVES = 2500,
    STEPS_PER_LIFE_MAX = 60,
    CHANGES_PER_LIFE_MAX = 140,
    IDS = 4,
    NOW = 5000
};

struct world {
    struct prng prng;
    struct mem_disk *disk;
    struct log_dir *dir;
    struct file_cache *files;
    struct plog *l;
    struct plog_config config;
    struct producers state;
    ARRAY(struct producers_batch) log; /* appended; the last may be the one that was under way */
    offset64 none_below;
    bool has_ids; /* producers write, and not only others */
    bool is_adopted;
    int n_restored; /* starts from a snapshot */
};

static const struct uuid topic_id = {{4, 5}};
static const struct uuid cluster_id = {{7}};

static uint64_t below(struct world *w, uint64_t n)
{
    return prng_below(&w->prng, n);
}

/* Whether an operation was done; one that was not has met the death of this life. */
static bool done(const struct world *w, int r)
{
    if (r == 0) {
        return true;
    }
    CHECK(mem_disk_is_dead(w->disk));
    return false;
}

/* --- Operations ------------------------------------------------------------------------------- */

static struct producers_batch next_batch(struct world *w)
{
    struct producers_batch b = {.id = -1, .epoch = -1, .base_sequence = -1};

    b.last_delta = (int32_t)below(w, 4);
    b.timestamp = 1000;
    if (!w->has_ids || below(w, 4) == 0) {
        return b;
    }
    b.id = (int64_t)below(w, IDS);
    const struct producer *one = producers_find(&w->state, b.id);

    b.epoch = one != NULL ? one->epoch : 0;
    b.base_sequence = 0;
    if (one != NULL && below(w, 30) == 0) {
        b.epoch++;
    } else if (one != NULL) {
        b.base_sequence = (int32_t)((uint32_t)one->batches[one->n - 1].last + 1) & INT32_MAX;
    }
    return b;
}

static void encode(struct buf *out, const struct producers_batch *b)
{
    struct batch_build_options o = {
            .producer_id = b->id, .producer_epoch = b->epoch, .base_sequence = b->base_sequence};
    struct batch_builder bb = {0};
    struct record r = {.timestamp = b->timestamp, .value = {(const uint8_t *)"0123456789", 10}};

    for (int32_t i = 0; i <= b->last_delta; i++) {
        batch_builder_add(&bb, &r, NULL);
    }
    batch_builder_finish(
            &bb, &o, CODEC_NONE, (struct bytes){bb.records.data, bb.records.size}, out);
    batch_builder_deinit(&bb);
}

static bool do_append(struct world *w)
{
    struct producers_batch p = next_batch(w);
    struct buf bytes = {0};
    struct batch b;

    CHECK_EQ(producers_check(&w->state, &p).kind, PRODUCERS_APPEND);
    encode(&bytes, &p);
    CHECK_EQ(batch_parse(bytes.data, bytes.size, &b), 0);
    p.base = plog_end(w->l);
    *array_push(&w->log) = p;
    int r = plog_append(w->l, bytes.data, &b, 0, &p.base);
    buf_deinit(&bytes);
    if (!done(w, r)) {
        return false;
    }
    producers_note(&w->state, &p, NOW);
    return true;
}

static bool do_flush(struct world *w)
{
    struct plog_flush *f = plog_flush_begin(w->l);

    if (f == NULL) {
        return true;
    }
    int r = plog_flush_run(f);
    plog_flush_end(w->l, f);
    return done(w, r);
}

static bool do_checkpoint(struct world *w)
{
    struct checkpoint_entry e = {.topic_id = topic_id, .recovery_point = plog_recovery_point(w->l)};

    if (w->state.known.n == 0) {
        w->none_below = e.recovery_point;
    }
    e.no_producers = w->none_below;

    return done(w, log_dir_write_checkpoints(w->dir, &e, 1));
}

static bool do_snapshot(struct world *w)
{
    struct buf bytes = {0};

    if (w->state.known.n == 0) { /* [PID-35] and perhaps no folder */
        return true;
    }
    producers_encode(&w->state, &bytes);
    int r = plog_snapshot_write(w->l, w->state.end, bytes.data, bytes.size);
    buf_deinit(&bytes);
    return done(w, r) && done(w, plog_snapshot_written(w->l, w->state.end, 2));
}

static bool step(struct world *w)
{
    uint64_t what = below(w, 100);

    if (what < 60) {
        return do_append(w);
    }
    if (what < 75) {
        return do_flush(w);
    }
    return what < 88 ? do_checkpoint(w) : do_snapshot(w);
}

/* --- Lives ------------------------------------------------------------------------------------ */

static void judge(struct world *w)
{
    struct producers all = {0};
    struct buf x = {0}, y = {0};

    while (w->log.n > 0 && w->log.items[w->log.n - 1].base >= plog_end(w->l)) {
        array_remove(&w->log, w->log.n - 1);
    }
    for (size_t i = 0; i < w->log.n; i++) {
        producers_note(&all, &w->log.items[i], NOW);
    }
    CHECK_EQ(all.end, plog_end(w->l));
    producers_encode(&all, &x);
    producers_encode(&w->state, &y);
    CHECK_EQ(x.size, y.size);
    CHECK_MEM(x.data, y.data, x.size);
    buf_deinit(&x);
    buf_deinit(&y);
    producers_deinit(&all);
}

static bool begin(struct world *w)
{
    struct checkpoint_entry ckpt = {0};
    struct plog_open_stats stats = {0};
    struct producer_state_source source = {.snapshot = OFFSET_NONE};
    char error[256] = "";

    w->files = file_cache_new(mem_disk_io(w->disk), 4);
    if (!done(w, log_dir_open(mem_disk_io(w->disk), "/data", 1, &w->dir, error, sizeof(error)))) {
        return false;
    }
    if (!w->is_adopted && !done(w, log_dir_adopt(w->dir, &cluster_id))) {
        return false;
    }
    w->is_adopted = true;
    if (!done(w, log_dir_begin_run(w->dir, 100)) ||
            !done(w, plog_open(w->dir, w->files, "orders", &topic_id, 0, &w->config, &w->l,
                             &stats))) {
        return false;
    }
    (void)log_dir_checkpoint(w->dir, &topic_id, 0, &ckpt);
    w->none_below = ckpt.no_producers;
    if (!done(w, producer_state_restore(&w->state, w->l, ckpt.no_producers, NOW, &source))) {
        return false;
    }
    w->n_restored += source.snapshot != OFFSET_NONE;
    judge(w);
    return true;
}

static void live(struct world *w)
{
    uint64_t n_steps = below(w, STEPS_PER_LIFE_MAX);

    if (below(w, 8) > 0) {
        mem_disk_die_at(w->disk, 1 + below(w, CHANGES_PER_LIFE_MAX));
    }
    w->has_ids = w->has_ids || below(w, 3) == 0;
    bool goes_on = begin(w);
    while (goes_on && n_steps-- > 0) {
        goes_on = step(w);
    }
    if (goes_on && below(w, 2) == 0) {
        (void)(do_flush(w) && do_snapshot(w) && do_checkpoint(w) &&
                done(w, log_dir_mark_clean(w->dir, 100, 1)));
    }
    producers_deinit(&w->state);
    w->l = plog_close(w->l);
    w->dir = log_dir_close(w->dir);
    w->files = file_cache_free(w->files);
    if (below(w, 2) == 0) {
        mem_disk_cut_power(w->disk);
    } else {
        mem_disk_end_process(w->disk);
    }
}

static uint64_t n_lives(void)
{
    const char *given = getenv("WEIR_CRASH_LIVES");

    return given != NULL ? strtoull(given, NULL, 10) : LIVES;
}

static void drop_line(void *ctx, const char *text)
{
}

static void what_is_known_is_what_the_log_gives_after_any_death(
        void) /* [PID-30], [PID-33], [PID-35] */
{
    uint64_t n = n_lives();
    int n_restored = 0;

    log_set_sink(drop_line, NULL);
    for (uint64_t life = 0, round = 0; life < n; round++) {
        struct world w = {.config = {.segment_bytes = 400 + (int64_t)(round % 7) * 900,
                                  .index_interval_bytes = 64 << round % 6}};
        prng_init(&w.prng, check_seed() + round);
        w.disk = mem_disk_new(check_seed() ^ round * 0x9e3779b97f4a7c15);
        for (int i = 0; i < 25 && life < n; i++, life++) {
            live(&w);
        }
        n_restored += w.n_restored;
        array_deinit(&w.log);
        w.disk = mem_disk_free(w.disk);
    }
    CHECK(n < 100 || n_restored > (int)(n / 10));
}

static const struct check_case cases[] = {
        CASE(what_is_known_is_what_the_log_gives_after_any_death)};

CHECK_MAIN("producers_crash", cases)
