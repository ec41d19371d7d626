/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/log_trash.h"

#include "broker/log/partition_identity.h"
#include "common/base/mem.h"
#include "tests/lib/check.h"
#include "tests/lib/mem_disk.h"
#include "tests/unit/log/log_fixture.h"

#include <stdio.h>
#include <string.h>

#define DAY ((wall_ms)24 * 60 * 60 * 1000)

static enum log_trash_verdict say(void *ctx, const struct uuid *topic_id, int32_t partition)
{
    return *(const enum log_trash_verdict *)ctx;
}

static int sweep_once(struct log_dir *d, enum log_trash_verdict verdict, wall_ms now)
{
    const struct log_trash_judge judge = {.judge = say, .ctx = &verdict, .now = now};

    return log_trash_sweep(d, &judge);
}

/* The keeper's checkpoint of a directory that holds nothing but trash. */
static int checkpoint_of(struct log_dir *d, bool *ret_is_removable)
{
    size_t n = 0;
    struct checkpoint_entry *all = log_trash_add_checkpoints(d, NULL, &n);
    int r = log_dir_write_checkpoints(d, all, n);

    if (r == 0) {
        *ret_is_removable = log_trash_remember(d, all, n);
    }
    mem_free(all);
    return r;
}

/* With the checkpoint that it needs in between. */
static void sweep(struct log_dir *d, enum log_trash_verdict verdict, wall_ms now)
{
    int r = sweep_once(d, verdict, now);
    bool is_removable = false;

    if (r == LOG_TRASH_E_NAMED) {
        CHECK_EQ(checkpoint_of(d, &is_removable), 0);
        CHECK(is_removable);
        r = sweep_once(d, verdict, now);
    }
    CHECK_EQ(r, 0);
}

static bool exists(struct fixture *f, const char *name)
{
    char *path = fixture_file(f, name, "partition.metadata");
    bool is_there = file_size_of(path) >= 0;

    mem_free(path);
    return is_there;
}

static char *trash_folder(const struct fixture *f, const char *suffix)
{
    char id[UUID_TEXT_SIZE];

    return mem_format(".trash/%s-0%s", uuid_format(&f->topic_id, id), suffix);
}

static bool in_trash(struct fixture *f, const char *suffix)
{
    char *name = trash_folder(f, suffix);
    bool is_there = exists(f, name);

    mem_free(name);
    return is_there;
}

static size_t n_listed(struct log_dir *d, int64_t *ret_bytes)
{
    size_t n = 0;
    struct log_trash_item *items = log_trash_list(d, &n);

    *ret_bytes = 0;
    for (size_t i = 0; i < n; i++) {
        *ret_bytes += items[i].bytes;
    }
    mem_free(items);
    return n;
}

/* A log "orders" of `n` records, whose checkpoint is right; then its way into the trash. */
static void trash_log(struct fixture *f, int n)
{
    struct plog *l = fixture_plog(f, "orders", NULL);

    for (int i = 0; i < n; i++) {
        CHECK_EQ(fixture_append(l, 1, 100, 1000), 0);
    }
    fixture_flush(l);
    const struct checkpoint_entry e = {.topic_id = f->topic_id,
            .recovery_point = plog_recovery_point(l),
            .high_watermark = plog_end(l),
            .log_start = 1};
    log_trash_begin(f->dir, &f->topic_id, 0, "orders-0");
    CHECK_EQ(log_trash_look(f->dir, &f->topic_id, 0), LOG_TRASH_LEAVING);
    CHECK(log_trash_is_leaving(f->dir, "orders-0") && log_trash_is_leaving(f->dir, NULL));
    CHECK(!log_trash_is_leaving(f->dir, "orders-1"));
    CHECK_EQ(log_trash_restore(f->dir, &f->topic_id, 0, "orders"), LOG_TRASH_E_BUSY);
    log_trash_note(f->dir, &e);
    CHECK_EQ(plog_delete(l), 0);
    log_trash_left(f->dir, &f->topic_id, 0, "orders-0", false);
    CHECK_EQ(log_trash_look(f->dir, &f->topic_id, 0), LOG_TRASH_KEPT);
    CHECK(!log_trash_is_leaving(f->dir, NULL));
}

