/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/plog.h"

#include "common/base/array.h"
#include "common/base/mem.h"
#include "common/base/prng.h"
#include "common/obs/metrics.h"
#include "tests/lib/check.h"
#include "tests/unit/log/log_fixture.h"

#include <errno.h>
#include <unistd.h>

/* Reads a slice and checks that it is whole batches from the one with `offset` on; returns the
 * offset behind it. */
static offset64 end_of(const struct plog_slice *s, offset64 offset)
{
    uint8_t *bytes = mem_alloc(s->size);
    size_t at = 0;
    offset64 next = offset;

    CHECK_EQ(pread(s->fd, bytes, s->size, s->at), (ssize_t)s->size);
    while (at < s->size) {
        struct batch b;
        CHECK_EQ(batch_parse(bytes + at, s->size - at, &b), 0);
        CHECK(batch_crc_is_right(&b));
        CHECK(at == 0 ? b.base_offset <= offset : b.base_offset == next);
        next = batch_last_offset(&b) + 1;
        at += b.size;
    }
    mem_free(bytes);
    return next;
}

/* plog_read that must succeed; returns the offset behind the slice, or `offset` when it is empty.
 * */
static offset64 read_from(struct plog *l, offset64 offset, offset64 limit, size_t max, bool whole)
{
    struct plog_slice s = {0};

    CHECK_EQ(plog_read(l, offset, limit, max, whole, &s), 0);
    if (s.file == NULL) {
        CHECK_EQ(s.size, 0);
        return offset;
    }
    CHECK(s.size > 0);
    offset64 end = end_of(&s, offset);
    cached_file_release(s.file);
    return end;
}

static void folder_is_made_at_the_first_append(void)
{
    struct fixture f;
    struct plog_open_stats stats;

    fixture_open(&f);
    struct plog *l = fixture_plog(&f, "orders", &stats);
    char *folder = mem_format("%s/orders-0", f.path);
    CHECK(!stats.existed);
    CHECK_EQ(file_size_of(folder), -ENOENT);
    CHECK_EQ(plog_end(l), 0);
    CHECK_EQ(read_from(l, 0, 100, 1000, true), 0);
    CHECK_EQ(fixture_append(l, 3, 10, 5), 0);
    CHECK(file_size_of(folder) >= 0);
    CHECK_EQ(plog_end(l), 3);
    CHECK_STR(plog_folder(l), "orders-0");
    mem_free(folder);
    (void)plog_close(l);
    fixture_close(&f);
}

static void what_is_appended_is_read_after_rolls_and_a_restart(void)
{
    struct fixture f;
    struct plog_open_stats stats;

    fixture_open(&f);
    struct plog *l = fixture_plog(&f, "orders", NULL);
    for (int i = 0; i < 100; i++) {
        CHECK_EQ(fixture_append(l, 1 + i % 3, 200, i), 0);
    }
    offset64 end = plog_end(l);
    int64_t bytes = plog_bytes(l);
    (void)plog_close(l);
    fixture_restart(&f, false);
    CHECK_EQ(log_dir_crash_kind(f.dir), CRASH_PROC);
    l = fixture_plog(&f, "orders", &stats);
    CHECK(stats.existed);
    CHECK_EQ(stats.cut_bytes, 0);
    CHECK_EQ(plog_end(l), end);
    CHECK_EQ(plog_bytes(l), bytes);
    CHECK_EQ(plog_last_epoch(l), 0);
    for (offset64 from = 0; from < end; from++) {
        offset64 at = from;
        while (at < end) {
            offset64 next = read_from(l, at, end, 1500, true);
            CHECK(next > at);
            at = next;
        }
        CHECK_EQ(at, end);
    }
    (void)plog_close(l);
    fixture_close(&f);
}

