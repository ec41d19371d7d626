/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/plog_impl.h"
#include "broker/log/plog_replay.h"

#include "common/base/mem.h"
#include "tests/lib/check.h"
#include "tests/unit/log/log_fixture.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The epochs of a log, their file, and cutting the end off. What deaths leave is test_log_crash's. */

#define EPOCH_FILE "leader-epoch-checkpoint"

static int try_append(struct plog *l, epoch32 epoch)
{
    struct buf bytes = {0};
    struct batch b;
    offset64 base = OFFSET_NONE;

    fixture_batch(&bytes, 2, 100, 1000);
    CHECK_EQ(batch_parse(bytes.data, bytes.size, &b), 0);
    int r = plog_append(l, bytes.data, &b, epoch, &base);
    buf_deinit(&bytes);
    return r;
}

/* `n` batches of two records. */
static void append(struct plog *l, epoch32 epoch, int n)
{
    for (int i = 0; i < n; i++) {
        CHECK_EQ(try_append(l, epoch), 0);
    }
}

static void check_end(struct plog *l, epoch32 asked, epoch32 epoch, offset64 end)
{
    epoch32 got = -9;
    offset64 got_end = -9;

    CHECK_EQ(plog_epoch_end(l, asked, &got, &got_end), 0);
    CHECK_EQ(got, epoch);
    CHECK_EQ(got_end, end);
}

static void check_file(struct fixture *f, const char *want)
{
    char *path = fixture_file(f, "orders-0", EPOCH_FILE);
    uint8_t *text = NULL;
    size_t size = 0;

    CHECK_EQ(file_read_all(&fault_io, path, 4096, &text, &size), 0);
    CHECK_STR((const char *)text, want);
    mem_free(text);
    mem_free(path);
}

static void put_file(struct fixture *f, const char *text)
{
    char *path = fixture_file(f, "orders-0", EPOCH_FILE);

    write_file(path, text, strlen(text));
    mem_free(path);
}

static struct plog *reopen(struct fixture *f, struct plog *l, bool is_clean)
{
    if (is_clean) {
        fixture_flush(l);
    }
    fixture_checkpoint(f, l, &f->topic_id);
    (void)plog_close(l);
    fixture_restart(f, is_clean);
    return fixture_plog(f, "orders", NULL);
}

/* Epochs 2 (20 records), 3 (20), 7 (20), over several segments. */
static struct plog *three_epochs(struct fixture *f)
{
    struct plog *l;

    fixture_open(f);
    f->config.segment_bytes = 1500;
    l = fixture_plog(f, "orders", NULL);
    append(l, 2, 10);
    append(l, 3, 10);
    append(l, 7, 10);
    CHECK(l->segments.n >= 4);
    return l;
}

static void check_three(struct plog *l)
{
    check_end(l, 1, 1, 0);
    check_end(l, 2, 2, 20);
    check_end(l, 3, 3, 40);
    check_end(l, 6, 3, 40);
    check_end(l, 7, 7, 60);
    check_end(l, 8, 7, 60);
}

static void finish(struct fixture *f, struct plog *l)
{
    fault_reset();
    (void)plog_close(l);
    fixture_close(f);
}

static void an_epoch_is_in_the_file_before_its_first_batch(void) /* [LOG-60] KAFKA-7415 */
{
    struct fixture f;
    struct plog *l = three_epochs(&f);

    check_file(&f, "0\n3\n2 0\n3 20\n7 40\n");
    check_three(l);
    fault_reset();
    faults.fail_pwritev_at = 2; /* the first write is the file's */
    faults.pwritev_error = -ENOSPC;
    CHECK_EQ(try_append(l, 9), PLOG_E_FULL);
    check_file(&f, "0\n4\n2 0\n3 20\n7 40\n9 60\n");
    CHECK_EQ(plog_end(l), 60);
    fault_reset();
    faults.fail_pwritev_at = 1;
    faults.pwritev_error = -ENOSPC;
    CHECK_EQ(try_append(l, 10), PLOG_E_FULL);
    check_file(&f, "0\n4\n2 0\n3 20\n7 40\n9 60\n");
    fault_reset();
    append(l, 10, 1);
    check_file(&f, "0\n4\n2 0\n3 20\n7 40\n10 60\n");
    finish(&f, l);
}