static void checkpoint(struct fixture *f)
{
    bool is_removable = false;

    CHECK_EQ(checkpoint_of(f->dir, &is_removable), 0);
    CHECK(!is_removable);
}

/* [TRS-8] [TRS-9] Also over a restart, its records need no scan, and what was deleted in front stays so. */
static void log_comes_back_under_its_new_name(void)
{
    for (int with_restart = 0; with_restart < 2; with_restart++) {
        struct fixture f;
        struct plog_open_stats stats;

        fixture_open(&f);
        trash_log(&f, 20);
        CHECK(!exists(&f, "orders-0") && in_trash(&f, ""));
        if (with_restart == 1) {
            checkpoint(&f);
            fixture_restart(&f, true);
        }
        sweep(f.dir, LOG_TRASH_KEEP, DAY);
        CHECK_EQ(log_trash_restore(f.dir, &f.topic_id, 0, "again"), 0);
        CHECK_EQ(log_trash_look(f.dir, &f.topic_id, 0), LOG_TRASH_BACK);
        CHECK_EQ(log_trash_restore(f.dir, &f.topic_id, 0, "again"), LOG_TRASH_E_ABSENT);
        struct plog *l = fixture_plog(&f, "again", &stats);
        CHECK(stats.existed && !stats.lost);
        CHECK(with_restart == 0 || stats.scanned_bytes < 1000); /* what an index entry stands for */
        CHECK_EQ(plog_end(l), 20);
        CHECK_EQ(plog_start(l), 1);
        CHECK_EQ(fixture_append(l, 1, 1, 1000), 0);
        (void)plog_close(l);
        char *metadata = fixture_file(&f, "again-0", "partition.metadata");
        char text[256] = "";
        FILE *file = fopen(metadata, "re");
        CHECK(file != NULL);
        CHECK(fread(text, 1, sizeof(text) - 1, file) > 0);
        (void)fclose(file);
        CHECK(strstr(text, "topic=again\n") != NULL);
        mem_free(metadata);
        fixture_close(&f);
    }
}

/* [TRS-9] Only a checkpoint says where it ends: it began anew there, and nothing has come yet. */
static void log_without_a_folder_comes_back_where_it_ends(void)
{
    for (int with_restart = 0; with_restart < 2; with_restart++) {
        struct fixture f;
        struct plog_open_stats stats;

        fixture_open(&f);
        const struct checkpoint_entry e = {
                .topic_id = f.topic_id, .high_watermark = 40, .log_start = 40};
        CHECK_EQ(log_dir_write_checkpoints(f.dir, &e, 1), 0);
        fixture_restart(&f, true);
        struct plog *l = fixture_plog(&f, "orders", &stats);
        CHECK(!stats.existed && !stats.lost);
        CHECK_EQ(plog_end(l), 40);
        log_trash_begin(f.dir, &f.topic_id, 0, "orders-0");
        log_trash_note(f.dir, &e);
        CHECK_EQ(plog_delete(l), 0);
        log_trash_left(f.dir, &f.topic_id, 0, "orders-0", false);
        CHECK(in_trash(&f, ""));
        if (with_restart == 1) {
            checkpoint(&f);
            fixture_restart(&f, true);
        }
        CHECK_EQ(log_trash_restore(f.dir, &f.topic_id, 0, "orders"), 0);
        l = fixture_plog(&f, "orders", &stats);
        CHECK(stats.existed && !stats.lost);
        CHECK_EQ(plog_end(l), 40);
        CHECK_EQ(fixture_append(l, 1, 100, 1000), 0);
        CHECK_EQ(plog_end(l), 41);
        (void)plog_close(l);
        fixture_close(&f);
    }
}