static void slice_stays_below_limit_and_max_bytes(void)
{
    struct fixture f;
    struct buf one = {0};

    fixture_open(&f);
    f.config.segment_bytes = 1 << 20;
    struct plog *l = fixture_plog(&f, "orders", NULL);
    fixture_batch(&one, 2, 50, 1);
    for (int i = 0; i < 50; i++) {
        CHECK_EQ(fixture_append(l, 2, 50, 1), 0);
    }
    CHECK_EQ(read_from(l, 0, 100, 1 << 20, true), 100);
    CHECK_EQ(read_from(l, 0, 1000, 1 << 20, true), 100); /* the limit is at most the end */
    CHECK_EQ(read_from(l, 0, 51, 1 << 20, true),
            50); /* a batch that straddles the limit stays out */
    CHECK_EQ(read_from(l, 0, 50, 1 << 20, true), 50);
    CHECK_EQ(read_from(l, 0, 100, one.size * 7, true), 14);
    CHECK_EQ(read_from(l, 0, 100, one.size * 8 - 1, true), 14);
    CHECK_EQ(read_from(l, 31, 100, one.size, true), 32); /* begins with the batch that holds 31 */
    CHECK_EQ(read_from(l, 40, 100, one.size - 1, false), 40);
    CHECK_EQ(read_from(l, 40, 100, one.size - 1, true), 42);
    CHECK_EQ(read_from(l, 40, 41, 1 << 20, true), 40); /* the first batch is not below the limit */
    CHECK_EQ(read_from(l, 100, 100, 1 << 20, true), 100);
    CHECK_EQ(read_from(l, 60, 40, 1 << 20, true), 60);
    CHECK_EQ(plog_readable(l, 90, 100, 1 << 20), one.size * 5);
    CHECK_EQ(plog_readable(l, 100, 100, 1 << 20), 0);
    CHECK_EQ(plog_readable(l, 101, 110, 1 << 20), 0);
    buf_deinit(&one);
    (void)plog_close(l);
    fixture_close(&f);
}

static void offset_outside_the_log_is_out_of_range(void)
{
    struct fixture f;
    struct plog_slice s;

    fixture_open(&f);
    struct plog *l = fixture_plog(&f, "orders", NULL);
    CHECK_EQ(fixture_append(l, 2, 10, 1), 0);
    CHECK_EQ(plog_read(l, -1, 2, 100, true, &s), PLOG_E_OUT_OF_RANGE);
    CHECK_EQ(plog_read(l, 3, 9, 100, true, &s), PLOG_E_OUT_OF_RANGE);
    (void)plog_close(l);
    fixture_close(&f);
}

static void reader_at_the_end_needs_no_search(void)
{
    struct fixture f;

    fixture_open(&f);
    f.config.segment_bytes = 1 << 20;
    struct plog *l = fixture_plog(&f, "orders", NULL);
    for (int i = 0; i < 20; i++) {
        CHECK_EQ(fixture_append(l, 1, 100, 1), 0);
        faults.n_pread = 0;
        CHECK_EQ(read_from(l, i, i + 1, 1 << 20, true), i + 1);
        CHECK_EQ(faults.n_pread, 0);
    }
    (void)read_from(l, 0, 20, 500, true);
    (void)plog_close(l);
    fixture_close(&f);
}

static void slice_never_spans_segments_and_says_which_it_is_of(void)
{
    struct fixture f;
    struct plog_slice s;

    fixture_open(&f);
    f.config.segment_bytes = 1000;
    struct plog *l = fixture_plog(&f, "orders", NULL);
    for (int i = 0; i < 20; i++) {
        CHECK_EQ(fixture_append(l, 1, 300, 1), 0);
    }
    CHECK_EQ(plog_read(l, 0, 20, 1 << 20, true, &s), 0);
    CHECK(s.older_segment);
    CHECK(s.size <= 1000);
    cached_file_release(s.file);
    CHECK_EQ(plog_read(l, 19, 20, 1 << 20, true, &s), 0);
    CHECK(!s.older_segment);
    cached_file_release(s.file);
    (void)plog_close(l);
    fixture_close(&f);
}

static void batch_larger_than_a_segment_gets_one_of_its_own(void)
{
    struct fixture f;

    fixture_open(&f);
    struct plog *l = fixture_plog(&f, "orders", NULL);
    CHECK_EQ(fixture_append(l, 1, 10, 1), 0);
    CHECK_EQ(fixture_append(l, 1, 20000, 1), 0);
    CHECK_EQ(fixture_append(l, 1, 10, 1), 0);
    CHECK_EQ(read_from(l, 0, 3, 1 << 20, true), 1);
    CHECK_EQ(read_from(l, 1, 3, 1 << 20, true), 2);
    CHECK_EQ(read_from(l, 2, 3, 1 << 20, true), 3);
    (void)plog_close(l);
    fixture_close(&f);
}

