/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/crash/crash_world.h"

#include "broker/shell/producer_state.h"
#include "common/base/mem.h"
#include "tests/lib/check.h"

#include <stdarg.h>
#include <stdio.h>

enum {
    STORY_LINES = 30,
    STORY_LINE_MAX = 120,
    DEPTH_MAX = 2
};

const struct uuid crash_topic = {{4, 5}};
static const struct uuid cluster_id = {{7}};

uint64_t below(struct world *w, uint64_t n)
{
    return prng_below(&w->prng, n);
}

bool done(const struct world *w, int r)
{
    if (r == 0) {
        return !mem_disk_is_dead(w->disk); /* it may have struck what came between */
    }
    if (!mem_disk_is_dead(w->disk)) {
        tell(w, "... gave %d", r);
    }
    CHECK(mem_disk_is_dead(w->disk));
    return false;
}

/* --- The story ----------------------------------------------------------------------------------------------------- */

static struct {
    char lines[STORY_LINES][STORY_LINE_MAX];
    unsigned n;
} story;

void tell(const struct world *w, const char *format, ...)
{
    char *line = story.lines[story.n++ % STORY_LINES];
    int at = snprintf(line, STORY_LINE_MAX, "%llu.%llu %*s", (unsigned long long)w->stats->n_lives,
            (unsigned long long)w->stats->n_ops, 2 * w->depth, "");
    va_list args;

    va_start(args, format);
    (void)vsnprintf(line + at, (size_t)(STORY_LINE_MAX - at), format, args);
    va_end(args);
}

void tell_story(void)
{
    unsigned first = story.n > STORY_LINES ? story.n - STORY_LINES : 0;

    for (unsigned i = first; i < story.n; i++) {
        printf("#   %s\n", story.lines[i % STORY_LINES]);
    }
}

/* --- Operations ---------------------------------------------------------------------------------------------------- */

static const struct {
    unsigned weight;
    bool (*run)(struct world *w);
} operations[] = {
        {560, do_append},
        {90, do_flush},
        {40, do_seal},
        {45, do_read},
        {30, do_times},
        {20, do_epochs},
        {20, do_ask_producers},
        {10, do_segments},
        {25, do_set_start},
        {30, do_remove},
        {15, do_reap},
        {20, do_retain},
        {50, do_checkpoint},
        {10, do_save_point},
        {10, do_settle},
        {20, do_roll},
        {30, do_truncate},
        {6, do_restart},
        {25, do_snapshot},
        {50, do_compact},
        {10, do_scrub},
};

static unsigned total_weight(void)
{
    unsigned sum = 0;

    for (size_t i = 0; i < COUNT_OF(operations); i++) {
        sum += operations[i].weight;
    }
    return sum;
}

bool world_step(struct world *w)
{
    uint64_t at = below(w, total_weight());
    size_t i = 0;

    while (at >= operations[i].weight) {
        at -= operations[i++].weight;
    }
    w->stats->n_ops++;
    return operations[i].run(w) && !mem_disk_is_dead(w->disk);
}

void world_meanwhile(struct world *w)
{
    if (w->depth >= DEPTH_MAX) {
        return;
    }
    w->depth++;
    for (uint64_t n = below(w, 3); n > 0 && !mem_disk_is_dead(w->disk); n--) {
        (void)world_step(w); /* a death shows in what comes next */
    }
    w->depth--;
}

/* --- A start ------------------------------------------------------------------------------------------------------- */

/* [LOG-24] A milder kind than the truth would let a broker vouch for what it lost. */
static void judge_kind(const struct world *w)
{
    enum crash_kind kind = log_dir_crash_kind(w->dir);

    if (w->is_host_pending) {
        CHECK_EQ(kind, CRASH_HOST);
    } else if (kind == CRASH_CLEAN) {
        CHECK(w->is_clean);
    }
}

/* False: dead on the way. */
static bool open_dir(struct world *w)
{
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
    return true;
}