static void name_that_is_taken_stays_with_its_owner(void) /* [TRS-8] */
{
    struct fixture f;
    struct uuid first = {{9}};

    fixture_open(&f);
    trash_log(&f, 3);
    struct uuid trashed = f.topic_id;
    f.topic_id = first;
    struct plog *l = fixture_plog(&f, "orders", NULL);
    CHECK_EQ(fixture_append(l, 1, 1, 1000), 0);
    (void)plog_close(l);
    CHECK_EQ(log_trash_restore(f.dir, &trashed, 0, "orders"), LOG_TRASH_E_TAKEN);
    CHECK_EQ(log_trash_look(f.dir, &trashed, 0), LOG_TRASH_KEPT);
    CHECK(!log_dir_failed(f.dir));
    CHECK_EQ(log_trash_restore(f.dir, &trashed, 0, "others"), 0);
    /* A folder goes only with its owner's name. */
    CHECK_EQ(log_trash_move_found(f.dir, "orders-0", &trashed, 0), 0);
    CHECK(exists(&f, "orders-0"));
    fixture_close(&f);
}

static void purged_log_is_gone_with_its_checkpoint(void) /* [TRS-10] */
{
    struct fixture f;
    int64_t bytes = 0;
    size_t n = 0;

    fixture_open(&f);
    trash_log(&f, 10);
    CHECK_EQ(n_listed(f.dir, &bytes), 1);
    CHECK(bytes > 1000);
    sweep(f.dir, LOG_TRASH_KEEP, DAY);
    CHECK(in_trash(&f, ""));
    sweep(f.dir, LOG_TRASH_PURGE, DAY);
    CHECK(!in_trash(&f, ""));
    CHECK_EQ(log_trash_look(f.dir, &f.topic_id, 0), LOG_TRASH_NONE);
    CHECK_EQ(n_listed(f.dir, &bytes), 0);
    mem_free(log_trash_add_checkpoints(f.dir, NULL, &n));
    CHECK_EQ(n, 0);
    fixture_close(&f);
}

static bool is_known(struct log_dir *d, const struct uuid *topic_id)
{
    struct checkpoint_entry e;

    return log_dir_checkpoint(d, topic_id, 0, &e);
}

/* [TRS-9] The checkpoint goes first, in memory and on the disk; then the log. */
static void checkpoint_goes_before_its_log(void)
{
    struct fixture f;
    bool is_removable = false;

    fixture_open(&f);
    trash_log(&f, 10);
    checkpoint(&f);
    fixture_restart(&f, true); /* it is known from the file now */
    CHECK(is_known(f.dir, &f.topic_id));
    CHECK_EQ(sweep_once(f.dir, LOG_TRASH_PURGE, DAY), LOG_TRASH_E_NAMED);
    CHECK(!is_known(f.dir, &f.topic_id));
    CHECK(in_trash(&f, ""));
    CHECK_EQ(sweep_once(f.dir, LOG_TRASH_PURGE, DAY), LOG_TRASH_E_NAMED); /* no file was written */
    CHECK_EQ(checkpoint_of(f.dir, &is_removable), 0);
    CHECK(is_removable && in_trash(&f, ""));
    CHECK_EQ(sweep_once(f.dir, LOG_TRASH_PURGE, DAY), 0);
    CHECK(!in_trash(&f, "") && !in_trash(&f, ".dropped"));
    for (int round = 0; round < 2; round++) { /* its partition returns: nothing is missed */
        struct plog_open_stats stats;
        struct plog *l = fixture_plog(&f, "orders", &stats);
        CHECK(!stats.existed && !stats.lost);
        CHECK_EQ(plog_end(l), 0);
        (void)plog_close(l);
        fixture_restart(&f, true);
    }
    fixture_close(&f);
}