static void time_finds_the_first_batch_that_reaches_it(void)
{
    struct fixture f;
    struct plog_slice s;

    fixture_open(&f);
    f.config.segment_bytes = 700;
    struct plog *l = fixture_plog(&f, "orders", NULL);
    static const wall_ms times[] = {100, 300, 200, 500, 400, 500};
    CHECK_EQ(plog_find_time(l, 0, 10, &s), PLOG_E_NOT_FOUND);
    for (size_t i = 0; i < COUNT_OF(times); i++) {
        CHECK_EQ(fixture_append(l, 1, 200, times[i]), 0);
    }

    static const struct {
        wall_ms t;
        offset64 limit, want;
    } cases[] = {{0, 6, 0}, {101, 6, 1}, {300, 6, 1}, {301, 6, 3}, {500, 6, 3}, {501, 6, -1},
            {301, 3, -1}};

    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < COUNT_OF(cases); i++) {
            int r = plog_find_time(l, cases[i].t, cases[i].limit, &s);
            CHECK_EQ(r, cases[i].want < 0 ? PLOG_E_NOT_FOUND : 0);
            if (r == 0) {
                CHECK_EQ(end_of(&s, cases[i].want), cases[i].want + 1);
                cached_file_release(s.file);
            }
        }
        CHECK_EQ(plog_find_max_time(l, 6, &s), 0);
        CHECK_EQ(end_of(&s, 3), 4);
        cached_file_release(s.file);
        CHECK_EQ(plog_find_max_time(l, 3, &s), 0);
        CHECK_EQ(end_of(&s, 1), 2);
        cached_file_release(s.file);
        (void)plog_close(l); /* the second pass knows no segment's largest timestamp */
        fixture_restart(&f, true);
        l = fixture_plog(&f, "orders", NULL);
    }
    (void)plog_close(l);
    fixture_close(&f);
}

static void hundred_logs_keep_at_most_four_files_open(void)
{
    struct fixture f;
    struct plog *logs[100];

    fixture_open(&f);
    f.files = file_cache_free(f.files);
    f.files = file_cache_new(&fault_io, 4);
    for (int i = 0; i < 100; i++) {
        char *topic = mem_format("t%d", i);
        f.topic_id.bytes[15] = (uint8_t)i;
        logs[i] = fixture_plog(&f, topic, NULL);
        mem_free(topic);
    }
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 100; i++) {
            CHECK_EQ(fixture_append(logs[i], 2, 300, 1), 0);
            CHECK_EQ(read_from(logs[i], round * 2, 100, 1 << 20, true), round * 2 + 2);
            CHECK(file_cache_n_open(f.files) <= 4);
            CHECK_EQ(metric_get(METRIC_BROKER_OPEN_SEGMENT_FILES), file_cache_n_open(f.files));
        }
    }
    for (int i = 0; i < 100; i++) {
        fixture_flush(logs[i]);
        (void)plog_close(logs[i]);
    }
    fixture_close(&f);
}

static void slice_stays_readable_after_the_log_is_deleted(void)
{
    struct fixture f;
    struct plog_slice s;

    fixture_open(&f);
    struct plog *l = fixture_plog(&f, "orders", NULL);
    CHECK_EQ(fixture_append(l, 4, 100, 1), 0);
    CHECK_EQ(plog_read(l, 0, 4, 1 << 20, true, &s), 0);
    CHECK_EQ(plog_delete(l), 0);
    CHECK_EQ(fixture_purge_trash(f.dir), 0);
    CHECK_EQ(end_of(&s, 0), 4);
    cached_file_release(s.file);
    CHECK_EQ(file_cache_n_open(f.files), 0);
    l = fixture_plog(&f, "orders", NULL);
    CHECK_EQ(plog_end(l), 0);
    CHECK_EQ(fixture_append(l, 1, 1, 1), 0);
    (void)plog_close(l);
    fixture_close(&f);
}

static void folder_of_a_deleted_namesake_is_not_touched(void)
{
    struct fixture f;
    struct plog *l = NULL;

    fixture_open(&f);
    l = fixture_plog(&f, "orders", NULL);
    CHECK_EQ(fixture_append(l, 4, 100, 1), 0);
    (void)plog_close(l);
    f.topic_id.bytes[0] ^= 1;
    CHECK_EQ(fixture_try_plog(&f, "orders", &l, NULL), PLOG_E_FOREIGN);
    f.topic_id.bytes[0] ^= 1;
    l = fixture_plog(&f, "orders", NULL);
    CHECK_EQ(plog_end(l), 4);
    (void)plog_close(l);
    fixture_close(&f);
}

