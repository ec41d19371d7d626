/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/plog.h"

#include "common/base/mem.h"
#include "tests/lib/check.h"
#include "tests/unit/log/log_fixture.h"

#include <errno.h>
#include <unistd.h>

/* A log of `n` segments of one batch with ten records each, flushed. */
static struct plog *log_of(struct fixture *f, int n)
{
    f->config.segment_bytes = 500;
    struct plog *l = fixture_plog(f, "orders", NULL);

    for (int i = 0; i < n; i++) {
        CHECK_EQ(fixture_append(l, 10, 40, i), 0);
    }
    fixture_flush(l);
    return l;
}

static bool is_there(struct fixture *f, const char *name)
{
    char *path = fixture_file(f, "orders-0", name);
    bool is = file_size_of(path) >= 0;

    mem_free(path);
    return is;
}

/* [LOG-20] */
static void log_start_moves_forward_only(void)
{
    struct fixture f;
    struct plog_slice s;

    fixture_open(&f);
    struct plog *l = log_of(&f, 3);
    plog_set_start(l, 12);
    CHECK_EQ(plog_start(l), 12);
    plog_set_start(l, 5);
    CHECK_EQ(plog_start(l), 12);
    CHECK_EQ(plog_read(l, 11, 30, 1000, true, &s), PLOG_E_OUT_OF_RANGE);
    CHECK_EQ(plog_read(l, 12, 30, 1000, true, &s), 0);
    cached_file_release(s.file);
    CHECK_EQ(plog_find_time(l, 0, 30, &s), 0);
    CHECK_EQ(s.at, 0);
    CHECK(s.older_segment);
    cached_file_release(s.file);
    (void)plog_close(l);
    fixture_close(&f);
}

/* [LOG-21] */
static void segment_goes_only_below_the_saved_start(void)
{
    struct fixture f;
    struct plog_removed removed;

    fixture_open(&f);
    struct plog *l = log_of(&f, 4);
    int64_t bytes = plog_bytes(l);
    plog_set_start(l, 25);
    CHECK(!plog_has_removable(l));
    plog_start_saved(l, 25);
    CHECK(plog_has_removable(l));
    CHECK_EQ(plog_remove_below_start(l, 1, &removed), 0);
    CHECK_EQ(removed.n_segments, 2);
    CHECK_EQ(removed.bytes, bytes / 2);
    CHECK_EQ(plog_bytes(l), bytes / 2);
    CHECK(!removed.wants_flush);
    CHECK(!is_there(&f, "00000000000000000000.log"));
    CHECK(!is_there(&f, "00000000000000000010.index"));
    CHECK(is_there(&f, "00000000000000000020.log"));
    CHECK(is_there(&f, "00000000000000000000.log.deleted"));
    plog_set_start(l, 40);
    plog_start_saved(l, 40);
    fixture_flush(l);
    CHECK_EQ(plog_remove_below_start(l, 1, &removed), 0);
    CHECK_EQ(removed.n_segments, 1); /* the active one stays */
    CHECK_EQ(plog_start(l), 40);
    CHECK_EQ(fixture_append(l, 10, 40, 1), 0);
    CHECK_EQ(plog_end(l), 50);
    (void)plog_close(l);
    fixture_close(&f);
}

/* [LOG-22] */
static void nothing_goes_before_the_names_of_what_stays_are_synced(void)
{
    struct fixture f;
    struct plog_removed removed;

    fixture_open(&f);
    struct plog *l = log_of(&f, 3);
    CHECK_EQ(fixture_append(l, 10, 40, 1), 0); /* in a new segment */
    plog_set_start(l, 30);
    plog_start_saved(l, 30);
    CHECK_EQ(plog_remove_below_start(l, 1, &removed), 0);
    CHECK_EQ(removed.n_segments, 0);
    CHECK(removed.wants_flush);
    fixture_flush(l);
    CHECK_EQ(plog_remove_below_start(l, 1, &removed), 0);
    CHECK_EQ(removed.n_segments, 3);
    (void)plog_close(l);
    fixture_close(&f);
}

static struct plog *log_without_first(struct fixture *f)
{
    struct plog_removed removed;
    struct plog *l = log_of(f, 3);

    plog_set_start(l, 10);
    plog_start_saved(l, 10);
    CHECK_EQ(plog_remove_below_start(l, WTIME_S(100), &removed), 0);
    CHECK_EQ(removed.n_segments, 1);
    return l;
}

/* [LOG-23] */
static void removed_files_are_unlinked_after_the_delay(void)
{
    struct fixture f;

    fixture_open(&f);
    struct plog *l = log_without_first(&f);
    CHECK_EQ(plog_reap_deadline(l, WTIME_S(60)), WTIME_S(160));
    CHECK(plog_reap_begin(l, WTIME_S(159), WTIME_S(60)) == NULL);
    struct plog_reap *reap = plog_reap_begin(l, WTIME_S(160), WTIME_S(60));
    CHECK(reap != NULL);
    CHECK_EQ(plog_reap_run(reap), 0);
    plog_reap_end(l, reap);
    CHECK(!is_there(&f, "00000000000000000000.log.deleted"));
    CHECK(!is_there(&f, "00000000000000000000.index.deleted"));
    CHECK_EQ(plog_reap_deadline(l, 0), WTIME_NEVER);
    (void)plog_close(l);
    fixture_close(&f);
}