static void what_comes_back_before_it_is_removed_has_its_checkpoint(void) /* [TRS-9] */
{
    struct checkpoint_entry e;
    struct fixture f;

    fixture_open(&f);
    trash_log(&f, 10);
    CHECK_EQ(sweep_once(f.dir, LOG_TRASH_PURGE, DAY), LOG_TRASH_E_NAMED);
    sweep(f.dir, LOG_TRASH_KEEP, DAY); /* somebody wants it after all */
    CHECK(is_known(f.dir, &f.topic_id));
    CHECK_EQ(sweep_once(f.dir, LOG_TRASH_PURGE, DAY), LOG_TRASH_E_NAMED);
    CHECK_EQ(log_trash_restore(f.dir, &f.topic_id, 0, "orders"), 0);
    CHECK(log_dir_checkpoint(f.dir, &f.topic_id, 0, &e));
    CHECK_EQ(e.high_watermark, 10);
    CHECK_EQ(e.log_start, 1);
    fixture_close(&f);
}

/* [TRS-9] A log that came back and began anew has no folder when it leaves again. */
static void what_leaves_without_a_folder_is_not_missed(void)
{
    for (int has_failed = 0; has_failed < 2; has_failed++) {
        struct fixture f;

        fixture_open(&f);
        trash_log(&f, 10);
        CHECK_EQ(log_trash_restore(f.dir, &f.topic_id, 0, "orders"), 0);
        CHECK_EQ(log_trash_put_aside(f.dir, "orders-0", &f.topic_id, 0, false, DAY), 0);
        CHECK(is_known(f.dir, &f.topic_id));
        log_trash_begin(f.dir, &f.topic_id, 0, "orders-0");
        CHECK_EQ(log_trash_move_found(f.dir, "orders-0", &f.topic_id, 0), 0);
        log_trash_left(f.dir, &f.topic_id, 0, "orders-0", has_failed == 1);
        CHECK_EQ(is_known(f.dir, &f.topic_id), has_failed == 1);
        fixture_close(&f);
    }
}

static void what_nobody_names_is_kept_for_a_day(void) /* [TRS-11] */
{
    struct fixture f;

    fixture_open(&f);
    trash_log(&f, 3);
    sweep(f.dir, LOG_TRASH_UNNAMED, 5 * DAY);
    fixture_restart(&f, true); /* does not begin the day anew */
    sweep(f.dir, LOG_TRASH_UNNAMED, 6 * DAY - 1);
    CHECK(in_trash(&f, ""));
    sweep(f.dir, LOG_TRASH_KEEP, 9 * DAY); /* somebody does */
    CHECK(in_trash(&f, ""));
    sweep(f.dir, LOG_TRASH_UNNAMED, 6 * DAY);
    CHECK(!in_trash(&f, ""));
    fixture_close(&f);
}

static void emptied_log_keeps_its_name_until_it_is_purged(void) /* [TRS-12] */
{
    struct fixture f;
    int64_t bytes = 0;

    fixture_open(&f);
    trash_log(&f, 10);
    checkpoint(&f);
    CHECK_EQ(log_trash_empty(f.dir, &f.topic_id, 0), 0);
    CHECK_EQ(log_trash_empty(f.dir, &f.topic_id, 0), 0);
    for (int round = 0; round < 2; round++) {
        CHECK_EQ(log_trash_look(f.dir, &f.topic_id, 0), LOG_TRASH_EMPTIED);
        CHECK_EQ(log_trash_restore(f.dir, &f.topic_id, 0, "orders"), LOG_TRASH_E_EMPTIED);
        CHECK_EQ(n_listed(f.dir, &bytes), 1);
        CHECK_EQ(bytes, 0);
        sweep(f.dir, LOG_TRASH_KEEP, DAY);
        fixture_restart(&f, true);
    }
    sweep(f.dir, LOG_TRASH_PURGE, DAY);
    CHECK_EQ(log_trash_look(f.dir, &f.topic_id, 0), LOG_TRASH_NONE);
    fixture_close(&f);
}

