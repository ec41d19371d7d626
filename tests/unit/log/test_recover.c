/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/log_trash.h"
#include "broker/log/plog_check.h"
#include "broker/log/plog_impl.h"
#include "broker/log/seal.h"

#include "common/base/mem.h"
#include "tests/lib/check.h"
#include "tests/unit/log/log_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FIRST_LOG   "00000000000000000000.log"
#define FIRST_INDEX "00000000000000000000.index"

/* A log of `n` batches of one record, closed; the recovery point is what `n_synced` of them make.
 * The directory is opened anew: after a host crash unless `is_proc`. */
static void make_log(struct fixture *f, int n, int n_synced, bool is_proc)
{
    struct plog *l = fixture_plog(f, "orders", NULL);

    for (int i = 0; i < n; i++) {
        CHECK_EQ(fixture_append(l, 1, 100, i), 0);
        if (i + 1 == n_synced) {
            fixture_flush(l);
            fixture_checkpoint(f, l, &f->topic_id);
        }
    }
    (void)plog_close(l);
    if (is_proc) {
        fixture_restart(f, false);
    } else {
        f->dir = log_dir_close(f->dir); /* not settled: HOST stays */
        f->dir = fixture_open_dir(f->path);
    }
    CHECK_EQ(log_dir_crash_kind(f->dir), is_proc ? CRASH_PROC : CRASH_HOST);
}

static int64_t batch_size(void)
{
    struct buf b = {0};

    fixture_batch(&b, 1, 100, 1);
    int64_t size = (int64_t)b.size;
    buf_deinit(&b);
    return size;
}

/* Every offset can be read, one batch at a time and as long runs. */
static void check_readable(struct plog *l)
{
    for (offset64 o = plog_start(l); o < plog_end(l); o++) {
        struct plog_slice s;
        CHECK_EQ(plog_read(l, o, plog_end(l), 1, true, &s), 0);
        uint8_t head[BATCH_HEADER_SIZE];
        CHECK_EQ(pread(s.fd, head, sizeof(head), s.at), (ssize_t)sizeof(head));
        CHECK_EQ(load_be64(head), o);
        cached_file_release(s.file);
    }
}

static void torn_tail_is_cut_at_every_byte_of_the_last_batch(void)
{
    int64_t size = batch_size();

    for (int64_t torn = 0; torn < size; torn++) {
        struct fixture f;
        struct plog_open_stats stats;
        fixture_open(&f);
        make_log(&f, 4, 2, torn % 2 == 0);
        char *path = fixture_file(&f, "orders-0", FIRST_LOG);
        cut_file(path, 3 * size + torn);
        struct plog *l = fixture_plog(&f, "orders", &stats);
        CHECK_EQ(plog_end(l), 3);
        CHECK_EQ(stats.cut_bytes, torn);
        CHECK_EQ(file_size_of(path), 3 * size);
        CHECK_EQ(plog_recovery_point(l), 2);
        CHECK_EQ(fixture_append(l, 1, 100, 1), 0);
        check_readable(l);
        mem_free(path);
        (void)plog_close(l);
        fixture_close(&f);
    }
}

static void flipped_bit_above_the_recovery_point_cuts_there(void)
{
    int64_t size = batch_size();

    for (int64_t at = 0; at < size; at++) {
        struct fixture f;
        fixture_open(&f);
        make_log(&f, 6, 3, at % 2 == 0);
        char *path = fixture_file(&f, "orders-0", FIRST_LOG);
        flip_byte(path, 4 * size + at);
        struct plog *l = fixture_plog(&f, "orders", NULL);
        /* The leader epoch stands outside the checksum: a greater one can only be seen by what
         * follows it. */
        bool is_epoch = at >= 12 && at < 16;
        CHECK_EQ(plog_end(l), is_epoch ? 5 : 4);
        mem_free(path);
        (void)plog_close(l);
        fixture_close(&f);
    }
}