/* [LOG-58] One of the two that may be there. */
static bool read_clean_point(struct world *w)
{
    struct clean_point *points = NULL;
    struct clean_point p = {.epoch = EPOCH_NONE};
    size_t n = 0;

    if (!done(w, log_dir_read_clean_points(w->dir, &points, &n))) {
        return false;
    }
    if (n > 0) {
        p = points[0];
    }
    mem_free(points);
    bool is_saved = p.first_dirty == w->saved_point.first_dirty && p.epoch == w->saved_point.epoch;
    CHECK(is_saved || (w->is_saving_point && p.first_dirty == w->saving_point.first_dirty &&
                              p.epoch == w->saving_point.epoch));
    w->saved_point = p;
    w->is_saving_point = false;
    w->cleaner.first_dirty = p.first_dirty;
    w->cleaner.epoch = p.epoch;
    return true;
}

static bool open_log(struct world *w)
{
    struct checkpoint_entry ckpt = {0};
    struct plog_open_stats stats = {0};
    struct producer_state_source source = {.snapshot = OFFSET_NONE};

    if (!done(w, plog_open(w->dir, w->files, "orders", &crash_topic, 0, &w->config.log, &w->l,
                         &stats))) {
        return false;
    }
    CHECK(!stats.lost);
    (void)log_dir_checkpoint(w->dir, &crash_topic, 0, &ckpt);
    w->none_below = ckpt.no_producers;
    if (!done(w, producer_state_restore(
                         &w->producers, w->l, ckpt.no_producers, CRASH_BROKER_NOW, &source))) {
        return false;
    }
    w->stats->n_restored += source.snapshot != OFFSET_NONE;
    return read_clean_point(w);
}

/* --- The judgement ------------------------------------------------------------------------------------------------- */

/* [LOG-76] Of a log that began anew a checkpoint may say less than its first segment, or was lost with it. */
static bool is_restart_start(const struct world *w)
{
    offset64 start = plog_start(w->l);

    return w->restart_base != OFFSET_NONE &&
           (start == w->restart_base || (start == w->restart_from && start == plog_end(w->l)));
}

/* [LOG-20] [LOG-21] [LOG-22] It is the checkpoint's, and that is one of the two that may be there. */
static void judge_start(struct world *w)
{
    offset64 start = plog_start(w->l);
    struct plog_slice s;

    CHECK(start == w->saved_start || start == w->saving_start || is_restart_start(w));
    CHECK(!plog_has_removable(w->l));
    CHECK_EQ(plog_read(w->l, start - 1, w->end, 100, true, &s), PLOG_E_OUT_OF_RANGE);
    w->start = w->saved_start = start;
    w->saving_start = OFFSET_NONE;
    model_forget_below(w, start);
    if (start == plog_end(w->l)) { /* a batch in which it lay may be gone */
        model_begin_anew(w, start);
    }
}

/* [LOG-76] A log that was beginning anew, or had: the old one as far as it was whole, or none. */
static bool is_restarted(const struct world *w, bool was_power)
{
    size_t n_acked = w->there.n - (w->is_last_under_way ? 1 : 0);
    bool is_new_lost = w->restart_base != OFFSET_NONE &&
                       (n_acked == 0 || (was_power && w->synced < w->restart_base));

    return plog_end(w->l) == plog_start(w->l) && (w->is_restarting || is_new_lost);
}

static void judge_end(const struct world *w, bool was_power)
{
    offset64 end = plog_end(w->l);
    const struct model_batch *last = w->written.n > 0 ? &w->written.items[w->written.n - 1] : NULL;

    if (is_restarted(w, was_power)) {
        CHECK(end >= w->saved_start || end == w->restart_from);
    } else if (w->is_truncating) {
        CHECK(end >= (was_power && w->synced < w->truncate_to ? w->synced : w->truncate_to));
    } else {
        CHECK(end >= (was_power ? w->synced : w->end));
    }
    CHECK(end <= (w->is_last_under_way && last != NULL ? last->last + 1 : w->end));
    CHECK(plog_recovery_point(w->l) <= end);
    CHECK(plog_last_epoch(w->l) <= w->epoch);
}

