/* SPDX-License-Identifier: Apache-2.0 */
/* A log that begins anew: [LOG-76], [LOG-77]. Its owner's steps (broker/shell/partition_restart.c), on a disk that forgets. */
#include "broker/log/log_trash.h"
#include "broker/log/plog.h"
#include "common/base/mem.h"
#include "common/obs/log.h"
#include "tests/lib/check.h"
#include "tests/lib/mem_disk.h"
#include "tests/unit/log/log_fixture.h"

enum {
    OLD_END = 60,
    ANEW_AT = 100,
    CHANGES_MAX = 120
};

static const struct uuid topic = {{3}};
static const struct plog_config config = {.segment_bytes = 700, .index_interval_bytes = 64};

struct disk {
    struct mem_disk *disk;
    struct log_dir *dir;
    struct file_cache *files;
};

static void no_log(void *ctx, const char *text)
{
}

static int open_dir(struct disk *d)
{
    char error[256] = "";

    log_set_sink(no_log, NULL);
    d->files = file_cache_new(mem_disk_io(d->disk), 8);
    int r = log_dir_open(mem_disk_io(d->disk), "/data", 1, &d->dir, error, sizeof(error));
    if (r == 0 && uuid_is_zero(log_dir_cluster_id(d->dir))) {
        r = log_dir_adopt(d->dir, &(struct uuid){{7}});
    }
    return r == 0 ? log_dir_begin_run(d->dir, 100) : r;
}

static void close_dir(struct disk *d)
{
    d->dir = log_dir_close(d->dir);
    d->files = file_cache_free(d->files);
}

static int checkpoint(struct disk *d, offset64 recovery_point, offset64 hw, offset64 start)
{
    const struct checkpoint_entry e = {.topic_id = topic,
            .recovery_point = recovery_point,
            .high_watermark = hw,
            .log_start = start};

    return log_dir_write_checkpoints(d->dir, &e, 1);
}

static struct plog *open_log(struct disk *d, struct plog_open_stats *stats)
{
    struct plog *l = NULL;

    CHECK_EQ(plog_open(d->dir, d->files, "orders", &topic, 0, &config, &l, stats), 0);
    return l;
}

/* A batch from `base` on, as a leader of epoch 2 sent it. */
static void sent(struct buf *bytes, struct batch *b, offset64 base, int n)
{
    buf_clear(bytes);
    fixture_batch(bytes, n, 20, 1000);
    batch_stamp(bytes->data, base, 2);
    CHECK_EQ(batch_parse(bytes->data, bytes->size, b), 0);
}

static int flush(struct plog *l)
{
    struct plog_flush *f = plog_flush_begin(l);
    int r = f != NULL ? plog_flush_run(f) : 0;

    if (f != NULL) {
        plog_flush_end(l, f);
    }
    return r;
}

/* Synced and in the checkpoint, with a log start within. */
static void make_old(struct disk *d)
{
    d->disk = mem_disk_new(check_seed());
    CHECK_EQ(open_dir(d), 0);
    struct plog *l = open_log(d, NULL);

    while (plog_end(l) < OLD_END) {
        CHECK_EQ(fixture_append(l, 3, 20, 1000), 0);
    }
    CHECK_EQ(flush(l), 0);
    plog_set_start(l, 10);
    CHECK_EQ(checkpoint(d, OLD_END, OLD_END, 10), 0);
    (void)plog_close(l);
}

/* The steps, in order; < 0: the death came. */
static int begin_anew(struct disk *d, bool keep, struct buf *bytes)
{
    struct batch b;
    int r = checkpoint(d, 0, 10, 10);

    if (r == 0) {
        r = log_trash_put_aside(d->dir, "orders-0", &topic, 0, keep, 77);
    }
    if (r != 0) {
        return r;
    }
    struct plog *l = plog_new_at(d->dir, d->files, "orders", &topic, 0, &config, ANEW_AT);
    CHECK_EQ(plog_end(l), ANEW_AT);
    CHECK(plog_flush_begin(l) == NULL);
    r = checkpoint(d, plog_recovery_point(l), ANEW_AT, plog_start(l));
    sent(bytes, &b, ANEW_AT - 4, 6);
    if (r == 0) {
        r = plog_append_first(l, bytes->data, &b, 2);
    }
    if (r == 0) {
        CHECK_EQ(plog_start(l), ANEW_AT);
        CHECK_EQ(plog_end(l), ANEW_AT + 2);
        r = flush(l);
    }
    if (r == 0) {
        r = checkpoint(d, plog_recovery_point(l), ANEW_AT + 2, plog_start(l));
    }
    (void)plog_close(l);
    return r;
}

/* The old log, an empty one, or the new one; never lost, never damaged. */
static void judge(struct disk *d, bool is_done)
{
    struct plog_open_stats stats = {0};
    struct checkpoint_entry e = {0};
    struct plog *l = open_log(d, &stats);
    offset64 start = plog_start(l), end = plog_end(l);

    (void)log_dir_checkpoint(d->dir, &topic, 0, &e);
    CHECK(!stats.lost);
    CHECK((start == 10 && (end == OLD_END || end == 10)) ||
            (start == ANEW_AT && (end == ANEW_AT || end == ANEW_AT + 2)));
    CHECK(!is_done || end == ANEW_AT + 2);
    CHECK(e.high_watermark <= end || end == OLD_END || end == ANEW_AT);
    /* An empty one has nothing to sync, and confirms that it has all below with fsync acknowledgements, too ([REP-32]). */
    CHECK(stats.existed || plog_synced_end(l) == end);
    /* And it goes on. */
    CHECK_EQ(fixture_append(l, 3, 20, 1000), 0);
    CHECK_EQ(plog_end(l), end + 3);
    CHECK_EQ(flush(l), 0);
    (void)plog_close(l);
}