/* [LOG-23] */
static void start_unlinks_removed_files(void)
{
    struct fixture f;

    fixture_open(&f);
    struct plog *l = log_without_first(&f);
    fixture_checkpoint(&f, l, &f.topic_id);
    (void)plog_close(l);
    CHECK(is_there(&f, "00000000000000000000.log.deleted"));
    fixture_restart(&f, false);
    l = fixture_plog(&f, "orders", NULL);
    CHECK(!is_there(&f, "00000000000000000000.log.deleted"));
    CHECK(!is_there(&f, "00000000000000000000.index.deleted"));
    CHECK_EQ(plog_start(l), 10);
    (void)plog_close(l);
    fixture_close(&f);
}

/* [LOG-23] */
static void reader_of_a_removed_segment_gets_its_range(void)
{
    struct fixture f;
    struct plog_slice s;
    struct plog_removed removed;
    struct batch b;

    fixture_open(&f);
    struct plog *l = log_of(&f, 3);
    CHECK_EQ(plog_read(l, 0, 30, 1000, true, &s), 0);
    plog_set_start(l, 10);
    plog_start_saved(l, 10);
    CHECK_EQ(plog_remove_below_start(l, 0, &removed), 0);
    struct plog_reap *reap = plog_reap_begin(l, 1, 0);
    CHECK_EQ(plog_reap_run(reap), 0);
    plog_reap_end(l, reap);
    uint8_t *bytes = mem_alloc(s.size);
    CHECK_EQ(pread(s.fd, bytes, s.size, s.at), (ssize_t)s.size);
    CHECK_EQ(batch_parse(bytes, s.size, &b), 0);
    CHECK(batch_crc_is_right(&b));
    CHECK_EQ(batch_last_offset(&b), 9);
    mem_free(bytes);
    cached_file_release(s.file);
    (void)plog_close(l);
    fixture_close(&f);
}

/* [LOG-21] What a power failure brings back may have holes. */
static void segments_that_came_back_below_the_start_are_no_damage(void)
{
    struct fixture f;

    fixture_open(&f);
    struct plog *l = log_of(&f, 6);
    plog_set_start(l, 45);
    fixture_checkpoint(&f, l, &f.topic_id);
    (void)plog_close(l);
    char *lost = fixture_file(&f, "orders-0", "00000000000000000010.log");
    CHECK_EQ(unlink(lost), 0);
    mem_free(lost);
    fixture_restart(&f, false);
    l = fixture_plog(&f, "orders", NULL);
    CHECK_EQ(plog_start(l), 45);
    CHECK_EQ(plog_end(l), 60);
    CHECK(!is_there(&f, "00000000000000000000.log"));
    CHECK(!is_there(&f, "00000000000000000030.log"));
    CHECK(is_there(&f, "00000000000000000040.log"));
    (void)plog_close(l);
    fixture_close(&f);
}

/* [LOG-24] */
static void log_that_ends_below_its_start_goes_on_at_the_start(void)
{
    struct fixture f;
    struct plog_slice s;

    fixture_open(&f);
    struct plog *l = log_of(&f, 2);
    CHECK_EQ(fixture_append(l, 10, 40, 1), 0); /* above the recovery point */
    plog_set_start(l, 27);
    fixture_checkpoint(&f, l, &f.topic_id);
    (void)plog_close(l);
    char *last = fixture_file(&f, "orders-0", "00000000000000000020.log");
    cut_file(last, 100);
    mem_free(last);
    fixture_restart(&f, false);
    l = fixture_plog(&f, "orders", NULL);
    CHECK_EQ(plog_start(l), 27);
    CHECK_EQ(plog_end(l), 27);
    CHECK_EQ(plog_last_epoch(l), EPOCH_NONE); /* what is left of it says nothing of what was lost */
    CHECK_EQ(fixture_append(l, 10, 40, 1), 0);
    CHECK_EQ(plog_read(l, 27, 37, 1000, true, &s), 0);
    CHECK(s.file != NULL);
    cached_file_release(s.file);
    (void)plog_close(l);
    fixture_restart(&f, false);
    l = fixture_plog(&f, "orders", NULL);
    CHECK_EQ(plog_start(l), 27);
    CHECK_EQ(plog_end(l), 37);
    (void)plog_close(l);
    fixture_close(&f);
}

static const struct check_case cases[] = {CASE(log_start_moves_forward_only),
        CASE(segment_goes_only_below_the_saved_start),
        CASE(nothing_goes_before_the_names_of_what_stays_are_synced),
        CASE(removed_files_are_unlinked_after_the_delay), CASE(start_unlinks_removed_files),
        CASE(reader_of_a_removed_segment_gets_its_range),
        CASE(segments_that_came_back_below_the_start_are_no_damage),
        CASE(log_that_ends_below_its_start_goes_on_at_the_start)};

CHECK_MAIN("plog_retire", cases)
