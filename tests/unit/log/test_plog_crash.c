/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/plog.h"

#include "common/base/array.h"
#include "common/base/mem.h"
#include "common/base/prng.h"
#include "common/obs/log.h"
#include "tests/lib/check.h"
#include "tests/lib/mem_disk.h"
#include "tests/unit/log/log_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Random operations on a log on a disk that forgets; the process dies, or the power goes, at any write, sync, rename
 * or removal. What was acknowledged and synced is always there again, what was only acknowledged is there unless the
 * power went, nothing else ever is, no death looks milder than it was, and what was removed from the begin stays
 * removed once the checkpoint had it [LOG-20] [LOG-21] [LOG-22] [LOG-24]. The seed is check_seed(), the number of lives
 * $WEIR_CRASH_LIVES. */

enum {
    LIVES = 4000,
    STEPS_PER_LIFE_MAX = 60,
    CHANGES_PER_LIFE_MAX = 120
};

struct kept_batch {
    offset64 base, last;
    wall_ms max_timestamp;
    epoch32 epoch;
    size_t size;
    uint8_t *bytes;
};

struct world {
    struct prng prng;
    struct mem_disk *disk;
    struct log_dir *dir;
    struct file_cache *files;
    struct plog *l;
    struct plog_config config;
    ARRAY(struct kept_batch) batches; /* acknowledged; the last may be the one that was under way */
    bool is_last_under_way;
    bool is_truncating; /* to `truncate_to`, and perhaps it came so far */
    offset64 truncate_to;
    offset64 end;    /* of what was acknowledged */
    offset64 synced; /* below it all is on the disk for good */
    offset64 start, saved_start; /* as the log has it; in the checkpoint for good */
    offset64 saving_start;       /* in a checkpoint whose writing met the death; else OFFSET_NONE */
    wtime now;
    bool is_in_order; /* timestamps mostly rise */
    epoch32 epoch;
    epoch32 begun; /* of the last append that was tried in this life: it began there, also when nothing got in */
    bool is_host_pending; /* the power went, and no run was settled since */
    bool is_clean;        /* the folder may be marked so, and nothing was written since */
    bool is_power; /* the power went since the log was last judged */
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

/* --- What should be there ------------------------------------------------------------------------ */

/* Below the log start, when all of the batch is. */
static void forget_below(struct world *w, offset64 start)
{
    while (w->batches.n > 0 && w->batches.items[0].last < start) {
        mem_free(w->batches.items[0].bytes);
        array_remove(&w->batches, 0);
    }
}

static void forget_from(struct world *w, offset64 end)
{
    while (w->batches.n > 0 && w->batches.items[w->batches.n - 1].base >= end) {
        mem_free(w->batches.items[w->batches.n - 1].bytes);
        array_remove(&w->batches, w->batches.n - 1);
    }
    w->end = end;
}

static void check_all(struct world *w)
{
    const struct file_io *io = mem_disk_io(w->disk);

    for (size_t i = 0; i < w->batches.n;) {
        struct plog_slice s = {.fd = -1};
        offset64 base = w->batches.items[i].base;
        CHECK_EQ(plog_read(w->l, base > w->start ? base : w->start, w->end, 1 << 20, true, &s), 0);
        CHECK(s.file != NULL);
        uint8_t *bytes = mem_alloc(s.size);
        CHECK_EQ(io->pread(io->ctx, s.fd, bytes, s.size, s.at), (int64_t)s.size);
        for (size_t at = 0; at < s.size; i++) {
            CHECK(i < w->batches.n);
            CHECK(at + w->batches.items[i].size <= s.size);
            CHECK_MEM(bytes + at, w->batches.items[i].bytes, w->batches.items[i].size);
            at += w->batches.items[i].size;
        }
        mem_free(bytes);
        cached_file_release(s.file);
    }
}

/* The batch that the slice begins with. */
static offset64 base_of(struct world *w, struct plog_slice *s)
{
    const struct file_io *io = mem_disk_io(w->disk);
    uint8_t bytes[8] = {0};

    CHECK_EQ(io->pread(io->ctx, s->fd, bytes, sizeof(bytes), s->at), 8);
    cached_file_release(s->file);
    return (offset64)load_be64(bytes);
}

/* [LOG-7] [LOG-8] [LOG-12] Looking up times finds what a walk over everything would find. False: dead. */
static bool check_times(struct world *w)
{
    wall_ms t = (wall_ms)below(w, 1100);
    offset64 limit = below(w, 2) == 0 ? w->end : (offset64)below(w, (uint64_t)w->end + 1);
    const struct kept_batch *want = NULL, *latest = NULL;
    struct plog_slice s;

    /* A log start that was never saved is lower again after a death: what is there is not remembered here. */
    if (w->start < (w->batches.n > 0 ? w->batches.items[0].base : w->end)) {
        return true;
    }
    ARRAY_FOREACH (b, &w->batches) {
        if (b->last < w->start || b->last >= limit) {
            continue;
        }
        want = want == NULL && b->max_timestamp >= t ? b : want;
        latest = latest == NULL || b->max_timestamp > latest->max_timestamp ? b : latest;
    }
    int r = plog_find_time(w->l, t, limit, &s);
    if (r < 0) {
        return done(w, r);
    }
    CHECK_EQ(r, want != NULL ? 0 : PLOG_E_NOT_FOUND);
    if (r == 0) {
        CHECK_EQ(base_of(w, &s), want->base);
    }
    r = plog_find_max_time(w->l, limit, &s);
    if (r < 0) {
        return done(w, r);
    }
    CHECK_EQ(r, latest != NULL ? 0 : PLOG_E_NOT_FOUND);
    if (r == 0) {
        CHECK_EQ(base_of(w, &s), latest->base);
    }
    return true;
}

/* --- Operations ---------------------------------------------------------------------------------- */

static wall_ms some_time(struct world *w)
{
    if (below(w, 30) == 0) {
        return -1;
    }
    return w->is_in_order ? w->end + (wall_ms)below(w, 8) : (wall_ms)below(w, 1000);
}

static bool do_append(struct world *w)
{
    struct buf bytes = {0};
    struct batch b;
    offset64 base = OFFSET_NONE;

    fixture_batch(&bytes, 1 + (int)below(w, 4), below(w, 12) == 0 ? below(w, 3000) : below(w, 150),
            some_time(w));
    CHECK_EQ(batch_parse(bytes.data, bytes.size, &b), 0);
    w->epoch += below(w, 12) == 0;
    bool is_full = below(w, 16) == 0;
    if (is_full) {
        mem_disk_set_room(w->disk, (int64_t)below(w, 2 * bytes.size));
    }
    w->begun = w->epoch;
    int r = plog_append(w->l, bytes.data, &b, w->epoch, &base);
    mem_disk_set_room(w->disk, -1);
    if (r == PLOG_E_FULL) {
        CHECK(is_full);
        CHECK_EQ(plog_end(w->l), w->end);
        buf_deinit(&bytes);
        return true;
    }
    /* Its bytes were stamped before they were written, also when the write was the last thing that happened. */
    batch_stamp(bytes.data, w->end, w->epoch);
    *array_push(&w->batches) = (struct kept_batch){.base = w->end,
            .last = w->end + b.last_offset_delta,
            .max_timestamp = b.max_timestamp,
            .epoch = w->epoch,
            .size = bytes.size,
            .bytes = mem_steal(&bytes.data)};
    if (!done(w, r)) {
        w->is_last_under_way = true;
        return false;
    }
    CHECK_EQ(base, w->end);
    w->end += b.last_offset_delta + 1;
    return true;
}

static bool run_flush(struct world *w, struct plog_flush *f)
{
    int r = plog_flush_run(f);

    plog_flush_end(w->l, f);
    w->synced = plog_recovery_point(w->l);
    CHECK(w->synced <= w->end);
    return done(w, r);
}

static bool do_flush(struct world *w)
{
    struct plog_flush *f = plog_flush_begin(w->l);

    return f == NULL || run_flush(w, f);
}

static bool flush_all(struct world *w)
{
    struct plog_flush *f;

    while ((f = plog_flush_begin(w->l)) != NULL) {
        if (!run_flush(w, f)) {
            return false;
        }
    }
    return true;
}

static bool do_checkpoint(struct world *w)
{
    struct checkpoint_entry e = {.topic_id = topic_id,
            .recovery_point = plog_recovery_point(w->l),
            .high_watermark = plog_recovery_point(w->l),
            .log_start = plog_start(w->l)};

    w->saving_start = e.log_start;
    if (!done(w, log_dir_write_checkpoints(w->dir, &e, 1))) {
        return false;
    }
    w->saving_start = OFFSET_NONE;
    w->saved_start = e.log_start;
    plog_start_saved(w->l, e.log_start);
    return true;
}

static bool do_set_start(struct world *w)
{
    offset64 to = w->start + (offset64)below(w, (uint64_t)(w->end - w->start) + 1);

    plog_set_start(w->l, to);
    w->start = to;
    CHECK_EQ(plog_start(w->l), to);
    forget_below(w, to);
    return true;
}

static bool do_remove(struct world *w)
{
    struct plog_removed removed;

    if (!done(w, plog_remove_below_start(w->l, w->now++, &removed))) {
        return false;
    }
    CHECK(!plog_has_removable(w->l) || removed.wants_flush);
    return !removed.wants_flush || do_flush(w);
}

static bool do_reap(struct world *w)
{
    struct plog_reap *reap = plog_reap_begin(w->l, w->now, (wtime)below(w, 4));

    if (reap == NULL) {
        return true;
    }
    int r = plog_reap_run(reap);
    plog_reap_end(w->l, reap);
    return done(w, r);
}

static bool do_seal(struct world *w)
{
    struct plog_seal *x = plog_seal_begin(w->l);

    if (x == NULL) {
        return true;
    }
    int r = plog_seal_run(x);
    plog_seal_end(w->l, x);
    return done(w, r);
}

static bool do_settle(struct world *w)
{
    w->is_host_pending = false; /* or not, when this life ends in it: a worse kind is never wrong */
    return done(w, log_dir_settled(w->dir));
}

static bool do_roll(struct world *w)
{
    bool rolled = false;

    return done(w, below(w, 2) == 0 ? plog_roll_active(w->l)
                                    : plog_roll_if_old(w->l, some_time(w) + 500, &rolled));
}

/* A flush that began before a truncation and ends after it moves nothing. */
static bool truncate_to(struct world *w, offset64 offset)
{
    offset64 end = OFFSET_NONE;
    int r = plog_truncate_begin(w->l, offset, &end);

    if (r == 0) {
        CHECK(end <= offset);
        CHECK(plog_recovery_point(w->l) <= end);
        w->is_truncating = true;
        w->truncate_to = end;
        w->start = w->start < end ? w->start : end; /* it may have lain within the batch that goes */
        CHECK_EQ(plog_start(w->l), w->start);
        if (!do_checkpoint(w)) {
            return false;
        }
        w->synced = w->synced < end ? w->synced : end;
        r = plog_truncate_run(w->l);
    }
    if (!done(w, r)) {
        return false;
    }
    w->is_truncating = false;
    CHECK_EQ(plog_end(w->l), end);
    forget_from(w, end);
    CHECK(w->batches.n == 0 || w->batches.items[w->batches.n - 1].last + 1 == end);
    w->begun = EPOCH_NONE;
    return true;
}

static bool do_truncate(struct world *w)
{
    offset64 span = w->end - w->start;
    offset64 offset = w->start + (offset64)below(w, (uint64_t)span + 1);
    struct plog_flush *f = below(w, 3) == 0 ? plog_flush_begin(w->l) : NULL;

    if (below(w, 3) > 0) { /* near the end, so that logs also grow */
        offset = w->end - (offset64)below(w, (uint64_t)(span < 12 ? span : 12) + 1);
    }
    bool is_done = truncate_to(w, offset);
    if (f != NULL) {
        offset64 recovery_point = plog_recovery_point(w->l);
        bool is_synced = done(w, plog_flush_run(f));
        plog_flush_end(w->l, f);
        is_done = is_done && is_synced;
        CHECK_EQ(plog_recovery_point(w->l), recovery_point);
    }
    return is_done;
}

/* What each epoch's end is told to be, against the batches. */
static bool do_epochs(struct world *w)
{
    for (epoch32 asked = 0; asked <= w->epoch + 1; asked++) {
        epoch32 want = EPOCH_NONE, epoch = EPOCH_NONE;
        offset64 want_end = w->end, end = OFFSET_NONE;

        for (size_t i = 0; i < w->batches.n; i++) {
            if (w->batches.items[i].epoch <= asked) {
                want = w->batches.items[i].epoch;
            } else {
                want_end = w->batches.items[i].base;
                break;
            }
        }
        if (want_end == w->end && w->begun > want && w->begun <= asked) {
            want = w->begun;
        }
        if (!done(w, plog_epoch_end(w->l, asked, &epoch, &end))) {
            return false;
        }
        if (w->batches.n == 0 || asked < w->batches.items[0].epoch) {
            /* Of an epoch whose records were all removed the log may know something, or nothing. */
            CHECK(epoch <= asked && end <= w->end);
            continue;
        }
        CHECK_EQ(epoch, want);
        CHECK_EQ(end, want_end);
    }
    return true;
}

static bool step(struct world *w)
{
    uint64_t what = below(w, 110);

    if (what >= 106) {
        return what < 108 ? do_roll(w) : check_times(w);
    }

    if (what >= 100) {
        return what < 103 ? do_truncate(w) : do_epochs(w);
    }
    if (what < 70) {
        return do_append(w);
    }
    if (what < 79) {
        return do_flush(w);
    }
    if (what < 83) {
        return do_seal(w);
    }
    if (what < 86) {
        return do_set_start(w);
    }
    if (what < 90) {
        return do_remove(w);
    }
    if (what < 92) {
        return do_reap(w);
    }
    return what < 98 ? do_checkpoint(w) : do_settle(w);
}

/* --- Lives --------------------------------------------------------------------------------------- */

/* A milder kind than the truth would let a broker vouch for what it lost. */
static void judge_kind(const struct world *w)
{
    enum crash_kind kind = log_dir_crash_kind(w->dir);

    if (w->is_host_pending) {
        CHECK_EQ(kind, CRASH_HOST);
    } else if (kind == CRASH_CLEAN) {
        CHECK(w->is_clean);
    }
}

/* Opens the folder and the log as a starting broker does. False: dead on the way. */
static bool begin(struct world *w)
{
    struct plog_open_stats stats = {0};
    char error[256] = "";

    w->files = file_cache_new(mem_disk_io(w->disk), 4);
    int r = log_dir_open(mem_disk_io(w->disk), "/data", 1, &w->dir, error, sizeof(error));
    if (!done(w, r)) {
        return false;
    }
    /* The identity may have been there, unsynced, and be gone again: as a broker does, who joins anew then. */
    if (!uuid_is_zero(log_dir_cluster_id(w->dir))) {
        judge_kind(w);
    } else if (!done(w, log_dir_adopt(w->dir, &cluster_id))) {
        return false;
    }
    w->is_host_pending |= log_dir_crash_kind(w->dir) == CRASH_HOST;
    if (!done(w, log_dir_begin_run(w->dir, 100))) {
        return false;
    }
    w->is_clean = false;
    r = plog_open(w->dir, w->files, "orders", &topic_id, 0, &w->config, &w->l, &stats);
    return done(w, r);
}

/* It is the checkpoint's, and that is one of the two that may be there. */
static void judge_start(struct world *w)
{
    offset64 start = plog_start(w->l);
    struct plog_slice s;

    CHECK(start == w->saved_start || start == w->saving_start);
    CHECK(!plog_has_removable(w->l));
    CHECK_EQ(plog_read(w->l, start - 1, w->end, 100, true, &s), PLOG_E_OUT_OF_RANGE);
    w->start = w->saved_start = start;
    w->saving_start = OFFSET_NONE;
    forget_below(w, start);
    if (start == plog_end(w->l)) { /* a batch in which it lay may be gone */
        forget_from(w, w->batches.n > 0 ? w->batches.items[0].base : 0);
        w->end = start;
    }
}

/* The log stands again after a death: is it what it must be? */
static void judge_log(struct world *w, bool was_power)
{
    offset64 end = plog_end(w->l);
    const struct kept_batch *last = w->batches.n > 0 ? &w->batches.items[w->batches.n - 1] : NULL;

    if (w->is_truncating) {
        CHECK(end >= (was_power && w->synced < w->truncate_to ? w->synced : w->truncate_to));
    } else {
        CHECK(end >= (was_power ? w->synced : w->end));
    }
    CHECK(end <= (w->is_last_under_way && last != NULL ? last->last + 1 : w->end));
    CHECK(plog_recovery_point(w->l) <= end);
    CHECK(plog_last_epoch(w->l) <= w->epoch);
    judge_start(w);
    forget_from(w, end);
    CHECK(w->batches.n == 0 || w->batches.items[w->batches.n - 1].last + 1 == end);
    w->is_last_under_way = false;
    w->is_truncating = false;
    w->begun = EPOCH_NONE;
    w->synced = w->synced > end ? end : w->synced;
    check_all(w);
}

static void close_all(struct world *w)
{
    w->l = plog_close(w->l);
    w->dir = log_dir_close(w->dir);
    w->files = file_cache_free(w->files);
}

static bool stop_orderly(struct world *w)
{
    if (!flush_all(w) || !do_checkpoint(w)) {
        return false;
    }
    w->is_clean = true; /* perhaps, from here on */
    return done(w, log_dir_mark_clean(w->dir, 100, 1));
}

static void end_life(struct world *w, bool is_power)
{
    close_all(w);
    if (is_power) {
        /* A folder that was marked and not begun again has lost nothing that counts. */
        w->is_host_pending |= !w->is_clean;
        mem_disk_cut_power(w->disk);
    } else {
        mem_disk_end_process(w->disk);
    }
}

static void live(struct world *w)
{
    bool was_power = w->is_power;
    uint64_t n_steps = below(w, STEPS_PER_LIFE_MAX);
    bool goes_on = false;

    if (below(w, 8) > 0) {
        mem_disk_die_at(w->disk, 1 + below(w, CHANGES_PER_LIFE_MAX));
    }
    goes_on = begin(w);
    if (goes_on && w->is_truncating) {
        /* Of what a death in it has removed a power failure may bring all back, until the first flush. */
        goes_on = flush_all(w);
    }
    if (goes_on) {
        judge_log(w, was_power);
        w->is_power = false;
        for (int i = 0; i < 3 && goes_on; i++) {
            goes_on = check_times(w);
        }
    }
    while (goes_on && n_steps-- > 0) {
        goes_on = step(w);
    }
    if (goes_on && below(w, 2) == 0) {
        (void)stop_orderly(w);
    }
    bool is_power = below(w, 2) == 0;
    /* A death on the way to serving leaves what the deaths before it left. */
    w->is_power |= is_power;
    end_life(w, is_power);
}

static uint64_t n_lives(void)
{
    const char *given = getenv("WEIR_CRASH_LIVES");

    return given != NULL ? strtoull(given, NULL, 10) : LIVES;
}

static void drop_line(void *ctx, const char *text)
{
}

static void nothing_acknowledged_is_lost_at_any_death(void)
{
    uint64_t n = n_lives();

    log_set_sink(drop_line, NULL);
    for (uint64_t life = 0, round = 0; life < n; round++) {
        struct world w = {.config = {.segment_bytes = 400 + (int64_t)(round % 7) * 900,
                                  .index_interval_bytes = 64 << round % 6,
                                  .index_bytes = round % 5 == 0 ? 64 : 0,
                                  .segment_ms = round % 3 == 0 ? 0 : 600,
                                  .segment_jitter_ms = 100},
                .is_in_order = round % 2 == 0};
        prng_init(&w.prng, check_seed() + round);
        w.disk = mem_disk_new(check_seed() ^ round * 0x9e3779b97f4a7c15);
        for (int i = 0; i < 50 && life < n; i++, life++) {
            live(&w);
        }
        forget_from(&w, 0);
        array_deinit(&w.batches);
        w.disk = mem_disk_free(w.disk);
    }
}

static const struct check_case cases[] = {CASE(nothing_acknowledged_is_lost_at_any_death)};

CHECK_MAIN("plog_crash", cases)
