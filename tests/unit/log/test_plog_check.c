/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/plog_check.h"

#include "broker/log/plog.h"
#include "common/base/mem.h"
#include "common/base/prng.h"
#include "tests/lib/check.h"
#include "tests/unit/log/log_fixture.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

/* A log of `n` batches of 2 records (about 270 bytes each), closed and opened again: everything
 * but what recovery scans is not known to be right. */
static struct plog *reopened_of(struct fixture *f, int n, int64_t segment_bytes)
{
    fixture_open(f);
    f->config.segment_bytes = segment_bytes;
    struct plog *l = fixture_plog(f, "orders", NULL);
    for (int i = 0; i < n; i++) {
        CHECK_EQ(fixture_append(l, 2, 100, i), 0);
    }
    fixture_flush(l);
    fixture_checkpoint(f, l, &f->topic_id);
    (void)plog_close(l);
    fixture_restart(f, true);
    return fixture_plog(f, "orders", NULL);
}

static struct plog *reopened(struct fixture *f, int n)
{
    return reopened_of(f, n, 1000);
}

static void end_with(struct plog *l, struct fixture *f)
{
    (void)plog_close(l);
    fixture_close(f);
}

/* Where the slice ends; all batches in it must be right. */
static offset64 end_of(const struct plog_slice *s, offset64 offset)
{
    uint8_t *bytes = mem_alloc(s->size + 1);
    offset64 next = offset;

    CHECK_EQ(pread(s->fd, bytes, s->size, s->at), (ssize_t)s->size);
    for (size_t at = 0; at < s->size;) {
        struct batch b;
        CHECK_EQ(batch_parse(bytes + at, s->size - at, &b), 0);
        CHECK(batch_crc_is_right(&b));
        next = batch_last_offset(&b) + 1;
        at += b.size;
    }
    mem_free(bytes);
    return next;
}

static int try_read(struct plog *l,
        offset64 offset,
        size_t max,
        bool may_wait,
        offset64 *ret_end,
        bool *ret_cut)
{
    struct plog_slice s = {0};
    int r = plog_read_checked(l, offset, plog_end(l), max, true, may_wait, &s);

    if (r == 0 && s.file != NULL) {
        *ret_end = end_of(&s, offset);
        *ret_cut = s.is_cut;
        cached_file_release(s.file);
    }
    return r;
}

static int check_from(struct plog *l, offset64 offset, int64_t max)
{
    struct plog_check c;
    int r = plog_check_begin(l, offset, plog_end(l), max, &c);

    return r != 0 ? r : plog_check_end(l, &c, plog_check_run(&c));
}

static void what_an_earlier_run_wrote_is_checked_before_it_is_given(void) /* [LOG-80] [LOG-81] */
{
    struct fixture f;
    struct plog *l = reopened(&f, 20);
    offset64 end = 0;
    bool is_cut = false;

    CHECK_EQ(try_read(l, 0, 1000, true, &end, &is_cut), PLOG_E_COLD);
    CHECK_EQ(check_from(l, 0, 1), 0); /* one batch at least */
    CHECK_EQ(try_read(l, 0, 1000, false, &end, &is_cut), 0);
    CHECK_EQ(end, 2);
    CHECK(is_cut);
    CHECK_EQ(try_read(l, 2, 1000, true, &end, &is_cut), PLOG_E_COLD);
    CHECK_EQ(check_from(l, 3, 100000), 0); /* up to the segment's end; from within a batch */
    CHECK_EQ(try_read(l, 1, 100000, false, &end, &is_cut), 0);
    CHECK(end > 4);
    CHECK(!is_cut);
    CHECK_EQ(try_read(l, end, 1000, true, &end, &is_cut), PLOG_E_COLD);
    end_with(l, &f);
}

static void what_this_run_wrote_is_given_at_once(void) /* [LOG-80] */
{
    struct fixture f;
    struct plog *l = reopened(&f, 1);
    offset64 end = 0;
    bool is_cut = false;

    for (int i = 0; i < 20; i++) {
        CHECK_EQ(fixture_append(l, 2, 100, i), 0);
    }
    for (offset64 at = 2; at < plog_end(l); at = end) {
        CHECK_EQ(try_read(l, at, 100000, false, &end, &is_cut), 0);
        CHECK(end > at);
        CHECK(!is_cut || at == 2); /* the first segment's begin is an earlier run's */
    }
    CHECK_EQ(end, 42);
    end_with(l, &f);
}