/* The log stands again after a death: is it what it must be? */
static void judge_log(struct world *w)
{
    offset64 end = plog_end(w->l);

    tell(w, "after it: %lld to %lld; known to %lld, start %lld or %lld",
            (long long)plog_start(w->l), (long long)end, (long long)w->end,
            (long long)w->saved_start, (long long)w->saving_start);
    judge_start(w);
    model_cut(w, end);
    CHECK(w->there.n == 0 || w->there.items[w->there.n - 1].last + 1 == end);
    w->is_last_under_way = false;
    w->is_truncating = w->is_restarting = false;
    w->begun = EPOCH_NONE;
    w->synced = w->synced > end ? end : w->synced;
    model_compare(w, !w->is_compacting);
    w->is_compacting = false;
    model_judge_producers(w);
}

static bool begin_life(struct world *w)
{
    bool was_power = w->is_power;

    if (!open_dir(w) || !open_log(w)) {
        return false;
    }
    judge_end(w, was_power);
    /* Of what a death in a truncation has removed a power failure may bring all back, until the first flush. */
    if (w->is_truncating && !flush_all(w)) {
        return false;
    }
    judge_log(w);
    w->is_power = false;
    tell(w, "it stands: %lld to %lld", (long long)w->start, (long long)w->end);
    return do_times(w) && do_epochs(w) && do_segments(w);
}

/* --- Lives --------------------------------------------------------------------------------------------------------- */

static bool stop_orderly(struct world *w)
{
    tell(w, "orderly stop");
    if (!flush_all(w) || !do_snapshot(w) || !do_checkpoint(w)) {
        return false;
    }
    w->is_clean = true; /* perhaps, from here on */
    return done(w, log_dir_mark_clean(w->dir, 100, 1));
}

static void end_life(struct world *w, bool is_power)
{
    producers_deinit(&w->producers);
    w->l = plog_close(w->l);
    w->dir = log_dir_close(w->dir);
    w->files = file_cache_free(w->files);
    if (is_power) {
        /* A folder that was marked and not begun again has lost nothing that counts. */
        w->is_host_pending |= !w->is_clean;
        mem_disk_cut_power(w->disk);
    } else {
        mem_disk_end_process(w->disk);
    }
}

void world_live(struct world *w, uint64_t n_steps)
{
    bool is_mortal = below(w, 8) > 0;

    if (is_mortal) {
        mem_disk_die_at(w->disk, 1 + below(w, w->config.changes_per_life));
    }
    bool goes_on = begin_life(w);
    while (goes_on && n_steps-- > 0) {
        goes_on = world_step(w);
    }
    if (goes_on && below(w, 2) == 0) {
        w->depth = DEPTH_MAX; /* nobody comes between any more */
        (void)stop_orderly(w);
        w->depth = 0;
    }
    bool is_power = below(w, 2) == 0;
    tell(w, "%s, %s", mem_disk_is_dead(w->disk) ? "death" : "end",
            is_power ? "the power went" : "the process alone");
    /* A death on the way to serving leaves what the deaths before it left. */
    w->is_power |= is_power;
    w->stats->n_power += is_power;
    w->stats->n_lives++;
    end_life(w, is_power);
}

void world_begin(struct world *w,
        const struct crash_config *config,
        uint64_t seed,
        struct crash_stats *stats)
{
    *w = (struct world){.config = *config,
            .stats = stats,
            .saving_start = OFFSET_NONE,
            .restart_base = OFFSET_NONE,
            .restart_from = OFFSET_NONE,
            .begun = EPOCH_NONE,
            .saved_point = {.epoch = EPOCH_NONE}};
    prng_init(&w->prng, seed);
    test_cleaner_init(&w->cleaner, NULL);
    w->disk = mem_disk_new(prng_u64(&w->prng));
    story.n = 0;
}

void world_end(struct world *w)
{
    model_deinit(w);
    w->disk = mem_disk_free(w->disk);
}