/* --- Faults ----------------------------------------------------------------------------------- */

static void full_disk_changes_nothing_at_any_write(void)
{
    for (int kind = 0; kind < 3; kind++) {
        for (int nth = 1;; nth++) {
            struct fixture f;
            fixture_open(&f);
            f.config.segment_bytes = 600;
            struct plog *l = fixture_plog(&f, "orders", NULL);
            fault_reset();
            faults.fail_pwritev_at = nth;
            faults.pwritev_error = kind == 0 ? -ENOSPC : kind == 1 ? -EDQUOT : 0;
            faults.pwritev_short = 5;
            int n_full = 0;
            for (int i = 0; i < 8; i++) {
                int r = fixture_append(l, 1, 100, 1);
                CHECK(r == 0 || r == PLOG_E_FULL);
                n_full += r != 0 ? 1 : 0;
            }
            bool was_reached = faults.n_pwritev >= nth;
            CHECK(!log_dir_failed(f.dir));
            CHECK(n_full <= 1);
            offset64 end = plog_end(l);
            CHECK_EQ(end, 8 - n_full);
            (void)plog_close(l);
            fixture_restart(&f, false);
            struct plog_open_stats stats;
            l = fixture_plog(&f, "orders", &stats);
            CHECK_EQ(stats.cut_bytes, 0);
            CHECK_EQ(plog_end(l), end);
            (void)plog_close(l);
            fixture_close(&f);
            if (!was_reached) {
                break;
            }
        }
    }
}

static void full_disk_at_creation_is_retried_from_where_it_stopped(void)
{
    struct fixture f;

    fixture_open(&f);
    struct plog *l = fixture_plog(&f, "orders", NULL);
    faults.open_error = -ENOSPC;
    CHECK_EQ(fixture_append(l, 1, 100, 1), PLOG_E_FULL);
    CHECK_EQ(fixture_append(l, 1, 100, 1), PLOG_E_FULL);
    faults.open_error = 0;
    CHECK_EQ(fixture_append(l, 1, 100, 1), 0);
    (void)plog_close(l);
    fixture_close(&f);
}

static void death_between_folder_and_identity_is_harmless(void)
{
    struct fixture f;

    fixture_open(&f);
    struct plog *l = fixture_plog(&f, "orders", NULL);
    faults.open_error = -ENOSPC;
    CHECK_EQ(fixture_append(l, 1, 100, 1), PLOG_E_FULL);
    faults.open_error = 0;
    (void)plog_close(l);
    fixture_restart(&f, false);
    l = fixture_plog(&f, "orders", NULL);
    CHECK_EQ(fixture_append(l, 1, 100, 1), 0);
    (void)plog_close(l);
    fixture_close(&f);
}

static void write_error_fails_the_directory(void) /* KAFKA-10778 */
{
    struct fixture f;

    fixture_open(&f);
    struct plog *l = fixture_plog(&f, "orders", NULL);
    CHECK_EQ(fixture_append(l, 1, 100, 1), 0);
    fault_reset();
    faults.fail_pwritev_at = 1;
    faults.pwritev_error = -EIO;
    CHECK_EQ(fixture_append(l, 1, 100, 1), -EIO);
    CHECK(log_dir_failed(f.dir));
    CHECK(strstr(log_dir_failure(f.dir), "orders-0") != NULL);
    fault_reset();
    CHECK_EQ(fixture_append(l, 1, 100, 1), -EIO); /* nothing after it */
    CHECK_EQ(log_dir_mark_clean(f.dir, 1, 1), -EIO);
    (void)plog_close(l);
    f.dir = log_dir_close(f.dir);
    f.dir = fixture_open_dir(f.path);
    CHECK_EQ(log_dir_crash_kind(f.dir), CRASH_HOST);
    fixture_close(&f);
}

static void half_written_batch_that_cannot_be_cut_fails_the_directory(void)
{
    struct fixture f;

    fixture_open(&f);
    struct plog *l = fixture_plog(&f, "orders", NULL);
    CHECK_EQ(fixture_append(l, 1, 100, 1), 0);
    fault_reset();
    faults.fail_pwritev_at = 1;
    faults.pwritev_short = 30;
    faults.truncate_error = -EIO;
    CHECK_EQ(fixture_append(l, 1, 100, 1), -EIO);
    CHECK(log_dir_failed(f.dir));
    (void)plog_close(l);
    fixture_close(&f);
}

