/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/clean/clean_fixture.h"

#include "common/base/array.h"
#include "common/base/mem.h"
#include "common/base/prng.h"
#include "common/obs/log.h"
#include "tests/lib/check.h"
#include "tests/lib/mem_disk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* [LOG-57] Appends, syncs, compactions and deaths at any write, sync, rename or removal, on a disk that forgets, against a
 * list of all records that were ever acknowledged: what is there is what was written there; what is missing was replaced by a
 * newer record of its key, or was a tombstone that had had its time. The seed is check_seed(), the number of lives
 * $WEIR_CRASH_LIVES. */

enum {
    LIVES = 1500,
    STEPS_PER_LIFE_MAX = 50,
    CHANGES_PER_LIFE_MAX = 200,
    N_KEYS = 12,
    VALUE_MAX = 60
};

struct kept {
    int key;
    char value[VALUE_MAX + 1];
    bool is_tombstone;
    wall_ms timestamp;
    bool is_seen;
};

struct world {
    struct prng prng;
    struct mem_disk *disk;
    struct log_dir *dir;
    struct file_cache *files;
    struct plog *l;
    struct plog_config config;
    ARRAY(struct kept) records; /* by offset */
    offset64 end, synced;       /* acknowledged; on the disk for good */
    offset64 cleaned_to;        /* nothing above was ever compacted */
    struct test_cleaner cleaner;
    epoch32 epoch;
    bool is_adopted, is_power;
};

static const struct uuid topic_id = {{4, 5}};
static const struct uuid cluster_id = {{7}};

static uint64_t below(struct world *w, uint64_t n)
{
    return prng_below(&w->prng, n);
}

static bool done(const struct world *w, int r)
{
    if (r == 0) {
        return true;
    }
    CHECK(mem_disk_is_dead(w->disk));
    return false;
}

/* --- What should be there ----------------------------------------------------------------------------------------- */

static void see(void *ctx, const struct batch *b, const struct record *r)
{
    struct world *w = ctx;
    char key[8];

    CHECK(r->offset < (offset64)w->records.n);
    struct kept *k = &w->records.items[r->offset];
    (void)snprintf(key, sizeof(key), "k%d", k->key);
    CHECK(!k->is_seen);
    k->is_seen = true;
    CHECK_EQ(r->key.size, strlen(key));
    CHECK_MEM(r->key.at, key, strlen(key));
    CHECK_EQ(r->value.at == NULL, k->is_tombstone);
    CHECK_EQ(r->timestamp, k->timestamp);
    CHECK_EQ(r->value.size, k->is_tombstone ? 0 : strlen(k->value));
    if (!k->is_tombstone) {
        CHECK_MEM(r->value.at, k->value, r->value.size);
    }
}

static void check_all(struct world *w)
{
    bool has_newer[N_KEYS] = {false}; /* below cleaned_to */

    ARRAY_FOREACH (k, &w->records) {
        k->is_seen = false;
    }
    test_walk(w->l, mem_disk_io(w->disk), plog_start(w->l), see, w);
    for (offset64 i = w->end - 1; i >= 0; i--) {
        const struct kept *k = &w->records.items[i];
        CHECK(k->is_seen || i < w->cleaned_to);
        CHECK(k->is_seen || has_newer[k->key] || k->is_tombstone);
        has_newer[k->key] |= i < w->cleaned_to;
    }
}

/* Whether a deleted key's older records stay away once its tombstone is gone. */
static void check_nothing_rises(struct world *w)
{
    bool is_last_seen[N_KEYS] = {false}, is_settled[N_KEYS] = {false};

    for (offset64 i = w->end - 1; i >= 0; i--) {
        const struct kept *k = &w->records.items[i];
        if (!is_settled[k->key]) {
            is_settled[k->key] = true;
            is_last_seen[k->key] = k->is_seen;
        }
        CHECK(!k->is_seen || is_last_seen[k->key]);
    }
}

/* --- Operations --------------------------------------------------------------------------------------------------- */

static bool do_append(struct world *w)
{
    struct test_record records[5];
    struct kept kept[5];
    char keys[5][8];
    struct buf bytes = {0};
    int n = 1 + (int)below(w, 5);

    w->cleaner.now += (wall_ms)below(w, 60);
    for (int i = 0; i < n; i++) {
        struct kept *k = &kept[i];
        *k = (struct kept){.key = (int)below(w, N_KEYS),
                .is_tombstone = below(w, 5) == 0,
                .timestamp = w->cleaner.now - (wall_ms)below(w, 20)};
        memset(k->value, 'a' + (int)below(w, 26), below(w, VALUE_MAX));
        (void)snprintf(keys[i], sizeof(keys[i]), "k%d", k->key);
        records[i] = (struct test_record){.key = keys[i],
                .value = k->is_tombstone ? NULL : k->value,
                .timestamp = k->timestamp};
    }
    struct test_batch t = {.records = records,
            .n = n,
            .codec = below(w, 3) == 0 ? (enum batch_codec)below(w, 5) : CODEC_NONE,
            .producer_id = below(w, 3) == 0 ? (int64_t)below(w, 3) : -1};
    test_batch_make(&bytes, &t);
    w->epoch += below(w, 20) == 0;
    int r = test_append(w->l, &bytes, w->epoch);
    buf_deinit(&bytes);
    for (int i = 0; i < n; i++) {
        *array_push(&w->records) = kept[i];
    }
    if (!done(w, r)) {
        return false;
    }
    w->end += n;
    return true;
}