static void what_recovery_scanned_is_given_at_once(void) /* [LOG-80] */
{
    struct fixture f;
    offset64 end = 0;
    bool is_cut = false;

    fixture_open(&f);
    struct plog *l = fixture_plog(&f, "orders", NULL);
    for (int i = 0; i < 5; i++) {
        CHECK_EQ(fixture_append(l, 2, 100, i), 0);
    }
    (void)plog_close(l); /* no checkpoint: all is scanned */
    fixture_restart(&f, false);
    l = fixture_plog(&f, "orders", NULL);
    CHECK_EQ(try_read(l, 0, 100000, false, &end, &is_cut), 0);
    CHECK_EQ(end, 10);
    end_with(l, &f);
}

static void who_may_not_wait_reads_memory_only(void) /* [LOG-82] */
{
    struct fixture f;
    struct plog *l = reopened(&f, 20);
    offset64 end = 0;
    bool is_cut = false;

    CHECK_EQ(check_from(l, 0, 100000), 0);
    CHECK_EQ(try_read(l, 0, 100000, false, &end, &is_cut),
            0); /* the reader is expected: no look at the file */
    faults.is_cold = true;
    faults.n_pread = 0;
    CHECK_EQ(try_read(l, 0, 300, false, &end, &is_cut),
            PLOG_E_COLD); /* the end has to be looked for */
    CHECK_EQ(try_read(l, 3, 100000, false, &end, &is_cut), PLOG_E_COLD);
    CHECK_EQ(faults.n_pread, 0);
    CHECK(!log_dir_failed(f.dir));
    CHECK_EQ(try_read(l, 3, 300, true, &end, &is_cut), 0);
    CHECK_EQ(end, 4);
    end_with(l, &f);
}

static void a_flipped_bit_is_never_given_and_nothing_is_cut(void) /* [LOG-83] */
{
    struct fixture f;
    struct plog *l = reopened(&f, 20);
    char *file = fixture_file(&f, "orders-0", "00000000000000000000.log");
    int64_t size = file_size_of(file), batch = 0;
    struct plog_slice s = {0};
    offset64 end = 0;
    bool is_cut = false;

    CHECK_EQ(plog_read(l, 0, 2, 1000, true, &s), 0);
    batch = (int64_t)s.size;
    cached_file_release(s.file);
    flip_byte(file, batch + batch / 2);
    CHECK_EQ(check_from(l, 0, 100000), 0);
    CHECK_EQ(try_read(l, 0, 100000, true, &end, &is_cut), 0); /* the good ones before */
    CHECK_EQ(end, 2);
    CHECK(is_cut);
    CHECK_EQ(try_read(l, 2, 100000, true, &end, &is_cut), PLOG_E_COLD);
    CHECK_EQ(check_from(l, 2, 100000), PLOG_E_DAMAGED);
    CHECK_EQ(try_read(l, 2, 100000, true, &end, &is_cut), PLOG_E_COLD);
    CHECK_EQ(file_size_of(file), size);
    CHECK(!log_dir_failed(f.dir));
    CHECK_EQ(check_from(l, 4, 1), 0); /* behind it */
    mem_free(file);
    end_with(l, &f);
}

static void a_damaged_header_is_found(void) /* [LOG-83] */
{
    struct fixture f;
    struct plog *l = reopened(&f, 20);
    char *file = fixture_file(&f, "orders-0", "00000000000000000000.log");
    struct plog_slice s = {0};

    CHECK_EQ(plog_read(l, 0, 2, 1000, true, &s), 0);
    cached_file_release(s.file);
    flip_byte(file, (int64_t)s.size + 7); /* the base offset, which no checksum covers */
    CHECK_EQ(check_from(l, 2, 100000), PLOG_E_DAMAGED);
    mem_free(file);
    end_with(l, &f);
}