static void flipped_bit_below_the_recovery_point_is_damage_and_changes_nothing(void)
{
    struct fixture f;
    struct plog *l = NULL;
    int64_t size = batch_size();

    fixture_open(&f);
    make_log(&f, 6, 3, false);
    char *path = fixture_file(&f, "orders-0", FIRST_LOG);
    flip_byte(path, 2 * size + 70);
    CHECK_EQ(fixture_try_plog(&f, "orders", &l, NULL), PLOG_E_DAMAGED);
    CHECK_EQ(file_size_of(path), 6 * size);
    CHECK(!log_dir_failed(f.dir)); /* one log, not the disk */
    flip_byte(path, 2 * size + 70);
    l = fixture_plog(&f, "orders", NULL);
    CHECK_EQ(plog_end(l), 6);
    mem_free(path);
    (void)plog_close(l);
    fixture_close(&f);
}

static void missing_end_of_what_was_synced_is_damage(void)
{
    for (int kind = 0; kind < 3; kind++) {
        struct fixture f;
        struct plog *l = NULL;
        fixture_open(&f);
        make_log(&f, 6, 4, kind == 0);
        char *path = fixture_file(&f, "orders-0", FIRST_LOG);
        if (kind == 2) {
            CHECK_EQ(unlink(path), 0);
        } else {
            cut_file(path, 3 * batch_size());
        }
        CHECK_EQ(fixture_try_plog(&f, "orders", &l, NULL), PLOG_E_DAMAGED);
        mem_free(path);
        fixture_close(&f);
    }
}

static void lost_folder_is_told_from_a_new_one(void)
{
    struct fixture f;
    struct plog_open_stats stats;

    fixture_open(&f);
    make_log(&f, 6, 4, true);
    CHECK_EQ(log_trash_move(f.dir, "orders-0", &f.topic_id, 0), 0);
    struct plog *l = fixture_plog(&f, "orders", &stats);
    CHECK(stats.lost && !stats.existed);
    CHECK_EQ(plog_end(l), 0);
    (void)plog_close(l);
    f.topic_id.bytes[0]++;
    l = fixture_plog(&f, "orders", &stats);
    CHECK(!stats.lost && !stats.existed);
    (void)plog_close(l);
    fixture_close(&f);
}

static void zeros_that_a_power_failure_left_are_cut(void)
{
    struct fixture f;
    struct plog_open_stats stats;

    fixture_open(&f);
    make_log(&f, 6, 3, false);
    char *path = fixture_file(&f, "orders-0", FIRST_LOG);
    cut_file(path, 5 * batch_size());
    cut_file(path, 9 * batch_size() + 7); /* longer: zeros */
    struct plog *l = fixture_plog(&f, "orders", &stats);
    CHECK_EQ(plog_end(l), 5);
    CHECK_EQ(stats.cut_bytes, 4 * batch_size() + 7);
    mem_free(path);
    (void)plog_close(l);
    fixture_close(&f);
}

static void only_what_may_be_torn_is_scanned_when_the_kernel_lived(void)
{
    struct fixture f;
    struct plog_open_stats stats;

    fixture_open(&f);
    f.config.segment_bytes = 1 << 20;
    make_log(&f, 200, 199, true);
    struct plog *l = fixture_plog(&f, "orders", &stats);
    CHECK_EQ(plog_end(l), 200);
    CHECK(stats.scanned_bytes <= 5 * batch_size());
    CHECK_EQ(plog_last_epoch(l), 0);
    check_readable(l);
    (void)plog_close(l);
    fixture_close(&f);
}

static int64_t scan_size(struct fixture *f)
{
    return plog_scan_size(f->dir, f->files, "orders-0", &f->topic_id, 0);
}

static void what_is_to_be_scanned_is_told_before(void) /* [LOG-15] */
{
    struct fixture f;
    struct plog_open_stats stats;
    int64_t told;

    for (int is_proc = 0; is_proc < 2; is_proc++) {
        fixture_open(&f);
        f.config.segment_bytes = 20 * batch_size();
        CHECK_EQ(scan_size(&f), 0); /* nothing is there */
        make_log(&f, 70, 50, is_proc == 1);
        told = scan_size(&f);
        struct plog *l = fixture_plog(&f, "orders", &stats);
        CHECK_EQ(told, stats.scanned_bytes);
        CHECK(told >= (is_proc ? 20 : 30) * batch_size()); /* an index entry is not far */
        CHECK(told <= (is_proc ? 22 : 30) * batch_size());
        CHECK_EQ(log_dir_scanned_bytes(f.dir), told);
        (void)plog_close(l);
        fixture_close(&f);
    }
}