static bool do_flush(struct world *w)
{
    struct plog_flush *f = plog_flush_begin(w->l);
    int r = f != NULL ? plog_flush_run(f) : 0;

    if (f != NULL) {
        plog_flush_end(w->l, f);
        w->synced = plog_recovery_point(w->l);
    }
    return done(w, r);
}

static bool do_checkpoint(struct world *w)
{
    struct checkpoint_entry e = {.topic_id = topic_id,
            .recovery_point = plog_recovery_point(w->l),
            .high_watermark = plog_recovery_point(w->l)};

    return done(w, log_dir_write_checkpoints(w->dir, &e, 1));
}

static bool do_compact(struct world *w)
{
    bool is_full = below(w, 8) == 0;

    w->cleaner.l = w->l;
    w->cleaner.now += (wall_ms)below(w, 1500);
    w->cleaner.policy.segment_bytes = (int64_t)below(w, 6000);
    w->cleaner.map_size = below(w, 4) == 0 ? 24 * 9 : 1 << 16; /* a small one is full early */
    w->cleaner.n_until_stop = below(w, 6) == 0 ? 1 + (int)below(w, 12) : 0;
    if (is_full) {
        mem_disk_set_room(w->disk, (int64_t)below(w, 4000));
    }
    w->cleaned_to = w->end;
    int r = test_cleaner_run(&w->cleaner, w->dir);
    mem_disk_set_room(w->disk, -1);
    if (mem_disk_is_dead(w->disk)) {
        return false;
    }
    CHECK(r == 0 || r == CLEAN_E_STOPPED || (is_full && r == CLEAN_E_FULL));
    check_all(w);
    if (r == 0) {
        check_nothing_rises(w);
    }
    return true;
}

static bool do_seal(struct world *w)
{
    struct plog_seal *s = plog_seal_begin(w->l);
    int r = s != NULL ? plog_seal_run(s) : 0;

    if (s != NULL) {
        plog_seal_end(w->l, s);
    }
    return done(w, r);
}

static bool step(struct world *w)
{
    uint64_t what = below(w, 100);

    if (what < 62) {
        return do_append(w);
    }
    if (what < 78) {
        return do_flush(w);
    }
    if (what < 90) {
        return do_compact(w);
    }
    if (what < 95) {
        return do_seal(w);
    }
    return do_checkpoint(w);
}

/* --- Lives -------------------------------------------------------------------------------------------------------- */

static bool begin(struct world *w)
{
    struct plog_open_stats stats = {0};
    char error[256] = "";

    w->files = file_cache_new(mem_disk_io(w->disk), 4);
    if (!done(w, log_dir_open(mem_disk_io(w->disk), "/data", 1, &w->dir, error, sizeof(error)))) {
        return false;
    }
    if (!w->is_adopted) {
        if (!done(w, log_dir_adopt(w->dir, &cluster_id))) {
            return false;
        }
        w->is_adopted = true;
    }
    return done(w, log_dir_begin_run(w->dir, 100)) &&
           done(w, plog_open(w->dir, w->files, "orders", &topic_id, 0, &w->config, &w->l, &stats));
}

static void judge_log(struct world *w)
{
    offset64 end = plog_end(w->l);

    CHECK(end >= (w->is_power ? w->synced : w->end));
    CHECK(end <= (offset64)w->records.n);
    w->records.n = (size_t)end;
    w->end = end;
    w->synced = w->synced > end ? end : w->synced;
    w->cleaned_to = w->cleaned_to > end ? end : w->cleaned_to;
    w->is_power = false;
    check_all(w);
    /* The checkpoint of what is clean may be lost, and is not worth more than the log. */
    if (below(w, 4) == 0 || w->cleaner.first_dirty > end) {
        w->cleaner.first_dirty = 0;
        w->cleaner.epoch = EPOCH_NONE;
    }
}

static void live(struct world *w)
{
    uint64_t n_steps = below(w, STEPS_PER_LIFE_MAX);

    if (below(w, 8) > 0) {
        mem_disk_die_at(w->disk, 1 + below(w, CHANGES_PER_LIFE_MAX));
    }
    bool goes_on = begin(w);
    if (goes_on) {
        judge_log(w);
    }
    while (goes_on && n_steps-- > 0) {
        goes_on = step(w);
    }
    w->l = plog_close(w->l);
    w->dir = log_dir_close(w->dir);
    w->files = file_cache_free(w->files);
    if (below(w, 2) == 0) {
        w->is_power = true;
        mem_disk_cut_power(w->disk);
    } else {
        mem_disk_end_process(w->disk);
    }
}

static void drop_line(void *ctx, const char *line)
{
    (void)ctx;
    (void)line;
}

static void last_value_of_each_key_survives_any_death(void)
{
    const char *given = getenv("WEIR_CRASH_LIVES");
    uint64_t n = given != NULL ? strtoull(given, NULL, 10) : LIVES;

    log_set_sink(drop_line, NULL);
    for (uint64_t life = 0, round = 0; life < n; round++) {
        struct world w = {.config = {.segment_bytes = 300 + (int64_t)(round % 5) * 500,
                                  .index_interval_bytes = 64 << round % 4}};
        prng_init(&w.prng, check_seed() + round);
        test_cleaner_init(&w.cleaner, NULL);
        w.disk = mem_disk_new(check_seed() ^ round * 0x9e3779b97f4a7c15);
        for (int i = 0; i < 30 && life < n; i++, life++) {
            live(&w);
        }
        w.disk = mem_disk_free(w.disk);
        array_deinit(&w.records);
    }
}

static const struct check_case cases[] = {
        CASE(last_value_of_each_key_survives_any_death),
};
CHECK_MAIN("compact_crash", cases)