static void failed_sync_latches_and_is_never_repeated(void) /* fsyncgate */
{
    struct fixture f;

    fixture_open(&f);
    struct plog *l = fixture_plog(&f, "orders", NULL);
    CHECK_EQ(fixture_append(l, 1, 100, 1), 0);
    struct plog_flush *flush = plog_flush_begin(l);
    CHECK(flush != NULL);
    fault_reset();
    faults.datasync_error = -EIO;
    CHECK_EQ(plog_flush_run(flush), -EIO);
    plog_flush_end(l, flush);
    CHECK_EQ(plog_recovery_point(l), 0);
    CHECK(log_dir_failed(f.dir));
    fault_reset();
    flush = plog_flush_begin(l);
    CHECK(flush != NULL);
    CHECK_EQ(plog_flush_run(flush), -EIO);
    CHECK_EQ(faults.n_datasync, 0);
    plog_flush_end(l, flush);
    CHECK_EQ(plog_recovery_point(l), 0);
    (void)plog_close(l);
    fixture_close(&f);
}

static void flush_covers_every_rolled_segment_but_not_what_came_later(void)
{
    struct fixture f;

    fixture_open(&f);
    f.config.segment_bytes = 600;
    struct plog *l = fixture_plog(&f, "orders", NULL);
    CHECK(plog_flush_begin(l) == NULL);
    for (int i = 0; i < 8; i++) {
        CHECK_EQ(fixture_append(l, 1, 200, 1 + i), 0); /* two a segment */
    }
    struct plog_flush *flush = plog_flush_begin(l);
    CHECK_EQ(fixture_append(l, 1, 200, 9), 0);
    int64_t late = plog_bytes(l);
    fault_reset();
    CHECK_EQ(plog_flush_run(flush), 0);
    CHECK_EQ(faults.n_datasync, 4);
    CHECK_EQ(faults.n_sync_dir, 1);
    plog_flush_end(l, flush);
    CHECK_EQ(plog_recovery_point(l), 8);
    CHECK_EQ(plog_unsynced_bytes(l), late / 9);
    fault_reset();
    fixture_flush(l);
    CHECK_EQ(faults.n_datasync, 1);
    CHECK_EQ(faults.n_sync_dir, 1); /* a segment was made in between */
    CHECK(plog_flush_begin(l) == NULL);
    (void)plog_close(l);
    fixture_close(&f);
}

static void lack_of_descriptors_fails_nothing_and_is_tried_again(void)
{
    struct fixture f;
    struct plog_slice s;

    fixture_open(&f);
    struct plog *l = fixture_plog(&f, "orders", NULL);
    faults.sync_dir_error = -EMFILE; /* while the folder is made */
    CHECK_EQ(fixture_append(l, 1, 100, 1), PLOG_E_BUSY);
    fault_reset();
    CHECK_EQ(fixture_append(l, 1, 100, 1), 0);
    CHECK_EQ(fixture_append(l, 1, 5000, 1), 0); /* a second segment, whose name the flush syncs */
    fault_reset();
    faults.sync_dir_error = -EMFILE;
    struct plog_flush *flush = plog_flush_begin(l);
    CHECK_EQ(plog_flush_run(flush), -EMFILE);
    plog_flush_end(l, flush);
    CHECK_EQ(faults.n_datasync, 0);
    CHECK_EQ(plog_recovery_point(l), 0);
    fault_reset();
    fixture_flush(l);
    CHECK_EQ(fixture_append(l, 1, 100, 1), 0);
    while (file_cache_make_room(f.files)) {
    }
    faults.open_any_error = -ENFILE;
    flush = plog_flush_begin(l);
    CHECK_EQ(plog_flush_run(flush), -ENFILE);
    plog_flush_end(l, flush);
    CHECK_EQ(plog_read(l, 0, 2, 1 << 20, true, &s), PLOG_E_BUSY);
    CHECK_EQ(fixture_append(l, 1, 100, 1), PLOG_E_BUSY);
    struct checkpoint_entry e = {.topic_id = f.topic_id};
    CHECK_EQ(log_dir_write_checkpoints(f.dir, &e, 1), -ENFILE);
    CHECK_EQ(log_dir_write_catalog(f.dir, 1, NULL, 0), -ENFILE);
    CHECK_EQ(log_dir_begin_run(f.dir, 7), -ENFILE);
    CHECK(!log_dir_failed(f.dir));
    fault_reset();
    fixture_flush(l);
    CHECK_EQ(log_dir_write_checkpoints(f.dir, &e, 1), 0);
    CHECK_EQ(log_dir_begin_run(f.dir, 7), 0);
    CHECK_EQ(read_from(l, 0, 2, 1 << 20, true), 1);
    (void)plog_close(l);
    fixture_close(&f);
}