static void a_start_that_is_interrupted_changes_nothing(void) /* [LOG-16] */
{
    struct fixture f;
    struct plog *l = NULL;

    fixture_open(&f);
    make_log(&f, 100, 10, true);
    char *log = fixture_file(&f, "orders-0", FIRST_LOG);
    int64_t size = file_size_of(log);
    log_dir_interrupt(f.dir);
    CHECK_EQ(fixture_try_plog(&f, "orders", &l, NULL), -ECANCELED);
    CHECK(!log_dir_failed(f.dir));
    CHECK_EQ(file_size_of(log), size);
    mem_free(log);
    fixture_restart(&f, false);
    l = fixture_plog(&f, "orders", NULL);
    CHECK_EQ(plog_end(l), 100);
    check_readable(l);
    (void)plog_close(l);
    fixture_close(&f);
}

/* Puts the index into one of many wrong states. */
static void spoil_index(const char *path, int how)
{
    static const uint8_t not_rising[16] = {0, 0, 0, 9, 0, 0, 4, 0, 0, 0, 0, 9, 0, 0, 5, 0};
    static const uint8_t beyond[8] = {0, 0, 0, 9, 0x7f, 0, 0, 0};
    static const uint8_t no_batch[8] = {0, 0, 0, 9, 0, 0, 0, 77};

    switch (how) {
    case 0: CHECK_EQ(unlink(path), 0); break;
    case 1: cut_file(path, 0); break;
    case 2: cut_file(path, 13); break;
    case 3: write_file(path, not_rising, sizeof(not_rising)); break;
    case 4: write_file(path, beyond, sizeof(beyond)); break;
    case 5: write_file(path, no_batch, sizeof(no_batch)); break;
    case 6: flip_byte(path, file_size_of(path) - 1); break;
    default: flip_byte(path, file_size_of(path) - 6); break;
    }
}

static void any_doubt_about_an_index_rebuilds_it(void)
{
    for (int how = 0; how < 8; how++) {
        for (int older = 0; older < 2; older++) {
            for (int proc = 0; proc < 2; proc++) {
                struct fixture f;
                fixture_open(&f);
                make_log(&f, 60, older != 0 ? 55 : 10, proc != 0);
                char *path = fixture_file(&f, "orders-0", FIRST_INDEX);
                int64_t size = file_size_of(path);
                CHECK(size > 16);
                spoil_index(path, how);
                struct plog *l = fixture_plog(&f, "orders", NULL);
                CHECK_EQ(plog_end(l), 60);
                if (how != 1) { /* an empty index is a sound one */
                    CHECK_EQ(file_size_of(path), size);
                }
                check_readable(l);
                mem_free(path);
                (void)plog_close(l);
                fixture_close(&f);
            }
        }
    }
}

static void index_spoiled_while_in_use_does_not_mislead_a_reader(void)
{
    for (int how = 1; how < 8; how++) {
        struct fixture f;
        fixture_open(&f);
        struct plog *l = fixture_plog(&f, "orders", NULL);
        for (int i = 0; i < 60; i++) {
            CHECK_EQ(fixture_append(l, 1, 100, i), 0);
        }
        char *path = fixture_file(&f, "orders-0", FIRST_INDEX);
        int64_t size = file_size_of(path);
        spoil_index(path, how);
        cut_file(path, size); /* so that the count fits: zeros behind */
        check_readable(l);
        mem_free(path);
        (void)plog_close(l);
        fixture_close(&f);
    }
}

/* Path of the log file of the segment that begins with `base`. */
static char *log_path(struct fixture *f, offset64 base)
{
    char *name = mem_format("%020lld.log", (long long)base);
    char *path = fixture_file(f, "orders-0", name);

    mem_free(name);
    return path;
}