static void younger_log_of_one_partition_is_the_one_that_comes_back(void)
{
    struct fixture f;

    fixture_open(&f);
    trash_log(&f, 3);
    struct plog *l = fixture_plog(&f, "other", NULL); /* a checkpoint of the first is known */
    CHECK_EQ(fixture_append(l, 1, 1, 1000), 0);
    CHECK_EQ(plog_delete(l), 0);
    CHECK(in_trash(&f, "") && in_trash(&f, ".1"));
    sweep(f.dir, LOG_TRASH_PURGE, DAY);
    CHECK(!in_trash(&f, "") && !in_trash(&f, ".1"));
    fixture_close(&f);
}

static void put_aside(struct fixture *f, wall_ms now)
{
    struct plog *l = fixture_plog(f, "orders", NULL);

    CHECK_EQ(fixture_append(l, 1, 50, 1000), 0);
    (void)plog_close(l);
    CHECK_EQ(log_trash_put_aside(f->dir, "orders-0", &f->topic_id, 0, true, now), 0);
}

static void logs_put_aside_are_given_up_by_their_age(void) /* [TRS-12] */
{
    struct log_trash_aside *all = NULL;
    struct fixture f;
    size_t n = 0;

    fixture_open(&f);
    put_aside(&f, 300);
    put_aside(&f, 200); /* the clock was set back; the former is .damaged.1 now */
    for (int round = 0; round < 2; round++) {
        mem_free(all);
        all = log_trash_asides(f.dir, &n);
        CHECK_EQ(n, 2);
        CHECK_EQ(all[0].since, 200);
        CHECK(strstr(all[0].name, "-0.damaged") != NULL);
        CHECK_EQ(all[1].since, 300);
        CHECK(strstr(all[1].name, "-0.damaged.1") != NULL);
        CHECK(all[0].bytes > 50);
        fixture_restart(&f, true);
    }
    mem_free(log_trash_asides(f.dir, &n));
    CHECK_EQ(log_trash_remove_aside(f.dir, &all[0]), 0);
    CHECK(!in_trash(&f, ".damaged") && in_trash(&f, ".damaged.1") && !in_trash(&f, ".dropped"));
    put_aside(&f, 400); /* it takes the name of the one that is gone */
    CHECK_EQ(log_trash_remove_aside(f.dir, &all[0]), 0);
    CHECK(in_trash(&f, ".damaged"));
    mem_free(log_trash_asides(f.dir, &n));
    CHECK_EQ(n, 2);
    CHECK_EQ(log_trash_remove_aside(f.dir, &all[1]), 0);
    sweep(f.dir, LOG_TRASH_PURGE, DAY);
    mem_free(log_trash_asides(f.dir, &n));
    CHECK_EQ(n, 0);
    mem_free(all);
    fixture_close(&f);
}

/* --- Death at any step ------------------------------------------------------------------------ */

enum {
    RECORDS = 40,
    STEPS_MAX = 200
};

static const struct uuid topic = {{4, 5}};
static const struct uuid cluster = {{7}};

struct disk_world {
    struct mem_disk *disk;
    struct log_dir *dir;
    struct file_cache *files;
};

static void open_world(struct disk_world *w)
{
    char error[256];

    CHECK_EQ(log_dir_open(mem_disk_io(w->disk), "/data", 1, &w->dir, error, sizeof(error)), 0);
    w->files = file_cache_new(mem_disk_io(w->disk), 8);
    CHECK_EQ(log_dir_adopt(w->dir, &cluster), 0);
    CHECK_EQ(log_dir_begin_run(w->dir, 100), 0);
}

static void close_world(struct disk_world *w)
{
    w->files = file_cache_free(w->files);
    w->dir = log_dir_close(w->dir);
}

static int open_log(struct disk_world *w, const char *name, struct plog **ret)
{
    const struct plog_config config = {.segment_bytes = 4096, .index_interval_bytes = 256};

    return plog_open(w->dir, w->files, name, &topic, 0, &config, ret, NULL);
}