static void any_death_leaves_the_old_log_or_an_empty_one(void) /* [LOG-76] [LOG-77] */
{
    struct buf bytes = {0};
    int n_done = 0;

    for (uint64_t at = 1; at < 2 * CHANGES_MAX; at++) {
        struct disk d;
        make_old(&d);
        mem_disk_die_at(d.disk, 1 + at / 2);
        int r = begin_anew(&d, at % 3 == 0, &bytes);
        CHECK_EQ(r == 0, !mem_disk_is_dead(d.disk));
        n_done += r == 0;
        close_dir(&d);
        if (at % 2 == 0) {
            mem_disk_cut_power(d.disk);
        } else {
            mem_disk_end_process(d.disk);
        }
        CHECK_EQ(open_dir(&d), 0);
        judge(&d, r == 0);
        close_dir(&d);
        d.disk = mem_disk_free(d.disk);
    }
    CHECK(n_done > 2 && n_done < CHANGES_MAX);
    buf_deinit(&bytes);
}

static enum log_trash_verdict keep_all(void *ctx, const struct uuid *topic_id, int32_t partition)
{
    return LOG_TRASH_KEEP;
}

/* Not brought back in place of what was begun; gone with its topic's purge only. */
static void what_was_put_aside_stays_and_is_not_restored(void) /* [LOG-76] */
{
    const struct log_trash_judge judge = {.judge = keep_all};
    struct buf bytes = {0};
    struct disk d;

    make_old(&d);
    CHECK_EQ(begin_anew(&d, true, &bytes), 0);
    CHECK_EQ(log_trash_look(d.dir, &topic, 0), LOG_TRASH_NONE);
    CHECK_EQ(log_trash_sweep(d.dir, &judge), 0);
    close_dir(&d);
    mem_disk_end_process(d.disk);
    CHECK_EQ(open_dir(&d), 0);
    CHECK_EQ(log_trash_look(d.dir, &topic, 0), LOG_TRASH_NONE);
    CHECK_EQ(log_trash_restore(d.dir, &topic, 0, "orders"), LOG_TRASH_E_ABSENT);
    const struct file_io *io = mem_disk_io(d.disk);
    char id[UUID_TEXT_SIZE];
    char *path = mem_format("/data/.trash/%s-0.damaged", uuid_format(&topic, id));
    CHECK(io->size_of(io->ctx, path) >= 0);
    mem_free(path);
    close_dir(&d);
    d.disk = mem_disk_free(d.disk);
    buf_deinit(&bytes);
}

/* A leader that sends another batch first, after a full disk: the log begins where that says. */
static void first_batch_that_does_not_fit_leaves_the_log_as_it_was(void) /* [LOG-77] */
{
    struct buf bytes = {0};
    struct disk d = {.disk = mem_disk_new(check_seed())};
    struct batch b;
    offset64 base = OFFSET_NONE;

    CHECK_EQ(open_dir(&d), 0);
    struct plog *l = plog_new_at(d.dir, d.files, "orders", &topic, 0, &config, ANEW_AT);
    sent(&bytes, &b, ANEW_AT - 4, 6);
    mem_disk_set_room(d.disk, 300);
    CHECK_EQ(plog_append_first(l, bytes.data, &b, 2), PLOG_E_FULL);
    mem_disk_set_room(d.disk, -1);
    CHECK_EQ(plog_end(l), ANEW_AT);
    sent(&bytes, &b, ANEW_AT - 2, 3);
    CHECK_EQ(plog_append_first(l, bytes.data, &b, 2), 0);
    CHECK_EQ(plog_end(l), ANEW_AT + 1);
    sent(&bytes, &b, ANEW_AT + 1, 3);
    CHECK_EQ(plog_append(l, bytes.data, &b, 2, &base), 0);
    CHECK_EQ(base, ANEW_AT + 1);
    (void)plog_close(l);
    close_dir(&d);
    d.disk = mem_disk_free(d.disk);
    buf_deinit(&bytes);
}

/* [REP-54] */
static void start_believes_a_high_watermark_as_far_as_was_synced(void)
{
    struct checkpoint_entry e = {.recovery_point = 20, .high_watermark = 30, .log_start = 5};

    CHECK_EQ(checkpoint_committed(&e), 20);
    e.high_watermark = 12;
    CHECK_EQ(checkpoint_committed(&e), 12);
    e = (struct checkpoint_entry){.high_watermark = 40, .log_start = 40}; /* an empty log */
    CHECK_EQ(checkpoint_committed(&e), 40);
}

static const struct check_case cases[] = {
        CASE(any_death_leaves_the_old_log_or_an_empty_one),
        CASE(what_was_put_aside_stays_and_is_not_restored),
        CASE(first_batch_that_does_not_fit_leaves_the_log_as_it_was),
        CASE(start_believes_a_high_watermark_as_far_as_was_synced),
};

CHECK_MAIN("plog_anew", cases)