static void missing_segment_below_the_recovery_point_is_damage(void)
{
    struct fixture f;
    struct plog *l = NULL;

    fixture_open(&f);
    make_log(&f, 100, 95, true);
    l = fixture_plog(&f, "orders", NULL);
    CHECK(l->segments.n >= 4);
    char *path = log_path(&f, l->segments.items[1].base);
    (void)plog_close(l);
    CHECK_EQ(unlink(path), 0);
    CHECK_EQ(fixture_try_plog(&f, "orders", &l, NULL), PLOG_E_DAMAGED);
    mem_free(path);
    fixture_close(&f);
}

static void torn_older_segment_above_the_recovery_point_drops_the_later_ones(void)
{
    for (int kind = 0; kind < 3; kind++) {
        struct fixture f;
        struct plog *l = NULL;
        struct plog_open_stats stats;
        fixture_open(&f);
        make_log(&f, 100, 10, false);
        l = fixture_plog(&f, "orders", NULL);
        offset64 second = l->segments.items[1].base, third = l->segments.items[2].base;
        char *path = log_path(&f, second);
        char *next = log_path(&f, third);
        (void)plog_close(l);
        if (kind == 0) {
            cut_file(path, file_size_of(path) - 1);
        } else if (kind == 1) {
            flip_byte(path, file_size_of(path) - 1);
        } else {
            CHECK_EQ(unlink(path), 0);
        }
        l = fixture_plog(&f, "orders", &stats);
        CHECK_EQ(plog_end(l), kind == 2 ? second : third - 1);
        CHECK_EQ(file_size_of(next), -ENOENT);
        CHECK(stats.cut_bytes > 0);
        CHECK_EQ(fixture_append(l, 1, 100, 1), 0);
        check_readable(l);
        offset64 end = plog_end(l);
        (void)plog_close(l);
        l = fixture_plog(&f, "orders", &stats);
        CHECK_EQ(plog_end(l), end);
        CHECK_EQ(stats.cut_bytes, 0);
        (void)plog_close(l);
        mem_free(path);
        mem_free(next);
        fixture_close(&f);
    }
}

static void empty_last_segment_is_fine(void)
{
    struct fixture f;

    fixture_open(&f);
    make_log(&f, 5, 5, true);
    char *path = log_path(&f, 5);
    write_file(path, "", 0);
    struct plog *l = fixture_plog(&f, "orders", NULL);
    CHECK_EQ(plog_end(l), 5);
    CHECK_EQ(fixture_append(l, 1, 100, 1), 0);
    CHECK_EQ(file_size_of(path), batch_size());
    check_readable(l);
    mem_free(path);
    (void)plog_close(l);
    fixture_close(&f);
}

static void folder_whose_owner_cannot_be_read_is_damage(void)
{
    for (int kind = 0; kind < 2; kind++) {
        struct fixture f;
        struct plog *l = NULL;
        size_t n = 0;
        fixture_open(&f);
        make_log(&f, 5, 5, true);
        char *path = fixture_file(&f, "orders-0", "partition.metadata");
        if (kind == 0) {
            flip_byte(path, 12);
        } else {
            CHECK_EQ(unlink(path), 0);
        }
        CHECK_EQ(fixture_try_plog(&f, "orders", &l, NULL), PLOG_E_DAMAGED);
        fixture_restart(&f, false);
        (void)log_dir_logs(f.dir, &n);
        CHECK_EQ(n, 0);
        mem_free(path);
        fixture_close(&f);
    }
}

static void log_start_of_the_checkpoint_hides_what_is_below(void)
{
    struct fixture f;
    struct plog_slice s;
    struct checkpoint_entry e = {.recovery_point = 5, .high_watermark = 5, .log_start = 2};

    fixture_open(&f);
    make_log(&f, 5, 5, true);
    e.topic_id = f.topic_id;
    CHECK_EQ(log_dir_write_checkpoints(f.dir, &e, 1), 0);
    fixture_restart(&f, false);
    struct plog *l = fixture_plog(&f, "orders", NULL);
    CHECK_EQ(plog_start(l), 2);
    CHECK_EQ(plog_read(l, 1, 5, 100, true, &s), PLOG_E_OUT_OF_RANGE);
    check_readable(l);
    CHECK_EQ(plog_find_time(l, 0, 5, &s), 0);
    CHECK_EQ(s.at, 2 * batch_size());
    cached_file_release(s.file);
    (void)plog_close(l);
    fixture_close(&f);
}