/* A log of RECORDS records on a new disk, all synced, with its checkpoint. */
static void begin_world(struct disk_world *w, uint64_t seed)
{
    struct plog *l = NULL;

    *w = (struct disk_world){.disk = mem_disk_new(seed)};
    open_world(w);
    CHECK_EQ(open_log(w, "orders", &l), 0);
    for (int i = 0; i < RECORDS; i++) {
        CHECK_EQ(fixture_append(l, 1, 300, 1000), 0);
    }
    fixture_flush(l);
    const struct checkpoint_entry e = {
            .topic_id = topic, .recovery_point = RECORDS, .high_watermark = RECORDS};
    CHECK_EQ(log_dir_write_checkpoints(w->dir, &e, 1), 0);
    (void)plog_close(l);
}

/* To the trash, to an emptied one or back, as the broker does; stops where the disk dies. */
static void walk(struct disk_world *w, bool is_emptied)
{
    const struct checkpoint_entry e = {
            .topic_id = topic, .recovery_point = RECORDS, .high_watermark = RECORDS};
    int r;

    log_trash_begin(w->dir, &topic, 0, "orders-0");
    log_trash_note(w->dir, &e);
    r = log_trash_move(w->dir, "orders-0", &topic, 0);
    log_trash_left(w->dir, &topic, 0, "orders-0", r < 0);
    if (r == 0) {
        r = log_trash_sync(w->dir);
    }
    if (r == 0) {
        r = log_dir_write_checkpoints(w->dir, &e, 1);
    }
    if (r == 0) {
        r = is_emptied ? log_trash_empty(w->dir, &topic, 0)
                       : log_trash_restore(w->dir, &topic, 0, "again");
    }
    CHECK(r == 0 || mem_disk_is_dead(w->disk));
}

static void check_whole(struct disk_world *w, const char *name)
{
    struct plog *l = NULL;

    CHECK_EQ(open_log(w, name, &l), 0);
    CHECK_EQ(plog_start(l), 0);
    CHECK_EQ(plog_end(l), RECORDS);
    (void)plog_close(l);
}

/* After a death it lies in one place, and what is applied again ends as it would have. */
static void check_converges(struct disk_world *w, bool is_emptied)
{
    size_t n = 0;
    const struct found_log *found = log_dir_logs(w->dir, &n);
    enum log_trash_state state = log_trash_look(w->dir, &topic, 0);

    CHECK_EQ(n + (state != LOG_TRASH_NONE), 1);
    if (n == 1 && strcmp(found[0].name, "orders-0") == 0) {
        check_whole(w, "orders");
        CHECK_EQ(log_trash_move(w->dir, "orders-0", &topic, 0), 0);
        state = LOG_TRASH_KEPT;
    }
    if (state == LOG_TRASH_EMPTIED) {
        CHECK(is_emptied);
        CHECK_EQ(log_trash_restore(w->dir, &topic, 0, "again"), LOG_TRASH_E_EMPTIED);
        return;
    }
    if (state == LOG_TRASH_KEPT) {
        CHECK_EQ(log_trash_restore(w->dir, &topic, 0, "again"), 0);
    }
    check_whole(w, "again");
}

static void death_at_any_step_leaves_the_log_whole_in_one_place(void) /* [TRS-8] [TRS-12] */
{
    for (int kind = 0; kind < 4; kind++) {
        bool is_emptied = kind % 2 == 1, is_power = kind >= 2;
        bool was_dead = true;
        for (uint64_t step = 1; was_dead; step++) {
            struct disk_world w;
            begin_world(&w, check_seed() + step);
            CHECK(step < STEPS_MAX);
            mem_disk_die_at(w.disk, step);
            walk(&w, is_emptied);
            was_dead = mem_disk_is_dead(w.disk);
            close_world(&w);
            if (is_power) {
                mem_disk_cut_power(w.disk);
            } else {
                mem_disk_end_process(w.disk);
            }
            open_world(&w);
            check_converges(&w, is_emptied);
            close_world(&w);
            w.disk = mem_disk_free(w.disk);
        }
    }
}

