/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/plog.h"

#include "common/base/mem.h"
#include "tests/lib/check.h"
#include "tests/unit/log/log_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* When a segment ends, and what it costs on the disk until then. */

enum {
    KIB = 1024,
    MIB = 1024 * 1024,
    DAY = 24 * 3600 * 1000
};

/* --- What stands in the folder ------------------------------------------------------------------ */

struct folder {
    int n_logs;
    int64_t blocks; /* of 512 bytes, the folder's own included */
};

static struct folder look(struct fixture *f)
{
    struct folder ret = {0};
    char *path = fixture_file(f, "orders-0", "");
    struct dirent *e;
    DIR *d = opendir(path);

    CHECK(d != NULL);
    while ((e = readdir(d)) != NULL) {
        char *file = mem_format("%s%s", path, e->d_name);
        struct stat st;
        CHECK_EQ(stat(file, &st), 0);
        if (strcmp(e->d_name, "..") != 0) {
            ret.blocks += st.st_blocks;
        }
        const char *dot = strrchr(e->d_name, '.');
        ret.n_logs += dot != NULL && strcmp(dot, ".log") == 0;
        mem_free(file);
    }
    (void)closedir(d);
    mem_free(path);
    return ret;
}

static void restart(struct fixture *f, struct plog **l)
{
    fixture_flush(*l);
    fixture_checkpoint(f, *l, &f->topic_id);
    (void)plog_close(*l);
    fixture_restart(f, true);
    *l = fixture_plog(f, "orders", NULL);
}

/* --- By time -------------------------------------------------------------------------------------- */

/* [LOG-2] */
static void batch_much_younger_than_the_first_begins_a_segment(void)
{
    for (int restarts = 0; restarts < 2; restarts++) {
        struct fixture f;
        fixture_open(&f);
        f.config.segment_bytes = MIB;
        f.config.segment_ms = 1000;
        struct plog *l = fixture_plog(&f, "orders", NULL);
        CHECK_EQ(fixture_append(l, 1, 10, 5000), 0);
        CHECK_EQ(fixture_append(l, 1, 10, 6000), 0);
        CHECK_EQ(fixture_append(l, 1, 10, 400), 0); /* an older one is no reason */
        if (restarts > 0) {
            restart(&f, &l); /* the first batch's time is read when it is asked for */
        }
        CHECK_EQ(look(&f).n_logs, 1);
        CHECK_EQ(fixture_append(l, 1, 10, 6001), 0);
        CHECK_EQ(look(&f).n_logs, 2);
        CHECK_EQ(fixture_append(l, 1, 10, 7001), 0);
        CHECK_EQ(look(&f).n_logs, 2);
        (void)plog_close(l);
        fixture_close(&f);
    }
}

static void batches_without_a_time_do_not_end_a_segment(void)
{
    struct fixture f;

    fixture_open(&f);
    f.config.segment_ms = 1000;
    struct plog *l = fixture_plog(&f, "orders", NULL);
    CHECK_EQ(fixture_append(l, 1, 10, 5), 0);
    CHECK_EQ(fixture_append(l, 1, 10, -1), 0);
    CHECK_EQ(look(&f).n_logs, 1);
    (void)plog_close(l);
    fixture_close(&f);
}

/* From when on a batch begins the second segment of a log whose first has a batch of time 0. */
static wall_ms roll_time(struct fixture *f, uint8_t topic)
{
    bool rolled = false;
    wall_ms t = 0;

    f->topic_id.bytes[9] = topic;
    char *name = mem_format("t%d", topic);
    struct plog *l = fixture_plog(f, name, NULL);
    mem_free(name);
    CHECK_EQ(fixture_append(l, 1, 10, 0), 0);
    while (!rolled) {
        CHECK_EQ(plog_roll_if_old(l, ++t, &rolled), 0);
    }
    (void)plog_close(l);
    return t;
}

/* [LOG-3] */
static void jitter_is_different_for_each_log_and_never_more_than_asked_for(void)
{
    struct fixture f;
    wall_ms first = 0;
    bool differs = false;

    fixture_open(&f);
    f.config.segment_ms = 1000;
    CHECK_EQ(roll_time(&f, 1), 1001);
    f.config.segment_jitter_ms = 100;
    for (uint8_t i = 2; i < 12; i++) {
        wall_ms t = roll_time(&f, i);
        CHECK(t > 900 && t <= 1001);
        differs = differs || (first != 0 && first != t);
        first = t;
    }
    CHECK(differs);
    f.config.segment_jitter_ms = INT64_MAX; /* no more than segment.ms itself */
    CHECK(roll_time(&f, 13) <= 1001);
    fixture_close(&f);
}

/* [LOG-4] */
static void idle_segment_ends_when_it_is_old(void)
{
    struct fixture f;
    bool rolled = true;

    fixture_open(&f);
    f.config.segment_ms = DAY;
    struct plog *l = fixture_plog(&f, "orders", NULL);
    CHECK_EQ(plog_roll_if_old(l, 5 * (wall_ms)DAY, &rolled), 0); /* nothing there at all */
    CHECK(!rolled);
    CHECK_EQ(fixture_append(l, 1, 10, 1000), 0);
    restart(&f, &l);
    CHECK_EQ(plog_roll_if_old(l, 1000 + DAY, &rolled), 0);
    CHECK(!rolled);
    CHECK_EQ(plog_roll_if_old(l, 1001 + DAY, &rolled), 0);
    CHECK(rolled);
    CHECK_EQ(plog_roll_if_old(l, 5 * (wall_ms)DAY, &rolled), 0); /* the new one is empty */
    CHECK(!rolled);
    CHECK_EQ(look(&f).n_logs, 2);
    restart(&f, &l);
    CHECK_EQ(plog_end(l), 1);
    CHECK_EQ(fixture_append(l, 1, 10, 5 * (wall_ms)DAY), 0);
    CHECK_EQ(look(&f).n_logs, 2);
    (void)plog_close(l);
    fixture_close(&f);
}