/* Indexes are not synced at a clean stop: a power failure behind it may bring an older one back. */
static void index_entry_at_the_recovery_point_is_not_believed(void)
{
    struct fixture f;
    struct plog_open_stats stats;
    uint8_t entry[8];

    fixture_open(&f);
    f.config.segment_bytes = 1 << 20;
    make_log(&f, 10, 10, true);
    store_be32(entry, 10);
    store_be32(entry + 4, (uint32_t)(9 * batch_size() + 20));
    char *path = fixture_file(&f, "orders-0", FIRST_INDEX);
    write_file(path, entry, sizeof(entry));
    mem_free(path);
    struct plog *l = fixture_plog(&f, "orders", &stats);
    CHECK_EQ(stats.cut_bytes, 0);
    CHECK_EQ(plog_end(l), 10);
    check_readable(l);
    (void)plog_close(l);
    fixture_close(&f);
}

/* --- Seals and compacted segments --------------------------------------------------------------- */

/* Three batches a segment, all synced and sealed; closed after an orderly stop. */
static void make_sealed_log(struct fixture *f, int n_batches)
{
    f->config.segment_bytes = 3 * batch_size();
    struct plog *l = fixture_plog(f, "orders", NULL);
    struct plog_seal *x = NULL;

    for (int i = 0; i < n_batches; i++) {
        CHECK_EQ(fixture_append(l, 1, 100, 10 + i), 0);
    }
    CHECK(plog_seal_begin(l) == NULL); /* not synced yet */
    fixture_flush(l);
    CHECK((x = plog_seal_begin(l)) != NULL);
    CHECK_EQ(plog_seal_run(x), 0);
    plog_seal_end(l, x);
    CHECK(plog_seal_begin(l) == NULL);
    CHECK(!plog_lacks_seals(l));
    fixture_checkpoint(f, l, &f->topic_id);
    (void)plog_close(l);
}

/* [LOG-9] [LOG-10] */
static void sealed_segments_are_not_read_at_a_start(void)
{
    struct fixture f;

    fixture_open(&f);
    make_sealed_log(&f, 30);
    fixture_restart(&f, true);
    fault_reset();
    struct plog *l = fixture_plog(&f, "orders", NULL);
    int n_pread = faults.n_pread;
    CHECK(n_pread < 2 * 10 + 10); /* a seal each, and the last segment */
    CHECK_EQ(plog_end(l), 30);
    for (size_t i = 0; i + 1 < l->segments.n; i++) {
        CHECK(l->segments.items[i].is_sealed);
        CHECK_EQ(l->segments.items[i].max_timestamp, 10 + 3 * (wall_ms)i + 2);
    }
    check_readable(l);
    (void)plog_close(l);
    fixture_close(&f);
}

static void missing_or_spoiled_seal_is_made_again(void)
{
    for (int spoil = 0; spoil < 2; spoil++) {
        struct fixture f;
        struct plog_seal *x = NULL;
        fixture_open(&f);
        make_sealed_log(&f, 9);
        char *path = fixture_file(&f, "orders-0", "00000000000000000003.seal");
        if (spoil) {
            flip_byte(path, 30);
        } else {
            CHECK_EQ(unlink(path), 0);
        }
        fixture_restart(&f, false);
        struct plog *l = fixture_plog(&f, "orders", NULL);
        CHECK(plog_lacks_seals(l));
        CHECK((x = plog_seal_begin(l)) != NULL);
        CHECK_EQ(plog_seal_run(x), 0);
        plog_seal_end(l, x);
        struct seal seal;
        CHECK_EQ(seal_read(&file_io_posix, path, &seal), 0);
        CHECK_EQ(seal.base, 3);
        CHECK_EQ(seal.end, 6);
        CHECK_EQ(seal.size, 3 * batch_size());
        CHECK_EQ(seal.max_timestamp, 15);
        CHECK(seal.heads != 0);
        check_readable(l);
        (void)plog_close(l);
        mem_free(path);
        fixture_close(&f);
    }
}