static void a_lack_of_descriptors_is_not_damage(void) /* [LOG-85] */
{
    struct fixture f;
    struct plog *l = reopened(&f, 20);

    faults.open_any_error = -EMFILE;
    CHECK_EQ(check_from(l, 0, 1000), PLOG_E_BUSY);
    faults.open_any_error = 0;
    CHECK_EQ(check_from(l, 0, 1000), 0);
    CHECK_EQ(check_from(l, plog_end(l), 1000), PLOG_E_NOT_FOUND);
    end_with(l, &f);
}

static void what_was_cut_meanwhile_says_nothing(void) /* [LOG-86] */
{
    struct fixture f;
    struct plog_check c;
    offset64 end = 0;
    bool is_cut = false;

    struct plog *l =
            reopened_of(&f, 20, 100000); /* one segment, the last batches of which were scanned */
    CHECK_EQ(try_read(l, 0, 1000, true, &end, &is_cut), PLOG_E_COLD);
    CHECK_EQ(plog_check_begin(l, 0, 2, 1000, &c), 0);
    faults.n_pwritev = 0; /* a half-written batch is cut off again */
    faults.fail_pwritev_at = 1;
    faults.pwritev_short = 10;
    CHECK_EQ(fixture_append(l, 2, 100, 1), PLOG_E_FULL);
    c.is_bad = true; /* whatever it found */
    CHECK_EQ(plog_check_end(l, &c, -EIO), 0);
    CHECK(!log_dir_failed(f.dir));
    CHECK_EQ(try_read(l, 0, 1000, true, &end, &is_cut), PLOG_E_COLD);
    end_with(l, &f);
}

/* Reads, checks, appends and restarts in any order over a log some of whose bytes are flipped:
 * what is given is right (end_of says so), and with no flips all of it can be read. */
static void whatever_is_given_is_right(void) /* [LOG-80] [LOG-81] [LOG-83] */
{
    struct fixture f;
    struct prng p;

    prng_init(&p, check_seed());
    for (int round = 0; round < 25; round++) {
        struct plog *l = reopened(&f, 40);
        bool is_damaged = false;
        for (int i = round % 5; i > 0; i--) {
            char name[64];
            (void)snprintf(name, sizeof(name), "%020d.log", 0);
            char *file = fixture_file(&f, "orders-0", name);
            flip_byte(file, (int64_t)prng_below(&p, (uint64_t)file_size_of(file)));
            mem_free(file);
            is_damaged = true;
        }
        for (int step = 0; step < 400; step++) {
            offset64 at = (offset64)prng_below(&p, (uint64_t)plog_end(l)), end = 0;
            size_t max = (size_t)prng_below(&p, 2000) + 1;
            bool is_cut = false;
            int r = try_read(l, at, max, prng_below(&p, 2) == 0, &end, &is_cut);
            CHECK(r == 0 || r == PLOG_E_COLD || (r == PLOG_E_DAMAGED && is_damaged));
            if (r == PLOG_E_COLD) {
                r = check_from(l, at, (int64_t)max);
                CHECK(r == 0 || (r == PLOG_E_DAMAGED && is_damaged));
                CHECK(is_damaged || try_read(l, at, max, false, &end, &is_cut) == 0);
            }
            if (prng_below(&p, 20) == 0) {
                CHECK_EQ(fixture_append(l, 1, 50, step), 0);
            }
        }
        end_with(l, &f);
    }
}

static const struct check_case cases[] = {
        CASE(what_an_earlier_run_wrote_is_checked_before_it_is_given),
        CASE(what_this_run_wrote_is_given_at_once),
        CASE(what_recovery_scanned_is_given_at_once),
        CASE(who_may_not_wait_reads_memory_only),
        CASE(a_flipped_bit_is_never_given_and_nothing_is_cut),
        CASE(a_damaged_header_is_found),
        CASE(a_lack_of_descriptors_is_not_damage),
        CASE(what_was_cut_meanwhile_says_nothing),
        CASE(whatever_is_given_is_right),
};
CHECK_MAIN("plog_check", cases)