static void a_leader_knows_its_epoch_before_it_appends(void) /* [LOG-60] [LOG-61] */
{
    struct fixture f;
    struct plog *l;

    fixture_open(&f);
    l = fixture_plog(&f, "orders", NULL);
    check_end(l, 5, -1, -1);
    plog_begin_epoch(l, 5);
    check_end(l, 5, 5, 0);
    append(l, 5, 2);
    plog_begin_epoch(l, 6);
    plog_begin_epoch(l, 8);
    check_end(l, 5, 5, 4);
    check_end(l, 6, 5, 4);
    check_end(l, 8, 8, 4);
    check_file(&f, "0\n1\n5 0\n");
    append(l, 8, 1);
    check_file(&f, "0\n2\n5 0\n8 4\n");
    finish(&f, l);
}

/* [LOG-62] Of removed batches that were never synced the file says what nobody can prove: a follower that has them was told
 * that their epoch ended before them. */
static void what_was_removed_unsynced_ends_where_the_log_begins(void)
{
    struct fixture f;
    struct plog *l = three_epochs(&f);

    plog_set_start(l, 50);
    l = reopen(&f, l, false);
    offset64 base = l->segments.items[0].base;
    CHECK(base > 40 && base <= 50);
    check_end(l, 2, 2, base);
    check_end(l, 3, 3, base);
    check_end(l, 7, 7, 60);
    finish(&f, l);
}

static void a_start_makes_anew_what_is_absent_or_wrong(void) /* [LOG-62] */
{
    static const char *const wrong[] = {NULL, "", "0\n3\n2 0\n3 20\n7 4", "0\n2\n2 0\n7 40\n",
            "0\n1\n2 0\n", "0\n0\n", "0\n3\n2 0\n3 20\n6 40\n", "0\n3\n1 0\n3 20\n7 40\n"};

    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        struct fixture f;
        struct plog *l = three_epochs(&f);
        char *path = fixture_file(&f, "orders-0", EPOCH_FILE);

        if (wrong[i] == NULL) {
            CHECK_EQ(unlink(path), 0);
        } else {
            put_file(&f, wrong[i]);
        }
        mem_free(path);
        l = reopen(&f, l, true);
        check_three(l);
        append(l, 7, 1); /* brings the file up to date first */
        check_file(&f, "0\n3\n2 0\n3 20\n7 40\n");
        finish(&f, l);
    }
}

static void above_the_recovery_point_the_batches_alone_count(void) /* [LOG-62] */
{
    struct fixture f;
    struct plog *l;

    fixture_open(&f);
    l = fixture_plog(&f, "orders", NULL);
    append(l, 2, 5);
    fixture_flush(l);
    append(l, 3, 5);
    put_file(&f, "0\n4\n2 0\n4 12\n5 14\n6 30\n");
    l = reopen(&f, l, false);
    CHECK_EQ(plog_recovery_point(l), 10);
    check_end(l, 2, 2, 10);
    check_end(l, 3, 3, 20);
    check_end(l, 9, 3, 20);
    finish(&f, l);
}

/* A digit that flipped between two starts, where no start looks. */
static void an_entry_is_looked_at_before_it_is_told(void) /* [LOG-63] */
{
    static const char *const wrong[] = {"0\n3\n2 0\n3 18\n7 40\n", "0\n3\n2 0\n3 22\n7 40\n",
            "0\n3\n2 0\n3 21\n7 40\n", "0\n3\n2 0\n4 20\n7 40\n", "0\n3\n2 0\n3 20\n7 38\n"};

    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        struct fixture f;
        struct plog *l;

        fixture_open(&f);
        f.config.segment_bytes = 1 << 20;
        l = fixture_plog(&f, "orders", NULL);
        append(l, 2, 10);
        append(l, 3, 10);
        append(l, 7, 10);
        put_file(&f, wrong[i]);
        l = reopen(&f, l, true);
        check_end(l, 3, 3, 40);
        check_three(l);
        finish(&f, l);
    }
}