static void seal_that_cannot_be_true_is_damage(void)
{
    enum {
        SHORTER,
        OTHER_TOPIC,
        OTHER_END,
        CASES
    };

    for (int i = 0; i < CASES; i++) {
        struct fixture f;
        struct seal seal;
        struct plog *l = NULL;
        fixture_open(&f);
        make_sealed_log(&f, 9);
        char *path = fixture_file(&f, "orders-0", "00000000000000000003.seal");
        char *log = fixture_file(&f, "orders-0", "00000000000000000003.log");
        CHECK_EQ(seal_read(&file_io_posix, path, &seal), 0);
        switch (i) {
        case SHORTER: cut_file(log, batch_size()); break;
        case OTHER_TOPIC: seal.topic_id.bytes[0] ^= 1; break;
        default: seal.end++; break;
        }
        CHECK_EQ(seal_write(&file_io_posix, path, &seal), 0);
        fixture_restart(&f, true);
        CHECK_EQ(fixture_try_plog(&f, "orders", &l, NULL), PLOG_E_DAMAGED);
        mem_free(log);
        mem_free(path);
        fixture_close(&f);
    }
}

/* Takes the batch at `at` out of a file of three, as a compaction would, and says so in the seal. */
static void compact_by_hand(struct fixture *f, offset64 base, int at, bool is_said)
{
    char name[40];
    struct seal seal;
    uint8_t *bytes = NULL;
    size_t size = 0;
    size_t one = (size_t)batch_size();

    (void)snprintf(name, sizeof(name), "%020d.log", (int)base);
    char *log = fixture_file(f, "orders-0", name);
    (void)snprintf(name, sizeof(name), "%020d.seal", (int)base);
    char *path = fixture_file(f, "orders-0", name);
    CHECK_EQ(file_read_all(&file_io_posix, log, 1 << 20, &bytes, &size), 0);
    memmove(bytes + (size_t)at * one, bytes + (size_t)(at + 1) * one, size - (size_t)(at + 1) * one);
    write_file(log, bytes, size - one);
    CHECK_EQ(seal_read(&file_io_posix, path, &seal), 0);
    seal.size -= (int64_t)one;
    seal.is_compacted = is_said;
    CHECK_EQ(seal_write(&file_io_posix, path, &seal), 0);
    mem_free(bytes);
    mem_free(path);
    mem_free(log);
}

/* What a reader of `offset` is given first. */
static offset64 first_read(struct plog *l, offset64 offset)
{
    struct plog_slice s;
    uint8_t head[8];

    CHECK_EQ(plog_read(l, offset, plog_end(l), 1 << 20, true, &s), 0);
    if (s.file == NULL) {
        return OFFSET_NONE;
    }
    CHECK_EQ(pread(s.fd, head, sizeof(head), s.at), 8);
    cached_file_release(s.file);
    return (offset64)load_be64(head);
}

/* The same for a reader that is given only what was checked. */
static offset64 first_checked(struct plog *l, offset64 offset)
{
    struct plog_slice s = {0};
    struct plog_check c;
    offset64 at = offset;
    uint8_t head[8];
    int r = PLOG_E_NOT_FOUND;

    while (plog_read_checked(l, offset, plog_end(l), 1 << 20, true, true, &s) == PLOG_E_COLD) {
        CHECK_EQ(r, PLOG_E_NOT_FOUND); /* at most one check that found something */
        CHECK_EQ(plog_check_begin(l, at, plog_end(l), 1, &c), 0);
        r = plog_check_end(l, &c, plog_check_run(&c));
        at = c.segment.end;
        CHECK(r == 0 || r == PLOG_E_NOT_FOUND);
    }
    CHECK(s.file != NULL);
    CHECK_EQ(pread(s.fd, head, sizeof(head), s.at), 8);
    cached_file_release(s.file);
    return (offset64)load_be64(head);
}