static void very_many_segments_are_flushed_in_parts(void)
{
    struct fixture f;

    fixture_open(&f);
    f.config.segment_bytes = 300;
    struct plog *l = fixture_plog(&f, "orders", NULL);
    for (int i = 0; i < 40; i++) {
        CHECK_EQ(fixture_append(l, 1, 200, 1), 0); /* one a segment */
    }
    fault_reset();
    struct plog_flush *flush = plog_flush_begin(l);
    CHECK(file_cache_n_open(f.files) < 20);
    CHECK_EQ(plog_flush_run(flush), 0);
    plog_flush_end(l, flush);
    offset64 first = plog_recovery_point(l);
    CHECK_EQ(first, faults.n_datasync);
    CHECK(first > 0 && first < 40);
    fixture_flush(l);
    CHECK_EQ(faults.n_datasync, 40);
    (void)plog_close(l);
    fixture_close(&f);
}

static void trash_is_synced_before_it_is_purged(void)
{
    struct fixture f;

    fixture_open(&f);
    CHECK_EQ(fixture_purge_trash(f.dir), 0);
    struct plog *l = fixture_plog(&f, "orders", NULL);
    CHECK_EQ(fixture_append(l, 1, 100, 1), 0);
    fault_reset();
    faults.open_any_error = faults.open_error = faults.sync_dir_error = -EMFILE;
    CHECK_EQ(plog_delete(l), 0); /* needs no descriptor */
    char *trash = mem_format("%s/.trash", f.path);
    CHECK_EQ(fixture_purge_trash(f.dir), -EMFILE);
    CHECK(rmdir(trash) < 0); /* not empty */
    CHECK(!log_dir_failed(f.dir));
    fault_reset();
    CHECK_EQ(fixture_purge_trash(f.dir), 0);
    CHECK_EQ(faults.n_sync_dir, 4); /* where it moved to, and that it is to be removed */
    CHECK_EQ(fixture_purge_trash(f.dir), 0);
    CHECK_EQ(faults.n_sync_dir, 4);
    CHECK_EQ(rmdir(trash), 0);
    mem_free(trash);
    fixture_close(&f);
}

static const struct check_case cases[] = {
        CASE(folder_is_made_at_the_first_append),
        CASE(what_is_appended_is_read_after_rolls_and_a_restart),
        CASE(slice_stays_below_limit_and_max_bytes),
        CASE(offset_outside_the_log_is_out_of_range),
        CASE(reader_at_the_end_needs_no_search),
        CASE(slice_never_spans_segments_and_says_which_it_is_of),
        CASE(batch_larger_than_a_segment_gets_one_of_its_own),
        CASE(time_finds_the_first_batch_that_reaches_it),
        CASE(hundred_logs_keep_at_most_four_files_open),
        CASE(slice_stays_readable_after_the_log_is_deleted),
        CASE(folder_of_a_deleted_namesake_is_not_touched),
        CASE(full_disk_changes_nothing_at_any_write),
        CASE(full_disk_at_creation_is_retried_from_where_it_stopped),
        CASE(death_between_folder_and_identity_is_harmless),
        CASE(write_error_fails_the_directory),
        CASE(half_written_batch_that_cannot_be_cut_fails_the_directory),
        CASE(failed_sync_latches_and_is_never_repeated),
        CASE(flush_covers_every_rolled_segment_but_not_what_came_later),
        CASE(lack_of_descriptors_fails_nothing_and_is_tried_again),
        CASE(very_many_segments_are_flushed_in_parts),
        CASE(trash_is_synced_before_it_is_purged),
};

CHECK_MAIN("plog", cases)