static void the_recovery_point_waits_for_the_file(void) /* [LOG-64] */
{
    struct fixture f;
    struct plog *l;
    struct plog_flush *flush;

    fixture_open(&f);
    l = fixture_plog(&f, "orders", NULL);
    append(l, 2, 5);
    put_file(&f, "0\n0\n"); /* as if the power had brought an older one back */
    l = reopen(&f, l, false);
    CHECK_EQ(plog_recovery_point(l), 0);
    fault_reset();
    faults.fail_pwritev_at = 1;
    faults.pwritev_error = -ENOSPC;
    flush = plog_flush_begin(l);
    CHECK_EQ(plog_flush_run(flush), 0);
    plog_flush_end(l, flush);
    CHECK_EQ(plog_recovery_point(l), 0);
    fault_reset();
    fixture_flush(l);
    CHECK_EQ(plog_recovery_point(l), 10);
    check_file(&f, "0\n1\n2 0\n");
    finish(&f, l);
}

static void truncate_to(struct fixture *f, struct plog *l, offset64 offset, offset64 want)
{
    offset64 end = OFFSET_NONE;

    CHECK_EQ(plog_truncate_begin(l, offset, &end), 0);
    CHECK_EQ(end, want);
    CHECK(plog_recovery_point(l) <= end);
    CHECK(plog_flush_begin(l) == NULL);
    fixture_checkpoint(f, l, &f->topic_id);
    CHECK_EQ(plog_truncate_run(l), 0);
    CHECK_EQ(plog_end(l), end);
}

static void put_snapshot(struct plog *l, offset64 at)
{
    CHECK_EQ(plog_snapshot_write(l, at, "x", 1), 0);
    CHECK_EQ(plog_snapshot_written(l, at, 10), 0);
}

static bool has_snapshot(struct fixture *f, offset64 at)
{
    char name[64];

    (void)snprintf(name, sizeof(name), "%020lld.snapshot", (long long)at);
    char *path = fixture_file(f, "orders-0", name);
    bool has = file_size_of(path) >= 0;
    mem_free(path);
    return has;
}

static void a_truncation_keeps_all_beside_the_data_true(void) /* [LOG-65] [LOG-66] */
{
    struct fixture f;
    struct plog *l = three_epochs(&f);

    fixture_flush(l);
    put_snapshot(l, 20);
    put_snapshot(l, 30);
    put_snapshot(l, 40);
    truncate_to(&f, l, 31, 30); /* the batch of records 30 and 31 goes whole */
    CHECK_EQ(plog_last_epoch(l), 3);
    CHECK_EQ(plog_recovery_point(l), 30);
    check_end(l, 3, 3, 30);
    check_end(l, 7, 3, 30);
    check_file(&f, "0\n2\n2 0\n3 20\n");
    CHECK(has_snapshot(&f, 20) && has_snapshot(&f, 30) && !has_snapshot(&f, 40));
    append(l, 4, 5);
    check_end(l, 4, 4, 40);
    l = reopen(&f, l, true);
    CHECK_EQ(plog_end(l), 40);
    check_end(l, 3, 3, 30);
    check_end(l, 9, 4, 40);
    truncate_to(&f, l, 0, 0);
    CHECK_EQ(plog_last_epoch(l), EPOCH_NONE);
    CHECK_EQ(plog_bytes(l), 0);
    check_end(l, 4, -1, -1);
    append(l, 1, 1);
    check_file(&f, "0\n1\n1 0\n");
    finish(&f, l);
}

static void what_cannot_be_cut_is_refused(void) /* [LOG-66] */
{
    struct fixture f;
    struct plog *l = three_epochs(&f);
    offset64 end = OFFSET_NONE, point;

    CHECK_EQ(plog_truncate_begin(l, 61, &end), PLOG_E_OUT_OF_RANGE);
    CHECK_EQ(plog_truncate_begin(l, -1, &end), PLOG_E_OUT_OF_RANGE);
    l->segments.items[1].is_compacted = true;
    CHECK_EQ(plog_truncate_begin(l, l->segments.items[1].base + 3, &end), PLOG_E_OUT_OF_RANGE);
    l->segments.items[1].is_compacted = false;
    fixture_flush(l);
    CHECK_EQ(plog_truncate_begin(l, 50, &end), 0);
    point = plog_recovery_point(l);
    plog_truncate_cancel(l);
    CHECK_EQ(point, 50);
    CHECK_EQ(plog_end(l), 60);
    fixture_flush(l);
    /* Records of a batch that were deleted come back with a cut that goes there, and not with one that is given up. */
    point = plog_end(l);
    CHECK_EQ(fixture_append(l, 4, 10, 1), 0);
    plog_set_start(l, point + 2);
    CHECK_EQ(plog_truncate_begin(l, point + 2, &end), 0);
    CHECK_EQ(end, point);
    CHECK_EQ(plog_start(l), point);
    plog_truncate_cancel(l);
    CHECK_EQ(plog_start(l), point + 2);
    append(l, 7, 1);
    finish(&f, l);
}