/* A log in the trash is removed, as the keeper does; stops where the disk dies. */
static void purge_until_death(struct disk_world *w)
{
    bool is_removable = false;
    int r = log_trash_move(w->dir, "orders-0", &topic, 0);

    for (int round = 0; round < 2 && r >= 0; round++) {
        r = sweep_once(w->dir, LOG_TRASH_PURGE, DAY);
        if (r == LOG_TRASH_E_NAMED) {
            r = checkpoint_of(w->dir, &is_removable);
        }
    }
    CHECK(r == 0 || mem_disk_is_dead(w->disk));
}

/* Whole somewhere, or not there and not missed. */
static void check_whole_or_not_missed(struct disk_world *w)
{
    size_t n = 0;
    const struct found_log *found = log_dir_logs(w->dir, &n);
    bool is_kept = log_trash_look(w->dir, &topic, 0) == LOG_TRASH_KEPT;
    struct plog_open_stats stats = {0};
    struct plog *l = NULL;

    CHECK(n <= 1 && !(n == 1 && is_kept));
    if (n == 1) {
        CHECK_STR(found[0].name, "orders-0");
    } else if (is_kept) {
        CHECK_EQ(log_trash_restore(w->dir, &topic, 0, "orders"), 0);
    }
    CHECK_EQ(plog_open(w->dir, w->files, "orders", &topic, 0,
                     &(struct plog_config){.segment_bytes = 4096, .index_interval_bytes = 256}, &l,
                     &stats),
            0);
    CHECK(!stats.lost);
    CHECK_EQ(plog_start(l), 0);
    CHECK_EQ(plog_end(l), n == 1 || is_kept ? RECORDS : 0);
    (void)plog_close(l);
}

static void death_at_any_step_of_a_purge_leaves_nothing_that_is_missed(void) /* [TRS-9] */
{
    for (int is_power = 0; is_power < 2; is_power++) {
        bool was_dead = true;
        for (uint64_t step = 1; was_dead; step++) {
            struct disk_world w;
            begin_world(&w, check_seed() + step);
            close_world(&w);
            open_world(&w); /* the checkpoint is known from the file */
            CHECK(step < STEPS_MAX);
            mem_disk_die_at(w.disk, step);
            purge_until_death(&w);
            was_dead = mem_disk_is_dead(w.disk);
            close_world(&w);
            if (is_power == 1) {
                mem_disk_cut_power(w.disk);
            } else {
                mem_disk_end_process(w.disk);
            }
            open_world(&w);
            check_whole_or_not_missed(&w);
            close_world(&w);
            w.disk = mem_disk_free(w.disk);
        }
    }
}

static const struct check_case cases[] = {
        CASE(log_comes_back_under_its_new_name),
        CASE(log_without_a_folder_comes_back_where_it_ends),
        CASE(name_that_is_taken_stays_with_its_owner),
        CASE(purged_log_is_gone_with_its_checkpoint),
        CASE(what_nobody_names_is_kept_for_a_day),
        CASE(emptied_log_keeps_its_name_until_it_is_purged),
        CASE(younger_log_of_one_partition_is_the_one_that_comes_back),
        CASE(logs_put_aside_are_given_up_by_their_age),
        CASE(checkpoint_goes_before_its_log),
        CASE(what_comes_back_before_it_is_removed_has_its_checkpoint),
        CASE(what_leaves_without_a_folder_is_not_missed),
        CASE(death_at_any_step_leaves_the_log_whole_in_one_place),
        CASE(death_at_any_step_of_a_purge_leaves_nothing_that_is_missed),
};
CHECK_MAIN("log_trash", cases)