/* [LOG-11] */
static void reader_of_a_removed_offset_gets_the_next_batch(void)
{
    for (int at = 0; at < 3; at++) {
        for (int kind = 0; kind < 3; kind++) { /* clean, process, host */
            struct fixture f;
            fixture_open(&f);
            make_sealed_log(&f, 9);
            compact_by_hand(&f, 3, at, true);
            if (kind < 2) {
                fixture_restart(&f, kind == 0);
            } else {
                f.dir = log_dir_close(f.dir);
                f.dir = fixture_open_dir(f.path);
            }
            struct plog *l = fixture_plog(&f, "orders", NULL);
            for (offset64 o = 0; o < 9; o++) {
                CHECK_EQ(first_read(l, o), o == 3 + at ? o + 1 : o);
                CHECK_EQ(first_checked(l, o), o == 3 + at ? o + 1 : o);
            }
            CHECK_EQ(plog_end(l), 9);
            CHECK_EQ(plog_bytes(l), 8 * batch_size());
            (void)plog_close(l);
            fixture_close(&f);
        }
    }
}

/* [LOG-11] Nobody said that anything was removed. */
static void gap_without_a_compaction_is_damage(void)
{
    struct fixture f;
    struct plog *l = NULL;

    fixture_open(&f);
    make_sealed_log(&f, 9);
    compact_by_hand(&f, 3, 1, false);
    char *path = fixture_file(&f, "orders-0", "00000000000000000003.seal");
    CHECK_EQ(unlink(path), 0);
    fixture_restart(&f, false);
    CHECK_EQ(fixture_try_plog(&f, "orders", &l, NULL), PLOG_E_DAMAGED);
    mem_free(path);
    fixture_close(&f);
}

/* A compaction may be newer than the checkpoint that a crash left. */
static void compacted_segment_above_the_recovery_point_is_kept(void)
{
    struct fixture f;
    struct checkpoint_entry none = {.recovery_point = 1};

    fixture_open(&f);
    make_sealed_log(&f, 9);
    compact_by_hand(&f, 3, 1, true);
    none.topic_id = f.topic_id;
    CHECK_EQ(log_dir_write_checkpoints(f.dir, &none, 1), 0);
    f.dir = log_dir_close(f.dir);
    f.dir = fixture_open_dir(f.path);
    struct plog *l = fixture_plog(&f, "orders", NULL);
    CHECK_EQ(plog_end(l), 9);
    CHECK_EQ(first_read(l, 4), 5);
    (void)plog_close(l);
    fixture_close(&f);
}

static const struct check_case cases[] = {
        CASE(torn_tail_is_cut_at_every_byte_of_the_last_batch),
        CASE(flipped_bit_above_the_recovery_point_cuts_there),
        CASE(flipped_bit_below_the_recovery_point_is_damage_and_changes_nothing),
        CASE(missing_end_of_what_was_synced_is_damage),
        CASE(lost_folder_is_told_from_a_new_one),
        CASE(zeros_that_a_power_failure_left_are_cut),
        CASE(only_what_may_be_torn_is_scanned_when_the_kernel_lived),
        CASE(what_is_to_be_scanned_is_told_before),
        CASE(a_start_that_is_interrupted_changes_nothing),
        CASE(any_doubt_about_an_index_rebuilds_it),
        CASE(index_spoiled_while_in_use_does_not_mislead_a_reader),
        CASE(missing_segment_below_the_recovery_point_is_damage),
        CASE(torn_older_segment_above_the_recovery_point_drops_the_later_ones),
        CASE(empty_last_segment_is_fine),
        CASE(folder_whose_owner_cannot_be_read_is_damage),
        CASE(log_start_of_the_checkpoint_hides_what_is_below),
        CASE(index_entry_at_the_recovery_point_is_not_believed),
        CASE(sealed_segments_are_not_read_at_a_start),
        CASE(missing_or_spoiled_seal_is_made_again),
        CASE(seal_that_cannot_be_true_is_damage),
        CASE(reader_of_a_removed_offset_gets_the_next_batch),
        CASE(gap_without_a_compaction_is_damage),
        CASE(compacted_segment_above_the_recovery_point_is_kept),
};

CHECK_MAIN("recover", cases)