static void a_flush_from_before_a_truncation_moves_nothing(void) /* [LOG-67] */
{
    struct fixture f;
    struct plog *l = three_epochs(&f);
    struct plog_flush *flush = plog_flush_begin(l);

    truncate_to(&f, l, 42, 42);
    CHECK_EQ(plog_flush_run(flush), 0);
    plog_flush_end(l, flush);
    CHECK_EQ(plog_recovery_point(l), 0);
    fixture_flush(l);
    CHECK_EQ(plog_recovery_point(l), 42);
    finish(&f, l);
}

static void a_truncation_that_lacks_descriptors_is_run_again(void)
{
    struct fixture f;
    struct plog *l = three_epochs(&f);
    offset64 end = OFFSET_NONE;

    CHECK_EQ(plog_truncate_begin(l, 30, &end), 0);
    faults.sync_dir_error = -EMFILE;
    CHECK_EQ(plog_truncate_run(l), PLOG_E_BUSY);
    CHECK(!log_dir_failed(f.dir));
    fault_reset();
    CHECK_EQ(plog_truncate_run(l), 0);
    CHECK_EQ(plog_end(l), 30);
    append(l, 8, 3);
    l = reopen(&f, l, true);
    check_end(l, 3, 3, 30);
    check_end(l, 8, 8, 36);
    finish(&f, l);
}

/* Under the lock nothing waits for the disk, and after each step the log is read as its files are. */
static void a_truncation_is_synced_without_the_lock(void) /* [LOG-65] */
{
    struct fixture f;
    struct plog *l = three_epochs(&f);
    struct plog_cut_sync *sync = NULL;
    struct plog_slice s = {.fd = -1};
    offset64 end = OFFSET_NONE;

    CHECK_EQ(plog_end_after_cut(l), 60);
    CHECK_EQ(plog_truncate_begin(l, 30, &end), 0);
    CHECK_EQ(plog_end_after_cut(l), 30);
    faults.sync_dir_error = faults.datasync_error = -EIO;
    CHECK_EQ(plog_truncate_step(l, &sync), 0); /* later segments */
    fault_reset();
    CHECK_EQ(plog_cut_sync_end(l, sync, plog_cut_sync_run(sync)), 0);
    faults.sync_dir_error = faults.datasync_error = -EIO;
    CHECK_EQ(plog_truncate_step(l, &sync), 0); /* data and indexes */
    CHECK_EQ(plog_end(l), 30);
    CHECK_EQ(plog_read(l, 28, 30, 10000, true, &s), 0);
    CHECK(s.file != NULL);
    cached_file_release(s.file);
    check_end(l, 3, 3, 30);
    int r = plog_cut_sync_run(sync);
    CHECK_EQ(r, -EIO);
    CHECK(!log_dir_failed(f.dir));
    CHECK_EQ(plog_cut_sync_end(l, sync, r), -EIO);
    CHECK(log_dir_failed(f.dir)); /* nothing is synced again where that failed */
    fault_reset();
    finish(&f, l);
}

static const struct check_case cases[] = {
        CASE(an_epoch_is_in_the_file_before_its_first_batch),
        CASE(a_leader_knows_its_epoch_before_it_appends),
        CASE(what_was_removed_unsynced_ends_where_the_log_begins),
        CASE(a_start_makes_anew_what_is_absent_or_wrong),
        CASE(above_the_recovery_point_the_batches_alone_count),
        CASE(an_entry_is_looked_at_before_it_is_told),
        CASE(the_recovery_point_waits_for_the_file),
        CASE(a_truncation_keeps_all_beside_the_data_true),
        CASE(what_cannot_be_cut_is_refused),
        CASE(a_flush_from_before_a_truncation_moves_nothing),
        CASE(a_truncation_that_lacks_descriptors_is_run_again),
        CASE(a_truncation_is_synced_without_the_lock),
};
CHECK_MAIN("plog_epochs", cases)