/* [LOG-4] */
static void segment_without_times_is_as_old_as_somebody_has_seen_it(void)
{
    struct fixture f;
    bool rolled = true;

    fixture_open(&f);
    f.config.segment_ms = 1000;
    struct plog *l = fixture_plog(&f, "orders", NULL);
    CHECK_EQ(fixture_append(l, 1, 10, -1), 0);
    CHECK_EQ(plog_roll_if_old(l, 50000, &rolled), 0);
    CHECK(!rolled);
    CHECK_EQ(plog_roll_if_old(l, 51001, &rolled), 0);
    CHECK(rolled);
    (void)plog_close(l);
    fixture_close(&f);
}

static void segment_is_ended_by_hand_unless_it_is_empty(void)
{
    struct fixture f;

    fixture_open(&f);
    struct plog *l = fixture_plog(&f, "orders", NULL);
    CHECK_EQ(plog_roll_active(l), 0);
    CHECK_EQ(fixture_append(l, 1, 10, 1), 0);
    CHECK_EQ(plog_roll_active(l), 0);
    CHECK_EQ(plog_roll_active(l), 0);
    CHECK_EQ(look(&f).n_logs, 2);
    CHECK_EQ(plog_end(l), 1);
    (void)plog_close(l);
    fixture_close(&f);
}

/* --- By its index --------------------------------------------------------------------------------- */

/* [LOG-1] */
static void full_index_begins_a_segment(void)
{
    struct fixture f;

    fixture_open(&f);
    f.config.segment_bytes = MIB;
    f.config.index_interval_bytes = 100;
    f.config.index_bytes = 3 * 8 + 7;
    struct plog *l = fixture_plog(&f, "orders", NULL);
    for (int i = 0; i < 20; i++) {
        CHECK_EQ(fixture_append(l, 1, 200, 1), 0);
    }
    char *path = fixture_file(&f, "orders-0", "00000000000000000000.index");
    CHECK_EQ(file_size_of(path), 3 * 8);
    CHECK_EQ(look(&f).n_logs, 5); /* four batches for three entries */
    mem_free(path);
    (void)plog_close(l);
    fixture_close(&f);
}

/* --- Room ----------------------------------------------------------------------------------------- */

static void small_partition_costs_little(void)
{
    struct fixture f;

    fixture_open(&f);
    f.config.segment_bytes = 1024 * MIB;
    struct plog *l = fixture_plog(&f, "orders", NULL);
    CHECK_EQ(fixture_append(l, 1, 10, 1), 0);
    fixture_flush(l);
    CHECK(look(&f).blocks * 512 < 64 * KIB);
    CHECK_EQ(faults.n_reserve, 0);
    (void)plog_close(l);
    fixture_close(&f);
}

/* [LOG-5] [LOG-6] */
static void large_segment_reserves_in_steps_and_gives_back_what_is_left(void)
{
    for (int error = 0; error < 2; error++) {
        struct fixture f;
        fixture_open(&f);
        faults.reserve_error = error > 0 ? -EOPNOTSUPP : 0;
        f.config.segment_bytes = 40 * MIB;
        struct plog *l = fixture_plog(&f, "orders", NULL);
        for (int i = 0; i < 16; i++) {
            CHECK_EQ(fixture_append(l, 1, MIB, 1), 0);
        }
        CHECK_EQ(faults.n_reserve, 0);
        CHECK_EQ(fixture_append(l, 1, MIB, 1), 0);
        CHECK_EQ(faults.n_reserve, 1); /* as much again */
        for (int i = 17; i < 31; i++) {
            CHECK_EQ(fixture_append(l, 1, MIB, 1), 0);
        }
        CHECK_EQ(faults.n_reserve, 1);
        CHECK(look(&f).blocks * 512 < 34 * (int64_t)MIB);
        CHECK_EQ(plog_roll_active(l), 0);
        CHECK(look(&f).blocks * 512 < 31 * (int64_t)MIB + 64 * KIB);
        char *path = fixture_file(&f, "orders-0", "00000000000000000000.log");
        CHECK_EQ(plog_bytes(l), file_size_of(path)); /* what is reserved is no part of it */
        mem_free(path);
        (void)plog_close(l);
        fixture_close(&f);
    }
}

static const struct check_case cases[] = {
        CASE(batch_much_younger_than_the_first_begins_a_segment),
        CASE(batches_without_a_time_do_not_end_a_segment),
        CASE(jitter_is_different_for_each_log_and_never_more_than_asked_for),
        CASE(idle_segment_ends_when_it_is_old),
        CASE(segment_without_times_is_as_old_as_somebody_has_seen_it),
        CASE(segment_is_ended_by_hand_unless_it_is_empty),
        CASE(full_index_begins_a_segment),
        CASE(small_partition_costs_little),
        CASE(large_segment_reserves_in_steps_and_gives_back_what_is_left),
};

CHECK_MAIN("plog_roll", cases)
